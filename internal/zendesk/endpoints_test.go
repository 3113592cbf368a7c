package zendesk

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// usersJSON is a run of users as a list of the wire.
func usersJSON(from, n int, role string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(`{"id":%d,"role":%q,"phone":"x"}`, from+i, role)
	}
	return "[" + strings.Join(all, ",") + "]"
}

func TestSearchReadsAllPages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := play(
			func(r *http.Request) (*http.Response, error) {
				<-time.After(time.Second)
				return answers(200, `{"results":`+usersJSON(1, 100, "end-user")+`,"count":205,"next_page":"https://evil.example/?page=7"}`)(r)
			},
			// The hundredth comes again: pages shifted.
			answers(200, `{"results":`+usersJSON(100, 100, "end-user")+`,"count":205,"next_page":"x"}`),
			answers(200, `{"results":`+usersJSON(200, 6, "end-user")+`,"count":205,"next_page":null}`),
		)
		c := newClient(t, basicConfig(s))
		began := time.Now()
		hits, complete, sent, err := c.SearchUsersByPhone(t.Context(), "5135557611", []string{"end-user"})
		if err != nil || !complete || len(hits) != 205 || !sent.Equal(began) {
			t.Errorf("%d hits, complete %v, sent +%v, %v", len(hits), complete, sent.Sub(began), err)
		}
		for i, r := range s.seen {
			want := url.Values{
				"query": {"type:user role:end-user phone:*5135557611"}, "page": {strconv.Itoa(i + 1)}, "per_page": {"100"},
				"sort_by": {"created_at"}, "sort_order": {"asc"},
			}
			if diff := cmp.Diff(want, r.URL.Query()); diff != "" || r.URL.Host != "acme.zendesk.com" || r.URL.Path != "/api/v2/search.json" {
				t.Errorf("page %d: %s\n%s", i+1, r.URL, diff)
			}
		}
	})
}

func TestWhenASearchIsComplete(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		page     func(n int) string
		pages    int
		complete bool
	}{
		{"nobody", func(int) string { return `{"results":[],"count":0,"next_page":null}` }, 1, true},
		{"exactly a thousand", func(n int) string {
			next := `"x"`
			if n == 10 {
				next = "null"
			}
			return `{"results":` + usersJSON(n*1000, 100, "end-user") + `,"count":1000,"next_page":` + next + `}`
		}, 10, true},
		{"more than a thousand", func(n int) string {
			return `{"results":` + usersJSON(n*1000, 100, "end-user") + `,"count":1001,"next_page":"x"}`
		}, 10, false},
		{"more counted than given", func(int) string { return `{"results":[{"id":1}],"count":2,"next_page":null}` }, 1, false},
		{"an endless last page", func(int) string { return `{"results":[],"count":0,"next_page":"x"}` }, 1, true},
		{"no count", func(int) string { return `{"results":[{"id":1}],"next_page":null}` }, 1, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := 0
			c := newClient(t, basicConfig(roundTrip(func(r *http.Request) (*http.Response, error) {
				n++
				return answers(200, tt.page(n))(r)
			})))
			_, complete, _, err := c.SearchUsersByPhone(t.Context(), "5135557611", nil)
			if err != nil || complete != tt.complete || n != tt.pages {
				t.Errorf("complete %v after %d pages, %v", complete, n, err)
			}
		})
	}
}

func TestSearchAndRoles(t *testing.T) {
	t.Parallel()
	s := play(answers(200, `{"results":[{"id":1,"role":"end-user"},{"id":2,"role":"agent"},{"id":3,"role":"admin"}],"count":3}`))
	c := newClient(t, basicConfig(s))
	for _, tt := range []struct {
		roles []string
		query string
		ids   []int64
	}{
		{nil, "type:user phone:*5135557611", []int64{1, 2, 3}},
		{[]string{"agent"}, "type:user role:agent phone:*5135557611", []int64{2}},
		{[]string{"end-user", "admin"}, "type:user phone:*5135557611", []int64{1, 3}},
	} {
		hits, complete, _, err := c.SearchUsersByPhone(t.Context(), "5135557611", tt.roles)
		if err != nil || !complete {
			t.Errorf("complete %v, %v", complete, err)
		}
		var ids []int64
		for _, u := range hits {
			ids = append(ids, u.ID)
		}
		if diff := cmp.Diff(tt.ids, ids); diff != "" {
			t.Errorf("roles %v: %s", tt.roles, diff)
		}
		if got := s.seen[len(s.seen)-1].URL.Query().Get("query"); got != tt.query {
			t.Errorf("query %q", got)
		}
	}
}

