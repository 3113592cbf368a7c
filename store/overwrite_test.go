package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/caller"
)

// packed is a number as the phone index has it.
func packed(number string) string {
	n, err := packNumber(number)
	if err != nil {
		panic(err)
	}
	return string(binary.BigEndian.AppendUint64(nil, n))
}

// annsTraces is what couple tells of Ann alone.
var annsTraces = []string{"Ann@example.com", numberB, packed(numberB), "ticket 10", "ticket 11"}

// found are those of some texts that a file has anywhere.
func found(t *testing.T, path string, texts ...string) (there []string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		if bytes.Contains(b, []byte(text)) {
			there = append(there, text)
		}
	}
	return there
}

// nowhere checks that a file has none of some texts.
func nowhere(t *testing.T, path string, texts ...string) {
	t.Helper()
	if there := found(t, path, texts...); len(there) > 0 {
		t.Errorf("the file still has %q", there)
	}
}

func overwrite(t *testing.T, s *Store) (pages int) {
	t.Helper()
	pages, err := s.Overwrite(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

// crowd fills a mirror with people around Wilhelmina (5000), over whom some
// changes have gone.
func crowd(t *testing.T, s *Store, filled bool) (traces []string) {
	t.Helper()
	b := caller.Batch{}
	for i := range int64(1000) {
		u := user(4500+i, fmt.Sprintf("Person %d", i), fmt.Sprintf("+1513600%04d", i), 0)
		b.Users = append(b.Users, u)
		b.Tickets = append(b.Tickets, ticket(100_000+i, 4500+i, "open", 1))
	}
	for second, name := range []string{"Wilhelmina Before", "Wilhelmina Vanderberg"} {
		number := fmt.Sprintf("+49302345678%d", second)
		u := identities(user(5000, name, number, 10+second), 10+second, numberB)
		u.Object = fmt.Appendf(nil, `{"id":5000,"name":%q,"notes":"likes tulips"}`, name)
		k := ticket(200_000, 5000, "open", 10+second)
		k.Ticket.Subject = "The Heater Is Broken"
		k.Object = []byte(`{"id":200000,"description":"it went cold on Sunday"}`)
		b.Users, b.Tickets = append(b.Users, u), append(b.Tickets, k)
		if filled {
			b.Position = &caller.Position{Stream: caller.Users, Complete: true}
			apply(t, s, caller.Batch{Position: &caller.Position{Stream: caller.Tickets, Complete: true}})
		}
		apply(t, s, b)
		b = caller.Batch{}
		traces = append(traces, name, u.User.Email, number, packed(number))
	}
	return append(traces, numberB, packed(numberB), "likes tulips", "The Heater Is Broken", "it went cold on Sunday")
}

func TestOverwriteLeavesNothingToRead(t *testing.T) {
	for name, filled := range map[string]bool{"while an empty store is filled": false, "while serving": true} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			traces := crowd(t, s, filled)
			erase(t, s, 5000)
			if there := found(t, s.db.Path(), traces...); len(there) < len(traces)/2 {
				t.Fatalf("before the overwriting the file has only %q: the test proves nothing", there)
			}
			equal(t, "whether there is something to overwrite", s.OverwriteDue(), true)
			if pages := overwrite(t, s); pages == 0 {
				t.Error("no page was overwritten")
			}
			nowhere(t, s.db.Path(), traces...)
			equal(t, "whether there is still something to overwrite", s.OverwriteDue(), false)
			equal(t, "who else is there", names(t, s, "+15136000001"), []string{"Person 1"})
			if err := s.Verify(); err != nil {
				t.Error(err)
			}
			// Free pages are used again, and hold nothing of theirs then either.
			apply(t, s, caller.Batch{Users: []caller.UserUpdate{user(9000, "Zoe", numberA, 0)}})
			nowhere(t, s.db.Path(), traces...)
			s = reopen(t, s, nothing)
			nowhere(t, s.db.Path(), traces...)
			if err := check(s.db); err != nil {
				t.Error(err)
			}
		})
	}
}

