package store

import (
	"bytes"
	"testing"

	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/caller"
)

func TestGeneratedTimestampsAreComparedOnlyWithEachOther(t *testing.T) {
	s := open(t)
	exported := ticket(7, 1, "open", 10)
	exported.Version.Generated = at(500).Unix() // a system update moved it alone
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{user(1, "Ann", numberA, 0)}, Tickets: []caller.TicketUpdate{exported}})

	put := ticket(7, 1, "solved", 20) // an update's answer: newer, and without generated_timestamp
	put.Version.Generated = 0
	apply(t, s, caller.Batch{Tickets: []caller.TicketUpdate{put}})
	equal(t, "open tickets after the update's answer", openTickets(t, s, 1), []int64(nil))

	late := exported
	late.Version.Generated = at(400).Unix()
	apply(t, s, caller.Batch{Tickets: []caller.TicketUpdate{late}})
	equal(t, "open tickets after a late page", openTickets(t, s, 1), []int64(nil))
}

func TestTicketsStandInBothOrders(t *testing.T) {
	s := open(t)
	apply(t, s, caller.Batch{
		Users:   []caller.UserUpdate{user(1, "Ann", numberA, 0), user(9, "Agent", "", 0)},
		Tickets: []caller.TicketUpdate{ticket(10, 1, "open", 50), ticket(12, 1, "new", 40), ticket(11, 1, "hold", 60), ticket(13, 2, "open", 1)},
	})
	equal(t, "newest created first", openTickets(t, s, 1), []int64{12, 11, 10})
	var byUpdate []int64
	err := s.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketByUpdated).Cursor()
		for k, _ := c.Seek(idKey(1)); bytes.HasPrefix(k, idKey(1)); k, _ = c.Next() {
			byUpdate = append(byUpdate, orderKeyTicket(k))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "newest updated first", byUpdate, []int64{11, 10, 12})
}

func TestTicketLeavesAndMoves(t *testing.T) {
	s := open(t)
	apply(t, s, caller.Batch{
		Users:   []caller.UserUpdate{user(1, "Ann", numberA, 0), user(2, "Bob", numberB, 0)},
		Tickets: []caller.TicketUpdate{ticket(10, 1, "open", 1), ticket(11, 1, "open", 1)},
	})
	c := apply(t, s, caller.Batch{Tickets: []caller.TicketUpdate{ticket(10, 2, "open", 2), ticket(11, 1, "solved", 2)}})
	equal(t, "people whose answers differ", c.People, []int64{1, 2})
	equal(t, "the old requester's", openTickets(t, s, 1), []int64(nil))
	equal(t, "the new requester's", openTickets(t, s, 2), []int64{10})
	apply(t, s, caller.Batch{Tickets: []caller.TicketUpdate{ticket(11, 1, "open", 1)}})
	equal(t, "a late page does not re-open", openTickets(t, s, 1), []int64(nil))
	apply(t, s, caller.Batch{Tickets: []caller.TicketUpdate{ticket(11, 1, "open", 3)}})
	equal(t, "a re-opened ticket is back", openTickets(t, s, 1), []int64{11})
}

func TestCompleteReadingReplacesTheUnresolvedSet(t *testing.T) {
	s := open(t)
	apply(t, s, caller.Batch{
		Users:   []caller.UserUpdate{user(1, "Ann", numberA, 0)},
		Tickets: []caller.TicketUpdate{ticket(10, 1, "open", 1), ticket(11, 1, "open", 1), ticket(12, 1, "open", 30)},
	})
	apply(t, s, caller.Batch{Urgent: true, Requested: []caller.Requested{
		{UserID: 1, TicketIDs: []int64{10}, Sent: at(20).UnixNano(), AsOf: at(20)},
	}})
	equal(t, "what was read later than the list stays", openTickets(t, s, 1), []int64{12, 10})
	got, _, err := s.Caller(1)
	if err != nil || !got.TicketsSeen.Equal(at(20)) {
		t.Errorf("tickets last fetched %v, error %v; want %v", got.TicketsSeen, err, at(20))
	}
	same := ticket(11, 1, "open", 1)
	same.Version.Sent, same.AsOf = at(25).UnixNano(), at(15)
	apply(t, s, caller.Batch{Tickets: []caller.TicketUpdate{same}})
	equal(t, "the same version, true of an earlier moment, does not come back", openTickets(t, s, 1), []int64{12, 10})
	apply(t, s, caller.Batch{Tickets: []caller.TicketUpdate{ticket(11, 1, "open", 21)}})
	equal(t, "a newer version does", openTickets(t, s, 1), []int64{12, 11, 10})
}

func TestOldResolvedTicketsAreNotKept(t *testing.T) {
	s := open(t)
	old := ticket(10, 1, "closed", -30*24*3600)
	apply(t, s, caller.Batch{Tickets: []caller.TicketUpdate{old, ticket(11, 1, "solved", -3600)}})
	err := s.db.View(func(tx *bolt.Tx) error {
		if tx.Bucket(bucketTickets).Get(idKey(10)) != nil {
			t.Error("a ticket closed a month ago left a stub")
		}
		if tx.Bucket(bucketTickets).Get(idKey(11)) == nil {
			t.Error("a ticket solved an hour ago left no stub")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhoIsToldOfATicket(t *testing.T) {
	s := open(t)
	apply(t, s, caller.Batch{Tickets: []caller.TicketUpdate{ticket(10, 1, "open", 1)}})
	c := apply(t, s, caller.Batch{Tickets: []caller.TicketUpdate{ticket(10, 2, "open", 2)}})
	equal(t, "of a move, both requesters", c.People, []int64{1, 2})
	c = apply(t, s, caller.Batch{Urgent: true, Requested: []caller.Requested{{UserID: 2, TicketIDs: []int64{10}, Sent: at(3).UnixNano(), AsOf: at(3)}}})
	equal(t, "of a reading that agrees, the requester: their answer is younger now", c.People, []int64{2})
}

func TestTicketNotFoundGoesByTheOrderOfRequests(t *testing.T) {
	s := open(t)
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{user(1, "Ann", numberA, 0)}, Tickets: []caller.TicketUpdate{ticket(10, 1, "open", 10)}})
	apply(t, s, caller.Batch{Gone: []caller.Gone{{Stream: caller.Tickets, ID: 10, Sent: at(5).UnixNano()}}})
	equal(t, "after a not-found asked for before", openTickets(t, s, 1), []int64{10})
	apply(t, s, caller.Batch{Gone: []caller.Gone{{Stream: caller.Tickets, ID: 10, Sent: at(20).UnixNano()}}})
	equal(t, "after a later not-found", openTickets(t, s, 1), []int64(nil))
}
