package store

import (
	"context"
	"errors"
	"log/slog"
	"time"

	bolt "go.etcd.io/bbolt"
)

// outboxJob is one piece of writing and the one who waits for it.
type outboxJob struct {
	do   func(*outboxTx) error
	err  error
	done chan struct{}
}

// outboxGroup bounds how many jobs share a transaction: a job is some 50 µs, so
// that a full group takes little more than its fsync.
const outboxGroup = 256

// errNothingWritten rolls a transaction back that has only read: there is
// nothing to wait a disk for.
var errNothingWritten = errors.New("nothing was written")

// submit hands work to the writer and waits until it is on disk.
func (o *Outbox) submit(ctx context.Context, queue chan *outboxJob, do func(*outboxTx) error) error {
	select {
	case <-o.closing:
		return ErrClosed
	default:
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return o.hand(ctx, queue, do)
}

// hand is submit that is served while the outbox closes, too.
func (o *Outbox) hand(ctx context.Context, queue chan *outboxJob, do func(*outboxTx) error) error {
	j := &outboxJob{do: do, done: make(chan struct{})}
	select {
	case queue <- j:
	case <-ctx.Done():
		return ctx.Err()
	case <-o.quit:
		return ErrClosed
	}
	select {
	case <-j.done:
		return j.err
	case <-ctx.Done():
	case <-o.stopped:
	}
	select {
	case <-j.done: // it was done in the same moment
		return j.err
	default:
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return ErrClosed
}

// write is the writer. Between records and the ledger it does not choose: what
// the ledger writes at once is bounded, see toldChunk, and a stream of comments
// must not keep it from the disk for ever.
func (o *Outbox) write() {
	defer close(o.stopped)
	for {
		select {
		case j := <-o.urgent:
			o.commit(o.gather(j))
		case j := <-o.slow:
			o.commit([]*outboxJob{j})
		case <-o.quit:
			return
		}
	}
}

// gather takes what waits beside j. While one group is on its way to the disk,
// the next one gathers, so that nobody has to wait for company.
func (o *Outbox) gather(j *outboxJob) []*outboxJob {
	jobs := []*outboxJob{j}
	for len(jobs) < outboxGroup {
		select {
		case j := <-o.urgent:
			jobs = append(jobs, j)
		default:
			return jobs
		}
	}
	return jobs
}

// commit runs jobs in one transaction. Where one of them fails, all run again,
// each alone, so that nobody pays for another's fault. Where the commit itself
// fails they do not: a part of it may be there, and what was accepted once
// would be accepted twice.
func (o *Outbox) commit(jobs []*outboxJob) {
	again, err := o.transact(jobs)
	if again && len(jobs) > 1 {
		for _, j := range jobs {
			o.commit([]*outboxJob{j})
		}
		return
	}
	for _, j := range jobs {
		if err != nil {
			j.err = err
		}
		close(j.done)
	}
}

// transact runs jobs in one transaction; failed tells whether a job is to blame
// for the error.
func (o *Outbox) transact(jobs []*outboxJob) (failed bool, err error) {
	var t *outboxTx
	err = o.db.Update(func(tx *bolt.Tx) error {
		t = o.begin(tx)
		for _, j := range jobs {
			t.refused = nil
			if err := j.do(t); err != nil {
				failed = true
				return err
			}
			j.err = t.refused
		}
		if !t.wrote {
			return errNothingWritten
		}
		t.counts.oldest = oldestQueued(t.byState)
		return nil
	})
	switch {
	case errors.Is(err, errNothingWritten):
		return false, nil
	case failed:
		return true, err
	case err != nil:
		o.log.Error("the outbox cannot be written", slog.Any("error", err))
		if err := o.recount(); err != nil {
			o.log.Error("the outbox cannot be counted", slog.Any("error", err))
		}
		return false, err
	}
	o.counts.Store(&t.counts)
	if t.wake {
		o.onAccept()
	}
	return false, nil
}

// outboxTx is a writing transaction of the outbox.
type outboxTx struct {
	records, ids, byState, settled, lanes, heads, same, sameDue, told *bolt.Bucket

	now    time.Time
	counts outboxCounts
	wrote  bool // something has changed
	wake   bool // the queue has grown
	// refused is the answer of a job that has decided to write nothing. It is
	// no failure of the transaction.
	refused error
}

func (o *Outbox) begin(tx *bolt.Tx) *outboxTx {
	return &outboxTx{
		records: tx.Bucket(outboxRecords), ids: tx.Bucket(outboxIDs), byState: tx.Bucket(outboxByState),
		settled: tx.Bucket(outboxSettled), lanes: tx.Bucket(outboxLanes), heads: tx.Bucket(outboxHeads),
		same: tx.Bucket(outboxSame), sameDue: tx.Bucket(outboxSameDue), told: tx.Bucket(outboxTold),
		now: time.Unix(0, o.clock().UnixNano()).UTC(), counts: *o.counts.Load(),
	}
}

// refuse ends a job that has written nothing with an answer of its own.
func (t *outboxTx) refuse(err error) error {
	t.refused = err
	return nil
}

func (t *outboxTx) put(b *bolt.Bucket, k, v []byte) error {
	t.wrote = true
	return b.Put(k, v)
}

func (t *outboxTx) del(b *bolt.Bucket, k []byte) error {
	t.wrote = true
	return b.Delete(k)
}
