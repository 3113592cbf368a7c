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
		{distinct(cfg), "distinct_per_minute of clients (rate and live_per_minute hold)"},
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
