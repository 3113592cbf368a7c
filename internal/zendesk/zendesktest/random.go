package zendesktest

import (
	"errors"
	"fmt"
	"math/rand/v2"
)

// EditOptions leave kinds of edits out. The zero value does all of them.
type EditOptions struct {
	NoCreation   bool // of people and tickets
	NoProfiles   bool // names, addresses, tags, roles, organisations, suspension
	NoPhones     bool // set, taken away, moved to someone else
	NoIdentities bool // given, taken away, moved to someone else
	NoDeletion   bool // of people: deleted, restored, deleted for good
	NoMerges     bool // of people
	NoVanish     bool // of people: out of every answer, without a trace
	NoTickets    bool // whatever happens to a ticket that is there
}

// RandomEdit does one edit of any kind to a random person or ticket and
// describes it. With the same account, clock and rng it does the same. It
// never makes anybody vanish (unless Options.MergedVanish does): a reader of
// increments could not notice. RandomEditOf does that too.
func (s *Server) RandomEdit(rng *rand.Rand) string {
	return s.RandomEditOf(rng, EditOptions{NoVanish: true})
}

// RandomEditOf is RandomEdit with a choice of kinds. Where the options leave
// nothing, or the account has nobody to edit, a ticket or person is created
// all the same.
func (s *Server) RandomEditOf(rng *rand.Rand, opt EditOptions) string {
	s.mu.RLock()
	d := &dice{Server: s, rng: rng, users: len(s.users), tickets: len(s.tickets), staff: len(s.agents) + 1}
	s.mu.RUnlock()
	if d.users == d.staff {
		return d.userCreated()
	}
	total := 0
	kinds := d.kinds()
	for _, k := range kinds {
		if !k.left(&opt) {
			total += k.weight
		}
	}
	if total == 0 {
		return d.userCreated()
	}
	n := rng.IntN(total)
	for _, k := range kinds {
		if k.left(&opt) {
			continue
		}
		if n -= k.weight; n < 0 {
			if k.group == ticketEdits && d.tickets == 0 {
				return d.ticketCreated()
			}
			return k.do()
		}
	}
	return "" // not reached: n is less than all weights together
}

type editGroup uint8

const (
	creations editGroup = iota
	profileEdits
	phoneEdits
	identityEdits
	deletions
	merges
	vanishings
	ticketEdits
)

// editKind is one kind of edit; of a hundred edits about weight are of it.
type editKind struct {
	group  editGroup
	weight int
	do     func() string
}

// left tells whether the options leave the kind out.
func (k *editKind) left(opt *EditOptions) bool {
	return [...]bool{
		creations: opt.NoCreation, profileEdits: opt.NoProfiles, phoneEdits: opt.NoPhones, identityEdits: opt.NoIdentities,
		deletions: opt.NoDeletion, merges: opt.NoMerges, vanishings: opt.NoVanish, ticketEdits: opt.NoTickets,
	}[k.group]
}

// dice choose whom an edit hits and with what.
type dice struct {
	*Server
	rng                   *rand.Rand
	users, tickets, staff int
}

func (d *dice) kinds() []editKind {
	return []editKind{
		{creations, 7, d.userCreated}, {creations, 9, d.ticketCreated},
		{profileEdits, 3, d.renamed}, {profileEdits, 2, d.addressed}, {profileEdits, 3, d.userTagged},
		{profileEdits, 1, d.roleChanged}, {profileEdits, 1, d.organised}, {profileEdits, 3, d.suspended},
		{phoneEdits, 8, d.phoned}, {phoneEdits, 3, d.phoneMoved},
		{identityEdits, 5, d.identityGiven}, {identityEdits, 3, d.identityTaken}, {identityEdits, 2, d.identityMoved},
		{deletions, 3, d.deleted}, {deletions, 2, d.restored}, {deletions, 1, d.deletedForGood},
		{merges, 3, d.merged}, {vanishings, 1, d.vanished},
		{ticketEdits, 9, d.statusSet}, {ticketEdits, 3, d.reopened}, {ticketEdits, 3, d.prioritySet}, {ticketEdits, 1, d.typeSet},
		{ticketEdits, 3, d.subjectSet}, {ticketEdits, 2, d.ticketTagged}, {ticketEdits, 4, d.handed}, {ticketEdits, 3, d.assigned},
		{ticketEdits, 3, d.bumped}, {ticketEdits, 4, d.commented}, {ticketEdits, 3, d.ticketDeleted},
		{ticketEdits, 2, d.ticketRestored}, {ticketEdits, 1, d.scrubbed}, {ticketEdits, 1, d.ticketsMerged},
	}
}

