package store

import (
	"context"
	"errors"
	"time"

	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/outbox"
)

// Save writes how far a record has come, and returns once that is on disk
// (fsynced). What was accepted stays as it was: of r only State, Attempts,
// Stamp, InDoubt, FollowUp, FirstCreate, NextTry, Error, Landed and Settled are
// taken. A record that settles without a time settles now; one that is queued
// has none.
//
// A queued record may take any state. A delivered one stays delivered, and a
// failed one stays failed until Retry: other steps are refused with
// [*OutboxStateError]. A record that is not there is [outbox.ErrUnknown].
func (o *Outbox) Save(r outbox.Record) error {
	return o.submit(context.Background(), o.urgent, func(t *outboxTx) error { return t.save(&r) })
}

func (t *outboxTx) save(r *outbox.Record) error {
	held, err := byID(t.records, t.ids, r.ID)
	if err != nil {
		return err
	}
	if held == nil {
		return t.refuse(outbox.ErrUnknown)
	}
	if stateByte(r.State) == 0 || held.State != outbox.Queued && held.State != r.State {
		return t.refuse(&OutboxStateError{From: held.State, To: r.State})
	}
	next := *held
	next.State, next.Attempts, next.Stamp, next.InDoubt, next.FollowUp = r.State, r.Attempts, r.Stamp, r.InDoubt, r.FollowUp
	next.FirstCreate, next.NextTry, next.Error, next.Landed = r.FirstCreate, r.NextTry, r.Error, r.Landed
	switch {
	case r.State == outbox.Queued:
		next.Settled = time.Time{}
	case !r.Settled.IsZero():
		next.Settled = r.Settled
	case held.Settled.IsZero():
		next.Settled = t.now
	}
	return t.move(held, &next)
}

// move writes a record and, where its place in the indexes is another one now,
// moves it there.
func (t *outboxTx) move(from, to *heldRecord) error {
	if err := t.write(to); err != nil {
		return err
	}
	if from.State == to.State && from.Settled.Equal(to.Settled) {
		return nil
	}
	if err := t.leave(&from.Record); err != nil {
		return err
	}
	return t.enter(&to.Record)
}

// Retry puts a failed record back into the queue, at its old place: before what
// was accepted after it for the same ticket or requester. It may be tried at
// once; its attempts, its stamp and its doubt are kept, for an earlier attempt
// may have landed. The courier is woken.
//
// It fails with [outbox.ErrUnknown] and [outbox.ErrNotFailed]. A full outbox
// does not refuse it.
func (o *Outbox) Retry(id string) (outbox.Record, error) {
	var got outbox.Record
	err := o.submit(context.Background(), o.urgent, func(t *outboxTx) error {
		held, err := byID(t.records, t.ids, id)
		if err != nil {
			return err
		}
		if held == nil {
			return t.refuse(outbox.ErrUnknown)
		}
		if held.State != outbox.Failed {
			return t.refuse(outbox.ErrNotFailed)
		}
		next := *held
		next.State, next.Error, next.NextTry, next.Settled = outbox.Queued, "", time.Time{}, time.Time{}
		got = next.Record
		return t.move(held, &next)
	})
	if err != nil {
		return outbox.Record{}, err
	}
	return got, nil
}

// doubtStep is how many records one transaction of Doubt takes: each is read
// and written anew, some 20 µs.
const doubtStep = 1000

// Doubt marks every record that is not delivered as one that may be there all
// the same, and returns how many were not so marked before. It is for the
// moment after a restore or a salvage, before the courier starts: what the file
// says of them may be older than what Zendesk has. It takes several
// transactions; interrupted, it is to be called again.
func (o *Outbox) Doubt() (n int, err error) {
	for _, state := range []byte{stateFailed, stateQueued} {
		for next := uint64(0); ; {
			more := false
			step := 0
			err := o.submit(context.Background(), o.slow, func(t *outboxTx) (err error) {
				step, next, more, err = t.doubt(state, next)
				return err
			})
			if err != nil {
				return n, err
			}
			n += step
			if !more {
				break
			}
		}
	}
	return n, nil
}

// doubt marks up to doubtStep records of a state from a place on, and tells
// where to go on.
func (t *outboxTx) doubt(state byte, from uint64) (n int, next uint64, more bool, err error) {
	seqs, next, more := seqsOf(t.byState, state, from, doubtStep)
	for _, seq := range seqs {
		held, err := bySeq(t.records, seq)
		if err != nil {
			return n, next, more, err
		}
		if held.InDoubt {
			continue
		}
		held.InDoubt = true
		if err := t.write(held); err != nil {
			return n, next, more, err
		}
		n++
	}
	return n, next, more, nil
}

// seqsOf are the places of a state from one on.
func seqsOf(byState *bolt.Bucket, state byte, from uint64, limit int) (seqs []uint64, next uint64, more bool) {
	c := byState.Cursor()
	for k, _ := c.Seek(stateKey(state, from)); k != nil && k[0] == state; k, _ = c.Next() {
		if len(seqs) == limit {
			return seqs, keySeq(k[1:]), true
		}
		seqs = append(seqs, keySeq(k[1:]))
	}
	return seqs, 0, false
}

// closed is bbolt's way to say that the file is closed, as ours.
func closed(err error) error {
	if errors.Is(err, bolt.ErrDatabaseNotOpen) { //nolint:staticcheck // the same value under its older name
		return ErrClosed
	}
	return err
}
