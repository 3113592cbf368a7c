package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/caller"
	"aniproxy/internal/outbox"
)

// crowd is a Directory of one person with any number of tickets.
type crowd struct {
	*directory
	user caller.User
	open []caller.Ticket
	// objects false: the facts are there, the objects are not.
	objects bool
	// gone are tickets that were solved since they were listed.
	gone []int64
}

func (d *crowd) Caller(id int64) (caller.Caller, bool, error) {
	return caller.Caller{User: d.user, Open: slices.Clone(d.open), OpenCount: len(d.open)}, id == d.user.ID, d.err
}

func (d *crowd) Ticket(id int64) (caller.Ticket, bool, error) {
	i := slices.IndexFunc(d.open, func(t caller.Ticket) bool { return t.ID == id })
	if i < 0 || slices.Contains(d.gone, id) {
		return caller.Ticket{}, false, d.err
	}
	return d.open[i], true, d.err
}

func (d *crowd) Objects(stream caller.Stream, ids []int64) (objects [][]byte, err error) {
	if !d.objects {
		return nil, d.err
	}
	for _, id := range ids {
		if t, ok, _ := d.Ticket(id); ok && stream == caller.Tickets {
			objects = append(objects, fmt.Appendf(nil, `{"id":%d,"status":%q}`, id, t.Status))
		}
		if stream == caller.Users && id == d.user.ID {
			objects = append(objects, fmt.Appendf(nil, `{"id":%d,"name":%q}`, id, d.user.Name))
		}
	}
	return objects, d.err
}

func (d *crowd) Size() caller.Size       { return caller.Size{} }
func (d *crowd) Streams() caller.Streams { return caller.Streams{} }

// withCrowd serves that directory.
func withCrowd(d *crowd, further ...func(*Options)) func(*Options) {
	return func(o *Options) {
		template(o)
		d.directory = &directory{}
		o.Directory = d
		for _, f := range further {
			f(o)
		}
	}
}

// crowdOf has tickets 1 to n, the first created first and updated last.
func crowdOf(n int) *crowd {
	d := &crowd{user: ann().User, objects: true}
	for id := range int64(n) {
		d.open = append(d.open, caller.Ticket{
			ID: id + 1, RequesterID: d.user.ID, Status: "open", CreatedAt: start.Unix() + id, UpdatedAt: start.Unix() - id,
		})
	}
	return d
}

// find has the connector find Ann.
func (w *world) find(t testing.TB) {
	t.Helper()
	if ids := w.zen(t, "/api/v2/users/search?query="+url.QueryEscape("type:user "+annsNumber)).found(t, "users"); len(ids) != 1 || ids[0] != annsID {
		t.Fatalf("found %v", ids)
	}
}

