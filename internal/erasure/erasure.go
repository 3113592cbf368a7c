// Package erasure takes a person out of everything that is kept here: the
// mirror on disk, memory, and what waits or waited to be written to Zendesk.
//
// An erasure is five steps, each of which may be taken again:
//
//   - tombstone: the person's id is noted, in the mirror and in a journal
//     beside it, so that nothing brings them back: no late page, no webhook, no
//     live answer in flight, no restored backup. Mirror.Erase does it, before
//     anything else.
//   - mirror: their record, numbers and tickets go, in the same call.
//   - memory: everything that lookups have kept is forgotten.
//   - outbox: comments on their tickets and tickets for them go, delivered or
//     not, with what was told of them.
//   - overwrite: what was deleted is still readable in the free pages of the
//     two files until those are overwritten, which is a compaction in place.
//
// The first four are done when Erase returns without an error. Asked again
// after a fault it goes on where the fault stopped it. Overwriting belongs to
// Run, since it may have to wait for a backup that is being read: Erase waits
// for it for a few seconds, and says "pending" where it takes longer. What is to
// be overwritten is marked in the files, so that Run takes up what a kill has
// left. And as it begins it takes everybody who is erased out of the outbox once
// more: a kill may have come between the mirror and the outbox, and the outbox's
// file may be a backup.
//
// What an erasure cannot reach: Zendesk itself, backups that were made before
// (restored beside the journal they are erased again), copies of a file's
// blocks that a disk or a file system keeps for itself (snapshots, the wear
// levelling of flash), and swap.
//
// A Lift takes the tombstone away and brings nobody back by itself: the person
// returns with their next change at Zendesk, a webhook, a lookup that asks
// live, the next full run, or "resync --user". Their tickets return the same
// ways; comments that were taken out of the outbox do not return.
package erasure

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/status"
)

// Mirror is the mirror on disk.
type Mirror interface {
	// Erase sets the tombstone and takes the person and their tickets out. Asked
	// again it names the same tickets, as far as it still knows them.
	Erase(ctx context.Context, userID int64) (caller.Erasure, error)
	// Lift takes the tombstone away; was is false where there was none.
	Lift(ctx context.Context, userID int64) (was bool, err error)
	// Erasures lists everybody who is erased, with the tickets of theirs that it
	// still knows.
	Erasures(ctx context.Context) ([]caller.Erasure, error)
	Overwriter
}

// Memory is what lookups have kept.
type Memory interface {
	// Purge forgets all of it.
	Purge()
}

// Outbox is what waits to be written to Zendesk, and what was written.
type Outbox interface {
	// Erase takes out what is for the tickets or the person, with what was told
	// of them, and returns how many records went.
	Erase(ctx context.Context, userID int64, ticketIDs []int64) (records int, err error)
	// EraseAgain is Erase for many people at once.
	EraseAgain(ctx context.Context, people []caller.Erasure) (records int, err error)
	Overwriter
}

// Overwriter is a file whose free pages can be overwritten.
type Overwriter interface {
	// Overwrite overwrites the free pages and returns how many had something on
	// them. Its error says what it waited for, where ctx ended first.
	Overwrite(ctx context.Context) (pages int, err error)
	// OverwriteDue tells whether something was erased since the last time.
	OverwriteDue() bool
}

// Limit is how long the overwriting may take that an answer tells of as
// pending, as far as no backup is being read meanwhile: the time by which
// [status.Erasure].Until promises it.
const Limit = time.Minute

const (
	// stepsMost bounds the steps before the overwriting. They go on when
	// whoever asked has left: half an erasure helps nobody.
	stepsMost = time.Minute
	// passMost bounds one try at overwriting, so that its reason to wait is
	// known well within Limit.
	passMost = 20 * time.Second
	// retryAfter is how long after a try that failed the next one begins.
	retryAfter = 5 * time.Second
)

// Names and states of [status.Step].
const (
	stepTombstone = "tombstone"
	stepMirror    = "mirror"
	stepMemory    = "memory"
	stepOutbox    = "outbox"
	stepOverwrite = "overwrite"

	stateDone    = "done"
	statePending = "pending"
)

