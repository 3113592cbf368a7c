package proxy

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTheDescriptionIsTheTable compares each row with openapi.yaml.
func TestTheDescriptionIsTheTable(t *testing.T) {
	doc, err := loadDescription()
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		Scope any
		Admin any
	}
	described, table := map[string]row{}, map[string]row{}
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			admin := operation.Extensions["x-admin"]
			if admin == nil {
				admin = false
			}
			described[method+" "+path] = row{operation.Extensions["x-scope"], admin}
		}
	}
	for _, r := range newWorld(t, withSecrets).routes() {
		table[r.method+" "+r.path] = row{string(r.scope), r.admin}
	}
	if diff := cmp.Diff(table, described); diff != "" {
		t.Errorf("the routes (-table +openapi.yaml):\n%s", diff)
	}
	lookup := doc.Components.Schemas["Lookup"].Value
	if diff := cmp.Diff(fieldNames[:], lookup.Required); diff != "" {
		t.Errorf("the fields (-table +openapi.yaml):\n%s", diff)
	}
}

// pathOf is a path that a route answers.
func pathOf(r *route) string {
	path := strings.Replace(r.path, "{id}", "9007199254740993", 1)
	if r.scope == ScopeLookup || strings.HasSuffix(r.path, "/explain") {
		return path + "?ani=5"
	}
	return path
}

func TestWhoMayDoWhat(t *testing.T) {
	w := newWorld(t, func(o *Options) { withClients(o); withSecrets(o) })
	for _, r := range w.routes() {
		t.Run(r.method+" "+r.path, func(t *testing.T) {
			body := ""
			if r.method == http.MethodPost {
				body = `{"ani":"5"}`
			}
			ask := func(client string) *reply {
				return send(t, request(t, r.method, w.admin.URL+pathOf(r), body, client))
			}
			if r.scope == Open {
				if got := ask(""); got.status == http.StatusUnauthorized {
					t.Error("it needs a key")
				}
				return
			}
			if r.scope == Signed { // no key opens it, and none is needed
				for _, client := range []string{"", "all"} {
					got := ask(client)
					got.detail(t, http.StatusUnauthorized)
					if scheme := got.header.Get("WWW-Authenticate"); !strings.HasPrefix(scheme, "Zendesk-Webhook-Signature ") {
						t.Errorf("WWW-Authenticate %q", scheme)
					}
				}
				return
			}
			detail := (*reply).detail
			if r.scope == ScopeZendesk {
				detail = (*reply).envelope
			}
			got := ask("")
			detail(got, t, http.StatusUnauthorized)
			want := []string{`Basic realm="aniproxy", charset="UTF-8"`, `Bearer realm="aniproxy"`}
			if diff := cmp.Diff(want, got.header.Values("WWW-Authenticate")); diff != "" {
				t.Errorf("WWW-Authenticate (-want +got):\n%s", diff)
			}
			for _, scope := range Scopes() {
				got := ask(string(scope))
				if scope == r.scope {
					if got.status == http.StatusUnauthorized || got.status == http.StatusForbidden || got.status >= http.StatusInternalServerError {
						t.Errorf("with the scope %s: status %d", scope, got.status)
					}
				} else if why := detail(got, t, http.StatusForbidden); !strings.Contains(why, "scope "+string(r.scope)+",") {
					t.Errorf("with the scope %s: %s", scope, why)
				}
			}
		})
	}
}

func TestKeys(t *testing.T) {
	short := strings.Repeat("x", 31)
	w := newWorld(t, func(o *Options) {
		rolling := newClient("webex", "lookup")
		rolling.Digests = append(rolling.Digests, sha256.Sum256([]byte(secretOf("next"))), sha256.Sum256([]byte(short)))
		o.Clients = []Client{rolling, newClient("other", "lookup")}
	})
	basic := func(name, secret string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(name, secret) }
	}
	header := func(value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", value) }
	}
	good := secretOf("webex")
	tests := []struct {
		name string
		set  func(*http.Request)
		ok   bool
	}{
		{"Basic with name and secret", basic("webex", good), true},
		{"Basic with the secret that replaces it", basic("webex", secretOf("next")), true},
		{"Bearer", header("Bearer " + good), true},
		{"the scheme in other letters", header("bEARER  " + good), true},
		{"another client's", header("Bearer " + secretOf("other")), true},
		{"nothing", func(*http.Request) {}, false},
		{"Basic with another client's name", basic("other", good), false},
		{"Basic without a name", basic("", good), false},
		{"Basic with a wrong secret", basic("webex", good+"x"), false},
		{"Basic that is no base64", header("Basic !"), false},
		{"Basic without a colon", header("Basic " + "d2ViZXg="), false},
		{"a wrong secret", header("Bearer " + strings.ToUpper(good)), false},
		{"an empty secret", header("Bearer "), false},
		{"a secret that is too short, though configured", header("Bearer " + short), false},
		{"another scheme", header("Digest " + good), false},
		{"the secret alone", header(good), false},
		{"the digest for the secret", header("Bearer " + "\x00"), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w.tick(forgiveEvery) // so that none of them waits
			r := request(t, http.MethodGet, w.public.URL+"/v1/lookup?ani=5", "", "")
			if tt.set(r); strings.Contains(r.Header.Get("Authorization"), "\x00") {
				digest := sha256.Sum256([]byte(good))
				r.Header.Set("Authorization", "Bearer "+strings.Map(func(c rune) rune { return 'a' + c%26 }, string(digest[:])))
			}
			got := send(t, r)
			if want := map[bool]int{true: 200, false: 401}[tt.ok]; got.status != want {
				t.Errorf("status %d, want %d", got.status, want)
			}
		})
	}
}

