package gozendesk

import (
	"bytes"
	"cmp"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aniproxy/internal/zendesk/zendesktest"
)

// world is a made-up account with the people that the tests call as.
type world struct {
	t   *testing.T
	sim *zendesktest.Server
	url string

	ago atomic.Int64 // how far the account's clock is behind, as a Duration

	mu       sync.Mutex
	sent     []exchange // what reached the API, oldest first
	numbers  int        // how many numbers were given out
	numbered map[string]bool
}

// exchange is one request as the account got it.
type exchange struct {
	method, uri   string
	authorization string
	header        http.Header
	body          string
}

// person is somebody with a telephone.
type person struct {
	id     int64
	name   string
	number string // E.164
	// open are the unresolved tickets, newest creation first; resolved the
	// others.
	open, resolved []int64
}

// newWorld makes an account with strangers in it.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, numbered: map[string]bool{}}
	w.ago.Store(int64(96 * time.Hour))
	server := httptest.NewUnstartedServer(nil)
	w.url = "http://" + server.Listener.Addr().String()
	w.sim = zendesktest.New(zendesktest.Options{
		Seed: 7, Users: 60, HideNewest: -1, SearchLag: -1, Limits: zendesktest.Ample(), BaseURL: w.url,
		Clock: func() time.Time { return time.Now().Add(-time.Duration(w.ago.Load())) },
	})
	for u := range w.sim.Truth().Users() {
		for _, phone := range append(u.Identities, u.Phone) {
			w.numbered[lastDigits(phone)] = true
		}
	}
	server.Config.Handler = http.HandlerFunc(w.serve)
	server.Start()
	t.Cleanup(func() {
		w.sim.Close()
		server.Close()
	})
	return w
}

// serve writes down what is asked, and has the account answer it.
func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		rw.WriteHeader(http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	w.mu.Lock()
	w.sent = append(w.sent, exchange{r.Method, r.RequestURI, r.Header.Get("Authorization"), r.Header.Clone(), string(body)})
	w.mu.Unlock()
	w.sim.ServeHTTP(rw, r)
}

// since are the requests from the nth on.
func (w *world) since(n int) []exchange {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.sent[n:])
}

// searches counts the requests that look for people or tickets.
func (w *world) searches() int {
	n := 0
	for _, e := range w.since(0) {
		if strings.Contains(e.uri, "/search") || strings.Contains(e.uri, "/requested") {
			n++
		}
	}
	return n
}

// lastDigits are the ten digits that a suffix search goes by.
func lastDigits(phone string) string {
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, phone)
	return digits[max(0, len(digits)-10):]
}

// number is a number that nobody has.
func (w *world) number() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		w.numbers++
		digits := "513555" + string([]byte{byte('2' + w.numbers/1000%8), byte('0' + w.numbers/100%10), byte('0' + w.numbers/10%10), byte('0' + w.numbers%10)})
		if !w.numbered[digits] {
			w.numbered[digits] = true
			return "+1" + digits
		}
	}
}

// written is a North American number as people there write it.
func written(e164 string) string { return "(" + e164[2:5] + ") " + e164[5:8] + "-" + e164[8:] }

// join makes a person of the account. Each status is one ticket, oldest first;
// their creations are an hour of the account's clock apart while that is
// behind, and the oldest was changed last, so that the order of creation is
// not that of changes.
func (w *world) join(t *testing.T, name string, spec zendesktest.UserSpec, statuses ...string) person {
	t.Helper()
	p := person{name: name, number: w.number()}
	spec.Name = name
	if len(spec.Identities) == 0 && spec.Phone == "" {
		spec.Phone = written(p.number)
	}
	for i := range spec.Identities {
		spec.Identities[i] = written(p.number)
	}
	p.id = w.sim.CreateUser(spec)
	types, priorities := []string{"incident", "", "question", "problem"}, []string{"urgent", "", "low", "high"}
	for i, status := range statuses {
		id, err := w.sim.CreateTicket(zendesktest.TicketSpec{
			Requester: p.id, Subject: "Nº " + status + ` & "more" <of it>`, Status: status, Tags: []string{"vip", status},
			Type: types[i%len(types)], Priority: priorities[i%len(priorities)],
		})
		if err != nil {
			t.Fatal(err)
		}
		if x, _ := w.sim.Truth().Ticket(id); x.Unresolved() {
			p.open = append(p.open, id)
		} else {
			p.resolved = append(p.resolved, id)
		}
		w.later(time.Hour)
	}
	slices.Reverse(p.open)
	if len(p.open) > 1 {
		if err := w.sim.SetTicketPriority(p.open[len(p.open)-1], "high"); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// caller is a person of the usual kind: a number of their own, three
// unresolved tickets and two that are not.
func (w *world) caller(t *testing.T, name string) person {
	t.Helper()
	first, _, _ := strings.Cut(strings.ToLower(name), " ")
	return w.join(t, name, zendesktest.UserSpec{Email: first + ".caller@example.org", Locale: "es", Organization: 1},
		"open", "solved", "hold", "closed", "pending")
}

// later lets time pass at an account that is behind.
func (w *world) later(d time.Duration) {
	w.ago.Store(int64(max(0, time.Duration(w.ago.Load())-d)))
}

// today ends the account's past: from here on its clock is everybody's.
func (w *world) today() { w.ago.Store(0) }

// openTickets are a person's unresolved tickets as the account has them now,
// newest creation first.
func (w *world) openTickets(id int64) []zendesktest.TruthTicket {
	open := slices.DeleteFunc(w.sim.Truth().TicketsOf(id), func(x zendesktest.TruthTicket) bool { return !x.Unresolved() })
	slices.SortFunc(open, func(a, b zendesktest.TruthTicket) int {
		return cmp.Or(cmp.Compare(b.CreatedAt, a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
	return open
}

// patience bounds every wait for another process.
const patience = 20 * time.Second

// until asks again and again whether something has come to be.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(patience)
	defer late.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-late.C:
			t.Fatalf("%s after %v", what, patience)
		}
	}
}

// arrived waits until a ticket has a comment with this body, and gives all
// comments that were added to it.
func (w *world) arrived(t *testing.T, ticket int64, body string) []zendesktest.Comment {
	t.Helper()
	var all []zendesktest.Comment
	until(t, "the comment has not arrived at the account", func() bool {
		all = w.sim.Truth().Comments(ticket)
		return slices.ContainsFunc(all, func(c zendesktest.Comment) bool { return c.Body == body })
	})
	return all
}

// bodies are what comments say.
func bodies(all []zendesktest.Comment) []string {
	var texts []string
	for _, c := range all {
		texts = append(texts, c.Body)
	}
	return texts
}
