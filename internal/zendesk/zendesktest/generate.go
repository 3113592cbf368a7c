package zendesktest

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/brianvoe/gofakeit/v7"
)

// What a generated account is made of. Its past lies between five years and
// two hours ago, so that a first export sees all of it.
const (
	pastUsers   = 5 * 365 * 24 * 3600
	pastTickets = 3 * 365 * 24 * 3600
	untouched   = 2 * 3600
	// fakerStream and peopleStream keep names and facts apart: another list
	// of names must not move anybody's number.
	fakerStream, peopleStream, workStream = 1, 2, 3
)

// placeholders are what forms and people put where no number is.
var placeholders = [...]string{"0000000000", "1111111111", "call mobile", "n/a", "+1 000 000 0000", "see notes", "-", "ext. 22"}

var userTagSets = [...][]string{nil, nil, nil, {"vip"}, {"newsletter"}, {"vip", "gold_contract"}, {"wholesale"}, {"beta"}}

var ticketTagSets = [...][]string{nil, nil, {"billing"}, {"login"}, {"refund", "billing"}, {"outage"}, {"hardware", "rma"}, {"feedback"}}

// generate fills the account from the seed.
func (s *Server) generate() {
	s.more = map[int32]*more{}
	s.moved = map[int32][]int32{}
	s.userLag = map[int32][]userVersion{}
	s.ticketLag = map[int32][]ticketVersion{}
	s.born = s.now()
	seed := s.opt.Seed
	names := gofakeit.NewFaker(rand.NewPCG(seed, fakerStream), false)
	staff := min(max(4, s.opt.Users/200), 500)
	s.users = make([]user, 0, (s.opt.Users+staff+1)*11/10+64)
	for range max(3, s.opt.Users/50) {
		s.orgs = append(s.orgs, names.Company())
	}
	g := &peopleMaker{s: s, names: names, rng: rand.New(rand.NewPCG(seed, peopleStream)), stock: newNumberStock(seed)}
	s.suffixes.filling = true
	g.staff(staff)
	g.customers(s.opt.Users)
	s.suffixes.settle()
	s.userOrder.keys = slices.Grow(s.userOrder.keys, cap(s.users))
	for i := range s.users {
		s.userOrder.keys = append(s.userOrder.keys, orderKey(s.users[i].updated, int32(i)))
	}
	slices.Sort(s.userOrder.keys)
	s.generateTickets(max(s.opt.Tickets, 0), names)
}

// peopleMaker makes the people of an account, oldest first.
type peopleMaker struct {
	s     *Server
	names *gofakeit.Faker
	rng   *rand.Rand
	stock *numberStock
	// shared is the number that the next people share, and how many still do.
	shared      number
	sharers     int
	sharerIndex int
}

func (g *peopleMaker) staff(n int) {
	u := g.person(g.s.born - pastUsers - 86_400)
	u.name, u.email, u.role = "Olive Owner", g.s.opt.Email, admin
	u.flags.put(hasMadeEmail, false)
	u.locale = 1
	g.add(u)
	for i := range n {
		u := g.person(g.s.born - pastUsers - 86_400 + uint32(i) + 1)
		u.role = agent
		if i%5 == 0 {
			u.role = admin
		}
		u.org, u.locale = 0, 1
		u.lastLogin = g.s.born - untouched - uint32(g.rng.IntN(86_400))
		g.s.agents = append(g.s.agents, int32(len(g.s.users)))
		g.add(u)
	}
}