func TestNothingButDigitsIsSearchedFor(t *testing.T) {
	t.Parallel()
	s := play(answers(200, `{"results":[]}`))
	c := newClient(t, basicConfig(s))
	for _, national := range []string{"", "+15135557611", "513 555", "5135557611 type:ticket", "*", "513*", "٥١٣", "513\n", strings.Repeat("1", 21)} {
		_, _, _, err := c.SearchUsersByPhone(t.Context(), national, nil)
		if e := asError(t, err); e.Class != ClassRejected || (national != "" && strings.Contains(err.Error(), national)) {
			t.Errorf("%q: %v", national, err)
		}
	}
	if _, _, _, err := c.SearchUsersByPhone(t.Context(), "513", []string{"end-user OR type:ticket"}); asError(t, err).Class != ClassRejected {
		t.Error("a role that is a query was let through")
	}
	if s.count() != 0 {
		t.Errorf("%d requests were sent", s.count())
	}
}

func TestShowManyUsers(t *testing.T) {
	t.Parallel()
	s := play(
		answers(200, `{"users":[{"id":9007199254740993},{"id":2}],"identities":[{"id":5,"user_id":2,"type":"phone_number","value":"+1"},{"id":6,"user_id":99,"type":"email","value":"x"}]}`),
		answers(200, `{"users":[{"id":2}]}`),
		answers(200, `{"users":[{"id":2}],"identities":[]}`),
	)
	c := newClient(t, basicConfig(s))
	got, err := c.ShowManyUsers(t.Context(), []int64{9007199254740993, 2, 3}, true)
	if err != nil || len(got.Users) != 2 || len(got.Identities[2]) != 1 || got.Identities[9007199254740993] == nil || got.Identities[99] != nil || got.Sent.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	if diff := cmp.Diff(url.Values{"ids": {"9007199254740993,2,3"}, "include": {"identities"}}, s.seen[0].URL.Query()); diff != "" {
		t.Error(diff)
	}
	if got, err = c.ShowManyUsers(t.Context(), []int64{2}, true); err != nil || got.Identities != nil {
		t.Errorf("an answer without identities: %v, %v", got, err)
	}
	if got, err = c.ShowManyUsers(t.Context(), []int64{2}, true); err != nil || got.Identities[2] == nil {
		t.Errorf("an answer with no identity: %v, %v", got, err)
	}
	for _, n := range []int{0, 101} {
		if _, err := c.ShowManyUsers(t.Context(), make([]int64, n), false); asError(t, err).Class != ClassRejected {
			t.Errorf("%d ids were let through", n)
		}
	}
}

func TestListsFollowTheirCursorByValue(t *testing.T) {
	t.Parallel()
	s := play(
		answers(200, `{"identities":[{"id":1,"user_id":7,"type":"phone_number","value":"a"},{"id":2,"user_id":7,"type":"email","value":"b"}],"meta":{"has_more":true,"after_cursor":"//evil.example"},"links":{"next":"https://evil.example/steal"}}`),
		// links.next is there even at the end.
		answers(200, `{"identities":[{"id":3,"user_id":7,"type":"phone_number","value":"c"}],"meta":{"has_more":false,"after_cursor":"z"},"links":{"next":"https://evil.example"}}`),
	)
	c := newClient(t, basicConfig(s))
	got, _, err := c.UserIdentities(t.Context(), 7)
	if err != nil || len(got) != 2 || got[0].Value != "a" || got[1].Value != "c" {
		t.Errorf("%+v, %v", got, err)
	}
	want := url.Values{"type[]": {"phone_number"}, "page[size]": {"100"}}
	if diff := cmp.Diff(want, s.seen[0].URL.Query()); diff != "" {
		t.Error(diff)
	}
	want.Set("page[after]", "//evil.example")
	u := s.seen[1].URL
	if diff := cmp.Diff(want, u.Query()); diff != "" || u.Host != "acme.zendesk.com" || u.Path != "/api/v2/users/7/identities.json" || s.count() != 2 {
		t.Errorf("%s\n%s", u, diff)
	}
}

