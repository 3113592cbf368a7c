package routing

import (
	"math"
	"slices"
	"strings"
	"time"

	"aniproxy/internal/caller"
)

// rule is a rule made ready to be tried: what it asks of outcome and ticket is
// one set of states, and what it asks beyond that stands beside it.
type rule struct {
	states   states
	asksMore bool // beyond the states

	ticketTags, userTags []string // in small letters
	organizations        []int64
	dnis, languages      []string
	unresolved           int           // at least; 0 asks nothing beyond the states
	asksAge              bool          // age is asked for, be it 0
	age                  time.Duration // at least
	agents, wait         span

	decision Decision // all but the severity; a queue priority of 0 is the severity's
}

// span is a range of whole numbers that a fact must lie in, both ends included.
// The zero value asks nothing.
type span struct {
	asked  bool
	lo, hi int64
}

func spanOf[T int | time.Duration](lo, hi *T) span {
	s := span{asked: lo != nil || hi != nil, hi: math.MaxInt64}
	if lo != nil {
		s.lo = int64(*lo)
	}
	if hi != nil {
		s.hi = int64(*hi)
	}
	return s
}

// holds tells whether a fact lies in the span. A negative one is unknown: no
// span that was asked for begins below 0.
func (s span) holds(n int64) bool { return !s.asked || n >= s.lo && n <= s.hi }

// never tells whether no fact lies in the span.
func (s span) never() bool { return s.asked && s.lo > s.hi }

// compile expects a rule without a fault that is Wrong.
func compile(r *Rule) rule {
	w := &r.When
	c := rule{
		states:        everywhere(),
		ticketTags:    small(w.TicketTagsAny),
		userTags:      small(w.UserTagsAny),
		organizations: slices.Clone(w.OrganizationID),
		dnis:          slices.Clone(w.DNIS),
		languages:     slices.Clone(w.Language),
		agents:        spanOf(w.AgentsAvailableMin, w.AgentsAvailableMax),
		wait:          spanOf(w.EWTMin, w.EWTMax),
		decision: Decision{
			QueuePriority: r.Then.QueuePriority,
			QueueID:       r.Then.QueueID,
			QueueName:     r.Then.QueueName,
			SkillValue:    r.Then.SkillValue,
			Action:        r.Then.Action,
			BusyAction:    r.Then.BusyAction,
			BusyQueueID:   r.Then.BusyQueueID,
			Rule:          r.Name,
		},
	}
	for _, asked := range statesAsked(w) {
		c.states = c.states.and(asked.states)
	}
	if w.UnresolvedMin != nil {
		c.unresolved = *w.UnresolvedMin
	}
	if w.TicketAgeMin != nil {
		c.asksAge, c.age = true, *w.TicketAgeMin
	}
	if c.decision.Action == "" {
		c.decision.Action = DefaultAction
	}
	c.asksMore = len(c.ticketTags)+len(c.userTags)+len(c.organizations)+len(c.dnis)+len(c.languages) > 0 ||
		c.unresolved > 0 || c.asksAge || c.agents.asked || c.wait.asked
	return c
}

func small(tags []string) []string {
	out := slices.Clone(tags)
	for i, tag := range out {
		out[i] = strings.ToLower(tag)
	}
	return out
}

// first finds the first of some rules whose every condition holds, -1 for none;
// t is nil unless the outcome is Found.
func first(rules []rule, f *Facts, t *caller.Ticket) int {
	at := stateOf(f.Outcome, t)
	for i := range rules {
		if c := &rules[i]; c.states.has(at) && (!c.asksMore || c.holds(f, t)) {
			return i
		}
	}
	return -1
}

// holds tells whether all holds that is asked beyond the states, in one of
// which the call is: so there is a ticket where the rule asks for one. Cheap
// questions come first.
func (c *rule) holds(f *Facts, t *caller.Ticket) bool {
	return c.agents.holds(int64(f.AgentsAvailable)) &&
		c.wait.holds(int64(f.EWT)) &&
		(c.unresolved == 0 || c.unresolved <= unresolved(f, t)) &&
		(!c.asksAge || oldEnough(t, f.Now, c.age)) &&
		(len(c.organizations) == 0 || f.User != nil && slices.Contains(c.organizations, f.User.OrganizationID)) &&
		(len(c.dnis) == 0 || slices.Contains(c.dnis, f.DNIS)) &&
		(len(c.languages) == 0 || speaks(c.languages, f.Language)) &&
		(len(c.ticketTags) == 0 || shares(c.ticketTags, t.Tags)) &&
		(len(c.userTags) == 0 || f.User != nil && shares(c.userTags, f.User.Tags))
}

// unresolved is at least 1 where there is a ticket, so that what Check says of
// such rules is true whatever the count.
func unresolved(f *Facts, t *caller.Ticket) int {
	if t != nil {
		return max(1, f.Unresolved)
	}
	return f.Unresolved
}

func oldEnough(t *caller.Ticket, now time.Time, age time.Duration) bool {
	if t.CreatedAt <= 0 || now.IsZero() {
		return false
	}
	return max(0, now.Sub(time.Unix(t.CreatedAt, 0))) >= age
}

// speaks compares the base of a tag. The voice's tag is ours, well-formed: it
// is cut rather than parsed, which costs nothing.
func speaks(bases []string, tag string) bool {
	if end := strings.IndexAny(tag, "-_"); end >= 0 {
		tag = tag[:end]
	}
	for _, base := range bases {
		if strings.EqualFold(base, tag) {
			return true
		}
	}
	return false
}

func shares(asked, tags []string) bool {
	for _, tag := range tags {
		if slices.Contains(asked, tag) {
			return true
		}
	}
	return false
}
