package main

import (
	"aniproxy/internal/config"
)

// unsafe names what the configuration asks for and this version does not do,
// where going on without it would give something away: the daemon does not
// start then.
func unsafe(cfg *config.Config) error {
	var faults []config.Fault
	for _, k := range []struct {
		set          bool
		key, message string
	}{
		{len(cfg.Server.ACMEDomains) > 0, "server.acme_domains",
			"certificates cannot be fetched by this version: set tls_cert and tls_key"},
		{!isZero(cfg.Ticket.Include), "ticket.include",
			"this version does not filter tickets, and would speak of those that were to be left out: remove it"},
		{!isZero(cfg.Ticket.Exclude), "ticket.exclude",
			"this version does not filter tickets, and would speak of those that were to be left out: remove it"},
	} {
		if k.set {
			faults = append(faults, cfg.Fault(k.key, k.message))
		}
	}
	if len(faults) > 0 {
		return &config.Faults{List: faults}
	}
	return nil
}

// unused names what the configuration asks for and this version passes over,
// where the call goes on as if it were not there.
func unused(cfg *config.Config) []string {
	var keys []string
	for _, k := range []struct {
		set bool
		key string
	}{
		{cfg.Match.Shared != "withhold", "match.shared (shared numbers are withheld)"},
		{spoken(cfg), "speech.reveal, include_subject, max_chars, time_zone and templates (the greeting is neutral)"},
		{len(cfg.Routing.Rules) > 0, "routing.rules (the ticket's severity alone speaks)"},
		{cfg.Sync.DeleteGuard != config.Defaults().Sync.DeleteGuard, "sync.delete_guard (a full walk removes nobody)"},
		{distinct(cfg), "distinct_per_minute of clients (rate and live_per_minute hold)"},
		{len(cfg.Webhook.Secrets) > 0, "webhook.secrets (the exports alone bring news)"},
		{cfg.Comments.FollowUpClosed || cfg.Comments.AllowPublic, "comments (nothing is written back)"},
	} {
		if k.set {
			keys = append(keys, k.key)
		}
	}
	return keys
}

// distinct tells whether some client's limit of different numbers is set.
func distinct(cfg *config.Config) bool {
	const unset = 3000
	for i := range cfg.Clients {
		if cfg.Clients[i].DistinctPerMinute != unset {
			return true
		}
	}
	return false
}

// spoken tells whether the configuration says how a ticket is spoken of.
func spoken(cfg *config.Config) bool {
	s, d := cfg.Speech, config.Defaults().Speech
	return len(s.Templates) > 0 || s.IncludeSubject || s.Reveal != d.Reveal || s.MaxChars != d.MaxChars || s.TimeZone != d.TimeZone
}

func isZero(f config.TicketFilter) bool {
	return len(f.BrandID)+len(f.GroupID)+len(f.TicketFormID)+len(f.Tags) == 0
}
