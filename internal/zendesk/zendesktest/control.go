package zendesktest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Everything under /_sim controls the account from outside, for a demo and
// for trying things out by hand. It works while the account is down, is not
// counted and not limited, and asks for no credentials: never offer it beyond
// loopback.

func isControl(path string) bool { return path == "/_sim" || strings.HasPrefix(path, "/_sim/") }

// controlPage is what GET /_sim says; %[1]s is the address it was asked at.
const controlPage = `Zendesk simulator. What can be done to it:

  people to call from (kind: unique, shared, identity, ticket, none)
    curl '%[1]s/_sim/people?kind=ticket&limit=3'
  a new person, with a ticket
    curl -X POST %[1]s/_sim/users -d '{"name":"Ada Example","phone":"(513) 555-7611","ticket":"Router broken"}'
  some random edits, of any kind
    curl -X POST '%[1]s/_sim/edit?count=10'
  down (connections dropped), or in maintenance (503), and up again
    curl -X POST %[1]s/_sim/down
    curl -X POST '%[1]s/_sim/down?mode=503&retry_after=30'
    curl -X POST %[1]s/_sim/up
  a fault: path, method, count, after, status, header, body, delay, cut_body_at,
  perform, reset, hang, garbage, html, late_write, or shape: the name of a known error
    curl -X POST %[1]s/_sim/faults -d '{"path":"/api/v2/search","count":3,"delay":"2s"}'
    curl -X POST %[1]s/_sim/faults -d '{"path":"/api/v2/incremental/","shape":"rate_limited_incremental"}'
    curl %[1]s/_sim/faults
    curl -X DELETE %[1]s/_sim/faults
  webhooks to any address, and what became of the deliveries; subscriptions are
  event types, or conditional_ticket_events for {"ticket_id":…} on every save
    curl -X POST %[1]s/_sim/webhooks -d '{"endpoint":"http://127.0.0.1:8080/webhooks/zendesk","subscriptions":["zen:event-type:user.created"]}'
    curl %[1]s/_sim/deliveries
  what was asked of it, and what was written to a ticket
    curl %[1]s/_sim/requests
    curl '%[1]s/_sim/comments?ticket=1'
`

// control answers everything under /_sim.
func (s *Server) control(w http.ResponseWriter, r *http.Request, path string) {
	r.Body = http.MaxBytesReader(w, r.Body, bodyMost)
	var rep reply
	switch r.Method + " " + path {
	case "GET /_sim":
		rep = plainText(http.StatusOK, fmt.Sprintf(controlPage, "http://"+r.Host))
	case "GET /_sim/people":
		rep = s.controlPeople(r)
	case "POST /_sim/users":
		rep = s.controlUser(r)
	case "POST /_sim/edit":
		rep = s.controlEdit(r)
	case "POST /_sim/down":
		rep = s.controlDown(r)
	case "POST /_sim/up":
		s.Down(false)
		s.Maintenance(-1)
		rep = jsonReply(http.StatusOK, map[string]any{"state": "up"})
	case "GET /_sim/faults":
		rep = s.controlFaults()
	case "POST /_sim/faults":
		rep = s.controlFault(r)
	case "DELETE /_sim/faults":
		rep = s.controlClear(r)
	case "POST /_sim/webhooks":
		rep = s.controlWebhook(r)
	case "GET /_sim/deliveries":
		rep = jsonReply(http.StatusOK, map[string]any{"deliveries": append([]Delivery{}, s.Deliveries()...)})
	case "GET /_sim/requests":
		rep = jsonReply(http.StatusOK, s.Requests())
	case "DELETE /_sim/requests":
		s.ResetRequests()
		rep = jsonReply(http.StatusOK, map[string]any{"requests": "forgotten"})
	case "GET /_sim/comments":
		rep = s.controlComments(r)
	default:
		rep = plainText(http.StatusNotFound, "No such control. GET /_sim lists them.\n")
	}
	rep = s.seal(rep, s.clock())
	rep.write(w)
}

func badControl(err error) reply { return plainText(http.StatusBadRequest, err.Error()+"\n") }

// person is one that a demo may call from.
type person struct {
	ID          int64        `json:"id"`
	Name        string       `json:"name"`
	Phone       string       `json:"phone"` // as stored
	Identities  []string     `json:"identities,omitempty"`
	E164        string       `json:"e164,omitempty"` // the number to call from
	Sharers     int          `json:"sharers"`        // how many people have that number
	OpenTickets []openTicket `json:"open_tickets"`   // newest first, five at most
}

type openTicket struct {
	ID       int64  `json:"id"`
	Status   string `json:"status"`
	Priority string `json:"priority,omitempty"`
	Subject  string `json:"subject"`
}

// holders counts the customers who have a number, by profile or identity.
func (s *Server) holders(number uint64) int {
	n := 0
	for i := range s.suffixes.ending(numberDigits(number)) {
		u := &s.users[i]
		if u.flags.has(isGone) || !u.flags.has(isActive) || u.role != endUser {
			continue
		}
		if u.number == number || slices.ContainsFunc(u.extra, func(x identity) bool { return x.number == number }) {
			n++
		}
	}
	return n
}

func (s *Server) controlPeople(r *http.Request) reply {
	kind := r.URL.Query().Get("kind")
	limit := 5
	if text := r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 1000 {
			return plainText(http.StatusBadRequest, "limit is a number from 1 to 1000\n")
		}
		limit = n
	}
	if kind != "" && !slices.Contains([]string{"unique", "shared", "identity", "ticket", "none"}, kind) {
		return plainText(http.StatusBadRequest, "kind is unique, shared, identity, ticket or none\n")
	}
	return jsonReply(http.StatusOK, map[string]any{"people": s.people(kind, limit)})
}

