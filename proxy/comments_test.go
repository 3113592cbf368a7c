package proxy

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"aniproxy/internal/caller"
	"aniproxy/internal/outbox"
)

// flow adds a client as a flow has it: it looks up and it comments.
func flow(o *Options) {
	withClients(o)
	o.Clients = append(o.Clients, newClient("flow", "lookup", "comment"))
	o.DedupeWindow = time.Minute
}

// write posts as the flow does and gives the id and the status of a 202.
func write(t *testing.T, w *world, path, body string, header ...string) (id, status string) {
	t.Helper()
	r := request(t, http.MethodPost, w.public.URL+path, body, "flow")
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	got := send(t, r)
	if got.status != http.StatusAccepted {
		t.Fatalf("%s answers %d: %s", path, got.status, got.body)
	}
	j := got.json(t)
	id, _ = j["id"].(string)
	status, _ = j["status"].(string)
	return id, status
}

func lookUp(t *testing.T, w *world, number string) {
	t.Helper()
	if got := w.get(t, "/v1/lookup?ani="+url.QueryEscape(number), "flow"); got.status != http.StatusOK {
		t.Fatalf("a lookup answers %d", got.status)
	}
}

func TestACommentIsQueuedOnceWhateverItsText(t *testing.T) {
	w := newWorld(t, flow)
	lookUp(t, w, annsNumber)
	const path = "/v1/tickets/503/comments"
	first, status := write(t, w, path, `{"interaction_id":"i-1","body":"called","outcome":"spoke_to_agent"}`)
	if status != "queued" {
		t.Errorf("it is %s", status)
	}
	tests := []struct {
		name   string
		body   string
		header []string
		same   bool
	}{
		{"the same again", `{"interaction_id":"i-1","body":"called","outcome":"spoke_to_agent"}`, nil, true},
		{"the same with another text", `{"interaction_id":"i-1","body":"called again","outcome":"spoke_to_agent"}`, nil, true},
		{"the same interaction with another outcome", `{"interaction_id":"i-1","body":"called","outcome":"abandoned"}`, nil, false},
		{"another interaction", `{"interaction_id":"i-2","body":"called","outcome":"spoke_to_agent"}`, nil, false},
		{"a key of its own", `{"interaction_id":"i-1","body":"called","outcome":"spoke_to_agent"}`, []string{"Idempotency-Key", "k"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if id, _ := write(t, w, path, tt.body, tt.header...); (id == first) != tt.same {
				t.Errorf("it is the first: %v, want %v", id == first, tt.same)
			}
		})
	}
	w.shelf.change(first, func(r *outbox.Record) { r.State = outbox.Delivered })
	if id, status := write(t, w, path, `{"interaction_id":"i-1","outcome":"spoke_to_agent"}`); id != first || status != "delivered" {
		t.Errorf("after its delivery it is %s, %s", id, status)
	}
	byKey, _ := write(t, w, path, `{"body":"x"}`, "Idempotency-Key", "one")
	if id, _ := write(t, w, path, `{"body":"y"}`, "Idempotency-Key", "one"); id != byKey {
		t.Error("the same key is another comment")
	}
	if id, _ := write(t, w, "/v1/tickets/502/comments", `{"body":"y"}`, "Idempotency-Key", "one"); id == byKey {
		t.Error("the same key on another ticket is the same comment")
	}
}

// Seven days after the call, long after the client was told of the ticket, the
// same is still the same; what is new is refused by then.
func TestTheSameIsKnownForSevenDays(t *testing.T) {
	w := newWorld(t, flow)
	lookUp(t, w, annsNumber)
	const path, body = "/v1/tickets/503/comments", `{"interaction_id":"i-1","outcome":"abandoned"}`
	first, _ := write(t, w, path, body)
	w.tick(outbox.KeepSame - time.Minute)
	if id, _ := write(t, w, path, body); id != first {
		t.Error("it is another one")
	}
	w.post(t, path, `{"interaction_id":"i-2","outcome":"abandoned"}`, "flow").detail(t, http.StatusNotFound)
	w.tick(2 * time.Minute)
	w.post(t, path, body, "flow").detail(t, http.StatusNotFound)
}

func TestWithoutAnInteractionTheTextTellsForAWhile(t *testing.T) {
	w := newWorld(t, flow)
	lookUp(t, w, annsNumber)
	const path = "/v1/tickets/503/comments"
	first, _ := write(t, w, path, `{"body":"called"}`)
	w.tick(59 * time.Second)
	if id, _ := write(t, w, path, `{"body":"called"}`); id != first {
		t.Error("within the window it is another one")
	}
	if id, _ := write(t, w, path, `{"body":"called back"}`); id == first {
		t.Error("another text is the same one")
	}
	w.tick(2 * time.Second)
	if id, _ := write(t, w, path, `{"body":"called"}`); id == first {
		t.Error("after the window it is the same one")
	}
}

