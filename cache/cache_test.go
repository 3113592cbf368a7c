package cache

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/store"
)

func TestMirroredCallerComesFromDiskAndThenFromMemory(t *testing.T) {
	b := setUp(t)
	b.filled()
	b.mirrored(person(1, "Ann", numberA))
	b.apply(caller.Batch{Tickets: []caller.TicketUpdate{openTicket(7, 1)}})
	b.expect("first", b.ask("(513) 555-7611"), caller.Found, caller.FromDisk, "Ann")
	b.memory.cache.Wait()
	a := b.ask("+1 513 555 7611")
	b.expect("second", a, caller.Found, caller.FromMemory, "Ann")
	b.expect("as a canonical number", b.ask(numberA), caller.Found, caller.FromMemory, "Ann")
	if len(a.Callers[0].Open) != 1 || a.Callers[0].Open[0].ID != 7 {
		t.Errorf("open tickets %v, want ticket 7", a.Callers[0].Open)
	}
	if n := b.live.searched(); n != 0 {
		t.Errorf("%d searches at Zendesk for a caller whom the mirror knows", n)
	}
}

func TestUnknownNumberIsAskedLiveAndThenKept(t *testing.T) {
	b := setUp(t)
	b.filled()
	b.live.people[1] = person(1, "Ann", numberA)
	b.live.tickets[1] = []caller.TicketUpdate{openTicket(7, 1)}
	b.expect("first", b.ask(numberA), caller.Found, caller.FromLive, "Ann")
	b.expect("second", b.ask(numberA), caller.Found, caller.FromMemory, "Ann")
	b.Purge()
	b.live.set(func() { b.live.err = errDown })
	a := b.ask(numberA)
	b.expect("after a purge, Zendesk down", a, caller.Found, caller.FromDisk, "Ann")
	if len(a.Callers[0].Open) != 1 {
		t.Errorf("open tickets %v, want one", a.Callers[0].Open)
	}
}

func TestNobodyIsRememberedForAWhile(t *testing.T) {
	b := setUp(t)
	b.filled()
	b.expect("first", b.ask(numberA), caller.NotFound, caller.FromLive)
	b.expect("second", b.ask(numberA), caller.NotFound, caller.FromMemory)
	b.pass(90 * time.Second)
	if a := b.ask(numberA); a.Age != 90*time.Second {
		t.Errorf("age %v, want 90s since the walk", a.Age)
	}
	b.pass(31 * time.Second)
	b.expect("past negative_ttl", b.ask(numberA), caller.NotFound, caller.FromLive)
	b.mirrored(person(1, "Ann", numberA))
	b.expect("as soon as an export brings somebody", b.ask(numberA), caller.Found, caller.FromDisk, "Ann")
	s := b.Stats()
	if s.NegativeHits != 2 || s.Misses != 2 || s.DiskHits != 1 {
		t.Errorf("counted %+v, want 2 negative hits, 2 misses, 1 disk hit", s)
	}
}

func TestFaultIsNoAbsence(t *testing.T) {
	for f, why := range map[caller.Fault]string{
		caller.FaultDown: "zendesk_unavailable", caller.FaultRateLimited: "rate_limited", caller.FaultMalformed: "zendesk_malformed",
	} {
		b := setUp(t)
		b.filled()
		b.live.err = &caller.UpstreamError{Fault: f, Err: errors.New("x")}
		a := b.ask(numberA)
		b.expect(why, a, caller.Unavailable, caller.FromNowhere)
		if a.Reason != why || !a.Stale {
			t.Errorf("reason %q, stale %v; want %q, true", a.Reason, a.Stale, why)
		}
		b.live.set(func() { b.live.err, b.live.people[1] = nil, person(1, "Ann", numberA) })
		b.expect("the next lookup", b.ask(numberA), caller.Found, caller.FromLive, "Ann")
	}
}

func TestNothingIsAskedForWhatIsNoNumber(t *testing.T) {
	b := setUp(t)
	for text, o := range map[string]caller.Outcome{
		"anonymous": caller.Anonymous, "": caller.Anonymous, "911": caller.ShortCode, "role:admin": caller.Invalid, "*": caller.Invalid,
	} {
		b.expect(fmt.Sprintf("%q", text), b.ask(text), o, caller.FromNowhere)
	}
	if n := b.live.searched(); n != 0 {
		t.Errorf("%d searches at Zendesk", n)
	}
}

func TestSharedNumberIsAmbiguousEvenByAnIdentity(t *testing.T) {
	b := setUp(t)
	b.filled()
	b.mirrored(person(1, "Ann", numberA), withIdentity(person(2, "Bob", ""), numberA))
	b.expect("from the mirror", b.ask(numberA), caller.Ambiguous, caller.FromDisk, "Ann", "Bob")
}

