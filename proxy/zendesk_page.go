package proxy

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"aniproxy/internal/caller"
)

const (
	// zendeskPageSize is what a page holds at the most, and unless told.
	zendeskPageSize = 100
	// zendeskReach is how many results a search gives, pages and all.
	zendeskReach = 1000
)

// ticketKey is what tickets are sorted by. Words are in the order that they
// have for those who work with them; a ticket without one is before all others.
func ticketKey(t *caller.Ticket, by string) int64 {
	rank := func(words []string, word string) int64 { return int64(slices.Index(words, word)) }
	switch by {
	case "created_at":
		return t.CreatedAt
	case "updated_at":
		return t.UpdatedAt
	case "priority":
		return rank([]string{"low", "normal", "high", "urgent"}, t.Priority)
	case "status":
		return rank([]string{"new", "open", "pending", "hold"}, t.Status)
	case "ticket_type":
		return rank([]string{"question", "incident", "problem", "task"}, t.Type)
	default:
		return t.ID
	}
}

// place is where a ticket stands in a sorted list.
type place struct{ key, id int64 }

func placeOf(t *caller.Ticket, by string) place { return place{ticketKey(t, by), t.ID} }

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.key, q.key), cmp.Compare(p.id, q.id))
}

// listOrder is how a list is sorted: by what, and which end comes first.
type listOrder struct {
	by         string
	descending bool
}

// compare tells whether a stands before b: below 0 where it does.
func (o listOrder) compare(a, b place) int {
	if o.descending {
		a, b = b, a
	}
	return a.compare(b)
}

func (o listOrder) sort(tickets []caller.Ticket) {
	slices.SortFunc(tickets, func(a, b caller.Ticket) int { return o.compare(placeOf(&a, o.by), placeOf(&b, o.by)) })
}

// offset is a page by its number: 0 is the first.
type offset struct{ page, size int }

// readOffset reads page and per_page. from names the endpoint as Zendesk's
// refusal does.
func readOffset(p zendeskParams, from string) (o offset, err error) {
	page, size := 1, zendeskPageSize
	for _, part := range []struct {
		name string
		into *int
	}{{"page", &page}, {"per_page", &size}} {
		text := p.value(part.name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 1_000_000 {
			return offset{}, errInvalidAttribute("Invalid attribute", "You passed an invalid value for the "+part.name+
				" attribute. Invalid parameter: "+part.name+" must be an integer from "+from)
		}
		*part.into = n
	}
	return offset{page - 1, min(size, zendeskPageSize)}, nil
}

// bounds are where a page begins and ends in a list.
func (o offset) bounds(count int) (from, to int) {
	from = min(o.page*o.size, count)
	return from, min(from+o.size, count)
}

// offsetLinks is the end of a list that is paged by number.
type offsetLinks struct {
	Next     *string `json:"next_page"`
	Previous *string `json:"previous_page"`
	Count    int     `json:"count"`
}

// links are those of a page; query is what the others have in common.
func (o offset) links(c *call, count int, query url.Values) offsetLinks {
	at := func(page int) *string {
		query.Set("page", strconv.Itoa(page+1))
		query.Set("per_page", strconv.Itoa(o.size))
		return c.link(query)
	}
	l := offsetLinks{Count: count}
	if _, to := o.bounds(count); to < count {
		l.Next = at(o.page + 1)
	}
	if o.page > 0 {
		l.Previous = at(o.page - 1)
	}
	return l
}

// cursorLinks is the end of a list that is paged by cursor.
type (
	cursorLinks struct {
		Meta  cursorMeta `json:"meta"`
		Links cursorPair `json:"links"`
	}
	cursorMeta struct {
		More   bool    `json:"has_more"`
		After  *string `json:"after_cursor"`
		Before *string `json:"before_cursor"`
	}
	cursorPair struct {
		Previous *string `json:"prev"`
		Next     *string `json:"next"`
	}
)

// cursorPage cuts a page out of tickets that are in order. A cursor is the
// place of the last ticket given, so that what comes and goes between two
// pages does not shift the others. Unlike Zendesk's, the link to the next page
// is null where there is none: some clients follow links until there are none.
func cursorPage(c *call, p zendeskParams, tickets []caller.Ticket, order listOrder) ([]caller.Ticket, cursorLinks, error) {
	size := zendeskPageSize
	if text := p.value("page[size]"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, cursorLinks{}, errInvalidCursor("page[size]")
		}
		size = min(n, size)
	}
	from, to, back := 0, len(tickets), false
	for _, name := range []string{"page[after]", "page[before]"} {
		text := p.value(name)
		if text == "" {
			continue
		}
		at, ok := readCursor(text)
		if !ok {
			return nil, cursorLinks{}, errInvalidCursor(name)
		}
		i, here := slices.BinarySearchFunc(tickets, at, func(t caller.Ticket, at place) int {
			return order.compare(placeOf(&t, order.by), at)
		})
		if name == "page[before]" {
			to, back = i, true
		} else if from = i; here {
			from++
		}
	}
	to = max(from, to)
	if back {
		from = max(from, to-size)
	} else {
		to = min(to, from+size)
	}
	page := tickets[from:to]
	l := cursorLinks{Meta: cursorMeta{More: to < len(tickets)}}
	if back {
		l.Meta.More = from > 0
	}
	if len(page) == 0 {
		return page, l, nil
	}
	before, after := placeOf(&page[0], order.by).cursor(), placeOf(&page[len(page)-1], order.by).cursor()
	l.Meta.Before, l.Meta.After = &before, &after
	sign := map[bool]string{true: "-"}[order.descending]
	link := func(name, cursor string) *string {
		return c.link(url.Values{"page[size]": {strconv.Itoa(size)}, name: {cursor}, "sort": {sign + order.by}})
	}
	if from > 0 {
		l.Links.Previous = link("page[before]", before)
	}
	if to < len(tickets) {
		l.Links.Next = link("page[after]", after)
	}
	return page, l, nil
}

