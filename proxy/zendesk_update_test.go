package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"aniproxy/internal/caller"
	"aniproxy/internal/outbox"
)

// told has the connector find Ann and her tickets.
func told(t testing.TB, w *world) {
	t.Helper()
	w.find(t)
	w.zen(t, "/api/v2/search?query=requester:"+annsID)
}

func (w *world) put(t testing.TB, id, body string) *reply {
	t.Helper()
	return w.zenAs(t, connector, http.MethodPut, "/api/v2/tickets/"+id+".json", body)
}

// auditOf is the id of the audit in an answer.
func auditOf(t testing.TB, r *reply) string {
	t.Helper()
	if r.status != http.StatusOK {
		t.Fatalf("status %d: %s", r.status, r.body)
	}
	return fmt.Sprint(r.json(t)["audit"].(map[string]any)["id"])
}

func TestUpdatesThatAreTaken(t *testing.T) {
	tests := []struct {
		name, body string
		want       outbox.Record
	}{
		{"the template's", `{"ticket":{"comment":{"body":"Called."}}}`, outbox.Record{Body: "Called."}},
		{"lines and signs", `{"ticket":{"comment":{"body":" a\r\nb\t\u0000c <b> \"d\" é\n"}}}`, outbox.Record{Body: "a\nb\tc <b> \"d\" é"}},
		{"private by its own word", `{"ticket":{"comment":{"body":"x","public":false}}}`, outbox.Record{Body: "x"}},
		{"public, which is not allowed", `{"ticket":{"comment":{"body":"x","public":true}}}`, outbox.Record{Body: "x"}},
		{"HTML", `{"ticket":{"comment":{"html_body":"<p>x</p>"}}}`, outbox.Record{Body: "<p>x</p>", HTML: true}},
		{"HTML goes before text", `{"ticket":{"comment":{"body":"x","html_body":"<p>x</p>"}}}`, outbox.Record{Body: "<p>x</p>", HTML: true}},
		{"text beside empty HTML", `{"ticket":{"comment":{"body":"x","html_body":""}}}`, outbox.Record{Body: "x"}},
		{"an author", `{"ticket":{"comment":{"body":"x","author_id":7}}}`, outbox.Record{Body: "x"}},
		{
			"as a client of Go's sends it",
			`{"ticket":{"comment":{"body":"x","created_at":"0001-01-01T00:00:00Z","type":"Comment"},"created_at":"0001-01-01T00:00:00Z","id":503}}`,
			outbox.Record{Body: "x"},
		},
		{
			"whatever says nothing",
			`{"ticket":{"comment":{"body":"x","uploads":[],"attachments":null,"metadata":{},"id":0},"status":"","priority":null,"tags":[],
			"custom_fields":[],"assignee_id":0,"safe_update":false,"metadata":{},"id":"503","created_at":"2024-01-01T00:00:00Z","updated_at":"2024-01-01T00:00:00Z"}}`,
			outbox.Record{Body: "x"},
		},
		{"what is no ticket's", `{"other":1,"ticket":{"comment":{"body":"x"}}}`, outbox.Record{Body: "x"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, template)
			told(t, w)
			if got := w.put(t, "503", tt.body); got.status != http.StatusOK {
				t.Fatalf("status %d: %s", got.status, got.body)
			}
			tt.want.Kind, tt.want.Client, tt.want.TicketID, tt.want.State = outbox.Comment, connector, 503, outbox.Queued
			tt.want.UserID = ann().User.ID
			records := w.shelf.all()
			if diff := cmp.Diff([]outbox.Record{tt.want}, records, cmpopts.IgnoreFields(outbox.Record{}, "ID", "Seq", "Accepted")); diff != "" {
				t.Errorf("the outbox (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUpdatesThatAreRefused(t *testing.T) {
	const empty, none = "RecordInvalid: comment: the comment is empty", `RecordInvalid: comment: an update needs an object "comment" with a "body" or an "html_body"`
	fixed := func(name string) string {
		return "RecordInvalid: " + name + ": " + name + " cannot be changed here: an update takes a comment and nothing else"
	}
	const unnamed = "RecordInvalid: base: a field beside the comment would change the ticket, which cannot be done here"
	tests := []struct{ name, body, want string }{
		{"no comment", `{"ticket":{}}`, `RecordInvalid: ticket: the body needs an object "ticket"`},
		{"nothing but the id", `{"ticket":{"id":503}}`, none},
		{"a comment that is null", `{"ticket":{"comment":null,"id":503}}`, none},
		{"a comment that is a text", `{"ticket":{"comment":"x"}}`, none},
		{"a comment without a text", `{"ticket":{"comment":{"public":true}}}`, empty},
		{"an empty text", `{"ticket":{"comment":{"body":" \n","public":true}}}`, empty},
		{"a text that is none", `{"ticket":{"comment":{"body":5}}}`, `RecordInvalid: comment: "body" must be a text`},
		{"no ticket", `{"comment":{"body":"x"}}`, `RecordInvalid: ticket: the body needs an object "ticket"`},
		{"a ticket that is a list", `{"ticket":[1]}`, `RecordInvalid: ticket: the body needs an object "ticket"`},
		{"a ticket in capital letters", `{"Ticket":{"comment":{"body":"x"}}}`, `RecordInvalid: ticket: the body needs an object "ticket"`},
		{"a status", `{"ticket":{"status":"solved","comment":{"body":"x"}}}`, fixed("status")},
		{"tags", `{"ticket":{"comment":{"body":"x"},"tags":["a"]}}`, fixed("tags")},
		{"custom fields", `{"ticket":{"comment":{"body":"x"},"custom_fields":[{"id":1,"value":"a"}]}}`, fixed("custom_fields")},
		{"an assignee", `{"ticket":{"comment":{"body":"x"},"assignee_id":40}}`, fixed("assignee_id")},
		{"a safe update", `{"ticket":{"comment":{"body":"x"},"safe_update":true}}`, fixed("safe_update")},
		{"another id", `{"ticket":{"id":504,"comment":{"body":"x"}}}`, fixed("id")},
		{"an upload", `{"ticket":{"comment":{"body":"x","uploads":["token"]}}}`, fixed("comment.uploads")},
		{"a field that is none", `{"ticket":{"Ann Lee":1,"comment":{"body":"x"}}}`, unnamed},
		{"a field without a name", `{"ticket":{"":1,"comment":{"body":"x"}}}`, unnamed},
		{"a long field", `{"ticket":{"` + strings.Repeat("a", 41) + `":1,"comment":{"body":"x"}}}`, unnamed},
	}
	w := newWorld(t, template)
	told(t, w)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, w.put(t, "503", tt.body).envelope(t, http.StatusUnprocessableEntity)); diff != "" {
				t.Errorf("the error (-want +got):\n%s", diff)
			}
		})
	}
	for _, body := range []string{"", "x", "[]", `"ticket"`, `{"ticket":{"comment":{"body":"a` + "\n" + `b"}}}`, `{"ticket":{}}{}`} {
		w.put(t, "503", body).envelope(t, http.StatusBadRequest)
	}
	if records := w.shelf.all(); len(records) != 0 {
		t.Errorf("the outbox holds %+v", records)
	}
}

