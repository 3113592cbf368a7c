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
	s.emitUser("created", i)
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

// editUser changes a person under the lock; touch moves updated_at.
func (s *Server) editUser(id int64, touch bool, edit func(i int32, u *user)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.userAt(id)
	if !ok || s.users[i].flags.has(isGone) {
		return fmt.Errorf("%w: %d", ErrNoUser, id)
	}
	s.changeUser(i, touch, edit)
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

// SetPhone replaces the profile phone; "" takes it away.
func (s *Server) SetPhone(id int64, phone string) error {
	return s.editUser(id, true, func(i int32, _ *user) { s.putPhone(i, phone) })
}

// SetName renames a person; the e-mail address stays.
func (s *Server) SetName(id int64, name string) error {
	return s.editUser(id, true, func(i int32, u *user) {
		u.email = s.emailOf(i, u)
		u.flags.put(hasMadeEmail, false)
		u.name = name
		s.emitUser("name_changed", i)
	})
}

// SetEmail replaces the address; "" takes it away.
func (s *Server) SetEmail(id int64, email string) error {
	return s.editUser(id, true, func(_ int32, u *user) {
		u.email = email
		u.flags.put(hasMadeEmail, false)
	})
}

// SetRole makes a person an end-user, agent or admin.
func (s *Server) SetRole(id int64, name string) error {
	r := slices.Index(roleNames[:], name)
	if r < 0 {
		return fmt.Errorf("%w: %q", ErrNoValue, name)
	}
	return s.editUser(id, true, func(i int32, u *user) {
		u.email = s.emailOf(i, u)
		u.flags.put(hasMadeEmail, false)
		u.role = role(r)
		s.emitUser("role_changed", i)
	})
}

// SetUserTags replaces a person's tags.
func (s *Server) SetUserTags(id int64, tags ...string) error {
	return s.editUser(id, true, func(i int32, u *user) {
		u.tags = slices.Clone(tags)
		s.emitUser("tags_changed", i)
	})
}

// SetShared sets shared_phone_number, whatever the truth of it.
func (s *Server) SetShared(id int64, shared bool) error {
	return s.editUser(id, true, func(_ int32, u *user) { u.flags.put(isShared, shared && u.phone != "") })
}

// AddIdentity gives a person a further phone number.
func (s *Server) AddIdentity(id int64, phone string) error {
	return s.editUser(id, s.opt.IdentityTouchesUser, func(i int32, u *user) {
		s.giveIdentity(u, phone, s.now())
		s.emitUser("identity_created", i)
	})
}

// RemoveIdentity takes a further phone number away, by its spelling; an
// identity that is not there is no error.
func (s *Server) RemoveIdentity(id int64, phone string) error {
	return s.editUser(id, s.opt.IdentityTouchesUser, func(i int32, u *user) {
		u.extra = slices.DeleteFunc(slices.Clone(u.extra), func(x identity) bool { return x.value == phone })
		s.emitUser("identity_deleted", i)
	})
}

// SuspendUser suspends a person, or lets them back.
func (s *Server) SuspendUser(id int64, on bool) error {
	return s.editUser(id, true, func(i int32, u *user) {
		u.flags.put(isSuspended, on)
		s.emitUser("suspended_changed", i)
	})
}

// DeleteUser makes a person active:false: still shown by id and in the export,
// not found by search. The phone stays in the record.
func (s *Server) DeleteUser(id int64) error {
	return s.editUser(id, true, func(i int32, u *user) {
		u.flags.put(isActive, false)
		s.emitUser("deleted", i)
	})
}

// PermanentlyDelete scrubs a person, active or not: active:false, without
// name, address and numbers. Vanish is what follows months later.
func (s *Server) PermanentlyDelete(id int64) error {
	return s.editUser(id, true, func(i int32, u *user) {
		u.name, u.email, u.phone, u.number = "Permanently Deleted User", "", "", 0
		u.extra, u.tags = nil, nil
		u.flags.put(isActive|hasMadeEmail|isShared, false)
		s.emitUser("permanently_deleted", i)
	})
}

// Vanish takes a person out of every answer, the export included, without a
// trace. Only a walk over the whole export can notice.
func (s *Server) Vanish(id int64) error {
	return s.editUser(id, false, func(_ int32, u *user) { u.flags.put(isGone, true) })
}

// MergeUsers merges the loser into the winner: identities, a phone that the
// winner lacks, and all tickets move over. The loser becomes active:false, or
// vanishes (Options.MergedVanish).
func (s *Server) MergeUsers(loser, winner int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	from, ok := s.userAt(loser)
	to, ok2 := s.userAt(winner)
	if !ok || !ok2 || from == to || s.users[from].flags.has(isGone) || s.users[to].flags.has(isGone) {
		return fmt.Errorf("%w: %d into %d", ErrNoUser, loser, winner)
	}
	lost := s.users[from]
	s.changeUser(from, true, func(_ int32, u *user) {
		u.flags.put(isActive, false)
		u.phone, u.number, u.extra = "", 0, nil
		u.flags.put(isGone, s.opt.MergedVanish)
	})
	s.changeUser(to, true, func(_ int32, u *user) {
		u.extra = slices.Concat(u.extra, lost.extra)
		switch {
		case lost.phone == "":
		case u.phone == "":
			u.phone, u.number = lost.phone, lost.number
			u.flags.put(isShared, lost.flags.has(isShared))
		case !lost.flags.has(isShared):
			s.giveIdentity(u, lost.phone, s.now())
		}
	})
	for _, t := range s.ticketsOf(from) {
		s.changeTicket(t, true, func(x *ticket) { x.requester = to })
		s.moved[to] = append(s.moved[to], t)
	}
	s.emitUser("merged", from)
	return nil
}
