package caller

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func openTicket(id, created, updated int64) Ticket {
	return Ticket{ID: id, Status: "open", CreatedAt: created, UpdatedAt: updated}
}

func person(id int64, open ...Ticket) Caller {
	return Caller{User: User{ID: id}, Open: open, OpenCount: len(open)}
}

func TestChoose(t *testing.T) {
	solved := Ticket{ID: 90, Status: "solved", CreatedAt: 99}
	one := person(1, openTicket(11, 10, 80), openTicket(12, 30, 60), openTicket(13, 20, 70), openTicket(14, 5, 90))
	two := person(2, openTicket(21, 40, 40), solved)
	mixed := person(4,
		Ticket{ID: 41, Status: "open", Tags: []string{"vip", "hr"}, CreatedAt: 9, GroupID: 5, FormID: 3},
		Ticket{ID: 42, Status: "open", Tags: []string{"vip"}, CreatedAt: 8, GroupID: 5, FormID: 2},
		Ticket{ID: 43, Status: "open", Tags: []string{"vip"}, BrandID: 7, CreatedAt: 7, GroupID: 6},
	)
	type chosen struct {
		Outcome    Outcome
		Reason     string
		User       int64
		Tickets    []int64
		Unresolved int
		Guessed    bool
	}
	withheld := chosen{Outcome: Ambiguous, Reason: "shared"}
	tests := []struct {
		name     string
		policy   TicketPolicy
		answer   Answer
		ticketID int64
		want     chosen
	}{
		{
			name:   "the latest by creation, unless told otherwise",
			answer: Answer{Outcome: Found, Callers: []Caller{one}},
			want:   chosen{Outcome: Found, User: 1, Tickets: []int64{12, 13, 11}, Unresolved: 4},
		},
		{
			name:   "the latest by update",
			policy: TicketPolicy{Order: ByUpdated},
			answer: Answer{Outcome: Found, Callers: []Caller{one}},
			want:   chosen{Outcome: Found, User: 1, Tickets: []int64{14, 11, 13}, Unresolved: 4},
		},
		{
			name: "of two in the same second the one made later",
			answer: Answer{Outcome: Found, Callers: []Caller{
				person(1, openTicket(5, 7, 7), openTicket(9, 7, 7), openTicket(6, 7, 7)),
			}},
			want: chosen{Outcome: Found, User: 1, Tickets: []int64{9, 6, 5}, Unresolved: 3},
		},
		{
			name:     "the ticket keyed in, then the latest of the others",
			answer:   Answer{Outcome: Found, Callers: []Caller{one}},
			ticketID: 13,
			want:     chosen{Outcome: Found, User: 1, Tickets: []int64{13, 12, 11}, Unresolved: 4},
		},
		{
			name:     "a ticket of somebody else is as none",
			answer:   Answer{Outcome: Found, Callers: []Caller{one}},
			ticketID: 21,
			want:     chosen{Outcome: Found, User: 1, Tickets: []int64{12, 13, 11}, Unresolved: 4},
		},
		{
			name:   "nobody among several",
			answer: Answer{Outcome: Ambiguous, Reason: "shared", Callers: []Caller{one, two}},
			want:   withheld,
		},
		{
			name:     "a ticket settles who of several it is",
			answer:   Answer{Outcome: Ambiguous, Reason: "shared", Callers: []Caller{one, two}},
			ticketID: 21,
			want:     chosen{Outcome: Found, Reason: ReasonTicket, User: 2, Tickets: []int64{21}, Unresolved: 2},
		},
		{
			name:     "a wrong ticket settles nothing",
			answer:   Answer{Outcome: Ambiguous, Reason: "shared", Callers: []Caller{one, two}},
			ticketID: 99,
			want:     withheld,
		},
		{
			name:     "nor does a solved one",
			answer:   Answer{Outcome: Ambiguous, Reason: "shared", Callers: []Caller{one, two}},
			ticketID: 90,
			want:     withheld,
		},
		{
			name:     "nor does nothing",
			answer:   Answer{Outcome: Ambiguous, Reason: "shared", Callers: []Caller{person(1, openTicket(0, 1, 1))}},
			ticketID: 0,
			want:     withheld,
		},
		{
			name:   "a solved ticket is never the latest",
			answer: Answer{Outcome: Found, Callers: []Caller{two}},
			want:   chosen{Outcome: Found, User: 2, Tickets: []int64{21}, Unresolved: 2},
		},
		{
			name:   "somebody without tickets",
			answer: Answer{Outcome: Found, Callers: []Caller{person(3)}},
			want:   chosen{Outcome: Found, User: 3},
		},
		{
			name:     "nobody, whatever was keyed in",
			answer:   Answer{Outcome: NotFound, Reason: "none", Callers: []Caller{one}},
			ticketID: 11,
			want:     chosen{Outcome: NotFound, Reason: "none"},
		},
		{
			name:   "the latest ticket of those who share, where that is wanted",
			policy: TicketPolicy{LatestOfShared: true},
			answer: Answer{Outcome: Ambiguous, Reason: "shared", Callers: []Caller{one, two}},
			want:   chosen{Outcome: Found, Reason: ReasonLatest, User: 2, Tickets: []int64{21}, Unresolved: 2, Guessed: true},
		},
		{
			name:   "the latest by update of those who share",
			policy: TicketPolicy{LatestOfShared: true, Order: ByUpdated},
			answer: Answer{Outcome: Ambiguous, Reason: "shared", Callers: []Caller{one, two}},
			want:   chosen{Outcome: Found, Reason: ReasonLatest, User: 1, Tickets: []int64{14, 11, 13}, Unresolved: 4, Guessed: true},
		},
		{
			name:     "a ticket keyed in goes before the latest of those who share",
			policy:   TicketPolicy{LatestOfShared: true},
			answer:   Answer{Outcome: Ambiguous, Reason: "shared", Callers: []Caller{one, two}},
			ticketID: 13,
			want:     chosen{Outcome: Found, Reason: ReasonTicket, User: 1, Tickets: []int64{13, 12, 11}, Unresolved: 4},
		},
		{
			name:   "those who share a number and wait for nothing stay several",
			policy: TicketPolicy{LatestOfShared: true},
			answer: Answer{Outcome: Ambiguous, Reason: "shared", Callers: []Caller{person(1), person(2)}},
			want:   withheld,
		},
		{
			name:   "what is excluded is neither chosen nor counted",
			policy: TicketPolicy{Exclude: TicketFilter{Tags: []string{"hr"}, BrandID: []int64{7}}},
			answer: Answer{Outcome: Found, Callers: []Caller{mixed}},
			want:   chosen{Outcome: Found, User: 4, Tickets: []int64{42}, Unresolved: 1},
		},
		{
			name:   "what is included has a value of every key",
			policy: TicketPolicy{Include: TicketFilter{BrandID: []int64{7, 8}, Tags: []string{"vip", "hr"}}},
			answer: Answer{Outcome: Found, Callers: []Caller{mixed}},
			want:   chosen{Outcome: Found, User: 4, Tickets: []int64{43}, Unresolved: 1},
		},
		{
			name: "what is excluded stays out though it is included",
			policy: TicketPolicy{
				Include: TicketFilter{GroupID: []int64{5}}, Exclude: TicketFilter{FormID: []int64{3}},
			},
			answer: Answer{Outcome: Found, Callers: []Caller{mixed}},
			want:   chosen{Outcome: Found, User: 4, Tickets: []int64{42}, Unresolved: 1},
		},
		{
			name:     "a ticket that is left out cannot be keyed in",
			policy:   TicketPolicy{Exclude: TicketFilter{Tags: []string{"hr"}}},
			answer:   Answer{Outcome: Ambiguous, Reason: "shared", Callers: []Caller{mixed, two}},
			ticketID: 41,
			want:     withheld,
		},
		{
			name:   "nor make anybody the latest",
			policy: TicketPolicy{LatestOfShared: true, Exclude: TicketFilter{Tags: []string{"hr"}, BrandID: []int64{7}}},
			answer: Answer{Outcome: Ambiguous, Reason: "shared", Callers: []Caller{mixed, person(1, openTicket(1, 1, 1))}},
			want:   chosen{Outcome: Found, Reason: ReasonLatest, User: 4, Tickets: []int64{42}, Unresolved: 1, Guessed: true},
		},
		{
			name:   "found without a person is no claim",
			answer: Answer{Outcome: Found},
			want:   chosen{Outcome: Unavailable, Reason: "internal"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.policy.Choose(tt.answer, tt.ticketID)
			got := chosen{Outcome: c.Outcome, Reason: c.Reason, Unresolved: c.Unresolved, Guessed: c.Guessed}
			if c.Caller != nil {
				got.User = c.Caller.User.ID
			}
			for _, ticket := range c.Tickets {
				if ticket != nil {
					got.Tickets = append(got.Tickets, ticket.ID)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Choose (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExplainNamesTheFilter(t *testing.T) {
	p := TicketPolicy{
		Include: TicketFilter{BrandID: []int64{1, 2}, GroupID: []int64{3}, FormID: []int64{4}, Tags: []string{"vip", "gold"}},
		Exclude: TicketFilter{BrandID: []int64{2}, GroupID: []int64{9}, FormID: []int64{9}, Tags: []string{"hr"}},
	}
	shown := Ticket{Status: "open", BrandID: 1, GroupID: 3, FormID: 4, Tags: []string{"gold"}}
	for want, change := range map[string]func(*Ticket){
		"":                       func(*Ticket) {},
		"resolved":               func(t *Ticket) { t.Status, t.BrandID = "solved", 7 },
		"include.brand_id":       func(t *Ticket) { t.BrandID, t.GroupID = 7, 7 },
		"include.group_id":       func(t *Ticket) { t.GroupID = 0 },
		"include.ticket_form_id": func(t *Ticket) { t.FormID = 9 },
		"include.tags":           func(t *Ticket) { t.Tags = []string{"hr"} },
		"exclude.brand_id":       func(t *Ticket) { t.BrandID = 2 },
		"exclude.tags":           func(t *Ticket) { t.Tags = []string{"hr", "vip"} },
	} {
		ticket := shown
		change(&ticket)
		if got := p.Explain(&ticket); got != want {
			t.Errorf("%+v is left out by %q, want %q", ticket, got, want)
		}
	}
	p.Include = TicketFilter{}
	for want, ticket := range map[string]Ticket{
		"exclude.group_id":       {Status: "new", GroupID: 9, FormID: 9},
		"exclude.ticket_form_id": {Status: "hold", FormID: 9},
	} {
		if got := p.Explain(&ticket); got != want {
			t.Errorf("%+v is left out by %q, want %q", ticket, got, want)
		}
	}
}

// What is explained is what is done: a ticket is shown unless a reason is given,
// and the filter of that reason alone leaves it out too.
func TestExplainAgreesWithShows(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	ids := func() (some []int64) {
		for range max(0, r.IntN(5)-2) {
			some = append(some, int64(r.IntN(3)))
		}
		return some
	}
	tags := func() (some []string) {
		for range max(0, r.IntN(5)-2) {
			some = append(some, []string{"vip", "hr", "eu"}[r.IntN(3)])
		}
		return some
	}
	filter := func() TicketFilter { return TicketFilter{BrandID: ids(), GroupID: ids(), FormID: ids(), Tags: tags()} }
	// only is a filter with nothing but one key.
	only := func(f TicketFilter, key string) TicketFilter {
		return map[string]TicketFilter{
			"brand_id": {BrandID: f.BrandID}, "group_id": {GroupID: f.GroupID}, "ticket_form_id": {FormID: f.FormID}, "tags": {Tags: f.Tags},
		}[key]
	}
	seen := map[string]bool{}
	for range 20_000 {
		p := TicketPolicy{Include: filter(), Exclude: filter()}
		ticket := Ticket{
			Status:  []string{"new", "open", "pending", "hold", "solved", "closed", ""}[r.IntN(7)],
			BrandID: int64(r.IntN(3)), GroupID: int64(r.IntN(3)), FormID: int64(r.IntN(3)), Tags: tags(),
		}
		why := p.Explain(&ticket)
		seen[why] = true
		if shows := p.Shows(&ticket); shows != (why == "") {
			t.Fatalf("%+v shows %+v: %v, and is left out by %q", p, ticket, shows, why)
		}
		if why == "" || why == "resolved" {
			continue
		}
		alone := TicketPolicy{}
		if key := why[len("include."):]; why[:7] == "include" {
			alone.Include = only(p.Include, key)
		} else {
			alone.Exclude = only(p.Exclude, key)
		}
		if alone.Shows(&ticket) {
			t.Fatalf("%+v: %q alone does not leave out %+v", p, why, ticket)
		}
	}
	for _, key := range []string{"brand_id", "group_id", "ticket_form_id", "tags"} {
		if !seen["include."+key] || !seen["exclude."+key] {
			t.Errorf("nothing was left out by %s: %v", key, seen)
		}
	}
	if !seen[""] || !seen["resolved"] {
		t.Errorf("not every reason was met: %v", seen)
	}
}
