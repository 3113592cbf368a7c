package zendesktest

import (
	"fmt"
	"slices"
)

// TicketSpec describes a ticket to create.
type TicketSpec struct {
	Requester            int64
	Assignee             int64 // 0: nobody
	Subject, Description string
	Status               string // new where empty
	Priority, Type       string // null where empty
	Tags                 []string
	Brand, Group, Form   int  // places, 0 is the first
	CustomStatus         int  // 0: the standard one; 6 to 8: the account's own
	Private              bool // the first comment is an internal note
}

// CreateTicket makes a ticket and returns its id.
func (s *Server) CreateTicket(spec TicketSpec) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	requester, ok := s.userAt(spec.Requester)
	if !ok {
		return 0, fmt.Errorf("%w: requester %d", ErrNoUser, spec.Requester)
	}
	t := ticket{
		subject: spec.Subject, tags: slices.Clone(spec.Tags), requester: requester, assignee: -1,
		org:   s.users[requester].org,
		brand: uint8(spec.Brand % len(brandNames)), group: uint8(spec.Group % len(groupNames)), form: uint8(spec.Form % len(formNames)),
	}
	if spec.Assignee != 0 {
		if t.assignee, ok = s.userAt(spec.Assignee); !ok {
			return 0, fmt.Errorf("%w: assignee %d", ErrNoUser, spec.Assignee)
		}
	}
	kind, priority := slices.Index(typeNames[:], spec.Type), slices.Index(priorityNames[:], spec.Priority)
	st := max(slices.Index(statusNames[:], spec.Status), 0)
	if kind < 0 || priority < 0 || (spec.Status != "" && spec.Status != statusNames[st]) {
		return 0, fmt.Errorf("%w: %q, %q, %q", ErrNoValue, spec.Status, spec.Priority, spec.Type)
	}
	t.kind, t.priority, t.status = uint8(kind), uint8(priority), status(st)
	t.custom = customFor(t.status)
	if n := spec.CustomStatus; n > 5 && n <= len(customStatuses) {
		t.custom = uint8(n - 1)
	}
	t.flags.put(isPrivate, spec.Private)
	return ticketID(s.addTicket(t, spec.Description)), nil
}

// addTicket puts a ticket in as of now.
func (s *Server) addTicket(t ticket, description string) int32 {
	now, i := s.now(), int32(len(s.tickets))
	t.created, t.updated, t.generated = now, now, now
	t.next = s.users[t.requester].firstTicket
	s.users[t.requester].firstTicket = i
	s.tickets = append(s.tickets, t)
	if description != "" {
		s.moreOf(i).description = description
	}
	s.rememberTicket(i, false)
	s.ticketOrder.add(now, i, false)
	s.saved(i, nil, nil)
	return i
}

func (s *Server) moreOf(i int32) *more {
	m := s.more[i]
	if m == nil {
		m = &more{}
		s.more[i] = m
	}
	return m
}