func TestAPublicCommentWhereItIsAllowed(t *testing.T) {
	w := newWorld(t, func(o *Options) { template(o); o.AllowPublic = true })
	told(t, w)
	for i, tt := range []struct {
		public string
		want   bool
	}{{"true", true}, {`"true"`, true}, {"false", false}, {"null", false}, {`"false"`, false}, {"1", false}} {
		got := w.put(t, "503", fmt.Sprintf(`{"ticket":{"comment":{"body":"%d","public":%s}}}`, i, tt.public))
		event := got.json(t)["audit"].(map[string]any)["events"].([]any)[0].(map[string]any)
		if records := w.shelf.all(); records[i].Public != tt.want || event["public"] != tt.want {
			t.Errorf("public: %s is %v, and answered as %v", tt.public, records[i].Public, event["public"])
		}
	}
}

// Webex sends a PUT again where the answer was lost.
func TestAnUpdateThatComesAgainIsTheFirst(t *testing.T) {
	w := newWorld(t, template)
	told(t, w)
	const body = `{"ticket":{"comment":{"body":"Called."}}}`
	first := auditOf(t, w.put(t, "503", body))
	w.tick(59 * time.Second)
	if again := auditOf(t, w.put(t, "503", body)); again != first {
		t.Error("within the window it is another comment")
	}
	// The form does not matter, the text, the ticket and the client do.
	if again := auditOf(t, w.put(t, "503", `{ "ticket" : {"id":503,"comment":{"public":true,"body":" Called. "}}}`)); again != first {
		t.Error("in another form it is another comment")
	}
	different := []string{
		auditOf(t, w.put(t, "503", `{"ticket":{"comment":{"body":"Called back."}}}`)),
		auditOf(t, w.put(t, "502", body)),
		auditOf(t, w.put(t, "503", `{"ticket":{"comment":{"html_body":"Called."}}}`)),
		auditOf(t, w.zenAs(t, "desk", http.MethodPut, "/api/v2/tickets/503", body)),
	}
	w.tick(2 * time.Second)
	different = append(different, first, auditOf(t, w.put(t, "503", body)))
	slices.Sort(different)
	if all := slices.Compact(slices.Clone(different)); len(all) != 6 {
		t.Errorf("the audits are %v", different)
	}
}

