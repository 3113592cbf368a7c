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
	// expected is how many records there will be; 0 where only their times say
	// how much is left, negative where nothing does.
	expected int64
	// behind is true while more is to come at once.
	behind bool

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
	case t.expected != 0:
		if t.expected > 0 && p.RecordsPerSecond > 0 {
			left := float64(max(0, t.expected-t.records)) / p.RecordsPerSecond
			p.Remaining = time.Duration(left * float64(time.Second)).Round(time.Second)
		}
	case t.pages > 1 && read > 0 && took > 0:
		left := max(0, now.Add(-exportLag).Sub(t.newest))
		p.Remaining = time.Duration(left.Seconds() / read.Seconds() * float64(took)).Round(time.Second)
	}
	return p
}

// begin notes that something is being read, maybe again.
func (s *Syncer) begin(t *track) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.started.IsZero() {
		t.started = s.clock()
	}
	t.ended = time.Time{}
}

// end notes that it was read to its end.
func (s *Syncer) end(t *track) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.ended, t.done, t.behind = s.clock(), true, false
}

// expect says how much there is to be read: see track.expected.
func (s *Syncer) expect(t *track, records int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.expected = records
}

// expectMore says that there is more to be read than was known.
func (s *Syncer) expectMore(t *track, records int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.expected += int64(records)
}

// further is a run's track of something that it reads beside its streams.
func (s *Syncer) further(r *run, name string) *track {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range r.further {
		if t.stream == name {
			return t
		}
	}
	t := &track{stream: name, started: s.clock(), expected: -1}
	r.further = append(r.further, t)
	return t
}

// read notes that objects were read by their ids.
func (s *Syncer) read(t *track, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.pages++
	t.records += int64(n)
}

// saw notes a page of a run.
func (s *Syncer) saw(r *run, t *track, p *Page) {
	if s.sawIt(r, t, p) {
		s.log.Warn("records that cannot be read: the mirror does without them",
			slog.String("job", r.job.ID), slog.String("stream", t.stream), slog.Int("on_this_page", p.Skipped))
	}
}

// sawIt counts a page, and tells whether its unreadable records are the run's
// first.
func (s *Syncer) sawIt(r *run, t *track, p *Page) (first bool) {
	newest := newestOf(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	t.pages++
	t.records += int64(records(p))
	t.behind = !p.End
	if t.oldest.IsZero() {
		t.oldest = newest
	}
	t.newest = later(t.newest, newest)
	s.skipped += uint64(p.Skipped)
	first = p.Skipped > 0 && !r.warned
	r.warned = r.warned || first
	for _, example := range p.Unreadable {
		if slices.Contains(s.unreadable, example) {
			continue
		}
		if len(s.unreadable) == keptUnreadable {
			s.unreadable = slices.Delete(s.unreadable, 0, 1)
		}
		s.unreadable = append(s.unreadable, example)
	}
	return first
}

// CatchingUp tells whether more of Zendesk's changes are known to be there than
// have been read: while a stream has never been read to its end, after a start
// until the first increment has ended well, where one is due within minutes,
// while an increment has more pages before it, and after one that failed. What
// can wait should wait then.
func (s *Syncer) CatchingUp() bool {
	if !s.store.Streams().Filled() {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.increments.current; r != nil {
		for _, l := range r.legs {
			if l.track.behind {
				return true
			}
		}
	}
	return s.lagging || s.awaited
}

// tracks are all that a run reads: its streams first.
func (r *run) tracks() []*track {
	return append([]*track{r.legs[0].track, r.legs[1].track}, r.further...)
}

// status is the run as it is told, now.
func (r *run) status(now time.Time) status.Job {
	job := r.job
	for _, t := range r.tracks() {
		job.Progress = append(job.Progress, t.progress(now))
	}
	return job
}

// snapshot is a run as it is told, at this moment.
func (s *Syncer) snapshot(r *run) status.Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	return r.status(s.clock())
}

// Status is a copy of the state of the upkeep. While an increment and a walk
// run beside each other, the walk is the one told as running. LastError knows
// this process alone; before its first good run, LastSuccess is the moment up to
// which the older of the streams was read by whoever did it last.
func (s *Syncer) Status() status.Sync {
	next := s.nextRun()
	due := s.store.Size().IdentitiesDue
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	st := status.Sync{
		NextRun: next, LastSuccess: s.success, LastError: s.lastError,
		Unreadable: slices.Clone(s.unreadable), SkippedRecords: s.skipped,
		Sample: s.sampleStatus(now), Notices: s.notices.status(), Round: s.round,
	}
	if streams := s.store.Streams(); st.LastSuccess.IsZero() && streams.Filled() {
		st.LastSuccess = earlier(streams.Users.Watermark, streams.Tickets.Watermark).Add(exportLag)
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
	if e := s.errands.find(func(e *errand) bool { return e.job.ID == id }); e != nil {
		return e.status(s.clock()), true
	}
	for _, job := range s.last {
		if job.ID == id {
			job.Progress = slices.Clone(job.Progress)
			return job, true
		}
	}
	return status.Job{}, false
}
