package webexflow

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The files as a reader of them would see them: these types know the shapes
// from outside, and nothing of how they are written.
type (
	anyProps = map[string]any
	readV2   struct {
		SchemaVersion, Name, Description, FlowType string
		Variables                                  []anyProps
		Nodes                                      []readNode
		Edges                                      []readEdge
		EventFlows                                 map[string]struct {
			ID       string
			OnEvents map[string]string
			Nodes    []readNode
			Edges    []readEdge
		}
	}
	readNode struct {
		ID, Name, ActivityType, Group string
		Properties                    anyProps
	}
	readEdge    struct{ ID, From, To, Condition string }
	readProcess struct {
		Activities map[string]struct {
			ID, Name, Group string
			Properties      anyProps
		}
		Links []struct{ ID, SourceActivityID, TargetActivityID, ConditionExpr string }
	}
	readDiagram struct{ Widgets map[string]readWidget }
	readWidget  struct {
		ID, Type, WidgetType   string
		Ports                  []readPort
		SourcePort, TargetPort struct{ ID, ActiveWidgetID string }
	}
	readPort struct {
		PortID     string
		LinkID     *string
		Links      []string
		Properties struct{ Name string }
	}
	readUI struct {
		OrgID, ID, FlowType, Name, Description, Comment, FlowID string
		Variables                                               []anyProps
		Process                                                 readProcess
		Diagram                                                 readDiagram
		EventFlows                                              struct {
			EventsMap map[string]struct {
				Process  readProcess
				Diagram  readDiagram
				OnEvents map[string]string
			}
		}
	}
)

func written(t *testing.T, f *Flow) (v2 readV2, ui readUI, raw map[string][]byte) {
	t.Helper()
	raw = map[string][]byte{}
	for name, write := range map[string]func() ([]byte, error){"v2": f.V2, "ui": f.UI} {
		text, err := write()
		if err != nil {
			t.Fatal(err)
		}
		raw[name] = text
	}
	if err := json.Unmarshal(raw["v2"], &v2); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw["ui"], &ui); err != nil {
		t.Fatal(err)
	}
	return v2, ui, raw
}

// step is an edge as both files must have it: between the same nodes, out of
// the same exit.
type step struct{ From, Exit, To string }

func steps(g *Graph) []step {
	var all []step
	for _, e := range g.Edges {
		all = append(all, step(e))
	}
	return all
}

// exitNames turns a file's names of exits back into the model's.
func exitNames(g *Graph, from, condition string, name func(Exit) string) string {
	for _, n := range g.Nodes {
		if n.Name != from {
			continue
		}
		for _, x := range n.Do.exits() {
			if name(x) == condition {
				return x.Name
			}
		}
	}
	return "unknown " + condition
}

func TestBothFilesAreTheSameFlow(t *testing.T) {
	for name, o := range variants() {
		t.Run(name, func(t *testing.T) {
			f := build(t, o)
			v2, ui, _ := written(t, f)
			compare := func(label string, g *Graph, edges []readEdge, p readProcess) {
				var fromV2, fromUI []step
				for _, e := range edges {
					fromV2 = append(fromV2, step{e.From, exitNames(g, e.From, e.Condition, func(x Exit) string { return x.v2 }), e.To})
				}
				for _, l := range p.Links {
					from := p.Activities[l.SourceActivityID].Name
					fromUI = append(fromUI, step{from, exitNames(g, from, l.ConditionExpr, func(x Exit) string { return x.ui }), p.Activities[l.TargetActivityID].Name})
				}
				if diff := cmp.Diff(steps(g), fromV2); diff != "" {
					t.Errorf("%s, FlowV2 (-model +file):\n%s", label, diff)
				}
				if diff := cmp.Diff(steps(g), fromUI); diff != "" {
					t.Errorf("%s, export (-model +file):\n%s", label, diff)
				}
			}
			compare("main", &f.Main, v2.Edges, ui.Process)
			compare("events", &f.Events, v2.EventFlows[globalEvents].Edges, ui.EventFlows.EventsMap[globalEvents].Process)
			if diff := cmp.Diff(v2.Variables, ui.Variables); diff != "" || len(v2.Variables) != len(f.Variables) {
				t.Errorf("variables (-v2 +ui):\n%s", diff)
			}
		})
	}
}

