package cache

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"aniproxy/internal/ani"
	"aniproxy/internal/caller"
	"aniproxy/internal/privacytest"
	"aniproxy/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(written.Around(m)) }

// written is what the tests of this package have logged, and about whom.
var written = privacytest.New()

const (
	numberA = "+15135557611"
	numberB = "+442079460018"
)

// noon is the moment at which these tests begin.
var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// zendesk is an upstream that says what a test tells it, and counts.
type zendesk struct {
	mu       sync.Mutex
	clock    func() time.Time
	people   map[int64]caller.UserUpdate
	tickets  map[int64][]caller.TicketUpdate // by requester
	err      error
	partial  bool                // searches have more hits than they show
	hold     chan struct{}       // where not nil, searches wait until it is closed
	lagging  []caller.UserUpdate // hits of the past
	deaf     bool                // and do not heed their context
	searches int
	calls    []string
	during   func()         // runs in the middle of a walk
	unread   map[int64]bool // who is there in a form that cannot be read
}

func (z *zendesk) Search(ctx context.Context, digits string) ([]caller.UserUpdate, bool, error) {
	z.mu.Lock()
	z.searches++
	z.calls = append(z.calls, "GET search")
	hold, err, partial, during := z.hold, z.err, z.partial, z.during
	z.mu.Unlock()
	if hold != nil {
		if z.deaf {
			ctx = context.WithoutCancel(ctx)
		}
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
	if err != nil {
		return nil, false, err
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	var hits []caller.UserUpdate
	for _, u := range z.people {
		// As Zendesk's: by what the profile's text ends in, without its identities.
		if u.User.Role != "end-user" {
			continue
		}
		if n := len(u.User.Phone); n >= 7 && digits[len(digits)-7:] == u.User.Phone[n-7:] {
			u.Identities = nil
			hits = append(hits, z.indexed(u))
		}
	}
	for _, u := range z.lagging {
		hits = append(hits, z.indexed(u))
	}
	if during != nil {
		during()
	}
	return hits, !partial, nil
}

func (z *zendesk) Identities(_ context.Context, ids []int64) (users []caller.UserUpdate, gone []caller.Gone, err error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.calls = append(z.calls, "GET users/show_many")
	for _, id := range ids {
		written.Batch(&caller.Batch{Users: []caller.UserUpdate{z.people[id]}, Tickets: z.tickets[id]})
		if z.unread[id] {
			continue
		}
		u, ok := z.people[id]
		if !ok {
			gone = append(gone, caller.Gone{Stream: caller.Users, ID: id, Sent: z.clock().UnixNano()})
			continue
		}
		if u.Identities == nil {
			u.Identities = &caller.Identities{}
		}
		u = z.now(u)
		u.Identities.Sent = u.Version.Sent
		users = append(users, u)
	}
	return users, gone, z.err
}

func (z *zendesk) Tickets(_ context.Context, id int64) (caller.Reading, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.calls = append(z.calls, "GET users/{id}/tickets/requested")
	return caller.Reading{Tickets: z.tickets[id], Complete: true, Sent: z.clock()}, z.err
}

func (z *zendesk) now(u caller.UserUpdate) caller.UserUpdate {
	u.Version.Sent, u.AsOf = z.clock().UnixNano(), z.clock()
	return u
}

// indexed is somebody as the search shows them.
func (z *zendesk) indexed(u caller.UserUpdate) caller.UserUpdate {
	u.AsOf = z.clock().Add(-caller.SearchLag)
	u.Version.Sent = u.AsOf.UnixNano()
	return u
}

// asked are the calls since the last time, by the names of their endpoints.
func (z *zendesk) asked() []string {
	z.mu.Lock()
	defer z.mu.Unlock()
	calls := z.calls
	z.calls = nil
	return calls
}

func (z *zendesk) set(change func()) {
	z.mu.Lock()
	defer z.mu.Unlock()
	change()
}

func (z *zendesk) searched() int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.searches
}

// bench is a resolver on a real store, with the scripted upstream.
type bench struct {
	*Resolver
	t     testing.TB
	store *store.Store
	live  *zendesk
	mu    sync.Mutex
	now   time.Time
	// committed, where it is not nil, runs between a commit and its Invalidate.
	committed func()
}

func (b *bench) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bench) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

