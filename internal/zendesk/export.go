package zendesk

import (
	"context"
	"net/url"
	"strconv"
	"time"
)

// exportPage is the most records a page of an export may have.
const exportPage = 1000

// ExportRequest asks for one page of an incremental export.
type ExportRequest struct {
	// Cursor is the AfterCursor of the page before, opaque; "" begins at
	// StartTime.
	Cursor    string
	StartTime int64 // Unix seconds; at least a minute past, or Zendesk refuses
	PerPage   int   // 1 to 1000; 0 is 1000
	// IncludeIdentities asks a user export for its identities, should Zendesk
	// have them to give.
	IncludeIdentities bool
}

// UserPage is one page of the users' export.
type UserPage struct {
	Users []User
	// Identities of the users of the page; nil if the page has no identities
	// sideload. A user without an entry is one of whom it says nothing.
	Identities map[int64][]Identity
	// AfterCursor is where the next page begins; at the end of the stream,
	// where the next run resumes. "" only at the end of an empty stream.
	AfterCursor string
	EndOfStream bool
	// Skipped counts the users of the page that could not be read, and are
	// therefore not in Users. A page most of which cannot be read is an error.
	Skipped int
	// Date is Zendesk's Date header, zero if unreadable.
	Date time.Time
	// Sent is the moment just before the request that brought the page was
	// written.
	Sent time.Time
}

// TicketPage is one page of the tickets' export, or of a search export; its
// fields are as those of UserPage.
type TicketPage struct {
	Tickets     []Ticket
	AfterCursor string
	EndOfStream bool
	Skipped     int
	Date        time.Time
	Sent        time.Time
}

// ExportUsers reads one page of GET /api/v2/incremental/users/cursor.
func (c *Client) ExportUsers(ctx context.Context, req ExportRequest) (*UserPage, error) {
	k, err := exportCall("users", userLane, req)
	if err != nil {
		return nil, err
	}
	var w struct {
		Users      userList     `json:"users"`
		Identities identityList `json:"identities"`
		streamEnd
	}
	a, err := c.ask(ctx, k, &w)
	if err != nil {
		return nil, err
	}
	if !w.Users.usable() || !w.sound(req.Cursor) {
		return nil, c.unreadable(k, a, "not an export page")
	}
	return &UserPage{
		Users: w.Users.items, Identities: sideloaded(w.Identities, w.Users.items),
		AfterCursor: w.AfterCursor, EndOfStream: *w.EndOfStream, Skipped: len(w.Users.bad), Date: dateOf(a.header), Sent: a.sent,
	}, nil
}

// ExportTickets reads one page of GET /api/v2/incremental/tickets/cursor.
func (c *Client) ExportTickets(ctx context.Context, req ExportRequest) (*TicketPage, error) {
	req.IncludeIdentities = false
	k, err := exportCall("tickets", ticketLane, req)
	if err != nil {
		return nil, err
	}
	var w struct {
		Tickets ticketList `json:"tickets"`
		streamEnd
	}
	a, err := c.ask(ctx, k, &w)
	if err != nil {
		return nil, err
	}
	if !w.Tickets.usable() || !w.sound(req.Cursor) {
		return nil, c.unreadable(k, a, "not an export page")
	}
	return &TicketPage{
		Tickets:     w.Tickets.items,
		AfterCursor: w.AfterCursor, EndOfStream: *w.EndOfStream, Skipped: len(w.Tickets.bad), Date: dateOf(a.header), Sent: a.sent,
	}, nil
}

// streamEnd is a cursor export's envelope. Its after_url is not read: it names
// a host, and has been seen to name another one than was asked.
type streamEnd struct {
	AfterCursor string `json:"after_cursor"`
	EndOfStream *bool  `json:"end_of_stream"`
}

// sound tells whether a walk can go on from here. A page in the middle whose
// cursor is the one it was asked with would be read for ever.
func (s *streamEnd) sound(asked string) bool {
	if s.EndOfStream == nil {
		return false
	}
	return *s.EndOfStream || (s.AfterCursor != "" && s.AfterCursor != asked)
}

func exportCall(stream string, l lane, req ExportRequest) (*call, error) {
	path := "incremental/" + stream + "/cursor"
	size := req.PerPage
	switch {
	case size == 0:
		size = exportPage
	case size < 0 || size > exportPage:
		return nil, rejected(path, "page size out of range")
	}
	q := url.Values{"per_page": {strconv.Itoa(size)}}
	if req.Cursor != "" {
		q.Set("cursor", req.Cursor)
	} else {
		q.Set("start_time", strconv.FormatInt(max(req.StartTime, 0), 10))
	}
	if req.IncludeIdentities {
		q.Set("include", "identities")
	}
	k := get(path, "/api/v2/"+path+".json", q)
	k.most, k.time, k.whole, k.lane = exportMost, exportAttempt, exportCallTime, l
	return k, nil
}

// endpointSearchExport names the export of search results.
const endpointSearchExport = "search/export"

// SearchTickets reads one page of GET /api/v2/search/export: every ticket that
// fits the query, in the order of creation, archived ones too where it does
// not leave them out. cursor is the AfterCursor of the page before, good for
// an hour and then ClassRejected; "" is the first page.
//
// The search's index lags: a record is as it was some minutes ago, and one
// that has just begun to fit is missing.
func (c *Client) SearchTickets(ctx context.Context, query, cursor string) (*TicketPage, error) {
	q := url.Values{"query": {query}, "filter[type]": {"ticket"}, "page[size]": {strconv.Itoa(exportPage)}}
	if cursor != "" {
		q.Set("page[after]", cursor)
	}
	k := get(endpointSearchExport, "/api/v2/search/export.json", q)
	k.most, k.time, k.whole, k.lane = exportMost, exportAttempt, exportCallTime, searchExportLane
	var w struct {
		Results ticketList `json:"results"`
		paging
	}
	a, err := c.ask(ctx, k, &w)
	if err != nil {
		return nil, err
	}
	switch {
	case !w.Results.usable(), w.Meta == nil:
		return nil, c.unreadable(k, a, "not a page of results")
	case w.Meta.HasMore && (w.Meta.AfterCursor == "" || w.Meta.AfterCursor == cursor):
		return nil, c.unreadable(k, a, "a cursor that leads nowhere")
	}
	return &TicketPage{
		Tickets:     w.Results.items,
		AfterCursor: w.Meta.AfterCursor, EndOfStream: !w.Meta.HasMore, Skipped: len(w.Results.bad), Date: dateOf(a.header), Sent: a.sent,
	}, nil
}

// ask makes a call and decodes its answer.
func (c *Client) ask(ctx context.Context, k *call, into any) (*answer, error) {
	a, err := c.do(ctx, k)
	if err != nil {
		return nil, err
	}
	return a, c.decode(k, a, into)
}
