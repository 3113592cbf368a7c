package proxy

import (
	"net/http"
	"strconv"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/status"
)

func (s *Server) purge(c *call) error {
	return s.act(c, "memory", func(a *acted) error {
		s.o.Resolver.Purge()
		a.code = http.StatusNoContent
		return nil
	})
}

// The answer of /v1/admin/sync. A time that is not known is "".
type (
	syncJSON struct {
		Running     bool                  `json:"running"`
		Job         *jobJSON              `json:"job,omitempty"` // the one that runs
		Last        []jobJSON             `json:"last"`          // newest first
		NextRun     string                `json:"next_run"`
		LastSuccess string                `json:"last_success"`
		LastError   string                `json:"last_error"`
		Identities  *progressJSON         `json:"identities,omitempty"` // being read beside the runs
		Unreadable  []string              `json:"unreadable_phones"`    // masked examples
		Skipped     uint64                `json:"skipped_records"`
		Streams     map[string]streamJSON `json:"streams"`
		Sample      sampleJSON            `json:"sample"`
		Notices     noticesJSON           `json:"notices"`
		Round       roundJSON             `json:"round"`
	}
	jobJSON struct {
		ID       string         `json:"id"`
		Mode     string         `json:"mode"`
		Trigger  string         `json:"trigger"`
		State    string         `json:"state"`
		Started  string         `json:"started"`
		Ended    string         `json:"ended"`
		Error    string         `json:"error"`
		Progress []progressJSON `json:"progress"`
		// RemovedUsers and RemovedTickets are what a full run has taken out.
		RemovedUsers   int64 `json:"removed_users"`
		RemovedTickets int64 `json:"removed_tickets"`
		// Differences are the first that a comparison has found, of
		// DifferenceCount, in DifferingObjects records.
		Differences      []differenceJSON `json:"differences"`
		DifferenceCount  int64            `json:"difference_count"`
		DifferingObjects int64            `json:"differing_objects"`
	}
	differenceJSON struct {
		Stream string `json:"stream"`
		ID     string `json:"id"`
		Field  string `json:"field"`
		Since  string `json:"since"`
	}
	progressJSON struct {
		Stream           string  `json:"stream"`
		Pages            int64   `json:"pages"`
		Records          int64   `json:"records"`
		RecordsPerSecond float64 `json:"records_per_second"`
		Position         string  `json:"position"`
		RemainingSeconds int64   `json:"remaining_seconds"` // -1 where nobody can tell
		Done             bool    `json:"done"`
	}
	streamJSON struct {
		Complete   bool   `json:"complete"`
		Watermark  string `json:"watermark"`
		AgeSeconds int64  `json:"age_seconds"` // -1 before the first end
	}
	sampleJSON struct {
		Checked       uint64  `json:"checked"`
		Differ        uint64  `json:"differ"`
		Behind        uint64  `json:"behind"`
		Share         float64 `json:"share"`
		OldestSeconds int64   `json:"oldest_difference_seconds"`
		At            string  `json:"at"`
	}
	noticesJSON struct {
		Received uint64 `json:"received"`
		Merged   uint64 `json:"merged"`
		Dropped  uint64 `json:"dropped"`
		Fetched  uint64 `json:"fetched"`
		Failed   uint64 `json:"failed"`
		Waiting  int    `json:"waiting"`
		Last     string `json:"last"`
	}
	roundJSON struct {
		Began string `json:"began"`
		Read  uint64 `json:"read"`
		Ended string `json:"ended"`
	}
)

