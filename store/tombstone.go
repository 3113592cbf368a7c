package store

import bolt "go.etcd.io/bbolt"

// erased tells whether a user has been erased: a tombstone stands for them, and
// nothing of them may be written, whatever its version, until it is lifted.
func (t *transaction) erased(userID int64) bool { return erased(t.tx, userID) }

func erased(tx *bolt.Tx, userID int64) bool {
	return tx.Bucket(bucketTombstones).Get(idKey(userID)) != nil
}

// graves are the tombstones as a reader of many records asks for them: mostly
// there are none at all.
type graves struct {
	bucket *bolt.Bucket
	none   bool
}

func gravesOf(tx *bolt.Tx) graves {
	b := tx.Bucket(bucketTombstones)
	first, _ := b.Cursor().First()
	return graves{b, first == nil}
}

func (g graves) hold(userID int64) bool {
	return !g.none && g.bucket.Get(idKey(userID)) != nil
}
