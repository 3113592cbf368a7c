package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"

	"aniproxy/internal/caller"
	"aniproxy/internal/webhook"
)

// Notices takes in what Zendesk has told of, and returns at once: fetching it
// is somebody else's. taken is false where there was no room for all of it. It
// may be called concurrently.
type Notices interface {
	Notice(objects []caller.Object) (taken bool)
}

// delivery is what became of what a webhook sent, in the words of the answer
// and of the metric.
type delivery int

const (
	queued   delivery = iota // its objects wait to be fetched
	repeated                 // it was taken before
	ignored                  // it names nothing that the mirror holds
	dropped                  // no room: the next increment brings what it told of
	refused                  // too long, not signed, not by a secret of ours, too old or too early
	deliveries
)

var deliveryNames = [deliveries]string{"queued", "repeated", "ignored", "dropped", "refused"}

// hooks is the intake of webhooks; nil where no secret is configured.
type hooks struct {
	verifier atomic.Pointer[webhook.Verifier] // nil once the last secret is gone
	repeats  *webhook.Repeats
	arriving arriving
}

func newHooks(o *Options) (*hooks, error) {
	if len(o.WebhookSecrets) == 0 {
		return nil, nil //nolint:nilnil // without a secret there is nothing to take in
	}
	if o.Notices == nil {
		return nil, &OptionError{Option: "Notices", Problem: "is required where there are webhook secrets"}
	}
	v, err := webhook.NewVerifier(o.WebhookSecrets, o.Clock)
	if err != nil {
		return nil, &OptionError{Option: "WebhookSecrets", Problem: "has an empty one, which anybody could sign with"}
	}
	h := &hooks{repeats: webhook.NewRepeats(o.Clock)}
	h.verifier.Store(v)
	return h, nil
}

// errFirstSecret refuses to open a route while requests are served.
var errFirstSecret = errors.New("the first secret of a webhook takes a restart: without any there is no route for it")

// SetWebhookSecrets replaces the secrets that deliveries are signed with, from
// the next delivery on. Without any, each is refused as if it were signed
// wrongly; the route itself goes at the next start. What was taken before is
// remembered as such whichever secret signs it anew. Where the error is not
// nil nothing has changed. It may be called concurrently with requests.
func (s *Server) SetWebhookSecrets(secrets []string) error {
	switch {
	case s.hooks == nil && len(secrets) == 0:
		return nil
	case s.hooks == nil:
		return errFirstSecret
	case len(secrets) == 0:
		s.hooks.verifier.Store(nil)
		return nil
	}
	v, err := webhook.NewVerifier(secrets, s.clock)
	if err != nil {
		return &OptionError{Option: "WebhookSecrets", Problem: "has an empty one, which anybody could sign with"}
	}
	s.hooks.verifier.Store(v)
	return nil
}

// Deliveries whose bodies are being read, all together and of one address.
// Who they are from is not known before a body is there, and each may take half
// a MiB: 32 MiB are what strangers can have held. Zendesk sends what it is told
// to send later again, and the next increment brings it anyway.
const (
	maxArriving   = 64
	maxArrivingOf = 16
)

// arriving counts them. The zero value is ready; it may be used concurrently.
type arriving struct {
	mu  sync.Mutex
	all int
	of  map[netip.Prefix]int
}

func (a *arriving) enter(from netip.Prefix) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all >= maxArriving || a.of[from] >= maxArrivingOf {
		return false
	}
	if a.of == nil {
		a.of = map[netip.Prefix]int{}
	}
	a.all++
	a.of[from]++
	return true
}

func (a *arriving) leave(from netip.Prefix) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all--
	if a.of[from]--; a.of[from] == 0 {
		delete(a.of, from)
	}
}

func errManyDeliveries() error {
	return &fault{
		status: http.StatusServiceUnavailable, detail: "too many deliveries arrive at once; send it again",
		header: http.Header{"Retry-After": {"1"}},
	}
}

// verify holds a delivery against the secrets in force.
func (h *hooks) verify(timestamp, signature string, body []byte) error {
	v := h.verifier.Load()
	if v == nil {
		return &webhook.SignatureError{Fault: webhook.Mismatch}
	}
	return v.Verify(timestamp, signature, body)
}

