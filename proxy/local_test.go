package proxy

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestWithoutAClientOnlyThisMachineIsServed(t *testing.T) {
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	host := func(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }
	tests := []struct {
		name   string
		change func(*http.Request)
		ok     bool
	}{
		{"as it comes", func(*http.Request) {}, true},
		{"localhost", host("localhost:8080"), true},
		{"LOCALHOST without a port", host("LocalHost"), true},
		{"another loopback address", host("127.8.8.8:1"), true},
		{"loopback in IPv6", host("[::1]:8080"), true},
		{"loopback in IPv6 without a port", host("[::1]"), true},
		{"IPv4 within IPv6", host("[::ffff:127.0.0.1]:80"), true},
		{"a page of this machine", set("Origin", "http://127.0.0.1:8081"), true},
		{"a key is not looked at", set("Authorization", "Bearer x"), true},
		{"a name that was rebound", host("evil.example:8080"), false},
		{"a name that begins well", host("localhost.evil.example"), false},
		{"a name of an address", host("127.0.0.1.evil.example"), false},
		{"a network's address", host("192.168.0.5:8080"), false},
		{"all addresses", host("0.0.0.0:8080"), false},
		{"Forwarded", set("Forwarded", "for=192.0.2.1"), false},
		{"X-Forwarded-For", set("X-Forwarded-For", "192.0.2.1"), false},
		{"X-Forwarded-Host", set("x-forwarded-host", "localhost"), false},
		{"X-Forwarded of any kind", set("X-Forwarded-Ssl", "on"), false},
		{"Via", set("Via", "1.1 proxy"), false},
		{"X-Real-IP", set("X-Real-IP", "127.0.0.1"), false},
		{"a page of another origin", set("Origin", "https://evil.example"), false},
		{"a picture on a page of another site", set("Sec-Fetch-Site", "cross-site"), false},
		{"a picture on a page of another port", set("Sec-Fetch-Site", "same-site"), false},
		{"an address typed into a browser", set("Sec-Fetch-Site", "none"), true},
		{"a page of no origin", set("Origin", "null"), false},
	}
	for _, mode := range []struct {
		name string
		demo bool
	}{{"serve", false}, {"demo", true}} {
		w := newWorld(t, func(o *Options) { o.DemoAll = mode.demo })
		for _, tt := range tests {
			t.Run(mode.name+": "+tt.name, func(t *testing.T) {
				for _, path := range []string{"/v1/lookup?ani=5", "/healthz", "/nowhere"} {
					r := request(t, http.MethodGet, w.public.URL+path, "", "")
					tt.change(r)
					got := send(t, r)
					if tt.ok == (got.status == http.StatusForbidden) {
						t.Errorf("%s: status %d", path, got.status)
					}
					if !tt.ok {
						if detail := got.detail(t, http.StatusForbidden); !strings.Contains(detail, "without a client configured") {
							t.Errorf("%s: %s", path, detail)
						}
					}
				}
			})
		}
	}
	w := newWorld(t, nil)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/v1/lookup?ani=5", nil)
	r.RemoteAddr = "192.0.2.1:5555"
	answer := httptest.NewRecorder()
	if w.Public().ServeHTTP(answer, r); answer.Code != http.StatusForbidden {
		t.Errorf("from another machine: status %d", answer.Code)
	}
}

func TestWithAClientAnyHostIsServed(t *testing.T) {
	w := newWorld(t, withClients)
	r := request(t, http.MethodGet, w.public.URL+"/v1/lookup?ani=5", "", "lookup")
	r.Host = "ani.example.com"
	r.Header.Set("X-Forwarded-For", "192.0.2.1")
	if got := send(t, r); got.status != http.StatusOK {
		t.Errorf("status %d", got.status)
	}
}

func TestWhatIsGrantedWithoutAClient(t *testing.T) {
	serve := newWorld(t, nil)
	demo := newWorld(t, func(o *Options) { o.DemoAll = true })
	for _, r := range serve.routes() {
		body := ""
		if r.method == http.MethodPost {
			body = `{"ani":"5"}`
		}
		t.Run(r.method+" "+r.path, func(t *testing.T) {
			got := send(t, request(t, r.method, serve.admin.URL+pathOf(r), body, ""))
			if !slices.Contains([]Scope{ScopeLookup, ScopeZendesk, ScopeStats, Open}, r.scope) {
				if detail := got.detail(t, http.StatusForbidden); !strings.Contains(detail, "configure a client") {
					t.Errorf("serve: %s", detail)
				}
			} else if got.status == http.StatusForbidden {
				t.Errorf("serve: status %d: %s", got.status, got.body)
			}
			if got := send(t, request(t, r.method, demo.admin.URL+pathOf(r), body, "")); got.status == http.StatusForbidden {
				t.Errorf("demo: status %d: %s", got.status, got.body)
			}
		})
	}
}

