package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"aniproxy/internal/ani"
	"aniproxy/internal/caller"
	"aniproxy/internal/privacytest"
	"aniproxy/internal/zendesk"
	"aniproxy/internal/zendesk/zendesktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(written.Around(m)) }

// written is what the tests of this package have logged, and about whom.
var written = privacytest.New()

// account is a simulated account on a real socket, with an adapter to it.
func account(t *testing.T, change ...func(*zendesktest.Options)) (*zendesktest.Server, *Adapter) {
	t.Helper()
	o := zendesktest.Options{Seed: 7, Users: 200, HideNewest: -1, SearchLag: -1, Limits: zendesktest.Limits{Off: true}}
	for _, f := range change {
		f(&o)
	}
	sim := zendesktest.New(o)
	sim.Truth().Everybody(written.Person, written.Texts)
	server := httptest.NewServer(sim)
	numbers, err := ani.New("US")
	if err != nil {
		t.Fatal(err)
	}
	log := written.Logger(t.Name())
	client, err := zendesk.New(zendesk.Config{
		BaseURL: server.URL, ClientID: zendesktest.DefaultClientID, ClientSecret: zendesktest.DefaultClientSecret,
		RatePerMinute: 100_000, Logger: log, Rand: rand.New(rand.NewPCG(1, 2)).Float64,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		server.Close()
		sim.Close()
	})
	return sim, New(client, numbers, []string{"end-user"}, log)
}

// walk reads a stream to its end.
func walk(t *testing.T, a *Adapter, stream caller.Stream) (users []caller.UserUpdate, tickets []caller.TicketUpdate) {
	t.Helper()
	for r := (caller.PageRequest{Stream: stream}); ; {
		p, err := a.Export(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		users, tickets = append(users, p.Users...), append(tickets, p.Tickets...)
		if p.Date.IsZero() || p.Sent.IsZero() || p.Next == "" {
			t.Fatalf("page without date %v, sending %v or cursor %q", p.Date, p.Sent, p.Next)
		}
		if p.End {
			return users, tickets
		}
		r.Cursor = p.Next
	}
}

func TestExportShowsEveryUserAsTheAccountHasThem(t *testing.T) {
	for name, sideload := range map[string]bool{"with identities in the page": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			sim, a := account(t, func(o *zendesktest.Options) { o.SideloadIdentities = sideload })
			users, _ := walk(t, a, caller.Users)
			held := map[int64]caller.UserUpdate{}
			for _, u := range users {
				held[u.User.ID] = u
			}
			n := 0
			for truth := range sim.Truth().Users() {
				u, ok := held[truth.ID]
				if !ok {
					t.Fatalf("user %d is not in the export", truth.ID)
				}
				n++
				if u.User.Name != truth.Name || u.User.Phone != truth.Phone || u.User.Active != truth.Active || u.Number != truth.Number {
					t.Errorf("user %d: %+v, want %+v", truth.ID, u.User, truth)
				}
				if got := u.Identities != nil; got != sideload {
					t.Fatalf("user %d: identities known is %v", truth.ID, got)
				}
				if sideload && truth.Active {
					expectPhones(t, truth, u.Identities.Phones)
				}
				if !u.AsOf.Equal(time.Unix(0, u.Version.Sent).Add(-time.Minute)) {
					t.Errorf("user %d is true as of %v, sent %v", truth.ID, u.AsOf, time.Unix(0, u.Version.Sent))
				}
			}
			if n < 200 {
				t.Errorf("compared %d users only", n)
			}
		})
	}
}

// expectPhones: a direct line is an identity beside the profile's phone too.
func expectPhones(t *testing.T, truth zendesktest.TruthUser, got []string) {
	t.Helper()
	for _, phone := range truth.Identities {
		if !slices.Contains(got, phone) {
			t.Errorf("user %d: identities %d, one of the account's is missing", truth.ID, len(got))
		}
	}
}

func TestExportShowsEveryTicketAsTheAccountHasIt(t *testing.T) {
	sim, a := account(t)
	_, tickets := walk(t, a, caller.Tickets)
	held := map[int64]caller.TicketUpdate{}
	for _, k := range tickets {
		held[k.Ticket.ID] = k
	}
	n := 0
	for truth := range sim.Truth().Tickets() {
		n++
		k, ok := held[truth.ID]
		if !ok {
			t.Fatalf("ticket %d is not in the export", truth.ID)
		}
		if k.Ticket.Status != truth.Status || k.Ticket.RequesterID != truth.RequesterID || k.Version.Generated != truth.GeneratedAt ||
			k.Ticket.Priority != truth.Priority || k.Ticket.AssigneeID != truth.AssigneeID || k.Version.Updated != truth.UpdatedAt {
			t.Errorf("ticket %d: %+v, want %+v", truth.ID, k.Ticket, truth)
		}
		if k.Ticket.Unresolved() != (k.Object != nil) {
			t.Errorf("ticket %d is %s and has an object of %d bytes", truth.ID, truth.Status, len(k.Object))
		}
	}
	if n < 200 {
		t.Errorf("compared %d tickets only", n)
	}
}

