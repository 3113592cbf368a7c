package zendesktest

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPhoneSearch(t *testing.T) {
	for _, c := range []struct {
		name, phone, query string
		identity           string
		role               string
		identitiesToo      bool
		found              bool
	}{
		{name: "the end of a plain number", phone: "+15135557611", query: "role:end-user phone:*5135557611", found: true},
		{name: "the end of a number in brackets", phone: "(513) 555-7611", query: "phone:*5135557611", found: true},
		{name: "a short end finds it too", phone: "+15135557611", query: "phone:*7611", found: true},
		{name: "an end longer than what is stored", phone: "(513) 555-7611", query: "phone:*15135557611"},
		{name: "another end", phone: "+15135557611", query: "phone:*5135557612"},
		{name: "the end of somebody abroad is a hit as well", phone: "+49 15135557611", query: "phone:*5135557611", found: true},
		{name: "an extension hides the end", phone: "+1 513.555.7611 x22", query: "phone:*5135557611"},
		{name: "a plus finds nothing", phone: "+15135557611", query: "phone:+15135557611"},
		{name: "a plus in free text finds nothing", phone: "+15135557611", query: "type:user +15135557611"},
		{name: "all digits without a star", phone: "+1 513 555 7611", query: "phone:15135557611", found: true},
		{name: "the beginning", phone: "+15135557611", query: "phone:1513*", found: true},
		{name: "the middle", phone: "+15135557611", query: "phone:*5557*", found: true},
		{name: "any phone at all", phone: "call mobile 7", query: "phone:*", found: true},
		{name: "a star and letters", phone: "+15135557611", query: "phone:*FLOWERS"},
		{name: "an agent is no end-user", phone: "+15135557611", role: "agent", query: "role:end-user phone:*5135557611"},
		{name: "an identity", identity: "+15135557611", query: "phone:*5135557611"},
		{name: "an identity where switched on", identity: "+15135557611", query: "phone:*5135557611", identitiesToo: true, found: true},
		{name: "in quotes, with another field", phone: "+15135557611", query: `phone:"*5135557611" name:ada`, found: true},
		{name: "but not with that name", phone: "+15135557611", query: "phone:*5135557611 -name:ada"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t, Options{SearchLag: -1, SearchFindsIdentities: c.identitiesToo})
			spec := UserSpec{Name: "Ada Example", Phone: c.phone, Role: c.role}
			if c.identity != "" {
				spec.Identities = []string{c.identity}
			}
			id := d.CreateUser(spec)
			a := d.ok("/api/v2/search.json", "query", c.query)
			var want []int64
			if c.found {
				want = []int64{id}
			}
			if diff := cmp.Diff(want, idsOf(a.list("results"))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if c.found && a.list("results")[0]["result_type"] != "user" {
				t.Errorf("no result_type: %s", a.Body)
			}
		})
	}
}

