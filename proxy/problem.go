package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"aniproxy/internal/status"
)

// Problem is an answer that is an error: RFC 9457, application/problem+json.
// Its type is about:blank throughout, so that the title is the status in words
// and the detail says what is wrong here. No detail holds a number, a name or
// a query.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// RequestID is that of the header X-Request-ID and of the log.
	RequestID string `json:"request_id"`
}

// fault is an error that knows its answer.
type fault struct {
	status int
	detail string
	header http.Header // further headers, may be nil
	// zendesk is the body below /api/v2, nil for that of the status.
	zendesk any
}

func (f *fault) Error() string { return fmt.Sprintf("%d: %s", f.status, f.detail) }

func errBadRequest(detail string) error {
	return &fault{status: http.StatusBadRequest, detail: detail}
}

func errForbidden(detail string) error {
	return &fault{status: http.StatusForbidden, detail: detail}
}

func errNotFound(detail string) error {
	return &fault{status: http.StatusNotFound, detail: detail}
}

func errUnprocessable(detail string) error {
	return &fault{status: http.StatusUnprocessableEntity, detail: detail}
}

// errLater asks for another try: nothing has been done, and the fault passes.
func errLater(detail string) *fault {
	return &fault{
		status: http.StatusServiceUnavailable, detail: detail + "; nothing has been written, try again",
		header: http.Header{"Retry-After": {"1"}},
	}
}

// errUnauthorized is the same for a missing, a short and a wrong secret.
func errUnauthorized() error {
	return &fault{
		status: http.StatusUnauthorized,
		detail: fmt.Sprintf("this needs the key of a client, by Basic (name:secret) or Bearer; a secret has at least %d characters", minSecret),
		header: http.Header{"Www-Authenticate": {`Basic realm="aniproxy", charset="UTF-8"`, `Bearer realm="aniproxy"`}},
	}
}

// errScope names what is missing. Where no client is configured nothing can
// be granted, so it says what to do about that.
func (s *Server) errScope(needed Scope) error {
	if s.clients.Load().local != nil {
		return errForbidden(fmt.Sprintf("this needs the scope %s: configure a client that has it", needed))
	}
	return errForbidden(fmt.Sprintf("this needs the scope %s, which this client was not granted", needed))
}

// errRate asks for a second's patience: a rate is in requests a second and at
// least one, so by then there is room again.
func errRate() error {
	return &fault{
		status: http.StatusTooManyRequests, detail: "this client asks more often than its rate allows",
		header: http.Header{"Retry-After": {"1"}},
	}
}

// answerError is the one place where errors become answers. What is no fault
// of the request is logged here, once.
func (s *Server) answerError(c *call, err error) {
	f, ours := s.faultOf(c, err)
	header := c.Response().Header()
	if c.zendesk {
		f = f.forZendesk()
		header.Del("Allow") // Echo's, of a path that is not here then
	}
	for name, values := range f.header {
		header[name] = values
	}
	if ours {
		s.log.LogAttrs(c.Request().Context(), slog.LevelError, "request failed",
			slog.String("route", c.template()), slog.String("request_id", c.id), slog.Any("error", err))
	}
	if c.Response().Committed { // too late to say anything else
		return
	}
	contentType, answer := "application/problem+json", any(Problem{
		Type: "about:blank", Title: http.StatusText(f.status), Status: f.status, Detail: f.detail, RequestID: c.id,
	})
	if c.zendesk {
		contentType, answer = jsonType, f.envelope()
	}
	body, err := json.Marshal(answer)
	if err != nil { // of strings and an integer: it cannot be
		s.log.LogAttrs(c.Request().Context(), slog.LevelError, "problem not encoded", slog.Any("error", err))
	}
	c.write(f.status, contentType, body)
}

// faultOf finds the answer to an error; ours is true for what is no fault of
// the request.
func (s *Server) faultOf(c *call, err error) (f *fault, ours bool) {
	var known *fault
	if errors.As(err, &known) {
		return known, false
	}
	var shelved *outboxError
	if errors.As(err, &shelved) {
		return errLater("the outbox cannot be read or written"), true
	}
	var unrecorded *unrecordedError
	if errors.As(err, &unrecorded) {
		return &fault{
			status: http.StatusServiceUnavailable,
			detail: "nothing was done, since the audit log cannot be written; the reason is in the log under the request id",
			header: http.Header{"Retry-After": {"1"}},
		}, true
	}
	var mode *status.ModeError
	if errors.As(err, &mode) {
		return &fault{status: http.StatusUnprocessableEntity, detail: mode.Error()}, false
	}
	var state *status.StateError
	if errors.As(err, &state) {
		return &fault{status: http.StatusConflict, detail: state.Error()}, false
	}
	var half *erasureError
	if errors.As(err, &half) {
		return half.fault(), true
	}
	switch {
	case errors.Is(err, echo.ErrNotFound):
		return &fault{status: http.StatusNotFound, detail: "there is nothing at this path; /openapi.yaml lists what there is"}, false
	case errors.Is(err, echo.ErrMethodNotAllowed):
		allow, _ := c.Get(echo.ContextKeyHeaderAllow).(string)
		// Echo would answer OPTIONS by itself; this API has no use for it.
		allow = strings.TrimPrefix(allow, http.MethodOptions+", ")
		return &fault{
			status: http.StatusMethodNotAllowed, detail: "this path is asked by " + allow,
			header: http.Header{"Allow": {allow}},
		}, false
	default:
		return &fault{status: http.StatusInternalServerError, detail: "the fault is ours and is in the log under the request id"}, true
	}
}
