package sync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/status"
)

// A full run finds what nothing else tells of: people who have vanished from
// the export, and whatever was lost on the way. It works beside the living
// mirror. Everything is walked and applied like any other page; what the walk
// did not show is a candidate, no more; each candidate is asked for by its id;
// and only those of whom Zendesk says "not found" are taken out, by the one
// door and if nothing newer has come meanwhile. Nobody who reads sees a hole.
//
// What is not found counts against the guard before any of it goes. What is
// found to be solved, deleted or inactive does not: that is Zendesk's word on
// the object itself, which an increment would follow as well, while "not found"
// is also what credentials get that may not see it.
//
// Where the walk of the users stands is on disk with its pages. Whatever ends a
// walk, the next run within a day goes on there; see goesOn for one that has
// ended.

const (
	// sweepMargin is how long before the run's beginning a source must have
	// confirmed an object for it to be no candidate: far more than the clocks
	// differ and an export leaves out.
	sweepMargin = 5 * time.Minute
	// sweepKept is how long a full run can be gone on with. A later one begins
	// anew: the mirror was walked long ago then.
	sweepKept = 24 * time.Hour
	// guardFrom is how many a mirror must hold of a kind for the guard to count:
	// of a handful, half may well have left.
	guardFrom = 100
	// goneAtOnce bounds the transaction that takes objects out while serving.
	goneAtOnce = 50
)

// trackByID is the progress of asking for objects of a stream by their ids.
func trackByID(stream caller.Stream) string { return string(stream) + "_by_id" }

// GuardError says that a full run has taken nothing of a kind out, because it
// would have been more than the guard allows.
type GuardError struct {
	Stream caller.Stream
	Gone   int     // not to be found; there may be more, for it stopped there
	Held   int64   // in the mirror at the beginning
	Guard  float64 // the share of Held that may go
}

func (e *GuardError) Error() string {
	return fmt.Sprintf("%s: %d or more of the %d in the mirror would go, and sync.delete_guard (%g) allows %d: none was taken out; "+
		"see whether these credentials may see them; a full run with --force, within a day, goes on from here and takes them out",
		e.Stream, e.Gone, e.Held, e.Guard, int64(e.Guard*float64(e.Held)))
}

// resumable tells whether a sweep on disk can be gone on with.
func resumable(w caller.Sweep, now time.Time) bool {
	return !w.Began.IsZero() && !w.Began.After(now) && now.Sub(w.Began) < sweepKept
}

// resumeSweep asks for the run that the last daemon did not end.
func (s *Syncer) resumeSweep(ctx context.Context) {
	err := s.guard("resume", func() error {
		held, err := s.store.Sweep()
		switch {
		case err != nil || held.Began.IsZero():
			return err
		case !resumable(held, s.clock()) || !s.store.Streams().Filled():
			_, err := s.store.Apply(ctx, caller.Batch{Sweep: &caller.Sweep{}})
			return err
		}
		_, err = s.Start(status.Request{Mode: modeFull, Trigger: triggerResume, Force: held.Force})
		return err
	})
	if err != nil {
		s.log.Warn("the full run that was under way is not gone on with", slog.Any("error", err))
	}
}

// sweep does a full run.
func (s *Syncer) sweep(ctx context.Context, r *run) error {
	state, err := s.beginSweep(ctx, r)
	if err != nil {
		return err
	}
	err = s.bothLegs(r, func(l *leg) error {
		if l.stream == caller.Users {
			return s.sweepUsers(ctx, l, state)
		}
		return s.sweepTickets(ctx, l, state)
	})
	if err != nil {
		return err
	}
	_, err = s.store.Apply(ctx, caller.Batch{Sweep: &caller.Sweep{}})
	return err
}

// beginSweep takes up what an earlier run has left, or begins anew.
func (s *Syncer) beginSweep(ctx context.Context, r *run) (caller.Sweep, error) {
	state, err := s.store.Sweep()
	if err != nil {
		return state, fmt.Errorf("where the full run stands: %w", err)
	}
	if now := s.clock(); !resumable(state, now) || state.Walked && !s.goesOn(r) {
		size := s.store.Size()
		state = caller.Sweep{Began: now, Users: size.Users, Tickets: size.Tickets}
	}
	state.Force = s.forced(r) // one that is gone on with after a restart asks as it was asked for
	_, err = s.store.Apply(ctx, caller.Batch{Sweep: &state})
	return state, err
}

