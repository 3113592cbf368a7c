package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"aniproxy/internal/ani"
	"aniproxy/internal/config"
	"aniproxy/internal/zendesk/zendesktest"
)

// What Zendesk may be asked, all of it: each query word for word, but for
// digits, and each path with nothing but digits where an id stands.
var (
	searchForm = regexp.MustCompile(`\Atype:user role:end-user phone:\*([0-9]{4,17})\z`)
	pathForm   = regexp.MustCompile(`\A/(oauth/tokens|api/v2/(search|search/export|incremental/(users|tickets)/cursor|(users|tickets)/show_many|users/[1-9][0-9]*(/identities|/tickets/requested)?|tickets/[1-9][0-9]*(/audits)?))(\.json)?\z`)
	paramForms = map[string]*regexp.Regexp{
		"page": regexp.MustCompile(`\A[0-9]{1,2}\z`), "per_page": regexp.MustCompile(`\A[0-9]{1,4}\z`), "page[size]": regexp.MustCompile(`\A[0-9]{1,4}\z`),
		"sort_by": regexp.MustCompile(`\Acreated_at\z`), "sort_order": regexp.MustCompile(`\Aasc\z`), "sort": regexp.MustCompile(`\A-(updated|created)_at\z`),
		"filter[type]": regexp.MustCompile(`\Aticket\z`), "type[]": regexp.MustCompile(`\Aphone_number\z`), "include": regexp.MustCompile(`\Aidentities\z`),
		"ids": regexp.MustCompile(`\A[0-9]+(,[0-9]+)*\z`), "start_time": regexp.MustCompile(`\A[0-9]+\z`),
		// The account's own cursors.
		"cursor": regexp.MustCompile(`\A[A-Za-z0-9+/=_-]+\z`), "page[after]": regexp.MustCompile(`\A[A-Za-z0-9+/=_-]+\z`),
	}
)

// asksOnlyWhatItMay holds a request that came to Zendesk against that. It
// returns the digits that a search was for.
func asksOnlyWhatItMay(t *testing.T, q zendesktest.Request) string {
	t.Helper()
	values, err := url.ParseQuery(q.Query)
	if err != nil || !pathForm.MatchString(q.Path) {
		t.Errorf("Zendesk was asked for %q?%q (%v)", q.Path, q.Query, err)
	}
	digits := ""
	for name, all := range values {
		if len(all) != 1 {
			t.Errorf("Zendesk was asked with %s %d times", name, len(all))
		}
		if name != "query" {
			if form := paramForms[name]; form == nil || !form.MatchString(all[0]) {
				t.Errorf("Zendesk was asked with %s=%q at %s", name, all[0], q.Path)
			}
			continue
		}
		if found := searchForm.FindStringSubmatch(all[0]); found != nil {
			digits = found[1]
		} else if all[0] != "status<solved" || !strings.Contains(q.Path, "/search/export") {
			t.Errorf("Zendesk was asked the query %q", all[0])
		}
	}
	return digits
}

// operators are what Zendesk's search obeys, and what splits, hides or ends a
// query on the way there.
func operators() []string {
	return []string{
		"phone:1 OR role:admin", "type:user *", "-", "*", "?", "requester:me", `"`, `""`, "\n", "\r\n", "\t", "\x00", "%", "%0a", "%00", "&", "#", "/", "..", "created>2000", "created<2000-01-01",
		"status<solved", "role:admin", "role:agent", "type:ticket", "OR", "AND", "NOT role:admin", " -role:end-user", "tags:vip", "organization:1", "email:*", "name:*", "order_by:created_at", "~",
		"phone:*", "(", ")", "{", "[", "'", "\\", ";", "|", "+", "\u0661\u0662\u0663", "\uff11\uff12", "\u200b", "\u202e", "\u2028", "\ufeff", "\xff", "\u0430", "ext 5", ";ext=5", "x5", ",,5", "@evil", "sip:", "tel:",
		strings.Repeat("1", 10_000), strings.Repeat("role:admin ", 1000),
	}
}

