package zendesktest

import "time"

// Search reads an index that trails the records. A version is what search
// still believes of an object until a time; before its creation an object is
// a version that does not exist. What a search answers is the version it
// found, old text and old updated_at included: whether the real service would
// read the record afresh is not known, and this is the harder case.

type userVersion struct {
	until  time.Time
	exists bool
	was    user
}

type ticketVersion struct {
	until  time.Time
	exists bool
	was    ticket
}

// rememberUser keeps the present version for search, before a change.
func (s *Server) rememberUser(i int32, exists bool) {
	if s.lag == 0 {
		return
	}
	now := s.clock()
	kept := s.userLag[i][:0:0]
	for _, v := range s.userLag[i] {
		if v.until.After(now) {
			kept = append(kept, v)
		}
	}
	u := &s.users[i]
	s.userLag[i] = append(kept, userVersion{now.Add(s.lag), exists, *u})
	u.flags.put(isBehind, true)
}

func (s *Server) rememberTicket(i int32, exists bool) {
	if s.lag == 0 {
		return
	}
	now := s.clock()
	kept := s.ticketLag[i][:0:0]
	for _, v := range s.ticketLag[i] {
		if v.until.After(now) {
			kept = append(kept, v)
		}
	}
	t := &s.tickets[i]
	s.ticketLag[i] = append(kept, ticketVersion{now.Add(s.lag), exists, *t})
	t.flags.put(isBehind, true)
}

// searchedUser is the version of a user that search knows, nil where none.
func (s *Server) searchedUser(i int32, now time.Time) *user {
	u := &s.users[i]
	if u.flags.has(isBehind) {
		for k := range s.userLag[i] {
			if v := &s.userLag[i][k]; v.until.After(now) {
				if !v.exists {
					return nil
				}
				u = &v.was
				break
			}
		}
	}
	if u.flags.has(isGone) || !u.flags.has(isActive) {
		return nil
	}
	return u
}

func (s *Server) searchedTicket(i int32, now time.Time) *ticket {
	t := &s.tickets[i]
	if t.flags.has(isBehind) {
		for k := range s.ticketLag[i] {
			if v := &s.ticketLag[i][k]; v.until.After(now) {
				if !v.exists {
					return nil
				}
				t = &v.was
				break
			}
		}
	}
	if t.flags.has(isGone) || t.status == statusDeleted {
		return nil
	}
	return t
}
