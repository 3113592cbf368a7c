package zendesktest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPeopleToCallFrom(t *testing.T) {
	d := newDesk(t, Options{Seed: 1, Users: 500})
	holders := map[string]int{}
	for u := range d.Truth().Users() {
		if !u.Active || u.Role != "end-user" {
			continue
		}
		mine := map[string]bool{u.Number: true}
		for _, x := range u.Identities {
			mine[e164Of(readNumber(x))] = true
		}
		for n := range mine {
			holders[n]++
		}
	}
	for _, kind := range []string{"unique", "shared", "identity", "ticket", "none", ""} {
		d.auth = ""
		found := d.ok("/_sim/people", "kind", kind, "limit", "4").list("people")
		if len(found) != 4 {
			t.Errorf("%q: %d people", kind, len(found))
		}
		for _, p := range found {
			e164, _ := p["e164"].(string)
			open, _ := p["open_tickets"].([]any)
			u, _ := d.Truth().User(idsOf([]map[string]any{p})[0])
			good := u.Name == p["name"] && u.Phone == p["phone"] && u.Active
			switch kind {
			case "unique":
				good = good && holders[e164] == 1 && e164 == u.Number
			case "shared":
				good = good && holders[e164] > 1
			case "identity":
				good = good && holders[e164] == 1 && e164 != u.Number
			case "ticket":
				good = good && holders[e164] == 1 && len(open) > 0
			case "none":
				good = good && e164 == ""
			}
			if !good {
				t.Errorf("%q: %v, in truth %+v", kind, p, u)
			}
		}
	}
	for _, bad := range []string{"/_sim/people?kind=odd", "/_sim/people?limit=x"} {
		if a := d.get(bad); a.Status != 400 {
			t.Errorf("%s: status %d", bad, a.Status)
		}
	}
}

