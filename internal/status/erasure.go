package status

import "time"

// Erasure is how far the erasure of a person has come.
type Erasure struct {
	UserID int64
	Steps  []Step // in the order in which they are taken
	// Complete is true once every step is done.
	Complete bool
	// Until is the time by which what is not done yet will be, as far as it is
	// in our hands; zero where all is done.
	Until time.Time
}

// Step is one step of an erasure.
type Step struct {
	Name  string // tombstone, mirror, memory, outbox or overwrite
	State string // done or pending
	// Count is how many records, entries or pages the step took out.
	Count int64
	// Note says what a pending step waits for; "" where it is done.
	Note string
}
