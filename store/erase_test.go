package store

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/caller"
)

func erase(t *testing.T, s *Store, id int64) caller.Erasure {
	t.Helper()
	e, err := s.Erase(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func lift(t *testing.T, s *Store, id int64) (was bool) {
	t.Helper()
	was, err := s.Lift(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return was
}

// reopen closes a store and opens its file again, as it is then.
func reopen(t *testing.T, s *Store, between func(path string)) *Store {
	t.Helper()
	path := s.db.Path()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	between(path)
	return open(t, func(o *Options) { o.Path = path })
}

func nothing(string) {}

// backup is a copy of the store as it is now.
func backup(t *testing.T, s *Store) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := s.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func put(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// couple is Ann with two numbers, two unresolved tickets and a solved one, and
// Bob, who shares a number with her and has a ticket.
func couple() caller.Batch {
	return caller.Batch{
		Users: []caller.UserUpdate{
			identities(user(1, "Ann", numberA, 0), 0, numberB),
			user(2, "Bob", numberA, 0),
		},
		Tickets: []caller.TicketUpdate{
			ticket(10, 1, "open", 1), ticket(11, 1, "new", 1), ticket(12, 1, "solved", 1), ticket(20, 2, "open", 1),
		},
	}
}

func TestWhoIsErasedIsGoneAndStaysAway(t *testing.T) {
	var told caller.Change
	s := open(t, func(o *Options) { o.OnCommit = func(c caller.Change) { told = c } })
	apply(t, s, couple())

	equal(t, "what was taken out", erase(t, s, 1), caller.Erasure{
		UserID: 1, Users: 1, Tickets: []int64{10, 11, 12}, Numbers: []string{numberA, numberB}, At: noon,
	})
	equal(t, "who is told of it", told, caller.Change{Numbers: []string{numberA, numberB}, People: []int64{1}})
	equal(t, "who has the shared number", names(t, s, numberA), []string{"Bob"})
	equal(t, "who has the other number", names(t, s, numberB), []string(nil))
	equal(t, "whether it is known", s.Erased(1), true)
	equal(t, "whether Bob is erased", s.Erased(2), false)
	size := s.Size()
	size.FileBytes = 0
	equal(t, "size", size, caller.Size{Users: 1, Numbers: 1, Tickets: 1, IdentitiesDue: 1})

	for name, b := range map[string]caller.Batch{
		"a late page":      couple(),
		"a newer version":  {Users: []caller.UserUpdate{user(1, "Ann", numberA, 500)}, Tickets: []caller.TicketUpdate{ticket(13, 1, "open", 500)}},
		"a webhook":        {Urgent: true, Users: []caller.UserUpdate{user(1, "Ann", numberA, 501)}, Tickets: []caller.TicketUpdate{ticket(10, 1, "open", 501)}},
		"a reading of all": {Requested: []caller.Requested{{UserID: 1, Sent: at(502).UnixNano(), AsOf: at(502)}}},
	} {
		apply(t, s, b)
		if _, ok, err := s.Caller(1); ok || err != nil {
			t.Errorf("%s brings them back: %v, %v", name, ok, err)
		}
		for _, id := range []int64{10, 11, 12, 13} {
			if _, ok, err := s.Ticket(id); ok || err != nil {
				t.Errorf("%s brings ticket %d back: %v, %v", name, id, ok, err)
			}
		}
	}
	equal(t, "Bob's tickets", openTickets(t, s, 2), []int64{20})
}

func TestNothingIsLeftOfAPersonButTheTombstone(t *testing.T) {
	now := noon
	s := open(t, func(o *Options) { o.Clock = func() time.Time { return now } })
	for name, before := range map[string]caller.Batch{
		"somebody who is here":    couple(),
		"somebody who left":       {Users: []caller.UserUpdate{deleted(user(1, "Ann", numberA, 9))}},
		"somebody who is unknown": {},
	} {
		now = now.Add(time.Minute)
		apply(t, s, before)
		erase(t, s, 1)
		err := s.db.View(func(tx *bolt.Tx) error {
			for _, b := range [][]byte{bucketUsers, bucketUserObjects, bucketDue, bucketChecked} {
				if tx.Bucket(b).Get(idKey(1)) != nil {
					t.Errorf("%s: bucket %s still has them", name, b)
				}
			}
			return tx.Bucket(bucketLeft).ForEach(func(k, _ []byte) error {
				if _, kind, id := parseLeftKey(k); kind == kindUser && id == 1 {
					t.Errorf("%s: they are still to be forgotten", name)
				}
				return nil
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		list, err := s.Tombstones()
		equal(t, name+": tombstones", list, []caller.Erasure{{UserID: 1, At: now}})
		equal(t, name+": error", err, error(nil))
		lift(t, s, 1)
	}
}

func TestErasedAgainKeepsItsTimeAndNamesTheSameTickets(t *testing.T) {
	now := noon
	s := open(t, func(o *Options) { o.Clock = func() time.Time { return now } })
	apply(t, s, couple())
	erase(t, s, 1)
	now = noon.Add(time.Hour)
	want := caller.Erasure{UserID: 1, Tickets: []int64{10, 11, 12}, At: noon}
	equal(t, "the second time", erase(t, s, 1), want)
	s = reopen(t, s, nothing)
	equal(t, "after a restart", erase(t, s, 1), want)
}

func TestErasuresNameTheTicketsOfAll(t *testing.T) {
	s := open(t)
	list, err := s.Erasures(t.Context())
	equal(t, "erasures of nobody", list, []caller.Erasure(nil))
	equal(t, "error", err, error(nil))
	apply(t, s, couple())
	for _, id := range []int64{7, 1, 2} {
		erase(t, s, id)
	}
	list, err = s.Erasures(t.Context())
	equal(t, "erasures", list, []caller.Erasure{
		{UserID: 1, Tickets: []int64{10, 11, 12}, At: noon}, {UserID: 2, Tickets: []int64{20}, At: noon}, {UserID: 7, At: noon},
	})
	equal(t, "error", err, error(nil))
}

func TestStubsOfErasedTicketsAreForgottenLikeAny(t *testing.T) {
	now := noon
	s := open(t, func(o *Options) { o.Clock = func() time.Time { return now } })
	apply(t, s, couple())
	erase(t, s, 1)
	now = noon.Add(200 * time.Hour)
	if n, err := s.Prune(t.Context()); n != 3 || err != nil {
		t.Errorf("%d stubs were forgotten, error %v; want 3", n, err)
	}
	equal(t, "asked again", erase(t, s, 1), caller.Erasure{UserID: 1, At: noon})
}

func TestManyTicketsGoInSeveralTransactions(t *testing.T) {
	const many = 3*eraseMost + 7
	var commits, people int
	s := open(t, func(o *Options) {
		o.OnCommit = func(c caller.Change) {
			commits++
			people += len(c.People)
		}
	})
	b := caller.Batch{Users: []caller.UserUpdate{user(1, "Ann", numberA, 0)}, Position: &caller.Position{Stream: caller.Users, Complete: true}}
	for i := range int64(many) {
		b.Tickets = append(b.Tickets, ticket(100+i, 1, "open", 1))
	}
	apply(t, s, b)
	commits, people = 0, 0
	e := erase(t, s, 1)
	if len(e.Tickets) != many || commits < 4 || people != commits {
		t.Errorf("%d tickets went in %d transactions that told of %d people; want %d, at least 4, and one each", len(e.Tickets), commits, people, many)
	}
	equal(t, "tickets left", s.Size().Tickets, int64(0))
}

func TestAnInterruptedErasureIsFinishedByOpen(t *testing.T) {
	s := open(t)
	b := couple()
	for i := range int64(2 * eraseMost) {
		b.Tickets = append(b.Tickets, ticket(100+i, 1, "open", 1))
	}
	apply(t, s, b)
	at, err := s.intend(1)
	if err != nil {
		t.Fatal(err)
	}
	if step, err := s.eraseStep(t.Context(), 1, at); err != nil || !step.more {
		t.Fatalf("first step: more %v, error %v", step.more, err)
	}
	if n := s.Size().Tickets; n < 2 {
		t.Fatalf("%d tickets are left after one step", n)
	}
	s = reopen(t, s, nothing)
	equal(t, "tickets left", s.Size().Tickets, int64(1))
	equal(t, "Bob's tickets", openTickets(t, s, 2), []int64{20})
	equal(t, "whether there is something to overwrite", s.OverwriteDue(), true)
}

func TestAnErasureThatOnlyTheJournalHasIsDoneByOpen(t *testing.T) {
	s := open(t)
	apply(t, s, couple())
	if _, err := s.intend(1); err != nil { // the kill comes here
		t.Fatal(err)
	}
	equal(t, "whether lookups know", s.Erased(1), true)
	s = reopen(t, s, nothing)
	equal(t, "who has the number", names(t, s, numberA), []string{"Bob"})
	equal(t, "whether there is something to overwrite", s.OverwriteDue(), true)
}

func TestARestoredBackupHoldsNobodyWhoWasErased(t *testing.T) {
	s := open(t)
	apply(t, s, couple())
	old := backup(t, s)
	erase(t, s, 1)
	erase(t, s, 7)
	s = reopen(t, s, func(path string) { put(t, path, old) })
	equal(t, "who has the number", names(t, s, numberA), []string{"Bob"})
	equal(t, "whether lookups know", []bool{s.Erased(1), s.Erased(7)}, []bool{true, true})
	equal(t, "whether there is something to overwrite", s.OverwriteDue(), true)
	apply(t, s, couple())
	equal(t, "who has the number after a late page", names(t, s, numberA), []string{"Bob"})
	if _, err := s.Overwrite(t.Context()); err != nil {
		t.Fatal(err)
	}
	nowhere(t, s.db.Path(), annsTraces...)
}

func TestALiftHoldsAgainstARestoredTombstone(t *testing.T) {
	s := open(t)
	apply(t, s, couple())
	erase(t, s, 1)
	old := backup(t, s)
	equal(t, "whether there was a tombstone", lift(t, s, 1), true)
	s = reopen(t, s, func(path string) { put(t, path, old) })
	equal(t, "whether lookups take them for erased", s.Erased(1), false)
	later := couple()
	later.Users[0] = user(1, "Ann", numberB, 60)
	apply(t, s, later)
	equal(t, "who has the number", names(t, s, numberB), []string{"Ann"})
}

func TestTombstonesOutliveTheFileAndTheJournal(t *testing.T) {
	s := open(t)
	erase(t, s, 1)
	s = reopen(t, s, func(path string) { remove(t, path) })
	apply(t, s, couple())
	equal(t, "who has the number in a new file", names(t, s, numberA), []string{"Bob"})
	s = reopen(t, s, func(path string) { remove(t, journalPath(path)) })
	equal(t, "whether they are erased", s.Erased(1), true)
	b, err := os.ReadFile(journalPath(s.db.Path()))
	equal(t, "the journal, written anew", string(b), "erase 1 2026-05-04T12:00:00Z\n")
	equal(t, "error", err, error(nil))
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func TestATombstoneHoldsAgainstARestoredLift(t *testing.T) {
	s := open(t)
	apply(t, s, couple())
	erase(t, s, 1)
	lift(t, s, 1)
	old, err := os.ReadFile(journalPath(s.db.Path()))
	if err != nil {
		t.Fatal(err)
	}
	erase(t, s, 1) // within the same second
	restored := func(path string) { put(t, journalPath(path), old) }
	for _, between := range []func(string){restored, nothing} {
		s = reopen(t, s, between)
		equal(t, "whether they are erased", s.Erased(1), true)
		apply(t, s, couple())
		if _, ok, err := s.Caller(1); ok || err != nil {
			t.Errorf("they come back: %v, %v", ok, err)
		}
	}
	equal(t, "whether they were erased", lift(t, s, 1), true)
	s = reopen(t, s, nothing)
	equal(t, "whether they are erased once it is lifted", s.Erased(1), false)
}

func TestLiftLetsThemComeBack(t *testing.T) {
	s := open(t)
	equal(t, "whether somebody unknown was erased", lift(t, s, 1), false)
	apply(t, s, couple())
	erase(t, s, 1)
	equal(t, "whether they were erased", lift(t, s, 1), true)
	equal(t, "whether they still were", lift(t, s, 1), false)
	equal(t, "who has the number before anything is read", names(t, s, numberB), []string(nil))
	again := couple()
	for i := range again.Tickets {
		again.Tickets[i].Version.Sent = at(900).UnixNano() // the same version, read later
	}
	apply(t, s, again)
	equal(t, "who has the number", names(t, s, numberB), []string{"Ann"})
	equal(t, "their tickets", openTickets(t, s, 1), []int64{11, 10})
	s = reopen(t, s, nothing)
	equal(t, "who has the number after a restart", names(t, s, numberB), []string{"Ann"})
	erase(t, s, 1)
	equal(t, "who has the number once they are erased again", names(t, s, numberB), []string(nil))
}

func TestALiftThatOnlyTheJournalHasIsFinished(t *testing.T) {
	for name, finish := range map[string]func(t *testing.T, s *Store) *Store{
		"by asking again": func(t *testing.T, s *Store) *Store {
			equal(t, "whether there was a tombstone", lift(t, s, 1), true)
			return s
		},
		"by Open": func(t *testing.T, s *Store) *Store { return reopen(t, s, nothing) },
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			erase(t, s, 1)
			if err := s.tombstones.journal.add(journalEntry{id: 1, lifted: true, at: noon.Unix()}); err != nil {
				t.Fatal(err)
			}
			s = finish(t, s)
			list, err := s.Tombstones()
			equal(t, "tombstones", list, []caller.Erasure(nil))
			equal(t, "error", err, error(nil))
			equal(t, "whether lookups take them for erased", s.Erased(1), false)
		})
	}
}

func TestAnErasureWithoutAJournalIsNone(t *testing.T) {
	s := open(t)
	apply(t, s, couple())
	// A folder in the journal's place: nothing can be appended to it.
	if err := os.Mkdir(journalPath(s.db.Path()), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Erase(t.Context(), 1); err == nil {
		t.Error("the erasure was acknowledged though a restored backup would bring them back")
	}
	equal(t, "who has the number", names(t, s, numberB), []string{"Ann"})
	if _, err := s.Erase(t.Context(), 0); err == nil {
		t.Error("an id of 0 was accepted")
	}
}

func TestWaitingForAnErasureEndsWithItsContext(t *testing.T) {
	s := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Erase(ctx, 1); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
	erase(t, s, 1) // asked again it is done
	list, err := s.Tombstones()
	equal(t, "tombstones", list, []caller.Erasure{{UserID: 1, At: noon}})
	equal(t, "error", err, error(nil))
}

func TestErasuresAmongEverythingElse(t *testing.T) {
	s := open(t)
	const people = 40
	page := func(second int) (b caller.Batch) {
		for i := range int64(people) {
			b.Users = append(b.Users, user(1+i, "x", numberA, second))
			b.Tickets = append(b.Tickets, ticket(100+i, 1+i, "open", second))
		}
		return b
	}
	apply(t, s, page(0))
	var work sync.WaitGroup
	work.Go(func() {
		for second := range 30 {
			b := page(1 + second)
			b.Urgent = second%2 == 0
			apply(t, s, b)
		}
	})
	for i := range int64(4) {
		work.Go(func() {
			for id := 1 + i; id <= people; id += 4 {
				if e, err := s.Erase(t.Context(), id); err != nil || id%2 == 0 && !slices.Equal(e.Tickets, []int64{99 + id}) {
					t.Errorf("erase %d: %+v, error %v", id, e, err)
				}
				if id%2 != 0 {
					continue
				}
				if _, err := s.Lift(t.Context(), id); err != nil {
					t.Error(err)
				}
			}
		})
	}
	work.Wait()
	apply(t, s, page(1000))
	ids, err := s.Holders(numberA)
	if err != nil {
		t.Fatal(err)
	}
	var even []int64
	for id := int64(2); id <= people; id += 2 {
		even = append(even, id)
	}
	if d := cmp.Diff(even, ids); d != "" {
		t.Errorf("who is back (-want +got):\n%s", d)
	}
}

func TestErasedFilesAreTheirOwners(t *testing.T) {
	s := open(t)
	erase(t, s, 1)
	info, err := os.Stat(journalPath(s.db.Path()))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, error %v; want 0600", info.Mode(), err)
	}
	equal(t, "beside data/aniproxy.db", filepath.Base(journalPath("data/aniproxy.db")), "aniproxy.erased")
	equal(t, "beside a file without an end", journalPath("mirror"), "mirror.erased")
	equal(t, "beside one of the same end", journalPath("a.erased"), "a.erased.erased")
}
