package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/caller"
)

// Explain reads all people of a number, of any role and [caller.MaxMatches] at
// the most, as Match reads them, with where the number is from and how old
// what is known of them is: one consistent state. Why somebody is withheld is
// the resolver's to say.
func (s *Store) Explain(e164 string) ([]caller.Held, error) {
	number, err := packNumber(e164)
	if err != nil {
		return nil, err
	}
	var all []caller.Held
	err = s.db.View(func(tx *bolt.Tx) error {
		r := reader{tx: tx}
		prefix := binary.BigEndian.AppendUint64(make([]byte, 0, 8), number)
		c := tx.Bucket(bucketPhones).Cursor()
		room := maxShared
		for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix) && len(all) < caller.MaxMatches; k, v = c.Next() {
			held, ok, err := r.held(keyID(k[8:]), room)
			if err != nil {
				return err
			}
			if ok {
				held.By = sourceName(v)
				room -= len(held.Caller.Open)
				all = append(all, held)
			}
		}
		return nil
	})
	return all, err
}

func (r *reader) held(id int64, room int) (caller.Held, bool, error) {
	c, ok, err := r.caller(id, nil, room)
	if err != nil || !ok || erased(r.tx, id) {
		return caller.Held{}, false, err
	}
	u, err := decodeUser(id, r.tx.Bucket(bucketUsers).Get(idKey(id)))
	if err != nil {
		return caller.Held{}, false, fmt.Errorf("user %d: %w", id, err)
	}
	held := caller.Held{
		Caller: c, Version: u.Version,
		IdentitiesDue: r.tx.Bucket(bucketDue).Get(idKey(id)) != nil,
	}
	if u.IdentitiesSent != 0 {
		held.IdentitiesSeen = time.Unix(0, u.IdentitiesSent)
	}
	return held, true, nil
}

// sourceName says how a person has a number, by the value of the phone index.
func sourceName(v []byte) string {
	if len(v) != 1 {
		return ""
	}
	switch v[0] {
	case fromProfile:
		return caller.ByProfile
	case fromIdentity:
		return caller.ByIdentity
	case fromProfile | fromIdentity:
		return caller.ByBoth
	default:
		return ""
	}
}
