package delivery

import (
	"context"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/outbox"
)

const (
	// callMost is how long one request may take, with all that the client does
	// around it: an attempt is 20 s there at most. A Retry-After that does not
	// fit comes back as a refusal at once, and is waited out in the outbox
	// instead of by a worker.
	callMost = 45 * time.Second
	// searchMost is the same for what reads page after page.
	searchMost = 2 * time.Minute
)

// timed is a Desk whose calls end in time.
type timed struct{ desk Desk }

func (d timed) Ticket(ctx context.Context, id int64) (outbox.Sighting, error) {
	ctx, cancel := context.WithTimeout(ctx, callMost)
	defer cancel()
	return d.desk.Ticket(ctx, id)
}

func (d timed) Comment(ctx context.Context, w outbox.Write) (caller.TicketUpdate, error) {
	ctx, cancel := context.WithTimeout(ctx, callMost)
	defer cancel()
	return d.desk.Comment(ctx, w)
}

func (d timed) Create(ctx context.Context, t outbox.NewTicket) (caller.TicketUpdate, error) {
	ctx, cancel := context.WithTimeout(ctx, callMost)
	defer cancel()
	return d.desk.Create(ctx, t)
}

func (d timed) HasMarker(ctx context.Context, ticketID int64, marker string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, searchMost)
	defer cancel()
	return d.desk.HasMarker(ctx, ticketID, marker)
}

func (d timed) FindCreated(ctx context.Context, requesterID int64, marker string, since time.Time) (int64, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, searchMost)
	defer cancel()
	return d.desk.FindCreated(ctx, requesterID, marker, since)
}
