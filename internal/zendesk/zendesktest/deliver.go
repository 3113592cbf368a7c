package zendesktest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// delivery is one message to one webhook.
type delivery struct {
	endpoint, method, secret, id string
	at                           time.Time
	body                         []byte
}

// hooks are the webhooks and what is on its way to them. One goroutine sends;
// it starts with the first delivery and ends with close.
type hooks struct {
	opt    WebhookOptions
	clock  func() time.Time
	log    *slog.Logger
	seed   uint64
	client *http.Client
	own    *http.Transport // nil where the client was handed in

	mu      sync.Mutex
	list    []webhook
	count   int
	queue   []delivery
	made    int // deliveries so far, for every n-th
	wake    chan struct{}
	cancel  context.CancelFunc // nil until the first delivery
	sending sync.WaitGroup
	closed  bool
}

// Deliveries are tried again after a failure, so often and so long apart. The
// real service does so for some failures and for longer.
const (
	deliveryTries   = 3
	deliveryPause   = time.Second
	deliveryTimeout = 10 * time.Second
	reorderHold     = time.Second
)

func (k *hooks) init(opt Options) {
	k.opt, k.clock, k.log, k.seed = opt.Webhooks, opt.Clock, opt.Logger, opt.Seed
	k.wake = make(chan struct{}, 1)
	k.client = opt.Webhooks.Client
	if k.client == nil {
		k.own = &http.Transport{MaxIdleConnsPerHost: 2}
		k.client = &http.Client{Transport: k.own}
	}
}

func (k *hooks) close() {
	k.mu.Lock()
	k.closed = true
	if k.cancel != nil {
		k.cancel()
	}
	k.mu.Unlock()
	k.sending.Wait()
	if k.own != nil {
		k.own.CloseIdleConnections()
	}
}

// emitUser tells the webhooks of an event of a person. The payload holds ids
// and no phone, as the real one.
func (s *Server) emitUser(what string, i int32) {
	u := &s.users[i]
	id := strconv.FormatInt(userID(i), 10)
	s.emit("user."+what, "zen:user:"+id, map[string]any{
		"id": id, "role": u.role.String(), "created_at": timestamp(u.created), "updated_at": timestamp(s.now()),
		"email": s.emailOf(i, u), "external_id": "", "default_group_id": "", "organization_id": "",
	}, nil)
}

// emitTicket tells the webhooks of an event of a ticket; those on a trigger
// hear {"ticket_id":…}.
func (s *Server) emitTicket(what string, i int32) {
	id := ticketID(i)
	t := &s.tickets[i]
	text := strconv.FormatInt(id, 10)
	s.emit("ticket."+what, "zen:ticket:"+text, map[string]any{
		"id": text, "requester_id": strconv.FormatInt(userID(t.requester), 10), "status": t.status.String(),
		"created_at": timestamp(t.created), "updated_at": timestamp(s.now()),
	}, map[string]any{"ticket_id": id})
}

// emitChanges turns an update's audit into events.
func (s *Server) emitChanges(i int32, a *audit) {
	for _, c := range a.changes {
		switch c.field {
		case "status", "priority", "subject":
			s.emitTicket(c.field+"_changed", i)
		case "requester_id":
			s.emitTicket("requester_changed", i)
		case "assignee_id":
			s.emitTicket("agent_assignment_changed", i)
		}
	}
	if a.comment != nil {
		s.emitTicket("comment_added", i)
	}
}

// emit queues one event for every webhook that wants it.
func (s *Server) emit(kind, subject string, detail, trigger map[string]any) {
	k := &s.hooks
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.list) == 0 || k.closed {
		return
	}
	now := s.clock()
	prefix := "zen:event-type:"
	if k.opt.SlashTypes {
		prefix = "zen:event-type/"
	}
	for h := range k.list {
		hook := &k.list[h]
		var payload any
		switch {
		case hook.Status != "active":
			continue
		case hook.wants(kind):
			payload = map[string]any{
				"account_id": 22_129_848, "detail": detail, "event": map[string]any{},
				"id":      fmt.Sprintf("cbe4028c-7239-495d-b020-%012x", k.made+1),
				"subject": subject, "time": now.UTC().Format(time.RFC3339Nano), "type": prefix + kind,
				"zendesk_event_version": "2022-06-20",
			}
		case hook.wants(conditional) && trigger != nil:
			payload = trigger
		default:
			continue
		}
		body, err := json.Marshal(payload)
		if err != nil { // maps of strings and numbers always marshal
			continue
		}
		k.push(delivery{endpoint: hook.Endpoint, method: hook.HTTPMethod, secret: k.secret(hook.ID), id: hook.ID, at: now, body: body})
	}
}

// push queues a delivery, twice or not at all where the options say so. The
// caller holds the lock.
func (k *hooks) push(d delivery) {
	k.made++
	every := func(n int) bool { return n > 0 && k.made%n == 0 }
	if every(k.opt.LoseEvery) {
		return
	}
	k.queue = append(k.queue, d)
	if every(k.opt.DuplicateEvery) {
		k.queue = append(k.queue, d)
	}
	if k.cancel == nil {
		var ctx context.Context
		ctx, k.cancel = context.WithCancel(context.Background())
		k.sending.Go(func() { k.send(ctx) })
	}
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// next takes the oldest delivery off the queue.
func (k *hooks) next() (d delivery, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.queue) == 0 {
		return delivery{}, false
	}
	d = k.queue[0]
	k.queue = k.queue[1:]
	return d, true
}

// await is next, waiting for it: forever, or for a while.
func (k *hooks) await(ctx context.Context, while <-chan time.Time) (d delivery, ok bool) {
	for {
		if d, ok := k.next(); ok {
			return d, true
		}
		select {
		case <-k.wake:
		case <-while:
			return delivery{}, false
		case <-ctx.Done():
			return delivery{}, false
		}
	}
}

func (k *hooks) send(ctx context.Context) {
	for ctx.Err() == nil {
		d, ok := k.await(ctx, nil)
		if !ok {
			return
		}
		if k.opt.Reorder {
			hold := time.NewTimer(reorderHold)
			if other, ok := k.await(ctx, hold.C); ok {
				k.deliver(ctx, other)
			}
			hold.Stop()
		}
		k.deliver(ctx, d)
	}
}

// deliver sends one message, and again where it fails. Every try carries the
// same body and the same signature.
func (k *hooks) deliver(ctx context.Context, d delivery) {
	for try := range deliveryTries {
		if try > 0 {
			pause := time.NewTimer(deliveryPause)
			select {
			case <-pause.C:
			case <-ctx.Done():
				pause.Stop()
				return
			}
		}
		status, err := k.post(ctx, d)
		if err == nil && status < 500 && status != http.StatusTooManyRequests && status != http.StatusConflict {
			return
		}
		k.log.Info("webhook delivery failed", "try", try+1, "status", status)
	}
}

func (k *hooks) post(ctx context.Context, d delivery) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, deliveryTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, d.method, d.endpoint, bytes.NewReader(d.body))
	if err != nil {
		return 0, fmt.Errorf("make webhook request: %w", err)
	}
	stamp := d.at.UTC().Format("2006-01-02T15:04:05Z")
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "Zendesk Webhook")
	req.Header.Set("X-Zendesk-Webhook-Id", d.id)
	req.Header.Set("X-Zendesk-Webhook-Signature-Timestamp", stamp)
	req.Header.Set("X-Zendesk-Webhook-Signature", SignWebhook(d.secret, stamp, d.body))
	resp, err := k.client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("deliver webhook: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, bodyMost)) // so that the connection can be used again
	return resp.StatusCode, nil
}
