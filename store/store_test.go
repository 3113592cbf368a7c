package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"aniproxy/internal/caller"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is the moment at which these tests happen.
var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// at is noon plus some seconds.
func at(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

func options(path string) Options {
	return Options{
		Path: path, Logger: slog.New(slog.DiscardHandler), Clock: func() time.Time { return noon },
		KeepResolved: 168 * time.Hour, KeyRules: "1",
		Key: func(phone string) (string, bool) { return phone, phone != "" && phone[0] == '+' },
	}
}

func open(t *testing.T, change ...func(*Options)) *Store {
	t.Helper()
	o := options(filepath.Join(t.TempDir(), "a.db"))
	for _, f := range change {
		f(&o)
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Verify(); err != nil && !errors.Is(err, bolt.ErrDatabaseNotOpen) { //nolint:staticcheck // a test may have closed it
			t.Errorf("the store does not agree with itself: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func apply(t *testing.T, s *Store, b caller.Batch) caller.Change {
	t.Helper()
	c, err := s.Apply(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// user is somebody as a source showed them at a second, with a number.
func user(id int64, name, number string, second int) caller.UserUpdate {
	return caller.UserUpdate{
		User: caller.User{
			ID: id, Name: name, Phone: number, Email: name + "@example.com", Role: "end-user", Active: true,
			UpdatedAt: at(second).Unix(),
		},
		Number:  number,
		Version: caller.Version{Updated: at(second).Unix(), Sent: at(second).UnixNano()},
		AsOf:    at(second),
		Object:  fmt.Appendf(nil, `{"id":%d}`, id),
	}
}

func deleted(u caller.UserUpdate) caller.UserUpdate {
	u.User.Active = false
	return u
}

// identities is what a reading at a second showed beside the profile.
func identities(u caller.UserUpdate, second int, numbers ...string) caller.UserUpdate {
	u.Identities = &caller.Identities{Phones: numbers, Numbers: numbers, Sent: at(second).UnixNano()}
	return u
}

func ticket(id, requester int64, status string, second int) caller.TicketUpdate {
	return caller.TicketUpdate{
		Ticket: caller.Ticket{
			ID: id, RequesterID: requester, Status: status, Subject: fmt.Sprintf("ticket %d", id),
			CreatedAt: at(0).Unix() + id, UpdatedAt: at(second).Unix(),
		},
		Version: caller.Version{Generated: at(second).Unix(), Updated: at(second).Unix(), Sent: at(second).UnixNano()},
		AsOf:    at(second),
		Object:  fmt.Appendf(nil, `{"id":%d}`, id),
	}
}

// names are who has a number, in the order of their ids.
func names(t *testing.T, s *Store, number string) []string {
	t.Helper()
	m, err := s.Match(number, []string{"end-user"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range m.Callers {
		names = append(names, c.User.Name)
	}
	return names
}

func openTickets(t *testing.T, s *Store, id int64) []int64 {
	t.Helper()
	c, ok, err := s.Caller(id)
	if err != nil || !ok {
		t.Fatalf("user %d: found %v, error %v", id, ok, err)
	}
	var ids []int64
	for _, k := range c.Open {
		ids = append(ids, k.ID)
	}
	return ids
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmp.AllowUnexported(userRecord{})); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

const (
	numberA = "+15135557611"
	numberB = "+442079460018"
)

func TestUserIsFoundByProfileAndIdentity(t *testing.T) {
	s := open(t)
	c := apply(t, s, caller.Batch{Users: []caller.UserUpdate{identities(user(1, "Ann", numberA, 0), 0, numberA, numberB)}})
	equal(t, "changed numbers", c.Numbers, []string{numberA, numberB})
	equal(t, "who has the profile's number", names(t, s, numberA), []string{"Ann"})
	equal(t, "who has the identity's number", names(t, s, numberB), []string{"Ann"})
	size := s.Size()
	size.FileBytes = 0
	equal(t, "size", size, caller.Size{Users: 1, Numbers: 2})
}

func TestOldNumberGoesWhenThePhoneChanges(t *testing.T) {
	s := open(t)
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{user(1, "Ann", numberA, 0)}})
	c := apply(t, s, caller.Batch{Users: []caller.UserUpdate{user(1, "Ann", numberB, 1)}})
	equal(t, "changed numbers, old and new", c.Numbers, []string{numberA, numberB})
	equal(t, "who has the old number", names(t, s, numberA), []string(nil))
	equal(t, "who has the new number", names(t, s, numberB), []string{"Ann"})
}

func TestSharedNumbersAreCounted(t *testing.T) {
	s := open(t)
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{
		user(1, "Ann", numberA, 0), identities(user(2, "Bob", "", 0), 0, numberA), user(3, "Cay", numberA, 0),
	}})
	equal(t, "sharers", names(t, s, numberA), []string{"Ann", "Bob", "Cay"})
	equal(t, "shared numbers", s.Size().SharedNumbers, int64(1))
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{deleted(user(1, "Ann", numberA, 1)), deleted(user(3, "Cay", numberA, 1))}})
	equal(t, "sharers", names(t, s, numberA), []string{"Bob"})
	equal(t, "shared numbers", s.Size().SharedNumbers, int64(0))
}

func TestOnlyTheRolesAskedForMatch(t *testing.T) {
	s := open(t)
	agent := user(1, "Agent", numberA, 0)
	agent.User.Role = "agent"
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{agent, user(2, "Bob", numberA, 0)}})
	equal(t, "end users with the number", names(t, s, numberA), []string{"Bob"})
	m, err := s.Match(numberA, []string{"end-user", "agent"})
	if err != nil || len(m.Callers) != 2 {
		t.Errorf("end users and agents with the number: %d, error %v; want 2", len(m.Callers), err)
	}
}