func TestSearchLagsBehindWrites(t *testing.T) {
	d := newDesk(t, Options{Limits: unlimited})
	find := func(query string) []int64 { return idsOf(d.ok("/api/v2/search.json", "query", query).list("results")) }
	user := d.CreateUser(UserSpec{Name: "Ada Example", Phone: "+15135557611"})
	ticket := d.ticket(TicketSpec{Requester: user, Subject: "Router"})
	open := fmt.Sprintf("type:ticket status<solved requester:%d", user)

	d.clock.advance(DefaultSearchLag - time.Second)
	if got := append(find("phone:*5557611"), find(open)...); got != nil {
		t.Errorf("just before the lag is over, search knows %v", got)
	}
	if a := d.ok(fmt.Sprintf("/api/v2/users/%d/tickets/requested.json", user)); len(a.list("tickets")) != 1 {
		t.Error("the list of requested tickets lags, and should not")
	}
	d.clock.advance(time.Second)
	if diff := cmp.Diff([]int64{user, ticket}, append(find("phone:*5557611"), find(open)...)); diff != "" {
		t.Errorf("after the lag (-want +got):\n%s", diff)
	}

	d.must(d.SetPhone(user, "+15135557612"))
	d.must(d.SetTicketStatus(ticket, "solved"))
	d.clock.advance(time.Minute)
	d.must(d.SetPhone(user, "+15135557613"))
	if diff := cmp.Diff([]int64{user, ticket}, append(find("phone:*5557611"), find(open)...)); diff != "" {
		t.Errorf("what has just changed is still found as it was (-want +got):\n%s", diff)
	}
	if got := d.ok("/api/v2/search.json", "query", "phone:*5557611").list("results")[0]["phone"]; got != "+15135557611" {
		t.Errorf("search shows the phone %v, want the one it knows", got)
	}
	d.clock.advance(DefaultSearchLag - time.Minute)
	if got := append(find("phone:*5557611"), find(open)...); got != nil {
		t.Errorf("after the lag of the first change, search still knows %v", got)
	}
	if diff := cmp.Diff([]int64{user}, find("phone:*5557612")); diff != "" {
		t.Errorf("it knows the phone in between (-want +got):\n%s", diff)
	}
	d.clock.advance(time.Minute)
	if diff := cmp.Diff([]int64{user}, find("phone:*5557613")); diff != "" {
		t.Errorf("and then the newest (-want +got):\n%s", diff)
	}
	d.must(d.DeleteUser(user))
	d.clock.advance(DefaultSearchLag)
	if got := find("phone:*5557613"); got != nil {
		t.Errorf("search finds a deleted person: %v", got)
	}
}

func TestSearchStopsAtAThousand(t *testing.T) {
	d := newDesk(t, Options{Limits: unlimited, SearchLag: -1})
	user := d.CreateUser(UserSpec{Name: "Robot's mailbox"})
	for range 1001 {
		d.ticket(TicketSpec{Requester: user})
	}
	query := fmt.Sprintf("type:ticket requester:%d", user)
	a := d.ok("/api/v2/search.json", "query", query, "page", "10")
	if len(a.list("results")) != 100 || a.JSON["count"] != float64(1001) || a.JSON["next_page"] == nil || a.JSON["previous_page"] == nil {
		t.Errorf("page 10: %d results, count %v, next %v", len(a.list("results")), a.JSON["count"], a.JSON["next_page"])
	}
	if a := d.get("/api/v2/search.json", "query", query, "page", "11"); a.Status != 422 || a.JSON["error"] != "invalid" {
		t.Errorf("page 11: %d %s", a.Status, a.Body)
	}
	if a := d.ok("/api/v2/search.json", "query", query, "per_page", "500"); len(a.list("results")) != 100 {
		t.Errorf("per_page goes past 100")
	}
	for _, target := range []string{"/api/v2/search.json?query=x&page[size]=10", "/api/v2/search.json?query=x&page=two"} {
		if a := d.get(target); a.Status != 400 || a.object("error")["title"] != "Invalid attribute" {
			t.Errorf("%s: %d %s", target, a.Status, a.Body)
		}
	}
}

