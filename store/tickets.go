package store

import (
	"bytes"
	"fmt"
	"time"

	"aniproxy/internal/caller"
)

// ticketEdit is a ticket before and after the batch.
type ticketEdit struct {
	before *ticketRecord // nil where there was none
	after  *ticketRecord
	ticket *caller.Ticket // new content; nil keeps the one held
	object []byte
	dirty  bool // something is to be written
}

func (t *transaction) ticket(id int64) (*ticketEdit, error) {
	if e, ok := t.tickets[id]; ok {
		return e, nil
	}
	held, err := decodeTicketRecord(t.bucket(bucketTickets).Get(idKey(id)))
	if err != nil {
		return nil, fmt.Errorf("ticket %d: %w", id, err)
	}
	e := &ticketEdit{before: held}
	if held != nil {
		after := *held
		e.after = &after
	}
	t.tickets[id] = e
	return e, nil
}

func (e *ticketEdit) held() *head {
	if e.after == nil {
		return nil
	}
	return &e.after.head
}

func (t *transaction) applyTicket(u *caller.TicketUpdate) error {
	e, err := t.ticket(u.Ticket.ID)
	if err != nil {
		return err
	}
	if e.after == nil && !u.Ticket.Unresolved() && t.longAgo(u.Version) {
		return nil
	}
	if t.erased(u.Ticket.RequesterID) {
		t.shunTicket(e, u)
		return nil
	}
	v := judge(e.held(), u.Version, u.AsOf)
	t.count(v)
	switch v {
	case accepted:
		t.acceptTicket(e, u)
	case refreshed, refused:
		e.dirty = e.after.see(u.AsOf) || e.dirty
		if u.Ticket.Unresolved() {
			t.doubt(caller.Tickets, u.Ticket.ID, e.held(), u.Version)
		}
	}
	return nil
}

// shunTicket takes in a record of a ticket that somebody requests who was
// erased: nothing of it is written but a stub with its version. Without that, a
// late page from before the ticket came to be theirs would show it to the one
// who had it then.
func (t *transaction) shunTicket(e *ticketEdit, u *caller.TicketUpdate) {
	t.count(refused)
	v, last := u.Version, u.AsOf.UnixMilli()
	if held := e.after; held != nil {
		newer := judge(&held.head, u.Version, u.AsOf) == accepted
		if !newer && (held.State != here || !t.erased(held.Requester)) {
			e.dirty = held.see(u.AsOf) || e.dirty // it has moved on, to somebody else
			return
		}
		if !newer {
			v = held.Version
		}
		last = max(last, held.Seen)
	}
	e.after = &ticketRecord{head: head{Version: v, Seen: last}, Requester: u.Ticket.RequesterID}
	e.after.leave(left, t.now)
	e.ticket, e.object, e.dirty = nil, nil, true
}

// longAgo tells whether a resolved ticket that the mirror never held can be
// passed over: a stub of it would be forgotten at once. This is what keeps ten
// million old tickets out of the file.
func (t *transaction) longAgo(v caller.Version) bool {
	return max(v.Generated, v.Updated) < t.now.Add(-t.keep).Unix()
}

func (t *transaction) acceptTicket(e *ticketEdit, u *caller.TicketUpdate) {
	next := &ticketRecord{
		head:      head{State: here, Version: u.Version, Seen: u.AsOf.UnixMilli()},
		Requester: u.Ticket.RequesterID, Created: u.Ticket.CreatedAt, Updated: u.Ticket.UpdatedAt,
	}
	if e.after != nil {
		next.Seen = max(next.Seen, e.after.Seen)
	}
	if u.Ticket.Unresolved() {
		e.ticket, e.object = &u.Ticket, u.Object
	} else {
		next.leave(left, t.now)
		e.ticket, e.object = nil, nil
	}
	e.after, e.dirty = next, true
}

func (t *transaction) ticketGone(g caller.Gone) error {
	e, err := t.ticket(g.ID)
	if err != nil {
		return err
	}
	if e.after == nil {
		e.after = &ticketRecord{}
	} else if e.after.Version.Sent >= g.Sent {
		t.count(refused)
		return nil
	}
	t.takeOut(e, gone, g.Sent)
	return nil
}

func (t *transaction) takeOut(e *ticketEdit, s state, sent int64) {
	e.after.Version.Sent = sent
	e.after.leave(s, t.now)
	e.ticket, e.object, e.dirty = nil, nil, true
	t.count(accepted)
}

