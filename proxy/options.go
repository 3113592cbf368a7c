package proxy

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"aniproxy/internal/caller"
)

// OptionError says which option a Server cannot be made with, and why.
type OptionError struct {
	Option, Problem string
}

func (e *OptionError) Error() string { return "proxy: " + e.Option + " " + e.Problem }

// maxAgentBase leaves room for "/tickets/" and an id of 19 digits below the
// 256 characters of an answer's text.
const maxAgentBase = 200

func (o *Options) check() error {
	for _, required := range []struct {
		name string
		here bool
	}{
		{"Resolver", o.Resolver != nil},
		{"Directory", o.Directory != nil},
		{"Mirror", o.Mirror != nil},
		{"Outbox", o.Outbox != nil},
		{"Eraser", o.Eraser != nil},
		{"Audit", o.Audit != nil},
		{"Numbers", o.Numbers != nil},
		{"Voices", o.Voices != nil},
		{"Zendesk", o.Zendesk != nil},
		{"Logger", o.Logger != nil},
		{"Registry", o.Registry != nil},
		{"Clock", o.Clock != nil},
		{"RandomID", o.RandomID != nil},
		{"Deadline", o.Deadline > 0},
	} {
		if !required.here {
			return &OptionError{Option: required.name, Problem: "is required"}
		}
	}
	if o.DemoAll && len(o.Clients) > 0 {
		return &OptionError{Option: "DemoAll", Problem: "grants everything without a key: no clients beside it"}
	}
	if !slices.Contains([]string{"", caller.ByCreated, caller.ByUpdated}, o.TicketPolicy.Order) {
		return &OptionError{Option: "TicketPolicy.Order", Problem: fmt.Sprintf("is %q", o.TicketPolicy.Order)}
	}
	return o.checkAgentBase()
}

func (o *Options) checkAgentBase() error {
	o.AgentBase = strings.TrimRight(o.AgentBase, "/")
	u, err := url.Parse(o.AgentBase)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.Fragment != "" ||
		len(o.AgentBase) > maxAgentBase || strings.ContainsAny(o.AgentBase, `"\<>`) || strings.ContainsFunc(o.AgentBase, notPrinted) {
		return &OptionError{Option: "AgentBase", Problem: "must be an address such as https://acme.zendesk.com/agent"}
	}
	return nil
}

func notPrinted(r rune) bool { return r == ' ' || !unicode.IsPrint(r) }

func lowerKeys(m map[string]string) map[string]string {
	lower := make(map[string]string, len(m))
	for key, value := range m {
		lower[strings.ToLower(key)] = value
	}
	return lower
}
