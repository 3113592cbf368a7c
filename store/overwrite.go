package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
)

// What was deleted can still be read in the pages that the deletion has freed,
// and free pages hold earlier versions of what has changed since, too. So after
// an erasure the free pages are overwritten with zeros, in place: a compaction
// without a second file. A copy would need as much space again, block the writer
// for as long as it takes, and leave the old blocks on the disk, unlinked and
// readable.
//
// An overwriting is a walk. The writer names the pages that are free; what is
// on them is read beside the writer; those that hold something are overwritten
// in short steps, each in the writer between two transactions, where it is
// looked at once more whether the page is free; after each step the disk is
// waited for, beside the writer again. overwrite_pages.go has the pages and why
// they may be written to.
//
// In the file's meta bucket, "overwrite" says that there is something to
// overwrite: a number that every erasure raises, in the transaction in which it
// deletes, and that is taken away once a walk that began after that has come to
// its end.

var keyOverwrite = []byte("overwrite")

// overwriteStep is how many pages are overwritten at once: 2 MB of pages of
// 4 KB. Writing them takes the writer a millisecond, and the sync of whoever
// writes next at most what 2 MB take on the disk.
const overwriteStep = 512

// busyPoll is how often a reader that must end first is looked at.
const busyPoll = 5 * time.Millisecond

// overwriter overwrites the free pages of one file.
type overwriter struct {
	file *file
	meta []byte // the name of the bucket that has the mark
	// between runs work in the writer between two transactions, the first of
	// which it commits for that: nobody else writes meanwhile.
	between func(ctx context.Context, work func() error) error
	// edit runs work in a transaction of the writer's.
	edit func(ctx context.Context, work func(*bolt.Tx) error) error

	// patience is how long a walk waits at a time, for readers or the writer,
	// before it gives up and says for what. The walk itself may take as long as
	// it takes: begun anew, it would take as long again.
	patience time.Duration
	freed    atomic.Uint64 // see Store.Freed
	turn     sync.Mutex    // one walk at a time
}

// patience leaves its answer, which is why nothing is overwritten yet, well
// within the minute by which an erasure promises it.
const patience = 20 * time.Second

// Overwrite overwrites all pages of the file that are free, and returns how many
// of them had something on them: nothing that was deleted before it was called
// can be read in the file any more. It works in short steps between which
// others write, and waits for readers that are older than what is deleted, such
// as a backup, for 20 s at a time at most, and no longer than ctx lasts; the
// error says so then.
//
// It reaches what the file system shows as the file. Where a disk, a snapshot or
// a file system that copies on write keeps older blocks, it does not reach those.
func (s *Store) Overwrite(ctx context.Context) (pages int, err error) {
	pages, err = s.over.walk(ctx)
	return pages, closed(err)
}

// OverwriteDue tells whether something was erased that no Overwrite has covered
// yet, in this process or before it.
func (s *Store) OverwriteDue() bool { return s.over.due() }

// Freed counts the times that an erasure of this process has freed something
// that is to be overwritten. Where it stands still across an Erase, that found
// nothing to take out, and whatever an earlier one has freed is all there is.
func (s *Store) Freed() uint64 { return s.over.freed.Load() }

// toOverwrite raises the mark.
func (t *transaction) toOverwrite() error { return raiseMark(t.bucket(bucketMeta)) }

func raiseMark(meta *bolt.Bucket) error {
	return meta.Put(keyOverwrite, binary.BigEndian.AppendUint64(nil, markOf(meta)+1))
}

// markOf is 0 where nothing is to be overwritten.
func markOf(meta *bolt.Bucket) uint64 {
	v := meta.Get(keyOverwrite)
	if len(v) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(v)
}

// overwriting is the mirror's.
func (s *Store) overwriting() *overwriter {
	return &overwriter{
		file: s.db, meta: bucketMeta, patience: patience,
		between: func(ctx context.Context, work func() error) error {
			var failed error
			_, err := s.submit(ctx, s.bulk, func(t *transaction) error {
				t.tx.OnCommit(func() { failed = work() })
				return nil
			})
			if err != nil {
				return err // failed may be the writer's still
			}
			return failed
		},
		edit: func(ctx context.Context, work func(*bolt.Tx) error) error {
			_, err := s.submit(ctx, s.bulk, func(t *transaction) error { return work(t.tx) })
			return err
		},
	}
}