// check is bbolt's own look at the file.
func check(db *file) error {
	return db.View(func(tx *bolt.Tx) (err error) {
		for e := range tx.Check() {
			err = errors.Join(err, e)
		}
		return err
	})
}

func TestOverwriteFindsNothingASecondTime(t *testing.T) {
	s := open(t)
	crowd(t, s, true)
	erase(t, s, 5000)
	overwrite(t, s)
	// The last commits of the first walk have freed a few pages.
	if pages := overwrite(t, s); pages > 16 {
		t.Errorf("%d pages were overwritten the second time", pages)
	}
}

func TestTheMarkOutlivesARestartAndAnotherErasure(t *testing.T) {
	s := open(t)
	equal(t, "whether an empty store has something to overwrite", s.OverwriteDue(), false)
	apply(t, s, couple())
	erase(t, s, 1)
	s = reopen(t, s, nothing)
	equal(t, "whether there is something to overwrite after a restart", s.OverwriteDue(), true)

	mark, err := s.over.mark()
	if err != nil {
		t.Fatal(err)
	}
	erase(t, s, 2) // while the walk of the first is under way
	if err := s.over.settle(t.Context(), mark); err != nil {
		t.Fatal(err)
	}
	equal(t, "whether the second is still to be overwritten", s.OverwriteDue(), true)
	overwrite(t, s)
	equal(t, "whether there is still something to overwrite", s.OverwriteDue(), false)
}

func TestWhatACommitThatDidNotEndHasLeftIsOverwritten(t *testing.T) {
	s := open(t)
	apply(t, s, couple())
	s = reopen(t, s, func(path string) {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		// Behind the last page that the file counts.
		_, err = f.WriteAt([]byte("Wilhelmina Vanderberg"), info.Size()+int64(os.Getpagesize())-100)
		if err := errors.Join(err, f.Truncate(info.Size()+int64(os.Getpagesize())), f.Close()); err != nil {
			t.Fatal(err)
		}
	})
	overwrite(t, s)
	nowhere(t, s.db.Path(), "Wilhelmina")
	equal(t, "who is there", names(t, s, numberA), []string{"Ann", "Bob"})
}

