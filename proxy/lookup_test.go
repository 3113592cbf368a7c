package proxy

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/caller"
	"aniproxy/internal/routing"
	"aniproxy/internal/speech"
)

// whole may read every field of a lookup.
func whole(o *Options) {
	c := newClient("whole", "lookup")
	c.Fields = []string{"*"}
	o.Clients = []Client{c, newClient("usual", "lookup")}
}

// absentAnswer is what a lookup answers where it knows nothing.
func absentAnswer() map[string]any {
	m := map[string]any{}
	for _, name := range fieldNames {
		m[name] = "none"
	}
	for _, name := range []string{"found", "match_count", "ticket_found", "unresolved_count", "has_assignee", "has_queue", "has_skill", "age_seconds", "stale"} {
		m[name] = json.Number("0")
	}
	m["queue_priority"] = json.Number("5")
	m["action"], m["route_rule"] = "menu", "default"
	m["spoken_text"] = "Hello, and thank you for calling."
	m["spoken_ssml"] = "<speak>Hello, and thank you for calling.</speak>"
	m["language"] = "en-US"
	m["screen_pop_url"] = "https://acme.zendesk.com/agent"
	return m
}

func with(m map[string]any, changes map[string]any) map[string]any {
	for name, v := range changes {
		if n, ok := v.(int); ok {
			v = json.Number(itoa(n))
		}
		m[name] = v
	}
	return m
}

func itoa(n int) string {
	b, _ := json.Marshal(n)
	return string(b)
}

// spokenOf is what a voice says of a call: its wording is speech's own to test.
func spokenOf(t *testing.T, lang string, c speech.Call) map[string]any {
	t.Helper()
	c.Known, c.Now = true, start
	voice := voicesOf(t, speech.Options{}).For(lang, "")
	text, ssml := voice.Append(nil, nil, &c)
	return map[string]any{"spoken_text": string(text), "spoken_ssml": string(ssml), "language": voice.Tag}
}

