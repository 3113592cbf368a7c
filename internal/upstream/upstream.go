// Package upstream turns what Zendesk's client answers into the domain: wire
// types into updates with versions, phones into keys, objects into slim ones,
// and typed errors into the words of an answer's reason.
//
// It is the only place that knows both sides. Every phone that comes from
// Zendesk goes through the classifier that a caller's number goes through.
package upstream

import (
	"context"
	"errors"
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

// ticketPages bounds the reading of one user's tickets while a caller waits:
// 300 tickets, most recently updated first.
const ticketPages = 3

// maxUnreadable bounds the examples of one page.
const maxUnreadable = 3

// Adapter answers the questions of sync and cache by asking Zendesk. Each
// question is paid for by the share that it belongs to. All methods may be
// called from many goroutines; every error is a *caller.UpstreamError.
type Adapter struct {
	live, increments, backfill, background *zendesk.Client
	numbers                                *ani.Normalizer
	roles                                  []string
	log                                    *slog.Logger
}

// New makes an adapter; roles are those that count as callers.
func New(client *zendesk.Client, numbers *ani.Normalizer, roles []string, log *slog.Logger) *Adapter {
	return &Adapter{
		live: client.As(zendesk.Live), increments: client.As(zendesk.Increments),
		backfill: client.As(zendesk.Backfill), background: client.As(zendesk.Background),
		numbers: numbers, roles: roles, log: log,
	}
}

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
		return a.exportTickets(ctx, client, req)
	}
	return a.exportUsers(ctx, client, req)
}

func (a *Adapter) exportUsers(ctx context.Context, client *zendesk.Client, req zendesk.ExportRequest) (*caller.Page, error) {
	page, err := client.ExportUsers(ctx, req)
	if err != nil {
		return nil, fault(ctx, err)
	}
	p := newPage(page.AfterCursor, page.EndOfStream, page.Date, page.Sent)
	p.Users = make([]caller.UserUpdate, len(page.Users))
	for i := range page.Users {
		u := &page.Users[i]
		p.Users[i] = a.user(u, page.Sent, page.Sent.Add(-exportHides), page.Identities)
		p.newest(u.UpdatedAt)
		if up := &p.Users[i]; up.User.Active && up.Number == "" && up.User.Phone != "" && len(p.Unreadable) < maxUnreadable {
			p.Unreadable = append(p.Unreadable, ani.Mask(up.User.Phone))
		}
	}
	return p.Page, nil
}

func (a *Adapter) exportTickets(ctx context.Context, client *zendesk.Client, req zendesk.ExportRequest) (*caller.Page, error) {
	page, err := client.ExportTickets(ctx, req)
	if err != nil {
		return nil, fault(ctx, err)
	}
	p := newPage(page.AfterCursor, page.EndOfStream, page.Date, page.Sent)
	p.Tickets = make([]caller.TicketUpdate, len(page.Tickets))
	for i := range page.Tickets {
		t := &page.Tickets[i]
		p.Tickets[i] = a.ticket(t, page.Sent, page.Sent.Add(-exportHides))
		p.newest(max(t.GeneratedAt, t.UpdatedAt))
	}
	return p.Page, nil
}

type page struct{ *caller.Page }

func newPage(next string, end bool, date, sent time.Time) page {
	return page{&caller.Page{Next: next, End: end, Date: date, Sent: sent}}
}

func (p page) newest(seconds int64) {
	if t := time.Unix(seconds, 0); t.After(p.Newest) {
		p.Newest = t
	}
}

// Search finds users of the configured roles whose profile phone ends in the
// digits. The hits are candidates: the caller compares them.
func (a *Adapter) Search(ctx context.Context, digits string) ([]caller.UserUpdate, bool, error) {
	hits, complete, sent, err := a.live.SearchUsersByPhone(ctx, digits, a.roles)
	if err != nil {
		return nil, false, fault(ctx, err)
	}
	users := make([]caller.UserUpdate, len(hits))
	for i := range hits {
		users[i] = a.user(&hits[i], sent, sent, nil)
	}
	return users, complete, nil
}

// Tickets reads a user's tickets, the most recently updated first.
func (a *Adapter) Tickets(ctx context.Context, userID int64) (caller.Reading, error) {
	tickets, complete, sent, err := a.live.RequestedTickets(ctx, userID, ticketPages)
	if err != nil {
		return caller.Reading{}, fault(ctx, err)
	}
	r := caller.Reading{Tickets: make([]caller.TicketUpdate, len(tickets)), Complete: complete, Sent: sent}
	for i := range tickets {
		r.Tickets[i] = a.ticket(&tickets[i], sent, sent)
	}
	return r, nil
}

// Live is the adapter's side for lookups: what it asks is paid for as live.
func (a *Adapter) Live() *Live { return &Live{a} }

// Live asks while a caller waits.
type Live struct{ *Adapter }

// Identities is [Adapter.Identities], paid for as live.
func (l *Live) Identities(ctx context.Context, ids []int64) ([]caller.UserUpdate, []caller.Gone, error) {
	return l.identities(ctx, l.live, ids)
}

// Identities reads up to 100 users with all their numbers. Those who are not
// there any more come back as gone.
func (a *Adapter) Identities(ctx context.Context, ids []int64) ([]caller.UserUpdate, []caller.Gone, error) {
	return a.identities(ctx, a.background, ids)
}

