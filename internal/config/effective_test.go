package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTheEffectiveConfigurationLoadsAgain: what is shown is what is in force,
// so loading it gives the same.
func TestTheEffectiveConfigurationLoadsAgain(t *testing.T) {
	examples := withExamples(readReference(t))
	// A masked digest does not load again, so the example client is left out.
	head, rest, _ := strings.Cut(examples, "\n[[clients]]")
	_, rest, _ = strings.Cut(rest, "\n[zendesk]")
	for _, tc := range []struct {
		name string
		c    *Config
	}{
		{"the defaults", Defaults()},
		{"every example of the reference", loadText(t, head+"\n[zendesk]"+rest)},
		{"odd texts", loadText(t, "[agents]\n\"a+b@example.com\" = \"c\\\\d\\u0001\\n\"\n[speech.templates.pt-BR]\n\"ol\u00e1 x\" = \"\u00fc \\\"y\\\"\"\n")},
		{"a rule with a limit of nobody", loadText(t, "[[routing.rules]]\nname = \"a\"\nwhen = { agents_available_max = 0 }\nthen = { queue_priority = 9 }\n")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := tc.c.Effective()
			again, err := load("effective.toml", []byte(text), nil, noFiles)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if diff := cmp.Diff(tc.c, again, sameValues); diff != "" {
				t.Errorf("loaded again (-shown +loaded):\n%s", diff)
			}
		})
	}
}

func TestTheEffectiveConfigurationTellsWhereValuesCameFrom(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("testdata", "effective.toml"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := load("config.toml", doc, []string{"ANIPROXY_CACHE_MEMORY_MB=64", "ANIPROXY_ZENDESK_API_TOKEN_FILE=token"},
		files(map[string]string{"token": "a-token\n"}))
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "effective.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(c.Effective()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), c.Effective()); diff != "" {
		t.Errorf("effective configuration (-want +got):\n%s", diff)
	}
}
