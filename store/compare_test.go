package store

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/caller"
)

// fullUser and fullTicket have a value in every field that is compared.
func fullUser() caller.UserUpdate {
	u := identities(user(1, "Ann", numberA, 10), 10, numberB, numberA)
	u.User.Locale, u.User.OrganizationID, u.User.CreatedAt = "es-MX", 5, at(-100).Unix()
	u.User.Tags = []string{"vip", "hr"}
	return u
}

func fullTicket() caller.TicketUpdate {
	u := ticket(10, 1, "open", 10)
	k := &u.Ticket
	k.AssigneeID, k.OrganizationID, k.GroupID, k.BrandID, k.FormID, k.CustomStatusID = 2, 3, 4, 5, 6, 7
	k.Priority, k.Type, k.Tags = "high", "incident", []string{"a", "b"}
	return u
}

func differences(t *testing.T, s *Store, b caller.Batch) []caller.Difference {
	t.Helper()
	d, err := s.Compare(b)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestCompareNamesEachFieldOfAUser(t *testing.T) {
	for field, change := range map[string]func(*caller.UserUpdate){
		"name":            func(u *caller.UserUpdate) { u.User.Name = "Anna" },
		"email":           func(u *caller.UserUpdate) { u.User.Email = "" },
		"phone":           func(u *caller.UserUpdate) { u.User.Phone = numberB },
		"locale":          func(u *caller.UserUpdate) { u.User.Locale = "es" },
		"role":            func(u *caller.UserUpdate) { u.User.Role = "agent" },
		"tags":            func(u *caller.UserUpdate) { u.User.Tags = []string{"vip"} },
		"organization_id": func(u *caller.UserUpdate) { u.User.OrganizationID = 0 },
		"suspended":       func(u *caller.UserUpdate) { u.User.Suspended = true },
		"created_at":      func(u *caller.UserUpdate) { u.User.CreatedAt++ },
		"updated_at":      func(u *caller.UserUpdate) { u.User.UpdatedAt++ },
		"identities":      func(u *caller.UserUpdate) { u.Identities.Phones = []string{numberA} },
		"extra":           func(u *caller.UserUpdate) { u.User.Active = false },
		"missing":         func(u *caller.UserUpdate) { u.User.ID = 99 },
	} {
		t.Run(field, func(t *testing.T) {
			s := open(t)
			apply(t, s, caller.Batch{Users: []caller.UserUpdate{fullUser()}})
			u := fullUser()
			change(&u)
			u.Version.Updated = at(33).Unix()
			want := []caller.Difference{{Stream: caller.Users, ID: u.User.ID, Field: field, Since: time.Unix(at(33).Unix(), 0)}}
			equal(t, "differences", differences(t, s, caller.Batch{Users: []caller.UserUpdate{u}}), want)
			u.Version = caller.Version{}
			want[0].Since = time.Time{}
			equal(t, "differences from a record without a version", differences(t, s, caller.Batch{Users: []caller.UserUpdate{u}}), want)
		})
	}
}

func TestCompareNamesEachFieldOfATicket(t *testing.T) {
	for field, change := range map[string]func(*caller.Ticket){
		"status":           func(k *caller.Ticket) { k.Status = "hold" },
		"priority":         func(k *caller.Ticket) { k.Priority = "" },
		"type":             func(k *caller.Ticket) { k.Type = "" },
		"subject":          func(k *caller.Ticket) { k.Subject = "SCRUBBED" },
		"tags":             func(k *caller.Ticket) { k.Tags = nil },
		"requester_id":     func(k *caller.Ticket) { k.RequesterID = 9 },
		"assignee_id":      func(k *caller.Ticket) { k.AssigneeID = 0 },
		"organization_id":  func(k *caller.Ticket) { k.OrganizationID = 0 },
		"group_id":         func(k *caller.Ticket) { k.GroupID = 0 },
		"brand_id":         func(k *caller.Ticket) { k.BrandID = 0 },
		"ticket_form_id":   func(k *caller.Ticket) { k.FormID = 0 },
		"custom_status_id": func(k *caller.Ticket) { k.CustomStatusID = 0 },
		"created_at":       func(k *caller.Ticket) { k.CreatedAt++ },
		"updated_at":       func(k *caller.Ticket) { k.UpdatedAt++ },
		"extra":            func(k *caller.Ticket) { k.Status = "solved" },
		"missing":          func(k *caller.Ticket) { k.ID = 99 },
	} {
		t.Run(field, func(t *testing.T) {
			s := open(t)
			apply(t, s, caller.Batch{Tickets: []caller.TicketUpdate{fullTicket()}})
			u := fullTicket()
			change(&u.Ticket)
			want := []caller.Difference{{Stream: caller.Tickets, ID: u.Ticket.ID, Field: field, Since: time.Unix(at(10).Unix(), 0)}}
			equal(t, "differences", differences(t, s, caller.Batch{Tickets: []caller.TicketUpdate{u}}), want)
		})
	}
}

// A field that is added to the domain and not compared would be wrong unseen.
func TestCompareLeavesNoFieldOut(t *testing.T) {
	u, k := fullUser().User, fullTicket().Ticket
	s := open(t)
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{fullUser()}, Tickets: []caller.TicketUpdate{fullTicket()}})
	d := differences(t, s, caller.Batch{
		Users:   []caller.UserUpdate{{User: caller.User{ID: u.ID, Active: true, Suspended: true}, Identities: &caller.Identities{}}},
		Tickets: []caller.TicketUpdate{{Ticket: caller.Ticket{ID: k.ID, Status: "new"}}},
	})
	count := map[caller.Stream]int{}
	for _, d := range d {
		count[d.Stream]++
	}
	fields := func(v any) int { return reflect.TypeOf(v).NumField() }
	equal(t, "fields compared", count, map[caller.Stream]int{
		caller.Users:   fields(u) - 2 + 1, // the id, and whether they are there at all; identities are beside it
		caller.Tickets: fields(k) - 1,     // the id
	})
}