func TestAClientWritesToWhatItWasToldOf(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		flow(o)
		o.Clients = append(o.Clients, newClient("reader", "lookup", "comment"), newClient("clerk", "comment", "directory"))
		o.Clients[len(o.Clients)-2].Fields = []string{"found", "ticket_id"}
		o.TicketPolicy.Exclude = caller.TicketFilter{Tags: []string{"printer"}} // 503
	})
	comment := func(client, ticket string) int {
		t.Helper()
		return w.post(t, "/v1/tickets/"+ticket+"/comments", `{"body":"x","interaction_id":"i"}`, client).status
	}
	if got := comment("flow", "502"); got != http.StatusNotFound {
		t.Errorf("before any answer: %d", got)
	}
	lookUp(t, w, annsNumber)
	w.get(t, "/v1/lookup?ani="+url.QueryEscape(annsNumber), "reader")
	want := []string{"ticket 500", "ticket 501", "ticket 502", "user 9007199254740993"}
	if diff := cmp.Diff(want, w.shelf.tellings("flow")); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"ticket 502"}, w.shelf.tellings("reader")); diff != "" {
		t.Errorf("told to a client that reads one field (-want +got):\n%s", diff)
	}
	tests := []struct {
		name, client, ticket string
		want                 int
	}{
		{"the ticket of the answer", "flow", "502", 202},
		{"the third of the menu", "flow", "500", 202},
		{"one that is left out", "flow", "503", 404},
		{"somebody else's", "flow", "601", 404},
		{"one that nobody has", "flow", "999", 404},
		{"what the client may not read", "reader", "501", 404},
		{"what another client was told", "all", "601", 404},
		{"with the directory, what the mirror holds", "clerk", "501", 202},
		{"but not what is left out", "clerk", "503", 404},
		{"nor what it does not hold", "clerk", "999", 404},
		{"no id", "flow", "none", 400},
		{"null", "flow", "null", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := comment(tt.client, tt.ticket); got != tt.want {
				t.Errorf("status %d, want %d", got, tt.want)
			}
		})
	}
	w.tick(outbox.ToldFor + time.Second)
	if got := w.post(t, "/v1/tickets/502/comments", `{"body":"x","interaction_id":"j"}`, "flow").status; got != http.StatusNotFound {
		t.Errorf("two days later: %d", got)
	}
}

func TestWhatAListTellsMayBeWrittenTo(t *testing.T) {
	w := newWorld(t, flow)
	if got := w.get(t, "/v1/users?ani="+url.QueryEscape(annsNumber), "flow"); got.status != http.StatusOK {
		t.Fatal(got.status)
	}
	write(t, w, "/v1/tickets/503/comments", `{"body":"x"}`)
}

// A ticket that a list has shown may be written to when it has been solved
// since, and is not in the mirror any more.
func TestWhatAListOfTheDirectoryTells(t *testing.T) {
	for _, path := range []string{"/v1/users?ani=" + url.QueryEscape(sharedNumber), "/v1/users/9007199254740993/tickets", "/v1/users/9007199254740993"} {
		w := newWorld(t, func(o *Options) { flow(o); o.Clients = append(o.Clients, newClient("clerk", "lookup", "directory")) })
		w.get(t, path, "clerk")
		want := map[string][]string{
			"/v1/users?ani=" + url.QueryEscape(sharedNumber): {"ticket 601", "ticket 602", "user 21", "user 22"},
			"/v1/users/9007199254740993/tickets":             {"ticket 500", "ticket 501", "ticket 502", "ticket 503", "user 9007199254740993"},
			"/v1/users/9007199254740993":                     {"user 9007199254740993"},
		}[path]
		if diff := cmp.Diff(want, w.shelf.tellings("clerk")); diff != "" {
			t.Errorf("%s told (-want +got):\n%s", path, diff)
		}
	}
}

func TestASharedNumberTellsOfNobody(t *testing.T) {
	w := newWorld(t, flow)
	lookUp(t, w, sharedNumber)
	if told := w.shelf.tellings("flow"); told != nil {
		t.Errorf("told of %v", told)
	}
	w.get(t, "/v1/lookup?ticket_id=602&ani="+url.QueryEscape(sharedNumber), "flow")
	if diff := cmp.Diff([]string{"ticket 602", "user 22"}, w.shelf.tellings("flow")); diff != "" {
		t.Errorf("settled by a ticket (-want +got):\n%s", diff)
	}
}

