package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

type resyncCommand struct {
	Full   bool   `xor:"mode" help:"Walk everything from the beginning, and take out what Zendesk does not have any more."`
	Verify bool   `xor:"mode" help:"Compare the whole mirror with Zendesk, change nothing, and tell each difference by id and field; exits 1 where there are any."`
	Force  bool   `help:"With --full: take out more than sync.delete_guard allows."`
	User   *int64 `xor:"mode" help:"Read one person again, by their Zendesk id." placeholder:"ID"`
	ANI    string `name:"ani" xor:"mode" help:"Read everybody again who has a number, in any spelling." placeholder:"ANI"`
	Follow bool   `help:"Stay until it has ended, and say how far it is; --verify, --user and --ani always do."`
	daemon
}

// request is what the daemon is asked for.
func (k *resyncCommand) request() (map[string]any, error) {
	r := map[string]any{"mode": "incremental"}
	switch {
	case k.Full:
		r["mode"] = "full"
	case k.Verify:
		r["mode"] = "verify"
	case k.User != nil && *k.User <= 0:
		return nil, &exit{code: exitUsage, text: "--user is a Zendesk id, a number above 0; `aniproxy lookup` shows it behind the name"}
	case k.User != nil:
		r["mode"], r["user_id"] = "user", strconv.FormatInt(*k.User, 10)
	case k.ANI != "":
		r["mode"], r["ani"] = "user", k.ANI
	}
	if k.Force {
		if !k.Full {
			return nil, &exit{code: exitUsage, text: "--force goes with --full: it takes out more than sync.delete_guard allows"}
		}
		r["force"] = true
	}
	return r, nil
}

// follows tells whether the command stays until the run has ended.
func (k *resyncCommand) follows() bool { return k.Follow || k.Verify || k.User != nil || k.ANI != "" }

// syncJob is the part of a job of /v1/admin/sync that is read here.
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
	RemovedUsers    int64 `json:"removed_users"`
	RemovedTickets  int64 `json:"removed_tickets"`
	DifferenceCount int64 `json:"difference_count"`
	Differing       int64 `json:"differing_objects"`
	Differences     []struct {
		Stream string `json:"stream"`
		ID     string `json:"id"`
		Field  string `json:"field"`
		Since  string `json:"since"`
	} `json:"differences"`
}

// followEvery is how often the daemon is asked for the progress.
const followEvery = time.Second

func (k *resyncCommand) Run(c *console) error {
	request, err := k.request()
	if err != nil {
		return err
	}
	var started struct {
		JobID string `json:"job_id"`
	}
	if _, err := k.ask(c.ctx, http.MethodPost, "/v1/admin/resync", request, &started); err != nil {
		return err
	}
	c.printf("job %s\n", started.JobID)
	if job, err := k.job(c.ctx, started.JobID); err == nil && job.Mode != request["mode"] {
		c.printf("that is a run of mode %s which is under way already; ask again once it has ended\n", job.Mode)
	}
	if !k.follows() {
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
			return job.told(c)
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

// job asks how far a job is. One that the daemon does not know was another
// daemon's: it has started again meanwhile.
func (k *resyncCommand) job(ctx context.Context, id string) (syncJob, error) {
	var job syncJob
	if _, err := k.ask(ctx, http.MethodGet, "/v1/admin/sync?job="+url.QueryEscape(id), nil, &job); err != nil {
		return syncJob{}, fmt.Errorf("the run cannot be followed (a daemon that has started again does not know it): %w", err)
	}
	return job, nil
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

// told says what a run that has ended well has found. Differences are what a
// comparison was asked for, and still a failure: a script sees it by the code.
func (j *syncJob) told(c *console) error {
	if j.RemovedUsers+j.RemovedTickets > 0 || j.Mode == "full" {
		c.printf("taken out, since Zendesk does not have them any more: %d users, %d tickets\n", j.RemovedUsers, j.RemovedTickets)
	}
	if j.Mode != "verify" {
		return nil
	}
	if j.DifferenceCount == 0 {
		c.printf("no difference: the mirror is what Zendesk is\n")
		return nil
	}
	for _, d := range j.Differences {
		since := ""
		if d.Since != "" {
			since = "  changed at Zendesk " + d.Since
		}
		c.printf("%-8s%-16s %s%s\n", d.Stream, d.ID, d.Field, since)
	}
	if more := j.DifferenceCount - int64(len(j.Differences)); more > 0 {
		c.printf("and %d more\n", more)
	}
	return &exit{code: exitFailed, text: fmt.Sprintf("%d differences in %d objects; resync --full mends what it finds older or gone", j.DifferenceCount, j.Differing)}
}
