package proxy

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/audit"
	"aniproxy/internal/outbox"
	"aniproxy/internal/status"
)

// book is an Audit in memory.
type book struct {
	mu      sync.Mutex
	records []audit.Record
	err     error
	// failOutcome is what an outcome alone fails with.
	failOutcome error
	// before is called with each record before it is taken.
	before func(audit.Record)
}

func (b *book) Record(r audit.Record) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.before != nil {
		b.before(r)
	}
	if b.err != nil {
		return b.err
	}
	if b.failOutcome != nil && r.Event == audit.Outcome {
		return b.failOutcome
	}
	b.records = append(b.records, r)
	return nil
}

func (b *book) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

// take gives what was recorded since the last time.
func (b *book) take() []audit.Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	taken := b.records
	b.records = nil
	return taken
}

// sound is a request that a route of an admin's does something with.
var sound = map[string]struct{ path, body string }{
	"POST /v1/admin/resync":                 {"/v1/admin/resync", `{"mode":"full","force":true}`},
	"GET /v1/admin/explain":                 {"/v1/admin/explain?ani=" + "%2B15135550101", ""},
	"POST /v1/admin/cache/purge":            {"/v1/admin/cache/purge", ""},
	"DELETE /v1/admin/users/{id}":           {"/v1/admin/users/5", ""},
	"DELETE /v1/admin/users/{id}/tombstone": {"/v1/admin/users/5/tombstone", ""},
	"GET /v1/admin/outbox":                  {"/v1/admin/outbox?state=failed&content=1", ""},
	"POST /v1/admin/outbox/{id}/retry":      {"/v1/admin/outbox/FAILED/retry", ""},
}

// TestWhatCannotBeRecordedIsNotDone walks the routes of an admin: each but the
// one that shows the upkeep's state and nobody's data records that it is going
// to do something, and does nothing where it cannot.
func TestWhatCannotBeRecordedIsNotDone(t *testing.T) {
	w := newWorld(t, withClients)
	w.shelf.put(outbox.Record{ID: "FAILED", Kind: outbox.Comment, State: outbox.Failed})
	walked := 0
	for _, r := range w.table {
		name := r.method + " " + r.path
		if (r.scope == ScopeAdmin) != (r.action != "") {
			t.Errorf("%s needs the scope %s, and its action is %q", name, r.scope, r.action)
		}
		if r.scope != ScopeAdmin || name == "GET /v1/admin/sync" {
			continue
		}
		walked++
		ask, ok := sound[name]
		if !ok {
			t.Errorf("%s is an admin's, and nothing is known of what it records", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			w.book.fail(errors.New("disk full"))
			before := w.touched()
			got := send(t, request(t, r.method, w.admin.URL+ask.path, ask.body, "admin"))
			if detail := got.detail(t, http.StatusServiceUnavailable); !strings.Contains(detail, "nothing was done") || strings.Contains(detail, "disk") {
				t.Errorf("the answer says %q", detail)
			}
			if diff := cmp.Diff(before, w.touched()); diff != "" {
				t.Errorf("something was done that was not recorded:\n%s", diff)
			}
			w.book.fail(nil)
			w.book.before = func(r audit.Record) {
				untouched := cmp.Equal(before, w.touched())
				if r.Event == audit.Intent && !untouched {
					t.Error("it is done before it is on record")
				}
				if r.Event == audit.Outcome && untouched {
					t.Error("the outcome is on record and nothing was done")
				}
			}
			defer func() { w.book.before = nil }()
			if got := send(t, request(t, r.method, w.admin.URL+ask.path, ask.body, "admin")); got.status >= 400 {
				t.Fatalf("it answers %d: %s", got.status, got.body)
			}
			records := w.book.take()
			if len(records) != 2 || records[0].Event != audit.Intent || records[1].Event != audit.Outcome {
				t.Fatalf("it records %+v", records)
			}
			for _, one := range records {
				if one.Action != r.action || one.Action == "" || one.Client != "admin" || one.Address != "127.0.0.1" || one.RequestID == "" {
					t.Errorf("it records %+v", one)
				}
			}
			if records[1].Result != "done" || records[1].Status < 200 || records[0].Status != 0 {
				t.Errorf("the outcome is %+v", records[1])
			}
			if records[0].RequestID != records[1].RequestID || records[0].Target != records[1].Target || records[0].Target == "" {
				t.Errorf("the outcome is not this intent's: %+v", records)
			}
		})
	}
	if walked != len(sound) {
		t.Errorf("%d routes were walked, want %d", walked, len(sound))
	}
	if log := w.logged(); !strings.Contains(log, "disk full") {
		t.Error("the log does not say why nothing was done")
	}
}