func TestTicketSearch(t *testing.T) {
	d := newDesk(t, Options{Limits: unlimited, SearchLag: -1})
	ada := d.CreateUser(UserSpec{Name: "Ada Example", Email: "ada@example.com"})
	bob := d.CreateUser(UserSpec{Name: "Bob Example"})
	statuses := []string{"new", "open", "pending", "hold", "solved", "closed"}
	for k, st := range statuses { // tickets 1 to 6
		d.ticket(TicketSpec{Requester: ada, Status: st, Priority: []string{"", "low", "urgent"}[k%3], Subject: "Thing " + st, Tags: []string{"t" + strconv.Itoa(k)}})
		d.clock.advance(time.Minute)
	}
	d.ticket(TicketSpec{Requester: bob, Status: "open"}) // 7
	d.clock.advance(time.Minute)
	d.must(d.SetTicketPriority(1, "high")) // ticket 1 was updated last
	of := fmt.Sprintf("requester:%d", ada)
	for _, c := range []struct {
		name, query string
		sort        []string
		want        []int64
	}{
		{"unresolved, two blanks as in the published flow", "type:ticket status<solved  " + of, []string{"sort_by", "created_at", "sort_order", "desc"}, []int64{4, 3, 2, 1}},
		{"newest update first by default", "type:ticket status<solved " + of, []string{"sort_by", "updated_at"}, []int64{1, 4, 3, 2}},
		{"oldest first", "type:ticket status<solved " + of, []string{"sort_by", "created_at", "sort_order", "asc"}, []int64{1, 2, 3, 4}},
		{"by address", "type:ticket requester:ada@example.com status:open", nil, []int64{2}},
		{"nobody", "type:ticket requester:null status<solved", nil, nil},
		{"from solved on", "type:ticket status>=solved " + of, nil, []int64{5, 6}},
		{"not open", "type:ticket -status:open status<hold " + of, nil, []int64{1, 3}},
		{"priority", "type:ticket priority>normal " + of, nil, []int64{1, 3, 6}},
		{"no priority", "type:ticket priority:none " + of, nil, []int64{4}},
		{"tag", "type:ticket tags:t2", nil, []int64{3}},
		{"subject", `type:ticket subject:"thing pending"`, nil, []int64{3}},
		{"without a type", of + " status:open", nil, []int64{2}},
		{"everyone's", "type:ticket status:open", nil, []int64{2, 7}},
		{"a status that is none", "type:ticket status:weird", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := d.ok("/api/v2/search.json", append([]string{"query", c.query}, c.sort...)...)
			if diff := cmp.Diff(c.want, idsOf(a.list("results"))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	d.must(d.SetTicketRequester(2, bob))
	if got := idsOf(d.ok("/api/v2/search.json", "query", fmt.Sprintf("type:ticket status:open requester:%d", bob)).list("results")); !cmp.Equal(got, []int64{2, 7}) {
		t.Errorf("after a change of requester: %v", got)
	}
}

func TestSearchExport(t *testing.T) {
	d := newDesk(t, Options{Seed: 3, Users: 400, Limits: unlimited, SearchLag: -1})
	want := map[int64]bool{}
	for x := range d.Truth().Tickets() {
		if x.Unresolved() {
			want[x.ID] = true
		}
	}
	got := map[int64]bool{}
	cursor := ""
	for {
		ask := []string{"query", "status<solved", "filter[type]", "ticket", "page[size]", "50"}
		if cursor != "" {
			ask = append(ask, "page[after]", cursor)
		}
		a := d.ok("/api/v2/search/export.json", ask...)
		for _, id := range idsOf(a.list("results")) {
			got[id] = true
		}
		if next, _ := a.object("links")["next"].(string); !strings.HasPrefix(next, "https://sim.zendesk.com/api/v2/search/export.json?") {
			t.Fatalf("links.next is %q", next)
		}
		if _, there := a.JSON["count"]; there {
			t.Fatal("a search export has no count")
		}
		cursor, _ = a.object("meta")["after_cursor"].(string)
		if a.object("meta")["has_more"] != true {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("all unresolved tickets (-want +got):\n%s", diff)
	}
	d.clock.advance(time.Hour + time.Second)
	if a := d.get("/api/v2/search/export.json", "query", "status<solved", "filter[type]", "ticket", "page[after]", cursor); a.Status != 400 {
		t.Errorf("a cursor of more than an hour ago: status %d, want 400", a.Status)
	}
	if a := d.get("/api/v2/search/export.json", "query", "type:ticket status<solved", "filter[type]", "ticket"); a.Status != 422 {
		t.Errorf("with type in the query: status %d, want 422", a.Status)
	}
	if a := d.get("/api/v2/search/export.json", "query", "status<solved"); a.Status != 400 {
		t.Errorf("without filter[type]: status %d, want 400", a.Status)
	}
	if a := d.ok("/api/v2/search/export.json", "query", "role:agent", "filter[type]", "user"); len(a.list("results")) == 0 {
		t.Error("no agents found")
	}
}

// The three requests of Cisco's own flow template.
func TestThePublishedFlowTemplateWorks(t *testing.T) {
	d := newDesk(t, Options{Seed: 1, Users: 50, SearchLag: -1})
	user := d.CreateUser(UserSpec{Name: "Ada Example", Phone: "+1 513 555 7611"})
	d.ticket(TicketSpec{Requester: user, Subject: "Old", Status: "solved"})
	d.clock.advance(time.Second)
	ticket := d.ticket(TicketSpec{Requester: user, Subject: "Router"})

	for name, query := range map[string]string{
		"a plus that was not encoded": "type:user%20+15135557611", // the plus decodes to a blank
		"a plus that was":             "type:user%20%2B15135557611",
		"no plus":                     "type:user%2015135557611",
		"a national number":           "type:user+5135557611",
	} {
		a := d.ok("/api/v2/users/search.json?query=" + query)
		users := a.list("users")
		if len(users) != 1 || users[0]["name"] != "Ada Example" {
			t.Fatalf("LookupUser with %s: %s", name, a.Body)
		}
	}
	if a := d.ok("/api/v2/users/search.json?query=type:user%20+15135550000"); len(a.list("users")) != 0 || a.JSON["count"] != float64(0) {
		t.Errorf("LookupUser of a stranger: %s", a.Body)
	}
	query := url.QueryEscape(fmt.Sprintf("type:ticket status<solved  requester:%d", user))
	a := d.ok("//api/v2/search.json?query=" + query + "&sort_by=created_at&sort_order=desc")
	if got := idsOf(a.list("results")); len(got) == 0 || got[0] != ticket {
		t.Fatalf("LookupTicket: %s", a.Body)
	}
	a = d.do("PUT", fmt.Sprintf("/api/v2/tickets/%d.json", ticket), `{"ticket":{"comment":{"body":"called again"}}}`)
	if a.Status != 200 {
		t.Fatalf("PostComments: %d %s", a.Status, a.Body)
	}
	comments := d.Truth().Comments(ticket)
	if len(comments) != 1 || comments[0].Body != "called again" {
		t.Errorf("the comments are %+v", comments)
	}
}

func FuzzParseQuery(f *testing.F) {
	for _, s := range []string{"type:ticket status<solved  requester:1", `name:"Ada Example" -role:agent`, "phone:*5135557611", "<>:=", `"`, "-", "created>=2026-01-01"} {
		f.Add(s)
	}
	s := New(Options{Seed: 1, Users: 20})
	f.Fuzz(func(t *testing.T, text string) {
		q := parseQuery(text)
		for _, x := range q.terms {
			if x.field == "" && x.op != "" {
				t.Errorf("free text with an operator: %+v", x)
			}
		}
		// Whatever is asked for must be answerable.
		s.mu.RLock()
		defer s.mu.RUnlock()
		s.findUsers(&q, testTime)
		s.findTickets(&q, testTime, 0, 10)
	})
}

func FuzzCursors(f *testing.F) {
	f.Add(encodeCursor(1707271741, 4045))
	f.Add("MTcwNzI3MTc0MS4wfHw0MDQ1fA==")
	f.Add(encodeRow(row{key: 1, id: 2}))
	f.Fuzz(func(t *testing.T, text string) {
		if at, id, ok := decodeCursor(text); ok {
			at2, id2, ok := decodeCursor(encodeCursor(at, id))
			if !ok || at2 != at || id2 != id {
				t.Errorf("%d, %d does not survive", at, id)
			}
		}
		if r, ok := decodeRow(text); ok {
			if again, ok := decodeRow(encodeRow(r)); !ok || again != r {
				t.Errorf("%+v does not survive", r)
			}
		}
	})
}
