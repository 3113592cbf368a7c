package zendesk

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const someID = "01FMJQSY40HZBCBVPZB9212S8V"

// sentBody is what a request of the script carried.
func sentBody(t *testing.T, s *script, i int) (body map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(s.body[i]), &body); err != nil {
		t.Fatal(err)
	}
	return body
}

func TestWebhooksOnTheWire(t *testing.T) {
	t.Parallel()
	s := play(
		answers(200, `{"webhooks":[{"id":"`+someID+`","name":"a","status":"active","endpoint":"https://a.example/","http_method":"POST","request_format":"json","subscriptions":["conditional_ticket_events"],"authentication":null}],"meta":{"has_more":true,"after_cursor":"c"}}`),
		answers(200, `{"webhooks":[{"id":"01B","subscriptions":null}],"meta":{"has_more":false,"after_cursor":null}}`),
		answers(201, `{"webhook":{"id":"01C","name":"n","endpoint":"https://n.example/","status":"active","subscriptions":["zen:event-type:user.created"]}}`),
		answers(204, ""),
		answers(200, `{"signing_secret":{"algorithm":"SHA256","secret":"s3cret"}}`),
	)
	c := newClient(t, basicConfig(s))
	all, err := c.ListWebhooks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []Webhook{{
		ID: someID, Name: "a", Endpoint: "https://a.example/", Status: WebhookActive, Method: "POST", Format: "json", Subscriptions: []string{OnTrigger},
	}, {ID: "01B"}}
	if diff := cmp.Diff(want, all); diff != "" || s.seen[1].URL.Query().Get("page[after]") != "c" {
		t.Errorf("%s\n%s", s.seen[1].URL, diff)
	}
	made, err := c.CreateWebhook(t.Context(), NewWebhook{Name: "n", Description: "d", Endpoint: "https://n.example/", Subscriptions: []string{"zen:event-type:user.created"}})
	if err != nil || made.ID != "01C" || made.Endpoint != "https://n.example/" {
		t.Errorf("%+v, %v", made, err)
	}
	if diff := cmp.Diff(map[string]any{"webhook": map[string]any{
		"name": "n", "description": "d", "endpoint": "https://n.example/", "status": "active",
		"http_method": "POST", "request_format": "json", "subscriptions": []any{"zen:event-type:user.created"},
	}}, sentBody(t, s, 2)); diff != "" {
		t.Error(diff)
	}
	if err := c.UpdateWebhook(t.Context(), someID, WebhookChange{Endpoint: "https://m.example/"}); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(map[string]any{"webhook": map[string]any{"endpoint": "https://m.example/"}}, sentBody(t, s, 3)); diff != "" || s.seen[3].Method != http.MethodPatch {
		t.Errorf("%s\n%s", s.seen[3].Method, diff)
	}
	if secret, err := c.WebhookSecret(t.Context(), someID); err != nil || secret != "s3cret" {
		t.Error(secret, err)
	}
	for i, path := range []string{"webhooks", "webhooks", "webhooks", "webhooks/" + someID, "webhooks/" + someID + "/signing_secret"} {
		if s.seen[i].URL.Path != "/api/v2/"+path {
			t.Errorf("request %d went to %s", i, s.seen[i].URL.Path)
		}
	}
}

func TestAnIDThatIsNoneIsNotSent(t *testing.T) {
	t.Parallel()
	s := play(answers(200, `{}`))
	c := newClient(t, basicConfig(s))
	for _, id := range []string{"", "..", "a/b", "a%2fb", "a?b", "a b", "é", strings.Repeat("a", 65)} {
		_, err := c.WebhookSecret(t.Context(), id)
		if asError(t, err).Class != ClassRejected || asError(t, c.UpdateWebhook(t.Context(), id, WebhookChange{})).Class != ClassRejected {
			t.Errorf("%q was let through", id)
		}
		if _, err := c.CreateTrigger(t.Context(), NewTrigger{Title: "x", WebhookID: id}); asError(t, err).Class != ClassRejected {
			t.Errorf("a trigger on %q was let through", id)
		}
	}
	if s.count() != 0 {
		t.Errorf("%d requests were sent", s.count())
	}
}

// Nobody may end up with two webhooks because an answer was lost.
func TestACreationIsNotRepeatedOnAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	for name, create := range map[string]func(*Client) error{
		"webhook": func(c *Client) error {
			_, err := c.CreateWebhook(t.Context(), NewWebhook{Name: "n"})
			return err
		},
		"trigger": func(c *Client) error {
			_, err := c.CreateTrigger(t.Context(), NewTrigger{Title: "n", WebhookID: someID})
			return err
		},
	} {
		for answer, step := range map[string]step{"cut": cutShort, "an outage": answers(502, ""), "nothing in it": answers(204, ""), "another form": answers(201, `{"webhook":{"id":5},"trigger":{"id":"x"}}`)} {
			s := play(step)
			if e := asError(t, create(newClient(t, basicConfig(s)))); !e.UnknownOutcome || s.count() != 1 {
				t.Errorf("%s, %s: %v after %d requests", name, answer, e, s.count())
			}
		}
	}
}

