package webexflow

import (
	"bytes"
	"encoding/json"
)

// The shape of a FlowV2 file. Edges name the nodes by their names, since ids
// are the server's to give. Nodes of event flows are in a list of their own,
// for no edge may cross.
type (
	v2File struct {
		SchemaVersion string  `json:"schemaVersion"`
		Name          string  `json:"name"`
		Description   string  `json:"description"`
		FlowType      string  `json:"flowType"`
		Variables     []props `json:"variables"`
		v2Graph
		EventFlows map[string]v2Events `json:"eventFlows"`
	}
	v2Graph struct {
		Nodes []v2Node `json:"nodes"`
		Edges []v2Edge `json:"edges"`
	}
	v2Events struct {
		ID          string            `json:"id"`
		Name        string            `json:"name"`
		Description string            `json:"description"`
		OnEvents    map[string]string `json:"onEvents"`
		v2Graph
	}
	v2Node struct {
		ID           string `json:"id"`
		Name         string `json:"name"`
		ActivityType string `json:"activityType"`
		Group        string `json:"group"`
		Properties   props  `json:"properties"`
	}
	v2Edge struct {
		ID         string            `json:"id"`
		From       string            `json:"from"`
		To         string            `json:"to"`
		Condition  string            `json:"condition"`
		Properties map[string]string `json:"properties"`
	}
)

// globalEvents is the name under which both formats keep event flows.
const globalEvents = "GLOBAL_EVENTS"

// V2 writes the flow as FlowV2.
func (f *Flow) V2() ([]byte, error) {
	events := v2Events{
		ID: globalEvents, Name: "Events", Description: "An agent answers, the call ends, something has failed.",
		OnEvents: map[string]string{}, v2Graph: f.v2Graph(&f.Events),
	}
	for _, n := range f.Events.Nodes {
		if e, ok := n.Do.(Event); ok {
			events.OnEvents[e.Spec] = n.Name
		}
	}
	return indented(v2File{
		SchemaVersion: "2.0", Name: f.Name, Description: f.Description + " " + f.Comment, FlowType: "FLOW",
		Variables: f.variables(), v2Graph: f.v2Graph(&f.Main), EventFlows: map[string]v2Events{globalEvents: events},
	})
}

func (f *Flow) v2Graph(g *Graph) v2Graph {
	var out v2Graph
	for _, n := range g.Nodes {
		out.Nodes = append(out.Nodes, f.v2Node(n))
	}
	for _, e := range g.Edges {
		x, _ := g.exit(e)
		out.Edges = append(out.Edges, v2Edge{
			ID: id("edge", e.From, e.Exit), From: e.From, To: e.To, Condition: x.v2,
			Properties: map[string]string{"value": x.v2},
		})
	}
	return out
}

func (f *Flow) v2Node(n Node) v2Node {
	s := shapeOf(n.Do)
	p := f.common(n).with(props{"activityName": s.activity})
	kind := "action"
	switch a := n.Do.(type) {
	case Start:
		kind = "start"
		p["flowType"] = eventNames("ContactStartWorkflow")
	case Event:
		kind = "event"
		p = p.with(eventNames(a.Spec))
	case Hangup, End:
		kind = "end"
	case Request:
		// An address in the node stands beside the connector's: whichever an
		// importer reads, it is the same.
		p["httpRequestUrl"] = f.Origin + a.Path
		s.group = "http-request"
	case Case:
		p["menuLinks"], p["menuLinks:input"], p["menuLinks_input"] = a.Values, a.Values, a.Values
	case Set:
		p["activityId"], p["activityType"] = s.activity, "logic"
	case Condition:
		p["activityId"], p["activityType"] = s.activity, "logic"
	case QueueInfo:
		which := "setToValue"
		if expression(a.Queue) {
			which = "setToVariable"
		}
		p.radio("destination", a.Queue, which)
	case Queue:
		// queueId alone: with queueRadioGroup beside it an importer wants the
		// whole set of the designer's fields.
		p["queueId"] = a.Queue
		if a.Fallback != "" {
			p["fallbackQueue"] = a.Fallback
		}
		if a.Skilled {
			p["skills"] = noSkills()
		} else {
			p["skills"] = nil
		}
	case Callback:
		p.radio("callbackQueue", a.Queue, "setToValue")
	case ScreenPop:
		p["target"] = "outsideDesktop"
	}
	return v2Node{ID: id("node", n.Name), Name: n.Name, ActivityType: kind, Group: s.group, Properties: p}
}

// noSkills is a requirement of no skill: which one there is, only the
// designer knows.
func noSkills() props {
	return props{"skillRequirements": []string{}, "relaxation": nil}
}

func eventNames(spec string) props {
	return props{
		"eventSourceName": "WebexContactCenter", "eventClassificationName": "VoiceInteractions",
		"eventSpecificationName": spec,
	}
}

// indented writes JSON for people to compare: sorted, and with no character
// spelt as a number that needs none.
func indented(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
