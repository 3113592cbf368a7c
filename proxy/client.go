package proxy

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

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
	// allowLive is a [caller.Query]'s: it takes one from the client's budget.
	allowLive func() bool
}

func (c *client) may(s Scope) bool { return slices.Contains(c.scopes, s) }

func newClients(given []Client, clock func() time.Time) ([]*client, error) {
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
		c := &client{
			name: g.Name, digests: g.Digests,
			requests:  rate.NewLimiter(rate.Limit(g.Rate), g.Burst),
			allowLive: perMinute(g.LivePerMinute, clock),
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
func perMinute(n int, clock func() time.Time) func() bool {
	bucket := rate.NewLimiter(rate.Limit(float64(n)/60), n)
	return func() bool { return bucket.AllowN(clock(), 1) }
}

// localName is what the log calls whoever is on the machine. A client cannot
// be named so in the configuration's letters by accident and be mistaken for
// it: with a client configured there is no local one.
const localName = "local"

// localLive is what the configuration gives a client that says nothing.
const localLive = 300

// localClient is whoever is on the machine while no client is configured. Its
// requests have no limit of their own: who can run a program here can do
// worse, but the account behind is others' too.
func localClient(everything bool, clock func() time.Time) *client {
	c := &client{
		name: localName, scopes: []Scope{ScopeLookup, ScopeZendesk, ScopeStats},
		fields: usualFields(), allowLive: perMinute(localLive, clock),
	}
	if everything {
		c.scopes, c.fields = Scopes(), allFields()
	}
	return c
}

// authenticate finds the client of a request. The secret is hashed before
// anything is compared, all digests are compared whatever the outcome, and no
// comparison stops early: how long it takes tells nothing of a secret. Clients
// of Zendesk add "/token" to the name where a token is the password: below
// /api/v2 that is the name too.
func (s *Server) authenticate(r *http.Request, zendesk bool) (*client, error) {
	if s.local != nil {
		return s.local, nil
	}
	name, secret, named := credentials(r.Header.Get("Authorization"))
	digest := sha256.Sum256([]byte(secret))
	var owner *client
	for _, c := range s.clients {
		for i := range c.digests {
			if subtle.ConstantTimeCompare(digest[:], c.digests[i][:]) == 1 {
				owner = c
			}
		}
	}
	// The name is no secret: it may be compared like any text.
	if owner != nil && zendesk && name == owner.name+"/token" {
		name = owner.name
	}
	if owner == nil || utf8.RuneCountInString(secret) < minSecret || named && name != owner.name {
		return nil, errUnauthorized()
	}
	return owner, nil
}

// credentials reads "Bearer SECRET" and "Basic name:secret"; named is true of
// the second.
func credentials(header string) (name, secret string, named bool) {
	scheme, rest, _ := strings.Cut(header, " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		return "", strings.TrimSpace(rest), false
	case strings.EqualFold(scheme, "Basic"):
		plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
		if err != nil {
			return "", "", true
		}
		name, secret, _ = strings.Cut(string(plain), ":")
		return name, secret, true
	default:
		return "", "", false
	}
}
