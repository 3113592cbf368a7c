package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"aniproxy/internal/config"
	"aniproxy/internal/origin/origintest"
)

const plantedKey = "k3y-of-a-client-that-nobody-may-see"

// commandLine runs the program as a shell would, with the key in a flag.
func commandLine(args ...string) (code int, said string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var out, errs bytes.Buffer
	code = run(ctx, args, nil, strings.NewReader(""), &out, &errs)
	return code, out.String() + errs.String()
}

// commandsThatAsk are those that send the key somewhere.
func commandsThatAsk() [][]string {
	return [][]string{
		{"lookup", "+15135557611"}, {"stats"}, {"resync"}, {"explain", "+15135557611"}, {"erase", "--user", "7"}, {"erase", "--user", "7", "--lift"},
	}
}

// A daemon's place is taken by one who sends elsewhere.
func TestNoCommandTakesTheKeyElsewhere(t *testing.T) {
	var mu sync.Mutex
	var strayed []string
	evil := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		strayed = append(strayed, r.Method+" "+r.Header.Get("Authorization"))
	}))
	defer evil.Close()
	asked, location, status := 0, "", 0
	home := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.Header.Get("Authorization") != "Bearer "+plantedKey {
			t.Error("the daemon itself gets no key")
		}
		w.Header()["Location"] = []string{location}
		w.Header().Set("Refresh", "0; url="+evil.URL)
		w.WriteHeader(status)
	}))
	defer home.Close()
	host, elsewhere := home.Listener.Addr().String(), evil.Listener.Addr().String()
	statuses := []int{301, 302, 303, 307, 308}
	for c, args := range commandsThatAsk() {
		for l, line := range origintest.Group(t, "locations") {
			// Each place with each command and each status with each place; not
			// each of the three with each, which takes a third of a minute.
			for _, status = range []int{statuses[(c+l)%5], statuses[(c+l+2)%5]} {
				location, asked = origintest.Fill(line, host, elsewhere), 0
				code, said := commandLine(append(args, "--server", home.URL, "--key", plantedKey)...)
				if code != exitFailed || asked != 1 || !strings.Contains(said, "that is not followed") {
					t.Errorf("%s, sent to %q by %d: code %d after %d requests: %s", args, location, status, code, asked, said)
				}
				if strings.Contains(said, plantedKey) || strings.Contains(said, elsewhere) || strings.Contains(said, "5135557611") {
					t.Errorf("%s, sent to %q: %s", args, location, said)
				}
			}
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(strayed) > 0 {
		t.Errorf("somebody else was asked: %q", strayed)
	}
}

func TestServersThatAreRefused(t *testing.T) {
	for _, server := range []string{
		"http://agent:hunter2@127.0.0.1:1", "http://hunter2@127.0.0.1:1", "agent:hunter2@127.0.0.1:1", "http://@127.0.0.1:1", "http://127.0.0.1:1?token=hunter2", "http://127.0.0.1:1?",
		"http://127.0.0.1:1#hunter2", "http://127.0.0.1:1#", "ftp://127.0.0.1:1", "file:///etc/passwd", "javascript:alert(1)", "http://", "http://:1", "//127.0.0.1:1",
		"nonsense", "http://127.0.0.1:hunter2", `http:\\127.0.0.1`, "http://127.0.0.1\\@evil", "http://127.0.0.1:", "http://[::1", "http://%zz", "http://a b", "http://127.0.0.1\n:1", "-",
	} {
		code, said := commandLine("lookup", "+15135557611", "--server="+server, "--key", plantedKey)
		if code != exitUsage || !strings.Contains(said, "--server is not a URL such as http://127.0.0.1:8081") {
			t.Errorf("%q: code %d, %s", server, code, said)
		}
		for _, word := range []string{"hunter2", "evil", plantedKey, "5135557611"} {
			if strings.Contains(said, word) {
				t.Errorf("%q: %s is in %s", server, word, said)
			}
		}
	}
}

// Whoever answers may say back what they heard.
func TestTheKeyIsInNoError(t *testing.T) {
	reply := ""
	status := http.StatusForbidden
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(reply))
	}))
	defer s.Close()
	for _, reply = range []string{
		`{"title":"No","detail":"the key ` + plantedKey + ` is not known"}`, `{"title":"` + plantedKey + `"}`, plantedKey, "<html>" + plantedKey, `{"title":7}`, "",
	} {
		for _, status = range []int{200, 204, 401, 403, 404, 500} {
			for _, args := range commandsThatAsk() {
				if status == 200 && json.Valid([]byte(reply)) {
					continue // that is an answer, and no error
				}
				_, said := commandLine(append(args, "--server", s.URL, "--key", plantedKey)...)
				if strings.Contains(said, plantedKey) {
					t.Errorf("%s, answered %d %q: %s", args, status, reply, said)
				}
			}
		}
	}
	for _, key := range []string{plantedKey + "\n", plantedKey + "\x00", plantedKey + "\r\nX: y"} {
		code, said := commandLine("stats", "--server", s.URL, "--key", key)
		if code != exitFailed || strings.Contains(said, plantedKey) {
			t.Errorf("a key that is no header: code %d, %s", code, said)
		}
	}
	for _, args := range [][]string{{"stats", "--nonsense"}, {"lookup"}, {"stats", "--help"}, {"stats", "--server", "http://127.0.0.1:1"}} {
		t.Setenv("ANIPROXY_KEY", plantedKey)
		if _, said := commandLine(args...); strings.Contains(said, plantedKey) {
			t.Errorf("%s: %s", args, said)
		}
	}
}

