package speech

import (
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	for _, tt := range []struct{ raw, want string }{
		{"María", "María"},
		{"  Ana   María ", "Ana María"},
		{"Jean-Luc", "Jean-Luc"},
		{"Jean\u2011Luc -", "Jean-Luc"},
		{"O'Brien", "OBrien"},
		{"D\u2019Angelo", "DAngelo"},
		{"Ke\u02bbalohilani", "Kealohilani"},
		{"Ana \"La Jefa\"", "Ana La Jefa"},
		{"M4rk", "Mrk"},
		{"J.R.", "JR"},
		{"Ana 🙂", "Ana"},
		{"\u202eAna\u202c", "Ana"},
		{"Ana\u200bBel", "AnaBel"},
		{"Zoe\u0308", "Zoe\u0308"},
		{"a\u0300\u0301\u0302\u0303\u0304b", "a\u0300\u0301\u0302b"},
		{"李雷", "李雷"},
		{"王", "王"},
		{"محمد", "محمد"},
		{"Ана", "Ана"},
		{"\xffAna\xfe", "Ana"},
		{strings.Repeat("a", 10_000), strings.Repeat("a", 40)},
		{"Anna " + strings.Repeat("b", 40), "Anna"},
		{strings.Repeat("a", 39) + " b", strings.Repeat("a", 39)},
		{strings.Repeat("a", 40) + " b", strings.Repeat("a", 40)},
		{strings.Repeat("a", 38) + "-b", strings.Repeat("a", 38) + "-b"},
		// What is no name.
		{"", ""},
		{" - ", ""},
		{"Caller", ""},
		{"Caller +1 (555) 010-0199", ""},
		{"CALLER +34600111222", ""},
		{"+34 600 111 222 ext", ""},
		{"12345", ""},
		{"maria@example.com", ""},
		{"www.example.com", ""},
		{"https://example.com", ""},
		{"Smith,", ""}, // the family's comes first
		{"Mr.", ""},
		{"Sra. Pérez", ""},
		{"J.", ""},
		{"Unknown", ""},
		{"null", ""},
		{"{{caller.name}}", ""},
		{"<speak>Ana</speak>", ""},
		{"Ana & Luis", ""},
		{"\u115f\u3164", ""},
	} {
		if got := string(appendName(nil, tt.raw)); got != tt.want {
			t.Errorf("name %.60q is spoken %q, want %q", tt.raw, got, tt.want)
		}
	}
}

func TestSubject(t *testing.T) {
	for _, tt := range []struct{ raw, want string }{
		{"Printer does not print", "Printer does not print"},
		{"Re: Printer", "Printer"},
		{"RE: re: Fwd: AW: RV: TR: WG: Printer", "Printer"},
		{"Re[2]: Printer", "Printer"},
		{"RE : Printer", "Printer"},
		{"Re: [JIRA-12] Fwd: [EXT sender] Printer", "Printer"},
		{"[JIRA-12] Printer [urgent]", "Printer"},
		{"Antwort: Rép: ENC: Drucker", "Drucker"},
		{"\u200fRe: Printer", "Printer"},
		{"Restore: my data", "Restore: my data"}, // no such mark
		{"Re printer", "Re printer"},
		{"I: Fattura", "Fattura"},
		{"I lost my card", "I lost my card"},
		{"See https://example.com/a?b=c&d=\"e\" please", "See please"},
		{"Login at www.example.com, thanks", "Login at thanks"},
		{"example.com is down", "is down"},
		{"intranet.example.com/login fails", "fails"},
		{"Mail to maria@example.com bounces", "Mail to bounces"},
		{"Update v2.1 and 24/7 support", "Update v2.1 and 24/7 support"},
		{"Call me on +34 600 111 222 please", "Call me on please"},
		{"Card 4111-1111-1111-1111", "Card"},
		{"Order 123456789 is late", "Order is late"},
		{"Order A1234567X is late", "Order is late"},
		{"Failed at 12:34:56 sharp", "Failed at 12:34:56 sharp"},
		{"Server 10.20.30.40 is down", "Server is down"},
		{"Invoice 4471 of 2026", "Invoice 4471 of 2026"},
		{"Room 12 34 blue", "Room 12 34 blue"},
		{"Help!!!! Now???", "Help! Now"},
		{"🙂 Printer 👩‍👩‍👧 on fire 🔥", "Printer on fire"},
		{"<b>Bold</b> claim", "Bold claim"},
		{"5 < 6 and 7 > 3", "5 6 and 7 3"},
		{"I <3 you", "I 3 you"},
		{"R&D budget &amp; &lt;plan&gt;", "R D budget plan"},
		{"{{ticket.secret}} leaks {x}", "leaks"},
		{"Can't print l'imprimante", "Cant print limprimante"},
		{"She said \"no\" to «that»", "She said no to that"},
		{"snake_case *bold* ~x~ `y` back\\slash", "snake case bold x y back slash"},
		{"one\r\ntwo\tthree\u2028four", "one two three four"},
		{"\u202eevil\u202c", "evil"},
		{"a – b — c - d", "a b c d"},
		{"Refund of $50 or 50 €", "Refund of $50 or 50"},
		{"¿Dónde está?", "¿Dónde está"},
		{"\xff\xfeok", "ok"},
		{"", ""},
		{"Re:", ""},
		{"[JIRA-12]", ""},
		{"🙂🙂", ""},
		{"600111222", ""},
		{"...", ""},
		{strings.Repeat("x", 10_000), strings.Repeat("x", 60)},
		{strings.Repeat("word ", 3_000), strings.TrimSpace(strings.Repeat("word ", 12))},
		{strings.Repeat("[", 10_000), ""},
		{"open [bracket", "open bracket"},
	} {
		if got := string(appendSubject(nil, tt.raw)); got != tt.want {
			t.Errorf("subject %.60q is spoken %q, want %q", tt.raw, got, tt.want)
		}
	}
}
