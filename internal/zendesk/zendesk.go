// Package zendesk is the HTTP client for Zendesk and the types that travel on
// its wire. It knows nothing of what they are for.
//
// The story of a call: an endpoint method (export.go, users.go, tickets.go,
// webhooks.go, triggers.go) describes it as a [call]; do (call.go) takes it through the breaker, the
// credentials (token.go) and the rate budget (budget.go), sends it to the one
// configured origin, reads a bounded body (body.go), turns whatever went wrong
// into one [Error] (errors.go, refusal.go) and decides once whether another
// attempt is right. The answer is decoded tolerantly (wire.go, decode.go):
// nulls and unknown fields are expected, a wrong type is not; in a list it
// costs its own object and no other.
//
// What holds for every call:
//
//   - It goes to the configured scheme, host and port. Redirects are not
//     followed, and cursors travel as values, never as a URL of an answer.
//     Nor does a connection go to an address that is no Zendesk's, whatever
//     the host's name resolves to (transport.go).
//   - A write is sent again only where its first attempt certainly did
//     nothing; else the error says that the outcome is unknown.
//   - A [Share] of the rate budget pays for it, so that nobody starves anybody.
//   - No number, name or text of a customer is in an error's text or a log line.
package zendesk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"aniproxy/internal/origin"
	"aniproxy/internal/status"
)

// DefaultRatePerMinute is the account budget where none is configured: the
// limit of the plans that most accounts have.
const DefaultRatePerMinute = 400

// Config is what a client is made of. Either the OAuth client's two values or
// e-mail and API token are set; with both, OAuth is used.
type Config struct {
	// BaseURL is the origin that all calls go to, with an optional base path.
	// https, or http on a loopback host.
	BaseURL string

	ClientID, ClientSecret string // OAuth client credentials
	Email, APIToken        string // Basic; ends in 2027
	// Scope is what an OAuth token is asked for, words with spaces between
	// them; "" is "read write", which everything here needs and nothing more.
	Scope string

	// RatePerMinute is the share of the account's budget that is ours; 0 is
	// DefaultRatePerMinute.
	RatePerMinute int

	// Transport sends the requests; nil is one of our own.
	Transport http.RoundTripper
	// Clock is the time of day, nil time.Now. Waiting is done by the
	// runtime's timers whatever Clock says.
	Clock func() time.Time
	// Rand gives jitter in [0,1) and is called from several goroutines; nil
	// is math/rand/v2.
	Rand      func() float64
	Logger    *slog.Logger // nil logs nothing
	UserAgent string
}

// Client asks Zendesk on behalf of one [Share]. It is safe for concurrent use.
type Client struct {
	*core
	share Share
}

// core is what the views of a client have in common.
type core struct {
	base      *url.URL // scheme, host and path, nothing else
	transport http.RoundTripper
	own       *http.Transport // the transport where it is ours, to close
	now       func() time.Time
	rand      func() float64
	log       *slog.Logger
	userAgent string
	access    credentials
	budget    *budget
	breaker   *gobreaker.TwoStepCircuitBreaker[struct{}]

	requests, faults atomic.Uint64
}

// New makes a client for the share Background; As gives the others. It sends
// nothing. Close ends it.
func New(cfg Config) (*Client, error) {
	base, err := parseBase(cfg.BaseURL)
	if err != nil {
		return nil, err
	}
	c := &core{base: base, transport: cfg.Transport, now: cfg.Clock, rand: cfg.Rand, log: cfg.Logger, userAgent: cfg.UserAgent}
	if c.now == nil {
		c.now = time.Now
	}
	if c.rand == nil {
		c.rand = rand.Float64
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.transport == nil {
		c.own = newTransport(base.Scheme)
		c.transport = c.own
	}
	switch {
	case cfg.RatePerMinute == 0:
		cfg.RatePerMinute = DefaultRatePerMinute
	case cfg.RatePerMinute < 0:
		return nil, errors.New("zendesk: rate per minute must not be negative")
	}
	c.budget = newBudget(cfg.RatePerMinute, c.now)
	c.breaker = newBreaker(c.log)
	switch {
	case cfg.ClientID != "" && cfg.ClientSecret != "":
		c.access = newTokens(c, &cfg)
	case cfg.Email != "" && cfg.APIToken != "":
		c.access = newBasic(cfg.Email, cfg.APIToken)
	default:
		return nil, errors.New("zendesk: neither OAuth client credentials nor e-mail and API token are set")
	}
	return &Client{core: c}, nil
}

// As is a view of the client whose calls another share pays for. Everything
// else is the same client: budget, token, connections, counters.
func (c *Client) As(s Share) *Client { return &Client{core: c.core, share: s} }

// Close waits for a token that is being fetched, having cancelled it, and
// closes idle connections of a transport of our own. No token is fetched after it.
func (c *Client) Close() {
	c.access.close()
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
}

// Stats counts since the start: every HTTP request sent, and of them those
// that brought no usable answer, callers who left not counted.
func (c *Client) Stats() status.Zendesk {
	return status.Zendesk{
		Requests:      c.requests.Load(),
		Errors:        c.faults.Load(),
		RateRemaining: c.budget.remaining(),
	}
}

// BaseURL is the origin of an account with this subdomain. It refuses all but
// letters, digits and inner hyphens, 63 at most: a subdomain that is more than
// a label would send the credentials elsewhere.
func BaseURL(subdomain string) (string, error) {
	for i := range len(subdomain) {
		if subdomain[i] >= 0x80 { // of which making it small may make ASCII
			return "", errSubdomain
		}
	}
	label := strings.ToLower(subdomain)
	if !origin.Label(label) {
		return "", errSubdomain
	}
	return "https://" + label + ".zendesk.com", nil
}

var errSubdomain = errors.New("zendesk: a subdomain is letters, digits and inner hyphens, without .zendesk.com")

// parseBase refuses everything that could lead credentials astray or hide in
// a URL; the texts do not repeat it, for it may hold a password.
func parseBase(raw string) (*url.URL, error) {
	if strings.ContainsAny(raw, "?#@\\%") {
		return nil, errors.New("zendesk: a base URL has no user, query, fragment or escapes")
	}
	scheme, rest, _ := strings.Cut(raw, "://")
	host, below, _ := strings.Cut(rest, "/")
	u, err := origin.Parse(scheme + "://" + host)
	if err != nil {
		return nil, fmt.Errorf("zendesk: the base URL: %w", err)
	}
	if below = strings.TrimSuffix(below, "/"); below != "" {
		u.Path = "/" + below
		// Of what a path may have, the plain part.
		if path.Clean(u.Path) != u.Path || u.EscapedPath() != u.Path || strings.ContainsAny(u.Path, ";:") {
			return nil, errors.New("zendesk: the base URL's path is not plain")
		}
	}
	return u, nil
}

// newRequest builds the one kind of request there is: to the base, below its
// path. The context is the attempt's.
func (c *core) newRequest(ctx context.Context, k *call) *http.Request {
	u := *c.base
	u.Path += k.path
	u.RawQuery = k.query.Encode()
	r := &http.Request{Method: k.method, URL: &u, Host: u.Host, Header: http.Header{}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	k.setBody(r)
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Accept-Encoding", "gzip")
	if c.userAgent != "" {
		r.Header.Set("User-Agent", c.userAgent)
	}
	return r.WithContext(ctx)
}
