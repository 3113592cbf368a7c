package ani

import (
	"crypto/sha256"
	"errors"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/nyaruka/phonenumbers"
)

func TestAnUnknownRegionIsNamed(t *testing.T) {
	for _, regions := range [][]string{{""}, {"UK"}, {"USA"}, {"001"}, {"ZZ"}, {"1"}, {"US", "XX"}, {"US", ""}} {
		_, err := New(regions[0], regions[1:]...)
		var unknown *RegionError
		if !errors.As(err, &unknown) {
			t.Errorf("%q: error %v", regions, err)
			continue
		}
		wrong := regions[len(regions)-1]
		if unknown.Region != wrong || !strings.Contains(err.Error(), `"`+wrong+`"`) || !strings.Contains(err.Error(), "two-letter codes") {
			t.Errorf("%q: %v", regions, err)
		}
	}
	if _, err := New("US", Regions()...); err != nil {
		t.Errorf("a region of the list: %v", err)
	}
	if len(Regions()) < 200 || !slices.IsSorted(Regions()) {
		t.Errorf("%d regions", len(Regions()))
	}
}

func TestTheFingerprintFollowsTheRegions(t *testing.T) {
	of := func(regions ...string) string { return mustNew(t, regions...).Fingerprint() }
	seen := map[string]string{}
	for _, regions := range []string{"US", "GB", "US GB", "GB US", "US GB DE", "US DE GB"} {
		got := of(strings.Fields(regions)...)
		if other, found := seen[got]; found || got == "" {
			t.Errorf("%q and %q have the fingerprint %q", regions, other, got)
		}
		seen[got] = regions
	}
	if diff := cmp.Diff(of("US", "GB"), of(" us", "gb", "US", "GB")); diff != "" {
		t.Errorf("the same regions written otherwise:\n%s", diff)
	}
}

func TestTheFingerprintFollowsTheLibrary(t *testing.T) {
	other := &debug.Module{Path: "example.com/other", Version: "v1.8.1"}
	fork := &debug.Module{Path: "example.com/fork", Version: "v2.0.0", Sum: "h1:b"}
	for _, tc := range []struct {
		name    string
		modules []*debug.Module
		want    string
	}{
		{"not built in", []*debug.Module{other}, ""},
		{"built in", []*debug.Module{other, {Path: library, Version: "v1.8.1", Sum: "h1:a"}}, "v1.8.1 h1:a"},
		{"replaced", []*debug.Module{{Path: library, Version: "v1.8.1", Replace: fork}}, "v2.0.0 h1:b"},
	} {
		if diff := cmp.Diff(tc.want, versionAmong(tc.modules)); diff != "" {
			t.Errorf("%s:\n%s", tc.name, diff)
		}
	}
	of := func(plan *phonenumbers.PhoneMetadata) string {
		h := sha256.New()
		hashPlan(h, plan)
		return string(h.Sum(nil))
	}
	text := func(s string) *string { return &s }
	plan := &phonenumbers.PhoneMetadata{Id: text("ZZ"), Mobile: &phonenumbers.PhoneNumberDesc{NationalNumberPattern: text("1")}}
	before := of(plan)
	plan.Mobile.PossibleLength = []int32{9}
	longer := of(plan)
	plan.NationalPrefixForParsing = text("0")
	if before == longer || longer == of(plan) {
		t.Error("a numbering plan changes and its hash does not")
	}
}

