package zendesktest

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// RandomEdit does one edit of any kind to a random person or ticket and
// describes it. With the same account, clock and rng it does the same. It
// never makes anybody vanish (unless Options.MergedVanish does): a reader of
// increments could not notice.
func (s *Server) RandomEdit(rng *rand.Rand) string {
	s.mu.RLock()
	users, tickets := len(s.users), len(s.tickets)
	staff := len(s.agents) + 1
	s.mu.RUnlock()
	if users == staff || rng.IntN(12) == 0 {
		id := s.CreateUser(UserSpec{
			Name: fmt.Sprintf("New Person %d", users), Phone: s.randomPhone(rng), Locale: localeNames[rng.IntN(len(localeNames))],
		})
		return fmt.Sprintf("created user %d", id)
	}
	user := userID(int32(staff + rng.IntN(users-staff)))
	if tickets == 0 || rng.IntN(10) == 0 {
		id, err := s.CreateTicket(TicketSpec{
			Requester: user, Subject: fmt.Sprintf("New ticket %d", tickets),
			Priority: priorityNames[rng.IntN(len(priorityNames))], Type: typeNames[rng.IntN(len(typeNames))],
		})
		return outcome(err, "created ticket %d for user %d", id, user)
	}
	if rng.IntN(2) == 0 {
		return s.randomUserEdit(rng, user, staff, users)
	}
	return s.randomTicketEdit(rng, ticketID(int32(rng.IntN(tickets))), user)
}

func outcome(err error, format string, args ...any) string {
	what := fmt.Sprintf(format, args...)
	if err != nil {
		return what + ": nothing happened"
	}
	return what
}

// randomPhone is a number of someone else half the time, so that numbers come
// to be shared and to move.
func (s *Server) randomPhone(rng *rand.Rand) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch rng.IntN(6) {
	case 0:
		return ""
	case 1:
		return placeholders[rng.IntN(len(placeholders))]
	case 2, 3:
		return s.users[rng.IntN(len(s.users))].phone
	}
	return fmt.Sprintf("+1513555%04d", rng.IntN(10_000))
}

func (s *Server) randomUserEdit(rng *rand.Rand, id int64, staff, users int) string {
	switch rng.IntN(12) {
	case 0, 1, 2:
		return outcome(s.SetPhone(id, s.randomPhone(rng)), "set the phone of user %d", id)
	case 3:
		return outcome(s.SetName(id, fmt.Sprintf("Renamed Person %d", rng.IntN(1000))), "renamed user %d", id)
	case 4:
		return outcome(s.SetUserTags(id, "edited"), "tagged user %d", id)
	case 5, 6:
		phone := s.randomPhone(rng)
		if phone == "" {
			phone = "+15135557611"
		}
		return outcome(s.AddIdentity(id, phone), "gave user %d an identity", id)
	case 7:
		u, _ := s.Truth().User(id)
		if len(u.Identities) == 0 {
			return outcome(s.SetEmail(id, ""), "took the address of user %d", id)
		}
		return outcome(s.RemoveIdentity(id, u.Identities[0]), "took an identity of user %d", id)
	case 8:
		return outcome(s.SuspendUser(id, rng.IntN(2) == 0), "suspended user %d or let them back", id)
	case 9:
		return outcome(s.DeleteUser(id), "deleted user %d", id)
	case 10:
		if rng.IntN(2) == 0 {
			return outcome(s.PermanentlyDelete(id), "permanently deleted user %d", id)
		}
		return outcome(s.SetRole(id, roleNames[rng.IntN(2)]), "changed the role of user %d", id)
	}
	into := userID(int32(staff + rng.IntN(users-staff)))
	return outcome(s.MergeUsers(id, into), "merged user %d into %d", id, into)
}

func (s *Server) randomTicketEdit(rng *rand.Rand, id, user int64) string {
	switch rng.IntN(12) {
	case 0, 1, 2:
		to := statusNames[rng.IntN(int(statusDeleted))]
		return outcome(s.SetTicketStatus(id, to), "made ticket %d %s", id, to)
	case 3:
		return outcome(s.SetTicketPriority(id, priorityNames[rng.IntN(len(priorityNames))]), "set the priority of ticket %d", id)
	case 4:
		return outcome(s.SetTicketSubject(id, fmt.Sprintf("Changed subject %d", rng.IntN(1000))), "renamed ticket %d", id)
	case 5:
		return outcome(s.SetTicketRequester(id, user), "handed ticket %d to user %d", id, user)
	case 6:
		s.mu.RLock()
		agents := slices.Clone(s.agents)
		s.mu.RUnlock()
		to := userID(agents[rng.IntN(len(agents))])
		return outcome(s.SetTicketAssignee(id, to), "assigned ticket %d to %d", id, to)
	case 7:
		return outcome(s.SetTicketTags(id, "edited"), "tagged ticket %d", id)
	case 8:
		return outcome(s.SystemBump(id), "bumped ticket %d", id)
	case 9:
		return outcome(s.AddComment(id, "A random remark.", rng.IntN(2) == 0), "commented on ticket %d", id)
	case 10:
		if rng.IntN(3) == 0 {
			return outcome(s.ScrubTicket(id), "scrubbed ticket %d", id)
		}
		return outcome(s.DeleteTicket(id), "deleted ticket %d", id)
	}
	return outcome(s.RestoreTicket(id), "restored ticket %d", id)
}
