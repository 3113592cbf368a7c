package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aniproxy/internal/config"
	"aniproxy/internal/status"
	"aniproxy/internal/zendesk/zendesktest"
)

// toTheProxy brings what Zendesk sends to a public address to the test's daemon.
type toTheProxy struct{ at atomic.Pointer[string] }

func (w *toTheProxy) RoundTrip(r *http.Request) (*http.Response, error) {
	at := w.at.Load()
	if at == nil {
		return nil, fmt.Errorf("nobody listens at %s", r.URL.Host)
	}
	here, err := url.Parse(*at)
	if err != nil {
		return nil, err
	}
	sent := r.Clone(r.Context())
	sent.URL.Scheme, sent.URL.Host, sent.Host = here.Scheme, here.Host, here.Host
	return http.DefaultTransport.RoundTrip(sent)
}

// withWebhooks is a rig whose account tells it of changes, set up by the
// command as an admin would.
func withWebhooks(t *testing.T) *rig {
	t.Helper()
	way := &toTheProxy{}
	sim := zendesktest.New(zendesktest.Options{
		Seed: 11, Users: 300, SearchLag: -1, Limits: zendesktest.Ample(),
		Webhooks: zendesktest.WebhookOptions{Client: &http.Client{Transport: way}},
	})
	account := httptest.NewServer(sim)
	defer account.Close()
	file := filepath.Join(t.TempDir(), "secrets")
	env := []string{
		"ANIPROXY_ZENDESK_BASE_URL=" + account.URL, "ANIPROXY_ZENDESK_CLIENT_ID=" + zendesktest.DefaultClientID,
		"ANIPROXY_ZENDESK_CLIENT_SECRET=" + zendesktest.DefaultClientSecret,
	}
	install := func(more ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		args := append([]string{"webhook", "install", "--url", "https://ani.example.com", "--secrets-file", file}, more...)
		if code := run(context.Background(), args, env, strings.NewReader(""), &out, &errs); code != exitDone {
			t.Fatalf("%v: code %d, %s%s", args, code, &out, &errs)
		}
		return out.String()
	}
	if out := install("--dry-run"); strings.Count(out, "would create") != 3 || !strings.Contains(out, "Nothing was changed") {
		t.Errorf("a dry run says\n%s", out)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a dry run has written the secrets")
	}
	if out := install(); strings.Count(out, "create ") != 3 || !strings.Contains(out, "secrets_file = ") {
		t.Errorf("the installation says\n%s", out)
	}
	first, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the secrets' file: %v, %v", info.Mode(), err)
	}
	if out := install(); strings.Count(out, "keep ") != 3 {
		t.Errorf("the installation again says\n%s", out)
	}
	if again, err := os.ReadFile(file); err != nil || !bytes.Equal(first, again) {
		t.Errorf("the secrets differ after the installation again: %v", err)
	}
	var out, errs bytes.Buffer
	if code := run(context.Background(), []string{"webhook", "install", "--url", "https://other.example.com"}, env, strings.NewReader(""), &out, &errs); code != exitFailed || !strings.Contains(errs.String(), "--replace") {
		t.Errorf("another address: code %d, %s%s", code, &out, &errs)
	}
	r := setUp(t, rigOptions{sim: sim, config: func(cfg *config.Config) {
		for _, line := range strings.Fields(string(first)) {
			cfg.Webhook.Secrets = append(cfg.Webhook.Secrets, config.Secret(line))
		}
	}})
	way.at.Store(&r.public)
	return r
}

// until asks again until an answer is as it should be. Everything is on real
// sockets, so that nobody can say when that is; long after it should have
// been, the test gives up.
func (r *rig) until(number string, is func(answer) bool) answer {
	r.t.Helper()
	enough := time.After(30 * time.Second)
	for {
		a := r.ask(number)
		if is(a) {
			return a
		}
		select {
		case <-r.changes:
		case <-time.After(5 * time.Millisecond):
		case <-enough:
			r.t.Fatalf("still %s; webhooks %+v; the account has sent %+v", a.text, r.mirror.Status().Notices, r.sim.Deliveries())
		}
	}
}

