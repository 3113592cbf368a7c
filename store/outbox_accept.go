package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"aniproxy/internal/outbox"
)

// idMost bounds a record's id, which is a key.
const idMost = 256

var (
	errIntake  = errors.New("a record to be accepted lacks an id or a kind")
	errIDTaken = errors.New("the outbox holds another record with this id")
)

// acceptance is what an intake comes to. It is apart from Accept's own
// results because the writer may still write to it when Accept has left with
// its context.
type acceptance struct {
	record outbox.Record
	first  bool
}

// Accept takes a record in, and returns once it is on disk (fsynced), as the
// outbox holds it. Where a record was accepted under the same digest less than
// its Keep ago, nothing is written: that record comes back as it is now, and
// first is false. What arrives at the same time shares a transaction.
//
// It fails with [*OutboxFullError] where too many wait, and with ctx's error
// where ctx ends first: the record may be on disk then, or get there.
func (o *Outbox) Accept(ctx context.Context, in outbox.Intake) (r outbox.Record, first bool, err error) {
	id := in.Record.ID
	if id == "" || len(id) > idMost || !utf8.ValidString(id) || kindByte(in.Record.Kind) == 0 {
		return outbox.Record{}, false, errIntake
	}
	got := new(acceptance)
	err = o.submit(ctx, o.urgent, func(t *outboxTx) error { return t.accept(&in, o.maxQueued, got) })
	if err != nil {
		return outbox.Record{}, false, err
	}
	return got.record, got.first, nil
}

// Same finds the record that Accept would answer an intake with because it is
// the same again; false where the intake would be a new record. It asks the
// writer, since a reader can see what is not fsynced yet.
func (o *Outbox) Same(in outbox.Intake) (r outbox.Record, ok bool, err error) {
	if in.Keep <= 0 {
		return outbox.Record{}, false, nil
	}
	got := new(acceptance)
	err = o.submit(context.Background(), o.urgent, func(t *outboxTx) error {
		held, err := t.firstOf(&in)
		if held != nil {
			*got = acceptance{record: held.Record, first: true}
		}
		return err
	})
	return got.record, got.first, err
}

func (t *outboxTx) accept(in *outbox.Intake, most int, got *acceptance) error {
	if in.Keep > 0 {
		held, err := t.firstOf(in)
		if err != nil {
			return err
		}
		if held != nil {
			*got = acceptance{record: held.Record}
			return nil
		}
	}
	if t.counts.queued >= most {
		return t.refuse(&OutboxFullError{Max: most})
	}
	if t.ids.Get([]byte(in.Record.ID)) != nil {
		return t.refuse(errIDTaken)
	}
	seq, err := t.records.NextSequence()
	if err != nil {
		return fmt.Errorf("place of a record: %w", err)
	}
	held := &heldRecord{Record: fresh(in.Record, seq, t.now)}
	if in.Keep > 0 {
		held.sameUntil = t.now.Add(in.Keep).UnixNano()
		if err := t.remember(in.Same, held.sameUntil, seq); err != nil {
			return err
		}
	}
	err = errors.Join(
		t.write(held),
		t.put(t.ids, []byte(held.ID), seqKey(seq)),
		t.enter(&held.Record),
	)
	*got = acceptance{record: held.Record, first: true}
	return err
}

// fresh is a record as it is accepted: its content, and nothing of a past.
func fresh(r outbox.Record, seq uint64, now time.Time) outbox.Record {
	return outbox.Record{
		ID: r.ID, Seq: seq, Kind: r.Kind, Client: r.Client, TicketID: r.TicketID, UserID: r.UserID,
		Subject: r.Subject, Body: r.Body, HTML: r.HTML, Public: r.Public, InteractionID: r.InteractionID,
		State: outbox.Queued, Accepted: now,
	}
}

// sameValue is until, in nanoseconds (8) | seq (8); sameDueKey is until (8) |
// digest.
func sameValue(until int64, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(seqKey(uint64(until)), seq)
}

func sameDueKey(until int64, same []byte) []byte {
	return append(seqKey(uint64(until)), same...)
}

// firstOf is the record that was accepted under an intake's digest, nil where
// there is none or its time is over. The record is there as long as its digest
// is, see Prune, unless it was erased.
func (t *outboxTx) firstOf(in *outbox.Intake) (*heldRecord, error) {
	v := t.same.Get(in.Same[:])
	if v == nil || int64(keySeq(v)) <= t.now.UnixNano() {
		return nil, nil //nolint:nilnil // there is none, and nothing went wrong
	}
	if keySeq(v[8:]) == erasedSeq {
		return erasedFirst(in), nil
	}
	return bySeq(t.records, keySeq(v[8:]))
}

// remember makes the record at a place the first under its digest, in the place
// of one whose time is over.
func (t *outboxTx) remember(same outbox.Digest, until int64, seq uint64) error {
	if v := t.same.Get(same[:]); v != nil {
		if err := t.del(t.sameDue, sameDueKey(int64(keySeq(v)), same[:])); err != nil {
			return err
		}
	}
	return errors.Join(
		t.put(t.same, same[:], sameValue(until, seq)),
		t.put(t.sameDue, sameDueKey(until, same[:]), nil),
	)
}
