package proxy

import (
	"net/http"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/status"
)

// statsJSON is /v1/stats, for dashboards: what there is to say at this moment.
type statsJSON struct {
	Cache   cacheJSON   `json:"cache"`
	Lookups lookupsJSON `json:"lookups"`
	Mirror  mirrorJSON  `json:"mirror"`
	Sync    upkeepJSON  `json:"sync"`
	Outbox  outboxJSON  `json:"outbox"`
	Zendesk zendeskJSON `json:"zendesk"`
	// Webhooks counts deliveries by what became of them.
	Webhooks map[string]uint64 `json:"webhooks"`
	// Logins are those that were wrong.
	Logins loginsJSON `json:"logins"`
	// Clients are those of the configuration, in its order.
	Clients []clientJSON `json:"clients"`
}

type (
	cacheJSON struct {
		MemoryHits    uint64  `json:"memory_hits"`
		DiskHits      uint64  `json:"disk_hits"`
		LiveHits      uint64  `json:"live_hits"`
		NegativeHits  uint64  `json:"negative_hits"`
		Misses        uint64  `json:"misses"`
		HitRatio      float64 `json:"hit_ratio"`
		Entries       uint64  `json:"entries"`
		Bytes         uint64  `json:"bytes"`
		Evictions     uint64  `json:"evictions"`
		DroppedSets   uint64  `json:"dropped_sets"`
		WalksInFlight int64   `json:"walks_in_flight"`
		// Refreshes are what was read again behind an answer.
		Refreshes       uint64 `json:"refreshes"`
		RefreshesFailed uint64 `json:"refreshes_failed"`
	}
	lookupsJSON struct {
		Total     uint64            `json:"total"`
		ByOutcome map[string]uint64 `json:"by_outcome"`
		// PerSecond, P50 and P99 are of the last minute.
		PerSecond float64 `json:"per_second"`
		P50       int64   `json:"p50_us"`
		P99       int64   `json:"p99_us"`
	}
	mirrorJSON struct {
		Users            int64 `json:"users"`
		Numbers          int64 `json:"numbers"`
		Tickets          int64 `json:"tickets"`
		SharedNumbers    int64 `json:"shared_numbers"`
		UnreadablePhones int64 `json:"unreadable_phones"`
		IdentitiesDue    int64 `json:"identities_due"`
		FileBytes        int64 `json:"file_bytes"`
		// Sample is how far the mirror is from Zendesk, by random records.
		Sample sampleJSON `json:"sample"`
	}
	upkeepJSON struct {
		Running     bool   `json:"running"`
		LastSuccess string `json:"last_success"`
		LastError   string `json:"last_error"`
		NextRun     string `json:"next_run"`
		UsersAge    int64  `json:"users_age_seconds"`
		TicketsAge  int64  `json:"tickets_age_seconds"`

		Skipped uint64      `json:"skipped_records"`
		Notices noticesJSON `json:"notices"`
		Round   roundJSON   `json:"round"`
	}
	outboxJSON struct {
		Queued        uint64 `json:"queued"`
		Failed        uint64 `json:"failed"`
		OldestSeconds int64  `json:"oldest_seconds"`
	}
	loginsJSON struct {
		Failed uint64 `json:"failed"`
		Slowed uint64 `json:"slowed"`
	}
	clientJSON struct {
		Name            string `json:"name"`
		Numbers         uint64 `json:"numbers"`
		NotFound        uint64 `json:"not_found"`
		MissAlarm       bool   `json:"miss_alarm"`
		RefusedRate     uint64 `json:"refused_rate"`
		RefusedDistinct uint64 `json:"refused_distinct"`
		RefusedLive     uint64 `json:"refused_live"`
	}
	zendeskJSON struct {
		Requests      uint64 `json:"requests"`
		Errors        uint64 `json:"errors"`
		RateRemaining int    `json:"rate_remaining"`
	}
)

