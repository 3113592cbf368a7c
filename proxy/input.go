package proxy

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const (
	// maxBody bounds a body, in bytes: a lookup's is a few hundred.
	maxBody = 64 << 10
	// maxDelivery bounds what a webhook sends: an event of a ticket carries its
	// description, 64 KB and every character of it escaped at the worst. Too
	// long is a failure to Zendesk, and failures open its breaker.
	maxDelivery = 512 << 10
	// usualBody is what most bodies, in and out, have room in.
	usualBody = 4 << 10
)

// param is one of the inputs that some route reads.
type param int

const (
	paramANI param = iota
	paramLang
	paramTicketID
	paramFresh
	paramMode
	paramDNIS
	paramAgents
	paramEWT
	paramInteraction
	paramUserID
	paramSubject
	paramBody
	paramOutcome
	paramAgent
	paramQueue
	paramDuration
	paramPublic
	paramState
	paramBefore
	paramLimit
	paramContent
	paramForce
	paramJob
	paramClient
	paramCount
)

// paramNames are the inputs as they are written; any other name is ignored,
// since flows send what their author's connector insists on.
var paramNames = map[string]param{
	"ani":              paramANI,
	"lang":             paramLang,
	"ticket_id":        paramTicketID,
	"fresh":            paramFresh,
	"mode":             paramMode,
	"dnis":             paramDNIS,
	"agents_available": paramAgents,
	"ewt_ms":           paramEWT,
	"interaction_id":   paramInteraction,
	"user_id":          paramUserID,
	"subject":          paramSubject,
	"body":             paramBody,
	"outcome":          paramOutcome,
	"agent":            paramAgent,
	"queue":            paramQueue,
	"duration_seconds": paramDuration,
	"public":           paramPublic,
	"state":            paramState,
	"before":           paramBefore,
	"limit":            paramLimit,
	"content":          paramContent,
	"force":            paramForce,
	"job":              paramJob,
	"client":           paramClient,
}

func paramOf(name string) (p param, ok bool) {
	p, ok = paramNames[name]
	return p, ok
}

// kind is what a value was written as.
type kind uint8

const (
	absent     kind = iota // the key is not there
	null                   // JSON's null
	text                   // a string, or anything in a query
	numeral                // a number, as it was written
	boolean                // true or false
	unreadable             // an object, an array, or two values that contradict each other
)

type value struct {
	kind kind
	text string
}

// params are the inputs of a request. An input that comes twice is read once
// where both say the same. Where they differ it is unreadable: to take the
// first or the last would be to answer a question that somebody between the
// flow and us may have read the other way.
type params [paramCount]value

func (p *params) set(at param, v value) {
	if p[at].kind != absent && p[at] != v {
		v = value{kind: unreadable}
	}
	p[at] = v
}

// number is the text of the ANI. Null and an empty text are a caller who
// withheld it, which is the resolver's to say; ok is false for what is no text.
func (p *params) number() (ani string, ok bool) {
	v := p[paramANI]
	switch v.kind {
	case text, numeral:
		return v.text, true
	case null:
		return "", true
	default:
		return "", false
	}
}

// optional is a value that need not be there: "" where it is not, or is what a
// flow sends for a variable that was never set.
func (p *params) optional(at param) string {
	if given := p.written(at); !unset(given) {
		return given
	}
	return ""
}

// given tells whether a value is there at all, readable or not, and is not what
// a variable without a value sends. Where a request must not mean more than was
// asked for, what cannot be read is a fault and not the same as nothing.
func (p *params) given(at param) bool {
	v := p[at]
	switch v.kind {
	case absent, null:
		return false
	case unreadable:
		return true
	case text, numeral, boolean:
	}
	return p.optional(at) != ""
}

// written is a text that somebody wrote, in which any word may stand: only one
// that is empty or "null" as a whole is not given.
func (p *params) written(at param) string {
	v := p[at]
	if v.kind != text && v.kind != numeral && v.kind != boolean {
		return ""
	}
	if given := strings.TrimSpace(v.text); !strings.EqualFold(given, "null") {
		return given
	}
	return ""
}

// unset tells what stands for a variable without a value: our own "none" that
// comes back, what scripts make of nothing, and a template that was not filled
// in. Taken for an interaction's id, each would make all calls the same one.
func unset(given string) bool {
	for _, word := range [...]string{"none", "nil", "undefined", "nan"} {
		if strings.EqualFold(given, word) {
			return true
		}
	}
	return strings.Contains(given, "{{")
}

