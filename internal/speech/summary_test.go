package speech

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestSummarize(t *testing.T) {
	v := voicesWith(t, Options{})
	for _, tt := range []struct {
		name string
		s    Summary
		want string
	}{
		{"all of it", Summary{"callback_requested", "Ana", "Support", 200 * time.Second}, "Phone call: the caller asked to be called back. Agent: Ana. Queue: Support. Duration: 3 min 20 s."},
		{"nothing but the outcome", Summary{Outcome: "self_served"}, "Phone call: the caller got what they needed from the automated service."},
		{"a flow's empty variables", Summary{"abandoned", "null", "{{queue.name}}", 0}, "Phone call: the caller hung up before reaching an agent."},
		{"a full stop of its own", Summary{"transferred", "", "Tier 2.", 0}, "Phone call: the caller was transferred. Queue: Tier 2."},
		{"several lines", Summary{"transferred", "Ana\r\n\tMaría\u202e \u0000X", "", 0}, "Phone call: the caller was transferred. Agent: Ana María X."},
		{"a negative duration", Summary{"transferred", "", "", -time.Second}, "Phone call: the caller was transferred."},
		{"less than half a second", Summary{"transferred", "", "", 400 * time.Millisecond}, "Phone call: the caller was transferred."},
		{"seconds", Summary{"transferred", "", "", 45 * time.Second}, "Phone call: the caller was transferred. Duration: 45 s."},
		{"a full minute", Summary{"transferred", "", "", time.Minute}, "Phone call: the caller was transferred. Duration: 1 min."},
		{"an hour and a second", Summary{"transferred", "", "", time.Hour + time.Second}, "Phone call: the caller was transferred. Duration: 1 h 1 s."},
	} {
		if got, ok := v.Summarize(tt.s); got != tt.want || !ok {
			t.Errorf("%s: %q %v, want %q", tt.name, got, ok, tt.want)
		}
	}
	for _, unknown := range []string{"", "nonsense", "Abandoned"} {
		if got, ok := v.Summarize(Summary{Outcome: unknown}); ok || got != "" {
			t.Errorf("%q: %q", unknown, got)
		}
	}
}

func TestASummaryIsInTheDefaultLanguage(t *testing.T) {
	seen := map[string]string{}
	for _, tag := range everyVoice() {
		v := voicesWith(t, Options{DefaultLanguage: tag})
		for _, outcome := range Outcomes() {
			text, ok := v.Summarize(Summary{Outcome: outcome, Agent: "Ana", Queue: "Support", Duration: time.Minute})
			if !ok || strings.Count(text, "Ana.") != 1 || strings.Count(text, "Support.") != 1 || !strings.HasSuffix(text, "1 min.") {
				t.Errorf("%s %s: %q", tag, outcome, text)
			}
			if other, twice := seen[text]; twice {
				t.Errorf("%s and %s say the same: %q", tag, other, text)
			}
			seen[text] = tag
		}
	}
}

func TestOutcomesAreACopy(t *testing.T) {
	Outcomes()[0] = "changed"
	if got := Outcomes()[0]; got != "callback_requested" {
		t.Errorf("the first outcome is %q", got)
	}
}

func FuzzSummarize(f *testing.F) {
	f.Add("Ana", "Support\n", int64(200))
	f.Add(strings.Repeat("é ", 5000), "{{x}}", int64(-1<<63))
	f.Add("\xff\u2028\u202e", "…", int64(1<<63-1))
	v := voicesWith(f, Options{})
	f.Fuzz(func(t *testing.T, agent, queue string, nanoseconds int64) {
		text, ok := v.Summarize(Summary{"spoke_to_agent", agent, queue, time.Duration(nanoseconds)})
		if !ok || !utf8.ValidString(text) || utf8.RuneCountInString(text) > 2*maxPartName+120 {
			t.Errorf("%q", text)
		}
		for _, r := range text {
			if r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' || r == '\u202e' {
				t.Errorf("%U in %q", r, text)
			}
		}
	})
}
