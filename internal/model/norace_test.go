//go:build !race

package model

// defaultEdits is how many edits an ordinary run does.
const defaultEdits = 10_000
