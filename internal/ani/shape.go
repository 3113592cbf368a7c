package ani

import (
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"
)

// dialled is what is left of a text once it has been taken apart: digits, at
// least one, and what the text said of how they are meant.
type dialled struct {
	digits string
	// plus: the digits begin with a country code.
	plus bool
	// spaced: a space stood before the first digit, which may have been a
	// plus before a query string was decoded.
	spaced bool
	// bare: nothing but the digits, and perhaps a plus, was written.
	bare bool
	// context is the region that a tel: address names for a local number, ""
	// where it names none.
	context string
}

// shape takes a folded text apart. A result with a reason ends the way: the
// text is an address of nobody, or holds more or less than one number.
//
// Accepted are, with spaces at either end and schemes in any case:
//
//	+1 (513) 555-7611                  a plain spelling, see spell
//	+15135557611x22  …;ext=22          with an extension, which is left out
//	tel:+1-513-555-7611;ext=22         RFC 3966, with or without parameters
//	sip:+15135557611@host;user=phone   also sips:, and without any scheme
//	"Name" <sip:+15135557611@host>;tag=1   the address decides; who set the
//	                                   name knew no more than we do
//
// A number outside a scheme takes no parameter but ;ext=, and a SIP address no
// header part (?x=y): neither comes from a telephone.
func shape(text string) (dialled, Result) {
	s := strings.Trim(text, " ")
	if strings.ContainsAny(s, "{}") {
		return dialled{}, invalid(ReasonTemplate)
	}
	if strings.Contains(s, "<") {
		var ok bool
		if s, ok = angleAddress(s); !ok {
			return dialled{}, invalid(ReasonAddress)
		}
	}
	scheme, rest := cutScheme(s)
	switch {
	case scheme == "tel":
		return telAddress(rest)
	case scheme == "sip", strings.Contains(s, "@"):
		return sipAddress(rest)
	}
	d, r := spell(s)
	d.spaced = text[0] == ' ' && isDigit(s[0])
	return d, r
}

// cutScheme takes tel:, sip: or sips: away; scheme is "" where none of them is
// there.
func cutScheme(s string) (scheme, rest string) {
	before, after, found := strings.Cut(s, ":")
	if !found {
		return "", s
	}
	switch strings.ToLower(before) {
	case "tel":
		return "tel", after
	case "sip", "sips":
		return "sip", after
	default:
		return "", s
	}
}

// angleAddress is the address in `name <address>;parameters`, the form of a
// From header (RFC 3261, 20.10). The address has to have a scheme: without
// one, angle brackets are markup.
func angleAddress(s string) (address string, ok bool) {
	rest, ok := afterName(s)
	if !ok {
		return "", false
	}
	address, tail, found := strings.Cut(rest, ">")
	if scheme, _ := cutScheme(address); !found || scheme == "" {
		return "", false
	}
	if tail = strings.Trim(tail, " "); tail != "" {
		if _, ok := parameters(tail); !ok {
			return "", false
		}
	}
	return address, true
}

// afterName is what follows the name and the opening bracket. A name is quoted,
// or of the characters that need no quotes; letters of any language pass.
func afterName(s string) (rest string, ok bool) {
	if quoted, found := strings.CutPrefix(s, `"`); found {
		name, rest, _ := strings.Cut(quoted, `"`)
		rest, found = strings.CutPrefix(strings.TrimLeft(rest, " "), "<")
		return rest, found && !strings.Contains(name, `\`)
	}
	name, rest, _ := strings.Cut(s, "<")
	for _, c := range name {
		if !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune(" -.!%*_+`'~", c) {
			return "", false
		}
	}
	return rest, true
}

// telAddress reads what follows "tel:" (RFC 3966), and the user part of a SIP
// address, which has the same form.
func telAddress(s string) (dialled, Result) {
	number, params, ok := cutParameters(s)
	if !ok {
		return dialled{}, invalid(ReasonAddress)
	}
	if isMarkerWord(number) {
		return dialled{}, anonymous(ReasonWord)
	}
	d, r := spell(number)
	if r.Reason != "" {
		return d, r
	}
	return d.with(params)
}

// sipAddress reads what follows "sip:" or "sips:" (RFC 3261, 19.1.1), or an
// address whose scheme is missing: the user part is the number. Where there is
// no @, all of it is: gateways write sip:15135557611.
func sipAddress(s string) (dialled, Result) {
	user, host, hasHost := strings.Cut(s, "@")
	if hasHost {
		hostport, _, ok := cutParameters(host)
		if !ok || !isHost(hostport) {
			return dialled{}, invalid(ReasonAddress)
		}
		name, _, _ := strings.Cut(hostport, ":")
		if strings.EqualFold(name, privacyHost) {
			return dialled{}, anonymous(ReasonSIPPrivacy)
		}
	}
	return telAddress(user)
}

// with adds what the parameters of an address say of its number.
func (d dialled) with(params map[string]string) (dialled, Result) {
	if _, ok := params["ext"]; ok {
		d.bare = false
	}
	context := params["phone-context"]
	if d.plus || !strings.HasPrefix(context, "+") {
		return d, Result{} // a domain says nothing of the numbering plan
	}
	// RFC 3966 (5.1.5): the context need not be what is missing in front of
	// the number, so it only names the country.
	code := 0
	for i := 1; i < len(context) && i <= 3 && context[i] >= '0' && context[i] <= '9'; i++ {
		code = code*10 + int(context[i]-'0')
		if phonenumbers.GetSupportedCallingCodes()[code] {
			d.context = phonenumbers.GetRegionCodeForCountryCode(code)
			return d, Result{}
		}
	}
	return d, invalid(ReasonCountryCode)
}

// cutParameters parts `value;name=value;…`.
func cutParameters(s string) (value string, params map[string]string, ok bool) {
	i := strings.IndexByte(s, ';')
	if i < 0 {
		return s, nil, true
	}
	params, ok = parameters(s[i:])
	return s[:i], params, ok
}

// parameters reads `;name` and `;name=value`, names in small letters. A name
// begins with a letter, so that a second number is no parameter.
func parameters(s string) (map[string]string, bool) {
	params := map[string]string{}
	for _, p := range strings.Split(s, ";")[1:] {
		name, value, hasValue := strings.Cut(p, "=")
		if name == "" || !isLetter(name[0]) || !consistsOf(name, "-") ||
			hasValue && (value == "" || !consistsOf(value, "-_.!~*'()[]/:&+$%")) {
			return nil, false
		}
		params[strings.ToLower(name)] = value
	}
	return params, strings.HasPrefix(s, ";")
}

func isHost(s string) bool { return s != "" && consistsOf(s, "-._:[]") }

// consistsOf tells whether s is ASCII letters, digits and the others only.
func consistsOf(s, others string) bool {
	for i := range len(s) {
		if !isLetter(s[i]) && !isDigit(s[i]) && strings.IndexByte(others, s[i]) < 0 {
			return false
		}
	}
	return true
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
