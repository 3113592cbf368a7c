package store

import (
	"context"

	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/caller"
)

// job is one piece of writing and the one who waits for it.
type job struct {
	do     func(*transaction) error
	change caller.Change
	err    error
	done   chan struct{}
}

// groupLimit bounds how many urgent jobs share a transaction, so that a flood
// of them stays within the 50 ms that a transaction may take while serving:
// a job is one person with a few tickets, some 100 µs.
const groupLimit = 64

// Apply writes a batch with its position, and returns once it is on disk and
// everyone who keeps copies has been told.
//
// An urgent batch, and any batch of the first fill, is one transaction. While
// serving, a batch that would hold the writer for longer than it may is cut
// into several, see [pace], and the position goes with the last of them: after
// a kill in between, the cursor is behind the data, and what it covers is read
// again.
//
// A ctx that ends while the batch still waits takes it back; one that ends
// later only stops the waiting: what was begun is written all the same, and
// OnCommit is told.
func (s *Store) Apply(ctx context.Context, b caller.Batch) (caller.Change, error) {
	if b.Urgent {
		return s.submit(ctx, s.urgent, func(t *transaction) error { return t.apply(&b) })
	}
	whole := !s.Streams().Filled()
	var all caller.Change
	for {
		cut, rest := b, false
		if !whole {
			cut, rest = s.pace.cut(&b)
		}
		change, err := s.submit(ctx, s.bulk, func(t *transaction) error { return t.apply(&cut) })
		if err != nil {
			return all, err
		}
		all.Merge(change)
		if !rest {
			return all, nil
		}
	}
}

func (s *Store) submit(ctx context.Context, queue chan *job, do func(*transaction) error) (caller.Change, error) {
	j := &job{do: do, done: make(chan struct{})}
	select {
	case <-s.closing:
		return caller.Change{}, ErrClosed
	default:
	}
	select {
	case queue <- j:
	case <-ctx.Done():
		return caller.Change{}, ctx.Err()
	case <-s.closing:
		return caller.Change{}, ErrClosed
	}
	select {
	case <-j.done:
		return j.change, j.err
	case <-ctx.Done():
		return caller.Change{}, ctx.Err()
	case <-s.stopped:
	}
	select {
	case <-j.done: // it was the last that the writer took
		return j.change, j.err
	default:
		return caller.Change{}, ErrClosed
	}
}

// write is the writer: what is urgent first, a large batch in between.
func (s *Store) write() {
	defer close(s.stopped)
	for {
		select {
		case j := <-s.urgent:
			s.commit(s.gather(j))
			continue
		case <-s.closing:
			return
		default:
		}
		select {
		case j := <-s.urgent:
			s.commit(s.gather(j))
		case j := <-s.bulk:
			s.commit([]*job{j})
		case <-s.closing:
			return
		}
	}
}

// gather takes what urgent work waits beside j.
func (s *Store) gather(j *job) []*job {
	jobs := []*job{j}
	for len(jobs) < groupLimit {
		select {
		case j := <-s.urgent:
			jobs = append(jobs, j)
		default:
			return jobs
		}
	}
	return jobs
}

// commit runs jobs in one transaction. Where one of them fails, the others run
// again, each alone, so that nobody pays for another's bad batch.
func (s *Store) commit(jobs []*job) {
	err := s.transact(jobs)
	if err != nil && len(jobs) > 1 {
		for _, j := range jobs {
			s.commit([]*job{j})
		}
		return
	}
	for _, j := range jobs {
		if j.err = err; err != nil {
			j.change = caller.Change{}
		} else {
			s.onCommit(j.change)
		}
		close(j.done)
	}
}

func (s *Store) transact(jobs []*job) error {
	// While an empty store is filled, the list of free pages is not written:
	// it grows with the file and is rewritten by every commit. The price is a
	// walk of the whole file at the next Open, so it is back once both streams
	// have been read to their end.
	s.db.NoFreelistSync = !s.Streams().Filled()
	var (
		size    caller.Size
		streams caller.Streams
		records int
		began   = s.clock()
	)
	err := s.db.Update(func(tx *bolt.Tx) error {
		t, err := s.begin(tx)
		if err != nil {
			return err
		}
		for _, j := range jobs {
			t.change = caller.Change{}
			if err := j.do(t); err != nil {
				return err
			}
			if err := t.flush(); err != nil {
				return err
			}
			j.change = t.change
			records += t.change.Accepted + t.change.Refreshed + t.change.Refused
		}
		if err := writeSize(tx, t.size); err != nil {
			return err
		}
		size = t.size
		streams, err = readStreams(tx)
		if streams.Filled() {
			s.db.NoFreelistSync = false
		}
		return err
	})
	if err != nil {
		return err
	}
	if !s.db.NoFreelistSync { // a fill is several times as cheap, and says nothing
		s.pace.note(records, s.clock().Sub(began))
	}
	s.size.Store(&size)
	s.streams.Store(&streams)
	return nil
}
