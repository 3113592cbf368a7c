package zendesk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"
)

// How long things may take. A live caller hears silence meanwhile; the others
// may wait out a minute's budget and a maintenance window's first answer.
const (
	liveCall       = 10 * time.Second
	exportCallTime = 5 * time.Minute
	otherCall      = 3 * time.Minute

	liveAttempt   = 5 * time.Second
	exportAttempt = time.Minute // a page of 1000 tickets can take 20 s
	otherAttempt  = 20 * time.Second
)

// Backoff: 0.25, 0.5, 1, 2 … s, times a random 0.5 to 1; a live call's begins
// at 50 ms.
const (
	backoffFirst = 250 * time.Millisecond
	backoffLive  = 50 * time.Millisecond
	backoffMost  = 30 * time.Second
)

// call describes one request.
type call struct {
	method   string
	endpoint string // the template that errors and metrics name
	path     string // below the base URL; of numbers and constants only
	query    url.Values
	body     []byte
	idemKey  string // Idempotency-Key; net/http may replay a request that has one
	most     int64  // of the answer's body
	time     time.Duration
	whole    time.Duration
	lane     lane
	write    bool // not to be repeated on an unknown outcome
}

// answer is a success, its body read.
type answer struct {
	status int
	header http.Header
	body   []byte
	sent   time.Time // just before the attempt that brought it was written
}

// get is a read of bodyMost at most.
func get(endpoint, path string, query url.Values) *call {
	return &call{method: http.MethodGet, endpoint: endpoint, path: path, query: query, most: bodyMost, time: otherAttempt, whole: otherCall}
}

func (k *call) setBody(r *http.Request) {
	if k.body == nil {
		return
	}
	r.ContentLength = int64(len(k.body))
	r.Body = io.NopCloser(bytes.NewReader(k.body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(k.body)), nil }
	r.Header.Set("Content-Type", "application/json")
	if k.idemKey != "" {
		r.Header.Set("Idempotency-Key", k.idemKey)
	}
}

// do makes a call: one attempt, and others where they are right and there is
// time. This is the one place that decides it.
func (c *Client) do(ctx context.Context, k *call) (*answer, error) {
	if c.share == Live {
		k.time, k.whole = min(k.time, liveAttempt), liveCall
	}
	ctx, cancel := context.WithTimeout(ctx, k.whole)
	defer cancel()
	renewed := false
	for tries := 1; ; tries++ {
		a, authorization, e := c.try(ctx, k)
		if e == nil {
			return a, nil
		}
		if e.Status == http.StatusUnauthorized && e.Endpoint == k.endpoint && !renewed && c.access.refused(authorization) {
			renewed = true
			tries--
			continue
		}
		if tries >= c.tries(k) || !c.again(e) || !c.pause(ctx, tries, e) {
			return nil, e
		}
	}
}

// tries is how many attempts a call has, first one included.
func (c *Client) tries(k *call) int {
	switch {
	case c.share == Live:
		return 2
	case k.write:
		return 3
	default:
		return 4
	}
}

// again tells whether another attempt may help and cannot harm. A 429 and a
// 503 have not begun anything; any other failure of a write is repeated only
// where its outcome is known to be nothing.
func (c *Client) again(e *Error) bool {
	switch {
	case e.Class == ClassRateLimited:
		// A refusal of our own says that the wait is too long; a live call
		// does not queue.
		return e.Status != 0 && c.share != Live
	case e.UnknownOutcome, e.detail == detailOpen, e.detail == detailAddress:
		return false
	default:
		return e.passing()
	}
}

// pause waits before another attempt; false where there is no time for it.
// After a 429 that closed a window the budget does the long part of the wait.
func (c *Client) pause(ctx context.Context, tries int, e *Error) bool {
	first := backoffFirst
	if c.share == Live {
		first = backoffLive
	}
	wait := min(first<<min(tries-1, 10), backoffMost)
	wait = time.Duration(float64(wait) * (0.5 + c.rand()/2))
	wait = max(wait, e.RetryAfter)
	if ctx.Err() != nil || !fits(ctx, wait) {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// try makes one attempt with all that goes before it: breaker, credentials,
// budget. It also returns the Authorization used.
func (c *Client) try(ctx context.Context, k *call) (a *answer, authorization string, e *Error) {
	if c.share == Live {
		done, err := c.breaker.Allow()
		if err != nil {
			return nil, "", &Error{Class: ClassUnavailable, Endpoint: k.endpoint, detail: detailOpen, RetryAfter: breakerOpen}
		}
		began := time.Now()
		defer func() { done(verdict(e, ctx.Err() != nil, time.Since(began))) }()
	}
	authorization, e = c.access.authorize(ctx)
	if e != nil {
		return nil, "", e
	}
	g, wait, err := c.budget.acquire(ctx, c.share, k.lane)
	if err != nil {
		return nil, "", k.gone(ctx)
	}
	if wait > 0 {
		return nil, "", &Error{Class: ClassRateLimited, Endpoint: k.endpoint, RetryAfter: wait, detail: "refused here"}
	}
	var header http.Header
	a, e = c.attempt(ctx, k, authorization)
	if a != nil {
		header = a.header
	}
	c.budget.settle(g, header)
	if e != nil && e.Status == http.StatusTooManyRequests {
		c.budget.refuse(g, header, e)
	}
	if e != nil {
		return nil, authorization, e
	}
	return a, authorization, nil
}

// attempt sends the request once and reads its answer. With an error there may
// still be an answer: its header tells of limits.
func (c *core) attempt(ctx context.Context, k *call, authorization string) (*answer, *Error) {
	whole := ctx
	ctx, cancel := context.WithTimeout(ctx, k.time)
	defer cancel()
	r := c.newRequest(ctx, k)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	c.requests.Add(1)
	a := &answer{sent: c.now()}
	// RoundTrip, not a client's Do: nothing follows redirects, keeps cookies
	// or writes the URL, with its query, into an error.
	resp, err := c.transport.RoundTrip(r)
	if err != nil {
		return nil, c.fault(whole, k.broken(0, err))
	}
	defer resp.Body.Close()
	a.status, a.header = resp.StatusCode, resp.Header
	success := a.status == http.StatusOK || a.status == http.StatusCreated || a.status == http.StatusNoContent
	most := k.most
	if !success {
		most = refuseMost
	}
	a.body, err = readBody(resp, most)
	if !success {
		// What could be read of the body is enough, or nothing is: the
		// status says the rest.
		e := k.refusal(a.status, a.header, a.body, c.now())
		e.Sent = a.sent
		return a, c.fault(whole, e)
	}
	switch {
	case err == nil:
		return a, nil
	case errors.Is(err, errTooLarge), errors.Is(err, errEncoding), errors.Is(err, errGzip):
		return a, c.fault(whole, k.malformed(a.status, err.Error()))
	default:
		e := k.broken(a.status, err)
		e.Status = 0 // half an answer is none: it may be asked for again
		return a, c.fault(whole, e)
	}
}

// fault counts a failure, unless the caller left, and blames the caller's
// context where that is what ended the attempt.
func (c *core) fault(caller context.Context, e *Error) *Error {
	if err := caller.Err(); err != nil && e.Class == ClassUnavailable && e.Status == 0 {
		e.cause = err
		e.detail = "timed out"
		if errors.Is(err, context.Canceled) {
			e.detail = "cancelled"
			return e
		}
	}
	c.faults.Add(1)
	return e
}
