package zendesktest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// ticketChange is the body of a PUT or POST. A pointer tells "not sent" from
// "sent as nothing".
type ticketChange struct {
	Subject      *string       `json:"subject"`
	Description  *string       `json:"description"`
	Comment      *commentGiven `json:"comment"`
	Status       *string       `json:"status"`
	Priority     *string       `json:"priority"`
	Type         *string       `json:"type"`
	AssigneeID   *int64        `json:"assignee_id"`
	GroupID      *int64        `json:"group_id"`
	BrandID      *int64        `json:"brand_id"`
	RequesterID  *int64        `json:"requester_id"`
	CustomStatus *int64        `json:"custom_status_id"`
	Tags         *[]string     `json:"tags"`
	Requester    *struct {
		Name  string `json:"name"`
		Email string `json:"email"`
		Phone string `json:"phone"`
	} `json:"requester"`
	FollowUpOf   int64           `json:"via_followup_source_id"`
	SafeUpdate   any             `json:"safe_update"` // true, and "true" in the documentation
	UpdatedStamp string          `json:"updated_stamp"`
	Metadata     json.RawMessage `json:"metadata"`
}

type commentGiven struct {
	Body     string `json:"body"`
	HTMLBody string `json:"html_body"`
	Public   *bool  `json:"public"`
}

func (c *commentGiven) text() string {
	if c.Body != "" {
		return c.Body
	}
	return c.HTMLBody
}

func readTicketChange(q *request) (*ticketChange, *reply) {
	var sent struct {
		Ticket *ticketChange `json:"ticket"`
	}
	if err := json.Unmarshal(q.body, &sent); err != nil {
		rep := errTitle(http.StatusBadRequest, "Unprocessable message", "Server could not parse JSON")
		return nil, &rep
	}
	if sent.Ticket == nil {
		rep := errTitle(http.StatusBadRequest, "Invalid attribute", "You are missing the required parameter: ticket")
		return nil, &rep
	}
	return sent.Ticket, nil
}

// onlyComment tells whether nothing but a comment is sent.
func (c *ticketChange) onlyComment() bool {
	return c.Comment != nil && c.Subject == nil && c.Status == nil && c.Priority == nil && c.Type == nil &&
		c.AssigneeID == nil && c.GroupID == nil && c.RequesterID == nil && c.CustomStatus == nil && c.Tags == nil
}

// custom is what the audit keeps as metadata.custom: the documentation says
// that all of metadata ends there, and clients also send it already so named.
func (c *ticketChange) custom() []byte {
	if len(c.Metadata) == 0 || string(c.Metadata) == "null" {
		return nil
	}
	var m struct {
		Custom json.RawMessage `json:"custom"`
	}
	if json.Unmarshal(c.Metadata, &m) != nil {
		return nil
	}
	b := []byte(m.Custom)
	if len(b) == 0 {
		b = c.Metadata
	}
	var tidy bytes.Buffer
	if json.Compact(&tidy, b) != nil {
		return nil
	}
	return tidy.Bytes()
}

