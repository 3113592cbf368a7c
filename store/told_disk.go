package store

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/outbox"
)

// toldChunk bounds how many tellings share a transaction, and so how long a
// comment waits for them: some 10 ms.
const toldChunk = 4096

// putTold writes tellings down, in one transaction unless they are very many.
// They are sorted, so that neighbours on a page are written together.
func (o *Outbox) putTold(batch []telling, names []string) error {
	slices.SortFunc(batch, func(a, b telling) int {
		return cmp.Or(
			cmp.Compare(a.at/toldPeriod, b.at/toldPeriod), cmp.Compare(a.who, b.who),
			cmp.Compare(a.id, b.id), cmp.Compare(a.at, b.at),
		)
	})
	for chunk := range slices.Chunk(batch, toldChunk) {
		err := o.hand(context.Background(), o.slow, func(t *outboxTx) error { return t.putTold(chunk, names) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *outboxTx) putTold(chunk []telling, names []string) error {
	var (
		bucket *bolt.Bucket
		period int64 = -1
		key    []byte
	)
	for _, telling := range chunk {
		if p := telling.at / toldPeriod; p != period {
			var err error
			if bucket, err = t.period(p); err != nil {
				return err
			}
			period = p
		}
		key = appendToldKey(key[:0], names[telling.client()], telling.kind(), telling.id)
		old := bucket.Get(key)
		if old != nil && (!exactly(telling.kind()) || toldSecond(old) >= telling.at) {
			continue
		}
		if err := t.put(bucket, key, seqKey(uint64(telling.at))); err != nil {
			return err
		}
	}
	return nil
}

// period is the bucket of a half hour.
func (t *outboxTx) period(p int64) (*bolt.Bucket, error) {
	k := seqKey(uint64(p))
	if b := t.told.Bucket(k); b != nil {
		return b, nil
	}
	t.wrote = true
	b, err := t.told.CreateBucket(k)
	if err != nil {
		return nil, fmt.Errorf("half hour of what was told: %w", err)
	}
	return b, nil
}

// appendToldKey is client | kind (1) | id (8): what one client was told stands
// together, and as the end has a fixed length, no two are the same.
func appendToldKey(k []byte, client string, kind byte, id int64) []byte {
	k = append(k, client...)
	k = append(k, kind)
	return binary.BigEndian.AppendUint64(k, uint64(id))
}

func toldSecond(v []byte) int64 { return int64(binary.BigEndian.Uint64(v)) }

// WasTold tells whether a client was told of a ticket or a person within a time
// before now, also before a restart.
//
// What an answer told of is kept by the half hour: it counts for at least
// within, and for less than half an hour longer. What a search has returned is
// kept to the second. Nothing is kept for longer than outbox.ToldFor. It costs
// a look into each half hour on disk where memory does not know.
func (o *Outbox) WasTold(client string, kind outbox.Told, id int64, within time.Duration) (bool, error) {
	k := toldByte(kind)
	if k == 0 {
		return false, fmt.Errorf("no kind of telling: %.16q", kind)
	}
	if len(client) > toldClientMost {
		return false, nil
	}
	since := max(0, o.clock().Add(-within).Unix())
	if o.ledger.knows(client, k, id, since) {
		return true, nil
	}
	found := false
	err := o.db.View(func(tx *bolt.Tx) error {
		periods := tx.Bucket(outboxTold)
		key := appendToldKey(nil, client, k, id)
		c := periods.Cursor()
		for p, _ := c.Last(); p != nil && toldSecond(p) >= since/toldPeriod; p, _ = c.Prev() {
			v := periods.Bucket(p).Get(key)
			if v == nil {
				continue
			}
			found = !exactly(k) || toldSecond(v) >= since
			return nil // in the half hours before it was told of earlier still
		}
		return nil
	})
	return found, closed(err)
}

// pruneTold drops one half hour that nobody asks for any more.
func (t *outboxTx) pruneTold(now time.Time) (n int, next []byte, err error) {
	p, _ := t.told.Cursor().First()
	// One half hour more than can be asked for: a clock may be set back a little.
	if p == nil || toldSecond(p) >= now.Add(-outbox.ToldFor).Unix()/toldPeriod-1 {
		return 0, nil, nil
	}
	next = slices.Clone(p) // bbolt's own bytes end with the deletion
	t.wrote = true
	if err := t.told.DeleteBucket(next); err != nil {
		return 0, nil, fmt.Errorf("half hour of what was told: %w", err)
	}
	return 1, next, nil
}
