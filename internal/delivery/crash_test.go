package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/outbox"
	"aniproxy/internal/zendesk/zendesktest"
)

// errKilled is all that a process which is no more can do.
var errKilled = errors.New("killed")

// mortal stands between a courier and the world, and dies at a step: nothing
// that the courier does after that reaches disk or Zendesk. Every call that the
// courier makes is a step, and so is its return, so that a step lies between
// any two things that happen.
type mortal struct {
	Outbox
	Desk
	mu    sync.Mutex
	step  int
	diesA int // 0 never
	dead  bool
}

// alive counts a step.
func (m *mortal) alive() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.step++
	if m.dead = m.dead || m.step == m.diesA; m.dead {
		return errKilled
	}
	return nil
}

func (m *mortal) isDead() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dead
}

// do is a call with a step before and after it.
func do[T any](m *mortal, call func() (T, error)) (T, error) {
	var none T
	if err := m.alive(); err != nil {
		return none, err
	}
	v, err := call()
	if dead := m.alive(); dead != nil {
		return none, dead
	}
	return v, err
}

func (m *mortal) Queued(limit int) ([]outbox.Record, error) {
	if m.isDead() {
		return nil, errKilled
	}
	return m.Outbox.Queued(limit)
}

func (m *mortal) Prune(time.Time) (int, error) { return 0, nil }

func (m *mortal) Save(r outbox.Record) error {
	_, err := do(m, func() (struct{}, error) { return struct{}{}, m.Outbox.Save(r) })
	return err
}

func (m *mortal) Ticket(ctx context.Context, id int64) (outbox.Sighting, error) {
	return do(m, func() (outbox.Sighting, error) { return m.Desk.Ticket(ctx, id) })
}

func (m *mortal) Comment(ctx context.Context, w outbox.Write) (caller.TicketUpdate, error) {
	return do(m, func() (caller.TicketUpdate, error) { return m.Desk.Comment(ctx, w) })
}

func (m *mortal) Create(ctx context.Context, t outbox.NewTicket) (caller.TicketUpdate, error) {
	return do(m, func() (caller.TicketUpdate, error) { return m.Desk.Create(ctx, t) })
}

func (m *mortal) HasMarker(ctx context.Context, id int64, marker string) (bool, error) {
	return do(m, func() (bool, error) { return m.Desk.HasMarker(ctx, id, marker) })
}

func (m *mortal) FindCreated(ctx context.Context, requester int64, marker string, since time.Time) (id int64, found bool, err error) {
	id, err = do(m, func() (int64, error) {
		id, ok, err := m.Desk.FindCreated(ctx, requester, marker, since)
		found = ok
		return id, err
	})
	return id, found, err
}

// mostSteps is more than a delivery has: a test that reaches it has a courier
// that never comes to an end.
const mostSteps = 60

// Whatever two steps a kill falls between, and whatever becomes of the request
// that was under way, the comment is there once in the end.
func TestAKillBetweenAnyTwoSteps(t *testing.T) {
	fates := []struct {
		name  string
		fault zendesktest.Fault // of the first write
	}{
		{"nothing else goes wrong", zendesktest.Fault{}},
		{"the first write lands and its answer is lost", zendesktest.Fault{Count: 1, Perform: true, Reset: true}},
		{"the first write does not land and its answer is lost", zendesktest.Fault{Count: 1, Reset: true}},
		{"the first write is answered with nonsense", zendesktest.Fault{Count: 1, Perform: true, Garbage: true}},
		{"the ticket moves before the first write", zendesktest.Fault{Count: 1, Status: 409, Body: `{"error":"UpdateConflict"}`}},
	}
	kinds := []struct {
		name   string
		method string
		make   func(w *world) (outbox.Record, func() int)
	}{
		{"a comment", "PUT", func(w *world) (outbox.Record, func() int) {
			id, _ := w.ticket("open")
			return outbox.Record{Kind: outbox.Comment, TicketID: id}, func() int { return len(w.comments(id)) }
		}},
		{"a follow-up", "POST", func(w *world) (outbox.Record, func() int) {
			id, requester := w.ticket("closed")
			return outbox.Record{Kind: outbox.Comment, TicketID: id}, func() int { return len(w.sim.Truth().TicketsOf(requester)) - 1 }
		}},
		{"a new ticket", "POST", func(w *world) (outbox.Record, func() int) {
			_, requester := w.ticket("open")
			return outbox.Record{Kind: outbox.Ticket, UserID: requester, Subject: "Call"}, func() int { return len(w.sim.Truth().TicketsOf(requester)) - 1 }
		}},
	}
	for _, kind := range kinds {
		for _, fate := range fates {
			t.Run(kind.name+", "+fate.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, nil)
				for dies := 1; ; dies++ {
					if dies == mostSteps {
						t.Fatal("it never ends")
					}
					record, count := kind.make(w)
					if fate.fault.Count > 0 {
						fault := fate.fault
						fault.Method, fault.Path = kind.method, "/api/v2/tickets"
						w.sim.Fail(fault)
					}
					id := w.accept(record)
					o := w.options()
					m := &mortal{Outbox: w.outbox, Desk: w.desk, diesA: dies}
					o.Outbox, o.Desk, o.FollowUpClosed = m, m, true
					w.run(o, func() bool { return m.isDead() || w.settled() })
					killed := m.isDead()
					o = w.options()
					o.FollowUpClosed = true
					w.run(o, w.settled)
					if r := w.record(id); count() != 1 || r.State != outbox.Delivered {
						t.Errorf("killed at step %d: %d of it at Zendesk, the record is %+v", dies, count(), r)
					}
					w.sim.ClearFaults()
					if !killed {
						if dies < 5 {
							t.Errorf("only %d steps", dies)
						}
						return
					}
				}
			})
		}
	}
}

