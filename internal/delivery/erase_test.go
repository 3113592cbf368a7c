package delivery

import (
	"context"
	"strings"
	"testing"

	"aniproxy/internal/caller"
	"aniproxy/internal/outbox"
)

// eraser is a desk at which somebody is erased while a request is under way.
type eraser struct {
	Desk
	reading, writing func(ticketID int64)
}

func (d *eraser) Ticket(ctx context.Context, id int64) (outbox.Sighting, error) {
	d.reading(id)
	return d.Desk.Ticket(ctx, id)
}

func (d *eraser) Comment(ctx context.Context, w outbox.Write) (caller.TicketUpdate, error) {
	u, err := d.Desk.Comment(ctx, w)
	d.writing(w.TicketID)
	return u, err
}

func TestARecordThatIsErasedWhileItIsAtWork(t *testing.T) {
	for name, c := range map[string]struct {
		whileReading bool
		arrives      int // comments that Zendesk has in the end
	}{
		"before anything is sent": {whileReading: true},
		"after it was sent":       {arrives: 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			theirs, who := w.ticket("open")
			others, _ := w.ticket("open")
			first, behind, other := w.comment(theirs), w.comment(theirs), w.comment(others)
			erased := false
			erase := func(ticketID int64) {
				if ticketID != theirs || erased {
					return
				}
				erased = true
				if n, err := w.outbox.Erase(w.t.Context(), who, []int64{theirs}); n != 2 || err != nil {
					t.Errorf("%d records were erased, error %v; want 2", n, err)
				}
			}
			nothing := func(int64) {}
			o := w.options()
			if c.whileReading {
				o.Desk = &eraser{w.desk, erase, nothing}
			} else {
				o.Desk = &eraser{w.desk, nothing, erase}
			}
			w.run(o, func() bool { return w.settled() && strings.Contains(w.log.String(), "was erased while") })
			if got := w.comments(theirs); len(got) != c.arrives {
				t.Errorf("their ticket has %q, want %d comments", got, c.arrives)
			}
			w.expect(others, other)
			for _, id := range []string{first, behind} {
				if _, ok, err := w.outbox.Record(id); ok || err != nil {
					t.Errorf("%s is back: %v, error %v", id, ok, err)
				}
			}
			if strings.Contains(w.log.String(), "could not be written down") {
				t.Errorf("an erasure is taken for a fault:\n%s", w.log)
			}
			// The lane goes on with whatever comes next.
			next := w.comment(theirs)
			w.run(w.options(), w.settled)
			if r := w.record(next); r.State != outbox.Delivered {
				t.Errorf("the next one is %s: %s", r.State, r.Error)
			}
		})
	}
}
