package zendesktest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestADeletedPersonComesBack(t *testing.T) {
	d := newDesk(t, Options{})
	ada := d.CreateUser(UserSpec{Name: "Ada Example", Phone: "+15135557611"})
	bob := d.CreateUser(UserSpec{Name: "Bob Example"})
	eve := d.CreateUser(UserSpec{Name: "Eve Example"})
	d.must(d.DeleteUser(ada))
	d.must(d.SetPhone(bob, "513-555-7611")) // a direct line, since Ada is not there
	d.must(d.RestoreUser(ada))
	u, _ := d.Truth().User(ada)
	if !u.Active || u.Number != "+15135557611" || !u.Shared {
		t.Errorf("restored: %+v", u)
	}
	d.must(d.MergeUsers(bob, ada))
	d.must(d.PermanentlyDelete(eve))
	for who, id := range map[string]int64{"merged": bob, "deleted for good": eve, "never there": 7} {
		if d.RestoreUser(id) == nil {
			t.Errorf("who was %s came back", who)
		}
	}
}

func TestPhonesAndIdentitiesMoveInOneMoment(t *testing.T) {
	for _, touches := range []bool{false, true} {
		d := newDesk(t, Options{IdentityTouchesUser: touches})
		ada := d.CreateUser(UserSpec{Name: "Ada Example", Phone: "(513) 555-7611", Identities: []string{"+15135557612"}})
		bob := d.CreateUser(UserSpec{Name: "Bob Example", Phone: "+15135557699"})
		d.clock.advance(time.Minute)
		d.must(d.MoveIdentity(ada, bob, "+15135557612"))
		a, _ := d.Truth().User(ada)
		b, _ := d.Truth().User(bob)
		moved := a.UpdatedAt == d.clock.now().Unix() && b.UpdatedAt == a.UpdatedAt
		if len(a.Identities) != 0 || !cmp.Equal(b.Identities, []string{"+15135557612"}) || moved != touches {
			t.Errorf("an identity moved: %+v, %+v", a, b)
		}
		d.must(d.MovePhone(ada, bob))
		a, _ = d.Truth().User(ada)
		b, _ = d.Truth().User(bob)
		if a.Phone != "" || b.Phone != "(513) 555-7611" || b.Shared || a.UpdatedAt != d.clock.now().Unix() {
			t.Errorf("a phone moved: %+v, %+v", a, b)
		}
		for what, err := range map[string]error{
			"no phone":    d.MovePhone(ada, bob),
			"no identity": d.MoveIdentity(ada, bob, "+15135557612"),
			"to oneself":  d.MovePhone(bob, bob),
			"to nobody":   d.MovePhone(bob, 7),
		} {
			if err == nil {
				t.Errorf("%s: it moved", what)
			}
		}
	}
}

// Random edits are of every kind, and of those alone that are wanted.
func TestRandomEditsAreOfEveryKind(t *testing.T) {
	kinds := []struct {
		part  string
		leave EditOptions
	}{
		{"created user", EditOptions{NoCreation: true}},
		{"created ticket", EditOptions{NoCreation: true}},
		{"renamed user", EditOptions{NoProfiles: true}},
		{"set the address", EditOptions{NoProfiles: true}},
		{"tagged user", EditOptions{NoProfiles: true}},
		{"changed the role", EditOptions{NoProfiles: true}},
		{"changed the organisation", EditOptions{NoProfiles: true}},
		{"suspended user", EditOptions{NoProfiles: true}},
		{"set the phone", EditOptions{NoPhones: true}},
		{"moved the phone", EditOptions{NoPhones: true}},
		{"gave user", EditOptions{NoIdentities: true}},
		{"took an identity", EditOptions{NoIdentities: true}},
		{"moved an identity", EditOptions{NoIdentities: true}},
		{"deleted user", EditOptions{NoDeletion: true}},
		{"restored user", EditOptions{NoDeletion: true}},
		{"merged user", EditOptions{NoMerges: true}},
		{"vanish", EditOptions{NoVanish: true}},
		{"permanently", EditOptions{NoDeletion: true}},
		{"made ticket", EditOptions{NoTickets: true}},
		{"reopened ticket", EditOptions{NoTickets: true}},
		{"priority of ticket", EditOptions{NoTickets: true}},
		{"type of ticket", EditOptions{NoTickets: true}},
		{"renamed ticket", EditOptions{NoTickets: true}},
		{"tagged ticket", EditOptions{NoTickets: true}},
		{"handed ticket", EditOptions{NoTickets: true}},
		{"assigned ticket", EditOptions{NoTickets: true}},
		{"bumped ticket", EditOptions{NoTickets: true}},
		{"commented", EditOptions{NoTickets: true}},
		{"deleted ticket", EditOptions{NoTickets: true}},
		{"restored ticket", EditOptions{NoTickets: true}},
		{"scrubbed ticket", EditOptions{NoTickets: true}},
		{"merged ticket", EditOptions{NoTickets: true}},
	}
	run := func(opt EditOptions) []string {
		d := newDesk(t, Options{Seed: 3, Users: 100})
		rng := rand.New(rand.NewPCG(3, 0))
		all := make([]string, 3000)
		for k := range all {
			all[k] = d.RandomEditOf(rng, opt)
		}
		return all
	}
	has := func(all []string, part string) (tried, done bool) {
		for _, what := range all {
			if strings.Contains(what, part) {
				tried, done = true, done || !strings.Contains(what, "nothing happened")
			}
		}
		return tried, done
	}
	all := run(EditOptions{})
	for _, k := range kinds {
		if _, done := has(all, k.part); !done {
			t.Errorf("never %s", k.part)
		}
	}
	seen := map[EditOptions][]string{}
	for _, k := range kinds {
		if seen[k.leave] == nil {
			seen[k.leave] = run(k.leave)
		}
		if tried, _ := has(seen[k.leave], k.part); tried {
			t.Errorf("with %+v: %s all the same", k.leave, k.part)
		}
	}
	d := newDesk(t, Options{Seed: 3, Users: 100})
	rng := rand.New(rand.NewPCG(3, 0))
	for range 2000 {
		if what := d.RandomEdit(rng); strings.Contains(what, "vanish") {
			t.Fatalf("RandomEdit: %s", what)
		}
	}
}

