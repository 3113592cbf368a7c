package config

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// files is a reader over a few files that are not there.
func files(content map[string]string) reader {
	return func(path string, _ int64) ([]byte, error) {
		if text, ok := content[path]; ok {
			return []byte(text), nil
		}
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
}

func TestSecretsComeFromFilesOfTheirOwn(t *testing.T) {
	doc := `
		[[clients]]
		name = "webex"
		secret_sha256_file = "digests"
		scopes = "lookup"
		[zendesk]
		client_id = "aniproxy"
		client_secret_file = "client"
		[webhook]
		secrets_file = "hooks"
	`
	c, err := load("config.toml", []byte(doc), nil, files(map[string]string{
		"digests": digestOf("a") + "\r\n\n" + digestOf("b") + "\n",
		"client":  "  the-secret\n",
		"hooks":   "one\ntwo",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Zendesk.ClientSecret.Reveal(); got != "the-secret" {
		t.Errorf("the client's secret is %q", got)
	}
	if got := c.Webhook.Secrets; len(got) != 2 || got[0].Reveal() != "one" || got[1].Reveal() != "two" {
		t.Errorf("the webhooks' secrets are %d", len(got))
	}
	if got := c.Clients[0].SecretSHA256; len(got) != 2 || got[1][0] != 0xbb {
		t.Errorf("the client has %d digests", len(got))
	}
}

func TestAFileOfASecretIsReadFromTheDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("the-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load("", []string{"ANIPROXY_ZENDESK_EMAIL=a@example.com", "ANIPROXY_ZENDESK_API_TOKEN_FILE=" + path}, false)
	if err != nil || c.Zendesk.APIToken.Reveal() != "the-secret" {
		t.Errorf("Load: %v", err)
	}
}

func TestFilesOfSecretsThatAreAtFault(t *testing.T) {
	read := files(map[string]string{
		"empty": " \n", "two": "one\ntwo\n", "blank": "one two\n",
		"digests": digestOf("a") + "\nnot-a-digest\n",
	})
	for _, tc := range []struct{ name, doc, want string }{
		{"empty", "[zendesk]\nclient_secret_file = \"empty\"\n",
			"config.toml:2: zendesk.client_secret_file: must be a file with the secret in it: this one is empty"},
		{"two secrets where one is wanted", "[zendesk]\nclient_secret_file = \"two\"\n",
			"config.toml:2: zendesk.client_secret_file: must be a file with the secret alone in it, on one line: this one has 2"},
		{"a blank within", "[zendesk]\nclient_secret_file = \"blank\"\n",
			"config.toml:2: zendesk.client_secret_file: line 1 of the file must be a secret without blanks"},
		{"a line that is no digest", "[[clients]]\nname = \"a\"\nscopes = \"lookup\"\nsecret_sha256_file = \"digests\"\n",
			"config.toml:4: clients[1].secret_sha256_file: line 2 of the file must be a SHA-256 as 64 hex digits (it has 12 characters)"},
		{"not there", "[webhook]\nsecrets_file = \"none\"\n",
			"config.toml:2: webhook.secrets_file: must be a file that can be read: file does not exist"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := load("config.toml", []byte(tc.doc), nil, read)
			if err == nil || err.Error() != tc.want {
				t.Errorf("Load says\n\t%v\nwant\n\t%s", err, tc.want)
			}
		})
	}
}

// TestTheEnvironmentsSecretWins: an operator who hands a secret over by the
// environment need not take the file's out.
func TestTheEnvironmentsSecretWins(t *testing.T) {
	read := files(map[string]string{"old": "from-the-old-file\n", "new": "from-the-new-file\n"})
	for _, tc := range []struct{ name, doc, env, want string }{
		{"over the file's secret", `client_secret = "in-the-file"`, "ANIPROXY_ZENDESK_CLIENT_SECRET=in-the-variable", "in-the-variable"},
		{"as a file, over the file's secret", `client_secret = "in-the-file"`, "ANIPROXY_ZENDESK_CLIENT_SECRET_FILE=new", "from-the-new-file"},
		{"over a file that the file names", `client_secret_file = "old"`, "ANIPROXY_ZENDESK_CLIENT_SECRET=in-the-variable", "in-the-variable"},
		{"as a file, over a file that the file names", `client_secret_file = "old"`, "ANIPROXY_ZENDESK_CLIENT_SECRET_FILE=new", "from-the-new-file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := load("config.toml", []byte("[zendesk]\nclient_id = \"a\"\n"+tc.doc+"\n"), []string{tc.env}, read)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Zendesk.ClientSecret.Reveal(); got != tc.want {
				t.Errorf("the secret is %q, want %q", got, tc.want)
			}
		})
	}
	want := []string{"environment: ANIPROXY_ZENDESK_CLIENT_SECRET_FILE: must not stand beside client_secret: give one of the two"}
	got := messages(t, "[zendesk]\nclient_id = \"a\"\n", "ANIPROXY_ZENDESK_CLIENT_SECRET=a-secret", "ANIPROXY_ZENDESK_CLIENT_SECRET_FILE=new")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("both in the environment (-want +got):\n%s", diff)
	}
}

func TestNoFormatShowsASecret(t *testing.T) {
	const secret = "correct-horse-battery-staple"
	c := loadText(t, `
		[[clients]]
		name = "webex"
		secret_sha256 = "`+digestOf("c")+`"
		scopes = "lookup"
		[zendesk]
		subdomain = "acme"
		client_id = "aniproxy"
		client_secret = "`+secret+`"
		email = "maria@example.com"
		api_token = "`+secret+`"
		[webhook]
		secrets = "`+secret+`"
	`)
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("loaded", "config", c, "secret", c.Zendesk.ClientSecret)
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"%v": fmt.Sprintf("%v", c), "%+v": fmt.Sprintf("%+v", *c), "%#v": fmt.Sprintf("%#v", *c), "%s": fmt.Sprintf("%s", c.Webhook.Secrets),
		"%q of a digest": fmt.Sprintf("%q", c.Clients[0].SecretSHA256[0]),
		"slog":           log.String(), "JSON": string(asJSON), "Effective": c.Effective(), "Warnings": strings.Join(c.Warnings(), "\n"),
	} {
		if strings.Contains(text, secret) || strings.Contains(text, strings.Repeat("c", 8)) || strings.Contains(text, "204") {
			t.Errorf("%s shows a secret or its digest: %s", name, text)
		}
	}
}

func TestNoMessageRepeatsASecret(t *testing.T) {
	const secret = "correct horse battery staple"
	for _, doc := range []string{
		"[zendesk]\nclient_secret = \"" + secret + "\"\n",
		"[zendesk]\napi_token = [\"" + secret + "\"]\n",
		"[zendesk]\nbase_url = \"https://me:correct-horse@example.com\"\n",
		"[webhook]\nsecrets = [\"" + secret + "\"]\n",
		"[[clients]]\nname = \"a\"\nscopes = \"lookup\"\nsecret_sha256 = \"" + secret + "\"\n",
	} {
		got := strings.Join(messages(t, doc), "\n")
		if got == "" || strings.Contains(got, "correct") {
			t.Errorf("the message of a secret at fault is %q", got)
		}
	}
}
