package speech

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/caller"
)

func TestExplainNamesTheSentences(t *testing.T) {
	voices := voicesWith(t, Options{
		Voices: shipped(), Reveal: RevealNameAndStatus, MaxChars: 250,
		Templates: map[string]map[string]string{"es": {"greeting_name": "Buenas, {first_name}."}},
	})
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	ticket := &caller.Ticket{ID: 42, Status: "open", UpdatedAt: now.Add(-48 * time.Hour).Unix()}
	for _, tt := range []struct {
		name, lang string
		call       Call
		want       []string
	}{
		{"nobody known", "en", Call{}, []string{"neutral (en-US, built in)"}},
		{
			"a ticket in a wording of one's own", "es-MX", Call{Known: true, FirstName: "Ana", Ticket: ticket, Others: 1, Now: now},
			[]string{"greeting_name (es-US, configured)", "ticket_open (es-US, built in)", "updated_days (es-US, built in)", "others_one (es-US, built in)"},
		},
		{"nothing open", "en", Call{Known: true, Now: now}, []string{"greeting (en-US, built in)", "nothing_open (en-US, built in)"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, voices.For(tt.lang, "").Explain(&tt.call)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What is named as spoken is in the text, word for word, and what is left out
// is not.
func TestExplainAgreesWithAppend(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	left := 0
	for range 500 {
		v := voicesWith(t, Options{Voices: shipped(), Reveal: RevealNameAndStatus, MaxChars: 40 + r.IntN(217)}).For([]string{"en", "es", "de"}[r.IntN(3)], "")
		call := Call{Known: true, FirstName: []string{"", "Ana", "Maximiliana"}[r.IntN(3)], Others: r.IntN(4), Now: now}
		if r.IntN(4) > 0 {
			call.Ticket = &caller.Ticket{ID: r.Int64N(1e6) + 1, Status: []string{"new", "open", "hold"}[r.IntN(3)], UpdatedAt: now.Unix() - r.Int64N(1e7)}
		}
		text, _ := v.Append(nil, nil, &call)
		names := v.Explain(&call)
		spoken := 0
		for _, name := range names {
			if strings.Contains(name, ": left out") {
				left++
				continue
			}
			spoken++
		}
		var all said
		all.plan(v, &call)
		whole := all.appendText(nil, 10_000)
		if (spoken == len(names)) != (string(text) == string(whole)) {
			t.Fatalf("%q of %q is explained as %q", text, whole, names)
		}
	}
	if left == 0 {
		t.Error("nothing was ever left out: the limits must be too wide")
	}
}
