package zendesktest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// delivery is one message to one webhook.
type delivery struct {
	endpoint, method, secret, hook string
	kind                           string // "user.created", or "trigger"
	invocation                     int    // the same in a repeat and in a further try
	at                             time.Time
	body                           []byte
	due                            time.Time // not sent before
	tries                          int
}

// Delivery is what became of one message to a webhook.
type Delivery struct {
	Time    time.Time `json:"time"` // of the event
	Webhook string    `json:"webhook"`
	// Kind is the event without its prefix ("user.created"), or "trigger".
	Kind       string `json:"kind"`
	Invocation int    `json:"invocation"` // a repeat has that of its first
	// Outcome is delivered, refused (an answer that is not tried again),
	// failed (as often as it was tried), lost, or held (by the breaker).
	Outcome string `json:"outcome"`
	Status  int    `json:"status,omitempty"` // of the last answer, 0 where there was none
	Tries   int    `json:"tries,omitempty"`
}

// hooks are the webhooks and the triggers, and what is on its way to them. One
// goroutine sends; it starts with the first delivery and ends with close.
type hooks struct {
	opt    WebhookOptions
	clock  func() time.Time
	log    *slog.Logger
	seed   uint64
	client *http.Client
	own    *http.Transport // nil where the client was handed in

	mu           sync.Mutex
	list         []webhook
	count        int
	triggers     []trigger
	triggerCount int
	queue        []delivery // by due; those due together by their age
	made         int        // deliveries so far, for every n-th
	saves        int        // tickets saved so far
	breakers     map[string]*breaker
	done         []Delivery
	wake         chan struct{}
	cancel       context.CancelFunc // nil until the first delivery
	sending      sync.WaitGroup
	closed       bool
}

// Deliveries are tried again after a failure, so often and so long apart. The
// real service does so for some failures and for longer.
const (
	deliveryTries   = 3
	deliveryPause   = time.Second
	deliveryTimeout = 10 * time.Second
	reorderHold     = time.Second
	deliveriesKept  = 1000
)

func (k *hooks) init(opt Options) {
	k.opt, k.clock, k.log, k.seed = opt.Webhooks, opt.Clock, opt.Logger, opt.Seed
	k.wake = make(chan struct{}, 1)
	k.breakers = map[string]*breaker{}
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

// deaf tells whether nobody listens, so that nothing need be written.
func (k *hooks) deaf() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.list) == 0 || k.closed
}

// nextSave names one save of a ticket: the events of it share the name.
func (k *hooks) nextSave() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.saves++
	return fmt.Sprintf("%032X", k.saves)
}

// emit queues one event for every webhook that is subscribed to it.
func (k *hooks) emit(now time.Time, kind, subject string, detail, data map[string]any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for h := range k.list {
		if hook := &k.list[h]; hook.Status == "active" && hook.wants(kind) {
			stamp := now.UTC().Format(time.RFC3339Nano)
			k.send(hook, kind, now, payload(kind, subject, eventID(k.made+1), stamp, k.opt.SlashTypes, detail, data))
		}
	}
}

// emitUnconditionally tells the webhooks that CreateWebhook put on a trigger,
// as long as no trigger names them, of a ticket by its id alone.
func (k *hooks) emitUnconditionally(now time.Time, ticket int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for h := range k.list {
		if hook := &k.list[h]; hook.Status == "active" && hook.unconditional && hook.wants(conditional) && !k.named(hook.ID) {
			k.send(hook, "trigger", now, map[string]any{"ticket_id": ticket})
		}
	}
}

// send puts one message on its way. The caller holds the lock.
func (k *hooks) send(hook *webhook, kind string, now time.Time, message map[string]any) {
	body, err := json.Marshal(message)
	if err != nil { // maps of strings and numbers always marshal
		return
	}
	k.push(hook, kind, now, body)
}