func (o *overwriter) mark() (mark uint64, err error) {
	err = o.file.View(func(tx *bolt.Tx) error {
		mark = markOf(tx.Bucket(o.meta))
		return nil
	})
	return mark, err
}

func (o *overwriter) due() bool {
	mark, err := o.mark()
	return err == nil && mark != 0
}

func (o *overwriter) walk(ctx context.Context) (pages int, err error) {
	o.turn.Lock()
	defer o.turn.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, waitedFor("its turn", err)
	}
	mark, err := o.mark()
	if err != nil {
		return 0, err
	}
	plan := new(freePages)
	err = o.step(ctx, func() (err error) {
		*plan, err = o.file.freePages()
		return err
	})
	if err != nil {
		return 0, err
	}
	for chunk := range o.file.written(plan) {
		if err := ctx.Err(); err != nil {
			return pages, waitedFor("the disk", err)
		}
		n, err := o.overwrite(ctx, chunk)
		pages += n
		if err != nil {
			return pages, err
		}
	}
	if plan.err != nil {
		return pages, fmt.Errorf("read the free pages: %w", plan.err)
	}
	return pages, o.settle(ctx, mark)
}

// overwrite overwrites a few pages, and waits until that is on disk.
func (o *overwriter) overwrite(ctx context.Context, chunk []uint64) (int, error) {
	for {
		if err := o.outlast(ctx); err != nil {
			return 0, err
		}
		n := 0 // the writer's, where ctx ends first
		err := o.step(ctx, func() (err error) {
			n, err = o.file.overwrite(chunk)
			return err
		})
		if errors.Is(err, errBeingRead) {
			continue // it began a moment ago; outlast waits for it beside the writer
		}
		if err != nil {
			return 0, err
		}
		return n, o.file.raw.Sync()
	}
}

// step is between, with its wait explained.
func (o *overwriter) step(ctx context.Context, work func() error) error {
	ctx, cancel := context.WithTimeout(ctx, o.patience)
	defer cancel()
	err := o.between(ctx, work)
	if err != nil && ctx.Err() != nil {
		return waitedFor("the writer", err)
	}
	return err
}

// outlast waits until every reader has ended that had begun before.
func (o *overwriter) outlast(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, o.patience)
	defer cancel()
	ticker := time.NewTicker(busyPoll)
	defer ticker.Stop()
	var ended error
	o.file.readers.outlast(func() bool {
		select {
		case <-ticker.C:
			return true
		case <-ctx.Done():
			ended = waitedFor("a long reading of the file, such as a backup, to end", ctx.Err())
			return false
		}
	})
	return ended
}

func waitedFor(what string, err error) error {
	return fmt.Errorf("overwriting what was erased waited for %s: %w", what, err)
}

// settle takes the mark away, unless something was erased since it was read.
func (o *overwriter) settle(ctx context.Context, mark uint64) error {
	if mark == 0 {
		return nil
	}
	return o.edit(ctx, func(tx *bolt.Tx) error {
		if meta := tx.Bucket(o.meta); markOf(meta) == mark {
			return meta.Delete(keyOverwrite)
		}
		return nil
	})
}

// written reads the pages of a plan and yields those that are not empty, in
// order and overwriteStep at a time. What is written meanwhile may be seen or
// not: a page that is in use by now is left alone later, and one that was in
// use and is free again holds nothing from before the walk.
func (f *file) written(plan *freePages) func(yield func([]uint64) bool) {
	size := f.Info().PageSize
	return func(yield func([]uint64) bool) {
		var (
			chunk []uint64
			buf   = make([]byte, runMost*size)
			zero  = make([]byte, size)
		)
		for first, n := range runs(plan.all()) {
			read, err := f.raw.ReadAt(buf[:n*size], int64(first)*int64(size))
			if read < n*size && err != nil {
				plan.err = err
				return
			}
			for i := range n {
				if bytes.Equal(buf[i*size:(i+1)*size], zero) {
					continue
				}
				if chunk = append(chunk, first+uint64(i)); len(chunk) == overwriteStep {
					if !yield(chunk) {
						return
					}
					chunk = chunk[:0]
				}
			}
		}
		if len(chunk) > 0 {
			yield(slices.Clip(chunk))
		}
	}
}