func TestWhoMayComment(t *testing.T) {
	const body = `{"ticket":{"comment":{"body":"x"}}}`
	w := newWorld(t, template)
	status := func(client, id string) int {
		return w.zenAs(t, client, http.MethodPut, "/api/v2/tickets/"+id, body).status
	}
	expect := func(when, client, id string, want int) {
		t.Helper()
		if got := status(client, id); got != want {
			t.Errorf("%s: %d, want %d", when, got, want)
		}
	}
	expect("before any search", connector, "503", 404)
	expect("with the directory", "desk", "503", 200)
	expect("with the directory, of no ticket", "desk", "999", 404)
	told(t, w)
	expect("after the search", connector, "503", 200)
	expect("another client", "second", "503", 404)
	w.tick(outbox.ToldFor - time.Minute)
	expect("two days later", connector, "503", 200)
	w.tick(2 * time.Minute)
	expect("after that", connector, "503", 404)
	// What /v1 told of counts too.
	both := newWorld(t, func(o *Options) { template(o); o.Clients = append(o.Clients, newClient("both", "lookup", "zendesk")) })
	both.get(t, "/v1/lookup?ani="+url.QueryEscape(annsNumber), "both")
	if got := both.zenAs(t, "both", http.MethodPut, "/api/v2/tickets/503", body).status; got != 200 {
		t.Errorf("after a lookup: %d", got)
	}
}

func TestACommentOnATicketThatWasSolvedDuringTheCall(t *testing.T) {
	d := crowdOf(2)
	w := newWorld(t, withCrowd(d))
	told(t, w)
	d.gone = []int64{2}
	got := w.put(t, "2", `{"ticket":{"comment":{"body":"x"}}}`)
	if auditOf(t, got) != "1" || len(w.shelf.all()) != 1 {
		t.Errorf("%d: %s", got.status, got.body)
	}
	if user := w.shelf.all()[0].UserID; user != 0 {
		t.Errorf("the requester of a ticket that the mirror does not hold is %d", user)
	}
	if ticket := fmt.Sprint(got.json(t)["ticket"]); ticket != "map[id:2 url:https://acme.zendesk.com/api/v2/tickets/2.json]" {
		t.Errorf("the ticket is %s", ticket)
	}
}

// What was taken is not asked for again because the mirror cannot be read.
func TestACommentIsTakenThoughTheMirrorCannotBeRead(t *testing.T) {
	d := crowdOf(2)
	w := newWorld(t, withCrowd(d))
	told(t, w)
	d.err = errors.New("no disk")
	if got := auditOf(t, w.put(t, "2", `{"ticket":{"comment":{"body":"x"}}}`)); got != "1" {
		t.Errorf("the audit is %s", got)
	}
	if !strings.Contains(w.logged(), "no disk") {
		t.Error("the fault is not in the log")
	}
}

func TestACommentThatIsNotOnDiskIsAskedForAgain(t *testing.T) {
	w := newWorld(t, template)
	told(t, w)
	w.shelf.failAccept = errors.New("no disk")
	got := w.put(t, "503", `{"ticket":{"comment":{"body":"x"}}}`)
	if said := got.envelope(t, http.StatusServiceUnavailable); !strings.HasPrefix(said, "unavailable: ") || got.header.Get("Retry-After") != "1" {
		t.Errorf("%s, %v", said, got.header)
	}
	if !strings.Contains(w.logged(), "no disk") {
		t.Error("the fault is not in the log")
	}
}

