package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"os"
	"slices"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Why it is safe to write zeros into pages behind bbolt's back, by its source
// (v1.5.0: tx.go, db.go, internal/freelist/shared.go) and its format (version 2):
//
// What the file holds. Pages 0 and 1 are the two meta pages; transaction n
// writes page n%2, so that they stand for the last two commits, n and n-1. Each
// names a root, the list of its free pages, and how many pages it counts at
// all. Open takes the newer one that is whole: after a crash while n was being
// written, that is n-1. So a page may be overwritten only if neither n nor n-1
// uses it, and then it does not matter whether a crash leaves it old, zero or
// torn.
//
// Which those are is written in the file itself: commit n writes its list of
// free pages (tx.commitFreelist) with those in it that only older states use
// ("pending"), and so has n-1. A page that is in both lists is used by neither.
// What the last commit has freed is in the list of n alone, which is why the
// walk commits once before it looks. Behind the last page that both count, what
// lies in the file is no state's: a commit that did not come to its end may
// have left it there.
//
// bbolt may be told not to write the list (NoFreelistSync, while an empty store
// is filled). Then two empty commits write it; nobody else sets that field, for
// all of this happens in the writer's goroutine.
//
// Who may read it. A reader sees the state that was the last when it began, and
// goes on seeing it. One that began when n-1 or n was the last does not look at
// such a page; an older one may. bbolt's own count of open readers
// (Stats().OpenTxN) does not prove that there is none: beginTx counts a reader
// after it has given up the lock under which it took its state, and in between
// it may be held up for any time. So every reader is counted here, before it
// begins and until it has ended, see readers; a page is written to once all
// have ended that began before n was looked at. New ones see n, because nobody
// commits until the writer's goroutine goes on.
//
// Who else may write it. bbolt takes pages off its free list as it commits, and
// writes them whole (tx.write writes every page from a buffer that was zeroed).
// During the overwriting a write transaction is open, which has taken none yet
// and is rolled back; and bbolt is asked for each page whether it has it as free
// (tx.Page), so that a wrong reading of the lists cannot harm the newest state.
//
// What readers see of it. They read through a memory map, we write through the
// file, as bbolt does itself: the two are the same memory on Linux, macOS and the
// BSDs that bbolt supports without more ado. Windows promises it for files on
// local disks only; bbolt relies on the same promise there.

// file is a bbolt file whose readers are counted. It reads and writes through
// the same open file as bbolt, so that it is that file whatever its path means
// by now.
type file struct {
	*bolt.DB
	raw     *os.File
	readers readers
}

// View is bbolt's, counted.
func (f *file) View(read func(*bolt.Tx) error) error {
	turn := f.readers.enter()
	defer f.readers.leave(turn)
	return f.DB.View(read)
}

// readers counts who reads, in two turns, so that one can wait for those that
// are here now while others come.
type readers struct {
	turn atomic.Uint64
	_    [56]byte // a line of the cache for each: lookups on many cores count here
	in   [2]struct {
		n atomic.Int64
		_ [56]byte
	}
}

func (r *readers) enter() (turn uint64) {
	for {
		turn = r.turn.Load()
		r.in[turn%2].n.Add(1)
		if r.turn.Load() == turn {
			return turn // whoever ends the turn from now on sees us
		}
		r.in[turn%2].n.Add(-1)
	}
}

func (r *readers) leave(turn uint64) { r.in[turn%2].n.Add(-1) }

// outlast ends the turn and waits until all readers of it have ended, calling
// again until it says no. One goroutine at a time may call it.
func (r *readers) outlast(again func() bool) bool {
	now := r.turn.Load()
	// Those of the turn before may be here still, if nobody waited to the end.
	for _, turn := range []uint64{now + 1, now} {
		if turn == now {
			r.turn.Store(now + 1)
		}
		for r.in[turn%2].n.Load() != 0 {
			if !again() {
				return false
			}
		}
	}
	return true
}

// runMost is how many pages are read or written at once.
const runMost = 64

// readerMost is how long the writer waits for a reader; lookups take
// microseconds.
const readerMost = 10 * time.Millisecond

