package proxy

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strings"
	"unicode/utf8"
)

// maxCredentials bounds the header, in bytes: a name and a secret of
// `aniproxy key new` have some 100 in base64. What is longer is no key, and is
// not hashed to find that out.
const maxCredentials = 1 << 10

// authenticate finds the client of a request. The key is looked up first and
// whatever went before: a good one is never delayed. A wrong one may wait
// (logins.go) before the error is returned.
func (s *Server) authenticate(r *http.Request, zendesk bool) (*client, error) {
	known := s.clients.Load()
	if known.local != nil {
		return known.local, nil
	}
	given := r.Header["Authorization"]
	if len(given) == 0 || len(given) == 1 && given[0] == "" {
		return nil, errUnauthorized() // an honest beginning: it counts for nothing
	}
	var wrong failure
	// Of two headers somebody between the client and us may have read the other.
	if len(given) == 1 && len(given[0]) <= maxCredentials {
		owner, named := known.identify(given[0], zendesk)
		if owner != nil {
			return owner, nil
		}
		wrong.client = named
	}
	wrong.from = s.origin(r)
	if err := s.logins.fail(r.Context(), wrong); err != nil {
		return nil, err
	}
	return nil, errUnauthorized()
}

// identify finds whose credentials these are. The secret is hashed before
// anything is compared, all digests are compared whatever the outcome, and no
// comparison stops early: how long it takes tells nothing of a secret. Where
// they are nobody's, named is the client that was named, "" where there is none
// of that name.
func (s *clients) identify(header string, zendesk bool) (owner *client, named string) {
	name, secret, basic := credentials(header)
	digest := sha256.Sum256([]byte(secret))
	for _, c := range s.all {
		for i := range c.digests {
			if subtle.ConstantTimeCompare(digest[:], c.digests[i][:]) == 1 {
				owner = c
			}
		}
	}
	// The name is no secret: it may be compared like any text.
	if owner != nil && utf8.RuneCountInString(secret) >= minSecret && (!basic || owner.is(name, zendesk)) {
		return owner, ""
	}
	if basic {
		for _, c := range s.all {
			if c.is(name, zendesk) {
				return nil, c.name
			}
		}
	}
	return nil, ""
}

// is compares a name that was given. Clients of Zendesk add "/token" to it
// where a token is the password: below /api/v2 that is the name too.
func (c *client) is(name string, zendesk bool) bool {
	if rest, found := strings.CutPrefix(name, c.name); found {
		return rest == "" || zendesk && rest == "/token"
	}
	return false
}

// credentials reads "Bearer SECRET" and "Basic name:secret"; basic is true of
// the second. What is neither is empty.
func credentials(header string) (name, secret string, basic bool) {
	scheme, rest, _ := strings.Cut(header, " ")
	rest = strings.Trim(rest, " \t")
	switch {
	case isScheme(scheme, "Bearer"):
		return "", rest, false
	case isScheme(scheme, "Basic"):
		plain, err := base64.StdEncoding.DecodeString(rest)
		if err != nil {
			return "", "", true
		}
		name, secret, _ = strings.Cut(string(plain), ":")
		return name, secret, true
	default:
		return "", "", false
	}
}

// isScheme compares the letters of ASCII in either case. Without the length
// "ſ" would be an "s", as it is where Unicode folds.
func isScheme(given, scheme string) bool {
	return len(given) == len(scheme) && strings.EqualFold(given, scheme)
}
