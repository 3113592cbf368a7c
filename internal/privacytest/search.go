package privacytest

import (
	"bytes"
	"regexp"
	"strings"
	"unicode/utf8"
)

// search finds people in what a source wrote. Each line is stripped of quoting
// and cut into tokens once; then
//
//   - a number is found where groups of digits, with no more between them than
//     people write between them, make the digits of somebody's number. A single
//     decimal fraction is none: durations are written so. Hexadecimal words,
//     which is what a stack shows of a call's arguments, are compared too
//   - a name is found where two of its parts stand side by side in either order,
//     or one of them stands alone as it is written
//   - an e-mail address is found as a whole
//   - a text is found by its first words in a row
//
// A number is only ever somebody's whole number: ids, times and ports have as
// many digits and are nobody's.
//
// clean are lines in which nobody was found: metrics are mostly the same lines
// again and again.
func (c *census) search(source string, written []byte, clean map[string]bool) []Finding {
	var all []Finding
	var buffer []token
	seen := map[string]bool{}
	number := 0
	for raw := range bytes.Lines(written) {
		number++
		if clean[string(raw)] {
			continue
		}
		line := plain(string(raw))
		buffer = tokens(buffer[:0], line)
		marks := c.mark(line, buffer)
		if len(marks) == 0 {
			clean[string(raw)] = true
			continue
		}
		f := Finding{Source: source, Line: number, Kinds: kinds(marks), Masked: mask(buffer, marks)}
		if !seen[f.Masked] {
			seen[f.Masked] = true
			all = append(all, f)
		}
	}
	return all
}

// mark is a kind of finding, and the tokens it takes up.
type mark struct {
	kind     string
	from, to int // to is behind the last
}

func (c *census) mark(line string, all []token) []mark {
	var marks []mark
	for i := range all {
		if all[i].gap {
			continue
		}
		if to := c.numberAt(all, i); to > 0 {
			marks = append(marks, mark{"number", i, to})
		}
		if to := c.hexAt(all, i); to > 0 {
			marks = append(marks, mark{"number", i, to})
		}
		if to := c.nameAt(all, i); to > 0 {
			marks = append(marks, mark{"name", i, to})
		}
		if to := c.textAt(all, i); to > 0 {
			marks = append(marks, mark{"text", i, to})
		}
	}
	if strings.Contains(line, "@") {
		marks = append(marks, c.addresses(line, all)...)
	}
	return marks
}

// numberAt is where a number that begins at a token ends, 0 where none does.
func (c *census) numberAt(all []token, i int) int {
	if !all[i].digits || ofFraction(all, i) {
		return 0
	}
	digits := make([]byte, 0, 2*longest)
	for j := i; j < len(all) && all[j].digits && len(digits) <= longest; j += 2 {
		digits = append(digits, digitsOf(all[j].text)...)
		if len(digits) >= shortest && c.numbers[string(digits)] && (j != i+2 || !isFraction(all, i)) {
			return j + 1
		}
		if j+1 == len(all) || !joins(all[j+1].text) {
			break
		}
	}
	return 0
}

// joins tells whether a gap may stand within a number.
func joins(gap string) bool {
	if len(gap) == 1 && gap != " " { // most often
		return strings.Contains("-.()/+", gap)
	}
	n := 0
	for _, r := range gap {
		if n++; n > 3 || !strings.ContainsRune(" -.()/+\u00a0\u2009\u202f\u2010\u2011\u2012\u2013\u2014\u2212", r) {
			return false
		}
	}
	return n > 0
}

// isFraction tells whether a group of digits begins a decimal fraction and
// nothing more: 12.345678 and not 513.555.0199.
func isFraction(all []token, i int) bool {
	dotted := func(i int) bool {
		return i >= 0 && i+2 < len(all) && all[i].digits && all[i+1].text == "." && all[i+2].digits
	}
	return dotted(i) && !dotted(i-2) && !dotted(i+2)
}

// ofFraction tells whether a group of digits is what follows the point.
func ofFraction(all []token, i int) bool { return i >= 2 && isFraction(all, i-2) }

// hexAt finds 0x and a number's digits in hexadecimal, which are groups of
// letters and of digits without a gap.
func (c *census) hexAt(all []token, i int) int {
	if all[i].text != "0" || i+1 == len(all) || all[i+1].text[0] != 'x' {
		return 0
	}
	var b strings.Builder
	j := i + 1
	for ; j < len(all) && !all[j].gap; j++ {
		b.WriteString(all[j].text)
	}
	if c.hex[b.String()[1:]] {
		return j
	}
	return 0
}

func (c *census) nameAt(all []token, i int) int {
	if all[i].digits {
		return 0
	}
	if i+2 < len(all) && !all[i+2].digits && len(all[i+1].text) <= 3 && all[i+1].gap && c.pairs[both(all[i].hash, all[i+2].hash)] {
		return i + 3
	}
	if c.words[all[i].exact] && (i == 0 || all[i-1].gap) && (i+1 == len(all) || all[i+1].gap) {
		return i + 1
	}
	return 0
}

func (c *census) textAt(all []token, i int) int {
	h := uint64(0)
	for j, words := i, 0; j < len(all) && words < textWords; j++ {
		if all[j].gap {
			continue
		}
		h = both(h, all[j].hash)
		if words++; words > 1 && c.texts[h] {
			return j + 1
		}
	}
	return 0
}

var address = regexp.MustCompile(`[^\s"'<>(){}\[\],;:=&?|/\\@]+@[\w.-]+`)

// addresses finds e-mail addresses.
func (c *census) addresses(line string, all []token) []mark {
	var marks []mark
	for _, at := range address.FindAllStringIndex(line, -1) {
		if !c.emails[strings.TrimRight(strings.ToLower(line[at[0]:at[1]]), ".-")] {
			continue
		}
		m := mark{kind: "e-mail", from: -1}
		for i, place := 0, 0; i < len(all) && place < at[1]; i++ {
			end := place + len(all[i].text)
			if m.from < 0 && end > at[0] {
				m.from = i
			}
			place, m.to = end, i+1
		}
		marks = append(marks, m)
	}
	return marks
}

func kinds(marks []mark) string {
	var all []string
	for _, m := range marks {
		if s := strings.Join(all, ","); !strings.Contains(s, m.kind) {
			all = append(all, m.kind)
		}
	}
	return strings.Join(all, ", ")
}

// mask writes a line without what was found, and without digits in the
// neighbourhood that could be more of it.
func mask(all []token, marks []mark) string {
	const most = 400
	within := make([]string, len(all))
	for _, m := range marks {
		for i := m.from; i < m.to; i++ {
			within[i] = m.kind
		}
	}
	var b strings.Builder
	for i, t := range all {
		switch {
		case within[i] != "" && (i == 0 || within[i-1] != within[i]):
			b.WriteString("<" + within[i] + ">")
		case within[i] != "":
		case t.digits && len(t.text) >= shortest:
			b.WriteString(strings.Repeat("#", utf8.RuneCountInString(t.text)))
		default:
			b.WriteString(t.text)
		}
		if b.Len() > most {
			b.WriteString(" …")
			break
		}
	}
	return b.String()
}
