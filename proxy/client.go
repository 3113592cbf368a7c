package proxy

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// Client is a program that may ask.
type Client struct {
	// Name is its Basic user name, and what the log calls it.
	Name string
	// Digests are the SHA-256 of its secrets; two while one replaces the other.
	Digests [][sha256.Size]byte
	Scopes  []string
	// Fields are the lookup fields it may read: none are all but those that
	// say more of a person than a flow needs, "*" is all.
	Fields []string
	// Rate is in requests a second, Burst how many may come at once.
	Rate, Burst int
	// LivePerMinute bounds its questions that reach Zendesk; 0 allows none.
	LivePerMinute int
	// DistinctPerMinute bounds the different numbers that it is answered about
	// in any minute, and the people whom it reads by id with them.
	DistinctPerMinute int
}

// minSecret is the least number of characters of a secret. Those that
// `aniproxy key new` makes have 43; what is shorter was thought up by somebody,
// and a digest that leaks would give it away.
const minSecret = 32

// client is a Client at work.
type client struct {
	name    string
	digests [][sha256.Size]byte
	scopes  []Scope
	fields  fieldSet
	// requests is nil where there is no limit.
	requests *rate.Limiter
	// live is its budget of questions that reach Zendesk.
	live *rate.Limiter
	// distinct is its limit of different numbers, used what it has used.
	distinct distinctLimit
	used     *usage
}

func (c *client) may(s Scope) bool { return slices.Contains(c.scopes, s) }

// clients are all who may ask, as of one configuration; never changed once
// made, so that a request sees one configuration from its beginning to its end.
type clients struct {
	all   []*client
	local *client // whoever is on the machine; nil where clients are configured
}

// everyone are all clients, whoever is on the machine too.
func (s *clients) everyone() []*client {
	if s.local != nil {
		return []*client{s.local}
	}
	return s.all
}

// named finds the client of a name, nil where there is none.
func (s *clients) named(name string) *client {
	for _, c := range s.everyone() {
		if c.name == name {
			return c
		}
	}
	return nil
}

// errLocalChange refuses to open or close the door that needs no key while the
// daemon runs: what it was told at its start decides who is admitted at all.
var errLocalChange = errors.New("the first client, or the removal of the last one, takes a restart")

// SetClients replaces the clients while requests are served: the next request
// is held against them, and one under way ends as it began. What a client of
// the same name has used of its limits it keeps. Where the error is not nil,
// an [*OptionError] or one that says what takes a restart, nothing has changed.
// It may be called concurrently with everything but itself.
func (s *Server) SetClients(given []Client) error {
	before := s.clients.Load()
	if (len(given) == 0) != (before.local != nil) {
		return errLocalChange
	}
	all, err := newClients(given, s.clock())
	if err != nil {
		return err
	}
	for _, c := range all {
		if old := before.named(c.name); old != nil {
			c.inherit(old, s.clock())
		}
	}
	s.clients.Store(&clients{all: all, local: before.local})
	return nil
}

// inherit takes over what a client of this name has used of its limits. The
// numbers of its last minute stay whatever the limit is now: a change of it
// gives nobody another minute's worth.
func (c *client) inherit(old *client, now time.Time) {
	c.used = old.used
	c.requests, c.live = goOn(c.requests, old.requests, now), goOn(c.live, old.live, now)
}

// goOn is a bucket that holds what the one before it held: the same one where
// nothing has changed.
func goOn(next, before *rate.Limiter, now time.Time) *rate.Limiter {
	if next.Limit() == before.Limit() && next.Burst() == before.Burst() {
		return before
	}
	if spent := next.Burst() - int(max(0, before.TokensAt(now))); spent > 0 {
		next.AllowN(now, spent)
	}
	return next
}

func newClients(given []Client, now time.Time) ([]*client, error) {
	var clients []*client
	names := map[string]bool{}
	owners := map[[sha256.Size]byte]bool{}
	for _, g := range given {
		fault := func(format string, args ...any) error {
			return &OptionError{Option: fmt.Sprintf("client %q", g.Name), Problem: fmt.Sprintf(format, args...)}
		}
		if g.Name == "" || names[g.Name] || strings.Contains(g.Name, ":") {
			return nil, fault("needs a name of its own, without a colon")
		}
		names[g.Name] = true
		if len(g.Digests) == 0 {
			return nil, fault("has no digest of a secret")
		}
		for _, digest := range g.Digests {
			if owners[digest] {
				return nil, fault("has a secret twice, or another client's")
			}
			owners[digest] = true
		}
		if g.Rate < 1 || g.Burst < 1 || g.LivePerMinute < 0 {
			return nil, fault("needs a rate and a burst of at least 1 and no negative live_per_minute")
		}
		if g.DistinctPerMinute < 1 || g.DistinctPerMinute > math.MaxInt32 {
			return nil, fault("needs a distinct_per_minute of at least 1")
		}
		c := &client{
			name: g.Name, digests: g.Digests,
			requests: rate.NewLimiter(rate.Limit(g.Rate), g.Burst),
			live:     perMinute(g.LivePerMinute),
			distinct: distinctLimit{most: g.DistinctPerMinute}, used: newUsage(now),
		}
		if len(g.Scopes) == 0 {
			return nil, fault("has no scope")
		}
		for _, scope := range g.Scopes {
			if !slices.Contains(Scopes(), Scope(scope)) {
				return nil, fault("has the unknown scope %q", scope)
			}
			c.scopes = append(c.scopes, Scope(scope))
		}
		var unknown string
		if c.fields, unknown = readable(g.Fields); unknown != "" {
			return nil, fault("names the field %q, which no lookup has", unknown)
		}
		clients = append(clients, c)
	}
	return clients, nil
}

// perMinute takes from a bucket that holds a minute's worth, so that the first
// calls of a quiet client are not refused.
func perMinute(n int) *rate.Limiter { return rate.NewLimiter(rate.Limit(float64(n)/60), n) }

// localName is what the log calls whoever is on the machine. A client cannot
// be named so in the configuration's letters by accident and be mistaken for
// it: with a client configured there is no local one.
const localName = "local"

// localLive and localDistinct are what the configuration gives a client that
// says nothing.
const (
	localLive     = 300
	localDistinct = 3000
)

// localClient is whoever is on the machine while no client is configured. Its
// requests have no limit of their own, and its numbers none that refuses: who
// can run a program here can do worse, but the account behind is others' too.
func localClient(everything bool, now time.Time) *client {
	c := &client{
		name: localName, scopes: []Scope{ScopeLookup, ScopeZendesk, ScopeStats},
		fields: usualFields(), live: perMinute(localLive),
		distinct: distinctLimit{most: localDistinct, lenient: true}, used: newUsage(now),
	}
	if everything {
		c.scopes, c.fields = Scopes(), allFields()
	}
	return c
}
