package upstream

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"aniproxy/internal/outbox"
	"aniproxy/internal/zendesk"
	"aniproxy/internal/zendesk/zendesktest"
)

// desk is a desk at a simulated account, with a customer and their ticket.
func desk(t *testing.T) (sim *zendesktest.Server, d *Desk, ticketID, requesterID int64) {
	t.Helper()
	sim, a := account(t, func(o *zendesktest.Options) { o.Users = 5 })
	d = a.Desk(a.client)
	requesterID = sim.CreateUser(zendesktest.UserSpec{Name: "Ann Lee", Phone: "+15135550101"})
	ticketID, err := sim.CreateTicket(zendesktest.TicketSpec{Requester: requesterID, Subject: "No dial tone", Status: "open"})
	if err != nil {
		t.Fatal(err)
	}
	return sim, d, ticketID, requesterID
}

// causeOf is the refusal that err must be.
func causeOf(t *testing.T, err error) *outbox.Refusal {
	t.Helper()
	var r *outbox.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("%v is no refusal", err)
	}
	return r
}

func TestTheTicketIsReadWithItsStampAndZendesksClock(t *testing.T) {
	sim, d, ticketID, requesterID := desk(t)
	seen, err := d.Ticket(t.Context(), ticketID)
	if err != nil {
		t.Fatal(err)
	}
	truth, _ := sim.Truth().Ticket(ticketID)
	if seen.Stamp != time.Unix(truth.UpdatedAt, 0).UTC().Format(time.RFC3339) || seen.Updated.Unix() != truth.UpdatedAt {
		t.Errorf("the stamp is %q, %s", seen.Stamp, seen.Updated)
	}
	if off := time.Since(seen.Date); off < 0 || off > time.Minute {
		t.Errorf("its clock is %s", seen.Date)
	}
	if seen.Status != "open" || seen.RequesterID != requesterID || seen.Subject != "No dial tone" || seen.Update.Ticket.ID != ticketID {
		t.Errorf("it is %+v", seen)
	}
}

// public is always sent, and a comment of HTML is one.
func TestACommentAsItIsWritten(t *testing.T) {
	sim, d, ticketID, _ := desk(t)
	for _, public := range []bool{false, true} {
		for _, html := range []bool{false, true} {
			update, err := d.Comment(t.Context(), outbox.Write{TicketID: ticketID, Body: "<b>called</b>", HTML: html, Public: public, Marker: "m"})
			if err != nil {
				t.Fatal(err)
			}
			all := sim.Truth().Comments(ticketID)
			last := all[len(all)-1]
			if last.Public != public || last.Inherited || last.Body != "<b>called</b>" || string(last.Custom) != `{"aniproxy":"m"}` {
				t.Errorf("public %v, HTML %v arrived as %+v", public, html, last)
			}
			if update.Ticket.ID != ticketID || update.Version.Sent == 0 {
				t.Errorf("the mirror is given %+v", update)
			}
		}
	}
}

