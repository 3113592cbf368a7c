package speech

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxSubject = 60 // characters
	// longDigits makes digits a number that nobody wants read out, such as a
	// phone's or a card's, also where spaces and hyphens part them.
	longDigits = 6
	// maxNumber bounds, in bytes, how far the digits of one number are looked for.
	maxNumber = 48
)

// appendSubject appends what of a ticket's subject can be spoken: its first
// words without what mail programs put before them, tags in brackets, markup,
// addresses, long numbers and pictures. It appends nothing where no word is
// left. dst needs room for maxSubject characters, 4 bytes each.
func appendSubject(dst []byte, raw string) []byte {
	raw = withoutReplies(raw[:min(len(raw), maxRead)])
	var line spokenLine
	for raw != "" && !line.full {
		r, size := utf8.DecodeRuneInString(raw)
		if blank(r) {
			raw = raw[size:]
			continue
		}
		if n := group(raw); n > 0 {
			raw = raw[n:]
			continue
		}
		if n := longNumber(raw); n > 0 {
			raw = raw[n:]
			continue
		}
		end, digits, suspect := firstWord(raw)
		if word := raw[:end]; digits < longDigits && (!suspect || !address(word)) {
			line.word(word)
		}
		raw = raw[end:]
	}
	return append(dst, line.done()...)
}

// firstWord is where the first word ends, at a space or where something in
// brackets begins; how many digits its longest run of them has; and whether it
// has anything in it that makes addresses.
func firstWord(s string) (end, digits int, suspect bool) {
	run := 0
	for i, r := range s {
		switch {
		case letter(r):
			run = 0
		case digit(r):
			run++
			digits = max(digits, run)
		case r == '@' || r == '.' || r == ':' || r == '\uff20':
			suspect = true
			if r != '.' {
				run = 0
			}
		case i > 0 && (blank(r) || opens(r) && group(s[i:]) > 0):
			return i, digits, suspect
		case !within(r) && !hyphen(r):
			run = 0
		}
	}
	return len(s), digits, suspect
}

// opens tells whether a character can begin a group.
func opens(r rune) bool { return r == '[' || r == '{' || r == '<' || r == '&' }

// group is the length of what stands in brackets or is an element of markup
// or a character written as an entity, at the very beginning; 0 for none.
func group(s string) int {
	var closing string
	switch s[0] {
	case '[':
		closing = "]"
	case '{':
		closing = "}"
		if strings.HasPrefix(s, "{{") {
			closing = "}}"
		}
	case '<':
		if len(s) < 2 || !strings.ContainsRune("/!?", rune(s[1])) && !letter(rune(s[1])) {
			return 0
		}
		closing = ">"
	case '&':
		for i := 1; i < min(len(s), 10); i++ {
			switch c := rune(s[i]); {
			case c == ';' && i > 1:
				return i + 1
			case c != '#' && !digit(c) && !letter(c):
				return 0
			}
		}
		return 0
	default:
		return 0
	}
	n := strings.Index(s, closing)
	if n < 0 {
		return 0
	}
	return n + len(closing)
}

// replyMarks are what mail programs put before the subject of an answer or of
// what is passed on, in the languages spoken here and their neighbours.
var replyMarks = [...]string{
	"re", "fw", "fwd", "aw", "wg", "rv", "tr", "res", "enc", "r", "i", "rif", "ref",
	"antw", "antwort", "doorst", "betr", "vs", "sv", "rép", "réf", "odp",
}

const maxReplyMark = 7 // bytes

// withoutReplies takes the marks of answers from the front, as often as there
// are any, and the tags in brackets between them.
func withoutReplies(s string) string {
	for s != "" {
		r, size := utf8.DecodeRuneInString(s)
		if blank(r) || within(r) {
			s = s[size:]
			continue
		}
		n := group(s)
		if n == 0 {
			n = replyMark(s)
		}
		if n == 0 {
			break
		}
		s = s[n:]
	}
	return s
}

// replyMark is the length of such a mark at the very beginning, with a number
// in brackets ("Re[2]:") and its colon; 0 for none.
func replyMark(s string) int {
	word := 0 // its length
	for i, r := range s {
		if !letter(r) {
			word = i
			break
		}
	}
	if word == 0 || word > maxReplyMark {
		return 0
	}
	for i, r := range s[word:] {
		switch {
		case r == ':' || r == '\uff1a':
			if slices.ContainsFunc(replyMarks[:], func(m string) bool { return strings.EqualFold(s[:word], m) }) {
				return word + i + utf8.RuneLen(r)
			}
			return 0
		case i > 8 || !blank(r) && !digit(r) && !within(r) && !strings.ContainsRune("[]()^", r):
			return 0
		}
	}
	return 0
}