func TestNewerWins(t *testing.T) {
	sent := func(u caller.UserUpdate, second int) caller.UserUpdate {
		u.Version.Sent = at(second).UnixNano()
		u.AsOf = at(second)
		return u
	}
	for name, c := range map[string]struct {
		updates []caller.UserUpdate
		want    string
	}{
		"the newer update wins":               {[]caller.UserUpdate{user(1, "old", numberA, 1), user(1, "new", numberA, 2)}, "new"},
		"a late older update is refused":      {[]caller.UserUpdate{user(1, "new", numberA, 2), user(1, "old", numberA, 1)}, "new"},
		"an older update sent later, too":     {[]caller.UserUpdate{user(1, "new", numberA, 2), sent(user(1, "old", numberA, 1), 9)}, "new"},
		"on a tie the later request wins":     {[]caller.UserUpdate{sent(user(1, "first", numberA, 1), 5), sent(user(1, "second", numberA, 1), 6)}, "second"},
		"on a tie the late answer is refused": {[]caller.UserUpdate{sent(user(1, "second", numberA, 1), 6), sent(user(1, "first", numberA, 1), 5)}, "second"},
		"a deleted user stays away":           {[]caller.UserUpdate{deleted(user(1, "gone", numberA, 2)), user(1, "late", numberA, 1)}, ""},
		"a restored user is back":             {[]caller.UserUpdate{deleted(user(1, "gone", numberA, 2)), user(1, "back", numberA, 3)}, "back"},
	} {
		t.Run(name, func(t *testing.T) {
			apart, together := open(t), open(t)
			for _, u := range c.updates {
				apply(t, apart, caller.Batch{Users: []caller.UserUpdate{u}})
			}
			apply(t, together, caller.Batch{Users: c.updates})
			for how, s := range map[string]*Store{"one by one": apart, "in one batch": together} {
				var want []string
				if c.want != "" {
					want = []string{c.want}
				}
				equal(t, how, names(t, s, numberA), want)
			}
		})
	}
}

