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
			if a, ok := r.fromMemory(k); ok {
				return a
			}
		}
	}
	read := r.o.Numbers.Normalize(q.ANI)
	switch read.Class {
	case ani.Anonymous:
		return silent(caller.Anonymous, read.Reason)
	case ani.ShortCode:
		return silent(caller.ShortCode, read.Reason)
	case ani.Invalid:
		return silent(caller.Invalid, read.Reason)
	case ani.Number:
	}
	k, ok := keyOf(read.E164, q)
	if !ok {
		return silent(caller.Invalid, read.Reason)
	}
	if !q.Fresh {
		if a, ok := r.fromMemory(k); ok {
			return a
		}
	}
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	return r.beyond(ctx, k, q)
}

// silent is an answer for which neither the mirror nor Zendesk is asked.
func silent(o caller.Outcome, reason string) caller.Answer {
	return caller.Answer{Outcome: o, Reason: reason, Source: caller.FromNowhere}
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
	e := r.known(k)
	if e == nil {
		return caller.Answer{}, false
	}
	if len(e.callers) == 0 {
		r.counts.negative.Add(1)
	} else {
		r.counts.memory.Add(1)
	}
	return r.answer(k, e, caller.FromMemory, r.o.Store.Streams(), r.clock()), true
}

// known is what memory holds of a number, as far as it may be given as it is.
func (r *Resolver) known(k key) *entry {
	e := r.memory.get(k.number)
	if e == nil || !r.valid(e) {
		return nil
	}
	now := r.clock()
	if !e.expires.IsZero() && !now.Before(e.expires) || !e.proof(r.o.Store.Streams(), now, r.o.MaxStale, k.tickets) {
		return nil
	}
	return e
}

// valid tells whether nothing that the entry depends on has changed.
func (r *Resolver) valid(e *entry) bool {
	return e.sequence >= r.floor.Load() && r.generations.unchanged(e.sequence, e.slots)
}

// beyond answers what memory could not: from disk, and from Zendesk where the
// disk proves nothing.
func (r *Resolver) beyond(ctx context.Context, k key, q caller.Query) caller.Answer {
	known, err := r.read(ctx, k)
	if err != nil && ctx.Err() == nil {
		r.log.Error("the store could not be read for a lookup", slog.Any("error", err))
	}
	now, streams := r.clock(), r.o.Store.Streams()
	if known != nil && len(known.callers) > 0 && !q.Fresh && known.proof(streams, now, r.o.MaxStale, k.tickets) {
		r.remember(k, known, false)
		r.counts.disk.Add(1)
		return r.answer(k, known, caller.FromDisk, streams, now)
	}
	found, err := r.walk(ctx, k, q)
	if err == nil {
		if len(found.callers) > 0 {
			r.counts.live.Add(1)
		} else {
			r.counts.misses.Add(1)
		}
		return r.answer(k, found, caller.FromLive, r.o.Store.Streams(), r.clock())
	}
	return r.fallBack(k, known, fault(err))
}

// fallBack answers with what is known after Zendesk could not be asked.
func (r *Resolver) fallBack(k key, known *entry, f caller.Fault) caller.Answer {
	if known == nil || len(known.callers) == 0 {
		r.counts.misses.Add(1)
		return caller.Answer{
			Outcome: caller.Unavailable, Reason: string(f), ANI: k.e164, Source: caller.FromNowhere, Stale: true,
		}
	}
	r.counts.disk.Add(1)
	now, streams := r.clock(), r.o.Store.Streams()
	a := r.answer(k, known, caller.FromDisk, streams, now)
	a.Reason = string(f)
	return a
}

// answer says what an entry comes to at this moment.
func (r *Resolver) answer(k key, e *entry, from caller.Source, s caller.Streams, now time.Time) caller.Answer {
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

// read reads the disk under the lookup's deadline. A read that hangs keeps its
// goroutine, not the lookup.
func (r *Resolver) read(ctx context.Context, k key) (*entry, error) {
	if err := r.readers.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	type result struct {
		e   *entry
		err error
	}
	done := make(chan result, 1)
	started := r.run(func() {
		defer r.readers.Release(1)
		e, err := r.readNow(k)
		done <- result{e, err}
	})
	if !started {
		r.readers.Release(1)
		return nil, errClosed
	}
	select {
	case res := <-done:
		return res.e, res.err
	case <-ctx.Done():
		return nil, ctx.Err()
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

func (r *Resolver) remember(k key, e *entry, shown bool) {
	if e.rememberable() {
		r.memory.put(k.number, e, shown)
	}
}
