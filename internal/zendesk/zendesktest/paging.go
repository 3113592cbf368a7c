package zendesktest

import (
	"encoding/base64"
	"slices"
	"strconv"
)

// Lists are paged by cursor (page[size], page[after]) or by offset (page,
// per_page). An offset reaches ten thousand records deep, no deeper.
const (
	listMost   = 100
	offsetMost = 10_000
)

// row is one record of a list: what it is sorted by, and its place.
type row struct {
	key int64
	id  int64
	at  int32
}

func sortRows(rows []row, descending bool) {
	slices.SortFunc(rows, func(a, b row) int {
		n := compare(a.key, b.key)
		if n == 0 {
			n = compare(a.id, b.id)
		}
		if descending {
			return -n
		}
		return n
	})
}

func compare(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// byCursor tells whether a request asks for cursor paging.
func byCursor(q *request) bool { return q.query.Has("page[size]") || q.query.Has("page[after]") }

// paged is one page of rows, and what the answer says about it.
type paged struct {
	rows []row
	tail func(o *object)
}

// cursorPage cuts a page out of sorted rows. The cursor names the last row
// given, so rows that come or go between two pages do not shift the others.
func (s *Server) cursorPage(q *request, rows []row, descending bool) (paged, *reply) {
	size, bad := pageSize(q, "page[size]", listMost)
	if bad != nil {
		return paged{}, bad
	}
	if after := q.query.Get("page[after]"); after != "" {
		last, ok := decodeRow(after)
		if !ok {
			rep := errList("InvalidPaginationParameter", "Invalid pagination parameter", "page[after] is not valid")
			return paged{}, &rep
		}
		from := slices.IndexFunc(rows, func(r row) bool {
			n := compare(r.key, last.key)
			if n == 0 {
				n = compare(r.id, last.id)
			}
			return (n > 0) != descending && n != 0
		})
		if from < 0 {
			from = len(rows)
		}
		rows = rows[from:]
	}
	more := len(rows) > size
	rows = rows[:min(size, len(rows))]
	return paged{rows, func(o *object) {
		o.key("meta")
		o.open()
		o.flag("has_more", more)
		if len(rows) == 0 {
			o.raw("after_cursor", "null")
			o.raw("before_cursor", "null")
			o.close()
			o.raw("links", `{"prev":null,"next":null}`)
			return
		}
		first, last := encodeRow(rows[0]), encodeRow(rows[len(rows)-1])
		o.str("after_cursor", last)
		o.str("before_cursor", first)
		o.close()
		o.key("links")
		o.open()
		o.str("prev", s.link(q, "page[before]", first, "page[after]"))
		o.str("next", s.link(q, "page[after]", last, "page[before]")) // there even when has_more is false
		o.close()
	}}, nil
}

// offsetPage cuts a page out by number.
func (s *Server) offsetPage(q *request, rows []row) (paged, *reply) {
	size, bad := pageSize(q, "per_page", listMost)
	if bad != nil {
		return paged{}, bad
	}
	page, bad := pageNumber(q, "must be an integer")
	if bad != nil {
		return paged{}, bad
	}
	if page*size > offsetMost {
		shape, _ := ErrorShape("offset_too_deep")
		rep := shape.reply()
		return paged{}, &rep
	}
	count := len(rows)
	from, to := min((page-1)*size, count), min(page*size, count)
	return paged{rows[from:to], func(o *object) { s.offsetTail(o, q, page, to < count, count) }}, nil
}

func (s *Server) offsetTail(o *object, q *request, page int, more bool, count int) {
	if more {
		o.str("next_page", s.link(q, "page", strconv.Itoa(page+1)))
	} else {
		o.raw("next_page", "null")
	}
	if page > 1 {
		o.str("previous_page", s.link(q, "page", strconv.Itoa(page-1)))
	} else {
		o.raw("previous_page", "null")
	}
	o.num("count", int64(count))
}

// link is the request's own URL with one parameter changed and others dropped.
func (s *Server) link(q *request, name, value string, drop ...string) string {
	v := passOn(q)
	for k, x := range q.query {
		if !slices.Contains(drop, k) {
			v[k] = x
		}
	}
	v.Set(name, value)
	return s.base + cleanPath(q.URL.Path) + ".json?" + v.Encode()
}

func pageSize(q *request, name string, most int) (int, *reply) {
	text := q.query.Get(name)
	if text == "" {
		return most, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		rep := badAttribute(name, "must be a positive integer")
		return 0, &rep
	}
	return min(n, most), nil
}

func pageNumber(q *request, wants string) (int, *reply) {
	text := q.query.Get("page")
	if text == "" {
		return 1, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		rep := badAttribute("page", wants)
		return 0, &rep
	}
	return n, nil
}

func encodeRow(r row) string {
	return base64.StdEncoding.EncodeToString([]byte(strconv.FormatInt(r.key, 10) + "|" + strconv.FormatInt(r.id, 10)))
}

func decodeRow(c string) (r row, ok bool) {
	plain, err := base64.StdEncoding.DecodeString(c)
	if err != nil {
		return row{}, false
	}
	key, id, found := cutInts(string(plain))
	return row{key: key, id: id}, found
}

// cutInts reads "a|b".
func cutInts(s string) (a, b int64, ok bool) {
	for i := range len(s) {
		if s[i] == '|' {
			a, err := strconv.ParseInt(s[:i], 10, 64)
			b, err2 := strconv.ParseInt(s[i+1:], 10, 64)
			return a, b, err == nil && err2 == nil
		}
	}
	return 0, 0, false
}
