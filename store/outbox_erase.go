package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/caller"
	"aniproxy/internal/outbox"
)

// eraseScan is how many records one read transaction looks at: some 5 ms.
const eraseScan = 500

// eraseRecords is how many records one transaction takes out, with their
// indexes: some 10 ms.
const eraseRecords = 200

// whose is what an erasure looks for: people, and the tickets that were theirs.
type whose struct {
	users, tickets map[int64]struct{}
}

func whoseAre(people ...caller.Erasure) *whose {
	w := &whose{users: map[int64]struct{}{}, tickets: map[int64]struct{}{}}
	for i := range people {
		w.users[people[i].UserID] = struct{}{}
		for _, id := range people[i].Tickets {
			w.tickets[id] = struct{}{}
		}
	}
	return w
}

func (w *whose) user(id int64) bool {
	_, ok := w.users[id]
	return ok
}

func (w *whose) ticket(id int64) bool {
	_, ok := w.tickets[id]
	return ok
}

// record tells whether a record is for the person or one of the tickets, or has
// become one of them.
func (w *whose) record(r *outbox.Record) bool {
	return w.user(r.UserID) || w.ticket(r.TicketID) || w.ticket(r.Landed)
}

// told tells whether a client was told of the person or one of the tickets.
func (w *whose) told(kind byte, id int64) bool {
	if kind == toldUser || kind == searchedUser {
		return w.user(id)
	}
	return w.ticket(id)
}

// Erase takes out, delivered or not, every record that is for one of the tickets
// or for the person, and everything that was told of them, and returns how many
// records went. It may be called again, and goes on where it stopped.
//
// A digest under which such a record was accepted stays until its time is over,
// and leads to nothing: the same intake again is not written to Zendesk a second
// time, but answered as one that failed because it was erased. A digest has no
// text in it, and no id.
//
// A courier that has such a record in hand finds it unknown as soon as it wants
// to write down a step, which it does before it sends anything. What it has
// sent by then may reach Zendesk.
//
// A record that cannot be read may be the person's: it fails the whole, after
// everything else was done. What was deleted can be read in the file's free
// pages until [Outbox.Overwrite].
func (o *Outbox) Erase(ctx context.Context, userID int64, ticketIDs []int64) (records int, err error) {
	return o.erase(ctx, whoseAre(caller.Erasure{UserID: userID, Tickets: ticketIDs}))
}

// EraseAgain is Erase for many people at once, whom the outbox should not hold
// any more: it may be a backup from before.
func (o *Outbox) EraseAgain(ctx context.Context, people []caller.Erasure) (records int, err error) {
	return o.erase(ctx, whoseAre(people...))
}

func (o *Outbox) erase(ctx context.Context, w *whose) (records int, err error) {
	// What was told comes first: then nobody may write to the tickets any more.
	if err := o.eraseTold(ctx, w); err != nil {
		return 0, err
	}
	var damaged error
	for from := seqKey(0); from != nil; {
		var theirs []uint64
		var bad error
		if theirs, from, bad, err = o.theirs(w, from); err != nil {
			return records, closed(err)
		}
		damaged = errors.Join(damaged, bad)
		for chunk := range slices.Chunk(theirs, eraseRecords) {
			n, err := o.eraseRecords(ctx, chunk)
			records += n
			if err != nil {
				return records, err
			}
		}
		if err := ctx.Err(); err != nil {
			return records, err
		}
	}
	return records, damaged
}

// Ownerless counts the comments of which the outbox does not know whose ticket
// they are for: the mirror did not hold it as unresolved when they came, or they
// are older than the note of it. An erasure finds them by the ticket only, for
// as long as the mirror remembers that.
func (o *Outbox) Ownerless(ctx context.Context) (n int, err error) {
	for from := seqKey(0); from != nil; {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		err := o.db.View(func(tx *bolt.Tx) error {
			c := tx.Bucket(outboxRecords).Cursor()
			k, v := c.Seek(from)
			for looked := 0; k != nil && looked < eraseScan; k, v = c.Next() {
				looked++
				held, err := decodeOutboxRecord(keySeq(k), v)
				if err != nil {
					return err
				}
				if held.Kind == outbox.Comment && held.UserID == 0 {
					n++
				}
			}
			from = bytes.Clone(k)
			return nil
		})
		if err != nil {
			return 0, closed(err)
		}
	}
	return n, nil
}

