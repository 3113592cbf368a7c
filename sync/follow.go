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
//
// A saved cursor that Zendesk refuses is given up once: the stream is then
// taken up by time, an hour before its watermark, or from the beginning where
// it has none.
func (s *Syncer) follow(ctx context.Context, l *leg) error {
	for {
		held := s.position(l.stream)
		r := Request{Stream: l.stream, Cursor: held.Cursor, Backfill: !held.Complete}
		f := s.follower(l, held)
		err := f.read(ctx, r)
		if f.pages == 0 && held.Cursor != "" && refused(err) {
			r.Cursor, r.StartTime = "", s.restart(held)
			s.log.Warn("saved cursor refused, stream taken up by time", slog.String("stream", string(l.stream)),
				slog.Time("from", r.StartTime), slog.Any("error", err))
			f = s.follower(l, held)
			err = f.read(ctx, r)
		}
		if !errors.Is(err, errMoved) {
			return err
		}
		// A full walk got further than this one and has said so while it was
		// under way: what the page held, that walk has read.
	}
}

func refused(err error) bool {
	var up *caller.UpstreamError
	return errors.As(err, &up) && up.Fault == caller.FaultRejected
}

// restart is the time from which a stream is read that lost its cursor; zero
// is the beginning. A watermark from a clock ahead of ours is not believed,
// for Zendesk refuses a time too near to its own.
func (s *Syncer) restart(held caller.Position) time.Time {
	if held.Watermark.IsZero() {
		return time.Time{}
	}
	from := held.Watermark
	if now := s.clock(); now.Before(from) {
		from = now
	}
	return from.Add(-refusedOverlap)
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
	f.s.begin(f.leg)
	err := f.s.walk(ctx, r, func(p *Page) error {
		f.pages++
		f.take(p)
		f.s.saw(f.leg, p)
		if !f.full() {
			return nil
		}
		return f.write(ctx)
	})
	if err == nil {
		f.s.end(f.leg)
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
		held.Watermark = later(held.Watermark, watermark(f.end))
	}
	b := f.batch
	b.Position = &held
	f.batch = caller.Batch{} // not tried twice: after a fault the store's position speaks
	if err := f.s.apply(ctx, f.leg, b); err != nil {
		return err
	}
	f.saved, f.since = f.cursor, f.s.clock()
	return nil
}

// apply has a batch of an export written and counts what became of it.
func (s *Syncer) apply(ctx context.Context, l *leg, b caller.Batch) error {
	change, err := s.store.Apply(ctx, b)
	if err != nil {
		return err
	}
	s.mu.Lock()
	l.track.count(change)
	s.mu.Unlock()
	if change.Accepted > 0 && len(b.Users) > 0 {
		poke(s.debts)
	}
	return nil
}

// walkAll reads a whole stream from the beginning beside the living mirror.
// Positions are left alone until the end. There the stream is as well known as
// by an increment that ended at the same moment, so the position moves to the
// walk's end, unless an increment has brought it further meanwhile.
func (s *Syncer) walkAll(ctx context.Context, l *leg) error {
	s.begin(l)
	cursor := ""
	err := s.walk(ctx, Request{Stream: l.stream, Backfill: true}, func(p *Page) error {
		s.saw(l, p)
		if p.Next != "" {
			cursor = p.Next
		}
		// A change of an identity need not move its user, so that only a reading
		// of everybody's finds them all.
		b := caller.Batch{Users: p.Users, Tickets: p.Tickets, Reread: s.identities}
		if !p.End {
			return s.apply(ctx, l, b)
		}
		place := s.place(l.stream)
		place.Lock()
		defer place.Unlock()
		held := s.position(l.stream)
		if end := watermark(p); end.After(held.Watermark) && cursor != "" {
			held.Cursor, held.Complete, held.Watermark = cursor, true, end
			b.Position = &held
		}
		return s.apply(ctx, l, b)
	})
	if err == nil {
		s.end(l)
	}
	return err
}
