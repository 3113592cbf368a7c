package proxy

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aniproxy/internal/caller"
)

// status asks the public side with an Authorization header as it is given.
func (w *world) statusFor(t testing.TB, path string, authorization ...string) int {
	t.Helper()
	w.tick(forgiveEvery) // so that nothing waits
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	r.Header["Authorization"] = authorization
	answer := httptest.NewRecorder()
	w.Public().ServeHTTP(answer, r)
	return answer.Code
}

func basic(name, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+secret))
}

func TestHeadersThatAreNoKey(t *testing.T) {
	long := strings.Repeat("long-secret-", 80)
	w := newWorld(t, func(o *Options) {
		c := newClient("webex", "lookup", "zendesk")
		c.Digests = append(c.Digests, sha256.Sum256([]byte(long)), sha256.Sum256(nil))
		o.Clients = []Client{c, newClient("other", "lookup", "zendesk"), newClient("slashed/token", "lookup", "zendesk")}
	})
	const lookup, zendesk = "/v1/lookup?ani=5", "/api/v2/users/me"
	good := secretOf("webex")
	tests := []struct {
		name, path string
		header     []string
		want       int
	}{
		{"Bearer", lookup, []string{"Bearer " + good}, 200},
		{"Basic", lookup, []string{basic("webex", good)}, 200},
		{"a scheme in small letters", lookup, []string{"bearer " + good}, 200},
		{"a scheme in capitals", lookup, []string{"BASIC " + basic("webex", good)[6:]}, 200},
		{"blanks before the key", lookup, []string{"Bearer    " + good}, 200},
		{"blanks and a tab after it", lookup, []string{"Bearer " + good + " \t "}, 200},

		{"two headers, the same", lookup, []string{"Bearer " + good, "Bearer " + good}, 401},
		{"two headers, the first one good", lookup, []string{"Bearer " + good, "Bearer x"}, 401},
		{"two headers, the second one good", lookup, []string{"Bearer x", "Bearer " + good}, 401},
		{"two headers, one of them empty", lookup, []string{"", "Bearer " + good}, 401},
		{"two in one", lookup, []string{"Bearer " + good + ", Bearer " + good}, 401},
		{"no header", lookup, nil, 401},
		{"an empty header", lookup, []string{""}, 401},
		{"a blank", lookup, []string{" "}, 401},
		{"a scheme alone", lookup, []string{"Bearer"}, 401},
		{"a scheme and nothing, though the digest of nothing is configured", lookup, []string{"Bearer "}, 401},
		{"Basic and nothing", lookup, []string{"Basic "}, 401},
		{"no scheme", lookup, []string{good}, 401},
		{"a blank before the scheme", lookup, []string{" Bearer " + good}, 401},
		{"a tab for the blank", lookup, []string{"Bearer\t" + good}, 401},
		{"a scheme that begins well", lookup, []string{"BearerX " + good}, 401},
		{"a letter that folds to another", lookup, []string{"Ba\u017fic " + basic("webex", good)[6:]}, 401},
		{"another scheme", lookup, []string{"Token " + good}, 401},
		{"the key in two parts", lookup, []string{"Bearer " + good[:20] + " " + good[20:]}, 401},
		{"a NUL after the key", lookup, []string{"Bearer " + good + "\x00"}, 401},
		{"a NUL before the key", lookup, []string{"Bearer \x00" + good}, 401},
		{"a NUL in what is encoded", lookup, []string{basic("webex\x00", good)}, 401},
		{"a line's end", lookup, []string{"Bearer " + good + "\r\nX: y"}, 401},
		{"a blank of another width", lookup, []string{"Bearer \u00a0" + good}, 401},
		{"the key with a byte that is no UTF-8", lookup, []string{"Bearer \xff" + good[1:]}, 401},
		{"a name that is no UTF-8", lookup, []string{basic("\xff", good)}, 401},
		{"base64 that is none", lookup, []string{"Basic " + good}, 401},
		{"base64 that is cut off", lookup, []string{strings.TrimRight(basic("webex", good), "=")[:30]}, 401},
		{"base64 of the other alphabet", lookup, []string{"Basic " + base64.URLEncoding.EncodeToString([]byte("webex:"+good+"\xfb\xff"))}, 401},
		{"base64 twice", lookup, []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(basic("webex", good)))}, 401},
		{"no colon", lookup, []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(good))}, 401},
		{"a colon too many", lookup, []string{basic("webex:", good)}, 401},
		{"no name", lookup, []string{basic("", good)}, 401},
		{"another client's name and a good secret", lookup, []string{basic("other", good)}, 401},
		{"a name that nobody has and a good secret", lookup, []string{basic("nobody", good)}, 401},
		{"the name in capitals", lookup, []string{basic("WEBEX", good)}, 401},
		{"the name with a blank", lookup, []string{basic("webex ", good)}, 401},
		{"the digest for the key", lookup, []string{fmt.Sprintf("Bearer %x", sha256.Sum256([]byte(good)))}, 401},
		{"the client's name for the key", lookup, []string{basic("webex", "webex")}, 401},

		{"a header that is longer than any key, though it is one", lookup, []string{"Bearer " + long + strings.Repeat(" ", maxCredentials)}, 401},
		{"one that just fits", lookup, []string{"Bearer " + long}, 200},
		{"a megabyte", lookup, []string{"Bearer " + strings.Repeat("x", 1<<20)}, 401},
		{"a megabyte of Basic", lookup, []string{basic("webex", strings.Repeat("x", 1<<20))}, 401},
		{"a thousand headers", lookup, strings.Split(strings.Repeat("Bearer "+good+"\n", 1000), "\n"), 401},

		{"/token below /api/v2", zendesk, []string{basic("webex/token", good)}, 200},
		{"no /token below /api/v2", zendesk, []string{basic("webex", good)}, 200},
		{"/token elsewhere", lookup, []string{basic("webex/token", good)}, 401},
		{"/token twice", zendesk, []string{basic("webex/token/token", good)}, 401},
		{"/TOKEN", zendesk, []string{basic("webex/TOKEN", good)}, 401},
		{"another's name with /token", zendesk, []string{basic("other/token", good)}, 401},
		{"a name that ends so", lookup, []string{basic("slashed/token", secretOf("slashed/token"))}, 200},
		{"and below /api/v2", zendesk, []string{basic("slashed/token", secretOf("slashed/token"))}, 200},
		{"and without its end", zendesk, []string{basic("slashed", secretOf("slashed/token"))}, 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := w.statusFor(t, tt.path, tt.header...); got != tt.want {
				t.Errorf("status %d, want %d", got, tt.want)
			}
		})
	}
}

