package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// envPrefix begins every name of ours.
const envPrefix = "ANIPROXY_"

// The commands' own variables, which are no keys of the file.
const (
	envServer = "ANIPROXY_SERVER"
	envKey    = "ANIPROXY_KEY"
)

// bindEnvironment lays the environment over the file. An empty variable is as
// if it were not there: compose files and unit files hand on variables that
// nobody has set in that form.
//
// A variable that begins like one of ours and is none is a fault, because it
// is a setting that somebody believes to be in force. What is near no name is
// left alone: an operator may keep variables of the same prefix.
func (l *loader) bindEnvironment(env []string) {
	known := map[string]key{}
	for _, k := range keysOf(l.config) {
		if name := k.env(); name != "" {
			known[name] = k
		}
	}
	// Of a name that is there twice the last one counts, as for os/exec.
	last := map[string]string{}
	var order []string
	for _, pair := range env {
		name, value, is := strings.Cut(pair, "=")
		if !is || !strings.HasPrefix(name, envPrefix) || name == envServer || name == envKey {
			continue
		}
		if _, twice := last[name]; !twice {
			order = append(order, name)
		}
		last[name] = value
	}
	for _, name := range order {
		k, is := known[name]
		switch {
		case is && last[name] != "":
			l.bindVariable(name, last[name], k)
		case !is && !orchestrators(name):
			l.strangeVariable(name, known)
		}
	}
}

func (l *loader) bindVariable(name, value string, k key) {
	l.config.origins[k.path] = origin{env: name}
	k.addAll(outside(value, k.isList()), k.value, func(_ *node, message string) { l.report(k.path, message) })
}

// strangeVariable reports a name that is none of ours but looks it.
func (l *loader) strangeVariable(name string, known map[string]key) {
	f := Fault{Env: clip(name, 80)}
	if table := l.tableOf(name, known); table != "" {
		f.Key, f.Message = table, table+" is a table and comes from the file alone"
		l.faults = append(l.faults, f)
		return
	}
	section := false
	var names []string
	for ours, k := range known {
		head := envPrefix + strings.ToUpper(k.section)
		if name == head || strings.HasPrefix(name, head+"_") {
			section = true
			names = append(names, ours)
		}
	}
	slices.Sort(names)
	var near string
	if section {
		head := len(envPrefix + strings.ToUpper(known[names[0]].section) + "_")
		near = nearestVariable(name, names, head)
	} else {
		near = mistyped(name, known)
	}
	switch {
	case near != "":
		f.Message = "unknown variable; did you mean " + near + "?"
	case section:
		f.Message = "unknown variable; allowed are " + strings.Join(names, ", ")
	default:
		return
	}
	l.faults = append(l.faults, f)
}

// tableOf finds the longest table or list of tables that a variable would set.
func (l *loader) tableOf(name string, known map[string]key) (path string) {
	sections := map[string]bool{} // those with variables of their own
	for _, k := range known {
		sections[k.section] = true
	}
	for _, k := range keysOf(l.config) {
		if k.env() != "" {
			continue
		}
		for at := k.path; at != "" && !sections[at]; at = parent(at) {
			as := envPrefix + strings.ToUpper(strings.ReplaceAll(at, ".", "_"))
			if (name == as || strings.HasPrefix(name, as+"_")) && len(at) > len(path) {
				path = at
			}
		}
	}
	return path
}

// nearestVariable compares what follows the section, so that a long prefix in
// common does not make neighbours of two words that have nothing else so.
func nearestVariable(name string, names []string, head int) string {
	if len(name) <= head {
		return ""
	}
	rest := make([]string, len(names))
	for i, n := range names {
		rest[i] = n[head:]
	}
	if near := nearest(name[head:], rest); near != "" {
		return name[:head] + near
	}
	return ""
}

// mistyped finds a name of ours that one or two slips turn into this one.
func mistyped(name string, known map[string]key) string {
	best, fewest := "", 3
	for _, ours := range append(slices.Sorted(maps.Keys(known)), envServer, envKey) {
		if d := mistakes(name, ours); d < fewest {
			best, fewest = ours, d
		}
	}
	return best
}

// orchestrators tells the names that Kubernetes and Docker make up for every
// container beside a service called aniproxy, or aniproxy-server.
func orchestrators(name string) bool {
	return serviceLink.MatchString(name)
}

var serviceLink = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)$`)
