package zendesktest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The account tells its webhooks what happens, in the shapes of Zendesk's
// reference of events: ids are text, detail is the object as it is afterwards,
// event is what happened to it. A change of a phone has no event at all, and
// neither has a person who vanishes. A ticket says status, priority and type
// in capitals.

// event is one thing that happened, by the service's name for it.
type event struct {
	name string // "status_changed"
	data map[string]any
}

// changed is an event with a value before and after.
func changed(name string, was, is any) event {
	return event{name, map[string]any{"previous": was, "current": is}}
}

// happened is an event that says nothing but that it happened.
func happened(name string) event { return event{name, map[string]any{}} }

func idText(id int64) string { return strconv.FormatInt(id, 10) }

// personText is the id of the person at a place, "" for nobody.
func personText(i int32) string {
	if i < 0 {
		return ""
	}
	return idText(userID(i))
}

// orgText is an organisation's id; people without one have "0".
func orgText(org int32) string {
	if org < 0 {
		return "0"
	}
	return idText(orgBase + int64(org))
}

// tellUser tells the webhooks what happened to a person. There is no phone in
// a detail.
func (s *Server) tellUser(i int32, all ...event) {
	if len(all) == 0 || s.hooks.deaf() {
		return
	}
	u := &s.users[i]
	id := idText(userID(i))
	detail := map[string]any{
		"id": id, "role": u.role.String(), "created_at": timestamp(u.created), "updated_at": timestamp(u.updated),
		"email": s.emailOf(i, u), "external_id": "", "default_group_id": "0", "organization_id": orgText(u.org),
	}
	for _, e := range all {
		s.hooks.emit(s.clock(), "user."+e.name, "zen:user:"+id, detail, e.data)
	}
}

// userEvents are the events of a person's change from one version to another:
// what is done to them as a whole, a merge or a deletion, is told beside.
func (s *Server) userEvents(i int32, a, b *user) []event {
	var all []event
	if a.name != b.name {
		all = append(all, changed("name_changed", a.name, b.name))
	}
	if a.role != b.role {
		all = append(all, changed("role_changed", a.role.String(), b.role.String()))
	}
	if added, gone := without(b.tags, a.tags), without(a.tags, b.tags); len(added)+len(gone) > 0 {
		all = append(all, event{"tags_changed", map[string]any{
			"added": map[string]any{"tags": added}, "removed": map[string]any{"tags": gone},
		}})
	}
	if a.org != b.org {
		org := func(name string, at int32) {
			if at >= 0 {
				all = append(all, event{name, map[string]any{"organization": map[string]any{"id": orgText(at)}}})
			}
		}
		org("organization_membership_deleted", a.org)
		org("organization_membership_created", b.org)
	}
	for name, flag := range map[string]flags{"active_changed": isActive, "suspended_changed": isSuspended} {
		if a.flags.has(flag) != b.flags.has(flag) {
			all = append(all, changed(name, a.flags.has(flag), b.flags.has(flag)))
		}
	}
	slices.SortStableFunc(all, func(x, y event) int { return strings.Compare(x.name, y.name) })
	return append(all, s.identityEvents(i, a, b)...)
}

// identityEvents are those of the address and of the further numbers. The
// profile's phone is an identity too where it is a direct line, but its change
// tells nobody: whether the service would is not known, and this is harder.
func (s *Server) identityEvents(i int32, a, b *user) []event {
	shown := func(id int64, kind, value string) map[string]any {
		return map[string]any{"id": idText(id), "type": kind, "value": value, "primary": kind == "email"}
	}
	one := func(name string, x map[string]any) event { return event{name, map[string]any{"identity": x}} }
	var all []event
	was, is := s.emailOf(i, a), s.emailOf(i, b)
	before, after := shown(userID(i)+1, "email", was), shown(userID(i)+1, "email", is)
	switch {
	case was == is:
	case was == "":
		all = append(all, one("identity_created", after))
	case is == "":
		all = append(all, one("identity_deleted", before))
	default:
		all = append(all, changed("identity_changed", before, after))
	}
	has := func(list []identity, id int64) bool {
		return slices.ContainsFunc(list, func(x identity) bool { return x.id == id })
	}
	for _, x := range a.extra {
		if !has(b.extra, x.id) {
			all = append(all, one("identity_deleted", shown(x.id, "phone_number", x.value)))
		}
	}
	for _, x := range b.extra {
		if !has(a.extra, x.id) {
			all = append(all, one("identity_created", shown(x.id, "phone_number", x.value)))
		}
	}
	return all
}

// without is what stands in a list and not in another; never nil.
func without(list, other []string) []string {
	left := []string{}
	for _, x := range list {
		if !slices.Contains(other, x) {
			left = append(left, x)
		}
	}
	return left
}

