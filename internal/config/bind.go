package config

import (
	"reflect"
	"strings"
)

// bindTable gives a struct the values of a table of the file.
func (l *loader) bindTable(table *node, path string, dst reflect.Value) {
	fields := fieldsOf(dst.Type())
	for _, name := range table.names {
		n, at := table.fields[name], join(path, name)
		f, known := lookupField(dst.Type(), name)
		if !known {
			l.bindUnknown(n, name, path, fields)
			continue
		}
		l.config.origins[at] = origin{line: n.line}
		l.bind(n, f, at, dst.Field(f.index))
	}
}

// bindUnknown reports a key that a table does not have. The key it was meant
// to be, any of the table's where that cannot be told, counts as faulty from
// here on: nobody is told that it is missing.
func (l *loader) bindUnknown(n *node, name, path string, siblings []field) {
	names := make([]string, len(siblings))
	for i, f := range siblings {
		names[i] = f.name
	}
	near, what := nearest(name, names), "unknown key"
	if path == "" && (n.shape == aTable || n.shape == aList) {
		what = "unknown section"
	}
	if near != "" {
		l.bad[join(path, near)] = true
	} else if path != "" {
		l.bad[path] = true
	}
	l.reportLine(n.line, join(path, sayable(name)), what+"; "+l.meant(name, near, names))
}

func (l *loader) bind(n *node, f field, at string, dst reflect.Value) {
	switch {
	case f.isTable():
		if n.shape != aTable {
			l.reportLine(n.line, at, "must be a table, not "+f.found(n))
			return
		}
		l.bindTable(n, at, dst)
	case f.isTables():
		l.bindTables(n, f, at, dst)
	case f.isMap():
		l.bindMap(n, f, f.tag.Get("keys"), at, dst)
	default:
		f.addAll(n, dst, func(wrong *node, message string) { l.reportLine(wrong.line, at, message) })
		if f.tag.Get("nonempty") != "" && dst.Len() == 0 && l.sound(at) {
			l.reportLine(n.line, at, "must not be empty: a condition that nothing fulfils never holds")
		}
	}
}

// bindTables reads a list of tables, [[name]], each with its own defaults.
func (l *loader) bindTables(n *node, f field, at string, dst reflect.Value) {
	if n.shape != aList {
		l.reportLine(n.line, at, "must be tables, each under a header [["+at+"]], not "+f.found(n))
		return
	}
	for i, one := range n.items {
		if one.shape != aTable {
			l.reportLine(one.line, item(at, i), "must be a table, not "+f.found(one))
			continue
		}
		v := reflect.New(f.typ.Elem()).Elem()
		setDefaults(v)
		l.config.origins[item(at, i)] = origin{line: one.line}
		l.bindTable(one, item(at, i), v)
		dst.Set(reflect.Append(dst, v))
	}
}

// sayable is a key of the user's own as a message may repeat it: not at any
// length, and not where it is somebody's address in the wrong table.
func sayable(name string) string {
	if strings.Contains(name, "@") {
		return `"…@…"`
	}
	return bareKey(clip(name, 60))
}

// bindMap reads a table whose keys are the user's own, of the given form or,
// where that is "", of any. Its entries go over the defaults, so that a
// further voice does not silence the others.
func (l *loader) bindMap(n *node, f field, form, at string, dst reflect.Value) {
	if n.shape != aTable {
		l.reportLine(n.line, at, "must be a table, not "+f.found(n))
		return
	}
	for _, name := range n.names {
		one, entry := n.fields[name], join(at, name)
		said := join(at, sayable(name))
		if f.private() {
			said = at // its keys are people's addresses
		}
		tidy := name
		if form != "" {
			t, _, ok := readFormat(form, name)
			if !ok || name == "" {
				l.reportLine(one.line, said, "the key must be "+formatWords(form))
				continue
			}
			tidy = t
		}
		if dst.MapIndex(reflect.ValueOf(tidy)).IsValid() && l.config.origins[join(at, tidy)] != (origin{}) {
			l.reportLine(one.line, said, "the same key stands above, in other letters")
			continue
		}
		l.config.origins[join(at, tidy)] = origin{line: one.line}
		v := reflect.New(f.typ.Elem()).Elem()
		if inner := f.elem(); inner.isMap() {
			v.Set(reflect.MakeMap(inner.typ))
			l.bindMap(one, inner, "", entry, v)
		} else {
			before := len(l.faults)
			inner.addAll(one, v, func(wrong *node, message string) { l.reportLine(wrong.line, said, message) })
			if v.Len() == 0 && len(l.faults) == before {
				l.reportLine(one.line, said, "must not be empty")
			}
		}
		dst.SetMapIndex(reflect.ValueOf(tidy), v)
	}
}
