//go:build race

package model

// defaultEdits is fewer under the race detector, which takes ten times as long:
// what it finds, it finds early.
const defaultEdits = 1_000
