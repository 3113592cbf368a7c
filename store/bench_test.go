package store

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"aniproxy/internal/caller"
)

// benchUsers fill a store for the benchmarks: large enough that its index does
// not fit a page or two, small enough to be made in a second.
const benchUsers = 100_000

func benchUser(rng *rand.Rand, id int64, second int) caller.UserUpdate {
	u := user(id, "Somebody Somewhere", fmt.Sprintf("+1%010d", 2_000_000_000+rng.Int64N(7_000_000_000)), second)
	u.Object = bytes.Repeat([]byte("x"), 600)
	return identities(u, second, u.Number, fmt.Sprintf("+44%010d", 1_000_000_000+rng.Int64N(8_000_000_000)))
}

func benchStore(b *testing.B, change ...func(*Options)) (*Store, *rand.Rand) {
	b.Helper()
	o := options(filepath.Join(b.TempDir(), "a.db"))
	for _, f := range change {
		f(&o)
	}
	s, err := Open(o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	rng := rand.New(rand.NewPCG(1, 2))
	for from := int64(1); from <= benchUsers; from += 20_000 {
		var batch caller.Batch
		for id := from; id < from+20_000; id++ {
			batch.Users = append(batch.Users, benchUser(rng, id, 0))
			batch.Tickets = append(batch.Tickets, ticket(id, id, "open", 0))
		}
		if _, err := s.Apply(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	for _, stream := range []caller.Stream{caller.Users, caller.Tickets} {
		if _, err := s.Apply(b.Context(), caller.Batch{Position: &caller.Position{Stream: stream, Complete: true}}); err != nil {
			b.Fatal(err)
		}
	}
	return s, rng
}

// A page of an export while serving: a thousand users, each with other numbers
// than before. The longest transaction is what holds an urgent write up.
func BenchmarkApplyPageOfChangedUsers(b *testing.B) {
	var last time.Time
	longest := time.Duration(0)
	s, rng := benchStore(b, func(o *Options) {
		o.Clock = time.Now // so that batches are cut by what they cost
		o.OnCommit = func(caller.Change) {
			longest = max(longest, time.Since(last))
			last = time.Now()
		}
	})
	longest = 0
	second := 0
	for b.Loop() {
		second++
		var batch caller.Batch
		for range 1000 {
			batch.Users = append(batch.Users, benchUser(rng, 1+rng.Int64N(benchUsers), second))
		}
		last = time.Now()
		if _, err := s.Apply(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "users/s")
	b.ReportMetric(float64(longest.Milliseconds()), "ms-longest")
}

// A page of a full walk of which nothing has changed.
func BenchmarkApplyPageOfUnchangedUsers(b *testing.B) {
	s, _ := benchStore(b)
	second := 0
	for b.Loop() {
		second++
		var batch caller.Batch
		for i := range int64(1000) {
			u := user(1+(int64(second)*1000+i)%benchUsers, "Somebody Somewhere", "", 0)
			u.Version.Sent, u.AsOf = at(second).UnixNano(), at(second)
			batch.Users = append(batch.Users, u)
		}
		if _, err := s.Apply(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "users/s")
}

// One person with a ticket: what a live answer and a webhook write.
func BenchmarkApplyOnePerson(b *testing.B) {
	s, rng := benchStore(b)
	second := 0
	for b.Loop() {
		second++
		id := 1 + rng.Int64N(benchUsers)
		batch := caller.Batch{
			Urgent: true, Users: []caller.UserUpdate{benchUser(rng, id, second)}, Tickets: []caller.TicketUpdate{ticket(id, id, "pending", second)},
		}
		if _, err := s.Apply(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFillEmptyStore(b *testing.B) {
	for b.Loop() {
		benchStore(b)
	}
	b.ReportMetric(benchUsers*float64(b.N)/b.Elapsed().Seconds(), "users-with-a-ticket/s")
}

func BenchmarkMatch(b *testing.B) {
	s, err := Open(options(filepath.Join(b.TempDir(), "a.db")))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var batch caller.Batch
	for id := range int64(50_000) {
		batch.Users = append(batch.Users, user(id+1, "Somebody Somewhere", fmt.Sprintf("+1513%07d", id), 0))
		batch.Tickets = append(batch.Tickets, ticket(2*id+1, id+1, "open", 0), ticket(2*id+2, id+1, "open", 0))
	}
	if _, err := s.Apply(b.Context(), batch); err != nil {
		b.Fatal(err)
	}
	roles := []string{"end-user"}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		m, err := s.Match(fmt.Sprintf("+1513%07d", n*7919%50_000), roles)
		if err != nil || len(m.Callers) != 1 {
			b.Fatal(len(m.Callers), err)
		}
	}
}