func setUp(t testing.TB, change ...func(*Options)) *bench {
	t.Helper()
	b := &bench{t: t, now: noon}
	numbers, err := ani.New("US")
	if err != nil {
		t.Fatal(err)
	}
	b.live = &zendesk{clock: b.clock, people: map[int64]caller.UserUpdate{}, tickets: map[int64][]caller.TicketUpdate{}}
	log := written.Logger(t.Name())
	b.store, err = store.Open(store.Options{
		Path: filepath.Join(t.TempDir(), "a.db"), Logger: log, Clock: b.clock, KeepResolved: 168 * time.Hour,
		Key: numbers.Key, KeyRules: "1", NoSync: true,
		OnCommit: func(c caller.Change) {
			if b.committed != nil {
				b.committed()
			}
			b.Invalidate(c)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Store: b.store, Live: b.live, Numbers: numbers, Logger: log, Clock: b.clock,
		MemoryBytes: 8 << 20, Roles: []string{"end-user"}, NegativeTTL: 2 * time.Minute,
		Timeout: 1500 * time.Millisecond, MaxConcurrent: 16, MaxStale: 5 * time.Minute,
	}
	for _, f := range change {
		f(&o)
	}
	if b.Resolver, err = New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.Close()
		if err := b.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// filled says that both streams were read to their end just now.
func (b *bench) filled() {
	b.t.Helper()
	for _, s := range []caller.Stream{caller.Users, caller.Tickets} {
		b.apply(caller.Batch{Position: &caller.Position{Stream: s, Complete: true, Watermark: b.clock()}})
	}
}

func (b *bench) apply(batch caller.Batch) {
	b.t.Helper()
	written.Batch(&batch)
	if _, err := b.store.Apply(b.t.Context(), batch); err != nil {
		b.t.Fatal(err)
	}
}

// mirrored puts people into the mirror as an export would.
func (b *bench) mirrored(users ...caller.UserUpdate) {
	b.t.Helper()
	for i := range users {
		users[i].Version.Sent, users[i].AsOf = b.clock().UnixNano(), b.clock()
	}
	b.apply(caller.Batch{Users: users})
}

func (b *bench) ask(number string) caller.Answer {
	b.t.Helper()
	return b.Lookup(b.t.Context(), caller.Query{ANI: number})
}

// expect holds an answer against what it should say.
func (b *bench) expect(what string, a caller.Answer, o caller.Outcome, from caller.Source, people ...string) {
	b.t.Helper()
	var names []string
	for _, c := range a.Callers {
		names = append(names, c.User.Name)
	}
	if a.Outcome != o || a.Source != from || !slices.Equal(names, people) {
		b.t.Errorf("%s: %s from %s of %v (%s), want %s from %s of %v", what, a.Outcome, a.Source, names, a.Reason, o, from, people)
	}
}

func person(id int64, name, phone string) caller.UserUpdate {
	return caller.UserUpdate{
		User:    caller.User{ID: id, Name: name, Phone: phone, Role: "end-user", Active: true, UpdatedAt: noon.Unix()},
		Number:  phone,
		Version: caller.Version{Updated: noon.Unix(), Sent: noon.UnixNano()},
		AsOf:    noon,
	}
}

func withIdentity(u caller.UserUpdate, numbers ...string) caller.UserUpdate {
	u.Identities = &caller.Identities{Phones: numbers, Numbers: numbers, Sent: noon.UnixNano()}
	return u
}

func openTicket(id, requester int64) caller.TicketUpdate {
	return caller.TicketUpdate{
		Ticket:  caller.Ticket{ID: id, RequesterID: requester, Status: "open", CreatedAt: noon.Unix() + id, UpdatedAt: noon.Unix()},
		Version: caller.Version{Updated: noon.Unix(), Sent: noon.UnixNano()},
		AsOf:    noon,
	}
}

var errDown = &caller.UpstreamError{Fault: caller.FaultDown, Err: errors.New("connection refused")}