// hostileTexts are numbers nobody in the account has, each alone and with an
// operator before, behind, around and inside it.
func hostileTexts(next func() string) []string {
	var all []string
	for _, op := range operators() {
		n := next()
		all = append(all, op, n+op, op+n, n+" "+op, op+" "+n, n[:6]+op+n[6:], `"`+n+`" `+op, "phone:"+n+" "+op, "phone:*"+n+op, op+" phone:*"+n, "type:user "+n+" "+op, "type:user role:end-user "+op+" phone:"+n)
	}
	return all
}

// TestOperatorsNeverReachZendesk writes them wherever a request has room for a
// text, with the mirror knowing none of the numbers, so that whatever can be
// asked live is.
func TestOperatorsNeverReachZendesk(t *testing.T) {
	r := setUp(t, rigOptions{config: func(cfg *config.Config) {
		cfg.Clients = []config.Client{{
			Name: "flow", SecretSHA256: []config.Digest{sha256.Sum256([]byte(flowSecret))}, Scopes: []string{"lookup", "zendesk", "directory", "comment", "stats", "admin"},
			Fields: []string{"*"}, Rate: 100_000, Burst: 100_000, LivePerMinute: 100_000, DistinctPerMinute: 1_000_000,
		}}
	}})
	r.secret = flowSecret
	random, n := rand.New(rand.NewPCG(5, 8)), 0
	var numbers []string
	next := func() string {
		n++
		numbers = append(numbers, fmt.Sprintf("+1%d%07d", []int{212, 513, 305}[random.IntN(3)], 5_000_000+n*137))
		return numbers[len(numbers)-1]
	}
	searched := map[string]bool{}
	judge := func(what string) {
		t.Helper()
		log := r.sim.Requests()
		if log.Total > uint64(len(log.Last)) {
			t.Fatalf("%s: only %d of %d requests are still known", what, len(log.Last), log.Total)
		}
		r.sim.ResetRequests()
		for _, q := range log.Last {
			if digits := asksOnlyWhatItMay(t, q); digits != "" {
				searched[digits] = true
			}
		}
	}
	judge("the filling")
	for _, text := range hostileTexts(next) {
		r.everywhere(text)
		judge("a text")
		if t.Failed() {
			t.Fatalf("it was written as %.100q", text)
		}
	}
	// What was searched for are numbers that somebody wrote, whole; and it has
	// been searched, or all of this would be of no worth.
	written := map[string]bool{}
	for _, n := range numbers {
		written[ani.National(n)] = true
	}
	hits := 0
	for digits := range searched {
		if written[digits] {
			hits++
		}
	}
	// A third: beside letters a number is none.
	if hits < len(numbers)/3 {
		t.Errorf("of %d numbers %d were searched for at Zendesk", len(numbers), hits)
	}
	t.Logf("%d texts led to %d different searches", n, len(searched))
}

