package store

import (
	"encoding/json"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/caller"
)

// Where the positions of the full walk and of the rolling re-read stand, beside
// those of the streams.
var (
	keySweep = []byte("sweep")
	keyRound = []byte("round")
)

// Sweep is the full walk under way, as of the last commit; one that has no
// beginning says that there is none.
func (s *Store) Sweep() (w caller.Sweep, err error) {
	err = s.db.View(func(tx *bolt.Tx) error { return readJSON(tx, keySweep, &w) })
	return w, err
}

// Round is where the rolling re-read stands, as of the last commit.
func (s *Store) Round() (r caller.Round, err error) {
	err = s.db.View(func(tx *bolt.Tx) error { return readJSON(tx, keyRound, &r) })
	return r, err
}

func readStreams(tx *bolt.Tx) (caller.Streams, error) {
	users, err := readPosition(tx, caller.Users)
	if err != nil {
		return caller.Streams{}, err
	}
	tickets, err := readPosition(tx, caller.Tickets)
	return caller.Streams{Users: users, Tickets: tickets}, err
}

func readPosition(tx *bolt.Tx, stream caller.Stream) (caller.Position, error) {
	p := caller.Position{Stream: stream}
	return p, readJSON(tx, []byte(stream), &p)
}

// writePositions writes all that says how far something has come. A batch that
// is in doubt leaves the walks that brought it where they stood, so that its
// records come again unless whoever walks has had the doubt settled.
func writePositions(tx *bolt.Tx, b *caller.Batch, doubt bool) error {
	if p := b.Position; p != nil && !doubt {
		if err := writeJSON(tx, []byte(p.Stream), p); err != nil {
			return err
		}
	}
	if w := b.Sweep; w != nil && !doubt {
		if err := keepOrDelete(tx, keySweep, w, !w.Began.IsZero()); err != nil {
			return err
		}
	}
	if r := b.Round; r != nil {
		return keepOrDelete(tx, keyRound, r, *r != caller.Round{})
	}
	return nil
}

func keepOrDelete(tx *bolt.Tx, key []byte, v any, keep bool) error {
	if keep {
		return writeJSON(tx, key, v)
	}
	return tx.Bucket(bucketPositions).Delete(key)
}

// readJSON leaves v as it is where there is nothing of that key.
func readJSON(tx *bolt.Tx, key []byte, v any) error {
	b := tx.Bucket(bucketPositions).Get(key)
	if b == nil {
		return nil
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("position of %s: %w", key, err)
	}
	return nil
}

func writeJSON(tx *bolt.Tx, key []byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return tx.Bucket(bucketPositions).Put(key, b)
}

func readSize(tx *bolt.Tx) (caller.Size, error) {
	var size caller.Size
	b := tx.Bucket(bucketMeta).Get(metaSize)
	if b == nil {
		return size, nil
	}
	if err := json.Unmarshal(b, &size); err != nil {
		return size, fmt.Errorf("size: %w", err)
	}
	return size, nil
}

func writeSize(tx *bolt.Tx, size caller.Size) error {
	b, err := json.Marshal(size)
	if err != nil {
		return err
	}
	return tx.Bucket(bucketMeta).Put(metaSize, b)
}
