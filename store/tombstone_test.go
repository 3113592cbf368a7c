package store

import (
	"bytes"
	"testing"

	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/caller"
)

// bury sets a tombstone and touches nothing else.
func bury(t *testing.T, s *Store, id int64) {
	t.Helper()
	err := s.db.Update(func(tx *bolt.Tx) error {
		e := encoder{}
		e.int(noon.Unix())
		return tx.Bucket(bucketTombstones).Put(idKey(id), e.b)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func unbury(t *testing.T, s *Store, id int64) {
	t.Helper()
	if err := s.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketTombstones).Delete(idKey(id)) }); err != nil {
		t.Fatal(err)
	}
}

// traces are the buckets, but for the tombstones, that have a key of an id.
func traces(t *testing.T, s *Store, id int64) (in []string) {
	t.Helper()
	err := s.db.View(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{bucketUsers, bucketUserObjects, bucketTickets, bucketTicketObjects, bucketDue, bucketChecked} {
			if tx.Bucket(name).Get(idKey(id)) != nil {
				in = append(in, string(name))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestNothingOfAnErasedPersonIsWritten(t *testing.T) {
	for what, b := range map[string]caller.Batch{
		"an export's page": {Users: []caller.UserUpdate{identities(user(7, "Wilhelmina", numberA, 900), 900, numberB)}, Reread: true},
		"a live answer":    {Users: []caller.UserUpdate{user(7, "Wilhelmina", numberA, 900)}, Urgent: true},
		"their deletion":   {Users: []caller.UserUpdate{deleted(user(7, "Wilhelmina", numberA, 900))}},
		"a not-found":      {Gone: []caller.Gone{{Stream: caller.Users, ID: 7, Sent: at(900).UnixNano()}}},
		"a reading of tickets": {Urgent: true, Requested: []caller.Requested{
			{UserID: 7, TicketIDs: []int64{70}, Sent: at(900).UnixNano(), AsOf: at(900)},
		}},
	} {
		t.Run(what, func(t *testing.T) {
			s := open(t)
			bury(t, s, 7)
			c := apply(t, s, b)
			equal(t, "records refused", c.Refused, len(b.Users)+len(b.Gone))
			c.Refused = 0
			equal(t, "what may differ", c, caller.Change{})
			equal(t, "traces", traces(t, s, 7), []string(nil))
			equal(t, "size", s.Size().Users+s.Size().Numbers+s.Size().IdentitiesDue, int64(0))
		})
	}
}

func TestTicketsOfAnErasedPerson(t *testing.T) {
	const ann, erasedBob, cay = 1, 7, 3
	moved := ticket(10, erasedBob, "open", 20)
	for what, c := range map[string]struct {
		batches []caller.TicketUpdate
		want    map[int64][]int64 // ann's and cay's
		stub    bool
	}{
		"one that was never held": {
			[]caller.TicketUpdate{moved}, nil, true,
		},
		"one that was theirs all along, and a late page of it": {
			[]caller.TicketUpdate{moved, ticket(10, erasedBob, "open", 10)}, nil, true,
		},
		"one held under somebody else is taken out": {
			[]caller.TicketUpdate{ticket(10, ann, "open", 10), moved}, nil, true,
		},
		"a late page from before it came to be theirs does not bring it back": {
			[]caller.TicketUpdate{moved, ticket(10, ann, "open", 10)}, nil, true,
		},
		"nor one of a third person": {
			[]caller.TicketUpdate{ticket(10, ann, "open", 10), moved, ticket(10, cay, "open", 15)}, nil, true,
		},
		"one that is moved on to somebody else is theirs": {
			[]caller.TicketUpdate{moved, ticket(10, cay, "open", 30)}, map[int64][]int64{cay: {10}}, false,
		},
		"a late page from when it was the erased person's takes nothing away": {
			[]caller.TicketUpdate{ticket(10, cay, "open", 30), moved}, map[int64][]int64{cay: {10}}, false,
		},
		"one closed a month ago leaves nothing": {
			[]caller.TicketUpdate{ticket(10, erasedBob, "closed", -30*24*3600)}, nil, false,
		},
	} {
		t.Run(what, func(t *testing.T) {
			apart, together := open(t), open(t)
			var all caller.Batch
			for _, s := range []*Store{apart, together} {
				bury(t, s, erasedBob)
				apply(t, s, caller.Batch{Users: []caller.UserUpdate{user(ann, "Ann", numberA, 0), user(cay, "Cay", numberB, 0)}})
			}
			for _, u := range c.batches {
				apply(t, apart, caller.Batch{Tickets: []caller.TicketUpdate{u}})
				all.Tickets = append(all.Tickets, u)
			}
			apply(t, together, all)
			for how, s := range map[string]*Store{"one by one": apart, "in one batch": together} {
				equal(t, "Ann's, "+how, openTickets(t, s, ann), c.want[ann])
				equal(t, "Cay's, "+how, openTickets(t, s, cay), c.want[cay])
				want := []string{"tickets"}
				switch {
				case c.want != nil:
					want = []string{"tickets", "ticket_objects"}
				case !c.stub:
					want = nil
				}
				equal(t, "traces of the ticket, "+how, traces(t, s, 10), want)
			}
		})
	}
}

func TestWhoLosesATicketToAnErasedPersonIsToldOf(t *testing.T) {
	s := open(t)
	bury(t, s, 7)
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{user(1, "Ann", numberA, 0)}, Tickets: []caller.TicketUpdate{ticket(10, 1, "open", 10)}})
	c := apply(t, s, caller.Batch{Tickets: []caller.TicketUpdate{ticket(10, 7, "open", 20)}})
	equal(t, "people whose answers differ", c.People, []int64{1, 7})
	equal(t, "records refused", c.Refused, 1)
	c = apply(t, s, caller.Batch{Tickets: []caller.TicketUpdate{ticket(10, 7, "pending", 30)}})
	equal(t, "people whose answers differ by the next record of it", c.People, []int64(nil))
}

// An erasure may be under way: the tombstone comes first, what it takes out
// after. What is still there then is neither named nor confirmed.
func TestWhatIsStillThereOfAnErasedPersonIsTakenOut(t *testing.T) {
	s := open(t)
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{user(1, "Ann", numberA, 0)}, Tickets: []caller.TicketUpdate{ticket(10, 7, "open", 30)}})
	bury(t, s, 7)
	apply(t, s, caller.Batch{Tickets: []caller.TicketUpdate{ticket(10, 7, "open", 10)}}) // an older record even
	equal(t, "traces of the ticket", traces(t, s, 10), []string{"tickets"})
	apply(t, s, caller.Batch{Tickets: []caller.TicketUpdate{ticket(10, 1, "open", 20)}})
	equal(t, "a page from before what was taken out", openTickets(t, s, 1), []int64(nil))
}

