package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// LineError is the first line of a log that does not fit those before it.
type LineError struct {
	Line    int // counted from 1
	Problem string
}

func (e *LineError) Error() string { return fmt.Sprintf("audit log: line %d %s", e.Line, e.Problem) }

// Verify reads a log, or several one behind the other, the oldest first, and holds each record against the one before it: the
// chain, and the numbers, which go up by one. The first may go on from an
// earlier file. A line that is no record is what a crash has torn: it counts
// for nothing, and nothing can be hidden in one, for the record that it was is
// missing then. The error is a [*LineError] or the reader's; records is how
// many are sound up to there.
func Verify(log io.Reader) (records int, err error) {
	lines := bufio.NewScanner(log)
	lines.Buffer(make([]byte, 0, 4096), maxLine)
	lines.Split(asWritten)
	var before Record
	var prev string
	number := 0
	for lines.Scan() {
		number++
		r, ok := read(lines.Bytes())
		switch {
		case !ok:
			continue
		case records == 0:
		case r.Seq != before.Seq+1:
			return records, &LineError{Line: number, Problem: fmt.Sprintf("has the number %d after %d", r.Seq, before.Seq)}
		case r.Prev != prev:
			return records, &LineError{Line: number, Problem: "does not go on from the record before it: one of the two was changed"}
		}
		before, prev = r, digest(lines.Bytes())
		records++
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return records, &LineError{Line: number + 1, Problem: fmt.Sprintf("is longer than %d bytes", maxLine)}
	}
	return records, lines.Err()
}

// asWritten cuts a log into lines. Unlike [bufio.ScanLines] it takes nothing
// off a line but its "\n": a "\r" was put there by somebody.
func asWritten(text []byte, last bool) (advance int, line []byte, err error) {
	if end := bytes.IndexByte(text, '\n'); end >= 0 {
		return end + 1, text[:end], nil
	}
	if last && len(text) > 0 {
		return len(text), text, nil
	}
	return 0, nil, nil
}
