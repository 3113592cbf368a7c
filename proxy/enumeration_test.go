package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/caller"
)

// exchange is a Resolver of a whole exchange: behind +1202… is somebody of that
// id, behind +1303… nobody, which only Zendesk can say; and what resolver knows.
type exchange struct {
	*resolver
	live atomic.Int64 // questions that reached Zendesk
}

func somebody(i int) string { return fmt.Sprintf("+1202%07d", i) }
func stranger(i int) string { return fmt.Sprintf("+1303%07d", i) }

func (e *exchange) Lookup(ctx context.Context, q caller.Query) caller.Answer {
	switch {
	case strings.HasPrefix(q.ANI, "+1202"):
		id, _ := strconv.ParseInt(q.ANI[1:], 10, 64)
		return caller.Answer{
			Outcome: caller.Found, Reason: "none", ANI: q.ANI, Source: caller.FromMemory,
			Callers: []caller.Caller{{User: caller.User{ID: id, Name: "Person Number", Role: "end-user", Active: true}}},
		}
	case !strings.HasPrefix(q.ANI, "+1303"):
		return e.resolver.Lookup(ctx, q)
	case q.AllowLive():
		e.live.Add(1)
		return caller.Answer{Outcome: caller.NotFound, Reason: "no_user", ANI: q.ANI, Source: caller.FromLive}
	default:
		return caller.Answer{Outcome: caller.Unavailable, Reason: string(caller.FaultBudget), ANI: q.ANI, Source: caller.FromNowhere, Stale: true}
	}
}

// withExchange serves it to clients of those limits of different numbers.
func withExchange(e *exchange, most int, names ...string) func(*Options) {
	return func(o *Options) {
		e.resolver = &resolver{}
		o.Resolver = e
		for _, name := range names {
			c := newClient(name, "lookup", "comment", "zendesk")
			c.DistinctPerMinute, c.LivePerMinute, c.Rate, c.Burst = most, 100, 1_000_000, 1_000_000
			o.Clients = append(o.Clients, c)
		}
		reader := newClient("reader", "lookup", "zendesk", "directory", "comment")
		reader.DistinctPerMinute = most
		o.Clients = append(o.Clients, reader, newClient("stats", "stats"))
	}
}

// at asks within the process, for what takes thousands of requests.
func (w *world) at(t testing.TB, path, client string) *httptest.ResponseRecorder {
	t.Helper()
	out := httptest.NewRecorder()
	w.Admin().ServeHTTP(out, request(t, http.MethodGet, "http://localhost"+path, "", client))
	return out
}

func lookupOf(number string) string { return "/v1/lookup?ani=" + url.QueryEscape(number) }

// resolving is every route that finds out who has a number.
func resolving(number string) map[string]func(w *world, t *testing.T, client string) *reply {
	get := func(path string) func(w *world, t *testing.T, client string) *reply {
		return func(w *world, t *testing.T, client string) *reply {
			return send(t, request(t, http.MethodGet, w.public.URL+path, "", client))
		}
	}
	post := func(path, body string) func(w *world, t *testing.T, client string) *reply {
		return func(w *world, t *testing.T, client string) *reply {
			r := request(t, http.MethodPost, w.public.URL+path, body, client)
			r.Header.Set("Content-Type", jsonType)
			return send(t, r)
		}
	}
	escaped := url.QueryEscape(number)
	return map[string]func(w *world, t *testing.T, client string) *reply{
		"GET /v1/lookup":                              get("/v1/lookup?ani=" + escaped),
		"GET /v1/lookup, fresh":                       get("/v1/lookup?fresh=1&ani=" + escaped),
		"POST /v1/lookup":                             post("/v1/lookup", `{"ani":"`+number+`"}`),
		"GET /v1/users":                               get("/v1/users?ani=" + escaped),
		"POST /v1/tickets":                            post("/v1/tickets", `{"ani":"`+number+`","body":"called"}`),
		"GET /api/v2/users/search":                    get("/api/v2/users/search.json?query=" + url.QueryEscape("type:user "+number)),
		"GET /api/v2/search":                          get("/api/v2/search.json?query=" + url.QueryEscape("type:user "+number)),
		"GET /api/v2/search, by the field's own name": get("/api/v2/search.json?query=" + url.QueryEscape("type:user phone:"+number)),
	}
}

