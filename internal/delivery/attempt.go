package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/outbox"
)

const (
	// maxConflicts is how often in a row a ticket may move between its reading
	// and the write, before the record waits: somebody is at work on it.
	maxConflicts = 5
	// keyLife is for how long an idempotency key is relied on; Zendesk keeps
	// it for two hours.
	keyLife = 110 * time.Minute
	// killedWaits is how many times DoubtWait a request that was announced may
	// be on its way after a kill, for nobody knows how far it had come: the
	// call's 45 s, and DoubtWait after it.
	killedWaits = 3
	// skew is how far Zendesk's clock may be from ours where times of the two
	// are compared.
	skew = 10 * time.Minute
	// lastTries is how often a record that is too old is tried all the same,
	// after it was taken up or somebody had it retried: a daemon that was off
	// for a week has not tried at all.
	lastTries = 8
	// applyLimit is how long a delivery waits for the mirror.
	applyLimit = 5 * time.Second
)

// attempt is one record at work. Its methods return an error only where the
// outbox could not be written; everything else is written down there.
type attempt struct {
	*Courier
	record   outbox.Record
	progress *progress
	// doubted tells whether the record was in doubt when it was taken up.
	doubted bool
}

func (a *attempt) try(ctx context.Context) error {
	if a.record.Kind == outbox.Ticket || a.record.FollowUp {
		return a.create(ctx)
	}
	return a.comment(ctx)
}

// comment takes a comment to its ticket.
func (a *attempt) comment(ctx context.Context) error {
	r := &a.record
	for range maxConflicts {
		if r.InDoubt {
			there, err := a.o.Desk.HasMarker(ctx, r.TicketID, r.ID)
			if err != nil {
				return a.refused(err)
			}
			if there {
				return a.arrived(ctx, r.TicketID)
			}
			// It is not there now. Without a stamp nothing can land later; with
			// one, only what is bound to the same stamp may be sent.
			r.InDoubt = r.Stamp != ""
		}
		if r.Stamp == "" {
			seen, err := a.o.Desk.Ticket(ctx, r.TicketID)
			switch {
			case err != nil:
				return a.refused(err)
			case seen.Status == "closed":
				return a.closed(ctx)
			case seen.Status == "deleted":
				return a.fail(outbox.NotFound, nil)
			}
			r.Stamp = seen.Stamp
			if wait := a.unsettled(&seen); wait > 0 {
				r.NextTry = a.o.Clock().Add(wait)
				return a.o.Outbox.Save(*r)
			}
		}
		moved, err := a.put(ctx)
		if !moved {
			return err
		}
	}
	return a.later(&outbox.Refusal{Cause: outbox.Conflict})
}

// put sends the comment, bound to the stamp. moved is true where the ticket
// has moved since and the comment is proven not to be there: the record is
// ready for a new stamp then.
func (a *attempt) put(ctx context.Context) (moved bool, err error) {
	r := &a.record
	doubted := r.InDoubt
	if err := a.announce(); err != nil || a.record.NextTry.IsZero() {
		return false, err
	}
	update, err := a.o.Desk.Comment(ctx, outbox.Write{
		TicketID: r.TicketID, Body: r.Body, HTML: r.HTML, Public: r.Public, Marker: r.ID, Stamp: r.Stamp,
	})
	if err == nil {
		return false, a.delivered(ctx, update.Ticket.ID, &update)
	}
	refusal := refusalOf(err)
	if refusal.Unknown {
		return false, a.later(refusal)
	}
	if doubted || refusal.Cause == outbox.Conflict {
		// An earlier one may have landed, and be why.
		there, err := a.o.Desk.HasMarker(ctx, r.TicketID, r.ID)
		switch {
		case err != nil:
			return false, a.refused(err)
		case there:
			return false, a.arrived(ctx, r.TicketID)
		}
	}
	switch refusal.Cause {
	case outbox.Conflict:
		r.Stamp, r.InDoubt, r.NextTry = "", false, time.Time{}
		return true, a.o.Outbox.Save(*r)
	case outbox.Closed: // a closed ticket takes nothing any more, late or not
		return false, a.closed(ctx)
	default:
		r.InDoubt = doubted
		return false, a.refused(refusal)
	}
}

// announce writes down that a request is about to be sent, or that it has to
// wait for Zendesk's limits: NextTry is zero then. It is the time before which,
// after a kill, nothing more is sent.
func (a *attempt) announce() error {
	now := a.o.Clock()
	a.mu.Lock()
	wait := max(a.account.wait(now), a.progress.updates.wait(now))
	if wait == 0 {
		a.account.add(now)
		a.progress.updates.add(now)
	} else {
		a.progress.notBefore = now.Add(wait)
	}
	a.mu.Unlock()
	if wait > 0 {
		a.record.NextTry = time.Time{}
		return nil
	}
	a.record.InDoubt = true
	a.record.Attempts++
	a.record.NextTry = now.Add(killedWaits * a.o.DoubtWait)
	return a.o.Outbox.Save(a.record)
}

