package routing

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// A rule is dead where every call that it holds for has been answered by a rule
// before it. To find out, we look for one call that escapes: it holds for the
// rule and for none before.
//
// The call is made as poor as the rule allows, since an unknown fact, one tag,
// the lowest count and the youngest ticket hold for the fewest of the others.
// What is left to choose are the values of the rule's own lists, and of a span
// its lower end or the first number above the end of another's. For each choice
// the rules before that would hold are a set; whether such a set leaves over
// one of the states that the rule asks for is counted out. Within the bound on
// its steps this is exact: it flags no rule that can answer, and misses none
// that cannot.

const (
	// mostSteps bounds a search, whose choices multiply. A rule that takes more
	// is let pass.
	mostSteps = 2000
	// mostBlamed bounds among how many rules the few are looked for that are
	// to blame.
	mostBlamed = 40
)

// unreachable finds the rules that can never give an answer. What could not be
// read is left out: it may be what tells two rules apart.
func unreachable(rules []Rule, faults [][]Fault) map[int]Fault {
	dead := map[int]Fault{}
	var before []earlier
	for i := range rules {
		if conditionsUnread(faults[i]) {
			continue
		}
		c := compile(&rules[i])
		if key, problem := contradiction(&rules[i].When, &c); problem != "" {
			dead[i] = Fault{Rule: i, Key: key, Problem: problem, Kind: Dead}
			continue
		}
		if overtaken(&c, before) {
			dead[i] = Fault{Rule: i, Problem: "can never give an answer: " + blame(&c, before), Kind: Dead}
			continue
		}
		before = append(before, earlier{rule: &c, number: i + 1})
	}
	return dead
}

// contradiction says which conditions of a rule exclude each other, "" where
// none do.
func contradiction(w *Condition, c *rule) (key, problem string) {
	switch {
	case c.agents.never():
		return "when.agents_available_min", "must not be above agents_available_max: the rule could never hold"
	case c.wait.never():
		return "when.ewt_min", "must not be above ewt_max: the rule could never hold"
	case !c.states.and(possible()).empty():
		return "", ""
	}
	// Leave out what is not needed for the contradiction.
	list := statesAsked(w)
	for i := 0; i < len(list); {
		rest := slices.Delete(slices.Clone(list), i, i+1)
		if meet(rest).empty() {
			list = rest
		} else {
			i++
		}
	}
	keys := make([]string, len(list))
	for i := range list {
		keys[i] = list[i].key
	}
	return "when", enumerate(keys) + " exclude each other: the rule could never hold"
}

func meet(list []asked) states {
	all := possible()
	for i := range list {
		all = all.and(list[i].states)
	}
	return all
}

// earlier is a rule that is tried before the one in question.
type earlier struct {
	*rule
	number int // counted from 1
}

// overtaken tells whether a rule is dead because of those before it.
func overtaken(c *rule, before []earlier) bool {
	s := search{need: c.states.and(possible()), steps: mostSteps}
	var live []*rule
	for i := range before {
		if covers := coveredBy(before[i].rule, c); !covers.and(s.need).empty() {
			live = append(live, before[i].rule)
			s.covers = append(s.covers, covers)
		}
	}
	s.choices = [][]set{
		valueChoices(c.organizations, live, func(r *rule) []int64 { return r.organizations }),
		valueChoices(c.dnis, live, func(r *rule) []string { return r.dnis }),
		valueChoices(c.languages, live, func(r *rule) []string { return r.languages }),
		valueChoices(c.ticketTags, live, func(r *rule) []string { return r.ticketTags }),
		valueChoices(c.userTags, live, func(r *rule) []string { return r.userTags }),
		spanChoices(c.agents, live, func(r *rule) span { return r.agents }),
		spanChoices(c.wait, live, func(r *rule) span { return r.wait }),
	}
	s.prepare(len(live))
	return !s.escapes(fullSet(len(live)), 0)
}

// coveredBy are the states in which a rule holds for the poorest call of
// another, its lists and spans aside: the youngest ticket, the lowest count.
func coveredBy(r, other *rule) states {
	covers := r.states
	if r.asksAge && (!other.asksAge || other.age < r.age) {
		return states{}
	}
	if r.unresolved > max(1, other.unresolved) {
		covers = covers.without(where(withTicket))
	}
	if r.unresolved > other.unresolved {
		covers = covers.without(where(func(s *state) bool { return withUser(s) && !s.ticket }))
	}
	return covers
}

// blame names the rules that a dead one is dead for: one where that suffices.
func blame(c *rule, before []earlier) string {
	for i := range before {
		if overtaken(c, before[i:i+1]) {
			return fmt.Sprintf("rule %d (%s) before it holds for every call that this one holds for", before[i].number, quote(before[i].decision.Rule))
		}
	}
	if len(before) > mostBlamed {
		return "the rules before it together hold for every call that this one holds for"
	}
	needed := slices.Clone(before)
	for i := len(needed) - 1; i >= 0; i-- {
		if rest := slices.Delete(slices.Clone(needed), i, i+1); overtaken(c, rest) {
			needed = rest
		}
	}
	numbers := make([]string, len(needed))
	for i := range needed {
		numbers[i] = strconv.Itoa(needed[i].number)
	}
	return "rules " + enumerate(numbers) + " before it together hold for every call that this one holds for"
}

