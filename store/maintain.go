package store

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	bolt "go.etcd.io/bbolt"
)

// pruneLimit keeps one transaction of forgetting well under 50 ms.
const pruneLimit = 2000

// Prune forgets the stubs of what left longer ago than KeepResolved, in short
// transactions, and returns how many went.
func (s *Store) Prune(ctx context.Context) (int, error) {
	total := 0
	for {
		n := 0
		_, err := s.submit(ctx, s.bulk, func(t *transaction) (err error) {
			n, err = t.prune(pruneLimit)
			return err
		})
		if err != nil {
			return total, err // n may still be the writer's
		}
		if total += n; n < pruneLimit {
			return total, nil
		}
	}
}

func (t *transaction) prune(limit int) (int, error) {
	before := t.now.Add(-t.keep)
	var stubs [][]byte
	c := t.bucket(bucketLeft).Cursor()
	for k, _ := c.First(); k != nil && len(stubs) < limit; k, _ = c.Next() {
		if at, _, _ := parseLeftKey(k); at >= before.Unix() {
			break
		}
		stubs = append(stubs, append([]byte(nil), k...))
	}
	for _, k := range stubs {
		_, kind, id := parseLeftKey(k)
		bucket := bucketUsers
		if kind == kindTicket {
			bucket = bucketTickets
		}
		if err := t.bucket(bucket).Delete(idKey(id)); err != nil {
			return 0, err
		}
		if err := t.bucket(bucketChecked).Delete(idKey(id)); kind == kindUser && err != nil {
			return 0, err
		}
		if err := t.bucket(bucketLeft).Delete(k); err != nil {
			return 0, err
		}
	}
	return len(stubs), nil
}

// Backup writes a consistent copy of the store while it runs, and returns its
// size in bytes. Lookups and writes go on; what is freed meanwhile is not used
// again before the copy is done, so that the file may grow.
//
// The copy has the free pages too. What was erased and is not overwritten yet
// is overwritten first, so that nobody who is erased is in a backup that was
// begun after that; where it cannot be, as while another backup is being read,
// there is no backup, and nothing is written to w.
func (s *Store) Backup(ctx context.Context, w io.Writer) (n int64, err error) {
	if s.OverwriteDue() {
		if _, err := s.Overwrite(ctx); err != nil {
			return 0, fmt.Errorf("no backup yet: %w", err)
		}
	}
	err = s.db.View(func(tx *bolt.Tx) error {
		n, err = tx.WriteTo(&stopping{ctx, w})
		return err
	})
	return n, err
}

// stopping is a writer that ends with its context.
type stopping struct {
	ctx context.Context //nolint:containedctx // io.Writer has no place for it
	w   io.Writer
}

func (s *stopping) Write(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.w.Write(p)
}

// reindexStep is how many users one transaction of re-indexing takes.
const reindexStep = 5000

// reindex reads every phone anew where the rules for reading them are not those
// that the index was made with. Nothing is served meanwhile. The new rules are
// noted at the end only, so that an interrupted run begins again.
func (s *Store) reindex(o Options) error {
	var rules string
	err := s.db.View(func(tx *bolt.Tx) error {
		rules = string(tx.Bucket(bucketMeta).Get(metaPhones))
		return nil
	})
	if err != nil || rules == o.KeyRules {
		return err
	}
	began := s.clock()
	users, last := 0, int64(-1)
	for done := false; !done; {
		err := s.db.Update(func(tx *bolt.Tx) error {
			t, err := s.begin(tx)
			if err != nil {
				return err
			}
			n, next, err := t.reindex(last, o.Key)
			if err != nil {
				return err
			}
			last, users, done = next, users+n, n < reindexStep
			if done {
				if err := tx.Bucket(bucketMeta).Put(metaPhones, []byte(o.KeyRules)); err != nil {
					return err
				}
			}
			return writeSize(tx, t.size)
		})
		if err != nil {
			return err
		}
	}
	o.Logger.Info("phones read anew by the rules now configured",
		slog.Int("users", users), slog.Duration("took", s.clock().Sub(began)))
	return nil
}

// reindex reads the phones of one step of users, after the given id.
func (t *transaction) reindex(after int64, key func(string) (string, bool)) (n int, last int64, err error) {
	c := t.bucket(bucketUsers).Cursor()
	for k, v := c.Seek(idKey(after + 1)); k != nil && n < reindexStep; k, v = c.Next() {
		n++
		last = keyID(k)
		held, err := decodeUser(last, v)
		if err != nil {
			return n, last, fmt.Errorf("user %d: %w", last, err)
		}
		if held.State != here {
			continue
		}
		next := *held
		next.Number, _ = key(held.User.Phone)
		next.IdentityNumbers = nil
		for _, phone := range held.IdentityPhones {
			if e164, ok := key(phone); ok {
				next.IdentityNumbers = append(next.IdentityNumbers, e164)
			}
		}
		if !sameUser(held, &next) {
			t.users[last] = &userEdit{before: held, after: &next, dirty: true}
		}
	}
	return n, last, t.flush()
}