// whole is an optional whole number above 0, exact however long: 0 where it is
// not given, negative or not readable.
func (p *params) whole(at param) int64 { return max(0, p.known(at)) }

// known is an optional whole number of which 0 is one: -1 where it is not
// given, negative or not readable. "123.0" is what some flows make of 123.
func (p *params) known(at param) int64 {
	digits := p.optional(at)
	if digits == "" { // most often: an error of strconv's would cost an allocation
		return -1
	}
	if head, tail, found := strings.Cut(digits, "."); found && strings.Trim(tail, "0") == "" {
		digits = head
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// flag is an optional yes.
func (p *params) flag(at param) bool {
	return p.whole(at) == 1 || strings.EqualFold(p.optional(at), "true")
}

// line is an optional text of one line, cut at so many characters.
func (p *params) line(at param, most int) string {
	return strings.TrimSpace(clean(p.optional(at), most))
}

// read takes the inputs from where the method has them: the query of a GET,
// the body of a POST. The query of a POST is not looked at, for some
// connectors will not send one without a row in it.
func (s *Server) read(c *call) (p params, err error) {
	r := c.Request()
	if r.Method != http.MethodPost {
		p.readQuery(r.URL.RawQuery)
		return p, nil
	}
	buffer := s.buffer()
	defer s.release(buffer)
	body, err := readBody(r, *buffer, maxBody)
	if err != nil {
		return p, err
	}
	*buffer = body
	// curl -d says that it sends a form whatever it sends, and no key of a
	// form begins with a brace.
	if at := skipSpace(body, 0); isForm(r.Header.Get("Content-Type")) && (at == len(body) || body[at] != '{') {
		p.readQuery(string(body))
		return p, nil
	}
	return p, p.readJSON(body)
}

func isForm(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(media), "application/x-www-form-urlencoded")
}

// readBody reads at most so many bytes into the buffer, which it may outgrow.
func readBody(r *http.Request, into []byte, most int) ([]byte, error) {
	tooLong := &fault{status: http.StatusRequestEntityTooLarge, detail: fmt.Sprintf("a body has at most %d bytes", most)}
	if r.ContentLength > int64(most) {
		return nil, tooLong
	}
	body := into[:0]
	for {
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
		n, err := r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case len(body) > most:
			return nil, tooLong
		case errors.Is(err, io.EOF):
			return body, nil
		case err != nil:
			return nil, errBadRequest("the body did not arrive whole")
		}
	}
}

// readQuery splits a query, or a form, leniently. Go's own parser drops a
// parameter with a raw ";" or a bad "%" in it, and both come with telephone
// numbers: tel:+15551234;ext=22, and whatever a flow's author forgot to
// encode. Here only "&" parts, a "%" that begins no escape stays as it is, and
// a plus is a space, as forms have it.
func (p *params) readQuery(query string) {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, content, _ := strings.Cut(pair, "=")
		if at, ok := paramOf(unescape(name)); ok {
			p.set(at, value{kind: text, text: unescape(content)})
		}
	}
}

// unescape decodes what can be decoded, once.
func unescape(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	decoded := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			decoded = append(decoded, ' ')
		case c == '%' && i+2 < len(s) && hexDigit(s[i+1]) >= 0 && hexDigit(s[i+2]) >= 0:
			decoded = append(decoded, byte(hexDigit(s[i+1])<<4|hexDigit(s[i+2])))
			i += 2
		default:
			decoded = append(decoded, c)
		}
	}
	return string(decoded)
}

// hexDigit is -1 for what is none.
func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	default:
		return -1
	}
}

// pathID reads an id in a path, which Echo hands on undecoded.
func pathID(c *call) (int64, error) {
	decoded, err := url.PathUnescape(c.Param("id"))
	if err != nil {
		decoded = ""
	}
	id, err := strconv.ParseInt(decoded, 10, 64)
	if err != nil || id <= 0 {
		return 0, errBadRequest("the id in the path must be a whole number above 0")
	}
	return id, nil
}

// buffer lends a buffer for a body; release takes it back.
func (s *Server) buffer() *[]byte {
	b, ok := s.buffers.Get().(*[]byte)
	if !ok {
		return new([]byte)
	}
	return b
}

func (s *Server) release(b *[]byte) {
	if cap(*b) > 2*usualBody { // a giant once is no reason to keep giants
		return
	}
	*b = (*b)[:0]
	s.buffers.Put(b)
}
