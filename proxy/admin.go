package proxy

import (
	"net/http"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/status"
)

// modeIncremental is what a resync is where nobody says otherwise.
const modeIncremental = "incremental"

// resync starts a run of the mirror's upkeep. An empty body asks for the
// usual one.
func (s *Server) resync(c *call) error {
	var in params
	if c.Request().ContentLength != 0 {
		var err error
		if in, err = s.read(c); err != nil {
			return err
		}
	}
	request := status.Request{Mode: in.optional(paramMode), Trigger: "request"}
	switch {
	case in[paramMode].kind == unreadable:
		request.Mode = "unreadable" // which no mirror knows, and says so with those it knows
	case request.Mode == "":
		request.Mode = modeIncremental
	}
	jobID, err := s.o.Mirror.Start(request)
	if err != nil {
		return err
	}
	return c.json(http.StatusAccepted, map[string]string{"job_id": jobID})
}

func (s *Server) purge(c *call) error {
	s.o.Resolver.Purge()
	return c.NoContent(http.StatusNoContent)
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
		Streams     map[string]streamJSON `json:"streams"`
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
)

func (s *Server) syncState(c *call) error {
	state, streams := s.o.Mirror.Status(), s.o.Directory.Streams()
	j := syncJSON{
		Running: state.Running != nil, Last: make([]jobJSON, 0, len(state.Last)),
		NextRun: moment(state.NextRun), LastSuccess: moment(state.LastSuccess), LastError: state.LastError,
		Unreadable: append([]string{}, state.Unreadable...),
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
		Progress: make([]progressJSON, 0, len(j.Progress)),
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
