package store

import (
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// The buckets. All keys are big-endian, see keys.go; all records begin with a
// format byte, see record.go.
//
//	meta            "schema" → version; "phones" → fingerprint of the phone
//	                rules that the index was made with; "size" → counts;
//	                "overwrite" → see overwrite.go
//	positions       stream → cursor, completeness and watermark, as JSON; "sweep"
//	                and "round" → where the full walk and the re-read stand
//	users           user → compact record, or a stub of one that left
//	user_objects    user → Zendesk's own object, slimmed JSON
//	phones          number | user → source: 1 profile, 2 identity, 3 both
//	tickets         ticket → version and place of an unresolved ticket, or a stub
//	ticket_objects  ticket → Zendesk's own object, slimmed JSON
//	by_created      requester | newest created | ticket → compact ticket
//	by_updated      requester | newest updated | ticket → created, to find it above
//	left            when | kind | id → nothing: stubs in the order of forgetting
//	due             user → nothing: whose identities are still to be read
//	checked         user → when all their tickets were last fetched for them alone
//	tombstones      user → when they were erased, Unix seconds: since schema 2
var (
	bucketMeta          = []byte("meta")
	bucketPositions     = []byte("positions")
	bucketUsers         = []byte("users")
	bucketUserObjects   = []byte("user_objects")
	bucketPhones        = []byte("phones")
	bucketTickets       = []byte("tickets")
	bucketTicketObjects = []byte("ticket_objects")
	bucketByCreated     = []byte("by_created")
	bucketByUpdated     = []byte("by_updated")
	bucketLeft          = []byte("left")
	bucketDue           = []byte("due")
	bucketChecked       = []byte("checked")
	bucketTombstones    = []byte("tombstones")

	allBuckets = [][]byte{
		bucketMeta, bucketPositions, bucketUsers, bucketUserObjects, bucketPhones, bucketTickets,
		bucketTicketObjects, bucketByCreated, bucketByUpdated, bucketLeft, bucketDue, bucketChecked,
		bucketTombstones,
	}

	metaSchema = []byte("schema")
	metaPhones = []byte("phones")
	metaSize   = []byte("size")
)

// Schema is the version of the layout above that this build reads and writes.
// A file of schema 1, which has no tombstones, is brought up by Open.
const Schema = 2

// prepare makes an empty file's buckets, brings up an older file and refuses
// one of an unknown schema, indexes anew where the rules for phones have changed, and reads what is kept at hand.
func (s *Store) prepare(o Options) error {
	err := s.db.Update(func(tx *bolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		if meta == nil {
			if k, _ := tx.Cursor().First(); k != nil {
				return fmt.Errorf("%w: %s holds something else", ErrSchema, o.Path)
			}
			return create(tx, o.KeyRules)
		}
		switch v := string(meta.Get(metaSchema)); v {
		case schemaText():
			return nil
		case "1":
			return migrate(tx)
		default:
			return fmt.Errorf("%w %q in %s: this build reads %d", ErrSchema, v, o.Path, Schema)
		}
	})
	if err != nil {
		return err
	}
	if err := s.reindex(o); err != nil {
		return fmt.Errorf("index the phones anew: %w", err)
	}
	return s.db.View(func(tx *bolt.Tx) error {
		streams, err := readStreams(tx)
		if err != nil {
			return err
		}
		size, err := readSize(tx)
		if err != nil {
			return err
		}
		s.streams.Store(&streams)
		s.size.Store(&size)
		return nil
	})
}

func schemaText() string { return fmt.Sprint(Schema) }

func create(tx *bolt.Tx, rules string) error {
	for _, name := range allBuckets {
		if _, err := tx.CreateBucket(name); err != nil {
			return fmt.Errorf("create bucket %s: %w", name, err)
		}
	}
	meta := tx.Bucket(bucketMeta)
	return errors.Join(
		meta.Put(metaSchema, []byte(schemaText())),
		meta.Put(metaPhones, []byte(rules)),
	)
}

// migrate brings a file of schema 1 up: what is new is a bucket that begins
// empty. It is one transaction, so that a kill leaves the old file or the new.
func migrate(tx *bolt.Tx) error {
	for _, name := range allBuckets {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return fmt.Errorf("create bucket %s: %w", name, err)
		}
	}
	return tx.Bucket(bucketMeta).Put(metaSchema, []byte(schemaText()))
}
