package cache

import (
	"testing"

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

func BenchmarkLookupCanonicalFromMemory(b *testing.B)  { benchLookup(b, numberA, false) }
func BenchmarkLookupPunctuatedFromMemory(b *testing.B) { benchLookup(b, "(513) 555-7611", false) }
func BenchmarkLookupFromDisk(b *testing.B)             { benchLookup(b, numberA, true) }
