package gozendesk

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nukosuke/go-zendesk/zendesk"

	"aniproxy/internal/zendesk/zendesktest"
)

// TestGoZendesk runs github.com/nukosuke/go-zendesk as it is.
func TestGoZendesk(t *testing.T) {
	t.Parallel()
	t.Run("against the account", func(t *testing.T) {
		w := newWorld(t)
		people := w.people(t)
		goZendesk(t, w.account(), people)
	})
	t.Run("against the daemon", func(t *testing.T) {
		w := newWorld(t)
		people := w.people(t)
		f := w.mirror()
		goZendesk(t, f, people)
		t.Run("what only a mirror answers so", func(t *testing.T) { goZendeskMirror(t, f, people) })
	})
}

// client is a client as its manual makes one.
func client(t *testing.T, f *face, credential zendesk.Credential) *zendesk.Client {
	t.Helper()
	c, err := zendesk.NewClient(&http.Client{Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetEndpointURL(f.api()); err != nil {
		t.Fatal(err)
	}
	c.SetCredential(credential)
	return c
}

func usual(t *testing.T, f *face) *zendesk.Client {
	t.Helper()
	return client(t, f, zendesk.NewBasicAuthCredential(f.user, f.password))
}

// goFind looks somebody up by their number.
func goFind(t *testing.T, c *zendesk.Client, number string) []zendesk.User {
	t.Helper()
	found, page, err := c.SearchUsers(t.Context(), &zendesk.SearchUsersOptions{Query: "type:user " + number})
	if err != nil {
		t.Fatal(err)
	}
	if page.Count != int64(len(found)) || page.HasNext() || page.HasPrev() {
		t.Errorf("%d people on a page that says %+v", len(found), page)
	}
	return found
}

// goOpen asks for somebody's unresolved tickets, newest creation first.
func goOpen(t *testing.T, c *zendesk.Client, id int64) []zendesk.Ticket {
	t.Helper()
	results, page, err := c.Search(t.Context(), &zendesk.SearchOptions{
		Query: fmt.Sprintf("type:ticket status<solved requester:%d", id), SortBy: "created_at", SortOrder: "desc",
	})
	if err != nil {
		t.Fatal(err)
	}
	tickets := []zendesk.Ticket{}
	for _, r := range results.List() {
		x, ok := r.(zendesk.Ticket)
		if !ok {
			t.Fatalf("a result is a %T", r)
		}
		tickets = append(tickets, x)
	}
	if page.Count != int64(len(tickets)) || page.HasNext() || page.HasPrev() {
		t.Errorf("%d tickets on a page that says %+v", len(tickets), page)
	}
	return tickets
}

// goTicket is what the client must have read of a ticket.
type goTicket struct {
	ID, Requester, Assignee, Organization, Brand, Form, CustomStatus int64
	Group, Status, Priority, Type, Subject                           string
	Tags                                                             []string
	Created, Updated                                                 int64
}

func readTicket(x *zendesk.Ticket) goTicket {
	at := func(t *time.Time) int64 {
		if t == nil {
			return 0
		}
		return t.Unix()
	}
	return goTicket{
		x.ID, x.RequesterID, x.AssigneeID, x.OrganizationID, x.BrandID, x.TicketFormID, x.CustomStatusID,
		x.GroupID.String(), x.Status, x.Priority, x.Type, x.Subject, x.Tags, at(x.CreatedAt), at(x.UpdatedAt),
	}
}

func readTickets(all []zendesk.Ticket) []goTicket {
	got := []goTicket{}
	for i := range all {
		got = append(got, readTicket(&all[i]))
	}
	return got
}

func trueTicket(x *zendesktest.TruthTicket) goTicket {
	return goTicket{
		x.ID, x.RequesterID, x.AssigneeID, x.OrganizationID, x.BrandID, x.FormID, x.CustomStatusID,
		fmt.Sprint(x.GroupID), x.Status, x.Priority, x.Type, x.Subject, x.Tags, x.CreatedAt, x.UpdatedAt,
	}
}

func trueTickets(all []zendesktest.TruthTicket) []goTicket {
	want := []goTicket{}
	for i := range all {
		want = append(want, trueTicket(&all[i]))
	}
	return want
}

// goUser is what the client must have read of a person.
type goUser struct {
	ID, Organization                 int64
	Name, Email, Phone, Locale, Role string
	Tags                             []string
	Active, Suspended                bool
	Created, Updated                 int64
}

func readUser(u *zendesk.User) goUser {
	return goUser{
		u.ID, u.OrganizationID, u.Name, u.Email, u.Phone, u.Locale, u.Role, append([]string{}, u.Tags...),
		u.Active, u.Suspended, u.CreatedAt.Unix(), u.UpdatedAt.Unix(),
	}
}

func (w *world) trueUser(t *testing.T, id int64) goUser {
	t.Helper()
	u, ok := w.sim.Truth().User(id)
	if !ok {
		t.Fatalf("the account has no user %d", id)
	}
	return goUser{
		u.ID, u.OrganizationID, u.Name, u.Email, u.Phone, u.Locale, u.Role, append([]string{}, u.Tags...),
		u.Active, u.Suspended, u.CreatedAt, u.UpdatedAt,
	}
}

// goZendesk is what must be so on both faces.
func goZendesk(t *testing.T, f *face, people *people) {
	c, w := usual(t, f), f.w
	t.Run("a caller and their unresolved tickets", func(t *testing.T) {
		found := goFind(t, c, people.caller.number)
		if len(found) != 1 {
			t.Fatalf("found %d people, want 1", len(found))
		}
		if diff := cmp.Diff(w.trueUser(t, people.caller.id), readUser(&found[0])); diff != "" {
			t.Errorf("the person (-account +client):\n%s", diff)
		}
		shown, err := c.GetUser(t.Context(), people.caller.id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(found[0], shown); diff != "" {
			t.Errorf("the person by id (-found +shown):\n%s", diff)
		}
		open := goOpen(t, c, people.caller.id)
		if diff := cmp.Diff(trueTickets(w.openTickets(people.caller.id)), readTickets(open)); diff != "" {
			t.Fatalf("the tickets (-account +client):\n%s", diff)
		}
		ticket, err := c.GetTicket(t.Context(), open[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(open[0], ticket); diff != "" {
			t.Errorf("the ticket by id (-found +shown):\n%s", diff)
		}
	})
	t.Run("the search for everything finds people too", func(t *testing.T) {
		// Without a plus: with one, Zendesk's own finds nothing here.
		results, page, err := c.Search(t.Context(), &zendesk.SearchOptions{Query: "type:user " + people.caller.number[1:]})
		if err != nil {
			t.Fatal(err)
		}
		if page.Count != 1 || len(results.List()) != 1 {
			t.Fatalf("%d results, and the page says %d", len(results.List()), page.Count)
		}
		u, ok := results.List()[0].(zendesk.User)
		if !ok {
			t.Fatalf("the result is a %T", results.List()[0])
		}
		if diff := cmp.Diff(w.trueUser(t, people.caller.id), readUser(&u)); diff != "" {
			t.Errorf("the person (-account +client):\n%s", diff)
		}
	})
	t.Run("nobody and nothing", func(t *testing.T) {
		if found := goFind(t, c, w.number()); len(found) != 0 {
			t.Errorf("a number that nobody has belongs to %d people", len(found))
		}
		if found := goFind(t, c, people.quiet.number); len(found) != 1 || found[0].ID != people.quiet.id {
			t.Errorf("found %d people", len(found))
		}
		if open := goOpen(t, c, people.quiet.id); len(open) != 0 {
			t.Errorf("%d unresolved tickets, want none", len(open))
		}
	})
	t.Run("who it is, with each credential", func(t *testing.T) {
		for name, credential := range map[string]zendesk.Credential{
			"a password":     zendesk.NewBasicAuthCredential(f.user, f.password),
			"an API token":   zendesk.NewAPITokenCredential(f.user, f.token),
			"a bearer token": zendesk.NewBearerTokenCredential(f.bearer),
		} {
			t.Run(name, func(t *testing.T) {
				c := client(t, f, credential)
				body, err := c.Get(t.Context(), "/users/me.json")
				if err != nil {
					t.Fatal(err)
				}
				var me struct{ User zendesk.User }
				if err := json.Unmarshal(body, &me); err != nil {
					t.Fatal(err)
				}
				if me.User.ID == 0 || me.User.Name == "" {
					t.Errorf("me is %d, %q", me.User.ID, me.User.Name)
				}
				if found := goFind(t, c, people.caller.number); len(found) != 1 {
					t.Errorf("found %d people", len(found))
				}
			})
		}
	})
	t.Run("a token that is none", func(t *testing.T) {
		c := client(t, f, zendesk.NewBearerTokenCredential(secretOf("nobody")))
		_, err := c.GetUser(t.Context(), people.caller.id)
		expectRefusal(t, err, http.StatusUnauthorized, `{"error":"Couldn't authenticate you"}`)
	})
	t.Run("a ticket that is not there", func(t *testing.T) {
		_, err := c.GetTicket(t.Context(), 999_999_999)
		expectRefusal(t, err, http.StatusNotFound, `{"error":"RecordNotFound","description":"Not found"}`)
	})
	t.Run("comments", func(t *testing.T) { goComments(t, f, people.writer) })
	t.Run("somebody who is new", func(t *testing.T) {
		p := w.join(t, "Nora Newcomer", zendesktest.UserSpec{}, "open")
		if found := goFind(t, c, p.number); len(found) != 1 || found[0].ID != p.id {
			t.Fatalf("found %d people", len(found))
		}
		if diff := cmp.Diff(trueTickets(w.openTickets(p.id)), readTickets(goOpen(t, c, p.id))); diff != "" {
			t.Errorf("the tickets (-account +client):\n%s", diff)
		}
	})
}

// goComments updates a ticket in every way that the client has for it.
func goComments(t *testing.T, f *face, p person) {
	c, w := usual(t, f), f.w
	if found := goFind(t, c, p.number); len(found) != 1 {
		t.Fatalf("found %d people", len(found))
	}
	id := goOpen(t, c, p.id)[0].ID
	updated, err := c.UpdateTicket(t.Context(), id, zendesk.Ticket{Comment: &zendesk.TicketComment{Body: "Called, and asked to be called back."}})
	if err != nil {
		t.Fatal(err)
	}
	if updated.ID != id || updated.RequesterID != p.id || updated.Status != "pending" {
		t.Errorf("the update answered ticket %d of %d, %q", updated.ID, updated.RequesterID, updated.Status)
	}
	if _, err := c.CreateTicketComment(t.Context(), id, zendesk.TicketComment{Body: "Called again."}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateTicketComment(t.Context(), id, zendesk.NewPrivateTicketComment("A third time.", 0)); err != nil {
		t.Fatal(err)
	}
	all := w.arrived(t, id, "A third time.")
	want := []string{"Called, and asked to be called back.", "Called again.", "A third time."}
	if diff := cmp.Diff(want, bodies(all)); diff != "" {
		t.Errorf("the comments (-sent +account):\n%s", diff)
	}
	if f.daemon == nil {
		return // the account itself decides by the ticket who may read a comment
	}
	for _, comment := range all {
		if comment.Public || comment.Inherited {
			t.Errorf("the comment %q is public: %v, by the ticket: %v", comment.Body, comment.Public, comment.Inherited)
		}
	}
}

// expectRefusal wants an error of the client with an answer's status and body.
func expectRefusal(t *testing.T, err error, status int, body string) {
	t.Helper()
	var refused zendesk.Error
	if !errors.As(err, &refused) {
		t.Fatalf("the error is %v", err)
	}
	if refused.Status() != status {
		t.Errorf("status %d, want %d", refused.Status(), status)
	}
	got := make([]byte, 4096)
	n, _ := refused.Body().Read(got) // it is in memory: one read has all
	var a, b any
	if json.Unmarshal(got[:n], &a) != nil || json.Unmarshal([]byte(body), &b) != nil || !cmp.Equal(a, b) {
		t.Errorf("the body is %s, want %s", got[:n], body)
	}
}

// requested is a list of tickets that the client has no function for.
func requested(t *testing.T, c *zendesk.Client, id int64) []zendesk.Ticket {
	t.Helper()
	body, err := c.Get(t.Context(), fmt.Sprintf("/users/%d/tickets/requested.json", id))
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Tickets []zendesk.Ticket
		zendesk.Page
	}
	if err := json.Unmarshal(body, &list); err != nil {
		t.Fatal(err)
	}
	if list.Count != int64(len(list.Tickets)) || list.HasNext() {
		t.Errorf("%d tickets on a page that says %+v", len(list.Tickets), list.Page)
	}
	return list.Tickets
}

// goZendeskMirror is what aniproxy does otherwise than Zendesk.
func goZendeskMirror(t *testing.T, f *face, people *people) {
	c, w := usual(t, f), f.w
	t.Run("a number with a plus in the search for everything", func(t *testing.T) {
		results, _, err := c.Search(t.Context(), &zendesk.SearchOptions{Query: "type:user " + people.caller.number})
		if err != nil || len(results.List()) != 1 {
			t.Errorf("%d results, %v", len(results.List()), err)
		}
	})
	t.Run("a number that is an identity only", func(t *testing.T) {
		if found := goFind(t, c, people.further.number); len(found) != 1 || found[0].ID != people.further.id {
			t.Errorf("found %d people", len(found))
		}
	})
	t.Run("a shared number is nobody's", func(t *testing.T) {
		if found := goFind(t, c, people.sharers[0].number); len(found) != 0 {
			t.Errorf("found %d people", len(found))
		}
		for _, p := range people.sharers {
			_, err := c.GetUser(t.Context(), p.id)
			expectRefusal(t, err, http.StatusNotFound, `{"error":"RecordNotFound","description":"Not found"}`)
			_, err = c.GetTicket(t.Context(), p.open[0])
			expectRefusal(t, err, http.StatusNotFound, `{"error":"RecordNotFound","description":"Not found"}`)
		}
	})
	t.Run("lists hold unresolved tickets only", func(t *testing.T) {
		goFind(t, c, people.caller.number)
		if diff := cmp.Diff(trueTickets(w.openTickets(people.caller.id)), readTickets(requested(t, c, people.caller.id))); diff != "" {
			t.Errorf("the requested tickets (-account +client):\n%s", diff)
		}
	})
	t.Run("a comment that asks to be public is not", func(t *testing.T) {
		p := people.caller
		goFind(t, c, p.number)
		id := goOpen(t, c, p.id)[0].ID
		if _, err := c.CreateTicketComment(t.Context(), id, zendesk.NewPublicTicketComment("For everybody.", 0)); err != nil {
			expectStatus(t, err, http.StatusUnprocessableEntity)
			return
		}
		for _, comment := range w.arrived(t, id, "For everybody.") {
			if comment.Public {
				t.Errorf("the comment %q is public", comment.Body)
			}
		}
	})
	t.Run("an update that is more than a comment", func(t *testing.T) {
		p := people.caller
		id := goOpen(t, c, p.id)[0].ID
		_, err := c.UpdateTicket(t.Context(), id, zendesk.Ticket{Status: "solved", Comment: &zendesk.TicketComment{Body: "Done."}})
		expectStatus(t, err, http.StatusUnprocessableEntity)
	})
	t.Run("what is not part of the face", func(t *testing.T) {
		_, _, err := c.GetUsers(t.Context(), nil)
		expectRefusal(t, err, http.StatusNotFound, `{"error":"InvalidEndpoint","description":"Not found"}`)
	})
}

func expectStatus(t *testing.T, err error, status int) {
	t.Helper()
	var refused zendesk.Error
	if !errors.As(err, &refused) || refused.Status() != status {
		t.Errorf("the error is %v, want status %d", err, status)
	}
}
