package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"
)

// The walks through the routes take them from Echo's own tables, of both
// listeners: what is served is what is asked, whatever our table says.

// settings are those in which the routes differ.
var settings = []struct {
	name   string
	change func(*Options)
}{
	{"usual", withClients},
	{"with webhooks", func(o *Options) { withClients(o); withSecrets(o) }},
	{"one listener for all", func(o *Options) { withClients(o); withSecrets(o); o.AdminSame = true }},
	{"an admin listener on loopback", func(o *Options) { withClients(o); withSecrets(o); o.AdminLoopback = true }},
}

// listener is one of a world's two.
type listener struct {
	name    string
	address string
	echo    *echo.Echo
	admin   bool // has the admin's routes
}

func (w *world) listeners() []listener {
	return []listener{
		{"public", w.public.Listener.Addr().String(), w.Server.public, w.o.AdminSame},
		{"admin", w.admin.Listener.Addr().String(), w.Server.admin, true},
	}
}

// served are the rows of our table behind what Echo serves.
func (w *world) served(t *testing.T, l listener) []*route {
	t.Helper()
	var rows []*route
	for _, r := range l.echo.Routes() {
		i := slices.IndexFunc(w.table, func(row *route) bool { return row.method == r.Method && row.echoPath() == r.Path })
		if i < 0 {
			t.Fatalf("the %s listener serves %s %s, which is not in the table", l.name, r.Method, r.Path)
		}
		rows = append(rows, w.table[i])
	}
	if len(rows) < 10 {
		t.Fatalf("the %s listener serves %d routes: the walk must be broken", l.name, len(rows))
	}
	return rows
}

// unstated are the faults of what Echo serves: what our table does not have,
// or has without a scope, or has for the admin's listener alone.
func unstated(e *echo.Echo, table []*route, admin bool) (faults []string) {
	stated := map[string]*route{}
	for _, r := range table {
		if r.scope != Open && r.scope != Signed && !slices.Contains(Scopes(), r.scope) {
			faults = append(faults, r.method+" "+r.path+" states no scope")
		}
		stated[r.method+" "+r.echoPath()] = r
	}
	for _, r := range e.Routes() {
		row, ok := stated[r.Method+" "+r.Path]
		switch delete(stated, r.Method+" "+r.Path); {
		case !ok:
			faults = append(faults, r.Method+" "+r.Path+" is not in the table")
		case row.admin && !admin:
			faults = append(faults, r.Method+" "+r.Path+" is the admin's")
		}
	}
	for name, r := range stated {
		if admin || !r.admin {
			faults = append(faults, name+" is not served")
		}
	}
	for host := range e.Routers() {
		faults = append(faults, "the host "+host+" has routes of its own")
	}
	slices.Sort(faults)
	return faults
}

func TestEveryRouteStatesItsScope(t *testing.T) {
	for _, setting := range settings {
		t.Run(setting.name, func(t *testing.T) {
			w := newWorld(t, setting.change)
			for _, l := range w.listeners() {
				if faults := unstated(l.echo, w.table, l.admin); faults != nil {
					t.Errorf("the %s listener: %q", l.name, faults)
				}
			}
		})
	}
	t.Run("and the walk finds what does not", func(t *testing.T) {
		w := newWorld(t, withClients)
		nothing := func(echo.Context) error { return nil }
		w.Server.public.GET("/v1/back-door", nothing)
		w.Server.public.Any("/v1/stats", nothing)
		w.Server.public.RouteNotFound("/*", nothing)
		w.Server.public.Host("other.example").GET("/", nothing)
		w.table[0].scope = ""
		w.table[1].scope = "everybody"
		got := strings.Join(unstated(w.Server.public, w.table, false), "\n")
		for _, want := range []string{
			"GET /v1/back-door is not in", "GET /v1/stats is the admin's", "PATCH /v1/stats is not in", "/* is not in", "the host other.example", "GET /v1/lookup states no scope", "POST /v1/lookup states no scope",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("%q is not among\n%s", want, got)
			}
		}
	})
}

