package zendesktest

import (
	"crypto/sha256"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Idempotency keys are at most this long, and remembered for so long.
const (
	idempotencyKeyMost = 255
	idempotencyLife    = 2 * time.Hour
)

// replays remembers answers by Idempotency-Key.
type replays struct {
	mu   sync.Mutex
	kept map[string]replay
}

type replay struct {
	until time.Time
	asked [sha256.Size]byte
	reply reply
}

func (r *replays) init() { r.kept = map[string]replay{} }

// ticketCreate is POST tickets. With an Idempotency-Key the same request
// again, within two hours, is answered again and not done again.
func (s *Server) ticketCreate(q *request) reply {
	key := q.Header.Get("Idempotency-Key")
	if key == "" {
		return s.createFromRequest(q)
	}
	if len(key) > idempotencyKeyMost {
		return errText(http.StatusBadRequest, "IdempotentRequestError", "Idempotency key is too long")
	}
	s.replays.mu.Lock()
	defer s.replays.mu.Unlock()
	asked := sha256.Sum256(q.body)
	if old, ok := s.replays.kept[key]; ok && old.until.After(q.now) {
		if old.asked != asked {
			shape, _ := ErrorShape("idempotency_mismatch")
			return shape.reply()
		}
		again := old.reply
		again.header = again.header.Clone()
		again.header.Set("X-Idempotency-Lookup", "hit")
		return again
	}
	rep := s.createFromRequest(q)
	if rep.status == http.StatusCreated {
		s.replays.kept[key] = replay{q.now.Add(idempotencyLife), asked, reply{rep.status, rep.header.Clone(), rep.body}}
		rep.header.Set("X-Idempotency-Lookup", "miss")
	}
	return rep
}

func (s *Server) createFromRequest(q *request) reply {
	c, bad := readTicketChange(q)
	if bad != nil {
		return *bad
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	text := ""
	switch {
	case c.Comment != nil:
		text = c.Comment.text()
	case c.Description != nil:
		text = *c.Description
	}
	if text == "" {
		return invalidRecord(map[string]any{"base": []any{map[string]any{"description": "Description: cannot be blank", "error": "BlankValue"}}})
	}
	t := ticket{requester: q.who.place, assignee: -1, org: -1}
	if c.Requester != nil && c.RequesterID == nil {
		t.requester = s.requesterNamed(c.Requester.Name, c.Requester.Email, c.Requester.Phone)
	}
	source := int32(-1)
	if c.FollowUpOf != 0 {
		i, ok := s.shownTicket(c.FollowUpOf)
		if !ok || s.tickets[i].status != statusClosed {
			return invalidRecord(map[string]any{"via_followup_source_id": []any{map[string]any{"description": "Source ticket: is not closed"}}})
		}
		source, t.requester, t.subject = i, s.tickets[i].requester, "Re: "+s.tickets[i].subject
		t.flags |= isFromFollowUp
	}
	next, bad := s.applyChange(c, &t)
	if bad != nil {
		return *bad
	}
	if next.subject == "" {
		next.subject = text
	}
	next.org = s.users[next.requester].org
	next.flags.put(isPrivate, c.Comment != nil && c.Comment.Public != nil && !*c.Comment.Public)
	i := s.addTicket(next, text)
	if source >= 0 {
		s.moreOf(i).followsUp = c.FollowUpOf
		m := s.moreOf(source)
		m.followUps = append(m.followUps, ticketID(i))
	}
	if custom := c.custom(); custom != nil {
		s.moreOf(i).custom = custom
	}
	first := s.auditsOf(i)[0]
	o := &object{}
	o.open()
	o.key("ticket")
	s.renderTicket(o, i, &s.tickets[i], plainTicket)
	o.key("audit")
	renderAudit(o, ticketID(i), &first)
	o.close()
	location := s.base + "/api/v2/tickets/" + strconv.FormatInt(ticketID(i), 10) + ".json"
	return reply{status: http.StatusCreated, header: http.Header{"Location": {location}}, body: o.b}
}

// requesterNamed finds a person by address, or makes one.
func (s *Server) requesterNamed(name, email, phone string) int32 {
	if email != "" {
		if i, ok := s.personNamed(email); ok {
			return i
		}
	}
	return s.createUser(UserSpec{Name: name, Email: email, Phone: phone})
}
