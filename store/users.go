package store

import (
	"fmt"
	"slices"
	"time"

	"aniproxy/internal/caller"
)

// userEdit is a user before and after the batch.
type userEdit struct {
	before *userRecord // nil where there was none
	after  *userRecord
	object []byte // new object; nil keeps the one held
	dirty  bool   // something is to be written
	due    bool   // identities must be read
	read   bool   // identities were read
}

func (t *transaction) user(id int64) (*userEdit, error) {
	if e, ok := t.users[id]; ok {
		return e, nil
	}
	held, err := decodeUser(id, t.bucket(bucketUsers).Get(idKey(id)))
	if err != nil {
		return nil, fmt.Errorf("user %d: %w", id, err)
	}
	e := &userEdit{before: held}
	if held != nil {
		after := *held
		e.after = &after
	}
	t.users[id] = e
	return e, nil
}

func (e *userEdit) held() *head {
	if e.after == nil {
		return nil
	}
	return &e.after.head
}

func (t *transaction) applyUser(u *caller.UserUpdate, reread bool) error {
	if t.erased(u.User.ID) {
		t.count(refused)
		return nil
	}
	e, err := t.user(u.User.ID)
	if err != nil {
		return err
	}
	v := judge(e.held(), u.Version, u.AsOf)
	t.count(v)
	switch v {
	case accepted:
		t.acceptUser(e, u)
	case refreshed, refused:
		e.dirty = e.after.see(u.AsOf) || e.dirty
		if u.User.Active {
			t.doubt(caller.Users, u.User.ID, e.held(), u.Version)
		}
	}
	if reread && e.after.State == here {
		e.due, e.dirty = true, true
	}
	if ids := u.Identities; ids != nil && e.after.State == here && ids.Sent >= e.after.IdentitiesSent {
		e.dirty = true
		e.after.IdentitiesSent = ids.Sent
		e.after.IdentityPhones = slices.Clone(ids.Phones)
		e.after.IdentityNumbers = slices.Clone(ids.Numbers)
		// A reading from before the record changed last may lack what came
		// with that change, so it does not settle the debt.
		e.read = ids.Sent >= e.after.Version.Sent
		e.due = e.due && !e.read
	}
	return nil
}

func (t *transaction) acceptUser(e *userEdit, u *caller.UserUpdate) {
	next := &userRecord{
		head:   head{State: here, Version: u.Version, Seen: u.AsOf.UnixMilli()},
		User:   u.User,
		Number: u.Number,
	}
	next.User.Tags = slices.Clone(u.User.Tags)
	var moved bool
	if old := e.after; old != nil {
		next.Seen = max(next.Seen, old.Seen)
		_, same := u.Version.Newer(old.Version)
		moved = !same || old.State != here
		if old.State == here {
			next.IdentitiesSent = old.IdentitiesSent
			next.IdentityPhones = old.IdentityPhones
			next.IdentityNumbers = old.IdentityNumbers
		}
	}
	if !u.User.Active {
		next.stub(left, t.now)
		e.object, e.due = nil, false
	} else {
		e.object = u.Object
		e.due = e.due || moved || next.IdentitiesSent == 0
	}
	e.after, e.dirty = next, true
}

// stub leaves of a user what is needed to compare versions, and no text.
func (r *userRecord) stub(s state, now time.Time) {
	id := r.User.ID
	r.leave(s, now)
	*r = userRecord{head: r.head, User: caller.User{ID: id}}
}

func (t *transaction) userGone(g caller.Gone) error {
	if t.erased(g.ID) {
		t.count(refused)
		return nil
	}
	e, err := t.user(g.ID)
	if err != nil {
		return err
	}
	if e.after == nil {
		e.after = &userRecord{User: caller.User{ID: g.ID}}
	} else if e.after.Version.Sent >= g.Sent {
		t.count(refused)
		return nil
	}
	e.after.Version.Sent = g.Sent
	e.after.stub(gone, t.now)
	e.object, e.due, e.dirty = nil, false, true
	t.count(accepted)
	return nil
}

