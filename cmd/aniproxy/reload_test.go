package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"aniproxy/internal/config"
)

// A key that lies in a file is replaced there, and nobody sends a signal.
func TestKeysInAFileAreRotatedWithoutASignal(t *testing.T) {
	tables := steady() + "[[clients]]\nname = \"flow\"\nsecret_sha256_file = \"FOLDER/flow\"\nscopes = [\"lookup\"]\nlive_per_minute = 1\n"
	k := setUpKeys(t, tables, map[string]string{"flow": digestText(keyA)})
	stop := k.always(t.Context(), k.public, keySteady)
	k.look()
	k.good("at first", true, false)
	k.secret = keyA
	k.ask("+12125550101")
	if a := k.ask("+12125550102"); !strings.Contains(a.text, `"reason":"live_budget"`) {
		t.Fatalf("its budget is not spent: %s", a.text)
	}

	k.write(t, "flow", digestText(keyA)+"\n"+digestText(keyB)+"\n")
	k.good("before anybody has looked", true, false)
	k.look()
	k.good("both in the file", true, true)
	k.secret = keyB
	if a := k.ask("+12125550103"); !strings.Contains(a.text, `"reason":"live_budget"`) {
		t.Errorf("a new key brought a new budget: %s", a.text)
	}

	// Nobody has confirmed what is in config.toml meanwhile.
	k.configure(t, steady()+flow(digestText(keyA), digestText(keyB)))
	k.write(t, "flow", digestText(keyB))
	k.look()
	k.good("A is out of the file", false, true)

	// Written over in place, by something as long.
	path := filepath.Join(filepath.Dir(k.file), "flow")
	if err := os.WriteFile(path, []byte(digestText(keyA)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	k.look()
	k.good("written over", true, false)
	if asked, failed := stop(); asked == 0 || failed != 0 {
		t.Errorf("of %d lookups with another client's key meanwhile %d failed", asked, failed)
	}
	k.noSecrets()
}

func TestAFileOfKeysThatIsAtFaultChangesNothing(t *testing.T) {
	k := setUpKeys(t, steady()+"[[clients]]\nname = \"flow\"\nsecret_sha256_file = \"FOLDER/flow\"\nscopes = [\"lookup\"]\n[webhook]\nsecrets_file = \"FOLDER/hooks\"\n",
		map[string]string{"flow": digestText(keyA), "hooks": "old-hook"})
	k.look()
	path := filepath.Join(filepath.Dir(k.file), "flow")
	for _, fault := range []struct {
		name, content string // "" takes the file away, "/" puts a folder there
		says          string
	}{
		{"empty", "\n", "this one is empty"},
		{"half of a digest", digestText(keyB)[:40], "line 1 of the file must be a SHA-256"},
		{"one good and one half", digestText(keyA) + "\n" + digestText(keyB)[:40], "line 2 of the file must be a SHA-256"},
		{"the secret instead of its digest", keyB, "line 1 of the file must be a SHA-256"},
		{"another client's", digestText(keySteady), "must differ from every other"},
		{"gone", "", "cannot be looked at"},
		{"a folder", "/", "no regular file"},
	} {
		t.Run(fault.name, func(t *testing.T) {
			since := len(k.log.String())
			switch fault.content {
			case "":
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			case "/":
				if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
					t.Fatal(err)
				}
			default:
				k.write(t, "flow", fault.content)
			}
			k.look()
			k.look()
			k.good(fault.name, true, false)
			if n := k.said(since, "level=WARN"); n != 1 || k.said(since, fault.says) != 1 {
				t.Errorf("two looks are %d warnings: %s", n, k.log.String()[since:])
			}
			k.healthy(fault.name, 0)
			// Another file is followed all the same.
			k.write(t, "hooks", "hook-for-"+strings.ReplaceAll(fault.name, " ", "-"))
			k.look()
			if code := k.deliver("hook-for-" + strings.ReplaceAll(fault.name, " ", "-")); code != http.StatusOK {
				t.Errorf("a webhook's new secret beside it: %d", code)
			}
			k.pass(5 * time.Minute) // failures are forgiven
			if fault.content == "/" {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
			k.write(t, "flow", digestText(keyA))
			k.look()
			k.healthy("mended after "+fault.name, 1)
			if n := k.said(since, "can be followed again"); n != 1 {
				t.Errorf("that it is sound again is said %d times: %s", n, k.log.String()[since:])
			}
		})
	}
	k.write(t, "flow", digestText(keyB))
	k.look()
	k.good("sound again", false, true)
	k.noSecrets()
}

// Kubernetes puts another folder in the place of a link and leaves the names.
func TestALinkToAnotherFileIsAChange(t *testing.T) {
	k := setUpKeys(t, steady()+flow(digestText(keyA)), nil)
	folder := filepath.Dir(k.file)
	for name, key := range map[string]string{"v1": keyA, "v2": keyB} {
		if err := os.Mkdir(filepath.Join(folder, name), 0o700); err != nil {
			t.Fatal(err)
		}
		k.write(t, filepath.Join(name, "flow"), digestText(key))
	}
	if err := os.Symlink("v1", filepath.Join(folder, "data")); err != nil {
		t.Fatal(err)
	}
	k.configure(t, steady()+"[[clients]]\nname = \"flow\"\nsecret_sha256_file = \"FOLDER/data/flow\"\nscopes = [\"lookup\"]\n")
	k.signal()
	k.look()
	k.good("the first folder", true, false)
	if err := os.Symlink("v2", filepath.Join(folder, "data.new")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(folder, "data.new"), filepath.Join(folder, "data")); err != nil {
		t.Fatal(err)
	}
	k.look()
	k.good("the second folder", false, true)
}

// Two clients change keys with each other: neither file is sound without the
// other.
func TestAKeyThatGoesFromOneFileToAnother(t *testing.T) {
	client := func(name string) string {
		return "[[clients]]\nname = \"" + name + "\"\nsecret_sha256_file = \"FOLDER/" + name + "\"\nscopes = [\"lookup\"]\n"
	}
	k := setUpKeys(t, client("one")+client("two")+steady(), map[string]string{"one": digestText(keyA), "two": digestText(keySteady + "2")})
	k.look()
	k.write(t, "one", digestText(keySteady+"2"))
	k.look() // the other one's still
	k.good("half of it", true, false)
	k.write(t, "two", digestText(keyB))
	k.look()
	k.good("all of it", false, true)
	if code, _ := k.with(keySteady + "2"); code != http.StatusOK {
		t.Errorf("the key that has gone over: %d", code)
	}
	k.healthy("all of it", 1)
}

func TestSecretsOfWebhooksAreRotated(t *testing.T) {
	hooks := func(secrets string) string { return steady() + "[webhook]\nsecrets = [" + secrets + "]\n" }
	k := setUpKeys(t, hooks(`"old-hook"`), nil)
	for _, step := range []struct {
		name, secrets string
		old, new      int
	}{
		{"the old one", `"old-hook"`, http.StatusOK, http.StatusUnauthorized},
		{"both", `"old-hook", "new-hook"`, http.StatusOK, http.StatusOK},
		{"the new one", `"new-hook"`, http.StatusUnauthorized, http.StatusOK},
		{"none", ``, http.StatusUnauthorized, http.StatusUnauthorized},
	} {
		k.configure(t, hooks(step.secrets))
		k.signal()
		if o, n := k.deliver("old-hook"), k.deliver("new-hook"); o != step.old || n != step.new {
			t.Errorf("%s: signed with the old one %d, want %d; with the new one %d, want %d", step.name, o, step.old, n, step.new)
		}
	}
	k.noSecrets()
}

// What is taken over is on record before it is, and what cannot be recorded is
// not taken over.
func TestAReloadIsOnRecordOrNotDone(t *testing.T) {
	k := setUpKeys(t, steady()+"[[clients]]\nname = \"flow\"\nsecret_sha256_file = \"FOLDER/flow\"\nscopes = [\"lookup\"]\n", map[string]string{"flow": digestText(keyA)})
	k.look()
	path := beside(k.cfg.Store.Path, ".audit.log")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	k.configure(t, steady()+flow(digestText(keyB)))
	k.signal()
	k.good("a signal without a record", true, false)
	k.write(t, "flow", digestText(keyB))
	k.look()
	k.good("a file without a record", true, false)
	k.healthy("without a record", 0)
	if !strings.Contains(k.log.String(), `level=ERROR msg="keys are not replaced, since that cannot be recorded"`) {
		t.Error("the log does not say so")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	k.look() // a file is due until it is followed
	k.good("a file with a record", false, true)
	k.signal()
	k.healthy("with a record", 1)
	k.configure(t, "[[clients]]\nname = \"other\"\nsecret_sha256 = \""+digestText(keyA)+"\"\nscopes = [\"lookup\"]\n"+steady())
	k.signal()
	k.stop()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var targets []string
	for line := range strings.Lines(string(text)) {
		if _, rest, found := strings.Cut(line, `"action":"keys_reloaded"`); found {
			_, target, _ := strings.Cut(rest, `"target":"`)
			target, _, _ = strings.Cut(target, `"`)
			targets = append(targets, target)
		}
	}
	want := []string{"by file, changed flow", "by signal, changed flow", "by signal, added other, removed flow"}
	if diff := cmp.Diff(want, targets); diff != "" {
		t.Errorf("the record (-want +got):\n%s", diff)
	}
}

// Whether keys are asked for at all is decided at the start.
func TestTheFirstAndTheLastClientTakeARestart(t *testing.T) {
	t.Run("the first", func(t *testing.T) {
		k := setUpKeys(t, "", nil)
		k.signal()
		k.configure(t, steady())
		k.signal()
		if code, text := k.with(""); code != http.StatusOK {
			t.Errorf("without a key: %d, %s", code, text)
		}
		if !strings.Contains(k.log.String(), "the first client takes a restart") {
			t.Errorf("the log does not say so: %s", k.log)
		}
	})
	t.Run("the last", func(t *testing.T) {
		k := setUpKeys(t, steady(), nil)
		k.configure(t, "")
		k.signal()
		if code, _ := k.with(""); code != http.StatusUnauthorized {
			t.Errorf("without a key: %d", code)
		}
		if code, _ := k.with(keySteady); code != http.StatusOK {
			t.Errorf("with the key that was: %d", code)
		}
		if !strings.Contains(k.log.String(), "the removal of the last client takes a restart") {
			t.Errorf("the log does not say so: %s", k.log)
		}
		k.healthy("the last", 0)
	})
	t.Run("the first secret of a webhook, beside a key", func(t *testing.T) {
		k := setUpKeys(t, steady()+flow(digestText(keyA)), nil)
		k.configure(t, steady()+flow(digestText(keyB))+"[webhook]\nsecrets = [\"fresh-hook\"]\n")
		k.signal()
		k.good("the key", false, true)
		if code := k.deliver("fresh-hook"); code != http.StatusNotFound {
			t.Errorf("the webhook: %d", code)
		}
		if !strings.Contains(k.log.String(), "the first secret takes a restart") {
			t.Error("the log does not say so")
		}
	})
	t.Run("a demo has nothing to read", func(t *testing.T) {
		signals, followed := make(chan os.Signal), make(chan struct{})
		r := setUp(t, rigOptions{reloads: reloads{signals: signals, followed: func() { followed <- struct{}{} }}})
		signals <- syscall.SIGHUP
		<-followed
		if code, text := r.get(r.public + "/v1/lookup?ani=anonymous"); code != http.StatusOK {
			t.Errorf("after a signal: %d, %s", code, text)
		}
	})
}

// A section that cannot be followed keeps what it had, and the others go on.
func TestASectionThatFailsKeepsWhatItHad(t *testing.T) {
	var applied []string
	of := func(name string, fails bool) section {
		return section{
			name:   name,
			refuse: func(_, _ *config.Config) string { return "" },
			apply: func(*config.Config) error {
				if fails {
					return errors.New("not today")
				}
				applied = append(applied, name)
				return nil
			},
			keep: func(to, from *config.Config) { to.Clients = from.Clients },
		}
	}
	log := written.Sink(t.Name() + ", the log")
	was := config.Defaults()
	was.Clients = []config.Client{{Name: "flow"}}
	r, err := newReloader(slog.New(slog.NewTextHandler(log, nil)), was, reloads{}, prometheus.NewRegistry(), []section{of("clients", true), of("webhook", false)})
	if err != nil {
		t.Fatal(err)
	}
	next := config.Defaults()
	next.Webhook.Secrets = []config.Secret{"new-hook"}
	if r.take(bySignal, next) {
		t.Error("a reload in part passes for a whole one")
	}
	if len(r.inForce.Clients) != 1 || len(r.inForce.Webhook.Secrets) != 1 || !cmp.Equal(applied, []string{"webhook"}) {
		t.Errorf("in force are %d clients and %d secrets, %v was followed", len(r.inForce.Clients), len(r.inForce.Webhook.Secrets), applied)
	}
	if !strings.Contains(log.String(), `level=ERROR msg="not taken over" key=clients fault="not today"`) {
		t.Errorf("the log: %s", log)
	}
}

// Files are looked at every ten seconds, and no longer than the daemon runs.
func TestFilesOfKeysAreLookedAtEveryTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "hooks")
		if err := os.WriteFile(file, []byte("old-hook"), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Load("", []string{"ANIPROXY_WEBHOOK_SECRETS_FILE=" + file}, false)
		if err != nil {
			t.Fatal(err)
		}
		applied := make(chan string, 9)
		r, err := newReloader(written.Logger(t.Name()), cfg, reloads{}, prometheus.NewRegistry(), []section{{
			name:   "webhook",
			refuse: func(_, _ *config.Config) string { return "" },
			apply: func(is *config.Config) error {
				applied <- is.Webhook.Secrets[0].Reveal()
				return nil
			},
			keep: func(to, from *config.Config) { to.Webhook = from.Webhook },
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			r.run(ctx)
		}()
		if err := os.WriteFile(file, []byte("new-hook"), 0o600); err != nil { // before anybody has looked
			t.Fatal(err)
		}
		<-time.After(9 * time.Second)
		synctest.Wait()
		if len(applied) != 0 {
			t.Errorf("followed after nine seconds: %d", len(applied))
		}
		<-time.After(2 * time.Second)
		synctest.Wait()
		if len(applied) != 1 || <-applied != "new-hook" {
			t.Fatalf("not followed after eleven seconds, %d left", len(applied))
		}
		<-time.After(time.Minute)
		cancel()
		<-ended
		if len(applied) != 0 {
			t.Errorf("what has not changed was followed %d times", len(applied))
		}
	})
}
