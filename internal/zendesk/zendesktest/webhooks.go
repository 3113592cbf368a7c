package zendesktest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// WebhookOptions say how webhooks misbehave.
type WebhookOptions struct {
	// Client sends the deliveries; nil means one of the account's own, which
	// gives up after ten seconds.
	Client *http.Client
	// DuplicateEvery sends every n-th delivery twice; 0 none.
	DuplicateEvery int
	// Reorder holds every other delivery back until the next one has gone, or
	// a second has passed.
	Reorder bool
	// LoseEvery never sends every n-th delivery; 0 none.
	LoseEvery int
	// SlashTypes names event types zen:event-type/user.created, not
	// zen:event-type:user.created. Both have been seen.
	SlashTypes bool
}

// conditional is the subscription of a webhook that hangs on a trigger. Such
// a webhook gets what the admin wrote: here {"ticket_id":…}.
const conditional = "conditional_ticket_events"

// webhook is one as the API shows it.
type webhook struct {
	ID            string         `json:"id"`
	Name          string         `json:"name"`
	Description   string         `json:"description"`
	Endpoint      string         `json:"endpoint"`
	HTTPMethod    string         `json:"http_method"`
	RequestFormat string         `json:"request_format"`
	Status        string         `json:"status"`
	Subscriptions []string       `json:"subscriptions"`
	CreatedAt     string         `json:"created_at"`
	CreatedBy     string         `json:"created_by"`
	UpdatedAt     string         `json:"updated_at"`
	UpdatedBy     string         `json:"updated_by"`
	Secret        *signingSecret `json:"signing_secret,omitempty"` // in the answer to a creation only
}

type signingSecret struct {
	Algorithm string `json:"algorithm"`
	Secret    string `json:"secret"`
}

// wants tells whether the webhook is subscribed to an event, in either
// spelling of its name.
func (h *webhook) wants(kind string) bool {
	return slices.ContainsFunc(h.Subscriptions, func(sub string) bool {
		sub = strings.TrimPrefix(strings.TrimPrefix(sub, "zen:event-type:"), "zen:event-type/")
		return sub == kind
	})
}

// CreateWebhook subscribes an endpoint and returns the webhook's id and the
// secret that its deliveries are signed with. Subscriptions are event types
// ("zen:event-type:user.created") or "conditional_ticket_events".
func (s *Server) CreateWebhook(endpoint string, subscriptions ...string) (id, secret string) {
	h := s.hooks.create(s.clock(), webhook{Name: "simulated", Endpoint: endpoint, Subscriptions: subscriptions})
	return h.ID, h.Secret.Secret
}

// create adds a webhook and gives it with its secret.
func (k *hooks) create(now time.Time, h webhook) webhook {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.count++
	at := now.UTC().Format("2006-01-02T15:04:05Z")
	h.ID = fmt.Sprintf("01SIM%021d", k.count)
	h.CreatedAt, h.UpdatedAt, h.CreatedBy, h.UpdatedBy = at, at, strconv.FormatInt(userID(0), 10), strconv.FormatInt(userID(0), 10)
	if h.HTTPMethod == "" {
		h.HTTPMethod = http.MethodPost
	}
	if h.RequestFormat == "" {
		h.RequestFormat = "json"
	}
	if h.Status == "" {
		h.Status = "active"
	}
	k.list = append(k.list, h)
	h.Secret = &signingSecret{"SHA256", k.secret(h.ID)}
	return h
}

// secret follows from the seed and the webhook.
func (k *hooks) secret(id string) string {
	mac := hmac.New(sha256.New, binary.BigEndian.AppendUint64([]byte("zendesktest webhook "), k.seed))
	mac.Write([]byte(id))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func (s *Server) webhookList(q *request) reply {
	s.hooks.mu.Lock()
	all := slices.Clone(s.hooks.list)
	s.hooks.mu.Unlock()
	if part := q.query.Get("filter[name_contains]"); part != "" {
		all = slices.DeleteFunc(all, func(h webhook) bool { return !strings.Contains(h.Name, part) })
	}
	if all == nil {
		all = []webhook{}
	}
	return jsonReply(http.StatusOK, map[string]any{
		"webhooks": all,
		"meta":     map[string]any{"has_more": false, "after_cursor": nil, "before_cursor": nil},
		"links":    map[string]any{"prev": nil, "next": nil},
	})
}

func (s *Server) webhookCreate(q *request) reply {
	var sent struct {
		Webhook webhook `json:"webhook"`
	}
	if json.Unmarshal(q.body, &sent) != nil {
		return errList("InvalidWebhook", "Invalid webhook", "the body is not JSON")
	}
	h := sent.Webhook
	both := slices.Contains(h.Subscriptions, conditional) && len(h.Subscriptions) > 1
	switch {
	case h.Name == "" || h.Endpoint == "":
		return errList("InvalidWebhook", "Invalid webhook", "name and endpoint are required")
	case both: // one webhook cannot hang on a trigger and on events
		return errList("InvalidWebhook", "Invalid webhook", "a webhook has either events or a trigger")
	}
	return jsonReply(http.StatusCreated, map[string]any{"webhook": s.hooks.create(q.now, h)})
}

// at finds a webhook; the caller holds the lock.
func (k *hooks) at(id string) int {
	return slices.IndexFunc(k.list, func(h webhook) bool { return h.ID == id })
}

func (s *Server) webhookShow(q *request) reply {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	i := s.hooks.at(q.vars[0])
	if i < 0 {
		return notFound()
	}
	return jsonReply(http.StatusOK, map[string]any{"webhook": s.hooks.list[i]})
}

// webhookUpdate changes what is sent and leaves the rest.
func (s *Server) webhookUpdate(q *request) reply {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	i := s.hooks.at(q.vars[0])
	if i < 0 {
		return notFound()
	}
	sent := struct {
		Webhook webhook `json:"webhook"`
	}{s.hooks.list[i]}
	if json.Unmarshal(q.body, &sent) != nil {
		return errList("InvalidWebhook", "Invalid webhook", "the body is not JSON")
	}
	sent.Webhook.ID, sent.Webhook.Secret = s.hooks.list[i].ID, nil
	sent.Webhook.UpdatedAt = q.now.UTC().Format("2006-01-02T15:04:05Z")
	s.hooks.list[i] = sent.Webhook
	return reply{status: http.StatusNoContent}
}

func (s *Server) webhookDelete(q *request) reply {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	i := s.hooks.at(q.vars[0])
	if i < 0 {
		return notFound()
	}
	s.hooks.list = slices.Delete(s.hooks.list, i, i+1)
	return reply{status: http.StatusNoContent}
}

func (s *Server) webhookSecret(q *request) reply {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	if s.hooks.at(q.vars[0]) < 0 {
		return notFound()
	}
	return jsonReply(http.StatusOK, map[string]any{"signing_secret": signingSecret{"SHA256", s.hooks.secret(q.vars[0])}})
}

// SignWebhook is how a delivery is signed: base64 of HMAC-SHA256 over the
// timestamp and the raw body.
func SignWebhook(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp))
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
