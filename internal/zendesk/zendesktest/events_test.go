package zendesktest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// told is one event as a webhook got it.
type told struct {
	Type, Subject, ID string
	AccountID         int64 `json:"account_id"`
	Detail, Event     map[string]any
}

// listen makes an account whose only webhook is subscribed to everything, and
// hears what it is told.
func listen(t *testing.T, opt Options) (s *Server, heard func() []told) {
	t.Helper()
	r := &receiver{}
	opt.Webhooks.Client = &http.Client{Transport: r}
	s = New(opt)
	all := make([]string, len(knownEvents))
	for k, name := range knownEvents {
		all[k] = "zen:event-type:" + name
	}
	s.CreateWebhook("https://proxy.test/", all...)
	return s, func() []told {
		synctest.Wait()
		r.mu.Lock()
		defer r.mu.Unlock()
		got := make([]told, len(r.bodies))
		for k, b := range r.bodies {
			if err := json.Unmarshal([]byte(b), &got[k]); err != nil {
				t.Fatalf("%s: %v", b, err)
			}
		}
		r.bodies, r.got = nil, nil
		return got
	}
}

func TestEveryChangeHasItsEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, heard := listen(t, Options{Users: 60})
		defer s.Close()
		ada := s.CreateUser(UserSpec{Name: "Ada Example", Email: "ada@example.com", Phone: "+15135557611"})
		bob := s.CreateUser(UserSpec{Name: "Bob Example"})
		ticket, err := s.CreateTicket(TicketSpec{Requester: ada, Subject: "Router", Tags: []string{"old"}})
		if err != nil {
			t.Fatal(err)
		}
		other, err := s.CreateTicket(TicketSpec{Requester: ada})
		if err != nil {
			t.Fatal(err)
		}
		heard()
		agent := userID(1)
		for _, c := range []struct {
			what string
			do   func() error
			want string
		}{
			{"a phone has no event", func() error { return s.SetPhone(ada, "+15135557699") }, ""},
			{"nor has a phone that moves", func() error { return s.MovePhone(ada, bob) }, ""},
			{"a name", func() error { return s.SetName(ada, "Ada Renamed") }, "user.name_changed"},
			{"the same name again", func() error { return s.SetName(ada, "Ada Renamed") }, ""},
			{"an address", func() error { return s.SetEmail(ada, "a@example.com") }, "user.identity_changed"},
			{"an address lost", func() error { return s.SetEmail(ada, "") }, "user.identity_deleted"},
			{"an address come back", func() error { return s.SetEmail(ada, "a@example.com") }, "user.identity_created"},
			{"a role", func() error { return s.SetRole(ada, "agent") }, "user.role_changed"},
			{"and back", func() error { return s.SetRole(ada, "end-user") }, "user.role_changed"},
			{"tags", func() error { return s.SetUserTags(ada, "vip") }, "user.tags_changed"},
			{"an organisation", func() error { return s.SetOrganization(ada, 1) }, "user.organization_membership_created"},
			{"another", func() error { return s.SetOrganization(ada, 2) }, "user.organization_membership_created user.organization_membership_deleted"},
			{"an identity", func() error { return s.AddIdentity(ada, "+15135557612") }, "user.identity_created"},
			{"an identity that moves", func() error { return s.MoveIdentity(ada, bob, "+15135557612") }, "user.identity_deleted user.identity_created"},
			{"an identity gone", func() error { return s.RemoveIdentity(bob, "+15135557612") }, "user.identity_deleted"},
			{"an identity that was not there", func() error { return s.RemoveIdentity(bob, "+15135557612") }, ""},
			{"suspended", func() error { return s.SuspendUser(ada, true) }, "user.suspended_changed"},
			{"let back", func() error { return s.SuspendUser(ada, false) }, "user.suspended_changed"},
			{"deleted", func() error { return s.DeleteUser(ada) }, "user.active_changed user.deleted"},
			{"restored", func() error { return s.RestoreUser(ada) }, "user.active_changed"},

			{"a status", func() error { return s.SetTicketStatus(ticket, "open") }, "ticket.status_changed ticket.custom_status_changed"},
			{"solved", func() error { return s.SetTicketStatus(ticket, "solved") }, "ticket.status_changed ticket.custom_status_changed"},
			{"reopened", func() error { return s.SetTicketStatus(ticket, "open") }, "ticket.status_changed ticket.custom_status_changed"},
			{"the same status again", func() error { return s.SetTicketStatus(ticket, "open") }, ""},
			{"a priority", func() error { return s.SetTicketPriority(ticket, "high") }, "ticket.priority_changed"},
			{"a type", func() error { return s.SetTicketType(ticket, "task") }, "ticket.type_changed"},
			{"a subject", func() error { return s.SetTicketSubject(ticket, "Telephone") }, "ticket.subject_changed"},
			{"tags of a ticket", func() error { return s.SetTicketTags(ticket, "new") }, "ticket.tags_changed"},
			{"a requester", func() error { return s.SetTicketRequester(ticket, bob) }, "ticket.requester_changed"},
			{"an assignee", func() error { return s.SetTicketAssignee(ticket, agent) }, "ticket.agent_assignment_changed"},
			{"a comment", func() error { return s.AddComment(ticket, "called", true) }, "ticket.comment_added"},
			{"upkeep of the system", func() error { return s.SystemBump(ticket) }, ""},
			{"a ticket deleted", func() error { return s.DeleteTicket(ticket) }, "ticket.soft_deleted"},
			{"restored again", func() error { return s.RestoreTicket(ticket) }, "ticket.undeleted"},
			{"merged into another", func() error { return s.MergeTickets(other, ticket) },
				"ticket.merged ticket.status_changed ticket.custom_status_changed ticket.tags_changed ticket.comment_added"},
			{"scrubbed", func() error { return s.ScrubTicket(other) }, "ticket.permanently_deleted"},

			{"a merge, whose tickets say nothing", func() error { return s.MergeUsers(bob, ada) }, "user.merged"},
			{"deleted for good", func() error { return s.PermanentlyDelete(ada) }, "user.deleted"},
			{"and once is enough", func() error { return s.PermanentlyDelete(ada) }, ""},
			{"vanished", func() error { return s.Vanish(ada) }, ""},
		} {
			if err := c.do(); err != nil {
				t.Errorf("%s: %v", c.what, err)
			}
			var names []string
			for _, e := range heard() {
				names = append(names, strings.TrimPrefix(e.Type, "zen:event-type:"))
				checkTold(t, e)
			}
			if got := strings.Join(names, " "); got != c.want {
				t.Errorf("%s is told as %q, want %q", c.what, got, c.want)
			}
		}
	})
}

