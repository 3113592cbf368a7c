package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

type explainCommand struct {
	ANI      string `arg:"" name:"ani" help:"The caller's number, in any spelling."`
	JSON     bool   `name:"json" help:"Print the explanation as it came."`
	Lang     string `help:"Language that the flow asks for, for example es-MX." placeholder:"TAG"`
	TicketID string `name:"ticket" help:"Ticket number that the caller has keyed in." placeholder:"ID"`
	DNIS     string `name:"dnis" help:"Number that was called." placeholder:"NUMBER"`
	Agents   string `name:"agents-available" help:"How many agents are free." placeholder:"N"`
	EWT      string `name:"ewt-ms" help:"Estimated waiting time, in milliseconds." placeholder:"MS"`
	Client   string `help:"The client whose answer is to be explained; left out, one that may read all fields." placeholder:"NAME"`
	daemon
}

// explanation is the part of the answer that is printed.
type explanation struct {
	Steps []struct {
		Step    string            `json:"step"`
		Result  string            `json:"result"`
		Details []json.RawMessage `json:"details"`
	} `json:"steps"`
}

func (k *explainCommand) Run(c *console) error {
	asked := url.Values{"ani": {k.ANI}}
	for name, value := range map[string]string{
		"lang": k.Lang, "ticket_id": k.TicketID, "dnis": k.DNIS, "agents_available": k.Agents, "ewt_ms": k.EWT, "client": k.Client,
	} {
		if value != "" {
			asked.Set(name, value)
		}
	}
	var e explanation
	raw, err := k.ask(c.ctx, http.MethodGet, "/v1/admin/explain?"+asked.Encode(), nil, &e)
	if err != nil {
		return err
	}
	if k.JSON {
		c.printf("%s\n", bytes.TrimSpace(raw))
		return nil
	}
	for _, s := range e.Steps {
		c.printf("%-9s %s\n", s.Step, s.Result)
		for _, d := range s.Details {
			line, err := detail(d)
			if err != nil {
				return fmt.Errorf("the daemon's answer is not the JSON expected: %w", err)
			}
			if line != "" {
				c.printf("%-9s   %s\n", "", line)
			}
		}
	}
	return nil
}

// detail writes a flat object as a line, in the order of its keys as they
// came; what is none, unknown or not so is left out.
func detail(raw json.RawMessage) (string, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return "", fmt.Errorf("a detail that is no object: %v", t)
	}
	var words []string
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return "", err
		}
		var value any
		if err := d.Decode(&value); err != nil {
			return "", err
		}
		name := strings.ReplaceAll(fmt.Sprint(key), "_", " ")
		switch v := value.(type) {
		case bool:
			if v {
				words = append(words, name)
			}
		case json.Number:
			if name == "age seconds" && v != "-1" {
				words = append(words, "age "+v.String()+" s")
			} else if seconds, is := strings.CutSuffix(name, " seconds"); is && v != "-1" {
				words = append(words, seconds+" "+v.String()+" s ago")
			} else if v != "-1" && v != "0" {
				words = append(words, name+" "+v.String())
			}
		case string:
			if v != "" && v != "none" {
				words = append(words, name+" "+v)
			}
		}
	}
	return strings.Join(words, ", "), nil
}
