package main

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/config"
	"aniproxy/internal/zendesk/zendesktest"
)

// spellings of one number, as flows and phones send it.
func spellings(e164 string) []string {
	digits := e164[1:]
	return []string{
		e164,
		" " + digits,
		"%2B" + digits,
		e164[:3] + "-" + e164[3:6] + " " + e164[6:],
	}
}

// Every one of 3,000 people with messy phones is found by each of their
// numbers in several spellings, every shared number is ambiguous, and no
// answer carries anything of anybody else's.
func TestEveryoneIsFoundAndNobodyIsGivenAway(t *testing.T) {
	r := setUp(t, rigOptions{account: func(o *zendesktest.Options) { o.Users = 3000 }})
	byNumber := holders(t, r.sim)
	unique, shared, sharedByIdentity := 0, 0, 0
	for number, people := range byNumber {
		if len(people) > 1 {
			shared++
			sharedByIdentity += bit(onlyByIdentity(r, people, number))
		} else {
			unique++
		}
		for _, spelling := range spellings(number) {
			if len(people) > 1 {
				expectWithheld(t, r.ask(spelling), len(people))
			} else {
				expectPerson(t, r, r.ask(spelling), number, people[0])
			}
		}
	}
	if unique < 1500 || shared < 20 || sharedByIdentity < 1 {
		t.Errorf("asked for %d numbers of one person and %d of several (%d of them by an identity alone): too few to mean anything", unique, shared, sharedByIdentity)
	}
	expectSilentLog(t, r, byNumber)
	r.compare()
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func onlyByIdentity(r *rig, people []zendesktest.TruthUser, number string) bool {
	for _, u := range people {
		if key, _ := r.numbers.Key(u.Phone); key != number {
			return true
		}
	}
	return false
}

func expectPerson(t *testing.T, r *rig, a answer, number string, u zendesktest.TruthUser) {
	t.Helper()
	if a.Found != 1 || a.Match != "unique" || a.UserID != strconv.FormatInt(u.ID, 10) || a.UserName != u.Name || a.ANI != number {
		t.Errorf("user %d: found %d, %s, user %s, outcome %s (%s)", u.ID, a.Found, a.Match, a.UserID, a.Outcome, a.Reason)
		return
	}
	open := unresolved(r.sim, u.ID)
	if a.UnresolvedCount != len(open) {
		t.Errorf("user %d: %d unresolved tickets, want %d", u.ID, a.UnresolvedCount, len(open))
	}
	if len(open) == 0 {
		if a.TicketFound != 0 || a.TicketID != "none" {
			t.Errorf("user %d: ticket %s, want none", u.ID, a.TicketID)
		}
		return
	}
	if a.TicketID != strconv.FormatInt(open[0].ID, 10) || a.TicketStatus != open[0].Status {
		t.Errorf("user %d: ticket %s %s, want %d %s", u.ID, a.TicketID, a.TicketStatus, open[0].ID, open[0].Status)
	}
}

// expectWithheld: a shared number gives a count, and every other text is
// absent, the greeting neutral.
func expectWithheld(t *testing.T, a answer, people int) {
	t.Helper()
	if a.Found != 0 || a.Outcome != "ambiguous" || a.Match != "ambiguous" || a.MatchCount != people {
		t.Errorf("a number of %d people: found %d, outcome %s, count %d", people, a.Found, a.Outcome, a.MatchCount)
	}
	var all map[string]any
	if err := json.Unmarshal([]byte(a.text), &all); err != nil {
		t.Fatal(err)
	}
	for key, value := range all {
		person := strings.HasPrefix(key, "user_") || strings.HasPrefix(key, "ticket") || strings.HasPrefix(key, "assignee_") || key == "organization_id"
		if person && value != "none" && value != 0.0 {
			t.Errorf("a shared number's answer gives %s away", key)
		}
	}
}

// expectSilentLog: whatever the daemon wrote has nobody's number or name.
func expectSilentLog(t *testing.T, r *rig, byNumber map[string][]zendesktest.TruthUser) {
	t.Helper()
	log := r.log.String()
	if strings.Count(log, "\n") < 1000 {
		t.Errorf("the log has %d lines only", strings.Count(log, "\n"))
	}
	// A number in any spelling of digits alone, with or without its country.
	for _, digits := range regexp.MustCompile(`[0-9]{7,15}`).FindAllString(log, -1) {
		for _, prefix := range []string{"+", "+1"} {
			if _, somebodys := byNumber[prefix+digits]; somebodys {
				t.Error("the log has a number")
			}
		}
	}
	looked := 0
	for _, people := range byNumber {
		if looked++; looked > 200 { // as many as a search through all of it is worth
			break
		}
		if strings.Contains(log, people[0].Name) {
			t.Error("the log has a name")
		}
	}
}

func TestMirrorEqualsTheAccountAfterAThousandEdits(t *testing.T) {
	for name, touches := range map[string]bool{"where identities touch their user": true, "where they do not": false} {
		t.Run(name, func(t *testing.T) {
			r := setUp(t, rigOptions{account: func(o *zendesktest.Options) { o.IdentityTouchesUser = touches }})
			r.compare()
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			rng := rand.New(rand.NewPCG(seed, 0))
			for i := range 1000 {
				r.sim.RandomEdit(rng)
				if i%100 == 99 {
					r.resync("incremental")
				}
			}
			r.pass(2 * time.Second) // the current second is never exported
			if touches {
				r.resync("incremental")
			} else {
				r.resync("full") // reads everyone's identities again
			}
			r.compare()
			for number, people := range holders(t, r.sim) {
				if a := r.ask(number); len(people) > 1 {
					expectWithheld(t, a, len(people))
				} else {
					expectPerson(t, r, a, number, people[0])
				}
			}
		})
	}
}

func TestZendeskGoesDownAndComesBack(t *testing.T) {
	r := setUp(t, rigOptions{config: func(c *config.Config) { c.Live.MaxStale = 5 * time.Minute }})
	known, person := someone(t, r)
	if a := r.ask(known); a.Found != 1 || a.Source != "disk" || a.Stale != 0 {
		t.Fatalf("before: found %d from %s, stale %d", a.Found, a.Source, a.Stale)
	}
	r.sim.Down(true)
	expectPerson(t, r, r.ask(known), known, person)
	if code, text := r.get(r.public + "/readyz"); code != http.StatusOK {
		t.Errorf("/readyz answers %d while Zendesk is down: %s", code, text)
	}
	const unknown = "+15135550199"
	if a := r.ask(unknown); a.Outcome != "unavailable" || a.Reason != string(caller.FaultDown) {
		t.Errorf("unknown number: %s (%s), want unavailable", a.Outcome, a.Reason)
	}
	r.pass(6 * time.Minute)
	a := r.ask(known)
	expectPerson(t, r, a, known, person)
	if a.Stale != 1 || a.AgeSeconds < 360 {
		t.Errorf("six minutes on: stale %d at an age of %d s, want 1 at 360 or more", a.Stale, a.AgeSeconds)
	}
	r.sim.Down(false)
	id := r.sim.CreateUser(zendesktest.UserSpec{Name: "Nora Newcomer", Phone: "(513) 555-0199"})
	ticket, err := r.sim.CreateTicket(zendesktest.TicketSpec{Requester: id, Subject: "No dial tone", Status: "open", Priority: "urgent", Type: "incident"})
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{"live", "memory"} {
		a := r.ask(unknown)
		if a.Found != 1 || a.UserName != "Nora Newcomer" || a.TicketID != strconv.FormatInt(ticket, 10) || a.Source != source {
			t.Errorf("a person created just now: found %d, ticket %s, from %s (%s); want ticket %d from %s", a.Found, a.TicketID, a.Source, a.Reason, ticket, source)
		}
	}
}

// someone is a number that one person with an unresolved ticket has.
func someone(t *testing.T, r *rig) (string, zendesktest.TruthUser) {
	t.Helper()
	for number, people := range holders(t, r.sim) {
		profile, _ := r.numbers.Key(people[0].Phone)
		if len(people) == 1 && profile == number && len(unresolved(r.sim, people[0].ID)) > 0 {
			return number, people[0]
		}
	}
	t.Fatal("nobody has a number of their own in their profile and an unresolved ticket")
	return "", zendesktest.TruthUser{}
}

func TestTenThousandLookupsOfOneUnknownNumberAreOneWalk(t *testing.T) {
	r := setUp(t, rigOptions{config: func(c *config.Config) { c.Live.Timeout = 10 * time.Second }})
	id := r.sim.CreateUser(zendesktest.UserSpec{Name: "Nora Newcomer", Phone: "+1 513 555 0199"})
	r.sim.ResetRequests()
	const lookups = 10_000
	// The search is let go once everybody waits for it.
	r.sim.Fail(zendesktest.Fault{Path: "/api/v2/search", Delay: 2 * time.Second})
	var found atomic.Int64
	var all sync.WaitGroup
	for range lookups {
		all.Go(func() {
			a := r.resolver.Lookup(t.Context(), caller.Query{ANI: "+15135550199"})
			if a.Outcome == caller.Found && a.Callers[0].User.ID == id {
				found.Add(1)
			}
		})
	}
	all.Wait()
	searches, tickets := r.sim.Count("GET /api/v2/search"), r.sim.Count("GET /api/v2/users/{id}/tickets/requested")
	// A walk ends with one reading of tickets. Its search is sent again by the
	// client where a busy machine has it take longer than an attempt may.
	if found.Load() != lookups || searches < 1 || searches > 2 || tickets != 1 {
		t.Errorf("%d of %d found by %d searches and %d readings of tickets, want all by one walk", found.Load(), lookups, searches, tickets)
	}
}

func TestStoppingUnderLoadLosesNoAnswer(t *testing.T) {
	r := setUp(t, rigOptions{})
	known, _ := someone(t, r)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				req, err := http.NewRequest(http.MethodGet, r.public+"/v1/lookup?ani="+strings.Replace(known, "+", "%2B", 1), nil)
				if err != nil {
					t.Error(err)
					return
				}
				res, err := r.http.Do(req)
				if err != nil {
					return // refused: the daemon is no longer there
				}
				var a lookupAnswer
				err = json.NewDecoder(res.Body).Decode(&a)
				if closed := res.Body.Close(); err != nil || closed != nil || res.StatusCode != http.StatusOK || a.Found != 1 {
					t.Errorf("an answer that had begun: status %d, found %d, error %v", res.StatusCode, a.Found, err)
				}
			}
		})
	}
	r.stop()
	all.Wait()
	for _, line := range []string{"stopping", "stopped"} {
		if !strings.Contains(r.log.String(), line) {
			t.Errorf("the log does not say %q", line)
		}
	}
}

