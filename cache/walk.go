package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"aniproxy/internal/ani"
	"aniproxy/internal/caller"
	"aniproxy/internal/caught"
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
			landed
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
			res.landed, _ = v.(landed)
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
			if res.err != nil {
				return nil, res.err
			}
			if q.Fresh && !res.asked {
				continue // who led was content with what was known
			}
			if r.valid(res.e) {
				return res.e, nil
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

// landed is what a flight brought, and whether Zendesk was asked for it.
type landed struct {
	e     *entry
	asked bool
}

// lead begins the walk, unless one has ended since the lookup looked into memory
// or the client may not ask.
func (r *Resolver) lead(k key, q caller.Query) (landed, error) {
	if !q.Fresh {
		if e := r.sinceWalked(k); e != nil {
			return landed{e: e}, nil
		}
	}
	if q.AllowLive != nil && !q.AllowLive() {
		return landed{}, errBudget
	}
	e, err := r.walkOnce(k)
	return landed{e, true}, err
}

// sinceWalked is what another walk may have brought since this lookup looked,
// nil where there is nothing: in memory, or on disk alone, for memory drops what
// it is given when it is busy.
func (r *Resolver) sinceWalked(k key) *entry {
	s := r.streams.Load()
	if e := r.known(k, s, r.clock()); e != nil {
		return e
	}
	e, err := r.readNow(k)
	if err != nil || r.reason(k, caller.Query{}, e, s, r.clock()) != "" {
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
// may walk at the same time. Where what it found cannot be written down, or has
// to wait, the answer is given all the same, and not remembered.
func (r *Resolver) walkOnce(k key) (e *entry, err error) {
	ctx, cancel := context.WithTimeout(r.ctx, walkLimit)
	defer cancel()
	defer r.contain("a live lookup", &err)
	waiting, stop := context.WithTimeout(ctx, r.o.Timeout)
	defer stop()
	if err := r.slots.Acquire(waiting, 1); err != nil {
		return nil, err
	}
	defer r.slots.Release(1)
	r.counts.walking.Add(1)
	defer r.counts.walking.Add(-1)
	defer r.behind.spare(k.number)()
	f, err := r.ask(ctx, r.o.Live, k)
	if err != nil {
		return nil, err
	}
	writing, unwait := context.WithTimeout(ctx, applyLimit)
	defer unwait()
	if e, err = r.keep(writing, f); err != nil {
		r.log.Warn("a live answer is given without being kept", slog.Any("error", err))
		e = newEntry(k.number, f.sequence, r.unwritten(f))
		e.walked, e.unwritten = f.walked, true
	}
	return e, nil
}

// contain makes an error of a panic, and tells of it in the log.
func (r *Resolver) contain(in string, err *error) {
	if value := recover(); value != nil {
		p := caught.New(in, value)
		r.log.Error("a walk panicked", slog.Any("error", p), slog.String("stack", p.Stack))
		*err = p
	}
}

// found is what a walk has learnt.
type found struct {
	key      key
	mirrored []caller.Caller // who had the number by the mirror as it began
	batch    caller.Batch
	walked   time.Time // when it began
	sequence uint64    // and after which change
}

// ask is the walk itself: search, check every hit, join with the mirror, fetch
// the tickets. It changes nothing. Whom it asks is whose budget it is on.
func (r *Resolver) ask(ctx context.Context, zendesk Live, k key) (*found, error) {
	f := &found{key: k, walked: r.clock(), sequence: r.generations.now(), batch: caller.Batch{Urgent: true}}
	mirror, err := r.o.Store.Match(k.e164, r.o.Roles)
	if err != nil {
		return nil, fmt.Errorf("read the mirror: %w", err)
	}
	f.mirrored = mirror.Callers
	if err := r.people(ctx, zendesk, f); err != nil {
		return nil, err
	}
	if err := r.tickets(ctx, zendesk, f, r.join(f)); err != nil {
		return nil, err
	}
	return f, nil
}

// people finds everyone who may have the number: the search's hits and those
// whom the mirror knows. All of them are read by id, with their identities: the
// search's index lags by minutes, and shows people as they were, or who are
// gone. So a hit is an id to ask for, and nothing that it shows is believed.
// Those who were erased are not asked for.
func (r *Resolver) people(ctx context.Context, zendesk Live, f *found) error {
	hits, complete, err := zendesk.Search(ctx, ani.National(f.key.e164))
	if err != nil {
		return err
	}
	if !complete {
		return &caller.UpstreamError{
			Fault: caller.FaultUnchecked, Err: errors.New("more hits than a search shows"),
		}
	}
	var ids []int64
	unread := map[int64]bool{}
	add := func(id int64) {
		if !unread[id] && !r.o.Store.Erased(id) {
			unread[id] = true
			ids = append(ids, id)
		}
	}
	for i := range hits {
		add(hits[i].User.ID)
	}
	for i := range f.mirrored {
		add(f.mirrored[i].User.ID)
	}
	for some := range slices.Chunk(ids, batchIDs) {
		users, gone, err := zendesk.Identities(ctx, some)
		if err != nil {
			return err
		}
		for i := range users {
			delete(unread, users[i].User.ID)
		}
		for _, g := range gone {
			delete(unread, g.ID)
		}
		f.batch.Users = append(f.batch.Users, users...)
		f.batch.Gone = append(f.batch.Gone, gone...)
	}
	if len(unread) > 0 {
		return &caller.UpstreamError{
			Fault: caller.FaultMalformed, Err: errors.New("somebody who may have the number could not be read"),
		}
	}
	return nil
}

// has tells whether a user, as a source showed them, has the number.
func has(u *caller.UserUpdate, e164 string) bool {
	return u.User.Active && (u.Number == e164 || u.Identities != nil && slices.Contains(u.Identities.Numbers, e164))
}

// join counts the people of the walk and of the mirror together. What the walk
// read of somebody goes before what the mirror holds.
func (r *Resolver) join(f *found) []caller.Caller {
	byID := map[int64]caller.Caller{}
	for _, c := range f.mirrored {
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
		if !has(u, f.key.e164) || !slices.Contains(r.o.Roles, u.User.Role) {
			// Where their identities could not be read, they may still have the
			// number as one that the mirror knows.
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
	slices.SortFunc(joined, func(a, b caller.Caller) int { return cmp.Compare(a.User.ID, b.User.ID) })
	return r.present(joined)
}

// present leaves out whom an erasure has taken out since they were read: among
// those who have the number, with their tickets, and among the assignees.
func (r *Resolver) present(callers []caller.Caller) []caller.Caller {
	there := make([]caller.Caller, 0, len(callers))
	for _, c := range callers {
		if r.o.Store.Erased(c.User.ID) {
			continue
		}
		c.Assignees = slices.DeleteFunc(slices.Clone(c.Assignees), func(p caller.Person) bool { return r.o.Store.Erased(p.ID) })
		there = append(there, c)
	}
	return there
}

// tickets fetches what the only person of the number waits for; those of
// several only where somebody has keyed in one of their tickets.
func (r *Resolver) tickets(ctx context.Context, zendesk Live, f *found, joined []caller.Caller) error {
	if len(joined) > 1 && !f.key.tickets {
		return nil
	}
	for _, c := range joined[:min(len(joined), maxTicketWalks)] {
		read, err := zendesk.Tickets(ctx, c.User.ID)
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

// keep writes down what was found and reads the answer back, so that what is
// remembered is what the disk holds: also for "nobody", since an export may
// have brought somebody meanwhile. ctx bounds the waiting for the writer.
func (r *Resolver) keep(ctx context.Context, f *found) (*entry, error) {
	if _, err := r.o.Store.Apply(ctx, f.batch); err != nil {
		return nil, err
	}
	e, err := r.readNow(f.key)
	if err != nil {
		return nil, err
	}
	e.walked = f.walked
	if len(e.callers) == 0 {
		e.expires = f.walked.Add(r.o.NegativeTTL)
	}
	r.remember(f.key, e, true)
	return e, nil
}

// unwritten are the people of a walk that could not be written down.
func (r *Resolver) unwritten(f *found) []caller.Caller {
	joined := r.join(f)
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
