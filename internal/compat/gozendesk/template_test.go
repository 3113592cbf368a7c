package gozendesk

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/zendesk/zendesktest"
)

// TestTemplate is a call as Cisco's flow template makes it: three requests,
// written to the socket byte by byte, so that no library tidies them up.
func TestTemplate(t *testing.T) {
	t.Parallel()
	t.Run("against the account", func(t *testing.T) {
		w := newWorld(t)
		p := w.caller(t, "Tessa Template")
		f := w.account()
		c := f.flow()
		c.call(t, p, "+"+p.number[1:], "Please call me back.")
		if diff := cmp.Diff([]string{"Please call me back."}, bodies(w.arrived(t, p.open[0], "Please call me back."))); diff != "" {
			t.Errorf("the comments (-sent +account):\n%s", diff)
		}
	})
	t.Run("against the daemon", func(t *testing.T) {
		w := newWorld(t)
		p, p2, people := w.caller(t, "Tessa Template"), w.caller(t, "Tom Template"), w.people(t)
		f := w.mirror()
		c := f.flow()
		t.Run("one call", func(t *testing.T) {
			c.call(t, p, "+"+p.number[1:], "Please call me back.")
			w.once(t, c, p.open[0], "Please call me back.")
		})
		t.Run("every spelling of the number", func(t *testing.T) { templateNumbers(t, c, p2) })
		t.Run("every spelling of the search for tickets", func(t *testing.T) { templateTickets(t, c, p2) })
		t.Run("callers that are nobody", func(t *testing.T) { templateNobody(t, c, people) })
		t.Run("somebody who is new", func(t *testing.T) {
			n := w.join(t, "Nora Newcomer", zendesktest.UserSpec{}, "open")
			c.call(t, n, "%20"+n.number[1:], "I am new here.")
			w.once(t, c, n.open[0], "I am new here.")
		})
		t.Run("the comment, in every form and again", func(t *testing.T) { templateComments(t, c, p2) })
	})
}

// flow sends what a flow sends, by a connector of its own.
type flow struct {
	f             *face
	authorization string
}

func (f *face) flow() *flow {
	return &flow{f, "Basic " + base64.StdEncoding.EncodeToString([]byte(f.user+":"+f.password))}
}

// send writes a request as it stands and reads the whole answer.
func (c *flow) send(t *testing.T, requestLine, body string) answer {
	t.Helper()
	a, err := c.exchange(requestLine, body)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// exchange is send for other goroutines than a test's own.
func (c *flow) exchange(requestLine, body string) (a answer, err error) {
	host := strings.TrimPrefix(c.f.origin, "http://")
	conn, err := net.DialTimeout("tcp", host, patience)
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return answer{}, err
	}
	text := requestLine + " HTTP/1.1\r\nHost: " + host + "\r\nAuthorization: " + c.authorization +
		"\r\nContent-Type: application/json\r\nConnection: close\r\n"
	if body != "" {
		text += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	if _, err := io.WriteString(conn, text+"\r\n"+body); err != nil {
		return answer{}, err
	}
	method, _, _ := strings.Cut(requestLine, " ")
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, all}, err
}

// object reads an answer that must be 200 and JSON. Numbers keep their digits.
func (a *answer) object(t *testing.T) map[string]any {
	t.Helper()
	if a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		t.Fatalf("status %d, %s: %s", a.status, a.header.Get("Content-Type"), a.body)
	}
	return a.json(t)
}

func (a *answer) json(t *testing.T) map[string]any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(a.body))
	dec.UseNumber()
	var o map[string]any
	if err := dec.Decode(&o); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	return o
}

// path reads what the JSONPath $.list[0].key reads. An id that is text, and
// not a number, is not what it must be.
func path(o map[string]any, list, key string) any {
	items, _ := o[list].([]any)
	if len(items) == 0 {
		return nil
	}
	item, _ := items[0].(map[string]any)
	return item[key]
}

func id(n int64) json.Number { return json.Number(fmt.Sprint(n)) }

const ticketRows = "&sort_by=created_at&sort_order=desc"

// call makes one whole call: who is it, which ticket, a comment. ani is the
// number as the connector puts it into the query.
func (c *flow) call(t *testing.T, p person, ani, comment string) {
	t.Helper()
	a := c.send(t, "GET /api/v2/users/search.json?query=type:user%20"+ani, "")
	user := a.object(t)
	if got, name := path(user, "users", "id"), path(user, "users", "name"); got != id(p.id) || name != p.name {
		t.Fatalf("$.users[0].id is %v and .name %q, want %d and %q: %s", got, name, p.id, p.name, a.body)
	}
	a = c.send(t, fmt.Sprintf("GET /api/v2/search.json?query=type:ticket%%20status%%3Csolved%%20%%20requester:%d%s", p.id, ticketRows), "")
	ticket := a.object(t)
	want, _ := c.f.w.sim.Truth().Ticket(p.open[0])
	if got, status := path(ticket, "results", "id"), path(ticket, "results", "status"); got != id(want.ID) || status != want.Status {
		t.Fatalf("$.results[0].id is %v and .status %v, want %d and %s: %s", got, status, want.ID, want.Status, a.body)
	}
	c.put(t, fmt.Sprintf("/api/v2/tickets/%d.json", want.ID), want.ID, comment)
}

