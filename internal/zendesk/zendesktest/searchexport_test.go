package zendesktest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func (d *desk) unresolved(query ...string) (ids []int64, subjects []any, after string) {
	d.t.Helper()
	a := d.ok("/api/v2/search/export.json", append([]string{"query", "status<solved", "filter[type]", "ticket"}, query...)...)
	for _, x := range a.list("results") {
		subjects = append(subjects, x["subject"])
	}
	after, _ = a.object("meta")["after_cursor"].(string)
	return idsOf(a.list("results")), subjects, after
}

// What changed within the lag of the index shows as it was before.
func TestASearchExportLags(t *testing.T) {
	d := newDesk(t, Options{Tickets: -1, SearchLag: 2 * time.Minute})
	user := d.CreateUser(UserSpec{Name: "Ada Example"})
	for k := range 4 {
		d.ticket(TicketSpec{Requester: user, Subject: fmt.Sprintf("Old %d", k+1)})
	}
	if ids, _, _ := d.unresolved(); len(ids) != 0 {
		t.Errorf("at once: %v", ids)
	}
	d.clock.advance(3 * time.Minute)
	d.must(d.SetTicketStatus(1, "solved"))
	d.must(d.DeleteTicket(2))
	d.must(d.SetTicketSubject(3, "New 3"))
	d.ticket(TicketSpec{Requester: user, Subject: "New 5"})
	want := []any{"Old 1", "Old 2", "Old 3", "Old 4"}
	if _, got, _ := d.unresolved(); !cmp.Equal(want, got) {
		t.Errorf("within the lag: %v", got)
	}
	d.clock.advance(3 * time.Minute)
	if _, got, _ := d.unresolved(); !cmp.Equal([]any{"New 3", "Old 4", "New 5"}, got) {
		t.Errorf("after it: %v", got)
	}
	d.must(d.SetTicketStatus(1, "open"))
	d.must(d.RestoreTicket(2))
	if ids, _, _ := d.unresolved(); !cmp.Equal([]int64{3, 4, 5}, ids) {
		t.Errorf("reopened and restored within the lag: %v", ids)
	}
	d.clock.advance(3 * time.Minute)
	if ids, _, _ := d.unresolved(); !cmp.Equal([]int64{1, 2, 3, 4, 5}, ids) {
		t.Errorf("reopened and restored: %v", ids)
	}
}

// A cursor is a place, so what comes and goes behind it moves nothing.
func TestASearchExportGoesOnWhereItWas(t *testing.T) {
	d := newDesk(t, Options{Tickets: -1, SearchLag: -1})
	user := d.CreateUser(UserSpec{Name: "Ada Example"})
	for range 6 {
		d.ticket(TicketSpec{Requester: user})
	}
	ids, _, after := d.unresolved("page[size]", "3")
	d.must(d.SetTicketStatus(2, "solved"))
	d.must(d.SetTicketStatus(4, "solved"))
	d.clock.advance(59 * time.Minute)
	rest, _, after := d.unresolved("page[size]", "1000", "page[after]", after)
	if diff := cmp.Diff([]int64{1, 2, 3, 5, 6}, append(ids, rest...)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	d.clock.advance(time.Hour + time.Second)
	if a := d.get("/api/v2/search/export.json", "query", "status<solved", "filter[type]", "ticket", "page[after]", after); a.Status != 400 || len(a.list("errors")) != 1 {
		t.Errorf("an old cursor: %d %s", a.Status, a.Body)
	}
}

func TestASearchExportHasPagesAndALimitOfItsOwn(t *testing.T) {
	d := newDesk(t, Options{Seed: 1, Users: 3000, SearchLag: -1})
	for query, want := range map[string]int{"": 100, "1000": 1000, "5000": 1000, "7": 7} {
		if ids, _, _ := d.unresolved("page[size]", query); len(ids) != want {
			t.Errorf("page[size]=%q: %d tickets, want %d", query, len(ids), want)
		}
	}
	for range 96 {
		d.ok("/api/v2/search/export.json?query=status%3Csolved&filter[type]=ticket&page[size]=1")
	}
	a := d.get("/api/v2/search/export.json?query=status%3Csolved&filter[type]=ticket&page[size]=1")
	if a.Status != 429 || a.Header.Get("Zendesk-Ratelimit-Search-Export") != "total=100; remaining=0; resets=30" || a.Header.Get("Retry-After") == "" {
		t.Errorf("the 101st: %d %v", a.Status, a.Header)
	}
	d.ok("/api/v2/search.json?query=type:ticket") // its limit is another
	d.clock.advance(30 * time.Second)
	d.ok("/api/v2/search/export.json?query=status%3Csolved&filter[type]=ticket&page[size]=1")
}

// People are exported page by page as well, all of them and each once.
func TestASearchExportOfPeople(t *testing.T) {
	d := newDesk(t, Options{Seed: 1, Users: 300, Limits: unlimited, SearchLag: -1})
	var want, got []int64
	for u := range d.Truth().Users() {
		if u.Active && u.Role == "end-user" {
			want = append(want, u.ID)
		}
	}
	for after, more := "", true; more; {
		a := d.ok("/api/v2/search/export.json", "query", "role:end-user", "filter[type]", "user", "page[size]", "70", "page[after]", after)
		got = append(got, idsOf(a.list("results"))...)
		after, _ = a.object("meta")["after_cursor"].(string)
		more = a.object("meta")["has_more"] == true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
