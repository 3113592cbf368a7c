package audit

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func clock() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.UTC) }

func open(t *testing.T, path string) *Log {
	t.Helper()
	l, err := Open(path, clock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func record(t *testing.T, l *Log, target string) {
	t.Helper()
	if err := l.Record(Record{Event: Intent, Action: "erase", Client: "ops", Target: target}); err != nil {
		t.Fatal(err)
	}
}

// targets are what the records of a file act on, after the file was verified.
func targets(t *testing.T, path string) (all []string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(bytes.NewReader(text)); err != nil {
		t.Errorf("%v in\n%s", err, text)
	}
	for line := range strings.Lines(string(text)) {
		if r, ok := read([]byte(line)); ok {
			all = append(all, r.Target)
		}
	}
	return all
}

func TestARecordIsALine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := open(t, path)
	for _, r := range []Record{
		{Event: Intent, Action: "erase", Client: "ops", Address: "192.0.2.1", RequestID: "r-1", Target: "user 5"},
		{Event: Outcome, Action: "erase", Client: "ops", RequestID: "r-1", Target: "user 5", Result: "done", Status: 200},
	} {
		if err := l.Record(r); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first := `{"seq":1,"time":"2026-03-04T05:06:07.089Z","event":"intent","action":"erase","client":"ops","address":"192.0.2.1","request_id":"r-1","target":"user 5","prev":""}`
	second := `{"seq":2,"time":"2026-03-04T05:06:07.089Z","event":"outcome","action":"erase","client":"ops","request_id":"r-1","target":"user 5","result":"done","status":200,"prev":"` + digest([]byte(first)) + `"}`
	if diff := cmp.Diff(first+"\n"+second+"\n", string(text)); diff != "" {
		t.Errorf("the file (-want +got):\n%s", diff)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, %v", info.Mode(), err)
	}
}

func TestTheChainGoesOn(t *testing.T) {
	for name, between := range map[string]func(t *testing.T, path string){
		"after a restart":     func(*testing.T, string) {},
		"after a torn record": func(t *testing.T, path string) { appendTo(t, path, `{"seq":3,"time":"20`) },
		"after two that were torn, of which one has an end": func(t *testing.T, path string) {
			appendTo(t, path, "{\"seq\":3,\"ti\n{\"seq\"")
		},
		"after one that lacked its line's end alone": func(t *testing.T, path string) {
			text, err := os.ReadFile(path)
			if err == nil {
				err = os.Truncate(path, int64(len(text)-1))
			}
			if err != nil {
				t.Fatal(err)
			}
		},
		"after a tear longer than is read back at a time": func(t *testing.T, path string) {
			appendTo(t, path, strings.Repeat(strings.Repeat("\x00", maxLine-1)+"\n", 3)+"\x00")
		},
		"after somebody's own line": func(t *testing.T, path string) { appendTo(t, path, "# looked at by hand\n") },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.log")
			l := open(t, path)
			record(t, l, "a")
			record(t, l, "b")
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			between(t, path)
			l = open(t, path)
			record(t, l, "c")
			between(t, path) // while it is open too
			record(t, l, "d")
			if diff := cmp.Diff([]string{"a", "b", "c", "d"}, targets(t, path)); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
			if l.end.seq != 4 {
				t.Errorf("the last record has the number %d, want 4", l.end.seq)
			}
		})
	}
}

func slurp(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(text)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestAFileThatWasMovedAwayIsFollowedByAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := open(t, path)
	record(t, l, "a")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	record(t, l, "b")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	record(t, l, "c")
	if diff := cmp.Diff([][]string{{"a"}, {"c"}}, [][]string{targets(t, path+".1"), targets(t, path)}); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if err := os.Rename(path, path+".2"); err != nil {
		t.Fatal(err)
	}
	record(t, l, "d")
	both := bytes.Join([][]byte{slurp(t, path+".2"), slurp(t, path)}, nil)
	if n, err := Verify(bytes.NewReader(both)); n != 2 || err != nil {
		t.Errorf("one behind the other they have %d records, %v", n, err)
	}
	both = bytes.Join([][]byte{slurp(t, path+".1"), slurp(t, path+".2")}, nil)
	if n, err := Verify(bytes.NewReader(both)); n != 1 || err == nil {
		t.Errorf("that one of three is gone is not found: %d records, %v", n, err)
	}
	text := slurp(t, path)
	if r, ok := read(bytes.TrimSpace(text)); !ok || r.Seq != 4 || r.Prev == "" {
		t.Errorf("the chain does not go on in the new file: %s", text)
	}
}

func TestAFileThatOthersMayReadIsClosedToThem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	record(t, open(t, path), "a")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, %v", info.Mode(), err)
	}
}

func TestWhatCannotBeRecordedIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := open(t, path)
	record(t, l, "a")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := l.Record(Record{Event: Intent, Action: "erase", Client: "ops", Target: "lost"}); err == nil {
			t.Fatal("a record was taken that is nowhere")
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	record(t, l, "b") // mended, unaided
	if diff := cmp.Diff([]string{"b"}, targets(t, path)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if err := l.Record(Record{Event: Intent, Target: strings.Repeat("x", maxLine)}); err == nil {
		t.Error("a record was taken that Verify will not read")
	}
	record(t, l, "c")
	if diff := cmp.Diff([]string{"b", "c"}, targets(t, path)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	if err := l.Record(Record{Event: Intent}); err == nil {
		t.Error("a record was taken and its folder is gone")
	}
	if _, err := Open(t.TempDir(), clock); err == nil {
		t.Error("a folder was opened as a log")
	}
}

// TestARecordIsOnTheDiskBeforeItIsTaken: it is synced, and so is the name of a
// file that was made for it. Where the disk does not say so it is not taken,
// though it may stand in the file: the chain goes on from what stands there.
func TestARecordIsOnTheDiskBeforeItIsTaken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	var synced []string
	var fault error
	l, err := openWith(path, clock, func(f *os.File) error {
		text, _ := os.ReadFile(f.Name()) // a folder has none
		synced = append(synced, fmt.Sprintf("%s with %d lines", filepath.Base(f.Name()), bytes.Count(text, []byte("\n"))))
		return errors.Join(fault, f.Sync())
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	folder := filepath.Base(filepath.Dir(path)) + " with 0 lines"
	record(t, l, "a")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	record(t, l, "b")
	want := []string{folder, "audit.log with 1 lines", folder, "audit.log with 1 lines"}
	if diff := cmp.Diff(want, synced); diff != "" {
		t.Errorf("synced (-want +got):\n%s", diff)
	}
	fault = errors.New("the disk is gone")
	for range 2 {
		if err := l.Record(Record{Event: Intent, Action: "erase", Client: "ops", Target: "not sure"}); !errors.Is(err, fault) {
			t.Errorf("a record that may not be on the disk: %v", err)
		}
	}
	fault = nil
	record(t, l, "c")
	if diff := cmp.Diff([]string{"b", "not sure", "not sure", "c"}, targets(t, path)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func TestVerifyFindsWhatWasDone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := open(t, path)
	for i := range 5 {
		record(t, l, fmt.Sprintf("user %d", i+1))
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	for name, tt := range map[string]struct {
		change func() string
		line   int
	}{
		"a record put in by who knows the chain": {func() string {
			more, _, err := ending{seq: 7, prev: digest([]byte(strings.TrimSuffix(lines[4], "\n")))}.append(Record{Event: Intent}, clock())
			if err != nil {
				t.Fatal(err)
			}
			return string(text) + string(more)
		}, 6},
		"all lines' ends changed": {func() string { return strings.ReplaceAll(string(text), "\n", "\r\n") }, 2},
		"the log cut and another begun": {func() string {
			return lines[0] + lines[1] + strings.Replace(lines[0], "user 1", "user 9", 1)
		}, 3},
		"a record changed":     {func() string { return strings.Replace(string(text), "user 2", "user 9", 1) }, 3},
		"a record taken out":   {func() string { return lines[0] + lines[2] + lines[3] + lines[4] }, 2},
		"a record put in":      {func() string { return lines[0] + lines[1] + lines[1] + lines[2] }, 3},
		"two exchanged":        {func() string { return lines[0] + lines[2] + lines[1] + lines[3] }, 2},
		"a record made a mess": {func() string { return lines[0] + "?" + lines[1] + lines[2] }, 3},
		"a line without end":   {func() string { return lines[0] + strings.Repeat("x", maxLine+1) }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Verify(strings.NewReader(tt.change()))
			var at *LineError
			if !errors.As(err, &at) || at.Line != tt.line {
				t.Errorf("Verify says %v, want line %d", err, tt.line)
			}
		})
	}
	if n, err := Verify(bytes.NewReader(text)); n != 5 || err != nil {
		t.Errorf("the whole has %d records, %v", n, err)
	}
}

func TestRecordsOfManyAreAllThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := open(t, path)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 10 {
				if err := l.Record(Record{Event: Intent, Action: "purge", Client: fmt.Sprint(i), Target: fmt.Sprint(j)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(targets(t, path)); n != 80 {
		t.Errorf("%d records, want 80", n)
	}
}

// FuzzVerify: whatever a file holds, it is read without a panic; the log goes on
// from it, leaves what was there, and its own record is whole. What was sound
// before is sound with it.
func FuzzVerify(f *testing.F) {
	one, after, err := ending{}.append(Record{Event: Intent, Action: "erase", Client: "ops", Target: "user 5"}, clock())
	if err != nil {
		f.Fatal(err)
	}
	two, _, err := after.append(Record{Event: Outcome, Action: "erase", Client: "ops", Result: "done"}, clock())
	if err != nil {
		f.Fatal(err)
	}
	both := append(bytes.Clone(one), two...)
	f.Add(both)
	f.Add(both[:len(both)-1])
	f.Add(both[:len(both)-9])
	f.Add(bytes.ReplaceAll(both, []byte("\n"), []byte("\r\n")))
	f.Add(bytes.Replace(both, []byte("user 5"), []byte("user 6"), 1))
	f.Add([]byte("torn"))
	f.Add([]byte("{\"seq\":18446744073709551615,\"time\":\"t\",\"event\":\"x\"}\n\n\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		before, verdict := Verify(bytes.NewReader(text))
		end, err := readEnding(bytes.NewReader(text), int64(len(text)), ending{})
		if err != nil {
			t.Fatal(err)
		}
		more, _, err := end.append(Record{Event: Note, Action: "start", Client: "aniproxy"}, clock())
		if err != nil {
			t.Fatal(err)
		}
		whole := append(bytes.Clone(text), more...)
		last := whole[bytes.LastIndexByte(whole[:len(whole)-1], '\n')+1:]
		if r, ok := read(bytes.TrimSuffix(last, []byte("\n"))); !ok || r.Action != "start" {
			t.Fatalf("the last line is %q", last)
		}
		switch after, err := Verify(bytes.NewReader(whole)); {
		case verdict == nil && (err != nil || after != before+1):
			t.Errorf("%d records before and %d after: %v", before, after, err)
		case verdict != nil && err == nil:
			t.Errorf("what did not fit (%v) fits with one record more", verdict)
		}
	})
}