// push queues a delivery, twice or not at all where the options say so, and
// as late as they say. What is random about it follows from the seed and from
// how many there were before. The caller holds the lock.
func (k *hooks) push(hook *webhook, kind string, now time.Time, body []byte) {
	if k.closed {
		return
	}
	k.made++
	d := delivery{
		endpoint: hook.Endpoint, method: hook.HTTPMethod, secret: k.secret(hook.ID), hook: hook.ID,
		kind: kind, invocation: k.made, at: now, body: body,
	}
	every := func(n int) bool { return n > 0 && k.made%n == 0 }
	if every(k.opt.LoseEvery) {
		k.note(&d, "lost", 0)
		return
	}
	rng := rand.New(rand.NewPCG(k.seed, uint64(k.made)))
	copies := 1
	if every(k.opt.DuplicateEvery) {
		copies = 2
	}
	for range copies {
		wait := time.Duration(0)
		if k.opt.Delay > 0 {
			wait = time.Duration(rng.Int64N(int64(k.opt.Delay) + 1))
		}
		k.enqueue(d, wait)
	}
	if k.cancel == nil {
		var ctx context.Context
		ctx, k.cancel = context.WithCancel(context.Background())
		k.sending.Go(func() { k.run(ctx) })
	}
}

// enqueue puts a delivery where its time is. The caller holds the lock.
func (k *hooks) enqueue(d delivery, wait time.Duration) {
	d.due = time.Now().Add(wait)
	at, _ := slices.BinarySearchFunc(k.queue, d, func(x, d delivery) int {
		if x.due.After(d.due) {
			return 1
		}
		return -1 // due at the same time: the older one first
	})
	k.queue = slices.Insert(k.queue, at, d)
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// next takes the first delivery off the queue, if it is due; else it says how
// long that is to come, less than 0 for never.
func (k *hooks) next() (d delivery, wait time.Duration, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.queue) == 0 {
		return delivery{}, -1, false
	}
	if wait = time.Until(k.queue[0].due); wait > 0 {
		return delivery{}, wait, false
	}
	d = k.queue[0]
	k.queue = k.queue[1:]
	return d, 0, true
}

// await is next, waiting for it: forever, or for a while.
func (k *hooks) await(ctx context.Context, while <-chan time.Time) (delivery, bool) {
	for {
		d, wait, ok := k.next()
		if ok {
			return d, true
		}
		due := time.NewTimer(max(wait, 0))
		if wait < 0 {
			due.Stop()
		}
		select {
		case <-k.wake:
		case <-due.C:
		case <-while:
			due.Stop()
			return delivery{}, false
		case <-ctx.Done():
			due.Stop()
			return delivery{}, false
		}
		due.Stop()
	}
}

func (k *hooks) run(ctx context.Context) {
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

// deliver sends one message; one that fails comes again a little later, behind
// those that are due by then. Every try carries the same body and signature.
func (k *hooks) deliver(ctx context.Context, d delivery) {
	if k.isOpen(d.hook) {
		k.finish(&d, "held", 0)
		return
	}
	d.tries++
	status, err := k.post(ctx, d)
	if ctx.Err() != nil {
		return
	}
	failed := err != nil || status >= 500 || status == http.StatusTooManyRequests || status == http.StatusConflict
	k.judge(d.hook, failed)
	switch {
	case failed && d.tries < deliveryTries:
		k.mu.Lock()
		defer k.mu.Unlock()
		k.enqueue(d, deliveryPause)
	case failed:
		k.finish(&d, "failed", status)
	case status >= 300:
		k.finish(&d, "refused", status)
	default:
		k.finish(&d, "delivered", status)
	}
}

func (k *hooks) finish(d *delivery, outcome string, status int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.note(d, outcome, status)
}

// note keeps what became of a delivery. The caller holds the lock.
func (k *hooks) note(d *delivery, outcome string, status int) {
	if len(k.done) >= 2*deliveriesKept {
		k.done = slices.Clone(k.done[deliveriesKept:])
	}
	k.done = append(k.done, Delivery{
		Time: d.at, Webhook: d.hook, Kind: d.kind, Invocation: d.invocation, Outcome: outcome, Status: status, Tries: d.tries,
	})
	if outcome != "delivered" {
		k.log.Info("webhook not delivered", "kind", d.kind, "outcome", outcome, "tries", d.tries, "status", status)
	}
}

// Deliveries are what became of the newest messages to webhooks, at most a
// thousand, in the order in which that was settled.
func (s *Server) Deliveries() []Delivery {
	k := &s.hooks
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.done[max(len(k.done)-deliveriesKept, 0):])
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
	req.Header.Set("X-Zendesk-Account-Id", strconv.Itoa(accountID))
	req.Header.Set("X-Zendesk-Webhook-Id", d.hook)
	req.Header.Set("X-Zendesk-Webhook-Invocation-Id", strconv.Itoa(d.invocation))
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
