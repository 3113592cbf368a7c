package zendesktest

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// term is one part of a query: a field with an operator, or free text, for
// which field is "".
type term struct {
	field, op, value string
	not              bool
}

// query is a search as it is asked: a kind, and terms that must all hold.
type query struct {
	kind  string // "user", "ticket", or "" for both
	terms []term
	typed bool // the text named a type
}

// knownFields are those that the account understands; what else stands before
// a colon is free text.
var knownFields = []string{
	"type", "role", "phone", "email", "name", "requester", "assignee", "status", "priority", "ticket_type",
	"tags", "created", "updated", "subject", "organization", "group", "brand", "user",
}

// parseQuery reads Zendesk's search language as far as the account speaks it.
// Words are parted by any number of blanks; quotes keep blanks together.
func parseQuery(text string) query {
	var q query
	for _, word := range splitWords(text) {
		t := term{}
		if rest, found := strings.CutPrefix(word, "-"); found && rest != "" {
			t.not, word = true, rest
		}
		if at := strings.IndexAny(word, ":<>="); at > 0 && slices.Contains(knownFields, strings.ToLower(word[:at])) {
			t.field = strings.ToLower(word[:at])
			rest := word[at:]
			for _, op := range []string{"<=", ">=", "<", ">", ":", "="} {
				if value, found := strings.CutPrefix(rest, op); found {
					t.op, t.value = op, value
					break
				}
			}
			if t.op == "=" {
				t.op = ":"
			}
		} else {
			t.value = word
		}
		t.value = strings.ReplaceAll(t.value, `"`, "")
		if t.field == "type" {
			q.kind, q.typed = strings.ToLower(t.value), true
			continue
		}
		q.terms = append(q.terms, t)
	}
	return q
}

// Fields that only one kind of object has: a query that names one finds
// nothing of the other kind.
var (
	userFields   = []string{"role", "phone", "email", "name", "user"}
	ticketFields = []string{"requester", "assignee", "status", "priority", "ticket_type", "subject", "group", "brand"}
)

// finds tells whether the query can find objects of a kind at all.
func (q *query) finds(kind string, foreign []string) bool {
	if q.kind != "" {
		return q.kind == kind
	}
	return !slices.ContainsFunc(q.terms, func(t term) bool { return !t.not && slices.Contains(foreign, t.field) })
}

// splitWords parts a query at blanks that stand outside quotes.
func splitWords(text string) []string {
	var words []string
	var b strings.Builder
	quoted := false
	for _, r := range text {
		switch {
		case r == '"':
			quoted = !quoted
			b.WriteRune(r)
		case !quoted && (r == ' ' || r == '\t' || r == '\n' || r == '\r' || r == '\u00a0'):
			if b.Len() > 0 {
				words = append(words, b.String())
				b.Reset()
			}
		default:
			b.WriteRune(r)
		}
	}
	if b.Len() > 0 {
		words = append(words, b.String())
	}
	return words
}

// phonePattern is what phone:… asks for.
type phonePattern struct {
	digits         string
	anyHead        bool // *123: whatever ends so
	anyTail        bool // 123*
	nothing, every bool
}

// readPattern reads a phone pattern. A plus makes it match nothing, as it has
// been seen to.
func readPattern(value string) phonePattern {
	p := phonePattern{digits: value}
	p.digits, p.anyHead = strings.CutPrefix(p.digits, "*")
	p.digits, p.anyTail = strings.CutSuffix(p.digits, "*")
	if p.digits == "" {
		return phonePattern{every: p.anyHead, nothing: !p.anyHead}
	}
	for i := range len(p.digits) {
		if c := p.digits[i]; c < '0' || c > '9' {
			return phonePattern{nothing: true}
		}
	}
	return p
}

func (p *phonePattern) fits(phone string) bool {
	digits := digitsOf(phone)
	switch {
	case p.nothing || digits == "":
		return false
	case p.every:
		return true
	case p.anyHead && p.anyTail:
		return strings.Contains(digits, p.digits)
	case p.anyHead:
		return strings.HasSuffix(digits, p.digits)
	case p.anyTail:
		return strings.HasPrefix(digits, p.digits)
	}
	return digits == p.digits
}

// freePhone tells whether free text means a phone: one of the two ends in the
// other, so that national and international spellings meet.
func freePhone(phone, text string) bool {
	digits := digitsOf(phone)
	return len(digits) >= suffixDigits && (strings.HasSuffix(digits, text) || strings.HasSuffix(text, digits))
}

// longDigits is the word's digits where it is nothing else and long enough to
// be a number.
func longDigits(word string) (string, bool) {
	if len(word) < suffixDigits {
		return "", false
	}
	for i := range len(word) {
		if c := word[i]; c < '0' || c > '9' {
			return "", false
		}
	}
	return word, true
}

