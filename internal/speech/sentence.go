package speech

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// kind is one of the sentences that a voice can say. Their names are those of
// an operator's [speech.templates.LANG], where each can be given other words.
// A sentence ends with its full stop; a placeholder with ! may not be left out.
//
//	name                 said                                        placeholders
//	neutral              to whom nothing may be said                 none
//	greeting             first, where no name is known or wanted     none
//	greeting_name        first, with a name                          {first_name}!
//	ticket_new           of a ticket that nobody has taken up        {ticket}
//	ticket_open          of one that is being worked on              {ticket}
//	ticket_pending       of one that waits for the caller            {ticket}
//	ticket_hold          of one that waits for somebody else         {ticket}
//	ticket_solved        of one that is solved                       {ticket}
//	ticket_closed        of one that is closed                       {ticket}
//	ticket_other         of one in a state unknown here              {ticket}
//	updated_today        of a ticket updated today                   {ticket}
//	updated_yesterday    yesterday                                   {ticket}
//	updated_days         2 to 13 days ago                            {count}! {ticket}
//	updated_weeks        2 to 8 weeks ago, rounded                   {count}! {ticket}
//	updated_months       2 to 12 months ago, rounded                 {count}! {ticket}
//	updated_over_a_year  longer ago                                  {ticket}
//	subject              where subjects are included                 {subject}! {ticket}
//	others_one           where one more ticket is open               {count}
//	others_other         where more than one more are                {count}
//	nothing_open         in place of all these                       none
//
// {ticket} is the ticket's number digit by digit, {count} a number in digits.
// The ending of others_… is the plural category of CLDR for the number.
type kind int

const (
	neutral kind = iota
	greeting
	greetingName
	ticketNew
	ticketOpen
	ticketPending
	ticketHold
	ticketSolved
	ticketClosed
	ticketOther
	updatedToday
	updatedYesterday
	updatedDays
	updatedWeeks
	updatedMonths
	updatedOverAYear
	subject
	othersOne
	othersOther
	nothingOpen
	kinds // how many there are
)

// slot is a placeholder, as a bit, so that a sentence has a set of them.
type slot uint8

const (
	slotFirstName slot = 1 << iota
	slotTicket
	slotCount
	slotSubject
)

var slotNames = []struct {
	slot slot
	name string
}{
	{slotFirstName, "first_name"},
	{slotTicket, "ticket"},
	{slotCount, "count"},
	{slotSubject, "subject"},
}

// rules has the name of each kind of sentence, the placeholders it may have,
// and those without which it makes no sense.
var rules = [kinds]struct {
	name           string
	allowed, needs slot
}{
	neutral:          {name: "neutral"},
	greeting:         {name: "greeting"},
	greetingName:     {name: "greeting_name", allowed: slotFirstName, needs: slotFirstName},
	ticketNew:        {name: "ticket_new", allowed: slotTicket},
	ticketOpen:       {name: "ticket_open", allowed: slotTicket},
	ticketPending:    {name: "ticket_pending", allowed: slotTicket},
	ticketHold:       {name: "ticket_hold", allowed: slotTicket},
	ticketSolved:     {name: "ticket_solved", allowed: slotTicket},
	ticketClosed:     {name: "ticket_closed", allowed: slotTicket},
	ticketOther:      {name: "ticket_other", allowed: slotTicket},
	updatedToday:     {name: "updated_today", allowed: slotTicket},
	updatedYesterday: {name: "updated_yesterday", allowed: slotTicket},
	updatedDays:      {name: "updated_days", allowed: slotTicket | slotCount, needs: slotCount},
	updatedWeeks:     {name: "updated_weeks", allowed: slotTicket | slotCount, needs: slotCount},
	updatedMonths:    {name: "updated_months", allowed: slotTicket | slotCount, needs: slotCount},
	updatedOverAYear: {name: "updated_over_a_year", allowed: slotTicket},
	subject:          {name: "subject", allowed: slotTicket | slotSubject, needs: slotSubject},
	othersOne:        {name: "others_one", allowed: slotCount},
	othersOther:      {name: "others_other", allowed: slotCount},
	nothingOpen:      {name: "nothing_open"},
}

// kindOf finds a sentence by its name.
func kindOf(name string) (k kind, ok bool) {
	for k := range kinds {
		if rules[k].name == name {
			return k, true
		}
	}
	return 0, false
}

// piece is a stretch of words and the placeholder after it, 0 for none.
type piece struct {
	words string
	slot  slot
}

// sentence is a wording that is ready to be filled in.
type sentence struct {
	pieces []piece
	// chars counts its words in characters, without what the placeholders
	// will hold.
	chars int
	// configured is true for an operator's own wording.
	configured bool
}

// compile reads a wording. What is wrong with it is said in words that go
// after the name of the key; "" is nothing.
func compile(wording string, k kind) (s sentence, problem string) {
	// French parts its colons by a space that does not break, and that is no
	// printable character; nothing breaks in speech.
	wording = strings.NewReplacer("\u00a0", " ", "\u202f", " ").Replace(wording)
	rest := strings.TrimSpace(wording)
	if rest == "" {
		return s, "is empty"
	}
	var used slot
	for rest != "" {
		words, after, open := strings.Cut(rest, "{")
		if problem := unfit(words); problem != "" {
			return s, problem
		}
		s.chars += utf8.RuneCountInString(words)
		if !open {
			s.pieces = append(s.pieces, piece{words: words})
			break
		}
		name, behind, closed := strings.Cut(after, "}")
		if !closed || strings.Contains(name, "{") {
			return s, "has a { that is not closed by a }"
		}
		holds, known := slotOf(name)
		switch {
		case !known:
			return s, fmt.Sprintf("has the unknown placeholder %.40q; %s", name, allowedIn(k))
		case rules[k].allowed&holds == 0:
			return s, fmt.Sprintf("may not have {%s}; %s", name, allowedIn(k))
		case used&holds != 0:
			return s, fmt.Sprintf("has {%s} twice", name)
		}
		used |= holds
		s.pieces = append(s.pieces, piece{words: words, slot: holds})
		rest = behind
	}
	if missing := rules[k].needs &^ used; missing != 0 {
		return s, "needs " + braced(missing)
	}
	return s, ""
}

// unfit says what a wording may not contain.
func unfit(words string) string {
	for _, r := range words {
		switch {
		case r == '}':
			return "has a } without a { before it"
		case !speakable(r):
			return fmt.Sprintf("contains %U: no quotes, apostrophes, brackets, markup, line breaks or invisible characters are allowed", r)
		}
	}
	return ""
}

func slotOf(name string) (slot, bool) {
	for _, s := range slotNames {
		if s.name == name {
			return s.slot, true
		}
	}
	return 0, false
}

func allowedIn(k kind) string {
	if rules[k].allowed == 0 {
		return "this sentence has no placeholders"
	}
	return "allowed here: " + braced(rules[k].allowed)
}

func braced(set slot) string {
	var names []string
	for _, s := range slotNames {
		if set&s.slot != 0 {
			names = append(names, "{"+s.name+"}")
		}
	}
	return strings.Join(names, ", ")
}
