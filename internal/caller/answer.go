package caller

import "time"

// Outcome is the business result of a lookup, as callers of the API read it.
type Outcome string

// All outcomes. Each of them is a 200.
const (
	Found       Outcome = "found"
	NotFound    Outcome = "not_found"
	Ambiguous   Outcome = "ambiguous"
	Anonymous   Outcome = "anonymous"
	ShortCode   Outcome = "short_code"
	Invalid     Outcome = "invalid"
	Unavailable Outcome = "unavailable"
)

// Source is the tier that an answer came from.
type Source string

// The tiers, nearest first.
const (
	FromMemory  Source = "memory"
	FromDisk    Source = "disk"
	FromLive    Source = "live"
	FromNowhere Source = "none"
)

// Query is one question to the resolver.
type Query struct {
	// ANI is the caller's number as it came, of any form and length.
	ANI string
	// Fresh asks Zendesk first, within the deadline, and falls back on the mirror.
	Fresh bool
	// WithTickets asks for the tickets of every sharer of a shared number,
	// not only of a person who has it alone.
	WithTickets bool
	// AllowLive is asked once, only where Zendesk would have to be: false
	// means that the client has spent its budget. Nil allows it.
	AllowLive func() bool
}

// Answer is what is known of a number at the moment of the answer.
type Answer struct {
	Outcome Outcome
	// Reason says in a word why the outcome is what it is; "none" where the
	// outcome says it all.
	Reason string
	// ANI is the number in E.164, "" where it is none.
	ANI string
	// Callers are all people who match. With outcome Found it is one; with
	// Ambiguous there are several, and none of them may be shown to anyone
	// who may not see all sharers of a number. Read-only: shared with the cache.
	Callers []Caller
	Source  Source
	// Age is the older of the user's part and the tickets' part, never
	// negative; 0 where nothing was asked of the mirror.
	Age time.Duration
	// Stale is set past the configured age, and wherever absence in the
	// mirror was not yet proof and Zendesk could not be asked.
	Stale bool
}

// Fault says why Zendesk could not answer, in the words of an answer's reason.
type Fault string

// The faults of an upstream call.
const (
	FaultDown        Fault = "zendesk_unavailable"
	FaultAuth        Fault = "zendesk_auth"
	FaultRateLimited Fault = "rate_limited"
	FaultDeadline    Fault = "deadline"
	FaultUnchecked   Fault = "too_many_hits" // a search that could not be checked to its end
	FaultNotFound    Fault = "not_found"     // Zendesk says the object is not there
	FaultMalformed   Fault = "zendesk_malformed"
	FaultRejected    Fault = "zendesk_rejected" // Zendesk understood the question and refused it
	FaultBudget      Fault = "live_budget"      // the client has spent its share of live lookups
	FaultInternal    Fault = "internal"         // ours, not Zendesk's
)

// UpstreamError is a call to Zendesk that brought no answer.
type UpstreamError struct {
	Fault Fault
	Err   error
}

func (e *UpstreamError) Error() string { return string(e.Fault) + ": " + e.Err.Error() }

// Unwrap gives the client's own error.
func (e *UpstreamError) Unwrap() error { return e.Err }