// goesOn tells whether a run takes up one whose walk has ended: after a
// restart, and where it may pass over the guard that stopped it. Any other
// asks for what is so now, and walks.
func (s *Syncer) goesOn(r *run) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return r.force || r.job.Trigger == triggerResume
}

// forced tells whether a run may pass over the guard: it can be asked for with
// that while it goes on.
func (s *Syncer) forced(r *run) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return r.force
}

// sweepUsers walks all users and asks for those whom nothing shows.
func (s *Syncer) sweepUsers(ctx context.Context, l *leg, state caller.Sweep) error {
	if !state.Walked {
		s.begin(l.track)
		pages, err := s.walkUsers(ctx, l, &state)
		if pages == 0 && state.Cursor != "" && refused(err) {
			s.log.Warn("the full run's cursor is refused: its walk begins anew", slog.Any("error", err))
			state.Cursor = ""
			_, err = s.walkUsers(ctx, l, &state)
		}
		if err != nil {
			return err
		}
		s.end(l.track)
	}
	d := s.departure(l, state, state.Users)
	if err := d.candidates(ctx, func(int64) bool { return false }); err != nil {
		return err
	}
	return d.takeOut(ctx)
}

// walkUsers walks on from where the sweep stands.
func (s *Syncer) walkUsers(ctx context.Context, l *leg, state *caller.Sweep) (pages int, err error) {
	r := Request{Stream: l.stream, Cursor: state.Cursor, Backfill: true}
	err = s.walk(ctx, r, func(p *Page) error {
		pages++
		s.saw(l.run, l.track, p)
		if p.Next != "" {
			state.Cursor = p.Next
		}
		state.Walked = p.End
		after := *state
		// A change of an identity need not move its user, so that only a reading
		// of everybody's finds them all.
		b := caller.Batch{Users: p.Users, Reread: s.identities, Sweep: &after}
		if p.End {
			return s.arrive(ctx, l, p, after.Cursor, b)
		}
		return s.commit(ctx, l.track, b)
	})
	return pages, err
}

// sweepTickets goes through all unresolved tickets there are, and asks for
// those that the mirror has beyond them.
func (s *Syncer) sweepTickets(ctx context.Context, l *leg, state caller.Sweep) error {
	d := s.departure(l, state, state.Tickets)
	shown := map[int64]struct{}{}
	s.begin(l.track)
	s.expect(l.track, max(state.Tickets, 1))
	err := s.readUnresolved(ctx, func() {}, func(p *Page) error {
		s.saw(l.run, l.track, p)
		for i := range p.Tickets {
			shown[p.Tickets[i].Ticket.ID] = struct{}{}
		}
		return d.indexed(ctx, p.Tickets)
	})
	if errors.Is(err, errNoSearch) {
		s.log.Warn("unresolved tickets cannot be searched for: the full run walks all tickets there ever were", slog.Any("error", err))
		s.expect(l.track, 0)
		clear(shown)
		err = s.walkAll(ctx, l)
	}
	if err != nil {
		return err
	}
	s.end(l.track)
	err = d.candidates(ctx, func(id int64) bool {
		_, ok := shown[id]
		return ok
	})
	if err != nil {
		return err
	}
	if err := d.takeOut(ctx); err != nil {
		return err
	}
	// What was confirmed within the last minutes was no candidate, and may be
	// resolved by now: the export brings it, as for an increment.
	newest := *l
	newest.track = &track{stream: string(l.stream)}
	return s.follow(ctx, &newest)
}

// departure gathers what is not to be found of one kind any more, and takes it
// out once it is known how much that is.
type departure struct {
	s      *Syncer
	leg    *leg
	since  time.Time // what was confirmed since is no candidate
	held   int64     // at the beginning
	force  bool
	gone   []caller.Gone // held by the mirror when they were asked for
	byID   *track
	doubts map[int64]struct{} // tickets asked for already
}

func (s *Syncer) departure(l *leg, state caller.Sweep, held int64) *departure {
	return &departure{
		s: s, leg: l, since: state.Began.Add(-sweepMargin), held: held, force: state.Force, doubts: map[int64]struct{}{},
	}
}

