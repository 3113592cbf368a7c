package cache

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"aniproxy/internal/caller"
)

// background is the scripted upstream as refreshes see it.
type background struct {
	*zendesk
	hold                 chan struct{} // where not nil, searches wait until it is closed
	panics               bool
	walks, walking, most atomic.Int64
}

func (g *background) Search(ctx context.Context, digits string) ([]caller.UserUpdate, bool, error) {
	g.walks.Add(1)
	g.most.Store(max(g.most.Load(), g.walking.Add(1)))
	defer g.walking.Add(-1)
	if g.panics {
		panic("a fault in the adapter")
	}
	if g.hold != nil {
		select {
		case <-g.hold:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
	return g.zendesk.Search(ctx, digits)
}

// setUpBehind is a resolver that reads again behind its answers. Ann is in the
// mirror and in memory; at Zendesk she is Anna.
func setUpBehind(t *testing.T, change ...func(*Options)) (*bench, *background) {
	t.Helper()
	g := &background{}
	b := setUp(t, append(change, func(o *Options) {
		if z, ok := o.Live.(*zendesk); ok {
			g.zendesk = z
		}
		o.Behind = g
	})...)
	b.filled()
	b.mirrored(person(1, "Ann", numberA))
	b.ask(numberA)
	b.memory.cache.Wait()
	anna := person(1, "Anna", numberA)
	anna.Version.Updated++
	b.live.people[1] = anna
	return b, g
}

func TestWhatIsOldIsAnsweredAtOnceAndReadAgainBehind(t *testing.T) {
	for _, from := range []caller.Source{caller.FromMemory, caller.FromDisk} {
		synctest.Test(t, func(t *testing.T) {
			b, g := setUpBehind(t)
			g.hold = make(chan struct{})
			b.pass(6 * time.Minute)
			if from == caller.FromDisk {
				b.Purge()
			}
			a := b.ask(numberA)
			b.expect("while it is read again", a, caller.Found, from, "Ann")
			if !a.Stale || a.Age != 6*time.Minute {
				t.Errorf("age %v, stale %v; want 6m, true", a.Age, a.Stale)
			}
			synctest.Wait()
			close(g.hold)
			synctest.Wait()
			a = b.ask(numberA)
			b.expect("once it has been", a, caller.Found, caller.FromMemory, "Anna")
			if a.Stale || a.Age != 0 {
				t.Errorf("age %v, stale %v; want 0, false", a.Age, a.Stale)
			}
			if n := g.walks.Load(); n != 1 {
				t.Errorf("%d walks behind, want 1", n)
			}
			if s := b.Stats(); s.Refreshes != 1 || s.RefreshesFailed != 0 || s.LiveHits != 0 {
				t.Errorf("counted %+v, want one refresh and no live hit", s)
			}
		})
	}
}

func TestANumberIsReadAgainOnceAMaxStaleWhateverBecomesOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, g := setUpBehind(t)
		b.live.err = errDown
		b.pass(6 * time.Minute)
		for _, tt := range []struct {
			after time.Duration
			walks int64
		}{{0, 1}, {time.Minute, 1}, {4*time.Minute - time.Second, 1}, {time.Second, 2}, {time.Second, 2}, {-time.Hour, 2}} {
			b.pass(tt.after)
			for range 100 {
				b.ask(numberA)
			}
			synctest.Wait()
			if n := g.walks.Load(); n != tt.walks {
				t.Fatalf("%d walks %v later, want %d", n, tt.after, tt.walks)
			}
		}
		if s := b.Stats(); s.Refreshes != 2 || s.RefreshesFailed != 2 {
			t.Errorf("counted %d refreshes, %d failed; want 2, 2", s.Refreshes, s.RefreshesFailed)
		}
	})
}

func TestNothingIsReadBehindWhileAStreamCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var catching atomic.Bool
		catching.Store(true)
		b, g := setUpBehind(t, func(o *Options) { o.CatchingUp = catching.Load })
		b.pass(6 * time.Minute)
		b.ask(numberA)
		synctest.Wait()
		if n := g.walks.Load(); n != 0 {
			t.Errorf("%d walks while a stream catches up", n)
		}
		catching.Store(false)
		b.ask(numberA)
		synctest.Wait()
		if n := g.walks.Load(); n != 1 {
			t.Errorf("%d walks after that, want 1", n)
		}
	})
}

// That nobody has a number is not read behind: it is asked live in time. Nor is
// anything for a caller who has no number.
func TestOnlySomebodyIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, g := setUpBehind(t, func(o *Options) { o.NegativeTTL = time.Hour })
		b.ask(numberB)
		b.pass(6 * time.Minute)
		a := b.ask(numberB)
		b.expect("nobody", a, caller.NotFound, caller.FromMemory)
		if !a.Stale {
			t.Error("nobody is not stale after 6m")
		}
		b.ask("anonymous")
		synctest.Wait()
		if n := g.walks.Load(); n != 0 {
			t.Errorf("%d walks behind", n)
		}
	})
}

func TestFewAreReadAgainAtOnceAndNotManyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, g := setUpBehind(t)
		const numbers = 3 * maxRefreshes
		number := func(i int) string { return fmt.Sprintf("+1513555%04d", 2000+i) }
		for i := range numbers {
			u := person(int64(100+i), "Somebody", number(i))
			b.mirrored(u)
			b.live.people[u.User.ID] = u
		}
		g.hold = make(chan struct{})
		b.pass(6 * time.Minute)
		askAll := func() {
			for i := range numbers {
				if a := b.ask(number(i)); a.Outcome != caller.Found {
					t.Fatalf("number %d is %s", i, a.Outcome)
				}
			}
			synctest.Wait()
		}
		askAll()
		if n, active := g.walking.Load(), b.behind.active; n != refreshAtOnce || active != maxRefreshes {
			t.Errorf("%d walk of %d, want %d of %d", n, active, refreshAtOnce, maxRefreshes)
		}
		close(g.hold)
		synctest.Wait()
		if n := g.walks.Load(); n != maxRefreshes {
			t.Errorf("%d walks, want %d: those that found no room are let go", n, maxRefreshes)
		}
		g.hold = nil
		for range numbers/maxRefreshes - 1 {
			askAll()
		}
		if n, most := g.walks.Load(), g.most.Load(); n != numbers || most > refreshAtOnce {
			t.Errorf("%d walks, %d at once; want every number's, %d at the most", n, most, refreshAtOnce)
		}
	})
}

// What waited for its turn and is no longer old, or is being asked for live, is
// not read again.
func TestWhatIsNotOldAnyMoreIsNotReadAgain(t *testing.T) {
	for name, meanwhile := range map[string]func(*bench){
		"the streams have come to their end": func(b *bench) { b.filled() },
		"a live walk is under way": func(b *bench) {
			b.live.set(func() { b.live.hold = make(chan struct{}) })
			go b.Lookup(b.t.Context(), caller.Query{ANI: numberA, Fresh: true})
			synctest.Wait()
		},
		"a stream catches up": func(b *bench) { b.o.CatchingUp = func() bool { return true } },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, g := setUpBehind(t)
				if err := b.behind.places.Acquire(t.Context(), refreshAtOnce); err != nil {
					t.Fatal(err)
				}
				b.pass(6 * time.Minute)
				b.ask(numberA)
				synctest.Wait()
				if b.behind.active != 1 {
					t.Fatalf("%d wait, want 1", b.behind.active)
				}
				meanwhile(b)
				b.behind.places.Release(refreshAtOnce)
				synctest.Wait()
				if n := g.walks.Load(); n != 0 || b.behind.active != 0 {
					t.Errorf("%d walks, %d active; want neither", n, b.behind.active)
				}
			})
		})
	}
}