func TestMirrorAndWalkAreJoinedBeforeTheyAreCounted(t *testing.T) {
	b := setUp(t) // not filled: the mirror alone proves nothing
	b.mirrored(withIdentity(person(2, "Bob", ""), numberA))
	b.live.people[1] = person(1, "Ann", numberA)
	b.live.people[2] = withIdentity(person(2, "Bob", ""), numberA)
	b.expect("one known to each", b.ask(numberA), caller.Ambiguous, caller.FromLive, "Ann", "Bob")
}

func TestSearchHitIsNotBelieved(t *testing.T) {
	b := setUp(t)
	b.filled()
	b.live.people[1] = person(1, "Other country, same digits", "+495135557611")
	b.live.people[2] = withIdentity(person(2, "Same digits, and the number as identity", "+525135557611"), numberA)
	b.expect("suffix hits", b.ask(numberA), caller.Found, caller.FromLive, "Same digits, and the number as identity")
	b.live.set(func() { b.live.partial = true })
	a := b.ask(numberB)
	b.expect("more hits than are shown", a, caller.Unavailable, caller.FromNowhere)
	if a.Reason != "too_many_hits" {
		t.Errorf("reason %q, want too_many_hits", a.Reason)
	}
}

// The search's index lags: it still shows somebody who is gone, and somebody
// else with the number they had before.
func TestSearchHitThatIsOutOfDateIsNotBelieved(t *testing.T) {
	b := setUp(t)
	b.filled()
	b.live.lagging = []caller.UserUpdate{person(1, "Gone", numberA), person(2, "Moved", numberA)}
	b.live.people[2] = person(2, "Moved", numberB)
	b.expect("a number that nobody has any more", b.ask(numberA), caller.NotFound, caller.FromLive)
}

func TestBeforeTheFirstEndOfAStreamAbsenceProvesNothing(t *testing.T) {
	b := setUp(t)
	b.mirrored(person(1, "Ann", numberA))
	b.live.err = errDown
	a := b.ask(numberA)
	b.expect("known, Zendesk down", a, caller.Found, caller.FromDisk, "Ann")
	if !a.Stale {
		t.Error("not stale, though others may share the number")
	}
	b.live.set(func() {
		b.live.err = nil
		b.live.people[1] = person(1, "Ann", numberA)
		b.live.tickets[1] = []caller.TicketUpdate{openTicket(7, 1)}
	})
	a = b.ask(numberA)
	b.expect("known, and asked live", a, caller.Found, caller.FromLive, "Ann")
	if a.Stale || len(a.Callers[0].Open) != 1 {
		t.Errorf("stale %v with %d tickets, want fresh with 1", a.Stale, len(a.Callers[0].Open))
	}
	b.expect("and then remembered", b.ask(numberA), caller.Found, caller.FromMemory, "Ann")
}

func TestAgeAndStale(t *testing.T) {
	b := setUp(t)
	b.filled()
	b.mirrored(person(1, "Ann", numberA))
	b.ask(numberA)
	b.memory.cache.Wait()
	b.pass(4 * time.Minute)
	if a := b.ask(numberA); a.Age != 4*time.Minute || a.Stale || a.Source != caller.FromMemory {
		t.Errorf("age %v, stale %v from %s; want 4m, false, memory", a.Age, a.Stale, a.Source)
	}
	b.apply(caller.Batch{Position: &caller.Position{Stream: caller.Users, Complete: true, Watermark: b.clock()}})
	b.pass(2 * time.Minute)
	if a := b.ask(numberA); a.Age != 6*time.Minute || !a.Stale {
		t.Errorf("age %v, stale %v; want the older part's 6m, true", a.Age, a.Stale)
	}
	b.filled()
	if a := b.ask(numberA); a.Age != 0 || a.Stale {
		t.Errorf("age %v, stale %v right after an end of both streams; want 0, false", a.Age, a.Stale)
	}
	b.pass(-time.Hour)
	if a := b.ask(numberA); a.Age != 0 {
		t.Errorf("age %v with the clock set back, want 0", a.Age)
	}
}

func TestFreshAsksFirstAndFallsBack(t *testing.T) {
	b := setUp(t)
	b.filled()
	b.mirrored(person(1, "Ann", numberA))
	b.ask(numberA)
	moved := person(1, "Anna", numberA)
	moved.Version.Updated++
	b.live.people[1] = moved
	fresh := caller.Query{ANI: numberA, Fresh: true}
	b.expect("fresh", b.Lookup(t.Context(), fresh), caller.Found, caller.FromLive, "Anna")
	b.live.set(func() { b.live.err = errDown })
	b.expect("fresh, Zendesk down", b.Lookup(t.Context(), fresh), caller.Found, caller.FromDisk, "Anna")
	b.live.set(func() { b.live.err = nil; delete(b.live.people, 1) })
	b.pass(time.Second)
	b.expect("fresh, the person gone", b.Lookup(t.Context(), fresh), caller.NotFound, caller.FromLive)
	b.expect("and gone for everyone", b.ask(numberA), caller.NotFound, caller.FromMemory)
}

