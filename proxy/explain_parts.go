package proxy

import (
	"fmt"
	"slices"
	"strconv"

	"aniproxy/internal/caller"
	"aniproxy/internal/routing"
)

// mostTickets bounds how many tickets an explanation goes through: somebody
// with hundreds is a robot's mailbox, and the count tells of it.
const mostTickets = 50

type ticketDetail struct {
	ID     string `json:"ticket_id"`
	UserID string `json:"user_id"`
	// Place is the ticket's in the answer, 1 for the one that is spoken of; 0
	// for one that it does not name.
	Place     int    `json:"place"`
	Shown     bool   `json:"shown"`
	Why       string `json:"left_out"`
	Status    string `json:"status"`
	Priority  string `json:"priority"`
	Type      string `json:"type"`
	CreatedAt string `json:"created_at"`
	UpdatedAt string `json:"updated_at"`
}

// tickets goes through those of the person who was chosen, or, where nobody
// was, of all candidates: among them one could have been keyed in.
func (x *explainer) tickets() stepJSON {
	var of []caller.Caller
	if x.v.choice.Caller != nil {
		of = []caller.Caller{*x.v.choice.Caller}
	} else {
		for i := range x.e.Held {
			if x.e.Held[i].Withheld == "" {
				of = append(of, x.e.Held[i].Caller)
			}
		}
	}
	policy := &x.o.TicketPolicy
	step := stepJSON{Step: "tickets"}
	total, shown, read := 0, 0, 0
	for i := range of {
		read += len(of[i].Open)
		total += max(of[i].OpenCount, len(of[i].Open))
		for j := range of[i].Open {
			t := &of[i].Open[j]
			shows := policy.Shows(t)
			if shows {
				shown++
			}
			if len(step.Details) == mostTickets {
				continue
			}
			d := ticketDetail{
				ID: idWord(t.ID), UserID: idWord(of[i].User.ID), Shown: shows, Why: none,
				Place:  1 + slices.IndexFunc(x.v.choice.Tickets[:], func(c *caller.Ticket) bool { return c != nil && c.ID == t.ID }),
				Status: word(t.Status), Priority: word(t.Priority), Type: word(t.Type),
				CreatedAt: rfc3339(t.CreatedAt), UpdatedAt: rfc3339(t.UpdatedAt),
			}
			if !shows {
				d.Why = word(policy.Explain(t))
			}
			step.Details = append(step.Details, d)
		}
	}
	order := policy.Order
	if order == "" {
		order = caller.ByCreated
	}
	switch first := x.v.choice.Tickets[0]; {
	case total == 0:
		step.Result = "none that is unresolved"
	case first == nil && shown == 0:
		step.Result = count(total, "unresolved ticket, which the filters leave out", "unresolved tickets, all of which the filters leave out")
	case first == nil:
		step.Result = count(total, "unresolved ticket, of which nothing is told", "unresolved tickets, of which nothing is told")
	case x.in.whole(paramTicketID) == first.ID:
		step.Result = fmt.Sprintf("ticket %d, which was keyed in, of %s", first.ID, count(total, "unresolved one", "unresolved ones"))
	default:
		step.Result = fmt.Sprintf("ticket %d, the latest by %s of %d shown and %d left out", first.ID, order, shown, read-shown)
		if total > read { // past caller.MaxOpen
			step.Result = fmt.Sprintf("ticket %d, the latest by %s of %d shown, %d left out and %d not read", first.ID, order, shown, read-shown, total-read)
		}
	}
	return step
}

type ruleDetail struct {
	Rule      string `json:"rule"`
	Reached   bool   `json:"reached"`
	Held      bool   `json:"held"`
	Condition string `json:"condition"`
	Wanted    string `json:"wanted"`
	Had       string `json:"had"`
}

// rules goes through the operator's rules in order, each with the condition
// that did not hold.
func (x *explainer) rules() stepJSON {
	step := stepJSON{Step: "rules", Result: "there are none"}
	var traces []routing.Trace
	if x.o.Router != nil {
		f := x.factsOf(x.v, x.in)
		traces = x.o.Router.Explain(&f)
	}
	for _, t := range traces {
		step.Details = append(step.Details, ruleDetail{
			Rule: t.Rule, Reached: t.Reached, Held: t.Held, Condition: word(t.Condition), Wanted: word(t.Wanted), Had: word(clean(t.Had, maxText)),
		})
	}
	switch at := slices.IndexFunc(traces, func(t routing.Trace) bool { return t.Held }); {
	case at >= 0:
		step.Result = "rule " + strconv.Quote(traces[at].Rule) + " holds"
	case len(traces) > 0:
		step.Result = "no rule holds: the default"
	}
	return step
}

