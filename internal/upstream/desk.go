package upstream

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/outbox"
	"aniproxy/internal/zendesk"
)

const (
	// markerName is the key of a record's id in an update's metadata.
	markerName = "aniproxy"
	// auditPages bounds the reading of a ticket's updates, 100 a page: a ticket
	// with 2,000 of them is a robot's.
	auditPages = 20
	// createdPages bounds the reading of a requester's tickets, last updated
	// first, in search of one that was just created.
	createdPages = 5
)

// Desk writes to Zendesk, on the comments' share of the budget, and tells what
// has been written. It may be used from many goroutines; every error is an
// *outbox.Refusal.
type Desk struct {
	client  *zendesk.Client
	adapter *Adapter
}

// Desk is the adapter's side for the courier.
func (a *Adapter) Desk(client *zendesk.Client) *Desk {
	return &Desk{client: client.As(zendesk.Comments), adapter: a}
}

// Ticket reads a ticket before it is written to.
func (d *Desk) Ticket(ctx context.Context, id int64) (outbox.Sighting, error) {
	t, sent, date, err := d.client.ShowTicketDated(ctx, id)
	if err != nil {
		return outbox.Sighting{}, refusal(err)
	}
	return outbox.Sighting{
		Stamp: t.UpdatedStamp, Updated: time.Unix(t.UpdatedAt, 0), Date: date, Status: t.Status,
		RequesterID: t.RequesterID, Subject: t.Subject, Update: d.adapter.ticket(t, sent, sent),
	}, nil
}

// Comment writes a comment, if the ticket has not moved since the stamp.
func (d *Desk) Comment(ctx context.Context, w outbox.Write) (caller.TicketUpdate, error) {
	a, err := d.client.UpdateTicket(ctx, w.TicketID, zendesk.TicketUpdate{
		Comment: said(w.Body, w.HTML, w.Public), Metadata: map[string]string{markerName: w.Marker}, UpdatedStamp: w.Stamp,
	})
	if err != nil {
		return caller.TicketUpdate{}, refusal(err)
	}
	return d.adapter.ticket(&a.Ticket, a.Sent, a.Sent), nil
}

// Create creates a ticket, once for each key within two hours.
func (d *Desk) Create(ctx context.Context, t outbox.NewTicket) (caller.TicketUpdate, error) {
	a, err := d.client.CreateTicket(ctx, t.Key, zendesk.NewTicket{
		Subject: t.Subject, Comment: said(t.Body, t.HTML, t.Public), RequesterID: t.RequesterID, FollowUpOf: t.FollowUpOf,
		Metadata: map[string]string{markerName: t.Marker},
	})
	if err != nil {
		return caller.TicketUpdate{}, refusal(err)
	}
	return d.adapter.ticket(&a.Ticket, a.Sent, a.Sent), nil
}

func said(body string, html, public bool) zendesk.Comment {
	if html {
		return zendesk.Comment{HTMLBody: body, Public: public}
	}
	return zendesk.Comment{Body: body, Public: public}
}

// HasMarker tells whether an update of the ticket bears the marker. false is
// proven: where the ticket has more updates than are read, it is an error.
func (d *Desk) HasMarker(ctx context.Context, ticketID int64, marker string) (bool, error) {
	audits, err := d.client.Audits(ctx, ticketID, auditPages)
	if err != nil {
		return false, refusal(err)
	}
	for i := range audits.Items {
		if custom := audits.Items[i].Custom(markerName); custom != "" && custom == marker {
			return true, nil
		}
	}
	if !audits.Complete {
		return false, &outbox.Refusal{Cause: outbox.Unproven, Err: errors.New("the ticket has more updates than are read")}
	}
	return false, nil
}

// FindCreated looks for a ticket that was created for a requester with the
// marker, at since or later. found false is proven, as with HasMarker.
func (d *Desk) FindCreated(ctx context.Context, requesterID int64, marker string, since time.Time) (ticketID int64, found bool, err error) {
	tickets, err := d.client.RequestedTickets(ctx, requesterID, createdPages)
	if err != nil {
		return 0, false, refusal(err)
	}
	all := tickets.Complete
	for i := range tickets.Items {
		t := &tickets.Items[i]
		// The list goes by the last update: behind one that was updated before
		// since, nothing was created after it. One that could not be read may
		// have stood anywhere.
		if t.UpdatedAt < since.Unix() && tickets.Skipped == 0 {
			all = true
		}
		if t.CreatedAt < since.Unix() {
			continue
		}
		has, err := d.HasMarker(ctx, t.ID, marker)
		if err != nil || has {
			return t.ID, has, err
		}
	}
	if !all {
		return 0, false, &outbox.Refusal{Cause: outbox.Unproven, Err: errors.New("the requester has more tickets than are read")}
	}
	return 0, false, nil
}

const (
	// keyReused is Zendesk's code for a key that stands for another request.
	keyReused = "IdempotentRequestError"
	// noEndpoint is its code for a path that is not there: the base URL is
	// wrong then, not the record.
	noEndpoint = "InvalidEndpoint"
)

// refusal says in the outbox's words why a call came to nothing.
func refusal(err error) error {
	var e *zendesk.Error
	if !errors.As(err, &e) {
		return &outbox.Refusal{Cause: outbox.Down, Unknown: true, Err: err}
	}
	r := &outbox.Refusal{Unknown: e.UnknownOutcome, RetryAfter: e.RetryAfter, Err: err}
	switch e.Class {
	case zendesk.ClassAuth:
		r.Cause = outbox.Auth
	case zendesk.ClassForbidden:
		r.Cause = outbox.Forbidden
	case zendesk.ClassNotFound:
		r.Cause = outbox.NotFound
	case zendesk.ClassConflict:
		// Only this code says that the ticket has moved, and so that nothing
		// which is bound to an older stamp can land any more.
		if r.Cause = outbox.Locked; e.Code == staleStamp {
			r.Cause = outbox.Conflict
		}
	case zendesk.ClassRateLimited:
		r.Cause = outbox.RateLimited
	case zendesk.ClassUnavailable:
		r.Cause = outbox.Down
	case zendesk.ClassMalformed:
		r.Cause = outbox.Malformed
	case zendesk.ClassRejected:
		r.Cause = rejection(e)
	}
	return r
}

// staleStamp is Zendesk's code for a safe update that came too late.
const staleStamp = "UpdateConflict"

// rejection says more closely why a request was rejected.
func rejection(e *zendesk.Error) outbox.Cause {
	switch {
	case e.TicketClosed():
		return outbox.Closed
	case e.Status == http.StatusUnprocessableEntity && slices.Contains(e.Fields, "status"):
		// We set no status, so it can only be in the way. The words that say
		// so are in the language of the credentials' user.
		return outbox.Closed
	case e.Code == keyReused:
		return outbox.KeyReused
	case e.Code == noEndpoint:
		return outbox.Malformed
	case e.Status == http.StatusPaymentRequired:
		return outbox.Auth // the account is suspended
	}
	return outbox.Rejected
}
