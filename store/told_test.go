package store

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/outbox"
)

const client = "webex"

func wasTold(t *testing.T, o *Outbox, client string, kind outbox.Told, id int64, within time.Duration) bool {
	t.Helper()
	told, err := o.WasTold(client, kind, id, within)
	if err != nil {
		t.Fatal(err)
	}
	return told
}

// remembered is how much memory holds, and how much of it waits for the disk.
func remembered(o *Outbox) (set, waiting int) {
	for i := range o.ledger.shards {
		s := &o.ledger.shards[i]
		s.mu.Lock()
		set += len(s.set)
		waiting += len(s.pending) + len(s.flying)
		s.mu.Unlock()
	}
	return set, waiting
}

// forget leaves the disk as the only one who knows.
func forget(t *testing.T, o *Outbox) {
	t.Helper()
	synctest.Wait()
	if _, waiting := remembered(o); waiting > 0 {
		t.Fatalf("%d are not on disk", waiting)
	}
	for i := range o.ledger.shards {
		clear(o.ledger.shards[i].set)
	}
}

// inBubble runs a test with an outbox whose clock and ticker are the bubble's.
func inBubble(t *testing.T, test func(t *testing.T, o *Outbox), change ...func(*OutboxOptions)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(t, openOutbox(t, append([]func(*OutboxOptions){func(o *OutboxOptions) { o.Clock = time.Now }}, change...)...))
	})
}

// seldom writes what was told so that two days of a bubble are not spent on its
// ticker.
func seldom(o *OutboxOptions) { o.FlushTold = 30 * time.Second }

// pass lets time go by.
func pass(d time.Duration) { <-time.After(d) }

