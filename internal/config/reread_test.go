package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const keysInFiles = `
[[clients]]
name = "flow"
secret_sha256_file = "flow"
scopes = "lookup"

[[clients]]
name = "panel"
secret_sha256_file = "panel"
scopes = "stats"

[zendesk]
client_id = "aniproxy"
client_secret_file = "account"

[webhook]
secrets_file = "hooks"
`

func TestFilesOfKeysAreReadAgain(t *testing.T) {
	disk := map[string]string{"flow": digestOf("a"), "panel": digestOf("b"), "account": "first", "hooks": "one"}
	before, err := load("config.toml", []byte(keysInFiles), nil, files(disk))
	if err != nil {
		t.Fatal(err)
	}
	if got := before.KeyFiles(); !cmp.Equal(got, []string{"flow", "panel", "hooks"}) {
		t.Errorf("the files of keys are %q", got)
	}
	all := func(string) bool { return true }

	disk["flow"], disk["panel"], disk["account"], disk["hooks"] = digestOf("a")+"\n"+digestOf("c"), digestOf("d"), "second", "one\ntwo"
	after, err := before.rereadKeys(func(file string) bool { return file != "panel" }, files(disk))
	if err != nil {
		t.Fatal(err)
	}
	if got := after.Clients[0].SecretSHA256; len(got) != 2 || got[1][0] != 0xcc {
		t.Errorf("flow has %d digests", len(got))
	}
	if got := after.Clients[1].SecretSHA256; len(got) != 1 || got[0][0] != 0xbb {
		t.Error("a file that was not named was read")
	}
	if len(after.Webhook.Secrets) != 2 || after.Zendesk.ClientSecret.Reveal() != "first" {
		t.Errorf("%d secrets of webhooks, and the account's: read again %v", len(after.Webhook.Secrets), after.Zendesk.ClientSecret.Reveal() != "first")
	}
	if len(before.Clients[0].SecretSHA256) != 1 || len(before.Webhook.Secrets) != 1 {
		t.Error("the configuration that was read again has changed itself")
	}

	for _, tc := range []struct{ name, file, content, want string }{
		{"empty", "flow", " \n", "config.toml:4: clients[1].secret_sha256_file: must be a file with the secret in it"},
		{"half written", "flow", digestOf("a")[:40], "config.toml:4: clients[1].secret_sha256_file: line 1 of the file"},
		{"another client's", "flow", digestOf("d"), "clients[2].secret_sha256: must differ from every other: client 1 has the same secret"},
		{"the same twice", "hooks", "one\none", "webhook.secrets: must differ from each other"},
		{"gone", "hooks", "", "config.toml:17: webhook.secrets_file: must be a file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			disk := map[string]string{"flow": digestOf("a"), "panel": digestOf("d"), "hooks": "one"}
			if disk[tc.file] = tc.content; tc.content == "" {
				delete(disk, tc.file)
			}
			if _, err := before.rereadKeys(all, files(disk)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("it says\n\t%v\nwant\n\t%s", err, tc.want)
			} else if tc.content != "" && len(tc.content) >= 40 && strings.Contains(err.Error(), tc.content[:40]) {
				t.Errorf("it shows the digest: %v", err)
			}
		})
	}
}

func TestKeysGivenByTheEnvironmentAreReadAgain(t *testing.T) {
	disk := map[string]string{"hooks": "one"}
	before, err := load("", nil, []string{"ANIPROXY_WEBHOOK_SECRETS_FILE=hooks"}, files(disk))
	if err != nil {
		t.Fatal(err)
	}
	disk["hooks"] = "two"
	after, err := before.rereadKeys(func(string) bool { return true }, files(disk))
	if err != nil || after.Webhook.Secrets[0].Reveal() != "two" {
		t.Errorf("read again: %v", err)
	}
}

func TestWhatDiffers(t *testing.T) {
	base := `
		[[clients]]
		name = "flow"
		secret_sha256 = "` + digestOf("a") + `"
		scopes = "lookup"
		[zendesk]
		subdomain = "acme"
		client_id = "aniproxy"
		client_secret = "first"
		[match]
		roles = ["end-user"]
	`
	was := loadText(t, base)
	for _, tc := range []struct {
		name, old, replaced string
		want                []string
	}{
		{"nothing", "", "", nil},
		{"what says the default", "[match]", "[phone]\nextra_regions = []\n[match]", nil},
		{"a value", `"acme"`, `"acme2"`, []string{"zendesk.subdomain"}},
		{"a secret, of the same length", `"first"`, `"third"`, []string{"zendesk.client_secret"}},
		{"a digest", digestOf("a"), digestOf("b"), []string{"clients"}},
		{"a list", `["end-user"]`, `["agent"]`, []string{"match.roles"}},
		{"tables and entries", "[match]", "[agents]\n\"a@example.com\" = \"b\"\n[[routing.rules]]\nname = \"r\"\nthen = { action = \"queue\" }\n[speech.voices]\nen = \"en-GB\"\n[ticket.include]\ntags = \"x\"\n[match]",
			[]string{"ticket.include.tags", "speech.voices", "agents", "routing.rules"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			is := loadText(t, strings.Replace(base, tc.old, tc.replaced, 1))
			if diff := cmp.Diff(tc.want, Differences(was, is)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
