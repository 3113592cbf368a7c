package privacytest

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// token is a word (letters), a group of digits, or what stands between two of
// these.
type token struct {
	text   string // as it stands in the line
	digits bool   // a group of digits, and of nothing else
	gap    bool   // neither letters nor digits
	hash   uint64 // of a word in small letters
	exact  uint64 // of a word as it is written
}

// The FNV-1a hash, by runes.
const (
	offset = 14695981039346656037
	prime  = 1099511628211
)

// both is the hash of two in a row.
func both(a, b uint64) uint64 { return (a*prime ^ b) * prime }

type kind int

const (
	isGap kind = iota
	isLetter
	isDigit
)

func kindOf(r rune) kind {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z':
		return isLetter
	case r >= '0' && r <= '9':
		return isDigit
	case r < utf8.RuneSelf:
		return isGap
	case unicode.IsLetter(r), unicode.IsMark(r):
		return isLetter
	case unicode.IsDigit(r):
		return isDigit
	}
	return isGap
}

// tokens appends those of a text to some; nothing of the text is left out.
func tokens(to []token, text string) []token {
	for start := 0; start < len(text); {
		first, size := utf8.DecodeRuneInString(text[start:])
		k := kindOf(first)
		hash, exact := uint64(offset), uint64(offset)
		end := start
		for r := first; ; {
			hash = (hash ^ uint64(small(r))) * prime //nolint:gosec // a character is above 0
			exact = (exact ^ uint64(r)) * prime      //nolint:gosec // as above
			if end += size; end == len(text) {
				break
			}
			if r, size = utf8.DecodeRuneInString(text[end:]); kindOf(r) != k {
				break
			}
		}
		to = append(to, token{text: text[start:end], digits: k == isDigit, gap: k == isGap, hash: hash, exact: exact})
		start = end
	}
	return to
}

func small(r rune) rune {
	if r < utf8.RuneSelf {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	return unicode.ToLower(r)
}

// digitsOf are the digits of a text, whichever script they are in.
func digitsOf(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r >= '0' && r <= '9':
			b.WriteRune(r)
		case r >= utf8.RuneSelf && unicode.IsDigit(r):
			zero := r
			for unicode.IsDigit(zero-1) && r-zero < 9 {
				zero--
			}
			b.WriteRune('0' + r - zero)
		}
	}
	return b.String()
}

func hexOf(digits string) string {
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return ""
	}
	return strconv.FormatUint(n, 16)
}

// plain takes off what quoting and escaping have put on: \n, \", \u00ed and
// %2B, as often as somebody has quoted what was quoted already.
func plain(line string) string {
	for range 4 {
		if !strings.ContainsAny(line, `\%`) {
			break
		}
		before := line
		if line = unescape(line); line == before {
			break
		}
	}
	return line
}

func unescape(line string) string {
	b := make([]byte, 0, len(line))
	for i := 0; i < len(line); {
		r, n, ok := escaped(line[i:])
		switch {
		case !ok:
			b, n = append(b, line[i]), 1
		case r < 0: // a byte of a character
			b = append(b, byte(-r)) //nolint:gosec // of two digits
		default:
			b = utf8.AppendRune(b, r)
		}
		i += n
	}
	return string(b)
}

// escaped reads an escape at the beginning of a text: a character, or a byte,
// negated, of one above ASCII.
func escaped(s string) (r rune, length int, ok bool) {
	hex := func(from, n int) bool {
		if len(s) < from+n {
			return false
		}
		v, err := strconv.ParseUint(s[from:from+n], 16, 32)
		r, length = rune(v), from+n //nolint:gosec // read with 32 bits; what is no character becomes U+FFFD
		return err == nil
	}
	aByte := func(from int) bool {
		ok := hex(from, 2)
		if r >= utf8.RuneSelf {
			r = -r
		}
		return ok
	}
	if s[0] == '%' {
		return r, length, aByte(1)
	}
	if s[0] != '\\' || len(s) < 2 {
		return 0, 0, false
	}
	switch s[1] {
	case 'n', 't', 'r', 'b', 'f', 'v', 'a':
		return ' ', 2, true
	case '"', '\\', '/', '\'':
		return rune(s[1]), 2, true
	case 'x':
		return r, length, aByte(2)
	case 'u':
		return r, length, hex(2, 4)
	case 'U':
		return r, length, hex(2, 8)
	}
	return 0, 0, false
}
