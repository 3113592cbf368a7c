package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aniproxy/internal/config"
	"aniproxy/internal/zendesk/zendesktest"
)

// The people of these calls.
const (
	rosasNumber  = "+12125550171" // Spanish, an urgent incident, with an assignee
	paulsNumber  = "+12125550172" // English, a normal question
	quietsNumber = "+12125550173" // nothing open
	familyNumber = "+12125550174" // two people
)

// flowSecret is the key of the flow's client.
const flowSecret = "0123456789-the-flow-of-these-tests-0123456789"

type cast struct {
	*rig
	rosasTicket, paulsTicket int64
	ahead                    atomic.Int64 // how far the account's clock is, in nanoseconds
}

// later lets the account's second pass, which exports leave out.
func (c *cast) later() { c.ahead.Add(int64(5 * time.Second)) }

// callRules are those that config.toml gives to begin with.
func callRules(t *testing.T) []config.Rule {
	t.Helper()
	reference, err := os.ReadFile("../../config.toml")
	if err != nil {
		t.Fatal(err)
	}
	_, sample, found := strings.Cut(string(reference), "# Rules to begin with:")
	sample, _, ended := strings.Cut(sample, "# ── ")
	if !found || !ended {
		t.Fatal("config.toml has no rules to begin with")
	}
	var lines []string
	for line := range strings.Lines(sample) {
		if rule, is := strings.CutPrefix(line, "#"); is && !strings.HasPrefix(rule, " ") {
			lines = append(lines, rule)
		}
	}
	path := filepath.Join(t.TempDir(), "rules.toml")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Routing.Rules
}

func newCast(t *testing.T, change func(*config.Config)) *cast {
	t.Helper()
	c := &cast{}
	sim := zendesktest.New(zendesktest.Options{
		Seed: 5, Users: 30, HideNewest: -1, SearchLag: -1, Limits: zendesktest.Ample(),
		Clock: func() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) },
	})
	rosa := sim.CreateUser(zendesktest.UserSpec{Name: "Rosa García", Phone: "(212) 555-0171", Locale: "es-MX"})
	paul := sim.CreateUser(zendesktest.UserSpec{Name: "Paul Weber", Phone: "212.555.0172", Locale: "en-US"})
	sim.CreateUser(zendesktest.UserSpec{Name: "Quinn Still", Phone: quietsNumber, Locale: "en-US"})
	for _, name := range []string{"Dora Family", "Enzo Family"} {
		id := sim.CreateUser(zendesktest.UserSpec{Name: name, Phone: familyNumber})
		makeTicket(t, sim, zendesktest.TicketSpec{Requester: id, Subject: "Secret of " + name, Status: "open"})
	}
	var agent int64
	for u := range sim.Truth().Users() {
		if u.Role != "end-user" {
			agent = u.ID
			break
		}
	}
	c.rosasTicket = makeTicket(t, sim, zendesktest.TicketSpec{Requester: rosa, Assignee: agent, Subject: "Sin línea", Status: "open", Priority: "urgent", Type: "incident"})
	c.paulsTicket = makeTicket(t, sim, zendesktest.TicketSpec{Requester: paul, Subject: "Invoice", Status: "pending", Priority: "normal", Type: "question"})
	c.later()
	c.rig = setUp(t, rigOptions{sim: sim, config: func(cfg *config.Config) {
		cfg.Clients = []config.Client{{
			Name: "webex", SecretSHA256: []config.Digest{sha256.Sum256([]byte(flowSecret))},
			Scopes: []string{"lookup", "comment", "zendesk"}, Rate: 1000, Burst: 1000, LivePerMinute: 300, DistinctPerMinute: 3000,
		}}
		cfg.Routing.Rules = callRules(t)
		if change != nil {
			change(cfg)
		}
	}})
	c.secret = flowSecret
	return c
}

func makeTicket(t *testing.T, sim *zendesktest.Server, spec zendesktest.TicketSpec) int64 {
	t.Helper()
	id, err := sim.CreateTicket(spec)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// writeBack posts the comment after a call and gives its id.
func (c *cast) writeBack(ticketID int64, interaction, outcome string) string {
	c.t.Helper()
	code, text := c.post(fmt.Sprintf("%s/v1/tickets/%d/comments", c.public, ticketID),
		fmt.Sprintf(`{"interaction_id":%q,"outcome":%q,"agent":"Maria","queue":"Soporte","duration_seconds":"95"}`, interaction, outcome))
	var queued struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(text), &queued); err != nil || code != http.StatusAccepted || queued.ID == "" {
		c.t.Fatalf("a comment answers %d: %s", code, text)
	}
	return queued.ID
}

