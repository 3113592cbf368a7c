package routing

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"aniproxy/internal/caller"
)

// Trace says how one rule fared.
type Trace struct {
	Rule string
	// Held is true for the rule that decides, Reached for it and those before
	// it: the first that holds is the last that is tried.
	Held, Reached bool
	// Condition is the key of the first condition that did not hold, in the
	// order in which the configuration lists them, Wanted what it asks and Had
	// what the call has: "unknown" where that is not known, which is why the
	// condition did not hold. All are "" for a rule that held or was not reached.
	Condition, Wanted, Had string
}

// What a call has where it has nothing to compare.
const (
	unknown  = "unknown"
	noTicket = "no ticket"
	none     = "none"
)

// Explain tells of each rule, in their order, how it fared. One of them held if
// and only if Decide follows it; where none did, the default decides.
//
// Why a rule did not hold is found by trying each of its conditions as a rule of
// its own: there is no second reading of what a condition means.
func (r *Router) Explain(f *Facts) []Trace {
	if r == nil {
		return nil
	}
	t := f.ticket()
	held := first(r.rules, f, t)
	traces := make([]Trace, len(r.rules))
	for i := range traces {
		trace := &traces[i]
		trace.Rule, trace.Held, trace.Reached = r.rules[i].decision.Rule, i == held, held < 0 || i <= held
		if trace.Held || !trace.Reached {
			continue
		}
		for _, c := range r.given[i].single() {
			if first([]rule{compile(&Rule{When: c.when})}, f, t) < 0 {
				trace.Condition, trace.Wanted, trace.Had = c.key, c.wanted, had(c.key, f, t)
				break
			}
		}
	}
	return traces
}

// condition is one of a rule's, by itself.
type condition struct {
	key, wanted string
	when        Condition
}

// single takes the conditions of a rule apart. A rule holds where each holds.
func (w *Condition) single() []condition {
	var all []condition
	add := func(key, wanted string, when Condition) {
		if wanted != "" {
			all = append(all, condition{key, wanted, when})
		}
	}
	add("severity", oneOf(w.Severity), Condition{Severity: w.Severity})
	add("ticket_priority", oneOf(w.TicketPriority), Condition{TicketPriority: w.TicketPriority})
	add("ticket_status", oneOf(w.TicketStatus), Condition{TicketStatus: w.TicketStatus})
	add("ticket_type", oneOf(w.TicketType), Condition{TicketType: w.TicketType})
	add("ticket_tags_any", oneOf(w.TicketTagsAny), Condition{TicketTagsAny: w.TicketTagsAny})
	add("user_tags_any", oneOf(w.UserTagsAny), Condition{UserTagsAny: w.UserTagsAny})
	add("organization_id", oneOf(w.OrganizationID), Condition{OrganizationID: w.OrganizationID})
	add("unresolved_min", limit("at least", w.UnresolvedMin), Condition{UnresolvedMin: w.UnresolvedMin})
	add("ticket_age_min", limit("at least", w.TicketAgeMin), Condition{TicketAgeMin: w.TicketAgeMin})
	add("outcome", oneOf(w.Outcome), Condition{Outcome: w.Outcome})
	add("dnis", oneOf(w.DNIS), Condition{DNIS: w.DNIS})
	add("language", oneOf(w.Language), Condition{Language: w.Language})
	add("agents_available_min", limit("at least", w.AgentsAvailableMin), Condition{AgentsAvailableMin: w.AgentsAvailableMin})
	add("agents_available_max", limit("at most", w.AgentsAvailableMax), Condition{AgentsAvailableMax: w.AgentsAvailableMax})
	add("ewt_min", limit("at least", w.EWTMin), Condition{EWTMin: w.EWTMin})
	add("ewt_max", limit("at most", w.EWTMax), Condition{EWTMax: w.EWTMax})
	return all
}

// had is what a call has of what a condition asks for.
func had(key string, f *Facts, t *caller.Ticket) string {
	switch key {
	case "severity":
		severity, _ := Of(t)
		return string(severity)
	case "outcome":
		return told(string(f.Outcome))
	case "dnis":
		return told(f.DNIS)
	case "language":
		return told(f.Language)
	case "agents_available_min", "agents_available_max":
		return counted(f.AgentsAvailable)
	case "ewt_min", "ewt_max":
		return counted(f.EWT)
	}
	// All others are about a person, or a ticket of theirs.
	switch {
	case f.Outcome != caller.Found:
		return unknown
	case key == "unresolved_min":
		return strconv.Itoa(unresolved(f, t))
	case key == "user_tags_any" || key == "organization_id":
		return hadOfUser(key, f.User)
	case t == nil:
		return noTicket
	default:
		return hadOfTicket(key, t, f.Now)
	}
}

func hadOfUser(key string, u *caller.User) string {
	switch {
	case u == nil:
		return unknown
	case key == "user_tags_any":
		return tagged(u.Tags)
	case u.OrganizationID == 0:
		return none
	default:
		return strconv.FormatInt(u.OrganizationID, 10)
	}
}

func hadOfTicket(key string, t *caller.Ticket, now time.Time) string {
	switch key {
	case "ticket_priority":
		return told(t.Priority)
	case "ticket_status":
		return told(t.Status)
	case "ticket_type":
		return told(t.Type)
	case "ticket_tags_any":
		return tagged(t.Tags)
	default: // ticket_age_min
		if t.CreatedAt <= 0 || now.IsZero() {
			return unknown
		}
		return max(0, now.Sub(time.Unix(t.CreatedAt, 0))).Truncate(time.Second).String()
	}
}

// oneOf writes the values of a condition; "" where it asks nothing.
func oneOf[T any](values []T) string {
	if len(values) == 0 {
		return ""
	}
	words := make([]string, len(values))
	for i := range values {
		words[i] = fmt.Sprint(values[i])
	}
	return strings.Join(words, " or ")
}

// limit writes a limit; "" where a condition has none.
func limit[T int | time.Duration](which string, n *T) string {
	if n == nil {
		return ""
	}
	return which + " " + fmt.Sprint(*n)
}

func told(word string) string {
	if word == "" {
		return unknown
	}
	return word
}

func counted[T int | time.Duration](n T) string {
	if n < 0 {
		return unknown
	}
	return fmt.Sprint(n)
}

func tagged(tags []string) string {
	if len(tags) == 0 {
		return none
	}
	return strings.Join(tags, ", ")
}

// clone is a copy that shares nothing with what it was made from.
func (w *Condition) clone() Condition {
	c := *w
	for _, values := range []*[]string{
		&c.Severity, &c.TicketPriority, &c.TicketStatus, &c.TicketType, &c.TicketTagsAny, &c.UserTagsAny, &c.Outcome, &c.DNIS, &c.Language,
	} {
		*values = slices.Clone(*values)
	}
	c.OrganizationID = slices.Clone(c.OrganizationID)
	for _, n := range []**int{&c.UnresolvedMin, &c.AgentsAvailableMin, &c.AgentsAvailableMax} {
		*n = copied(*n)
	}
	for _, d := range []**time.Duration{&c.TicketAgeMin, &c.EWTMin, &c.EWTMax} {
		*d = copied(*d)
	}
	return c
}

func copied[T any](p *T) *T {
	if p == nil {
		return nil
	}
	return new(*p)
}