// touched counts all that an admin's routes can do.
func (w *world) touched() map[string]int {
	w.mirror.mu.Lock()
	defer w.mirror.mu.Unlock()
	return map[string]int{
		"jobs": len(w.mirror.requests), "lookups": w.resolver.asked(), "explanations": int(w.resolver.explains.Load()), "purges": int(w.resolver.purged.Load()),
		"erased": len(w.eraser.erased), "lifted": len(w.eraser.lifted), "retried": len(w.shelf.retried), "listed": w.shelf.listed,
	}
}

func TestRecordsSayWhatWasDoneInIDs(t *testing.T) {
	w := newWorld(t, withClients)
	w.shelf.put(outbox.Record{ID: "FAILED", Kind: outbox.Comment, State: outbox.Failed})
	w.eraser.answer = status.Erasure{Complete: true, Steps: []status.Step{
		{Name: "tombstone", State: "done", Count: 1}, {Name: "overwrite", State: "pending", Note: "of +15135550101"},
	}}
	for _, tt := range []struct {
		name, method, path, body string
		target, detail           string // "" where nothing is recorded
		status                   int
	}{
		{"a run by force", "POST", "/v1/admin/resync", `{"mode":"full","force":true}`, "full, forced", "job job-full", 202},
		{"a run for one person", "POST", "/v1/admin/resync", `{"user_id":"5"}`, "user 5", "job job-user", 202},
		{"a run for a number", "POST", "/v1/admin/resync", `{"ani":"+15135550101"}`, "those who have a number", "job job-user", 202},
		{"a mode that somebody made up", "POST", "/v1/admin/resync", `{"mode":"+15135550101"}`, "unknown mode", "", 422},
		{"a request at fault", "POST", "/v1/admin/resync", `{"user_id":"x"}`, "", "", 400},
		{"an explanation", "GET", "/v1/admin/explain?ani=%2B15135550101", "", "who has a number", "user 9007199254740993", 200},
		{"an explanation of whom nobody knows", "GET", "/v1/admin/explain?ani=" + url.QueryEscape(nobodys), "", "who has a number", "nobody", 200},
		{"an explanation of nothing", "GET", "/v1/admin/explain", "", "", "", 400},
		{"an erasure", "DELETE", "/v1/admin/users/5", "", "user 5", "tombstone done, overwrite pending", 200},
		{"a tombstone lifted", "DELETE", "/v1/admin/users/5/tombstone", "", "user 5", "lifted", 200},
		{"a tombstone that is not there", "DELETE", "/v1/admin/users/6/tombstone", "", "user 6", "there was no tombstone", 200},
		{"an erasure of nobody", "DELETE", "/v1/admin/users/x", "", "", "", 400},
		{"records with their text", "GET", "/v1/admin/outbox?state=failed&content=1", "", "records failed, with content", "", 200},
		{"a retry of what is not there", "POST", "/v1/admin/outbox/+15135550101/retry", "", "", "", 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := send(t, request(t, tt.method, w.admin.URL+tt.path, tt.body, "admin"))
			type said struct{ Target, Detail, Result string }
			var want, recorded []said
			if tt.target != "" {
				want = []said{{tt.target, "", ""}, {tt.target, tt.detail, "done"}}
				if tt.status >= 400 {
					want[1].Result = "failed"
				}
			}
			for _, r := range w.book.take() {
				recorded = append(recorded, said{r.Target, r.Detail, r.Result})
				if r.Event == audit.Outcome && r.Status != tt.status {
					t.Errorf("the outcome is %+v", r)
				}
			}
			if diff := cmp.Diff(want, recorded); diff != "" || got.status != tt.status {
				t.Errorf("status %d, recorded (-want +got):\n%s", got.status, diff)
			}
		})
	}
}

func TestRecordsThatAreNotTakenAreCounted(t *testing.T) {
	w := newWorld(t, withClients)
	w.book.fail(errors.New("disk full"))
	w.remove(t, "/v1/admin/users/5", "admin").detail(t, http.StatusServiceUnavailable)
	w.remove(t, "/v1/admin/users/5", "lookup").detail(t, http.StatusForbidden)
	if got := string(w.get(t, "/metrics", "stats").body); !strings.Contains(got, "\naniproxy_audit_failures_total 2\n") {
		t.Errorf("the metrics have no two failures: %s", got)
	}
}

