package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/outbox"
	"aniproxy/internal/status"
)

// The outbox is a file of its own, so that a comment never waits for a batch
// of the mirror, and so that the mirror may be thrown away and filled anew.
//
// This file: opening, closing, the schema and the counts. outbox_accept.go and
// outbox_steps.go: what is written. outbox_index.go: how a record moves between the
// indexes. outbox_writer.go: the writer, which groups what waits into one
// transaction and one fsync. outbox_read.go: what the courier and the
// operator read. outbox_prune.go: forgetting; outbox_erase.go: erasing a
// person. told.go and told_disk.go: who was told what.

// The buckets. All keys are big-endian; a seq is a record's place among all.
//
//	meta      "outbox" → version; "overwrite" → see overwrite.go
//	records   seq → record, see outbox_record.go
//	ids       id → seq
//	by_state  state | seq → when it was accepted where it is queued
//	settled   state | when, in seconds | seq → nothing: what may be forgotten, in order
//	lanes     kind | ticket or requester | seq → nothing: what is queued, in order
//	heads     seq → lane: the first that is queued in each lane
//	same      digest → until | seq: the first of those that are the same; a seq
//	          of 0 where it was erased
//	same_due  until | digest → nothing: digests in the order of forgetting
//	told      period → bucket of client | kind | id → when
var (
	outboxMeta    = []byte("meta")
	outboxRecords = []byte("records")
	outboxIDs     = []byte("ids")
	outboxByState = []byte("by_state")
	outboxSettled = []byte("settled")
	outboxLanes   = []byte("lanes")
	outboxHeads   = []byte("heads")
	outboxSame    = []byte("same")
	outboxSameDue = []byte("same_due")
	outboxTold    = []byte("told")

	outboxBuckets = [][]byte{
		outboxMeta, outboxRecords, outboxIDs, outboxByState, outboxSettled, outboxLanes, outboxHeads,
		outboxSame, outboxSameDue, outboxTold,
	}

	metaOutbox = []byte("outbox")
)

// OutboxSchema is the version of the outbox's layout that this build reads and
// writes.
const OutboxSchema = 1

// OutboxFullError refuses a record because too many wait already.
type OutboxFullError struct {
	Max int // how many may wait
}

func (e *OutboxFullError) Error() string {
	return fmt.Sprintf("the outbox is full: %d records wait for their delivery", e.Max)
}

// OutboxStateError refuses a step that no record may take.
type OutboxStateError struct {
	From, To outbox.State
}

func (e *OutboxStateError) Error() string {
	return fmt.Sprintf("a record that is %s cannot become %.16q", e.From, e.To)
}

// OutboxOptions are what OpenOutbox needs; Path and Logger are required.
type OutboxOptions struct {
	Path   string
	Logger *slog.Logger
	Clock  func() time.Time // nil is time.Now
	// KeepDelivered and KeepFailed are for how long a record is kept after it
	// was delivered or failed: 0 is 7 and 90 days, and less than
	// outbox.KeepSame is outbox.KeepSame, for a second intake is answered with
	// the first record.
	KeepDelivered, KeepFailed time.Duration
	MaxQueued                 int // 0 is 100,000
	// OnAccept wakes the courier: it is called after each commit that has put
	// something in the queue. It must be quick and must not call the outbox.
	OnAccept func()
	// FlushTold is how often what was told is written to disk; 0 is 250 ms.
	FlushTold time.Duration
}

// Outbox is what waits to be written to Zendesk, with what has been written,
// and who was told what, on disk. All methods may be called from many
// goroutines.
type Outbox struct {
	db                        *file
	log                       *slog.Logger
	clock                     func() time.Time
	keepDelivered, keepFailed time.Duration
	maxQueued                 int
	onAccept                  func()

	counts atomic.Pointer[outboxCounts]
	ledger ledger
	over   *overwriter

	urgent, slow chan *outboxJob
	closing      chan struct{} // nothing new is taken any more
	closeOnce    sync.Once
	told         chan struct{} // closed by the ledger's goroutine as it ends
	quit         chan struct{} // the writer is to end
	stopped      chan struct{} // closed by the writer as it ends
}

// outboxCounts is what the outbox knows by heart.
type outboxCounts struct {
	queued, failed int
	oldest         int64 // when the first of those queued was accepted, Unix nanoseconds
}

