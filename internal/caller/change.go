package caller

import "time"

// Stream names one of the two exports that the mirror follows.
type Stream string

// The streams of Zendesk's incremental export.
const (
	Users   Stream = "users"
	Tickets Stream = "tickets"
)

// Version places one record of an object among the others of the same object.
// Like is compared with like: Generated where both have one, else Updated. On
// a tie the answer to the request that was sent later wins.
type Version struct {
	// Generated is generated_timestamp, Unix seconds; an export has it, a
	// single show or an update's answer does not (then it is 0).
	Generated int64
	// Updated is updated_at, Unix seconds.
	Updated int64
	// Sent is when the request that brought the record was sent, in Unix
	// nanoseconds by our own clock.
	Sent int64
}

// Newer tells whether v beats old: more than 0 where it does, less than 0
// where it is older, 0 where both are the same version sent at the same time.
// Same is true where the two are the same version whatever the time of sending.
func (v Version) Newer(old Version) (order int, same bool) {
	a, b := v.Updated, old.Updated
	if v.Generated != 0 && old.Generated != 0 {
		a, b = v.Generated, old.Generated
	}
	switch {
	case a > b:
		return 1, false
	case a < b:
		return -1, false
	case v.Sent > old.Sent:
		return 1, true
	case v.Sent < old.Sent:
		return -1, true
	default:
		return 0, true
	}
}

// UserUpdate is one user as some source showed it.
type UserUpdate struct {
	User    User
	Version Version
	// AsOf is a time, by our clock, at which Zendesk's truth was no older
	// than this record: the sending of a live request, or a minute before
	// that of an export's, which leaves the newest minute out.
	AsOf time.Time
	// Number is User.Phone in E.164, "" where it cannot be read as one.
	Number string
	// Identities is nil where the source said nothing of them.
	Identities *Identities
	// Object is Zendesk's own object as JSON, slimmed.
	Object []byte
}

// Identities are all phone numbers a user has beside the profile's.
type Identities struct {
	Phones  []string // as Zendesk holds them
	Numbers []string // those of Phones that can be read, in E.164
	Sent    int64    // as Version.Sent: the later read wins
}

// TicketUpdate is one ticket as some source showed it. A ticket that is no
// longer unresolved is an update too: it takes the ticket out.
type TicketUpdate struct {
	Ticket  Ticket
	Version Version
	AsOf    time.Time // as UserUpdate.AsOf
	Object  []byte    // as UserUpdate.Object
}

// Gone says that Zendesk answered "not found" for an object. It has no
// version, so the order of the requests decides.
type Gone struct {
	Stream Stream
	ID     int64
	Sent   int64 // as Version.Sent
}

// Requested is one complete reading of a user's unresolved tickets: what the
// mirror holds beyond TicketIDs, and had before Sent, is taken out.
type Requested struct {
	UserID    int64
	TicketIDs []int64
	Sent      int64 // as Version.Sent
	AsOf      time.Time
}

// Position is how far a stream has been read.
type Position struct {
	Stream Stream
	// Cursor is Zendesk's, opaque; where the next page begins. Empty means
	// Start, or the beginning where that is zero.
	Cursor string
	// Start is the moment from which a stream is read that has no cursor yet:
	// what is older is known from elsewhere.
	Start time.Time
	// Complete is true once the stream has ever reached its end: only then
	// does an absence in the mirror prove anything.
	Complete bool
	// Watermark is the time, by Zendesk's Date header, of the request that
	// last reached the end of the stream, minus the minute that an export
	// leaves out. Zero before the first end.
	Watermark time.Time
}

