// Package proxy is the face of the daemon: HTTP in, JSON out, by Echo.
//
// It knows no store, no cache and no Zendesk. It asks a [Resolver] who has a
// number, a [Directory] for people by id and a [Mirror] for its upkeep, chooses
// what may be told of the answer, and writes it down.
//
// # The way of a request
//
// Two handlers serve the same way: Public for those who ask, Admin for those
// who look after the daemon (it answers the public routes too, for the
// commands ask there). In this order, and nothing comes between:
//
//  1. around (middleware.go): the request gets its id and the headers that
//     every answer has; whatever follows, even a panic, ends in one line of the
//     log, one count and, if it was an error, in one problem document
//  2. admit (local.go): the networks that are served; without a client
//     configured, loopback and nothing that came through another proxy or by a
//     foreign name
//  3. the length of the query
//  4. Echo's router: 404 and 405 end here
//  5. guard (middleware.go): the key (auth.go), where a wrong one may wait
//     (logins.go), then the client's rate, then the scope
//     that the table in routes.go states; a webhook has a signature instead,
//     which its handler holds against the body (webhook.go)
//  6. the handler, which reads at most a body's limit
//
// Errors are values until step 1 maps them to HTTP in one place (problem.go).
//
// # What is told to whom
//
// A lookup is one flat object whose every key is always there; a client reads
// the fields it was given and the others answer as absent (fields.go). Numbers,
// names and queries are in no log line, no metric and no error: the log has the
// route's template, never the path.
package proxy

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"aniproxy/internal/caller"
	"aniproxy/internal/outbox"
	"aniproxy/internal/routing"
	"aniproxy/internal/speech"
	"aniproxy/internal/status"
)

// Resolver finds out who has a number. It answers by the deadline of the
// context, always, with what is known by then. All of it may be called
// concurrently.
type Resolver interface {
	Lookup(ctx context.Context, q caller.Query) caller.Answer
	// Explain tells how Lookup would answer now. It asks Zendesk nothing and
	// counts nothing.
	Explain(ctx context.Context, q caller.Query) caller.Explanation
	Stats() status.Cache
	// Purge forgets what memory holds, and nothing else.
	Purge()
}

// Directory is what the mirror holds, by id. ok is false for what it does not
// know; an error is the disk's. All of it may be called concurrently.
type Directory interface {
	Caller(id int64) (c caller.Caller, ok bool, err error)
	// Ticket reads an unresolved ticket.
	Ticket(id int64) (t caller.Ticket, ok bool, err error)
	// Objects are Zendesk's own objects as JSON, slimmed, in the order of the
	// ids; one that the mirror does not hold is left out.
	Objects(stream caller.Stream, ids []int64) (objects [][]byte, err error)
	Size() caller.Size
	Streams() caller.Streams
}

// Outbox takes what is to be written to Zendesk, and remembers who was told of
// what. All of it may be called concurrently.
type Outbox interface {
	// Accept returns once the record is on disk: the given one, or the first
	// that is the same.
	Accept(ctx context.Context, in outbox.Intake) (r outbox.Record, first bool, err error)
	// Same finds the record that an intake would be the same as.
	Same(in outbox.Intake) (r outbox.Record, ok bool, err error)
	Record(id string) (r outbox.Record, ok bool, err error)
	// List reads records of a state, or of all where it is empty, the newest
	// first, those before a place where it is not 0.
	List(state outbox.State, before uint64, limit int) ([]outbox.Record, error)
	// Retry queues a failed record again: [outbox.ErrUnknown],
	// [outbox.ErrNotFailed].
	Retry(id string) (outbox.Record, error)
	Status() status.Outbox
	// Tell notes that a client was told of something. It returns at once.
	Tell(client string, kind outbox.Told, id int64)
	WasTold(client string, kind outbox.Told, id int64, within time.Duration) (bool, error)
}

// Numbers reads a phone number in any spelling as E.164.
type Numbers interface {
	Key(phone string) (e164 string, ok bool)
}

// Mirror is the upkeep of what the directory holds. Start gives the id of the
// job that does what was asked for, which may be one that already runs, a
// [status.ModeError] for a mode it does not know, and a [status.StateError] for
// one that it cannot do now. All of it may be called concurrently.
type Mirror interface {
	Start(r status.Request) (jobID string, err error)
	Status() status.Sync
	// Job is one that runs, waits or is among the last.
	Job(id string) (job status.Job, ok bool)
}

