//go:build !race

package model

// defaultEdits is how many edits an ordinary run does.
const defaultEdits = 10_000

// underRace is false here: what measures is run without the race detector, by the
// suite "model" of .ci/suites.sh.
const underRace = false
