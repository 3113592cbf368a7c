package speech

// Explain names the sentences that Append says of a call, in their order, as
// "greeting_name (es-US, built in)" or "(es-US, configured)"; behind them come
// those that the text has no room for, as "others_one (es-US, built in): left
// out of the text for its length".
func (v *Voice) Explain(c *Call) []string {
	if !c.Known || v.reveal == RevealNothing {
		return []string{v.nameOf(&v.lines[neutral])}
	}
	var all said
	all.plan(v, c)
	out, _ := all.fit(asText, v.maxChars)
	var spoken, left []string
	for r := range roles {
		switch {
		case all.lines[r] == nil:
		case out[r]:
			left = append(left, v.nameOf(all.lines[r])+": left out of the text for its length")
		default:
			spoken = append(spoken, v.nameOf(all.lines[r]))
		}
	}
	return append(spoken, left...)
}

// nameOf finds which of the voice's sentences this is.
func (v *Voice) nameOf(s *sentence) string {
	for k := range v.lines {
		if &v.lines[k] == s {
			from := "built in"
			if s.configured {
				from = "configured"
			}
			return rules[k].name + " (" + v.Tag + ", " + from + ")"
		}
	}
	return "unknown" // plan takes its sentences from the voice: this cannot be
}
