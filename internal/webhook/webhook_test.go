package webhook

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// newVerifier knows two secrets, at that time.
func newVerifier(t testing.TB, at time.Time) *Verifier {
	t.Helper()
	v, err := NewVerifier([]string{"first secret", "second secret"}, func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func signed(secret, timestamp, body string) string {
	return string(sign([]byte(secret), timestamp, []byte(body)))
}

// TestASignatureMadeElsewhere is of one that openssl made:
//
//	printf '%s%s' TIMESTAMP BODY | openssl dgst -sha256 -hmac 'first secret' -binary | base64
func TestASignatureMadeElsewhere(t *testing.T) {
	const timestamp, body, elsewhere = "2026-03-04T05:06:07Z", `{"ticket_id":8}`, "PvEWWU3Z7ayh9DCavWWnyMVpqLxhZaxrZrG9VTRSZ6c="
	if err := newVerifier(t, now).Verify(timestamp, elsewhere, []byte(body)); err != nil {
		t.Error(err)
	}
}

func TestVerify(t *testing.T) {
	const body = `{"ticket_id":8}`
	stamp := now.Format(time.RFC3339)
	good := signed("first secret", stamp, body)
	raw, err := base64.StdEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	at := func(d time.Duration) string { return now.Add(d).Format(time.RFC3339) }
	tests := []struct {
		name, timestamp, signature, body string
		want                             Fault // "" where it is good
	}{
		{"the first secret", stamp, good, body, ""},
		{"the second secret", stamp, signed("second secret", stamp, body), body, ""},
		{"an empty body", stamp, signed("first secret", stamp, ""), "", ""},
		{"no signature", stamp, "", body, Missing},
		{"no timestamp", "", good, body, Missing},
		{"neither", "", "", body, Missing},
		{"a third secret", stamp, signed("third secret", stamp, body), body, Mismatch},
		{"another body", stamp, good, body + " ", Mismatch},
		{"another timestamp", at(time.Second), good, body, Mismatch},
		{"another spelling of the timestamp", "2026-03-04T05:06:07+00:00", good, body, Mismatch},
		{"the digest in hexadecimal", stamp, fmt.Sprintf("%x", raw), body, Malformed},
		{"base64 of addresses", stamp, base64.URLEncoding.EncodeToString([]byte(strings.Repeat("\xff", 32))), body, Malformed},
		{"base64 without its end", stamp, strings.TrimRight(good, "="), body, Malformed},
		{"base64 with a line end", stamp, good[:20] + "\n" + good[20:], body, Malformed},
		{"a longer one", stamp, good + good, body, Malformed},
		{"a word", stamp, "signature", body, Malformed},
		{"a timestamp that is none", "now", signed("first secret", "now", body), body, Malformed},
		{"a timestamp in seconds", "1772600767", signed("first secret", "1772600767", body), body, Malformed},
		{"a timestamp without a zone", "2026-03-04T05:06:07", signed("first secret", "2026-03-04T05:06:07", body), body, Malformed},
		{"five minutes old", at(-Window), signed("first secret", at(-Window), body), body, ""},
		{"older", at(-Window - time.Second), signed("first secret", at(-Window-time.Second), body), body, Expired},
		{"five minutes early", at(Window), signed("first secret", at(Window), body), body, ""},
		{"earlier", at(Window + time.Second), signed("first secret", at(Window+time.Second), body), body, Future},
		{"old and not ours", at(-time.Hour), signed("third secret", at(-time.Hour), body), body, Mismatch},
	}
	v := newVerifier(t, now)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := v.Verify(tt.timestamp, tt.signature, []byte(tt.body))
			var refused *SignatureError
			switch {
			case tt.want == "":
				if err != nil {
					t.Error(err)
				}
			case !errors.As(err, &refused) || refused.Fault != tt.want:
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

func TestTimestampsOfEveryForm(t *testing.T) {
	for _, stamp := range []string{
		"2026-03-04T05:06:07Z", "2026-03-04T05:06:07.123Z", "2026-03-04T05:06:07.123456789Z", "2026-03-04T05:06:07+00:00",
		"2026-03-04T06:06:07+01:00", "2026-03-03T21:06:07.5-08:00", "2026-03-04T05:06:07+0000", "2026-03-04T05:06:07.250-0000",
	} {
		if err := newVerifier(t, now).Verify(stamp, signed("second secret", stamp, "{}"), []byte("{}")); err != nil {
			t.Errorf("%s: %v", stamp, err)
		}
	}
}

func TestSecretsThatAreRefused(t *testing.T) {
	for _, secrets := range [][]string{nil, {}, {""}, {"one", ""}} {
		if _, err := NewVerifier(secrets, time.Now); !errors.Is(err, ErrSecret) {
			t.Errorf("%q: %v", secrets, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	stamp := now.Format(time.RFC3339)
	f.Add(stamp, signed("first secret", stamp, "{}"), []byte("{}"))
	f.Add(stamp, signed("second secret", stamp, ""), []byte{})
	f.Add("2026-03-04T05:06:07.9+02:00", strings.Repeat("A", 43)+"=", []byte("\x00"))
	f.Add("", "=", []byte("x"))
	v := newVerifier(f, now)
	f.Fuzz(func(t *testing.T, timestamp, signature string, body []byte) {
		err := v.Verify(timestamp, signature, body)
		var refused *SignatureError
		if err != nil && !errors.As(err, &refused) {
			t.Fatalf("an error of another kind: %v", err)
		}
		ours := signature == signed("first secret", timestamp, string(body)) || signature == signed("second secret", timestamp, string(body))
		if !ours && err == nil {
			t.Error("it was taken, and nobody signed it")
		}
		if ours && err != nil && refused.Fault == Mismatch {
			t.Error("it was signed, and is refused")
		}
	})
}

// clock is a time that a test moves.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time       { return time.Unix(0, c.at.Load()) }
func (c *clock) tick(d time.Duration) { c.at.Add(int64(d)) }

func TestRepeats(t *testing.T) {
	c := &clock{}
	r := NewRepeats(c.now)
	take := func(want bool, signature, event string) {
		t.Helper()
		if got := r.Take(signature, event); got != want {
			t.Errorf("the delivery %s of the event %s is the first: %v, want %v", signature, event, got, want)
		}
	}
	take(true, "a", "")
	take(false, "a", "")
	take(true, "b", "e1")
	take(false, "b", "e1")
	take(false, "c", "e1") // the same event, sent anew
	take(true, "c", "e2")  // which was not noted as taken
	take(true, "e1", "a")  // an event is not known by what is a signature
	c.tick(2 * Window)
	take(false, "a", "")
	c.tick(time.Nanosecond)
	take(true, "a", "")
	take(false, "a", "")
}

func TestWhatIsForgottenIsNew(t *testing.T) {
	r := NewRepeats((&clock{}).now)
	for range 3 {
		if !r.Take("a", "e1") {
			t.Fatal("a delivery that was taken back is a repeat")
		}
		r.Forget("a", "e1")
	}
	r.Forget("nobody", "") // does nothing
	if !r.Take("a", "e1") || r.Take("b", "e1") {
		t.Error("the event is not known by its id")
	}
}

func TestRepeatsAreBounded(t *testing.T) {
	r := NewRepeats((&clock{}).now)
	r.most = 4
	name := func(i int) string { return fmt.Sprint("s", i) }
	for i := range 100 {
		r.Take(name(i), "")
		if i%7 == 0 { // a place in the ring that holds nothing any more, or what was noted anew
			r.Forget(name(i), "")
			r.Take(name(i), "")
		}
		if len(r.held) > r.most || len(r.ring) > r.most {
			t.Fatalf("%d deliveries are remembered in %d places", len(r.held), len(r.ring))
		}
		if r.Take(name(i), "") {
			t.Fatalf("the newest, %d, is forgotten", i)
		}
	}
	if r.Take(name(97), "") {
		t.Error("a delivery among the newest is forgotten")
	}
	if !r.Take(name(1), "") {
		t.Error("an old one is remembered")
	}
}

func TestOfSeveralAtOnceOneIsTheFirst(t *testing.T) {
	r := NewRepeats((&clock{}).now)
	var firsts atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if r.Take("a", "e1") {
				firsts.Add(1)
			}
		})
	}
	wg.Wait()
	if n := firsts.Load(); n != 1 {
		t.Errorf("%d are the first", n)
	}
}
