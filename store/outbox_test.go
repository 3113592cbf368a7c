package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/outbox"
	"aniproxy/internal/status"
)

// wall is a clock that a test sets.
type wall struct {
	mu  sync.Mutex
	now time.Time
}

func (w *wall) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *wall) set(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = t
}

func outboxOptions(path string) OutboxOptions {
	return OutboxOptions{Path: path, Logger: written.Logger("the outbox"), Clock: func() time.Time { return noon }}
}

// openOutbox opens an outbox that has to agree with itself at the test's end.
func openOutbox(t *testing.T, change ...func(*OutboxOptions)) *Outbox {
	t.Helper()
	opts := outboxOptions(filepath.Join(t.TempDir(), "outbox.db"))
	for _, f := range change {
		f(&opts)
	}
	o, err := OpenOutbox(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOutbox(t, o) })
	return o
}

func closeOutbox(t *testing.T, o *Outbox) {
	t.Helper()
	if err := agrees(o); err != nil && !errors.Is(err, bolt.ErrDatabaseNotOpen) { //nolint:staticcheck // a test may have closed it
		t.Errorf("the outbox does not agree with itself: %v", err)
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
}

func withClock(clock *wall) func(*OutboxOptions) {
	return func(o *OutboxOptions) { o.Clock = clock.Now }
}

// comment is an intake of a comment on a ticket.
func comment(id string, ticket int64) outbox.Intake {
	return outbox.Intake{Record: outbox.Record{ID: id, Kind: outbox.Comment, Client: "webex", TicketID: ticket, Body: "They called."}}
}

// same gives an intake a digest.
func same(in outbox.Intake, digest string, keep time.Duration) outbox.Intake {
	in.Same, in.Keep = outbox.DigestOf(digest), keep
	return in
}

func accept(t *testing.T, o *Outbox, in outbox.Intake) outbox.Record {
	t.Helper()
	r, first, err := o.Accept(t.Context(), in)
	if err != nil || !first {
		t.Fatalf("accept %s: first %v, error %v", in.Record.ID, first, err)
	}
	return r
}

// settle saves a record in a state and gives it back as it is then.
func settle(t *testing.T, o *Outbox, id string, state outbox.State) outbox.Record {
	t.Helper()
	r := held(t, o, id)
	r.State = state
	if err := o.Save(r); err != nil {
		t.Fatalf("%s becomes %s: %v", id, state, err)
	}
	return held(t, o, id)
}

func held(t *testing.T, o *Outbox, id string) outbox.Record {
	t.Helper()
	r, ok, err := o.Record(id)
	if err != nil || !ok {
		t.Fatalf("record %s: found %v, error %v", id, ok, err)
	}
	return r
}

func ids(t *testing.T) func(list []outbox.Record, err error) []string {
	return func(list []outbox.Record, err error) []string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, r := range list {
			ids = append(ids, r.ID)
		}
		return ids
	}
}

// agrees tells whether every index says what the records say.
func agrees(o *Outbox) error {
	return o.db.View(func(tx *bolt.Tx) error {
		want, got := map[string]int{}, map[string]int{}
		var n outboxCounts
		heads := map[string]uint64{}
		first := map[uint64]bool{}
		c := tx.Bucket(outboxRecords).Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			h, err := decodeOutboxRecord(keySeq(k), v)
			if err != nil {
				return err
			}
			want[fmt.Sprintf("ids %s %d", h.ID, h.Seq)]++
			want[fmt.Sprintf("by_state %x", stateKey(stateByte(h.State), h.Seq))]++
			first[h.Seq] = true
			if h.State == outbox.Failed {
				n.failed++
			}
			if h.State != outbox.Queued {
				want[fmt.Sprintf("settled %x", settledKey(&h.Record))]++
				continue
			}
			if n.queued++; n.queued == 1 {
				n.oldest = h.Accepted.UnixNano()
			}
			lane := string(laneKey(&h.Record))
			want[fmt.Sprintf("lanes %x%x", lane, seqKey(h.Seq))]++
			if _, ok := heads[lane]; !ok {
				heads[lane] = h.Seq
				want[fmt.Sprintf("heads %x %x", seqKey(h.Seq), lane)]++
			}
		}
		each := func(name []byte, say func(k, v []byte) string) {
			c := tx.Bucket(name).Cursor()
			for k, v := c.First(); k != nil; k, v = c.Next() {
				got[string(name)+" "+say(k, v)]++
			}
		}
		key := func(k, _ []byte) string { return fmt.Sprintf("%x", k) }
		each(outboxIDs, func(k, v []byte) string { return fmt.Sprintf("%s %d", k, keySeq(v)) })
		each(outboxByState, key)
		each(outboxSettled, key)
		each(outboxLanes, key)
		each(outboxHeads, func(k, v []byte) string { return fmt.Sprintf("%x %x", k, v) })
		c = tx.Bucket(outboxSame).Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			want[fmt.Sprintf("same_due %x%x", v[:8], k)]++
			if seq := binary.BigEndian.Uint64(v[8:]); seq != erasedSeq && !first[seq] {
				return fmt.Errorf("a digest leads to record %d, which is gone", seq)
			}
		}
		each(outboxSameDue, key)
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("indexes (-as the records say +as they are):\n%s", diff)
		}
		if diff := cmp.Diff(n, *o.counts.Load(), cmp.AllowUnexported(n)); diff != "" {
			return fmt.Errorf("counts (-as the records say +as they are):\n%s", diff)
		}
		return nil
	})
}