func TestLookup(t *testing.T) {
	tickets := ann().Open
	annSaid := speech.Call{FirstName: "Ann", Ticket: &tickets[0], Others: 3}
	annIsKnown := func() map[string]any {
		return with(with(absentAnswer(), spokenOf(t, "es", annSaid)), map[string]any{
			"found": 1, "outcome": "found", "ani": annsNumber, "match": "unique", "match_count": 1,
			"user_id": "9007199254740993", "user_name": "Ann Lee", "user_first_name": "Ann", "user_email": "ann@example.org",
			"user_locale": "es-MX", "user_tags": "vip,gold", "user_url": "https://acme.zendesk.com/agent/users/9007199254740993",
			"organization_id": "77",
			"ticket_found":    1, "ticket_id": "503", "ticket_status": "open", "ticket_priority": "urgent", "ticket_type": "incident",
			"ticket_subject": "Printer on fire", "ticket_created_at": "2026-03-04T05:04:27Z", "ticket_updated_at": "2026-03-04T05:05:17Z",
			"ticket_tags": "fire,printer", "ticket_url": "https://acme.zendesk.com/agent/tickets/503",
			"unresolved_count": 4, "ticket2_id": "502", "ticket2_status": "pending", "ticket3_id": "501", "ticket3_status": "new",
			"has_assignee": 1, "assignee_id": "40", "assignee_name": "Maria Lopez", "assignee_email": "Maria@example.com", "assignee_agent": "maria@contact.example",
			"severity": "urgent", "queue_priority": 1,
			"screen_pop_url": "https://acme.zendesk.com/agent/tickets/503", "source": "memory", "age_seconds": 90,
		})
	}
	nobody := func(changes map[string]any) map[string]any { return with(absentAnswer(), changes) }
	tests := []struct {
		name  string
		query string
		want  map[string]any
	}{
		{"one person with tickets", "ani=" + url.QueryEscape(annsNumber), annIsKnown()},
		{
			"the ticket that the caller keyed in", "ani=" + url.QueryEscape(annsNumber) + "&ticket_id=502",
			with(with(annIsKnown(), spokenOf(t, "es", speech.Call{FirstName: "Ann", Ticket: &tickets[1], Others: 3})), map[string]any{
				"ticket_id": "502", "ticket_status": "pending", "ticket_priority": "low", "ticket_type": "none", "ticket_subject": "Toner",
				"ticket_created_at": "2026-03-04T05:02:47Z", "ticket_updated_at": "2026-03-04T05:05:07Z", "ticket_tags": "none",
				"ticket_url": "https://acme.zendesk.com/agent/tickets/502", "ticket2_id": "503", "ticket2_status": "open",
				"assignee_id": "41", "assignee_name": "Tom Day", "assignee_email": "tom@example.com", "assignee_agent": "tom@example.com",
				"severity": "low", "queue_priority": 7, "screen_pop_url": "https://acme.zendesk.com/agent/tickets/502",
			}),
		},
		{"a ticket that is somebody else's", "ani=" + url.QueryEscape(annsNumber) + "&ticket_id=601", annIsKnown()},
		{
			"one person without tickets", "ani=" + url.QueryEscape(quietNumber),
			with(nobody(spokenOf(t, "en", speech.Call{FirstName: "Bo"})), map[string]any{
				"found": 1, "outcome": "found", "ani": quietNumber, "match": "unique", "match_count": 1,
				"user_id": "12", "user_name": "Bo", "user_first_name": "Bo", "user_url": "https://acme.zendesk.com/agent/users/12",
				"screen_pop_url": "https://acme.zendesk.com/agent/users/12", "source": "memory", "age_seconds": 90,
			}),
		},
		{
			"several people", "ani=" + url.QueryEscape(sharedNumber),
			nobody(map[string]any{
				"outcome": "ambiguous", "reason": "shared_number", "ani": sharedNumber, "match": "ambiguous", "match_count": 2, "source": "disk", "stale": 1,
			}),
		},
		{
			"several people and a wrong ticket", "ani=" + url.QueryEscape(sharedNumber) + "&ticket_id=503",
			nobody(map[string]any{
				"outcome": "ambiguous", "reason": "shared_number", "ani": sharedNumber, "match": "ambiguous", "match_count": 2, "source": "disk", "stale": 1,
			}),
		},
		{
			"several people and the ticket of one", "ani=" + url.QueryEscape(sharedNumber) + "&ticket_id=602",
			with(nobody(spokenOf(t, "en", speech.Call{FirstName: "Dario", Ticket: &sharers()[1].Open[0]})), map[string]any{
				"found": 1, "outcome": "found", "reason": "ticket_id", "ani": sharedNumber, "match": "unique", "match_count": 1,
				"user_id": "22", "user_name": "Dario Private", "user_first_name": "Dario", "user_url": "https://acme.zendesk.com/agent/users/22",
				"ticket_found": 1, "ticket_id": "602", "ticket_status": "pending", "ticket_subject": "Classified",
				"ticket_created_at": "2026-03-04T05:05:37Z", "ticket_updated_at": "2026-03-04T05:05:37Z", "ticket_url": "https://acme.zendesk.com/agent/tickets/602",
				"unresolved_count": 1, "screen_pop_url": "https://acme.zendesk.com/agent/tickets/602", "source": "disk", "stale": 1,
			}),
		},
		{
			"nobody", "ani=" + url.QueryEscape(nobodys),
			nobody(map[string]any{"outcome": "not_found", "reason": "no_user", "ani": nobodys, "source": "disk", "age_seconds": 61}),
		},
		{
			"Zendesk down and nothing known", "ani=" + url.QueryEscape(downNumber),
			nobody(map[string]any{"outcome": "unavailable", "reason": "zendesk_unavailable", "ani": downNumber, "stale": 1}),
		},
		{"no caller id", "ani=anonymous", nobody(map[string]any{"outcome": "anonymous", "reason": "empty"})},
		{"a short code", "ani=911", nobody(map[string]any{"outcome": "short_code", "reason": "short_code"})},
		{"junk", "ani=junk", nobody(map[string]any{"outcome": "invalid", "reason": "malformed"})},
		{
			"the language that the flow speaks", "ani=" + url.QueryEscape(annsNumber) + "&lang=it-IT",
			with(annIsKnown(), spokenOf(t, "it", annSaid)),
		},
		{"a language that nobody speaks", "ani=" + url.QueryEscape(annsNumber) + "&lang=ja", annIsKnown()},
	}
	w := newWorld(t, whole)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := w.get(t, "/v1/lookup?"+tt.query, "whole")
			if got.status != http.StatusOK {
				t.Fatalf("status %d", got.status)
			}
			if diff := cmp.Diff(tt.want, got.json(t)); diff != "" {
				t.Errorf("the answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheTicketOrderIsTheConfigured(t *testing.T) {
	w := newWorld(t, func(o *Options) { whole(o); o.TicketPolicy.Order = "updated_at" })
	got := w.get(t, "/v1/lookup?ani="+url.QueryEscape(annsNumber), "whole").json(t)
	if diff := cmp.Diff([]any{"501", "503", "502"}, []any{got["ticket_id"], got["ticket2_id"], got["ticket3_id"]}); diff != "" {
		t.Error(diff)
	}
}

// A shared number that is answered as its latest ticket's requester is a guess:
// the count says so, and no name is spoken.
func TestTheLatestTicketOfASharedNumber(t *testing.T) {
	w := newWorld(t, func(o *Options) { whole(o); o.TicketPolicy.LatestOfShared = true })
	got := w.get(t, "/v1/lookup?ani="+url.QueryEscape(sharedNumber), "whole").json(t)
	want := with(map[string]any{"outcome": "found", "reason": "latest_ticket", "match": "ambiguous", "user_id": "21", "ticket_id": "601"},
		map[string]any{"found": 1, "match_count": 2})
	for key, value := range want {
		if got[key] != value {
			t.Errorf("%s is %v, want %v", key, got[key], value)
		}
	}
	text, _ := got["spoken_text"].(string)
	if strings.Contains(text, "Carla") || !strings.Contains(text, "6 0 1") {
		t.Errorf("the caller hears %q", text)
	}
}

// What may be out of date is no proof that nothing is open.
func TestAStaleAnswerDoesNotSayThatNothingIsOpen(t *testing.T) {
	w := newWorld(t, whole)
	fresh := w.get(t, "/v1/lookup?ani="+url.QueryEscape(quietNumber), "whole").json(t)["spoken_text"]
	w.resolver.stale.Store(true)
	stale := w.get(t, "/v1/lookup?ani="+url.QueryEscape(quietNumber), "whole").json(t)["spoken_text"]
	want := spokenOf(t, "en", speech.Call{FirstName: "Bo", TicketsUnknown: true})["spoken_text"]
	if stale != want || stale == fresh {
		t.Errorf("the caller hears %q, and %q of a fresh answer", stale, fresh)
	}
}

func TestWhatIsLeftOutIsNotThere(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		whole(o)
		o.Clients = append(o.Clients, newClient("clerk", "lookup", "directory"))
		o.TicketPolicy.Exclude = caller.TicketFilter{Tags: []string{"fire"}} // 503
	})
	ani := "ani=" + url.QueryEscape(annsNumber)
	got := w.get(t, "/v1/lookup?"+ani, "whole")
	if m := got.json(t); m["ticket_id"] != "502" || m["unresolved_count"] != json.Number("3") || strings.Contains(string(got.body), "503") {
		t.Errorf("%s", got.body)
	}
	for _, path := range []string{"/v1/lookup?ticket_id=503&" + ani, "/v1/users?" + ani, "/v1/users/9007199254740993/tickets"} {
		got := w.get(t, path, "clerk")
		if body := string(got.body); got.status != http.StatusOK || strings.Contains(body, "503") || strings.Contains(body, "fire") || !strings.Contains(body, `"unresolved_count":3`) {
			t.Errorf("%s: %d %s", path, got.status, body)
		}
	}
}

