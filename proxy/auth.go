package proxy

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strings"
	"unicode/utf8"
)

// authenticate finds the client of a request. The secret is hashed before
// anything is compared, all digests are compared whatever the outcome, and no
// comparison stops early: how long it takes tells nothing of a secret. Clients
// of Zendesk add "/token" to the name where a token is the password: below
// /api/v2 that is the name too.
func (s *Server) authenticate(r *http.Request, zendesk bool) (*client, error) {
	known := s.clients.Load()
	if known.local != nil {
		return known.local, nil
	}
	name, secret, named := credentials(r.Header.Get("Authorization"))
	digest := sha256.Sum256([]byte(secret))
	var owner *client
	for _, c := range known.all {
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
