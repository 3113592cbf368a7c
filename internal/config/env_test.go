package config

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTheEnvironmentGoesOverTheFile(t *testing.T) {
	doc := `
		[server]
		listen = "127.0.0.1:1"
		[sync]
		on_start = true
		[match]
		roles = ["admin"]
	`
	got := loadText(t, doc,
		"HOME=/root",
		"ANIPROXY_SERVER_LISTEN=127.0.0.1:2",
		"ANIPROXY_SERVER_ALLOW_CIDRS= 10.0.0.0/8 , 192.0.2.0/24,",
		"ANIPROXY_SYNC_ON_START=false",
		"ANIPROXY_SYNC_DELETE_GUARD=0.5",
		"ANIPROXY_LIVE_TIMEOUT=900ms",
		"ANIPROXY_CACHE_MEMORY_MB=64",
		"ANIPROXY_CACHE_MEMORY_MB=128",
		"ANIPROXY_MATCH_ROLES=end-user,agent",
	)
	want := Defaults()
	want.Server.Listen = "127.0.0.1:2"
	want.Server.AllowCIDRs = loadText(t, "[server]\nallow_cidrs = [\"10.0.0.0/8\", \"192.0.2.0/24\"]\n").Server.AllowCIDRs
	want.Sync.OnStart, want.Sync.DeleteGuard = false, 0.5
	want.Live.Timeout = 900 * time.Millisecond
	want.Cache.MemoryMB = 128
	want.Match.Roles = []string{"end-user", "agent"}
	if diff := cmp.Diff(want, got, sameValues); diff != "" {
		t.Errorf("loaded (-want +got):\n%s", diff)
	}
}

// TestEveryVariableIsRead sets each key's variable to its default, and then to
// what no key takes.
func TestEveryVariableIsRead(t *testing.T) {
	for _, k := range keysOf(Defaults()) {
		name := k.env()
		if name == "" {
			continue
		}
		if text := k.tag.Get("default"); text != "" {
			if got := loadText(t, "", name+"="+text).origins[k.path].env; got != name {
				t.Errorf("%s=%s did not reach %s", name, text, k.path)
			}
		}
		if k.name == "client_id" {
			continue // takes any text
		}
		if got := messages(t, "", name+"=\x00 ,;\x00"); len(got) == 0 {
			t.Errorf("%s takes anything", name)
		}
	}
}

