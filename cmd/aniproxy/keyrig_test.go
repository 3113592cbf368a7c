package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"aniproxy/internal/config"
	"aniproxy/internal/webhook"
	"aniproxy/internal/zendesk/zendesktest"
)

// The keys that these tests rotate, and the one that nobody touches.
const (
	keyA      = "key-A-that-is-to-be-replaced-0123456789-0123"
	keyB      = "key-B-that-replaces-key-A-0123456789-0123456"
	keySteady = "key-of-a-client-that-nobody-touches-01234567"
)

func digestText(key string) string {
	d := sha256.Sum256([]byte(key))
	return hex.EncodeToString(d[:])
}

// steady is a client whose keys stay as they are, with limits that no test
// reaches.
func steady() string {
	return fmt.Sprintf("[[clients]]\nname = \"steady\"\nsecret_sha256 = %q\nscopes = [\"lookup\", \"stats\"]\nrate = 1000000\nburst = 1000000\n", digestText(keySteady))
}

// flow is a client with these digests, and one question to Zendesk a minute.
func flow(digests ...string) string {
	return fmt.Sprintf("[[clients]]\nname = \"flow\"\nsecret_sha256 = [%s]\nscopes = [\"lookup\"]\nlive_per_minute = 1\nrate = 1000000\nburst = 1000000\n", `"`+strings.Join(digests, `", "`)+`"`)
}

// keyRig is a daemon that read its configuration from a file.
type keyRig struct {
	*rig
	file     string // config.toml
	base     string // what it begins with
	signals  chan os.Signal
	looks    chan time.Time
	followed chan struct{}
}

// setUpKeys starts a daemon whose file ends with these tables. FOLDER stands
// for where the file is.
func setUpKeys(t *testing.T, tables string, files map[string]string) *keyRig {
	t.Helper()
	folder := t.TempDir()
	k := &keyRig{file: filepath.Join(folder, "config.toml"), signals: make(chan os.Signal), looks: make(chan time.Time), followed: make(chan struct{})}
	for name, content := range files {
		k.write(t, name, content)
	}
	load := func() (*config.Config, error) { return config.Load(k.file, nil, true) }
	k.rig = setUp(t, rigOptions{
		config: func(cfg *config.Config) {
			k.base = daemonTables(cfg.Zendesk.BaseURL, cfg.Store.Path)
			k.configure(t, tables)
			loaded, err := load()
			if err != nil {
				t.Fatal(err)
			}
			*cfg = *loaded
		},
		reloads: reloads{load: load, signals: k.signals, looks: k.looks, followed: func() { k.followed <- struct{}{} }},
	})
	return k
}

// daemonTables are what a daemon of these tests needs beside its clients.
func daemonTables(account, store string) string {
	return fmt.Sprintf("[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n"+
		"[zendesk]\nbase_url = %q\nclient_id = %q\nclient_secret = %q\nrate_per_minute = 10000\n[store]\npath = %q\n[sync]\nschedule = \"@every 24h\"\nfull_schedule = \"\"\n",
		account, zendesktest.DefaultClientID, zendesktest.DefaultClientSecret, filepath.ToSlash(store))
}

// configure replaces the configuration file.
func (k *keyRig) configure(t *testing.T, tables string) {
	t.Helper()
	k.write(t, "config.toml", k.base+strings.ReplaceAll(tables, "FOLDER", filepath.ToSlash(filepath.Dir(k.file))))
}

// write replaces a file beside the configuration by another, as careful
// programs do.
func (k *keyRig) write(t *testing.T, name, content string) {
	t.Helper()
	path := filepath.Join(filepath.Dir(k.file), name)
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func (k *keyRig) signal() {
	k.signals <- syscall.SIGHUP
	<-k.followed
}

func (k *keyRig) look() {
	k.looks <- time.Time{}
	<-k.followed
}

// with asks about nobody's number with a key.
func (k *keyRig) with(key string) (code int, text string) {
	k.t.Helper()
	k.secret = key
	defer func() { k.secret = "" }()
	return k.post(k.public+"/v1/lookup", `{"ani":"+12125550100"}`)
}

// good holds which of the two keys is good.
func (k *keyRig) good(when string, a, b bool) {
	k.t.Helper()
	for _, key := range []struct {
		name, key string
		good      bool
	}{{"A", keyA, a}, {"B", keyB, b}} {
		want := http.StatusUnauthorized
		if key.good {
			want = http.StatusOK
		}
		if got, text := k.with(key.key); got != want {
			k.t.Errorf("%s: key %s is answered %d, want %d: %s", when, key.name, got, want, text)
		}
	}
}

// said counts what the log says since a place in it.
func (k *keyRig) said(since int, what string) int { return strings.Count(k.log.String()[since:], what) }

// healthy reads the gauge of reloads.
func (k *keyRig) healthy(when string, want int) {
	k.t.Helper()
	k.secret = keySteady
	defer func() { k.secret = "" }()
	_, text := k.get(k.admin + "/metrics")
	if !strings.Contains(text, fmt.Sprintf("\naniproxy_config_last_reload_successful %d\n", want)) {
		k.t.Errorf("%s: aniproxy_config_last_reload_successful is not %d", when, want)
	}
}

// noSecrets holds that the log shows no key and no digest, nor the half of one.
func (k *keyRig) noSecrets() {
	k.t.Helper()
	for _, secret := range []string{keyA, keyB, keySteady, "old-hook", "new-hook", "fresh-hook", zendesktest.DefaultClientSecret} {
		for _, form := range []string{secret, digestText(secret)[:20], digestText(secret)[40:]} {
			if strings.Contains(k.log.String(), form) {
				k.t.Errorf("the log shows %q", form)
			}
		}
	}
}

// always asks with a key until stop, which tells how often that was, and how
// often the answer was another than 200.
func (r *rig) always(ctx context.Context, public, key string) (stop func() (asked, failed int64)) {
	var asked, failed atomic.Int64
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			code, err := lookUp(ctx, r.http, public, key)
			if ctx.Err() != nil {
				return
			}
			asked.Add(1)
			if err != nil || code != http.StatusOK {
				failed.Add(1)
			}
		}
	}()
	return func() (int64, int64) {
		cancel()
		<-ended
		return asked.Load(), failed.Load()
	}
}

func lookUp(ctx context.Context, client *http.Client, public, key string) (code int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, public+"/v1/lookup?ani=anonymous", http.NoBody)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	return res.StatusCode, nil
}

// deliver sends a delivery of a webhook that is signed now.
func (k *keyRig) deliver(secret string) (code int) {
	k.t.Helper()
	at := k.clock().UTC().Format(time.RFC3339)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(at + "{}"))
	req, err := http.NewRequestWithContext(k.t.Context(), http.MethodPost, k.public+"/webhooks/zendesk", strings.NewReader("{}"))
	if err != nil {
		k.t.Fatal(err)
	}
	req.Header.Set(webhook.HeaderTimestamp, at)
	req.Header.Set(webhook.HeaderSignature, base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	code, _, err = k.roundTrip(req)
	if err != nil {
		k.t.Fatal(err)
	}
	return code
}
