package sync

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	stdsync "sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"aniproxy/internal/caller"
	"aniproxy/internal/privacytest"
	"aniproxy/internal/status"
	"aniproxy/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(written.Around(m)) }

// written is what the tests of this package have logged, and about whom.
var written = privacytest.New()

// account is a Zendesk account in memory: each stream is a list of records in
// the order of their changes, and a cursor is how many of them lie before it.
type account struct {
	mu       stdsync.Mutex
	users    []caller.UserUpdate
	tickets  []caller.TicketUpdate
	pageSize int
	overlap  int // records of the page before that a page repeats
	skew     time.Duration
	noDate   bool
	// pace is how long a page of a stream takes.
	pace map[caller.Stream]time.Duration
	// script may answer in the account's place; two nils leave it to it.
	script func(r Request) (*Page, error)

	identities map[int64][]string
	gone       map[int64]bool
	// vanished users are in no export either.
	vanished map[int64]bool
	search   search
	// refuse may fail a reading of identities.
	refuse func(ids []int64) error

	requests []Request
	readings [][]int64
	sendings int
}

// send is the time of a sending. A bubble's clock stands while anybody works;
// no two requests are sent at the same moment.
func (a *account) send() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sendings++
	return time.Now().Add(time.Duration(a.sendings))
}

func newAccount(users, tickets int) *account {
	a := &account{pageSize: 50, pace: map[caller.Stream]time.Duration{}}
	for i := 1; i <= users; i++ {
		a.addUser(int64(i))
	}
	for i := 1; i <= tickets; i++ {
		a.addTicket(int64(1000+i), int64(1+i%max(users, 1)))
	}
	return a
}

// changed is the time of the n-th change: one a second, long ago.
func changed(n int) time.Time { return time.Unix(900_000_000+int64(n), 0) }

func (a *account) addUser(id int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := changed(len(a.users))
	number := fmt.Sprintf("+1513555%04d", id)
	a.users = append(a.users, caller.UserUpdate{
		User: caller.User{
			ID: id, Name: fmt.Sprintf("Somebody %d-%d", id, len(a.users)), Phone: number, Role: "end-user",
			Active: true, UpdatedAt: at.Unix(),
		},
		Version: caller.Version{Updated: at.Unix()}, Number: number,
	})
}

func (a *account) addTicket(id, requester int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := changed(len(a.tickets))
	a.tickets = append(a.tickets, caller.TicketUpdate{
		Ticket:  caller.Ticket{ID: id, RequesterID: requester, Status: "open", Subject: "Help", CreatedAt: at.Unix()},
		Version: caller.Version{Generated: at.Unix(), Updated: at.Unix()},
	})
}

func (a *account) setScript(f func(r Request) (*Page, error)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.script = f
}

// Export is Source's.
func (a *account) Export(ctx context.Context, r Request) (*Page, error) {
	a.mu.Lock()
	a.requests = append(a.requests, r)
	script, pace := a.script, a.pace[r.Stream]
	a.mu.Unlock()
	if script != nil {
		if p, err := script(r); p != nil || err != nil {
			return p, err
		}
	}
	sent := a.send()
	if err := pass(ctx, pace); err != nil {
		return nil, &caller.UpstreamError{Fault: caller.FaultDeadline, Err: err}
	}
	return a.page(r, sent), nil
}

// pass lets time go by.
func pass(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return ctx.Err()
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (a *account) page(r Request, sent time.Time) *Page {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := &Page{Sent: sent, Date: time.Now().Add(a.skew).Truncate(time.Second)}
	if a.noDate {
		p.Date = time.Time{}
	}
	from, _ := strconv.Atoi(r.Cursor)
	n := len(a.users)
	if r.Stream == caller.Tickets {
		n = len(a.tickets)
	}
	for !r.StartTime.IsZero() && from < n && changed(from).Before(r.StartTime) {
		from++
	}
	to := min(from+a.pageSize, n)
	p.Next, p.End = strconv.Itoa(to), to == n
	from = max(0, from-a.overlap)
	if r.Stream == caller.Users {
		for _, u := range a.users[from:to] {
			if a.vanished[u.User.ID] {
				continue
			}
			u.Version.Sent, u.AsOf = sent.UnixNano(), sent.Add(-time.Minute)
			p.Users = append(p.Users, u)
		}
		return p
	}
	for _, t := range a.tickets[from:to] {
		t.Version.Sent, t.AsOf = sent.UnixNano(), sent.Add(-time.Minute)
		p.Tickets = append(p.Tickets, t)
	}
	return p
}

// Identities is Source's.
func (a *account) Identities(ctx context.Context, ids []int64) ([]caller.UserUpdate, []caller.Gone, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	sent := a.send()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.readings = append(a.readings, slices.Clone(ids))
	if a.refuse != nil {
		if err := a.refuse(ids); err != nil {
			return nil, nil, err
		}
	}
	var (
		users []caller.UserUpdate
		gone  []caller.Gone
	)
	for _, id := range ids {
		if a.gone[id] || a.vanished[id] {
			gone = append(gone, caller.Gone{Stream: caller.Users, ID: id, Sent: sent.UnixNano()})
			continue
		}
		for _, u := range slices.Backward(a.users) {
			if u.User.ID == id {
				u.Version.Sent, u.AsOf = sent.UnixNano(), sent
				u.Identities = &caller.Identities{Phones: a.identities[id], Numbers: a.identities[id], Sent: sent.UnixNano()}
				users = append(users, u)
				break
			}
		}
	}
	return users, gone, nil
}

// asked are the requests for a stream so far.
func (a *account) asked(stream caller.Stream) []Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(a.requests), func(r Request) bool { return r.Stream != stream })
}

