package proxy

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/caller"
)

// The name of the client that a connector has.
const connector = "connector"

// template adds a client as Cisco's template has it: Zendesk's API and nothing
// else.
func template(o *Options) {
	withClients(o)
	o.Clients = append(o.Clients, newClient(connector, "zendesk"), newClient("second", "zendesk"), newClient("desk", "zendesk", "directory"))
	o.DedupeWindow = time.Minute
}

// envelope holds an error of that status to Zendesk's forms and gives what it
// says.
func (r *reply) envelope(t testing.TB, want int) string {
	t.Helper()
	if r.status != want {
		t.Fatalf("status %d, want %d: %s", r.status, want, r.body)
	}
	if got := r.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("an error of the type %q", got)
	}
	var e struct {
		Error       json.RawMessage
		Description string
		Details     map[string][]struct{ Description string }
		Errors      []struct{ Code, Title, Detail string }
	}
	if err := json.Unmarshal(r.body, &e); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
	var titled struct{ Title, Message string }
	word := ""
	switch {
	case len(e.Errors) == 1:
		return e.Errors[0].Code + ": " + e.Errors[0].Detail
	case json.Unmarshal(e.Error, &titled) == nil && titled.Title != "" && titled.Message != "":
		return titled.Title + ": " + titled.Message
	case json.Unmarshal(e.Error, &word) == nil && word != "":
		for field, faults := range e.Details {
			return word + ": " + field + ": " + faults[0].Description
		}
		return word + ": " + e.Description
	default:
		t.Fatalf("no error of Zendesk's: %s", r.body)
		return ""
	}
}

// zen asks Zendesk's API as the connector does, with Basic credentials.
func (w *world) zen(t testing.TB, path string) *reply {
	t.Helper()
	return w.zenAs(t, connector, http.MethodGet, path, "")
}

func (w *world) zenAs(t testing.TB, client, method, path, body string) *reply {
	t.Helper()
	r := request(t, method, w.public.URL+path, body, "")
	r.SetBasicAuth(client, secretOf(client))
	return send(t, r)
}

// found gives the ids in a list of an answer.
func (r *reply) found(t testing.TB, list string) []string {
	t.Helper()
	if r.status != http.StatusOK {
		t.Fatalf("status %d: %s", r.status, r.body)
	}
	ids := []string{}
	items, ok := r.json(t)[list].([]any)
	if !ok {
		t.Fatalf("no list of %s in %s", list, r.body)
	}
	for _, item := range items {
		ids = append(ids, fmt.Sprint(item.(map[string]any)["id"]))
	}
	return ids
}

const (
	annsID      = "9007199254740993"
	annsTickets = "503 502 501 500"
)

// The three requests of the template, with what its flow reads of the answers.
func TestTheTemplateWorks(t *testing.T) {
	w := newWorld(t, template)
	user := w.zen(t, "/api/v2/users/search.json?query=type:user%20%2B15135550101").json(t)["users"].([]any)[0].(map[string]any)
	if id, name := fmt.Sprint(user["id"]), user["name"]; id != annsID || name != "Ann Lee" {
		t.Errorf("the user is %v, %v", id, name)
	}
	ticket := w.zen(t, "/api/v2/search.json?query=type:ticket%20status%3Csolved%20%20requester:"+annsID+"&sort_by=created_at&sort_order=desc").
		json(t)["results"].([]any)[0].(map[string]any)
	if id, status := fmt.Sprint(ticket["id"]), ticket["status"]; id != "503" || status != "open" {
		t.Errorf("the ticket is %v, %v", id, status)
	}
	put := w.zenAs(t, connector, http.MethodPut, "/api/v2/tickets/503.json", `{"ticket":{"comment":{"body":"Called, and hung up."}}}`)
	if put.status != http.StatusOK {
		t.Fatalf("the comment: %d: %s", put.status, put.body)
	}
	records := w.shelf.all()
	if len(records) != 1 || records[0].TicketID != 503 || records[0].Body != "Called, and hung up." || records[0].Public || records[0].Client != connector {
		t.Errorf("the outbox holds %+v", records)
	}
}

