package model

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/semaphore"

	"aniproxy/cache"
	"aniproxy/internal/ani"
	"aniproxy/internal/caller"
	"aniproxy/internal/status"
	"aniproxy/internal/upstream"
	"aniproxy/internal/webhook"
	"aniproxy/internal/zendesk"
	"aniproxy/internal/zendesk/zendesktest"
	"aniproxy/store"
	mirror "aniproxy/sync"
)

// world is an account, its history, and a daemon that mirrors it into a real
// file over real HTTP in memory. It lives in a bubble: hours pass in seconds.
type world struct {
	t       *testing.T
	sim     *zendesktest.Server
	history *history
	numbers *ani.Normalizer
	keys    sync.Map // phone → E.164
	roles   []string
	path    string
	// rereads is -1 in three worlds of four: what is read again at random heals
	// what others have missed, and would hide it in so small an account.
	rereads time.Duration
	log     *lockedBuffer
	rate    int          // requests a minute
	ticks   atomic.Int64 // no two requests are sent at the same moment

	hooks    *webhook.Verifier
	repeats  *webhook.Repeats
	notices  atomic.Pointer[mirror.Syncer] // nil while the daemon is down
	lateness atomic.Int64                  // how late an answer may be, in nanoseconds

	// up is held by whoever uses the daemon: one of users, or all of them to
	// end it. Not a mutex: the bubble's time goes by while somebody waits.
	up       *semaphore.Weighted
	lastRead atomic.Pointer[string] // the number of somebody who is read again
	daemon   *daemon
}

// daemon is one life of it.
type daemon struct {
	client   *zendesk.Client
	store    *store.Store
	resolver *cache.Resolver
	mirror   *mirror.Syncer
	cancel   context.CancelFunc
	ended    chan error
}

func (w *world) clock() time.Time { return time.Now().Add(time.Duration(w.ticks.Add(1))) }

// key reads a phone, each spelling once.
func (w *world) key(phone string) string {
	if e164, ok := w.keys.Load(phone); ok {
		return e164.(string)
	}
	e164, _ := w.numbers.Key(phone)
	w.keys.Store(phone, e164)
	return e164
}

func newWorld(t *testing.T, seed uint64, webhooks zendesktest.WebhookOptions, people int) *world {
	t.Helper()
	w := &world{t: t, roles: []string{"end-user"}, path: filepath.Join(t.TempDir(), "model.db"), log: &lockedBuffer{}, rate: 10_000, up: semaphore.NewWeighted(users)}
	w.readNumbers()
	if seed%4 != 3 {
		w.rereads = -1
	}
	webhooks.Client = &http.Client{Transport: receiver{w}, Timeout: 10 * time.Second}
	w.sim = zendesktest.New(zendesktest.Options{
		Seed: seed, Users: people, Limits: zendesktest.Ample(), Webhooks: webhooks,
		// Where Zendesk's documentation is silent, both answers are tried.
		MergedVanish: seed%2 == 0, IdentityTouchesUser: seed%3 == 0, SideloadIdentities: seed%4 == 0, SearchFindsIdentities: seed%5 == 0,
	})
	subscriptions := []string{"conditional_ticket_events"}
	_, second := w.sim.CreateWebhook("https://ani.example.com/webhooks/zendesk", subscriptions...)
	_, first := w.sim.CreateWebhook("https://ani.example.com/webhooks/zendesk", events...)
	hooks, err := webhook.NewVerifier([]string{first, second}, time.Now)
	w.must(err)
	w.hooks, w.repeats = hooks, webhook.NewRepeats(time.Now)
	for u := range w.sim.Truth().Users() {
		if u.Role == "end-user" {
			w.must(w.sim.SetPhone(u.ID, phone(rand.IntN(numbers), rand.IntN(spellings))))
		}
	}
	pause(2 * caller.SearchLag) // an account that has been there for long
	w.history = newHistory(w.sim)
	w.sim.Truth().Everybody(written.Person, written.Texts)
	w.start()
	for !w.daemon.store.Streams().Filled() {
		pause(time.Second)
	}
	return w
}

func (w *world) readNumbers() {
	var err error
	w.numbers, err = ani.New("US")
	w.must(err)
}

// events are what the first webhook is told of.
var events = []string{
	"zen:event-type:user.created", "zen:event-type:user.deleted", "zen:event-type:user.merged",
	"zen:event-type:user.active_changed", "zen:event-type:user.suspended_changed", "zen:event-type:user.name_changed",
	"zen:event-type:user.role_changed", "zen:event-type:user.tags_changed",
	"zen:event-type:user.identity_created", "zen:event-type:user.identity_changed", "zen:event-type:user.identity_deleted",
	"zen:event-type:ticket.created", "zen:event-type:ticket.status_changed", "zen:event-type:ticket.priority_changed",
	"zen:event-type:ticket.requester_changed", "zen:event-type:ticket.comment_added", "zen:event-type:ticket.soft_deleted",
	"zen:event-type:ticket.undeleted", "zen:event-type:ticket.permanently_deleted", "zen:event-type:ticket.agent_assignment_changed",
	"zen:event-type:ticket.subject_changed", "zen:event-type:ticket.type_changed", "zen:event-type:ticket.tags_changed",
}