// unsettled is for how long nothing may be bound to a stamp that was just
// read: until Zendesk's clock is past its second, by a second more for the
// machines there that are not of one mind. Most tickets were not touched in the
// last two seconds.
func (a *attempt) unsettled(seen *outbox.Sighting) time.Duration {
	const past = 2 * time.Second
	if !seen.Date.IsZero() {
		return min(seen.Updated.Add(past).Sub(seen.Date), past)
	}
	if a.o.Clock().Sub(seen.Updated) > skew {
		return 0
	}
	return past
}

// closed goes on with a comment whose ticket takes none any more.
func (a *attempt) closed(ctx context.Context) error {
	if !a.o.FollowUpClosed {
		return a.fail(outbox.Closed, nil)
	}
	r := &a.record
	// A record that comes in doubt may be from a backup, and what happened after
	// that may have been its follow-up: it is looked for first.
	r.FollowUp, r.Stamp, r.InDoubt, r.NextTry = true, "", a.doubted, time.Time{}
	if err := a.o.Outbox.Save(*r); err != nil {
		return err
	}
	return a.create(ctx)
}

// create creates a ticket: a new one, or one that follows a closed one.
func (a *attempt) create(ctx context.Context) error {
	r := &a.record
	t := outbox.NewTicket{
		Marker: r.ID, Subject: r.Subject, Body: r.Body, HTML: r.HTML, Public: r.Public, RequesterID: r.UserID,
	}
	if r.FollowUp {
		seen, err := a.o.Desk.Ticket(ctx, r.TicketID)
		if err != nil {
			return a.refused(err)
		}
		t.FollowUpOf, t.RequesterID = r.TicketID, seen.RequesterID
		if t.Subject = seen.Subject; t.Subject == "" {
			t.Subject = fmt.Sprintf("Follow-up to ticket %d", r.TicketID)
		}
	}
	for range 2 {
		if r.FirstCreate.IsZero() || a.o.Clock().Sub(r.FirstCreate) > keyLife {
			if r.InDoubt {
				if done, err := a.found(ctx, t.RequesterID); done {
					return err
				}
			}
			r.FirstCreate = a.o.Clock()
		}
		// The time is part of the key: past its life there is another one.
		t.Key = fmt.Sprintf("%s-%d", r.ID, r.FirstCreate.Unix())
		again, err := a.post(ctx, t)
		if !again {
			return err
		}
	}
	return a.later(&outbox.Refusal{Cause: outbox.KeyReused})
}

// post sends a new ticket. again is true where the key stands for another
// request and the ticket is proven not to be there.
func (a *attempt) post(ctx context.Context, t outbox.NewTicket) (again bool, err error) {
	r := &a.record
	doubted := r.InDoubt
	if err := a.announce(); err != nil || r.NextTry.IsZero() {
		return false, err
	}
	update, err := a.o.Desk.Create(ctx, t)
	if err == nil {
		return false, a.delivered(ctx, update.Ticket.ID, &update)
	}
	refusal := refusalOf(err)
	if refusal.Unknown {
		return false, a.later(refusal)
	}
	if doubted || refusal.Cause == outbox.KeyReused {
		if done, err := a.found(ctx, t.RequesterID); done {
			return false, err
		}
	}
	if refusal.Cause == outbox.KeyReused {
		r.FirstCreate = time.Time{}
		return true, nil
	}
	r.InDoubt = doubted
	return false, a.refused(refusal)
}

// found looks for a ticket that an earlier attempt may have created. done is
// true where there is nothing more to do now; else it is proven not to be
// there.
func (a *attempt) found(ctx context.Context, requesterID int64) (done bool, err error) {
	id, there, err := a.o.Desk.FindCreated(ctx, requesterID, a.record.ID, a.record.Accepted.Add(-skew))
	switch {
	case err != nil:
		return true, a.refused(err)
	case there:
		return true, a.arrived(ctx, id)
	}
	a.record.InDoubt = false
	return false, nil
}

// refused decides what a refusal comes to: wait, or the end.
func (a *attempt) refused(err error) error {
	refusal := refusalOf(err)
	switch refusal.Cause {
	case outbox.Closed, outbox.NotFound, outbox.Rejected:
		a.cleared()
		return a.fail(refusal.Cause, refusal.Err)
	case outbox.Forbidden:
		if a.forbidden() {
			return a.fail(refusal.Cause, refusal.Err)
		}
		return a.later(refusal)
	default:
		return a.later(refusal)
	}
}