// The template's second request for a caller whom the first did not find.
func TestAnUnsetVariableFindsNothing(t *testing.T) {
	w := newWorld(t, template)
	for _, query := range []string{
		"type:ticket%20status%3Csolved%20%20requester:null", "type:ticket status<solved requester:", "type:ticket+status%3Csolved+requester:0",
		"type:ticket%20status%3Csolved%20requester:None", "type:ticket%20status%3Csolved%20requester:-1", "requester:%22%22",
	} {
		got := w.zen(t, "/api/v2/search.json?query="+strings.ReplaceAll(query, " ", "%20"))
		if diff := cmp.Diff(`{"results":[],"facets":null,"next_page":null,"previous_page":null,"count":0}`, string(got.body)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	if got := w.resolver.asked(); got != 0 {
		t.Errorf("the resolver was asked %d times", got)
	}
	for _, path := range []string{"/api/v2/users/null.json", "/api/v2/tickets/null.json", "/api/v2/users/0", "/api/v2/users/-5", "/api/v2/users//tickets/requested.json"} {
		if got := w.zen(t, path).envelope(t, http.StatusNotFound); got != "RecordNotFound: Not found" {
			t.Errorf("%s: %s", path, got)
		}
	}
	if got := w.zenAs(t, connector, http.MethodPut, "/api/v2/tickets/null.json", `{"ticket":{"comment":{"body":"x"}}}`).envelope(t, http.StatusNotFound); got != "RecordNotFound: Not found" {
		t.Errorf("a comment on nothing: %s", got)
	}
}

func TestPathsOfZendesks(t *testing.T) {
	tests := []struct {
		path, one string
		ok        bool
	}{
		{"/api/v2/search", "/api/v2/search", true},
		{"/api/v2/search.json", "/api/v2/search", true},
		{"//api/v2/search.json", "/api/v2/search", true},
		{"//api/v2/users/5/tickets/requested.json/", "/api/v2/users/5/tickets/requested", true},
		{"/api/v2", "/api/v2", true},
		{"/api/v2/", "/api/v2", true},
		{"/api/v2/.json", "/api/v2/", true},
		{"///api/v2/search", "", false},
		{"/api/v2x", "", false},
		{"/api/v2.json", "", false},
		{"/api//v2/search", "", false},
		{"api/v2/search", "", false},
		{"/v1/lookup", "", false},
		{"//", "", false},
		{"", "", false},
	}
	for _, tt := range tests {
		if one, ok := zendeskPath(tt.path); one != tt.one || ok != tt.ok {
			t.Errorf("%s is %q, %v", tt.path, one, ok)
		}
	}
}

// The spellings of a path are the same endpoint, for the log and the metrics
// too.
func TestEachSpellingOfAPathIsTheSame(t *testing.T) {
	w := newWorld(t, template)
	w.zen(t, "/api/v2/users/search?query="+url.QueryEscape(annsNumber))
	for path, template := range map[string]string{
		"/api/v2/users/search":                                "/api/v2/users/search",
		"/api/v2/users/me":                                    "/api/v2/users/me",
		"/api/v2/users/" + annsID:                             "/api/v2/users/{id}",
		"/api/v2/users/" + annsID + "/tickets/requested":      "/api/v2/users/{id}/tickets/requested",
		"/api/v2/search":                                      "/api/v2/search",
		"/api/v2/tickets/503":                                 "/api/v2/tickets/{id}",
		"/api/v2/users/" + annsID + ".0":                      "/api/v2/users/{id}",
		"/api/v2/users/%39" + strings.TrimPrefix(annsID, "9"): "/api/v2/users/{id}",
	} {
		query := ""
		switch path {
		case "/api/v2/users/search":
			query = "?query=type:user%20" + url.QueryEscape(annsNumber)
		case "/api/v2/search":
			query = "?query=type:ticket%20requester:" + annsID
		}
		if template == "/api/v2/tickets/{id}" {
			w.zen(t, "/api/v2/search?query=requester:"+annsID) // tells of the ticket
		}
		first := w.zen(t, path+query)
		if first.status != http.StatusOK {
			t.Fatalf("%s: %d: %s", path, first.status, first.body)
		}
		before := strings.Count(w.logged(), "route="+template+" ")
		for _, spelled := range []string{path + ".json", "/" + path, "/" + path + ".json", path + "/", "/" + path + ".json/"} {
			if got := w.zen(t, spelled+query); got.status != http.StatusOK || string(got.body) != string(first.body) {
				t.Errorf("%s: %d: %s", spelled, got.status, got.body)
			}
		}
		if got := strings.Count(w.logged(), "route="+template+" ") - before; got != 5 {
			t.Errorf("%s: %d of 5 lines of the log name %s", path, got, template)
		}
	}
}

// raw writes a request byte for byte and reads the answer.
func raw(t *testing.T, w *world, lines ...string) *reply {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(w.public.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got := &reply{status: res.StatusCode, header: res.Header}
	if method, _, _ := strings.Cut(lines[0], " "); method != http.MethodHead {
		if got.body, err = io.ReadAll(res.Body); err != nil {
			t.Fatal(err)
		}
	}
	return got
}

// What a connector makes of its address and the template's paths: with a slash
// at the end of the address, two slashes or one; without it, one or none, and
// the last is no HTTP at all.
func TestSlashesByteForByte(t *testing.T) {
	w := newWorld(t, template)
	w.zen(t, "/api/v2/users/search?query="+url.QueryEscape(annsNumber))
	w.zen(t, "/api/v2/search?query=requester:"+annsID)
	const body = `{"ticket":{"comment":{"body":"called"}}}`
	auth := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(connector+":"+secretOf(connector)))
	tests := []struct {
		name, line string
		want       int
	}{
		{"a search behind two slashes", "GET //api/v2/users/search.json?query=type:user%20+15135550101 HTTP/1.1", 200},
		{"a search behind one", "GET /api/v2/users/search.json?query=type:user%20+15135550101 HTTP/1.1", 200},
		{"with the whole address", "GET http://aniproxy.example//api/v2/users/search.json?query=type:user%20+15135550101 HTTP/1.1", 200},
		{"a raw sign in the query", "GET //api/v2/search.json?query=type:ticket+status<solved++requester:" + annsID + "&sort_by=created_at&sort_order=desc HTTP/1.1", 200},
		{"a comment behind one slash", "PUT /api/v2/tickets/503.json HTTP/1.1", 200},
		{"a comment behind two", "PUT //api/v2/tickets/503.json HTTP/1.1", 200},
		{"a comment behind none is no request", "PUT api/v2/tickets/503.json HTTP/1.1", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := raw(t, w, tt.line, "Host: aniproxy.example", auth, "Content-Type: application/json",
				fmt.Sprintf("Content-Length: %d", len(body)), "Connection: close", "", body)
			if got.status != tt.want {
				t.Errorf("status %d, want %d: %s", got.status, tt.want, got.body)
			}
		})
	}
	if n := len(w.shelf.all()); n != 1 {
		t.Errorf("the same comment is %d records", n)
	}
}

func TestHeadIsGetWithoutTheBody(t *testing.T) {
	w := newWorld(t, template)
	auth := "Authorization: Bearer " + secretOf(connector)
	for line, want := range map[string]int{
		"HEAD /api/v2/users/me.json HTTP/1.1": 200, "HEAD //api/v2/users/me HTTP/1.1": 200, "HEAD /api/v2/users HTTP/1.1": 404,
	} {
		got := raw(t, w, line, "Host: x", auth, "Connection: close", "", "")
		if got.status != want || got.header.Get("Content-Type") != "application/json" || got.header.Get("Content-Length") == "0" {
			t.Errorf("%s: %d, %v", line, got.status, got.header)
		}
	}
}

func TestWhatZendesksAPIHasNotHere(t *testing.T) {
	w := newWorld(t, template)
	for _, line := range []string{
		"GET /api/v2", "GET /api/v2/", "GET //api/v2", "GET /api/v2/users", "GET /api/v2/users.json", "GET /api/v2/tickets.json", "GET /api/v2/nothing",
		"GET /api/v2/users/show_many.json?ids=1", "GET /api/v2/users/me/identities", "GET /api/v2/users/5/identities.json", "GET /api/v2/tickets/503/comments.json",
		"GET /api/v2/search/count.json?query=x", "GET /api/v2/search/export", "GET /api/v2/incremental/users/cursor.json", "GET /api/v2/users/1e3", "GET /api/v2/tickets/503x",
		"POST /api/v2/tickets.json", "POST /api/v2/search", "DELETE /api/v2/tickets/503.json", "PATCH /api/v2/tickets/503", "PUT /api/v2/users/5.json",
		"PUT /api/v2/tickets/update_many.json?ids=503", "OPTIONS /api/v2/search", "OPTIONS /api/v2/nothing", "BREW /api/v2/users/me",
	} {
		method, path, _ := strings.Cut(line, " ")
		got := w.zenAs(t, "desk", method, path, "")
		if said := got.envelope(t, http.StatusNotFound); said != "InvalidEndpoint: Not found" || got.header.Get("Allow") != "" {
			t.Errorf("%s: %s %v", line, said, got.header)
		}
	}
	for _, path := range []string{"///api/v2/users/me", "/api/v2x", "/api%2Fv2/users/me"} {
		w.zen(t, path).detail(t, http.StatusNotFound)
	}
}

func TestKeysOfZendesksClients(t *testing.T) {
	w := newWorld(t, template)
	basic := func(name, secret string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+secret))
	}
	tests := []struct {
		name, path, key string
		want            int
	}{
		{"the name", "/api/v2/users/me.json", basic(connector, secretOf(connector)), 200},
		{"the name with /token", "/api/v2/users/me.json", basic(connector+"/token", secretOf(connector)), 200},
		{"a bearer", "/api/v2/users/me.json", "Bearer " + secretOf(connector), 200},
		{"another's name with /token", "/api/v2/users/me.json", basic("second/token", secretOf(connector)), 401},
		{"the name with /token twice", "/api/v2/users/me.json", basic(connector+"/token/token", secretOf(connector)), 401},
		{"no name", "/api/v2/users/me.json", basic("", secretOf(connector)), 401},
		{"/token alone", "/api/v2/users/me.json", basic("/token", secretOf(connector)), 401},
		{"a wrong secret", "/api/v2/users/me.json", basic(connector+"/token", secretOf("nobody")), 401},
		{"nothing", "/api/v2/users/me.json", "", 401},
		{"no key for the search either", "/api/v2/users/search?query=5", "", 401},
		{"the name with /token elsewhere", "/v1/lookup?ani=5", basic("lookup/token", secretOf("lookup")), 401},
		{"the name elsewhere", "/v1/lookup?ani=5", basic("lookup", secretOf("lookup")), 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := request(t, http.MethodGet, w.public.URL+tt.path, "", "")
			if tt.key != "" {
				r.Header.Set("Authorization", tt.key)
			}
			got := send(t, r)
			if got.status != tt.want {
				t.Fatalf("status %d, want %d: %s", got.status, tt.want, got.body)
			}
			if tt.want == 401 && strings.HasPrefix(tt.path, zendeskRoot) {
				if string(got.body) != `{"error":"Couldn't authenticate you"}` || got.header.Get("WWW-Authenticate") == "" {
					t.Errorf("%s, %v", got.body, got.header)
				}
			}
		})
	}
}

