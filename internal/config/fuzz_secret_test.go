package config

import (
	"errors"
	"strings"
	"testing"
)

// FuzzSecretFile has arbitrary bytes in the files of secrets, and in the
// environment in their place: whether it loads or not, nothing of them is in an
// error or in what is shown of the configuration.
func FuzzSecretFile(f *testing.F) {
	for _, content := range []string{
		"the-secret\n", "  one\r\n\n two ", "", "\x00", strings.Repeat("0", 64), strings.Repeat("a", 63) + "\n" + digestOf("b"), "\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8",
	} {
		f.Add([]byte(content))
	}
	// What is shown without any secret is no secret's.
	empty, err := load("config.toml", nil, nil, noFiles)
	if err != nil {
		f.Fatal(err)
	}
	known := empty.Effective() + complaints
	f.Fuzz(func(t *testing.T, content []byte) {
		const doc = "[[clients]]\nname = \"webex\"\nsecret_sha256_file = \"s\"\nscopes = \"lookup\"\n[zendesk]\nclient_id = \"aniproxy\"\nclient_secret_file = \"s\"\n[webhook]\nsecrets_file = \"s\"\n"
		const alone = "[zendesk]\nclient_id = \"aniproxy\"\nclient_secret_file = \"s\"\n[webhook]\nsecrets_file = \"s\"\n"
		for _, doc := range []string{doc, alone} {
			c, err := load("config.toml", []byte(doc), nil, files(map[string]string{"s": string(content)}))
			withholds(t, content, known, c, err)
			if err == nil {
				if got := c.Zendesk.ClientSecret.Reveal(); got == "" || got != strings.TrimSpace(string(content)) {
					t.Errorf("%q is read as %q", content, got)
				}
			}
		}
		c, err := load("config.toml", []byte("[zendesk]\nclient_id = \"aniproxy\"\n"), []string{
			"ANIPROXY_ZENDESK_CLIENT_SECRET=" + string(content), "ANIPROXY_WEBHOOK_SECRETS=" + string(content),
		}, noFiles)
		withholds(t, content, known, c, err)
	})
}

// withholds fails where a line of the content, of a secret's length, is told.
func withholds(t *testing.T, content []byte, known string, c *Config, err error) {
	t.Helper()
	told := ""
	var faults *Faults
	switch {
	case err == nil:
		told = c.Effective() + strings.Join(c.Warnings(), "\n")
	case !errors.As(err, &faults) || len(faults.List) == 0:
		t.Fatalf("the error is %T %v", err, err)
	default:
		told = err.Error()
	}
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		if len(line) >= 12 && strings.Contains(told, line) && !strings.Contains(known, line) && strings.Trim(line, "*") != "" {
			t.Errorf("%q is told: %s", line, told)
		}
	}
}

// complaints are words of our own, which a secret may happen to be too.
const complaints = "config.toml clients[0].secret_sha256_file zendesk.client_secret_file webhook.secrets_file ANIPROXY_ZENDESK_CLIENT_SECRET ANIPROXY_WEBHOOK_SECRETS"
