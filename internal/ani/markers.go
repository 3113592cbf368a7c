package ani

import (
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// markerWords are what platforms, gateways and flows say instead of a number,
// in small letters and without what parts them: "No Caller ID" is nocallerid.
// The first rows are a telephone network's words, the last is what an unset
// variable becomes on its way through a flow.
var markerWords = map[string]bool{
	"anonymous": true, "anonymouscaller": true,
	"restricted": true, "restrictednumber": true,
	"private": true, "privatecaller": true, "privatenumber": true,
	"unknown": true, "unknowncaller": true, "unknownnumber": true,
	"unavailable": true, "notavailable": true, "idunavailable": true, "calleridunavailable": true,
	"blocked": true, "blockedcaller": true, "blockednumber": true, "calleridblocked": true,
	"withheld": true, "numberwithheld": true, "hidden": true, "hiddennumber": true,
	"nocallerid": true, "nonumber": true, "outofarea": true, "unidentified": true, "confidential": true,
	"null": true, "nil": true, "none": true, "undefined": true, "unset": true, "na": true, "nan": true,
}

// keypadWords are the words that exchanges spell on the keys of a telephone
// where only digits may stand. They are real numbers too (7378742833 is one of
// Austin, 266696687 begins like one of Lesotho), so they count only as bare
// digits. Longer and shorter words are left out: 94844353, WITHHELD, would
// take a mobile away from somebody in Norway.
var keypadWords = map[string]bool{
	"266696687":   true, // ANONYMOUS
	"7378742833":  true, // RESTRICTED
	"86282452253": true, // UNAVAILABLE
	"7748283":     true, // PRIVATE
	"8656696":     true, // UNKNOWN
}

// keypadAnonymous is the one spelling that gateways put a plus in front of:
// no number of Lesotho is as long.
const keypadAnonymous = "266696687"

// privacyHost is the host of an address that RFC 3323 (4.1.1.3) takes the
// caller out of.
const privacyHost = "anonymous.invalid"

// wordMarker finds the words that mean "no caller id", and the empty text.
func wordMarker(text string) (Result, bool) {
	if text == "" {
		return anonymous(ReasonEmpty), true
	}
	if isMarkerWord(text) {
		return anonymous(ReasonWord), true
	}
	return Result{}, false
}

// isMarkerWord compares the letters alone: "N/A", "<unknown>", "Not-Available"
// and "+null" (a flow that writes a plus before an unset variable) are said
// words too. Anything else between them, a brace or a colon, makes it none.
func isMarkerWord(text string) bool {
	const longest = 40 // above any word with its quotes and spaces
	if len(text) > longest {
		return false
	}
	letters := make([]byte, 0, longest)
	for i := range len(text) {
		switch c := text[i] | 0x20; {
		case c >= 'a' && c <= 'z':
			letters = append(letters, c)
		case strings.IndexByte(` -_./'"()[]<>+`, text[i]) < 0:
			return false
		}
	}
	return markerWords[string(letters)]
}

// digitMarker finds the digits that mean something else than a subscriber, and
// the placeholders that people and systems fill a field with.
func (n *Normalizer) digitMarker(d dialled) (Result, bool) {
	bare := d.bare && !d.plus
	switch {
	case bare && keypadWords[d.digits], d.bare && d.plus && d.digits == keypadAnonymous:
		return anonymous(ReasonKeypad), true
	case allEqual(d.digits) && d.digits[0] == '0':
		return anonymous(ReasonZeroFilled), true
	case n.zeroNational(d):
		return anonymous(ReasonZeroFilled), true
	case bare && len(d.digits) >= 3 && len(d.digits) <= 6:
		return Result{Class: ShortCode, Reason: ReasonShortCode}, true
	case len(d.digits) >= repeatedDigits && allEqual(d.digits):
		return invalid(ReasonRepeated), true
	default:
		return Result{}, false
	}
}

// repeatedDigits is how many equal digits make a placeholder. Eight equal ones
// are somebody's number in Denmark.
const repeatedDigits = 10

// zeroNational tells whether nothing but zeros follows the country code. Where
// no plus says that there is one, only the regions' own codes count, and eight
// zeros have to follow: 47 000000 may be a number within Norway, whose country
// code is 47.
func (n *Normalizer) zeroNational(d dialled) bool {
	if d.plus {
		return zeroBehindCode(d.digits)
	}
	for _, code := range n.codes {
		rest, found := strings.CutPrefix(d.digits, code)
		if found && len(rest) >= 8 && strings.Trim(rest, "0") == "" {
			return true
		}
	}
	return false
}

// zeroBehindCode is the same for digits that begin with a country code.
func zeroBehindCode(digits string) bool {
	code := 0
	for i := 0; i < len(digits)-1 && i < 3; i++ {
		code = code*10 + int(digits[i]-'0')
		if phonenumbers.GetSupportedCallingCodes()[code] {
			return strings.Trim(digits[i+1:], "0") == ""
		}
	}
	return false
}

func allEqual(digits string) bool {
	return strings.Count(digits, digits[:1]) == len(digits)
}