// ran are the handlers that ran, behind their guards.
type ran struct {
	mu   sync.Mutex
	rows []*route
}

// record has every handler of a world note that it runs.
func (w *world) record() *ran {
	all := &ran{}
	for _, r := range w.table {
		handle := r.handle
		r.handle = func(c *call) error {
			all.mu.Lock()
			all.rows = append(all.rows, r)
			all.mu.Unlock()
			return handle(c)
		}
	}
	return all
}

// since are those that ran since it was last asked, but the open ones.
func (r *ran) since() (rows []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, row := range r.rows {
		if row.scope != Open {
			rows = append(rows, row.method+" "+row.path)
		}
	}
	r.rows = nil
	return rows
}

// asWritten sends a request as it is written and reads the whole answer; its date,
// which is the machine's, is left out.
func asWritten(t *testing.T, address, line, key string, headers ...string) (status int, answer string) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(headers, func(h string) bool { return strings.HasPrefix(h, "Host:") }) {
		headers = append(headers, "Host: "+address)
	}
	if key != "" {
		headers = append(headers, "Authorization: Bearer "+secretOf(key))
	}
	method, _, _ := strings.Cut(line, " ")
	if method == http.MethodPost || method == http.MethodPut {
		headers = append(headers, "Content-Type: application/json", "Content-Length: 11", "Connection: close", "", `{"ani":"5"}`)
	} else {
		headers = append(headers, "Connection: close", "", "")
	}
	if _, err := io.WriteString(conn, line+" HTTP/1.1\r\nX-Request-Id: walk\r\n"+strings.Join(headers, "\r\n")); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(string(all))), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s: %v in %q", line, err, all)
	}
	res.Body.Close()
	return res.StatusCode, strings.Replace(string(all), "\r\nDate: "+res.Header.Get("Date"), "", 1)
}

// line asks a route.
func (r *route) line() string { return r.method + " " + pathOf(r) }

// openTo tells a route that needs no key, by what the contract says of it.
func openTo(w *world, l listener, r *route) bool {
	return r.scope == Open || r.path == "/metrics" && l.name == "admin" && w.o.AdminLoopback && !w.o.AdminSame
}

// Each route of each listener is asked without a key, with a key of each other
// scope and with the one it is for, over real sockets.
func TestScopesHoldOnEveryRoute(t *testing.T) {
	for _, setting := range settings {
		w := newWorld(t, setting.change)
		ran := w.record()
		for _, l := range w.listeners() {
			for _, r := range w.served(t, l) {
				t.Run(fmt.Sprintf("%s: %s: %s %s", setting.name, l.name, r.method, r.path), func(t *testing.T) {
					w.tick(time.Minute)
					status, _ := asWritten(t, l.address, r.line(), "")
					ran.since()
					switch {
					case openTo(w, l, r):
						if status == http.StatusUnauthorized || status == http.StatusForbidden {
							t.Errorf("without a key: status %d", status)
						}
						return
					case r.scope == Signed:
						for _, key := range append([]string{"", "all"}, scopeNames()...) {
							if status, _ := asWritten(t, l.address, r.line(), key); status != http.StatusUnauthorized {
								t.Errorf("not signed, with the key %q: status %d", key, status)
							}
						}
						return
					case status != http.StatusUnauthorized:
						t.Errorf("without a key: status %d", status)
					}
					for _, scope := range scopeNames() {
						status, _ := asWritten(t, l.address, r.line(), scope)
						went := ran.since()
						if scope == string(r.scope) {
							if status == http.StatusUnauthorized || status == http.StatusForbidden || len(went) != 1 {
								t.Errorf("with the scope %s: status %d, %q ran", scope, status, went)
							}
						} else if status != http.StatusForbidden || went != nil {
							t.Errorf("with the scope %s: status %d, %q ran", scope, status, went)
						}
					}
				})
			}
		}
	}
}

func scopeNames() (names []string) {
	for _, scope := range Scopes() {
		names = append(names, string(scope))
	}
	return names
}

