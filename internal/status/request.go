package status

import (
	"strings"
	"time"
)

// Request asks for a run of the mirror's upkeep.
type Request struct {
	Mode    string // as Job.Mode; empty is incremental
	Trigger string // as Job.Trigger
	// UserID, or Number in E.164, says whom a run of mode user reads.
	UserID int64
	Number string
	// Force lets a full run take out more than the guard allows.
	Force bool
}

// ModeError refuses a request whose mode nobody knows.
type ModeError struct {
	Mode    string
	Allowed []string
}

// Error names the modes there are, and not the one that was asked for: it is
// somebody's input, and may be a number in the wrong place.
func (e *ModeError) Error() string {
	return "this mode is unknown: allowed are " + strings.Join(e.Allowed, ", ")
}

// StateError refuses a request that is understood and cannot be had now, or
// not in this form.
type StateError struct{ Mode, Why string }

// Error says which mode and why.
func (e *StateError) Error() string { return "mode " + e.Mode + ": " + e.Why }

// Outbox counts the comments that wait for their delivery.
type Outbox struct {
	Queued, Failed uint64
	// Oldest is for how long the oldest queued one has waited, 0 for none.
	Oldest time.Duration
}