func TestASecretThatIsNotThere(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{}`, `{"signing_secret":null}`, `{"signing_secret":{"secret":""}}`} {
		if _, err := newClient(t, basicConfig(play(answers(200, body)))).WebhookSecret(t.Context(), someID); asError(t, err).Class != ClassMalformed {
			t.Errorf("%s gives %v", body, err)
		}
	}
}

func TestTriggersOnTheWire(t *testing.T) {
	t.Parallel()
	const body = `{"ticket_id":"{{ticket.id}}"}`
	s := play(
		answers(200, `{"triggers":[
			{"id":7,"title":"t","active":true,"conditions":{"all":[{"field":"custom_status_id","operator":"includes","value":["1","2"]},{"field":"group_id","operator":"is","value":5}],"any":null},
			 "actions":[{"field":"notification_user","value":["requester_id","s","b"]},{"field":"status","value":"open"},{"field":"priority","value":3},{"field":"notification_webhook","value":["`+someID+`","{\"ticket_id\":\"{{ticket.id}}\"}"]}]},
			{"id":8,"title":"u","active":false,"conditions":null,"actions":null}],"meta":{"has_more":false},"count":2}`),
		answers(201, `{"trigger":{"id":9,"title":"n","active":true,"conditions":{},"actions":[]}}`),
		answers(200, `{"trigger":{"id":9,"title":"m","active":false,"conditions":{},"actions":[]}}`),
	)
	c := newClient(t, basicConfig(s))
	all, err := c.ListTriggers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []Trigger{{ID: 7, Title: "t", Active: true, Conditions: Conditions{All: []Condition{
		{Field: "custom_status_id", Operator: "includes", Value: `["1","2"]`}, {Field: "group_id", Operator: "is", Value: "5"},
	}}, Actions: []Action{
		{Field: "notification_user", Values: []string{"requester_id", "s", "b"}},
		{Field: "status", Values: []string{"open"}},
		{Field: "priority", Values: []string{"3"}},
		{Field: "notification_webhook", Values: []string{someID, body}},
	}}, {ID: 8, Title: "u"}}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Error(diff)
	}
	if id, said := all[0].Notification(); id != someID || said != body {
		t.Errorf("calls %q with %q", id, said)
	}
	if id, said := all[1].Notification(); id != "" || said != "" {
		t.Errorf("calls %q with %q", id, said)
	}
	n := NewTrigger{Title: "n", Active: true, WebhookID: someID, Body: body, Conditions: Conditions{Any: []Condition{
		{Field: "update_type", Operator: "is", Value: "Create"}, {Field: "update_type", Operator: "is", Value: "Change"},
	}}}
	if made, err := c.CreateTrigger(t.Context(), n); err != nil || made.ID != 9 {
		t.Errorf("%+v, %v", made, err)
	}
	if diff := cmp.Diff(map[string]any{"trigger": map[string]any{
		"title": "n", "active": true,
		"conditions": map[string]any{"all": []any{}, "any": []any{
			map[string]any{"field": "update_type", "operator": "is", "value": "Create"},
			map[string]any{"field": "update_type", "operator": "is", "value": "Change"},
		}},
		"actions": []any{map[string]any{"field": "notification_webhook", "value": []any{someID, body}}},
	}}, sentBody(t, s, 1)); diff != "" || s.seen[1].Method != http.MethodPost {
		t.Errorf("%s\n%s", s.seen[1].Method, diff)
	}
	if changed, err := c.UpdateTrigger(t.Context(), 9, n); err != nil || changed.Title != "m" || s.seen[2].Method != http.MethodPut || s.seen[2].URL.Path != "/api/v2/triggers/9.json" {
		t.Errorf("%+v, %v, %s", changed, err, s.seen[2].URL)
	}
}

func TestAListWithoutItsEndIsNotActedOn(t *testing.T) {
	t.Parallel()
	c := newClient(t, basicConfig(play(answers(200, `{"triggers":[{"id":1}],"next_page":"x","count":200}`))))
	if all, err := c.ListTriggers(t.Context()); asError(t, err).Class != ClassMalformed {
		t.Errorf("%d triggers, %v", len(all), err)
	}
}

func TestWhatATokenIsAskedFor(t *testing.T) {
	t.Parallel()
	for asked, want := range map[string]string{"": "read write", "read": "read", "webhooks:write triggers:write": "webhooks:write triggers:write"} {
		s := play(answers(200, `{"access_token":"t","token_type":"bearer","expires_in":7200}`), answers(200, `{"user":{"id":1}}`))
		c := newClient(t, Config{BaseURL: "https://acme.zendesk.com", ClientID: "id", ClientSecret: "secret", Scope: asked, Transport: s})
		if _, err := c.Me(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := sentBody(t, s, 0)["scope"]; got != want {
			t.Errorf("a client with scope %q asks for %q", asked, got)
		}
	}
}
