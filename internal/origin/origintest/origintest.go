// Package origintest holds the hostile targets that credentials must never go
// to, for the tests of all who read a URL: testdata/hostile.txt, where each
// group says what it tries.
package origintest

import (
	_ "embed" // the corpus
	"fmt"
	"strconv"
	"strings"
	"testing"
)

//go:embed testdata/hostile.txt
var corpus string

// Group reads one group of the corpus, of which a test must know that it is
// there. A line that begins with a quote is a Go string; any other is as it
// stands. The words {HOME} and {EVIL} are for [Fill].
func Group(t testing.TB, name string) []string {
	t.Helper()
	var lines []string
	inside := false
	for n, line := range strings.Split(corpus, "\n") {
		switch {
		case line == "" || strings.HasPrefix(line, "## "):
		case strings.HasPrefix(line, "=== "):
			inside = line == "=== "+name
		case inside:
			text, err := read(line)
			if err != nil {
				t.Fatalf("hostile.txt:%d: %v", n+1, err)
			}
			lines = append(lines, text)
		}
	}
	if len(lines) == 0 {
		t.Fatalf("hostile.txt has no group %q", name)
	}
	return lines
}

func read(line string) (string, error) {
	if !strings.HasPrefix(line, `"`) {
		return line, nil
	}
	text, err := strconv.Unquote(line)
	if err != nil {
		return "", fmt.Errorf("%s: %w", line, err)
	}
	return text, nil
}

// Fill puts hosts with their ports into a line: that of the configured origin
// and that of another one.
func Fill(line, home, evil string) string {
	return strings.NewReplacer("{HOME}", home, "{EVIL}", evil).Replace(line)
}
