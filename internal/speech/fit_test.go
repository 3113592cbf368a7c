package speech

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"aniproxy/internal/caller"
)

// forbidden is written out here, and not taken from the code under test.
const forbidden = "\"'`´<>&{}[]\\«»‹›“”„‟‘’‚‛′″‴‵‶‷ʼʻʽʹʺ＂＇｀＜＞＆｛｝［］＼"

// checkText finds what is wrong with a spoken_text.
func checkText(text string, limit int) error {
	switch {
	case !utf8.ValidString(text):
		return fmt.Errorf("no UTF-8: %q", text)
	case strings.TrimSpace(text) == "":
		return fmt.Errorf("nothing is said: %q", text)
	case utf8.RuneCountInString(text) > limit:
		return fmt.Errorf("%d characters, more than %d: %q", utf8.RuneCountInString(text), limit, text)
	case text != strings.TrimSpace(text) || strings.Contains(text, "  "):
		return fmt.Errorf("stray spaces: %q", text)
	}
	for _, r := range text {
		if strings.ContainsRune(forbidden, r) || r == utf8.RuneError || !unicode.IsPrint(r) ||
			unicode.In(r, unicode.Quotation_Mark, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Bidi_Control) {
			return fmt.Errorf("%U may not be spoken: %q", r, text)
		}
	}
	return nil
}

// checkSSML finds what is wrong with a spoken_ssml, and gives its text back:
// digits as they stand, pauses as nothing.
func checkSSML(ssml string) (text string, err error) {
	if n := utf8.RuneCountInString(ssml); n > 1000 {
		return "", fmt.Errorf("%d characters: %s", n, ssml)
	}
	if !strings.HasPrefix(ssml, "<speak>") || !strings.HasSuffix(ssml, "</speak>") {
		return "", fmt.Errorf("no speak element: %s", ssml)
	}
	d := xml.NewDecoder(strings.NewReader(ssml))
	var b strings.Builder
	depth := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return b.String(), nil
		}
		if err != nil {
			return "", fmt.Errorf("%w: %s", err, ssml)
		}
		switch token := token.(type) {
		case xml.StartElement:
			written := token.Name.Local
			for _, a := range token.Attr {
				written += " " + a.Name.Local + "=" + a.Value
			}
			switch written {
			case "speak", "say-as interpret-as=characters", "break time=300ms":
			default:
				return "", fmt.Errorf("element %s: %s", written, ssml)
			}
			if depth == 0 != (written == "speak") || depth > 1 {
				return "", fmt.Errorf("%s at depth %d: %s", written, depth, ssml)
			}
			depth++
		case xml.EndElement:
			depth--
		case xml.CharData:
			if depth == 0 || strings.ContainsFunc(string(token), func(r rune) bool { return !unicode.IsPrint(r) }) {
				return "", fmt.Errorf("outside, or no text: %q: %s", token, ssml)
			}
			b.Write(token)
		default:
			return "", fmt.Errorf("%T: %s", token, ssml)
		}
	}
}

func checkBoth(t *testing.T, text, ssml string, limit int) {
	t.Helper()
	if err := checkText(text, limit); err != nil {
		t.Error(err)
	}
	if _, err := checkSSML(ssml); err != nil {
		t.Error(err)
	}
}

