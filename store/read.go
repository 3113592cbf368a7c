package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/caller"
)

// maxSharers bounds how many users of one number are looked at: with more than
// that of other roles before the first that matches, the number is not
// anybody's.
const maxSharers = 10 * caller.MaxMatches

// maxShared bounds the tickets read for all sharers of a number together.
const maxShared = 2 * caller.MaxOpen

// Match reads who has a number, of the given roles, with their unresolved
// tickets: one consistent state, in one read transaction.
func (s *Store) Match(e164 string, roles []string) (caller.Match, error) {
	number, err := packNumber(e164)
	if err != nil {
		return caller.Match{}, err
	}
	var m caller.Match
	err = s.db.View(func(tx *bolt.Tx) error {
		r := reader{tx: tx}
		prefix := binary.BigEndian.AppendUint64(make([]byte, 0, 8), number)
		c := tx.Bucket(bucketPhones).Cursor()
		looked, room := 0, maxShared
		for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
			if looked++; looked > maxSharers || len(m.Callers) == caller.MaxMatches {
				break
			}
			found, ok, err := r.caller(keyID(k[8:]), roles, room)
			if err != nil {
				return err
			}
			if ok {
				room -= len(found.Open)
				m.Callers = append(m.Callers, found)
			}
		}
		return nil
	})
	return m, err
}

// Caller reads one user with their unresolved tickets, whatever their role;
// ok is false where the mirror has no such user.
func (s *Store) Caller(id int64) (c caller.Caller, ok bool, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		r := reader{tx: tx}
		c, ok, err = r.caller(id, nil, caller.MaxOpen)
		return err
	})
	return c, ok, err
}

// Ticket reads an unresolved ticket; ok is false where the mirror has none of
// that id.
func (s *Store) Ticket(id int64) (t caller.Ticket, ok bool, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		place, err := decodeTicketRecord(tx.Bucket(bucketTickets).Get(idKey(id)))
		if err != nil {
			return fmt.Errorf("ticket %d: %w", id, err)
		}
		if place == nil || place.State != here {
			return nil
		}
		b := tx.Bucket(bucketByCreated).Get(orderKey(place.Requester, place.Created, id))
		if b == nil {
			return fmt.Errorf("ticket %d: %w: not where its record says", id, errRecord)
		}
		if t, err = decodeTicket(id, b); err != nil {
			return fmt.Errorf("ticket %d: %w", id, err)
		}
		ok = true
		return nil
	})
	return t, ok, err
}

// Numbers reads the numbers of a user in E.164: profile and identities.
func (s *Store) Numbers(id int64) (numbers []string, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		u, err := decodeUser(id, tx.Bucket(bucketUsers).Get(idKey(id)))
		if err != nil {
			return fmt.Errorf("user %d: %w", id, err)
		}
		for n := range u.numbers() {
			numbers = append(numbers, n)
		}
		slices.Sort(numbers)
		return nil
	})
	return numbers, err
}

// Objects reads Zendesk's own objects, slimmed, of users or tickets; an id
// that the mirror does not hold is left out, and the others are in the order of
// the ids.
func (s *Store) Objects(stream caller.Stream, ids []int64) (objects [][]byte, err error) {
	name := bucketUserObjects
	if stream == caller.Tickets {
		name = bucketTicketObjects
	}
	err = s.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(name)
		for _, id := range ids {
			if o := b.Get(idKey(id)); o != nil {
				objects = append(objects, bytes.Clone(o))
			}
		}
		return nil
	})
	return objects, err
}

// reader reads within one transaction.
type reader struct{ tx *bolt.Tx }

func (r *reader) caller(id int64, roles []string, room int) (caller.Caller, bool, error) {
	u, err := decodeUser(id, r.tx.Bucket(bucketUsers).Get(idKey(id)))
	if err != nil {
		return caller.Caller{}, false, fmt.Errorf("user %d: %w", id, err)
	}
	if u == nil || u.State != here || len(roles) > 0 && !slices.Contains(roles, u.User.Role) {
		return caller.Caller{}, false, nil
	}
	c := caller.Caller{User: u.User, Seen: seen(u.Seen)}
	if b := r.tx.Bucket(bucketChecked).Get(idKey(id)); b != nil {
		d := decoder{b: b}
		c.TicketsSeen = seen(d.int())
	}
	if err := r.tickets(&c, room); err != nil {
		return caller.Caller{}, false, err
	}
	return c, true, r.assignees(&c)
}

// tickets reads a user's unresolved tickets, newest creation first; those past
// the room are only counted.
func (r *reader) tickets(c *caller.Caller, room int) error {
	prefix := idKey(c.User.ID)
	cursor := r.tx.Bucket(bucketByCreated).Cursor()
	for k, v := cursor.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = cursor.Next() {
		if c.OpenCount++; c.OpenCount > min(room, caller.MaxOpen) {
			continue
		}
		id := orderKeyTicket(k)
		t, err := decodeTicket(id, v)
		if err != nil {
			return fmt.Errorf("ticket %d: %w", id, err)
		}
		c.Open = append(c.Open, t)
	}
	return nil
}

func (r *reader) assignees(c *caller.Caller) error {
	users := r.tx.Bucket(bucketUsers)
	for i := range c.Open {
		id := c.Open[i].AssigneeID
		if _, known := c.Assignee(id); known || id == 0 {
			continue
		}
		u, err := decodeUser(id, users.Get(idKey(id)))
		if err != nil {
			return fmt.Errorf("user %d: %w", id, err)
		}
		if u != nil && u.State == here {
			c.Assignees = append(c.Assignees, caller.Person{ID: id, Name: u.User.Name, Email: u.User.Email})
		}
	}
	return nil
}
