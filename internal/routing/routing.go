// Package routing says where a call should go: how severe the caller's ticket
// is, and what a flow makes of that.
//
// It is a pure function of what is known of the caller. What no rule decides
// has the answer of [Default].
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
)

// Decision is where a call should go.
type Decision struct {
	Severity Severity
	// QueuePriority is 1 (highest) to 9.
	QueuePriority int
	// Action is what the flow should do next: a word that its Case node knows.
	Action string
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
