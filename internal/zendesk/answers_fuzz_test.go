package zendesk

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// questions ask for each kind of answer that no other fuzz target reads, and
// give what was read of it: the ids, which are above 0, and the records as they
// came. maxPages is 3 where a list is walked.
var questions = []struct {
	name string
	most int // requests at most
	ask  func(*Client, *testing.T) (ids []int64, raw []json.RawMessage, err error)
}{
	{"search by phone", searchMost / listPage, func(c *Client, t *testing.T) ([]int64, []json.RawMessage, error) {
		hits, _, _, err := c.SearchUsersByPhone(t.Context(), "2125550123", []string{"end-user"})
		ids, raw := ofUsers(hits)
		return ids, raw, err
	}},
	{"users by id", 1, func(c *Client, t *testing.T) ([]int64, []json.RawMessage, error) {
		a, err := c.ShowManyUsers(t.Context(), []int64{1, 2}, true)
		if err != nil {
			return nil, nil, err
		}
		for id, numbers := range a.Identities {
			for _, n := range numbers {
				if n.UserID != id {
					t.Errorf("user %d has an identity of %d", id, n.UserID)
				}
			}
		}
		ids, raw := ofUsers(a.Users)
		return ids, raw, nil
	}},
	{"one user", 1, func(c *Client, t *testing.T) ([]int64, []json.RawMessage, error) {
		u, _, err := c.ShowUser(t.Context(), 1)
		if err != nil {
			return nil, nil, err
		}
		return []int64{u.ID}, []json.RawMessage{u.Raw}, nil
	}},
	{"who am I", 1, func(c *Client, t *testing.T) ([]int64, []json.RawMessage, error) {
		u, err := c.Me(t.Context())
		if err != nil {
			return nil, nil, err
		}
		if u.Raw != nil {
			t.Error("the session's own record was kept")
		}
		return []int64{u.ID}, nil, nil
	}},
	{"identities", identityPages, func(c *Client, t *testing.T) ([]int64, []json.RawMessage, error) {
		numbers, _, err := c.UserIdentities(t.Context(), 1)
		var ids []int64
		var raw []json.RawMessage
		for _, n := range numbers {
			ids, raw = append(ids, n.UserID), append(raw, n.Raw)
			if n.Type != PhoneIdentity {
				t.Errorf("an identity of type %q", n.Type)
			}
		}
		return ids, raw, err
	}},
	{"one ticket", 1, func(c *Client, t *testing.T) ([]int64, []json.RawMessage, error) {
		k, _, err := c.ShowTicket(t.Context(), 1)
		if err != nil {
			return nil, nil, err
		}
		return []int64{k.ID}, []json.RawMessage{k.Raw}, nil
	}},
	{"tickets by id", 1, func(c *Client, t *testing.T) ([]int64, []json.RawMessage, error) {
		a, err := c.ShowManyTickets(t.Context(), []int64{1, 2})
		if err != nil {
			return nil, nil, err
		}
		ids, raw := ofTickets(a.Tickets)
		return ids, raw, nil
	}},
	{"requested tickets", 3, func(c *Client, t *testing.T) ([]int64, []json.RawMessage, error) {
		r, err := c.RequestedTickets(t.Context(), 1, 3)
		if r.Complete && r.Skipped > 0 {
			t.Error("complete, although something could not be read")
		}
		ids, raw := ofTickets(r.Items)
		return ids, raw, err
	}},
	{"audits", 3, func(c *Client, t *testing.T) ([]int64, []json.RawMessage, error) {
		r, err := c.Audits(t.Context(), 1, 3)
		var ids []int64
		var raw []json.RawMessage
		for i := range r.Items {
			a := &r.Items[i]
			ids, raw = append(ids, a.ID), append(raw, a.Raw)
			_ = a.Custom("custom")
			if i > 0 && r.Items[i-1].CreatedAt < a.CreatedAt {
				t.Error("the newest is not first")
			}
		}
		return ids, raw, err
	}},
	{"an updated ticket", 1, func(c *Client, t *testing.T) ([]int64, []json.RawMessage, error) {
		a, err := c.UpdateTicket(t.Context(), 1, TicketUpdate{Comment: Comment{Body: "x"}})
		if err != nil {
			return nil, nil, err
		}
		return []int64{a.Ticket.ID}, []json.RawMessage{a.Ticket.Raw}, nil
	}},
	{"webhooks", adminPages, func(c *Client, t *testing.T) ([]int64, []json.RawMessage, error) {
		all, err := c.ListWebhooks(t.Context())
		for _, w := range all {
			if !isWebhookID(w.ID) {
				t.Errorf("a webhook %q, which cannot stand in a path", w.ID)
			}
		}
		return nil, nil, err
	}},
	{"triggers", adminPages, func(c *Client, t *testing.T) ([]int64, []json.RawMessage, error) {
		all, err := c.ListTriggers(t.Context())
		var ids []int64
		for i := range all {
			ids = append(ids, all[i].ID)
			all[i].Notification()
		}
		return ids, nil, err
	}},
	{"a webhook's secret", 1, func(c *Client, t *testing.T) ([]int64, []json.RawMessage, error) {
		secret, err := c.WebhookSecret(t.Context(), "01")
		if err == nil && secret == "" {
			t.Error("no secret, and no error")
		}
		return nil, nil, err
	}},
}

