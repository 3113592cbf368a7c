package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the messages into testdata/bad, to be read before they are believed")

// wantMark begins the lines of a bad file that give its messages.
const wantMark = "# want: "

// TestBadFiles loads every file of testdata/bad. Its first lines are all the
// messages it must give, word for word.
func TestBadFiles(t *testing.T) {
	t.Chdir(filepath.Join("testdata", "bad"))
	files, err := filepath.Glob("*.toml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 30 {
		t.Fatalf("only %d bad files were found", len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(file, ".toml"), func(t *testing.T) {
			if *update {
				writeWants(t, file)
			}
			doc, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want, _ := splitWants(string(doc))
			if len(want) == 0 {
				t.Fatalf("%s says nothing of what it wants", file)
			}
			if diff := cmp.Diff(want, faultsOf(t, file)); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
		})
	}
}

func faultsOf(t *testing.T, file string) []string {
	t.Helper()
	_, err := Load(file, nil, true)
	var faults *Faults
	if !errors.As(err, &faults) {
		t.Fatalf("%s loads without a fault: %v", file, err)
	}
	return strings.Split(faults.Error(), "\n")
}

func splitWants(doc string) (want []string, rest string) {
	for strings.HasPrefix(doc, wantMark) {
		line, after, _ := strings.Cut(doc, "\n")
		want, doc = append(want, strings.TrimPrefix(line, wantMark)), after
	}
	return want, doc
}

// writeWants puts the messages of a file at its top, twice, since the lines
// they take move the lines they name.
func writeWants(t *testing.T, file string) {
	t.Helper()
	for range 2 {
		doc, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, rest := splitWants(string(doc))
		text := wantMark + strings.Join(faultsOf(t, file), "\n"+wantMark) + "\n" + rest
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
