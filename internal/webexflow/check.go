package webexflow

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Check holds a flow to what is known of Webex without a tenant: every way out
// of every node leads somewhere, every node can be reached, every variable is
// declared with a type and a value that it may have, and expressions keep to
// what Pebble does reliably. It returns what is wrong, a line each.
func Check(f *Flow) []string {
	c := &checker{flow: f}
	c.variables()
	c.graph("main", &f.Main)
	c.graph("events", &f.Events)
	c.names()
	return c.wrong
}

type checker struct {
	flow  *Flow
	wrong []string
}

func (c *checker) report(format string, args ...any) {
	c.wrong = append(c.wrong, fmt.Sprintf(format, args...))
}

// maxValue is how long a STRING may be while a call runs.
const maxValue = 1024

var word = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)

func (c *checker) variables() {
	seen := map[string]bool{}
	for _, v := range c.flow.Variables {
		if !word.MatchString(v.Name) || seen[v.Name] {
			c.report("variable %q: no name, or used twice", v.Name)
		}
		seen[v.Name] = true
		switch v.Type {
		case String:
			if n := len([]rune(v.Initial)); n == 0 || n > maxInitial {
				c.report("variable %s: an initial value of %d characters", v.Name, n)
			}
		case Integer:
			if _, err := strconv.ParseInt(v.Initial, 10, 32); err != nil {
				c.report("variable %s: %q is no whole number", v.Name, v.Initial)
			}
		default:
			c.report("variable %s has no type", v.Name)
		}
	}
}

// names: an edge finds its nodes by them.
func (c *checker) names() {
	seen := map[string]bool{}
	for _, g := range []*Graph{&c.flow.Main, &c.flow.Events} {
		for _, n := range g.Nodes {
			if !word.MatchString(n.Name) || seen[n.Name] {
				c.report("node %q: no name, or used twice", n.Name)
			}
			seen[n.Name] = true
			if n.About == "" {
				c.report("node %s says nothing of itself", n.Name)
			}
		}
	}
}

func (c *checker) graph(label string, g *Graph) {
	wired := map[Edge]int{}
	there := map[string]bool{}
	for _, n := range g.Nodes {
		there[n.Name] = true
	}
	for _, e := range g.Edges {
		if !there[e.From] || !there[e.To] {
			c.report("%s: an edge leads from %q to %q, which are not both there", label, e.From, e.To)
		}
		if _, ok := g.exit(e); !ok {
			c.report("%s: %s has no exit %q", label, e.From, e.Exit)
		}
		wired[Edge{From: e.From, Exit: e.Exit}]++
	}
	depth := g.depths()
	starts := 0
	for _, n := range g.Nodes {
		if _, ok := depth[n.Name]; !ok {
			c.report("%s: nothing leads to %s", label, n.Name)
		}
		for _, x := range n.Do.exits() {
			if got := wired[Edge{From: n.Name, Exit: x.Name}]; got != 1 {
				c.report("%s: exit %q of %s is wired %d times", label, x.Name, n.Name, got)
			}
		}
		if _, ok := n.Do.(Start); ok {
			starts++
		}
		c.node(n)
	}
	if label == "main" && starts != 1 {
		c.report("%d nodes are the start", starts)
	}
}

var (
	// path names one field of the answer: with a filter expression it would be
	// an array, which cannot be read.
	path = regexp.MustCompile(`^\$\.[a-z][a-z0-9_]*$`)
	// condition compares whole numbers: texts that are empty, and !=, are not
	// compared reliably.
	condition = regexp.MustCompile(`^\{\{ ([a-z_]+ > -?[0-9]+|[A-Za-z]+\.httpStatusCode == 200) \}\}$`)
	subject   = regexp.MustCompile(`^\{\{ [A-Za-z_]+(\.[A-Za-z]+)? \}\}$`)
)

