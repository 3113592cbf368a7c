package ani

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unicode"
)

var e164Pattern = regexp.MustCompile(`^\+[1-9]\d{6,14}$`)

// lawful says what is wrong with a result, whatever the text was; "" where
// nothing is.
func lawful(n *Normalizer, raw string, r Result) string {
	if r.Class != Number {
		if r.E164 != "" || r.Reason == "" {
			return fmt.Sprintf("class %v with number %q and reason %q", r.Class, r.E164, r.Reason)
		}
		return ""
	}
	again := r
	if raw != r.E164 {
		again = n.Normalize(r.E164)
	}
	switch {
	case r.Reason != "":
		return "a number with the reason " + r.Reason
	case !e164Pattern.MatchString(r.E164):
		return "no E.164: " + r.E164
	case !Canonical(r.E164):
		return "not canonical: " + r.E164
	case again != r:
		return fmt.Sprintf("%s becomes %+v when it is read again", r.E164, again)
	case National(r.E164) == "" || !strings.HasSuffix(r.E164, National(r.E164)):
		return fmt.Sprintf("the national part of %s is %q", r.E164, National(r.E164))
	case strings.ContainsFunc(raw, unicode.IsControl):
		return "a number from a text with control characters"
	case len(raw) > MaxBytes:
		return "a number from a text past the bound"
	}
	return ""
}

// phonenumbers changes some four in a hundred of such texts, and two in a
// thousand once more; a hundred thousand take about a second, and ten times that
// under the race detector, which looks for something else.
func TestEveryNumberNormalisesToItself(t *testing.T) {
	texts := 100_000
	if underRace {
		texts /= 20
	}
	n := mustNew(t, "US", "GB", "DE")
	workers := runtime.GOMAXPROCS(0)
	var all sync.WaitGroup
	numbers := make([]int, workers)
	for w := range workers {
		all.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(w)))
			for range texts / workers {
				text := randomDigits(random)
				r := n.Normalize(text)
				if wrong := lawful(n, text, r); wrong != "" {
					t.Errorf("%s: %s", text, wrong)
					return
				}
				if r.Class == Number {
					numbers[w]++
				}
			}
		})
	}
	all.Wait()
	for w, found := range numbers {
		if found < texts/workers/10 {
			t.Errorf("worker %d found %d numbers only: the test looks at nothing", w, found)
		}
	}
}

// randomDigits is a plus and 7 to 15 digits, the first of them not 0.
func randomDigits(random *rand.Rand) string {
	digits := make([]byte, 1+minE164+random.IntN(maxE164-minE164+1))
	digits[0] = '+'
	for i := 1; i < len(digits); i++ {
		digits[i] = '0' + byte(random.IntN(10))
	}
	if digits[1] == '0' {
		digits[1] = '1'
	}
	return string(digits)
}

func FuzzNormalize(f *testing.F) {
	for _, seed := range []string{
		"", "+12125550123", "2125550123", " 12125550123", "%252B12125550123", "+1 (212) 555-0123 ext. 22",
		"tel:2125550123;phone-context=+1", `"A" <sip:+12125550123;ext=2@[::1]:5060;x=y>;tag=1`, "anonymous",
		"+266696687", "00442079460123", "+44 (0)20 7946 0123", "+9500649335", "\u202e+1", "+1212\u200b5550123",
		"\u0661\u0662\u0661", "1-800-FLOWERS", "911", "2125550123,,1#", "{{ani}}", "\xff", "+10000000000",
	} {
		f.Add(seed)
	}
	var normalizers []*Normalizer
	for _, regions := range []string{"US", "GB US", "DE AT CH", "IT SM", "MX US", "AR", "BR", "SG"} {
		normalizers = append(normalizers, mustNew(f, strings.Fields(regions)...))
	}
	f.Fuzz(func(t *testing.T, raw string) {
		for _, n := range normalizers {
			if wrong := lawful(n, raw, n.Normalize(raw)); wrong != "" {
				t.Errorf("%q, regions %v: %s", raw, n.regions, wrong)
			}
		}
		if masked := Mask(raw); len(masked) > maskLength || strings.Trim(masked, "+*0123456789") != "" {
			t.Errorf("Mask gives %q", masked)
		}
		National(raw)
	})
}

func FuzzFold(f *testing.F) {
	f.Add("+１ ２１２\u2010５５５\u00a0０１２３")
	f.Add("\u202a+1\u202c")
	f.Add("\xc3\x28")
	f.Fuzz(func(t *testing.T, raw string) {
		text, refused := fold(raw)
		if refused != "" {
			if text != "" {
				t.Errorf("%q: refused as %s, and yet %q", raw, refused, text)
			}
			return
		}
		if again, refused := fold(text); again != text || refused != "" {
			t.Errorf("%q folds to %q, and that to %q (%s)", raw, text, again, refused)
		}
		if strings.ContainsFunc(text, unicode.IsControl) || len(text) > MaxBytes {
			t.Errorf("%q folds to %q", raw, text)
		}
	})
}
