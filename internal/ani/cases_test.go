package ani

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestEverySpellingHasItsClass(t *testing.T) {
	cases, columns := readCases(t, filepath.Join("testdata", "cases.tsv"), 2)
	made := map[string]*Normalizer{}
	for i, c := range cases {
		regions, reason := columns[i][0], columns[i][1]
		if made[regions] == nil {
			made[regions] = mustNew(t, strings.Fields(regions)...)
		}
		if reason == "-" {
			reason = ""
		}
		t.Run(regions+": "+c.note, func(t *testing.T) { check(t, made[regions], c, reason) })
	}
}
