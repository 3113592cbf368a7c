package sync

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/ani"
	"aniproxy/internal/caller"
	"aniproxy/internal/upstream"
	"aniproxy/internal/zendesk"
	"aniproxy/internal/zendesk/zendesktest"
)

// world is a mirror of a simulated account, over HTTP in memory, with webhooks
// delivered to it. No increment runs but those that a test asks for.
type world struct {
	*mirror
	sim     *zendesktest.Server
	numbers *ani.Normalizer
	wanted  map[string]bool // numbers that the truth has or had
	// ann, bob and cy are three people who have three tickets: of ann's, one is
	// solved and one deleted.
	ann, bob, cy                    int64
	open, solved, deleted, bobs     int64
	annsPhone, annsNumber, bobsNumb string
}

// everyEvent is what the webhook is told of.
var everyEvent = []string{
	"user.created", "user.deleted", "user.merged", "user.active_changed", "user.suspended_changed", "user.name_changed",
	"user.role_changed", "user.tags_changed", "user.identity_created", "user.identity_changed", "user.identity_deleted",
	"ticket.created", "ticket.status_changed", "ticket.priority_changed", "ticket.subject_changed", "ticket.requester_changed",
	"ticket.agent_assignment_changed", "ticket.tags_changed", "ticket.comment_added", "ticket.soft_deleted",
	"ticket.undeleted", "ticket.permanently_deleted", "ticket.merged",
}

