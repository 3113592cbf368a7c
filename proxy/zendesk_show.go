package proxy

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"

	"aniproxy/internal/outbox"
)

// zendeskMe answers GET users/me: whoever asks, as a user of Zendesk's kind.
// Connectors ask it to find out whether their key is good, which is answered
// before it comes here.
func (s *Server) zendeskMe(c *call) error {
	me := zendeskUser{ID: clientID(c.client.name), Name: c.client.name, Role: "agent", Verified: true, Tags: []string{}, Active: true}
	return c.json(http.StatusOK, struct {
		User zendeskUser `json:"user"`
	}{me})
}

// clientID is the id of a client as a user: made of its name, so that it is
// the same after a restart and on every machine. 48 bits are exact in
// JavaScript too.
func clientID(name string) int64 {
	digest := sha256.Sum256([]byte("client " + name))
	return int64(binary.BigEndian.Uint64(digest[:])>>16) | 1
}

// zendeskUserByID answers GET users/{id}.
func (s *Server) zendeskUserByID(c *call) error {
	id, err := s.zendeskKnown(c, outbox.SearchedUser)
	if err != nil {
		return err
	}
	who, ok, err := s.o.Directory.Caller(id)
	if err != nil {
		return fmt.Errorf("read a user: %w", err)
	}
	if !ok || !who.User.Active {
		return errNoRecord()
	}
	object, err := s.userObject(c, &who.User)
	if err != nil {
		return err
	}
	c.one("user", object)
	return nil
}

// zendeskTicketByID answers GET tickets/{id}, while the ticket is unresolved.
func (s *Server) zendeskTicketByID(c *call) error {
	id, err := s.zendeskKnown(c, outbox.SearchedTicket)
	if err != nil {
		return err
	}
	object, ok, err := s.ticketObject(id)
	switch {
	case err != nil:
		return err
	case !ok:
		return errNoRecord()
	}
	c.one("ticket", object)
	return nil
}

// zendeskKnown reads the id in the path, which must be of something that the
// client may ask about by its id.
func (s *Server) zendeskKnown(c *call, kind outbox.Told) (int64, error) {
	id, err := zendeskID(c)
	if err != nil {
		return 0, err
	}
	known, err := s.zendeskKnows(c, kind, id)
	if err == nil && !known {
		err = errNoRecord()
	}
	return id, err
}

// one answers with one object under its name.
func (c *call) one(name string, object []byte) {
	body := append(make([]byte, 0, len(name)+len(object)+5), `{"`+name+`":`...)
	c.write(http.StatusOK, jsonType, append(append(body, object...), '}'))
}

// zendeskRequested answers GET users/{id}/tickets/requested: the unresolved
// ones, the latest created first unless told otherwise, as in every list here.
// It is paged by cursor where the request speaks of cursors, and sorted by
// "sort" then; else by number, and sorted by "sort_by" and "sort_order".
func (s *Server) zendeskRequested(c *call) error {
	id, err := s.zendeskKnown(c, outbox.SearchedUser)
	if err != nil {
		return err
	}
	p := readZendeskQuery(c.Request().URL.RawQuery)
	byCursor := p.has("page[size]") || p.has("page[after]") || p.has("page[before]") || p.has("sort")
	order := listOrder{by: strings.ToLower(p.value("sort_by")), descending: strings.EqualFold(p.value("sort_order"), "desc")}
	if byCursor {
		order.by, order.descending = strings.CutPrefix(strings.ToLower(p.value("sort")), "-")
	}
	switch order.by {
	case "created_at", "updated_at", "priority", "status", "id":
	default:
		order = listOrder{by: "created_at", descending: byCursor || !strings.EqualFold(p.value("sort_order"), "asc")}
	}
	tickets, ok, err := s.shownTickets(id)
	switch {
	case err != nil:
		return err
	case !ok:
		return errNoRecord()
	}
	order.sort(tickets)
	if byCursor {
		page, end, err := cursorPage(c, p, tickets, order)
		if err != nil {
			return err
		}
		objects, err := s.tellTickets(c, page)
		if err != nil {
			return err
		}
		return c.listed("tickets", objects, "", end)
	}
	page, err := readOffset(p, "api/v2/users/tickets/requested")
	if err != nil {
		return err
	}
	from, to := page.bounds(len(tickets))
	objects, err := s.tellTickets(c, tickets[from:to])
	if err != nil {
		return err
	}
	again := map[string][]string{"sort_by": {order.by}, "sort_order": {map[bool]string{false: "asc", true: "desc"}[order.descending]}}
	return c.listed("tickets", objects, "", page.links(c, len(tickets), again))
}
