package store

import (
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/outbox"
)

// Record is the record with an id; false where there is none.
func (o *Outbox) Record(id string) (outbox.Record, bool, error) {
	var held *heldRecord
	err := o.db.View(func(tx *bolt.Tx) (err error) {
		held, err = byID(tx.Bucket(outboxRecords), tx.Bucket(outboxIDs), id)
		return err
	})
	if err != nil || held == nil {
		return outbox.Record{}, false, closed(err)
	}
	return held.Record, true, nil
}

// Queued are the records that may be delivered next: the first that is queued
// in each lane, in the order of their acceptance, whether or not their NextTry
// has come. A limit of 0 is none at all: every lane's.
//
// The heads have an index of their own, so that the cost is that of reading
// limit records, whatever waits behind them and in however many lanes. A
// record that cannot be read holds up its own lane only: the others are
// returned beside the error.
func (o *Outbox) Queued(limit int) ([]outbox.Record, error) {
	var heads []outbox.Record
	err := o.db.View(func(tx *bolt.Tx) error {
		records := tx.Bucket(outboxRecords)
		var damaged error
		c := tx.Bucket(outboxHeads).Cursor()
		for k, _ := c.First(); k != nil && (limit <= 0 || len(heads) < limit); k, _ = c.Next() {
			held, err := bySeq(records, keySeq(k))
			if err != nil {
				damaged = errors.Join(damaged, err)
				continue
			}
			heads = append(heads, held.Record)
		}
		return damaged
	})
	return heads, closed(err)
}

// List are the records of a state, or of all where it is "", newest first:
// those that were accepted before a place (Record.Seq), or all where that is 0.
// A limit of 0 is none at all. A record that cannot be read is left out, and
// the others are returned beside the error.
func (o *Outbox) List(state outbox.State, before uint64, limit int) ([]outbox.Record, error) {
	if state != "" && stateByte(state) == 0 {
		return nil, fmt.Errorf("no state of a record: %.16q", state)
	}
	var list []outbox.Record
	err := o.db.View(func(tx *bolt.Tx) error {
		records := tx.Bucket(outboxRecords)
		var damaged error
		for seq := range newestFirst(tx, state, before) {
			if limit > 0 && len(list) == limit {
				break
			}
			held, err := bySeq(records, seq)
			if err != nil {
				damaged = errors.Join(damaged, err)
				continue
			}
			list = append(list, held.Record)
		}
		return damaged
	})
	return list, closed(err)
}

// newestFirst walks the places of a state down from before.
func newestFirst(tx *bolt.Tx, state outbox.State, before uint64) func(yield func(uint64) bool) {
	if before == 0 {
		before = ^uint64(0)
	}
	bucket, prefix := tx.Bucket(outboxRecords), []byte(nil)
	if state != "" {
		bucket, prefix = tx.Bucket(outboxByState), []byte{stateByte(state)}
	}
	return func(yield func(uint64) bool) {
		c := bucket.Cursor()
		k, _ := c.Seek(append(prefix, seqKey(before)...))
		if k == nil {
			k, _ = c.Last()
		} else {
			k, _ = c.Prev()
		}
		for ; k != nil && (state == "" || k[0] == prefix[0]); k, _ = c.Prev() {
			if !yield(keySeq(k[len(prefix):])) {
				return
			}
		}
	}
}
