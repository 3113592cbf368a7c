package upstream

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"testing"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/zendesk/zendesktest"
)

func TestUnresolvedTicketsAreAllOfThem(t *testing.T) {
	sim, a := account(t, func(o *zendesktest.Options) { o.Users = 600; o.Tickets = 5000 })
	before := time.Now()
	held := map[int64]caller.TicketUpdate{}
	pages, cursor := 0, ""
	for end := false; !end; pages++ {
		p, err := a.Unresolved(t.Context(), cursor)
		if err != nil {
			t.Fatal(err)
		}
		if p.Date.IsZero() || p.Sent.Before(before) || p.Sent.After(time.Now()) || len(p.Users) > 0 || p.Skipped > 0 || len(p.Tickets) > 1000 {
			t.Errorf("a page of %d tickets, date %v, sent %v, skipped %d", len(p.Tickets), p.Date, p.Sent, p.Skipped)
		}
		newest := time.Time{}
		for _, k := range p.Tickets {
			held[k.Ticket.ID] = k
			if at := time.Unix(k.Ticket.UpdatedAt, 0); at.After(newest) {
				newest = at
			}
			if want := p.Sent.Add(-caller.SearchLag); !k.AsOf.Equal(want) || k.Version.Sent != want.UnixNano() || k.Version.Generated != 0 {
				t.Fatalf("ticket %d is true as of %v with %+v, asked for at %v", k.Ticket.ID, k.AsOf, k.Version, p.Sent)
			}
		}
		if !p.Newest.Equal(newest) {
			t.Errorf("the newest is of %v, want %v", p.Newest, newest)
		}
		cursor, end = p.Next, p.End
	}
	n := 0
	for truth := range sim.Truth().Tickets() {
		k, ok := held[truth.ID]
		if open := (caller.Ticket{Status: truth.Status}); open.Unresolved() != ok {
			t.Errorf("ticket %d is %s and its being found is %v", truth.ID, truth.Status, ok)
		}
		if !ok {
			continue
		}
		n++
		if bytes.Contains(k.Object, []byte("result_type")) {
			t.Errorf("ticket %d is kept with what only a hit of a search has", truth.ID)
		}
		if k.Ticket.Status != truth.Status || k.Ticket.RequesterID != truth.RequesterID || k.Version.Updated != truth.UpdatedAt || k.Object == nil {
			t.Errorf("ticket %d: %+v, want %+v", truth.ID, k.Ticket, truth)
		}
	}
	if n != len(held) || n < 1000 || pages < 2 {
		t.Errorf("%d of %d tickets compared, on %d pages", n, len(held), pages)
	}
}

func TestACursorThatIsTooOldIsRejected(t *testing.T) {
	sim, a := account(t, func(o *zendesktest.Options) { o.Users = 5 })
	old := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%d|0", time.Now().Add(-61*time.Minute).Unix()))
	if _, err := a.Unresolved(t.Context(), old); faultOf(err) != caller.FaultRejected {
		t.Errorf("a cursor of an hour ago gives %v", err)
	}
	if _, err := a.Unresolved(t.Context(), "nonsense"); faultOf(err) != caller.FaultRejected {
		t.Errorf("no cursor at all gives %v", err)
	}
	if got := sim.Count("GET /api/v2/search/export"); got != 2 {
		t.Errorf("it was asked %d times: a rejected cursor stays one", got)
	}
}

// Exports are for admins: who may not read them has the wrong credentials.
func TestWholeStreamsThatAreForbidden(t *testing.T) {
	sim, a := account(t, func(o *zendesktest.Options) { o.Users = 5 })
	sim.Fail(zendesktest.Fault{Path: "/api/v2/", Status: http.StatusForbidden, Body: `{"error":"Forbidden","description":"You do not have access to this page."}`})
	for name, ask := range map[string]func() error{
		"users": func() error {
			_, err := a.Export(t.Context(), caller.PageRequest{Stream: caller.Users})
			return err
		},
		"tickets, as a backfill": func() error {
			_, err := a.Export(t.Context(), caller.PageRequest{Stream: caller.Tickets, Backfill: true})
			return err
		},
		"unresolved": func() error {
			_, err := a.Unresolved(t.Context(), "")
			return err
		},
		"search": func() error {
			_, _, err := a.Search(t.Context(), "5135550142")
			return err
		},
	} {
		if err := ask(); faultOf(err) != caller.FaultAuth {
			t.Errorf("%s gives %v, want auth", name, err)
		}
	}
}

func TestAPageIsTakenWithoutWhatCannotBeRead(t *testing.T) {
	sim, a := account(t, func(o *zendesktest.Options) { o.Users = 5 })
	const tail = `"after_cursor":"b","end_of_stream":true}`
	for path, body := range map[string]string{
		"/api/v2/incremental/users":   `{"users":[{"id":1,"name":"Ann","active":true},{"id":"2"},null],` + tail,
		"/api/v2/incremental/tickets": `{"tickets":[{"id":"2"},{"id":1,"status":"open"},{"id":3,"created_at":5}],` + tail,
		"/api/v2/search/export":       `{"results":[{"id":1,"status":"open"},{"id":-2},{}],"meta":{"has_more":false}}`,
	} {
		sim.Fail(zendesktest.Fault{Path: path, Status: http.StatusOK, Body: body})
	}
	expect := func(name string, p *caller.Page, err error) {
		t.Helper()
		if err != nil || p.Skipped != 2 || len(p.Users)+len(p.Tickets) != 1 || !p.End {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	p, err := a.Export(t.Context(), caller.PageRequest{Stream: caller.Users})
	expect("users", p, err)
	p, err = a.Export(t.Context(), caller.PageRequest{Stream: caller.Tickets})
	expect("tickets", p, err)
	p, err = a.Unresolved(t.Context(), "")
	expect("unresolved", p, err)
}
