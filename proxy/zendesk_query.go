package proxy

import "strings"

// zendeskParams are the parameters of a request to Zendesk's API, by name. One that
// comes twice with different values is not readable.
type zendeskParams map[string]zendeskParam

type zendeskParam struct {
	text    string
	differs bool
}

// readZendeskQuery splits a query as [params.readQuery] does: only "&" parts
// it, for numbers come in that Go's own parser would drop.
func readZendeskQuery(query string) zendeskParams {
	p := zendeskParams{}
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, content, _ := strings.Cut(pair, "=")
		name, content = unescape(name), unescape(content)
		before, again := p[name]
		p[name] = zendeskParam{content, again && (before.differs || before.text != content)}
	}
	return p
}

func (p zendeskParams) has(name string) bool { _, ok := p[name]; return ok }

// value is an optional parameter, "" where it is not given, not readable, or
// "null", which is what a flow sends for a variable that was never set.
func (p zendeskParams) value(name string) string {
	v := p[name]
	if text := strings.TrimSpace(v.text); !v.differs && !strings.EqualFold(text, "null") {
		return text
	}
	return ""
}

// query is the text of a search, with the spaces it came with: one in front of
// a number may be a plus that was decoded.
func (p zendeskParams) query() (string, error) {
	v, ok := p["query"]
	switch {
	case !ok:
		return "", errInvalidAttribute("Missing parameter", "You are missing the required parameter: query")
	case v.differs:
		return "", errInvalidSearch("there are two queries")
	}
	return v.text, nil
}

// userQuery is a search for people: the number, in the spelling it came in,
// and whether only end-users will do.
type userQuery struct {
	number   string
	endUsers bool
}

// What a search does not understand. None of it holds any part of a query.
const (
	whyNotUsers   = "people are found by one phone number, beside type:user and role:end-user, and by nothing else"
	whyNotTickets = "tickets are found by type:ticket status<solved requester:ID, and by nothing else"
	whyNoKind     = "it must say one of type:user and type:ticket"
)

// readUserQuery takes the known words out of a search for people; what is left
// is the number, spaces, brackets and all: "(513) 555-7611", phone:*5135557611,
// phone:"+1 513 555 7611". Whether that is a number is the resolver's to say,
// but for a word with an operator that is no number's.
func readUserQuery(query string) (q userQuery, err error) {
	left, _ := cutWord(query, "type:user")
	left, q.endUsers = cutWord(left, "role:end-user")
	rest, named := cutFold(strings.TrimLeft(left, " \t\r\n"), "phone:")
	if named {
		left = strings.TrimPrefix(unquoted(rest), "*")
	} else {
		left = unquoted(left)
	}
	for _, word := range strings.Fields(left) {
		if field := fieldOf(word); field != "" && field != "tel" && field != "sip" && field != "sips" {
			return userQuery{}, errInvalidSearch(whyNotUsers)
		}
	}
	q.number = left
	return q, nil
}

// cutWord takes a word out of a text wherever it stands alone, with the one
// space that parts it from its neighbour: a second space may be a plus.
func cutWord(text, word string) (left string, found bool) {
	for at := 0; at+len(word) <= len(text); at++ {
		end := at + len(word)
		if !strings.EqualFold(text[at:end], word) || at > 0 && !isBlank(text[at-1]) || end < len(text) && !isBlank(text[end]) {
			continue
		}
		found = true
		switch {
		case end < len(text):
			end++
		case at > 0:
			at--
		}
		text = text[:at] + text[end:]
		at-- // look again where the word was
	}
	return text, found
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// cutFold is strings.CutPrefix for a prefix in small letters.
func cutFold(s, prefix string) (rest string, found bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// unquoted is what stands between two quotes, where nothing stands around them.
func unquoted(s string) string {
	trimmed := strings.TrimSpace(s)
	if len(trimmed) >= 2 && trimmed[0] == '"' && trimmed[len(trimmed)-1] == '"' {
		return trimmed[1 : len(trimmed)-1]
	}
	return s
}

// fieldOf is the field that a word of a search asks about, in small letters,
// and "" where it asks about none: phone of phone:5, status of -status<solved.
func fieldOf(word string) string {
	word = strings.TrimLeft(word, `-"`)
	at := strings.IndexAny(word, ":<>=")
	if at <= 0 {
		return ""
	}
	for i := range at {
		if c := word[i] | 0x20; (c < 'a' || c > 'z') && word[i] != '_' {
			return ""
		}
	}
	return strings.ToLower(word[:at])
}

// readTicketQuery takes a search for tickets apart: the words in any order,
// parted by any white space. The requester is 0 where the variable that was to
// name them is not set. Without status<solved it means the same: what is
// solved has left the mirror.
func readTicketQuery(query string) (requester int64, err error) {
	asked, wrong := false, false
	for _, word := range strings.Fields(query) {
		word = strings.ToLower(word)
		id, named := strings.CutPrefix(word, "requester:")
		switch {
		case word == "type:ticket", word == "status<solved":
		case named:
			n, ok := wholeNumber(unquoted(id))
			n = max(n, 0)
			wrong = wrong || !ok || asked && n != requester
			asked, requester = true, n
		default:
			wrong = true
		}
	}
	if wrong || !asked {
		return 0, errInvalidSearch(whyNotTickets)
	}
	return requester, nil
}

// searchKind tells what a search of /search looks for: the words for one kind
// of thing beside those for the other are none of either.
type searchKind uint8

const (
	noKind searchKind = iota
	forUsers
	forTickets
)

func searchKindOf(query string) searchKind {
	users, tickets := false, false
	for _, word := range strings.Fields(query) {
		word = strings.ToLower(word)
		switch field := fieldOf(word); {
		case word == "type:user", field == "role", field == "phone":
			users = true
		case word == "type:ticket", field == "requester", field == "status":
			tickets = true
		}
	}
	switch {
	case users && !tickets:
		return forUsers
	case tickets && !users:
		return forTickets
	default:
		return noKind
	}
}
