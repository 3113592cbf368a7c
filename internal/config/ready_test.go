package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const oauth = "client_id = \"a\"\nclient_secret = \"s\"\n"

func TestTheShippedFileIsValidAndAsksForAnAccount(t *testing.T) {
	c, err := Load(reference, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(c.Warnings(), func(w string) bool { return strings.HasPrefix(w, "No Zendesk account is configured") }) {
		t.Errorf("the warnings do not say that there is no account: %q", c.Warnings())
	}
	var faults *Faults
	if err := c.ReadyToServe(); !errors.As(err, &faults) {
		t.Fatalf("ReadyToServe says %v, want *Faults", err)
	}
	var keys []string
	for _, f := range faults.List {
		keys = append(keys, f.Key)
		if f.Line == 0 || f.File != reference {
			t.Errorf("%s: the place is %s:%d, want its line in %s", f.Key, f.File, f.Line, reference)
		}
	}
	if diff := cmp.Diff([]string{"zendesk.subdomain", "zendesk.client_id"}, keys); diff != "" {
		t.Errorf("keys missing (-want +got):\n%s", diff)
	}
}

func TestReadyToServe(t *testing.T) {
	for _, tc := range []struct{ name, doc, want string }{
		{"an account by its subdomain", "[zendesk]\nsubdomain = \"acme\"\n" + oauth, ""},
		{"the simulator", "[zendesk]\nbase_url = \"http://localhost:9000\"\n" + oauth, ""},
		{"no credentials", "[zendesk]\nsubdomain = \"acme\"\n", "config.toml:1: zendesk.client_id: set client_id and client_secret"},
		{"a certificate that is not there", "[server]\ntls_cert = \"no.pem\"\ntls_key = \"no.key\"\n[zendesk]\nsubdomain = \"acme\"\n" + oauth,
			"config.toml:2: server.tls_cert: the certificate cannot be used: open no.pem: no such file or directory"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := loadText(t, tc.doc).ReadyToServe()
			if tc.want == "" {
				if err != nil {
					t.Errorf("ReadyToServe says %v, want nothing", err)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("ReadyToServe says\n\t%v\nwant\n\t%s", err, tc.want)
			}
		})
	}
}

func TestACertificateThatIsNoneIsSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cert.pem")
	if err := os.WriteFile(path, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := loadText(t, "[zendesk]\nsubdomain = \"acme\"\n"+oauth, "ANIPROXY_SERVER_TLS_CERT="+path, "ANIPROXY_SERVER_TLS_KEY="+path)
	if err := c.ReadyToServe(); err == nil || !strings.HasPrefix(err.Error(), "environment: ANIPROXY_SERVER_TLS_CERT: the certificate cannot be used") {
		t.Errorf("ReadyToServe says %v", err)
	}
}

func TestTheAccountAndItsCredentials(t *testing.T) {
	token := "email = \"maria@example.com\"\napi_token = \"t\"\n"
	for _, tc := range []struct {
		name, doc, origin string
		want              Credential
	}{
		{"nothing", "", "", NoCredential},
		{"a subdomain", "subdomain = \"acme\"\n" + token, "https://acme.zendesk.com", APIToken},
		{"OAuth wins over a token", "subdomain = \"acme\"\n" + token + oauth, "https://acme.zendesk.com", OAuth},
		{"a base URL wins over a subdomain", "subdomain = \"acme\"\nbase_url = \"https://Other.example.com:8443/\"\n" + oauth, "https://other.example.com:8443", OAuth},
		{"http on an IPv6 loopback", "base_url = \"http://[::1]:9000\"\n", "http://[::1]:9000", NoCredential},
	} {
		t.Run(tc.name, func(t *testing.T) {
			z := loadText(t, "[zendesk]\n"+tc.doc).Zendesk
			if got := z.Origin(); got != tc.origin {
				t.Errorf("origin %q, want %q", got, tc.origin)
			}
			if got := z.Credentials(); got != tc.want {
				t.Errorf("credential %q, want %q", got, tc.want)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	client := "[[clients]]\nname = \"a\"\nscopes = \"lookup\"\nsecret_sha256 = \"" + digestOf("a") + "\"\n"
	account := "[zendesk]\nsubdomain = \"acme\"\n"
	for _, tc := range []struct {
		name, doc string
		want      []string // the beginning of each
	}{
		{"nothing to say", client + account + oauth, nil},
		{"no client", account + oauth, []string{"No client is configured"}},
		{"no credentials", client + account, []string{"No Zendesk credentials"}},
		{"an API token", client + account + "email = \"maria@example.com\"\napi_token = \"t\"\n", []string{"zendesk.api_token stops working on 2027-04-30"}},
		{"both credentials", client + account + oauth + "email = \"maria@example.com\"\napi_token = \"t\"\n", []string{"zendesk.client_id and zendesk.client_secret win"}},
		{"both addresses", client + account + "base_url = \"http://localhost\"\n" + oauth, []string{"zendesk.base_url overrides"}},
		{"plain HTTP beyond loopback", "[server]\nlisten = \":8080\"\ninsecure_http = true\n" + client + account + oauth, []string{"server.insecure_http lets"}},
		{"plain HTTP allowed beside a certificate", "[server]\nlisten = \":443\"\nacme_domains = \"a.example.com\"\ninsecure_http = true\n" + client + account + oauth, []string{"server.insecure_http has no effect"}},
		{"certificates fetched by who is reached at port 443", "[server]\nlisten = \":443\"\nacme_domains = \"a.example.com\"\n" + client + account + oauth, nil},
		{"certificates fetched by who listens elsewhere", "[server]\nlisten = \":8443\"\nacme_domains = \"a.example.com\"\n" + client + account + oauth, []string{"server.acme_domains: the certificate authority comes to port 443"}},
		{"certificates fetched by who listens on loopback", "[server]\nacme_domains = \"a.example.com\"\n" + client + account + oauth, []string{"server.acme_domains: the certificate authority comes to port 443"}},
		{"everybody is a proxy", "[server]\ntrusted_proxies = [\"10.0.0.0/8\", \"::/0\"]\n" + client + account + oauth, []string{"server.trusted_proxies contains ::/0"}},
		{"a deadline past Webex's", "[live]\ntimeout = \"2s\"\n" + client + account + oauth, []string{"live.timeout is 2s"}},
		{"a mirror that is always stale", "[sync]\nschedule = \"*/5 * * * *\"\n" + client + account + oauth, []string{"sync.schedule runs every 5m"}},
		{"a mirror that is just in time", "[sync]\nschedule = \"*/4 * * * *\"\n" + client + account + oauth, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := loadText(t, tc.doc).Warnings()
			if len(got) != len(tc.want) {
				t.Fatalf("warnings %q, want %q", got, tc.want)
			}
			for i, w := range tc.want {
				if !strings.HasPrefix(got[i], w) {
					t.Errorf("warning %q, want %q…", got[i], w)
				}
			}
		})
	}
}

func TestReadableFields(t *testing.T) {
	all := LookupFields()
	for _, tc := range []struct {
		name   string
		fields []string
		want   int
	}{
		{"left out", nil, len(all) - 5},
		{"all", []string{"*"}, len(all)},
		{"some", []string{"found", "user_email"}, 2},
	} {
		c := Client{Fields: tc.fields}
		if got := c.Readable(); len(got) != tc.want {
			t.Errorf("%s: %d fields, want %d: %q", tc.name, len(got), tc.want, got)
		}
	}
	if got := (&Client{}).Readable(); slices.Contains(got, "user_email") || slices.Contains(got, "ticket_subject") {
		t.Errorf("a client without fields may read an e-mail or a subject: %q", got)
	}
}