// OpenOutbox opens or creates the outbox and starts its writer. The folder is
// made where it is missing; the file is readable by its owner alone.
//
// It fails at once with [ErrLocked] where another process has the file, and
// with [ErrSchema] where the file's layout is not known.
func OpenOutbox(o OutboxOptions) (*Outbox, error) {
	if err := os.MkdirAll(filepath.Dir(o.Path), 0o700); err != nil {
		return nil, fmt.Errorf("outbox folder: %w", err)
	}
	db, err := openFile(Options{Path: o.Path})
	if err != nil {
		return nil, fmt.Errorf("outbox: %w", err)
	}
	b := &Outbox{
		db: db, log: o.Logger, clock: o.Clock, maxQueued: o.MaxQueued, onAccept: o.OnAccept,
		keepDelivered: max(o.KeepDelivered, outbox.KeepSame), keepFailed: o.KeepFailed,
		urgent: make(chan *outboxJob, outboxGroup), slow: make(chan *outboxJob),
		closing: make(chan struct{}), told: make(chan struct{}), quit: make(chan struct{}), stopped: make(chan struct{}),
	}
	if b.clock == nil {
		b.clock = time.Now
	}
	if b.onAccept == nil {
		b.onAccept = func() {}
	}
	if b.maxQueued <= 0 {
		b.maxQueued = 100_000
	}
	if b.keepFailed <= 0 {
		b.keepFailed = 90 * 24 * time.Hour
	}
	b.keepFailed = max(b.keepFailed, outbox.KeepSame)
	if o.FlushTold <= 0 {
		o.FlushTold = 250 * time.Millisecond
	}
	if err := b.prepare(o.Path); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	b.ledger.prepare()
	b.over = b.overwriting()
	go b.write()
	go b.writeTold(o.FlushTold)
	return b, nil
}

// prepare makes an empty file's buckets, refuses an unknown layout and counts
// what is there.
func (o *Outbox) prepare(path string) error {
	err := o.db.Update(func(tx *bolt.Tx) error {
		if k, _ := tx.Cursor().First(); k == nil {
			return createOutbox(tx)
		}
		meta := tx.Bucket(outboxMeta)
		if meta == nil || meta.Get(metaOutbox) == nil {
			return fmt.Errorf("%w: %s holds something else than an outbox", ErrSchema, path)
		}
		if v := string(meta.Get(metaOutbox)); v != fmt.Sprint(OutboxSchema) {
			return fmt.Errorf("%w %.16q in the outbox %s: this build reads %d", ErrSchema, v, path, OutboxSchema)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return o.recount()
}

func createOutbox(tx *bolt.Tx) error {
	for _, name := range outboxBuckets {
		if _, err := tx.CreateBucket(name); err != nil {
			return fmt.Errorf("create bucket %s: %w", name, err)
		}
	}
	return tx.Bucket(outboxMeta).Put(metaOutbox, fmt.Append(nil, OutboxSchema))
}

// recount reads from disk what is known by heart. It walks the keys of what is
// queued and failed: some 4 ms for 100,000 of them.
func (o *Outbox) recount() error {
	return o.db.View(func(tx *bolt.Tx) error {
		var n outboxCounts
		index := tx.Bucket(outboxByState)
		for state, count := range map[byte]*int{stateQueued: &n.queued, stateFailed: &n.failed} {
			c := index.Cursor()
			for k, _ := c.Seek([]byte{state}); k != nil && k[0] == state; k, _ = c.Next() {
				*count++
			}
		}
		n.oldest = oldestQueued(index)
		o.counts.Store(&n)
		return nil
	})
}

// Status counts what waits and what has failed, as of the last commit. It does
// not touch the disk.
func (o *Outbox) Status() status.Outbox {
	n := *o.counts.Load()
	s := status.Outbox{Queued: uint64(n.queued), Failed: uint64(n.failed)}
	if n.queued > 0 {
		s.Oldest = max(0, o.clock().Sub(time.Unix(0, n.oldest)))
	}
	return s
}

// Close writes to disk what was told, lets the transaction under way end,
// answers all that wait with [ErrClosed] and closes the file. Calling it again
// does nothing.
func (o *Outbox) Close() error {
	var err error
	o.closeOnce.Do(func() {
		close(o.closing)
		<-o.told // its last writing needs the writer
		close(o.quit)
		<-o.stopped
		err = o.db.Close()
	})
	return err
}
