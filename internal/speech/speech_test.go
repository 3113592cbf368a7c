package speech

import (
	"encoding/xml"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// shipped are the voices of the configuration's defaults.
func shipped() map[string]string {
	return map[string]string{
		"de": "de-DE", "en": "en-US", "es": "es-US", "fr": "fr-FR", "it": "it-IT", "nl": "nl-NL", "pt": "pt-BR",
	}
}

func mustNew(t testing.TB, normal string, voices map[string]string) *Voices {
	t.Helper()
	v, err := NewVoices(Options{DefaultLanguage: normal, Voices: voices})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestFor(t *testing.T) {
	tests := []struct {
		name, asked, locale string
		want                string
	}{
		{"nothing known", "", "", "en-US"},
		{"asked for by its full tag", "fr-FR", "", "fr-FR"},
		{"asked for in other letters", "FR-fr", "", "fr-FR"},
		{"asked for with an underscore", "pt_BR", "", "pt-BR"},
		{"asked for by the language alone", "it", "", "it-IT"},
		{"another country's", "es-MX", "", "es-US"},
		{"a continent's", "es-419", "", "es-US"},
		{"Portugal's by Brazil's voice", "pt-PT", "", "pt-BR"},
		{"the name of a voice", "de-DE-Standard-B", "", "de-DE"},
		{"the client goes before the caller", "de", "fr", "de-DE"},
		{"the caller's own", "", "nl-BE", "nl-NL"},
		{"a language that nobody speaks gives way to the caller's", "ja", "es", "es-US"},
		{"and to the default", "ja-JP", "ja", "en-US"},
		{"what is no tag", "null", "!", "en-US"},
		{"a tag without end", strings.Repeat("en-", 9000), "", "en-US"},
		{"no language but a region", "zxx", "", "en-US"},
	}
	v := mustNew(t, "en-US", shipped())
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := v.For(tt.asked, tt.locale).Tag; got != tt.want {
				t.Errorf("For(%.20q, %.20q) = %s, want %s", tt.asked, tt.locale, got, tt.want)
			}
		})
	}
}

func TestTheDefaultIsAVoice(t *testing.T) {
	tests := []struct {
		name, normal string
		voices       map[string]string
		want         string
	}{
		{"as it is", "de-DE", shipped(), "de-DE"},
		{"spoken by the voice of its language", "es-MX", shipped(), "es-US"},
		{"its own voice where there is none", "fr-CA", map[string]string{"en": "en-GB"}, "fr-CA"},
		{"without any voice", "it-CH", nil, "it-CH"},
		{"in a language without a sentence", "ja-JP", map[string]string{"ja": "ja-JP", "en": "en-GB"}, "en-US"},
		{"without a voice or a sentence", "ja-JP", nil, "en-US"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := mustNew(t, tt.normal, tt.voices)
			if got := v.For("", "").Tag; got != tt.want {
				t.Errorf("the default is %s, want %s", got, tt.want)
			}
		})
	}
}

func TestALanguageGivenByNameIsThatVoice(t *testing.T) {
	v := mustNew(t, "en-US", map[string]string{"en": "en-US", "es": "es-US", "es-ES": "es-ES", "pt-PT": "pt-PT"})
	for asked, want := range map[string]string{"es": "es-US", "es-ES": "es-ES", "es-AR": "es-US", "pt": "pt-PT"} {
		if got := v.For(asked, "").Tag; got != want {
			t.Errorf("%s is spoken by %s, want %s", asked, got, want)
		}
	}
}

func TestATagThatIsNoneStopsTheStart(t *testing.T) {
	for name, try := range map[string]func() error{
		"default": func() error { _, err := NewVoices(Options{DefaultLanguage: "not a tag"}); return err },
		"voice": func() error {
			_, err := NewVoices(Options{DefaultLanguage: "en-US", Voices: map[string]string{"en": "-"}})
			return err
		},
	} {
		var wrong *TagError
		if err := try(); !errors.As(err, &wrong) || !strings.Contains(err.Error(), wrong.Tag) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestEverySentenceIsFitToBeSpoken(t *testing.T) {
	voices := shipped()
	voices["pt-PT"] = "pt-PT"
	v := mustNew(t, "en-US", voices)
	seen := map[string]string{}
	for _, spoken := range v.spoken {
		if other, found := seen[spoken.Text]; found {
			t.Errorf("%s and %s say the same", spoken.Tag, other)
		}
		seen[spoken.Text] = spoken.Tag
		if n := utf8.RuneCountInString(spoken.Text); n == 0 || n > 256 || strings.ContainsAny(spoken.Text, "\"'{}<>&\\") {
			t.Errorf("%s: %q", spoken.Tag, spoken.Text)
		}
		if strings.ContainsFunc(spoken.Text, unicode.IsDigit) || strings.ContainsFunc(spoken.Text, unicode.IsControl) {
			t.Errorf("%s says a digit or breaks a line: %q", spoken.Tag, spoken.Text)
		}
		var speak struct {
			XMLName xml.Name `xml:"speak"`
			Text    string   `xml:",chardata"`
		}
		if err := xml.Unmarshal([]byte(spoken.SSML), &speak); err != nil {
			t.Errorf("%s: %v", spoken.Tag, err)
		}
		if diff := cmp.Diff(spoken.Text, speak.Text); diff != "" {
			t.Errorf("%s says in SSML (-text +ssml):\n%s", spoken.Tag, diff)
		}
	}
	if len(seen) != len(voices) {
		t.Errorf("%d sentences for %d voices", len(seen), len(voices))
	}
}

func FuzzFor(f *testing.F) {
	for _, tag := range []string{"", "en", "es-MX", "null", "en-US-Standard-C", "x-a", "und-MX", "\xff", "zh-Hant-u-rg-twzzzz"} {
		f.Add(tag, "de-AT")
	}
	v := mustNew(f, "en-US", shipped())
	f.Fuzz(func(t *testing.T, asked, locale string) {
		spoken := v.For(asked, locale)
		if spoken.Tag == "" || spoken.Text == "" {
			t.Errorf("For(%q, %q) = %+v", asked, locale, spoken)
		}
	})
}

func BenchmarkFor(b *testing.B) {
	v := mustNew(b, "en-US", shipped())
	for name, locale := range map[string]string{"a voice's tag": "en-US", "another country's": "es-MX"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				v.For("", locale)
			}
		})
	}
}
