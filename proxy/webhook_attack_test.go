package proxy

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/caller"
	"aniproxy/internal/webhook"
)

// sent is a delivery on its way, and well signed before an attack changes it.
type sent struct {
	method, body, contentType string
	timestamps, signatures    []string
	header                    map[string]string
	chunked                   bool
}

func wellSent(secret string, at time.Time, body string) *sent {
	stamp := at.UTC().Format(time.RFC3339)
	return &sent{
		method: http.MethodPost, body: body, contentType: "application/json; charset=utf-8",
		timestamps: []string{stamp}, signatures: []string{signedBy(secret, stamp, body)},
	}
}

// to sends it, from an address, by the real handler; read is how much of the
// body was.
func (s *sent) to(t *testing.T, w *world, peer string) (got *reply, read int) {
	t.Helper()
	counted := &countedReader{Reader: strings.NewReader(s.body)}
	r := httptest.NewRequestWithContext(t.Context(), s.method, "http://ani.example/webhooks/zendesk", counted)
	r.RemoteAddr, r.ContentLength = peer, int64(len(s.body))
	if s.chunked {
		r.ContentLength, r.TransferEncoding = -1, []string{"chunked"}
	}
	r.Header.Set("Content-Type", s.contentType)
	r.Header[webhook.HeaderTimestamp], r.Header[webhook.HeaderSignature] = s.timestamps, s.signatures
	for name, value := range s.header {
		r.Header.Set(name, value)
	}
	answer := httptest.NewRecorder()
	w.Public().ServeHTTP(answer, r)
	res := answer.Result()
	defer res.Body.Close()
	hold(t, r, res, answer.Body.Bytes())
	return &reply{status: res.StatusCode, header: res.Header, body: answer.Body.Bytes()}, counted.n
}

type countedReader struct {
	io.Reader
	n int
}

func (c *countedReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

func gzipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.String()
}

// attackBody names a ticket and somebody.
const attackBody = `{"ticket_id":8,"secret":"Ann"}`

// attack is a delivery with something wrong about it.
type attack struct {
	name   string
	change func(*sent)
	status int
	// says is in the answer.
	says string
	// counts is true of what counts against the address.
	counts bool
}

