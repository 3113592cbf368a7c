// Package routing says where a call should go: how severe the caller's ticket
// is, and what the operator's rules make of that.
//
// The story in one breath: [Check] reads the rules and says what is wrong with
// them, and which of them no call can ever reach; [New] compiles them into a
// [Router]; for each call [Router.Decide] tries them in order on the [Facts],
// and the first whose every condition holds gives the [Decision]. What no rule
// decides has the answer of [Default]. [Router.Explain] tells how each rule fared.
//
// It is a pure function of what is known of the call: no I/O, no clock of its
// own, and nothing is allocated while a caller waits.
//
// # What is known
//
// A condition whose fact is unknown does not hold, whatever it asks:
//   - The severity and the outcome are always known: without a ticket the
//     severity is "none".
//   - A ticket, a user, and how many tickets are unresolved are known only
//     where the outcome is "found". Somebody who is not found may have tickets
//     or none: so unresolved_min = 0 does not hold for them, but it does for
//     a person without tickets.
//   - A ticket's priority or type that Zendesk left empty is unknown.
//   - A ticket's age is unknown where its creation is; a creation that our
//     clock has not reached yet makes an age of 0.
//   - The number called, the free agents and the estimated waiting time are
//     known where the flow sent them along.
package routing

import "aniproxy/internal/caller"

// Severity is how urgent a call is, in the words of an answer.
type Severity string

// The severities. The first four bear the names of Zendesk's priorities.
const (
	Urgent Severity = "urgent"
	High   Severity = "high"
	Normal Severity = "normal"
	Low    Severity = "low"
	None   Severity = "none"
)

// Queue priorities as Webex counts them: 1 is the highest, 9 the lowest. The
// even ones and 9 are left for rules, which may want a place in between.
const (
	priorityUrgent = 1
	priorityHigh   = 3
	priorityNormal = 5
	priorityLow    = 7

	priorityFirst, priorityLast = 1, 9
)

// Decision is where a call should go. Of what a rule leaves open, "" stands for
// nothing.
type Decision struct {
	Severity Severity
	// QueuePriority is 1 (highest) to 9.
	QueuePriority int
	// QueueID and QueueName are a queue at Webex, SkillValue the value of a
	// skill: a flow uses one or the other, for a variable queue switches its
	// skill routing off.
	QueueID, QueueName, SkillValue string
	// Action is what the flow should do next: a word that its Case node knows.
	Action string
	// BusyAction and BusyQueueID are what to do where nobody is free, which
	// the flow learns only once it has a queue.
	BusyAction, BusyQueueID string
	// Rule names the rule that decided.
	Rule string
}

// What is decided where no rule decides.
const (
	DefaultAction = "menu"
	DefaultRule   = "default"
)

// Default decides by the ticket alone; t may be nil for a caller without one.
func Default(t *caller.Ticket) Decision {
	severity, priority := Of(t)
	return Decision{Severity: severity, QueuePriority: priority, Action: DefaultAction, Rule: DefaultRule}
}

// Of is a ticket's severity and the queue priority that goes with it. The
// ticket's priority decides; where an agent has not given one yet, its type
// does, since an incident is somebody's outage now and a problem the cause of
// several. t may be nil.
func Of(t *caller.Ticket) (s Severity, queuePriority int) {
	if t == nil {
		return None, priorityNormal
	}
	switch t.Priority {
	case "urgent":
		return Urgent, priorityUrgent
	case "high":
		return High, priorityHigh
	case "normal":
		return Normal, priorityNormal
	case "low":
		return Low, priorityLow
	}
	switch t.Type {
	case "incident":
		return High, priorityHigh
	case "problem":
		return Normal, priorityNormal
	default:
		return None, priorityNormal
	}
}
