package proxy

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/caller"
	"aniproxy/internal/routing"
)

// explained is an explanation that was read.
type explained struct {
	At    string `json:"at"`
	Steps []struct {
		Step    string            `json:"step"`
		Result  string            `json:"result"`
		Details []json.RawMessage `json:"details"`
	} `json:"steps"`
	Answer json.RawMessage `json:"answer"`
}

func (w *world) explain(t testing.TB, query string) explained {
	t.Helper()
	got := w.get(t, "/v1/admin/explain?"+query, "admin")
	if got.status != http.StatusOK {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	var e explained
	if err := json.Unmarshal(got.body, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// results are those of the steps, as "step: result".
func (e *explained) results() []string {
	var all []string
	for _, s := range e.Steps {
		all = append(all, s.Step+": "+s.Result)
	}
	return all
}

// details are those of a step, each a line.
func (e *explained) details(step string) string {
	var all []string
	for _, s := range e.Steps {
		for _, d := range s.Details {
			if s.Step == step {
				all = append(all, string(d))
			}
		}
	}
	return strings.Join(all, "\n")
}

func TestExplain(t *testing.T) {
	escaped := url.QueryEscape
	streams := "streams: both have been read to their end"
	tests := []struct {
		name, query string
		change      func(*Options)
		explained   func(*caller.Explanation)
		want        []string
	}{
		{
			"found", "ani=" + escaped(annsNumber), nil, nil,
			[]string{
				"number: +15135550101",
				"memory: holds nothing",
				"people: 1 person has the number",
				"choice: user 9007199254740993, the only one who matches",
				"tickets: ticket 503, the latest by created_at of 4 shown and 0 left out",
				"rules: there are none",
				"decision: menu, by default",
				"voice: es-US",
				"speech: Hola, Ann. Gracias por llamar. Estamos trabajando en su solicitud número 5 0 3. La última actualización es de hoy. Además, tiene otras 3 solicitudes abiertas.",
				"upstream: a lookup would ask Zendesk nothing now",
				"refresh: none is under way",
				streams,
			},
		},
		{
			"found, without tickets, and one of another role has the number", "lang=it&ani=" + escaped(quietNumber), nil,
			func(e *caller.Explanation) {
				e.Memory = "answer"
				e.Held = append(e.Held, caller.Held{Caller: caller.Caller{User: caller.User{ID: 40, Role: "agent"}}, By: caller.ByIdentity, Withheld: "role"})
			},
			[]string{
				"number: +15135550102",
				"memory: holds the answer",
				"people: 2 people have the number, 1 of them considered",
				"choice: user 12, the only one who matches",
				"tickets: none that is unresolved",
				"rules: there are none",
				"decision: menu, by default",
				"voice: it-IT",
				"speech: " + "*",
				"upstream: a lookup would ask Zendesk nothing now",
				"refresh: none is under way",
				streams,
			},
		},
		{
			"several who share the number", "ani=" + escaped(sharedNumber), nil, nil,
			[]string{
				"number: +15135550103",
				"memory: holds nothing",
				"people: 2 people have the number",
				"choice: nobody: 2 people share the number, and nothing is told of any of them",
				"tickets: 2 unresolved tickets, of which nothing is told",
				"rules: there are none",
				"decision: menu, by default",
				"voice: en-US",
				"speech: *",
				"upstream: a lookup would ask Zendesk nothing now",
				"refresh: none is under way",
				streams,
			},
		},
		{
			"several, and a ticket was keyed in", "ticket_id=602&ani=" + escaped(sharedNumber), nil, nil,
			[]string{
				"number: +15135550103",
				"memory: holds nothing",
				"people: 2 people have the number",
				"choice: user 22, whose ticket was keyed in",
				"tickets: ticket 602, which was keyed in, of 1 unresolved one",
				"rules: there are none",
				"decision: menu, by default",
				"voice: en-US",
				"speech: *",
				"upstream: a lookup would ask Zendesk nothing now",
				"refresh: none is under way",
				streams,
			},
		},
		{
			"several, and the ticket that was keyed in is none of theirs", "ticket_id=503&ani=" + escaped(sharedNumber), nil, nil,
			[]string{
				"number: +15135550103",
				"memory: holds nothing",
				"people: 2 people have the number",
				"choice: nobody: 2 people share the number, and nothing is told of any of them",
				"tickets: 2 unresolved tickets, of which nothing is told",
				"rules: there are none",
				"decision: menu, by default",
				"voice: en-US",
				"speech: *",
				"upstream: a lookup would ask Zendesk nothing now",
				"refresh: none is under way",
				streams,
			},
		},
		{
			"the latest ticket of several", "ani=" + escaped(sharedNumber), func(o *Options) { o.TicketPolicy.LatestOfShared = true }, nil,
			[]string{
				"number: +15135550103",
				"memory: holds nothing",
				"people: 2 people have the number",
				"choice: user 21, whose ticket is the latest of those who share the number; no name is spoken",
				"tickets: ticket 601, the latest by created_at of 1 shown and 0 left out",
				"rules: there are none",
				"decision: menu, by default",
				"voice: it-IT",
				"speech: *",
				"upstream: a lookup would ask Zendesk nothing now",
				"refresh: none is under way",
				streams,
			},
		},
		{
			"nobody, which Zendesk would be asked to prove", "ani=" + escaped(nobodys), nil,
			func(e *caller.Explanation) {
				e.Memory, e.UpstreamWhy = "unproven", "unproven"
				e.Upstream = []string{"GET search", "GET users/show_many"}
				e.Streams.Tickets = caller.Position{Stream: caller.Tickets}
				e.Refreshing = true
			},
			[]string{
				"number: +15135550104",
				"memory: holds something, and what is not in it may be absent or not: it is not given",
				"people: the mirror knows nobody who has the number",
				"choice: nobody: not_found",
				"tickets: none that is unresolved",
				"rules: there are none",
				"decision: menu, by default",
				"voice: en-US",
				"speech: *",
				"upstream: a lookup would ask Zendesk, since what is not in the mirror may be absent or not: 2 calls",
				"refresh: the number is being read again behind an answer",
				"streams: not yet read to their end: absence in the mirror proves nothing",
			},
		},
		{
			"Zendesk down and nothing known", "ani=" + escaped(downNumber), nil, nil,
			[]string{
				"number: +15135550105",
				"memory: holds nothing",
				"people: the mirror knows nobody who has the number",
				"choice: nobody: nothing is known here, and that nobody has the number is not proved",
				"tickets: none that is unresolved",
				"rules: there are none",
				"decision: menu, by default",
				"voice: en-US",
				"speech: *",
				"upstream: a lookup would ask Zendesk nothing now",
				"refresh: none is under way",
				streams,
			},
		},
		{
			"anonymous", "ani=", nil, nil,
			[]string{
				"number: no number that a person could have: anonymous, empty",
				"memory: holds nothing",
				"people: the mirror knows nobody who has the number",
				"choice: nobody: anonymous",
				"tickets: none that is unresolved",
				"rules: there are none",
				"decision: menu, by default",
				"voice: en-US",
				"speech: *",
				"upstream: a lookup would ask Zendesk nothing now",
				"refresh: none is under way",
				streams,
			},
		},
		{
			"a number given twice, once this way and once that", "ani=5&ani=6", nil, nil,
			[]string{
				"number: no number that a person could have: invalid, malformed",
				"memory: holds nothing",
				"people: the mirror knows nobody who has the number",
				"choice: nobody: invalid",
				"tickets: none that is unresolved",
				"rules: there are none",
				"decision: menu, by default",
				"voice: en-US",
				"speech: *",
				"upstream: a lookup would ask Zendesk nothing now",
				"refresh: none is under way",
				"streams: not yet read to their end: absence in the mirror proves nothing",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(o *Options) {
				o.Clients = []Client{newClient("admin", "admin", "lookup")}
				o.Clients[0].Fields = []string{"*"}
				if tt.change != nil {
					tt.change(o)
				}
			})
			w.resolver.explained = tt.explained
			e := w.explain(t, tt.query)
			got := e.results()
			for i, line := range tt.want { // what is said is held against the lookup's below
				if i < len(got) && strings.HasSuffix(line, "*") && strings.HasPrefix(got[i], strings.TrimSuffix(line, "*")) {
					got[i] = line
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("the steps (-want +got):\n%s", diff)
			}
			if w.resolver.asked() != 0 || w.shelf.tellings("admin") != nil {
				t.Error("explaining has asked or told somebody")
			}
			if strings.Contains(string(w.get(t, "/metrics", "").body), "duration_seconds_count 1") {
				t.Error("explaining is counted as a lookup")
			}
			lookup := w.get(t, "/v1/lookup?"+tt.query, "admin")
			if diff := cmp.Diff(string(lookup.body), string(e.Answer)); diff != "" {
				t.Errorf("the answer (-lookup +explain):\n%s", diff)
			}
			said, _ := lookup.json(t)["spoken_text"].(string)
			if !slices.Contains(e.results(), "speech: "+said) {
				t.Errorf("what is said, %q, is not in %q", said, e.results())
			}
		})
	}
}

func TestExplainTellsOfPeople(t *testing.T) {
	w := newWorld(t, withClients)
	w.resolver.explained = func(e *caller.Explanation) {
		h := &e.Held[0]
		h.Version.Generated = 7
		h.Caller.TicketsSeen, h.IdentitiesSeen, h.IdentitiesDue = start.Add(-time.Hour), start.Add(-6*time.Hour), true
		e.Held = append(e.Held, caller.Held{Caller: caller.Caller{User: caller.User{ID: 40, Name: "Maria", Role: "agent", Suspended: true}}, By: caller.ByBoth, Withheld: "role"})
		e.UpstreamWhy, e.Upstream = "stale", []string{"GET search", "GET users/show_many"}
		e.Walked, e.RefreshNotBefore = start.Add(-2*time.Minute), start.Add(3*time.Minute)
	}
	e := w.explain(t, "ani="+url.QueryEscape(annsNumber))
	want := `{"user_id":"9007199254740993","name":"Ann Lee","has_it_by":"profile","role":"end-user","suspended":false,"candidate":true,"withheld":"none","unresolved":4,"record":"export","updated_at":"2026-03-04T02:52:47Z",` +
		`"seen_at":"2026-03-04T05:05:37Z","seen_seconds":30,"tickets_seen_at":"2026-03-04T04:06:07Z","tickets_seen_seconds":3600,"identities_seen_at":"2026-03-03T23:06:07Z","identities_seen_seconds":21600,"identities_due":true}` + "\n" +
		`{"user_id":"40","name":"Maria","has_it_by":"profile_and_identity","role":"agent","suspended":true,"candidate":false,"withheld":"role","unresolved":0,"record":"single","updated_at":"",` +
		`"seen_at":"","seen_seconds":-1,"tickets_seen_at":"","tickets_seen_seconds":-1,"identities_seen_at":"","identities_seen_seconds":-1,"identities_due":false}`
	if diff := cmp.Diff(want, e.details("people")); diff != "" {
		t.Errorf("people (-want +got):\n%s", diff)
	}
	want = `{"call":"GET search"}` + "\n" + `{"call":"GET users/show_many"}`
	if diff := cmp.Diff(want, e.details("upstream")); diff != "" || !slices.Contains(e.results(), "upstream: a lookup would answer at once and have the number read again behind the answer: 2 calls") {
		t.Errorf("upstream in %q (-want +got):\n%s", e.results(), diff)
	}
	want = `{"walked_at":"2026-03-04T05:04:07Z","walked_seconds":120,"refreshing":false,"refresh_not_before":"2026-03-04T05:09:07Z"}`
	if diff := cmp.Diff(want, e.details("refresh")); diff != "" {
		t.Errorf("refresh (-want +got):\n%s", diff)
	}
	if e.At != "2026-03-04T05:06:07Z" {
		t.Errorf("at %s", e.At)
	}
}

func TestExplainTellsOfTicketsAndFilters(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		withClients(o)
		o.TicketPolicy = caller.TicketPolicy{Order: caller.ByUpdated, Exclude: caller.TicketFilter{Tags: []string{"fire"}}}
	})
	e := w.explain(t, "ani="+url.QueryEscape(annsNumber))
	if !slices.Contains(e.results(), "tickets: ticket 501, the latest by updated_at of 3 shown and 1 left out") {
		t.Errorf("the steps are %q", e.results())
	}
	type ticket struct {
		ID    string `json:"ticket_id"`
		Place int    `json:"place"`
		Shown bool   `json:"shown"`
	}
	var got []ticket
	for line := range strings.Lines(e.details("tickets")) {
		var one struct {
			ticket
			Why string `json:"left_out"`
		}
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatal(err)
		}
		if one.Shown != (one.Why == none) || !one.Shown && one.Why != "exclude.tags" {
			t.Errorf("ticket %s is left out because %q", one.ID, one.Why)
		}
		got = append(got, one.ticket)
	}
	want := []ticket{{"503", 0, false}, {"502", 2, true}, {"501", 1, true}, {"500", 3, true}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the tickets (-want +got):\n%s", diff)
	}
	w.o.TicketPolicy.Include.GroupID = []int64{77}
	e = w.explain(t, "ani="+url.QueryEscape(annsNumber))
	if !slices.Contains(e.results(), "tickets: 4 unresolved tickets, all of which the filters leave out") {
		t.Errorf("the steps are %q", e.results())
	}
}

