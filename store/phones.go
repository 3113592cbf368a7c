package store

import (
	"bytes"
	"encoding/binary"

	bolt "go.etcd.io/bbolt"
)

// phoneEdit is one number of one user that came, went or changed its source.
type phoneEdit struct {
	number uint64
	edit
}

// phoneEdits lists the difference between a user's numbers before and after.
// What did not change is not written again: half of a write's cost is here.
func phoneEdits(edits []phoneEdit, id int64, before, after map[string]byte) ([]phoneEdit, error) {
	for n := range before {
		if _, stays := after[n]; stays {
			continue
		}
		number, err := packNumber(n)
		if err != nil {
			return nil, err
		}
		edits = append(edits, phoneEdit{number, edit{phoneKey(number, id), nil}})
	}
	for n, source := range after {
		if before[n] == source {
			continue
		}
		number, err := packNumber(n)
		if err != nil {
			return nil, err
		}
		edits = append(edits, phoneEdit{number, edit{phoneKey(number, id), []byte{source}}})
	}
	return edits, nil
}

// writePhones writes the index and keeps the counts of different and of
// shared numbers.
func (t *transaction) writePhones(edits []phoneEdit) error {
	touched := make(map[uint64]int, len(edits)) // sharers before: 0, 1 or 2 for more
	plain := make([]edit, len(edits))
	b := t.bucket(bucketPhones)
	c := b.Cursor()
	for i, e := range edits {
		plain[i] = e.edit
		if _, ok := touched[e.number]; !ok {
			touched[e.number] = sharers(c, e.number)
		}
	}
	if err := write(b, plain); err != nil {
		return err
	}
	c = b.Cursor()
	for number, before := range touched {
		after := sharers(c, number)
		t.size.Numbers += one(after > 0) - one(before > 0)
		t.size.SharedNumbers += one(after > 1) - one(before > 1)
	}
	return nil
}

// sharers counts the users of a number up to two.
func sharers(c *bolt.Cursor, number uint64) int {
	prefix := binary.BigEndian.AppendUint64(nil, number)
	n := 0
	for k, _ := c.Seek(prefix); n < 2 && bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		n++
	}
	return n
}
