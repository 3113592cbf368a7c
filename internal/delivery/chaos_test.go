package delivery

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"aniproxy/internal/outbox"
	"aniproxy/internal/zendesk/zendesktest"
)

// misfortunes are what may happen to a request. A late write lands up to late
// after its client has gone.
func misfortunes(rng *rand.Rand, late time.Duration, conflicts bool) zendesktest.Fault {
	after := time.Duration(rng.Int64N(int64(late)))
	all := []zendesktest.Fault{
		{Method: "PUT", LateWrite: true, Delay: after},
		{Method: "PUT", LateWrite: true, Delay: after / 10},
		{Method: "PUT", Perform: true, Reset: true},
		{Method: "PUT", Perform: true, Hang: true},
		{Method: "PUT", Perform: true, Status: 500, Body: "{}"},
		{Method: "PUT", Perform: true, HTML: true},
		{Method: "PUT", Perform: true, Garbage: true},
		{Method: "PUT", CutBodyAt: 30},
		{Method: "PUT", Reset: true},
		{Method: "PUT", Hang: true},
		{Method: "PUT", Delay: 15 * time.Second},
		{Method: "PUT", Status: 429, Header: http.Header{"Retry-After": {"3"}}, Body: `{"error":"TooManyRequests"}`},
		{Method: "PUT", Status: 503},
		{Method: "POST", Path: "/api/v2/tickets", LateWrite: true, Delay: after},
		{Method: "POST", Path: "/api/v2/tickets", Perform: true, Reset: true},
		{Method: "POST", Path: "/api/v2/tickets", Hang: true},
		{Method: "POST", Path: "/api/v2/tickets", Perform: true, Garbage: true},
		{Method: "GET", Path: "/api/v2/tickets/", Status: 500, Body: "{}"},
		{Method: "GET", Path: "/api/v2/tickets/", Reset: true},
		{Method: "GET", Path: "/api/v2/tickets/", Garbage: true},
		{Method: "GET", Path: "/api/v2/tickets/*/audits", Delay: 5 * time.Second},
	}
	if conflicts {
		all = append(all, zendesktest.Fault{Method: "PUT", Status: 409, Body: `{"error":"UpdateConflict"}`})
	}
	f := all[rng.IntN(len(all))]
	f.Count = 1
	return f
}

// Everything at once: requests that fail in every way, late writes, agents at
// work on the same tickets, tickets that are closed, and kills, by many seeds.
// In the end every comment is there once and in order, and every ticket once.
func TestKillWhileEverythingGoesWrong(t *testing.T) {
	accounts := []struct {
		name   string
		late   time.Duration
		change func(*zendesktest.Options)
	}{
		// Here nothing hangs on when a late write lands.
		{"the stamp is heeded", 10 * time.Minute, nil},
		// Here the audits alone protect, against what lands before the retry.
		{"the stamp is not heeded", 20 * time.Second, func(o *zendesktest.Options) { o.SafeUpdateIgnoresComments = true }},
	}
	for _, account := range accounts {
		seeds := uint64(3)
		if os.Getenv("ANIPROXY_LONG") != "" {
			seeds = 300
		}
		for seed := range seeds {
			t.Run(fmt.Sprintf("%s, seed %d", account.name, seed), func(t *testing.T) {
				inBubble(t, account.change, func(w *world) { everythingGoesWrong(w, seed, account.late, account.change == nil) })
			})
		}
	}
}

func everythingGoesWrong(w *world, seed uint64, late time.Duration, conflicts bool) {
	rng := rand.New(rand.NewPCG(seed, 17))
	var tickets, requesters []int64
	want := map[int64][]string{}
	var created []string
	for range 6 {
		ticketID, requester := w.ticket("open")
		tickets, requesters = append(tickets, ticketID), append(requesters, requester)
	}
	accept := func() {
		if rng.IntN(4) == 0 {
			created = append(created, w.accept(outbox.Record{Kind: outbox.Ticket, UserID: requesters[rng.IntN(6)], Subject: "Call"}))
			return
		}
		ticketID := tickets[rng.IntN(6)]
		want[ticketID] = append(want[ticketID], w.comment(ticketID))
	}
	for range 12 {
		accept()
	}
	for range 12 { // lives of a daemon
		m := &mortal{Outbox: w.outbox, Desk: w.desk, diesA: 1 + rng.IntN(80)}
		o := w.real()
		o.Outbox, o.Desk, o.Rand, o.Grace = m, m, w.rand(rng), time.Millisecond
		c, end := w.start(o)
		for range 5 {
			w.sim.Fail(misfortunes(rng, late, conflicts))
		}
		for range 20 {
			<-time.After(time.Duration(rng.IntN(10_000)) * time.Millisecond)
			if rng.IntN(4) == 0 {
				accept()
				c.Wake()
			}
			if rng.IntN(4) == 0 {
				if err := w.sim.AddComment(tickets[rng.IntN(6)], "from an agent", true); err != nil {
					w.t.Error(err)
				}
			}
			if m.isDead() {
				break
			}
		}
		end()
	}
	w.sim.ClearFaults()
	_, end := w.start(w.real())
	w.await(w.settled)
	<-time.After(2 * late) // and whatever is still on its way
	end()
	for ticketID, ids := range want {
		w.expect(ticketID, ids...)
	}
	made := map[string]int{}
	for _, requester := range requesters {
		for _, ticket := range w.sim.Truth().TicketsOf(requester) {
			if ticket.Subject == "Call" {
				made["all"]++
			}
		}
	}
	if made["all"] != len(created) {
		w.t.Errorf("%d tickets were created, want %d", made["all"], len(created))
	}
	landed := map[int64]bool{}
	for _, id := range created {
		landed[w.record(id).Landed] = true
	}
	if len(landed) != len(created) || landed[0] {
		w.t.Errorf("%d records landed in %d tickets", len(created), len(landed))
	}
	if s := w.outbox.Status(); s.Failed != 0 {
		w.t.Errorf("%d failed", s.Failed)
	}
	for _, body := range bodies(want, created) {
		if strings.Contains(w.log.String(), body) {
			w.t.Error("the log tells what was written")
		}
	}
}

func bodies(want map[int64][]string, created []string) (all []string) {
	for _, ids := range want {
		all = append(all, ids...)
	}
	all = append(slices.Clone(created), all...)
	for i, id := range all {
		all[i] = "body of " + id
	}
	return all
}
