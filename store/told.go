package store

import (
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"aniproxy/internal/outbox"
)

// The ledger of what was told to whom. A lookup must not wait for a disk, so
// that Tell only notes it in memory, and one goroutine writes it down every
// FlushTold. Memory also holds what was told in this half hour, so that a
// person who is looked up again costs nothing: the disk has it. What is older,
// or was told before a restart, is read from disk, see told_disk.go.

const (
	// toldPeriod is how exactly is known when an answer told of something, in
	// seconds.
	toldPeriod = 30 * 60
	// toldShards keeps lookups on many cores from waiting for each other.
	toldShards = 64
	// toldSetMost bounds a shard's memory of what was told: 262,144 in all,
	// some 10 MB. A fuller one is forgotten: what is told again is written
	// again, which changes nothing.
	toldSetMost = 262_144 / toldShards
	// toldPendingMost bounds what a shard may have waiting for the disk:
	// 262,144 in all, which is more than three seconds of 20,000 lookups each
	// of which tells of four that are new.
	toldPendingMost = 262_144 / toldShards
	// toldClientMost bounds a client's name in bytes: 64 characters.
	toldClientMost = 256
)

// The kinds of tellings, as they are kept.
const (
	toldTicket byte = 1 + iota
	toldUser
	searchedTicket
	searchedUser
)

// toldByte is 0 for a kind that nobody knows.
func toldByte(k outbox.Told) byte {
	switch k {
	case outbox.ToldTicket:
		return toldTicket
	case outbox.ToldUser:
		return toldUser
	case outbox.SearchedTicket:
		return searchedTicket
	case outbox.SearchedUser:
		return searchedUser
	default:
		return 0
	}
}

// exactly tells whether a kind is kept to the second.
func exactly(kind byte) bool { return kind >= searchedTicket }

// toldKey is what was told to whom: plain bits, quick to hash, and nothing for
// the garbage collector to look at.
type toldKey struct {
	id  int64
	who uint64 // client's number << 8 | kind
}

func (k toldKey) kind() byte     { return byte(k.who) }
func (k toldKey) client() uint32 { return uint32(k.who >> 8) }

// telling is a toldKey with its second.
type telling struct {
	toldKey
	at int64
}

type toldShard struct {
	mu     sync.Mutex
	period int64
	set    map[toldKey]int64 // what was told in the period → when
	// pending waits for the disk; flying is on its way there. Both are looked
	// at by WasTold, for the set may have been forgotten meanwhile.
	pending, flying []telling
	_               [32]byte // a shard's lock shares no cache line with the next one's
}

// toldClients are the clients' names and numbers. It is replaced, never
// changed; clients come from the configuration, so that they are few.
type toldClients struct {
	numbers map[string]uint32
	names   []string
}

type ledger struct {
	shards  [toldShards]toldShard
	clients atomic.Pointer[toldClients]
	admit   sync.Mutex // held by who adds a client
	dropped atomic.Uint64

	// flushing is held while what was told goes to the disk, and while it is
	// erased.
	flushing sync.Mutex

	// Of the goroutine that writes:
	batch   []telling
	noted   uint64    // how many of those dropped have been logged
	refused time.Time // when something was last logged
}

func (l *ledger) prepare() {
	l.clients.Store(&toldClients{})
	for i := range l.shards {
		l.shards[i].set = make(map[toldKey]int64)
	}
}

// number is the number of a client.
func (l *ledger) number(client string) uint32 {
	if n, ok := l.clients.Load().numbers[client]; ok {
		return n
	}
	l.admit.Lock()
	defer l.admit.Unlock()
	old := l.clients.Load()
	if n, ok := old.numbers[client]; ok {
		return n
	}
	client = strings.Clone(client) // it may be a piece of a request
	n := uint32(len(old.names))
	next := &toldClients{numbers: make(map[string]uint32, n+1), names: append(old.names[:n:n], client)}
	for name, number := range old.numbers {
		next.numbers[name] = number
	}
	next.numbers[client] = n
	l.clients.Store(next)
	return n
}

func (l *ledger) shard(k toldKey) *toldShard {
	h := (uint64(k.id) ^ k.who<<32) * 0x9e3779b97f4a7c15 // 2^64 over the golden ratio: spreads neighbours
	return &l.shards[h>>58]                              // the top 6 bits are one of toldShards
}