// TestEveryCombination: what is said of a call is always the same sentences,
// each of which a shorter call says alone, in the same order.
func TestEveryCombination(t *testing.T) {
	voices := voicesWith(t, Options{MaxChars: 256})
	for i := range voices.spoken {
		v := &voices.spoken[i]
		for _, name := range []string{"", "María"} {
			greeted, _ := say(v, Call{Known: true, FirstName: name, TicketsUnknown: true})
			if name != "" != strings.Contains(greeted, "María") {
				t.Errorf("%s: %q with the name %q", v.Tag, greeted, name)
			}
			for _, state := range states {
				alone, _ := say(v, Call{Known: true, FirstName: name, Ticket: ticketOf(state, -1), Now: noon})
				if !strings.HasPrefix(alone, greeted+" ") || !strings.Contains(alone, " 3 5 4 3 6") {
					t.Errorf("%s: %q", v.Tag, alone)
				}
				for _, d := range dates {
					dated, _ := say(v, Call{Known: true, FirstName: name, Ticket: ticketOf(state, d.days), Now: noon})
					for others := range 4 {
						text, ssml := say(v, Call{Known: true, FirstName: name, Ticket: ticketOf(state, d.days), Others: others, Now: noon})
						checkBoth(t, text, ssml, 256)
						rest, ok := strings.CutPrefix(text, dated)
						if !ok || (rest == "") != (others == 0) {
							t.Errorf("%s %s %s, %d others: %q", v.Tag, state, d.name, others, text)
						}
						if others > 1 != strings.Contains(rest, fmt.Sprint(others)) {
							t.Errorf("%s counts %d others as %q", v.Tag, others, rest)
						}
						// Both forms say the same.
						read, _ := checkSSML(ssml)
						if want := strings.Replace(text, "3 5 4 3 6", "35436", 1); read != want {
							t.Errorf("%s says in SSML %q, as text %q", v.Tag, read, want)
						}
					}
				}
			}
		}
	}
}

// TestNothingIsLeftOutAsShipped: the longest that the shipped sentences say of
// a long name and number has room.
func TestNothingIsLeftOutAsShipped(t *testing.T) {
	voices := voicesWith(t, Options{})
	for i := range voices.spoken {
		v := &voices.spoken[i]
		for _, state := range states {
			for _, d := range dates {
				ticket := ticketOf(state, d.days)
				ticket.ID = 1_234_567
				text, ssml := say(v, Call{Known: true, FirstName: "Maximilian", Ticket: ticket, Others: 12, Now: noon})
				if read, _ := checkSSML(ssml); read != strings.Replace(text, "1 2 3 4 5 6 7", "1234567", 1) {
					t.Errorf("%s leaves something out: %q", v.Tag, text)
				}
			}
		}
	}
}

func TestReveal(t *testing.T) {
	call := Call{Known: true, FirstName: "María", Ticket: ticketOf("open", 1), Others: 1, Now: noon}
	for _, tt := range []struct {
		reveal       string
		name, ticket bool
	}{{"", true, true}, {RevealNameAndStatus, true, true}, {RevealStatus, false, true}, {RevealNothing, false, false}} {
		text, ssml := say(voicesWith(t, Options{Reveal: tt.reveal}).For("en", ""), call)
		for said, want := range map[string]bool{"María": tt.name, "3 5 4 3 6": tt.ticket} {
			if strings.Contains(text, said) != want {
				t.Errorf("reveal %q: %q", tt.reveal, text)
			}
		}
		if strings.Contains(ssml, "María") != tt.name || strings.Contains(ssml, "35436") != tt.ticket {
			t.Errorf("reveal %q: %s", tt.reveal, ssml)
		}
	}
	if _, err := NewVoices(Options{DefaultLanguage: "en-US", Reveal: "everything"}); err == nil || !strings.Contains(err.Error(), "name_and_status") {
		t.Errorf("reveal everything: %v", err)
	}
}

