package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"aniproxy/internal/ani"
	"aniproxy/internal/caller"
	"aniproxy/internal/config"
	"aniproxy/internal/privacytest"
	"aniproxy/internal/status"
	"aniproxy/internal/zendesk/zendesktest"
)

// rig is the whole product on real sockets: a made-up account, and a daemon
// that mirrors it into a real file.
type rig struct {
	*parts
	t       *testing.T
	sim     *zendesktest.Server
	public  string
	admin   string
	secret  string // of the client that asks, "" where none is configured
	http    *http.Client
	log     *privacytest.Sink // all that the daemon logged
	stop    func()
	changes chan struct{} // one value at hand after a commit

	mu    sync.Mutex
	ahead time.Duration // how far the daemon's and the account's clock are ahead
}

// clock is one clock for the daemon and the account.
func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Add(r.ahead)
}

func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ahead += d
}

// rigOptions change the account and the configuration before they are used.
type rigOptions struct {
	sim     *zendesktest.Server // one that is there already
	account func(*zendesktest.Options)
	config  func(*config.Config)
	reloads reloads
}

// setUp starts everything and waits until the mirror is filled.
func setUp(t *testing.T, o rigOptions) *rig {
	t.Helper()
	r := &rig{t: t, log: written.Sink(t.Name() + ", the log"), changes: make(chan struct{}, 1)}
	sim := zendesktest.Options{
		Seed: 11, Users: 300, HideNewest: -1, SearchLag: -1, Limits: zendesktest.Ample(), Clock: r.clock,
	}
	if o.account != nil {
		o.account(&sim)
	}
	if r.sim = o.sim; r.sim == nil {
		r.sim = zendesktest.New(sim)
	}
	knowPeople(r.sim)
	account := httptest.NewServer(r.sim)
	cfg := config.Defaults()
	cfg.Server.Listen, cfg.Server.AdminListen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Zendesk.BaseURL = account.URL
	cfg.Zendesk.ClientID, cfg.Zendesk.ClientSecret = zendesktest.DefaultClientID, zendesktest.DefaultClientSecret
	cfg.Zendesk.RatePerMinute = 10_000
	cfg.Store.Path = filepath.Join(t.TempDir(), "data", "a.db")
	cfg.Sync.Schedule, cfg.Sync.FullSchedule = "@every 24h", ""
	if o.config != nil {
		o.config(cfg)
	}
	log := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	d, err := build(t.Context(), cfg, log, serveOptions{
		demo: len(cfg.Clients) == 0, clock: r.clock, changed: r.changed, doubtWait: 50 * time.Millisecond, reloads: o.reloads,
	})
	if err != nil {
		t.Fatal(err)
	}
	r.parts = d
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	at := make(chan addresses, 1)
	go func() { ended <- d.run(ctx, func(a addresses) { at <- a }) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the daemon ended with %v", err)
		}
		if err := d.close(); err != nil {
			t.Error(err)
		}
	})
	r.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	t.Cleanup(func() {
		knowPeople(r.sim) // those whom the test has made
		r.keepAnswers()
		r.keepAuditLogs()
		r.http.CloseIdleConnections()
		r.stop()
		account.Close()
		r.sim.Close()
	})
	select {
	case a := <-at:
		r.public, r.admin = a.public, a.admin
	case err := <-ended:
		ended <- nil
		t.Fatalf("the daemon ended with %v: %s", err, r.log)
	}
	r.identitiesRead()
	return r
}

func (r *rig) changed() {
	select {
	case r.changes <- struct{}{}:
	default:
	}
}

// identitiesRead waits until no identities are due.
func (r *rig) identitiesRead() {
	for r.store.Size().IdentitiesDue > 0 {
		<-r.changes
	}
}

// resync has the daemon read the account again and waits for the run's end. A
// run that is at its end already, such as that of the start, would be the one
// that does it, and would read nothing again: it is waited for first.
func (r *rig) resync(mode string) {
	r.t.Helper()
	enough := time.After(10 * time.Second)
	for waited := false; !waited && r.mirror.Status().Running != nil; {
		select {
		case <-time.After(time.Millisecond):
		case <-enough:
			waited = true
		}
	}
	id, err := r.mirror.Start(status.Request{Mode: mode, Trigger: "test"})
	if err != nil {
		r.t.Fatal(err)
	}
	for {
		job, ok := r.mirror.Job(id)
		if !ok || job.State == "failed" || job.State == "cancelled" {
			r.t.Fatalf("the %s run ended as %q: %s", mode, job.State, job.Error)
		}
		if job.State == "done" {
			break
		}
		<-time.After(time.Millisecond) // asks again, as a client does
	}
	r.identitiesRead()
	r.keepAnswers()
}

// answer is a lookup's answer, with its text.
type answer struct {
	lookupAnswer
	Match      string `json:"match"`
	Ticket2ID  string `json:"ticket2_id"`
	UserEmail  string `json:"user_email"`
	FirstName  string `json:"user_first_name"`
	OrgID      string `json:"organization_id"`
	AssigneeID string `json:"assignee_id"`
	ScreenPop  string `json:"screen_pop_url"`
	SSML       string `json:"spoken_ssml"`
	Language   string `json:"language"`
	Action     string `json:"action"`
	BusyAction string `json:"busy_action"`
	Rule       string `json:"route_rule"`
	Agent      string `json:"assignee_agent"`
	text       string
}