// Tell notes that a client was told of a ticket or a person. It waits for no
// disk and reports no error: at most FlushTold later it is on disk, and a kill
// before that forgets it, so that a comment on it is refused until it is told
// again. Where the disk stalls, the oldest that wait are dropped, which is
// logged.
//
// What a search has returned counts as told by an answer, too. A client's name
// of more than 64 characters is never told anything.
func (o *Outbox) Tell(client string, kind outbox.Told, id int64) {
	k := toldByte(kind)
	if k == 0 || len(client) > toldClientMost {
		return
	}
	at := o.clock().Unix()
	who := uint64(o.ledger.number(client)) << 8
	o.ledger.tell(toldKey{id: id, who: who | uint64(k)}, at)
	switch k {
	case searchedTicket:
		o.ledger.tell(toldKey{id: id, who: who | uint64(toldTicket)}, at)
	case searchedUser:
		o.ledger.tell(toldKey{id: id, who: who | uint64(toldUser)}, at)
	}
}

func (l *ledger) tell(k toldKey, at int64) {
	s := l.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if period := at / toldPeriod; s.period != period {
		s.period = period
		clear(s.set)
	}
	was, there := s.set[k]
	if there && (was >= at || !exactly(k.kind())) {
		return
	}
	if !there && len(s.set) >= toldSetMost {
		clear(s.set)
	}
	s.set[k] = at
	s.pending = append(s.pending, telling{k, at})
	l.dropped.Add(s.bound())
}

// bound drops the oldest of what waits where that is too much, a quarter at
// once so that it is seldom, and returns how many went. What is dropped is
// forgotten: told again, it is to be written.
func (s *toldShard) bound() (dropped uint64) {
	if len(s.pending) <= toldPendingMost {
		return 0
	}
	n := len(s.pending) - toldPendingMost*3/4
	for _, t := range s.pending[:n] {
		delete(s.set, t.toldKey)
	}
	s.pending = append(s.pending[:0], s.pending[n:]...)
	return uint64(n)
}

// knows tells whether memory has that a client was told of something since a
// second, or for tellings that are kept by the half hour, since that half hour.
func (l *ledger) knows(client string, kind byte, id, since int64) bool {
	n, ok := l.clients.Load().numbers[client]
	if !ok {
		return false
	}
	k := toldKey{id: id, who: uint64(n)<<8 | uint64(kind)}
	if !exactly(kind) {
		since = since / toldPeriod * toldPeriod
	}
	s := l.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, ok := s.set[k]; ok && at >= since {
		return true
	}
	for _, waiting := range [][]telling{s.pending, s.flying} {
		for _, t := range waiting {
			if t.toldKey == k && t.at >= since {
				return true
			}
		}
	}
	return false
}

// take is what waits for the disk, which flies from now on.
func (l *ledger) take() []telling {
	l.batch = l.batch[:0]
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		s.pending, s.flying = s.flying[:0], s.pending
		l.batch = append(l.batch, s.flying...)
		s.mu.Unlock()
	}
	return l.batch
}

// landed forgets what was flying, for it is on disk.
func (l *ledger) landed() {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		s.flying = s.flying[:0]
		s.mu.Unlock()
	}
}

// turnedBack lets what was flying wait again, before what has come since.
func (l *ledger) turnedBack() {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		s.pending, s.flying = append(s.flying, s.pending...), s.pending[:0]
		l.dropped.Add(s.bound())
		s.mu.Unlock()
	}
}

// writeTold is the goroutine that writes down what was told.
func (o *Outbox) writeTold(every time.Duration) {
	defer close(o.told)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			o.flush()
		case <-o.closing:
			o.flush()
			return
		}
	}
}

// flush writes down what waits. What cannot be written waits on.
func (o *Outbox) flush() {
	l := &o.ledger
	l.flushing.Lock()
	defer l.flushing.Unlock()
	var err error
	if batch := l.take(); len(batch) > 0 {
		if err = o.putTold(batch, l.clients.Load().names); err != nil {
			l.turnedBack()
		} else {
			l.landed()
		}
	}
	o.noteTold(err)
}

// noteTold logs what went wrong, once a minute.
func (o *Outbox) noteTold(err error) {
	l := &o.ledger
	dropped := l.dropped.Load()
	now := o.clock()
	if err == nil && dropped == l.noted || now.Sub(l.refused) < time.Minute {
		return
	}
	o.log.Warn("what was told is not written as it should be: comments on it may be refused after a restart",
		slog.Uint64("dropped", dropped-l.noted), slog.Any("error", err))
	l.noted, l.refused = dropped, now
}