// ticketUpdate is PUT tickets/{id}. It has no memory: the same PUT twice is
// two comments.
func (s *Server) ticketUpdate(q *request) reply {
	id, ok := q.id()
	if !ok {
		return badAttribute("id", "must be an integer")
	}
	c, bad := readTicketChange(q)
	if bad != nil {
		return *bad
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.shownTicket(id)
	if !ok {
		return notFound()
	}
	t := &s.tickets[i]
	if t.status == statusClosed {
		shape, _ := ErrorShape("closed_ticket_update")
		return shape.reply()
	}
	unguarded := s.opt.SafeUpdateIgnoresComments && c.onlyComment()
	if stale(c, t) && !unguarded {
		return errText(http.StatusConflict, "UpdateConflict", updateConflict)
	}
	next, bad := s.applyChange(c, t)
	if bad != nil {
		return *bad
	}
	a := audit{author: q.who.place, custom: c.custom(), changes: differences(t, &next)}
	if c.Comment != nil && c.Comment.text() != "" {
		a.comment = &comment{body: c.Comment.text(), public: !t.flags.has(isPrivate), inherited: true}
		if c.Comment.Public != nil {
			a.comment.public, a.comment.inherited = *c.Comment.Public, false
		}
	}
	made := &audit{id: auditBase, at: s.now(), author: q.who.place}
	if a.comment != nil || len(a.changes) > 0 || a.custom != nil {
		was := *t
		s.changeTicket(i, true, func(x *ticket) {
			next.flags, next.generated = x.flags, x.generated // what remembering marked
			*x = next
		})
		if a.changed("requester_id") {
			s.moved[next.requester] = append(s.moved[next.requester], i)
		}
		made = s.addAudit(i, a)
		s.saved(i, &was, made)
	}
	o := &object{}
	o.open()
	o.key("ticket")
	s.renderTicket(o, i, &s.tickets[i], plainTicket)
	o.key("audit")
	renderAudit(o, id, made)
	o.close()
	return reply{status: http.StatusOK, body: o.b}
}

func (a *audit) changed(field string) bool {
	return slices.ContainsFunc(a.changes, func(c change) bool { return c.field == field })
}

// stale tells whether a safe update comes from an older ticket. Stamps are
// whole seconds: two updates within one cannot be told apart.
func stale(c *ticketChange, t *ticket) bool {
	if c.SafeUpdate != true && c.SafeUpdate != "true" {
		return false
	}
	stamp, err := time.Parse(time.RFC3339, c.UpdatedStamp)
	return err != nil || stamp.Unix() < int64(t.updated)
}

// invalidField is the refusal of one field.
func invalidField(field, text string) *reply {
	rep := invalidRecord(map[string]any{field: []any{map[string]any{"description": text}}})
	return &rep
}

// applyChange works out the ticket after a change.
func (s *Server) applyChange(c *ticketChange, t *ticket) (next ticket, bad *reply) {
	next = *t
	if c.Subject != nil {
		next.subject = *c.Subject
	}
	if c.Tags != nil {
		next.tags = *c.Tags
	}
	if bad := applyWords(c, &next); bad != nil {
		return ticket{}, bad
	}
	if bad := s.applyIDs(c, &next); bad != nil {
		return ticket{}, bad
	}
	return next, nil
}

// applyWords sets status, priority and type.
func applyWords(c *ticketChange, next *ticket) *reply {
	if c.Status != nil {
		n := slices.Index(statusNames[:], *c.Status)
		if n < 0 || status(n) >= statusClosed {
			return invalidField("status", "Status: is not valid")
		}
		if next.status != status(n) {
			next.status, next.custom = status(n), customFor(status(n))
		}
	}
	if c.Priority != nil {
		n := slices.Index(priorityNames[:], *c.Priority)
		if n < 0 {
			return invalidField("priority", "Priority: is not included in the list")
		}
		next.priority = uint8(n)
	}
	if c.Type != nil {
		n := slices.Index(typeNames[:], *c.Type)
		if n < 0 {
			return invalidField("type", "Type: is not included in the list")
		}
		next.kind = uint8(n)
	}
	return nil
}

// applyIDs sets what is named by an id. An assignee makes a new ticket open.
func (s *Server) applyIDs(c *ticketChange, next *ticket) *reply {
	among := func(id *int64, base int64, most int) (uint8, bool) {
		n := *id - base
		return uint8(n), n >= 0 && n < int64(most)
	}
	var ok bool
	if c.CustomStatus != nil {
		if next.custom, ok = among(c.CustomStatus, customBase, len(customStatuses)); !ok {
			return invalidField("custom_status_id", "Custom status: is not valid")
		}
		next.status = customStatuses[next.custom].category
	}
	if c.GroupID != nil {
		if next.group, ok = among(c.GroupID, groupBase, len(groupNames)); !ok {
			return invalidField("group", "Group is invalid")
		}
	}
	if c.BrandID != nil {
		if next.brand, ok = among(c.BrandID, brandBase, len(brandNames)); !ok {
			return invalidField("brand", "Brand is invalid")
		}
	}
	if c.AssigneeID != nil {
		if next.assignee, ok = s.shownUser(*c.AssigneeID); !ok || s.users[next.assignee].role == endUser {
			return invalidField("assignee", "Assignee: is invalid")
		}
		if next.status == statusNew {
			next.status, next.custom = statusOpen, customFor(statusOpen)
		}
	}
	if c.RequesterID != nil {
		if next.requester, ok = s.shownUser(*c.RequesterID); !ok {
			return invalidField("requester", "Requester: is invalid")
		}
	}
	return nil
}

// differences are the changes that the audit lists.
func differences(a, b *ticket) []change {
	var all []change
	put := func(field, was, is string) {
		if was != is {
			all = append(all, change{field, was, is})
		}
	}
	num := func(base int64, n int64) string { return strconv.FormatInt(base+n, 10) }
	put("subject", a.subject, b.subject)
	put("status", a.status.String(), b.status.String())
	put("custom_status_id", num(customBase, int64(a.custom)), num(customBase, int64(b.custom)))
	put("priority", priorityNames[a.priority], priorityNames[b.priority])
	put("type", typeNames[a.kind], typeNames[b.kind])
	put("group_id", num(groupBase, int64(a.group)), num(groupBase, int64(b.group)))
	put("brand_id", num(brandBase, int64(a.brand)), num(brandBase, int64(b.brand)))
	person := func(i int32) string {
		if i < 0 {
			return ""
		}
		return num(0, userID(i))
	}
	put("requester_id", person(a.requester), person(b.requester))
	put("assignee_id", person(a.assignee), person(b.assignee))
	if !slices.Equal(a.tags, b.tags) {
		all = append(all, change{"tags", "-", "+"})
	}
	return all
}
