package proxy

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"aniproxy/internal/caller"
)

// # Limits against reading out
//
// Whoever has a stolen key and asks for number after number is held by four
// things, each for one client alone:
//
//	rate         requests a second (guard): 429
//	distinct     different numbers a minute (distinct.go): 429
//	live         questions that reach Zendesk: past it the mirror alone
//	             answers, always a 200, for a busy morning spends it too
//	miss ratio   an alarm, which refuses nothing (missratio.go)

// limit is one of those that refuse.
type limit uint8

const (
	limitRate limit = iota
	limitDistinct
	limitLive
	limitCount
)

// limitNames are what metrics call them.
var limitNames = [limitCount]string{"rate", "distinct", "live"}

// usage is what a client of one name has used, whatever its limits are by now:
// a client that replaces it takes it over. Safe for concurrent use.
type usage struct {
	refusals [limitCount]atomic.Uint64

	mu sync.Mutex // held for some tens of nanoseconds
	// began is what times here are counted from, now the latest so far:
	// requests read the clock before they come here, and may overtake one
	// another by then.
	began           time.Time
	now             time.Duration
	distinct        distinct
	ratio           missRatio
	numbers, missed uint64 // since the start
}

func newUsage(now time.Time) *usage {
	return &usage{began: now, distinct: newDistinct(), ratio: missRatio{minute: ratioMinutes}}
}

func (u *usage) refuse(l limit) { u.refusals[l].Add(1) }

// at moves to a time, and the minutes with it. The caller holds mu.
func (u *usage) at(now time.Time) []shift {
	u.now = max(u.now, now.Sub(u.began))
	return u.ratio.turn(u.now)
}

// number counts an answer about a number in E.164. wait is more than 0 where
// the limit has no room for it: then nothing may be told of it.
func (u *usage) number(e164 string, missed bool, now time.Time, l distinctLimit) (wait time.Duration, shifts []shift) {
	u.mu.Lock()
	defer u.mu.Unlock()
	shifts = u.at(now)
	first, wait := u.distinct.take(u.distinct.number(e164), u.now, l)
	if first {
		u.numbers++
		if missed {
			u.missed++
		}
		u.ratio.count(missed)
	}
	return wait, shifts
}

// person counts a reading of a person by id in the same budget. Of misses it
// says nothing.
func (u *usage) person(id int64, now time.Time, l distinctLimit) (wait time.Duration, shifts []shift) {
	u.mu.Lock()
	defer u.mu.Unlock()
	shifts = u.at(now)
	_, wait = u.distinct.take(u.distinct.person(id), u.now, l)
	return wait, shifts
}

// room tells whether an answer about a number would be given now.
func (u *usage) room(e164 string, now time.Time, l distinctLimit) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.now = max(u.now, now.Sub(u.began)) // the minutes follow with the next answer
	return u.distinct.room(u.distinct.number(e164), u.now, l)
}

// used is a reading of usage.
type used struct {
	numbers, missed uint64
	alarm           bool
	refused         [limitCount]uint64
}

func (u *usage) read(now time.Time) (r used, shifts []shift) {
	u.mu.Lock()
	shifts = u.at(now)
	r = used{numbers: u.numbers, missed: u.missed, alarm: u.ratio.alarm}
	u.mu.Unlock()
	for l := range r.refused {
		r.refused[l] = u.refusals[l].Load()
	}
	return r, shifts
}

// usageOf reads what a client has used, and tells of an alarm that ended
// because nobody asked any more.
func (s *Server) usageOf(c *client) used {
	r, shifts := c.used.read(s.clock())
	s.tellShifts(c, shifts)
	return r
}

// countNumber counts an answer against its client's different numbers, before
// anything is told of it. What is no number is nothing that could be read out.
func (s *Server) countNumber(c *client, a *caller.Answer) error {
	if a.ANI == "" {
		return nil
	}
	wait, shifts := c.used.number(a.ANI, s.missed(a), s.clock(), c.distinct)
	return s.judged(c, wait, shifts)
}

// countPerson counts somebody who is read by id.
func (s *Server) countPerson(c *client, id int64) error {
	wait, shifts := c.used.person(id, s.clock(), c.distinct)
	return s.judged(c, wait, shifts)
}

func (s *Server) judged(c *client, wait time.Duration, shifts []shift) error {
	s.tellShifts(c, shifts)
	if wait <= 0 {
		return nil
	}
	c.used.refuse(limitDistinct)
	return errDistinct(wait)
}

// missed tells an answer about a number that nobody is known of. Where Zendesk
// could not be asked, which is so for most of a scan once its live budget is
// spent, a mirror that has once been filled is asked alone: a stranger is one
// whether Zendesk is up or down.
func (s *Server) missed(a *caller.Answer) bool {
	switch a.Outcome {
	case caller.NotFound:
		return true
	case caller.Unavailable:
		return len(a.Callers) == 0 && s.o.Directory.Streams().Filled()
	default:
		return false
	}
}

// tellShifts logs the beginnings and the ends of alarms, and no number.
func (s *Server) tellShifts(c *client, shifts []shift) {
	for _, at := range shifts {
		attrs := []slog.Attr{
			slog.String("client", c.name), slog.String("share", percent(at.share)), slog.String("ordinary", percent(at.ordinary)),
			slog.Uint64("numbers", uint64(at.numbers)),
		}
		if at.alarm {
			s.log.LogAttrs(context.Background(), slog.LevelWarn, "a client asks for unknown numbers far more than is ordinary", attrs...)
		} else {
			s.log.LogAttrs(context.Background(), slog.LevelInfo, "the share of unknown numbers is ordinary again", attrs...)
		}
	}
}

func percent(share float64) string { return strconv.FormatFloat(100*share, 'f', 0, 64) + "%" }

// mayAskZendesk is a [caller.Query]'s AllowLive: it takes one from the client's
// budget of live questions. There is nothing to ask about a number that the
// client would be told nothing of.
func (s *Server) mayAskZendesk(c *client, number string) func() bool {
	return func() bool {
		now := s.clock()
		if e164, ok := s.o.Numbers.Key(number); ok && !c.used.room(e164, now, c.distinct) {
			return false
		}
		if !c.live.AllowN(now, 1) {
			c.used.refuse(limitLive)
			return false
		}
		return true
	}
}

// errDistinct asks for patience until the oldest number of the minute has left.
func errDistinct(wait time.Duration) error {
	return &fault{
		status: http.StatusTooManyRequests, detail: "this client asks for more different numbers a minute than its distinct_per_minute allows",
		header: http.Header{"Retry-After": {retryAfter(wait)}},
	}
}
