package zendesktest

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"
)

// JSON is appended by hand: a page of a thousand records takes a few
// milliseconds, and the order of the fields is that of the recorded answers.

// appendString leaves plain text to itself and the rest to the library. Signs
// that matter in HTML stay as they are, so that links can be read.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return append(b, encodeJSON(s)...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// encodeJSON is the library's JSON without its care for HTML.
func encodeJSON(v any) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil { // only plain values come here, and they always encode
		return []byte(`{"error":"simulator"}`)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// object appends the members of one JSON object.
type object struct{ b []byte }

func (o *object) open()  { o.b = append(o.b, '{') }
func (o *object) close() { o.b = append(o.b, '}') }

func (o *object) key(k string) {
	if n := len(o.b); n > 0 && o.b[n-1] != '{' {
		o.b = append(o.b, ',')
	}
	o.b = append(o.b, '"')
	o.b = append(o.b, k...)
	o.b = append(o.b, '"', ':')
}

func (o *object) raw(k, v string)       { o.key(k); o.b = append(o.b, v...) }
func (o *object) str(k, v string)       { o.key(k); o.b = appendString(o.b, v) }
func (o *object) num(k string, v int64) { o.key(k); o.b = strconv.AppendInt(o.b, v, 10) }
func (o *object) flag(k string, v bool) { o.key(k); o.b = strconv.AppendBool(o.b, v) }

// strOrNull leaves null where there is nothing.
func (o *object) strOrNull(k, v string) {
	if v == "" {
		o.raw(k, "null")
		return
	}
	o.str(k, v)
}

// idOrNull writes base+i, or null for a negative i.
func (o *object) idOrNull(k string, base int64, i int32) {
	if i < 0 {
		o.raw(k, "null")
		return
	}
	o.num(k, base+int64(i))
}

func (o *object) userOrNull(k string, i int32) {
	if i < 0 {
		o.raw(k, "null")
		return
	}
	o.num(k, userID(i))
}

func (o *object) time(k string, at uint32) {
	o.key(k)
	o.b = append(o.b, '"')
	o.b = time.Unix(int64(at), 0).UTC().AppendFormat(o.b, "2006-01-02T15:04:05Z")
	o.b = append(o.b, '"')
}

func (o *object) strings(k string, v []string) {
	o.key(k)
	o.b = append(o.b, '[')
	for i, s := range v {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.b = appendString(o.b, s)
	}
	o.b = append(o.b, ']')
}

func (o *object) ids(k string, v []int64) {
	o.key(k)
	o.b = append(o.b, '[')
	for i, n := range v {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.b = strconv.AppendInt(o.b, n, 10)
	}
	o.b = append(o.b, ']')
}

func (o *object) url(base, path string, id int64) {
	o.key("url")
	o.b = append(o.b, '"')
	o.b = append(o.b, base...)
	o.b = append(o.b, path...)
	o.b = strconv.AppendInt(o.b, id, 10)
	o.b = append(o.b, `.json"`...)
}

// list appends an array of objects, one for each place, under a key.
func list[T any](o *object, k string, items []T, each func(T)) {
	o.key(k)
	o.b = append(o.b, '[')
	for i, item := range items {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		each(item)
	}
	o.b = append(o.b, ']')
}

// renderUser appends a person as an admin sees them.
func (s *Server) renderUser(o *object, i int32, u *user, resultType bool) {
	staff := u.role != endUser
	o.open()
	o.num("id", userID(i))
	o.url(s.base, "/api/v2/users/", userID(i))
	o.str("name", u.name)
	o.strOrNull("email", s.emailOf(i, u))
	o.time("created_at", u.created)
	o.time("updated_at", u.updated)
	zone := zoneNames[u.locale]
	o.str("time_zone", zone)
	o.str("iana_time_zone", zone)
	o.strOrNull("phone", u.phone)
	if u.phone == "" {
		o.raw("shared_phone_number", "null")
	} else {
		o.flag("shared_phone_number", u.flags.has(isShared))
	}
	o.raw("photo", "null")
	if u.locale == 0 {
		o.raw("locale_id", "null")
	} else {
		o.num("locale_id", int64(localeIDs[u.locale]))
	}
	o.strOrNull("locale", localeNames[u.locale])
	o.idOrNull("organization_id", orgBase, u.org)
	o.str("role", u.role.String())
	o.flag("verified", u.flags.has(isVerified))
	o.raw("external_id", "null")
	o.strings("tags", u.tags)
	o.raw("alias", "null")
	o.flag("active", u.flags.has(isActive))
	o.flag("shared", false)
	o.flag("shared_agent", false)
	if u.lastLogin == 0 {
		o.raw("last_login_at", "null")
	} else {
		o.time("last_login_at", u.lastLogin)
	}
	o.raw("two_factor_auth_enabled", "null")
	o.raw("signature", "null")
	o.raw("details", "null")
	o.raw("notes", "null")
	if u.role == admin {
		o.num("role_type", 4)
	} else {
		o.raw("role_type", "null")
	}
	o.raw("custom_role_id", "null")
	o.flag("moderator", staff)
	if staff {
		o.raw("ticket_restriction", "null")
	} else {
		o.str("ticket_restriction", "requested")
	}
	o.flag("only_private_comments", false)
	o.flag("restricted_agent", !staff)
	o.flag("suspended", u.flags.has(isSuspended))
	if staff {
		o.num("default_group_id", groupBase)
	} else {
		o.raw("default_group_id", "null")
	}
	o.flag("report_csv", u.role == admin)
	o.raw("user_fields", "{}")
	if resultType {
		o.str("result_type", "user")
	}
	o.close()
}

// ticketForm says which of the three forms of a ticket record is wanted.
type ticketForm uint8

const (
	plainTicket    ticketForm = iota // single show, lists, updates
	exportedTicket                   // with generated_timestamp
	foundTicket                      // with result_type
)

func (s *Server) renderTicket(o *object, i int32, t *ticket, form ticketForm) {
	m := s.more[i]
	if m == nil {
		m = &more{}
	}
	subject := t.subject
	if t.flags.has(isScrubbed) {
		subject = "SCRUBBED"
	}
	o.open()
	o.url(s.base, "/api/v2/tickets/", ticketID(i))
	o.num("id", ticketID(i))
	o.raw("external_id", "null")
	if m.followsUp != 0 {
		o.raw("via", `{"channel":"api","source":{"from":{"ticket_id":`+strconv.FormatInt(m.followsUp, 10)+`},"to":{},"rel":"follow_up"}}`)
	} else {
		o.raw("via", viaAPI)
	}
	o.time("created_at", t.created)
	o.time("updated_at", t.updated)
	o.strOrNull("type", typeNames[t.kind])
	o.str("subject", subject)
	o.str("raw_subject", subject)
	o.str("description", s.descriptionOf(i, t))
	o.strOrNull("priority", priorityNames[t.priority])
	o.str("status", t.status.String())
	o.raw("recipient", "null")
	o.num("requester_id", userID(t.requester))
	o.num("submitter_id", userID(t.requester))
	o.userOrNull("assignee_id", t.assignee)
	o.idOrNull("organization_id", orgBase, t.org)
	o.num("group_id", groupBase+int64(t.group))
	renderTicketRest(o, t, m)
	switch form {
	case exportedTicket:
		o.num("generated_timestamp", int64(t.generated))
	case foundTicket:
		o.str("result_type", "ticket")
	case plainTicket:
	}
	o.close()
}

// renderTicketRest writes what stands behind the people and the group.
func renderTicketRest(o *object, t *ticket, m *more) {
	o.raw("collaborator_ids", "[]")
	o.raw("follower_ids", "[]")
	o.raw("email_cc_ids", "[]")
	o.raw("forum_topic_id", "null")
	o.raw("problem_id", "null")
	o.flag("has_incidents", false)
	o.flag("is_public", !t.flags.has(isPrivate))
	o.raw("due_at", "null")
	o.strings("tags", t.tags)
	o.raw("custom_fields", "[]")
	o.raw("satisfaction_rating", "null")
	o.raw("sharing_agreement_ids", "[]")
	o.num("custom_status_id", customBase+int64(t.custom))
	o.raw("fields", "[]")
	o.ids("followup_ids", m.followUps)
	o.num("ticket_form_id", formBase+int64(t.form))
	o.num("brand_id", brandBase+int64(t.brand))
	o.flag("allow_channelback", false)
	o.flag("allow_attachments", true)
	o.flag("from_messaging_channel", false)
}

const viaAPI = `{"channel":"api","source":{"from":{},"to":{},"rel":null}}`

// descriptionOf is the first comment of a ticket.
func (s *Server) descriptionOf(i int32, t *ticket) string {
	if t.flags.has(isScrubbed) {
		return "X"
	}
	if m := s.more[i]; m != nil && m.description != "" {
		return m.description
	}
	return t.subject
}
