package store

import (
	"bytes"
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/outbox"
)

func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

func keySeq(k []byte) uint64 { return binary.BigEndian.Uint64(k) }

// stateKey is state (1) | seq (8).
func stateKey(state byte, seq uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{state}, seq)
}

// settledKey is state (1) | when, in seconds (8) | seq (8).
func settledKey(r *outbox.Record) []byte {
	k := binary.BigEndian.AppendUint64([]byte{stateByte(r.State)}, uint64(r.Settled.Unix()))
	return binary.BigEndian.AppendUint64(k, r.Seq)
}

// laneKey is kind (1) | ticket or requester (8).
func laneKey(r *outbox.Record) []byte {
	kind, id := r.Lane()
	return binary.BigEndian.AppendUint64([]byte{kindByte(kind)}, uint64(id))
}

const laneSize = 9

// enter puts a record into the indexes of its state.
func (t *outboxTx) enter(r *outbox.Record) error {
	key := stateKey(stateByte(r.State), r.Seq)
	if r.State == outbox.Queued {
		t.counts.queued++
		t.wake = true
		if err := t.put(t.byState, key, binary.BigEndian.AppendUint64(nil, uint64(nanos(r.Accepted)))); err != nil {
			return err
		}
		return t.enterLane(laneKey(r), r.Seq)
	}
	if r.State == outbox.Failed {
		t.counts.failed++
	}
	if err := t.put(t.byState, key, nil); err != nil {
		return err
	}
	return t.put(t.settled, settledKey(r), nil)
}

// leave takes a record out of the indexes of its state.
func (t *outboxTx) leave(r *outbox.Record) error {
	if err := t.del(t.byState, stateKey(stateByte(r.State), r.Seq)); err != nil {
		return err
	}
	if r.State == outbox.Queued {
		t.counts.queued--
		return t.leaveLane(laneKey(r), r.Seq)
	}
	if r.State == outbox.Failed {
		t.counts.failed--
	}
	return t.del(t.settled, settledKey(r))
}

// enterLane puts a place into a lane, and makes it the lane's head where none
// before it is queued.
func (t *outboxTx) enterLane(lane []byte, seq uint64) error {
	if head, ok := t.headOf(lane); ok {
		if head < seq {
			return t.put(t.lanes, append(lane, seqKey(seq)...), nil)
		}
		if err := t.del(t.heads, seqKey(head)); err != nil {
			return err
		}
	}
	if err := t.put(t.heads, seqKey(seq), bytes.Clone(lane)); err != nil {
		return err
	}
	return t.put(t.lanes, append(lane, seqKey(seq)...), nil)
}

// leaveLane takes a place out of a lane; where it was the head, the next one
// is it now.
func (t *outboxTx) leaveLane(lane []byte, seq uint64) error {
	if err := t.del(t.lanes, append(bytes.Clone(lane), seqKey(seq)...)); err != nil {
		return err
	}
	if t.heads.Get(seqKey(seq)) == nil {
		return nil
	}
	if err := t.del(t.heads, seqKey(seq)); err != nil {
		return err
	}
	if next, ok := t.headOf(lane); ok {
		return t.put(t.heads, seqKey(next), lane)
	}
	return nil
}

// headOf is the first place that is queued in a lane.
func (t *outboxTx) headOf(lane []byte) (seq uint64, ok bool) {
	k, _ := t.lanes.Cursor().Seek(lane)
	if !bytes.HasPrefix(k, lane) {
		return 0, false
	}
	return keySeq(k[laneSize:]), true
}

// oldestQueued is when the first of those queued was accepted, in Unix
// nanoseconds; 0 where none is.
func oldestQueued(byState *bolt.Bucket) int64 {
	k, v := byState.Cursor().Seek([]byte{stateQueued})
	if k == nil || k[0] != stateQueued {
		return 0
	}
	return int64(binary.BigEndian.Uint64(v))
}

// byID reads a record by its id; nil where there is none.
func byID(records, ids *bolt.Bucket, id string) (*heldRecord, error) {
	if id == "" {
		return nil, nil //nolint:nilnil // nothing is there, and nothing went wrong
	}
	k := ids.Get([]byte(id))
	if k == nil {
		return nil, nil //nolint:nilnil // as above
	}
	return bySeq(records, keySeq(k))
}

// bySeq reads the record at a place that an index names.
func bySeq(records *bolt.Bucket, seq uint64) (*heldRecord, error) {
	v := records.Get(seqKey(seq))
	if v == nil {
		return nil, fmt.Errorf("%w: record %d of the outbox is missing", errRecord, seq)
	}
	return decodeOutboxRecord(seq, v)
}

// write writes a record that is in its indexes.
func (t *outboxTx) write(h *heldRecord) error {
	v, err := encodeOutboxRecord(h)
	if err != nil {
		return err
	}
	return t.put(t.records, seqKey(h.Seq), v)
}
