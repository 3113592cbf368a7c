package zendesk

import (
	"bytes"
	"encoding/json"
	"errors"
)

// ErrUnreadable is in the error of an answer that held the object asked for in
// a form that cannot be read. It is there, then: not gone.
var ErrUnreadable = errors.New("an object that cannot be read")

// wire is an object that lists hold. It is identified by an id, without which
// it is of no use: an identity by its user's.
type wire[T any] interface {
	*T
	json.Unmarshaler
	identified() bool
}

// list is a JSON array of objects. It tells an array from null and from a
// missing key: an answer without its list is none. Objects that cannot be
// read, or that have no id, are put aside: whoever uses the list decides what
// they mean.
type list[T any, P wire[T]] struct {
	there bool
	items []T
	bad   []json.RawMessage
}

// The lists there are.
type (
	userList     = list[User, *User]
	ticketList   = list[Ticket, *Ticket]
	identityList = list[Identity, *Identity]
)

// UnmarshalJSON implements json.Unmarshaler.
func (l *list[T, P]) UnmarshalJSON(b []byte) error {
	*l = list[T, P]{} // of a key that comes twice the last one counts, as everywhere
	if string(b) == "null" {
		return nil
	}
	l.there = true
	var all []element[T, P]
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	l.items = make([]T, 0, len(all))
	for i := range all {
		if all[i].bad != nil {
			l.bad = append(l.bad, all[i].bad)
			continue
		}
		l.items = append(l.items, all[i].value)
	}
	return nil
}

// element is one object of a list, read or put aside.
type element[T any, P wire[T]] struct {
	value T
	bad   json.RawMessage
}

// UnmarshalJSON implements json.Unmarshaler. It never fails: the array around
// it has been found to be JSON.
func (e *element[T, P]) UnmarshalJSON(b []byte) error {
	if p := P(&e.value); p.UnmarshalJSON(b) != nil || !p.identified() {
		e.bad = bytes.Clone(b)
	}
	return nil
}

// badSpared is how many unreadable objects a page may have whatever else is on it.
const badSpared = 10

// usable tells whether a list was there and can be taken without what could
// not be read. Where that is most of a page the API has changed its form, and
// to go on behind it would be to lose everything on the way.
func (l *list[T, P]) usable() bool {
	return l.there && (len(l.bad) <= badSpared || len(l.bad) <= len(l.items))
}

// decode reads an answer's body. What it is not, the error does not repeat.
func (c *core) decode(k *call, a *answer, into any) error {
	body := bytes.TrimLeft(a.body, " \t\r\n")
	if len(body) == 0 || body[0] != '{' {
		return c.unreadable(k, a, "not a JSON object")
	}
	if err := json.Unmarshal(body, into); err != nil {
		return c.unreadable(k, a, "not of the API's form")
	}
	return nil
}

// one is an object alone in its answer, or its absence.
type one[T any, P wire[T]] struct {
	value *T
	bad   bool
}

// UnmarshalJSON implements json.Unmarshaler. Like an element's it never fails.
func (o *one[T, P]) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	var value T
	o.bad = P(&value).UnmarshalJSON(b) != nil
	if !o.bad {
		o.value = &value
	}
	return nil
}

// unreadable counts and makes the error of an answer that cannot be used.
func (c *core) unreadable(k *call, a *answer, why string) error {
	c.faults.Add(1)
	return k.malformed(a.status, why)
}

// unreadableObject is the same where the object is there in another form.
func (c *core) unreadableObject(k *call, a *answer, why string) error {
	c.faults.Add(1)
	e := k.malformed(a.status, why)
	e.cause = ErrUnreadable
	return e
}

func (u *User) identified() bool     { return u.ID > 0 }
func (t *Ticket) identified() bool   { return t.ID > 0 }
func (i *Identity) identified() bool { return i.UserID > 0 }
func (a *Audit) identified() bool    { return a.ID > 0 }
func (w *Webhook) identified() bool  { return isWebhookID(w.ID) }
func (t *Trigger) identified() bool  { return t.ID > 0 }

// sideloaded sorts the identities of a page by user. Every user of the page
// has an entry, an empty one where they have none, but for those of whom an
// identity could not be read: nothing is said of them. nil where the answer
// said nothing of identities, or nobody can tell whose they are.
func sideloaded(l identityList, users []User) map[int64][]Identity {
	if !l.there {
		return nil
	}
	by := make(map[int64][]Identity, len(users))
	for i := range users {
		by[users[i].ID] = []Identity{}
	}
	for _, id := range l.items {
		if own, ok := by[id.UserID]; ok {
			by[id.UserID] = append(own, id)
		}
	}
	for _, raw := range l.bad {
		var w struct {
			UserID int64 `json:"user_id"`
		}
		if json.Unmarshal(raw, &w) != nil || w.UserID <= 0 {
			return nil
		}
		delete(by, w.UserID)
	}
	return by
}

// paging is what a list's answer says of its further pages. Its URLs are not
// read, only whether there is one.
type paging struct {
	Meta *struct {
		HasMore     bool   `json:"has_more"`
		AfterCursor string `json:"after_cursor"`
	} `json:"meta"`
	NextPage json.RawMessage `json:"next_page"`
}

// hasNextPage tells whether an offset-paged answer names a next page.
func (p *paging) hasNextPage() bool { return len(p.NextPage) > 0 && string(p.NextPage) != "null" }