func TestRequestedTickets(t *testing.T) {
	t.Parallel()
	page := func(id int, more bool) step {
		return answers(200, fmt.Sprintf(`{"tickets":[{"id":%d,"status":"open"}],"meta":{"has_more":%v,"after_cursor":"c%d"}}`, id, more, id))
	}
	for _, tt := range []struct {
		name     string
		steps    []step
		max      int
		tickets  int
		complete bool
		fails    bool
	}{
		{"one page", []step{page(1, false)}, 3, 1, true, false},
		{"three of three", []step{page(1, true), page(2, true), page(3, false)}, 3, 3, true, false},
		{"more than wanted", []step{page(1, true), page(2, true), page(3, true)}, 2, 2, false, false},
		{"not paged at all", []step{answers(200, `{"tickets":[{"id":1}],"next_page":null,"count":1}`)}, 3, 1, true, false},
		{"paged otherwise", []step{answers(200, `{"tickets":[{"id":1}],"next_page":"x","count":200}`)}, 3, 1, false, false},
		{"a cursor that stands still", []step{page(1, true), page(1, true)}, 9, 0, false, true},
		{"a cursor that is not there", []step{answers(200, `{"tickets":[],"meta":{"has_more":true,"after_cursor":null}}`)}, 9, 0, false, true},
		{"no list", []step{answers(200, `{"meta":{"has_more":false}}`)}, 9, 0, false, true},
		{"a list of null", []step{answers(200, `{"tickets":null,"meta":{"has_more":false}}`)}, 9, 0, false, true},
		{"no page wanted", []step{page(1, false)}, 0, 0, false, true},
		{"gone in the middle", []step{page(1, true), answers(404, `{"error":"RecordNotFound"}`)}, 9, 0, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := play(tt.steps...)
			c := newClient(t, basicConfig(s))
			r, err := c.RequestedTickets(t.Context(), 7, tt.max)
			if len(r.Items) != tt.tickets || r.Complete != tt.complete || (err != nil) != tt.fails || r.Sent.IsZero() != tt.fails {
				t.Errorf("%d tickets, complete %v, %v", len(r.Items), r.Complete, err)
			}
			if s.count() > 0 && s.seen[0].URL.String() != "https://acme.zendesk.com/api/v2/users/7/tickets/requested.json?page%5Bsize%5D=100&sort=-updated_at" {
				t.Errorf("asked for %s", s.seen[0].URL)
			}
		})
	}
}

func TestAuditsComeNewestFirst(t *testing.T) {
	t.Parallel()
	s := play(
		answers(200, `{"audits":[{"id":1,"created_at":"2023-09-18T23:26:00Z"},{"id":2,"created_at":"2023-09-18T23:26:05Z"}],"meta":{"has_more":true,"after_cursor":"c"}}`),
		answers(200, `{"audits":[{"id":4,"created_at":"2023-09-18T23:27:00Z"},{"id":5,"created_at":"2023-09-18T23:27:00Z","metadata":{"custom":{"m":"x"}}}],"meta":{"has_more":false}}`),
	)
	c := newClient(t, basicConfig(s))
	audits, err := c.Audits(t.Context(), 4016, 5)
	if err != nil || !audits.Complete {
		t.Fatal(audits.Complete, err)
	}
	var ids []int64
	for _, a := range audits.Items {
		ids = append(ids, a.ID)
	}
	if diff := cmp.Diff([]int64{5, 4, 2, 1}, ids); diff != "" || audits.Items[0].Custom("m") != "x" {
		t.Error(diff)
	}
	if got := s.seen[0].URL.Query(); got.Get("sort") != "-created_at" || s.seen[0].URL.Path != "/api/v2/tickets/4016/audits.json" {
		t.Errorf("asked for %s", s.seen[0].URL)
	}
}

