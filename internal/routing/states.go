package routing

import (
	"slices"

	"aniproxy/internal/caller"
)

// The words of the conditions. Of the statuses only those of an unresolved
// ticket are here: no other ticket is a caller's.
var (
	severities = []string{string(Urgent), string(High), string(Normal), string(Low), string(None)}
	priorities = []string{"urgent", "high", "normal", "low"}
	types      = []string{"problem", "incident", "question", "task"}
	statuses   = []string{"new", "open", "pending", "hold"}
	outcomes   = []string{
		string(caller.Found), string(caller.NotFound), string(caller.Ambiguous), string(caller.Anonymous),
		string(caller.ShortCode), string(caller.Invalid), string(caller.Unavailable),
	}
)

// Outcome and ticket together have few states, and most of a rule is about
// them. They are numbered: first the outcomes, each without a ticket, and one
// for a word that is none of them; then the tickets of a found caller, each
// priority with each type and status, and one of each for any other word. That
// is 7 + 1 + 5·5·5 = 133 states. So all that a rule asks of them is one bit a
// call, and what several rules leave over can be counted out.
const (
	outcomeWords = 7
	otherOutcome = outcomeWords
	firstTicket  = outcomeWords + 1
	fieldWords   = 4 // of priority, type and status alike
	fieldStates  = fieldWords + 1
	stateCount   = firstTicket + fieldStates*fieldStates*fieldStates
)

// states is a set of them.
type states [(stateCount + 63) / 64]uint64

func (s *states) has(i int) bool { return s[i/64]>>(i%64)&1 != 0 }
func (s *states) add(i int)      { s[i/64] |= 1 << (i % 64) }
func (s states) empty() bool     { return s == states{} }

func (s states) and(other states) states {
	for i := range s {
		s[i] &= other[i]
	}
	return s
}

func (s states) without(other states) states {
	for i := range s {
		s[i] &^= other[i]
	}
	return s
}

// stateOf is the state of a call; t is nil unless the outcome is Found.
func stateOf(outcome caller.Outcome, t *caller.Ticket) int {
	if t == nil {
		return place(outcomes, string(outcome))
	}
	return firstTicket + (place(priorities, t.Priority)*fieldStates+place(types, t.Type))*fieldStates + place(statuses, t.Status)
}

// place is where a word stands; behind the last for any other.
func place(words []string, word string) int {
	for i, w := range words {
		if w == word {
			return i
		}
	}
	return len(words)
}

// state is one of the states in words, "" for any other word.
type state struct {
	outcome                string
	ticket                 bool
	severity               Severity
	priority, kind, status string
}

// describe is stateOf turned round.
func describe(i int) state {
	word := func(words []string, i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	if i < firstTicket {
		return state{outcome: word(outcomes, i), severity: None}
	}
	i -= firstTicket
	s := state{
		outcome:  string(caller.Found),
		ticket:   true,
		priority: word(priorities, i/(fieldStates*fieldStates)),
		kind:     word(types, i/fieldStates%fieldStates),
		status:   word(statuses, i%fieldStates),
	}
	s.severity, _ = Of(&caller.Ticket{Priority: s.priority, Type: s.kind})
	return s
}

// where are the states of which something holds.
func where(holds func(*state) bool) states {
	var all states
	for i := range stateCount {
		if s := describe(i); holds(&s) {
			all.add(i)
		}
	}
	return all
}

func everywhere() states { return where(func(*state) bool { return true }) }

// possible are the states that a lookup can answer with: its outcome is one of
// the seven and its ticket unresolved.
func possible() states {
	return where(func(s *state) bool { return s.outcome != "" && (!s.ticket || s.status != "") })
}

func withTicket(s *state) bool { return s.ticket }
func withUser(s *state) bool   { return s.outcome == string(caller.Found) }

// asked is what one condition asks of the states.
type asked struct {
	key    string
	states states
}

// statesAsked lists what each condition asks of the states, be it only that
// there is a ticket or a user to ask about.
func statesAsked(w *Condition) []asked {
	var list []asked
	add := func(key string, given bool, holds func(*state) bool) {
		if given {
			list = append(list, asked{key: key, states: where(holds)})
		}
	}
	add("severity", len(w.Severity) > 0, func(s *state) bool { return slices.Contains(w.Severity, string(s.severity)) })
	add("ticket_priority", len(w.TicketPriority) > 0, func(s *state) bool { return s.ticket && slices.Contains(w.TicketPriority, s.priority) })
	add("ticket_status", len(w.TicketStatus) > 0, func(s *state) bool { return s.ticket && slices.Contains(w.TicketStatus, s.status) })
	add("ticket_type", len(w.TicketType) > 0, func(s *state) bool { return s.ticket && slices.Contains(w.TicketType, s.kind) })
	add("ticket_tags_any", len(w.TicketTagsAny) > 0, withTicket)
	add("ticket_age_min", w.TicketAgeMin != nil, withTicket)
	add("user_tags_any", len(w.UserTagsAny) > 0, withUser)
	add("organization_id", len(w.OrganizationID) > 0, withUser)
	add("unresolved_min", w.UnresolvedMin != nil, withUser)
	add("outcome", len(w.Outcome) > 0, func(s *state) bool { return slices.Contains(w.Outcome, s.outcome) })
	return list
}
