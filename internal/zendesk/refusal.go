package zendesk

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// refusal turns an answer that is no success into an [Error].
func (k *call) refusal(status int, header http.Header, body []byte, now time.Time) *Error {
	e := &Error{Status: status, Endpoint: k.endpoint}
	said := readErrorBody(body)
	e.Code, e.Description, e.Fields = said.code, said.description, said.fields
	if after, ok := retryAfter(header, now); ok {
		e.RetryAfter = after
	}
	switch {
	case status < 400:
		// 1xx to 3xx that is none of 200, 201 and 204. A redirect is not followed:
		// the credentials stay with the configured origin.
		e.Class, e.detail = ClassMalformed, "not an answer of the API"
		if status >= 300 {
			e.detail = detailRedirect
		}
	case status == http.StatusUnauthorized:
		e.Class = ClassAuth
	case status == http.StatusForbidden:
		e.Class = ClassForbidden
	case status == http.StatusNotFound && !said.api:
		e.Class, e.detail = ClassMalformed, "404 from elsewhere"
	case status == http.StatusNotFound && said.code == "InvalidEndpoint":
		e.Class = ClassRejected
	case status == http.StatusNotFound:
		e.Class = ClassNotFound
	case status == http.StatusConflict:
		e.Class = ClassConflict
	case status == http.StatusTooManyRequests:
		e.Class = ClassRateLimited
	case status == http.StatusRequestTimeout || status >= 500:
		e.Class = ClassUnavailable
	default:
		e.Class = ClassRejected
	}
	// A 4xx refused the write, and a 503 or 429 did not begin it. After any
	// other answer it may have been done.
	refused := status >= 400 && status < 500 && status != http.StatusRequestTimeout
	e.UnknownOutcome = k.write && !refused && status != http.StatusServiceUnavailable
	return e
}

// errorBody is what an error answer says, whichever of its forms it has.
type errorBody struct {
	api         bool // a JSON error as the API writes it
	code        string
	description string
	fields      []string
}

// descriptionMost bounds what is kept of a plain-text answer.
const descriptionMost = 512

// readErrorBody reads the four JSON forms, that of OAuth, and plain text:
//
//	{"error":"Code","description":"…","details":{…}}    {"error":"Code or text"}
//	{"error":{"title":"…","message":"…"}}
//	{"errors":[{"code":"…","title":"…","detail":"…"}]}
//	{"error":"code","error_description":"…"}
//
// HTML, which is the edge's, has nothing to say. Whatever cannot be read is
// left out: the status alone still makes an error.
func readErrorBody(body []byte) (said errorBody) {
	body = bytes.TrimSpace(body)
	var top struct {
		Error            json.RawMessage   `json:"error"`
		Errors           []json.RawMessage `json:"errors"`
		Description      json.RawMessage   `json:"description"`
		ErrorDescription json.RawMessage   `json:"error_description"`
		Details          json.RawMessage   `json:"details"`
	}
	if len(body) == 0 || body[0] != '{' {
		if len(body) > 0 && body[0] != '<' {
			said.description = cut(string(body))
		}
		return said
	}
	if json.Unmarshal(body, &top) != nil {
		return said
	}
	said.add("", text(top.Description))
	said.add("", text(top.ErrorDescription))
	switch {
	case len(top.Errors) > 0:
		var first struct{ Code, Title, Detail json.RawMessage }
		said.api = json.Unmarshal(top.Errors[0], &first) == nil
		said.add(text(first.Code), text(first.Title))
		said.add("", text(first.Detail))
	case len(top.Error) > 0 && top.Error[0] == '{':
		var object struct{ Title, Message json.RawMessage }
		said.api = json.Unmarshal(top.Error, &object) == nil
		said.add(text(object.Title), text(object.Message))
	default:
		name := text(top.Error)
		said.api = name != ""
		said.add(name, "")
	}
	said.details(top.Details)
	return said
}

// add puts a code, or what stands in a code's place and does not read like
// one, and a text to what is known.
func (b *errorBody) add(code, description string) {
	if isCode(code) && b.code == "" {
		b.code, code = code, ""
	}
	for _, s := range []string{code, description} {
		switch {
		case s == "" || len(b.description) >= descriptionMost:
		case b.description == "":
			b.description = cut(s)
		default:
			b.description = cut(b.description + ": " + s)
		}
	}
}

// details reads {"field":[{"description":…}]} and {"field":{"description":…}}.
func (b *errorBody) details(raw json.RawMessage) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return
	}
	type complaint struct{ Description json.RawMessage }
	for name := range fields {
		if isCode(name) {
			b.fields = append(b.fields, name)
		}
	}
	slices.Sort(b.fields)
	for _, name := range b.fields {
		var many []complaint
		var one complaint
		if json.Unmarshal(fields[name], &many) != nil && json.Unmarshal(fields[name], &one) == nil {
			many = append(many, one)
		}
		for _, c := range many {
			b.add("", text(c.Description))
		}
	}
}

// isCode tells whether a word is a code and may stand in an error's text: no
// spaces, no digits, no @, so neither a name with its surname nor a number.
func isCode(s string) bool {
	if s == "" || len(s) > 48 {
		return false
	}
	for _, r := range s {
		letter := (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z')
		if !letter && r != '_' && r != '-' && r != '.' {
			return false
		}
	}
	return true
}

// text is a JSON string's value, "" for anything else.
func text(raw json.RawMessage) string {
	var s string
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

func cut(s string) string {
	if len(s) > descriptionMost {
		s = s[:descriptionMost]
	}
	return strings.ToValidUTF8(s, "")
}
