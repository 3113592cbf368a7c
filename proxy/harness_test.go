package proxy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"aniproxy/internal/caller"
	"aniproxy/internal/speech"
	"aniproxy/internal/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(written.Around(m)) }

// written is what the tests of this package have logged, and about whom.
var written = everybody()

// The numbers that the resolver here knows, and what it knows of them.
const (
	annsNumber   = "+15135550101" // one person with tickets
	quietNumber  = "+15135550102" // one person without
	sharedNumber = "+15135550103" // two people
	nobodys      = "+15135550104"
	downNumber   = "+15135550105" // Zendesk is down and nothing is known
	panicNumber  = "+15135550106"
	slowNumber   = "+15135550107" // answered when the context ends
	oddNumber    = "+15135550108" // texts that nobody should have typed
	plainNumber  = "+15135550109" // a name of plain letters
)

var start = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func ann() caller.Caller {
	return caller.Caller{
		User: caller.User{
			ID: 9007199254740993, OrganizationID: 77, Name: "Ann Lee", Email: "ann@example.org", Phone: annsNumber,
			Locale: "es-MX", Role: "end-user", Tags: []string{"vip", "gold"}, Active: true,
			CreatedAt: start.Unix() - 9000, UpdatedAt: start.Unix() - 8000,
		},
		Open: []caller.Ticket{
			{ID: 503, AssigneeID: 40, Status: "open", Priority: "urgent", Type: "incident", Subject: "Printer on fire", Tags: []string{"fire", "printer"}, CreatedAt: start.Unix() - 100, UpdatedAt: start.Unix() - 50},
			{ID: 502, AssigneeID: 41, Status: "pending", Priority: "low", Subject: "Toner", CreatedAt: start.Unix() - 200, UpdatedAt: start.Unix() - 60},
			{ID: 501, Status: "new", Subject: "Paper", CreatedAt: start.Unix() - 300, UpdatedAt: start.Unix() - 10},
			{ID: 500, Status: "hold", Subject: "Ink", CreatedAt: start.Unix() - 400, UpdatedAt: start.Unix() - 90},
		},
		OpenCount: 4,
		Assignees: []caller.Person{{ID: 40, Name: "Maria Lopez", Email: "Maria@example.com"}, {ID: 41, Name: "Tom Day", Email: "tom@example.com"}},
	}
}

func quiet() caller.Caller {
	return caller.Caller{User: caller.User{ID: 12, Name: "Bo", Role: "end-user", Active: true}}
}

func sharers() []caller.Caller {
	return []caller.Caller{
		{
			User: caller.User{ID: 21, Name: "Carla Secret", Email: "carla@example.org", Locale: "it", Tags: []string{"hush"}, OrganizationID: 99, Active: true},
			Open: []caller.Ticket{{ID: 601, AssigneeID: 43, Status: "open", Priority: "high", Subject: "Confidential", CreatedAt: start.Unix() - 20, UpdatedAt: start.Unix() - 20}}, OpenCount: 1,
			Assignees: []caller.Person{{ID: 43, Name: "Iris Hidden", Email: "iris@example.com"}},
		},
		{
			User: caller.User{ID: 22, Name: "Dario Private", Active: true},
			Open: []caller.Ticket{{ID: 602, Status: "pending", Subject: "Classified", CreatedAt: start.Unix() - 30, UpdatedAt: start.Unix() - 30}}, OpenCount: 1,
		},
	}
}

func odd() caller.Caller {
	return caller.Caller{
		User: caller.User{
			ID: 31, Active: true, Name: "  A\"\\\n\x00\u202EB\xff" + strings.Repeat("é", 400), Email: strings.Repeat("x", 300) + "@example.org",
			Locale: "\x01\x02", Tags: []string{strings.Repeat("a", 200), strings.Repeat("b", 100), "c"},
		},
		Open: []caller.Ticket{{ID: 701, Status: "open", Subject: strings.Repeat("𝔘", 257)}}, OpenCount: 1,
	}
}

// resolver is a Resolver that knows a few numbers.
type resolver struct {
	mu      sync.Mutex
	queries []caller.Query
	stats   status.Cache
	purged  atomic.Int32
	stale   atomic.Bool // what is found is stale
	// explains counts explanations; explained changes one.
	explains  atomic.Int32
	explained func(*caller.Explanation)
}

