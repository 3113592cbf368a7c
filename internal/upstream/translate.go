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

// translator turns wire types into the domain's.
type translator struct {
	numbers *ani.Normalizer
	roles   []string
	log     *slog.Logger
}

// user is a user in the domain. Without an entry of their own among the
// identities nothing is said of their further numbers.
func (t *translator) user(u *zendesk.User, sent, asOf time.Time, identities map[int64][]zendesk.Identity) caller.UserUpdate {
	update := caller.UserUpdate{
		User: caller.User{
			ID: u.ID, OrganizationID: u.OrganizationID, Name: u.Name, Email: u.Email, Phone: u.Phone,
			Locale: u.Locale, Role: u.Role, Tags: u.Tags, Active: u.Active, Suspended: u.Suspended,
			CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt,
		},
		Version: caller.Version{Updated: u.UpdatedAt, Sent: sent.UnixNano()},
		AsOf:    asOf,
		Object:  t.slim(u.Raw, userDrops),
	}
	update.Number, _ = t.numbers.Key(u.Phone)
	own, told := identities[u.ID]
	if !told {
		return update
	}
	ids := &caller.Identities{Sent: sent.UnixNano()}
	for _, i := range own {
		if i.Type != zendesk.PhoneIdentity {
			continue
		}
		ids.Phones = append(ids.Phones, i.Value)
		if e164, ok := t.numbers.Key(i.Value); ok {
			ids.Numbers = append(ids.Numbers, e164)
		}
	}
	update.Identities = ids
	return update
}

func (t *translator) ticket(w *zendesk.Ticket, sent, asOf time.Time) caller.TicketUpdate {
	update := caller.TicketUpdate{
		Ticket: caller.Ticket{
			ID: w.ID, RequesterID: w.RequesterID, AssigneeID: w.AssigneeID, OrganizationID: w.OrganizationID,
			GroupID: w.GroupID, BrandID: w.BrandID, FormID: w.FormID, CustomStatusID: w.CustomStatusID,
			Status: w.Status, Priority: w.Priority, Type: w.Type, Subject: w.Subject, Tags: w.Tags,
			CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt,
		},
		Version: caller.Version{Generated: w.GeneratedAt, Updated: w.UpdatedAt, Sent: sent.UnixNano()},
		AsOf:    asOf,
	}
	if update.Ticket.Unresolved() {
		update.Object = t.slim(w.Raw, ticketDrops)
	}
	return update
}

func (t *translator) slim(raw []byte, drops map[string]bool) []byte {
	slimmed, err := slim(raw, drops)
	if err != nil { // the client has decoded it: this cannot be
		t.log.Error("an object of Zendesk's could not be slimmed", slog.Any("error", err))
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

// fault says in the domain's words why a call brought no answer. An error that
// is in these words already stays as it is.
func fault(ctx context.Context, err error) error {
	var said *caller.UpstreamError
	if errors.As(err, &said) {
		return err
	}
	f := caller.FaultDown
	switch classOf(err) {
	case zendesk.ClassAuth, zendesk.ClassForbidden:
		// Also where an endpoint alone is forbidden: the exports are for admins.
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
