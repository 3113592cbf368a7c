package proxy

import (
	"bytes"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"aniproxy/internal/caller"
	"aniproxy/internal/routing"
	"aniproxy/internal/speech"
)

// view is all that a lookup's answer is made of.
type view struct {
	answer   caller.Answer
	choice   caller.Choice
	decision routing.Decision
	voice    *speech.Voice
	// text and ssml are what the caller hears.
	text, ssml []byte
	agentBase  string
	agents     map[string]string
}

// encoder writes the flat object of a lookup. It is written by hand, a line a
// key, because every lookup pays for it (BenchmarkEncode), and because what a
// client may not read is left out as it is written.
type encoder struct {
	out      []byte
	readable fieldSet
}

// appendLookup appends the answer: every key, in the contract's order; what is
// absent, or not the client's to read, as "none" or 0.
func appendLookup(dst []byte, v *view, readable fieldSet) []byte {
	e := encoder{out: append(dst, '{'), readable: readable}
	e.flag(fFound, v.choice.Caller != nil)
	e.text(fOutcome, string(v.choice.Outcome))
	e.text(fReason, v.choice.Reason)
	e.text(fANI, v.answer.ANI)
	match, count := v.match()
	e.text(fMatch, match)
	e.integer(fMatchCount, int64(count))
	e.user(v)
	e.ticket(v)
	e.assignee(v)
	e.routing(&v.decision)
	e.spoken(fSpokenText, v.text, maxText)
	e.spoken(fSpokenSSML, v.ssml, maxSSML)
	e.text(fLanguage, v.voice.Tag)
	e.screenPop(v)
	e.text(fSource, string(v.answer.Source))
	e.integer(fAgeSeconds, ageSeconds(v.answer.Age))
	e.flag(fStale, v.answer.Stale)
	e.out[len(e.out)-1] = '}' // the last comma
	return e.out
}

// match tells how many people the number is: a number that a ticket settled is
// one person's, one that was settled by the latest ticket is still several's.
func (v *view) match() (match string, count int) {
	switch {
	case v.choice.Caller != nil && !v.choice.Guessed:
		return "unique", 1
	case v.choice.Guessed, v.choice.Outcome == caller.Ambiguous:
		return "ambiguous", min(len(v.answer.Callers), caller.MaxMatches)
	default:
		return none, 0
	}
}

func ageSeconds(age time.Duration) int64 { return max(0, int64(age/time.Second)) }

// user and ticket are never nil: where there is none, every value is the zero
// value, which is written as absent.
func (v *view) user() *caller.User {
	if v.choice.Caller == nil {
		return &caller.User{}
	}
	return &v.choice.Caller.User
}

func (v *view) ticket(i int) *caller.Ticket {
	if t := v.choice.Tickets[i]; t != nil {
		return t
	}
	return &caller.Ticket{}
}

func (e *encoder) user(v *view) {
	u := v.user()
	e.id(fUserID, u.ID)
	e.text(fUserName, u.Name)
	e.text(fUserFirstName, u.FirstName())
	e.address(fUserEmail, u.Email)
	e.text(fUserLocale, u.Locale)
	e.tags(fUserTags, u.Tags)
	e.url(fUserURL, v.agentBase, "/users/", u.ID)
	e.id(fOrganizationID, u.OrganizationID)
}

func (e *encoder) ticket(v *view) {
	t := v.ticket(0)
	e.flag(fTicketFound, t.ID != 0)
	e.id(fTicketID, t.ID)
	e.text(fTicketStatus, t.Status)
	e.text(fTicketPriority, t.Priority)
	e.text(fTicketType, t.Type)
	e.text(fTicketSubject, t.Subject)
	e.time(fTicketCreatedAt, t.CreatedAt)
	e.time(fTicketUpdatedAt, t.UpdatedAt)
	e.tags(fTicketTags, t.Tags)
	e.url(fTicketURL, v.agentBase, "/tickets/", t.ID)
	e.integer(fUnresolvedCount, int64(v.choice.Unresolved))
	second, third := v.ticket(1), v.ticket(2)
	e.id(fTicket2ID, second.ID)
	e.text(fTicket2Status, second.Status)
	e.id(fTicket3ID, third.ID)
	e.text(fTicket3Status, third.Status)
}

func (e *encoder) assignee(v *view) {
	id := v.ticket(0).AssigneeID
	p := caller.Person{}
	if id != 0 {
		p, _ = v.choice.Caller.Assignee(id)
	}
	e.flag(fHasAssignee, id != 0)
	e.id(fAssigneeID, id)
	e.text(fAssigneeName, p.Name)
	e.address(fAssigneeEmail, p.Email)
	e.address(fAssigneeAgent, loginOf(v.agents, p.Email))
}

// loginOf is an agent's login at Webex: what the configuration says, else the
// e-mail, which is the same for most.
func loginOf(agents map[string]string, email string) string {
	if len(agents) > 0 {
		if login, ok := agents[strings.ToLower(email)]; ok {
			return login
		}
	}
	return email
}

