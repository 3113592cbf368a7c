package zendesk

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBaseURLTakesOneLabelOnly(t *testing.T) {
	t.Parallel()
	for sub, want := range map[string]string{
		"acme": "https://acme.zendesk.com", "Acme-2": "https://acme-2.zendesk.com", "d3v-zenpydev": "https://d3v-zenpydev.zendesk.com",
	} {
		got, err := BaseURL(sub)
		if err != nil || got != want {
			t.Errorf("BaseURL(%q) = %q, %v; want %q", sub, got, err, want)
		}
	}
	for _, sub := range []string{
		"", " ", "acme.zendesk.com", "acme.evil.com", "evil.com/", "evil.com#", "evil.com?", "a@evil.com", "a:b@evil.com", "a/b", `a\b`,
		"a b", "a\n", "a\r\nX: y", "-acme", "acme-", "acme_1", "ácme", "acme%2e", "acme\x00", "127.0.0.1", "[::1]", "acme:443",
		strings.Repeat("a", 64), "//evil", "https://acme", "acme。evil",
	} {
		if got, err := BaseURL(sub); err == nil {
			t.Errorf("BaseURL(%q) = %q, want an error", sub, got)
		}
	}
}

func TestNewRefusesHostileBaseURLs(t *testing.T) {
	t.Parallel()
	good := map[string]string{
		"https://acme.zendesk.com":            "https://acme.zendesk.com",
		"https://acme.zendesk.com/":           "https://acme.zendesk.com",
		"https://proxy.example:8443/zendesk/": "https://proxy.example:8443/zendesk",
		"http://127.0.0.1:8090":               "http://127.0.0.1:8090",
		"http://localhost:1":                  "http://localhost:1",
		"http://[::1]:80":                     "http://[::1]:80",
	}
	for raw, want := range good {
		u, err := parseBase(raw)
		if err != nil || u.String() != want {
			t.Errorf("parseBase(%q) = %v, %v; want %q", raw, u, err, want)
		}
	}
	for _, raw := range []string{
		"", "acme.zendesk.com", "//acme.zendesk.com", "https:", "https://", "https:///x", "https:acme", "ftp://acme.zendesk.com",
		"http://acme.zendesk.com", "http://127.0.0.1.evil.com", "http://localhost.evil.com", "http://0x7f.1", "http://10.0.0.1", "http://localhost.",
		"https://user:hunter2@acme.zendesk.com", "https://acme.zendesk.com@evil.com", "https://@evil.com", "https://acme.zendesk.com#x",
		"https://acme.zendesk.com?x=1", "https://acme.zendesk.com?", "https://acme.zendesk.com#", `https://acme.zendesk.com\@evil.com`,
		"https://acme.zendesk.com%2eevil.com", "https://acme.zendesk.com/a/../b", "https://acme.zendesk.com//b", "https://acme.zendesk.com/%2e%2e",
		"https://acme..com", "https://-acme.com", "https://acme.com:x", "https://[fe80::1%25eth0]", " https://acme.com", "https://acme.com\n",
		"javascript:alert(1)", "file:///etc/passwd", "https://ácme.com",
	} {
		c, err := New(Config{BaseURL: raw, Email: "a@example.com", APIToken: "t"})
		if err == nil {
			t.Errorf("New with base URL %q: no error", raw)
			c.Close()
			continue
		}
		if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "evil") {
			t.Errorf("the error repeats the URL: %v", err)
		}
	}
}

func TestNewWantsCredentials(t *testing.T) {
	t.Parallel()
	for _, cfg := range []Config{{}, {ClientID: "x"}, {ClientSecret: "x"}, {Email: "x"}, {APIToken: "x"}, {Email: "a", APIToken: "b", RatePerMinute: -1}} {
		cfg.BaseURL = "https://acme.zendesk.com"
		if _, err := New(cfg); err == nil {
			t.Errorf("New(%+v): no error", cfg)
		}
	}
}

