package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"aniproxy/internal/ani"
	"aniproxy/internal/caller"
)

var (
	errClosed = &caller.UpstreamError{Fault: caller.FaultDown, Err: errors.New("the resolver is closing")}
	errBudget = &caller.UpstreamError{Fault: caller.FaultBudget, Err: errors.New("the client's live lookups are spent")}
)

const (
	// walkLimit ends a walk that nobody waits for any more; until then what it
	// brings is still worth having for the next call.
	walkLimit = 10 * time.Second
	// applyLimit is how long an answer waits for its own writing. A
	// transaction takes 50 ms at most while serving.
	applyLimit = 250 * time.Millisecond
	// batchIDs is how many users Zendesk shows at once.
	batchIDs = 100
	// maxTicketWalks is for how many sharers of a number tickets are fetched
	// when the caller has keyed one in.
	maxTicketWalks = 10
)

// walk asks Zendesk who has the number. Lookups that miss on one number at the
// same time share one walk: the first begins it and pays for it from its
// client's budget. Each waits under its own deadline; who leaves takes only
// itself away.
func (r *Resolver) walk(ctx context.Context, k key, q caller.Query) (*entry, error) {
	name := k.e164
	if k.tickets {
		name = "tickets of " + name
	}
	for {
		type result struct {
			e   *entry
			led bool
			err error
		}
		done := make(chan result, 1)
		started := r.run(func() { //nolint:contextcheck // a walk has a context of its own: see walkOnce
			var res result
			v, err, _ := r.flights.Do(name, func() (any, error) {
				res.led = true
				return r.lead(k, q)
			})
			res.e, _ = v.(*entry)
			res.err = err
			done <- res
		})
		if !started {
			return nil, errClosed
		}
		select {
		case res := <-done:
			if errors.Is(res.err, errBudget) && !res.led {
				continue // another client's budget is spent, not this one's
			}
			if res.err != nil || r.valid(res.e) {
				return res.e, res.err
			}
			// Something changed since the shared walk read its answer, perhaps
			// before this lookup began.
			if res.e.unwritten {
				continue
			}
			return r.reread(ctx, k, res.e)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// lead begins the walk, unless one has ended since the lookup looked into memory
// or the client may not ask.
func (r *Resolver) lead(k key, q caller.Query) (*entry, error) {
	if !q.Fresh {
		if e := r.sinceWalked(k); e != nil {
			return e, nil
		}
	}
	if q.AllowLive != nil && !q.AllowLive() {
		return nil, errBudget
	}
	return r.walkOnce(k)
}

// sinceWalked is what another walk may have brought since this lookup looked,
// nil where there is nothing: in memory, or on disk alone, for memory drops what
// it is given when it is busy.
func (r *Resolver) sinceWalked(k key) *entry {
	if e := r.known(k); e != nil {
		return e
	}
	e, err := r.readNow(k)
	if err != nil || len(e.callers) == 0 || !e.proof(r.o.Store.Streams(), r.clock(), r.o.MaxStale, k.tickets) {
		return nil
	}
	return e
}

// reread reads the disk again after a walk.
func (r *Resolver) reread(ctx context.Context, k key, walked *entry) (*entry, error) {
	e, err := r.read(ctx, k)
	if err != nil {
		return nil, err
	}
	e.walked = walked.walked
	return e, nil
}

// walkOnce is one walk, on a context of its own, with a place among those that
// may walk at the same time.
func (r *Resolver) walkOnce(k key) (e *entry, err error) {
	ctx, cancel := context.WithTimeout(r.ctx, walkLimit)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			r.log.Error("a live lookup panicked", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			err = fmt.Errorf("panic in a live lookup: %v", p)
		}
	}()
	waiting, stop := context.WithTimeout(ctx, r.o.Timeout)
	defer stop()
	if err := r.slots.Acquire(waiting, 1); err != nil {
		return nil, err
	}
	defer r.slots.Release(1)
	r.counts.walking.Add(1)
	defer r.counts.walking.Add(-1)
	return r.ask(ctx, k)
}

// found is what a walk has learnt.
type found struct {
	batch    caller.Batch
	walked   time.Time // when it began
	sequence uint64    // and after which change
}

// ask is the walk itself: search, check every hit, join with the mirror, fetch
// the tickets, write it all down, and read the answer back from the store.
func (r *Resolver) ask(ctx context.Context, k key) (*entry, error) {
	f := &found{walked: r.clock(), sequence: r.generations.now(), batch: caller.Batch{Urgent: true}}
	mirror, err := r.o.Store.Match(k.e164, r.o.Roles)
	if err != nil {
		return nil, fmt.Errorf("read the mirror: %w", err)
	}
	if err := r.people(ctx, f, k, mirror.Callers); err != nil {
		return nil, err
	}
	joined := r.join(f, k, mirror.Callers)
	if err := r.tickets(ctx, f, joined, k.tickets); err != nil {
		return nil, err
	}
	return r.settle(ctx, f, k, mirror.Callers)
}

// people finds everyone who may have the number: the search's hits and those
// whom the mirror knows. All of them are read by id, with their identities,
// before they are believed or dropped: the search's index lags by minutes, and
// shows people as they were, or who are gone.
func (r *Resolver) people(ctx context.Context, f *found, k key, mirrored []caller.Caller) error {
	hits, complete, err := r.o.Live.Search(ctx, ani.National(k.e164))
	if err != nil {
		return err
	}
	if !complete {
		return &caller.UpstreamError{
			Fault: caller.FaultUnchecked, Err: errors.New("more hits than a search shows"),
		}
	}
	var unsure []int64
	shown := map[int64]bool{}
	for _, h := range hits {
		shown[h.User.ID] = true
		f.batch.Users = append(f.batch.Users, h)
		if h.User.Active {
			unsure = append(unsure, h.User.ID)
		}
	}
	for i := range mirrored {
		if id := mirrored[i].User.ID; !shown[id] {
			unsure = append(unsure, id)
		}
	}
	for ids := range slices.Chunk(unsure, batchIDs) {
		users, gone, err := r.o.Live.Identities(ctx, ids)
		if err != nil {
			return err
		}
		f.batch.Users = append(f.batch.Users, users...)
		f.batch.Gone = append(f.batch.Gone, gone...)
	}
	return nil
}

// has tells whether a user, as a source showed them, has the number.
func has(u *caller.UserUpdate, e164 string) bool {
	return u.User.Active && (u.Number == e164 || u.Identities != nil && slices.Contains(u.Identities.Numbers, e164))
}

// join counts the people of the walk and of the mirror together. Of two
// records of one user the later one in the walk speaks.
func (r *Resolver) join(f *found, k key, mirrored []caller.Caller) []caller.Caller {
	byID := map[int64]caller.Caller{}
	for _, c := range mirrored {
		byID[c.User.ID] = c
	}
	gone := map[int64]bool{}
	for _, g := range f.batch.Gone {
		gone[g.ID] = true
		delete(byID, g.ID)
	}
	for i := range f.batch.Users {
		u := &f.batch.Users[i]
		if gone[u.User.ID] {
			continue
		}
		if !has(u, k.e164) || !slices.Contains(r.o.Roles, u.User.Role) {
			// A hit that shows another profile phone may still have the number
			// as an identity that the mirror knows; it was read again if so.
			if u.Identities != nil || !u.User.Active {
				delete(byID, u.User.ID)
			}
			continue
		}
		c := byID[u.User.ID]
		c.User, c.Seen = u.User, u.AsOf
		byID[u.User.ID] = c
	}
	joined := make([]caller.Caller, 0, len(byID))
	for _, c := range byID {
		joined = append(joined, c)
	}
	slices.SortFunc(joined, func(a, b caller.Caller) int { return int(a.User.ID - b.User.ID) })
	return joined
}

// tickets fetches what the only person of the number waits for; those of
// several only where somebody has keyed in one of their tickets.
func (r *Resolver) tickets(ctx context.Context, f *found, joined []caller.Caller, withTickets bool) error {
	if len(joined) > 1 && !withTickets {
		return nil
	}
	for _, c := range joined[:min(len(joined), maxTicketWalks)] {
		read, err := r.o.Live.Tickets(ctx, c.User.ID)
		if fault(err) == caller.FaultNotFound {
			continue // deleted between the two requests: the next export says so
		}
		if err != nil {
			return err
		}
		f.batch.Tickets = append(f.batch.Tickets, read.Tickets...)
		if !read.Complete {
			continue
		}
		set := caller.Requested{UserID: c.User.ID, Sent: read.Sent.UnixNano(), AsOf: read.Sent}
		for i := range read.Tickets {
			if read.Tickets[i].Ticket.Unresolved() {
				set.TicketIDs = append(set.TicketIDs, read.Tickets[i].Ticket.ID)
			}
		}
		f.batch.Requested = append(f.batch.Requested, set)
	}
	return nil
}

// settle writes down what was found and reads the answer back, so that what is
// remembered is what the disk holds: also for "nobody", since an export may
// have brought somebody meanwhile. Where the writing fails or has to wait, the
// answer is given all the same, and not remembered.
func (r *Resolver) settle(ctx context.Context, f *found, k key, mirrored []caller.Caller) (*entry, error) {
	writing, stop := context.WithTimeout(ctx, applyLimit)
	defer stop()
	_, err := r.o.Store.Apply(writing, f.batch)
	if err == nil {
		var e *entry
		if e, err = r.readNow(k); err == nil {
			e.walked = f.walked
			if len(e.callers) == 0 {
				e.expires = f.walked.Add(r.o.NegativeTTL)
			}
			r.remember(k, e, true)
			return e, nil
		}
	}
	r.log.Warn("a live answer is given without being kept", slog.Any("error", err))
	e := newEntry(k.number, f.sequence, r.unwritten(f, k, mirrored))
	e.walked, e.unwritten = f.walked, true
	return e, nil
}

// unwritten is the answer of a walk that could not be written down.
func (r *Resolver) unwritten(f *found, k key, mirrored []caller.Caller) []caller.Caller {
	joined := r.join(f, k, mirrored)
	for i := range joined {
		c := &joined[i]
		if !slices.ContainsFunc(f.batch.Requested, func(s caller.Requested) bool { return s.UserID == c.User.ID }) {
			continue
		}
		c.Open, c.TicketsSeen = nil, f.walked
		for j := range f.batch.Tickets {
			if t := &f.batch.Tickets[j].Ticket; t.RequesterID == c.User.ID && t.Unresolved() {
				c.Open = append(c.Open, *t)
			}
		}
		slices.SortFunc(c.Open, func(a, b caller.Ticket) int { return int(b.CreatedAt - a.CreatedAt) })
		c.OpenCount = len(c.Open)
	}
	return joined
}
