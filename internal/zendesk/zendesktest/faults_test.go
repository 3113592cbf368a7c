package zendesktest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// asker asks an account over HTTP. What came of a body that was cut is in the
// answer, beside the error.
type asker func(ctx context.Context, method, path, body string) (answer, error)

// overSocket asks over a real connection; no test of it waits.
func overSocket(t *testing.T, s *Server) asker {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return overHTTP(t, server.Client(), server.URL)
}

func overHTTP(t *testing.T, client *http.Client, base string) asker {
	t.Helper()
	return func(ctx context.Context, method, path, body string) (answer, error) {
		req, err := http.NewRequestWithContext(ctx, method, base+path, strings.NewReader(body))
		if err != nil {
			return answer{}, err
		}
		req.SetBasicAuth(DefaultEmail+"/token", DefaultAPIToken)
		resp, err := client.Do(req)
		if err != nil {
			return answer{}, err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return answer{Status: resp.StatusCode, Header: resp.Header, Body: string(b)}, err
	}
}

func TestResetsAndCutBodies(t *testing.T) {
	s := New(Options{Users: 20})
	defer s.Close()
	ask := overSocket(t, s)
	const path = "/api/v2/search.json?query=type:user"

	s.Fail(Fault{Path: "/api/v2/search", Count: 1, Reset: true})
	if _, err := ask(t.Context(), "GET", path, ""); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
		t.Errorf("a reset: %v", err)
	}
	s.Fail(Fault{Path: "/api/v2/search.json", Count: 1, CutBodyAt: 100})
	a, err := ask(t.Context(), "GET", path, "")
	if len(a.Body) != 100 || !errors.Is(err, io.ErrUnexpectedEOF) || len(a.Header.Get("Content-Length")) < 4 {
		t.Errorf("a cut body: %d of %s bytes, %v", len(a.Body), a.Header.Get("Content-Length"), err)
	}
	s.Fail(Fault{Path: "/api/v2/search", Count: 1, CutBodyAt: -1})
	if a, err = ask(t.Context(), "GET", path, ""); len(a.Body) != 0 || err == nil {
		t.Errorf("a body cut at its beginning: %d bytes, %v", len(a.Body), err)
	}
	s.Down(true)
	if _, err := ask(t.Context(), "GET", path, ""); err == nil {
		t.Error("down, and an answer")
	}
	if a, err = ask(t.Context(), "GET", "/_sim/requests", ""); err != nil || a.Status != http.StatusOK {
		t.Fatalf("down, and no controls: %v", err)
	}
	s.Down(false)
	if a, err = ask(t.Context(), "GET", path, ""); err != nil || a.Status != http.StatusOK {
		t.Fatalf("up again: %v", err)
	}
}

func TestAnswersThatAreSpoilt(t *testing.T) {
	d := newDesk(t, Options{Limits: unlimited})
	for _, c := range []struct {
		name        string
		fault       Fault
		status      int
		contentType string
		body        string
		retryAfter  string
	}{
		{"garbage", Fault{Garbage: true}, 200, "application/json", "not JSON", ""},
		{"a page from the edge", Fault{HTML: true}, 502, "text/html", "<h1>502 Bad Gateway</h1>", ""},
		{"another page from the edge", Fault{HTML: true, Status: 504}, 504, "text/html", "504 Gateway Timeout", ""},
		{"a status with headers", Fault{Status: 503, Header: http.Header{"Retry-After": {"7"}}, Body: `{"error":"x"}`}, 503, "application/json", `{"error":"x"}`, "7"},
		{"plain text", Fault{Status: 500, Body: "oops"}, 500, "text/plain", "oops", ""},
		{"nothing but a status", Fault{Status: 500}, 500, "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.fault.Count = 1
			d.Fail(c.fault)
			a := d.get("/api/v2/brands.json")
			if a.Status != c.status || !strings.HasPrefix(a.Header.Get("Content-Type"), c.contentType) ||
				!strings.Contains(a.Body, c.body) || a.Header.Get("Retry-After") != c.retryAfter {
				t.Errorf("%d %v %q", a.Status, a.Header, a.Body)
			}
			if a.JSON != nil && c.name == "garbage" {
				t.Error("the garbage is JSON")
			}
			d.ok("/api/v2/brands.json")
		})
	}
	d.Maintenance(90 * time.Second)
	if a := d.get("/api/v2/brands.json"); a.Status != 503 || a.Header.Get("Retry-After") != "90" {
		t.Errorf("in maintenance: %d, Retry-After %q", a.Status, a.Header.Get("Retry-After"))
	}
	d.Maintenance(-1)
	d.ok("/api/v2/brands.json")
}

func TestWhichRequestsAFaultHits(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault Fault
		want  []int // statuses of: GET brands, GET ticket 1, PUT ticket 1, GET brands, GET ticket 1
	}{
		{"every one", Fault{}, []int{500, 500, 500, 500, 500}},
		{"one method", Fault{Method: "put"}, []int{200, 200, 500, 200, 200}},
		{"a prefix", Fault{Path: "/api/v2/tickets"}, []int{200, 500, 500, 200, 500}},
		{"a pattern", Fault{Path: "/api/v2/*/1.json"}, []int{200, 500, 500, 200, 500}},
		{"the first two", Fault{Count: 2}, []int{500, 500, 200, 200, 200}},
		{"from the fourth on", Fault{After: 3}, []int{200, 200, 200, 500, 500}},
		{"the second of a kind", Fault{Path: "/api/v2/brands", After: 1, Count: 1}, []int{200, 200, 200, 500, 200}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := withTicket(t, Options{}, TicketSpec{})
			c.fault.Status = 500
			remove := d.Fail(c.fault)
			const put = `{"ticket":{"comment":{"body":"x","public":false}}}`
			got := []int{
				d.get("/api/v2/brands.json").Status, d.get("/api/v2/tickets/1.json").Status, d.put(put).Status,
				d.get("/api/v2/brands").Status, d.get("/api/v2/tickets/1").Status,
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			remove()
			d.ok("/api/v2/brands")
		})
	}
	d := withTicket(t, Options{}, TicketSpec{})
	d.Fail(Fault{Method: "PUT", Status: 502, Perform: true})
	if a := d.put(`{"ticket":{"comment":{"body":"x","public":false}}}`); a.Status != 502 || len(d.Truth().Comments(1)) != 1 {
		t.Errorf("an answer lost after the work: %d, %d comments", a.Status, len(d.Truth().Comments(1)))
	}
	d.ClearFaults()
	d.ok("/api/v2/brands")
}

