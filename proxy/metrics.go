package proxy

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"aniproxy/internal/buildinfo"
	"aniproxy/internal/caller"
)

// metrics counts what this package does, in atomics that cost a request
// nanoseconds; the registry reads them, and what the other rooms count, when
// it is scraped. Labels are routes, classes of status, outcomes, tiers, streams
// and the clients of the configuration: a few dozen series, none of them
// somebody's to make up.
type metrics struct {
	outcomes   [len(outcomes)]atomic.Uint64
	deliveries deliveryCounters
	unrecorded atomic.Uint64 // records that the audit log did not take
	recent     recent
	latency    prometheus.Histogram
	routes     map[string]*codeCounters // by template; filled before the first request
	unmatched  *codeCounters
	handler    http.Handler
}

// codeCounters counts answers by the class of their status: index 2 is 2xx.
type codeCounters [6]atomic.Uint64

func (c *codeCounters) add(status int) {
	if class := status / 100; class >= 1 && class < len(c) {
		c[class].Add(1)
	}
}

// latencyBounds go from an answer out of memory (some 20 µs) to the longest
// deadline there is (10 s), in seconds.
var latencyBounds = []float64{
	0.00002, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 1.5, 2.5, 5, 10,
}

func newMetrics(s *Server, registry *prometheus.Registry) (*metrics, error) {
	m := &metrics{
		routes: map[string]*codeCounters{},
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "aniproxy_lookup_duration_seconds",
			Help:    "How long lookups took inside the daemon, from their arrival to their answer.",
			Buckets: latencyBounds,
		}),
		handler: promhttp.HandlerFor(registry, promhttp.HandlerOpts{}),
	}
	m.unmatched = m.route(unmatched)
	for _, c := range []prometheus.Collector{m.latency, newCollector(s, m)} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// route gives the counters of a template, the same for both handlers. It is
// called while the routes are put together, not later.
func (m *metrics) route(path string) *codeCounters {
	c, ok := m.routes[path]
	if !ok {
		c = new(codeCounters)
		m.routes[path] = c
	}
	return c
}

// looked counts a lookup that was answered.
func (m *metrics) looked(outcome caller.Outcome, began time.Time, took time.Duration) {
	for i := range outcomes {
		if outcomes[i] == outcome {
			m.outcomes[i].Add(1)
		}
	}
	m.recent.add(began.Add(took), took)
	m.latency.Observe(took.Seconds())
}

// exposition is /metrics.
func (s *Server) exposition(c *call) error {
	s.metrics.handler.ServeHTTP(c.Response(), c.Request())
	return nil
}

// collector reads what is counted elsewhere when it is scraped, so that
// /metrics and /v1/stats cannot differ.
type collector struct {
	server  *Server
	metrics *metrics
	build   buildinfo.Build
	all     []*prometheus.Desc

	lookups, requests, clientNumbers, clientNotFound, clientAlarm, clientRefused, failedLogins, slowedLogins, unrecorded, hits, misses, ratio, entries, bytes, evictions, dropped, walks,
	users, numbers, tickets, shared, unreadable, identities, file,
	running, success, failed, next, age,
	refreshes, refreshFailures,
	sampled, differing, behind, share, oldestDifference, compared,
	notices, noticesMerged, noticesDropped, noticesFetched, noticesFailed, waiting, lastNotice, deliveries, skipped, reread, roundBegan, roundEnded,
	queued, undelivered, oldest, zendesk, zendeskErrors, remaining, built *prometheus.Desc
}

