package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"aniproxy/internal/caller"
	"aniproxy/internal/privacytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(written.Around(m)) }

// written is what the tests of this package have logged, and about whom.
var written = privacytest.New()

// noon is the moment at which these tests happen.
var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// at is noon plus some seconds.
func at(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

func options(path string) Options {
	return Options{
		Path: path, Logger: written.Logger("the store"), Clock: func() time.Time { return noon },
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
	written.Batch(&b)
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

func TestAgreementMakesARecordYounger(t *testing.T) {
	s := open(t)
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{user(1, "Ann", numberA, 10)}})
	again := user(1, "Ann", numberA, 10)
	again.Version.Sent, again.AsOf = at(9).UnixNano(), at(30) // the same version, read earlier
	c := apply(t, s, caller.Batch{Users: []caller.UserUpdate{again}, Urgent: true})
	equal(t, "records refreshed", c.Refreshed, 1)
	equal(t, "numbers told of", c.Numbers, []string{numberA})
	got, _, err := s.Caller(1)
	if err != nil || !got.Seen.Equal(at(30)) {
		t.Errorf("last seen %v, error %v; want %v", got.Seen, err, at(30))
	}
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

func TestManySharersAreCappedAtAHundred(t *testing.T) {
	s := open(t)
	var b caller.Batch
	for i := range int64(250) {
		b.Users = append(b.Users, user(i+1, "x", numberA, 0))
	}
	apply(t, s, b)
	equal(t, "sharers read", len(names(t, s, numberA)), caller.MaxMatches)
}