func TestExportRequestsAndTheirPages(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		req   ExportRequest
		body  string
		query url.Values
		ok    bool
	}{
		{"from a time", ExportRequest{StartTime: 1695052663}, `{"tickets":[{"id":1}],"after_cursor":"a","end_of_stream":false}`, url.Values{"start_time": {"1695052663"}, "per_page": {"1000"}}, true},
		{"from the beginning", ExportRequest{PerPage: 7}, `{"tickets":[],"after_cursor":"a","end_of_stream":true}`, url.Values{"start_time": {"0"}, "per_page": {"7"}}, true},
		{"an empty stream", ExportRequest{}, `{"tickets":[],"after_cursor":null,"end_of_stream":true}`, nil, true},
		{"the end, where the next run resumes", ExportRequest{Cursor: "a", StartTime: 5}, `{"tickets":[],"after_cursor":"a","end_of_stream":true}`, url.Values{"cursor": {"a"}, "per_page": {"1000"}}, true},
		{"a cursor that stands still", ExportRequest{Cursor: "a"}, `{"tickets":[{"id":1}],"after_cursor":"a","end_of_stream":false}`, nil, false},
		{"no cursor in the middle", ExportRequest{}, `{"tickets":[{"id":1}],"end_of_stream":false}`, nil, false},
		{"no end_of_stream", ExportRequest{}, `{"tickets":[{"id":1}],"after_cursor":"b"}`, nil, false},
		{"no list", ExportRequest{}, `{"users":[{"id":1}],"after_cursor":"b","end_of_stream":true}`, nil, false},
		{"time-based", ExportRequest{}, `{"tickets":[{"id":1}],"count":1,"next_page":"x","end_time":1}`, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := play(answers(200, tt.body, "Date: Thu, 08 Feb 2024 17:26:48 GMT"))
			c := newClient(t, basicConfig(s))
			p, err := c.ExportTickets(t.Context(), tt.req)
			if tt.query != nil {
				if diff := cmp.Diff(tt.query, s.seen[0].URL.Query()); diff != "" {
					t.Error(diff)
				}
			}
			if !tt.ok {
				if e := asError(t, err); e.Class != ClassMalformed || s.count() != 1 {
					t.Errorf("got %v after %d requests", err, s.count())
				}
				return
			}
			if err != nil || p.Date.Unix() != 1707413208 || p.Sent.IsZero() {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
	c := newClient(t, basicConfig(play(answers(200, ""))))
	for _, n := range []int{-1, 1001} {
		if _, err := c.ExportUsers(t.Context(), ExportRequest{PerPage: n}); asError(t, err).Class != ClassRejected {
			t.Errorf("a page of %d was let through", n)
		}
	}
}

func TestUsersExportWithIdentities(t *testing.T) {
	t.Parallel()
	s := play(answers(200, `{"users":[{"id":1},{"id":2}],"identities":[{"id":3,"user_id":1,"type":"phone_number","value":"x"}],"after_cursor":"a","end_of_stream":true}`))
	c := newClient(t, basicConfig(s))
	p, err := c.ExportUsers(t.Context(), ExportRequest{IncludeIdentities: true})
	if err != nil || len(p.Identities) != 2 || len(p.Identities[1]) != 1 || p.Identities[2] == nil {
		t.Errorf("%+v, %v", p, err)
	}
	if s.seen[0].URL.Query().Get("include") != "identities" {
		t.Errorf("asked for %s", s.seen[0].URL)
	}
}

func TestWhatAWriteSends(t *testing.T) {
	t.Parallel()
	s := play(answers(200, `{"ticket":{"id":7,"updated_at":"2023-09-18T23:26:01Z"},"audit":{"id":9}}`))
	c := newClient(t, basicConfig(s)).As(Comments)
	got, err := c.UpdateTicket(t.Context(), 7, TicketUpdate{
		Comment: Comment{Body: "called <b>"}, Metadata: map[string]string{"marker": "m"}, UpdatedStamp: "2023-09-18T23:26:00Z",
	})
	if err != nil || got.Ticket.ID != 7 || got.Audit.ID != 9 || got.Sent.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = c.CreateTicket(t.Context(), "interaction-1", NewTicket{
		Subject: "Call", Comment: Comment{HTMLBody: "<p>x</p>", Public: true, AuthorID: 3}, RequesterID: 5, FollowUpOf: 4016, Tags: []string{"call"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []map[string]any{
		{"comment": map[string]any{"body": "called <b>", "public": false}, "metadata": map[string]any{"marker": "m"}, "safe_update": true, "updated_stamp": "2023-09-18T23:26:00Z"},
		{"comment": map[string]any{"html_body": "<p>x</p>", "public": true, "author_id": 3.0}, "subject": "Call", "requester_id": 5.0, "via_followup_source_id": 4016.0, "tags": []any{"call"}},
	} {
		var body map[string]map[string]any
		if err := json.Unmarshal([]byte(s.body[i]), &body); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]map[string]any{"ticket": want}, body); diff != "" {
			t.Error(diff)
		}
	}
	put, post := s.seen[0], s.seen[1]
	if put.Method != http.MethodPut || put.URL.Path != "/api/v2/tickets/7.json" || put.Header.Get("Idempotency-Key") != "" || put.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s %s %v", put.Method, put.URL, put.Header)
	}
	if post.Method != http.MethodPost || post.URL.Path != "/api/v2/tickets.json" || post.Header.Get("Idempotency-Key") != "interaction-1" {
		t.Errorf("%s %s %v", post.Method, post.URL, post.Header)
	}
}

func TestWritesThatAreRefusedHere(t *testing.T) {
	t.Parallel()
	s := play(answers(200, `{}`))
	c := newClient(t, basicConfig(s))
	for name, call := range map[string]func() error{
		"no body": func() error { _, err := c.UpdateTicket(t.Context(), 7, TicketUpdate{}); return err },
		"two bodies": func() error {
			_, err := c.UpdateTicket(t.Context(), 7, TicketUpdate{Comment: Comment{Body: "a", HTMLBody: "b"}})
			return err
		},
		"no key": func() error {
			_, err := c.CreateTicket(t.Context(), "", NewTicket{Comment: Comment{Body: "a"}})
			return err
		},
		"a long key": func() error {
			_, err := c.CreateTicket(t.Context(), strings.Repeat("k", 256), NewTicket{Comment: Comment{Body: "a"}})
			return err
		},
		"a split key": func() error {
			_, err := c.CreateTicket(t.Context(), "a\r\nb: c", NewTicket{Comment: Comment{Body: "a"}})
			return err
		},
	} {
		if e := asError(t, call()); e.Class != ClassRejected || e.UnknownOutcome {
			t.Errorf("%s: %v", name, e)
		}
	}
	if s.count() != 0 {
		t.Errorf("%d requests were sent", s.count())
	}
}

func TestAGreetingToAStrangerIsAnAuthError(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"user":{"name":"Anonymous user"}}`, `{"user":{"id":null,"name":"Anonymous user"}}`} {
		c := newClient(t, basicConfig(play(answers(200, body))))
		u, err := c.Me(t.Context())
		if e := asError(t, err); e.Class != ClassAuth || u != nil {
			t.Errorf("got %v, %v", u, err)
		}
	}
}

func TestShowTicket(t *testing.T) {
	t.Parallel()
	s := play(answers(200, `{"ticket":{"id":9007199254740993,"updated_at":"2023-09-18T23:26:01Z"}}`), answers(200, `{"ticket":null}`))
	c := newClient(t, basicConfig(s))
	got, sent, err := c.ShowTicket(t.Context(), 9007199254740993)
	if err != nil || got.ID != 9007199254740993 || got.UpdatedStamp != "2023-09-18T23:26:01Z" || sent.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	if path := s.seen[0].URL.Path; path != "/api/v2/tickets/9007199254740993.json" {
		t.Errorf("asked for %s", path)
	}
	if _, _, err := c.ShowTicket(t.Context(), 1); asError(t, err).Class != ClassMalformed {
		t.Errorf("got %v", err)
	}
}

func TestANotFoundSaysWhenItWasAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		for _, ask := range []func(*Client) (time.Time, error){
			func(c *Client) (time.Time, error) { _, at, err := c.ShowUser(t.Context(), 1); return at, err },
			func(c *Client) (time.Time, error) { _, at, err := c.ShowTicket(t.Context(), 1); return at, err },
		} {
			c := newClient(t, basicConfig(play(answers(503, "", "Retry-After: 5"), answers(404, `{"error":"RecordNotFound","description":"Not found"}`))))
			sent, err := ask(c)
			if e := asError(t, err); e.Class != ClassNotFound || !sent.Equal(began.Add(5*time.Second)) || !e.Sent.Equal(sent) {
				t.Errorf("%v, sent +%v", err, sent.Sub(began))
			}
			began = time.Now()
		}
	})
}