func TestBudgetIsTheBeginnersAndNobodyElses(t *testing.T) {
	b := setUp(t)
	b.filled()
	b.live.people[1] = person(1, "Ann", numberA)
	spent := caller.Query{ANI: numberA, AllowLive: func() bool { return false }}
	a := b.Lookup(t.Context(), spent)
	b.expect("budget spent", a, caller.Unavailable, caller.FromNowhere)
	if a.Reason != "live_budget" {
		t.Errorf("reason %q, want live_budget", a.Reason)
	}
	b.expect("another client", b.ask(numberA), caller.Found, caller.FromLive, "Ann")
	b.expect("what is known costs nothing", b.Lookup(t.Context(), spent), caller.Found, caller.FromMemory, "Ann")
}

func TestLiveAnswerIsGivenThoughItCannotBeKept(t *testing.T) {
	b := setUp(t)
	b.filled()
	b.live.people[1] = person(1, "Ann", numberA)
	b.live.tickets[1] = []caller.TicketUpdate{openTicket(7, 1), openTicket(9, 1)}
	b.o.Store = failing{b.store}
	a := b.ask(numberA)
	b.expect("first", a, caller.Found, caller.FromLive, "Ann")
	if len(a.Callers[0].Open) != 2 || a.Callers[0].Open[0].ID != 9 {
		t.Errorf("open tickets %v, want 9 and 7", a.Callers[0].Open)
	}
	b.expect("not remembered", b.ask(numberA), caller.Found, caller.FromLive, "Ann")
}

// failing is a store whose disk is full.
type failing struct{ *store.Store }

func (failing) Apply(context.Context, caller.Batch) (caller.Change, error) {
	return caller.Change{}, errors.New("no space left on device")
}

// A live "nobody" that was on its way while an export brought somebody must
// not be answered, let alone remembered.
func TestNobodyReadsTheStoreAgain(t *testing.T) {
	b := setUp(t)
	b.filled()
	b.live.during = func() {
		u := person(1, "Ann", numberA)
		if _, err := b.store.Apply(context.Background(), caller.Batch{Users: []caller.UserUpdate{u}}); err != nil {
			t.Error(err)
		}
	}
	b.expect("somebody came in the middle of the walk", b.ask(numberA), caller.Found, caller.FromLive, "Ann")
	b.expect("remembered", b.ask(numberA), caller.Found, caller.FromMemory, "Ann")
}

func TestPurgeForgetsMemoryOnly(t *testing.T) {
	b := setUp(t)
	b.filled()
	b.mirrored(person(1, "Ann", numberA))
	b.ask(numberA)
	b.memory.cache.Wait()
	b.Purge()
	b.expect("after a purge", b.ask(numberA), caller.Found, caller.FromDisk, "Ann")
	b.memory.cache.Wait()
	b.expect("and again", b.ask(numberA), caller.Found, caller.FromMemory, "Ann")
	if s := b.Stats(); s.Entries != 1 {
		t.Errorf("%d entries, want 1", s.Entries)
	}
}

func TestChangeOfATicketAloneReachesTheAnswer(t *testing.T) {
	b := setUp(t)
	b.filled()
	b.mirrored(person(1, "Ann", numberA))
	b.ask(numberA)
	b.memory.cache.Wait()
	b.apply(caller.Batch{Tickets: []caller.TicketUpdate{openTicket(7, 1)}})
	if a := b.ask(numberA); len(a.Callers[0].Open) != 1 {
		t.Errorf("%d tickets after one was opened, want 1", len(a.Callers[0].Open))
	}
}

func TestAssigneesNameReachesTheAnswer(t *testing.T) {
	b := setUp(t)
	b.filled()
	agent := person(9, "Gwen", "")
	agent.User.Role = "agent"
	assigned := openTicket(7, 1)
	assigned.Ticket.AssigneeID = 9
	b.mirrored(person(1, "Ann", numberA), agent)
	b.apply(caller.Batch{Tickets: []caller.TicketUpdate{assigned}})
	b.ask(numberA)
	b.memory.cache.Wait()
	agent.User.Name = "Gwendolyn"
	agent.Version.Updated++
	b.mirrored(agent)
	a := b.ask(numberA)
	if p, ok := a.Callers[0].Assignee(9); !ok || p.Name != "Gwendolyn" {
		t.Errorf("assignee %q (known: %v), want Gwendolyn", p.Name, ok)
	}
}

// Memory drops what it is given when it is busy. A miss that finds the flight of
// another one over looks at the disk then, and does not walk again.
func TestWhatMemoryDroppedIsOnDisk(t *testing.T) {
	b := setUp(t)
	b.filled()
	k, ok := keyOf(numberA, caller.Query{})
	if !ok {
		t.Fatal("no key")
	}
	if e := b.sinceWalked(k); e != nil {
		t.Errorf("nobody has the number, and %d people are found", len(e.callers))
	}
	b.mirrored(person(1, "Ann", numberA))
	if e := b.sinceWalked(k); e == nil || len(e.callers) != 1 {
		t.Errorf("what is on disk alone is not found: %v", e)
	}
}
