package store

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/caller"
)

// transaction is one batch's work inside a bbolt transaction. Records are read
// once, changed in memory and written by flush in the order of their keys,
// which is what bbolt is fast at.
type transaction struct {
	tx     *bolt.Tx
	now    time.Time
	keep   time.Duration
	size   caller.Size
	change caller.Change
	// urgent batches tell of records that were only confirmed too: the age of
	// an answer hangs on it. For an export's the stream's watermark speaks.
	urgent bool
	// positions, where it is not nil, has where the walks stand after this batch.
	positions *caller.Batch

	users   map[int64]*userEdit
	tickets map[int64]*ticketEdit
	checked map[int64]int64
	unsure  map[caller.Object]struct{}
}

// fill is how full bbolt packs a page when it splits one. The default of half
// doubles the file; fuller pages suit keys that mostly ascend.
const fill = 0.9

func (s *Store) begin(tx *bolt.Tx) (*transaction, error) {
	size, err := readSize(tx)
	if err != nil {
		return nil, err
	}
	for _, name := range allBuckets {
		tx.Bucket(name).FillPercent = fill
	}
	t := &transaction{tx: tx, now: s.clock(), keep: s.keep, size: size}
	t.reset()
	return t, nil
}

func (t *transaction) reset() {
	t.users = map[int64]*userEdit{}
	t.tickets = map[int64]*ticketEdit{}
	t.checked = map[int64]int64{}
	t.unsure = map[caller.Object]struct{}{}
	t.positions = nil
}

func (t *transaction) bucket(name []byte) *bolt.Bucket { return t.tx.Bucket(name) }

func (t *transaction) apply(b *caller.Batch) error {
	t.urgent = b.Urgent
	for i := range b.Users {
		if err := t.applyUser(&b.Users[i], b.Reread); err != nil {
			return err
		}
	}
	for i := range b.Tickets {
		if err := t.applyTicket(&b.Tickets[i]); err != nil {
			return err
		}
	}
	for _, g := range b.Gone {
		if err := t.applyGone(g); err != nil {
			return err
		}
	}
	for i := range b.Requested {
		if err := t.applyRequested(&b.Requested[i]); err != nil {
			return err
		}
	}
	t.positions = b
	return nil
}

func (t *transaction) applyGone(g caller.Gone) error {
	if g.Stream == caller.Users {
		return t.userGone(g)
	}
	return t.ticketGone(g)
}

// count notes what became of one record.
func (t *transaction) count(v verdict) {
	switch v {
	case accepted:
		t.change.Accepted++
	case refreshed:
		t.change.Refreshed++
	case refused:
		t.change.Refused++
	}
}

// verdict is what a comparison of versions comes to.
type verdict int

const (
	refused   verdict = iota // older than what is held
	refreshed                // the same version again, read earlier than the one held
	accepted                 // newer, or the same read later
)

// judge compares an incoming record with the one held.
func judge(held *head, v caller.Version, asOf time.Time) verdict {
	if held == nil {
		return accepted
	}
	after := asOf.UnixNano() > held.Version.Sent
	order, same := v.Newer(held.Version)
	switch {
	case held.State == gone:
		// "Not found" has no version: only a later moment counts.
		if after {
			return accepted
		}
		return refused
	case held.State == unlisted && same:
		if after {
			return accepted
		}
		return refused
	case order > 0:
		return accepted
	case same:
		return refreshed
	default:
		return refused
	}
}

// doubt notes that an export's record of a living object was refused by a
// "not found", or by a reading that did not list it, though it is no older than
// what is known of the object. An export says of what moment it is true only to
// a minute, a search to an hour: the object may have been there after that
// answer, as it may be that an answer came just before a creation showed. Only
// asking by id can tell.
func (t *transaction) doubt(stream caller.Stream, id int64, held *head, v caller.Version) {
	if t.urgent || held.State != gone && held.State != unlisted {
		return // what somebody waits for was asked for by id; its order is known
	}
	if order, same := v.Newer(held.Version); order > 0 || same {
		t.unsure[caller.Object{Stream: stream, ID: id}] = struct{}{}
	}
}

// settle drops the doubts that the batch itself has answered, and tells of
// the others.
func (t *transaction) settle() {
	for o := range t.unsure {
		held := t.users[o.ID].held
		if o.Stream == caller.Tickets {
			held = t.tickets[o.ID].held
		}
		if held().State != here {
			t.change.Unsure = append(t.change.Unsure, o)
		}
	}
	slices.SortFunc(t.change.Unsure, func(a, b caller.Object) int {
		return cmp.Or(cmp.Compare(b.Stream, a.Stream), cmp.Compare(a.ID, b.ID))
	})
}

// see notes that a source agreed with the record at asOf, and tells whether
// that is news.
func (h *head) see(asOf time.Time) bool {
	ms := asOf.UnixMilli()
	if ms <= h.Seen {
		return false
	}
	h.Seen = ms
	return true
}

// leave turns a record into a stub.
func (h *head) leave(s state, now time.Time) {
	h.State = s
	h.Left = now.Unix()
}

// edit is one key of a bucket to be written; each key at most once in a batch,
// in the order of the keys.
type edit struct {
	key, value []byte // a nil value deletes
}

func write(b *bolt.Bucket, edits []edit) error {
	slices.SortFunc(edits, func(x, y edit) int { return bytes.Compare(x.key, y.key) })
	for _, e := range edits {
		var err error
		if e.value == nil {
			err = b.Delete(e.key)
		} else {
			err = b.Put(e.key, e.value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// differs tells whether a value is another than the one that is there; where
// was is false none can be. To look is far cheaper than to write the page again.
func (t *transaction) differs(bucket []byte, was bool, key, value []byte) bool {
	return !was || !bytes.Equal(t.bucket(bucket).Get(key), value)
}

// flush writes everything that the batch changed and says what it was. The
// positions come last, since a batch in doubt moves none of a walk.
func (t *transaction) flush() error {
	people := map[int64]struct{}{}
	numbers := map[string]struct{}{}
	if err := t.flushUsers(numbers, people); err != nil {
		return err
	}
	if err := t.flushTickets(people); err != nil {
		return err
	}
	checked := make([]edit, 0, len(t.checked))
	for id, ms := range t.checked {
		people[id] = struct{}{}
		e := encoder{}
		e.int(ms)
		checked = append(checked, edit{idKey(id), e.b})
	}
	if err := write(t.bucket(bucketChecked), checked); err != nil {
		return err
	}
	for n := range numbers {
		t.change.Numbers = append(t.change.Numbers, n)
	}
	for id := range people {
		t.change.People = append(t.change.People, id)
	}
	slices.Sort(t.change.Numbers)
	slices.Sort(t.change.People)
	t.settle()
	if t.positions != nil {
		if err := writePositions(t.tx, t.positions, len(t.change.Unsure) > 0); err != nil {
			return err
		}
	}
	t.reset()
	return nil
}
