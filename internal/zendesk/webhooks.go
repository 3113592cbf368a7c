package zendesk

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// What a webhook's status and its subscriptions may be, beside event types
// such as "zen:event-type:user.created".
const (
	WebhookActive   = "active"
	WebhookInactive = "inactive"
	// OnTrigger is the one subscription of a webhook that hangs on a trigger:
	// such a one cannot have events too.
	OnTrigger = "conditional_ticket_events"
)

// Webhook is one of the account's. Its secret is asked for by [Client.WebhookSecret].
type Webhook struct {
	ID            string
	Name          string
	Endpoint      string // where it posts to
	Status        string // active or inactive
	Method        string // http_method, POST for events
	Format        string // request_format, json for events
	Subscriptions []string
}

// UnmarshalJSON implements json.Unmarshaler.
func (w *Webhook) UnmarshalJSON(b []byte) error {
	var v struct {
		ID            string   `json:"id"`
		Name          string   `json:"name"`
		Endpoint      string   `json:"endpoint"`
		Status        string   `json:"status"`
		Method        string   `json:"http_method"`
		Format        string   `json:"request_format"`
		Subscriptions []string `json:"subscriptions"`
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	*w = Webhook(v)
	return nil
}

// NewWebhook is a webhook to be created: active, and posting JSON.
type NewWebhook struct {
	Name          string
	Description   string
	Endpoint      string
	Subscriptions []string
}

// WebhookChange is what to change of a webhook; what is empty stays.
type WebhookChange struct {
	Name          string   `json:"name,omitempty"`
	Endpoint      string   `json:"endpoint,omitempty"`
	Status        string   `json:"status,omitempty"`
	Subscriptions []string `json:"subscriptions,omitempty"`
}

const (
	endpointWebhooks      = "webhooks"
	endpointWebhookCreate = "webhooks create"
	endpointWebhookUpdate = "webhooks/{id} update"
	endpointSigning       = "webhooks/{id}/signing_secret"

	// adminPages bounds the pages of webhooks and triggers, 100 each: an
	// account with more than 5,000 of either is not known.
	adminPages = 50
)

// ListWebhooks reads all webhooks of the account. It takes an admin.
func (c *Client) ListWebhooks(ctx context.Context) ([]Webhook, error) {
	k := get(endpointWebhooks, "/api/v2/webhooks", url.Values{"page[size]": {strconv.Itoa(listPage)}})
	return walkAll[Webhook](ctx, c, k, "webhooks")
}

// walkAll reads a list of which a part is of no use.
func walkAll[T any, P wire[T]](ctx context.Context, c *Client, k *call, key string) ([]T, error) {
	r, err := walk[T, P](ctx, c, k, adminPages, key)
	switch {
	case err != nil:
		return nil, err
	case r.Skipped > 0:
		return nil, c.unreadableObject(k, &answer{}, "an object not of the API's form")
	case !r.Complete:
		return nil, c.unreadable(k, &answer{}, "too many pages")
	}
	return r.Items, nil
}

// CreateWebhook creates a webhook. Zendesk knows no repetition of it: after an
// error with UnknownOutcome the list tells.
func (c *Client) CreateWebhook(ctx context.Context, w NewWebhook) (*Webhook, error) {
	k, err := change(http.MethodPost, endpointWebhookCreate, "/api/v2/webhooks", "webhook", map[string]any{
		"name": w.Name, "description": w.Description, "endpoint": w.Endpoint, "status": WebhookActive,
		"http_method": http.MethodPost, "request_format": "json", "subscriptions": w.Subscriptions,
	})
	if err != nil {
		return nil, err
	}
	var made struct {
		Webhook one[Webhook, *Webhook] `json:"webhook"`
	}
	a, err := c.ask(ctx, k, &made)
	if err != nil {
		return nil, err
	}
	if v := made.Webhook.value; v != nil && v.identified() {
		return v, nil
	}
	return nil, c.unreadable(k, a, "no webhook")
}

// UpdateWebhook changes a part of a webhook; its secret stays.
func (c *Client) UpdateWebhook(ctx context.Context, id string, w WebhookChange) error {
	if !isWebhookID(id) {
		return rejected(endpointWebhookUpdate, "not a webhook's id")
	}
	k, err := change(http.MethodPatch, endpointWebhookUpdate, webhookPath(id), "webhook", w)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, k) // 204, with nothing to read
	return err
}

// WebhookSecret reads what a webhook's deliveries are signed with.
func (c *Client) WebhookSecret(ctx context.Context, id string) (string, error) {
	if !isWebhookID(id) {
		return "", rejected(endpointSigning, "not a webhook's id")
	}
	k := get(endpointSigning, webhookPath(id)+"/signing_secret", nil)
	var w struct {
		Secret struct {
			Secret string `json:"secret"`
		} `json:"signing_secret"`
	}
	a, err := c.ask(ctx, k, &w)
	if err != nil {
		return "", err
	}
	if w.Secret.Secret == "" {
		return "", c.unreadable(k, a, "no secret")
	}
	return w.Secret.Secret, nil
}

// change is a write of one object under its name.
func change(method, endpoint, path, name string, object any) (*call, error) {
	body, err := json.Marshal(map[string]any{name: object})
	if err != nil {
		return nil, rejected(endpoint, "cannot be written as JSON")
	}
	return &call{
		method: method, endpoint: endpoint, path: path, body: body, write: true,
		most: bodyMost, time: otherAttempt, whole: otherCall,
	}, nil
}

// isWebhookID tells whether an id can stand in a path: Zendesk's are 26
// letters and digits.
func isWebhookID(id string) bool {
	plain := func(r rune) bool {
		return r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r == '-' || r == '_'
	}
	return id != "" && len(id) <= 64 && strings.IndexFunc(id, func(r rune) bool { return !plain(r) }) < 0
}

func webhookPath(id string) string { return "/api/v2/webhooks/" + id }
