package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/caller"
)

func TestPruneForgetsOldStubsOnly(t *testing.T) {
	now := noon
	s := open(t, func(o *Options) { o.Clock = func() time.Time { return now } })
	var b caller.Batch
	for i := range int64(3000) {
		b.Users = append(b.Users, deleted(user(i+1, "x", "", 0)))
	}
	apply(t, s, b)
	now = noon.Add(100 * time.Hour)
	apply(t, s, caller.Batch{Tickets: []caller.TicketUpdate{ticket(1, 1, "solved", 1)}})
	now = noon.Add(200 * time.Hour)
	n, err := s.Prune(t.Context())
	if n != 3000 || err != nil {
		t.Errorf("forgot %d stubs, error %v; want 3000", n, err)
	}
}

func TestStubsHoldNoText(t *testing.T) {
	s := open(t)
	apply(t, s, caller.Batch{
		Users:   []caller.UserUpdate{identities(user(1, "Wilhelmina", numberA, 0), 0, numberB)},
		Tickets: []caller.TicketUpdate{ticket(10, 1, "open", 1)},
	})
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{deleted(user(1, "Wilhelmina", numberA, 2))}, Tickets: []caller.TicketUpdate{ticket(10, 1, "deleted", 2)}})
	err := s.db.View(func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bolt.Bucket) error {
			return b.ForEach(func(k, v []byte) error {
				for _, text := range []string{"Wilhelmina", "ticket 10", "555"} {
					if bytes.Contains(v, []byte(text)) {
						t.Errorf("bucket %s still holds %q", name, text)
					}
				}
				return nil
			})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPositionMovesWithTheData(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s, err := Open(options(path))
	if err != nil {
		t.Fatal(err)
	}
	p := caller.Position{Stream: caller.Users, Cursor: "abc", Complete: true, Watermark: at(1)}
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{user(1, "Ann", numberA, 0)}, Position: &p})
	equal(t, "position at hand", s.Streams().Users, p)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(options(path)); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	equal(t, "position after a restart", s.Streams().Users, p)
	equal(t, "the other stream", s.Streams().Tickets, caller.Position{Stream: caller.Tickets})
	equal(t, "who has the number after a restart", names(t, s, numberA), []string{"Ann"})
}

func TestFileIsItsOwnersAndOpenedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "a.db")
	s, err := Open(options(path))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, error %v; want 0600", info.Mode(), err)
	}
	if _, err := Open(options(path)); !errors.Is(err, ErrLocked) {
		t.Errorf("a second Open says %v, want ErrLocked", err)
	}
}

func TestUnknownSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s, err := Open(options(path))
	if err != nil {
		t.Fatal(err)
	}
	err = s.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Put(metaSchema, []byte("99")) })
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(options(path)); !errors.Is(err, ErrSchema) {
		t.Errorf("Open says %v, want ErrSchema", err)
	}
	foreign := filepath.Join(t.TempDir(), "b.db")
	db, err := bolt.Open(foreign, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("else")); return err })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(options(foreign)); !errors.Is(err, ErrSchema) {
		t.Errorf("Open of another program's file says %v, want ErrSchema", err)
	}
	text := filepath.Join(t.TempDir(), "c.db")
	if err := os.WriteFile(text, bytes.Repeat([]byte("no database "), 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(options(text)); err == nil {
		t.Error("Open of a file that is no database succeeds")
	}
}

func TestPhonesAreReadAnewWhenTheRulesChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s, err := Open(options(path))
	if err != nil {
		t.Fatal(err)
	}
	national := user(1, "Ann", "", 0)
	national.User.Phone = "5135557611"
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{national, identities(user(2, "Bob", "", 0), 0)}})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	o := options(path)
	o.KeyRules = "2"
	o.Key = func(phone string) (string, bool) { return "+1" + phone, phone != "" }
	if s, err = Open(o); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	equal(t, "by the new rules", names(t, s, numberA), []string{"Ann"})
	equal(t, "unreadable phones", s.Size().UnreadablePhones, int64(0))
	if err := s.Verify(); err != nil {
		t.Error(err)
	}
}

func TestBackupIsAWholeStore(t *testing.T) {
	s := open(t)
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{user(1, "Ann", numberA, 0)}})
	path := filepath.Join(t.TempDir(), "copy.db")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Backup(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	restored, err := Open(options(path))
	if err != nil {
		t.Fatal(err)
	}
	defer restored.Close()
	equal(t, "who has the number in the copy", names(t, restored, numberA), []string{"Ann"})
}
