package proxy

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"
)

// # /api/v2
//
// Zendesk's own API as far as a call needs it, so that Cisco's template and
// whatever else was written for Zendesk works with only the address changed:
//
//	zendesk.go          where it lies, and its errors
//	zendesk_query.go    what a search asks for
//	zendesk_search.go   people by number, tickets by requester
//	zendesk_show.go     people and tickets by id, and whoever asks
//	zendesk_object.go   Zendesk's objects out of the mirror
//	zendesk_page.go     parts of a list
//	zendesk_update.go   a comment
//
// It answers from the mirror and writes by way of the outbox. What is searched
// for never reaches Zendesk, a log or an error: a search is taken apart into
// words that are known and one number or id.

// zendeskRoot is where it begins.
const zendeskRoot = "/api/v2"

// zendeskPath is the one spelling of a path of Zendesk's that the table of
// routes has. Others come with two slashes in front (a connector's address
// that ends in one, before a path that begins with one), with ".json", with a
// slash at the end. ok is false for a path that is not Zendesk's.
func zendeskPath(path string) (one string, ok bool) {
	if strings.HasPrefix(path, "//") {
		path = path[1:]
	}
	rest, ok := strings.CutPrefix(path, zendeskRoot)
	if !ok || rest != "" && rest[0] != '/' {
		return "", false
	}
	return strings.TrimSuffix(strings.TrimSuffix(path, "/"), ".json"), true
}

// reroute finds the route of a path of Zendesk's in its one spelling, and
// answers by it. A HEAD is a GET whose body net/http leaves out, as it is at
// Zendesk.
func (c *call) reroute(next echo.HandlerFunc) error {
	r := c.Request()
	method, path := r.Method, echo.GetPath(r)
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if one, _ := zendeskPath(path); one != path || method != r.Method {
		c.Echo().Router().Find(method, one, c.Context)
		next = c.Handler()
	}
	return next(c)
}

// zendeskID reads an id in a path. What a flow makes of a variable that was
// never set is an id that nobody has; a word is another endpoint, which is not
// served.
func zendeskID(c *call) (int64, error) {
	id, ok := wholeNumber(unescape(c.Param("id")))
	switch {
	case !ok:
		return 0, echo.ErrNotFound
	case id <= 0:
		return 0, errNoRecord()
	}
	return id, nil
}

// wholeNumber reads an id as flows send it: "123.0" is 123, and what they make
// of a variable that was never set is 0. ok is false for any other text.
func wholeNumber(s string) (n int64, ok bool) {
	s = strings.TrimSpace(s)
	switch strings.ToLower(s) {
	case "", "null", "none", "nil", "undefined", "nan":
		return 0, true
	}
	if head, tail, found := strings.Cut(s, "."); found && head != "" && strings.Trim(tail, "0") == "" {
		s = head
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// The bodies of Zendesk's errors, as far as they are needed here.
type (
	zendeskError struct {
		Error       string `json:"error"`
		Description string `json:"description,omitempty"`
		// Details has what is wrong with which field of a record.
		Details map[string][]zendeskDetail `json:"details,omitempty"`
	}
	zendeskDetail struct {
		Description string `json:"description"`
	}
	zendeskTitled struct {
		Error zendeskTitle `json:"error"`
	}
	zendeskTitle struct {
		Title   string `json:"title"`
		Message string `json:"message"`
	}
	zendeskErrors struct {
		Errors []zendeskListed `json:"errors"`
	}
	zendeskListed struct {
		Code   string `json:"code"`
		Title  string `json:"title"`
		Detail string `json:"detail"`
	}
)

// errNoRecord is the same for what is not there and for what this client has
// not been told of.
func errNoRecord() error {
	return &fault{status: http.StatusNotFound, detail: "Not found", zendesk: &zendeskError{Error: "RecordNotFound", Description: "Not found"}}
}

// errInvalidSearch is a query that is not understood.
func errInvalidSearch(why string) error {
	return &fault{status: http.StatusUnprocessableEntity, detail: why, zendesk: &zendeskError{Error: "invalid", Description: "Invalid search: " + why}}
}

// errInvalidRecord is an update that cannot be done as it is.
func errInvalidRecord(field, why string) error {
	return &fault{status: http.StatusUnprocessableEntity, detail: why, zendesk: &zendeskError{
		Error: "RecordInvalid", Description: "Record validation errors",
		Details: map[string][]zendeskDetail{field: {{why}}},
	}}
}

// errInvalidAttribute is a parameter that cannot be read.
func errInvalidAttribute(title, message string) error {
	return &fault{status: http.StatusBadRequest, detail: message, zendesk: &zendeskTitled{zendeskTitle{title, message}}}
}

// envelope is the body of a fault below /api/v2.
func (f *fault) envelope() any {
	if f.zendesk != nil {
		return f.zendesk
	}
	switch f.status {
	case http.StatusUnauthorized:
		return &zendeskError{Error: "Couldn't authenticate you"}
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return &zendeskError{Error: "InvalidEndpoint", Description: "Not found"}
	case http.StatusTooManyRequests:
		return &zendeskError{Error: "APIRateLimitExceeded", Description: f.detail}
	case http.StatusServiceUnavailable:
		return &zendeskError{Error: "unavailable", Description: f.detail}
	default: // 400, 403, 413, 414, 500
		return &zendeskTitled{zendeskTitle{http.StatusText(f.status), f.detail}}
	}
}

// forZendesk is a fault as it is answered below /api/v2: a method that a path
// does not take is an endpoint that is not there.
func (f *fault) forZendesk() *fault {
	if f.status != http.StatusMethodNotAllowed {
		return f
	}
	return &fault{status: http.StatusNotFound, detail: f.detail}
}
