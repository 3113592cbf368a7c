// Package caller is the domain: who is calling, which tickets of theirs are
// still unresolved, and how what is known of them changes.
//
// Nothing here does I/O and nothing here knows HTTP, bbolt or Zendesk's wire
// format. The three places that do, store, sync and cache, exchange the
// values of this package, and proxy reads them.
//
// The story in one breath: a [Batch] of updates goes into the store through
// one door and comes back as a [Change], a list of what may now be answered
// differently; a [Query] goes into the resolver and comes back as an [Answer],
// which holds the people who have the number, each one a [Caller].
package caller

import (
	"slices"
	"strings"
	"time"
)

// User is the part of a Zendesk user that an answer is made of.
type User struct {
	ID             int64
	OrganizationID int64 // 0 where the user has none
	Name           string
	Email          string
	Phone          string // as Zendesk holds it: free text
	Locale         string // for example "es-MX"; "" where Zendesk has none
	Role           string // end-user, agent or admin
	Tags           []string
	Active         bool // false once deleted in Zendesk
	Suspended      bool
	CreatedAt      int64 // Unix seconds
	UpdatedAt      int64 // Unix seconds
}

// FirstName is the first word of the name, or "" where there is no name.
func (u *User) FirstName() string {
	first, _, _ := strings.Cut(strings.TrimSpace(u.Name), " ")
	return first
}

// Ticket is the part of a Zendesk ticket that an answer is made of.
// Absent ids are 0, absent words "".
type Ticket struct {
	ID             int64
	RequesterID    int64
	AssigneeID     int64
	OrganizationID int64
	GroupID        int64
	BrandID        int64
	FormID         int64
	CustomStatusID int64
	Status         string // new, open, pending, hold, solved, closed, deleted
	Priority       string // low, normal, high, urgent or ""
	Type           string // problem, incident, question, task or ""
	Subject        string
	Tags           []string
	CreatedAt      int64 // Unix seconds
	UpdatedAt      int64 // Unix seconds
}

// Unresolved tells whether the ticket still waits for something: what
// Zendesk's search calls status<solved.
func (t *Ticket) Unresolved() bool {
	switch t.Status {
	case "new", "open", "pending", "hold":
		return true
	default:
		return false
	}
}

// Person is what an answer says of an assignee.
type Person struct {
	ID    int64
	Name  string
	Email string
}

// Caller is a user with the tickets they wait for.
type Caller struct {
	User User
	// Seen is when a source last agreed with User, by our clock.
	Seen time.Time
	// Open holds the unresolved tickets, newest creation first, MaxOpen at
	// the most. OpenCount counts all of them.
	Open      []Ticket
	OpenCount int
	// TicketsSeen is when all unresolved tickets were last fetched for this
	// user alone; zero where only the ticket stream speaks for them.
	TicketsSeen time.Time
	// Assignees are the people whom Open names, those the mirror knows.
	Assignees []Person
}

// Assignee finds a person among the assignees; ok is false where the mirror
// does not know them.
func (c *Caller) Assignee(id int64) (p Person, ok bool) {
	i := slices.IndexFunc(c.Assignees, func(p Person) bool { return p.ID == id })
	if i < 0 {
		return Person{}, false
	}
	return c.Assignees[i], true
}

const (
	// MaxMatches is how many people one number is counted for. A number that
	// more people share is a switchboard, and 100 or 5,000 of them make the
	// same answer.
	MaxMatches = 100
	// MaxOpen is how many unresolved tickets of one person are read: a person
	// with more is a robot's mailbox, and the count still tells all of them.
	MaxOpen = 1000
)

// Match is what the mirror knows of a number.
type Match struct {
	// Callers are the people who have the number as profile phone or as an
	// identity, not deleted and of the roles asked for; MaxMatches at most.
	Callers []Caller
}
