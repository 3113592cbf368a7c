package routing

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/caller"
)

func TestExplainNamesTheConditionThatDoesNotHold(t *testing.T) {
	noTicketYet := but(func(f *Facts) { f.Ticket, f.Unresolved = nil, 0 })
	bare := but(func(f *Facts) {
		f.User, f.Ticket = &caller.User{ID: 1}, &caller.Ticket{ID: 11, Status: "open"}
		f.Language, f.DNIS, f.AgentsAvailable, f.EWT = "", "", -1, -1
	})
	for _, tt := range []struct {
		name              string
		when              Condition
		facts             Facts
		key, wanted, have string
	}{
		{"severity", Condition{Severity: []string{"low", "none"}}, known(), "severity", "low or none", "high"},
		{"severity without a ticket", Condition{Severity: []string{"low"}}, noTicketYet, "severity", "low", "none"},
		{"priority", Condition{TicketPriority: []string{"low"}}, known(), "ticket_priority", "low", "high"},
		{"no priority yet", Condition{TicketPriority: []string{"low"}}, bare, "ticket_priority", "low", "unknown"},
		{"status", Condition{TicketStatus: []string{"new"}}, known(), "ticket_status", "new", "open"},
		{"type", Condition{TicketType: []string{"task"}}, known(), "ticket_type", "task", "incident"},
		{"tags of the ticket", Condition{TicketTagsAny: []string{"VIP"}}, known(), "ticket_tags_any", "VIP", "outage, eu"},
		{"a ticket without tags", Condition{TicketTagsAny: []string{"vip"}}, bare, "ticket_tags_any", "vip", "none"},
		{"no ticket", Condition{TicketTagsAny: []string{"vip"}}, noTicketYet, "ticket_tags_any", "vip", "no ticket"},
		{"whether there is a ticket is not known", Condition{TicketType: []string{"task"}}, nothing(caller.NotFound), "ticket_type", "task", "unknown"},
		{"tags of the user", Condition{UserTagsAny: []string{"gold"}}, known(), "user_tags_any", "gold", "vip, beta"},
		{"nobody is known", Condition{UserTagsAny: []string{"gold"}}, nothing(caller.Ambiguous), "user_tags_any", "gold", "unknown"},
		{"organization", Condition{OrganizationID: []int64{7, 8}}, known(), "organization_id", "7 or 8", "70"},
		{"no organization", Condition{OrganizationID: []int64{7}}, bare, "organization_id", "7", "none"},
		{"too few tickets", Condition{UnresolvedMin: new(4)}, known(), "unresolved_min", "at least 4", "3"},
		{"nobody's tickets", Condition{UnresolvedMin: new(0)}, nothing(caller.NotFound), "unresolved_min", "at least 0", "unknown"},
		{"too young", Condition{TicketAgeMin: new(73 * time.Hour)}, known(), "ticket_age_min", "at least 73h0m0s", "72h0m0s"},
		{"of unknown age", Condition{TicketAgeMin: new(time.Hour)}, bare, "ticket_age_min", "at least 1h0m0s", "unknown"},
		{"outcome", Condition{Outcome: []string{"anonymous"}}, known(), "outcome", "anonymous", "found"},
		{"another number was called", Condition{DNIS: []string{"+15135550199"}}, known(), "dnis", "+15135550199", "+15135550100"},
		{"which is not known", Condition{DNIS: []string{"+15135550199"}}, bare, "dnis", "+15135550199", "unknown"},
		{"language", Condition{Language: []string{"fr"}}, known(), "language", "fr", "es-MX"},
		{"too few agents", Condition{AgentsAvailableMin: new(3), AgentsAvailableMax: new(9)}, known(), "agents_available_min", "at least 3", "2"},
		{"too many", Condition{AgentsAvailableMin: new(0), AgentsAvailableMax: new(1)}, known(), "agents_available_max", "at most 1", "2"},
		{"how many is not known", Condition{AgentsAvailableMax: new(1)}, bare, "agents_available_max", "at most 1", "unknown"},
		{"too short a wait", Condition{EWTMin: new(6 * time.Minute)}, known(), "ewt_min", "at least 6m0s", "5m0s"},
		{"too long a wait", Condition{EWTMax: new(time.Minute)}, known(), "ewt_max", "at most 1m0s", "5m0s"},
		{"the first of several", Condition{Outcome: []string{"found"}, DNIS: []string{"+1"}, EWTMax: new(time.Minute)},
			but(func(f *Facts) { f.DNIS = "+1" }), "ewt_max", "at most 1m0s", "5m0s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			given := Rule{Name: "a rule", When: tt.when}
			r := &Router{rules: []rule{compile(&given)}, given: []Condition{tt.when}}
			want := []Trace{{Rule: "a rule", Reached: true, Condition: tt.key, Wanted: tt.wanted, Had: tt.have}}
			if diff := cmp.Diff(want, r.Explain(&tt.facts)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestExplainStopsAtTheRuleThatHolds(t *testing.T) {
	r := mustRoute(t, []Rule{
		{Name: "no", When: Condition{Outcome: []string{"invalid"}}},
		{Name: "yes", When: Condition{Outcome: []string{"found"}}},
		{Name: "too late"},
	})
	want := []Trace{
		{Rule: "no", Reached: true, Condition: "outcome", Wanted: "invalid", Had: "found"},
		{Rule: "yes", Reached: true, Held: true},
		{Rule: "too late"},
	}
	f := known()
	if diff := cmp.Diff(want, r.Explain(&f)); diff != "" {
		t.Error(diff)
	}
	if traces := (*Router)(nil).Explain(&f); len(traces) != 0 {
		t.Errorf("a router without rules: %+v", traces)
	}
}

// What the rules were made of may be changed afterwards.
func TestExplainKeepsTheRulesAsTheyWere(t *testing.T) {
	rules := []Rule{{Name: "a rule", When: Condition{Severity: []string{"low"}, UnresolvedMin: new(2), EWTMin: new(time.Hour), OrganizationID: []int64{5}}}}
	r := mustRoute(t, rules)
	f := known()
	before := r.Explain(&f)
	w := &rules[0].When
	w.Severity[0], *w.UnresolvedMin, *w.EWTMin, w.OrganizationID[0] = "high", 9, 0, 9
	if diff := cmp.Diff(before, r.Explain(&f)); diff != "" {
		t.Error(diff)
	}
}

// Of random rules and calls: the rule that is said to hold is the one that
// decides, and a condition that is said not to hold, by itself, does not.
func TestExplainAgreesWithDecide(t *testing.T) {
	all := facets()
	var states []Facts
	for f := range statesOfCalls {
		states = append(states, f)
	}
	sets, calls := 150, 100
	if testing.Short() {
		sets = 15
	}
	keys := map[string]int{}
	for seed := range uint64(sets) {
		r := rand.New(rand.NewPCG(seed, 6))
		rules := randomRules(r, all, 8)
		router := mustRoute(t, rules)
		for range calls {
			f := randomCall(r, states, all)
			said, reached := DefaultRule, true
			for i, trace := range router.Explain(&f) {
				missed := trace.Reached && !trace.Held
				if trace.Rule != rules[i].Name || trace.Reached != reached || trace.Held && !reached ||
					missed != (trace.Condition != "") || missed != (trace.Wanted != "") || missed != (trace.Had != "") {
					t.Fatalf("seed %d: rule %d fares as %+v\n%s", seed, i+1, trace, show(rules))
				}
				if trace.Held {
					said, reached = trace.Rule, false
				}
				if missed {
					keys[trace.Condition]++
					for _, c := range rules[i].When.single() {
						if c.key == trace.Condition && mustRoute(t, []Rule{{Name: "alone", When: c.when}}).Decide(&f).Rule == "alone" {
							t.Fatalf("seed %d: %s holds by itself in %+v\n%s", seed, c.key, f, show(rules))
						}
					}
				}
			}
			if decided := router.Decide(&f).Rule; said != decided {
				t.Fatalf("seed %d: %q is said to hold, and %q decides\n%s", seed, said, decided, show(rules))
			}
		}
	}
	if len(keys) != 16 {
		t.Errorf("conditions that did not hold: %s: not all sixteen", fmt.Sprint(keys))
	}
}
