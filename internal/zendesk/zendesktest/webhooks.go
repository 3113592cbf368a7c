package zendesktest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// WebhookOptions say how webhooks misbehave. With the same account, edits and
// clock, the same deliveries are lost, doubled and late.
type WebhookOptions struct {
	// Client sends the deliveries; nil means one of the account's own, which
	// gives up after ten seconds.
	Client *http.Client
	// DuplicateEvery sends every n-th delivery twice; 0 none. The repeat has
	// the same body, id and signature.
	DuplicateEvery int
	// Reorder holds every other delivery back until the next one has gone, or
	// a second has passed.
	Reorder bool
	// LoseEvery never sends every n-th delivery; 0 none.
	LoseEvery int
	// Delay has each delivery wait for a time of its own up to this, so that
	// they overtake each other.
	Delay time.Duration
	// SlashTypes names event types zen:event-type/user.created, not
	// zen:event-type:user.created. Both have been seen.
	SlashTypes bool
	// Breaker stops deliveries to a webhook for a minute when 70 % of its
	// tries in five minutes have failed.
	Breaker bool
	// Trial allows ten webhooks and no more, as a trial account does.
	Trial bool
	// MergeNamesWinner has user.merged be about the person that is left, with
	// the one that went in its event; else it is the other way round. Which of
	// the two the service does is not known.
	MergeNamesWinner bool
	// MergeTellsTickets has a merge of people tell of each ticket that moved.
	// Whether the service does is not known.
	MergeTellsTickets bool
}

// conditional is the subscription of a webhook that hangs on a trigger. Such
// a webhook gets what the admin wrote.
const conditional = "conditional_ticket_events"

// trialMost is how many webhooks a trial account may have.
const trialMost = 10

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
	// unconditional marks one that gets {"ticket_id":…} without any trigger.
	unconditional bool
}

type signingSecret struct {
	Algorithm string `json:"algorithm"`
	Secret    string `json:"secret"`
}

// eventName is a subscription without its prefix, in either spelling; ok is
// false where it has none.
func eventName(subscription string) (name string, ok bool) {
	for _, prefix := range []string{"zen:event-type:", "zen:event-type/"} {
		if name, ok = strings.CutPrefix(subscription, prefix); ok {
			return name, true
		}
	}
	return subscription, false
}

// wants tells whether the webhook is subscribed to an event.
func (h *webhook) wants(kind string) bool {
	return slices.ContainsFunc(h.Subscriptions, func(sub string) bool {
		name, _ := eventName(sub)
		return name == kind
	})
}

// CreateWebhook subscribes an endpoint and returns the webhook's id and the
// secret that its deliveries are signed with. Subscriptions are event types
// ("zen:event-type:user.created") or "conditional_ticket_events". Unlike one
// made through the API, it may have any endpoint and both kinds of
// subscription, and without a trigger that names it it gets {"ticket_id":…} of
// every ticket that is told of.
func (s *Server) CreateWebhook(endpoint string, subscriptions ...string) (id, secret string) {
	h := s.hooks.create(s.clock(), webhook{
		Name: "simulated", Endpoint: endpoint, HTTPMethod: http.MethodPost, RequestFormat: "json", Status: "active",
		Subscriptions: slices.Clone(subscriptions), unconditional: true,
	})
	return h.ID, h.Secret.Secret
}

