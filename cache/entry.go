package cache

import (
	"slices"
	"time"

	"aniproxy/internal/caller"
)

// entry is what is known of one number, as of a sequence. It does not change
// once it is made: answers share it.
type entry struct {
	callers []caller.Caller // empty: nobody has the number
	// sequence was noted before the store was read; slots are what the answer
	// depends on: the number, the people who have it, and the assignees.
	sequence uint64
	slots    []uint32
	// walked is when Zendesk itself was last asked who has the number, zero
	// where only the mirror speaks.
	walked time.Time
	// expires is when "nobody" is no longer believed; zero where somebody has
	// the number.
	expires time.Time
	// unwritten marks the answer of a walk that could not be written down: it
	// is given, and never remembered.
	unwritten bool
}

// maxSlots bounds what a hit has to check: a number of a hundred people with a
// thousand tickets is read from disk each time.
const maxSlots = 256

func newEntry(number uint64, sequence uint64, callers []caller.Caller) *entry {
	e := &entry{callers: callers, sequence: sequence, slots: []uint32{slotOf(number)}}
	add := func(id int64) {
		if s := slotOf(personKey(id)); id != 0 && !slices.Contains(e.slots, s) {
			e.slots = append(e.slots, s)
		}
	}
	for i := range callers {
		add(callers[i].User.ID)
		for j := range callers[i].Open {
			if len(e.slots) > maxSlots {
				return e
			}
			add(callers[i].Open[j].AssigneeID)
		}
	}
	return e
}

// rememberable tells whether the entry may be kept in memory.
func (e *entry) rememberable() bool { return len(e.slots) <= maxSlots }

// Sizes of what an entry points to, in bytes on a 64-bit machine: the structs
// themselves, rounded up to what the allocator gives. Strings are counted by
// their bytes and the 16 that the allocator rounds up by on average.
const (
	sizeEntry  = 144
	sizeCaller = 384
	sizeTicket = 256
	sizePerson = 48
	sizeString = 16
)

// cost is about how many bytes the entry holds; ristretto adds its own.
func (e *entry) cost() int64 {
	n := sizeEntry + 4*cap(e.slots)
	text := func(s ...string) {
		for _, s := range s {
			n += len(s) + sizeString
		}
	}
	for i := range e.callers {
		c := &e.callers[i]
		n += sizeCaller
		text(c.User.Name, c.User.Email, c.User.Phone, c.User.Locale, c.User.Role)
		text(c.User.Tags...)
		for j := range c.Open {
			t := &c.Open[j]
			n += sizeTicket
			text(t.Status, t.Priority, t.Type, t.Subject)
			text(t.Tags...)
		}
		for _, p := range c.Assignees {
			n += sizePerson
			text(p.Name, p.Email)
		}
	}
	return int64(n)
}

// proof tells whether what is not in the entry can be taken as absent: before
// a stream has been read to its end once, absence in the mirror proves
// nothing, and Zendesk has to be asked about this one number or person.
func (e *entry) proof(s *caller.Streams, now time.Time, maxStale time.Duration, everyonesTickets bool) bool {
	recent := func(t time.Time) bool { return !t.IsZero() && now.Sub(t) <= maxStale }
	if !s.Users.Complete && !recent(e.walked) {
		return false
	}
	if s.Tickets.Complete || len(e.callers) != 1 && !everyonesTickets {
		return true
	}
	for i := range e.callers {
		if !recent(e.callers[i].TicketsSeen) {
			return false
		}
	}
	return true
}

// age is how long ago Zendesk last agreed with the answer: the older of the
// part that says who has the number and the part that says which tickets wait,
// where the answer is about tickets.
//
// People are read by id and are as old as that. That there is nobody is the
// search's word alone, whose index lags: it speaks of a while before it was
// asked.
func (e *entry) age(s *caller.Streams, now time.Time, everyonesTickets bool) time.Duration {
	people := s.Users.Watermark
	if len(e.callers) > 0 {
		oldest := e.callers[0].Seen
		for i := range e.callers {
			oldest = earliest(oldest, e.callers[i].Seen)
		}
		people = latest(people, oldest)
	} else if !e.walked.IsZero() {
		people = latest(people, e.walked.Add(-caller.SearchLag))
	}
	agreed := people
	if len(e.callers) == 1 || everyonesTickets {
		for i := range e.callers {
			if tickets := latest(s.Tickets.Watermark, e.callers[i].TicketsSeen); !tickets.IsZero() {
				agreed = earliest(agreed, tickets)
			}
		}
	}
	if agreed.IsZero() {
		return 0
	}
	return max(0, now.Sub(agreed))
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
