package speech

import (
	"testing"

	"aniproxy/internal/caller"
)

func BenchmarkAppend(b *testing.B) {
	ticket := caller.Ticket{ID: 35436, Status: "open", UpdatedAt: noon.Unix() - 300_000, Subject: "Re: [EXT] AW: the printer on floor 3 does not print any more, see https://example.com/x"}
	calls := []struct {
		name    string
		voice   string
		subject bool
		call    Call
	}{
		{"nobody", "en-US", false, Call{}},
		{"name and ticket", "en-US", false, Call{Known: true, FirstName: "Maria", Ticket: &ticket, Others: 2, Now: noon}},
		{"name with accents in French", "fr-FR", false, Call{Known: true, FirstName: "Zoë", Ticket: &ticket, Others: 2, Now: noon}},
		{"with the subject", "es-US", true, Call{Known: true, FirstName: "Maria", Ticket: &ticket, Others: 2, Now: noon}},
	}
	for _, c := range calls {
		b.Run(c.name, func(b *testing.B) {
			v := voicesWith(b, Options{IncludeSubject: c.subject}).For(c.voice, "")
			text, ssml := make([]byte, 0, 1024), make([]byte, 0, 2048)
			b.ReportAllocs()
			for b.Loop() {
				v.Append(text, ssml, &c.call)
			}
		})
	}
}

func BenchmarkNewVoices(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		voicesWith(b, Options{})
	}
}
