package webexflow

import "encoding/json"

// What the flow keeps to. docs/webex.md says why.
const (
	// timeout is how long a request may take, in milliseconds: aniproxy answers
	// within 1500, and what comes after 2000 is heard as silence.
	timeout = 2000
	retries = 1
	// music is in every tenant.
	music        = "defaultmusic_on_hold.wav"
	musicSeconds = 60
	menuSeconds  = 7
	// lookback is over how many minutes Webex works out a waiting time, its
	// least.
	lookback = 5
	// automatic lets Webex choose a voice of the language.
	automatic = "Automatic"
)

// Build makes the flow. An error is an *OptionError.
func Build(o Options) (*Flow, error) {
	s, err := o.settle()
	if err != nil {
		return nil, err
	}
	f := &Flow{
		Name:        "aniproxy_call_not_tried",
		Description: NotTried + ". Who calls and about which ticket, from aniproxy: greeting, menu, queue, assigned agent, screen pop, comment. Read docs/webex.md before you publish it.",
		Comment:     NotTried + ". Written by aniproxy webex flow. The HTTP connector's address must be " + s.origin + ". After the import: choose the connector, the queues and the skill, and bind the two Global variables.",
		Origin:      s.origin,
		Connector:   s.connector,
	}
	f.Variables = append(Looked(s.lang), own(s)...)
	s.greet(&f.Main)
	s.choose(&f.Main)
	s.agent(&f.Main)
	s.availability(&f.Main)
	s.place(&f.Main)
	s.leave(&f.Main)
	s.answered(&f.Events)
	s.ended(&f.Events)
	s.failed(&f.Events)
	return f, nil
}

// Looked are the variables that a lookup's answer is read into, by the names
// of its fields, with what each is when no lookup has answered, in a language
// such as en-US: nobody known, a greeting that suits everyone, the menu, the
// middle priority.
func Looked(lang string) []Variable {
	greeting := prompts()[lang[:2]].greeting
	text := func(name, initial, about, label string) Variable {
		return Variable{Name: name, Type: String, Initial: initial, About: about, Label: label}
	}
	number := func(name, initial, about string) Variable {
		return Variable{Name: name, Type: Integer, Initial: initial, About: about}
	}
	return []Variable{
		text("outcome", "unavailable", "what the lookup came to", ""),
		text("user_name", none, "the caller, where one person is known to call", "Caller"),
		text("ticket_id", none, "the ticket that the call is about", "Ticket"),
		text("ticket_status", none, "where the ticket stands", "Ticket status"),
		text("severity", none, "how urgent the ticket is", "Severity"),
		number("queue_priority", "5", "1 is the highest, 9 the lowest"),
		text("action", "menu", "what to do after the greeting", ""),
		number("has_queue", "0", "1 where queue_id names a queue"),
		text("queue_id", none, "the queue that a rule has chosen", ""),
		number("has_skill", "0", "1 where skill_value says something"),
		text("skill_value", none, "the value of the skill that a rule asks for", ""),
		number("has_assignee", "0", "1 where assignee_agent names somebody"),
		text("assignee_agent", none, "the login of the agent who has the ticket", ""),
		text("busy_action", none, "what to do when nobody is free", ""),
		text("busy_queue_id", none, "where to queue when nobody is free", ""),
		text("spoken_text", greeting, "what the caller hears, plain", ""),
		text("spoken_ssml", "<speak>"+greeting+"</speak>", "the same as a speak element", ""),
		text("language", lang, "the language that it is said in", ""),
		text("screen_pop_url", none, "what opens at the agent's", ""),
	}
}

// none is absent text in an answer.
const none = "none"

// own are the variables that are the flow's alone.
func own(s *settings) []Variable {
	t := s.texts[s.lang[:2]]
	text := func(name, initial, about string) Variable {
		return Variable{Name: name, Type: String, Initial: initial, About: about}
	}
	number := func(name, initial, about string) Variable {
		return Variable{Name: name, Type: Integer, Initial: initial, About: about}
	}
	return []Variable{
		{Name: "Global_Language", Type: String, Initial: s.lang, About: "the organisation's variable: what is spoken and asked for", Global: true},
		{Name: "Global_VoiceName", Type: String, Initial: automatic, About: "the organisation's variable: who speaks", Global: true},
		text("menu_text", t.menu, "the menu in the caller's language"),
		text("hold_text", t.hold, "said before the music"),
		text("callback_text", t.callback, "said when a callback is noted"),
		text("goodbye_text", t.goodbye, "said before hanging up"),
		text("sorry_text", t.sorry, "said when nobody can take the call"),
		number("menu_tries", "0", "how often the menu went unanswered"),
		number("agents_free", "-1", "agents free in the queue, -1 unknown"),
		number("call_started", "0", "when the call came, in seconds since 1970"),
		number("call_seconds", "0", "how long it took"),
		text("call_stage", "flow", "flow, agent or ended: what an error may still do"),
		text("call_outcome", "abandoned", "what the comment says of the call"),
		text("call_agent", none, "who answered"),
		text("call_queue", none, "out of which queue"),
	}
}

