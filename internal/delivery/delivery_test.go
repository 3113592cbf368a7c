package delivery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/outbox"
	"aniproxy/internal/zendesk/zendesktest"
)

func TestACommentArrivesAndTheMirrorLearnsOfIt(t *testing.T) {
	w := newWorld(t, nil)
	ticketID, _ := w.ticket("pending")
	id := w.comment(ticketID)
	w.run(w.options(), w.settled)
	w.expect(ticketID, id)
	r := w.record(id)
	if r.State != outbox.Delivered || r.Landed != ticketID || r.Attempts != 1 || r.InDoubt || r.Error != "" || r.Settled.IsZero() {
		t.Errorf("the record is %+v", r)
	}
	comments := w.sim.Truth().Comments(ticketID)
	if last := comments[len(comments)-1]; last.Public {
		t.Error("the customer sees it")
	}
	if n := len(w.mirror.tickets); n != 1 || w.mirror.tickets[0].ID != ticketID || w.mirror.tickets[0].Status != "pending" {
		t.Errorf("the mirror was given %+v", w.mirror.tickets)
	}
	if log := w.log.String(); strings.Contains(log, "body of") || strings.Contains(log, "dial") {
		t.Errorf("the log tells what was written: %s", log)
	}
}

func TestPublicOnlyWhereTheRecordSays(t *testing.T) {
	w := newWorld(t, nil)
	ticketID, _ := w.ticket("open")
	w.accept(outbox.Record{Kind: outbox.Comment, TicketID: ticketID, Public: true})
	w.run(w.options(), w.settled)
	comments := w.sim.Truth().Comments(ticketID)
	if last := comments[len(comments)-1]; !last.Public {
		t.Error("the customer does not see it")
	}
}

// A ticket that an agent solved during the call takes the comment; a closed one
// takes none.
func TestSolvedAndClosedTickets(t *testing.T) {
	w := newWorld(t, nil)
	solved, _ := w.ticket("solved")
	closed, _ := w.ticket("closed")
	one, two := w.comment(solved), w.comment(closed)
	w.run(w.options(), w.settled)
	w.expect(solved, one)
	w.expect(closed)
	if r := w.record(two); r.State != outbox.Failed || r.Error != "ticket_closed" {
		t.Errorf("the comment for a closed ticket is %s: %s", r.State, r.Error)
	}
}

func TestAFollowUpOfAClosedTicket(t *testing.T) {
	w := newWorld(t, nil)
	closed, requester := w.ticket("closed")
	id := w.comment(closed)
	o := w.options()
	o.FollowUpClosed = true
	w.run(o, w.settled)
	r := w.record(id)
	if r.State != outbox.Delivered || r.Landed == closed || !r.FollowUp {
		t.Fatalf("the record is %+v", r)
	}
	made, _ := w.sim.Truth().Ticket(r.Landed)
	if made.RequesterID != requester {
		t.Errorf("the follow-up is of %d, want %d", made.RequesterID, requester)
	}
	if made.Subject != "No dial tone" {
		t.Errorf("the follow-up is about %q", made.Subject)
	}
	w.expect(closed)
}

func TestATicketThatIsGone(t *testing.T) {
	w := newWorld(t, nil)
	deleted, _ := w.ticket("open")
	if err := w.sim.DeleteTicket(deleted); err != nil {
		t.Fatal(err)
	}
	one, two := w.comment(deleted), w.comment(99_999_999)
	w.run(w.options(), w.settled)
	for _, id := range []string{one, two} {
		if r := w.record(id); r.State != outbox.Failed || !strings.HasPrefix(r.Error, "not_found") {
			t.Errorf("%s is %s: %s", id, r.State, r.Error)
		}
	}
}

