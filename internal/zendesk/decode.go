package zendesk

import (
	"bytes"
	"encoding/json"
)

// identified are the objects that lists hold.
type identified interface {
	User | Ticket | Identity | Audit
}

// list is a JSON array of objects. It tells an array from null and from a
// missing key: an answer without its list is none.
type list[T identified] struct {
	there bool
	items []T
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *list[T]) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	l.there = true
	return json.Unmarshal(b, &l.items)
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

// unreadable counts and makes the error of an answer that cannot be used.
func (c *core) unreadable(k *call, a *answer, why string) error {
	c.faults.Add(1)
	return k.malformed(a.status, why)
}

// whole tells whether a list was there and everything in it has an id.
func whole[T identified](l list[T], id func(*T) int64) bool {
	for i := range l.items {
		if id(&l.items[i]) <= 0 {
			return false
		}
	}
	return l.there
}

func userID(u *User) int64         { return u.ID }
func ticketID(t *Ticket) int64     { return t.ID }
func identityID(i *Identity) int64 { return i.UserID }
func auditID(a *Audit) int64       { return a.ID }

// sideloaded sorts the identities of a page by user. Every user of the page
// has an entry, an empty one where they have none; nil where the answer said
// nothing of identities.
func sideloaded(l list[Identity], users []User) map[int64][]Identity {
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
