package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Effective renders the configuration in force as TOML, secrets masked, with
// a comment beside every value that is not the default: the line of the file,
// or the variable, that it came from.
func (c *Config) Effective() string {
	e := &effective{config: c}
	defaults := reflect.ValueOf(Defaults()).Elem()
	for _, f := range fieldsOf(defaults.Type()) {
		v, normal := reflect.ValueOf(c).Elem().Field(f.index), defaults.Field(f.index)
		switch {
		case f.isTables():
			e.tables(f.name, v)
		case f.isMap():
			e.userTable(f.name, f, v, normal)
		default:
			e.section(f.name, v, normal)
		}
	}
	return strings.TrimPrefix(e.text.String(), "\n")
}

// effective is one rendering under way.
type effective struct {
	config *Config
	text   strings.Builder
}

// from is the comment that tells where a value came from.
func (e *effective) from(path string) string {
	o, ok := e.config.origins[path]
	if !ok {
		return ""
	}
	var parts []string
	if o.env != "" {
		parts = append(parts, o.env)
	} else {
		parts = append(parts, e.config.file+":"+strconv.Itoa(o.line))
	}
	if o.note != "" {
		parts = append(parts, o.note)
	}
	return "  # " + strings.ReplaceAll(strings.Join(parts, ", "), "\n", " ")
}

func (e *effective) header(path string) { fmt.Fprintf(&e.text, "\n[%s]\n", path) }

// section writes a table: its values first, since what follows the header of
// a table within it would belong to that.
func (e *effective) section(path string, table, defaults reflect.Value) {
	e.header(path)
	e.values(path, table, defaults, strings.Contains(path, ".")) // a table within a section is sparse
	for _, f := range fieldsOf(table.Type()) {
		v, normal, at := table.Field(f.index), defaults.Field(f.index), join(path, f.name)
		switch {
		case f.isTables():
			e.tables(at, v)
		case f.isMap():
			e.userTable(at, f, v, normal)
		case f.isTable() && !v.IsZero():
			e.section(at, v, normal)
		}
	}
}

// values writes the scalars and lists of a table. In a sparse one, such as a
// rule's conditions, what is zero was not given.
func (e *effective) values(path string, table, defaults reflect.Value, sparse bool) {
	for _, f := range fieldsOf(table.Type()) {
		v, at := table.Field(f.index), join(path, f.name)
		if !f.simple() || sparse && v.IsZero() {
			continue
		}
		e.line(f.name, literal(v), literal(defaults.Field(f.index)), at)
	}
}

// line writes a key, and where its value came from if that is not the default.
func (e *effective) line(name, value, normal, path string) {
	if value != normal {
		value += e.from(path)
	}
	fmt.Fprintf(&e.text, "%s = %s\n", name, value)
}

func (e *effective) tables(path string, list reflect.Value) {
	defaults := reflect.New(list.Type().Elem()).Elem()
	setDefaults(defaults)
	for i := range list.Len() {
		at := item(path, i)
		fmt.Fprintf(&e.text, "\n[[%s]]%s\n", path, e.from(at))
		e.values(at, list.Index(i), defaults, false)
		for _, f := range fieldsOf(list.Type().Elem()) {
			if v := list.Index(i).Field(f.index); f.isTable() && !v.IsZero() {
				fmt.Fprintf(&e.text, "\n[%s.%s]\n", path, f.name)
				e.values(join(at, f.name), v, defaults.Field(f.index), true)
			}
		}
	}
}

// userTable writes a table with keys of the user's own, in their order.
func (e *effective) userTable(path string, f field, table, defaults reflect.Value) {
	names := slices.Sorted(maps.Keys(stringKeys(table)))
	if f.elem().isMap() {
		for _, name := range names {
			e.userTable(join(path, bareKey(name)), f.elem(), table.MapIndex(reflect.ValueOf(name)), reflect.Value{})
		}
		return
	}
	e.header(path)
	for _, name := range names {
		normal := ""
		if defaults.IsValid() {
			if v := defaults.MapIndex(reflect.ValueOf(name)); v.IsValid() {
				normal = literal(v)
			}
		}
		e.line(bareKey(name), literal(table.MapIndex(reflect.ValueOf(name))), normal, join(path, name))
	}
}

func stringKeys(table reflect.Value) map[string]struct{} {
	keys := map[string]struct{}{}
	for _, k := range table.MapKeys() {
		keys[k.String()] = struct{}{}
	}
	return keys
}

// literal writes a value as TOML. Secrets and digests come out masked, by
// their own String.
func literal(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return ""
		}
		return literal(v.Elem())
	case reflect.Slice:
		items := make([]string, v.Len())
		for i := range items {
			items[i] = literal(v.Index(i))
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	switch x := v.Interface().(type) {
	case time.Duration:
		return quote(shortDuration(x))
	case fmt.Stringer:
		return quote(x.String())
	case string:
		return quote(x)
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64)
	default:
		return fmt.Sprint(x)
	}
}

// quote writes a TOML basic string: strconv.Quote would use escapes that TOML
// does not know.
func quote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range strings.ToValidUTF8(text, "\ufffd") {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// bareKey writes a key, in quotes where it has to.
func bareKey(name string) string {
	if name != "" && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == "" {
		return name
	}
	return quote(name)
}
