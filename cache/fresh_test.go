package cache

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/store"
)

// watched is a store with something happening as it is used.
type watched struct {
	*store.Store
	read    func()      // after every reading of who has a number
	applied func() bool // before every writing; false is a full disk
	erased  func(id int64) bool
}

func (w *watched) Match(e164 string, roles []string) (caller.Match, error) {
	m, err := w.Store.Match(e164, roles)
	if w.read != nil {
		w.read()
	}
	return m, err
}

func (w *watched) Apply(ctx context.Context, b caller.Batch) (caller.Change, error) {
	if w.applied != nil && !w.applied() {
		return failing{}.Apply(ctx, b)
	}
	return w.Store.Apply(ctx, b)
}

func (w *watched) Erased(id int64) bool {
	return w.erased != nil && w.erased(id) || w.Store.Erased(id)
}

// An increment that ends between the reading and the answer must not make the
// answer look as young as what the increment brought.
func TestAgeIsThatOfWhatWasRead(t *testing.T) {
	b := setUp(t)
	b.filled()
	b.mirrored(person(1, "Ann", numberA))
	b.pass(3 * time.Minute)
	increment := func() {
		anna := person(1, "Anna", numberA)
		anna.Version.Updated++
		b.mirrored(anna)
		b.filled()
	}
	b.o.Store = &watched{Store: b.store, read: sync.OnceFunc(increment)}
	a := b.ask(numberA)
	b.expect("read before the increment", a, caller.Found, caller.FromDisk, "Ann")
	if a.Age != 3*time.Minute {
		t.Errorf("age %v of what was read before the increment, want 3m", a.Age)
	}
	a = b.ask(numberA)
	b.expect("read after it", a, caller.Found, caller.FromDisk, "Anna")
	if a.Age != 0 {
		t.Errorf("age %v of what was read after the increment, want 0", a.Age)
	}
}

// The same in memory: the store has come further, and what that changes has not
// been said yet.
func TestAgeInMemoryIsThatOfWhatIsThere(t *testing.T) {
	b := setUp(t)
	b.filled()
	b.mirrored(person(1, "Ann", numberA))
	b.ask(numberA)
	b.memory.cache.Wait()
	b.pass(3 * time.Minute)
	b.apply(caller.Batch{Position: &caller.Position{Stream: caller.Tickets, Complete: true, Watermark: b.clock()}})
	var between caller.Answer
	b.committed = func() { between = b.Lookup(context.Background(), caller.Query{ANI: numberA}) }
	anna := person(1, "Anna", numberA)
	anna.Version.Updated++
	anna.AsOf = b.clock()
	b.apply(caller.Batch{
		Users:    []caller.UserUpdate{anna},
		Position: &caller.Position{Stream: caller.Users, Complete: true, Watermark: b.clock()},
	})
	b.expect("between commit and word", between, caller.Found, caller.FromMemory, "Ann")
	if between.Age != 3*time.Minute {
		t.Errorf("age %v of what was there before, want 3m", between.Age)
	}
	b.committed = nil
	b.expect("after the word", b.ask(numberA), caller.Found, caller.FromDisk, "Anna")
}

// Whom only the search brings up is read by id: they are as of now, and the
// number is the one they have now.
func TestSearchHitIsReadByID(t *testing.T) {
	b := setUp(t)
	b.filled()
	b.pass(20 * time.Minute)
	b.live.people[1] = person(1, "Ann", numberA)
	a := b.ask(numberA)
	b.expect("found by the search alone", a, caller.Found, caller.FromLive, "Ann")
	if seen := a.Callers[0].Seen; !seen.Equal(b.clock()) || a.Age != 0 || a.Stale {
		t.Errorf("seen %v, age %v, stale %v; want now, 0, false", seen, a.Age, a.Stale)
	}
	for _, e := range []error{nil, errDown} { // kept, and not
		b.Purge()
		b.o.Store = &watched{Store: b.store, applied: func() bool { return e == nil }}
		b.live.set(func() {
			moved := person(1, "Ann", numberB)
			moved.Version.Updated++
			b.live.people[1] = moved
			b.live.lagging = []caller.UserUpdate{person(1, "Ann", numberA)}
		})
		a = b.Lookup(t.Context(), caller.Query{ANI: numberA, Fresh: true})
		b.expect("the index still shows the number of before", a, caller.NotFound, caller.FromLive)
	}
}

