package webexflow

// The shape of the Flow Designer's export.
type (
	uiFile struct {
		OrgID            string         `json:"orgId"`
		Version          int            `json:"version"`
		ID               string         `json:"id"`
		FlowType         string         `json:"flowType"`
		Name             string         `json:"name"`
		Description      string         `json:"description"`
		Comment          string         `json:"comment"`
		Variables        []props        `json:"variables"`
		Process          uiProcess      `json:"process"`
		Diagram          uiDiagram      `json:"diagram"`
		FlowID           string         `json:"flowId"`
		EventFlows       uiEventFlows   `json:"eventFlows"`
		RuntimeVariables []string       `json:"runtimeVariables"`
		VariableOrders   map[string]any `json:"variableOrders"`
	}
	uiProcess struct {
		Activities map[string]uiActivity `json:"activities"`
		Links      []uiLink              `json:"links"`
	}
	uiActivity struct {
		ID         string `json:"id"`
		Name       string `json:"name"`
		Group      string `json:"group"`
		Properties props  `json:"properties"`
	}
	uiLink struct {
		ID         string            `json:"id"`
		Source     string            `json:"sourceActivityId"`
		Target     string            `json:"targetActivityId"`
		Condition  string            `json:"conditionExpr"`
		Properties map[string]string `json:"properties"`
	}
	uiEventFlows struct {
		EventsMap map[string]uiEvents `json:"eventsMap"`
	}
	uiEvents struct {
		ID          string            `json:"id"`
		Name        string            `json:"name"`
		Description string            `json:"description"`
		Process     uiProcess         `json:"process"`
		OnEvents    map[string]string `json:"onEvents"`
		Diagram     uiDiagram         `json:"diagram"`
	}
)

// nobody is the organisation of a file that belongs to none; an import puts
// its own there.
const nobody = "00000000-0000-0000-0000-000000000000"

// UI writes the flow in the shape of the Flow Designer's export.
func (f *Flow) UI() ([]byte, error) {
	events := uiEvents{
		ID: globalEvents, Name: "Events", Description: "An agent answers, the call ends, something has failed.",
		Process: f.uiProcess(&f.Events), Diagram: f.diagram(&f.Events), OnEvents: map[string]string{},
	}
	for _, n := range f.Events.Nodes {
		if e, ok := n.Do.(Event); ok {
			events.OnEvents[e.Spec] = id("node", n.Name)
		}
	}
	return indented(uiFile{
		OrgID: nobody, Version: 1, ID: objectID("version"), FlowType: "FLOW",
		Name: f.Name, Description: f.Description, Comment: f.Comment,
		Variables: f.variables(), Process: f.uiProcess(&f.Main), Diagram: f.diagram(&f.Main),
		FlowID: objectID("flow"), EventFlows: uiEventFlows{map[string]uiEvents{globalEvents: events}},
		RuntimeVariables: []string{},
		VariableOrders:   map[string]any{"pop-over": order("ani", "dn", "virtualTeamName"), "interaction-panel": f.shown()},
	})
}

func (f *Flow) uiProcess(g *Graph) uiProcess {
	p := uiProcess{Activities: map[string]uiActivity{}}
	for _, n := range g.Nodes {
		key := id("node", n.Name)
		p.Activities[key] = uiActivity{ID: key, Name: n.Name, Group: shapeOf(n.Do).group, Properties: f.uiProperties(n)}
	}
	for _, e := range g.Edges {
		x, _ := g.exit(e)
		p.Links = append(p.Links, uiLink{
			ID: id("edge", e.From, e.Exit), Source: id("node", e.From), Target: id("node", e.To),
			Condition: x.ui, Properties: map[string]string{"value": x.ui},
		})
	}
	return p
}

func (f *Flow) uiProperties(n Node) props {
	s := shapeOf(n.Do)
	p := f.common(n).with(props{"activityName": s.activity, "activityId": s.id})
	switch a := n.Do.(type) {
	case Start:
		p["activityName"], p["event"] = n.Name, n.Name
		p["flowType"] = eventIDs("ContactStartWorkflow", startEvent)
	case Event:
		spec := uiEvent(a.Spec)
		p = p.with(eventIDs(a.Spec, spec.id))
		p["name"], p["event"], p["displayName"], p["iconDiagram"] = a.Spec, n.Name, n.Name, spec.icon
		delete(p, "activityName")
	case Request:
		p["httpRequestUrl"] = nil // the connector has it
		p["httpRequestBodyFiles"], p["httpRequestBodyFormData"], p["httpRequestBodyGQL"] = nil, nil, nil
	case Case:
		var numbers []string
		for _, x := range a.exits()[:len(a.Values)] {
			numbers = append(numbers, x.ui)
		}
		p["menuLinks"], p["menuLinks:input"], p["menuLinks_input"] = numbers, a.Values, a.Values
	case QueueInfo:
		p.radio("destination", a.Queue, "queueId")
		if expression(a.Queue) {
			p.radio("destination", a.Queue, "queueVariable")
		}
	case Queue:
		uiQueue(p, a)
	case Callback:
		p.radio("callbackQueue", a.Queue, "singleQueue")
	}
	return p
}

