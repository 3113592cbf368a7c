package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"aniproxy/internal/ani"
	"aniproxy/internal/caller"
	"aniproxy/internal/outbox"
	"aniproxy/internal/upstream"
	"aniproxy/internal/zendesk"
	"aniproxy/internal/zendesk/zendesktest"
	"aniproxy/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a made-up account on a real socket, the real client, and a real
// outbox in a file.
type world struct {
	t      *testing.T
	sim    *zendesktest.Server
	desk   Desk
	outbox *store.Outbox
	mirror *mirror
	log    *lockedBuffer
	made   int

	mu    sync.Mutex
	ahead time.Duration
}

func newWorld(t *testing.T, change func(*zendesktest.Options)) *world {
	t.Helper()
	w := &world{t: t, mirror: &mirror{}, log: &lockedBuffer{}}
	o := zendesktest.Options{Seed: 3, Users: 40, HideNewest: -1, SearchLag: -1, Limits: zendesktest.Limits{Off: true}, Clock: w.clock}
	if change != nil {
		change(&o)
	}
	w.sim = zendesktest.New(o)
	server := httptest.NewServer(w.sim)
	log := slog.New(slog.NewTextHandler(w.log, nil))
	client, err := zendesk.New(zendesk.Config{
		BaseURL: server.URL, ClientID: zendesktest.DefaultClientID, ClientSecret: zendesktest.DefaultClientSecret,
		RatePerMinute: 10_000, Logger: log, Clock: w.clock, Rand: func() float64 { return 0 },
	})
	if err != nil {
		t.Fatal(err)
	}
	numbers, err := ani.New("US")
	if err != nil {
		t.Fatal(err)
	}
	w.desk = upstream.New(client, numbers, []string{"end-user"}, log).Desk(client)
	w.outbox, err = store.OpenOutbox(store.OutboxOptions{
		Path: filepath.Join(t.TempDir(), "outbox.db"), Logger: log, Clock: w.clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.outbox.Close(); err != nil {
			t.Error(err)
		}
		client.Close()
		server.Close()
		w.sim.Close()
	})
	w.pass(time.Hour) // the tickets made so far were not touched just now
	return w
}

// clock is one clock for the account and the courier.
func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.ahead)
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ahead += d
}

// ticket makes one of somebody.
func (w *world) ticket(status string) (ticketID, requesterID int64) {
	w.t.Helper()
	requesterID = w.sim.CreateUser(zendesktest.UserSpec{Name: "Ann Lee", Phone: "+15135550101"})
	ticketID, err := w.sim.CreateTicket(zendesktest.TicketSpec{Requester: requesterID, Subject: "No dial tone"})
	if err != nil {
		w.t.Fatal(err)
	}
	w.status(ticketID, status)
	w.pass(time.Minute)
	return ticketID, requesterID
}

func (w *world) status(ticketID int64, status string) {
	w.t.Helper()
	if err := w.sim.SetTicketStatus(ticketID, status); err != nil {
		w.t.Fatal(err)
	}
}

// accept puts a record in, and gives its id.
func (w *world) accept(r outbox.Record) string {
	w.t.Helper()
	w.made++
	r.ID, r.Client = fmt.Sprintf("record-%d", w.made), "flow"
	if r.Body == "" {
		r.Body = "body of " + r.ID
	}
	if _, _, err := w.outbox.Accept(w.t.Context(), outbox.Intake{Record: r}); err != nil {
		w.t.Fatal(err)
	}
	return r.ID
}

func (w *world) comment(ticketID int64) string {
	w.t.Helper()
	return w.accept(outbox.Record{Kind: outbox.Comment, TicketID: ticketID})
}

func (w *world) options() Options {
	return Options{
		Outbox: w.outbox, Desk: w.desk, Mirror: w.mirror, Logger: slog.New(slog.NewTextHandler(w.log, nil)), Clock: w.clock,
		Rand: func() float64 { return 0 }, DoubtWait: time.Millisecond, Grace: time.Minute,
	}
}

// run has a courier at work until done says so, and tells when it has ended.
// Waits are cut short: the clock goes on as soon as nothing can be done.
func (w *world) run(o Options, done func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	c := New(o)
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	for deadline := time.Now().Add(30 * time.Second); !done(); {
		if time.Now().After(deadline) {
			w.t.Errorf("it does not come to an end: %+v\n%s", w.outbox.Status(), w.log)
			break
		}
		<-time.After(time.Millisecond)
		w.pass(20 * time.Millisecond)
		c.Wake()
	}
	cancel()
	if err := <-ended; err != nil {
		w.t.Error(err)
	}
}

