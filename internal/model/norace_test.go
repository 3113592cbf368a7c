//go:build !race

package model

// defaultEdits is how many edits an ordinary run does: the suite "model" of
// .ci/suites.sh, which also runs the measurements of this package.
const defaultEdits = 10_000