func TestAnActionThatFailsIsRecordedAsThat(t *testing.T) {
	w := newWorld(t, withClients)
	failed := func(code int, detail string) {
		t.Helper()
		w.remove(t, "/v1/admin/users/5", "admin").detail(t, code)
		records := w.book.take()
		if len(records) != 2 || records[1].Result != "failed" || records[1].Status != code || records[1].Detail != detail {
			t.Errorf("recorded %+v", records)
		}
	}
	w.eraser.answer, w.eraser.err = status.Erasure{Steps: []status.Step{{Name: "tombstone", State: "done"}}}, errors.New("disk full")
	failed(http.StatusServiceUnavailable, "tombstone done")
	w.eraser.during = func(context.Context) { panic("of a handler") }
	failed(http.StatusInternalServerError, "")
}

// TestNothingIsToldBeforeItIsOnRecord: whoever has an answer, it is on record
// that they have.
func TestNothingIsToldBeforeItIsOnRecord(t *testing.T) {
	w := newWorld(t, withClients)
	w.shelf.put(outbox.Record{ID: "FAILED", Kind: outbox.Comment, State: outbox.Failed})
	for name, ask := range sound {
		t.Run(name, func(t *testing.T) {
			method, _, _ := strings.Cut(name, " ")
			answer, outcomes := httptest.NewRecorder(), 0
			w.book.before = func(r audit.Record) {
				if r.Event == audit.Outcome {
					outcomes++
				}
				if answer.Body.Len() > 0 {
					t.Errorf("%s before its %s is on record", answer.Body, r.Event)
				}
			}
			w.Admin().ServeHTTP(answer, request(t, method, w.admin.URL+ask.path, ask.body, "admin"))
			if outcomes != 1 || answer.Code >= 300 {
				t.Errorf("it answers %d, with %d outcomes", answer.Code, outcomes)
			}
		})
	}
}

// TestAnOutcomeThatCannotBeRecorded: it has been done, and nothing else may be
// said of it; the log has what the audit log lacks.
func TestAnOutcomeThatCannotBeRecorded(t *testing.T) {
	w := newWorld(t, withClients)
	w.book.failOutcome = errors.New("disk full")
	w.eraser.answer.Complete = true
	if got := w.remove(t, "/v1/admin/users/5", "admin"); got.status != http.StatusOK || !slices.Equal(w.eraser.erased, []int64{5}) {
		t.Errorf("it answers %d: %s; erased %v", got.status, got.body, w.eraser.erased)
	}
	if log := w.logged(); !strings.Contains(log, `level=ERROR msg="not recorded in the audit log" event=outcome action=erase client=admin`) {
		t.Errorf("the log is %s", log)
	}
}

func TestRefusedTriesAtAnAdminsRoutesAreRecordedNotTooOften(t *testing.T) {
	w := newWorld(t, withClients)
	try := func(client string, want int) {
		t.Helper()
		w.remove(t, "/v1/admin/users/5", client).detail(t, want)
	}
	try("lookup", 403)
	try("lookup", 403)
	try("lookup", 403)
	try("stats", 403)
	try("", 401)
	w.get(t, "/v1/stats", "lookup").detail(t, 403) // no admin's: a client with another scope has it
	w.tick(time.Second)
	try("lookup", 403)
	w.tick(time.Second)
	send(t, request(t, http.MethodGet, w.admin.URL+"/v1/admin/sync", "", "stats")).detail(t, 403)
	var got []string
	var suppressed []uint64
	all := w.book.take()
	for i, r := range all {
		action := "erase"
		if i == len(all)-1 {
			action = "sync"
		}
		if r.Event != audit.Refused || r.Action != action || r.Status != 403 || r.Target != "" {
			t.Errorf("recorded %+v", r)
		}
		got, suppressed = append(got, r.Client), append(suppressed, r.Suppressed)
	}
	if !slices.Equal(got, []string{"lookup", "stats", "lookup", "stats"}) || !slices.Equal(suppressed, []uint64{0, 0, 2, 0}) {
		t.Errorf("recorded of %v, suppressed %v", got, suppressed)
	}
	w.book.fail(errors.New("disk full"))
	w.tick(time.Second)
	try("lookup", 403) // refused all the same
	if !strings.Contains(w.logged(), "not recorded in the audit log") {
		t.Error("the log does not say that a refusal was not recorded")
	}
}
