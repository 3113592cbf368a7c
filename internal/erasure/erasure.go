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
// left. Settle, before anything is delivered, takes everybody who is erased out
// of the outbox once more: a kill may have come between the mirror and the
// outbox, and the outbox's file may be a backup. And a request that was let
// through just before an erasure may put a comment into the outbox just after
// it: Run looks again after each overwriting, and when a minute is over.
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
	"fmt"
	"log/slog"
	"math"
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
	// Ownerless counts the comments that nobody's erasure finds once the mirror
	// has forgotten the ticket.
	Ownerless(ctx context.Context) (int, error)
	Overwriter
}

// Overwriter is a file whose free pages can be overwritten.
type Overwriter interface {
	// Overwrite overwrites the free pages and returns how many had something on
	// them. Its error says what it waited for, where ctx ended first.
	Overwrite(ctx context.Context) (pages int, err error)
	// OverwriteDue tells whether something was erased since the last time.
	OverwriteDue() bool
	// Freed is a number that rises with everything that is erased and has to be
	// overwritten, and with nothing else.
	Freed() uint64
}

// Limit is how long the overwriting may take that an answer tells of as
// pending, as far as no backup is being read meanwhile: the time by which
// [status.Erasure].Until promises it. Where the last overwriting took more than
// half of it, which a file with gigabytes of free pages may, it is promised for
// when another two have had the time to end.
const Limit = time.Minute

const (
	// stepsMost bounds the steps before the overwriting. They go on when
	// whoever asked has left: half an erasure helps nobody.
	stepsMost = time.Minute
	// retryAfter is how long after a try that failed the next one begins.
	retryAfter = 5 * time.Second
	// searchMost is how far the tries at searching the outbox move apart. What
	// they fail at is mostly a record that nobody mends by waiting.
	searchMost = time.Hour
	// lateAfter is how long after an erasure no request from before it can still
	// be at work.
	lateAfter = time.Minute
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

	purging sync.Mutex
	purged  uint64 // the mirror's Freed as the memory was last emptied

	mu      sync.Mutex
	asked   uint64        // overwritings asked for
	freed   uint64        // both files' Freed as the last of them was
	done    uint64        // the last of them that is done
	pages   int           // of that one, with those of the tries before it
	lasted  time.Duration // that one
	failure error         // of the last try, nil where it went well
	ended   chan struct{} // closed, and replaced, as a try ends
	late    []late
	settled bool // nobody who is erased is in the outbox, as far as the start goes
	told    bool // the log says that it could not be searched
}

// late is somebody for whom a request may still put something into the outbox
// that had been let through before the erasure.
type late struct {
	caller.Erasure
	until time.Time
}

// New makes an Eraser; the overwriting needs its Run.
func New(o Options) *Eraser {
	if o.Wait <= 0 {
		o.Wait = 3 * time.Second
	}
	return &Eraser{
		o: o, log: o.Logger, wake: make(chan struct{}, 1), ended: make(chan struct{}),
		purged: math.MaxUint64, // no count of anything: the first Erase empties the memory
	}
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
	e.purge()
	note(stepMemory, 0)
	e.watch(went)
	records, err := e.o.Outbox.Erase(working, userID, went.Tickets)
	ownerless := 0
	if err == nil {
		ownerless, err = e.o.Outbox.Ownerless(working)
	}
	if err != nil {
		return erasure, e.failed(userID, stepOutbox, err)
	}
	note(stepOutbox, records)
	if ownerless > 0 {
		erasure.Steps[len(erasure.Steps)-1].Note = fmt.Sprintf("of %d comments here it is not known whose ticket they are for: "+
			"those on tickets that the mirror has forgotten are not found, and stay until the outbox forgets them", ownerless)
	}

	last := e.overwritten(ctx, e.ask())
	erasure.Steps = append(erasure.Steps, last)
	if erasure.Complete = last.State == stateDone; !erasure.Complete {
		erasure.Until = e.o.Clock().Add(e.limit())
	}
	e.log.Info("a person was erased", slog.Int64("user", userID), slog.Int("users", went.Users),
		slog.Int("tickets", len(went.Tickets)), slog.Int("records", records), slog.String("overwriting", last.State),
		slog.Duration("took", e.o.Clock().Sub(began)))
	return erasure, nil
}

// purge empties the memory, unless it was emptied after the last time that the
// mirror let anything go: whoever asks again would cost everybody else their
// fast answers.
func (e *Eraser) purge() {
	e.purging.Lock()
	defer e.purging.Unlock()
	if freed := e.o.Mirror.Freed(); freed != e.purged {
		e.o.Memory.Purge()
		e.purged = freed
	}
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
	e.unwatch(userID)
	e.o.Memory.Purge()
	e.log.Info("a tombstone was lifted", slog.Int64("user", userID))
	return true, nil
}
