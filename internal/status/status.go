// Package status holds what the daemon says of itself: plain values that the
// mirror, the cache and the client fill in and that /v1/stats, /metrics and
// the commands read.
package status

import "time"

// Sync is the state of the mirror's upkeep.
type Sync struct {
	Running *Job  // nil while nothing runs
	Last    []Job // the last runs, newest first, at most 20
	NextRun time.Time
	// LastSuccess is the end of the last run that reached the end of both streams.
	LastSuccess time.Time
	LastError   string // of the last run, "" where it ended well
	// Unreadable are up to ten masked examples of phones that are no numbers.
	Unreadable []string
	// Identities is how far the reading of people's further numbers has come,
	// which goes on beside the runs; nil while none is being read. While a run
	// goes on too, it is the last of Running's Progress as well.
	Identities *Progress
}

// Job is one run of the mirror's upkeep.
type Job struct {
	ID       string
	Mode     string // incremental, full, verify or user
	Trigger  string // start, schedule, request
	State    string // queued, running, done, failed, cancelled
	Started  time.Time
	Ended    time.Time // zero while it runs
	Error    string
	Progress []Progress // one a stream, in the order they are walked
}

// Progress is how far a job has walked one stream.
type Progress struct {
	Stream           string // users, tickets or identities
	Pages            int64
	Records          int64
	RecordsPerSecond float64
	// Position is the time of the newest record read, zero where unknown.
	Position time.Time
	// Remaining is an estimate, negative where none can be made.
	Remaining time.Duration
	Done      bool
}

// Cache counts what the resolver did since the start.
type Cache struct {
	MemoryHits, DiskHits, LiveHits, NegativeHits, Misses uint64
	Entries, Bytes, Evictions, DroppedSets               uint64
	WalksInFlight                                        int64
}

// Zendesk counts what the client did since the start.
type Zendesk struct {
	Requests, Errors uint64
	// RateRemaining is what Zendesk's own headers last said, -1 before the first.
	RateRemaining int
}
