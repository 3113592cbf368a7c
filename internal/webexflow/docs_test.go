package webexflow

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The guide is in two languages, and what can be compared without reading
// either is compared: an author who changes one must change the other.

func guide(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// outline is the shape of a guide: its headings by their depth, its tables by
// their rows and columns, its blocks of code as they are.
func outline(text string) []string {
	var shape []string
	code := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "```"):
			code = !code
			shape = append(shape, line)
		case code:
			shape = append(shape, line)
		case strings.HasPrefix(line, "#"):
			depth, _, _ := strings.Cut(line, " ")
			shape = append(shape, depth)
		case strings.HasPrefix(line, "|"):
			shape = append(shape, strings.Repeat("| ", strings.Count(line, "|")))
		case strings.HasPrefix(line, "- "), regexp.MustCompile(`^\d+\. `).MatchString(line):
			shape = append(shape, line[:2])
		case line == "":
		default:
			shape = append(shape, "text")
		}
	}
	return shape
}

func TestBothGuidesHaveOneShape(t *testing.T) {
	english, spanish := outline(guide(t, "webex.md")), outline(guide(t, "webex.es.md"))
	if len(english) < 150 {
		t.Fatalf("the guide has only %d parts: the reading must be broken", len(english))
	}
	if diff := cmp.Diff(english, spanish); diff != "" {
		t.Errorf("(-English +Spanish):\n%s", diff)
	}
}

// row is a line of the table of fields.
var row = regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| `([^`]+)` \\| `([^`]+)` \\| ([A-Z]+) \\| `([^`]+)` \\|")

// TestGuidesNameWhatTheFlowReads: field, path, variable, type and initial
// value, in the flow's own order.
func TestGuidesNameWhatTheFlowReads(t *testing.T) {
	known := fields(t)
	for file, lang := range map[string]string{"webex.md": "en-US", "webex.es.md": "es-US"} {
		var want, got [][]string
		for _, v := range Looked(lang) {
			want = append(want, []string{v.Name, "$." + v.Name, v.Name, string(v.Type), v.Initial})
		}
		for _, m := range row.FindAllStringSubmatch(guide(t, file), -1) {
			got = append(got, m[1:])
			if !slices.Contains(known, m[1]) {
				t.Errorf("%s: no lookup has a field %s", file, m[1])
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-flow +guide):\n%s", file, diff)
		}
	}
}

// TestGuidesNameNothingThatIsNot: each word in code that looks like a field is
// one, or a variable of the flow, or a key that is known by another name.
func TestGuidesNameNothingThatIsNot(t *testing.T) {
	known := append(fields(t),
		"ani", "lang", "agents_available", "ewt_ms", "interaction_id", "duration_seconds", // of requests
		"secret_sha256", "dedupe_window", "agents_available_min", "ewt_max", "busy_", // of the configuration
		"callback_requested", "self_served", "spoke_to_agent", "no_agent_available", // outcomes
		"not_found", "defaultmusic_on_hold")
	for _, v := range build(t, usual()).Variables {
		known = append(known, v.Name)
	}
	code := regexp.MustCompile("`([^`\n]+)`")
	for _, file := range []string{"webex.md", "webex.es.md"} {
		words := 0
		for _, m := range code.FindAllStringSubmatch(guide(t, file), -1) {
			for _, w := range regexp.MustCompile(`[A-Za-z0-9]+_[A-Za-z0-9_]*`).FindAllString(m[1], -1) {
				words++
				if !slices.Contains(known, w) {
					t.Errorf("%s: %s in `%s` is nowhere", file, w, m[1])
				}
			}
		}
		if words < 100 {
			t.Errorf("%s: only %d words read", file, words)
		}
	}
}

// TestGuidesHaveTheFlowsOwnWords: bodies, conditions and settings of the recipe
// are those of the generated flow.
func TestGuidesHaveTheFlowsOwnWords(t *testing.T) {
	f := build(t, usual())
	var words []string
	for _, g := range []*Graph{&f.Main, &f.Events} {
		for _, n := range g.Nodes {
			switch a := n.Do.(type) {
			case Request:
				words = append(words, "\n"+a.Body+"\n", "`"+a.Path+"`")
			case Condition:
				if !strings.Contains(a.Expr, "menu_tries") && !strings.Contains(a.Expr, "call_started") {
					words = append(words, "`"+a.Expr+"`")
				}
			case Case:
				if !strings.Contains(a.Expr, "screen_pop") && !strings.Contains(a.Expr, "call_stage") && !strings.Contains(a.Expr, "language") {
					words = append(words, "`"+a.Expr+"`")
				}
			case Set:
				for _, v := range a.Values {
					if n.Name == "SetLanguage" || n.Name == "CallSeconds" || n.Name == "AgentNoted" && expression(v.Value) {
						words = append(words, "`"+v.Value+"`")
					}
				}
			}
		}
	}
	words = append(words, "`"+music+"`", "2000 ms", warning)
	for _, file := range []string{"webex.md", "webex.es.md"} {
		text := guide(t, file)
		for _, w := range words {
			if w == warning {
				w = map[string]string{"webex.md": "**Not tried against a tenant.**", "webex.es.md": "**No se ha probado en ningún tenant.**"}[file]
			}
			if !strings.Contains(text, w) {
				t.Errorf("%s does not say %s", file, strings.TrimSpace(w))
			}
		}
	}
}

// warning stands for the same warning in each guide's language.
const warning = "not tried"

// TestOutcomesHaveWords: each outcome that the flow sends is one that the
// proxy words.
func TestOutcomesHaveWords(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "speech", "summary.go"))
	if err != nil {
		t.Fatal(err)
	}
	f := build(t, usual())
	v, _ := f.variable("call_outcome")
	sent := []string{v.Initial}
	for _, g := range []*Graph{&f.Main, &f.Events} {
		for _, n := range g.Nodes {
			if a, ok := n.Do.(Set); ok {
				for _, v := range a.Values {
					if v.Variable == "call_outcome" {
						sent = append(sent, v.Value)
					}
				}
			}
		}
	}
	if len(sent) < 5 {
		t.Errorf("only %v", sent)
	}
	for _, outcome := range sent {
		if !strings.Contains(string(text), `"`+outcome+`"`) {
			t.Errorf("nothing is said of %s", outcome)
		}
	}
}

// TestVoicesHavePrompts: whatever language an answer can have by the usual
// configuration, the flow has prompts in it.
func TestVoicesHavePrompts(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "config.toml"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n[speech.voices]\n")
	section, _, _ = strings.Cut(section, "\n\n")
	var texts Case
	f := build(t, usual())
	for _, n := range f.Main.Nodes {
		if n.Name == "OwnTexts" {
			texts = n.Do.(Case)
		}
	}
	voices := regexp.MustCompile(`(?m)^[a-z]+ = "([^"]+)"$`).FindAllStringSubmatch(section, -1)
	if len(voices) < 5 {
		t.Fatalf("only %d voices read", len(voices))
	}
	for _, v := range voices {
		if !slices.Contains(texts.Values, v[1]) {
			t.Errorf("no prompts for %s", v[1])
		}
	}
}