func (w *world) record(id string) outbox.Record {
	w.t.Helper()
	r, ok, err := w.outbox.Record(id)
	if err != nil || !ok {
		w.t.Fatalf("record %s: %v, %v", id, ok, err)
	}
	return r
}

// settled tells whether nothing is queued.
func (w *world) settled() bool { return w.outbox.Status().Queued == 0 }

// comments are the bodies on a ticket that records brought.
func (w *world) comments(ticketID int64) []string {
	var all []string
	for _, c := range w.sim.Truth().Comments(ticketID) {
		if strings.HasPrefix(c.Body, "body of ") {
			all = append(all, c.Body)
		}
	}
	return all
}

func (w *world) expect(ticketID int64, ids ...string) {
	w.t.Helper()
	want := make([]string, len(ids))
	for i, id := range ids {
		want[i] = "body of " + id
	}
	if got := w.comments(ticketID); !slices.Equal(got, want) {
		w.t.Errorf("ticket %d has %q, want %q", ticketID, got, want)
	}
}

// mirror keeps what it is given.
type mirror struct {
	mu      sync.Mutex
	tickets []caller.Ticket
	err     error
}

func (m *mirror) Apply(_ context.Context, b caller.Batch) (caller.Change, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range b.Tickets {
		m.tickets = append(m.tickets, b.Tickets[i].Ticket)
	}
	return caller.Change{}, m.err
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestACommentArrivesAndTheMirrorLearnsOfIt(t *testing.T) {
	w := newWorld(t, nil)
	ticketID, _ := w.ticket("pending")
	id := w.comment(ticketID)
	w.run(w.options(), w.settled)
	w.expect(ticketID, id)
	r := w.record(id)
	if r.State != outbox.Delivered || r.Landed != ticketID || r.Attempts != 1 || r.InDoubt || r.Error != "" || r.Settled.IsZero() {
		t.Errorf("the record is %+v", r)
	}
	comments := w.sim.Truth().Comments(ticketID)
	if last := comments[len(comments)-1]; last.Public {
		t.Error("the customer sees it")
	}
	if n := len(w.mirror.tickets); n != 1 || w.mirror.tickets[0].ID != ticketID || w.mirror.tickets[0].Status != "pending" {
		t.Errorf("the mirror was given %+v", w.mirror.tickets)
	}
	if log := w.log.String(); strings.Contains(log, "body of") || strings.Contains(log, "dial") {
		t.Errorf("the log tells what was written: %s", log)
	}
}

func TestPublicOnlyWhereTheRecordSays(t *testing.T) {
	w := newWorld(t, nil)
	ticketID, _ := w.ticket("open")
	w.accept(outbox.Record{Kind: outbox.Comment, TicketID: ticketID, Public: true})
	w.run(w.options(), w.settled)
	comments := w.sim.Truth().Comments(ticketID)
	if last := comments[len(comments)-1]; !last.Public {
		t.Error("the customer does not see it")
	}
}

// A ticket that an agent solved during the call takes the comment; a closed one
// takes none.
func TestSolvedAndClosedTickets(t *testing.T) {
	w := newWorld(t, nil)
	solved, _ := w.ticket("solved")
	closed, _ := w.ticket("closed")
	one, two := w.comment(solved), w.comment(closed)
	w.run(w.options(), w.settled)
	w.expect(solved, one)
	w.expect(closed)
	if r := w.record(two); r.State != outbox.Failed || r.Error != "ticket_closed" {
		t.Errorf("the comment for a closed ticket is %s: %s", r.State, r.Error)
	}
}

func TestAFollowUpOfAClosedTicket(t *testing.T) {
	w := newWorld(t, nil)
	closed, requester := w.ticket("closed")
	id := w.comment(closed)
	o := w.options()
	o.FollowUpClosed = true
	w.run(o, w.settled)
	r := w.record(id)
	if r.State != outbox.Delivered || r.Landed == closed || !r.FollowUp {
		t.Fatalf("the record is %+v", r)
	}
	made, _ := w.sim.Truth().Ticket(r.Landed)
	if made.RequesterID != requester {
		t.Errorf("the follow-up is of %d, want %d", made.RequesterID, requester)
	}
	if made.Subject != "No dial tone" {
		t.Errorf("the follow-up is about %q", made.Subject)
	}
	w.expect(closed)
}

func TestATicketThatIsGone(t *testing.T) {
	w := newWorld(t, nil)
	deleted, _ := w.ticket("open")
	if err := w.sim.DeleteTicket(deleted); err != nil {
		t.Fatal(err)
	}
	one, two := w.comment(deleted), w.comment(99_999_999)
	w.run(w.options(), w.settled)
	for _, id := range []string{one, two} {
		if r := w.record(id); r.State != outbox.Failed || !strings.HasPrefix(r.Error, "not_found") {
			t.Errorf("%s is %s: %s", id, r.State, r.Error)
		}
	}
}

func TestANewTicketIsCreatedOnceThoughItsAnswerIsLost(t *testing.T) {
	w := newWorld(t, nil)
	_, requester := w.ticket("open")
	before := len(w.sim.Truth().TicketsOf(requester))
	w.sim.Fail(zendesktest.Fault{Method: "POST", Path: "/api/v2/tickets", Count: 1, Perform: true, Reset: true})
	id := w.accept(outbox.Record{Kind: outbox.Ticket, UserID: requester, Subject: "Call", Body: "body of record-1"})
	w.run(w.options(), w.settled)
	r := w.record(id)
	if after := w.sim.Truth().TicketsOf(requester); len(after) != before+1 || r.State != outbox.Delivered {
		t.Fatalf("%d tickets, the record is %+v", len(after)-before, r)
	}
	if made, _ := w.sim.Truth().Ticket(r.Landed); made.Subject != "Call" || !made.Private {
		t.Errorf("the ticket is %+v", made)
	}
}

// Past the life of the idempotency key the requester's tickets tell whether the
// ticket is there.
func TestANewTicketIsFoundAgainWhenItsKeyIsForgotten(t *testing.T) {
	for name, landed := range map[string]bool{"it was created": true, "it was not": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			_, requester := w.ticket("open")
			before := len(w.sim.Truth().TicketsOf(requester))
			w.sim.Fail(zendesktest.Fault{Method: "POST", Path: "/api/v2/tickets", Count: 1, Perform: landed, Status: 500, Body: "{}"})
			id := w.accept(outbox.Record{Kind: outbox.Ticket, UserID: requester, Subject: "Call"})
			o := w.options()
			o.DoubtWait = time.Hour
			w.run(o, func() bool { return w.record(id).InDoubt && w.record(id).Error != "" })
			w.pass(3 * time.Hour)
			w.run(w.options(), w.settled)
			if after := w.sim.Truth().TicketsOf(requester); len(after) != before+1 {
				t.Errorf("%d new tickets", len(after)-before)
			}
			if made, _ := w.sim.Truth().Ticket(w.record(id).Landed); made.Subject != "Call" {
				t.Errorf("it landed as %+v", made)
			}
		})
	}
}

