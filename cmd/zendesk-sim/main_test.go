package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"aniproxy/internal/zendesk/zendesktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"help", []string{"--help"}, exitDone, "--seed"},
		{"an unknown flag", []string{"--colour"}, exitUsage, "--colour"},
		{"an address beyond loopback", []string{"--listen", "0.0.0.0:0"}, exitUsage, "not loopback"},
		{"no address", []string{"--listen", "here"}, exitUsage, "--listen"},
		{"a name that may be anything", []string{"--listen", "sim.example.com:80"}, exitUsage, "not loopback"},
		{"fewer than no users", []string{"--users=-1"}, exitUsage, "--users"},
		{"a negative lag", []string{"--search-lag=-1s"}, exitUsage, "--search-lag"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, errs strings.Builder
			code := run(t.Context(), c.args, strings.NewReader(""), &out, &errs)
			if code != c.code || !strings.Contains(out.String()+errs.String(), c.says) {
				t.Errorf("code %d, want %d; it says %q %q", code, c.code, out.String(), errs.String())
			}
		})
	}
	var errs strings.Builder
	busy, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	if code := run(t.Context(), []string{"--listen", busy.Addr().String(), "--users", "1"}, nil, io.Discard, &errs); code != exitFailed {
		t.Errorf("an address in use: code %d, %s", code, errs.String())
	}
}

// watched is an output that tells when a line has come that fits.
type watched struct {
	mu   sync.Mutex
	text strings.Builder
	want *regexp.Regexp
	seen chan string
}

func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text.Write(b)
	if m := w.want.FindStringSubmatch(w.text.String()); m != nil {
		select {
		case w.seen <- m[1]:
		default:
		}
	}
	return len(b), nil
}

func TestItRunsUntilItIsStopped(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out := &watched{want: regexp.MustCompile(`listening on (\S+)\n[\s\S]*users/me`), seen: make(chan string, 1)}
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"--listen", "127.0.0.1:0", "--users", "30", "--seed", "4", "--unlimited", "--hide-newest", "0s"}, nil, out, io.Discard)
	}()
	var base string
	select {
	case base = <-out.seen:
	case code := <-ended:
		t.Fatalf("it ended with code %d", code)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	get := func(path string) string {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(zendesktest.DefaultEmail+"/token", zendesktest.DefaultAPIToken)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: status %d, %v", path, resp.StatusCode, err)
		}
		return string(b)
	}
	var page struct {
		Users    []any
		AfterURL string `json:"after_url"`
	}
	if err := json.Unmarshal([]byte(get("/api/v2/incremental/users/cursor.json?start_time=0")), &page); err != nil {
		t.Fatal(err)
	}
	if len(page.Users) < 30 || !strings.HasPrefix(page.AfterURL, base+"/") {
		t.Errorf("%d users, and the next page is %s", len(page.Users), page.AfterURL)
	}
	if text := get("/_sim"); !strings.Contains(text, base+"/_sim/people") {
		t.Errorf("the controls: %s", text)
	}
	transport.CloseIdleConnections()
	stop()
	if code := <-ended; code != exitDone {
		t.Errorf("stopped with code %d", code)
	}
}
