package sync

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"aniproxy/internal/caller"
)

const (
	numberA = "+15135550001"
	numberB = "+15135550002"
)

func TestNoticeIsFetchedAndApplied(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil)
		h.put(1, numberA, numberB)
		h.putTicket(1001, 1, "open")
		began := time.Now()
		r.tell(1, 1001)
		st := r.settle()
		r.wantNumber(numberA, 1)
		r.wantNumber(numberB, 1)
		r.wantTickets(1, 1001)
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
		if st.Received != 2 || st.Fetched != 2 || st.Dropped+st.Failed+st.Merged != 0 || !st.Last.Equal(began) {
			t.Errorf("counted %+v", st)
		}
	})
}

func TestSecondNoticeWhileItWaitsIsOneFetch(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		h.pace = time.Second
		r := onShelf(t, h, nil)
		h.put(1, numberA)
		h.put(2, numberB)
		r.tell(1) // under way
		synctest.Wait()
		for range 50 {
			r.tell(2)
		}
		st := r.settle()
		if n := len(h.asked("users")); n != 2 || st.Merged != 49 || st.Fetched != 2 {
			t.Errorf("%d requests, counted %+v", n, st)
		}
	})
}

// A fetch that is under way may have been sent before the change.
func TestNoticeDuringItsFetchIsFetchedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		h.pace = time.Second
		r := onShelf(t, h, nil)
		h.put(1, numberA)
		r.tell(1)
		<-time.After(500 * time.Millisecond)
		h.put(1, numberB)
		r.tell(1)
		r.tell(1)
		st := r.settle()
		r.wantNumber(numberA)
		r.wantNumber(numberB, 1)
		if n := len(h.asked("users")); n != 2 || st.Merged != 1 {
			t.Errorf("%d requests, counted %+v", n, st)
		}
	})
}

func TestFloodIsBoundedAndReadInLargeRequests(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		h.pace = 100 * time.Millisecond
		r := onShelf(t, h, nil)
		for id := int64(1); id <= 900; id++ {
			h.put(id, "")
		}
		for id := int64(2001); id <= 13_000; id++ {
			h.putTicket(id, 1+id%900, "open")
		}
		taken := 0
		for n := range 100_000 {
			id := int64(1 + n/2%900)
			if n%2 == 0 {
				id = int64(2001 + n/2%11_000)
			}
			if r.Notice(objects(id)) {
				taken++
			}
			if w := r.Status().Notices.Waiting; w > noticesMost {
				t.Fatalf("%d are held", w)
			}
		}
		st := r.settle()
		if st.Received != 100_000 || st.Dropped == 0 || st.Dropped != uint64(100_000-taken) || st.Failed != 0 {
			t.Errorf("%d taken, counted %+v", taken, st)
		}
		asked := len(h.asked("users")) + len(h.asked("tickets"))
		if most := int(st.Fetched)/noticesAtOnce + 50; asked > most {
			t.Errorf("%d requests for %d objects, want %d at the most", asked, st.Fetched, most)
		}
		for _, a := range append(h.asked("users"), h.asked("tickets")...) {
			if len(a.ids) > 100 {
				t.Errorf("a request for %d", len(a.ids))
			}
		}
		if size := r.store.Size(); size.Users != 900 || size.Tickets == 0 {
			t.Errorf("the mirror holds %+v", size)
		}
	})
}

func TestFullQueueDropsAndSaysSo(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil)
		h.set(func(h *shelf) { h.fail = func(string, []int64) error { return down } })
		for id := int64(1); id <= noticesMost; id++ {
			if !r.Notice([]caller.Object{{Stream: caller.Users, ID: id}}) {
				t.Fatalf("notice %d was not taken", id)
			}
		}
		if r.Notice(objects(20_000)) {
			t.Error("one more was taken")
		}
		if !r.Notice([]caller.Object{{Stream: caller.Users, ID: 5}}) {
			t.Error("one that waits already was not taken")
		}
		if st := r.Status().Notices; st.Dropped != 1 || st.Waiting != noticesMost {
			t.Errorf("counted %+v", st)
		}
	})
}