func TestANewTicketIsCreatedOnceThoughItsAnswerIsLost(t *testing.T) {
	w := newWorld(t, nil)
	_, requester := w.ticket("open")
	before := len(w.sim.Truth().TicketsOf(requester))
	w.sim.Fail(zendesktest.Fault{Method: "POST", Path: "/api/v2/tickets", Count: 1, Perform: true, Reset: true})
	id := w.accept(outbox.Record{Kind: outbox.Ticket, UserID: requester, Subject: "Call", Body: "body of record-1"})
	w.run(w.options(), w.settled)
	r := w.record(id)
	if after := w.sim.Truth().TicketsOf(requester); len(after) != before+1 || r.State != outbox.Delivered {
		t.Fatalf("%d tickets, the record is %+v", len(after)-before, r)
	}
	if made, _ := w.sim.Truth().Ticket(r.Landed); made.Subject != "Call" || !made.Private {
		t.Errorf("the ticket is %+v", made)
	}
}

// Past the life of the idempotency key the requester's tickets tell whether the
// ticket is there.
func TestANewTicketIsFoundAgainWhenItsKeyIsForgotten(t *testing.T) {
	for name, landed := range map[string]bool{"it was created": true, "it was not": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			_, requester := w.ticket("open")
			before := len(w.sim.Truth().TicketsOf(requester))
			w.sim.Fail(zendesktest.Fault{Method: "POST", Path: "/api/v2/tickets", Count: 1, Perform: landed, Status: 500, Body: "{}"})
			id := w.accept(outbox.Record{Kind: outbox.Ticket, UserID: requester, Subject: "Call"})
			o := w.options()
			o.DoubtWait = time.Hour
			w.run(o, func() bool { return w.record(id).InDoubt && w.record(id).Error != "" })
			w.pass(3 * time.Hour)
			w.run(w.options(), w.settled)
			if after := w.sim.Truth().TicketsOf(requester); len(after) != before+1 {
				t.Errorf("%d new tickets", len(after)-before)
			}
			if made, _ := w.sim.Truth().Ticket(w.record(id).Landed); made.Subject != "Call" {
				t.Errorf("it landed as %+v", made)
			}
		})
	}
}

func TestOrderWithinATicket(t *testing.T) {
	w := newWorld(t, nil)
	ticketID, _ := w.ticket("open")
	w.sim.Fail(zendesktest.Fault{Method: "PUT", Path: "/api/v2/tickets/*", Count: 2, Status: 500, Body: `{"error":"x"}`})
	ids := []string{w.comment(ticketID), w.comment(ticketID), w.comment(ticketID)}
	w.run(w.options(), w.settled)
	w.expect(ticketID, ids...)
}

// One ticket that Zendesk cannot update does not hold up the others.
func TestAPoisonedTicketStopsNobodyElse(t *testing.T) {
	w := newWorld(t, nil)
	bad, _ := w.ticket("open")
	defer w.sim.Fail(zendesktest.Fault{Method: "PUT", Path: fmt.Sprintf("/api/v2/tickets/%d", bad), Status: 500, Body: "{}"})()
	poisoned := w.comment(bad)
	var good []int64
	var ids []string
	for range 5 {
		ticketID, _ := w.ticket("open")
		good, ids = append(good, ticketID), append(ids, w.comment(ticketID))
	}
	w.run(w.options(), func() bool { return w.outbox.Status().Queued == 1 })
	for i := range good {
		w.expect(good[i], ids[i])
	}
	if r := w.record(poisoned); r.State != outbox.Queued || r.Attempts == 0 {
		t.Errorf("the other one is %+v", r)
	}
}

func TestWhatIsWaitedOut(t *testing.T) {
	tests := []struct {
		name  string
		fault zendesktest.Fault
	}{
		{"429 with a time", zendesktest.Fault{Method: "PUT", Count: 4, Status: 429, Header: map[string][]string{"Retry-After": {"1"}}, Body: `{"error":"APIRateLimitExceeded"}`}},
		{"credentials that are refused", zendesktest.Fault{Method: "PUT", Count: 2, Status: 401, Body: `{"error":"Couldn't authenticate you"}`}},
		{"forbidden", zendesktest.Fault{Count: 1, Status: 403, Body: `{"error":"Forbidden"}`}},
		{"a storm", zendesktest.Fault{Count: 5, Status: 500, Body: "oops"}},
		{"an edge's page", zendesktest.Fault{Method: "PUT", Count: 2, HTML: true}},
		{"garbage after the write", zendesktest.Fault{Method: "PUT", Count: 1, Perform: true, Garbage: true}},
		{"half an answer", zendesktest.Fault{Method: "PUT", Count: 1, CutBodyAt: 20}},
		{"a conflict", zendesktest.Fault{Method: "PUT", Count: 2, Status: 409, Body: `{"error":"UpdateConflict"}`}},
		{"a reset", zendesktest.Fault{Method: "PUT", Count: 1, Reset: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			ticketID, _ := w.ticket("open")
			w.sim.Fail(tt.fault)
			id := w.comment(ticketID)
			w.run(w.options(), w.settled)
			w.expect(ticketID, id)
			if r := w.record(id); r.State != outbox.Delivered {
				t.Errorf("it is %s: %s", r.State, r.Error)
			}
		})
	}
}