// greet: look the caller up, and say what there is to say.
func (s *settings) greet(g *Graph) {
	g.add("NewPhoneContact", "A call comes in.", Start{}, on("out", "StartClock"))
	g.add("StartClock", "Notes when the call came, for the comment's duration.",
		Set{[]Assignment{{"call_started", "{{ now() | epoch(inMillis=false) }}"}}}, on("out", "Lookup"), on("error", "Lookup"))
	g.add("Lookup", "Asks aniproxy who calls. POST, since a plus survives in a body and not always in a query; the query row is there because the node wants one, and aniproxy does not read it.",
		Request{Path: s.prefix + "/v1/lookup", Body: s.question(), Query: map[string]string{"via": "webex"}, Outputs: outputs(s.lang)},
		on("default", "LookupAnswered"))
	g.add("LookupAnswered", "Anything but 200 counts as unavailable.",
		Condition{"{{ Lookup.httpStatusCode == 200 }}"}, on("true", "SetLanguage"), on("false", "Unavailable"), on("error", "Unavailable"))
	g.add("Unavailable", "Sets every variable of the answer back to its initial value: an answer without these fields may have emptied them.",
		Set{initials(s.lang)}, on("out", "SetLanguage"), on("error", "SetLanguage"))
	g.add("SetLanguage", "The voice speaks the answer's language from here on.",
		Set{[]Assignment{{"Global_Language", "{{ language }}"}, {"Global_VoiceName", "{{ language }}-Standard-A"}}},
		on("out", "OwnTexts"), on("error", "OwnTexts"))
	s.ownTexts(g)
	g.add("Greeting", "What aniproxy has to say, as a speak element.",
		Say{"{{ spoken_ssml }}"}, on("default", "Action"), on("error", "AnyVoice"))
	g.add("AnyVoice", "The voice or the markup did not work: any voice of the language, and plain text.",
		Set{[]Assignment{{"Global_VoiceName", automatic}}}, on("out", "PlainGreeting"), on("error", "PlainGreeting"))
	g.add("PlainGreeting", "The same as plain text.", Say{"{{ spoken_text }}"}, on("default", "Action"), on("error", "Action"))
}

// question is the body of the lookup.
func (s *settings) question() string {
	fields := []struct{ key, value string }{
		{"ani", "{{NewPhoneContact.ANI}}"}, {"dnis", "{{NewPhoneContact.DNIS}}"},
		{"interaction_id", "{{NewPhoneContact.InteractionId}}"},
	}
	if s.asks {
		fields = append(fields, struct{ key, value string }{"lang", "{{Global_Language}}"})
	}
	body := "{"
	for i, f := range fields {
		if i > 0 {
			body += ","
		}
		value, _ := json.Marshal(f.value) //nolint:errchkjson // a string
		body += `"` + f.key + `":` + string(value)
	}
	return body + "}"
}

// outputs read each field of the answer into the variable of its name.
func outputs(lang string) []Output {
	var o []Output
	for _, v := range Looked(lang) {
		o = append(o, Output{Variable: v.Name, Path: "$." + v.Name})
	}
	return o
}

// initials set what the lookup would have set to what it is without one.
func initials(lang string) []Assignment {
	var a []Assignment
	for _, v := range Looked(lang) {
		a = append(a, Assignment{v.Name, v.Initial})
	}
	return a
}

// ownTexts: the flow's own prompts in the language of the answer; where it
// has none in that language, they stay as they are.
func (s *settings) ownTexts(g *Graph) {
	branch := Case{Expr: "{{ language }}"}
	var wires []wire
	for _, base := range spoken() {
		for _, voice := range s.texts[base].voices {
			branch.Values = append(branch.Values, voice)
			wires = append(wires, on(voice, "Texts_"+base))
		}
	}
	g.add("OwnTexts", "The flow's own prompts in the language that the answer has.", branch,
		append(wires, on("default", "Greeting"), on("error", "Greeting"))...)
	for _, base := range spoken() {
		t := s.texts[base]
		g.add("Texts_"+base, "Prompts, "+base+".", Set{[]Assignment{
			{"menu_text", t.menu}, {"hold_text", t.hold}, {"callback_text", t.callback},
			{"goodbye_text", t.goodbye}, {"sorry_text", t.sorry},
		}}, on("out", "Greeting"), on("error", "Greeting"))
	}
}

