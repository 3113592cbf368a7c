package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"aniproxy/internal/caller"
)

// explanationJSON is how an answer comes about. Steps are in the order in which
// they are taken; what a step looked at stands in its details, a flat object
// each, whose keys are always the same for one step, so that a program can
// print any of them as a line.
type explanationJSON struct {
	At    string     `json:"at"`
	Steps []stepJSON `json:"steps"`
	// Answer is the very answer of a lookup.
	Answer json.RawMessage `json:"answer"`
}

type stepJSON struct {
	Step string `json:"step"`
	// Result is what came of the step, in a line of words.
	Result  string `json:"result"`
	Details []any  `json:"details"`
}

// explain tells how a lookup would be answered now, and why. It goes the way
// of a lookup, but asks Zendesk nothing, counts nothing and notes for no client
// that it was told of anything. The answer has all fields, or those of the
// client that is named.
func (s *Server) explain(c *call) error {
	in, err := s.read(c)
	if err != nil {
		return err
	}
	shown, err := s.fieldsOf(&in)
	if err != nil {
		return err
	}
	q, readable, err := question(&in, s.withTickets(&in))
	if err != nil {
		return err
	}
	return s.act(c, "who has a number", func(a *acted) error { return s.explained(c, a, &in, q, readable, shown) })
}

// explained makes the answer; the audit log is told whom it is about.
func (s *Server) explained(c *call, a *acted, in *params, q caller.Query, readable bool, shown fieldSet) error {
	e := caller.Explanation{Reason: "malformed", Class: string(caller.Invalid), Memory: "nothing", Answer: noNumber(), Streams: s.o.Directory.Streams()}
	if readable {
		ctx, cancel := context.WithTimeout(c.Request().Context(), s.o.Deadline)
		defer cancel()
		e = s.o.Resolver.Explain(ctx, q)
	}
	v := s.view(e.Answer, in.whole(paramTicketID), in.optional(paramLang))
	v.decision = s.route(&v, in)
	a.detail = whom(&e)
	x := explainer{Server: s, e: &e, v: &v, in: in, now: s.clock()}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // the answer is to be the very one, also where it has markup
	err := encoder.Encode(explanationJSON{At: moment(x.now), Steps: x.steps(), Answer: s.appendAnswer(nil, &v, shown)})
	if err != nil {
		return fmt.Errorf("encode an explanation: %w", err)
	}
	a.body = body.Bytes()
	return nil
}

// whom are the people that an explanation shows, by their ids.
func whom(e *caller.Explanation) string {
	if len(e.Held) == 0 {
		return "nobody"
	}
	people := make([]string, len(e.Held))
	for i := range e.Held {
		people[i] = userTarget(e.Held[i].Caller.User.ID)
	}
	return strings.Join(people, ", ")
}

// fieldsOf are those of the client whose answer is to be explained.
func (s *Server) fieldsOf(in *params) (fieldSet, error) {
	if !in.given(paramClient) {
		return allFields(), nil
	}
	if c := s.clients.Load().named(in.optional(paramClient)); c != nil {
		return c.fields, nil
	}
	return 0, errBadRequest("there is no client of this name")
}

// explainer puts the steps together.
type explainer struct {
	*Server
	e   *caller.Explanation
	v   *view
	in  *params
	now time.Time
}

func (x *explainer) steps() []stepJSON {
	steps := []stepJSON{
		x.number(), x.memory(), x.people(), x.chosen(), x.tickets(), x.rules(), x.decision(), x.voice(), x.words(), x.upstream(), x.refresh(), x.streams(),
	}
	for i := range steps {
		if steps[i].Details == nil {
			steps[i].Details = []any{}
		}
	}
	return steps
}

// age is how long ago a time is, in whole seconds; -1 where it is not known.
func (x *explainer) age(at time.Time) int64 {
	if at.IsZero() {
		return -1
	}
	return ageSeconds(x.now.Sub(at))
}

func (x *explainer) number() stepJSON {
	e := x.e
	result := e.E164
	if result == "" {
		result = "no number that a person could have: " + word(e.Class) + ", " + word(e.Reason)
	}
	return stepJSON{"number", result, []any{struct {
		Text   string `json:"text"`
		Class  string `json:"class"`
		Reason string `json:"reason"`
		ANI    string `json:"ani"`
	}{clean(e.Text, maxText), word(e.Class), word(e.Reason), word(e.E164)}}}
}

// word is a text that is never empty, as in an answer.
func word(s string) string {
	if s == "" {
		return none
	}
	return s
}

// memories is what the nearest tier holds, in words.
var memories = map[string]string{
	"answer":   "holds the answer",
	"nobody":   "holds that nobody has the number",
	"nothing":  "holds nothing",
	"changed":  "holds what was true before a change, and does not give it",
	"expired":  "holds that nobody had the number, too long ago to give it",
	"unproven": "holds something, and what is not in it may be absent or not: it is not given",
}