func ofUsers(users []User) (ids []int64, raw []json.RawMessage) {
	for i := range users {
		ids, raw = append(ids, users[i].ID), append(raw, users[i].Raw)
	}
	return ids, raw
}

func ofTickets(tickets []Ticket) (ids []int64, raw []json.RawMessage) {
	for i := range tickets {
		ids, raw = append(ids, tickets[i].ID), append(raw, tickets[i].Raw)
	}
	return ids, raw
}

// FuzzAnswers has the same arbitrary body answer each question, on every page
// that is asked for. Whatever it says, an error is one of ours that repeats
// nothing of it, what was read has an id and is JSON, no request goes anywhere
// but to the account's own origin, and none is made twice.
func FuzzAnswers(f *testing.F) {
	for i, body := range []string{
		`{"results":[{"id":1,"role":"end-user"}],"count":1,"next_page":"https://evil.example/api/v2/search.json?page=2"}`,
		`{"users":[{"id":1},{"id":2}],"identities":[{"id":3,"user_id":1,"type":"phone_number","value":"+1"}]}`,
		`{"user":{"id":1,"name":"Ann","active":null,"created_at":"2026-01-02T03:04:05Z"}}`,
		`{"user":{"id":null,"authenticity_token":"x"}}`,
		`{"identities":[{"user_id":1,"type":"phone_number","value":5}],"meta":{"has_more":true,"after_cursor":"//evil.example/@"}}`,
		`{"ticket":{"id":1,"tags":null,"updated_at":""},"audit":{"id":2,"events":[{"id":"x","public":"y"}]}}`,
		`{"tickets":[{"id":1},` + oddities + `]}`,
		`{"tickets":[{"id":1}],"meta":{"has_more":true,"after_cursor":"x"},"links":{"next":"//evil.example"}}`,
		`{"audits":[{"id":1,"metadata":{"custom":{"custom":{"custom":"x"}}}},{"id":2,"created_at":"2026-01-02T03:04:05+23:59"}],"next_page":null}`,
		`{"ticket":null}`,
		`{"webhooks":[{"id":"../x"},{"id":"01","subscriptions":[]}],"meta":null}`,
		`{"triggers":[{"id":1,"conditions":{"all":[{"value":7}]},"actions":[{"field":"notification_webhook","value":["01",["a"]]}]}]}`,
		`{"signing_secret":{"secret":"hush"}}`,
	} {
		f.Add(byte(i), []byte(body))
	}
	f.Fuzz(func(t *testing.T, which byte, body []byte) {
		q := questions[int(which)%len(questions)]
		peer := play(answers(200, string(body)))
		config := basicConfig(peer)
		config.RatePerMinute = 100_000
		c := newClient(t, config)
		ids, raw, err := q.ask(c, t)
		if err != nil {
			e := asError(t, err)
			if e.Class != ClassMalformed && (q.name != "who am I" || e.Class != ClassAuth) {
				t.Errorf("%s: %v", q.name, err)
			}
			if len(ids) > 0 {
				t.Errorf("%s: %d records beside an error", q.name, len(ids))
			}
		}
		for _, id := range ids {
			if id <= 0 {
				t.Errorf("%s: id %d", q.name, id)
			}
		}
		for _, r := range raw {
			if !json.Valid(r) {
				t.Errorf("%s: %q is kept", q.name, r)
			}
		}
		if n := peer.count(); n < 1 || n > q.most {
			t.Errorf("%s: %d requests", q.name, n)
		}
		asked := map[string]bool{}
		for _, r := range peer.seen {
			if asked[r.URL.String()] {
				t.Errorf("%s: %s is asked for twice", q.name, r.URL)
			}
			asked[r.URL.String()] = true
			if r.URL.Scheme != "https" || r.URL.Host != "acme.zendesk.com" || r.Host != "" && r.Host != r.URL.Host || r.URL.User != nil || !strings.HasPrefix(r.URL.Path, "/api/v2/") {
				t.Fatalf("%s: credentials go to %s", q.name, r.URL)
			}
		}
	})
}

