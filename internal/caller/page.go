package caller

import "time"

// PageRequest asks for one page of an export.
type PageRequest struct {
	Stream Stream
	// Cursor is where the page begins; empty is the beginning of the stream,
	// or StartTime where that is set.
	Cursor    string
	StartTime time.Time
	// Backfill marks a walk that can wait: it leaves some of the exports'
	// budget to the increments.
	Backfill bool
}

// Page is one page of an export.
type Page struct {
	Users   []UserUpdate   // of the stream Users
	Tickets []TicketUpdate // of the stream Tickets
	Next    string         // the cursor after this page
	End     bool           // nothing newer can be had now; Next is where to resume
	Date    time.Time      // Zendesk's Date header, zero where it could not be read
	Sent    time.Time      // when the page was asked for, by our clock
	Newest  time.Time      // the time of the newest record, zero on an empty page
	// Unreadable are masked examples of phones that are no numbers.
	Unreadable []string
}

// Reading is what Zendesk says of one user's tickets.
type Reading struct {
	Tickets  []TicketUpdate
	Complete bool      // false where there are more than were read
	Sent     time.Time // when the first page was asked for, by our clock
}
