package zendesk

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSearchExportRequestsAndTheirPages(t *testing.T) {
	t.Parallel()
	first := url.Values{"query": {"status<solved"}, "filter[type]": {"ticket"}, "page[size]": {"1000"}}
	later := url.Values{"query": {"status<solved"}, "filter[type]": {"ticket"}, "page[size]": {"1000"}, "page[after]": {"a&b=c"}}
	for _, tt := range []struct {
		name, cursor, body string
		query              url.Values
		end, ok            bool
	}{
		{"the first page", "", `{"results":[{"id":1}],"meta":{"has_more":true,"after_cursor":"b"},"links":{"next":"https://evil.example/"}}`, first, false, true},
		{"a later page", "a&b=c", `{"results":[{"id":1}],"meta":{"has_more":true,"after_cursor":"b"}}`, later, false, true},
		{"the last page", "a", `{"results":[{"id":1}],"meta":{"has_more":false,"after_cursor":"b"}}`, nil, true, true},
		{"the last page without a cursor", "a", `{"results":[{"id":1}],"meta":{"has_more":false,"after_cursor":null}}`, nil, true, true},
		{"nothing at all", "", `{"results":[],"meta":{"has_more":false}}`, nil, true, true},
		{"a cursor that stands still", "a", `{"results":[{"id":1}],"meta":{"has_more":true,"after_cursor":"a"}}`, nil, false, false},
		{"no cursor in the middle", "", `{"results":[{"id":1}],"meta":{"has_more":true}}`, nil, false, false},
		{"no meta, which tells of no end", "", `{"results":[{"id":1}],"next_page":null}`, nil, false, false},
		{"no list", "", `{"tickets":[{"id":1}],"meta":{"has_more":false}}`, nil, false, false},
		{"a list of null", "", `{"results":null,"meta":{"has_more":false}}`, nil, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := play(answers(200, tt.body, "Date: Thu, 08 Feb 2024 17:26:48 GMT"))
			p, err := newClient(t, basicConfig(s)).SearchTickets(t.Context(), "status<solved", tt.cursor)
			if tt.query != nil {
				if diff := cmp.Diff(tt.query, s.seen[0].URL.Query()); diff != "" || s.seen[0].URL.Path != "/api/v2/search/export.json" {
					t.Errorf("%s\n%s", s.seen[0].URL.Path, diff)
				}
			}
			if !tt.ok {
				if e := asError(t, err); e.Class != ClassMalformed || s.count() != 1 {
					t.Errorf("got %v after %d requests", err, s.count())
				}
				return
			}
			if err != nil || p.EndOfStream != tt.end || p.Date.Unix() != 1707413208 || p.Sent.IsZero() {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
}

func TestShowManyTickets(t *testing.T) {
	t.Parallel()
	s := play(answers(200, `{"tickets":[{"id":9007199254740993,"status":"closed"},{"id":2}]}`))
	c := newClient(t, basicConfig(s))
	got, err := c.ShowManyTickets(t.Context(), []int64{9007199254740993, 2, 3})
	if err != nil || len(got.Tickets) != 2 || got.Tickets[0].Status != "closed" || got.Sent.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	if want := "https://acme.zendesk.com/api/v2/tickets/show_many.json?ids=9007199254740993%2C2%2C3"; s.seen[0].URL.String() != want {
		t.Errorf("asked for %s", s.seen[0].URL)
	}
	for _, n := range []int{0, 101} {
		if _, err := c.ShowManyTickets(t.Context(), make([]int64, n)); asError(t, err).Class != ClassRejected {
			t.Errorf("%d ids were let through", n)
		}
	}
	c = newClient(t, basicConfig(play(answers(200, `{"users":[]}`))))
	if _, err := c.ShowManyTickets(t.Context(), []int64{1}); asError(t, err).Class != ClassMalformed {
		t.Errorf("no list gives %v", err)
	}
}

// A page of a thousand tickets is larger than what any other list may be.
func TestASearchExportMayBeLarge(t *testing.T) {
	t.Parallel()
	body := `{"filler":"` + strings.Repeat("x", bodyMost) + `","results":[{"id":1}],"meta":{"has_more":false}}`
	p, err := newClient(t, basicConfig(play(answers(200, body)))).SearchTickets(t.Context(), "q", "")
	if err != nil || len(p.Tickets) != 1 {
		t.Errorf("%v", err)
	}
}
