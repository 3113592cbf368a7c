package gozendesk

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFace is aniproxy's own part of the contract: what a client gets that
// asks for more than a call needs, and how the answers look beside Zendesk's.
func TestFace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	people := w.people(t)
	f := w.mirror()
	t.Run("answers have Zendesk's form", func(t *testing.T) { faceForm(t, f, people.caller) })
	t.Run("who may ask", func(t *testing.T) { faceKeys(t, f, people.caller) })
	t.Run("by id only what was found", func(t *testing.T) { faceByID(t, f, people.writer) })
	t.Run("what is not served", func(t *testing.T) { faceEndpoints(t, f, people.caller) })
	t.Run("queries that are not understood", func(t *testing.T) { faceQueries(t, f, people.caller) })
	t.Run("updates", func(t *testing.T) { faceUpdates(t, f, people.writer) })
	t.Run("a page at a time", func(t *testing.T) { facePages(t, f, people.caller) })
	t.Run("Zendesk is down", func(t *testing.T) { faceAlone(t, f, people.caller) })
}

// as is a flow with another client's key.
func (f *face) as(name string) *flow {
	other := *f
	other.user, other.password = name, secretOf(name)
	return other.flow()
}

func keysOf(o map[string]any) []string { return slices.Sorted(maps.Keys(o)) }

func (c *flow) get(t *testing.T, path string) answer {
	t.Helper()
	return c.send(t, "GET "+path, "")
}

// find has a client search for a person and their tickets.
func (c *flow) find(t *testing.T, p person) {
	t.Helper()
	for _, query := range []string{
		"users/search.json?query=type:user%20%2B" + p.number[1:],
		fmt.Sprintf("search.json?query=type:ticket%%20status%%3Csolved%%20requester:%d", p.id),
	} {
		if a := c.get(t, "/api/v2/"+query); a.status != http.StatusOK {
			t.Fatalf("%s: %d: %s", query, a.status, a.body)
		}
	}
}

// expectError wants a whole body, in Zendesk's words.
func expectError(t *testing.T, what string, a answer, status int, body string) {
	t.Helper()
	var want map[string]any
	if err := json.Unmarshal([]byte(body), &want); err != nil {
		t.Fatal(err)
	}
	if kind := a.header.Get("Content-Type"); a.status != status || !strings.HasPrefix(kind, "application/json") || !cmp.Equal(want, a.json(t)) {
		t.Errorf("%s: %d, %s: %s; want %d: %s", what, a.status, kind, a.body, status, body)
	}
}

// expectSaid wants an error and a description, whatever they say, and nothing
// of what was asked.
func expectSaid(t *testing.T, what string, a answer, status int, secret string) {
	t.Helper()
	said := a.json(t)
	word, _ := said["error"].(string)
	text, _ := said["description"].(string)
	if a.status != status || word == "" || text == "" || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		t.Errorf("%s: %d: %s; want %d with an error and a description", what, a.status, a.body, status)
	}
	if secret != "" && strings.Contains(string(a.body), secret) {
		t.Errorf("%s: the answer repeats what was asked: %s", what, a.body)
	}
}

const (
	unauthenticated = `{"error":"Couldn't authenticate you"}`
	recordNotFound  = `{"error":"RecordNotFound","description":"Not found"}`
	invalidEndpoint = `{"error":"InvalidEndpoint","description":"Not found"}`
)

func faceKeys(t *testing.T, f *face, p person) {
	paths := []string{
		"/api/v2/users/me.json", "/api/v2/users/search.json?query=type:user%20" + p.number[1:],
		"//api/v2/users/me", fmt.Sprintf("/api/v2/tickets/%d.json", p.open[0]),
	}
	for _, path := range paths {
		for name, authorization := range map[string]string{
			"nothing":        "",
			"a wrong secret": "Bearer " + secretOf("nobody"),
			"another scheme": "Digest x",
		} {
			c := f.flow()
			c.authorization = authorization
			a := c.get(t, path)
			expectError(t, path+" with "+name, a, http.StatusUnauthorized, unauthenticated)
			if len(a.header.Values("WWW-Authenticate")) == 0 {
				t.Errorf("%s with %s: no WWW-Authenticate", path, name)
			}
		}
		if a := f.as(asker).get(t, path); a.status != http.StatusForbidden || a.json(t)["error"] == nil ||
			strings.Contains(a.header.Get("Content-Type"), "problem") {
			t.Errorf("%s without the scope: %d, %s: %s", path, a.status, a.header.Get("Content-Type"), a.body)
		}
		if a := f.flow().get(t, path); a.status == http.StatusUnauthorized || a.status == http.StatusForbidden {
			t.Errorf("%s with the key: %d: %s", path, a.status, a.body)
		}
	}
}