// indexed takes in a page of the search. Where the mirror agrees, that is one
// more source that has confirmed it; where it does not, either may be the one
// that is behind, so Zendesk is asked for the ticket itself.
func (d *departure) indexed(ctx context.Context, tickets []caller.TicketUpdate) error {
	diffs, err := d.s.store.Compare(caller.Batch{Tickets: tickets})
	if err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	differ := objectsOf(diffs)
	agreed := make([]caller.TicketUpdate, 0, len(tickets))
	for i := range tickets {
		if _, found := slices.BinarySearch(differ, tickets[i].Ticket.ID); !found {
			agreed = append(agreed, tickets[i])
		}
	}
	if err := d.s.commit(ctx, d.leg.track, caller.Batch{Tickets: agreed}); err != nil {
		return err
	}
	return d.ask(ctx, differ)
}

// candidates asks for whatever the mirror has that no source has confirmed, but
// for what is to be passed over.
func (d *departure) candidates(ctx context.Context, pass func(id int64) bool) error {
	after := int64(0)
	for {
		ids, next, err := d.s.store.Unseen(d.leg.stream, d.since, after)
		if err != nil {
			return fmt.Errorf("list what nothing has confirmed: %w", err)
		}
		if err := d.ask(ctx, slices.DeleteFunc(ids, pass)); err != nil {
			return err
		}
		if next == 0 {
			return nil
		}
		after = next
	}
}

// ask asks for objects by id, applies what is there, and keeps in mind what is
// not.
func (d *departure) ask(ctx context.Context, ids []int64) error {
	ids = slices.DeleteFunc(ids, func(id int64) bool {
		_, again := d.doubts[id]
		d.doubts[id] = struct{}{}
		return again
	})
	if len(ids) == 0 {
		return nil
	}
	if d.byID == nil {
		d.byID = d.s.further(d.leg.run, trackByID(d.leg.stream))
		d.s.expect(d.byID, 0)
	}
	d.s.expectMore(d.byID, len(ids))
	for part := range slices.Chunk(ids, identitiesAtOnce) {
		held, err := d.heldOf(part)
		if err != nil {
			return err
		}
		gone, err := d.s.readByID(ctx, d.s.source, d.leg.stream, part, false)
		if err != nil {
			return err
		}
		d.s.read(d.byID, len(part))
		if err := d.left(held, gone); err != nil {
			return err
		}
		if d.forbidden() {
			return &GuardError{Stream: d.leg.stream, Gone: len(d.gone), Held: d.held, Guard: d.s.deleteGuard}
		}
	}
	return nil
}

// heldOf are those of the ids that the mirror holds.
func (d *departure) heldOf(ids []int64) ([]int64, error) {
	held := make([]int64, 0, len(ids))
	for _, id := range ids {
		ok, err := d.s.holds(d.leg.stream, id)
		if err != nil {
			return nil, err
		}
		if ok {
			held = append(held, id)
		}
	}
	return held, nil
}

// left notes what came of objects that the mirror held when they were asked
// for: those that are not found are still to go, and what is in the mirror no
// longer has gone by what Zendesk shows of it.
func (d *departure) left(held []int64, gone []caller.Gone) error {
	still, err := d.heldOf(held)
	if err != nil {
		return err
	}
	for _, g := range gone {
		if slices.Contains(still, g.ID) {
			d.gone = append(d.gone, g)
		}
	}
	d.removed(len(held) - len(still))
	return nil
}

// forbidden tells whether more is to go than the guard allows.
func (d *departure) forbidden() bool {
	return d.held >= guardFrom && float64(len(d.gone)) > d.s.deleteGuard*float64(d.held) && !d.force && !d.s.forced(d.leg.run)
}

// takeOut takes out what is not to be found, unless something newer has come
// meanwhile.
func (d *departure) takeOut(ctx context.Context) error {
	if d.byID != nil {
		d.s.end(d.byID)
	}
	for part := range slices.Chunk(d.gone, goneAtOnce) {
		ids := make([]int64, len(part))
		for i, g := range part {
			ids[i] = g.ID
		}
		held, err := d.heldOf(ids)
		if err != nil {
			return err
		}
		if err := d.s.commit(ctx, d.leg.track, caller.Batch{Gone: part}); err != nil {
			return err
		}
		still, err := d.heldOf(held)
		if err != nil {
			return err
		}
		d.removed(len(held) - len(still))
	}
	return nil
}

// removed counts what the run has taken out.
func (d *departure) removed(n int) {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	job := &d.leg.run.job
	if d.leg.stream == caller.Users {
		job.RemovedUsers += int64(n)
	} else {
		job.RemovedTickets += int64(n)
	}
}
