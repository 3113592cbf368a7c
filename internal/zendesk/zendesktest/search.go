package zendesktest

import (
	"encoding/base64"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// searchReach is how many results /search gives, pages and all.
	searchReach = 1000
	// peopleReach is the same for /users/search.
	peopleReach = 10_000
	// searchExportMost is the largest page of a search export,
	// searchExportPage the one that is not asked for, cursorLife how long its
	// cursor is good for.
	searchExportMost = 1000
	searchExportPage = 100
	cursorLife       = time.Hour
)

// candidates are the people who may fit a query, from a place on: few and in
// no order where it names a number, else everybody by id.
func (s *Server) candidates(qu *query, from int32) (all iter.Seq[int32], byID bool) {
	for k := range qu.terms {
		t := &qu.terms[k]
		if t.not {
			continue
		}
		if digits, ok := longDigits(t.value); ok && t.field == "" {
			return s.suffixes.ending(digits), false
		}
		if t.field == "phone" {
			switch p := readPattern(t.value); {
			case p.nothing:
				return func(func(int32) bool) {}, true
			case !p.every && !p.anyTail:
				return s.suffixes.ending(p.digits), false
			}
		}
	}
	return func(yield func(int32) bool) {
		for i := from; int(i) < len(s.users); i++ {
			if !yield(i) {
				return
			}
		}
	}, true
}

// findUsers are the places of people who fit, by id.
func (s *Server) findUsers(qu *query, now time.Time) []int32 { return s.findUsersFrom(qu, now, 0, -1) }

// findUsersFrom are those from a place on, n at most where n is not negative.
func (s *Server) findUsersFrom(qu *query, now time.Time, from int32, n int) []int32 {
	var found []int32
	all, byID := s.candidates(qu, from)
	for i := range all {
		if byID && n >= 0 && len(found) == n {
			break
		}
		if u := s.searchedUser(i, now); i >= from && u != nil && s.fitsUser(qu, i, u) {
			found = append(found, i)
		}
	}
	slices.Sort(found)
	if n >= 0 {
		found = found[:min(n, len(found))]
	}
	return found
}

// findTickets are the places of tickets that fit, from a place on, by id, n at
// most where n is not negative.
func (s *Server) findTickets(qu *query, now time.Time, from int32, n int) []int32 {
	var found []int32
	fits := func(i int32) {
		if t := s.searchedTicket(i, now); i >= from && t != nil && s.fitsTicket(qu, t) {
			found = append(found, i)
		}
	}
	for k := range qu.terms {
		if t := &qu.terms[k]; t.field == "requester" && !t.not {
			i, ok := s.personNamed(t.value)
			if !ok {
				return nil
			}
			own := s.maybeTicketsOf(i)
			slices.Sort(own)
			for _, t := range own {
				fits(t)
			}
			return found
		}
	}
	for i := from; int(i) < len(s.tickets) && (n < 0 || len(found) < n); i++ {
		fits(i)
	}
	return found
}

// hit is one result: a person or a ticket.
type hit struct {
	user bool
	at   int32
}

