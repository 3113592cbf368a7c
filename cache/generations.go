package cache

import (
	"math/bits"
	"sync/atomic"
)

// generations tell whether what was read from the store may have changed since.
//
// The sequence grows by one with every change. A slot holds the sequence of
// the last change that touched one of its keys. Whoever reads the store notes
// the sequence before the read begins; what was read is still true as long as
// no slot it depends on has gone past that.
//
// The order is what makes it right. A change is committed, then the sequence
// grows, then the slots are raised, and only then does Apply return. A reader
// that noted the sequence before the commit finds a slot past its own as soon
// as the slots are raised. One that noted the grown sequence began to read
// after the commit, and has read what was committed.
//
// Keys share slots: a needless read of the disk now and then, never a wrong
// answer.
type generations struct {
	sequence atomic.Uint64
	slots    []atomic.Uint64 // a power of two
}

// slotCount: 2^19 slots are 4 MB. With a million entries at hand a change
// makes two others a miss on average.
const slotCount = 1 << 19

func newGenerations() *generations {
	return &generations{slots: make([]atomic.Uint64, slotCount)}
}

// now is the sequence to note before the store is read.
func (g *generations) now() uint64 { return g.sequence.Load() }

// raise says that everything which depends on the slots has changed.
func (g *generations) raise(slots []uint32) {
	sequence := g.sequence.Add(1)
	for _, s := range slots {
		slot := &g.slots[s]
		for old := slot.Load(); old < sequence; old = slot.Load() {
			if slot.CompareAndSwap(old, sequence) {
				break
			}
		}
	}
}

// unchanged tells whether nothing that the slots stand for has changed since
// the sequence was noted.
func (g *generations) unchanged(sequence uint64, slots []uint32) bool {
	for _, s := range slots {
		if g.slots[s].Load() > sequence {
			return false
		}
	}
	return true
}

// slotOf gives the slot of a key.
func slotOf(key uint64) uint32 {
	return uint32(mix(key) & (slotCount - 1))
}

// personKey keeps people apart from numbers.
func personKey(id int64) uint64 { return bits.Reverse64(uint64(id)) }

// mix spreads neighbouring values over 64 bits, one to one: Stafford's variant
// 13 of the MurmurHash3 finalizer, the one that SplitMix64 uses.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	x ^= x >> 31
	return x
}
