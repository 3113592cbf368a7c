package routing

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/caller"
)

var now = time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)

func ago(d time.Duration) int64 { return now.Add(-d).Unix() }

// nothing is a call of which nothing is known.
func nothing(outcome caller.Outcome) Facts {
	return Facts{Outcome: outcome, AgentsAvailable: -1, EWT: -1, Now: now}
}

// known is a call of which everything is known.
func known() Facts {
	return Facts{
		Outcome: caller.Found,
		User:    &caller.User{ID: 1, OrganizationID: 70, Tags: []string{"vip", "beta"}},
		Ticket: &caller.Ticket{
			ID: 11, Status: "open", Priority: "high", Type: "incident",
			Tags: []string{"outage", "eu"}, CreatedAt: ago(72 * time.Hour),
		},
		Unresolved:      3,
		DNIS:            "+15135550100",
		Language:        "es-MX",
		AgentsAvailable: 2,
		EWT:             5 * time.Minute,
		Now:             now,
	}
}

// but is a call of which something is otherwise.
func but(change func(*Facts)) Facts {
	f := known()
	change(&f)
	return f
}

func mustRoute(t testing.TB, rules []Rule) *Router {
	t.Helper()
	r, err := New(rules)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return r
}

func TestConditions(t *testing.T) {
	var (
		noTicket   = but(func(f *Facts) { f.Ticket, f.Unresolved = nil, 0 })
		emptyWords = but(func(f *Facts) { f.Ticket.Priority, f.Ticket.Type, f.Ticket.CreatedAt = "", "", 0 })
		notFound   = nothing(caller.NotFound)
		ambiguous  = but(func(f *Facts) { f.Outcome = caller.Ambiguous })
		free       = func(n int) Facts { return but(func(f *Facts) { f.AgentsAvailable = n }) }
		waiting    = func(d time.Duration) Facts { return but(func(f *Facts) { f.EWT = d }) }
		speaking   = func(tag string) Facts { return but(func(f *Facts) { f.Language = tag }) }
	)
	tests := []struct {
		name  string
		when  Condition
		facts Facts
		want  bool
	}{
		{"no condition holds for a known caller", Condition{}, known(), true},
		{"no condition holds for nobody", Condition{}, notFound, true},
		{"no condition holds for an outcome without a word", Condition{}, nothing(""), true},

		{"severity is one of several", Condition{Severity: []string{"urgent", "high"}}, known(), true},
		{"severity is another", Condition{Severity: []string{"urgent"}}, known(), false},
		{"severity comes from the type where there is no priority", Condition{Severity: []string{"normal"}},
			but(func(f *Facts) { f.Ticket.Priority, f.Ticket.Type = "", "problem" }), true},
		{"severity is known to be none without a ticket", Condition{Severity: []string{"none"}}, noTicket, true},
		{"severity is known to be none without a caller", Condition{Severity: []string{"none"}}, notFound, true},
		{"severity of a shared number is none, whatever ticket is shown", Condition{Severity: []string{"none"}}, ambiguous, true},

		{"priority is as asked", Condition{TicketPriority: []string{"high"}}, known(), true},
		{"priority is another", Condition{TicketPriority: []string{"low", "normal"}}, known(), false},
		{"priority was never given", Condition{TicketPriority: []string{"urgent", "high", "normal", "low"}}, emptyWords, false},
		{"priority without a ticket", Condition{TicketPriority: []string{"urgent", "high", "normal", "low"}}, noTicket, false},

		{"status is as asked", Condition{TicketStatus: []string{"new", "open"}}, known(), true},
		{"status is another", Condition{TicketStatus: []string{"hold"}}, known(), false},
		{"status of a ticket that is none of a caller's", Condition{TicketStatus: []string{"new", "open", "pending", "hold"}},
			but(func(f *Facts) { f.Ticket.Status = "solved" }), false},
		{"status without a ticket", Condition{TicketStatus: []string{"new", "open", "pending", "hold"}}, noTicket, false},

		{"type is as asked", Condition{TicketType: []string{"incident"}}, known(), true},
		{"type is another", Condition{TicketType: []string{"question", "task"}}, known(), false},
		{"type was never given", Condition{TicketType: []string{"problem", "incident", "question", "task"}}, emptyWords, false},
		{"type without a ticket", Condition{TicketType: []string{"problem", "incident", "question", "task"}}, noTicket, false},
		{"type of a withheld ticket", Condition{TicketType: []string{"incident"}}, ambiguous, false},

		{"one of the ticket's tags is asked for", Condition{TicketTagsAny: []string{"us", "eu"}}, known(), true},
		{"a tag asked for in capitals", Condition{TicketTagsAny: []string{"EU"}}, known(), true},
		{"none of the ticket's tags is asked for", Condition{TicketTagsAny: []string{"us", "e", "eu1"}}, known(), false},
		{"a tag of the user is none of the ticket", Condition{TicketTagsAny: []string{"vip"}}, known(), false},
		{"ticket tags without a ticket", Condition{TicketTagsAny: []string{"eu"}}, noTicket, false},

		{"one of the user's tags is asked for", Condition{UserTagsAny: []string{"vip"}}, known(), true},
		{"a tag of the ticket is none of the user", Condition{UserTagsAny: []string{"eu"}}, known(), false},
		{"user tags without a ticket", Condition{UserTagsAny: []string{"vip"}}, noTicket, true},
		{"user tags without a user", Condition{UserTagsAny: []string{"vip"}}, but(func(f *Facts) { f.User = nil }), false},
		{"user tags of a withheld user", Condition{UserTagsAny: []string{"vip"}}, ambiguous, false},

		{"the organization is one of several", Condition{OrganizationID: []int64{69, 70}}, known(), true},
		{"the organization is another", Condition{OrganizationID: []int64{7, 700}}, known(), false},
		{"a user without an organization", Condition{OrganizationID: []int64{70}}, but(func(f *Facts) { f.User.OrganizationID = 0 }), false},
		{"the organization without a user", Condition{OrganizationID: []int64{70}}, notFound, false},

		{"as many unresolved as asked", Condition{UnresolvedMin: new(3)}, known(), true},
		{"fewer unresolved than asked", Condition{UnresolvedMin: new(4)}, known(), false},
		{"none unresolved is at least none", Condition{UnresolvedMin: new(0)}, noTicket, true},
		{"a ticket counts, whatever the count says", Condition{UnresolvedMin: new(1)}, but(func(f *Facts) { f.Unresolved = 0 }), true},
		{"nobody's count is unknown, not none", Condition{UnresolvedMin: new(0)}, notFound, false},
		{"a withheld person's count is unknown", Condition{UnresolvedMin: new(0)}, ambiguous, false},

		{"a ticket just old enough", Condition{TicketAgeMin: new(72 * time.Hour)}, known(), true},
		{"a ticket a second too young", Condition{TicketAgeMin: new(72*time.Hour + time.Second)}, known(), false},
		{"a ticket that our clock has not reached", Condition{TicketAgeMin: new(0 * time.Second)}, but(func(f *Facts) { f.Ticket.CreatedAt = ago(-time.Minute) }), true},
		{"a ticket of unknown age", Condition{TicketAgeMin: new(0 * time.Second)}, emptyWords, false},
		{"a ticket's age at no time", Condition{TicketAgeMin: new(0 * time.Second)}, but(func(f *Facts) { f.Now = time.Time{} }), false},
		{"age without a ticket", Condition{TicketAgeMin: new(0 * time.Second)}, noTicket, false},

		{"the outcome is one of several", Condition{Outcome: []string{"anonymous", "found"}}, known(), true},
		{"the outcome is another", Condition{Outcome: []string{"not_found"}}, known(), false},
		{"the outcome of a shared number", Condition{Outcome: []string{"ambiguous"}}, ambiguous, true},
		{"an outcome without a word", Condition{Outcome: outcomes}, nothing(""), false},

		{"the number called is one of several", Condition{DNIS: []string{"+15135550199", "+15135550100"}}, known(), true},
		{"the number called is another", Condition{DNIS: []string{"+1513555010"}}, known(), false},
		{"the number called is unknown", Condition{DNIS: []string{"+15135550100"}}, notFound, false},

		{"the base language of a full tag", Condition{Language: []string{"es"}}, known(), true},
		{"the language alone", Condition{Language: []string{"es"}}, speaking("es"), true},
		{"a language in capitals, parted by an underscore", Condition{Language: []string{"es"}}, speaking("ES_419"), true},
		{"another language", Condition{Language: []string{"en", "eu"}}, known(), false},
		{"a language that only begins alike", Condition{Language: []string{"es"}}, speaking("est-EE"), false},
		{"an unknown language", Condition{Language: []string{"es"}}, speaking(""), false},

		{"as many agents free as asked", Condition{AgentsAvailableMin: new(2)}, known(), true},
		{"fewer agents free than asked", Condition{AgentsAvailableMin: new(3)}, known(), false},
		{"no more agents free than asked", Condition{AgentsAvailableMax: new(2)}, known(), true},
		{"more agents free than asked", Condition{AgentsAvailableMax: new(1)}, known(), false},
		{"nobody free", Condition{AgentsAvailableMax: new(0)}, free(0), true},
		{"unknown agents are not none", Condition{AgentsAvailableMax: new(0)}, free(-1), false},
		{"unknown agents are not at least none", Condition{AgentsAvailableMin: new(0)}, free(-1), false},
		{"agents within both limits", Condition{AgentsAvailableMin: new(1), AgentsAvailableMax: new(3)}, known(), true},
		{"agents above both limits", Condition{AgentsAvailableMin: new(1), AgentsAvailableMax: new(3)}, free(4), false},

		{"a wait as long as asked", Condition{EWTMin: new(5 * time.Minute)}, known(), true},
		{"a wait shorter than asked", Condition{EWTMin: new(5*time.Minute + 1)}, known(), false},
		{"a wait no longer than asked", Condition{EWTMax: new(5 * time.Minute)}, known(), true},
		{"a wait longer than asked", Condition{EWTMax: new(5*time.Minute - 1)}, known(), false},
		{"no wait", Condition{EWTMax: new(0 * time.Second)}, waiting(0), true},
		{"an unknown wait is not none", Condition{EWTMax: new(time.Hour)}, waiting(-time.Millisecond), false},
		{"an unknown wait is not at least none", Condition{EWTMin: new(0 * time.Second)}, waiting(-1), false},

		{"every condition holds", every(), known(), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := mustRoute(t, []Rule{{Name: "asked", When: tt.when}})
			if got := r.Decide(&tt.facts).Rule == "asked"; got != tt.want {
				t.Errorf("the rule holds: %t, want %t", got, tt.want)
			}
		})
	}
}