func (x *explainer) decision() stepJSON {
	d := &x.v.decision
	return stepJSON{"decision", fmt.Sprintf("%s, by %s", word(d.Action), d.Rule), []any{struct {
		Rule          string `json:"rule"`
		Severity      string `json:"severity"`
		QueuePriority int    `json:"queue_priority"`
		QueueID       string `json:"queue_id"`
		QueueName     string `json:"queue_name"`
		SkillValue    string `json:"skill_value"`
		Action        string `json:"action"`
		BusyAction    string `json:"busy_action"`
		BusyQueueID   string `json:"busy_queue_id"`
	}{
		word(d.Rule), string(d.Severity), d.QueuePriority, word(d.QueueID), word(d.QueueName), word(d.SkillValue),
		word(d.Action), word(d.BusyAction), word(d.BusyQueueID),
	}}}
}

func (x *explainer) voice() stepJSON {
	return stepJSON{"voice", x.v.voice.Tag, []any{struct {
		Asked  string `json:"asked"`
		Locale string `json:"locale"`
		Voice  string `json:"voice"`
	}{word(clean(x.in.optional(paramLang), maxText)), word(clean(x.v.user().Locale, maxText)), x.v.voice.Tag}}}
}

// words are what is spoken, and the names of the sentences it is made of.
func (x *explainer) words() stepJSON {
	call := x.utterance(x.v)
	text, _ := x.v.voice.Append(nil, nil, &call)
	step := stepJSON{Step: "speech", Result: string(text)}
	for _, name := range x.v.voice.Explain(&call) {
		step.Details = append(step.Details, struct {
			Template string `json:"template"`
		}{name})
	}
	return step
}

// whyAsks says why Zendesk has to be asked, by the word for it.
var whyAsks = map[string]string{
	"fresh":    "a lookup would ask Zendesk first, as it was told to",
	"unknown":  "a lookup would ask Zendesk, since the mirror knows nobody who has the number",
	"unproven": "a lookup would ask Zendesk, since what is not in the mirror may be absent or not",
	"stale":    "a lookup would answer at once and have the number read again behind the answer",
}

// upstream is what a lookup would ask of Zendesk now.
func (x *explainer) upstream() stepJSON {
	e := x.e
	step := stepJSON{Step: "upstream", Result: "a lookup would ask Zendesk nothing now"}
	if e.UpstreamWhy != "" || len(e.Upstream) > 0 {
		why, ok := whyAsks[e.UpstreamWhy]
		if !ok {
			why = "a lookup would ask Zendesk, because of: " + word(e.UpstreamWhy)
		}
		step.Result = why + ": " + count(len(e.Upstream), "call", "calls")
	}
	for _, c := range e.Upstream {
		step.Details = append(step.Details, struct {
			Call string `json:"call"`
		}{c})
	}
	return step
}

// refresh is what goes on behind answers that are old.
func (x *explainer) refresh() stepJSON {
	e := x.e
	result := "none is under way"
	if e.Refreshing {
		result = "the number is being read again behind an answer"
	}
	return stepJSON{"refresh", result, []any{struct {
		WalkedAt         string `json:"walked_at"` // when Zendesk was last asked for the number
		Walked           int64  `json:"walked_seconds"`
		Refreshing       bool   `json:"refreshing"`
		RefreshNotBefore string `json:"refresh_not_before"`
	}{moment(e.Walked), x.age(e.Walked), e.Refreshing, moment(e.RefreshNotBefore)}}}
}

func (x *explainer) streams() stepJSON {
	step := stepJSON{Step: "streams", Result: "both have been read to their end"}
	if !x.e.Streams.Filled() {
		step.Result = "not yet read to their end: absence in the mirror proves nothing"
	}
	for _, p := range []caller.Position{x.e.Streams.Users, x.e.Streams.Tickets} {
		name := string(caller.Users)
		if len(step.Details) > 0 {
			name = string(caller.Tickets)
		}
		step.Details = append(step.Details, struct {
			Stream     string `json:"stream"`
			Complete   bool   `json:"complete"`
			Watermark  string `json:"watermark"`
			AgeSeconds int64  `json:"age_seconds"`
		}{name, p.Complete, moment(p.Watermark), streamAge(x.now, p)})
	}
	return step
}
