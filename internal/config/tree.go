package config

import (
	"bytes"
	"errors"
	"sort"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// shape is what a value looks like before anyone asks what it means.
type shape int

const (
	aTable shape = iota
	aList
	aText
	aWhole
	aFraction
	aFlag
	aDate
	// fromOutside is text of the environment or of a default: it has no type
	// until the key gives it one.
	fromOutside
)

// node is one value of the file with the line it stands on.
type node struct {
	shape shape
	line  int
	text  string // of a scalar: the text without quotes, or the number as written

	names  []string // of a table: its keys in the order of the file
	fields map[string]*node
	items  []*node // of a list
}

// parseTree reads a document into a table. go-toml checks the grammar first,
// so that duplicate keys and tables of two kinds are out before the tree is built.
func parseTree(file string, doc []byte) (*node, *Fault) {
	// Some editors begin a file with a byte order mark, which TOML forbids and
	// nobody can see.
	doc = bytes.TrimPrefix(doc, []byte("\xef\xbb\xbf"))
	var grammar map[string]any
	if err := toml.Unmarshal(doc, &grammar); err != nil {
		return nil, syntaxFault(file, err)
	}
	b := &treeBuilder{root: newTable(1)}
	for i, c := range doc {
		if c == '\n' {
			b.newlines = append(b.newlines, i)
		}
	}
	b.parser.Reset(doc)
	table := b.root
	for b.parser.NextExpression() {
		e := b.parser.Expression()
		switch e.Kind {
		case unstable.Table:
			names, line := b.key(e)
			table = descend(b.root, names, line)
		case unstable.ArrayTable:
			names, line := b.key(e)
			table = appendTable(descend(b.root, names[:len(names)-1], line), names[len(names)-1], line)
		case unstable.KeyValue:
			b.put(table, e)
		}
	}
	if err := b.parser.Error(); err != nil {
		return nil, syntaxFault(file, err)
	}
	return b.root, nil
}

func syntaxFault(file string, err error) *Fault {
	f := &Fault{File: file, Message: "is not TOML: " + strings.TrimPrefix(err.Error(), "toml: ")}
	var at *toml.DecodeError
	if errors.As(err, &at) {
		f.Line, _ = at.Position()
		if strings.Contains(strings.Join(at.Key(), ""), "@") {
			// The keys of [agents] are addresses of people, which no message repeats.
			f.Message = "is not TOML: this key is already defined"
		}
	}
	return f
}

type treeBuilder struct {
	root     *node
	parser   unstable.Parser
	newlines []int // offsets
}

// line finds the line of an offset by halving, so that a large file costs no
// more than a small one a key.
func (b *treeBuilder) line(r unstable.Range) int {
	return 1 + sort.SearchInts(b.newlines, int(r.Offset))
}

// key gives the parts of a possibly dotted key and the line of the first.
func (b *treeBuilder) key(e *unstable.Node) (names []string, line int) {
	for it := e.Key(); it.Next(); {
		k := it.Node()
		if line == 0 {
			line = b.line(k.Raw)
		}
		names = append(names, string(k.Data))
	}
	return names, line
}

func (b *treeBuilder) put(table *node, keyValue *unstable.Node) {
	names, line := b.key(keyValue)
	last := len(names) - 1
	descend(table, names[:last], line).set(names[last], b.value(keyValue.Value(), line))
}

// value turns a value of the parser into a node; near is the line to fall
// back on, since arrays do not tell their own.
func (b *treeBuilder) value(v *unstable.Node, near int) *node {
	n := &node{line: near, text: string(v.Data)}
	if v.Raw.Length > 0 {
		n.line = b.line(v.Raw)
	}
	switch v.Kind {
	case unstable.Array:
		n.shape = aList
		for it := v.Children(); it.Next(); {
			n.items = append(n.items, b.value(it.Node(), n.line))
		}
	case unstable.InlineTable:
		n = newTable(n.line)
		for it := v.Children(); it.Next(); {
			b.put(n, it.Node())
		}
	case unstable.String:
		n.shape = aText
	case unstable.Integer:
		n.shape = aWhole
	case unstable.Float:
		n.shape = aFraction
	case unstable.Bool:
		n.shape = aFlag
	default:
		n.shape = aDate
	}
	return n
}

func newTable(line int) *node {
	return &node{shape: aTable, line: line, fields: map[string]*node{}}
}

func (n *node) set(name string, value *node) {
	if _, there := n.fields[name]; !there {
		n.names = append(n.names, name)
	}
	n.fields[name] = value
}

// descend walks into tables, making those that are only implied, and into the
// last table of a list of them, as a header below [[name]] means it.
func descend(table *node, names []string, line int) *node {
	for _, name := range names {
		next := table.fields[name]
		if next != nil && next.shape == aList && len(next.items) > 0 {
			next = next.items[len(next.items)-1]
		}
		if next == nil || next.shape != aTable {
			next = newTable(line)
			table.set(name, next)
		}
		table = next
	}
	return table
}

func appendTable(table *node, name string, line int) *node {
	list := table.fields[name]
	if list == nil || list.shape != aList {
		list = &node{shape: aList, line: line}
		table.set(name, list)
	}
	item := newTable(line)
	list.items = append(list.items, item)
	return item
}
