package routing

import (
	"strconv"
	"strings"
)

// longestWord bounds what is quoted and compared of a word nobody knows.
const longestWord = 32

// quote shows the beginning of an unknown word on one line.
func quote(word string) string {
	short := []rune(word[:min(len(word), 4*longestWord)])
	if len(short) > longestWord {
		short = short[:longestWord]
	}
	return strconv.Quote(string(short))
}

// nearest is the word that a typing mistake was meant to be, "" where none is
// near: one letter in three may be wrong, for beyond that a guess is no help.
func nearest(word string, allowed []string) string {
	if len(word) > longestWord {
		return ""
	}
	word = strings.ToLower(strings.TrimSpace(word))
	best, fewest := "", len(word)/3+1
	for _, w := range allowed {
		if d := distance(word, w); d < fewest {
			best, fewest = w, d
		}
	}
	return best
}

// distance counts the letters to add, to leave out or to change to make one
// word of another; two neighbours swapped are one change.
func distance(a, b string) int {
	// rows[i][j] is the distance of the first i letters of a from the first j of b.
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range len(b) {
		rows[0][j+1] = j + 1
	}
	for i := range len(a) {
		for j := range len(b) {
			d := rows[i][j]
			if a[i] != b[j] {
				d++
			}
			d = min(d, rows[i][j+1]+1, rows[i+1][j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				d = min(d, rows[i-1][j-1]+1)
			}
			rows[i+1][j+1] = d
		}
	}
	return rows[len(a)][len(b)]
}