// tooMany holds a refusal to its form on either face, and gives its wait.
func (r *reply) tooMany(t *testing.T, route string) time.Duration {
	t.Helper()
	read := (*reply).detail
	if strings.Contains(route, zendeskRoot) {
		read = (*reply).envelope
	}
	if said := read(r, t, http.StatusTooManyRequests); !strings.Contains(said, "distinct_per_minute") || strings.Contains(string(r.body), "Ann") {
		t.Errorf("it says %s", r.body)
	}
	seconds, err := strconv.Atoi(r.header.Get("Retry-After"))
	if err != nil || seconds < 1 {
		t.Errorf("Retry-After is %q", r.header.Get("Retry-After"))
	}
	return time.Duration(seconds) * time.Second
}

// A stolen key reads no more different numbers a minute than its limit, by
// whatever route it asks, and is told nothing of the next one.
func TestDifferentNumbersAreLimitedOnEveryRoute(t *testing.T) {
	for route, ask := range resolving(annsNumber) {
		t.Run(route, func(t *testing.T) {
			w := newWorld(t, withExchange(&exchange{}, 2, "stolen"))
			for i, after := range []time.Duration{20 * time.Second, 10*time.Second + 500*time.Millisecond} {
				if got := w.at(t, lookupOf(somebody(i)), "stolen").Code; got != http.StatusOK {
					t.Fatalf("number %d: status %d", i, got)
				}
				w.tick(after)
			}
			before := w.shelf.tellings("stolen")
			refused := ask(w, t, "stolen")
			wait := refused.tooMany(t, route)
			if wait != 30*time.Second { // 29.5 until the first number leaves
				t.Errorf("it is to wait %v", wait)
			}
			if diff := cmp.Diff(before, w.shelf.tellings("stolen")); diff != "" {
				t.Errorf("it was told of (-before +after):\n%s", diff)
			}
			if outcome := refused.header.Get(outcomeHeader); outcome != "" || strings.Contains(w.logged(), "status=429 outcome") {
				t.Errorf("the refusal tells an outcome: %q", outcome)
			}
			if len(w.shelf.all()) != 0 {
				t.Error("a ticket was taken")
			}
			if got := w.at(t, lookupOf(somebody(1)), "stolen").Code; got != http.StatusOK {
				t.Errorf("a number of this minute again: status %d", got)
			}
			w.tick(wait)
			if got := ask(w, t, "stolen"); got.status >= 300 {
				t.Errorf("after the wait: status %d, %s", got.status, got.body)
			}
		})
	}
}

func TestWhatIsNoNumberCountsForNothing(t *testing.T) {
	w := newWorld(t, withExchange(&exchange{}, 1, "busy"))
	for i := range 20 {
		for _, ani := range []string{"", "anonymous", "911", "junk", "12x34", fmt.Sprint("x", i)} {
			if got := w.at(t, lookupOf(ani), "busy").Code; got != http.StatusOK {
				t.Fatalf("%q: status %d", ani, got)
			}
		}
	}
	if got := w.at(t, lookupOf(annsNumber), "busy").Code; got != http.StatusOK {
		t.Errorf("the first number: status %d", got)
	}
	if got := w.at(t, lookupOf(""), "busy").Code; got != http.StatusOK {
		t.Errorf("an empty one past the limit: status %d", got)
	}
}

