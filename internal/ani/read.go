package ani

import (
	"errors"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// maxDigits is more than any spelling of a number has: 15 digits of E.164
// behind an exit code of up to four, and a trunk zero in brackets.
const maxDigits = 20

// reading is one way to read the digits: text as phonenumbers takes it, in a
// region ("" for a text with a plus).
type reading struct {
	text, region string
}

// readings are the ways to read the digits, the likeliest first. A space that
// may have been a plus counts as one before anything else, but a reading at
// home that is valid still beats one behind that plus which is only possible.
func (n *Normalizer) readings(d dialled) []reading {
	if d.plus {
		return []reading{{"+" + d.digits, ""}}
	}
	if d.context != "" {
		return []reading{{d.digits, d.context}}
	}
	var all []reading
	if d.spaced {
		all = append(all, reading{"+" + d.digits, ""})
	}
	for _, region := range n.regions {
		all = append(all, reading{d.digits, region})
	}
	return append(all, reading{"+" + international(d.digits), ""})
}

// international takes an exit code off: 00 of most of the world, 011 of the
// North American plan. Others are read where their region is configured. No
// country code begins with a nought, so nothing else is lost.
func international(digits string) string {
	for _, exit := range [...]string{"00", "011"} {
		if rest, found := strings.CutPrefix(digits, exit); found {
			return rest
		}
	}
	return digits
}

// read asks phonenumbers for each reading in turn. The first that is a valid
// number wins. Where none is, the first that is a possible one does: its
// length is right, but no plan has assigned it, as with the 555 numbers that
// tests and demonstrations use. A number without its area code is neither.
func (n *Normalizer) read(d dialled) Result {
	if len(d.digits) > maxDigits {
		return invalid(ReasonTooMany)
	}
	var possible string
	var refused Result
	readings := n.readings(d)
	for _, rd := range readings {
		number, e164, r := rd.number()
		switch {
		case r.Reason != "":
			if refused.Reason == "" || r.Class == Anonymous {
				refused = r
			}
		case len(readings) == 1, phonenumbers.IsValidNumber(number):
			return Result{Class: Number, E164: e164}
		case possible == "":
			possible = e164
		}
	}
	if possible != "" {
		return Result{Class: Number, E164: possible}
	}
	return refused
}

// number is what the reading comes to: a possible number that normalises to
// itself, or else the reason why it is none.
func (rd reading) number() (parsed *phonenumbers.PhoneNumber, e164 string, refused Result) {
	parsed, refused = rd.parse()
	if refused.Reason != "" {
		return nil, "", refused
	}
	e164 = phonenumbers.Format(parsed, phonenumbers.E164)
	refused = filled(e164, parsed)
	if refused.Reason == "" && e164 != rd.text && !stable(e164) {
		refused = invalid(ReasonUnstable)
	}
	return parsed, e164, refused
}

// parse wants a number whose length its country allows.
func (rd reading) parse() (*phonenumbers.PhoneNumber, Result) {
	parsed, err := phonenumbers.Parse(rd.text, rd.region)
	if err != nil {
		return nil, invalid(parseReason(err))
	}
	switch phonenumbers.IsPossibleNumberWithReason(parsed) {
	case phonenumbers.IS_POSSIBLE:
	case phonenumbers.IS_POSSIBLE_LOCAL_ONLY:
		return nil, invalid(ReasonLocalOnly)
	case phonenumbers.TOO_SHORT:
		return nil, invalid(ReasonTooShort)
	case phonenumbers.TOO_LONG:
		return nil, invalid(ReasonTooMany)
	default:
		return nil, invalid(ReasonNotPossible)
	}
	// Countries of very short or very long numbers: E.164 sets the upper
	// bound, and seven digits are the shortest number that a country has.
	switch digits := len(phonenumbers.Format(parsed, phonenumbers.E164)) - 1; {
	case digits < minE164:
		return nil, invalid(ReasonTooShort)
	case digits > maxE164:
		return nil, invalid(ReasonTooMany)
	}
	return parsed, Result{}
}

func parseReason(err error) string {
	switch {
	case errors.Is(err, phonenumbers.ErrInvalidCountryCode):
		return ReasonCountryCode
	case errors.Is(err, phonenumbers.ErrNumTooLong):
		return ReasonTooMany
	default:
		return ReasonTooShort
	}
}

// filled tells the placeholders that only show once the country code is known:
// +1 222 222 2222, or 1 000 000 0000 read outside the North American plan.
func filled(e164 string, parsed *phonenumbers.PhoneNumber) Result {
	national := phonenumbers.GetNationalSignificantNumber(parsed)
	switch {
	case strings.Trim(national, "0") == "":
		return anonymous(ReasonZeroFilled)
	case len(national) >= repeatedDigits && allEqual(national),
		len(e164)-1 >= repeatedDigits && allEqual(e164[1:]):
		return invalid(ReasonRepeated)
	default:
		return Result{}
	}
}

// stable tells whether a number is read as itself.
func stable(e164 string) bool {
	again, refused := reading{e164, ""}.parse()
	return refused.Reason == "" && phonenumbers.Format(again, phonenumbers.E164) == e164
}
