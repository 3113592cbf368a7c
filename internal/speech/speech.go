// Package speech says what a caller hears: in which language, and in which
// words.
//
// There is a sentence for every call, whoever it is: one that says nothing of
// anyone, in the language of a voice that can speak it. A voice whose language
// has no sentence here is never chosen, for a Japanese voice that reads English
// is worse than an English one.
package speech

import (
	"encoding/xml"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/text/language"
)

// Voice is a language that can be spoken, with its neutral greeting.
type Voice struct {
	// Tag is the full tag of the voice, for example "es-US".
	Tag string
	// Text is one line without quotes, braces or markup; SSML is the same as
	// a whole <speak> element. Neither says anything of anyone.
	Text, SSML string
}

// TagError names a language that is no BCP 47 tag.
type TagError struct {
	Tag string
}

func (e *TagError) Error() string {
	return fmt.Sprintf("%q is no language tag such as en-US", e.Tag)
}

// maxTag bounds what is parsed as a tag: RFC 5646 asks for 35 characters at
// least, and a text beyond this is none.
const maxTag = 64

// Voices chooses among voices. It does not change once made: safe for
// concurrent use.
type Voices struct {
	spoken  []Voice // in the order of the matcher
	exact   map[string]int
	matcher language.Matcher
	normal  int // where neither the caller nor the client has a language
}

// New makes Voices of the full tags by language ("es": "es-US") and of the
// language that is spoken where none is known. Where no voice speaks that one,
// it is its own voice, and English where there is no sentence for it either.
func New(defaultLanguage string, voices map[string]string) (*Voices, error) {
	v := &Voices{exact: map[string]int{}}
	var tags []language.Tag
	add := func(text string) (place int, err error) {
		if known, ok := v.exact[strings.ToLower(text)]; ok {
			return known, nil
		}
		tag, err := language.Parse(text)
		if err != nil {
			return 0, &TagError{Tag: text}
		}
		sentence, ok := greeting(tag)
		if !ok {
			return -1, nil
		}
		v.spoken = append(v.spoken, Voice{Tag: tag.String(), Text: sentence, SSML: speak(sentence)})
		tags = append(tags, tag)
		v.exact[strings.ToLower(text)] = len(tags) - 1
		return len(tags) - 1, nil
	}
	keys := map[string]int{}
	for _, key := range slices.Sorted(maps.Keys(voices)) {
		place, err := add(voices[key])
		if err != nil {
			return nil, err
		}
		if place >= 0 {
			keys[strings.ToLower(key)] = place
		}
	}
	maps.Copy(v.exact, keys) // a language that was given by name is that voice
	v.matcher = language.NewMatcher(tags)
	normal, ok := v.find(defaultLanguage)
	for _, text := range []string{defaultLanguage, "en-US"} {
		if ok {
			break
		}
		place, err := add(text)
		if err != nil {
			return nil, err
		}
		normal, ok = place, place >= 0
	}
	v.normal, v.matcher = normal, language.NewMatcher(tags)
	return v, nil
}

// For is the voice for who asked for a language, asked by the client and
// locale the caller's own, each "" where there is none. A language that no
// voice speaks counts as none: es-MX is spoken by es-US, and ja by nobody here.
func (v *Voices) For(asked, locale string) *Voice {
	place, ok := v.find(asked)
	if !ok {
		place, ok = v.find(locale)
	}
	if !ok {
		place = v.normal
	}
	return &v.spoken[place]
}

// find looks the text up as it is before it is parsed and matched, which
// costs a microsecond.
func (v *Voices) find(text string) (place int, ok bool) {
	if text == "" || len(text) > maxTag {
		return 0, false
	}
	if place, ok = v.exact[text]; ok {
		return place, true
	}
	if place, ok = v.exact[strings.ToLower(text)]; ok {
		return place, true
	}
	// What is wrong in a tag is often behind its language: "en-US-Standard-C"
	// is the name of a voice and begins with what it speaks.
	tag, _ := language.Parse(text)
	if tag == language.Und || len(v.spoken) == 0 {
		return 0, false
	}
	_, place, confidence := v.matcher.Match(tag)
	return place, confidence != language.No
}

// greeting is the sentence that opens a call when nothing may be said of
// anyone. It names no time of day, which the proxy does not know where the
// caller is, and no gender of whoever answers.
func greeting(tag language.Tag) (sentence string, ok bool) {
	base, _ := tag.Base()
	region, _ := tag.Region()
	switch base.String() {
	case "en":
		return "Hello, and thank you for calling.", true
	case "es":
		return "Hola, gracias por llamar.", true
	case "fr":
		return "Bonjour et merci de votre appel.", true
	case "de":
		return "Guten Tag und vielen Dank für Ihren Anruf.", true
	case "it":
		return "Salve, grazie per averci chiamato.", true
	case "nl":
		return "Goedendag en bedankt voor het bellen.", true
	case "pt":
		if region.String() == "PT" {
			return "Olá, agradecemos a sua chamada.", true
		}
		return "Olá, agradecemos a sua ligação.", true
	default:
		return "", false
	}
}

func speak(sentence string) string {
	var b strings.Builder
	b.WriteString("<speak>")
	xml.EscapeText(&b, []byte(sentence)) //nolint:errcheck // a strings.Builder takes everything
	b.WriteString("</speak>")
	return b.String()
}