// create adds a webhook and gives it with its secret.
func (k *hooks) create(now time.Time, h webhook) webhook {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.count++
	at, owner := timestamp(uint32(now.Unix())), strconv.FormatInt(userID(0), 10)
	h.ID = fmt.Sprintf("01SIM%021d", k.count)
	if h.Subscriptions == nil {
		h.Subscriptions = []string{}
	}
	h.CreatedAt, h.UpdatedAt, h.CreatedBy, h.UpdatedBy, h.Secret = at, at, owner, owner, nil
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

// webhookList is paged by cursor, oldest first.
func (s *Server) webhookList(q *request) reply {
	s.hooks.mu.Lock()
	all := slices.Clone(s.hooks.list)
	s.hooks.mu.Unlock()
	part, status := q.query.Get("filter[name_contains]"), q.query.Get("filter[status]")
	var rows []row
	for k := range all {
		if strings.Contains(all[k].Name, part) && (status == "" || all[k].Status == status) {
			rows = append(rows, row{id: int64(k) + 1, at: int32(k)})
		}
	}
	page, bad := s.cursorPage(q, rows, false)
	if bad != nil {
		return *bad
	}
	o := &object{}
	o.open()
	list(o, "webhooks", page.rows, func(r row) { o.b = append(o.b, encodeJSON(all[r.at])...) })
	page.tail(o)
	o.close()
	return reply{status: http.StatusOK, body: o.b}
}

// invalidWebhook is the refusal of a webhook that may not be so. The shape is
// that of the service's newer APIs; the exact words are not known.
func invalidWebhook(format string, args ...any) *reply {
	rep := errList("InvalidWebhook", "Invalid webhook", fmt.Sprintf(format, args...))
	return &rep
}

func readWebhook(q *request, onto webhook) (webhook, *reply) {
	sent := struct {
		Webhook webhook `json:"webhook"`
	}{onto}
	if json.Unmarshal(q.body, &sent) != nil {
		return webhook{}, invalidWebhook("the body is not JSON")
	}
	return sent.Webhook, sent.Webhook.check()
}

// check holds a webhook against the rules of the reference: what is mandatory,
// and that events and triggers do not mix.
func (h *webhook) check() *reply {
	onTrigger := slices.Contains(h.Subscriptions, conditional)
	endpoint, err := url.Parse(h.Endpoint)
	switch {
	case h.Name == "":
		return invalidWebhook("name is required")
	case h.Endpoint == "":
		return invalidWebhook("endpoint is required")
	case err != nil || endpoint.Scheme != "https" || endpoint.Host == "" || endpoint.User != nil:
		return invalidWebhook("endpoint must be an https URL")
	case !slices.Contains([]string{"GET", "POST", "PUT", "PATCH", "DELETE"}, h.HTTPMethod):
		return invalidWebhook("http_method must be one of GET, POST, PUT, PATCH, DELETE")
	case !slices.Contains([]string{"json", "xml", "form_encoded"}, h.RequestFormat):
		return invalidWebhook("request_format must be one of json, xml, form_encoded")
	case h.Status != "active" && h.Status != "inactive":
		return invalidWebhook("status must be one of active, inactive")
	case onTrigger && len(h.Subscriptions) > 1:
		return invalidWebhook("a webhook has either events or a trigger")
	case onTrigger || len(h.Subscriptions) == 0:
		return nil
	case h.HTTPMethod != http.MethodPost || h.RequestFormat != "json":
		return invalidWebhook("a webhook subscribed to events must be POST and json")
	}
	for _, sub := range h.Subscriptions {
		if name, prefixed := eventName(sub); !prefixed || !slices.Contains(knownEvents, name) {
			return invalidWebhook("%q is no event type", sub)
		}
	}
	return nil
}

// knownEvents are the event types of users and tickets that Zendesk lists.
// The other domains it has are not those of this account.
var knownEvents = []string{
	"user.active_changed", "user.alias_changed", "user.created", "user.custom_field_changed", "user.custom_role_changed",
	"user.default_group_changed", "user.deleted", "user.details_changed", "user.external_id_changed",
	"user.group_membership_created", "user.group_membership_deleted", "user.identity_changed", "user.identity_created",
	"user.identity_deleted", "user.last_login_changed", "user.merged", "user.name_changed", "user.notes_changed",
	"user.only_private_comments_changed", "user.organization_membership_created", "user.organization_membership_deleted",
	"user.password_changed", "user.photo_changed", "user.role_changed", "user.suspended_changed", "user.tags_changed",
	"user.time_zone_changed",
	"ticket.agent_assignment_changed", "ticket.attachment_linked_to_comment", "ticket.attachment_redacted_from_comment",
	"ticket.brand_changed", "ticket.comment_added", "ticket.comment_made_private", "ticket.comment_redacted", "ticket.created",
	"ticket.csat_received", "ticket.csat_requested", "ticket.custom_field_changed", "ticket.custom_status_changed",
	"ticket.description_changed", "ticket.email_ccs_changed", "ticket.external_id_changed", "ticket.followers_changed",
	"ticket.form_changed", "ticket.group_assignment_changed", "ticket.marked_as_spam", "ticket.merged",
	"ticket.next_sla_breach_changed", "ticket.ola_policy_changed", "ticket.organization_changed", "ticket.permanently_deleted",
	"ticket.priority_changed", "ticket.problem_link_changed", "ticket.requester_changed", "ticket.schedule_changed",
	"ticket.sla_policy_changed", "ticket.soft_deleted", "ticket.status_changed", "ticket.subject_changed",
	"ticket.submitter_changed", "ticket.tags_changed", "ticket.task_due_at_changed", "ticket.type_changed", "ticket.undeleted",
}

func (s *Server) webhookCreate(q *request) reply {
	h, bad := readWebhook(q, webhook{})
	if bad != nil {
		return *bad
	}
	s.hooks.mu.Lock()
	full := s.opt.Webhooks.Trial && len(s.hooks.list) >= trialMost
	s.hooks.mu.Unlock()
	if full {
		return *invalidWebhook("a trial account has %d webhooks at most", trialMost)
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

// webhookUpdate replaces a webhook (PUT), or changes what is sent and leaves
// the rest (PATCH). What it hangs on, events or triggers, is for life.
func (s *Server) webhookUpdate(q *request) reply {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	i := s.hooks.at(q.vars[0])
	if i < 0 {
		return notFound()
	}
	old := s.hooks.list[i]
	onto := webhook{}
	if q.Method == http.MethodPatch {
		onto = old
		onto.Subscriptions = slices.Clone(old.Subscriptions) // JSON is read into it
	}
	h, bad := readWebhook(q, onto)
	if bad != nil {
		return *bad
	}
	if h.wants(conditional) != old.wants(conditional) {
		return *invalidWebhook("a webhook's connection method cannot be changed")
	}
	h.ID, h.CreatedAt, h.CreatedBy, h.Secret, h.unconditional = old.ID, old.CreatedAt, old.CreatedBy, nil, old.unconditional
	h.UpdatedAt, h.UpdatedBy = timestamp(uint32(q.now.Unix())), idText(q.who.id)
	s.hooks.list[i] = h
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
