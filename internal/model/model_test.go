package model

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"aniproxy/internal/caller"
	"aniproxy/internal/privacytest"
	"aniproxy/internal/status"
	"aniproxy/internal/zendesk/zendesktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(written.Around(m)) }

// written is what the tests of this package have logged, and about whom.
var written = privacytest.New()

var (
	seedFlag  = flag.Uint64("model.seed", 0, "first seed; 0 draws one")
	editsFlag = flag.Int("model.edits", 0, "edits altogether; 0 is 10,000 (1,000 with the race detector), or 1,000,000 with ANIPROXY_LONG=1")
)

const (
	// editsOfAWorld: then a fresh account begins, with the next seed. What was
	// solved long ago makes an account larger and a run slower, and nothing
	// truer.
	editsOfAWorld = 1_000
	people        = 60
	numbers       = 40
	lookers       = 3
)

// TestTheMirrorIsAlwaysTrue edits an account at random while webhooks are
// lost, doubled, delayed and reordered, exports overlap, answers come late,
// Zendesk fails and the daemon is killed: no answer of any lookup is older than
// it says, and after the last sync the mirror is what Zendesk is.
func TestTheMirrorIsAlwaysTrue(t *testing.T) {
	total, seed := *editsFlag, *seedFlag
	if total == 0 {
		total = defaultEdits
		if os.Getenv("ANIPROXY_LONG") == "1" {
			total = 1_000_000
		}
	}
	if seed == 0 {
		seed = rand.Uint64() >> 16
	}
	for done := 0; done < total; done += editsOfAWorld {
		seed, count := seed+uint64(done/editsOfAWorld), min(editsOfAWorld, total-done)
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { story(t, seed, count) })
			if t.Failed() {
				t.Logf("again: go test ./internal/model -run TheMirrorIsAlwaysTrue -model.seed %d -model.edits %d", seed, count)
			}
		})
	}
}

// story is one account from its first fill to its last sync.
func story(t *testing.T, seed uint64, count int) {
	rng := rand.New(rand.NewPCG(seed, 1))
	w := newWorld(t, seed, zendesktest.WebhookOptions{
		DuplicateEvery: 2 + rng.IntN(9), LoseEvery: 2 + rng.IntN(9), Reorder: rng.IntN(2) == 0,
		SlashTypes: rng.IntN(2) == 0, Delay: time.Duration(rng.IntN(90)) * time.Second,
	}, people)
	defer w.sim.Close()
	w.lateness.Store(int64(time.Duration(1+rng.IntN(40)) * time.Second))

	var asked, found, faults atomic.Int64
	stop := make(chan struct{})
	var looking sync.WaitGroup
	for i := range lookers {
		looking.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(i)+100))
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Duration(rng.Int64N(int64(20 * time.Second)))):
				}
				asked.Add(1)
				a, wrong := w.look(rng)
				if a.Outcome == caller.Found || a.Outcome == caller.Ambiguous {
					found.Add(1)
				}
				for _, fault := range wrong {
					if faults.Add(1) < 6 {
						t.Errorf("seed %d: %s", seed, fault)
					}
				}
			}
		})
	}
	e := newEditor(w, rng, numbers)
	for i := 0; i < count && faults.Load() < 6; i++ {
		e.next()
		w.disturb(rng)
		switch rng.IntN(12) {
		case 0, 1, 2:
			w.reread(e.someone())
		case 3:
			for _, fault := range w.overtake(e, rng) {
				t.Errorf("seed %d: %s", seed, fault)
				faults.Add(1)
			}
		}
		pause(between(rng))
	}
	close(stop)
	looking.Wait()
	w.settle(seed)
	for i, fault := range w.compare(false) {
		if i < 6 {
			t.Errorf("seed %d, after the last sync: %s", seed, fault)
		}
	}
	if found.Load() < asked.Load()/4 {
		t.Errorf("of %d lookups %d found somebody: hardly anything was held against the history", asked.Load(), found.Load())
	}
	t.Logf("%d edits of %d kinds, %d lookups, %d people and %d tickets at the end", count, len(w.history.kinds), asked.Load(),
		len(w.history.users), len(w.history.tickets))
	if t.Failed() {
		t.Logf("the daemon's log ends:\n%s", tail(w.log.String(), 6000))
	}
	w.crash()
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// between is the pause after an edit: mostly seconds, sometimes none, now and
// then long enough for everything to come to rest.
func between(rng *rand.Rand) time.Duration {
	switch n := rng.IntN(100); {
	case n < 25:
		return 0
	case n < 50:
		return time.Duration(rng.Int64N(int64(time.Second)))
	case n < 90:
		return time.Duration(rng.Int64N(int64(12 * time.Second)))
	default:
		return time.Duration(rng.Int64N(int64(3 * time.Minute)))
	}
}

// look asks who has a number, as a flow does, and holds the answer against the
// history.
func (w *world) look(rng *rand.Rand) (a caller.Answer, faults []string) {
	number := fmt.Sprintf("+1513555%04d", rng.IntN(numbers+2))
	if last := w.lastRead.Load(); last != nil && rng.IntN(2) == 0 {
		number = *last
	}
	return w.ask(caller.Query{ANI: number, WithTickets: rng.IntN(4) == 0, Fresh: rng.IntN(8) == 0})
}

