package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"aniproxy/internal/outbox"
)

func TestQueuedAreTheHeadsOfTheirLanes(t *testing.T) {
	o := openOutbox(t)
	newTicket := func(id string, requester int64) outbox.Intake {
		return outbox.Intake{Record: outbox.Record{ID: id, Kind: outbox.Ticket, UserID: requester}}
	}
	for _, in := range []outbox.Intake{
		comment("on 9", 9), comment("on 5", 5), comment("again on 9", 9), newTicket("for 9", 9), comment("again on 5", 5),
		newTicket("again for 9", 9), comment("third on 9", 9),
	} {
		accept(t, o, in)
	}
	equal(t, "at first", ids(t)(o.Queued(0)), []string{"on 9", "on 5", "for 9"})
	equal(t, "two of them", ids(t)(o.Queued(2)), []string{"on 9", "on 5"})
	settle(t, o, "on 9", outbox.Delivered)
	equal(t, "after a delivery", ids(t)(o.Queued(0)), []string{"on 5", "again on 9", "for 9"})
	settle(t, o, "again on 5", outbox.Failed)
	equal(t, "after one from the middle has left", ids(t)(o.Queued(0)), []string{"on 5", "again on 9", "for 9"})
	settle(t, o, "on 5", outbox.Failed)
	equal(t, "after a lane is empty", ids(t)(o.Queued(0)), []string{"again on 9", "for 9"})

	later := held(t, o, "again on 9")
	later.NextTry, later.Attempts = at(3600), 1
	if err := o.Save(later); err != nil {
		t.Fatal(err)
	}
	equal(t, "one that is put off still heads its lane", ids(t)(o.Queued(0)), []string{"again on 9", "for 9"})
}

func TestSaveTakesAStepAndNothingElse(t *testing.T) {
	o := openOutbox(t)
	was := accept(t, o, comment("a", 7))
	r := was
	r.Attempts, r.Stamp, r.InDoubt, r.FollowUp, r.Error = 2, "2026-05-04T12:00:00Z", true, true, "Zendesk answered 500"
	r.FirstCreate, r.NextTry = at(1), at(2)
	want := r
	r.Body, r.TicketID, r.Client, r.Seq, r.Accepted, r.Settled = "changed", 99, "other", 99, at(99), at(99)
	if err := o.Save(r); err != nil {
		t.Fatal(err)
	}
	equal(t, "after a step", held(t, o, "a"), want)

	want.State, want.Landed, want.InDoubt, want.Settled = outbox.Delivered, 7, false, noon
	r = want
	r.Settled = time.Time{}
	if err := o.Save(r); err != nil {
		t.Fatal(err)
	}
	equal(t, "delivered, now", held(t, o, "a"), want)
	want.Settled = at(5)
	if err := o.Save(want); err != nil {
		t.Fatal(err)
	}
	equal(t, "delivered, at a time of the courier's", held(t, o, "a"), want)
	want.Settled = time.Time{}
	if err := o.Save(want); err != nil {
		t.Fatal(err)
	}
	equal(t, "delivered once, and the time stays", held(t, o, "a").Settled, at(5))
}

func TestStatesGoForward(t *testing.T) {
	all := []outbox.State{outbox.Queued, outbox.Delivered, outbox.Failed, "lost"}
	may := map[[2]outbox.State]bool{
		{outbox.Queued, outbox.Queued}: true, {outbox.Queued, outbox.Delivered}: true, {outbox.Queued, outbox.Failed}: true,
		{outbox.Delivered, outbox.Delivered}: true, {outbox.Failed, outbox.Failed}: true,
	}
	o := openOutbox(t)
	for i, from := range all[:3] {
		for j, to := range all {
			id := fmt.Sprint("r", i, j)
			r := accept(t, o, comment(id, 7))
			if from != outbox.Queued {
				r = settle(t, o, id, from)
			}
			r.State = to
			err := o.Save(r)
			var refused *OutboxStateError
			if may[[2]outbox.State{from, to}] != (err == nil) || err != nil && !errors.As(err, &refused) {
				t.Errorf("%s becomes %s: error %v", from, to, err)
			}
			if err != nil {
				equal(t, "the state after a refusal", held(t, o, id).State, from)
			}
		}
	}
	if err := o.Save(outbox.Record{ID: "nobody", State: outbox.Queued}); !errors.Is(err, outbox.ErrUnknown) {
		t.Errorf("a record that is not there: error %v", err)
	}
	if err := o.Save(outbox.Record{State: outbox.Queued}); !errors.Is(err, outbox.ErrUnknown) {
		t.Errorf("a record without an id: error %v", err)
	}
}

