package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// maxLine bounds a line, in bytes with its end: one of ours has some hundreds.
// What is longer was not written here.
const maxLine = 64 << 10

// ending is how a log ends, which is what its next record goes on from.
type ending struct {
	seq  uint64 // of the last record
	prev string // its digest
	torn bool   // the file ends within a line
}

// append makes the text that puts a record at the end, and the ending that the
// log has then. A line that was torn is ended first, so that the new one is
// whole.
func (e ending) append(r Record, now time.Time) (text []byte, after ending, err error) {
	r.Seq, r.Prev = e.seq+1, e.prev
	r.Time = now.UTC().Format("2006-01-02T15:04:05.000Z")
	line, err := json.Marshal(&r)
	if err != nil {
		return nil, e, err
	}
	if len(line) >= maxLine {
		return nil, e, fmt.Errorf("a record of %d bytes is too long", len(line))
	}
	if e.torn {
		text = append(text, '\n')
	}
	return append(append(text, line...), '\n'), ending{seq: r.Seq, prev: digest(line)}, nil
}

// readEnding reads how a file of that many bytes ends. One without a record
// goes on from before, the ending of the file in whose place it came.
//
// What a crash has torn is no record, and is passed over, as [Verify] does; one
// that lacks nothing but its line's end is one.
func readEnding(file io.ReaderAt, size int64, before ending) (ending, error) {
	from := max(0, size-4*maxLine)
	tail := make([]byte, size-from)
	if _, err := file.ReadAt(tail, from); err != nil && !errors.Is(err, io.EOF) {
		return ending{}, err
	}
	before.torn = len(tail) > 0 && tail[len(tail)-1] != '\n'
	if from > 0 { // that is within a line, or at the beginning of one by chance
		_, tail, _ = bytes.Cut(tail, []byte{'\n'})
	}
	for len(tail) > 0 {
		tail = bytes.TrimSuffix(tail, []byte{'\n'})
		begin := bytes.LastIndexByte(tail, '\n') + 1
		if r, ok := read(tail[begin:]); ok {
			before.seq, before.prev = r.Seq, digest(tail[begin:])
			break
		}
		tail = tail[:begin]
	}
	return before, nil
}

// torn tells whether a file of that many bytes ends within a line.
func torn(file io.ReaderAt, size int64) (bool, error) {
	if size == 0 {
		return false, nil
	}
	var last [1]byte
	_, err := file.ReadAt(last[:], size-1)
	return last[0] != '\n', err
}

// read reads a line without its end; ok is false for what is no record.
func read(line []byte) (r Record, ok bool) {
	err := json.Unmarshal(line, &r)
	return r, err == nil && r.Seq > 0 && r.Seq < math.MaxInt64 && r.Event != "" && r.Time != ""
}

// digest is the SHA-256 of a line without its end, as hex.
func digest(line []byte) string {
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:])
}
