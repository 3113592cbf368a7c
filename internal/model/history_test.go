package model

import (
	"fmt"
	"slices"
	"sync"
	"time"

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

// possible are the versions that an answer may show which says that it is
// true of some moment from from to to.
//
// An export leaves out the newest minute, and with it every object that
// changed within it, whatever changed before. So an object that changes again
// and again without a minute's rest stays as it was before the first of those
// changes, while the stream goes on: its earlier versions are possible too,
// and, where it is not older than that, that it is not there at all.
func (l life[T]) possible(from, to time.Time) (versions life[T], absent bool) {
	if len(l) == 0 {
		return nil, true
	}
	absent = l[0].at.After(from)
	first := 0
	for i := range l {
		if !l[i].at.After(from) {
			first = i
		}
	}
	last := first
	for last+1 < len(l) && !l[last+1].at.After(to) {
		last++
	}
	if first+1 < len(l) && l[first+1].at.Before(from.Add(hidden)) {
		// It was left out as of from: how it was before it last rested.
		for first > 0 && l[first].at.Sub(l[first-1].at) < 2*hidden {
			first--
		}
		absent = absent || first == 0 && from.Sub(l[0].at) < 2*hidden
		first = max(first-1, 0)
	}
	return l[first : last+1], absent
}

// history is what was true, and when.
type history struct {
	sim *zendesktest.Server

	mu      sync.RWMutex
	users   map[int64]life[zendesktest.TruthUser]
	tickets map[int64]life[zendesktest.TruthTicket]
	// owned are the tickets that each person ever had.
	owned map[int64][]int64
	// kinds count the edits of each kind.
	kinds map[string]int
}

func newHistory(sim *zendesktest.Server) *history {
	h := &history{
		sim: sim, users: map[int64]life[zendesktest.TruthUser]{}, tickets: map[int64]life[zendesktest.TruthTicket]{},
		owned: map[int64][]int64{}, kinds: map[string]int{},
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