func TestGeneratedTimestampsAreComparedOnlyWithEachOther(t *testing.T) {
	s := open(t)
	exported := ticket(7, 1, "open", 10)
	exported.Version.Generated = at(500).Unix() // a system update moved it alone
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{user(1, "Ann", numberA, 0)}, Tickets: []caller.TicketUpdate{exported}})

	put := ticket(7, 1, "solved", 20) // an update's answer: newer, and without generated_timestamp
	put.Version.Generated = 0
	apply(t, s, caller.Batch{Tickets: []caller.TicketUpdate{put}})
	equal(t, "open tickets after the update's answer", openTickets(t, s, 1), []int64(nil))

	late := exported
	late.Version.Generated = at(400).Unix()
	apply(t, s, caller.Batch{Tickets: []caller.TicketUpdate{late}})
	equal(t, "open tickets after a late page", openTickets(t, s, 1), []int64(nil))
}

func TestNotFoundHasNoVersionAndGoesByTheOrderOfRequests(t *testing.T) {
	s := open(t)
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{user(1, "Ann", numberA, 10)}})
	apply(t, s, caller.Batch{Gone: []caller.Gone{{Stream: caller.Users, ID: 1, Sent: at(5).UnixNano()}}})
	equal(t, "after a not-found asked for before", names(t, s, numberA), []string{"Ann"})
	apply(t, s, caller.Batch{Gone: []caller.Gone{{Stream: caller.Users, ID: 1, Sent: at(20).UnixNano()}}})
	equal(t, "after a later not-found", names(t, s, numberA), []string(nil))
	late := user(1, "Ann", numberA, 12)
	late.Version.Sent, late.AsOf = at(21).UnixNano(), at(15)
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{late}})
	equal(t, "after an export that is true of an earlier moment", names(t, s, numberA), []string(nil))
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{user(1, "Ann", numberA, 30)}})
	equal(t, "after an answer of a later moment", names(t, s, numberA), []string{"Ann"})
}

func TestIdentitiesHaveTheirOwnReadTime(t *testing.T) {
	s := open(t)
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{user(1, "Ann", numberA, 10)}})
	due, err := s.Due(0, 10)
	equal(t, "identities still to be read", due, []int64{1})
	if err != nil {
		t.Fatal(err)
	}
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{identities(user(1, "Ann", numberA, 10), 20, numberB)}})
	equal(t, "by identity", names(t, s, numberB), []string{"Ann"})
	equal(t, "nothing is due", s.Size().IdentitiesDue, int64(0))
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{identities(user(1, "Ann", numberA, 10), 15)}})
	equal(t, "an older reading does not undo a later one", names(t, s, numberB), []string{"Ann"})
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{user(1, "Ann", numberA, 30)}})
	equal(t, "a page without identities says nothing of them", names(t, s, numberB), []string{"Ann"})
	equal(t, "but a changed user is due again", s.Size().IdentitiesDue, int64(1))
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{identities(user(1, "Ann", numberA, 30), 25)}})
	equal(t, "a reading from before the change does not settle it", s.Size().IdentitiesDue, int64(1))
}

func TestRereadMakesEveryoneDue(t *testing.T) {
	s := open(t)
	known := identities(user(1, "Ann", numberA, 10), 20, numberB)
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{known}})
	c := apply(t, s, caller.Batch{Users: []caller.UserUpdate{user(1, "Ann", numberA, 10)}, Reread: true})
	equal(t, "identities due", s.Size().IdentitiesDue, int64(1))
	equal(t, "until then the known ones count", names(t, s, numberB), []string{"Ann"})
	equal(t, "no answer differs by it", c.Numbers, []string(nil))
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{known, deleted(user(2, "Bob", "", 10))}, Reread: true})
	equal(t, "a page that carries them settles it at once", s.Size().IdentitiesDue, int64(0))
}

