package delivery

import (
	"log/slog"
	"time"

	"aniproxy/internal/outbox"
)

// Whether a failure is one ticket's or everybody's is not to be seen from it: a
// ticket that Zendesk cannot update answers 500 as an outage does, and a 429 may
// be that of one ticket's updates. So it is the number of lanes that tells:
// where manyLanes have failed since the last success, the weather is bad. Only
// of refused credentials is one enough.
const manyLanes = 3

// weather is how Zendesk as a whole is. While it is bad one record at a time is
// tried, after longer and longer pauses, until one gets through: ten thousand
// that wait are not ten thousand requests that fail.
type weather struct {
	failed map[lane]bool // since the last success; no more than manyLanes
	bad    bool
	level  int
	until  time.Time // no request before
}

// clouded notes a failure that others may meet too, and tells whether the
// weather is bad.
func (c *Courier) clouded(r *outbox.Record, refusal *outbox.Refusal) (bad bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := &c.weather
	if len(w.failed) < manyLanes {
		if w.failed == nil {
			w.failed = map[lane]bool{}
		}
		w.failed[laneOf(r)] = true
	}
	if !w.bad && len(w.failed) < manyLanes && refusal.Cause != outbox.Auth {
		return false
	}
	if !w.bad {
		w.bad = true
		c.log.Warn("comments wait: Zendesk cannot take them",
			slog.String("cause", string(refusal.Cause)), slog.Any("error", refusal.Err))
	}
	now := c.o.Clock()
	if now.Before(w.until) {
		return true // it was under way already, and says nothing new
	}
	w.level++
	pause := min(backoffFirst<<min(w.level-1, 10), pauseMost)
	pause = time.Duration(float64(pause) * (0.5 + c.o.Rand()/2))
	// What Zendesk asks for may be one ticket's to wait, so it counts for the
	// others only as far as the pauses go anyhow.
	w.until = now.Add(max(pause, min(refusal.RetryAfter, pauseMost)))
	return true
}

// cleared notes that Zendesk does what it is asked.
func (c *Courier) cleared() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.weather.bad {
		c.log.Info("comments are delivered again")
	}
	c.weather = weather{}
}

// backoff is the wait after so many failures in a row.
func (c *Courier) backoff(failures int) time.Duration {
	wait := min(backoffFirst<<min(failures-1, 10), backoffMost)
	return time.Duration(float64(wait) * (0.5 + c.o.Rand()/2))
}
