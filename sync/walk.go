package sync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"aniproxy/internal/caller"
)

// The ways in which an export can go wrong without saying so.
var (
	// ErrCursorStuck says that a page's cursor had been read from before.
	ErrCursorStuck = errors.New("the export's cursor does not move on")
	// ErrNoCursor says that a page in the middle had no cursor after it.
	ErrNoCursor = errors.New("the export gave a page without a cursor")
	// ErrEndless says that pages come and bring nothing.
	ErrEndless = errors.New("the export goes on without bringing anything newer")
)

const (
	// maxEmptyPages is how many pages in a row may hold no record. Zendesk has
	// no reason for even one; at ten a minute it is a quarter of an hour.
	maxEmptyPages = 150
	// maxStillPages is how many pages in a row may hold nothing newer than the
	// pages before. A bulk change dates many records the same second; a
	// thousand pages of a thousand are more than anybody changes at once.
	maxStillPages = 1000
)

// walk reads a stream page by page, from a request to the end of the stream,
// and hands each page to visit before it asks for the next. It returns the
// first error: of the source, of visit, or one of those above, in which case
// visit has not seen the page.
func (s *Syncer) walk(ctx context.Context, r Request, visit func(*Page) error) error {
	w := newWatch(r.Cursor, newerThanBefore(), maxStillPages)
	ask := func(cursor string) (*Page, error) {
		if cursor != r.Cursor {
			r = Request{Stream: r.Stream, Cursor: cursor, Backfill: r.Backfill}
		}
		return s.source.Export(ctx, r)
	}
	return through(r.Stream, r.Cursor, w, ask, visit)
}

// walkUnresolved reads all unresolved tickets page by page, as walk does. They
// come in the order of their creation, so the time of their last change says
// nothing of whether the walk gets on: tickets that it has not had before do.
func (s *Syncer) walkUnresolved(ctx context.Context, visit func(*Page) error) error {
	w := newWatch("", othersThanBefore(), maxEmptyPages)
	ask := func(cursor string) (*Page, error) { return s.source.Unresolved(ctx, cursor) }
	return through(caller.Tickets, "", w, ask, visit)
}

// through goes from page to page, beginning at a cursor.
func through(stream caller.Stream, cursor string, w *watch, ask func(cursor string) (*Page, error), visit func(*Page) error) error {
	for {
		page, err := ask(cursor)
		if err == nil {
			err = w.check(page)
		}
		if err == nil {
			err = visit(page)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", stream, err)
		}
		if page.End {
			return nil // whatever it says of a next page
		}
		cursor = page.Next
	}
}

// watch finds out that a walk leads nowhere.
type watch struct {
	seen map[string]struct{} // cursors read from
	// brings tells whether a page brings anything; it is shown each page once.
	brings       func(*Page) bool
	most         int // pages in a row that may bring nothing
	empty, still int // pages in a row
}

func newWatch(cursor string, brings func(*Page) bool, most int) *watch {
	return &watch{seen: map[string]struct{}{cursor: {}}, brings: brings, most: most}
}

func (w *watch) check(p *Page) error {
	if p.End {
		return nil // a cursor that stays is what an end without news looks like
	}
	if p.Next == "" {
		return ErrNoCursor
	}
	if _, again := w.seen[p.Next]; again {
		return ErrCursorStuck
	}
	w.seen[p.Next] = struct{}{}
	w.empty++
	if records(p) > 0 {
		w.empty = 0
	}
	w.still++
	if w.brings(p) {
		w.still = 0
	}
	if w.empty > maxEmptyPages || w.still > w.most {
		return ErrEndless
	}
	return nil
}

// newerThanBefore tells of each page whether it holds something newer than all
// pages before.
func newerThanBefore() func(*Page) bool {
	var newest time.Time
	return func(p *Page) bool {
		is := newestOf(p)
		if !is.After(newest) {
			return false
		}
		newest = is
		return true
	}
}

// othersThanBefore tells of each page whether it holds a ticket that no page
// before held.
func othersThanBefore() func(*Page) bool {
	seen := map[int64]struct{}{}
	return func(p *Page) bool {
		before := len(seen)
		for i := range p.Tickets {
			seen[p.Tickets[i].Ticket.ID] = struct{}{}
		}
		return len(seen) > before
	}
}

// newestOf is the time of a page's newest record, zero where it has none.
func newestOf(p *Page) time.Time {
	if !p.Newest.IsZero() {
		return p.Newest
	}
	var newest int64
	see := func(v caller.Version) { newest = max(newest, v.Generated, v.Updated) }
	for i := range p.Users {
		see(p.Users[i].Version)
	}
	for i := range p.Tickets {
		see(p.Tickets[i].Version)
	}
	if newest == 0 {
		return time.Time{}
	}
	return time.Unix(newest, 0)
}

// exportLag is what an export leaves out: the newest minute.
const exportLag = time.Minute

// watermark is the moment up to which a stream is known that ended with this
// page: by Zendesk's clock, and by ours where its date cannot be read or is
// ahead of ours. An age is worked out by our clock, and what was asked for at a
// moment of ours cannot be true of a later one: a date from the future, be it
// one false answer or a clock that is wrong, would have answers pass for
// younger than they are, for as long as it lies ahead.
func (s *Syncer) watermark(p *Page) time.Time {
	return s.asked(p).Add(-exportLag)
}

// asked is when a page was asked for: by Zendesk's clock, but never later than
// now by ours.
func (s *Syncer) asked(p *Page) time.Time {
	at := p.Date
	if at.IsZero() {
		at = p.Sent
	}
	return earlier(at, s.clock())
}

// later is the later of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// earlier is the earlier of two times.
func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