func TestExplainGoesThroughFewTickets(t *testing.T) {
	w := newWorld(t, withClients)
	w.resolver.explained = func(e *caller.Explanation) {
		c := &e.Answer.Callers[0]
		c.Open, c.OpenCount = nil, 3000
		for i := range 1000 {
			c.Open = append(c.Open, caller.Ticket{ID: int64(5000 - i), Status: "open", CreatedAt: start.Unix() - int64(i)})
		}
	}
	e := w.explain(t, "ani="+url.QueryEscape(annsNumber))
	if n := strings.Count(e.details("tickets"), "ticket_id"); n != mostTickets {
		t.Errorf("%d tickets", n)
	}
	if !slices.Contains(e.results(), "tickets: ticket 5000, the latest by created_at of 1000 shown, 0 left out and 2000 not read") {
		t.Errorf("the steps are %q", e.results())
	}
}

func TestExplainTellsOfRules(t *testing.T) {
	free := 2
	router, err := routing.New([]routing.Rule{
		{Name: "night", When: routing.Condition{AgentsAvailableMin: &free}, Then: routing.Result{Action: "voicemail"}},
		{Name: "urgent", When: routing.Condition{Severity: []string{"urgent"}}, Then: routing.Result{Action: "queue", QueueID: "7f1d3f3e-6b1f-4a39-9d3c-3f5a3a7c9d10"}},
		{Name: "rest", When: routing.Condition{Outcome: []string{"found"}}, Then: routing.Result{Action: "menu"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(o *Options) { withClients(o); o.Router = router })
	for query, want := range map[string]struct {
		rules, decision string
		held            []bool
		reached         []bool
	}{
		"agents_available=1&ani=" + url.QueryEscape(annsNumber):  {`rule "urgent" holds`, "queue, by urgent", []bool{false, true, false}, []bool{true, true, false}},
		"agents_available=2&ani=" + url.QueryEscape(annsNumber):  {`rule "night" holds`, "voicemail, by night", []bool{true, false, false}, []bool{true, false, false}},
		"agents_available=-1&ani=" + url.QueryEscape(annsNumber): {`rule "urgent" holds`, "queue, by urgent", []bool{false, true, false}, []bool{true, true, false}},
		"ani=" + url.QueryEscape(nobodys):                        {"no rule holds: the default", "menu, by default", []bool{false, false, false}, []bool{true, true, true}},
	} {
		e := w.explain(t, query)
		for _, line := range []string{"rules: " + want.rules, "decision: " + want.decision} {
			if !slices.Contains(e.results(), line) {
				t.Errorf("%s: %q is not in %q", query, line, e.results())
			}
		}
		var names []string
		var held, reached []bool
		for line := range strings.Lines(e.details("rules")) {
			var r ruleDetail
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatal(err)
			}
			names, held, reached = append(names, r.Rule), append(held, r.Held), append(reached, r.Reached)
			if r.Reached && !r.Held && (r.Condition == none || r.Wanted == none) {
				t.Errorf("%s: why %s does not hold is not told: %s", query, r.Rule, line)
			}
		}
		if diff := cmp.Diff([]string{"night", "urgent", "rest"}, names); diff != "" {
			t.Errorf("the rules (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([][]bool{want.held, want.reached}, [][]bool{held, reached}); diff != "" {
			t.Errorf("%s: held and reached (-want +got):\n%s", query, diff)
		}
	}
}

func TestExplainTellsOfWordings(t *testing.T) {
	w := newWorld(t, withClients)
	e := w.explain(t, "ani="+url.QueryEscape(annsNumber))
	want := `{"template":"greeting_name (es-US, built in)"}` + "\n" + `{"template":"ticket_open (es-US, built in)"}` + "\n" +
		`{"template":"updated_today (es-US, built in)"}` + "\n" + `{"template":"others_other (es-US, built in)"}`
	if diff := cmp.Diff(want, e.details("speech")); diff != "" {
		t.Errorf("the sentences (-want +got):\n%s", diff)
	}
	e = w.explain(t, "ani="+url.QueryEscape(nobodys))
	if diff := cmp.Diff(`{"template":"neutral (en-US, built in)"}`, e.details("speech")); diff != "" {
		t.Errorf("the sentences (-want +got):\n%s", diff)
	}
}

func TestExplainWhatAClientWouldBeTold(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		narrow := newClient("narrow", "lookup")
		narrow.Fields = []string{"found", "ticket_id"}
		o.Clients = []Client{newClient("admin", "admin"), narrow}
	})
	query := "ani=" + url.QueryEscape(annsNumber)
	lookup := w.get(t, "/v1/lookup?"+query, "narrow")
	e := w.explain(t, "client=narrow&"+query)
	if diff := cmp.Diff(string(lookup.body), string(e.Answer)); diff != "" {
		t.Errorf("the answer (-lookup +explain):\n%s", diff)
	}
	for _, query := range []string{"client=nobody&" + query, "client=narrow&client=admin&" + query, "lang=it"} {
		w.get(t, "/v1/admin/explain?"+query, "admin").detail(t, http.StatusBadRequest)
	}
	for _, client := range []string{"narrow", ""} {
		if got := w.get(t, "/v1/admin/explain?"+query, client); got.status == http.StatusOK {
			t.Errorf("%q may have answers explained", client)
		}
	}
	alone := newWorld(t, func(o *Options) { o.DemoAll = true })
	if got := alone.get(t, "/v1/admin/explain?client=local&"+query, ""); got.status != http.StatusOK {
		t.Errorf("status %d: %s", got.status, got.body)
	}
}
