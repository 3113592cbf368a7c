package caller

// The orders of tickets: what makes one the latest.
const (
	ByCreated = "created_at"
	ByUpdated = "updated_at"
)

// MaxShown is how many tickets a choice names: the caller's, and two more for
// a menu.
const MaxShown = 3

// TicketPolicy says which of a caller's unresolved tickets is the caller's
// ticket. The zero value takes the one that was created last.
type TicketPolicy struct {
	Order string // ByCreated or ByUpdated
}

// Choice is who is calling and about what, as far as it may be told.
type Choice struct {
	Outcome Outcome
	Reason  string
	// Caller is nil for every outcome but Found. It and the tickets belong to
	// the answer: read-only.
	Caller *Caller
	// Tickets are the caller's latest unresolved tickets, the chosen one
	// first; nil from where there are no more.
	Tickets [MaxShown]*Ticket
	// Unresolved counts all of the caller's.
	Unresolved int
}

// ReasonTicket is the reason of an answer about a shared number that the
// caller's ticket number settled.
const ReasonTicket = "ticket_id"

// Choose reads an answer. ticketID is what the caller keyed in, 0 for nothing:
// it chooses, among the unresolved tickets of those who have the number, that
// ticket and its requester, and so settles a number that several people share.
// One that is none of theirs changes nothing, so that trying numbers tells
// nothing of other people's tickets.
func (p TicketPolicy) Choose(a Answer, ticketID int64) Choice {
	c := Choice{Outcome: a.Outcome, Reason: a.Reason}
	var keyed *Ticket
	if a.Outcome == Found || a.Outcome == Ambiguous {
		c.Caller, keyed = withTicket(a.Callers, ticketID)
	}
	switch {
	case keyed != nil:
		c.Outcome = Found
		if a.Outcome == Ambiguous {
			c.Reason = ReasonTicket
		}
	case a.Outcome == Found && len(a.Callers) > 0:
		c.Caller = &a.Callers[0]
	case a.Outcome == Found: // a resolver that says so and names nobody
		c.Outcome, c.Reason = Unavailable, string(FaultInternal)
		return c
	default:
		return c
	}
	c.Tickets = p.latest(c.Caller.Open, keyed)
	c.Unresolved = c.Caller.OpenCount
	return c
}

// withTicket finds the requester of an unresolved ticket among the callers.
func withTicket(callers []Caller, id int64) (*Caller, *Ticket) {
	if id <= 0 {
		return nil, nil
	}
	for i := range callers {
		for j := range callers[i].Open {
			if t := &callers[i].Open[j]; t.ID == id && t.Unresolved() {
				return &callers[i], t
			}
		}
	}
	return nil, nil
}

// latest are the first tickets by the policy's order, first in front of them
// all where it is not nil. It passes once over the list, which may be long,
// and sorts nothing.
func (p TicketPolicy) latest(open []Ticket, first *Ticket) (shown [MaxShown]*Ticket) {
	taken := 0
	if first != nil {
		shown[0], taken = first, 1
	}
	for i := range open {
		t := &open[i]
		if t == first || !t.Unresolved() {
			continue
		}
		for place := taken; place < MaxShown; place++ {
			if shown[place] == nil {
				shown[place] = t
				break
			}
			if p.before(t, shown[place]) {
				shown[place], t = t, shown[place]
			}
		}
	}
	return shown
}

// before tells whether a is later than b; where both are of the same second,
// the higher id was made later.
func (p TicketPolicy) before(a, b *Ticket) bool {
	at, bt := a.CreatedAt, b.CreatedAt
	if p.Order == ByUpdated {
		at, bt = a.UpdatedAt, b.UpdatedAt
	}
	if at != bt {
		return at > bt
	}
	return a.ID > b.ID
}
