//go:build !race

package model

import (
	"testing"
	"testing/synctest"
	"time"

	"aniproxy/internal/zendesk/zendesktest"
)

// TestTenMillionOldTicketsAreUsableInMinutes is an account a hundredth as
// large, in pages a hundredth as large, under Zendesk's real limits: 1,000,000
// people and 10,000,000 tickets of which 200,000 are unresolved.
func TestTenMillionOldTicketsAreUsableInMinutes(t *testing.T) {
	const (
		customers, tickets, open = 10_000, 100_000, 2_000
		page                     = 10
	)
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, roles: []string{"end-user"}, path: t.TempDir() + "/fill.db", log: &lockedBuffer{}, rereads: -1}
		w.readNumbers()
		w.sim = zendesktest.New(zendesktest.Options{Seed: 5, Users: customers, Tickets: tickets, PageMost: page, Limits: zendesktest.Limits{Account: 400}})
		defer w.sim.Close()
		left := 0
		for k := range w.sim.Truth().Tickets() {
			if !k.Unresolved() {
				continue
			}
			if left++; left > open {
				w.must(w.sim.SetTicketStatus(k.ID, "solved"))
			}
		}
		pause(3 * time.Hour)
		w.history = newHistory(w.sim)
		began := time.Now()
		w.rate = 400
		w.start()
		defer w.crash()
		var ticketsAfter, usersAfter time.Duration
		for usersAfter == 0 {
			pause(time.Second)
			s := w.daemon.store.Streams()
			if s.Tickets.Complete && ticketsAfter == 0 {
				ticketsAfter = time.Since(began)
			}
			if s.Users.Complete && ticketsAfter != 0 {
				usersAfter = time.Since(began)
			}
		}
		history := time.Duration(tickets/page/8) * time.Minute
		t.Logf("all %d unresolved tickets after %s, all %d people after %s; the tickets' history alone would take %s",
			w.daemon.store.Size().Tickets, ticketsAfter.Round(time.Second), customers, usersAfter.Round(time.Second), history)
		if n := w.daemon.store.Size().Tickets; n != open {
			t.Errorf("the mirror holds %d tickets, want %d", n, open)
		}
		if ticketsAfter > 10*time.Minute || usersAfter > 90*time.Minute {
			t.Errorf("all tickets after %s, all people after %s", ticketsAfter, usersAfter)
		}
	})
}
