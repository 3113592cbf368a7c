package sync

import (
	"log/slog"
	"slices"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/status"
)

const (
	streamIdentities = "identities"
	// keptUnreadable is how many examples of unreadable phones are told.
	keptUnreadable = 10
)

// track is how far a walk has come. Guarded by Syncer.mu.
type track struct {
	stream         string
	pages, records int64
	started, ended time.Time // ended is zero while it is under way
	done           bool
	// oldest and newest bound the records read, by time.
	oldest, newest time.Time

	accepted, refreshed, refused int
}

func (t *track) count(c caller.Change) {
	t.accepted += c.Accepted
	t.refreshed += c.Refreshed
	t.refused += c.Refused
}

// attr is the track in a log line.
func (t *track) attr() slog.Attr {
	return slog.Group(t.stream,
		slog.Int64("pages", t.pages), slog.Int64("records", t.records), slog.Int("accepted", t.accepted),
		slog.Int("refreshed", t.refreshed), slog.Int("refused", t.refused))
}

// progress is the track as it is told, now.
func (t *track) progress(now time.Time) status.Progress {
	p := status.Progress{
		Stream: t.stream, Pages: t.pages, Records: t.records,
		Position: t.newest, Remaining: -1, Done: t.done,
	}
	if !t.ended.IsZero() {
		now = t.ended
	}
	took := now.Sub(t.started)
	if !t.started.IsZero() && took > 0 {
		p.RecordsPerSecond = float64(t.records) / took.Seconds()
	}
	// A stream is read in the order of time, so what is left is told by the
	// time between the newest record and now: a guess, for accounts grow.
	read := t.newest.Sub(t.oldest)
	switch {
	case t.done:
		p.Remaining = 0
	case t.pages > 1 && read > 0 && took > 0:
		left := max(0, now.Add(-exportLag).Sub(t.newest))
		p.Remaining = time.Duration(left.Seconds() / read.Seconds() * float64(took)).Round(time.Second)
	}
	return p
}

// begin notes that a leg's stream is being walked, maybe again.
func (s *Syncer) begin(l *leg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.track.started.IsZero() {
		l.track.started = s.clock()
	}
	l.track.ended = time.Time{}
}

// end notes that a leg's stream was walked to its end.
func (s *Syncer) end(l *leg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.track.ended, l.track.done = s.clock(), true
}

// saw notes a page.
func (s *Syncer) saw(l *leg, p *Page) {
	newest := newestOf(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := l.track
	t.pages++
	t.records += int64(records(p))
	if t.oldest.IsZero() {
		t.oldest = newest
	}
	t.newest = later(t.newest, newest)
	for _, example := range p.Unreadable {
		if slices.Contains(s.unreadable, example) {
			continue
		}
		if len(s.unreadable) == keptUnreadable {
			s.unreadable = slices.Delete(s.unreadable, 0, 1)
		}
		s.unreadable = append(s.unreadable, example)
	}
}

// status is the run as it is told, now.
func (r *run) status(now time.Time) status.Job {
	job := r.job
	for _, l := range r.legs {
		job.Progress = append(job.Progress, l.track.progress(now))
	}
	return job
}

// snapshot is a run as it is told, at this moment.
func (s *Syncer) snapshot(r *run) status.Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	return r.status(s.clock())
}

// Status is a copy of the state of the upkeep. While an increment and a full
// walk run beside each other, the full walk is the one told as running.
// LastSuccess and LastError know this process alone.
func (s *Syncer) Status() status.Sync {
	next := s.nextRun()
	due := s.store.Size().IdentitiesDue
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	st := status.Sync{
		NextRun: next, LastSuccess: s.success, LastError: s.lastError,
		Unreadable: slices.Clone(s.unreadable),
	}
	if s.phase == stopped {
		st.NextRun = time.Time{}
	}
	for _, job := range s.last {
		job.Progress = slices.Clone(job.Progress)
		st.Last = append(st.Last, job)
	}
	if s.paying != nil {
		p := s.paying.progress(now)
		if p.RecordsPerSecond > 0 {
			p.Remaining = time.Duration(float64(due) / p.RecordsPerSecond * float64(time.Second)).Round(time.Second)
		}
		st.Identities = &p
	}
	for _, r := range []*run{s.walks.current, s.increments.current} {
		if r == nil {
			continue
		}
		job := r.status(now)
		if st.Identities != nil {
			job.Progress = append(job.Progress, *st.Identities)
		}
		st.Running = &job
		break
	}
	return st
}

// Job finds a run that waits, runs or is among the last that ended.
func (s *Syncer) Job(id string) (job status.Job, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.open() {
		if r.job.ID == id {
			return r.status(s.clock()), true
		}
	}
	for _, job := range s.last {
		if job.ID == id {
			job.Progress = slices.Clone(job.Progress)
			return job, true
		}
	}
	return status.Job{}, false
}
