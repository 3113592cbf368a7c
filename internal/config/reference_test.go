package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// reference is config.toml at the root of the repository.
var reference = filepath.Join("..", "..", "config.toml")

// sameValues compares two configurations whatever they were loaded from.
var sameValues = cmp.Options{
	cmpopts.IgnoreUnexported(Config{}),
	cmpopts.EquateEmpty(),
	cmpopts.EquateComparable(netip.Prefix{}),
}

// referenceLine is what config.toml has to say of a key right above it: its
// variable, and what is allowed, in the words of the messages.
func referenceLine(section string, f field) string {
	line := "# Allowed: "
	if section != "clients" {
		line = "# " + envName(section, f.name) + ": "
	}
	if f.isList() {
		line += "a list, each item "
	}
	return line + f.allowed() + "."
}

func readReference(t *testing.T) string {
	t.Helper()
	doc, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	return string(doc)
}

// withExamples takes the # from the example lines, which have no blank after
// it. An example of a key that is there with its default takes its place.
func withExamples(doc string) string {
	keyed := regexp.MustCompile(`^([a-z_]+) = `)
	lines := strings.Split(doc, "\n")
	written := map[string]int{}
	for i, line := range lines {
		if example, is := strings.CutPrefix(line, "#"); is && example != "" && example[0] != ' ' {
			lines[i] = example
		}
		if strings.HasPrefix(lines[i], "[") {
			clear(written)
		}
		if m := keyed.FindStringSubmatch(lines[i]); m != nil {
			if earlier, twice := written[m[1]]; twice {
				lines[earlier] = ""
			}
			written[m[1]] = i
		}
	}
	return strings.Join(lines, "\n")
}

func TestTheReferenceIsTheDefaults(t *testing.T) {
	got, err := Load(reference, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Defaults(), got, sameValues); diff != "" {
		t.Errorf("config.toml differs from the defaults (-default +file):\n%s", diff)
	}
}

func TestTheReferenceWritesEveryKey(t *testing.T) {
	tree, fault := parseTree("config.toml", []byte(readReference(t)))
	if fault != nil {
		t.Fatal(fault)
	}
	for _, k := range keysOf(Defaults()) {
		if k.env() == "" {
			continue // tables: their keys are in the examples
		}
		section := tree.fields[k.section]
		if section == nil || section.fields[k.name] == nil {
			t.Errorf("config.toml does not write %s", k.path)
		}
	}
}

func TestTheExamplesOfTheReferenceAreValidAndComplete(t *testing.T) {
	doc := withExamples(readReference(t))
	c, err := load("config.toml", []byte(doc), nil, noFiles)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Clients) == 0 || len(c.Routing.Rules) != 7 || len(c.Agents) == 0 || len(c.Speech.Templates) == 0 {
		t.Error("an example is missing: clients, rules, agents and templates have one each")
	}
	tree, fault := parseTree("config.toml", []byte(doc))
	if fault != nil {
		t.Fatal(fault)
	}
	var walk func(path string, n *node, table reflect.Type)
	walk = func(path string, n *node, table reflect.Type) {
		for _, f := range fieldsOf(table) {
			next, at := n.fields[f.name], join(path, f.name)
			switch {
			case next == nil:
				t.Errorf("config.toml, with its examples, does not write %s", at)
			case f.isTable():
				walk(at, next, f.typ)
			case f.isTables():
				walk(at, next.items[0], f.typ.Elem())
			}
		}
	}
	walk("", tree, reflect.TypeFor[Config]())
}

// TestTheExampleClientShowsTheDefaults holds the numbers of the example to
// what a client gets that leaves them out.
func TestTheExampleClientShowsTheDefaults(t *testing.T) {
	c, err := load("config.toml", []byte(withExamples(readReference(t))), nil, noFiles)
	if err != nil {
		t.Fatal(err)
	}
	want := Client{}
	setDefaults(reflect.ValueOf(&want).Elem())
	if diff := cmp.Diff(want, c.Clients[0], sameValues, cmpopts.IgnoreFields(Client{}, "Name", "SecretSHA256", "Scopes")); diff != "" {
		t.Errorf("the example client differs from the defaults (-default +file):\n%s", diff)
	}
}

// TestTheReferenceSaysOfEachKey wants above every key its variable and what
// it takes, and above that at least a line of why.
func TestTheReferenceSaysOfEachKey(t *testing.T) {
	key := regexp.MustCompile(`^#?([a-z_0-9]+) = `)
	header := regexp.MustCompile(`^#?\[+([a-z._]+)\]+`)
	lines := strings.Split(readReference(t), "\n")
	section, said := "", 0
	for i, line := range lines {
		if m := header.FindStringSubmatch(line); m != nil {
			section = m[1]
		}
		m := key.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		table := reflect.TypeFor[Client]()
		if section != "clients" {
			f, ok := lookupField(reflect.TypeFor[Config](), section)
			if !ok || !f.isTable() {
				continue // voices, templates, a rule's tables: the text above them tells
			}
			table = f.typ
		}
		f, ok := lookupField(table, m[1])
		if !ok || !f.simple() {
			continue
		}
		said++
		if want := referenceLine(section, f); lines[i-1] != want {
			t.Errorf("line %d: above %s.%s stands\n\t%s\nwant\n\t%s", i+1, section, f.name, lines[i-1], want)
		}
		if why := lines[i-2]; !strings.HasPrefix(why, "# ") {
			t.Errorf("line %d: %s.%s has no line that says why", i+1, section, f.name)
		}
	}
	if said < 50 {
		t.Errorf("only %d keys were found: the test no longer reads config.toml", said)
	}
}

// noFiles is a reader for configurations that name no file.
func noFiles(string, int64) ([]byte, error) { return nil, os.ErrNotExist }
