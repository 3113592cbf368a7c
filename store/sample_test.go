package store

import (
	"math/rand/v2"
	"slices"
	"testing"

	"aniproxy/internal/caller"
)

func testRandom(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

// The ids of an account come in ranges that lie far apart, and many users are
// stubs. Over many draws everybody comes about equally often all the same.
func TestSampleIsFair(t *testing.T) {
	const dense, thin = 4000, 200
	s := open(t, func(o *Options) { o.NoSync = true })
	rng := testRandom(1)
	var b caller.Batch
	for i := range int64(dense) { // with the gaps of a sequence that others draw from too
		b.Users = append(b.Users, user(1_000_000+7*i+rng.Int64N(7), "x", "", 0))
		gone := user(2_000_000+i, "x", "", 0)
		b.Users = append(b.Users, deleted(gone))
	}
	for i := range int64(thin) { // a range a million times as wide
		b.Users = append(b.Users, user(360_000_000_000+i*5_000_000_000, "x", "", 0))
	}
	apply(t, s, b)
	const rounds, each = 400, 20
	low, high, thinly := 0, 0, 0
	for range rounds {
		ids, err := s.Sample(caller.Users, each, rng.Uint64)
		if err != nil {
			t.Fatal(err)
		}
		if len(ids) != each {
			t.Fatalf("drew %d, want %d", len(ids), each)
		}
		slices.Sort(ids)
		if len(slices.Compact(slices.Clone(ids))) != each {
			t.Fatalf("drew somebody twice: %v", ids)
		}
		for _, id := range ids {
			switch {
			case id >= 360_000_000_000:
				thinly++
			case id >= 2_000_000:
				t.Fatalf("drew %d, who was deleted", id)
			case id < 1_000_000+7*dense/2:
				low++
			default:
				high++
			}
		}
	}
	t.Logf("of the dense range's halves %d and %d, of the thin range %d of %d", low, high, thinly, rounds*each)
	// Even draws would be 3810, 3810 and 381, with standard deviations of 45 and 19.
	if low < 3500 || low > 4050 || high < 3500 || high > 4050 {
		t.Errorf("of the dense range's halves %d and %d were drawn, want about 3810 each", low, high)
	}
	if thinly < 250 || thinly > 550 {
		t.Errorf("of the thin range %d were drawn, want about 381", thinly)
	}
}

func TestSampleOfFew(t *testing.T) {
	s := open(t)
	draw := func(stream caller.Stream, n int) []int64 {
		t.Helper()
		ids, err := s.Sample(stream, n, testRandom(1).Uint64)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(ids)
		return ids
	}
	equal(t, "of nobody", draw(caller.Users, 5), []int64(nil))
	apply(t, s, caller.Batch{
		Users:   []caller.UserUpdate{user(1, "Ann", numberA, 0), deleted(user(2, "Bob", "", 0)), user(3, "Cay", "", 0)},
		Tickets: []caller.TicketUpdate{ticket(10, 1, "solved", 0), ticket(11, 1, "open", 0)},
	})
	equal(t, "more than there are", draw(caller.Users, 5), []int64{1, 3})
	equal(t, "one", len(draw(caller.Users, 1)), 1)
	equal(t, "none", draw(caller.Users, 0), []int64(nil))
	equal(t, "tickets", draw(caller.Tickets, 5), []int64{11})
}

// Where most have left, a draw may come back with less; it ends all the same.
func TestSampleEndsWhereAlmostAllHaveLeft(t *testing.T) {
	s := open(t, func(o *Options) { o.NoSync = true })
	b := caller.Batch{Users: []caller.UserUpdate{user(1, "Ann", "", 0)}}
	for id := int64(2); id < 20_000; id++ {
		b.Users = append(b.Users, deleted(user(id, "x", "", 0)))
	}
	apply(t, s, b)
	ids, err := s.Sample(caller.Users, 3, testRandom(1).Uint64)
	if err != nil || len(ids) > 1 {
		t.Errorf("drew %v, error %v", ids, err)
	}
}
