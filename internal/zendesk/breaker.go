package zendesk

import (
	"errors"
	"log/slog"
	"time"

	"github.com/sony/gobreaker/v2"
)

// The breaker spares callers who wait on the line a time-out each while
// Zendesk is down: after five live attempts in a row without an answer, live
// calls fail at once, and every five seconds one of them is let through to
// see. The other shares have the time to wait; they neither trip nor heed it.
const (
	breakerTrips = 5
	breakerOpen  = 5 * time.Second
	// breakerPatience is how long an attempt must have run before its
	// caller's deadline says something of Zendesk.
	breakerPatience = 500 * time.Millisecond
)

// detailOpen is in the error of a call that the breaker refused.
const detailOpen = "breaker open"

// errNeutral marks an attempt that says nothing of Zendesk's health.
var errNeutral = errors.New("says nothing")

func newBreaker(log *slog.Logger) *gobreaker.TwoStepCircuitBreaker[struct{}] {
	return gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        "zendesk live",
		MaxRequests: 1,
		Timeout:     breakerOpen,
		ReadyToTrip: func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= breakerTrips },
		IsExcluded:  func(err error) bool { return errors.Is(err, errNeutral) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			log.Warn("live calls to zendesk: breaker changed", "from", from.String(), "to", to.String())
		},
	})
}

// verdict is what an attempt of this length and end tells the breaker. Any
// answer that is no outage is a success, a 429 too: somebody is there.
func verdict(e *Error, callerGone bool, ran time.Duration) error {
	switch {
	case e == nil, e.Class != ClassUnavailable && e.Class != ClassRateLimited:
		return nil
	case e.Class == ClassRateLimited:
		if e.Status == 0 {
			return errNeutral // refused here
		}
		return nil
	case callerGone && (e.detail == "cancelled" || ran < breakerPatience):
		return errNeutral
	default:
		return e
	}
}
