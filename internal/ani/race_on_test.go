//go:build race

package ani

// underRace: the race detector makes everything some ten times slower.
const underRace = true
