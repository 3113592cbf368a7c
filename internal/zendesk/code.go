package zendesk

import (
	"strings"
	"unicode"
)

// codeWords are what the codes of Zendesk's API are made of: those that are
// documented or have been seen, those of OAuth, and more of their kind.
const codeWords = " " +
	"access account action api app archived attribute attributes authentication authorization authorized availability bad " +
	"blank blocked body brand bulk cannot change client closed comment concurrent condition conflict content count create " +
	"created credentials cursor database deadlock delete deleted denied depth destination disabled duplicate duplicated email " +
	"empty endpoint entity error exceeded exists expired export external failed feature field fields follow followup " +
	"forbidden format found gateway grant group help id idempotency idempotent identity import incremental insufficient " +
	"internal invalid is job jobs key length limit limited limits load locked login long maintenance malformed many match " +
	"media merge method missing name not null number object of operation organization out page pagination param parameter " +
	"parameters params payment permanent permission permissions phone plan presence previous privileges processable processed " +
	"query quota range rate read record records redirect refused rejected request requested requester requests required " +
	"resource response restricted role safe scope search secret secure server service session short side size sort ssl start " +
	"status subscription support suspended system tag tags taken temporarily temporary recent ticket time timeout title to token too " +
	"trial trigger type unauthenticated unauthorized unavailable undefined unexpected unknown unprocessable unsupported " +
	"unverified update updated upload url usage user users validation value values verified verify version via view webhook " +
	"with write wrong "

// isKnownCode tells whether a code is made of such words alone, so that it can
// be no echo of what we sent: "Ramirez" has the form of a code, and so has a
// token of letters. Any other may be looked at and is not written down.
func isKnownCode(code string) bool {
	for word := range strings.FieldsFuncSeq(spaced(code), func(r rune) bool { return !unicode.IsLetter(r) }) {
		if !strings.Contains(codeWords, " "+strings.ToLower(word)+" ") {
			return false
		}
	}
	return code != ""
}

// spaced parts the words of a code: APIRateLimitExceeded becomes API Rate Limit
// Exceeded.
func spaced(code string) string {
	upper := func(i int) bool { return i < len(code) && code[i] >= 'A' && code[i] <= 'Z' }
	lower := func(i int) bool { return i < len(code) && code[i] >= 'a' && code[i] <= 'z' }
	var b strings.Builder
	for i := range len(code) {
		if i > 0 && upper(i) && (lower(i-1) || lower(i+1)) {
			b.WriteByte(' ')
		}
		b.WriteByte(code[i])
	}
	return b.String()
}
