package zendesk_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/zendesk"
	"aniproxy/internal/zendesk/zendesktest"
)

// connect is a client at a simulated account.
func connect(t *testing.T, scope string) (*zendesktest.Server, *zendesk.Client) {
	t.Helper()
	sim := zendesktest.New(zendesktest.Options{Seed: 7, Users: 5, HideNewest: -1, SearchLag: -1, Limits: zendesktest.Ample()})
	t.Cleanup(sim.Close)
	c, err := zendesk.New(zendesk.Config{
		BaseURL: "http://localhost", ClientID: zendesktest.DefaultClientID, ClientSecret: zendesktest.DefaultClientSecret,
		RatePerMinute: 100_000, Transport: sim.Transport(), Scope: scope,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return sim, c
}

var updates = zendesk.Conditions{Any: []zendesk.Condition{
	{Field: "update_type", Operator: "is", Value: "Create"}, {Field: "update_type", Operator: "is", Value: "Change"},
}}

func TestWebhooksAndTriggersOfAnAccount(t *testing.T) {
	t.Parallel()
	_, c := connect(t, "")
	ctx := t.Context()
	events, err := c.CreateWebhook(ctx, zendesk.NewWebhook{
		Name: "events", Endpoint: "https://a.example/webhooks/zendesk", Subscriptions: []string{"zen:event-type:user.created", "zen:event-type:user.deleted"},
	})
	if err != nil {
		t.Fatal(err)
	}
	saves, err := c.CreateWebhook(ctx, zendesk.NewWebhook{
		Name: "saves", Endpoint: "https://a.example/webhooks/zendesk", Subscriptions: []string{zendesk.OnTrigger},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.UpdateWebhook(ctx, events.ID, zendesk.WebhookChange{Endpoint: "https://b.example/", Status: zendesk.WebhookInactive}); err != nil {
		t.Fatal(err)
	}
	events.Endpoint, events.Status = "https://b.example/", zendesk.WebhookInactive
	all, err := c.ListWebhooks(ctx)
	if diff := cmp.Diff([]zendesk.Webhook{*events, *saves}, all); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	one, err := c.WebhookSecret(ctx, events.ID)
	other, err2 := c.WebhookSecret(ctx, saves.ID)
	if one == "" || one == other || err != nil || err2 != nil {
		t.Errorf("secrets of %d and %d letters, %v, %v", len(one), len(other), err, err2)
	}

	want := zendesk.NewTrigger{Title: "tells", Active: true, Conditions: updates, WebhookID: saves.ID, Body: `{"ticket_id":"{{ticket.id}}"}`}
	made, err := c.CreateTrigger(ctx, want)
	if err != nil {
		t.Fatal(err)
	}
	want.Title, want.Active = "tells no more", false
	changed, err := c.UpdateTrigger(ctx, made.ID, want)
	if err != nil {
		t.Fatal(err)
	}
	triggers, err := c.ListTriggers(ctx)
	if diff := cmp.Diff([]zendesk.Trigger{*changed}, triggers); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	hook, body := changed.Notification()
	if changed.ID != made.ID || changed.Title != want.Title || changed.Active || hook != saves.ID || body != want.Body ||
		!cmp.Equal(changed.Conditions.Any, updates.Any) {
		t.Errorf("the trigger is %+v, want %+v", changed, want)
	}

	want.WebhookID = events.ID // which does not hang on triggers
	if _, err := c.CreateTrigger(ctx, want); classOf(err) != zendesk.ClassRejected {
		t.Errorf("a trigger on a webhook of events: %v", err)
	}
	if _, err := c.WebhookSecret(ctx, "01NOBODY"); classOf(err) != zendesk.ClassNotFound {
		t.Errorf("the secret of no webhook: %v", err)
	}
}

func TestManyTriggersAreReadToTheLast(t *testing.T) {
	t.Parallel()
	_, c := connect(t, "")
	hook, err := c.CreateWebhook(t.Context(), zendesk.NewWebhook{Name: "n", Endpoint: "https://a.example/", Subscriptions: []string{zendesk.OnTrigger}})
	if err != nil {
		t.Fatal(err)
	}
	const n = 205
	for range n {
		if _, err := c.CreateTrigger(t.Context(), zendesk.NewTrigger{Title: "t", Conditions: updates, WebhookID: hook.ID, Body: "{}"}); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := c.ListTriggers(t.Context()); len(all) != n || err != nil {
		t.Errorf("%d triggers, want %d; %v", len(all), n, err)
	}
}

// A token that may read cannot install anything, and one for the two resources can.
func TestWhatAScopeAllows(t *testing.T) {
	t.Parallel()
	for scope, allowed := range map[string]bool{"": true, "read": false, "webhooks:read webhooks:write": true, "triggers:write": false} {
		_, c := connect(t, scope)
		_, err := c.CreateWebhook(t.Context(), zendesk.NewWebhook{Name: "n", Endpoint: "https://a.example/", Subscriptions: []string{zendesk.OnTrigger}})
		if allowed != (err == nil) || !allowed && classOf(err) != zendesk.ClassForbidden {
			t.Errorf("scope %q: %v", scope, err)
		}
	}
}

// A search export's limit is its own and is kept to, whatever is in the account's.
func TestASearchExportIsHeldBackByItsOwnLimit(t *testing.T) {
	t.Parallel()
	sim := zendesktest.New(zendesktest.Options{Seed: 7, Users: 5, HideNewest: -1, SearchLag: -1, Limits: zendesktest.Limits{SearchExport: 3}})
	t.Cleanup(sim.Close)
	c, err := zendesk.New(zendesk.Config{
		BaseURL: "http://localhost", Email: zendesktest.DefaultEmail, APIToken: zendesktest.DefaultAPIToken,
		RatePerMinute: 700, Transport: sim.Transport(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	live := c.As(zendesk.Live) // which does not wait
	n := 0
	for ; n < 10; n++ {
		if _, err = live.SearchTickets(t.Context(), "status<solved", ""); err != nil {
			break
		}
	}
	// A new minute may begin in the middle; a 429 may not come at all.
	var e *zendesk.Error
	if n < 3 || !errors.As(err, &e) || e.Class != zendesk.ClassRateLimited || e.Status != 0 || !strings.HasPrefix(e.Endpoint, "search/export") {
		t.Errorf("%d pages, then %v", n, err)
	}
	if _, err := live.ShowManyTickets(t.Context(), []int64{1}); err != nil {
		t.Errorf("a spent search export stops other calls: %v", err)
	}
}

func classOf(err error) zendesk.Class {
	var e *zendesk.Error
	if errors.As(err, &e) {
		return e.Class
	}
	return ""
}
