package zendesktest

import (
	"encoding/json"
	"iter"
	"slices"
)

// TruthUser is a person as the account has them, whatever an export or a
// search would say at the moment.
type TruthUser struct {
	ID             int64
	Name, Email    string
	Phone          string   // as stored
	Number         string   // Phone in E.164 by the account's own reading, "" where it is none
	Identities     []string // further phone numbers, as stored
	Shared         bool
	Role           string
	Locale         string
	Tags           []string
	OrganizationID int64
	Active         bool
	Suspended      bool
	CreatedAt      int64
	UpdatedAt      int64
}

// TruthTicket is a ticket as the account has it; deleted ones have the status
// deleted.
type TruthTicket struct {
	ID, RequesterID, AssigneeID                              int64
	OrganizationID, BrandID, GroupID, FormID, CustomStatusID int64
	Subject                                                  string
	Status, Priority, Type                                   string
	Tags                                                     []string
	Private, Scrubbed                                        bool
	CreatedAt, UpdatedAt, GeneratedAt                        int64
}

// Unresolved tells whether the ticket is new, open, pending or on hold.
func (t *TruthTicket) Unresolved() bool {
	return status(slices.Index(statusNames[:], t.Status)).unresolved()
}

// Comment is one comment of a ticket. Inherited says that the request which
// added it left public out.
type Comment struct {
	ID, AuditID, AuthorID int64
	Body                  string
	Public, Inherited     bool
	CreatedAt             int64
	Custom                json.RawMessage // the audit's metadata.custom, nil where none was sent
}

// Truth reads the account beside HTTP: no limits, no lag, no hidden minute.
type Truth struct{ s *Server }

// Truth gives the reader of what is so.
func (s *Server) Truth() Truth { return Truth{s} }

// truthChunk is how many objects are copied under one lock: a walk never
// holds it while its caller works, so the caller may change the account, and
// a walk during changes is not one moment's picture.
const truthChunk = 1024

// Users yields every person who has not vanished, by id.
func (t Truth) Users() iter.Seq[TruthUser] {
	return walk(func(from int) ([]TruthUser, bool) {
		t.s.mu.RLock()
		defer t.s.mu.RUnlock()
		to := min(from+truthChunk, len(t.s.users))
		var chunk []TruthUser
		for i := from; i < to; i++ {
			if !t.s.users[i].flags.has(isGone) {
				chunk = append(chunk, t.s.truthUser(int32(i)))
			}
		}
		return chunk, to < len(t.s.users)
	})
}

// Tickets yields every ticket, deleted ones too, by id.
func (t Truth) Tickets() iter.Seq[TruthTicket] {
	return walk(func(from int) ([]TruthTicket, bool) {
		t.s.mu.RLock()
		defer t.s.mu.RUnlock()
		to := min(from+truthChunk, len(t.s.tickets))
		var chunk []TruthTicket
		for i := from; i < to; i++ {
			chunk = append(chunk, t.s.truthTicket(int32(i)))
		}
		return chunk, to < len(t.s.tickets)
	})
}

func walk[T any](read func(from int) ([]T, bool)) iter.Seq[T] {
	return func(yield func(T) bool) {
		for from, more := 0, true; more; from += truthChunk {
			var chunk []T
			chunk, more = read(from)
			for _, x := range chunk {
				if !yield(x) {
					return
				}
			}
		}
	}
}

// Everybody tells of all people by what may not be told of them: a name, an
// address and numbers to one, subjects and what was said in comments to the
// other.
func (t Truth) Everybody(person func(name, email string, phones ...string), texts func(...string)) {
	for u := range t.Users() {
		person(u.Name, u.Email, append(u.Identities, u.Phone)...)
	}
	for k := range t.Tickets() {
		texts(k.Subject)
		for _, c := range t.Comments(k.ID) {
			texts(c.Body)
		}
	}
}

