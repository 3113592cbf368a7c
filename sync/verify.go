package sync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/status"
)

// A run of mode verify compares the whole mirror with Zendesk and changes
// nothing. The walks of all users and of all unresolved tickets only tell whom
// to suspect, for a page is as old as the export or the index that it comes
// from: whoever differs there, and whomever the mirror has beyond it. Each
// suspect is then read by id and compared with the mirror as it is at that
// moment. What differs is looked at once more when the stream has come past the
// first look, so that nothing is told that was merely on its way.

// secondLook is how long that is waited for: an increment's turn, and the
// minute that an export leaves out.
const secondLook = 3 * time.Minute

// verify does such a run. What it has found is told of even where one of the
// streams could not be compared.
func (s *Syncer) verify(ctx context.Context, r *run) error {
	var all [2]differing
	err := s.bothLegs(r, func(l *leg) error {
		found, err := s.verifyStream(ctx, l)
		if l.stream == caller.Users {
			all[0] = found
		} else {
			all[1] = found
		}
		return err
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, found := range all {
		for _, d := range found.first {
			if len(r.job.Differences) < status.MaxDifferences {
				r.job.Differences = append(r.job.Differences,
					status.Difference{Stream: string(d.Stream), ID: d.ID, Field: d.Field, Since: d.Since})
			}
		}
		r.job.DifferenceCount += found.count
		r.job.DifferingObjects += int64(len(found.objects))
	}
	return err
}

// differing is in what a stream differs. A mirror of which nothing is right any
// more has tens of millions of differences, so only the first are kept, and of
// the others what can be counted.
type differing struct {
	first   []caller.Difference // status.MaxDifferences at the most
	count   int64
	objects []int64 // ascending
}

// add takes in the differences of objects above all before.
func (f *differing) add(diffs []caller.Difference) {
	slices.SortStableFunc(diffs, func(x, y caller.Difference) int { return cmp.Compare(x.ID, y.ID) })
	f.first = append(f.first, diffs[:min(len(diffs), status.MaxDifferences-len(f.first))]...)
	f.count += int64(len(diffs))
	f.objects = append(f.objects, objectsOf(diffs)...)
}

// audit compares one stream. It keeps ids alone, eight bytes a record.
type audit struct {
	s        *Syncer
	leg      *leg
	seen     []int64 // in the walk
	suspects []int64
	byID     *track
}

func (s *Syncer) verifyStream(ctx context.Context, l *leg) (differing, error) {
	a := &audit{s: s, leg: l}
	s.begin(l.track)
	if err := a.walk(ctx); err != nil {
		return differing{}, err
	}
	s.end(l.track)
	if err := a.beyond(); err != nil {
		return differing{}, err
	}
	began := s.clock()
	first, err := a.look(ctx, a.suspects)
	if err != nil || first.count == 0 {
		return differing{}, err
	}
	for s.clock().Sub(began) < secondLook && !s.position(l.stream).Watermark.After(began) {
		if !sleep(ctx, time.Second) {
			return differing{}, ctx.Err()
		}
	}
	return a.look(ctx, first.objects)
}

// walk reads all there is of the stream.
func (a *audit) walk(ctx context.Context) error {
	s, l := a.s, a.leg
	r := Request{Stream: l.stream, Backfill: true}
	if l.stream == caller.Users {
		return s.walk(ctx, r, a.page)
	}
	s.expect(l.track, max(s.store.Size().Tickets, 1))
	err := s.readUnresolved(ctx, func() {}, a.page)
	if errors.Is(err, errNoSearch) {
		s.log.Warn("unresolved tickets cannot be searched for: all tickets there ever were are compared", slog.Any("error", err))
		s.expect(l.track, 0)
		err = s.walk(ctx, r, a.page)
	}
	return err
}

// page compares a page with the mirror.
func (a *audit) page(p *Page) error {
	a.s.saw(a.leg.run, a.leg.track, p)
	for i := range p.Users {
		a.seen = append(a.seen, p.Users[i].User.ID)
	}
	for i := range p.Tickets {
		if t := &p.Tickets[i].Ticket; t.Unresolved() {
			a.seen = append(a.seen, t.ID)
		}
	}
	diffs, err := a.compare(caller.Batch{Users: p.Users, Tickets: p.Tickets})
	a.suspects = append(a.suspects, objectsOf(diffs)...)
	return err
}

func (a *audit) compare(b caller.Batch) ([]caller.Difference, error) {
	if !a.s.identities {
		for i := range b.Users {
			b.Users[i].Identities = nil // the mirror does not claim to know them
		}
	}
	diffs, err := a.s.store.Compare(b)
	if err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	return diffs, nil
}

// beyond suspects whatever the mirror has that the walk has not shown.
func (a *audit) beyond() error {
	slices.Sort(a.seen)
	for after := int64(0); ; {
		ids, err := a.s.store.IDs(a.leg.stream, after, 1000)
		if err != nil {
			return fmt.Errorf("list the mirror: %w", err)
		}
		if len(ids) == 0 {
			break
		}
		after = ids[len(ids)-1]
		for _, id := range ids {
			if _, shown := slices.BinarySearch(a.seen, id); !shown {
				a.suspects = append(a.suspects, id)
			}
		}
	}
	a.seen = nil
	slices.Sort(a.suspects)
	a.suspects = slices.Compact(a.suspects)
	return nil
}

// look reads objects by ascending id and tells in what the mirror differs from them. What
// has changed after the moment up to which the stream is known is not told: the
// mirror does not claim to know it.
func (a *audit) look(ctx context.Context, ids []int64) (found differing, err error) {
	if a.byID == nil && len(ids) > 0 {
		a.byID = a.s.further(a.leg.run, trackByID(a.leg.stream))
		a.s.expect(a.byID, 0)
	}
	if a.byID != nil {
		a.s.begin(a.byID)
		a.s.expectMore(a.byID, len(ids))
	}
	for part := range slices.Chunk(ids, identitiesAtOnce) {
		known := a.s.position(a.leg.stream).Watermark // before the reading: what is older than that is in the mirror by now
		var b caller.Batch
		if a.leg.stream == caller.Users {
			b.Users, b.Gone, err = a.s.source.Identities(ctx, part)
		} else {
			b.Tickets, b.Gone, err = a.s.source.ShowTickets(ctx, part)
		}
		if err != nil {
			return differing{}, fmt.Errorf("%s by id: %w", a.leg.stream, err)
		}
		a.s.read(a.byID, len(part))
		diffs, err := a.compare(b)
		if err != nil {
			return differing{}, err
		}
		found.add(slices.DeleteFunc(diffs, func(d caller.Difference) bool { return !d.Since.Before(known) }))
	}
	if a.byID != nil {
		a.s.end(a.byID)
	}
	return found, nil
}
