package cache

import (
	"context"
	"log/slog"
	"time"

	"aniproxy/internal/ani"
	"aniproxy/internal/caller"
)

// Lookup answers who has a number, by the deadline, whatever happens.
func (r *Resolver) Lookup(ctx context.Context, q caller.Query) caller.Answer {
	// A canonical number that is a key in memory is that number: only numbers
	// that normalise to themselves become keys. Anything else is read in full.
	if !q.Fresh && ani.Canonical(q.ANI) {
		if k, ok := keyOf(q.ANI, q); ok {
			if a, ok := r.fromMemory(k); ok { //nolint:contextcheck // a refresh behind it has a context of its own
				return a
			}
		}
	}
	k, told, ok := asked(q, r.o.Numbers.Normalize(q.ANI))
	if !ok {
		return told
	}
	if !q.Fresh {
		if a, ok := r.fromMemory(k); ok { //nolint:contextcheck // a refresh behind it has a context of its own
			return a
		}
	}
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	return r.beyond(ctx, k, q)
}

// asked is the number that a query is about. Where it is about none, ok is
// false and told the answer, for which neither the mirror nor Zendesk is asked.
func asked(q caller.Query, read ani.Result) (k key, told caller.Answer, ok bool) {
	told = caller.Answer{Outcome: caller.Invalid, Reason: read.Reason, Source: caller.FromNowhere}
	switch read.Class {
	case ani.Anonymous:
		told.Outcome = caller.Anonymous
	case ani.ShortCode:
		told.Outcome = caller.ShortCode
	case ani.Invalid:
	case ani.Number:
		k, ok = keyOf(read.E164, q)
	}
	return k, told, ok
}

// key is a number in both its forms, and whether the tickets of all who share
// it are asked for.
type key struct {
	number  uint64
	e164    string
	tickets bool
}

func keyOf(e164 string, q caller.Query) (key, bool) {
	number, ok := pack(e164)
	return key{number, e164, q.WithTickets}, ok
}

// fromMemory answers from the nearest tier where it can.
func (r *Resolver) fromMemory(k key) (caller.Answer, bool) {
	s, now := r.streams.Load(), r.clock() // the streams first: see Invalidate
	e := r.known(k, s, now)
	if e == nil {
		return caller.Answer{}, false
	}
	if len(e.callers) == 0 {
		r.counts.negative.Add(1)
	} else {
		r.counts.memory.Add(1)
	}
	a := r.answer(k, e, caller.FromMemory, s, now)
	if old(&a) {
		r.refreshBehind(k, now)
	}
	return a, true
}

// standing is what an entry in memory, or none, is worth to a lookup.
type standing int

const (
	holdsNothing standing = iota
	holdsAnswer
	holdsNobody
	isChanged  // what it depends on has changed since
	isExpired  // "nobody", and too long ago
	isUnproven // what is not in it may be absent or not
)

// String is the word for it in an explanation.
func (s standing) String() string {
	return [...]string{"nothing", "answer", "nobody", "changed", "expired", "unproven"}[s]
}

func (r *Resolver) standing(k key, e *entry, s *caller.Streams, now time.Time) standing {
	switch {
	case e == nil:
		return holdsNothing
	case !r.valid(e):
		return isChanged
	case !e.expires.IsZero() && !now.Before(e.expires):
		return isExpired
	case !e.proof(s, now, r.o.MaxStale, k.tickets):
		return isUnproven
	case len(e.callers) == 0:
		return holdsNobody
	default:
		return holdsAnswer
	}
}

// known is what memory holds of a number, as far as it may be given as it is.
// What may never be given again is dropped when it is met.
func (r *Resolver) known(k key, s *caller.Streams, now time.Time) *entry {
	e := r.memory.get(k.number)
	switch r.standing(k, e, s, now) {
	case holdsAnswer, holdsNobody:
		return e
	case isChanged:
		r.awake(func() { r.memory.drop(k.number) })
	case holdsNothing, isExpired, isUnproven:
	}
	return nil
}

// valid tells whether nothing that the entry depends on has changed.
func (r *Resolver) valid(e *entry) bool {
	return e.sequence >= r.floor.Load() && r.generations.unchanged(e.sequence, e.slots)
}

// beyond answers what memory could not: from disk, and from Zendesk where the
// disk does not do.
func (r *Resolver) beyond(ctx context.Context, k key, q caller.Query) caller.Answer {
	s := r.streams.Load() // before the disk is read: see Invalidate
	known, err := r.read(ctx, k)
	if err != nil && ctx.Err() == nil {
		r.log.Error("the store could not be read for a lookup", slog.Any("error", err))
	}
	now := r.clock()
	if r.reason(k, q, known, s, now) == "" {
		r.remember(k, known, false)
		r.counts.disk.Add(1)
		a := r.answer(k, known, caller.FromDisk, s, now)
		if old(&a) {
			r.refreshBehind(k, now) //nolint:contextcheck // it outlives the lookup
		}
		return a
	}
	found, err := r.walk(ctx, k, q)
	if err == nil {
		if len(found.callers) > 0 {
			r.counts.live.Add(1)
		} else {
			r.counts.misses.Add(1)
		}
		return r.answer(k, found, caller.FromLive, s, r.clock())
	}
	return r.fallBack(k, known, s, fault(err))
}

