package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/outbox"
)

// transactions is how many transactions the file has seen.
func transactions(t *testing.T, o *Outbox) (n int) {
	t.Helper()
	if err := o.db.View(func(tx *bolt.Tx) error { n = tx.ID(); return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTheSameAtTheSameTimeIsOneRecord(t *testing.T) {
	o := openOutbox(t)
	firsts := make(chan string, 50)
	answers := make(chan string, 50)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			r, first, err := o.Accept(t.Context(), same(comment(fmt.Sprint("r", i), 7), "call 1", time.Hour))
			if err != nil {
				t.Error(err)
			}
			if first {
				firsts <- r.ID
			}
			answers <- r.ID
		})
	}
	all.Wait()
	close(answers)
	want := <-firsts
	for got := range answers {
		if got != want {
			t.Errorf("one is told %s, the first is %s", got, want)
		}
	}
	equal(t, "others that are first", len(firsts), 0)
	equal(t, "queued", o.Status().Queued, uint64(1))
}

// What arrives while the disk is busy shares the next transaction.
func TestAcceptsAtTheSameTimeShareATransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := openOutbox(t)
		busy := make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			err := o.hand(t.Context(), o.slow, func(*outboxTx) error { <-busy; return nil })
			if err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		before := transactions(t, o)
		for i := range 50 {
			all.Go(func() {
				if _, _, err := o.Accept(t.Context(), comment(fmt.Sprint("r", i), int64(i))); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		close(busy)
		all.Wait()
		equal(t, "transactions for 50 records", transactions(t, o)-before, 1)
		equal(t, "queued", o.Status().Queued, uint64(50))
	})
}

// One that fails has the others' company no longer, and they lose nothing.
func TestAFailureInAGroupIsOnesOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := openOutbox(t)
		busy := make(chan struct{})
		bad := errors.New("a damaged record")
		var all sync.WaitGroup
		all.Go(func() { _ = o.hand(t.Context(), o.slow, func(*outboxTx) error { <-busy; return nil }) })
		synctest.Wait()
		for i := range 10 {
			all.Go(func() {
				if i == 5 {
					if err := o.submit(t.Context(), o.urgent, func(*outboxTx) error { return bad }); !errors.Is(err, bad) {
						t.Errorf("the bad one gets %v", err)
					}
					return
				}
				if _, first, err := o.Accept(t.Context(), comment(fmt.Sprint("r", i), 7)); err != nil || !first {
					t.Errorf("first %v, error %v", first, err)
				}
			})
		}
		synctest.Wait()
		close(busy)
		all.Wait()
		equal(t, "queued", o.Status().Queued, uint64(9))
	})
}

func TestAcceptLeavesWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := openOutbox(t)
		busy := make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() { _ = o.hand(t.Context(), o.slow, func(*outboxTx) error { <-busy; return nil }) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := o.Accept(ctx, comment("late", 7)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want that of the context", err)
		}
		if _, _, err := o.Accept(ctx, comment("never", 7)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want that of the context", err)
		}
		close(busy)
		all.Wait()
		accept(t, o, comment("behind it", 7))
		if _, ok, _ := o.Record("never"); ok {
			t.Error("what came after its context's end was accepted")
		}
		equal(t, "what was handed in before is there all the same", held(t, o, "late").State, outbox.Queued)
	})
}

// Nor has a refusal of one any company.
func TestARefusalInAGroupIsOnesOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := openOutbox(t, func(o *OutboxOptions) { o.MaxQueued = 5 })
		busy := make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() { _ = o.hand(t.Context(), o.slow, func(*outboxTx) error { <-busy; return nil }) })
		synctest.Wait()
		before := transactions(t, o)
		for i := range 10 {
			all.Go(func() {
				if i%2 == 0 {
					if _, err := o.Retry("nobody"); !errors.Is(err, outbox.ErrUnknown) {
						t.Errorf("a retry of nobody: error %v", err)
					}
					return
				}
				if _, first, err := o.Accept(t.Context(), comment(fmt.Sprint("r", i), 7)); err != nil || !first {
					t.Errorf("first %v, error %v", first, err)
				}
			})
			synctest.Wait() // so that they queue in this order
		}
		close(busy)
		all.Wait()
		equal(t, "transactions", transactions(t, o)-before, 1)
		equal(t, "queued", o.Status().Queued, uint64(5))
	})
}
