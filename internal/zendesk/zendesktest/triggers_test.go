package zendesktest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// triggerJSON tells a webhook of every ticket that is created or changed.
const triggerJSON = `{"trigger":{"title":"A proxy is told","conditions":{"all":[],"any":[` +
	`{"field":"update_type","operator":"is","value":"Create"},{"field":"update_type","operator":"is","value":"Change"}]},` +
	`"actions":[{"field":"notification_webhook","value":["%s","{\"ticket_id\":{{ticket.id}},\"user_id\":\"{{ ticket.requester.id }}\"}"]}]}}`

const webhookJSON = `{"webhook":{"name":"proxy","endpoint":"https://proxy.example.com/webhooks/zendesk","http_method":"POST",` +
	`"request_format":"json","status":"active","subscriptions":["conditional_ticket_events"]}}`

func TestTriggersByAPI(t *testing.T) {
	d := newDesk(t, Options{})
	hook, _ := d.do("POST", "/api/v2/webhooks", webhookJSON).object("webhook")["id"].(string)
	a := d.do("POST", "/api/v2/triggers.json", fmt.Sprintf(triggerJSON, hook))
	made := a.object("trigger")
	if a.Status != 201 || made["title"] != "A proxy is told" || made["active"] != true {
		t.Fatalf("create: %d %s", a.Status, a.Body)
	}
	path := fmt.Sprintf("/api/v2/triggers/%d", idsOf([]map[string]any{made})[0])
	for query, want := range map[string]int{"query=proxy": 1, "query=TOLD": 1, "query=other": 0, "query=told&active=false": 0} {
		if a := d.ok("/api/v2/triggers/search?" + query); len(a.list("triggers")) != want || a.JSON["count"] != float64(want) {
			t.Errorf("search %s: %s", query, a.Body)
		}
	}
	if a := d.do("PUT", path, `{"trigger":{"active":false}}`); a.Status != 200 || a.object("trigger")["active"] != false || a.object("trigger")["actions"] == nil {
		t.Errorf("switch off: %d %s", a.Status, a.Body)
	}
	if got := d.ok(path).object("trigger"); got["active"] != false || got["title"] != "A proxy is told" {
		t.Errorf("afterwards: %v", got)
	}
	if a := d.do("PUT", path, `{"trigger":{"actions":[{"field":"notification_webhook","value":["`+hook+`","{}"]}]}}`); a.Status != 422 {
		t.Errorf("actions alone clear the conditions: status %d", a.Status)
	}
	if a := d.do("DELETE", path, ""); a.Status != 204 {
		t.Errorf("delete: status %d", a.Status)
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		if a := d.do(method, path, `{"trigger":{}}`); a.Status != 404 {
			t.Errorf("%s after deletion: status %d", method, a.Status)
		}
	}
}

func TestTriggersThatMayNotBe(t *testing.T) {
	d := newDesk(t, Options{})
	onTrigger, _ := d.CreateWebhook("https://proxy.example.com/", conditional)
	onEvents, _ := d.CreateWebhook("https://proxy.example.com/", "zen:event-type:user.created")
	good := fmt.Sprintf(triggerJSON, onTrigger)
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"no JSON":                {"{", 400},
		"no trigger":             {`{"title":"x"}`, 400},
		"no title":               {strings.Replace(good, "A proxy is told", " ", 1), 422},
		"no condition":           {`{"trigger":{"title":"x","conditions":{"all":[]},"actions":[{"field":"notification_webhook","value":["` + onTrigger + `","{}"]}]}}`, 422},
		"no action":              {`{"trigger":{"title":"x","conditions":{"all":[{"field":"update_type","operator":"is","value":"Create"}]},"actions":[]}}`, 422},
		"an unknown condition":   {strings.Replace(good, "update_type", "weather", 1), 422},
		"an unknown action":      {strings.Replace(good, "notification_webhook", "notification_target", 1), 422},
		"no such webhook":        {fmt.Sprintf(triggerJSON, "01NONE"), 422},
		"a webhook on events":    {fmt.Sprintf(triggerJSON, onEvents), 422},
		"a body that is no JSON": {strings.Replace(good, `{\"ticket_id\":`, `\"ticket_id\":`, 1), 422},
	} {
		if a := d.do("POST", "/api/v2/triggers", c.body); a.Status != c.status {
			t.Errorf("%s: status %d, want %d: %s", name, a.Status, c.status, a.Body)
		}
	}
	if a := d.get("/api/v2/triggers/search"); a.Status != 400 {
		t.Errorf("a search for nothing: status %d", a.Status)
	}
}

