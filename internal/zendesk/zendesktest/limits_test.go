package zendesktest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestLimitsAreCountedByTheClockMinuteInSeparateBuckets(t *testing.T) {
	d := newDesk(t, Options{})
	ask := func(path string) answer { return d.get(path, "start_time", "0") }
	tickets, users, old := "/api/v2/incremental/tickets/cursor.json", "/api/v2/incremental/users/cursor.json", "/api/v2/incremental/users.json"
	for k := range 10 {
		path := tickets
		if k%2 == 1 {
			path = old // shares the bucket
		}
		a := ask(path)
		if a.Status != 200 {
			t.Fatalf("request %d: status %d", k+1, a.Status)
		}
		if got, want := a.Header.Get("Zendesk-Ratelimit-Incremental-Exports"), fmt.Sprintf("total=10; remaining=%d; resets=30", 9-k); got != want {
			t.Errorf("request %d: %q, want %q", k+1, got, want)
		}
	}
	a := ask(tickets)
	if a.Status != 429 || a.JSON["error"] != "APIRateLimitExceeded" ||
		a.JSON["description"] != "Number of allowed incremental export API requests per minute exceeded" {
		t.Errorf("the eleventh: %d %s", a.Status, a.Body)
	}
	if got := a.Header.Get("Retry-After"); got != "30" {
		t.Errorf("Retry-After is %q; half the minute is over", got)
	}
	for k := range 20 {
		if a := ask(users); a.Status != 200 {
			t.Fatalf("the users cursor has a bucket of its own: request %d has status %d", k+1, a.Status)
		}
	}
	if a := ask(users); a.Status != 429 {
		t.Errorf("the 21st of the users cursor: status %d", a.Status)
	}
	d.clock.advance(29 * time.Second)
	if a := ask(tickets); a.Status != 429 || a.Header.Get("Retry-After") != "1" {
		t.Errorf("in the last second of the minute: status %d, Retry-After %q", a.Status, a.Header.Get("Retry-After"))
	}
	d.clock.advance(time.Second)
	if a := ask(tickets); a.Status != 200 {
		t.Errorf("in the next minute: status %d", a.Status)
	}
}

func TestTheAccountLimitIsPlainText(t *testing.T) {
	d := newDesk(t, Options{Limits: Limits{Account: 3}})
	for k := range 3 {
		a := d.ok("/api/v2/brands.json")
		want := map[string]string{
			"X-Rate-Limit": "3", "X-Rate-Limit-Remaining": fmt.Sprint(2 - k), "Ratelimit-Limit": "3", "Ratelimit-Remaining": fmt.Sprint(2 - k),
			"Ratelimit-Reset": "30", "Rate-Limit": "3", "Rate-Limit-Remaining": fmt.Sprint(2 - k), "Rate-Limit-Reset": "30",
			"Date": d.clock.now().Format(http.TimeFormat),
		}
		for name, value := range want {
			if got := a.Header.Get(name); got != value {
				t.Errorf("%s is %q, want %q", name, got, value)
			}
		}
	}
	a := d.get("/api/v2/brands.json")
	if a.Status != 429 || a.Body != "Number of allowed API requests per minute exceeded" || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("past the limit: %d %q %q", a.Status, a.Header.Get("Content-Type"), a.Body)
	}
}

func TestLimitsCanBeOtherwise(t *testing.T) {
	bare := newDesk(t, Options{Limits: Limits{Incremental: 1, OmitRetryAfter: true}})
	bare.get("/api/v2/incremental/tickets/cursor.json", "start_time", "0")
	if a := bare.get("/api/v2/incremental/tickets/cursor.json", "start_time", "0"); a.Status != 429 || a.Header.Get("Retry-After") != "" {
		t.Errorf("without Retry-After: %d %q", a.Status, a.Header.Get("Retry-After"))
	}
	off := newDesk(t, Options{Limits: unlimited})
	for range 1000 {
		if a := off.ok("/api/v2/incremental/tickets/cursor.json", "start_time", "0"); a.Header.Get("X-Rate-Limit") != "" {
			t.Fatal("limits are off, and a header speaks of one")
		}
	}
}

func TestUpdatesOfOneTicketAreLimited(t *testing.T) {
	d := newDesk(t, Options{})
	user := d.CreateUser(UserSpec{Name: "Ada Example"})
	for range 2 {
		d.ticket(TicketSpec{Requester: user})
	}
	put := func(id int) int {
		return d.do("PUT", fmt.Sprintf("/api/v2/tickets/%d.json", id), `{"ticket":{"comment":{"body":"x","public":false}}}`).Status
	}
	for k := range 30 {
		if got := put(1); got != 200 {
			t.Fatalf("update %d: status %d", k+1, got)
		}
	}
	if got := put(1); got != 429 {
		t.Errorf("the 31st within ten minutes: status %d", got)
	}
	if got := put(2); got != 200 {
		t.Errorf("another ticket: status %d", got)
	}
	d.clock.advance(10 * time.Minute)
	if got := put(1); got != 200 {
		t.Errorf("ten minutes later: status %d", got)
	}
}
