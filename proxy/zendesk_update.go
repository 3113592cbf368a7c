package proxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"aniproxy/internal/outbox"
)

// zendeskComment is what an update asks for.
type zendeskComment struct {
	body   string
	html   bool
	public bool
}

// zendeskUpdate answers PUT tickets/{id}, of which a comment is all that is
// taken: 200 once it is on disk. The same text on the same ticket within the
// dedupe window is the first one again, for Webex sends a PUT twice or three
// times where the first answer was lost.
//
// A comment is public only where AllowPublic says so; otherwise it is private,
// whatever was asked, and the answer's event says which. Its author is whoever
// aniproxy is at Zendesk, so author_id is not looked at.
func (s *Server) zendeskUpdate(c *call) error {
	id, err := zendeskID(c)
	if err != nil {
		return err
	}
	told, err := s.mayWrite(c, outbox.ToldTicket, id)
	switch {
	case err != nil:
		return err
	case !told:
		return errNoRecord()
	}
	buffer := s.buffer()
	defer s.release(buffer)
	body, err := readBody(c.Request(), *buffer, maxBody)
	if err != nil {
		return err
	}
	*buffer = body
	comment, err := readUpdate(body, id)
	if err != nil {
		return err
	}
	r, _, err := s.o.Outbox.Accept(c.Request().Context(), outbox.Intake{
		Record: outbox.Record{
			ID: s.o.RandomID(), Kind: outbox.Comment, Client: c.client.name, TicketID: id, UserID: s.requesterOf(id),
			Body: comment.body, HTML: comment.html, Public: comment.public && s.o.AllowPublic,
		},
		Same: outbox.DigestOf("api/v2", c.client.name, strconv.FormatInt(id, 10), comment.body, strconv.FormatBool(comment.html), strconv.FormatBool(comment.public && s.o.AllowPublic)),
		Keep: s.o.DedupeWindow,
	})
	if err != nil {
		return errOutbox(err)
	}
	return s.answerUpdate(c, &r)
}

// The answer to an update.
type (
	zendeskUpdated struct {
		Ticket json.RawMessage `json:"ticket"`
		Audit  zendeskAudit    `json:"audit"`
	}
	zendeskAudit struct {
		ID        uint64          `json:"id"`
		TicketID  int64           `json:"ticket_id"`
		CreatedAt string          `json:"created_at"`
		AuthorID  int64           `json:"author_id"`
		Metadata  zendeskMetadata `json:"metadata"`
		Via       zendeskVia      `json:"via"`
		Events    []zendeskEvent  `json:"events"`
	}
	zendeskMetadata struct {
		System struct{} `json:"system"`
		Custom struct{} `json:"custom"`
	}
	zendeskVia struct {
		Channel string `json:"channel"`
	}
	zendeskEvent struct {
		ID          uint64     `json:"id"`
		Type        string     `json:"type"`
		AuthorID    int64      `json:"author_id"`
		Body        string     `json:"body"`
		HTMLBody    string     `json:"html_body,omitempty"`
		Public      bool       `json:"public"`
		Attachments []struct{} `json:"attachments"`
		AuditID     uint64     `json:"audit_id"`
	}
)

// answerUpdate gives the ticket as the mirror has it, which does not show the
// comment, and the audit that will be: its id is the record's place in the
// outbox, for Zendesk's own is not known until it is delivered. A ticket that
// was solved during the call has left the mirror: of that one the answer
// claims nothing but its id and its address, and so it does of one that this
// client may write to and may not read by id any more.
func (s *Server) answerUpdate(c *call, r *outbox.Record) error {
	var ticket []byte
	ok, err := s.zendeskKnows(c, outbox.SearchedTicket, r.TicketID)
	if ok && err == nil {
		ticket, ok, err = s.ticketObject(r.TicketID)
	}
	var refused *fault // past the client's limit of people, which is counted already
	// The comment is safe, and an error would have it sent again.
	if err != nil && !errors.As(err, &refused) {
		s.log.LogAttrs(c.Request().Context(), slog.LevelError, "a ticket could not be shown after its comment was taken",
			slog.String("request_id", c.id), slog.Any("error", err))
	}
	if !ok {
		ticket, err = json.Marshal(struct {
			URL string `json:"url,omitempty"`
			ID  int64  `json:"id"`
		}{s.zendeskURL("tickets", r.TicketID), r.TicketID})
		if err != nil {
			return fmt.Errorf("encode an answer: %w", err)
		}
	}
	author := clientID(c.client.name)
	event := zendeskEvent{
		ID: r.Seq, Type: "Comment", AuthorID: author, Body: r.Body, Public: r.Public, Attachments: []struct{}{}, AuditID: r.Seq,
	}
	if r.HTML {
		event.HTMLBody = r.Body
	}
	return c.json(http.StatusOK, zendeskUpdated{ticket, zendeskAudit{
		ID: r.Seq, TicketID: r.TicketID, CreatedAt: r.Accepted.UTC().Format(time.RFC3339), AuthorID: author,
		Via: zendeskVia{"api"}, Events: []zendeskEvent{event},
	}})
}

