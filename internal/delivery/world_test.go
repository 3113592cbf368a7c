package delivery

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"aniproxy/internal/ani"
	"aniproxy/internal/caller"
	"aniproxy/internal/outbox"
	"aniproxy/internal/privacytest"
	"aniproxy/internal/upstream"
	"aniproxy/internal/zendesk"
	"aniproxy/internal/zendesk/zendesktest"
	"aniproxy/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(written.Around(m)) }

// written is what the tests of this package have logged, and about whom.
var written = privacytest.New()

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
	return makeWorld(t, change, func(sim *zendesktest.Server, cfg *zendesk.Config) {
		server := httptest.NewServer(sim)
		t.Cleanup(server.Close)
		cfg.BaseURL = server.URL
	})
}

// makeWorld makes one whose account is reached as connect says.
func makeWorld(t *testing.T, change func(*zendesktest.Options), connect func(*zendesktest.Server, *zendesk.Config)) *world {
	t.Helper()
	w := &world{t: t, mirror: &mirror{}, log: &lockedBuffer{}}
	o := zendesktest.Options{Seed: 3, Users: 40, HideNewest: -1, SearchLag: -1, Limits: zendesktest.Limits{Off: true}, Clock: w.clock}
	if change != nil {
		change(&o)
	}
	w.sim = zendesktest.New(o)
	t.Cleanup(w.sim.Close)
	w.sim.Truth().Everybody(written.Person, written.Texts)
	log := slog.New(slog.NewTextHandler(io.MultiWriter(w.log, written.Sink(w.t.Name())), nil))
	cfg := zendesk.Config{
		ClientID: zendesktest.DefaultClientID, ClientSecret: zendesktest.DefaultClientSecret,
		RatePerMinute: 10_000, Logger: log, Clock: w.clock, Rand: func() float64 { return 0 },
	}
	connect(w.sim, &cfg)
	client, err := zendesk.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
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
	written.Texts(r.Body, r.Subject)
	if _, _, err := w.outbox.Accept(w.t.Context(), outbox.Intake{Record: r}); err != nil {
		w.t.Fatal(err)
	}
	return r.ID
}

func (w *world) comment(ticketID int64) string {
	w.t.Helper()
	return w.accept(outbox.Record{Kind: outbox.Comment, TicketID: ticketID})
}

// rand is a random number's source that many goroutines may ask.
func (w *world) rand(rng *rand.Rand) func() float64 {
	own := rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64()))
	return func() float64 {
		w.mu.Lock()
		defer w.mu.Unlock()
		return own.Float64()
	}
}

func (w *world) options() Options {
	return Options{
		Outbox: w.outbox, Desk: w.desk, Mirror: w.mirror, Logger: slog.New(slog.NewTextHandler(io.MultiWriter(w.log, written.Sink(w.t.Name())), nil)), Clock: w.clock,
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

// inBubble is a world whose time is the bubble's: connections in memory, and all
// waits as long as they are in earnest.
func inBubble(t *testing.T, change func(*zendesktest.Options), test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(makeWorld(t, change, func(sim *zendesktest.Server, cfg *zendesk.Config) {
			cfg.BaseURL, cfg.Transport = "http://localhost", sim.Transport()
		}))
	})
}

// start has a courier at work until end is called.
func (w *world) start(o Options) (c *Courier, end func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	c = New(o)
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	return c, func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	}
}

// real is a courier as it is in earnest.
func (w *world) real() Options {
	o := w.options()
	o.DoubtWait, o.Rand = 0, func() float64 { return 0.5 }
	return o
}

// await waits until something holds, a day at most, and tells how long it took.
func (w *world) await(holds func() bool) time.Duration {
	w.t.Helper()
	began := time.Now()
	for !holds() {
		if time.Since(began) > 24*time.Hour {
			w.t.Fatalf("it never happens: %+v\n%s", w.outbox.Status(), w.log)
		}
		<-time.After(100 * time.Millisecond)
	}
	return time.Since(began)
}

func (w *world) isSettled(id string) func() bool {
	return func() bool { return w.record(id).State != outbox.Queued }
}