// choose: what the rules of aniproxy want, else the menu.
func (s *settings) choose(g *Graph) {
	g.add("Action", "What the rules say. A word that is not here is the menu.",
		Case{"{{ action }}", []string{"menu", "queue", "callback", "hangup", "disconnect"}},
		on("menu", "Menu"), on("queue", "Assignee"), on("callback", "CallbackQueue"),
		on("hangup", "SelfServed"), on("disconnect", "SelfServed"), on("default", "Menu"), on("error", "Menu"))
	g.add("Menu", "1 for an agent, 2 to end the call.",
		Menu{Text: "{{ menu_text }}", Options: []Option{{"1", "agent"}, {"2", "hang up"}}, Seconds: menuSeconds},
		on("1", "Assignee"), on("2", "SelfServed"), on("timeout", "MenuAgain"), on("invalid", "MenuAgain"), on("error", "Assignee"))
	g.add("MenuAgain", "Counts what went unanswered.",
		Set{[]Assignment{{"menu_tries", "{{ menu_tries + 1 }}"}}}, on("out", "MenuSpent"), on("error", "Assignee"))
	g.add("MenuSpent", "Who does not press anything three times gets a person.",
		Condition{"{{ menu_tries > 2 }}"}, on("true", "Assignee"), on("false", "Menu"), on("error", "Assignee"))
}

// agent: whoever has the ticket, if they are free.
func (s *settings) agent(g *Graph) {
	g.add("Assignee", "Has the ticket an agent?",
		Condition{"{{ has_assignee > 0 }}"}, on("true", "QueueToAgent"), on("false", "HasQueue"), on("error", "HasQueue"))
	g.add("QueueToAgent", "Offers the call to the agent who knows the case; the recovery queue takes it when they do not answer.",
		ToAgent{Agent: "{{ assignee_agent }}", Priority: "{{ queue_priority }}", Reporting: s.queue, Recovery: s.queue},
		on("default", "AgentReached"), on("error", "HasQueue"))
	reached := Case{"{{ QueueToAgent.FailureCode }}", nil}
	wires := []wire{on("default", "HoldText"), on("error", "HoldText")}
	// 1 unavailable, 2 not found, 3 not logged in, 4 not in the licence, 5 no
	// such queue, 6 busy, 7 moved too often, 8 not in this state.
	for _, code := range []string{"1", "2", "3", "4", "5", "6", "7", "8"} {
		reached.Values = append(reached.Values, code)
		wires = append(wires, on(code, "HasQueue"))
	}
	g.add("AgentReached", "With a failure code the call goes the way of every call: the recovery queue knows neither rule nor skill.", reached, wires...)
}

// availability: is anybody free in the queue that it will be?
func (s *settings) availability(g *Graph) {
	g.add("HasQueue", "Has a rule named a queue?",
		Condition{"{{ has_queue > 0 }}"}, on("true", "RuleQueueInfo"), on("false", "QueueInfo"), on("error", "QueueInfo"))
	g.add("RuleQueueInfo", "How the rule's queue stands.",
		QueueInfo{"{{ queue_id }}"}, on("success", "RuleQueueFree"), on("insufficientdata", "RuleQueueFree"), on("failure", "PlaceByRule"))
	g.add("RuleQueueFree", "Agents free in it; -1 where Webex cannot say.",
		Set{[]Assignment{{"agents_free", "{{ RuleQueueInfo.AvailableAgentsAll }}"}}}, on("out", "SomebodyFree"), on("error", "PlaceByRule"))
	g.add("QueueInfo", "How the usual queue stands.",
		QueueInfo{s.queue}, on("success", "QueueFree"), on("insufficientdata", "QueueFree"), on("failure", "PlaceByRule"))
	g.add("QueueFree", "Agents free in it; -1 where Webex cannot say.",
		Set{[]Assignment{{"agents_free", "{{ QueueInfo.AvailableAgentsAll }}"}}}, on("out", "SomebodyFree"), on("error", "PlaceByRule"))
	g.add("SomebodyFree", "Somebody is: no need to do anything else.",
		Condition{"{{ agents_free > 0 }}"}, on("true", "PlaceByRule"), on("false", "NobodyFree"), on("error", "PlaceByRule"))
	g.add("NobodyFree", "Nobody is for certain, not only as far as Webex can say.",
		Condition{"{{ agents_free > -1 }}"}, on("true", "Busy"), on("false", "PlaceByRule"), on("error", "PlaceByRule"))
	g.add("Busy", "What the rules want when nobody is free.",
		Case{"{{ busy_action }}", []string{"callback", "queue", "hangup", "disconnect"}},
		on("callback", "CallbackQueue"), on("queue", "BusyQueue"), on("hangup", "NoAgent"), on("disconnect", "NoAgent"),
		on("default", "BusyQueue"), on("error", "PlaceByRule"))
	g.add("BusyQueue", "Another queue for this case?",
		Case{"{{ busy_queue_id }}", []string{none, "null"}},
		on(none, "PlaceByRule"), on("null", "PlaceByRule"), on("default", "QueueWhenBusy"), on("error", "PlaceByRule"))
}

