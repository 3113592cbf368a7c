// Package ani reads the number of a caller: text to E.164, or to a class that
// says why there is no number in it.
//
// A contact centre hands the ANI on as whatever text it has: +15135557611, the
// same with its plus decoded to a space, a SIP address, the word "anonymous",
// the name of a variable that nobody filled in. The phones in Zendesk are free
// text as well. Both go through the one [Normalizer] here, so that two
// spellings of a number meet in one key, and so that nothing which is no
// number is ever taken for a key or handed on to a search.
//
// The way of a text, one file a step:
//
//	fold.go     bound its length, refuse what may split or reorder a line,
//	            write Unicode digits, hyphens and spaces as ASCII
//	markers.go  the words, keypad spellings and zeros that mean "no caller id"
//	shape.go    take a tel: or sip: address apart, leave an extension out,
//	            and take a plain spelling down to its digits
//	read.go     ask phonenumbers what the digits are: the default region, the
//	            extra regions, international; a valid reading first, else a
//	            possible one
//
// A key is a number that normalises to itself. phonenumbers does not promise
// that (one +digits text in 27 comes out changed, and a few of those change
// again when they are read again), so a reading that does not is no number.
//
// A number here is personal data: no error and no reason holds any part of the
// text. What a log needs is [Mask].
package ani

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Class says what a text is.
type Class uint8

// The classes. The zero value is Invalid, so that nothing becomes a number by
// being forgotten.
const (
	// Invalid is a text that is no caller's number.
	Invalid Class = iota
	// Anonymous is a caller who withheld the number, or a flow that has none.
	Anonymous
	// ShortCode is three to six bare digits: an emergency number, an SMS
	// short code, an internal extension. It names no subscriber.
	ShortCode
	// Number is a number in E.164.
	Number
)

// String is the class's name as the API says it.
func (c Class) String() string {
	switch c {
	case Anonymous:
		return "anonymous"
	case ShortCode:
		return "short_code"
	case Number:
		return "number"
	default:
		return "invalid"
	}
}

// Reasons of a Result, each in one word. They are part of the API's answers.
const (
	// Why a text is anonymous.
	ReasonEmpty      = "empty"       // nothing but spaces
	ReasonWord       = "word"        // "anonymous", "restricted", "null" …
	ReasonKeypad     = "keypad"      // such a word typed on a telephone's keys
	ReasonZeroFilled = "zero_filled" // all zeros, or all of it behind the country code
	ReasonSIPPrivacy = "sip_privacy" // the host anonymous.invalid of RFC 3323

	// Why a text is a short code.
	ReasonShortCode = "short_code"

	// Why a text is invalid.
	ReasonTooLong     = "too_long"          // more than MaxBytes
	ReasonEncoding    = "bad_encoding"      // not UTF-8
	ReasonControl     = "control_character" // NUL, tab, line end, escape …
	ReasonBidi        = "bidi_override"     // text that would be shown otherwise than it reads
	ReasonTemplate    = "template"          // a placeholder that was not expanded
	ReasonDialString  = "dial_string"       // *, #, a comma: keys and pauses
	ReasonLetters     = "letters"           // a vanity number, a name, an operator
	ReasonAddress     = "bad_address"       // a tel: or sip: address that is not well formed
	ReasonMalformed   = "malformed"         // other junk, or punctuation out of place
	ReasonNoDigits    = "no_digits"         // "+", "()"
	ReasonRepeated    = "repeated_digits"   // a placeholder: ten equal digits
	ReasonLocalOnly   = "local_only"        // an area code is missing
	ReasonTooShort    = "too_short"         // for a number of any country
	ReasonTooMany     = "too_many_digits"   // for a number of any country
	ReasonCountryCode = "country_code"      // of no country
	ReasonNotPossible = "not_possible"      // no number of that country has this length
	ReasonUnstable    = "unstable"          // does not normalise to itself
)

// Result is what a text was read as.
type Result struct {
	Class Class
	// E164 is the number, "+" and 7 to 15 digits; "" for any other class.
	E164 string
	// Reason is one of the Reason words, "" for a number.
	Reason string
}

func invalid(reason string) Result   { return Result{Class: Invalid, Reason: reason} }
func anonymous(reason string) Result { return Result{Class: Anonymous, Reason: reason} }

// Normalizer reads texts for a default region and any number of extra ones.
// It does not change once made: safe for concurrent use.
type Normalizer struct {
	regions     []string // the default region first
	codes       []string // their country codes, in digits, each once
	fingerprint string
}

// RegionError names a region that phonenumbers has no numbering plan for.
type RegionError struct {
	Region string
}

func (e *RegionError) Error() string {
	return fmt.Sprintf("phone region %q is unknown: allowed are the %d two-letter codes of ISO 3166 "+
		"that have a numbering plan, such as US, GB or DE", e.Region, len(phonenumbers.GetSupportedRegions()))
}

// Regions are the codes that New takes, sorted.
func Regions() []string {
	return slices.Sorted(maps.Keys(phonenumbers.GetSupportedRegions()))
}

// New makes a Normalizer. National spellings are read as numbers of
// defaultRegion, then of each of extraRegions in their order. Codes may be in
// small letters; one that comes twice counts once. An unknown one is a
// [*RegionError].
func New(defaultRegion string, extraRegions ...string) (*Normalizer, error) {
	n := &Normalizer{}
	for _, given := range append([]string{defaultRegion}, extraRegions...) {
		region := strings.ToUpper(strings.TrimSpace(given))
		if !phonenumbers.GetSupportedRegions()[region] {
			return nil, &RegionError{Region: given}
		}
		if slices.Contains(n.regions, region) {
			continue
		}
		n.regions = append(n.regions, region)
		code := fmt.Sprint(phonenumbers.GetCountryCodeForRegion(region))
		if !slices.Contains(n.codes, code) {
			n.codes = append(n.codes, code)
		}
	}
	var err error
	if n.fingerprint, err = fingerprint(n.regions); err != nil {
		return nil, err
	}
	return n, nil
}

// Normalize reads a text. It never fails and never panics: what cannot be read
// is Invalid. The work is bounded by MaxBytes, whatever the text.
func (n *Normalizer) Normalize(raw string) Result {
	text, refused := fold(raw)
	if refused != "" {
		return invalid(refused)
	}
	if r, ok := wordMarker(strings.Trim(text, " ")); ok {
		return r
	}
	d, r := shape(text)
	if r.Reason != "" {
		return r
	}
	if r, ok := n.digitMarker(d); ok {
		return r
	}
	return n.read(d)
}

// Key is the key under which a phone that Zendesk holds can be found. ok is
// false for every class but Number.
func (n *Normalizer) Key(raw string) (e164 string, ok bool) {
	r := n.Normalize(raw)
	return r.E164, r.Class == Number
}

// Fingerprint stands for everything that a key depends on: the regions in
// their order, the rules here, and phonenumbers' code and numbering plans. A
// store whose keys were made under another one has to make them again.
func (n *Normalizer) Fingerprint() string { return n.fingerprint }
