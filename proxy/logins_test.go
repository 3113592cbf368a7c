package proxy

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// counting is a count of failures on a clock of its own.
func counting(log io.Writer) (l *logins, tick func(time.Duration)) {
	now := start
	l = newLogins(func() time.Time { return now }, slog.New(slog.NewTextHandler(log, nil)))
	return l, func(d time.Duration) { now = now.Add(d) }
}

// once counts a failure and gives back the place it took.
func (l *logins) once(f failure) time.Duration {
	wait, from, ok := l.count(context.Background(), f)
	if ok && wait > 0 {
		l.leave(from)
	}
	return wait
}

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

func TestWhatAFailureCosts(t *testing.T) {
	const ms = time.Millisecond
	l, tick := counting(io.Discard)
	who := failure{from: addr("192.0.2.1"), signature: true}
	steps := []struct {
		name  string
		after time.Duration
		want  []time.Duration
	}{
		{"the first are free, then twice as long each", 0, []time.Duration{0, 0, 0, 0, 0, 100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3000 * ms, 3000 * ms}},
		{"one is forgiven in ten seconds, and not before", forgiveEvery - 1, []time.Duration{3000 * ms}}, // 13 now
		{"so that one in ten seconds costs as much as the one before", forgiveEvery, []time.Duration{3000 * ms}},
		{"after a while less", 6 * forgiveEvery, []time.Duration{400 * ms}},
		{"and in the end nothing", 8 * forgiveEvery, []time.Duration{0, 0, 0, 0, 0, 100 * ms}},
	}
	for _, step := range steps {
		tick(step.after)
		got := make([]time.Duration, len(step.want))
		for i := range got {
			got[i] = l.once(who)
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
	for range 10 * mostFailures {
		l.once(who)
	}
	tick(mostFailures * forgiveEvery)
	if got := l.once(who); got != 0 {
		t.Errorf("five minutes after any number of failures the next costs %v", got)
	}
	tick(-time.Hour) // a clock that is set back
	l.once(who)
	tick(mostFailures * forgiveEvery)
	if got := l.once(who); got != 0 {
		t.Errorf("five minutes after a clock was set back a failure costs %v", got)
	}
}

func TestWhatFailuresAreCountedBy(t *testing.T) {
	bearer := func(from string) failure { return failure{from: addr(from)} }
	as := func(from, client string) failure { return failure{from: addr(from), client: client} }
	signed := func(from string) failure { return failure{from: addr(from), signature: true} }
	each := func(one func(from string) failure) (all []failure) {
		for i := range freeFailures {
			all = append(all, one(fmt.Sprintf("198.51.100.%d", i+1)))
		}
		return all
	}
	five := func(f failure) []failure { return slices.Repeat([]failure{f}, freeFailures) }
	tests := []struct {
		name   string
		before []failure
		then   failure
		waits  bool
	}{
		{"the same address, whatever was tried", five(as("192.0.2.1", "webex")), signed("192.0.2.1"), true},
		{"the same address again within IPv6", five(signed("192.0.2.1")), signed("::ffff:192.0.2.1"), true},
		{"another address", five(signed("192.0.2.1")), signed("192.0.2.2"), false},
		{"another address of an IPv6 household", five(signed("2001:db8:1:2::1")), signed("2001:db8:1:2:ffff::9"), true},
		{"another IPv6 household", five(signed("2001:db8:1:2::1")), signed("2001:db8:1:3::1"), false},
		{"a zone is no address", five(signed("fe80::1%eth0")), signed("fe80::1%eth1"), true},
		{"a client's name from many addresses", each(func(from string) failure { return as(from, "webex") }), as("192.0.2.1", "webex"), true},
		{"another client's name", each(func(from string) failure { return as(from, "webex") }), as("192.0.2.1", "other"), false},
		{"keys without a known name share a count", each(bearer), bearer("192.0.2.1"), true},
		{"which is no client's", each(bearer), as("192.0.2.1", "webex"), false},
		{"nor that of webhooks, who have no name", each(bearer), signed("192.0.2.1"), false},
		{"and theirs is no key's", each(signed), bearer("192.0.2.1"), false},
		{"whatever has no address is one", slices.Repeat([]failure{{signature: true}}, freeFailures), failure{signature: true}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, _ := counting(io.Discard)
			for _, f := range tt.before {
				if wait := l.once(f); wait != 0 {
					t.Fatalf("one of the first waits %v", wait)
				}
			}
			if wait := l.once(tt.then); (wait > 0) != tt.waits {
				t.Errorf("it waits %v", wait)
			}
		})
	}
}

func TestTheLongerOfTwoWaitsHolds(t *testing.T) {
	l, _ := counting(io.Discard)
	for i := range 20 { // the name's is the longest there is
		l.once(failure{from: addr(fmt.Sprintf("198.51.100.%d", i+1)), client: "webex"})
	}
	for range freeFailures {
		l.once(failure{from: addr("192.0.2.1"), signature: true})
	}
	if got := l.once(failure{from: addr("192.0.2.1"), client: "other"}); got != firstWait {
		t.Errorf("the address alone: %v", got)
	}
	if got := l.once(failure{from: addr("192.0.2.1"), client: "webex"}); got != slowest {
		t.Errorf("both: %v", got)
	}
}

func TestTheAddressesOfFailuresAreBounded(t *testing.T) {
	l, tick := counting(io.Discard)
	nth := func(i int) failure {
		return failure{from: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), signature: true}
	}
	oldest, held, busy := nth(0), nth(1), nth(2)
	for range freeFailures {
		l.once(oldest)
		l.once(held)
		l.once(busy)
	}
	if wait, _, ok := l.count(t.Context(), held); wait == 0 || !ok { // and it waits on
		t.Fatalf("it waits %v, %v", wait, ok)
	}
	tick(time.Second)
	for i := 3; i < 3*maxAddresses; i++ {
		l.once(nth(i))
		if i%1000 == 0 {
			l.once(busy)
		}
		if len(l.sources) > maxAddresses || l.order.Len() != len(l.sources) {
			t.Fatalf("%d addresses are remembered, and %d in order", len(l.sources), l.order.Len())
		}
	}
	for _, tt := range []struct {
		name  string
		who   failure
		waits bool
	}{
		{"whose failures are the oldest", oldest, false},
		{"who waits", held, true},
		{"who goes on failing", busy, true},
	} {
		if wait := l.once(tt.who); (wait > 0) != tt.waits {
			t.Errorf("%s: %v", tt.name, wait)
		}
	}
	for i := range 3 * maxNames {
		l.once(failure{from: addr("192.0.2.1"), client: fmt.Sprint("renamed ", i)})
	}
	if len(l.names) > maxNames {
		t.Errorf("%d names are remembered", len(l.names))
	}
}