// attacksOnWebhooks are all that anybody could think of.
func attacksOnWebhooks(now time.Time) []attack {
	const needs = "needs the headers"
	resign := func(secret string, at time.Time) func(*sent) {
		return func(s *sent) { *s = *wellSent(secret, at, attackBody) }
	}
	timestamps := func(all ...string) func(*sent) { return func(s *sent) { s.timestamps = all } }
	signed := func(change func(string) []string) func(*sent) {
		return func(s *sent) { s.signatures = change(s.signatures[0]) }
	}
	body := func(text string) func(*sent) { return func(s *sent) { s.body = text } }
	signedBody := func(text string, and func(*sent)) func(*sent) {
		return func(s *sent) {
			*s = *wellSent("events secret", now, text)
			if and != nil {
				and(s)
			}
		}
	}
	chunked := func(s *sent) { s.chunked = true }
	huge := strings.Repeat(" ", 4*maxDelivery)
	return []attack{
		{"nothing is signed", func(s *sent) { s.timestamps, s.signatures = nil, nil }, 401, needs, false},
		{"no signature", func(s *sent) { s.signatures = nil }, 401, needs, false},
		{"no timestamp", func(s *sent) { s.timestamps = nil }, 401, needs, false},
		{"an empty signature", signed(func(string) []string { return []string{""} }), 401, needs, false},
		{"an empty timestamp", timestamps(""), 401, needs, false},

		{"signed with another secret", resign("a secret", now), 401, needs, true},
		{"signed with nothing", resign("", now), 401, needs, true},
		{"signed with a secret and a bit", resign("events secret ", now), 401, needs, true},
		{"the secret for a signature", signed(func(string) []string { return []string{"events secret"} }), 401, needs, true},
		{"a signature that is cut off", signed(func(s string) []string { return []string{s[:22]} }), 401, needs, true},
		{"a signature that lacks its last character", signed(func(s string) []string { return []string{s[:43]} }), 401, needs, true},
		{"a signature that is too long", signed(func(s string) []string { return []string{s + "AAAA"} }), 401, needs, true},
		{"a signature without end", signed(func(s string) []string { return []string{strings.Repeat(s, 1000)} }), 401, needs, true},
		{"a signature of other letters", signed(func(s string) []string { return []string{strings.ToLower(s)} }), 401, needs, true},
		{"a signature in hexadecimal", signed(func(s string) []string { return []string{fmt.Sprintf("%x", s)} }), 401, needs, true},
		{"a signature with a comma and another", signed(func(s string) []string { return []string{s + "," + s} }), 401, needs, true},
		{"a signature with a NUL", signed(func(s string) []string { return []string{s + "\x00"} }), 401, needs, true},
		{"two signatures, the first one good", signed(func(s string) []string { return []string{s, "AAAA" + s[4:]} }), 401, needs, true},
		{"two signatures, the second one good", signed(func(s string) []string { return []string{"AAAA" + s[4:], s} }), 401, needs, true},
		{"two timestamps, the first one good", timestamps(stampOf(now), stampOf(now.Add(time.Second))), 401, needs, true},

		{"a byte of the body is another", body(strings.Replace(attackBody, "8", "9", 1)), 401, needs, true},
		{"a byte more of the body", body(attackBody + "\n"), 401, needs, true},
		{"a byte less of the body", body(attackBody[1:]), 401, needs, true},
		{"a byte goes from the timestamp to the body", func(s *sent) {
			stamp := s.timestamps[0]
			s.timestamps, s.body = []string{stamp[:len(stamp)-1]}, stamp[len(stamp)-1:]+s.body
		}, 401, needs, true},
		{"another timestamp", timestamps(stampOf(now.Add(time.Second))), 401, needs, true},
		{"the same time, spelled otherwise", timestamps(strings.Replace(stampOf(now), "Z", "+00:00", 1)), 401, needs, true},
		{"a timestamp that is none", func(s *sent) {
			s.timestamps, s.signatures = []string{"today"}, []string{signedBy("events secret", "today", s.body)}
		}, 401, needs, true},
		{"old, and not signed by us", resign("a secret", now.Add(-time.Hour)), 401, needs, true},

		{"old", resign("events secret", now.Add(-webhook.Window-time.Second)), 401, "too old", false},
		{"very old", resign("events secret", now.AddDate(-10, 0, 0)), 401, "too old", false},
		{"the oldest there may be", resign("events secret", now.Add(-webhook.Window)), 200, "queued", false},
		{"of a time to come", resign("events secret", now.Add(webhook.Window+time.Second)), 401, "from now", false},
		{"as early as may be", resign("events secret", now.Add(webhook.Window)), 200, "queued", false},

		{"an empty body, not signed", func(s *sent) { *s = sent{method: http.MethodPost} }, 401, needs, false},
		{"an empty body, signed for another", body(""), 401, needs, true},
		{"an empty body, signed", signedBody("", nil), 200, "ignored", false},
		{"a huge body, signed", signedBody(huge, nil), 413, "at most 524288 bytes", false},
		{"a huge body, signed wrongly", body(huge), 413, "at most 524288 bytes", false},
		{"a huge body, not signed", func(s *sent) { *s = sent{method: http.MethodPost, body: huge} }, 401, needs, false},
		{"a huge body of no stated length", signedBody(huge, chunked), 413, "at most 524288 bytes", false},
		{"a body that is a byte too long, of no stated length", signedBody(huge[:maxDelivery+1], chunked), 413, "at most 524288 bytes", false},
		{"the longest body", signedBody(attackBody+huge[:maxDelivery-len(attackBody)], chunked), 200, "queued", false},
		{"a body in gzip, signed: it is not unpacked", signedBody(gzipped(attackBody), func(s *sent) { s.header = map[string]string{"Content-Encoding": "gzip"} }), 200, "ignored", false},
		{"a body in gzip, signed before it was packed", func(s *sent) {
			s.body, s.header = gzipped(attackBody), map[string]string{"Content-Encoding": "gzip"}
		}, 401, needs, true},
		{"a body that is no object", signedBody("["+strings.Repeat("[", 10_000), nil), 200, "ignored", false},

		{"another Content-Type", func(s *sent) { s.contentType = "text/html" }, 200, "queued", false},
		{"a form that is signed wrongly", func(s *sent) {
			s.contentType, s.body = "application/x-www-form-urlencoded", url.Values{"ticket_id": {"8"}}.Encode()
		}, 401, needs, true},
		{"a GET", func(s *sent) { s.method = http.MethodGet }, 405, "asked by POST", false},
		{"a PUT", func(s *sent) { s.method = http.MethodPut }, 405, "asked by POST", false},
		{"a GET that says it is a POST", func(s *sent) {
			s.method, s.header = http.MethodGet, map[string]string{"X-HTTP-Method-Override": "POST"}
		}, 405, "asked by POST", false},
		{"a client's key instead", func(s *sent) {
			s.signatures, s.header = nil, map[string]string{"Authorization": "Bearer " + secretOf("all")}
		}, 401, needs, false},
		{"a client's key, and signed wrongly", func(s *sent) {
			s.body, s.header = "{}", map[string]string{"Authorization": "Bearer " + secretOf("all")}
		}, 401, needs, true},
	}
}