func enumerate(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// search looks for a call that none of the live rules holds for.
type search struct {
	need    states   // those of the rule in question
	covers  []states // a live rule's
	choices [][]set  // for each fact the choices there are: the live rules that hold then
	// sure are the live rules that hold whatever is chosen for this fact and
	// those after it.
	sure  []set
	steps int // left
}

// prepare leaves only the choices worth trying and puts the narrow facts first.
func (s *search) prepare(live int) {
	for i := range s.choices {
		s.choices[i] = fewest(s.choices[i])
	}
	slices.SortFunc(s.choices, func(a, b []set) int { return len(a) - len(b) })
	s.sure = make([]set, len(s.choices)+1)
	s.sure[len(s.choices)] = fullSet(live)
	for i := len(s.choices) - 1; i >= 0; i-- {
		s.sure[i] = s.sure[i+1]
		for _, choice := range s.choices[i] {
			s.sure[i] = s.sure[i].and(choice)
		}
	}
}

// escapes tells whether some choice of the facts from one on gets past the
// rules that hold so far; true too where the steps run out.
func (s *search) escapes(holding set, fact int) bool {
	s.steps--
	switch {
	case s.steps < 0, !s.covered(holding):
		return true
	case fact == len(s.choices), s.covered(holding.and(s.sure[fact])):
		return false
	}
	for _, choice := range s.choices[fact] {
		if s.escapes(holding.and(choice), fact+1) {
			return true
		}
	}
	return false
}

// covered tells whether rules together leave over none of the states needed.
func (s *search) covered(holding set) bool {
	left := s.need
	for i := range holding.members {
		if left = left.without(s.covers[i]); left.empty() {
			return true
		}
	}
	return left.empty()
}

// valueChoices are the values that a call may have for a fact: one of those
// the rule asks for, or none where it does not ask.
func valueChoices[T comparable](asked []T, live []*rule, of func(*rule) []T) []set {
	choices := make([]set, max(1, len(asked)))
	for c := range choices {
		choices[c] = emptySet(len(live))
	}
	at := make(map[T]int, len(asked))
	for c, value := range asked {
		at[value] = c
	}
	for i, r := range live {
		theirs := of(r)
		for c := range choices {
			if len(theirs) == 0 {
				choices[c].add(i)
			}
		}
		for _, value := range theirs {
			if c, ok := at[value]; ok {
				choices[c].add(i)
			}
		}
	}
	// Of a value listed twice, one place stays empty: it must not look like a
	// value that nobody else asks for.
	for c, value := range asked {
		choices[c] = choices[at[value]]
	}
	return choices
}

// spanChoices are the numbers that a call may have for a fact, or that it has
// none where the rule does not ask. The lowest number that other spans leave
// free is the lower end, or follows one of their upper ends.
func spanChoices(asked span, live []*rule, of func(*rule) span) []set {
	numbers := []int64{-1}
	if asked.asked {
		numbers[0] = asked.lo
		for _, r := range live {
			if s := of(r); s.asked && s.hi < math.MaxInt64 && asked.holds(s.hi+1) {
				numbers = append(numbers, s.hi+1)
			}
		}
	}
	choices := make([]set, len(numbers))
	for c, n := range numbers {
		choices[c] = emptySet(len(live))
		for i, r := range live {
			if of(r).holds(n) {
				choices[c].add(i)
			}
		}
	}
	return choices
}

// fewest drops each choice that lets hold all that another does: who escapes by
// it escapes by the other.
func fewest(choices []set) []set {
	slices.SortStableFunc(choices, func(a, b set) int { return a.size() - b.size() })
	var kept []set
	for _, choice := range choices {
		if !slices.ContainsFunc(kept, func(k set) bool { return k.within(choice) }) {
			kept = append(kept, choice)
		}
	}
	return kept
}

// set is a set of live rules, a bit each.
type set []uint64

func emptySet(n int) set { return make(set, (n+63)/64) }

func fullSet(n int) set {
	s := emptySet(n)
	for i := range n {
		s.add(i)
	}
	return s
}

func (s set) add(i int) { s[i/64] |= 1 << (i % 64) }

func (s set) and(other set) set {
	both := make(set, len(s))
	for i := range s {
		both[i] = s[i] & other[i]
	}
	return both
}

func (s set) within(other set) bool {
	for i := range s {
		if s[i]&^other[i] != 0 {
			return false
		}
	}
	return true
}

func (s set) size() int {
	n := 0
	for _, word := range s {
		n += bits.OnesCount64(word)
	}
	return n
}

// members yields the rules of the set.
func (s set) members(yield func(int) bool) {
	for i, word := range s {
		for ; word != 0; word &= word - 1 {
			if !yield(i*64 + bits.TrailingZeros64(word)) {
				return
			}
		}
	}
}
