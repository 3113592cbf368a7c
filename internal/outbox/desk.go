package outbox

import (
	"fmt"
	"time"

	"aniproxy/internal/caller"
)

// Sighting is a ticket as it was read before writing to it.
type Sighting struct {
	// Stamp is its updated_at as Zendesk wrote it, Updated the same as a time,
	// in whole seconds.
	Stamp   string
	Updated time.Time
	// Date is Zendesk's own clock as it answered, in whole seconds; zero where
	// it did not say.
	Date        time.Time
	Status      string
	RequesterID int64
	Subject     string
	// Update is the ticket for the mirror.
	Update caller.TicketUpdate
}

// Write is a comment to be written.
type Write struct {
	TicketID     int64
	Body         string
	HTML, Public bool
	// Marker is kept by Zendesk beside the comment, and finds it again.
	Marker string
	// Stamp has the write refused where the ticket has moved since.
	Stamp string
}

// NewTicket is a ticket to be created.
type NewTicket struct {
	// Key makes a repetition give the same ticket, for two hours.
	Key           string
	Marker        string // as Write.Marker
	Subject, Body string
	HTML, Public  bool
	RequesterID   int64
	FollowUpOf    int64 // the closed ticket that it follows, 0 for none
}

// Cause says why Zendesk did not do what it was asked, in a word.
type Cause string

// The causes.
const (
	Closed      Cause = "ticket_closed"
	Conflict    Cause = "conflict"      // the ticket has moved since the stamp
	Locked      Cause = "ticket_locked" // a 409 that is about something else than the stamp
	NotFound    Cause = "not_found"
	Rejected    Cause = "rejected"
	KeyReused   Cause = "key_reused" // the idempotency key stands for another request
	RateLimited Cause = "rate_limited"
	Auth        Cause = "auth"
	Forbidden   Cause = "forbidden" // not for these credentials: all of it, or this ticket
	Down        Cause = "zendesk_unavailable"
	Malformed   Cause = "malformed_answer"
	Unproven    Cause = "unproven" // too much to read to tell whether it is there
)

// Refusal is a request to Zendesk that did not come to the end asked for.
type Refusal struct {
	Cause Cause
	// Unknown is true of a write that may have been done all the same.
	Unknown bool
	// RetryAfter is how long Zendesk asked to wait, 0 where it did not.
	RetryAfter time.Duration
	// Err is the client's, whose text has no personal data.
	Err error
}

func (r *Refusal) Error() string {
	if r.Err == nil {
		return string(r.Cause)
	}
	return fmt.Sprintf("%s: %v", r.Cause, r.Err)
}

// Unwrap gives the client's own error.
func (r *Refusal) Unwrap() error { return r.Err }
