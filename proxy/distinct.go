package proxy

import (
	"hash/maphash"
	"math"
	"strconv"
	"time"
)

// distinctSpan is the minute of distinct_per_minute.
const distinctSpan = time.Minute

// distinct holds the different numbers and people that a client was answered
// about within the last minute, exactly: an answer about one of them is free
// and keeps it for another minute, one about a new one needs room. So in no
// minute, wherever it begins, are there answers about more than the limit.
//
// What it holds is a list in the order of the last answers, the oldest first,
// and a map into it. Of a number there is no more than a hash of 64 bits under
// a key of this process: nobody can make two numbers that are one here, and
// that two of the million that a limit may have are one by chance is one in
// forty million. An entry takes some 60 bytes, and there are as many as a
// client had different numbers in its busiest minute. The zero value is not
// ready; whoever holds it keeps it from concurrent use.
type distinct struct {
	seed    maphash.Seed
	places  map[uint64]int32 // of keys among the entries
	entries []asked
	// oldest and newest are the ends of the list, free the first of the
	// entries that nobody has; nowhereAt where there is none.
	oldest, newest, free int32
}

// asked is an entry: a key, when it was last answered, and its neighbours.
type asked struct {
	key           uint64
	at            time.Duration // since the beginning of the record
	before, after int32
}

const nowhereAt int32 = -1

func newDistinct() distinct {
	return distinct{seed: maphash.MakeSeed(), places: map[uint64]int32{}, oldest: nowhereAt, newest: nowhereAt, free: nowhereAt}
}

// number is the key of a number in E.164, which begins with a plus sign.
func (d *distinct) number(e164 string) uint64 { return maphash.String(d.seed, e164) }

// person is the key of a person who is read by id.
func (d *distinct) person(id int64) uint64 {
	var digits [20]byte
	return maphash.Bytes(d.seed, strconv.AppendInt(digits[:0], id, 10))
}

// take has room taken by a key at a time not before that of the last call:
// first is true where the minute before had no answer about it. wait is more
// than 0 where there is no room, and nothing is taken then: by when there will
// be some, if nothing that is held is answered again until then.
func (d *distinct) take(key uint64, now time.Duration, l distinctLimit) (first bool, wait time.Duration) {
	d.forget(now)
	if i, ok := d.places[key]; ok {
		d.entries[i].at = now
		if i != d.newest {
			d.unlink(i)
			d.append(i)
		}
		return false, 0
	}
	if held := len(d.places); held >= l.most {
		switch {
		case l.lenient:
			d.drop(d.oldest)
		case held == l.most:
			return false, d.entries[d.oldest].at + distinctSpan - now
		default: // the limit was lowered meanwhile: when all have left there is room
			return false, d.entries[d.newest].at + distinctSpan - now
		}
	}
	i := d.free
	if i == nowhereAt {
		d.entries = append(d.entries, asked{})
		i = int32(len(d.entries) - 1)
	} else {
		d.free = d.entries[i].after
	}
	d.entries[i].key, d.entries[i].at = key, now
	d.places[key] = i
	d.append(i)
	return true, 0
}

// room tells whether take would have some.
func (d *distinct) room(key uint64, now time.Duration, l distinctLimit) bool {
	d.forget(now)
	_, held := d.places[key]
	return held || l.lenient || len(d.places) < l.most
}

// forget lets go of what was last answered a minute ago.
func (d *distinct) forget(now time.Duration) {
	for d.oldest != nowhereAt && now-d.entries[d.oldest].at >= distinctSpan {
		d.drop(d.oldest)
	}
}

func (d *distinct) drop(i int32) {
	delete(d.places, d.entries[i].key)
	d.unlink(i)
	d.entries[i].after, d.free = d.free, i
}

func (d *distinct) unlink(i int32) {
	before, after := d.entries[i].before, d.entries[i].after
	if before == nowhereAt {
		d.oldest = after
	} else {
		d.entries[before].after = after
	}
	if after == nowhereAt {
		d.newest = before
	} else {
		d.entries[after].before = before
	}
}

func (d *distinct) append(i int32) {
	d.entries[i].before, d.entries[i].after = d.newest, nowhereAt
	if d.newest == nowhereAt {
		d.oldest = i
	} else {
		d.entries[d.newest].after = i
	}
	d.newest = i
}

// distinctLimit is how many different numbers a minute may have. A lenient one
// bounds what is remembered and refuses nothing.
type distinctLimit struct {
	most    int
	lenient bool
}

// retryAfter is a wait in whole seconds, rounded up, so that whoever keeps to
// it is not refused again.
func retryAfter(wait time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(wait.Seconds()))))
}