// methods are all there are, and some that are none.
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodTrace, http.MethodConnect,
	"PROPFIND", "get", "ANY", "_",
}

// Whoever asks the public listener for an admin route is told what they are
// told of a path that never was, to the byte, whatever the method and the key.
func TestAdminRoutesDoNotExistOnThePublicListener(t *testing.T) {
	w := newWorld(t, func(o *Options) { withClients(o); withSecrets(o) })
	ran := w.record()
	public, admin := w.listeners()[0], w.listeners()[1]
	never := map[string]string{}
	for _, method := range methods {
		for _, key := range []string{"", "admin", "stats", "all"} {
			_, never[method+key] = asWritten(t, public.address, method+" /never-was", key)
			if !strings.HasPrefix(never[method+key], "HTTP/1.1 404 ") {
				t.Fatalf("%s of a path that never was: %s", method, never[method+key])
			}
		}
	}
	walked := 0
	for _, r := range w.served(t, admin) {
		if !r.admin {
			continue
		}
		walked++
		t.Run(r.method+" "+r.path, func(t *testing.T) {
			for _, method := range methods {
				for _, key := range []string{"", "admin", "stats", "all"} {
					_, got := asWritten(t, public.address, method+" "+pathOf(r), key)
					if diff := cmp.Diff(never[method+key], got); diff != "" {
						t.Errorf("%s with the key %q (-a path that never was +this one):\n%s", method, key, diff)
					}
				}
			}
			if went := ran.since(); went != nil {
				t.Errorf("%q ran", went)
			}
		})
	}
	if walked < 5 {
		t.Errorf("%d admin routes: the walk must be broken", walked)
	}
}

// Methods that a path does not have say nothing but which it has.
func TestOtherMethodsGiveNothingAway(t *testing.T) {
	w := newWorld(t, func(o *Options) { withClients(o); withSecrets(o) })
	ran := w.record()
	for _, l := range w.listeners() {
		rows := w.served(t, l)
		has := map[string]bool{}
		for _, r := range rows {
			has[r.method+" "+r.path] = true
		}
		for _, r := range rows {
			t.Run(l.name+": "+r.method+" "+r.path, func(t *testing.T) {
				for _, method := range methods {
					if has[method+" "+r.path] {
						continue
					}
					status, got := asWritten(t, l.address, method+" "+pathOf(r), "", "X-Probe: given-away")
					if head := method == http.MethodHead && has["GET "+r.path] && r.scope == ScopeZendesk; head {
						if status != http.StatusUnauthorized { // Zendesk's answer HEAD, which needs the same key
							t.Errorf("HEAD without a key: status %d", status)
						}
					} else if status != http.StatusNotFound && status != http.StatusMethodNotAllowed {
						t.Errorf("%s without a key: status %d", method, status)
					} else if _, with := asWritten(t, l.address, method+" "+pathOf(r), "all", "X-Probe: given-away"); with != got {
						t.Errorf("%s is answered otherwise with a key:\n%s", method, cmp.Diff(got, with))
					}
					if strings.Contains(got, "given-away") || strings.Contains(got, "Access-Control") || strings.Contains(got, "Location:") {
						t.Errorf("%s: %s", method, got)
					}
					if _, body, _ := strings.Cut(got, "\r\n\r\n"); method == http.MethodHead && body != "" {
						t.Errorf("HEAD has the body %q", body)
					}
				}
				if went := ran.since(); went != nil {
					t.Errorf("%q ran", went)
				}
			})
		}
	}
}

