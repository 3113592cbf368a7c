package config

import (
	"net/netip"
	"time"
	_ "time/tzdata" // a static binary in an empty container knows the time zones too
)

// Tags of the fields below:
//
//	toml     the key
//	default  as in an environment variable: lists with commas, maps as a=b
//	min, max of a number or a duration, both inclusive
//	oneof    the words allowed, with | between
//	format   a form of text, see format.go
//	maxlen   of a text, in characters
//	keys     the form of a map's keys
//	private  the value is not repeated in messages
//	nonempty a list that must hold something where it is given
//
// A text whose default is empty may be empty: it is then as if not given.

// Server is [server]: who may reach the daemon, and how.
type Server struct {
	// Listen and AdminListen are host:port; AdminListen may be [Same].
	Listen      string `toml:"listen" default:"127.0.0.1:8080" format:"hostport"`
	AdminListen string `toml:"admin_listen" default:"127.0.0.1:8081" format:"hostport-or-same"`
	// TLSCert and TLSKey are PEM files, both or neither; ACMEDomains is the
	// other way to a certificate: naming them accepts the terms of the
	// certificate authority, which comes to port 443 of each.
	TLSCert     string   `toml:"tls_cert" format:"path"`
	TLSKey      string   `toml:"tls_key" format:"path"`
	ACMEDomains []string `toml:"acme_domains" format:"domain"`
	// InsecureHTTP allows plain HTTP beyond loopback.
	InsecureHTTP bool `toml:"insecure_http" default:"false"`
	// TrustedProxies are those whose forwarding headers are believed.
	TrustedProxies []netip.Prefix `toml:"trusted_proxies"`
	// AllowCIDRs are the only networks served; none means all.
	AllowCIDRs      []netip.Prefix `toml:"allow_cidrs"`
	ShutdownTimeout time.Duration  `toml:"shutdown_timeout" default:"10s" min:"1s" max:"5m"`
}

// Same as AdminListen puts the admin routes on Listen.
const Same = "same"

// Client is one [[clients]]: a program that may ask, and what.
type Client struct {
	// Name is its Basic user name, and what logs and metrics call it.
	Name string `toml:"name" format:"client"`
	// SecretSHA256 are the digests of its secrets; two while one replaces the other.
	SecretSHA256     []Digest `toml:"secret_sha256"`
	SecretSHA256File string   `toml:"secret_sha256_file" format:"path"`
	Scopes           []string `toml:"scopes" oneof:"lookup|comment|zendesk|directory|stats|admin"`
	// Fields are the lookup fields it may read; see [Client.Readable].
	Fields []string `toml:"fields" format:"lookup-field"`
	// Rate is in requests a second, Burst how many may come at once.
	Rate  int `toml:"rate" default:"500" min:"1" max:"1000000"`
	Burst int `toml:"burst" default:"1000" min:"1" max:"1000000"`
	// LivePerMinute bounds its questions that reach Zendesk, 0 allows none.
	LivePerMinute int `toml:"live_per_minute" default:"300" min:"0" max:"100000"`
	// DistinctPerMinute bounds the different numbers it asks for, against
	// someone who reads the whole directory out.
	DistinctPerMinute int `toml:"distinct_per_minute" default:"3000" min:"1" max:"1000000"`
}

// Zendesk is [zendesk]: the account.
type Zendesk struct {
	Subdomain string `toml:"subdomain" format:"subdomain"`
	// BaseURL overrides Subdomain; see [Zendesk.Origin].
	BaseURL string `toml:"base_url" format:"origin" private:"true"`
	// ClientID and ClientSecret are OAuth client credentials. They win over
	// Email and APIToken; see [Zendesk.Credentials].
	ClientID         string `toml:"client_id"`
	ClientSecret     Secret `toml:"client_secret"`
	ClientSecretFile string `toml:"client_secret_file" format:"path"`
	Email            string `toml:"email" format:"email" private:"true"`
	APIToken         Secret `toml:"api_token"`
	APITokenFile     string `toml:"api_token_file" format:"path"`
	// RatePerMinute is all that this daemon asks of the account in a clock minute.
	RatePerMinute int `toml:"rate_per_minute" default:"400" min:"10" max:"10000"`
}

// Phone is [phone]: how a number without a country code is read.
type Phone struct {
	DefaultRegion string   `toml:"default_region" default:"US" format:"region"`
	ExtraRegions  []string `toml:"extra_regions" format:"region"`
}

// Cache is [cache]: the tier in memory.
type Cache struct {
	MemoryMB int `toml:"memory_mb" default:"256" min:"8" max:"1048576"`
	// NegativeTTL is how long "nobody has this number" is remembered; 0 not at all.
	NegativeTTL time.Duration `toml:"negative_ttl" default:"2m" min:"0s" max:"1h"`
}