func (g *peopleMaker) customers(n int) {
	for k := range n {
		// The k-th of n people came after k/n of the time.
		at := g.s.born - pastUsers + uint32(uint64(k)*uint64(pastUsers-untouched)/uint64(n))
		u := g.person(at)
		p := g.country()
		u.locale = g.stock.plans[p].locale
		if g.rng.IntN(10) == 0 {
			u.locale = 0
		}
		if g.rng.IntN(3) == 0 {
			u.org = int32(g.rng.IntN(len(g.s.orgs)))
		}
		u.tags = userTagSets[g.rng.IntN(len(userTagSets))]
		if g.rng.IntN(12) == 0 {
			u.flags.put(hasMadeEmail, false) // came by telephone, has no address
		}
		if g.rng.IntN(4) == 0 {
			u.updated = at + uint32(g.rng.Int64N(int64(g.s.born-untouched-at)))
		}
		switch g.rng.IntN(100) {
		case 0, 1:
			u.flags.put(isActive, false)
			u.tags = nil
		case 2:
			u.flags.put(isSuspended, true)
		}
		g.phones(&u, p)
		g.add(u)
	}
}

func (g *peopleMaker) person(at uint32) user {
	u := user{
		name:    g.names.FirstName() + " " + g.names.LastName(),
		created: at, updated: at, org: -1, firstTicket: -1,
	}
	u.flags = isActive | hasMadeEmail | isVerified
	return u
}

func (g *peopleMaker) country() int {
	n := g.rng.IntN(100)
	for p := range g.stock.plans {
		if n -= g.stock.plans[p].weight; n < 0 {
			return p
		}
	}
	return 0
}

// phones gives a person no number, a number of their own, one that several
// share, one that is no number, or one that only an identity holds.
func (g *peopleMaker) phones(u *user, p int) {
	if g.sharers > 0 {
		g.share(u)
		return
	}
	switch n := g.rng.IntN(100); {
	case n < 7: // no phone
	case n < 10:
		u.phone = placeholders[g.rng.IntN(len(placeholders))]
		u.flags.put(isShared, true)
	case n < 13: // 2 to 5 people, this one first
		g.shared, g.sharers, g.sharerIndex = g.stock.next(p), 2+g.rng.IntN(4), 0
		g.share(u)
	case n < 16: // a number that is only an identity
		g.identity(u, g.stock.next(p))
	default:
		x := g.stock.next(p)
		u.phone, u.number = x.spell(g.rng), x.value()
		if n < 21 {
			g.identity(u, g.stock.next(p))
		}
	}
}

// share gives the shared number to one more person; of every third group the
// second person has it as an identity only.
func (g *peopleMaker) share(u *user) {
	if g.sharerIndex == 1 && g.shared.value()%3 == 0 {
		g.identity(u, g.shared)
	} else {
		u.phone, u.number = g.shared.spell(g.rng), g.shared.value()
		u.flags.put(isShared, true)
	}
	g.sharerIndex++
	g.sharers--
}

func (g *peopleMaker) identity(u *user, x number) {
	g.s.identities++
	u.extra = append(u.extra, identity{
		id: identityBase + g.s.identities, value: x.spell(g.rng), number: x.value(), at: u.created,
	})
}

func (g *peopleMaker) add(u user) {
	i := int32(len(g.s.users))
	g.s.users = append(g.s.users, u)
	g.s.indexPhones(i)
}

// indexPhones makes a person's numbers findable by their last digits, those of
// the spelling and, where an extension hides them, those of the number.
func (s *Server) indexPhones(i int32) {
	u := &s.users[i]
	put := func(spelling string, number uint64) {
		a, b := digitsOf(spelling), numberDigits(number)
		s.suffixes.add(a, i)
		ka, _ := suffixKey(a)
		if kb, _ := suffixKey(b); b != "" && ka != kb {
			s.suffixes.add(b, i)
		}
	}
	put(u.phone, u.number)
	for _, x := range u.extra {
		put(x.value, x.number)
	}
}

