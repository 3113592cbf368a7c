package ani

import "github.com/nyaruka/phonenumbers"

// How many digits an E.164 number has: 15 at the most (ITU-T E.164, 6.2.1),
// and seven in the shortest plan there is, that of Niue.
const (
	minE164 = 7
	maxE164 = 15
)

// Canonical tells whether s looks like a number in E.164: a plus and 7 to 15
// digits, the first of them not 0. It costs nanoseconds and is NOT proof:
// +266696687 passes and means "anonymous". It makes s a candidate for a raw
// look-up whose hit may be trusted, because only numbers that normalise to
// themselves are ever stored; on a miss the text has to go through Normalize.
func Canonical(s string) bool {
	if len(s) < 1+minE164 || len(s) > 1+maxE164 || s[0] != '+' || s[1] == '0' {
		return false
	}
	for i := 1; i < len(s); i++ {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}

// National is the national significant number of an E.164 number, digits
// only, for a search by suffix: 5135557611 of +15135557611. A leading zero
// that belongs to the number, as in Italy, stays. It is "" where e164 is none.
func National(e164 string) string {
	if !Canonical(e164) {
		return ""
	}
	parsed, err := phonenumbers.Parse(e164, "")
	if err != nil {
		return ""
	}
	return phonenumbers.GetNationalSignificantNumber(parsed)
}

const (
	// maskLength bounds what Mask gives: longer than any spelling of a
	// number, short enough for a log line.
	maskLength = 32
	// maskShown is how many digits Mask shows at either end, and maskLeast
	// how many have to be hidden between them for that.
	maskShown = 2
	maskLeast = 3
)

// Mask makes a text fit for a log: +15135557611 becomes +15*******11. Only
// plus signs, the first two digits and the last two survive; any other
// character is a star, and of a number too short to hide anything in, all
// digits are. The result has at most 32 characters, whatever the text.
func Mask(s string) string {
	masked := make([]byte, 0, maskLength)
	digits := 0
	for _, r := range s { // invalid UTF-8 comes as one rune a byte
		if len(masked) == maskLength {
			break
		}
		c := byte('*')
		if r == '+' || r >= '0' && r <= '9' {
			c = byte(r)
		}
		if isDigit(c) {
			digits++
		}
		masked = append(masked, c)
	}
	seen := 0
	for i, c := range masked {
		if !isDigit(c) {
			continue
		}
		seen++
		shown := seen <= maskShown || seen > digits-maskShown
		if digits < 2*maskShown+maskLeast || !shown {
			masked[i] = '*'
		}
	}
	return string(masked)
}
