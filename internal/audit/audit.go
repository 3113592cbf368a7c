// Package audit keeps the log of what admins do: one file, one JSON object a
// line, only ever appended to.
//
// # What is promised
//
// A record is on disk, fsynced, when [Log.Record] returns without an error. So
// whoever records before acting can leave undone what cannot be recorded.
//
// Each line carries the SHA-256 of the line before it, so that one that was
// changed, taken out or put in shows: [Verify] names the first that does not
// fit. That finds whoever edits the file, and not one who cuts off its end or
// its beginning, or writes all of it anew: send the lines elsewhere as they
// come where that matters.
//
// Nothing here shortens or rewrites the file. A file that was moved away, as by
// logrotate, is noticed by the next record, which begins another; the chain
// goes on from one to the other, so that Verify reads them one behind the other.
// Only where the daemon was started in between does another chain begin.
//
// # What stands in it
//
// Ids, modes, names of clients, addresses; no phone number, name or subject.
package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

// Event is which side of an action a record is.
type Event string

// The events.
const (
	Intent  Event = "intent"  // about to be done
	Outcome Event = "outcome" // done, or not: Result says
	Refused Event = "refused" // asked for by a client that may not
	Note    Event = "note"    // of the daemon itself
)

// Record is a line of the log. What is not known, or does not apply, is left
// out of the line.
type Record struct {
	Seq  uint64 `json:"seq"`  // counts up by 1 through all files; given by the Log
	Time string `json:"time"` // RFC 3339, UTC, with milliseconds; given by the Log
	// Event, Action and Client are always there.
	Event  Event  `json:"event"`
	Action string `json:"action"`
	Client string `json:"client"`
	// Address is where the request came from.
	Address   string `json:"address,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	// Target is what is acted on, in ids and modes: "user 5", "full, forced".
	Target string `json:"target,omitempty"`
	// Result is "done" or "failed", with the answer's status. Detail says what
	// came of it where that is more: the job that was started, whom an
	// explanation showed, how far an erasure got.
	Result string `json:"result,omitempty"`
	Status int    `json:"status,omitempty"`
	Detail string `json:"detail,omitempty"`
	// Suppressed is how many refusals of this client were not recorded since
	// its last one that was.
	Suppressed uint64 `json:"suppressed,omitempty"`
	// Prev is the SHA-256 of the line before this one, without its end, as
	// hex; "" for the first of all.
	Prev string `json:"prev"`
}

// Log appends records to a file. It may be used concurrently; a slow disk holds
// up those who record, and nobody else.
type Log struct {
	path  string
	clock func() time.Time
	sync  func(*os.File) error // waits for the disk

	mu   sync.Mutex
	file *os.File // nil where it could not be opened: tried anew by each record
	end  ending
}

// Open reads the end of the log at path, which is made if it is not there, for
// its owner alone. An error is the file's: no log, no daemon.
func Open(path string, clock func() time.Time) (*Log, error) {
	return openWith(path, clock, (*os.File).Sync)
}

func openWith(path string, clock func() time.Time, sync func(*os.File) error) (*Log, error) {
	l := &Log{path: path, clock: clock, sync: sync}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	return l, nil
}

// Record writes a record down; its Seq, Time and Prev are given here. Where the
// error is not nil it may stand in the file in part, or in whole; nothing may
// be done on the strength of it.
func (l *Log) Record(r Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.current(); err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	text, after, err := l.end.append(r, l.clock())
	if err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	if _, err = l.file.Write(text); err == nil {
		err = l.sync(l.file)
	}
	if err != nil {
		l.drop() // how much of the line is there is not known: the file is read again
		return fmt.Errorf("audit log: %w", err)
	}
	l.end = after
	return nil
}

// Close closes the file. A record after it opens it again.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// drop gives up the open file: each record in it that was taken is synced.
func (l *Log) drop() {
	l.file.Close() //nolint:errcheck // see above
	l.file = nil
}

// current sees to it that the open file is the one at the path, and that a line
// which somebody else left without its end is noticed. What else somebody did
// to the file is left as it is, for Verify to find: the chain goes on from what
// was recorded here.
func (l *Log) current() error {
	if l.file == nil {
		return l.open()
	}
	here, err := l.file.Stat()
	if err == nil {
		var there fs.FileInfo
		if there, err = os.Stat(l.path); err == nil && os.SameFile(here, there) {
			if l.end.torn, err = torn(l.file, here.Size()); err == nil {
				return nil
			}
		}
	}
	l.drop()
	return l.open()
}

// open opens the file and takes up the chain where its last record leaves it.
func (l *Log) open() error {
	file, err := os.OpenFile(l.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	end, err := l.begin(file)
	if err != nil {
		file.Close() //nolint:errcheck // nothing was written
		return err
	}
	l.file, l.end = file, end
	return nil
}

func (l *Log) begin(file *os.File) (ending, error) {
	info, err := file.Stat()
	switch {
	case err != nil:
		return ending{}, err
	case !info.Mode().IsRegular():
		return ending{}, errors.New("it is no regular file")
	case info.Size() == 0: // it may have been made just now
		err = l.syncFolder()
	}
	if err == nil && runtime.GOOS != "windows" { // whoever made it, such as logrotate
		err = file.Chmod(0o600)
	}
	if err != nil {
		return ending{}, err
	}
	return readEnding(file, info.Size(), l.end)
}

// syncFolder puts the file's name on the disk. Windows has no such thing: NTFS
// keeps its own journal of names.
func (l *Log) syncFolder() error {
	if runtime.GOOS == "windows" {
		return nil
	}
	folder, err := os.Open(filepath.Dir(l.path))
	if err != nil {
		return err
	}
	return errors.Join(l.sync(folder), folder.Close())
}
