package speech

import (
	"errors"
	"strings"
	"testing"
)

func templates(lang, name, wording string) map[string]map[string]string {
	return map[string]map[string]string{lang: {name: wording}}
}

func TestAnOperatorsWords(t *testing.T) {
	o := Options{
		IncludeSubject: true,
		Voices:         map[string]string{"es": "es-US", "es-MX": "es-MX", "en": "en-US", "fr": "fr-FR"},
		Templates: map[string]map[string]string{
			"es": {"greeting_name": "Buenas, {first_name}.", "nothing_open": "Sin casos.", "neutral": "Buenas."},
			// A tag in other letters is the same one, and goes over its language.
			"es_mx": {"greeting_name": "Qué tal, {first_name}."},
			"fr":    {"ticket_open": "Numéro\u00a0{ticket}\u202f: en cours.", "others_one": "Et {count} autre.", "subject": "{subject}, {ticket}."},
		},
	}
	v := voicesWith(t, o)
	none := Call{Known: true, FirstName: "Ana", Now: noon}
	one := Call{Known: true, FirstName: "Ana", Ticket: ticketOf("open", -1), Others: 1, Now: noon}
	for _, tt := range []struct {
		tag  string
		call Call
		want string
	}{
		{"es-US", none, "Buenas, Ana. Sin casos."},
		{"es-MX", none, "Qué tal, Ana. Sin casos."},
		{"es-ES", none, "Buenas, Ana. Sin casos."},
		{"es-US", Call{}, "Buenas."},
		{"en-US", none, "Hello Ana, thank you for calling. You have no open requests at the moment."},
		{"fr-FR", one, "Bonjour Ana, merci de votre appel. Numéro 3 5 4 3 6 : en cours. Printer on floor 3 does not print, 3 5 4 3 6. Et 1 autre."},
	} {
		if text, ssml := say(v.For(tt.tag, ""), tt.call); text != tt.want {
			t.Errorf("%s: %q, want %q", tt.tag, text, tt.want)
		} else {
			checkBoth(t, text, ssml, 256)
		}
	}
}