// people finds examples of a kind, oldest first.
func (s *Server) people(kind string, limit int) []person {
	s.mu.RLock()
	defer s.mu.RUnlock()
	found := []person{}
	for i := range s.users {
		if len(found) == limit {
			break
		}
		u := &s.users[i]
		if u.role != endUser || !u.flags.has(isActive) || u.flags.has(isGone) {
			continue
		}
		if p, fits := s.example(int32(i), u, kind); fits {
			found = append(found, p)
		}
	}
	return found
}

func (s *Server) example(i int32, u *user, kind string) (person, bool) {
	number := u.number
	if kind == "identity" || (number == 0 && len(u.extra) > 0 && kind != "none") {
		number = 0
		for _, x := range u.extra {
			if x.number != 0 && x.number != u.number {
				number = x.number
			}
		}
	}
	sharers := 0
	if number != 0 {
		sharers = s.holders(number)
	}
	open := s.openTickets(i)
	var fits bool
	switch kind {
	case "unique":
		fits = sharers == 1 && number == u.number
	case "shared":
		fits = sharers > 1
	case "identity":
		fits = sharers == 1
	case "ticket":
		fits = sharers == 1 && number == u.number && len(open) > 0
	case "none":
		fits = u.number == 0 && len(u.extra) == 0
	default:
		fits = true
	}
	p := person{ID: userID(i), Name: u.name, Phone: u.phone, E164: e164Of(number), Sharers: sharers, OpenTickets: open}
	for _, x := range u.extra {
		p.Identities = append(p.Identities, x.value)
	}
	return p, fits
}

func (s *Server) openTickets(i int32) []openTicket {
	open := []openTicket{}
	own := s.ticketsOf(i)
	slices.SortFunc(own, func(a, b int32) int { return int(b - a) })
	for _, t := range own {
		if x := &s.tickets[t]; x.status.unresolved() && len(open) < 5 {
			open = append(open, openTicket{ticketID(t), x.status.String(), priorityNames[x.priority], x.subject})
		}
	}
	return open
}

func (s *Server) controlUser(r *http.Request) reply {
	var sent struct {
		Name, Email, Phone, Locale, Role string
		Identities, Tags                 []string
		Ticket, Priority, Type           string
	}
	if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
		return badControl(fmt.Errorf("the body is no JSON object: %w", err))
	}
	if sent.Name == "" {
		return plainText(http.StatusBadRequest, "name is missing\n")
	}
	id := s.CreateUser(UserSpec{
		Name: sent.Name, Email: sent.Email, Phone: sent.Phone, Locale: sent.Locale, Role: sent.Role,
		Identities: sent.Identities, Tags: sent.Tags,
	})
	made := map[string]any{"user_id": id}
	if sent.Ticket != "" {
		ticket, err := s.CreateTicket(TicketSpec{Requester: id, Subject: sent.Ticket, Priority: sent.Priority, Type: sent.Type})
		if err != nil {
			return badControl(err)
		}
		made["ticket_id"] = ticket
	}
	return jsonReply(http.StatusCreated, made)
}

// controlEdit does random edits. What they are follows from how many requests
// the account has had, so that no two calls do the same.
func (s *Server) controlEdit(r *http.Request) reply {
	count := 1
	if text := r.URL.Query().Get("count"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 10_000 {
			return plainText(http.StatusBadRequest, "count is a number from 1 to 10000\n")
		}
		count = n
	}
	rng := rand.New(rand.NewPCG(s.opt.Seed, uint64(s.clock().UnixNano())))
	edits := make([]string, 0, count)
	for range count {
		edits = append(edits, s.RandomEdit(rng))
	}
	return jsonReply(http.StatusOK, map[string]any{"edits": edits})
}

func (s *Server) controlDown(r *http.Request) reply {
	switch mode := r.URL.Query().Get("mode"); mode {
	case "":
		s.Down(true)
		return jsonReply(http.StatusOK, map[string]any{"state": "down: connections are dropped"})
	case "503":
		seconds, err := strconv.Atoi(r.URL.Query().Get("retry_after"))
		if err != nil || seconds < 0 {
			seconds = 30
		}
		s.Maintenance(time.Duration(seconds) * time.Second)
		return jsonReply(http.StatusOK, map[string]any{"state": "in maintenance", "retry_after": seconds})
	}
	return plainText(http.StatusBadRequest, "mode is 503, or left out\n")
}

// controlWebhook makes a webhook without the API's rules, so that a demo can
// have it sent to loopback.
func (s *Server) controlWebhook(r *http.Request) reply {
	var sent struct {
		Endpoint      string
		Subscriptions []string
	}
	if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
		return badControl(fmt.Errorf("the body is no JSON object: %w", err))
	}
	if sent.Endpoint == "" || len(sent.Subscriptions) == 0 {
		return plainText(http.StatusBadRequest, "endpoint or subscriptions are missing\n")
	}
	id, secret := s.CreateWebhook(sent.Endpoint, sent.Subscriptions...)
	return jsonReply(http.StatusCreated, map[string]any{"id": id, "secret": secret})
}

func (s *Server) controlComments(r *http.Request) reply {
	id, err := strconv.ParseInt(r.URL.Query().Get("ticket"), 10, 64)
	if err != nil {
		return plainText(http.StatusBadRequest, "ticket is a number\n")
	}
	all := []map[string]any{}
	for _, c := range s.Truth().Comments(id) {
		all = append(all, map[string]any{
			"id": c.ID, "author_id": c.AuthorID, "body": c.Body, "public": c.Public, "inherited": c.Inherited,
			"created_at": timestamp(uint32(c.CreatedAt)), "custom": c.Custom,
		})
	}
	return jsonReply(http.StatusOK, map[string]any{"ticket": id, "comments": all})
}