var (
	errBeingRead = errors.New("an older state of the file is being read")
	// errPages says that the file is not as bbolt's format has it. Nothing is
	// overwritten then.
	errPages = errors.New("the file's pages are not laid out as expected")
)

// freePages are pages that neither of the last two states uses.
type freePages struct {
	newer, older boltState
	end          uint64 // how many pages the file has
	err          error  // of whoever reads them
}

// boltState is what a meta page says of its state.
type boltState struct {
	transaction, pages, list uint64
	free                     []uint64 // ascending
}

const (
	pageHeader  = 16 // id (8), flags (2), count (2), overflow (4)
	metaBytes   = 64 // with its checksum
	noList      = ^uint64(0)
	listManyIDs = 0xFFFF
	flagList    = 0x10
	boltMagic   = 0xED0CDAED
	boltFormat  = 2
)

// readState reads a meta page, without its list. bbolt writes its pages in the
// machine's own byte order.
func (f *file) readState(page int) (s boltState, err error) {
	buf := make([]byte, pageHeader+metaBytes)
	if _, err := f.raw.ReadAt(buf, int64(page)*int64(f.Info().PageSize)); err != nil {
		return s, fmt.Errorf("meta page %d: %w", page, err)
	}
	m := buf[pageHeader:]
	sum := fnv.New64a()
	sum.Write(m[:metaBytes-8])
	switch {
	case binary.NativeEndian.Uint32(m) != boltMagic, binary.NativeEndian.Uint32(m[4:]) != boltFormat,
		binary.NativeEndian.Uint32(m[8:]) != uint32(f.Info().PageSize), binary.NativeEndian.Uint64(m[56:]) != sum.Sum64():
		return s, fmt.Errorf("%w: meta page %d", errPages, page)
	}
	return boltState{list: binary.NativeEndian.Uint64(m[32:]), pages: binary.NativeEndian.Uint64(m[40:]), transaction: binary.NativeEndian.Uint64(m[48:])}, nil
}

// readList reads a state's list of free pages.
func (f *file) readList(s *boltState) error {
	size := int64(f.Info().PageSize)
	head := make([]byte, pageHeader+8)
	if _, err := f.raw.ReadAt(head, int64(s.list)*size); err != nil {
		return fmt.Errorf("list of free pages: %w", err)
	}
	if binary.NativeEndian.Uint64(head) != s.list || binary.NativeEndian.Uint16(head[8:]) != flagList {
		return fmt.Errorf("%w: no list of free pages at page %d", errPages, s.list)
	}
	count, from := uint64(binary.NativeEndian.Uint16(head[10:])), int64(pageHeader)
	if count == listManyIDs {
		count, from = binary.NativeEndian.Uint64(head[pageHeader:]), pageHeader+8
	}
	if room := (int64(binary.NativeEndian.Uint32(head[12:]))+1)*size - from; count > uint64(room)/8 {
		return fmt.Errorf("%w: a list of %d free pages has no room for them", errPages, count)
	}
	buf := make([]byte, count*8)
	if _, err := f.raw.ReadAt(buf, int64(s.list)*size+from); err != nil {
		return fmt.Errorf("list of free pages: %w", err)
	}
	s.free = make([]uint64, count)
	for i := range s.free {
		s.free[i] = binary.NativeEndian.Uint64(buf[i*8:])
		if i > 0 && s.free[i] <= s.free[i-1] || s.free[i] < 2 || s.free[i] >= s.pages {
			return fmt.Errorf("%w: the list of free pages is out of order", errPages)
		}
	}
	return nil
}

// freePages reads the lists of the last two states. It is for the writer's
// goroutine, between two transactions: where a list was not written it commits.
func (f *file) freePages() (p freePages, err error) {
	for range 3 {
		a, err := f.readState(0)
		if err != nil {
			return p, err
		}
		b, err := f.readState(1)
		if err != nil {
			return p, err
		}
		if a.transaction < b.transaction {
			a, b = b, a
		}
		if a.transaction != b.transaction+1 {
			return p, fmt.Errorf("%w: the last commits are %d and %d", errPages, a.transaction, b.transaction)
		}
		if a.list != noList && b.list != noList {
			return f.readFree(a, b)
		}
		f.NoFreelistSync = false
		if err := f.Update(func(*bolt.Tx) error { return nil }); err != nil {
			return p, err
		}
	}
	return p, fmt.Errorf("%w: the list of free pages is not written", errPages)
}

