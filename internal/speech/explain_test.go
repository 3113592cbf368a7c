package speech

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExplainNamesTheSentences(t *testing.T) {
	own := Options{IncludeSubject: true, Templates: map[string]map[string]string{
		"es":    {"greeting_name": "Buenas, {first_name}.", "ticket_open": "Su caso {ticket} sigue abierto."},
		"es-US": {"ticket_open": "Su solicitud {ticket} sigue abierta."},
	}}
	ticket := ticketOf("open", 3)
	call := Call{Known: true, FirstName: "María", Ticket: ticket, Others: 2, Now: noon}
	with := func(o Options, change func(*Options)) Options {
		change(&o)
		return o
	}
	for _, tt := range []struct {
		name, lang string
		options    Options
		call       Call
		want       []string
	}{
		{"nobody is known", "en", Options{}, Call{}, []string{"neutral (en-US, built in)"}},
		{"nothing may be told", "en", Options{Reveal: RevealNothing}, call, []string{"neutral (en-US, built in)"}},
		{"the neutral sentence has no room", "en", Options{MaxChars: 20}, Call{}, []string{"neutral (en-US, built in): cut in the text for its length"}},
		{"nothing is open", "en", Options{}, Call{Known: true, Now: noon}, []string{"greeting (en-US, built in)", "nothing_open (en-US, built in)"}},
		{"the operator's wordings", "es", own, call, []string{
			"greeting_name (es-US, configured)", "ticket_open (es-US, configured)", "updated_days (es-US, built in)",
			"subject (es-US, built in)", "others_other (es-US, built in)",
		}},
		{"no name may be said", "en", Options{Reveal: RevealStatus}, call, []string{
			"greeting (en-US, built in)", "ticket_open (en-US, built in)", "updated_days (en-US, built in)", "others_other (en-US, built in)",
		}},
		{"no room for two", "en", Options{IncludeSubject: true, MaxChars: 164}, call, []string{
			"greeting_name (en-US, built in)", "ticket_open (en-US, built in)", "updated_days (en-US, built in)",
			"subject (en-US, built in): left out of the text for its length", "others_other (en-US, built in): left out of the text for its length",
		}},
		{"no room for the ticket", "en", Options{MaxChars: 28}, call, []string{
			"ticket_open (en-US, built in): cut in the text for its length", "greeting_name (en-US, built in): left out of the text for its length",
			"updated_days (en-US, built in): left out of the text for its length", "others_other (en-US, built in): left out of the text for its length",
		}},
		{"no room anywhere", "en", with(Options{IncludeSubject: true, MaxChars: 256}, func(o *Options) {
			long := func(with string) string { return strings.Repeat("a", 255) + with + "." }
			o.Templates = map[string]map[string]string{"en": {
				"greeting_name": long("{first_name}"), "ticket_open": long("{ticket}"), "updated_days": long("{count}"), "others_other": long("{count}"),
			}}
		}), call, []string{
			"ticket_open (en-US, configured): cut in the text for its length", "greeting_name (en-US, configured): left out of the text for its length",
			"updated_days (en-US, configured): left out of the text for its length", "subject (en-US, built in): left out of the text for its length",
			"others_other (en-US, configured): left out for its length",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, voicesWith(t, tt.options).For(tt.lang, "").Explain(&tt.call)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// marked are wordings that each say their own name, as letters alone, and of
// which half are as long as a sentence may be.
func marked(r *rand.Rand, most int) map[string]string {
	all := map[string]string{}
	for k := range kinds {
		wording := markOf(k)
		for _, s := range slotNames {
			if rules[k].needs&s.slot != 0 || rules[k].allowed&s.slot != 0 && r.IntN(2) == 0 {
				wording += " {" + s.name + "}"
			}
		}
		bare, _ := compile(wording+".", k)
		room := most - bare.chars - len(" ")
		if r.IntN(2) == 0 {
			room = r.IntN(room)
		}
		all[rules[k].name] = strings.Repeat("a", room) + " " + wording + "."
	}
	return all
}

// markOf is a word that only one kind of sentence has.
func markOf(k kind) string { return "X" + string(rune('a'+int(k))) + "X" }

// Of random calls and lengths: what is named is said, in that order, and
// nothing else; what is named as left out is not said.
func TestExplainAgreesWithAppend(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 7))
	noted := map[string]int{}
	for range 3000 {
		o := Options{MaxChars: 120 + r.IntN(137), IncludeSubject: r.IntN(2) == 0, Reveal: []string{"", RevealStatus, RevealNothing}[min(2, r.IntN(12)/4)]}
		own := marked(r, o.MaxChars)
		o.Templates = map[string]map[string]string{"en": own}
		v := voicesWith(t, o).For("en", "")
		c := Call{
			Known: r.IntN(8) > 0, FirstName: []string{"", "Ana", "Maximiliana"}[r.IntN(3)], Others: r.IntN(4),
			TicketsUnknown: r.IntN(4) == 0, Now: noon,
		}
		if r.IntN(5) > 0 {
			c.Ticket = ticketOf(states[r.IntN(len(states))], r.IntN(500)-1)
			c.Ticket.ID, c.Ticket.Subject = r.Int64N(1e7), []string{"", "Printer on floor 3 does not print"}[r.IntN(2)]
		}
		text, ssml := say(v, c)
		inText, inSSML := "", "" // the marks that should be there, in order
		var left, cut []string
		for _, name := range v.Explain(&c) {
			word, rest, _ := strings.Cut(name, " (en-US, configured)")
			k, ok := kindOf(word)
			if !ok {
				t.Fatalf("there is no sentence %q", name)
			}
			noted[rest]++
			switch rest {
			case "":
				inText, inSSML = inText+markOf(k), inSSML+markOf(k)
			case cutShort:
				cut, inSSML = append(cut, markOf(k)), inSSML+markOf(k)
			case outOfText:
				left = append(left, markOf(k))
			case outOfBoth:
			default:
				t.Fatalf("%q", name)
			}
		}
		if len(cut) > 0 && inText != "" {
			t.Fatalf("one is cut, and others are said: %q", v.Explain(&c))
		}
		saidText, saidSSML := marks(text), marks(ssml)
		if saidText != inText && (len(cut) != 1 || saidText != "" && saidText != cut[0]) {
			t.Fatalf("%q says %s, and is explained as %q", text, saidText, v.Explain(&c))
		}
		for _, m := range left { // the order of those left out is that of speaking
			if !strings.Contains(saidSSML, m) {
				t.Fatalf("%s is not left out of the text alone: %s", m, ssml)
			}
		}
		if len(left) == 0 && saidSSML != inSSML || len(saidSSML) != len(inSSML)+len(left)*len(markOf(0)) {
			t.Fatalf("%s says %s, and is explained as %q", ssml, saidSSML, v.Explain(&c))
		}
	}
	for _, note := range []string{"", outOfText, outOfBoth, cutShort} {
		if noted[note] == 0 {
			t.Errorf("nothing was ever said to be %q: %v", note, noted)
		}
	}
}

// marks are the marks in what was said.
func marks(said string) string {
	var b strings.Builder
	for i := 0; i+2 < len(said); i++ {
		if said[i] == 'X' && said[i+2] == 'X' {
			b.WriteString(said[i : i+3])
			i += 2
		}
	}
	return b.String()
}