// outcome describes an edit, or that there was none.
func outcome(err error, format string, args ...any) string {
	what := fmt.Sprintf(format, args...)
	if err != nil {
		return what + ": nothing happened"
	}
	return what
}

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }

// user is any customer, gone ones too; ticket any ticket.
func (d *dice) user() int64   { return userID(int32(d.staff + d.rng.IntN(d.users-d.staff))) }
func (d *dice) ticket() int64 { return ticketID(int32(d.rng.IntN(d.tickets))) }

func (d *dice) agent() int64 {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return userID(pick(d.rng, d.agents))
}

// phone is a number of someone else every third time, so that numbers come to
// be shared and to move.
func (d *dice) phone() string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	switch d.rng.IntN(6) {
	case 0:
		return ""
	case 1:
		return pick(d.rng, placeholders[:])
	case 2, 3:
		return d.Server.users[d.rng.IntN(d.users)].phone
	}
	return fmt.Sprintf("+1513555%04d", d.rng.IntN(10_000))
}

// someone finds a customer for whom fits holds, in a few dozen throws; failing
// that it is anyone.
func (d *dice) someone(fits func(u *user) bool) int64 {
	d.mu.RLock()
	defer d.mu.RUnlock()
	id := d.user()
	for range 40 {
		if i, _ := d.userAt(id); fits(&d.Server.users[i]) {
			break
		}
		id = d.user()
	}
	return id
}

// ticketLike is the same for tickets.
func (d *dice) ticketLike(fits func(t *ticket) bool) int64 {
	d.mu.RLock()
	defer d.mu.RUnlock()
	id := d.ticket()
	for range 40 {
		if i, _ := d.ticketAt(id); fits(&d.Server.tickets[i]) {
			break
		}
		id = d.ticket()
	}
	return id
}

func (d *dice) userCreated() string {
	id := d.CreateUser(UserSpec{Name: fmt.Sprintf("New Person %d", d.users), Phone: d.phone(), Locale: pick(d.rng, localeNames[:])})
	return fmt.Sprintf("created user %d", id)
}

func (d *dice) ticketCreated() string {
	user := d.user()
	id, err := d.CreateTicket(TicketSpec{
		Requester: user, Subject: fmt.Sprintf("New ticket %d", d.tickets),
		Priority: pick(d.rng, priorityNames[:]), Type: pick(d.rng, typeNames[:]),
	})
	return outcome(err, "created ticket %d for user %d", id, user)
}

func (d *dice) renamed() string {
	id := d.user()
	return outcome(d.SetName(id, fmt.Sprintf("Renamed Person %d", d.rng.IntN(1000))), "renamed user %d", id)
}

func (d *dice) addressed() string {
	id, address := d.user(), ""
	if d.rng.IntN(3) > 0 {
		address = fmt.Sprintf("person%d@example.com", d.rng.IntN(100_000))
	}
	return outcome(d.SetEmail(id, address), "set the address of user %d", id)
}

func (d *dice) userTagged() string {
	id := d.user()
	return outcome(d.SetUserTags(id, fmt.Sprintf("edited_%d", d.rng.IntN(10))), "tagged user %d", id)
}

func (d *dice) roleChanged() string {
	id := d.user()
	return outcome(d.SetRole(id, roleNames[d.rng.IntN(2)]), "changed the role of user %d", id)
}

func (d *dice) organised() string {
	id := d.user()
	return outcome(d.SetOrganization(id, d.rng.IntN(len(d.orgs)+1)), "changed the organisation of user %d", id)
}

func (d *dice) suspended() string {
	id := d.user()
	return outcome(d.SuspendUser(id, d.rng.IntN(2) == 0), "suspended user %d or let them back", id)
}

func (d *dice) phoned() string {
	id := d.user()
	return outcome(d.SetPhone(id, d.phone()), "set the phone of user %d", id)
}

func (d *dice) phoneMoved() string {
	from, to := d.someone(func(u *user) bool { return u.phone != "" }), d.user()
	return outcome(d.MovePhone(from, to), "moved the phone of user %d to %d", from, to)
}

func (d *dice) identityGiven() string {
	id, phone := d.user(), d.phone()
	if phone == "" {
		phone = "+15135557611"
	}
	return outcome(d.AddIdentity(id, phone), "gave user %d an identity", id)
}

