package speech

import (
	"bytes"
	"strconv"
	"time"
	"unicode/utf8"

	"golang.org/x/text/feature/plural"

	"aniproxy/internal/caller"
)

// Call is what may be said of one call.
type Call struct {
	// Known tells that a person is known and may be spoken to; false is the
	// neutral sentence, whatever else stands here.
	Known bool
	// FirstName is "" where no name may be said, as of a number that several
	// people share. What is no name is not said either: see appendName.
	FirstName string
	// Ticket is the one to speak of, nil where there is none.
	//
	// Of its state only Status is looked at: a custom status has the status
	// of its category there, and speaks through it.
	Ticket *caller.Ticket
	// Others counts the further unresolved tickets.
	Others int
	// TicketsUnknown tells that the absence of tickets is not proved: without
	// a ticket the caller is greeted and no more.
	TicketsUnknown bool
	Now            time.Time
}

const (
	speakOpen  = "<speak>"
	speakClose = "</speak>"
	// roomSSML is what is left of maxSSML between the two.
	roomSSML = maxSSML - len(speakOpen) - len(speakClose)
	// pause parts sentences. It is longer than a full stop's own, since
	// somebody on the phone has to follow.
	pause       = ` <break time="300ms"/>`
	digitsOpen  = `<say-as interpret-as="characters">`
	digitsClose = `</say-as>`
	// unbroken stands for the space between two digits of a ticket's number
	// while a text is cut: half a number would be another number.
	unbroken = '\x1f'
)

// role is a place in what is said, in the order of speaking.
type role int

const (
	roleGreeting role = iota
	roleTicket        // or that there is none
	roleUpdated
	roleSubject
	roleOthers
	roles
)

// said is what is said of one call, before it is text or SSML. It holds the
// buffers that its words are cleaned into, so that nothing is allocated.
type said struct {
	lines  [roles]*sentence // nil where nothing is said
	counts [roles]int

	// Slices of the rooms would move all of this to the heap: lengths do not.
	nameRoom                                                [4 * maxName]byte
	subjectRoom                                             [4 * maxSubject]byte
	digitsRoom                                              [20]byte // an int64
	nameLen, nameChars, subjectLen, subjectChars, digitsLen int
}

func (a *said) name() []byte    { return a.nameRoom[:a.nameLen] }
func (a *said) subject() []byte { return a.subjectRoom[:a.subjectLen] }
func (a *said) digits() []byte  { return a.digitsRoom[:a.digitsLen] }

// Append appends what is said of a call, as text and as SSML, to the two
// slices. It always says something. Safe for concurrent use; c is only read.
func (v *Voice) Append(text, ssml []byte, c *Call) (t, s []byte) {
	if v.neutral(c) {
		return append(text, v.Text...), append(ssml, v.SSML...)
	}
	var all said
	all.plan(v, c)
	return all.appendText(text, v.maxChars), all.appendSSML(ssml)
}

// neutral tells whether nothing may be said of anyone.
func (v *Voice) neutral(c *Call) bool { return !c.Known || v.reveal == RevealNothing }

// plan chooses the sentences and cleans what goes into them.
func (a *said) plan(v *Voice, c *Call) {
	a.lines[roleGreeting] = &v.lines[greeting]
	if v.reveal == RevealNameAndStatus && c.FirstName != "" {
		if a.nameLen = len(appendName(a.nameRoom[:0], c.FirstName)); a.nameLen > 0 {
			a.nameChars = utf8.RuneCount(a.name())
			a.lines[roleGreeting] = &v.lines[greetingName]
		}
	}
	ticket := c.Ticket
	if ticket == nil {
		if !c.TicketsUnknown && c.Others <= 0 {
			a.lines[roleTicket] = &v.lines[nothingOpen]
		}
		return
	}
	if ticket.ID <= 0 { // no ticket of Zendesk's: nothing can be said of it
		return
	}
	a.digitsLen = len(strconv.AppendInt(a.digitsRoom[:0], ticket.ID, 10))
	a.lines[roleTicket] = &v.lines[kindOfStatus(ticket.Status)]
	if k, count, ok := since(ticket.UpdatedAt, c.Now, v.zone); ok {
		a.lines[roleUpdated], a.counts[roleUpdated] = &v.lines[k], count
	}
	if v.includeSubject {
		if a.subjectLen = len(appendSubject(a.subjectRoom[:0], ticket.Subject)); a.subjectLen > 0 {
			a.subjectChars = utf8.RuneCount(a.subject())
			a.lines[roleSubject] = &v.lines[subject]
		}
	}
	if c.Others > 0 {
		a.lines[roleOthers], a.counts[roleOthers] = &v.lines[othersOf(v, c.Others)], c.Others
	}
}