// Users and tickets are read beside each other, and each by its order.
func TestFloodOfOneKindHoldsUpNotTheOther(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		h.pace = time.Second
		r := onShelf(t, h, nil)
		h.put(7, numberA)
		for id := int64(2001); id <= 7000; id++ {
			h.putTicket(id, 7, "open")
			r.tell(id)
		}
		r.tell(7)
		<-time.After(1100 * time.Millisecond)
		r.wantNumber(numberA, 7)
		r.settle()
		last := int64(0)
		for _, a := range h.asked("tickets") {
			if a.ids[0] < last {
				t.Errorf("%d after %d", a.ids[0], last)
			}
			last = a.ids[len(a.ids)-1]
		}
	})
}

func TestOutageLeavesNoticesQueued(t *testing.T) {
	for name, fault := range map[string]caller.Fault{
		"down": caller.FaultDown, "rate limited": caller.FaultRateLimited, "credentials": caller.FaultAuth,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				h := newShelf()
				r := onShelf(t, h, nil)
				h.set(func(h *shelf) {
					h.fail = func(string, []int64) error { return &caller.UpstreamError{Fault: fault, Err: errors.New("no")} }
				})
				h.put(1, numberA)
				h.put(2, numberB)
				r.tell(1, 2)
				<-time.After(time.Hour)
				synctest.Wait()
				if n := len(h.asked("users")); n < 50 || n > 80 {
					t.Errorf("%d tries in an hour", n)
				}
				if st := r.Status().Notices; st.Waiting != 2 || st.Failed != 0 {
					t.Errorf("counted %+v", st)
				}
				h.set(func(h *shelf) { h.fail = nil })
				<-time.After(time.Minute)
				r.wantNumber(numberA, 1)
				r.wantNumber(numberB, 2)
				if st := r.settle(); st.Fetched != 2 {
					t.Errorf("counted %+v", st)
				}
			})
		})
	}
}

// One object that Zendesk will not show, or the mirror not take, must not hold
// up the others.
func TestObjectAtFaultIsLeftToTheExports(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil)
		h.set(func(h *shelf) {
			h.fail = func(what string, ids []int64) error {
				if what == "users" && slices.Contains(ids, 66) {
					return &caller.UpstreamError{Fault: caller.FaultMalformed, Err: errors.New("no user")}
				}
				return nil
			}
		})
		var all []int64
		for id := int64(1); id <= 100; id++ {
			h.put(id, fmt.Sprintf("+1513555%04d", id))
			all = append(all, id)
		}
		r.tell(all...)
		st := r.settle()
		if st.Failed != 1 || st.Fetched != 99 {
			t.Errorf("counted %+v", st)
		}
		if n := len(h.asked("users")); n > 25 {
			t.Errorf("%d requests", n)
		}
		if r.store.Size().Users != 99 {
			t.Errorf("the mirror holds %d", r.store.Size().Users)
		}
		// It comes after all, and the requests are large again.
		h.set(func(h *shelf) { h.fail = nil })
		h.forget()
		r.tell(all...)
		r.settle()
		r.tell(all...)
		r.settle()
		if asked := h.asked("users"); len(asked[len(asked)-1].ids) != 100 || r.store.Size().Users != 100 {
			t.Errorf("the last request is for %d", len(asked[len(asked)-1].ids))
		}
	})
}

func TestPanicInAnAnswerEndsNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil)
		h.put(1, numberA)
		var times atomic.Int32
		h.set(func(h *shelf) {
			h.fail = func(string, []int64) error {
				if times.Add(1) == 1 {
					panic("a record")
				}
				return nil
			}
		})
		r.tell(1)
		r.settle()
		r.wantNumber(numberA, 1)
	})
}

