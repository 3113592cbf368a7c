package config

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// digestOf is a digest as a file writes it, all of one hex digit.
func digestOf(digit string) string { return strings.Repeat(digit, 64) }

// loadText loads a file's text, which must be without faults.
func loadText(t *testing.T, doc string, env ...string) *Config {
	t.Helper()
	c, err := load("config.toml", []byte(doc), env, noFiles)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// messages are the faults of a file's text, one a line.
func messages(t *testing.T, doc string, env ...string) []string {
	t.Helper()
	_, err := load("config.toml", []byte(doc), env, noFiles)
	var faults *Faults
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &faults):
		t.Fatalf("the error is a %T, want *Faults", err)
	}
	return strings.Split(faults.Error(), "\n")
}

func TestDefaultsAreThoseOfTheContract(t *testing.T) {
	want := &Config{
		Server:   Server{Listen: "127.0.0.1:8080", AdminListen: "127.0.0.1:8081", ShutdownTimeout: 10 * time.Second},
		Zendesk:  Zendesk{RatePerMinute: 400},
		Phone:    Phone{DefaultRegion: "US"},
		Cache:    Cache{MemoryMB: 256, NegativeTTL: 2 * time.Minute},
		Store:    Store{Path: "data/aniproxy.db", KeepResolved: 7 * 24 * time.Hour},
		Sync:     Sync{Schedule: "@every 1m", FullSchedule: "0 3 * * 0", OnStart: true, DeleteGuard: 0.2, Identities: true},
		Live:     Live{Timeout: 1500 * time.Millisecond, MaxConcurrent: 16, MaxStale: 5 * time.Minute},
		Match:    Match{Shared: "withhold", Roles: []string{"end-user"}},
		Ticket:   Ticket{Order: "created_at"},
		Comments: Comments{DedupeWindow: time.Minute},
		Log:      Log{Level: "info", Format: "text"},
		Speech: Speech{DefaultLanguage: "en-US", Reveal: "name_and_status", MaxChars: 250, TimeZone: "UTC", Voices: map[string]string{
			"de": "de-DE", "en": "en-US", "es": "es-US", "fr": "fr-FR", "it": "it-IT", "nl": "nl-NL", "pt": "pt-BR",
		}},
	}
	if diff := cmp.Diff(want, Defaults(), sameValues); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	client := loadText(t, "[[clients]]\nname = \"a\"\nsecret_sha256 = \""+digestOf("a")+"\"\nscopes = \"lookup\"\n").Clients[0]
	if client.Rate != 500 || client.Burst != 1000 || client.LivePerMinute != 300 || client.DistinctPerMinute != 3000 {
		t.Errorf("a client that leaves its limits out has %+v", client)
	}
}

func TestEverySectionIsRead(t *testing.T) {
	got := loadText(t, `
		[server]
		listen = "0.0.0.0:443"
		admin_listen = "same"
		acme_domains = "ANI.Example.com."
		trusted_proxies = ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]

		[[clients]]
		name = "webex"
		secret_sha256 = ["`+digestOf("a")+`", "`+digestOf("B")+`"]
		scopes = ["lookup", "zendesk"]
		fields = ["*"]
		live_per_minute = 0

		[zendesk]
		base_url = "http://127.0.0.1:9000/"
		rate_per_minute = 0x2BC

		[cache]
		negative_ttl = "0s"

		[sync]
		schedule = "*/5 * * * *"
		full_schedule = ""
		delete_guard = 1

		[ticket]
		include = { brand_id = 7, tags = ["VIP"] }
		[ticket.exclude]
		group_id = [8, "9007199254740993"]

		[speech.voices]
		en = "en-GB"
		[speech.templates.es]
		greeting = "Hola."

		[agents]
		"Maria@Example.com" = "maria.lopez"

		[[routing.rules]]
		name = "free"
		when = { agents_available_max = 0, ewt_min = "0s", organization_id = "12" }
		then = { queue_priority = 1, busy_queue_id = "123E4567-E89B-12D3-A456-426614174000" }
	`)
	want := Defaults()
	want.Server.Listen, want.Server.AdminListen = "0.0.0.0:443", Same
	want.Server.ACMEDomains = []string{"ani.example.com"}
	want.Server.TrustedProxies = []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::/32"),
	}
	a, _, _ := parseDigest(digestOf("a"))
	b, _, _ := parseDigest(digestOf("b"))
	want.Clients = []Client{{
		Name: "webex", SecretSHA256: []Digest{a, b}, Scopes: []string{"lookup", "zendesk"}, Fields: []string{"*"},
		Rate: 500, Burst: 1000, LivePerMinute: 0, DistinctPerMinute: 3000,
	}}
	want.Zendesk.BaseURL, want.Zendesk.RatePerMinute = "http://127.0.0.1:9000", 700
	want.Cache.NegativeTTL = 0
	want.Sync.Schedule, want.Sync.FullSchedule, want.Sync.DeleteGuard = "*/5 * * * *", "", 1
	want.Ticket.Include = TicketFilter{BrandID: []int64{7}, Tags: []string{"vip"}}
	want.Ticket.Exclude = TicketFilter{GroupID: []int64{8, 9007199254740993}}
	want.Speech.Voices["en"] = "en-GB"
	want.Speech.Templates = map[string]map[string]string{"es": {"greeting": "Hola."}}
	want.Agents = map[string]string{"maria@example.com": "maria.lopez"}
	zero, none := 0, time.Duration(0)
	want.Routing.Rules = []Rule{{
		Name: "free",
		When: When{AgentsAvailableMax: &zero, EWTMin: &none, OrganizationID: []int64{12}},
		Then: Then{QueuePriority: 1, BusyQueueID: "123e4567-e89b-12d3-a456-426614174000"},
	}}
	if diff := cmp.Diff(want, got, sameValues); diff != "" {
		t.Errorf("loaded (-want +got):\n%s", diff)
	}
}

