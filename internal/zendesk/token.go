package zendesk

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// credentials give the Authorization header.
type credentials interface {
	// authorize is the header's value. It may wait for a token under ctx.
	authorize(ctx context.Context) (string, *Error)
	// refused takes note of a 401 for a value and tells whether another try
	// may have a better one.
	refused(value string) bool
	close()
}

// basic is an API token: Basic email/token:api_token.
type basic string

func newBasic(email, apiToken string) basic {
	return basic("Basic " + base64.StdEncoding.EncodeToString([]byte(email+"/token:"+apiToken)))
}

func (b basic) authorize(context.Context) (string, *Error) { return string(b), nil }
func (b basic) refused(string) bool                        { return false }
func (b basic) close()                                     {}

const (
	endpointOAuth = "oauth/tokens"

	// tokenScope covers reading, comments, and webhooks and triggers too: the
	// resources' own scopes (webhooks:write) only ever narrow it.
	tokenScope = "read write"

	// tokenLife is what we ask for: Zendesk allows five minutes to two days.
	// Two hours are long enough that an outage of the token endpoint is
	// mostly outlived, and short enough that a leaked token dies the same day.
	tokenLife = 2 * time.Hour
	// tokenDefault is Zendesk's own life of a token, where the answer names none.
	tokenDefault = 30 * time.Minute
	tokenMost    = 48 * time.Hour
	// tokenEarly is how long before its end a token is replaced, or a fifth
	// of its life where that is less.
	tokenEarly = 5 * time.Minute
	// tokenYoung bounds minting on 401s: a token that young was itself minted
	// for a 401, so another would be refused too.
	tokenYoung = 30 * time.Second

	mintTime = 15 * time.Second
	// A failed mint is not tried again for a while: bad credentials stay bad,
	// an outage is over sooner.
	holdDenied = 30 * time.Second
	holdFirst  = 500 * time.Millisecond
	holdMost   = 30 * time.Second
)

// tokens holds the access token of an OAuth client. One goroutine at a time
// mints for all who wait, on a context of its own, so that a caller who leaves
// takes only themself away. Well before its end a token is replaced while the
// old one is still given out.
type tokens struct {
	core *core
	ask  []byte

	mu       sync.Mutex
	value    string // "" before the first and after a 401
	minted   time.Time
	ends     time.Time
	early    time.Duration
	for401   bool // the token replaces one that got a 401, or is to
	flight   *flight
	hold     time.Time // no mint before
	held     *Error
	failures int
	closed   bool
	wait     sync.WaitGroup
}

// flight is one mint under way.
type flight struct {
	done   chan struct{}
	cancel context.CancelFunc
	for401 bool
	value  string
	err    *Error
}

func newTokens(c *core, cfg *Config) *tokens {
	ask, _ := json.Marshal(map[string]any{ // strings and a number: it cannot fail
		"grant_type":    "client_credentials",
		"client_id":     cfg.ClientID,
		"client_secret": cfg.ClientSecret,
		"scope":         cmp.Or(cfg.Scope, tokenScope),
		"expires_in":    int(tokenLife / time.Second),
	})
	return &tokens{core: c, ask: ask}
}

func (t *tokens) authorize(ctx context.Context) (string, *Error) {
	t.mu.Lock()
	now := t.core.now()
	if t.value != "" && now.Before(t.ends) {
		value := t.value
		if t.flight == nil && !now.Before(t.ends.Add(-t.early)) && !now.Before(t.hold) {
			t.mint(ctx)
		}
		t.mu.Unlock()
		return value, nil
	}
	if t.flight == nil && now.Before(t.hold) {
		e := *t.held
		e.RetryAfter = t.hold.Sub(now)
		t.mu.Unlock()
		return "", &e
	}
	f := t.flight
	if f == nil {
		f = t.mint(ctx)
	}
	t.mu.Unlock()
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		return "", (&call{endpoint: endpointOAuth}).gone(ctx)
	}
}

// refused forgets a token that got a 401, unless it has been replaced since,
// or was itself minted for a 401 a moment ago.
func (t *tokens) refused(value string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if value != t.value {
		return true
	}
	if t.for401 && t.core.now().Before(t.minted.Add(tokenYoung)) {
		return false
	}
	t.value, t.for401 = "", true
	return true
}

func (t *tokens) close() {
	t.mu.Lock()
	t.closed = true
	if t.flight != nil {
		t.flight.cancel()
	}
	t.mu.Unlock()
	t.wait.Wait()
}

// mint starts a flight; t.mu is held. The flight outlives its first caller:
// of the context only the values are kept.
func (t *tokens) mint(ctx context.Context) *flight {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), mintTime)
	f := &flight{done: make(chan struct{}), cancel: cancel, for401: t.value == "" && t.for401}
	if t.closed {
		cancel()
		f.err = (&call{endpoint: endpointOAuth}).gone(ctx)
		close(f.done)
		return f
	}
	t.flight = f
	t.wait.Go(func() {
		defer cancel()
		value, life, sent, err := t.fetch(ctx)
		t.mu.Lock()
		defer t.mu.Unlock()
		t.land(f, value, life, sent, err)
	})
	return f
}

// land takes over what a flight brought; t.mu is held.
func (t *tokens) land(f *flight, value string, life time.Duration, sent time.Time, err *Error) {
	t.flight = nil
	if err == nil {
		f.value = value
		// It ends five seconds early, for the way there.
		t.value, t.minted, t.ends = value, t.core.now(), sent.Add(life-5*time.Second)
		t.early, t.for401 = min(tokenEarly, life/5), f.for401
		t.failures, t.held = 0, nil
	} else {
		f.err = err
		hold := min(holdFirst<<min(t.failures, 10), holdMost)
		if err.Class == ClassAuth || err.Class == ClassRejected {
			hold = holdDenied
		}
		t.failures++
		err.RetryAfter = max(hold, err.RetryAfter)
		t.held, t.hold = err, t.core.now().Add(err.RetryAfter)
		if t.value != "" && !t.closed {
			// Nobody waits for this one, so nobody else would say it.
			t.core.log.Warn("zendesk token could not be replaced ahead of its end", "error", err.Error())
		}
	}
	close(f.done)
}

// fetch asks for a token once. It is no call of the API and does not count
// against the rate budget.
func (t *tokens) fetch(ctx context.Context) (value string, life time.Duration, sent time.Time, err *Error) {
	k := &call{
		method: http.MethodPost, endpoint: endpointOAuth, path: "/oauth/tokens",
		body: t.ask, most: bodyMost, time: mintTime,
	}
	a, err := t.core.attempt(ctx, k, "")
	if err != nil {
		switch err.Status {
		case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound:
			err.Class = ClassAuth // invalid_client, invalid_grant, an unknown client
		}
		return "", 0, time.Time{}, err
	}
	var said struct {
		AccessToken string      `json:"access_token"`
		TokenType   string      `json:"token_type"`
		ExpiresIn   json.Number `json:"expires_in"`
	}
	if json.Unmarshal(a.body, &said) != nil || !isToken(said.AccessToken) {
		t.core.faults.Add(1)
		return "", 0, time.Time{}, k.malformed(a.status, "no access token")
	}
	life = tokenDefault
	if n, err := said.ExpiresIn.Int64(); err == nil && n > 0 {
		life = min(time.Duration(min(n, int64(tokenMost/time.Second)))*time.Second, tokenMost)
	}
	return "Bearer " + said.AccessToken, life, a.sent, nil
}

// isToken tells whether a token can stand in a header.
func isToken(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != "" && len(s) <= 4096
}
