// Package delivery is the courier: it takes what an outbox holds to Zendesk.
//
// What was accepted is never lost and arrives once. Zendesk's PUT knows no
// repetition (the same one twice is two comments), its answer can get lost, and
// a request that timed out can still land later. So each writing request is
// prepared on disk before it is sent, and leaves a mark by which it is found:
//
//   - The record's id goes with it as metadata, which Zendesk keeps in the
//     ticket's audits: the marker.
//   - A comment is bound to the ticket's updated_at as it was read before, the
//     stamp. Zendesk refuses it (409) once the ticket has moved, and a comment
//     that lands moves the ticket. So of all requests with one stamp at most one
//     can land, whenever they arrive.
//   - The record says InDoubt on disk from before the request is sent until its
//     outcome is known. In doubt, the audits are asked for the marker first; a
//     retry is bound to the same stamp; and a new stamp is read only after a 409
//     that came with audits that lack the marker: then nothing that was sent
//     before can land any more.
//
// Stamps are whole seconds. A comment that lands within the stamp's own second
// would not move it, and its retry would pass: so nothing is sent before
// Zendesk's clock is past that second (see unsettled).
//
// Whether Zendesk heeds the stamp of an update that only comments is not
// known. Where it does, a comment is there once, whenever a request that was
// given up may land. Where it does not, the audits before each retry find what
// has landed by then; what is left is a request that lands later than that:
// DoubtWait after an answer that was lost, three times as long after a kill.
//
// New tickets, and follow-ups of closed ones, go by an idempotency key, which
// Zendesk keeps for two hours; past that the requester's tickets are asked for
// the marker.
//
// A refusal by Zendesk is one of three things: an end, which fails the record
// and frees its lane; one ticket's trouble, which has that lane wait; or the
// weather, which has all wait, see weather. Delivered is only what Zendesk has
// answered for or its audits show.
//
// attempt.go is one record at work, from its reading to its end; dispatch.go
// chooses who is next, weather.go how fast.
package delivery

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/outbox"
)

// Outbox holds the records. Save returns once the record is on disk.
type Outbox interface {
	// Queued are the first of each lane, in the order of their acceptance; a
	// limit of 0 is none.
	Queued(limit int) ([]outbox.Record, error)
	Save(r outbox.Record) error
	Prune(now time.Time) (n int, err error)
}

// Mirror takes in how a ticket is after it was written to.
type Mirror interface {
	Apply(ctx context.Context, b caller.Batch) (caller.Change, error)
}

// Desk is Zendesk. Its errors are *outbox.Refusal.
type Desk interface {
	Ticket(ctx context.Context, id int64) (outbox.Sighting, error)
	Comment(ctx context.Context, w outbox.Write) (caller.TicketUpdate, error)
	Create(ctx context.Context, t outbox.NewTicket) (caller.TicketUpdate, error)
	// HasMarker and FindCreated prove that something is not there, or fail.
	HasMarker(ctx context.Context, ticketID int64, marker string) (bool, error)
	FindCreated(ctx context.Context, requesterID int64, marker string, since time.Time) (ticketID int64, found bool, err error)
}

// Options are what a Courier is made of; all but the last four are required.
type Options struct {
	Outbox Outbox
	Desk   Desk
	Mirror Mirror
	Logger *slog.Logger
	Clock  func() time.Time
	Rand   func() float64 // in [0, 1), for waits
	// FollowUpClosed has a comment for a closed ticket become a new ticket
	// that follows it; else it fails.
	FollowUpClosed bool

	Workers int           // 0 is 4
	GiveUp  time.Duration // how long a record is tried for; 0 is 7 days
	// DoubtWait is how long after a request whose outcome is unknown nothing
	// is sent for that record; 0 is 25 s, more than the client waits itself.
	DoubtWait time.Duration
	// Grace is how long what is under way may take once Run is to end; 0 is 5 s.
	Grace time.Duration
}

const (
	backoffFirst = time.Second
	backoffMost  = 5 * time.Minute
	pauseMost    = time.Minute
	pruneEvery   = 10 * time.Minute
	// ticketLimit and accountLimit are Zendesk's: updates of one user to one
	// ticket in ten minutes, and of an account in one.
	ticketLimit, accountLimit = 30, 100
)

// Courier delivers. Run it once.
type Courier struct {
	o    Options
	log  *slog.Logger
	wake chan struct{}

	mu      sync.Mutex
	lanes   map[lane]*progress
	busy    int
	ends    uint64    // how many attempts have ended
	wrote   time.Time // when Zendesk last took something
	weather weather
	account window
}

// New makes a Courier. Nothing happens before Run.
func New(o Options) *Courier {
	if o.Workers <= 0 {
		o.Workers = 4
	}
	if o.GiveUp <= 0 {
		o.GiveUp = 7 * 24 * time.Hour
	}
	if o.DoubtWait <= 0 {
		o.DoubtWait = 25 * time.Second
	}
	if o.Grace <= 0 {
		o.Grace = 5 * time.Second
	}
	o.Desk = timed{o.Desk}
	return &Courier{
		o: o, log: o.Logger, wake: make(chan struct{}, 1), lanes: map[lane]*progress{},
		account: window{limit: accountLimit, span: time.Minute},
	}
}

// Wake has the courier look at the outbox. It never blocks.
func (c *Courier) Wake() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Run delivers until ctx ends, and then waits for what is under way: it is
// given Grace to come to its end, and is in doubt on disk where it does not.
func (c *Courier) Run(ctx context.Context) error {
	working, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	var workers sync.WaitGroup
	nextPrune := c.o.Clock()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		if now := c.o.Clock(); !now.Before(nextPrune) {
			nextPrune = now.Add(pruneEvery)
			c.prune(now)
		}
		wait := min(c.dispatch(working, &workers), nextPrune.Sub(c.o.Clock()))
		timer.Reset(max(wait, 0))
		select {
		case <-timer.C:
		case <-c.wake:
		case <-ctx.Done():
		}
	}
	grace := time.AfterFunc(c.o.Grace, abort)
	defer grace.Stop()
	workers.Wait()
	return nil
}

func (c *Courier) prune(now time.Time) {
	n, err := c.o.Outbox.Prune(now)
	switch {
	case err != nil:
		c.log.Error("the outbox could not be tidied", slog.Any("error", err))
	case n > 0:
		c.log.Info("the outbox was tidied", slog.Int("removed", n))
	}
}