func TestAcceptGivesPlaceStateAndTime(t *testing.T) {
	o := openOutbox(t)
	in := comment("a", 7)
	// What only a courier may say is not believed of an intake.
	in.Record.State, in.Record.Attempts, in.Record.Landed, in.Record.InDoubt, in.Record.Seq = outbox.Delivered, 3, 9, true, 44
	in.Record.Public, in.Record.HTML, in.Record.InteractionID = true, true, "i-1"
	want := outbox.Record{
		ID: "a", Seq: 1, Kind: outbox.Comment, Client: "webex", TicketID: 7, Body: "They called.", Public: true, HTML: true,
		InteractionID: "i-1", State: outbox.Queued, Accepted: noon,
	}
	equal(t, "as accepted", accept(t, o, in), want)
	equal(t, "as held", held(t, o, "a"), want)
	equal(t, "the next one's place", accept(t, o, comment("b", 7)).Seq, uint64(2))
	if _, ok, err := o.Record("nobody"); ok || err != nil {
		t.Errorf("a record that is not there: found %v, error %v", ok, err)
	}
}

func TestAcceptRefusesWhatItCannotKeepApart(t *testing.T) {
	o := openOutbox(t)
	accept(t, o, comment("taken", 7))
	for name, tc := range map[string]struct {
		id   string
		kind outbox.Kind
		want error
	}{
		"no id":             {"", outbox.Comment, errIntake},
		"an endless id":     {string(make([]byte, idMost+1)), outbox.Comment, errIntake},
		"an id of no text":  {"\xff", outbox.Comment, errIntake},
		"no kind":           {"a", "", errIntake},
		"an id that exists": {"taken", outbox.Ticket, errIDTaken},
	} {
		_, _, err := o.Accept(t.Context(), outbox.Intake{Record: outbox.Record{ID: tc.id, Kind: tc.kind}})
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: error %v, want %v", name, err, tc.want)
		}
	}
	equal(t, "queued", o.Status().Queued, uint64(1))
}

func TestSameDigestIsTheFirstRecord(t *testing.T) {
	clock := &wall{now: noon}
	woken := 0
	o := openOutbox(t, withClock(clock), func(o *OutboxOptions) { o.OnAccept = func() { woken++ } })
	accept(t, o, same(comment("first", 7), "call 1", outbox.KeepSame))
	delivered := settle(t, o, "first", outbox.Delivered)

	other := same(comment("second", 8), "call 1", outbox.KeepSame)
	other.Record.Body = "another body"
	before := transactions(t, o)
	clock.set(noon.Add(outbox.KeepSame - 1))
	r, first, err := o.Accept(t.Context(), other)
	if first || err != nil {
		t.Errorf("the same again: first %v, error %v", first, err)
	}
	equal(t, "the same again, as it is now", r, delivered)
	r, ok, err := o.Same(other)
	if !ok || err != nil {
		t.Errorf("asked for the same: found %v, error %v", ok, err)
	}
	equal(t, "asked for the same, as it is now", r, delivered)
	equal(t, "transactions for it", transactions(t, o)-before, 0)
	equal(t, "calls of the courier", woken, 1)
	if _, ok, _ := o.Record("second"); ok {
		t.Error("the same again is held as a record of its own")
	}

	clock.set(noon.Add(outbox.KeepSame))
	if _, ok, err := o.Same(other); ok || err != nil {
		t.Errorf("asked for the same once its time is over: found %v, error %v", ok, err)
	}
	equal(t, "once its time is over", accept(t, o, other).ID, "second")
	r, _, err = o.Accept(t.Context(), same(comment("third", 7), "call 1", outbox.KeepSame))
	if r.ID != "second" || err != nil {
		t.Errorf("the same again is %s, error %v; want the second, which is the first now", r.ID, err)
	}
}

