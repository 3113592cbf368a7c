package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"aniproxy/internal/caller"
)

// state says what a record stands for.
type state byte

const (
	// here is a living object.
	here state = 1
	// left is an object that a versioned answer took out: solved, closed,
	// deleted, inactive. A newer version brings it back.
	left state = 2
	// gone is an object for which Zendesk answered "not found": only an
	// answer that is true of a later moment brings it back.
	gone state = 3
	// unlisted is a ticket that a complete reading of its requester's tickets
	// did not show. A newer version, or a later moment, brings it back.
	unlisted state = 4
)

// head is what every record begins with: enough to compare versions.
type head struct {
	State   state
	Version caller.Version
	Seen    int64 // when a source last agreed, Unix milliseconds
	Left    int64 // when it left, Unix seconds; the time in its left key
}

// userRecord is a user as a lookup reads them, with what the phone index needs.
type userRecord struct {
	head
	User   caller.User
	Number string // profile phone in E.164, "" where it is none
	// IdentitiesSent is 0 while the user's identities are not known.
	IdentitiesSent  int64
	IdentityPhones  []string
	IdentityNumbers []string
}

// numbers are all different numbers of the user, with their sources.
func (r *userRecord) numbers() map[string]byte {
	if r == nil || r.State != here {
		return nil
	}
	m := make(map[string]byte, 1+len(r.IdentityNumbers))
	if r.Number != "" {
		m[r.Number] = fromProfile
	}
	for _, n := range r.IdentityNumbers {
		m[n] |= fromIdentity
	}
	return m
}

// unreadable tells whether the profile phone says something that is no number.
func (r *userRecord) unreadable() bool {
	return r != nil && r.State == here && r.User.Phone != "" && r.Number == ""
}

// ticketRecord says where a ticket stands; the ticket itself is under its
// requester.
type ticketRecord struct {
	head
	Requester, Created, Updated int64
}

const recordFormat = 1

var errRecord = errors.New("a record of the store cannot be read")

// encoder appends fields to a buffer; decoder takes them off again. Both know
// nothing of bbolt.
type encoder struct{ b []byte }

func (e *encoder) byte(v byte)     { e.b = append(e.b, v) }
func (e *encoder) int(v int64)     { e.b = binary.AppendVarint(e.b, v) }
func (e *encoder) count(v int)     { e.b = binary.AppendUvarint(e.b, uint64(v)) }
func (e *encoder) string(v string) { e.count(len(v)); e.b = append(e.b, v...) }
func (e *encoder) strings(v []string) {
	e.count(len(v))
	for _, s := range v {
		e.string(s)
	}
}

func (e *encoder) head(h head) {
	e.byte(recordFormat)
	e.byte(byte(h.State))
	e.int(h.Version.Generated)
	e.int(h.Version.Updated)
	e.int(h.Version.Sent)
	e.int(h.Seen)
	if h.State != here {
		e.int(h.Left)
	}
}