// What was just created may not be seen by every server yet.
func TestCreationThatIsNotSeenAtOnce(t *testing.T) {
	for _, tt := range []struct {
		name string
		lag  time.Duration
		want int // requests
	}{
		{"seen at once", 0, 1},
		{"seen after a second", time.Second, 2},
		{"seen after five seconds", 5 * time.Second, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				h := newShelf()
				r := onShelf(t, h, nil)
				h.put(1, numberA)
				h.putTicket(1001, 1, "new")
				h.set(func(h *shelf) {
					for _, o := range objects(1, 1001) {
						h.unseen[o] = time.Now().Add(tt.lag)
					}
				})
				r.tell(1)
				r.settle()
				r.tell(1001)
				r.settle()
				r.wantNumber(numberA, 1)
				r.wantTickets(1, 1001)
				if n := len(h.asked("users")); n != tt.want {
					t.Errorf("asked for the user %d times, want %d", n, tt.want)
				}
			})
		})
	}
}

func TestNotFoundSoonAfterTheEventShowsAtOnceWhereTheMirrorHasIt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil)
		h.put(1, numberA)
		h.putTicket(1001, 1, "open")
		r.tell(1, 1001)
		r.settle()
		<-time.After(time.Minute)
		for _, o := range objects(1, 1001) {
			h.remove(o)
		}
		h.forget()
		r.tell(1, 1001)
		<-time.After(time.Second)
		r.wantNumber(numberA)
		r.wantTickets(1)
		r.settle()
		if n := len(h.asked("users")); n > 3 {
			t.Errorf("asked %d times", n)
		}
		if err := r.store.Verify(); err != nil {
			t.Error(err)
		}
	})
}

// A server that lags behind takes a ticket out that another has shown; the
// answer a little later brings it back, without another event.
func TestNotFoundByAServerThatLagsIsPutRight(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil)
		h.put(1, numberA)
		h.putTicket(1001, 1, "open")
		r.tell(1, 1001)
		r.settle()
		h.set(func(h *shelf) { h.unseen[objects(1001)[0]] = time.Now().Add(3 * time.Second) })
		r.tell(1001)
		r.settle()
		r.wantTickets(1, 1001)
	})
}

func TestWhoeverLostANumberIsReadToo(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil)
		h.put(1, numberA)
		h.put(2, numberB)
		r.tell(1, 2)
		r.settle()
		// The phone moves from one to the other; only the one who gains it has
		// an event.
		h.put(1, "")
		h.put(2, numberB, numberA)
		h.forget()
		r.tell(2)
		r.settle()
		r.wantNumber(numberA, 2)
		r.wantNumber(numberB, 2)

		// Two who do share a number do not have each other read for ever.
		h.put(1, "", numberA)
		r.tell(1)
		r.settle()
		r.wantNumber(numberA, 1, 2)
		h.forget()
		r.tell(1, 2)
		r.settle()
		r.tell(1)
		r.settle()
		if n := len(h.asked("users")); n != 2 {
			t.Errorf("%d requests for two notices", n)
		}
	})
}

// A number of many people is a switchboard: a new one has few of them read.
func TestNumberOfManyHasFewOfThemRead(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil)
		for id := int64(1); id <= 300; id++ {
			h.put(id, numberA)
			r.tell(id)
		}
		r.settle()
		h.forget()
		h.put(301, numberA)
		r.tell(301)
		st := r.settle()
		read := 0
		for _, a := range h.asked("users") {
			read += len(a.ids)
		}
		if read != 1+holdersMost {
			t.Errorf("%d people were read: %+v", read, st)
		}
	})
}

func TestTicketsOfWhoeverLeftAreRead(t *testing.T) {
	for name, vanish := range map[string]bool{"inactive": false, "gone": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				h := newShelf()
				r := onShelf(t, h, nil)
				h.put(1, numberA)
				h.put(2, numberB)
				for id := int64(1001); id <= 1150; id++ {
					h.putTicket(id, 1, "open")
					r.tell(id)
				}
				r.tell(1, 2)
				r.settle()
				<-time.After(time.Minute)
				// 1 is merged into 2, which gains a number by it; the event names 1.
				h.leave(1)
				if vanish {
					h.remove(objects(1)[0])
				}
				h.put(2, numberB, numberA)
				var want []int64
				for id := int64(1001); id <= 1150; id++ {
					h.putTicket(id, 2, "open")
					want = append(want, id)
				}
				r.tell(1)
				r.settle()
				r.wantTickets(1)
				r.wantTickets(2, want...)
				r.wantNumber(numberA, 2)
			})
		})
	}
}