// Two real servers: what one answers must not make the client turn to the
// other, whatever the answer names.
func TestRedirectsAreRefusedAndNoCredentialGoesElsewhere(t *testing.T) {
	t.Parallel()
	evil := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the other host was asked for %s with Authorization %q", r.URL.Path, r.Header.Get("Authorization"))
	}))
	defer evil.Close()
	for _, status := range []int{300, 301, 302, 303, 307, 308} {
		home := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, password, _ := r.BasicAuth(); password != "sesame" {
				t.Errorf("the home host got no credentials")
			}
			w.Header().Set("Location", evil.URL+r.URL.Path)
			w.WriteHeader(status)
		}))
		cfg := basicConfig(nil)
		cfg.BaseURL = home.URL
		c := newClient(t, cfg)
		_, err := c.Me(t.Context())
		if e := asError(t, err); e.Class != ClassMalformed || e.Status != status {
			t.Errorf("%d: got %v", status, err)
		}
		_, err = c.UpdateTicket(t.Context(), 7, TicketUpdate{Comment: Comment{Body: "x"}})
		if e := asError(t, err); e.Class != ClassMalformed || !e.UnknownOutcome {
			t.Errorf("%d: got %v for a write, want an unknown outcome", status, err)
		}
		c.Close()
		home.Close()
	}
}

func TestRequestsAreBuiltFromTheBaseURL(t *testing.T) {
	t.Parallel()
	s := play(answers(http.StatusOK, `{"user":{"id":9007199254740993}}`))
	cfg := basicConfig(s)
	cfg.BaseURL, cfg.UserAgent = "https://gate.example:8443/zd", "aniproxy/1"
	c := newClient(t, cfg)
	u, err := c.Me(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if u.ID != 9007199254740993 {
		t.Errorf("id %d lost its last digit", u.ID)
	}
	r := s.seen[0]
	if got := r.URL.String(); got != "https://gate.example:8443/zd/api/v2/users/me.json" {
		t.Errorf("asked for %s", got)
	}
	want := http.Header{
		"Accept": {"application/json"}, "Accept-Encoding": {"gzip"}, "User-Agent": {"aniproxy/1"},
		"Authorization": {"Basic Ym90QGV4YW1wbGUuY29tL3Rva2VuOnNlc2FtZQ=="},
	}
	if diff := cmp.Diff(want, r.Header); diff != "" {
		t.Error(diff)
	}
}

func TestCursorsOnlyEverTravelAsAQueryValue(t *testing.T) {
	t.Parallel()
	for _, cursor := range []string{
		"//evil.example/x", "https://evil.example", "../../oauth/tokens", "a&start_time=0", "a#b", "a?b=c", "MTY5NTA1MjY2My4wfHwyOHw=", "%2e%2e", "a b\r\nHost: evil",
	} {
		s := play(answers(http.StatusOK, `{"users":[],"end_of_stream":true,"after_cursor":"x","after_url":"https://evil.example/"}`))
		c := newClient(t, basicConfig(s))
		if _, err := c.ExportUsers(t.Context(), ExportRequest{Cursor: cursor}); err != nil {
			t.Fatal(err)
		}
		u := s.seen[0].URL
		if u.Scheme != "https" || u.Host != "acme.zendesk.com" || u.Path != "/api/v2/incremental/users/cursor.json" {
			t.Errorf("cursor %q led to %s", cursor, u)
		}
		if got := u.Query(); got.Get("cursor") != cursor || got.Has("start_time") || len(got) != 2 {
			t.Errorf("cursor %q travelled as %v", cursor, got)
		}
	}
}

func TestStatsCountRequestsAndFaults(t *testing.T) {
	t.Parallel()
	s := play(
		answers(http.StatusOK, `{"user":{"id":1}}`, "x-rate-limit: 700", "x-rate-limit-remaining: 698"),
		answers(http.StatusNotFound, `{"error":"RecordNotFound","description":"Not found"}`),
	)
	c := newClient(t, basicConfig(s))
	if got := c.Stats(); got.RateRemaining != -1 {
		t.Errorf("before the first answer: %+v", got)
	}
	_, _, _ = c.ShowUser(t.Context(), 1)
	_, _, _ = c.As(Live).ShowUser(t.Context(), 2)
	if got := c.As(Comments).Stats(); got.Requests != 2 || got.Errors != 1 || got.RateRemaining != 698 {
		t.Errorf("got %+v", got)
	}
}
