package routing

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"aniproxy/internal/caller"
)

// A small world: few values for each fact, so that random rules meet, and so
// that every call there is can be tried.
var (
	worldTags      = []string{"a", "b", "c"}
	worldNumbers   = []string{"+15135550100", "+15135550101"}
	worldLanguages = []string{"es", "fr"}
	worldOrgs      = []int64{1, 2}
)

// some picks some of the words, at least one.
func some[T any](r *rand.Rand, words []T) []T {
	picked := []T{words[r.IntN(len(words))]}
	for _, w := range words {
		if r.IntN(3) == 0 {
			picked = append(picked, w)
		}
	}
	return picked
}

// facet is one kind of condition with the facts that it is about.
type facet struct {
	ask func(r *rand.Rand, w *Condition)
	// values are how many different ones of its facts there are, set sets one.
	values int
	set    func(f *Facts, value int)
}

// facets are all kinds of conditions but those that only ask for a state.
func facets() []facet {
	return []facet{
		{func(r *rand.Rand, w *Condition) { w.TicketTagsAny = some(r, worldTags) }, 8, func(f *Facts, v int) {
			if f.Ticket != nil {
				f.Ticket.Tags = subset(v)
			}
		}},
		{func(r *rand.Rand, w *Condition) { w.UserTagsAny = some(r, worldTags) }, 8, func(f *Facts, v int) {
			if f.User != nil {
				f.User.Tags = subset(v)
			}
		}},
		{func(r *rand.Rand, w *Condition) { w.OrganizationID = some(r, worldOrgs) }, 3, func(f *Facts, v int) {
			if f.User != nil {
				f.User.OrganizationID = int64(v)
			}
		}},
		{func(r *rand.Rand, w *Condition) { w.DNIS = some(r, worldNumbers) }, 3, func(f *Facts, v int) {
			f.DNIS = append([]string{""}, worldNumbers...)[v]
		}},
		{func(r *rand.Rand, w *Condition) { w.Language = some(r, worldLanguages) }, 3, func(f *Facts, v int) {
			f.Language = []string{"", "es-MX", "fr"}[v]
		}},
		{func(r *rand.Rand, w *Condition) { w.UnresolvedMin = new(r.IntN(4)) }, 4, func(f *Facts, v int) { f.Unresolved = v }},
		{func(r *rand.Rand, w *Condition) { w.TicketAgeMin = new(time.Duration(r.IntN(3)) * time.Hour) }, 4, func(f *Facts, v int) {
			if f.Ticket != nil && v > 0 {
				f.Ticket.CreatedAt = ago(time.Duration(v-1) * time.Hour)
			}
		}},
		{func(r *rand.Rand, w *Condition) {
			w.AgentsAvailableMin, w.AgentsAvailableMax = limits(r, 1)
		}, 6, func(f *Facts, v int) { f.AgentsAvailable = v - 1 }},
		{func(r *rand.Rand, w *Condition) {
			w.EWTMin, w.EWTMax = limits(r, time.Nanosecond)
		}, 6, func(f *Facts, v int) { f.EWT = time.Duration(v - 1) }},
	}
}

// limits are a lower and an upper one from 0 to 3, either or both, and now and
// then the wrong way round.
func limits[T int | time.Duration](r *rand.Rand, unit T) (lo, hi *T) {
	which := 1 + r.IntN(3)
	if which&1 != 0 {
		lo = new(T(r.IntN(4)) * unit)
	}
	if which&2 != 0 {
		hi = new(T(r.IntN(4)) * unit)
	}
	return lo, hi
}

func subset(bits int) []string {
	var tags []string
	for i, tag := range worldTags {
		if bits>>i&1 != 0 {
			tags = append(tags, tag)
		}
	}
	return tags
}