// tricks are other spellings of a path, by which somebody might get past what
// stands before a handler.
func tricks(path string) []string {
	bare, query, _ := strings.Cut(path, "?")
	all := []string{
		bare, "/" + bare, "//" + bare, strings.ReplaceAll(bare, "/", "//"), "/." + bare, strings.ReplaceAll(bare, "/", "/./"), "/x/.." + bare, "/healthz/.." + bare,
		"/healthz/../" + bare, "/healthz/%2e%2e" + bare, "/healthz%2f.." + bare, "/healthz/..;" + bare, "/..;" + bare, "/%2e%2e" + bare, "/%2e" + bare, "/%252e%252e" + bare,
		"/" + strings.ReplaceAll(bare[1:], "/", "%2f"), "/" + strings.ReplaceAll(bare[1:], "/", "%2F"), "/" + strings.ReplaceAll(bare[1:], "/", "%252f"), `/healthz\..` + bare, "/healthz%5c.." + bare,
		"/" + strings.ReplaceAll(bare[1:], "/", `\`), bare + "/", bare + "//", bare + "/.", bare + "/..", bare + "/x/..", bare + ";", bare + ";a=b", "/;" + bare, "/healthz;" + bare, bare + ".json", bare + ".JSON",
		bare + "%00", bare + "%20", bare + "%0d%0aX-Y:z", bare + "%09", bare + "%3f", bare + "%23", bare + "*", bare + "~", strings.ToUpper(bare), strings.ToUpper(bare[:2]) + bare[2:],
		fmt.Sprintf("/%%%02x%s", bare[1], bare[2:]), fmt.Sprintf("%s%%%02x", bare[:len(bare)-1], bare[len(bare)-1]), "/%c0%af" + bare[1:], "/\uff0f" + bare[1:],
		"http://localhost" + bare, "http://evil.example" + bare, "http://admin@localhost" + bare, "https://127.0.0.1:8081" + bare, "http://localhost/" + bare, "http://localhost/healthz/.." + bare,
		"/healthz?" + bare, "/healthz%3f/.." + bare, "/openapi.yaml/" + bare, "/api/v2/.." + bare, "//api/v2/.." + bare, "/api/v2/%2e%2e" + bare, "/api/v2" + bare, "/api/v2" + bare + ".json",
	}
	if query != "" {
		for i := range all {
			all[i] += "?" + query
		}
	}
	return all
}

// No spelling of a path leads to a handler past its guard.
func TestNoTrickOfAPathGetsPastAGuard(t *testing.T) {
	for _, setting := range settings[1:3] {
		w := newWorld(t, setting.change)
		ran := w.record()
		for _, l := range w.listeners() {
			if l.name == "admin" && w.o.AdminSame {
				continue // it is the public one
			}
			for _, r := range w.table { // the admin's too, on the listener that has none
				if r.scope == Open || r.scope == Signed {
					continue
				}
				t.Run(fmt.Sprintf("%s: %s: %s %s", setting.name, l.name, r.method, r.path), func(t *testing.T) {
					w.tick(time.Minute)
					weak := map[bool]string{true: "comment", false: "stats"}[r.scope == ScopeStats]
					for _, path := range tricks(pathOf(r)) {
						for _, key := range []string{"", weak} {
							status, got := asWritten(t, l.address, r.method+" "+path, key)
							if went := ran.since(); went != nil {
								t.Errorf("%s with the key %q: %q ran", path, key, went)
							}
							open := strings.Contains(path, "/healthz?") && r.method == http.MethodGet
							if status < 400 && !open || strings.Contains(got, "Location:") {
								t.Errorf("%s with the key %q: %s", path, key, got)
							}
						}
						if l.admin || !r.admin {
							continue
						}
						if asWritten(t, l.address, r.method+" "+path, "all"); len(ran.rows) > 0 {
							for _, row := range ran.rows {
								if row.admin {
									t.Errorf("%s on the public listener: %s %s ran", path, row.method, row.path)
								}
							}
							ran.since()
						}
					}
				})
			}
		}
	}
}

// Headers by which proxies and frameworks say that another path or method is
// meant are not read.
func TestHeadersNameNoOtherRoute(t *testing.T) {
	w := newWorld(t, func(o *Options) { withClients(o); withSecrets(o) })
	ran := w.record()
	for _, l := range w.listeners() {
		for _, r := range w.table {
			if r.scope == Open || r.scope == Signed {
				continue
			}
			t.Run(l.name+": "+r.method+" "+r.path, func(t *testing.T) {
				path := pathOf(r)
				for _, header := range []string{"X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X-Forwarded-Uri", "X-Forwarded-Path", "X-Forwarded-Prefix", "X-Override-URL", "Destination", "Referer"} {
					for _, key := range []string{"", "all"} {
						if status, got := asWritten(t, l.address, "GET /healthz", key, header+": "+path); status != http.StatusOK || ran.since() != nil {
							t.Errorf("%s with the key %q: %s", header, key, got)
						}
					}
				}
				for _, header := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
					for _, method := range methods {
						status, got := asWritten(t, l.address, method+" "+path, "", header+": "+r.method)
						if status < 400 || ran.since() != nil {
							t.Errorf("%s as %s by %s: %s", method, r.method, header, got)
						}
						if method == r.method {
							continue
						}
						asWritten(t, l.address, method+" "+path, "all", header+": "+r.method)
						if went := ran.since(); slices.Contains(went, r.method+" "+r.path) && (method != http.MethodHead || r.scope != ScopeZendesk) {
							t.Errorf("%s as %s by %s: %q ran", method, r.method, header, went)
						}
					}
				}
			})
		}
	}
}

// Without a client no route of either listener answers what was handed on, or
// comes by another's name, or from another's page.
func TestLocalRulesHoldOnEveryRoute(t *testing.T) {
	for _, demo := range []bool{false, true} {
		w := newWorld(t, func(o *Options) { withSecrets(o); o.DemoAll, o.AdminLoopback = demo, true })
		ran := w.record()
		for _, l := range w.listeners() {
			for _, r := range w.served(t, l) {
				t.Run(fmt.Sprintf("demo %v: %s: %s %s", demo, l.name, r.method, r.path), func(t *testing.T) {
					for _, header := range []string{
						"Host: evil.example", "Host: 192.168.0.5:8080", "Host: localhost.evil.example", "Host: 127.0.0.1.evil.example", "Host:",
						"Origin: https://evil.example", "Origin: null", "Origin: http://localhost.evil.example",
						"Forwarded: for=127.0.0.1", "Via: 1.1 proxy", "X-Real-IP: 127.0.0.1", "X-Forwarded-For: 127.0.0.1", "x-forwarded-host: localhost", "X-Forwarded-Proto: https", "X-Forwarded-Anything: x",
					} {
						for _, key := range []string{"", "all"} { // a key opens nothing where there are none
							status, got := asWritten(t, l.address, r.line(), key, header)
							if status != http.StatusForbidden || len(ran.rows) > 0 {
								t.Errorf("%s: %s", header, got)
							}
							ran.since()
						}
					}
					status, got := asWritten(t, l.address, r.line(), "", "Origin: http://127.0.0.1:8081")
					granted := demo || slices.Contains([]Scope{Open, Signed, ScopeLookup, ScopeZendesk, ScopeStats}, r.scope)
					if (status == http.StatusForbidden) == granted || (len(ran.rows) == 1) != granted {
						t.Errorf("from this machine: %s", got)
					}
					ran.since()
				})
			}
		}
	}
}

// The metrics of an admin listener on loopback are open to this machine alone.
func TestOpenMetricsAreForThisMachine(t *testing.T) {
	w := newWorld(t, settings[3].change)
	ran := w.record()
	for _, l := range w.listeners() {
		for _, header := range []string{"Host: evil.example", "Origin: https://evil.example", "Forwarded: for=127.0.0.1", "Via: 1.1 proxy", "X-Real-IP: 127.0.0.1", "X-Forwarded-For: 127.0.0.1"} {
			want := map[string]int{"public": http.StatusNotFound, "admin": http.StatusUnauthorized}[l.name]
			if status, got := asWritten(t, l.address, "GET /metrics", "", header); status != want || ran.since() != nil {
				t.Errorf("the %s listener, %s: %s", l.name, header, got)
			}
		}
	}
}
