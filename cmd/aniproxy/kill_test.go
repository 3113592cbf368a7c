package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"aniproxy/internal/ani"
	"aniproxy/internal/config"
	"aniproxy/internal/zendesk/zendesktest"
	"aniproxy/store"
)

// Environment of a test binary that is to be the daemon.
const (
	envDaemonAccount = "ANIPROXY_TEST_ACCOUNT"
	envDaemonStore   = "ANIPROXY_TEST_STORE"
)

// daemonOfATest is the daemon in a process of its own, so that it can be
// killed. It says on its output when the mirror is filled.
func daemonOfATest() int {
	cfg := config.Defaults()
	cfg.Server.Listen, cfg.Server.AdminListen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Zendesk.BaseURL = os.Getenv(envDaemonAccount)
	cfg.Zendesk.ClientID, cfg.Zendesk.ClientSecret = zendesktest.DefaultClientID, zendesktest.DefaultClientSecret
	cfg.Zendesk.RatePerMinute = 10_000
	cfg.Store.Path = os.Getenv(envDaemonStore)
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	err := serve(context.Background(), cfg, log, serveOptions{
		demo:        true,
		doubtWait:   20 * time.Millisecond,
		filled:      func(at addresses) { fmt.Fprintln(os.Stdout, "filled", at.public, at.admin) },
		fillRecords: 1, // every page is a transaction
	})
	fmt.Fprintln(os.Stderr, err)
	return exitFailed
}

// killAt is an account that has something killed once a number of pages of
// its exports have been asked for: before the page is answered or after.
type killAt struct {
	account http.Handler

	mu     sync.Mutex
	left   int
	before bool
	kill   func()
}

func (k *killAt) set(pages int, before bool, kill func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.left, k.before, k.kill = pages, before, kill
}

func (k *killAt) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	due, before, kill := false, false, func() {}
	if bytes.Contains([]byte(r.URL.Path), []byte("/incremental/")) {
		k.mu.Lock()
		k.left--
		if k.left == 0 {
			due, before, kill = true, k.before, k.kill
		}
		k.mu.Unlock()
	}
	if due && before {
		kill()
		return
	}
	k.account.ServeHTTP(w, r)
	if due {
		go kill()
	}
}

// A daemon that is killed again and again while it fills its mirror opens the
// file each time, has no cursor ahead of its data, and ends complete.
func TestKillDuringTheFirstFill(t *testing.T) {
	kills := 4
	if os.Getenv("ANIPROXY_LONG") != "" {
		kills = 50
	}
	sim := zendesktest.New(zendesktest.Options{Seed: 3, Users: 4000, HideNewest: -1, SearchLag: -1, Limits: zendesktest.Ample()})
	defer sim.Close()
	knowPeople(sim)
	killer := &killAt{account: sim}
	account := httptest.NewServer(killer)
	defer account.Close()
	path := filepath.Join(t.TempDir(), "a.db")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	fills := 0
	for killed := 0; killed < kills; {
		if killOnce(t, rng, killer, account.URL, path) {
			fills++ // it was done before its time: again from nothing
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			continue
		}
		killed++
		inspect(t, sim, path)
	}
	t.Logf("%d kills, %d fills came to their end before", kills, fills)
	killer.set(-1, false, nil)
	r := setUp(t, rigOptions{sim: sim, account: nil, config: func(c *config.Config) { c.Store.Path = path }})
	r.compare()
}

// killOnce starts the daemon and kills it; it tells whether the mirror was
// filled before.
func killOnce(t *testing.T, rng *rand.Rand, killer *killAt, account, path string) (filled bool) {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary)
	cmd.Env = append(os.Environ(), envDaemonAccount+"="+account, envDaemonStore+"="+path)
	stderr := written.Sink(t.Name() + ", a daemon's standard error")
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	pause := time.Duration(rng.IntN(40)) * time.Millisecond
	kill := sync.OnceFunc(func() {
		<-started
		<-time.After(pause) // somewhere in decoding, writing, syncing
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
	})
	killer.set(1+rng.IntN(9), rng.IntN(3) == 0, kill)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	close(started)
	said := make([]byte, 64)
	n, _ := stdout.Read(said) // either "filled", or nothing as it is killed
	if filled = n > 0; filled {
		kill()
	}
	killer.set(-1, false, nil)
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() > 0 {
		t.Fatalf("the daemon ended by itself: %v\n%s", err, stderr.String())
	}
	return filled
}

// inspect opens what a kill has left.
func inspect(t *testing.T, sim *zendesktest.Server, path string) {
	t.Helper()
	numbers, err := ani.New("US")
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(store.Options{
		Path: path, Logger: slog.New(slog.DiscardHandler), KeepResolved: 168 * time.Hour, Key: numbers.Key, KeyRules: numbers.Fingerprint(),
	})
	if err != nil {
		t.Fatalf("after a kill the store does not open: %v", err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := s.Verify(); err != nil {
		t.Errorf("after a kill the store does not agree with itself: %v", err)
	}
	streams := s.Streams()
	at, id := cursor(t, streams.Users.Cursor)
	for u := range sim.Truth().Users() {
		if _, there, err := s.Caller(u.ID); err != nil || !there && u.Active && before(u.UpdatedAt, u.ID, at, id) {
			t.Fatalf("the users' cursor is ahead of user %d (error %v)", u.ID, err)
		}
	}
	at, id = cursor(t, streams.Tickets.Cursor)
	open := map[int64]bool{}
	for u := range sim.Truth().Users() {
		c, there, err := s.Caller(u.ID)
		if err != nil {
			t.Fatal(err)
		}
		for i := range c.Open {
			open[c.Open[i].ID] = there
		}
	}
	for k := range sim.Truth().Tickets() {
		requester, there, err := s.Caller(k.RequesterID)
		if err != nil {
			t.Fatal(err)
		}
		if there && requester.User.Active && k.Unresolved() && !open[k.ID] && before(k.GeneratedAt, k.ID, at, id) {
			t.Fatalf("the tickets' cursor is ahead of ticket %d", k.ID)
		}
	}
}

// cursor reads the account's cursor: base64 of "seconds.0||id|".
func cursor(t *testing.T, text string) (seconds, id int64) {
	t.Helper()
	if text == "" {
		return 0, 0
	}
	plain, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(plain), "%d.0||%d|", &seconds, &id); err != nil {
		t.Fatalf("cursor %q: %v", plain, err)
	}
	return seconds, id
}

func before(seconds, id, cursorSeconds, cursorID int64) bool {
	return seconds < cursorSeconds || seconds == cursorSeconds && id <= cursorID
}
