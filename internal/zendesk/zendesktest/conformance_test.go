package zendesktest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
)

// exception is where a recorded answer, or another part of the documentation,
// says otherwise than the description.
type exception struct {
	schema, property, reason string
}

// nullable are properties that the description forgets to call nullable. All
// of them are null in recorded answers.
var nullable = []exception{
	{"TicketObject", "external_id", "null in every recorded ticket"},
	{"TicketObject", "type", "null in every recorded ticket"},
	{"TicketObject", "priority", "null in recorded tickets"},
	{"TicketObject", "recipient", "null in every recorded ticket"},
	{"TicketObject", "assignee_id", "null in recorded tickets"},
	{"TicketObject", "organization_id", "null in recorded tickets"},
	{"TicketObject", "group_id", "null in recorded tickets"},
	{"TicketObject", "forum_topic_id", "null in every recorded ticket"},
	{"TicketObject", "problem_id", "null in every recorded ticket"},
	{"TicketObject", "satisfaction_rating", "null in every recorded ticket"},
	{"UserForAdmin", "alias", "null in recorded users"},
	{"UserForAdmin", "email", "users without an address have been seen by everyone who exports them"},
	{"UserForAdmin", "default_group_id", "null in every recorded end-user"},
	{"UserForAdmin", "details", "null in recorded users"},
	{"UserForAdmin", "notes", "null in recorded users"},
	{"UserForAdmin", "last_login_at", "null in recorded users"},
	{"UserForAdmin", "signature", "null in recorded users"},
	{"UserForAdmin", "locale", "null where the account's default applies"},
	{"UserForAdmin", "locale_id", "null where the account's default applies"},
}

// undescribed are answers that the description has nothing, or something
// useless, to say of.
var undescribed = map[string]string{
	"POST /oauth/tokens":                       "not part of the ticketing API that is described",
	"GET /api/v2/users/{id}/tickets/requested": "missing from the description; its tickets are those of the list of tickets",
	"GET /api/v2/webhooks":                     "webhooks are described elsewhere",
	"POST /api/v2/webhooks":                    "webhooks are described elsewhere",
	"GET /api/v2/webhooks/{id}":                "webhooks are described elsewhere",
	"PUT /api/v2/webhooks/{id}":                "webhooks are described elsewhere",
	"PATCH /api/v2/webhooks/{id}":              "webhooks are described elsewhere",
	"DELETE /api/v2/webhooks/{id}":             "webhooks are described elsewhere",
	"GET /api/v2/webhooks/{id}/signing_secret": "webhooks are described elsewhere",
}