// tellTicket tells the webhooks what happened to a ticket in one save.
func (s *Server) tellTicket(i int32, all ...event) {
	if len(all) == 0 || s.hooks.deaf() {
		return
	}
	t := &s.tickets[i]
	id := ticketID(i)
	capitals := func(word string) any {
		if word == "" {
			return nil
		}
		return strings.ToUpper(word)
	}
	subject := t.subject
	if t.flags.has(isScrubbed) {
		subject = "SCRUBBED"
	}
	detail := map[string]any{
		"id": idText(id), "subject": subject, "description": s.descriptionOf(i, t),
		"status": capitals(t.status.String()), "priority": capitals(priorityNames[t.priority]), "type": capitals(typeNames[t.kind]),
		"requester_id": personText(t.requester), "submitter_id": personText(t.requester), "actor_id": personText(0),
		"assignee_id": nil, "organization_id": nil, "external_id": nil,
		"brand_id": idText(brandBase + int64(t.brand)), "group_id": idText(groupBase + int64(t.group)),
		"form_id": idText(formBase + int64(t.form)), "custom_status": idText(customBase + int64(t.custom)),
		"is_public": !t.flags.has(isPrivate), "tags": append([]string{}, t.tags...), "via": map[string]any{"channel": "web_service"},
		"created_at": timestamp(t.created), "updated_at": timestamp(t.updated),
	}
	if t.assignee >= 0 {
		detail["assignee_id"] = personText(t.assignee)
	}
	if t.org >= 0 {
		detail["organization_id"] = orgText(t.org)
	}
	save := s.hooks.nextSave()
	for k, e := range all {
		e.data["meta"] = map[string]any{"sequence": map[string]any{"id": save, "position": k + 1, "total": len(all)}}
		s.hooks.emit(s.clock(), "ticket."+e.name, "zen:ticket:"+idText(id), detail, e.data)
	}
	s.hooks.emitUnconditionally(s.clock(), id)
}

// ticketEvents are the events of a ticket's change from one version to another.
func ticketEvents(a, b *ticket) []event {
	var all []event
	put := func(name string, was, is string) {
		if was != is {
			all = append(all, changed(name, was, is))
		}
	}
	id := func(base int64, n uint8) string { return idText(base + int64(n)) }
	put("subject_changed", a.subject, b.subject)
	put("status_changed", strings.ToUpper(a.status.String()), strings.ToUpper(b.status.String()))
	put("custom_status_changed", id(customBase, a.custom), id(customBase, b.custom))
	put("priority_changed", strings.ToUpper(priorityNames[a.priority]), strings.ToUpper(priorityNames[b.priority]))
	put("type_changed", strings.ToUpper(typeNames[a.kind]), strings.ToUpper(typeNames[b.kind]))
	put("group_assignment_changed", id(groupBase, a.group), id(groupBase, b.group))
	put("brand_changed", id(brandBase, a.brand), id(brandBase, b.brand))
	put("requester_changed", personText(a.requester), personText(b.requester))
	put("agent_assignment_changed", personText(a.assignee), personText(b.assignee))
	if added, gone := without(b.tags, a.tags), without(a.tags, b.tags); len(added)+len(gone) > 0 {
		all = append(all, event{"tags_changed", map[string]any{"tags_added": added, "tags_removed": gone}})
	}
	return all
}

// commentEvent tells of a new comment.
func (s *Server) commentEvent(a *audit) event {
	author := &s.users[a.author]
	return event{"comment_added", map[string]any{"comment": map[string]any{
		"id": idText(a.id + 1), "body": a.comment.body, "is_public": a.comment.public,
		"author": map[string]any{"id": personText(a.author), "name": author.name, "is_staff": author.role != endUser},
	}}}
}

// saved tells of a ticket that somebody saved: each field that changed, the
// comment if there is one, and the triggers. was is nil for a new ticket.
func (s *Server) saved(i int32, was *ticket, a *audit) {
	var all []event
	if was == nil {
		all = append(all, happened("created"))
	} else {
		all = ticketEvents(was, &s.tickets[i])
	}
	if a != nil && a.comment != nil {
		all = append(all, s.commentEvent(a))
	}
	if len(all) == 0 {
		return
	}
	s.tellTicket(i, all...)
	s.pullTriggers(i, was, a)
}

// payload is the body of a delivery of an event.
func payload(kind, subject, id, stamp string, slashed bool, detail, data map[string]any) map[string]any {
	prefix := "zen:event-type:"
	if slashed {
		prefix = "zen:event-type/"
	}
	return map[string]any{
		"account_id": accountID, "detail": detail, "event": data, "id": id,
		"subject": subject, "time": stamp, "type": prefix + kind, "zendesk_event_version": "2022-06-20",
	}
}

// accountID is the number of the account in what webhooks send.
const accountID = 22_129_848

// eventID names the n-th event that was told.
func eventID(n int) string { return fmt.Sprintf("cbe4028c-7239-495d-b020-%012x", n) }
