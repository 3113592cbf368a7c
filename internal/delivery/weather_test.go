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

func onTicket(id int64, f zendesktest.Fault) zendesktest.Fault {
	f.Method, f.Path = "PUT", fmt.Sprintf("/api/v2/tickets/%d", id)
	return f
}

// Zendesk counts thirty updates of a ticket in ten minutes, and says so with a
// Retry-After of up to ten minutes; and one ticket may be such that Zendesk
// cannot update it. The other tickets have nothing to do with it.
func TestOneTicketsTroubleIsNoWeather(t *testing.T) {
	for name, fault := range map[string]zendesktest.Fault{
		"429 with a long wait":        {Status: 429, Header: http.Header{"Retry-After": {"590"}}, Body: `{"error":"TooManyRequests"}`},
		"429 without a wait":          {Status: 429, Body: `{"error":"TooManyRequests"}`},
		"500":                         {Status: 500, Body: "{}"},
		"no answer":                   {Hang: true},
		"an answer that is no ticket": {Garbage: true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(w *world) {
				bad, _ := w.ticket("open")
				w.sim.Fail(onTicket(bad, fault))
				poisoned := w.comment(bad)
				c, end := w.start(w.real())
				defer end()
				w.await(func() bool { return w.record(poisoned).Error != "" })
				for range 5 {
					<-time.After(7 * time.Minute)
					good, _ := w.ticket("open")
					id := w.comment(good)
					c.Wake()
					if took := w.await(w.isSettled(id)); took > 2*time.Second {
						t.Errorf("another ticket's comment took %s", took)
					}
					w.expect(good, id)
				}
				if log := w.log.String(); strings.Contains(log, "comments wait") || strings.Count(log, "a comment waits") != 1 {
					t.Errorf("one ticket's trouble is told as an outage, or again and again:\n%s", log)
				}
				if r := w.record(poisoned); r.State != outbox.Queued {
					t.Errorf("it is %s: %s", r.State, r.Error)
				}
			})
		})
	}
}

func TestZendesksWaitIsHeeded(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		ticketID, _ := w.ticket("open")
		w.sim.Fail(onTicket(ticketID, zendesktest.Fault{
			Count: 1, Status: 429, Header: http.Header{"Retry-After": {"590"}}, Body: `{"error":"TooManyRequests"}`,
		}))
		id := w.comment(ticketID)
		_, end := w.start(w.real())
		defer end()
		if took := w.await(w.isSettled(id)); took < 590*time.Second || took > 600*time.Second {
			t.Errorf("it took %s, where Zendesk asked for 590s", took)
		}
		w.expect(ticketID, id)
	})
}

// A ticket that our user may not write to fails, once another one has shown
// that it is not the credentials.
func TestATicketThatMayNotBeWrittenTo(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		secret, _ := w.ticket("open")
		w.sim.Fail(onTicket(secret, zendesktest.Fault{
			Status: 403, Body: `{"error":{"title":"Forbidden","message":"You do not have access to this page."}}`,
		}))
		refused := w.comment(secret)
		c, end := w.start(w.real())
		defer end()
		<-time.After(time.Hour)
		if r := w.record(refused); r.State != outbox.Queued || r.Attempts < 5 {
			t.Fatalf("it is %s after %d attempts (%s), though it may be the credentials", r.State, r.Attempts, r.Error)
		}
		other, _ := w.ticket("open")
		id := w.comment(other)
		c.Wake()
		w.await(w.isSettled(refused))
		w.expect(other, id)
		if r := w.record(refused); r.State != outbox.Failed || !strings.HasPrefix(r.Error, "forbidden") {
			t.Errorf("it is %s because %s", r.State, r.Error)
		}
	})
}

