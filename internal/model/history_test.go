package model

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/zendesk/zendesktest"
)

// hidden is for how long an export may keep silent of a change whose object
// changes again: the minute that it leaves out, with a second for the whole
// seconds of its stamps and one for those of a Date.
const hidden = 62 * time.Second

// version is one object from a moment on.
type version[T any] struct {
	at   time.Time
	is   T
	kind string // the edit that made it
	// gone is true once the account has no trace of it any more.
	gone bool
}

// life is all versions of one object, oldest first.
type life[T any] []version[T]

// mark is a moment up to which a stream was known, its watermark, and when that
// was written down.
type mark struct{ known, written time.Time }

// moments are those that an answer is about: it says that it is true of some
// moment from the first, and was asked for and given at the two others.
type moments struct{ from, asked, given time.Time }

// possible are the versions that an answer may show, and whether the object may
// be missing.
//
// An export leaves out the newest minute, and with it every object that
// changed within it, whatever changed before. So an object that changes again
// and again, and never rested as an export was read to its end, stays as it was
// before the first of those changes, or is missing if it was new, while the
// stream goes on.
func (l life[T]) possible(m moments, known []mark) (versions life[T], absent bool) {
	if len(l) == 0 {
		return nil, true
	}
	first := 0
	for i := range l {
		if !l[i].at.After(m.from) {
			first = i
		}
	}
	last := first
	for last+1 < len(l) && !l[last+1].at.After(m.given) {
		last++
	}
	for first > 0 && l.unheard(l[first].at, m.asked, known) {
		first--
	}
	return l[first : last+1], l[0].at.After(m.from) || first == 0 && l.unheard(l[0].at, m.asked, known)
}

// unheard tells whether no export that was read to its end since a change can
// have shown the object: each time it had changed within the minute left out.
func (l life[T]) unheard(since, asked time.Time, known []mark) bool {
	read := false
	for _, k := range known {
		if k.known.Before(since) || k.written.After(asked) {
			continue
		}
		if !slices.ContainsFunc(l, func(v version[T]) bool {
			return v.at.After(k.known.Add(-time.Second)) && v.at.Before(k.known.Add(hidden))
		}) {
			return false
		}
		read = true
	}
	return read
}

// history is what was true, and when.
type history struct {
	sim *zendesktest.Server

	mu      sync.RWMutex
	users   map[int64]life[zendesktest.TruthUser]
	tickets map[int64]life[zendesktest.TruthTicket]
	known   map[caller.Stream][]mark
	// owned are the tickets that each person ever had.
	owned map[int64][]int64
	// kinds count the edits of each kind.
	kinds map[string]int
}

func newHistory(sim *zendesktest.Server) *history {
	h := &history{
		sim: sim, users: map[int64]life[zendesktest.TruthUser]{}, tickets: map[int64]life[zendesktest.TruthTicket]{},
		owned: map[int64][]int64{}, known: map[caller.Stream][]mark{}, kinds: map[string]int{},
	}
	var past time.Time
	for u := range sim.Truth().Users() {
		h.users[u.ID] = life[zendesktest.TruthUser]{{at: past, is: u}}
	}
	for t := range sim.Truth().Tickets() {
		h.tickets[t.ID] = life[zendesktest.TruthTicket]{{at: past, is: t}}
		h.owned[t.RequesterID] = append(h.owned[t.RequesterID], t.ID)
	}
	return h
}

// heard notes how far the streams have come.
func (h *history) heard(s caller.Streams) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range []caller.Position{s.Users, s.Tickets} {
		if m := h.known[p.Stream]; p.Complete && (len(m) == 0 || m[len(m)-1].known.Before(p.Watermark)) {
			h.known[p.Stream] = append(m, mark{p.Watermark, time.Now()})
		}
	}
}

// change does an edit and notes what became of the objects that it touched.
// Nobody reads the history meanwhile: the account and it are one.
func (h *history) change(kind string, do func() (users, tickets []int64)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	users, tickets := do()
	h.kinds[kind]++
	for _, id := range users {
		v := version[zendesktest.TruthUser]{at: now, kind: kind}
		var ok bool
		if v.is, ok = h.sim.Truth().User(id); !ok {
			v.gone = true
		}
		h.users[id] = append(h.users[id], v)
	}
	for _, id := range tickets {
		t, ok := h.sim.Truth().Ticket(id)
		if !ok {
			panic(fmt.Sprintf("the account has lost ticket %d", id))
		}
		h.tickets[id] = append(h.tickets[id], version[zendesktest.TruthTicket]{at: now, is: t, kind: kind})
		if !slices.Contains(h.owned[t.RequesterID], id) {
			h.owned[t.RequesterID] = append(h.owned[t.RequesterID], id)
		}
	}
}
