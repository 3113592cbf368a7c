// Package speech says what a caller hears: in which language, and in which
// words.
//
// There is something to say for every call, whoever it is. Where a person is
// known and may be spoken to, it is a greeting, the number of their ticket
// digit by digit, how it stands, when it was last updated and how many others
// are open, or that nothing is open; else a neutral sentence that says nothing
// of anyone. A voice whose language has no sentences here is never chosen, for
// a Japanese voice that reads English is worse than an English one.
//
// The story in one breath: [NewVoices] compiles the sentences of each voice,
// those of wording_*.go with an operator's own laid over them (template.go);
// [Voices.For] finds the voice for a call; [Voice.Append] fills the sentences
// in (say.go), and [Voice.Explain] names them. Whatever Zendesk holds is free
// text of strangers, and only what name.go and subject.go leave of it is ever
// spoken.
//
// Everything is said twice. As plain text it goes through a flow designer's
// variables and templates, so it is one line without quotes, braces or markup,
// apostrophes included: the sentences are worded so that none is missed. As
// SSML it is a <speak> element with no other elements than say-as and break,
// both of which the contact centre's speech engine knows.
package speech

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"
)

// How much a caller may hear: a caller's number can be forged, so some say less.
const (
	RevealNameAndStatus = "name_and_status" // the first name and the ticket
	RevealStatus        = "status"          // the ticket and no name
	RevealNothing       = "nothing"         // the neutral sentence for everybody
)

const (
	// DefaultMaxChars is the length of the text where none is asked for.
	DefaultMaxChars = 250
	// LimitMaxChars is the longest text that an answer has room for.
	LimitMaxChars = 256
	// maxSSML bounds the SSML, in characters. Every sentence is at most 256
	// characters and its placeholders, so that greeting and ticket alone, at
	// 256+40 and 256+20+43 with a pause between them, always have room.
	maxSSML = 1000
	// maxTag bounds what is parsed as a tag: RFC 5646 asks for 35 characters
	// at least, and a text beyond this is none.
	maxTag = 64
)

// Options are what an operator decides of speech.
type Options struct {
	// DefaultLanguage is spoken where none is known. Where no voice speaks it,
	// it is its own voice, and English where there are no sentences for it.
	DefaultLanguage string
	// Voices has the full tag of a voice by language ("es": "es-US").
	Voices map[string]string
	// Reveal is one of the constants of that name; "" is RevealNameAndStatus.
	Reveal string
	// IncludeSubject has the ticket's subject spoken, cleaned.
	IncludeSubject bool
	// MaxChars bounds the text in characters, not the SSML. 0 is
	// DefaultMaxChars, and more than LimitMaxChars is that.
	MaxChars int
	// Zone is where today and yesterday are told apart; nil is UTC.
	Zone *time.Location
	// Templates has wordings of the operator's own, by language and name: the
	// comment of kind lists the names. Those of a language ("es") are for all
	// voices that speak it, those of a full tag ("es-MX") for the voice of
	// that tag, and win there.
	Templates map[string]map[string]string
}

// Voice is a language that can be spoken. It does not change once made.
type Voice struct {
	// Tag is the full tag of the voice, for example "es-US".
	Tag string
	// Text and SSML are the neutral sentence, of which the text is cut to the
	// length asked for. Neither says anything of anyone.
	Text, SSML string

	tag            language.Tag
	lines          [kinds]sentence
	reveal         string
	includeSubject bool
	maxChars       int
	zone           *time.Location
}

// TagError names a language that is no BCP 47 tag.
type TagError struct {
	Tag string
}

func (e *TagError) Error() string {
	return fmt.Sprintf("%q is no language tag such as en-US", e.Tag)
}

// Voices chooses among voices. It does not change once made: safe for
// concurrent use.
type Voices struct {
	spoken  []Voice // in the order of the matcher
	exact   map[string]int
	matcher language.Matcher
	normal  int // where neither the caller nor the client has a language
}

// NewVoices makes Voices. It fails with a [TagError], or with all
// [TemplateError]s joined, or where Reveal is none of the three.
func NewVoices(o Options) (*Voices, error) {
	switch o.Reveal {
	case "":
		o.Reveal = RevealNameAndStatus
	case RevealNameAndStatus, RevealStatus, RevealNothing:
	default:
		return nil, fmt.Errorf("reveal is %q: allowed are %q, %q and %q",
			o.Reveal, RevealNameAndStatus, RevealStatus, RevealNothing)
	}
	if o.MaxChars <= 0 {
		o.MaxChars = DefaultMaxChars
	}
	o.MaxChars = min(o.MaxChars, LimitMaxChars)
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	v := &Voices{exact: map[string]int{}}
	if err := v.choose(o); err != nil {
		return nil, err
	}
	if err := v.word(o); err != nil {
		return nil, err
	}
	return v, nil
}

// choose finds out which voices there are.
func (v *Voices) choose(o Options) error {
	var tags []language.Tag
	add := func(text string) (place int, err error) {
		if known, ok := v.exact[strings.ToLower(text)]; ok {
			return known, nil
		}
		tag, err := language.Parse(text)
		if err != nil {
			return 0, &TagError{Tag: text}
		}
		if wordingOf(tag) == nil {
			return -1, nil
		}
		v.spoken = append(v.spoken, Voice{
			Tag: tag.String(), tag: tag,
			reveal: o.Reveal, includeSubject: o.IncludeSubject, maxChars: o.MaxChars, zone: o.Zone,
		})
		tags = append(tags, tag)
		v.exact[strings.ToLower(text)] = len(tags) - 1
		return len(tags) - 1, nil
	}
	keys := map[string]int{}
	for _, key := range slices.Sorted(maps.Keys(o.Voices)) {
		place, err := add(o.Voices[key])
		if err != nil {
			return err
		}
		if place >= 0 {
			keys[strings.ToLower(key)] = place
		}
	}
	maps.Copy(v.exact, keys) // a language that was given by name is that voice
	v.matcher = language.NewMatcher(tags)
	normal, ok := v.find(o.DefaultLanguage)
	for _, text := range []string{o.DefaultLanguage, "en-US"} {
		if ok {
			break
		}
		place, err := add(text)
		if err != nil {
			return err
		}
		normal, ok = place, place >= 0
	}
	v.normal, v.matcher = normal, language.NewMatcher(tags)
	v.foresee()
	return nil
}

// locales are the languages that Zendesk's users have most, beside the voices'
// own: matching one takes a microsecond, and looking it up nothing.
var locales = [...]string{
	"de-AT", "de-CH", "de-DE", "en-001", "en-150", "en-AU", "en-CA", "en-GB", "en-IE", "en-IN", "en-NZ", "en-US", "en-ZA",
	"es-419", "es-AR", "es-CL", "es-CO", "es-ES", "es-MX", "es-PE", "es-US",
	"fr-001", "fr-002", "fr-BE", "fr-CA", "fr-CH", "fr-FR", "it-CH", "it-IT", "nl-BE", "nl-NL", "pt-BR", "pt-PT",
}

// foresee matches what will be asked most beforehand.
func (v *Voices) foresee() {
	for i := range v.spoken {
		v.exact[v.spoken[i].Tag] = v.exact[strings.ToLower(v.spoken[i].Tag)]
	}
	for _, text := range locales {
		if place, ok := v.find(text); ok {
			v.exact[text], v.exact[strings.ToLower(text)] = place, place
		}
	}
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
