package store

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/caller"
)

// eraseMost bounds how many tickets one transaction of an erasure takes out. It
// is less where the pace has learnt that a record costs more here.
const eraseMost = 500

// scanStep is how many tickets one read transaction looks at in search of
// those of a person: about a millisecond, and no more of what is freed
// meanwhile has to wait.
const scanStep = 5000

// Erase takes a person out of the mirror and keeps them out: a tombstone, which
// is their id and the time, stands against every version of them and of their
// tickets, whatever brings it, until [Store.Lift]. Whom the mirror does not know
// gets one too. Once it has returned, no lookup sees them any more and the
// tombstone is on disk, in the file and in the journal beside it.
//
// Of the person nothing is left but the tombstone. Of their tickets stubs are
// left for KeepResolved, as of any that leaves: ids, versions and times. They
// stand against a late page from when a ticket was somebody else's, and they
// name the tickets again where Erase is asked again, so that whoever erases
// further, in the outbox, can begin anew after a fault.
//
// The tombstone and the person go in one transaction with the first few hundred
// tickets, and further tickets in further ones, so that nobody else waits for
// long. A kill in between leaves the tombstone, and the next Open takes out the
// rest before anybody reads; after a fault, asking again does. What was deleted
// can still be read in the file's free pages until [Store.Overwrite].
//
// It fails with ctx's error where that ends first; what was begun may be
// finished all the same.
func (s *Store) Erase(ctx context.Context, id int64) (caller.Erasure, error) {
	if id <= 0 {
		return caller.Erasure{}, fmt.Errorf("not a user's id: %d", id)
	}
	s.tombstones.mu.Lock()
	defer s.tombstones.mu.Unlock()
	e := caller.Erasure{UserID: id}
	at, err := s.intend(id)
	if err != nil {
		return e, err
	}
	e.At = unixTime(at)
	for more := true; more; {
		step, err := s.eraseStep(ctx, id, at)
		if err != nil {
			return e, err
		}
		e.Users += step.users
		e.Numbers = append(e.Numbers, step.numbers...)
		e.Tickets = append(e.Tickets, step.tickets...)
		more = step.more
	}
	stubs, err := s.stubsOf(ctx, map[int64]struct{}{id: {}})
	if err != nil {
		return e, err
	}
	e.Tickets = append(e.Tickets, stubs[id]...)
	slices.Sort(e.Tickets)
	e.Tickets = slices.Compact(e.Tickets)
	return e, nil
}

// intend writes an erasure into the journal, and gives its time: that of the
// first, where there was one before. From here on it holds.
func (s *Store) intend(id int64) (at int64, err error) {
	g := &s.tombstones
	if at, ok := g.journal.erased(id); ok {
		return at, nil
	}
	e := journalEntry{id: id, at: s.clock().Unix()}
	if said, ok := g.journal.last[id]; ok {
		e.at = max(e.at, said.at+1) // after the lift, in whatever journal that is read
	}
	if err := g.journal.add(e); err != nil {
		return 0, err
	}
	g.share()
	return e.at, nil
}

// eraseStep is one transaction of an erasure, and what it took out.
type eraseStep struct {
	id, at  int64
	limit   int // how many tickets it may take
	users   int
	numbers []string
	tickets []int64
	freed   bool // there is something to overwrite
	more    bool // tickets are left
}

// eraseStep runs one step in the writer. The step it gives back is the
// writer's own until it has answered.
func (s *Store) eraseStep(ctx context.Context, id, at int64) (eraseStep, error) {
	limit := min(eraseMost, s.pace.records())
	step := &eraseStep{id: id, at: at, limit: limit}
	_, err := s.enqueue(ctx, s.urgent, &job{
		do: func(t *transaction) (err error) {
			// A group whose other member fails runs again.
			*step = eraseStep{id: id, at: at, limit: limit}
			if step.more, err = t.erase(step); step.freed {
				t.tx.OnCommit(func() { s.over.freed.Add(1) })
			}
			return err
		},
		cost: limit, done: make(chan struct{}),
	})
	if err != nil {
		return eraseStep{}, err
	}
	return *step, nil
}

// erase sets the tombstone, takes the person out and as many of their tickets
// as a step may, and tells whether there are more.
func (t *transaction) erase(s *eraseStep) (more bool, err error) {
	t.urgent = true // everybody who keeps copies is told, though nothing was held
	key := idKey(s.id)
	if b := t.bucket(bucketTombstones); b.Get(key) == nil {
		if err := b.Put(key, encodeTombstone(s.at)); err != nil {
			return false, err
		}
		// Whom the mirror does not hold may have left it a while ago, and be
		// readable in the free pages.
		s.freed = true
	}
	var lefts [][]byte
	if lefts, err = t.eraseUser(s); err != nil {
		return false, err
	}
	if more, err = t.eraseTickets(s); err != nil {
		return false, err
	}
	if err := t.flush(); err != nil {
		return false, err
	}
	// The flush has left a stub of the person; the tombstone is all that stays.
	for _, k := range lefts {
		if err := t.bucket(bucketLeft).Delete(k); err != nil {
			return false, err
		}
	}
	for _, name := range [][]byte{bucketUsers, bucketUserObjects, bucketChecked} {
		b := t.bucket(name)
		s.freed = s.freed || b.Get(key) != nil
		if err := b.Delete(key); err != nil {
			return false, err
		}
	}
	s.freed = s.freed || len(lefts)+len(s.tickets) > 0
	// Asked again, an erasure leaves the mark as it is: the overwriting under
	// way covers it, and would never be done with whoever asks while it works.
	if s.freed {
		if err := t.toOverwrite(); err != nil {
			return false, err
		}
	}
	if _, there := slices.BinarySearch(t.change.People, s.id); !there {
		t.change.People = append(t.change.People, s.id)
		slices.Sort(t.change.People)
	}
	return more, nil
}