func TestMetricsAreOpenOnALoopbackAdminListener(t *testing.T) {
	w := newWorld(t, func(o *Options) { withClients(o); o.AdminLoopback = true })
	if got := w.get(t, "/metrics", ""); got.status != http.StatusOK {
		t.Errorf("status %d", got.status)
	}
	handedOn := request(t, http.MethodGet, w.admin.URL+"/metrics", "", "")
	handedOn.Header.Set("X-Forwarded-For", "192.0.2.1")
	send(t, handedOn).detail(t, http.StatusUnauthorized)
	w.get(t, "/v1/stats", "").detail(t, http.StatusUnauthorized)

	beyond := newWorld(t, withClients)
	beyond.get(t, "/metrics", "").detail(t, http.StatusUnauthorized)
	same := newWorld(t, func(o *Options) { withClients(o); o.AdminLoopback, o.AdminSame = true, true })
	same.get(t, "/metrics", "").detail(t, http.StatusUnauthorized)
}

func TestAdminRoutesAreNotOnThePublicSide(t *testing.T) {
	apart := newWorld(t, withClients)
	same := newWorld(t, func(o *Options) { withClients(o); o.AdminSame = true })
	for _, r := range apart.routes() {
		body := ""
		if r.method == http.MethodPost {
			body = `{"ani":"5"}`
		}
		here := !unrouted(send(t, request(t, r.method, apart.public.URL+pathOf(r), body, "all")))
		if here == r.admin {
			t.Errorf("apart: %s %s on the public side: %v", r.method, r.path, here)
		}
		if got := send(t, request(t, r.method, same.public.URL+pathOf(r), body, "all")); unrouted(got) {
			t.Errorf("same: %s %s is not on the public side", r.method, r.path)
		}
	}
}

// unrouted tells an answer of the router's from a handler's own 404.
func unrouted(r *reply) bool {
	return r.status == http.StatusNotFound && strings.Contains(string(r.body), "nothing at this path")
}

// A list for Webex must not shut out whoever is on the machine and looks after
// the daemon.
func TestNetworksDoNotShutOutALoopbackAdmin(t *testing.T) {
	for name, tt := range map[string]struct {
		loopback, same bool
		want           int
	}{
		"an admin listener on loopback":   {true, false, http.StatusOK},
		"one that is reached from beyond": {false, false, http.StatusForbidden},
		"none of its own":                 {true, true, http.StatusForbidden},
	} {
		w := newWorld(t, func(o *Options) {
			withClients(o)
			o.AllowCIDRs = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
			o.AdminLoopback, o.AdminSame = tt.loopback, tt.same
		})
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/stats", nil)
		r.RemoteAddr = "127.0.0.1:5"
		r.Header.Set("Authorization", "Bearer "+secretOf("all"))
		answer := httptest.NewRecorder()
		w.Admin().ServeHTTP(answer, r)
		if answer.Code != tt.want {
			t.Errorf("%s: status %d, want %d", name, answer.Code, tt.want)
		}
	}
}

