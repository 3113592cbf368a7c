// Package outbox holds what waits to be written to Zendesk: comments after a
// call, and new tickets.
//
// A [Record] is one of them, from the moment it is accepted to long after it
// was delivered. The file that holds the records is store's, the walk to
// Zendesk is internal/delivery's, and who may put one in is proxy's to say;
// here are the values that the three of them exchange, and the digest by which
// the same one again is known.
package outbox

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"
)

// Kind is what a record becomes at Zendesk.
type Kind string

// The kinds of records.
const (
	Comment Kind = "comment" // a comment on a ticket that is there
	Ticket  Kind = "ticket"  // a new ticket
)

// State is where a record stands, in the words of an answer.
type State string

// The states. A record goes from queued to delivered or failed, and back from
// failed to queued when somebody asks for it again.
const (
	Queued    State = "queued"
	Delivered State = "delivered"
	Failed    State = "failed"
)

// Record is one comment or new ticket on its way. It is plain data.
type Record struct {
	// ID is what the client knows it by, and the marker by which it is found
	// again at Zendesk.
	ID string
	// Seq is its place among all records, in the order of their acceptance.
	Seq    uint64
	Kind   Kind
	Client string
	// TicketID is the ticket that a comment is for; 0 for a new ticket.
	TicketID int64
	// UserID is the requester: of a new ticket, whose lane it is; of the ticket
	// that a comment is for, as the mirror had it when the comment came, so that
	// an erasure finds what is theirs after the mirror has forgotten the ticket.
	// 0 for a comment on a ticket that the mirror did not hold as unresolved.
	UserID        int64
	Subject       string // of a new ticket
	Body          string
	HTML          bool // Body is HTML, as an integration of Zendesk's may send it
	Public        bool
	InteractionID string // Webex's, "" where none was given

	State State
	// Attempts counts the requests that were to write it.
	Attempts int
	// Stamp is the ticket's updated_at, as Zendesk wrote it, that every attempt
	// since it was read is bound to; "" while no attempt has been made.
	Stamp string
	// InDoubt is true from before a writing request is sent until its outcome
	// is known: after a kill, a lost answer, or a restore it may be there.
	InDoubt bool
	// FollowUp is true once the ticket was found closed and the comment is on
	// its way as a follow-up ticket.
	FollowUp bool
	// FirstCreate is when the first request that creates a ticket was about to
	// be sent: Zendesk forgets an idempotency key two hours after it. Zero
	// before that.
	FirstCreate time.Time
	// NextTry is when the next attempt may be made; zero is now.
	NextTry time.Time
	// Error says why the last attempt, or the whole, came to nothing. It holds
	// no personal data.
	Error string
	// Landed is the ticket that has it: TicketID, a follow-up, or the new one.
	// 0 until it is delivered.
	Landed   int64
	Accepted time.Time
	Settled  time.Time // when it was delivered or failed; zero while queued
}

// Lane names what must be delivered in order: the comments of one ticket, the
// new tickets of one requester.
func (r *Record) Lane() (kind Kind, id int64) {
	if r.Kind == Ticket {
		return Ticket, r.UserID
	}
	return Comment, r.TicketID
}

// Digest is what the same record again has in common with the first.
type Digest [sha256.Size]byte

// DigestOf makes a digest of parts. No two lists of parts that differ have
// the same one.
func DigestOf(parts ...string) Digest {
	h := sha256.New()
	var size [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(size[:], uint64(len(p)))
		h.Write(size[:])
		h.Write([]byte(p))
	}
	return Digest(h.Sum(nil))
}

// Intake is a record to be accepted. Its ID, Kind and content are set; place,
// state and time are the outbox's to give.
type Intake struct {
	Record Record
	// Same is the digest under which a second intake is the first again, for
	// as long as Keep; a Keep of 0 makes every intake a new record.
	Same Digest
	Keep time.Duration
}

// Errors of an outbox.
var (
	// ErrUnknown: there is no such record.
	ErrUnknown = errors.New("no such record in the outbox")
	// ErrNotFailed: only what has failed can be tried again by hand.
	ErrNotFailed = errors.New("only a failed record can be retried")
)

// Told says what a client was told of.
type Told string

// What a client can be told of. An answer to a lookup, a list or a search
// tells of people and tickets; the searches of Zendesk's own API keep accounts
// of their own, since they hold for an hour only.
const (
	ToldTicket     Told = "ticket"
	ToldUser       Told = "user"
	SearchedTicket Told = "searched_ticket"
	SearchedUser   Told = "searched_user"
)

// For how long being told of something holds.
const (
	// ToldFor is for how long after an answer a client may write to what it
	// was told of: the longest call, the night after it, and a day for
	// whatever was down.
	ToldFor = 48 * time.Hour
	// SearchedFor is for how long a client of Zendesk's API may ask by id for
	// what its searches have returned.
	SearchedFor = time.Hour
	// KeepSame is for how long the same interaction, or the same idempotency
	// key, is the first one again.
	KeepSame = 7 * 24 * time.Hour
)