func TestWhoIsFoundIsWhomALookupFinds(t *testing.T) {
	tests := []struct {
		name, query string
		policy      caller.TicketPolicy
		want        []string
		outcome     string
	}{
		{"one person", "type:user " + annsNumber, caller.TicketPolicy{}, []string{annsID}, "found"},
		{"one person by the recipe", "role:end-user phone:" + annsNumber, caller.TicketPolicy{}, []string{annsID}, "found"},
		{"somebody without tickets", "type:user " + quietNumber, caller.TicketPolicy{}, []string{"12"}, "found"},
		{"nobody", "type:user " + nobodys, caller.TicketPolicy{}, []string{}, "not_found"},
		{"several", "type:user " + sharedNumber, caller.TicketPolicy{}, []string{}, "ambiguous"},
		{"the likeliest of several", "type:user " + sharedNumber, caller.TicketPolicy{LatestOfShared: true}, []string{"21"}, "found"},
		{"the likeliest of several, who is no end-user", "type:user role:end-user " + sharedNumber, caller.TicketPolicy{LatestOfShared: true}, []string{}, "found"},
		{"Zendesk is down and nothing is known", "type:user " + downNumber, caller.TicketPolicy{}, []string{}, "unavailable"},
		{"a caller who withheld the number", "type:user anonymous", caller.TicketPolicy{}, []string{}, "anonymous"},
		{"an unset variable", "type:user null", caller.TicketPolicy{}, []string{}, "anonymous"},
		{"a short number", "type:user 911", caller.TicketPolicy{}, []string{}, "short_code"},
		{"junk", "type:user 12x34", caller.TicketPolicy{}, []string{}, "invalid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(o *Options) { template(o); o.TicketPolicy = tt.policy })
			got := w.zen(t, "/api/v2/users/search.json?query="+url.QueryEscape(tt.query))
			if diff := cmp.Diff(tt.want, got.found(t, "users")); diff != "" {
				t.Errorf("found (-want +got):\n%s", diff)
			}
			body := got.json(t)
			if fmt.Sprint(body["count"]) != fmt.Sprint(len(tt.want)) || body["next_page"] != nil || body["previous_page"] != nil {
				t.Errorf("the answer is %s", got.body)
			}
			if outcome := got.header.Get(outcomeHeader); outcome != tt.outcome {
				t.Errorf("the header says %s, want %s", outcome, tt.outcome)
			}
			if !strings.Contains(w.logged(), "outcome="+tt.outcome) {
				t.Errorf("the log has no outcome %s:\n%s", tt.outcome, w.logged())
			}
			for _, private := range []string{"Dario", "Iris", "Confidential", "Classified"} {
				if strings.Contains(string(got.body), private) {
					t.Errorf("the answer tells of %s", private)
				}
			}
			if asked := w.resolver.last(t); asked.WithTickets != tt.policy.LatestOfShared {
				t.Errorf("the resolver was asked %+v", asked)
			}
		})
	}
}

func TestASearchTakesFromTheClientsLiveBudget(t *testing.T) {
	w := newWorld(t, template)
	w.find(t)
	allow := w.resolver.last(t).AllowLive
	for i, want := range []bool{true, true, false} {
		if got := allow(); got != want {
			t.Errorf("the %d. time: %v", i+1, got)
		}
	}
}

func TestASearchEndsByTheDeadline(t *testing.T) {
	w := newWorld(t, func(o *Options) { template(o); o.Deadline = time.Millisecond })
	got := w.zen(t, "/api/v2/users/search?query="+url.QueryEscape(slowNumber))
	if ids := got.found(t, "users"); len(ids) != 0 || got.header.Get(outcomeHeader) != "unavailable" {
		t.Errorf("found %v, %v", ids, got.header)
	}
}

func TestAQueryThatIsNotUnderstoodIsNoLookup(t *testing.T) {
	w := newWorld(t, template)
	for _, query := range []string{"type:user Ann Lee", "type:user ann@example.org", "type:user email:ann@example.org"} {
		got := w.zen(t, "/api/v2/users/search?query="+url.QueryEscape(query))
		if said := got.envelope(t, http.StatusUnprocessableEntity); said != "invalid: Invalid search: "+whyNotUsers {
			t.Error(said)
		}
	}
	if log := w.logged(); strings.Contains(log, "outcome=") {
		t.Errorf("the log has an outcome:\n%s", log)
	}
}

