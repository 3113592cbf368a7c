// Package store keeps the mirror on disk, in one bbolt file.
//
// Everything that is learnt of Zendesk comes in through [Store.Apply]: a batch
// of users and tickets, and the position in the export after them, are written
// in one transaction. What comes back is a [caller.Change]: the numbers and
// people for whom an answer may now differ. Whoever keeps copies is told of it
// after the commit and before Apply returns (Options.OnCommit).
//
// There is one writer, a goroutine that the store owns. It takes what is
// urgent first, several such batches in one transaction, and a large batch
// only when nothing urgent waits. Readers never wait for it: bbolt gives each
// of them the last committed state, and the memory map is opened far larger
// than the file, because bbolt blocks readers while it maps anew.
//
// This file: opening, closing and the schema. apply.go, users.go and
// tickets.go: what a batch does. writer.go and pace.go: the writer. read.go: what a lookup
// reads. maintain.go: forgetting, re-indexing, backup.
package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"aniproxy/internal/caller"
)

// The buckets. All keys are big-endian, see keys.go; all records begin with a
// format byte, see record.go.
//
//	meta            "schema" → version; "phones" → fingerprint of the phone
//	                rules that the index was made with; "size" → counts
//	positions       stream → cursor, completeness and watermark, as JSON
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

	allBuckets = [][]byte{
		bucketMeta, bucketPositions, bucketUsers, bucketUserObjects, bucketPhones, bucketTickets,
		bucketTicketObjects, bucketByCreated, bucketByUpdated, bucketLeft, bucketDue, bucketChecked,
	}

	metaSchema = []byte("schema")
	metaPhones = []byte("phones")
	metaSize   = []byte("size")
)

// Schema is the version of the layout above that this build reads and writes.
const Schema = 1

const (
	fromProfile  byte = 1
	fromIdentity byte = 2
)

const (
	kindUser   byte = 'u'
	kindTicket byte = 't'
)

var (
	// ErrLocked says that another process has the file open.
	ErrLocked = errors.New("another process has the store open")
	// ErrSchema says that the file was written by a build that this one does
	// not know.
	ErrSchema = errors.New("unknown schema version")
	// ErrClosed says that the store is closing or closed.
	ErrClosed = errors.New("the store is closed")
)

// Options are what Open needs; Path and Logger are required.
type Options struct {
	Path   string
	Logger *slog.Logger
	Clock  func() time.Time // nil is time.Now
	// KeepResolved is how long a stub of what left takes part in comparisons.
	KeepResolved time.Duration
	// Key reads a phone as Zendesk holds it as E.164; KeyRules changes when
	// Key would read some phone differently. A file whose index was made by
	// other rules is indexed anew by Open.
	Key      func(phone string) (e164 string, ok bool)
	KeyRules string
	// OnCommit is told of each change after its commit and before the Apply
	// that brought it returns. It must be quick and must not call the store.
	OnCommit func(caller.Change)
	// NoSync leaves out fsync: for benchmarks alone.
	NoSync bool
}

// Store is the mirror on disk. All methods may be called from many goroutines.
type Store struct {
	db       *bolt.DB
	log      *slog.Logger
	clock    func() time.Time
	keep     time.Duration
	onCommit func(caller.Change)

	streams atomic.Pointer[caller.Streams]
	size    atomic.Pointer[caller.Size]

	pace         pace
	urgent, bulk chan *job
	closing      chan struct{}
	closeOnce    sync.Once
	stopped      chan struct{} // closed by the writer as it ends
}

// mapSizes are tried in turn for the initial memory map. Address space costs
// nothing but must be available: containers and 32-bit machines may refuse.
// A map that is larger than the file will ever be is what keeps a growing
// write from waiting for a long reader, such as a backup, and every new
// reader from waiting for that write.
var mapSizes = []int{64 << 30, 16 << 30, 4 << 30, 0}

// Open opens or creates the store and starts its writer. The folder is made
// where it is missing; the file is readable by its owner alone.
//
// It fails at once with [ErrLocked] where another process has the file, and
// with [ErrSchema] where the file's layout is not known.
func Open(o Options) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(o.Path), 0o700); err != nil {
		return nil, fmt.Errorf("store folder: %w", err)
	}
	db, err := openFile(o)
	if err != nil {
		return nil, err
	}
	s := &Store{
		db: db, log: o.Logger, clock: o.Clock, keep: o.KeepResolved, onCommit: o.OnCommit,
		urgent: make(chan *job, 256), bulk: make(chan *job), closing: make(chan struct{}),
		stopped: make(chan struct{}),
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.onCommit == nil {
		s.onCommit = func(caller.Change) {}
	}
	if err := s.prepare(o); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	go s.write()
	return s, nil
}

func openFile(o Options) (*bolt.DB, error) {
	var last error
	for _, size := range mapSizes {
		db, err := bolt.Open(o.Path, 0o600, &bolt.Options{
			Timeout:         time.Millisecond, // one try: whoever has it keeps it
			FreelistType:    bolt.FreelistMapType,
			InitialMmapSize: size,
			NoSync:          o.NoSync,
			NoGrowSync:      false,
		})
		switch {
		case err == nil:
			if err := os.Chmod(o.Path, 0o600); err != nil {
				return nil, errors.Join(fmt.Errorf("store file mode: %w", err), db.Close())
			}
			return db, nil
		case errors.Is(err, bolterrors.ErrTimeout):
			return nil, fmt.Errorf("%w: %s", ErrLocked, o.Path)
		case errors.Is(err, fs.ErrPermission), errors.Is(err, bolterrors.ErrInvalid),
			errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
			return nil, fmt.Errorf("store %s: %w", o.Path, err)
		}
		last = err
	}
	return nil, fmt.Errorf("store %s: %w", o.Path, last)
}

// prepare makes an empty file's buckets, refuses an unknown schema, indexes
// anew where the rules for phones have changed, and reads what is kept at hand.
func (s *Store) prepare(o Options) error {
	err := s.db.Update(func(tx *bolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		if meta == nil {
			if k, _ := tx.Cursor().First(); k != nil {
				return fmt.Errorf("%w: %s holds something else", ErrSchema, o.Path)
			}
			return create(tx, o.KeyRules)
		}
		if v := string(meta.Get(metaSchema)); v != schemaText() {
			return fmt.Errorf("%w %q in %s: this build reads %d", ErrSchema, v, o.Path, Schema)
		}
		return nil
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

// Close lets the batch under way end, answers all that wait with ErrClosed and
// closes the file. Calling it again does nothing.
func (s *Store) Close() error {
	var err error
	s.closeOnce.Do(func() {
		close(s.closing)
		<-s.stopped
		err = s.db.Close()
	})
	return err
}

// Streams is how far both streams have come, as of the last commit.
func (s *Store) Streams() caller.Streams { return *s.streams.Load() }

// Size counts what the mirror holds, as of the last commit.
func (s *Store) Size() caller.Size {
	size := *s.size.Load()
	if info, err := os.Stat(s.db.Path()); err == nil {
		size.FileBytes = info.Size()
	}
	return size
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
	b := tx.Bucket(bucketPositions).Get([]byte(stream))
	if b == nil {
		return p, nil
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return p, fmt.Errorf("position of %s: %w", stream, err)
	}
	return p, nil
}

func writePosition(tx *bolt.Tx, p caller.Position) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return tx.Bucket(bucketPositions).Put([]byte(p.Stream), b)
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