func TestAKeyInClearIsWarnedOf(t *testing.T) {
	for server, warns := range map[string]bool{
		"http://192.0.2.1:1": true, "http://aniproxy.invalid:8081": true, "aniproxy.invalid:8081": true, "http://localhost.invalid:1": true, "http://[2001:db8::1]:1": true,
		"http://127.0.0.1:1": false, "http://localhost:1": false, "http://LOCALHOST:1": false, "http://[::1]:1": false, "https://aniproxy.invalid:1": false,
	} {
		for _, key := range []string{"", plantedKey} {
			d := daemon{Server: server, Key: key, warn: &bytes.Buffer{}}
			warned := d.warn
			target, err := d.target()
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if _, err := d.request(t.Context(), http.MethodGet, target, nil); err != nil {
					t.Fatal(err)
				}
			}
			n := strings.Count(warned.(*bytes.Buffer).String(), "warning: the key crosses the network in clear")
			if want := map[bool]int{true: 1}[warns && key != ""]; n != want {
				t.Errorf("%s with a key of %d letters: warned %d times, want %d", server, len(key), n, want)
			}
			if (transportTo(target).Proxy != nil) != (target.Scheme == "https") {
				t.Errorf("%s: a proxy of the environment is asked for it", server)
			}
		}
	}
	// And a person does see it.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	run(ctx, []string{"stats", "--server", "http://192.0.2.1:1", "--key", plantedKey}, nil, strings.NewReader(""), &out, &errs)
	if !strings.Contains(errs.String(), "aniproxy: warning: the key crosses the network in clear") || strings.Contains(errs.String(), plantedKey) {
		t.Errorf("a command says %s", errs.String())
	}
}

func TestWhereZendeskIsToldToPost(t *testing.T) {
	for _, text := range origintest.Group(t, "base urls") {
		if strings.HasPrefix(text, "-") {
			continue
		}
		k := webhookInstallCommand{URL: text}
		at, err := k.endpoint(config.Defaults())
		if err == nil {
			t.Errorf("--url %q is %s", text, at)
		} else if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "evil") {
			t.Errorf("--url %q: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		"https://ani.example.com": "https://ani.example.com/webhooks/zendesk", "https://ani.example.com/": "https://ani.example.com/webhooks/zendesk",
		"https://ani.example.com:8443/webhooks/zendesk": "https://ani.example.com:8443/webhooks/zendesk",
	} {
		k := webhookInstallCommand{URL: text}
		if at, err := k.endpoint(config.Defaults()); err != nil || at != want {
			t.Errorf("--url %s is %s, %v", text, at, err)
		}
	}
	for text, want := range map[string]string{
		"https://a:hunter2@b.example/x?token=hunter2#hunter2": "https://b.example/x", "https://b.example/webhooks/zendesk": "https://b.example/webhooks/zendesk",
		"hunter2": "an address that cannot be read", "https://a:hunter2@%zz": "an address that cannot be read", "mailto:hunter2": "an address that cannot be read",
	} {
		if got := shown(text); got != want {
			t.Errorf("%s is shown as %s", text, got)
		}
	}
}