// Each kind of refusal, in Zendesk's words.
func TestErrorsAreZendesks(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		template(o)
		busy := newClient("busy", "zendesk")
		busy.Rate, busy.Burst = 1, 1
		o.Clients = append(o.Clients, busy)
	})
	w.zen(t, "/api/v2/users/search?query="+url.QueryEscape(annsNumber))
	w.zen(t, "/api/v2/search?query=requester:"+annsID)
	w.zenAs(t, "busy", http.MethodGet, "/api/v2/users/me", "")
	tests := []struct {
		name, client, line, body string
		status                   int
		want                     string
	}{
		{"no scope", "lookup", "GET /api/v2/users/me", "", 403, "Forbidden: this needs the scope zendesk, which this client was not granted"},
		{"too often", "busy", "GET /api/v2/users/me.json", "", 429, "APIRateLimitExceeded: this client asks more often than its rate allows"},
		{"a query that is too long", connector, "GET //api/v2/search?query=" + strings.Repeat("5", maxQuery), "", 414, "Request URI Too Long: a query has at most 8192 bytes"},
		{"no query", connector, "GET /api/v2/search", "", 400, "Missing parameter: You are missing the required parameter: query"},
		{"no query for people", connector, "GET /api/v2/users/search?q=5", "", 400, "Missing parameter: You are missing the required parameter: query"},
		{"a cursor for a search", connector, "GET /api/v2/search?query=requester:5&page%5Bsize%5D=5", "", 400, "Invalid attribute: You passed an invalid value for the page attribute. Invalid parameter: page must be an integer from api/v2/search/index"},
		{"a page that is none", connector, "GET /api/v2/search?query=requester:5&page=x", "", 400, "Invalid attribute: You passed an invalid value for the page attribute. Invalid parameter: page must be an integer from api/v2/search/index"},
		{"beyond a search's reach", connector, "GET /api/v2/search?query=requester:5&page=11", "", 422, "invalid: Invalid search: Requested response size was greater than Search Response Limits"},
		{"a cursor that is none", connector, "GET /api/v2/users/" + annsID + "/tickets/requested?page[after]=%21", "", 400, "InvalidPaginationParameter: page[after] is not valid"},
		{"a ticket that was not found", connector, "GET /api/v2/tickets/7", "", 404, "RecordNotFound: Not found"},
		{"a body that is too long", connector, "PUT /api/v2/tickets/503", strings.Repeat(" ", maxBody+1), 413, "Request Entity Too Large: a body has at most 65536 bytes"},
		{"a body that is none", connector, "PUT /api/v2/tickets/503", `{"ticket":`, 400, "Invalid request: the body must be one JSON object"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			method, path, _ := strings.Cut(tt.line, " ")
			got := w.zenAs(t, tt.client, method, path, tt.body)
			if diff := cmp.Diff(tt.want, got.envelope(t, tt.status)); diff != "" {
				t.Errorf("the error (-want +got):\n%s", diff)
			}
			if after := got.header.Get("Retry-After"); (after == "1") != (tt.status == 429) {
				t.Errorf("Retry-After is %q", after)
			}
		})
	}
	w.directory.err = io.ErrUnexpectedEOF
	if got := w.zen(t, "/api/v2/users/"+annsID).envelope(t, 500); got != "Internal Server Error: the fault is ours and is in the log under the request id" {
		t.Errorf("a fault of ours: %s", got)
	}
}