// Whatever is wrong with Zendesk as a whole, it is asked about one record at a
// time and more and more seldom, nothing fails, and all is delivered when it is
// over.
func TestBadWeather(t *testing.T) {
	tests := []struct {
		name  string
		begin func(*zendesktest.Server) (end func())
	}{
		{"no connection", func(s *zendesktest.Server) func() {
			s.Down(true)
			return func() { s.Down(false) }
		}},
		{"maintenance", func(s *zendesktest.Server) func() {
			s.Maintenance(20 * time.Second)
			return func() { s.Maintenance(-1) }
		}},
		{"every write is 500", func(s *zendesktest.Server) func() {
			return s.Fail(zendesktest.Fault{Method: "PUT", Status: 500, Body: "{}"})
		}},
		{"everything is 500", func(s *zendesktest.Server) func() { return s.Fail(zendesktest.Fault{Status: 500, Body: "{}"}) }},
		{"an edge's page instead of everything", func(s *zendesktest.Server) func() {
			return s.Fail(zendesktest.Fault{HTML: true, Status: 404})
		}},
		{"credentials that are refused", func(s *zendesktest.Server) func() {
			return s.Fail(zendesktest.Fault{Status: 401, Body: `{"error":"Couldn't authenticate you"}`})
		}},
		{"credentials that lack a scope", func(s *zendesktest.Server) func() {
			return s.Fail(zendesktest.Fault{Method: "PUT", Status: 403, Body: `{"error":"Forbidden","description":"Missing the following required scopes: write"}`})
		}},
		{"credentials of a role that may not", func(s *zendesktest.Server) func() {
			return s.Fail(zendesktest.Fault{Method: "PUT", Status: 403, Body: `{"error":{"title":"Forbidden","message":"Access to this resource is restricted."}}`})
		}},
		{"429 with a wait", func(s *zendesktest.Server) func() {
			return s.Fail(zendesktest.Fault{Method: "PUT", Status: 429, Header: http.Header{"Retry-After": {"60"}}, Body: `{"error":"APIRateLimitExceeded"}`})
		}},
		{"429 without", func(s *zendesktest.Server) func() {
			return s.Fail(zendesktest.Fault{Method: "PUT", Status: 429, Body: `{"error":"APIRateLimitExceeded"}`})
		}},
	}
	const records = 40
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, nil, func(w *world) {
				tickets := map[int64]string{}
				for range records {
					ticketID, _ := w.ticket("open")
					tickets[ticketID] = w.comment(ticketID)
				}
				better := tt.begin(w.sim)
				told := func() bool { return strings.Contains(w.log.String(), "comments wait") }
				var mu sync.Mutex
				at, most, asked, counting := 0, 0, 0, false
				o := w.real()
				o.Desk = &counted{Desk: w.desk, enter: func(d int) {
					mu.Lock()
					defer mu.Unlock()
					if at += d; d > 0 && counting {
						most, asked = max(most, at), asked+1
					}
				}}
				_, end := w.start(o)
				defer end()
				w.await(told)
				<-time.After(time.Minute) // what was under way has come to its end
				mu.Lock()
				counting = true
				mu.Unlock()
				<-time.After(30 * time.Minute)
				mu.Lock()
				if most > 1 {
					t.Errorf("%d at a time", most)
				}
				if asked < 20 || asked > 90 { // some forty attempts, of up to two calls
					t.Errorf("%d calls in half an hour", asked)
				}
				mu.Unlock()
				if n := strings.Count(w.log.String(), "comments wait"); n != 1 {
					t.Errorf("one outage has %d lines in the log", n)
				}
				better()
				if took := w.await(w.settled); took > 7*time.Minute {
					t.Errorf("it took %s after the outage", took)
				}
				for ticketID, id := range tickets {
					w.expect(ticketID, id)
				}
			})
		})
	}
}

// counted tells as a ticket's comment is taken up and laid down.
type counted struct {
	Desk
	enter func(int)
}

func (d *counted) Ticket(ctx context.Context, id int64) (outbox.Sighting, error) {
	d.enter(1)
	defer d.enter(-1)
	return d.Desk.Ticket(ctx, id)
}

func (d *counted) Comment(ctx context.Context, w outbox.Write) (caller.TicketUpdate, error) {
	d.enter(1)
	defer d.enter(-1)
	return d.Desk.Comment(ctx, w)
}

// A wait that Zendesk asks for is waited out in the outbox, not by a worker.
func TestALongWaitOccupiesNoWorker(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		for range 2 {
			bad, _ := w.ticket("open")
			w.sim.Fail(onTicket(bad, zendesktest.Fault{
				Status: 429, Header: http.Header{"Retry-After": {"60"}}, Body: `{"error":"TooManyRequests"}`,
			}))
			w.comment(bad)
		}
		ticketID, _ := w.ticket("open")
		id := w.comment(ticketID)
		o := w.real()
		o.Workers = 2
		_, end := w.start(o)
		defer end()
		if took := w.await(w.isSettled(id)); took > 2*time.Second {
			t.Errorf("with two workers, two tickets that are to wait a minute kept a third one waiting for %s", took)
		}
	})
}

// The account counts as Zendesk does, and never has to say so.
func TestZendesksLimitsAreKept(t *testing.T) {
	inBubble(t, func(o *zendesktest.Options) { o.Limits = zendesktest.Limits{Account: 100_000} }, func(w *world) {
		const busy = ticketLimit + 5
		ticketID, _ := w.ticket("open")
		var ids []string
		for range busy {
			ids = append(ids, w.comment(ticketID))
		}
		for range 3 * accountLimit {
			other, _ := w.ticket("open")
			w.comment(other)
		}
		_, end := w.start(w.real())
		defer end()
		took := w.await(w.settled)
		if took < 10*time.Minute || took > 14*time.Minute {
			t.Errorf("it took %s, and a ticket's limit is for ten minutes", took)
		}
		w.expect(ticketID, ids...)
		if n := w.sim.Requests().ByStatus[http.StatusTooManyRequests]; n != 0 {
			t.Errorf("Zendesk had to refuse %d requests", n)
		}
	})
}

// What the outbox showed before a record was settled is not acted on after it.
func TestNothingIsTriedFromAnOldPicture(t *testing.T) {
	w := newWorld(t, nil)
	ticketID, _ := w.ticket("open")
	id := w.comment(ticketID)
	o := w.options()
	p := &slowReader{Outbox: w.outbox, settled: func() bool { return w.record(id).State == outbox.Delivered }}
	reads := 0
	o.Outbox, o.Desk = p, &held{Desk: w.desk, enter: func() { reads++ }}
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
	for i := range headsAtOnce + 10 {
		w.accept(outbox.Record{Kind: outbox.Comment, TicketID: int64(1_000_000 + i)})
	}
	hold := make(chan struct{})
	desk := &held{Desk: w.desk, enter: func() { <-hold }}
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

// held does something before a ticket is read.
type held struct {
	Desk
	enter func()
}

func (d *held) Ticket(ctx context.Context, id int64) (outbox.Sighting, error) {
	d.enter()
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
	w.run(w.options(), w.settled)
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
	w.run(o, w.settled)
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