func description(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(sharedFile(t, "zendesk-oas.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range nullable {
		schema := doc.Components.Schemas[x.schema]
		if schema == nil || schema.Value.Properties[x.property] == nil {
			t.Fatalf("%s.%s is not described: the exception is out of date", x.schema, x.property)
		}
		p := schema.Value.Properties[x.property].Value
		p.Nullable = true
		if len(p.Enum) > 0 {
			p.Enum = append(p.Enum, nil)
		}
	}
	// Deleted tickets stand in every recorded export.
	st := doc.Components.Schemas["TicketObject"].Value.Properties["status"].Value
	st.Enum = append(st.Enum, "deleted")
	return doc
}

// The account's answers are what Zendesk's own description says they are.
func TestAnswersFitTheDescription(t *testing.T) {
	doc := description(t)
	d := newDesk(t, Options{Seed: 8, Users: 150, Limits: unlimited, SearchLag: -1, SideloadIdentities: true})
	user := d.CreateUser(UserSpec{Name: "Ada Example", Phone: "+15135557611", Identities: []string{"513-555-7612"}})
	ticket := d.ticket(TicketSpec{Requester: user, Subject: "Router"})
	hook, _ := d.CreateWebhook("https://proxy.example.com/", conditional)
	d.clock.advance(2 * time.Minute)
	byID := func(format string, id int64) string { return fmt.Sprintf(format, id) }
	const put = `{"ticket":{"comment":{"body":"called","public":false},"priority":"high","metadata":{"custom":{"a":1}}}}`
	asked := map[string]bool{}
	for _, ask := range []struct{ endpoint, target, body string }{
		{"GET /api/v2/incremental/tickets/cursor", "/api/v2/incremental/tickets/cursor.json?start_time=0&include=users", ""},
		{"GET /api/v2/incremental/users/cursor", "/api/v2/incremental/users/cursor.json?start_time=0&include=identities", ""},
		{"GET /api/v2/incremental/tickets", "/api/v2/incremental/tickets.json?start_time=0", ""},
		{"GET /api/v2/incremental/users", "/api/v2/incremental/users.json?start_time=0", ""},
		{"GET /api/v2/search", "/api/v2/search.json?query=phone:*5557611", ""},
		{"GET /api/v2/search", "/api/v2/search.json?query=type:ticket+status%3Csolved", ""},
		{"GET /api/v2/search/export", "/api/v2/search/export.json?query=status%3Csolved&filter[type]=ticket", ""},
		{"GET /api/v2/users/me", "/api/v2/users/me.json", ""},
		{"GET /api/v2/users/search", "/api/v2/users/search.json?query=15135557611", ""},
		{"GET /api/v2/users/show_many", byID("/api/v2/users/show_many.json?ids=%d&include=identities", user), ""},
		{"GET /api/v2/users/{id}", byID("/api/v2/users/%d.json", user), ""},
		{"GET /api/v2/users/{id}/identities", byID("/api/v2/users/%d/identities.json", user), ""},
		{"PUT /api/v2/tickets/{id}", byID("/api/v2/tickets/%d.json", ticket), put},
		{"POST /api/v2/tickets", "/api/v2/tickets.json", `{"ticket":{"subject":"New","comment":{"body":"hello"}}}`},
		{"GET /api/v2/tickets/{id}", byID("/api/v2/tickets/%d.json", ticket), ""},
		{"GET /api/v2/tickets/show_many", byID("/api/v2/tickets/show_many.json?ids=%d", ticket), ""},
		{"GET /api/v2/tickets/{id}/audits", byID("/api/v2/tickets/%d/audits.json", ticket), ""},
		{"GET /api/v2/tickets/{id}/comments", byID("/api/v2/tickets/%d/comments.json", ticket), ""},
		{"GET /api/v2/brands", "/api/v2/brands.json", ""},
		{"GET /api/v2/groups", "/api/v2/groups.json", ""},
		{"GET /api/v2/custom_statuses", "/api/v2/custom_statuses.json", ""},
		{"POST /api/v2/triggers", "/api/v2/triggers.json", fmt.Sprintf(triggerJSON, hook)},
		{"GET /api/v2/triggers", "/api/v2/triggers.json?page[size]=10", ""},
		{"GET /api/v2/triggers", "/api/v2/triggers.json?active=true", ""},
		{"GET /api/v2/triggers/search", "/api/v2/triggers/search.json?query=told", ""},
		{"GET /api/v2/triggers/{id}", byID("/api/v2/triggers/%d.json", triggerBase), ""},
		{"PUT /api/v2/triggers/{id}", byID("/api/v2/triggers/%d.json", triggerBase), `{"trigger":{"active":false}}`},
		{"DELETE /api/v2/triggers/{id}", byID("/api/v2/triggers/%d.json", triggerBase), ""},
	} {
		asked[ask.endpoint] = true
		method, path, _ := strings.Cut(ask.endpoint, " ")
		a := d.do(method, ask.target, ask.body)
		if a.Status >= 300 {
			t.Errorf("%s: status %d: %s", ask.target, a.Status, a.Body)
			continue
		}
		if a.Status == 204 {
			if a.Body != "" || !describedAsEmpty(doc, method, path) {
				t.Errorf("%s: 204 is not described, or has a body %q", ask.endpoint, a.Body)
			}
			continue
		}
		schema := described(doc, method, path, a.Status)
		if schema == nil {
			t.Errorf("%s is not described", ask.endpoint)
			continue
		}
		var v any
		if err := json.Unmarshal([]byte(a.Body), &v); err != nil {
			t.Fatal(err)
		}
		if err := schema.VisitJSON(v, openapi3.VisitAsResponse()); err != nil {
			t.Errorf("%s:\n%.2000s", ask.target, err)
		}
	}
	for _, r := range d.routes {
		endpoint := r.method + " " + r.template
		if reason := undescribed[endpoint]; asked[endpoint] == (reason != "") {
			t.Errorf("%s: neither asked for nor excepted, or both", endpoint)
		}
		if undescribed[endpoint] != "" && described(doc, r.method, r.template, 200) != nil {
			t.Errorf("%s is described after all", endpoint)
		}
	}
}

// described is the schema of an answer. Parameters have other names there.
func described(doc *openapi3.T, method, template string, status int) *openapi3.Schema {
	for path, item := range doc.Paths.Map() {
		if shape(path) != shape(template) || item.GetOperation(method) == nil {
			continue
		}
		resp := item.GetOperation(method).Responses.Status(status)
		if resp == nil || resp.Value.Content.Get("application/json") == nil {
			return nil
		}
		return resp.Value.Content.Get("application/json").Schema.Value
	}
	return nil
}

// describedAsEmpty tells whether a 204 is what the description promises.
func describedAsEmpty(doc *openapi3.T, method, template string) bool {
	for path, item := range doc.Paths.Map() {
		if shape(path) == shape(template) && item.GetOperation(method) != nil {
			return item.GetOperation(method).Responses.Status(204) != nil
		}
	}
	return false
}

func shape(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if strings.HasPrefix(p, "{") {
			parts[i] = "{}"
		}
	}
	return strings.Join(parts, "/")
}