// theirs are the places of the person's records among some from a key on, and
// the key to go on from, nil at the end.
func (o *Outbox) theirs(w *whose, from []byte) (seqs []uint64, next []byte, damaged, err error) {
	err = o.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(outboxRecords).Cursor()
		k, v := c.Seek(from)
		for looked := 0; k != nil && looked < eraseScan; k, v = c.Next() {
			looked++
			held, err := decodeOutboxRecord(keySeq(k), v)
			if err != nil {
				damaged = errors.Join(damaged, err)
				continue
			}
			if w.record(&held.Record) {
				seqs = append(seqs, held.Seq)
			}
		}
		next = bytes.Clone(k)
		return nil
	})
	return seqs, next, damaged, err
}

func (o *Outbox) eraseRecords(ctx context.Context, seqs []uint64) (int, error) {
	n := new(int) // the writer's, where ctx ends first
	err := o.submit(ctx, o.slow, func(t *outboxTx) error {
		*n = 0
		for _, seq := range seqs {
			if t.records.Get(seqKey(seq)) == nil {
				continue // forgotten meanwhile
			}
			held, err := bySeq(t.records, seq)
			if err != nil {
				return err
			}
			if err := errors.Join(t.forget(&held.Record), t.forgetFirst(held)); err != nil {
				return err
			}
			*n++
		}
		return o.toOverwrite(t)
	})
	if err != nil {
		return 0, err
	}
	return *n, nil
}

// forgetFirst has a record's digest lead to nothing.
func (t *outboxTx) forgetFirst(held *heldRecord) error {
	if held.sameUntil == 0 {
		return nil
	}
	until := seqKey(uint64(held.sameUntil))
	var digests [][]byte
	c := t.sameDue.Cursor()
	for k, _ := c.Seek(until); bytes.HasPrefix(k, until); k, _ = c.Next() {
		if v := t.same.Get(k[len(until):]); v != nil && keySeq(v[8:]) == held.Seq {
			digests = append(digests, bytes.Clone(k[len(until):]))
		}
	}
	for _, d := range digests {
		if err := t.put(t.same, d, sameValue(held.sameUntil, erasedSeq)); err != nil {
			return err
		}
	}
	return nil
}

// erasedSeq is the place of the first under a digest where that was erased: no
// record's, since those are numbered from 1.
const erasedSeq = 0

// errorErased is what the answer to an intake says whose first was erased.
const errorErased = "erased"

// erasedFirst stands for a record that was erased: the intake's own, and failed.
// It is on no disk.
func erasedFirst(in *outbox.Intake) *heldRecord {
	r := in.Record
	r.State, r.Error = outbox.Failed, errorErased
	return &heldRecord{Record: r}
}

// toOverwrite raises the mark, where the transaction has deleted something.
func (o *Outbox) toOverwrite(t *outboxTx) error {
	if !t.wrote {
		return nil
	}
	t.records.Tx().OnCommit(func() { o.over.freed.Add(1) })
	return raiseMark(t.records.Tx().Bucket(outboxMeta))
}