// User reads one person; ok is false for nobody and for who has vanished.
func (t Truth) User(id int64) (u TruthUser, ok bool) {
	t.s.mu.RLock()
	defer t.s.mu.RUnlock()
	i, ok := t.s.userAt(id)
	if !ok || t.s.users[i].flags.has(isGone) {
		return TruthUser{}, false
	}
	return t.s.truthUser(i), true
}

// Ticket reads one ticket.
func (t Truth) Ticket(id int64) (x TruthTicket, ok bool) {
	t.s.mu.RLock()
	defer t.s.mu.RUnlock()
	i, ok := t.s.ticketAt(id)
	if !ok {
		return TruthTicket{}, false
	}
	return t.s.truthTicket(i), true
}

// TicketsOf reads a person's tickets, by id.
func (t Truth) TicketsOf(userID int64) []TruthTicket {
	t.s.mu.RLock()
	defer t.s.mu.RUnlock()
	i, ok := t.s.userAt(userID)
	if !ok {
		return nil
	}
	places := t.s.ticketsOf(i)
	slices.Sort(places)
	var all []TruthTicket
	for _, p := range places {
		all = append(all, t.s.truthTicket(p))
	}
	return all
}

// Size tells how many people and tickets there are, agents and deleted included.
func (t Truth) Size() (users, tickets int) {
	t.s.mu.RLock()
	defer t.s.mu.RUnlock()
	return len(t.s.users), len(t.s.tickets)
}

// Comments reads what was added to a ticket since it was created, oldest
// first; the description is not among them.
func (t Truth) Comments(ticketID int64) []Comment {
	t.s.mu.RLock()
	defer t.s.mu.RUnlock()
	i, ok := t.s.ticketAt(ticketID)
	if !ok || t.s.more[i] == nil {
		return nil
	}
	var all []Comment
	for _, a := range t.s.more[i].audits {
		if a.comment == nil {
			continue
		}
		all = append(all, Comment{
			ID: a.id + 1, AuditID: a.id, AuthorID: userID(a.author), Body: a.comment.body,
			Public: a.comment.public, Inherited: a.comment.inherited, CreatedAt: int64(a.at), Custom: slices.Clone(a.custom),
		})
	}
	return all
}

func (s *Server) truthUser(i int32) TruthUser {
	u := &s.users[i]
	t := TruthUser{
		ID: userID(i), Name: u.name, Email: s.emailOf(i, u), Phone: u.phone, Number: e164Of(u.number),
		Shared: u.flags.has(isShared), Role: u.role.String(), Locale: localeNames[u.locale], Tags: slices.Clone(u.tags),
		Active: u.flags.has(isActive), Suspended: u.flags.has(isSuspended),
		CreatedAt: int64(u.created), UpdatedAt: int64(u.updated),
	}
	if u.org >= 0 {
		t.OrganizationID = orgBase + int64(u.org)
	}
	for _, x := range u.extra {
		t.Identities = append(t.Identities, x.value)
	}
	return t
}

func (s *Server) truthTicket(i int32) TruthTicket {
	t := &s.tickets[i]
	x := TruthTicket{
		ID: ticketID(i), RequesterID: userID(t.requester), Subject: t.subject,
		BrandID: brandBase + int64(t.brand), GroupID: groupBase + int64(t.group), FormID: formBase + int64(t.form),
		CustomStatusID: customBase + int64(t.custom),
		Status:         t.status.String(), Priority: priorityNames[t.priority], Type: typeNames[t.kind],
		Tags: slices.Clone(t.tags), Private: t.flags.has(isPrivate), Scrubbed: t.flags.has(isScrubbed),
		CreatedAt: int64(t.created), UpdatedAt: int64(t.updated), GeneratedAt: int64(t.generated),
	}
	if x.Scrubbed {
		x.Subject = "SCRUBBED"
	}
	if t.assignee >= 0 {
		x.AssigneeID = userID(t.assignee)
	}
	if t.org >= 0 {
		x.OrganizationID = orgBase + int64(t.org)
	}
	return x
}
