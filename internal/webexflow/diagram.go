package webexflow

import "strings"

// The picture of the flow: where each node stands, where its exits are, and
// the arrows between. The designer draws what it is given, so that every edge
// needs an arrow here too.
type (
	uiDiagram struct {
		Widgets    map[string]any `json:"widgets"`
		Properties props          `json:"properties"`
	}
	point struct {
		X int `json:"x"`
		Y int `json:"y"`
	}
	uiWidget struct {
		ID         string   `json:"id"`
		Type       string   `json:"type"`
		WidgetType string   `json:"widgetType"`
		Label      string   `json:"label"`
		Point      point    `json:"point"`
		Ports      []uiPort `json:"ports"`
		Properties props    `json:"properties"`
	}
	uiPort struct {
		PortID string `json:"portId"`
		// IsSourcePort is true for where arrows arrive: so the exports have it.
		IsSourcePort bool     `json:"isSourcePort"`
		LinkID       *string  `json:"linkId"`
		Type         string   `json:"type"`
		Links        []string `json:"links"`
		Properties   props    `json:"properties"`
	}
	uiArrow struct {
		ID         string  `json:"id"`
		Type       string  `json:"type"`
		WidgetType string  `json:"widgetType"`
		Label      string  `json:"label"`
		Properties props   `json:"properties"`
		Points     []point `json:"points"`
		SourcePort uiEnd   `json:"sourcePort"`
		TargetPort uiEnd   `json:"targetPort"`
	}
	uiEnd struct {
		ID             string `json:"id"`
		ActiveWidgetID string `json:"activeWidgetId"`
		Point          point  `json:"point"`
	}
)

// Distances on the canvas, in its own units: a box is about 175 wide.
const (
	columnWidth, rowHeight = 320, 240
	boxWidth, portHeight   = 175, 32
	firstPort              = 27
)

// diagram draws a graph: a column for each step from where calls enter, in
// each column the nodes in the order in which the flow has them.
func (f *Flow) diagram(g *Graph) uiDiagram {
	d := uiDiagram{Widgets: map[string]any{}, Properties: props{"offsetX": 0, "offsetY": 0, "zoom": 100, "gridSize": 0}}
	at := g.places()
	for _, n := range g.Nodes {
		s := shapeOf(n.Do)
		d.Widgets[id("node", n.Name)] = uiWidget{
			ID: id("widget", n.Name), Type: s.group, WidgetType: "activity", Label: n.Name,
			Point: at[n.Name], Ports: g.ports(n, at[n.Name]), Properties: f.uiProperties(n),
		}
	}
	for _, e := range g.Edges {
		from, to := g.exitPoint(e, at[e.From]), entry(at[e.To])
		colour := "#545454"
		if trouble(e.Exit) {
			colour = "#d4371c"
		}
		d.Widgets[id("edge", e.From, e.Exit)] = uiArrow{
			ID: id("arrow", e.From, e.Exit), Type: "arrow", WidgetType: "link",
			Properties: props{
				"curvyness": 50, "selected": false, "color": colour, "width": 2, "selectedColor": "#007aa3",
				"points": []props{
					{"id": id("bend", e.From, e.Exit, "1"), "type": "point", "x": from.X, "y": from.Y},
					{"id": id("bend", e.From, e.Exit, "2"), "type": "point", "x": to.X, "y": to.Y},
				},
			},
			Points:     []point{},
			SourcePort: uiEnd{id("port", e.From, e.Exit), id("widget", e.From), from},
			TargetPort: uiEnd{id("port", e.To, "in"), id("widget", e.To), to},
		}
	}
	return d
}

func trouble(exit string) bool {
	return strings.Contains(" error failure timeout invalid insufficientdata ", " "+exit+" ")
}

// places finds a place for each node: its column is its distance from the
// nearest entry.
func (g *Graph) places() map[string]point {
	at, rows := map[string]point{}, map[int]int{}
	depth := g.depths()
	for _, n := range g.Nodes {
		column := depth[n.Name]
		at[n.Name] = point{X: columnWidth * column, Y: rowHeight * rows[column]}
		rows[column]++
	}
	return at
}

// depths counts the steps from the entries to each node that can be reached.
func (g *Graph) depths() map[string]int {
	depth := map[string]int{}
	var queue []string
	for _, n := range g.Nodes {
		switch n.Do.(type) {
		case Start, Event:
			depth[n.Name] = 0
			queue = append(queue, n.Name)
		}
	}
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		for _, e := range g.Edges {
			if _, seen := depth[e.To]; e.From == name && !seen {
				depth[e.To] = depth[name] + 1
				queue = append(queue, e.To)
			}
		}
	}
	return depth
}

// ports are where arrows arrive and leave.
func (g *Graph) ports(n Node, at point) []uiPort {
	var ports []uiPort
	switch n.Do.(type) {
	case Start, Event: // nothing leads there
	default:
		arriving := []string{}
		for _, e := range g.Edges {
			if e.To == n.Name {
				arriving = append(arriving, id("arrow", e.From, e.Exit))
			}
		}
		ports = append(ports, port(id("port", n.Name, "in"), "in", "left", true, arriving, entry(at)))
	}
	for _, x := range n.Do.exits() {
		e := Edge{From: n.Name, Exit: x.Name}
		ports = append(ports, port(id("port", n.Name, x.Name), x.ui, "right", false,
			[]string{id("arrow", n.Name, x.Name)}, g.exitPoint(e, at)))
	}
	return ports
}

func port(portID, name, side string, arrives bool, links []string, at point) uiPort {
	p := uiPort{
		PortID: portID, IsSourcePort: arrives, Type: "arrow", Links: links,
		Properties: props{"name": name, "label": name, "alignment": side, "x": at.X, "y": at.Y},
	}
	if len(links) > 0 {
		p.LinkID = &links[0]
	}
	return p
}

func entry(at point) point { return point{at.X, at.Y + firstPort} }

// exitPoint is where an edge leaves its node.
func (g *Graph) exitPoint(e Edge, at point) point {
	for _, n := range g.Nodes {
		if n.Name != e.From {
			continue
		}
		for i, x := range n.Do.exits() {
			if x.Name == e.Exit {
				return point{at.X + boxWidth, at.Y + firstPort + portHeight*i}
			}
		}
	}
	return at
}