func TestByIDOnlyWhatASearchHasReturnedWithinTheHour(t *testing.T) {
	w := newWorld(t, template)
	user, requested, ticket := "/api/v2/users/"+annsID+".json", "/api/v2/users/"+annsID+"/tickets/requested.json", "/api/v2/tickets/503.json"
	tickets := "/api/v2/search?query=requester:" + annsID
	status := func(client, path string) int { return w.zenAs(t, client, http.MethodGet, path, "").status }
	count := func(client string) int {
		return len(w.zenAs(t, client, http.MethodGet, tickets, "").found(t, "results"))
	}
	expect := func(when, client string, users, list, ticketStatus, results int) {
		t.Helper()
		got := []int{status(client, user), count(client), status(client, ticket), status(client, requested)}
		if diff := cmp.Diff([]int{users, results, ticketStatus, list}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	if got := status(connector, ticket); got != 404 {
		t.Errorf("a ticket before any search: %d", got)
	}
	expect("before any search", connector, 404, 404, 404, 0)
	w.find(t)
	if got := status(connector, ticket); got != 404 {
		t.Errorf("a ticket before it was listed: %d", got)
	}
	expect("after the search", connector, 200, 200, 200, 4)
	expect("another client", "second", 404, 404, 404, 0)
	expect("a client with the directory", "desk", 200, 200, 200, 4)
	want := []string{"searched_ticket 500", "searched_ticket 501", "searched_ticket 502", "searched_ticket 503", "searched_user " + annsID}
	if diff := cmp.Diff(want, w.shelf.tellings(connector)); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	w.tick(outbox.SearchedFor + time.Second)
	if got := status(connector, ticket); got != 404 {
		t.Errorf("a ticket an hour later: %d", got)
	}
	expect("an hour later", connector, 404, 404, 404, 0)
	if got := w.zenAs(t, connector, http.MethodPut, ticket, `{"ticket":{"comment":{"body":"x"}}}`).status; got != 200 {
		t.Errorf("a comment an hour later: %d", got)
	}
	if got := w.zenAs(t, "desk", http.MethodGet, "/api/v2/users/13", "").status; got != 404 {
		t.Errorf("somebody deleted: %d", got)
	}
	w.shelf.err = errors.New("no disk")
	for _, path := range []string{user, requested, ticket, tickets} {
		w.zen(t, path).envelope(t, http.StatusServiceUnavailable)
	}
}

// A ticket that a filter leaves out is nowhere: not in a list, not by its id,
// and nobody can write to it.
func TestAnHRTicketIsNowhere(t *testing.T) {
	hidden := func(o *Options) {
		template(o)
		o.TicketPolicy.Exclude = caller.TicketFilter{Tags: []string{"fire"}} // 503
	}
	for _, client := range []string{connector, "desk"} {
		w := newWorld(t, hidden)
		w.zenAs(t, client, http.MethodGet, "/api/v2/users/search?query="+url.QueryEscape(annsNumber), "")
		for _, path := range []string{"/api/v2/search?query=requester:" + annsID, "/api/v2/users/" + annsID + "/tickets/requested", "/api/v2/users/" + annsID + "/tickets/requested?page[size]=2"} {
			if got := w.zenAs(t, client, http.MethodGet, path, ""); got.status != 200 || strings.Contains(string(got.body), "503") || strings.Contains(string(got.body), `"count":4`) {
				t.Errorf("%s sees %s: %s", client, path, got.body)
			}
		}
		w.zenAs(t, client, http.MethodGet, "/api/v2/tickets/503", "").envelope(t, http.StatusNotFound)
		w.zenAs(t, client, http.MethodPut, "/api/v2/tickets/503", `{"ticket":{"comment":{"body":"x"}}}`).envelope(t, http.StatusNotFound)
	}
	// It came under the filter after it had been told of: a comment may still
	// be written, and tells nothing of it.
	w := newWorld(t, hidden)
	w.shelf.Tell(connector, outbox.SearchedTicket, 503)
	w.zen(t, "/api/v2/tickets/503").envelope(t, http.StatusNotFound)
	got := w.zenAs(t, connector, http.MethodPut, "/api/v2/tickets/503", `{"ticket":{"comment":{"body":"x"}}}`)
	if ticket := fmt.Sprint(got.json(t)["ticket"]); ticket != "map[id:503 url:https://acme.zendesk.com/api/v2/tickets/503.json]" {
		t.Errorf("its comment is answered with %s", ticket)
	}
}

func TestTheOrderOfTickets(t *testing.T) {
	d := crowdOf(4) // created 1 2 3 4, updated 4 3 2 1
	for i, words := range [][3]string{{"low", "pending", ""}, {"urgent", "new", "incident"}, {"", "hold", "task"}, {"high", "open", "question"}} {
		d.open[i].Priority, d.open[i].Status, d.open[i].Type = words[0], words[1], words[2]
	}
	w := newWorld(t, withCrowd(d))
	w.find(t)
	tests := []struct{ query, want string }{
		{"", "4 3 2 1"},
		{"&sort_by=created_at&sort_order=desc", "4 3 2 1"},
		{"&sort_by=created_at&sort_order=asc", "1 2 3 4"},
		{"&sort_by=Created_At&sort_order=ASC", "1 2 3 4"},
		{"&sort_by=updated_at", "1 2 3 4"},
		{"&sort_by=updated_at&sort_order=asc", "4 3 2 1"},
		{"&sort_by=priority", "2 4 1 3"},
		{"&sort_by=status&sort_order=asc", "2 4 1 3"},
		{"&sort_by=ticket_type", "3 2 4 1"},
		{"&sort_by=relevance", "4 3 2 1"},
		{"&sort_by=nonsense&sort_order=null", "4 3 2 1"},
		{"&per_page=3&page=2", "1"},
		{"&per_page=3&page=3", ""},
	}
	for _, tt := range tests {
		got := w.zen(t, "/api/v2/search?query=requester:"+annsID+tt.query)
		if ids := strings.Join(got.found(t, "results"), " "); ids != tt.want {
			t.Errorf("%s: %s, want %s", tt.query, ids, tt.want)
		}
	}
	requested := []struct{ query, want string }{
		{"", "4 3 2 1"},
		{"?sort_order=asc", "1 2 3 4"},
		{"?sort_by=updated_at", "4 3 2 1"},
		{"?sort_by=updated_at&sort_order=desc", "1 2 3 4"},
		{"?sort=-updated_at", "1 2 3 4"},
		{"?sort=updated_at", "4 3 2 1"},
		{"?sort=id", "1 2 3 4"},
		{"?page[size]=100&sort_by=created_at&sort_order=asc", "4 3 2 1"}, // a cursor knows no sort_by
		{"?sort=nonsense", "4 3 2 1"},
	}
	for _, tt := range requested {
		got := w.zen(t, "/api/v2/users/"+annsID+"/tickets/requested"+tt.query)
		if ids := strings.Join(got.found(t, "tickets"), " "); ids != tt.want {
			t.Errorf("%s: %s, want %s", tt.query, ids, tt.want)
		}
	}
}

// walkPages follows the links of a list to its end, as a client does.
func walkPages(t *testing.T, w *world, first, list string, next func(map[string]any) any) (ids []string, pages int) {
	t.Helper()
	for link := first; ; pages++ {
		if pages > 20 {
			t.Fatal("there is no end of pages")
		}
		path, here := strings.CutPrefix(link, w.public.URL)
		if !here {
			t.Fatalf("a link leads to %s", link)
		}
		got := w.zen(t, path)
		ids = append(ids, got.found(t, list)...)
		following, ok := next(got.json(t)).(string)
		if !ok {
			return ids, pages + 1
		}
		link = following
	}
}

func TestPagesOfTickets(t *testing.T) {
	const n = 250
	w := newWorld(t, withCrowd(crowdOf(n)))
	w.find(t)
	offset := func(m map[string]any) any { return m["next_page"] }
	cursor := func(m map[string]any) any { return m["links"].(map[string]any)["next"] }
	requested := "/api/v2/users/" + annsID + "/tickets/requested"
	tests := []struct {
		name, path, list string
		next             func(map[string]any) any
		pages            int
	}{
		{"a search", "/api/v2/search.json?query=type:ticket%20%20requester:" + annsID, "results", offset, 3},
		{"a search of more than a page may hold", "/api/v2/search.json?per_page=1000&query=requester:" + annsID, "results", offset, 3},
		{"a search of small pages", "/api/v2/search.json?per_page=125&sort_by=updated_at&query=requester:" + annsID, "results", offset, 3},
		{"a search of the other order", "/api/v2/search.json?sort_order=asc&query=requester:" + annsID, "results", offset, 3},
		{"a list", requested + ".json", "tickets", offset, 3},
		{"a list of small pages", requested + "?per_page=50&sort_by=id", "tickets", offset, 5},
		{"a list by cursor", requested + ".json?page%5Bsize%5D=100", "tickets", cursor, 3},
		{"a list by cursor, all at once", requested + "?page[size]=1000", "tickets", cursor, 3},
		{"a list by cursor, sorted", requested + "?page[size]=25&sort=-updated_at", "tickets", cursor, 10},
		{"a list by cursor, sorted by what all have in common", requested + "?page[size]=50&sort=status", "tickets", cursor, 5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ids, pages := walkPages(t, w, w.public.URL+tt.path, tt.list, tt.next)
			slices.Sort(ids)
			if all := slices.Compact(slices.Clone(ids)); len(ids) != n || len(all) != n || pages != tt.pages {
				t.Errorf("%d tickets, %d different ones, %d pages", len(ids), len(all), pages)
			}
		})
	}
	first := w.zen(t, "/api/v2/search?per_page=100&query=requester:"+annsID).json(t)
	second := w.zen(t, strings.TrimPrefix(first["next_page"].(string), w.public.URL))
	back := strings.TrimPrefix(second.json(t)["previous_page"].(string), w.public.URL)
	if diff := cmp.Diff(fmt.Sprint(first["results"]), fmt.Sprint(w.zen(t, back).json(t)["results"])); diff != "" || fmt.Sprint(first["count"]) != "250" {
		t.Errorf("the page before the second (-first +back):\n%s", diff)
	}
}

// What comes or goes between two pages neither hides nor repeats another.
func TestACursorHoldsItsPlace(t *testing.T) {
	d := crowdOf(6) // 6 5 4 3 2 1
	w := newWorld(t, withCrowd(d))
	w.find(t)
	path := "/api/v2/users/" + annsID + "/tickets/requested?page[size]=2"
	first := w.zen(t, path)
	if ids := strings.Join(first.found(t, "tickets"), " "); ids != "6 5" {
		t.Errorf("the first page is %s", ids)
	}
	meta := first.json(t)["meta"].(map[string]any)
	d.open = append(slices.DeleteFunc(d.open, func(t caller.Ticket) bool { return t.ID == 5 }), caller.Ticket{ID: 7, Status: "new", CreatedAt: start.Unix() + 60})
	second := w.zen(t, path+"&page[after]="+meta["after_cursor"].(string))
	if ids := strings.Join(second.found(t, "tickets"), " "); ids != "4 3" || meta["has_more"] != true {
		t.Errorf("the second page is %s, %v", ids, meta)
	}
	links := second.json(t)["links"].(map[string]any)
	back := w.zen(t, strings.TrimPrefix(links["prev"].(string), w.public.URL))
	if ids := strings.Join(back.found(t, "tickets"), " "); ids != "7 6" {
		t.Errorf("the page before is %s", ids)
	}
	third := w.zen(t, strings.TrimPrefix(links["next"].(string), w.public.URL)).json(t)
	if more := third["meta"].(map[string]any)["has_more"]; more != false || third["links"].(map[string]any)["next"] != nil {
		t.Errorf("the last page says %v", third["meta"])
	}
	empty := w.zen(t, path+"&page[after]="+third["meta"].(map[string]any)["after_cursor"].(string))
	if ids := empty.found(t, "tickets"); len(ids) != 0 || !strings.Contains(string(empty.body), `"after_cursor":null`) {
		t.Errorf("behind the last page: %s", empty.body)
	}
	for _, wrong := range []string{"page[after]=x", "page[before]=MXw", "page[size]=0", "page[size]=x", "page[after]=" + url.QueryEscape("MQ==")} {
		if got := w.zen(t, path[:len(path)-len("?page[size]=2")]+"?"+wrong).envelope(t, http.StatusBadRequest); !strings.HasPrefix(got, "InvalidPaginationParameter: page[") {
			t.Errorf("%s: %s", wrong, got)
		}
	}
}

// A link leads where the client asked, and never to a weaker scheme than it
// said it came by.
func TestLinksLeadToTheHostThatWasAsked(t *testing.T) {
	w := newWorld(t, withCrowd(crowdOf(3)))
	w.find(t)
	tests := []struct{ name, host, proto, want string }{
		{"a name", "aniproxy.example", "", "http://aniproxy.example/api/v2/search.json?"},
		{"a name and a port", "aniproxy.example:8443", "", "http://aniproxy.example:8443/api/v2/search.json?"},
		{"an address", "[::1]:8080", "", "http://[::1]:8080/api/v2/search.json?"},
		{"through a proxy that ends TLS", "aniproxy.example", "https", "https://aniproxy.example/api/v2/search.json?"},
		{"a scheme that is none", "aniproxy.example", "javascript", "http://aniproxy.example/api/v2/search.json?"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := request(t, http.MethodGet, w.public.URL+"//api/v2/search?per_page=1&query=type:ticket%20requester:"+annsID+"%20status%3Csolved", "", connector)
			r.Host = tt.host
			if tt.proto != "" {
				r.Header.Set("X-Forwarded-Proto", tt.proto)
			}
			next := send(t, r).json(t)["next_page"].(string)
			if !strings.HasPrefix(next, tt.want) {
				t.Errorf("the next page is %s", next)
			}
			u, err := url.Parse(next)
			if err != nil {
				t.Fatal(err)
			}
			want := url.Values{
				"query": {"type:ticket status<solved requester:" + annsID}, "sort_by": {"created_at"}, "sort_order": {"desc"}, "per_page": {"1"}, "page": {"2"},
			}
			if diff := cmp.Diff(want, u.Query()); diff != "" {
				t.Errorf("its query (-want +got):\n%s", diff)
			}
		})
	}
	for _, host := range []string{"", "a b", "user@host", "host/path", "host?x", `ho"st`, strings.Repeat("a", 300)} {
		if plausibleHost(host) {
			t.Errorf("%q is a host", host)
		}
	}
}

