package zendesktest

import (
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Request is one request that reached the account.
type Request struct {
	Time     time.Time `json:"time"`
	Endpoint string    `json:"endpoint"` // "GET /api/v2/users/{id}"
	Path     string    `json:"path"`
	Query    string    `json:"query,omitempty"`
	Status   int       `json:"status"` // 0: no answer was sent, or not yet
}

// RequestLog counts what reached the account since the start or the last reset.
type RequestLog struct {
	Total      uint64         `json:"total"`
	ByEndpoint map[string]int `json:"by_endpoint"`
	ByStatus   map[int]int    `json:"by_status"`
	// Last are the newest requests, oldest first, at most a thousand.
	Last []Request `json:"last"`
}

const requestsKept = 1000

type requestLog struct {
	mu  sync.Mutex
	log RequestLog
	all uint64 // never reset; names requests
}

func (l *requestLog) init() {
	l.log = RequestLog{ByEndpoint: map[string]int{}, ByStatus: map[int]int{}}
}

func (l *requestLog) total() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all
}

// note counts a request as it arrives; done puts its status in.
func (l *requestLog) note(now time.Time, endpoint string, r *http.Request, path string) (done func(status int)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all++
	l.log.Total++
	l.log.ByEndpoint[endpoint]++
	if len(l.log.Last) >= 2*requestsKept {
		l.log.Last = slices.Clone(l.log.Last[requestsKept:])
	}
	l.log.Last = append(l.log.Last, Request{Time: now, Endpoint: endpoint, Path: path, Query: r.URL.RawQuery})
	n := l.log.Total
	return func(status int) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.log.ByStatus[status]++
		// Where the entry stands now, if it is still there: entries are
		// numbered by Total, and the last one has the number Total.
		at := len(l.log.Last) - 1 - int(l.log.Total-n)
		if l.log.Total >= n && at >= 0 && at < len(l.log.Last) {
			l.log.Last[at].Status = status
		}
	}
}

// Requests reads the counters. Endpoints are named by method and template:
// "GET /api/v2/search".
func (s *Server) Requests() RequestLog {
	s.requests.mu.Lock()
	defer s.requests.mu.Unlock()
	l := s.requests.log
	l.ByEndpoint, l.ByStatus = maps.Clone(l.ByEndpoint), maps.Clone(l.ByStatus)
	l.Last = slices.Clone(l.Last[max(len(l.Last)-requestsKept, 0):])
	return l
}

// Count is how often an endpoint was asked, by the name Requests has for it.
func (s *Server) Count(endpoint string) int {
	s.requests.mu.Lock()
	defer s.requests.mu.Unlock()
	return s.requests.log.ByEndpoint[endpoint]
}

// ResetRequests forgets the counters.
func (s *Server) ResetRequests() {
	s.requests.mu.Lock()
	defer s.requests.mu.Unlock()
	s.requests.init()
}
