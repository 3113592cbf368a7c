package zendesktest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// shownTicket is a ticket that a show by id finds: deleted ones are 404.
func (s *Server) shownTicket(id int64) (int32, bool) {
	i, ok := s.ticketAt(id)
	return i, ok && !s.tickets[i].flags.has(isGone) && s.tickets[i].status != statusDeleted
}

func (s *Server) ticketShow(q *request) reply {
	id, ok := q.id()
	if !ok {
		return badAttribute("id", "must be an integer")
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	i, ok := s.shownTicket(id)
	if !ok {
		return notFound()
	}
	o := &object{}
	o.open()
	o.key("ticket")
	s.renderTicket(o, i, &s.tickets[i], plainTicket)
	if includes(q, "users") {
		s.sideloadUsers(o, []int32{i})
	}
	o.close()
	return reply{status: http.StatusOK, body: o.b}
}

func (s *Server) ticketsShowMany(q *request) reply {
	ids, bad := readIDs(q, "tickets")
	if bad != nil {
		return *bad
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []int32
	for _, id := range ids {
		if i, ok := s.shownTicket(id); ok && !slices.Contains(found, i) {
			found = append(found, i)
		}
	}
	o := &object{}
	o.open()
	list(o, "tickets", found, func(i int32) { s.renderTicket(o, i, &s.tickets[i], plainTicket) })
	o.raw("next_page", "null")
	o.raw("previous_page", "null")
	o.num("count", int64(len(found)))
	o.close()
	return reply{status: http.StatusOK, body: o.b}
}

// requestedTickets is consistent at once. By cursor it sorts by "sort", and a
// sort_by beside page[size] is ignored without a word; by offset it sorts by
// "sort_by" and "sort_order".
func (s *Server) requestedTickets(q *request) reply {
	id, ok := q.id()
	if !ok {
		return badAttribute("id", "must be an integer")
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	i, ok := s.shownUser(id)
	if !ok {
		return notFound()
	}
	by, descending := q.query.Get("sort_by"), q.query.Get("sort_order") == "desc"
	if byCursor(q) {
		by, descending = strings.CutPrefix(q.query.Get("sort"), "-")
	}
	var rows []row
	for _, t := range s.ticketsOf(i) {
		if x := &s.tickets[t]; x.status != statusDeleted && !x.flags.has(isGone) {
			rows = append(rows, row{key: ticketKey(x, by), id: ticketID(t), at: t})
		}
	}
	sortRows(rows, descending)
	page, bad := s.page(q, rows, descending)
	if bad != nil {
		return *bad
	}
	o := &object{}
	o.open()
	list(o, "tickets", page.rows, func(r row) { s.renderTicket(o, r.at, &s.tickets[r.at], plainTicket) })
	page.tail(o)
	o.close()
	return reply{status: http.StatusOK, body: o.b}
}

// ticketKey is what a ticket is sorted by; an unknown name sorts by id alone.
func ticketKey(t *ticket, by string) int64 {
	switch by {
	case "updated_at", "updated":
		return int64(t.updated)
	case "created_at", "created":
		return int64(t.created)
	case "priority":
		return int64(t.priority)
	case "status":
		return int64(t.status)
	case "ticket_type":
		return int64(t.kind)
	}
	return 0
}

// auditsOf are all audits of a ticket, its creation first.
func (s *Server) auditsOf(i int32) []audit {
	t := &s.tickets[i]
	first := audit{
		id: auditBase - (int64(i)+1)*auditStep, at: t.created, author: t.requester,
		comment: &comment{body: s.descriptionOf(i, t), public: !t.flags.has(isPrivate)},
		changes: []change{{field: "subject", is: t.subject}},
	}
	if m := s.more[i]; m != nil {
		first.custom = m.custom
		return append([]audit{first}, m.audits...)
	}
	return []audit{first}
}

// pageAudits pages the audits for which keep holds.
func (s *Server) pageAudits(q *request, keep func(*audit) bool) (all []audit, page paged, bad *reply) {
	id, ok := q.id()
	if !ok {
		rep := badAttribute("id", "must be an integer")
		return nil, paged{}, &rep
	}
	i, ok := s.shownTicket(id)
	if !ok {
		rep := notFound()
		return nil, paged{}, &rep
	}
	all = s.auditsOf(i)
	var rows []row
	for k := range all {
		if keep(&all[k]) {
			rows = append(rows, row{key: int64(all[k].at), id: all[k].id, at: int32(k)})
		}
	}
	descending := q.query.Get("sort_order") == "desc"
	if byCursor(q) {
		descending = q.query.Get("sort") == "-created_at"
	}
	sortRows(rows, descending)
	page, bad = s.page(q, rows, descending)
	return all, page, bad
}

func (s *Server) ticketAudits(q *request) reply {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all, page, bad := s.pageAudits(q, func(*audit) bool { return true })
	if bad != nil {
		return *bad
	}
	id, _ := q.id() // pageAudits has read it
	o := &object{}
	o.open()
	list(o, "audits", page.rows, func(r row) { renderAudit(o, id, &all[r.at]) })
	page.tail(o)
	o.close()
	return reply{status: http.StatusOK, body: o.b}
}

func (s *Server) ticketComments(q *request) reply {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all, page, bad := s.pageAudits(q, func(a *audit) bool { return a.comment != nil })
	if bad != nil {
		return *bad
	}
	o := &object{}
	o.open()
	list(o, "comments", page.rows, func(r row) {
		a := &all[r.at]
		o.open()
		renderComment(o, a)
		o.raw("via", viaAPI)
		o.time("created_at", a.at)
		o.raw("metadata", `{"system":{},"custom":`+customOf(a)+`}`)
		o.close()
	})
	page.tail(o)
	o.close()
	return reply{status: http.StatusOK, body: o.b}
}

func renderComment(o *object, a *audit) {
	o.num("id", a.id+1)
	o.str("type", "Comment")
	o.num("author_id", userID(a.author))
	o.str("body", a.comment.body)
	o.str("html_body", `<div class="zd-comment" dir="auto"><p dir="auto">`+htmlText(a.comment.body)+`</p></div>`)
	o.str("plain_body", a.comment.body)
	o.flag("public", a.comment.public)
	o.raw("attachments", "[]")
	o.num("audit_id", a.id)
}

func htmlText(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\n", "<br>").Replace(s)
}

func customOf(a *audit) string {
	if len(a.custom) == 0 {
		return "{}"
	}
	return string(a.custom)
}

func renderAudit(o *object, ticket int64, a *audit) {
	o.open()
	o.num("id", a.id)
	o.num("ticket_id", ticket)
	o.time("created_at", a.at)
	o.num("author_id", userID(a.author))
	o.raw("metadata", `{"system":{"client":"simulator","ip_address":"192.0.2.1","location":"Nowhere"},"custom":`+customOf(a)+`}`)
	o.key("events")
	o.b = append(o.b, '[')
	if a.comment != nil {
		o.open()
		renderComment(o, a)
		o.close()
	}
	for k, c := range a.changes {
		if a.comment != nil || k > 0 {
			o.b = append(o.b, ',')
		}
		o.open()
		o.num("id", a.id+2+int64(k))
		kind := "Change"
		if a.id < auditBase {
			kind = "Create"
		}
		o.str("type", kind)
		o.strOrNull("value", c.is)
		o.str("field_name", c.field)
		if kind == "Change" {
			o.strOrNull("previous_value", c.was)
		}
		o.close()
	}
	o.b = append(o.b, ']')
	o.raw("via", viaAPI)
	o.close()
}

func (s *Server) brands(*request) reply {
	o := &object{}
	o.open()
	list(o, "brands", slices.Collect(places(len(brandNames))), func(k int) {
		id := brandBase + int64(k)
		o.open()
		o.url(s.base, "/api/v2/brands/", id)
		o.num("id", id)
		o.str("name", brandNames[k])
		o.str("brand_url", s.base)
		o.str("subdomain", s.opt.Subdomain+"-"+strconv.Itoa(k))
		o.flag("active", true)
		o.flag("default", k == 0)
		o.time("created_at", s.born-pastUsers)
		o.time("updated_at", s.born-pastUsers)
		o.close()
	})
	o.raw("next_page", "null")
	o.raw("previous_page", "null")
	o.num("count", int64(len(brandNames)))
	o.close()
	return reply{status: http.StatusOK, body: o.b}
}

func (s *Server) groups(*request) reply {
	o := &object{}
	o.open()
	list(o, "groups", slices.Collect(places(len(groupNames))), func(k int) {
		id := groupBase + int64(k)
		o.open()
		o.url(s.base, "/api/v2/groups/", id)
		o.num("id", id)
		o.str("name", groupNames[k])
		o.flag("is_public", true)
		o.flag("default", k == 0)
		o.flag("deleted", false)
		o.time("created_at", s.born-pastUsers)
		o.time("updated_at", s.born-pastUsers)
		o.close()
	})
	o.raw("next_page", "null")
	o.raw("previous_page", "null")
	o.num("count", int64(len(groupNames)))
	o.close()
	return reply{status: http.StatusOK, body: o.b}
}

func (s *Server) customStatuses(*request) reply {
	o := &object{}
	o.open()
	list(o, "custom_statuses", slices.Collect(places(len(customStatuses))), func(k int) {
		c := customStatuses[k]
		o.open()
		o.num("id", customBase+int64(k))
		o.str("status_category", c.category.String())
		o.str("agent_label", c.label)
		o.str("end_user_label", c.label)
		o.flag("active", true)
		o.flag("default", c.standard)
		o.time("created_at", s.born-pastUsers)
		o.time("updated_at", s.born-pastUsers)
		o.close()
	})
	o.close()
	return reply{status: http.StatusOK, body: o.b}
}

// places yields 0 to n-1.
func places(n int) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for k := range n {
			if !yield(k) {
				return
			}
		}
	}
}
