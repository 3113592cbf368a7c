package sync

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	stdsync "sync"
	"testing"
	"testing/synctest"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/status"
)

// shelf is Zendesk as single objects: what there is, and how it is answered.
// Its exports are empty and at their end, so that what the mirror learns it
// learns by id.
type shelf struct {
	mu      stdsync.Mutex
	users   map[int64]caller.UserUpdate
	tickets map[int64]caller.TicketUpdate
	// unseen are objects that are answered "not found" until a moment.
	unseen map[caller.Object]time.Time
	// fail may fail a reading.
	fail   func(what string, ids []int64) error
	pace   time.Duration // of an answer
	asks   []ask
	sent   int
	sparse bool // a search shows only some of its hits
}

// ask is one reading: users, tickets, requested or search.
type ask struct {
	what string
	ids  []int64
	at   time.Time
}

func newShelf() *shelf {
	return &shelf{users: map[int64]caller.UserUpdate{}, tickets: map[int64]caller.TicketUpdate{}, unseen: map[caller.Object]time.Time{}}
}

// put makes or changes a user; numbers are further ones.
func (h *shelf) put(id int64, phone string, numbers ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	h.users[id] = caller.UserUpdate{
		User:    caller.User{ID: id, Name: "Somebody", Phone: phone, Role: "end-user", Active: true, UpdatedAt: now.Unix()},
		Version: caller.Version{Updated: now.Unix()}, Number: phone,
		Identities: &caller.Identities{Phones: numbers, Numbers: numbers},
	}
}

// leave makes a user inactive.
func (h *shelf) leave(id int64) {
	h.put(id, "")
	h.mu.Lock()
	defer h.mu.Unlock()
	u := h.users[id]
	u.User.Active, u.Identities = false, nil
	h.users[id] = u
}

func (h *shelf) putTicket(id, requester int64, state string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	h.tickets[id] = caller.TicketUpdate{
		Ticket:  caller.Ticket{ID: id, RequesterID: requester, Status: state, Subject: "Help", UpdatedAt: now.Unix()},
		Version: caller.Version{Updated: now.Unix()},
	}
}

func (h *shelf) remove(o caller.Object) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if o.Stream == caller.Users {
		delete(h.users, o.ID)
		return
	}
	delete(h.tickets, o.ID)
}

func (h *shelf) set(change func(*shelf)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(h)
}

// begin notes a reading, lets its time go by and may fail it. What is answered
// is what was there as it was sent.
func (h *shelf) begin(ctx context.Context, what string, ids []int64) (time.Time, error) {
	h.mu.Lock()
	h.asks = append(h.asks, ask{what, slices.Clone(ids), time.Now()})
	h.sent++
	sent := time.Now().Add(time.Duration(h.sent))
	fail := h.fail
	h.mu.Unlock()
	if fail != nil {
		if err := fail(what, ids); err != nil {
			return sent, err
		}
	}
	if err := ctx.Err(); err != nil {
		return sent, &caller.UpstreamError{Fault: caller.FaultDeadline, Err: err}
	}
	return sent, nil
}

// end lets the time of an answer go by.
func (h *shelf) end(ctx context.Context) error {
	h.mu.Lock()
	pace := h.pace
	h.mu.Unlock()
	if err := pass(ctx, pace); err != nil {
		return &caller.UpstreamError{Fault: caller.FaultDeadline, Err: err}
	}
	return nil
}

func (h *shelf) hidden(stream caller.Stream, id int64) bool {
	return time.Now().Before(h.unseen[caller.Object{Stream: stream, ID: id}])
}

func (h *shelf) Identities(ctx context.Context, ids []int64) ([]caller.UserUpdate, []caller.Gone, error) {
	sent, err := h.begin(ctx, "users", ids)
	if err != nil {
		return nil, nil, err
	}
	h.mu.Lock()
	var users []caller.UserUpdate
	var gone []caller.Gone
	for _, id := range ids {
		u, ok := h.users[id]
		if !ok || h.hidden(caller.Users, id) {
			gone = append(gone, caller.Gone{Stream: caller.Users, ID: id, Sent: sent.UnixNano()})
			continue
		}
		u.Version.Sent, u.AsOf = sent.UnixNano(), sent
		if u.Identities != nil {
			identities := *u.Identities
			identities.Sent = sent.UnixNano()
			u.Identities = &identities
		}
		users = append(users, u)
	}
	h.mu.Unlock()
	return users, gone, h.end(ctx)
}

func (h *shelf) ShowTickets(ctx context.Context, ids []int64) ([]caller.TicketUpdate, []caller.Gone, error) {
	sent, err := h.begin(ctx, "tickets", ids)
	if err != nil {
		return nil, nil, err
	}
	h.mu.Lock()
	var tickets []caller.TicketUpdate
	var gone []caller.Gone
	for _, id := range ids {
		t, ok := h.tickets[id]
		if !ok || h.hidden(caller.Tickets, id) {
			gone = append(gone, caller.Gone{Stream: caller.Tickets, ID: id, Sent: sent.UnixNano()})
			continue
		}
		t.Version.Sent, t.AsOf = sent.UnixNano(), sent
		tickets = append(tickets, t)
	}
	h.mu.Unlock()
	return tickets, gone, h.end(ctx)
}