func TestWebhooksChangeTheNextAnswer(t *testing.T) {
	r := withWebhooks(t)
	number := "+15135550142"
	id := r.sim.CreateUser(zendesktest.UserSpec{Name: "Nora Newcomer", Phone: "(513) 555-0142"})
	r.until(number, func(a answer) bool { return a.FirstName == "Nora" })
	ticket, err := r.sim.CreateTicket(zendesktest.TicketSpec{Requester: id, Subject: "No dial tone", Priority: "high"})
	if err != nil {
		t.Fatal(err)
	}
	r.until(number, func(a answer) bool { return a.TicketID == fmt.Sprint(ticket) && a.TicketPriority == "high" })
	if err := r.sim.SetTicketStatus(ticket, "solved"); err != nil {
		t.Fatal(err)
	}
	r.until(number, func(a answer) bool { return a.TicketFound == 0 })
	if err := r.sim.AddIdentity(id, "513.555.0143"); err != nil {
		t.Fatal(err)
	}
	r.until("+15135550143", func(a answer) bool { return a.UserID == fmt.Sprint(id) })
	if err := r.sim.DeleteUser(id); err != nil {
		t.Fatal(err)
	}
	r.until(number, func(a answer) bool { return a.Outcome == "not_found" })
	if out := r.log.String(); strings.Contains(out, "Nora") || strings.Contains(out, "5550142") || strings.Contains(out, "5550143") {
		t.Error("the log tells of somebody")
	}
}

func TestErasedFromEveryFile(t *testing.T) {
	r := setUp(t, rigOptions{config: func(cfg *config.Config) { cfg.Comments.AllowPublic = true }})
	number := "+15135550155"
	id := r.sim.CreateUser(zendesktest.UserSpec{Name: "Quirina Erasmus", Email: "quirina@example.com", Phone: number})
	ticket, err := r.sim.CreateTicket(zendesktest.TicketSpec{Requester: id, Subject: "Xylophone trouble"})
	if err != nil {
		t.Fatal(err)
	}
	r.pass(3 * time.Second)
	r.resync("incremental")
	if a := r.ask(number); a.UserID != fmt.Sprint(id) {
		t.Fatalf("before the erasure: %s", a.text)
	}
	r.sim.Down(true) // so that the comment stays in the outbox
	code, text := r.post(fmt.Sprintf("%s/v1/tickets/%d/comments", r.public, ticket), `{"interaction_id":"i-1","body":"Called Quirina Erasmus back"}`)
	if code != http.StatusAccepted {
		t.Fatalf("a comment: %d %s", code, text)
	}
	for _, word := range []string{"Quirina", "Xylophone"} {
		if !r.onDisk(word) {
			t.Errorf("%q is in no file before the erasure: the search must be broken", word)
		}
	}
	code, out, errs := r.command("erase", "--user", fmt.Sprint(id))
	if code != exitDone || !strings.Contains(out, "overwrite  done") {
		t.Fatalf("erase: code %d, %s%s", code, out, errs)
	}
	for _, word := range []string{"Quirina", "quirina@", "Xylophone", "5135550155", "Called"} {
		if r.onDisk(word) {
			t.Errorf("%q is in a file after the erasure", word)
		}
	}
	if a := r.ask(number); a.UserID != "none" || strings.Contains(a.text, "Quirina") {
		t.Errorf("after the erasure, Zendesk down: %s", a.text)
	}
	r.sim.Down(false)
	r.resync("full")
	if a := r.ask(number); a.Found != 0 || strings.Contains(a.text, "Quirina") {
		t.Errorf("after the erasure, Zendesk back: %s", a.text)
	}
	if code, _, errs = r.command("resync", "--user", fmt.Sprint(id)); code != exitFailed || !strings.Contains(errs, "--lift") {
		t.Errorf("resync --user of somebody erased: code %d, %s", code, errs)
	}
	if a := r.ask(number); a.Found != 0 {
		t.Errorf("after reading somebody erased again: %s", a.text)
	}
	if code, out, errs = r.command("erase", "--user", fmt.Sprint(id), "--lift"); code != exitDone || !strings.Contains(out, "lifted") {
		t.Fatalf("lift: code %d, %s%s", code, out, errs)
	}
	if code, out, errs = r.command("resync", "--user", fmt.Sprint(id)); code != exitDone {
		t.Fatalf("resync --user: code %d, %s%s", code, out, errs)
	}
	if a := r.ask(number); a.UserID != fmt.Sprint(id) || a.TicketID != fmt.Sprint(ticket) {
		t.Errorf("after the lift: %s", a.text)
	}
}