func (r *resolver) Lookup(ctx context.Context, q caller.Query) caller.Answer {
	r.mu.Lock()
	r.queries = append(r.queries, q)
	r.mu.Unlock()
	found := func(c caller.Caller) caller.Answer {
		return caller.Answer{Outcome: caller.Found, Reason: "none", ANI: q.ANI, Callers: []caller.Caller{c}, Source: caller.FromMemory, Age: 90*time.Second + time.Millisecond, Stale: r.stale.Load()}
	}
	switch strings.TrimSpace(q.ANI) {
	case "", "anonymous", "null":
		return caller.Answer{Outcome: caller.Anonymous, Reason: "empty", Source: caller.FromNowhere}
	case "911":
		return caller.Answer{Outcome: caller.ShortCode, Reason: "short_code", Source: caller.FromNowhere}
	case annsNumber:
		return found(ann())
	case quietNumber:
		return found(quiet())
	case oddNumber:
		return found(odd())
	case plainNumber:
		c := quiet()
		c.User.Name = "Zed"
		return found(c)
	case sharedNumber:
		people := sharers()
		if !q.WithTickets {
			for i := range people {
				people[i].Open, people[i].OpenCount, people[i].Assignees = nil, 0, nil
			}
		}
		return caller.Answer{Outcome: caller.Ambiguous, Reason: "shared_number", ANI: q.ANI, Callers: people, Source: caller.FromDisk, Stale: true}
	case nobodys:
		return caller.Answer{Outcome: caller.NotFound, Reason: "no_user", ANI: q.ANI, Source: caller.FromDisk, Age: 61 * time.Second}
	case downNumber:
		return caller.Answer{Outcome: caller.Unavailable, Reason: "zendesk_unavailable", ANI: q.ANI, Source: caller.FromNowhere, Stale: true}
	case panicNumber:
		panic("cannot look up " + q.ANI)
	case slowNumber:
		<-ctx.Done()
		return caller.Answer{Outcome: caller.Unavailable, Reason: "deadline", ANI: q.ANI, Source: caller.FromNowhere, Stale: true}
	default:
		reason := "malformed"
		if strings.Contains(q.ANI, "Ann") || strings.Contains(q.ANI, "@") {
			reason = "letters"
		}
		return caller.Answer{Outcome: caller.Invalid, Reason: reason, Source: caller.FromNowhere}
	}
}

// Explain is what is known without asking, of the number that Lookup knows.
func (r *resolver) Explain(ctx context.Context, q caller.Query) caller.Explanation {
	r.explains.Add(1)
	silent := &resolver{}
	silent.stale.Store(r.stale.Load())
	e := caller.Explanation{
		Text: q.ANI, Class: "number", Reason: "none", E164: strings.TrimSpace(q.ANI), Memory: "nothing",
		Answer: silent.Lookup(ctx, q),
		Streams: caller.Streams{
			Users:   caller.Position{Stream: caller.Users, Complete: true, Watermark: start.Add(-90 * time.Second)},
			Tickets: caller.Position{Stream: caller.Tickets, Complete: true, Watermark: start.Add(-61 * time.Second)},
		},
	}
	if e.Answer.ANI == "" {
		e.Class, e.Reason, e.E164 = string(e.Answer.Outcome), e.Answer.Reason, ""
	}
	q.WithTickets = true
	for _, c := range silent.Lookup(ctx, q).Callers {
		c.Seen = start.Add(-30 * time.Second)
		e.Held = append(e.Held, caller.Held{Caller: c, By: caller.ByProfile, Version: caller.Version{Updated: 1}})
	}
	if r.explained != nil {
		r.explained(&e)
	}
	return e
}

func (r *resolver) Stats() status.Cache { return r.stats }
func (r *resolver) Purge()              { r.purged.Add(1) }

// last is the query that was asked last.
func (r *resolver) last(t *testing.T) caller.Query {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queries) == 0 {
		t.Fatal("the resolver was not asked")
	}
	return r.queries[len(r.queries)-1]
}

func (r *resolver) asked() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.queries)
}

// directory is a Directory of Ann, and of somebody deleted.
type directory struct {
	size    caller.Size
	streams caller.Streams
	err     error
}

func (d *directory) Caller(id int64) (caller.Caller, bool, error) {
	switch a := ann(); id {
	case a.User.ID:
		return a, true, d.err
	case 13:
		return caller.Caller{User: caller.User{ID: 13, Name: "Gone"}}, true, d.err
	default:
		return caller.Caller{}, false, d.err
	}
}

