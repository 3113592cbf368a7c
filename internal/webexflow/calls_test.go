package webexflow

import (
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// tenant runs the flow as far as its shape says how: variables, conditions,
// branches, exits. What Webex itself does at a node is written down in the
// call.
type tenant struct {
	t     *testing.T
	flow  *Flow
	vars  map[string]string
	call  call
	steps []string
	sent  []string // bodies and paths of requests
	heard []string
	keys  int // pressed so far
}

// call is what happens around the flow.
type call struct {
	status  int               // of the lookup's answer; 0 is one that never came
	answer  map[string]string // its fields; the others are as initially
	keys    []string          // pressed at the menu, one each time; then nothing is
	exits   map[string]string // a node's exit where it is not the first
	outputs map[string]string // "Node.Output"
}

func ring(t *testing.T, f *Flow, c call) *tenant {
	t.Helper()
	n := &tenant{t: t, flow: f, vars: map[string]string{}, call: c}
	for _, v := range f.Variables {
		n.vars[v.Name] = v.Initial
	}
	n.walk(&f.Main, "NewPhoneContact")
	return n
}

// happens runs an event flow after the call's own.
func (n *tenant) happens(event string) { n.walk(&n.flow.Events, event) }

func (n *tenant) walk(g *Graph, at string) {
	n.t.Helper()
	n.steps = nil
	for range 200 {
		n.steps = append(n.steps, at)
		exit, done := n.step(node(n.t, g, at))
		if done {
			return
		}
		to := ""
		for _, e := range g.Edges {
			if e.From == at && e.Exit == exit {
				to = e.To
			}
		}
		if to == "" {
			n.t.Fatalf("%s has no way out by %q: %v", at, exit, n.steps)
		}
		if to == at { // music, until an agent answers
			return
		}
		at = to
	}
	n.t.Fatalf("the flow runs in circles: %v", n.steps)
}

func node(t *testing.T, g *Graph, name string) Node {
	t.Helper()
	for _, n := range g.Nodes {
		if n.Name == name {
			return n
		}
	}
	t.Fatalf("no node %s", name)
	return Node{}
}

func (n *tenant) step(at Node) (exit string, done bool) {
	switch a := at.Do.(type) {
	case Hangup, End:
		return "", true
	case Request:
		n.request(a)
	case Say:
		n.heard = append(n.heard, n.text(a.Text))
	case Set:
		for _, v := range a.Values {
			n.vars[v.Variable] = n.text(v.Value)
		}
	}
	if exit, ok := n.call.exits[at.Name]; ok {
		return exit, false
	}
	switch a := at.Do.(type) {
	case Condition:
		return strconv.FormatBool(n.holds(a.Expr)), false
	case Case:
		value := n.text(a.Expr)
		for _, v := range a.Values {
			if v == value {
				return v, false
			}
		}
		return "default", false
	case Menu:
		n.heard = append(n.heard, n.text(a.Text))
		n.keys++
		if n.keys > len(n.call.keys) {
			return "timeout", false
		}
		return n.call.keys[n.keys-1], false
	}
	return at.Do.exits()[0].Name, false
}

// request: an answer fills the variables, and one without the fields empties
// them, as Webex does.
func (n *tenant) request(a Request) {
	n.sent = append(n.sent, a.Path+" "+a.Body)
	n.sent[len(n.sent)-1] = n.text(n.sent[len(n.sent)-1])
	for _, o := range a.Outputs {
		switch {
		case n.call.status == 0: // nothing came, nothing changes
		case n.call.status != 200:
			n.vars[o.Variable] = ""
		default:
			if v, ok := n.call.answer[o.Variable]; ok {
				n.vars[o.Variable] = v
			}
		}
	}
}

var reference = regexp.MustCompile(`\{\{(.*?)\}\}`)

// text fills in a text's expressions.
func (n *tenant) text(text string) string {
	return reference.ReplaceAllStringFunc(text, func(expr string) string {
		name := strings.TrimSpace(expr[2 : len(expr)-2])
		switch v, ok := n.vars[name]; {
		case ok:
			return v
		case name == "menu_tries + 1":
			tries, _ := strconv.Atoi(n.vars["menu_tries"])
			return strconv.Itoa(tries + 1)
		case strings.HasPrefix(name, "now()"):
			started, _ := strconv.Atoi(n.vars["call_started"])
			if strings.HasSuffix(name, "call_started") {
				return strconv.Itoa(1_800_000_095 - started)
			}
			return "1800000000"
		}
		return n.call.outputs[name]
	})
}

var comparison = regexp.MustCompile(`^\{\{ (\S+) (>|==) (-?\d+) \}\}$`)

func (n *tenant) holds(expr string) bool {
	m := comparison.FindStringSubmatch(expr)
	if m == nil {
		n.t.Fatalf("%s cannot be worked out", expr)
	}
	left, ok := n.vars[m[1]]
	if m[1] == "Lookup.httpStatusCode" {
		left, ok = strconv.Itoa(n.call.status), true
	}
	a, err := strconv.Atoi(left)
	if !ok || err != nil {
		n.t.Fatalf("%s compares %q", expr, left)
	}
	b, _ := strconv.Atoi(m[3])
	return m[2] == ">" && a > b || m[2] == "==" && a == b
}

// known is an answer to a caller with a ticket.
func known(more map[string]string) map[string]string {
	a := map[string]string{
		"outcome": "found", "user_name": "Ann Lee", "ticket_id": "4711", "ticket_status": "open",
		"spoken_text": "Hello Ann.", "spoken_ssml": "<speak>Hello Ann.</speak>", "language": "en-US",
		"severity": "high", "queue_priority": "3",
		"screen_pop_url": "https://acme.zendesk.com/agent/tickets/4711",
	}
	maps.Copy(a, more)
	return a
}

func TestCalls(t *testing.T) {
	assigned := map[string]string{"has_assignee": "1", "assignee_agent": "kim@example.com", "action": "queue"}
	ruled := map[string]string{"action": "queue", "has_queue": "1", "queue_id": "123e4567-e89b-12d3-a456-426614174000"}
	busy := func(more map[string]string) map[string]string {
		a := map[string]string{"action": "queue"}
		maps.Copy(a, more)
		return a
	}
	free := map[string]string{"QueueInfo.AvailableAgentsAll": "2", "RuleQueueInfo.AvailableAgentsAll": "2"}
	nobodyFree := map[string]string{"QueueInfo.AvailableAgentsAll": "0", "RuleQueueInfo.AvailableAgentsAll": "0"}
	unknown := map[string]string{"QueueInfo.AvailableAgentsAll": "-1", "RuleQueueInfo.AvailableAgentsAll": "-1"}
	tests := []struct {
		name  string
		call  call
		ends  string   // the last node
		by    []string // on its way
		never []string
	}{
		{"an agent by the menu", call{status: 200, answer: known(nil), keys: []string{"1"}, outputs: free}, "HoldMusic", []string{"Menu", "QueueInfo", "QueuePlain"}, []string{"Unavailable"}},
		{"nobody needed", call{status: 200, answer: known(nil), keys: []string{"2"}}, "HangUp", []string{"SelfServed", "Goodbye"}, []string{"QueuePlain"}},
		{"nothing pressed, ever", call{status: 200, answer: known(nil), outputs: free}, "HoldMusic", []string{"MenuAgain", "MenuSpent", "QueuePlain"}, nil},
		{"the wrong key, then the right one", call{status: 200, answer: known(nil), keys: []string{"invalid", "1"}, outputs: free}, "HoldMusic", []string{"MenuAgain", "QueuePlain"}, nil},
		{"an action that the flow does not know", call{status: 200, answer: known(map[string]string{"action": "dance"}), keys: []string{"2"}}, "HangUp", []string{"Menu"}, nil},
		{"straight to a queue", call{status: 200, answer: known(map[string]string{"action": "queue"}), outputs: free}, "HoldMusic", []string{"QueuePlain"}, []string{"Menu"}},
		{"hung up by a rule", call{status: 200, answer: known(map[string]string{"action": "hangup"})}, "HangUp", []string{"Goodbye"}, []string{"Menu"}},
		{"a callback by a rule", call{status: 200, answer: known(map[string]string{"action": "callback"})}, "HangUp", []string{"CallbackQueue", "Callback", "CallbackText"}, nil},
		{"a callback without a number", call{status: 200, answer: known(map[string]string{"action": "callback"}), exits: map[string]string{"Callback": "failure"}}, "HoldMusic", []string{"Callback"}, []string{"CallbackText"}},
		{"a rule's queue", call{status: 200, answer: known(ruled), outputs: free}, "HoldMusic", []string{"RuleQueueInfo", "QueueByRule"}, []string{"QueueInfo", "QueuePlain"}},
		{"a rule's queue that is gone", call{status: 200, answer: known(ruled), outputs: free, exits: map[string]string{"QueueByRule": "failure"}}, "HoldMusic", []string{"QueuePlain"}, nil},
		{"a skill", call{status: 200, answer: known(busy(map[string]string{"has_skill": "1", "skill_value": "tier2"})), outputs: free}, "HoldMusic", []string{"QueueBySkill"}, []string{"QueuePlain"}},
		{"the agent who has the ticket", call{status: 200, answer: known(assigned), outputs: map[string]string{"QueueToAgent.FailureCode": ""}}, "HoldMusic", []string{"QueueToAgent", "AgentReached"}, []string{"HasQueue"}},
		{"that agent is away", call{status: 200, answer: known(assigned), outputs: map[string]string{"QueueToAgent.FailureCode": "3", "QueueInfo.AvailableAgentsAll": "1"}}, "HoldMusic", []string{"QueueToAgent", "QueuePlain"}, nil},
		{"offering it to an agent fails", call{status: 200, answer: known(assigned), outputs: free, exits: map[string]string{"QueueToAgent": "error"}}, "HoldMusic", []string{"QueuePlain"}, nil},
		{"nobody free, nothing said of it", call{status: 200, answer: known(busy(nil)), outputs: nobodyFree}, "HoldMusic", []string{"Busy", "BusyQueue", "QueuePlain"}, nil},
		{"nobody free: a callback", call{status: 200, answer: known(busy(map[string]string{"busy_action": "callback"})), outputs: nobodyFree}, "HangUp", []string{"Busy", "Callback"}, nil},
		{"nobody free: another queue", call{status: 200, answer: known(busy(map[string]string{"busy_action": "queue", "busy_queue_id": "x"})), outputs: nobodyFree}, "HoldMusic", []string{"QueueWhenBusy"}, []string{"QueuePlain"}},
		{"nobody free: another queue without an action", call{status: 200, answer: known(busy(map[string]string{"busy_queue_id": "x"})), outputs: nobodyFree}, "HoldMusic", []string{"QueueWhenBusy"}, nil},
		{"nobody free in the rule's queue", call{status: 200, answer: known(mapsJoin(ruled, map[string]string{"busy_action": "callback"})), outputs: nobodyFree}, "HangUp", []string{"RuleQueueInfo", "Callback"}, []string{"QueueInfo"}},
		{"nobody free: sorry", call{status: 200, answer: known(busy(map[string]string{"busy_action": "hangup"})), outputs: nobodyFree}, "HangUp", []string{"Busy", "Sorry"}, []string{"SelfServed"}},
		{"somebody free: no callback", call{status: 200, answer: known(busy(map[string]string{"busy_action": "callback"})), outputs: free}, "HoldMusic", []string{"QueuePlain"}, []string{"Busy"}},
		{"nobody knows who is free", call{status: 200, answer: known(busy(map[string]string{"busy_action": "callback"})), outputs: unknown, exits: map[string]string{"QueueInfo": "insufficientdata"}}, "HoldMusic", []string{"NobodyFree", "QueuePlain"}, []string{"Busy"}},
		{"the queue cannot be asked", call{status: 200, answer: known(busy(map[string]string{"busy_action": "callback"})), exits: map[string]string{"QueueInfo": "failure"}}, "HoldMusic", []string{"QueuePlain"}, []string{"SomebodyFree"}},
		{"no queue at all", call{status: 200, answer: known(busy(nil)), outputs: free, exits: map[string]string{"QueuePlain": "failure"}}, "HangUp", []string{"NoAgent", "Sorry"}, nil},
		{"the key is wrong", call{status: 401, keys: []string{"1"}, outputs: free}, "HoldMusic", []string{"Unavailable", "Menu", "QueuePlain"}, nil},
		{"the proxy is at fault", call{status: 500, keys: []string{"1"}, outputs: free}, "HoldMusic", []string{"Unavailable", "QueuePlain"}, nil},
		{"too many questions", call{status: 429, keys: []string{"2"}}, "HangUp", []string{"Unavailable"}, nil},
		{"the answer never came", call{status: 0, keys: []string{"1"}, outputs: free}, "HoldMusic", []string{"Unavailable", "QueuePlain"}, nil},
		{"the voice does not speak", call{status: 200, answer: known(nil), keys: []string{"1"}, outputs: free, exits: map[string]string{"Greeting": "error"}}, "HoldMusic", []string{"AnyVoice", "PlainGreeting", "Menu"}, nil},
		{"no music", call{status: 200, answer: known(busy(nil)), outputs: free, exits: map[string]string{"HoldMusic": "error"}}, "StayQueued", []string{"QueuePlain"}, []string{"HangUp"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := ring(t, build(t, usual()), tt.call)
			way := " " + strings.Join(n.steps, " ") + " "
			if !strings.HasSuffix(way, " "+tt.ends+" ") {
				t.Errorf("does not end at %s:%s", tt.ends, way)
			}
			for _, by := range tt.by {
				if !strings.Contains(way, " "+by+" ") {
					t.Errorf("does not come by %s:%s", by, way)
				}
			}
			for _, never := range tt.never {
				if strings.Contains(way, " "+never+" ") {
					t.Errorf("comes by %s:%s", never, way)
				}
			}
			for _, text := range n.heard {
				if text == "" || text == "none" || strings.Contains(text, "{{") {
					t.Errorf("the caller hears %q", text)
				}
			}
		})
	}
}

func mapsJoin(a, b map[string]string) map[string]string {
	a = maps.Clone(a)
	maps.Copy(a, b)
	return a
}

// TestACallInSpanish: the answer's language is spoken by the flow too, and the
// question says which language is asked for.
func TestACallInSpanish(t *testing.T) {
	f := build(t, usual())
	n := ring(t, f, call{status: 200, answer: known(map[string]string{
		"language": "es-US", "spoken_ssml": "<speak>Hola, Ann.</speak>",
	}), keys: []string{"2"}})
	want := prompts()["es"]
	if got := strings.Join(n.heard, "|"); got != "<speak>Hola, Ann.</speak>|"+want.menu+"|"+want.goodbye {
		t.Errorf("the caller hears %s", got)
	}
	if n.vars["Global_Language"] != "es-US" || n.vars["Global_VoiceName"] != "es-US-Standard-A" {
		t.Errorf("spoken in %s by %s", n.vars["Global_Language"], n.vars["Global_VoiceName"])
	}
	if !strings.Contains(n.sent[0], `"lang":"en-US"`) {
		t.Errorf("asked %s", n.sent[0])
	}
	o := usual()
	o.Lang = Auto
	if n := ring(t, build(t, o), call{status: 200, answer: known(nil), keys: []string{"2"}}); strings.Contains(n.sent[0], "lang") {
		t.Errorf("asked %s", n.sent[0])
	}
	o.Lang = "es-ES"
	if n := ring(t, build(t, o), call{keys: []string{"2"}}); n.heard[0] != "<speak>"+want.greeting+"</speak>" || n.heard[1] != want.menu {
		t.Errorf("without an answer the caller hears %v", n.heard)
	}
}

// TestWhatIsWrittenBack: one comment, with what became of the call, and none
// without a ticket.
func TestWhatIsWrittenBack(t *testing.T) {
	f := build(t, usual())
	end := map[string]string{
		"NewPhoneContact.InteractionId": "i-1", "QueueInfo.AvailableAgentsAll": "1",
		"AgentAnswered.AgentName": "Kim", "AgentAnswered.QueueName": "Support",
	}
	tests := []struct {
		name  string
		call  call
		agent bool
		want  string
	}{
		{"an agent took it", call{status: 200, answer: known(nil), keys: []string{"1"}, outputs: end}, true,
			`/v1/tickets/4711/comments {"interaction_id":"i-1","outcome":"spoke_to_agent","agent":"Kim","queue":"Support","duration_seconds":"95"}`},
		{"the caller had all they needed", call{status: 200, answer: known(nil), keys: []string{"2"}, outputs: end}, false,
			`/v1/tickets/4711/comments {"interaction_id":"i-1","outcome":"self_served","agent":"none","queue":"none","duration_seconds":"95"}`},
		{"the caller gave up", call{status: 200, answer: known(nil), keys: []string{"1"}, outputs: end}, false,
			`/v1/tickets/4711/comments {"interaction_id":"i-1","outcome":"abandoned","agent":"none","queue":"none","duration_seconds":"95"}`},
		{"a callback", call{status: 200, answer: known(map[string]string{"action": "callback"}), outputs: end}, false,
			`/v1/tickets/4711/comments {"interaction_id":"i-1","outcome":"callback_requested","agent":"none","queue":"none","duration_seconds":"95"}`},
		{"nobody could take it", call{status: 200, answer: known(map[string]string{"action": "queue"}), outputs: end, exits: map[string]string{"QueuePlain": "failure"}}, false,
			`/v1/tickets/4711/comments {"interaction_id":"i-1","outcome":"no_agent_available","agent":"none","queue":"none","duration_seconds":"95"}`},
		{"no ticket", call{status: 200, answer: map[string]string{"ticket_id": "none"}, keys: []string{"2"}, outputs: end}, false, ""},
		{"a lookup that failed", call{status: 503, keys: []string{"2"}, outputs: end}, false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := ring(t, f, tt.call)
			if tt.agent {
				n.happens("AgentAnswered")
				if n.steps[len(n.steps)-2] != "ScreenPop" {
					t.Errorf("nothing opens: %v", n.steps)
				}
			}
			n.happens("PhoneContactEnded")
			got := strings.Join(n.sent[1:], "|")
			if got != tt.want {
				t.Errorf("sent %s, want %s", got, tt.want)
			}
		})
	}
}

// TestAnErrorTakesNoCallAway: an error queues the call while the caller waits,
// and does nothing once an agent has it or it is over.
func TestAnErrorTakesNoCallAway(t *testing.T) {
	f := build(t, usual())
	for _, tt := range []struct{ after, ends string }{
		{"", "ErrorMusic"}, {"AgentAnswered", "ErrorEnd"}, {"PhoneContactEnded", "ErrorEnd"},
	} {
		t.Run(fmt.Sprintf("after %q", tt.after), func(t *testing.T) {
			n := ring(t, f, call{status: 200, answer: known(nil), keys: []string{"2"}})
			if tt.after != "" {
				n.happens(tt.after)
			}
			n.happens("OnGlobalError")
			if last := n.steps[len(n.steps)-1]; last != tt.ends {
				t.Errorf("ends at %s: %v", last, n.steps)
			}
		})
	}
	t.Run("nothing to open", func(t *testing.T) {
		n := ring(t, f, call{status: 500, keys: []string{"2"}})
		n.happens("AgentAnswered")
		if strings.Contains(strings.Join(n.steps, " "), "ScreenPop") {
			t.Errorf("opens %q", n.vars["screen_pop_url"])
		}
	})
}
