package webexflow

import (
	"strconv"
	"strings"
)

// Type is a flow variable's type.
type Type string

// The types that the flow uses.
const (
	String  Type = "STRING"
	Integer Type = "INTEGER"
)

// maxInitial is how many characters a STRING variable takes when it is made;
// while a call runs it takes 1024.
const maxInitial = 256

// maxBranches is how many values a Case node tells apart.
const maxBranches = 20

// Variable is a variable of the flow.
type Variable struct {
	Name, About string
	Type        Type
	// Initial is what it holds before anything is set, and what the flow goes
	// by when the lookup has failed. Written as text whatever the type is.
	Initial string
	// Label is under what the agent sees it, "" for not at all.
	Label string
	// Global is a variable of the whole organisation.
	Global bool
}

// Flow is the whole of it. It does not change once built: safe for concurrent
// use.
type Flow struct {
	Name, Description, Comment string
	Variables                  []Variable
	Main                       Graph
	// Events is what happens beside the caller's own path: an agent answers,
	// the call ends, something has failed. Its edges never lead into Main.
	Events Graph
	// Origin is the address that the connector must have, and Connector its id
	// or name.
	Origin, Connector string
}

// variable finds one by its name.
func (f *Flow) variable(name string) (Variable, bool) {
	for _, v := range f.Variables {
		if v.Name == name {
			return v, true
		}
	}
	return Variable{}, false
}

// Graph is nodes and how they lead to each other.
type Graph struct {
	Nodes []Node
	Edges []Edge
}

// Node is one activity of the flow.
type Node struct {
	Name, About string
	Do          Activity
}

// Edge leads from one exit of a node to another node.
type Edge struct {
	From, Exit, To string
}

// Exit is a way out of a node. The two formats name some of them differently.
type Exit struct {
	Name   string // in the model, and in Edge.Exit
	v2, ui string
}

// Activity is what a node does.
type Activity interface {
	exits() []Exit
}

// The activities.
type (
	// Start is where a call enters.
	Start struct{}
	// Event begins a path of its own; Spec is Webex's name of it.
	Event struct{ Spec string }
	// Request asks aniproxy. Path begins with a slash and follows what the
	// connector holds.
	Request struct {
		Path, Body string
		Query      map[string]string
		Outputs    []Output
	}
	// Condition has a Pebble expression that is true or false.
	Condition struct{ Expr string }
	// Case compares a text with values; whatever is none of them takes the
	// exit default.
	Case struct {
		Expr   string
		Values []string
	}
	// Set gives variables a value.
	Set struct{ Values []Assignment }
	// Say speaks a text, plain or a speak element.
	Say struct{ Text string }
	// Music plays a file for so many seconds.
	Music struct {
		File    string
		Seconds int
	}
	// Menu says a text and waits for one of its digits.
	Menu struct {
		Text    string
		Options []Option
		Seconds int
	}
	// QueueInfo asks how a queue stands. Queue is an id or an expression.
	QueueInfo struct{ Queue string }
	// Queue puts the call into a queue. Queue is an id or an expression; with
	// an expression Fallback takes the call where it names no queue. Priority
	// is an expression. Skilled leaves room for a skill, which can only be
	// chosen in the designer.
	Queue struct {
		Queue, Fallback, Priority string
		Skilled                   bool
	}
	// ToAgent offers the call to one agent; Recovery takes it where that one
	// does not answer.
	ToAgent struct{ Agent, Priority, Reporting, Recovery string }
	// Callback has an agent call the number back.
	Callback struct{ Number, Queue string }
	// ScreenPop opens an address at the agent's.
	ScreenPop struct{ URL, Label string }
	// Hangup ends the call.
	Hangup struct{}
	// End ends the path and leaves the call alone.
	End struct{}
)

// Output is a variable that takes a value out of an answer.
type Output struct{ Variable, Path string }

// Assignment gives a variable a value: a text or an expression.
type Assignment struct{ Variable, Value string }

// Option is a digit of a menu.
type Option struct{ Digit, Label string }

// same are exits that both formats name as we do.
func same(names ...string) []Exit {
	var e []Exit
	for _, n := range names {
		e = append(e, Exit{n, n, n})
	}
	return e
}

func (Start) exits() []Exit     { return same("out") }
func (Event) exits() []Exit     { return same("out") }
func (Request) exits() []Exit   { return same("default") }
func (Condition) exits() []Exit { return same("true", "false", "error") }
func (Set) exits() []Exit       { return same("out", "error") }
func (Say) exits() []Exit       { return same("default", "error") }
func (Music) exits() []Exit     { return same("default", "error") }
func (Queue) exits() []Exit     { return same("default", "failure") }
func (ToAgent) exits() []Exit   { return same("default", "error") }
func (Callback) exits() []Exit  { return same("default", "failure") }
func (Hangup) exits() []Exit    { return nil }
func (End) exits() []Exit       { return nil }

// exits: an exported Case numbers its branches, in FlowV2 each is named by its
// value.
func (c Case) exits() []Exit {
	var e []Exit
	for i, v := range c.Values {
		e = append(e, Exit{v, v, strconv.Itoa(i)})
	}
	return append(e, same("default", "error")...)
}

func (m Menu) exits() []Exit {
	var e []Exit
	for _, o := range m.Options {
		e = append(e, same(o.Digit)...)
	}
	return append(e, same("timeout", "invalid", "error")...)
}

func (QueueInfo) exits() []Exit {
	return append([]Exit{{"success", "out", "default"}}, same("insufficientdata", "failure")...)
}

func (ScreenPop) exits() []Exit { return []Exit{{"success", "out", "default"}} }

// wire is an exit and where it leads.
type wire struct{ exit, to string }

func on(exit, to string) wire { return wire{exit, to} }

// add puts a node into the graph, wired.
func (g *Graph) add(name, about string, do Activity, wires ...wire) {
	g.Nodes = append(g.Nodes, Node{Name: name, About: about, Do: do})
	for _, w := range wires {
		g.Edges = append(g.Edges, Edge{From: name, Exit: w.exit, To: w.to})
	}
}

// exit finds one of a node's exits by our name.
func (g *Graph) exit(e Edge) (Exit, bool) {
	for _, n := range g.Nodes {
		if n.Name != e.From {
			continue
		}
		for _, x := range n.Do.exits() {
			if x.Name == e.Exit {
				return x, true
			}
		}
	}
	return Exit{}, false
}

// expression tells whether a text is an expression and not a value.
func expression(text string) bool { return strings.Contains(text, "{{") }
