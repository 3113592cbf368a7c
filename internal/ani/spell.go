package ani

import (
	"strings"
	"unicode"
)

// spell reads a number as people write it: one plus at the very front, digits
// in groups that a space, hyphen, dot, slash or a pair of brackets parts, and
// an extension behind. Only such a plain spelling may lose its punctuation:
// with anything else in it the digits would run together to another
// subscriber's number.
func spell(s string) (dialled, Result) {
	s, extended := cutExtension(decodePlus(strings.Trim(s, " ")))
	sp := spelling{digits: make([]byte, 0, len(s))}
	for _, c := range s {
		if reason := sp.next(c); reason != "" {
			return dialled{}, invalid(reason)
		}
	}
	switch {
	case sp.open || isSeparator(sp.last):
		return dialled{}, invalid(ReasonMalformed)
	case len(sp.digits) == 0:
		return dialled{}, invalid(ReasonNoDigits)
	}
	return dialled{
		digits: string(sp.digits),
		plus:   sp.plus,
		bare:   !extended && !sp.parted,
	}, Result{}
}

// decodePlus makes a plus of one that was encoded once too often, or twice:
// %2B, %252B.
func decodePlus(s string) string {
	rest, found := strings.CutPrefix(s, "%")
	if !found {
		return s
	}
	rest = strings.TrimPrefix(rest, "25")
	if len(rest) < 2 || !strings.EqualFold(rest[:2], "2B") {
		return s
	}
	return "+" + rest[2:]
}

// extensionLabels are what stands between a number and its extension: RFC
// 3966's, Zendesk's, and what people write. A longer one that ends in a
// shorter one comes first.
var extensionLabels = [...]string{";ext=", "extension", "ext.", "ext", "x"}

// longestExtension is phonenumbers' bound too. A number of ten digits behind
// an x is another number.
const longestExtension = 9

// cutExtension takes an extension off the end of a number.
func cutExtension(s string) (number string, cut bool) {
	rest := strings.TrimRight(s, "0123456789")
	if n := len(s) - len(rest); n == 0 || n > longestExtension {
		return s, false
	}
	rest = strings.TrimRight(rest, " ")
	for _, label := range extensionLabels {
		at := len(rest) - len(label)
		if at < 0 || !strings.EqualFold(rest[at:], label) {
			continue
		}
		number = strings.TrimRight(rest[:at], " ")
		if number != "" && (isDigit(number[len(number)-1]) || strings.HasSuffix(number, ")")) {
			return number, true
		}
	}
	return s, false
}

// spelling is the state of reading a plain spelling character by character.
type spelling struct {
	digits []byte
	plus   bool
	parted bool // something stood beside the digits
	open   bool // within brackets
	slash  bool // there was a slash: two of them part two numbers, or a date
	last   rune // the last character that was not a space
}

// next takes one more character. A reason says why it cannot stand there.
func (sp *spelling) next(c rune) (reason string) {
	ok := true
	switch {
	case c >= '0' && c <= '9':
		sp.digits = append(sp.digits, byte(c))
	case c == '+':
		ok = len(sp.digits) == 0 && !sp.plus
		sp.plus = true
	case c == '(':
		ok = !sp.open && sp.last != '/'
		sp.open = true
	case c == ')':
		ok = sp.open && sp.last >= '0' && sp.last <= '9'
		sp.open = false
	case c == ' ':
		sp.parted = true
		return ""
	case isSeparator(c):
		ok = len(sp.digits) > 0 && !isSeparator(sp.last) && sp.last != '(' && (c != '/' || !sp.slash)
		sp.slash = sp.slash || c == '/'
	default:
		return foreign(c)
	}
	sp.parted = sp.parted || c < '0' && c != '+'
	sp.last = c
	if !ok {
		return ReasonMalformed
	}
	return ""
}

func isSeparator(c rune) bool { return c == '-' || c == '.' || c == '/' }

// foreign is why a character stands in no plain spelling.
func foreign(c rune) string {
	switch {
	case c == '*' || c == '#' || c == ',' || c == ';':
		return ReasonDialString
	case unicode.IsLetter(c):
		return ReasonLetters
	default:
		return ReasonMalformed
	}
}
