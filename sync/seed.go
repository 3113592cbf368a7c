package sync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"aniproxy/internal/caller"
)

// The first fill of tickets does not walk their history, which can be ten
// million long where two hundred thousand are unresolved. The search export
// shows just those, a thousand a page and a hundred pages a minute. Its index
// lags, so the ticket export is then read from [caller.SearchLag] before the
// first of those pages: whatever the index did not know yet has changed since,
// and comes with that. Only the end of the export makes the stream complete.

// trackUnresolved is the progress of that search.
const trackUnresolved = "unresolved"

// errNoSearch says that all unresolved tickets cannot be had by the search
// export: what they are wanted for must be done with the ticket export.
var errNoSearch = errors.New("the search export is not to be had")

// seed reads all unresolved tickets into a mirror whose ticket stream has never
// been read, and notes from when on the export is to be followed.
//
// Nothing else of it is saved, for a cursor there is good for an hour: one that
// was interrupted begins anew, and what it has brought stays.
func (s *Syncer) seed(ctx context.Context, l *leg) error {
	held := s.position(l.stream)
	if l.stream != caller.Tickets || held.Complete || held.Cursor != "" || !held.Start.IsZero() {
		return nil
	}
	sd := &seeder{s: s, track: s.further(l.run, trackUnresolved)}
	s.begin(sd.track)
	err := s.readUnresolved(ctx, sd.begin, func(p *Page) error {
		s.saw(l.run, sd.track, p)
		return sd.take(ctx, p)
	})
	switch {
	case errors.Is(err, errNoSearch):
		s.log.Warn("unresolved tickets cannot be searched for: all tickets there ever were are read", slog.Any("error", err))
		return nil
	case err != nil && ctx.Err() == nil:
		return errors.Join(err, sd.write(ctx, nil)) // the pages before the fault are good
	case err == nil:
		s.end(sd.track)
	}
	return err
}

// seeder gathers pages to be written together.
type seeder struct {
	s       *Syncer
	track   *track
	tickets []caller.TicketUpdate // not written yet
	start   time.Time             // from when on the export is to be read
	since   time.Time             // of the first page not written
}

func (d *seeder) begin() { d.start, d.since = time.Time{}, d.s.clock() }

func (d *seeder) take(ctx context.Context, p *Page) error {
	if d.start.IsZero() {
		// The earlier of both clocks: Zendesk takes no time too near to its own,
		// and reading a little more than needed does no harm.
		d.start = d.s.asked(p).Add(-caller.SearchLag)
	}
	d.tickets = append(d.tickets, p.Tickets...)
	switch {
	case p.End:
		return d.write(ctx, &caller.Position{Stream: caller.Tickets, Start: d.start})
	case len(d.tickets) >= d.s.fillRecords || d.s.clock().Sub(d.since) >= fillPause:
		return d.write(ctx, nil)
	}
	return nil
}

// write has what was gathered written, with the position after it at the end.
func (d *seeder) write(ctx context.Context, after *caller.Position) error {
	b := caller.Batch{Tickets: d.tickets, Position: after}
	if len(b.Tickets) == 0 && after == nil {
		return nil
	}
	d.tickets, d.since = nil, d.s.clock()
	if after == nil {
		return d.s.commit(ctx, d.track, b)
	}
	place := d.s.place(caller.Tickets)
	place.Lock()
	defer place.Unlock()
	return d.s.commit(ctx, d.track, b)
}

// readUnresolved hands the pages of all unresolved tickets to visit. Where the
// walk comes to nothing in the middle, because its cursor is refused or leads
// nowhere, begin is called and it begins anew, once. An errNoSearch says that
// this is no way to have them at all.
func (s *Syncer) readUnresolved(ctx context.Context, begin func(), visit func(*Page) error) error {
	for again := false; ; again = true {
		begin()
		pages := 0
		var own error // of visit
		err := s.walkUnresolved(ctx, func(p *Page) error {
			pages++
			own = visit(p)
			return own
		})
		switch {
		case err == nil || own != nil || ctx.Err() != nil:
			return err
		case pages == 0 && denied(err):
			return fmt.Errorf("%w: %w", errNoSearch, err)
		case !again && (refused(err) || leadsNowhere(err)):
			s.log.Warn("the walk of unresolved tickets begins anew", slog.Any("error", err))
		case leadsNowhere(err):
			return fmt.Errorf("%w: %w", errNoSearch, err)
		default:
			return err
		}
	}
}

// denied tells whether the account does not have, or these credentials may not
// use, what was asked for.
func denied(err error) bool {
	var up *caller.UpstreamError
	return errors.As(err, &up) &&
		(up.Fault == caller.FaultRejected || up.Fault == caller.FaultNotFound || up.Fault == caller.FaultAuth)
}

func leadsNowhere(err error) bool {
	return errors.Is(err, ErrCursorStuck) || errors.Is(err, ErrNoCursor) || errors.Is(err, ErrEndless)
}