func TestOrderWithinATicket(t *testing.T) {
	w := newWorld(t, nil)
	ticketID, _ := w.ticket("open")
	w.sim.Fail(zendesktest.Fault{Method: "PUT", Path: "/api/v2/tickets/*", Count: 2, Status: 500, Body: `{"error":"x"}`})
	ids := []string{w.comment(ticketID), w.comment(ticketID), w.comment(ticketID)}
	w.run(w.options(), w.settled)
	w.expect(ticketID, ids...)
}

// One ticket that Zendesk cannot update does not hold up the others.
func TestAPoisonedTicketStopsNobodyElse(t *testing.T) {
	w := newWorld(t, nil)
	bad, _ := w.ticket("open")
	defer w.sim.Fail(zendesktest.Fault{Method: "PUT", Path: fmt.Sprintf("/api/v2/tickets/%d", bad), Status: 500, Body: "{}"})()
	poisoned := w.comment(bad)
	var good []int64
	var ids []string
	for range 5 {
		ticketID, _ := w.ticket("open")
		good, ids = append(good, ticketID), append(ids, w.comment(ticketID))
	}
	w.run(w.options(), func() bool { return w.outbox.Status().Queued == 1 })
	for i := range good {
		w.expect(good[i], ids[i])
	}
	if r := w.record(poisoned); r.State != outbox.Queued || r.Attempts == 0 {
		t.Errorf("the other one is %+v", r)
	}
}

