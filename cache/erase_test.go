package cache

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"aniproxy/internal/caller"
)

// erase takes somebody out as an erasure does.
func (b *bench) erase(id int64) {
	b.t.Helper()
	if _, err := b.store.Erase(context.Background(), id); err != nil {
		b.t.Error(err)
	}
	b.Purge()
}

// fullDisk has nothing written from now on.
func (b *bench) fullDisk() {
	b.o.Store = &watched{Store: b.store, applied: func() bool { return false }}
}

func TestAnErasedPersonIsNotShownThoughZendeskStillHasThem(t *testing.T) {
	for _, disk := range []string{"with room", "full"} {
		t.Run(disk, func(t *testing.T) {
			b := setUp(t)
			b.filled()
			b.mirrored(person(1, "Ann", numberA))
			b.apply(caller.Batch{Tickets: []caller.TicketUpdate{openTicket(7, 1)}})
			b.live.people[1] = person(1, "Ann", numberA)
			b.live.tickets[1] = []caller.TicketUpdate{openTicket(7, 1)}
			b.expect("before", b.ask(numberA), caller.Found, caller.FromDisk, "Ann")
			b.erase(1)
			if disk == "full" {
				b.fullDisk()
			}
			b.live.asked()
			b.expect("after", b.ask(numberA), caller.NotFound, caller.FromLive)
			if calls := b.live.asked(); len(calls) != 1 {
				t.Errorf("calls %q, want the search alone: nothing is read of who was erased", calls)
			}
			b.live.set(func() { b.live.people[2] = person(2, "Bob", numberA) })
			a := b.Lookup(t.Context(), caller.Query{ANI: numberA, Fresh: true})
			b.expect("somebody else with the number is unique", a, caller.Found, caller.FromLive, "Bob")
		})
	}
}

func TestAnErasureInTheMiddleOfAWalkCounts(t *testing.T) {
	for _, disk := range []string{"with room", "full"} {
		for _, when := range []string{"before the people are read", "after that"} {
			t.Run("disk "+disk+", "+when, func(t *testing.T) {
				b := setUp(t)
				b.filled()
				b.live.people[1], b.live.people[2] = person(1, "Ann", numberA), person(2, "Bob", numberA)
				b.live.tickets[2] = []caller.TicketUpdate{openTicket(7, 2)}
				once := sync.OnceFunc(func() { b.erase(1) })
				w := &watched{Store: b.store, applied: func() bool {
					once()
					return disk == "with room"
				}}
				b.o.Store = w
				if when == "before the people are read" {
					b.live.during = once
				}
				b.expect("who was erased is not among them", b.ask(numberA), caller.Found, caller.FromLive, "Bob")
			})
		}
	}
}

// A walk that fails takes its time, and what was read before it may be erased
// meanwhile.
func TestWhatALookupFallsBackOnIsNotErased(t *testing.T) {
	b := setUp(t)
	b.filled()
	b.mirrored(person(1, "Ann", numberA), person(2, "Bob", numberA))
	b.live.during = sync.OnceFunc(func() { b.erase(1) })
	b.live.partial = true
	a := b.Lookup(t.Context(), caller.Query{ANI: numberA, Fresh: true})
	b.expect("one of two", a, caller.Found, caller.FromDisk, "Bob")
	b.live.during = sync.OnceFunc(func() { b.erase(2) })
	a = b.Lookup(t.Context(), caller.Query{ANI: numberA, Fresh: true})
	b.expect("the other", a, caller.Unavailable, caller.FromNowhere)
}

func TestAnErasedAssigneeIsNotNamed(t *testing.T) {
	b := setUp(t)
	b.filled()
	gwen, assigned := person(9, "Gwen", ""), openTicket(7, 1)
	gwen.User.Role, assigned.Ticket.AssigneeID = "agent", 9
	b.mirrored(person(1, "Ann", numberA), gwen)
	b.apply(caller.Batch{Tickets: []caller.TicketUpdate{assigned}})
	b.live.people[1], b.live.tickets[1] = person(1, "Ann", numberA), []caller.TicketUpdate{assigned}
	b.o.Store = &watched{ // the tombstone is set, and the record not yet gone
		Store: b.store, applied: func() bool { return false }, erased: func(id int64) bool { return id == 9 },
	}
	a := b.Lookup(t.Context(), caller.Query{ANI: numberA, Fresh: true})
	b.expect("the caller", a, caller.Found, caller.FromLive, "Ann")
	if p, ok := a.Callers[0].Assignee(9); ok {
		t.Errorf("%q was erased and is named", p.Name)
	}
}

// left lists what memory holds and may not give.
func (b *bench) left() (names []string) {
	b.memory.cache.Wait()
	b.memory.cache.IterValues(func(e *entry) bool {
		if !b.valid(e) {
			for i := range e.callers {
				names = append(names, e.callers[i].User.Name)
			}
		}
		return false
	})
	return names
}

func TestNothingOfBeforeAPurgeStaysInMemory(t *testing.T) {
	b := setUp(t)
	b.filled()
	b.mirrored(person(1, "Ann", numberA))
	k, _ := keyOf(numberA, caller.Query{})
	e, err := b.readNow(k)
	if err != nil {
		t.Fatal(err)
	}
	for way, bring := range map[string]func(key, *entry, bool){"found true": b.admit, "just read": b.remember} {
		b.Purge() // while the entry is on its way
		bring(k, e, false)
		if left := b.left(); len(left) != 0 {
			t.Errorf("%v stayed in memory, %s before the purge", left, way)
		}
	}
	if s := b.Stats(); s.Entries != 0 {
		t.Errorf("%d entries are counted, want none", s.Entries)
	}

	// And the same at every moment that chance finds.
	const people, purges = 64, 300
	number := func(i int) string { return fmt.Sprintf("+1513555%04d", 3000+i) }
	for i := range people {
		b.mirrored(person(int64(100+i), fmt.Sprint("Somebody ", i), number(i)))
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for r := range 4 {
		readers.Go(func() {
			for n := r; ; n++ {
				select {
				case <-stop:
					return
				default:
					b.ask(number(n % people))
				}
			}
		})
	}
	for range purges {
		b.Purge()
	}
	close(stop)
	readers.Wait()
	if left := b.left(); len(left) != 0 {
		t.Errorf("%v stayed in memory", left)
	}
}

// An entry that a change has made wrong is dropped when it is met, also where
// nothing comes in its place.
func TestWhatIsNotTrueAnyMoreIsDroppedWhenItIsMet(t *testing.T) {
	b := setUp(t)
	b.filled()
	b.mirrored(person(1, "Ann", numberA))
	b.ask(numberA)
	b.memory.cache.Wait()
	b.pass(time.Second)
	b.apply(caller.Batch{Gone: []caller.Gone{{Stream: caller.Users, ID: 1, Sent: b.clock().UnixNano()}}})
	if left := b.left(); len(left) != 1 {
		t.Fatalf("%v is in memory, want Ann: nobody has met her", left)
	}
	b.live.err = errDown
	b.expect("gone, and Zendesk down", b.ask(numberA), caller.Unavailable, caller.FromNowhere)
	if left := b.left(); len(left) != 0 {
		t.Errorf("%v stayed in memory", left)
	}
	if s := b.Stats(); s.Entries != 0 {
		t.Errorf("%d entries are counted, want none", s.Entries)
	}
}
