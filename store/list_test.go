package store

import (
	"testing"
	"time"

	"aniproxy/internal/caller"
)

func unseen(t *testing.T, s *Store, stream caller.Stream, since time.Time) (all []int64) {
	t.Helper()
	for after := int64(0); ; {
		ids, next, err := s.Unseen(stream, since, after)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, ids...)
		if next == 0 {
			return all
		}
		if next <= after {
			t.Fatalf("the list goes on at %d after %d", next, after)
		}
		after = next
	}
}

func TestWhatIsListed(t *testing.T) {
	s := open(t)
	agent := user(4, "Agent", numberA, 0)
	agent.User.Role = "agent"
	apply(t, s, caller.Batch{
		Users: []caller.UserUpdate{
			user(1, "Ann", numberA, 0), deleted(user(2, "Bob", numberA, 0)), identities(user(3, "Cay", "", 0), 0, numberA), agent,
		},
		Tickets: []caller.TicketUpdate{ticket(20, 1, "open", 0), ticket(21, 1, "solved", 0), ticket(22, 1, "new", 0), ticket(23, 4, "hold", 0)},
		Gone:    []caller.Gone{{Stream: caller.Users, ID: 5, Sent: 1}},
	})
	list := func(stream caller.Stream, after int64, limit int) []int64 {
		t.Helper()
		ids, err := s.IDs(stream, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	equal(t, "users", list(caller.Users, 0, 10), []int64{1, 3, 4})
	equal(t, "the first two", list(caller.Users, 0, 2), []int64{1, 3})
	equal(t, "those after", list(caller.Users, 3, 2), []int64{4})
	equal(t, "after the last", list(caller.Users, 4, 2), []int64(nil))
	equal(t, "tickets", list(caller.Tickets, 0, 10), []int64{20, 22, 23})

	holders, err := s.Holders(numberA)
	equal(t, "who has a number, of any role", holders, []int64{1, 3, 4})
	if err != nil {
		t.Error(err)
	}
	if _, err := s.Holders("5135557611"); err == nil {
		t.Error("Holders takes a number that is not in E.164")
	}
	for id, want := range map[int64][]int64{1: {22, 20}, 2: nil, 4: {23}, 99: nil} {
		tickets, err := s.OpenTickets(id)
		equal(t, "unresolved tickets", tickets, want)
		if err != nil {
			t.Error(err)
		}
	}
}

func TestNobodyWhoWasErasedIsListed(t *testing.T) {
	s := open(t)
	apply(t, s, caller.Batch{
		Users:   []caller.UserUpdate{user(1, "Ann", numberA, 0), user(7, "Bob", numberA, 0)},
		Tickets: []caller.TicketUpdate{ticket(10, 1, "open", 0), ticket(70, 7, "open", 0)},
	})
	bury(t, s, 7) // the erasure is under way
	for stream, want := range map[caller.Stream][]int64{caller.Users: {1}, caller.Tickets: {10}} {
		ids, err := s.IDs(stream, 0, 10)
		equal(t, "listed", ids, want)
		equal(t, "unseen", unseen(t, s, stream, at(500)), want)
		sample, err2 := s.Sample(stream, 5, testRandom(1).Uint64)
		equal(t, "drawn", sample, want)
		if err != nil || err2 != nil {
			t.Error(err, err2)
		}
	}
	due, err := s.Due(0, 10)
	equal(t, "due", due, []int64{1})
	if err != nil {
		t.Error(err)
	}
	holders, err := s.Holders(numberA)
	equal(t, "who has the number", holders, []int64{1})
	if err != nil {
		t.Error(err)
	}
	tickets, err := s.OpenTickets(7)
	equal(t, "their tickets", tickets, []int64(nil))
	if err != nil {
		t.Error(err)
	}
	held, err := s.Explain(numberA)
	if len(held) != 1 || err != nil {
		t.Errorf("%d people explained, error %v; want Ann alone", len(held), err)
	}
	unbury(t, s, 7)
}

func TestUnseenLooksAtABoundedNumber(t *testing.T) {
	s := open(t, func(o *Options) { o.NoSync = true })
	var b caller.Batch
	want := []int64{}
	for id := int64(1); id <= 2*listStep+500; id++ {
		u := user(id, "x", "", 0)
		if u.AsOf = at(50); id%1000 == 7 {
			u.AsOf = at(10)
			want = append(want, id)
		}
		b.Users = append(b.Users, u)
	}
	apply(t, s, b)
	ids, next, err := s.Unseen(caller.Users, at(40), 0)
	equal(t, "of the first step", ids, want[:10])
	equal(t, "where to go on", next, int64(listStep))
	if err != nil {
		t.Error(err)
	}
	equal(t, "of all steps", unseen(t, s, caller.Users, at(40)), want)
	equal(t, "those confirmed at that very moment are none of them", unseen(t, s, caller.Users, at(10)), []int64(nil))
	ids, next, err = s.Unseen(caller.Users, at(40), 3*listStep)
	if len(ids) > 0 || next != 0 || err != nil {
		t.Errorf("after the last: %v, %d, %v", ids, next, err)
	}
}

// The full run takes for lost what nothing has confirmed. So whatever shows
// that a record is there must count, in whatever lane it comes.
func TestEveryKindOfConfirmationCounts(t *testing.T) {
	u, k := user(1, "Ann", numberA, 10), ticket(10, 1, "open", 10)
	sentEarlier := func(b caller.Batch) caller.Batch {
		for i := range b.Users {
			b.Users[i].Version.Sent, b.Users[i].AsOf = at(5).UnixNano(), at(100)
		}
		for i := range b.Tickets {
			b.Tickets[i].Version.Sent, b.Tickets[i].AsOf = at(5).UnixNano(), at(100)
		}
		return b
	}
	older := func(b caller.Batch) caller.Batch {
		b = sentEarlier(b)
		for i := range b.Users {
			b.Users[i].Version.Updated--
		}
		for i := range b.Tickets {
			b.Tickets[i].Version.Updated--
			b.Tickets[i].Version.Generated--
		}
		return b
	}
	users := func(u caller.UserUpdate) caller.Batch { return caller.Batch{Users: []caller.UserUpdate{u}} }
	tickets := func(k caller.TicketUpdate) caller.Batch {
		return caller.Batch{Tickets: []caller.TicketUpdate{k}}
	}
	requested := caller.Batch{Requested: []caller.Requested{{UserID: 1, TicketIDs: []int64{10}, Sent: at(101).UnixNano(), AsOf: at(100)}}}
	for what, c := range map[string]struct {
		stream caller.Stream
		b      caller.Batch
	}{
		"a user's newer record":            {caller.Users, users(exported(user(1, "Ann", numberB, 20), 160))},
		"the same record of a user, later": {caller.Users, users(exported(u, 160))},
		"the same, asked for before":       {caller.Users, sentEarlier(users(u))},
		"an older record of a user":        {caller.Users, older(users(u))},
		"a reading of identities":          {caller.Users, users(identities(exported(u, 160), 160, numberB))},
		"a re-reading of everybody":        {caller.Users, caller.Batch{Reread: true, Users: []caller.UserUpdate{exported(u, 160)}}},
		"a ticket's newer record":          {caller.Tickets, tickets(exportedTicket(ticket(10, 1, "hold", 20), 160))},
		"the same record of a ticket":      {caller.Tickets, tickets(exportedTicket(k, 160))},
		"the same ticket, asked before":    {caller.Tickets, sentEarlier(tickets(k))},
		"an older record of a ticket":      {caller.Tickets, older(tickets(k))},
		"a reading of a user's tickets":    {caller.Tickets, requested},
	} {
		for _, urgent := range []bool{false, true} {
			t.Run(what, func(t *testing.T) {
				s := open(t)
				apply(t, s, caller.Batch{Users: []caller.UserUpdate{u}, Tickets: []caller.TicketUpdate{k}})
				b := c.b
				b.Urgent = urgent
				apply(t, s, b)
				equal(t, "unseen since it was confirmed", unseen(t, s, c.stream, at(100)), []int64(nil))
				if len(unseen(t, s, c.stream, at(101))) != 1 {
					t.Error("it counts as seen later than it was confirmed")
				}
			})
		}
	}
}

// A full walk confirms a million records of which nothing has changed: beside
// the record itself nothing is written, and nobody is named.
func TestAConfirmationWritesTheRecordAlone(t *testing.T) {
	u, k := identities(user(1, "Ann", numberA, 10), 10, numberB), ticket(10, 1, "open", 10)
	earlier, earlierTicket := user(1, "Ann", numberA, 10), ticket(10, 1, "open", 10)
	earlier.Version.Sent, earlierTicket.Version.Sent = at(5).UnixNano(), at(5).UnixNano()
	earlier.AsOf, earlierTicket.AsOf = at(100), at(100)
	for what, b := range map[string]caller.Batch{
		"the same records, read later":     {Users: []caller.UserUpdate{exported(u, 160), exported(user(2, "Bob", numberB, 10), 160)}, Tickets: []caller.TicketUpdate{exportedTicket(k, 160)}},
		"the same records, asked before":   {Users: []caller.UserUpdate{earlier}, Tickets: []caller.TicketUpdate{earlierTicket}},
		"a reading of the user's tickets":  {Requested: []caller.Requested{{UserID: 1, TicketIDs: []int64{10}, Sent: at(100).UnixNano(), AsOf: at(100)}}},
		"the records and such a reading":   {Users: []caller.UserUpdate{exported(u, 160)}, Tickets: []caller.TicketUpdate{exportedTicket(k, 160)}, Requested: []caller.Requested{{UserID: 1, TicketIDs: []int64{10}, Sent: at(100).UnixNano(), AsOf: at(100)}}},
		"records older than what is held.": {Users: []caller.UserUpdate{exported(user(1, "Ann", numberA, 5), 160)}, Tickets: []caller.TicketUpdate{exportedTicket(ticket(10, 1, "new", 5), 160)}},
	} {
		t.Run(what, func(t *testing.T) {
			s := open(t)
			apply(t, s, caller.Batch{Users: []caller.UserUpdate{u, user(2, "Bob", numberB, 10)}, Tickets: []caller.TicketUpdate{k}})
			var people []int64
			if b.Requested != nil {
				people = []int64{1} // when their tickets were last fetched has changed
			}
			written := map[string]int{}
			_, err := s.submit(t.Context(), s.bulk, func(tx *transaction) error {
				if err := tx.apply(&b); err != nil {
					return err
				}
				var users userEdits
				var tickets ticketEdits
				for id, e := range tx.users {
					if err := tx.editUser(&users, id, e); err != nil {
						return err
					}
				}
				for id, e := range tx.tickets {
					if tx.editTicket(&tickets, id, e) {
						t.Error("a ticket's confirmation is news")
					}
				}
				written["user objects"], written["phones"] = len(users.objects), len(users.phones)
				written["ticket objects"], written["orders"] = len(tickets.objects), len(tickets.created)+len(tickets.updated)
				written["stubs"] = len(users.left) + len(tickets.left)
				tx.reset()
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "written beside the records", written,
				map[string]int{"user objects": 0, "phones": 0, "ticket objects": 0, "orders": 0, "stubs": 0})
			c := apply(t, s, b)
			equal(t, "numbers named", c.Numbers, []string(nil))
			equal(t, "people named", c.People, people)
		})
	}
}