func TestToldIsKnownAtOnceAndOfThatOnly(t *testing.T) {
	o := openOutbox(t)
	o.Tell(client, outbox.ToldTicket, 7)
	for name, tc := range map[string]struct {
		client string
		kind   outbox.Told
		id     int64
		want   bool
	}{
		"what it was told of":           {client, outbox.ToldTicket, 7, true},
		"another ticket":                {client, outbox.ToldTicket, 8, false},
		"the person of that number":     {client, outbox.ToldUser, 7, false},
		"the same by a search":          {client, outbox.SearchedTicket, 7, false},
		"another client":                {"other", outbox.ToldTicket, 7, false},
		"a client whose name is longer": {client + "x", outbox.ToldTicket, 7, false},
		"nobody":                        {"", outbox.ToldTicket, 7, false},
	} {
		if got := wasTold(t, o, tc.client, tc.kind, tc.id, outbox.ToldFor); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
	if _, err := o.WasTold(client, "rumour", 7, time.Hour); err == nil {
		t.Error("a kind that nobody knows is asked for")
	}
	o.Tell(client, "rumour", 7)
	long := strings.Repeat("ñ", 200)
	o.Tell(long, outbox.ToldTicket, 7)
	if wasTold(t, o, long, outbox.ToldTicket, 7, time.Hour) {
		t.Error("a client with an endless name is told something")
	}
	if set, _ := remembered(o); set != 1 {
		t.Errorf("memory holds %d, want 1", set)
	}
}

func TestToldIsOnDiskAfterAFlush(t *testing.T) {
	inBubble(t, func(t *testing.T, o *Outbox) {
		before := transactions(t, o)
		for id := range int64(1000) {
			o.Tell(client, outbox.ToldTicket, id)
			o.Tell(client, outbox.ToldUser, id)
		}
		pass(99 * time.Millisecond)
		synctest.Wait()
		equal(t, "transactions before the flush", transactions(t, o)-before, 0)
		pass(time.Millisecond)
		synctest.Wait()
		equal(t, "transactions after it", transactions(t, o)-before, 1)
		there := copyOf(t, o)
		for id := range int64(1000) {
			if !wasTold(t, there, client, outbox.ToldTicket, id, time.Hour) || !wasTold(t, there, client, outbox.ToldUser, id, time.Hour) {
				t.Fatalf("%d is not on disk", id)
			}
		}
		for range 10 { // the same again in the same half hour
			o.Tell(client, outbox.ToldTicket, 5)
			pass(time.Second)
		}
		synctest.Wait()
		equal(t, "transactions after more of the same", transactions(t, o)-before, 1)
		forget(t, o)
		o.Tell(client, outbox.ToldTicket, 5)
		pass(time.Second)
		synctest.Wait()
		equal(t, "transactions for what memory has forgotten but the disk has", transactions(t, o)-before, 1)
	}, func(o *OutboxOptions) { o.FlushTold = 100 * time.Millisecond })
}

// Told at any moment of a half hour, it holds for as long as was asked, and for
// less than half an hour longer; from disk as from memory.
func TestToldHoldsForLongEnoughAndNotMuchLonger(t *testing.T) {
	for _, within := range []time.Duration{outbox.ToldFor, time.Hour, 10 * time.Minute} {
		for _, after := range []time.Duration{0, time.Second, 14 * time.Minute, 30*time.Minute - time.Second} {
			t.Run(fmt.Sprintf("%v after %v of a half hour", within, after), func(t *testing.T) {
				inBubble(t, func(t *testing.T, o *Outbox) {
					pass(time.Hour + after)
					o.Tell(client, outbox.ToldTicket, 7)
					pass(time.Minute)
					forget(t, o)
					pass(within - time.Minute)
					if n, err := o.Prune(time.Now()); n != 0 || err != nil {
						t.Errorf("%d records go, error %v", n, err)
					}
					if !wasTold(t, o, client, outbox.ToldTicket, 7, within) {
						t.Error("it has ended too early")
					}
					pass(30 * time.Minute)
					if wasTold(t, o, client, outbox.ToldTicket, 7, within) {
						t.Error("it holds half an hour longer")
					}
				}, seldom)
			})
		}
	}
}

// Memory of a half hour that is over does not say more than the disk would.
func TestToldInMemoryEndsToo(t *testing.T) {
	clock := &wall{now: noon}
	o := openOutbox(t, withClock(clock))
	o.Tell(client, outbox.ToldTicket, 7)
	o.Tell(client, outbox.SearchedTicket, 8)
	clock.set(noon.Add(outbox.ToldFor))
	equal(t, "after 48 hours", wasTold(t, o, client, outbox.ToldTicket, 7, outbox.ToldFor), true)
	clock.set(noon.Add(outbox.ToldFor + 30*time.Minute))
	equal(t, "after 48 hours and a half", wasTold(t, o, client, outbox.ToldTicket, 7, outbox.ToldFor), false)
	equal(t, "searched, after 48 hours and a half", wasTold(t, o, client, outbox.ToldTicket, 8, outbox.ToldFor), false)
}

func TestSearchedIsExactToTheSecond(t *testing.T) {
	for _, kind := range []outbox.Told{outbox.SearchedTicket, outbox.SearchedUser} {
		inBubble(t, func(t *testing.T, o *Outbox) {
			ask := func(what string, want bool) {
				t.Helper()
				if got := wasTold(t, o, client, kind, 7, outbox.SearchedFor); got != want {
					t.Errorf("%s, %s: %v, want %v", kind, what, got, want)
				}
			}
			pass(29*time.Minute + 59*time.Second) // the hour spans three half hours
			o.Tell(client, kind, 7)
			ask("at once", true)
			pass(time.Minute)
			forget(t, o)
			pass(59 * time.Minute)
			ask("an hour after", true)
			pass(time.Second)
			ask("an hour and a second after", false)

			o.Tell(client, kind, 7)
			pass(10 * time.Minute)
			o.Tell(client, kind, 7) // a later one in the same half hour
			pass(time.Minute)
			forget(t, o)
			pass(59 * time.Minute)
			ask("an hour after the later one", true)
			pass(time.Second)
			ask("an hour and a second after the later one", false)
		}, seldom)
	}
}

// Told twice in one half hour, only the first is written; the second counts.
func TestToldAgainInTheSameHalfHourCounts(t *testing.T) {
	inBubble(t, func(t *testing.T, o *Outbox) {
		o.Tell(client, outbox.ToldTicket, 7)
		pass(20 * time.Minute)
		o.Tell(client, outbox.ToldTicket, 7)
		pass(5 * time.Minute)
		equal(t, "in memory", wasTold(t, o, client, outbox.ToldTicket, 7, 10*time.Minute), true)
		equal(t, "so memory says", o.ledger.knows(client, toldTicket, 7, time.Now().Add(-10*time.Minute).Unix()), true)
		forget(t, o)
		equal(t, "on disk", wasTold(t, o, client, outbox.ToldTicket, 7, 10*time.Minute), true)
	}, seldom)
}

// A clock that is set back takes nothing away.
func TestTheLaterSearchStays(t *testing.T) {
	clock := &wall{now: noon.Add(time.Minute)}
	inBubble(t, func(t *testing.T, o *Outbox) {
		o.Tell(client, outbox.SearchedTicket, 7)
		pass(time.Second)
		forget(t, o)
		clock.set(noon)
		o.Tell(client, outbox.SearchedTicket, 7)
		pass(time.Second)
		forget(t, o)
		clock.set(noon.Add(time.Minute + outbox.SearchedFor))
		equal(t, "an hour after the later one", wasTold(t, o, client, outbox.SearchedTicket, 7, outbox.SearchedFor), true)
	}, withClock(clock))
}

func TestSearchedCountsAsTold(t *testing.T) {
	for searched, told := range map[outbox.Told]outbox.Told{
		outbox.SearchedTicket: outbox.ToldTicket, outbox.SearchedUser: outbox.ToldUser,
	} {
		inBubble(t, func(t *testing.T, o *Outbox) {
			o.Tell(client, searched, 7)
			equal(t, "at once", wasTold(t, o, client, told, 7, outbox.ToldFor), true)
			pass(time.Minute)
			forget(t, o)
			pass(outbox.ToldFor - time.Minute)
			equal(t, "after 48 hours", wasTold(t, o, client, told, 7, outbox.ToldFor), true)
			equal(t, "as searched, after 48 hours", wasTold(t, o, client, searched, 7, outbox.SearchedFor), false)
		}, seldom)
	}
}

func TestToldOutlivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	o, err := OpenOutbox(outboxOptions(path))
	if err != nil {
		t.Fatal(err)
	}
	o.Tell(client, outbox.ToldTicket, 7) // and no flush but that of closing
	o.Tell(client, outbox.SearchedUser, 8)
	closeOutbox(t, o)
	opts := outboxOptions(path)
	opts.Clock = func() time.Time { return noon.Add(time.Hour) }
	if o, err = OpenOutbox(opts); err != nil {
		t.Fatal(err)
	}
	defer closeOutbox(t, o)
	equal(t, "a ticket", wasTold(t, o, client, outbox.ToldTicket, 7, time.Hour), true)
	equal(t, "a person of a search", wasTold(t, o, client, outbox.SearchedUser, 8, time.Hour), true)
	equal(t, "somebody else's ticket", wasTold(t, o, "other", outbox.ToldTicket, 7, time.Hour), false)
}

