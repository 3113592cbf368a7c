package proxy

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"aniproxy/internal/ani"
	"aniproxy/internal/caller"
	"aniproxy/internal/outbox"
)

// outcomeHeader says what a search came to, for people who look at a flow's
// trace: Zendesk's own answer has no place for it.
const outcomeHeader = "X-Aniproxy-Outcome"

// zendeskUsersSearch answers GET users/search. One person at the most is found,
// so there is never another page.
func (s *Server) zendeskUsersSearch(c *call) error {
	p := readZendeskQuery(c.Request().URL.RawQuery)
	query, err := p.query()
	if err != nil {
		return err
	}
	page, err := readOffset(p, "api/v2/users/search")
	if err != nil {
		return err
	}
	found, err := s.zendeskFind(c, query)
	if err != nil {
		return err
	}
	from, to := page.bounds(len(found))
	return c.listed("users", found[from:to], "", offsetLinks{Count: len(found)})
}

// zendeskSearch answers GET search: people or tickets, as the query says.
func (s *Server) zendeskSearch(c *call) error {
	p := readZendeskQuery(c.Request().URL.RawQuery)
	query, err := p.query()
	if err != nil {
		return err
	}
	if p.has("page[size]") || p.has("page[after]") || p.has("page[before]") {
		return errInvalidAttribute("Invalid attribute",
			"You passed an invalid value for the page attribute. Invalid parameter: page must be an integer from api/v2/search/index")
	}
	page, err := readOffset(p, "api/v2/search/index")
	if err != nil {
		return err
	}
	if (page.page+1)*page.size > zendeskReach {
		return errInvalidSearch("Requested response size was greater than Search Response Limits")
	}
	switch searchKindOf(query) {
	case forUsers:
		found, err := s.zendeskFind(c, query)
		if err != nil {
			return err
		}
		for i := range found {
			found[i] = asResult(found[i], "user")
		}
		from, to := page.bounds(len(found))
		return c.listed("results", found[from:to], noFacets, offsetLinks{Count: len(found)})
	case forTickets:
		return s.zendeskTicketSearch(c, p, query, page)
	default:
		return errInvalidSearch(whyNoKind)
	}
}

// noFacets is a member that every answer of /search has.
const noFacets = `,"facets":null`

// zendeskFind finds the people of a query as a lookup would, in memory, on
// disk, at Zendesk: one or none. None are found also where the number is
// anonymous, not readable, or of several people who are not to be told apart.
//
// Nor are any where Zendesk cannot be asked and nothing is known. Zendesk's own
// answer would be a 5xx, but the template has no branch for that, and Webex
// would ask twice more while the caller hears nothing: an empty list lets the
// call go on at once, and the header says the rest.
func (s *Server) zendeskFind(c *call, query string) ([][]byte, error) {
	q, err := readUserQuery(query)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), s.o.Deadline)
	defer cancel()
	a := s.o.Resolver.Lookup(ctx, caller.Query{
		ANI: q.number, WithTickets: s.o.TicketPolicy.LatestOfShared, AllowLive: s.mayAskZendesk(c.client, q.number),
	})
	if a.Outcome == caller.Invalid && a.Reason == ani.ReasonLetters { // a name, an e-mail address, free text
		return nil, errInvalidSearch(whyNotUsers)
	}
	if err := s.countNumber(c.client, &a); err != nil {
		return nil, err
	}
	choice := s.o.TicketPolicy.Choose(a, 0)
	c.outcome, c.source = choice.Outcome, a.Source
	c.Response().Header().Set(outcomeHeader, string(choice.Outcome))
	if choice.Caller == nil || q.endUsers && choice.Caller.User.Role != "end-user" {
		return nil, nil
	}
	object, err := s.userObject(c, &choice.Caller.User)
	if err != nil {
		return nil, err
	}
	s.o.Outbox.Tell(c.client.name, outbox.SearchedUser, choice.Caller.User.ID)
	return [][]byte{object}, nil
}

