package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"aniproxy/internal/privacytest"
	"aniproxy/internal/zendesk/zendesktest"
)

// groups are of eight tickets each; a life writes to one of them. The comments
// of one ticket go two seconds apart.
const groups = 4

// slowly is an account that loses some of its answers and is slow with others,
// so that kills fall everywhere.
type slowly struct {
	account http.Handler
	mu      sync.Mutex
	rng     *rand.Rand
}

func (s *slowly) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	before, after := time.Duration(s.rng.IntN(4))*time.Millisecond, time.Duration(s.rng.IntN(6))*time.Millisecond
	lost := r.Method == http.MethodPut && s.rng.IntN(8) == 0
	s.mu.Unlock()
	<-time.After(before)
	answer := httptest.NewRecorder()
	s.account.ServeHTTP(answer, r)
	<-time.After(after)
	if lost {
		panic(http.ErrAbortHandler)
	}
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// A daemon that is killed again and again while it takes comments in and
// delivers them: every comment it has acknowledged is at Zendesk once in the
// end, in the order of the acknowledgements, and none that it has not
// acknowledged is there twice.
func TestKillWhileCommentsAreTakenInAndDelivered(t *testing.T) {
	kills := 8
	if os.Getenv("ANIPROXY_LONG") != "" {
		kills = 100
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	sim := zendesktest.New(zendesktest.Options{Seed: 3, Users: 200, HideNewest: -1, SearchLag: -1, Limits: zendesktest.Limits{Off: true}})
	defer sim.Close()
	knowPeople(sim)
	var tickets []int64
	for k := range sim.Truth().Tickets() {
		if k.Unresolved() && len(tickets) < groups*8 {
			tickets = append(tickets, k.ID)
		}
	}
	account := httptest.NewServer(&slowly{account: sim, rng: rand.New(rand.NewPCG(seed, 1))})
	defer account.Close()
	d := &mortalDaemon{t: t, account: account.URL, path: filepath.Join(t.TempDir(), "a.db"), acknowledged: map[int64][]string{}}
	for k := range kills {
		d.start()
		stop := d.post(tickets[k%groups*8:][:8], k)
		<-time.After(time.Duration(20+rng.IntN(200)) * time.Millisecond)
		d.kill()
		stop()
	}
	d.start()
	defer d.kill()
	for d.queued() > 0 {
		<-time.After(10 * time.Millisecond)
	}
	total := 0
	for _, ticketID := range tickets {
		seen := map[string]int{}
		var order []string
		for _, c := range sim.Truth().Comments(ticketID) {
			if seen[c.Body]++; seen[c.Body] == 2 {
				t.Errorf("ticket %d has %q twice", ticketID, c.Body)
			}
			order = append(order, c.Body)
		}
		at := 0
		for _, body := range d.acknowledged[ticketID] {
			total++
			if seen[body] == 0 {
				t.Errorf("ticket %d lacks the acknowledged %q", ticketID, body)
				continue
			}
			for at < len(order) && order[at] != body {
				at++
			}
			if at == len(order) {
				t.Errorf("ticket %d has %q out of order", ticketID, body)
				at = 0
			}
		}
	}
	if total < kills {
		t.Errorf("only %d comments were acknowledged in %d lives", total, kills)
	}
	t.Logf("%d comments acknowledged over %d kills", total, kills)
}

// mortalDaemon is a daemon in a process of its own.
type mortalDaemon struct {
	t             *testing.T
	account, path string
	cmd           *exec.Cmd
	stderr        *privacytest.Sink
	public, admin string

	mu           sync.Mutex
	acknowledged map[int64][]string // bodies, by ticket
}

func (d *mortalDaemon) start() {
	d.t.Helper()
	binary, err := os.Executable()
	if err != nil {
		d.t.Fatal(err)
	}
	d.stderr = written.Sink(d.t.Name() + ", a daemon's standard error")
	d.cmd = exec.CommandContext(d.t.Context(), binary)
	d.cmd.Env = append(os.Environ(), envDaemonAccount+"="+d.account, envDaemonStore+"="+d.path)
	d.cmd.Stderr = d.stderr
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	fields := strings.Fields(line)
	if err != nil || len(fields) != 3 {
		_ = d.cmd.Process.Kill()
		_ = d.cmd.Wait()
		d.t.Fatalf("the daemon says %q: %v\n%s", line, err, d.stderr.String())
	}
	d.public, d.admin = fields[1], fields[2]
}

func (d *mortalDaemon) kill() {
	d.t.Helper()
	if err := d.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		d.t.Error(err)
	}
	_ = d.cmd.Wait() // that it was killed is what it says
}

// post writes comments until it is told to stop, one writer a ticket.
func (d *mortalDaemon) post(tickets []int64, life int) (stop func()) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	done := make(chan struct{})
	var writers sync.WaitGroup
	for _, ticketID := range tickets {
		writers.Go(func() {
			for n := range 2 { // all that is left to the last life must be what Zendesk takes in a minute
				select {
				case <-done:
					return
				case <-time.After(5 * time.Millisecond):
				}
				body := fmt.Sprintf("life %d comment %d", life, n)
				written.Texts(body)
				res, err := client.Post(fmt.Sprintf("%s/v1/tickets/%d/comments", d.public, ticketID), "application/json",
					strings.NewReader(fmt.Sprintf(`{"body":%q,"interaction_id":"%d-%d"}`, body, life, n)))
				if err != nil {
					return // killed
				}
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				if res.StatusCode == http.StatusAccepted {
					d.mu.Lock()
					d.acknowledged[ticketID] = append(d.acknowledged[ticketID], body)
					d.mu.Unlock()
				}
			}
		})
	}
	return func() {
		close(done)
		writers.Wait()
		client.CloseIdleConnections()
	}
}

func (d *mortalDaemon) queued() int {
	d.t.Helper()
	res, err := http.Get(d.admin + "/v1/stats") //nolint:forbidigo // of a test's own daemon
	if err != nil {
		d.t.Fatalf("%v\n%s", err, d.stderr.String())
	}
	defer res.Body.Close()
	var stats struct {
		Outbox struct{ Queued, Failed int }
	}
	if err := json.NewDecoder(res.Body).Decode(&stats); err != nil {
		d.t.Fatal(err)
	}
	if stats.Outbox.Failed > 0 {
		d.t.Fatalf("%d comments failed\n%s", stats.Outbox.Failed, d.stderr.String())
	}
	return stats.Outbox.Queued
}
