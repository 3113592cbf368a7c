package zendesktest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// receiver takes webhook deliveries without a network.
type receiver struct {
	mu     sync.Mutex
	got    []*http.Request
	bodies []string
	refuse int // so many are answered 500 first
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, req)
	r.bodies = append(r.bodies, string(b))
	status := http.StatusOK
	if r.refuse > 0 {
		r.refuse--
		status = http.StatusInternalServerError
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("")), Request: req}, nil
}

func (r *receiver) types(t *testing.T) []string {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, b := range r.bodies {
		var p struct {
			Type     string
			Detail   map[string]any
			TicketID int64 `json:"ticket_id"`
		}
		if err := json.Unmarshal([]byte(b), &p); err != nil {
			t.Fatal(err)
		}
		if p.Type == "" {
			all = append(all, fmt.Sprintf("ticket_id %d", p.TicketID))
			continue
		}
		if _, there := p.Detail["phone"]; there {
			t.Errorf("the payload has a phone: %s", b)
		}
		if _, text := p.Detail["id"].(string); !text {
			t.Errorf("the id is no text: %s", b)
		}
		all = append(all, p.Type)
	}
	return all
}

func TestWebhooksAreSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{refuse: 1}
		s := New(Options{Webhooks: WebhookOptions{Client: &http.Client{Transport: r}}})
		defer s.Close()
		_, secret := s.CreateWebhook("http://proxy.test/webhooks/zendesk", "zen:event-type:user.created", "zen:event-type/user.identity_created")
		_, other := s.CreateWebhook("http://proxy.test/trigger", conditional)
		id := s.CreateUser(UserSpec{Name: "Ada Example"})
		<-time.After(time.Minute) // past the pause after the 500
		if err := s.SetPhone(id, "+15135557611"); err != nil {
			t.Fatal(err)
		}
		if err := s.AddIdentity(id, "+15135557612"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.CreateTicket(TicketSpec{Requester: id}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		want := []string{"zen:event-type:user.created", "zen:event-type:user.created", "zen:event-type:user.identity_created", "ticket_id 1"}
		if diff := cmp.Diff(want, r.types(t)); diff != "" {
			t.Errorf("a delivery that failed is tried again, a phone has no event (-want +got):\n%s", diff)
		}
		for k, req := range r.got {
			key := secret
			if strings.HasSuffix(req.URL.Path, "trigger") {
				key = other
			}
			stamp := req.Header.Get("X-Zendesk-Webhook-Signature-Timestamp")
			if _, err := time.Parse(time.RFC3339, stamp); err != nil {
				t.Errorf("timestamp %q: %v", stamp, err)
			}
			if got := req.Header.Get("X-Zendesk-Webhook-Signature"); got != SignWebhook(key, stamp, []byte(r.bodies[k])) {
				t.Errorf("delivery %d: the signature %q is wrong", k, got)
			}
		}
		if secret == other {
			t.Error("two webhooks, one secret")
		}
	})
}