// forget drops what was asked so far.
func (a *account) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests, a.readings = nil, nil
	a.search.asked, a.search.shown = nil, nil
}

// recorder is a real store that remembers what it was told.
type recorder struct {
	*store.Store
	mu      stdsync.Mutex
	batches []caller.Batch
	pruned  int
	before  func(b caller.Batch) // runs before a batch is written
}

func (r *recorder) Apply(ctx context.Context, b caller.Batch) (caller.Change, error) {
	written.Batch(&b)
	r.mu.Lock()
	r.batches = append(r.batches, b)
	before := r.before
	r.mu.Unlock()
	if before != nil {
		before(b)
	}
	return r.Store.Apply(ctx, b)
}

func (r *recorder) Prune(ctx context.Context) (int, error) {
	r.mu.Lock()
	r.pruned++
	r.mu.Unlock()
	return r.Store.Prune(ctx)
}

func (r *recorder) written(stream caller.Stream) []caller.Batch {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.batches), func(b caller.Batch) bool {
		return b.Position == nil || b.Position.Stream != stream
	})
}

// openStore opens a real store in a bubble; it is closed with the test.
func openStore(t *testing.T, path string) *recorder {
	t.Helper()
	s, err := store.Open(store.Options{
		Path: path, Logger: written.Logger(t.Name()), KeepResolved: 168 * time.Hour, KeyRules: "1",
		Key:    func(phone string) (string, bool) { return phone, phone != "" && phone[0] == '+' },
		NoSync: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &recorder{Store: s}
}

// mirror is a Syncer at work on an account and a store.
type mirror struct {
	*Syncer
	t       *testing.T
	account *account
	store   *recorder
	stop    func() // ends Run and waits for it
}

// inBubble runs a test where time passes at once when everybody waits.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// start runs a Syncer. Nothing is scheduled unless the test says so.
func start(t *testing.T, a *account, s *recorder, change ...func(*Options)) *mirror {
	t.Helper()
	if s == nil {
		s = openStore(t, filepath.Join(t.TempDir(), "a.db"))
	}
	n := 0
	o := Options{
		Source: a, Store: s, Logger: written.Logger(t.Name()),
		NewID:       func() string { n++; return fmt.Sprintf("job%d", n) },
		SampleEvery: -1, RoundTakes: -1, // they ask too, and tests count
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
	m := &mirror{Syncer: syncer, t: t, account: a, store: s}
	m.stop = stdsync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(m.stop)
	synctest.Wait()
	return m
}

// ask asks for a run.
func (m *mirror) ask(mode string) string {
	m.t.Helper()
	id, err := m.Start(status.Request{Mode: mode})
	if err != nil {
		m.t.Fatal(err)
	}
	return id
}

// run does one run to its end.
func (m *mirror) run(mode string) status.Job {
	m.t.Helper()
	return m.await(m.ask(mode))
}

// await lets time pass until a run has ended.
func (m *mirror) await(id string) status.Job {
	m.t.Helper()
	for range 1_000_000 {
		synctest.Wait()
		job, ok := m.Job(id)
		if !ok {
			m.t.Fatalf("no job %s", id)
		}
		if !job.Ended.IsZero() {
			return job
		}
		<-time.After(time.Second)
	}
	m.t.Fatalf("job %s does not end", id)
	return status.Job{}
}

// wantState checks how a run ended.
func (m *mirror) wantState(job status.Job, state string) {
	m.t.Helper()
	if job.State != state {
		m.t.Fatalf("job %s %s is %s (%q), want %s", job.ID, job.Mode, job.State, job.Error, state)
	}
}

// wantMirrored checks that the store holds the account.
func (m *mirror) wantMirrored() {
	m.t.Helper()
	users, tickets := map[int64]bool{}, map[int64]bool{}
	for _, u := range m.account.users {
		users[u.User.ID] = true
	}
	for _, t := range m.account.tickets {
		tickets[t.Ticket.ID] = true
	}
	size := m.store.Size()
	if size.Users != int64(len(users)) || size.Tickets != int64(len(tickets)) {
		m.t.Errorf("the mirror holds %d users and %d tickets, want %d and %d",
			size.Users, size.Tickets, len(users), len(tickets))
	}
	if err := m.store.Verify(); err != nil {
		m.t.Error(err)
	}
}

// wantCursor checks a stream's saved cursor.
func (m *mirror) wantCursor(stream caller.Stream, cursor string) {
	m.t.Helper()
	if got := m.position(stream).Cursor; got != cursor {
		m.t.Errorf("the cursor of %s is %q, want %q", stream, got, cursor)
	}
}
