package model

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"aniproxy/internal/zendesk/zendesktest"
)

// editor changes the account at random. It knows who and what there is, so
// that an edit costs the same in a large account as in a small one.
type editor struct {
	w       *world
	rng     *rand.Rand
	people  []int64 // end-users who were not lost
	lost    []int64 // deleted, merged away
	agents  []int64
	open    []int64 // tickets that are not deleted for good
	made    int
	hotAt   int
	numbers int // how many different numbers there are
}

func newEditor(w *world, rng *rand.Rand, numbers int) *editor {
	e := &editor{w: w, rng: rng, numbers: numbers}
	for u := range w.sim.Truth().Users() {
		if u.Role == "end-user" {
			e.people = append(e.people, u.ID)
		} else {
			e.agents = append(e.agents, u.ID)
		}
	}
	for t := range w.sim.Truth().Tickets() {
		e.open = append(e.open, t.ID)
	}
	return e
}

// spellings is how many there are of one number.
const spellings = 4

// phone is one of few numbers in one of many spellings.
func phone(n, spelling int) string {
	return fmt.Sprintf([]string{"+1513555%04d", "(513) 555-%04d", "513.555.%04d", "1 513 555 %04d"}[spelling], n)
}

// phone is a random one: people share them and pass them on.
func (e *editor) phone() string { return phone(e.rng.IntN(e.numbers), e.rng.IntN(spellings)) }

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }

// hot is how many people and tickets are changed far more often than others for
// a while: what reads them overlaps.
const hot = 4

// someone is a person, often one of the few that are hot.
func (e *editor) someone() int64 { return e.one(e.people) }

// ticket is one, often one of the hot.
func (e *editor) ticket() int64 { return e.one(e.open) }

func (e *editor) one(of []int64) int64 {
	if e.rng.IntN(60) == 0 {
		e.hotAt = e.rng.IntN(1 << 20)
	}
	if e.rng.IntN(3) == 0 {
		return of[(e.hotAt+e.rng.IntN(hot))%len(of)]
	}
	return pick(e.rng, of)
}

// outcome is what an edit touched.
type outcome struct{ users, tickets []int64 }

func user(ids ...int64) outcome   { return outcome{users: ids} }
func ticket(ids ...int64) outcome { return outcome{tickets: ids} }

// edit is one kind of change. do returns nothing where the account refuses.
type edit struct {
	name   string
	weight int
	do     func(e *editor, sim *zendesktest.Server) (outcome, error)
}

