package proxy

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// readJSON reads a body that must be one JSON object. encoding/json proves
// that the body is well formed; what is left is to walk the object's own
// members, which needs no decoder, keeps numbers as they were written and
// notices a key that comes twice.
func (p *params) readJSON(body []byte) error {
	if skipSpace(body, 0) == len(body) {
		return errBadRequest("the body is empty; it must be one JSON object")
	}
	if !json.Valid(body) {
		return errBadRequest("the body must be one JSON object, and is not well-formed JSON")
	}
	i := skipSpace(body, 0)
	if body[i] != '{' {
		return errBadRequest("the body must be one JSON object, and is another JSON value")
	}
	for i = skipSpace(body, i+1); body[i] != '}'; {
		end := valueEnd(body, i)
		key := body[i:end]
		i = skipSpace(body, skipSpace(body, end)+1) // over the colon
		end = valueEnd(body, i)
		if at, ok := paramOf(unquote(key)); ok {
			p.set(at, jsonValue(body[i:end]))
		}
		if i = skipSpace(body, end); body[i] == ',' {
			i = skipSpace(body, i+1)
		}
	}
	return nil
}

// jsonValue reads one well-formed value.
func jsonValue(raw []byte) value {
	switch raw[0] {
	case '"':
		return value{kind: text, text: unquote(raw)}
	case '{', '[':
		return value{kind: unreadable}
	case 'n':
		return value{kind: null}
	case 't', 'f':
		return value{kind: boolean, text: string(raw)}
	default:
		return value{kind: numeral, text: string(raw)}
	}
}

// unquote reads a well-formed string. What is no UTF-8 in it comes out as
// U+FFFD, which is no part of a number or a name of a key.
func unquote(raw []byte) string {
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner)
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return "\uFFFD"
	}
	return s
}

// skipSpace is the next place that is no white space, or the end.
func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

// valueEnd is the place behind the value that begins at i. The body is well
// formed, so brackets need only be counted.
func valueEnd(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i = stringEnd(b, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		default:
			if depth == 0 {
				return scalarEnd(b, i)
			}
			i++
		}
		if depth == 0 {
			return i
		}
	}
	return i
}

func stringEnd(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// scalarEnd is the place behind a number, true, false or null.
func scalarEnd(b []byte, i int) int {
	for i < len(b) && bytes.IndexByte([]byte(",]} \t\r\n"), b[i]) < 0 {
		i++
	}
	return i
}
