package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// field is a key as its struct field describes it.
type field struct {
	name  string
	index int // within its struct
	typ   reflect.Type
	tag   reflect.StructTag
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	secretType   = reflect.TypeFor[Secret]()
	digestType   = reflect.TypeFor[Digest]()
	prefixType   = reflect.TypeFor[netip.Prefix]()
	idType       = reflect.TypeFor[int64]()
)

// fieldsOf lists the keys of a table in the order of the struct.
func fieldsOf(table reflect.Type) []field {
	var all []field
	for i := range table.NumField() {
		sf := table.Field(i)
		if name := sf.Tag.Get("toml"); name != "" {
			all = append(all, field{name: name, index: i, typ: sf.Type, tag: sf.Tag})
		}
	}
	return all
}

func lookupField(table reflect.Type, name string) (field, bool) {
	for _, f := range fieldsOf(table) {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}

func (f field) isTable() bool  { return f.typ.Kind() == reflect.Struct && f.typ != prefixType }
func (f field) isMap() bool    { return f.typ.Kind() == reflect.Map }
func (f field) isList() bool   { return f.typ.Kind() == reflect.Slice }
func (f field) isTables() bool { return f.isList() && f.elem().isTable() }
func (f field) isSecret() bool { return f.elem().typ == secretType || f.elem().typ == digestType }
func (f field) private() bool  { return f.isSecret() || f.tag.Get("private") != "" }

// elem is what a list, a map or a pointer holds, under the same tags.
func (f field) elem() field {
	switch f.typ.Kind() {
	case reflect.Slice, reflect.Map, reflect.Pointer:
		f.typ = f.typ.Elem()
	}
	return f
}

// simple tells whether the key can be set from the environment: a scalar, or
// a list of them.
func (f field) simple() bool { return !f.isTable() && !f.isMap() && !f.isTables() }

// key is one place of the configuration that stands under a fixed name.
type key struct {
	field
	section string
	path    string // section.name, or section.table.name
	value   reflect.Value
}

// env is the key's environment name, "" where only the file can give it.
func (k key) env() string {
	if !k.simple() || k.path != k.section+"."+k.name {
		return ""
	}
	return envName(k.section, k.name)
}

func envName(section, name string) string {
	return envPrefix + strings.ToUpper(section+"_"+name)
}

// keysOf lists all keys of the sections, those of nested tables too, with
// their values in c. Maps and lists of tables are one key each.
func keysOf(c *Config) []key {
	var all []key
	var walk func(section, path string, table reflect.Value)
	walk = func(section, path string, table reflect.Value) {
		for _, f := range fieldsOf(table.Type()) {
			v, at := table.Field(f.index), join(path, f.name)
			in := section
			if in == "" {
				in = f.name
			}
			if f.isTable() {
				walk(in, at, v)
				continue
			}
			all = append(all, key{field: f, section: in, path: at, value: v})
		}
	}
	walk("", "", reflect.ValueOf(c).Elem())
	return all
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// item is the path of a list's table, counted from 1 as people count.
func item(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i+1) }

// setDefaults fills a table from its default tags. A default that is not
// valid is a mistake in this package, which every test would meet.
func setDefaults(table reflect.Value) {
	for _, f := range fieldsOf(table.Type()) {
		v, text := table.Field(f.index), f.tag.Get("default")
		switch {
		case f.isTable():
			setDefaults(v)
		case f.isMap():
			v.Set(reflect.MakeMap(f.typ))
			for pair := range strings.SplitSeq(text, ",") {
				if name, value, is := strings.Cut(pair, "="); is {
					v.SetMapIndex(reflect.ValueOf(name), reflect.ValueOf(value))
				}
			}
		case text != "":
			f.addAll(outside(text, f.isList()), v, func(_ *node, message string) {
				panic("config: the default of " + f.name + " " + message)
			})
		}
	}
}

// outside makes a node of a text of the environment: a list is what stands
// between its commas.
func outside(text string, list bool) *node {
	if !list {
		return &node{shape: fromOutside, text: text}
	}
	n := &node{shape: aList}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			n.items = append(n.items, &node{shape: fromOutside, text: part})
		}
	}
	return n
}

// allowed says in words what the key takes.
func (f field) allowed() string {
	f = f.scalar()
	lo, hi := f.tag.Get("min"), f.tag.Get("max")
	switch {
	case f.tag.Get("oneof") != "":
		return quotedChoice(f.words())
	case f.typ == secretType:
		return "a secret without blanks"
	case f.typ == digestType:
		return "a SHA-256 as 64 hex digits"
	case f.typ == prefixType:
		return `a network such as "10.0.0.0/8", or an address`
	case f.typ == durationType:
		return fmt.Sprintf("a duration from %q to %q", lo, hi)
	case f.typ == idType:
		return "an id, a whole number above 0"
	case f.typ.Kind() == reflect.Int:
		return fmt.Sprintf("a whole number from %s to %s", lo, hi)
	case f.typ.Kind() == reflect.Float64:
		return fmt.Sprintf("a number from %s to %s", lo, hi)
	case f.typ.Kind() == reflect.Bool:
		return "true or false"
	case f.tag.Get("format") != "":
		return formatWords(f.tag.Get("format"))
	case f.tag.Get("maxlen") != "":
		return "text of at most " + f.tag.Get("maxlen") + " characters"
	default:
		return "text"
	}
}

// scalar is the innermost of lists, maps and pointers.
func (f field) scalar() field {
	for f.typ.Kind() == reflect.Slice || f.typ.Kind() == reflect.Map || f.typ.Kind() == reflect.Pointer {
		f = f.elem()
	}
	return f
}

func (f field) words() []string { return strings.Split(f.tag.Get("oneof"), "|") }

func quotedChoice(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	last := len(quoted) - 1
	if last == 0 {
		return quoted[0]
	}
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}

// complaint says what is allowed, and what was found where that may be
// repeated. A nil node has nothing to repeat.
func (f field) complaint(n *node, hint string) string {
	text := "must be " + f.allowed()
	if got := f.found(n); got != "" {
		text += ", not " + got
	}
	if hint != "" {
		text += " (" + hint + ")"
	}
	return text
}

func (f field) found(n *node) string {
	if n == nil {
		return ""
	}
	switch n.shape {
	case aTable:
		return "a table"
	case aList:
		return "a list"
	case aDate:
		return "a date"
	case aText, fromOutside:
		if f.private() {
			return ""
		}
		return strconv.Quote(clip(n.text, 60))
	default:
		if f.private() {
			return "a number"
		}
		return clip(n.text, 60)
	}
}

func clip(text string, most int) string {
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}
