package gozendesk

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/zendesk/zendesktest"
)

// kind is a JSON value's type, as a flow's variable would have it.
func kind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case json.Number:
		return "number"
	case string:
		return "text"
	case bool:
		return "flag"
	case []any:
		return "list"
	default:
		return "object"
	}
}

// expectSubset wants an object to be Zendesk's own: no key that Zendesk's has
// not, none of another type, and the same value where there is one.
func expectSubset(t *testing.T, what string, own, zendesks map[string]any, must []string) {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(own)) {
		want, there := zendesks[key]
		got := own[key]
		switch {
		case !there:
			t.Errorf("%s has %s, which Zendesk's has not", what, key)
		case slices.Contains(must, key) && !cmp.Equal(want, got):
			t.Errorf("%s: %s is %v, and Zendesk's %v", what, key, got, want)
		case got != nil && want != nil && kind(got) != kind(want):
			t.Errorf("%s: %s is a %s, and Zendesk's a %s", what, key, kind(got), kind(want))
		}
	}
	for _, key := range must {
		if _, there := own[key]; !there {
			t.Errorf("%s has no %s", what, key)
		}
	}
}

// userKeys and ticketKeys are those that must be there and be Zendesk's.
func userKeys() []string {
	return strings.Fields("id name email phone locale role tags active suspended organization_id created_at updated_at")
}

func ticketKeys() []string {
	return strings.Fields("id subject status priority type requester_id assignee_id organization_id group_id brand_id " +
		"ticket_form_id custom_status_id tags created_at updated_at")
}

// faceForm lays each answer beside the account's own.
func faceForm(t *testing.T, f *face, p person) {
	account := (&face{w: f.w, origin: f.w.url, user: zendesktest.DefaultEmail, password: zendesktest.DefaultPassword}).flow()
	mirror := f.flow()
	mirror.find(t, p)
	tests := []struct {
		name, path, list string
		must             []string
	}{
		{"people", "/api/v2/users/search.json?query=type:user%20" + p.number[1:], "users", userKeys()},
		{"people of all results", "/api/v2/search.json?query=type:user%20" + p.number[1:], "results", append(userKeys(), "result_type")},
		{"tickets", fmt.Sprintf("/api/v2/search.json?query=type:ticket%%20status%%3Csolved%%20requester:%d%s", p.id, ticketRows), "results", append(ticketKeys(), "result_type")},
		{"one person", fmt.Sprintf("/api/v2/users/%d.json", p.id), "user", userKeys()},
		{"one ticket", fmt.Sprintf("/api/v2/tickets/%d.json", p.open[0]), "ticket", ticketKeys()},
		{"oneself", "/api/v2/users/me.json", "user", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := mirror.get(t, tt.path), account.get(t, tt.path)
			own, zendesks := a.object(t), b.object(t)
			if diff := cmp.Diff(keysOf(zendesks), keysOf(own)); diff != "" {
				t.Errorf("the envelope (-Zendesk +aniproxy):\n%s", diff)
			}
			items, theirs := asList(own[tt.list]), asList(zendesks[tt.list])
			if len(items) != len(theirs) || len(items) == 0 {
				t.Fatalf("%d items, and Zendesk's has %d", len(items), len(theirs))
			}
			for i := range items {
				expectSubset(t, fmt.Sprintf("item %d", i), items[i], theirs[i], tt.must)
			}
			for _, key := range []string{"count", "next_page", "previous_page", "facets"} {
				if !cmp.Equal(own[key], zendesks[key]) {
					t.Errorf("%s is %v, and Zendesk's %v", key, own[key], zendesks[key])
				}
			}
		})
	}
	t.Run("the order that is asked for", func(t *testing.T) {
		for _, rows := range []string{
			"&sort_by=created_at&sort_order=asc", "&sort_by=created_at&sort_order=desc", "&sort_by=created_at",
			"&sort_by=updated_at&sort_order=asc", "&sort_by=updated_at&sort_order=desc", "&sort_by=updated_at",
		} {
			path := fmt.Sprintf("/api/v2/search.json?query=type:ticket%%20status%%3Csolved%%20requester:%d%s", p.id, rows)
			var ids [2][]any
			for i, c := range []*flow{account, mirror} {
				a := c.get(t, path)
				for _, x := range asList(a.object(t)["results"]) {
					ids[i] = append(ids[i], x["id"])
				}
			}
			if diff := cmp.Diff(ids[0], ids[1]); diff != "" || len(ids[0]) != len(p.open) {
				t.Errorf("%s (-Zendesk +aniproxy):\n%s", rows, diff)
			}
		}
	})
	t.Run("the tickets that somebody requested", func(t *testing.T) {
		path := fmt.Sprintf("/api/v2/users/%d/tickets/requested.json", p.id)
		a, b := mirror.get(t, path), account.get(t, path)
		own, zendesks := a.object(t), b.object(t)
		if diff := cmp.Diff(keysOf(zendesks), keysOf(own)); diff != "" {
			t.Errorf("the envelope (-Zendesk +aniproxy):\n%s", diff)
		}
		byID := map[any]map[string]any{}
		for _, x := range asList(zendesks["tickets"]) {
			byID[x["id"]] = x
		}
		items := asList(own["tickets"])
		if len(items) != len(p.open) {
			t.Errorf("%d tickets, want the %d unresolved ones", len(items), len(p.open))
		}
		for i, x := range items {
			expectSubset(t, fmt.Sprintf("ticket %d", i), x, byID[x["id"]], ticketKeys())
		}
	})
}

// asList is a list's objects, or the one object that stands for itself.
func asList(v any) (all []map[string]any) {
	if o, ok := v.(map[string]any); ok {
		return []map[string]any{o}
	}
	items, _ := v.([]any)
	for _, item := range items {
		o, _ := item.(map[string]any)
		all = append(all, o)
	}
	return all
}