// Why Zendesk is asked although somebody waits, in a word.
const (
	asksFresh    = "fresh"    // the query wants it so
	asksUnknown  = "unknown"  // the mirror knows nobody
	asksUnproven = "unproven" // a stream has not yet been read to its end
)

// reason is why what the disk holds does not do, and Zendesk has to be asked
// before the answer; "" where it does.
func (r *Resolver) reason(k key, q caller.Query, known *entry, s *caller.Streams, now time.Time) string {
	switch {
	case q.Fresh:
		return asksFresh
	case known == nil || len(known.callers) == 0:
		return asksUnknown
	case !known.proof(s, now, r.o.MaxStale, k.tickets):
		return asksUnproven
	default:
		return ""
	}
}

// fallBack answers with what is known after Zendesk could not be asked. It is
// stale however young it is: more was asked for.
func (r *Resolver) fallBack(k key, known *entry, s *caller.Streams, f caller.Fault) caller.Answer {
	now, from, hits := r.clock(), caller.FromDisk, &r.counts.disk
	if known == nil { // the disk hangs, and who asks for a fresh answer has not looked into memory
		known, from, hits = r.known(k, s, now), caller.FromMemory, &r.counts.memory
	}
	if known != nil && !r.valid(known) {
		// The walk took its time. Most of what may have changed meanwhile is
		// no reason to say nothing; an erasure is.
		known = &entry{callers: r.present(known.callers)}
	}
	if known == nil || len(known.callers) == 0 {
		r.counts.misses.Add(1)
		return unavailable(k, string(f))
	}
	hits.Add(1)
	a := r.answer(k, known, from, s, now)
	a.Stale, a.Reason = true, string(f)
	return a
}

func unavailable(k key, reason string) caller.Answer {
	return caller.Answer{Outcome: caller.Unavailable, Reason: reason, ANI: k.e164, Source: caller.FromNowhere, Stale: true}
}

// answer says what an entry comes to at this moment.
func (r *Resolver) answer(k key, e *entry, from caller.Source, s *caller.Streams, now time.Time) caller.Answer {
	a := caller.Answer{ANI: k.e164, Callers: e.callers, Source: from, Age: e.age(s, now, k.tickets)}
	a.Stale = a.Age > r.o.MaxStale || !e.proof(s, now, r.o.MaxStale, k.tickets)
	switch len(e.callers) {
	case 0:
		a.Outcome, a.Reason = caller.NotFound, "no_user"
	case 1:
		a.Outcome, a.Reason = caller.Found, "none"
	default:
		a.Outcome, a.Reason = caller.Ambiguous, "shared_number"
	}
	return a
}

// read reads the disk under the lookup's deadline.
func (r *Resolver) read(ctx context.Context, k key) (*entry, error) {
	return within(ctx, r, func() (*entry, error) { return r.readNow(k) })
}

// within reads the disk under a deadline. A read that hangs keeps its
// goroutine, not the lookup.
func within[T any](ctx context.Context, r *Resolver, read func() (T, error)) (none T, err error) {
	if err := r.readers.Acquire(ctx, 1); err != nil {
		return none, err
	}
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	started := r.run(func() {
		defer r.readers.Release(1)
		v, err := read()
		done <- result{v, err}
	})
	if !started {
		r.readers.Release(1)
		return none, errClosed
	}
	select {
	case res := <-done:
		return res.v, res.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// readNow reads the disk; the sequence is noted first.
func (r *Resolver) readNow(k key) (*entry, error) {
	sequence := r.generations.now()
	m, err := r.o.Store.Match(k.e164, r.o.Roles)
	if err != nil {
		return nil, err
	}
	return newEntry(k.number, sequence, m.Callers), nil
}

// remember keeps an entry, as far as it is still true.
func (r *Resolver) remember(k key, e *entry, shown bool) {
	if e.rememberable() && r.valid(e) {
		r.admit(k, e, shown)
	}
}

// admit puts an entry into memory. What it depends on may change, or memory be
// purged, while it is on its way: then it is taken out again, so that of
// somebody who was erased meanwhile nothing stays behind, unseen as it would be.
func (r *Resolver) admit(k key, e *entry, shown bool) {
	r.awake(func() {
		r.memory.put(k.number, e, shown)
		if !r.valid(e) {
			r.memory.drop(k.number)
		}
	})
}
