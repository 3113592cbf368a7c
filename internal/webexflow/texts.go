package webexflow

// texts are what the flow itself says in a language; all else is said by the
// lookup's answer. They name nobody, and none is longer than a variable's
// initial value may be.
type texts struct {
	greeting string // when no lookup has answered
	menu     string // 1 for an agent, 2 to hang up
	hold     string // before the music
	callback string // when one is noted
	goodbye  string
	sorry    string // when no queue takes the call
	voices   []string
}

// prompts are the texts by base language, with the full tags of the voices
// that an answer may name for it.
//
//nolint:misspell // most of it is not English
func prompts() map[string]texts {
	return map[string]texts{
		"en": {
			greeting: "Hello, and thank you for calling.",
			menu:     "To speak with an agent, press 1. If you have all you need, press 2 to end the call.",
			hold:     "One moment please, we are connecting you.",
			callback: "We will call you back on this number. Thank you, and goodbye.",
			goodbye:  "Thank you for calling. Goodbye.",
			sorry:    "We are sorry, we cannot connect you right now. Please call again later.",
			voices:   []string{"en-US", "en-GB", "en-AU"},
		},
		"es": {
			greeting: "Hola, gracias por llamar.",
			menu:     "Para hablar con un agente, marque 1. Si ya tiene lo que necesita, marque 2 para terminar la llamada.",
			hold:     "Un momento, por favor, le estamos comunicando.",
			callback: "Le devolveremos la llamada a este número. Gracias y hasta pronto.",
			goodbye:  "Gracias por llamar. Hasta pronto.",
			sorry:    "Lo sentimos, en este momento no podemos comunicarle. Por favor, llame más tarde.",
			voices:   []string{"es-US", "es-ES", "es-MX"},
		},
		"fr": {
			greeting: "Bonjour et merci de votre appel.",
			menu:     "Pour parler à un conseiller, tapez 1. Si vous avez votre réponse, tapez 2 pour terminer l'appel.",
			hold:     "Un instant s'il vous plaît, nous vous mettons en relation.",
			callback: "Nous vous rappellerons à ce numéro. Merci et au revoir.",
			goodbye:  "Merci de votre appel. Au revoir.",
			sorry:    "Nous sommes désolés, nous ne pouvons pas vous mettre en relation pour le moment. Merci de rappeler plus tard.",
			voices:   []string{"fr-FR", "fr-CA"},
		},
		"de": {
			greeting: "Guten Tag und vielen Dank für Ihren Anruf.",
			menu:     "Wenn Sie mit jemandem sprechen möchten, drücken Sie die 1. Wenn Sie alles wissen, beenden Sie den Anruf mit der 2.",
			hold:     "Einen Moment bitte, wir verbinden Sie.",
			callback: "Wir rufen Sie unter dieser Nummer zurück. Vielen Dank und auf Wiederhören.",
			goodbye:  "Vielen Dank für Ihren Anruf. Auf Wiederhören.",
			sorry:    "Es tut uns leid, wir können Sie gerade nicht verbinden. Bitte rufen Sie später noch einmal an.",
			voices:   []string{"de-DE"},
		},
		"it": {
			greeting: "Salve, grazie per averci chiamato.",
			menu:     "Per parlare con un operatore, prema 1. Se ha già quello che le serve, prema 2 per terminare la chiamata.",
			hold:     "Un momento, per favore, la stiamo mettendo in contatto.",
			callback: "La richiameremo a questo numero. Grazie e arrivederci.",
			goodbye:  "Grazie per aver chiamato. Arrivederci.",
			sorry:    "Ci dispiace, al momento non possiamo metterla in contatto. La preghiamo di richiamare più tardi.",
			voices:   []string{"it-IT"},
		},
		"nl": {
			greeting: "Goedendag en bedankt voor het bellen.",
			menu:     "Wilt u een medewerker spreken, toets dan 1. Weet u genoeg, toets dan 2 om het gesprek te beëindigen.",
			hold:     "Een ogenblik alstublieft, we verbinden u door.",
			callback: "We bellen u terug op dit nummer. Bedankt en tot ziens.",
			goodbye:  "Bedankt voor het bellen. Tot ziens.",
			sorry:    "Het spijt ons, we kunnen u nu niet doorverbinden. Belt u later nog eens.",
			voices:   []string{"nl-NL"},
		},
		"pt": {
			greeting: "Olá, agradecemos a sua ligação.",
			menu:     "Para falar com um atendente, digite 1. Se já tem o que precisa, digite 2 para encerrar a ligação.",
			hold:     "Um momento, por favor, vamos transferir a sua ligação.",
			callback: "Vamos retornar a ligação para este número. Obrigado e até logo.",
			goodbye:  "Agradecemos a sua ligação. Até logo.",
			sorry:    "Sentimos muito, não foi possível transferir a sua ligação agora. Por favor, ligue mais tarde.",
			voices:   []string{"pt-BR", "pt-PT"},
		},
	}
}
