package proxy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/caller"
	"aniproxy/internal/webhook"
)

// signedBy signs as Zendesk does.
func signedBy(secret, timestamp, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + body))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// deliver sends a delivery that was signed at a time; the public side.
func (w *world) deliver(t testing.TB, secret string, at time.Time, body string) *reply {
	t.Helper()
	stamp := at.UTC().Format(time.RFC3339)
	return send(t, w.delivery(t, stamp, signedBy(secret, stamp, body), body))
}

func (w *world) delivery(t testing.TB, timestamp, signature, body string) *http.Request {
	t.Helper()
	r := request(t, http.MethodPost, w.public.URL+"/webhooks/zendesk", body, "")
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	if timestamp != "" {
		r.Header.Set(webhook.HeaderTimestamp, timestamp)
	}
	if signature != "" {
		r.Header.Set(webhook.HeaderSignature, signature)
	}
	return r
}

// status is the word of an answer that is 200.
func (r *reply) statusWord(t testing.TB) string {
	t.Helper()
	if r.status != http.StatusOK {
		t.Fatalf("status %d: %s", r.status, r.body)
	}
	word, _ := r.json(t)["status"].(string)
	return word
}

func userOf(id int64) caller.Object   { return caller.Object{Stream: caller.Users, ID: id} }
func ticketOf(id int64) caller.Object { return caller.Object{Stream: caller.Tickets, ID: id} }

// eventBody is a native event.
func eventBody(id, kind, subject string) string {
	_, of, _ := strings.Cut(strings.TrimPrefix(subject, "zen:"), ":")
	return fmt.Sprintf(`{"account_id":1,"id":%q,"type":%q,"subject":%q,"detail":{"id":%q,"email":"ann@example.org"},"event":{},"zendesk_event_version":"2022-06-20"}`, id, kind, subject, of)
}

func TestWebhooks(t *testing.T) {
	w := newWorld(t, withSecrets)
	tests := []struct {
		name, secret, body string
		want               string
		objects            []caller.Object
	}{
		{"a user, with a colon", "events secret", eventBody("1", "zen:event-type:user.created", "zen:user:5"), "queued", []caller.Object{userOf(5)}},
		{"a user, with a slash", "events secret", eventBody("2", "zen:event-type/user.identity_created", "zen:user:5"), "queued", []caller.Object{userOf(5)}},
		{"a ticket", "events secret", eventBody("3", "zen:event-type:ticket.status_changed", "zen:ticket:8"), "queued", []caller.Object{ticketOf(8)}},
		{"a trigger, by the second secret", "trigger secret", `{"ticket_id":"8"}`, "queued", []caller.Object{ticketOf(8)}},
		{"a trigger's two", "trigger secret", `{"ticket_id":9007199254740993,"user_id":5}`, "queued", []caller.Object{ticketOf(9007199254740993), userOf(5)}},
		{"the same event again, signed anew", "trigger secret", eventBody("3", "zen:event-type:ticket.status_changed", "zen:ticket:8"), "repeated", nil},
		{"the same delivery again", "trigger secret", `{"ticket_id":"8"}`, "repeated", nil},
		{"an organization", "events secret", eventBody("4", "zen:event-type:organization.created", "zen:organization:5"), "ignored", nil},
		{"an empty body", "events secret", "", "ignored", nil},
		{"no JSON", "events secret", "ticket_id=8", "ignored", nil},
		{"another JSON value", "events secret", "[]", "ignored", nil},
		{"garbage", "events secret", "\xff\x00{", "ignored", nil},
		{"an object that names nothing", "events secret", "{}", "ignored", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := w.deliver(t, tt.secret, start, tt.body)
			if word := got.statusWord(t); word != tt.want {
				t.Errorf("%s, want %s", word, tt.want)
			}
			if diff := cmp.Diff(tt.objects, w.notices.taken()); diff != "" {
				t.Errorf("what is to be fetched (-want +got):\n%s", diff)
			}
		})
	}
	stats := string(w.get(t, "/v1/stats", "").body)
	if want := `"webhooks":{"dropped":0,"ignored":6,"queued":5,"refused":0,"repeated":2}`; !strings.Contains(stats, want) {
		t.Errorf("%s is not in %s", want, stats)
	}
}