func TestTicketsStandInBothOrders(t *testing.T) {
	s := open(t)
	apply(t, s, caller.Batch{
		Users:   []caller.UserUpdate{user(1, "Ann", numberA, 0), user(9, "Agent", "", 0)},
		Tickets: []caller.TicketUpdate{ticket(10, 1, "open", 50), ticket(12, 1, "new", 40), ticket(11, 1, "hold", 60), ticket(13, 2, "open", 1)},
	})
	equal(t, "newest created first", openTickets(t, s, 1), []int64{12, 11, 10})
	var byUpdate []int64
	err := s.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketByUpdated).Cursor()
		for k, _ := c.Seek(idKey(1)); bytes.HasPrefix(k, idKey(1)); k, _ = c.Next() {
			byUpdate = append(byUpdate, orderKeyTicket(k))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "newest updated first", byUpdate, []int64{11, 10, 12})
}

func TestTicketLeavesAndMoves(t *testing.T) {
	s := open(t)
	apply(t, s, caller.Batch{
		Users:   []caller.UserUpdate{user(1, "Ann", numberA, 0), user(2, "Bob", numberB, 0)},
		Tickets: []caller.TicketUpdate{ticket(10, 1, "open", 1), ticket(11, 1, "open", 1)},
	})
	c := apply(t, s, caller.Batch{Tickets: []caller.TicketUpdate{ticket(10, 2, "open", 2), ticket(11, 1, "solved", 2)}})
	equal(t, "people whose answers differ", c.People, []int64{1, 2})
	equal(t, "the old requester's", openTickets(t, s, 1), []int64(nil))
	equal(t, "the new requester's", openTickets(t, s, 2), []int64{10})
	apply(t, s, caller.Batch{Tickets: []caller.TicketUpdate{ticket(11, 1, "open", 1)}})
	equal(t, "a late page does not re-open", openTickets(t, s, 1), []int64(nil))
	apply(t, s, caller.Batch{Tickets: []caller.TicketUpdate{ticket(11, 1, "open", 3)}})
	equal(t, "a re-opened ticket is back", openTickets(t, s, 1), []int64{11})
}

func TestCompleteReadingReplacesTheUnresolvedSet(t *testing.T) {
	s := open(t)
	apply(t, s, caller.Batch{
		Users:   []caller.UserUpdate{user(1, "Ann", numberA, 0)},
		Tickets: []caller.TicketUpdate{ticket(10, 1, "open", 1), ticket(11, 1, "open", 1), ticket(12, 1, "open", 30)},
	})
	apply(t, s, caller.Batch{Urgent: true, Requested: []caller.Requested{
		{UserID: 1, TicketIDs: []int64{10}, Sent: at(20).UnixNano(), AsOf: at(20)},
	}})
	equal(t, "what was read later than the list stays", openTickets(t, s, 1), []int64{12, 10})
	got, _, err := s.Caller(1)
	if err != nil || !got.TicketsSeen.Equal(at(20)) {
		t.Errorf("tickets last fetched %v, error %v; want %v", got.TicketsSeen, err, at(20))
	}
	same := ticket(11, 1, "open", 1)
	same.Version.Sent, same.AsOf = at(25).UnixNano(), at(15)
	apply(t, s, caller.Batch{Tickets: []caller.TicketUpdate{same}})
	equal(t, "the same version, true of an earlier moment, does not come back", openTickets(t, s, 1), []int64{12, 10})
	apply(t, s, caller.Batch{Tickets: []caller.TicketUpdate{ticket(11, 1, "open", 21)}})
	equal(t, "a newer version does", openTickets(t, s, 1), []int64{12, 11, 10})
}