// every has all conditions, and holds for a known call.
func every() Condition {
	return Condition{
		Severity: []string{"high"}, TicketPriority: []string{"high"}, TicketStatus: []string{"open"}, TicketType: []string{"incident"},
		TicketTagsAny: []string{"eu"}, UserTagsAny: []string{"vip"}, OrganizationID: []int64{70},
		UnresolvedMin: new(3), TicketAgeMin: new(72 * time.Hour), Outcome: []string{"found"},
		DNIS: []string{"+15135550100"}, Language: []string{"es"},
		AgentsAvailableMin: new(2), AgentsAvailableMax: new(2), EWTMin: new(5 * time.Minute), EWTMax: new(5 * time.Minute),
	}
}

func TestOneConditionThatDoesNotHoldIsEnough(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Facts)
	}{
		{"priority", func(f *Facts) { f.Ticket.Priority = "" }}, // the incident's severity stays
		{"severity", func(f *Facts) { f.Ticket.Priority = "low" }},
		{"status", func(f *Facts) { f.Ticket.Status = "new" }},
		{"type", func(f *Facts) { f.Ticket.Type = "problem" }},
		{"ticket tags", func(f *Facts) { f.Ticket.Tags = nil }},
		{"age", func(f *Facts) { f.Ticket.CreatedAt++ }},
		{"user tags", func(f *Facts) { f.User.Tags = nil }},
		{"organization", func(f *Facts) { f.User.OrganizationID = 0 }},
		{"unresolved", func(f *Facts) { f.Unresolved = 2 }},
		{"outcome", func(f *Facts) { f.Outcome = caller.Unavailable }},
		{"number called", func(f *Facts) { f.DNIS = "" }},
		{"language", func(f *Facts) { f.Language = "en-US" }},
		{"too few agents", func(f *Facts) { f.AgentsAvailable = 1 }},
		{"too many agents", func(f *Facts) { f.AgentsAvailable = 3 }},
		{"too short a wait", func(f *Facts) { f.EWT-- }},
		{"too long a wait", func(f *Facts) { f.EWT++ }},
	}
	r := mustRoute(t, []Rule{{Name: "every", When: every()}})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := but(tt.change)
			if got := r.Decide(&f).Rule; got != DefaultRule {
				t.Errorf("rule %q decided", got)
			}
		})
	}
}