// generateTickets spreads tickets over the customers, oldest first.
func (s *Server) generateTickets(n int, names *gofakeit.Faker) {
	staff := len(s.agents) + 1
	s.tickets = make([]ticket, 0, n*11/10+64)
	if len(s.users) == staff {
		return // nobody to ask for anything
	}
	subjects := subjectLines(names)
	rng := rand.New(rand.NewPCG(s.opt.Seed, workStream))
	here := staff // customers before this place had come by the ticket's time
	for k := range n {
		at := s.born - pastTickets + uint32(uint64(k)*uint64(pastTickets-untouched)/uint64(n))
		for here < len(s.users)-1 && s.users[here+1].created <= at {
			here++
		}
		requester := int32(staff + rng.IntN(here-staff+1))
		t := s.someTicket(rng, requester, at)
		t.subject = subjects[rng.IntN(len(subjects))]
		t.next = s.users[requester].firstTicket
		s.users[requester].firstTicket = int32(len(s.tickets))
		s.tickets = append(s.tickets, t)
	}
	s.ticketOrder.keys = slices.Grow(s.ticketOrder.keys, cap(s.tickets))
	for i := range s.tickets {
		s.ticketOrder.keys = append(s.ticketOrder.keys, orderKey(s.tickets[i].generated, int32(i)))
	}
	slices.Sort(s.ticketOrder.keys)
}

func (s *Server) someTicket(rng *rand.Rand, requester int32, at uint32) ticket {
	t := ticket{
		requester: requester, assignee: -1, org: s.users[requester].org, created: at, updated: at,
		priority: uint8(rng.IntN(len(priorityNames))), kind: uint8(rng.IntN(len(typeNames))),
		brand: uint8(rng.IntN(len(brandNames))), group: uint8(rng.IntN(len(groupNames))), form: uint8(rng.IntN(len(formNames))),
		tags: ticketTagSets[rng.IntN(len(ticketTagSets))],
	}
	rest := int64(s.born - untouched - at)
	switch n := rng.IntN(100); {
	case n < 6:
		t.status = statusNew
	case n < 14:
		t.status = statusOpen
	case n < 19:
		t.status = statusPending
	case n < 22:
		t.status = statusHold
	case n < 32:
		t.status = statusSolved
	case n < 99:
		t.status = statusClosed
	default:
		t.status, t.before = statusDeleted, statusOpen
		if rng.IntN(2) == 0 {
			t.flags |= isScrubbed
		}
	}
	if t.status != statusNew && len(s.agents) > 0 {
		t.assignee = s.agents[rng.IntN(len(s.agents))]
		t.updated = at + uint32(rng.Int64N(min(rest, 30*86_400)+1))
	}
	t.custom = customFor(t.status)
	if n := rng.IntN(20); n < 3 && customStatuses[5+n].category == t.status {
		t.custom = uint8(5 + n)
	}
	if rng.IntN(20) == 0 {
		t.flags |= isPrivate
	}
	t.generated = t.updated
	if rng.IntN(8) == 0 { // a later update by the system alone
		t.generated += uint32(rng.Int64N(int64(s.born-untouched-t.updated) + 1))
	}
	return t
}

// customFor is the standard custom status of a status.
func customFor(st status) uint8 { return uint8(min(st, statusSolved)) }

// subjectLines are what tickets are about; some of them are what careless
// renderers stumble over.
func subjectLines(names *gofakeit.Faker) []string {
	forms := [...]string{
		"Cannot log in to %s", "Refund for %s", "%s stopped working", "Question about the invoice for %s",
		"Delivery of %s is late", "How do I set up %s?", "%s: wrong colour", "Please cancel %s",
	}
	lines := make([]string, 0, 2048)
	for i := range 2040 {
		lines = append(lines, fmt.Sprintf(forms[i%len(forms)], names.ProductName()))
	}
	return append(lines,
		`"Quoted" <b>and marked up</b> & more`, "Störung am Anschluß – dringend", "¿Dónde está mi pedido?",
		"two\nlines", "emoji 🚒 in the subject", "{{dynamic.content}}", "ends in a backslash \\", "Re: Re: Fwd: 4711",
	)
}
