package webexflow

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

const testQueue = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"

func usual() Options {
	return Options{URL: "https://aniproxy.example.com", Queue: testQueue}
}

func build(t testing.TB, o Options) *Flow {
	t.Helper()
	f, err := Build(o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// variants are the options that change the flow.
func variants() map[string]Options {
	prefixed, spanish, own, asked := usual(), usual(), usual(), usual()
	prefixed.URL, prefixed.Connector = "https://gateway.example.com/zendesk/", "7633882a-e9fb-458b-a4b2-293d53fe39ea"
	spanish.Lang = "es-MX"
	own.Menu = "Press 1 for support, or 2 to hang up."
	asked.Lang = Auto
	return map[string]Options{"usual": usual(), "behind a path": prefixed, "Spanish": spanish, "a menu of one's own": own, "the caller's language": asked}
}

func TestTheFlowHoldsTogether(t *testing.T) {
	for name, o := range variants() {
		t.Run(name, func(t *testing.T) {
			for _, wrong := range Check(build(t, o)) {
				t.Error(wrong)
			}
		})
	}
}

// TestCheckFindsWhatIsBroken breaks the flow once in each way: a check that
// finds nothing would pass the test above.
func TestCheckFindsWhatIsBroken(t *testing.T) {
	edit := func(name string, change func(*Node)) func(*Flow) {
		return func(f *Flow) {
			for _, g := range []*Graph{&f.Main, &f.Events} {
				for i := range g.Nodes {
					if g.Nodes[i].Name == name {
						change(&g.Nodes[i])
					}
				}
			}
		}
	}
	edges := func(change func([]Edge) []Edge) func(*Flow) {
		return func(f *Flow) { f.Main.Edges = change(f.Main.Edges) }
	}
	long := strings.Repeat("a", maxInitial+1)
	tests := []struct {
		name  string
		spoil func(*Flow)
		want  string
	}{
		{"an exit without an edge", edges(func(e []Edge) []Edge { return e[:len(e)-1] }), "is wired 0 times"},
		{"an exit with two", edges(func(e []Edge) []Edge { return append(e, e[0]) }), "is wired 2 times"},
		{"an edge to nowhere", edges(func(e []Edge) []Edge { e[3].To = "Nowhere"; return e }), "not both there"},
		{"an edge into the other graph", edges(func(e []Edge) []Edge { e[3].To = "Comment"; return e }), "not both there"},
		{"an exit that is none", edges(func(e []Edge) []Edge { e[0].Exit = "sideways"; return e }), `has no exit "sideways"`},
		{"a node on its own", func(f *Flow) { f.Main.add("Island", "Alone.", Hangup{}) }, "nothing leads to Island"},
		{"two starts", func(f *Flow) { f.Main.add("Again", "A second.", Start{}, on("out", "Lookup")) }, "2 nodes are the start"},
		{"a name used twice", func(f *Flow) { f.Events.add("Lookup", "Twice.", End{}) }, `node "Lookup"`},
		{"a node that says nothing", edit("Menu", func(n *Node) { n.About = "" }), "Menu says nothing"},
		{"a request without a query row", edit("Lookup", func(n *Node) { r := n.Do.(Request); r.Query = nil; n.Do = r }), "no query row"},
		{"a filter expression", edit("Lookup", func(n *Node) {
			r := n.Do.(Request)
			r.Outputs = []Output{{"action", "$.tickets[?(@.id>0)].id"}}
			n.Do = r
		}), "names no single field"},
		{"an output into nothing", edit("Lookup", func(n *Node) {
			r := n.Do.(Request)
			r.Outputs = []Output{{"nothing", "$.action"}}
			n.Do = r
		}), `reads into "nothing"`},
		{"a comparison with an empty text", edit("LookupAnswered", func(n *Node) { n.Do = Condition{`{{ ticket_id == "" }}`} }), "relied on"},
		{"a comparison with !=", edit("LookupAnswered", func(n *Node) { n.Do = Condition{"{{ has_queue != 0 }}"} }), "relied on"},
		{"too many branches", edit("Action", func(n *Node) { n.Do = Case{"{{ action }}", make([]string, maxBranches+1)} }), "21 branches"},
		{"a variable that is not declared", edit("Greeting", func(n *Node) { n.Do = Say{"{{ spoken }}"} }), "spoken in {{ spoken }} is nowhere"},
		{"an output that a node has not", edit("QueueFree", func(n *Node) { n.Do = Set{[]Assignment{{"agents_free", "{{ QueueInfo.AgentsFree }}"}}} }), "is nowhere"},
		{"braces left open", edit("Greeting", func(n *Node) { n.Do = Say{"{{ spoken_text"} }), "braces"},
		{"an assignment to nothing", edit("SelfServed", func(n *Node) { n.Do = Set{[]Assignment{{"nothing", "x"}}} }), `sets "nothing"`},
		{"a queue without an id", edit("QueuePlain", func(n *Node) { n.Do = Queue{Queue: "Support"} }), "no queue"},
		{"a variable queue without another", edit("QueueByRule", func(n *Node) { n.Do = Queue{Queue: "{{ queue_id }}"} }), "none to fall back on"},
		{"a variable queue with a skill", edit("QueueByRule", func(n *Node) { q := n.Do.(Queue); q.Skilled = true; n.Do = q }), "switches skills off"},
		{"an agent without a recovery queue", edit("QueueToAgent", func(n *Node) { a := n.Do.(ToAgent); a.Recovery = ""; n.Do = a }), "recovery queue"},
		{"an initial value that is too long", func(f *Flow) { f.Variables[0].Initial = long }, "257 characters"},
		{"an integer that is a text", func(f *Flow) { f.Variables[5].Initial = "high" }, `"high" is no whole number`},
		{"a variable without a type", func(f *Flow) { f.Variables[0].Type = "" }, "has no type"},
		{"a variable declared twice", func(f *Flow) { f.Variables[1].Name = f.Variables[0].Name }, "used twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := build(t, usual())
			tt.spoil(f)
			if wrong := strings.Join(Check(f), "\n"); !strings.Contains(wrong, tt.want) {
				t.Errorf("found %q, want %q", wrong, tt.want)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	with := func(change func(*Options)) Options { o := usual(); change(&o); return o }
	tests := []struct {
		name string
		o    Options
		flag string // "" where it is good
	}{
		{"as usual", usual(), ""},
		{"loopback in the clear", with(func(o *Options) { o.URL = "http://127.0.0.1:8080" }), ""},
		{"loopback of IPv6", with(func(o *Options) { o.URL = "http://[::1]:8080" }), ""},
		{"localhost", with(func(o *Options) { o.URL = "http://localhost" }), ""},
		{"clear and asked for", with(func(o *Options) { o.URL, o.InsecureHTTP = "http://10.0.0.5", true }), ""},
		{"clear", with(func(o *Options) { o.URL = "http://10.0.0.5" }), "url"},
		{"a name that begins like loopback", with(func(o *Options) { o.URL = "http://127.0.0.1.example.com" }), "url"},
		{"no address", with(func(o *Options) { o.URL = "" }), "url"},
		{"no scheme", with(func(o *Options) { o.URL = "aniproxy.example.com" }), "url"},
		{"another scheme", with(func(o *Options) { o.URL = "ftp://example.com" }), "url"},
		{"no host", with(func(o *Options) { o.URL = "https://:8443" }), "url"},
		{"a user", with(func(o *Options) { o.URL = "https://a:b@example.com" }), "url"},
		{"a query", with(func(o *Options) { o.URL = "https://example.com/?key=1" }), "url"},
		{"a fragment", with(func(o *Options) { o.URL = "https://example.com/#top" }), "url"},
		{"an expression in the path", with(func(o *Options) { o.URL = "https://example.com/{{ANI}}" }), "url"},
		{"a queue in capitals", with(func(o *Options) { o.Queue = strings.ToUpper(testQueue) }), ""},
		{"a queue's name", with(func(o *Options) { o.Queue = "Support" }), "queue"},
		{"a queue and more", with(func(o *Options) { o.Queue = testQueue + "0" }), "queue"},
		{"a connector of two lines", with(func(o *Options) { o.Connector = "a\nb" }), "connector"},
		{"a language without a region", with(func(o *Options) { o.Lang = "es" }), "lang"},
		{"a language without prompts", with(func(o *Options) { o.Lang = "ja-JP" }), "lang"},
		{"a menu of two lines", with(func(o *Options) { o.Menu = "one\ntwo" }), "menu"},
		{"a menu with markup", with(func(o *Options) { o.Menu = "<break/>" }), "menu"},
		{"a menu that is too long", with(func(o *Options) { o.Menu = strings.Repeat("é", maxInitial+1) }), "menu"},
		{"a menu as long as can be", with(func(o *Options) { o.Menu = strings.Repeat("é", maxInitial) }), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Build(tt.o)
			if tt.flag == "" {
				if err != nil {
					t.Fatal(err)
				}
				if wrong := Check(f); len(wrong) > 0 {
					t.Error(wrong)
				}
				return
			}
			var option *OptionError
			if !errors.As(err, &option) || option.Flag != tt.flag || !strings.HasPrefix(err.Error(), "--"+tt.flag+" must ") {
				t.Errorf("got %v, want a refusal of --%s", err, tt.flag)
			}
		})
	}
}

// fields are those of a lookup's answer, as the proxy writes them.
func fields(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "proxy", "fields.go"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(text), "var fieldNames = ")
	table, _, ok2 := strings.Cut(table, "\n}")
	if !ok || !ok2 {
		t.Fatal("proxy/fields.go has no table of names")
	}
	var all []string
	for _, m := range regexp.MustCompile(`"([a-z0-9_]+)"`).FindAllStringSubmatch(table, -1) {
		all = append(all, m[1])
	}
	if len(all) < 40 {
		t.Fatalf("only %d fields read: the reading must be broken", len(all))
	}
	return all
}

func TestEveryOutputIsAFieldOfALookup(t *testing.T) {
	known := fields(t)
	read := 0
	for _, n := range build(t, usual()).Main.Nodes {
		r, ok := n.Do.(Request)
		if !ok {
			continue
		}
		for _, o := range r.Outputs {
			read++
			if field := strings.TrimPrefix(o.Path, "$."); !slices.Contains(known, field) || o.Variable != field {
				t.Errorf("%s reads %s into %s", n.Name, o.Path, o.Variable)
			}
		}
	}
	if read != len(Looked(defaultLang)) {
		t.Errorf("%d outputs for %d variables", read, len(Looked(defaultLang)))
	}
}

// TestEveryVariableIsUsed: what is read or set must be asked for somewhere, or
// be the agent's to see.
func TestEveryVariableIsUsed(t *testing.T) {
	f := build(t, usual())
	var all strings.Builder
	for _, g := range []*Graph{&f.Main, &f.Events} {
		for _, n := range g.Nodes {
			all.WriteString(strings.Join(texted(n.Do), "\n") + "\n")
		}
	}
	// The skill is the designer's to add, the voice Webex's to use, and the
	// outcome is there to be read in the flow's trace.
	left := []string{"skill_value", "Global_VoiceName", "outcome"}
	for _, v := range f.Variables {
		asked := regexp.MustCompile(`\{\{[^}]*\b` + v.Name + `\b[^}]*\}\}`).MatchString(all.String())
		if !asked && v.Label == "" && !slices.Contains(left, v.Name) {
			t.Errorf("%s is never asked for", v.Name)
		}
	}
}

// undrawn is an export with its pictures folded into a digest each: they are
// most of the file, drawn from the rest, and TestExportHasEveryPartOfOne looks
// at them arrow by arrow.
func undrawn(t *testing.T, text []byte) []byte {
	t.Helper()
	var file map[string]any
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	events := file["eventFlows"].(map[string]any)["eventsMap"].(map[string]any)[globalEvents].(map[string]any)
	for _, part := range []map[string]any{file, events} {
		drawing, err := json.Marshal(part["diagram"])
		if err != nil {
			t.Fatal(err)
		}
		part["diagram"] = fmt.Sprintf("sha256 %x", sha256.Sum256(drawing))
	}
	folded, err := indented(file)
	if err != nil {
		t.Fatal(err)
	}
	return folded
}

// TestGolden: the same options give the same files, which a reader can compare.
// Run with -update to accept a change.
func TestGolden(t *testing.T) {
	f := build(t, usual())
	for file, write := range map[string]func() ([]byte, error){"flow.v2.json": f.V2, "flow.ui.json": f.UI} {
		got, err := write()
		if err != nil {
			t.Fatal(err)
		}
		again, err := write()
		if err != nil || string(again) != string(got) {
			t.Errorf("%s differs from one writing to the next: %v", file, err)
		}
		if file == "flow.ui.json" {
			got = undrawn(t, got)
		}
		path := filepath.Join("testdata", file)
		if *update {
			if err := os.WriteFile(path, got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}