func TestAPanicBelowZendesksRootIsAnEnvelope(t *testing.T) {
	w := newWorld(t, template)
	w.zen(t, "/api/v2/users/search?query="+url.QueryEscape(panicNumber)).envelope(t, http.StatusInternalServerError)
	if log := w.logged(); !strings.Contains(log, "panic of type string") || !strings.Contains(log, "route=/api/v2/users/search") {
		t.Errorf("the log:\n%s", log)
	}
}

func TestWhoIsNotAdmittedIsToldSoInAnEnvelope(t *testing.T) {
	w := newWorld(t, nil)
	r := request(t, http.MethodGet, w.public.URL+"//api/v2/users/me.json", "", "")
	r.Header.Set("X-Forwarded-For", "192.0.2.1")
	if got := send(t, r).envelope(t, http.StatusForbidden); !strings.HasPrefix(got, "Forbidden: ") {
		t.Error(got)
	}
}

func TestWhoAsksIsAUser(t *testing.T) {
	w := newWorld(t, template)
	type me struct{ id, name, role, active any }
	of := func(client string) me {
		u := w.zenAs(t, client, http.MethodGet, "/api/v2/users/me.json", "").json(t)["user"].(map[string]any)
		return me{u["id"], u["name"], u["role"], u["active"]}
	}
	first := of(connector)
	if first.name != connector || first.role != "agent" || first.active != true {
		t.Errorf("it is %+v", first)
	}
	id, err := first.id.(json.Number).Int64()
	if err != nil || id <= 0 || id >= 1<<53 {
		t.Errorf("the id is %v", first.id)
	}
	if again := of(connector); again != first {
		t.Errorf("the second time it is %+v", again)
	}
	if other := of("second"); other.id == first.id {
		t.Error("another client has the same id")
	}
}