func TestWebhooksAreDuplicatedLostAndReordered(t *testing.T) {
	for _, c := range []struct {
		name string
		opt  WebhookOptions
		want []string // numbers of the people created, in order of arrival
	}{
		{"in order", WebhookOptions{}, []string{"0", "1", "2", "3", "4"}},
		{"every second twice", WebhookOptions{DuplicateEvery: 2}, []string{"0", "1", "1", "2", "3", "3", "4"}},
		{"every third lost", WebhookOptions{LoseEvery: 3}, []string{"0", "1", "3", "4"}},
		{"pairs the wrong way round", WebhookOptions{Reorder: true}, []string{"1", "0", "3", "2", "4"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &receiver{}
				c.opt.Client, c.opt.SlashTypes = &http.Client{Transport: r}, true
				s := New(Options{Webhooks: c.opt})
				defer s.Close()
				s.CreateWebhook("http://proxy.test/", "zen:event-type:user.created")
				first := s.CreateUser(UserSpec{Name: "Person"})
				for range 4 {
					s.CreateUser(UserSpec{Name: "Person"})
				}
				<-time.After(10 * time.Second)
				synctest.Wait()
				var got []string
				for _, b := range r.bodies {
					var p struct {
						Type   string
						Detail struct{ ID string }
					}
					if err := json.Unmarshal([]byte(b), &p); err != nil {
						t.Fatal(err)
					}
					if p.Type != "zen:event-type/user.created" {
						t.Errorf("the type is %q", p.Type)
					}
					var id int64
					if _, err := fmt.Sscan(p.Detail.ID, &id); err != nil {
						t.Fatal(err)
					}
					got = append(got, fmt.Sprint((id-first)/userStep))
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestWebhooksByAPI(t *testing.T) {
	d := newDesk(t, Options{})
	const body = `{"webhook":{"name":"aniproxy","endpoint":"https://proxy.example.com/webhooks/zendesk","http_method":"POST",` +
		`"request_format":"json","status":"active","subscriptions":["zen:event-type:user.created"]}}`
	a := d.do("POST", "/api/v2/webhooks", body)
	id, _ := a.object("webhook")["id"].(string)
	made, _ := a.object("webhook")["signing_secret"].(map[string]any)
	if a.Status != 201 || id == "" || made["secret"] == "" {
		t.Fatalf("create: %d %s", a.Status, a.Body)
	}
	if got := d.ok("/api/v2/webhooks/" + id + "/signing_secret").object("signing_secret"); !cmp.Equal(got, made) {
		t.Errorf("the secret is %v, was %v", got, made)
	}
	if x := d.ok("/api/v2/webhooks").list("webhooks"); len(x) != 1 || x[0]["name"] != "aniproxy" || x[0]["signing_secret"] != nil {
		t.Errorf("list: %v", x)
	}
	if a := d.do("PATCH", "/api/v2/webhooks/"+id, `{"webhook":{"status":"inactive"}}`); a.Status != 204 {
		t.Errorf("update: status %d", a.Status)
	}
	if x := d.ok("/api/v2/webhooks/" + id).object("webhook"); x["status"] != "inactive" || x["name"] != "aniproxy" {
		t.Errorf("after the update: %v", x)
	}
	both := strings.Replace(body, `"zen:`, `"conditional_ticket_events","zen:`, 1)
	if a := d.do("POST", "/api/v2/webhooks", both); a.Status != 400 || len(a.list("errors")) != 1 {
		t.Errorf("events and a trigger in one: %d %s", a.Status, a.Body)
	}
	if a := d.do("DELETE", "/api/v2/webhooks/"+id, ""); a.Status != 204 {
		t.Errorf("delete: status %d", a.Status)
	}
	for _, path := range []string{"/api/v2/webhooks/" + id, "/api/v2/webhooks/" + id + "/signing_secret"} {
		if a := d.get(path); a.Status != 404 {
			t.Errorf("%s after deletion: status %d", path, a.Status)
		}
	}
}

func TestTheRulesOfWebhooks(t *testing.T) {
	d := newDesk(t, Options{Webhooks: WebhookOptions{Trial: true}})
	with := func(change string, to any) string {
		w := map[string]any{
			"name": "proxy", "endpoint": "https://proxy.example.com/webhooks/zendesk", "http_method": "POST",
			"request_format": "json", "status": "active", "subscriptions": []string{"zen:event-type:user.created", "zen:event-type/user.merged"},
		}
		w[change] = to
		b, err := json.Marshal(map[string]any{"webhook": w})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"as it should be":                {with("description", "text"), 201},
		"for a trigger, by GET and form": {strings.Replace(strings.Replace(webhookJSON, "POST", "GET", 1), `"json"`, `"form_encoded"`, 1), 201},
		"no subscriptions":               {with("subscriptions", nil), 201},
		"no JSON":                        {"{", 400},
		"no name":                        {with("name", ""), 400},
		"no endpoint":                    {with("endpoint", ""), 400},
		"not https":                      {with("endpoint", "http://proxy.example.com/"), 400},
		"no URL":                         {with("endpoint", "https://"), 400},
		"an odd method":                  {with("http_method", "TRACE"), 400},
		"no method":                      {with("http_method", ""), 400},
		"an odd format":                  {with("request_format", "yaml"), 400},
		"an odd status":                  {with("status", "asleep"), 400},
		"events by GET":                  {with("http_method", "GET"), 400},
		"events as XML":                  {with("request_format", "xml"), 400},
		"events and a trigger":           {with("subscriptions", []string{conditional, "zen:event-type:user.created"}), 400},
		"an event that is not":           {with("subscriptions", []string{"zen:event-type:user.phone_changed"}), 400},
		"an event without its prefix":    {with("subscriptions", []string{"user.created"}), 400},
	} {
		a := d.do("POST", "/api/v2/webhooks", c.body)
		if a.Status != c.status || (c.status == 400 && len(a.list("errors")) != 1) {
			t.Errorf("%s: status %d, want %d: %s", name, a.Status, c.status, a.Body)
		}
	}
	for range 7 {
		if a := d.do("POST", "/api/v2/webhooks", with("status", "inactive")); a.Status != 201 {
			t.Fatalf("one more: %d %s", a.Status, a.Body)
		}
	}
	if a := d.do("POST", "/api/v2/webhooks", with("name", "eleventh")); a.Status != 400 {
		t.Errorf("the eleventh of a trial account: status %d", a.Status)
	}
	seen := 0
	for after, more := "", true; more; {
		a := d.ok("/api/v2/webhooks", "page[size]", "3", "page[after]", after, "filter[status]", "inactive")
		seen += len(a.list("webhooks"))
		after, _ = a.object("meta")["after_cursor"].(string)
		more = a.object("meta")["has_more"] == true
	}
	if seen != 7 {
		t.Errorf("%d inactive webhooks in pages of three, want 7", seen)
	}
	id, _ := d.ok("/api/v2/webhooks?filter[status]=inactive").list("webhooks")[0]["id"].(string)
	for name, c := range map[string]struct {
		method, body string
		status       int
	}{
		"a part, by PATCH":           {"PATCH", `{"webhook":{"name":"renamed"}}`, 204},
		"a part, by PUT":             {"PUT", `{"webhook":{"name":"renamed"}}`, 400},
		"all of it, by PUT":          {"PUT", with("status", "inactive"), 204},
		"what it hangs on, by PUT":   {"PUT", webhookJSON, 400},
		"an endpoint that may not":   {"PATCH", `{"webhook":{"endpoint":"http://proxy.example.com/"}}`, 400},
		"its subscriptions, in part": {"PATCH", `{"webhook":{"subscriptions":["zen:event-type:user.deleted"]}}`, 204},
	} {
		if a := d.do(c.method, "/api/v2/webhooks/"+id, c.body); a.Status != c.status {
			t.Errorf("%s: status %d, want %d: %s", name, a.Status, c.status, a.Body)
		}
	}
	d.auth = ""
	if a := d.get("/api/v2/webhooks"); a.Status != 401 {
		t.Errorf("without credentials: status %d", a.Status)
	}
}