func errInvalidCursor(name string) error {
	return &fault{status: http.StatusBadRequest, detail: name + " is not valid", zendesk: &zendeskErrors{[]zendeskListed{
		{Code: "InvalidPaginationParameter", Title: "Invalid pagination parameter", Detail: name + " is not valid"},
	}}}
}

func (p place) cursor() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(p.key, 10) + "|" + strconv.FormatInt(p.id, 10)))
}

func readCursor(text string) (p place, ok bool) {
	plain, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return place{}, false
	}
	key, id, found := strings.Cut(string(plain), "|")
	var wrong, wrongID error
	p.key, wrong = strconv.ParseInt(key, 10, 64)
	p.id, wrongID = strconv.ParseInt(id, 10, 64)
	return p, found && wrong == nil && wrongID == nil
}

// link is another page of what was asked for: the whole address, for clients
// tell by it that a link needs nothing more from them.
//
// The host is the one that this client itself named, told back to it alone (no
// answer may be stored): it can mislead nobody else. It must look like a host,
// or the link has none. The scheme is https where the connection is, or where
// X-Forwarded-Proto says so: anybody may say that, since the client that
// follows the link sends its key along, and https is the safe direction. The
// query is made anew from what was understood, so that nothing else comes back.
func (c *call) link(query url.Values) *string {
	r := c.Request()
	id, _ := wholeNumber(unescape(c.Param("id"))) // 0 where the route has none
	u := url.URL{Path: strings.Replace(c.route.path, "{id}", strconv.FormatInt(id, 10), 1) + ".json", RawQuery: query.Encode()}
	if host := r.Host; plausibleHost(host) {
		u.Scheme, u.Host = "http", host
		if r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https") {
			u.Scheme = "https"
		}
	}
	link := u.String()
	return &link
}

// plausibleHost takes names, addresses and ports.
func plausibleHost(host string) bool {
	if _, err := netip.ParseAddrPort(host); err == nil {
		return true
	}
	if host == "" || len(host) > 260 {
		return false
	}
	for i := range len(host) {
		c := host[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && strings.IndexByte("-_.:[]", c) < 0 {
			return false
		}
	}
	return true
}

// listed joins a list's items and the end of it into one object.
func listed(name string, items [][]byte, further string, end any) ([]byte, error) {
	tail, err := json.Marshal(end)
	if err != nil {
		return nil, err
	}
	size := len(name) + len(further) + len(tail) + 8
	for _, item := range items {
		size += len(item) + 1
	}
	out := append(make([]byte, 0, size), `{"`+name+`":[`...)
	for i, item := range items {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, item...)
	}
	out = append(out, ']')
	out = append(out, further...)
	return append(append(out, ','), tail[1:]...), nil
}