func TestVariables(t *testing.T) {
	for _, tc := range []struct {
		name string
		env  string
		want []string
	}{
		{"an empty one is as if it were not there", "ANIPROXY_CACHE_MEMORY_MB=", nil},
		{"the commands' server is no key", "ANIPROXY_SERVER=http://127.0.0.1:8081", nil},
		{"the commands' secret is no key", "ANIPROXY_KEY=secret", nil},
		{"one of the same prefix and no section is somebody else's", "ANIPROXY_IMAGE=aniproxy:1", nil},
		{"Kubernetes' links to a service are nobody's", "ANIPROXY_SERVICE_HOST=10.0.0.1", nil},
		{"Kubernetes' links to a service named like a section too", "ANIPROXY_SERVER_SERVICE_PORT_HTTP=8080", nil},
		{"Docker's links too", "ANIPROXY_SERVER_PORT_8080_TCP_ADDR=172.17.0.2", nil},
		{"a typing mistake in the key", "ANIPROXY_CACHE_MEMROY_MB=64", []string{
			"environment: ANIPROXY_CACHE_MEMROY_MB: unknown variable; did you mean ANIPROXY_CACHE_MEMORY_MB?",
		}},
		{"a typing mistake in the section", "ANIPROXY_ZENDSK_EMAIL=x", []string{
			"environment: ANIPROXY_ZENDSK_EMAIL: unknown variable; did you mean ANIPROXY_ZENDESK_EMAIL?",
		}},
		{"a typing mistake in the commands' own", "ANIPROXY_SERVR=x", []string{
			"environment: ANIPROXY_SERVR: unknown variable; did you mean ANIPROXY_SERVER?",
		}},
		{"a key that the section does not have", "ANIPROXY_CACHE_DISK=x", []string{
			"environment: ANIPROXY_CACHE_DISK: unknown variable; allowed are ANIPROXY_CACHE_MEMORY_MB, ANIPROXY_CACHE_NEGATIVE_TTL",
		}},
		{"a section alone", "ANIPROXY_LOG=debug", []string{
			"environment: ANIPROXY_LOG: unknown variable; allowed are ANIPROXY_LOG_FORMAT, ANIPROXY_LOG_LEVEL",
		}},
		{"a table", "ANIPROXY_SPEECH_VOICES=en=en-GB", []string{
			"environment: ANIPROXY_SPEECH_VOICES: speech.voices is a table and comes from the file alone",
		}},
		{"a key in a table of a section", "ANIPROXY_TICKET_INCLUDE_TAGS=vip", []string{
			"environment: ANIPROXY_TICKET_INCLUDE_TAGS: ticket.include.tags is a table and comes from the file alone",
		}},
		{"a client", "ANIPROXY_CLIENTS_0_NAME=webex", []string{
			"environment: ANIPROXY_CLIENTS_0_NAME: clients is a table and comes from the file alone",
		}},
		{"a rule", "ANIPROXY_ROUTING_RULES=x", []string{
			"environment: ANIPROXY_ROUTING_RULES: routing.rules is a table and comes from the file alone",
		}},
		{"a section of tables alone", "ANIPROXY_ROUTING_MODE=x", []string{
			"environment: ANIPROXY_ROUTING_MODE: routing is a table and comes from the file alone",
		}},
		{"a value out of range", "ANIPROXY_CACHE_MEMORY_MB=1", []string{
			"environment: ANIPROXY_CACHE_MEMORY_MB: must be a whole number from 8 to 1048576, not \"1\"",
		}},
		{"items of a list", "ANIPROXY_MATCH_ROLES=end-user,guest,root", []string{
			`environment: ANIPROXY_MATCH_ROLES: must be "end-user", "agent" or "admin", not "guest"`,
			`environment: ANIPROXY_MATCH_ROLES: must be "end-user", "agent" or "admin", not "root"`,
		}},
		{"half a credential", "ANIPROXY_ZENDESK_CLIENT_SECRET=hunter2hunter2", []string{
			"environment: ANIPROXY_ZENDESK_CLIENT_SECRET: must not stand without client_id: the two are one credential",
		}},
		{"a listener beyond loopback", "ANIPROXY_SERVER_LISTEN=:8080", []string{
			`environment: ANIPROXY_SERVER_LISTEN: ":8080" is beyond loopback: give tls_cert and tls_key, or acme_domains, or allow plain HTTP with insecure_http = true`,
			`environment: ANIPROXY_SERVER_LISTEN: ":8080" is beyond loopback and no client is configured: add a [[clients]], or listen on 127.0.0.1`,
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, messages(t, "", tc.env)); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFaultsStandInTheOrderOfTheLinesAndTheEnvironmentLast(t *testing.T) {
	got := messages(t, "[log]\nlevel = \"x\"\n[cache]\nmemory_mb = 0\n", "ANIPROXY_SYNC_SCHEDULE=x", "ANIPROXY_LIVE_TIMEOUT=x")
	want := []string{
		`config.toml:2: log.level: must be "debug", "info", "warn" or "error", not "x"`,
		`config.toml:4: cache.memory_mb: must be a whole number from 8 to 1048576, not 0`,
		`environment: ANIPROXY_LIVE_TIMEOUT: must be a duration from "50ms" to "10s", not "x"`,
		`environment: ANIPROXY_SYNC_SCHEDULE: must be a cron schedule of five fields, or "@every 1m", 10s apart at least, not "x"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}
