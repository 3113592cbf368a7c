package gozendesk

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nukosuke/go-zendesk/zendesk"
)

// line is what a request looked like: its credentials, first line and body.
func (e exchange) line() string {
	s := e.method + " " + e.uri
	if coded, ok := strings.CutPrefix(e.authorization, "Basic "); ok {
		plain, err := base64.StdEncoding.DecodeString(coded)
		if err != nil {
			return s + " with credentials that are no base64"
		}
		name, _, _ := strings.Cut(string(plain), ":")
		s = "Basic " + name + " " + s
	} else {
		scheme, _, _ := strings.Cut(e.authorization, " ")
		s = scheme + " " + s
	}
	if e.body != "" {
		s += " " + e.body
	}
	return s
}

// lines are the requests from the nth on, each once, ids and numbers by name.
func (w *world) lines(n int, p person) []string {
	named := strings.NewReplacer(
		fmt.Sprint(p.id), "USER", fmt.Sprint(p.open[0]), "TICKET", p.number[1:], "NUMBER", "owner@example.com", "NAME")
	var all []string
	for _, e := range w.since(n) {
		all = append(all, named.Replace(e.line()))
	}
	return all
}

// TestWhatGoZendeskSends writes down what a face gets from this client, since
// the face's own tests are made of such requests.
func TestWhatGoZendeskSends(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.caller(t, "Ana López")
	f := w.account()
	sent := len(w.since(0))
	goFind(t, usual(t, f), p.number)
	goFind(t, client(t, f, zendesk.NewAPITokenCredential(f.user, f.token)), p.number)
	c := client(t, f, zendesk.NewBearerTokenCredential(f.bearer))
	goFind(t, c, p.number)
	goOpen(t, c, p.id)
	requested(t, c, p.id)
	for _, ask := range []func() error{
		func() error { _, err := c.GetUser(t.Context(), p.id); return err },
		func() error { _, err := c.GetTicket(t.Context(), p.open[0]); return err },
		func() error {
			_, err := c.UpdateTicket(t.Context(), p.open[0], zendesk.Ticket{Comment: &zendesk.TicketComment{Body: "<b>"}})
			return err
		},
		func() error {
			_, err := c.CreateTicketComment(t.Context(), p.open[0], zendesk.NewPublicTicketComment("b", p.id))
			return err
		},
	} {
		if err := ask(); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"Basic NAME GET /api/v2/users/search.json?query=type%3Auser+%2BNUMBER",
		"Basic NAME/token GET /api/v2/users/search.json?query=type%3Auser+%2BNUMBER",
		"Bearer GET /api/v2/users/search.json?query=type%3Auser+%2BNUMBER",
		"Bearer GET /api/v2/search.json?query=type%3Aticket+status%3Csolved+requester%3AUSER&sort_by=created_at&sort_order=desc",
		"Bearer GET /api/v2/users/USER/tickets/requested.json",
		"Bearer GET /api/v2/users/USER.json",
		"Bearer GET /api/v2/tickets/TICKET.json",
		`Bearer PUT /api/v2/tickets/TICKET.json {"ticket":{"comment":{"body":"\u003cb\u003e","created_at":"0001-01-01T00:00:00Z"}}}`,
		`Bearer PUT /api/v2/tickets/TICKET.json {"ticket":{"comment":{"body":"b","public":true,"author_id":USER,"created_at":"0001-01-01T00:00:00Z"}}}`,
	}
	if diff := cmp.Diff(want, w.lines(sent, p)); diff != "" {
		t.Errorf("what was sent (-written down +sent):\n%s", diff)
	}
}

// TestWhatNodeZendeskSends is the same of the other client.
func TestWhatNodeZendeskSends(t *testing.T) {
	t.Parallel()
	node := nodeProgram(t)
	w := newWorld(t)
	people := w.people(t)
	nodeZendesk(t, node, w.account(), people)
	got := w.lines(0, people.caller)
	for _, want := range []string{
		"Basic NAME GET /api/v2/users/search.json?query=type%3Auser+%2BNUMBER",
		"Basic NAME/token GET /api/v2/users/search.json?query=type%3Auser+%2BNUMBER",
		"Bearer GET /api/v2/users/search.json?query=type%3Auser+%2BNUMBER",
		"Basic NAME GET /api/v2/users/USER.json",
		"Basic NAME/token GET /api/v2/users/me.json",
		"Basic NAME GET /api/v2/search.json?query=type%3Aticket+status%3Csolved+requester%3AUSER",
		"Basic NAME GET /api/v2/users/USER/tickets/requested.json",
		"Basic NAME GET /api/v2/tickets/TICKET.json",
		fmt.Sprintf(`Basic NAME PUT /api/v2/tickets/%d.json {"ticket":{"comment":{"body":"Called, and asked to be called back."}}}`, people.writer.open[0]),
		fmt.Sprintf(`Basic NAME PUT /api/v2/tickets/%d.json {"ticket":{"comment":{"body":"Called again.","public":false}}}`, people.writer.open[0]),
	} {
		if !slices.Contains(got, want) {
			t.Errorf("never sent: %s", want)
		}
	}
	if t.Failed() {
		t.Logf("sent was:\n%s", strings.Join(got, "\n"))
	}
}