// everywhere asks every route that may turn to Zendesk, with a text in each
// place that takes one. What it answers is other tests' business; that it
// answers without a fault of its own is this one's too.
func (r *rig) everywhere(text string) {
	r.t.Helper()
	body := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			r.t.Fatal(err)
		}
		return string(b)
	}
	q := url.QueryEscape(text)
	raw := strings.Map(func(c rune) rune { // as one who does not escape would write it
		if c <= ' ' || c >= 0x7f {
			return '+'
		}
		return c
	}, strings.ReplaceAll(strings.ReplaceAll(text, "#", ""), "%", "%25"))
	public := []string{
		"/v1/lookup?ani=" + q, "/v1/lookup?ani=" + raw, "/v1/lookup?ani=%2B15135550147&lang=" + q + "&ticket_id=" + q + "&dnis=" + q, "/v1/users?ani=" + q,
		"/v1/users/" + url.PathEscape(text), "/v1/users/" + url.PathEscape(text) + "/tickets",
		"/api/v2/users/search.json?query=" + q, "/api/v2/users/search?query=" + raw, "/api/v2/search.json?query=" + q, "/api/v2/search.json?query=type:user+" + q,
		"/api/v2/search.json?query=" + url.QueryEscape("type:ticket status<solved requester:"+text) + "&sort_by=" + q + "&sort_order=" + q,
		"/api/v2/users/" + url.PathEscape(text), "/api/v2/users/" + url.PathEscape(text) + "/tickets/requested.json?sort=" + q, "/api/v2/tickets/" + url.PathEscape(text),
	}
	for _, path := range public {
		if len(path) < 60_000 {
			r.sound(http.MethodGet, r.public+path, "")
		}
	}
	r.sound(http.MethodPost, r.public+"/v1/lookup", body(map[string]string{"ani": text, "lang": text, "ticket_id": text, "dnis": text}))
	r.sound(http.MethodGet, r.admin+"/v1/admin/explain?ani="+q, "")
	// What writes, and what has Zendesk read again. Marker and key are values
	// of a body, so only the paths are of interest here.
	r.sound(http.MethodPut, r.public+"/api/v2/tickets/"+url.PathEscape(text)+".json", body(map[string]any{"ticket": map[string]any{"comment": map[string]any{"body": "x"}}}))
	r.sound(http.MethodPost, r.public+"/v1/tickets/"+url.PathEscape(text)+"/comments", body(map[string]string{"body": "x", "idempotency_key": text}))
}

func (r *rig) sound(method, at, body string) {
	r.t.Helper()
	if _, err := url.ParseRequestURI(at); err != nil {
		return // no client can send it
	}
	if code, answer := r.do(method, at, body); code >= 500 {
		r.t.Errorf("%s %.120q answered %d: %.200s", method, at, code, answer)
	}
}

// A resync for one number reads everybody who has it: by the same search.
func TestAResyncForANumberSearchesDigits(t *testing.T) {
	r := setUp(t, rigOptions{config: func(cfg *config.Config) {
		cfg.Clients = []config.Client{{
			Name: "flow", SecretSHA256: []config.Digest{sha256.Sum256([]byte(flowSecret))}, Scopes: []string{"admin"}, Rate: 100_000, Burst: 100_000, LivePerMinute: 100_000, DistinctPerMinute: 1_000_000,
		}}
	}})
	r.secret = flowSecret
	r.sim.ResetRequests()
	texts := []string{"+15135550147", "+15135550147 OR role:admin", `"+15135550147"`, "5135550147*", "* 5135550147", "-5135550147", "\u0665\u0661\u0663-555-0147", "phone:5135550147", "role:admin"}
	for _, text := range texts {
		for _, who := range []string{"ani", "user_id"} {
			if _, err := strconv.ParseInt(text, 10, 64); err == nil && who == "user_id" {
				continue // a number is an id like any other there
			}
			body, err := json.Marshal(map[string]string{"mode": "user", who: text})
			if err != nil {
				t.Fatal(err)
			}
			code, said := r.post(r.admin+"/v1/admin/resync", string(body))
			if code >= 500 {
				t.Errorf("%s %q: %d, %s", who, text, code, said)
			}
			var job struct {
				ID string `json:"job_id"`
			}
			if code == http.StatusAccepted && json.Unmarshal([]byte(said), &job) == nil {
				r.awaitJob(job.ID)
			}
		}
	}
	var searches []string
	for _, q := range r.sim.Requests().Last {
		if digits := asksOnlyWhatItMay(t, q); digits != "" {
			searches = append(searches, digits)
		}
	}
	if !slices.Contains(searches, "5135550147") {
		t.Errorf("the searches were for %q", searches)
	}
}

// awaitJob waits until a job has ended, however it did.
func (r *rig) awaitJob(id string) {
	r.t.Helper()
	for {
		if job, ok := r.mirror.Job(id); !ok || job.State == "done" || job.State == "failed" || job.State == "cancelled" {
			return
		}
		<-time.After(time.Millisecond) // asks again, as a client does
	}
}
