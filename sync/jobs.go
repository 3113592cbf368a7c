package sync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	stdsync "sync"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/caught"
	"aniproxy/internal/status"
)

const (
	modeIncremental = "incremental"
	modeFull        = "full"
	modeVerify      = "verify"

	triggerStart    = "start"
	triggerSchedule = "schedule"
	triggerRequest  = "request"
	triggerResume   = "resume" // a full run that the last daemon did not end

	stateQueued    = "queued"
	stateRunning   = "running"
	stateDone      = "done"
	stateFailed    = "failed"
	stateCancelled = "cancelled"

	// keptJobs is how many ended runs are told of.
	keptJobs = 20
)

// lane holds the run at work and those that wait for their turn, one a mode.
type lane struct {
	current *run
	next    []*run
}

// run is one run. job, force, warned and the tracks are guarded by Syncer.mu.
type run struct {
	job  status.Job // without its progress
	legs [2]*leg
	// further are tracks of what a run reads beside its streams.
	further []*track
	// keepsUp is true in the lane of increments.
	keepsUp bool
	force   bool // as status.Request.Force
	warned  bool // of records that could not be read
}

// leg is a run's part in one stream.
type leg struct {
	run    *run
	stream caller.Stream
	track  *track
	other  *leg
	nudge  chan struct{} // asks for the stream to be followed again
	first  chan struct{} // closed once it has been walked, well or not
}

func (s *Syncer) newRun(r status.Request, keepsUp bool) *run {
	users := &leg{stream: caller.Users, nudge: make(chan struct{}, 1), first: make(chan struct{})}
	tickets := &leg{stream: caller.Tickets, nudge: make(chan struct{}, 1), first: make(chan struct{})}
	users.other, tickets.other = tickets, users
	n := &run{
		job:     status.Job{ID: s.uniqueID(), Mode: r.Mode, Trigger: r.Trigger, State: stateQueued},
		legs:    [2]*leg{users, tickets},
		keepsUp: keepsUp,
		force:   r.Force,
	}
	for _, l := range n.legs {
		l.run, l.track = n, &track{stream: string(l.stream)}
	}
	return n
}

// uniqueID makes an id that no run known has. A source of randomness that
// always says the same is helped out with a count.
func (s *Syncer) uniqueID() string {
	first := s.newID()
	id := first
	for n := 2; s.known(id); n++ {
		if id = s.newID(); id == first {
			id = first + "-" + strconv.Itoa(n)
		}
	}
	return id
}

func (s *Syncer) known(id string) bool {
	return slices.ContainsFunc(s.open(), func(r *run) bool { return r.job.ID == id }) ||
		s.errands.find(func(e *errand) bool { return e.job.ID == id }) != nil ||
		slices.ContainsFunc(s.last, func(j status.Job) bool { return j.ID == id })
}

// open are the runs that have not ended, a walk before an increment and what
// runs before what waits.
func (s *Syncer) open() []*run {
	all := slices.Concat([]*run{s.walks.current, s.increments.current}, s.walks.next, s.increments.next)
	return slices.DeleteFunc(all, func(r *run) bool { return r == nil })
}