func TestRetryGoesBackToItsPlace(t *testing.T) {
	o := openOutbox(t)
	for _, id := range []string{"a", "b", "c"} {
		accept(t, o, comment(id, 7))
	}
	accept(t, o, comment("elsewhere", 8))
	settle(t, o, "a", outbox.Delivered)
	r := held(t, o, "b")
	r.State, r.Error, r.Attempts, r.Stamp, r.InDoubt, r.NextTry = outbox.Failed, "closed", 4, "stamp", true, at(100)
	if err := o.Save(r); err != nil {
		t.Fatal(err)
	}
	equal(t, "without it", ids(t)(o.Queued(0)), []string{"c", "elsewhere"})
	got, err := o.Retry("b")
	if err != nil {
		t.Fatal(err)
	}
	want := r
	want.State, want.Error, want.NextTry, want.Settled = outbox.Queued, "", time.Time{}, time.Time{}
	equal(t, "as retried", got, want)
	equal(t, "as held", held(t, o, "b"), want)
	equal(t, "before what came after it", ids(t)(o.Queued(0)), []string{"b", "elsewhere"})

	for id, want := range map[string]error{"a": outbox.ErrNotFailed, "b": outbox.ErrNotFailed, "nobody": outbox.ErrUnknown, "": outbox.ErrUnknown} {
		if _, err := o.Retry(id); !errors.Is(err, want) {
			t.Errorf("retry of %q: error %v, want %v", id, err, want)
		}
	}
}

func TestListIsNewestFirst(t *testing.T) {
	o := openOutbox(t)
	for i := range 9 {
		id := fmt.Sprint(i + 1)
		accept(t, o, comment(id, 7))
		if i%3 > 0 {
			settle(t, o, id, []outbox.State{"", outbox.Delivered, outbox.Failed}[i%3])
		}
	}
	for name, tc := range map[string]struct {
		state  outbox.State
		before uint64
		limit  int
		want   []string
	}{
		"all":                       {"", 0, 0, []string{"9", "8", "7", "6", "5", "4", "3", "2", "1"}},
		"the first page":            {"", 0, 2, []string{"9", "8"}},
		"the second page":           {"", 8, 2, []string{"7", "6"}},
		"before the first":          {"", 1, 2, nil},
		"before what is not there":  {"", 100, 1, []string{"9"}},
		"queued":                    {outbox.Queued, 0, 0, []string{"7", "4", "1"}},
		"delivered":                 {outbox.Delivered, 0, 0, []string{"8", "5", "2"}},
		"failed":                    {outbox.Failed, 0, 2, []string{"9", "6"}},
		"failed before one":         {outbox.Failed, 6, 2, []string{"3"}},
		"queued before one of them": {outbox.Queued, 4, 2, []string{"1"}},
		"delivered before another":  {outbox.Delivered, 2, 2, nil},
	} {
		equal(t, name, ids(t)(o.List(tc.state, tc.before, tc.limit)), tc.want)
	}
	if _, err := o.List("lost", 0, 0); err == nil {
		t.Error("a state that nobody knows is listed")
	}
}

func TestDoubtTakesAllThatIsNotDelivered(t *testing.T) {
	o := openOutbox(t)
	const many = 2*doubtStep + 10
	stock(t, o, 0, many)
	settle(t, o, "r0", outbox.Delivered)
	settle(t, o, "r1", outbox.Failed)
	r := held(t, o, "r2")
	r.InDoubt = true
	if err := o.Save(r); err != nil {
		t.Fatal(err)
	}
	n, err := o.Doubt()
	if n != many-2 || err != nil {
		t.Errorf("marked %d, error %v; want %d", n, err, many-2)
	}
	list, err := o.List("", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		if r.InDoubt == (r.State == outbox.Delivered) {
			t.Errorf("%s is %s and in doubt: %v", r.ID, r.State, r.InDoubt)
		}
	}
	if n, err := o.Doubt(); n != 0 || err != nil {
		t.Errorf("marked %d more, error %v", n, err)
	}
}

