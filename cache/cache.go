// Package cache answers the one question that the product exists for: who has
// this number, and what are they waiting for?
//
// [Resolver.Lookup] reads the caller's number and then goes through three
// tiers until one knows: memory (ristretto), disk (the store) and Zendesk
// itself. Whatever a walk to Zendesk finds goes into the store first and is
// read back from there, so that memory never holds what the disk does not.
//
// What can make such an answer wrong, and what is done against it:
//
//   - memory that is behind the disk: every entry is checked against
//     generations, see generations.go;
//   - a mirror that is not yet complete: absence in it proves nothing, so
//     Zendesk is asked, or the answer says that it may be stale;
//   - a search at Zendesk that matches by suffix: every hit is read by the same
//     rules as the caller's number and compared, see walk.go;
//   - a fault at Zendesk: it is never taken for an absence, nor remembered as one.
//
// A lookup has one deadline and answers by it, with what is known then. Many
// lookups of one unknown number share one walk, which has a context of its own.
// What is known but old is answered at once and read again behind the answer,
// see behind.go. [Resolver.Explain] tells how a lookup would be answered.
package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"aniproxy/internal/ani"
	"aniproxy/internal/caller"
	"aniproxy/internal/status"
)

// Store is what the resolver needs of the disk.
type Store interface {
	// Match reads who has a number, in one consistent state.
	Match(e164 string, roles []string) (caller.Match, error)
	// Streams is how far the mirror has come.
	Streams() caller.Streams
	// Apply writes what a walk found.
	Apply(ctx context.Context, b caller.Batch) (caller.Change, error)
	// Erased tells whether a person was erased: Apply ignores them, and nothing
	// of them may be answered, whoever shows them.
	Erased(id int64) bool
	// Explain reads all people of a number, of any role, with how old what is
	// known of them is.
	Explain(e164 string) ([]caller.Held, error)
}

// Live is what the resolver asks Zendesk. Errors are *caller.UpstreamError.
type Live interface {
	// Search finds users whose profile phone ends in the digits; complete is
	// false where there were more hits than a search may show.
	Search(ctx context.Context, digits string) (hits []caller.UserUpdate, complete bool, err error)
	// Identities reads up to 100 users with all their phone identities; those
	// who are not there any more come back as gone.
	Identities(ctx context.Context, ids []int64) ([]caller.UserUpdate, []caller.Gone, error)
	// Tickets reads a user's tickets; complete is false where there are more
	// than are read.
	Tickets(ctx context.Context, userID int64) (caller.Reading, error)
}

// Options are what a resolver is made of. All fields are required but Behind,
// CatchingUp and Clock.
type Options struct {
	Store Store
	Live  Live
	// Behind reads what is older than MaxStale again, behind the answer, on
	// what the others leave of the budget. Nil reads nothing behind.
	Behind Live
	// CatchingUp tells that a stream is being read that is far behind: what it
	// brings makes most of what is old new, so nothing is read behind then. Nil
	// is never. It is asked by lookups, and has to be quick.
	CatchingUp func() bool

	Numbers *ani.Normalizer
	Logger  *slog.Logger
	Clock   func() time.Time // nil is time.Now

	MemoryBytes   int64
	Roles         []string      // who counts as a caller
	NegativeTTL   time.Duration // how long "nobody" of a walk is believed
	Timeout       time.Duration // a lookup's deadline
	MaxConcurrent int64         // walks at the same time
	MaxStale      time.Duration // past this age an answer says so
}

// Resolver answers lookups. All methods may be called from many goroutines.
type Resolver struct {
	o     Options
	clock func() time.Time
	log   *slog.Logger

	memory      *memory
	generations *generations
	floor       atomic.Uint64 // entries from before it do not count: a purge
	purging     sync.Mutex    // so that the floor only rises
	// streams is how far the mirror has come, as answers may claim it: see
	// Invalidate.
	streams atomic.Pointer[caller.Streams]

	flights singleflight.Group
	slots   *semaphore.Weighted // walks
	readers *semaphore.Weighted // reads of the disk
	behind  *refreshes

	ctx     context.Context //nolint:containedctx // the walks' own: they outlive the lookup that began them
	cancel  context.CancelFunc
	closing sync.RWMutex
	closed  bool
	work    sync.WaitGroup

	counts counts
}

// counts are what happened since the start.
type counts struct {
	memory, disk, live, negative, misses atomic.Uint64
	refreshes, refreshesFailed           atomic.Uint64
	walking                              atomic.Int64
}

