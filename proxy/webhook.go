package proxy

import (
	"errors"
	"fmt"
	"net/http"
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
	verifier *webhook.Verifier
	repeats  *webhook.Repeats
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
	return &hooks{verifier: v, repeats: webhook.NewRepeats(o.Clock)}, nil
}

// webhook takes in a delivery of Zendesk's. Its signature is its key, so it
// has neither a client nor a rate; what a flood of strangers can cost is a
// digest of at most a body's limit each, some 50 µs a secret.
//
// Whatever is well signed is answered 200, also what names nothing and what
// cannot be read: Zendesk would send it again, it would be no better then, and
// where 70 of 100 deliveries fail its breaker opens and withholds the good
// ones too. The counts tell of it.
func (s *Server) webhook(c *call) error {
	r := c.Request()
	timestamp, signature := r.Header.Get(webhook.HeaderTimestamp), r.Header.Get(webhook.HeaderSignature)
	if timestamp == "" || signature == "" { // before anything is read of the body
		s.metrics.delivered(refused)
		return errSignature(webhook.Missing)
	}
	buffer := s.buffer()
	defer s.release(buffer)
	body, err := readBody(r, *buffer, maxDelivery)
	if err != nil {
		s.metrics.delivered(refused)
		return err
	}
	*buffer = body
	if err := s.hooks.verifier.Verify(timestamp, signature, body); err != nil {
		s.metrics.delivered(refused)
		var wrong *webhook.SignatureError
		if errors.As(err, &wrong) {
			return errSignature(wrong.Fault)
		}
		return err
	}
	outcome := s.hooks.take(s.o.Notices, signature, body)
	s.metrics.delivered(outcome)
	c.write(http.StatusOK, jsonType, []byte(`{"status":"`+deliveryNames[outcome]+`"}`))
	return nil
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
