package sync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"aniproxy/internal/caller"
)

// This file: what webhooks tell of is fetched and applied. queue.go: what
// waits for that. people.go: what follows from a person's change.
//
// A webhook names an object and no more, so the object is read by id, up to a
// hundred at a time, on a share of the budget that is kept for it. A flood of
// webhooks is thereby a queue of distinct objects, read in large requests; it
// holds up itself and nobody else, and past its bound the next increment
// brings what it would have brought. Users and tickets are read beside each
// other: a hundred tickets that were deleted are a hundred requests, since only
// a "not found" to the ticket itself is proof, and people need not wait for it.
// Webhooks make things sooner; they are never the only way.

const (
	// noticePause is between two requests for what webhooks told of. A single
	// event is fetched at once; the hundred of a bulk change gather meanwhile.
	noticePause = 200 * time.Millisecond
	// noticeRest and noticeRestMost bound how long a fault stops the fetching:
	// it doubles from one to the other.
	noticeRest     = time.Second
	noticeRestMost = time.Minute
	// coveredMargin is how much older than the stream's watermark an event must
	// be to be known by it: Zendesk's clock and ours may differ so much.
	coveredMargin = time.Minute
)

// Notice takes in what a webhook names, to be fetched and applied, and returns
// at once. Objects that wait already are one entry. taken is false where the
// queue has no room for all of them, or the upkeep has stopped: the next
// increment brings them, and there is nobody to be told.
func (s *Syncer) Notice(objects []caller.Object) (taken bool) {
	return s.notices.told(objects, s.clock())
}

// fetchNotices works one stream's part of the queue off until ctx ends.
func (s *Syncer) fetchNotices(ctx context.Context, stream caller.Stream) {
	defer s.notices.close()
	rest := noticeRest
	for s.awaitNotice(ctx, stream) {
		ns := s.notices.take(stream, s.clock(), s.covered())
		if len(ns) == 0 {
			continue
		}
		pause := noticePause
		err := s.guard("webhooks", func() error { return s.fetchAll(ctx, stream, ns) })
		switch {
		case err == nil:
			rest = noticeRest
			s.notices.well(stream)
		case ctx.Err() != nil:
			return
		default:
			s.notices.failed(ns, isWeather(err), s.clock())
			pause, rest = rest, min(2*rest, noticeRestMost)
			s.log.Warn("what webhooks told of was not fetched", slog.String("stream", string(stream)),
				slog.Int("objects", len(ns)), slog.Duration("rest", pause), slog.Any("error", err))
		}
		if !sleep(ctx, pause) {
			return
		}
	}
}

// awaitNotice waits until something is due; false at the end.
func (s *Syncer) awaitNotice(ctx context.Context, stream caller.Stream) bool {
	for ctx.Err() == nil {
		wait, waits := s.notices.next(stream, s.clock())
		if waits && wait == 0 {
			return true
		}
		var due <-chan time.Time
		if waits {
			due = time.After(wait)
		}
		select {
		case <-s.notices.wake(stream):
		case <-due:
		case <-ctx.Done():
		}
	}
	return false
}

// covered is the moment up to which the ticket stream is surely known.
func (s *Syncer) covered() time.Time {
	p := s.position(caller.Tickets)
	if !p.Complete || p.Watermark.IsZero() {
		return time.Time{}
	}
	return p.Watermark.Add(-coveredMargin)
}

// isWeather tells whether a fault has nothing to do with what was asked for.
func isWeather(err error) bool {
	var up *caller.UpstreamError
	if !errors.As(err, &up) {
		return false
	}
	switch up.Fault {
	case caller.FaultRejected, caller.FaultMalformed, caller.FaultNotFound, caller.FaultUnchecked, caller.FaultInternal:
		return false
	default:
		return true
	}
}

// fetchAll reads objects of one stream and applies what came.
func (s *Syncer) fetchAll(ctx context.Context, stream caller.Stream, ns []*notice) error {
	ids := make([]int64, len(ns))
	for i, n := range ns {
		ids[i] = n.object.ID
	}
	b := caller.Batch{Urgent: true}
	var (
		gone []caller.Gone
		err  error
	)
	if stream == caller.Users {
		b.Users, gone, err = s.prompt.Identities(ctx, ids)
	} else {
		b.Tickets, gone, err = s.prompt.ShowTickets(ctx, ids)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", stream, err)
	}
	again := map[*notice]time.Time{}
	if b.Gone, err = s.believed(gone, ns, again); err != nil {
		return fmt.Errorf("%s: %w", stream, err)
	}
	if stream == caller.Users {
		err = s.applyPeople(ctx, b)
	} else {
		err = s.applyTickets(ctx, b, ns)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", stream, err)
	}
	for n, due := range again {
		s.notices.later(n, due)
	}
	s.notices.done(slices.DeleteFunc(slices.Clone(ns), func(n *notice) bool {
		_, later := again[n]
		return later
	}))
	return nil
}

// believed are the "not found" that go into the mirror now. One that comes
// soon after its event is asked for again: the object may just have been
// created. It counts meanwhile where the mirror has the object, for then its
// creation is no news and nobody is to be told of it any longer; should it
// come back, the later answer wins.
func (s *Syncer) believed(gone []caller.Gone, ns []*notice, again map[*notice]time.Time) ([]caller.Gone, error) {
	var sure []caller.Gone
	for _, g := range gone {
		i := slices.IndexFunc(ns, func(n *notice) bool { return n.object.ID == g.ID })
		if i >= 0 {
			if due, ok := s.notices.doubt(ns[i], s.clock()); ok {
				again[ns[i]] = due
				held, err := s.holds(g.Stream, g.ID)
				if err != nil {
					return nil, err
				}
				if !held {
					continue
				}
			}
		}
		sure = append(sure, g)
	}
	return sure, nil
}

// holds tells whether the mirror has a living user or an unresolved ticket.
func (s *Syncer) holds(stream caller.Stream, id int64) (bool, error) {
	next, err := s.store.IDs(stream, id-1, 1)
	return len(next) == 1 && next[0] == id, err
}

// applyTickets applies tickets that were fetched, and has those people fetched
// whom they name and of whom something may be new: whoever has a ticket from a
// user who left, most likely by a merge that gave them numbers too, and
// requesters whom the mirror does not know.
func (s *Syncer) applyTickets(ctx context.Context, b caller.Batch, ns []*notice) error {
	change, err := s.store.Apply(ctx, b)
	if err != nil {
		return err
	}
	s.unsure(change)
	from := make(map[int64]int64, len(ns))
	for _, n := range ns {
		from[n.object.ID] = s.notices.origin(n)
	}
	var unknown []caller.Object
	for i := range b.Tickets {
		t := &b.Tickets[i].Ticket
		if left := from[t.ID]; left != 0 {
			if t.RequesterID != left {
				s.followUser(t.RequesterID)
			}
			continue
		}
		if !t.Unresolved() {
			continue
		}
		known, err := s.holds(caller.Users, t.RequesterID)
		if err != nil {
			return err
		}
		if !known {
			unknown = append(unknown, caller.Object{Stream: caller.Users, ID: t.RequesterID})
		}
	}
	s.notices.want(unknown, s.clock()) // at once, so that one request reads them
	return nil
}

func (s *Syncer) followUser(id int64) {
	s.notices.follow(caller.Object{Stream: caller.Users, ID: id}, 0, s.clock())
}

// unsure has those objects fetched that a batch left in doubt.
func (s *Syncer) unsure(c caller.Change) {
	s.notices.insist(c.Unsure, s.clock())
}

// sleep waits; false where ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