// A walk behind may wait long for its share of the budget: who asks live must
// not have to wait with it.
func TestALiveLookupDoesNotJoinAWalkBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, g := setUpBehind(t)
		g.hold = make(chan struct{})
		b.pass(6 * time.Minute)
		b.ask(numberA)
		synctest.Wait()
		began := time.Now()
		a := b.Lookup(t.Context(), caller.Query{ANI: numberA, Fresh: true})
		b.expect("asked live meanwhile", a, caller.Found, caller.FromLive, "Anna")
		if took := time.Since(began); took != 0 {
			t.Errorf("took %v", took)
		}
		close(g.hold)
		synctest.Wait()
		b.expect("after both", b.ask(numberA), caller.Found, caller.FromMemory, "Anna")
	})
}

func TestCloseEndsAWalkBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, g := setUpBehind(t)
		g.hold = make(chan struct{}) // never closed
		b.pass(6 * time.Minute)
		b.ask(numberA)
		synctest.Wait()
		b.Close()
		if n := g.walking.Load(); n != 0 {
			t.Errorf("%d walks go on after the end", n)
		}
	})
}

func TestAPanicBehindHurtsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		b, g := setUpBehind(t, func(o *Options) {
			o.Logger = slog.New(slog.NewTextHandler(io.MultiWriter(&lines, written.Sink(t.Name())), nil))
		})
		g.panics = true
		b.pass(6 * time.Minute)
		b.ask(numberA)
		synctest.Wait()
		b.expect("after it", b.ask(numberA), caller.Found, caller.FromMemory, "Ann")
		if s := b.Stats(); s.RefreshesFailed != 1 || s.WalksInFlight != 0 || b.behind.active != 0 {
			t.Errorf("counted %+v, %d active; want one failed and nothing under way", s, b.behind.active)
		}
		// What a panic says may quote a record.
		if said := lines.String(); strings.Contains(said, "a fault in the adapter") || !strings.Contains(said, "of type string") {
			t.Errorf("the log says %s", said)
		}
	})
}

// What runs behind an answer runs in a goroutine of its own: a panic there would
// end the process, and print what it says.
func TestAPanicBeforeTheWalkBehindHurtsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines := written.Sink(t.Name())
		b, _ := setUpBehind(t, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(lines, nil)) })
		if err := b.behind.places.Acquire(t.Context(), refreshAtOnce); err != nil {
			t.Fatal(err)
		}
		b.pass(6 * time.Minute)
		b.ask(numberA)
		synctest.Wait()
		b.o.CatchingUp = func() bool { panic("Ann has " + numberA) }
		b.behind.places.Release(refreshAtOnce)
		synctest.Wait()
		if b.behind.active != 0 {
			t.Errorf("%d are under way", b.behind.active)
		}
		if said := lines.String(); !strings.Contains(said, "a refresh: panic of type string") || strings.Contains(said, "Ann") || strings.Contains(said, numberA) {
			t.Errorf("the log says %s", said)
		}
		b.o.CatchingUp = nil
	})
}

func TestRefreshesAreNotedInBoundedRoom(t *testing.T) {
	const every = 5 * time.Minute
	f, now := newRefreshes(every), noon
	once := func(number uint64) bool {
		if !f.begin(number, now) {
			return false
		}
		f.end(number)
		return true
	}
	for number := range uint64(maxRefreshed) {
		if !once(number) {
			t.Fatalf("number %d found no room", number)
		}
	}
	if once(maxRefreshed) || len(f.began) != maxRefreshed {
		t.Errorf("%d are noted, want no more than %d", len(f.began), maxRefreshed)
	}
	now = now.Add(every - time.Second)
	if once(0) {
		t.Error("a number is read again before its time")
	}
	now = now.Add(time.Second)
	if !once(0) {
		t.Error("a number is not read again in its time")
	}
	if !once(maxRefreshed) || len(f.began) != 2 {
		t.Errorf("%d are noted, want the two of late", len(f.began))
	}
	if active, notBefore := f.state(0, now); active || !notBefore.Equal(now.Add(every)) {
		t.Errorf("active %v, not before %v", active, notBefore)
	}
	f.begin(7, now)
	f.forget()
	if len(f.began) != 1 {
		t.Errorf("%d are noted, want the one that is under way", len(f.began))
	}
}
