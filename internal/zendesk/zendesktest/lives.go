package zendesktest

import (
	"fmt"
	"slices"
)

// What can happen to a person.

// SetPhone replaces the profile phone; "" takes it away. No event tells of it.
func (s *Server) SetPhone(id int64, phone string) error {
	return s.editUser(id, true, func(i int32, _ *user) { s.putPhone(i, phone) })
}

// MovePhone takes the profile phone of one person and gives it to another, in
// place of theirs: at no moment do both have it, or neither.
func (s *Server) MovePhone(from, to int64) error {
	return s.editTwo(from, to, func(i, j int32) error {
		phone := s.users[i].phone
		if phone == "" {
			return fmt.Errorf("%w: %d has no phone", ErrNoValue, from)
		}
		s.changeUser(i, true, func(i int32, _ *user) { s.putPhone(i, "") })
		s.changeUser(j, true, func(j int32, _ *user) { s.putPhone(j, phone) })
		return nil
	})
}

// MoveIdentity takes a further phone number, by its spelling, from one person
// and gives it to another, in one moment.
func (s *Server) MoveIdentity(from, to int64, phone string) error {
	touch := s.opt.IdentityTouchesUser
	return s.editTwo(from, to, func(i, j int32) error {
		is := func(x identity) bool { return x.value == phone }
		if !slices.ContainsFunc(s.users[i].extra, is) {
			return fmt.Errorf("%w: %d has no such identity", ErrNoValue, from)
		}
		s.changeUser(i, touch, func(_ int32, u *user) { u.extra = slices.DeleteFunc(slices.Clone(u.extra), is) })
		s.changeUser(j, touch, func(_ int32, u *user) { s.giveIdentity(u, phone, s.now()) })
		return nil
	})
}

// SetName renames a person; the e-mail address stays.
func (s *Server) SetName(id int64, name string) error {
	return s.editUser(id, true, func(i int32, u *user) {
		s.keepEmail(i, u)
		u.name = name
	})
}

// keepEmail has an address stand for itself that followed from the name.
func (s *Server) keepEmail(i int32, u *user) {
	u.email = s.emailOf(i, u)
	u.flags.put(hasMadeEmail, false)
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
		s.keepEmail(i, u)
		u.role = role(r)
	})
}

// SetOrganization moves a person to an organisation: 1 is the first, 0 none.
// Their tickets stay where they are.
func (s *Server) SetOrganization(id int64, organization int) error {
	if organization < 0 || organization > len(s.orgs) {
		return fmt.Errorf("%w: organisation %d", ErrNoValue, organization)
	}
	return s.editUser(id, true, func(_ int32, u *user) { u.org = int32(organization) - 1 })
}

// SetUserTags replaces a person's tags.
func (s *Server) SetUserTags(id int64, tags ...string) error {
	return s.editUser(id, true, func(_ int32, u *user) { u.tags = slices.Clone(tags) })
}

// SetShared sets shared_phone_number, whatever the truth of it.
func (s *Server) SetShared(id int64, shared bool) error {
	return s.editUser(id, true, func(_ int32, u *user) { u.flags.put(isShared, shared && u.phone != "") })
}

// AddIdentity gives a person a further phone number.
func (s *Server) AddIdentity(id int64, phone string) error {
	return s.editUser(id, s.opt.IdentityTouchesUser, func(_ int32, u *user) { s.giveIdentity(u, phone, s.now()) })
}

// RemoveIdentity takes a further phone number away, by its spelling; an
// identity that is not there is no error.
func (s *Server) RemoveIdentity(id int64, phone string) error {
	return s.editUser(id, s.opt.IdentityTouchesUser, func(_ int32, u *user) {
		u.extra = slices.DeleteFunc(slices.Clone(u.extra), func(x identity) bool { return x.value == phone })
	})
}