// A hit that cannot be read by id has not been checked.
func TestHitThatCannotBeReadIsNoAnswer(t *testing.T) {
	b := setUp(t)
	b.filled()
	b.live.people[1], b.live.people[2] = person(1, "Ann", numberA), person(2, "Bob", "+525135557611")
	b.live.unread = map[int64]bool{2: true}
	a := b.ask(numberA)
	b.expect("one of two hits cannot be read", a, caller.Unavailable, caller.FromNowhere)
	if a.Reason != "zendesk_malformed" {
		t.Errorf("reason %q, want zendesk_malformed", a.Reason)
	}
	b.mirrored(person(1, "Ann", numberA))
	a = b.Lookup(t.Context(), caller.Query{ANI: numberA, Fresh: true})
	b.expect("the mirror knows who", a, caller.Found, caller.FromDisk, "Ann")
	if !a.Stale {
		t.Error("not stale, though somebody else may have the number")
	}
}

// A search that finds nobody says so of a while ago: its index lags.
func TestNobodyIsAsOldAsTheIndex(t *testing.T) {
	b := setUp(t)
	a := b.ask(numberA)
	b.expect("no stream was ever at its end", a, caller.NotFound, caller.FromLive)
	if a.Age != caller.SearchLag || !a.Stale {
		t.Errorf("age %v, stale %v; want the index's %v, true", a.Age, a.Stale, caller.SearchLag)
	}
	b.filled()
	b.pass(3 * time.Minute)
	a = b.ask(numberA)
	b.expect("both were", a, caller.NotFound, caller.FromLive)
	if a.Age != 3*time.Minute || a.Stale {
		t.Errorf("age %v, stale %v; want the stream's 3m, false", a.Age, a.Stale)
	}
}

func TestFreshFallsBackOnWhatIsKnownAndSaysSo(t *testing.T) {
	b := setUp(t)
	b.filled()
	b.mirrored(person(1, "Ann", numberA))
	b.live.err = errDown
	a := b.Lookup(t.Context(), caller.Query{ANI: numberA, Fresh: true})
	b.expect("fresh, Zendesk down", a, caller.Found, caller.FromDisk, "Ann")
	if !a.Stale || a.Reason != "zendesk_unavailable" || a.Age != 0 {
		t.Errorf("stale %v, reason %q, age %v; want true, zendesk_unavailable, 0", a.Stale, a.Reason, a.Age)
	}
	if a := b.ask(numberA); a.Stale || a.Reason != "none" {
		t.Errorf("stale %v, reason %q for who does not ask for more; want false, none", a.Stale, a.Reason)
	}
}

func TestFreshFallsBackOnMemoryWhereTheDiskHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setUp(t)
		b.filled()
		b.mirrored(person(1, "Ann", numberA))
		b.ask(numberA)
		b.memory.cache.Wait()
		hang := make(chan struct{})
		b.o.Store = &watched{Store: b.store, read: func() { <-hang }}
		a := b.Lookup(t.Context(), caller.Query{ANI: numberA, Fresh: true})
		b.expect("the disk hangs", a, caller.Found, caller.FromMemory, "Ann")
		if !a.Stale || a.Reason != "deadline" {
			t.Errorf("stale %v, reason %q; want true, deadline", a.Stale, a.Reason)
		}
		close(hang)
	})
}

// Who asks for a fresh answer and meets a lookup that was content with what is
// known asks again.
func TestFreshIsAskedForEvenInCompany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setUp(t)
		b.filled()
		b.mirrored(person(1, "Ann", numberA))
		anna := person(1, "Anna", numberA)
		anna.Version.Updated++
		b.live.people[1] = anna
		k, _ := keyOf(numberA, caller.Query{})
		known, err := b.readNow(k)
		if err != nil {
			t.Fatal(err)
		}
		hold := make(chan struct{})
		go b.flights.Do(numberA, func() (any, error) {
			<-hold
			return landed{e: known}, nil
		})
		synctest.Wait()
		answered := make(chan caller.Answer)
		go func() { answered <- b.Lookup(t.Context(), caller.Query{ANI: numberA, Fresh: true}) }()
		synctest.Wait()
		close(hold)
		b.expect("fresh, in company", <-answered, caller.Found, caller.FromLive, "Anna")
	})
}