func TestWhatIsSaidOfWhom(t *testing.T) {
	v := voicesWith(t, Options{}).For("en", "")
	ticket := ticketOf("open", -1)
	const hello, working = "Hello, and thank you for calling.", " Your request number 3 5 4 3 6 is being worked on."
	for name, tt := range map[string]struct {
		call Call
		want string
	}{
		"nobody is known, whatever stands beside it": {Call{FirstName: "María", Ticket: ticket, Others: 3}, hello},
		"a person without tickets":                   {Call{Known: true}, hello + " You have no open requests at the moment."},
		"whose tickets are not known":                {Call{Known: true, TicketsUnknown: true}, hello},
		"of whom one is known all the same":          {Call{Known: true, TicketsUnknown: true, Ticket: ticket}, hello + working},
		"others without the ticket prove nothing":    {Call{Known: true, Others: 1}, hello},
		"a negative count is none":                   {Call{Known: true, Ticket: ticket, Others: -4}, hello + working},
		"a ticket without a number is none to name":  {Call{Known: true, Ticket: &caller.Ticket{Status: "open"}}, hello},
		"a million others":                           {Call{Known: true, Ticket: ticket, Others: 1_000_001}, hello + working + " You have 1000001 other open requests."},
	} {
		if text, _ := say(v, tt.call); text != tt.want {
			t.Errorf("%s: %q, want %q", name, text, tt.want)
		}
	}
}

func TestAppendAppends(t *testing.T) {
	v := voicesWith(t, Options{}).For("en", "")
	for _, c := range []Call{{}, {Known: true, Ticket: ticketOf("open", 0), Now: noon}} {
		text, ssml := say(v, c)
		after, afterSSML := v.Append([]byte("before "), []byte("<?x?>"), &c)
		if string(after) != "before "+text || string(afterSSML) != "<?x?>"+ssml {
			t.Errorf("appended: %q, %q", after, afterSSML)
		}
	}
}

func TestShortening(t *testing.T) {
	ticket := ticketOf("open", 3)
	call := Call{Known: true, FirstName: "María", Ticket: ticket, Others: 2, Now: noon}
	const (
		hello   = "Hello María, thank you for calling."
		working = "Your request number 3 5 4 3 6 is being worked on."
		updated = "It was last updated 3 days ago."
		about   = "It is about: Printer on floor 3 does not print."
		others  = "You have 2 other open requests."
	)
	for _, tt := range []struct {
		limit int
		want  []string
	}{
		{256, []string{hello, working, updated, about, others}},
		{197, []string{hello, working, updated, about, others}},
		{196, []string{hello, working, updated, about}},
		{164, []string{hello, working, updated}},
		{116, []string{hello, working}},
		{84, []string{working}},
		{49, []string{working}},
		{48, []string{"Your request number 3 5 4 3 6 is being worked"}},
		{29, []string{"Your request number 3 5 4 3 6"}},
		{28, []string{"Your request number"}}, // half a number is another number
		{21, []string{"Your request number"}},
		{10, []string{"Your"}},
	} {
		want := strings.Join(tt.want, " ")
		text, ssml := say(voicesWith(t, Options{IncludeSubject: true, MaxChars: tt.limit}).For("en", ""), call)
		if text != want {
			t.Errorf("at %d (%d): %q, want %q", tt.limit, len(want), text, want)
		}
		checkBoth(t, text, ssml, tt.limit)
		if !strings.Contains(ssml, "You have 2 other") {
			t.Errorf("max_chars %d has shortened the SSML: %s", tt.limit, ssml)
		}
	}
	if text := voicesWith(t, Options{MaxChars: 20}).For("en", "").Text; text != "Hello, and thank you" {
		t.Errorf("the neutral sentence at 20: %q", text)
	}
}

// TestTheLongestSSML: an operator's longest sentences with the longest that
// goes into them.
func TestTheLongestSSML(t *testing.T) {
	long := func(with string) string { return strings.Repeat("ü", 255) + with + "." }
	v := voicesWith(t, Options{IncludeSubject: true, MaxChars: 256, Templates: map[string]map[string]string{"en": {
		"neutral": long(""), "greeting_name": long("{first_name}"), "ticket_open": long("{ticket}"),
		"updated_days": long("{count}{ticket}"), "subject": long("{subject}{ticket}"), "others_other": long("{count}"),
	}}}).For("en", "")
	ticket := ticketOf("open", 3)
	ticket.ID, ticket.Subject = 1<<63-1, strings.Repeat("ä", 500)
	text, ssml := say(v, Call{Known: true, FirstName: strings.Repeat("ö", 500), Ticket: ticket, Others: 1 << 40, Now: noon})
	checkBoth(t, text, ssml, 256)
	if !strings.Contains(ssml, "ö") || !strings.Contains(ssml, ">9223372036854775807<") || strings.Contains(ssml, "ä") {
		t.Errorf("greeting and ticket stay, the subject goes: %s", ssml)
	}
	checkBoth(t, v.Text, v.SSML, 256)
}

