//nolint:misspell // these words are not English
package speech

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Summary is how a call ended, as a flow reports it.
type Summary struct {
	Outcome string // one of Outcomes
	// Agent and Queue are names, "" where there is none. A flow's variable
	// that nothing was put into ("null", "{{agent}}") counts as none.
	Agent, Queue string
	Duration     time.Duration // of the whole call; 0 where it is not known
}

// maxPartName is how much of an agent's or a queue's name is kept, in characters.
const maxPartName = 100

// outcomes are the codes, in the order in which the wordings have them.
var outcomes = [...]string{
	"callback_requested", "self_served", "spoke_to_agent", "abandoned",
	"voicemail_left", "transferred", "no_agent_available",
}

// Outcomes lists the codes of outcomes that there is a wording for.
func Outcomes() []string { return slices.Clone(outcomes[:]) }

// note is the wording of a summary in one language: for colleagues, so it is
// brief, and says nothing of anybody's gender.
type note struct {
	call                   string // opens it, up to and with the space before the outcome
	agent, queue, duration string
	colon                  string
	outcomes               [len(outcomes)]string
}

// Summarize words a summary in the default language, as plain text in one
// line. ok is false for an outcome that is none of Outcomes.
func (v *Voices) Summarize(s Summary) (text string, ok bool) {
	place := slices.Index(outcomes[:], s.Outcome)
	if place < 0 {
		return "", false
	}
	n := v.spoken[v.normal].note()
	var b strings.Builder
	b.WriteString(n.call)
	b.WriteString(n.outcomes[place])
	part := func(label, value string) {
		if value != "" {
			b.WriteString(" " + label + n.colon + value + ".")
		}
	}
	part(n.agent, partName(s.Agent))
	part(n.queue, partName(s.Queue))
	part(n.duration, lasting(s.Duration))
	return b.String(), true
}

func (v *Voice) note() *note {
	base, _ := v.tag.Base()
	if base.String() == "pt" && european(v.tag) {
		return notes["pt-PT"]
	}
	return notes[base.String()]
}

// lasting writes a duration to the second; its units are the same symbols in
// every language here.
func lasting(d time.Duration) string {
	seconds := int64(d.Round(time.Second) / time.Second)
	if seconds <= 0 {
		return ""
	}
	var parts []string
	for _, unit := range [...]struct {
		seconds int64
		symbol  string
	}{{3600, "h"}, {60, "min"}, {1, "s"}} {
		if n := seconds / unit.seconds; n > 0 {
			parts = append(parts, strconv.FormatInt(n, 10)+" "+unit.symbol)
			seconds %= unit.seconds
		}
	}
	return strings.Join(parts, " ")
}

// partName cleans a name from a flow: one line, nothing invisible, not too
// long, and without the full stop that follows it anyway.
func partName(raw string) string {
	var b strings.Builder
	chars, gap := 0, false
	for _, r := range raw[:min(len(raw), maxRead)] {
		switch {
		case blank(r):
			gap = chars > 0
			continue
		case r == unicode.ReplacementChar || !unicode.IsPrint(r) || invisible(r):
			continue
		}
		if gap {
			b.WriteByte(' ')
			chars++
		}
		if chars >= maxPartName {
			break
		}
		gap = false
		b.WriteRune(r)
		chars++
	}
	name := strings.TrimRight(b.String(), " .")
	if strings.Contains(name, "{{") || slices.ContainsFunc([]string{"null", "none", "undefined"}, func(word string) bool {
		return strings.EqualFold(name, word)
	}) {
		return ""
	}
	return name
}

// notes are the wordings by language.
var notes = map[string]*note{
	"en": {
		call: "Phone call: ", agent: "Agent", queue: "Queue", duration: "Duration", colon: ": ",
		outcomes: [...]string{
			"the caller asked to be called back.",
			"the caller got what they needed from the automated service.",
			"the caller spoke to an agent.",
			"the caller hung up before reaching an agent.",
			"the caller left a voice message.",
			"the caller was transferred.",
			"no agent was available.",
		},
	},
	"es": {
		call: "Llamada telefónica: ", agent: "Atendida por", queue: "Cola", duration: "Duración", colon: ": ",
		outcomes: [...]string{
			"se ha solicitado que se devuelva la llamada.",
			"el servicio automático ha resuelto la consulta.",
			"se ha hablado con el equipo de atención.",
			"se ha colgado antes de hablar con el equipo de atención.",
			"se ha dejado un mensaje de voz.",
			"la llamada se ha transferido.",
			"nadie del equipo de atención estaba disponible.",
		},
	},
	"fr": {
		call: "Appel téléphonique : ", agent: "Pris en charge par", queue: "File", duration: "Durée", colon: " : ",
		outcomes: [...]string{
			"un rappel a été demandé.",
			"le service automatique a répondu à la demande.",
			"échange avec le service client.",
			"appel abandonné avant la mise en relation.",
			"un message vocal a été laissé.",
			"appel transféré.",
			"personne disponible au service client.",
		},
	},
	"de": {
		call: "Telefonanruf: ", agent: "Bearbeitung", queue: "Warteschlange", duration: "Dauer", colon: ": ",
		outcomes: [...]string{
			"Es wurde um Rückruf gebeten.",
			"Das Anliegen wurde im automatischen Dienst geklärt.",
			"Es gab ein Gespräch mit dem Serviceteam.",
			"Vor einem Gespräch wurde aufgelegt.",
			"Es wurde eine Sprachnachricht hinterlassen.",
			"Der Anruf wurde weitergeleitet.",
			"Im Serviceteam war niemand frei.",
		},
	},
	"it": {
		call: "Telefonata: ", agent: "Gestita da", queue: "Coda", duration: "Durata", colon: ": ",
		outcomes: [...]string{
			"è stato chiesto di essere richiamati.",
			"la richiesta è stata gestita dal servizio automatico.",
			"conversazione avvenuta con il servizio clienti.",
			"chiamata interrotta prima di parlare con il servizio clienti.",
			"è stato lasciato un messaggio vocale.",
			"la chiamata è stata trasferita.",
			"nessuno era disponibile a rispondere.",
		},
	},
	"nl": {
		call: "Telefoongesprek: ", agent: "Medewerker", queue: "Wachtrij", duration: "Duur", colon: ": ",
		outcomes: [...]string{
			"er is gevraagd om terug te bellen.",
			"de vraag is via de automatische dienst afgehandeld.",
			"er is met een medewerker gesproken.",
			"er is opgehangen voordat er een medewerker aan de lijn kwam.",
			"er is een voicemail ingesproken.",
			"het gesprek is doorverbonden.",
			"er was geen medewerker beschikbaar.",
		},
	},
	"pt": {
		call: "Ligação telefônica: ", agent: "Atendente", queue: "Fila", duration: "Duração", colon: ": ",
		outcomes: [...]string{
			"foi solicitado um retorno da ligação.",
			"o serviço automático resolveu a questão.",
			"houve conversa com atendente.",
			"a ligação foi encerrada antes do atendimento.",
			"foi deixada uma mensagem de voz.",
			"a ligação foi transferida.",
			"não havia atendente disponível.",
		},
	},
	"pt-PT": {
		call: "Chamada telefónica: ", agent: "Assistente", queue: "Fila", duration: "Duração", colon: ": ",
		outcomes: [...]string{
			"foi pedido que se devolvesse a chamada.",
			"o serviço automático resolveu a questão.",
			"houve conversa com assistente.",
			"a chamada foi desligada antes do atendimento.",
			"foi deixada uma mensagem de voz.",
			"a chamada foi transferida.",
			"não havia assistente disponível.",
		},
	},
}
