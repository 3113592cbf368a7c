//go:build linux

package audit

import (
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestWhatIsNoFileIsNoLog: what is written to a device is nowhere.
func TestWhatIsNoFileIsNoLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	if err := os.Symlink(os.DevNull, path); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, clock); err == nil {
		t.Error("a device was opened as a log")
	}
}

// TestARecordThatOnlyPartlyFits: a disk that is full takes a part of the line.
// The limit of a file's length stands in for it. It is the whole process's, so
// the file is longer than any other that is written meanwhile.
func TestARecordThatOnlyPartlyFits(t *testing.T) {
	signal.Ignore(syscall.SIGXFSZ)
	path := filepath.Join(t.TempDir(), "audit.log")
	l := open(t, path)
	appendTo(t, path, strings.Repeat("# "+strings.Repeat("-", 1021)+"\n", 1024))
	record(t, l, "a")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	var usual syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &usual); err != nil {
		t.Fatal(err)
	}
	few := usual
	few.Cur = uint64(info.Size()) + 40
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &few); err != nil {
		t.Fatal(err)
	}
	first := l.Record(Record{Event: Intent, Action: "erase", Client: "ops", Target: "lost"})
	second := l.Record(Record{Event: Intent, Action: "erase", Client: "ops", Target: "lost"})
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &usual); err != nil {
		t.Fatal(err)
	}
	if first == nil || second == nil {
		t.Errorf("records were taken that had no room: %v, %v", first, second)
	}
	if after, err := os.Stat(path); err != nil || after.Size() != info.Size()+40 {
		t.Errorf("the file has %d bytes after %d, %v: nothing of the line was written", after.Size(), info.Size(), err)
	}
	record(t, l, "b") // there is room again
	if diff := cmp.Diff([]string{"a", "b"}, targets(t, path)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}
