package delivery

import (
	"context"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

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
	updates   window
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
		heads, err := c.o.Outbox.Queued(limit)
		if err != nil {
			c.log.Error("the outbox could not be read whole", slog.Any("error", err))
		}
		started, wait := c.start(ctx, workers, heads)
		if started > 0 || len(heads) < limit {
			return wait
		}
	}
}

// held is for how long nothing at all may be sent.
func (c *Courier) held() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.o.Clock()
	return max(c.weather.until.Sub(now), c.account.wait(now))
}

// start gives what may be tried now to workers.
func (c *Courier) start(ctx context.Context, workers *sync.WaitGroup, heads []outbox.Record) (started int, wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.o.Clock()
	c.forget(heads, now)
	wait = idle
	most := c.o.Workers
	if c.weather.level > 0 {
		most = 1 // one is sent ahead to see
	}
	for i := range heads {
		if c.busy >= most {
			break // the worker that ends first wakes us
		}
		r := heads[i]
		p := c.lanes[laneOf(&r)]
		if p == nil {
			p = &progress{updates: window{limit: ticketLimit, span: 10 * time.Minute}}
			c.lanes[laneOf(&r)] = p
		}
		if p.working {
			continue
		}
		if p.record != r.ID {
			p.record, p.failures, p.notBefore = r.ID, 0, time.Time{}
		}
		if ahead := max(r.NextTry.Sub(now), p.notBefore.Sub(now), p.updates.wait(now)); ahead > 0 {
			wait = min(wait, ahead)
			continue
		}
		p.working = true
		c.busy++
		started++
		workers.Go(func() { c.work(ctx, r, p) })
	}
	return started, wait
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
	a := &attempt{Courier: c, record: r, progress: p}
	err := a.guarded(ctx)
	c.mu.Lock()
	c.busy--
	p.working = false
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
			a.log.Error("a delivery panicked", slog.String("id", a.record.ID), slog.String("stack", string(debug.Stack())))
			err = a.later(&outbox.Refusal{Cause: "internal", Unknown: a.record.InDoubt})
		}
	}()
	return a.try(ctx)
}

// backoff is the wait after so many failures in a row.
func (c *Courier) backoff(failures int) time.Duration {
	wait := min(backoffFirst<<min(failures-1, 10), backoffMost)
	return time.Duration(float64(wait) * (0.5 + c.o.Rand()/2))
}

// weather is how Zendesk as a whole is. While it is bad one record at a time is
// tried, after longer and longer pauses: ten thousand that wait are not ten
// thousand requests that fail.
type weather struct {
	level int
	until time.Time
}

// clouded notes a failure that others would meet too.
func (c *Courier) clouded(r *outbox.Refusal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.weather.level++; c.weather.level == 1 {
		c.log.Warn("comments wait: Zendesk cannot take them", slog.String("cause", string(r.Cause)), slog.Any("error", r.Err))
	}
	pause := min(backoffFirst<<min(c.weather.level-1, 10), pauseMost)
	pause = max(time.Duration(float64(pause)*(0.5+c.o.Rand()/2)), r.RetryAfter)
	c.weather.until = c.o.Clock().Add(pause)
}

// cleared notes that Zendesk has answered.
func (c *Courier) cleared() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.weather.level > 0 {
		c.log.Info("comments are delivered again")
	}
	c.weather = weather{}
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
