package store

import (
	"testing"

	"aniproxy/internal/caller"
)

// exported is a record as an export shows it, sent at a second: true of a
// minute before that.
func exported(u caller.UserUpdate, sent int) caller.UserUpdate {
	u.Version.Sent, u.AsOf = at(sent).UnixNano(), at(sent-60)
	return u
}

func exportedTicket(u caller.TicketUpdate, sent int) caller.TicketUpdate {
	u.Version.Sent, u.AsOf = at(sent).UnixNano(), at(sent-60)
	return u
}

func TestARecordThatANotFoundRefusesIsToBeAskedForAgain(t *testing.T) {
	notFound := func(sent int) caller.Batch {
		return caller.Batch{Gone: []caller.Gone{{Stream: caller.Users, ID: 1, Sent: at(sent).UnixNano()}}}
	}
	show := func(u caller.UserUpdate) caller.Batch { return caller.Batch{Users: []caller.UserUpdate{u}} }
	live := func(b caller.Batch) caller.Batch {
		b.Urgent = true
		return b
	}
	ann := []caller.Object{{Stream: caller.Users, ID: 1}}
	for what, c := range map[string]struct {
		before []caller.Batch
		then   caller.Batch
		want   []caller.Object
	}{
		"a new person, whom a show did not find just before the export did": {
			[]caller.Batch{notFound(100)}, show(exported(user(1, "Ann", numberA, 90), 150)), ann,
		},
		"the version that was known before the not-found": {
			[]caller.Batch{show(user(1, "Ann", numberA, 10)), notFound(100)}, show(exported(user(1, "Ann", numberA, 10), 150)), ann,
		},
		"a newer version, from a restore": {
			[]caller.Batch{show(user(1, "Ann", numberA, 10)), notFound(100)}, show(exported(user(1, "Ann", numberA, 95), 150)), ann,
		},
		"an older version than was known": {
			[]caller.Batch{show(user(1, "Ann", numberA, 10)), notFound(100)}, show(exported(user(1, "Ann", numberA, 5), 150)), nil,
		},
		"a record that says that they were deleted": {
			[]caller.Batch{notFound(100)}, show(exported(deleted(user(1, "Ann", numberA, 90)), 150)), nil,
		},
		"a record of a later moment, which is taken": {
			[]caller.Batch{notFound(100)}, show(exported(user(1, "Ann", numberA, 90), 170)), nil,
		},
		"a live answer that was asked for before": {
			[]caller.Batch{notFound(100)}, live(show(exported(user(1, "Ann", numberA, 90), 99))), nil,
		},
		"one that left by a versioned answer": {
			[]caller.Batch{show(deleted(user(1, "Ann", numberA, 100)))}, show(exported(user(1, "Ann", numberA, 90), 150)), nil,
		},
		"one that a later record of the same batch settles": {
			[]caller.Batch{notFound(100)},
			caller.Batch{Users: []caller.UserUpdate{exported(user(1, "Ann", numberA, 90), 150), exported(user(1, "Ann", numberA, 105), 170)}}, nil,
		},
		"one named twice": {
			[]caller.Batch{notFound(100)},
			caller.Batch{Users: []caller.UserUpdate{exported(user(1, "Ann", numberA, 90), 150), exported(user(1, "Ann", numberA, 95), 151)}}, ann,
		},
	} {
		t.Run(what, func(t *testing.T) {
			s := open(t)
			for _, b := range c.before {
				apply(t, s, b)
			}
			equal(t, "to be asked for", apply(t, s, c.then).Unsure, c.want)
		})
	}
}

