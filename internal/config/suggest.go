package config

import (
	"slices"
	"strconv"
	"strings"
)

// didYouMean names the word nearest to a typing mistake, "" where none is near.
func didYouMean(text string, words []string) string {
	if near := nearest(text, words); near != "" {
		return "did you mean " + strconv.Quote(near) + "?"
	}
	return ""
}

// nearest finds the word with the fewest typing mistakes between, one in
// three letters at the most: beyond that a guess is no help.
func nearest(text string, words []string) string {
	best, fewest := "", len(text)/3+1
	for _, w := range words {
		if d := mistakes(strings.ToLower(text), strings.ToLower(w)); d > 0 && d < fewest || d == 0 && text != w {
			best, fewest = w, d
		}
	}
	return best
}

// mistakes counts the letters added, left out, changed or swapped with their
// neighbour between two words: the optimal string alignment distance.
func mistakes(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64 // no key is so long, and the table below would be
	}
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(change, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

// meant says where an unknown key belongs, or else what its table takes.
func (l *loader) meant(name, near string, siblings []string) string {
	if near != "" {
		return "did you mean " + strconv.Quote(near) + "?"
	}
	var sections []string
	for _, k := range keysOf(l.config) {
		if at := "[" + strings.TrimSuffix(k.path, "."+k.name) + "]"; k.name == name && !slices.Contains(sections, at) {
			sections = append(sections, at)
		}
	}
	if len(sections) > 0 {
		return name + " belongs in " + strings.Join(sections, " or ")
	}
	return "allowed are " + strings.Join(siblings, ", ")
}
