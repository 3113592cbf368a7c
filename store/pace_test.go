package store

import (
	"errors"
	"testing"
	"time"

	"aniproxy/internal/caller"
)

// bigBatch has n of each kind, and the places that are to be last.
func bigBatch(n int64) caller.Batch {
	b := caller.Batch{
		Reread:   true,
		Position: &caller.Position{Stream: caller.Users, Cursor: "after", Complete: true},
		Sweep:    &caller.Sweep{Began: at(1), Cursor: "walked"},
		Round:    &caller.Round{Began: at(1), After: 7},
	}
	for id := int64(1); id <= n; id++ {
		b.Users = append(b.Users, user(id, "x", "", 0))
		b.Tickets = append(b.Tickets, ticket(id, id, "open", 0))
		b.Gone = append(b.Gone, caller.Gone{Stream: caller.Users, ID: 1_000_000 + id, Sent: 1})
		b.Requested = append(b.Requested, caller.Requested{UserID: id, TicketIDs: []int64{id}, Sent: 1})
	}
	return b
}

func TestCutKeepsTheOrderAndThePlacesForTheEnd(t *testing.T) {
	var p pace // of nothing known: 100 records
	b := bigBatch(130)
	whole := bigBatch(130)
	var got caller.Batch
	cuts := 0
	for rest := true; rest; cuts++ {
		var cut caller.Batch
		cut, rest = p.cut(&b)
		if n := cost(&cut); n == 0 || n > 101 { // a reading of two that began at the last place
			t.Errorf("cut %d costs %d records", cuts, n)
		}
		if later := len(got.Tickets)+len(got.Gone)+len(got.Requested) > 0; later && len(cut.Users) > 0 {
			t.Error("a user comes after what hangs on users")
		}
		got.Users = append(got.Users, cut.Users...)
		got.Tickets = append(got.Tickets, cut.Tickets...)
		got.Gone = append(got.Gone, cut.Gone...)
		got.Requested = append(got.Requested, cut.Requested...)
		if rest && (cut.Position != nil || cut.Sweep != nil || cut.Round != nil) {
			t.Errorf("cut %d of a batch that goes on has a place", cuts)
		}
		got.Position, got.Sweep, got.Round, got.Reread = cut.Position, cut.Sweep, cut.Round, cut.Reread
	}
	equal(t, "all cuts together", got, whole)
	equal(t, "cuts", cuts, 7) // of 650 records
}

// The places are behind the data at every moment, never ahead.
func TestPlacesOfALargeBatchComeWithItsLastCut(t *testing.T) {
	type places struct {
		Cursor, Sweep string
		Round         int64
	}
	var s *Store
	var seen []places
	s = serving(t, func(o *Options) {
		o.OnCommit = func(caller.Change) {
			if s == nil {
				return
			}
			w, err := s.Sweep()
			r, err2 := s.Round()
			if err := errors.Join(err, err2); err != nil {
				t.Error(err)
			}
			seen = append(seen, places{s.Streams().Users.Cursor, w.Cursor, r.After})
		}
	})
	c := apply(t, s, bigBatch(130))
	equal(t, "records", c.Accepted, 130*3)
	want := make([]places, 7)
	want[6] = places{"after", "walked", 7}
	equal(t, "the places after each transaction", seen, want)
}

