package proxy

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The most characters of an answer's texts. A character is a Unicode code
// point here, and none is ever cut in two. 256 is what a flow's STRING variable
// takes when it is made.
const (
	maxText = 256
	maxSSML = 1000
)

// none is what an absent text answers.
const none = "none"

// cleanRune is what is written for a character of Zendesk's: free text there,
// one line here. Control characters and line ends become spaces; what
// overrides the direction of the text around it would show a reader something
// else than it is, and goes.
func cleanRune(r rune) (clean rune, keep bool) {
	switch {
	case unicode.IsControl(r), r == '\u2028', r == '\u2029':
		return ' ', true
	case r >= '\u202A' && r <= '\u202E', r >= '\u2066' && r <= '\u2069', r == '\uFEFF':
		return 0, false
	default:
		return r, true // invalid UTF-8 has come as U+FFFD
	}
}

func blank(r rune) bool {
	clean, keep := cleanRune(r)
	return !keep || unicode.IsSpace(clean)
}

// appendClean appends a text from Zendesk for the inside of a JSON string: at
// most limit characters, sanitised and escaped. It appends nothing where
// nothing is left.
func appendClean(dst []byte, s string, limit int) []byte {
	if len(s) <= limit && plain(s) {
		return append(dst, s...)
	}
	count := 0
	for _, r := range strings.TrimFunc(s, blank) {
		clean, keep := cleanRune(r)
		if !keep {
			continue
		}
		if count++; count > limit {
			break
		}
		if clean == '"' || clean == '\\' {
			dst = append(dst, '\\')
		}
		dst = utf8.AppendRune(dst, clean)
	}
	return dst
}

// plain tells whether a text needs nothing done: printable ASCII that JSON
// does not escape, without a space at either end.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return s == "" || s[0] != ' ' && s[len(s)-1] != ' '
}

// clean is appendClean for a text that is encoded elsewhere.
func clean(s string, limit int) string {
	if len(s) <= limit && plain(s) {
		return s
	}
	var b strings.Builder
	count := 0
	for _, r := range strings.TrimFunc(s, blank) {
		if c, keep := cleanRune(r); keep {
			if count++; count > limit {
				break
			}
			b.WriteRune(c)
		}
	}
	return b.String()
}

// fits tells whether a text has at most so many characters.
func fits(s string, limit int) bool {
	return len(s) <= limit || utf8.RuneCountInString(s) <= limit
}
