package zendesk

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// Trigger is a trigger of tickets, as far as we need to know one.
type Trigger struct {
	ID         int64
	Title      string
	Active     bool
	Conditions Conditions
	Actions    []Action
}

// Conditions are when a trigger fires: all of All, and one of Any if there are some.
type Conditions struct {
	All []Condition `json:"all"`
	Any []Condition `json:"any"`
}

// Condition is one of them, for example update_type is Create.
type Condition struct {
	Field    string `json:"field"`
	Operator string `json:"operator"`
	Value    string `json:"value"`
}

// Action is one thing that a trigger does.
type Action struct {
	Field  string
	Values []string // a value that is no list is a list of one
}

// notifies is the action that calls a webhook: its values are the webhook's id
// and the body.
const notifies = "notification_webhook"

// Notification is the first webhook that the trigger calls, and with what
// body; "" where it calls none.
func (t *Trigger) Notification() (webhookID, body string) {
	i := slices.IndexFunc(t.Actions, func(a Action) bool { return a.Field == notifies && len(a.Values) == 2 })
	if i < 0 {
		return "", ""
	}
	return t.Actions[i].Values[0], t.Actions[i].Values[1]
}

// NewTrigger is a trigger that calls a webhook.
type NewTrigger struct {
	Title      string
	Active     bool
	Conditions Conditions // at least one
	WebhookID  string
	Body       string // a template, such as {"ticket_id":"{{ticket.id}}"}
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Trigger) UnmarshalJSON(b []byte) error {
	var w struct {
		ID         int64      `json:"id"`
		Title      string     `json:"title"`
		Active     bool       `json:"active"`
		Conditions Conditions `json:"conditions"`
		Actions    []Action   `json:"actions"`
	}
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	*t = Trigger(w)
	return nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *Condition) UnmarshalJSON(b []byte) error {
	var w struct {
		Field    string          `json:"field"`
		Operator string          `json:"operator"`
		Value    json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	*c = Condition{Field: w.Field, Operator: w.Operator, Value: plain(w.Value)}
	return nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *Action) UnmarshalJSON(b []byte) error {
	var w struct {
		Field string          `json:"field"`
		Value json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	var values []json.RawMessage
	if json.Unmarshal(w.Value, &values) != nil {
		values = []json.RawMessage{w.Value}
	}
	*a = Action{Field: w.Field, Values: make([]string, len(values))}
	for i, v := range values {
		a.Values[i] = plain(v)
	}
	return nil
}

// plain is a text's value, and anything else as it stands in the JSON.
func plain(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

const (
	endpointTriggers      = "triggers"
	endpointTriggerCreate = "triggers create"
	endpointTriggerUpdate = "triggers/{id} update"
)

// ListTriggers reads all triggers of the account, inactive ones too.
func (c *Client) ListTriggers(ctx context.Context) ([]Trigger, error) {
	k := get(endpointTriggers, "/api/v2/triggers.json", url.Values{"page[size]": {strconv.Itoa(listPage)}})
	return walkAll[Trigger](ctx, c, k, "triggers")
}

// CreateTrigger creates a trigger. As with CreateWebhook the list tells what
// became of an unknown outcome.
func (c *Client) CreateTrigger(ctx context.Context, t NewTrigger) (*Trigger, error) {
	return c.writeTrigger(ctx, http.MethodPost, endpointTriggerCreate, "/api/v2/triggers.json", t)
}

// UpdateTrigger replaces a trigger's title, conditions and actions; its
// category and its place among the others stay.
func (c *Client) UpdateTrigger(ctx context.Context, id int64, t NewTrigger) (*Trigger, error) {
	return c.writeTrigger(ctx, http.MethodPut, endpointTriggerUpdate, "/api/v2/triggers/"+strconv.FormatInt(id, 10)+".json", t)
}

func (c *Client) writeTrigger(ctx context.Context, method, endpoint, path string, t NewTrigger) (*Trigger, error) {
	if !isWebhookID(t.WebhookID) {
		return nil, rejected(endpoint, "not a webhook's id")
	}
	some := func(all []Condition) []Condition { return append([]Condition{}, all...) } // [], never null
	k, err := change(method, endpoint, path, "trigger", map[string]any{
		"title": t.Title, "active": t.Active,
		"conditions": Conditions{All: some(t.Conditions.All), Any: some(t.Conditions.Any)},
		"actions":    []any{map[string]any{"field": notifies, "value": []string{t.WebhookID, t.Body}}},
	})
	if err != nil {
		return nil, err
	}
	var made struct {
		Trigger one[Trigger, *Trigger] `json:"trigger"`
	}
	a, err := c.ask(ctx, k, &made)
	if err != nil {
		return nil, err
	}
	if v := made.Trigger.value; v != nil && v.identified() {
		return v, nil
	}
	return nil, c.unreadable(k, a, "no trigger")
}
