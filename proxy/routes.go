package proxy

import (
	"net/http"
	"strings"
)

// Scope is what a client must have been granted to use a route.
type Scope string

// The scopes. A route states one of them, or Open, or Signed; the empty scope
// is a mistake that a test finds.
const (
	Open Scope = "open"
	// Signed is for whoever signs what they send: they need no client's key.
	Signed         Scope = "signed"
	ScopeLookup    Scope = "lookup"
	ScopeComment   Scope = "comment"
	ScopeZendesk   Scope = "zendesk"
	ScopeDirectory Scope = "directory"
	ScopeStats     Scope = "stats"
	ScopeAdmin     Scope = "admin"
)

// Scopes are those that a client may be granted.
func Scopes() []Scope {
	return []Scope{ScopeLookup, ScopeComment, ScopeZendesk, ScopeDirectory, ScopeStats, ScopeAdmin}
}

// side is which of the two handlers a request came in by.
type side uint8

const (
	onPublic side = iota
	onAdmin
)

// route is one row of the table.
type route struct {
	method string
	// path is the template as the API's description, the log and the metrics
	// have it.
	path  string
	scope Scope
	// admin routes are on the admin handler only.
	admin bool
	// openLocally needs no key on an admin listener that is bound to loopback.
	openLocally bool
	// action is what the audit log calls what is asked for here; every route
	// of an admin's has one, by which tries of those who may not are recorded.
	action string
	handle func(*call) error

	counted *codeCounters
}

// routes is everything that is answered. What is not here is 404.
func (s *Server) routes() []*route {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	all := []*route{
		{method: get, path: "/v1/lookup", scope: ScopeLookup, handle: s.lookup},
		{method: post, path: "/v1/lookup", scope: ScopeLookup, handle: s.lookup},
		{method: get, path: "/v1/users", scope: ScopeLookup, handle: s.users},
		{method: get, path: "/v1/users/{id}", scope: ScopeDirectory, handle: s.user},
		{method: get, path: "/v1/users/{id}/tickets", scope: ScopeDirectory, handle: s.userTickets},

		{method: post, path: "/v1/tickets", scope: ScopeComment, handle: s.ticket},
		{method: post, path: "/v1/tickets/{id}/comments", scope: ScopeComment, handle: s.comment},
		{method: get, path: "/v1/comments/{id}", scope: ScopeComment, handle: s.commentState},

		{method: get, path: "/api/v2/users/search", scope: ScopeZendesk, handle: s.zendeskUsersSearch},
		{method: get, path: "/api/v2/search", scope: ScopeZendesk, handle: s.zendeskSearch},
		{method: get, path: "/api/v2/users/me", scope: ScopeZendesk, handle: s.zendeskMe},
		{method: get, path: "/api/v2/users/{id}", scope: ScopeZendesk, handle: s.zendeskUserByID},
		{method: get, path: "/api/v2/users/{id}/tickets/requested", scope: ScopeZendesk, handle: s.zendeskRequested},
		{method: get, path: "/api/v2/tickets/{id}", scope: ScopeZendesk, handle: s.zendeskTicketByID},
		{method: http.MethodPut, path: "/api/v2/tickets/{id}", scope: ScopeZendesk, handle: s.zendeskUpdate},

		{method: get, path: "/v1/stats", scope: ScopeStats, admin: true, handle: s.stats},
		{method: get, path: "/metrics", scope: ScopeStats, admin: true, openLocally: true, handle: s.exposition},
		{method: post, path: "/v1/admin/resync", scope: ScopeAdmin, admin: true, action: "resync", handle: s.resync},
		{method: get, path: "/v1/admin/sync", scope: ScopeAdmin, admin: true, action: "sync", handle: s.syncState},
		{method: get, path: "/v1/admin/explain", scope: ScopeAdmin, admin: true, action: "explain", handle: s.explain},
		{method: post, path: "/v1/admin/cache/purge", scope: ScopeAdmin, admin: true, action: "purge", handle: s.purge},
		{method: del, path: "/v1/admin/users/{id}", scope: ScopeAdmin, admin: true, action: "erase", handle: s.erase},
		{method: del, path: "/v1/admin/users/{id}/tombstone", scope: ScopeAdmin, admin: true, action: "lift", handle: s.liftTombstone},
		{method: get, path: "/v1/admin/outbox", scope: ScopeAdmin, admin: true, action: "outbox", handle: s.outboxRecords},
		{method: post, path: "/v1/admin/outbox/{id}/retry", scope: ScopeAdmin, admin: true, action: "retry", handle: s.outboxRetry},

		{method: get, path: "/healthz", scope: Open, handle: s.healthz},
		{method: get, path: "/readyz", scope: Open, handle: s.readyz},
		{method: get, path: "/openapi.yaml", scope: Open, handle: s.openapi},
	}
	if s.hooks != nil {
		all = append(all, &route{method: post, path: "/webhooks/zendesk", scope: Signed, handle: s.webhook})
	}
	return all
}

// unmatched is the route of what no row of the table answers.
const unmatched = "unmatched"

// echoPath is the template in Echo's spelling: /v1/users/:id.
func (r *route) echoPath() string {
	return strings.NewReplacer("{", ":", "}", "").Replace(r.path)
}
