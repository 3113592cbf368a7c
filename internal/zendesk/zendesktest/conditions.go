package zendesktest

import (
	"fmt"
	"slices"
	"strings"
)

// save is a ticket as a trigger looks at it.
type save struct {
	is    *ticket
	was   *ticket // nil for a new ticket
	audit *audit  // nil where there is none
}

// fieldValue is what a condition compares, and what it was before; rank orders
// those that have an order.
type fieldValue struct {
	is, was string
	rank    []string // nil: no order
	ordered bool
}

// value reads the field of a condition off a ticket; ok is false for a field
// that the account does not know.
func (l *save) value(field string) (v fieldValue, ok bool) {
	was := l.is
	if l.was != nil {
		was = l.was
	}
	switch field {
	case "status":
		return fieldValue{l.is.status.String(), was.status.String(), statusNames[:], true}, true
	case "priority":
		return fieldValue{priorityNames[l.is.priority], priorityNames[was.priority], priorityNames[:], true}, true
	case "type":
		return fieldValue{is: typeNames[l.is.kind], was: typeNames[was.kind]}, true
	case "requester_id":
		return fieldValue{is: personText(l.is.requester), was: personText(was.requester)}, true
	case "assignee_id":
		return fieldValue{is: personText(l.is.assignee), was: personText(was.assignee)}, true
	case "group_id":
		return fieldValue{is: idText(groupBase + int64(l.is.group)), was: idText(groupBase + int64(was.group))}, true
	case "brand_id":
		return fieldValue{is: idText(brandBase + int64(l.is.brand)), was: idText(brandBase + int64(was.brand))}, true
	}
	return fieldValue{}, false
}

// known tells whether the account can tell if the condition holds.
func (c *condition) known() bool {
	switch c.Field {
	case "update_type":
		word := strings.ToLower(c.text())
		return c.Operator == "is" && (word == "create" || word == "change")
	case "comment_is_public":
		return c.Operator == "is"
	case "current_tags":
		return c.Operator == "includes" || c.Operator == "not_includes"
	}
	v, ok := (&save{is: &ticket{}}).value(c.Field)
	switch c.Operator {
	case "is", "is_not", "changed", "not_changed":
		return ok
	case "less_than", "greater_than":
		return ok && v.ordered && slices.Contains(v.rank, c.text())
	}
	return false
}

// text is the value as a word; numbers come as JSON has them.
func (c *condition) text() string {
	switch x := c.Value.(type) {
	case nil:
		return ""
	case string:
		return x
	case float64:
		return idText(int64(x))
	}
	return fmt.Sprint(c.Value)
}

func (cs *conditions) hold(l *save) bool {
	holds := func(c condition) bool { return c.holds(l) }
	return !slices.ContainsFunc(cs.All, func(c condition) bool { return !c.holds(l) }) &&
		(len(cs.Any) == 0 || slices.ContainsFunc(cs.Any, holds))
}

func (c *condition) holds(l *save) bool {
	want := c.text()
	switch c.Field {
	case "update_type":
		return (strings.ToLower(want) == "create") == (l.was == nil)
	case "comment_is_public":
		if l.audit == nil || l.audit.comment == nil {
			return false
		}
		return want == "not_relevant" || (want == "true") == l.audit.comment.public
	case "current_tags":
		some := slices.ContainsFunc(strings.Fields(want), func(tag string) bool { return slices.Contains(l.is.tags, tag) })
		return some == (c.Operator == "includes")
	}
	v, _ := l.value(c.Field)
	switch c.Operator {
	case "is":
		return v.is == want
	case "is_not":
		return v.is != want
	case "changed":
		return l.was != nil && v.is != v.was
	case "not_changed":
		return l.was == nil || v.is == v.was
	case "less_than":
		return slices.Index(v.rank, v.is) < slices.Index(v.rank, want)
	case "greater_than":
		return slices.Index(v.rank, v.is) > slices.Index(v.rank, want)
	}
	return false
}

// fill puts values in for the placeholders of a text: {{ticket.id}}, with or
// without blanks. What is opened and not closed stays as it is.
func fill(text string, value func(name string) string) string {
	var b strings.Builder
	for {
		head, rest, found := strings.Cut(text, "{{")
		b.WriteString(head)
		if !found {
			return b.String()
		}
		name, tail, closed := strings.Cut(rest, "}}")
		if !closed {
			b.WriteString("{{" + rest)
			return b.String()
		}
		b.WriteString(value(strings.TrimSpace(name)))
		text = tail
	}
}

// placeholder is what stands for a name in a trigger's body; a name that is
// not known is replaced by nothing. As at the service, a text is put in as it
// is, quotes and all.
func (s *Server) placeholder(i int32, name string) string {
	t := &s.tickets[i]
	switch name {
	case "ticket.id":
		return idText(ticketID(i))
	case "ticket.title":
		return t.subject
	case "ticket.status":
		return t.status.String()
	case "ticket.priority":
		return priorityNames[t.priority]
	case "ticket.ticket_type":
		return typeNames[t.kind]
	case "ticket.tags":
		return strings.Join(t.tags, " ")
	case "ticket.requester.id":
		return personText(t.requester)
	case "ticket.requester.name":
		return s.users[t.requester].name
	case "ticket.assignee.id":
		return personText(t.assignee)
	case "ticket.updated_at_with_timestamp":
		return timestamp(t.updated)
	}
	return ""
}
