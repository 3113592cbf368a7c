package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"aniproxy/internal/caller"
)

// While serving, a page is cut so that no transaction is long, and its position
// goes with the last cut.
func TestLargeBatchIsCutWhileServing(t *testing.T) {
	var s *Store
	var told []caller.Change
	var cursors []string // after each transaction
	s = open(t, func(o *Options) {
		o.OnCommit = func(c caller.Change) {
			told = append(told, c)
			cursors = append(cursors, s.Streams().Tickets.Cursor)
		}
	})
	for _, stream := range []caller.Stream{caller.Users, caller.Tickets} {
		apply(t, s, caller.Batch{Position: &caller.Position{Stream: stream, Complete: true}})
	}
	told, cursors = nil, nil
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
	equal(t, "the position after each transaction", cursors, []string{"", "", "", "", "", "", "", "after"})
}

// What somebody waits for goes before a large batch that waits as well.
func TestUrgentWritesGoInBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 10 { // a choice by chance would be right sometimes
			var order []string
			var s *Store
			write := func(id int64, name, number string) *job {
				return &job{done: make(chan struct{}), do: func(tx *transaction) error {
					return tx.apply(&caller.Batch{Users: []caller.UserUpdate{user(id, name, number, 0)}})
				}}
			}
			urgent, large := write(2, "urgent", "+15135550002"), write(3, "large", "+15135550003")
			s = open(t, func(o *Options) {
				o.OnCommit = func(c caller.Change) {
					order = append(order, c.Numbers[0])
					if len(order) == 1 { // both wait while the first is written
						go func() { s.bulk <- large }()
						synctest.Wait()
						s.urgent <- urgent
					}
				}
			})
			apply(t, s, caller.Batch{Users: []caller.UserUpdate{user(1, "first", "+15135550001", 0)}})
			<-urgent.done
			<-large.done
			equal(t, "order of the transactions", order, []string{"+15135550001", "+15135550002", "+15135550003"})
		}
	})
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