func TestNothingIsAllocated(t *testing.T) {
	v := voicesWith(t, Options{IncludeSubject: true}).For("fr", "")
	text, ssml := make([]byte, 0, 1024), make([]byte, 0, 2048)
	c := Call{Known: true, FirstName: "Zoë", Ticket: ticketOf("open", 3), Others: 2, Now: noon}
	if n := testing.AllocsPerRun(100, func() { v.Append(text, ssml, &c) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestWhatWordsAreMadeOfCanBeSpoken: what the cleaning lets through of strange
// texts is never what the two forms forbid.
func TestWhatWordsAreMadeOfCanBeSpoken(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if (letter(r) || mark(r) || digit(r) || unicode.Is(unicode.Sc, r)) && !speakable(r) {
			t.Errorf("%U %q", r, r)
		}
		if speakable(r) && strings.ContainsRune(forbidden, r) {
			t.Errorf("%U %q is speakable", r, r)
		}
	}
}

func FuzzSpeak(f *testing.F) {
	hostile := []string{
		`<speak><audio src="http://x/y.mp3"/></speak>`, `</speak><!--`, "{{global.secret}}", `María "La Jefa" O'Brien`,
		"Ana\r\nX: y", "\u202eevil\u202c", strings.Repeat("a", 10_000), strings.Repeat("[<&{", 2500), "\xff\xfe\x80a",
		"Caller +1 (555) 010-0199", "x@example.com", "e\u0301\u0301\u0301\u0301\u0301\u0301", "\u115f\u3164\u2800 a", "ʼsaltilloꞌ",
		"Re: [JIRA-12] Fwd: see https://example.com/?q=1&x=\"2\"", "🙂 emoji 👩‍👩‍👧", "\u0000\u0001\ufffe\uffff", "&lt;b&gt;", "$(x) `y` \\z",
	}
	for i, text := range hostile {
		f.Add(text, hostile[len(hostile)-1-i], "open", int64(i), int64(1_700_000_000), i, byte(i))
	}
	f.Add("María", "Printer", "\"><", int64(-5), int64(-1<<63), -1, byte(255))
	f.Add("María", "Printer", "pending", int64(1<<63-1), int64(1<<63-1), 1<<62, byte(40))
	full := map[int]*Voices{}
	for _, limit := range []int{40, 100, 250, 256} {
		full[limit] = voicesWith(f, Options{IncludeSubject: true, MaxChars: limit})
	}
	f.Fuzz(func(t *testing.T, name, subject, status string, id, updated int64, others int, which byte) {
		limit := []int{40, 100, 250, 256}[which%4]
		voices := full[limit]
		v := &voices.spoken[int(which/4)%len(voices.spoken)]
		c := Call{Known: true, FirstName: name, Others: others, Now: noon,
			Ticket: &caller.Ticket{ID: id, Subject: subject, Status: status, UpdatedAt: updated, Tags: []string{name}}}
		text, ssml := say(v, c)
		checkBoth(t, text, ssml, limit)
		again, _ := say(v, c)
		if text != again {
			t.Errorf("%q, and then %q", text, again)
		}
		for what, clean := range map[string][]byte{"name": appendName(nil, name), "subject": appendSubject(nil, subject)} {
			longest := map[string]int{"name": maxName, "subject": maxSubject}[what]
			if n := utf8.RuneCount(clean); n > longest || !utf8.Valid(clean) || !bytes.Equal(clean, bytes.TrimSpace(clean)) {
				t.Errorf("%s of %d characters: %q", what, n, clean)
			}
		}
	})
}
