package cache

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"aniproxy/internal/caller"
)

func TestOneMissOneWalk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setUp(t)
		b.filled()
		b.live.people[1] = person(1, "Ann", numberA)
		b.live.hold = make(chan struct{})
		const lookups = 10_000
		var found atomic.Int64
		var all sync.WaitGroup
		for range lookups {
			all.Go(func() {
				if b.ask(numberA).Outcome == caller.Found {
					found.Add(1)
				}
			})
		}
		synctest.Wait()
		close(b.live.hold)
		all.Wait()
		if n := b.live.searched(); n != 1 || found.Load() != lookups {
			t.Errorf("%d of %d lookups found by %d walks, want all by one", found.Load(), lookups, n)
		}
	})
}

func TestLookupAnswersByItsDeadlineAndTheWalkGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setUp(t)
		b.filled()
		b.live.people[1] = person(1, "Ann", numberA)
		b.live.hold = make(chan struct{})
		began := time.Now()
		a := b.ask(numberA)
		b.expect("Zendesk hangs", a, caller.Unavailable, caller.FromNowhere)
		if took := time.Since(began); took != 1500*time.Millisecond || a.Reason != "deadline" {
			t.Errorf("answered %q after %v, want deadline after 1.5s", a.Reason, took)
		}
		close(b.live.hold)
		synctest.Wait()
		b.expect("the walk that nobody waited for", b.ask(numberA), caller.Found, caller.FromMemory, "Ann")
	})
}

func TestWhoLeavesTakesOnlyThemselvesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setUp(t)
		b.filled()
		b.live.people[1] = person(1, "Ann", numberA)
		b.live.hold = make(chan struct{})
		leaving, leave := context.WithCancel(t.Context())
		var first, second caller.Answer
		var both sync.WaitGroup
		both.Go(func() { first = b.Lookup(leaving, caller.Query{ANI: numberA}) })
		synctest.Wait()
		both.Go(func() { second = b.ask(numberA) })
		synctest.Wait()
		leave()
		synctest.Wait()
		close(b.live.hold)
		both.Wait()
		b.expect("who left", first, caller.Unavailable, caller.FromNowhere)
		b.expect("who stayed", second, caller.Found, caller.FromLive, "Ann")
		if n := b.live.searched(); n != 1 {
			t.Errorf("%d walks, want one", n)
		}
	})
}

func TestCloseWaitsForTheWalkUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setUp(t)
		b.filled()
		b.live.hold, b.live.deaf = make(chan struct{}), true
		if a := b.ask(numberA); a.Outcome != caller.Unavailable {
			t.Fatalf("outcome %s, want unavailable", a.Outcome)
		}
		closed := make(chan struct{})
		go func() {
			b.Close()
			close(closed)
		}()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("closed while a walk was under way")
		default:
		}
		close(b.live.hold)
		<-closed
		if a := b.ask(numberB); a.Outcome != caller.Unavailable {
			t.Errorf("a lookup after the end is %s, want unavailable", a.Outcome)
		}
	})
}

// Nothing that was replaced before a lookup began may be seen by it: writers
// change a person's name and number, and write down which name was committed
// last; readers note that before they ask.
func TestNoLookupSeesWhatWasReplacedBeforeItBegan(t *testing.T) {
	b := setUp(t)
	b.filled()
	const people, rounds, readers = 8, 400, 4
	var committed [people]atomic.Int64 // the last version whose Apply has returned
	number := func(i int) string { return fmt.Sprintf("+1513555%04d", 7000+i) }
	write := func(i int, version int64) {
		u := person(int64(i+1), fmt.Sprint(version), number(i))
		u.Version.Updated += version
		k := openTicket(int64(i+1), int64(i+1))
		k.Ticket.Subject = fmt.Sprint(version)
		k.Version.Updated += version
		if version%5 == 0 { // every fifth version is away: a negative
			u.User.Active = false
		}
		batch := caller.Batch{Users: []caller.UserUpdate{u}, Tickets: []caller.TicketUpdate{k}, Urgent: version%2 == 0}
		if _, err := b.store.Apply(context.Background(), batch); err != nil {
			t.Error(err)
		}
		committed[i].Store(version)
	}
	for i := range people {
		write(i, 1)
	}
	stop := make(chan struct{})
	var writers, all sync.WaitGroup
	for i := range people {
		writers.Go(func() {
			for v := int64(2); v < rounds; v++ {
				write(i, v)
			}
		})
	}
	for r := range readers {
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				i := (n*7 + r) % people
				before := committed[i].Load()
				check(t, b.ask(number(i)), before, committed[i].Load)
			}
		})
	}
	writers.Wait()
	close(stop)
	all.Wait()
	s := b.Stats()
	if s.MemoryHits == 0 || s.DiskHits == 0 {
		t.Errorf("counted %+v: the test has not reached both tiers", s)
	}
}

// check holds an answer against the version committed before the lookup began.
func check(t *testing.T, a caller.Answer, before int64, after func() int64) {
	t.Helper()
	if a.Outcome == caller.NotFound {
		// Away in some version between the one before and the one after, which
		// may be on its way.
		for v := before; v <= after()+1; v++ {
			if v%5 == 0 {
				return
			}
		}
		t.Errorf("nobody, though version %d was there before", before)
		return
	}
	if a.Outcome != caller.Found {
		t.Errorf("outcome %s (%s)", a.Outcome, a.Reason)
		return
	}
	var version, ticket int64
	if _, err := fmt.Sscan(a.Callers[0].User.Name, &version); err != nil {
		t.Error(err)
	}
	if version < before {
		t.Errorf("version %d of a person, %d was committed before the lookup began", version, before)
	}
	if len(a.Callers[0].Open) != 1 {
		t.Errorf("%d tickets, want one", len(a.Callers[0].Open))
		return
	}
	if _, err := fmt.Sscan(a.Callers[0].Open[0].Subject, &ticket); err != nil {
		t.Error(err)
	}
	if ticket < before {
		t.Errorf("version %d of a ticket, %d was committed before the lookup began", ticket, before)
	}
}