func faceByID(t *testing.T, f *face, p person) {
	user, ticket := fmt.Sprintf("/api/v2/users/%d.json", p.id), fmt.Sprintf("/api/v2/tickets/%d.json", p.open[0])
	requested := fmt.Sprintf("/api/v2/users/%d/tickets/requested.json", p.id)
	finder, other := f.flow(), f.as(another)
	for _, path := range []string{user, ticket, requested} {
		expectError(t, path+" before it was found", finder.get(t, path), http.StatusNotFound, recordNotFound)
	}
	search := fmt.Sprintf("/api/v2/search.json?query=type:ticket%%20status%%3Csolved%%20requester:%d", p.id)
	before := finder.get(t, search)
	if found := asList(before.object(t)["results"]); len(found) != 0 {
		t.Errorf("%d tickets of somebody who was never found", len(found))
	}
	finder.find(t, p)
	for _, path := range []string{user, ticket, requested} {
		if a := finder.get(t, path); a.status != http.StatusOK {
			t.Errorf("%s after it was found: %d: %s", path, a.status, a.body)
		}
		expectError(t, path+" by a client that did not find it", other.get(t, path), http.StatusNotFound, recordNotFound)
		if a := f.as(desk).get(t, path); a.status != http.StatusOK {
			t.Errorf("%s by a client with the whole directory: %d: %s", path, a.status, a.body)
		}
	}
	a := other.send(t, "PUT "+ticket, commentBody("Not mine."))
	expectError(t, "a comment by a client that did not find the ticket", a, http.StatusNotFound, recordNotFound)
	for _, id := range p.resolved {
		path := fmt.Sprintf("/api/v2/tickets/%d.json", id)
		expectError(t, "a ticket that is resolved", finder.get(t, path), http.StatusNotFound, recordNotFound)
	}
}

func faceEndpoints(t *testing.T, f *face, p person) {
	c := f.as(desk)
	for _, line := range []string{
		"GET /api/v2/users.json", "GET /api/v2/tickets.json", "GET /api/v2/organizations.json", "GET /api/v2/users/show_many.json?ids=1",
		"GET /api/v2/search/count.json?query=type:user", "GET /api/v2/search/export.json?query=x&filter[type]=ticket",
		"GET /api/v2/incremental/users/cursor.json?start_time=0", "GET /api/v2", "GET //api/v2/nothing", "GET /api/v2/users/me/nothing.json",
		fmt.Sprintf("GET /api/v2/tickets/%d/comments.json", p.open[0]), fmt.Sprintf("GET /api/v2/users/%d/identities.json", p.id),
		"POST /api/v2/tickets.json", "POST /api/v2/search.json", fmt.Sprintf("DELETE /api/v2/tickets/%d.json", p.open[0]),
		fmt.Sprintf("PUT /api/v2/users/%d.json", p.id), fmt.Sprintf("PATCH /api/v2/tickets/%d.json", p.open[0]),
	} {
		body := ""
		if !strings.HasPrefix(line, "GET") {
			body = commentBody("x")
		}
		expectError(t, line, c.send(t, line, body), http.StatusNotFound, invalidEndpoint)
	}
}

func faceQueries(t *testing.T, f *face, p person) {
	c, before := f.flow(), f.w.searches()
	for _, query := range []string{
		"type:organization%20acme", "type:ticket%20status%3Csolved%20tags:vip", "type:ticket%20status%3Csolved%20assignee:me", "created>2020-01-01",
		fmt.Sprintf("type:ticket%%20status:closed%%20requester:%d", p.id), "type:ticket%20status%3Csolved%20requester:somebody@example.org",
	} {
		expectSaid(t, query, c.get(t, "/api/v2/search.json?query="+query), http.StatusUnprocessableEntity, "acme")
	}
	for _, query := range []string{"type:user%20email:somebody@example.org", "type:user%20organization:acme", "type:user%20role:admin"} {
		expectSaid(t, query, c.get(t, "/api/v2/users/search.json?query="+query), http.StatusUnprocessableEntity, "somebody")
	}
	if a := c.get(t, "/api/v2/search.json"); a.status != http.StatusBadRequest && a.status != http.StatusUnprocessableEntity {
		t.Errorf("no query: %d: %s", a.status, a.body)
	}
	if asked := f.w.searches() - before; asked != 0 {
		t.Errorf("the account was asked %d times", asked)
	}
}

