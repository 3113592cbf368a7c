package zendesktest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// principal is who asks.
type principal struct {
	place     int32
	id        int64
	role      role
	scopes    []string // nil: all of them
	anonymous bool
}

// may tells whether the scopes allow reading or writing a resource. Each is
// "read", "write", or "resource:read" and "resource:write".
func (p *principal) may(verb, resource string) bool {
	return p.scopes == nil || slices.Contains(p.scopes, verb) ||
		(resource != "" && slices.Contains(p.scopes, resource+":"+verb))
}

// tokens are the OAuth access tokens given out.
type tokens struct {
	mu    sync.Mutex
	key   []byte
	count uint64
	live  map[string]token
}

type token struct {
	until  time.Time
	scopes []string
}

// Bounds of expires_in, in seconds, and what it is where none is asked for.
const (
	expiresLeast   = 300
	expiresMost    = 172_800
	expiresDefault = 1800
)

func (t *tokens) init(seed uint64) {
	t.key = binary.BigEndian.AppendUint64([]byte("zendesktest token "), seed)
	t.live = map[string]token{}
}

func (t *tokens) mint(now time.Time, life time.Duration, scopes []string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, v := range t.live {
		if !v.until.After(now) {
			delete(t.live, k)
		}
	}
	t.count++
	mac := hmac.New(sha256.New, t.key)
	mac.Write(binary.BigEndian.AppendUint64(nil, t.count))
	secret := hex.EncodeToString(mac.Sum(nil))
	t.live[secret] = token{now.Add(life), scopes}
	return secret
}

func (t *tokens) find(secret string, now time.Time) (token, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tok, ok := t.live[secret]
	return tok, ok && tok.until.After(now)
}

// RevokeTokens makes every access token given out so far useless: what a
// client finds in the middle of a walk when an admin rotates the secret.
func (s *Server) RevokeTokens() {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	s.tokens.live = map[string]token{}
}

// mintToken is POST /oauth/tokens with client credentials, as JSON or a form.
func (s *Server) mintToken(q *request) reply {
	var ask struct {
		GrantType    string      `json:"grant_type"`
		ClientID     string      `json:"client_id"`
		ClientSecret string      `json:"client_secret"`
		Scope        string      `json:"scope"`
		ExpiresIn    json.Number `json:"expires_in"`
	}
	if strings.HasPrefix(q.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		form, err := url.ParseQuery(string(q.body))
		if err != nil {
			return oauthError(http.StatusBadRequest, "invalid_request", "The request is malformed.")
		}
		ask.GrantType, ask.ClientID, ask.ClientSecret = form.Get("grant_type"), form.Get("client_id"), form.Get("client_secret")
		ask.Scope, ask.ExpiresIn = form.Get("scope"), json.Number(form.Get("expires_in"))
	} else if json.Unmarshal(q.body, &ask) != nil {
		return oauthError(http.StatusBadRequest, "invalid_request", "The request is malformed.")
	}
	if ask.GrantType != "client_credentials" {
		return oauthError(http.StatusBadRequest, "unsupported_grant_type", "The authorization grant type is not supported.")
	}
	if ask.ClientID != s.opt.ClientID || ask.ClientSecret != s.opt.ClientSecret {
		return oauthError(http.StatusUnauthorized, "invalid_client", "Client authentication failed.")
	}
	life := int64(expiresDefault)
	if ask.ExpiresIn != "" {
		n, err := ask.ExpiresIn.Int64()
		if err != nil || n < expiresLeast || n > expiresMost {
			return oauthError(http.StatusBadRequest, "invalid_request", "expires_in must be between 300 and 172800")
		}
		life = n
	}
	scope := ask.Scope
	if scope == "" {
		scope = "read write"
	}
	secret := s.tokens.mint(q.now, time.Duration(life)*time.Second, strings.Fields(scope))
	return jsonReply(http.StatusOK, map[string]any{
		"access_token": secret, "token_type": "bearer", "scope": scope, "expires_in": life,
	})
}

func oauthError(status int, name, description string) reply {
	return jsonReply(status, map[string]any{"error": name, "error_description": description})
}

// authenticate says who asks, or gives the refusal.
func (s *Server) authenticate(q *request, rt *route) (who principal, denied *reply) {
	deny := func(rep reply) (principal, *reply) { return principal{}, &rep }
	if rt.open && q.Method == http.MethodPost {
		return principal{anonymous: true}, nil
	}
	who, known, wrongToken := s.principalOf(q)
	switch {
	case !known && rt.open && !wrongToken:
		return principal{anonymous: true}, nil // users/me greets a stranger with 200
	case !known:
		return deny(unauthenticated())
	}
	verb := "write"
	if q.Method == http.MethodGet || q.Method == http.MethodHead {
		verb = "read"
	}
	if !who.may(verb, rt.resource) {
		return deny(errText(http.StatusForbidden, "Forbidden", "Missing the following required scopes: "+verb))
	}
	if who.role == endUser || (rt.admins && who.role != admin) {
		return deny(restricted())
	}
	return who, nil
}

// principalOf reads the Authorization header. wrongToken says that a token,
// not a password, was wrong.
func (s *Server) principalOf(q *request) (who principal, known, wrongToken bool) {
	head := q.Header.Get("Authorization")
	if secret, ok := strings.CutPrefix(head, "Bearer "); ok {
		tok, live := s.tokens.find(secret, q.now)
		if !live {
			return principal{}, false, true
		}
		// A client of the account acts as its owner, who is an admin.
		return principal{place: 0, id: userID(0), role: admin, scopes: tok.scopes}, true, false
	}
	coded, ok := strings.CutPrefix(head, "Basic ")
	if !ok {
		return principal{}, false, false
	}
	plain, err := base64.StdEncoding.DecodeString(coded)
	if err != nil {
		return principal{}, false, false
	}
	name, secret, _ := strings.Cut(string(plain), ":")
	email, byToken := strings.CutSuffix(name, "/token")
	if byToken && secret != s.opt.APIToken {
		return principal{}, false, true
	}
	if !byToken && secret != s.opt.Password {
		return principal{}, false, false
	}
	place, ok := s.staffByEmail(email)
	if !ok {
		return principal{}, false, byToken
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return principal{place: place, id: userID(place), role: s.users[place].role}, true, false
}

// staffByEmail finds an agent or admin: an API token acts for any of them.
func (s *Server) staffByEmail(email string) (place int32, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, i := range append([]int32{0}, s.agents...) {
		u := &s.users[i]
		if u.flags.has(isActive) && !u.flags.has(isSuspended) && strings.EqualFold(s.emailOf(i, u), email) {
			return i, true
		}
	}
	return 0, false
}

// usersMe answers a stranger with 200 and nobody, as the service does.
func (s *Server) usersMe(q *request) reply {
	if q.who.anonymous {
		return reply{status: http.StatusOK, body: []byte(`{"user":{"id":null,"url":null,"name":"Anonymous user","email":"invalid@example.com",` +
			`"created_at":null,"updated_at":null,"phone":null,"shared_phone_number":null,"photo":null,"locale_id":1,"locale":"en-US",` +
			`"organization_id":null,"role":"end-user","verified":false,"authenticity_token":null}}`)}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	o := &object{}
	o.open()
	o.key("user")
	s.renderUser(o, q.who.place, &s.users[q.who.place], false)
	// The owner's record carries a field more here than anywhere else.
	o.b = o.b[:len(o.b)-1]
	o.str("authenticity_token", "sim-"+strconv.FormatInt(q.who.id, 36))
	o.close()
	o.close()
	return reply{status: http.StatusOK, body: o.b}
}