type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail() {
	d.err = errRecord
	d.b = nil
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) count() int {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > uint64(len(d.b)) {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return int(v)
}

func (d *decoder) string() string {
	n := d.count()
	if n > len(d.b) {
		d.fail()
		return ""
	}
	v := string(d.b[:n])
	d.b = d.b[n:]
	return v
}

func (d *decoder) strings() []string {
	n := d.count()
	if n == 0 || d.err != nil {
		return nil
	}
	v := make([]string, 0, min(n, 64))
	for range n {
		v = append(v, d.string())
	}
	if d.err != nil {
		return nil
	}
	return v
}

func (d *decoder) head() head {
	if f := d.byte(); d.err == nil && f != recordFormat {
		d.err = fmt.Errorf("%w: format %d", errRecord, f)
		return head{}
	}
	h := head{State: state(d.byte())}
	h.Version = caller.Version{Generated: d.int(), Updated: d.int(), Sent: d.int()}
	h.Seen = d.int()
	if h.State != here {
		h.Left = d.int()
	}
	return h
}

const (
	flagSuspended = 1 << iota
	flagIdentities
)

func encodeUser(r *userRecord) []byte {
	e := encoder{b: make([]byte, 0, 160)}
	e.head(r.head)
	if r.State != here {
		return e.b
	}
	u := &r.User
	var flags byte
	if u.Suspended {
		flags |= flagSuspended
	}
	if r.IdentitiesSent != 0 {
		flags |= flagIdentities
	}
	e.byte(flags)
	e.int(u.OrganizationID)
	e.int(u.CreatedAt)
	e.int(u.UpdatedAt)
	e.string(u.Name)
	e.string(u.Email)
	e.string(u.Phone)
	e.string(r.Number)
	e.string(u.Locale)
	e.string(u.Role)
	e.strings(u.Tags)
	if r.IdentitiesSent != 0 {
		e.int(r.IdentitiesSent)
		e.strings(r.IdentityPhones)
		e.strings(r.IdentityNumbers)
	}
	return e.b
}

// decodeUser reads a user's record; it copies what it keeps, since b belongs
// to a transaction. A nil b is no record: nil without an error.
func decodeUser(id int64, b []byte) (*userRecord, error) {
	if b == nil {
		return nil, nil //nolint:nilnil // absence is no error
	}
	d := decoder{b: b}
	r := &userRecord{head: d.head()}
	r.User.ID = id
	if r.State != here {
		return r, d.err
	}
	flags := d.byte()
	u := &r.User
	u.Active = true
	u.Suspended = flags&flagSuspended != 0
	u.OrganizationID = d.int()
	u.CreatedAt = d.int()
	u.UpdatedAt = d.int()
	u.Name = d.string()
	u.Email = d.string()
	u.Phone = d.string()
	r.Number = d.string()
	u.Locale = d.string()
	u.Role = d.string()
	u.Tags = d.strings()
	if flags&flagIdentities != 0 {
		r.IdentitiesSent = d.int()
		r.IdentityPhones = d.strings()
		r.IdentityNumbers = d.strings()
	}
	return r, d.err
}

func encodeTicketRecord(r *ticketRecord) []byte {
	e := encoder{b: make([]byte, 0, 48)}
	e.head(r.head)
	e.int(r.Requester)
	e.int(r.Created)
	e.int(r.Updated)
	return e.b
}

func decodeTicketRecord(b []byte) (*ticketRecord, error) {
	if b == nil {
		return nil, nil //nolint:nilnil // absence is no error
	}
	d := decoder{b: b}
	r := &ticketRecord{head: d.head()}
	r.Requester = d.int()
	r.Created = d.int()
	r.Updated = d.int()
	return r, d.err
}

func encodeTicket(t *caller.Ticket) []byte {
	e := encoder{b: make([]byte, 0, 128)}
	e.byte(recordFormat)
	for _, v := range []int64{
		t.RequesterID, t.AssigneeID, t.OrganizationID, t.GroupID, t.BrandID,
		t.FormID, t.CustomStatusID, t.CreatedAt, t.UpdatedAt,
	} {
		e.int(v)
	}
	e.string(t.Status)
	e.string(t.Priority)
	e.string(t.Type)
	e.string(t.Subject)
	e.strings(t.Tags)
	return e.b
}

func decodeTicket(id int64, b []byte) (caller.Ticket, error) {
	d := decoder{b: b}
	if f := d.byte(); f != recordFormat {
		return caller.Ticket{}, fmt.Errorf("%w: format %d", errRecord, f)
	}
	t := caller.Ticket{ID: id}
	for _, v := range []*int64{
		&t.RequesterID, &t.AssigneeID, &t.OrganizationID, &t.GroupID, &t.BrandID,
		&t.FormID, &t.CustomStatusID, &t.CreatedAt, &t.UpdatedAt,
	} {
		*v = d.int()
	}
	t.Status = d.string()
	t.Priority = d.string()
	t.Type = d.string()
	t.Subject = d.string()
	t.Tags = d.strings()
	return t, d.err
}

// sameUser tells whether two records answer every question alike; how old they
// are does not count.
func sameUser(a, b *userRecord) bool {
	if a == nil || b == nil || a.State != b.State {
		return false
	}
	x, y := &a.User, &b.User
	return x.OrganizationID == y.OrganizationID && x.Name == y.Name && x.Email == y.Email &&
		x.Phone == y.Phone && x.Locale == y.Locale && x.Role == y.Role &&
		x.Suspended == y.Suspended && x.UpdatedAt == y.UpdatedAt && slices.Equal(x.Tags, y.Tags) &&
		a.Number == b.Number && slices.Equal(a.IdentityNumbers, b.IdentityNumbers)
}