// checkTold holds an event against the shape of the reference.
func checkTold(t *testing.T, e told) {
	t.Helper()
	name, _ := eventName(e.Type)
	domain, _, _ := strings.Cut(name, ".")
	if !slices.Contains(knownEvents, name) || e.AccountID == 0 || e.ID == "" || e.Event == nil {
		t.Errorf("%s is not an event: %+v", e.Type, e)
	}
	if want := fmt.Sprintf("zen:%s:%v", domain, e.Detail["id"]); e.Subject != want {
		t.Errorf("%s: the subject is %q, want %q", e.Type, e.Subject, want)
	}
	if _, there := e.Detail["phone"]; there {
		t.Errorf("%s: the detail has a phone", e.Type)
	}
	for k, v := range e.Detail {
		if _, number := v.(float64); number {
			t.Errorf("%s: detail.%s is a number; ids are text", e.Type, k)
		}
	}
	sequence, _ := e.Event["meta"].(map[string]any)
	if (sequence["sequence"] != nil) != (domain == "ticket") {
		t.Errorf("%s: the meta is %v", e.Type, e.Event["meta"])
	}
}

func TestWhatEventsHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, heard := listen(t, Options{})
		defer s.Close()
		ada := s.CreateUser(UserSpec{Name: "Ada Example", Email: "ada@example.com", Tags: []string{"a", "b"}})
		heard()
		for _, err := range []error{
			s.SetUserTags(ada, "b", "c"), s.SuspendUser(ada, true), s.AddIdentity(ada, "513-555-7612"), s.SetName(ada, "Ada Renamed"),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		var got []map[string]any
		for _, e := range heard() {
			got = append(got, e.Event)
		}
		u, _ := s.Truth().User(ada)
		want := []map[string]any{
			{"added": map[string]any{"tags": []any{"c"}}, "removed": map[string]any{"tags": []any{"a"}}},
			{"current": true, "previous": false},
			{"identity": map[string]any{"id": fmt.Sprint(identityBase + 1), "type": "phone_number", "value": u.Identities[0], "primary": false}},
			{"current": "Ada Renamed", "previous": "Ada Example"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		id, err := s.CreateTicket(TicketSpec{Requester: ada, Subject: "Router", Priority: "low"})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.SetTicketPriority(id, "urgent"); err != nil {
			t.Fatal(err)
		}
		all := heard()
		last := all[len(all)-1]
		if last.Event["previous"] != "LOW" || last.Event["current"] != "URGENT" || last.Detail["priority"] != "URGENT" ||
			last.Detail["requester_id"] != fmt.Sprint(ada) || last.Detail["status"] != "NEW" || last.Detail["assignee_id"] != nil {
			t.Errorf("a priority: %+v", last)
		}
	})
}