// userEdits are what a batch's users write, bucket by bucket.
type userEdits struct {
	users, objects, due, left []edit
	phones                    []phoneEdit
}

func (t *transaction) flushUsers(numbers map[string]struct{}, people map[int64]struct{}) error {
	var w userEdits
	for id, e := range t.users {
		if !e.dirty {
			continue
		}
		if err := t.editUser(&w, id, e); err != nil {
			return err
		}
		if !t.urgent && sameUser(e.before, e.after) {
			continue // nobody can tell the difference
		}
		for n := range e.before.numbers() {
			numbers[n] = struct{}{}
		}
		for n := range e.after.numbers() {
			numbers[n] = struct{}{}
		}
		if e.asAssignee() {
			people[id] = struct{}{}
		}
	}
	if err := write(t.bucket(bucketUsers), w.users); err != nil {
		return err
	}
	if err := write(t.bucket(bucketUserObjects), w.objects); err != nil {
		return err
	}
	if err := t.writeDue(w.due); err != nil {
		return err
	}
	if err := write(t.bucket(bucketLeft), w.left); err != nil {
		return err
	}
	return t.writePhones(w.phones)
}

// editUser adds what one user's change writes, and keeps the counts.
func (t *transaction) editUser(w *userEdits, id int64, e *userEdit) (err error) {
	key := idKey(id)
	was, is := e.before != nil && e.before.State == here, e.after.State == here
	w.users = append(w.users, edit{key, encodeUser(e.after)})
	w.left = append(w.left, moveStub(kindUser, id, e.held(), headOf(e.before))...)
	t.size.Users += one(is) - one(was)
	t.size.UnreadablePhones += one(e.after.unreadable()) - one(e.before.unreadable())
	switch {
	case was && !is:
		w.objects = append(w.objects, edit{key, nil})
		w.due = append(w.due, edit{key, nil})
	case is && e.object != nil && t.differs(bucketUserObjects, was, key, e.object):
		w.objects = append(w.objects, edit{key, e.object})
	}
	switch {
	case is && e.due:
		w.due = append(w.due, edit{key, []byte{}})
	case is && e.read:
		w.due = append(w.due, edit{key, nil})
	}
	w.phones, err = phoneEdits(w.phones, id, e.before.numbers(), e.after.numbers())
	return err
}

// asAssignee tells whether answers that name this user as an assignee differ
// now. An agent's record moves with every log-in, and a thousand callers may
// hang on it, so only what such an answer says of them counts.
func (e *userEdit) asAssignee() bool {
	was, is := e.before != nil && e.before.State == here, e.after.State == here
	return was != is || was && (e.before.User.Name != e.after.User.Name || e.before.User.Email != e.after.User.Email)
}

func headOf(r *userRecord) *head {
	if r == nil {
		return nil
	}
	return &r.head
}

func one(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// moveStub keeps the order of forgetting: the key of a former stub goes, that
// of a new one comes.
func moveStub(kind byte, id int64, now, before *head) []edit {
	var edits []edit
	if before != nil && before.State != here && (now.State == here || now.Left != before.Left) {
		edits = append(edits, edit{leftKey(before.Left, kind, id), nil})
	}
	if now.State != here && (before == nil || before.State == here || now.Left != before.Left) {
		edits = append(edits, edit{leftKey(now.Left, kind, id), []byte{}})
	}
	return edits
}

// writeDue writes the debts that came or went, and keeps their number.
func (t *transaction) writeDue(edits []edit) error {
	b := t.bucket(bucketDue)
	edits = slices.DeleteFunc(edits, func(e edit) bool {
		owes, owed := one(e.value != nil), one(b.Get(e.key) != nil)
		t.size.IdentitiesDue += owes - owed
		return owes == owed
	})
	return write(b, edits)
}