func TestADeliveryWithinItsWindowIsTakenOnce(t *testing.T) {
	w := newWorld(t, withSecrets)
	early := start.Add(webhook.Window)
	if word := w.deliver(t, "events secret", early, `{"user_id":5}`).statusWord(t); word != "queued" {
		t.Fatalf("a delivery from a clock ahead: %s", word)
	}
	for range 10 { // to the end of the signature's time
		w.tick(time.Minute)
		if word := w.deliver(t, "events secret", early, `{"user_id":5}`).statusWord(t); word != "repeated" {
			t.Fatalf("the same again: %s", word)
		}
	}
	w.tick(time.Second)
	w.deliver(t, "events secret", early, `{"user_id":5}`).detail(t, http.StatusUnauthorized)
	if diff := cmp.Diff([]caller.Object{userOf(5)}, w.notices.taken()); diff != "" {
		t.Errorf("what is to be fetched (-want +got):\n%s", diff)
	}
}

func TestADeliveryThatFoundNoRoomHasAnotherChance(t *testing.T) {
	w := newWorld(t, withSecrets)
	body := eventBody("1", "zen:event-type:user.created", "zen:user:5")
	w.notices.full = true
	for range 2 {
		if word := w.deliver(t, "events secret", start, body).statusWord(t); word != "dropped" {
			t.Errorf("into a full queue: %s", word)
		}
	}
	w.notices.full = false
	for _, want := range []string{"queued", "repeated"} {
		if word := w.deliver(t, "events secret", start, body).statusWord(t); word != want {
			t.Errorf("%s, want %s", word, want)
		}
	}
}

func TestOfTheSameDeliveriesAtOnceOneIsTaken(t *testing.T) {
	w := newWorld(t, withSecrets)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { w.deliver(t, "events secret", start, `{"user_id":5}`) })
	}
	wg.Wait()
	if diff := cmp.Diff([]caller.Object{userOf(5)}, w.notices.taken()); diff != "" {
		t.Errorf("what is to be fetched (-want +got):\n%s", diff)
	}
}

func TestTheRouteOfWebhooks(t *testing.T) {
	const body = `{"ticket_id":8}`
	stamp := start.Format(time.RFC3339)
	ask := func(t *testing.T, w *world, method string) *reply {
		t.Helper()
		r := w.delivery(t, stamp, signedBy("events secret", stamp, body), body)
		r.Method = method
		return send(t, r)
	}
	t.Run("without a secret there is none", func(t *testing.T) {
		w := newWorld(t, nil)
		ask(t, w, http.MethodPost).detail(t, http.StatusNotFound)
		ask(t, w, http.MethodGet).detail(t, http.StatusNotFound)
	})
	t.Run("it is posted to, and no client's key is asked for", func(t *testing.T) {
		w := newWorld(t, func(o *Options) { withSecrets(o); withClients(o) })
		if got := ask(t, w, http.MethodGet); got.detail(t, http.StatusMethodNotAllowed) == "" || got.header.Get("Allow") != "POST" {
			t.Errorf("Allow %q", got.header.Get("Allow"))
		}
		if word := ask(t, w, http.MethodPost).statusWord(t); word != "queued" {
			t.Error(word)
		}
	})
	t.Run("it is on the admin side too", func(t *testing.T) {
		w := newWorld(t, withSecrets)
		r := w.delivery(t, stamp, signedBy("trigger secret", stamp, body), body)
		r.URL.Host = strings.TrimPrefix(w.admin.URL, "http://")
		if word := send(t, r).statusWord(t); word != "queued" {
			t.Error(word)
		}
	})
	t.Run("from networks that are served alone", func(t *testing.T) {
		w := newWorld(t, func(o *Options) { withSecrets(o); o.AllowCIDRs = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
		ask(t, w, http.MethodPost).detail(t, http.StatusForbidden)
	})
	t.Run("without a client, from this machine alone", func(t *testing.T) {
		w := newWorld(t, withSecrets)
		r := w.delivery(t, stamp, signedBy("events secret", stamp, body), body)
		r.Header.Set("X-Forwarded-For", "192.0.2.1")
		send(t, r).detail(t, http.StatusForbidden)
	})
	t.Run("the limits of clients are not its own", func(t *testing.T) {
		w := newWorld(t, func(o *Options) {
			withSecrets(o)
			c := newClient("slow", "lookup")
			c.Rate, c.Burst = 1, 1
			o.Clients = []Client{c}
		})
		for i := range 50 {
			if word := w.deliver(t, "events secret", start, fmt.Sprintf(`{"user_id":%d}`, i+1)).statusWord(t); word != "queued" {
				t.Fatalf("delivery %d: %s", i, word)
			}
		}
	})
}
