package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var entryOpts = cmp.AllowUnexported(journalEntry{})

func TestJournalIsReadLineByLine(t *testing.T) {
	const seven = 1777896000 // 2026-05-04T12:00:00Z
	first, second := journalEntry{id: 7, at: seven}, journalEntry{id: 7, lifted: true, at: seven + 60}
	const one, two = "erase 7 2026-05-04T12:00:00Z\n", "lift 7 2026-05-04T12:01:00Z\n"
	for name, c := range map[string]struct {
		text string
		want []journalEntry
		torn int // bytes at the end that do not count
		bad  int
	}{
		"nothing":                               {},
		"two lines":                             {text: one + two, want: []journalEntry{first, second}},
		"a line of another system":              {text: "erase 7 2026-05-04T14:00:00+02:00\r\n", want: []journalEntry{first}},
		"an empty line":                         {text: one + "\n" + two, want: []journalEntry{first, second}},
		"an editor took the last line's end":    {text: one + two[:len(two)-1], want: []journalEntry{first, second}},
		"a power cut within the last line":      {text: one + "lift 7 2026-05", want: []journalEntry{first}, torn: 14},
		"a power cut left zeros":                {text: one + "\x00\x00\x00", want: []journalEntry{first}, torn: 3},
		"a damaged line before others":          {text: "erase x 2026-05-04T12:00:00Z\n" + two, bad: 1},
		"a whole line that says something else": {text: one + "forget 7 2026-05-04T12:00:00Z\n", want: []journalEntry{first}, bad: 2},
		"a line without a time":                 {text: "erase 7\n", bad: 1},
		"no id":                                 {text: "erase 0 2026-05-04T12:00:00Z\n", bad: 1},
		"more than is asked for":                {text: "erase 7 2026-05-04T12:00:00Z please\n", bad: 1},
	} {
		got, whole, bad := parseJournal([]byte(c.text))
		if d := cmp.Diff(c.want, got, entryOpts); d != "" || bad != c.bad {
			t.Errorf("%s: bad line %d, want %d; entries (-want +got):\n%s", name, bad, c.bad, d)
		}
		if bad == 0 && whole != len(c.text)-c.torn {
			t.Errorf("%s: %d bytes count, want %d", name, whole, len(c.text)-c.torn)
		}
	}
}

// FuzzJournal holds the parser to: it never panics; what it reads it writes so
// that it reads the same; and a journal cut anywhere is a shorter journal.
func FuzzJournal(f *testing.F) {
	f.Add([]byte("erase 7 2026-05-04T12:00:00Z\nlift 7 2026-05-04T12:01:00Z\n"), 40)
	f.Add([]byte("erase 9223372036854775807 9999-12-31T23:59:59Z\n\n \nlift 1 1970-01-01T00:00:00+14:00"), 3)
	f.Add([]byte("erase 7 2026-05-04T12:00:00Z\n\x00\x00"), 30)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		entries, whole, bad := parseJournal(b)
		if whole < 0 || whole > len(b) || bad < 0 || bad > strings.Count(string(b), "\n")+1 {
			t.Fatalf("%d of %d bytes, line %d", whole, len(b), bad)
		}
		var text []byte
		for _, e := range entries {
			if e.id <= 0 {
				t.Fatalf("id %d", e.id)
			}
			text = appendEntry(text, e)
		}
		again, all, bad := parseJournal(text)
		if d := cmp.Diff(entries, again, entryOpts); d != "" || all != len(text) || bad != 0 {
			t.Fatalf("written and read again: %d of %d bytes, line %d (-want +got):\n%s", all, len(text), bad, d)
		}
		if cut < 0 || cut > len(text) {
			return
		}
		part, _, bad := parseJournal(text[:cut])
		if bad != 0 || len(part) > len(entries) || !cmp.Equal(part, entries[:len(part):len(part)], entryOpts) && len(part) > 0 {
			t.Fatalf("cut after %d bytes: line %d, %v", cut, bad, part)
		}
		if missing := len(entries) - len(part); missing > strings.Count(string(text[cut:]), "\n") {
			t.Fatalf("cut after %d bytes: %d entries are missing", cut, missing)
		}
	})
}

func TestATornJournalIsMendedByOpen(t *testing.T) {
	s := open(t)
	erase(t, s, 1)
	s = reopen(t, s, func(path string) {
		b, err := os.ReadFile(journalPath(path))
		if err != nil {
			t.Fatal(err)
		}
		put(t, journalPath(path), append(b, "erase 2 20"...))
	})
	erase(t, s, 3)
	b, err := os.ReadFile(journalPath(s.db.Path()))
	equal(t, "the journal", string(b), "erase 1 2026-05-04T12:00:00Z\nerase 3 2026-05-04T12:00:00Z\n")
	equal(t, "error", err, error(nil))
}

func TestADamagedJournalIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	put(t, journalPath(path), []byte("erase 1 2026-05-04T12:00:00Z\nerase two 2026-05-04T12:00:00Z\n"))
	_, err := Open(options(path))
	var damaged *JournalError
	if !errors.As(err, &damaged) || damaged.Line != 2 || !strings.Contains(err.Error(), "line 2 of "+journalPath(path)) {
		t.Errorf("error %v, want one that names line 2", err)
	}
}

func TestALongJournalIsMadeShort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.erased")
	j, err := openJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(150) {
		at := 1777896000 + 2*i
		if err := j.add(journalEntry{id: 1, at: at}, journalEntry{id: 1, lifted: true, at: at + 1}, journalEntry{id: 2, at: at}); err != nil {
			t.Fatal(err)
		}
	}
	if j, err = openJournal(path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	equal(t, "the journal", string(b), "erase 2 2026-05-04T12:00:00Z\nlift 1 2026-05-04T12:04:59Z\n")
	equal(t, "error", err, error(nil))
	if _, ok := j.erased(1); ok {
		t.Error("1 is erased")
	}
	if at, ok := j.erased(2); !ok || at != 1777896000 {
		t.Errorf("2 is erased %v, at %d; want the first time", ok, at)
	}
}

func TestWhatCouldNotBeWrittenIsNotInEffect(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.erased")
	j, err := openJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := j.add(journalEntry{id: 2}); err == nil {
		t.Error("a folder took an entry")
	}
	if _, ok := j.erased(2); ok {
		t.Error("what was not written is in effect")
	}
}