// Whoever has the scope directory could read people out by id instead.
func TestPeopleByIDAreLimitedWithTheNumbers(t *testing.T) {
	routes := []string{
		"/v1/users/" + annsID, "/v1/users/" + annsID + "/tickets",
		"/api/v2/users/" + annsID, "/api/v2/users/" + annsID + "/tickets/requested",
		"/api/v2/tickets/503", "/api/v2/search?query=requester:" + annsID,
	}
	for _, path := range routes {
		t.Run(path, func(t *testing.T) {
			w := newWorld(t, withExchange(&exchange{}, 2))
			w.at(t, lookupOf(somebody(1)), "reader")
			w.at(t, "/v1/users/4711", "reader") // nobody, and yet an id that was tried
			w.get(t, path, "reader").tooMany(t, path)
			w.get(t, "/v1/users/4712", "reader").tooMany(t, "whether there is such a person")
			for _, told := range w.shelf.tellings("reader") {
				if strings.Contains(told, annsID) || strings.Contains(told, "50") {
					t.Errorf("it was told of %s", told)
				}
			}
			w.tick(time.Minute)
			for range 3 { // one person, by all routes, again and again
				for _, path := range routes {
					if got := w.get(t, path, "reader"); got.status != http.StatusOK {
						t.Fatalf("%s a minute later: status %d, %s", path, got.status, got.body)
					}
				}
			}
			if got := w.at(t, lookupOf(somebody(1)), "reader").Code; got != http.StatusOK {
				t.Errorf("and one number: status %d", got)
			}
			if got := w.at(t, lookupOf(somebody(2)), "reader").Code; got != http.StatusTooManyRequests {
				t.Errorf("and another: status %d", got)
			}
		})
	}
}

// A caller keys in the number of a ticket, and a thief all there are.
func TestTicketsTriedOnASharedNumberAreLimited(t *testing.T) {
	for _, change := range []func(number, ticket string) (method, path, body string){
		func(number, ticket string) (string, string, string) {
			return http.MethodGet, lookupOf(number) + "&ticket_id=" + ticket, ""
		},
		func(number, ticket string) (string, string, string) {
			return http.MethodPost, "/v1/lookup", fmt.Sprintf(`{"ani":%q,"ticket_id":%q}`, number, ticket)
		},
	} {
		w := newWorld(t, withExchange(&exchange{}, 10, "stolen"))
		ask := func(number string, ticket int) *reply {
			method, path, body := change(number, strconv.Itoa(ticket))
			return send(t, request(t, method, w.public.URL+path, body, "stolen"))
		}
		for i := range 9 { // the number itself is the first
			if got := ask(sharedNumber, 592+i); got.status != http.StatusOK || strings.Contains(string(got.body), "Carla") {
				t.Fatalf("ticket %d: status %d, %s", 592+i, got.status, got.body)
			}
		}
		ask(sharedNumber, 601).tooMany(t, "a right one past the limit")
		if told := w.shelf.tellings("stolen"); len(told) != 0 {
			t.Errorf("it was told of %v", told)
		}
		w.tick(time.Minute)
		if got := ask(sharedNumber, 601); !strings.Contains(string(got.body), "Carla") {
			t.Errorf("a minute later: status %d, %s", got.status, got.body)
		}
		for i := range 30 { // on a number of one person's there is nothing to be found out
			if got := ask(annsNumber, i+1); got.status != http.StatusOK {
				t.Fatalf("a wrong ticket on a number of one person: status %d", got.status)
			}
		}
	}
}

// What its own search has returned a client may read by id without being
// counted again, with the directory or without it.
func TestWhoWasFoundByNumberIsNotCountedAgainByID(t *testing.T) {
	for _, client := range []string{"connector", "reader"} {
		w := newWorld(t, withExchange(&exchange{}, 1, "connector"))
		for _, path := range []string{
			"/api/v2/users/search?query=" + url.QueryEscape("type:user "+annsNumber), "/api/v2/users/" + annsID,
			"/api/v2/search?query=requester:" + annsID, "/api/v2/tickets/503", "/api/v2/users/" + annsID + "/tickets/requested",
		} {
			if got := w.get(t, path, client); got.status != http.StatusOK {
				t.Errorf("%s, %s: status %d", client, path, got.status)
			}
		}
	}
}

