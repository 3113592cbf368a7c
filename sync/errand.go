package sync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	stdsync "sync"
	"time"

	"aniproxy/internal/ani"
	"aniproxy/internal/caller"
	"aniproxy/internal/status"
)

// modeUser reads one person, or everybody of one number, now.
//
// Such an errand is no run: it has a lane of its own beside the runs, where a
// few go on at once, is paid for as the webhooks' reading is, and moves no
// position. Whatever it is asked for, it reads by id, since a search lags by
// minutes.
const modeUser = "user"

const (
	// errandsAtOnce is how many go on beside each other.
	errandsAtOnce = 4
	// errandsMost is how many may wait: more is a script that should have asked
	// for a full run.
	errandsMost = 1000
)

// errand is one job of mode user. Guarded by Syncer.mu but for its target,
// which does not change.
type errand struct {
	job            status.Job
	target         target
	users, tickets track
}

// target is whom an errand is for: one of the two.
type target struct {
	userID int64
	number string
}

// errands is the lane.
type errands struct {
	wake    chan struct{}
	current []*errand
	waiting []*errand
}

// all are those that have not ended.
func (l *errands) all() []*errand { return slices.Concat(l.current, l.waiting) }

// find finds one that has not ended.
func (l *errands) find(match func(*errand) bool) *errand {
	all := l.all()
	if i := slices.IndexFunc(all, match); i >= 0 {
		return all[i]
	}
	return nil
}

// startErrand is Start for mode user, under the lock. A request for somebody
// whose errand has not ended joins it.
func (s *Syncer) startErrand(r status.Request) (jobID string, err error) {
	t := target{r.UserID, r.Number}
	switch {
	case (t.userID == 0) == (t.number == ""):
		return "", &status.StateError{Mode: modeUser, Why: "it takes either a user's id or a number"}
	case t.userID < 0:
		return "", &status.StateError{Mode: modeUser, Why: "no user has such an id"}
	case t.number != "" && ani.National(t.number) == "":
		return "", &status.StateError{Mode: modeUser, Why: "the number is not in E.164"}
	}
	if e := s.errands.find(func(e *errand) bool { return e.target == t }); e != nil {
		return e.job.ID, nil
	}
	if len(s.errands.waiting) >= errandsMost {
		return "", &status.StateError{Mode: modeUser, Why: strconv.Itoa(errandsMost) + " of them wait already"}
	}
	e := &errand{
		job:    status.Job{ID: s.uniqueID(), Mode: modeUser, Trigger: r.Trigger, State: stateQueued},
		target: t, users: track{stream: string(caller.Users)}, tickets: track{stream: string(caller.Tickets)},
	}
	s.errands.waiting = append(s.errands.waiting, e)
	poke(s.errands.wake)
	return e.job.ID, nil
}

// runErrands does what is asked for until ctx ends, and waits for it.
func (s *Syncer) runErrands(ctx context.Context) {
	var wg stdsync.WaitGroup
	defer wg.Wait()
	for ctx.Err() == nil {
		for e := s.nextErrand(); e != nil; e = s.nextErrand() {
			wg.Go(func() {
				err := s.guard("errand", func() error { return s.do(ctx, e) })
				s.endErrand(ctx, e, err)
				poke(s.errands.wake)
			})
		}
		select {
		case <-s.errands.wake:
		case <-ctx.Done():
		}
	}
}

// nextErrand takes the next that may begin, nil where there is none.
func (s *Syncer) nextErrand() *errand {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &s.errands
	if len(l.waiting) == 0 || len(l.current) >= errandsAtOnce {
		return nil
	}
	e := l.waiting[0]
	l.waiting = slices.Delete(l.waiting, 0, 1)
	l.current = append(l.current, e)
	now := s.clock()
	e.job.State, e.job.Started = stateRunning, now
	e.users.started, e.tickets.started = now, now
	return e
}

// endErrand notes how an errand ended.
func (s *Syncer) endErrand(ctx context.Context, e *errand, err error) {
	s.mu.Lock()
	now := s.clock()
	e.job.Ended, e.job.State = now, stateDone
	switch {
	case err == nil:
	case ctx.Err() != nil:
		e.job.State, e.job.Error = stateCancelled, "stopped with the daemon"
	default:
		e.job.State, e.job.Error = stateFailed, oneLine(err)
	}
	e.users.ended, e.tickets.ended = now, now
	e.users.done, e.tickets.done = err == nil, err == nil
	s.errands.current = slices.DeleteFunc(s.errands.current, func(x *errand) bool { return x == e })
	job := e.status(now)
	s.keep(job)
	s.mu.Unlock()
	s.log.LogAttrs(ctx, slog.LevelInfo, "one person read",
		slog.String("job", job.ID), slog.String("state", job.State), slog.String("error", job.Error),
		slog.Int64("users", e.users.records), slog.Int64("tickets", e.tickets.records),
		slog.Duration("took", job.Ended.Sub(job.Started)))
}

