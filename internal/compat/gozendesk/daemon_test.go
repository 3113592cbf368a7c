package gozendesk

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"aniproxy/internal/zendesk/zendesktest"
)

// envBinary names a daemon that is built already.
const envBinary = "ANIPROXY_BINARY"

// TestMain builds the daemon once for all tests.
func TestMain(m *testing.M) {
	code, err := withBinary(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func withBinary(run func() int) (int, error) {
	if os.Getenv(envBinary) != "" {
		return run(), nil
	}
	folder, err := os.MkdirTemp("", "aniproxy-compat-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(folder)
	binary := filepath.Join(folder, "aniproxy")
	build := exec.Command("go", "build", "-o", binary, "./cmd/aniproxy")
	build.Dir = filepath.Join("..", "..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build the daemon: %w\n%s", err, out)
	}
	if err := os.Setenv(envBinary, binary); err != nil {
		return 0, err
	}
	return run(), nil
}

// face is somewhere that speaks Zendesk's API, and what opens it.
type face struct {
	w      *world
	origin string
	// Basic credentials; secret is also what goes behind a name with /token.
	user, password, token string
	bearer                string
	// daemon is nil where the account itself answers.
	daemon *daemon
}

// api is the address that clients are given.
func (f *face) api() string { return f.origin + "/api/v2" }

// account is the account as its own face.
func (w *world) account() *face {
	w.t.Helper()
	w.today()
	body, err := json.Marshal(map[string]string{
		"grant_type": "client_credentials", "client_id": zendesktest.DefaultClientID, "client_secret": zendesktest.DefaultClientSecret,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url+"/oauth/tokens", bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	var minted struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(do(w.t, req).body, &minted); err != nil || minted.Token == "" {
		w.t.Fatalf("no token: %v", err)
	}
	return &face{
		w: w, origin: w.url, bearer: minted.Token, user: zendesktest.DefaultEmail,
		password: zendesktest.DefaultPassword, token: zendesktest.DefaultAPIToken,
	}
}

// Clients of the daemon, by their names; each has the secret secretOf(name).
const (
	webex   = "webex"   // as the call flow has it: scope zendesk
	another = "another" // a second one with the same scope
	desk    = "desk"    // with directory too
	asker   = "asker"   // may look up and nothing else
	watcher = "watcher" // reads the figures
)

func secretOf(name string) string { return strings.Repeat(name+"-not-a-secret-", 3) }

// daemon is a process that mirrors the account.
type daemon struct {
	cmd           *exec.Cmd
	public, admin string

	mu  sync.Mutex
	log bytes.Buffer
}

func (d *daemon) logged() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.String()
}

// mirror starts a daemon and waits until its mirror is filled.
func (w *world) mirror() *face {
	w.t.Helper()
	w.today()
	folder := w.t.TempDir()
	config := filepath.Join(folder, "config.toml")
	if err := os.WriteFile(config, []byte(w.config(folder)), 0o600); err != nil {
		w.t.Fatal(err)
	}
	d := &daemon{cmd: exec.Command(os.Getenv(envBinary), "serve", "--config", config)}
	d.cmd.Dir = folder
	d.cmd.Env = []string{"HOME=" + folder} // no ANIPROXY_ variable of the developer's
	stderr, err := d.cmd.StderrPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	serving, ended := make(chan struct{}), make(chan struct{})
	go d.read(stderr, serving, ended)
	w.t.Cleanup(func() { d.stop(w, ended) })
	select {
	case <-serving:
	case <-ended:
		w.t.Fatalf("the daemon ended before it served:\n%s", d.logged())
	case <-time.After(patience):
		w.t.Fatalf("the daemon does not serve after %v:\n%s", patience, d.logged())
	}
	d.waitFilled(w.t)
	secret := secretOf(webex)
	return &face{w: w, origin: d.public, user: webex, password: secret, token: secret, bearer: secret, daemon: d}
}

// config is a configuration as an operator would write it, with everything
// off that would go on by itself in the middle of a test.
func (w *world) config(folder string) string {
	text := fmt.Sprintf(`
[server]
listen = "127.0.0.1:0"
admin_listen = "127.0.0.1:0"
[zendesk]
base_url = %q
client_id = %q
client_secret = %q
rate_per_minute = 10000
[store]
path = %q
[sync]
schedule = "@every 24h"
full_schedule = ""
[live]
timeout = "5s"
[log]
format = "json"
`, w.url, zendesktest.DefaultClientID, zendesktest.DefaultClientSecret, filepath.Join(folder, "data", "a.db"))
	for _, c := range []struct{ name, scopes string }{
		{webex, `"zendesk"`}, {another, `"zendesk"`}, {desk, `"zendesk", "directory"`}, {asker, `"lookup"`}, {watcher, `"stats"`},
	} {
		digest := sha256.Sum256([]byte(secretOf(c.name)))
		text += fmt.Sprintf("[[clients]]\nname = %q\nsecret_sha256 = %q\nscopes = [%s]\n", c.name, hex.EncodeToString(digest[:]), c.scopes)
	}
	return text
}

// read keeps what the daemon logs, and finds in it where it listens.
func (d *daemon) read(stderr io.Reader, serving, ended chan<- struct{}) {
	defer close(ended)
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for found := false; lines.Scan(); {
		d.mu.Lock()
		d.log.Write(lines.Bytes())
		d.log.WriteByte('\n')
		d.mu.Unlock()
		var line struct{ Msg, Public, Admin string }
		if !found && json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
			d.public, d.admin, found = line.Public, line.Admin, true
			close(serving)
		}
	}
}

// waitFilled waits for the first fill, further numbers included.
func (d *daemon) waitFilled(t *testing.T) {
	t.Helper()
	until(t, "the mirror is not filled", func() bool {
		return do(t, request(t, http.MethodGet, d.public+"/readyz", "")).status == http.StatusOK
	})
	until(t, "further numbers have not been read", func() bool {
		req := request(t, http.MethodGet, d.admin+"/v1/stats", "")
		req.SetBasicAuth(watcher, secretOf(watcher))
		var stats struct {
			Mirror struct {
				Due *int64 `json:"identities_due"`
			} `json:"mirror"`
		}
		a := do(t, req)
		if err := json.Unmarshal(a.body, &stats); err != nil || stats.Mirror.Due == nil {
			t.Fatalf("stats: %v: %d %s", err, a.status, a.body)
		}
		return *stats.Mirror.Due == 0
	})
}

// stop ends the daemon as an operator does, and reads its log for what must
// not be in it.
func (d *daemon) stop(w *world, ended <-chan struct{}) {
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		w.t.Error(err)
	}
	select {
	case <-ended:
	case <-time.After(patience):
		w.t.Error("the daemon does not stop")
		_ = d.cmd.Process.Kill() // it is to be gone, whatever it answers
		<-ended
	}
	if err := d.cmd.Wait(); err != nil {
		w.t.Errorf("the daemon ended with %v", err)
	}
	log := d.logged()
	for digits := range w.numbered {
		if len(digits) == 10 && strings.Contains(log, digits) {
			w.t.Errorf("the log has a caller's number")
			break
		}
	}
	if strings.Contains(log, "not-a-secret") || strings.Contains(log, ".caller@example.org") {
		w.t.Error("the log has a secret, or a caller's address")
	}
	if w.t.Failed() {
		w.t.Logf("the daemon logged:\n%s", log)
	}
}

// answer is a whole answer.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func request(t *testing.T, method, url, body string) *http.Request {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	return req
}

func do(t *testing.T, req *http.Request) answer {
	t.Helper()
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, body}
}
