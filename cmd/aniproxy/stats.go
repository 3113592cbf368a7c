package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

type statsCommand struct {
	JSON bool `name:"json" help:"Print the figures as they came."`
	daemon
}

func (k *statsCommand) Run(c *console) error {
	var sections map[string]any
	raw, err := k.ask(c.ctx, http.MethodGet, "/v1/stats", nil, &sections)
	if err != nil {
		return err
	}
	if k.JSON {
		c.printf("%s\n", strings.TrimSpace(string(raw)))
		return nil
	}
	printAlarms(c, sections["clients"])
	names := make([]string, 0, len(sections))
	for name := range sections {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		if i > 0 {
			c.printf("\n")
		}
		c.printf("%s\n", name)
		switch section := sections[name].(type) {
		case map[string]any:
			printFigures(c, "  ", section)
		case []any:
			printEach(c, section)
		default:
			c.printf("  %s\n", figure(section))
		}
	}
	return nil
}

// printAlarms says first what somebody should look at.
func printAlarms(c *console, clients any) {
	all, _ := clients.([]any)
	for _, one := range all {
		client, ok := one.(map[string]any)
		if alarm, _ := client["miss_alarm"].(bool); !ok || !alarm {
			continue
		}
		c.printf("ALARM  client %s asks for unknown numbers far more than is ordinary: %s of %s since the start\n\n",
			figure(client["name"]), figure(client["not_found"]), figure(client["numbers"]))
	}
}

// printEach prints a list of sections, each below its name.
func printEach(c *console, list []any) {
	for _, one := range list {
		section, ok := one.(map[string]any)
		if !ok {
			c.printf("  %s\n", figure(one))
			continue
		}
		c.printf("  %s\n", figure(section["name"]))
		delete(section, "name")
		printFigures(c, "    ", section)
	}
}

// printFigures prints a section's figures by name, those of a figure that is
// itself a section below it.
func printFigures(c *console, indent string, figures map[string]any) {
	names := make([]string, 0, len(figures))
	for name := range figures {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		switch v := figures[name].(type) {
		case map[string]any:
			c.printf("%s%s\n", indent, name)
			printFigures(c, indent+"  ", v)
		default:
			c.printf("%s%-20s %s\n", indent, name, figure(v))
		}
	}
}

// figure writes a number as a person would, and everything else as JSON has it.
func figure(v any) string {
	switch v := v.(type) {
	case float64:
		return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.3f", v), "0"), ".")
	case string:
		if v == "" {
			return "-"
		}
		return v
	case nil:
		return "-"
	default:
		b, err := json.Marshal(v)
		if err != nil {
			return "?"
		}
		return string(b)
	}
}
