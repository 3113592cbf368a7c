package speech

// What becomes of a sentence that has no room.
const (
	outOfBoth = ": left out for its length"
	outOfText = ": left out of the text for its length"
	cutShort  = ": cut in the text for its length"
)

// Explain names the sentences that Append says of a call, in their order, each
// with its voice and whose wording it is, as "greeting_name (es-US, built in)"
// or "greeting_name (es-US, configured)". Behind them come those that were left
// out for their length, marked so.
func (v *Voice) Explain(c *Call) []string {
	if v.neutral(c) {
		name := v.nameOf(&v.lines[neutral])
		if v.Text != v.lines[neutral].pieces[0].words {
			name += cutShort
		}
		return []string{name}
	}
	var all said
	all.plan(v, c)
	noText, whole := all.fit(asText, v.maxChars)
	noSSML, _ := all.fit(asSSML, roomSSML)
	var spoken, left []string
	for r, line := range all.lines {
		if line == nil {
			continue
		}
		name := v.nameOf(line)
		switch { // what has room in a text of 256 characters has it in the SSML
		case noText[r] && noSSML[r]:
			left = append(left, name+outOfBoth)
		case noText[r]:
			left = append(left, name+outOfText)
		case !whole: // then no other is left in the text
			spoken = append(spoken, name+cutShort)
		default:
			spoken = append(spoken, name)
		}
	}
	return append(spoken, left...)
}

// nameOf finds which of the voice's sentences one is.
func (v *Voice) nameOf(s *sentence) string {
	from := "built in"
	if s.configured {
		from = "configured"
	}
	for k := range v.lines {
		if &v.lines[k] == s {
			return rules[k].name + " (" + v.Tag + ", " + from + ")"
		}
	}
	return "" // none of the voice's: there are no others
}