func (d *directory) Size() caller.Size       { return d.size }
func (d *directory) Streams() caller.Streams { return d.streams }

// mirror is a Mirror that runs nothing.
type mirror struct {
	mu       sync.Mutex
	requests []status.Request
	state    status.Sync
	err      error
}

func (m *mirror) Start(r status.Request) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests = append(m.requests, r)
	if !slices.Contains([]string{"incremental", "full", "verify", "user"}, r.Mode) {
		return "", &status.ModeError{Mode: r.Mode, Allowed: []string{"incremental", "full", "verify", "user"}}
	}
	return "job-" + r.Mode, m.err
}

func (m *mirror) Job(id string) (status.Job, bool) {
	jobs := m.state.Last
	if m.state.Running != nil {
		jobs = append([]status.Job{*m.state.Running}, jobs...)
	}
	for _, j := range jobs {
		if j.ID == id {
			return j, true
		}
	}
	return status.Job{}, false
}

func (m *mirror) Status() status.Sync { return m.state }

// world is a server with everything around it.
type world struct {
	*Server
	resolver  *resolver
	directory *directory
	mirror    *mirror
	shelf     *shelf
	eraser    *eraser
	book      *book
	notices   *notices
	registry  *prometheus.Registry
	now       atomic.Int64 // Unix nanoseconds
	ids       atomic.Int64
	mu        sync.Mutex
	log       bytes.Buffer
	public    *httptest.Server
	admin     *httptest.Server
}

func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

func (w *world) logged() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

func (w *world) tick(d time.Duration) { w.now.Add(int64(d)) }

func newWorld(t testing.TB, change func(*Options)) *world {
	t.Helper()
	w := &world{resolver: &resolver{}, directory: &directory{}, mirror: &mirror{}, eraser: &eraser{}, book: &book{}, notices: &notices{}, registry: prometheus.NewRegistry()}
	w.now.Store(start.UnixNano())
	clock := func() time.Time { return time.Unix(0, w.now.Load()) }
	w.shelf = newShelf(clock)
	o := Options{
		Resolver: w.resolver, Directory: w.directory, Mirror: w.mirror, Outbox: w.shelf, Eraser: w.eraser, Audit: w.book, Numbers: numbers{},
		Notices:   w.notices,
		Zendesk:   func() status.Zendesk { return status.Zendesk{Requests: 5, Errors: 1, RateRemaining: -1} },
		Logger:    slog.New(slog.NewTextHandler(io.MultiWriter(w, written.Sink(t.Name())), nil)),
		Registry:  w.registry,
		Clock:     clock,
		RandomID:  func() string { return fmt.Sprintf("made-%d", w.ids.Add(1)) },
		AgentBase: "https://acme.zendesk.com/agent/", Agents: map[string]string{"MARIA@example.com": "maria@contact.example"},
		Voices:   voicesOf(t, speech.Options{}),
		Deadline: time.Minute,
	}
	if change != nil {
		change(&o)
	}
	var err error
	if w.Server, err = New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.keepMetrics(t) })
	w.public, w.admin = httptest.NewServer(w.Public()), httptest.NewServer(w.Admin())
	t.Cleanup(w.public.Close)
	t.Cleanup(w.admin.Close)
	return w
}

// voicesOf are voices of three languages.
func voicesOf(t testing.TB, o speech.Options) *speech.Voices {
	t.Helper()
	o.DefaultLanguage, o.Voices = "en-US", map[string]string{"en": "en-US", "es": "es-US", "it": "it-IT"}
	v, err := speech.NewVoices(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// secretOf is the secret of the client of that name.
func secretOf(name string) string { return name + strings.Repeat("-secret", 6) }

// newClient is a client with the usual limits.
func newClient(name string, scopes ...string) Client {
	return Client{
		Name: name, Digests: [][32]byte{sha256.Sum256([]byte(secretOf(name)))}, Scopes: scopes,
		Rate: 1000, Burst: 1000, LivePerMinute: 2, DistinctPerMinute: 3000,
	}
}

// withClients configures a client for each scope, named after it, and one that
// may do everything.
func withClients(o *Options) {
	all := []string{}
	for _, scope := range Scopes() {
		o.Clients = append(o.Clients, newClient(string(scope), string(scope)))
		all = append(all, string(scope))
	}
	o.Clients = append(o.Clients, newClient("all", all...))
}

// withSecrets configures two webhooks.
func withSecrets(o *Options) { o.WebhookSecrets = []string{"events secret", "trigger secret"} }

// reply is an answer that was read.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r *reply) json(t testing.TB) map[string]any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(r.body))
	decoder.UseNumber()
	var m map[string]any
	if err := decoder.Decode(&m); err != nil {
		t.Fatalf("%v in %s", err, r.body)
	}
	return m
}

// detail is the detail of a problem of that status.
func (r *reply) detail(t testing.TB, want int) string {
	t.Helper()
	if r.status != want {
		t.Fatalf("status %d, want %d: %s", r.status, want, r.body)
	}
	if got := r.header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("a problem of the type %q", got)
	}
	var p Problem
	if err := json.Unmarshal(r.body, &p); err != nil {
		t.Fatal(err)
	}
	if p.Type != "about:blank" || p.Status != want || p.Title != http.StatusText(want) || p.Detail == "" || p.RequestID != r.header.Get("X-Request-Id") {
		t.Errorf("the problem is %+v", p)
	}
	return p.Detail
}