// randomRules makes rules of a few conditions each, of the facets given and
// about the states.
func randomRules(r *rand.Rand, of []facet, most int) []Rule {
	rules := make([]Rule, 1+r.IntN(most))
	for i := range rules {
		rules[i].Name = fmt.Sprintf("rule %d", i+1)
		w := &rules[i].When
		for _, facet := range of {
			if r.IntN(3) == 0 {
				facet.ask(r, w)
			}
		}
		for _, words := range []struct {
			to   *[]string
			from []string
		}{
			{&w.Severity, severities}, {&w.TicketPriority, priorities}, {&w.TicketStatus, statuses},
			{&w.TicketType, types}, {&w.Outcome, outcomes},
		} {
			if r.IntN(5) == 0 {
				*words.to = some(r, words.from)
			}
		}
	}
	return rules
}

// statesOfCalls yields a call for each state that a lookup can answer with, of
// which nothing else is known yet.
func statesOfCalls(yield func(Facts) bool) {
	for _, outcome := range outcomes {
		f := nothing(caller.Outcome(outcome))
		if f.Outcome == caller.Found {
			f.User = &caller.User{ID: 1}
		}
		if !yield(f) {
			return
		}
	}
	for _, priority := range append([]string{""}, priorities...) {
		for _, kind := range append([]string{""}, types...) {
			for _, status := range statuses {
				f := nothing(caller.Found)
				f.User = &caller.User{ID: 1}
				f.Ticket = &caller.Ticket{ID: 11, Priority: priority, Type: kind, Status: status}
				if !yield(f) {
					return
				}
			}
		}
	}
}

// deadOf are the rules that Check says can never answer.
func deadOf(rules []Rule) map[int]bool {
	dead := map[int]bool{}
	for _, f := range Check(rules) {
		if f.Kind == Dead {
			dead[f.Rule] = true
		}
	}
	return dead
}

// TestARuleIsDeadWhereNoCallOfASmallWorldReachesIt tries every call there is:
// what Check calls dead must answer none, and what answers none must be dead.
func TestARuleIsDeadWhereNoCallOfASmallWorldReachesIt(t *testing.T) {
	all := facets()
	worlds := 400
	if testing.Short() {
		worlds = 40
	}
	found := 0
	for seed := range uint64(worlds) {
		r := rand.New(rand.NewPCG(seed, 1))
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		of := all[:2]
		rules := randomRules(r, of, 8)
		router := mustRoute(t, rules)
		answers := map[string]bool{}
		for f := range statesOfCalls {
			for a := range of[0].values {
				for b := range of[1].values {
					of[0].set(&f, a)
					of[1].set(&f, b)
					answers[router.Decide(&f).Rule] = true
				}
			}
		}
		dead := deadOf(rules)
		found += len(dead)
		for i := range rules {
			if dead[i] == answers[rules[i].Name] {
				t.Fatalf("seed %d: rule %d is called dead: %t, and answers: %t\n%s", seed, i+1, dead[i], answers[rules[i].Name], show(rules))
			}
		}
	}
	if found < worlds/4 {
		t.Errorf("only %d dead rules in %d worlds: they prove little", found, worlds)
	}
}

// randomCall knows something of every facet.
func randomCall(r *rand.Rand, states []Facts, of []facet) Facts {
	f := states[r.IntN(len(states))]
	if f.User != nil {
		f.User = new(*f.User)
	}
	if f.Ticket != nil {
		f.Ticket = new(*f.Ticket)
	}
	for _, facet := range of {
		facet.set(&f, r.IntN(facet.values))
	}
	return f
}

