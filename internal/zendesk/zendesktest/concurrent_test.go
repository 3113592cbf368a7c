package zendesktest

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
)

// Everyone at once: the race detector is what judges here, and the truth.
func TestConcurrentUse(t *testing.T) {
	s := New(Options{Seed: 1, Users: 100, Limits: unlimited})
	defer s.Close()
	client := &http.Client{Transport: s.Transport()}
	ask := overHTTP(t, client, "http://sim.test")
	var all sync.WaitGroup
	for worker := range uint64(4) {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(worker, 0))
			for range 50 {
				s.RandomEdit(rng)
				s.Fail(Fault{Path: "/api/v2/groups", Count: 1, Status: 500})
			}
		})
		all.Go(func() {
			for _, path := range []string{
				"/api/v2/incremental/users/cursor.json?start_time=0", "/api/v2/incremental/tickets.json?start_time=0",
				"/api/v2/search.json?query=phone:*7611", "/api/v2/search/export.json?query=status%3Csolved&filter[type]=ticket",
				"/api/v2/users/6130000000128.json", "/api/v2/tickets/1/audits.json", "/api/v2/groups.json", "/_sim/people?kind=shared",
			} {
				a, err := ask(t.Context(), http.MethodGet, path, "")
				if err != nil || (a.Status != http.StatusOK && a.Status != http.StatusNotFound && a.Status != http.StatusInternalServerError) {
					t.Errorf("%s: status %d, %v", path, a.Status, err)
				}
			}
		})
		all.Go(func() {
			a, err := ask(t.Context(), http.MethodPost, "/api/v2/tickets.json", `{"ticket":{"subject":"x","comment":{"body":"y"}}}`)
			if err != nil || a.Status != http.StatusCreated {
				t.Errorf("create: status %d, %v", a.Status, err)
			}
			for range s.Truth().Tickets() {
				s.Requests()
			}
		})
	}
	all.Wait()
	if got := s.Count("POST /api/v2/tickets"); got != 4 {
		t.Errorf("%d creations were counted, want 4", got)
	}
}
