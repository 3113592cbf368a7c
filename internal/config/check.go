package config

import (
	"fmt"
	"slices"
	"strings"
)

// check finds what only several keys together can tell. A key that was
// already at fault is left out of it: one mistake gives one message.
func (l *loader) check() {
	l.checkServer()
	l.checkClients()
	l.checkCredentials()
	l.checkRouting()
	l.checkWebhook()
	if m := l.config.Match.Roles; len(m) == 0 && l.sound("match.roles") {
		l.report("match.roles", `must name at least one of "end-user", "agent", "admin": nobody would match`)
	}
}

func (l *loader) checkServer() {
	s := &l.config.Server
	if (s.TLSCert == "") != (s.TLSKey == "") && l.sound("server.tls_cert") && l.sound("server.tls_key") {
		key, other := "server.tls_cert", "tls_key"
		if s.TLSCert == "" {
			key, other = "server.tls_key", "tls_cert"
		}
		l.report(key, "must not stand without "+other+": a certificate and its key go together")
	}
	if s.TLSCert != "" && len(s.ACMEDomains) > 0 {
		l.report("server.acme_domains", "must not stand beside tls_cert: a certificate comes from one of the two")
	}
	if s.AdminListen == s.Listen && !strings.HasSuffix(s.Listen, ":0") {
		l.report("server.admin_listen", `must not be the address of listen: write "same" to put the admin routes there`)
	}
	l.checkReach()
}

// checkReach refuses what would put callers' data, or the keys to it, within
// reach of a network without anybody having said so.
func (l *loader) checkReach() {
	s := &l.config.Server
	for _, a := range []struct{ key, address string }{
		{"server.listen", s.Listen},
		{"server.admin_listen", s.AdminListen},
	} {
		if a.address == Same || loopback(a.address) || !l.sound(a.key) {
			continue
		}
		if !s.TLS() && !s.InsecureHTTP && l.sound("server") {
			l.report(a.key, fmt.Sprintf("%q is beyond loopback: give tls_cert and tls_key, or acme_domains, or allow plain HTTP with insecure_http = true", a.address))
		}
		if len(l.config.Clients) == 0 && l.sound("clients") {
			l.report(a.key, fmt.Sprintf("%q is beyond loopback and no client is configured: add a [[clients]], or listen on 127.0.0.1", a.address))
		}
	}
}

// TLS tells whether the listeners speak TLS, by either way to a certificate.
func (s *Server) TLS() bool { return s.TLSCert != "" || len(s.ACMEDomains) > 0 }

func (l *loader) checkClients() {
	named, owner := map[string]int{}, map[Digest]int{}
	for i := range l.config.Clients {
		c, at := &l.config.Clients[i], item("clients", i)
		if c.Name == "" && l.sound(at+".name") {
			l.report(at+".name", "is missing: a client's name is its Basic user name")
		}
		if first, twice := named[c.Name]; twice && c.Name != "" {
			l.report(at+".name", fmt.Sprintf("must differ from that of client %d", first))
		} else {
			named[c.Name] = i + 1
		}
		if len(c.SecretSHA256) == 0 && l.sound(at+".secret_sha256") && l.sound(at+".secret_sha256_file") {
			l.report(at+".secret_sha256", "is missing: `aniproxy key new` makes a secret and its digest")
		}
		for _, d := range c.SecretSHA256 {
			// A bearer token carries no name: the secret alone tells who asks.
			if first, twice := owner[d]; twice {
				l.report(at+".secret_sha256", fmt.Sprintf("must differ from every other: client %d has the same secret", first))
				break
			}
			owner[d] = i + 1
		}
		if len(c.Scopes) == 0 && l.sound(at+".scopes") {
			f, _ := lookupField(clientType, "scopes")
			l.report(at+".scopes", "is missing: name what the client may do, of "+quotedChoice(f.words()))
		}
		if len(c.Fields) > 1 && slices.Contains(c.Fields, "*") {
			l.report(at+".fields", `must be "*" alone or fields by their names`)
		}
	}
}

func (l *loader) checkWebhook() {
	if w := l.config.Webhook.Secrets; l.sound("webhook.secrets") {
		for i := range w {
			if slices.Contains(w[:i], w[i]) {
				l.report("webhook.secrets", fmt.Sprintf("must differ from each other: number %d is there twice", i+1))
				break
			}
		}
	}
}

func (l *loader) checkCredentials() {
	z := &l.config.Zendesk
	for _, p := range []struct {
		key, other  string
		have, wants bool
	}{
		{"client_id", "client_secret", z.ClientID != "", z.ClientSecret != ""},
		{"client_secret", "client_id", z.ClientSecret != "", z.ClientID != ""},
		{"email", "api_token", z.Email != "", z.APIToken != ""},
		{"api_token", "email", z.APIToken != "", z.Email != ""},
	} {
		involved := []string{"zendesk." + p.key, "zendesk." + p.key + fileTwin, "zendesk." + p.other, "zendesk." + p.other + fileTwin}
		if p.have && !p.wants && !slices.ContainsFunc(involved, func(k string) bool { return !l.sound(k) }) {
			l.report("zendesk."+p.key, "must not stand without "+p.other+": the two are one credential")
		}
	}
}
