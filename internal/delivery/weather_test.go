package delivery

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/outbox"
	"aniproxy/internal/zendesk/zendesktest"
)

// until runs a courier until a record is settled, and tells how long that took
// by the account's clock.
func (w *world) until(o Options, id string) time.Duration {
	w.t.Helper()
	began := w.clock()
	w.run(o, func() bool { return w.record(id).State != outbox.Queued })
	return w.clock().Sub(began)
}

// Zendesk counts thirty updates of a ticket in ten minutes, and says so with a
// Retry-After of up to ten minutes: the other tickets have nothing to do with it.
func TestOneTicketsLimitHoldsNobodyElseUp(t *testing.T) {
	w := newWorld(t, nil)
	busy, _ := w.ticket("open")
	other, _ := w.ticket("open")
	w.sim.Fail(zendesktest.Fault{
		Method: "PUT", Path: fmt.Sprintf("/api/v2/tickets/%d", busy), Status: 429,
		Header: http.Header{"Retry-After": {"590"}}, Body: `{"error":"TooManyRequests"}`,
	})
	first := w.comment(busy)
	w.run(w.options(), func() bool { return w.record(first).Error != "" })
	second := w.comment(busy)
	id := w.comment(other)
	if took := w.until(w.options(), id); took > 10*time.Second {
		t.Errorf("another ticket's comment took %s", took)
	}
	for _, waiting := range []string{first, second} {
		if r := w.record(waiting); r.State != outbox.Queued {
			t.Errorf("%s is %s: %s", waiting, r.State, r.Error)
		}
	}
	if ahead := w.record(first).NextTry.Sub(w.clock()); ahead < 8*time.Minute {
		t.Errorf("it is tried again in %s, where Zendesk asked for 590 s", ahead)
	}
}

// In one and the same run, too: what one ticket's refusal asks for is that
// ticket's.
func TestOneTicketsRefusalsMakeNoWeather(t *testing.T) {
	for name, fault := range map[string]zendesktest.Fault{
		"429": {Status: 429, Header: http.Header{"Retry-After": {"590"}}, Body: `{"error":"TooManyRequests"}`},
		"500": {Status: 500, Body: "{}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			bad, _ := w.ticket("open")
			fault.Method, fault.Path = "PUT", fmt.Sprintf("/api/v2/tickets/%d", bad)
			w.sim.Fail(fault)
			poisoned := w.comment(bad)
			var good string
			began := time.Time{}
			w.run(w.options(), func() bool {
				if w.record(poisoned).Attempts >= 1 && w.record(poisoned).Error != "" && good == "" {
					ticketID, _ := w.ticket("open")
					good, began = w.comment(ticketID), w.clock()
				}
				return good != "" && w.record(good).State != outbox.Queued
			})
			if took := w.clock().Sub(began); took > 10*time.Second {
				t.Errorf("the other ticket's comment took %s", took)
			}
			if log := w.log.String(); strings.Contains(log, "comments wait") {
				t.Errorf("one ticket's trouble is told as an outage:\n%s", log)
			}
		})
	}
}

// A ticket that our user may not write to fails, as soon as another one shows
// that it is not the credentials.
func TestATicketThatMayNotBeWrittenTo(t *testing.T) {
	w := newWorld(t, nil)
	secret, _ := w.ticket("open")
	other, _ := w.ticket("open")
	w.sim.Fail(zendesktest.Fault{
		Method: "PUT", Path: fmt.Sprintf("/api/v2/tickets/%d", secret), Status: 403,
		Body: `{"error":{"title":"Forbidden","message":"You do not have access to this page."}}`,
	})
	refused := w.comment(secret)
	w.run(w.options(), func() bool { return w.record(refused).Error != "" })
	if r := w.record(refused); r.State != outbox.Queued {
		t.Fatalf("it is %s: %s, though it may be the credentials", r.State, r.Error)
	}
	w.run(w.options(), func() bool {
		if w.record(refused).Attempts == 2 {
			w.comment(other)
			w.made += 100 // no third
		}
		return w.record(refused).State == outbox.Failed
	})
	if r := w.record(refused); !strings.HasPrefix(r.Error, "forbidden") {
		t.Errorf("it has failed because %s", r.Error)
	}
}