func (c *checker) node(n Node) {
	bad := func(format string, args ...any) { c.report("%s: "+format, append([]any{n.Name}, args...)...) }
	switch a := n.Do.(type) {
	case Request:
		c.request(n.Name, a)
	case Condition:
		if !condition.MatchString(a.Expr) {
			bad("%s is no comparison that can be relied on", a.Expr)
		}
	case Case:
		if !subject.MatchString(a.Expr) || len(a.Values) == 0 || len(a.Values) > maxBranches {
			bad("%s with %d branches", a.Expr, len(a.Values))
		}
		for _, v := range a.Values {
			if v == "" {
				bad("a branch for an empty text")
			}
		}
	case Set:
		c.set(n.Name, a)
	case Queue:
		if !expression(a.Queue) && !uuid.MatchString(a.Queue) || expression(a.Queue) && !uuid.MatchString(a.Fallback) {
			bad("no queue, or none to fall back on")
		}
		if expression(a.Queue) && a.Skilled {
			bad("a variable queue switches skills off")
		}
	case ToAgent:
		if !uuid.MatchString(a.Reporting) || !uuid.MatchString(a.Recovery) {
			bad("no reporting or recovery queue")
		}
	case Menu:
		if len(a.Options) == 0 {
			bad("offers nothing")
		}
	}
	c.references(n)
}

func (c *checker) set(node string, a Set) {
	if len(a.Values) == 0 {
		c.report("%s: sets nothing", node)
	}
	for _, v := range a.Values {
		if _, ok := c.flow.variable(v.Variable); !ok {
			c.report("%s: sets %q, which is not declared", node, v.Variable)
		}
		if n := len([]rune(v.Value)); n == 0 || n > maxValue {
			c.report("%s: sets %s to a text of %d characters", node, v.Variable, n)
		}
	}
}

func (c *checker) request(node string, a Request) {
	if !strings.HasPrefix(a.Path, "/") || len(a.Query) == 0 {
		c.report("%s: a path without a slash, or no query row", node)
	}
	for _, o := range a.Outputs {
		if _, ok := c.flow.variable(o.Variable); !ok {
			c.report("%s: reads into %q, which is not declared", node, o.Variable)
		}
		if !path.MatchString(o.Path) {
			c.report("%s: %s names no single field", node, o.Path)
		}
	}
}

var (
	braces = regexp.MustCompile(`\{\{(.*?)\}\}`)
	name   = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z]+)?`)
)

// references: an expression that names what is not there is empty when the
// call runs, and nobody is told.
func (c *checker) references(n Node) {
	for _, text := range texted(n.Do) {
		if strings.Count(text, "{{") != strings.Count(text, "}}") {
			c.report("%s: braces that do not match in %s", n.Name, text)
		}
		for _, inside := range braces.FindAllStringSubmatch(text, -1) {
			for _, ref := range name.FindAllString(inside[1], -1) {
				if !c.known(ref) {
					c.report("%s: %s in %s is nowhere", n.Name, ref, text)
				}
			}
		}
	}
}

// texted are the texts of an activity that may hold expressions.
func texted(do Activity) []string {
	switch a := do.(type) {
	case Request:
		return []string{a.Path, a.Body}
	case Condition:
		return []string{a.Expr}
	case Case:
		return []string{a.Expr}
	case Set:
		var all []string
		for _, v := range a.Values {
			all = append(all, v.Value)
		}
		return all
	case Say:
		return []string{a.Text}
	case Menu:
		return []string{a.Text}
	case QueueInfo:
		return []string{a.Queue}
	case Queue:
		return []string{a.Queue, a.Priority}
	case ToAgent:
		return []string{a.Agent, a.Priority}
	case Callback:
		return []string{a.Number}
	case ScreenPop:
		return []string{a.URL}
	}
	return nil
}

// known tells whether an expression may say this: a variable, a node's or an
// event's output, or a word of Pebble.
func (c *checker) known(ref string) bool {
	switch ref {
	case "now", "epoch", "inMillis", "false":
		return true
	}
	node, output, dotted := strings.Cut(ref, ".")
	if !dotted {
		_, ok := c.flow.variable(ref)
		return ok
	}
	for _, g := range []*Graph{&c.flow.Main, &c.flow.Events} {
		for _, n := range g.Nodes {
			if n.Name == node {
				return strings.Contains(" "+outputsOf(n.Do)+" ", " "+output+" ")
			}
		}
	}
	return false
}

// outputsOf are what a node leaves behind beside what it was told to.
func outputsOf(do Activity) string {
	switch a := do.(type) {
	case Start:
		return "ANI DNIS InteractionId"
	case Request:
		return "httpStatusCode httpResponseBody httpResponseHeaders"
	case QueueInfo:
		return "EWT PIQ AvailableAgentsAll AvailableAgentsCurrent LoggedOnAgentsAll LoggedOnAgentsCurrent"
	case ToAgent:
		return "AgentState FailureCode FailureDescription"
	case Event:
		if a.Spec == "AgentContactAssigned" {
			return "AgentID AgentName AgentEmailId QueueID QueueName"
		}
	}
	return ""
}