// recorded is one request and its answer.
type recorded struct {
	Request  struct{ Method, URI string }
	Response struct {
		Headers map[string][]string
		Body    map[string]any
	}
}

func recordings(t *testing.T, name string) []recorded {
	t.Helper()
	var all []recorded
	if err := json.Unmarshal(sharedFile(t, "recorded/"+name), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// keysOf are the names in an object, and in the objects in it, with the kind
// of each value; null is left open.
func keysOf(prefix string, v any, into map[string]string) {
	switch x := v.(type) {
	case map[string]any:
		for k, inner := range x {
			into[prefix+k] = kindOf(inner)
			keysOf(prefix+k+".", inner, into)
		}
	case []any:
		for _, inner := range x {
			keysOf(prefix+"[].", inner, into)
		}
	}
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "string"
	case float64:
		return "number"
	case bool:
		return "bool"
	case []any:
		return "list"
	}
	return "object"
}

// The account's answers have the fields of the recorded ones, of the same
// kinds, and in an export no others.
func TestAnswersHaveTheRecordedFields(t *testing.T) {
	d := newDesk(t, Options{Seed: 8, Users: 300, Limits: unlimited})
	for _, c := range []struct{ file, target, kind string }{
		{"TicketsIncrementalTest.test_get_values.json", "/api/v2/incremental/tickets.json?start_time=0", "tickets"},
		{"TicketsIncrementalTest.test_get_values.json", "/api/v2/incremental/tickets/cursor.json?start_time=0", "tickets"},
		{"UsersIncrementalTest.test_get_values.json", "/api/v2/incremental/users.json?start_time=0", "users"},
		{"UsersIncrementalTest.test_get_values.json", "/api/v2/incremental/users/cursor.json?start_time=0", "users"},
		{"TestUserMe.test_users_me.json", "/api/v2/users/me.json", ""},
	} {
		all := recordings(t, c.file)
		at := slices.IndexFunc(all, func(r recorded) bool { return strings.HasSuffix(r.Request.URI, c.target) })
		if at < 0 {
			t.Fatalf("%s is not in %s", c.target, c.file)
		}
		compareFields(t, c.target, all[at].Response.Body, d.ok(c.target).JSON)
		for name := range all[at].Response.Headers {
			if name == "etag" || strings.HasPrefix(name, "cf-") {
				continue // what caches add
			}
			limited := newDesk(t, Options{})
			if got := limited.ok(c.target).Header; got.Get(name) == "" {
				t.Errorf("%s: the recorded header %s is missing", c.target, name)
			}
		}
	}
}

// compareFields compares names and kinds. The recorded account is nearly
// empty: what is null there can be anything here, and the other way round.
func compareFields(t *testing.T, what string, recorded, made map[string]any) {
	t.Helper()
	want, got := map[string]string{}, map[string]string{}
	keysOf("", recorded, want)
	keysOf("", made, got)
	for k, kind := range want {
		if strings.Contains(k, "photo.") {
			continue // nobody here has a picture
		}
		have, there := got[k]
		if !there || (have != kind && have != "null" && kind != "null") {
			t.Errorf("%s: %s is %q, recorded as %s", what, k, have, kind)
		}
	}
	for k := range got {
		if _, there := want[k]; !there {
			t.Errorf("%s: %s was never recorded", what, k)
		}
	}
}

func TestAnUpdateIsAnsweredAsRecorded(t *testing.T) {
	all := recordings(t, "TestTicketCreateUpdateDelete.test_single_object_update-update-single.json")
	d := newDesk(t, Options{Limits: unlimited})
	created := d.do("POST", "/api/v2/tickets.json", `{"ticket":{"subject":"test","description":"test"}}`)
	updated := d.do("PUT", "/api/v2/tickets/1.json", `{"ticket":{"subject":"changed"}}`)
	if diff := cmp.Diff([]int{201, 200}, []int{created.Status, updated.Status}); diff != "" {
		t.Fatal(diff)
	}
	for k, made := range []answer{created, updated} {
		// The audit of the service lists more: where the request came from.
		body := all[k].Response.Body
		for _, b := range []map[string]any{body, made.JSON} {
			if audit, ok := b["audit"].(map[string]any); ok {
				delete(audit, "metadata")
			}
		}
		compareFields(t, all[k].Request.Method, body, made.JSON)
	}
}
