package store

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/caller"
)

// Tombstones say who was erased. They are in three places: in the mirror's
// file, where each transaction looks (see tombstone.go); in a journal beside
// it, which outlives the file (see tombstones_journal.go); and in memory, for
// lookups. The journal is written first, and what it says is what holds: where
// a kill came between it and the file, or the file is an older one, Open brings
// the file up.

type tombstones struct {
	mu      sync.Mutex // held from the writing of the journal to that of the file
	journal *journal
	// known are all who are erased, as the journal has them. It is replaced,
	// never changed.
	known atomic.Pointer[map[int64]struct{}]
}

// share has lookups know what the journal says.
func (g *tombstones) share() {
	known := make(map[int64]struct{}, len(g.journal.last))
	for id := range g.journal.last {
		if _, ok := g.journal.erased(id); ok {
			known[id] = struct{}{}
		}
	}
	g.known.Store(&known)
}

// Erased tells whether a user has been erased: true from before their records
// go. It costs a look into memory.
func (s *Store) Erased(id int64) bool {
	_, ok := (*s.tombstones.known.Load())[id]
	return ok
}

// Tombstones lists who was erased and when, in the order of their ids; nothing
// else of an Erasure is filled in.
func (s *Store) Tombstones() (list []caller.Erasure, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketTombstones).ForEach(func(k, v []byte) error {
			at, err := decodeTombstone(v)
			if err != nil {
				return fmt.Errorf("tombstone of %d: %w", keyID(k), err)
			}
			list = append(list, caller.Erasure{UserID: keyID(k), At: unixTime(at)})
			return nil
		})
	})
	return list, closed(err)
}

func encodeTombstone(at int64) []byte {
	e := encoder{}
	e.int(at)
	return e.b
}

func decodeTombstone(b []byte) (at int64, err error) {
	d := decoder{b: b}
	at = d.int()
	return at, d.err
}

// rememberErased reads the journal and brings the file and it to one mind,
// before the writer starts and anybody reads:
//
//   - Somebody whom the journal has erased and the file has not: the file is
//     from before, a restored backup. They are erased again.
//   - Somebody whom the journal has lifted after that: they have no tombstone.
//   - Somebody whom the journal has lifted before the file's tombstone was set:
//     the journal is from before, a restored one. It is told.
//   - Somebody of whom the journal says nothing: it was lost, or the file is
//     from another machine. The journal is told.
//   - Somebody who has a tombstone and records: the erasure was interrupted.
func (s *Store) rememberErased(path string) error {
	j, err := openJournal(journalPath(path))
	if err != nil {
		return err
	}
	s.tombstones.journal = j
	inFile, err := s.Tombstones()
	if err != nil {
		return err
	}
	var untold []journalEntry
	stones := make(map[int64]struct{}, len(inFile))
	for _, e := range inFile {
		stones[e.UserID] = struct{}{}
		if said, ok := j.last[e.UserID]; !ok || said.lifted && said.at < e.At.Unix() {
			untold = append(untold, journalEntry{id: e.UserID, at: e.At.Unix()})
		} else if said.lifted {
			if err := s.alone(func(t *transaction) error { return t.lift(e.UserID) }); err != nil {
				return err
			}
		}
	}
	if len(untold) > 0 {
		if err := j.add(untold...); err != nil {
			return err
		}
	}
	s.tombstones.share()
	again, err := s.eraseAgain(stones)
	if again > 0 {
		s.log.Warn("people who had been erased were in the file, and are erased again: it is a backup from before, or the erasure was interrupted",
			slog.Int("people", again))
	}
	return err
}

// eraseAgain erases those of the erased who have no tombstone in the file, or
// something beside it, and counts those who had something.
func (s *Store) eraseAgain(stones map[int64]struct{}) (again int, err error) {
	for _, id := range s.allErased() {
		_, stone := stones[id]
		remains := false
		err := s.db.View(func(tx *bolt.Tx) error {
			remains = isThere(tx, id)
			return nil
		})
		if err != nil {
			return again, err
		}
		if stone && !remains {
			continue
		}
		at, _ := s.tombstones.journal.erased(id)
		for more := true; more; {
			err := s.alone(func(t *transaction) (err error) {
				step := eraseStep{id: id, at: at, limit: eraseMost}
				more, err = t.erase(&step)
				return err
			})
			if err != nil {
				return again, fmt.Errorf("erase user %d again: %w", id, err)
			}
		}
		if remains {
			again++
		}
	}
	return again, nil
}

// allErased are the erased by ascending id.
func (s *Store) allErased() []int64 {
	known := *s.tombstones.known.Load()
	ids := make([]int64, 0, len(known))
	for id := range known {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// isThere tells whether the file holds anything of a user but stubs of tickets.
func isThere(tx *bolt.Tx, id int64) bool {
	key := idKey(id)
	for _, name := range [][]byte{bucketUsers, bucketUserObjects, bucketDue, bucketChecked} {
		if tx.Bucket(name).Get(key) != nil {
			return true
		}
	}
	k, _ := tx.Bucket(bucketByCreated).Cursor().Seek(key)
	return bytes.HasPrefix(k, key)
}

// alone runs one piece of work in a transaction of its own while there is no
// writer yet.
func (s *Store) alone(do func(*transaction) error) error {
	var size caller.Size
	err := s.db.Update(func(tx *bolt.Tx) error {
		t, err := s.begin(tx)
		if err != nil {
			return err
		}
		if err := errors.Join(do(t), t.flush()); err != nil {
			return err
		}
		size = t.size
		return writeSize(tx, size)
	})
	if err == nil {
		s.size.Store(&size)
	}
	return err
}