func TestTicketOfSomebodyUnknownHasThemRead(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil)
		h.put(1, numberA)
		h.putTicket(1001, 1, "open")
		h.putTicket(1002, 5, "closed") // nobody waits for it
		h.putTicket(1003, 6, "open")   // of somebody who has left
		h.leave(6)
		r.tell(1001, 1002, 1003)
		r.settle()
		r.wantNumber(numberA, 1)
		if asked := h.asked("users"); len(asked) != 1 || !slices.Equal(asked[0].ids, []int64{1, 6}) {
			t.Errorf("read %v, want users 1 and 6 once", asked)
		}
		if n := len(h.asked("tickets")); n != 2 {
			t.Errorf("tickets were asked for %d times: those of who left once more", n)
		}
	})
}

// What was told of before the ticket stream's watermark the export has brought.
func TestNoticesThatTheExportHasOvertaken(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil)
		h.put(1, numberA)
		h.putTicket(1001, 1, "open")
		h.set(func(h *shelf) { h.fail = func(string, []int64) error { return down } })
		r.tell(1, 1001)
		<-time.After(10 * time.Minute)
		r.wantState(r.run(""), "done")
		h.forget()
		h.set(func(h *shelf) { h.fail = nil })
		r.settle()
		r.wantNumber(numberA, 1) // of people the export does not tell everything
		if n := len(h.asked("tickets")); n != 0 {
			t.Errorf("the ticket was asked for %d times", n)
		}
	})
}

func TestNoticesBeforeRunAndAfterTheEnd(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		path := filepath.Join(t.TempDir(), "a.db")
		s := openStore(t, path)
		r := onShelf(t, h, s)
		h.set(func(h *shelf) { h.fail = func(string, []int64) error { return down } })
		h.put(1, numberA)
		r.tell(1)
		r.stop()
		for _, id := range []int64{1, 2} { // one that waits, and a new one
			if r.Notice(objects(id)) {
				t.Errorf("a notice of user %d was taken after the end", id)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}

		// A restart forgets what waited; the next notice is as good.
		h.set(func(h *shelf) { h.fail = nil })
		syncer, err := New(Options{Source: h, Store: openStore(t, path), Logger: r.log, SampleEvery: -1, RoundTakes: -1})
		if err != nil {
			t.Fatal(err)
		}
		if !syncer.Notice(objects(1)) {
			t.Error("a notice before Run was not taken")
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- syncer.Run(ctx) }()
		<-time.After(time.Second)
		if got, err := syncer.store.Holders(numberA); err != nil || !slices.Equal(got, []int64{1}) {
			t.Errorf("%v, %v", got, err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestNoticesThatNameNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil)
		if !r.Notice(nil) || !r.Notice([]caller.Object{{}, {Stream: "organizations", ID: 4}, {Stream: caller.Users, ID: -1}}) {
			t.Error("not taken")
		}
		<-time.After(time.Minute)
		if st := r.settle(); len(h.asked("users")) != 0 || st.Dropped != 0 {
			t.Errorf("counted %+v", st)
		}
	})
}

// Faults name counts and no ids of people's.
func TestFaultsAreLoggedOnceEach(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		var log logLines
		r := onShelf(t, h, nil, func(o *Options) { o.Logger = log.logger() })
		h.set(func(h *shelf) { h.fail = func(string, []int64) error { return down } })
		r.tell(1, 2, 3)
		<-time.After(3 * time.Minute)
		synctest.Wait()
		n := strings.Count(log.String(), "what webhooks told of was not fetched")
		if n < 5 || n > 9 {
			t.Errorf("%d lines in three minutes", n)
		}
	})
}