// Two keys hold while one replaces the other; the one that is taken out is
// worth nothing from the next request on.
func TestKeysAreReplaced(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Clients = []Client{withKeys("old")} })
	for _, step := range []struct {
		name     string
		clients  []Client
		old, new int
	}{
		{"the old one alone", []Client{withKeys("old")}, 200, 401},
		{"both", []Client{withKeys("old", "new")}, 200, 200},
		{"the new one alone", []Client{withKeys("new")}, 401, 200},
		{"the client under another name", []Client{newClient("someone else", "lookup"), renamed(withKeys("new"))}, 401, 200},
		{"without the scope", []Client{scoped(withKeys("new"), "stats")}, 401, 403},
		{"another client alone", []Client{newClient("someone else", "lookup")}, 401, 401},
	} {
		if err := w.SetClients(step.clients); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		for key, want := range map[string]int{"old": step.old, "new": step.new} {
			if got := w.statusFor(t, "/v1/lookup?ani=5", "Bearer "+secretOf(key)); got != want {
				t.Errorf("%s: the %s key: status %d, want %d", step.name, key, got, want)
			}
		}
	}
	if err := w.SetClients([]Client{withKeys("new"), withKeys("new")}); err == nil {
		t.Error("clients at fault were taken")
	}
	if got := w.statusFor(t, "/v1/lookup?ani=5", "Bearer "+secretOf("new")); got != 401 {
		t.Errorf("after a fault those before hold no more: status %d", got)
	}
}

// TestAChangedLimitGivesNoFreshBucket: what was spent of one is spent of the
// next.
func TestAChangedLimitGivesNoFreshBucket(t *testing.T) {
	limited := func(burst, live int) Client {
		c := withKeys("old")
		c.Rate, c.Burst, c.LivePerMinute = 1, burst, live
		return c
	}
	w := newWorld(t, func(o *Options) { o.Clients = []Client{limited(10, 10)} })
	for range 8 {
		if got := w.get(t, "/v1/lookup?ani=5", "old").status; got != http.StatusOK {
			t.Fatalf("status %d", got)
		}
	}
	w.clients.Load().all[0].live.AllowN(time.Unix(0, w.now.Load()), 9)
	if err := w.SetClients([]Client{limited(5, 20)}); err != nil {
		t.Fatal(err)
	}
	var got []int
	for range 3 {
		got = append(got, w.get(t, "/v1/lookup?ani=5", "old").status)
	}
	if want := []int{200, 200, 429}; !slices.Equal(got, want) {
		t.Errorf("with two left the answers are %v, want %v", got, want)
	}
	if left := w.clients.Load().all[0].live.TokensAt(time.Unix(0, w.now.Load())); left > 1 {
		t.Errorf("%v questions to Zendesk are left, want 1", left)
	}
}

// withKeys is a client that has these keys.
func withKeys(keys ...string) Client {
	c := newClient("rolling", "lookup")
	c.Digests = nil
	for _, key := range keys {
		c.Digests = append(c.Digests, sha256.Sum256([]byte(secretOf(key))))
	}
	return c
}

