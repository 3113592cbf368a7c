package proxy

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"aniproxy/internal/caller"
)

// beside reads a file that lies beside the repository, not in it.
func beside(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "shared", "facts", filepath.FromSlash(name)))
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("%s is not here: it lies beside the repository, not in it", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// zendesksDescription is Zendesk's own description of its API. What it forgets
// to call nullable is null in recorded answers, or for users without the fact.
func zendesksDescription(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(beside(t, "zendesk-oas.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for schema, properties := range map[string]string{
		"TicketObject": "external_id type priority recipient assignee_id organization_id group_id forum_topic_id problem_id satisfaction_rating custom_status_id ticket_form_id brand_id",
		"UserForAdmin": "alias email default_group_id details notes last_login_at signature locale locale_id",
	} {
		for _, name := range strings.Fields(properties) {
			p := doc.Components.Schemas[schema].Value.Properties[name]
			if p == nil {
				t.Fatalf("%s.%s is not described: the exception is out of date", schema, name)
			}
			p.Value.Nullable = true
			if len(p.Value.Enum) > 0 {
				p.Value.Enum = append(p.Value.Enum, nil)
			}
		}
	}
	return doc
}

// recordedObject is the first object of a list in a recorded answer.
func recordedObject(t *testing.T, file, list string) json.RawMessage {
	t.Helper()
	var all []struct {
		Response struct{ Body map[string]json.RawMessage }
	}
	if err := json.Unmarshal(beside(t, "recorded/"+file), &all); err != nil {
		t.Fatal(err)
	}
	var objects []json.RawMessage
	if err := json.Unmarshal(all[0].Response.Body[list], &objects); err != nil || len(objects) == 0 {
		t.Fatalf("no %s in %s: %v", list, file, err)
	}
	return objects[0]
}

// archive is a crowd whose objects were recorded.
type archive struct {
	*crowd
	userObject, ticketObject json.RawMessage
}

func (a *archive) Objects(stream caller.Stream, ids []int64) (objects [][]byte, err error) {
	for range ids {
		objects = append(objects, map[caller.Stream]json.RawMessage{caller.Users: a.userObject, caller.Tickets: a.ticketObject}[stream])
	}
	return objects, a.err
}

// What is answered is what Zendesk's own description says of it, with objects
// as they were recorded and with those that are made here.
func TestAnswersFitZendesksDescription(t *testing.T) {
	doc := zendesksDescription(t)
	made := crowdOf(2)
	made.objects = false
	made.open[0].Priority, made.open[0].Type, made.open[0].AssigneeID = "high", "incident", 40
	recorded := &archive{crowdOf(2), recordedObject(t, "UsersIncrementalTest.test_get_values.json", "users"),
		recordedObject(t, "TicketsIncrementalTest.test_get_values.json", "tickets")}
	for name, d := range map[string]Directory{"recorded objects": recorded, "made objects": made} {
		t.Run(name, func(t *testing.T) {
			crowd, _ := d.(*crowd)
			if crowd == nil {
				crowd = recorded.crowd
			}
			w := newWorld(t, withCrowd(crowd, func(o *Options) { o.Directory = d }))
			if got := w.zen(t, "/api/v2/users/search?query=%2B15135550101"); got.status != 200 {
				t.Fatal(got.status)
			}
			w.zen(t, "/api/v2/search?query=requester:"+annsID)
			for _, ask := range []struct{ method, template, path, body string }{
				{"GET", "/api/v2/users/search", "/api/v2/users/search.json?query=type:user%20%2B15135550101", ""},
				{"GET", "/api/v2/search", "/api/v2/search.json?query=type:user%20%2B15135550101", ""},
				{"GET", "/api/v2/search", "/api/v2/search.json?per_page=1&query=type:ticket%20status%3Csolved%20%20requester:" + annsID, ""},
				{"GET", "/api/v2/users/me", "/api/v2/users/me.json", ""},
				{"GET", "/api/v2/users/{user_id}", "/api/v2/users/" + annsID + ".json", ""},
				{"GET", "/api/v2/tickets", "/api/v2/users/" + annsID + "/tickets/requested.json", ""}, // not described: a list of tickets like others
				{"GET", "/api/v2/tickets", "/api/v2/users/" + annsID + "/tickets/requested.json?page[size]=1", ""},
				{"GET", "/api/v2/tickets/{ticket_id}", "/api/v2/tickets/2.json", ""},
				{"PUT", "/api/v2/tickets/{ticket_id}", "/api/v2/tickets/2.json", `{"ticket":{"comment":{"body":"called","public":false}}}`},
			} {
				got := w.zenAs(t, connector, ask.method, ask.path, ask.body)
				if got.status != http.StatusOK {
					t.Errorf("%s: %d: %s", ask.path, got.status, got.body)
					continue
				}
				item := doc.Paths.Find(ask.template)
				if item == nil || item.GetOperation(ask.method) == nil {
					t.Errorf("%s is not described", ask.template)
					continue
				}
				schema := item.GetOperation(ask.method).Responses.Status(http.StatusOK).Value.Content.Get("application/json").Schema.Value
				var v any
				if err := json.Unmarshal(got.body, &v); err != nil {
					t.Fatal(err)
				}
				if err := schema.VisitJSON(v, openapi3.VisitAsResponse()); err != nil {
					t.Errorf("%s:\n%.2000s", ask.path, err)
				}
			}
		})
	}
}

// The envelopes of errors are the collected ones, word for word where the words
// are Zendesk's.
func TestErrorsAreTheCollectedOnes(t *testing.T) {
	var shapes []struct {
		ID     string
		Status int
		Body   any
	}
	if err := json.Unmarshal(beside(t, "zendesk-errors.json"), &shapes); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, template)
	for id, ask := range map[string]struct{ client, path string }{
		"unauthenticated":         {"nobody", "/api/v2/users/me.json"},
		"not_found":               {connector, "/api/v2/tickets/1.json"},
		"invalid_endpoint":        {connector, "/api/v2/brands.json"},
		"search_page_not_integer": {connector, "/api/v2/search.json?query=requester:5&page=one"},
		"search_over_1000":        {connector, "/api/v2/search.json?query=requester:5&page=11&per_page=100"},
	} {
		found := false
		for _, shape := range shapes {
			if shape.ID != id {
				continue
			}
			found = true
			got := w.zenAs(t, ask.client, http.MethodGet, ask.path, "")
			var body any
			if err := json.Unmarshal(got.body, &body); err != nil {
				t.Fatal(err)
			}
			want, err := json.Marshal(shape.Body)
			if err != nil {
				t.Fatal(err)
			}
			again, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			if got.status != shape.Status || string(again) != string(want) {
				t.Errorf("%s: %d %s, want %d %s", id, got.status, again, shape.Status, want)
			}
		}
		if !found {
			t.Errorf("%s was never collected", id)
		}
	}
}