// stock accepts n comments in one transaction, each on a ticket of its own.
func stock(t testing.TB, o *Outbox, from, n int) {
	t.Helper()
	err := o.submit(t.Context(), o.urgent, func(tx *outboxTx) error {
		for i := range n {
			in := comment(fmt.Sprint("r", from+i), int64(from+i+1))
			if err := tx.accept(&in, o.maxQueued, new(acceptance)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPruneForgetsWhatIsOldOnly(t *testing.T) {
	clock := &wall{now: noon}
	o := openOutbox(t, withClock(clock))
	day := 24 * time.Hour
	for _, id := range []string{"queued", "delivered", "delivered later", "failed"} {
		accept(t, o, same(comment(id, 7), id, outbox.KeepSame))
	}
	settle(t, o, "delivered", outbox.Delivered)
	settle(t, o, "failed", outbox.Failed)
	clock.set(noon.Add(day))
	settle(t, o, "delivered later", outbox.Delivered)

	prune := func(after time.Duration) int {
		t.Helper()
		clock.set(noon.Add(after))
		n, err := o.Prune(clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	equal(t, "gone after 7 days", prune(7*day), 0)
	equal(t, "gone after 7 days and a second", prune(7*day+time.Second), 1)
	equal(t, "left", ids(t)(o.List("", 0, 0)), []string{"failed", "delivered later", "queued"})
	equal(t, "gone after 90 days", prune(90*day), 1)
	equal(t, "gone after 90 days and a second", prune(90*day+time.Second), 1)
	equal(t, "gone after a year", prune(365*day), 0)
	equal(t, "what is queued stays", ids(t)(o.List("", 0, 0)), []string{"queued"})
	equal(t, "failed", o.Status().Failed, uint64(0))
}

func TestNoRecordGoesBeforeItsDigest(t *testing.T) {
	clock := &wall{now: noon}
	// One hour is less than a digest of seven days needs, and seven days less
	// than one of a month.
	o := openOutbox(t, withClock(clock), func(o *OutboxOptions) { o.KeepDelivered, o.KeepFailed = time.Hour, time.Hour })
	day := 24 * time.Hour
	accept(t, o, same(comment("week", 7), "week", outbox.KeepSame))
	accept(t, o, same(comment("month", 7), "month", 30*day))
	settle(t, o, "week", outbox.Failed)
	settle(t, o, "month", outbox.Delivered)
	for _, step := range []struct {
		after time.Duration
		gone  int
		again []string // those that answer when the same comes again
	}{
		{7*day - time.Second, 0, []string{"week", "month"}},
		{8 * day, 1, []string{"month"}},
		{30*day - time.Second, 0, []string{"month"}},
		{30 * day, 1, nil},
	} {
		clock.set(noon.Add(step.after))
		n, err := o.Prune(clock.Now())
		if n != step.gone || err != nil {
			t.Errorf("after %v %d go, error %v; want %d", step.after, n, err, step.gone)
		}
		for _, digest := range step.again {
			r, first, err := o.Accept(t.Context(), same(comment("new", 7), digest, outbox.KeepSame))
			if first || r.ID != digest || err != nil {
				t.Errorf("after %v, %s again is %s, error %v", step.after, digest, r.ID, err)
			}
		}
	}
	equal(t, "left", ids(t)(o.List("", 0, 0)), []string(nil))
}

func TestPruneWorksInShortTransactions(t *testing.T) {
	clock := &wall{now: noon}
	o := openOutbox(t, withClock(clock))
	const many = 2*pruneStep + 1
	stock(t, o, 0, many)
	err := o.submit(t.Context(), o.urgent, func(tx *outboxTx) error {
		for i := range many {
			if err := tx.save(&outbox.Record{ID: fmt.Sprint("r", i), State: outbox.Delivered}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	before := transactions(t, o)
	clock.set(noon.Add(8 * 24 * time.Hour))
	if n, err := o.Prune(clock.Now()); n != many || err != nil {
		t.Errorf("%d go, error %v; want %d", n, err, many)
	}
	equal(t, "transactions", transactions(t, o)-before, 3)
}

// Whatever is done in whatever order, the indexes say what the records say, and
// the heads are what a plain reading of all records gives.
func TestIndexesAgreeAfterAnything(t *testing.T) {
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 1))
		clock := &wall{now: noon}
		o := openOutbox(t, withClock(clock), func(o *OutboxOptions) { o.MaxQueued = 40 })
		var known []string
		for i := range 400 {
			clock.set(clock.Now().Add(time.Duration(rng.IntN(7200)) * time.Second))
			switch one := func() string { return known[rng.IntN(len(known))] }; {
			case len(known) == 0 || rng.IntN(3) == 0:
				id := fmt.Sprint("r", i)
				in := same(comment(id, rng.Int64N(5)), fmt.Sprint(rng.IntN(20)), time.Duration(rng.IntN(48))*time.Hour)
				if _, first, err := o.Accept(t.Context(), in); first && err == nil {
					known = append(known, id)
				}
			case rng.IntN(4) == 0:
				_, _ = o.Retry(one())
			case rng.IntN(20) == 0:
				if _, err := o.Prune(clock.Now().Add(time.Duration(rng.IntN(90*24)) * time.Hour)); err != nil {
					t.Fatal(err)
				}
			default:
				states := []outbox.State{outbox.Queued, outbox.Delivered, outbox.Failed}
				_ = o.Save(outbox.Record{ID: one(), State: states[rng.IntN(3)], Attempts: i})
			}
			if i%20 == 0 {
				if err := agrees(o); err != nil {
					t.Fatalf("seed %d, step %d: %v", seed, i, err)
				}
				equal(t, "heads", ids(t)(o.Queued(0)), plainHeads(t, o))
			}
		}
	}
}

func plainHeads(t *testing.T, o *Outbox) (heads []string) {
	t.Helper()
	list, err := o.List(outbox.Queued, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(list)
	seen := map[int64]bool{}
	for _, r := range list {
		if !seen[r.TicketID] {
			seen[r.TicketID] = true
			heads = append(heads, r.ID)
		}
	}
	return heads
}
