package store

import (
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"aniproxy/internal/caller"
)

// Compare tells in what the mirror is not as a batch's records are, which are
// taken to be the truth whatever their versions: fields of users and tickets,
// objects that are missing, and those that the mirror has and should not. It
// reads one state, and says nothing of what is not in the batch, nor of
// anybody who was erased and their tickets.
//
// How old a record is counts too: a user's or ticket's updated_at that differs
// alone is a change that the mirror has not seen, though nothing that it keeps
// has changed by it.
func (s *Store) Compare(b caller.Batch) (all []caller.Difference, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		c := comparison{tx: tx, graves: gravesOf(tx)}
		for i := range b.Users {
			if err := c.user(&b.Users[i]); err != nil {
				return err
			}
		}
		for i := range b.Tickets {
			if err := c.ticket(&b.Tickets[i]); err != nil {
				return err
			}
		}
		for _, g := range b.Gone {
			if err := c.gone(g); err != nil {
				return err
			}
		}
		all = c.all
		return nil
	})
	return all, err
}

// comparison gathers differences within one transaction.
type comparison struct {
	tx     *bolt.Tx
	graves graves
	all    []caller.Difference
}

// object is what differences are told of.
type object struct {
	c      *comparison
	stream caller.Stream
	id     int64
	since  time.Time
}

func (o object) differs(field string) {
	o.c.all = append(o.c.all, caller.Difference{Stream: o.stream, ID: o.id, Field: field, Since: o.since})
}

// place compares whether the object is there at all, and tells whether its
// fields can be compared.
func (o object) place(held, living bool) bool {
	switch {
	case held && !living:
		o.differs(caller.FieldExtra)
	case !held && living:
		o.differs(caller.FieldMissing)
	}
	return held && living
}

func (c *comparison) user(u *caller.UserUpdate) error {
	id := u.User.ID
	if c.graves.hold(id) {
		return nil
	}
	held, err := decodeUser(id, c.tx.Bucket(bucketUsers).Get(idKey(id)))
	if err != nil {
		return fmt.Errorf("user %d: %w", id, err)
	}
	o := object{c, caller.Users, id, changed(u.Version)}
	if !o.place(held != nil && held.State == here, u.User.Active) {
		return nil
	}
	a, b := &held.User, &u.User
	o.fields([]field{
		{"name", a.Name == b.Name},
		{"email", a.Email == b.Email},
		{"phone", a.Phone == b.Phone},
		{"locale", a.Locale == b.Locale},
		{"role", a.Role == b.Role},
		{"tags", sameSet(a.Tags, b.Tags)},
		{"organization_id", a.OrganizationID == b.OrganizationID},
		{"suspended", a.Suspended == b.Suspended},
		{"created_at", a.CreatedAt == b.CreatedAt},
		{"updated_at", a.UpdatedAt == b.UpdatedAt},
		{"identities", u.Identities == nil || sameSet(held.IdentityPhones, u.Identities.Phones)},
	})
	return nil
}

func (c *comparison) ticket(u *caller.TicketUpdate) error {
	id := u.Ticket.ID
	place, err := decodeTicketRecord(c.tx.Bucket(bucketTickets).Get(idKey(id)))
	if err != nil {
		return fmt.Errorf("ticket %d: %w", id, err)
	}
	has := place != nil && place.State == here
	if has && c.graves.hold(place.Requester) {
		return nil
	}
	o := object{c, caller.Tickets, id, changed(u.Version)}
	if !o.place(has, u.Ticket.Unresolved() && !c.graves.hold(u.Ticket.RequesterID)) {
		return nil
	}
	held, err := decodeTicket(id, c.tx.Bucket(bucketByCreated).Get(orderKey(place.Requester, place.Created, id)))
	if err != nil {
		return fmt.Errorf("ticket %d: %w", id, err)
	}
	a, b := &held, &u.Ticket
	o.fields([]field{
		{"status", a.Status == b.Status},
		{"priority", a.Priority == b.Priority},
		{"type", a.Type == b.Type},
		{"subject", a.Subject == b.Subject},
		{"tags", sameSet(a.Tags, b.Tags)},
		{"requester_id", a.RequesterID == b.RequesterID},
		{"assignee_id", a.AssigneeID == b.AssigneeID},
		{"organization_id", a.OrganizationID == b.OrganizationID},
		{"group_id", a.GroupID == b.GroupID},
		{"brand_id", a.BrandID == b.BrandID},
		{"ticket_form_id", a.FormID == b.FormID},
		{"custom_status_id", a.CustomStatusID == b.CustomStatusID},
		{"created_at", a.CreatedAt == b.CreatedAt},
		{"updated_at", a.UpdatedAt == b.UpdatedAt},
	})
	return nil
}

// gone compares with Zendesk's "not found": since when that is so nobody tells.
func (c *comparison) gone(g caller.Gone) error {
	k := idKey(g.ID)
	v := c.tx.Bucket(recordsOf(g.Stream)).Get(k)
	if v == nil {
		return nil
	}
	h, err := list{g.Stream, c.graves}.head(k, v)
	if err != nil {
		return err
	}
	object{c, g.Stream, g.ID, time.Time{}}.place(h.State == here, false)
	return nil
}

// field is one comparison of two records of an object.
type field struct {
	name string
	same bool
}

func (o object) fields(all []field) {
	for _, f := range all {
		if !f.same {
			o.differs(f.name)
		}
	}
}

func changed(v caller.Version) time.Time {
	if v.Updated == 0 {
		return time.Time{}
	}
	return time.Unix(v.Updated, 0)
}

// sameSet tells whether two lists hold the same, in whatever order and however
// often: Zendesk's order of tags and of identities means nothing.
func sameSet(a, b []string) bool {
	if slices.Equal(a, b) {
		return true
	}
	return slices.Equal(set(a), set(b))
}

func set(v []string) []string {
	v = slices.Clone(v)
	slices.Sort(v)
	v = slices.Compact(v)
	if len(v) == 0 {
		return nil
	}
	return v
}
