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
	mode := func(m string) *status.Request { return &status.Request{Mode: m, Trigger: "request"} }
	user := func(id int64, number string) *status.Request {
		return &status.Request{Mode: "user", Trigger: "request", UserID: id, Number: number}
	}
	tests := []struct {
		name, body string
		status     int
		want       *status.Request // nil where the mirror is not asked
		detail     string
	}{
		{"an empty body", "", 202, mode("incremental"), ""},
		{"an empty object", "{}", 202, mode("incremental"), ""},
		{"an empty mode", `{"mode":""}`, 202, mode("incremental"), ""},
		{"a mode that was never set", `{"mode":"null","user_id":null,"ani":"","force":"none"}`, 202, mode("incremental"), ""},
		{"incremental", `{"mode":"incremental"}`, 202, mode("incremental"), ""},
		{"full", `{"mode":"full","other":1}`, 202, mode("full"), ""},
		{"full by force", `{"mode":"full","force":true}`, 202, &status.Request{Mode: "full", Trigger: "request", Force: true}, ""},
		{"full, not by force", `{"mode":"full","force":false}`, 202, mode("full"), ""},
		{"verify", `{"mode":"verify"}`, 202, mode("verify"), ""},
		{"a user by id", `{"mode":"user","user_id":"9007199254740993"}`, 202, user(9007199254740993, ""), ""},
		{"a user by an id that is a number", `{"mode":"user","user_id":9007199254740993}`, 202, user(9007199254740993, ""), ""},
		{"a user by number", `{"mode":"user","ani":" +15135550101 "}`, 202, user(0, annsNumber), ""},
		{"a user and no mode", `{"user_id":5}`, 202, user(5, ""), ""},
		{"a number and no mode", `{"ani":"+15135550101"}`, 202, user(0, annsNumber), ""},
		{"a mode that nobody knows", `{"mode":"gentle"}`, 422, mode("gentle"), "incremental, full"},
		{"a mode that is no text", `{"mode":{}}`, 422, mode("unreadable"), "incremental, full"},
		{"no JSON", `mode=full`, 400, nil, "JSON"},
		{"a user twice", `{"user_id":5,"ani":"+15135550101"}`, 400, nil, "not by both"},
		{"a user beside another mode", `{"mode":"full","user_id":5}`, 400, nil, `the mode "user"`},
		{"a number beside another mode", `{"mode":"verify","ani":"+15135550101"}`, 400, nil, `the mode "user"`},
		{"nobody", `{"mode":"user"}`, 400, nil, `"user_id" or an "ani"`},
		{"nobody by force", `{"mode":"user","force":1}`, 400, nil, `"user_id" or an "ani"`},
		{"force beside another mode", `{"mode":"verify","force":true}`, 400, nil, `the mode "full"`},
		{"force and no mode", `{"force":"1"}`, 400, nil, `the mode "full"`},
		{"an id that is none", `{"user_id":"abc"}`, 400, nil, "whole number above 0"},
		{"an id below 1", `{"mode":"user","user_id":-5}`, 400, nil, "whole number above 0"},
		{"an id that is an object", `{"user_id":{}}`, 400, nil, "whole number above 0"},
		{"two ids", `{"user_id":5,"user_id":6}`, 400, nil, "whole number above 0"},
		{"a number that is none", `{"ani":"Ann"}`, 400, nil, "phone number"},
		{"a number that is a list", `{"ani":["+15135550101"]}`, 400, nil, "phone number"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, withClients)
			got := w.post(t, "/v1/admin/resync", tt.body, "admin")
			if got.status != tt.status {
				t.Fatalf("status %d: %s", got.status, got.body)
			}
			var want []status.Request
			if tt.want != nil {
				want = []status.Request{*tt.want}
			}
			if diff := cmp.Diff(want, w.mirror.requests); diff != "" {
				t.Errorf("the mirror was asked (-want +got):\n%s", diff)
			}
			if tt.status != http.StatusAccepted {
				if detail := got.detail(t, tt.status); !strings.Contains(detail, tt.detail) || strings.Contains(detail, "Ann") {
					t.Errorf("detail %s", detail)
				}
				return
			}
			if id := got.json(t)["job_id"]; id != "job-"+tt.want.Mode {
				t.Errorf("job_id %v", id)
			}
			if tt.body != "" {
				r := request(t, http.MethodPost, w.admin.URL+"/v1/admin/resync", tt.body, "admin")
				r.Header.Set("Content-Type", "application/json")
				if !strings.Contains(tt.body, `"null"`) { // what only a flow would send
					holdRequest(t, r)
				}
			}
		})
	}
	w := newWorld(t, withClients)
	w.mirror.err = errors.New("stopping")
	w.post(t, "/v1/admin/resync", "", "admin").detail(t, http.StatusInternalServerError)
	w.mirror.err = &status.StateError{Mode: "full", Why: "another full run is under way"}
	if detail := w.post(t, "/v1/admin/resync", `{"mode":"full"}`, "admin").detail(t, http.StatusConflict); !strings.Contains(detail, "under way") {
		t.Errorf("detail %s", detail)
	}
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
		Sample:      status.Sample{Checked: 200, Differ: 3, Behind: 2, Share: 0.015, Oldest: 90*time.Second + time.Millisecond, At: start},
		Notices:     status.Notices{Received: 21, Merged: 22, Dropped: 23, Fetched: 24, Failed: 25, Waiting: 26, Last: start},
		Round:       status.Round{Began: start, Read: 27}, SkippedRecords: 28,
	}
	verified := status.Job{
		ID: "j0", Mode: "verify", State: "done", Started: start, Ended: start, RemovedUsers: 1, RemovedTickets: 2, DifferenceCount: 3, DifferingObjects: 2,
		Differences: []status.Difference{
			{Stream: "users", ID: 9007199254740993, Field: "phone", Since: start}, {Stream: "tickets", ID: 503, Field: "missing"},
		},
	}
	w.mirror.state.Last = append(w.mirror.state.Last, verified)
}