// ask does a lookup and holds its answer against the history.
func (w *world) ask(q caller.Query) (a caller.Answer, faults []string) {
	var watermark, before, after time.Time
	w.use(1, func() {
		watermark, before = w.daemon.store.Streams().Users.Watermark, time.Now()
		a = w.daemon.resolver.Lookup(w.t.Context(), q)
		after = time.Now()
	})
	faults = w.check(q.ANI, q.WithTickets, a, watermark, before, after)
	for i := range faults {
		faults[i] = fmt.Sprintf("at %s %s from %s, age %s, stale %v: %s", after.Format(clockTime), a.Outcome, a.Source, a.Age, a.Stale, faults[i])
	}
	return a, faults
}

// disturb does what goes wrong beside the edits.
func (w *world) disturb(rng *rand.Rand) {
	switch n := rng.IntN(1000); {
	case n < 4:
		w.use(users, w.crash)
		pause(time.Duration(rng.Int64N(int64(5 * time.Minute))))
		w.use(users, w.start)
	case n < 8:
		w.sim.Down(true)
		pause(time.Duration(rng.Int64N(int64(10 * time.Minute))))
		w.sim.Down(false)
	case n < 30:
		w.sim.Fail(zendesktest.Fault{Path: pick(rng, paths), Count: 1 + rng.IntN(3), Status: pick(rng, []int{429, 500, 503})})
	case n < 45:
		w.sim.Fail(zendesktest.Fault{Path: pick(rng, paths), Count: 1, CutBodyAt: 1 + rng.IntN(500)})
	case n < 50:
		w.request(pick(rng, []string{"full", "verify", "incremental"}))
	case n < 55:
		w.sim.RevokeTokens()
	}
}

var paths = []string{"/api/v2/incremental/users", "/api/v2/incremental/tickets", "/api/v2/users/show_many", "/api/v2/tickets/show_many", "/api/v2/search", "/api/v2/users/*/tickets/requested"}

// overtake has one person read, changes them and a ticket of theirs meanwhile,
// and asks Zendesk for them once more: where the first reading's answer comes
// late, it is older than what is known by then.
func (w *world) overtake(e *editor, rng *rand.Rand) (faults []string) {
	id := e.someone()
	u, ok := w.sim.Truth().User(id)
	number := w.key(u.Phone)
	if !ok || number == "" {
		return nil
	}
	w.reread(id)
	pause(time.Duration(rng.Int64N(int64(2 * time.Second))))
	e.do("overtaken", func(sim *zendesktest.Server) (outcome, error) {
		e.made++
		touched := outcome{users: []int64{id}}
		if own := sim.Truth().TicketsOf(id); len(own) > 0 {
			t := pick(rng, own).ID
			if sim.SetTicketStatus(t, pick(rng, []string{"open", "pending", "solved"})) == nil {
				touched.tickets = []int64{t}
			}
		}
		if rng.IntN(2) == 0 {
			t, err := sim.CreateTicket(zendesktest.TicketSpec{Requester: id, Subject: fmt.Sprintf("Overtaken %d", e.made)})
			if err == nil {
				touched.tickets = append(touched.tickets, t)
				e.open = append(e.open, t)
			}
		}
		return touched, sim.SetName(id, fmt.Sprintf("Overtaken %d", e.made))
	})
	_, faults = w.ask(caller.Query{ANI: number, Fresh: true})
	pause(time.Duration(rng.Int64N(int64(10 * time.Second))))
	_, more := w.ask(caller.Query{ANI: number})
	return append(faults, more...)
}

// reread has one person read again, as an admin would, beside whatever goes on;
// lookups ask for their number meanwhile.
func (w *world) reread(id int64) {
	w.use(1, func() {
		// Refused where too many wait.
		_, _ = w.daemon.mirror.Start(status.Request{Mode: "user", UserID: id, Trigger: "test"})
	})
	if u, ok := w.sim.Truth().User(id); ok && w.key(u.Phone) != "" {
		number := w.key(u.Phone)
		w.lastRead.Store(&number)
	}
}

// request asks for a run and does not wait for it.
func (w *world) request(mode string) {
	w.use(1, func() {
		// Refused before the first fill, and that is right.
		_, _ = w.daemon.mirror.Start(status.Request{Mode: mode, Trigger: "test"})
	})
}

// settle ends all that goes wrong, and syncs for the last time.
func (w *world) settle(seed uint64) {
	w.sim.ClearFaults()
	w.lateness.Store(0)
	pause(2 * caller.SearchLag) // webhooks, the search index and the hidden minute come to rest
	// Two full runs: the first may be what is left of one that a fault ended,
	// and knows what was so when that began.
	for _, mode := range []string{"incremental", "full", "full"} {
		if job := w.run(mode); job.State != "done" {
			w.t.Errorf("the last %s run ended as %s: %s", mode, job.State, job.Error)
		}
		if mode == "incremental" {
			for i, fault := range w.compare(true) {
				if i < 6 {
					w.t.Errorf("seed %d, after the last increment: %s", seed, fault)
				}
			}
		}
	}
	for range 1000 {
		if w.daemon.store.Size().IdentitiesDue == 0 {
			return
		}
		pause(time.Minute)
	}
	w.t.Errorf("%d people's identities are still to be read", w.daemon.store.Size().IdentitiesDue)
}