func stampOf(at time.Time) string { return at.UTC().Format(time.RFC3339) }

func TestAttacksOnWebhooks(t *testing.T) {
	for _, tt := range attacksOnWebhooks(start) {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(o *Options) { withClients(o); withSecrets(o) })
			s := wellSent("events secret", start, attackBody)
			tt.change(s)
			got, read := s.to(t, w, "192.0.2.1:5")
			var said string
			if got.status == http.StatusOK {
				said = got.statusWord(t)
			} else {
				said = got.detail(t, tt.status)
			}
			if got.status != tt.status || !strings.Contains(said, tt.says) {
				t.Errorf("status %d: %s", got.status, said)
			}
			var want []caller.Object
			if tt.says == "queued" {
				want = []caller.Object{ticketOf(8)}
			}
			if diff := cmp.Diff(want, w.notices.taken()); diff != "" {
				t.Errorf("what is to be fetched (-want +got):\n%s", diff)
			}
			if counted := w.logins.failed.Load() == 1; counted != tt.counts {
				t.Errorf("it counts against its address: %v", counted)
			}
			if len(s.signatures) == 0 && read > 0 {
				t.Errorf("%d bytes were read of a body that is not signed", read)
			}
			if read > 2*maxDelivery {
				t.Errorf("%d bytes were read", read)
			}
			if refusals, refused := w.metrics.deliveries[refused].Load(), tt.status == 401 || tt.status == 413; (refusals == 1) != refused {
				t.Errorf("%d are counted as refused", refusals)
			}
			for _, secret := range append([]string{"Ann", "ticket_id", "events secret"}, s.signatures...) {
				if secret != "" && (strings.Contains(w.logged(), secret) || strings.Contains(string(got.body), secret)) {
					t.Errorf("the log or the answer tells %q", secret)
				}
			}
		})
	}
}

// What was overheard is worth nothing: the same delivery again is answered like
// the first, so that Zendesk does not send it a third time, and done once.
func TestRepeatsAreAnsweredAndDoneOnce(t *testing.T) {
	w := newWorld(t, func(o *Options) { withClients(o); withSecrets(o) })
	for i := range 20 {
		got, _ := wellSent("events secret", start, attackBody).to(t, w, fmt.Sprintf("192.0.2.%d:5", i))
		if word, want := got.statusWord(t), map[bool]string{true: "queued", false: "repeated"}[i == 0]; word != want {
			t.Errorf("the %d. time: %s", i+1, word)
		}
	}
	if diff := cmp.Diff([]caller.Object{ticketOf(8)}, w.notices.taken()); diff != "" {
		t.Errorf("what is to be fetched (-want +got):\n%s", diff)
	}
}

