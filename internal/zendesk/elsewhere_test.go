package zendesk

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// watch sees all that clients do with a network: each dial of theirs, and each
// request. Whatever is dialled that is not the configured host and port is
// connected to a listener that stands for everybody else, so that a client
// which goes astray gets an answer and shows all that it would send.
type watch struct {
	home, evil *httptest.Server

	mu      sync.Mutex
	answer  http.HandlerFunc
	asked   []asked
	strayed []string
}

// asked is a request that came home.
type asked struct {
	method, path, authorization, body string
	query                             map[string][]string
}

func newWatch(t *testing.T) *watch {
	t.Helper()
	w := &watch{}
	w.evil = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.stray("a request of " + r.Method + " " + r.URL.Path + " with Authorization " + r.Header.Get("Authorization") + " and body " + string(body))
	}))
	w.home = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.mu.Lock()
		w.asked = append(w.asked, asked{r.Method, r.URL.Path, r.Header.Get("Authorization"), string(body), r.URL.Query()})
		answer := w.answer
		w.mu.Unlock()
		for _, name := range []string{"Referer", "Cookie", "Origin"} {
			if value := r.Header.Get(name); value != "" {
				w.stray("a header " + name + ": " + value)
			}
		}
		// What a browser would obey in any answer.
		for name, value := range map[string]string{
			"Refresh": "0; url=" + w.evil.URL, "Content-Location": w.evil.URL, "Link": "<" + w.evil.URL + `>; rel="next"`,
			"Alt-Svc": `h2="` + w.evil.Listener.Addr().String() + `"`, "Set-Cookie": "a=b",
			"WWW-Authenticate": `Bearer realm="` + w.evil.URL + `", authorization_uri="` + w.evil.URL + `"`,
		} {
			rw.Header().Set(name, value)
		}
		answer(rw, r)
	}))
	t.Cleanup(w.evil.Close)
	t.Cleanup(w.home.Close)
	return w
}

func (w *watch) stray(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.strayed = append(w.strayed, what)
}

func (w *watch) homeAddress() string { return w.home.Listener.Addr().String() }
func (w *watch) evilAddress() string { return w.evil.Listener.Addr().String() }

// client is one of home's, with the transport that the daemon has.
func (w *watch) client(t *testing.T, cfg Config) *Client {
	t.Helper()
	cfg.BaseURL, cfg.Transport, cfg.RatePerMinute = w.home.URL, nil, 1_000_000
	c := newClient(t, cfg)
	dial := c.own.DialContext
	c.own.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address != w.homeAddress() {
			w.stray("a dial to " + address)
			address = w.evilAddress()
		}
		return dial(ctx, network, address)
	}
	return c
}

// begin forgets what was seen, and has home answer so.
func (w *watch) begin(answer http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer, w.asked, w.strayed = answer, nil, nil
}

// seen is what came home since; anything that went elsewhere fails the test.
func (w *watch) seen(t *testing.T, what string) []asked {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.strayed {
		t.Errorf("%s: %s", what, s)
	}
	return w.asked
}

// saysNothing fails where an error repeats any part of a target.
func (w *watch) saysNothing(t *testing.T, what string, err error) {
	t.Helper()
	for _, word := range []string{"evil", w.evilAddress(), w.homeAddress(), "meta-data", "passwd", "169.254", "javascript"} {
		if strings.Contains(err.Error(), word) {
			t.Errorf("%s: the error says where it was sent: %v", what, err)
		}
	}
}

// The watch itself: a client that does go elsewhere is seen.
func TestTheWatchSeesWhoStrays(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	w.begin(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Location", "http://other.example/x")
		rw.WriteHeader(http.StatusFound)
	})
	c := w.client(t, basicConfig(nil))
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, w.home.URL, nil)
	r.Header.Set("Authorization", "Basic x")
	resp, err := (&http.Client{Transport: c.own}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.strayed) < 2 || w.strayed[0] != "a dial to other.example:80" || !strings.HasPrefix(w.strayed[1], "a request of GET /x ") {
		t.Errorf("a client that follows redirects was seen doing %q", w.strayed)
	}
}

func TestATokenIsAskedForWhereItIsConfiguredAndNowhereElse(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	tokens := 0
	w.begin(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth/tokens" {
			tokens++
			_, _ = io.WriteString(rw, `{"access_token":"token`+strings.Repeat("x", tokens)+`","token_type":"bearer","expires_in":7200,
				"token_endpoint":"`+w.evil.URL+`","refresh_url":"`+w.evil.URL+`","url":"`+w.evil.URL+`"}`)
			return
		}
		rw.WriteHeader(http.StatusUnauthorized) // with the watch's WWW-Authenticate
		_, _ = io.WriteString(rw, `{"error":"invalid_token","error_uri":"`+w.evil.URL+`"}`)
	})
	_, err := w.client(t, oauthConfig(nil)).Me(t.Context())
	if e := asError(t, err); e.Class != ClassAuth {
		t.Errorf("got %v", err)
	}
	w.saysNothing(t, "a 401", err)
	got := w.seen(t, "a 401 that names another host")
	var paths []string
	for _, a := range got {
		paths = append(paths, a.method+" "+a.path+" "+a.authorization)
		if has := strings.Contains(a.body, "hush"); has != (a.path == "/oauth/tokens") {
			t.Errorf("%s has the client's secret: %v", a.path, has)
		}
	}
	want := []string{"POST /oauth/tokens ", "GET /api/v2/users/me.json Bearer tokenx", "POST /oauth/tokens ", "GET /api/v2/users/me.json Bearer tokenxx"}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Error(diff)
	}
}