// Timed faults, over connections in memory.

func TestSlowAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Seed: 1, Users: 3})
		defer s.Close()
		ask := overHTTP(t, &http.Client{Transport: s.Transport()}, "http://sim.test")
		s.Fail(Fault{Path: "/api/v2/brands", Count: 2, Delay: 3 * time.Second})
		began := time.Now()
		if a, err := ask(t.Context(), "GET", "/api/v2/brands.json", ""); err != nil || a.Status != http.StatusOK {
			t.Fatalf("a slow answer: %v", err)
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("it took %s", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := ask(ctx, "GET", "/api/v2/brands.json", ""); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("too slow for the client: %v", err)
		}
		synctest.Wait()
	})
}

func TestAPutThatLandsAfterItsClientHasGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Limits: unlimited})
		defer s.Close()
		user := s.CreateUser(UserSpec{Name: "Ada Example"})
		ticket, err := s.CreateTicket(TicketSpec{Requester: user})
		if err != nil {
			t.Fatal(err)
		}
		ask := overHTTP(t, &http.Client{Transport: s.Transport()}, "http://sim.test")
		s.Fail(Fault{Method: "PUT", Count: 1, LateWrite: true, Delay: 5 * time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if _, err := ask(ctx, "PUT", "/api/v2/tickets/1.json", `{"ticket":{"comment":{"body":"late","public":false}}}`); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("the client: %v", err)
		}
		if got := s.Truth().Comments(ticket); len(got) != 0 {
			t.Fatalf("it has landed already: %+v", got)
		}
		<-time.After(5*time.Second - time.Millisecond)
		synctest.Wait()
		if got := s.Truth().Comments(ticket); len(got) != 0 {
			t.Fatalf("it has landed early: %+v", got)
		}
		<-time.After(time.Millisecond)
		synctest.Wait()
		if got := s.Truth().Comments(ticket); len(got) != 1 || got[0].Body != "late" {
			t.Errorf("it has not landed: %+v", got)
		}
	})
}

func TestCloseLetsGoOfRequestsThatHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{})
		ask := overHTTP(t, &http.Client{Transport: s.Transport()}, "http://sim.test")
		s.Fail(Fault{Hang: true})
		ended := make(chan error, 1)
		go func() {
			_, err := ask(t.Context(), "GET", "/api/v2/brands.json", "")
			ended <- err
		}()
		synctest.Wait()
		select {
		case err := <-ended:
			t.Fatalf("it does not hang: %v", err)
		default:
		}
		s.Close()
		s.Close()
		if err := <-ended; err == nil {
			t.Error("an answer from a closed account")
		}
		if _, err := ask(t.Context(), "GET", "/api/v2/brands.json", ""); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a closed account still takes connections: %v", err)
		}
	})
}

// sharedFile opens a file of the collection that lies beside the repository on
// a developer's machine.
func sharedFile(t *testing.T, name string) []byte {
	t.Helper()
	dir, err := filepath.Abs("../../../../shared/facts") // the repository's root is three up
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("%s is not here: it lies beside the repository, not in it", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Every collected error body can be produced, as it was seen.
func TestErrorShapesAreTheCollectedOnes(t *testing.T) {
	var shapes []struct {
		ID       string
		Status   int
		Headers  map[string]string
		Body     any
		BodyText string `json:"body_text"`
	}
	if err := json.Unmarshal(sharedFile(t, "zendesk-errors.json"), &shapes); err != nil {
		t.Fatal(err)
	}
	d := newDesk(t, Options{})
	for _, shape := range shapes {
		f, ok := ErrorShape(shape.ID)
		if !ok {
			t.Errorf("%s is missing", shape.ID)
			continue
		}
		f.Count = 1
		d.Fail(f)
		a := d.get("/api/v2/brands.json")
		if a.Status != shape.Status {
			t.Errorf("%s: status %d, want %d", shape.ID, a.Status, shape.Status)
		}
		if _, wants := shape.Headers["Retry-After"]; wants != (a.Header.Get("Retry-After") != "") {
			t.Errorf("%s: Retry-After is %q", shape.ID, a.Header.Get("Retry-After"))
		}
		switch {
		case shape.BodyText != "":
			if a.Body != shape.BodyText || strings.Contains(a.Header.Get("Content-Type"), "json") {
				t.Errorf("%s: %q as %s", shape.ID, a.Body, a.Header.Get("Content-Type"))
			}
		case shape.Body != nil:
			if diff := cmp.Diff(shape.Body, any(a.JSON)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", shape.ID, diff)
			}
		}
	}
	if len(shapes) < 20 || len(shapes) != len(errorShapes) {
		t.Errorf("%d shapes are collected, %d are here", len(shapes), len(errorShapes))
	}
	if _, ok := ErrorShape("made up"); ok {
		t.Error("a shape nobody has seen")
	}
}
