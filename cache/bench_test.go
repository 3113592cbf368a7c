package cache

import (
	"testing"
	"time"

	"aniproxy/internal/caller"
)

func benchLookup(b *testing.B, number string, purge bool) {
	s := setUp(b)
	s.filled()
	s.mirrored(person(1, "Ann", numberA))
	s.apply(caller.Batch{Tickets: []caller.TicketUpdate{openTicket(7, 1)}})
	s.ask(numberA)
	s.memory.cache.Wait()
	q := caller.Query{ANI: number}
	b.ReportAllocs()
	for b.Loop() {
		if purge {
			s.floor.Store(s.generations.now() + 1) // nothing in memory counts
		}
		if a := s.Lookup(b.Context(), q); a.Outcome != caller.Found {
			b.Fatal(a.Outcome)
		}
	}
}

// BenchmarkLookupOldFromMemory has an answer that is old, and cannot be read
// again yet.
func BenchmarkLookupOldFromMemory(b *testing.B) {
	s := setUp(b, func(o *Options) { o.Behind = o.Live })
	s.filled()
	s.mirrored(person(1, "Ann", numberA))
	s.ask(numberA)
	s.memory.cache.Wait()
	s.live.err = errDown
	s.pass(6 * time.Minute)
	q := caller.Query{ANI: numberA}
	b.ReportAllocs()
	for b.Loop() {
		if a := s.Lookup(b.Context(), q); !a.Stale {
			b.Fatal("not stale")
		}
	}
}

func BenchmarkLookupCanonicalFromMemory(b *testing.B)  { benchLookup(b, numberA, false) }
func BenchmarkLookupPunctuatedFromMemory(b *testing.B) { benchLookup(b, "(513) 555-7611", false) }
func BenchmarkLookupFromDisk(b *testing.B)             { benchLookup(b, numberA, true) }