// verifiedJob is what a comparison has found. A thousand differences may be
// told, and no value of a field.
const verifiedJob = `{"id":"j0","mode":"verify","trigger":"","state":"done","started":"2026-03-04T05:06:07Z","ended":"2026-03-04T05:06:07Z","error":"","progress":[],"removed_users":1,"removed_tickets":2,` +
	`"differences":[{"stream":"users","id":"9007199254740993","field":"phone","since":"2026-03-04T05:06:07Z"},{"stream":"tickets","id":"503","field":"missing","since":""}],"difference_count":3,"differing_objects":2}`

func TestSyncState(t *testing.T) {
	w := newWorld(t, withClients)
	idle := `{"running":false,"last":[],"next_run":"","last_success":"","last_error":"","unreadable_phones":[],"skipped_records":0,` +
		`"streams":{"tickets":{"complete":false,"watermark":"","age_seconds":-1},"users":{"complete":false,"watermark":"","age_seconds":-1}},` +
		`"sample":{"checked":0,"differ":0,"behind":0,"share":0,"oldest_difference_seconds":0,"at":""},"notices":{"received":0,"merged":0,"dropped":0,"fetched":0,"failed":0,"waiting":0,"last":""},"round":{"began":"","read":0,"ended":""}}`
	if diff := cmp.Diff(idle, string(w.get(t, "/v1/admin/sync", "admin").body)); diff != "" {
		t.Errorf("idle (-want +got):\n%s", diff)
	}
	busy(w)
	want := `{"running":true,"job":{"id":"j2","mode":"full","trigger":"request","state":"running","started":"2026-03-04T05:06:07Z","ended":"","error":"","progress":[` +
		`{"stream":"users","pages":2,"records":2000,"records_per_second":12.5,"position":"2026-03-04T05:06:07Z","remaining_seconds":90,"done":false}],"removed_users":0,"removed_tickets":0,"differences":[],"difference_count":0,"differing_objects":0},` +
		`"last":[{"id":"j1","mode":"incremental","trigger":"start","state":"failed","started":"2026-03-04T05:06:07Z","ended":"2026-03-04T05:06:07Z","error":"rate_limited","progress":[],"removed_users":0,"removed_tickets":0,"differences":[],"difference_count":0,"differing_objects":0},` +
		verifiedJob + `],` +
		`"next_run":"2026-03-04T05:07:07Z","last_success":"2026-03-04T04:06:07Z","last_error":"rate_limited",` +
		`"identities":{"stream":"identities","pages":0,"records":0,"records_per_second":0,"position":"","remaining_seconds":-1,"done":false},` +
		`"unreadable_phones":["+49*****11"],"skipped_records":28,` +
		`"streams":{"tickets":{"complete":false,"watermark":"","age_seconds":-1},"users":{"complete":true,"watermark":"2026-03-04T05:04:37Z","age_seconds":90}},` +
		`"sample":{"checked":200,"differ":3,"behind":2,"share":0.015,"oldest_difference_seconds":90,"at":"2026-03-04T05:06:07Z"},` +
		`"notices":{"received":21,"merged":22,"dropped":23,"fetched":24,"failed":25,"waiting":26,"last":"2026-03-04T05:06:07Z"},"round":{"began":"2026-03-04T05:06:07Z","read":27,"ended":""}}`
	if diff := cmp.Diff(want, string(w.get(t, "/v1/admin/sync", "admin").body)); diff != "" {
		t.Errorf("busy (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(verifiedJob, string(w.get(t, "/v1/admin/sync?job=j0", "admin").body)); diff != "" {
		t.Errorf("one job (-want +got):\n%s", diff)
	}
	w.get(t, "/v1/admin/sync?job=j9", "admin").detail(t, http.StatusNotFound)
	w.get(t, "/v1/admin/sync?job=j0&job=j1", "admin").detail(t, http.StatusNotFound) // which of them, nobody can tell
	if got := w.get(t, "/v1/admin/sync?job=", "admin"); !strings.HasPrefix(string(got.body), `{"running":true`) {
		t.Errorf("an empty job is none: %s", got.body)
	}
}

func TestStats(t *testing.T) {
	w := newWorld(t, withClients)
	busy(w)
	w.shelf.state = status.Outbox{Queued: 8, Failed: 9, Oldest: 10 * time.Second}
	w.resolver.stats = status.Cache{MemoryHits: 5, DiskHits: 2, LiveHits: 1, NegativeHits: 1, Misses: 1, Entries: 11, Bytes: 12, Evictions: 13, DroppedSets: 14, WalksInFlight: 15, Refreshes: 16, RefreshesFailed: 17}
	for _, number := range []string{annsNumber, annsNumber, sharedNumber, "", "junk"} {
		w.get(t, "/v1/lookup?ani="+url.QueryEscape(number), "lookup")
	}
	w.get(t, "/v1/users?ani="+url.QueryEscape(nobodys), "lookup")
	w.get(t, "/v1/lookup", "lookup") // a request that is none is no lookup
	w.tick(time.Second)
	want := `{"cache":{"memory_hits":5,"disk_hits":2,"live_hits":1,"negative_hits":1,"misses":1,"hit_ratio":0.9,"entries":11,"bytes":12,"evictions":13,"dropped_sets":14,"walks_in_flight":15,"refreshes":16,"refreshes_failed":17},` +
		`"lookups":{"total":6,"by_outcome":{"ambiguous":1,"anonymous":1,"found":2,"invalid":1,"not_found":1,"short_code":0,"unavailable":0},"per_second":3,"p50_us":0,"p99_us":0},` +
		`"mirror":{"users":1,"numbers":2,"tickets":3,"shared_numbers":4,"unreadable_phones":5,"identities_due":6,"file_bytes":7,` +
		`"sample":{"checked":200,"differ":3,"behind":2,"share":0.015,"oldest_difference_seconds":90,"at":"2026-03-04T05:06:07Z"}},` +
		`"sync":{"running":true,"last_success":"2026-03-04T04:06:07Z","last_error":"rate_limited","next_run":"2026-03-04T05:07:07Z","users_age_seconds":91,"tickets_age_seconds":-1,` +
		`"skipped_records":28,"notices":{"received":21,"merged":22,"dropped":23,"fetched":24,"failed":25,"waiting":26,"last":"2026-03-04T05:06:07Z"},"round":{"began":"2026-03-04T05:06:07Z","read":27,"ended":""}},` +
		`"outbox":{"queued":8,"failed":9,"oldest_seconds":10},"zendesk":{"requests":5,"errors":1,"rate_remaining":-1},"webhooks":{"dropped":0,"ignored":0,"queued":0,"refused":0,"repeated":0},"logins":{"failed":0,"slowed":0},"clients":[`
	for i, name := range []string{"lookup", "comment", "zendesk", "directory", "stats", "admin", "all"} {
		figures := `"numbers":0,"not_found":0`
		if i == 0 { // Ann's, the one that is shared, and nobody's
			figures = `"numbers":3,"not_found":1`
		} else {
			want += ","
		}
		want += `{"name":"` + name + `",` + figures + `,"miss_alarm":false,"refused_rate":0,"refused_distinct":0,"refused_live":0}`
	}
	want += "]}"
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
	w.resolver.stats = status.Cache{MemoryHits: 5, Misses: 5, Refreshes: 6, RefreshesFailed: 7}
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
		`aniproxy_cache_refreshes_total 6`, `aniproxy_cache_refresh_failures_total 7`,
		`aniproxy_mirror_sample_checked 200`, `aniproxy_mirror_sample_differing 3`, `aniproxy_mirror_sample_behind 2`,
		`aniproxy_mirror_sample_differing_ratio 0.015`, `aniproxy_mirror_sample_oldest_difference_seconds 90.001`,
		`aniproxy_mirror_sample_last_timestamp_seconds 1.772600767e+09`,
		`aniproxy_sync_notices_total 21`, `aniproxy_sync_notices_merged_total 22`, `aniproxy_sync_notices_dropped_total 23`,
		`aniproxy_sync_notices_fetched_total 24`, `aniproxy_sync_notices_failed_total 25`, `aniproxy_sync_notices_waiting 26`,
		`aniproxy_sync_last_notice_timestamp_seconds 1.772600767e+09`, `aniproxy_webhook_deliveries_total{result="refused"} 0`,
		`aniproxy_sync_skipped_records_total 28`, `aniproxy_sync_reread_users_total 27`,
		`aniproxy_sync_round_began_timestamp_seconds 1.772600767e+09`, `aniproxy_sync_round_ended_timestamp_seconds 0`,
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