func newCollector(s *Server, m *metrics) *collector {
	var all []*prometheus.Desc
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		d := prometheus.NewDesc("aniproxy_"+name, help, labels, nil)
		all = append(all, d)
		return d
	}
	c := &collector{
		server: s, metrics: m, build: buildinfo.Read(),
		lookups:        desc("lookups_total", "Lookups answered, by outcome.", "outcome"),
		requests:       desc("http_requests_total", "Requests answered, by route and class of status.", "route", "code"),
		clientNumbers:  desc("client_numbers_total", "Different numbers that a client was answered about, each at most once a minute.", "client"),
		clientNotFound: desc("client_not_found_total", "Those of them that nobody was found for.", "client"),
		clientAlarm:    desc("client_miss_alarm", "1 while a client finds nobody far more often than is ordinary for it.", "client"),
		clientRefused:  desc("client_refused_total", "What a client's limits refused: requests by rate and distinct, questions to Zendesk by live.", "client", "limit"),
		failedLogins:   desc("failed_logins_total", "Keys and signatures of webhooks that were wrong; requests without any are not counted."),
		unrecorded:     desc("audit_failures_total", "Records that the audit log did not take: actions that were not done, or are not on record."),
		slowedLogins:   desc("logins_slowed_total", "Those of them that had to wait for their answer, or were turned away where too many waited."),

		hits:       desc("cache_hits_total", "Lookups that a tier answered, by tier; negative is a remembered absence.", "tier"),
		misses:     desc("cache_misses_total", "Lookups that no tier could answer."),
		ratio:      desc("cache_hit_ratio", "Hits of any tier among the lookups that needed one, since the start."),
		entries:    desc("cache_entries", "Numbers in memory."),
		bytes:      desc("cache_bytes", "Memory that they take."),
		evictions:  desc("cache_evictions_total", "Numbers that had to make room in memory."),
		dropped:    desc("cache_dropped_sets_total", "Numbers that memory did not take in."),
		walks:      desc("live_walks_in_flight", "Lookups being asked of Zendesk right now."),
		users:      desc("mirror_users", "Users in the mirror, not deleted."),
		numbers:    desc("mirror_numbers", "Different numbers in the mirror."),
		tickets:    desc("mirror_tickets", "Unresolved tickets in the mirror."),
		shared:     desc("mirror_shared_numbers", "Numbers of more than one user."),
		unreadable: desc("mirror_unreadable_phones", "Users whose phone is no number."),
		identities: desc("mirror_identities_due", "Users whose further numbers are still to be read."),
		file:       desc("mirror_file_bytes", "Size of the mirror's file."),
		running:    desc("sync_running", "1 while the mirror is being brought up to date."),
		success:    desc("sync_last_success_timestamp_seconds", "When both streams were last read to their end; 0 before the first time."),
		failed:     desc("sync_last_run_failed", "1 where the last run ended with an error."),
		next:       desc("sync_next_run_timestamp_seconds", "When the next run is due; 0 where none is."),
		age:        desc("stream_age_seconds", "How far the mirror is behind Zendesk, by stream; -1 before its first end.", "stream"),

		refreshes:       desc("cache_refreshes_total", "Numbers that were read again behind an answer."),
		refreshFailures: desc("cache_refresh_failures_total", "Those of them that came to nothing."),

		sampled:          desc("mirror_sample_checked", "Random records compared with Zendesk in the last 24 hours."),
		differing:        desc("mirror_sample_differing", "Those of them that were not as they should have been."),
		behind:           desc("mirror_sample_behind", "Those of them whose change was too recent for the mirror to claim it."),
		share:            desc("mirror_sample_differing_ratio", "The share of those that differed; 0 before the first."),
		oldestDifference: desc("mirror_sample_oldest_difference_seconds", "How long the oldest difference had been there when it was found."),
		compared:         desc("mirror_sample_last_timestamp_seconds", "When records were last compared; 0 before the first time."),
		notices:          desc("sync_notices_total", "Objects that webhooks have told of."),
		noticesMerged:    desc("sync_notices_merged_total", "Those of them that were waiting to be fetched already."),
		noticesDropped:   desc("sync_notices_dropped_total", "Those of them that found the queue full: the next increment brings them."),
		noticesFetched:   desc("sync_notices_fetched_total", "Those of them that were fetched."),
		noticesFailed:    desc("sync_notices_failed_total", "Those of them that could not be fetched."),
		waiting:          desc("sync_notices_waiting", "Objects that webhooks have told of and that are still to be fetched."),
		lastNotice:       desc("sync_last_notice_timestamp_seconds", "When a webhook last told of something; 0 before the first time."),
		deliveries:       desc("webhook_deliveries_total", "Deliveries of webhooks, by what became of them.", "result"),
		skipped:          desc("sync_skipped_records_total", "Records of exports that could not be read."),
		reread:           desc("sync_reread_users_total", "People whose identities the rolling re-read has read."),
		roundBegan:       desc("sync_round_began_timestamp_seconds", "When the rolling re-read's round began; 0 before the first."),
		roundEnded:       desc("sync_round_ended_timestamp_seconds", "When a whole round last ended; 0 before the first."),

		queued:        desc("outbox_queued", "Comments that wait for their delivery."),
		undelivered:   desc("outbox_failed", "Comments that could not be delivered."),
		oldest:        desc("outbox_oldest_seconds", "How long the oldest queued comment has waited."),
		zendesk:       desc("zendesk_requests_total", "Requests made to Zendesk."),
		zendeskErrors: desc("zendesk_errors_total", "Requests to Zendesk that failed."),
		remaining:     desc("zendesk_rate_remaining", "What Zendesk last said is left of the account's rate; -1 before the first answer."),
		built:         desc("build_info", "Always 1.", "version", "go"),
	}
	c.all = all
	return c
}

// Describe names everything, so that the registry finds a name that is taken.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.all {
		out <- d
	}
}

// Collect reads everything once.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	c.collectOurs(gauge, counter)
	c.collectCache(gauge, counter)
	c.collectMirror(gauge)
	c.collectTruth(gauge, counter)
	zendesk, outbox := c.server.o.Zendesk(), c.server.o.Outbox.Status()
	counter(c.zendesk, zendesk.Requests)
	counter(c.zendeskErrors, zendesk.Errors)
	gauge(c.remaining, float64(zendesk.RateRemaining))
	gauge(c.queued, float64(outbox.Queued))
	gauge(c.undelivered, float64(outbox.Failed))
	gauge(c.oldest, outbox.Oldest.Seconds())
}

