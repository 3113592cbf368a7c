package proxy

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"
)

func TestWhatThereIsNot(t *testing.T) {
	w := newWorld(t, withClients)
	tests := []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/", 404, ""},
		{"GET", "/v1", 404, ""},
		{"GET", "/v1/lookup/", 404, ""},
		{"GET", "//v1/lookup?ani=5", 404, ""},
		{"GET", "/v1/users/5/other", 404, ""},
		{"OPTIONS", "/nowhere", 404, ""},
		{"DELETE", "/v1/lookup", 405, "GET, POST"},
		{"HEAD", "/healthz", 405, "GET"},
		{"OPTIONS", "/v1/lookup", 405, "GET, POST"},
		{"BREW", "/v1/lookup", 405, "GET, POST"},
		{"GET", "/v1/admin/resync", 405, "POST"},
		{"POST", "/v1/stats", 405, "GET"},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			got := send(t, request(t, tt.method, w.admin.URL+tt.path, "", "all"))
			if tt.method == http.MethodHead {
				if got.status != tt.status {
					t.Errorf("status %d", got.status)
				}
			} else {
				got.detail(t, tt.status)
			}
			if allow := got.header.Get("Allow"); allow != tt.allow {
				t.Errorf("Allow %q, want %q", allow, tt.allow)
			}
		})
	}
}

func TestRequestIDs(t *testing.T) {
	w := newWorld(t, nil)
	tests := []struct {
		name, id string
		kept     bool
	}{
		{"none", "", false},
		{"a UUID", "6f1c1a2e-0b7d-4a53-9a3e-0c3d5f1b2a10", true},
		{"64 characters", strings.Repeat("a", 64), true},
		{"all that is allowed", "A-z_0.9", true},
		{"a short number", "42", true},
		{"65 characters", strings.Repeat("a", 65), false},
		{"a space", "a b", false},
		{"another script", "ä", false},
		{"markup", "<b>", false},
		{"what could be a phone number", "1-513-555-0101", false},
		{"a phone number behind a word", "ani-15135550142", false},
		{"a UUID of many digits", "12345678-1234-4234-8234-123456789012", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := request(t, http.MethodGet, w.public.URL+"/healthz", "", "")
			r.Header.Set("X-Request-ID", tt.id)
			got := send(t, r).header.Get("X-Request-ID")
			if kept := got == tt.id; kept != tt.kept || !kept && !strings.HasPrefix(got, "made-") {
				t.Errorf("the id of the answer is %q", got)
			}
			if !strings.Contains(w.logged(), "request_id="+got) {
				t.Errorf("%q is not in the log", got)
			}
		})
	}
}

func TestAPanicIsOneProblem(t *testing.T) {
	w := newWorld(t, nil)
	got := w.get(t, "/v1/lookup?ani="+url.QueryEscape(panicNumber), "")
	if detail := got.detail(t, http.StatusInternalServerError); strings.Contains(detail, "look up") {
		t.Errorf("the problem tells %s", detail)
	}
	log := w.logged()
	for _, part := range []string{"level=ERROR", "panic of type string", "harness_test.go", "route=/v1/lookup", "request_id=made-1", "status=500"} {
		if !strings.Contains(log, part) {
			t.Errorf("%s is not in the log:\n%s", part, log)
		}
	}
	if strings.Contains(log, "5135550106") {
		t.Errorf("the log tells the number:\n%s", log)
	}
	if got := w.get(t, "/v1/lookup?ani="+url.QueryEscape(annsNumber), ""); got.status != http.StatusOK {
		t.Errorf("the next lookup: status %d", got.status)
	}
}

func TestAnAnswerThatWasGivenIsNotGivenAgain(t *testing.T) {
	w := newWorld(t, nil)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/", nil)
	r.RemoteAddr = "127.0.0.1:1"
	answer := httptest.NewRecorder()
	late := w.around(onPublic, func(c echo.Context) error {
		if err := c.String(http.StatusOK, "given"); err != nil {
			return err
		}
		panic("too late")
	})
	if err := late(echo.New().NewContext(r, answer)); err != nil {
		t.Error(err)
	}
	if got := answer.Body.String(); got != "given" || answer.Code != http.StatusOK {
		t.Errorf("the answer is %d %q", answer.Code, got)
	}
	if !strings.Contains(w.logged(), "panic of type string") {
		t.Error("the panic is not in the log")
	}
}

func TestAPanicOfTheRuntimeSaysWhat(t *testing.T) {
	var index []int
	caught := func() (err error) {
		defer func() { err = newPanicError(recover()) }()
		_ = index[len(index)]
		return nil
	}()
	if text := caught.Error(); !strings.Contains(text, "index out of range") {
		t.Errorf("the error is %.80q", text)
	}
}

// TestTheLogTellsNothingOfAnyone asks everything about everybody and reads
// every line that was logged meanwhile.
func TestTheLogTellsNothingOfAnyone(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.DemoAll = true; withSecrets(o) })
	for _, number := range []string{annsNumber, quietNumber, sharedNumber, nobodys, downNumber, panicNumber, oddNumber, plainNumber} {
		escaped := url.QueryEscape(number)
		w.get(t, "/v1/lookup?lang=it&ticket_id=503&fresh=1&ani="+escaped, "")
		w.get(t, "/v1/users?ani="+escaped, "")
		w.get(t, "/v1/admin/explain?client=Ann&ani="+escaped, "")
		w.get(t, "/v1/admin/explain?ani="+escaped, "")
		w.post(t, "/v1/admin/resync", `{"ani":"`+number+`","mode":"full"}`, "")
		w.remove(t, "/v1/admin/users/"+strings.TrimPrefix(number, "+"), "")
		w.deliver(t, "events secret", start, `{"user_id":"`+number+`","name":"Ann"}`)
		w.post(t, "/v1/lookup", `{"ani":"`+number+`"}`, "")
		w.get(t, "/"+escaped, "")
		w.get(t, "/v1/users/"+strings.TrimPrefix(number, "+"), "")
		w.get(t, "/v1/users/9007199254740993/tickets?q="+escaped, "")
		w.post(t, "/v1/admin/resync", `{"mode":"`+number+`"}`, "")
		r := request(t, http.MethodGet, w.admin.URL+"/v1/lookup?ani="+escaped, "", "")
		r.Method = "CALL" + strings.TrimPrefix(number, "+")
		r.Header.Set("X-Request-ID", strings.TrimPrefix(number, "+"))
		r.Header.Set("User-Agent", number)
		send(t, r)
	}
	log := w.logged()
	if lines := strings.Count(log, "msg=request "); lines != 13*8 {
		t.Errorf("%d lines for %d requests", lines, 13*8)
	}
	for _, private := range []string{"51355501", "Ann", "Lee", "Carla", "Zed", "fire", "ani=", "9007199254740993", "CALL", "acme"} {
		if strings.Contains(log, private) {
			t.Errorf("the log tells %q", private)
		}
	}
}

func TestALineOfTheLog(t *testing.T) {
	w := newWorld(t, withClients)
	w.get(t, "/v1/lookup?ani="+url.QueryEscape(annsNumber), "lookup")
	w.get(t, "/v1/users/9007199254740993", "")
	var got []string
	for line := range strings.Lines(w.logged()) {
		_, line, _ = strings.Cut(line, "level=")
		got = append(got, strings.TrimSpace(line))
	}
	want := []string{
		"INFO msg=request method=GET route=/v1/lookup status=200 took=0s request_id=made-1 client=lookup outcome=found source=memory",
		"INFO msg=request method=GET route=/v1/users/{id} status=401 took=0s request_id=made-2 client=none",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
}
