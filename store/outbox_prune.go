package store

import (
	"bytes"
	"context"
	"errors"
	"time"

	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/outbox"
)

// pruneStep bounds how many keys one transaction of forgetting looks at, which
// keeps it well under 50 ms.
const pruneStep = 1000

// Prune forgets, as of now, what was delivered longer ago than KeepDelivered
// and what failed longer ago than KeepFailed, the digests whose time is over,
// and what was told longer ago than anybody asks for. It returns how many
// records went. What is queued is never forgotten, and no record goes before
// the digest that leads to it. It works in short transactions, between which
// others write.
func (o *Outbox) Prune(now time.Time) (n int, err error) {
	// Digests first: a record may go once its digest's time is over.
	if _, err := o.prune(func(t *outboxTx, from []byte) (int, []byte, error) {
		return t.pruneSame(now, from)
	}); err != nil {
		return 0, err
	}
	for state, keep := range map[byte]time.Duration{stateDelivered: o.keepDelivered, stateFailed: o.keepFailed} {
		went, err := o.prune(func(t *outboxTx, from []byte) (int, []byte, error) {
			return t.pruneSettled(state, now.Add(-keep), now, from)
		})
		n += went
		if err != nil {
			return n, err
		}
	}
	_, err = o.prune(func(t *outboxTx, _ []byte) (int, []byte, error) { return t.pruneTold(now) })
	return n, err
}

// prune runs steps of forgetting, each in a transaction of its own, until one
// says that nothing is left to look at. A step begins where the last one ended.
func (o *Outbox) prune(step func(t *outboxTx, from []byte) (n int, next []byte, err error)) (n int, err error) {
	for from := []byte(nil); ; {
		went := 0
		var next []byte
		err := o.submit(context.Background(), o.slow, func(t *outboxTx) (err error) {
			went, next, err = step(t, from)
			return err
		})
		if err != nil {
			return n, err
		}
		if n += went; next == nil {
			return n, nil
		}
		from = next
	}
}

// keysUpTo are the keys of a bucket from one on and before another, at most
// pruneStep of them, and the one to go on from, nil at the end.
func keysUpTo(b *bolt.Bucket, from, end []byte) (keys [][]byte, next []byte) {
	c := b.Cursor()
	for k, _ := c.Seek(from); k != nil && bytes.Compare(k, end) < 0; k, _ = c.Next() {
		if len(keys) == pruneStep {
			return keys, bytes.Clone(k)
		}
		keys = append(keys, bytes.Clone(k))
	}
	return keys, nil
}

func (t *outboxTx) pruneSame(now time.Time, from []byte) (n int, next []byte, err error) {
	if from == nil {
		from = seqKey(0)
	}
	keys, next := keysUpTo(t.sameDue, from, seqKey(uint64(now.UnixNano())+1))
	for _, k := range keys {
		if err := errors.Join(t.del(t.sameDue, k), t.del(t.same, k[8:])); err != nil {
			return n, nil, err
		}
	}
	return len(keys), next, nil
}

// pruneSettled forgets records of a state that settled before a time and whose
// digests are due.
func (t *outboxTx) pruneSettled(state byte, before, now time.Time, from []byte) (n int, next []byte, err error) {
	if from == nil {
		from = []byte{state}
	}
	keys, next := keysUpTo(t.settled, from, stateKey(state, uint64(max(0, before.Unix()))))
	for _, k := range keys {
		held, err := bySeq(t.records, keySeq(k[9:]))
		if err != nil {
			return n, nil, err
		}
		if held.sameUntil > now.UnixNano() {
			continue
		}
		if err := t.forget(&held.Record); err != nil {
			return n, nil, err
		}
		n++
	}
	return n, next, nil
}

func (t *outboxTx) forget(r *outbox.Record) error {
	return errors.Join(
		t.leave(r),
		t.del(t.ids, []byte(r.ID)),
		t.del(t.records, seqKey(r.Seq)),
	)
}
