package status

import (
	"fmt"
	"strings"
	"time"
)

// Request asks for a run of the mirror's upkeep.
type Request struct {
	Mode    string // as Job.Mode; empty is incremental
	Trigger string // as Job.Trigger
}

// ModeError refuses a request whose mode nobody knows.
type ModeError struct {
	Mode    string
	Allowed []string
}

// Error names the modes there are. The one that was asked for is quoted and
// cut: it is somebody's input.
func (e *ModeError) Error() string {
	const most = 32
	return fmt.Sprintf("mode %.*q is unknown: allowed are %s", most, e.Mode, strings.Join(e.Allowed, ", "))
}

// Outbox counts the comments that wait for their delivery.
type Outbox struct {
	Queued, Failed uint64
	// Oldest is for how long the oldest queued one has waited, 0 for none.
	Oldest time.Duration
}