// forbidden tells whether it is this record that may not be written. It may
// also be that the credentials may write nothing, which somebody can mend: so
// it is only once something else was written after this was refused.
func (a *attempt) forbidden() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.progress.forbidden.IsZero() {
		a.progress.forbidden = a.o.Clock()
	}
	return a.wrote.After(a.progress.forbidden)
}

func refusalOf(err error) *outbox.Refusal {
	var r *outbox.Refusal
	if errors.As(err, &r) {
		return r
	}
	return &outbox.Refusal{Cause: outbox.Down, Unknown: true, Err: err}
}

// later has the record wait, longer each time, or gives it up.
func (a *attempt) later(refusal *outbox.Refusal) error {
	r := &a.record
	bad := false
	switch refusal.Cause {
	case outbox.Down, outbox.RateLimited, outbox.Auth, outbox.Forbidden, outbox.Malformed:
		bad = a.clouded(r, refusal)
	default: // of this record alone
	}
	now := a.o.Clock()
	a.mu.Lock()
	a.progress.failures++
	tried := a.progress.failures
	a.mu.Unlock()
	if now.Sub(r.Accepted) > a.o.GiveUp && tried >= lastTries {
		return a.fail("gave_up: "+refusal.Cause, refusal.Err)
	}
	a.mu.Lock()
	wait := a.backoff(tried)
	if bad { // the pauses hold it back, and it should not outlast them by far
		wait = min(wait, pauseMost)
	}
	wait = max(wait, refusal.RetryAfter)
	if refusal.Unknown {
		wait = max(wait, a.o.DoubtWait)
	}
	a.progress.notBefore = now.Add(wait)
	a.mu.Unlock()
	if tried == 1 && !bad {
		a.log.Warn("a comment waits", slog.String("id", r.ID), slog.Int64("ticket", r.TicketID), slog.String("cause", string(refusal.Cause)))
	}
	r.NextTry, r.Error = now.Add(wait), reason(refusal.Cause, refusal.Err)
	return a.o.Outbox.Save(*r)
}

// fail ends it: the record is kept, and somebody may have it tried again.
func (a *attempt) fail(cause outbox.Cause, err error) error {
	r := &a.record
	r.State, r.Settled, r.NextTry = outbox.Failed, a.o.Clock(), time.Time{}
	r.Error = reason(cause, err)
	a.mu.Lock()
	a.progress.record = "" // retried by hand it begins anew
	a.mu.Unlock()
	a.log.Warn("a comment could not be delivered", slog.String("id", r.ID), slog.Int64("ticket", r.TicketID),
		slog.String("error", r.Error))
	return a.o.Outbox.Save(*r)
}

// reason is what a record says of its failure: words of ours, and the client's
// error, which has nothing in it that somebody wrote freely.
func reason(cause outbox.Cause, err error) string {
	if err == nil {
		return string(cause)
	}
	return (&outbox.Refusal{Cause: cause, Err: err}).Error()
}

// arrived settles a record that was found to be there: an earlier attempt had
// landed. The ticket is read for the mirror's sake alone.
func (a *attempt) arrived(ctx context.Context, ticketID int64) error {
	if err := a.settled(ticketID); err != nil {
		return err
	}
	if seen, err := a.o.Desk.Ticket(ctx, ticketID); err == nil {
		a.mirror(ctx, &seen.Update)
	}
	return nil
}

// delivered settles a record that Zendesk says it has.
func (a *attempt) delivered(ctx context.Context, ticketID int64, update *caller.TicketUpdate) error {
	a.mu.Lock()
	a.wrote = a.o.Clock()
	a.mu.Unlock()
	if err := a.settled(ticketID); err != nil {
		return err
	}
	a.mirror(ctx, update)
	return nil
}

func (a *attempt) settled(ticketID int64) error {
	a.cleared()
	r := &a.record
	r.State, r.Landed, r.Settled, r.InDoubt, r.NextTry, r.Error = outbox.Delivered, ticketID, a.o.Clock(), false, time.Time{}, ""
	a.log.Info("delivered", slog.String("id", r.ID), slog.Int64("ticket", ticketID), slog.Int("attempts", r.Attempts))
	return a.o.Outbox.Save(*r)
}

// mirror takes the ticket's new state in. Where that fails the next export
// brings it.
func (a *attempt) mirror(ctx context.Context, update *caller.TicketUpdate) {
	ctx, cancel := context.WithTimeout(ctx, applyLimit)
	defer cancel()
	if _, err := a.o.Mirror.Apply(ctx, caller.Batch{Tickets: []caller.TicketUpdate{*update}, Urgent: true}); err != nil {
		a.log.Warn("a ticket that was written to is not in the mirror yet", slog.String("id", a.record.ID), slog.Any("error", err))
	}
}