func TestRulesDecide(t *testing.T) {
	few, long := 2, 5*time.Minute
	router, err := routing.New([]routing.Rule{
		{Name: "busy", When: routing.Condition{AgentsAvailableMax: new(int)}, Then: routing.Result{Action: "callback"}},
		{Name: "slow", When: routing.Condition{EWTMin: &long}, Then: routing.Result{Action: "menu", QueuePriority: 2}},
		{Name: "spanish line", When: routing.Condition{DNIS: []string{"+18005550100"}, Language: []string{"es"}}, Then: routing.Result{
			Action: "queue", QueueID: "0b3c2f9a-7a53-4b0e-9a55-3f8a50a2c001", QueueName: "Soporte", BusyAction: "voicemail",
			BusyQueueID: "0b3c2f9a-7a53-4b0e-9a55-3f8a50a2c002",
		}},
		{Name: "skilled", When: routing.Condition{AgentsAvailableMin: &few}, Then: routing.Result{Action: "queue", SkillValue: "tier2"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(o *Options) { whole(o); o.Router = router })
	tests := []struct {
		name, more string
		want       map[string]any
	}{
		{"nothing more is known", "", with(map[string]any{"route_rule": "default", "action": "menu", "queue_id": "none", "skill_value": "none"}, map[string]any{"has_queue": 0, "has_skill": 0, "queue_priority": 1})},
		{"what is not readable is not known", "&agents_available=-1&ewt_ms=null&dnis=", map[string]any{"route_rule": "default"}},
		{"nobody is free", "&agents_available=0", map[string]any{"route_rule": "busy", "action": "callback"}},
		{"a long wait", "&agents_available=1&ewt_ms=300000.0", with(map[string]any{"route_rule": "slow"}, map[string]any{"queue_priority": 2})},
		{"the number called", "&dnis=%2B18005550100", with(map[string]any{
			"route_rule": "spanish line", "queue_id": "0b3c2f9a-7a53-4b0e-9a55-3f8a50a2c001", "queue_name": "Soporte",
			"busy_action": "voicemail", "busy_queue_id": "0b3c2f9a-7a53-4b0e-9a55-3f8a50a2c002",
		}, map[string]any{"has_queue": 1})},
		{"the language asked for", "&dnis=%2B18005550100&lang=it", map[string]any{"route_rule": "default"}},
		{"a skill", "&agents_available=2&lang=it", with(map[string]any{"route_rule": "skilled", "skill_value": "tier2"}, map[string]any{"has_skill": 1})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := w.get(t, "/v1/lookup?ani="+url.QueryEscape(annsNumber)+tt.more, "whole").json(t)
			for key, value := range tt.want {
				if got[key] != value {
					t.Errorf("%s is %v, want %v", key, got[key], value)
				}
			}
		})
	}
}

func TestASharedNumberTellsNothingOfAnyone(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.DemoAll = true })
	private := []string{"Carla", "Secret", "carla", "hush", "99", "Confidential", "601", "Dario", "Private", "Classified", "602", "Iris", "iris", "users/21", "users/22", "it-IT", `"21"`, `"22"`}
	shared := url.QueryEscape(sharedNumber)
	for _, path := range []string{"/v1/lookup?ani=" + shared, "/v1/lookup?ticket_id=1&ani=" + shared, "/v1/lookup?fresh=1&ani=" + shared} {
		body := strings.ReplaceAll(string(w.get(t, path, "").body), sharedNumber, "")
		for _, text := range private {
			if strings.Contains(body, text) {
				t.Errorf("%s tells %q: %s", path, text, body)
			}
		}
	}
	if log := w.logged(); strings.Contains(log, "601") {
		t.Errorf("the log tells: %s", log)
	}
}

