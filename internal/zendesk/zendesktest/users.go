package zendesktest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// idsMost is how many ids a show_many takes.
const idsMost = 100

// shownUser is a person that a show by id finds: deleted ones, yes; vanished
// ones, no.
func (s *Server) shownUser(id int64) (int32, bool) {
	i, ok := s.userAt(id)
	return i, ok && !s.users[i].flags.has(isGone)
}

func (s *Server) userShow(q *request) reply {
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
	o := &object{}
	o.open()
	o.key("user")
	s.renderUser(o, i, &s.users[i], false)
	if includes(q, "identities") {
		s.sideloadIdentities(o, []int32{i})
	}
	o.close()
	return reply{status: http.StatusOK, body: o.b}
}

// readIDs reads ids=1,2,3.
func readIDs(q *request, what string) ([]int64, *reply) {
	var ids []int64
	for _, part := range strings.Split(q.query.Get("ids"), ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		id, err := strconv.ParseInt(part, 10, 64)
		if err != nil {
			rep := badAttribute("ids", "must be a comma-separated list of integers")
			return nil, &rep
		}
		ids = append(ids, id)
	}
	if len(ids) > idsMost {
		rep := errText(http.StatusBadRequest, "TooManyValues", "Maximum 100 "+what+" may be shown per call")
		return nil, &rep
	}
	return ids, nil
}

// usersShowMany leaves out whom it does not find.
func (s *Server) usersShowMany(q *request) reply {
	ids, bad := readIDs(q, "users")
	if bad != nil {
		return *bad
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []int32
	for _, id := range ids {
		if i, ok := s.shownUser(id); ok && !slices.Contains(found, i) {
			found = append(found, i)
		}
	}
	o := &object{}
	o.open()
	list(o, "users", found, func(i int32) { s.renderUser(o, i, &s.users[i], false) })
	if includes(q, "identities") {
		s.sideloadIdentities(o, found)
	}
	o.raw("next_page", "null")
	o.raw("previous_page", "null")
	o.num("count", int64(len(found)))
	o.close()
	return reply{status: http.StatusOK, body: o.b}
}

// shownIdentity is one identity as an answer has it.
type shownIdentity struct {
	id      int64
	kind    string
	value   string
	primary bool
	at      uint32
}

// identitiesOf are a person's identities: the address, the profile phone where
// it is a direct line, and further numbers.
func (s *Server) identitiesOf(i int32) []shownIdentity {
	u := &s.users[i]
	var all []shownIdentity
	if email := s.emailOf(i, u); email != "" {
		all = append(all, shownIdentity{userID(i) + 1, "email", email, true, u.created})
	}
	if u.number != 0 && !u.flags.has(isShared) {
		all = append(all, shownIdentity{userID(i) + 2, "phone_number", e164Of(u.number), false, u.created})
	}
	for _, x := range u.extra {
		all = append(all, shownIdentity{x.id, "phone_number", x.value, false, x.at})
	}
	return all
}

func (s *Server) renderIdentity(o *object, i int32, x shownIdentity) {
	o.open()
	o.str("url", s.base+"/api/v2/users/"+strconv.FormatInt(userID(i), 10)+"/identities/"+strconv.FormatInt(x.id, 10)+".json")
	o.num("id", x.id)
	o.num("user_id", userID(i))
	o.str("type", x.kind)
	o.str("value", x.value)
	o.flag("verified", true)
	o.flag("primary", x.primary)
	o.time("created_at", x.at)
	o.time("updated_at", x.at)
	if x.kind == "email" {
		o.num("undeliverable_count", 0)
		o.str("deliverable_state", "deliverable")
	}
	o.close()
}

func (s *Server) sideloadIdentities(o *object, page []int32) {
	type owned struct {
		i int32
		x shownIdentity
	}
	var all []owned
	for _, i := range page {
		for _, x := range s.identitiesOf(i) {
			all = append(all, owned{i, x})
		}
	}
	list(o, "identities", all, func(w owned) { s.renderIdentity(o, w.i, w.x) })
}

func (s *Server) sideloadUsers(o *object, tickets []int32) {
	var people []int32
	for _, t := range tickets {
		people = append(people, s.tickets[t].requester)
		if a := s.tickets[t].assignee; a >= 0 {
			people = append(people, a)
		}
	}
	slices.Sort(people)
	people = slices.DeleteFunc(slices.Compact(people), func(i int32) bool { return s.users[i].flags.has(isGone) })
	list(o, "users", people, func(i int32) { s.renderUser(o, i, &s.users[i], false) })
}

func (s *Server) userIdentities(q *request) reply {
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
	kinds := q.query["type[]"]
	all := slices.DeleteFunc(s.identitiesOf(i), func(x shownIdentity) bool {
		return len(kinds) > 0 && !slices.Contains(kinds, x.kind)
	})
	rows := make([]row, len(all))
	for k, x := range all {
		rows[k] = row{key: x.id, id: x.id, at: int32(k)}
	}
	sortRows(rows, false)
	page, bad := s.page(q, rows, false)
	if bad != nil {
		return *bad
	}
	o := &object{}
	o.open()
	list(o, "identities", page.rows, func(r row) { s.renderIdentity(o, i, all[r.at]) })
	page.tail(o)
	o.close()
	return reply{status: http.StatusOK, body: o.b}
}

// page pages the way the request asks.
func (s *Server) page(q *request, rows []row, descending bool) (paged, *reply) {
	if byCursor(q) {
		return s.cursorPage(q, rows, descending)
	}
	return s.offsetPage(q, rows)
}
