//go:build !race

package model

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/zendesk/zendesktest"
)

// TestHowSoonAnEditIsHeard measures, by the bubble's clock, the time from an
// edit to the first lookup that shows it: with webhooks that take up to three
// seconds to come, as Zendesk's do, and by the exports alone, which leave out
// the newest minute and are read each minute.
func TestHowSoonAnEditIsHeard(t *testing.T) {
	for _, tt := range []struct {
		name     string
		webhooks zendesktest.WebhookOptions
		most     time.Duration
	}{
		{"with webhooks", zendesktest.WebhookOptions{Delay: 3 * time.Second}, 4 * time.Second},
		{"without", zendesktest.WebhookOptions{LoseEvery: 1}, 2*time.Minute + 3*time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 4, tt.webhooks, people) // nobody reads people again at random in this one
				defer w.sim.Close()
				defer w.crash()
				pause(10 * time.Minute)
				rng := rand.New(rand.NewPCG(1, 1))
				var took []time.Duration
				for i := range 200 {
					id := w.sim.CreateUser(zendesktest.UserSpec{Name: "Newcomer", Phone: fmt.Sprintf("+1513666%04d", i)})
					ticket, err := w.sim.CreateTicket(zendesktest.TicketSpec{Requester: id, Subject: "Help"})
					w.must(err)
					pause(5*time.Minute + time.Duration(rng.Int64N(int64(time.Minute)))) // both are in the mirror
					w.must(w.sim.SetTicketStatus(ticket, "pending"))
					took = append(took, w.untilShown(id, func(c *caller.Caller) bool { return len(c.Open) == 1 && c.Open[0].Status == "pending" }))
				}
				slices.Sort(took)
				median, p99 := took[len(took)/2], took[len(took)*99/100]
				t.Logf("a ticket's new state is shown after: median %s, p99 %s", median.Round(10*time.Millisecond), p99.Round(10*time.Millisecond))
				if p99 > tt.most {
					t.Errorf("p99 %s, want %s at the most", p99, tt.most)
				}
			})
		})
	}
}

// untilShown asks the mirror ten times a second until it shows something.
func (w *world) untilShown(id int64, shows func(*caller.Caller) bool) time.Duration {
	began := time.Now()
	for {
		c, ok, err := w.daemon.store.Caller(id)
		w.must(err)
		if ok && shows(&c) {
			return time.Since(began)
		}
		if time.Since(began) > time.Hour {
			w.t.Fatalf("user %d is not shown so after an hour", id)
		}
		pause(100 * time.Millisecond)
	}
}