// stopErrands calls off what has not begun, under the lock.
func (s *Syncer) stopErrands() {
	for _, e := range s.errands.waiting {
		e.job.State, e.job.Error, e.job.Ended = stateCancelled, "stopped with the daemon", s.clock()
		s.keep(e.status(e.job.Ended))
	}
	s.errands.waiting = nil
}

// status is the errand as it is told, now, under the lock.
func (e *errand) status(now time.Time) status.Job {
	job := e.job
	job.Progress = []status.Progress{e.users.progress(now), e.tickets.progress(now)}
	return job
}

// do reads whom an errand is for.
func (s *Syncer) do(ctx context.Context, e *errand) error {
	if e.target.userID != 0 {
		shown, err := s.readPeople(ctx, e, []int64{e.target.userID})
		if err != nil {
			return err
		}
		return s.readOne(e.target.userID, shown)
	}
	ids, complete, err := s.candidates(ctx, e.target.number)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(ids, identitiesAtOnce) {
		if _, err := s.readPeople(ctx, e, part); err != nil {
			return err
		}
	}
	if !complete {
		return errors.New("more people have the number than a search shows: not all of them were read")
	}
	return nil
}

// readOne tells whether a person who was asked for by id is in the mirror now,
// where Zendesk shows them.
func (s *Syncer) readOne(id int64, shown []caller.UserUpdate) error {
	if len(shown) == 0 {
		return fmt.Errorf("Zendesk has no user %d", id) //nolint:staticcheck // a name
	}
	held, err := s.holds(caller.Users, id)
	if err == nil && !held && shown[0].User.Active {
		return fmt.Errorf("user %d was read and is kept out: they were erased here, and aniproxy erase --user %d --lift lets them back in", id, id)
	}
	return err
}

// candidates are who may have a number: whom the mirror has for it, and whom a
// search shows with it.
func (s *Syncer) candidates(ctx context.Context, number string) (ids []int64, complete bool, err error) {
	if ids, err = s.store.Holders(number); err != nil {
		return nil, false, fmt.Errorf("holders of a number: %w", err)
	}
	hits, complete, err := s.prompt.Search(ctx, ani.National(number))
	if err != nil {
		return nil, false, fmt.Errorf("search: %w", err)
	}
	for i := range hits {
		if hits[i].Number == number {
			ids = append(ids, hits[i].User.ID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), complete, nil
}

// readPeople reads up to a hundred people with their tickets, and returns those
// whom Zendesk shows.
func (s *Syncer) readPeople(ctx context.Context, e *errand, ids []int64) (users []caller.UserUpdate, err error) {
	users, gone, err := s.prompt.Identities(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("users: %w", err)
	}
	if _, err := s.applyReading(ctx, caller.Batch{Users: users, Gone: gone, Urgent: true}); err != nil {
		return nil, fmt.Errorf("users: %w", err)
	}
	s.read(&e.users, len(users)+len(gone))
	for _, id := range ids {
		if err := s.readTickets(ctx, e, id); err != nil {
			return nil, fmt.Errorf("tickets: %w", err)
		}
	}
	return users, nil
}

// readTickets reads a person's tickets, and by id those that the mirror has as
// theirs and the list does not show: they may be somebody else's by now, or
// gone, or past the list's bound.
func (s *Syncer) readTickets(ctx context.Context, e *errand, userID int64) error {
	reading, err := s.prompt.Tickets(ctx, userID)
	var up *caller.UpstreamError
	if errors.As(err, &up) && up.Fault == caller.FaultNotFound {
		reading, err = caller.Reading{}, nil // nobody, or nobody any more
	}
	if err != nil {
		return err
	}
	b := caller.Batch{Tickets: reading.Tickets, Urgent: true}
	set := caller.Requested{UserID: userID, Sent: reading.Sent.UnixNano(), AsOf: reading.Sent}
	listed := map[int64]bool{}
	for i := range reading.Tickets {
		t := &reading.Tickets[i].Ticket
		listed[t.ID] = true
		if t.Unresolved() {
			set.TicketIDs = append(set.TicketIDs, t.ID)
		}
	}
	open, err := s.store.OpenTickets(userID)
	if err != nil {
		return err
	}
	open = slices.DeleteFunc(open, func(id int64) bool { return listed[id] })
	for part := range slices.Chunk(open, noticesAtOnce) {
		tickets, gone, err := s.prompt.ShowTickets(ctx, part)
		if err != nil {
			return err
		}
		for i := range tickets {
			// Whoever has it now may have numbers by the same change.
			if to := tickets[i].Ticket.RequesterID; to != userID {
				s.followUser(to)
			}
		}
		b.Tickets, b.Gone = append(b.Tickets, tickets...), append(b.Gone, gone...)
	}
	if reading.Complete {
		b.Requested = []caller.Requested{set}
	}
	change, err := s.store.Apply(ctx, b)
	if err != nil {
		return err
	}
	s.unsure(change)
	s.read(&e.tickets, len(b.Tickets)+len(b.Gone))
	return nil
}
