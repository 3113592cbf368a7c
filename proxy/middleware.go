package proxy

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"aniproxy/internal/caller"
	"aniproxy/internal/caught"
)

// maxQuery bounds a query, in bytes: the longest ANI that is read has 256
// characters, and a flow adds ids and names to it.
const maxQuery = 8 << 10

// call is a request on its way: Echo's context with what we know of it.
type call struct {
	echo.Context
	id     string
	route  *route // nil until the guard, and for what nothing answers
	client *client
	began  time.Time
	on     side // the handler it came in by
	// zendesk is true below /api/v2, where errors speak as Zendesk's do.
	zendesk bool
	// outcome and source are those of the lookup, "" where there was none.
	outcome caller.Outcome
	source  caller.Source
}

// template is the route as logs and metrics name it.
func (c *call) template() string {
	if c.route == nil {
		return unmatched
	}
	return c.route.path
}

// write sends a whole body. An error is the client's that hung up.
func (c *call) write(status int, contentType string, body []byte) {
	w := c.Response()
	header := w.Header()
	header["Content-Type"] = []string{contentType}
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	w.Write(body) //nolint:errcheck // see above
}

// Headers that every answer has, shared and never changed: what is told of a
// caller is for the client alone, and what it is, is what we say.
var (
	noStore = []string{"no-store"}
	noSniff = []string{"nosniff"}
)

// around is the outermost step, and the only middleware of Echo's: Echo wraps
// middlewares anew for every request, so further ones would each cost an
// allocation, and the order of these steps is easier to read in one function.
func (s *Server) around(on side, next echo.HandlerFunc) echo.HandlerFunc {
	return func(ec echo.Context) error {
		c := &call{Context: ec, began: s.clock(), on: on}
		r := ec.Request()
		if c.id = r.Header.Get("X-Request-Id"); !saneID(c.id) {
			c.id = s.o.RandomID()
		}
		header := ec.Response().Header()
		header["X-Request-Id"] = []string{c.id}
		header["Cache-Control"] = noStore
		header["X-Content-Type-Options"] = noSniff
		_, c.zendesk = zendeskPath(echo.GetPath(r))
		if err := s.guarded(c, next); err != nil {
			s.answerError(c, err)
		}
		s.note(c)
		return nil
	}
}

// guarded runs what follows; a panic there is an error here.
func (s *Server) guarded(c *call, next echo.HandlerFunc) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
				panic(p)
			}
			err = newPanicError(p)
		}
	}()
	r := c.Request()
	if err := s.admit(r, c.on); err != nil {
		return err
	}
	if len(r.URL.RawQuery) > maxQuery {
		return &fault{status: http.StatusRequestURITooLong, detail: fmt.Sprintf("a query has at most %d bytes", maxQuery)}
	}
	if r.Method == http.MethodOptions {
		if c.Get(echo.ContextKeyHeaderAllow) == nil {
			return echo.ErrNotFound
		}
		return echo.ErrMethodNotAllowed
	}
	if c.zendesk {
		return c.reroute(next)
	}
	return next(c)
}

// guard is the step before a route's handler: who asks, how often, and
// whether they may.
func (s *Server) guard(r *route, on side) echo.HandlerFunc {
	r.counted = s.metrics.route(r.path)
	return func(ec echo.Context) error {
		c, ok := ec.(*call)
		if !ok {
			return errors.New("a route was reached without the outermost step")
		}
		c.route = r
		if r.scope == Open || r.scope == Signed || r.openLocally && on == onAdmin && s.o.AdminLoopback && local(c.Request()) == nil {
			return r.handle(c)
		}
		client, err := s.authenticate(c.Request(), c.zendesk)
		if err != nil {
			return err
		}
		c.client = client
		if client.requests != nil && !client.requests.AllowN(c.began, 1) {
			client.used.refuse(limitRate)
			return errRate()
		}
		if !client.may(r.scope) {
			s.refused(c)
			return s.errScope(r.scope)
		}
		return r.handle(c)
	}
}

// note writes the line and the counts of a request that was answered.
func (s *Server) note(c *call) {
	took := s.clock().Sub(c.began)
	code := c.Response().Status
	if c.route != nil {
		c.route.counted.add(code)
	} else {
		s.metrics.unmatched.add(code)
	}
	if c.outcome != "" {
		s.metrics.looked(c.outcome, c.began, took)
	}
	ctx := c.Request().Context()
	if !s.log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	attrs := [...]slog.Attr{
		slog.String("method", methodName(c.Request().Method)),
		slog.String("route", c.template()),
		slog.Int("status", code),
		slog.Duration("took", took),
		slog.String("request_id", c.id),
		slog.String("client", c.clientName()),
		slog.String("outcome", string(c.outcome)),
		slog.String("source", string(c.source)),
	}
	shown := attrs[:]
	if c.outcome == "" {
		shown = attrs[:len(attrs)-2]
	}
	s.log.LogAttrs(ctx, slog.LevelInfo, "request", shown...)
}

func (c *call) clientName() string {
	if c.client == nil {
		return "none"
	}
	return c.client.name
}

// methodName keeps what a client makes up out of the log.
func methodName(method string) string {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead, http.MethodOptions:
		return method
	default:
		return "other"
	}
}

// shortestNumber is how many digits make a phone number.
const shortestNumber = 7

// saneID tells whether a request's id may be taken over: it goes into headers
// and the log. One that could be a phone number may not.
func saneID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	run, longest := 0, 0 // of digits, whatever stands between them
	for i := range len(id) {
		switch c := id[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			run = 0
		case c >= '0' && c <= '9':
			run++
			longest = max(longest, run)
		case c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return longest < shortestNumber || isUUID(id)
}

// isUUID tells a UUID, whose digits are nobody's number, by its form.
func isUUID(id string) bool {
	if len(id) != 36 {
		return false
	}
	for i := range len(id) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (id[i] == '-') || !dash && !strings.ContainsRune("0123456789abcdefABCDEF", rune(id[i])) {
			return false
		}
	}
	return true
}

// panicError is a panic as an error for the log, with the way to it.
type panicError struct{ *caught.Panic }

func newPanicError(p any) *panicError { return &panicError{caught.New("a handler", p)} }

func (p *panicError) Error() string { return p.Panic.Error() + "\n" + p.Stack }

// Unwrap gives the panic.
func (p *panicError) Unwrap() error { return p.Panic }