// longNumber is the length of a number that begins here and has longDigits or
// more, whatever parts them; 0 for none.
func longNumber(s string) int {
	digits, end := 0, 0 // end is behind the last whole word of the number
	for i := 0; i < len(s) && i < maxNumber; {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case digit(r):
			digits++
		case blank(r):
			if digits == 0 {
				return 0
			}
		case r == '+' || r == '/' || r == '(' || r == ')' || hyphen(r) || within(r):
		default:
			if digits < longDigits {
				return 0
			}
			return end
		}
		if blank(r) {
			end = i
		} else if i+size == len(s) {
			end = len(s)
		}
		i += size
	}
	if digits < longDigits {
		return 0
	}
	return end
}

// address tells whether a word is one of the web's or of e-mail.
func address(word string) bool {
	if strings.Contains(word, "@") || strings.Contains(word, "\uff20") || strings.Contains(word, "://") {
		return true
	}
	for _, scheme := range [...]string{"www.", "mailto:", "tel:", "http:", "https:"} {
		if len(word) > len(scheme) && strings.EqualFold(word[:len(scheme)], scheme) {
			return true
		}
	}
	host, path, slash := strings.Cut(word, "/")
	if !slash {
		host = strings.TrimRight(host, ".,:;!?)")
	}
	dot := strings.LastIndexByte(host, '.')
	if dot < 1 {
		return false
	}
	if top := host[dot+1:]; slash && path != "" {
		return letter(rune(host[dot-1])) && top != "" && letter(rune(top[0]))
	} else if len(top) >= 2 && len(top) <= 4 {
		for _, known := range [...]string{
			"com", "net", "org", "info", "io", "app", "dev", "biz", "edu", "gov",
			"eu", "es", "fr", "de", "it", "pt", "nl", "uk", "us", "br", "mx", "ch", "at", "be", "ar", "cl", "pe",
		} {
			if strings.EqualFold(top, known) {
				return true
			}
		}
	}
	return false
}

// spokenLine is a subject as it grows, word by word.
type spokenLine struct {
	room  [4 * maxSubject]byte
	size  int // of what is in the room
	chars int
	full  bool // the next word has no room
}

// word appends what can be spoken of one word, nothing where it has neither
// letter nor digit.
func (l *spokenLine) word(word string) {
	before, charsBefore := l.size, l.chars
	gap, spelled, marks := l.chars > 0, false, 0
	last := rune(0)
	for _, r := range word {
		isMark := false
		switch {
		case letter(r) || digit(r):
			spelled, marks = true, 0
		case mark(r):
			if !letter(last) || marks == maxMarks {
				continue
			}
			marks, isMark = marks+1, true
		case hyphen(r) || r == '\u2013' || r == '\u2014':
			r = '-'
			if last == 0 || last == '-' || gap {
				continue
			}
		case r == '.' || r == ',' || r == ':' || r == ';' || r == '?' || r == '!' || r == '/' || r == '%':
			if last == r || last == 0 {
				continue
			}
		case r == '¿' || r == '¡' || unicode.Is(unicode.Sc, r):
		case within(r):
			continue
		default: // what else parts words without a space
			gap = gap || spelled
			continue
		}
		if !l.put(r, gap) {
			if charsBefore > 0 { // cut before a word that has no room
				l.size, l.chars = before, charsBefore
			}
			return
		}
		gap = false
		if !isMark {
			last = r
		}
	}
	if !spelled {
		l.size, l.chars = before, charsBefore
	}
}

// put appends one character, after a space where there is a gap, if there is
// room for both.
func (l *spokenLine) put(r rune, gap bool) (ok bool) {
	chars := l.chars + 1
	if gap {
		chars++
	}
	if chars > maxSubject {
		l.full = true
		return false
	}
	if gap {
		l.room[l.size] = ' '
		l.size++
	}
	l.size += utf8.EncodeRune(l.room[l.size:], r)
	l.chars = chars
	return true
}

// done is what closes no sentence, for another sentence goes around it.
func (l *spokenLine) done() []byte {
	end := l.size
	for end > 0 {
		r, size := utf8.DecodeLastRune(l.room[:end])
		if !strings.ContainsRune(" .,:;!?/-¿¡", r) {
			break
		}
		end -= size
	}
	return l.room[:end]
}
