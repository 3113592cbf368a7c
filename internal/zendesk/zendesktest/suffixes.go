package zendesktest

import (
	"iter"
	"slices"
)

// suffixes finds people by the last digits of their numbers. A key is the last
// seven digits, last digit first, in the upper half, and the user's place in
// the lower: so all numbers that end alike stand together, whatever the length
// of the end asked for.
//
// Keys are never taken out: whoever reads them looks at the user for what is
// so now, or was so when search last looked.
type suffixes struct {
	sorted  []uint64
	recent  []uint64 // not yet sorted in
	filling bool     // an account is being made up: sort once, at the end
}

const (
	suffixDigits = 7
	suffixSpan   = 10_000_000 // 10^suffixDigits
	// recentMost bounds the part that every search walks: 4096 comparisons
	// take a few microseconds.
	recentMost = 4096
)

// suffixKey turns the end of a row of digits round; short numbers are filled
// with zeros at the far end. n is how many digits counted.
func suffixKey(digits string) (key uint64, n int) {
	n = min(len(digits), suffixDigits)
	for k := range n {
		key = key*10 + uint64(digits[len(digits)-1-k]-'0')
	}
	for range suffixDigits - n {
		key *= 10
	}
	return key, n
}

func (x *suffixes) add(digits string, i int32) {
	if digits == "" {
		return
	}
	key, _ := suffixKey(digits)
	x.recent = append(x.recent, key<<32|uint64(uint32(i)))
	if !x.filling && len(x.recent) >= max(recentMost, len(x.sorted)/64) {
		x.settle()
	}
}

// settle sorts the recent keys in.
func (x *suffixes) settle() {
	x.sorted = append(x.sorted, x.recent...)
	x.recent, x.filling = nil, false
	slices.Sort(x.sorted)
	x.sorted = slices.Compact(x.sorted)
}

// ending yields the places of people one of whose numbers may end so, each once.
func (x *suffixes) ending(digits string) iter.Seq[int32] {
	return func(yield func(int32) bool) {
		low, n := suffixKey(digits)
		span := uint64(1)
		for range suffixDigits - n {
			span *= 10
		}
		seen := map[int32]bool{}
		once := func(k uint64) bool {
			i := int32(uint32(k))
			if seen[i] {
				return true
			}
			seen[i] = true
			return yield(i)
		}
		at, _ := slices.BinarySearch(x.sorted, low<<32)
		for ; at < len(x.sorted) && x.sorted[at]>>32 < low+span; at++ {
			if !once(x.sorted[at]) {
				return
			}
		}
		for _, k := range x.recent {
			if k>>32 >= low && k>>32 < low+span && !once(k) {
				return
			}
		}
	}
}

// digitsOf keeps the digits of a spelling, and nothing else.
func digitsOf(s string) string {
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		if c := s[i]; c >= '0' && c <= '9' {
			b = append(b, c)
		}
	}
	return string(b)
}