// webhook takes in a delivery of Zendesk's. Its signature is its key, so it
// has neither a client nor a rate; what a flood of strangers can cost is a
// digest of at most a body's limit each, some 50 µs a secret, and a signature
// that is wrong waits as a wrong key does.
//
// Whatever is well signed is answered 200, also what names nothing and what
// cannot be read: Zendesk would send it again, it would be no better then, and
// where 70 of 100 deliveries fail its breaker opens and withholds the good
// ones too. The counts tell of it.
func (s *Server) webhook(c *call) error {
	outcome, err := s.receive(c.Request())
	s.metrics.delivered(outcome)
	var wrong *webhook.SignatureError
	if !errors.As(err, &wrong) {
		if err == nil {
			c.write(http.StatusOK, jsonType, []byte(`{"status":"`+deliveryNames[outcome]+`"}`))
		}
		return err
	}
	if wrong.Fault == webhook.Malformed || wrong.Fault == webhook.Mismatch {
		r := c.Request()
		if err := s.logins.fail(r.Context(), failure{from: s.origin(r), signature: true}); err != nil {
			return err
		}
	}
	return errSignature(wrong.Fault)
}

// receive reads a delivery and hands on what it names. It has let go of the
// body when it returns, so that nothing waits with one in its hands. The error
// is a [*webhook.SignatureError] or of the body.
func (s *Server) receive(r *http.Request) (delivery, error) {
	timestamps, signatures := r.Header[webhook.HeaderTimestamp], r.Header[webhook.HeaderSignature]
	if len(timestamps) == 0 || len(signatures) == 0 || timestamps[0] == "" || signatures[0] == "" { // before anything is read of the body
		return refused, &webhook.SignatureError{Fault: webhook.Missing}
	}
	if len(timestamps) > 1 || len(signatures) > 1 { // which of them would have been meant?
		return refused, &webhook.SignatureError{Fault: webhook.Malformed}
	}
	if err := webhook.Plausible(timestamps[0], signatures[0]); err != nil {
		return refused, err
	}
	from := networkOf(s.origin(r))
	if !s.hooks.arriving.enter(from) {
		return refused, errManyDeliveries()
	}
	defer s.hooks.arriving.leave(from)
	buffer := s.buffer()
	defer s.release(buffer)
	body, err := readBody(r, *buffer, maxDelivery)
	if err != nil {
		return refused, err
	}
	*buffer = body
	if err := s.hooks.verify(timestamps[0], signatures[0], body); err != nil {
		return refused, err
	}
	return s.hooks.take(s.o.Notices, signatures[0], body), nil
}

// take hands on what a well signed delivery names, once. One that found no
// room is not remembered: where it comes again, it has another chance.
func (h *hooks) take(to Notices, signature string, body []byte) delivery {
	n, err := webhook.Parse(body)
	switch {
	case err != nil, len(n.Objects) == 0:
		return ignored
	case !h.repeats.Take(signature, n.EventID):
		return repeated
	case !to.Notice(n.Objects):
		h.repeats.Forget(signature, n.EventID)
		return dropped
	default:
		return queued
	}
}

// errSignature says what to look at. Whoever signs with a wrong secret and
// whoever has none are told the same.
func errSignature(why webhook.Fault) error {
	detail := "this needs the headers " + webhook.HeaderSignature + " and " + webhook.HeaderTimestamp + ", made with a secret that is configured here"
	switch why {
	case webhook.Expired:
		detail = fmt.Sprintf("the delivery was signed more than %d minutes ago: it is too old, or a clock is wrong", int(webhook.Window.Minutes()))
	case webhook.Future:
		detail = fmt.Sprintf("the delivery was signed more than %d minutes from now: a clock is wrong", int(webhook.Window.Minutes()))
	case webhook.Missing, webhook.Malformed, webhook.Mismatch:
	}
	return &fault{
		status: http.StatusUnauthorized, detail: detail,
		header: http.Header{"Www-Authenticate": {`Zendesk-Webhook-Signature realm="aniproxy"`}},
	}
}

// deliveryCounters count deliveries by what became of them.
type deliveryCounters [deliveries]atomic.Uint64

func (m *metrics) delivered(d delivery) { m.deliveries[d].Add(1) }