// Where the mirror has the facts and no object, one is made of them.
func TestObjectsThatAreMade(t *testing.T) {
	d := crowdOf(2)
	d.objects = false
	d.open[0] = caller.Ticket{
		ID: 1, RequesterID: d.user.ID, AssigneeID: 40, OrganizationID: 77, GroupID: 5, BrandID: 6, FormID: 7, CustomStatusID: 8,
		Status: "hold", Priority: "high", Type: "task", Subject: "A \"quoted\" one", Tags: []string{"a"}, CreatedAt: 1700000000, UpdatedAt: 1700000001,
	}
	w := newWorld(t, withCrowd(d))
	w.find(t)
	var got, want any
	decode := func(text string, into *any) {
		t.Helper()
		if err := json.Unmarshal([]byte(text), into); err != nil {
			t.Fatal(err)
		}
	}
	decode(string(w.zen(t, "/api/v2/users/"+annsID).body), &got)
	decode(`{"user":{"id":`+annsID+`,"url":"https://acme.zendesk.com/api/v2/users/`+annsID+`.json","name":"Ann Lee","email":"ann@example.org",
		"phone":"+15135550101","locale":"es-MX","organization_id":77,"role":"end-user","verified":false,"tags":["vip","gold"],"active":true,
		"suspended":false,"user_fields":{},"created_at":"2026-03-04T02:36:07Z","updated_at":"2026-03-04T02:52:47Z"}}`, &want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the user (-want +got):\n%s", diff)
	}
	decode(string(w.zen(t, "/api/v2/search?sort_order=asc&per_page=1&page=2&query=requester:"+annsID).body), &got)
	result := got.(map[string]any)["results"].([]any)[0]
	decode(`{"url":"https://acme.zendesk.com/api/v2/tickets/2.json","id":2,"created_at":"2026-03-04T05:06:08Z","updated_at":"2026-03-04T05:06:06Z",
		"type":null,"subject":"","priority":null,"status":"open","requester_id":`+annsID+`,"assignee_id":null,"organization_id":null,"group_id":null,
		"tags":[],"custom_status_id":null,"ticket_form_id":null,"brand_id":null,"result_type":"ticket"}`, &want)
	if diff := cmp.Diff(want, result); diff != "" {
		t.Errorf("a bare ticket (-want +got):\n%s", diff)
	}
	w.zen(t, "/api/v2/search?query=requester:"+annsID)
	decode(string(w.zen(t, "/api/v2/tickets/1").body), &got)
	decode(`{"ticket":{"url":"https://acme.zendesk.com/api/v2/tickets/1.json","id":1,"created_at":"2023-11-14T22:13:20Z","updated_at":"2023-11-14T22:13:21Z",
		"type":"task","subject":"A \"quoted\" one","priority":"high","status":"hold","requester_id":`+annsID+`,"assignee_id":40,"organization_id":77,
		"group_id":5,"tags":["a"],"custom_status_id":8,"ticket_form_id":7,"brand_id":6}}`, &want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a ticket (-want +got):\n%s", diff)
	}
}