func TestWhatIsNoDifference(t *testing.T) {
	s := open(t)
	apply(t, s, caller.Batch{
		Users:   []caller.UserUpdate{fullUser(), deleted(user(2, "Bob", "", 0))},
		Tickets: []caller.TicketUpdate{fullTicket(), ticket(11, 1, "solved", 0), ticket(13, 1, "open", 5)},
	})
	bury(t, s, 7)
	other, silent := fullUser(), fullUser()
	other.User.Tags = []string{"hr", "vip", "vip"}
	other.Identities.Phones = []string{numberA, numberB}
	other.Version, other.AsOf, other.Object = caller.Version{Updated: 1}, at(1), nil
	silent.Identities = nil
	sorted := fullTicket()
	slices.Reverse(sorted.Ticket.Tags)
	gone := func(stream caller.Stream, id int64) caller.Gone { return caller.Gone{Stream: stream, ID: id} }
	for what, b := range map[string]caller.Batch{
		"the same in another order, of any version":  {Users: []caller.UserUpdate{other}, Tickets: []caller.TicketUpdate{sorted}},
		"a record that says nothing of identities":   {Users: []caller.UserUpdate{silent}},
		"somebody deleted who is not held":           {Users: []caller.UserUpdate{deleted(user(2, "Bob", "", 0)), deleted(user(98, "x", "", 0))}},
		"resolved tickets that are not held":         {Tickets: []caller.TicketUpdate{ticket(11, 1, "closed", 0), ticket(12, 1, "solved", 0), ticket(97, 1, "deleted", 0)}},
		"what is not found and not held":             {Gone: []caller.Gone{gone(caller.Users, 2), gone(caller.Users, 96), gone(caller.Tickets, 11), gone(caller.Tickets, 95)}},
		"an erased person, and a ticket of theirs":   {Users: []caller.UserUpdate{user(7, "Zed", "", 0)}, Tickets: []caller.TicketUpdate{ticket(70, 7, "open", 0)}, Gone: []caller.Gone{gone(caller.Users, 7)}},
		"what the batch does not name, as ticket 13": {},
	} {
		t.Run(what, func(t *testing.T) {
			equal(t, "differences", differences(t, s, b), []caller.Difference(nil))
		})
	}
}

