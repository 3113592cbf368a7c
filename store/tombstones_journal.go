package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The journal of erasures, a small file beside the mirror's. A line says what
// was done, to whom and when:
//
//	erase 123 2026-05-04T12:00:00Z
//	lift 123 2026-05-11T08:30:00Z
//
// The mirror's file may be replaced by a backup from before an erasure, or be
// thrown away and filled anew: the journal stays where it is, and Open erases
// again. It holds ids and times and nothing else, in text, so that it can be
// read, and kept, by whoever looks after the machine.

// journalPath is beside the store's file: data/aniproxy.erased for
// data/aniproxy.db.
func journalPath(store string) string {
	const ext = ".erased"
	if had := filepath.Ext(store); had != ext {
		store = strings.TrimSuffix(store, had)
	}
	return store + ext
}

// journalEntry is one line: somebody was erased, or their tombstone lifted.
type journalEntry struct {
	id     int64
	lifted bool
	at     int64 // Unix seconds
}

// JournalError says that the list of the people who were erased cannot be
// read. Without it somebody might come back, so that the store is not opened.
type JournalError struct {
	Path string
	Line int // the first that cannot be read, from 1
}

func (e *JournalError) Error() string {
	return fmt.Sprintf("line %d of %s, the list of erased people, cannot be read: "+
		"it is to be \"erase ID TIME\" or \"lift ID TIME\" with a time as 2006-01-02T15:04:05Z; mend the line, or take it out", e.Line, e.Path)
}

const (
	wordErase = "erase"
	wordLift  = "lift"
)

func appendEntry(b []byte, e journalEntry) []byte {
	word := wordErase
	if e.lifted {
		word = wordLift
	}
	b = append(append(b, word...), ' ')
	b = append(strconv.AppendInt(b, e.id, 10), ' ')
	b = time.Unix(e.at, 0).UTC().AppendFormat(b, time.RFC3339)
	return append(b, '\n')
}

func parseEntry(line []byte) (e journalEntry, ok bool) {
	fields := strings.Fields(string(line))
	if len(fields) != 3 || fields[0] != wordErase && fields[0] != wordLift {
		return e, false
	}
	id, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil || id <= 0 {
		return e, false
	}
	at, err := time.Parse(time.RFC3339, fields[2])
	if err != nil || at.Unix() < 0 || at.UTC().Year() > 9999 {
		return e, false
	}
	return journalEntry{id: id, lifted: fields[0] == wordLift, at: at.Unix()}, true
}

// parseJournal reads a journal. An end without a line's end is what a power cut
// in the middle of an append has left: where it is no whole line it was not
// acknowledged to anybody, and is left out; whole is then shorter than b, and
// the number of bytes that count. Any other line that cannot be read is an
// error: bad is its number, from 1.
func parseJournal(b []byte) (entries []journalEntry, whole, bad int) {
	for n := 1; whole < len(b); n++ {
		line, _, ended := bytes.Cut(b[whole:], []byte{'\n'})
		e, ok := parseEntry(line)
		switch {
		case ok:
			entries = append(entries, e)
		case !ended:
			return entries, whole, 0
		case len(bytes.TrimSpace(line)) > 0:
			return entries, whole, n
		}
		whole += len(line)
		if ended {
			whole++
		}
	}
	return entries, whole, 0
}

// journal is the file, and what it comes to: the last entry of each person.
// It is not for use by several goroutines.
type journal struct {
	path string
	last map[int64]journalEntry
}

// openJournal reads the journal, where there is one, and writes it anew where
// it ends in a torn line or has grown far beyond one line a person.
func openJournal(path string) (*journal, error) {
	j := &journal{path: path, last: map[int64]journalEntry{}}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return j, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list of erased people: %w", err)
	}
	entries, whole, bad := parseJournal(b)
	if bad > 0 {
		return nil, &JournalError{Path: path, Line: bad}
	}
	for _, e := range entries {
		j.note(e)
	}
	const spare = 100 // lines that nobody minds
	if whole < len(b) || b[len(b)-1] != '\n' || len(entries) > 2*len(j.last)+spare {
		return j, j.rewrite()
	}
	return j, nil
}

// note takes an entry over. Somebody who is erased already stays so since the
// first time.
func (j *journal) note(e journalEntry) {
	if was, ok := j.last[e.id]; !ok || was.lifted || e.lifted {
		j.last[e.id] = e
	}
}

// erased is when somebody was erased; false where they were not, or not any
// more.
func (j *journal) erased(id int64) (at int64, ok bool) {
	e, ok := j.last[id]
	return e.at, ok && !e.lifted
}

// rewrite writes one line a person, in the place of what is there. Those of
// lifts stay too: a backup from between an erasure and its lift may come back.
func (j *journal) rewrite() error {
	all := make([]journalEntry, 0, len(j.last))
	for _, e := range j.last {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b journalEntry) int {
		if a.at != b.at {
			return int(max(min(a.at-b.at, 1), -1))
		}
		return int(max(min(a.id-b.id, 1), -1))
	})
	var b []byte
	for _, e := range all {
		b = appendEntry(b, e)
	}
	next := j.path + ".new"
	if err := writeSynced(next, os.O_CREATE|os.O_TRUNC, b); err != nil {
		return fmt.Errorf("list of erased people: %w", err)
	}
	if err := os.Rename(next, j.path); err != nil {
		return fmt.Errorf("list of erased people: %w", err)
	}
	return j.syncFolder()
}

// add appends entries and returns once they are on disk (fsynced).
func (j *journal) add(entries ...journalEntry) error {
	var b []byte
	for _, e := range entries {
		b = appendEntry(b, e)
	}
	info, err := os.Stat(j.path)
	fresh := errors.Is(err, fs.ErrNotExist)
	if err := writeSynced(j.path, os.O_CREATE|os.O_APPEND, b); err != nil {
		if !fresh && info != nil {
			// A part of a line would spoil the next one.
			err = errors.Join(err, os.Truncate(j.path, info.Size()))
		}
		return fmt.Errorf("list of erased people: %w", err)
	}
	if fresh {
		if err := j.syncFolder(); err != nil {
			return err
		}
	}
	for _, e := range entries {
		j.note(e)
	}
	return nil
}

// writeSynced writes to a file that is its owner's alone, and waits for the disk.
func writeSynced(path string, how int, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|how, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close())
}

// syncFolder puts the file's name on the disk. Windows has no such thing: NTFS
// keeps its own journal of names.
func (j *journal) syncFolder() error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(filepath.Dir(j.path))
	if err != nil {
		return fmt.Errorf("list of erased people: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("list of erased people: %w", err)
	}
	return nil
}
