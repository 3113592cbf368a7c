package main

import (
	"bytes"
	stdlog "log"
	"log/slog"
)

// logLibraries has what libraries write to the standard library's own log in
// ours. Of theirs nobody knows what it quotes: net/http's client writes down
// what it found on a connection behind an answer, which may be a part of
// Zendesk's answer. So the beginnings that are known are kept, and of anything
// else that it was there.
func logLibraries(log *slog.Logger) {
	stdlog.SetFlags(0)
	stdlog.SetOutput(&libraryLines{log: log})
}

type libraryLines struct{ log *slog.Logger }

// Write takes one line.
func (l *libraryLines) Write(line []byte) (int, error) {
	said := "something that is not known and may tell of somebody"
	for _, known := range []string{"Unsolicited response received on idle HTTP channel"} {
		if bytes.HasPrefix(line, []byte(known)) {
			said = known
		}
	}
	l.log.Warn("a library logs", slog.String("line", said), slog.Int("bytes", len(line)))
	return len(line), nil
}