// routing writes where the call should go.
func (e *encoder) routing(d *routing.Decision) {
	e.text(fSeverity, string(d.Severity))
	e.integer(fQueuePriority, int64(d.QueuePriority))
	e.flag(fHasQueue, d.QueueID != "")
	e.text(fQueueID, d.QueueID)
	e.text(fQueueName, d.QueueName)
	e.flag(fHasSkill, d.SkillValue != "")
	e.text(fSkillValue, d.SkillValue)
	e.text(fAction, d.Action)
	e.text(fBusyAction, d.BusyAction)
	e.text(fBusyQueueID, d.BusyQueueID)
	e.text(fRouteRule, d.Rule)
}

// screenPop always opens something: the ticket, else the user, else the
// agent's home.
func (e *encoder) screenPop(v *view) {
	switch t, u := v.ticket(0), v.user(); {
	case t.ID != 0:
		e.url(fScreenPopURL, v.agentBase, "/tickets/", t.ID)
	case u.ID != 0:
		e.url(fScreenPopURL, v.agentBase, "/users/", u.ID)
	default:
		e.text(fScreenPopURL, v.agentBase)
	}
}

func (e *encoder) key(f field) {
	e.out = append(e.out, '"')
	e.out = append(e.out, fieldNames[f]...)
	e.out = append(e.out, '"', ':')
}

func (e *encoder) none(f field) {
	e.key(f)
	e.out = append(e.out, `"none",`...)
}

func (e *encoder) integer(f field, n int64) {
	if !e.readable.has(f) {
		n = 0
	}
	e.key(f)
	e.out = strconv.AppendInt(e.out, n, 10)
	e.out = append(e.out, ',')
}

func (e *encoder) flag(f field, yes bool) {
	e.integer(f, bit(yes))
}

// text writes at most maxText characters.
func (e *encoder) text(f field, s string) {
	if s == "" || !e.readable.has(f) {
		e.none(f)
		return
	}
	e.key(f)
	e.out = append(e.out, '"')
	before := len(e.out)
	e.out = appendClean(e.out, s, maxText)
	if len(e.out) == before {
		e.out = append(e.out, none...)
	}
	e.out = append(e.out, '"', ',')
}

// address writes an e-mail or a login: cut short it would be another one, so
// one that is too long is absent.
func (e *encoder) address(f field, s string) {
	if !fits(s, maxText) {
		s = ""
	}
	e.text(f, s)
}

// spoken writes what speech has made fit to be spoken: of its characters only
// the quotes of an element's attribute need JSON's escape. One that is too long
// would be cut within a tag and is absent.
func (e *encoder) spoken(f field, s []byte, most int) {
	if len(s) == 0 || !e.readable.has(f) || len(s) > most && utf8.RuneCount(s) > most {
		e.none(f)
		return
	}
	e.key(f)
	e.out = append(e.out, '"')
	for i := bytes.IndexByte(s, '"'); i >= 0; i = bytes.IndexByte(s, '"') {
		e.out = append(append(e.out, s[:i]...), '\\', '"')
		s = s[i+1:]
	}
	e.out = append(e.out, s...)
	e.out = append(e.out, '"', ',')
}

func (e *encoder) id(f field, id int64) {
	if id == 0 || !e.readable.has(f) {
		e.none(f)
		return
	}
	e.key(f)
	e.out = append(e.out, '"')
	e.out = strconv.AppendInt(e.out, id, 10)
	e.out = append(e.out, '"', ',')
}

func (e *encoder) url(f field, base, path string, id int64) {
	if id == 0 || !e.readable.has(f) {
		e.none(f)
		return
	}
	e.key(f)
	e.out = append(e.out, '"')
	e.out = append(e.out, base...)
	e.out = append(e.out, path...)
	e.out = strconv.AppendInt(e.out, id, 10)
	e.out = append(e.out, '"', ',')
}

// time writes Unix seconds as RFC 3339 in UTC.
func (e *encoder) time(f field, unix int64) {
	if unix <= 0 || !e.readable.has(f) {
		e.none(f)
		return
	}
	e.key(f)
	e.out = append(e.out, '"')
	e.out = time.Unix(unix, 0).UTC().AppendFormat(e.out, time.RFC3339)
	e.out = append(e.out, '"', ',')
}

// tags writes them with commas between, whole ones only: half a tag may be
// another tag.
func (e *encoder) tags(f field, tags []string) {
	if len(tags) == 0 || !e.readable.has(f) {
		e.none(f)
		return
	}
	e.key(f)
	e.out = append(e.out, '"')
	before, left := len(e.out), maxText
	for _, tag := range tags {
		tag = clean(tag, maxText+1)
		size := utf8.RuneCountInString(tag)
		if size == 0 {
			continue
		}
		if len(e.out) > before {
			size++ // the comma
		}
		if size > left {
			break
		}
		if len(e.out) > before {
			e.out = append(e.out, ',')
		}
		e.out, left = appendClean(e.out, tag, maxText), left-size
	}
	if len(e.out) == before {
		e.out = append(e.out, none...)
	}
	e.out = append(e.out, '"', ',')
}