func TestControls(t *testing.T) {
	d := newDesk(t, Options{Seed: 1, Users: 20})
	page := d.ok("/_sim").Body
	for _, part := range []string{"/_sim/people", "/_sim/users", "/_sim/edit", "/_sim/down", "/_sim/up", "/_sim/faults", "/_sim/requests", "/_sim/comments", "/_sim/webhooks", "/_sim/deliveries"} {
		if !strings.Contains(page, "curl") || !strings.Contains(page, part) {
			t.Errorf("the page does not speak of %s", part)
		}
	}
	a := d.do("POST", "/_sim/users", `{"name":"Ada Example","phone":"(513) 555-7611","ticket":"Router broken","priority":"high"}`)
	user, _ := a.JSON["user_id"].(float64)
	ticket, _ := a.JSON["ticket_id"].(float64)
	got, _ := d.Truth().Ticket(int64(ticket))
	if a.Status != 201 || got.RequesterID != int64(user) || got.Subject != "Router broken" || got.Priority != "high" {
		t.Fatalf("a new person: %d %s, %+v", a.Status, a.Body, got)
	}
	if edits, _ := d.do("POST", "/_sim/edit?count=5", "").JSON["edits"].([]any); len(edits) != 5 {
		t.Errorf("edits: %v", edits)
	}
	d.do("PUT", fmt.Sprintf("/api/v2/tickets/%d", int64(ticket)), `{"ticket":{"comment":{"body":"called","public":false}}}`)
	comments := d.ok("/_sim/comments", "ticket", fmt.Sprint(int64(ticket))).list("comments")
	if len(comments) != 1 || comments[0]["body"] != "called" {
		t.Errorf("comments: %v", comments)
	}

	hook := d.do("POST", "/_sim/webhooks", `{"endpoint":"http://127.0.0.1:9/","subscriptions":["zen:event-type:user.deleted"]}`)
	if id, _ := hook.JSON["id"].(string); hook.Status != 201 || id == "" || hook.JSON["secret"] == "" || len(d.hooks.list) != 1 {
		t.Errorf("a webhook: %d %s", hook.Status, hook.Body)
	}
	if a := d.do("POST", "/_sim/webhooks", `{"endpoint":"http://127.0.0.1:9/"}`); a.Status != 400 {
		t.Errorf("a webhook for nothing: status %d", a.Status)
	}
	if a := d.ok("/_sim/deliveries"); a.Body != `{"deliveries":[]}` {
		t.Errorf("deliveries: %s", a.Body)
	}

	d.do("POST", "/_sim/down?mode=503&retry_after=9", "")
	if a := d.get("/api/v2/brands"); a.Status != 503 || a.Header.Get("Retry-After") != "9" {
		t.Errorf("in maintenance: %d", a.Status)
	}
	d.do("POST", "/_sim/down", "")
	if !d.outage.isDown() {
		t.Error("not down")
	}
	d.do("POST", "/_sim/up", "")
	d.ok("/api/v2/brands")

	id := d.do("POST", "/_sim/faults", `{"path":"/api/v2/brands","status":500,"delay":"1ns","header":{"Retry-After":"3"}}`).JSON["id"]
	if a := d.get("/api/v2/brands"); a.Status != 500 || a.Header.Get("Retry-After") != "3" {
		t.Errorf("with a fault: %d %v", a.Status, a.Header)
	}
	want := []map[string]any{{"id": id, "path": "/api/v2/brands", "status": float64(500), "delay": "1ns", "header": map[string]any{"Retry-After": "3"}}}
	if diff := cmp.Diff(want, d.ok("/_sim/faults").list("faults")); diff != "" {
		t.Errorf("the list of faults (-want +got):\n%s", diff)
	}
	if a := d.do("DELETE", fmt.Sprintf("/_sim/faults?id=%v", id), ""); a.Status != 200 {
		t.Errorf("remove one fault: %d", a.Status)
	}
	d.do("POST", "/_sim/faults", `{"shape":"rate_limited_incremental","path":"/api/v2/brands"}`)
	if a := d.get("/api/v2/brands"); a.Status != 429 || a.JSON["error"] != "APIRateLimitExceeded" {
		t.Errorf("with a known error: %d %s", a.Status, a.Body)
	}
	d.do("DELETE", "/_sim/faults", "")
	d.ok("/api/v2/brands")
	for _, bad := range []string{`{"shape":"odd"}`, `{"delay":"x"}`, `{"status":7}`, `{"colour":"red"}`, `[`} {
		if a := d.do("POST", "/_sim/faults", bad); a.Status != 400 {
			t.Errorf("%s: status %d", bad, a.Status)
		}
	}
	if a := d.do("DELETE", "/_sim/faults?id=99", ""); a.Status != 404 {
		t.Errorf("remove a fault that is not there: %d", a.Status)
	}
	if a := d.get("/_sim/nothing"); a.Status != 404 {
		t.Errorf("an unknown control: %d", a.Status)
	}
}

func TestRequestsAreCountedByEndpoint(t *testing.T) {
	d := newDesk(t, Options{Users: 5})
	d.get("/api/v2/users/1.json")
	d.get("/api/v2/users/2")
	d.get("//api/v2/search.json", "query", "x")
	d.get("/api/v2/nothing")
	d.get("/_sim/people")
	log := d.Requests()
	want := map[string]int{"GET /api/v2/users/{id}": 2, "GET /api/v2/search": 1, "GET (unknown)": 1}
	if diff := cmp.Diff(want, log.ByEndpoint); diff != "" || log.Total != 4 {
		t.Errorf("%d requests (-want +got):\n%s", log.Total, diff)
	}
	if diff := cmp.Diff(map[int]int{200: 1, 404: 3}, log.ByStatus); diff != "" {
		t.Errorf("by status (-want +got):\n%s", diff)
	}
	if len(log.Last) != 4 || log.Last[2].Query != "query=x" || log.Last[2].Status != 200 || log.Last[3].Status != 404 {
		t.Errorf("the last: %+v", log.Last)
	}
	if got := d.Count("GET /api/v2/users/{id}"); got != 2 {
		t.Errorf("Count is %d", got)
	}
	for range 3 * requestsKept {
		d.get("/api/v2/nothing")
	}
	if log := d.Requests(); len(log.Last) > requestsKept || log.Last[len(log.Last)-1].Status != 404 {
		t.Errorf("%d requests are kept, the last %+v", len(log.Last), log.Last[len(log.Last)-1])
	}
	d.ResetRequests()
	if log := d.Requests(); log.Total != 0 || len(log.Last) != 0 {
		t.Errorf("after the reset: %+v", log)
	}
}
