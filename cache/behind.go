package cache

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"aniproxy/internal/caller"
)

// An answer that is older than it should be is given at once, and what it says
// is read again behind it, by the same walk that a miss takes, but paid for by
// what the others leave of the budget. Nobody waits for such a walk, and no
// lookup that has to ask Zendesk itself joins it: it may wait for its turn for
// long. What it brings goes the way of everything, through the store.
//
// The bounds: once a number per MaxStale, whatever becomes of it; refreshAtOnce
// at the same time and maxRefreshes with those that wait for that; none while a
// stream catches up.

const (
	// refreshAtOnce is how many walk at the same time. What is left of a budget
	// of 400 requests a minute is seldom more than the three requests of two
	// walks a second.
	refreshAtOnce = 4
	// maxRefreshes is how many are under way or wait. At two a second the last
	// of them is read half a minute later, when most calls still go on.
	maxRefreshes = 64
	// refreshLimit ends the waiting for a place among those that walk, and the
	// walk.
	refreshLimit = time.Minute
	// maxRefreshed is how many numbers are known as read again lately: two
	// refreshes a second make 600 in the five minutes of MaxStale's default.
	maxRefreshed = 10_000
)

// refreshes keeps what was read again behind answers within its bounds.
type refreshes struct {
	every  time.Duration // a number's
	places *semaphore.Weighted

	mu     sync.Mutex
	began  map[uint64]refreshed // by number
	active int                  // under way or waiting
	swept  time.Time            // when no room was found in began for the last time
	asked  map[uint64]int       // numbers that a live walk is about right now
}

// refreshed is a refresh of one number.
type refreshed struct {
	at     time.Time // when it was asked for
	active bool
}

func newRefreshes(every time.Duration) *refreshes {
	return &refreshes{
		every: every, places: semaphore.NewWeighted(refreshAtOnce),
		began: map[uint64]refreshed{}, asked: map[uint64]int{},
	}
}

// state tells whether a refresh of a number is under way, and the earliest time
// of the next one: zero for now.
func (f *refreshes) state(number uint64, now time.Time) (active bool, notBefore time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, lately := f.lately(number, now)
	if !lately {
		return b.active, time.Time{}
	}
	return b.active, b.at.Add(f.every)
}

// lately tells whether a number was refreshed so short a time ago that it has
// to wait. A beginning that our clock has not reached yet was noted by a clock
// that has been set back since, and counts for nothing.
func (f *refreshes) lately(number uint64, now time.Time) (b refreshed, lately bool) {
	b, known := f.began[number]
	since := now.Sub(b.at)
	return b, known && since >= 0 && since < f.every
}

// due tells whether a refresh of a number may begin.
func (f *refreshes) due(number uint64, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dueNow(number, now)
}

func (f *refreshes) dueNow(number uint64, now time.Time) bool {
	b, lately := f.lately(number, now)
	return !lately && !b.active && f.active < maxRefreshes
}

// begin notes a refresh, if it may begin and there is room to note it.
func (f *refreshes) begin(number uint64, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.dueNow(number, now) || len(f.began) >= maxRefreshed && !f.sweep(now) {
		return false
	}
	f.began[number] = refreshed{at: now, active: true}
	f.active++
	return true
}

// sweep makes room by what is no longer needed. It goes through all of them, so
// where it finds nothing it does not try again for a while.
func (f *refreshes) sweep(now time.Time) bool {
	if since := now.Sub(f.swept); since >= 0 && since < f.every/16 {
		return false
	}
	for number := range f.began {
		if b, lately := f.lately(number, now); !lately && !b.active {
			delete(f.began, number)
		}
	}
	if len(f.began) >= maxRefreshed {
		f.swept = now
		return false
	}
	return true
}

// end notes that a refresh is over.
func (f *refreshes) end(number uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.active--
	if b, known := f.began[number]; known {
		b.active = false
		f.began[number] = b
	}
}

// forget drops the numbers that nothing is under way for.
func (f *refreshes) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for number, b := range f.began {
		if !b.active {
			delete(f.began, number)
		}
	}
}

// spare notes that a live walk is about a number, until what it returns is
// called: there is nothing to be read behind meanwhile.
func (f *refreshes) spare(number uint64) (done func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked[number]++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.asked[number]--; f.asked[number] == 0 {
			delete(f.asked, number)
		}
	}
}

// spared tells whether a live walk is about a number.
func (f *refreshes) spared(number uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[number] > 0
}

// old tells whether an answer says something that should be read again. That
// nobody has a number is read again in time by itself.
func old(a *caller.Answer) bool { return a.Stale && len(a.Callers) > 0 }

// refreshing tells whether a refresh of a number would begin behind an answer
// that is old.
func (r *Resolver) refreshing(k key, now time.Time) bool {
	return r.o.Behind != nil && r.behind.due(k.number, now) && !r.catchingUp()
}

func (r *Resolver) catchingUp() bool { return r.o.CatchingUp != nil && r.o.CatchingUp() }

// refreshBehind has what was just answered read again, within the bounds.
func (r *Resolver) refreshBehind(k key, now time.Time) {
	if !r.refreshing(k, now) || !r.behind.begin(k.number, now) {
		return
	}
	started := r.run(func() {
		defer r.behind.end(k.number)
		var err error
		defer r.contain("a refresh", &err) // which is in the log then, and nobody waits for it
		r.refresh(k)
	})
	if !started {
		r.behind.end(k.number)
	}
}

// refresh waits for its turn and reads again what is then still old.
func (r *Resolver) refresh(k key) {
	waiting, stop := context.WithTimeout(r.ctx, refreshLimit)
	defer stop()
	if r.behind.places.Acquire(waiting, 1) != nil {
		return
	}
	defer r.behind.places.Release(1)
	if r.catchingUp() || r.behind.spared(k.number) || !r.stillOld(k) {
		return
	}
	r.counts.refreshes.Add(1)
	if err := r.walkBehind(k); err != nil {
		r.counts.refreshesFailed.Add(1)
		r.log.Debug("what is old could not be read again", slog.Any("error", err))
	}
}

// stillOld tells whether what is known now still has to be read again.
func (r *Resolver) stillOld(k key) bool {
	s, now := r.streams.Load(), r.clock()
	e := r.known(k, s, now)
	if e == nil {
		var err error
		if e, err = r.readNow(k); err != nil {
			return false
		}
	}
	a := r.answer(k, e, caller.FromDisk, s, now)
	return old(&a)
}

// walkBehind is the walk of a refresh. Unlike a live one it has time to wait for
// the writer, and what cannot be written down is of no use.
func (r *Resolver) walkBehind(k key) (err error) {
	ctx, cancel := context.WithTimeout(r.ctx, refreshLimit)
	defer cancel()
	defer r.contain("a refresh", &err)
	r.counts.walking.Add(1)
	defer r.counts.walking.Add(-1)
	f, err := r.ask(ctx, r.o.Behind, k)
	if err != nil {
		return err
	}
	_, err = r.keep(ctx, f)
	return err
}
