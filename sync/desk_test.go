package sync

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"aniproxy/internal/ani"
	"aniproxy/internal/caller"
	"aniproxy/internal/status"
	"aniproxy/internal/upstream"
	"aniproxy/internal/zendesk"
	"aniproxy/internal/zendesk/zendesktest"
	"aniproxy/store"
)

// desk is an account of the simulator, asked by the real client, over HTTP in
// memory, and mirrored into a real file.
type desk struct {
	*mirror
	sim  *zendesktest.Server
	path string
}

func newDesk(t *testing.T, users, tickets int) *desk {
	t.Helper()
	d := &desk{
		sim:  zendesktest.New(zendesktest.Options{Seed: 7, Users: users, Tickets: tickets, Limits: zendesktest.Ample()}),
		path: filepath.Join(t.TempDir(), "a.db"),
	}
	t.Cleanup(d.sim.Close)
	d.sim.Truth().Everybody(written.Person, written.Texts)
	d.start(t, nil)
	return d
}

// start opens the file and runs a Syncer on it; close undoes that.
func (d *desk) start(t *testing.T, change func(*Options)) {
	t.Helper()
	log := written.Logger(t.Name())
	numbers, err := ani.New("US")
	if err != nil {
		t.Fatal(err)
	}
	client, err := zendesk.New(zendesk.Config{
		BaseURL: "http://localhost", ClientID: zendesktest.DefaultClientID, ClientSecret: zendesktest.DefaultClientSecret,
		RatePerMinute: 10_000, Logger: log, Clock: time.Now, Rand: rand.Float64, Transport: d.sim.Transport(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	file, err := store.Open(store.Options{
		Path: d.path, Logger: log, KeepResolved: 168 * time.Hour, Key: numbers.Key, KeyRules: numbers.Fingerprint(), NoSync: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() }) // a second time where the test has closed it
	source := upstream.New(client, numbers, []string{"end-user"}, log)
	d.mirror = start(t, nil, &recorder{Store: file}, guarded, func(o *Options) {
		o.Source, o.Identities, o.Schedule = source, true, "@every 1m"
		if change != nil {
			change(o)
		}
	})
}

// crash ends it as a kill would: the file as the last commit left it.
func (d *desk) crash() {
	d.t.Helper()
	d.stop()
	if err := d.store.Close(); err != nil {
		d.t.Fatal(err)
	}
}

// wantTruth holds the mirror's ids against the account.
func (d *desk) wantTruth() {
	d.t.Helper()
	var users, tickets []int64
	for u := range d.sim.Truth().Users() {
		if u.Active {
			users = append(users, u.ID)
		}
	}
	for t := range d.sim.Truth().Tickets() {
		if t.Unresolved() {
			tickets = append(tickets, t.ID)
		}
	}
	slices.Sort(users)
	slices.Sort(tickets)
	d.holding(users, tickets)
}

// edit changes the account for some minutes.
func (d *desk) edit(rng *rand.Rand, minutes int) {
	for range minutes * 6 {
		d.sim.RandomEdit(rng)
		<-time.After(10 * time.Second)
	}
}

func TestAgainstTheSimulator(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		d := newDesk(t, 200, 500)
		d.wantState(d.run(""), "done")
		d.wantTruth()
		if n := d.sim.Count("GET /api/v2/search/export"); n == 0 {
			t.Errorf("the first fill did not search: %v", d.sim.Requests())
		}
		rng := rand.New(rand.NewPCG(1, 2))
		d.edit(rng, 10)

		// Whole runs, comparisons and crashes in between, while it changes.
		for round := range 3 {
			mode := []string{"full", "verify"}[round%2]
			id := d.ask(mode)
			d.edit(rng, 2)
			if round%3 == 2 {
				d.crash()
				d.edit(rng, 20)
				d.start(t, nil)
				continue
			}
			job := d.await(id)
			d.wantState(job, "done")
			if len(job.Differences) > 0 {
				t.Errorf("round %d: differences %+v", round, job.Differences)
			}
		}
		<-time.After(10 * time.Minute)
		d.wantState(d.run("full"), "done")
		d.wantState(d.run(""), "done")
		d.wantTruth()
		if job := d.run("verify"); job.State != "done" || job.DifferenceCount != 0 {
			t.Errorf("at the end: %s %q, differences %+v", job.State, job.Error, job.Differences)
		}
	})
}

// TestVanishedAtTheSimulator: two of whom no export tells any more, and what
// the mirror was never told of.
func TestVanishedAtTheSimulator(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		d := newDesk(t, 300, 600)
		d.wantState(d.run(""), "done")
		<-time.After(time.Hour)
		ids, err := d.store.IDs(caller.Users, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		gone := ids[100:102]
		for _, id := range gone {
			if err := d.sim.Vanish(id); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(time.Hour)
		held, err := d.store.IDs(caller.Users, gone[0]-1, 1)
		if err != nil || held[0] != gone[0] {
			t.Fatalf("an increment has found out: %v, %v", held, err)
		}
		job := d.run("verify")
		var told []string
		for _, diff := range job.Differences {
			told = append(told, fmt.Sprint(diff.Stream, " ", diff.ID, " ", diff.Field))
		}
		if want := []string{fmt.Sprint("users ", gone[0], " extra"), fmt.Sprint("users ", gone[1], " extra")}; !slices.Equal(told, want) {
			t.Errorf("told %v, want %v", told, want)
		}
		full := d.run("full")
		d.wantState(full, "done")
		if full.RemovedUsers != 2 || full.RemovedTickets != 0 {
			t.Errorf("%d users and %d tickets were taken out", full.RemovedUsers, full.RemovedTickets)
		}
		d.wantTruth()
	})
}

// TestCredentialsThatSeeNobody must not empty the mirror.
func TestCredentialsThatSeeNobody(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		d := newDesk(t, 300, 600)
		d.wantState(d.run(""), "done")
		size := d.store.Size()
		<-time.After(time.Hour)
		for id := range d.sim.Truth().Users() {
			if id.Role == "end-user" {
				_ = d.sim.Vanish(id.ID) // who cannot be has a ticket
			}
		}
		id, err := d.Start(status.Request{Mode: "full"})
		if err != nil {
			t.Fatal(err)
		}
		d.wantState(d.await(id), "failed")
		if got := d.store.Size(); got.Users != size.Users || got.Tickets != size.Tickets {
			t.Errorf("left are %+v of %+v", got, size)
		}
	})
}