const (
	queueA = "123e4567-e89b-12d3-a456-426614174000"
	queueB = "123e4567-e89b-12d3-a456-426614174001"
)

// contractRule is the rule that docs and contract show.
func contractRule() Rule {
	return Rule{
		Name: "urgent incident",
		When: Condition{Severity: []string{"urgent", "high"}, TicketType: []string{"incident"}},
		Then: Result{
			QueuePriority: 1, QueueID: queueA, QueueName: "Tier 2", SkillValue: "tier2",
			Action: "queue", BusyAction: "callback", BusyQueueID: queueB,
		},
	}
}

func TestARuleGivesAllOfItsAnswer(t *testing.T) {
	f := known()
	want := Decision{
		Severity: High, QueuePriority: 1, QueueID: queueA, QueueName: "Tier 2", SkillValue: "tier2",
		Action: "queue", BusyAction: "callback", BusyQueueID: queueB, Rule: "urgent incident",
	}
	if diff := cmp.Diff(want, mustRoute(t, []Rule{contractRule()}).Decide(&f)); diff != "" {
		t.Errorf("Decide (-want +got):\n%s", diff)
	}
}

func TestWhatARuleLeavesOpenIsAsWithoutOne(t *testing.T) {
	r := mustRoute(t, []Rule{{Name: "silent", Then: Result{BusyAction: "callback"}}})
	for _, f := range []Facts{known(), nothing(caller.NotFound)} {
		want := Default(f.Ticket)
		want.Rule, want.BusyAction = "silent", "callback"
		if diff := cmp.Diff(want, r.Decide(&f)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", f.Outcome, diff)
		}
	}
}