func TestNetworks(t *testing.T) {
	prefixes := func(texts ...string) (p []netip.Prefix) {
		for _, text := range texts {
			p = append(p, netip.MustParsePrefix(text))
		}
		return p
	}
	tests := []struct {
		name           string
		allow, trusted []netip.Prefix
		peer           string
		forwarded      []string
		ok             bool
	}{
		{"no list serves all", nil, nil, "192.0.2.1:1", nil, true},
		{"within", prefixes("192.0.2.0/24"), nil, "192.0.2.1:1", nil, true},
		{"within, as IPv4 in IPv6", prefixes("192.0.2.0/24"), nil, "[::ffff:192.0.2.1]:1", nil, true},
		{"within, with a zone", prefixes("fe80::/10"), nil, "[fe80::1%eth0]:1", nil, true},
		{"outside", prefixes("192.0.2.0/24"), nil, "198.51.100.1:1", nil, false},
		{"no address", prefixes("192.0.2.0/24"), nil, "pipe", nil, false},
		{"what anybody writes is not believed", prefixes("192.0.2.0/24"), nil, "198.51.100.1:1", []string{"192.0.2.1"}, false},
		{"what a trusted proxy writes is", prefixes("192.0.2.0/24"), prefixes("10.0.0.0/8"), "10.0.0.1:1", []string{"192.0.2.1"}, true},
		{"and not what stands before it", prefixes("192.0.2.0/24"), prefixes("10.0.0.0/8"), "10.0.0.1:1", []string{"192.0.2.1, 198.51.100.1"}, false},
		{"through two trusted proxies", prefixes("192.0.2.0/24"), prefixes("10.0.0.0/8"), "10.0.0.1:1", []string{"192.0.2.1", "10.0.0.2"}, true},
		{"a trusted proxy that writes nothing", prefixes("192.0.2.0/24"), prefixes("10.0.0.0/8"), "10.0.0.1:1", nil, false},
		{"a trusted proxy that writes junk", prefixes("192.0.2.0/24"), prefixes("10.0.0.0/8"), "10.0.0.1:1", []string{"192.0.2.1, unknown"}, false},
		{"a trusted proxy that comes as IPv4 in IPv6", prefixes("192.0.2.0/24"), prefixes("10.0.0.0/8"), "[::ffff:10.0.0.1]:1", []string{"192.0.2.1"}, true},
		{"a trusted proxy that writes IPv4 in IPv6", prefixes("192.0.2.0/24"), prefixes("10.0.0.0/8"), "10.0.0.1:1", []string{"::ffff:192.0.2.1"}, true},
		{"a trusted proxy that writes a zone", prefixes("fe80::/10"), prefixes("10.0.0.0/8"), "10.0.0.1:1", []string{"fe80::1%eth0"}, true},
		{"a trusted proxy that writes one from outside", prefixes("192.0.2.0/24"), prefixes("10.0.0.0/8"), "10.0.0.1:1", []string{"::ffff:198.51.100.1"}, false},
		{"a trusted proxy that writes a port", prefixes("192.0.2.0/24"), prefixes("10.0.0.0/8"), "10.0.0.1:1", []string{"192.0.2.1:5"}, true},
		{"a trusted proxy that writes IPv6 in brackets", prefixes("2001:db8::/32"), prefixes("10.0.0.0/8"), "10.0.0.1:1", []string{"[2001:db8::1]"}, true},
		{"a trusted proxy that writes IPv6 with a port", prefixes("2001:db8::/32"), prefixes("10.0.0.0/8"), "10.0.0.1:1", []string{"[2001:db8::1]:5"}, true},
		{"what anybody writes of a trusted proxy", prefixes("192.0.2.0/24"), prefixes("10.0.0.0/8"), "198.51.100.1:1", []string{"192.0.2.1, 10.0.0.1"}, false},
		{"IPv6 outside, though its last bits are within", prefixes("192.0.2.0/24"), nil, "[2001:db8::192.0.2.1]:1", nil, false},
		{"outside, with a zone", prefixes("fd00::/8"), nil, "[fe80::1%eth0]:1", nil, false},
		{"a trusted proxy of the list itself", prefixes("10.0.0.0/8"), prefixes("10.0.0.0/8"), "10.0.0.1:1", []string{"10.0.0.9"}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(o *Options) { withClients(o); o.AllowCIDRs, o.TrustedProxies = tt.allow, tt.trusted })
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/lookup?ani=5", nil)
			r.RemoteAddr = tt.peer
			r.Header["X-Forwarded-For"] = tt.forwarded
			r.Header.Set("Authorization", "Bearer "+secretOf("lookup"))
			answer := httptest.NewRecorder()
			w.Public().ServeHTTP(answer, r)
			if want := map[bool]int{true: 200, false: 403}[tt.ok]; answer.Code != want {
				t.Errorf("status %d, want %d", answer.Code, want)
			}
		})
	}
}

// FuzzOrigin writes anything before what a trusted proxy wrote, in as many
// headers as it likes: the address that the proxy saw is the one that counts.
// Of anybody else nothing is believed at all.
func FuzzOrigin(f *testing.F) {
	for _, forged := range []string{
		"", "198.51.100.7", "198.51.100.7, 10.0.0.5", "10.0.0.5,10.0.0.6", ",", ",,,", "for=198.51.100.7", "198.51.100.7:80", "[2001:db8::1]", "fe80::1%eth0,", "::ffff:10.0.0.1",
		"unknown\n198.51.100.7", "\x00", "198.51.100.7\n\n", "1.2.3.4 ", "\u00a0192.0.2.9", strings.Repeat("10.0.0.5,", 1000),
	} {
		f.Add(forged, "203.0.113.5", true)
		f.Add(forged, "2001:db8::5", false)
	}
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	s := &Server{o: Options{TrustedProxies: trusted}}
	f.Fuzz(func(t *testing.T, forged, seen string, sameHeader bool) {
		r := &http.Request{Header: http.Header{"X-Forwarded-For": strings.Split(forged, "\n")}, RemoteAddr: "192.0.2.1:5"}
		if got := s.origin(r); got != addr("192.0.2.1") {
			t.Errorf("%q of a stranger is believed: %v", forged, got)
		}
		client, err := netip.ParseAddr(seen)
		if err != nil || within(trusted, client.Unmap().WithZone("")) {
			client = addr("203.0.113.5")
		}
		hops := r.Header["X-Forwarded-For"]
		if sameHeader { // a proxy appends to the last header, or adds one
			hops[len(hops)-1] += ", " + client.String()
		} else {
			hops = append(hops, client.String())
		}
		for _, through := range [][]string{nil, {"10.9.9.9"}, {"10.9.9.9, fd00::1"}} {
			r.Header["X-Forwarded-For"] = slices.Concat(hops, through)
			for _, peer := range []string{"10.0.0.1:5", "[::ffff:10.0.0.1]:5", "[fd00::9%eth0]:5"} {
				r.RemoteAddr = peer
				if got := s.origin(r); got != client.Unmap().WithZone("") {
					t.Errorf("%q before %v, by %s and %v: %v", forged, client, peer, through, got)
				}
			}
		}
	})
}