// fitsUser tells whether a version of a user is what the query asks for.
func (s *Server) fitsUser(qu *query, i int32, u *user) bool {
	for k := range qu.terms {
		t := &qu.terms[k]
		if s.userTerm(t, i, u) == t.not {
			return false
		}
	}
	return true
}

func (s *Server) userTerm(t *term, i int32, u *user) bool {
	switch t.field {
	case "phone":
		p := readPattern(t.value)
		if p.fits(u.phone) {
			return true
		}
		return s.opt.SearchFindsIdentities && slices.ContainsFunc(u.extra, func(x identity) bool { return p.fits(x.value) })
	case "role":
		return t.value == u.role.String() || (t.value == "end_user" && u.role == endUser)
	case "email", "user":
		return strings.EqualFold(s.emailOf(i, u), t.value) || t.value == strconv.FormatInt(userID(i), 10)
	case "name":
		return nameFits(u.name, t.value)
	case "tags":
		return slices.Contains(u.tags, t.value)
	case "organization":
		return u.org >= 0 && (t.value == s.orgs[u.org] || t.value == strconv.FormatInt(orgBase+int64(u.org), 10))
	case "created":
		return timeFits(t, u.created)
	case "updated":
		return timeFits(t, u.updated)
	case "":
		if digits, ok := longDigits(t.value); ok && freePhone(u.phone, digits) {
			return true
		}
		return nameFits(u.name, t.value) || strings.EqualFold(s.emailOf(i, u), t.value)
	}
	return false // a field of tickets
}

// nameFits tells whether the words of text begin words of the name; a star at
// the end is allowed and changes nothing.
func nameFits(name, text string) bool {
	text = strings.TrimSuffix(strings.ToLower(text), "*")
	name = strings.ToLower(name)
	return text != "" && (strings.HasPrefix(name, text) || strings.Contains(name, " "+text))
}

func (s *Server) fitsTicket(qu *query, t *ticket) bool {
	for k := range qu.terms {
		x := &qu.terms[k]
		if s.ticketTerm(x, t) == x.not {
			return false
		}
	}
	return true
}

func (s *Server) ticketTerm(x *term, t *ticket) bool {
	switch x.field {
	case "requester":
		i, ok := s.personNamed(x.value)
		return ok && t.requester == i
	case "assignee":
		if x.value == "none" {
			return t.assignee < 0
		}
		i, ok := s.personNamed(x.value)
		return ok && t.assignee == i
	case "status":
		return ranked(x, int(t.status), slices.Index(statusNames[:], x.value))
	case "priority":
		if x.value == "none" {
			return t.priority == 0
		}
		return t.priority != 0 && ranked(x, int(t.priority), slices.Index(priorityNames[:], x.value))
	case "ticket_type":
		n := slices.Index(typeNames[:], x.value)
		return (n > 0 && int(t.kind) == n) || (x.value == "none" && t.kind == 0)
	case "tags":
		return slices.Contains(t.tags, x.value)
	case "subject":
		return strings.Contains(strings.ToLower(t.subject), strings.ToLower(strings.Trim(x.value, "*")))
	case "organization":
		return t.org >= 0 && x.value == strconv.FormatInt(orgBase+int64(t.org), 10)
	case "group":
		return x.value == strconv.FormatInt(groupBase+int64(t.group), 10) || x.value == groupNames[t.group]
	case "brand":
		return x.value == strconv.FormatInt(brandBase+int64(t.brand), 10) || x.value == brandNames[t.brand]
	case "created":
		return timeFits(x, t.created)
	case "updated":
		return timeFits(x, t.updated)
	case "":
		return x.value != "" && strings.Contains(strings.ToLower(t.subject), strings.ToLower(strings.Trim(x.value, "*")))
	}
	return false // a field of users
}

// personNamed reads an id or an address; anything else, "null" among it, is
// nobody.
func (s *Server) personNamed(value string) (int32, bool) {
	if id, err := strconv.ParseInt(value, 10, 64); err == nil {
		return s.userAt(id)
	}
	if !strings.Contains(value, "@") {
		return 0, false
	}
	for i := range s.users {
		if strings.EqualFold(s.emailOf(int32(i), &s.users[i]), value) {
			return int32(i), true
		}
	}
	return 0, false
}

// ranked compares by rank; a value that has none fits nothing.
func ranked(x *term, have, want int) bool {
	if want < 0 {
		return false
	}
	return opFits(x.op, compare(int64(have), int64(want)))
}

func opFits(op string, order int) bool {
	switch op {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	case ">=":
		return order >= 0
	}
	return order == 0
}

// timeFits compares a time with a date or a moment; a date alone is a day.
func timeFits(x *term, at uint32) bool {
	if day, err := time.Parse("2006-01-02", x.value); err == nil {
		have := time.Unix(int64(at), 0).UTC().Truncate(24 * time.Hour)
		return opFits(x.op, have.Compare(day))
	}
	moment, err := time.Parse(time.RFC3339, x.value)
	return err == nil && opFits(x.op, compare(int64(at), moment.Unix()))
}