// syncState tells of the upkeep, or of one job where one is asked for.
func (s *Server) syncState(c *call) error {
	in, err := s.read(c)
	if err != nil {
		return err
	}
	if in.given(paramJob) {
		job, ok := s.o.Mirror.Job(in.optional(paramJob))
		if !ok {
			return errNotFound("there is no job of this id among those that run, wait or ended last")
		}
		return c.json(http.StatusOK, newJobJSON(&job))
	}
	state, streams := s.o.Mirror.Status(), s.o.Directory.Streams()
	j := syncJSON{
		Running: state.Running != nil, Last: make([]jobJSON, 0, len(state.Last)),
		NextRun: moment(state.NextRun), LastSuccess: moment(state.LastSuccess), LastError: state.LastError,
		Unreadable: append([]string{}, state.Unreadable...), Skipped: state.SkippedRecords,
		Sample: newSampleJSON(&state.Sample), Notices: newNoticesJSON(&state.Notices), Round: newRoundJSON(&state.Round),
		Streams: map[string]streamJSON{
			string(caller.Users):   s.streamJSON(streams.Users),
			string(caller.Tickets): s.streamJSON(streams.Tickets),
		},
	}
	if state.Running != nil {
		running := newJobJSON(state.Running)
		j.Job = &running
	}
	if state.Identities != nil {
		identities := newProgressJSON(state.Identities)
		j.Identities = &identities
	}
	for i := range state.Last {
		j.Last = append(j.Last, newJobJSON(&state.Last[i]))
	}
	return c.json(http.StatusOK, j)
}

func newJobJSON(j *status.Job) jobJSON {
	out := jobJSON{
		ID: j.ID, Mode: j.Mode, Trigger: j.Trigger, State: j.State,
		Started: moment(j.Started), Ended: moment(j.Ended), Error: j.Error,
		Progress:     make([]progressJSON, 0, len(j.Progress)),
		RemovedUsers: j.RemovedUsers, RemovedTickets: j.RemovedTickets,
		Differences:     make([]differenceJSON, 0, len(j.Differences)),
		DifferenceCount: j.DifferenceCount, DifferingObjects: j.DifferingObjects,
	}
	for _, d := range j.Differences {
		out.Differences = append(out.Differences, differenceJSON{
			Stream: d.Stream, ID: strconv.FormatInt(d.ID, 10), Field: d.Field, Since: moment(d.Since),
		})
	}
	for i := range j.Progress {
		out.Progress = append(out.Progress, newProgressJSON(&j.Progress[i]))
	}
	return out
}

func newProgressJSON(p *status.Progress) progressJSON {
	remaining := int64(-1)
	if p.Remaining >= 0 {
		remaining = int64(p.Remaining / time.Second)
	}
	return progressJSON{
		Stream: p.Stream, Pages: p.Pages, Records: p.Records, RecordsPerSecond: p.RecordsPerSecond,
		Position: moment(p.Position), RemainingSeconds: remaining, Done: p.Done,
	}
}

func newSampleJSON(m *status.Sample) sampleJSON {
	return sampleJSON{
		Checked: m.Checked, Differ: m.Differ, Behind: m.Behind, Share: m.Share, OldestSeconds: ageSeconds(m.Oldest), At: moment(m.At),
	}
}

func newNoticesJSON(n *status.Notices) noticesJSON {
	return noticesJSON{
		Received: n.Received, Merged: n.Merged, Dropped: n.Dropped, Fetched: n.Fetched, Failed: n.Failed, Waiting: n.Waiting, Last: moment(n.Last),
	}
}

func newRoundJSON(r *status.Round) roundJSON {
	return roundJSON{Began: moment(r.Began), Read: r.Read, Ended: moment(r.Ended)}
}

func (s *Server) streamJSON(p caller.Position) streamJSON {
	return streamJSON{Complete: p.Complete, Watermark: moment(p.Watermark), AgeSeconds: streamAge(s.clock(), p)}
}

// streamAge is how far a stream is behind Zendesk, in seconds; -1 while it has
// never reached its end.
func streamAge(now time.Time, p caller.Position) int64 {
	if p.Watermark.IsZero() {
		return -1
	}
	return ageSeconds(now.Sub(p.Watermark))
}

// moment is a time as RFC 3339 in UTC, "" where it is not known.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