func TestAMergeNamesBoth(t *testing.T) {
	for _, c := range []struct {
		name    string
		opt     WebhookOptions
		subject int // of loser and winner
		tickets bool
	}{
		{"the one that went, and the one that is left in the event", WebhookOptions{}, 0, false},
		{"the other way round", WebhookOptions{MergeNamesWinner: true}, 1, false},
		{"with the tickets", WebhookOptions{MergeTellsTickets: true}, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, heard := listen(t, Options{Webhooks: c.opt})
				defer s.Close()
				people := []int64{s.CreateUser(UserSpec{Name: "Loser"}), s.CreateUser(UserSpec{Name: "Winner"})}
				if _, err := s.CreateTicket(TicketSpec{Requester: people[0]}); err != nil {
					t.Fatal(err)
				}
				heard()
				if err := s.MergeUsers(people[0], people[1]); err != nil {
					t.Fatal(err)
				}
				all := heard()
				last := all[len(all)-1]
				other := map[string]any{"user": map[string]any{"id": fmt.Sprint(people[1-c.subject])}}
				if last.Type != "zen:event-type:user.merged" || last.Detail["id"] != fmt.Sprint(people[c.subject]) || !cmp.Equal(last.Event, other) {
					t.Errorf("the merge: %+v", last)
				}
				if got := len(all) == 2 && all[0].Type == "zen:event-type:ticket.requester_changed"; got != c.tickets {
					t.Errorf("of the tickets: %+v", all)
				}
			})
		})
	}
}

// With a delay, deliveries overtake each other, and the same seed has the same
// ones do so; a repeat is the same to the byte, however late.
func TestDeliveriesOvertakeEachOther(t *testing.T) {
	arrivals := func(seed uint64) (order []string, signatures map[string]int) {
		synctest.Test(t, func(t *testing.T) {
			r := &receiver{}
			s := New(Options{Seed: seed, Webhooks: WebhookOptions{Client: &http.Client{Transport: r}, Delay: time.Minute, DuplicateEvery: 3, LoseEvery: 7}})
			defer s.Close()
			s.CreateWebhook("https://proxy.test/", "zen:event-type:user.created")
			for range 30 {
				s.CreateUser(UserSpec{Name: "Person"})
				<-time.After(time.Second)
			}
			<-time.After(time.Minute)
			synctest.Wait()
			signatures = map[string]int{}
			for k, b := range r.bodies {
				var x told
				if err := json.Unmarshal([]byte(b), &x); err != nil {
					t.Fatal(err)
				}
				order = append(order, x.ID)
				signatures[x.ID+r.got[k].Header.Get("X-Zendesk-Webhook-Signature")+r.got[k].Header.Get("X-Zendesk-Webhook-Invocation-Id")]++
			}
		})
		return order, signatures
	}
	order, signatures := arrivals(5)
	if slices.IsSorted(order) {
		t.Error("they came in the order in which they were sent")
	}
	lost, twice := 30/7, 0
	for _, n := range signatures {
		if n == 2 {
			twice++
		}
	}
	if len(signatures) != 30-lost || twice < 7 || len(order) != len(signatures)+twice {
		t.Errorf("%d came, %d different, %d of them twice", len(order), len(signatures), twice)
	}
	if again, _ := arrivals(5); !cmp.Equal(order, again) {
		t.Error("the same seed, and another order")
	}
	if other, _ := arrivals(6); cmp.Equal(order, other) {
		t.Error("another seed, and the same order")
	}
}

func TestABreakerOpensAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{refuse: 12}
		s := New(Options{Webhooks: WebhookOptions{Client: &http.Client{Transport: r}, Breaker: true}})
		defer s.Close()
		s.CreateWebhook("https://proxy.test/", "zen:event-type:user.created")
		outcomes := func() map[string]int {
			synctest.Wait()
			count := map[string]int{}
			for _, d := range s.Deliveries() {
				count[d.Outcome]++
			}
			return count
		}
		for range 6 {
			s.CreateUser(UserSpec{Name: "Person"})
			<-time.After(5 * time.Second)
		}
		// Three of them failed three times each, and the tenth try was the one
		// too many: its delivery and what came after are held.
		if diff := cmp.Diff(map[string]int{"failed": 3, "held": 3}, outcomes()); diff != "" {
			t.Errorf("while it is open (-want +got):\n%s", diff)
		}
		<-time.After(breakerPause)
		r.mu.Lock()
		r.refuse = 0
		r.mu.Unlock()
		s.CreateUser(UserSpec{Name: "Person"})
		if got := outcomes(); got["delivered"] != 1 {
			t.Errorf("once it has closed: %v", got)
		}
	})
}