func (s *Server) search(q *request) reply {
	if byCursor(q) {
		return errTitle(http.StatusBadRequest, "Invalid attribute", "You passed an invalid value for the page attribute. Invalid parameter: page must be an integer from api/v2/search/index")
	}
	page, bad := pageNumber(q, "must be an integer from api/v2/search/index")
	if bad != nil {
		return *bad
	}
	size, bad := pageSize(q, "per_page", listMost)
	if bad != nil {
		return *bad
	}
	if !q.query.Has("query") {
		return errTitle(http.StatusBadRequest, "Missing parameter", "You are missing the required parameter: query")
	}
	if (page-1)*size >= searchReach || page*size > searchReach {
		shape, _ := ErrorShape("search_over_1000")
		return shape.reply()
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	qu := parseQuery(q.query.Get("query"))
	var hits []hit
	if qu.finds("user", ticketFields) && !hasPlus(&qu) {
		for _, i := range s.sortedUsers(q, s.findUsers(&qu, q.now)) {
			hits = append(hits, hit{true, i})
		}
	}
	if qu.finds("ticket", userFields) {
		for _, i := range s.sortedTickets(q, s.findTickets(&qu, q.now, 0, -1)) {
			hits = append(hits, hit{false, i})
		}
	}
	from, to := min((page-1)*size, len(hits)), min(page*size, len(hits))
	o := &object{}
	o.open()
	list(o, "results", hits[from:to], func(h hit) { s.renderHit(o, h, q.now) })
	o.raw("facets", "null")
	s.offsetTail(o, q, page, to < len(hits), len(hits))
	o.close()
	return reply{status: http.StatusOK, body: o.b}
}

// hasPlus tells whether free text holds a +number: /search then finds nobody.
func hasPlus(qu *query) bool {
	return slices.ContainsFunc(qu.terms, func(t term) bool {
		_, ok := longDigits(strings.TrimPrefix(t.value, "+"))
		return t.field == "" && ok && strings.HasPrefix(t.value, "+")
	})
}

// renderHit writes a result as search knows it.
func (s *Server) renderHit(o *object, h hit, now time.Time) {
	if h.user {
		s.renderUser(o, h.at, s.searchedUser(h.at, now), true)
		return
	}
	s.renderTicket(o, h.at, s.searchedTicket(h.at, now), foundTicket)
}

func (s *Server) sortedTickets(q *request, found []int32) []int32 {
	by := q.query.Get("sort_by")
	if by == "" || by == "relevance" {
		return found
	}
	return sorted(q, found, func(i int32) int64 { return ticketKey(s.searchedTicket(i, q.now), by) })
}

func (s *Server) sortedUsers(q *request, found []int32) []int32 {
	switch q.query.Get("sort_by") {
	case "updated_at":
		return sorted(q, found, func(i int32) int64 { return int64(s.searchedUser(i, q.now).updated) })
	case "created_at":
		return sorted(q, found, func(i int32) int64 { return int64(s.users[i].created) })
	}
	return found
}

// sorted sorts by a key, descending unless sort_order says asc.
func sorted(q *request, found []int32, key func(int32) int64) []int32 {
	rows := make([]row, len(found))
	for k, i := range found {
		rows[k] = row{key: key(i), id: int64(i), at: i}
	}
	sortRows(rows, q.query.Get("sort_order") != "asc")
	for k := range rows {
		found[k] = rows[k].at
	}
	return found
}

// usersSearch takes free text. A plus in front of a number is understood
// here, where published call flows rely on it, while /search finds nothing.
func (s *Server) usersSearch(q *request) reply {
	size, bad := pageSize(q, "per_page", listMost)
	if bad != nil {
		return *bad
	}
	page, bad := pageNumber(q, "must be an integer")
	if bad != nil {
		return *bad
	}
	if page*size > peopleReach {
		shape, _ := ErrorShape("offset_too_deep")
		return shape.reply()
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	qu := parseQuery(q.query.Get("query"))
	for k := range qu.terms {
		if t := &qu.terms[k]; t.field == "" {
			t.value = strings.TrimPrefix(t.value, "+")
		}
	}
	var found []int32
	if (qu.kind == "" || qu.kind == "user") && len(qu.terms) > 0 {
		found = s.findUsers(&qu, q.now)
	}
	from, to := min((page-1)*size, len(found)), min(page*size, len(found))
	o := &object{}
	o.open()
	list(o, "users", found[from:to], func(i int32) { s.renderUser(o, i, s.searchedUser(i, q.now), false) })
	s.offsetTail(o, q, page, to < len(found), len(found))
	o.close()
	return reply{status: http.StatusOK, body: o.b}
}

// searchExport gives all results of one type, oldest first. Its cursor holds
// where to go on and when it was given.
func (s *Server) searchExport(q *request) reply {
	size, bad := pageSize(q, "page[size]", searchExportMost)
	if bad != nil {
		return *bad
	}
	if q.query.Get("page[size]") == "" {
		size = searchExportPage
	}
	size = min(size, s.pageMost(searchExportMost))
	kind := q.query.Get("filter[type]")
	if kind != "user" && kind != "ticket" {
		return badAttribute("filter[type]", "must be one of ticket, user")
	}
	qu := parseQuery(q.query.Get("query"))
	if qu.typed {
		return errText(http.StatusUnprocessableEntity, "invalid", "Invalid search: type must be given as filter[type]")
	}
	from := int32(0)
	if after := q.query.Get("page[after]"); after != "" {
		last, ok := decodeRow(after)
		switch {
		case !ok:
			return errList("InvalidPaginationParameter", "Invalid pagination parameter", "page[after] is not valid")
		case q.now.Sub(time.Unix(last.key, 0)) > cursorLife:
			return errList("InvalidPaginationParameter", "Invalid pagination parameter", "The cursor has expired")
		}
		from = int32(last.id)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []int32
	if kind == "ticket" {
		found = s.findTickets(&qu, q.now, from, size+1)
	} else {
		found = s.findUsersFrom(&qu, q.now, from, size+1)
	}
	more := len(found) > size
	found = found[:min(size, len(found))]
	if len(found) > 0 {
		from = found[len(found)-1] + 1
	}
	cursor := base64.StdEncoding.EncodeToString([]byte(strconv.FormatInt(q.now.Unix(), 10) + "|" + strconv.Itoa(int(from))))
	o := &object{}
	o.open()
	list(o, "results", found, func(i int32) { s.renderHit(o, hit{kind == "user", i}, q.now) })
	o.raw("facets", "null")
	o.key("meta")
	o.open()
	o.flag("has_more", more)
	o.str("after_cursor", cursor)
	o.raw("before_cursor", "null")
	o.close()
	o.key("links")
	o.open()
	o.raw("prev", "null")
	o.str("next", s.link(q, "page[after]", cursor))
	o.close()
	o.close()
	return reply{status: http.StatusOK, body: o.b}
}
