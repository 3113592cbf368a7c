package main

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/text/language"

	"aniproxy/internal/ani"
	"aniproxy/internal/caller"
	"aniproxy/internal/config"
	"aniproxy/internal/routing"
	"aniproxy/internal/speech"
)

// policy is what the configuration says of a call, in the form that the rooms
// take: which ticket is spoken of, in which words, and where the call goes.
type policy struct {
	tickets caller.TicketPolicy
	voices  *speech.Voices
	router  *routing.Router // nil without rules
}

// newPolicy compiles it. Its error is a [*config.Faults] with the places of
// all that cannot be followed: config finds the faults of single keys, and
// what a sentence or a rule means is found here, by those who say it.
func newPolicy(cfg *config.Config) (*policy, error) {
	p := &policy{tickets: ticketPolicy(cfg)}
	var faults []config.Fault
	var err error
	if p.voices, err = voices(cfg); err != nil {
		faults = append(faults, speechFaults(cfg, err)...)
	}
	rules, err := rules(cfg)
	if err != nil {
		return nil, err
	}
	for _, f := range routing.Check(rules) {
		if f.Kind != routing.Doubtful {
			faults = append(faults, cfg.Fault(ruleKey(f), f.Problem))
		}
	}
	if len(faults) > 0 {
		return nil, &config.Faults{List: faults}
	}
	if len(rules) > 0 {
		p.router, err = routing.New(rules)
	}
	return p, err
}

// doubts are what can be followed and is hardly meant, as warnings.
func doubts(cfg *config.Config) []string {
	rules, err := rules(cfg)
	if err != nil {
		return nil // newPolicy has said so
	}
	var list []string
	for _, f := range routing.Check(rules) {
		if f.Kind == routing.Doubtful {
			list = append(list, cfg.Fault(ruleKey(f), f.Problem).String())
		}
	}
	return list
}

func ruleKey(f routing.Fault) string {
	key := fmt.Sprintf("routing.rules[%d]", f.Rule+1)
	if f.Key != "" {
		key += "." + f.Key
	}
	return key
}

func ticketPolicy(cfg *config.Config) caller.TicketPolicy {
	filter := func(f config.TicketFilter) caller.TicketFilter {
		return caller.TicketFilter{BrandID: f.BrandID, GroupID: f.GroupID, FormID: f.TicketFormID, Tags: f.Tags}
	}
	return caller.TicketPolicy{
		Order: cfg.Ticket.Order, Include: filter(cfg.Ticket.Include), Exclude: filter(cfg.Ticket.Exclude),
		LatestOfShared: cfg.Match.Shared == "latest_ticket",
	}
}

func voices(cfg *config.Config) (*speech.Voices, error) {
	s := &cfg.Speech
	zone, err := time.LoadLocation(s.TimeZone)
	if err != nil { // the configuration has been checked: this cannot be
		return nil, err
	}
	return speech.NewVoices(speech.Options{
		DefaultLanguage: s.DefaultLanguage, Voices: s.Voices, Reveal: s.Reveal, IncludeSubject: s.IncludeSubject,
		MaxChars: s.MaxChars, Zone: zone, Templates: s.Templates,
	})
}

// speechFaults places each of the errors that speech has joined.
func speechFaults(cfg *config.Config, err error) []config.Fault {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var faults []config.Fault
		for _, one := range many.Unwrap() {
			faults = append(faults, speechFaults(cfg, one)...)
		}
		return faults
	}
	var template *speech.TemplateError
	if errors.As(err, &template) {
		return []config.Fault{cfg.Fault(template.Key(), template.Problem)}
	}
	return []config.Fault{cfg.Fault("speech", err.Error())}
}

// rules are the routing rules in routing's own form. The numbers called are
// read as a caller's is.
func rules(cfg *config.Config) ([]routing.Rule, error) {
	numbers, err := ani.New(cfg.Phone.DefaultRegion, cfg.Phone.ExtraRegions...)
	if err != nil {
		return nil, err
	}
	all := make([]routing.Rule, 0, len(cfg.Routing.Rules))
	for i := range cfg.Routing.Rules {
		r := &cfg.Routing.Rules[i]
		w := &r.When
		all = append(all, routing.Rule{
			Name: r.Name,
			When: routing.Condition{
				Severity: w.Severity, TicketPriority: w.TicketPriority, TicketStatus: w.TicketStatus, TicketType: w.TicketType,
				TicketTagsAny: w.TicketTagsAny, UserTagsAny: w.UserTagsAny, OrganizationID: w.OrganizationID,
				UnresolvedMin: w.UnresolvedMin, TicketAgeMin: w.TicketAgeMin, Outcome: w.Outcome,
				DNIS: called(numbers, w.DNIS), Language: bases(w.Language),
				AgentsAvailableMin: w.AgentsAvailableMin, AgentsAvailableMax: w.AgentsAvailableMax,
				EWTMin: w.EWTMin, EWTMax: w.EWTMax,
			},
			Then: routing.Result(r.Then),
		})
	}
	return all, nil
}

// called reads numbers that were called; one that cannot be read stays as it
// is, for routing to refuse.
func called(numbers *ani.Normalizer, given []string) []string {
	read := make([]string, len(given))
	for i, number := range given {
		read[i] = number
		if e164, ok := numbers.Key(number); ok {
			read[i] = e164
		}
	}
	return read
}

// bases are languages without their regions: a rule for es-MX is one for
// Spanish, since the caller's region chooses a voice and no queue.
func bases(given []string) []string {
	read := make([]string, len(given))
	for i, tag := range given {
		read[i] = tag
		if parsed, err := language.Parse(tag); err == nil {
			base, _ := parsed.Base()
			read[i] = base.String()
		}
	}
	return read
}