func TestPruneDropsHalfHoursThatNobodyAsksFor(t *testing.T) {
	inBubble(t, func(t *testing.T, o *Outbox) {
		for range 120 { // 60 hours
			o.Tell(client, outbox.ToldTicket, 7)
			pass(30 * time.Minute)
		}
		synctest.Wait()
		if n, err := o.Prune(time.Now()); n != 0 || err != nil {
			t.Errorf("%d records go, error %v", n, err)
		}
		halves := 0
		err := o.db.View(func(tx *bolt.Tx) error {
			return tx.Bucket(outboxTold).ForEachBucket(func([]byte) error { halves++; return nil })
		})
		if err != nil {
			t.Fatal(err)
		}
		// 48 hours are 96 halves; the one they begin in and one more are kept,
		// and in the current one nothing was told.
		equal(t, "half hours left", halves, 97)
	}, seldom)
}

func TestMemoryOfWhatWasToldIsBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, o *Outbox) {
		const all = 600_000
		for id := range int64(all) {
			o.Tell(client, outbox.ToldTicket, id)
			if id%50_000 == 0 {
				pass(time.Second)
				synctest.Wait()
			}
		}
		pass(time.Second)
		synctest.Wait()
		if set, waiting := remembered(o); set > toldSetMost*toldShards || set == 0 || waiting > 0 {
			t.Errorf("memory holds %d, of which %d wait; want at most %d", set, waiting, toldSetMost*toldShards)
		}
		for id := int64(0); id < all; id += 997 {
			if !wasTold(t, o, client, outbox.ToldTicket, id, time.Hour) {
				t.Fatalf("%d is forgotten by memory and disk", id)
			}
		}
		equal(t, "dropped", o.ledger.dropped.Load(), uint64(0))
	})
}