// SuspendUser suspends a person, or lets them back.
func (s *Server) SuspendUser(id int64, on bool) error {
	return s.editUser(id, true, func(_ int32, u *user) { u.flags.put(isSuspended, on) })
}

// DeleteUser makes a person active:false: still shown by id and in the export,
// not found by search. The phone stays in the record. Two events tell of it:
// active_changed and deleted.
func (s *Server) DeleteUser(id int64) error {
	return s.editUserAndTell(id, true, func(_ int32, u *user) { u.flags.put(isActive, false) },
		func(i int32, was, is *user) []event {
			all := s.userEvents(i, was, is)
			if was.flags.has(isActive) {
				all = append(all, happened("deleted"))
			}
			return all
		})
}

// RestoreUser makes a deleted person active again, with the phone that stayed
// in the record. Who was merged away or deleted for good does not come back.
func (s *Server) RestoreUser(id int64) error {
	s.mu.RLock()
	i, ok := s.userAt(id)
	ok = ok && s.users[i].flags&(isMerged|isScrubbed) == 0
	s.mu.RUnlock()
	if !ok {
		return fmt.Errorf("%w: %d cannot come back", ErrNoUser, id)
	}
	return s.editUser(id, true, func(i int32, u *user) {
		u.flags.put(isActive, true)
		if !u.flags.has(isShared) {
			s.putPhone(i, u.phone) // the direct line may be somebody else's by now
		}
	})
}

// PermanentlyDelete scrubs a person, active or not: active:false, without
// name, address and numbers. Vanish is what follows months later. The only
// event is deleted.
func (s *Server) PermanentlyDelete(id int64) error {
	return s.editUserAndTell(id, true, func(_ int32, u *user) {
		u.name, u.email, u.phone, u.number = "Permanently Deleted User", "", "", 0
		u.extra, u.tags = nil, nil
		u.flags.put(isActive|hasMadeEmail|isShared, false)
		u.flags.put(isScrubbed, true)
	}, func(_ int32, was, _ *user) []event {
		if was.flags.has(isScrubbed) {
			return nil
		}
		return []event{happened("deleted")}
	})
}

// Vanish takes a person out of every answer, the export included, without a
// trace and without an event. Only a walk over the whole export can notice.
func (s *Server) Vanish(id int64) error {
	return s.editUser(id, false, func(_ int32, u *user) { u.flags.put(isGone, true) })
}

// editTwo changes two people under one lock and tells of both, the first one
// first.
func (s *Server) editTwo(first, second int64, do func(i, j int32) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.userAt(first)
	j, ok2 := s.userAt(second)
	if !ok || !ok2 || i == j || s.users[i].flags.has(isGone) || s.users[j].flags.has(isGone) {
		return fmt.Errorf("%w: %d and %d", ErrNoUser, first, second)
	}
	was := [2]user{s.users[i], s.users[j]}
	if err := do(i, j); err != nil {
		return err
	}
	s.tellUser(i, s.userEvents(i, &was[0], &s.users[i])...)
	s.tellUser(j, s.userEvents(j, &was[1], &s.users[j])...)
	return nil
}

// MergeUsers merges the loser into the winner: identities, a phone that the
// winner lacks, and all tickets move over. The loser becomes active:false, or
// vanishes (Options.MergedVanish). One event tells of it, merged; the tickets
// tell nothing, unless WebhookOptions.MergeTellsTickets has them do so.
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
		u.flags.put(isMerged, true)
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
		was := s.tickets[t]
		s.changeTicket(t, true, func(x *ticket) { x.requester = to })
		s.moved[to] = append(s.moved[to], t)
		if s.opt.Webhooks.MergeTellsTickets {
			s.tellTicket(t, ticketEvents(&was, &s.tickets[t])...)
		}
	}
	about, other := from, to
	if s.opt.Webhooks.MergeNamesWinner {
		about, other = to, from
	}
	s.tellUser(about, event{"merged", map[string]any{"user": map[string]any{"id": personText(other)}}})
	return nil
}