func TestSearchAndIdentitiesOfOneNumber(t *testing.T) {
	sim, a := account(t)
	id := sim.CreateUser(zendesktest.UserSpec{Name: "Ann", Phone: "(513) 555-0142"})
	hits, complete, err := a.Search(t.Context(), "5135550142")
	if err != nil || !complete || len(hits) != 1 || hits[0].User.ID != id || hits[0].Number != "+15135550142" {
		t.Fatalf("hits %+v, complete %v, error %v; want user %d", hits, complete, err, id)
	}
	if err := sim.AddIdentity(id, "+44 20 7946 0018"); err != nil {
		t.Fatal(err)
	}
	users, gone, err := a.Identities(t.Context(), []int64{id, 999_999_999})
	if err != nil || len(users) != 1 || users[0].Identities == nil || !slices.Contains(users[0].Identities.Numbers, "+442079460018") {
		t.Errorf("users %+v, error %v; want the identity's number", users, err)
	}
	if len(gone) != 1 || gone[0].ID != 999_999_999 || gone[0].Sent == 0 {
		t.Errorf("gone %+v, want user 999999999", gone)
	}
}

func TestTicketsOfOneUser(t *testing.T) {
	sim, a := account(t)
	id := sim.CreateUser(zendesktest.UserSpec{Name: "Ann"})
	want, err := sim.CreateTicket(zendesktest.TicketSpec{Requester: id, Subject: "No dial tone", Status: "open"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := a.Tickets(t.Context(), id)
	if err != nil || !r.Complete || len(r.Tickets) != 1 || r.Tickets[0].Ticket.ID != want || r.Tickets[0].Ticket.Subject != "No dial tone" {
		t.Errorf("tickets %+v, error %v; want ticket %d", r, err, want)
	}
	if _, err := a.Tickets(t.Context(), 999_999_999); faultOf(err) != caller.FaultNotFound {
		t.Errorf("tickets of nobody: %v, want not_found", err)
	}
}

func TestFaultsAreTheDomainsWords(t *testing.T) {
	sim, a := account(t)
	left, leave := context.WithCancel(t.Context())
	leave()
	if _, err := a.Live().Tickets(left, 1); faultOf(err) != caller.FaultDeadline {
		t.Errorf("a context that has ended gives %v, want deadline", err)
	}
	for _, c := range []struct {
		want  caller.Fault
		fault zendesktest.Fault
	}{
		{caller.FaultAuth, zendesktest.Fault{Status: 403}},
		{caller.FaultRejected, zendesktest.Fault{Status: 422}},
		{caller.FaultMalformed, zendesktest.Fault{Status: 200, HTML: true}},
		{caller.FaultDown, zendesktest.Fault{Status: 500}},
		{caller.FaultRateLimited, zendesktest.Fault{Status: 429}}, // last: it closes the window
	} {
		c.fault.Path = "/api/v2/users/"
		remove := sim.Fail(c.fault)
		_, err := a.Live().Tickets(t.Context(), 1)
		remove()
		if faultOf(err) != c.want {
			t.Errorf("%+v gives %v, want %s", c.fault, err, c.want)
		}
	}
}

func faultOf(err error) caller.Fault {
	var e *caller.UpstreamError
	if errors.As(err, &e) {
		return e.Fault
	}
	return ""
}

func TestSlimKeepsOrderAndDropsWhatNobodyReads(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"a user": {
			`{"id": 9007199254740993, "photo": {"url": "x", "thumbnails": []}, "name": "A \"B\" é", "notes": null, "tags": ["a"]}`,
			`{"id":9007199254740993,"name":"A \"B\" é","tags":["a"]}`,
		},
		"nothing to drop":      {`{"b":1,"a":2.50}`, `{"b":1,"a":2.50}`},
		"everything to drop":   {`{"photo":1,"notes":2}`, `{}`},
		"a dropped name below": {`{"user_fields":{"notes":"kept"}}`, `{"user_fields":{"notes":"kept"}}`},
	} {
		got, err := slim([]byte(c.in), userDrops)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d := cmp.Diff(c.want, string(got)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	for _, in := range []string{``, `[]`, `null`, `{"a":`, `{"a" 1}`} {
		if got, err := slim([]byte(in), userDrops); err == nil {
			t.Errorf("%q becomes %q, want an error", in, got)
		}
	}
}

func FuzzSlim(f *testing.F) {
	f.Add([]byte(`{"id":1,"photo":{},"via":{"a":[1,"}"]},"n":null}`))
	f.Add([]byte(`{"a":"\u2028","a":1e400}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		out, err := slim(in, userDrops)
		if err != nil {
			return
		}
		var kept map[string]json.RawMessage
		if err := json.Unmarshal(out, &kept); err != nil {
			t.Fatalf("%q is no object: %v", out, err)
		}
		for name := range userDrops {
			if _, ok := kept[name]; ok {
				t.Errorf("%q still has %s", out, name)
			}
		}
		again, err := slim(out, userDrops)
		if err != nil || !bytes.Equal(again, out) {
			t.Errorf("%q becomes %q the second time, error %v", out, again, err)
		}
	})
}
