package zendesk

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

const (
	endpointTicketUpdate = "tickets/{id} update"
	endpointTicketCreate = "tickets create"
)

// Comment is what an update or a new ticket says.
type Comment struct {
	Body     string // plain text; this or HTMLBody
	HTMLBody string
	// Public is always sent: left out, it inherits, and can e-mail the customer.
	Public   bool
	AuthorID int64 // 0 is the user of the credentials
}

// TicketUpdate is one comment on a ticket.
type TicketUpdate struct {
	Comment Comment
	// Metadata goes into the update's audit, where [Audit.Custom] finds it;
	// one kilobyte at most.
	Metadata map[string]string
	// UpdatedStamp, where set, makes the update safe: Zendesk answers
	// ClassConflict if the ticket has moved since. It is the UpdatedStamp of a
	// Ticket read before.
	UpdatedStamp string
}

// NewTicket is a ticket to be created.
type NewTicket struct {
	Subject     string
	Comment     Comment
	RequesterID int64 // 0 is the user of the credentials
	// FollowUpOf is the closed ticket that this one follows; 0 for none.
	FollowUpOf int64
	Tags       []string
	Metadata   map[string]string // as TicketUpdate.Metadata
}

// TicketAnswer is a ticket after a write.
type TicketAnswer struct {
	Ticket Ticket
	Audit  *Audit // nil where the answer had none
	Sent   time.Time
}

// ShowTicket reads one ticket. sent and the error are as in ShowUser; a
// deleted ticket is ClassNotFound.
func (c *Client) ShowTicket(ctx context.Context, id int64) (ticket *Ticket, sent time.Time, err error) {
	ticket, sent, _, err = c.ShowTicketDated(ctx, id)
	return ticket, sent, err
}

// ShowTicketDated is ShowTicket with Zendesk's own clock as it answered, from
// the Date header: in whole seconds, zero where it cannot be read.
func (c *Client) ShowTicketDated(ctx context.Context, id int64) (ticket *Ticket, sent, date time.Time, err error) {
	k := get("tickets/{id}", ticketPath(id)+".json", nil)
	var w ticketWire
	a, err := c.ask(ctx, k, &w)
	if err != nil {
		return nil, sentOf(err), time.Time{}, err
	}
	t := w.Ticket.value
	switch {
	case w.Ticket.bad:
		return nil, a.sent, time.Time{}, c.unreadableObject(k, a, "not a ticket of the API's form")
	case t == nil || t.ID <= 0:
		return nil, a.sent, time.Time{}, c.unreadable(k, a, "no ticket")
	}
	return t, a.sent, dateOf(a.header), nil
}

type ticketWire struct {
	Ticket one[Ticket, *Ticket] `json:"ticket"`
	Audit  *Audit               `json:"audit"`
}

// TicketsAnswer is the answer to ShowManyTickets.
type TicketsAnswer struct {
	// Tickets are those that are there, in Zendesk's order, of any status but
	// deleted; what is missing is not there, or could not be read.
	Tickets []Ticket
	Skipped int       // as UserPage.Skipped
	Sent    time.Time // as UserPage.Sent
}

// ShowManyTickets reads up to 100 tickets by id.
func (c *Client) ShowManyTickets(ctx context.Context, ids []int64) (*TicketsAnswer, error) {
	const endpoint = "tickets/show_many"
	if len(ids) == 0 || len(ids) > showMost {
		return nil, rejected(endpoint, "1 to 100 ids")
	}
	k := get(endpoint, "/api/v2/tickets/show_many.json", idsQuery(ids))
	var w struct {
		Tickets ticketList `json:"tickets"`
	}
	a, err := c.ask(ctx, k, &w)
	if err != nil {
		return nil, err
	}
	if !w.Tickets.usable() {
		return nil, c.unreadable(k, a, "not a list of tickets")
	}
	return &TicketsAnswer{Tickets: w.Tickets.items, Skipped: len(w.Tickets.bad), Sent: a.sent}, nil
}

// Reading is a list as far as it was read.
type Reading[T any] struct {
	Items []T
	// Complete is true where the list has no more than Items.
	Complete bool
	// Skipped counts what could not be read: anything may have stood there.
	Skipped int
	Sent    time.Time // of the first page's request, as UserPage.Sent
}

// RequestedTickets reads the tickets a user has requested, last updated first,
// consistent at once. It reads maxPages pages of 100 at most.
func (c *Client) RequestedTickets(ctx context.Context, userID int64, maxPages int) (Reading[Ticket], error) {
	// sort, not sort_by: beside page[size] that is ignored without a word.
	q := url.Values{"page[size]": {strconv.Itoa(listPage)}, "sort": {"-updated_at"}}
	k := get("users/{id}/tickets/requested", userPath(userID)+"/tickets/requested.json", q)
	return walk[Ticket](ctx, c, k, maxPages, "tickets")
}