func faceUpdates(t *testing.T, f *face, p person) {
	c, ticket := f.flow(), p.open[1]
	c.find(t, p)
	line := fmt.Sprintf("PUT /api/v2/tickets/%d.json", ticket)
	for _, body := range []string{
		`{"ticket":{"status":"solved"}}`,
		`{"ticket":{"comment":{"body":"refused"},"status":"solved"}}`,
		`{"ticket":{"comment":{"body":"refused"},"priority":"urgent"}}`,
		`{"ticket":{"comment":{"body":"refused"},"tags":["x"]}}`,
		`{"ticket":{"comment":{"body":"refused"},"assignee_id":1}}`,
		`{"ticket":{"comment":{"body":"refused"},"custom_fields":[{"id":1,"value":"x"}]}}`,
		`{"ticket":{"comment":{"body":"refused"},"requester":{"name":"x"}}}`,
	} {
		expectSaid(t, body, c.send(t, line, body), http.StatusUnprocessableEntity, "")
	}
	for _, body := range []string{``, `{`, `[]`, `{"ticket":`} {
		if a := c.send(t, line, body); a.status < 400 || a.status > 499 || strings.Contains(a.header.Get("Content-Type"), "problem") {
			t.Errorf("the body %q: %d: %s", body, a.status, a.body)
		}
	}
	accepted := []string{
		`{"ticket":{"comment":{"body":"1"},"subject":"","tags":[],"priority":null,"assignee_id":0,"safe_update":false,"custom_fields":[]}}`,
		`{"ticket":{"comment":{"body":"2","created_at":"0001-01-01T00:00:00Z"}}}`,
		`{"ticket":{"comment":{"body":"3","public":false}}}`,
		`{"ticket":{"comment":{"html_body":"<p>4</p>"}}}`,
		`{"ticket":{"id":0,"created_at":"0001-01-01T00:00:00Z","comment":{"body":"Ñandú \"5\" \u003cb\u003e\n\ud83d\ude00"}}}`,
	}
	for _, body := range accepted {
		a := c.send(t, line, body)
		if o := a.object(t); o["ticket"] == nil || o["audit"] == nil {
			t.Errorf("%s: %s", body, a.body)
		}
	}
	last := "Ñandú \"5\" <b>\n\U0001f600"
	all := f.w.arrived(t, ticket, last)
	if diff := cmp.Diff([]string{"1", "2", "3", "<p>4</p>", last}, bodies(all)); diff != "" {
		t.Errorf("the comments (-sent +account):\n%s", diff)
	}
	for _, comment := range all {
		if comment.Public || comment.Inherited {
			t.Errorf("the comment %q is public: %v, by the ticket: %v", comment.Body, comment.Public, comment.Inherited)
		}
	}
	if x, _ := f.w.sim.Truth().Ticket(ticket); x.Status != "hold" {
		t.Errorf("the ticket is %s", x.Status)
	}
}

// facePages reads a list one ticket at a time, by the links that it gives.
func facePages(t *testing.T, f *face, p person) {
	c := f.flow()
	c.find(t, p)
	path := fmt.Sprintf("/api/v2/search.json?query=type:ticket%%20status%%3Csolved%%20requester:%d%s&per_page=1", p.id, ticketRows)
	var got []any
	for pages := 0; path != "" && pages < 10; pages++ {
		a := c.get(t, path)
		o := a.object(t)
		if o["count"] != id(int64(len(p.open))) {
			t.Errorf("page %d counts %v", pages+1, o["count"])
		}
		got = append(got, pathOf(o))
		next, _ := o["next_page"].(string)
		if path = strings.TrimPrefix(next, f.origin); next != "" && path == next {
			t.Fatalf("the next page is elsewhere: %s", next)
		}
	}
	want := []any{}
	for _, x := range f.w.openTickets(p.id) {
		want = append(want, id(x.ID))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the tickets (-account +pages):\n%s", diff)
	}
}

// pathOf is a page's only ticket.
func pathOf(o map[string]any) any {
	if results, _ := o["results"].([]any); len(results) != 1 {
		return fmt.Sprintf("%d results", len(results))
	}
	return path(o, "results", "id")
}

// faceAlone is the face while Zendesk answers nobody.
func faceAlone(t *testing.T, f *face, p person) {
	w, c := f.w, f.flow()
	w.sim.Down(true)
	t.Cleanup(func() { w.sim.Down(false) })
	c.call(t, p, "%2B"+p.number[1:], "While you were away.")
	if n := len(w.sim.Truth().Comments(p.open[0])); n != 0 {
		t.Fatalf("%d comments have arrived at an account that is down", n)
	}
	w.sim.Down(false)
	w.once(t, c, p.open[0], "While you were away.")
}