// A comment is taken past the limit, since it would be sent again, and its
// answer says nothing of a ticket that was never searched for.
func TestACommentPastTheLimitShowsNoTicket(t *testing.T) {
	w := newWorld(t, withExchange(&exchange{}, 1))
	w.at(t, lookupOf(somebody(1)), "reader")
	r := request(t, http.MethodPut, w.public.URL+"/api/v2/tickets/503", `{"ticket":{"comment":{"body":"called"}}}`, "reader")
	got := send(t, r)
	if got.status != http.StatusOK || strings.Contains(string(got.body), "Printer") || len(w.shelf.all()) != 1 {
		t.Errorf("status %d, %s", got.status, got.body)
	}
	if strings.Contains(w.logged(), "level=ERROR") {
		t.Errorf("the log:\n%s", w.logged())
	}
}

func TestAReloadForgetsNoNumbers(t *testing.T) {
	for _, limit := range []int{1, 2, 3} {
		t.Run(fmt.Sprint("the limit is then ", limit), func(t *testing.T) {
			w := newWorld(t, withExchange(&exchange{}, 2, "stolen"))
			w.at(t, lookupOf(somebody(1)), "stolen")
			w.at(t, lookupOf(somebody(2)), "stolen")
			var o Options
			withExchange(&exchange{}, limit, "stolen")(&o)
			if err := w.SetClients(o.Clients); err != nil {
				t.Fatal(err)
			}
			got := 0
			for i := 10; w.at(t, lookupOf(somebody(i)), "stolen").Code == http.StatusOK && got < 10; i++ {
				got++
			}
			if want := max(0, limit-2); got != want {
				t.Errorf("%d more numbers, want %d", got, want)
			}
			if code := w.at(t, lookupOf(somebody(1)), "stolen").Code; code != http.StatusOK {
				t.Errorf("a number of this minute: status %d", code)
			}
			w.tick(time.Minute)
			if code := w.at(t, lookupOf(somebody(99)), "stolen").Code; code != http.StatusOK {
				t.Errorf("a minute later: status %d", code)
			}
			if got := string(w.get(t, "/v1/stats", "stats").body); !strings.Contains(got, fmt.Sprintf(`{"name":"stolen","numbers":%d,`, 3+max(0, limit-2))) {
				t.Errorf("the counts did not go on: %s", got)
			}
		})
	}
}

func TestAClientWithoutRoomSpendsNoLiveBudget(t *testing.T) {
	e := &exchange{}
	w := newWorld(t, withExchange(e, 3, "stolen"))
	for i := range 50 {
		want := http.StatusOK
		if i >= 3 {
			want = http.StatusTooManyRequests
		}
		if got := w.at(t, lookupOf(stranger(i)), "stolen").Code; got != want {
			t.Fatalf("stranger %d: status %d, want %d", i, got, want)
		}
	}
	if got := e.live.Load(); got != 3 {
		t.Errorf("%d questions reached Zendesk, want 3", got)
	}
	w.at(t, lookupOf(stranger(0)), "stolen") // has room
	if got := e.live.Load(); got != 4 {
		t.Errorf("%d questions reached Zendesk, want 4", got)
	}
}