func TestTheLogOfFailures(t *testing.T) {
	var log strings.Builder
	l, tick := counting(&log)
	said := func() []string {
		var lines []string
		for line := range strings.Lines(log.String()) {
			_, line, _ = strings.Cut(strings.TrimSpace(line), "level=")
			lines = append(lines, strings.ReplaceAll(line, ` msg="failed log-ins are slowed down"`, ""))
		}
		log.Reset()
		return lines
	}
	many := func(f failure) {
		for range 2 * freeFailures {
			l.once(f)
		}
	}
	many(failure{from: addr("192.0.2.1"), signature: true})
	many(failure{from: addr("2001:db8::5"), client: "webex"})
	if diff := cmp.Diff([]string{"WARN address=192.0.2.1 wait=100ms failures=6", "WARN address=2001:db8::/64 wait=100ms failures=6 client=webex"}, said()); diff != "" {
		t.Errorf("when it begins (-want +got):\n%s", diff)
	}
	for range 119 { // while it goes on there is nothing new to tell
		tick(5 * time.Second)
		l.once(failure{from: addr("192.0.2.1"), signature: true})
	}
	if got := said(); got != nil {
		t.Errorf("while it goes on: %q", got)
	}
	tick(5 * time.Second)
	l.once(failure{from: addr("192.0.2.1"), signature: true})
	if diff := cmp.Diff([]string{"WARN address=192.0.2.1 wait=3s failures=124"}, said()); diff != "" {
		t.Errorf("after ten minutes (-want +got):\n%s", diff)
	}
	short := failure{from: addr("192.0.2.3"), signature: true}
	for range freeFailures + 1 {
		l.once(short)
	}
	said()
	tick(2 * forgiveEvery) // it ends, and begins again, within a minute
	if free, slow := l.once(short), l.once(short); free != 0 || slow == 0 {
		t.Errorf("it waited %v and %v", free, slow)
	}
	if got := said(); got != nil {
		t.Errorf("within the same minute: %q", got)
	}
	tick(10 * time.Minute)
	many(failure{from: addr("192.0.2.1"), signature: true})
	if diff := cmp.Diff([]string{"WARN address=192.0.2.1 wait=100ms failures=6"}, said()); diff != "" {
		t.Errorf("when it begins again (-want +got):\n%s", diff)
	}
	tick(10 * time.Minute)
	for i := range 100 {
		many(failure{from: addr(fmt.Sprintf("198.51.100.%d", i+1)), signature: true})
	}
	if got := said(); len(got) != maxWarned {
		t.Errorf("of a hundred addresses within a minute %d lines tell", len(got))
	}
	tick(10 * time.Minute)
	many(failure{signature: true})
	if diff := cmp.Diff([]string{"WARN address=unknown wait=100ms failures=6 untold=90"}, said()); diff != "" {
		t.Errorf("after that (-want +got):\n%s", diff)
	}
}