// FuzzTokenAnswer reads what the token endpoint says: a token is printable and
// lives for a time that is bounded, or there is an error without a token.
func FuzzTokenAnswer(f *testing.F) {
	for _, body := range []string{
		`{"access_token":"abc","token_type":"bearer","expires_in":1800}`, `{"access_token":"a b"}`, `{"access_token":"x\r\nHost: evil.example"}`,
		`{"access_token":"x","expires_in":-1}`, `{"access_token":"x","expires_in":9223372036854775807}`, `{"access_token":"x","expires_in":172801}`, `{"access_token":"x","expires_in":99999999999999999999}`, `{"access_token":"x","expires_in":1e400}`, `{"access_token":null}`, `[]`, "",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c := newClient(t, oauthConfig(play(answers(200, string(body)))))
		access, ok := c.access.(*tokens)
		if !ok {
			t.Fatalf("the access is %T", c.access)
		}
		value, life, _, err := access.fetch(t.Context())
		if err != nil {
			if err.Class != ClassMalformed || value != "" {
				t.Errorf("%q beside %v", value, err)
			}
			return
		}
		token, bearer := strings.CutPrefix(value, "Bearer ")
		if !bearer || token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("the header is %q", value)
		}
		if life <= 0 || life > 48*time.Hour {
			t.Errorf("it lives for %v", life)
		}
	})
}

// FuzzReadBody unpacks what is no gzip and what unpacks to more than is wanted:
// never more than the limit is kept, and what is plain comes as it was.
func FuzzReadBody(f *testing.F) {
	const most = 1 << 12
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write(make([]byte, 1<<20))
	if err = errors.Join(err, z.Close()); err != nil {
		f.Fatal(err)
	}
	f.Add("gzip", packed.Bytes())
	f.Add(" X-GZIP", packed.Bytes()[:20])
	f.Add("gzip", []byte("{}"))
	f.Add("", []byte(`{"a":1}`))
	f.Add("identity", bytes.Repeat([]byte("x"), most+1))
	f.Add("br", []byte{})
	f.Fuzz(func(t *testing.T, encoding string, body []byte) {
		data, err := readBody(&http.Response{Header: http.Header{"Content-Encoding": {encoding}}, Body: io.NopCloser(bytes.NewReader(body))}, most)
		if len(data) > most {
			t.Fatalf("%d bytes", len(data))
		}
		if errors.Is(err, errTooLarge) && len(data) != most {
			t.Errorf("too large, and %d bytes", len(data))
		}
		if encoding == "" && (err == nil) != (len(body) <= most) || encoding == "" && err == nil && !bytes.Equal(data, body) {
			t.Errorf("%d plain bytes come as %d, %v", len(body), len(data), err)
		}
	})
}