func TestItIsGivenUpInTheEnd(t *testing.T) {
	w := newWorld(t, nil)
	ticketID, _ := w.ticket("open")
	remove := w.sim.Fail(zendesktest.Fault{Method: "PUT", Status: 500, Body: "{}"})
	id := w.comment(ticketID)
	w.run(w.options(), func() bool { return w.record(id).Error != "" })
	w.pass(8 * 24 * time.Hour)
	w.run(w.options(), w.settled)
	if r := w.record(id); r.State != outbox.Failed || !strings.HasPrefix(r.Error, "gave_up") {
		t.Errorf("it is %s: %s", r.State, r.Error)
	}
	remove()
	if _, err := w.outbox.Retry(id); err != nil {
		t.Fatal(err)
	}
	w.run(w.options(), w.settled)
	w.expect(ticketID, id)
}

// A 409 that is not about the stamp frees no new one: what was sent before may
// still land.
func TestALockedTicketKeepsItsStamp(t *testing.T) {
	w := newWorld(t, nil)
	ticketID, _ := w.ticket("open")
	w.sim.Fail(zendesktest.Fault{Method: "PUT", Path: "/api/v2/tickets/*", Count: 1, Status: 409, Body: `{"error":"Conflict","description":"locked"}`})
	id := w.comment(ticketID)
	o := w.options()
	desk := &noting{Desk: w.desk}
	o.Desk = desk
	w.run(o, w.settled)
	w.expect(ticketID, id)
	if len(desk.stamps) != 2 || desk.stamps[0] != desk.stamps[1] || desk.read != 1 {
		t.Errorf("the stamps are %q, of %d readings", desk.stamps, desk.read)
	}
}

// noting notes the stamps that writes are bound to, and how often one was read.
// It is for one record, whose steps come one after the other.
type noting struct {
	Desk
	stamps []string
	read   int
}

func (d *noting) Ticket(ctx context.Context, id int64) (outbox.Sighting, error) {
	d.read++
	return d.Desk.Ticket(ctx, id)
}

func (d *noting) Comment(ctx context.Context, w outbox.Write) (caller.TicketUpdate, error) {
	d.stamps = append(d.stamps, w.Stamp)
	return d.Desk.Comment(ctx, w)
}

func TestAnAgentWhoWritesInBetween(t *testing.T) {
	w := newWorld(t, nil)
	ticketID, _ := w.ticket("open")
	id := w.comment(ticketID)
	o := w.options()
	edits := 0
	o.Desk = &watched{Desk: w.desk, beforeComment: func() {
		if edits++; edits <= 2 {
			w.pass(10 * time.Second)
			if err := w.sim.AddComment(ticketID, "from an agent", true); err != nil {
				t.Error(err)
			}
			w.pass(10 * time.Second)
		}
	}}
	w.run(o, w.settled)
	w.expect(ticketID, id)
	if r := w.record(id); r.Attempts != 3 {
		t.Errorf("%d attempts, want 3", r.Attempts)
	}
}

// watched looks on as requests are made.
type watched struct {
	Desk
	beforeComment func()
}

func (d *watched) Comment(ctx context.Context, w outbox.Write) (caller.TicketUpdate, error) {
	d.beforeComment()
	return d.Desk.Comment(ctx, w)
}

