package zendesk

import (
	"context"
	"regexp"
)

// everyCall is each request that a client can be made to send, by the name of
// its method. A new one belongs here: what holds for every call is tested by it.
func everyCall() map[string]func(context.Context, *Client) error {
	hook := NewWebhook{Name: "n", Endpoint: "https://ani.example.com/webhooks/zendesk", Subscriptions: []string{OnTrigger}}
	trigger := NewTrigger{Title: "t", WebhookID: plantedID, Conditions: Conditions{All: []Condition{{"status", "is", "open"}}}, Body: "{}"}
	comment := Comment{Body: plantedText}
	return map[string]func(context.Context, *Client) error{
		"Me":         func(ctx context.Context, c *Client) error { _, err := c.Me(ctx); return err },
		"ShowUser":   func(ctx context.Context, c *Client) error { _, _, err := c.ShowUser(ctx, 7); return err },
		"ShowTicket": func(ctx context.Context, c *Client) error { _, _, err := c.ShowTicket(ctx, 7); return err },
		"ShowManyUsers": func(ctx context.Context, c *Client) error {
			_, err := c.ShowManyUsers(ctx, []int64{7}, true)
			return err
		},
		"ShowManyTickets": func(ctx context.Context, c *Client) error { _, err := c.ShowManyTickets(ctx, []int64{7}); return err },
		"SearchUsersByPhone": func(ctx context.Context, c *Client) error {
			_, _, _, err := c.SearchUsersByPhone(ctx, plantedNumber, []string{"end-user"})
			return err
		},
		"UserIdentities":   func(ctx context.Context, c *Client) error { _, _, err := c.UserIdentities(ctx, 7); return err },
		"RequestedTickets": func(ctx context.Context, c *Client) error { _, err := c.RequestedTickets(ctx, 7, 3); return err },
		"Audits":           func(ctx context.Context, c *Client) error { _, err := c.Audits(ctx, 7, 3); return err },
		"ExportUsers": func(ctx context.Context, c *Client) error {
			_, err := c.ExportUsers(ctx, ExportRequest{Cursor: plantedCursor})
			return err
		},
		"ExportTickets": func(ctx context.Context, c *Client) error {
			_, err := c.ExportTickets(ctx, ExportRequest{Cursor: plantedCursor})
			return err
		},
		"SearchTickets": func(ctx context.Context, c *Client) error {
			_, err := c.SearchTickets(ctx, "status<solved", plantedCursor)
			return err
		},
		"ListWebhooks":  func(ctx context.Context, c *Client) error { _, err := c.ListWebhooks(ctx); return err },
		"ListTriggers":  func(ctx context.Context, c *Client) error { _, err := c.ListTriggers(ctx); return err },
		"WebhookSecret": func(ctx context.Context, c *Client) error { _, err := c.WebhookSecret(ctx, plantedID); return err },
		"CreateWebhook": func(ctx context.Context, c *Client) error { _, err := c.CreateWebhook(ctx, hook); return err },
		"UpdateWebhook": func(ctx context.Context, c *Client) error {
			return c.UpdateWebhook(ctx, plantedID, WebhookChange{Status: WebhookActive})
		},
		"CreateTrigger": func(ctx context.Context, c *Client) error { _, err := c.CreateTrigger(ctx, trigger); return err },
		"UpdateTrigger": func(ctx context.Context, c *Client) error { _, err := c.UpdateTrigger(ctx, 7, trigger); return err },
		"UpdateTicket": func(ctx context.Context, c *Client) error {
			_, err := c.UpdateTicket(ctx, 7, TicketUpdate{Comment: comment, Metadata: map[string]string{"aniproxy": plantedText}})
			return err
		},
		"CreateTicket": func(ctx context.Context, c *Client) error {
			_, err := c.CreateTicket(ctx, plantedID, NewTicket{Subject: plantedText, Comment: comment})
			return err
		},
	}
}

// What a call sends, and what no error may say.
const (
	plantedNumber = "5135550147"
	plantedText   = "Ramirez-subject"
	plantedID     = "01PLANTEDKEY"
	plantedCursor = "cGxhbnRlZA=="
)

// searchForm is all that the search for people is ever asked.
var searchForm = regexp.MustCompile(`\Atype:user (role:(end-user|agent|admin) )?phone:\*[0-9]{1,20}\z`)