// request makes one; client "" sends no key.
func request(t testing.TB, method, url, body, client string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if client != "" {
		r.Header.Set("Authorization", "Bearer "+secretOf(client))
	}
	return r
}

// send sends a request and holds the answer against the API's description.
func send(t testing.TB, r *http.Request) *reply {
	t.Helper()
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	keepAnswer(t, r, res.StatusCode, body)
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	hold(t, r, res, body)
	return &reply{status: res.StatusCode, header: res.Header, body: body}
}

func (w *world) get(t testing.TB, path, client string) *reply {
	t.Helper()
	return send(t, request(t, http.MethodGet, w.admin.URL+path, "", client))
}

func (w *world) post(t testing.TB, path, body, client string) *reply {
	t.Helper()
	r := request(t, http.MethodPost, w.admin.URL+path, body, client)
	r.Header.Set("Content-Type", "application/json")
	return send(t, r)
}

var loadDescription = sync.OnceValues(func() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(description)
	if err != nil {
		return nil, err
	}
	return doc, doc.Validate(context.Background())
})

var descriptionRouter = sync.OnceValues(func() (routers.Router, error) {
	doc, err := loadDescription()
	if err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(doc)
})

// hold compares an answer with the description: of every route that is in it,
// and of every request that was accepted, the request too.
func hold(t testing.TB, r *http.Request, res *http.Response, body []byte) {
	t.Helper()
	router, err := descriptionRouter()
	if err != nil {
		t.Fatal(err)
	}
	if res.Header.Get("X-Request-Id") == "" || res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%s %s: the headers are %v", r.Method, r.URL.Path, res.Header)
	}
	if one, ok := zendeskPath(r.URL.Path); ok { // the description has one spelling of each
		r = r.Clone(r.Context())
		r.URL.Path = one
	}
	found, params, err := router.FindRoute(r)
	if err != nil {
		if res.StatusCode != http.StatusNotFound && res.StatusCode != http.StatusMethodNotAllowed && res.StatusCode != http.StatusForbidden && res.StatusCode != http.StatusRequestURITooLong {
			t.Errorf("%s %s answers %d and is not described", r.Method, r.URL.Path, res.StatusCode)
		}
		return
	}
	if res.StatusCode == http.StatusNotFound && found.Operation.Responses.Status(http.StatusNotFound) == nil {
		return // an admin route, asked of the public side
	}
	if res.StatusCode == http.StatusForbidden && found.Operation.Responses.Status(http.StatusForbidden) == nil {
		return // not admitted at all
	}
	in := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: found,
		Options: &openapi3filter.Options{
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true, MultiError: true,
		},
	}
	if err := openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: res.StatusCode, Header: res.Header,
		Body: io.NopCloser(bytes.NewReader(body)), Options: in.Options,
	}); err != nil {
		t.Errorf("%s %s answers %d otherwise than described: %v\n%s", r.Method, r.URL.Path, res.StatusCode, err, body)
	}
}

// holdRequest compares a request that is as the description has it.
func holdRequest(t testing.TB, r *http.Request) {
	t.Helper()
	router, err := descriptionRouter()
	if err != nil {
		t.Fatal(err)
	}
	found, params, err := router.FindRoute(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := openapi3filter.ValidateRequest(t.Context(), &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: found,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	}); err != nil {
		t.Errorf("%s %s is not described so: %v", r.Method, r.URL.Path, err)
	}
}