func TestOldResolvedTicketsAreNotKept(t *testing.T) {
	s := open(t)
	old := ticket(10, 1, "closed", -30*24*3600)
	apply(t, s, caller.Batch{Tickets: []caller.TicketUpdate{old, ticket(11, 1, "solved", -3600)}})
	err := s.db.View(func(tx *bolt.Tx) error {
		if tx.Bucket(bucketTickets).Get(idKey(10)) != nil {
			t.Error("a ticket closed a month ago left a stub")
		}
		if tx.Bucket(bucketTickets).Get(idKey(11)) == nil {
			t.Error("a ticket solved an hour ago left no stub")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPruneForgetsOldStubsOnly(t *testing.T) {
	now := noon
	s := open(t, func(o *Options) { o.Clock = func() time.Time { return now } })
	var b caller.Batch
	for i := range int64(3000) {
		b.Users = append(b.Users, deleted(user(i+1, "x", "", 0)))
	}
	apply(t, s, b)
	now = noon.Add(100 * time.Hour)
	apply(t, s, caller.Batch{Tickets: []caller.TicketUpdate{ticket(1, 1, "solved", 1)}})
	now = noon.Add(200 * time.Hour)
	n, err := s.Prune(t.Context())
	if n != 3000 || err != nil {
		t.Errorf("forgot %d stubs, error %v; want 3000", n, err)
	}
}

func TestStubsHoldNoText(t *testing.T) {
	s := open(t)
	apply(t, s, caller.Batch{
		Users:   []caller.UserUpdate{identities(user(1, "Wilhelmina", numberA, 0), 0, numberB)},
		Tickets: []caller.TicketUpdate{ticket(10, 1, "open", 1)},
	})
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{deleted(user(1, "Wilhelmina", numberA, 2))}, Tickets: []caller.TicketUpdate{ticket(10, 1, "deleted", 2)}})
	err := s.db.View(func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bolt.Bucket) error {
			return b.ForEach(func(k, v []byte) error {
				for _, text := range []string{"Wilhelmina", "ticket 10", "555"} {
					if bytes.Contains(v, []byte(text)) {
						t.Errorf("bucket %s still holds %q", name, text)
					}
				}
				return nil
			})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPositionMovesWithTheData(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s, err := Open(options(path))
	if err != nil {
		t.Fatal(err)
	}
	p := caller.Position{Stream: caller.Users, Cursor: "abc", Complete: true, Watermark: at(1)}
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{user(1, "Ann", numberA, 0)}, Position: &p})
	equal(t, "position at hand", s.Streams().Users, p)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(options(path)); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	equal(t, "position after a restart", s.Streams().Users, p)
	equal(t, "the other stream", s.Streams().Tickets, caller.Position{Stream: caller.Tickets})
	equal(t, "who has the number after a restart", names(t, s, numberA), []string{"Ann"})
}

// While serving, a page is cut so that no transaction is long, and its position
// goes with the last cut.
func TestLargeBatchIsCutWhileServing(t *testing.T) {
	var told []caller.Change
	s := open(t, func(o *Options) { o.OnCommit = func(c caller.Change) { told = append(told, c) } })
	for _, stream := range []caller.Stream{caller.Users, caller.Tickets} {
		apply(t, s, caller.Batch{Position: &caller.Position{Stream: stream, Complete: true}})
	}
	told = nil
	b := caller.Batch{Position: &caller.Position{Stream: caller.Tickets, Cursor: "after", Complete: true}}
	for i := range int64(400) {
		b.Users = append(b.Users, user(i+1, "x", "", 0))
		b.Tickets = append(b.Tickets, ticket(i+1, i+1, "open", 0))
	}
	c := apply(t, s, b)
	equal(t, "records accepted", c.Accepted, 800)
	equal(t, "people", len(c.People), 800) // each as a person and as a requester
	if len(told) != 8 {
		t.Errorf("%d transactions for 800 records at the guessed cost, want 8", len(told))
	}
	size := s.Size()
	equal(t, "users and tickets", []int64{size.Users, size.Tickets}, []int64{400, 400})
	equal(t, "position", s.Streams().Tickets.Cursor, "after")
}

// What somebody waits for goes in between the cuts of a large batch.
func TestUrgentWritesGoInBetween(t *testing.T) {
	var order []string
	var s *Store
	urgent := &job{done: make(chan struct{}), do: func(tx *transaction) error {
		u := user(9999, "Urgent", numberA, 0)
		return tx.apply(&caller.Batch{Users: []caller.UserUpdate{u}, Urgent: true})
	}}
	s = open(t, func(o *Options) {
		o.OnCommit = func(c caller.Change) {
			if len(c.Numbers) > 0 {
				order = append(order, "urgent")
				return
			}
			order = append(order, "cut")
			if len(order) == 1 && c.Accepted > 0 {
				s.urgent <- urgent // as a webhook would, while the first cut is written
			}
		}
	})
	for _, stream := range []caller.Stream{caller.Users, caller.Tickets} {
		apply(t, s, caller.Batch{Position: &caller.Position{Stream: stream, Complete: true}})
	}
	order = nil
	var b caller.Batch
	for i := range int64(250) {
		b.Users = append(b.Users, user(i+1, "x", "", 0))
	}
	apply(t, s, b)
	equal(t, "order of the transactions", order, []string{"cut", "urgent", "cut", "cut"})
}

func TestPaceLearnsWhatARecordCosts(t *testing.T) {
	var p pace
	for _, c := range []struct {
		what    string
		records int
		took    time.Duration
		want    int
	}{
		{"nothing is known yet", 0, 0, 100},
		{"a small transaction says nothing", 1, 2 * time.Millisecond, 100},
		{"the first is believed", 100, 10 * time.Millisecond, 200},
		{"dearer is believed at once", 200, 40 * time.Millisecond, 100},
		{"cheaper bit by bit", 100, 12 * time.Millisecond, 111},
		{"and never below the least", 100, 10 * time.Second, 50},
	} {
		p.note(c.records, c.took)
		equal(t, c.what, p.records(), c.want)
	}
}

func TestFileIsItsOwnersAndOpenedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "a.db")
	s, err := Open(options(path))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, error %v; want 0600", info.Mode(), err)
	}
	if _, err := Open(options(path)); !errors.Is(err, ErrLocked) {
		t.Errorf("a second Open says %v, want ErrLocked", err)
	}
}

func TestUnknownSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s, err := Open(options(path))
	if err != nil {
		t.Fatal(err)
	}
	err = s.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Put(metaSchema, []byte("99")) })
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(options(path)); !errors.Is(err, ErrSchema) {
		t.Errorf("Open says %v, want ErrSchema", err)
	}
	foreign := filepath.Join(t.TempDir(), "b.db")
	db, err := bolt.Open(foreign, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("else")); return err })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(options(foreign)); !errors.Is(err, ErrSchema) {
		t.Errorf("Open of another program's file says %v, want ErrSchema", err)
	}
	text := filepath.Join(t.TempDir(), "c.db")
	if err := os.WriteFile(text, bytes.Repeat([]byte("no database "), 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(options(text)); err == nil {
		t.Error("Open of a file that is no database succeeds")
	}
}

func TestPhonesAreReadAnewWhenTheRulesChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s, err := Open(options(path))
	if err != nil {
		t.Fatal(err)
	}
	national := user(1, "Ann", "", 0)
	national.User.Phone = "5135557611"
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{national, identities(user(2, "Bob", "", 0), 0)}})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	o := options(path)
	o.KeyRules = "2"
	o.Key = func(phone string) (string, bool) { return "+1" + phone, phone != "" }
	if s, err = Open(o); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	equal(t, "by the new rules", names(t, s, numberA), []string{"Ann"})
	equal(t, "unreadable phones", s.Size().UnreadablePhones, int64(0))
	if err := s.Verify(); err != nil {
		t.Error(err)
	}
}

func TestEveryoneIsToldBeforeApplyReturns(t *testing.T) {
	var told []caller.Change
	s := open(t, func(o *Options) { o.OnCommit = func(c caller.Change) { told = append(told, c) } })
	c := apply(t, s, caller.Batch{Users: []caller.UserUpdate{user(1, "Ann", numberA, 0)}})
	equal(t, "what was told", told, []caller.Change{c})
}

func TestClosedStoreSaysSo(t *testing.T) {
	s, err := Open(options(filepath.Join(t.TempDir(), "a.db")))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(context.Background(), caller.Batch{}); !errors.Is(err, ErrClosed) {
		t.Errorf("Apply says %v, want ErrClosed", err)
	}
}

