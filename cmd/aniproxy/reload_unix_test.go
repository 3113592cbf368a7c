//go:build unix

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"aniproxy/internal/privacytest"
	"aniproxy/internal/zendesk/zendesktest"
)

// served is `aniproxy serve` in a process of its own.
type served struct {
	t       *testing.T
	file    string
	cmd     *exec.Cmd
	log     *privacytest.Sink
	public  string
	admin   string
	base    string
	http    *http.Client
	stopped bool
}

// startServed starts it with a configuration that ends with these tables.
func startServed(t *testing.T, tables string) *served {
	t.Helper()
	sim := zendesktest.New(zendesktest.Options{Seed: 5, Users: 50, HideNewest: -1, SearchLag: -1, Limits: zendesktest.Ample()})
	knowPeople(sim)
	account := httptest.NewServer(sim)
	folder := t.TempDir()
	s := &served{
		t: t, file: filepath.Join(folder, "config.toml"), log: written.Sink(t.Name() + ", a daemon's standard error"),
		base: daemonTables(account.URL, filepath.Join(folder, "data", "a.db")), http: &http.Client{Transport: &http.Transport{}},
	}
	t.Cleanup(func() {
		s.stop()
		s.http.CloseIdleConnections()
		account.Close()
		sim.Close()
	})
	s.configure(tables)
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.Command(binary, "serve", "--config", s.file)
	s.cmd.Args[0] = "aniproxy" // whom TestMain takes it for
	s.cmd.Stderr = s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.until("it serves", func() bool { return strings.Contains(s.log.String(), "msg=serving ") })
	at := regexp.MustCompile(`msg=serving public=(\S+) admin=(\S+)`).FindStringSubmatch(s.log.String())
	s.public, s.admin = at[1], at[2]
	return s
}

func (s *served) configure(tables string) {
	s.t.Helper()
	if err := os.WriteFile(s.file, []byte(s.base+tables), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// until asks again until something holds: the daemon is another process, which
// nobody here can wait for otherwise.
func (s *served) until(what string, holds func() bool) {
	s.t.Helper()
	enough := time.After(30 * time.Second)
	for !holds() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-enough:
			s.t.Fatalf("still not so that %s: %s", what, s.log)
		}
	}
}

// hangUp sends the signal and waits for a line of the log that follows it.
func (s *served) hangUp(line string) (said string) {
	s.t.Helper()
	since := len(s.log.String())
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		s.t.Fatal(err)
	}
	s.until("the log says "+line, func() bool { return strings.Contains(s.log.String()[since:], line) })
	return s.log.String()[since:]
}

func (s *served) good(when string, a, b int) {
	s.t.Helper()
	for _, key := range []struct {
		name, key string
		want      int
	}{{"A", keyA, a}, {"B", keyB, b}} {
		if got, err := lookUp(s.t.Context(), s.http, s.public, key.key); err != nil || got != key.want {
			s.t.Errorf("%s: key %s is answered %d, want %d (%v)", when, key.name, got, key.want, err)
		}
	}
}

// stop ends the daemon in order.
func (s *served) stop() {
	if s.cmd == nil || s.cmd.Process == nil || s.stopped {
		return
	}
	s.stopped = true
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		s.t.Error(err)
	}
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("the daemon ended with %v: %s", err, s.log)
	}
}

// A rotation as its users do it, on the program itself: a second key beside
// the first, SIGHUP, the first one out, SIGHUP. Whoever has a good key notices
// nothing of it.
func TestKeysAreRotatedByASignal(t *testing.T) {
	s := startServed(t, steady()+flow(digestText(keyA)))
	r := &rig{t: t, http: s.http}
	stopSteady := r.always(t.Context(), s.public, keySteady)
	stopA := r.always(t.Context(), s.public, keyA)
	s.good("at first", http.StatusOK, http.StatusUnauthorized)

	s.configure(steady() + flow(digestText(keyA), digestText(keyB)))
	s.hangUp("clients and secrets are as the configuration has them now")
	s.good("while they overlap", http.StatusOK, http.StatusOK)
	stopB := r.always(t.Context(), s.public, keyB)
	if asked, failed := stopA(); asked == 0 || failed != 0 {
		t.Errorf("of %d lookups with key A, which was good all the time, %d failed", asked, failed)
	}

	s.configure(steady() + flow(digestText(keyB)))
	s.hangUp("clients and secrets are as the configuration has them now")
	s.good("after the rotation", http.StatusUnauthorized, http.StatusOK)

	// What is at fault changes nothing, and is named with its place.
	line := strings.Count(s.base+steady(), "\n") + 3
	s.configure(steady() + flow(keyA) + "[cache]\nmemory_mb = 1\n")
	said := s.hangUp("cache.memory_mb")
	for _, place := range []string{
		fmt.Sprintf("level=ERROR msg=\"the configuration is at fault and not taken over\" file=%s line=%d key=clients[2].secret_sha256", s.file, line),
		fmt.Sprintf("file=%s line=%d key=cache.memory_mb", s.file, line+6),
	} {
		if !strings.Contains(said, place) {
			t.Errorf("the log has no %q: %s", place, said)
		}
	}
	s.good("after a fault", http.StatusUnauthorized, http.StatusOK)
	// So does what only a start would find, such as a sentence that nobody knows.
	s.configure(steady() + flow(digestText(keyA)) + "[speech.templates.en]\ngreting = \"Good day.\"\n")
	s.hangUp("level=ERROR msg=\"the configuration is at fault and not taken over\" file=" + s.file + " line=" + fmt.Sprint(line+6) + " key=speech.templates.en.greting")
	s.good("after a sentence at fault", http.StatusUnauthorized, http.StatusOK)
	if err := os.Rename(s.file, s.file+".gone"); err != nil {
		t.Fatal(err)
	}
	s.hangUp("cannot be read")
	s.good("without a file", http.StatusUnauthorized, http.StatusOK)

	// What takes a restart is named, and the keys beside it are followed.
	s.base = strings.Replace(s.base, zendesktest.DefaultClientSecret, "another-secret-of-the-account", 1)
	s.configure(steady() + flow(digestText(keyB), digestText(keyA)) + "[cache]\nmemory_mb = 64\n")
	said = s.hangUp("key=cache.memory_mb")
	if !strings.Contains(said, "level=WARN msg=\"changed, and not taken over before a restart\" key=zendesk.client_secret") || strings.Contains(said, "key=store.path") {
		t.Errorf("the log does not name what takes a restart: %s", said)
	}
	s.good("beside what takes a restart", http.StatusOK, http.StatusOK)

	for name, stop := range map[string]func() (int64, int64){"another client's key": stopSteady, "key B": stopB} {
		if asked, failed := stop(); asked == 0 || failed != 0 {
			t.Errorf("of %d lookups with %s, which was good all the time, %d failed", asked, name, failed)
		}
	}
	s.stop()
	for _, secret := range []string{keyA, keyB, digestText(keyA)[:20], digestText(keyB)[:20], "another-secret", zendesktest.DefaultClientSecret} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("the log shows %q", secret)
		}
	}
}
