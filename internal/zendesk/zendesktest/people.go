package zendesktest

import (
	"errors"
	"fmt"
	"slices"
)

// Errors of the Go side of the account.
var (
	ErrNoUser   = errors.New("no such user")
	ErrNoTicket = errors.New("no such ticket")
	ErrNoValue  = errors.New("no such status, priority, type or role")
)

// UserSpec describes a person to create. Everything may be left out.
type UserSpec struct {
	Name, Email, Phone string
	Role               string // end-user where empty
	Locale             string // one of en-US, en-GB, de, es-MX, es, fr, it, pt-BR, or none
	Tags               []string
	Organization       int // 1 is the first; 0 none
	Suspended          bool
	Identities         []string // further phone numbers, as a person wrote them
	// SharedPhone asks for shared_phone_number:true; without it a phone is a
	// direct line as long as it is a number and nobody else's.
	SharedPhone bool
}

// CreateUser makes a person and returns their id.
func (s *Server) CreateUser(spec UserSpec) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.createUser(spec)
	return userID(i)
}

func (s *Server) createUser(spec UserSpec) int32 {
	now, i := s.now(), int32(len(s.users))
	u := user{
		name: spec.Name, email: spec.Email, tags: slices.Clone(spec.Tags),
		created: now, updated: now, org: int32(spec.Organization) - 1, firstTicket: -1,
		locale: uint8(max(slices.Index(localeNames[:], spec.Locale), 0)),
		role:   role(max(slices.Index(roleNames[:], spec.Role), 0)),
		flags:  isActive,
	}
	if int(u.org) >= len(s.orgs) {
		u.org = -1
	}
	u.flags.put(isSuspended, spec.Suspended)
	s.users = append(s.users, u)
	made := &s.users[i]
	for _, value := range spec.Identities {
		s.giveIdentity(made, value, now)
	}
	s.putPhone(i, spec.Phone)
	if spec.SharedPhone && spec.Phone != "" {
		made.flags.put(isShared, true)
	}
	s.rememberUser(i, false)
	s.userOrder.add(now, i, false)
	s.indexPhones(i)
	s.tellUser(i, happened("created"))
	return i
}

// putPhone sets a phone and decides whether it is a direct line.
func (s *Server) putPhone(i int32, phone string) {
	u := &s.users[i]
	u.phone, u.number = phone, readNumber(phone)
	u.flags.put(isShared, phone != "" && (u.number == 0 || s.directLine(u.number, i)))
}

// directLine tells whether someone else has the number for themselves, as a
// direct line or an identity: then it can only be shared.
func (s *Server) directLine(number uint64, but int32) bool {
	for i := range s.suffixes.ending(numberDigits(number)) {
		u := &s.users[i]
		if i == but || u.flags.has(isGone) || !u.flags.has(isActive) {
			continue
		}
		if u.number == number && !u.flags.has(isShared) {
			return true
		}
		if slices.ContainsFunc(u.extra, func(x identity) bool { return x.number == number }) {
			return true
		}
	}
	return false
}

func (s *Server) giveIdentity(u *user, value string, now uint32) {
	s.identities++
	u.extra = append(slices.Clone(u.extra), identity{
		id: identityBase + s.identities, value: value, number: readNumber(value), at: now,
	})
}

// editUser changes a person under the lock and tells of it; touch moves
// updated_at.
func (s *Server) editUser(id int64, touch bool, edit func(i int32, u *user)) error {
	return s.editUserAndTell(id, touch, edit, s.userEvents)
}

// editUserAndTell is editUser where not the difference is what is told.
func (s *Server) editUserAndTell(id int64, touch bool, edit func(i int32, u *user), tell func(i int32, was, is *user) []event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.userAt(id)
	if !ok || s.users[i].flags.has(isGone) {
		return fmt.Errorf("%w: %d", ErrNoUser, id)
	}
	was := s.users[i]
	s.changeUser(i, touch, edit)
	s.tellUser(i, tell(i, &was, &s.users[i])...)
	return nil
}

func (s *Server) changeUser(i int32, touch bool, edit func(i int32, u *user)) {
	s.rememberUser(i, true)
	u := &s.users[i]
	phone, extra := u.phone, len(u.extra)
	edit(i, u)
	if u.phone != phone || len(u.extra) != extra {
		s.indexPhones(i)
	}
	if touch {
		s.touchUser(i)
	}
}

func (s *Server) touchUser(i int32) {
	u, now := &s.users[i], s.now()
	if u.updated == now {
		return
	}
	u.updated = now
	s.userOrder.add(now, i, true)
	s.userOrder.sweep(func(at uint32, i int32) bool { return s.users[i].updated == at })
}