// kindOfStatus finds the sentence for a ticket's state.
func kindOfStatus(status string) kind {
	switch status {
	case "new":
		return ticketNew
	case "open":
		return ticketOpen
	case "pending":
		return ticketPending
	case "hold":
		return ticketHold
	case "solved":
		return ticketSolved
	case "closed":
		return ticketClosed
	default:
		return ticketOther
	}
}

// othersOf asks CLDR which plural a number has. The languages here know one
// and other for whole numbers; the rules want no more than seven places.
func othersOf(v *Voice, n int) kind {
	if plural.Cardinal.MatchPlural(v.tag, n%10_000_000, 0, 0, 0, 0) == plural.One {
		return othersOne
	}
	return othersOther
}

// form is one of the two ways of saying it.
type form bool

const (
	asText form = false
	asSSML form = true
)

// between is the length, in characters, of what parts two sentences.
func (f form) between() int {
	if f == asSSML {
		return len(pause)
	}
	return len(" ")
}

// chars is how long a sentence will be, in characters.
func (a *said) chars(r role, f form) int {
	n := a.lines[r].chars
	for _, p := range a.lines[r].pieces {
		switch p.slot {
		case slotFirstName:
			n += a.nameChars
		case slotSubject:
			n += a.subjectChars
		case slotTicket:
			if f == asSSML {
				n += len(digitsOpen) + a.digitsLen + len(digitsClose)
			} else {
				n += 2*a.digitsLen - 1
			}
		case slotCount:
			for count := a.counts[r]; count > 0; count /= 10 {
				n++
			}
		}
	}
	return n
}

// fit leaves out whole sentences, the least needed first, until the rest is at
// most limit characters long, and tells whether it is. The greeting goes last
// and only where the ticket needs its room; the ticket never goes.
func (a *said) fit(f form, limit int) (out [roles]bool, fits bool) {
	total := -f.between()
	var length [roles]int
	for r := range roles {
		if a.lines[r] == nil {
			out[r] = true
			continue
		}
		length[r] = a.chars(r, f) + f.between()
		total += length[r]
	}
	for _, r := range [...]role{roleOthers, roleSubject, roleUpdated, roleGreeting} {
		if total <= limit {
			return out, true
		}
		if out[r] || r == roleGreeting && out[roleTicket] {
			continue
		}
		out[r] = true
		total -= length[r]
	}
	return out, total <= limit
}

// appendText appends one line of at most limit characters.
func (a *said) appendText(dst []byte, limit int) []byte {
	out, fits := a.fit(asText, limit)
	parting := byte(' ')
	if !fits {
		parting = unbroken
	}
	start := len(dst)
	for r := range roles {
		if out[r] {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ' ')
		}
		dst = a.appendLine(dst, r, asText, parting)
	}
	if fits {
		return dst
	}
	end := start + len(cut(dst[start:], limit))
	for i := start; i < end; i++ {
		if dst[i] == unbroken {
			dst[i] = ' '
		}
	}
	return dst[:end]
}

// appendSSML appends a <speak> element of at most maxSSML characters, which
// always has room for greeting and ticket: see there.
func (a *said) appendSSML(dst []byte) []byte {
	out, _ := a.fit(asSSML, roomSSML)
	dst = append(dst, speakOpen...)
	start := len(dst)
	for r := range roles {
		if out[r] {
			continue
		}
		if len(dst) > start {
			dst = append(dst, pause...)
		}
		dst = a.appendLine(dst, r, asSSML, 0)
	}
	return append(dst, speakClose...)
}

// appendLine appends one sentence. Nothing in it needs escaping: of the words
// and of what fills them in, everything that XML could take for markup, or
// does not allow, has been refused or left out before.
func (a *said) appendLine(dst []byte, r role, f form, parting byte) []byte {
	for _, p := range a.lines[r].pieces {
		dst = append(dst, p.words...)
		switch p.slot {
		case slotFirstName:
			dst = append(dst, a.name()...)
		case slotSubject:
			dst = append(dst, a.subject()...)
		case slotCount:
			dst = strconv.AppendInt(dst, int64(a.counts[r]), 10)
		case slotTicket:
			if f == asSSML {
				dst = append(dst, digitsOpen...)
				dst = append(dst, a.digits()...)
				dst = append(dst, digitsClose...)
				break
			}
			for i, d := range a.digits() {
				if i > 0 {
					dst = append(dst, parting)
				}
				dst = append(dst, d)
			}
		}
	}
	return dst
}

// cut shortens a text to at most limit characters, before a word where there
// is one.
func cut(text []byte, limit int) []byte {
	end := 0
	for range limit {
		if end == len(text) {
			return text
		}
		_, size := utf8.DecodeRune(text[end:])
		end += size
	}
	if end == len(text) {
		return text
	}
	if word := bytes.LastIndexByte(text[:end+1], ' '); word > 0 { // one at end itself too
		end = word
	}
	return bytes.TrimRight(text[:end], " ,;:-")
}
