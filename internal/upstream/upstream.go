// Package upstream turns what Zendesk's client answers into the domain: wire
// types into updates with versions, phones into keys, objects into slim ones,
// and typed errors into the words of an answer's reason.
//
// It is the only place that knows both sides. Every phone that comes from
// Zendesk goes through the classifier that a caller's number goes through.
//
// This file: whole streams, and who pays for what. reader.go: single people
// and tickets. translate.go: records and faults. slim.go: objects as they are
// kept. desk.go: what is written.
package upstream

import (
	"context"
	"log/slog"
	"time"

	"aniproxy/internal/ani"
	"aniproxy/internal/caller"
	"aniproxy/internal/zendesk"
)

// exportHides is how much of the newest past an export leaves out (Zendesk's
// documentation: the newest minute). So much older than its sending is the
// moment that a page is certainly true of.
const exportHides = time.Minute

// unresolved is the search for every ticket that still waits for something,
// the counterpart of [caller.Ticket.Unresolved].
const unresolved = "status<solved"

// maxUnreadable bounds the examples of one page.
const maxUnreadable = 3

// Adapter answers the questions of sync and cache by asking Zendesk. Each
// question is paid for by the share that it belongs to; its own are paid for
// as background. All methods may be called from many goroutines; every error
// is a *caller.UpstreamError.
type Adapter struct {
	*Reader
	live, prompt         *Reader
	increments, backfill *zendesk.Client
}

// New makes an adapter; roles are those that count as callers.
func New(client *zendesk.Client, numbers *ani.Normalizer, roles []string, log *slog.Logger) *Adapter {
	t := &translator{numbers: numbers, roles: roles, log: log}
	reader := func(s zendesk.Share) *Reader { return &Reader{translator: t, client: client.As(s)} }
	return &Adapter{
		Reader: reader(zendesk.Background), live: reader(zendesk.Live), prompt: reader(zendesk.Webhooks),
		increments: client.As(zendesk.Increments), backfill: client.As(zendesk.Backfill),
	}
}

// Live reads while a caller waits.
func (a *Adapter) Live() *Reader { return a.live }

// Prompt reads what webhooks have told of, and whom an admin asks for.
func (a *Adapter) Prompt() *Reader { return a.prompt }

// Background reads with what the others leave over.
func (a *Adapter) Background() *Reader { return a.Reader }

// Export reads one page of an export.
func (a *Adapter) Export(ctx context.Context, r caller.PageRequest) (*caller.Page, error) {
	client := a.increments
	if r.Backfill {
		client = a.backfill
	}
	req := zendesk.ExportRequest{Cursor: r.Cursor, IncludeIdentities: r.Stream == caller.Users}
	if !r.StartTime.IsZero() {
		req.StartTime = r.StartTime.Unix()
	}
	if r.Stream == caller.Tickets {
		page, err := client.ExportTickets(ctx, req)
		if err != nil {
			return nil, fault(ctx, err)
		}
		return a.tickets(page, page.Sent, page.Sent.Add(-exportHides)), nil
	}
	page, err := client.ExportUsers(ctx, req)
	if err != nil {
		return nil, fault(ctx, err)
	}
	return a.users(page), nil
}

// Unresolved reads one page of all unresolved tickets, by the search export; an
// empty cursor is the first. The search's index lags: its records count as sent
// and as true [caller.SearchLag] earlier than they were, so that none wins
// against a record of the same version from anywhere else. A cursor is good for
// an hour and then caller.FaultRejected.
func (a *Adapter) Unresolved(ctx context.Context, cursor string) (*caller.Page, error) {
	page, err := a.backfill.SearchTickets(ctx, unresolved, cursor)
	if err != nil {
		return nil, fault(ctx, err)
	}
	indexed := page.Sent.Add(-caller.SearchLag)
	return a.tickets(page, indexed, indexed), nil
}

// users is a page of people in the domain.
func (a *Adapter) users(page *zendesk.UserPage) *caller.Page {
	p := &caller.Page{
		Next: page.AfterCursor, End: page.EndOfStream, Date: page.Date, Sent: page.Sent, Skipped: page.Skipped,
		Users: make([]caller.UserUpdate, len(page.Users)),
	}
	for i := range page.Users {
		u := a.user(&page.Users[i], page.Sent, page.Sent.Add(-exportHides), page.Identities)
		p.Users[i] = u
		newest(p, u.User.UpdatedAt)
		if u.User.Active && u.Number == "" && u.User.Phone != "" && len(p.Unreadable) < maxUnreadable {
			p.Unreadable = append(p.Unreadable, ani.Mask(u.User.Phone))
		}
	}
	return p
}

// tickets is a page of tickets in the domain. The records count as sent, and
// as true, at these times.
func (a *Adapter) tickets(page *zendesk.TicketPage, sent, asOf time.Time) *caller.Page {
	p := &caller.Page{
		Next: page.AfterCursor, End: page.EndOfStream, Date: page.Date, Sent: page.Sent, Skipped: page.Skipped,
		Tickets: make([]caller.TicketUpdate, len(page.Tickets)),
	}
	for i := range page.Tickets {
		t := &page.Tickets[i]
		p.Tickets[i] = a.ticket(t, sent, asOf)
		newest(p, max(t.GeneratedAt, t.UpdatedAt))
	}
	return p
}

func newest(p *caller.Page, seconds int64) {
	if t := time.Unix(seconds, 0); t.After(p.Newest) {
		p.Newest = t
	}
}