// arrived waits until the comment is where it belongs, or is given up.
func (c *cast) arrived(id string) {
	c.t.Helper()
	for {
		code, text := c.get(c.public + "/v1/comments/" + id)
		if code != http.StatusOK || strings.Contains(text, `"failed"`) {
			c.t.Fatalf("the comment: %d %s", code, text)
		}
		if strings.Contains(text, `"delivered"`) {
			return
		}
		<-time.After(5 * time.Millisecond)
	}
}

// expectOne holds the comments of a ticket against one that has the part.
func (c *cast) expectOne(ticketID int64, part string) {
	c.t.Helper()
	comments := c.sim.Truth().Comments(ticketID)
	if len(comments) != 1 || !strings.Contains(comments[0].Body, part) || comments[0].Public || comments[0].Inherited {
		c.t.Errorf("ticket %d has the comments %+v, want one with %q", ticketID, comments, part)
	}
}

func digits(id int64) string {
	return strings.Join(strings.Split(strconv.FormatInt(id, 10), ""), " ")
}

// The whole call by our own API: who, which ticket, what is heard, where to,
// and what is written back.
func TestTheWholeCallInTwoLanguages(t *testing.T) {
	c := newCast(t, func(cfg *config.Config) { cfg.Speech.DefaultLanguage = "es-US" })

	rosa := c.ask(rosasNumber)
	if rosa.Found != 1 || rosa.UserName != "Rosa García" || rosa.TicketID != strconv.FormatInt(c.rosasTicket, 10) || rosa.Language != "es-US" {
		t.Errorf("Rosa is %+v", rosa)
	}
	for _, part := range []string{"Hola", "Rosa", digits(c.rosasTicket), "hoy"} {
		if !strings.Contains(rosa.SpokenText, part) {
			t.Errorf("Rosa hears %q, without %q", rosa.SpokenText, part)
		}
	}
	if !strings.Contains(rosa.SSML, fmt.Sprintf(`<say-as interpret-as="characters">%d</say-as>`, c.rosasTicket)) {
		t.Errorf("Rosa hears %q", rosa.SSML)
	}
	if rosa.Action != "queue" || rosa.BusyAction != "callback" || rosa.Agent == "none" {
		t.Errorf("Rosa goes to %s, %s, %s", rosa.Action, rosa.BusyAction, rosa.Agent)
	}
	paul := c.ask(paulsNumber)
	if paul.Language != "en-US" || !strings.Contains(paul.SpokenText, "Paul") || !strings.Contains(paul.SpokenText, digits(c.paulsTicket)) {
		t.Errorf("Paul hears %q in %s", paul.SpokenText, paul.Language)
	}

	id := c.writeBack(c.rosasTicket, "call-1", "spoke_to_agent")
	if again := c.writeBack(c.rosasTicket, "call-1", "spoke_to_agent"); again != id {
		t.Error("the same call is two comments")
	}
	c.arrived(id)
	c.expectOne(c.rosasTicket, "Maria")
	if body := c.sim.Truth().Comments(c.rosasTicket)[0].Body; !strings.Contains(body, "Llamada") {
		t.Errorf("the note to the agents is not in Spanish: %q", body)
	}
}

func TestFiveCallsFiveActions(t *testing.T) {
	c := newCast(t, nil)
	for number, want := range map[string]string{
		rosasNumber: "queue", paulsNumber: "menu", quietsNumber: "sales", familyNumber: "ask_ticket", "anonymous": "identify",
	} {
		if a := c.ask(number); a.Action != want {
			t.Errorf("%s: action %s by %q, want %s", a.Outcome, a.Action, a.Rule, want)
		}
	}
	if a := c.ask(familyNumber); strings.Contains(a.text, "Family") || strings.Contains(a.text, "Secret") {
		t.Errorf("a shared number tells %s", a.text)
	}
}