// place puts the call into a queue. A variable queue switches skills off, so
// that it is one or the other.
func (s *settings) place(g *Graph) {
	const priority = "{{ queue_priority }}"
	g.add("QueueWhenBusy", "The queue for when nobody is free; the usual one where there is none of that id.",
		Queue{Queue: "{{ busy_queue_id }}", Fallback: s.queue, Priority: priority}, on("default", "HoldText"), on("failure", "QueuePlain"))
	g.add("PlaceByRule", "A queue by its id?",
		Condition{"{{ has_queue > 0 }}"}, on("true", "QueueByRule"), on("false", "PlaceBySkill"), on("error", "QueuePlain"))
	g.add("PlaceBySkill", "A skill?",
		Condition{"{{ has_skill > 0 }}"}, on("true", "QueueBySkill"), on("false", "QueuePlain"), on("error", "QueuePlain"))
	g.add("QueueByRule", "The rule's queue; the usual one where there is none of that id.",
		Queue{Queue: "{{ queue_id }}", Fallback: s.queue, Priority: priority}, on("default", "HoldText"), on("failure", "QueuePlain"))
	g.add("QueueBySkill", "The usual queue with a skill. By hand, after the import: add the skill requirement here, its value the variable skill_value.",
		Queue{Queue: s.queue, Priority: priority, Skilled: true}, on("default", "HoldText"), on("failure", "QueuePlain"))
	g.add("QueuePlain", "The usual queue.",
		Queue{Queue: s.queue, Priority: priority}, on("default", "HoldText"), on("failure", "NoAgent"))
	g.add("HoldText", "Before the music.", Say{"{{ hold_text }}"}, on("default", "HoldMusic"), on("error", "HoldMusic"))
	g.add("HoldMusic", "Until an agent answers.", Music{music, musicSeconds}, on("default", "HoldMusic"), on("error", "StayQueued"))
	g.add("StayQueued", "No music; the call stays in its queue.", End{})
}

// leave: a callback, or the end.
func (s *settings) leave(g *Graph) {
	g.add("CallbackQueue", "A callback keeps the place of a call that is queued.",
		Queue{Queue: s.queue, Priority: "{{ queue_priority }}"}, on("default", "Callback"), on("failure", "NoAgent"))
	g.add("Callback", "Calls back the number that called. Where that is none, the caller waits.",
		Callback{Number: "{{NewPhoneContact.ANI}}", Queue: s.queue}, on("default", "CallbackNoted"), on("failure", "HoldText"))
	g.add("CallbackNoted", "For the comment.",
		Set{[]Assignment{{"call_outcome", "callback_requested"}}}, on("out", "CallbackText"), on("error", "CallbackText"))
	g.add("CallbackText", "Says so.", Say{"{{ callback_text }}"}, on("default", "HangUp"), on("error", "HangUp"))
	g.add("SelfServed", "For the comment.",
		Set{[]Assignment{{"call_outcome", "self_served"}}}, on("out", "Goodbye"), on("error", "Goodbye"))
	g.add("Goodbye", "Before hanging up.", Say{"{{ goodbye_text }}"}, on("default", "HangUp"), on("error", "HangUp"))
	g.add("NoAgent", "For the comment.",
		Set{[]Assignment{{"call_outcome", "no_agent_available"}}}, on("out", "Sorry"), on("error", "Sorry"))
	g.add("Sorry", "Nobody can take the call.", Say{"{{ sorry_text }}"}, on("default", "HangUp"), on("error", "HangUp"))
	g.add("HangUp", "The end.", Hangup{})
}