// onDisk tells whether some file of the daemon's holds a text.
func (r *rig) onDisk(text string) bool {
	r.t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.Dir(r.cfg.Store.Path), "*"))
	if err != nil || len(files) < 2 {
		r.t.Fatalf("the daemon's files: %v %v", files, err)
	}
	return slices.ContainsFunc(files, func(file string) bool {
		b, err := os.ReadFile(file)
		if err != nil {
			r.t.Fatal(err)
		}
		return bytes.Contains(b, []byte(text))
	})
}

func TestResyncFindsWhatNothingTells(t *testing.T) {
	r := setUp(t, rigOptions{})
	number, person := someone(t, r)
	if err := r.sim.Vanish(person.ID); err != nil {
		t.Fatal(err)
	}
	r.pass(2 * time.Hour)
	r.resync("incremental")
	if a := r.ask(number); a.UserID != fmt.Sprint(person.ID) {
		t.Fatalf("an increment has noticed that somebody vanished: %s", a.text)
	}
	code, out, errs := r.whileTimePasses("resync", "--verify")
	if code != exitFailed || !strings.Contains(out, fmt.Sprintf("users   %-16d extra", person.ID)) {
		t.Errorf("verify: code %d, %s%s", code, out, errs)
	}
	if a := r.ask(number); a.UserID != fmt.Sprint(person.ID) {
		t.Errorf("verify has changed the mirror: %s", a.text)
	}
	code, out, errs = r.command("resync", "--full", "--follow")
	if code != exitDone || !strings.Contains(out, "any more: 1 users") {
		t.Errorf("full: code %d, %s%s", code, out, errs)
	}
	if a := r.ask(number); a.Found != 0 {
		t.Errorf("after the full run: %s", a.text)
	}
	if code, out, errs = r.command("resync", "--verify"); code != exitDone || !strings.Contains(out, "no difference") {
		t.Errorf("verify after the full run: code %d, %s%s", code, out, errs)
	}
	r.sim.CreateUser(zendesktest.UserSpec{Name: "Nora Newcomer", Phone: "+1 513 555 0197"})
	if code, out, errs = r.command("resync", "--ani", "(513) 555-0197"); code != exitDone {
		t.Errorf("resync --ani: code %d, %s%s", code, out, errs)
	}
	if a := r.ask("+15135550197"); a.FirstName != "Nora" || a.Source != "disk" {
		t.Errorf("after resync --ani: %s", a.text)
	}
	if code, _, errs = r.command("resync", "--force"); code != exitUsage || !strings.Contains(errs, "--full") {
		t.Errorf("--force alone: code %d, %s", code, errs)
	}
}

// whileTimePasses runs a command that waits for the next increments.
func (r *rig) whileTimePasses(args ...string) (code int, stdout, stderr string) {
	r.t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		code, stdout, stderr = r.command(args...)
	}()
	for {
		select {
		case <-ended:
			return code, stdout, stderr
		case <-time.After(200 * time.Millisecond):
			r.pass(90 * time.Second)
			if _, err := r.mirror.Start(status.Request{Trigger: "test"}); err != nil {
				r.t.Error(err)
			}
		}
	}
}

func TestExplainTellsEachStep(t *testing.T) {
	r := setUp(t, rigOptions{})
	number, person := someone(t, r)
	code, out, errs := r.command("explain", number)
	if code != exitDone {
		t.Fatalf("explain: code %d, %s%s", code, out, errs)
	}
	for _, step := range []string{"number ", "memory ", "people ", "choice ", "tickets ", "rules ", "speech ", "upstream ", "streams "} {
		if !strings.Contains(out, "\n"+step) && !strings.HasPrefix(out, step) {
			t.Errorf("no step %q in\n%s", step, out)
		}
	}
	for _, word := range []string{fmt.Sprintf("user id %d", person.ID), "has it by profile", "identities seen", " s ago"} {
		if !strings.Contains(out, word) {
			t.Errorf("no %q in\n%s", word, out)
		}
	}
	requests := r.zendesk.Stats().Requests
	if code, out, _ = r.command("explain", "+15135550123", "--json"); code != exitDone || !json.Valid([]byte(out)) || !strings.Contains(out, "GET ") {
		t.Errorf("explain --json of nobody: code %d, %s", code, out)
	}
	if now := r.zendesk.Stats().Requests; now != requests {
		t.Errorf("explaining has asked Zendesk %d times", now-requests)
	}
}