func (a *Adapter) identities(ctx context.Context, client *zendesk.Client, ids []int64) ([]caller.UserUpdate, []caller.Gone, error) {
	shown, err := client.ShowManyUsers(ctx, ids, true)
	if err != nil {
		return nil, nil, fault(ctx, err)
	}
	missing := make(map[int64]bool, len(ids))
	for _, id := range ids {
		missing[id] = true
	}
	users := make([]caller.UserUpdate, 0, len(shown.Users))
	for i := range shown.Users {
		u := &shown.Users[i]
		delete(missing, u.ID)
		update, err := a.withIdentities(ctx, client, u, shown.Sent, shown.Identities)
		if err != nil {
			return nil, nil, err
		}
		users = append(users, update)
	}
	var gone []caller.Gone
	for _, id := range ids {
		if !missing[id] {
			continue
		}
		// Missing from a list is no proof: the user is asked for alone.
		u, sent, err := client.ShowUser(ctx, id)
		switch {
		case classOf(err) == zendesk.ClassNotFound:
			gone = append(gone, caller.Gone{Stream: caller.Users, ID: id, Sent: sent.UnixNano()})
		case err != nil:
			return nil, nil, fault(ctx, err)
		default:
			update, err := a.withIdentities(ctx, client, u, sent, nil)
			if err != nil {
				return nil, nil, err
			}
			users = append(users, update)
		}
	}
	return users, gone, nil
}

// withIdentities reads a user's identities where the answer that showed the
// user did not carry them.
func (a *Adapter) withIdentities(
	ctx context.Context, client *zendesk.Client, u *zendesk.User, sent time.Time, sideloaded map[int64][]zendesk.Identity,
) (caller.UserUpdate, error) {
	if sideloaded != nil || !u.Active {
		return a.user(u, sent, sent, sideloaded), nil
	}
	ids, read, err := client.UserIdentities(ctx, u.ID)
	switch {
	case classOf(err) == zendesk.ClassNotFound:
		// Gone since they were shown, or hidden: their identities are not known.
		return a.user(u, sent, sent, nil), nil
	case err != nil:
		return caller.UserUpdate{}, fault(ctx, err)
	}
	update := a.user(u, sent, sent, map[int64][]zendesk.Identity{u.ID: ids})
	update.Identities.Sent = read.UnixNano()
	return update, nil
}

func (a *Adapter) user(u *zendesk.User, sent, asOf time.Time, identities map[int64][]zendesk.Identity) caller.UserUpdate {
	update := caller.UserUpdate{
		User: caller.User{
			ID: u.ID, OrganizationID: u.OrganizationID, Name: u.Name, Email: u.Email, Phone: u.Phone,
			Locale: u.Locale, Role: u.Role, Tags: u.Tags, Active: u.Active, Suspended: u.Suspended,
			CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt,
		},
		Version: caller.Version{Updated: u.UpdatedAt, Sent: sent.UnixNano()},
		AsOf:    asOf,
		Object:  a.slim(u.Raw, userDrops),
	}
	update.Number, _ = a.numbers.Key(u.Phone)
	if identities == nil {
		return update
	}
	ids := &caller.Identities{Sent: sent.UnixNano()}
	for _, i := range identities[u.ID] {
		if i.Type != zendesk.PhoneIdentity {
			continue
		}
		ids.Phones = append(ids.Phones, i.Value)
		if e164, ok := a.numbers.Key(i.Value); ok {
			ids.Numbers = append(ids.Numbers, e164)
		}
	}
	update.Identities = ids
	return update
}

func (a *Adapter) ticket(t *zendesk.Ticket, sent, asOf time.Time) caller.TicketUpdate {
	update := caller.TicketUpdate{
		Ticket: caller.Ticket{
			ID: t.ID, RequesterID: t.RequesterID, AssigneeID: t.AssigneeID, OrganizationID: t.OrganizationID,
			GroupID: t.GroupID, BrandID: t.BrandID, FormID: t.FormID, CustomStatusID: t.CustomStatusID,
			Status: t.Status, Priority: t.Priority, Type: t.Type, Subject: t.Subject, Tags: t.Tags,
			CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt,
		},
		Version: caller.Version{Generated: t.GeneratedAt, Updated: t.UpdatedAt, Sent: sent.UnixNano()},
		AsOf:    asOf,
	}
	if update.Ticket.Unresolved() {
		update.Object = a.slim(t.Raw, ticketDrops)
	}
	return update
}

func (a *Adapter) slim(raw []byte, drops map[string]bool) []byte {
	slimmed, err := slim(raw, drops)
	if err != nil { // the client has decoded it: this cannot be
		a.log.Error("an object of Zendesk's could not be slimmed", slog.Any("error", err))
		return nil
	}
	return slimmed
}

func classOf(err error) zendesk.Class {
	var e *zendesk.Error
	if errors.As(err, &e) {
		return e.Class
	}
	return ""
}

// fault says in the domain's words why a call brought no answer.
func fault(ctx context.Context, err error) error {
	f := caller.FaultDown
	switch classOf(err) {
	case zendesk.ClassAuth, zendesk.ClassForbidden:
		f = caller.FaultAuth
	case zendesk.ClassNotFound:
		f = caller.FaultNotFound
	case zendesk.ClassConflict, zendesk.ClassRejected:
		f = caller.FaultRejected
	case zendesk.ClassRateLimited:
		f = caller.FaultRateLimited
	case zendesk.ClassMalformed:
		f = caller.FaultMalformed
	case zendesk.ClassUnavailable:
		if ctx.Err() != nil {
			f = caller.FaultDeadline
		}
	}
	return &caller.UpstreamError{Fault: f, Err: err}
}
