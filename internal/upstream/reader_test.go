package upstream

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/ani"
	"aniproxy/internal/caller"
	"aniproxy/internal/zendesk"
	"aniproxy/internal/zendesk/zendesktest"
)

// ticketsOf is one customer with so many open tickets.
func ticketsOf(t *testing.T, sim *zendesktest.Server, n int) (requester int64, ids []int64) {
	t.Helper()
	requester = sim.CreateUser(zendesktest.UserSpec{Name: "Ann Lee", Phone: "+15135550142"})
	for range n {
		id, err := sim.CreateTicket(zendesktest.TicketSpec{Requester: requester, Subject: "No dial tone", Status: "open"})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return requester, ids
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func statuses(tickets []caller.TicketUpdate) map[int64]string {
	got := map[int64]string{}
	for _, k := range tickets {
		got[k.Ticket.ID] = k.Ticket.Status
	}
	return got
}

func goneIDs(gone []caller.Gone) (ids []int64) {
	for _, g := range gone {
		ids = append(ids, g.ID)
	}
	return ids
}

func TestTicketsByIDAreShownOrGone(t *testing.T) {
	sim, a := account(t, func(o *zendesktest.Options) { o.Users = 5 })
	_, ids := ticketsOf(t, sim, 5)
	must(t, sim.SetTicketStatus(ids[1], "solved"))
	must(t, sim.DeleteTicket(ids[2]))
	must(t, sim.DeleteTicket(ids[3]))
	must(t, sim.ScrubTicket(ids[3]))
	must(t, sim.DeleteTicket(ids[4]))
	must(t, sim.RestoreTicket(ids[4]))
	before := time.Now()
	shown, gone, err := a.ShowTickets(t.Context(), append(slices.Clone(ids), 999_999_999, ids[2]))
	if err != nil {
		t.Fatal(err)
	}
	got := statuses(shown)
	if got[ids[0]] != "open" || got[ids[1]] != "solved" || got[ids[4]] != "open" || len(got) != 3 || len(shown) != 3 {
		t.Errorf("shown are %v", got)
	}
	if diff := cmp.Diff([]int64{ids[2], ids[3], 999_999_999}, goneIDs(gone)); diff != "" {
		t.Errorf("gone (-want +got):\n%s", diff)
	}
	for _, g := range gone {
		if g.Stream != caller.Tickets || g.Sent < before.UnixNano() || g.Sent > time.Now().UnixNano() {
			t.Errorf("%+v was not asked for now", g)
		}
	}
	for _, k := range shown {
		if k.AsOf.UnixNano() != k.Version.Sent || k.AsOf.Before(before) || (k.Object != nil) != k.Ticket.Unresolved() {
			t.Errorf("ticket %d is true as of %v, sent %v, with an object of %d bytes", k.Ticket.ID, k.AsOf, time.Unix(0, k.Version.Sent), len(k.Object))
		}
	}
	if _, _, err := a.ShowTickets(t.Context(), make([]int64, 101)); faultOf(err) != caller.FaultRejected {
		t.Errorf("101 ids give %v", err)
	}
}

// A list may leave out what is there, and nothing but a "not found" to the
// object itself says that it is gone.
func TestWhatAListLeavesOutIsAskedForAlone(t *testing.T) {
	sim, a := account(t, func(o *zendesktest.Options) { o.Users = 5 })
	requester, ids := ticketsOf(t, sim, 1)
	sim.Fail(zendesktest.Fault{Path: "/api/v2/tickets/show_many", Status: 200, Body: `{"tickets":[]}`})
	sim.Fail(zendesktest.Fault{Path: "/api/v2/users/show_many", Status: 200, Body: `{"users":[]}`})
	shown, gone, err := a.ShowTickets(t.Context(), ids)
	if err != nil || len(shown) != 1 || shown[0].Ticket.ID != ids[0] || len(gone) != 0 {
		t.Errorf("shown %d, gone %v, %v", len(shown), gone, err)
	}
	users, gone, err := a.Identities(t.Context(), []int64{requester})
	if err != nil || len(users) != 1 || users[0].Identities == nil || len(gone) != 0 {
		t.Errorf("shown %d, gone %v, %v", len(users), gone, err)
	}

	sim.Fail(zendesktest.Fault{Path: fmt.Sprintf("/api/v2/tickets/%d", ids[0]), Status: 404, HTML: true})
	if shown, gone, err = a.ShowTickets(t.Context(), ids); faultOf(err) != caller.FaultMalformed || shown != nil || gone != nil {
		t.Errorf("a 404 from elsewhere: shown %v, gone %v, %v", shown, gone, err)
	}
}

func TestWhatCannotBeReadIsNeitherShownNorGone(t *testing.T) {
	sim, a := account(t, func(o *zendesktest.Options) { o.Users = 5 })
	requester, ids := ticketsOf(t, sim, 2)
	odd, other := ids[0], ids[1]
	list := fmt.Sprintf(`{"tickets":[{"id":%d,"tags":7},{"id":%d,"status":"open"}]}`, odd, other)
	sim.Fail(zendesktest.Fault{Path: "/api/v2/tickets/show_many", Status: 200, Body: list})
	sim.Fail(zendesktest.Fault{Path: fmt.Sprintf("/api/v2/tickets/%d", odd), Status: 200, Body: `{"ticket":{"id":"x"}}`})
	shown, gone, err := a.ShowTickets(t.Context(), []int64{odd, other, 999_999_999})
	if diff := cmp.Diff(map[int64]string{other: "open"}, statuses(shown)); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if diff := cmp.Diff([]int64{999_999_999}, goneIDs(gone)); diff != "" {
		t.Error(diff)
	}

	sim.Fail(zendesktest.Fault{Path: "/api/v2/users/show_many", Status: 200, Body: `{"users":[{"id":"x"}]}`})
	remove := sim.Fail(zendesktest.Fault{Path: fmt.Sprintf("/api/v2/users/%d", requester), Status: 200, Body: `{"user":{"id":[]}}`})
	users, gone, err := a.Identities(t.Context(), []int64{requester})
	if len(users) != 0 || len(gone) != 0 || err != nil {
		t.Errorf("users %v, gone %v, %v", users, gone, err)
	}
	remove()
	// A user whose numbers alone cannot be read is shown, and nothing is said of them.
	sim.Fail(zendesktest.Fault{
		Path: fmt.Sprintf("/api/v2/users/%d/identities", requester), Status: 200,
		Body: `{"identities":[{"id":1,"user_id":1,"type":"phone_number","value":{}}],"meta":{"has_more":false}}`,
	})
	users, gone, err = a.Identities(t.Context(), []int64{requester})
	if len(users) != 1 || users[0].Identities != nil || len(gone) != 0 || err != nil {
		t.Errorf("users %+v, gone %v, %v", users, gone, err)
	}
}

func TestAReadingWithAGapIsNotComplete(t *testing.T) {
	sim, a := account(t, func(o *zendesktest.Options) { o.Users = 5 })
	requester, _ := ticketsOf(t, sim, 1)
	sim.Fail(zendesktest.Fault{
		Path: fmt.Sprintf("/api/v2/users/%d/tickets", requester), Status: 200,
		Body: `{"tickets":[{"id":1,"status":"open"},{"id":null}],"meta":{"has_more":false}}`,
	})
	r, err := a.Tickets(t.Context(), requester)
	if err != nil || r.Complete || len(r.Tickets) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	sim.Fail(zendesktest.Fault{
		Path: "/api/v2/search", Status: 200, Body: `{"results":[{"id":1,"role":"end-user"},{"id":null}],"count":1,"next_page":null}`,
	})
	hits, complete, err := a.Search(t.Context(), "5135550142")
	if err != nil || complete || len(hits) != 1 {
		t.Errorf("%d hits, complete %v, %v", len(hits), complete, err)
	}
}

// The search's index lags. What comes from there must not win against the same
// version read from Zendesk itself, and not for what the index has missed.
func TestASearchsHitWinsNoTie(t *testing.T) {
	sim, a := account(t, func(o *zendesktest.Options) { o.Users = 5 })
	id, _ := ticketsOf(t, sim, 0)
	read, _, err := a.Identities(t.Context(), []int64{id})
	must(t, err)
	before := time.Now()
	hits, _, err := a.Search(t.Context(), "5135550142")
	if err != nil || len(hits) != 1 || hits[0].User.ID != id {
		t.Fatalf("%d hits, %v", len(hits), err)
	}
	hit := hits[0]
	if order, same := hit.Version.Newer(read[0].Version); order >= 0 || !same {
		t.Errorf("a hit beats an older reading of the same version: %d, same %v", order, same)
	}
	if hit.AsOf.UnixNano() != hit.Version.Sent || hit.AsOf.Before(before.Add(-caller.SearchLag)) || hit.AsOf.After(time.Now().Add(-caller.SearchLag)) {
		t.Errorf("a hit is true as of %v, sent %v", hit.AsOf, time.Unix(0, hit.Version.Sent))
	}
	if hit.Identities != nil {
		t.Error("a hit speaks of identities")
	}
}

// Each reader has its own share: at the start of a minute of ten requests a
// caller has five, a webhook one, an increment one, and those who can wait have
// what is nobody's, two, and soon the one that is kept for comments.
func TestEveryReaderPaysFromItsOwnShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // where it is always the start of a minute
		sim := zendesktest.New(zendesktest.Options{Seed: 7, Users: 5, HideNewest: -1, SearchLag: -1, Limits: zendesktest.Limits{Off: true}})
		defer sim.Close()
		numbers, err := ani.New("US")
		must(t, err)
		client, err := zendesk.New(zendesk.Config{
			BaseURL: "http://localhost", ClientID: zendesktest.DefaultClientID, ClientSecret: zendesktest.DefaultClientSecret,
			RatePerMinute: 10, Transport: sim.Transport(),
		})
		must(t, err)
		defer client.Close()
		a := New(client, numbers, []string{"end-user"}, written.Logger(t.Name()))
		id, _ := ticketsOf(t, sim, 0)
		ask := func(r *Reader) func(context.Context) error {
			return func(ctx context.Context) error {
				_, err := r.Tickets(ctx, id)
				return err
			}
		}
		for _, c := range []struct {
			name string
			ask  func(context.Context) error
			room int
		}{
			{"background", ask(a.Background()), 3},
			{"the adapter itself", ask(a.Reader), 0},
			{"backfill", func(ctx context.Context) error {
				_, err := a.Unresolved(ctx, "")
				return err
			}, 0},
			{"prompt", ask(a.Prompt()), 1},
			{"increments", func(ctx context.Context) error {
				_, err := a.Export(ctx, caller.PageRequest{Stream: caller.Users})
				return err
			}, 1},
			{"live", ask(a.Live()), 5},
		} {
			got := 0
			for ; got < 20; got++ {
				// Within this time nothing else of what is kept is lent out.
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				err = c.ask(ctx)
				cancel()
				if err != nil {
					break
				}
			}
			if got != c.room || faultOf(err) != caller.FaultRateLimited {
				t.Errorf("%s has %d requests, want %d; then %v", c.name, got, c.room, err)
			}
		}
	})
}
