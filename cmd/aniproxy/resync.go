package main

import (
	"context"
	"net/http"
	"time"
)

type resyncCommand struct {
	Full   bool `help:"Walk everything from the beginning, not only what is new."`
	Follow bool `help:"Stay until it has ended, and say how far it is."`
	daemon
}

// syncState is the part of /v1/admin/sync that is read here.
type syncState struct {
	Job  *syncJob  `json:"job"` // the one that runs
	Last []syncJob `json:"last"`
}

type syncJob struct {
	ID       string `json:"id"`
	Mode     string `json:"mode"`
	State    string `json:"state"`
	Error    string `json:"error"`
	Progress []struct {
		Stream  string `json:"stream"`
		Pages   int64  `json:"pages"`
		Records int64  `json:"records"`
		Done    bool   `json:"done"`
	} `json:"progress"`
}

// followEvery is how often the daemon is asked for the progress.
const followEvery = time.Second

func (k *resyncCommand) Run(c *console) error {
	mode := "incremental"
	if k.Full {
		mode = "full"
	}
	var started struct {
		JobID string `json:"job_id"`
	}
	if _, err := k.ask(c.ctx, http.MethodPost, "/v1/admin/resync", map[string]string{"mode": mode}, &started); err != nil {
		return err
	}
	c.printf("job %s\n", started.JobID)
	if !k.Follow {
		c.printf("--follow stays and shows how far it is\n")
		return nil
	}
	return k.follow(c, started.JobID)
}

// follow prints how far the job is until it has ended. An interrupt ends the
// following, not the job.
func (k *resyncCommand) follow(c *console, id string) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		job, err := k.job(c.ctx, id)
		if err != nil {
			return err
		}
		job.print(c)
		switch job.State {
		case "done":
			return nil
		case "failed", "cancelled":
			return &exit{code: exitFailed, text: "the run ended as " + job.State + ": " + job.Error}
		}
		select {
		case <-tick.C:
		case <-c.ctx.Done():
			return &exit{code: exitFailed, text: "no longer following; the run goes on"}
		}
	}
}

func (k *resyncCommand) job(ctx context.Context, id string) (syncJob, error) {
	var s syncState
	if _, err := k.ask(ctx, http.MethodGet, "/v1/admin/sync", nil, &s); err != nil {
		return syncJob{}, err
	}
	if s.Job != nil && s.Job.ID == id {
		return *s.Job, nil
	}
	for _, j := range s.Last {
		if j.ID == id {
			return j, nil
		}
	}
	return syncJob{ID: id, State: "waiting"}, nil // behind the one that runs
}

func (j *syncJob) print(c *console) {
	c.printf("%s", j.State)
	for _, p := range j.Progress {
		done := ""
		if p.Done {
			done = ", done"
		}
		c.printf("  %s: %d records on %d pages%s", p.Stream, p.Records, p.Pages, done)
	}
	c.printf("\n")
}