// ticketsOf are the places of a person's tickets, in no order.
func (s *Server) ticketsOf(i int32) []int32 {
	var all []int32
	for t := s.users[i].firstTicket; t >= 0; t = s.tickets[t].next {
		if s.tickets[t].requester == i {
			all = append(all, t)
		}
	}
	for _, t := range s.moved[i] {
		if s.tickets[t].requester == i && !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	return all
}

// maybeTicketsOf are the places of all tickets that are or ever were a person's.
func (s *Server) maybeTicketsOf(i int32) []int32 {
	var all []int32
	for t := s.users[i].firstTicket; t >= 0; t = s.tickets[t].next {
		all = append(all, t)
	}
	for _, t := range s.moved[i] {
		if !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	return all
}

// editTicket changes a ticket that is not deleted, as somebody who saves it:
// updated_at moves, and events and triggers tell of it.
func (s *Server) editTicket(id int64, edit func(i int32, t *ticket)) error {
	return s.editTicketAndTell(id, true, false, edit, func(i int32, was *ticket) { s.saved(i, was, nil) })
}

// editTicketAndTell changes a ticket under the lock; touch moves updated_at
// too, and generated_timestamp moves always. tell is told what it was.
func (s *Server) editTicketAndTell(id int64, touch, deleted bool, edit func(i int32, t *ticket), tell func(i int32, was *ticket)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.ticketAt(id)
	if !ok || s.tickets[i].flags.has(isGone) || (!deleted && s.tickets[i].status == statusDeleted) {
		return fmt.Errorf("%w: %d", ErrNoTicket, id)
	}
	was := s.tickets[i]
	s.changeTicket(i, touch, func(t *ticket) { edit(i, t) })
	tell(i, &was)
	return nil
}

func (s *Server) changeTicket(i int32, touch bool, edit func(t *ticket)) {
	s.rememberTicket(i, true)
	t, now := &s.tickets[i], s.now()
	edit(t)
	if touch {
		t.updated = now
	}
	if t.generated == now {
		return
	}
	t.generated = now
	s.ticketOrder.add(now, i, true)
	s.ticketOrder.sweep(func(at uint32, i int32) bool { return s.tickets[i].generated == at })
}

func (t *ticket) setStatus(to status) {
	if t.status != to {
		t.status, t.custom = to, customFor(to)
	}
}

// SetTicketStatus moves a ticket to new, open, pending, hold, solved or closed.
func (s *Server) SetTicketStatus(id int64, name string) error {
	n := slices.Index(statusNames[:], name)
	if n < 0 || status(n) == statusDeleted {
		return fmt.Errorf("%w: %q", ErrNoValue, name)
	}
	return s.editTicket(id, func(_ int32, t *ticket) { t.setStatus(status(n)) })
}

// SetTicketPriority sets low, normal, high, urgent, or null for "".
func (s *Server) SetTicketPriority(id int64, name string) error {
	n := slices.Index(priorityNames[:], name)
	if n < 0 {
		return fmt.Errorf("%w: %q", ErrNoValue, name)
	}
	return s.editTicket(id, func(_ int32, t *ticket) { t.priority = uint8(n) })
}

// SetTicketType sets problem, incident, question, task, or null for "".
func (s *Server) SetTicketType(id int64, name string) error {
	n := slices.Index(typeNames[:], name)
	if n < 0 {
		return fmt.Errorf("%w: %q", ErrNoValue, name)
	}
	return s.editTicket(id, func(_ int32, t *ticket) { t.kind = uint8(n) })
}

// SetTicketSubject renames a ticket.
func (s *Server) SetTicketSubject(id int64, subject string) error {
	return s.editTicket(id, func(_ int32, t *ticket) { t.subject = subject })
}

// SetTicketTags replaces a ticket's tags.
func (s *Server) SetTicketTags(id int64, tags ...string) error {
	return s.editTicket(id, func(_ int32, t *ticket) { t.tags = slices.Clone(tags) })
}

// SetTicketRequester hands a ticket to another customer.
func (s *Server) SetTicketRequester(id, requester int64) error {
	s.mu.RLock()
	to, ok := s.userAt(requester)
	s.mu.RUnlock()
	if !ok {
		return fmt.Errorf("%w: requester %d", ErrNoUser, requester)
	}
	return s.editTicket(id, func(i int32, t *ticket) {
		t.requester = to
		s.moved[to] = append(s.moved[to], i)
	})
}

// SetTicketAssignee gives a ticket to an agent, or to nobody for 0.
func (s *Server) SetTicketAssignee(id, assignee int64) error {
	to := int32(-1)
	if assignee != 0 {
		s.mu.RLock()
		at, ok := s.userAt(assignee)
		s.mu.RUnlock()
		if !ok {
			return fmt.Errorf("%w: assignee %d", ErrNoUser, assignee)
		}
		to = at
	}
	return s.editTicket(id, func(_ int32, t *ticket) { t.assignee = to })
}

// DeleteTicket makes a ticket status:"deleted": 404 by id, still in the
// export. It pulls no trigger, and neither does what follows it.
func (s *Server) DeleteTicket(id int64) error {
	return s.editTicketAndTell(id, true, false, func(_ int32, t *ticket) {
		t.before, t.status = t.status, statusDeleted
	}, func(i int32, _ *ticket) { s.tellTicket(i, happened("soft_deleted")) })
}

// RestoreTicket undoes DeleteTicket, unless the ticket has been scrubbed.
func (s *Server) RestoreTicket(id int64) error {
	return s.editTicketAndTell(id, true, true, func(_ int32, t *ticket) {
		if t.status == statusDeleted && !t.flags.has(isScrubbed) {
			t.status = t.before
		}
	}, func(i int32, was *ticket) {
		if s.tickets[i].status != was.status {
			s.tellTicket(i, happened("undeleted"))
		}
	})
}

// ScrubTicket deletes a ticket for good: the export shows it once more, with
// subject "SCRUBBED". Recorded answers keep updated_at where it was, and so
// does this.
func (s *Server) ScrubTicket(id int64) error {
	return s.editTicketAndTell(id, false, true, func(i int32, t *ticket) {
		if t.status != statusDeleted {
			t.before, t.status = t.status, statusDeleted
		}
		t.flags.put(isScrubbed, true)
		t.tags = nil
		delete(s.more, i)
	}, func(i int32, was *ticket) {
		if !was.flags.has(isScrubbed) {
			s.tellTicket(i, happened("permanently_deleted"))
		}
	})
}

// SystemBump moves generated_timestamp alone, as the service's own upkeep
// does. Nothing tells of it.
func (s *Server) SystemBump(id int64) error {
	return s.editTicketAndTell(id, false, true, func(int32, *ticket) {}, func(int32, *ticket) {})
}

// AddComment adds a comment, as an agent in the web interface would.
func (s *Server) AddComment(id int64, body string, public bool) error {
	var added *audit
	return s.editTicketAndTell(id, true, false, func(i int32, _ *ticket) {
		added = s.addAudit(i, audit{author: 0, comment: &comment{body: body, public: public}})
	}, func(i int32, was *ticket) { s.saved(i, was, added) })
}

// MergeTickets merges a ticket into another: the one is closed for good, the
// other gets an internal note.
func (s *Server) MergeTickets(from, into int64) error {
	s.mu.RLock()
	_, ok := s.shownTicket(into)
	s.mu.RUnlock()
	if !ok || from == into {
		return fmt.Errorf("%w: %d", ErrNoTicket, into)
	}
	err := s.editTicketAndTell(from, true, false, func(_ int32, t *ticket) {
		t.setStatus(statusClosed)
		t.tags = append(slices.Clone(t.tags), "closed_by_merge")
	}, func(i int32, was *ticket) {
		s.tellTicket(i, event{"merged", map[string]any{"target_ticket_id": idText(into)}})
		s.saved(i, was, nil)
	})
	if err != nil {
		return err
	}
	return s.AddComment(into, "Request #"+idText(from)+" was closed and merged into this request.", false)
}

// addAudit stamps an audit and appends it.
func (s *Server) addAudit(i int32, a audit) *audit {
	s.audits++
	a.id, a.at = auditBase+s.audits*auditStep, s.now()
	m := s.moreOf(i)
	m.audits = append(m.audits, a)
	return &m.audits[len(m.audits)-1]
}
