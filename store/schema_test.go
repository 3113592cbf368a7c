package store

import (
	"errors"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/caller"
)

// schemaOne makes a file as the first schema had it, with somebody in it.
func schemaOne(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "a.db")
	s, err := Open(options(path))
	if err != nil {
		t.Fatal(err)
	}
	apply(t, s, caller.Batch{
		Users: []caller.UserUpdate{user(1, "Ann", numberA, 0)}, Tickets: []caller.TicketUpdate{ticket(10, 1, "open", 1)},
		Position: &caller.Position{Stream: caller.Users, Cursor: "abc", Complete: true, Watermark: at(1)},
	})
	err = s.db.Update(func(tx *bolt.Tx) error {
		return errors.Join(
			tx.DeleteBucket(bucketTombstones),
			tx.Bucket(bucketMeta).Put(metaSchema, []byte("1")),
		)
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFileOfTheFirstSchemaIsBroughtUp(t *testing.T) {
	path := schemaOne(t)
	for _, when := range []string{"at the first opening", "at the second"} {
		s, err := Open(options(path))
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		equal(t, "who has the number, "+when, names(t, s, numberA), []string{"Ann"})
		equal(t, "their tickets, "+when, openTickets(t, s, 1), []int64{10})
		equal(t, "the position, "+when, s.Streams().Users.Cursor, "abc")
		err = s.db.View(func(tx *bolt.Tx) error {
			equal(t, "the schema, "+when, string(tx.Bucket(bucketMeta).Get(metaSchema)), "2")
			return nil
		})
		if err := errors.Join(err, s.Verify()); err != nil {
			t.Error(err)
		}
		bury(t, s, 7)
		apply(t, s, caller.Batch{Users: []caller.UserUpdate{user(7, "Bob", numberB, 0)}})
		equal(t, "who has an erased person's number, "+when, names(t, s, numberB), []string(nil))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A kill in the middle leaves the old file whole: the bucket and the version
// come in one transaction, so that one without the other is never met.
func TestBringingUpIsOneTransaction(t *testing.T) {
	db, err := bolt.Open(schemaOne(t), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	stop := errors.New("killed")
	err = db.Update(func(tx *bolt.Tx) error { return errors.Join(migrate(tx), stop) })
	if !errors.Is(err, stop) || errors.Is(err, bolt.ErrBucketNotFound) { //nolint:staticcheck // the old name is the same value
		t.Fatal(err)
	}
	err = db.View(func(tx *bolt.Tx) error {
		equal(t, "the schema", string(tx.Bucket(bucketMeta).Get(metaSchema)), "1")
		equal(t, "the new bucket is there", tx.Bucket(bucketTombstones) != nil, false)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWalksAreKeptWithTheData(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s, err := Open(options(path))
	if err != nil {
		t.Fatal(err)
	}
	walks := func(when string, wantSweep caller.Sweep, wantRound caller.Round) {
		t.Helper()
		sweep, err := s.Sweep()
		if err != nil {
			t.Fatal(err)
		}
		round, err := s.Round()
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "the full walk, "+when, sweep, wantSweep)
		equal(t, "the re-read, "+when, round, wantRound)
		if err := s.Verify(); err != nil {
			t.Error(err)
		}
	}
	reopen := func() {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err = Open(options(path)); err != nil {
			t.Fatal(err)
		}
	}
	walks("before any", caller.Sweep{}, caller.Round{})
	sweep := caller.Sweep{Began: at(5), Cursor: "here", Users: 7, Tickets: 8, Force: true}
	round := caller.Round{Began: at(6), After: 99}
	tickets := caller.Position{Stream: caller.Tickets, Start: at(-3600)}
	apply(t, s, caller.Batch{Sweep: &sweep, Round: &round, Position: &tickets})
	walks("once begun", sweep, round)
	reopen()
	walks("after a restart", sweep, round)
	equal(t, "where the tickets' export begins", s.Streams().Tickets, tickets)
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{user(1, "Ann", numberA, 0)}})
	walks("after a batch that says nothing of them", sweep, round)
	sweep.Walked = true
	apply(t, s, caller.Batch{Sweep: &sweep})
	walks("at its end", sweep, round)
	apply(t, s, caller.Batch{Sweep: &caller.Sweep{}, Round: &caller.Round{}})
	walks("when there is none any more", caller.Sweep{}, caller.Round{})
	err = s.db.View(func(tx *bolt.Tx) error {
		equal(t, "a key of it is left", tx.Bucket(bucketPositions).Get(keySweep) != nil, false)
		return nil
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
}
