package zendesktest

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// exportMost is the size of an export page, by default and at most.
const exportMost = 1000

// stream is one of the two exports.
type stream struct {
	name   string
	order  *order
	live   func(at uint32, i int32) bool
	skip   func(i int32) bool
	id     func(i int32) int64
	place  func(id int64) (int32, bool)
	render func(o *object, i int32)
	side   func(o *object, page []int32)
}

func (s *Server) userStream(q *request) stream {
	st := stream{
		name: "users", order: &s.userOrder, id: userID, place: s.userAt,
		live:   func(at uint32, i int32) bool { return s.users[i].updated == at && !s.users[i].flags.has(isGone) },
		skip:   func(int32) bool { return false },
		render: func(o *object, i int32) { s.renderUser(o, i, &s.users[i], false) },
		side:   func(*object, []int32) {},
	}
	if s.opt.SideloadIdentities && includes(q, "identities") {
		st.side = func(o *object, page []int32) { s.sideloadIdentities(o, page) }
	}
	return st
}

func (s *Server) ticketStream(q *request) stream {
	noDeleted := q.query.Get("exclude_deleted") == "true"
	st := stream{
		name: "tickets", order: &s.ticketOrder, id: ticketID, place: s.ticketAt,
		live:   func(at uint32, i int32) bool { return s.tickets[i].generated == at && !s.tickets[i].flags.has(isGone) },
		skip:   func(i int32) bool { return noDeleted && s.tickets[i].status == statusDeleted },
		render: func(o *object, i int32) { s.renderTicket(o, i, &s.tickets[i], exportedTicket) },
		side:   func(*object, []int32) {},
	}
	if includes(q, "users") {
		st.side = func(o *object, page []int32) { s.sideloadUsers(o, page) }
	}
	return st
}

// includes tells whether a sideload is asked for.
func includes(q *request, what string) bool {
	for _, part := range strings.Split(q.query.Get("include"), ",") {
		if strings.TrimSpace(part) == what {
			return true
		}
	}
	return false
}

func (s *Server) exportTickets(q *request) reply {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.exportByCursor(q, s.ticketStream(q))
}

func (s *Server) exportUsers(q *request) reply {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.exportByCursor(q, s.userStream(q))
}

func (s *Server) exportTicketsByTime(q *request) reply {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.exportByTime(q, s.ticketStream(q))
}

func (s *Server) exportUsersByTime(q *request) reply {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.exportByTime(q, s.userStream(q))
}

// newest is the last second an export shows. Even without a hidden minute it
// is a second that is over: what is still to happen in the present one would
// be lost to a reader that has passed it.
func (s *Server) newest(now time.Time) int64 {
	return min(now.Add(-s.hide).Unix(), now.Unix()-1)
}

// read collects up to n live keys that stand at or after a place in the
// order; more tells whether others follow.
func (st *stream) read(from int, newest int64, n int) (page []uint64, more bool) {
	for _, k := range st.order.keys[from:] {
		at, i := splitKey(k)
		if int64(at) > newest {
			break
		}
		if !st.live(at, i) || st.skip(i) {
			continue
		}
		if len(page) == n {
			return page, true
		}
		page = append(page, k)
	}
	return page, false
}

// encodeCursor is the form that recorded cursors have. It is opaque to clients.
func encodeCursor(at uint32, id int64) string {
	return base64.StdEncoding.EncodeToString([]byte(strconv.FormatUint(uint64(at), 10) + ".0||" + strconv.FormatInt(id, 10) + "|"))
}

func decodeCursor(c string) (at uint32, id int64, ok bool) {
	plain, err := base64.StdEncoding.DecodeString(c)
	if err != nil {
		return 0, 0, false
	}
	second, rest, found := strings.Cut(string(plain), ".0||")
	name, found2 := strings.CutSuffix(rest, "|")
	n, err := strconv.ParseUint(second, 10, 32)
	id, err2 := strconv.ParseInt(name, 10, 64)
	return uint32(n), id, found && found2 && err == nil && err2 == nil && id >= 0
}

