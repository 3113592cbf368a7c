package cache

import (
	"context"
	"slices"
	"time"

	"aniproxy/internal/caller"
)

// refreshStale is why a lookup has something read behind its answer, beside the
// reasons to ask before it.
const refreshStale = "stale"

// withheldRole is why somebody who has a number is no candidate.
const withheldRole = "role"

// Explain tells how a lookup would be answered now, by the decisions that a
// lookup takes itself. It asks Zendesk nothing, counts nothing and changes
// nothing, but for what memory notes of how often a number is asked for. It
// answers by the deadline, with what is known then.
//
// Where a lookup would have to ask Zendesk, Answer is what would be said if it
// could not be asked; where the mirror knows nobody it is "not found" if
// absence in the mirror is proof, else "unavailable" for the reason "unproven".
// Upstream are the calls that a lookup would make, or the refresh behind it; of
// what the search will bring up nothing is known, so calls for people and
// tickets are those for whom the mirror knows.
func (r *Resolver) Explain(ctx context.Context, q caller.Query) caller.Explanation {
	read := r.o.Numbers.Normalize(q.ANI)
	s, now := r.streams.Load(), r.clock()
	x := caller.Explanation{
		Text: q.ANI, Class: read.Class.String(), Reason: read.Reason, E164: read.E164,
		Memory: holdsNothing.String(), Streams: *s,
	}
	k, told, ok := asked(q, read)
	if !ok {
		x.Answer = told
		return x
	}
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	e := r.memory.get(k.number)
	held := r.standing(k, e, s, now)
	x.Memory = held.String()
	if e != nil && held != isChanged {
		x.Walked = e.walked
	}
	x.Refreshing, x.RefreshNotBefore = r.behind.state(k.number, now)
	x.Held, _ = within(ctx, r, func() ([]caller.Held, error) { return r.held(k) })
	if (held == holdsAnswer || held == holdsNobody) && !q.Fresh {
		x.Answer = r.answer(k, e, caller.FromMemory, s, now)
	} else {
		x.Answer, x.UpstreamWhy = r.fromDisk(ctx, k, q, s)
	}
	if x.UpstreamWhy == "" && old(&x.Answer) && r.refreshing(k, now) {
		x.UpstreamWhy = refreshStale
	}
	if x.UpstreamWhy != "" {
		x.Upstream, _ = within(ctx, r, func() ([]string, error) { return r.rehearse(ctx, k) })
	}
	return x
}

// held are all people of a number, each with why a lookup passes over them.
func (r *Resolver) held(k key) ([]caller.Held, error) {
	all, err := r.o.Store.Explain(k.e164)
	for i := range all {
		if !slices.Contains(r.o.Roles, all[i].Caller.User.Role) {
			all[i].Withheld = withheldRole
		}
	}
	return all, err
}

// fromDisk is what the disk alone would answer, and why Zendesk is asked all
// the same, "" where it is not.
func (r *Resolver) fromDisk(ctx context.Context, k key, q caller.Query, s *caller.Streams) (a caller.Answer, why string) {
	known, err := r.read(ctx, k)
	now := r.clock()
	why = r.reason(k, q, known, s, now)
	switch {
	case err != nil:
		return unavailable(k, string(fault(err))), why
	case len(known.callers) == 0 && !known.proof(s, now, r.o.MaxStale, k.tickets):
		return unavailable(k, asksUnproven), why
	default:
		a = r.answer(k, known, caller.FromDisk, s, now)
		a.Stale = a.Stale || why != "" && len(known.callers) > 0 // as fallBack has it
		return a, why
	}
}

// rehearse walks with somebody in Zendesk's place who writes down what is asked.
func (r *Resolver) rehearse(ctx context.Context, k key) ([]string, error) {
	m, err := r.o.Store.Match(k.e164, r.o.Roles)
	if err != nil {
		return nil, err
	}
	z := &rehearsal{number: k.e164, known: m.Callers, now: r.clock()}
	_, err = r.ask(ctx, z, k)
	return z.calls, err
}

// rehearsal stands in for Zendesk: it says what the mirror holds, and writes
// down the calls that Zendesk would have had, by the names of their endpoints.
type rehearsal struct {
	number string
	known  []caller.Caller
	now    time.Time
	calls  []string
}

// Search knows nobody: what the index holds is not known here.
func (z *rehearsal) Search(context.Context, string) ([]caller.UserUpdate, bool, error) {
	z.calls = append(z.calls, "GET search")
	return nil, true, nil
}

// Identities shows people as the mirror has them.
func (z *rehearsal) Identities(_ context.Context, ids []int64) (users []caller.UserUpdate, gone []caller.Gone, err error) {
	z.calls = append(z.calls, "GET users/show_many")
	for i := range z.known {
		if u := &z.known[i].User; slices.Contains(ids, u.ID) {
			users = append(users, caller.UserUpdate{
				User: *u, Number: z.number, AsOf: z.now, Identities: &caller.Identities{Numbers: []string{z.number}},
			})
		}
	}
	return users, nil, nil
}

// Tickets shows none: which ones there are makes no further call.
func (z *rehearsal) Tickets(context.Context, int64) (caller.Reading, error) {
	z.calls = append(z.calls, "GET users/{id}/tickets/requested")
	return caller.Reading{Complete: true, Sent: z.now}, nil
}