// contractOrder is the contract's list, of which fieldNames must be a copy.
func TestTheKeysAreThoseOfTheContractInItsOrder(t *testing.T) {
	w := newWorld(t, whole)
	var got []string
	decoder := json.NewDecoder(strings.NewReader(string(w.get(t, "/v1/lookup?ani="+url.QueryEscape(annsNumber), "whole").body)))
	if _, err := decoder.Token(); err != nil {
		t.Fatal(err)
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			t.Fatal(err)
		}
		name, _ := key.(string)
		got = append(got, name)
		if _, err := decoder.Token(); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(fieldNames[:], got); diff != "" {
		t.Errorf("the answer's keys (-table +answer):\n%s", diff)
	}
	contract, err := os.ReadFile(filepath.Join("..", "..", "shared", "contract.md"))
	if err != nil {
		t.Skip("the contract is not beside this checkout: the order was compared with the table only")
	}
	_, list, _ := strings.Cut(string(contract), "    found, outcome")
	list, _, _ = strings.Cut("found, outcome"+list, "\n\n")
	list = regexp.MustCompile(`\([^)]*\)`).ReplaceAllString(list, "")
	want := strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(", \n", r) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the answer's keys (-contract +answer):\n%s", diff)
	}
}

func TestTextsFromZendeskAreMadeFit(t *testing.T) {
	w := newWorld(t, whole)
	got := w.get(t, "/v1/lookup?ani="+url.QueryEscape(oddNumber), "whole").json(t)
	text := func(key string) string { s, _ := got[key].(string); return s }
	name := `A"\  B` + "\uFFFD" + strings.Repeat("é", 249)
	if diff := cmp.Diff(name, text("user_name")); diff != "" || utf8.RuneCountInString(name) != 256 {
		t.Errorf("user_name (-want +got):\n%s", diff)
	}
	for key, want := range map[string]string{
		"user_email":     "none",                   // cut short it would be another one
		"user_locale":    "none",                   // nothing is left of it
		"user_tags":      strings.Repeat("a", 200), // half a tag may be another tag
		"ticket_subject": strings.Repeat("𝔘", 256), // a character is a code point
	} {
		if diff := cmp.Diff(want, text(key)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", key, diff)
		}
	}
}

