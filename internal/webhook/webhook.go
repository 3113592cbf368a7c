// Package webhook reads what Zendesk's webhooks bring: whether a delivery is
// Zendesk's, whether it has been taken before, and which people and tickets it
// names.
//
// The story in one breath: a [Verifier] holds the delivery's signature against
// the account's secrets, over the timestamp and the raw body; [Parse] reads
// the ids out of the body; [Repeats] tells a delivery that was taken from one
// that is new. What is named has changed somehow and is to be asked for:
// nothing else of a body is ever believed, since deliveries are lost, repeated
// and late.
//
// There is no I/O here and no clock of its own.
package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"
)

// The headers of a delivery, as net/http writes them.
const (
	HeaderTimestamp = "X-Zendesk-Webhook-Signature-Timestamp"
	HeaderSignature = "X-Zendesk-Webhook-Signature"
)

// Window is how far a delivery's timestamp may be from our clock, either way:
// what was overheard is worth nothing to whoever sends it again later.
const Window = 5 * time.Minute

// Fault is what is wrong with a delivery's signature.
type Fault string

// The faults. Only whoever knows a secret can come to one of the last two, so
// nobody else learns anything of our clock.
const (
	Missing   Fault = "missing"   // no signature, or no timestamp
	Malformed Fault = "malformed" // one of them is not of their form
	Mismatch  Fault = "mismatch"  // signed with another secret, or changed since
	Expired   Fault = "expired"   // well signed, and too old
	Future    Fault = "future"    // well signed, and of a time to come
)

// SignatureError refuses a delivery.
type SignatureError struct {
	Fault Fault
}

func (e *SignatureError) Error() string { return "the webhook's signature is " + string(e.Fault) }

// ErrSecret refuses a Verifier that anybody could sign for.
var ErrSecret = errors.New("webhook: a secret is empty, or there is none")

// Verifier tells deliveries that Zendesk has signed. It does not change once
// made: safe for concurrent use.
type Verifier struct {
	secrets [][]byte
	clock   func() time.Time
}

// NewVerifier makes a Verifier of the signing secrets, one a webhook: Zendesk
// has it that events and triggers are told by two. The error is [ErrSecret].
func NewVerifier(secrets []string, clock func() time.Time) (*Verifier, error) {
	v := &Verifier{clock: clock}
	for _, secret := range secrets {
		if secret == "" {
			return nil, ErrSecret
		}
		v.secrets = append(v.secrets, []byte(secret))
	}
	if len(v.secrets) == 0 {
		return nil, ErrSecret
	}
	return v, nil
}

// signatureLength is that of 32 bytes in base64.
const signatureLength = 44

// Verify holds a delivery against the secrets. The signature is
// base64(HMAC-SHA256(secret, timestamp + body)), the timestamp as it stands in
// its header and the body as it came. All secrets are tried whatever the
// outcome, and compared in constant time: how long it takes tells neither how
// much of a signature was right nor whose it is. The error is a
// [*SignatureError].
func (v *Verifier) Verify(timestamp, signature string, body []byte) error {
	if timestamp == "" || signature == "" {
		return &SignatureError{Missing}
	}
	at, ok := moment(timestamp)
	if !ok || !spelled(signature) {
		return &SignatureError{Malformed}
	}
	given, signed := []byte(signature), false
	for _, secret := range v.secrets {
		// The text is compared, not what it decodes to: there is one spelling
		// of a signature, and so one delivery.
		if hmac.Equal(given, sign(secret, timestamp, body)) {
			signed = true
		}
	}
	if !signed {
		return &SignatureError{Mismatch}
	}
	switch off := v.clock().Sub(at); {
	case off > Window:
		return &SignatureError{Expired}
	case off < -Window:
		return &SignatureError{Future}
	default:
		return nil
	}
}

// Plausible tells whether the headers of a delivery have the form of what
// Verify could accept: of what has not, the body need not be read. The error is
// a [*SignatureError].
func Plausible(timestamp, signature string) error {
	_, ok := moment(timestamp)
	switch {
	case timestamp == "" || signature == "":
		return &SignatureError{Missing}
	case !ok || !spelled(signature):
		return &SignatureError{Malformed}
	default:
		return nil
	}
}

// spelled tells the form of a signature.
func spelled(signature string) bool {
	if len(signature) != signatureLength {
		return false
	}
	_, err := base64.StdEncoding.Strict().DecodeString(signature)
	return err == nil
}

func sign(secret []byte, timestamp string, body []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(timestamp))
	mac.Write(body)
	return base64.StdEncoding.AppendEncode(nil, mac.Sum(nil))
}

// longestTimestamp bounds what is parsed as one: nanoseconds and an offset
// make 35 characters.
const longestTimestamp = 40

// moment reads an ISO 8601 time with or without a fraction of a second, in UTC
// ("Z") or with an offset, which has a colon or none.
func moment(text string) (at time.Time, ok bool) {
	if len(text) > longestTimestamp {
		return time.Time{}, false
	}
	for _, layout := range [...]string{time.RFC3339, "2006-01-02T15:04:05Z0700"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}