// commentBody is the template's body.
func commentBody(comment string) string {
	return fmt.Sprintf(`{"ticket":{"comment":{"body":%q}}}`, comment)
}

// put sends a comment, which must be answered with the ticket and an audit.
func (c *flow) put(t *testing.T, path string, ticket int64, comment string) {
	t.Helper()
	a := c.send(t, "PUT "+path, commentBody(comment))
	expectUpdated(t, &a, ticket, comment)
}

// expectUpdated wants Zendesk's answer to an update.
func expectUpdated(t *testing.T, a *answer, ticket int64, comment string) {
	t.Helper()
	o := a.object(t)
	if diff := cmp.Diff([]string{"audit", "ticket"}, keysOf(o)); diff != "" {
		t.Errorf("the answer (-want +got):\n%s", diff)
	}
	got, _ := o["ticket"].(map[string]any)
	audit, _ := o["audit"].(map[string]any)
	if got["id"] != id(ticket) || audit["ticket_id"] != id(ticket) {
		t.Errorf("the answer is about the tickets %v and %v, want %d", got["id"], audit["ticket_id"], ticket)
	}
	if _, number := audit["id"].(json.Number); !number {
		t.Errorf("the audit's id is %v, which is no number", audit["id"])
	}
	said := ""
	events, _ := audit["events"].([]any)
	for _, e := range events {
		if event, _ := e.(map[string]any); event["type"] == "Comment" {
			said, _ = event["body"].(string)
		}
	}
	if said != comment {
		t.Errorf("no event of the audit is the comment: %v", events)
	}
}

// once waits for a comment, and then for a further one that was sent after
// it: comments of one ticket are delivered in order, so what came twice would
// be there by then.
func (w *world) once(t *testing.T, c *flow, ticket int64, comment string) {
	t.Helper()
	last := fmt.Sprintf("The last word on %s, %d.", comment, len(w.sim.Truth().Comments(ticket)))
	c.put(t, fmt.Sprintf("/api/v2/tickets/%d.json", ticket), ticket, last)
	n := 0
	for _, got := range w.arrived(t, ticket, last) {
		if got.Body != comment {
			continue
		}
		n++
		if got.Public || got.Inherited {
			t.Errorf("the comment is public: %v, by the ticket: %v", got.Public, got.Inherited)
		}
	}
	if n != 1 {
		t.Errorf("the account has the comment %d times", n)
	}
}

// templateNumbers are the forms in which the number comes: the row's value is
// encoded, half encoded, or encoded twice.
func templateNumbers(t *testing.T, c *flow, p person) {
	digits := p.number[1:]
	for _, query := range []string{
		"type:user%20+" + digits,         // a plus as it is, which means a space
		"type:user%20%20" + digits,       // that space
		"type:user%20%2B" + digits,       // encoded
		"type:user%20%252B" + digits,     // by the flow's author too
		"type:user%20%20%2B" + digits,    // with two spaces
		"type%3Auser+%2B" + digits,       // as a form
		"type:user+%2B" + digits + "%20", // with one behind it
		"%20type:user%20%20+" + digits,
		"type:user%20" + digits[1:], // as people in the default region dial it
		"type:user%20phone:*" + digits[1:],
		"role:end-user%20phone:*" + digits[1:],
	} {
		for _, path := range []string{"/api/v2/users/search.json", "//api/v2/users/search.json", "/api/v2/users/search"} {
			a := c.send(t, "GET "+path+"?query="+query, "")
			if got := path2(a.object(t)); got != [2]any{id(p.id), p.name} {
				t.Errorf("%s?query=%s finds %v", path, query, got)
			}
		}
		a := c.send(t, "GET //api/v2/search?query="+query, "")
		if got := path(a.object(t), "results", "id"); got != id(p.id) {
			t.Errorf("search?query=%s finds %v", query, got)
		}
	}
}

// path2 is what the template reads of a person.
func path2(o map[string]any) [2]any { return [2]any{path(o, "users", "id"), path(o, "users", "name")} }