// TestTheStateBeforeTheLastIsLeftWhole overwrites whatever it may right after a
// commit, with nothing in between, and opens both states that a crash can go
// back to.
func TestTheStateBeforeTheLastIsLeftWhole(t *testing.T) {
	folder := t.TempDir()
	f, err := openFile(Options{Path: filepath.Join(folder, "a.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var everything []uint64
	for page := range uint64(2000) {
		everything = append(everything, page)
	}
	name, value := []byte("b"), bytes.Repeat([]byte("v"), 300)
	rng := rand.New(rand.NewPCG(1, 2))
	pages := 0
	for round := range uint64(60) {
		err := f.Update(func(tx *bolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists(name)
			for range 20 {
				err = errors.Join(err, b.Put(seqKey(rng.Uint64N(400)), value), b.Delete(seqKey(rng.Uint64N(400))))
			}
			return errors.Join(err, b.Put([]byte("round"), seqKey(round)))
		})
		if err != nil {
			t.Fatal(err)
		}
		n, err := f.overwrite(everything)
		if err != nil {
			t.Fatal(err)
		}
		if pages += n; round < 2 {
			continue // the states before have no rounds yet
		}
		whole, older := moments(t, f.Path())
		for back, b := range [][]byte{whole, older} {
			put(t, filepath.Join(folder, "copy.db"), b)
			g, err := openFile(Options{Path: filepath.Join(folder, "copy.db")})
			if err != nil {
				t.Fatalf("round %d, %d back: %v", round, back, err)
			}
			err = g.Update(func(tx *bolt.Tx) error { // it writes the meta page that is missing
				if got := keySeq(tx.Bucket(name).Get([]byte("round"))); got != round-uint64(back) {
					t.Errorf("round %d, %d back: it is round %d", round, back, got)
				}
				return nil
			})
			if err := errors.Join(err, check(g), g.Close()); err != nil {
				t.Fatalf("round %d, %d back: %v", round, back, err)
			}
		}
	}
	if pages < 200 {
		t.Errorf("%d pages were overwritten: the test proves little", pages)
	}
}

// moments is a file as a crash now would leave it, and as one in the middle of
// the next commit would: without the newer of its meta pages.
func moments(t *testing.T, path string) (whole, older []byte) {
	t.Helper()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	size, newer := os.Getpagesize(), 0
	const transaction = pageHeader + 48
	if binary.NativeEndian.Uint64(whole[size+transaction:]) > binary.NativeEndian.Uint64(whole[transaction:]) {
		newer = 1
	}
	older = bytes.Clone(whole)
	clear(older[newer*size : (newer+1)*size])
	return whole, older
}

// TestEveryMomentOfAnOverwritingCanBeOpened copies the file after each small
// step, with other writes in between, and opens what a crash there would have
// left: as it is, and with the newer meta page destroyed, which is the crash in
// the middle of the next commit.
func TestEveryMomentOfAnOverwritingCanBeOpened(t *testing.T) {
	s := open(t)
	crowd(t, s, true)
	var holes caller.Batch
	for i := range int64(450) {
		holes.Users = append(holes.Users, deleted(user(4500+2*i, "x", "", 100)))
		holes.Tickets = append(holes.Tickets, ticket(100_000+i, 4500+i, "solved", 100))
	}
	apply(t, s, holes)
	erase(t, s, 5000)
	folder := t.TempDir()
	copies := 0
	moment := func() {
		copies++
		whole, older := moments(t, s.db.Path())
		now := clone(t, filepath.Join(folder, fmt.Sprint(copies)), whole)
		if before := clone(t, filepath.Join(folder, fmt.Sprint(copies, "older")), older); before > now || now-before > 1 {
			t.Fatalf("copy %d: %d users, and %d before the last commit", copies, now, before)
		}
	}
	plan, err := planOf(t, s)
	if err != nil {
		t.Fatal(err)
	}
	pages, extra := 0, int64(0)
	for chunk := range s.db.written(plan) {
		for few := range slices.Chunk(slices.Clone(chunk), 5) {
			n, err := s.over.overwrite(t.Context(), few)
			if err != nil {
				t.Fatal(err)
			}
			pages += n
			moment()
			if extra++; extra%2 == 0 {
				apply(t, s, caller.Batch{Users: []caller.UserUpdate{user(10_000+extra, "New", fmt.Sprintf("+15137%06d", extra), 0)}})
				moment()
			}
		}
	}
	if pages < 20 || copies < 8 {
		t.Errorf("%d pages in %d copies: the test proves little", pages, copies)
	}
}

// planOf are the free pages, as a walk begins with them.
func planOf(t *testing.T, s *Store) (*freePages, error) {
	t.Helper()
	plan := new(freePages)
	err := s.over.step(t.Context(), func() (err error) {
		*plan, err = s.db.freePages()
		return err
	})
	return plan, err
}

// clone opens a copy of a store's file, has it agree with itself, and counts its
// users.
func clone(t *testing.T, path string, b []byte) (users int64) {
	t.Helper()
	put(t, path, b)
	s, err := Open(options(path))
	if err != nil {
		t.Fatalf("open %s: %v", filepath.Base(path), err)
	}
	if err := errors.Join(check(s.db), s.Verify()); err != nil {
		t.Fatalf("%s: %v", filepath.Base(path), err)
	}
	users = s.Size().Users
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	remove(t, path)
	return users
}

func TestReadersNeverSeeAnOverwriting(t *testing.T) {
	s := open(t)
	crowd(t, s, true)
	stop := make(chan struct{})
	var work sync.WaitGroup
	var reads atomic.Int64
	until := func(do func(i int64)) {
		work.Go(func() {
			for i := int64(0); ; i++ {
				select {
				case <-stop:
					return
				default:
					do(i)
				}
			}
		})
	}
	for r := range int64(4) {
		until(func(i int64) {
			n := (7*i + 13*r) % 400 // these nobody changes
			m, err := s.Match(fmt.Sprintf("+1513600%04d", n), []string{"end-user"})
			if err != nil || len(m.Callers) != 1 || m.Callers[0].User.Name != fmt.Sprintf("Person %d", n) || len(m.Callers[0].Open) != 1 {
				t.Errorf("person %d: %+v, error %v", n, m, err)
			}
			reads.Add(1)
		})
	}
	until(func(i int64) { // churn frees pages all the time
		n := 600 + i%300
		u := user(4500+n, strings.Repeat("y", int(i%2000)), fmt.Sprintf("+1513600%04d", n), int(20+i))
		if _, err := s.Apply(t.Context(), caller.Batch{Urgent: i%2 == 0, Users: []caller.UserUpdate{u}}); err != nil {
			t.Error(err)
		}
	})
	pages := 0
	for i := range int64(8) {
		erase(t, s, 5400+i)
		work.Go(func() { // a longer reader, from before the overwriting into it
			if err := s.Verify(); err != nil {
				t.Error(err)
			}
		})
		pages += overwrite(t, s)
	}
	close(stop)
	work.Wait()
	if pages < 30 || reads.Load() < 100 {
		t.Errorf("%d pages were overwritten during %d reads: the test proves little", pages, reads.Load())
	}
	if err := check(s.db); err != nil {
		t.Error(err)
	}
}

// stalled is a writer that stands still until it is let go.
type stalled struct {
	bytes.Buffer
	began, goOn chan struct{}
	once        sync.Once
}

func (w *stalled) Write(p []byte) (int, error) {
	w.once.Do(func() { close(w.began) })
	<-w.goOn
	return w.Buffer.Write(p)
}

func TestABackupIsWaitedFor(t *testing.T) {
	s := open(t)
	traces := crowd(t, s, true)
	w := &stalled{began: make(chan struct{}), goOn: make(chan struct{})}
	var work sync.WaitGroup
	work.Go(func() {
		if _, err := s.Backup(t.Context(), w); err != nil {
			t.Error(err)
		}
	})
	<-w.began
	erase(t, s, 5000)
	before := found(t, s.db.Path(), traces...)
	ctx, cancel := context.WithCancel(t.Context())
	turn := s.db.readers.turn.Load()
	var ended atomic.Bool
	work.Go(func() {
		for s.db.readers.turn.Load() == turn && !ended.Load() { // until it waits for readers
			runtime.Gosched()
		}
		cancel()
	})
	pages, err := s.Overwrite(ctx)
	ended.Store(true)
	if pages != 0 || !errors.Is(err, context.Canceled) || !strings.Contains(fmt.Sprint(err), "backup") {
		t.Errorf("%d pages were overwritten, error %v; want none, and an error that names the backup", pages, err)
	}
	equal(t, "what the file has", found(t, s.db.Path(), traces...), before)
	equal(t, "whether there is something to overwrite", s.OverwriteDue(), true)
	apply(t, s, caller.Batch{Urgent: true, Users: []caller.UserUpdate{user(1, "Ann", numberA, 0)}}) // nobody else waits
	close(w.goOn)
	work.Wait()
	overwrite(t, s)
	nowhere(t, s.db.Path(), traces...)
	if users := clone(t, filepath.Join(t.TempDir(), "backup.db"), w.Bytes()); users != 1000 {
		t.Errorf("the backup holds %d users", users)
	}
}

func TestOverwriteEndsWithTheStore(t *testing.T) {
	s := open(t)
	erase(t, s, 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Overwrite(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("error %v, want ErrClosed", err)
	}
	equal(t, "whether a closed store has something to overwrite", s.OverwriteDue(), false)
}

func TestReadersAreOutlasted(t *testing.T) {
	var r readers
	first := r.enter()
	asked := 0
	if r.outlast(func() bool { asked++; return asked < 3 }) {
		t.Error("a reader that stays was outlasted")
	}
	second := r.enter() // in the new turn
	asked = 0
	if r.outlast(func() bool { asked++; return asked < 3 }) {
		t.Error("a reader of the turn before the last was forgotten")
	}
	r.leave(first)
	left := false
	ok := r.outlast(func() bool {
		if left {
			t.Error("somebody was waited for who came later")
			return false
		}
		r.enter() // a newcomer holds nothing up
		r.leave(second)
		left = true
		return true
	})
	if !ok || !left {
		t.Errorf("outlasted %v, the second reader left %v", ok, left)
	}
}

func TestAListThatIsNotLaidOutAsExpectedIsRefused(t *testing.T) {
	s := open(t)
	size := s.db.Info().PageSize
	const at = 1000 // far behind what the file has
	many := []uint64{70_000}
	for i := range uint64(70_000) {
		many = append(many, 2+i)
	}
	for name, c := range map[string]struct {
		flags, count uint16
		overflow     int
		ids          []uint64
		want         int // free pages, -1 for an error
	}{
		"an empty list":            {flags: flagList},
		"two pages":                {flags: flagList, count: 2, ids: []uint64{5, 9}, want: 2},
		"more than 65,534 pages":   {flags: flagList, count: listManyIDs, overflow: 70_001 * 8 / size, ids: many, want: 70_000},
		"another kind of page":     {flags: 0x02, count: 2, ids: []uint64{5, 9}, want: -1},
		"more than the page has":   {flags: flagList, count: 60_000, ids: []uint64{5, 9}, want: -1},
		"an order that is none":    {flags: flagList, count: 2, ids: []uint64{9, 5}, want: -1},
		"a meta page":              {flags: flagList, count: 2, ids: []uint64{1, 5}, want: -1},
		"a page that is not there": {flags: flagList, count: 1, ids: []uint64{200_000}, want: -1},
	} {
		page := make([]byte, (1+c.overflow)*size)
		binary.NativeEndian.PutUint64(page, at)
		binary.NativeEndian.PutUint16(page[8:], c.flags)
		binary.NativeEndian.PutUint16(page[10:], c.count)
		binary.NativeEndian.PutUint32(page[12:], uint32(c.overflow))
		for i, id := range c.ids {
			binary.NativeEndian.PutUint64(page[pageHeader+8*i:], id)
		}
		if _, err := s.db.raw.WriteAt(page, at*int64(size)); err != nil {
			t.Fatal(err)
		}
		state := &boltState{list: at, pages: 200_000}
		err := s.db.readList(state)
		if c.want < 0 != errors.Is(err, errPages) || c.want >= 0 && (err != nil || len(state.free) != c.want) {
			t.Errorf("%s: %d free pages, error %v; want %d", name, len(state.free), err, c.want)
		}
	}
	if err := s.db.readList(&boltState{list: 5000, pages: 200_000}); err == nil {
		t.Error("a list behind the file's end was read")
	}
}

func TestRunsOfPagesStandTogether(t *testing.T) {
	var pages []uint64
	for i := range uint64(runMost + 2) {
		pages = append(pages, 100+i)
	}
	pages = append(pages, 900, 902, 903)
	type run struct {
		First uint64
		N     int
	}
	var got []run
	for first, n := range runs(slices.Values(pages)) {
		got = append(got, run{first, n})
	}
	equal(t, "runs", got, []run{{100, runMost}, {100 + runMost, 2}, {900, 1}, {902, 2}})
}
