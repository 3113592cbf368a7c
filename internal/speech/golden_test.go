package speech

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/caller"
)

var update = flag.Bool("update", false, "write what is said into testdata")

// everyVoice are the shipped voices and those that have words of their own.
func everyVoice() map[string]string {
	voices := shipped()
	voices["pt-PT"] = "pt-PT"
	return voices
}

var (
	noon   = time.Date(2026, time.March, 15, 12, 0, 0, 0, time.UTC)
	states = []string{"new", "open", "pending", "hold", "solved", "closed", "triage"}
	dates  = []struct {
		name string
		days int // before noon, -1 where the time is not known
	}{
		{"not known", -1},
		{"today", 0},
		{"yesterday", 1},
		{"2 days ago", 2},
		{"13 days ago", 13},
		{"14 days ago", 14},
		{"59 days ago", 59},
		{"60 days ago", 60},
		{"a year ago", 365},
		{"two years ago", 730},
	}
)

func ticketOf(status string, days int) *caller.Ticket {
	t := &caller.Ticket{ID: 35436, Status: status, Subject: "Re: [EXT] Printer on floor 3 does not print"}
	if days >= 0 {
		t.UpdatedAt = noon.AddDate(0, 0, -days).Unix()
	}
	return t
}

func voicesWith(t testing.TB, o Options) *Voices {
	t.Helper()
	if o.DefaultLanguage == "" {
		o.DefaultLanguage = "en-US"
	}
	if o.Voices == nil {
		o.Voices = everyVoice()
	}
	v, err := NewVoices(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func say(v *Voice, c Call) (text, ssml string) {
	t, s := v.Append(nil, nil, &c)
	return string(t), string(s)
}

// TestGolden holds, one file a language, everything that can be heard in it:
// for native speakers to read. Run with -update to write them anew.
func TestGolden(t *testing.T) {
	for _, tag := range everyVoice() {
		t.Run(tag, func(t *testing.T) {
			got := script(t, tag)
			path := filepath.Join("testdata", tag+".txt")
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("go test -update writes it anew (-want +got):\n%s", diff)
			}
		})
	}
}

// script writes everything that a voice says.
func script(t *testing.T, tag string) []byte {
	var b bytes.Buffer
	heading := func(format string, args ...any) { fmt.Fprintf(&b, "\n== "+format+"\n", args...) }
	line := func(label, text string) { fmt.Fprintf(&b, "%-24s %s\n", label, text) }
	voice := func(o Options) *Voice { return voicesWith(t, o).For(tag, "") }

	fmt.Fprintf(&b, "What the voice %s says. The ticket is number 35436, the caller María.\n", tag)
	full, status, nothing := voice(Options{}), voice(Options{Reveal: RevealStatus}), voice(Options{Reveal: RevealNothing})

	heading("Where nothing may be said")
	line("nobody is known", full.Text)
	text, ssml := say(nothing, Call{Known: true, FirstName: "María", Ticket: ticketOf("open", 0), Others: 2, Now: noon})
	line("reveal = nothing", text)
	line("as SSML", ssml)

	for _, reveal := range []struct {
		name  string
		voice *Voice
	}{{"name and status", full}, {"status", status}} {
		heading("Tickets, reveal = %s, by state and number of others", reveal.name)
		for _, state := range states {
			for others := range 3 {
				text, _ := say(reveal.voice, Call{Known: true, FirstName: "María", Ticket: ticketOf(state, 0), Others: others, Now: noon})
				line(fmt.Sprintf("%s, %d others", state, others), text)
			}
		}
		text, _ := say(reveal.voice, Call{Known: true, FirstName: "María", Now: noon})
		line("no ticket", text)
		text, _ = say(reveal.voice, Call{Known: true, FirstName: "María", TicketsUnknown: true, Now: noon})
		line("tickets not known", text)
	}

	heading("Without a name")
	for _, state := range states {
		text, _ := say(full, Call{Known: true, FirstName: "Caller +34600111222", Ticket: ticketOf(state, 1), Now: noon})
		line(state, text)
	}
	text, _ = say(full, Call{Known: true, Now: noon})
	line("no ticket", text)

	heading("When it was updated")
	for _, d := range dates {
		text, _ := say(full, Call{Known: true, Ticket: ticketOf("open", d.days), Now: noon})
		line(d.name, text)
	}

	heading("Many others, and the subject")
	withSubject := voice(Options{IncludeSubject: true})
	text, ssml = say(withSubject, Call{Known: true, FirstName: "María", Ticket: ticketOf("pending", 3), Others: 12, Now: noon})
	line("as text", text)
	line("as SSML", ssml)

	heading("Notes to the agents")
	all := voicesWith(t, Options{DefaultLanguage: tag})
	for i, outcome := range Outcomes() {
		s := Summary{Outcome: outcome}
		if i%2 == 0 {
			s.Agent, s.Queue, s.Duration = "Kim de Vries", "Support 1", 200*time.Second
		}
		text, _ := all.Summarize(s)
		line(outcome, text)
	}
	return b.Bytes()
}