// zendeskTicketSearch finds the unresolved tickets of a requester whom a search
// of this client has named in the last hour. Unless told otherwise they come
// the latest created first, which is what the template takes for the most
// recent; at Zendesk it would be relevance, of which a requester's tickets all
// have the same. An order that is not known is that one too: to refuse it
// would cost a call its ticket.
func (s *Server) zendeskTicketSearch(c *call, p zendeskParams, query string, page offset) error {
	requester, err := readTicketQuery(query)
	if err != nil {
		return err
	}
	order := listOrder{by: strings.ToLower(p.value("sort_by")), descending: !strings.EqualFold(p.value("sort_order"), "asc")}
	switch order.by {
	case "created_at", "updated_at", "priority", "status", "ticket_type":
	default:
		order.by = "created_at"
	}
	var tickets []caller.Ticket
	if requester != 0 {
		known, err := s.zendeskKnows(c, outbox.SearchedUser, requester)
		if err != nil {
			return err
		}
		if known {
			if tickets, _, err = s.shownTickets(requester); err != nil {
				return err
			}
		}
	}
	order.sort(tickets)
	from, to := page.bounds(len(tickets))
	objects, err := s.tellTickets(c, tickets[from:to])
	if err != nil {
		return err
	}
	for i := range objects {
		objects[i] = asResult(objects[i], "ticket")
	}
	again := url.Values{
		"query":   {"type:ticket status<solved requester:" + strconv.FormatInt(requester, 10)},
		"sort_by": {order.by}, "sort_order": {map[bool]string{false: "asc", true: "desc"}[order.descending]},
	}
	return c.listed("results", objects, noFacets, page.links(c, len(tickets), again))
}

// zendeskKnows tells whether a client may ask about somebody or something by
// its id: what its searches have returned in the last hour, and with the scope
// directory everything. What only that scope allows is a person read out by id,
// the requester where it is a ticket, and counts as one.
func (s *Server) zendeskKnows(c *call, kind outbox.Told, id int64) (bool, error) {
	told, err := s.o.Outbox.WasTold(c.client.name, kind, id, outbox.SearchedFor)
	if !c.client.may(ScopeDirectory) {
		if err != nil {
			return false, errOutbox(err)
		}
		return told, nil
	}
	if told && err == nil {
		return true, nil
	}
	if kind == outbox.SearchedTicket {
		if id = s.requesterOf(id); id == 0 {
			return true, nil // nothing to be shown
		}
	}
	if err := s.countPerson(c.client, id); err != nil {
		return false, err
	}
	return true, nil
}

// shownTickets are a person's tickets that answers may speak of; ok is false
// where the mirror has no such person.
func (s *Server) shownTickets(requester int64) (tickets []caller.Ticket, ok bool, err error) {
	who, ok, err := s.o.Directory.Caller(requester)
	if err != nil {
		return nil, false, fmt.Errorf("read a user: %w", err)
	}
	if !ok || !who.User.Active {
		return nil, false, nil
	}
	for i := range who.Open {
		if s.o.TicketPolicy.Shows(&who.Open[i]) {
			tickets = append(tickets, who.Open[i])
		}
	}
	return tickets, true, nil
}

// tellTickets gives the objects of a page, and notes that the client has them:
// it may ask for them by id for an hour, and write to them for two days.
func (s *Server) tellTickets(c *call, tickets []caller.Ticket) ([][]byte, error) {
	ids, objects, err := s.ticketObjects(tickets)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		s.o.Outbox.Tell(c.client.name, outbox.SearchedTicket, id)
	}
	return objects, nil
}

// listed answers with a list.
func (c *call) listed(name string, items [][]byte, further string, end any) error {
	body, err := listed(name, items, further, end)
	if err != nil {
		return fmt.Errorf("encode an answer: %w", err)
	}
	c.write(http.StatusOK, jsonType, body)
	return nil
}
