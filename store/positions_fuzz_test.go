package store

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/caller"
)

// FuzzPositions has arbitrary bytes where the file says how far a stream, a
// full walk and the rolling re-read have come: an error, or something that is
// read the same once it is written again.
func FuzzPositions(f *testing.F) {
	for _, v := range []any{
		caller.Position{Stream: caller.Users, Cursor: "\xff", Start: noon, Complete: true, Watermark: noon},
		caller.Sweep{Began: noon, Cursor: "x", Users: -1}, caller.Round{Began: noon, After: 1<<63 - 1}, caller.Size{},
	} {
		b, err := json.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"Began":"9999-12-31T23:59:60Z","After":1e3}`))
	f.Add([]byte("null"))
	db, err := bolt.Open(filepath.Join(f.TempDir(), "a.db"), 0o600, &bolt.Options{NoSync: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = db.Close() })
	f.Fuzz(func(t *testing.T, b []byte) {
		tx, err := db.Begin(true)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback() }()
		for _, name := range [][]byte{bucketPositions, bucketMeta} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				t.Fatal(err)
			}
		}
		survives(t, tx, b, new(caller.Position), new(caller.Position))
		survives(t, tx, b, new(caller.Sweep), new(caller.Sweep))
		survives(t, tx, b, new(caller.Round), new(caller.Round))
		if err := tx.Bucket(bucketMeta).Put(metaSize, b); err != nil {
			t.Fatal(err)
		}
		size, err := readSize(tx)
		if err != nil {
			return
		}
		if err := writeSize(tx, size); err != nil {
			t.Fatal(err)
		}
		if again, err := readSize(tx); err != nil || again != size {
			t.Errorf("%+v is read again as %+v, %v", size, again, err)
		}
	})
}

func survives(t *testing.T, tx *bolt.Tx, b []byte, v, again any) {
	t.Helper()
	key := []byte("x")
	if err := tx.Bucket(bucketPositions).Put(key, b); err != nil {
		t.Fatal(err)
	}
	if readJSON(tx, key, v) != nil {
		return
	}
	if err := writeJSON(tx, key, v); err != nil {
		t.Fatalf("what was read cannot be written: %v", err)
	}
	if err := readJSON(tx, key, again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(v, again); diff != "" {
		t.Errorf("it is read differently the second time:\n%s", diff)
	}
}