// Store is [store]: the tier on disk.
type Store struct {
	Path string `toml:"path" default:"data/aniproxy.db" format:"path"`
	// KeepResolved is how long the stub of what has left takes part in the
	// comparison of versions.
	KeepResolved time.Duration `toml:"keep_resolved" default:"168h" min:"1h" max:"8760h"`
}

// Sync is [sync]: how the mirror follows Zendesk.
type Sync struct {
	// Schedule and FullSchedule are cron's five fields or a descriptor, as
	// cron.ParseStandard reads them; an empty FullSchedule never runs.
	Schedule     string `toml:"schedule" default:"@every 1m" format:"schedule"`
	FullSchedule string `toml:"full_schedule" default:"0 3 * * 0" format:"full-schedule"`
	OnStart      bool   `toml:"on_start" default:"true"`
	// DeleteGuard is the share of the mirror that one full walk may take out.
	DeleteGuard float64 `toml:"delete_guard" default:"0.2" min:"0" max:"1"`
	// Identities has people's further numbers read too.
	Identities bool `toml:"identities" default:"true"`
}

// Live is [live]: asking Zendesk while the caller waits.
type Live struct {
	Timeout       time.Duration `toml:"timeout" default:"1500ms" min:"50ms" max:"10s"`
	MaxConcurrent int           `toml:"max_concurrent" default:"16" min:"1" max:"1000"`
	// MaxStale is the age past which an answer says that it is stale.
	MaxStale time.Duration `toml:"max_stale" default:"5m" min:"10s" max:"24h"`
}

// Match is [match]: who is the caller.
type Match struct {
	Shared string   `toml:"shared" default:"withhold" oneof:"withhold|latest_ticket"`
	Roles  []string `toml:"roles" default:"end-user" oneof:"end-user|agent|admin"`
}

// Ticket is [ticket]: which ticket is the caller's.
type Ticket struct {
	Order   string       `toml:"order" default:"created_at" oneof:"created_at|updated_at"`
	Include TicketFilter `toml:"include"`
	Exclude TicketFilter `toml:"exclude"`
}

// TicketFilter names tickets by any of the values of its keys. To be
// included, a ticket has one of the values of every key given; to be
// excluded, of any key given.
type TicketFilter struct {
	BrandID      []int64  `toml:"brand_id"`
	GroupID      []int64  `toml:"group_id"`
	TicketFormID []int64  `toml:"ticket_form_id"`
	Tags         []string `toml:"tags" format:"tag"`
}

// Speech is [speech]: what the caller hears.
type Speech struct {
	DefaultLanguage string `toml:"default_language" default:"en-US" format:"language"`
	Reveal          string `toml:"reveal" default:"name_and_status" oneof:"name_and_status|status|nothing"`
	IncludeSubject  bool   `toml:"include_subject" default:"false"`
	// MaxChars bounds spoken_text, which is 256 characters at the most.
	MaxChars int `toml:"max_chars" default:"250" min:"40" max:"256"`
	// TimeZone is a name of the IANA database, known to time.LoadLocation.
	TimeZone string `toml:"time_zone" default:"UTC" format:"zone"`
	// Voices has the full tag of the voice by language ("en", "pt-BR").
	Voices map[string]string `toml:"voices" default:"de=de-DE,en=en-US,es=es-US,fr=fr-FR,it=it-IT,nl=nl-NL,pt=pt-BR" keys:"any-language" format:"language"`
	// Templates has wordings by language and name. The names are speech's own
	// to check: see [Config.Fault].
	Templates map[string]map[string]string `toml:"templates" keys:"any-language" maxlen:"1000"`
}

// Comments is [comments]: what is written back.
type Comments struct {
	// DedupeWindow is how long the same comment on the same ticket counts as
	// one when no interaction id tells; 0 never.
	DedupeWindow   time.Duration `toml:"dedupe_window" default:"60s" min:"0s" max:"24h"`
	FollowUpClosed bool          `toml:"follow_up_closed" default:"false"`
	AllowPublic    bool          `toml:"allow_public" default:"false"`
}

// Webhook is [webhook]: Zendesk telling us sooner.
type Webhook struct {
	// Secrets are the signing secrets, one a webhook; none closes the route.
	Secrets     []Secret `toml:"secrets"`
	SecretsFile string   `toml:"secrets_file" format:"path"`
}

// Log is [log].
type Log struct {
	Level  string `toml:"level" default:"info" oneof:"debug|info|warn|error"`
	Format string `toml:"format" default:"text" oneof:"text|json"`
}
