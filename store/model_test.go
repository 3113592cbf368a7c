package store

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"aniproxy/internal/caller"
)

// The model is Zendesk itself, as a list of edits of each object: what it shows
// at a second is the last edit by then. Facts of it are taken at random moments
// by every kind of reading, and handed to the store late, twice and in any
// order. Whatever came, the mirror may not be older than it says, and once all
// has been asked for again it must be what Zendesk is.

const (
	modelUsers, modelTickets = 25, 40
	modelEnd                 = 3000 // seconds
)

// edited is an object from a second on; the zero value is "not found".
type edited struct {
	second int
	user   caller.UserUpdate
	ticket caller.TicketUpdate
	there  bool
}

type model struct {
	rng   *rand.Rand
	truth map[caller.Object][]edited // ascending
	// erased are whom a tombstone stands for, from the beginning on.
	erased map[int64]bool
}

// fact is a batch that tells of one moment.
type fact struct {
	batch caller.Batch
	asOf  map[caller.Object]time.Time // which objects it confirms
}

func newModel(seed uint64) *model {
	m := &model{rng: testRandom(seed), truth: map[caller.Object][]edited{}, erased: map[int64]bool{3: true, 11: true}}
	for id := int64(1); id <= modelUsers; id++ {
		m.edits(caller.Object{Stream: caller.Users, ID: id}, func(second int) edited {
			u := user(id, fmt.Sprintf("user %d at %d", id, second), fmt.Sprintf("+1513555%04d", m.rng.IntN(12)), second)
			u.User.Active = m.rng.IntN(6) > 0
			return edited{user: u}
		})
	}
	for id := int64(1); id <= modelTickets; id++ {
		m.edits(caller.Object{Stream: caller.Tickets, ID: id}, func(second int) edited {
			status := []string{"new", "open", "pending", "hold", "solved", "deleted"}[m.rng.IntN(6)]
			k := ticket(id, m.rng.Int64N(modelUsers)+1, status, second)
			k.Ticket.Subject = fmt.Sprintf("ticket %d at %d", id, second)
			return edited{ticket: k}
		})
	}
	return m
}

// edits makes an object's history: it is not there at first, and may be gone
// for good and be restored.
func (m *model) edits(o caller.Object, edit func(second int) edited) {
	for second := 1 + m.rng.IntN(400); second < modelEnd; second += 1 + m.rng.IntN(900) {
		e := edit(second)
		e.second, e.there = second, m.rng.IntN(8) > 0
		m.truth[o] = append(m.truth[o], e)
	}
}

func (m *model) at(o caller.Object, second int) edited {
	e := edited{}
	for _, next := range m.truth[o] {
		if next.second <= second {
			e = next
		}
	}
	return e
}

func (m *model) objects() []caller.Object {
	all := make([]caller.Object, 0, len(m.truth))
	for o := range m.truth {
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b caller.Object) int {
		return cmp.Or(cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.ID, b.ID))
	})
	return all
}

// show is what Zendesk answers of an object at a second, to a request of then,
// or, of an export, to one that was sent some seconds later.
func (m *model) show(f *fact, o caller.Object, shown, sent, asOf int) {
	e := m.at(o, shown)
	version := caller.Version{Updated: at(e.second).Unix(), Sent: at(sent).UnixNano()}
	export := asOf < sent
	switch {
	case !e.there && export:
		return
	case !e.there:
		f.batch.Gone = append(f.batch.Gone, caller.Gone{Stream: o.Stream, ID: o.ID, Sent: version.Sent})
		return
	case o.Stream == caller.Users:
		u := e.user
		u.Version, u.AsOf = version, at(asOf)
		f.batch.Users = append(f.batch.Users, u)
	default:
		k := e.ticket
		if k.Version, k.AsOf = version, at(asOf); export {
			k.Version.Generated = version.Updated
		}
		f.batch.Tickets = append(f.batch.Tickets, k)
	}
	f.asOf[o] = at(asOf)
}

// read takes a fact of a second.
func (m *model) read(second int) fact {
	f := fact{asOf: map[caller.Object]time.Time{}}
	all := m.objects()
	switch m.rng.IntN(3) {
	case 0: // a page of an export, whose truth is up to a minute old
		for range 1 + m.rng.IntN(15) {
			o := all[m.rng.IntN(len(all))]
			if _, twice := f.asOf[o]; !twice {
				m.show(&f, o, second-m.rng.IntN(61), second, second-60)
			}
		}
		f.batch.Reread = m.rng.IntN(4) == 0
	case 1: // somebody by id, or a ticket
		f.batch.Urgent = m.rng.IntN(2) == 0
		m.show(&f, all[m.rng.IntN(len(all))], second, second, second)
	default: // somebody's tickets, all of them
		f.batch.Urgent = true
		m.requested(&f, m.rng.Int64N(modelUsers)+1, second)
	}
	return f
}

func (m *model) requested(f *fact, userID int64, second int) {
	r := caller.Requested{UserID: userID, Sent: at(second).UnixNano(), AsOf: at(second)}
	for _, o := range m.objects() {
		e := m.at(o, second)
		if o.Stream == caller.Tickets && e.there && e.ticket.Ticket.RequesterID == userID && e.ticket.Ticket.Unresolved() {
			m.show(f, o, second, second, second)
			r.TicketIDs = append(r.TicketIDs, o.ID)
		}
	}
	f.batch.Requested = append(f.batch.Requested, r)
}

