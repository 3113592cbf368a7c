package proxy

import (
	"math/bits"
	"sync"
	"time"
)

const (
	// window is what rates and quantiles are told of, in seconds, the current
	// one included: long enough for a quiet contact centre, short enough to see
	// a change.
	window = 60
	// Latencies are counted in buckets of microseconds, eight to each power of
	// two, so that a quantile is at most an eighth too high. 24 powers reach
	// 16 s, beyond any deadline; what is longer counts as that.
	perPower    = 8
	powers      = 24
	bucketCount = perPower * (powers - 2)
)

// recent counts the lookups of the last minute by how long they took: a ring
// of one histogram a second, 42 KiB in all. Prometheus has the same for ever
// in its histogram; this is for those who look at /v1/stats now. A mutex that
// is held for some ten nanoseconds keeps it exact; nothing is allocated.
type recent struct {
	mu    sync.Mutex
	first int64 // the second of the first lookup, 0 before it
	slots [window]second
}

type second struct {
	at      int64 // Unix
	count   uint32
	buckets [bucketCount]uint32
}

// reading is what recent tells: zero where there was nothing.
type reading struct {
	perSecond float64
	p50, p99  time.Duration
}

func (r *recent) add(at time.Time, took time.Duration) {
	now := at.Unix()
	bucket := bucketOf(took)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.first == 0 {
		r.first = now
	}
	slot := &r.slots[uint64(now)%window]
	if slot.at != now {
		*slot = second{at: now}
	}
	slot.count++
	slot.buckets[bucket]++
}

func (r *recent) read(at time.Time) reading {
	now := at.Unix()
	var sum [bucketCount]uint64
	var total uint64
	r.mu.Lock()
	for i := range r.slots {
		slot := &r.slots[i]
		if slot.count == 0 || slot.at <= now-window || slot.at > now {
			continue
		}
		total += uint64(slot.count)
		for b, n := range slot.buckets {
			sum[b] += uint64(n)
		}
	}
	first := r.first
	r.mu.Unlock()
	if total == 0 {
		return reading{}
	}
	// A daemon that has answered for ten seconds has no minute to divide by.
	seconds := min(window, max(1, now-first+1))
	return reading{
		perSecond: float64(total) / float64(seconds),
		p50:       quantile(&sum, total, 50),
		p99:       quantile(&sum, total, 99),
	}
}

// quantile is the upper bound of the bucket that holds the percent'th.
func quantile(sum *[bucketCount]uint64, total uint64, percent uint64) time.Duration {
	rank := (total*percent + 99) / 100
	var seen uint64
	for b, n := range sum {
		if seen += n; seen >= rank {
			return upperBound(b)
		}
	}
	return upperBound(bucketCount - 1)
}

// bucketOf: below 8 µs a bucket a microsecond, from there on the three bits
// behind the leading one choose among the eight of its power of two.
func bucketOf(d time.Duration) int {
	us := uint64(max(0, d.Microseconds()))
	if us < perPower {
		return int(us)
	}
	power := bits.Len64(us) - 1 // at least 3
	return min((power-2)*perPower+int(us>>(power-3))-perPower, bucketCount-1)
}

// upperBound is the most that a bucket's durations are, to the microsecond.
func upperBound(bucket int) time.Duration {
	if bucket < perPower {
		return time.Duration(bucket) * time.Microsecond
	}
	power, within := bucket/perPower+2, bucket%perPower
	us := (perPower+within+1)<<(power-3) - 1
	return time.Duration(us) * time.Microsecond
}
