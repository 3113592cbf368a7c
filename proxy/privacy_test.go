package proxy

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"aniproxy/internal/caller"
	"aniproxy/internal/privacytest"
)

// everybody is a watch that knows all people of this package's worlds and all
// who call.
func everybody() *privacytest.Watch {
	w := privacytest.New()
	for _, c := range append(sharers(), ann(), quiet(), odd()) {
		b := caller.Batch{Users: []caller.UserUpdate{{User: c.User}}}
		for _, k := range c.Open {
			b.Tickets = append(b.Tickets, caller.TicketUpdate{Ticket: k})
		}
		for _, p := range c.Assignees {
			w.Person(p.Name, p.Email)
		}
		w.Batch(&b)
	}
	for _, number := range []string{annsNumber, quietNumber, sharedNumber, nobodys, downNumber, panicNumber, slowNumber, oddNumber, plainNumber} {
		w.Person("", "", number)
	}
	return w
}

// keepAnswer keeps what refuses: a problem says what is wrong, and of nobody.
func keepAnswer(t testing.TB, r *http.Request, code int, body []byte) {
	if code >= http.StatusBadRequest {
		written.Keep(fmt.Sprintf("%s, the %d of a %s", t.Name(), code, r.Method), string(body))
	}
}

// keepMetrics keeps all that is counted.
func (w *world) keepMetrics(t testing.TB) {
	families, err := w.registry.Gather()
	if err != nil {
		t.Error(err)
	}
	written.Keep(t.Name()+", the metrics", fmt.Sprint(families))
}

// What somebody sends in a place where it does not belong comes back in no
// problem, and stands in no line of the log.
func TestAProblemRepeatsNothingThatWasSent(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.DemoAll = true; withSecrets(o) })
	escaped := url.QueryEscape(annsNumber)
	for _, tt := range []struct{ name, method, path, body string }{
		{"a mode", http.MethodPost, "/v1/admin/resync", `{"mode":"` + annsNumber + `"}`},
		{"a mode that is a name", http.MethodPost, "/v1/admin/resync", `{"mode":"Ann Lee"}`},
		{"a job", http.MethodGet, "/v1/admin/sync?job=" + escaped, ""},
		{"a path", http.MethodGet, "/v1/nothing/" + escaped, ""},
		{"an id", http.MethodGet, "/v1/users/" + escaped, ""},
		{"a comment's id", http.MethodGet, "/v1/comments/" + escaped, ""},
		{"a record's state", http.MethodGet, "/v1/admin/outbox?state=" + escaped, ""},
		{"a place in a list", http.MethodGet, "/v1/admin/outbox?before=" + escaped, ""},
		{"a retry", http.MethodPost, "/v1/admin/outbox/" + escaped + "/retry", ""},
		{"a client", http.MethodGet, "/v1/admin/explain?ani=" + escaped + "&client=" + escaped, ""},
		{"no JSON", http.MethodPost, "/v1/lookup", `{"ani":` + annsNumber},
		{"an object for a number", http.MethodPost, "/v1/lookup", `[{"ani":"` + annsNumber + `"}]`},
		{"a ticket for nobody", http.MethodPost, "/v1/tickets", `{"ani":"` + nobodys + `","subject":"Printer on fire again","body":"x"}`},
		{"a ticket of two", http.MethodPost, "/v1/tickets", `{"ani":"` + sharedNumber + `","subject":"Printer on fire again","body":"x"}`},
		{"a query of Zendesk's", http.MethodGet, "/api/v2/search?query=" + url.QueryEscape("name:Ann Lee "+annsNumber), ""},
		{"a path of Zendesk's", http.MethodGet, "/api/v2/people/" + escaped, ""},
		{"a field of Zendesk's", http.MethodPut, "/api/v2/tickets/503", `{"ticket":{"subject":"Printer on fire again","` + annsNumber + `":1}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := request(t, tt.method, w.admin.URL+tt.path, tt.body, "")
			r.Header.Set("Content-Type", "application/json")
			got := send(t, r)
			for _, one := range []string{string(got.body), fmt.Sprint(got.header)} {
				seen := everybody()
				seen.Texts("Printer on fire again")
				seen.Keep("the answer", one)
				for _, f := range seen.Findings() {
					t.Error(f)
				}
			}
		})
	}
	seen := everybody()
	seen.Keep("the log", w.logged())
	for _, f := range seen.Findings() {
		t.Error(f)
	}
	if !strings.Contains(w.logged(), "msg=request") {
		t.Error("nothing is logged")
	}
}

// A panic that gets past everything is net/http's to tell of.
func TestTheServersOwnLinesLeaveOutWhatAPanicSays(t *testing.T) {
	lines := written.Sink(t.Name())
	l, err := Listen(t.Context(), slog.New(slog.NewTextHandler(lines, nil)), Bind{Addr: "127.0.0.1:0", Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic("Ann Lee calls from " + annsNumber)
	})})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Serve() }()
	if _, err := fetch(t, "http://"+l.Addrs()[0].String()); err == nil {
		t.Error("it answers")
	}
	if err := l.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	text := lines.String()
	if !strings.Contains(text, `line="http: panic serving"`) || !strings.Contains(text, "TestTheServersOwnLinesLeaveOutWhatAPanicSays") {
		t.Errorf("the log does not tell where the panic was:\n%s", text)
	}
	seen := everybody()
	seen.Keep("the log", text)
	for _, f := range seen.Findings() {
		t.Error(f)
	}
}