func TestWithoutAKeepEachIntakeIsNew(t *testing.T) {
	o := openOutbox(t)
	accept(t, o, same(comment("a", 7), "call 1", 0))
	accept(t, o, same(comment("b", 7), "call 1", 0))
	accept(t, o, same(comment("c", 7), "call 1", time.Hour))
	accept(t, o, same(comment("d", 7), "call 2", time.Hour))
	if _, ok, err := o.Same(same(comment("e", 7), "call 1", 0)); ok || err != nil {
		t.Errorf("asked for the same without a keep: found %v, error %v", ok, err)
	}
	equal(t, "queued", o.Status().Queued, uint64(4))
}

func TestAFullOutboxRefuses(t *testing.T) {
	o := openOutbox(t, func(o *OutboxOptions) { o.MaxQueued = 2 })
	accept(t, o, same(comment("a", 7), "call 1", time.Hour))
	accept(t, o, comment("b", 7))
	_, _, err := o.Accept(t.Context(), comment("c", 7))
	var full *OutboxFullError
	if !errors.As(err, &full) || full.Max != 2 {
		t.Errorf("error %v, want that it is full with 2", err)
	}
	if r, first, err := o.Accept(t.Context(), same(comment("d", 7), "call 1", time.Hour)); r.ID != "a" || first || err != nil {
		t.Errorf("the same again in a full outbox: %s, first %v, error %v", r.ID, first, err)
	}
	settle(t, o, "a", outbox.Failed)
	accept(t, o, comment("c", 7))
	if _, err := o.Retry("a"); err != nil {
		t.Errorf("an operator's retry is refused by a full outbox: %v", err)
	}
	equal(t, "queued", o.Status().Queued, uint64(3))
}

func TestStatusCountsAndAges(t *testing.T) {
	clock := &wall{now: noon}
	o := openOutbox(t, withClock(clock))
	equal(t, "an empty one", o.Status(), status.Outbox{})
	accept(t, o, comment("a", 1))
	clock.set(at(10))
	accept(t, o, comment("b", 1))
	accept(t, o, comment("c", 2))
	clock.set(at(60))
	equal(t, "three wait", o.Status(), status.Outbox{Queued: 3, Oldest: time.Minute})
	settle(t, o, "a", outbox.Failed)
	equal(t, "the oldest failed", o.Status(), status.Outbox{Queued: 2, Failed: 1, Oldest: 50 * time.Second})
	settle(t, o, "b", outbox.Delivered)
	settle(t, o, "c", outbox.Delivered)
	equal(t, "none waits", o.Status(), status.Outbox{Failed: 1})
	if _, err := o.Retry("a"); err != nil {
		t.Fatal(err)
	}
	equal(t, "the oldest waits again", o.Status(), status.Outbox{Queued: 1, Oldest: time.Minute})
	clock.set(noon.Add(-time.Hour))
	equal(t, "a clock set back", o.Status(), status.Outbox{Queued: 1})
}

func TestTheCourierIsWokenOncePerCommit(t *testing.T) {
	woken := make(chan struct{}, 100)
	o := openOutbox(t, func(o *OutboxOptions) { o.OnAccept = func() { woken <- struct{}{} } })
	accept(t, o, comment("a", 7))
	equal(t, "after an acceptance", len(woken), 1)
	settle(t, o, "a", outbox.Failed)
	equal(t, "after a failure", len(woken), 1)
	if _, err := o.Retry("a"); err != nil {
		t.Fatal(err)
	}
	equal(t, "after a retry", len(woken), 2)
	r := held(t, o, "a")
	r.Attempts++
	if err := o.Save(r); err != nil {
		t.Fatal(err)
	}
	equal(t, "after a step of the courier's own", len(woken), 2)
}