// answered: an agent has the call.
func (s *settings) answered(g *Graph) {
	g.add("AgentAnswered", "An agent has accepted the call.", Event{"AgentContactAssigned"}, on("out", "AgentNoted"))
	g.add("AgentNoted", "For the comment, and so that an error does not take the call away from the agent.",
		Set{[]Assignment{
			{"call_stage", "agent"}, {"call_outcome", "spoke_to_agent"},
			{"call_agent", "{{ AgentAnswered.AgentName }}"}, {"call_queue", "{{ AgentAnswered.QueueName }}"},
		}}, on("out", "PopGiven"), on("error", "PopGiven"))
	g.add("PopGiven", "Is there anything to open?", Case{"{{ screen_pop_url }}", []string{none, "null"}},
		on(none, "AnsweredEnd"), on("null", "AnsweredEnd"), on("default", "ScreenPop"), on("error", "AnsweredEnd"))
	g.add("ScreenPop", "The ticket, else the caller, else the agent's home.",
		ScreenPop{URL: "{{ screen_pop_url }}", Label: "Zendesk"}, on("success", "AnsweredEnd"))
	g.add("AnsweredEnd", "Leaves the call with the agent.", End{})
}

// ended: what came of the call goes to the ticket.
func (s *settings) ended(g *Graph) {
	g.add("PhoneContactEnded", "The call is over.", Event{"ContactEnded"}, on("out", "EndNoted"))
	g.add("EndNoted", "From here on an error changes nothing for the caller.",
		Set{[]Assignment{{"call_stage", "ended"}}}, on("out", "ClockRan"), on("error", "ClockRan"))
	g.add("ClockRan", "Is it known when the call came?",
		Condition{"{{ call_started > 0 }}"}, on("true", "CallSeconds"), on("false", "TicketGiven"), on("error", "TicketGiven"))
	g.add("CallSeconds", "How long the call took.",
		Set{[]Assignment{{"call_seconds", "{{ now() | epoch(inMillis=false) - call_started }}"}}},
		on("out", "TicketGiven"), on("error", "TicketGiven"))
	g.add("TicketGiven", "Without a ticket there is nothing to comment on.", Case{"{{ ticket_id }}", []string{none, "null"}},
		on(none, "EndedEnd"), on("null", "EndedEnd"), on("default", "Comment"), on("error", "EndedEnd"))
	g.add("Comment", "aniproxy words it and writes it to Zendesk, once, however often it is asked.",
		Request{
			Path:  s.prefix + "/v1/tickets/{{ticket_id}}/comments",
			Body:  `{"interaction_id":"{{NewPhoneContact.InteractionId}}","outcome":"{{call_outcome}}","agent":"{{call_agent}}","queue":"{{call_queue}}","duration_seconds":"{{call_seconds}}"}`,
			Query: map[string]string{"via": "webex"},
		}, on("default", "EndedEnd"))
	g.add("EndedEnd", "Nothing is left to do.", End{})
}

// failed: what no node has handled, such as a lookup that found no connection.
func (s *settings) failed(g *Graph) {
	g.add("OnGlobalError", "What no node has handled, such as an address that does not answer.", Event{"GlobalErrorHandling"}, on("out", "ErrorStage"))
	g.add("ErrorStage", "A call that an agent has, or that is over, is left alone.", Case{"{{ call_stage }}", []string{"agent", "ended"}},
		on("agent", "ErrorEnd"), on("ended", "ErrorEnd"), on("default", "ErrorText"), on("error", "ErrorQueue"))
	g.add("ErrorText", "The caller hears no fault, only that it goes on.", Say{"{{ hold_text }}"}, on("default", "ErrorQueue"), on("error", "ErrorQueue"))
	g.add("ErrorQueue", "The usual queue takes every call that nothing else could take.",
		Queue{Queue: s.queue, Priority: "{{ queue_priority }}"}, on("default", "ErrorMusic"), on("failure", "ErrorSorry"))
	g.add("ErrorMusic", "Until an agent answers.", Music{music, musicSeconds}, on("default", "ErrorMusic"), on("error", "ErrorEnd"))
	g.add("ErrorSorry", "Nobody can take the call.", Say{"{{ sorry_text }}"}, on("default", "ErrorHangUp"), on("error", "ErrorHangUp"))
	g.add("ErrorHangUp", "The end.", Hangup{})
	g.add("ErrorEnd", "Leaves the call as it is.", End{})
}
