package zendesk

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// reading is what an answer's headers say of one limit. Unknown values are -1,
// an unknown limit 0.
type reading struct {
	limit, left int
	reset       time.Duration
}

// accountReading reads the account's limit. Three families of headers have
// been seen, sometimes several in one answer: the least that is left counts.
func accountReading(h http.Header) (r reading, ok bool) {
	r = reading{left: -1, reset: -1}
	for _, name := range []string{"X-Rate-Limit", "Ratelimit-Limit", "Rate-Limit"} {
		if n, found := count(h.Get(name)); found && r.limit == 0 {
			r.limit, ok = n, true
		}
	}
	for _, name := range []string{"X-Rate-Limit-Remaining", "Ratelimit-Remaining", "Rate-Limit-Remaining"} {
		if n, found := count(h.Get(name)); found && (r.left < 0 || n < r.left) {
			r.left, ok = n, true
		}
	}
	for _, name := range []string{"Ratelimit-Reset", "Rate-Limit-Reset", "X-Rate-Limit-Reset"} {
		if n, found := count(h.Get(name)); found && r.reset < 0 {
			r.setReset(n)
		}
	}
	return r, ok
}

// laneReading reads an endpoint's own limit, such as
//
//	zendesk-ratelimit-incremental-exports: total=10; remaining=9; resets=2
//
// Only a name that is the lane's is of interest: an answer may tell of other
// limits too.
func laneReading(h http.Header, l lane) (r reading, ok bool) {
	for name, values := range h {
		limit, isLimit := strings.CutPrefix(name, "Zendesk-Ratelimit-")
		if !isLimit {
			limit, isLimit = strings.CutPrefix(name, "Zendesk-Rate-Limit-")
		}
		if !isLimit || !l.names(strings.ToLower(limit)) || len(values) == 0 {
			continue
		}
		r = reading{left: -1, reset: -1}
		for part := range strings.SplitSeq(values[0], ";") {
			key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			n, found := count(value)
			if !found {
				continue
			}
			ok = true
			switch strings.TrimSpace(key) {
			case "total":
				r.limit = n
			case "remaining":
				r.left = n
			case "resets":
				r.setReset(n)
			}
		}
		return r, ok
	}
	return reading{}, false
}

// names tells whether a limit's name may be the lane's. Only that of the
// incremental exports is documented, so the others are known by a word.
func (l lane) names(limit string) bool {
	search, export := strings.Contains(limit, "search"), strings.Contains(limit, "export")
	switch l {
	case ticketLane, userLane:
		return strings.Contains(limit, "incremental")
	case searchLane:
		return search && !export
	case searchExportLane:
		return search && export
	default:
		return false
	}
}

// setReset believes a reset of up to a minute, which is the window; more is of
// another kind of limit.
func (r *reading) setReset(seconds int) {
	if seconds <= 60 {
		r.reset = time.Duration(seconds) * time.Second
	}
}

// count reads a plain number of requests or seconds.
func count(s string) (int, bool) {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > 9 {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err == nil
}

// ofAccount tells whether a 429's text says that it is the account's limit:
// plain text, as some answers have come.
func ofAccount(e *Error) bool {
	return strings.Contains(e.Description, "allowed API requests per minute")
}

// retryAfterMost caps what a Retry-After can make us wait: ten minutes, the
// longest window that Zendesk documents.
const retryAfterMost = 10 * time.Minute

// retryAfter reads Retry-After as seconds or as an HTTP date, capped. A date
// is held against the answer's own Date where it has one, so that a clock that
// is off does not count. ok is false where the header is missing or cannot be
// read; a moment that is past is 0.
func retryAfter(h http.Header, now time.Time) (d time.Duration, ok bool) {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value == "" {
		return 0, false
	}
	if digits := strings.TrimLeft(value, "0123456789"); digits == "" {
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil {
			return retryAfterMost, true // more seconds than fit
		}
		return min(time.Duration(n)*time.Second, retryAfterMost), true
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	if date := dateOf(h); !date.IsZero() {
		now = date
	}
	return min(max(at.Sub(now), 0), retryAfterMost), true
}

// dateOf is the answer's Date, zero where it cannot be read.
func dateOf(h http.Header) time.Time {
	at, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return at
}