func TestWhatIsWaitedOut(t *testing.T) {
	tests := []struct {
		name  string
		fault zendesktest.Fault
	}{
		{"429 with a time", zendesktest.Fault{Method: "PUT", Count: 4, Status: 429, Header: map[string][]string{"Retry-After": {"1"}}, Body: `{"error":"APIRateLimitExceeded"}`}},
		{"credentials that are refused", zendesktest.Fault{Method: "PUT", Count: 2, Status: 401, Body: `{"error":"Couldn't authenticate you"}`}},
		{"forbidden", zendesktest.Fault{Count: 1, Status: 403, Body: `{"error":"Forbidden"}`}},
		{"a storm", zendesktest.Fault{Count: 5, Status: 500, Body: "oops"}},
		{"an edge's page", zendesktest.Fault{Method: "PUT", Count: 2, HTML: true}},
		{"garbage after the write", zendesktest.Fault{Method: "PUT", Count: 1, Perform: true, Garbage: true}},
		{"half an answer", zendesktest.Fault{Method: "PUT", Count: 1, CutBodyAt: 20}},
		{"a conflict", zendesktest.Fault{Method: "PUT", Count: 2, Status: 409, Body: `{"error":"UpdateConflict"}`}},
		{"a reset", zendesktest.Fault{Method: "PUT", Count: 1, Reset: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			ticketID, _ := w.ticket("open")
			w.sim.Fail(tt.fault)
			id := w.comment(ticketID)
			w.run(w.options(), w.settled)
			w.expect(ticketID, id)
			if r := w.record(id); r.State != outbox.Delivered {
				t.Errorf("it is %s: %s", r.State, r.Error)
			}
		})
	}
}

func TestItIsGivenUpInTheEnd(t *testing.T) {
	w := newWorld(t, nil)
	ticketID, _ := w.ticket("open")
	remove := w.sim.Fail(zendesktest.Fault{Method: "PUT", Status: 500, Body: "{}"})
	id := w.comment(ticketID)
	w.run(w.options(), func() bool { return w.record(id).Error != "" })
	w.pass(8 * 24 * time.Hour)
	w.run(w.options(), w.settled)
	if r := w.record(id); r.State != outbox.Failed || !strings.HasPrefix(r.Error, "gave_up") {
		t.Errorf("it is %s: %s", r.State, r.Error)
	}
	remove()
	if _, err := w.outbox.Retry(id); err != nil {
		t.Fatal(err)
	}
	w.run(w.options(), w.settled)
	w.expect(ticketID, id)
}

func TestAnAgentWhoWritesInBetween(t *testing.T) {
	w := newWorld(t, nil)
	ticketID, _ := w.ticket("open")
	id := w.comment(ticketID)
	o := w.options()
	edits := 0
	o.Desk = &watched{Desk: w.desk, beforeComment: func() {
		if edits++; edits <= 2 {
			w.pass(10 * time.Second)
			if err := w.sim.AddComment(ticketID, "from an agent", true); err != nil {
				t.Error(err)
			}
			w.pass(10 * time.Second)
		}
	}}
	w.run(o, w.settled)
	w.expect(ticketID, id)
	if r := w.record(id); r.Attempts != 3 {
		t.Errorf("%d attempts, want 3", r.Attempts)
	}
}

// watched looks on as requests are made.
type watched struct {
	Desk
	beforeComment func()
}

func (d *watched) Comment(ctx context.Context, w outbox.Write) (caller.TicketUpdate, error) {
	d.beforeComment()
	return d.Desk.Comment(ctx, w)
}

// Stamps are whole seconds. A comment that lands in the stamp's own second does
// not move it: without the wait its retry would pass.
func TestAStampOfThisSecondIsWaitedOut(t *testing.T) {
	w := newWorld(t, nil)
	ticketID, _ := w.ticket("open")
	if err := w.sim.AddComment(ticketID, "just now", false); err != nil {
		t.Fatal(err)
	}
	touched := w.clock().Unix()
	// The first write lands and its answer is lost; the audits cannot be read,
	// so that the stamp alone protects.
	w.sim.Fail(zendesktest.Fault{Method: "PUT", Path: "/api/v2/tickets/*", Count: 1, Perform: true, Reset: true})
	id := w.comment(ticketID)
	var sent int64
	o := w.options()
	o.Desk = &watched{Desk: w.desk, beforeComment: func() {
		if sent == 0 {
			sent = w.clock().Unix()
		}
	}}
	w.run(o, w.settled)
	w.expect(ticketID, id)
	if sent < touched+1 {
		t.Errorf("sent in the second %d of an update of %d", sent, touched)
	}
}

func TestTheMirrorsFaultIsNoneOfTheDelivery(t *testing.T) {
	w := newWorld(t, nil)
	w.mirror.err = errors.New("the store is closed")
	ticketID, _ := w.ticket("open")
	id := w.comment(ticketID)
	w.run(w.options(), w.settled)
	w.expect(ticketID, id)
}