// ofIdentity finds someone with a further number, and that number.
func (d *dice) ofIdentity() (id int64, phone string, err error) {
	id = d.someone(func(u *user) bool { return len(u.extra) > 0 })
	u, _ := d.Truth().User(id)
	if len(u.Identities) == 0 {
		return id, "", errors.New("no identity")
	}
	return id, pick(d.rng, u.Identities), nil
}

func (d *dice) identityTaken() string {
	id, phone, err := d.ofIdentity()
	if err == nil {
		err = d.RemoveIdentity(id, phone)
	}
	return outcome(err, "took an identity of user %d", id)
}

func (d *dice) identityMoved() string {
	from, phone, err := d.ofIdentity()
	to := d.user()
	if err == nil {
		err = d.MoveIdentity(from, to, phone)
	}
	return outcome(err, "moved an identity of user %d to %d", from, to)
}

func (d *dice) deleted() string {
	id := d.user()
	return outcome(d.DeleteUser(id), "deleted user %d", id)
}

func (d *dice) restored() string {
	id := d.someone(func(u *user) bool { return u.flags&(isActive|isGone|isMerged|isScrubbed) == 0 })
	return outcome(d.RestoreUser(id), "restored user %d", id)
}

func (d *dice) deletedForGood() string {
	id := d.user()
	return outcome(d.PermanentlyDelete(id), "permanently deleted user %d", id)
}

func (d *dice) merged() string {
	loser, winner := d.user(), d.user()
	return outcome(d.MergeUsers(loser, winner), "merged user %d into %d", loser, winner)
}

func (d *dice) vanished() string {
	id := d.user()
	return outcome(d.Vanish(id), "made user %d vanish", id)
}

func (d *dice) statusSet() string {
	id, to := d.ticket(), statusNames[d.rng.IntN(int(statusDeleted))]
	return outcome(d.SetTicketStatus(id, to), "made ticket %d %s", id, to)
}

func (d *dice) reopened() string {
	id := d.ticketLike(func(t *ticket) bool { return t.status == statusSolved })
	return outcome(d.SetTicketStatus(id, "open"), "reopened ticket %d", id)
}

func (d *dice) prioritySet() string {
	id := d.ticket()
	return outcome(d.SetTicketPriority(id, pick(d.rng, priorityNames[:])), "set the priority of ticket %d", id)
}

func (d *dice) typeSet() string {
	id := d.ticket()
	return outcome(d.SetTicketType(id, pick(d.rng, typeNames[:])), "set the type of ticket %d", id)
}

func (d *dice) subjectSet() string {
	id := d.ticket()
	return outcome(d.SetTicketSubject(id, fmt.Sprintf("Changed subject %d", d.rng.IntN(1000))), "renamed ticket %d", id)
}

func (d *dice) ticketTagged() string {
	id := d.ticket()
	return outcome(d.SetTicketTags(id, fmt.Sprintf("edited_%d", d.rng.IntN(10))), "tagged ticket %d", id)
}

func (d *dice) handed() string {
	id, user := d.ticket(), d.user()
	return outcome(d.SetTicketRequester(id, user), "handed ticket %d to user %d", id, user)
}

func (d *dice) assigned() string {
	id, to := d.ticket(), int64(0)
	if d.rng.IntN(5) > 0 {
		to = d.agent()
	}
	return outcome(d.SetTicketAssignee(id, to), "assigned ticket %d to %d", id, to)
}

func (d *dice) bumped() string {
	id := d.ticket()
	return outcome(d.SystemBump(id), "bumped ticket %d", id)
}

func (d *dice) commented() string {
	id := d.ticket()
	return outcome(d.AddComment(id, "A random remark.", d.rng.IntN(2) == 0), "commented on ticket %d", id)
}

func (d *dice) ticketDeleted() string {
	id := d.ticket()
	return outcome(d.DeleteTicket(id), "deleted ticket %d", id)
}

func (d *dice) ticketRestored() string {
	id := d.ticketLike(func(t *ticket) bool { return t.status == statusDeleted && !t.flags.has(isScrubbed) })
	return outcome(d.RestoreTicket(id), "restored ticket %d", id)
}

func (d *dice) scrubbed() string {
	id := d.ticket()
	return outcome(d.ScrubTicket(id), "scrubbed ticket %d", id)
}

func (d *dice) ticketsMerged() string {
	from, into := d.ticket(), d.ticket()
	return outcome(d.MergeTickets(from, into), "merged ticket %d into %d", from, into)
}