func TestATicketThatAReadingDidNotListIsToBeAskedForAgain(t *testing.T) {
	s := open(t)
	apply(t, s, caller.Batch{Tickets: []caller.TicketUpdate{ticket(10, 1, "open", 10), ticket(11, 1, "open", 10), ticket(12, 1, "open", 10)}})
	apply(t, s, caller.Batch{Urgent: true, Requested: []caller.Requested{{UserID: 1, Sent: at(100).UnixNano(), AsOf: at(100)}}})
	apply(t, s, caller.Batch{Gone: []caller.Gone{{Stream: caller.Tickets, ID: 13, Sent: at(100).UnixNano()}}})
	c := apply(t, s, caller.Batch{Tickets: []caller.TicketUpdate{
		exportedTicket(ticket(13, 2, "new", 99), 150),
		exportedTicket(ticket(10, 1, "open", 10), 150), // the same again
		exportedTicket(ticket(11, 1, "open", 20), 150), // newer: it is taken
		exportedTicket(ticket(12, 1, "open", 5), 150),  // older
	}, Users: []caller.UserUpdate{exported(user(1, "Ann", numberA, 0), 150)}})
	equal(t, "to be asked for", c.Unsure, []caller.Object{{Stream: caller.Tickets, ID: 10}, {Stream: caller.Tickets, ID: 13}})
	equal(t, "Ann's meanwhile", openTickets(t, s, 1), []int64{11})
}

// Several jobs share a transaction and a page is cut into several: each is told
// of its own doubts, once.
func TestDoubtsAreToldToTheirOwnBatch(t *testing.T) {
	s := serving(t)
	var gone, page caller.Batch
	var want []caller.Object
	for id := int64(1); id <= 250; id++ {
		gone.Gone = append(gone.Gone, caller.Gone{Stream: caller.Users, ID: id, Sent: at(100).UnixNano()})
		page.Users = append(page.Users, exported(user(id, "x", "", 90), 150))
		want = append(want, caller.Object{Stream: caller.Users, ID: id})
	}
	apply(t, s, gone)
	equal(t, "of a page in several cuts", apply(t, s, page).Unsure, want)

	newJob := func(b caller.Batch) *job {
		return &job{done: make(chan struct{}), do: func(tx *transaction) error { return tx.apply(&b) }}
	}
	jobs := []*job{
		newJob(caller.Batch{Users: page.Users[:1]}), newJob(caller.Batch{Users: page.Users[1:1]}), newJob(caller.Batch{Users: page.Users[2:3]}),
	}
	s.urgent <- jobs[0] // before the writer may see the second, the first may be written: either is right
	s.urgent <- jobs[1]
	s.urgent <- jobs[2]
	for i, want := range [][]caller.Object{want[:1], nil, want[2:3]} {
		<-jobs[i].done
		equal(t, "of one job among several", jobs[i].change.Unsure, want)
	}
}

// serving is a store that has been filled, so that batches are cut.
func serving(t *testing.T, change ...func(*Options)) *Store {
	t.Helper()
	s := open(t, change...)
	for _, stream := range []caller.Stream{caller.Users, caller.Tickets} {
		apply(t, s, caller.Batch{Position: &caller.Position{Stream: stream, Complete: true}})
	}
	return s
}

// A kill between a batch and the asking for what it left in doubt must have the
// records come again: the walk that brought them stays where it stood.
func TestABatchInDoubtMovesNoWalk(t *testing.T) {
	for what, many := range map[string]int64{"a page": 1, "a page in several cuts": 250} {
		t.Run(what, func(t *testing.T) {
			s := serving(t)
			apply(t, s, caller.Batch{Gone: []caller.Gone{{Stream: caller.Users, ID: 1, Sent: at(100).UnixNano()}}})
			held := s.Streams()
			after := caller.Position{Stream: caller.Users, Cursor: "after", Complete: true}
			page := caller.Batch{Position: &after, Sweep: &caller.Sweep{Began: at(1), Cursor: "walked"}}
			for id := int64(1); id <= many; id++ {
				page.Users = append(page.Users, exported(user(id, "x", "", 90), 150))
			}
			if c := apply(t, s, page); len(c.Unsure) != 1 {
				t.Fatalf("in doubt are %v", c.Unsure)
			}
			equal(t, "streams", s.Streams(), held)
			sweep, err := s.Sweep()
			if err != nil || !sweep.Began.IsZero() {
				t.Errorf("the full walk stands at %+v, %v", sweep, err)
			}
			page.Users = nil
			apply(t, s, page)
			equal(t, "position once it is settled", s.Streams().Users, after)
		})
	}
}