// Ten thousand that wait for an account that is down are not ten thousand
// requests.
func TestAnOutageIsAskedAboutOneAtATime(t *testing.T) {
	w := newWorld(t, nil)
	for range 30 {
		ticketID, _ := w.ticket("open")
		w.comment(ticketID)
	}
	w.sim.Down(true)
	o := w.options()
	at, most := 0, 0
	var mu sync.Mutex
	o.Desk = &counted{Desk: w.desk, enter: func(d int) {
		mu.Lock()
		defer mu.Unlock()
		at += d
		most = max(most, at)
	}}
	began := w.clock()
	o.Workers = 1
	w.run(o, func() bool { return w.clock().Sub(began) > 20*time.Second })
	if most > 1 {
		t.Errorf("%d at a time", most)
	}
	if n := strings.Count(w.log.String(), "comments wait"); n != 1 {
		t.Errorf("one outage has %d lines in the log", n)
	}
	w.sim.Down(false)
	w.run(w.options(), w.settled)
	if s := w.outbox.Status(); s.Failed != 0 {
		t.Errorf("%d failed", s.Failed)
	}
}

type counted struct {
	Desk
	enter func(int)
}

func (d *counted) Ticket(ctx context.Context, id int64) (outbox.Sighting, error) {
	d.enter(1)
	defer d.enter(-1)
	return d.Desk.Ticket(ctx, id)
}

func TestZendesksUpdateLimits(t *testing.T) {
	w := window{limit: 3, span: time.Minute}
	now := time.Unix(1000, 0)
	for range 3 {
		if wait := w.wait(now); wait != 0 {
			t.Fatalf("wait %s", wait)
		}
		w.add(now)
		now = now.Add(10 * time.Second)
	}
	if wait := w.wait(now); wait != 30*time.Second {
		t.Errorf("the fourth waits %s, want 30s", wait)
	}
	if wait := w.wait(now.Add(30 * time.Second)); wait != 0 {
		t.Errorf("after the first is a minute old it waits %s", wait)
	}
}

func TestAThirtyFirstCommentOnATicketWaits(t *testing.T) {
	w := newWorld(t, nil)
	ticketID, _ := w.ticket("open")
	for range ticketLimit + 1 {
		w.comment(ticketID)
	}
	began := w.clock()
	w.run(w.options(), func() bool { return w.outbox.Status().Queued == 1 })
	if took := w.clock().Sub(began); took > 9*time.Minute {
		t.Errorf("%d comments took %s", ticketLimit, took)
	}
	began = w.clock()
	w.pass(9*time.Minute - w.clock().Sub(began))
	w.run(w.options(), w.settled) // a courier that has just begun has counted nothing
	if n := len(w.comments(ticketID)); n != ticketLimit+1 {
		t.Errorf("%d comments", n)
	}
}

func TestAPanicIsAReasonToWait(t *testing.T) {
	w := newWorld(t, nil)
	ticketID, _ := w.ticket("open")
	id := w.comment(ticketID)
	o := w.options()
	first := true
	o.Desk = &watched{Desk: w.desk, beforeComment: func() {
		if first {
			first = false
			panic("body of " + id)
		}
	}}
	w.run(o, w.settled)
	w.expect(ticketID, id)
	if strings.Contains(w.log.String(), "body of") {
		t.Error("the log quotes the panic")
	}
}

func TestAfterARestoreEverythingIsInDoubt(t *testing.T) {
	w := newWorld(t, nil)
	ticketID, requester := w.ticket("open")
	there, missing := w.comment(ticketID), w.comment(ticketID)
	created := w.accept(outbox.Record{Kind: outbox.Ticket, UserID: requester, Subject: "Call"})
	before := len(w.sim.Truth().TicketsOf(requester))
	// The backup was made before these two were delivered.
	if _, err := w.desk.Comment(t.Context(), outbox.Write{TicketID: ticketID, Body: "body of " + there, Marker: there, Stamp: w.stamp(ticketID)}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.desk.Create(t.Context(), outbox.NewTicket{Key: "lost", Marker: created, Subject: "Call", Body: "body of " + created, RequesterID: requester}); err != nil {
		t.Fatal(err)
	}
	if n, err := w.outbox.Doubt(); n != 3 || err != nil {
		t.Fatalf("%d in doubt, %v", n, err)
	}
	w.pass(time.Minute)
	w.run(w.options(), w.settled)
	w.expect(ticketID, there, missing)
	if n := len(w.sim.Truth().TicketsOf(requester)) - before; n != 1 {
		t.Errorf("%d new tickets", n)
	}
}

func (w *world) stamp(ticketID int64) string {
	w.t.Helper()
	seen, err := w.desk.Ticket(w.t.Context(), ticketID)
	if err != nil {
		w.t.Fatal(err)
	}
	return seen.Stamp
}
