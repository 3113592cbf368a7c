package webhook

import (
	"crypto/sha256"
	"sync"
	"time"
)

const (
	// rememberFor is how long a delivery is known again. A signature is good
	// from Window before its timestamp to Window after it.
	rememberFor = 2 * Window
	// mostRemembered bounds what is remembered, at some 100 bytes each. A
	// delivery makes two entries, so that is eight thousand deliveries in ten
	// minutes; of more the oldest are forgotten, and one that comes again then
	// is asked for once more, which does no harm.
	mostRemembered = 16 << 10
)

// Repeats knows the deliveries that were taken. Safe for concurrent use.
type Repeats struct {
	clock func() time.Time
	most  int

	mu   sync.Mutex
	held map[mark]entry
	ring []mark // in the order in which they came; next is the oldest once it is full
	next int
}

// mark is what a delivery is known again by: a digest, so that what somebody
// sends takes no more room than any other.
type mark [sha256.Size]byte

type entry struct {
	at   time.Time
	slot int // in the ring
}

// NewRepeats knows nothing yet.
func NewRepeats(clock func() time.Time) *Repeats {
	return &Repeats{clock: clock, most: mostRemembered, held: map[mark]entry{}}
}

// marks are a delivery's signature and, where it has one, its event's own id:
// Zendesk may send the same event again with another timestamp, or by another
// webhook.
//
// What a trigger sends has no id. Two changes of one ticket within a second
// are then one delivery by their looks, and the second is a repeat: the export
// brings it, and the webhook of events does so sooner.
func marks(signature, eventID string) []mark {
	all := []mark{sha256.Sum256([]byte("signature " + signature))}
	if eventID != "" {
		all = append(all, sha256.Sum256([]byte("event "+eventID)))
	}
	return all
}

// Take notes a delivery and tells whether it is the first of its kind. Of
// several at once one is the first.
func (r *Repeats) Take(signature, eventID string) (first bool) {
	now := r.clock()
	r.mu.Lock()
	defer r.mu.Unlock()
	first = true
	all := marks(signature, eventID)
	for _, m := range all {
		if e, ok := r.held[m]; ok && now.Sub(e.at) <= rememberFor {
			first = false
		}
	}
	if !first {
		return false
	}
	for _, m := range all {
		r.keep(m, now)
	}
	return true
}

// Forget takes back what Take has noted: nothing came of the delivery, and
// when it is sent again it shall have another chance.
func (r *Repeats) Forget(signature, eventID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range marks(signature, eventID) {
		delete(r.held, m) // its place in the ring is passed over in turn
	}
}

func (r *Repeats) keep(m mark, now time.Time) {
	slot := r.next
	if len(r.ring) < r.most {
		slot = len(r.ring)
		r.ring = append(r.ring, m)
	} else {
		oldest := r.ring[slot]
		if e, ok := r.held[oldest]; ok && e.slot == slot { // and not noted anew since
			delete(r.held, oldest)
		}
		r.ring[slot] = m
		r.next = (slot + 1) % r.most
	}
	r.held[m] = entry{at: now, slot: slot}
}
