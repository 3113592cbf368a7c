package caller

import "slices"

// The orders of tickets: what makes one the latest.
const (
	ByCreated = "created_at"
	ByUpdated = "updated_at"
)

// MaxShown is how many tickets a choice names: the caller's, and two more for
// a menu.
const MaxShown = 3

// TicketFilter names tickets by any of the values of its keys.
type TicketFilter struct {
	BrandID, GroupID, FormID []int64
	Tags                     []string
}

// Empty tells whether the filter names nothing.
func (f *TicketFilter) Empty() bool {
	return len(f.BrandID)+len(f.GroupID)+len(f.FormID)+len(f.Tags) == 0
}

// The keys of a filter, as the configuration has them.
const (
	keyBrand = "brand_id"
	keyGroup = "group_id"
	keyForm  = "ticket_form_id"
	keyTags  = "tags"
)

// lacks is the first key given of which a ticket has none of the values; ""
// where it has one of each.
func (f *TicketFilter) lacks(t *Ticket) (key string) {
	switch {
	case len(f.BrandID) > 0 && !slices.Contains(f.BrandID, t.BrandID):
		return keyBrand
	case len(f.GroupID) > 0 && !slices.Contains(f.GroupID, t.GroupID):
		return keyGroup
	case len(f.FormID) > 0 && !slices.Contains(f.FormID, t.FormID):
		return keyForm
	case len(f.Tags) > 0 && !shares(f.Tags, t.Tags):
		return keyTags
	default:
		return ""
	}
}

// names is the first key of which a ticket has one of the values; "" where it
// has none of any.
func (f *TicketFilter) names(t *Ticket) (key string) {
	switch {
	case slices.Contains(f.BrandID, t.BrandID):
		return keyBrand
	case slices.Contains(f.GroupID, t.GroupID):
		return keyGroup
	case slices.Contains(f.FormID, t.FormID):
		return keyForm
	case shares(f.Tags, t.Tags):
		return keyTags
	default:
		return ""
	}
}

func shares(a, b []string) bool {
	return slices.ContainsFunc(b, func(tag string) bool { return slices.Contains(a, tag) })
}

// TicketPolicy says which of a caller's unresolved tickets is the caller's
// ticket. The zero value takes the one that was created last.
type TicketPolicy struct {
	Order string // ByCreated or ByUpdated
	// Include, where it names something, leaves only the tickets that have one
	// of the values of each of its keys; Exclude takes out those that have one
	// of any. What they leave out is neither chosen nor counted: to an answer
	// it is not there.
	Include, Exclude TicketFilter
	// LatestOfShared has a number that several people share answered as the
	// one of them whose ticket is the latest.
	LatestOfShared bool
}

// Shows tells whether a ticket is one that answers may speak of: unresolved,
// and not left out.
func (p *TicketPolicy) Shows(t *Ticket) bool {
	return t.Unresolved() && p.Include.lacks(t) == "" && p.Exclude.names(t) == ""
}

// Explain says why Shows does not hold of a ticket: "resolved", or the key that
// left it out, such as "include.brand_id" or "exclude.tags". "" where it does.
func (p *TicketPolicy) Explain(t *Ticket) string {
	if !t.Unresolved() {
		return "resolved"
	}
	if key := p.Include.lacks(t); key != "" {
		return "include." + key
	}
	if key := p.Exclude.names(t); key != "" {
		return "exclude." + key
	}
	return ""
}

// filters tells whether some tickets are left out.
func (p *TicketPolicy) filters() bool { return !p.Include.Empty() || !p.Exclude.Empty() }

// Choice is who is calling and about what, as far as it may be told.
type Choice struct {
	Outcome Outcome
	Reason  string
	// Caller is nil for every outcome but Found. It and the tickets belong to
	// the answer: read-only.
	Caller *Caller
	// Guessed is true where the caller is only the likeliest of several who
	// share the number: no name may be spoken then.
	Guessed bool
	// Tickets are the caller's latest unresolved tickets, the chosen one
	// first; nil from where there are no more.
	Tickets [MaxShown]*Ticket
	// Unresolved counts all of the caller's.
	Unresolved int
}

// Reasons of an answer about a shared number that was settled.
const (
	ReasonTicket = "ticket_id"     // by the caller's ticket number
	ReasonLatest = "latest_ticket" // by the policy
)

// Choose reads an answer. ticketID is what the caller keyed in, 0 for nothing:
// it chooses, among the unresolved tickets of those who have the number, that
// ticket and its requester, and so settles a number that several people share.
// One that is none of theirs changes nothing, so that trying numbers tells
// nothing of other people's tickets.
func (p *TicketPolicy) Choose(a Answer, ticketID int64) Choice {
	c := Choice{Outcome: a.Outcome, Reason: a.Reason}
	var first *Ticket
	if a.Outcome == Found || a.Outcome == Ambiguous {
		c.Caller, first = p.withTicket(a.Callers, ticketID)
	}
	switch {
	case first != nil:
		c.Outcome = Found
		if a.Outcome == Ambiguous {
			c.Reason = ReasonTicket
		}
	case a.Outcome == Found && len(a.Callers) > 0:
		c.Caller = &a.Callers[0]
	case a.Outcome == Found: // a resolver that says so and names nobody
		c.Outcome, c.Reason = Unavailable, string(FaultInternal)
		return c
	case a.Outcome == Ambiguous && p.LatestOfShared:
		if c.Caller, first = p.latestOf(a.Callers); first == nil {
			return c
		}
		c.Outcome, c.Reason, c.Guessed = Found, ReasonLatest, true
	default:
		return c
	}
	c.Tickets = p.latest(c.Caller.Open, first)
	c.Unresolved = p.Count(c.Caller)
	return c
}

// Count is how many tickets somebody waits for. With a filter only those that
// were read can be looked at: MaxOpen of them.
func (p *TicketPolicy) Count(c *Caller) int {
	if !p.filters() {
		return c.OpenCount
	}
	n := 0
	for i := range c.Open {
		if p.Shows(&c.Open[i]) {
			n++
		}
	}
	return n
}

// withTicket finds the requester of a ticket among the callers.
func (p *TicketPolicy) withTicket(callers []Caller, id int64) (*Caller, *Ticket) {
	if id <= 0 {
		return nil, nil
	}
	for i := range callers {
		for j := range callers[i].Open {
			if t := &callers[i].Open[j]; t.ID == id && p.Shows(t) {
				return &callers[i], t
			}
		}
	}
	return nil, nil
}

// latestOf finds the latest ticket of several people, and whose it is.
func (p *TicketPolicy) latestOf(callers []Caller) (owner *Caller, latest *Ticket) {
	for i := range callers {
		for j := range callers[i].Open {
			if t := &callers[i].Open[j]; p.Shows(t) && (latest == nil || p.before(t, latest)) {
				owner, latest = &callers[i], t
			}
		}
	}
	return owner, latest
}

// latest are the first tickets by the policy's order, first in front of them
// all where it is not nil. It passes once over the list, which may be long,
// and sorts nothing.
func (p *TicketPolicy) latest(open []Ticket, first *Ticket) (shown [MaxShown]*Ticket) {
	taken := 0
	if first != nil {
		shown[0], taken = first, 1
	}
	for i := range open {
		t := &open[i]
		if t == first || !p.Shows(t) {
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
func (p *TicketPolicy) before(a, b *Ticket) bool {
	at, bt := a.CreatedAt, b.CreatedAt
	if p.Order == ByUpdated {
		at, bt = a.UpdatedAt, b.UpdatedAt
	}
	if at != bt {
		return at > bt
	}
	return a.ID > b.ID
}
