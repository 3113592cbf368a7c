package store

import (
	"context"

	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/caller"
)

// job is one piece of writing and the one who waits for it.
type job struct {
	do     func(*transaction) error
	cost   int // in records, 0 where that is not known
	change caller.Change
	err    error
	done   chan struct{}
}

// groupLimit bounds how many urgent jobs share a transaction, and what they cost
// together is bounded by the pace: a flood of them, most being one person with
// a few tickets, stays within the 50 ms that a transaction may take while
// serving. One batch alone is no more than the pace allows: Apply has cut it.
const groupLimit = 64

// Apply writes a batch with its position, and returns once it is on disk and
// everyone who keeps copies has been told.
//
// A batch of the first fill is one transaction, and so is an urgent one, which
// is small as a rule. A batch that would hold the writer for longer than it may
// is cut into several, see [pace], and the positions go with the last of them:
// after a kill in between, the cursor is behind the data, and what it covers is
// read again. An urgent one that is cut, a switchboard's hundred people with all
// their tickets, lets other urgent work in between.
//
// A batch that leaves objects in doubt, [caller.Change.Unsure], moves neither
// Position nor Sweep, so that a kill before they have been asked for has its
// records come again: the caller asks, and then applies the positions alone.
//
// A ctx that ends while the batch still waits takes it back, or what is left
// of it; one that ends later only stops the waiting: what was begun is written
// all the same, and OnCommit is told.
func (s *Store) Apply(ctx context.Context, b caller.Batch) (caller.Change, error) {
	queue := s.bulk
	if b.Urgent {
		queue = s.urgent
	}
	whole := !b.Urgent && !s.Streams().Filled()
	var all caller.Change
	for {
		cut, rest := b, false
		if !whole {
			cut, rest = s.pace.cut(&b)
		}
		if len(all.Unsure) > 0 {
			cut.Position, cut.Sweep = nil, nil // for the doubts of an earlier cut
		}
		change, err := s.enqueue(ctx, queue, &job{
			do:   func(t *transaction) error { return t.apply(&cut) },
			cost: cost(&cut), done: make(chan struct{}),
		})
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
	return s.enqueue(ctx, queue, &job{do: do, done: make(chan struct{})})
}

func (s *Store) enqueue(ctx context.Context, queue chan *job, j *job) (caller.Change, error) {
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

// write is the writer: what is urgent first, a large batch in between. What
// waits as it ends is answered by submit.
func (s *Store) write() {
	defer close(s.stopped)
	var first *job // taken, but too much for the group before
	for {
		select {
		case <-s.closing:
			return
		default:
		}
		if first == nil {
			select {
			case first = <-s.urgent:
			default:
			}
		}
		if first == nil {
			select {
			case first = <-s.urgent:
			case j := <-s.bulk:
				s.commit([]*job{j})
				continue
			case <-s.closing:
				return
			}
		}
		var jobs []*job
		jobs, first = s.gather(first)
		s.commit(jobs)
	}
}

// gather takes what urgent work waits beside j, as much as one transaction may
// hold; next is a job that was one too many.
func (s *Store) gather(j *job) (jobs []*job, next *job) {
	jobs, room := []*job{j}, s.pace.records()-j.cost
	for len(jobs) < groupLimit && room > 0 {
		select {
		case j := <-s.urgent:
			if room -= j.cost; room < 0 {
				return jobs, j
			}
			jobs = append(jobs, j)
		default:
			return jobs, nil
		}
	}
	return jobs, nil
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
