package zendesktest

import (
	"strconv"
	"strings"
	"time"
)

// The state keeps a million users and two million tickets in well under a
// gigabyte: an object is a small struct in a slice, its id follows from its
// place, times are Unix seconds in 32 bits (good until 2106), and everything
// that few objects have stands in a map beside the slice.

// A user's id is userBase + userStep times its place. Real ids look like
// this, and the gap leaves room for the ids of the user's own identities.
const (
	userBase = 6_130_000_000_000
	userStep = 128
)

// Ids of the account's furniture: each has a range of its own.
const (
	brandBase    = 6_130_830_354_842
	groupBase    = 6_130_852_536_346
	formBase     = 6_130_830_344_474
	customBase   = 6_130_830_355_738
	orgBase      = 6_130_869_157_658
	identityBase = 7_000_000_000_000
	auditBase    = 8_000_000_000_000
	// auditStep is the room an audit has for the ids of its events.
	auditStep = 128
)

type role uint8

const (
	endUser role = iota
	agent
	admin
)

var roleNames = [...]string{endUser: "end-user", agent: "agent", admin: "admin"}

func (r role) String() string { return roleNames[r] }

type status uint8

// In the order that search compares by.
const (
	statusNew status = iota
	statusOpen
	statusPending
	statusHold
	statusSolved
	statusClosed
	statusDeleted
)

var statusNames = [...]string{"new", "open", "pending", "hold", "solved", "closed", "deleted"}

func (s status) String() string { return statusNames[s] }

func (s status) unresolved() bool { return s < statusSolved }

// Priorities and types in the order of their index; 0 is null.
var (
	priorityNames = [...]string{"", "low", "normal", "high", "urgent"}
	typeNames     = [...]string{"", "question", "incident", "problem", "task"}
	localeNames   = [...]string{"", "en-US", "en-GB", "de", "es-MX", "es", "fr", "it", "pt-BR"}
	localeIDs     = [...]int{0, 1, 1176, 8, 1194, 2, 16, 22, 19}
	zoneNames     = [...]string{
		"America/New_York", "America/Chicago", "Europe/London", "Europe/Berlin",
		"America/Mexico_City", "Europe/Madrid", "Europe/Paris", "Europe/Rome", "America/Sao_Paulo",
	}
	brandNames = [...]string{"Main", "Outlet", "Partner desk"}
	groupNames = [...]string{"Support", "Billing", "Field service", "Tier 2"}
	formNames  = [...]string{"Default form", "Returns", "Outage report"}
)

// customStatus is a status of the account's own within one of Zendesk's.
type customStatus struct {
	label    string
	category status
	standard bool
}

// The first five are the standard ones, at the index of their status.
var customStatuses = [...]customStatus{
	{"New", statusNew, true},
	{"Open", statusOpen, true},
	{"Pending", statusPending, true},
	{"On-hold", statusHold, true},
	{"Solved", statusSolved, true},
	{"Waiting for parts", statusHold, false},
	{"Engineer on the way", statusOpen, false},
	{"Waiting for the customer", statusPending, false},
}

type flags uint16

const (
	isActive flags = 1 << iota
	isSuspended
	isShared // the profile phone is shared: no identity of its own
	isGone   // in no answer any more
	isVerified
	hasMadeEmail   // the e-mail follows from name and place
	isPrivate      // a ticket whose first comment is an internal note
	isScrubbed     // personal data taken out
	isBehind       // search does not know the newest version yet
	isFromFollowUp // a ticket that follows a closed one
	isMerged       // a person who was merged into another
)

func (f flags) has(x flags) bool { return f&x != 0 }

func (f *flags) put(x flags, on bool) {
	if on {
		*f |= x
	} else {
		*f &^= x
	}
}

// user is one person. Slices are replaced, never written into: a copy of the
// struct is a snapshot.
type user struct {
	name, email, phone string
	number             uint64 // E.164 digits of phone, 0 where it is no number
	extra              []identity
	tags               []string
	created, updated   uint32
	lastLogin          uint32 // 0: never
	org                int32  // place among the organisations, -1: none
	firstTicket        int32  // head of the list through ticket.next, -1: none
	locale             uint8
	role               role
	flags              flags
}

// identity is a further phone number, or e-mail, of a user.
type identity struct {
	id     int64
	value  string
	number uint64
	at     uint32
}

// ticket is one request for help.
type ticket struct {
	subject             string
	tags                []string
	requester, assignee int32 // places among the users; assignee -1: none
	org                 int32
	next                int32 // the next ticket created for the same person, -1: none
	created, updated    uint32
	generated           uint32
	status, before      status // before: what it was until deleted
	priority, kind      uint8
	custom              uint8
	brand, group, form  uint8
	flags               flags
}

// more is what only tickets have that someone worked on.
type more struct {
	audits      []audit // those after the creation
	custom      []byte  // metadata.custom of the creation
	description string  // "" follows from the subject
	followUps   []int64
	followsUp   int64
}

// audit is one recorded change of a ticket.
type audit struct {
	id      int64
	at      uint32
	author  int32
	comment *comment
	changes []change
	custom  []byte // metadata.custom as JSON, nil where none was sent
}

type comment struct {
	body      string
	public    bool
	inherited bool // the request did not say public
}

type change struct{ field, was, is string }

// state is everything an account holds. Server.mu guards it.
type state struct {
	users       []user
	tickets     []ticket
	orgs        []string
	more        map[int32]*more
	userOrder   order
	ticketOrder order
	suffixes    suffixes
	// moved holds, for a person, tickets that came by a change of requester.
	moved      map[int32][]int32
	userLag    map[int32][]userVersion
	ticketLag  map[int32][]ticketVersion
	born       uint32 // when the account was generated
	identities int64  // given out so far
	audits     int64
	agents     []int32
}

func userID(i int32) int64 { return userBase + int64(i)*userStep }

// userAt finds a user's place; ok is false for ids that never were.
func (s *state) userAt(id int64) (i int32, ok bool) {
	n := id - userBase
	if n < 0 || n%userStep != 0 || n/userStep >= int64(len(s.users)) {
		return 0, false
	}
	return int32(n / userStep), true
}

func ticketID(i int32) int64 { return int64(i) + 1 }

func (s *state) ticketAt(id int64) (i int32, ok bool) {
	if id < 1 || id > int64(len(s.tickets)) {
		return 0, false
	}
	return int32(id - 1), true
}

// emailOf is the user's address, "" where there is none.
func (s *state) emailOf(i int32, u *user) string {
	if !u.flags.has(hasMadeEmail) {
		return u.email
	}
	host := "@example.com"
	switch {
	case u.role != endUser:
		host = "@agents.example.com"
	case i%3 == 0:
		host = "@example.org"
	}
	var b strings.Builder
	for _, r := range strings.ToLower(u.name) {
		switch {
		case r >= 'a' && r <= 'z':
			b.WriteRune(r)
		case r == ' ':
			b.WriteByte('.')
		}
	}
	return b.String() + "." + strconv.Itoa(int(i)) + host
}

// now is the account's time in whole seconds.
func (s *Server) now() uint32 { return uint32(s.clock().Unix()) }

func timestamp(at uint32) string {
	return time.Unix(int64(at), 0).UTC().Format("2006-01-02T15:04:05Z")
}