func TestAMarkerIsFoundOrProvenMissing(t *testing.T) {
	sim, d, ticketID, _ := desk(t)
	has := func(marker string) bool {
		t.Helper()
		found, err := d.HasMarker(t.Context(), ticketID, marker)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if has("one") {
		t.Error("found before it was written")
	}
	if _, err := d.Comment(t.Context(), outbox.Write{TicketID: ticketID, Body: "x", Marker: "one"}); err != nil {
		t.Fatal(err)
	}
	for range 250 { // three pages
		if err := sim.AddComment(ticketID, "from an agent", false); err != nil {
			t.Fatal(err)
		}
	}
	if !has("one") || has("on") || has("") {
		t.Error("not found, or something else is")
	}
	for range auditPages * 100 {
		if err := sim.AddComment(ticketID, "from a robot", false); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.HasMarker(t.Context(), ticketID, "two"); causeOf(t, err).Cause != outbox.Unproven {
		t.Errorf("more updates than are read prove that one is missing: %v", err)
	}
	if _, err := d.HasMarker(t.Context(), 99_999_999, "two"); causeOf(t, err).Cause != outbox.NotFound {
		t.Errorf("a ticket that is not there: %v", err)
	}
}

func TestATicketThatWasCreatedIsFoundAmongTheRequesters(t *testing.T) {
	sim, d, _, requesterID := desk(t)
	since := time.Now().Add(-time.Minute)
	find := func(marker string, since time.Time) (int64, bool) {
		t.Helper()
		id, found, err := d.FindCreated(t.Context(), requesterID, marker, since)
		if err != nil {
			t.Fatal(err)
		}
		return id, found
	}
	if _, found := find("one", since); found {
		t.Error("found before it was created")
	}
	made, err := d.Create(t.Context(), outbox.NewTicket{Key: "k", Marker: "one", Subject: "Call", Body: "x", RequesterID: requesterID})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := sim.CreateTicket(zendesktest.TicketSpec{Requester: requesterID, Subject: "Another"}); err != nil {
			t.Fatal(err)
		}
	}
	if id, found := find("one", since); !found || id != made.Ticket.ID {
		t.Errorf("found %d, %v, want %d", id, found, made.Ticket.ID)
	}
	if _, found := find("two", since); found {
		t.Error("another one's is found")
	}
	if _, found := find("one", time.Now().Add(time.Minute)); found {
		t.Error("what was created before is found")
	}
	again, err := d.Create(t.Context(), outbox.NewTicket{Key: "k", Marker: "one", Subject: "Call", Body: "x", RequesterID: requesterID})
	if err != nil || again.Ticket.ID != made.Ticket.ID {
		t.Errorf("the same key again made %d, %v", again.Ticket.ID, err)
	}
	_, err = d.Create(t.Context(), outbox.NewTicket{Key: "k", Marker: "one", Subject: "Another", Body: "x", RequesterID: requesterID})
	if causeOf(t, err).Cause != outbox.KeyReused {
		t.Errorf("the same key for something else: %v", err)
	}
}

func TestWhatARefusalMeans(t *testing.T) {
	shape := func(name string) zendesktest.Fault {
		f, ok := zendesktest.ErrorShape(name)
		if !ok {
			t.Fatalf("no shape %s", name)
		}
		return f
	}
	tests := []struct {
		name    string
		fault   zendesktest.Fault
		cause   outbox.Cause
		unknown bool
		after   time.Duration
	}{
		{"closed", shape("closed_ticket_update"), outbox.Closed, false, 0},
		{"closed, in another language", zendesktest.Fault{
			Status: 422, Body: `{"error":"RecordInvalid","details":{"status":[{"description":"Status: geschlossen"}]}}`,
		}, outbox.Closed, false, 0},
		{"another field is not right", zendesktest.Fault{
			Status: 422, Body: `{"error":"RecordInvalid","details":{"comment":[{"description":"too long"}]}}`,
		}, outbox.Rejected, false, 0},
		{"moved since", shape("update_conflict"), outbox.Conflict, false, 0},
		{"gone", shape("not_found"), outbox.NotFound, false, 0},
		{"no such path", shape("invalid_endpoint"), outbox.Malformed, false, 0},
		{"a 404 of an edge", zendesktest.Fault{HTML: true, Status: 404}, outbox.Malformed, false, 0},
		{"a stranger", shape("unauthenticated"), outbox.Auth, false, 0},
		{"an account that has not paid", zendesktest.Fault{Status: 402, Body: `{"error":"PaymentRequired"}`}, outbox.Auth, false, 0},
		{"not for this role", shape("forbidden_plan_or_role"), outbox.Forbidden, false, 0},
		{"no such scope", shape("forbidden_scope"), outbox.Forbidden, false, 0},
		{"too many", zendesktest.Fault{Status: 429, Header: http.Header{"Retry-After": {"590"}}, Body: `{"error":"TooManyRequests"}`}, outbox.RateLimited, false, 590 * time.Second},
		{"out of order", zendesktest.Fault{Status: 500, Body: "{}"}, outbox.Down, true, 0},
		{"a gateway", zendesktest.Fault{HTML: true}, outbox.Down, true, 0},
		{"no answer", zendesktest.Fault{Reset: true}, outbox.Down, true, 0},
		{"half an answer", zendesktest.Fault{CutBodyAt: 20}, outbox.Down, true, 0},
		{"an answer that is none", zendesktest.Fault{Garbage: true}, outbox.Malformed, true, 0},
	}
	sim, d, ticketID, _ := desk(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.fault.Method = "PUT"
			defer sim.Fail(tt.fault)()
			_, err := d.Comment(t.Context(), outbox.Write{TicketID: ticketID, Body: "words of a customer", Marker: "m"})
			r := causeOf(t, err)
			if r.Cause != tt.cause || r.Unknown != tt.unknown || r.RetryAfter != tt.after {
				t.Errorf("it is %s, unknown %v, after %s: want %s, %v, %s", r.Cause, r.Unknown, r.RetryAfter, tt.cause, tt.unknown, tt.after)
			}
			var e *zendesk.Error
			if !errors.As(err, &e) {
				t.Errorf("the client's error is not in %v", err)
			}
		})
	}
}

// One that cannot be read may be the very ticket that is looked for, and where
// it stood in the list says nothing.
func TestATicketThatCannotBeReadProvesNothingMissing(t *testing.T) {
	sim, d, ticketID, requesterID := desk(t)
	list := fmt.Sprintf(`{"tickets":[{"id":"x"},{"id":%d,"updated_at":"2001-01-01T00:00:00Z","created_at":"2001-01-01T00:00:00Z"}],"meta":{"has_more":false}}`, ticketID)
	sim.Fail(zendesktest.Fault{Path: fmt.Sprintf("/api/v2/users/%d/tickets", requesterID), Status: http.StatusOK, Body: list})
	_, found, err := d.FindCreated(t.Context(), requesterID, "one", time.Now().Add(-time.Minute))
	if found || causeOf(t, err).Cause != outbox.Unproven {
		t.Errorf("found %v, %v, want unproven", found, err)
	}
	sim.Fail(zendesktest.Fault{
		Path: fmt.Sprintf("/api/v2/tickets/%d/audits", ticketID), Status: http.StatusOK, Body: `{"audits":[{"id":"x"}],"meta":{"has_more":false}}`,
	})
	if has, err := d.HasMarker(t.Context(), ticketID, "one"); has || causeOf(t, err).Cause != outbox.Unproven {
		t.Errorf("has it %v, %v, want unproven", has, err)
	}
}