// Who is calling is known from memory: a disk that cannot be read costs the
// answer nothing but the fields that only Zendesk's object has. What only the
// disk knows is a fault of ours.
func TestWhoIsKnownFromMemoryIsFoundWithoutTheDisk(t *testing.T) {
	d := crowdOf(1)
	w := newWorld(t, withCrowd(d))
	w.find(t)
	d.err = errors.New("no disk")
	w.find(t)
	if !strings.Contains(w.logged(), "no disk") {
		t.Error("the fault is not in the log")
	}
	user := "/api/v2/users/" + annsID
	for _, path := range []string{user, user + "/tickets/requested", "/api/v2/search?query=requester:" + annsID} {
		w.zen(t, path).envelope(t, http.StatusInternalServerError)
	}
	w.shelf.Tell(connector, outbox.SearchedTicket, 1)
	w.zen(t, "/api/v2/tickets/1").envelope(t, http.StatusInternalServerError)
}

// A ticket that was solved between the list and its object is not shown.
func TestATicketThatGoesMeanwhileIsNotShown(t *testing.T) {
	d := crowdOf(3)
	w := newWorld(t, withCrowd(d))
	w.find(t)
	d.gone = []int64{2}
	if ids := strings.Join(w.zen(t, "/api/v2/search?query=requester:"+annsID).found(t, "results"), " "); ids != "3 1" {
		t.Errorf("the tickets are %s", ids)
	}
	if told := strings.Join(w.shelf.tellings(connector), ", "); strings.Contains(told, "searched_ticket 2") {
		t.Errorf("told: %s", told)
	}
}

func TestWhereTheAccountIsIsNotMadeUp(t *testing.T) {
	w := newWorld(t, func(o *Options) { template(o); o.AgentBase = "https://desk.example/somewhere" })
	if got := w.zendeskURL("users", 1); got != "" {
		t.Errorf("the address is %s", got)
	}
	if got := asResult([]byte(`{}`), "user"); string(got) != `{"result_type":"user"}` {
		t.Errorf("an empty object becomes %s", got)
	}
	if isObject([]byte(`x`)) || isObject(nil) || !isObject([]byte(`{}`)) {
		t.Error("what is an object is not known")
	}
}