// Options are what an Eraser is made of; all but Wait are required.
type Options struct {
	Mirror Mirror
	Memory Memory
	Outbox Outbox
	Logger *slog.Logger
	Clock  func() time.Time
	// Wait is how long Erase waits for the overwriting; 0 is 3 s.
	Wait time.Duration
}

// Eraser erases people. Erase and Lift may be called from any goroutine, before
// and after Run too; Run is called once.
type Eraser struct {
	o    Options
	log  *slog.Logger
	wake chan struct{}

	mu      sync.Mutex
	asked   uint64        // overwritings asked for
	done    uint64        // the last of them that is done
	pages   int           // of that one, with those of the tries before it
	failure error         // of the last try, nil where it went well
	ended   chan struct{} // closed, and replaced, as a try ends
}

// New makes an Eraser; the overwriting needs its Run.
func New(o Options) *Eraser {
	if o.Wait <= 0 {
		o.Wait = 3 * time.Second
	}
	return &Eraser{o: o, log: o.Logger, wake: make(chan struct{}, 1), ended: make(chan struct{})}
}

// Erase erases a person, whether the mirror knows them or not, and says how far
// it has come. With an error, the steps are those that were taken before it; the
// tombstone may stand all the same, and asking again goes on.
//
// What was begun goes on where ctx ends; only the waiting for the overwriting
// does not.
func (e *Eraser) Erase(ctx context.Context, userID int64) (status.Erasure, error) {
	began := e.o.Clock()
	erasure := status.Erasure{UserID: userID}
	note := func(name string, count int) {
		erasure.Steps = append(erasure.Steps, status.Step{Name: name, State: stateDone, Count: int64(count)})
	}
	working, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepsMost)
	defer cancel()

	went, err := e.o.Mirror.Erase(working, userID)
	if err != nil {
		return erasure, e.failed(userID, stepMirror, err)
	}
	note(stepTombstone, 1)
	note(stepMirror, went.Users+len(went.Tickets))
	e.o.Memory.Purge()
	note(stepMemory, 0)
	records, err := e.o.Outbox.Erase(working, userID, went.Tickets)
	if err != nil {
		return erasure, e.failed(userID, stepOutbox, err)
	}
	note(stepOutbox, records)

	last := e.overwritten(ctx, e.ask())
	erasure.Steps = append(erasure.Steps, last)
	if erasure.Complete = last.State == stateDone; !erasure.Complete {
		erasure.Until = e.o.Clock().Add(Limit)
	}
	e.log.Info("a person was erased", slog.Int64("user", userID), slog.Int("users", went.Users),
		slog.Int("tickets", len(went.Tickets)), slog.Int("records", records), slog.String("overwriting", last.State),
		slog.Duration("took", e.o.Clock().Sub(began)))
	return erasure, nil
}

// failed wakes Run all the same: what is marked in a file is overwritten,
// though nobody waits for it.
func (e *Eraser) failed(userID int64, step string, err error) error {
	e.ask()
	e.log.Error("an erasure has to be asked for again",
		slog.Int64("user", userID), slog.String("step", step), slog.Any("error", err))
	return &StepError{Step: step, Err: err}
}

// StepError says at which step an erasure stopped. Asking again goes on there.
type StepError struct {
	Step string // as status.Step.Name
	Err  error
}

func (e *StepError) Error() string {
	return "the erasure stopped at the " + e.Step + ", ask for it again: " + e.Err.Error()
}

// Unwrap gives what went wrong.
func (e *StepError) Unwrap() error { return e.Err }

// Lift takes a person's tombstone away, so that the mirror may hold them again;
// was is false where they had none. What lookups remember of their absence is
// forgotten.
func (e *Eraser) Lift(ctx context.Context, userID int64) (was bool, err error) {
	was, err = e.o.Mirror.Lift(ctx, userID)
	if err != nil || !was {
		return was, err
	}
	e.o.Memory.Purge()
	e.log.Info("a tombstone was lifted", slog.Int64("user", userID))
	return true, nil
}

