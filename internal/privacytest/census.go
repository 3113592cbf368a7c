package privacytest

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"aniproxy/internal/ani"
)

// census is who there is, as sets to look up in. Words and runs of words are
// kept as hashes of 64 bits: by chance one of a million words equals one of a
// million others once in ten million runs.
type census struct {
	ani     *ani.Normalizer
	read    map[string]bool // phones that are in the sets
	numbers map[string]bool // digits
	hex     map[string]bool // a number's digits as hexadecimal, as stacks show words
	emails  map[string]bool // in small letters
	words   map[uint64]bool // a part of a name as it is written
	pairs   map[uint64]bool // two parts of a name side by side
	texts   map[uint64]bool // the first words of a text, by how many: see textWords
}

const (
	// shortest is how many digits make a phone number.
	shortest = 7
	// longest is how many there may be, with a way to dial abroad before them.
	longest = 18
	// textWords is how many words of a text must stand in a row: an error that
	// cuts a subject keeps as many, and chance does not put them so.
	textWords = 4
	// textRunes makes a text of two words long enough to be compared.
	textRunes = 15
	// wordRunes is how long a part of a name is that is looked for alone.
	wordRunes = 4
)

func newCensus() *census {
	numbers, err := ani.New("US")
	if err != nil {
		panic(err) // a region that is a constant
	}
	return &census{
		ani: numbers, read: map[string]bool{}, numbers: map[string]bool{}, hex: map[string]bool{}, emails: map[string]bool{},
		words: map[uint64]bool{}, pairs: map[uint64]bool{}, texts: map[uint64]bool{},
	}
}

func (c *census) person(name, email string, phones []string) {
	if email != "" {
		c.emails[strings.ToLower(email)] = true
	}
	for _, phone := range phones {
		c.phone(phone)
	}
	parts := c.split(name)
	for i, p := range parts {
		// In small letters it may be any word: somebody is called number one.
		if first, _ := utf8.DecodeRuneInString(p.text); !unicode.IsLower(first) && utf8.RuneCountInString(p.text) >= wordRunes {
			c.words[p.exact] = true
		}
		if i > 0 {
			c.pairs[both(parts[i-1].hash, p.hash)] = true
			c.pairs[both(p.hash, parts[i-1].hash)] = true // Doe, Jane
		}
	}
}

// phone keeps a number in every form that its digits have without their
// separators: as written, as E.164, as it is dialled at home and from abroad.
func (c *census) phone(phone string) {
	if c.read[phone] {
		return
	}
	c.read[phone] = true
	e164, ok := c.ani.Key(phone)
	if !ok {
		return
	}
	national := ani.National(e164)
	for _, form := range []string{e164[1:], "00" + e164[1:], "011" + e164[1:], national, "0" + national, digitsOf(phone)} {
		if len(form) >= shortest && len(form) <= longest {
			c.numbers[form] = true
		}
	}
	c.hex[hexOf(e164[1:])] = true
	c.hex[hexOf(national)] = true
}

func (c *census) text(text string) {
	words := c.split(text)
	if len(words) < 2 || len(words) < 3 && utf8.RuneCountInString(text) < textRunes {
		return
	}
	h := uint64(0)
	for _, w := range words[:min(len(words), textWords)] {
		h = both(h, w.hash)
	}
	c.texts[h] = true
}

// split gives the words of a text.
func (c *census) split(text string) []token {
	var words []token
	for _, t := range tokens(nil, text) {
		if !t.gap {
			words = append(words, t)
		}
	}
	return words
}