var edits = []edit{
	{"phone set", 10, func(e *editor, sim *zendesktest.Server) (outcome, error) {
		id := e.someone()
		return user(id), sim.SetPhone(id, e.phone())
	}},
	{"phone taken away", 2, func(e *editor, sim *zendesktest.Server) (outcome, error) {
		id := e.someone()
		return user(id), sim.SetPhone(id, "")
	}},
	{"phone passed on", 5, func(e *editor, sim *zendesktest.Server) (outcome, error) {
		from, to := e.someone(), e.someone()
		u, ok := sim.Truth().User(from)
		if !ok || from == to {
			return outcome{}, nil
		}
		if err := sim.SetPhone(from, ""); err != nil {
			return outcome{}, err
		}
		return user(from, to), sim.SetPhone(to, u.Phone)
	}},
	{"identity given", 6, func(e *editor, sim *zendesktest.Server) (outcome, error) {
		id := e.someone()
		return user(id), sim.AddIdentity(id, e.phone())
	}},
	{"identity taken away", 5, func(e *editor, sim *zendesktest.Server) (outcome, error) {
		id := e.someone()
		u, ok := sim.Truth().User(id)
		if !ok || len(u.Identities) == 0 {
			return outcome{}, nil
		}
		return user(id), sim.RemoveIdentity(id, pick(e.rng, u.Identities))
	}},
	{"identity passed on", 3, func(e *editor, sim *zendesktest.Server) (outcome, error) {
		from, to := e.someone(), e.someone()
		u, ok := sim.Truth().User(from)
		if !ok || from == to || len(u.Identities) == 0 {
			return outcome{}, nil
		}
		phone := pick(e.rng, u.Identities)
		if err := sim.RemoveIdentity(from, phone); err != nil {
			return outcome{}, err
		}
		return user(from, to), sim.AddIdentity(to, phone)
	}},
	{"name", 5, func(e *editor, sim *zendesktest.Server) (outcome, error) {
		id := e.someone()
		e.made++
		return user(id), sim.SetName(id, fmt.Sprintf("Renamed %d", e.made))
	}},
	{"user tags", 3, func(e *editor, sim *zendesktest.Server) (outcome, error) {
		id := e.someone()
		e.made++
		return user(id), sim.SetUserTags(id, fmt.Sprintf("tag%d", e.made))
	}},
	{"e-mail", 2, func(e *editor, sim *zendesktest.Server) (outcome, error) {
		id := e.someone()
		e.made++
		return user(id), sim.SetEmail(id, fmt.Sprintf("mail%d@example.com", e.made))
	}},
	{"suspended or back", 3, func(e *editor, sim *zendesktest.Server) (outcome, error) {
		id := e.someone()
		return user(id), sim.SuspendUser(id, e.rng.IntN(2) == 0)
	}},
	{"role", 1, func(e *editor, sim *zendesktest.Server) (outcome, error) {
		id := e.someone()
		return user(id), sim.SetRole(id, pick(e.rng, []string{"end-user", "end-user", "agent"}))
	}},
	{"user created", 5, func(e *editor, sim *zendesktest.Server) (outcome, error) {
		e.made++
		id := sim.CreateUser(zendesktest.UserSpec{Name: fmt.Sprintf("Newcomer %d", e.made), Phone: e.phone()})
		e.people = append(e.people, id)
		return user(id), nil
	}},
	{"user deleted", 3, func(e *editor, sim *zendesktest.Server) (outcome, error) {
		id := e.lose()
		return user(id), sim.DeleteUser(id)
	}},
	{"user deleted for good", 1, func(e *editor, sim *zendesktest.Server) (outcome, error) {
		id := e.lose()
		return user(id), sim.PermanentlyDelete(id)
	}},
	{"user restored", 1, func(e *editor, sim *zendesktest.Server) (outcome, error) {
		if len(e.lost) == 0 {
			return outcome{}, nil
		}
		id := pick(e.rng, e.lost)
		if err := sim.RestoreUser(id); err != nil {
			return outcome{}, nil
		}
		return user(id), nil
	}},
	{"user vanished", 1, func(e *editor, sim *zendesktest.Server) (outcome, error) {
		id := e.lose()
		if e.rng.IntN(4) != 0 {
			e.people = append(e.people, id)
			return outcome{}, nil
		}
		return user(id), sim.Vanish(id)
	}},
	{"users merged", 2, func(e *editor, sim *zendesktest.Server) (outcome, error) {
		loser := e.lose()
		winner := e.someone()
		touched := outcome{users: []int64{loser, winner}}
		for _, t := range sim.Truth().TicketsOf(loser) {
			touched.tickets = append(touched.tickets, t.ID)
		}
		return touched, sim.MergeUsers(loser, winner)
	}},
	{"ticket created", 12, func(e *editor, sim *zendesktest.Server) (outcome, error) {
		e.made++
		id, err := sim.CreateTicket(zendesktest.TicketSpec{
			Requester: e.someone(), Subject: fmt.Sprintf("Trouble %d", e.made),
			Priority: pick(e.rng, []string{"", "low", "high", "urgent"}), Type: pick(e.rng, []string{"", "incident", "question"}),
		})
		e.open = append(e.open, id)
		return ticket(id), err
	}},
	{"ticket status", 18, func(e *editor, sim *zendesktest.Server) (outcome, error) {
		id := e.ticket()
		return ticket(id), sim.SetTicketStatus(id, pick(e.rng, []string{"open", "pending", "hold", "solved", "closed", "open"}))
	}},
	{"ticket priority", 4, func(e *editor, sim *zendesktest.Server) (outcome, error) {
		id := e.ticket()
		return ticket(id), sim.SetTicketPriority(id, pick(e.rng, []string{"", "low", "normal", "urgent"}))
	}},
	{"ticket subject", 4, func(e *editor, sim *zendesktest.Server) (outcome, error) {
		id := e.ticket()
		e.made++
		return ticket(id), sim.SetTicketSubject(id, fmt.Sprintf("Other trouble %d", e.made))
	}},
	{"ticket tags", 3, func(e *editor, sim *zendesktest.Server) (outcome, error) {
		id := e.ticket()
		e.made++
		return ticket(id), sim.SetTicketTags(id, fmt.Sprintf("tag%d", e.made))
	}},
	{"ticket moved to another requester", 5, func(e *editor, sim *zendesktest.Server) (outcome, error) {
		id := e.ticket()
		return ticket(id), sim.SetTicketRequester(id, e.someone())
	}},
	{"ticket assigned", 3, func(e *editor, sim *zendesktest.Server) (outcome, error) {
		id := e.ticket()
		return ticket(id), sim.SetTicketAssignee(id, pick(e.rng, e.agents))
	}},
	{"ticket deleted", 3, func(e *editor, sim *zendesktest.Server) (outcome, error) {
		id := e.ticket()
		return ticket(id), sim.DeleteTicket(id)
	}},
	{"ticket restored", 3, func(e *editor, sim *zendesktest.Server) (outcome, error) {
		id := e.ticket()
		return ticket(id), sim.RestoreTicket(id)
	}},
	{"ticket scrubbed", 1, func(e *editor, sim *zendesktest.Server) (outcome, error) {
		i := e.rng.IntN(len(e.open))
		id := e.open[i]
		if len(e.open) > 20 {
			e.open = slices.Delete(e.open, i, i+1)
		}
		return ticket(id), sim.ScrubTicket(id)
	}},
	{"ticket bumped by the system", 4, func(e *editor, sim *zendesktest.Server) (outcome, error) {
		id := e.ticket()
		return ticket(id), sim.SystemBump(id)
	}},
	{"comment", 3, func(e *editor, sim *zendesktest.Server) (outcome, error) {
		id := e.ticket()
		return ticket(id), sim.AddComment(id, "Looked into it.", false)
	}},
}