// ask has Run overwrite, and gives the request's number.
func (e *Eraser) ask() uint64 {
	e.mu.Lock()
	e.asked++
	n := e.asked
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default: // it is awake already, and looks once more
	}
	return n
}

// overwritten waits for a request for a while and says how it went. Only a
// pass that began after the request counts: one under way may have passed by
// what is to go.
func (e *Eraser) overwritten(ctx context.Context, n uint64) status.Step {
	timer := time.NewTimer(e.o.Wait)
	defer timer.Stop()
	for {
		e.mu.Lock()
		ended := e.ended
		step := status.Step{Name: stepOverwrite, State: statePending, Note: "the freed pages are being overwritten; a backup that is being read is waited for"}
		switch {
		case e.done >= n:
			step.State, step.Count, step.Note = stateDone, int64(e.pages), ""
		case e.failure != nil:
			step.Note = e.failure.Error()
		}
		e.mu.Unlock()
		if step.State == stateDone {
			return step
		}
		select {
		case <-ended:
		case <-timer.C:
			return step
		case <-ctx.Done():
			return step
		}
	}
}

// Run overwrites what was erased until ctx ends, and what was left to be
// overwritten before this process began. What fails is tried again.
func (e *Eraser) Run(ctx context.Context) error {
	if e.o.Mirror.OverwriteDue() || e.o.Outbox.OverwriteDue() {
		e.log.Info("what was erased before the start is still to be overwritten")
		e.ask()
	}
	retry := time.NewTimer(0) // the first fires at once, and looks into the outbox
	defer retry.Stop()
	clean := false
	for {
		select {
		case <-e.wake:
		case <-retry.C:
		case <-ctx.Done():
			return nil
		}
		if !clean {
			clean = e.again(ctx)
		}
		retry.Stop()
		if !e.pass(ctx) || !clean {
			retry.Reset(retryAfter)
		}
	}
}

// again takes everybody who is erased out of the outbox.
func (e *Eraser) again(ctx context.Context) (done bool) {
	people, err := e.o.Mirror.Erasures(ctx)
	if err == nil && len(people) > 0 {
		var records int
		if records, err = e.o.Outbox.EraseAgain(ctx, people); records > 0 {
			e.log.Warn("records of people who had been erased were in the outbox, and are erased again: it is a backup from before, or the erasure was interrupted",
				slog.Int("records", records))
		}
	}
	if err != nil && ctx.Err() == nil {
		e.log.Error("the outbox could not be searched for people who were erased", slog.Any("error", err))
	}
	return err == nil
}

// pass is one try at all that was asked for by now.
func (e *Eraser) pass(ctx context.Context) (done bool) {
	e.mu.Lock()
	n, idle := e.asked, e.asked == e.done
	e.mu.Unlock()
	if idle && !e.o.Mirror.OverwriteDue() && !e.o.Outbox.OverwriteDue() {
		return true
	}
	pages, err := e.overwrite(ctx)
	if ctx.Err() != nil {
		return false // Run ends; the marks stay in the files
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.failure != nil {
		pages += e.pages
	}
	if err != nil && e.failure == nil {
		e.log.Warn("the freed pages cannot be overwritten yet", slog.Any("error", err))
	}
	e.pages, e.failure = pages, err
	if err == nil {
		e.done = n
		e.log.Info("the freed pages are overwritten", slog.Int("pages", pages))
	}
	close(e.ended)
	e.ended = make(chan struct{})
	return err == nil
}

// overwrite does both files, each though the other fails.
func (e *Eraser) overwrite(ctx context.Context) (pages int, err error) {
	for _, file := range []Overwriter{e.o.Mirror, e.o.Outbox} {
		if !file.OverwriteDue() {
			continue
		}
		n, wrong := e.overwriteFile(ctx, file)
		pages += n
		err = errors.Join(err, wrong)
	}
	return pages, err
}

func (e *Eraser) overwriteFile(ctx context.Context, file Overwriter) (pages int, err error) {
	ctx, cancel := context.WithTimeout(ctx, passMost)
	defer cancel()
	return file.Overwrite(ctx)
}