func TestBrokenTemplates(t *testing.T) {
	for _, tt := range []struct {
		name      string
		templates map[string]map[string]string
		want      []string // in the error's text
	}{
		{"a language that is none", templates("spanish_!", "greeting", "Hola."), []string{`speech.templates."spanish_!" is for a language that is no tag`}},
		{"a language without a voice", templates("ja", "greeting", "Hola."), []string{"speech.templates.ja is for a language that no voice speaks", "es-US", "pt-BR"}},
		{"a region without a voice", templates("es-MX", "greeting", "Hola."), []string{"speech.templates.es-MX is for a language that no voice speaks", "es, es-US"}},
		{"an unknown sentence", templates("es", "farewell", "Adiós."), []string{"speech.templates.es.farewell is no sentence", "greeting_name", "others_other"}},
		{"an unknown placeholder", templates("es", "greeting_name", "Hola, {name}."), []string{"speech.templates.es.greeting_name", `"name"`, "allowed here: {first_name}"}},
		{"a placeholder of another sentence", templates("es", "greeting", "Hola, {first_name}."), []string{"speech.templates.es.greeting may not have {first_name}", "no placeholders"}},
		{"a placeholder that does not end", templates("es", "ticket_open", "Caso {ticket"), []string{"speech.templates.es.ticket_open has a { that is not closed"}},
		{"one in another", templates("es", "ticket_open", "Caso {{ticket}}"), []string{"not closed"}},
		{"one that only ends", templates("es", "ticket_open", "Caso ticket}"), []string{"has a } without"}},
		{"one twice", templates("es", "ticket_open", "Caso {ticket}, sí, {ticket}."), []string{"has {ticket} twice"}},
		{"one left out", templates("es", "updated_days", "Hace días."), []string{"speech.templates.es.updated_days needs {count}"}},
		{"nothing", templates("es", "neutral", " \u00a0"), []string{"speech.templates.es.neutral is empty"}},
		{"quotes", templates("es", "neutral", `Hola "tú".`), []string{"contains U+0022", "no quotes"}},
		{"an apostrophe", templates("fr", "neutral", "Merci d’appeler."), []string{"speech.templates.fr.neutral contains U+2019"}},
		{"markup", templates("es", "neutral", "<b>Hola</b>"), []string{"contains U+003C"}},
		{"an entity", templates("es", "neutral", "Hola &amp; adiós"), []string{"contains U+0026"}},
		{"a line break", templates("es", "neutral", "Hola\nadiós"), []string{"contains U+000A"}},
		{"a mark of direction", templates("es", "neutral", "Hola \u202eadiós"), []string{"contains U+202E"}},
		{"what is no UTF-8", templates("es", "neutral", "Hola \xff"), []string{"contains U+FFFD"}},
		{"too long ever to be said", templates("es", "neutral", strings.Repeat("ñ", 251)), []string{"has 251 characters and speech.max_chars is 250"}},
		{"a language twice", map[string]map[string]string{"es-US": {}, "es_US": {}}, []string{"speech.templates.es_US is for the same language as speech.templates.es-US"}},
		{
			"several at once",
			map[string]map[string]string{"es": {"greeting": "", "farewell": "x", "others_one": "Otra."}, "de": {"neutral": "{"}},
			[]string{"speech.templates.es.greeting is empty", "speech.templates.es.farewell", "speech.templates.de.neutral"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := NewVoices(Options{DefaultLanguage: "en-US", Voices: shipped(), Templates: tt.templates})
			var wrong *TemplateError
			if !errors.As(err, &wrong) || wrong.Problem == "" || wrong.Language == "" {
				t.Fatalf("error %v", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
		})
	}
}

func TestATemplateErrorNamesItsKey(t *testing.T) {
	for want, e := range map[string]TemplateError{
		"speech.templates.es.greeting":      {Language: "es", Name: "greeting"},
		"speech.templates.es-MX":            {Language: "es-MX"},
		`speech.templates.es."olá x"`:       {Language: "es", Name: "olá x"},
		`speech.templates."".ticket_open`:   {Language: "", Name: "ticket_open"},
		`speech.templates."a.b".greeting`:   {Language: "a.b", Name: "greeting"},
		`speech.templates.en."line\nbreak"`: {Language: "en", Name: "line\nbreak"},
	} {
		if got := e.Key(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestOurOwnWords holds our sentences to what an operator's are held to.
func TestOurOwnWords(t *testing.T) {
	voices := voicesWith(t, Options{})
	for i := range voices.spoken {
		tag := voices.spoken[i].tag
		for k, wording := range wordingOf(tag) {
			s, problem := compile(wording, kind(k))
			if problem != "" {
				t.Errorf("%s %s %s: %q", tag, rules[k].name, problem, wording)
				continue
			}
			if !strings.HasSuffix(wording, ".") {
				t.Errorf("%s %s does not end: %q", tag, rules[k].name, wording)
			}
			has := slot(0)
			for _, p := range s.pieces {
				has |= p.slot
			}
			if strings.HasPrefix(rules[k].name, "ticket_") && has != slotTicket || kind(k) == othersOther && has != slotCount {
				t.Errorf("%s %s does not say its number: %q", tag, rules[k].name, wording)
			}
		}
	}
}

func FuzzTemplates(f *testing.F) {
	for _, wording := range []string{
		"Hola, {first_name}.", "{ticket}{count}{subject}", "{", "}", "{{ticket}}", "{ticket", "a\nb", "\"", "\xff{count}", "{}", " ", "\u00a0:",
	} {
		for k := range kinds {
			f.Add("es", rules[k].name, wording)
		}
		f.Add("es-US", "x", wording)
	}
	f.Add("e\ns", "greeting", "Hola.")
	f.Fuzz(func(t *testing.T, lang, name, wording string) {
		v, err := NewVoices(Options{
			DefaultLanguage: "en-US", Voices: shipped(), IncludeSubject: true,
			Templates: templates(lang, name, wording),
		})
		if err != nil {
			var wrong *TemplateError
			if !errors.As(err, &wrong) || wrong.Language != lang || !strings.HasPrefix(err.Error(), "speech.templates.") {
				t.Errorf("error %v", err)
			}
			return
		}
		for i := range v.spoken {
			for _, status := range states {
				for _, d := range dates {
					for others := range 3 {
						text, ssml := say(&v.spoken[i], Call{Known: true, FirstName: "Ana", Ticket: ticketOf(status, d.days), Others: others, Now: noon})
						if _, err := checkSSML(ssml); err != nil {
							t.Error(err)
						}
						// An operator's own double spaces are theirs.
						if err := checkText(strings.Join(strings.Fields(text), " "), 250); err != nil {
							t.Error(err)
						}
					}
				}
			}
		}
	})
}
