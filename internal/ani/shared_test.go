package ani

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tableCase is a line of a table: a text as a JSON string, the class and the
// number expected of it, and why.
type tableCase struct {
	raw, class, e164, note string
}

// readCases reads a table of tab-parted lines; a line that begins with # is a
// remark. Further columns come before the four of a case and are given back as
// they are.
func readCases(t *testing.T, file string, further int) (cases []tableCase, columns [][]string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(text), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) < further+3 {
			t.Fatalf("line %d has %d columns", i+1, len(f))
		}
		f = append(f, "")
		c := tableCase{class: f[further+1], e164: f[further+2], note: f[further+3]}
		if err := json.Unmarshal([]byte(f[further]), &c.raw); err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		if c.e164 == "-" {
			c.e164 = ""
		}
		cases, columns = append(cases, c), append(columns, f[:further])
	}
	return cases, columns
}

func mustNew(t testing.TB, regions ...string) *Normalizer {
	t.Helper()
	n, err := New(regions[0], regions[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// check compares all that a table says of a case, reason included where it
// names one.
func check(t *testing.T, n *Normalizer, c tableCase, reason string) {
	t.Helper()
	got := n.Normalize(c.raw)
	if diff := cmp.Diff([]string{c.class, c.e164}, []string{got.Class.String(), got.E164}); diff != "" {
		t.Errorf("%.60q (%s), reason %q: -want +got\n%s", c.raw, c.note, got.Reason, diff)
	}
	if reason != "" && got.Reason != reason {
		t.Errorf("%.60q (%s): reason %q, want %q", c.raw, c.note, got.Reason, reason)
	}
	if (got.Reason == "") != (got.Class == Number) {
		t.Errorf("%.60q: class %v with reason %q", c.raw, got.Class, got.Reason)
	}
	key, ok := n.Key(c.raw)
	if key != c.e164 || ok != (c.class == "number") {
		t.Errorf("%.60q: Key gives %q, %v", c.raw, key, ok)
	}
}

// The list that was agreed on with those who call this stands beside the
// repository where it was made; it is not part of it.
func TestTheAgreedList(t *testing.T) {
	file := filepath.Join("..", "..", "..", "shared", "facts", "ani-cases.tsv")
	if _, err := os.Stat(file); err != nil {
		t.Skip("no list of agreed cases beside this repository; testdata/cases.tsv covers the same ground")
	}
	n := mustNew(t, "US")
	cases, _ := readCases(t, file, 0)
	if len(cases) == 0 {
		t.Fatal("the list is empty")
	}
	for _, c := range cases {
		check(t, n, c, "")
	}
}