// bubbled is a server whose clock is that of the bubble it is made in, and who
// can be asked over connections in memory.
type bubbled struct {
	*Server
	*house
}

func newBubbled(t *testing.T, o Options) (*bubbled, func()) {
	t.Helper()
	o.Clock, o.Registry = time.Now, prometheus.NewRegistry()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	h, end := open(t, door{handler: s.Public(), trusted: o.TrustedProxies})
	return &bubbled{s, h}, end
}

// try asks with a key from an address on a connection of its own.
func (b *bubbled) try(t *testing.T, peer string, headers ...string) (status int, took time.Duration) {
	t.Helper()
	conn := b.doors[0].dial(peer + ":5")
	defer conn.Close()
	began := time.Now()
	status, _ = ask(t, conn, strings.Join(append([]string{"GET /v1/lookup?ani=5 HTTP/1.1"}, headers...), "\r\n"))
	return status, time.Since(began)
}

// guess begins to ask with a key that is wrong, and leaves the answer.
func (b *bubbled) guess(peer string) net.Conn {
	conn := b.doors[0].dial(peer + ":5")
	go io.WriteString(conn, "GET /v1/lookup?ani=5 HTTP/1.1\r\nHost: localhost\r\n"+wrongKey+"\r\n\r\n")
	return conn
}

const wrongKey = "Authorization: Bearer a-key-that-nobody-was-given-at-any-time"

func basicAuth(name, secret string) string {
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(name, secret)
	return "Authorization: " + r.Header.Get("Authorization")
}