func TestFilesSayThatNobodyHasTriedThem(t *testing.T) {
	v2, ui, raw := written(t, build(t, usual()))
	if !strings.HasPrefix(v2.Description, NotTried) || !strings.Contains(v2.Name, "not_tried") {
		t.Errorf("FlowV2: %q, %q", v2.Name, v2.Description)
	}
	if !strings.HasPrefix(ui.Description, NotTried) || !strings.HasPrefix(ui.Comment, NotTried) || !strings.Contains(ui.Name, "not_tried") {
		t.Errorf("export: %q, %q, %q", ui.Name, ui.Description, ui.Comment)
	}
	for name, text := range raw {
		if at := bytes.Index(text, []byte(NotTried)); at < 0 || at > 600 {
			t.Errorf("%s says so at byte %d, not at its top", name, at)
		}
	}
}

func TestExportHasEveryPartOfOne(t *testing.T) {
	_, ui, raw := written(t, build(t, usual()))
	var top map[string]json.RawMessage
	if err := json.Unmarshal(raw["ui"], &top); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"orgId", "version", "id", "flowType", "name", "variables", "process", "diagram", "eventFlows", "runtimeVariables", "variableOrders", "flowId"} {
		if part, ok := top[key]; !ok || string(part) == "null" {
			t.Errorf("no %s", key)
		}
	}
	graphs := map[string]struct {
		process readProcess
		diagram readDiagram
	}{"main": {ui.Process, ui.Diagram}, "events": {ui.EventFlows.EventsMap[globalEvents].Process, ui.EventFlows.EventsMap[globalEvents].Diagram}}
	for label, g := range graphs {
		drawn(t, label, g.process, g.diagram)
		for key, a := range g.process.Activities {
			if a.ID != key || a.Group == "" || a.Properties["activityId"] == nil || a.Properties["activityId"] == "" {
				t.Errorf("%s: %s has the key %s, the id %s, the group %q", label, a.Name, key, a.ID, a.Group)
			}
			export(t, a.Name, a.Properties)
		}
	}
	for spec, key := range ui.EventFlows.EventsMap[globalEvents].OnEvents {
		if got := ui.EventFlows.EventsMap[globalEvents].Process.Activities[key].Properties["eventSpecificationName"]; got != spec {
			t.Errorf("the event %s leads to %v", spec, got)
		}
	}
}

// drawn: a box for every activity, an arrow for every link, each from a port
// of its source to a port of its target.
func drawn(t *testing.T, label string, p readProcess, d readDiagram) {
	t.Helper()
	if len(d.Widgets) != len(p.Activities)+len(p.Links) {
		t.Errorf("%s: %d widgets for %d activities and %d links", label, len(d.Widgets), len(p.Activities), len(p.Links))
	}
	has := func(w readWidget, port, arrow string) bool {
		return slices.ContainsFunc(w.Ports, func(p readPort) bool {
			return p.PortID == port && p.LinkID != nil && slices.Contains(p.Links, arrow)
		})
	}
	for _, l := range p.Links {
		arrow, from, to := d.Widgets[l.ID], d.Widgets[l.SourceActivityID], d.Widgets[l.TargetActivityID]
		if arrow.WidgetType != "link" || arrow.SourcePort.ActiveWidgetID != from.ID || arrow.TargetPort.ActiveWidgetID != to.ID ||
			!has(from, arrow.SourcePort.ID, arrow.ID) || !has(to, arrow.TargetPort.ID, arrow.ID) {
			t.Errorf("%s: the arrow of %s does not join its two boxes", label, l.ID)
		}
	}
	for _, w := range d.Widgets {
		// What the designer has no factory for does not open.
		if !slices.Contains([]string{"start", "event", "action", "enum-gateway", "set-variable", "terminating-action", "end", "arrow"}, w.Type) {
			t.Errorf("%s: a widget of type %q", label, w.Type)
		}
	}
}

// export checks the properties of one activity of an export.
func export(t *testing.T, name string, p anyProps) {
	t.Helper()
	switch p["activityName"] {
	case "http-request-v2":
		request(t, name, p)
		if p["httpRequestUrl"] != nil {
			t.Errorf("%s has an address beside the connector's", name)
		}
	case "queue-contact":
		queue(t, name, p)
		variable := p["queueRadioGroup"] == "variableQueue"
		if variable == (p["destinationVariable"] == nil) || variable == (p["destination"] != nil) || variable == (p["fallbackQueue"] == nil) {
			t.Errorf("%s is half a static and half a variable queue", name)
		}
	case "case-statement":
		links, inputs := p["menuLinks"].([]any), p["menuLinks:input"].([]any)
		if len(links) != len(inputs) || len(links) > maxBranches {
			t.Errorf("%s: %d branches for %d values", name, len(links), len(inputs))
		}
	}
}