func (f *file) readFree(newer, older boltState) (p freePages, err error) {
	if err := f.readList(&newer); err != nil {
		return p, err
	}
	if err := f.readList(&older); err != nil {
		return p, err
	}
	info, err := f.raw.Stat()
	if err != nil {
		return p, err
	}
	return freePages{newer: newer, older: older, end: uint64(info.Size()) / uint64(f.Info().PageSize)}, nil
}

// behind is the first page that no state counts.
func (p *freePages) behind() uint64 { return max(p.newer.pages, p.older.pages) }

// has tells whether a page is free.
func (p *freePages) has(page uint64) bool {
	if page >= p.behind() {
		return page < p.end
	}
	for _, s := range []*boltState{&p.newer, &p.older} {
		if page >= s.pages {
			continue // this state does not know it yet, or not any more
		}
		if _, ok := slices.BinarySearch(s.free, page); !ok {
			return false
		}
	}
	return true
}

// all are the free pages in order.
func (p *freePages) all() iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for _, page := range p.newer.free {
			if p.has(page) && !yield(page) {
				return
			}
		}
		for page := p.behind(); page < p.end; page++ {
			if !yield(page) {
				return
			}
		}
	}
}

// runs are pages that stand together, runMost of them at most.
func runs(pages iter.Seq[uint64]) iter.Seq2[uint64, int] {
	return func(yield func(first uint64, n int) bool) {
		first, n := uint64(0), 0
		for page := range pages {
			if n > 0 && (page != first+uint64(n) || n == runMost) {
				if !yield(first, n) {
					return
				}
				n = 0
			}
			if n == 0 {
				first = page
			}
			n++
		}
		if n > 0 {
			yield(first, n)
		}
	}
}

// overwrite writes zeros over those of some pages, in ascending order, that are
// free now, and returns how many that were. It is for the writer's goroutine,
// between two transactions. It fails with errBeingRead, having written nothing,
// where an older state is read for longer than the writer can wait.
func (f *file) overwrite(pages []uint64) (n int, err error) {
	p, err := f.freePages()
	if err != nil {
		return 0, err
	}
	tx, err := f.Begin(true)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, tx.Rollback()) }()
	if uint64(tx.ID()) != p.newer.transaction+1 {
		return 0, fmt.Errorf("%w: bbolt is at transaction %d, the file at %d", errPages, tx.ID(), p.newer.transaction)
	}
	if !f.readers.outlast(briefly(readerMost)) {
		return 0, errBeingRead
	}
	var free []uint64
	for _, page := range pages {
		if !p.has(page) {
			continue
		}
		if page < p.newer.pages {
			if known, err := tx.Page(int(page)); err != nil || known == nil || known.Type != "free" {
				return 0, fmt.Errorf("%w: page %d is in the list of free pages and bbolt has it in use", errPages, page)
			}
		}
		free = append(free, page)
	}
	size := f.Info().PageSize
	zero := make([]byte, runMost*size)
	for first, k := range runs(slices.Values(free)) {
		if _, err := f.raw.WriteAt(zero[:k*size], int64(first)*int64(size)); err != nil {
			return n, fmt.Errorf("overwrite free pages: %w", err)
		}
		n += k
	}
	return n, nil
}

// briefly says to go on waiting until a while is over. It yields at first, for
// most reads end within microseconds, and sleeps then.
func briefly(most time.Duration) func() bool {
	var waited time.Duration
	wait := 20 * time.Microsecond
	return func() bool {
		if waited >= most {
			return false
		}
		<-time.After(wait)
		waited += wait
		wait = min(2*wait, time.Millisecond)
		return true
	}
}