// The mirror learns at once what the comment did to the ticket: an export that
// would tell as much is a day away here.
func TestTheTicketsNewStateIsInTheMirrorAtOnce(t *testing.T) {
	c := newCast(t, nil)
	before := c.ask(paulsNumber)
	if err := c.sim.SetTicketPriority(c.paulsTicket, "urgent"); err != nil {
		t.Fatal(err)
	}
	c.arrived(c.writeBack(c.paulsTicket, "i", "self_served"))
	for c.ask(paulsNumber).TicketPriority != "urgent" {
		<-time.After(time.Millisecond) // delivered comes a moment before it
	}
	if before.TicketPriority != "normal" {
		t.Errorf("before, it was %s", before.TicketPriority)
	}
}

func TestAnAgentSolvesTheTicketDuringTheCall(t *testing.T) {
	c := newCast(t, nil)
	c.ask(paulsNumber)
	if err := c.sim.SetTicketStatus(c.paulsTicket, "solved"); err != nil {
		t.Fatal(err)
	}
	c.later()
	c.resync("incremental")
	if a := c.ask(paulsNumber); a.TicketFound != 0 {
		t.Fatalf("the ticket is still there: %s", a.TicketID)
	}
	c.arrived(c.writeBack(c.paulsTicket, "i", "spoke_to_agent"))
	c.expectOne(c.paulsTicket, "Maria")
}

// Whatever Zendesk does, the caller is greeted from the mirror and the comment
// arrives when it can, once.
func TestTheCallWhileZendeskIsInTrouble(t *testing.T) {
	troubles := map[string]func(sim *zendesktest.Server) (over func()){
		"it answers in 10 s": func(sim *zendesktest.Server) func() {
			return sim.Fail(zendesktest.Fault{Delay: 10 * time.Second})
		},
		"it answers 500": func(sim *zendesktest.Server) func() {
			return sim.Fail(zendesktest.Fault{Status: 500, Body: `{"error":"InternalError"}`})
		},
		"it answers 429": func(sim *zendesktest.Server) func() {
			return sim.Fail(zendesktest.Fault{Status: 429, Header: http.Header{"Retry-After": {"1"}}, Body: `{"error":"APIRateLimitExceeded"}`})
		},
		"it is stopped": func(sim *zendesktest.Server) func() {
			sim.Down(true)
			return func() { sim.Down(false) }
		},
		"it writes and does not say so": func(sim *zendesktest.Server) func() {
			return sim.Fail(zendesktest.Fault{Method: "PUT", Perform: true, Reset: true})
		},
	}
	for name, begin := range troubles {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCast(t, nil)
			over := begin(c.sim)
			a := c.ask(rosasNumber)
			if a.Found != 1 || !strings.Contains(a.SpokenText, digits(c.rosasTicket)) || a.Action != "queue" {
				t.Errorf("Rosa hears %q and goes to %s", a.SpokenText, a.Action)
			}
			before := c.zendesk.Stats().Errors
			id := c.writeBack(c.rosasTicket, "call", "callback_requested")
			c.tried(before)
			over()
			c.arrived(id)
			c.expectOne(c.rosasTicket, "Maria")
		})
	}
}

// tried waits until the courier has met the trouble: nobody else reads a
// ticket by its id, and nothing else fails meanwhile.
func (c *cast) tried(errors uint64) {
	for c.sim.Count("GET /api/v2/tickets/{id}") == 0 && c.zendesk.Stats().Errors == errors {
		<-time.After(5 * time.Millisecond)
	}
}

