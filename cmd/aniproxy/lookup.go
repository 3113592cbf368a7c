package main

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

type lookupCommand struct {
	ANI  string `arg:"" name:"ani" help:"The caller's number, in any spelling."`
	JSON bool   `name:"json" help:"Print the answer as it came."`
	Lang string `help:"Language of the sentence, for example es-MX." placeholder:"TAG"`
	daemon
}

// lookupAnswer is the part of the answer that a person reads here.
type lookupAnswer struct {
	Found           int    `json:"found"`
	Outcome         string `json:"outcome"`
	Reason          string `json:"reason"`
	ANI             string `json:"ani"`
	MatchCount      int    `json:"match_count"`
	UserName        string `json:"user_name"`
	UserID          string `json:"user_id"`
	TicketFound     int    `json:"ticket_found"`
	TicketID        string `json:"ticket_id"`
	TicketStatus    string `json:"ticket_status"`
	TicketPriority  string `json:"ticket_priority"`
	TicketUpdatedAt string `json:"ticket_updated_at"`
	UnresolvedCount int    `json:"unresolved_count"`
	AssigneeName    string `json:"assignee_name"`
	SpokenText      string `json:"spoken_text"`
	Source          string `json:"source"`
	AgeSeconds      int64  `json:"age_seconds"`
	Stale           int    `json:"stale"`
}

func (k *lookupCommand) Run(c *console) error {
	body := map[string]string{"ani": k.ANI}
	if k.Lang != "" {
		body["lang"] = k.Lang
	}
	var a lookupAnswer
	raw, err := k.ask(c.ctx, http.MethodPost, "/v1/lookup", body, &a)
	if err != nil {
		return err
	}
	if k.JSON {
		c.printf("%s\n", strings.TrimSpace(string(raw)))
	} else {
		a.print(c)
	}
	switch {
	case a.Found > 0:
		return nil
	case a.Outcome == "unavailable":
		return &exit{code: exitFailed}
	default:
		return &exit{code: exitNotFound}
	}
}

func (a *lookupAnswer) print(c *console) {
	row := func(name, value string) { c.printf("%-12s%s\n", name, value) }
	outcome := a.Outcome
	if a.Reason != "none" {
		outcome += " (" + a.Reason + ")"
	}
	row("outcome", outcome)
	if a.ANI != "none" {
		row("number", a.ANI)
	}
	if a.MatchCount > 1 {
		row("shared by", strconv.Itoa(a.MatchCount)+" people")
	}
	if a.Found > 0 {
		row("caller", a.UserName+"  #"+a.UserID)
	}
	if a.TicketFound > 0 {
		row("ticket", "#"+a.TicketID+"  "+a.TicketStatus+", priority "+a.TicketPriority+", updated "+a.TicketUpdatedAt)
		row("assignee", a.AssigneeName)
		row("unresolved", strconv.Itoa(a.UnresolvedCount))
	} else if a.Found > 0 {
		row("ticket", "none unresolved")
	}
	row("says", a.SpokenText)
	source := a.Source
	if source != "none" {
		source += ", " + (time.Duration(a.AgeSeconds) * time.Second).String() + " old"
	}
	if a.Stale > 0 {
		source += ", stale"
	}
	row("source", source)
}