// Start asks for a run and returns the id of the job that does it: a new one,
// or the one that runs or waits already, as the package comment tells. Before
// Run it waits for that; after the end it is refused with [ErrStopped]. A mode
// that nobody knows is a [status.ModeError], one that cannot be had now a
// [status.StateError].
func (s *Syncer) Start(r status.Request) (jobID string, err error) {
	if r.Mode == "" {
		r.Mode = modeIncremental
	}
	if modes := []string{modeIncremental, modeFull, modeVerify, modeUser}; !slices.Contains(modes, r.Mode) {
		return "", &status.ModeError{Mode: r.Mode, Allowed: modes}
	}
	if r.Trigger == "" {
		r.Trigger = triggerRequest
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == stopped {
		return "", ErrStopped
	}
	if r.Mode == modeUser {
		return s.startErrand(r)
	}
	filled := s.store.Streams().Filled()
	if r.Mode == modeVerify && !filled {
		return "", &status.StateError{Mode: modeVerify, Why: "the mirror has not been filled yet: there is nothing to compare"}
	}
	l := &s.increments
	if r.Mode != modeIncremental && filled {
		l = &s.walks
	}
	n := l.joined(r.Mode, l == &s.increments)
	if n == nil {
		n = s.newRun(r, l == &s.increments)
		l.next = append(l.next, n)
		poke(s.wake)
		return n.job.ID, nil
	}
	n.force = n.force || r.Force
	if n == l.current {
		for _, leg := range n.legs {
			poke(leg.nudge)
		}
	} else if r.Mode == modeFull {
		n.job.Mode = modeFull // it has not begun
	}
	return n.job.ID, nil
}

// joined is the run that a request of a mode joins, nil for none. In the lane
// of increments that is whatever there is: a full walk there is the fill.
func (l *lane) joined(mode string, whatever bool) *run {
	all := l.next
	if l.current != nil {
		all = slices.Concat([]*run{l.current}, all)
	}
	i := slices.IndexFunc(all, func(r *run) bool { return whatever || r.job.Mode == mode })
	if i < 0 {
		return nil
	}
	return all[i]
}

// dispatch takes the runs that may begin now: a walk as soon as no increment
// runs, and so never behind the next one.
func (s *Syncer) dispatch() []*run {
	s.mu.Lock()
	defer s.mu.Unlock()
	var begun []*run
	for _, l := range []*lane{&s.walks, &s.increments} {
		if len(l.next) == 0 || l.current != nil || s.increments.current != nil {
			continue
		}
		l.current = l.next[0]
		l.next = slices.Delete(l.next, 0, 1)
		l.current.job.State, l.current.job.Started = stateRunning, s.clock()
		begun = append(begun, l.current)
	}
	return begun
}

// execute does one run from its beginning to its last line in the log.
func (s *Syncer) execute(ctx context.Context, r *run) {
	job := s.snapshot(r)
	level := slog.LevelInfo
	if job.Trigger == triggerSchedule && job.Mode == modeIncremental {
		level = slog.LevelDebug // every minute
	}
	s.log.Log(ctx, level, "sync run started",
		slog.String("job", job.ID), slog.String("mode", job.Mode), slog.String("trigger", job.Trigger))

	err := s.perform(ctx, r)
	reached := err == nil
	pruned := 0
	if reached && r.keepsUp {
		err = s.guard("prune", func() (err error) {
			if pruned, err = s.store.Prune(ctx); err != nil {
				return fmt.Errorf("forget what left long ago: %w", err)
			}
			return nil
		})
	}
	s.finish(ctx, r, err, reached, pruned)
	poke(s.debts)
	poke(s.wake)
}

// perform does what a run is for.
func (s *Syncer) perform(ctx context.Context, r *run) error {
	switch {
	case r.keepsUp:
		return s.bothLegs(r, func(l *leg) error { return s.keepUp(ctx, l, r.job.Mode == modeFull) })
	case r.job.Mode == modeVerify:
		return s.verify(ctx, r)
	default:
		return s.sweep(ctx, r)
	}
}

// bothLegs works on both streams at once. A fault in one does not stop the
// other: they are paid from different budgets, and what the other reads is
// kept.
func (s *Syncer) bothLegs(r *run, work func(*leg) error) error {
	var (
		wg   stdsync.WaitGroup
		errs [2]error
	)
	for i, l := range r.legs {
		wg.Go(func() {
			errs[i] = s.guard(string(l.stream), func() error { return work(l) })
		})
	}
	wg.Wait()
	return errors.Join(errs[:]...)
}

// keepUp follows a stream to its end, and again at each nudge for as long as
// the other stream is being filled.
func (s *Syncer) keepUp(ctx context.Context, l *leg, full bool) error {
	err := s.guard(string(l.stream), func() error {
		if full && s.position(l.stream).Complete {
			return s.walkAll(ctx, l)
		}
		return s.follow(ctx, l)
	})
	close(l.first)
	for !s.position(l.other.stream).Complete {
		select {
		case <-l.other.first:
			return err
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-l.nudge:
		}
		if err != nil {
			s.log.Warn("stream taken up again after a fault",
				slog.String("stream", string(l.stream)), slog.Any("error", err))
		}
		err = s.guard(string(l.stream), func() error { return s.follow(ctx, l) })
	}
	return err
}

// guard makes an error of a panic, and tells of it in the log.
func (s *Syncer) guard(what string, do func() error) error {
	err := caught.Run(what, do)
	var p *caught.Panic
	if errors.As(err, &p) {
		s.log.Error("panic in a sync run", slog.Any("error", p), slog.String("stack", p.Stack))
	}
	return err
}

// finish notes how a run ended.
func (s *Syncer) finish(ctx context.Context, r *run, err error, reached bool, pruned int) {
	s.mu.Lock()
	now := s.clock()
	r.job.Ended, r.job.State = now, stateDone
	switch {
	case err == nil:
		s.lastError = ""
	case ctx.Err() != nil:
		r.job.State, r.job.Error = stateCancelled, "stopped with the daemon"
	default:
		r.job.State, r.job.Error = stateFailed, oneLine(err)
		s.lastError = r.job.Error
	}
	if reached && r.job.Mode != modeVerify {
		s.success = now
	}
	l := &s.walks
	if r.keepsUp {
		l = &s.increments
		s.lagging = r.job.State == stateFailed
		s.awaited = s.awaited && r.job.State != stateDone
	}
	l.current = nil
	job := r.status(now)
	s.keep(job)
	s.mu.Unlock()

	level, attrs := slog.LevelInfo, []slog.Attr{
		slog.String("job", job.ID), slog.String("mode", job.Mode), slog.String("state", job.State),
		slog.Duration("took", job.Ended.Sub(job.Started)),
	}
	for _, t := range r.tracks() {
		attrs = append(attrs, t.attr())
	}
	switch {
	case r.keepsUp:
		attrs = append(attrs, slog.Int("forgotten", pruned))
	case job.Mode == modeVerify:
		attrs = append(attrs, slog.Int64("differences", job.DifferenceCount), slog.Int64("objects", job.DifferingObjects))
	default:
		attrs = append(attrs, slog.Int64("removed_users", job.RemovedUsers), slog.Int64("removed_tickets", job.RemovedTickets))
	}
	if job.State == stateFailed {
		level, attrs = slog.LevelWarn, append(attrs, slog.String("error", job.Error))
	}
	s.log.LogAttrs(ctx, level, "sync run ended", attrs...)
}

// oneLine is an error's text for a field of a log or an answer: both streams
// may have failed.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// keep remembers an ended run. Increments come every minute and full walks
// once a week, so the last run of a mode outlives newer ones of the other.
func (s *Syncer) keep(job status.Job) {
	s.last = slices.Insert(s.last, 0, job)
	for i := len(s.last) - 1; len(s.last) > keptJobs; i-- {
		mode := s.last[i].Mode
		if slices.IndexFunc(s.last, func(j status.Job) bool { return j.Mode == mode }) < i {
			s.last = slices.Delete(s.last, i, i+1)
		}
	}
}

// stop refuses further requests and calls off what has not begun.
func (s *Syncer) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase = stopped
	for _, l := range []*lane{&s.walks, &s.increments} {
		for _, r := range l.next {
			r.job.State, r.job.Error, r.job.Ended = stateCancelled, "stopped with the daemon", s.clock()
			s.keep(r.status(time.Time{}))
		}
		l.next = nil
	}
	s.stopErrands()
}
