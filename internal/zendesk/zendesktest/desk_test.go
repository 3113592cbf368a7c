package zendesktest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testTime is when the accounts of the tests come into being.
var testTime = time.Date(2026, 3, 4, 10, 0, 30, 0, time.UTC)

// testClock is a clock that stands still until it is moved.
type testClock struct {
	mu sync.Mutex
	at time.Time
}

func (c *testClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *testClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// desk is an account under test and someone who asks it, without a socket.
type desk struct {
	*Server
	t     *testing.T
	clock *testClock
	auth  string // user:password of Basic, or "Bearer …"
}

func newDesk(t *testing.T, opt Options) *desk {
	t.Helper()
	clock := &testClock{at: testTime}
	opt.Clock = clock.now
	s := New(opt)
	t.Cleanup(s.Close)
	return &desk{Server: s, t: t, clock: clock, auth: DefaultEmail + "/token:" + DefaultAPIToken}
}

// answer is what came back; its JSON, where it is an object, is in JSON.
type answer struct {
	Status int
	Header http.Header
	Body   string
	JSON   map[string]any
}

func (d *desk) do(method, target, body string, header ...string) answer {
	d.t.Helper()
	req := httptest.NewRequestWithContext(d.t.Context(), method, target, strings.NewReader(body))
	if user, password, basic := strings.Cut(d.auth, ":"); basic {
		req.SetBasicAuth(user, password)
	} else if d.auth != "" {
		req.Header.Set("Authorization", d.auth)
	}
	for k := 0; k+1 < len(header); k += 2 {
		req.Header.Set(header[k], header[k+1])
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, req)
	return readAnswer(d.t, w.Result())
}

func readAnswer(t *testing.T, resp *http.Response) answer {
	t.Helper()
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("read the answer: %v", err)
	}
	a := answer{Status: resp.StatusCode, Header: resp.Header, Body: string(b)}
	_ = json.Unmarshal(b, &a.JSON) // plain text has no JSON
	return a
}

func (d *desk) get(target string, query ...string) answer {
	d.t.Helper()
	v := url.Values{}
	for k := 0; k+1 < len(query); k += 2 {
		v.Add(query[k], query[k+1])
	}
	if len(v) > 0 {
		target += "?" + v.Encode()
	}
	return d.do(http.MethodGet, target, "")
}

// ok is get, and the answer must be 200.
func (d *desk) ok(target string, query ...string) answer {
	d.t.Helper()
	a := d.get(target, query...)
	if a.Status != http.StatusOK {
		d.t.Fatalf("GET %s %q: status %d: %s", target, query, a.Status, a.Body)
	}
	return a
}

// list is an array of objects in the answer.
func (a answer) list(key string) []map[string]any {
	items, _ := a.JSON[key].([]any)
	var all []map[string]any
	for _, x := range items {
		m, _ := x.(map[string]any)
		all = append(all, m)
	}
	return all
}

// object is one object in the answer.
func (a answer) object(key string) map[string]any {
	m, _ := a.JSON[key].(map[string]any)
	return m
}

func idsOf(items []map[string]any) []int64 {
	var all []int64
	for _, x := range items {
		n, _ := x["id"].(float64)
		all = append(all, int64(n))
	}
	return all
}

// must fails the test on an error of a change.
func (d *desk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) ticket(spec TicketSpec) int64 {
	d.t.Helper()
	id, err := d.CreateTicket(spec)
	d.must(err)
	return id
}

// walk reads an export from a cursor ("" is the beginning) to its end.
func (d *desk) walk(kind, cursor string, query ...string) (items []map[string]any, resume string) {
	d.t.Helper()
	for range 10_000 {
		ask := append([]string{"start_time", "0"}, query...)
		if cursor != "" {
			ask = append([]string{"cursor", cursor}, query...)
		}
		a := d.ok("/api/v2/incremental/"+kind+"/cursor.json", ask...)
		items = append(items, a.list(kind)...)
		cursor, _ = a.JSON["after_cursor"].(string)
		if a.JSON["end_of_stream"] == true {
			return items, cursor
		}
	}
	d.t.Fatal("the export has no end")
	return nil, ""
}