// Eraser takes a person out of all that the daemon holds, and keeps them out.
// Both may be called concurrently, and again.
type Eraser interface {
	// Erase sets the tombstone, whether the person is known or not, and tells
	// how far the rest is; what is not complete goes on by itself.
	Erase(ctx context.Context, id int64) (status.Erasure, error)
	// Lift takes the tombstone away; was is false where there was none.
	Lift(ctx context.Context, id int64) (was bool, err error)
}

// Options are what a Server is made of.
type Options struct {
	// Required.
	Resolver  Resolver
	Directory Directory
	Mirror    Mirror
	Outbox    Outbox
	Eraser    Eraser
	Audit     Audit
	Numbers   Numbers
	Voices    *speech.Voices
	Zendesk   func() status.Zendesk
	Logger    *slog.Logger
	Registry  *prometheus.Registry
	Clock     func() time.Time
	RandomID  func() string // a new id for a request: [A-Za-z0-9._-], 1 to 64 characters

	// Clients are those who may ask. Without any, whoever is on this machine
	// is granted lookup, zendesk and stats, and DemoAll grants the rest too.
	Clients []Client
	DemoAll bool

	// WebhookSecrets are what Zendesk's webhooks are signed with. Without any
	// there is no route for them; with some, Notices is required.
	WebhookSecrets []string
	Notices        Notices

	// AgentBase is where agents work, for example
	// "https://acme.zendesk.com/agent".
	AgentBase string
	// Agents has the login at Webex by an agent's e-mail at Zendesk.
	Agents       map[string]string
	TicketPolicy caller.TicketPolicy
	// Router decides where a call should go; nil has no rules.
	Router *routing.Router
	// AllowPublic lets a client write a comment that the requester sees.
	AllowPublic bool
	// DedupeWindow is how long the same text on the same ticket is one comment
	// where no interaction id tells; 0 makes each its own.
	DedupeWindow time.Duration
	// Deadline is how long a lookup may take.
	Deadline time.Duration

	// AdminSame puts the admin routes on the public handler.
	AdminSame bool
	// AdminLoopback says that the admin listener is bound to loopback: then
	// /metrics is open to those on the machine.
	AdminLoopback bool
	// TrustedProxies are those whose X-Forwarded-For is believed; AllowCIDRs
	// are the only networks served, none means all.
	TrustedProxies, AllowCIDRs []netip.Prefix
}

// Server answers requests. Safe for concurrent use.
type Server struct {
	o       Options
	log     *slog.Logger
	clock   func() time.Time
	clients atomic.Pointer[clients]
	agents  map[string]string // by e-mail in small letters
	logins  *logins
	// trespasses are refused tries at an admin's routes.
	trespasses trespasses
	metrics    *metrics
	hooks      *hooks    // nil where no webhook is taken in
	buffers    sync.Pool // of *[]byte: bodies in and out
	table      []*route  // everything that is answered, on one side or both

	public, admin *echo.Echo
}

// New makes a Server and registers its metrics. An error is an [*OptionError]
// or the registry's.
func New(o Options) (*Server, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &Server{o: o, log: o.Logger, clock: o.Clock, agents: lowerKeys(o.Agents), trespasses: trespasses{all: map[string]*trespass{}}}
	s.buffers.New = func() any { return new(make([]byte, 0, usualBody)) }
	var err error
	who := &clients{}
	if who.all, err = newClients(o.Clients, o.Clock()); err != nil {
		return nil, err
	}
	if len(who.all) == 0 {
		who.local = localClient(o.DemoAll, o.Clock())
	}
	s.clients.Store(who)
	if s.hooks, err = newHooks(&s.o); err != nil {
		return nil, err
	}
	s.logins = newLogins(o.Clock, o.Logger)
	if s.metrics, err = newMetrics(s, o.Registry); err != nil {
		return nil, err
	}
	s.table = s.routes()
	s.public = s.newEcho(onPublic)
	s.admin = s.public
	if !o.AdminSame {
		s.admin = s.newEcho(onAdmin)
	}
	return s, nil
}

// Public answers those who ask: every route but the admin's.
func (s *Server) Public() http.Handler { return s.public }

// Admin answers all routes. With AdminSame it is Public, which does so then.
func (s *Server) Admin() http.Handler { return s.admin }

func (s *Server) newEcho(on side) *echo.Echo {
	e := echo.New()
	e.HTTPErrorHandler = func(err error, c echo.Context) { // nothing passes around's own handling
		s.log.LogAttrs(c.Request().Context(), slog.LevelError, "unhandled error", slog.Any("error", err))
	}
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc { return s.around(on, next) })
	for _, r := range s.table {
		if r.admin && on == onPublic && !s.o.AdminSame {
			continue
		}
		e.Add(r.method, r.echoPath(), s.guard(r, on))
	}
	return e
}