// Wrong signatures slow down as wrong keys do, and on the same account. Those
// that are well signed never wait.
func TestWrongSignaturesSlowDownAndGoodOnesDoNot(t *testing.T) {
	o := newWorld(t, func(o *Options) { withClients(o); withSecrets(o) }).o
	synctest.Test(t, func(t *testing.T) {
		b, end := newBubbled(t, o)
		defer end()
		deliver := func(secret string) (status int, took time.Duration) {
			conn := b.doors[0].dial("192.0.2.1:5")
			defer conn.Close()
			began, stamp := time.Now(), stampOf(time.Now())
			status, _ = ask(t, conn, fmt.Sprintf("POST /webhooks/zendesk HTTP/1.1\r\n%s: %s\r\n%s: %s\r\nContent-Length: 0",
				webhook.HeaderTimestamp, stamp, webhook.HeaderSignature, signedBy(secret, stamp, "")))
			return status, time.Since(began)
		}
		var waits []time.Duration
		for range 8 {
			status, took := deliver("a secret")
			if status != http.StatusUnauthorized {
				t.Errorf("signed wrongly: status %d", status)
			}
			waits = append(waits, took)
			if status, took := deliver("events secret"); status != http.StatusOK || took != 0 {
				t.Errorf("signed well: status %d after %v", status, took)
			}
		}
		if diff := cmp.Diff([]time.Duration{0, 0, 0, 0, 0, firstWait, 2 * firstWait, 4 * firstWait}, waits); diff != "" {
			t.Errorf("what those waited that were signed wrongly (-want +got):\n%s", diff)
		}
		if _, took := b.try(t, "192.0.2.1", wrongKey); took != 8*firstWait {
			t.Errorf("a wrong key from the same address waited %v", took)
		}
		for range maxDetainedOf {
			conn := b.guess("192.0.2.1")
			defer conn.Close()
		}
		synctest.Wait()
		if status, took := deliver("a secret"); status != http.StatusTooManyRequests || took != 0 {
			t.Errorf("signed wrongly while all places are taken: status %d after %v", status, took)
		}
		if status, took := deliver("events secret"); status != http.StatusOK || took != 0 {
			t.Errorf("signed well then: status %d after %v", status, took)
		}
	})
}

// TestBodiesOfStrangersAreBounded: whoever sends bodies that never end has a few
// of them read at once, one address fewer, and good ones of others come through.
func TestBodiesOfStrangersAreBounded(t *testing.T) {
	w := newWorld(t, func(o *Options) { withClients(o); withSecrets(o) })
	now := time.Unix(0, w.now.Load())
	good := func(peer string) int {
		got, _ := wellSent("events secret", now, fmt.Sprintf(`{"ticket_id":%d}`, w.ids.Add(1))).to(t, w, peer)
		return got.status
	}
	var running sync.WaitGroup
	var ends []*io.PipeWriter
	hang := func(peer string) {
		body, end := io.Pipe()
		ends = append(ends, end)
		s := wellSent("events secret", now, "x")
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://ani.example/webhooks/zendesk", body)
		r.RemoteAddr = peer
		r.Header[webhook.HeaderTimestamp], r.Header[webhook.HeaderSignature] = s.timestamps, s.signatures
		running.Go(func() {
			answer := httptest.NewRecorder()
			w.Public().ServeHTTP(answer, r)
			body.CloseWithError(fmt.Errorf("answered %d: %s", answer.Code, answer.Body))
		})
		if _, err := end.Write([]byte("x")); err != nil { // else it is being read
			t.Fatalf("body %d: %v", len(ends), err)
		}
	}
	for range maxArrivingOf {
		hang("192.0.2.1:1")
	}
	if got := good("192.0.2.1:2"); got != http.StatusServiceUnavailable {
		t.Errorf("one more of the same address is answered %d", got)
	}
	if got := good("192.0.2.2:1"); got != http.StatusOK {
		t.Errorf("a good one of another address is answered %d", got)
	}
	for i := len(ends); i < maxArriving; i++ {
		hang(fmt.Sprintf("192.0.2.%d:1", 3+i/maxArrivingOf))
	}
	if got := good("198.51.100.1:1"); got != http.StatusServiceUnavailable {
		t.Errorf("one more of all is answered %d", got)
	}
	for _, end := range ends {
		end.Close()
	}
	running.Wait()
	if got := good("192.0.2.1:3"); got != http.StatusOK {
		t.Errorf("after they have ended a good one is answered %d", got)
	}
	// What could not be accepted is not read at all.
	cut := wellSent("events secret", now, strings.Repeat("x", maxDelivery))
	cut.signatures[0] = cut.signatures[0][1:]
	if got, read := cut.to(t, w, "192.0.2.1:4"); got.status != http.StatusUnauthorized || read > 0 {
		t.Errorf("one with a cut signature is answered %d after %d bytes", got.status, read)
	}
}