func TestRate(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		c := newClient("busy", "lookup")
		c.Rate, c.Burst = 2, 3
		o.Clients = []Client{c, newClient("other", "lookup")}
	})
	ask := func(client string) *reply { return w.get(t, "/v1/lookup?ani=5", client) }
	for i := range 3 {
		if got := ask("busy"); got.status != http.StatusOK {
			t.Errorf("request %d of the burst: status %d", i+1, got.status)
		}
	}
	refused := ask("busy")
	refused.detail(t, http.StatusTooManyRequests)
	if after := refused.header.Get("Retry-After"); after != "1" {
		t.Errorf("Retry-After is %q", after)
	}
	if got := ask("other"); got.status != http.StatusOK {
		t.Errorf("another client: status %d", got.status)
	}
	w.tick(1e9)
	if got := ask("busy"); got.status != http.StatusOK {
		t.Errorf("a second later: status %d", got.status)
	}
}

func TestOptionsThatAreRefused(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"no resolver", func(o *Options) { o.Resolver = nil }, "Resolver is required"},
		{"no deadline", func(o *Options) { o.Deadline = 0 }, "Deadline is required"},
		{"a demo with clients", func(o *Options) { withClients(o); o.DemoAll = true }, "DemoAll"},
		{"no eraser", func(o *Options) { o.Eraser = nil }, "Eraser is required"},
		{"webhooks that nobody takes in", func(o *Options) { withSecrets(o); o.Notices = nil }, "Notices is required"},
		{"a webhook's secret that is empty", func(o *Options) { o.WebhookSecrets = []string{"one", ""} }, "WebhookSecrets"},
		{"an order that is none", func(o *Options) { o.TicketPolicy.Order = "id" }, "TicketPolicy.Order"},
		{"an agent base without a scheme", func(o *Options) { o.AgentBase = "acme.zendesk.com" }, "AgentBase"},
		{"an agent base that breaks JSON", func(o *Options) { o.AgentBase = `https://acme"` }, "AgentBase"},
		{"an agent base that leaves no room", func(o *Options) { o.AgentBase = "https://" + strings.Repeat("a", 200) }, "AgentBase"},
		{"a client without a name", func(o *Options) { o.Clients = []Client{newClient("", "lookup")} }, "name of its own"},
		{"two of the same name", func(o *Options) { o.Clients = []Client{newClient("a", "lookup"), newClient("a", "lookup")} }, "name of its own"},
		{"two of the same secret", func(o *Options) {
			o.Clients = []Client{newClient("a", "lookup"), newClient("b", "lookup")}
			o.Clients[1].Digests = o.Clients[0].Digests
		}, `client "b"`},
		{"a client without a secret", func(o *Options) { o.Clients = []Client{newClient("a", "lookup")}; o.Clients[0].Digests = nil }, "no digest"},
		{"a client without a scope", func(o *Options) { o.Clients = []Client{newClient("a")} }, "no scope"},
		{"a scope that is none", func(o *Options) { o.Clients = []Client{newClient("a", "open")} }, `"open"`},
		{"a field that is none", func(o *Options) {
			o.Clients = []Client{newClient("a", "lookup")}
			o.Clients[0].Fields = []string{"found", "phone"}
		}, `"phone"`},
		{"a client without a rate", func(o *Options) { o.Clients = []Client{newClient("a", "lookup")}; o.Clients[0].Rate = 0 }, "rate"},
		{"a client without different numbers", func(o *Options) { o.Clients = []Client{newClient("a", "lookup")}; o.Clients[0].DistinctPerMinute = 0 }, "distinct_per_minute"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := newWorld(t, nil).o
			tt.change(&o)
			_, err := New(o)
			var wrong *OptionError
			if !errors.As(err, &wrong) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %s", err, tt.want)
			}
		})
	}
	o := newWorld(t, nil).o
	if _, err := New(o); err == nil {
		t.Error("a registry takes the same metrics twice")
	}
}