// TestNoCallIsAnsweredByADeadRule has rules of all kinds of conditions, whose
// world is too large to try, and a large sample of calls.
func TestNoCallIsAnsweredByADeadRule(t *testing.T) {
	all := facets()
	var states []Facts
	for f := range statesOfCalls {
		states = append(states, f)
	}
	sets, calls := 200, 3000
	if testing.Short() {
		sets = 20
	}
	found := 0
	for seed := range uint64(sets) {
		r := rand.New(rand.NewPCG(seed, 2))
		rules := randomRules(r, all[:1+r.IntN(len(all))], 30)
		router, dead := mustRoute(t, rules), deadOf(rules)
		found += len(dead)
		place := map[string]int{DefaultRule: -1}
		for i := range rules {
			place[rules[i].Name] = i
		}
		for range calls {
			f := randomCall(r, states, all)
			if i := place[router.Decide(&f).Rule]; dead[i] {
				t.Fatalf("seed %d: rule %d is called dead and answers %+v\n%s", seed, i+1, f, show(rules))
			}
		}
	}
	if found < sets/4 {
		t.Errorf("only %d dead rules in %d sets: they prove little", found, sets)
	}
}

func show(rules []Rule) string {
	text := ""
	for i, r := range rules {
		c := compile(&rules[i])
		text += fmt.Sprintf("%d %+v agents %v wait %v unresolved %d age %v\n", i+1, r.When, c.agents, c.wait, c.unresolved, c.age)
	}
	return text
}

// FuzzRules has rules and a call made of arbitrary bytes, words that nobody
// knows among them: nothing panics, Check and New agree on what is wrong, and
// no rule that answers is called dead.
func FuzzRules(f *testing.F) {
	f.Add(uint64(1), "urgent", "vip", int64(3), -1)
	f.Add(uint64(2), "none", "", int64(0), 12)
	f.Add(uint64(3), "\xff\"", "A,b", int64(-9), 1)
	all := facets()
	var states []Facts
	for s := range statesOfCalls {
		states = append(states, s)
	}
	f.Fuzz(func(t *testing.T, seed uint64, word, tag string, id int64, number int) {
		r := rand.New(rand.NewPCG(seed, 3))
		rules := randomRules(r, all, 12)
		spoil(r, &rules[r.IntN(len(rules))], word, tag, id, number)
		wrong, dead := false, map[string]bool{DefaultRule: false}
		for _, fault := range Check(rules) {
			if fault.Rule < 0 || fault.Rule >= len(rules) || fault.Problem == "" {
				t.Errorf("no such fault: %+v", fault)
			}
			wrong = wrong || fault.Kind == Wrong
			if fault.Kind == Dead {
				dead[rules[fault.Rule].Name] = true
			}
		}
		router, err := New(rules)
		if (err != nil) != wrong {
			t.Fatalf("New: %v, Check finds something wrong: %t", err, wrong)
		}
		for range 200 {
			call := randomCall(r, states, all)
			if r.IntN(3) == 0 && call.User != nil {
				call.User.Tags, call.User.OrganizationID, call.Unresolved = append(call.User.Tags, tag), id, number
			}
			if d := router.Decide(&call); dead[d.Rule] || d.QueuePriority < 1 || d.QueuePriority > 9 || d.Action == "" || d.Severity == "" {
				t.Fatalf("%+v, though dead: %v\n%s", d, dead, show(rules))
			}
		}
	})
}

// spoil puts something arbitrary into a rule.
func spoil(r *rand.Rand, rule *Rule, word, tag string, id int64, number int) {
	w := &rule.When
	for _, put := range []func(){
		func() { w.Severity = append(w.Severity, word) },
		func() { w.Outcome = append(w.Outcome, word) },
		func() { w.Language = append(w.Language, word) },
		func() { w.DNIS = append(w.DNIS, word) },
		func() { w.UserTagsAny = append(w.UserTagsAny, tag) },
		func() { w.OrganizationID = append(w.OrganizationID, id) },
		func() { w.UnresolvedMin = &number },
		func() { w.AgentsAvailableMax = &number },
		func() { w.EWTMin = new(time.Duration(id)) },
		func() { rule.Then.QueuePriority = number },
		func() { rule.Then.SkillValue, rule.Then.QueueID = tag, word },
		func() { rule.Name = word },
	} {
		if r.IntN(8) == 0 {
			put()
		}
	}
}
