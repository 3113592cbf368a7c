package proxy

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/caller"
	"aniproxy/internal/status"
)

func TestResync(t *testing.T) {
	tests := []struct {
		name, body string
		status     int
		mode       string
	}{
		{"an empty body", "", 202, "incremental"},
		{"an empty object", "{}", 202, "incremental"},
		{"an empty mode", `{"mode":""}`, 202, "incremental"},
		{"a mode that was never set", `{"mode":"null"}`, 202, "incremental"},
		{"incremental", `{"mode":"incremental"}`, 202, "incremental"},
		{"full", `{"mode":"full","other":1}`, 202, "full"},
		{"a mode that nobody knows", `{"mode":"gentle"}`, 422, "gentle"},
		{"a mode that is no text", `{"mode":{}}`, 422, "unreadable"},
		{"no JSON", `mode=full`, 400, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, withClients)
			got := w.post(t, "/v1/admin/resync", tt.body, "admin")
			if got.status != tt.status {
				t.Fatalf("status %d: %s", got.status, got.body)
			}
			var want []status.Request
			if tt.mode != "" {
				want = []status.Request{{Mode: tt.mode, Trigger: "request"}}
			}
			if diff := cmp.Diff(want, w.mirror.requests); diff != "" {
				t.Errorf("the mirror was asked (-want +got):\n%s", diff)
			}
			switch tt.status {
			case http.StatusAccepted:
				if id := got.json(t)["job_id"]; id != "job-"+tt.mode {
					t.Errorf("job_id %v", id)
				}
			case http.StatusUnprocessableEntity:
				if detail := got.detail(t, 422); !strings.Contains(detail, "incremental, full") {
					t.Errorf("detail %s", detail)
				}
			}
		})
	}
	w := newWorld(t, withClients)
	w.mirror.err = errors.New("stopping")
	w.post(t, "/v1/admin/resync", "", "admin").detail(t, http.StatusInternalServerError)
}

func TestPurge(t *testing.T) {
	w := newWorld(t, withClients)
	if got := w.post(t, "/v1/admin/cache/purge", "", "admin"); got.status != http.StatusNoContent || w.resolver.purged.Load() != 1 {
		t.Errorf("status %d, purged %d times", got.status, w.resolver.purged.Load())
	}
}

// busy is a mirror at work.
func busy(w *world) {
	w.directory.streams = caller.Streams{
		Users: caller.Position{Stream: caller.Users, Cursor: "opaque", Complete: true, Watermark: start.Add(-90 * time.Second)},
	}
	w.directory.size = caller.Size{Users: 1, Numbers: 2, Tickets: 3, SharedNumbers: 4, UnreadablePhones: 5, IdentitiesDue: 6, FileBytes: 7}
	progress := status.Progress{Stream: "users", Pages: 2, Records: 2000, RecordsPerSecond: 12.5, Position: start, Remaining: 90 * time.Second}
	w.mirror.state = status.Sync{
		Running:     &status.Job{ID: "j2", Mode: "full", Trigger: "request", State: "running", Started: start, Progress: []status.Progress{progress}},
		Last:        []status.Job{{ID: "j1", Mode: "incremental", Trigger: "start", State: "failed", Started: start, Ended: start, Error: "rate_limited"}},
		NextRun:     start.Add(time.Minute),
		LastError:   "rate_limited",
		LastSuccess: start.Add(-time.Hour),
		Unreadable:  []string{"+49*****11"},
		Identities:  &status.Progress{Stream: "identities", Remaining: -1},
	}
}

func TestSyncState(t *testing.T) {
	w := newWorld(t, withClients)
	idle := `{"running":false,"last":[],"next_run":"","last_success":"","last_error":"","unreadable_phones":[],` +
		`"streams":{"tickets":{"complete":false,"watermark":"","age_seconds":-1},"users":{"complete":false,"watermark":"","age_seconds":-1}}}`
	if diff := cmp.Diff(idle, string(w.get(t, "/v1/admin/sync", "admin").body)); diff != "" {
		t.Errorf("idle (-want +got):\n%s", diff)
	}
	busy(w)
	want := `{"running":true,"job":{"id":"j2","mode":"full","trigger":"request","state":"running","started":"2026-03-04T05:06:07Z","ended":"","error":"","progress":[` +
		`{"stream":"users","pages":2,"records":2000,"records_per_second":12.5,"position":"2026-03-04T05:06:07Z","remaining_seconds":90,"done":false}]},` +
		`"last":[{"id":"j1","mode":"incremental","trigger":"start","state":"failed","started":"2026-03-04T05:06:07Z","ended":"2026-03-04T05:06:07Z","error":"rate_limited","progress":[]}],` +
		`"next_run":"2026-03-04T05:07:07Z","last_success":"2026-03-04T04:06:07Z","last_error":"rate_limited",` +
		`"identities":{"stream":"identities","pages":0,"records":0,"records_per_second":0,"position":"","remaining_seconds":-1,"done":false},` +
		`"unreadable_phones":["+49*****11"],` +
		`"streams":{"tickets":{"complete":false,"watermark":"","age_seconds":-1},"users":{"complete":true,"watermark":"2026-03-04T05:04:37Z","age_seconds":90}}}`
	if diff := cmp.Diff(want, string(w.get(t, "/v1/admin/sync", "admin").body)); diff != "" {
		t.Errorf("busy (-want +got):\n%s", diff)
	}
}

