package zendesk

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"aniproxy/internal/privacytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(written.Around(m)) }

// written is what the tests of this package have logged, and about whom.
var written = func() *privacytest.Watch {
	w := privacytest.New()
	w.Person("Jane Doe", "jane@example.com", "+15135557611")
	return w
}()

// roundTrip is a transport in memory.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// script is a peer that answers requests one after the other and keeps them.
// The last step answers all that follow.
type script struct {
	mu    sync.Mutex
	steps []step
	seen  []*http.Request
	body  []string
}

// step answers one request.
type step func(*http.Request) (*http.Response, error)

func play(steps ...step) *script { return &script{steps: steps} }

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	body := ""
	if r.Body != nil {
		b, _ := io.ReadAll(r.Body)
		r.Body.Close()
		body = string(b)
	}
	next := s.steps[min(len(s.seen), len(s.steps)-1)]
	s.seen = append(s.seen, r)
	s.body = append(s.body, body)
	s.mu.Unlock()
	return next(r)
}

func (s *script) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

// answers is a step of status, headers ("Name: value") and a body.
func answers(status int, body string, headers ...string) step {
	return func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
		resp := w.Result()
		resp.Request = r
		return resp, nil
	}
}

func fails(err error) step {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// hangs until the request's context ends.
func hangs(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// cutShort has a body that ends in the middle.
func cutShort(r *http.Request) (*http.Response, error) {
	resp, _ := answers(http.StatusOK, "")(r)
	resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"user":{"id":`), failing{io.ErrUnexpectedEOF}))
	return resp, nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// basicConfig has a token that needs no minting and no randomness.
func basicConfig(rt http.RoundTripper) Config {
	return Config{
		BaseURL: "https://acme.zendesk.com", Email: "bot@example.com", APIToken: "sesame",
		Transport: rt, Rand: func() float64 { return 0.5 },
	}
}

func newClient(t testing.TB, cfg Config) *Client {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// logTo is a logger whose lines can be read.
func logTo(b *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(io.MultiWriter(b, written.Sink("a client")), nil))
}

// asError is the *Error that err must be.
func asError(t testing.TB, err error) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an *Error", err)
	}
	return e
}

// sharedFile reads a file of facts that lies beside the repository, where it
// does; it is never committed.
func sharedFile(t *testing.T, name string) []byte {
	t.Helper()
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		if root == filepath.Dir(root) {
			t.Fatal("no go.mod above the test")
		}
		root = filepath.Dir(root)
	}
	b, err := os.ReadFile(filepath.Join(root, "..", "shared", "facts", name))
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("the recorded facts (%s) are not there", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}
