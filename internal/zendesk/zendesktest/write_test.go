package zendesktest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// withTicket is an account with one customer and one ticket, number 1.
func withTicket(t *testing.T, opt Options, spec TicketSpec) *desk {
	t.Helper()
	opt.Limits, opt.Tickets = unlimited, -1
	d := newDesk(t, opt)
	spec.Requester = d.CreateUser(UserSpec{Name: "Ada Example", Email: "ada@example.com"})
	d.ticket(spec)
	d.clock.advance(time.Minute)
	return d
}

func (d *desk) put(body string) answer {
	d.t.Helper()
	return d.do("PUT", "/api/v2/tickets/1.json", body)
}

func TestClosedTicketsCannotBeUpdated(t *testing.T) {
	d := withTicket(t, Options{}, TicketSpec{Status: "closed", Subject: "Router"})
	a := d.put(`{"ticket":{"comment":{"body":"again","public":false}}}`)
	want := map[string]any{
		"error": "RecordInvalid", "description": "Record validation errors",
		"details": map[string]any{"status": []any{map[string]any{"description": "Status: closed prevents ticket update"}}},
	}
	if diff := cmp.Diff(want, a.JSON); a.Status != 422 || diff != "" {
		t.Errorf("status %d (-want +got):\n%s", a.Status, diff)
	}
	follow := `{"ticket":{"via_followup_source_id":1,"comment":{"body":"again","public":false}}}`
	a = d.do("POST", "/api/v2/tickets.json", follow)
	if a.Status != 201 || a.object("ticket")["subject"] != "Re: Router" || a.object("ticket")["is_public"] != false {
		t.Fatalf("a follow-up: %d %s", a.Status, a.Body)
	}
	if got := a.Header.Get("Location"); got != "https://sim.zendesk.com/api/v2/tickets/2.json" {
		t.Errorf("Location is %q", got)
	}
	if got := d.ok("/api/v2/tickets/1").object("ticket")["followup_ids"]; !cmp.Equal(got, []any{float64(2)}) {
		t.Errorf("the closed ticket's followup_ids are %v", got)
	}
	if a := d.do("POST", "/api/v2/tickets.json", strings.Replace(follow, "_id\":1", "_id\":2", 1)); a.Status != 422 {
		t.Errorf("a follow-up of an open ticket: status %d", a.Status)
	}
}

func TestPublicIsInherited(t *testing.T) {
	for _, c := range []struct {
		name    string
		private bool
		sent    string
		want    Comment
	}{
		{"left out on a public ticket, the customer is told", false, `{"body":"x"}`, Comment{Public: true, Inherited: true}},
		{"left out on a private ticket", true, `{"body":"x"}`, Comment{Public: false, Inherited: true}},
		{"said", false, `{"body":"x","public":false}`, Comment{Public: false}},
		{"said on a private ticket", true, `{"body":"x","public":true}`, Comment{Public: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := withTicket(t, Options{}, TicketSpec{Private: c.private})
			if a := d.put(`{"ticket":{"comment":` + c.sent + `}}`); a.Status != 200 {
				t.Fatalf("status %d: %s", a.Status, a.Body)
			}
			got := d.Truth().Comments(1)
			if len(got) != 1 || got[0].Public != c.want.Public || got[0].Inherited != c.want.Inherited {
				t.Errorf("the comments are %+v, want one like %+v", got, c.want)
			}
		})
	}
}

func TestARepeatedPutIsASecondComment(t *testing.T) {
	d := withTicket(t, Options{}, TicketSpec{})
	const body = `{"ticket":{"comment":{"body":"called","public":false},"metadata":{"custom":{"marker":"m-1"}}}}`
	first, second := d.put(body), d.put(body)
	if first.Status != 200 || second.Status != 200 {
		t.Fatalf("status %d, %d", first.Status, second.Status)
	}
	if got := len(d.Truth().Comments(1)); got != 2 {
		t.Errorf("%d comments, want 2", got)
	}
	if first.object("ticket")["updated_at"] != timestamp(d.now()) {
		t.Errorf("updated_at has not moved: %s", first.Body)
	}
	if _, there := first.object("ticket")["generated_timestamp"]; there {
		t.Error("an update's answer has a generated_timestamp")
	}
	audits := d.ok("/api/v2/tickets/1/audits.json", "page[size]", "1", "sort", "-created_at")
	newest := audits.list("audits")[0]
	metadata, _ := newest["metadata"].(map[string]any)
	if diff := cmp.Diff(map[string]any{"marker": "m-1"}, metadata["custom"]); diff != "" {
		t.Errorf("the newest audit's metadata.custom (-want +got):\n%s", diff)
	}
	if newest["id"] != second.object("audit")["id"] {
		t.Errorf("the newest audit is %v, the answer named %v", newest["id"], second.object("audit")["id"])
	}
	comments := d.ok("/api/v2/tickets/1/comments.json").list("comments")
	if len(comments) != 3 || comments[2]["body"] != "called" || comments[2]["public"] != false {
		t.Errorf("the comments, description first: %v", comments)
	}
}

func TestMetadataMayBeSentWithoutTheNameCustom(t *testing.T) {
	d := withTicket(t, Options{}, TicketSpec{})
	d.put(`{"ticket":{"comment":{"body":"called","public":false},"metadata":{"marker":"m-1"}}}`)
	if got := string(d.Truth().Comments(1)[0].Custom); got != `{"marker":"m-1"}` {
		t.Errorf("metadata.custom is %s", got)
	}
}

