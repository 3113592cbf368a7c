package zendesk

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Class says what kind of failure an [Error] is; who decides on errors decides
// on it.
type Class string

// The classes.
const (
	// ClassAuth: the credentials are not accepted.
	ClassAuth Class = "auth"
	// ClassForbidden: they are, but not for this.
	ClassForbidden Class = "forbidden"
	// ClassNotFound: Zendesk's API itself says that the object is not there.
	// A 404 that comes from elsewhere (an edge's HTML, an unknown path) is
	// never this class: see [Error].
	ClassNotFound Class = "not_found"
	// ClassConflict: a safe update came too late.
	ClassConflict Class = "conflict"
	// ClassRejected: any other 4xx, and input that was refused here.
	ClassRejected Class = "rejected"
	// ClassRateLimited: a 429, or refused here because one would follow.
	ClassRateLimited Class = "rate_limited"
	// ClassUnavailable: 5xx, network, time-out, or the caller's context.
	ClassUnavailable Class = "unavailable"
	// ClassMalformed: an answer that is not of the API's form.
	ClassMalformed Class = "malformed"
)

// Error is every failure of a call. Its text holds class, status, code and the
// endpoint's template, and nothing that Zendesk or a caller wrote freely.
//
// A 404 is ClassNotFound only with a JSON error body of the API that is not
// InvalidEndpoint: a wrong base path or an edge that answers 404 in HTML must
// not make a mirror drop what it holds.
type Error struct {
	Class  Class
	Status int // HTTP status, 0 where there was no answer
	// Code is Zendesk's error code, for example RecordNotFound; "" where the
	// body had none that reads like a code. One of a form that Zendesk is not
	// known for is not in Error(): a single name reads like a code too.
	Code string
	// Description is Zendesk's own text. It may hold personal data: it is not
	// in Error() and must not be logged.
	Description string
	// Fields are the names of the fields that a 422 complains of, sorted.
	Fields []string
	// RetryAfter is how long to wait before another try can succeed, capped
	// at ten minutes; 0 where nobody said.
	RetryAfter time.Duration
	// Endpoint is a template like "users/{id}", never with an id in it.
	Endpoint string
	// Sent is the moment just before the request that was answered so was
	// written: what places a "not found" among other answers. Zero where there
	// was no answer.
	Sent time.Time
	// UnknownOutcome is set for a write that may or may not have been done.
	UnknownOutcome bool

	detail string // a constant text of ours
	cause  error
}

// Error implements error.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("zendesk " + e.Endpoint + ": " + strings.ReplaceAll(string(e.Class), "_", " "))
	var parts []string
	if e.Status != 0 {
		parts = append(parts, strconv.Itoa(e.Status))
	}
	if isKnownCode(e.Code) {
		parts = append(parts, e.Code)
	}
	if e.detail != "" {
		parts = append(parts, e.detail)
	}
	if e.UnknownOutcome {
		parts = append(parts, "outcome unknown")
	}
	if len(parts) > 0 {
		b.WriteString(" (" + strings.Join(parts, ", ") + ")")
	}
	return b.String()
}

// Unwrap gives the cause, so that errors.Is finds context.DeadlineExceeded and
// its like. The cause's own text is not for logs.
func (e *Error) Unwrap() error { return e.cause }

// Redirected tells whether the answer was a redirect, which is never followed:
// what it names is kept nowhere.
func (e *Error) Redirected() bool { return e.Status >= 300 && e.Status < 400 }

// TicketClosed tells whether a ticket refused an update because it is closed;
// a follow-up ticket is the way on.
func (e *Error) TicketClosed() bool {
	return e.Status == 422 && strings.Contains(e.Description, "closed prevents ticket update")
}

// StartTooRecent tells whether an export refused its start time as too recent.
// Both of Zendesk's answers have been seen: 400 and 422.
func (e *Error) StartTooRecent() bool {
	return e.Code == "StartTimeTooRecent" ||
		(e.Code == "InvalidValue" && strings.Contains(e.Description, "Too recent start_time"))
}

// passing tells whether the same request may succeed in a moment: no answer
// at all, or one of a gateway. 520 to 524 are Cloudflare's, Zendesk's edge.
func (e *Error) passing() bool {
	if e.Class != ClassUnavailable {
		return false
	}
	switch e.Status {
	case 0, 502, 503, 504, 520, 521, 522, 523, 524:
		return true
	default:
		return false
	}
}

// What an error says of a call that did not go where it was sent.
const (
	detailRedirect = "redirect refused"
	detailAddress  = "address refused"
)

// rejected is a refusal of our own, before anything is sent.
func rejected(endpoint, why string) *Error {
	return &Error{Class: ClassRejected, Endpoint: endpoint, detail: why}
}

// malformed is an answer that cannot be read.
func (k *call) malformed(status int, why string) *Error {
	return &Error{Class: ClassMalformed, Status: status, Endpoint: k.endpoint, UnknownOutcome: k.write, detail: why}
}

// broken is a call without an answer, or with half of one.
func (k *call) broken(status int, err error) *Error {
	e := &Error{Class: ClassUnavailable, Status: status, Endpoint: k.endpoint, UnknownOutcome: k.write, cause: err}
	var op *net.OpError
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.Is(err, ErrAddress):
		e.detail = detailAddress
	case errors.Is(err, context.Canceled):
		e.detail = "cancelled"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		e.detail = "timed out"
	case errors.As(err, &dns):
		e.detail = "host not found"
	case errors.As(err, &op) && op.Op == "dial":
		e.detail = "no connection"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		e.detail = "connection cut"
	default:
		e.detail = "network fault"
	}
	// A PUT that never got a connection did nothing. A keyed POST may have
	// been replayed by net/http after a first connection was lost, so there
	// the last failure says nothing of the first.
	if status == 0 && k.idemKey == "" && errors.As(err, &op) && op.Op == "dial" {
		e.UnknownOutcome = false
	}
	return e
}

// sentOf is the time of the request that an error answers, zero where none did.
func sentOf(err error) time.Time {
	var e *Error
	if errors.As(err, &e) {
		return e.Sent
	}
	return time.Time{}
}

// gone is a call that its caller, or the limit of the whole call, ended while
// nothing was under way.
func (k *call) gone(ctx context.Context) *Error {
	e := k.broken(0, ctx.Err())
	e.UnknownOutcome = false
	return e
}