// uiQueue: a queue by its id, or by a variable with one to fall back on.
func uiQueue(p props, a Queue) {
	p["skills"], p["destinationVariable"] = nil, nil
	p["agentAvailabilityRadioGroup"], p["agentAvailabilityVariable"] = nil, nil
	p.choice("fallbackQueue", nil, nil)
	if expression(a.Queue) {
		p["queueRadioGroup"], p["destinationVariable"] = "variableQueue", a.Queue
		p.choice("destination", nil, nil)
		p.choice("fallbackQueue", a.Fallback, a.Fallback)
		p["queueId"] = a.Queue
		return
	}
	p["queueRadioGroup"], p["queueId"] = "staticQueue", a.Queue
	p.choice("destination", a.Queue, a.Queue)
	if a.Skilled {
		p["skills"] = noSkills()
	}
}

// shape is what the formats call an activity. The ids are those of the public
// exports; they are the same in every tenant.
type shape struct{ activity, id, group string }

func shapeOf(a Activity) shape {
	switch a.(type) {
	case Start:
		return shape{"start", "start", "start"}
	case Event:
		return shape{"event", "event", "event"}
	case Request:
		return shape{"http-request-v2", "http-request-v2", "action"}
	case Condition:
		return shape{"condition-activity", "condition-activity", "enum-gateway"}
	case Case:
		return shape{"case-statement", "case-statement", "enum-gateway"}
	case Set:
		return shape{"set-variable", "set-variable", "set-variable"}
	case Say:
		return shape{"play-message", "5f114466ef5cfc454fbbf131", "action"}
	case Music:
		return shape{"play-music", "5faa2ad13505f538acc86afc", "action"}
	case Menu:
		return shape{"ivr-menu", "5f1145ceef5cfc454fbbf134", "enum-gateway"}
	case QueueInfo:
		return shape{"queue-lookup", "5fabaf1f8bf5b65b82f0706f", "action"}
	case Queue:
		return shape{"queue-contact", "5f114550ef5cfc454fbbf133", "action"}
	case ToAgent:
		return shape{"queue-to-agent", "628d7efd4ba3176df6ce0088", "action"}
	case Callback:
		return shape{"callback", "5f367a285d76a50d1e8fb4d2", "action"}
	case ScreenPop:
		return shape{"screen-pop", "5f36ab33791fbc3e0eae20c8", "action"}
	case Hangup:
		return shape{"disconnect-contact", "5faa898c8bf5b65b82f0706b", "terminating-action"}
	default:
		return shape{"end", "end", "end"}
	}
}

// startEvent is the id of a call's coming in.
const startEvent = "5f2d02144332507e39cc8a7f"

// uiEvent is an event's id and its picture in the designer.
func uiEvent(spec string) struct{ id, icon string } {
	switch spec {
	case "AgentContactAssigned":
		return struct{ id, icon string }{"5f354a0c6fb8c44e97ccb30d", "icon-headset_16"}
	case "ContactEnded":
		return struct{ id, icon string }{"5f354a336fb8c44e97ccb30e", "icon-handset-muted_16"}
	default:
		return struct{ id, icon string }{"627c0663e98eca854178bba6", "icon-error-legacy_16"}
	}
}

func eventIDs(spec, specID string) props {
	return eventNames(spec).with(props{
		"eventSourceId": "5eff0e2eb10162499bc9f932", "eventClassificationId": "5f10475cf021306e89e1692c",
		"eventSpecificationId": specID,
	})
}

// order numbers variables as the agent sees them.
func order(names ...string) []props {
	all := []props{}
	for i, n := range names {
		all = append(all, props{"name": n, "variableSeq": string(rune('0' + i))})
	}
	return all
}

// shown are the variables that the agent sees.
func (f *Flow) shown() []props {
	var names []string
	for _, v := range f.Variables {
		if v.Label != "" {
			names = append(names, v.Name)
		}
	}
	return order(names...)
}