// ask asks the daemon as a flow does.
func (r *rig) ask(number string) answer {
	r.t.Helper()
	body, err := json.Marshal(map[string]string{"ani": number})
	if err != nil {
		r.t.Fatal(err)
	}
	code, text := r.post(r.public+"/v1/lookup", string(body))
	if code != http.StatusOK {
		r.t.Fatalf("a lookup answered %d: %s", code, text)
	}
	a := answer{text: text}
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		r.t.Fatal(err)
	}
	return a
}

func (r *rig) post(url, body string) (int, string) {
	r.t.Helper()
	return r.do(http.MethodPost, url, body)
}

func (r *rig) get(url string) (int, string) {
	r.t.Helper()
	return r.do(http.MethodGet, url, "")
}

func (r *rig) do(method, url, body string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	knowRequest(req, body)
	code, text, err := r.roundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	if code >= http.StatusBadRequest {
		written.Keep(r.t.Name()+", a problem", text)
	}
	return code, text
}

func (r *rig) roundTrip(req *http.Request) (int, string, error) {
	if r.secret != "" {
		req.Header.Set("Authorization", "Bearer "+r.secret)
	}
	res, err := r.http.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}

// holders are the people of the account who should match each number.
func holders(t *testing.T, sim *zendesktest.Server) map[string][]zendesktest.TruthUser {
	t.Helper()
	numbers, err := ani.New("US")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]zendesktest.TruthUser{}
	for u := range sim.Truth().Users() {
		if !u.Active || u.Role != "end-user" {
			continue
		}
		for _, n := range keys(numbers, u) {
			all[n] = append(all[n], u)
		}
	}
	return all
}

// keys are a person's numbers, each once, sorted.
func keys(numbers *ani.Normalizer, u zendesktest.TruthUser) []string {
	var keys []string
	for _, phone := range append(slices.Clone(u.Identities), u.Phone) {
		if e164, ok := numbers.Key(phone); ok {
			keys = append(keys, e164)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// unresolved are a person's unresolved tickets, newest creation first.
func unresolved(sim *zendesktest.Server, userID int64) []zendesktest.TruthTicket {
	open := slices.DeleteFunc(sim.Truth().TicketsOf(userID), func(k zendesktest.TruthTicket) bool { return !k.Unresolved() })
	slices.SortFunc(open, func(a, b zendesktest.TruthTicket) int {
		if a.CreatedAt != b.CreatedAt {
			return int(b.CreatedAt - a.CreatedAt)
		}
		return int(b.ID - a.ID)
	})
	return open
}

// compare holds the whole mirror against the account.
func (r *rig) compare() {
	r.t.Helper()
	if err := r.store.Verify(); err != nil {
		r.t.Errorf("the store does not agree with itself: %v", err)
	}
	users, tickets := int64(0), int64(0)
	for truth := range r.sim.Truth().Users() {
		held, ok, err := r.store.Caller(truth.ID)
		if err != nil {
			r.t.Fatal(err)
		}
		if ok != truth.Active {
			r.t.Errorf("user %d is there: %v, want %v", truth.ID, ok, truth.Active)
		}
		if !ok {
			continue
		}
		users++
		r.compareUser(truth, held)
	}
	for truth := range r.sim.Truth().Tickets() {
		tickets += int64(bit(truth.Unresolved())) // also of people who are gone
	}
	if size := r.store.Size(); size.Users != users || size.Tickets != tickets {
		r.t.Errorf("the mirror counts %d users and %d tickets, want %d and %d", size.Users, size.Tickets, users, tickets)
	}
}

func (r *rig) compareUser(truth zendesktest.TruthUser, held caller.Caller) {
	r.t.Helper()
	numbers, err := r.store.Numbers(truth.ID)
	if err != nil {
		r.t.Fatal(err)
	}
	if want := keys(r.numbers, truth); !slices.Equal(numbers, want) {
		r.t.Errorf("user %d has %d numbers in the mirror, want %d", truth.ID, len(numbers), len(want))
	}
	u := held.User
	got := fmt.Sprint(u.Name, u.Email, u.Phone, u.Role, u.Locale, u.Suspended, u.OrganizationID, u.Tags, u.UpdatedAt)
	want := fmt.Sprint(truth.Name, truth.Email, truth.Phone, truth.Role, truth.Locale, truth.Suspended, truth.OrganizationID, truth.Tags, truth.UpdatedAt)
	if got != want {
		r.t.Errorf("user %d is %s, want %s", truth.ID, got, want)
	}
	open := unresolved(r.sim, truth.ID)
	if len(open) != len(held.Open) {
		r.t.Errorf("user %d has %d unresolved tickets in the mirror, want %d", truth.ID, len(held.Open), len(open))
		return
	}
	for i, k := range open {
		m := held.Open[i]
		got := fmt.Sprint(m.ID, m.Status, m.Priority, m.Type, m.Subject, m.AssigneeID, m.GroupID, m.BrandID, m.FormID, m.CustomStatusID, m.Tags, m.CreatedAt, m.UpdatedAt)
		want := fmt.Sprint(k.ID, k.Status, k.Priority, k.Type, k.Subject, k.AssigneeID, k.GroupID, k.BrandID, k.FormID, k.CustomStatusID, k.Tags, k.CreatedAt, k.UpdatedAt)
		if got != want {
			r.t.Errorf("ticket %d is %s, want %s", k.ID, got, want)
		}
	}
}
