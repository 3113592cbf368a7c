package store

import (
	"encoding/json"
	"fmt"
	"time"

	"aniproxy/internal/outbox"
)

// outboxFormat is the first byte of each record of the outbox.
const outboxFormat = 1

// heldRecord is a record as the outbox holds it.
type heldRecord struct {
	outbox.Record
	// sameUntil is when another may be accepted under the same digest, in Unix
	// nanoseconds; 0 where the record has none. Until then the record stays.
	sameUntil int64
}

// diskRecord is a record in the file: a format byte, then this as JSON. A
// comment is written and read a few times in its life, so that what can be read
// by eye after an accident is worth more than speed. The names here, unlike
// those of outbox.Record, never change; times are Unix nanoseconds, 0 for none;
// Seq is in the key.
type diskRecord struct {
	ID            string       `json:"id"`
	Kind          outbox.Kind  `json:"kind"`
	Client        string       `json:"client,omitempty"`
	TicketID      int64        `json:"ticket_id,omitempty"`
	UserID        int64        `json:"user_id,omitempty"`
	Subject       string       `json:"subject,omitempty"`
	Body          string       `json:"body,omitempty"`
	HTML          bool         `json:"html,omitempty"`
	Public        bool         `json:"public,omitempty"`
	InteractionID string       `json:"interaction_id,omitempty"`
	State         outbox.State `json:"state"`
	Attempts      int          `json:"attempts,omitempty"`
	Stamp         string       `json:"stamp,omitempty"`
	InDoubt       bool         `json:"in_doubt,omitempty"`
	FollowUp      bool         `json:"follow_up,omitempty"`
	FirstCreate   int64        `json:"first_create,omitempty"`
	NextTry       int64        `json:"next_try,omitempty"`
	Error         string       `json:"error,omitempty"`
	Landed        int64        `json:"landed,omitempty"`
	Accepted      int64        `json:"accepted"`
	Settled       int64        `json:"settled,omitempty"`
	SameUntil     int64        `json:"same_until,omitempty"`
}

func encodeOutboxRecord(h *heldRecord) ([]byte, error) {
	r := &h.Record
	b, err := json.Marshal(&diskRecord{
		ID: r.ID, Kind: r.Kind, Client: r.Client, TicketID: r.TicketID, UserID: r.UserID, Subject: r.Subject,
		Body: r.Body, HTML: r.HTML, Public: r.Public, InteractionID: r.InteractionID, State: r.State,
		Attempts: r.Attempts, Stamp: r.Stamp, InDoubt: r.InDoubt, FollowUp: r.FollowUp,
		FirstCreate: nanos(r.FirstCreate), NextTry: nanos(r.NextTry), Error: r.Error, Landed: r.Landed,
		Accepted: nanos(r.Accepted), Settled: nanos(r.Settled), SameUntil: h.sameUntil,
	})
	if err != nil {
		return nil, fmt.Errorf("encode a record: %w", err)
	}
	return append([]byte{outboxFormat}, b...), nil
}

// decodeOutboxRecord reads the record at a place. Its errors hold nothing of
// the record, which is somebody's text.
func decodeOutboxRecord(seq uint64, b []byte) (*heldRecord, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("%w: record %d of the outbox is empty", errRecord, seq)
	}
	if b[0] != outboxFormat {
		return nil, fmt.Errorf("%w: record %d of the outbox has format %d", errRecord, seq, b[0])
	}
	var d diskRecord
	if err := json.Unmarshal(b[1:], &d); err != nil {
		return nil, fmt.Errorf("%w: record %d of the outbox is damaged", errRecord, seq)
	}
	if d.ID == "" || stateByte(d.State) == 0 || kindByte(d.Kind) == 0 {
		return nil, fmt.Errorf("%w: record %d of the outbox lacks its id, kind or state", errRecord, seq)
	}
	return &heldRecord{sameUntil: d.SameUntil, Record: outbox.Record{
		ID: d.ID, Seq: seq, Kind: d.Kind, Client: d.Client, TicketID: d.TicketID, UserID: d.UserID,
		Subject: d.Subject, Body: d.Body, HTML: d.HTML, Public: d.Public, InteractionID: d.InteractionID,
		State: d.State, Attempts: d.Attempts, Stamp: d.Stamp, InDoubt: d.InDoubt, FollowUp: d.FollowUp,
		FirstCreate: moment(d.FirstCreate), NextTry: moment(d.NextTry), Error: d.Error, Landed: d.Landed,
		Accepted: moment(d.Accepted), Settled: moment(d.Settled),
	}}, nil
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func moment(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos).UTC()
}

// The first byte of the keys that stand in order of state.
const (
	stateDelivered byte = 'd'
	stateFailed    byte = 'f'
	stateQueued    byte = 'q'
)

// stateByte is 0 for a state that nobody knows.
func stateByte(s outbox.State) byte {
	switch s {
	case outbox.Queued:
		return stateQueued
	case outbox.Delivered:
		return stateDelivered
	case outbox.Failed:
		return stateFailed
	default:
		return 0
	}
}

// kindByte is 0 for a kind that nobody knows.
func kindByte(k outbox.Kind) byte {
	switch k {
	case outbox.Comment:
		return 'c'
	case outbox.Ticket:
		return 't'
	default:
		return 0
	}
}
