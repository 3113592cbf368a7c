package sync

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"aniproxy/internal/caller"
)

// search is an account's search export and its tickets by id. Unless a test
// has it switched on, the account has none.
type search struct {
	on bool
	// lost tickets are not in the index yet; stale ones are there as they were
	// before their last change.
	lost, stale map[int64]bool
	// deleted tickets are "not found" by their id. The index may show them.
	deleted map[int64]bool
	pace    time.Duration // of a page
	// script may answer in the export's place, refuse in that of a reading by id.
	script func(cursor string) (*Page, error)
	refuse func(ids []int64) error

	asked []string // cursors
	shown [][]int64
}

// notFound is Zendesk not having what was asked for.
var notFound = &caller.UpstreamError{Fault: caller.FaultNotFound, Err: errors.New("404")}

// searchable has the account's search export switched on.
func searchable(users, tickets int) *account {
	a := newAccount(users, tickets)
	a.search.on = true
	return a
}

// setTicket changes a ticket: its status, at a moment.
func (a *account) setTicket(id, requester int64, state string, at time.Time) {
	a.addTicket(id, requester)
	a.mu.Lock()
	defer a.mu.Unlock()
	t := &a.tickets[len(a.tickets)-1]
	t.Ticket.Status, t.Ticket.UpdatedAt = state, at.Unix()
	t.Version = caller.Version{Generated: at.Unix(), Updated: at.Unix()}
}

// change changes the account under its lock.
func (a *account) change(f func(*account)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f(a)
}

// lastTicket is a ticket as it is now, or as it was before its last change,
// under the lock.
func (a *account) lastTicket(id int64, before bool) (caller.TicketUpdate, bool) {
	for _, t := range slices.Backward(a.tickets) {
		switch {
		case t.Ticket.ID != id:
		case before:
			before = false
		default:
			return t, true
		}
	}
	return caller.TicketUpdate{}, false
}

// Unresolved is Source's.
func (a *account) Unresolved(ctx context.Context, cursor string) (*Page, error) {
	a.mu.Lock()
	a.search.asked = append(a.search.asked, cursor)
	script, pace, on := a.search.script, a.search.pace, a.search.on
	a.mu.Unlock()
	if script != nil {
		if p, err := script(cursor); p != nil || err != nil {
			return p, err
		}
	}
	if !on {
		return nil, notFound
	}
	sent := a.send()
	if err := pass(ctx, pace); err != nil {
		return nil, &caller.UpstreamError{Fault: caller.FaultDeadline, Err: err}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []caller.TicketUpdate
	seen := map[int64]bool{}
	for _, t := range a.tickets {
		id := t.Ticket.ID
		if seen[id] || a.search.lost[id] {
			continue
		}
		seen[id] = true
		is, ok := a.lastTicket(id, a.search.stale[id])
		if !ok || !is.Ticket.Unresolved() {
			continue
		}
		is.Version.Sent = sent.Add(-caller.SearchLag).UnixNano()
		is.AsOf = sent.Add(-caller.SearchLag)
		all = append(all, is)
	}
	slices.SortFunc(all, func(x, y caller.TicketUpdate) int { return cmp.Compare(x.Ticket.ID, y.Ticket.ID) })
	from, _ := strconv.Atoi(cursor)
	to := min(from+a.pageSize, len(all))
	p := &Page{Sent: sent, Date: time.Now().Add(a.skew).Truncate(time.Second), Next: strconv.Itoa(to), End: to == len(all)}
	if a.noDate {
		p.Date = time.Time{}
	}
	p.Tickets = all[min(from, to):to]
	return p, nil
}

// ShowTickets is Source's.
func (a *account) ShowTickets(ctx context.Context, ids []int64) ([]caller.TicketUpdate, []caller.Gone, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	sent := a.send()
	a.mu.Lock()
	a.search.shown = append(a.search.shown, slices.Clone(ids))
	refuse := a.search.refuse
	a.mu.Unlock()
	if refuse != nil {
		if err := refuse(ids); err != nil {
			return nil, nil, err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var (
		tickets []caller.TicketUpdate
		gone    []caller.Gone
	)
	for _, id := range ids {
		t, ok := a.lastTicket(id, false)
		if !ok || a.search.deleted[id] {
			gone = append(gone, caller.Gone{Stream: caller.Tickets, ID: id, Sent: sent.UnixNano()})
			continue
		}
		t.Version.Generated, t.Version.Sent, t.AsOf = 0, sent.UnixNano(), sent
		tickets = append(tickets, t)
	}
	return tickets, gone, nil
}

// Tickets is Source's.
func (a *account) Tickets(ctx context.Context, userID int64) (caller.Reading, error) {
	return caller.Reading{}, errors.Join(ctx.Err(), notFound)
}

// Search is Source's.
func (a *account) Search(ctx context.Context, _ string) ([]caller.UserUpdate, bool, error) {
	return nil, true, ctx.Err()
}

// askedByID are all tickets that were asked for by their ids.
func (a *account) askedByID() []int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	ids := slices.Concat(a.search.shown...)
	slices.Sort(ids)
	return ids
}
