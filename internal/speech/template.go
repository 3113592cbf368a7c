package speech

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/language"
)

// TemplateError is an operator's wording, or a whole table of them, that
// cannot be used.
type TemplateError struct {
	Language string
	Name     string // "" where the language is what is wrong
	Problem  string // a predicate, such as "is empty"
}

// Key is where it stands in the configuration, for example
// "speech.templates.es.greeting".
func (e *TemplateError) Key() string {
	key := "speech.templates." + bareKey(e.Language)
	if e.Name != "" {
		key += "." + bareKey(e.Name)
	}
	return key
}

func (e *TemplateError) Error() string { return e.Key() + " " + e.Problem }

// bareKey writes a key as a configuration file would have to.
func bareKey(key string) string {
	odd := func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}
	if key == "" || strings.ContainsFunc(key, odd) {
		return strconv.Quote(key)
	}
	return key
}

// word gives each voice its sentences, and its neutral one ready to be spoken.
func (v *Voices) word(o Options) error {
	general, exact, err := v.templates(o)
	if err != nil {
		return err
	}
	for i := range v.spoken {
		voice := &v.spoken[i]
		base, _ := voice.tag.Base()
		for k, wording := range wordingOf(voice.tag) {
			own, problem := compile(wording, kind(k))
			if problem != "" { // a fault of ours, which a test finds first
				return &TemplateError{Language: base.String(), Name: rules[k].name, Problem: problem}
			}
			voice.lines[k] = own
		}
		for _, layer := range []map[kind]sentence{general[base], exact[voice.Tag]} {
			for k, s := range layer {
				s.configured = true
				voice.lines[k] = s
			}
		}
		said := voice.lines[neutral].pieces[0].words
		voice.SSML = speakOpen + said + speakClose
		voice.Text = string(cut([]byte(said), o.MaxChars))
	}
	return nil
}

// templates compiles all wordings of an operator's: those for every voice of
// a language, and those for one voice.
func (v *Voices) templates(o Options) (general map[language.Base]map[kind]sentence, exact map[string]map[kind]sentence, err error) {
	general, exact = map[language.Base]map[kind]sentence{}, map[string]map[kind]sentence{}
	var wrong []error
	seen := map[string]string{} // by the tag in its one form: es_MX is es-MX
	for _, lang := range slices.Sorted(maps.Keys(o.Templates)) {
		compiled, errs := compileAll(lang, o.Templates[lang], o.MaxChars)
		wrong = append(wrong, errs...)
		tag, err := language.Parse(lang)
		if err != nil {
			wrong = append(wrong, &TemplateError{Language: lang, Problem: "is for a language that is no tag such as es or es-MX"})
			continue
		}
		if other, twice := seen[tag.String()]; twice {
			wrong = append(wrong, &TemplateError{Language: lang, Problem: "is for the same language as speech.templates." + bareKey(other)})
			continue
		}
		seen[tag.String()] = lang
		base, _ := tag.Base()
		// A language with nothing behind it is all its voices'.
		if tag.String() == base.String() {
			if !v.speaks(func(voice *Voice) bool { b, _ := voice.tag.Base(); return b == base }) {
				wrong = append(wrong, v.unspoken(lang))
			}
			general[base] = compiled
			continue
		}
		if !v.speaks(func(voice *Voice) bool { return voice.Tag == tag.String() }) {
			wrong = append(wrong, v.unspoken(lang))
		}
		exact[tag.String()] = compiled
	}
	return general, exact, errors.Join(wrong...)
}

func (v *Voices) speaks(is func(*Voice) bool) bool {
	return slices.ContainsFunc(v.spoken, func(voice Voice) bool { return is(&voice) })
}

// unspoken is the error for wordings that would never be heard.
func (v *Voices) unspoken(lang string) error {
	var tags []string
	for i := range v.spoken {
		voice := &v.spoken[i]
		base, _ := voice.tag.Base()
		tags = append(tags, voice.Tag, base.String())
	}
	slices.Sort(tags)
	return &TemplateError{Language: lang, Problem: "is for a language that no voice speaks; allowed: " +
		strings.Join(slices.Compact(tags), ", ")}
}

// compileAll compiles the wordings for one language.
func compileAll(lang string, wordings map[string]string, maxChars int) (compiled map[kind]sentence, errs []error) {
	compiled = map[kind]sentence{}
	for _, name := range slices.Sorted(maps.Keys(wordings)) {
		k, known := kindOf(name)
		if !known {
			errs = append(errs, &TemplateError{Language: lang, Name: name, Problem: "is no sentence; allowed: " + kindNames()})
			continue
		}
		s, problem := compile(wordings[name], k)
		if problem == "" && s.chars > maxChars {
			problem = fmt.Sprintf("has %d characters and speech.max_chars is %d: it could never be said whole", s.chars, maxChars)
		}
		if problem != "" {
			errs = append(errs, &TemplateError{Language: lang, Name: name, Problem: problem})
			continue
		}
		compiled[k] = s
	}
	return compiled, errs
}

func kindNames() string {
	var names []string
	for _, r := range rules {
		names = append(names, r.name)
	}
	return strings.Join(names, ", ")
}