// Thousands of strangers call within a minute: Zendesk is asked as often as the
// budget allows, and the flow has an answer for every call.
func TestABusyMorningIsNeverRefused(t *testing.T) {
	const calls = 1500
	budget := map[bool]string{true: "not_found", false: "unavailable"}
	faces := map[string]func(w *world, t *testing.T, i int) (outcome, body string, code int){
		"/v1/lookup": func(w *world, t *testing.T, i int) (string, string, int) {
			out := w.at(t, lookupOf(stranger(i)), "busy")
			var a struct {
				Outcome, Reason string
				Found, Stale    int
			}
			if err := json.Unmarshal(out.Body.Bytes(), &a); err != nil {
				t.Fatal(err)
			}
			if a.Found != 0 || (a.Outcome == "unavailable") != (a.Reason == "live_budget" && a.Stale == 1) {
				t.Errorf("the answer is %+v", a)
			}
			return a.Outcome, "", out.Code
		},
		"/v1/users": func(w *world, t *testing.T, i int) (string, string, int) {
			out := w.at(t, "/v1/users?ani="+url.QueryEscape(stranger(i)), "busy")
			var a struct{ Outcome string }
			if err := json.Unmarshal(out.Body.Bytes(), &a); err != nil {
				t.Fatal(err)
			}
			return a.Outcome, "", out.Code
		},
		"/api/v2/users/search": func(w *world, t *testing.T, i int) (string, string, int) {
			out := w.at(t, "/api/v2/users/search.json?query="+url.QueryEscape("type:user "+stranger(i)), "busy")
			return out.Header().Get(outcomeHeader), out.Body.String(), out.Code
		},
		"/api/v2/search": func(w *world, t *testing.T, i int) (string, string, int) {
			out := w.at(t, "/api/v2/search.json?query="+url.QueryEscape("type:user "+stranger(i)), "busy")
			return out.Header().Get(outcomeHeader), out.Body.String(), out.Code
		},
	}
	for face, ask := range faces {
		t.Run(face, func(t *testing.T) {
			e := &exchange{}
			w := newWorld(t, withExchange(e, 1_000_000, "busy"))
			outcomes := map[string]int{}
			for i := range calls {
				asked := e.live.Load()
				outcome, body, code := ask(w, t, i)
				if code != http.StatusOK {
					t.Fatalf("call %d: status %d", i, code)
				}
				if want := budget[e.live.Load() > asked]; outcome != want {
					t.Fatalf("call %d: outcome %s, want %s", i, outcome, want)
				}
				if body != "" && !strings.Contains(body, `"count":0`) { // the template goes on at once, see zendeskFind
					t.Fatalf("call %d: %s", i, body)
				}
				outcomes[outcome]++
				w.tick(time.Minute / calls)
			}
			// A full bucket of a hundred, and the minute's hundred.
			if n := outcomes["not_found"]; n < 195 || n > 200 || n != int(e.live.Load()) {
				t.Errorf("%v with %d questions to Zendesk", outcomes, e.live.Load())
			}
			if got := w.at(t, lookupOf(annsNumber), "busy"); got.Code != http.StatusOK || !strings.Contains(got.Body.String(), "Ann") {
				t.Errorf("who is known: status %d", got.Code)
			}
			if got := w.clients.Load().named("busy").used.refusals[limitLive].Load(); got != uint64(outcomes["unavailable"]) {
				t.Errorf("%d refusals are counted", got)
			}
		})
	}
}

// One client's excess, of whichever kind, is no other's.
func TestOneClientsExcessRefusesNobodyElse(t *testing.T) {
	e := &exchange{}
	w := newWorld(t, func(o *Options) {
		withExchange(e, 50, "greedy", "modest")(o)
		o.Clients[0].LivePerMinute = 10
		o.Clients[0].Rate, o.Clients[0].Burst = 1, 200
	})
	codes := map[int]int{}
	for i := range 300 {
		codes[w.at(t, lookupOf(stranger(i)), "greedy").Code]++
	}
	if diff := cmp.Diff(map[int]int{200: 50, 429: 250}, codes); diff != "" {
		t.Errorf("the greedy one (-want +got):\n%s", diff)
	}
	var stats struct{ Clients []clientJSON }
	if err := json.Unmarshal(w.get(t, "/v1/stats", "stats").body, &stats); err != nil {
		t.Fatal(err)
	}
	want := clientJSON{Name: "greedy", Numbers: 50, NotFound: 10, RefusedRate: 100, RefusedDistinct: 150, RefusedLive: 40}
	if diff := cmp.Diff(want, stats.Clients[0]); diff != "" {
		t.Errorf("what it used (-want +got):\n%s", diff)
	}
	asked := e.live.Load()
	for i := range 50 {
		if got := w.at(t, lookupOf(stranger(i)), "modest"); got.Code != http.StatusOK || !strings.Contains(got.Body.String(), "not_found") {
			t.Fatalf("the modest one's number %d: status %d, %s", i, got.Code, got.Body)
		}
	}
	if got := e.live.Load() - asked; got != 50 {
		t.Errorf("the modest one asked Zendesk %d times of 50", got)
	}
}