// applyRequested takes out what a complete reading of a user's tickets no
// longer shows, where the mirror had it before that reading was asked for. What
// it does show is confirmed by it.
func (t *transaction) applyRequested(r *caller.Requested) error {
	if t.erased(r.UserID) {
		return nil
	}
	listed := make(map[int64]struct{}, len(r.TicketIDs))
	for _, id := range r.TicketIDs {
		listed[id] = struct{}{}
	}
	open, err := t.openOf(r.UserID)
	if err != nil {
		return err
	}
	for _, id := range open {
		e, err := t.ticket(id)
		if err != nil {
			return err
		}
		if _, ok := listed[id]; ok {
			e.dirty = e.after.see(r.AsOf) || e.dirty
		} else if e.after.Version.Sent < r.Sent {
			t.takeOut(e, unlisted, r.Sent)
		}
	}
	held := t.bucket(bucketChecked).Get(idKey(r.UserID))
	d := decoder{b: held}
	if ms := r.AsOf.UnixMilli(); held == nil || d.int() < ms {
		t.checked[r.UserID] = ms
	}
	return nil
}

// openOf lists a user's unresolved tickets as they stand within the batch.
func (t *transaction) openOf(userID int64) ([]int64, error) {
	var open []int64
	prefix := idKey(userID)
	c := t.bucket(bucketByCreated).Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		e, err := t.ticket(orderKeyTicket(k))
		if err != nil {
			return nil, err
		}
		if e.after != nil && e.after.State == here && e.after.Requester == userID {
			open = append(open, orderKeyTicket(k))
		}
	}
	for id, e := range t.tickets {
		inIndex := e.before != nil && e.before.State == here && e.before.Requester == userID
		if !inIndex && e.after != nil && e.after.State == here && e.after.Requester == userID {
			open = append(open, id)
		}
	}
	return open, nil
}

// ticketEdits are what a batch's tickets write, bucket by bucket.
type ticketEdits struct {
	records, objects, created, updated, left []edit
}

func (t *transaction) flushTickets(people map[int64]struct{}) error {
	var w ticketEdits
	for id, e := range t.tickets {
		if !e.dirty {
			continue
		}
		if t.editTicket(&w, id, e) || t.urgent {
			for _, r := range []*ticketRecord{e.before, e.after} {
				if r != nil {
					people[r.Requester] = struct{}{}
				}
			}
		}
	}
	for _, b := range []struct {
		name  []byte
		edits []edit
	}{
		{bucketTickets, w.records},
		{bucketTicketObjects, w.objects},
		{bucketByCreated, w.created},
		{bucketByUpdated, w.updated},
		{bucketLeft, w.left},
	} {
		if err := write(t.bucket(b.name), b.edits); err != nil {
			return err
		}
	}
	return nil
}

// editTicket adds what one ticket's change writes, and tells whether an answer
// can differ by it.
func (t *transaction) editTicket(w *ticketEdits, id int64, e *ticketEdit) (news bool) {
	key := idKey(id)
	was, is := e.before != nil && e.before.State == here, e.after.State == here
	w.records = append(w.records, edit{key, encodeTicketRecord(e.after)})
	w.left = append(w.left, moveStub(kindTicket, id, e.held(), ticketHead(e.before))...)
	t.size.Tickets += one(is) - one(was)
	var place, recent, content []byte
	if is && e.ticket != nil {
		place, content = orderKey(e.after.Requester, e.after.Created, id), encodeTicket(e.ticket)
		recent = orderKey(e.after.Requester, e.after.Updated, id)
		if e.object != nil && t.differs(bucketTicketObjects, was, key, e.object) {
			w.objects = append(w.objects, edit{key, e.object})
		}
	}
	if was && is && content == nil {
		return false // it was confirmed, and nothing else
	}
	if was {
		old := orderKey(e.before.Requester, e.before.Created, id)
		if bytes.Equal(old, place) && e.before.Updated == e.after.Updated &&
			bytes.Equal(t.bucket(bucketByCreated).Get(old), content) {
			return false
		}
		w.created = without(w.created, old, place)
		w.updated = without(w.updated, orderKey(e.before.Requester, e.before.Updated, id), recent)
		if !is {
			w.objects = append(w.objects, edit{key, nil})
		}
	}
	if content != nil {
		created := encoder{}
		created.int(e.after.Created)
		w.created = append(w.created, edit{place, content})
		w.updated = append(w.updated, edit{recent, created.b})
	}
	return was || is
}

// without deletes an old key, unless it is the one that is written anyway.
func without(edits []edit, old, kept []byte) []edit {
	if bytes.Equal(old, kept) {
		return edits
	}
	return append(edits, edit{old, nil})
}

func ticketHead(r *ticketRecord) *head {
	if r == nil {
		return nil
	}
	return &r.head
}

// seen is a time kept in milliseconds.
func seen(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
