// Package privacytest holds what a program wrote against the people it knows.
// It is imported by tests alone.
//
// A package of tests has one [Watch]. Its tests tell the watch who there is
// (numbers, names, addresses, subjects, what was said in comments) and have
// loggers write to its sinks; once all of them have run, every line is searched
// for every person, and the run fails where one is found: a log, a metric and an
// error may say what happened, and to nobody.
//
// The search is by tokens and sets, so that its cost is that of reading what was
// written, however many people there are: see search.go. How people are kept is
// in census.go.
package privacytest

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"

	"aniproxy/internal/caller"
)

// Watch knows people and what was written. Safe for concurrent use.
type Watch struct {
	mu     sync.Mutex
	census *census
	sinks  []*Sink
	// fuzzing is set where what is written has no end: then only the last of
	// each sink is kept, and what Keep is given is not.
	fuzzing bool
}

// whileFuzzing is how much is kept of a sink then, in bytes.
const whileFuzzing = 1 << 20

// New makes a Watch that knows nobody.
func New() *Watch { return &Watch{census: newCensus()} }

// Person tells of somebody. What is empty is not known of them; a phone may be
// in any spelling, and one that is no number is passed over.
func (w *Watch) Person(name, email string, phones ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.census.person(name, email, phones)
}

// Texts tells of what somebody wrote: subjects, bodies of comments. One of fewer
// than three words and fewer than fifteen characters could be anybody's words,
// and is passed over.
func (w *Watch) Texts(texts ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, text := range texts {
		w.census.text(text)
	}
}

// Sink is a writer whose every byte is kept until the end of the run. Safe for
// concurrent use.
type Sink struct {
	source string
	most   int // 0 is no bound
	mu     sync.Mutex
	b      []byte
}

// Sink makes a place to write to. The source is what a finding is told with:
// the test's name and what wrote.
func (w *Watch) Sink(source string) *Sink {
	s := &Sink{source: source}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fuzzing {
		s.most = whileFuzzing
	}
	w.sinks = append(w.sinks, s)
	return s
}

// Logger is a logger whose every line, of whatever level, is kept.
func (w *Watch) Logger(source string) *slog.Logger {
	return slog.New(slog.NewTextHandler(w.Sink(source), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Batch tells of everybody in what a mirror takes in.
func (w *Watch) Batch(b *caller.Batch) {
	for i := range b.Users {
		u := &b.Users[i]
		phones := []string{u.User.Phone, u.Number}
		if u.Identities != nil {
			phones = append(append(phones, u.Identities.Phones...), u.Identities.Numbers...)
		}
		w.Person(u.User.Name, u.User.Email, phones...)
	}
	for i := range b.Tickets {
		w.Texts(b.Tickets[i].Ticket.Subject)
	}
}

// Keep notes what was written elsewhere.
func (w *Watch) Keep(source, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if text != "" && !w.fuzzing {
		w.sinks = append(w.sinks, &Sink{source: source, b: []byte(text)})
	}
}

// Write implements io.Writer.
func (s *Sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b = append(s.b, p...)
	if s.most > 0 && len(s.b) > s.most {
		s.b = append(s.b[:0], s.b[len(s.b)-s.most/2:]...)
	}
	return len(p), nil
}

// String is all that was written by now.
func (s *Sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.b)
}

// Size tells how much is known and kept: numbers in all their forms, and bytes.
func (w *Watch) Size() (numbers, written int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.sinks {
		s.mu.Lock()
		written += len(s.b)
		s.mu.Unlock()
	}
	return len(w.census.numbers), written
}

// Findings searches all that was written. Equal lines of one source are told
// once.
func (w *Watch) Findings() []Finding {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []Finding
	clean := map[string]bool{}
	for _, s := range w.sinks {
		s.mu.Lock()
		all = append(all, w.census.search(s.source, s.b, clean)...)
		s.mu.Unlock()
	}
	return all
}

// Runner is a package's tests: *testing.M, or one around it.
type Runner interface{ Run() int }

// Around runs the tests and searches what they wrote. A run that went well and
// in which somebody is found has failed.
func (w *Watch) Around(m Runner) Runner { return &around{Runner: m, watch: w, out: os.Stderr} }

type around struct {
	Runner
	watch *Watch
	out   io.Writer
}

// findingsShown is enough to see what it is; one leak is often on every line.
const findingsShown = 30

func (a *around) Run() int {
	if !flag.Parsed() {
		flag.Parse()
	}
	if f := flag.Lookup("test.fuzz"); f != nil && f.Value.String() != "" {
		a.watch.fuzzing = true
	}
	code := a.Runner.Run()
	found := a.watch.Findings()
	if len(found) == 0 {
		return code
	}
	fmt.Fprintf(a.out, "FAIL: what the tests had the program write tells of people, in %d places:\n", len(found))
	for i, f := range found {
		if i == findingsShown {
			fmt.Fprintf(a.out, "  and %d more\n", len(found)-i)
			break
		}
		fmt.Fprintf(a.out, "  %s\n", f)
	}
	return max(code, 1)
}

// Finding is somebody in a line.
type Finding struct {
	Source string // as given to Sink
	Line   int    // from 1
	Kinds  string // "number", "name", "e-mail", "text", several with commas between
	Masked string // the line, with what was found taken out
}

// String tells it without telling whom.
func (f Finding) String() string {
	return fmt.Sprintf("%s, line %d: %s in %s", f.Source, f.Line, f.Kinds, strings.TrimSpace(f.Masked))
}
