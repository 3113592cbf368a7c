package delivery

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"aniproxy/internal/caught"
	"aniproxy/internal/outbox"
)

// lane is what is delivered in order.
type lane struct {
	kind outbox.Kind
	id   int64
}

func laneOf(r *outbox.Record) lane {
	kind, id := r.Lane()
	return lane{kind, id}
}

// progress is what is known of a lane while this process runs.
type progress struct {
	working bool
	// record is the one that failures and notBefore are about.
	record    string
	failures  int
	notBefore time.Time
	// forbidden is when this process was first told that the record may not be
	// written.
	forbidden time.Time
	updates   window
	// ended places the end of the last attempt among all ends.
	ended uint64
}

// idle is how long a courier with nothing to do sleeps, if nobody wakes it.
const idle = time.Minute

// headsAtOnce is how many first ones are looked at; more, where none of them
// may be tried yet.
const headsAtOnce = 256

// dispatch starts what may be started now and tells when to look again.
func (c *Courier) dispatch(ctx context.Context, workers *sync.WaitGroup) time.Duration {
	if wait := c.held(); wait > 0 {
		return min(wait, idle)
	}
	for limit := headsAtOnce; ; limit *= 8 {
		as, free := c.picture()
		if !free {
			return idle // the worker that ends first wakes us
		}
		heads, err := c.o.Outbox.Queued(limit)
		if err != nil {
			c.log.Error("the outbox could not be read whole", slog.Any("error", err))
		}
		started, wait := c.start(ctx, workers, heads, as)
		if started > 0 || len(heads) < limit {
			return wait
		}
	}
}

// picture is taken before the outbox is read: of a lane in which an attempt ends
// after it, what is read may be old. free tells whether anything can be started.
func (c *Courier) picture() (as uint64, free bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ends, c.busy < c.hands()
}

// hands is how many attempts may be under way.
func (c *Courier) hands() int {
	if c.weather.bad {
		return 1 // one is sent ahead to see
	}
	return c.o.Workers
}

// held is for how long nothing at all may be sent.
func (c *Courier) held() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.o.Clock()
	return max(c.weather.until.Sub(now), c.account.wait(now))
}

// start gives what may be tried now to workers, those first that have failed
// least: while the weather is bad, only one is tried, and that should not be the
// one that nobody can help. as is the picture that the heads are of.
func (c *Courier) start(ctx context.Context, workers *sync.WaitGroup, heads []outbox.Record, as uint64) (started int, wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.o.Clock()
	c.forget(heads, now)
	wait = idle
	due := make([]head, 0, c.o.Workers)
	for _, r := range heads {
		p := c.lanes[laneOf(&r)]
		switch {
		case p == nil:
			p = &progress{updates: window{limit: ticketLimit, span: 10 * time.Minute}}
			c.lanes[laneOf(&r)] = p
		case p.working:
			continue
		case p.ended > as: // as it ended it woke us: it is read anew
			continue
		}
		if p.record != r.ID {
			p.record, p.failures, p.notBefore, p.forbidden = r.ID, 0, time.Time{}, time.Time{}
		}
		if ahead := max(waitOf(&r, now), p.notBefore.Sub(now), p.updates.wait(now)); ahead > 0 {
			wait = min(wait, ahead)
			continue
		}
		due = append(due, head{r, p})
	}
	slices.SortStableFunc(due, func(a, b head) int { return a.progress.failures - b.progress.failures })
	for _, h := range due[:min(len(due), max(c.hands()-c.busy, 0))] {
		h.progress.working = true
		c.busy++
		started++
		workers.Go(func() { c.work(ctx, h.record, h.progress) })
	}
	return started, wait
}

// head is the first of a lane, and what is known of the lane.
type head struct {
	record   outbox.Record
	progress *progress
}

// forget drops lanes in which nothing is left to do and to count.
func (c *Courier) forget(heads []outbox.Record, now time.Time) {
	if len(c.lanes) <= 2*headsAtOnce {
		return
	}
	queued := make(map[lane]bool, len(heads))
	for i := range heads {
		queued[laneOf(&heads[i])] = true
	}
	for l, p := range c.lanes {
		if !p.working && !queued[l] && p.updates.wait(now) == 0 && len(p.updates.times) == 0 {
			delete(c.lanes, l)
		}
	}
}

// work tries one record, and says how it went.
func (c *Courier) work(ctx context.Context, r outbox.Record, p *progress) {
	a := &attempt{Courier: c, record: r, progress: p, doubted: r.InDoubt}
	err := a.guarded(ctx)
	if errors.Is(err, outbox.ErrUnknown) {
		// Erased while it was at work: there is nothing left to write down, and
		// the lane goes on with what comes next.
		c.log.Info("a record was erased while it was being delivered", slog.String("id", r.ID))
		err = nil
	}
	c.mu.Lock()
	c.busy--
	c.ends++
	p.working, p.ended = false, c.ends
	if err != nil { // the disk is no better at once
		p.failures++
		p.notBefore = c.o.Clock().Add(c.backoff(p.failures))
	}
	c.mu.Unlock()
	if err != nil && ctx.Err() == nil {
		c.log.Error("a step of a delivery could not be written down",
			slog.String("id", r.ID), slog.Any("error", err))
	}
	c.Wake()
}

// guarded is try, with a panic as a reason to wait.
func (a *attempt) guarded(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			fault := caught.New("a delivery", p)
			a.log.Error("a delivery panicked", slog.String("id", a.record.ID), slog.Any("error", fault), slog.String("stack", fault.Stack))
			if a.record.State != outbox.Queued {
				return // it had come to its end before
			}
			err = a.later(&outbox.Refusal{Cause: "internal", Unknown: a.record.InDoubt})
		}
	}()
	return a.try(ctx)
}

// window counts what was done within the last span.
type window struct {
	limit int
	span  time.Duration
	times []time.Time // oldest first
}

// wait is for how long nothing more may be done, 0 where something may.
func (w *window) wait(now time.Time) time.Duration {
	w.times = slices.DeleteFunc(w.times, func(t time.Time) bool { return now.Sub(t) >= w.span })
	if len(w.times) < w.limit {
		return 0
	}
	return w.times[len(w.times)-w.limit].Add(w.span).Sub(now)
}

func (w *window) add(now time.Time) { w.times = append(w.times, now) }

// waitOf is for how long a record has to wait by what is on disk. Nothing is
// ever put off for longer than longestWait: what is, was written while the clock
// was ahead.
func waitOf(r *outbox.Record, now time.Time) time.Duration {
	if wait := r.NextTry.Sub(now); wait <= longestWait {
		return wait
	}
	return 0
}

// longestWait is above the longest of Zendesk's Retry-After that the client
// hands on, and of our own waits.
const longestWait = 15 * time.Minute