func TestWhatIsHeldAndShouldNotBe(t *testing.T) {
	s := open(t)
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{fullUser()}, Tickets: []caller.TicketUpdate{fullTicket()}})
	equal(t, "what Zendesk does not find", differences(t, s, caller.Batch{Gone: []caller.Gone{
		{Stream: caller.Users, ID: 1, Sent: 1}, {Stream: caller.Tickets, ID: 10, Sent: 1},
	}}), []caller.Difference{
		{Stream: caller.Users, ID: 1, Field: caller.FieldExtra}, {Stream: caller.Tickets, ID: 10, Field: caller.FieldExtra},
	})
	bury(t, s, 7)
	theirs := ticket(10, 7, "open", 10)
	equal(t, "a ticket that came to be an erased person's", differences(t, s, caller.Batch{Tickets: []caller.TicketUpdate{theirs}}),
		[]caller.Difference{{Stream: caller.Tickets, ID: 10, Field: caller.FieldExtra, Since: time.Unix(at(10).Unix(), 0)}})
}

func TestIdentitiesThatWereNeverRead(t *testing.T) {
	s := open(t)
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{user(1, "Ann", numberA, 0)}})
	equal(t, "where there are none", differences(t, s, caller.Batch{Users: []caller.UserUpdate{identities(user(1, "Ann", numberA, 0), 0)}}), []caller.Difference(nil))
	d := differences(t, s, caller.Batch{Users: []caller.UserUpdate{identities(user(1, "Ann", numberA, 0), 0, numberB)}})
	equal(t, "where there are some", len(d), 1)
}

func TestExplainNamesEverybodyOfANumber(t *testing.T) {
	s := open(t)
	agent := identities(user(2, "Agent", numberA, 10), 20, numberA)
	agent.User.Role = "agent"
	apply(t, s, caller.Batch{
		Users: []caller.UserUpdate{
			user(1, "Ann", numberA, 10), agent, identities(user(3, "Cay", "", 10), 5, numberA), deleted(user(4, "Dan", numberA, 10)),
		},
		Tickets:   []caller.TicketUpdate{ticket(20, 1, "open", 1), ticket(21, 1, "new", 1)},
		Requested: []caller.Requested{{UserID: 1, TicketIDs: []int64{20, 21}, Sent: at(30).UnixNano(), AsOf: at(30)}},
	})
	held, err := s.Explain(numberA)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.Match(numberA, nil)
	if err != nil {
		t.Fatal(err)
	}
	version := caller.Version{Updated: at(10).Unix(), Sent: at(10).UnixNano()}
	want := []caller.Held{
		{Caller: m.Callers[0], By: caller.ByProfile, Version: version, IdentitiesDue: true},
		{Caller: m.Callers[1], By: caller.ByBoth, Version: version, IdentitiesSeen: at(20)},
		{Caller: m.Callers[2], By: caller.ByIdentity, Version: version, IdentitiesSeen: at(5), IdentitiesDue: true},
	}
	if d := cmp.Diff(want, held, cmp.Comparer(time.Time.Equal)); d != "" {
		t.Errorf("explained (-want +got):\n%s", d)
	}
	equal(t, "tickets of the first", held[0].Caller.OpenCount, 2)
	if _, err := s.Explain("nobody"); err == nil {
		t.Error("Explain takes a text that is no number")
	}
	var b caller.Batch
	for id := int64(100); id < 300; id++ {
		b.Users = append(b.Users, user(id, "x", numberB, 0))
	}
	apply(t, s, b)
	if held, err = s.Explain(numberB); err != nil || len(held) != caller.MaxMatches {
		t.Errorf("of a switchboard %d are explained, error %v; want %d", len(held), err, caller.MaxMatches)
	}
}