// Stamps are whole seconds. A comment that lands in the stamp's own second does
// not move it: without the wait its retry would pass.
func TestAStampOfThisSecondIsWaitedOut(t *testing.T) {
	w := newWorld(t, nil)
	ticketID, _ := w.ticket("open")
	if err := w.sim.AddComment(ticketID, "just now", false); err != nil {
		t.Fatal(err)
	}
	touched := w.clock().Unix()
	// The first write lands and its answer is lost; the audits cannot be read,
	// so that the stamp alone protects.
	w.sim.Fail(zendesktest.Fault{Method: "PUT", Path: "/api/v2/tickets/*", Count: 1, Perform: true, Reset: true})
	id := w.comment(ticketID)
	var sent int64
	o := w.options()
	o.Desk = &watched{Desk: w.desk, beforeComment: func() {
		if sent == 0 {
			sent = w.clock().Unix()
		}
	}}
	w.run(o, w.settled)
	w.expect(ticketID, id)
	if sent < touched+1 {
		t.Errorf("sent in the second %d of an update of %d", sent, touched)
	}
}

func TestTheMirrorsFaultIsNoneOfTheDelivery(t *testing.T) {
	w := newWorld(t, nil)
	w.mirror.err = errors.New("the store is closed")
	ticketID, _ := w.ticket("open")
	id := w.comment(ticketID)
	w.run(w.options(), w.settled)
	w.expect(ticketID, id)
}

func TestZendesksUpdateLimits(t *testing.T) {
	w := window{limit: 3, span: time.Minute}
	now := time.Unix(1000, 0)
	for range 3 {
		if wait := w.wait(now); wait != 0 {
			t.Fatalf("wait %s", wait)
		}
		w.add(now)
		now = now.Add(10 * time.Second)
	}
	if wait := w.wait(now); wait != 30*time.Second {
		t.Errorf("the fourth waits %s, want 30s", wait)
	}
	if wait := w.wait(now.Add(30 * time.Second)); wait != 0 {
		t.Errorf("after the first is a minute old it waits %s", wait)
	}
}

func TestAPanicIsAReasonToWait(t *testing.T) {
	w := newWorld(t, nil)
	ticketID, _ := w.ticket("open")
	id := w.comment(ticketID)
	o := w.options()
	first := true
	o.Desk = &watched{Desk: w.desk, beforeComment: func() {
		if first {
			first = false
			panic("body of " + id)
		}
	}}
	w.run(o, w.settled)
	w.expect(ticketID, id)
	if strings.Contains(w.log.String(), "body of") {
		t.Error("the log quotes the panic")
	}
}

func TestAfterARestoreEverythingIsInDoubt(t *testing.T) {
	w := newWorld(t, nil)
	ticketID, requester := w.ticket("open")
	there, missing := w.comment(ticketID), w.comment(ticketID)
	created := w.accept(outbox.Record{Kind: outbox.Ticket, UserID: requester, Subject: "Call"})
	before := len(w.sim.Truth().TicketsOf(requester))
	// The backup was made before these two were delivered.
	if _, err := w.desk.Comment(t.Context(), outbox.Write{TicketID: ticketID, Body: "body of " + there, Marker: there, Stamp: w.stamp(ticketID)}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.desk.Create(t.Context(), outbox.NewTicket{Key: "lost", Marker: created, Subject: "Call", Body: "body of " + created, RequesterID: requester}); err != nil {
		t.Fatal(err)
	}
	if n, err := w.outbox.Doubt(); n != 3 || err != nil {
		t.Fatalf("%d in doubt, %v", n, err)
	}
	w.pass(time.Minute)
	w.run(w.options(), w.settled)
	w.expect(ticketID, there, missing)
	if n := len(w.sim.Truth().TicketsOf(requester)) - before; n != 1 {
		t.Errorf("%d new tickets", n)
	}
}

func (w *world) stamp(ticketID int64) string {
	w.t.Helper()
	seen, err := w.desk.Ticket(w.t.Context(), ticketID)
	if err != nil {
		w.t.Fatal(err)
	}
	return seen.Stamp
}