// A flood of urgent work shares transactions, but each holds no more than the
// pace allows, unless a single batch does.
func TestUrgentWorkIsGroupedByWhatItCosts(t *testing.T) {
	urgent := func(cost int) *job {
		return &job{cost: cost, done: make(chan struct{}), do: func(*transaction) error { return nil }}
	}
	for what, c := range map[string]struct {
		waiting []int
		want    []int // jobs of each transaction
	}{
		"small ones share":                 {[]int{3, 3, 3, 3}, []int{4}},
		"until the pace is reached":        {[]int{40, 40, 20, 1}, []int{3, 1}},
		"one that is too much waits":       {[]int{60, 50, 50}, []int{1, 2}},
		"a large one goes alone":           {[]int{1, 400, 1}, []int{1, 1, 1}},
		"work of unknown cost counts none": {[]int{0, 0, 99, 0}, []int{4}},
	} {
		t.Run(what, func(t *testing.T) {
			quiet := Store{urgent: make(chan *job, 10)} // no writer takes from it
			for _, n := range c.waiting {
				quiet.urgent <- urgent(n)
			}
			var sizes []int
			taken := 0
			for next := <-quiet.urgent; next != nil; {
				var jobs []*job
				jobs, next = quiet.gather(next)
				sizes = append(sizes, len(jobs))
				taken += len(jobs)
				if next == nil && taken < len(c.waiting) {
					next = <-quiet.urgent
				}
			}
			equal(t, "jobs of each transaction", sizes, c.want)
		})
	}
	equal(t, "the cost of a batch", cost(&caller.Batch{
		Users: make([]caller.UserUpdate, 1), Tickets: make([]caller.TicketUpdate, 2), Gone: make([]caller.Gone, 3),
		Requested: []caller.Requested{{TicketIDs: make([]int64, 4)}},
	}), 1+2+3+5)
}

// A job that was put off is not lost, neither as others come nor at the end.
func TestWorkThatWasPutOffIsDone(t *testing.T) {
	s := open(t)
	hold, held := make(chan struct{}), make(chan struct{})
	jobs := []*job{{done: make(chan struct{}), do: func(*transaction) error { close(held); <-hold; return nil }}}
	for i := range 20 {
		id := int64(i + 1)
		jobs = append(jobs, &job{cost: 60, done: make(chan struct{}), do: func(tx *transaction) error {
			return tx.apply(&caller.Batch{Users: []caller.UserUpdate{user(id, "x", numberA, 0)}})
		}})
	}
	s.urgent <- jobs[0]
	<-held
	for _, j := range jobs[1:] {
		s.urgent <- j
	}
	close(hold)
	for _, j := range jobs {
		<-j.done
		if j.err != nil {
			t.Error(j.err)
		}
	}
	equal(t, "people written", len(names(t, s, numberA)), 20)
}

// A switchboard's hundred people with their tickets are urgent and large: other
// urgent work goes in between, and what hangs on the records comes after them.
func TestLargeUrgentBatchIsCutToo(t *testing.T) {
	var s *Store
	var sizes []int
	s = open(t, func(o *Options) { // nothing has been filled yet, and somebody waits all the same
		o.OnCommit = func(c caller.Change) { sizes = append(sizes, c.Accepted) }
	})
	b := caller.Batch{Urgent: true}
	for id := int64(1); id <= 100; id++ {
		b.Users = append(b.Users, user(id, "x", numberA, 0))
		for i := range int64(3) {
			b.Tickets = append(b.Tickets, ticket(1000*i+id, id, "open", 0))
		}
		b.Requested = append(b.Requested, caller.Requested{UserID: id, TicketIDs: []int64{id, 1000 + id, 2000 + id}, Sent: at(0).UnixNano(), AsOf: at(0)})
	}
	c := apply(t, s, b)
	equal(t, "records", c.Accepted, 400)
	equal(t, "records of each transaction, the last of which are readings", sizes, []int{100, 100, 100, 100, 0, 0, 0, 0})
	got, _, err := s.Caller(100)
	if err != nil || got.OpenCount != 3 || !got.TicketsSeen.Equal(at(0)) {
		t.Errorf("the last has %d tickets, fetched at %v, error %v", got.OpenCount, got.TicketsSeen, err)
	}
}

func TestPaceOfUrgentWorkFollowsTheDisk(t *testing.T) {
	var s Store
	s.urgent = make(chan *job, 100)
	s.pace.note(100, 40*time.Millisecond) // a slow disk: 50 records are 20 ms
	for range 100 {
		s.urgent <- &job{cost: 4}
	}
	jobs, next := s.gather(<-s.urgent)
	equal(t, "jobs of one person with tickets that share", len(jobs), 12)
	equal(t, "one is put off", next != nil, true)
}
