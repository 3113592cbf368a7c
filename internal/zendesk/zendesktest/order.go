package zendesktest

import "slices"

// order is the order an export walks in: by second, then by id, which is by
// place. A key is the second in the upper half and the place in the lower.
//
// An object that changes gets a new key and leaves its old one behind; a
// reader tells a live key by comparing its second with the object's own. A
// change happens now, so a new key nearly always belongs at the end, and the
// slice stays sorted at no cost; when most keys are dead they are swept out.
type order struct {
	keys []uint64
	dead int
}

func orderKey(at uint32, i int32) uint64 { return uint64(at)<<32 | uint64(uint32(i)) }

func splitKey(k uint64) (at uint32, i int32) { return uint32(k >> 32), int32(uint32(k)) }

// add puts an object in; moved says that it had another second before.
func (o *order) add(at uint32, i int32, moved bool) {
	k := orderKey(at, i)
	if moved {
		o.dead++
	}
	if n := len(o.keys); n == 0 || o.keys[n-1] < k {
		o.keys = append(o.keys, k)
		return
	}
	p, there := slices.BinarySearch(o.keys, k)
	if there { // came back to a second it had left: the old key lives again
		o.dead--
		return
	}
	o.keys = slices.Insert(o.keys, p, k)
}

// sweep takes dead keys out once they outnumber the live ones.
func (o *order) sweep(live func(at uint32, i int32) bool) {
	if o.dead < 1024 || o.dead < len(o.keys)/2 {
		return
	}
	o.keys = slices.DeleteFunc(o.keys, func(k uint64) bool { return !live(splitKey(k)) })
	o.dead = 0
}

// after is where the first key greater than k stands.
func (o *order) after(k uint64) int {
	p, there := slices.BinarySearch(o.keys, k)
	if there {
		p++
	}
	return p
}

// from is where the first key of the second stands.
func (o *order) from(at uint32) int {
	p, _ := slices.BinarySearch(o.keys, orderKey(at, 0))
	return p
}
