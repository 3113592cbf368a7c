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

// ShowTicket reads one ticket. sent is as in ShowUser.
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
	if w.Ticket == nil || w.Ticket.ID <= 0 {
		return nil, a.sent, time.Time{}, c.unreadable(k, a, "no ticket")
	}
	return w.Ticket, a.sent, dateOf(a.header), nil
}

type ticketWire struct {
	Ticket *Ticket `json:"ticket"`
	Audit  *Audit  `json:"audit"`
}

// RequestedTickets reads the tickets a user has requested, last updated first,
// consistent at once. It reads maxPages pages of 100 at most; complete tells
// whether that was all of them. sent is that of the first page's request.
func (c *Client) RequestedTickets(ctx context.Context, userID int64, maxPages int) (tickets []Ticket, complete bool, sent time.Time, err error) {
	// sort, not sort_by: beside page[size] that is ignored without a word.
	q := url.Values{"page[size]": {strconv.Itoa(listPage)}, "sort": {"-updated_at"}}
	k := get("users/{id}/tickets/requested", userPath(userID)+"/tickets/requested.json", q)
	return walk(ctx, c, k, maxPages, "tickets", ticketID)
}

// Audits reads the updates of a ticket, newest first as far as Zendesk heeds
// the order asked for; what came is sorted so. maxPages, complete and sent are
// as in RequestedTickets: only a complete reading proves that an update is
// not there.
func (c *Client) Audits(ctx context.Context, ticketID int64, maxPages int) (audits []Audit, complete bool, sent time.Time, err error) {
	q := url.Values{"page[size]": {strconv.Itoa(listPage)}, "sort": {"-created_at"}}
	k := get("tickets/{id}/audits", ticketPath(ticketID)+"/audits.json", q)
	audits, complete, sent, err = walk(ctx, c, k, maxPages, "audits", auditID)
	slices.SortStableFunc(audits, func(a, b Audit) int {
		return cmp.Or(cmp.Compare(b.CreatedAt, a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
	return audits, complete, sent, err
}

// walk reads a cursor-paged list. The cursor is followed by value; a list
// without meta is one that is not paged, such as an archived ticket's audits.
func walk[T identified](ctx context.Context, c *Client, k *call, maxPages int, key string, id func(*T) int64) (all []T, complete bool, sent time.Time, err error) {
	if maxPages < 1 {
		return nil, false, time.Time{}, rejected(k.endpoint, "no page asked for")
	}
	for page := 1; ; page++ {
		var w map[string]json.RawMessage
		a, err := c.ask(ctx, k, &w)
		if err != nil {
			return nil, false, time.Time{}, err
		}
		var part list[T]
		var next paging
		bad := json.Unmarshal(orNull(w[key]), &part) != nil || json.Unmarshal(a.body, &next) != nil
		if bad || !whole(part, id) {
			return nil, false, time.Time{}, c.unreadable(k, a, "not a page of the list")
		}
		if page == 1 {
			sent = a.sent
		}
		all = append(all, part.items...)
		switch {
		case next.Meta == nil:
			return all, !next.hasNextPage(), sent, nil
		case !next.Meta.HasMore:
			return all, true, sent, nil
		case page >= maxPages:
			return all, false, sent, nil
		case next.Meta.AfterCursor == "" || next.Meta.AfterCursor == k.query.Get("page[after]"):
			return nil, false, time.Time{}, c.unreadable(k, a, "a cursor that leads nowhere")
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
	if w.Ticket == nil || w.Ticket.ID <= 0 {
		return nil, c.unreadable(k, a, "no ticket")
	}
	return &TicketAnswer{Ticket: *w.Ticket, Audit: w.Audit, Sent: a.sent}, nil
}

func ticketPath(id int64) string { return "/api/v2/tickets/" + strconv.FormatInt(id, 10) }