func TestSafeUpdate(t *testing.T) {
	for name, ignores := range map[string]bool{"guards comments": false, "does not, where switched so": true} {
		t.Run(name, func(t *testing.T) {
			d := withTicket(t, Options{SafeUpdateIgnoresComments: ignores}, TicketSpec{})
			stamp, _ := d.ok("/api/v2/tickets/1.json").object("ticket")["updated_at"].(string)
			body := fmt.Sprintf(`{"ticket":{"safe_update":true,"updated_stamp":%q,"comment":{"body":"x","public":false}}}`, stamp)
			if a := d.put(body); a.Status != 200 {
				t.Fatalf("with the present stamp: %d %s", a.Status, a.Body)
			}
			a := d.put(body)
			if ignores {
				if a.Status != 200 {
					t.Errorf("a comment alone: status %d", a.Status)
				}
				return
			}
			if a.Status != 409 || a.JSON["error"] != "UpdateConflict" {
				t.Errorf("with the old stamp: %d %s", a.Status, a.Body)
			}
			if got := len(d.Truth().Comments(1)); got != 1 {
				t.Errorf("%d comments, want 1", got)
			}
			if a := d.put(strings.Replace(body, "true", `"true"`, 1)); a.Status != 409 {
				t.Errorf("safe_update as the text the documentation shows: status %d", a.Status)
			}
			if a := d.put(`{"ticket":{"safe_update":true,"comment":{"body":"x","public":false}}}`); a.Status != 409 {
				t.Errorf("without a stamp: status %d", a.Status)
			}
		})
	}
}

func TestFieldsOfAnUpdate(t *testing.T) {
	d := withTicket(t, Options{Users: 5}, TicketSpec{Subject: "Router"})
	agent := userID(d.agents[0])
	a := d.put(fmt.Sprintf(`{"ticket":{"subject":"Modem","priority":"urgent","type":"incident","tags":["a","b"],"assignee_id":%d,"custom_status_id":%d}}`,
		agent, customBase+5))
	got := map[string]any{}
	for _, k := range []string{"subject", "priority", "type", "tags", "assignee_id", "status", "custom_status_id"} {
		got[k] = a.object("ticket")[k]
	}
	// The custom status says what the status is; by itself an assignee would
	// have made the new ticket open.
	want := map[string]any{
		"subject": "Modem", "priority": "urgent", "type": "incident", "tags": []any{"a", "b"}, "assignee_id": float64(agent),
		"status": "hold", "custom_status_id": float64(customBase + 5),
	}
	if diff := cmp.Diff(want, got); a.Status != 200 || diff != "" {
		t.Errorf("status %d %s (-want +got):\n%s", a.Status, a.Body, diff)
	}
	changes, _ := a.object("audit")["events"].([]any)
	if len(changes) != 7 {
		t.Errorf("the audit lists %d changes: %v", len(changes), changes)
	}
	for _, bad := range []string{
		`{"ticket":{"status":"weird"}}`, `{"ticket":{"status":"closed"}}`, `{"ticket":{"priority":"top"}}`, `{"ticket":{"type":"x"}}`,
		`{"ticket":{"assignee_id":1}}`, `{"ticket":{"requester_id":1}}`, `{"ticket":{"group_id":1}}`, `{"ticket":{"brand_id":1}}`,
		`{"ticket":{"custom_status_id":1}}`,
	} {
		if a := d.put(bad); a.Status != 422 || a.JSON["error"] != "RecordInvalid" {
			t.Errorf("%s: %d %s", bad, a.Status, a.Body)
		}
	}
	for _, bad := range []string{`{`, `{}`, `[]`, `{"ticket":7}`} {
		if a := d.put(bad); a.Status != 400 {
			t.Errorf("%s: status %d, want 400", bad, a.Status)
		}
	}
	if a := d.do("PUT", "/api/v2/tickets/77.json", `{"ticket":{}}`); a.Status != 404 {
		t.Errorf("no such ticket: status %d", a.Status)
	}
}

func TestIdempotencyKeys(t *testing.T) {
	d := withTicket(t, Options{}, TicketSpec{})
	const body = `{"ticket":{"subject":"New","comment":{"body":"hello","public":false},"requester":{"name":"Bob","email":"ada@example.com"}}}`
	post := func(key, body string) answer {
		return d.do("POST", "/api/v2/tickets.json", body, "Idempotency-Key", key)
	}
	first, again := post("k-1", body), post("k-1", body)
	if first.Status != 201 || again.Status != 201 || first.object("ticket")["id"] != again.object("ticket")["id"] {
		t.Fatalf("twice the same: %s\n%s", first.Body, again.Body)
	}
	if first.Header.Get("X-Idempotency-Lookup") != "miss" || again.Header.Get("X-Idempotency-Lookup") != "hit" {
		t.Error("X-Idempotency-Lookup does not tell the two apart")
	}
	if ada := d.ok("/api/v2/tickets/1").object("ticket")["requester_id"]; first.object("ticket")["requester_id"] != ada {
		t.Error("the requester was not found by the address")
	}
	if a := post("k-1", strings.Replace(body, "hello", "bye", 1)); a.Status != 400 || a.JSON["error"] != "IdempotentRequestError" {
		t.Errorf("the key with another body: %d %s", a.Status, a.Body)
	}
	if a := post(strings.Repeat("k", 256), body); a.Status != 400 {
		t.Errorf("a key of 256: status %d", a.Status)
	}
	d.clock.advance(2*time.Hour + time.Second)
	if a := post("k-1", body); a.object("ticket")["id"] == first.object("ticket")["id"] {
		t.Error("the key still holds after two hours")
	}
	if _, tickets := d.Truth().Size(); tickets != 3 {
		t.Errorf("%d tickets, want 3", tickets)
	}
	if a := post("k-2", `{"ticket":{"subject":"empty"}}`); a.Status != 422 {
		t.Errorf("without a word: status %d", a.Status)
	}
}