func TestRandomEditsOfAnEmptyAccount(t *testing.T) {
	d := newDesk(t, Options{Tickets: -1})
	rng := rand.New(rand.NewPCG(1, 0))
	var all []string
	for range 30 {
		all = append(all, d.RandomEditOf(rng, EditOptions{NoCreation: true}))
	}
	if !strings.HasPrefix(all[0], "created user") || !slices.ContainsFunc(all, func(s string) bool { return strings.HasPrefix(s, "created ticket") }) {
		t.Errorf("%q", all)
	}
	nothing := EditOptions{true, true, true, true, true, true, true, true}
	if what := d.RandomEditOf(rng, nothing); !strings.HasPrefix(what, "created user") {
		t.Errorf("where nothing is wanted: %s", what)
	}
}

func TestShowManyShowsWhoIsThere(t *testing.T) {
	d := newDesk(t, Options{SearchLag: -1})
	people := make([]int64, 5)
	for k := range people {
		people[k] = d.CreateUser(UserSpec{Name: fmt.Sprintf("Person %d", k)})
	}
	d.must(d.DeleteUser(people[1]))
	d.must(d.PermanentlyDelete(people[2]))
	d.must(d.Vanish(people[3]))
	ids := fmt.Sprint(people[0], ",", people[1], ",", people[2], ",", people[3], ",", people[4], ",", people[0], ",7")
	a := d.ok("/api/v2/users/show_many.json", "ids", strings.ReplaceAll(ids, " ", ""))
	if diff := cmp.Diff([]int64{people[0], people[1], people[2], people[4]}, idsOf(a.list("users"))); diff != "" {
		t.Errorf("people (-want +got):\n%s", diff)
	}
	if a.list("users")[1]["active"] != false {
		t.Error("a deleted person is shown as active")
	}
	tickets := make([]int64, 4)
	for k := range tickets {
		tickets[k] = d.ticket(TicketSpec{Requester: people[0]})
	}
	d.must(d.DeleteTicket(tickets[1]))
	d.must(d.DeleteTicket(tickets[2]))
	d.must(d.RestoreTicket(tickets[2]))
	d.must(d.ScrubTicket(tickets[3]))
	if diff := cmp.Diff([]int64{1, 3}, idsOf(d.ok("/api/v2/tickets/show_many.json?ids=1,2,3,4").list("tickets"))); diff != "" {
		t.Errorf("tickets (-want +got):\n%s", diff)
	}
	for _, path := range []string{"/api/v2/users/show_many", "/api/v2/tickets/show_many"} {
		if a := d.ok(path, "ids", strings.TrimSuffix(strings.Repeat("7,", 100), ",")); a.JSON["count"] != float64(0) {
			t.Errorf("%s: %s", path, a.Body)
		}
		if a := d.get(path, "ids", strings.Repeat("7,", 101)); a.Status != 400 {
			t.Errorf("%s with 101 ids: status %d", path, a.Status)
		}
	}
}