// eraseTold forgets what was told of a person and their tickets, in memory and
// on disk. What is on its way to the disk arrives before that.
func (o *Outbox) eraseTold(ctx context.Context, w *whose) error {
	l := &o.ledger
	l.flushing.Lock()
	defer l.flushing.Unlock()
	l.forget(w)
	var at toldPlace
	for {
		keys, next, err := o.toldOf(w, at)
		if err != nil {
			return closed(err)
		}
		if len(keys) > 0 {
			if err := o.submit(ctx, o.slow, func(t *outboxTx) error { return o.forgetTold(t, keys) }); err != nil {
				return err
			}
		}
		if next.period == nil {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		at = next
	}
}

// forget drops what memory has of a person and their tickets.
func (l *ledger) forget(w *whose) {
	theirs := func(t telling) bool { return w.told(t.kind(), t.id) }
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		for k := range s.set {
			if w.told(k.kind(), k.id) {
				delete(s.set, k)
			}
		}
		s.pending = slices.DeleteFunc(s.pending, theirs)
		s.flying = slices.DeleteFunc(s.flying, theirs)
		s.mu.Unlock()
	}
}

// toldPlace is a key of a half hour's bucket.
type toldPlace struct{ period, key []byte }

// toldScan is how many keys one read transaction looks at, some 3 ms, and
// toldMost how many of them it may find: those are deleted in one transaction.
const (
	toldScan = 20_000
	toldMost = 1000
)

// toldOf are keys that tell of the person and their tickets, from a place on, and
// where to go on; no period is the end.
func (o *Outbox) toldOf(w *whose, from toldPlace) (found []toldPlace, next toldPlace, err error) {
	err = o.db.View(func(tx *bolt.Tx) error {
		periods := tx.Bucket(outboxTold)
		looked := 0
		c := periods.Cursor()
		for p, _ := c.Seek(from.period); p != nil; p, _ = c.Next() {
			keys := periods.Bucket(p).Cursor()
			k, _ := keys.First()
			if bytes.Equal(p, from.period) {
				k, _ = keys.Seek(from.key)
			}
			for ; k != nil; k, _ = keys.Next() {
				if looked++; looked > toldScan || len(found) == toldMost {
					next = toldPlace{bytes.Clone(p), bytes.Clone(k)}
					return nil
				}
				if kind, id, ok := toldOfKey(k); ok && w.told(kind, id) {
					found = append(found, toldPlace{bytes.Clone(p), bytes.Clone(k)})
				}
			}
		}
		return nil
	})
	return found, next, err
}

// toldOfKey takes a key apart that appendToldKey has made.
func toldOfKey(k []byte) (kind byte, id int64, ok bool) {
	if len(k) < 9 {
		return 0, 0, false
	}
	end := k[len(k)-9:]
	return end[0], toldSecond(end[1:]), true
}

func (o *Outbox) forgetTold(t *outboxTx, keys []toldPlace) error {
	for _, k := range keys {
		b := t.told.Bucket(k.period)
		if b == nil {
			continue // nobody asks for that half hour any more
		}
		if err := t.del(b, k.key); err != nil {
			return fmt.Errorf("what was told: %w", err)
		}
	}
	return o.toOverwrite(t)
}

// Overwrite is [Store.Overwrite] for the outbox's file.
func (o *Outbox) Overwrite(ctx context.Context) (pages int, err error) {
	pages, err = o.over.walk(ctx)
	return pages, closed(err)
}

// Freed is [Store.Freed] for the outbox's file.
func (o *Outbox) Freed() uint64 { return o.over.freed.Load() }

// OverwriteDue is [Store.OverwriteDue] for the outbox's file.
func (o *Outbox) OverwriteDue() bool { return o.over.due() }

// overwriting is the outbox's.
func (o *Outbox) overwriting() *overwriter {
	return &overwriter{
		file: o.db, meta: outboxMeta, patience: patience,
		between: func(ctx context.Context, work func() error) error {
			var failed error
			err := o.submit(ctx, o.slow, func(t *outboxTx) error {
				t.records.Tx().OnCommit(func() { failed = work() })
				t.wrote = true // there is something to commit: nothing, so that the list of free pages is
				return nil
			})
			if err != nil {
				return err // failed may be the writer's still
			}
			return failed
		},
		edit: func(ctx context.Context, work func(*bolt.Tx) error) error {
			return o.submit(ctx, o.slow, func(t *outboxTx) error {
				t.wrote = true
				return work(t.records.Tx())
			})
		},
	}
}
