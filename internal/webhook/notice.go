package webhook

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"aniproxy/internal/caller"
)

// Notice is what a delivery says: these may have changed.
type Notice struct {
	// EventID is the event's own, "" for what a trigger sends.
	EventID string
	// Type is the event's, in the spelling user.created; "" for what a trigger
	// sends.
	Type string
	// Objects are the people and tickets to ask for, each once; none where the
	// event is about something else.
	Objects []caller.Object
}

// ErrBody is what Parse says of a body that is no JSON object.
var ErrBody = errors.New("webhook: the body is no JSON object")

// mostObjects bounds what one delivery may have asked for. The events we know
// name three at the most.
const mostObjects = 8

// body is what is read of one. An event has type, subject, detail and event;
// what a trigger sends is whatever the admin wrote, and we have them write
// ticket_id or user_id, or both, at the top: a number or a text.
type body struct {
	ID       text            `json:"id"`
	Type     text            `json:"type"`
	Subject  text            `json:"subject"`
	Detail   json.RawMessage `json:"detail"`
	Event    json.RawMessage `json:"event"`
	TicketID id              `json:"ticket_id"`
	UserID   id              `json:"user_id"`
}

// Parse reads a delivery's body. An event about something else, for example
// an organization, and a body that names nothing are notices without objects
// and no errors. The error is [ErrBody].
//
// The fields of events are those of developer.zendesk.com, "Webhook event
// types". Where they leave open what a merge or a new requester looks like,
// every id in the event counts: asking for one too many costs a request and
// cannot make the mirror wrong.
func Parse(raw []byte) (Notice, error) {
	if !bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("{")) {
		return Notice{}, ErrBody // null would decode into anything
	}
	var b body
	if json.Unmarshal(raw, &b) != nil {
		return Notice{}, ErrBody // in our words: the decoder's may quote the body
	}
	var n Notice
	subject, native := strings.CutPrefix(string(b.Subject), "zen:")
	plain, typed := plainType(string(b.Type))
	if !native && !typed {
		n.add(caller.Tickets, int64(b.TicketID))
		n.add(caller.Users, int64(b.UserID))
		return n, nil
	}
	kind, of, _ := strings.Cut(subject, ":")
	n.EventID, n.Type = string(b.ID), plain
	about, _, _ := strings.Cut(cmp.Or(plain, kind), ".")
	stream, ok := streams[about]
	if !ok {
		return n, nil
	}
	if kind == about {
		n.add(stream, parseID(of))
	}
	var detail struct {
		ID id `json:"id"`
	}
	if json.Unmarshal(b.Detail, &detail) == nil {
		n.add(stream, int64(detail.ID))
	}
	switch n.Type {
	case "user.merged", "ticket.merged": // the one who is gone, and the one who has all now
		n.addAll(stream, b.Event)
	case "ticket.requester_changed": // before and after
		n.addAll(caller.Users, b.Event)
		var now struct {
			RequesterID id `json:"requester_id"`
		}
		if json.Unmarshal(b.Detail, &now) == nil {
			n.add(caller.Users, int64(now.RequesterID))
		}
	}
	return n, nil
}

// plainType takes off what stands before an event's name, in either spelling:
// zen:event-type:user.created and zen:event-type/user.created.
func plainType(given string) (plain string, typed bool) {
	rest, found := strings.CutPrefix(given, "zen:event-type")
	if !found || rest == "" || rest[0] != ':' && rest[0] != '/' {
		return "", false
	}
	return rest[1:], true
}

// streams are what an event can be about, by the first word of its type, which
// is that of its subject too.
var streams = map[string]caller.Stream{
	"user":   caller.Users,
	"ticket": caller.Tickets,
}

func (n *Notice) add(stream caller.Stream, id int64) {
	o := caller.Object{Stream: stream, ID: id}
	if id > 0 && len(n.Objects) < mostObjects && !slices.Contains(n.Objects, o) {
		n.Objects = append(n.Objects, o)
	}
}

// addAll adds every id of an event's own part: {"current":"1","previous":"2"},
// {"target_ticket_id":"3"} or {"user":{"id":"4"}}.
func (n *Notice) addAll(stream caller.Stream, event json.RawMessage) {
	var parts map[string]json.RawMessage
	if json.Unmarshal(event, &parts) != nil {
		return
	}
	ids := make([]int64, 0, len(parts))
	for name, part := range parts {
		if name == "meta" { // of the delivery, not of the event
			continue
		}
		var plain id
		if json.Unmarshal(part, &plain) == nil && plain > 0 {
			ids = append(ids, int64(plain))
			continue
		}
		var object struct {
			ID id `json:"id"`
		}
		if json.Unmarshal(part, &object) == nil {
			ids = append(ids, int64(object.ID))
		}
	}
	slices.Sort(ids) // a map has no order, and the same body is the same notice
	for _, id := range ids {
		n.add(stream, id)
	}
}

// id is an object's, as a number or as a text; anything else is 0, so that one
// odd field does not spoil the others.
type id int64

// UnmarshalJSON never fails.
func (i *id) UnmarshalJSON(raw []byte) error {
	*i = 0
	var t string
	if json.Unmarshal(raw, &t) != nil {
		t = string(raw)
	}
	*i = id(parseID(t))
	return nil
}

// parseID reads a whole number above 0 in plain digits; anything else is 0.
func parseID(given string) int64 {
	const most = 63 // bits: Zendesk's ids fit into an int64
	n, err := strconv.ParseUint(strings.TrimSpace(given), 10, most)
	if err != nil {
		return 0
	}
	return int64(n)
}

// text is a string; anything else is "".
type text string

// UnmarshalJSON never fails.
func (t *text) UnmarshalJSON(raw []byte) error {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		s = ""
	}
	*t = text(s)
	return nil
}