func TestWithoutARuleTheDefaultDecides(t *testing.T) {
	noRules, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	others := mustRoute(t, []Rule{{Name: "others", When: Condition{Outcome: []string{"invalid"}}}})
	for name, r := range map[string]*Router{"no router": nil, "no rules": noRules, "no rule that holds": others} {
		t.Run(name, func(t *testing.T) {
			f := known()
			if diff := cmp.Diff(Default(f.Ticket), r.Decide(&f)); diff != "" {
				t.Errorf("a known call (-want +got):\n%s", diff)
			}
			f.Outcome = caller.Ambiguous
			if diff := cmp.Diff(Default(nil), r.Decide(&f)); diff != "" {
				t.Errorf("a withheld ticket (-want +got):\n%s", diff)
			}
		})
	}
}

// sampleRules are those of a small contact centre.
func sampleRules() []Rule {
	return []Rule{
		contractRule(),
		{Name: "shared number", When: Condition{Outcome: []string{"ambiguous"}}, Then: Result{Action: "ask_ticket_number"}},
		{Name: "nobody", When: Condition{Outcome: []string{"anonymous", "short_code", "invalid"}}, Then: Result{QueuePriority: 8, Action: "identify"}},
		{Name: "has a ticket", When: Condition{TicketStatus: []string{"new", "open", "pending", "hold"}}, Then: Result{Action: "menu"}},
		{Name: "known, nothing open", When: Condition{Outcome: []string{"found"}}, Then: Result{Action: "new_ticket"}},
	}
}

