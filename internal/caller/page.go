package caller

import "time"

// SearchLag is how far behind Zendesk's search index, and with it the search
// export, is taken to be at the most. Zendesk's documentation says "a few
// minutes". A record that comes from there counts as sent, and as true, so
// much earlier than it was asked for.
const SearchLag = time.Hour

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
	// Skipped counts records that could not be read at all, for example a
	// wrong type where an id should be: the page is taken without them.
	Skipped int
}

// Reading is what Zendesk says of one user's tickets.
type Reading struct {
	Tickets  []TicketUpdate
	Complete bool      // false where there are more than were read
	Sent     time.Time // when the first page was asked for, by our clock
}
