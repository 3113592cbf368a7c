package zendesk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeClock is a time of day that tests move.
type fakeClock struct {
	mu sync.Mutex
	at time.Time
}

func (c *fakeClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *fakeClock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// minuteStart is the beginning of a clock minute.
var minuteStart = time.Unix(1_800_000_000, 0).Truncate(time.Minute)

func newTestBudget(rate int) (*budget, *fakeClock) {
	c := &fakeClock{at: minuteStart}
	return newBudget(rate, c.now), c
}

// drain takes until a share is refused, and says how many it got and how long
// it would have to wait.
func drain(b *budget, s Share, l lane) (got int, wait time.Duration) {
	for {
		g, wait, _ := b.take(s, l)
		if wait > 0 {
			return got, wait
		}
		b.settle(g, nil)
		got++
		if got > 100_000 {
			return got, 0
		}
	}
}

func TestSharesAtTheStartOfAMinute(t *testing.T) {
	t.Parallel()
	for s, want := range map[Share]int{
		Live:       200, // half, and not one more
		Comments:   120, // its own 40, and the 80 that are nobody's: 400-200-2x40
		Webhooks:   120,
		Increments: 120,
		Background: 80, // 400-200-3x40
		Backfill:   80,
	} {
		b, _ := newTestBudget(400)
		got, wait := drain(b, s, noLane)
		if got != want {
			t.Errorf("%s alone got %d, want %d", s, got, want)
		}
		if wait <= 0 || wait > time.Minute {
			t.Errorf("%s would wait %v", s, wait)
		}
	}
}

func TestSharesHaveNames(t *testing.T) {
	t.Parallel()
	var got []string
	for s := range shareCount {
		got = append(got, s.String())
	}
	if want := "background backfill increments webhooks comments live"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestNobodyStarvesAnybody(t *testing.T) {
	t.Parallel()
	for _, rate := range []int{10, 60, 200, 400, 700, 2500} {
		for _, greedy := range []Share{Background, Backfill, Live, Comments, Webhooks, Increments} {
			b, _ := newTestBudget(rate)
			first, _ := drain(b, greedy, noLane)
			total := first
			for _, s := range []Share{Comments, Webhooks, Increments, Live} {
				if s == greedy {
					continue
				}
				got, _ := drain(b, s, noLane)
				total += got
				if least := s.guarantee(rate); got < least {
					t.Errorf("rate %d: after %s took %d, %s got %d of its %d", rate, greedy, first, s, got, least)
				}
			}
			if total > rate {
				t.Errorf("rate %d: %d requests in a minute", rate, total)
			}
		}
	}
}

func TestUnusedSharesAreLentAsTheMinutePasses(t *testing.T) {
	t.Parallel()
	b, clock := newTestBudget(400)
	got, wait := drain(b, Background, noLane)
	for range 400 {
		if wait <= 0 {
			t.Fatal("no wait")
		}
		clock.move(wait)
		if clock.now().Sub(minuteStart) >= time.Minute {
			break
		}
		more, next := drain(b, Background, noLane)
		if more == 0 {
			t.Fatalf("%v into the minute, after the wait it was told of, background got nothing", clock.now().Sub(minuteStart))
		}
		got, wait = got+more, next
	}
	if got < 395 || got > 400 {
		t.Errorf("background alone got %d of 400 in a minute", got)
	}

	b, clock = newTestBudget(400)
	drain(b, Background, noLane) // 80
	clock.move(45 * time.Second) // a quarter of 320 is still kept
	if got, _ := drain(b, Background, noLane); got < 239 || got > 240 {
		t.Errorf("at three quarters background got %d more, want 240", got)
	}
	if got, _ := drain(b, Live, noLane); got < 79 || got > 80 {
		t.Errorf("then live got %d, want the 80 that are left", got)
	}
}

func TestLiveGetsHalfAtMostWhateverIsLent(t *testing.T) {
	t.Parallel()
	b, clock := newTestBudget(400)
	clock.move(59 * time.Second)
	if got, wait := drain(b, Live, noLane); got != 200 || wait != time.Second {
		t.Errorf("live got %d and would wait %v", got, wait)
	}
	clock.move(time.Second)
	if got, _ := drain(b, Live, noLane); got != 200 {
		t.Errorf("in the next minute live got %d", got)
	}
}

// The plan's limit is less than what is configured, and others use it too.
func TestHeadersOutrankTheConfiguration(t *testing.T) {
	t.Parallel()
	b, _ := newTestBudget(400)
	g, _, _ := b.take(Background, noLane)
	b.settle(g, headerOf("x-rate-limit", "200", "x-rate-limit-remaining", "60"))
	if b.remaining() != 60 {
		t.Errorf("remaining %d", b.remaining())
	}
	total := 0
	for _, s := range []Share{Background, Live, Comments, Webhooks, Increments} {
		got, _ := drain(b, s, noLane)
		if least := s.guarantee(60); got < least {
			t.Errorf("of 60 that are left %s got %d, want %d", s, got, least)
		}
		total += got
	}
	if total > 60 {
		t.Errorf("%d requests where 60 were left", total)
	}
}

func TestAHigherPlanDoesNotRaiseWhatIsConfigured(t *testing.T) {
	t.Parallel()
	b, clock := newTestBudget(100)
	g, _, _ := b.take(Background, noLane)
	b.settle(g, headerOf("x-rate-limit", "2500", "x-rate-limit-remaining", "2499"))
	clock.move(time.Minute - time.Millisecond)
	if got, _ := drain(b, Background, noLane); got != 99 {
		t.Errorf("got %d more of 100", got)
	}
}

func TestAnswersOutOfOrderDoNotGiveBack(t *testing.T) {
	t.Parallel()
	b, _ := newTestBudget(400)
	early, _, _ := b.take(Live, noLane)
	late, _, _ := b.take(Live, noLane)
	b.settle(late, headerOf("x-rate-limit-remaining", "3"))
	b.settle(early, headerOf("x-rate-limit-remaining", "300"))
	if got, _ := drain(b, Live, noLane); got > 3 {
		t.Errorf("live got %d where 3 were left", got)
	}

}

func TestOfAMinuteThatIsOverAnAnswerSaysNothing(t *testing.T) {
	t.Parallel()
	b, clock := newTestBudget(400)
	old, _, _ := b.take(Live, noLane)
	clock.move(time.Minute)
	b.settle(old, headerOf("x-rate-limit-remaining", "0", "ratelimit-reset", "1"))
	if got, _ := drain(b, Live, noLane); got != 200 {
		t.Errorf("in the new minute live got %d", got)
	}
}

func TestRequestsUnderWayCountAsUsed(t *testing.T) {
	t.Parallel()
	b, clock := newTestBudget(400)
	clock.move(59 * time.Second)
	var flying []grant
	for range 10 {
		g, _, _ := b.take(Comments, noLane)
		flying = append(flying, g)
	}
	b.settle(flying[0], headerOf("x-rate-limit-remaining", "12")) // nine may not be in it
	if got, _ := drain(b, Comments, noLane); got > 3 {
		t.Errorf("got %d more, want 3", got)
	}
}

func TestTheMinuteIsZendesksOwn(t *testing.T) {
	t.Parallel()
	b, clock := newTestBudget(400)
	clock.move(20 * time.Second)
	g, _, _ := b.take(Live, noLane)
	b.settle(g, headerOf("x-rate-limit-remaining", "399", "ratelimit-reset", "12")) // its clock is 28 s ahead
	drain(b, Live, noLane)
	clock.move(11 * time.Second)
	if got, _ := drain(b, Live, noLane); got != 0 {
		t.Errorf("before its minute ended live got %d", got)
	}
	clock.move(time.Second)
	if got, _ := drain(b, Live, noLane); got != 200 {
		t.Errorf("after its minute ended live got %d", got)
	}
	clock.move(59 * time.Second)
	if got, _ := drain(b, Live, noLane); got != 0 {
		t.Errorf("the phase was lost: %d", got)
	}
	// A minute that has begun there and not yet here begins here too.
	g, _, _ = b.take(Comments, noLane)
	b.settle(g, headerOf("x-rate-limit-remaining", "399", "ratelimit-reset", "60"))
	if got, _ := drain(b, Live, noLane); got != 200 {
		t.Errorf("Zendesk's new minute was not seen: %d", got)
	}
}

func TestAClockSetBackDoesNotStopTheBudget(t *testing.T) {
	t.Parallel()
	b, clock := newTestBudget(10)
	drain(b, Live, noLane)
	clock.move(-24 * time.Hour)
	if got, _ := drain(b, Live, noLane); got != 5 {
		t.Errorf("got %d", got)
	}
}

func TestTwoOfTenExportRequestsAreKeptForIncrements(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		lane           lane
		total          string // by header, "" is none
		backfill, both int
	}{
		{ticketLane, "", 8, 10},
		{userLane, "", 16, 20},
		{ticketLane, "30", 24, 30},
		{userLane, "60", 48, 60},
		{ticketLane, "5", 3, 5},
		{ticketLane, "1", 1, 1},
	} {
		t.Run(fmt.Sprint(tt.lane, "/", tt.total), func(t *testing.T) {
			t.Parallel()
			b, clock := newTestBudget(2500)
			if tt.total != "" {
				g, _, _ := b.take(Increments, tt.lane)
				n, _ := strconv.Atoi(tt.total)
				b.settle(g, headerOf("zendesk-ratelimit-incremental-exports", "total="+tt.total+"; remaining="+strconv.Itoa(n-1)+"; resets=60"))
				clock.move(time.Minute)
			}
			first, _ := drain(b, Backfill, tt.lane)
			then, _ := drain(b, Increments, tt.lane)
			if first != tt.backfill || first+then != tt.both {
				t.Errorf("backfill got %d, then increments %d", first, then)
			}
			clock.move(time.Minute)
			drain(b, Increments, tt.lane)
			if got, _ := drain(b, Backfill, tt.lane); got != 0 {
				t.Errorf("after increments had all, backfill got %d", got)
			}
		})
	}
}

func TestExportRequestsThatOthersUsed(t *testing.T) {
	t.Parallel()
	b, _ := newTestBudget(400)
	g, _, _ := b.take(Backfill, ticketLane)
	b.settle(g, headerOf("zendesk-ratelimit-incremental-exports", "total=10; remaining=3; resets=30"))
	if got, wait := drain(b, Backfill, ticketLane); got != 1 || wait != 30*time.Second {
		t.Errorf("backfill got %d and would wait %v", got, wait)
	}
	if got, _ := drain(b, Increments, ticketLane); got != 2 {
		t.Errorf("increments got %d", got)
	}
	if got, _ := drain(b, Backfill, userLane); got != 16 {
		t.Errorf("the users' export, another limit, gave %d", got)
	}
}

func TestASearchIsUnlimitedUntilAHeaderSaysElse(t *testing.T) {
	t.Parallel()
	b, _ := newTestBudget(400)
	if got, _ := drain(b, Live, searchLane); got != 200 {
		t.Errorf("got %d, want the account's half", got)
	}
	b, _ = newTestBudget(400)
	g, _, _ := b.take(Live, searchLane)
	b.settle(g, headerOf("zendesk-ratelimit-search-index", "total=2500; remaining=2; resets=9"))
	if got, wait := drain(b, Live, searchLane); got != 2 || wait != 9*time.Second {
		t.Errorf("got %d, would wait %v", got, wait)
	}
	if got, _ := drain(b, Live, noLane); got == 0 {
		t.Error("a spent search stops other calls")
	}
}

func TestASearchExportHasALimitOfItsOwn(t *testing.T) {
	t.Parallel()
	b, _ := newTestBudget(2500)
	if got, wait := drain(b, Backfill, searchExportLane); got != 100 || wait != time.Minute {
		t.Errorf("got %d, would wait %v, want the 100 that are documented", got, wait)
	}
	if got, _ := drain(b, Live, searchLane); got != 1250 {
		t.Errorf("a spent search export leaves %d searches", got)
	}
	b, _ = newTestBudget(2500)
	g, _, _ := b.take(Backfill, searchExportLane)
	b.settle(g, headerOf("zendesk-ratelimit-search-export", "total=300; remaining=200; resets=30"))
	if got, wait := drain(b, Backfill, searchExportLane); got != 200 || wait != 30*time.Second {
		t.Errorf("got %d, would wait %v, want what the header says", got, wait)
	}
	b, _ = newTestBudget(40)
	if got, _ := drain(b, Backfill, searchExportLane); got != 8 {
		t.Errorf("got %d of a small account's, want the fifth that is nobody's", got)
	}
}

func TestWhichWindowA429Closes(t *testing.T) {
	t.Parallel()
	const text = "Number of allowed API requests per minute exceeded"
	for _, tt := range []struct {
		name    string
		lane    lane
		header  http.Header
		e       Error
		account time.Duration // how long comments wait without a lane
		own     time.Duration // and in the lane
	}{
		{"an export's own", ticketLane, headerOf(), Error{RetryAfter: 7 * time.Second}, 0, 7 * time.Second},
		{"an export's without Retry-After", ticketLane, headerOf(), Error{}, 0, 40 * time.Second},
		{"the account's by text", ticketLane, headerOf(), Error{Description: text}, 40 * time.Second, 40 * time.Second},
		{"the account's by header", noLane, headerOf("x-rate-limit-remaining", "0"), Error{RetryAfter: 3 * time.Second}, 3 * time.Second, 0},
		{"nothing said", noLane, headerOf(), Error{RetryAfter: 90 * time.Second}, 90 * time.Second, 0},
		{"one ticket's updates", noLane, headerOf("x-rate-limit-remaining", "300"), Error{RetryAfter: time.Minute}, 0, 0},
		{"one ticket's updates without headers", noLane, headerOf(), Error{Endpoint: endpointTicketUpdate, RetryAfter: time.Minute}, 0, 0},
		{"a search's", searchLane, headerOf("x-rate-limit-remaining", "300"), Error{RetryAfter: 2 * time.Second}, 0, 2 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, clock := newTestBudget(400)
			clock.move(20 * time.Second)
			g, _, _ := b.take(Increments, tt.lane)
			b.settle(g, tt.header)
			b.refuse(g, tt.header, &tt.e)
			if _, wait, _ := b.take(Comments, noLane); wait != tt.account {
				t.Errorf("other calls wait %v, want %v", wait, tt.account)
			}
			if tt.lane != noLane {
				if _, wait, _ := b.take(Increments, tt.lane); wait != max(tt.own, tt.account) {
					t.Errorf("calls of the kind wait %v, want %v", wait, tt.own)
				}
			}
		})
	}
}

func TestWaitingForTheBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(100, time.Now)
		began := time.Now()
		// Sixty background calls at once: a fifth goes at once, the rest as
		// the minute lends them out.
		var wg sync.WaitGroup
		for range 60 {
			wg.Go(func() {
				g, refused, err := b.acquire(t.Context(), Background, noLane)
				if err != nil || refused != 0 {
					t.Errorf("refused %v, %v", refused, err)
				}
				b.settle(g, nil)
			})
		}
		wg.Wait()
		// 60 of 100 are there once the 80 that are kept have shrunk below 40.
		if took := time.Since(began); took < 28*time.Second || took > 32*time.Second {
			t.Errorf("it took %v", took)
		}

		if _, refused, err := b.acquire(t.Context(), Live, noLane); refused != 0 || err != nil {
			t.Errorf("live was refused inside its half: %v %v", refused, err)
		}
		drain(b, Live, noLane)
		at := time.Now()
		if _, refused, _ := b.acquire(t.Context(), Live, noLane); refused <= 0 || time.Since(at) != 0 {
			t.Error("live queued")
		}

		drain(b, Comments, noLane)
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, refused, err := b.acquire(short, Comments, noLane); refused < time.Second || err != nil || time.Since(at) != 0 {
			t.Errorf("a wait past the deadline was begun: %v, %v, after %v", refused, err, time.Since(at))
		}
		left, leave := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, leave)
		if _, _, err := b.acquire(left, Comments, noLane); !errors.Is(err, context.Canceled) || time.Since(at) != time.Second {
			t.Errorf("a caller who left: %v after %v", err, time.Since(at))
		}
		if _, _, err := b.acquire(left, Comments, noLane); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller who was never there: %v", err)
		}
	})
}

// A waiter learns from another's answer that Zendesk's minute has begun.
func TestWaitersWakeWhenTheMinuteTurnsOutToBeOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(10, time.Now)
		flying, _, _ := b.take(Comments, noLane)
		drain(b, Background, noLane)
		began := time.Now()
		done := make(chan time.Duration)
		go func() {
			_, _, _ = b.acquire(t.Context(), Backfill, noLane)
			done <- time.Since(began)
		}()
		synctest.Wait()
		b.settle(flying, headerOf("x-rate-limit-remaining", "9", "ratelimit-reset", "0"))
		if took := <-done; took > time.Second {
			t.Errorf("the waiter slept for %v", took)
		}
	})
}