func (s *Server) stats(c *call) error {
	now := s.clock()
	cache, size, streams := s.o.Resolver.Stats(), s.o.Directory.Size(), s.o.Directory.Streams()
	upkeep, zendesk, outbox := s.o.Mirror.Status(), s.o.Zendesk(), s.o.Outbox.Status()
	recent := s.metrics.recent.read(now)
	j := statsJSON{
		Cache: cacheJSON{
			MemoryHits: cache.MemoryHits, DiskHits: cache.DiskHits, LiveHits: cache.LiveHits,
			NegativeHits: cache.NegativeHits, Misses: cache.Misses, HitRatio: hitRatio(&cache),
			Entries: cache.Entries, Bytes: cache.Bytes, Evictions: cache.Evictions, DroppedSets: cache.DroppedSets,
			WalksInFlight: cache.WalksInFlight, Refreshes: cache.Refreshes, RefreshesFailed: cache.RefreshesFailed,
		},
		Lookups: lookupsJSON{
			ByOutcome: map[string]uint64{},
			PerSecond: recent.perSecond, P50: recent.p50.Microseconds(), P99: recent.p99.Microseconds(),
		},
		Mirror: mirrorJSON{
			Users: size.Users, Numbers: size.Numbers, Tickets: size.Tickets, SharedNumbers: size.SharedNumbers,
			UnreadablePhones: size.UnreadablePhones, IdentitiesDue: size.IdentitiesDue, FileBytes: size.FileBytes,
			Sample: newSampleJSON(&upkeep.Sample),
		},
		Sync: upkeepJSON{
			Running: upkeep.Running != nil, LastSuccess: moment(upkeep.LastSuccess), LastError: upkeep.LastError,
			NextRun: moment(upkeep.NextRun), UsersAge: streamAge(now, streams.Users), TicketsAge: streamAge(now, streams.Tickets),
			Skipped: upkeep.SkippedRecords, Notices: newNoticesJSON(&upkeep.Notices), Round: newRoundJSON(&upkeep.Round),
		},
		Outbox: outboxJSON{
			Queued: outbox.Queued, Failed: outbox.Failed, OldestSeconds: int64(outbox.Oldest / time.Second),
		},
		Zendesk:  zendeskJSON{Requests: zendesk.Requests, Errors: zendesk.Errors, RateRemaining: zendesk.RateRemaining},
		Webhooks: map[string]uint64{},
		Logins:   loginsJSON{Failed: s.logins.failed.Load(), Slowed: s.logins.slowed.Load()},
		Clients:  []clientJSON{},
	}
	for _, client := range s.clients.Load().everyone() {
		read := s.usageOf(client)
		j.Clients = append(j.Clients, clientJSON{
			Name: client.name, Numbers: read.numbers, NotFound: read.missed, MissAlarm: read.alarm,
			RefusedRate: read.refused[limitRate], RefusedDistinct: read.refused[limitDistinct], RefusedLive: read.refused[limitLive],
		})
	}
	for d, name := range deliveryNames {
		j.Webhooks[name] = s.metrics.deliveries[d].Load()
	}
	for i, outcome := range outcomes {
		n := s.metrics.outcomes[i].Load()
		j.Lookups.ByOutcome[string(outcome)] = n
		j.Lookups.Total += n
	}
	return c.json(http.StatusOK, j)
}

// hitRatio is the share of the lookups that needed a tier which some tier
// could answer: 0 before the first. What is anonymous or no number needs none
// and is in neither part.
func hitRatio(c *status.Cache) float64 {
	hits := c.MemoryHits + c.DiskHits + c.LiveHits + c.NegativeHits
	if hits+c.Misses == 0 {
		return 0
	}
	return float64(hits) / float64(hits+c.Misses)
}

// outcomes are all there are, in the order of their counters.
var outcomes = [...]caller.Outcome{
	caller.Found, caller.NotFound, caller.Ambiguous, caller.Anonymous, caller.ShortCode, caller.Invalid, caller.Unavailable,
}
