package store

import (
	"bytes"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/caller"
)

// Verify reads the whole store and holds every index and count against the
// records: the first disagreement is the error. It reads one state, in one
// read transaction, and takes as long as the file is large: a check for tests,
// for a restored backup and for an operator in doubt.
func (s *Store) Verify() error {
	return s.db.View(func(tx *bolt.Tx) error {
		v := verifier{tx: tx}
		for _, step := range []func() error{v.users, v.phones, v.tickets, v.orders, v.stubs, v.tombstones, v.positions} {
			if err := step(); err != nil {
				return err
			}
		}
		size, err := readSize(tx)
		if err != nil {
			return err
		}
		if v.size != size {
			return fmt.Errorf("counted %+v, noted %+v", v.size, size)
		}
		return nil
	})
}

type verifier struct {
	tx    *bolt.Tx
	size  caller.Size
	keys  int64 // phone keys that the users' records ask for
	stubN int
}

func (v *verifier) each(bucket []byte, f func(k, val []byte) error) error {
	return v.tx.Bucket(bucket).ForEach(f)
}

func (v *verifier) has(bucket, key []byte) bool { return v.tx.Bucket(bucket).Get(key) != nil }

func (v *verifier) stub(kind byte, id int64, h head) error {
	if h.State == here {
		return nil
	}
	v.stubN++
	if !v.has(bucketLeft, leftKey(h.Left, kind, id)) {
		return fmt.Errorf("stub %c%d is not in the order of forgetting", kind, id)
	}
	return nil
}

func (v *verifier) users() error {
	return v.each(bucketUsers, func(k, val []byte) error {
		id := keyID(k)
		u, err := decodeUser(id, val)
		if err != nil {
			return fmt.Errorf("user %d: %w", id, err)
		}
		if err := v.stub(kindUser, id, u.head); err != nil || u.State != here {
			if v.has(bucketUserObjects, k) || v.has(bucketDue, k) {
				return fmt.Errorf("user %d left, and left an object or a debt", id)
			}
			return err
		}
		v.size.Users++
		v.size.UnreadablePhones += one(u.unreadable())
		for n, source := range u.numbers() {
			number, err := packNumber(n)
			if err != nil {
				return fmt.Errorf("user %d: %w", id, err)
			}
			v.keys++
			if got := v.tx.Bucket(bucketPhones).Get(phoneKey(number, id)); !bytes.Equal(got, []byte{source}) {
				return fmt.Errorf("user %d has a number that the index gives as %v, not %v", id, got, source)
			}
		}
		return nil
	})
}

func (v *verifier) phones() error {
	var last []byte
	var sharers int64
	err := v.each(bucketPhones, func(k, _ []byte) error {
		v.keys--
		if !bytes.Equal(last, k[:8]) {
			v.size.Numbers++
			sharers = 0
			last = bytes.Clone(k[:8])
		}
		if sharers++; sharers == 2 {
			v.size.SharedNumbers++
		}
		return nil
	})
	if err == nil && v.keys != 0 {
		return fmt.Errorf("the phone index holds %d keys that no user has", -v.keys)
	}
	return err
}

func (v *verifier) tickets() error {
	return v.each(bucketTickets, func(k, val []byte) error {
		id := keyID(k)
		r, err := decodeTicketRecord(val)
		if err != nil {
			return fmt.Errorf("ticket %d: %w", id, err)
		}
		if err := v.stub(kindTicket, id, r.head); err != nil || r.State != here {
			if v.has(bucketTicketObjects, k) {
				return fmt.Errorf("ticket %d left, and left an object", id)
			}
			return err
		}
		v.size.Tickets++
		t, err := decodeTicket(id, v.tx.Bucket(bucketByCreated).Get(orderKey(r.Requester, r.Created, id)))
		if err != nil {
			return fmt.Errorf("ticket %d in the order of creation: %w", id, err)
		}
		if t.RequesterID != r.Requester || t.CreatedAt != r.Created || t.UpdatedAt != r.Updated || !t.Unresolved() {
			return fmt.Errorf("ticket %d and its record differ", id)
		}
		d := decoder{b: v.tx.Bucket(bucketByUpdated).Get(orderKey(r.Requester, r.Updated, id))}
		if d.int() != r.Created || d.err != nil {
			return fmt.Errorf("ticket %d is not in the order of updates", id)
		}
		return nil
	})
}

func (v *verifier) orders() error {
	for _, name := range [][]byte{bucketByCreated, bucketByUpdated} {
		n := int64(0)
		if err := v.each(name, func(_, _ []byte) error { n++; return nil }); err != nil {
			return err
		}
		if n != v.size.Tickets {
			return fmt.Errorf("%s holds %d keys for %d tickets", name, n, v.size.Tickets)
		}
	}
	return nil
}

func (v *verifier) stubs() error {
	n := 0
	if err := v.each(bucketLeft, func(_, _ []byte) error { n++; return nil }); err != nil {
		return err
	}
	if n != v.stubN {
		return fmt.Errorf("the order of forgetting holds %d keys for %d stubs", n, v.stubN)
	}
	return v.each(bucketDue, func(_, _ []byte) error { v.size.IdentitiesDue++; return nil })
}

// tombstones holds that nothing is left of those who were erased: no record, not
// even a stub, and no ticket but as a stub.
func (v *verifier) tombstones() error {
	return v.each(bucketTombstones, func(k, val []byte) error {
		id := keyID(k)
		d := decoder{b: val}
		if d.int(); d.err != nil || len(k) != 8 {
			return fmt.Errorf("tombstone %d: %w", id, errRecord)
		}
		for _, name := range [][]byte{bucketUsers, bucketUserObjects, bucketDue, bucketChecked} {
			if v.has(name, k) {
				return fmt.Errorf("user %d was erased and stands in %s", id, name)
			}
		}
		for _, name := range [][]byte{bucketByCreated, bucketByUpdated} {
			if first, _ := v.tx.Bucket(name).Cursor().Seek(k); bytes.HasPrefix(first, k) {
				return fmt.Errorf("user %d was erased and has tickets in %s", id, name)
			}
		}
		return nil
	})
}

func (v *verifier) positions() error {
	if _, err := readStreams(v.tx); err != nil {
		return err
	}
	var w caller.Sweep
	if err := readJSON(v.tx, keySweep, &w); err != nil {
		return err
	}
	if v.has(bucketPositions, keySweep) && w.Began.IsZero() {
		return fmt.Errorf("a full walk is noted that never began: %w", errRecord)
	}
	var r caller.Round
	return readJSON(v.tx, keyRound, &r)
}
