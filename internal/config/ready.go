package config

import (
	"crypto/tls"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Credential is the way the daemon proves itself to Zendesk.
type Credential string

// The ways, the first of which wins where both are configured.
const (
	OAuth        Credential = "oauth"     // client_id and client_secret
	APIToken     Credential = "api_token" // email and api_token
	NoCredential Credential = ""
)

// Credentials tells which of the two pairs is used: OAuth where it is there,
// since API tokens are ending.
func (z *Zendesk) Credentials() Credential {
	switch {
	case z.ClientID != "" && z.ClientSecret != "":
		return OAuth
	case z.Email != "" && z.APIToken != "":
		return APIToken
	default:
		return NoCredential
	}
}

// Origin is scheme, host and port of the account, without a slash at the end;
// "" where none is configured.
func (z *Zendesk) Origin() string {
	switch {
	case z.BaseURL != "":
		return z.BaseURL
	case z.Subdomain != "":
		return "https://" + z.Subdomain + ".zendesk.com"
	default:
		return ""
	}
}

// ReadyToServe tells what the daemon cannot start without although the
// configuration is valid: an account, credentials, a certificate that can be
// read. It reads the certificate's files. The error is a [*Faults].
func (c *Config) ReadyToServe() error {
	var missing []Fault
	if c.Zendesk.Origin() == "" {
		missing = append(missing, c.Fault("zendesk.subdomain",
			"set it to the first word of your Zendesk address (or "+envName("zendesk", "subdomain")+"); without an account there is `aniproxy demo`"))
	}
	if c.Zendesk.Credentials() == NoCredential {
		missing = append(missing, c.Fault("zendesk.client_id",
			"set client_id and client_secret, an OAuth client of your account, or email and api_token (or "+
				envName("zendesk", "client_id")+" and "+envName("zendesk", "client_secret")+")"))
	}
	if c.Server.TLSCert != "" {
		if _, err := tls.LoadX509KeyPair(c.Server.TLSCert, c.Server.TLSKey); err != nil {
			missing = append(missing, c.Fault("server.tls_cert", "the certificate cannot be used: "+err.Error()))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return &Faults{List: missing}
}

// Warnings are what a valid configuration should be asked about, each a
// sentence without secrets.
func (c *Config) Warnings() []string {
	return slices.Concat(c.accountWarnings(), c.serverWarnings(), c.ageWarnings())
}

func (c *Config) accountWarnings() (w []string) {
	z := &c.Zendesk
	if z.Origin() == "" {
		w = append(w, "No Zendesk account is configured: serve needs zendesk.subdomain, or base_url for the simulator.")
	}
	if z.BaseURL != "" && z.Subdomain != "" {
		w = append(w, "zendesk.base_url overrides zendesk.subdomain.")
	}
	both := z.ClientID != "" && z.Email != ""
	switch {
	case z.Credentials() == NoCredential && z.Origin() != "":
		w = append(w, "No Zendesk credentials are configured: serve needs zendesk.client_id and zendesk.client_secret.")
	case both:
		w = append(w, "zendesk.client_id and zendesk.client_secret win over zendesk.email and zendesk.api_token, which are not used.")
	case z.Credentials() == APIToken:
		w = append(w, "zendesk.api_token stops working on 2027-04-30, when Zendesk ends all API tokens: make an OAuth client and set zendesk.client_id and zendesk.client_secret.")
	}
	return w
}

func (c *Config) serverWarnings() (w []string) {
	s := &c.Server
	if len(c.Clients) == 0 {
		w = append(w, "No client is configured: serve listens on loopback alone, refuses forwarded requests, and grants lookup, zendesk and stats alone to whoever is on this machine.")
	}
	beyond := !loopback(s.Listen) || s.AdminListen != Same && !loopback(s.AdminListen)
	switch {
	case s.InsecureHTTP && s.TLS():
		w = append(w, "server.insecure_http has no effect beside a certificate.")
	case s.InsecureHTTP && beyond:
		w = append(w, "server.insecure_http lets clients' secrets and callers' data cross the network in clear: only behind something that adds TLS.")
	}
	if len(s.ACMEDomains) > 0 && !strings.HasSuffix(s.Listen, ":443") {
		w = append(w, fmt.Sprintf("server.acme_domains: the certificate authority comes to port 443 of each name, and server.listen is %q: something must hand its connections on, unopened, or no certificate can be had.", s.Listen))
	}
	for _, p := range s.TrustedProxies {
		if p.Bits() == 0 {
			w = append(w, "server.trusted_proxies contains "+p.String()+": anybody can claim any address, and server.allow_cidrs is worth nothing.")
		}
	}
	return w
}

// webexWait is how long Webex's HTTP activity waits unless the flow says
// otherwise, and when it begins to play audio.
const webexWait = 2 * time.Second

func (c *Config) ageWarnings() (w []string) {
	if c.Live.Timeout >= webexWait {
		w = append(w, fmt.Sprintf("live.timeout is %s: an HTTP activity of Webex gives up after %s unless the flow says otherwise.",
			shortDuration(c.Live.Timeout), shortDuration(webexWait)))
	}
	// Just before a run the mirror is as old as the gap, and an export leaves
	// the newest minute out.
	if every, ok := scheduleGap(c.Sync.Schedule); ok && every+time.Minute > c.Live.MaxStale {
		w = append(w, fmt.Sprintf("sync.schedule runs every %s, and an export leaves out the newest minute: many answers will be older than live.max_stale (%s) and say that they are stale.",
			shortDuration(every), shortDuration(c.Live.MaxStale)))
	}
	return w
}

var clientType = reflect.TypeFor[Client]()

// LookupFields lists the fields of /v1/lookup that a client may be given, in
// the order of the answer.
func LookupFields() []string {
	return strings.Fields(`
		found outcome reason ani
		match match_count
		user_id user_name user_first_name user_email user_locale user_tags user_url organization_id
		ticket_found ticket_id ticket_status ticket_priority ticket_type ticket_subject
		ticket_created_at ticket_updated_at ticket_tags ticket_url
		unresolved_count ticket2_id ticket2_status ticket3_id ticket3_status
		has_assignee assignee_id assignee_name assignee_email assignee_agent
		severity queue_priority has_queue queue_id queue_name has_skill skill_value
		action busy_action busy_queue_id route_rule
		spoken_text spoken_ssml language screen_pop_url
		source age_seconds stale`)
}

// onRequest are the fields that a client has to be given by name.
func onRequest(field string) bool {
	switch field {
	case "user_email", "user_tags", "organization_id", "ticket_subject", "ticket_tags":
		return true
	default:
		return false
	}
}

// Readable lists the lookup fields the client may read, its Fields spelt out:
// an empty list is all but those that say more of a person than a flow needs,
// "*" is all.
func (c *Client) Readable() []string {
	switch {
	case len(c.Fields) == 0:
		return slices.DeleteFunc(LookupFields(), onRequest)
	case slices.Contains(c.Fields, "*"):
		return LookupFields()
	default:
		return slices.Clone(c.Fields)
	}
}