// eraseUser makes a stub of whom the mirror holds, so that indexes and counts
// follow, and names the keys in the order of forgetting that have to go after
// that.
func (t *transaction) eraseUser(s *eraseStep) (lefts [][]byte, err error) {
	e, err := t.user(s.id)
	if err != nil || e.after == nil {
		return nil, err
	}
	if e.after.State == here {
		s.users = 1
		for n := range e.before.numbers() {
			s.numbers = append(s.numbers, n)
		}
		slices.Sort(s.numbers)
		e.after.stub(left, t.now)
		e.object, e.due, e.dirty = nil, false, true
	}
	return [][]byte{leftKey(e.after.Left, kindUser, s.id)}, nil
}

// eraseTickets makes stubs of as many of the person's unresolved tickets as a
// step may.
func (t *transaction) eraseTickets(s *eraseStep) (more bool, err error) {
	prefix := idKey(s.id)
	c := t.bucket(bucketByCreated).Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		if more = len(s.tickets) == s.limit; more {
			break
		}
		s.tickets = append(s.tickets, orderKeyTicket(k))
	}
	for _, id := range s.tickets {
		e, err := t.ticket(id)
		if err != nil {
			return false, err
		}
		if e.after == nil || e.after.State != here {
			return false, fmt.Errorf("ticket %d: %w: it is in the order of creation and nowhere else", id, errRecord)
		}
		e.after.leave(left, t.now)
		e.ticket, e.object, e.dirty = nil, nil, true
	}
	return more, nil
}

// Erasures lists everybody who is erased, in the order of their ids, each with
// the tickets of theirs of which the mirror still has stubs: what has to be
// taken out of other files that may have come back from a backup. With an
// error about a ticket that cannot be read, everybody is in the list, and all
// tickets that can.
func (s *Store) Erasures(ctx context.Context) ([]caller.Erasure, error) {
	list, err := s.Tombstones()
	if err != nil || len(list) == 0 {
		return nil, err
	}
	users := make(map[int64]struct{}, len(list))
	for _, e := range list {
		users[e.UserID] = struct{}{}
	}
	stubs, err := s.stubsOf(ctx, users)
	for i := range list {
		list[i].Tickets = stubs[list[i].UserID]
	}
	return list, err
}

// stubsOf lists the tickets of some people that the mirror knows, by ascending
// id: of whom is erased it has stubs. One that cannot be read is an error after
// all others.
func (s *Store) stubsOf(ctx context.Context, users map[int64]struct{}) (map[int64][]int64, error) {
	stubs := map[int64][]int64{}
	var damaged error // the first
	for from := idKey(0); from != nil; {
		if err := ctx.Err(); err != nil {
			return stubs, err
		}
		err := s.db.View(func(tx *bolt.Tx) error {
			looked := 0
			c := tx.Bucket(bucketTickets).Cursor()
			k, v := c.Seek(from)
			for ; k != nil && looked < scanStep; k, v = c.Next() {
				looked++
				r, err := decodeTicketRecord(v)
				if err != nil {
					if damaged == nil {
						damaged = fmt.Errorf("ticket %d: %w", keyID(k), err)
					}
					continue
				}
				if _, ok := users[r.Requester]; ok {
					stubs[r.Requester] = append(stubs[r.Requester], keyID(k))
				}
			}
			from = bytes.Clone(k) // nil at the end
			return nil
		})
		if err != nil {
			return stubs, closed(err)
		}
	}
	return stubs, damaged
}

// Lift takes a tombstone away, so that the mirror may hold the person again;
// was is false where they had none. It brings nobody back by itself: the next
// page, webhook or reading that shows them does.
func (s *Store) Lift(ctx context.Context, id int64) (was bool, err error) {
	g := &s.tombstones
	g.mu.Lock()
	defer g.mu.Unlock()
	at, was := g.journal.erased(id)
	if was {
		at = max(at, s.clock().Unix()) // not before the erasure, though the clock was set back
		if err := g.journal.add(journalEntry{id: id, lifted: true, at: at}); err != nil {
			return false, err
		}
	} else if said, ok := g.journal.last[id]; !ok || !said.lifted {
		return false, nil
	}
	// The journal has it lifted: where the file did not follow before, it does now.
	stood := false
	_, err = s.submit(ctx, s.urgent, func(t *transaction) error {
		stood = t.erased(id)
		t.change.People = append(t.change.People, id)
		return t.lift(id)
	})
	if err != nil {
		return false, err
	}
	g.share()
	return was || stood, nil
}

func (t *transaction) lift(id int64) error {
	return t.bucket(bucketTombstones).Delete(idKey(id))
}

// unixTime is a time kept in seconds.
func unixTime(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }
