package zendesktest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// route is one endpoint. Its template is what requests are counted under.
type route struct {
	method   string
	template string
	parts    []string
	resource string // of the OAuth scopes, as in tickets:read
	bucket   bucket // a limit of its own beside the account's
	admins   bool
	open     bool // answers without credentials
	handle   func(*Server, *request) reply
}

// request is one request on its way through the account.
type request struct {
	*http.Request
	query url.Values
	vars  []string // what stood for {…} in the template, in order
	body  []byte
	who   principal
	now   time.Time
}

// id is the first {id} of the path; ok is false where it is no number.
func (q *request) id() (id int64, ok bool) {
	if len(q.vars) == 0 {
		return 0, false
	}
	id, err := strconv.ParseInt(q.vars[0], 10, 64)
	return id, err == nil
}

// reply is an answer before it is written, so that a fault can spoil it.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func routes() []route {
	const api = "/api/v2"
	all := []route{
		{method: "POST", template: "/oauth/tokens", open: true, handle: (*Server).mintToken},

		{method: "GET", template: api + "/incremental/tickets/cursor", resource: "tickets", bucket: incrementalBucket, admins: true, handle: (*Server).exportTickets},
		{method: "GET", template: api + "/incremental/users/cursor", resource: "users", bucket: usersCursorBucket, admins: true, handle: (*Server).exportUsers},
		{method: "GET", template: api + "/incremental/tickets", resource: "tickets", bucket: incrementalBucket, admins: true, handle: (*Server).exportTicketsByTime},
		{method: "GET", template: api + "/incremental/users", resource: "users", bucket: incrementalBucket, admins: true, handle: (*Server).exportUsersByTime},

		{method: "GET", template: api + "/search", bucket: searchBucket, handle: (*Server).search},
		{method: "GET", template: api + "/search/export", bucket: searchExportBucket, handle: (*Server).searchExport},

		{method: "GET", template: api + "/users/me", resource: "users", open: true, handle: (*Server).usersMe},
		{method: "GET", template: api + "/users/search", resource: "users", bucket: searchBucket, handle: (*Server).usersSearch},
		{method: "GET", template: api + "/users/show_many", resource: "users", handle: (*Server).usersShowMany},
		{method: "GET", template: api + "/users/{id}", resource: "users", handle: (*Server).userShow},
		{method: "GET", template: api + "/users/{id}/identities", resource: "users", handle: (*Server).userIdentities},
		{method: "GET", template: api + "/users/{id}/tickets/requested", resource: "tickets", handle: (*Server).requestedTickets},

		{method: "POST", template: api + "/tickets", resource: "tickets", handle: (*Server).ticketCreate},
		{method: "GET", template: api + "/tickets/show_many", resource: "tickets", handle: (*Server).ticketsShowMany},
		{method: "GET", template: api + "/tickets/{id}", resource: "tickets", handle: (*Server).ticketShow},
		{method: "PUT", template: api + "/tickets/{id}", resource: "tickets", bucket: ticketUpdateBucket, handle: (*Server).ticketUpdate},
		{method: "GET", template: api + "/tickets/{id}/audits", resource: "tickets", handle: (*Server).ticketAudits},
		{method: "GET", template: api + "/tickets/{id}/comments", resource: "tickets", handle: (*Server).ticketComments},

		{method: "GET", template: api + "/brands", handle: (*Server).brands},
		{method: "GET", template: api + "/groups", handle: (*Server).groups},
		{method: "GET", template: api + "/custom_statuses", handle: (*Server).customStatuses},

		{method: "GET", template: api + "/triggers", resource: "triggers", handle: (*Server).triggerList},
		{method: "POST", template: api + "/triggers", resource: "triggers", admins: true, handle: (*Server).triggerCreate},
		{method: "GET", template: api + "/triggers/search", resource: "triggers", handle: (*Server).triggerSearch},
		{method: "GET", template: api + "/triggers/{id}", resource: "triggers", handle: (*Server).triggerShow},
		{method: "PUT", template: api + "/triggers/{id}", resource: "triggers", admins: true, handle: (*Server).triggerUpdate},
		{method: "DELETE", template: api + "/triggers/{id}", resource: "triggers", admins: true, handle: (*Server).triggerDelete},

		{method: "GET", template: api + "/webhooks", resource: "webhooks", admins: true, handle: (*Server).webhookList},
		{method: "POST", template: api + "/webhooks", resource: "webhooks", admins: true, handle: (*Server).webhookCreate},
		{method: "GET", template: api + "/webhooks/{id}", resource: "webhooks", admins: true, handle: (*Server).webhookShow},
		{method: "PUT", template: api + "/webhooks/{id}", resource: "webhooks", admins: true, handle: (*Server).webhookUpdate},
		{method: "PATCH", template: api + "/webhooks/{id}", resource: "webhooks", admins: true, handle: (*Server).webhookUpdate},
		{method: "DELETE", template: api + "/webhooks/{id}", resource: "webhooks", admins: true, handle: (*Server).webhookDelete},
		{method: "GET", template: api + "/webhooks/{id}/signing_secret", resource: "webhooks", admins: true, handle: (*Server).webhookSecret},
	}
	for i := range all {
		all[i].parts = strings.Split(all[i].template, "/")
	}
	return all
}

// cleanPath takes a trailing .json and a doubled slash in front away.
func cleanPath(path string) string {
	path = "/" + strings.TrimLeft(path, "/")
	return strings.TrimSuffix(strings.TrimSuffix(path, "/"), ".json")
}

// find is the route of a request; the first that fits, so templates with
// plain words stand before those with {id}.
func (s *Server) find(method, path string) (rt *route, vars []string) {
	parts := strings.Split(path, "/")
	for i := range s.routes {
		r := &s.routes[i]
		if r.method != method || len(r.parts) != len(parts) {
			continue
		}
		vars = vars[:0]
		fits := true
		for k, part := range r.parts {
			if part == "{id}" {
				vars = append(vars, parts[k])
			} else if part != parts[k] {
				fits = false
				break
			}
		}
		if fits {
			return r, vars
		}
	}
	return nil, nil
}

// bodyMost bounds what is read of a request.
const bodyMost = 1 << 20

// serveAPI takes one request through outage, faults, limits and handler.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request, path string) {
	rt, vars := s.find(r.Method, path)
	endpoint := r.Method + " (unknown)"
	if rt != nil {
		endpoint = r.Method + " " + rt.template
	}
	done := s.requests.note(s.clock(), endpoint, r, path)
	if s.outage.isDown() {
		done(0)
		drop(w)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyMost))
	if err != nil {
		done(0)
		drop(w)
		return
	}
	q := &request{Request: r, query: r.URL.Query(), vars: vars, body: body}
	status := s.withFaults(w, q, path, func() reply { return s.answer(rt, q) })
	done(status)
	s.log.Info("request", "endpoint", endpoint, "status", status)
}

// answer makes the account's own reply, headers included.
func (s *Server) answer(rt *route, q *request) reply {
	q.now = s.clock()
	if wait, on := s.outage.maintenance(); on {
		rep := errText(http.StatusServiceUnavailable, "Service Unavailable", "Down for maintenance. Please try again in a moment.")
		rep.header.Set("Retry-After", strconv.Itoa(int(wait/time.Second)))
		return s.seal(rep, q.now)
	}
	if rt == nil {
		return s.seal(errText(http.StatusNotFound, "InvalidEndpoint", "Not found"), q.now)
	}
	var denied *reply
	q.who, denied = s.authenticate(q, rt)
	if denied != nil {
		return s.seal(*denied, q.now)
	}
	ticket := ""
	if rt.bucket == ticketUpdateBucket {
		ticket = q.vars[0]
	}
	verdict := s.limits.take(q.now, rt.bucket, q.who.id, ticket)
	rep := verdict.refusal
	if rep == nil {
		made := rt.handle(s, q)
		rep = &made
	}
	if rep.header == nil {
		rep.header = http.Header{}
	}
	verdict.head(rep.header)
	return s.seal(*rep, q.now)
}

// seal adds what every answer carries.
func (s *Server) seal(rep reply, now time.Time) reply {
	if rep.header == nil {
		rep.header = http.Header{}
	}
	rep.header.Set("Date", now.UTC().Format(http.TimeFormat))
	rep.header.Set("X-Zendesk-Api-Version", "v2")
	rep.header.Set("X-Request-Id", fmt.Sprintf("%016x-SIM", s.requests.total()))
	rep.header.Set("Cache-Control", "max-age=0, private, must-revalidate")
	if rep.header.Get("Content-Type") == "" && len(rep.body) > 0 {
		rep.header.Set("Content-Type", "application/json; charset=utf-8")
	}
	return rep
}

// write sends a reply as it is.
func (rep *reply) write(w http.ResponseWriter) {
	for k, v := range rep.header {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(rep.body)))
	w.WriteHeader(rep.status)
	_, _ = io.Copy(w, bytes.NewReader(rep.body)) // the client may have gone; nothing is left to say then
}

// drop ends the connection without an answer: a reset where it is TCP.
func drop(w http.ResponseWriter) { hangUp(w, true) }

// hangUp closes the connection under an answer. A reset may take bytes along
// that the client has not read yet; a plain close leaves them.
func hangUp(w http.ResponseWriter, reset bool) {
	h, ok := w.(http.Hijacker)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	conn, _, err := h.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0) // it only turns the close below into a reset
	}
	_ = conn.Close() // the client sees the end of it either way
}

// wait sleeps, and gives up when the client goes or the account closes; a nil
// channel is a client that stays.
func (s *Server) wait(gone <-chan struct{}, d time.Duration) bool {
	if d <= 0 {
		select {
		case <-s.closing:
			return false
		default:
			return true
		}
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-gone:
	case <-s.closing:
	}
	return false
}