func TestScopesOfWebhooksAndTriggers(t *testing.T) {
	d := newDesk(t, Options{})
	for scope, want := range map[string][]int{ // GET and POST webhooks, GET and POST triggers
		"read write":                     {200, 201, 200, 201},
		"read":                           {200, 403, 200, 403},
		"webhooks:read webhooks:write":   {200, 201, 403, 403},
		"read triggers:write":            {200, 403, 200, 201},
		"tickets:read users:read search": {403, 403, 403, 403},
	} {
		d.auth = DefaultEmail + "/token:" + DefaultAPIToken
		hook, _ := d.CreateWebhook("https://proxy.example.com/", conditional)
		a := d.do("POST", "/oauth/tokens", fmt.Sprintf(`{"grant_type":"client_credentials","client_id":%q,"client_secret":%q,"scope":%q}`, DefaultClientID, DefaultClientSecret, scope))
		d.auth = "Bearer " + a.JSON["access_token"].(string)
		got := []int{
			d.get("/api/v2/webhooks").Status, d.do("POST", "/api/v2/webhooks", webhookJSON).Status,
			d.get("/api/v2/triggers").Status, d.do("POST", "/api/v2/triggers", fmt.Sprintf(triggerJSON, hook)).Status,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("with %q (-want +got):\n%s", scope, diff)
		}
	}
}

// A webhook made through the API hears of a ticket only while an active
// trigger names it, once a save, in the trigger's own words.
func TestATriggerTellsItsWebhook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{}
		s := New(Options{Webhooks: WebhookOptions{Client: &http.Client{Transport: r}}})
		defer s.Close()
		ask := overHTTP(t, &http.Client{Transport: s.Transport()}, "http://sim.test")
		do := func(method, path, body string) answer {
			a, err := ask(t.Context(), method, path, body)
			if err != nil || a.Status >= 300 {
				t.Fatalf("%s %s: %d %s, %v", method, path, a.Status, a.Body, err)
			}
			if err := json.Unmarshal([]byte(a.Body), &a.JSON); err != nil {
				t.Fatal(err)
			}
			return a
		}
		user := s.CreateUser(UserSpec{Name: "Ada Example"})
		must := func(_ int64, err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		hook, _ := do("POST", "/api/v2/webhooks", webhookJSON).object("webhook")["id"].(string)
		must(s.CreateTicket(TicketSpec{Requester: user})) // 1: nobody is told
		trigger := idsOf([]map[string]any{do("POST", "/api/v2/triggers", fmt.Sprintf(triggerJSON, hook)).object("trigger")})[0]
		must(s.CreateTicket(TicketSpec{Requester: user}))
		do("PUT", "/api/v2/tickets/2", `{"ticket":{"status":"open","priority":"high","comment":{"body":"called","public":false}}}`)
		must(0, s.SetTicketSubject(1, "Router"))
		must(0, s.SystemBump(1))
		must(0, s.DeleteTicket(1))
		must(0, s.RestoreTicket(1))
		do("PUT", fmt.Sprintf("/api/v2/triggers/%d", trigger), `{"trigger":{"active":false}}`)
		must(0, s.SetTicketSubject(1, "Telephone"))
		synctest.Wait()
		told := func(ticket int) string { return fmt.Sprintf(`{"ticket_id":%d,"user_id":"%d"}`, ticket, user) }
		if diff := cmp.Diff([]string{told(2), told(2), told(1)}, r.bodies); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if got := s.Deliveries(); len(got) != 3 || got[0].Kind != "trigger" || got[0].Outcome != "delivered" || got[0].Webhook != hook {
			t.Errorf("the deliveries: %+v", got)
		}
	})
}

