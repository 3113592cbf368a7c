package store

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/outbox"
	"aniproxy/internal/status"
)

func TestOutboxFileIsItsOwnersAndOpenedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "outbox.db")
	o, err := OpenOutbox(outboxOptions(path))
	if err != nil {
		t.Fatal(err)
	}
	defer closeOutbox(t, o)
	for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("mode %v, error %v; want %v", info.Mode(), err, want)
		}
	}
	if _, err := OpenOutbox(outboxOptions(path)); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), path) {
		t.Errorf("a second opening says %v, want ErrLocked with the path", err)
	}
}

func TestUnknownOutboxIsRefused(t *testing.T) {
	dir := t.TempDir()
	newer := filepath.Join(dir, "newer.db")
	o, err := OpenOutbox(outboxOptions(newer))
	if err != nil {
		t.Fatal(err)
	}
	err = o.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(outboxMeta).Put(metaOutbox, []byte("2")) })
	if err := errors.Join(err, o.Close()); err != nil {
		t.Fatal(err)
	}
	mirror := filepath.Join(dir, "mirror.db")
	s, err := Open(options(mirror))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		newer:  `unknown schema version "2" in the outbox ` + newer + `: this build reads 1`,
		mirror: `unknown schema version: ` + mirror + ` holds something else than an outbox`,
	} {
		_, err := OpenOutbox(outboxOptions(name))
		if !errors.Is(err, ErrSchema) {
			t.Fatalf("%s: error %v, want ErrSchema", name, err)
		}
		equal(t, "what is said of it", err.Error(), want)
	}
	text := filepath.Join(dir, "text.db")
	if err := os.WriteFile(text, bytes.Repeat([]byte("no database "), 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenOutbox(outboxOptions(text)); err == nil {
		t.Error("a file that is no database is opened")
	}
}

func TestReopenedOutboxIsAsItWas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	o, err := OpenOutbox(outboxOptions(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a", "b", "c", "d"} {
		accept(t, o, same(comment(id, 7), id, time.Hour))
	}
	settle(t, o, "a", outbox.Delivered)
	settle(t, o, "b", outbox.Failed)
	before, err := o.List("", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	closeOutbox(t, o)

	opts := outboxOptions(path)
	opts.Clock = func() time.Time { return at(30) }
	if o, err = OpenOutbox(opts); err != nil {
		t.Fatal(err)
	}
	defer closeOutbox(t, o)
	after, err := o.List("", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "records", after, before)
	equal(t, "counts", o.Status(), status.Outbox{Queued: 2, Failed: 1, Oldest: 30 * time.Second})
	equal(t, "heads", ids(t)(o.Queued(0)), []string{"c"})
	r, first, err := o.Accept(t.Context(), same(comment("e", 7), "a", time.Hour))
	if r.ID != "a" || first || err != nil {
		t.Errorf("the same again after a restart: %s, first %v, error %v", r.ID, first, err)
	}
	equal(t, "the next place", accept(t, o, comment("f", 7)).Seq, uint64(5))
}

func TestClosedOutboxSaysSo(t *testing.T) {
	o := openOutbox(t)
	accept(t, o, comment("a", 7))
	for range 2 {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	}
	_, _, accepting := o.Accept(t.Context(), comment("b", 7))
	_, _, asking := o.Same(same(comment("b", 7), "b", time.Hour))
	_, _, reading := o.Record("a")
	_, listing := o.List("", 0, 0)
	_, heads := o.Queued(0)
	_, retrying := o.Retry("a")
	_, doubting := o.Doubt()
	_, pruning := o.Prune(noon)
	_, told := o.WasTold("webex", outbox.ToldTicket, 7, time.Hour)
	for name, err := range map[string]error{
		"Accept": accepting, "Same": asking, "Record": reading, "List": listing, "Queued": heads, "Retry": retrying, "Doubt": doubting,
		"Prune": pruning, "WasTold": told, "Save": o.Save(outbox.Record{ID: "a", State: outbox.Queued}),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s of a closed outbox: error %v, want ErrClosed", name, err)
		}
	}
	o.Tell("webex", outbox.ToldTicket, 7) // no harm done
	equal(t, "counts are still there", o.Status().Queued, uint64(1))
}

// copyOf opens a copy of an outbox's file, as it is while the outbox is in use.
func copyOf(t *testing.T, o *Outbox) *Outbox {
	t.Helper()
	b, err := os.ReadFile(o.db.Path())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return openOutbox(t, func(c *OutboxOptions) { c.Path, c.Clock = path, o.clock })
}

// What was acknowledged is in the file at that moment, not only once the
// outbox is closed.
func TestAcceptedIsOnDisk(t *testing.T) {
	o := openOutbox(t)
	if o.db.NoSync {
		t.Fatal("the outbox does not wait for the disk")
	}
	r := accept(t, o, comment("a", 7))
	equal(t, "after Accept", held(t, copyOf(t, o), "a"), r)
	r.Attempts, r.InDoubt, r.Stamp = 1, true, "stamp"
	if err := o.Save(r); err != nil {
		t.Fatal(err)
	}
	equal(t, "after Save", held(t, copyOf(t, o), "a"), r)
}

// killedPath tells the child of the following test which outbox to use.
const killedPath = "ANIPROXY_TEST_OUTBOX"

// A process that is killed while it accepts has all that it acknowledged.
func TestKilledWhileAccepting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	accepted := map[string]bool{}
	for round := range 4 {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledChild$", "-test.v")
		child.Env = append(os.Environ(), killedPath+"="+path)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		seen := 0
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if id, ok := strings.CutPrefix(lines.Text(), "accepted "); ok {
				accepted[id] = true
				if seen++; seen == 20+17*round {
					if err := child.Process.Kill(); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if err := child.Wait(); err == nil || seen < 20+17*round {
			t.Fatalf("the child ended with %v after %d", err, seen)
		}
		o, err := OpenOutbox(outboxOptions(path))
		if err != nil {
			t.Fatal(err)
		}
		for id := range accepted {
			held(t, o, id)
		}
		closeOutbox(t, o)
	}
}

func TestKilledChild(t *testing.T) {
	path := os.Getenv(killedPath)
	if path == "" {
		t.Skip("it is the child of TestKilledWhileAccepting")
	}
	o, err := OpenOutbox(outboxOptions(path))
	if err != nil {
		t.Fatal(err)
	}
	for worker := range 3 {
		go func() {
			for i := 0; ; i++ {
				id := fmt.Sprint(os.Getpid(), ".", worker, ".", i)
				if _, _, err := o.Accept(t.Context(), same(comment(id, int64(i%5)), id, time.Hour)); err != nil {
					return
				}
				fmt.Fprintf(os.Stdout, "accepted %s\n", id)
				o.Tell("webex", outbox.ToldTicket, int64(i))
			}
		}()
	}
	<-t.Context().Done() // never: the parent kills us
}

// A page that has gone bad holds up one lane, and is told of.
func TestDamagedRecordHoldsUpItsOwnLaneOnly(t *testing.T) {
	o, err := OpenOutbox(outboxOptions(filepath.Join(t.TempDir(), "outbox.db")))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	}()
	for i, id := range []string{"a", "b", "c"} {
		accept(t, o, comment(id, int64(i+1)))
	}
	err = o.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(outboxRecords).Put(seqKey(2), []byte{outboxFormat, '{'}) })
	if err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]func() ([]outbox.Record, error){
		"heads": func() ([]outbox.Record, error) { return o.Queued(0) },
		"list":  func() ([]outbox.Record, error) { return o.List("", 0, 0) },
	} {
		list, err := read()
		if len(list) != 2 || !errors.Is(err, errRecord) {
			t.Errorf("%s: %d records, error %v; want 2 and errRecord", name, len(list), err)
		}
	}
	if _, _, err := o.Record("b"); !errors.Is(err, errRecord) {
		t.Errorf("the record itself: error %v, want errRecord", err)
	}
	if err := o.Save(outbox.Record{ID: "b", State: outbox.Delivered}); !errors.Is(err, errRecord) {
		t.Errorf("a step of it: error %v, want errRecord", err)
	}
}
