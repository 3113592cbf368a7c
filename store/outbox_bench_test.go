package store

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"aniproxy/internal/outbox"
)

func benchOutbox(b *testing.B) *Outbox {
	b.Helper()
	opts := outboxOptions(filepath.Join(b.TempDir(), "outbox.db"))
	opts.Clock, opts.MaxQueued = time.Now, 1<<30
	o, err := OpenOutbox(opts)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := o.Close(); err != nil {
			b.Error(err)
		}
	})
	return o
}

// A comment from its arrival to the disk, by as many callers at once as are
// named. Each waits for an fsync; those at the same time share one.
func BenchmarkOutboxAccept(b *testing.B) {
	for _, callers := range []int{1, 50} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			o := benchOutbox(b)
			var n atomic.Int64
			b.SetParallelism(callers) // times GOMAXPROCS, which waits all the same
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := n.Add(1)
					id := fmt.Sprint("r", i)
					if _, _, err := o.Accept(b.Context(), same(comment(id, i%1000), id, time.Hour)); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// One step of the courier, alone.
func BenchmarkOutboxSave(b *testing.B) {
	o := benchOutbox(b)
	in := comment("a", 7)
	r, _, err := o.Accept(b.Context(), in)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		r.Attempts++
		if err := o.Save(r); err != nil {
			b.Fatal(err)
		}
	}
}

// The courier asks for 100 heads, with 100,000 records in one lane or in as
// many lanes.
func BenchmarkOutboxQueued(b *testing.B) {
	const queued = 100_000
	for name, lanes := range map[string]int64{"one lane": 1, "all in different lanes": queued} {
		b.Run(name, func(b *testing.B) {
			o := benchOutbox(b)
			for from := 0; from < queued; from += 10_000 {
				err := o.submit(b.Context(), o.urgent, func(t *outboxTx) error {
					for i := range 10_000 {
						in := comment(fmt.Sprint("r", from+i), int64(from+i)%lanes)
						if err := t.accept(&in, queued, new(acceptance)); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				heads, err := o.Queued(100)
				if err != nil || int64(len(heads)) != min(lanes, 100) {
					b.Fatal(len(heads), err)
				}
			}
		})
	}
}

func BenchmarkTell(b *testing.B) {
	b.Run("known", func(b *testing.B) {
		o := benchOutbox(b)
		b.ReportAllocs()
		id := int64(0)
		for b.Loop() {
			id++
			o.Tell(client, outbox.ToldTicket, id%10_000)
		}
	})
	b.Run("known, parallel", func(b *testing.B) {
		o := benchOutbox(b)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for id := int64(0); pb.Next(); id++ {
				o.Tell(client, outbox.ToldTicket, id%10_000)
			}
		})
	})
	b.Run("new", func(b *testing.B) {
		o := benchOutbox(b)
		b.ReportAllocs()
		id := int64(0)
		for b.Loop() {
			id++
			o.Tell(client, outbox.ToldTicket, id)
		}
		// More than any lookup tells of: what the disk does not keep up with is
		// dropped, and this is what it does keep up with.
		b.ReportMetric(float64(uint64(b.N)-o.ledger.dropped.Load())/b.Elapsed().Seconds(), "written/s")
	})
}

// What memory knows, what only the disk knows, and what nobody knows with 48
// hours to look through.
func BenchmarkWasTold(b *testing.B) {
	o := benchOutbox(b)
	now := time.Now()
	var batch []telling
	k := toldKey{who: uint64(o.ledger.number(client))<<8 | uint64(toldTicket)}
	for half := range int64(96) {
		for id := range int64(2000) {
			k.id = half*2000 + id
			batch = append(batch, telling{k, now.Unix() - half*toldPeriod})
		}
	}
	if err := o.putTold(batch, o.ledger.clients.Load().names); err != nil {
		b.Fatal(err)
	}
	o.Tell(client, outbox.ToldTicket, -1)
	for _, bench := range []struct {
		name string
		id   int64
		want bool
	}{{"memory", -1, true}, {"disk, an hour old", 2 * 2000, true}, {"nobody", -2, false}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if told, err := o.WasTold(client, outbox.ToldTicket, bench.id, outbox.ToldFor); told != bench.want || err != nil {
					b.Fatal(told, err)
				}
			}
		})
	}
}

// Dropping a half hour in which very much was told is one transaction, during
// which nobody else writes.
func BenchmarkPruneTold(b *testing.B) {
	o := benchOutbox(b)
	then := time.Now().Add(-100 * time.Hour)
	k := toldKey{who: uint64(o.ledger.number(client))<<8 | uint64(toldTicket)}
	for b.Loop() {
		b.StopTimer()
		var batch []telling
		for k.id = range int64(200_000) {
			batch = append(batch, telling{k, then.Unix()})
		}
		if err := o.putTold(batch, o.ledger.clients.Load().names); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if _, err := o.Prune(time.Now()); err != nil {
			b.Fatal(err)
		}
	}
}