func TestBackupIsAWholeStore(t *testing.T) {
	s := open(t)
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{user(1, "Ann", numberA, 0)}})
	path := filepath.Join(t.TempDir(), "copy.db")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Backup(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	restored, err := Open(options(path))
	if err != nil {
		t.Fatal(err)
	}
	defer restored.Close()
	equal(t, "who has the number in the copy", names(t, restored, numberA), []string{"Ann"})
}

// A reader that stays, such as a backup to a slow disk, must not make a write
// that grows the file wait, nor the readers that come after it.
func TestLongReaderHoldsNobodyUp(t *testing.T) {
	s := open(t)
	tx, err := s.db.Begin(false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := tx.Rollback(); err != nil {
			t.Error(err)
		}
	}()
	before := s.Size().FileBytes
	for step := range 20 {
		var b caller.Batch
		for i := range 2000 {
			u := user(int64(step*2000+i+1), "x", fmt.Sprintf("+1%010d", 2000000000+step*2000+i), 0)
			u.Object = bytes.Repeat([]byte("x"), 500)
			b.Users = append(b.Users, u)
		}
		apply(t, s, b)
		equal(t, "a lookup meanwhile", names(t, s, "+12000000000"), []string{"x"})
	}
	if after := s.Size().FileBytes; after < before+10<<20 {
		t.Fatalf("the file grew from %d to %d bytes: too little for this test to say anything", before, after)
	}
}

func TestManySharersAreCappedAtAHundred(t *testing.T) {
	s := open(t)
	var b caller.Batch
	for i := range int64(250) {
		b.Users = append(b.Users, user(i+1, "x", numberA, 0))
	}
	apply(t, s, b)
	equal(t, "sharers read", len(names(t, s, numberA)), caller.MaxMatches)
}

// Random batches, in random order, with repeats: after each, the store must
// agree with itself, and in the end with whatever was newest.
func TestRandomBatchesLeaveTheStoreConsistent(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 1))
	s := open(t, func(o *Options) { o.NoSync = true })
	newest := map[int64]caller.UserUpdate{}
	for step := range 300 {
		b := caller.Batch{Urgent: rng.IntN(2) == 0}
		for range rng.IntN(12) {
			u := user(rng.Int64N(40)+1, fmt.Sprint(rng.IntN(1000)), "", rng.IntN(500))
			u.Version.Sent = at(1000 + step).UnixNano()
			if rng.IntN(4) > 0 {
				u.Number = fmt.Sprintf("+1513555%04d", rng.IntN(15))
			}
			if rng.IntN(8) == 0 {
				u.User.Active = false
			}
			if rng.IntN(3) == 0 {
				u = identities(u, 1000+step, fmt.Sprintf("+1513555%04d", rng.IntN(15)))
			}
			b.Users = append(b.Users, u)
			old, ok := newest[u.User.ID]
			if order, _ := u.Version.Newer(old.Version); !ok || order > 0 {
				newest[u.User.ID] = u
			}
		}
		for range rng.IntN(12) {
			status := []string{"new", "open", "pending", "hold", "solved", "deleted"}[rng.IntN(6)]
			k := ticket(rng.Int64N(60)+1, rng.Int64N(40)+1, status, rng.IntN(500))
			k.Version.Sent = at(1000 + step).UnixNano()
			b.Tickets = append(b.Tickets, k)
		}
		if rng.IntN(5) == 0 {
			b.Requested = append(b.Requested, caller.Requested{UserID: rng.Int64N(40) + 1, TicketIDs: []int64{rng.Int64N(60) + 1}, Sent: at(1000 + step).UnixNano(), AsOf: at(1000 + step)})
		}
		apply(t, s, b)
		if err := s.Verify(); err != nil {
			t.Fatalf("seed %d, step %d: %v", seed, step, err)
		}
	}
	for id, u := range newest {
		c, ok, err := s.Caller(id)
		if err != nil || ok != u.User.Active || ok && c.User.Name != u.User.Name {
			t.Errorf("seed %d: user %d is %q (there: %v, error %v), want %q (there: %v)", seed, id, c.User.Name, ok, err, u.User.Name, u.User.Active)
		}
	}
}