// maxReaders bounds the reads of the disk that wait for a hung device; a read
// that does not hang takes microseconds.
const maxReaders = 256

// New makes a resolver; Close ends it.
func New(o Options) (*Resolver, error) {
	m, err := newMemory(o.MemoryBytes)
	if err != nil {
		return nil, fmt.Errorf("memory cache: %w", err)
	}
	r := &Resolver{
		o: o, clock: o.Clock, log: o.Logger, memory: m, generations: newGenerations(),
		slots:   semaphore.NewWeighted(o.MaxConcurrent),
		readers: semaphore.NewWeighted(maxReaders),
		behind:  newRefreshes(o.MaxStale),
	}
	streams := o.Store.Streams()
	r.streams.Store(&streams)
	if r.clock == nil {
		r.clock = time.Now
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r, nil
}

// Close ends the walks under way and waits for them. Lookups that come later
// are answered from memory or as unavailable.
func (r *Resolver) Close() {
	r.closing.Lock()
	r.closed = true
	r.closing.Unlock()
	r.cancel()
	r.work.Wait()
	r.memory.cache.Close()
}

// run does work that outlives the lookup that asked for it, unless the
// resolver is closing.
func (r *Resolver) run(work func()) bool {
	r.closing.RLock()
	defer r.closing.RUnlock()
	if r.closed {
		return false
	}
	r.work.Go(work)
	return true
}

// awake does something with memory, unless the resolver is closing: a closed
// memory cannot be written to.
func (r *Resolver) awake(do func()) {
	r.closing.RLock()
	defer r.closing.RUnlock()
	if !r.closed {
		do()
	}
}

// Invalidate makes every entry that a change touches a miss. The store calls
// it after each commit and before Apply returns.
//
// Only then may answers claim how far the mirror has come with the change.
// Whoever answers notes the streams first, then reads, and then checks that
// what was read is still true: so nothing is shown that is older than the
// streams noted say. Were it the store's own word that is noted, a lookup
// between the commit and this call would show what was before the change, and
// claim to be as young as what is after it.
func (r *Resolver) Invalidate(c caller.Change) {
	slots := make([]uint32, 0, len(c.Numbers)+len(c.People))
	for _, n := range c.Numbers {
		if number, ok := pack(n); ok {
			slots = append(slots, slotOf(number))
		}
	}
	for _, id := range c.People {
		slots = append(slots, slotOf(personKey(id)))
	}
	r.generations.raise(slots)
	streams := r.o.Store.Streams()
	r.streams.Store(&streams)
}

// Purge forgets what is in memory; the disk keeps everything. Of what was read
// before it nothing is left when it returns, or soon after: an entry still on
// its way into memory has an older sequence, so it counts for nothing, and who
// brings it takes it out again, see remember.
func (r *Resolver) Purge() {
	r.purging.Lock()
	defer r.purging.Unlock()
	r.generations.raise(nil)
	r.floor.Store(r.generations.now())
	r.awake(func() { r.memory.cache.Clear() })
	r.behind.forget()
}

// Stats counts what the resolver did.
func (r *Resolver) Stats() status.Cache {
	return status.Cache{
		MemoryHits: r.counts.memory.Load(), DiskHits: r.counts.disk.Load(), LiveHits: r.counts.live.Load(),
		NegativeHits: r.counts.negative.Load(), Misses: r.counts.misses.Load(),
		Entries: unsigned(r.memory.entries.Load()), Bytes: r.memory.bytes(),
		Evictions: unsigned(r.memory.evictions.Load()), DroppedSets: unsigned(r.memory.dropped.Load()),
		WalksInFlight: r.counts.walking.Load(),
		Refreshes:     r.counts.refreshes.Load(), RefreshesFailed: r.counts.refreshesFailed.Load(),
	}
}

func unsigned(n int64) uint64 { return uint64(max(0, n)) }

// pack reads an E.164 number as an integer: 15 digits need 50 bits.
func pack(e164 string) (uint64, bool) {
	if len(e164) < 2 || e164[0] != '+' {
		return 0, false
	}
	n, err := strconv.ParseUint(e164[1:], 10, 64)
	return n, err == nil
}

// fault is why an upstream call failed, in the word of an answer's reason.
func fault(err error) caller.Fault {
	var up *caller.UpstreamError
	switch {
	case errors.As(err, &up):
		return up.Fault
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return caller.FaultDeadline
	default:
		return caller.FaultInternal
	}
}
