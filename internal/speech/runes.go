package speech

import "unicode"

// speakable tells whether a character may stand in what is spoken: printable,
// and nothing that a designer's template, a JSON path or a speech engine could
// take for anything but a character. All quotes are out, those that only look
// like one too, for a flow may put the text between any of them.
func speakable(r rune) bool {
	if r < 0x80 {
		switch r {
		case '"', '\'', '`', '<', '>', '&', '{', '}', '[', ']', '\\':
			return false
		default:
			return r >= ' ' && r < 0x7f
		}
	}
	switch {
	case r == '\u00b4' || r == unicode.ReplacementChar: // ´ and what was no UTF-8
		return false
	case 0x02b0 <= r && r <= 0x02ff: // modifier letters and apostrophes of all sorts
		return false
	case 0x2032 <= r && r <= 0x2037: // primes
		return false
	case r == '\uff40' || r == '\uff06' || r == '\uff1c' || r == '\uff1e': // ｀ ＆ ＜ ＞
		return false
	case r == '\uff3b' || r == '\uff3c' || r == '\uff3d' || r == '\uff5b' || r == '\uff5d': // ［ ＼ ］ ｛ ｝
		return false
	}
	return unicode.IsPrint(r) && !unicode.Is(unicode.Quotation_Mark, r) && !invisible(r)
}

// invisible tells of letters and marks that nobody sees: fillers, joiners and
// variation selectors.
func invisible(r rune) bool {
	return r >= 0x034f && (unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) || unicode.Is(unicode.Variation_Selector, r))
}

// letter tells whether a character is one that a word is spelled with.
func letter(r rune) bool {
	switch {
	case r < 0x80:
		return 'a' <= r|0x20 && r|0x20 <= 'z'
	case r < 0x2b0:
		return unicode.IsLetter(r)
	case unicode.Is(unicode.Lm, r) && r < 0x3000:
		return false // spacing modifiers, most of which look like apostrophes
	case 0xa700 <= r && r <= 0xa7ff && (r < 0xa722 || r == 0xa78b || r == 0xa78c):
		return false // tone letters and saltillo, which is an apostrophe again
	default:
		return unicode.IsLetter(r) && !invisible(r)
	}
}

// mark tells whether a character is an accent or a vowel sign that belongs to
// the letter before it.
func mark(r rune) bool {
	return r >= 0x300 && (unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Mc, r)) && !invisible(r)
}

// maxMarks is how many marks a letter may carry: three are in use, and what
// has more was made to run over the edges of a screen.
const maxMarks = 3

// digit tells whether a character is a digit of any script.
func digit(r rune) bool {
	if r < 0x80 {
		return '0' <= r && r <= '9'
	}
	return unicode.Is(unicode.Nd, r)
}

// blank tells whether a character parts words.
func blank(r rune) bool {
	if r < 0x80 {
		return r <= ' ' || r == 0x7f
	}
	return unicode.IsSpace(r) || unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Z, r)
}

// within tells whether a character stands inside words without being a part
// of their spelling: it goes without leaving a gap, so that an Italian elision
// still sounds right.
func within(r rune) bool {
	switch r {
	case '\'', '`', '.', '\u00b4', '\u2018', '\u2019', '\u201b', '\u2032', '\uff07', unicode.ReplacementChar:
		return true
	default:
		return r >= 0xad && (unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Lm, r) || unicode.Is(unicode.M, r) || invisible(r))
	}
}

// hyphen tells whether a character joins the parts of a word.
func hyphen(r rune) bool { return r == '-' || r == '\u2010' || r == '\u2011' }