func TestStatsTellWhatHappened(t *testing.T) {
	r := setUp(t, rigOptions{})
	known, _ := someone(t, r)
	r.ask(known)
	r.ask("anonymous")
	code, text := r.get(r.admin + "/v1/stats")
	if code != http.StatusOK {
		t.Fatalf("/v1/stats answers %d: %s", code, text)
	}
	var s struct {
		Cache struct {
			DiskHits int `json:"disk_hits"`
		}
		Lookups struct {
			Total     int
			ByOutcome map[string]int `json:"by_outcome"`
		}
		Mirror struct{ Users, Numbers, Tickets int }
		Sync   struct {
			LastSuccess string `json:"last_success"`
		}
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	size := r.store.Size()
	if s.Cache.DiskHits != 1 || s.Lookups.Total != 2 || s.Lookups.ByOutcome["found"] != 1 || s.Lookups.ByOutcome["anonymous"] != 1 {
		t.Errorf("counted %s", text)
	}
	if int64(s.Mirror.Users) != size.Users || int64(s.Mirror.Tickets) != size.Tickets || s.Mirror.Numbers == 0 {
		t.Errorf("mirror %s, want %+v", text, size)
	}
	if _, err := time.Parse(time.RFC3339, s.Sync.LastSuccess); err != nil {
		t.Errorf("last success: %v", err)
	}
	if code, _ := r.get(r.public + "/v1/stats"); code != http.StatusNotFound {
		t.Errorf("/v1/stats on the public listener answers %d, want 404", code)
	}
	for _, path := range []string{"/v1/lookup?ani=" + strings.Replace(known, "+", "%2B", 1), "/metrics", "/v1/admin/sync", "/openapi.yaml", "/healthz"} {
		if code, text := r.get(r.admin + path); code != http.StatusOK {
			t.Errorf("%s on the admin listener answers %d: %.200s", path, code, text)
		}
	}
}
