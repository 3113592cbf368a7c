package main

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"aniproxy/internal/config"
)

// A morning on which more strangers call than the client may have Zendesk asked
// of: everyone is answered, on either face, and Zendesk is asked no more often.
// Whoever is known is known all the same; and the command says what happened.
func TestABusyMorningOfStrangers(t *testing.T) {
	const budget, strangers = 5, 150
	r := setUp(t, rigOptions{config: func(cfg *config.Config) {
		cfg.Clients = []config.Client{{
			Name: "webex", SecretSHA256: []config.Digest{sha256.Sum256([]byte(flowSecret))},
			Scopes: []string{"lookup", "zendesk", "stats"}, Rate: 10_000, Burst: 10_000, LivePerMinute: budget, DistinctPerMinute: strangers + 1,
		}}
	}})
	r.secret = flowSecret
	known, person := someone(t, r)
	outcomes := map[string]int{}
	for i := range strangers {
		number := fmt.Sprintf("+1212555%04d", 2000+i)
		if i%2 == 0 {
			a := r.ask(number)
			if a.Outcome == "unavailable" && !strings.Contains(a.text, `"reason":"live_budget"`) {
				t.Fatalf("stranger %d: %s", i, a.text)
			}
			outcomes[a.Outcome]++
			continue
		}
		code, text := r.get(r.public + "/api/v2/users/search.json?query=" + url.QueryEscape("type:user "+number))
		if code != http.StatusOK || !strings.Contains(text, `"count":0`) {
			t.Fatalf("stranger %d, as the template asks: %d, %s", i, code, text)
		}
	}
	if outcomes["not_found"] == 0 || outcomes["not_found"] > budget+2 || outcomes["unavailable"] < strangers/2-budget-2 {
		t.Errorf("the outcomes are %v", outcomes)
	}
	if a := r.ask(known); a.UserName != person.Name {
		t.Errorf("who is known: %s", a.text)
	}
	code, text := r.post(r.public+"/v1/lookup", `{"ani":"+12125559999"}`)
	if code != http.StatusTooManyRequests || !strings.Contains(text, "distinct_per_minute") {
		t.Errorf("one number more than the limit: %d, %s", code, text)
	}
	r.pass(time.Minute)
	exit, out, errs := r.command("stats", "--key", flowSecret)
	if first, _, _ := strings.Cut(out, "\n"); exit != exitDone ||
		first != fmt.Sprintf("ALARM  client webex asks for unknown numbers far more than is ordinary: %d of %d since the start", strangers, strangers+1) {
		t.Errorf("stats: code %d, %s\n%s", exit, errs, out)
	}
	for _, figure := range []string{"clients\n  webex\n", fmt.Sprintf("numbers              %d\n", strangers+1), "refused_distinct     1\n"} {
		if !strings.Contains(out, figure) {
			t.Errorf("stats has no %q:\n%s", figure, out)
		}
	}
	r.pass(20 * time.Minute)
	if _, out, _ = r.command("stats", "--key", flowSecret); strings.Contains(out, "ALARM") {
		t.Errorf("twenty minutes later:\n%s", out)
	}
}
