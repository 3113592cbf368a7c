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
// This file: opening and closing. schema.go: the layout. apply.go, users.go,
// tickets.go and tombstone.go: what a batch does. writer.go and pace.go: the
// writer. read.go: what a lookup reads; explain.go: what its explanation does.
// list.go, sample.go and compare.go: what the full run and the audit read.
// maintain.go: forgetting, re-indexing, backup. erase.go and tombstones.go:
// taking a person out and keeping them out; overwrite.go: that nothing of them
// can be read in what is left.
package store

import (
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
	// that brought it returns. It must be quick, and may ask the store for no
	// more than Streams and Size.
	OnCommit func(caller.Change)
	// NoSync leaves out fsync: for benchmarks alone.
	NoSync bool
}

// Store is the mirror on disk. All methods may be called from many goroutines.
type Store struct {
	db       *file
	log      *slog.Logger
	clock    func() time.Time
	keep     time.Duration
	onCommit func(caller.Change)

	streams atomic.Pointer[caller.Streams]
	size    atomic.Pointer[caller.Size]

	tombstones tombstones
	over       *overwriter

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
	if err := s.rememberErased(o.Path); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s.over = s.overwriting()
	go s.write()
	return s, nil
}

func openFile(o Options) (*file, error) {
	var (
		last error
		f    = new(file)
	)
	for _, size := range mapSizes {
		db, err := bolt.Open(o.Path, 0o600, &bolt.Options{
			Timeout:         time.Millisecond, // one try: whoever has it keeps it
			FreelistType:    bolt.FreelistMapType,
			InitialMmapSize: size,
			NoSync:          o.NoSync,
			NoGrowSync:      false,
			OpenFile: func(name string, flag int, mode os.FileMode) (raw *os.File, err error) {
				raw, err = os.OpenFile(name, flag, mode)
				f.raw = raw
				return raw, err
			},
		})
		switch {
		case err == nil:
			if err := os.Chmod(o.Path, 0o600); err != nil {
				return nil, errors.Join(fmt.Errorf("store file mode: %w", err), db.Close())
			}
			f.DB = db
			return f, nil
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