// start begins a life of the daemon on the file that the last one left.
func (w *world) start() {
	log := slog.New(slog.NewTextHandler(io.MultiWriter(w.log, written.Sink(w.t.Name())), &slog.HandlerOptions{Level: slog.LevelInfo}))
	d := &daemon{ended: make(chan error, 1)}
	var err error
	d.client, err = zendesk.New(zendesk.Config{
		BaseURL: "http://127.0.0.1", ClientID: zendesktest.DefaultClientID, ClientSecret: zendesktest.DefaultClientSecret,
		RatePerMinute: w.rate, Logger: log, Clock: w.clock, Rand: rand.Float64, Transport: &late{w: w, next: w.sim.Transport()},
	})
	w.must(err)
	adapter := upstream.New(d.client, w.numbers, w.roles, log)
	d.store, err = store.Open(store.Options{
		Path: w.path, Logger: log, Clock: w.clock, KeepResolved: 168 * time.Hour, Key: w.numbers.Key,
		KeyRules: w.numbers.Fingerprint(), OnCommit: func(c caller.Change) {
			d.resolver.Invalidate(c)
			w.history.heard(d.store.Streams())
		},
		NoSync: true,
	})
	w.must(err)
	d.resolver, err = cache.New(cache.Options{
		Store: d.store, Live: adapter.Live(), Behind: adapter.Background(), CatchingUp: func() bool { return d.mirror.CatchingUp() },
		Numbers: w.numbers, Logger: log, Clock: w.clock, MemoryBytes: 8 << 20, Roles: w.roles, NegativeTTL: 2 * time.Minute,
		Timeout: 1500 * time.Millisecond, MaxConcurrent: 16, MaxStale: 5 * time.Minute,
	})
	w.must(err)
	d.mirror, err = mirror.New(mirror.Options{
		Source: adapter, Prompt: adapter.Prompt(), Store: d.store, Logger: log, Clock: w.clock, Schedule: "@every 1m",
		FullSchedule: "@every 5h", OnStart: true, Identities: true, DeleteGuard: 1, SampleEvery: w.rereads, RoundTakes: w.rereads,
	})
	w.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	go func() { d.ended <- d.mirror.Run(ctx) }()
	w.daemon = d
	w.notices.Store(d.mirror)
}

// crash ends a life as a kill would leave it on disk: between two commits.
func (w *world) crash() {
	w.notices.Store(nil)
	d := w.daemon
	d.cancel()
	w.must(<-d.ended)
	d.resolver.Close()
	d.client.Close()
	w.must(d.store.Close())
}

// users is how many may use the daemon at the same time.
const users = 100

// use does something with the daemon as it is, exclusively with nobody else
// beside it.
func (w *world) use(share int64, do func()) {
	w.must(w.up.Acquire(context.Background(), share))
	defer w.up.Release(share)
	do()
}

func (w *world) must(err error) {
	if err != nil {
		w.t.Helper()
		w.t.Fatal(err)
	}
}

// run has the daemon do a run and waits for its end.
func (w *world) run(mode string) status.Job {
	w.t.Helper()
	id, err := w.daemon.mirror.Start(status.Request{Mode: mode, Trigger: "test"})
	w.must(err)
	for {
		job, ok := w.daemon.mirror.Job(id)
		if !ok {
			w.t.Fatalf("the %s run is not known", mode)
		}
		switch job.State {
		case "done", "failed", "cancelled":
			return job
		}
		pause(time.Second)
	}
}

// pause lets the bubble's time go by.
func pause(d time.Duration) { <-time.After(d) }

// receiver takes Zendesk's webhooks in, as the proxy does: the signature over
// the raw body, the objects that it names, and the queue.
type receiver struct{ w *world }

func (r receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	m := r.w.notices.Load()
	if m == nil {
		return nil, errors.New("the daemon is down")
	}
	answer := &http.Response{StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody, Request: req}
	if err := r.w.hooks.Verify(req.Header.Get("X-Zendesk-Webhook-Signature-Timestamp"), req.Header.Get("X-Zendesk-Webhook-Signature"), body); err != nil {
		answer.StatusCode = http.StatusUnauthorized
		return answer, nil //nolint:nilerr // the answer says it
	}
	notice, err := webhook.Parse(body)
	if err != nil {
		r.w.t.Errorf("a webhook cannot be read: %v: %s", err, body)
	}
	signature := req.Header.Get("X-Zendesk-Webhook-Signature")
	if r.w.repeats.Take(signature, notice.EventID) && !m.Notice(notice.Objects) {
		r.w.repeats.Forget(signature, notice.EventID)
	}
	return answer, nil
}

// late holds some answers back: what they say was true when they were sent.
type late struct {
	w    *world
	next http.RoundTripper
}

func (l *late) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := l.next.RoundTrip(req)
	most := l.w.lateness.Load()
	if err != nil || most == 0 || rand.IntN(3) != 0 {
		return res, err
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close() // it has been read to its end, or to its fault
	if err != nil {
		return nil, err
	}
	select {
	case <-time.After(time.Duration(rand.Int64N(most))):
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

// lockedBuffer is a log that many write to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.b.Len() > 1<<20 {
		l.b.Next(1 << 19)
	}
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