// exportByCursor gives what stands strictly after the cursor, or from the
// start time on. At the end of the stream the cursor is still there: it is
// where the next run resumes.
func (s *Server) exportByCursor(q *request, st stream) reply {
	size, bad := s.exportSize(q)
	if bad != nil {
		return *bad
	}
	var after uint64
	cursor := q.query.Get("cursor")
	if cursor != "" {
		at, id, ok := decodeCursor(cursor)
		i, known := st.place(id)
		if !ok || (id != 0 && !known) {
			return errList("InvalidCursor", "Invalid cursor", "The cursor is not valid")
		}
		if after = orderKey(at, i); id == 0 && at > 0 {
			after-- // the cursor of an empty first page: nobody has the id 0
		}
	} else {
		start, bad := startTime(q)
		if bad != nil {
			return *bad
		}
		if start > q.now.Add(-s.hide).Unix() {
			shape, _ := ErrorShape("start_time_too_recent_cursor")
			return shape.reply()
		}
		cursor = encodeCursor(uint32(start), 0)
		after = orderKey(uint32(start), 0) - 1
		if start == 0 {
			after = 0
		}
	}
	page, more := st.read(st.order.after(after), s.newest(q.now), size)
	places := make([]int32, len(page))
	for k, key := range page {
		_, places[k] = splitKey(key)
	}
	if n := len(page); n > 0 {
		at, i := splitKey(page[n-1])
		cursor = encodeCursor(at, st.id(i))
	}
	keep := passOn(q, "per_page", "include", "exclude_deleted", "support_type_scope")
	keep.Set("cursor", cursor)
	o := &object{b: make([]byte, 0, 256+1200*len(page))}
	o.open()
	list(o, st.name, places, func(i int32) { st.render(o, i) })
	st.side(o, places)
	o.str("after_url", s.base+"/api/v2/incremental/"+st.name+"/cursor.json?"+keep.Encode())
	o.raw("before_url", "null")
	o.str("after_cursor", cursor)
	o.raw("before_cursor", "null")
	o.flag("end_of_stream", !more)
	o.close()
	return reply{status: http.StatusOK, body: o.b}
}

// exportByTime is the older form: from the second on, inclusive. A page ends
// in its last second, and the next page begins with that second again; a page
// that lies in one second holds the whole of it, however long, and the next
// begins a second later, or it would never be left.
func (s *Server) exportByTime(q *request, st stream) reply {
	size, bad := s.exportSize(q)
	if bad != nil {
		return *bad
	}
	start, bad := startTime(q)
	if bad != nil {
		return *bad
	}
	if start > q.now.Add(-s.hide).Unix() {
		shape, _ := ErrorShape("start_time_too_recent_time_based")
		return shape.reply()
	}
	from, newest := st.order.from(uint32(start)), s.newest(q.now)
	page, more := st.read(from, newest, size)
	end := start
	if n := len(page); n > 0 {
		first, _ := splitKey(page[0])
		last, _ := splitKey(page[n-1])
		end = int64(last)
		if more && first == last {
			next := st.order.from(last + 1)
			page, _ = st.read(from, int64(last), next-from)
			_, more = st.read(next, newest, 0)
			end++
		}
	}
	places := make([]int32, len(page))
	for k, key := range page {
		_, places[k] = splitKey(key)
	}
	keep := passOn(q, "per_page", "include", "exclude_deleted", "support_type_scope")
	keep.Set("start_time", strconv.FormatInt(end, 10))
	o := &object{b: make([]byte, 0, 256+1200*len(page))}
	o.open()
	list(o, st.name, places, func(i int32) { st.render(o, i) })
	st.side(o, places)
	o.num("count", int64(len(page)))
	o.flag("end_of_stream", !more)
	o.num("end_time", end)
	o.str("next_page", s.base+"/api/v2/incremental/"+st.name+".json?"+keep.Encode())
	o.close()
	return reply{status: http.StatusOK, body: o.b}
}

func (s *Server) exportSize(q *request) (int, *reply) {
	text := q.query.Get("per_page")
	if text == "" {
		return s.pageMost(exportMost), nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		rep := badAttribute("per_page", "must be a positive integer")
		return 0, &rep
	}
	return min(n, s.pageMost(exportMost)), nil
}

// pageMost is how many records a page of an export has at the most.
func (s *Server) pageMost(most int) int {
	if s.opt.PageMost > 0 {
		return min(most, s.opt.PageMost)
	}
	return most
}

func startTime(q *request) (int64, *reply) {
	text := q.query.Get("start_time")
	if text == "" {
		rep := errTitle(http.StatusBadRequest, "Missing parameter", "You are missing the required parameter: start_time")
		return 0, &rep
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		rep := badAttribute("start_time", "must be an integer")
		return 0, &rep
	}
	return n, nil
}

// passOn keeps parameters for the link to the next page.
func passOn(q *request, names ...string) url.Values {
	v := url.Values{}
	for _, name := range names {
		if q.query.Has(name) {
			v[name] = q.query[name]
		}
	}
	return v
}