func TestTheFileMayBeMissingUnlessItWasAskedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	got, err := Load(path, []string{"ANIPROXY_CACHE_MEMORY_MB=64"}, false)
	if err != nil || got.Cache.MemoryMB != 64 {
		t.Errorf("Load of a file that nobody asked for: %+v, %v; want the environment over the defaults", got, err)
	}
	_, err = Load(path, nil, true)
	if want := path + ": cannot be read: no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("Load of a file that was asked for says %v, want %s", err, want)
	}
}

func TestAFileIsNotReadWithoutEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(strings.Repeat("#\n", maxFile/2)+"#"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, nil, true); err == nil || !strings.Contains(err.Error(), "file is too large: more than 4194304 bytes") {
		t.Errorf("a file past the limit says %v", err)
	}
}

func TestAByteOrderMarkIsNoFault(t *testing.T) {
	c := loadText(t, "\xef\xbb\xbf[cache]\r\nmemory_mb = 64\r\n")
	if c.Cache.MemoryMB != 64 {
		t.Errorf("memory_mb is %d, want 64", c.Cache.MemoryMB)
	}
}

func TestLoadingTwiceGivesTwoConfigurations(t *testing.T) {
	one := loadText(t, "")
	one.Speech.Voices["en"] = "en-GB"
	one.Match.Roles[0] = "admin"
	two := loadText(t, "")
	if diff := cmp.Diff(Defaults(), two, sameValues); diff != "" {
		t.Errorf("a change of one configuration shows in the next (-want +got):\n%s", diff)
	}
}

func TestATornFileStillShowsTheFaultsOfTheEnvironment(t *testing.T) {
	want := []string{
		"config.toml:1: is not TOML: expected ']' to close table name",
		`environment: ANIPROXY_LOG_LEVEL: must be "debug", "info", "warn" or "error", not "loud"`,
	}
	if diff := cmp.Diff(want, messages(t, "[server", "ANIPROXY_LOG_LEVEL=loud")); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

func TestAFaultOfAnotherPackageIsPlacedWhereTheKeyStands(t *testing.T) {
	c := loadText(t, "\n[speech.templates.es]\ngreeting = \"Hola.\"\n", "ANIPROXY_SPEECH_TIME_ZONE=Europe/Berlin")
	for _, tc := range []struct{ key, want string }{
		{"speech.templates.es.greeting", "config.toml:3: speech.templates.es.greeting: odd"},
		{"speech.templates.es.farewell", "config.toml:2: speech.templates.es.farewell: odd"},
		{"speech.time_zone", "environment: ANIPROXY_SPEECH_TIME_ZONE: odd"},
		{"cache.memory_mb", "config.toml: cache.memory_mb: odd"},
	} {
		if got := c.Fault(tc.key, "odd").String(); got != tc.want {
			t.Errorf("fault of %s is %q, want %q", tc.key, got, tc.want)
		}
	}
}

func TestOneMistakeGivesOneMessage(t *testing.T) {
	for _, tc := range []struct{ name, doc string }{
		{"the missing half of a credential is there, misspelt", "[zendesk]\nclient_id = \"a\"\nclient_secrett = \"b\"\n"},
		{"the other half of a certificate is of a wrong type", "[server]\ntls_cert = \"a\"\ntls_key = 5\n"},
		{"the scopes are there, misspelt", "[[clients]]\nname = \"a\"\nsecret_sha256 = \"" + digestOf("a") + "\"\nscope = \"lookup\"\n"},
		{"the clients are there, misspelt", "[server]\nlisten = \":443\"\nacme_domains = \"a.example.com\"\n[[client]]\nname = \"a\"\n"},
		{"a rule's only condition is unknown", "[[routing.rules]]\nname = \"a\"\nwhen = { sverity = \"high\" }\nthen = { queue_priority = 1 }\n[[routing.rules]]\nname = \"b\"\nthen = { queue_priority = 1 }\n"},
		{"a listener is open but its section has a fault", "[server]\nlisten = \":8080\"\ninsecurehttp = true\n" + "[[clients]]\nname = \"a\"\nsecret_sha256 = \"" + digestOf("a") + "\"\nscopes = \"lookup\"\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := messages(t, tc.doc); len(got) != 1 {
				t.Errorf("messages:\n%s\nwant one", strings.Join(got, "\n"))
			}
		})
	}
}

// TestEveryTagIsOneThatIsRead keeps a misspelt tag, which reflect would pass
// over, from switching a check off.
func TestEveryTagIsOneThatIsRead(t *testing.T) {
	known := map[string]bool{
		"toml": true, "default": true, "min": true, "max": true, "oneof": true, "format": true,
		"maxlen": true, "keys": true, "private": true, "nonempty": true,
	}
	var walk func(reflect.Type)
	walk = func(table reflect.Type) {
		for _, f := range fieldsOf(table) {
			for word := range strings.SplitSeq(string(f.tag), `" `) {
				if name, _, _ := strings.Cut(word, ":"); !known[name] {
					t.Errorf("%s.%s has a tag %q", table, f.name, name)
				}
			}
			switch inner := f.scalar(); {
			case inner.isTable():
				walk(inner.typ)
			case inner.typ.Kind() == reflect.Int || inner.typ == durationType || inner.typ.Kind() == reflect.Float64:
				if f.tag.Get("min") == "" || f.tag.Get("max") == "" {
					t.Errorf("%s.%s has no range", table, f.name)
				}
			default:
				_ = inner.allowed() // panics where a form is unknown
			}
		}
	}
	walk(reflect.TypeFor[Config]())
}