// A key that is wrong waits, and its answer is the same as ever. A good one
// does not: not from the same address, not of the same name, not while all
// places are taken.
func TestFailedLoginsSlowDownAndGoodOnesDoNot(t *testing.T) {
	o := newWorld(t, func(o *Options) {
		o.Clients = []Client{newClient("webex", "lookup"), newClient("other", "lookup")}
	}).o
	synctest.Test(t, func(t *testing.T) {
		b, end := newBubbled(t, o)
		defer end()
		good := func(when string) {
			t.Helper()
			for _, key := range []string{"Authorization: Bearer " + secretOf("webex"), basicAuth("webex", secretOf("webex"))} {
				if status, took := b.try(t, "192.0.2.1", key); status != http.StatusOK || took != 0 {
					t.Errorf("a good key %s: status %d after %v", when, status, took)
				}
			}
		}
		var waits []time.Duration
		for range 8 {
			status, took := b.try(t, "192.0.2.1", basicAuth("webex", secretOf("other")))
			if status != http.StatusUnauthorized {
				t.Errorf("a wrong key: status %d", status)
			}
			waits = append(waits, took)
			good("after a wrong one")
		}
		if diff := cmp.Diff([]time.Duration{0, 0, 0, 0, 0, firstWait, 2 * firstWait, 4 * firstWait}, waits); diff != "" {
			t.Errorf("what wrong keys waited (-want +got):\n%s", diff)
		}
		if status, took := b.try(t, "192.0.2.9", basicAuth("webex", "x")); status != http.StatusUnauthorized || took != 8*firstWait {
			t.Errorf("the same name from another address: status %d after %v", status, took)
		}
		if status, took := b.try(t, "192.0.2.9", basicAuth("other", "x")); status != http.StatusUnauthorized || took != 0 {
			t.Errorf("another name: status %d after %v", status, took)
		}
		for range 20 { // until the address is as slow as can be, and all its places are taken
			defer b.guess("192.0.2.1").Close()
		}
		synctest.Wait()
		good("while all places of its address are taken")
		for range 10 {
			if status, took := b.try(t, "192.0.2.1"); status != http.StatusUnauthorized || took != 0 {
				t.Errorf("no key at all: status %d after %v", status, took)
			}
		}
		if failed, slowed := b.logins.failed.Load(), b.logins.slowed.Load(); failed != 30 || slowed != 24 {
			t.Errorf("%d failures are counted, %d of them slowed", failed, slowed)
		}
	})
}

// Nobody but a trusted proxy can say where a request came from: neither to
// spread failures over addresses nor to lay them on somebody else's.
func TestNobodyChoosesWhoseFailuresTheyAre(t *testing.T) {
	o := newWorld(t, func(o *Options) {
		withClients(o)
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	}).o
	tests := []struct {
		name, peer    string
		forwarded     func(i int) string
		framed        string // who must not have it on their account
		counted       string // who has
		countedBehind bool
	}{
		{"X-Forwarded-For of anybody, another each time", "192.0.2.1", func(i int) string { return fmt.Sprintf("198.51.100.%d", i) }, "198.51.100.3", "192.0.2.1", false},
		{"X-Forwarded-For of anybody, always the same", "192.0.2.1", func(int) string { return "198.51.100.7" }, "198.51.100.7", "192.0.2.1", false},
		{"what stands before what the proxy wrote", "10.0.0.1", func(i int) string { return fmt.Sprintf("198.51.100.%d, 192.0.2.1", i) }, "198.51.100.3", "192.0.2.1", true},
		{"with what is no address before it", "10.0.0.1", func(i int) string { return strings.Repeat(",", i) + "198.51.100.7,;, 192.0.2.1" }, "198.51.100.7", "192.0.2.1", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, end := newBubbled(t, o)
				defer end()
				for i := range freeFailures {
					if _, took := b.try(t, tt.peer, "X-Forwarded-For: "+tt.forwarded(i), wrongKey); took != 0 {
						t.Errorf("one of the first waited %v", took)
					}
				}
				b.logins.others = failures{} // the name's count is not what is looked at
				try := func(address string) time.Duration {
					peer, headers := address, []string{wrongKey}
					if tt.countedBehind {
						peer, headers = "10.0.0.1", append(headers, "X-Forwarded-For: "+address)
					}
					_, took := b.try(t, peer, headers...)
					return took
				}
				if took := try(tt.framed); took != 0 {
					t.Errorf("%s waited %v for what it did not do", tt.framed, took)
				}
				if took := try(tt.counted); took != firstWait {
					t.Errorf("%s waited %v", tt.counted, took)
				}
			})
		})
	}
}