// TestNothingOfASearchIsLogged asks everything about everybody, and reads what
// was logged and what was refused.
func TestNothingOfASearchIsLogged(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		template(o)
		o.TicketPolicy = caller.TicketPolicy{}
	})
	var refused strings.Builder
	for _, query := range []string{
		"type:user " + annsNumber, "type:user Ann Lee", "email:ann@example.org", "type:ticket requester:ann@example.org", "type:ticket subject:fire",
		annsNumber + " secret:fire", "{{NewPhoneContact.ANI}} Ann",
	} {
		for _, path := range []string{"/api/v2/users/search?query=", "//api/v2/search.json?query="} {
			if got := w.zen(t, path+url.QueryEscape(query)); got.status != http.StatusOK {
				refused.Write(got.body)
			}
		}
	}
	refused.Write(w.zenAs(t, connector, http.MethodPut, "/api/v2/tickets/"+strings.TrimPrefix(annsNumber, "+"), `{"ticket":{"Ann Lee":1}}`).body)
	w.zen(t, "/api/v2/search?query=requester:"+annsID)
	refused.Write(w.zenAs(t, connector, http.MethodPut, "/api/v2/tickets/503", `{"ticket":{"Ann Lee":1,"comment":{"body":"Ann"}}}`).body)
	for name, text := range map[string]string{"the log": w.logged(), "the errors": refused.String()} {
		for _, private := range []string{"5135550101", "Ann", "Lee", "example.org", "fire", "NewPhone", annsID, "query="} {
			if strings.Contains(text, private) {
				t.Errorf("%s: %q is told", name, private)
			}
		}
	}
}
