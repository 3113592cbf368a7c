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
	// Sample is what the comparison of random records with Zendesk has found.
	Sample Sample
	// Notices counts what webhooks have told.
	Notices Notices
	// Round is how far the rolling re-read of identities has come.
	Round Round
	// SkippedRecords counts records of exports that could not be read.
	SkippedRecords uint64
}

// Sample is the difference between the mirror and Zendesk, by random records
// of the last 24 hours.
type Sample struct {
	// Checked and Differ count records; Differ are those that were not as
	// Zendesk's although they should have been: changed there before the
	// stream's watermark.
	Checked, Differ uint64
	// Behind are those that differed only because their change is too recent
	// for the mirror to claim it.
	Behind uint64
	// Share is Differ out of Checked, 0 before the first.
	Share float64
	// Oldest is how long the oldest difference had been there when it was
	// found, 0 where none was.
	Oldest time.Duration
	At     time.Time // of the last comparison, zero before the first
}

// Notices counts what webhooks have told since the start. Each is an object
// to be fetched.
type Notices struct {
	Received uint64 // objects named, repeats of deliveries not among them
	Merged   uint64 // those that were waiting already
	Dropped  uint64 // those that found the queue full: the next increment covers them
	Fetched  uint64
	Failed   uint64
	Waiting  int
	// Last is when the last one came, zero before the first.
	Last time.Time
}

// Round is how far the rolling re-read of everybody has come.
type Round struct {
	Began time.Time // of this round, zero before the first
	Read  uint64    // people read since the start of the daemon
	// Ended is when the last whole round ended, zero before the first of this
	// daemon's run.
	Ended time.Time
}

// Job is one run of the mirror's upkeep.
type Job struct {
	ID       string
	Mode     string // incremental, full, verify or user
	Trigger  string // start, schedule, request, or resume after a restart
	State    string // queued, running, done, failed, cancelled
	Started  time.Time
	Ended    time.Time // zero while it runs
	Error    string
	Progress []Progress // one a stream, in the order they are walked
	// Removed counts what a full run has taken out, by stream.
	RemovedUsers, RemovedTickets int64
	// Differences are what a run of mode verify has found, MaxDifferences at
	// the most; DifferenceCount is all of them, and DifferingObjects how many
	// objects they are of.
	Differences      []Difference
	DifferenceCount  int64
	DifferingObjects int64
}

// MaxDifferences is how many a job tells of.
const MaxDifferences = 1000

// Difference is one field of one object in which the mirror is not what
// Zendesk is.
type Difference struct {
	Stream string // users or tickets
	ID     int64
	Field  string // the field's name at Zendesk, "missing" or "extra"
	Since  time.Time
}

// Progress is how far a job has walked one stream.
type Progress struct {
	// Stream is users, tickets or identities; unresolved for the tickets of the
	// search export; users_by_id and tickets_by_id for what is asked for one by one.
	Stream           string
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
	// Refreshes counts what was read again behind an answer, RefreshesFailed
	// those of them that came to nothing.
	Refreshes, RefreshesFailed uint64
}

// Zendesk counts what the client did since the start.
type Zendesk struct {
	Requests, Errors uint64
	// RateRemaining is what Zendesk's own headers last said, -1 before the first.
	RateRemaining int
}
