package sync

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/robfig/cron/v3"

	"aniproxy/internal/status"
)

// dueSoon is how near a run must be for what can wait to wait for it.
const dueSoon = 10 * time.Minute

// plan reads the schedules. cron only asks for runs: the runs themselves, and
// the goroutines they take, are the Syncer's.
func (s *Syncer) plan(o Options) error {
	zone := o.Location
	if zone == nil {
		zone = time.UTC
	}
	s.awaited = s.onStart
	log := cronLogger{s.log}
	s.cron = cron.New(cron.WithLocation(zone), cron.WithLogger(log), cron.WithChain(cron.Recover(log)))
	for _, plan := range []struct{ name, spec, mode string }{
		{"schedule", o.Schedule, modeIncremental},
		{"full schedule", o.FullSchedule, modeFull},
	} {
		if plan.spec == "" {
			continue
		}
		when, err := parseSchedule(plan.spec)
		if err != nil {
			return fmt.Errorf("%s %q: %w", plan.name, plan.spec, err)
		}
		if now := s.clock().In(zone); plan.mode == modeIncremental {
			next := when.Next(now)
			s.awaited = s.awaited || !next.IsZero() && next.Sub(now) <= dueSoon
		}
		s.cron.Schedule(when, cron.FuncJob(func() {
			err := s.guard("schedule", func() error {
				_, err := s.Start(status.Request{Mode: plan.mode, Trigger: triggerSchedule})
				return err
			})
			if err != nil {
				s.log.Debug("scheduled run not begun", slog.String("mode", plan.mode), slog.Any("error", err))
			}
		}))
	}
	return nil
}

// parseSchedule keeps cron's parser from bringing the start down: it panics on
// a time zone that nothing follows.
func parseSchedule(spec string) (when cron.Schedule, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("not a schedule")
		}
	}()
	return cron.ParseStandard(spec)
}

// nextRun is when the schedule fires next; zero where it does not.
func (s *Syncer) nextRun() time.Time {
	var next time.Time
	for _, e := range s.cron.Entries() {
		if !e.Next.IsZero() && (next.IsZero() || e.Next.Before(next)) {
			next = e.Next
		}
	}
	return next
}

// cronLogger has cron's faults in our log; what it says of each wake-up is
// not worth a line.
type cronLogger struct{ log *slog.Logger }

func (cronLogger) Info(string, ...any) {}

// Error leaves out what the error says, which may be what a panic said.
func (l cronLogger) Error(err error, msg string, _ ...any) {
	l.log.Error("cron", slog.String("event", msg), slog.String("type", fmt.Sprintf("%T", err)))
}
