package main

import (
	"strings"
	"unicode"
)

// plain takes out of a text what a terminal would obey: escape sequences and
// other controls but the line's end and the tab, what turns the direction of
// writing, and bytes that are no UTF-8. A name or an error's text comes from
// whoever wrote the ticket, or from whatever answers at --server.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(text, string(unicode.ReplacementChar)))
}