// Audits reads the updates of a ticket, newest first as far as Zendesk heeds
// the order asked for; what came is sorted so. It reads maxPages pages of 100
// at most: only a complete reading proves that an update is not there.
func (c *Client) Audits(ctx context.Context, ticketID int64, maxPages int) (Reading[Audit], error) {
	q := url.Values{"page[size]": {strconv.Itoa(listPage)}, "sort": {"-created_at"}}
	k := get("tickets/{id}/audits", ticketPath(ticketID)+"/audits.json", q)
	r, err := walk[Audit](ctx, c, k, maxPages, "audits")
	slices.SortStableFunc(r.Items, func(a, b Audit) int {
		return cmp.Or(cmp.Compare(b.CreatedAt, a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
	return r, err
}

// walk reads a cursor-paged list. The cursor is followed by value; a list
// without meta is one that is not paged, such as an archived ticket's audits.
func walk[T any, P wire[T]](ctx context.Context, c *Client, k *call, maxPages int, key string) (r Reading[T], err error) {
	if maxPages < 1 {
		return Reading[T]{}, rejected(k.endpoint, "no page asked for")
	}
	for page := 1; ; page++ {
		var w map[string]json.RawMessage
		a, err := c.ask(ctx, k, &w)
		if err != nil {
			return Reading[T]{}, err
		}
		var part list[T, P]
		var next paging
		bad := json.Unmarshal(orNull(w[key]), &part) != nil || json.Unmarshal(a.body, &next) != nil
		if bad || !part.usable() {
			return Reading[T]{}, c.unreadable(k, a, "not a page of the list")
		}
		if page == 1 {
			r.Sent = a.sent
		}
		r.Items = append(r.Items, part.items...)
		r.Skipped += len(part.bad)
		switch {
		case next.Meta == nil:
			r.Complete = !next.hasNextPage() && r.Skipped == 0
			return r, nil
		case !next.Meta.HasMore:
			r.Complete = r.Skipped == 0
			return r, nil
		case page >= maxPages:
			return r, nil
		case next.Meta.AfterCursor == "" || next.Meta.AfterCursor == k.query.Get("page[after]"):
			return Reading[T]{}, c.unreadable(k, a, "a cursor that leads nowhere")
		}
		k.query.Set("page[after]", next.Meta.AfterCursor)
	}
}

func orNull(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("null")
	}
	return raw
}

// ticketChange is a write on the wire.
type ticketChange struct {
	Subject      string            `json:"subject,omitempty"`
	RequesterID  int64             `json:"requester_id,omitempty"`
	FollowUpOf   int64             `json:"via_followup_source_id,omitempty"`
	Tags         []string          `json:"tags,omitempty"`
	Comment      commentChange     `json:"comment"`
	Metadata     map[string]string `json:"metadata,omitempty"`
	SafeUpdate   bool              `json:"safe_update,omitempty"`
	UpdatedStamp string            `json:"updated_stamp,omitempty"`
}

type commentChange struct {
	Body     string `json:"body,omitempty"`
	HTMLBody string `json:"html_body,omitempty"`
	Public   bool   `json:"public"`
	AuthorID int64  `json:"author_id,omitempty"`
}

// UpdateTicket adds a comment to a ticket. Zendesk knows no repetition of a
// PUT: one that comes twice is two comments. So after an error with
// UnknownOutcome the caller finds out by the audits, or repeats it with the
// same UpdatedStamp.
func (c *Client) UpdateTicket(ctx context.Context, id int64, u TicketUpdate) (*TicketAnswer, error) {
	return c.writeTicket(ctx, &call{
		method: http.MethodPut, endpoint: endpointTicketUpdate, path: ticketPath(id) + ".json",
	}, ticketChange{
		Comment: commentChange(u.Comment), Metadata: u.Metadata,
		SafeUpdate: u.UpdatedStamp != "", UpdatedStamp: u.UpdatedStamp,
	})
}

// CreateTicket creates a ticket. The idempotency key, 1 to 255 printable
// characters, makes a repetition within two hours give the same ticket; with
// another content it is refused with code IdempotentRequestError.
func (c *Client) CreateTicket(ctx context.Context, idempotencyKey string, t NewTicket) (*TicketAnswer, error) {
	if len(idempotencyKey) > 255 || !isToken(idempotencyKey) {
		return nil, rejected(endpointTicketCreate, "not an idempotency key")
	}
	return c.writeTicket(ctx, &call{
		method: http.MethodPost, endpoint: endpointTicketCreate, path: "/api/v2/tickets.json", idemKey: idempotencyKey,
	}, ticketChange{
		Subject: t.Subject, RequesterID: t.RequesterID, FollowUpOf: t.FollowUpOf, Tags: t.Tags,
		Comment: commentChange(t.Comment), Metadata: t.Metadata,
	})
}

func (c *Client) writeTicket(ctx context.Context, k *call, change ticketChange) (*TicketAnswer, error) {
	if (change.Comment.Body == "") == (change.Comment.HTMLBody == "") {
		return nil, rejected(k.endpoint, "a comment has one body")
	}
	body, err := json.Marshal(map[string]ticketChange{"ticket": change})
	if err != nil {
		return nil, rejected(k.endpoint, "cannot be written as JSON")
	}
	k.body, k.write, k.most, k.time, k.whole = body, true, bodyMost, otherAttempt, otherCall
	var w ticketWire
	a, err := c.ask(ctx, k, &w)
	if err != nil {
		return nil, err
	}
	if w.Ticket.value == nil || w.Ticket.value.ID <= 0 {
		return nil, c.unreadable(k, a, "no ticket")
	}
	return &TicketAnswer{Ticket: *w.Ticket.value, Audit: w.Audit, Sent: a.sent}, nil
}

func ticketPath(id int64) string { return "/api/v2/tickets/" + strconv.FormatInt(id, 10) }