// everything asks for each object by id.
func (m *model) everything(second int) (all []fact) {
	for _, o := range m.objects() {
		f := fact{asOf: map[caller.Object]time.Time{}}
		m.show(&f, o, second, second, second)
		all = append(all, f)
	}
	return all
}

// heldObject reads what the mirror holds of an object, and when it was last confirmed.
func heldObject(t *testing.T, s *Store, o caller.Object) (updated int64, seenAt time.Time, ok bool) {
	t.Helper()
	var err error
	if o.Stream == caller.Users {
		var c caller.Caller
		c, ok, err = s.Caller(o.ID)
		updated, seenAt = c.User.UpdatedAt, c.Seen
	} else {
		var k caller.Ticket
		k, ok, err = s.Ticket(o.ID)
		updated = k.UpdatedAt
	}
	if err != nil {
		t.Fatal(err)
	}
	return updated, seenAt, ok
}

func (m *model) check(t *testing.T, s *Store, seenBy map[caller.Object]time.Time) {
	t.Helper()
	if err := s.Verify(); err != nil {
		t.Fatal(err)
	}
	for _, o := range m.objects() {
		updated, seenAt, ok := heldObject(t, s, o)
		if !ok {
			continue
		}
		if o.Stream == caller.Users {
			if !seenAt.Equal(seenBy[o]) {
				t.Fatalf("%v was last confirmed at %v, and says %v", o, seenBy[o], seenAt)
			}
			if m.erased[o.ID] {
				t.Fatalf("%v was erased and is held", o)
			}
		}
		// What Zendesk had at the moment of which the record claims to be true.
		then := m.at(o, int(seenBy[o].Sub(noon)/time.Second))
		if at(then.second).Unix() > updated {
			t.Fatalf("%v is held as of %v, and changed at %v, but is from %v", o, seenBy[o], at(then.second), time.Unix(updated, 0))
		}
	}
	// What is listed as unseen is what no fact has confirmed since.
	since := at(m.rng.IntN(modelEnd))
	for _, stream := range []caller.Stream{caller.Users, caller.Tickets} {
		var want []int64
		ids, err := s.IDs(stream, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			if seenBy[caller.Object{Stream: stream, ID: id}].Before(since) {
				want = append(want, id)
			}
		}
		if got := unseen(t, s, stream, since); !slices.Equal(got, want) {
			t.Fatalf("%s unseen since %v: %v, want %v", stream, since, got, want)
		}
	}
}

// final is Zendesk's truth at the end, and the ids that the mirror should hold.
func (m *model) final() (truth caller.Batch, users, tickets []int64) {
	f := fact{asOf: map[caller.Object]time.Time{}}
	for _, o := range m.objects() {
		m.show(&f, o, modelEnd, modelEnd, modelEnd)
	}
	for _, u := range f.batch.Users {
		if u.User.Active && !m.erased[u.User.ID] {
			users = append(users, u.User.ID)
		}
	}
	for _, k := range f.batch.Tickets {
		if k.Ticket.Unresolved() && !m.erased[k.Ticket.RequesterID] {
			tickets = append(tickets, k.Ticket.ID)
		}
	}
	return f.batch, users, tickets
}

func TestTheMirrorFollowsAModelOfZendesk(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 2
	}
	base := uint64(time.Now().UnixNano())
	for round := range rounds {
		seed := base + uint64(round)
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			m := newModel(seed)
			s := open(t, func(o *Options) { o.NoSync = true })
			if round%2 == 0 {
				s = serving(t, func(o *Options) { o.NoSync = true })
				s.pace.note(paceLeast, time.Second) // so that pages are cut into the least
			}
			for id := range m.erased {
				bury(t, s, id)
			}
			var facts []fact
			for range 300 {
				facts = append(facts, m.read(m.rng.IntN(modelEnd)))
			}
			facts = append(facts, facts[:60]...) // told twice
			m.rng.Shuffle(len(facts), func(i, j int) { facts[i], facts[j] = facts[j], facts[i] })
			seenBy := map[caller.Object]time.Time{}
			tell := func(f fact) {
				c := apply(t, s, f.batch)
				if n := len(f.batch.Users) + len(f.batch.Tickets); c.Accepted+c.Refreshed+c.Refused < n {
					t.Fatalf("of %d records %d were accepted, %d refreshed and %d refused", n, c.Accepted, c.Refreshed, c.Refused)
				}
				for o, asOf := range f.asOf {
					if asOf.After(seenBy[o]) {
						seenBy[o] = asOf
					}
				}
			}
			late := facts[250:]
			for i, f := range facts[:250] {
				if tell(f); i%5 == 0 {
					m.check(t, s, seenBy)
				}
			}
			// All is asked for again, and late facts come between the answers.
			for i, f := range append(m.everything(modelEnd), late...) {
				if tell(f); i%5 == 0 {
					m.check(t, s, seenBy)
				}
			}
			m.check(t, s, seenBy)
			truth, users, tickets := m.final()
			equal(t, "differences from Zendesk", differences(t, s, truth), []caller.Difference(nil))
			for stream, want := range map[caller.Stream][]int64{caller.Users: users, caller.Tickets: tickets} {
				ids, err := s.IDs(stream, 0, 1000)
				equal(t, string(stream)+" held", ids, want)
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
}