// Where everything is forbidden, nothing fails: somebody has to mend the
// credentials, and then all of it is delivered.
func TestCredentialsThatMayNotWrite(t *testing.T) {
	for name, body := range map[string]string{
		"scope": `{"error":"Forbidden","description":"Missing the following required scopes: write"}`,
		"role":  `{"error":{"title":"Forbidden","message":"Access to this resource is restricted."}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			remove := w.sim.Fail(zendesktest.Fault{Method: "PUT", Status: 403, Body: body})
			for range 12 {
				ticketID, _ := w.ticket("open")
				w.comment(ticketID)
			}
			began := w.clock()
			w.run(w.options(), func() bool { return w.clock().Sub(began) > 10*time.Minute })
			if s := w.outbox.Status(); s.Queued != 12 {
				t.Errorf("%d of 12 wait", s.Queued)
			}
			if n := w.sim.Count("PUT /api/v2/tickets/{id}"); n > 60 {
				t.Errorf("%d requests within ten minutes", n)
			}
			remove()
			w.run(w.options(), w.settled)
			if s := w.outbox.Status(); s.Failed != 0 {
				t.Errorf("%d failed", s.Failed)
			}
		})
	}
}

// A wait that Zendesk asks for is waited out in the outbox, not by a worker.
func TestALongWaitOccupiesNoWorker(t *testing.T) {
	w := newWorld(t, nil)
	for range 2 {
		bad, _ := w.ticket("open")
		w.sim.Fail(zendesktest.Fault{
			Method: "PUT", Path: fmt.Sprintf("/api/v2/tickets/%d", bad), Status: 429,
			Header: http.Header{"Retry-After": {"60"}}, Body: `{"error":"TooManyRequests"}`,
		})
		w.comment(bad)
	}
	o := w.options()
	o.Workers = 2
	ticketID, _ := w.ticket("open")
	id := w.comment(ticketID)
	began := time.Now()
	w.until(o, id)
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("with two workers, two tickets that are to wait a minute kept a third one waiting for %s", took)
	}
}

// What the outbox showed before a record was settled is not acted on after it.
func TestNothingIsTriedFromAnOldPicture(t *testing.T) {
	w := newWorld(t, nil)
	ticketID, _ := w.ticket("open")
	id := w.comment(ticketID)
	o := w.options()
	p := &slowReader{Outbox: w.outbox, settled: func() bool { return w.record(id).State == outbox.Delivered }}
	reads := 0
	o.Outbox, o.Desk = p, &counted{Desk: w.desk, enter: func(d int) { reads += max(d, 0) }}
	w.run(o, func() bool { return w.settled() && p.seen() >= 4 })
	w.expect(ticketID, id)
	if reads != 1 {
		t.Errorf("the ticket was read %d times for one comment", reads)
	}
	if log := w.log.String(); strings.Contains(log, "level=ERROR") {
		t.Errorf("it tripped:\n%s", log)
	}
}

// slowReader shows a picture of the queue only when what it shows is over.
type slowReader struct {
	Outbox
	settled func() bool
	mu      sync.Mutex
	n       int
}

func (p *slowReader) seen() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}

func (p *slowReader) Queued(limit int) ([]outbox.Record, error) {
	heads, err := p.Outbox.Queued(limit)
	p.mu.Lock()
	p.n++
	second := p.n == 2
	p.mu.Unlock()
	for second && !p.settled() {
		<-time.After(time.Millisecond)
	}
	if second {
		<-time.After(20 * time.Millisecond) // the worker has ended
	}
	return heads, err
}

// While all workers are busy, the queue is not read through again and again.
func TestALongQueueIsNotReadWhole(t *testing.T) {
	w := newWorld(t, nil)
	requester := w.sim.CreateUser(zendesktest.UserSpec{Name: "Ann Lee"})
	_ = requester
	for i := range headsAtOnce + 10 {
		w.accept(outbox.Record{Kind: outbox.Comment, TicketID: int64(1_000_000 + i)})
	}
	hold := make(chan struct{})
	desk := &held{Desk: w.desk, hold: hold}
	limits := &limits{Outbox: w.outbox}
	o := w.options()
	o.Desk, o.Outbox, o.Workers = desk, limits, 2
	wakes := 0
	w.run(o, func() bool {
		if wakes++; wakes == 20 {
			close(hold)
		}
		return wakes >= 20
	})
	limits.mu.Lock()
	defer limits.mu.Unlock()
	if most := slices.Max(limits.asked); most > headsAtOnce {
		t.Errorf("asked for %d heads, with both workers busy", most)
	}
}

type held struct {
	Desk
	hold chan struct{}
}

func (d *held) Ticket(ctx context.Context, id int64) (outbox.Sighting, error) {
	<-d.hold
	return d.Desk.Ticket(ctx, id)
}

type limits struct {
	Outbox
	mu    sync.Mutex
	asked []int
}

func (l *limits) Queued(limit int) ([]outbox.Record, error) {
	l.mu.Lock()
	l.asked = append(l.asked, limit)
	l.mu.Unlock()
	return l.Outbox.Queued(limit)
}

// A base path that is wrong is nothing that a record can help.
func TestAnEndpointThatIsNotThereFailsNothing(t *testing.T) {
	w := newWorld(t, nil)
	ticketID, _ := w.ticket("open")
	w.sim.Fail(zendesktest.Fault{Method: "PUT", Count: 1, Status: 404, Body: `{"error":"InvalidEndpoint","description":"Not found"}`})
	id := w.comment(ticketID)
	w.until(w.options(), id)
	w.expect(ticketID, id)
}

// Zendesk words its complaints in the language of the user: that the status
// is in the way is told by the field's name.
func TestAClosedTicketInAnotherLanguage(t *testing.T) {
	w := newWorld(t, nil)
	ticketID, requester := w.ticket("closed")
	w.sim.Fail(zendesktest.Fault{
		Method: "PUT", Count: 1, Status: 422,
		Body: `{"error":"RecordInvalid","description":"Errores de validación","details":{"status":[{"description":"Estado: cerrado impide la actualización"}]}}`,
	})
	id := w.comment(ticketID)
	o := w.options()
	o.FollowUpClosed = true
	o.Desk = &openAtFirst{Desk: w.desk}
	w.until(o, id)
	if r := w.record(id); r.State != outbox.Delivered || !r.FollowUp {
		t.Errorf("it is %+v", r)
	}
	if n := len(w.sim.Truth().TicketsOf(requester)); n != 2 {
		t.Errorf("%d tickets, want the closed one and its follow-up", n)
	}
}

// openAtFirst reads a ticket just before it is closed.
type openAtFirst struct {
	Desk
	once sync.Once
}

func (d *openAtFirst) Ticket(ctx context.Context, id int64) (outbox.Sighting, error) {
	seen, err := d.Desk.Ticket(ctx, id)
	d.once.Do(func() { seen.Status = "open" })
	return seen, err
}

func (d *openAtFirst) Comment(ctx context.Context, w outbox.Write) (caller.TicketUpdate, error) {
	return d.Desk.Comment(ctx, w)
}