func renamed(c Client) Client { c.Name = "renamed"; return c }

func scoped(c Client, scope string) Client { c.Scopes = []string{scope}; return c }

// held is a resolver that answers the first when it is let go.
type held struct {
	resolver
	second        atomic.Bool
	arrived, goOn chan struct{}
}

func (h *held) Lookup(ctx context.Context, q caller.Query) caller.Answer {
	if h.second.CompareAndSwap(false, true) {
		close(h.arrived)
		<-h.goOn
	}
	return h.resolver.Lookup(ctx, q)
}

func TestARunningRequestEndsAsItBegan(t *testing.T) {
	h := &held{arrived: make(chan struct{}), goOn: make(chan struct{})}
	w := newWorld(t, func(o *Options) { o.Resolver, o.Clients = h, []Client{withKeys("old")} })
	ended := make(chan int)
	go func() { ended <- w.statusFor(t, "/v1/lookup?ani=5", "Bearer "+secretOf("old")) }()
	<-h.arrived
	if err := w.SetClients([]Client{scoped(withKeys("new"), "stats")}); err != nil {
		t.Fatal(err)
	}
	if got := w.statusFor(t, "/v1/lookup?ani=5", "Bearer "+secretOf("old")); got != http.StatusUnauthorized {
		t.Errorf("the next request by the key that was taken out: status %d", got)
	}
	close(h.goOn)
	if got := <-ended; got != http.StatusOK {
		t.Errorf("the one under way: status %d", got)
	}
}

// While keys are replaced over and over, a key that stays is good throughout,
// and one is refused from the moment it is out.
func TestKeysAreReplacedUnderLoad(t *testing.T) {
	busy := func(c Client) Client { c.Rate, c.Burst = 1_000_000, 1_000_000; return c }
	w := newWorld(t, func(o *Options) { o.Clients = []Client{busy(newClient("steady", "lookup")), withKeys("a")} })
	done := make(chan struct{})
	var wg sync.WaitGroup
	defer func() { close(done); wg.Wait() }()
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if got := w.statusFor(t, "/v1/lookup?ani=5", "Bearer "+secretOf("steady")); got != http.StatusOK {
					t.Errorf("the key that stays: status %d", got)
					return
				}
			}
		})
	}
	in, out := "b", "a"
	for range 200 {
		if err := w.SetClients([]Client{busy(withKeys(in)), busy(newClient("steady", "lookup"))}); err != nil {
			t.Fatal(err)
		}
		if got := w.statusFor(t, "/v1/lookup?ani=5", "Bearer "+secretOf(out)); got != http.StatusUnauthorized {
			t.Fatalf("the key that is out: status %d", got)
		}
		if got := w.statusFor(t, "/v1/lookup?ani=5", basic("rolling", secretOf(in))); got != http.StatusOK {
			t.Fatalf("the key that is in: status %d", got)
		}
		in, out = out, in
	}
}

// FuzzCredentials reads any header. What net/http reads as Basic is read the
// same here, and nothing but a good key is let in by any.
func FuzzCredentials(f *testing.F) {
	for _, header := range []string{
		"Bearer " + secretOf("lookup"), basic("lookup", secretOf("lookup")), basic("other", secretOf("lookup")), "Basic Og==", "Basic", "basic  Og==", "Bearer", "", " ", "Ba\u017fic Og==",
		"Basic \xff", "Bearer \x00", "BEARER\t" + secretOf("lookup"), "Basic !", "Bearer a, Basic Og==",
	} {
		f.Add(header)
	}
	w := newWorld(f, withClients)
	known := w.clients.Load()
	good := secretOf("lookup")
	f.Fuzz(func(t *testing.T, header string) {
		name, secret, isBasic := credentials(header)
		if strings.Contains(name, ":") || !isBasic && name != "" {
			t.Errorf("%q has the name %q", header, name)
		}
		r := &http.Request{Header: http.Header{"Authorization": {header}}}
		if n, s, ok := r.BasicAuth(); ok && (n != name || s != secret || !isBasic) {
			t.Errorf("%q is %q and %q, and to net/http %q and %q", header, name, secret, n, s)
		}
		for _, zendesk := range []bool{false, true} {
			owner, named := known.identify(header, zendesk)
			if owner != nil && (secret != secretOf(owner.name) || isBasic && name != owner.name && name != owner.name+"/token") {
				t.Errorf("%q lets %s in", header, owner.name)
			}
			if named != "" && known.named(named) == nil {
				t.Errorf("%q names %q", header, named)
			}
		}
		// Whatever a name holds, the key beside it is what counts.
		if owner, _ := known.identify(basic(strings.ReplaceAll(header, ":", ""), good), false); (owner != nil) != (header == "lookup") {
			t.Errorf("the name %q with a good key: %v", header, owner != nil)
		}
	})
}
