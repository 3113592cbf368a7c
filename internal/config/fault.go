package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing wrong with the configuration: where it was written, by
// which key, and what is allowed there.
type Fault struct {
	File    string // "" where no file was read, or the environment is at fault
	Line    int    // from 1; 0 where the fault is something not written
	Key     string // a path such as "zendesk.subdomain" or "clients[2].rate", counted from 1
	Env     string // the variable at fault, "" where the file is
	Message string
}

func (f Fault) String() string {
	var place string
	switch {
	case f.Env != "":
		place = "environment: " + f.Env + ": "
	case f.File != "" && f.Line > 0:
		place = fmt.Sprintf("%s:%d: ", f.File, f.Line)
	case f.File != "":
		place = f.File + ": "
	}
	if f.Key != "" && f.Env == "" {
		place += f.Key + ": "
	}
	return place + f.Message
}

// Faults is the error of [Load] and [Config.ReadyToServe]: everything that
// was found, in the order of the lines, the environment last.
type Faults struct {
	List []Fault
}

// Error has one fault a line.
func (f *Faults) Error() string {
	lines := make([]string, len(f.List))
	for i, one := range f.List {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

// faultAt places a fault where its key, or the table around it, was written.
func faultAt(file string, origins map[string]origin, key, message string) Fault {
	for at := key; at != ""; at = parent(at) {
		if o, ok := origins[at]; ok {
			if o.env != "" {
				return Fault{Key: key, Env: o.env, Message: message}
			}
			return Fault{File: file, Line: o.line, Key: key, Message: message}
		}
	}
	return Fault{File: file, Key: key, Message: message}
}

// parent is the path of the table that a key stands in.
func parent(key string) string {
	return key[:max(strings.LastIndexAny(key, ".["), 0)]
}

// report adds a fault of a key where the key was written.
func (l *loader) report(key, message string) {
	l.bad[key] = true
	l.faults = append(l.faults, faultAt(l.file, l.config.origins, key, message))
}

// reportLine adds a fault of a key at a line of the file.
func (l *loader) reportLine(line int, key, message string) {
	l.bad[key] = true
	l.faults = append(l.faults, Fault{File: l.file, Line: line, Key: key, Message: message})
}

// sound tells whether nothing was found wrong with a key, with anything in it
// or with a table around it.
func (l *loader) sound(key string) bool {
	for at := key; at != ""; at = parent(at) {
		if l.bad[at] {
			return false
		}
	}
	for bad := range l.bad {
		if rest, in := strings.CutPrefix(bad, key); in && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return false
		}
	}
	return true
}

func (l *loader) allFaults() *Faults {
	slices.SortStableFunc(l.faults, func(a, b Fault) int {
		return cmp.Or(
			cmp.Compare(min(len(a.Env), 1), min(len(b.Env), 1)),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Env, b.Env),
		)
	})
	return &Faults{List: l.faults}
}
