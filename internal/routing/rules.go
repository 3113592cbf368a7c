package routing

import (
	"errors"
	"time"

	"aniproxy/internal/caller"
)

// Condition is all that must hold for a rule to give its answer. A list holds
// if one of its values does; an empty list and nil ask nothing.
type Condition struct {
	Severity       []string // urgent, high, normal, low, none
	TicketPriority []string // urgent, high, normal, low
	TicketStatus   []string // new, open, pending, hold
	TicketType     []string // problem, incident, question, task
	// TicketTagsAny and UserTagsAny are compared in small letters, as Zendesk
	// keeps them.
	TicketTagsAny, UserTagsAny []string
	OrganizationID             []int64 // the user's, not the ticket's
	UnresolvedMin              *int
	TicketAgeMin               *time.Duration // since the ticket was created
	Outcome                    []string       // the words of caller.Outcome
	DNIS                       []string       // in E.164
	Language                   []string       // base languages: "es" holds for es-MX
	AgentsAvailableMin         *int
	AgentsAvailableMax         *int
	EWTMin, EWTMax             *time.Duration // estimated waiting time
}

// Result is a rule's answer; what is "" or 0 is as it would be without a rule.
type Result struct {
	// QueuePriority is 1 (highest) to 9, 0 for the one of the severity.
	QueuePriority int
	// QueueID and BusyQueueID are ids as Webex gives them, UUIDs.
	QueueID, QueueName, SkillValue, Action, BusyAction, BusyQueueID string
}

// Rule is one of the operator's rules.
type Rule struct {
	Name string
	When Condition
	Then Result
}

// Facts is what is known of a call as it is decided upon, as [caller.Choice]
// and the flow tell it. It is only read.
type Facts struct {
	Outcome caller.Outcome
	// User is the caller and Ticket the latest of their unresolved tickets, nil
	// for none. Neither is looked at unless the outcome is Found.
	User   *caller.User
	Ticket *caller.Ticket
	// Unresolved counts all tickets of the caller, Ticket among them.
	Unresolved int
	// DNIS is the number called, in E.164; "" where it is unknown.
	DNIS string
	// Language is the full tag of the voice, for example "es-MX".
	Language string
	// AgentsAvailable is how many are free, negative where it is unknown.
	AgentsAvailable int
	// EWT is the estimated waiting time, negative where it is unknown.
	EWT time.Duration
	// Now is what a ticket's age is counted to.
	Now time.Time
}

// ticket is the one to decide by: nil unless the caller was found, for it is
// several people's then, or nobody's, and none that may be acted on.
func (f *Facts) ticket() *caller.Ticket {
	if f.Outcome != caller.Found {
		return nil
	}
	return f.Ticket
}

// Router decides by rules. It does not change once made: safe for concurrent
// use. A nil Router has no rules.
type Router struct {
	rules []rule
	given []Condition // of the rules, as they were given: for Explain
}

// New compiles rules. Its error joins a *[Fault] for each thing that is wrong
// with them. Rules that can never give an answer, and answers that are hardly
// meant, do not stop it: [Check] finds those too.
func New(rules []Rule) (*Router, error) {
	var wrong []error
	for _, faults := range faultsOf(rules) {
		for i := range faults {
			if faults[i].Kind == Wrong {
				wrong = append(wrong, &faults[i])
			}
		}
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	r := &Router{rules: make([]rule, len(rules)), given: make([]Condition, len(rules))}
	for i := range rules {
		r.rules[i], r.given[i] = compile(&rules[i]), rules[i].When.clone()
	}
	return r, nil
}

// Decide gives the answer of the first rule whose every condition holds, and
// that of [Default] where there is none. It allocates nothing.
func (r *Router) Decide(f *Facts) Decision {
	t := f.ticket()
	if r == nil || len(r.rules) == 0 {
		return Default(t)
	}
	i := first(r.rules, f, t)
	if i < 0 {
		return Default(t)
	}
	d := r.rules[i].decision
	severity, priority := Of(t)
	d.Severity = severity
	if d.QueuePriority == 0 {
		d.QueuePriority = priority
	}
	return d
}