func TestTheAnswerToAnUpdate(t *testing.T) {
	w := newWorld(t, template)
	told(t, w)
	var me, got, want any
	me = w.zen(t, "/api/v2/users/me").json(t)["user"].(map[string]any)["id"]
	w.put(t, "503", `{"ticket":{"comment":{"body":"first"}}}`)
	if err := json.Unmarshal(w.put(t, "503", `{"ticket":{"comment":{"html_body":"<b>x</b>"}}}`).body, &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(fmt.Appendf(nil, `{"ticket":{"id":503,"status":"open","subject":"Printer on fire","requester_id":%s},
		"audit":{"id":2,"ticket_id":503,"created_at":"2026-03-04T05:06:07Z","author_id":%v,"metadata":{"system":{},"custom":{}},"via":{"channel":"api"},
		"events":[{"id":2,"type":"Comment","author_id":%v,"body":"<b>x</b>","html_body":"<b>x</b>","public":false,"attachments":[],"audit_id":2}]}}`,
		annsID, me, me), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the answer (-want +got):\n%s", diff)
	}
}

// FuzzZendeskUpdate sends whatever as the body: what is taken is the comment
// that encoding/json finds in it and nothing else, and what is not taken is
// refused in an envelope.
func FuzzZendeskUpdate(f *testing.F) {
	for _, body := range []string{
		`{"ticket":{"comment":{"body":"Called."}}}`, `{"ticket":{"comment":{"html_body":"<p>","public":true,"author_id":1}}}`, `{"ticket":{"comment":{"body":"x"},"status":"solved"}}`,
		`{"ticket":{"comment":{"body":"x","created_at":"0001-01-01T00:00:00Z"},"id":503,"tags":[],"metadata":{}}}`, `{"ticket":null}`, `[]`, `{"ticket":{"comment":"x"}}`,
		`{"ticket":{"comment":{"body":"\ud800\u0000"}},"ticket":{"comment":{"body":"y"}}}`, "{\"ticket\":{\"comment\":{\"body\":\"\xff\"}}}", `{`,
	} {
		f.Add([]byte(body))
	}
	w := newWorld(f, func(o *Options) { o.DemoAll = true; o.TicketPolicy = caller.TicketPolicy{} })
	f.Fuzz(func(t *testing.T, body []byte) {
		before := len(w.shelf.all())
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "http://localhost/api/v2/tickets/503.json", strings.NewReader(string(body)))
		r.RemoteAddr = "127.0.0.1:1"
		answer := httptest.NewRecorder()
		w.Public().ServeHTTP(answer, r)
		got := reply{status: answer.Code, header: answer.Header(), body: answer.Body.Bytes()}
		records := w.shelf.all()[before:]
		if answer.Code != http.StatusOK {
			if answer.Code != http.StatusBadRequest && answer.Code != http.StatusUnprocessableEntity && answer.Code != http.StatusRequestEntityTooLarge {
				t.Errorf("status %d: %s", answer.Code, got.body)
			}
			got.envelope(t, answer.Code)
			if len(records) != 0 {
				t.Errorf("refused and taken: %s", body)
			}
			return
		}
		var sent map[string]map[string]json.RawMessage
		var all map[string]json.RawMessage // what stands beside the ticket may be anything
		var comment map[string]any
		if err := json.Unmarshal(body, &all); err != nil {
			t.Fatalf("taken, and %v: %s", err, body)
		}
		if err := json.Unmarshal(fmt.Appendf(nil, `{"ticket":%s}`, all["ticket"]), &sent); err != nil {
			t.Fatalf("taken, and %v: %s", err, body)
		}
		ticket := sent["ticket"]
		if err := json.Unmarshal(ticket["comment"], &comment); err != nil || len(records) != 1 || records[0].TicketID != 503 || records[0].Public {
			t.Fatalf("taken as %+v, %v: %s", records, err, body)
		}
		text, _ := comment["body"].(string)
		if html, _ := comment["html_body"].(string); html != "" {
			text = html
		}
		if records[0].Body != paragraph(text) || records[0].Body == "" {
			t.Errorf("%q is taken as %q", text, records[0].Body)
		}
		for _, name := range []string{"status", "priority", "tags", "assignee_id", "custom_fields", "group_id"} {
			if raw, there := ticket[name]; there && !isZero(raw) {
				t.Errorf("taken with %s: %s", name, body)
			}
		}
		auditOf(t, &got)
	})
}