// readUpdate reads the body of an update of a ticket. Members with their zero
// value are those of a client that sends its whole structure, and so are the
// times, which nobody can set; any other one beside the comment would change
// something, which cannot be done from here, and is named.
func readUpdate(body []byte, id int64) (zendeskComment, error) {
	var sent, ticket map[string]json.RawMessage
	if json.Unmarshal(body, &sent) != nil {
		return zendeskComment{}, errInvalidAttribute("Invalid request", "the body must be one JSON object")
	}
	if raw := sent["ticket"]; isZero(raw) || json.Unmarshal(raw, &ticket) != nil {
		return zendeskComment{}, errInvalidRecord("ticket", `the body needs an object "ticket"`)
	}
	for _, name := range sortedNames(ticket) {
		value := ticket[name]
		switch {
		case name == "comment", name == "created_at", name == "updated_at", isZero(value):
		case name == "id" && string(bytes.Trim(value, `"`)) == strconv.FormatInt(id, 10):
		default:
			return zendeskComment{}, errFixed(name, "")
		}
	}
	return readComment(ticket["comment"])
}

// readComment reads the comment of an update. HTML goes before plain text where
// both are given, as at Zendesk.
func readComment(raw json.RawMessage) (c zendeskComment, err error) {
	var sent map[string]json.RawMessage
	if isZero(raw) || json.Unmarshal(raw, &sent) != nil {
		return c, errInvalidRecord("comment", `an update needs an object "comment" with a "body" or an "html_body"`)
	}
	var text, html string
	for _, name := range sortedNames(sent) {
		value := sent[name]
		var into *string
		switch name {
		case "body":
			into = &text
		case "html_body":
			into = &html
		case "public":
			c.public = string(value) == "true" || strings.EqualFold(string(value), `"true"`)
			continue
		case "author_id", "created_at", "type":
			continue
		default:
			if !isZero(value) {
				return zendeskComment{}, errFixed(name, "comment.")
			}
			continue
		}
		if !isZero(value) && json.Unmarshal(value, into) != nil {
			return zendeskComment{}, errInvalidRecord("comment", fmt.Sprintf("%q must be a text", name))
		}
	}
	if c.body = paragraph(text); html != "" {
		c.body, c.html = paragraph(html), true
	}
	if c.body == "" {
		return zendeskComment{}, errInvalidRecord("comment", "the comment is empty")
	}
	return c, nil
}

// errFixed names a member that would change something. Only what looks like
// the name of a field is repeated.
func errFixed(name, within string) error {
	if len(name) > 40 || name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return errInvalidRecord("base", "a field beside the comment would change the ticket, which cannot be done here")
	}
	return errInvalidRecord(within+name, within+name+" cannot be changed here: an update takes a comment and nothing else")
}

// sortedNames makes the first fault the same one every time.
func sortedNames(m map[string]json.RawMessage) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// isZero tells a value that says nothing: what is left out, null, "", 0,
// false, [] and {}, and the zero time of Go's clients.
func isZero(raw json.RawMessage) bool {
	var v any
	if len(raw) == 0 {
		return true
	}
	if json.Unmarshal(raw, &v) != nil {
		return false
	}
	return saysNothing(v)
}

func saysNothing(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == "" || v == "0001-01-01T00:00:00Z"
	case float64:
		return v == 0
	case bool:
		return !v
	case []any:
		return len(v) == 0
	case map[string]any: // a client's empty struct
		for _, member := range v {
			if !saysNothing(member) {
				return false
			}
		}
		return true
	default:
		return false
	}
}
