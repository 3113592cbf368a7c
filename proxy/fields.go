package proxy

import "slices"

// field is a key of a lookup's answer.
type field uint8

// The keys, in the order of the answer.
const (
	fFound field = iota
	fOutcome
	fReason
	fANI
	fMatch
	fMatchCount
	fUserID
	fUserName
	fUserFirstName
	fUserEmail
	fUserLocale
	fUserTags
	fUserURL
	fOrganizationID
	fTicketFound
	fTicketID
	fTicketStatus
	fTicketPriority
	fTicketType
	fTicketSubject
	fTicketCreatedAt
	fTicketUpdatedAt
	fTicketTags
	fTicketURL
	fUnresolvedCount
	fTicket2ID
	fTicket2Status
	fTicket3ID
	fTicket3Status
	fHasAssignee
	fAssigneeID
	fAssigneeName
	fAssigneeEmail
	fAssigneeAgent
	fSeverity
	fQueuePriority
	fHasQueue
	fQueueID
	fQueueName
	fHasSkill
	fSkillValue
	fAction
	fBusyAction
	fBusyQueueID
	fRouteRule
	fSpokenText
	fSpokenSSML
	fLanguage
	fScreenPopURL
	fSource
	fAgeSeconds
	fStale
	fieldCount
)

// fieldNames are the keys as they are written.
var fieldNames = [fieldCount]string{
	"found", "outcome", "reason", "ani",
	"match", "match_count",
	"user_id", "user_name", "user_first_name", "user_email", "user_locale", "user_tags", "user_url", "organization_id",
	"ticket_found", "ticket_id", "ticket_status", "ticket_priority", "ticket_type", "ticket_subject",
	"ticket_created_at", "ticket_updated_at", "ticket_tags", "ticket_url",
	"unresolved_count", "ticket2_id", "ticket2_status", "ticket3_id", "ticket3_status",
	"has_assignee", "assignee_id", "assignee_name", "assignee_email", "assignee_agent",
	"severity", "queue_priority", "has_queue", "queue_id", "queue_name", "has_skill", "skill_value",
	"action", "busy_action", "busy_queue_id", "route_rule",
	"spoken_text", "spoken_ssml", "language", "screen_pop_url",
	"source", "age_seconds", "stale",
}

// fieldSet is a set of them, a bit each: there are fewer than 64.
type fieldSet uint64

func (s fieldSet) has(f field) bool { return s&(1<<f) != 0 }

func allFields() fieldSet { return 1<<fieldCount - 1 }

// usualFields are those of a client that names none: all but what a flow does
// not need and what says more of a person than it should know unasked.
func usualFields() fieldSet {
	s := allFields()
	for _, f := range []field{fUserEmail, fUserTags, fOrganizationID, fTicketSubject, fTicketTags} {
		s &^= 1 << f
	}
	return s
}

// readable turns a client's list into a set. An empty list is the usual
// fields, "*" all of them; unknown is a name that no lookup has.
func readable(names []string) (s fieldSet, unknown string) {
	if len(names) == 0 {
		return usualFields(), ""
	}
	for _, name := range names {
		if name == "*" {
			s = allFields()
			continue
		}
		at := slices.Index(fieldNames[:], name)
		if at < 0 {
			return 0, name
		}
		s |= 1 << at
	}
	return s, ""
}