// lose takes somebody out of those whom further edits choose from; there are
// always a few left.
func (e *editor) lose() int64 {
	if len(e.people) < 10 {
		e.made++
		id := e.w.sim.CreateUser(zendesktest.UserSpec{Name: fmt.Sprintf("Newcomer %d", e.made), Phone: e.phone()})
		e.w.history.users[id] = nil // the edit that follows notes what became of them
		e.people = append(e.people, id)
		e.lost = append(e.lost, id)
		return id
	}
	i := e.rng.IntN(len(e.people))
	id := e.people[i]
	e.people = slices.Delete(e.people, i, i+1)
	e.lost = append(e.lost, id)
	return id
}

// next does one random edit.
func (e *editor) next() {
	total := 0
	for i := range edits {
		total += edits[i].weight
	}
	n := e.rng.IntN(total)
	for i := range edits {
		if n -= edits[i].weight; n >= 0 {
			continue
		}
		e.do(edits[i].name, func(sim *zendesktest.Server) (outcome, error) { return edits[i].do(e, sim) })
		return
	}
}

// do does an edit and has the history note what it touched.
func (e *editor) do(kind string, edit func(*zendesktest.Server) (outcome, error)) {
	e.w.history.change(kind, func() (users, tickets []int64) {
		touched, err := edit(e.w.sim)
		if err != nil && len(touched.users)+len(touched.tickets) < 2 {
			return nil, nil // a deleted ticket takes no change, and the like
		}
		return touched.users, touched.tickets
	})
}