// Batch is one atomic step of the mirror: what it holds and the position
// after it are on disk together or not at all. A batch that leaves something in
// doubt, see [Change], moves neither Position nor Sweep: whoever walks moves
// them once that is settled.
type Batch struct {
	Users     []UserUpdate
	Tickets   []TicketUpdate
	Gone      []Gone
	Requested []Requested
	Position  *Position // nil where no stream moved
	// Reread has the identities of all its users read again, whether the users
	// changed or not: a change of an identity need not move its user.
	Reread bool
	// Urgent marks what somebody waits for, a live answer or a webhook: it
	// goes in between the batches of an export.
	Urgent bool
	// Sweep, where it is not nil, is where the full walk stands after this
	// batch; one without a beginning says that none is under way.
	Sweep *Sweep
	// Round, where it is not nil, is where the rolling re-read stands after
	// this batch.
	Round *Round
}

// Sweep is a full walk under way: on disk, so that a restart goes on with it.
type Sweep struct {
	// Began is when it began, by our clock; zero where none is under way. What
	// no source has confirmed since five minutes before it may be gone.
	Began time.Time
	// Cursor is where the walk of all users goes on.
	Cursor string
	// Walked is true once that walk has come to its end.
	Walked bool
	// Users and Tickets are how many the mirror held at the beginning: what
	// the guard against mass deletion compares with.
	Users, Tickets int64
	// Force passes over the guard.
	Force bool
}

// Round is the rolling re-read of everybody's identities.
type Round struct {
	Began time.Time // of this round, by our clock
	After int64     // the last user read; 0 at the beginning of a round
}

// Object names one user or one ticket.
type Object struct {
	Stream Stream
	ID     int64
}

// Difference is one field of one object in which the mirror is not what
// Zendesk is. The values are not told: they are people's.
type Difference struct {
	Stream Stream
	ID     int64
	// Field is a field's name at Zendesk, or FieldMissing, or FieldExtra.
	Field string
	// Since is when Zendesk's object last changed by its own account, so that
	// the mirror may have been wrong since then; zero where that is not known.
	Since time.Time
}

// What is no field's name.
const (
	FieldMissing = "missing" // Zendesk has the object and the mirror has not
	FieldExtra   = "extra"   // the mirror has it and Zendesk has not
)

// Erasure is what an erasure took out of the mirror.
type Erasure struct {
	UserID int64
	// Users is 1 where the mirror held the person, else 0.
	Users int
	// Tickets are the ids of all tickets that the mirror knew as requested by
	// the person, resolved ones too as far as a stub was left of them.
	Tickets []int64
	Numbers []string  // the person's, in E.164
	At      time.Time // when the tombstone was set: the first time, where it was set before
}

// Change says which answers may differ after a batch. It is plain data, so
// that another machine can follow it too.
type Change struct {
	// Numbers are all old and new numbers, in E.164, of every user that changed.
	Numbers []string
	// People are the users, requesters and assignees whose record or tickets changed.
	People []int64
	// Accepted, Refreshed and Refused count the batch's records: newer than
	// what was held, the same as it, older than it.
	Accepted, Refreshed, Refused int
	// Unsure are objects that must be asked for by id: a "not found" stands
	// against a record that an export has brought, and which of the two is
	// later cannot be told.
	Unsure []Object
}

// Merge adds another change to this one. Numbers and people may then be named
// more than once.
func (c *Change) Merge(other Change) {
	c.Numbers = append(c.Numbers, other.Numbers...)
	c.People = append(c.People, other.People...)
	c.Accepted += other.Accepted
	c.Refreshed += other.Refreshed
	c.Refused += other.Refused
	c.Unsure = append(c.Unsure, other.Unsure...)
}

// Streams is how far both streams have come.
type Streams struct {
	Users, Tickets Position
}

// Filled tells whether both streams have ever reached their end.
func (s Streams) Filled() bool { return s.Users.Complete && s.Tickets.Complete }

// Size counts what the mirror holds.
type Size struct {
	Users            int64 // not deleted, of any role
	Numbers          int64 // different numbers
	Tickets          int64 // unresolved
	SharedNumbers    int64 // numbers of more than one user, of any role
	UnreadablePhones int64 // users whose profile phone is there but no number
	IdentitiesDue    int64 // users whose identities are still to be read
	FileBytes        int64
}
