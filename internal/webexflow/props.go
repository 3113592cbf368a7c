package webexflow

import "maps"

// props are a node's properties by their names in a file.
type props map[string]any

// choice is a property that is picked from a list: the files carry what is
// shown beside what is meant, under two more names.
func (p props) choice(key string, value, shown any) {
	p[key], p[key+":name"], p[key+"_name"] = value, shown, shown
}

// radio is a property that is either a value or a variable.
func (p props) radio(key string, value any, which string) {
	p[key], p[key+":radioName"], p[key+"_radioName"] = value, which, which
}

// with adds properties of one format.
func (p props) with(more props) props {
	maps.Copy(p, more)
	return p
}

// common are the properties that both formats have in the same words.
func (f *Flow) common(n Node) props {
	p := props{"name": n.Name, "description": n.About}
	switch a := n.Do.(type) {
	case Request:
		p.request(a, f.Connector)
	case Condition:
		p["expression"] = a.Expr
	case Case:
		p.radio("expression", a.Expr, "build-expression")
	case Set:
		f.set(p, n.Name, a)
	case Say:
		p.speech(a.Text)
		p["interruptible"] = true
	case Music:
		p.choice("prompt", a.File, a.File)
		p["duration"], p["skip"], p["promptDynamic"], p["audioRadioGroup"] = a.Seconds, 0, nil, "staticAudio"
	case Menu:
		p.speech(a.Text)
		p["interruptible"], p["entryTimeout"] = true, a.Seconds
		p.menu(a)
	case QueueInfo:
		p["ewtLookbackMinutes"], p["channelType"] = lookback, "TELEPHONY"
	case Queue:
		p["toggle"], p["priorityRadioGroup"], p["priorityVariable"], p["priority"] = true, "variablePriority", a.Priority, nil
		p["toggleAgentAvailability"] = false
	case ToAgent:
		p.toAgent(a)
	case Callback:
		p["callbackDn"], p["callbackAni"], p["toggleCallbackDestination"] = a.Number, nil, true
	case ScreenPop:
		p["screenPopUrl"], p["screenPopDesktopLabel"] = a.URL, a.Label
		p["target"], p["queryParameters"] = "newBrowserTab", map[string]string{}
	}
	return p
}

func (p props) request(a Request, connector string) {
	out := []map[string]string{}
	for _, o := range a.Outputs {
		out = append(out, map[string]string{"outputVariable": o.Variable, "jsonPathExp": o.Path})
	}
	p["authenticated"] = true
	p.choice("connectorId", connector, connector)
	p["httpRequestPath"] = a.Path
	p.choice("httpRequestMethod", "POST", "POST")
	p["httpQueryParameters"], p["httpRequestHeaders"] = a.Query, map[string]string{}
	p.choice("httpContentType", "Application/JSON", "Application/JSON")
	p["httpRequestBody"] = a.Body
	p["httpResponseTimeout"], p["retryAttempts"] = timeout, retries
	p.choice("contentType", "JSON", "JSON")
	p["outputVariableArray"] = out
}

// set: the first value stands beside the list of them all, or the node counts
// as not configured.
func (f *Flow) set(p props, node string, a Set) {
	var all []props
	for _, v := range a.Values {
		all = append(all, props{
			"id": id("set", node, v.Variable), "setTo": "set-to-literal",
			"srcVariable": v.Variable, "srcVariableType": string(f.typeOf(v.Variable)),
			"literal": v.Value, "expr": v.Value, "literal_invalid_error": false,
		})
	}
	for k, v := range all[0] {
		if k != "id" {
			p[k] = v
		}
	}
	p["setVariablesArray"] = all
}

// speech: the organisation's language and voice, not the node's own.
func (p props) speech(text string) {
	const voice = "Cisco Cloud Text-to-Speech"
	p.choice("connector", voice, voice)
	p["connector:type"], p["connector_type"] = voice, voice
	p["toggle"], p["toggleLanguage"] = true, false
	p["prompts"], p["promptsTts"] = nil, []map[string]string{{"type": "tts", "name": text, "value": text}}
	p["speakingRate"], p["volumeGainDb"] = 1, 0
}

func (p props) menu(a Menu) {
	var digits, labels []string
	var options []map[string]string
	for _, o := range a.Options {
		digits, labels = append(digits, o.Digit), append(labels, o.Label)
		options = append(options, map[string]string{"digit": o.Digit, "label": o.Label})
	}
	p["menuOptions"], p["menuLinks"] = options, digits
	p["menuLinks:input"], p["menuLinks_input"] = labels, labels
}

func (p props) toAgent(a ToAgent) {
	p["destinationVariable"], p["channelType"] = a.Agent, "TELEPHONY"
	p.choice("destinationLookupType", "agentEmail", "Email")
	p["queueRadioGroup"], p["queueRecoveryRadioGroup"] = "staticQueue", "staticRecoveryQueue"
	p.choice("reportingQueue", a.Reporting, a.Reporting)
	p.choice("recoveryQueue", a.Recovery, a.Recovery)
	p["destinationReportingQueueVariable"], p["destinationRecoveryQueueVariable"] = nil, nil
	p["parkContactToggle"], p["priorityToggle"] = false, true
	p["priorityRadioGroup"], p["priorityVariable"], p["priority"] = "variablePriority", a.Priority, nil
}

// typeOf is the type of a variable of the flow.
func (f *Flow) typeOf(name string) Type {
	v, _ := f.variable(name)
	return v.Type
}

// variables are written alike in both formats.
func (f *Flow) variables() []props {
	var all []props
	for _, v := range f.Variables {
		source := ""
		if v.Global {
			source = "GLOBAL_TM"
		}
		all = append(all, props{
			"id": "", "name": v.Name, "description": v.About, "type": string(v.Type), "value": v.Initial,
			"isCAD": v.Label != "", "desktopLabel": v.Label, "isAgentEditable": false,
			"isReportable": false, "isSecure": false, "isExternalized": false,
			"overwrite": false, "source": source, "resourceType": "",
		})
	}
	return all
}