func TestWhatACommentSays(t *testing.T) {
	tests := []struct {
		name, body string
		public     bool // what the configuration allows
		want       outbox.Record
	}{
		{"a text of several lines", `{"body":" one\r\ntwo\u0000\t3 "}`, false, outbox.Record{Body: "one\ntwo\t3"}},
		{"the text goes before the outcome", `{"body":"x","outcome":"anything","interaction_id":"i"}`, false, outbox.Record{Body: "x", InteractionID: "i"}},
		{"public where nobody allowed it", `{"body":"x","public":true}`, false, outbox.Record{Body: "x"}},
		{"public where it is allowed", `{"body":"x","public":"true"}`, true, outbox.Record{Body: "x", Public: true}},
		{"not public where it is allowed", `{"body":"x"}`, true, outbox.Record{Body: "x"}},
		{"values as a flow sends them", `{"body":"x","agent":"null","duration_seconds":"-1","interaction_id":null,"public":"null"}`, true, outbox.Record{Body: "x"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(o *Options) { flow(o); o.AllowPublic = tt.public })
			lookUp(t, w, annsNumber)
			got := send(t, request(t, http.MethodPost, w.public.URL+"/v1/tickets/503/comments", tt.body, "flow"))
			if got.status != http.StatusAccepted || got.json(t)["public"] != tt.want.Public {
				t.Fatalf("%d %s", got.status, got.body)
			}
			tt.want.Kind, tt.want.Client, tt.want.TicketID, tt.want.State = outbox.Comment, "flow", 503, outbox.Queued
			tt.want.UserID = ann().User.ID
			all := w.shelf.all()
			if diff := cmp.Diff([]outbox.Record{tt.want}, all, cmpopts.IgnoreFields(outbox.Record{}, "ID", "Seq", "Accepted")); diff != "" {
				t.Errorf("the record (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnOutcomeIsWorded(t *testing.T) {
	w := newWorld(t, flow)
	lookUp(t, w, annsNumber)
	write(t, w, "/v1/tickets/503/comments", `{"interaction_id":"i","outcome":"callback_requested","agent":"Maria\nLopez","queue":"Support","duration_seconds":"200.0"}`)
	body := w.shelf.all()[0].Body
	for _, part := range []string{"called back", "Maria Lopez", "Support", "3 min 20 s"} {
		if !strings.Contains(body, part) {
			t.Errorf("%q lacks %q", body, part)
		}
	}
	detail := w.post(t, "/v1/tickets/503/comments", `{"interaction_id":"j","outcome":"exploded"}`, "flow").detail(t, http.StatusUnprocessableEntity)
	if !strings.Contains(detail, "callback_requested") || strings.Contains(detail, "exploded") {
		t.Errorf("an outcome that is none: %s", detail)
	}
	if detail := w.post(t, "/v1/tickets/503/comments", `{"interaction_id":"j"}`, "flow").detail(t, http.StatusUnprocessableEntity); !strings.Contains(detail, `"body"`) {
		t.Errorf("neither text nor outcome: %s", detail)
	}
}

func TestIdempotencyKeysThatAreNone(t *testing.T) {
	w := newWorld(t, flow)
	lookUp(t, w, annsNumber)
	for name, keys := range map[string][]string{"empty": {""}, "too long": {strings.Repeat("k", 256)}, "twice": {"a", "b"}, "not ASCII": {"\u00e9"}} {
		r := request(t, http.MethodPost, w.public.URL+"/v1/tickets/503/comments", `{"body":"x"}`, "flow")
		for _, key := range keys {
			r.Header.Add("Idempotency-Key", key)
		}
		if detail := send(t, r).detail(t, http.StatusBadRequest); !strings.Contains(detail, "Idempotency-Key") {
			t.Errorf("%s: %s", name, detail)
		}
	}
}

func TestANewTicket(t *testing.T) {
	w := newWorld(t, flow)
	first, _ := write(t, w, "/v1/tickets", `{"ani":"`+annsNumber+`","body":"No dial tone\nsince noon","interaction_id":"i"}`)
	if id, _ := write(t, w, "/v1/tickets", `{"ani":"`+annsNumber+`","body":"other words","interaction_id":"i"}`); id != first {
		t.Error("the same interaction makes a second ticket")
	}
	w.shelf.Tell("flow", outbox.ToldUser, 9007199254740993)
	if id, _ := write(t, w, "/v1/tickets", `{"user_id":9007199254740993,"subject":"Line","body":"b","interaction_id":"i2","public":true}`); id == first {
		t.Error("another interaction makes none")
	}
	want := []outbox.Record{
		{Kind: outbox.Ticket, Client: "flow", UserID: 9007199254740993, Subject: "No dial tone since noon", Body: "No dial tone\nsince noon", InteractionID: "i", State: outbox.Queued},
		{Kind: outbox.Ticket, Client: "flow", UserID: 9007199254740993, Subject: "Line", Body: "b", InteractionID: "i2", State: outbox.Queued},
	}
	if diff := cmp.Diff(want, w.shelf.all(), cmpopts.IgnoreFields(outbox.Record{}, "ID", "Seq", "Accepted")); diff != "" {
		t.Errorf("the records (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"user 9007199254740993"}, w.shelf.tellings("flow")); diff != "" {
		t.Errorf("a number that is not answered tells (-want +got):\n%s", diff)
	}
	for _, r := range w.shelf.all() {
		if r.Public {
			t.Error("a ticket is public where nobody allowed it")
		}
	}
	refused := []struct {
		name, body string
		status     int
		part       string
	}{
		{"a shared number", `{"ani":"` + sharedNumber + `","body":"b"}`, 422, "ambiguous"},
		{"nobody's number", `{"ani":"` + nobodys + `","body":"b"}`, 422, "not_found"},
		{"no number", `{"ani":"","body":"b"}`, 422, "anonymous"},
		{"Zendesk down and nothing known", `{"ani":"` + downNumber + `","body":"b"}`, 503, "try again"},
		{"a user nobody told of", `{"user_id":"12","body":"b"}`, 404, "user"},
		{"nobody", `{"body":"b"}`, 400, `"user_id"`},
		{"nothing to say", `{"ani":"` + annsNumber + `"}`, 422, `"body"`},
	}
	for _, tt := range refused {
		t.Run(tt.name, func(t *testing.T) {
			if detail := w.post(t, "/v1/tickets", tt.body, "flow").detail(t, tt.status); !strings.Contains(detail, tt.part) {
				t.Errorf("%s", detail)
			}
		})
	}
}

// A guess is enough to be greeted, and not to have a ticket in one's name.
func TestNoTicketInTheNameOfAGuess(t *testing.T) {
	w := newWorld(t, func(o *Options) { flow(o); o.TicketPolicy.LatestOfShared = true })
	w.post(t, "/v1/tickets", `{"ani":"`+sharedNumber+`","body":"b"}`, "flow").detail(t, http.StatusUnprocessableEntity)
}

// What flows send for a variable that was never set is no interaction: two
// calls would be one comment.
func TestAnInteractionThatIsNone(t *testing.T) {
	for _, unset := range []string{`""`, `"null"`, `null`, `"none"`, `"None"`, `"undefined"`, `"NaN"`, `"{{NewPhoneContact.InteractionId}}"`} {
		w := newWorld(t, flow)
		lookUp(t, w, annsNumber)
		body := `{"interaction_id":` + unset + `,"outcome":"abandoned"}`
		first, _ := write(t, w, "/v1/tickets/503/comments", body)
		w.tick(2 * time.Minute)
		if id, _ := write(t, w, "/v1/tickets/503/comments", body); id == first {
			t.Errorf("%s: two calls are one comment", unset)
		}
	}
	w := newWorld(t, flow)
	lookUp(t, w, annsNumber)
	long := strings.Repeat("x", maxInteraction)
	first, _ := write(t, w, "/v1/tickets/503/comments", `{"interaction_id":"`+long+`1","body":"b"}`)
	if id, _ := write(t, w, "/v1/tickets/503/comments", `{"interaction_id":"`+long+`2","body":"b"}`); id == first {
		t.Error("two long ids are one where they are cut")
	}
}

// The same again is the first one even where the request would be refused by now.
func TestTheSameAgainIsNotLookedAtTwice(t *testing.T) {
	w := newWorld(t, flow)
	lookUp(t, w, annsNumber)
	first, _ := write(t, w, "/v1/tickets/503/comments", `{"body":"x"}`, "Idempotency-Key", "k")
	if id, _ := write(t, w, "/v1/tickets/503/comments", `{}`, "Idempotency-Key", "k"); id != first {
		t.Error("without a text it is another one")
	}
	first, _ = write(t, w, "/v1/tickets", `{"ani":"`+annsNumber+`","body":"x","interaction_id":"i"}`)
	if id, _ := write(t, w, "/v1/tickets", `{"ani":"`+downNumber+`","interaction_id":"i"}`); id != first {
		t.Error("with Zendesk down it is another one")
	}
}

func TestHowFarAComment(t *testing.T) {
	w := newWorld(t, func(o *Options) { flow(o); o.Clients = append(o.Clients, newClient("other", "comment")) })
	lookUp(t, w, annsNumber)
	id, _ := write(t, w, "/v1/tickets/503/comments", `{"body":"x"}`)
	want := `{"id":"` + id + `","status":"queued","attempts":0,"error":"none","ticket_id":"503","created_at":"2026-03-04T05:06:07Z"}`
	if got := string(w.get(t, "/v1/comments/"+id, "flow").body); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	w.shelf.change(id, func(r *outbox.Record) {
		r.State, r.Attempts, r.Error, r.Landed = outbox.Delivered, 2, "rate_limited", 900
	})
	want = `{"id":"` + id + `","status":"delivered","attempts":2,"error":"rate_limited","ticket_id":"900","created_at":"2026-03-04T05:06:07Z"}`
	if got := string(w.get(t, "/v1/comments/"+id, "flow").body); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	w.get(t, "/v1/comments/"+id, "other").detail(t, http.StatusNotFound)
	w.get(t, "/v1/comments/unknown", "flow").detail(t, http.StatusNotFound)
}

func TestTheOutboxForAdmins(t *testing.T) {
	w := newWorld(t, flow)
	lookUp(t, w, annsNumber)
	first, _ := write(t, w, "/v1/tickets/503/comments", `{"body":"secret words"}`)
	second, _ := write(t, w, "/v1/tickets", `{"user_id":"9007199254740993","subject":"S","body":"B"}`)
	w.shelf.change(first, func(r *outbox.Record) { r.State, r.Error, r.Settled = outbox.Failed, "ticket_closed", start })
	list := string(w.get(t, "/v1/admin/outbox?limit=2", "admin").body)
	want := `{"records":[` +
		`{"id":"` + second + `","status":"queued","attempts":0,"error":"none","ticket_id":"none","created_at":"2026-03-04T05:06:07Z","kind":"ticket","client":"flow","user_id":"9007199254740993","in_doubt":false,"follow_up":false,"next_try":"","settled_at":""},` +
		`{"id":"` + first + `","status":"failed","attempts":0,"error":"ticket_closed","ticket_id":"503","created_at":"2026-03-04T05:06:07Z","kind":"comment","client":"flow","user_id":"none","in_doubt":false,"follow_up":false,"next_try":"","settled_at":"2026-03-04T05:06:07Z"}` +
		`],"next":1}`
	if diff := cmp.Diff(want, list); diff != "" {
		t.Errorf("the list (-want +got):\n%s", diff)
	}
	if list := string(w.get(t, "/v1/admin/outbox?before=1", "admin").body); list != `{"records":[],"next":0}` {
		t.Errorf("the next page is %s", list)
	}
	failed := string(w.get(t, "/v1/admin/outbox?state=failed&content=1", "admin").body)
	if !strings.Contains(failed, `"body":"secret words"`) || strings.Contains(failed, second) {
		t.Errorf("the failed ones with their texts: %s", failed)
	}
	w.get(t, "/v1/admin/outbox?state=lost", "admin").detail(t, http.StatusBadRequest)

	if got := w.post(t, "/v1/admin/outbox/"+first+"/retry", "", "admin"); got.status != http.StatusAccepted || got.json(t)["status"] != "queued" {
		t.Errorf("a retry: %d %s", got.status, got.body)
	}
	w.post(t, "/v1/admin/outbox/"+first+"/retry", "", "admin").detail(t, http.StatusConflict)
	w.post(t, "/v1/admin/outbox/unknown/retry", "", "admin").detail(t, http.StatusNotFound)
}

// An outbox that cannot be written answers 503, which a flow's HTTP node tries
// again, and never 202.
func TestADiskThatFailsIsNoAcceptance(t *testing.T) {
	w := newWorld(t, flow)
	lookUp(t, w, annsNumber)
	w.shelf.err = errors.New("no space left on device")
	got := w.post(t, "/v1/tickets/503/comments", `{"body":"x"}`, "flow")
	if detail := got.detail(t, http.StatusServiceUnavailable); strings.Contains(detail, "device") || got.header.Get("Retry-After") == "" {
		t.Errorf("%s, Retry-After %q", detail, got.header.Get("Retry-After"))
	}
	w.get(t, "/v1/comments/x", "flow").detail(t, http.StatusServiceUnavailable)
	if log := w.logged(); !strings.Contains(log, "no space left on device") {
		t.Errorf("the log does not say why: %s", log)
	}
}