func TestConditions(t *testing.T) {
	open := &ticket{status: statusOpen, priority: 3, tags: []string{"vip", "gold"}, assignee: -1}
	was := &ticket{status: statusPending, priority: 3, assignee: -1}
	public := &audit{comment: &comment{public: true}}
	for _, c := range []struct {
		text string // field operator value
		look save
		want bool
	}{
		{"update_type is Create", save{is: open}, true},
		{"update_type is Create", save{is: open, was: was}, false},
		{"update_type is Change", save{is: open, was: was}, true},
		{"status is open", save{is: open}, true},
		{"status is_not open", save{is: open}, false},
		{"status less_than solved", save{is: open}, true},
		{"status greater_than pending", save{is: open}, false},
		{"status changed -", save{is: open, was: was}, true},
		{"status changed -", save{is: open}, false},
		{"priority changed -", save{is: open, was: was}, false},
		{"priority not_changed -", save{is: open, was: was}, true},
		{"priority greater_than normal", save{is: open}, true},
		{"current_tags includes vip", save{is: open}, true},
		{"current_tags includes beta", save{is: open}, false},
		{"current_tags not_includes vip", save{is: open}, false},
		{"assignee_id is ", save{is: open}, true},
		{"comment_is_public is true", save{is: open, was: was, audit: public}, true},
		{"comment_is_public is false", save{is: open, was: was, audit: public}, false},
		{"comment_is_public is not_relevant", save{is: open, was: was}, false},
	} {
		f := strings.SplitN(c.text, " ", 3)
		x := condition{f[0], f[1], f[2]}
		if !x.known() {
			t.Errorf("%s is not known", c.text)
		}
		if got := x.holds(&c.look); got != c.want {
			t.Errorf("%s: %v, want %v", c.text, got, c.want)
		}
	}
	for _, odd := range []condition{{"status", "includes", "open"}, {"type", "less_than", "task"}, {"update_type", "is", "Delete"}, {"status", "less_than", "odd"}} {
		if odd.known() {
			t.Errorf("%+v is known", odd)
		}
	}
	yes, no := condition{"status", "is", "open"}, condition{"status", "is", "new"}
	for _, c := range []struct {
		cs   conditions
		want bool
	}{
		{conditions{All: []condition{yes}}, true},
		{conditions{All: []condition{yes, no}}, false},
		{conditions{Any: []condition{no, yes}}, true},
		{conditions{All: []condition{yes}, Any: []condition{no}}, false},
	} {
		if got := c.cs.hold(&save{is: open}); got != c.want {
			t.Errorf("%+v: %v", c.cs, got)
		}
	}
}

func FuzzFill(f *testing.F) {
	for _, s := range []string{`{"ticket_id":{{ticket.id}}}`, "{{ ticket.id }}", "{{", "}}{{x", "{{}}", "{{{{a}}}}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var names []string
		got := fill(text, func(name string) string {
			names = append(names, name)
			return ""
		})
		if len(got) > len(text) {
			t.Errorf("%q grew to %q", text, got)
		}
		if !strings.Contains(text, "{{") && got != text {
			t.Errorf("%q became %q", text, got)
		}
		if slices.ContainsFunc(names, func(n string) bool { return n != strings.TrimSpace(n) }) {
			t.Errorf("names with blanks: %q", names)
		}
	})
}

// What is read of a trigger must be shown again as it was.
func FuzzTriggerBody(f *testing.F) {
	f.Add([]byte(fmt.Sprintf(triggerJSON, "01SIM000000000000000000001")))
	f.Add([]byte(`{"trigger":{"conditions":null,"actions":[{"field":"status","value":7}]}}`))
	s := New(Options{Seed: 1, Tickets: -1})
	s.CreateWebhook("https://proxy.example.com/", conditional)
	f.Fuzz(func(t *testing.T, body []byte) {
		rep := s.triggerCreate(&request{body: body, now: testTime})
		if rep.status == http.StatusCreated {
			var made struct{ Trigger trigger }
			if err := json.Unmarshal(rep.body, &made); err != nil || made.Trigger.Title == "" {
				t.Errorf("%s, %v", rep.body, err)
			}
		}
		s.hooks.triggers = nil
	})
}