func TestFields(t *testing.T) {
	onRequest := []string{"user_email", "user_tags", "organization_id", "ticket_subject", "ticket_tags"}
	tests := []struct {
		name   string
		fields []string
		reads  func(field string) bool
	}{
		{"none named", nil, func(f string) bool { return !slices.Contains(onRequest, f) }},
		{"an empty list", []string{}, func(f string) bool { return !slices.Contains(onRequest, f) }},
		{"all", []string{"*"}, func(string) bool { return true }},
		{"two of them", []string{"found", "user_email"}, func(f string) bool { return f == "found" || f == "user_email" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(o *Options) {
				whole(o)
				some := newClient("some", "lookup")
				some.Fields = tt.fields
				o.Clients = append(o.Clients, some)
			})
			path := "/v1/lookup?ani=" + url.QueryEscape(annsNumber)
			want, got := w.get(t, path, "whole").json(t), w.get(t, path, "some").json(t)
			for name, v := range want {
				if tt.reads(name) {
					continue
				}
				want[name] = "none"
				if _, number := v.(json.Number); number {
					want[name] = json.Number("0")
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatTheResolverIsAsked(t *testing.T) {
	w := newWorld(t, withClients)
	w.get(t, "/v1/lookup?ani=%2B15135550101", "lookup")
	if q := w.resolver.last(t); q.ANI != annsNumber || q.Fresh || q.WithTickets {
		t.Errorf("asked %+v", q)
	}
	w.get(t, "/v1/lookup?ani=%2B15135550101&fresh=1&ticket_id=7", "lookup")
	q := w.resolver.last(t)
	if !q.Fresh || !q.WithTickets {
		t.Errorf("asked %+v", q)
	}
	// The client's budget is two a minute, and a token comes every 30 s.
	for i, want := range []bool{true, true, false} {
		if got := q.AllowLive(); got != want {
			t.Errorf("question %d of a budget of two: %v", i+1, got)
		}
	}
	if other := w.resolver.last(t); other.AllowLive() {
		t.Error("another query has a budget of its own")
	}
	w.tick(30e9)
	if !q.AllowLive() || q.AllowLive() {
		t.Error("the live budget does not come back")
	}
	w.get(t, "/v1/lookup?ani=1", "all")
	if !w.resolver.last(t).AllowLive() {
		t.Error("two clients share a live budget")
	}
}

func TestAClientWithoutLiveBudgetIsNeverAllowed(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		c := newClient("frugal", "lookup")
		c.LivePerMinute = 0
		o.Clients = []Client{c}
	})
	w.get(t, "/v1/lookup?ani=1", "frugal")
	w.tick(3600e9)
	if w.resolver.last(t).AllowLive() {
		t.Error("it may ask Zendesk")
	}
}

func TestALookupEndsByItsDeadline(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Deadline = 1 })
	got := w.get(t, "/v1/lookup?ani="+url.QueryEscape(slowNumber), "").json(t)
	if got["outcome"] != "unavailable" || got["reason"] != "deadline" {
		t.Errorf("outcome %v, reason %v", got["outcome"], got["reason"])
	}
}

func TestTagsAreCutBetweenTags(t *testing.T) {
	of := func(sizes ...int) (tags []string) {
		for i, n := range sizes {
			tags = append(tags, strings.Repeat(string(rune('a'+i)), n))
		}
		return tags
	}
	tests := []struct {
		name string
		tags []string
		want string
	}{
		{"none", nil, "none"},
		{"one that is as long as a text may be", of(256), strings.Repeat("a", 256)},
		{"one that is longer", of(257), "none"},
		{"two that fill a text with their comma", of(200, 55), strings.Repeat("a", 200) + "," + strings.Repeat("b", 55)},
		{"two that are one character too many", of(200, 56), strings.Repeat("a", 200)},
		{"what fits after that is not moved up", of(200, 56, 1), strings.Repeat("a", 200)},
		{"of which nothing is left", []string{"\x00", " "}, "none"},
		{"an empty one between", []string{"x", "\x00", "y"}, "x,y"},
		{"with what JSON escapes", []string{`a"b`, `c\`}, `a"b,c\`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := encoder{out: []byte("{"), readable: allFields()}
			e.tags(fUserTags, tt.tags)
			e.out[len(e.out)-1] = '}'
			var got map[string]string
			if err := json.Unmarshal(e.out, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string]string{"user_tags": tt.want}, got); diff != "" {
				t.Errorf("tags (-want +got):\n%s", diff)
			}
		})
	}
}
