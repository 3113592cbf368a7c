package proxy

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/status"
)

func (w *world) remove(t testing.TB, path, client string) *reply {
	t.Helper()
	return send(t, request(t, http.MethodDelete, w.admin.URL+path, "", client))
}

func TestErase(t *testing.T) {
	w := newWorld(t, withClients)
	w.eraser.answer = status.Erasure{UserID: 9007199254740993, Complete: true, Steps: []status.Step{
		{Name: "tombstone", State: "done", Count: 1}, {Name: "mirror", State: "done", Count: 5},
	}}
	got := w.remove(t, "/v1/admin/users/9007199254740993", "admin")
	want := `{"user_id":"9007199254740993","complete":true,"until":"","steps":[{"name":"tombstone","state":"done","count":1,"note":""},{"name":"mirror","state":"done","count":5,"note":""}]}`
	if diff := cmp.Diff(want, string(got.body)); diff != "" || got.status != http.StatusOK {
		t.Errorf("status %d (-want +got):\n%s", got.status, diff)
	}
	w.eraser.answer = status.Erasure{UserID: 5, Until: start.Add(time.Minute), Steps: []status.Step{
		{Name: "overwrite", State: "pending", Note: "a backup is being read"},
	}}
	got = w.remove(t, "/v1/admin/users/5", "admin")
	want = `{"user_id":"5","complete":false,"until":"2026-03-04T05:07:07Z","steps":[{"name":"overwrite","state":"pending","count":0,"note":"a backup is being read"}]}`
	if diff := cmp.Diff(want, string(got.body)); diff != "" || got.status != http.StatusAccepted {
		t.Errorf("status %d (-want +got):\n%s", got.status, diff)
	}
	if diff := cmp.Diff([]int64{9007199254740993, 5}, w.eraser.erased); diff != "" {
		t.Errorf("erased (-want +got):\n%s", diff)
	}
	for _, id := range []string{"0", "-5", "abc", "5.0", "9223372036854775808", "%20"} {
		w.remove(t, "/v1/admin/users/"+id, "admin").detail(t, http.StatusBadRequest)
		w.remove(t, "/v1/admin/users/"+id+"/tombstone", "admin").detail(t, http.StatusBadRequest)
	}
	if len(w.eraser.erased) != 2 || w.eraser.lifted != nil {
		t.Errorf("erased %v, lifted %v", w.eraser.erased, w.eraser.lifted)
	}
	w.eraser.err = errors.New("disk full")
	for _, path := range []string{"/v1/admin/users/5", "/v1/admin/users/5/tombstone"} {
		got := w.remove(t, path, "admin")
		if detail := got.detail(t, http.StatusServiceUnavailable); !strings.Contains(detail, "Ask again") || strings.Contains(detail, "disk") {
			t.Errorf("detail %s", detail)
		}
	}
	if log := w.logged(); strings.Count(log, "disk full") != 2 || !strings.Contains(log, "route=/v1/admin/users/{id} ") {
		t.Errorf("the log has %s", log)
	}
}

func TestLift(t *testing.T) {
	w := newWorld(t, withClients)
	w.remove(t, "/v1/admin/users/5", "admin")
	for id, want := range map[string]string{
		"5": `{"user_id":"5","lifted":true}`, "6": `{"user_id":"6","lifted":false}`,
	} {
		got := w.remove(t, "/v1/admin/users/"+id+"/tombstone", "admin")
		if diff := cmp.Diff(want, string(got.body)); diff != "" || got.status != http.StatusOK {
			t.Errorf("status %d (-want +got):\n%s", got.status, diff)
		}
	}
}

// TestAnErasureOutlivesItsRequest: an admin whose connection breaks has asked.
func TestAnErasureOutlivesItsRequest(t *testing.T) {
	w := newWorld(t, withClients)
	w.eraser.during = func(ctx context.Context) {
		if err := ctx.Err(); err != nil {
			t.Errorf("the erasure is stopped: %v", err)
		}
		if _, limited := ctx.Deadline(); !limited {
			t.Error("it may take for ever")
		}
	}
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	r := httptest.NewRequestWithContext(ctx, http.MethodDelete, "/v1/admin/users/5", nil)
	r.Header.Set("Authorization", "Bearer "+secretOf("admin"))
	w.Admin().ServeHTTP(httptest.NewRecorder(), r)
	if diff := cmp.Diff([]int64{5}, w.eraser.erased); diff != "" {
		t.Errorf("erased (-want +got):\n%s", diff)
	}
}

func TestErasingIsTheAdmins(t *testing.T) {
	w := newWorld(t, withClients)
	r := request(t, http.MethodDelete, w.public.URL+"/v1/admin/users/5", "", "admin")
	send(t, r).detail(t, http.StatusNotFound)
	w.remove(t, "/v1/admin/users/5", "directory").detail(t, http.StatusForbidden)
	w.remove(t, "/v1/admin/users/5", "").detail(t, http.StatusUnauthorized)
	if w.eraser.erased != nil {
		t.Errorf("erased %v", w.eraser.erased)
	}
}