// A write that lands long after its client has given up cannot land beside its
// retry: both are bound to the same stamp.
func TestAWriteThatLandsLate(t *testing.T) {
	for _, late := range []time.Duration{0, 30 * time.Millisecond, 200 * time.Millisecond} {
		t.Run(fmt.Sprint(late), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			ticketID, _ := w.ticket("open")
			w.sim.Fail(zendesktest.Fault{Method: "PUT", Path: "/api/v2/tickets/*", Count: 1, LateWrite: true, Delay: late})
			id := w.comment(ticketID)
			o := w.options()
			o.Desk = &hasty{Desk: w.desk}
			w.run(o, w.settled)
			<-time.After(late + 100*time.Millisecond) // the late one has come by then
			w.expect(ticketID, id)
		})
	}
}

// The worst moment for a late write to land is just after the audits were read
// and did not have it: the retry is on its way then, and only the stamp, which
// is that of the first write, stops it.
func TestALateWriteBetweenTheAuditsAndTheRetry(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		ticketID, _ := w.ticket("open")
		w.sim.Fail(onTicket(ticketID, zendesktest.Fault{Count: 1, Reset: true}))
		id := w.comment(ticketID)
		o := w.real()
		late := &tardy{Desk: w.desk}
		o.Desk = late
		_, end := w.start(o)
		defer end()
		w.await(w.settled)
		if !late.landed {
			t.Fatal("the first write has not landed late")
		}
		w.expect(ticketID, id)
		if r := w.record(id); r.State != outbox.Delivered || r.Landed != ticketID {
			t.Errorf("it is %+v", r)
		}
	})
}

// tardy has the first write, whose answer was lost, land just after the audits
// were read.
type tardy struct {
	Desk
	first  outbox.Write
	landed bool
}

func (d *tardy) Comment(ctx context.Context, w outbox.Write) (caller.TicketUpdate, error) {
	if d.first.Marker == "" {
		d.first = w
	}
	return d.Desk.Comment(ctx, w)
}

func (d *tardy) HasMarker(ctx context.Context, id int64, marker string) (bool, error) {
	has, err := d.Desk.HasMarker(ctx, id, marker)
	if !d.landed && err == nil && d.first.Marker != "" {
		_, err := d.Desk.Comment(ctx, d.first)
		d.landed = err == nil
	}
	return has, err
}

// hasty gives the first write up at once.
type hasty struct {
	Desk
	once sync.Once
}

func (d *hasty) Comment(ctx context.Context, w outbox.Write) (caller.TicketUpdate, error) {
	patience := time.Minute
	d.once.Do(func() { patience = 50 * time.Millisecond })
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return d.Desk.Comment(ctx, w)
}

// Where an account heeds no stamp for what only comments, the audits find what
// has landed before a retry is sent.
func TestAnAccountThatHeedsNoStamp(t *testing.T) {
	w := newWorld(t, func(o *zendesktest.Options) { o.SafeUpdateIgnoresComments = true })
	ticketID, _ := w.ticket("open")
	w.sim.Fail(zendesktest.Fault{Method: "PUT", Path: "/api/v2/tickets/*", Count: 2, Perform: true, Reset: true})
	one, two := w.comment(ticketID), w.comment(ticketID)
	w.run(w.options(), w.settled)
	w.expect(ticketID, one, two)
}

// Without the wait for the stamp's second to pass this is two comments: both
// land in the second of the stamp, and neither moves the ticket.
func TestTwoWritesInTheStampsOwnSecond(t *testing.T) {
	frozen := time.Now()
	w := newWorld(t, func(o *zendesktest.Options) { o.Clock = func() time.Time { return frozen } })
	ticketID, _ := w.ticket("open")
	stamp := w.stamp(ticketID)
	for _, marker := range []string{"one", "two"} {
		if _, err := w.desk.Comment(t.Context(), outbox.Write{TicketID: ticketID, Body: "body of " + marker, Marker: marker, Stamp: stamp}); err != nil {
			t.Errorf("%s is refused: %v", marker, err)
		}
	}
	// A courier does not come that far while the clock over there stands still.
	seen, err := w.desk.Ticket(t.Context(), ticketID)
	if err != nil {
		t.Fatal(err)
	}
	a := &attempt{Courier: New(w.options())}
	if wait := a.unsettled(&seen); wait < time.Second {
		t.Errorf("it waits %s", wait)
	}
	if wait := a.unsettled(&outbox.Sighting{Updated: seen.Updated}); wait != 0 {
		t.Errorf("an hour later by our own clock it waits %s", wait)
	}
	if wait := a.unsettled(&outbox.Sighting{Updated: w.clock()}); wait < time.Second {
		t.Errorf("without Zendesk's clock it waits %s", wait)
	}
}