// Of those who wait there are only so many. Beyond that the answer is 429, at
// once. Who hangs up leaves a place.
func TestThePlacesOfThoseWhoWait(t *testing.T) {
	o := newWorld(t, withClients).o
	synctest.Test(t, func(t *testing.T) {
		b, end := newBubbled(t, o)
		defer end()
		waiting := func(want int, when string) {
			t.Helper()
			synctest.Wait()
			b.logins.mu.Lock()
			defer b.logins.mu.Unlock()
			if b.logins.waiting != want {
				t.Errorf("%s: %d wait, want %d", when, b.logins.waiting, want)
			}
		}
		b.logins.others.clear = time.Now().Add(mostFailures * forgiveEvery) // all keys without a name wait
		var conns []net.Conn
		for range 2 * maxDetainedOf {
			conns = append(conns, b.guess("192.0.2.1"))
		}
		waiting(maxDetainedOf, "of one address")
		conn := b.guess("192.0.2.1")
		defer conn.Close()
		if got := firstLines(t, conn); !strings.HasPrefix(got, "HTTP/1.1 429 ") || !strings.Contains(got, "\r\nRetry-After: 3\r\n") {
			t.Errorf("beyond that: %q", got)
		}
		for i := range maxDetained {
			conns = append(conns, b.guess(fmt.Sprintf("198.51.%d.%d", 100+i/200, i%200)))
		}
		waiting(maxDetained, "of all")
		if status, took := b.try(t, "203.0.113.1", wrongKey); status != http.StatusTooManyRequests || took != 0 {
			t.Errorf("beyond that: status %d after %v", status, took)
		}
		if status, took := b.try(t, "203.0.113.1", "Authorization: Bearer "+secretOf("lookup")); status != http.StatusOK || took != 0 {
			t.Errorf("a good key: status %d after %v", status, took)
		}
		for _, conn := range conns {
			conn.Close()
		}
		waiting(0, "once all have hung up")
		if took := time.Since(time.Unix(946684800, 0)); took != 0 {
			t.Errorf("all that took %v", took)
		}
		if n := b.logins.order.Len(); n != len(b.logins.sources) {
			t.Errorf("%d in order of %d", n, len(b.logins.sources))
		}
	})
}

// firstLines is the beginning of an answer.
func firstLines(t *testing.T, conn net.Conn) string {
	t.Helper()
	var all [4096]byte
	n, err := conn.Read(all[:])
	if err != nil {
		t.Error(err)
	}
	return string(all[:n])
}

// A shutdown does not wait for those who wait.
func TestADrainEndsTheWaiting(t *testing.T) {
	o := newWorld(t, withClients).o
	synctest.Test(t, func(t *testing.T) {
		b, end := newBubbled(t, o)
		defer end()
		b.logins.others.clear = time.Now().Add(mostFailures * forgiveEvery)
		began := time.Now()
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				if status, took := b.try(t, fmt.Sprintf("192.0.2.%d", i), wrongKey); status != http.StatusUnauthorized || took != time.Second {
					t.Errorf("status %d after %v", status, took)
				}
			})
		}
		<-time.After(time.Second)
		b.Drain()
		b.Drain()
		if err := b.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		wg.Wait()
		if took := time.Since(began); took >= 2*time.Second { // net/http looks every half second
			t.Errorf("the shutdown was over after %v", took)
		}
	})
}

// What the log and the counts say over the real handler: nothing of what was
// typed.
func TestFailuresAreCountedAndToldOfWithoutWhatWasTyped(t *testing.T) {
	w := newWorld(t, withClients)
	for i := range freeFailures + 2 {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/lookup?ani=5", nil)
		r.RemoteAddr = "192.0.2.77:5"
		if i%2 == 0 {
			r.SetBasicAuth("lookup", "typed-secret-of-somebody-who-is-tired")
		} else {
			r.SetBasicAuth("typed-name", "typed-secret-of-somebody-who-is-tired")
		}
		answer := httptest.NewRecorder()
		if w.Public().ServeHTTP(answer, r); answer.Code != http.StatusUnauthorized {
			t.Errorf("status %d", answer.Code)
		}
	}
	log := w.logged()
	if strings.Count(log, "level=WARN") != 1 || !strings.Contains(log, "address=192.0.2.77") || strings.Contains(log, "typed") {
		t.Errorf("the log:\n%s", log)
	}
	if stats := string(w.get(t, "/v1/stats", "stats").body); !strings.Contains(stats, `"logins":{"failed":7,"slowed":2}`) {
		t.Errorf("the statistics: %s", stats)
	}
	lines := strings.Split(string(w.get(t, "/metrics", "stats").body), "\n")
	for _, line := range []string{"aniproxy_failed_logins_total 7", "aniproxy_logins_slowed_total 2"} {
		if !slices.Contains(lines, line) {
			t.Errorf("%s is not in the metrics", line)
		}
	}
}