func TestFiveCallsFiveActions(t *testing.T) {
	tests := []struct {
		name  string
		facts Facts
		want  Decision
	}{
		{"an urgent incident", but(func(f *Facts) { f.Ticket.Priority = "urgent" }), Decision{
			Severity: Urgent, QueuePriority: 1, QueueID: queueA, QueueName: "Tier 2", SkillValue: "tier2",
			Action: "queue", BusyAction: "callback", BusyQueueID: queueB, Rule: "urgent incident",
		}},
		{"a normal question", but(func(f *Facts) { f.Ticket.Priority, f.Ticket.Type = "normal", "question" }),
			Decision{Severity: Normal, QueuePriority: 5, Action: "menu", Rule: "has a ticket"}},
		{"no ticket", but(func(f *Facts) { f.Ticket, f.Unresolved = nil, 0 }),
			Decision{Severity: None, QueuePriority: 5, Action: "new_ticket", Rule: "known, nothing open"}},
		{"a shared number", nothing(caller.Ambiguous),
			Decision{Severity: None, QueuePriority: 5, Action: "ask_ticket_number", Rule: "shared number"}},
		{"an anonymous caller", nothing(caller.Anonymous),
			Decision{Severity: None, QueuePriority: 8, Action: "identify", Rule: "nobody"}},
	}
	r := mustRoute(t, sampleRules())
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, r.Decide(&tt.facts)); diff != "" {
				t.Errorf("Decide (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheFirstRuleThatHoldsDecides(t *testing.T) {
	first := Rule{Name: "first", When: Condition{UserTagsAny: []string{"vip"}}}
	second := Rule{Name: "second", When: Condition{Outcome: []string{"found"}}}
	f := known()
	if got := mustRoute(t, []Rule{first, second}).Decide(&f).Rule; got != "first" {
		t.Errorf("%q decided before the first", got)
	}
	if got := mustRoute(t, []Rule{second, first}).Decide(&f).Rule; got != "second" {
		t.Errorf("%q decided, turned round", got)
	}
}

func TestNewRefusesWhatIsWrong(t *testing.T) {
	r, err := New([]Rule{
		{Name: "a", When: Condition{Severity: []string{"urgnet"}}},
		{Name: "a", Then: Result{QueueID: "sales"}},
	})
	if r != nil || err == nil {
		t.Fatalf("New: %v, %v", r, err)
	}
	var f *Fault
	if !errors.As(err, &f) || f.Rule != 0 || f.Key != "when.severity" {
		t.Errorf("the first fault is %+v", f)
	}
	want := `routing.rules[1].when.severity: "urgnet" must be one of urgent, high, normal, low, none; did you mean "urgent"?
routing.rules[2].name: must differ from that of rule 1: route_rule could not tell the two apart
routing.rules[2].then.queue_id: must be a queue id, a UUID such as "123e4567-e89b-12d3-a456-426614174000"`
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

func TestTheRouterKeepsNothingOfWhatItWasMadeFrom(t *testing.T) {
	rules := []Rule{{Name: "vip", When: Condition{UserTagsAny: []string{"vip"}, DNIS: []string{"+15135550100"}, AgentsAvailableMin: new(1)}}}
	r := mustRoute(t, rules)
	w := &rules[0].When
	w.UserTagsAny[0], w.DNIS[0], *w.AgentsAvailableMin = "other", "+15135550111", 99
	if f := known(); r.Decide(&f).Rule != "vip" {
		t.Error("a change of the rules changed the router")
	}
}
