package sync

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"aniproxy/internal/caller"
)

const (
	// fillPause is how long pages of a fill may be held back to be written
	// together: what a kill costs is then a few seconds of reading.
	fillPause = 2 * time.Second
	// refusedOverlap is how far before its watermark a stream is taken up that
	// lost its cursor. What is read twice is harmless; an hour is far beyond
	// any difference of clocks.
	refusedOverlap = time.Hour
)

// errMoved says that the position under a follower is another than it left.
var errMoved = errors.New("a full walk has moved the position")

// follow reads a stream from its saved position to its end, and moves the
// position with every batch.
func (s *Syncer) follow(ctx context.Context, l *leg) error {
	if err := s.seed(ctx, l); err != nil {
		return err
	}
	for {
		err := s.followOnce(ctx, l)
		if !errors.Is(err, errMoved) {
			return err
		}
		// A full walk got further than this one and has said so while it was
		// under way: what the page held, that walk has read.
	}
}

// followOnce takes the stream up where it can be.
func (s *Syncer) followOnce(ctx context.Context, l *leg) error {
	held := s.position(l.stream)
	requests := s.entrances(held)
	for {
		f := s.follower(l, held)
		err := f.read(ctx, requests[0])
		if f.pages > 0 || len(requests) == 1 || !refused(err) {
			return err
		}
		requests = requests[1:]
		s.log.Warn("saved position refused, stream taken up by time", slog.String("stream", string(l.stream)),
			slog.Time("from", requests[0].StartTime), slog.Any("error", err))
	}
}

// entrances are the places where a stream can be taken up, the best first: the
// next one is tried where Zendesk refuses the one before. They are the saved
// cursor; the time of restart; and, so that a fill ends some time whatever is
// refused, the beginning.
func (s *Syncer) entrances(held caller.Position) []Request {
	all := make([]Request, 0, 3)
	r := Request{Stream: held.Stream, Cursor: held.Cursor, Backfill: !held.Complete}
	if r.Cursor != "" {
		all = append(all, r)
	}
	r.Cursor, r.StartTime = "", s.restart(held)
	all = append(all, r)
	if !held.Complete && !r.StartTime.IsZero() {
		r.StartTime = time.Time{}
		all = append(all, r)
	}
	return all
}

func refused(err error) bool {
	var up *caller.UpstreamError
	return errors.As(err, &up) && up.Fault == caller.FaultRejected
}

// restart is the time from which a stream is read that has no cursor, or lost
// it: an hour before its watermark, and where it never came to its end, where
// it is to begin; zero is the beginning. A watermark ahead of our clock is not
// believed, for Zendesk refuses a time too near to its own.
func (s *Syncer) restart(held caller.Position) time.Time {
	if held.Watermark.IsZero() {
		return held.Start
	}
	return earlier(held.Watermark, s.clock()).Add(-refusedOverlap)
}

// follower turns the pages of one stream into batches, each with the position
// after it.
type follower struct {
	s     *Syncer
	leg   *leg
	saved string // the cursor that the store holds
	fill  bool
	pages int

	batch  caller.Batch // whole pages not written yet
	cursor string       // after the last of them
	end    *Page        // the last of them, where it is the stream's end
	since  time.Time    // when the first of them was asked for
}

func (s *Syncer) follower(l *leg, held caller.Position) *follower {
	return &follower{s: s, leg: l, saved: held.Cursor, cursor: held.Cursor, fill: !held.Complete, since: s.clock()}
}

func (f *follower) read(ctx context.Context, r Request) error {
	f.s.begin(f.leg.track)
	err := f.s.walk(ctx, r, func(p *Page) error {
		f.pages++
		f.take(p)
		f.s.saw(f.leg.run, f.leg.track, p)
		if !f.full() {
			return nil
		}
		return f.write(ctx)
	})
	if err == nil {
		f.s.end(f.leg.track)
		return nil
	}
	if f.batch.Position != nil && ctx.Err() == nil {
		// The pages before the fault are good.
		err = errors.Join(err, f.write(ctx))
	}
	return err
}

