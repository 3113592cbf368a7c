package config

import (
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"aniproxy/internal/origin/origintest"
)

// Every hostile subdomain and base URL of the corpus, from a file and from the
// environment: one message at its key, which says what is allowed. A base URL
// may hold a password, so no message repeats one.
func TestHostileTargetsAreNoConfiguration(t *testing.T) {
	for _, tt := range []struct{ group, key, allowed string }{
		{"subdomains", "subdomain", "must be the first word of the Zendesk address, of a-z, 0-9 and -"},
		{"base urls", "base_url", "must be https://host or https://host:port, or http:// of a loopback host, and nothing after it"},
	} {
		for _, text := range origintest.Group(t, tt.group) {
			check := func(from, key string, got []string) {
				t.Helper()
				if len(got) != 1 || !strings.Contains(got[0], key+": "+tt.allowed) {
					t.Errorf("%s %q from the %s: %q", tt.key, text, from, got)
					return
				}
				if strings.ContainsFunc(got[0], unicode.IsControl) || len(got[0]) > 400 {
					t.Errorf("%s %q from the %s: the message is not fit to be shown: %q", tt.key, text, from, got[0])
				}
				for _, secret := range []string{"hunter2", "evil"} {
					if tt.key == "base_url" && strings.Contains(got[0], secret) {
						t.Errorf("%q from the %s is repeated: %s", text, from, got[0])
					}
				}
			}
			if !strings.Contains(text, "\x00") { // an environment has none
				name := "ANIPROXY_ZENDESK_" + strings.ToUpper(tt.key)
				check("environment", name, messages(t, "", name+"="+text))
			}
			if utf8.ValidString(text) {
				check("file", "zendesk."+tt.key, messages(t, "[zendesk]\n"+tt.key+" = "+quotedTOML(text)+"\n"))
			}
		}
	}
}

// quotedTOML is a text as a basic string of TOML: every character that is not
// plain by its number.
func quotedTOML(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		if r == '"' || r == '\\' || r < ' ' || r >= 0x7f {
			hex := strconv.FormatInt(int64(r), 16)
			b.WriteString(`\U` + strings.Repeat("0", 8-len(hex)) + hex)
			continue
		}
		b.WriteRune(r)
	}
	b.WriteByte('"')
	return b.String()
}

// What people mistake for a subdomain is met with the word to write, unless
// making it small is what made it a word.
func TestOfAWrongSubdomainTheRightOneIsSaid(t *testing.T) {
	for text, want := range map[string]string{
		"Acme": `(write "acme")`, "acme.zendesk.com": `(write "acme")`, "https://acme.zendesk.com/": `(write "acme")`, "acme.evil": `(write "acme")`,
		"acme@evil": "", "\u212aelvin": "", "xn--cme-5cd": "", "acme\u3002evil": "",
	} {
		got := messages(t, "", "ANIPROXY_ZENDESK_SUBDOMAIN="+text)
		if len(got) != 1 || want != "" && !strings.HasSuffix(got[0], want) || want == "" && strings.Contains(got[0], "(write") {
			t.Errorf("%q: %q", text, got)
		}
	}
}
