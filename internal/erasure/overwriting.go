package erasure

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/status"
)

// ask has Run overwrite, and gives the number to wait for. Where nothing was
// freed since the last number was given, that one is it: with a new one for
// everybody who asks again, who asks more often than an overwriting ends would
// never see the end of theirs.
func (e *Eraser) ask() uint64 {
	freed := e.o.Mirror.Freed() + e.o.Outbox.Freed()
	due := e.due()
	e.mu.Lock()
	if freed != e.freed || due && e.done == e.asked {
		e.asked++
		e.freed = freed
	}
	n := e.asked
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default: // it is awake already, and looks once more
	}
	return n
}

// due tells whether either file has something to overwrite.
func (e *Eraser) due() bool { return e.o.Mirror.OverwriteDue() || e.o.Outbox.OverwriteDue() }

// limit is within what time the overwriting is promised: whoever comes while a
// pass is under way needs the whole of the next one.
func (e *Eraser) limit() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return max(Limit, 2*e.lasted)
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

// Settle takes everybody who is erased out of the outbox, which may be a backup
// from before. It is to be called before anything of the outbox is delivered,
// and once. Its only error is ctx's: what cannot be searched is in the log, and
// Run goes on with it; a record that cannot be read cannot be delivered either.
func (e *Eraser) Settle(ctx context.Context) error {
	e.again(ctx)
	return ctx.Err()
}

// Run overwrites what was erased until ctx ends, and what was left to be
// overwritten before this process began. What fails is tried again.
func (e *Eraser) Run(ctx context.Context) error {
	if e.due() {
		e.log.Info("what was erased before the start is still to be overwritten")
		e.ask()
	}
	search, wait := time.NewTimer(0), retryAfter // for what Settle has left
	defer search.Stop()
	retry, look := time.NewTimer(retryAfter), time.NewTimer(lateAfter)
	defer retry.Stop()
	defer look.Stop()
	for {
		select {
		case <-e.wake:
		case <-retry.C:
		case <-look.C:
			e.lookAgain(ctx)
		case <-search.C:
			if !e.again(ctx) {
				search.Reset(wait)
				wait = min(2*wait, searchMost)
			}
		case <-ctx.Done():
			return nil
		}
		retry.Stop()
		if !e.pass(ctx) {
			retry.Reset(retryAfter)
		}
		if until, ok := e.lookUntil(); ok {
			look.Reset(until.Sub(e.o.Clock()))
		}
	}
}

// again takes everybody who is erased out of the outbox, once.
func (e *Eraser) again(ctx context.Context) (done bool) {
	e.mu.Lock()
	done = e.settled
	e.mu.Unlock()
	if done {
		return true
	}
	people, err := e.o.Mirror.Erasures(ctx)
	if len(people) > 0 { // with an error too: as far as they are known
		records, wrong := e.o.Outbox.EraseAgain(ctx, people)
		if err = errors.Join(err, wrong); records > 0 {
			e.log.Warn("records of people who had been erased were in the outbox, and are erased again: it is a backup from before, or the erasure was interrupted",
				slog.Int("records", records))
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.settled = err == nil
	if err != nil && !e.told && ctx.Err() == nil {
		e.told = true
		e.log.Error("not all of the outbox could be searched for people who were erased; it is tried again, and not told of again", slog.Any("error", err))
	}
	return e.settled
}

// watch has the outbox searched for somebody again, and once more when no
// request from before can be at work.
func (e *Eraser) watch(who caller.Erasure) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.late {
		if l := &e.late[i]; l.UserID == who.UserID { // asked for again: the first time counts
			l.Erasure = who
			return
		}
	}
	e.late = append(e.late, late{who, e.o.Clock().Add(lateAfter)})
}

// unwatch has what comes for somebody stay.
func (e *Eraser) unwatch(userID int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.late = slices.DeleteFunc(e.late, func(l late) bool { return l.UserID == userID })
}

// lookUntil is when somebody has to be searched for the last time; false where
// nobody has.
func (e *Eraser) lookUntil() (at time.Time, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.late {
		if l := &e.late[i]; !ok || l.until.Before(at) {
			at, ok = l.until, true
		}
	}
	return at, ok
}

// lookAgain takes out of the outbox what came while its owner was being erased.
func (e *Eraser) lookAgain(ctx context.Context) {
	now := e.o.Clock()
	var people []caller.Erasure
	e.mu.Lock()
	for i := range e.late {
		people = append(people, e.late[i].Erasure)
	}
	e.mu.Unlock()
	if len(people) == 0 {
		return
	}
	records, err := e.o.Outbox.EraseAgain(ctx, people)
	if err != nil && ctx.Err() == nil {
		e.log.Error("the outbox could not be searched for what came during an erasure", slog.Any("error", err))
	}
	if records > 0 {
		e.log.Info("what came during an erasure is erased, too", slog.Int("records", records))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.late = slices.DeleteFunc(e.late, func(l late) bool { return !l.until.After(now) })
}

// pass is one try at all that was asked for by now.
func (e *Eraser) pass(ctx context.Context) (done bool) {
	e.mu.Lock()
	n, idle := e.asked, e.asked == e.done
	e.mu.Unlock()
	if idle && !e.due() {
		return true
	}
	began := e.o.Clock()
	pages, err := e.overwrite(ctx)
	if e.lookAgain(ctx); err == nil && e.o.Outbox.OverwriteDue() {
		var more int
		more, err = e.o.Outbox.Overwrite(ctx)
		pages += more
	}
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
		e.done, e.lasted = n, e.o.Clock().Sub(began)
		e.log.Info("the freed pages are overwritten", slog.Int("pages", pages), slog.Duration("took", e.lasted))
	}
	close(e.ended)
	e.ended = make(chan struct{})
	return err == nil
}

// overwrite does both files, each though the other fails. How long it waits for
// somebody else is theirs to bound; how long it works is the disk's matter.
func (e *Eraser) overwrite(ctx context.Context) (pages int, err error) {
	for _, file := range []Overwriter{e.o.Mirror, e.o.Outbox} {
		if !file.OverwriteDue() {
			continue
		}
		n, wrong := file.Overwrite(ctx)
		pages += n
		err = errors.Join(err, wrong)
	}
	return pages, err
}
