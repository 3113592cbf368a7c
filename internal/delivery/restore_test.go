package delivery

import (
	"testing"
	"time"

	"aniproxy/internal/outbox"
)

// The backup is older than the follow-up: it knows the comment only as one for
// a ticket that has been closed since.
func TestAFollowUpThatABackupDoesNotKnow(t *testing.T) {
	for name, stamped := range map[string]bool{"backed up before any attempt": false, "backed up with a stamp": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			ticketID, requester := w.ticket("open")
			id := w.comment(ticketID)
			if stamped {
				r := w.record(id)
				r.Stamp = w.stamp(ticketID)
				if err := w.outbox.Save(r); err != nil {
					t.Fatal(err)
				}
			}
			w.status(ticketID, "closed")
			if _, err := w.desk.Create(t.Context(), outbox.NewTicket{
				Key: "made", Marker: id, Subject: "No dial tone", Body: "body of " + id, RequesterID: requester, FollowUpOf: ticketID,
			}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.outbox.Doubt(); err != nil {
				t.Fatal(err)
			}
			w.pass(time.Minute)
			o := w.options()
			o.FollowUpClosed = true
			w.run(o, w.settled)
			if n := len(w.sim.Truth().TicketsOf(requester)) - 1; n != 1 {
				t.Errorf("%d follow-ups", n)
			}
			if r := w.record(id); r.State != outbox.Delivered || r.Landed == ticketID {
				t.Errorf("it is %+v", r)
			}
		})
	}
}