func (h *shelf) Tickets(ctx context.Context, userID int64) (caller.Reading, error) {
	sent, err := h.begin(ctx, "requested", []int64{userID})
	if err != nil {
		return caller.Reading{}, err
	}
	h.mu.Lock()
	r := caller.Reading{Complete: true, Sent: sent}
	if _, ok := h.users[userID]; !ok {
		err = &caller.UpstreamError{Fault: caller.FaultNotFound, Err: context.Canceled}
	}
	for _, id := range slices.Sorted(maps.Keys(h.tickets)) {
		if t := h.tickets[id]; t.Ticket.RequesterID == userID {
			t.Version.Sent, t.AsOf = sent.UnixNano(), sent
			r.Tickets = append(r.Tickets, t)
		}
	}
	h.mu.Unlock()
	if err != nil {
		return caller.Reading{}, err
	}
	return r, h.end(ctx)
}

func (h *shelf) Search(ctx context.Context, digits string) ([]caller.UserUpdate, bool, error) {
	if _, err := h.begin(ctx, "search", nil); err != nil {
		return nil, false, err
	}
	h.mu.Lock()
	var hits []caller.UserUpdate
	for _, id := range slices.Sorted(maps.Keys(h.users)) {
		if u := h.users[id]; u.User.Active && strings.HasSuffix(u.User.Phone, digits) {
			hits = append(hits, u)
		}
	}
	complete := !h.sparse
	h.mu.Unlock()
	return hits, complete, h.end(ctx)
}

func (h *shelf) Export(ctx context.Context, r Request) (*Page, error) {
	if err := ctx.Err(); err != nil {
		return nil, &caller.UpstreamError{Fault: caller.FaultDeadline, Err: err}
	}
	return &Page{Next: "end", End: true, Date: time.Now(), Sent: time.Now()}, nil
}

func (h *shelf) Unresolved(ctx context.Context, _ string) (*Page, error) {
	return h.Export(ctx, Request{})
}

// asked are the readings of a kind so far.
func (h *shelf) asked(what string) []ask {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(h.asks), func(a ask) bool { return a.what != what })
}

func (h *shelf) forget() { h.set(func(h *shelf) { h.asks = nil }) }

// reading is a Syncer at work on a shelf and a store.
type reading struct {
	*mirror
	shelf *shelf
}

// onShelf runs a Syncer whose streams are at their end, on a store of its own
// unless one is given. Nothing is sampled and nobody read in rounds unless the
// test says so.
func onShelf(t *testing.T, h *shelf, s *recorder, change ...func(*Options)) *reading {
	t.Helper()
	if s == nil {
		s = openStore(t, filepath.Join(t.TempDir(), "a.db"))
	}
	n := 0
	o := Options{
		Source: h, Store: s, Logger: written.Logger(t.Name()), Identities: true,
		NewID:       func() string { n++; return fmt.Sprintf("job%d", n) },
		SampleEvery: -1, RoundTakes: -1, DeleteGuard: 1,
	}
	for _, f := range change {
		f(&o)
	}
	syncer, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- syncer.Run(ctx) }()
	m := &mirror{Syncer: syncer, t: t, store: s}
	m.stop = stdsync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(m.stop)
	m.wantState(m.run(""), "done")
	h.forget()
	return &reading{m, h}
}

// tell sends notices of users and tickets, by id: tickets are above 1000.
func (r *reading) tell(ids ...int64) {
	r.t.Helper()
	if !r.Notice(objects(ids...)) {
		r.t.Errorf("the notice of %d objects was not taken", len(ids))
	}
}

func objects(ids ...int64) []caller.Object {
	var all []caller.Object
	for _, id := range ids {
		stream := caller.Users
		if id > 1000 {
			stream = caller.Tickets
		}
		all = append(all, caller.Object{Stream: stream, ID: id})
	}
	return all
}

// settle lets time pass until the queue has been worked off.
func (r *reading) settle() status.Notices {
	r.t.Helper()
	for range 100_000 {
		synctest.Wait()
		if st := r.Status().Notices; st.Waiting == 0 {
			return st
		}
		<-time.After(100 * time.Millisecond)
	}
	r.t.Fatalf("the queue does not empty: %+v", r.Status().Notices)
	return status.Notices{}
}

// wantNumber checks whom the mirror has for a number.
func (r *reading) wantNumber(number string, ids ...int64) {
	r.t.Helper()
	got, err := r.store.Holders(number)
	if err != nil {
		r.t.Fatal(err)
	}
	if !slices.Equal(got, ids) {
		r.t.Errorf("%s is %v's, want %v", number, got, ids)
	}
}

// wantTickets checks which unresolved tickets the mirror has for a user.
func (r *reading) wantTickets(user int64, ids ...int64) {
	r.t.Helper()
	got, err := r.store.OpenTickets(user)
	if err != nil {
		r.t.Fatal(err)
	}
	slices.Sort(got)
	if !slices.Equal(got, ids) {
		r.t.Errorf("user %d has tickets %v, want %v", user, got, ids)
	}
}

// logLines gathers what is logged.
type logLines struct {
	mu stdsync.Mutex
	b  strings.Builder
}

func (l *logLines) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(io.MultiWriter(l, written.Sink("the lines of a test")), nil))
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
