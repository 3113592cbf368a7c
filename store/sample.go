package store

import (
	"cmp"
	"math"
	"slices"

	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/caller"
)

const (
	// sampleDraws is how many records are drawn for each that is wanted.
	sampleDraws = 8
	// sampleTries bounds the draws, since a draw may meet a stub: some 10 µs
	// each, so that 100 records take a tenth of a second at the worst.
	sampleTries = 12 * sampleDraws
	// strata is into how many ranges the ids are parted, and pilots how many
	// draws estimate the size of each.
	strata = 64
	pilots = 4
)

// Sample draws up to n different living users or unresolved tickets at random,
// in no order. It does not read the whole bucket: a draw halves a range of ids,
// by a coin, until one record is left.
//
// That alone would be biased: ids come in dense ranges with wide gaps between
// them, and a record that stands alone would be met far more often than one of
// a crowd. So the ids are parted first, always the widest range in two, which
// separates what lies far apart, and a few draws in each range estimate how
// many it holds. Then eight times as many records are drawn as are wanted, from
// the ranges by their size; each is given the weight of one by its chance,
// which is known, and the n are taken from them by weight.
//
// What is left of the bias is small where ids stand about evenly within a
// range, as those of a sequence do, and larger where they do not: a record in
// front of a gap may come twice as often as another. The draws are
// independent of what the records hold, so a share that is estimated by many of
// them is good for an alarm, not for a census. Where the mirror holds no more
// than eight times what is wanted, all of it is looked at and the draw is exact.
//
// It returns fewer than n where there are fewer, or where most of the records
// that it met had left.
func (s *Store) Sample(stream caller.Stream, n int, random func() uint64) (ids []int64, err error) {
	if n <= 0 {
		return nil, nil
	}
	err = s.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(recordsOf(stream))
		d := draw{list: list{stream, gravesOf(tx)}, random: random, bucket: b, cursor: b.Cursor()}
		drawn, all, err := d.few(sampleDraws * n)
		if err == nil && !all {
			drawn, err = d.many(n)
		}
		if err != nil {
			return err
		}
		slices.SortFunc(drawn, func(a, b candidate) int {
			return cmp.Or(cmp.Compare(b.luck, a.luck), cmp.Compare(a.id, b.id))
		})
		for _, c := range drawn[:min(n, len(drawn))] {
			ids = append(ids, c.id)
		}
		return nil
	})
	return ids, err
}

// candidate is a record that was drawn. Of several, those with the most luck
// are taken: with luck = log(u)/weight, u even between 0 and 1, that is a draw
// by weight without putting back (Efraimidis and Spirakis, 2006).
type candidate struct {
	id   int64
	luck float64
}

// span is a range of ids whose ends are records.
type span struct {
	low, high int64
	size      float64 // estimated number of records
}

type draw struct {
	list   list
	random func() uint64
	bucket *bolt.Bucket
	cursor *bolt.Cursor
}

// few takes all living records where there are no more records than that.
func (d *draw) few(limit int) (living []candidate, all bool, err error) {
	looked := 0
	for k, v := d.cursor.First(); k != nil; k, v = d.cursor.Next() {
		if looked++; looked > limit {
			return nil, false, nil
		}
		h, err := d.list.head(k, v)
		if err != nil {
			return nil, false, err
		}
		if h.State == here {
			living = append(living, candidate{keyID(k), d.luck(1)})
		}
	}
	return living, true, nil
}

// many draws candidates from a bucket that holds more than a few records.
func (d *draw) many(n int) ([]candidate, error) {
	spans := d.part()
	var total float64
	for _, s := range spans {
		total += s.size
	}
	lucks := make(map[int64]float64, sampleDraws*n)
	hits := 0
	for try := 0; try < sampleTries*n && hits < sampleDraws*n; try++ {
		s := pick(spans, d.even()*total)
		id, coins := d.one(s.low, s.high)
		k := idKey(id)
		h, err := d.list.head(k, d.bucket.Get(k))
		if err != nil {
			return nil, err
		}
		if h.State != here {
			continue
		}
		hits++
		luck := d.luck(math.Exp2(float64(coins)) / s.size) // one by its chance, but for a factor
		if best, again := lucks[id]; !again || luck > best {
			lucks[id] = luck
		}
	}
	drawn := make([]candidate, 0, len(lucks))
	for id, luck := range lucks {
		drawn = append(drawn, candidate{id, luck})
	}
	return drawn, nil
}

// part parts all ids into ranges and estimates how many each holds: a record
// that was met by so many coins is one of about two to that power.
func (d *draw) part() []span {
	first, _ := d.cursor.First()
	last, _ := d.cursor.Last()
	spans := []span{{low: keyID(first), high: keyID(last)}}
	for len(spans) < strata {
		widest := 0
		for i, s := range spans {
			if s.high-s.low > spans[widest].high-spans[widest].low {
				widest = i
			}
		}
		s := &spans[widest]
		if s.low == s.high {
			break
		}
		end, begin := d.halve(s.low, s.high)
		spans = append(spans, span{low: begin, high: s.high})
		spans[widest].high = end
	}
	for i := range spans {
		for range pilots {
			_, coins := d.one(spans[i].low, spans[i].high)
			spans[i].size += math.Exp2(float64(coins)) / pilots
		}
	}
	return spans
}

// pick finds the range at a place of the sum of all sizes.
func pick(spans []span, place float64) span {
	for _, s := range spans {
		if place -= s.size; place < 0 {
			return s
		}
	}
	return spans[len(spans)-1]
}

// halve parts a range in the middle of its ids: end is the last record of the
// lower half, begin the first of the upper. There is one in either, at the ends.
func (d *draw) halve(low, high int64) (end, begin int64) {
	k, _ := d.cursor.Seek(idKey(low + (high-low)/2 + 1))
	begin = keyID(k)
	k, _ = d.cursor.Prev()
	return keyID(k), begin
}

// one draws a record of a range, and tells how many coins were thrown: its
// chance was one in two to that power.
func (d *draw) one(low, high int64) (id int64, coins int) {
	var bits uint64
	for low < high {
		if coins%64 == 0 {
			bits = d.random()
		}
		end, begin := d.halve(low, high)
		if bits>>(coins%64)&1 == 1 {
			low = begin
		} else {
			high = end
		}
		coins++
	}
	return low, coins
}

// even is a number between 0 and 1, neither of them.
func (d *draw) even() float64 { return (float64(d.random()>>11) + 0.5) / (1 << 53) }

func (d *draw) luck(weight float64) float64 { return math.Log(d.even()) / weight }
