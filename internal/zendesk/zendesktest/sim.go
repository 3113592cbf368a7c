// Package zendesktest is a Zendesk account in memory: a real HTTP server with
// state, for tests, for the demo, and for trying out any client without an
// account.
//
// It is built to be as awkward as the real thing. Exports leave out the newest
// minute and put system updates in without moving updated_at; search lags and
// stops at a thousand; numbers are shared, misspelt, or exist only as an
// identity; a PUT repeated is a comment repeated; limits are counted by the
// clock minute. What is not known of the real service is switchable, and the
// default is the answer that is harder for a client.
//
// The story of a request: route.go finds the route, faults.go may spoil it,
// auth.go says who asks, limits.go whether they may ask again, and a handler
// (export.go, search.go, users.go, tickets.go, write.go, webhooks.go,
// triggers.go) makes a reply out of the state. The state is slices of small
// structs (model.go), found by export order (order.go) and by the end of a
// phone number (suffixes.go); JSON is written on the fly (render.go).
// generate.go fills it from a seed; lives.go and work.go are what can happen to
// people and tickets, and random.go has it happen at random. Each change is
// told to the webhooks (events.go) and shown to the triggers (triggers.go,
// conditions.go), and deliver.go sends what they say, as badly as the options
// ask for. truth.go reads the state without going through HTTP, so that a test
// can compare what a client believes with what is so.
package zendesktest

import (
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Credentials that an account without Options of its own accepts. They are
// in the open and open nothing but a simulator.
const (
	DefaultClientID     = "sim-client"
	DefaultClientSecret = "sim-secret-not-a-secret"
	DefaultEmail        = "owner@example.com"
	DefaultAPIToken     = "sim-api-token-not-a-secret"
	DefaultPassword     = "sim-password-not-a-secret"
)

// What an account does where its Options leave a duration at zero.
const (
	DefaultHideNewest = 60 * time.Second
	DefaultSearchLag  = 2 * time.Minute
)

// Options describe an account. The zero value is a real, small one: an owner
// and a few agents, no customers, all limits on.
type Options struct {
	Seed uint64
	// Users is how many customers to generate; agents come on top.
	Users int
	// Tickets is how many tickets to generate: 0 means two a customer, a
	// negative number none.
	Tickets int

	// Clock is the account's time; nil means time.Now.
	Clock func() time.Time
	// Logger gets one line a request, without its query; nil means silence.
	Logger *slog.Logger

	// HideNewest is how much of the newest past an export leaves out. 0 means
	// DefaultHideNewest, a negative value nothing but the current second.
	HideNewest time.Duration
	// SearchLag is how long a change stays unseen by search. 0 means
	// DefaultSearchLag, a negative value no lag.
	SearchLag time.Duration
	Limits    Limits
	// PageMost makes the pages of the exports and of the search export no
	// larger, whatever is asked for: an account a hundredth as large behaves as
	// the real one under the real limits. 0 leaves them at a thousand.
	PageMost int

	ClientID, ClientSecret string // OAuth client credentials
	Email                  string // the owner's, an admin
	APIToken, Password     string

	// Subdomain goes into the links of answers; BaseURL, where set, replaces
	// the whole "https://subdomain.zendesk.com".
	Subdomain string
	BaseURL   string

	// IdentityTouchesUser makes a new or lost identity move the user's updated_at.
	IdentityTouchesUser bool
	// SearchFindsIdentities makes phone:* find numbers that are only identities.
	SearchFindsIdentities bool
	// SideloadIdentities makes the user export honour include=identities.
	SideloadIdentities bool
	// MergedVanish makes the loser of a merge leave the export at once,
	// instead of showing in it as active:false.
	MergedVanish bool
	// SafeUpdateIgnoresComments lets an update with nothing but a comment
	// through, however old its updated_stamp is.
	SafeUpdateIgnoresComments bool

	Webhooks WebhookOptions
}

// Server is the account. All its methods are safe for concurrent use. Close
// it when done: it may own goroutines (the in-memory server, webhook delivery).
type Server struct {
	opt    Options
	clock  func() time.Time
	log    *slog.Logger
	base   string // "https://subdomain.zendesk.com"
	hide   time.Duration
	lag    time.Duration
	routes []route

	mu sync.RWMutex // guards the state below
	state

	outage   outage
	faults   faultScript
	limits   limiter
	tokens   tokens
	requests requestLog
	replays  replays
	hooks    hooks
	pipes    pipes

	life     sync.Mutex // guards closed
	closed   bool
	closing  chan struct{}
	inflight sync.WaitGroup
}

// New generates an account. The same Options, seed and clock give the same
// account to the byte.
func New(opt Options) *Server {
	setDefaults(&opt)
	s := &Server{
		opt:     opt,
		clock:   opt.Clock,
		log:     opt.Logger,
		base:    opt.BaseURL,
		hide:    max(opt.HideNewest, 0),
		lag:     max(opt.SearchLag, 0),
		closing: make(chan struct{}),
	}
	s.routes = routes()
	s.limits.init(opt.Limits)
	s.tokens.init(opt.Seed)
	s.requests.init()
	s.replays.init()
	s.hooks.init(opt)
	s.generate()
	return s
}

func setDefaults(opt *Options) {
	text := func(s *string, otherwise string) {
		if *s == "" {
			*s = otherwise
		}
	}
	text(&opt.ClientID, DefaultClientID)
	text(&opt.ClientSecret, DefaultClientSecret)
	text(&opt.Email, DefaultEmail)
	text(&opt.APIToken, DefaultAPIToken)
	text(&opt.Password, DefaultPassword)
	text(&opt.Subdomain, "sim")
	text(&opt.BaseURL, "https://"+opt.Subdomain+".zendesk.com")
	if opt.Tickets == 0 {
		opt.Tickets = 2 * opt.Users
	}
	if opt.HideNewest == 0 {
		opt.HideNewest = DefaultHideNewest
	}
	if opt.SearchLag == 0 {
		opt.SearchLag = DefaultSearchLag
	}
	if opt.Clock == nil {
		opt.Clock = time.Now
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
}

// Close ends every request that hangs, stops webhook delivery and the
// in-memory server, and waits for all of them. It may be called twice.
func (s *Server) Close() {
	s.life.Lock()
	first := !s.closed
	s.closed = true
	s.life.Unlock()
	if first {
		close(s.closing)
	}
	s.pipes.close()
	s.hooks.close()
	s.inflight.Wait()
}

// enter counts a request in, unless the account is closed.
func (s *Server) enter() bool {
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		return false
	}
	s.inflight.Add(1)
	return true
}

// ServeHTTP answers one request; it may be mounted on any server. It waits
// where a fault says so, until the request's context ends or Close is called.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		drop(w)
		return
	}
	defer s.inflight.Done()
	path := cleanPath(r.URL.Path)
	if isControl(path) {
		s.control(w, r, path) //nolint:contextcheck // what sends webhooks outlives the request that caused the first
		return
	}
	s.serveAPI(w, r, path)
}