func newWorld(t *testing.T, change func(*zendesktest.Options)) *world {
	t.Helper()
	w := &world{wanted: map[string]bool{}, annsPhone: "+15135557001", annsNumber: "+15135557002", bobsNumb: "+15135557003"}
	hook := &receiver{}
	o := zendesktest.Options{Seed: 11, Users: 5, Webhooks: zendesktest.WebhookOptions{Client: &http.Client{Transport: hook}}}
	if change != nil {
		change(&o)
	}
	w.sim = zendesktest.New(o)
	t.Cleanup(w.sim.Close)
	w.people()
	var ticks atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(ticks.Add(1))) }
	log := written.Logger(t.Name())
	client, err := zendesk.New(zendesk.Config{
		BaseURL: "http://localhost", ClientID: zendesktest.DefaultClientID, ClientSecret: zendesktest.DefaultClientSecret,
		RatePerMinute: 400, Logger: log, Clock: clock, Rand: rand.Float64, Transport: w.sim.Transport(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if w.numbers, err = ani.New("US"); err != nil {
		t.Fatal(err)
	}
	adapter := upstream.New(client, w.numbers, []string{"end-user"}, log)
	s := openStore(t, filepath.Join(t.TempDir(), "a.db"))
	syncer, err := New(Options{
		Source: adapter, Prompt: adapter.Prompt(), Store: s, Logger: log, Clock: clock, Identities: true,
		SampleEvery: -1, RoundTakes: -1, DeleteGuard: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- syncer.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	w.mirror = &mirror{Syncer: syncer, t: t, store: s}
	<-time.After(5 * time.Minute) // out of the minute that exports leave out
	w.wantState(w.run(""), "done")
	<-time.After(5 * time.Minute) // the identities
	w.wantTruth("after the fill")
	hook.notice.Store(syncer)
	events := make([]string, len(everyEvent))
	for i, e := range everyEvent {
		events[i] = "zen:event-type:" + e
	}
	w.sim.CreateWebhook("https://ani.example.com/webhooks/zendesk", events...)
	return w
}

func (w *world) people() {
	w.ann = w.sim.CreateUser(zendesktest.UserSpec{Name: "Ann Lee", Phone: w.annsPhone, Identities: []string{w.annsNumber}})
	w.bob = w.sim.CreateUser(zendesktest.UserSpec{Name: "Bob Ray", Phone: w.bobsNumb})
	w.cy = w.sim.CreateUser(zendesktest.UserSpec{Name: "Cy Fox"})
	ticket := func(requester int64) int64 {
		id, _ := w.sim.CreateTicket(zendesktest.TicketSpec{Requester: requester, Subject: "No dial tone", Status: "open"})
		return id
	}
	w.open, w.solved, w.deleted, w.bobs = ticket(w.ann), ticket(w.ann), ticket(w.ann), ticket(w.bob)
	_ = w.sim.SetTicketStatus(w.solved, "solved")
	_ = w.sim.DeleteTicket(w.deleted)
}

// receiver takes deliveries in memory. It reads of an event what it needs; the
// daemon's own reader of them is another room's.
type receiver struct{ notice atomic.Pointer[Syncer] }

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	var event struct {
		Subject string
		Event   struct{ User struct{ ID string } }
	}
	if err := json.NewDecoder(req.Body).Decode(&event); err != nil {
		return nil, err
	}
	var objects []caller.Object
	add := func(stream caller.Stream, id string) {
		if n, err := strconv.ParseInt(id, 10, 64); err == nil {
			objects = append(objects, caller.Object{Stream: stream, ID: n})
		}
	}
	if id, ok := strings.CutPrefix(event.Subject, "zen:user:"); ok {
		add(caller.Users, id)
	}
	if id, ok := strings.CutPrefix(event.Subject, "zen:ticket:"); ok {
		add(caller.Tickets, id)
	}
	add(caller.Users, event.Event.User.ID)
	r.notice.Load().Notice(objects)
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("")), Request: req}, nil
}

// person is what a lookup is made of, as far as it can be wrong.
type person struct {
	ID        int64
	Name      string
	Suspended bool
	Tickets   map[int64]string // unresolved ones, with their status
}

// truth is who has which number at Zendesk.
func (w *world) truth() map[string][]person {
	all := map[string][]person{}
	for u := range w.sim.Truth().Users() {
		if !u.Active {
			continue
		}
		p := person{u.ID, u.Name, u.Suspended, map[int64]string{}}
		for _, t := range w.sim.Truth().TicketsOf(u.ID) {
			if t.Unresolved() {
				p.Tickets[t.ID] = t.Status
			}
		}
		numbers := map[string]bool{}
		for _, phone := range append(slices.Clone(u.Identities), u.Phone) {
			if e164, ok := w.numbers.Key(phone); ok {
				numbers[e164] = true
			}
		}
		for n := range numbers {
			all[n] = append(all[n], p)
		}
	}
	return all
}

// mirrored is who has a number by the mirror.
func (w *world) mirrored(number string) []person {
	w.t.Helper()
	m, err := w.store.Match(number, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	var all []person
	for _, c := range m.Callers {
		p := person{c.User.ID, c.User.Name, c.User.Suspended, map[int64]string{}}
		for _, t := range c.Open {
			p.Tickets[t.ID] = t.Status
		}
		all = append(all, p)
	}
	return all
}

// wantTruth compares every number that anybody has or has ever had.
func (w *world) wantTruth(when string) {
	w.t.Helper()
	truth := w.truth()
	for n := range truth {
		w.wanted[n] = true
	}
	for _, n := range slices.Sorted(maps.Keys(w.wanted)) {
		if diff := cmp.Diff(truth[n], w.mirrored(n)); diff != "" {
			w.t.Errorf("%s, %s (-Zendesk +mirror):\n%s", when, n, diff)
		}
	}
	if err := w.store.Verify(); err != nil {
		w.t.Error(err)
	}
}

// worked lets what webhooks told of be worked off.
func (w *world) worked() {
	w.t.Helper()
	r := reading{mirror: w.mirror}
	<-time.After(15 * time.Second)
	r.settle()
}

// TestEachChangeShowsAfterItsEvent: no increment runs. After an event has been
// worked off, every number that anybody has or had shows the truth, and never
// the person who had it before.
func TestEachChangeShowsAfterItsEvent(t *testing.T) {
	merge := func(w *world) error { return w.sim.MergeUsers(w.ann, w.bob) }
	vanish := func(o *zendesktest.Options) { o.MergedVanish = true }
	winner := func(o *zendesktest.Options) { o.Webhooks.MergeNamesWinner = true }
	tests := []struct {
		name    string
		options func(*zendesktest.Options)
		change  func(w *world) error
		then    func(w *world) error // after the first has been worked off
	}{
		{name: "deleted", change: func(w *world) error { return w.sim.DeleteUser(w.ann) }},
		{
			name:   "deleted and back",
			change: func(w *world) error { return w.sim.DeleteUser(w.ann) },
			then:   func(w *world) error { return w.sim.RestoreUser(w.ann) },
		},
		{
			name:   "suspended and let back",
			change: func(w *world) error { return w.sim.SuspendUser(w.ann, true) },
			then:   func(w *world) error { return w.sim.SuspendUser(w.ann, false) },
		},
		{name: "permanently deleted", change: func(w *world) error { return w.sim.PermanentlyDelete(w.ann) }},
		{name: "merged, the loser stays to be seen", change: merge},
		{name: "merged, the loser vanishes", options: vanish, change: merge},
		{name: "merged, told of the winner", options: winner, change: merge},
		{
			name: "merged, told of the winner, the loser vanishes", change: merge,
			options: func(o *zendesktest.Options) { vanish(o); winner(o) },
		},
		{name: "merged into somebody without a number", change: func(w *world) error { return w.sim.MergeUsers(w.bob, w.cy) }},
		{name: "created", change: func(w *world) error {
			id := w.sim.CreateUser(zendesktest.UserSpec{Name: "Di Orr", Phone: "+15135557009", Identities: []string{"+15135557010"}})
			_, err := w.sim.CreateTicket(zendesktest.TicketSpec{Requester: id, Subject: "Hello", Status: "new"})
			return err
		}},
		{name: "renamed", change: func(w *world) error { return w.sim.SetName(w.ann, "Ann Wu") }},
		{name: "ticket deleted", change: func(w *world) error { return w.sim.DeleteTicket(w.open) }},
		{
			name:   "ticket deleted and restored",
			change: func(w *world) error { return w.sim.DeleteTicket(w.open) },
			then:   func(w *world) error { return w.sim.RestoreTicket(w.open) },
		},
		{name: "a deleted ticket restored", change: func(w *world) error { return w.sim.RestoreTicket(w.deleted) }},
		{name: "ticket scrubbed", change: func(w *world) error { return w.sim.ScrubTicket(w.open) }},
		{name: "ticket solved", change: func(w *world) error { return w.sim.SetTicketStatus(w.open, "solved") }},
		{name: "ticket re-opened", change: func(w *world) error { return w.sim.SetTicketStatus(w.solved, "open") }},
		{name: "ticket given to another requester", change: func(w *world) error { return w.sim.SetTicketRequester(w.open, w.bob) }},
		{name: "ticket given there and back", change: func(w *world) error { return w.sim.SetTicketRequester(w.open, w.bob) },
			then: func(w *world) error { return w.sim.SetTicketRequester(w.open, w.ann) }},
		{name: "ticket merged into another", change: func(w *world) error { return w.sim.MergeTickets(w.open, w.bobs) }},
		{name: "identity gained", change: func(w *world) error { return w.sim.AddIdentity(w.bob, "(513) 555-7011") }},
		{name: "identity lost", change: func(w *world) error { return w.sim.RemoveIdentity(w.ann, w.annsNumber) }},
		{name: "identity moved", change: func(w *world) error { return w.sim.MoveIdentity(w.ann, w.bob, w.annsNumber) }},
		{name: "identity moved back", change: func(w *world) error { return w.sim.MoveIdentity(w.ann, w.bob, w.annsNumber) },
			then: func(w *world) error { return w.sim.MoveIdentity(w.bob, w.ann, w.annsNumber) }},
		{name: "somebody's phone becomes an identity of another", change: func(w *world) error {
			// Of the phone there is no event; the one who gains it has one.
			phone := w.annsPhone
			if err := w.sim.SetPhone(w.ann, ""); err != nil {
				return err
			}
			return w.sim.AddIdentity(w.bob, phone)
		}},
		{name: "phone moved, and its new owner has another event", change: func(w *world) error {
			if err := w.sim.MovePhone(w.ann, w.bob); err != nil {
				return err
			}
			return w.sim.SetName(w.bob, "Bob Roy")
		}},
		{name: "all of it at once", change: func(w *world) error {
			for _, change := range []func() error{
				func() error { return w.sim.SetTicketRequester(w.open, w.cy) },
				func() error { return w.sim.MergeUsers(w.cy, w.bob) },
				func() error { return w.sim.MoveIdentity(w.ann, w.bob, w.annsNumber) },
				func() error { return w.sim.SetTicketStatus(w.solved, "pending") },
				func() error { return w.sim.MergeUsers(w.bob, w.ann) },
				func() error { return w.sim.DeleteTicket(w.bobs) },
			} {
				if err := change(); err != nil {
					return err
				}
			}
			return nil
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, tt.options)
				for i, change := range []func(*world) error{tt.change, tt.then} {
					if change == nil {
						continue
					}
					before := w.truth()
					if err := change(w); err != nil {
						t.Fatal(err)
					}
					if cmp.Equal(before, w.truth()) {
						t.Fatal("the change changes nothing")
					}
					w.worked()
					w.wantTruth([]string{"after the first event", "after the second"}[i])
					if n := w.Status().Last; len(n) != 1 {
						t.Errorf("an increment has run: %+v", n)
					}
				}
			})
		})
	}
}