func (x *explainer) memory() stepJSON {
	result, ok := memories[x.e.Memory]
	if !ok {
		result = word(x.e.Memory)
	}
	return stepJSON{"memory", result, []any{struct {
		Holds string `json:"holds"`
	}{word(x.e.Memory)}}}
}

// personDetail is one who has the number, of any role.
type personDetail struct {
	ID        string `json:"user_id"`
	Name      string `json:"name"`
	By        string `json:"has_it_by"`
	Role      string `json:"role"`
	Suspended bool   `json:"suspended"`
	// Candidate tells whether a lookup considers the person; Withheld why not.
	Candidate  bool   `json:"candidate"`
	Withheld   string `json:"withheld"`
	Unresolved int    `json:"unresolved"`
	// Record is where the record came from: an export has a date of its own.
	Record    string `json:"record"`
	UpdatedAt string `json:"updated_at"`
	// Each of these says when a source last agreed: with the person, with
	// their tickets apart from the stream, with their further numbers.
	SeenAt        string `json:"seen_at"`
	Seen          int64  `json:"seen_seconds"`
	TicketsAt     string `json:"tickets_seen_at"`
	Tickets       int64  `json:"tickets_seen_seconds"`
	IdentitiesAt  string `json:"identities_seen_at"`
	Identities    int64  `json:"identities_seen_seconds"`
	IdentitiesDue bool   `json:"identities_due"`
}

func (x *explainer) people() stepJSON {
	step := stepJSON{Step: "people"}
	candidates := 0
	for i := range x.e.Held {
		h := &x.e.Held[i]
		u := &h.Caller.User
		d := personDetail{
			ID: fmt.Sprint(u.ID), Name: clean(u.Name, maxText), By: word(h.By), Role: word(u.Role), Suspended: u.Suspended,
			Candidate: h.Withheld == "", Withheld: word(h.Withheld), Unresolved: h.Caller.OpenCount,
			Record: "single", UpdatedAt: rfc3339(u.UpdatedAt),
			SeenAt: moment(h.Caller.Seen), Seen: x.age(h.Caller.Seen),
			TicketsAt: moment(h.Caller.TicketsSeen), Tickets: x.age(h.Caller.TicketsSeen),
			IdentitiesAt: moment(h.IdentitiesSeen), Identities: x.age(h.IdentitiesSeen), IdentitiesDue: h.IdentitiesDue,
		}
		if h.Version.Generated != 0 {
			d.Record = "export"
		}
		if d.Candidate {
			candidates++
		}
		step.Details = append(step.Details, d)
	}
	switch n := len(x.e.Held); n {
	case 0:
		step.Result = "the mirror knows nobody who has the number"
	case candidates:
		step.Result = count(n, "person has the number", "people have the number")
	default:
		step.Result = count(n, "person has the number", "people have the number") + fmt.Sprintf(", %d of them considered", candidates)
	}
	return step
}

func count(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", more)
}

func (x *explainer) chosen() stepJSON {
	v := x.v
	match, n := v.match()
	c := &v.choice
	var result string
	switch {
	case c.Caller != nil && c.Guessed:
		result = fmt.Sprintf("user %d, whose ticket is the latest of those who share the number; no name is spoken", c.Caller.User.ID)
	case c.Caller != nil && c.Reason == caller.ReasonTicket:
		result = fmt.Sprintf("user %d, whose ticket was keyed in", c.Caller.User.ID)
	case c.Caller != nil:
		result = fmt.Sprintf("user %d, the only one who matches", c.Caller.User.ID)
	case c.Outcome == caller.Ambiguous:
		result = fmt.Sprintf("nobody: %d people share the number, and nothing is told of any of them", n)
	case c.Outcome == caller.Unavailable:
		result = "nobody: nothing is known here, and that nobody has the number is not proved"
	default:
		result = "nobody: " + string(c.Outcome)
	}
	return stepJSON{"choice", result, []any{struct {
		Outcome    string `json:"outcome"`
		Reason     string `json:"reason"`
		UserID     string `json:"user_id"`
		Match      string `json:"match"`
		MatchCount int    `json:"match_count"`
		Guessed    bool   `json:"guessed"`
		Source     string `json:"source"`
		Age        int64  `json:"age_seconds"`
		Stale      bool   `json:"stale"`
	}{string(c.Outcome), word(c.Reason), idWord(v.user().ID), match, n, c.Guessed, word(string(v.answer.Source)), ageSeconds(v.answer.Age), v.answer.Stale}}}
}

// idWord is an id as an answer has it.
func idWord(id int64) string {
	if id == 0 {
		return none
	}
	return fmt.Sprint(id)
}
