package zendesk

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"testing"

	"aniproxy/internal/origin/origintest"
)

// page is one of a list, with a target in every place where an answer can
// name where it goes on.
func page(t *testing.T, key, target, cursor string, more bool) []byte {
	t.Helper()
	object := map[string]any{"id": 7, "user_id": 7, "type": "phone_number", "value": "+15135550147", "url": target}
	if key == "webhooks" {
		object = map[string]any{"id": plantedID, "endpoint": target}
	}
	p := map[string]any{
		key: []any{object}, "count": 1,
		"meta": map[string]any{"has_more": more, "after_cursor": cursor, "before_cursor": cursor}, "links": map[string]any{"next": target, "prev": target},
		"after_cursor": cursor, "before_cursor": cursor, "after_url": target, "before_url": target, "end_of_stream": !more,
		"next_page": target, "previous_page": target,
	}
	if !more {
		p["next_page"] = nil // of all places the one whose being there means something
	}
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Each target in each place of each list: the second page is asked for at the
// same path of the same host, by the cursor's value alone.
func TestNoAnswerSaysWhereTheNextPageIs(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	for name, list := range pagedCalls() {
		t.Run(name, func(t *testing.T) {
			for _, line := range origintest.Group(t, "next pages") {
				walkTwoPages(t, w, list, origintest.Fill(line, w.homeAddress(), w.evilAddress()), "c2Vjb25k")
			}
			if list.param == "" {
				return
			}
			for _, line := range origintest.Group(t, "cursors") {
				walkTwoPages(t, w, list, w.evil.URL, origintest.Fill(line, w.homeAddress(), w.evilAddress()))
			}
		})
	}
}

func walkTwoPages(t *testing.T, w *watch, list paged, target, cursor string) {
	t.Helper()
	what := "next " + strconv.Quote(target) + ", cursor " + strconv.Quote(cursor)
	sent := 0
	w.begin(func(rw http.ResponseWriter, _ *http.Request) {
		sent++
		_, _ = rw.Write(page(t, list.key, target, cursor, sent == 1))
	})
	c := w.client(t, basicConfig(nil))
	defer c.Close()
	at := ""
	for range 3 {
		after, end, err := list.walk(t.Context(), c, at)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			return
		}
		if end {
			break
		}
		at = after
	}
	got := w.seen(t, what)
	if len(got) != 2 {
		t.Errorf("%s: %d requests", what, len(got))
		return
	}
	for _, a := range got {
		if a.path != list.path || a.method != http.MethodGet {
			t.Errorf("%s: asked for %s", what, a.path)
		}
	}
	first, second := got[0].query, got[1].query
	if list.param == "" {
		if !slices.Equal(second["page"], []string{"2"}) || !slices.Equal(first["query"], second["query"]) || len(first) != len(second) {
			t.Errorf("%s: asked with %v, then with %v", what, first, second)
		}
		return
	}
	if !slices.Equal(second[list.param], []string{cursor}) {
		t.Errorf("%s: asked with %v", what, second)
	}
	// Nothing but the cursor has come, and nothing but a start has gone.
	for key := range second {
		if key != list.param && !slices.Equal(first[key], second[key]) {
			t.Errorf("%s: the second page has %s=%v", what, key, second[key])
		}
	}
	if len(second) > len(first)+1 {
		t.Errorf("%s: %v after %v", what, second, first)
	}
}

// pagedCalls are the walks over pages: how each is walked, where, and what the
// cursor is called in the query.
func pagedCalls() map[string]paged {
	return map[string]paged{
		"ExportUsers": {"users", "/api/v2/incremental/users/cursor.json", "cursor", func(ctx context.Context, c *Client, cursor string) (string, bool, error) {
			p, err := c.ExportUsers(ctx, ExportRequest{Cursor: cursor})
			if err != nil {
				return "", false, err
			}
			return p.AfterCursor, p.EndOfStream, nil
		}},
		"ExportTickets": {"tickets", "/api/v2/incremental/tickets/cursor.json", "cursor", func(ctx context.Context, c *Client, cursor string) (string, bool, error) {
			p, err := c.ExportTickets(ctx, ExportRequest{Cursor: cursor})
			if err != nil {
				return "", false, err
			}
			return p.AfterCursor, p.EndOfStream, nil
		}},
		"SearchTickets": {"results", "/api/v2/search/export.json", "page[after]", func(ctx context.Context, c *Client, cursor string) (string, bool, error) {
			p, err := c.SearchTickets(ctx, "status<solved", cursor)
			if err != nil {
				return "", false, err
			}
			return p.AfterCursor, p.EndOfStream, nil
		}},
		"SearchUsersByPhone": {"results", "/api/v2/search.json", "", whole("SearchUsersByPhone")},
		"UserIdentities":     {"identities", "/api/v2/users/7/identities.json", "page[after]", whole("UserIdentities")},
		"RequestedTickets":   {"tickets", "/api/v2/users/7/tickets/requested.json", "page[after]", whole("RequestedTickets")},
		"Audits":             {"audits", "/api/v2/tickets/7/audits.json", "page[after]", whole("Audits")},
		"ListWebhooks":       {"webhooks", "/api/v2/webhooks", "page[after]", whole("ListWebhooks")},
		"ListTriggers":       {"triggers", "/api/v2/triggers.json", "page[after]", whole("ListTriggers")},
	}
}

// paged is one of them. walk reads one page, or all where the method does that
// by itself, and says where it goes on.
type paged struct {
	key, path, param string
	walk             func(ctx context.Context, c *Client, cursor string) (after string, end bool, err error)
}

func whole(name string) func(context.Context, *Client, string) (string, bool, error) {
	call := everyCall()[name]
	return func(ctx context.Context, c *Client, _ string) (string, bool, error) { return "", true, call(ctx, c) }
}