func request(t *testing.T, name string, p anyProps) {
	t.Helper()
	if p["authenticated"] != true || p["connectorId"] == "" || p["connectorId"] == nil {
		t.Errorf("%s is not authenticated by a connector", name)
	}
	if rows, ok := p["httpQueryParameters"].(anyProps); !ok || len(rows) == 0 {
		t.Errorf("%s has no query row", name)
	}
	if p["httpRequestMethod"] != "POST" || p["httpResponseTimeout"] != 2000.0 || p["retryAttempts"] != 1.0 {
		t.Errorf("%s: %v, %v ms, %v retries", name, p["httpRequestMethod"], p["httpResponseTimeout"], p["retryAttempts"])
	}
	body, _ := p["httpRequestBody"].(string)
	if !json.Valid([]byte(body)) {
		t.Errorf("%s: its body is no JSON: %s", name, body)
	}
	for _, key := range []string{"activityName", "httpRequestPath", "httpRequestHeaders", "httpContentType", "contentType", "outputVariableArray"} {
		if p[key] == nil {
			t.Errorf("%s has no %s", name, key)
		}
	}
}

func queue(t *testing.T, name string, p anyProps) {
	t.Helper()
	if id, ok := p["queueId"].(string); !ok || id == "" {
		t.Errorf("%s has no queueId", name)
	}
	if p["toggle"] != true || p["priorityRadioGroup"] != "variablePriority" || p["priorityVariable"] != "{{ queue_priority }}" {
		t.Errorf("%s does not queue by queue_priority", name)
	}
}

func TestFlowV2HasEveryPartOfOne(t *testing.T) {
	v2, _, raw := written(t, build(t, usual()))
	if v2.SchemaVersion != "2.0" || v2.FlowType != "FLOW" {
		t.Errorf("version %q, type %q", v2.SchemaVersion, v2.FlowType)
	}
	var top map[string]json.RawMessage
	if err := json.Unmarshal(raw["v2"], &top); err != nil {
		t.Fatal(err)
	}
	want := []string{"description", "edges", "eventFlows", "flowType", "name", "nodes", "schemaVersion", "variables"}
	if got := slices.Sorted(maps.Keys(top)); !slices.Equal(got, want) {
		t.Errorf("has %v, want %v", got, want)
	}
	events := v2.EventFlows[globalEvents]
	if len(events.OnEvents) != 3 {
		t.Errorf("events: %v", events.OnEvents)
	}
	for spec, name := range events.OnEvents {
		if !slices.ContainsFunc(events.Nodes, func(n readNode) bool {
			return n.Name == name && n.ActivityType == "event" && n.Properties["eventSpecificationName"] == spec
		}) {
			t.Errorf("the event %s leads to %s, which is not its node", spec, name)
		}
	}
	for _, n := range slices.Concat(v2.Nodes, events.Nodes) {
		name, _ := n.Properties["activityName"].(string)
		if n.ID == "" || n.Group == "" || name == "" || n.Properties["description"] == "" {
			t.Errorf("%s: id %q, group %q, activity %q", n.Name, n.ID, n.Group, name)
		}
		if !slices.Contains([]string{"start", "action", "end", "event"}, n.ActivityType) {
			t.Errorf("%s is of type %q", n.Name, n.ActivityType)
		}
		switch name {
		case "http-request-v2":
			request(t, n.Name, n.Properties)
			if url, _ := n.Properties["httpRequestUrl"].(string); !strings.HasPrefix(url, "https://aniproxy.example.com/v1/") {
				t.Errorf("%s asks %q", n.Name, url)
			}
		case "queue-contact":
			queue(t, n.Name, n.Properties)
			if _, there := n.Properties["queueRadioGroup"]; there {
				t.Errorf("%s has a queueRadioGroup beside its queueId", n.Name)
			}
		}
	}
	ids := map[string]bool{}
	for _, e := range slices.Concat(v2.Edges, events.Edges) {
		if ids[e.ID] || e.Condition == "" {
			t.Errorf("the edge from %s to %s: id %q twice, or no condition", e.From, e.To, e.ID)
		}
		ids[e.ID] = true
	}
}