func templateTickets(t *testing.T, c *flow, p person) {
	rows := []string{
		"query=type:ticket%20status%3Csolved%20%20requester:ID" + ticketRows,
		"query=type:ticket%20status<solved%20%20requester:ID" + ticketRows,
		"query=type:ticket+status<solved++requester:ID" + ticketRows,
		"query=type%3Aticket+status%3Csolved++requester%3AID" + ticketRows,
		"query=type:ticket%20status%3Csolved%20requester:ID" + ticketRows,
		"sort_order=desc&sort_by=created_at&query=type:ticket%20status%3Csolved%20%20requester:ID",
		"query=requester:ID%20type:ticket%20status%3Csolved" + ticketRows,
	}
	var want []any
	for _, x := range c.f.w.openTickets(p.id) {
		want = append(want, id(x.ID))
	}
	for _, row := range rows {
		for _, path := range []string{"/api/v2/search.json", "//api/v2/search.json", "/api/v2/search"} {
			a := c.send(t, "GET "+path+"?"+strings.ReplaceAll(row, "ID", fmt.Sprint(p.id)), "")
			o := a.object(t)
			var got []any
			results, _ := o["results"].([]any)
			for _, r := range results {
				x, _ := r.(map[string]any)
				got = append(got, x["id"])
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s?%s (-account +answer):\n%s", path, row, diff)
			}
		}
	}
}

// templateNobody is what the template asks when it does not know whom for.
func templateNobody(t *testing.T, c *flow, people *people) {
	w := c.f.w
	t.Run("no requester", func(t *testing.T) {
		before := w.searches()
		for _, requester := range []string{"null", "", "NULL", "%20", "0"} {
			a := c.send(t, "GET /api/v2/search.json?query=type:ticket%20status%3Csolved%20%20requester:"+requester+ticketRows, "")
			empty := map[string]any{"results": []any{}, "facets": nil, "next_page": nil, "previous_page": nil, "count": id(0)}
			if diff := cmp.Diff(empty, a.object(t)); diff != "" {
				t.Errorf("requester:%s (-want +got):\n%s", requester, diff)
			}
		}
		if asked := w.searches() - before; asked != 0 {
			t.Errorf("the account was asked %d times", asked)
		}
	})
	nobody := map[string]any{"users": []any{}, "next_page": nil, "previous_page": nil, "count": id(0)}
	for name, ani := range map[string]string{
		"a number that nobody has":  "+" + w.number()[1:],
		"a number that two have":    "+" + people.sharers[0].number[1:],
		"the same, encoded":         "%2B" + people.sharers[0].number[1:],
		"the same, of the last ten": "phone:*" + people.sharers[0].number[2:],
		"a caller who hides":        "anonymous",
		"a variable never set":      "null",
		"nothing":                   "",
	} {
		t.Run(name, func(t *testing.T) {
			a := c.send(t, "GET /api/v2/users/search.json?query=type:user%20"+ani, "")
			if diff := cmp.Diff(nobody, a.object(t)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("and nobody is told of by these", func(t *testing.T) {
		for _, p := range people.sharers {
			a := c.send(t, fmt.Sprintf("GET /api/v2/users/%d.json", p.id), "")
			if a.status != http.StatusNotFound || bytes.Contains(a.body, []byte(p.name)) {
				t.Errorf("status %d: %s", a.status, a.body)
			}
			a = c.send(t, fmt.Sprintf("PUT /api/v2/tickets/%d.json", p.open[0]), commentBody("Whose is it?"))
			if a.status != http.StatusNotFound {
				t.Errorf("a comment on a ticket that was never found: %d: %s", a.status, a.body)
			}
		}
	})
}

// templateComments sends one comment as often as a flow may: a retry after an
// answer that came too late is the same request again.
func templateComments(t *testing.T, c *flow, p person) {
	w, ticket := c.f.w, p.open[0]
	c.send(t, "GET /api/v2/users/search.json?query=type:user%20%2B"+p.number[1:], "")
	c.send(t, fmt.Sprintf("GET /api/v2/search.json?query=type:ticket%%20status%%3Csolved%%20%%20requester:%d%s", p.id, ticketRows), "")
	for _, form := range []string{"/api/v2/tickets/%d.json", "//api/v2/tickets/%d.json", "/api/v2/tickets/%d", "//api/v2/tickets/%d", "/api/v2/tickets/%d.json"} {
		c.put(t, fmt.Sprintf(form, ticket), ticket, "Pressed 2, and hung up.")
	}
	w.once(t, c, ticket, "Pressed 2, and hung up.")

	// Both at once: the first has not been answered when the second is sent.
	var both sync.WaitGroup
	answers, errs := make([]answer, 4), make([]error, 4)
	for i := range answers {
		both.Go(func() {
			answers[i], errs[i] = c.exchange(fmt.Sprintf("PUT //api/v2/tickets/%d.json", ticket), commentBody("Twice at once."))
		})
	}
	both.Wait()
	for i := range answers {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		expectUpdated(t, &answers[i], ticket, "Twice at once.")
	}
	w.once(t, c, ticket, "Twice at once.")

	// The same words on another ticket are another comment.
	c.put(t, fmt.Sprintf("/api/v2/tickets/%d.json", p.open[1]), p.open[1], "Twice at once.")
	w.once(t, c, p.open[1], "Twice at once.")
}
