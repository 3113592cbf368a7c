package cache

import (
	"sync/atomic"

	"github.com/dgraph-io/ristretto/v2"
)

// memory is the nearest tier: ristretto, which may drop or refuse an entry at
// any time and shows a new one a moment later. None of that can make an answer
// wrong: whatever is not here is read from disk, and whatever is here is
// checked against the generations.
type memory struct {
	cache                       *ristretto.Cache[uint64, *entry]
	entries, evictions, dropped atomic.Int64
}

// counterBytes: ristretto wants ten counters for each entry that it will hold;
// a small entry is about 700 bytes.
const counterBytes = 70

func newMemory(bytes int64) (*memory, error) {
	m := &memory{}
	c, err := ristretto.NewCache(&ristretto.Config[uint64, *entry]{
		NumCounters: max(bytes/counterBytes, 1000),
		MaxCost:     bytes,
		BufferItems: 64,
		// A number is its own key: mixed one to one, two numbers never collide.
		KeyToHash: func(number uint64) (uint64, uint64) { return mix(number), 0 },
		OnEvict:   func(*ristretto.Item[*entry]) { m.evictions.Add(1) },
		OnExit: func(e *entry) {
			if e != nil {
				m.entries.Add(-1)
			}
		},
	})
	m.cache = c
	return m, err
}

func (m *memory) get(number uint64) *entry {
	e, _ := m.cache.Get(number)
	return e
}

// put remembers an entry. With shown set it waits until the entry can be seen,
// which an answer that cost a walk upstream is worth.
func (m *memory) put(number uint64, e *entry, shown bool) {
	m.entries.Add(1)
	if !m.cache.Set(number, e, e.cost()) {
		m.entries.Add(-1)
		m.dropped.Add(1)
		return
	}
	if shown {
		m.cache.Wait()
	}
}

// drop forgets a number, and what is still on its way for it.
func (m *memory) drop(number uint64) { m.cache.Del(number) }

func (m *memory) bytes() uint64 {
	return uint64(max(0, m.cache.MaxCost()-m.cache.RemainingCost()))
}