// While the disk does not answer, what waits for it stays bounded: the oldest
// go, which is logged once a minute. Nobody who tells waits for it.
func TestAStalledDiskDropsTheOldest(t *testing.T) {
	var log bytes.Buffer
	inBubble(t, func(t *testing.T, o *Outbox) {
		busy := make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() { _ = o.hand(t.Context(), o.slow, func(*outboxTx) error { <-busy; return nil }) })
		synctest.Wait()
		o.Tell(client, outbox.ToldTicket, -1) // flies, and so is not dropped
		pass(time.Second)
		synctest.Wait()
		const many = 2 * toldPendingMost * toldShards
		for id := range int64(many) {
			o.Tell(client, outbox.ToldTicket, id)
		}
		if _, waiting := remembered(o); waiting > toldPendingMost*toldShards+1 {
			t.Errorf("%d wait, want at most %d", waiting, toldPendingMost*toldShards)
		}
		dropped := o.ledger.dropped.Load()
		if dropped < many-toldPendingMost*toldShards {
			t.Errorf("dropped %d of %d", dropped, many)
		}
		equal(t, "the newest is known", wasTold(t, o, client, outbox.ToldTicket, many-1, time.Hour), true)
		equal(t, "what flies is known", wasTold(t, o, client, outbox.ToldTicket, -1, time.Hour), true)
		equal(t, "the oldest is dropped", wasTold(t, o, client, outbox.ToldTicket, 0, time.Hour), false)
		o.Tell(client, outbox.ToldTicket, 0)
		equal(t, "and known when it is told again", wasTold(t, o, client, outbox.ToldTicket, 0, time.Hour), true)
		close(busy)
		all.Wait()
		pass(time.Minute)
		synctest.Wait()
		forget(t, o)
		for id, want := range map[int64]bool{-1: true, 0: true, many - 1: true} {
			equal(t, fmt.Sprint(id, " once the disk is back"), wasTold(t, o, client, outbox.ToldTicket, id, time.Hour), want)
		}
		equal(t, "lines in the log", strings.Count(log.String(), "\n"), 1)
		if want := fmt.Sprint("dropped=", o.ledger.dropped.Load()); !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %s: %s", want, log.String())
		}
	}, func(o *OutboxOptions) {
		o.Logger = slog.New(slog.NewTextHandler(io.MultiWriter(&log, written.Sink(t.Name())), nil))
	})
}

// What the disk refuses waits on, and the log hears of it once a minute.
func TestWhatCannotBeWrittenWaitsOn(t *testing.T) {
	var log bytes.Buffer
	inBubble(t, func(t *testing.T, o *Outbox) {
		k := seqKey(uint64(time.Now().Unix() / toldPeriod))
		err := o.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(outboxTold).Put(k, []byte("in the way")) })
		if err != nil {
			t.Fatal(err)
		}
		o.Tell(client, outbox.ToldTicket, 7)
		pass(50 * time.Second)
		synctest.Wait()
		equal(t, "still known", o.ledger.knows(client, toldTicket, 7, time.Now().Unix()), true)
		if _, waiting := remembered(o); waiting != 1 {
			t.Errorf("%d wait, want 1", waiting)
		}
		equal(t, "lines in the log", strings.Count(log.String(), "\n"), 1)
		err = o.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(outboxTold).Delete(k) })
		if err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		forget(t, o)
		equal(t, "on disk at last", wasTold(t, o, client, outbox.ToldTicket, 7, time.Hour), true)
	}, func(o *OutboxOptions) {
		o.Logger = slog.New(slog.NewTextHandler(io.MultiWriter(&log, written.Sink(t.Name())), nil))
	})
}

// Many tell and ask while the disk is written and pruned: what one has told
// stays known to it in every moment.
func TestToldIsKnownInEveryMoment(t *testing.T) {
	o := openOutbox(t, func(o *OutboxOptions) { o.Clock, o.FlushTold = time.Now, 100*time.Microsecond })
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			name := fmt.Sprint("client ", worker)
			for id := range int64(3000) {
				o.Tell(name, outbox.ToldTicket, id)
				told, err := o.WasTold(name, outbox.ToldTicket, id-id%7, time.Hour)
				if err != nil || !told {
					t.Errorf("%s: told %v, error %v", name, told, err)
					return
				}
				if id%1000 == 0 {
					for i := range o.ledger.shards { // as when it is full
						s := &o.ledger.shards[i]
						s.mu.Lock()
						clear(s.set)
						s.mu.Unlock()
					}
				}
			}
		})
	}
	for range 5 {
		if _, err := o.Prune(time.Now()); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
}

func TestTellAllocatesNothingForWhatIsKnown(t *testing.T) {
	o := openOutbox(t)
	o.Tell(client, outbox.ToldTicket, 7)
	if n := testing.AllocsPerRun(1000, func() { o.Tell(client, outbox.ToldTicket, 7) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
