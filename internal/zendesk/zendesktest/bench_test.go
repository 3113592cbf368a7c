package zendesktest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"
)

// BenchmarkGenerate makes up an account: -benchtime=1x with the sizes in the
// names is the measure of a start.
func BenchmarkGenerate(b *testing.B) {
	for _, size := range []struct {
		name           string
		users, tickets int
	}{
		{"10k users 20k tickets", 10_000, 20_000},
		{"1M users 2M tickets", 1_000_000, 2_000_000},
	} {
		b.Run(size.name, func(b *testing.B) {
			if size.users > 100_000 && testing.Short() {
				b.Skip("a million people take seconds: left out with -short")
			}
			for b.Loop() {
				New(Options{Seed: 1, Users: size.users, Tickets: size.tickets}).Close()
			}
		})
	}
}

// BenchmarkRequests asks an account of a hundred thousand people.
func BenchmarkRequests(b *testing.B) {
	s := New(Options{Seed: 1, Users: 100_000, Limits: Limits{Off: true}})
	defer s.Close()
	phone := ""
	for u := range s.Truth().Users() {
		if u.Number != "" {
			phone = u.Number
		}
	}
	start := time.Now().AddDate(-1, 0, 0).Unix()
	for _, ask := range []struct{ name, target string }{
		{"export page of 1000 tickets", "/api/v2/incremental/tickets/cursor.json?cursor=" + url.QueryEscape(encodeCursor(uint32(start), 0))},
		{"export page of 1000 users", "/api/v2/incremental/users/cursor.json?cursor=" + url.QueryEscape(encodeCursor(uint32(start), 0))},
		{"search by phone", "/api/v2/search.json?query=" + url.QueryEscape("role:end-user phone:*"+phone[len(phone)-9:])},
		{"search of a person's tickets", "/api/v2/search.json?query=" + url.QueryEscape("type:ticket status<solved requester:6130000128000")},
		{"search export page of 1000", "/api/v2/search/export.json?filter[type]=ticket&page[size]=1000&query=" + url.QueryEscape("status<solved")},
		{"one user", "/api/v2/users/6130000128000.json"},
	} {
		b.Run(ask.name, func(b *testing.B) {
			var sent int64
			for b.Loop() {
				req := httptest.NewRequestWithContext(b.Context(), http.MethodGet, ask.target, nil)
				req.SetBasicAuth(DefaultEmail+"/token", DefaultAPIToken)
				w := httptest.NewRecorder()
				s.ServeHTTP(w, req)
				if w.Code != http.StatusOK {
					b.Fatalf("status %d: %s", w.Code, w.Body)
				}
				sent = int64(w.Body.Len())
			}
			b.SetBytes(sent)
		})
	}
}

// BenchmarkWalkOfUnresolved reads all unresolved tickets of a large account by
// search/export, as a first fill does: about 440,000 among two million.
func BenchmarkWalkOfUnresolved(b *testing.B) {
	if testing.Short() {
		b.Skip("a million people take seconds: left out with -short")
	}
	s := New(Options{Seed: 1, Users: 1_000_000, Tickets: 2_000_000, Limits: Limits{Off: true}})
	defer s.Close()
	var pages, tickets int
	for b.Loop() {
		pages, tickets = 0, 0
		for after, more := "", true; more; pages++ {
			v := url.Values{"filter[type]": {"ticket"}, "query": {"status<solved"}, "page[size]": {"1000"}}
			if after != "" {
				v.Set("page[after]", after)
			}
			req := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/api/v2/search/export.json?"+v.Encode(), nil)
			req.SetBasicAuth(DefaultEmail+"/token", DefaultAPIToken)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, req)
			if w.Code != http.StatusOK {
				b.Fatalf("status %d: %s", w.Code, w.Body)
			}
			tail := w.Body.Bytes()
			tickets += bytes.Count(tail, []byte(`"result_type":"ticket"`))
			var a struct {
				Meta struct {
					HasMore bool   `json:"has_more"`
					After   string `json:"after_cursor"`
				}
			}
			// What stands behind the records is all that is read: parsing a
			// page takes longer than making it.
			tail = append([]byte("{"), tail[bytes.LastIndex(tail, []byte(`"meta":`)):]...)
			if err := json.Unmarshal(tail, &a); err != nil {
				b.Fatal(err)
			}
			more, after = a.Meta.HasMore, a.Meta.After
		}
	}
	b.ReportMetric(float64(pages), "pages")
	b.ReportMetric(float64(tickets), "tickets")
}
