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
	w := watch{seen: map[string]struct{}{r.Cursor: {}}}
	for {
		page, err := s.source.Export(ctx, r)
		if err != nil {
			return fmt.Errorf("%s: %w", r.Stream, err)
		}
		if err := w.check(page); err != nil {
			return fmt.Errorf("%s: %w", r.Stream, err)
		}
		if err := visit(page); err != nil {
			return fmt.Errorf("%s: %w", r.Stream, err)
		}
		if page.End {
			return nil // whatever it says of a next page
		}
		r = Request{Stream: r.Stream, Cursor: page.Next, Backfill: r.Backfill}
	}
}

// watch finds out that a walk leads nowhere.
type watch struct {
	seen         map[string]struct{} // cursors read from
	newest       time.Time
	empty, still int // pages in a row
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
	if newest := newestOf(p); newest.After(w.newest) {
		w.newest, w.still = newest, 0
	}
	if w.empty > maxEmptyPages || w.still > maxStillPages {
		return ErrEndless
	}
	return nil
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
// page: by Zendesk's clock, and by ours where its date cannot be read.
func watermark(p *Page) time.Time {
	at := p.Date
	if at.IsZero() {
		at = p.Sent
	}
	return at.Add(-exportLag)
}

// later is the later of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