// take adds a page to the batch. An end without a cursor, which an empty
// account might give, leaves the cursor where it was: the last page is then
// read again next time.
func (f *follower) take(p *Page) {
	f.batch.Users = append(f.batch.Users, p.Users...)
	f.batch.Tickets = append(f.batch.Tickets, p.Tickets...)
	f.batch.Position = &caller.Position{}
	if p.Next != "" {
		f.cursor = p.Next
	}
	if p.End {
		f.end = p
	}
}

// full tells whether the batch is to be written. Into an empty store large
// transactions are far cheaper; later they would hold up what is urgent.
func (f *follower) full() bool {
	return !f.fill || f.end != nil ||
		len(f.batch.Users)+len(f.batch.Tickets) >= f.s.fillRecords ||
		f.s.clock().Sub(f.since) >= fillPause
}

// write has the batch written with the position after it.
func (f *follower) write(ctx context.Context) error {
	place := f.s.place(f.leg.stream)
	place.Lock()
	defer place.Unlock()
	held := f.s.position(f.leg.stream)
	if held.Cursor != f.saved {
		f.batch = caller.Batch{}
		return errMoved
	}
	held.Cursor = f.cursor
	if f.end != nil {
		held.Complete = true
		held.Watermark = f.s.later(held.Watermark, f.s.watermark(f.end))
	}
	b := f.batch
	b.Position = &held
	f.batch = caller.Batch{} // not tried twice: after a fault the store's position speaks
	if err := f.s.commit(ctx, f.leg.track, b); err != nil {
		return err
	}
	f.saved, f.since = f.cursor, f.s.clock()
	return nil
}

// later is the later of two watermarks. A held one that is ahead of our clock,
// which has then been put back, is not believed.
func (s *Syncer) later(held, watermark time.Time) time.Time {
	if held.After(s.clock()) {
		return watermark
	}
	return later(held, watermark)
}

// apply has a batch written and counts what became of it.
func (s *Syncer) apply(ctx context.Context, t *track, b caller.Batch) (caller.Change, error) {
	change, err := s.store.Apply(ctx, b)
	if err != nil {
		return change, err
	}
	s.mu.Lock()
	t.count(change)
	s.mu.Unlock()
	if change.Accepted > 0 && len(b.Users) > 0 {
		poke(s.debts)
	}
	return change, nil
}

// walkAll reads a whole stream from the beginning beside the living mirror. It
// takes nothing out; positions are left alone until the end.
func (s *Syncer) walkAll(ctx context.Context, l *leg) error {
	s.begin(l.track)
	cursor := ""
	err := s.walk(ctx, Request{Stream: l.stream, Backfill: true}, func(p *Page) error {
		s.saw(l.run, l.track, p)
		if p.Next != "" {
			cursor = p.Next
		}
		// A change of an identity need not move its user, so that only a reading
		// of everybody's finds them all.
		b := caller.Batch{Users: p.Users, Tickets: p.Tickets, Reread: s.identities}
		if p.End {
			return s.arrive(ctx, l, p, cursor, b)
		}
		return s.commit(ctx, l.track, b)
	})
	if err == nil {
		s.end(l.track)
	}
	return err
}

// arrive writes the last batch of a walk of a whole stream. There the stream is
// as well known as by an increment that ended at the same moment, so the
// position moves to the walk's end, unless an increment has brought it further
// meanwhile.
func (s *Syncer) arrive(ctx context.Context, l *leg, end *Page, cursor string, b caller.Batch) error {
	place := s.place(l.stream)
	place.Lock()
	defer place.Unlock()
	held := s.position(l.stream)
	if at := s.watermark(end); at.After(held.Watermark) && cursor != "" {
		held.Cursor, held.Complete, held.Watermark = cursor, true, at
		b.Position = &held
	}
	return s.commit(ctx, l.track, b)
}