func TestClassNames(t *testing.T) {
	var got []string
	for _, c := range []Class{Invalid, Anonymous, ShortCode, Number, 99} {
		got = append(got, c.String())
	}
	if diff := cmp.Diff([]string{"invalid", "anonymous", "short_code", "number", "invalid"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestTheBoundsOfAText(t *testing.T) {
	n := mustNew(t, "US")
	pad := func(n int) string { return "+12125550123" + strings.Repeat(" ", n-12) }
	if r := n.Normalize(pad(MaxBytes)); r.Class != Number {
		t.Errorf("at the bound: %+v", r)
	}
	for _, text := range []string{
		pad(MaxBytes + 1), strings.Repeat("9", 5000), strings.Repeat(" ", MaxBytes+1), strings.Repeat("\x00", 1<<20),
	} {
		if diff := cmp.Diff(Result{Class: Invalid, Reason: ReasonTooLong}, n.Normalize(text)); diff != "" {
			t.Errorf("%d bytes:\n%s", len(text), diff)
		}
	}
}

func TestTextThatIsNotUTF8IsRefused(t *testing.T) {
	n := mustNew(t, "US")
	for _, text := range []string{"\xff", "+12125550123\xc3", "+1\xed\xa0\x80", "\xc0\xb1" + "2125550123"} {
		if diff := cmp.Diff(Result{Class: Invalid, Reason: ReasonEncoding}, n.Normalize(text)); diff != "" {
			t.Errorf("%q:\n%s", text, diff)
		}
	}
}

// digitValue trusts that Unicode lists decimal digits in whole runs of ten.
func TestDigitsOfEveryScript(t *testing.T) {
	digits := 0
	for r := range rune(unicode.MaxRune + 1) {
		d, ok := digitValue(r)
		if ok != unicode.Is(unicode.Nd, r) {
			t.Fatalf("%U: a digit: %v", r, ok)
		}
		if !ok {
			continue
		}
		if want := rune(digits % 10); d != want {
			t.Fatalf("%U: %d, want %d", r, d, want)
		}
		digits++
	}
	if digits == 0 || digits%10 != 0 {
		t.Errorf("%d digits", digits)
	}
}

func TestCanonical(t *testing.T) {
	for text, want := range map[string]bool{
		"+12125550123": true, "+6834000": true, "+123456789012345": true,
		"+266696687": true, // no proof: it means "anonymous"
		"+683400":    false, "+1234567890123456": false, "+02125550123": false, "12125550123": false,
		"+1212555012a": false, "+1 2125550123": false, "++12125550123": false, "+": false, "": false,
		"+1212555012\u0663": false,
	} {
		if got := Canonical(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestNational(t *testing.T) {
	for e164, want := range map[string]string{
		"+12125550123": "2125550123", "+442079460123": "2079460123", "+390612345678": "0612345678",
		"+5491123456789": "91123456789", "+80012345678": "12345678",
		"+9991234567": "", "2125550123": "", "": "", "anonymous": "", "+": "",
	} {
		if got := National(e164); got != want {
			t.Errorf("%q: %q, want %q", e164, got, want)
		}
	}
}

func TestMask(t *testing.T) {
	for text, want := range map[string]string{
		"+12125550123":               "+12*******23",
		"2125550123":                 "21******23",
		"+1 (212) 555-0123":          "+1**2**********23",
		"+6834000":                   "+68***00",
		"911":                        "***",
		"123456":                     "******",
		"":                           "",
		"Ann":                        "***",
		"sip:+12125550123@h":         "****+12*******23**",
		"\x00\x1b[31m\r\n":           "********",
		"\u0661\u0662\u0663":         "***",
		"\xff\xfe":                   "**",
		strings.Repeat("9", 5000):    "99" + strings.Repeat("*", 28) + "99",
		strings.Repeat("\u202e", 99): strings.Repeat("*", 32),
	} {
		if diff := cmp.Diff(want, Mask(text)); diff != "" {
			t.Errorf("%.40q:\n%s", text, diff)
		}
	}
}

func TestAKeyIsANumberOnly(t *testing.T) {
	n := mustNew(t, "US")
	for _, text := range []string{"911", "anonymous", "5550123", "+", "call Ann"} {
		if key, ok := n.Key(text); ok || key != "" {
			t.Errorf("%q: %q", text, key)
		}
	}
	if key, ok := n.Key("(212) 555-0123 x4"); !ok || key != "+12125550123" {
		t.Errorf("%q, %v", key, ok)
	}
}