// The three requests of Cisco's template, byte for byte.
func TestCiscosTemplateByteForByte(t *testing.T) {
	c := newCast(t, nil)
	basic := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("webex:"+flowSecret)) + "\r\n"
	for _, ani := range []string{"+12125550172", "%2B12125550172", "%20" + "12125550172", "%252B12125550172"} {
		user := c.raw("GET /api/v2/users/search.json?query=type:user%20" + ani + " HTTP/1.1\r\nHost: aniproxy\r\n" + basic + "\r\n")
		var users struct {
			Users []struct {
				ID   json.Number `json:"id"`
				Name string      `json:"name"`
			} `json:"users"`
		}
		unmarshal(t, user, &users)
		if len(users.Users) != 1 || users.Users[0].Name != "Paul Weber" {
			t.Fatalf("%s: %s", ani, user)
		}
		ticket := c.raw("GET /api/v2/search.json?query=type:ticket%20status%3Csolved%20%20requester:" + users.Users[0].ID.String() +
			"&sort_by=created_at&sort_order=desc HTTP/1.1\r\nHost: aniproxy\r\n" + basic + "\r\n")
		var results struct {
			Results []struct {
				ID     json.Number `json:"id"`
				Status string      `json:"status"`
			} `json:"results"`
		}
		unmarshal(t, ticket, &results)
		if len(results.Results) != 1 || results.Results[0].ID.String() != strconv.FormatInt(c.paulsTicket, 10) || results.Results[0].Status != "pending" {
			t.Fatalf("%s: %s", ani, ticket)
		}
	}
	body := `{"ticket":{"comment":{"body":"Caller asked for a callback"}}}`
	for _, slash := range []string{"/", "//", "/"} { // and a retry
		c.raw(fmt.Sprintf("PUT %sapi/v2/tickets/%d.json HTTP/1.1\r\nHost: aniproxy\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			slash, c.paulsTicket, basic, len(body), body))
	}
	for c.outbox.Status().Queued > 0 {
		<-time.After(5 * time.Millisecond)
	}
	c.expectOne(c.paulsTicket, "Caller asked for a callback")
	if nobody := c.raw("GET /api/v2/search.json?query=type:ticket%20status%3Csolved%20%20requester:null HTTP/1.1\r\nHost: aniproxy\r\n" + basic + "\r\n"); !strings.Contains(nobody, `"results":[]`) {
		t.Errorf("requester:null: %s", nobody)
	}
}

func unmarshal(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

// raw sends bytes over a socket and reads the body of a 200.
func (c *cast) raw(request string) string {
	c.t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(c.t.Context(), "tcp", strings.TrimPrefix(c.public, "http://"))
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		c.t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		c.t.Fatalf("%.60q answers %d: %s (%v)", request, res.StatusCode, body, err)
	}
	return string(body)
}

// What [ticket] and [match] say reaches every answer.
func TestTheTicketPolicyIsTheConfigurations(t *testing.T) {
	c := newCast(t, func(cfg *config.Config) {
		cfg.Match.Shared = "latest_ticket"
		cfg.Ticket.Exclude = config.TicketFilter{Tags: []string{"hr"}}
	})
	if err := c.sim.SetTicketTags(c.paulsTicket, "hr"); err != nil {
		t.Fatal(err)
	}
	c.later()
	c.resync("incremental")
	if paul := c.ask(paulsNumber); paul.Found != 1 || paul.TicketFound != 0 || paul.UnresolvedCount != 0 || strings.Contains(paul.SpokenText, digits(c.paulsTicket)) {
		t.Errorf("what is left out is told: %s", paul.text)
	}
	if family := c.ask(familyNumber); family.Found != 1 || family.TicketFound != 1 || family.Match != "ambiguous" || strings.Contains(family.SpokenText, "Enzo") {
		t.Errorf("a shared number is %s", family.text)
	}
	if code, _ := c.post(fmt.Sprintf("%s/v1/tickets/%d/comments", c.public, c.paulsTicket), `{"body":"x"}`); code != http.StatusNotFound {
		t.Errorf("a comment on what is left out: %d", code)
	}
}

func TestATicketIsOpenedFromTheCall(t *testing.T) {
	c := newCast(t, nil)
	code, text := c.post(c.public+"/v1/tickets", `{"ani":"`+quietsNumber+`","subject":"Asks to be called","body":"About the offer","interaction_id":"i"}`)
	if code != http.StatusAccepted {
		t.Fatalf("%d %s", code, text)
	}
	var queued struct {
		ID string `json:"id"`
	}
	unmarshal(t, text, &queued)
	c.arrived(queued.ID)
	for c.ask(quietsNumber).TicketFound == 0 {
		<-time.After(time.Millisecond)
	}
	quiet := holders(t, c.sim)[quietsNumber][0]
	tickets := c.sim.Truth().TicketsOf(quiet.ID)
	if !slices.ContainsFunc(tickets, func(k zendesktest.TruthTicket) bool { return k.Subject == "Asks to be called" && k.Private }) {
		t.Errorf("the account has %+v", tickets)
	}
}
