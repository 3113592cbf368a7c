package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/caller"
)

// What is listed here is read by the full run, the identities' readers and the
// audit, which ask Zendesk of it. None of it names somebody who was erased.

// listStep bounds how many records one call looks at: some milliseconds, so
// that no long reader keeps what was freed from being used again.
const listStep = 10_000

// Due lists users whose identities are still to be read, in the order of their
// ids, after the given one.
func (s *Store) Due(after int64, limit int) (ids []int64, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketDue).Cursor()
		for k, _ := c.Seek(idKey(after + 1)); k != nil && len(ids) < limit; k, _ = c.Next() {
			if id := keyID(k); !erased(tx, id) {
				ids = append(ids, id)
			}
		}
		return nil
	})
	return ids, err
}

// IDs lists the living users or the unresolved tickets that the mirror holds,
// in the order of their ids, after the given one.
func (s *Store) IDs(stream caller.Stream, after int64, limit int) (ids []int64, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		l := list{stream, gravesOf(tx)}
		c := tx.Bucket(recordsOf(stream)).Cursor()
		for k, v := c.Seek(idKey(after + 1)); k != nil && len(ids) < limit; k, v = c.Next() {
			h, err := l.head(k, v)
			if err != nil {
				return err
			}
			if h.State == here {
				ids = append(ids, keyID(k))
			}
		}
		return nil
	})
	return ids, err
}

// Unseen lists the living users or the unresolved tickets, after the given id
// and in the order of their ids, that no source has confirmed since a moment.
// A call looks at 10,000 records at the most: next is the id after which to go
// on, and 0 once there are no more.
func (s *Store) Unseen(stream caller.Stream, since time.Time, after int64) (ids []int64, next int64, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		looked, l := 0, list{stream, gravesOf(tx)}
		c := tx.Bucket(recordsOf(stream)).Cursor()
		for k, v := c.Seek(idKey(after + 1)); k != nil; k, v = c.Next() {
			if looked++; looked > listStep {
				return nil
			}
			next = keyID(k)
			h, err := l.head(k, v)
			if err != nil {
				return err
			}
			if h.State == here && h.Seen < since.UnixMilli() {
				ids = append(ids, next)
			}
		}
		next = 0
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	return ids, next, nil
}

// OpenTickets lists the unresolved tickets of a user, newest creation first;
// all of them, however many.
func (s *Store) OpenTickets(userID int64) (ids []int64, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		if erased(tx, userID) {
			return nil
		}
		prefix := idKey(userID)
		c := tx.Bucket(bucketByCreated).Cursor()
		for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
			ids = append(ids, orderKeyTicket(k))
		}
		return nil
	})
	return ids, err
}

// Holders lists everybody who has a number in E.164, of any role, in the order
// of their ids; all of them, however many.
func (s *Store) Holders(e164 string) (ids []int64, err error) {
	number, err := packNumber(e164)
	if err != nil {
		return nil, err
	}
	err = s.db.View(func(tx *bolt.Tx) error {
		prefix := binary.BigEndian.AppendUint64(make([]byte, 0, 8), number)
		c := tx.Bucket(bucketPhones).Cursor()
		for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
			if id := keyID(k[8:]); !erased(tx, id) {
				ids = append(ids, id)
			}
		}
		return nil
	})
	return ids, err
}

func recordsOf(stream caller.Stream) []byte {
	if stream == caller.Tickets {
		return bucketTickets
	}
	return bucketUsers
}

// list reads the records of a stream for a list.
type list struct {
	stream caller.Stream
	graves graves
}

// head reads the beginning of a record, which is all that a list needs. What
// belongs to somebody who was erased is given as having left.
func (l list) head(k, v []byte) (head, error) {
	d := decoder{b: v}
	h := d.head()
	owner := keyID(k)
	if l.stream == caller.Tickets {
		owner = d.int()
	}
	if d.err != nil {
		return head{}, fmt.Errorf("%s %d: %w", l.stream, keyID(k), d.err)
	}
	if h.State == here && l.graves.hold(owner) {
		h.State = left
	}
	return h, nil
}