func TestStats(t *testing.T) {
	w := newWorld(t, withClients)
	busy(w)
	w.shelf.state = status.Outbox{Queued: 8, Failed: 9, Oldest: 10 * time.Second}
	w.resolver.stats = status.Cache{MemoryHits: 5, DiskHits: 2, LiveHits: 1, NegativeHits: 1, Misses: 1, Entries: 11, Bytes: 12, Evictions: 13, DroppedSets: 14, WalksInFlight: 15}
	for _, number := range []string{annsNumber, annsNumber, sharedNumber, "", "junk"} {
		w.get(t, "/v1/lookup?ani="+url.QueryEscape(number), "lookup")
	}
	w.get(t, "/v1/users?ani="+url.QueryEscape(nobodys), "lookup")
	w.get(t, "/v1/lookup", "lookup") // a request that is none is no lookup
	w.tick(time.Second)
	want := `{"cache":{"memory_hits":5,"disk_hits":2,"live_hits":1,"negative_hits":1,"misses":1,"hit_ratio":0.9,"entries":11,"bytes":12,"evictions":13,"dropped_sets":14,"walks_in_flight":15},` +
		`"lookups":{"total":6,"by_outcome":{"ambiguous":1,"anonymous":1,"found":2,"invalid":1,"not_found":1,"short_code":0,"unavailable":0},"per_second":3,"p50_us":0,"p99_us":0},` +
		`"mirror":{"users":1,"numbers":2,"tickets":3,"shared_numbers":4,"unreadable_phones":5,"identities_due":6,"file_bytes":7},` +
		`"sync":{"running":true,"last_success":"2026-03-04T04:06:07Z","last_error":"rate_limited","next_run":"2026-03-04T05:07:07Z","users_age_seconds":91,"tickets_age_seconds":-1},` +
		`"outbox":{"queued":8,"failed":9,"oldest_seconds":10},"zendesk":{"requests":5,"errors":1,"rate_remaining":-1}}`
	if diff := cmp.Diff(want, string(w.get(t, "/v1/stats", "stats").body)); diff != "" {
		t.Errorf("the statistics (-want +got):\n%s", diff)
	}
}

func TestStatsBeforeAnything(t *testing.T) {
	got := newWorld(t, nil).get(t, "/v1/stats", "")
	for _, part := range []string{`"hit_ratio":0,`, `"total":0,`, `"per_second":0,`, `"outbox":{"queued":0,"failed":0,"oldest_seconds":0}`} {
		if !strings.Contains(string(got.body), part) {
			t.Errorf("%s is not in %s", part, got.body)
		}
	}
}

func TestMetrics(t *testing.T) {
	w := newWorld(t, withClients)
	busy(w)
	w.resolver.stats = status.Cache{MemoryHits: 5, Misses: 5}
	w.get(t, "/v1/lookup?ani="+url.QueryEscape(annsNumber), "lookup")
	w.get(t, "/v1/lookup", "lookup")
	w.get(t, "/no/"+annsNumber, "lookup")
	got := string(w.get(t, "/metrics", "stats").body)
	for _, line := range []string{
		`aniproxy_lookups_total{outcome="found"} 1`, `aniproxy_lookups_total{outcome="unavailable"} 0`,
		`aniproxy_lookup_duration_seconds_count 1`,
		`aniproxy_http_requests_total{code="2xx",route="/v1/lookup"} 1`, `aniproxy_http_requests_total{code="4xx",route="/v1/lookup"} 1`,
		`aniproxy_http_requests_total{code="4xx",route="unmatched"} 1`,
		`aniproxy_cache_hits_total{tier="memory"} 5`, `aniproxy_cache_misses_total 5`, `aniproxy_cache_hit_ratio 0.5`,
		`aniproxy_mirror_users 1`, `aniproxy_mirror_unreadable_phones 5`, `aniproxy_mirror_file_bytes 7`,
		`aniproxy_sync_running 1`, `aniproxy_sync_last_run_failed 1`, `aniproxy_sync_last_success_timestamp_seconds 1.772597167e+09`,
		`aniproxy_stream_age_seconds{stream="users"} 90`, `aniproxy_stream_age_seconds{stream="tickets"} -1`,
		`aniproxy_outbox_queued 0`, `aniproxy_zendesk_requests_total 5`, `aniproxy_zendesk_rate_remaining -1`,
	} {
		if !slices.Contains(strings.Split(got, "\n"), line) {
			t.Errorf("%s is not in\n%s", line, got)
		}
	}
	if strings.Contains(got, annsNumber) || strings.Contains(got, "Ann") {
		t.Error("the metrics tell who called")
	}
	for _, name := range regexp.MustCompile(`(?m)^# HELP (\S+)`).FindAllStringSubmatch(got, -1) {
		if !strings.HasPrefix(name[1], "aniproxy_") {
			t.Errorf("%s is not ours", name[1])
		}
	}
}

func TestHealth(t *testing.T) {
	w := newWorld(t, nil)
	for _, url := range []string{w.public.URL, w.admin.URL} {
		ask := func(path string) *reply { return send(t, request(t, http.MethodGet, url+path, "", "")) }
		w.directory.streams = caller.Streams{}
		if got := ask("/healthz"); got.status != http.StatusOK {
			t.Errorf("healthz: status %d", got.status)
		}
		ask("/readyz").detail(t, http.StatusServiceUnavailable)
		w.directory.streams.Users.Complete = true
		ask("/readyz").detail(t, http.StatusServiceUnavailable)
		w.directory.streams.Tickets.Complete = true
		if got := ask("/readyz"); got.status != http.StatusOK {
			t.Errorf("readyz of a mirror that was filled: status %d", got.status)
		}
		if got := ask("/openapi.yaml"); got.status != http.StatusOK || !strings.HasPrefix(string(got.body), "openapi: 3") {
			t.Errorf("openapi.yaml: status %d", got.status)
		}
	}
}