// TestChangesOfWhichNoEventTells: of a phone on a profile Zendesk sends none.
// The next increment brings it, and nobody but the new owner has it then.
func TestChangesOfWhichNoEventTells(t *testing.T) {
	for name, change := range map[string]func(w *world) error{
		"phone changed":      func(w *world) error { return w.sim.SetPhone(w.ann, "+15135557012") },
		"phone taken away":   func(w *world) error { return w.sim.SetPhone(w.ann, "") },
		"phone moved":        func(w *world) error { return w.sim.MovePhone(w.ann, w.cy) },
		"phone moved onward": func(w *world) error { return w.sim.MovePhone(w.bob, w.ann) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, nil)
				if err := change(w); err != nil {
					t.Fatal(err)
				}
				w.worked()
				if st := w.Status().Notices; st.Received != 0 {
					t.Errorf("an event tells of it: %+v", st)
				}
				<-time.After(2 * time.Minute)
				w.wantState(w.run(""), "done")
				<-time.After(time.Minute)
				w.wantTruth("after an increment")
			})
		})
	}
}

// TestEventsDoubledAndOutOfOrder: webhooks make it sooner, and nothing worse.
func TestEventsDoubledAndOutOfOrder(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, func(o *zendesktest.Options) {
			o.Webhooks.DuplicateEvery, o.Webhooks.Reorder, o.Webhooks.Delay = 2, true, 5*time.Second
		})
		for range 10 {
			for _, change := range []func() error{
				func() error { return w.sim.MoveIdentity(w.ann, w.bob, w.annsNumber) },
				func() error { return w.sim.SetTicketRequester(w.open, w.bob) },
				func() error { return w.sim.DeleteTicket(w.bobs) },
				func() error { return w.sim.MoveIdentity(w.bob, w.ann, w.annsNumber) },
				func() error { return w.sim.RestoreTicket(w.bobs) },
				func() error { return w.sim.SetTicketRequester(w.open, w.ann) },
			} {
				if err := change(); err != nil {
					t.Fatal(err)
				}
				<-time.After(700 * time.Millisecond)
			}
		}
		<-time.After(time.Minute)
		w.worked()
		w.wantTruth("after all of them")
	})
}
