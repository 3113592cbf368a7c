package store

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"aniproxy/internal/caller"
)

// A switchboard's 100 people with three tickets each, all of them changed, as
// one urgent batch: the largest that somebody may wait for. It is cut, so that
// other urgent work waits for one transaction of it at the most.
func BenchmarkApplyLargestUrgentBatch(b *testing.B) {
	var last time.Time
	longest, cuts := time.Duration(0), 0
	s, rng := benchStore(b, func(o *Options) {
		o.Clock = time.Now // so that batches are cut by what they cost
		o.OnCommit = func(caller.Change) {
			longest = max(longest, time.Since(last))
			last = time.Now()
			cuts++
		}
	})
	second := 0
	longest, cuts = 0, 0
	for b.Loop() {
		second++
		batch := caller.Batch{Urgent: true}
		for range 100 {
			id := 1 + rng.Int64N(benchUsers)
			batch.Users = append(batch.Users, benchUser(rng, id, second))
			for i := range int64(3) {
				batch.Tickets = append(batch.Tickets, ticket(id+i*benchUsers, id, "pending", second))
			}
		}
		last = time.Now()
		if _, err := s.Apply(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cuts)/float64(b.N), "transactions/batch")
	b.ReportMetric(float64(longest.Microseconds())/1000, "ms-longest")
}

// A flood of webhooks: how long the transactions are into which they are
// grouped.
func BenchmarkUrgentFlood(b *testing.B) {
	var last time.Time
	longest := time.Duration(0)
	s, rng := benchStore(b, func(o *Options) {
		o.Clock = time.Now
		o.OnCommit = func(caller.Change) { // the first job's of a transaction has waited for its commit
			longest = max(longest, time.Since(last))
			last = time.Now()
		}
	})
	longest, last = 0, time.Now()
	second := 0
	const flood = 500
	for b.Loop() {
		second++
		done := make(chan error, flood)
		last = time.Now()
		for range flood {
			id := 1 + rng.Int64N(benchUsers)
			batch := caller.Batch{
				Urgent: true, Users: []caller.UserUpdate{benchUser(rng, id, second)},
				Tickets: []caller.TicketUpdate{ticket(id, id, "pending", second), ticket(id+benchUsers, id, "open", second)},
			}
			go func() {
				_, err := s.Apply(b.Context(), batch)
				done <- err
			}()
		}
		for range flood {
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(flood*float64(b.N)/b.Elapsed().Seconds(), "webhooks/s")
	b.ReportMetric(float64(longest.Microseconds())/1000, "ms-longest")
}

// millionUsers is a mirror of a million people without objects and tickets.
func millionUsers(b *testing.B) *Store {
	b.Helper()
	o := options(filepath.Join(b.TempDir(), "a.db"))
	o.NoSync = true
	s, err := Open(o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	for from := int64(1); from <= 1_000_000; from += 50_000 {
		var batch caller.Batch
		for id := from; id < from+50_000; id++ {
			u := user(id, "Somebody Somewhere", fmt.Sprintf("+1%010d", 2_000_000_000+id), 0)
			u.Object = nil
			if id%100 == 0 {
				u.AsOf = at(-500)
			}
			batch.Users = append(batch.Users, u)
		}
		if _, err := s.Apply(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

func BenchmarkOfAMillion(b *testing.B) {
	s := millionUsers(b)
	b.Run("Unseen", func(b *testing.B) {
		longest, calls := time.Duration(0), 0
		for b.Loop() {
			found := 0
			for after := int64(0); ; {
				began := time.Now()
				ids, next, err := s.Unseen(caller.Users, at(-300), after)
				if err != nil {
					b.Fatal(err)
				}
				longest = max(longest, time.Since(began))
				calls++
				found += len(ids)
				if after = next; next == 0 {
					break
				}
			}
			if found != 10_000 {
				b.Fatal(found)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(calls), "ms/call")
		b.ReportMetric(float64(longest.Microseconds())/1000, "ms-longest-call")
	})
	b.Run("Sample20", func(b *testing.B) {
		rng := testRandom(1)
		b.ReportAllocs()
		for b.Loop() {
			ids, err := s.Sample(caller.Users, 20, rng.Uint64)
			if err != nil || len(ids) != 20 {
				b.Fatal(len(ids), err)
			}
		}
	})
	b.Run("ComparePage", func(b *testing.B) {
		var batch caller.Batch
		for id := int64(500_000); id < 501_000; id++ {
			batch.Users = append(batch.Users, user(id, "Somebody Somewhere", fmt.Sprintf("+1%010d", 2_000_000_000+id), 0))
		}
		b.ReportAllocs()
		for b.Loop() {
			d, err := s.Compare(batch)
			if err != nil || len(d) > 0 {
				b.Fatal(d, err)
			}
		}
	})
}
