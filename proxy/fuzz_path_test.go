package proxy

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// FuzzPath asks the public listener for any path by any method, without a key
// and with one of the scope that reads least. Without a key nothing but the
// open routes answers 200; with one, no admin route is there, and whatever the
// path looks like, what was asked for is what the table says it is.
func FuzzPath(f *testing.F) {
	for _, path := range []string{
		"/v1/lookup", "/v1/admin/sync", "/v1/admin/explain", "/v1/admin/outbox", "//v1//admin/sync", "/v1/admin/../lookup", "/V1/ADMIN/SYNC", "/v1/stats/", "/metrics", "/v1/users/%2e%2e/admin", "/api/v2/users/me.json", "/healthz",
		"/v1/admin%2fresync", "/healthz/../v1/stats", "/healthz;/../metrics", "/%00", "/v1/users/501/tickets", "/openapi.yaml.json", "/webhooks/zendesk", "/api/v2/tickets/503.json.json",
	} {
		f.Add(http.MethodGet, path)
		f.Add(http.MethodPost, path)
	}
	f.Add("CONNECT", "*")
	f.Add("delete", "/v1/admin/users/5")
	w := newWorld(f, func(o *Options) { withClients(o); withSecrets(o) })
	open := []string{"/healthz", "/readyz", "/openapi.yaml"}
	f.Fuzz(func(t *testing.T, method, path string) {
		if method == "" || strings.ContainsFunc(method, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("()<>@,;:\\\"/[]?={}", r) }) || !strings.HasPrefix(path, "/") {
			return // net/http hands no such request on
		}
		for _, key := range []string{"", secretOf("lookup")} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/", nil)
			r.Method, r.RemoteAddr, r.RequestURI = method, "127.0.0.1:1", path
			r.URL.Path, r.URL.RawPath = path, ""
			if key != "" {
				r.Header.Set("Authorization", "Bearer "+key)
			}
			answer := httptest.NewRecorder()
			w.Public().ServeHTTP(answer, r)
			if answer.Code >= 500 {
				t.Fatalf("%s %q: status %d", method, path, answer.Code)
			}
			if answer.Code < 300 && key == "" && !slices.Contains(open, strings.TrimRight(path, "/")) {
				t.Errorf("%s %q without a key: status %d", method, path, answer.Code)
			}
			if answer.Code < 400 && strings.Contains(strings.ToLower(path), "admin") {
				t.Errorf("%s %q on the public listener: status %d", method, path, answer.Code)
			}
			if got := answer.Header().Get("Location"); got != "" {
				t.Errorf("%s %q leads to %q", method, path, got)
			}
		}
	})
}

// FuzzPageCursor reads a page's cursor: one that is taken comes out of our own
// spelling of it as it was.
func FuzzPageCursor(f *testing.F) {
	f.Add(place{key: 1, id: 2}.cursor())
	f.Add(place{key: -1 << 63, id: 1<<63 - 1}.cursor())
	f.Add("MXwy\n")
	f.Add("fHw")
	f.Fuzz(func(t *testing.T, text string) {
		p, ok := readCursor(text)
		if !ok {
			return
		}
		if again, ok := readCursor(p.cursor()); !ok || again != p {
			t.Errorf("%q is %+v, and that is %+v", text, p, again)
		}
	})
}