func TestOnceLiftedAPersonAndTheirTicketsComeBack(t *testing.T) {
	s := open(t)
	bury(t, s, 7)
	b := caller.Batch{Users: []caller.UserUpdate{user(7, "Bob", numberA, 10)}, Tickets: []caller.TicketUpdate{ticket(10, 7, "open", 10)}}
	apply(t, s, b)
	unbury(t, s, 7)
	again := caller.Batch{Users: []caller.UserUpdate{user(7, "Bob", numberA, 10)}, Tickets: []caller.TicketUpdate{ticket(10, 7, "open", 10)}}
	again.Tickets[0].Version.Sent, again.Tickets[0].AsOf = at(50).UnixNano(), at(50)
	apply(t, s, again)
	equal(t, "who has the number", names(t, s, numberA), []string{"Bob"})
	equal(t, "their tickets", openTickets(t, s, 7), []int64{10})
}

func TestVerifyFindsWhatAnErasureHasLeft(t *testing.T) {
	for what, b := range map[string]caller.Batch{
		"a person":                {Users: []caller.UserUpdate{user(7, "Bob", numberA, 0)}},
		"a person who left":       {Users: []caller.UserUpdate{deleted(user(7, "Bob", numberA, 0))}},
		"a ticket":                {Tickets: []caller.TicketUpdate{ticket(10, 7, "open", 1)}},
		"a reading of the person": {Requested: []caller.Requested{{UserID: 7, AsOf: at(0), Sent: at(0).UnixNano()}}},
	} {
		t.Run(what, func(t *testing.T) {
			s := open(t)
			apply(t, s, b)
			if err := s.Verify(); err != nil {
				t.Fatalf("before the erasure: %v", err)
			}
			bury(t, s, 7)
			if err := s.Verify(); err == nil {
				t.Error("Verify finds nothing")
			}
			unbury(t, s, 7)
		})
	}
	s := open(t)
	if err := s.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketTombstones).Put(idKey(7), nil) }); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(); err == nil {
		t.Error("Verify takes a tombstone without a time")
	}
	unbury(t, s, 7)
}

func TestATicketThatCannotBeReadHidesNobodyWhoIsErased(t *testing.T) {
	s := open(t)
	apply(t, s, couple())
	erase(t, s, 1)
	erase(t, s, 2)
	damage := func(v []byte) (was []byte) {
		t.Helper()
		_, err := s.submit(t.Context(), s.bulk, func(t *transaction) error {
			was = bytes.Clone(t.bucket(bucketTickets).Get(idKey(11)))
			return t.bucket(bucketTickets).Put(idKey(11), v)
		})
		if err != nil {
			t.Fatal(err)
		}
		return was
	}
	whole := damage([]byte{0xff})
	list, err := s.Erasures(t.Context())
	if err == nil {
		t.Error("no error")
	}
	equal(t, "who is erased", list, []caller.Erasure{
		{UserID: 1, Tickets: []int64{10, 12}, At: noon}, {UserID: 2, Tickets: []int64{20}, At: noon},
	})
	damage(whole)
}
