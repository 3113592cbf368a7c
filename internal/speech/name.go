package speech

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxName = 40 // characters: no first name in use is longer
	// maxRead bounds how much of a field of Zendesk's is looked at, in bytes:
	// the few characters that can be spoken are at its beginning or nowhere.
	maxRead = 1024
	// manyDigits makes a text a number rather than a name with a slip in it.
	manyDigits = 4
)

// appendName appends what of a first name can be spoken: letters with their
// marks, hyphens and spaces. It appends nothing where the text is no name: a
// number or an e-mail address (Zendesk names unknown callers "Caller +1 …"), a
// title, an initial, "Smith," with the family name first, or something with
// markup in it. dst needs room for maxName characters, 4 bytes each.
func appendName(dst []byte, raw string) []byte {
	raw = raw[:min(len(raw), maxRead)]
	if strings.ContainsAny(raw, "@<>{}[]\\&=,;:|") || len(raw) >= 4 && strings.EqualFold(raw[:4], "www.") {
		return dst
	}
	start, digits, chars, marks := len(dst), 0, 0, 0
	gap := rune(0) // what stands before the next letter
	for _, r := range raw {
		switch {
		case letter(r):
			if chars+1 > maxName || gap != 0 && chars+2 > maxName {
				return named(cutName(dst, start, gap), start)
			}
			if gap != 0 {
				dst = append(dst, byte(gap))
				chars++
			}
			dst = utf8.AppendRune(dst, r)
			chars++
			gap, marks = 0, 0
		case mark(r):
			if chars > 0 && gap == 0 && marks < maxMarks && chars < maxName {
				dst = utf8.AppendRune(dst, r)
				chars++
				marks++
			}
		case digit(r):
			if digits++; digits == manyDigits {
				return dst[:start]
			}
		case hyphen(r):
			if chars > 0 {
				gap = '-'
			}
		case within(r):
		case chars > 0 && gap == 0:
			gap = ' '
		}
	}
	return named(dst, start)
}

// cutName cuts a name that ran out of room before its last part, unless it
// ended with a part or has only one.
func cutName(dst []byte, start int, gap rune) []byte {
	if gap != 0 {
		return dst
	}
	for i := len(dst) - 1; i > start; i-- {
		if dst[i] == ' ' || dst[i] == '-' {
			return dst[:i]
		}
	}
	return dst
}

// named takes back from dst what turned out to be no name.
func named(dst []byte, start int) []byte {
	name := dst[start:]
	r, size := utf8.DecodeRune(name)
	if size == len(name) && r < 0x250 { // an initial, or nothing
		return dst[:start]
	}
	var first [12]byte // the first word in small letters
	n := 0
	for n < len(name) && name[n] != ' ' && name[n] != '-' {
		if n == len(first) {
			return dst // longer than any of these
		}
		first[n] = name[n]
		if first[n] < utf8.RuneSelf {
			first[n] = byte(unicode.ToLower(rune(first[n])))
		}
		n++
	}
	switch string(first[:n]) {
	case "caller", "anonymous", "unknown", "unbekannt", "anonym", "anrufer", "inconnu", "anonyme",
		"desconocido", "anónimo", "desconhecido", "anônimo", "sconosciuto", "anonimo", "onbekend", "anoniem",
		"null", "none", "undefined", "unnamed",
		"mr", "mrs", "ms", "mx", "miss", "dr", "dra", "prof", "sir", "madam",
		"herr", "frau", "herrn", "sr", "sra", "srta", "señor", "señora",
		"mme", "mlle", "monsieur", "madame", "sig", "sigra", "signor", "signora", "dott", "dottssa",
		"dhr", "mevr", "mevrouw", "meneer":
		return dst[:start]
	default:
		return dst
	}
}
