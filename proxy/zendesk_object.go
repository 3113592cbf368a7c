package proxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"

	"aniproxy/internal/caller"
)

// Objects are Zendesk's own, as the mirror holds them: without pictures, notes
// and the texts of comments, and otherwise as they came. Where the mirror has
// the facts and not the object, as in the moment between a live answer and its
// way to the disk, one is made of the facts.

// The objects that are made here. What is not known is null or left out.
type (
	zendeskUser struct {
		ID             int64    `json:"id"`
		URL            string   `json:"url,omitempty"`
		Name           string   `json:"name"`
		Email          *string  `json:"email"`
		CreatedAt      *string  `json:"created_at,omitempty"`
		UpdatedAt      *string  `json:"updated_at,omitempty"`
		Phone          *string  `json:"phone"`
		Locale         *string  `json:"locale"`
		OrganizationID *int64   `json:"organization_id"`
		Role           string   `json:"role"`
		Verified       bool     `json:"verified"`
		Tags           []string `json:"tags"`
		Active         bool     `json:"active"`
		Suspended      bool     `json:"suspended"`
		UserFields     struct{} `json:"user_fields"`
	}
	zendeskTicket struct {
		URL            string   `json:"url,omitempty"`
		ID             int64    `json:"id"`
		CreatedAt      *string  `json:"created_at"`
		UpdatedAt      *string  `json:"updated_at"`
		Type           *string  `json:"type"`
		Subject        string   `json:"subject"`
		Priority       *string  `json:"priority"`
		Status         string   `json:"status"`
		RequesterID    int64    `json:"requester_id"`
		AssigneeID     *int64   `json:"assignee_id"`
		OrganizationID *int64   `json:"organization_id"`
		GroupID        *int64   `json:"group_id"`
		Tags           []string `json:"tags"`
		CustomStatusID *int64   `json:"custom_status_id"`
		FormID         *int64   `json:"ticket_form_id"`
		BrandID        *int64   `json:"brand_id"`
	}
)

// orNull is nil for what is absent.
func orNull[T comparable](v T) *T {
	var absent T
	if v == absent {
		return nil
	}
	return &v
}

// zendeskURL is where Zendesk has an object, "" where the account's address is
// not known: the agents' home lies beside the API.
func (s *Server) zendeskURL(kind string, id int64) string {
	account, found := strings.CutSuffix(s.o.AgentBase, "/agent")
	if !found {
		return ""
	}
	return fmt.Sprintf("%s%s/%s/%d.json", account, zendeskRoot, kind, id)
}

func tagsOf(tags []string) []string {
	if tags == nil {
		return []string{} // a list, for clients that count
	}
	return tags
}

// userObject is somebody's object. Who is calling may be known from memory
// alone: that the disk cannot be read is logged, and keeps nobody from an answer.
func (s *Server) userObject(c *call, u *caller.User) ([]byte, error) {
	objects, err := s.o.Directory.Objects(caller.Users, []int64{u.ID})
	if err != nil {
		s.log.LogAttrs(c.Request().Context(), slog.LevelError, "a user's object could not be read",
			slog.String("request_id", c.id), slog.Any("error", err))
		objects = nil
	}
	if len(objects) > 0 && isObject(objects[0]) {
		return objects[0], nil
	}
	return json.Marshal(zendeskUser{
		ID: u.ID, URL: s.zendeskURL("users", u.ID), Name: u.Name, Email: orNull(u.Email),
		CreatedAt: orNull(rfc3339(u.CreatedAt)), UpdatedAt: orNull(rfc3339(u.UpdatedAt)),
		Phone: orNull(u.Phone), Locale: orNull(u.Locale), OrganizationID: orNull(u.OrganizationID),
		Role: u.Role, Tags: tagsOf(u.Tags), Active: u.Active, Suspended: u.Suspended,
	})
}

// ticketObject is a ticket's object; ok is false where there is none that may
// be shown. The ticket is looked at after its object was read, so that one that
// was solved or came under a filter meanwhile is not shown as it was before.
func (s *Server) ticketObject(id int64) (object []byte, ok bool, err error) {
	objects, err := s.o.Directory.Objects(caller.Tickets, []int64{id})
	if err != nil {
		return nil, false, fmt.Errorf("read a ticket's object: %w", err)
	}
	t, ok, err := s.o.Directory.Ticket(id)
	if err != nil {
		return nil, false, fmt.Errorf("read a ticket: %w", err)
	}
	if !ok || !s.o.TicketPolicy.Shows(&t) {
		return nil, false, nil
	}
	if len(objects) > 0 && isObject(objects[0]) {
		return objects[0], true, nil
	}
	object, err = json.Marshal(zendeskTicket{
		URL: s.zendeskURL("tickets", id), ID: id, CreatedAt: orNull(rfc3339(t.CreatedAt)), UpdatedAt: orNull(rfc3339(t.UpdatedAt)),
		Type: orNull(t.Type), Subject: t.Subject, Priority: orNull(t.Priority), Status: t.Status, RequesterID: t.RequesterID,
		AssigneeID: orNull(t.AssigneeID), OrganizationID: orNull(t.OrganizationID), GroupID: orNull(t.GroupID), Tags: tagsOf(t.Tags),
		CustomStatusID: orNull(t.CustomStatusID), FormID: orNull(t.FormID), BrandID: orNull(t.BrandID),
	})
	return object, err == nil, err
}

// ticketObjects are those of several tickets, without the ones that have gone
// since they were listed.
func (s *Server) ticketObjects(tickets []caller.Ticket) (ids []int64, objects [][]byte, err error) {
	for i := range tickets {
		object, ok, err := s.ticketObject(tickets[i].ID)
		if err != nil {
			return nil, nil, err
		}
		if ok {
			ids, objects = append(ids, tickets[i].ID), append(objects, object)
		}
	}
	return ids, objects, nil
}

// isObject tells a JSON object by its brackets: what lies on the disk was
// well-formed when it came.
func isObject(raw []byte) bool { return len(raw) >= 2 && raw[0] == '{' && raw[len(raw)-1] == '}' }

// asResult adds to an object what a search says of it.
func asResult(object []byte, kind string) []byte {
	out := bytes.Clone(object[:len(object)-1])
	if len(out) > 1 {
		out = append(out, ',')
	}
	return append(append(append(out, `"result_type":"`...), kind...), `"}`...)
}