type (
	gaugeFunc   func(d *prometheus.Desc, v float64, labels ...string)
	counterFunc func(d *prometheus.Desc, v uint64, labels ...string)
)

func (c *collector) collectOurs(gauge gaugeFunc, counter counterFunc) {
	for i := range outcomes {
		counter(c.lookups, c.metrics.outcomes[i].Load(), string(outcomes[i]))
	}
	classes := [...]string{1: "1xx", 2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"}
	for path, counted := range c.metrics.routes {
		for class := 1; class < len(counted); class++ {
			if n := counted[class].Load(); n > 0 {
				counter(c.requests, n, path, classes[class])
			}
		}
	}
	counter(c.failedLogins, c.server.logins.failed.Load())
	counter(c.unrecorded, c.metrics.unrecorded.Load())
	counter(c.slowedLogins, c.server.logins.slowed.Load())
	gauge(c.built, 1, c.build.Version, c.build.Go)
	for _, client := range c.server.clients.Load().everyone() {
		read := c.server.usageOf(client)
		counter(c.clientNumbers, read.numbers, client.name)
		counter(c.clientNotFound, read.missed, client.name)
		gauge(c.clientAlarm, float64(bit(read.alarm)), client.name)
		for l, n := range read.refused {
			counter(c.clientRefused, n, client.name, limitNames[l])
		}
	}
}

func (c *collector) collectCache(gauge gaugeFunc, counter counterFunc) {
	cache := c.server.o.Resolver.Stats()
	counter(c.hits, cache.MemoryHits, "memory")
	counter(c.hits, cache.DiskHits, "disk")
	counter(c.hits, cache.LiveHits, "live")
	counter(c.hits, cache.NegativeHits, "negative")
	counter(c.misses, cache.Misses)
	gauge(c.ratio, hitRatio(&cache))
	gauge(c.entries, float64(cache.Entries))
	gauge(c.bytes, float64(cache.Bytes))
	counter(c.evictions, cache.Evictions)
	counter(c.dropped, cache.DroppedSets)
	gauge(c.walks, float64(cache.WalksInFlight))
	counter(c.refreshes, cache.Refreshes)
	counter(c.refreshFailures, cache.RefreshesFailed)
}

func (c *collector) collectMirror(gauge gaugeFunc) {
	size, streams, upkeep := c.server.o.Directory.Size(), c.server.o.Directory.Streams(), c.server.o.Mirror.Status()
	gauge(c.users, float64(size.Users))
	gauge(c.numbers, float64(size.Numbers))
	gauge(c.tickets, float64(size.Tickets))
	gauge(c.shared, float64(size.SharedNumbers))
	gauge(c.unreadable, float64(size.UnreadablePhones))
	gauge(c.identities, float64(size.IdentitiesDue))
	gauge(c.file, float64(size.FileBytes))
	gauge(c.running, float64(bit(upkeep.Running != nil)))
	gauge(c.failed, float64(bit(upkeep.LastError != "")))
	gauge(c.success, unixSeconds(upkeep.LastSuccess))
	gauge(c.next, unixSeconds(upkeep.NextRun))
	now := c.server.clock()
	gauge(c.age, float64(streamAge(now, streams.Users)), string(caller.Users))
	gauge(c.age, float64(streamAge(now, streams.Tickets)), string(caller.Tickets))
}

// collectTruth is how near the mirror is to Zendesk, and what keeps it so.
func (c *collector) collectTruth(gauge gaugeFunc, counter counterFunc) {
	upkeep := c.server.o.Mirror.Status()
	sample, told := &upkeep.Sample, &upkeep.Notices
	gauge(c.sampled, float64(sample.Checked))
	gauge(c.differing, float64(sample.Differ))
	gauge(c.behind, float64(sample.Behind))
	gauge(c.share, sample.Share)
	gauge(c.oldestDifference, sample.Oldest.Seconds())
	gauge(c.compared, unixSeconds(sample.At))
	counter(c.notices, told.Received)
	counter(c.noticesMerged, told.Merged)
	counter(c.noticesDropped, told.Dropped)
	counter(c.noticesFetched, told.Fetched)
	counter(c.noticesFailed, told.Failed)
	gauge(c.waiting, float64(told.Waiting))
	gauge(c.lastNotice, unixSeconds(told.Last))
	for d, name := range deliveryNames {
		counter(c.deliveries, c.metrics.deliveries[d].Load(), name)
	}
	counter(c.skipped, upkeep.SkippedRecords)
	counter(c.reread, upkeep.Round.Read)
	gauge(c.roundBegan, unixSeconds(upkeep.Round.Began))
	gauge(c.roundEnded, unixSeconds(upkeep.Round.Ended))
}

func unixSeconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.Unix())
}

func bit(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}
