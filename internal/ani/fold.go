package ani

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxBytes bounds a text before anything looks into it. A flow variable is
// made with 256 characters at the most, and the longest thing that is still a
// number, a SIP address with a display name, a host and a few parameters,
// stays below that. phonenumbers itself draws its line at 250.
const MaxBytes = 256

// fold writes the text in ASCII as far as its meaning is a number's: Unicode
// digits, hyphens and spaces, full-width forms; what has no width is dropped.
// It refuses, with a reason, what no number holds and what would harm a log, a
// header or a reader: a control character anywhere, even a tab or a line end
// at either end, and whatever overrides the direction of the text.
func fold(raw string) (text, refused string) {
	if len(raw) > MaxBytes {
		return "", ReasonTooLong
	}
	if isPlainASCII(raw) {
		return raw, ""
	}
	var b strings.Builder
	b.Grow(len(raw))
	for i, r := range raw {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(raw[i:], "\uFFFD"):
			return "", ReasonEncoding
		case unicode.IsControl(r), unicode.In(r, unicode.Zl, unicode.Zp):
			return "", ReasonControl
		case overridesDirection(r):
			return "", ReasonBidi
		case hasNoWidth(r):
		default:
			b.WriteRune(foldRune(r))
		}
	}
	return b.String(), ""
}

func isPlainASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// foldRune is the ASCII character that means the same in a number, or r.
func foldRune(r rune) rune {
	if r <= unicode.MaxASCII {
		return r
	}
	if d, ok := digitValue(r); ok {
		return '0' + d
	}
	switch {
	case unicode.Is(unicode.Zs, r):
		return ' '
	case unicode.Is(unicode.Pd, r), r == '\u2212', r == '\u30FC': // minus; the long-vowel mark that Japanese keyboards give
		return '-'
	case r == '\uFE62': // small plus
		return '+'
	case r >= '\uFF01' && r <= '\uFF5E': // the full-width forms of ASCII, in its order
		return r - '\uFF01' + '!'
	default:
		return r
	}
}

// digitValue is the value of a decimal digit of any script. Unicode lists them
// in runs of ten from nought to nine, and its tables join runs only where they
// touch, so the place in a range tells the value.
func digitValue(r rune) (rune, bool) {
	for _, run := range unicode.Nd.R16 {
		if lo, hi := rune(run.Lo), rune(run.Hi); r >= lo && r <= hi {
			return (r - lo) % 10, true
		}
	}
	for _, run := range unicode.Nd.R32 {
		if lo, hi := rune(run.Lo), rune(run.Hi); r >= lo && r <= hi {
			return (r - lo) % 10, true
		}
	}
	return 0, false
}

// overridesDirection tells the characters that embed, override or isolate a
// direction: with them a text is shown otherwise than it is read.
func overridesDirection(r rune) bool {
	return r >= '\u202A' && r <= '\u202E' || r >= '\u2066' && r <= '\u2069'
}

// hasNoWidth tells the invisible characters that come along when a number is
// copied off a page: zero-width spaces and joiners, the soft hyphen, and the
// direction marks, which override nothing.
func hasNoWidth(r rune) bool {
	switch r {
	case '\u00AD', '\u061C', '\u180E', '\u200B', '\u200C', '\u200D', '\u200E', '\u200F', '\u2060', '\uFEFF':
		return true
	default:
		return false
	}
}
