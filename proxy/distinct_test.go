package proxy

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"
)

// TestNoMinuteHasMoreDifferentNumbers compares with a list of a minute's answers, over
// made-up minutes of a client that asks for some numbers again and again.
func TestNoMinuteHasMoreDifferentNumbers(t *testing.T) {
	type answer struct {
		key uint64
		at  time.Duration
	}
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			limit := distinctLimit{most: 1 + random.IntN(12)}
			d := newDistinct()
			var answers []answer
			var now time.Duration
			refused := 0
			for range 3000 {
				if random.IntN(2) == 0 {
					now += time.Duration(random.Int64N(int64(20 * time.Second)))
				}
				key := uint64(random.IntN(2*limit.most + 1))
				for len(answers) > 0 && now-answers[0].at >= time.Minute {
					answers = answers[1:]
				}
				within := map[uint64]bool{}
				oldest := map[uint64]time.Duration{}
				for _, a := range answers {
					within[a.key], oldest[a.key] = true, a.at
				}
				want := within[key] || len(within) < limit.most
				if got := d.room(key, now, limit); got != want {
					t.Fatalf("at %v with %d of %d: room is %v", now, len(within), limit.most, got)
				}
				first, wait := d.take(key, now, limit)
				if (wait <= 0) != want || first != (want && !within[key]) {
					t.Fatalf("at %v with %d of %d: first %v, wait %v", now, len(within), limit.most, first, wait)
				}
				if wait > 0 {
					refused++
					leaves := now
					for _, at := range oldest {
						leaves = min(leaves, at)
					}
					if leaves += time.Minute; now+wait != leaves {
						t.Fatalf("at %v one is to wait %v, and the oldest leaves at %v", now, wait, leaves)
					}
					continue
				}
				answers = append(answers, answer{key, now})
			}
			if refused == 0 || len(d.entries) > limit.most {
				t.Errorf("%d refused, %d entries for a limit of %d", refused, len(d.entries), limit.most)
			}
		})
	}
}

func TestALimitThatWasLowered(t *testing.T) {
	d := newDistinct()
	for i := range uint64(10) {
		d.take(i, time.Duration(i)*time.Second, distinctLimit{most: 10})
	}
	lower := distinctLimit{most: 3}
	if first, wait := d.take(4, 10*time.Second, lower); first || wait > 0 {
		t.Error("a number that was counted is refused")
	}
	_, wait := d.take(99, 10*time.Second, lower)
	if at := 10*time.Second + wait; wait <= 0 || !d.room(99, at, lower) {
		t.Errorf("after a wait of %v there is no room", wait)
	}
}

func TestALenientLimitForgetsTheOldest(t *testing.T) {
	d, lenient := newDistinct(), distinctLimit{most: 3, lenient: true}
	for _, step := range []struct {
		key   uint64
		first bool
	}{{1, true}, {2, true}, {3, true}, {1, false}, {4, true}, {1, false}, {3, false}, {2, true}} {
		if first, wait := d.take(step.key, 0, lenient); first != step.first || wait > 0 {
			t.Errorf("%d: first %v, wait %v", step.key, first, wait)
		}
	}
	if len(d.entries) > 3 {
		t.Errorf("%d entries", len(d.entries))
	}
}

func TestANumberAndAPersonAreTwo(t *testing.T) {
	d := newDistinct()
	if d.number("+4930123456") == d.person(4930123456) || d.number("+1") == d.number("+2") || d.person(1) == d.person(2) {
		t.Error("two keys are one")
	}
}

func TestRetryAfterIsNotTooEarly(t *testing.T) {
	for wait, want := range map[time.Duration]string{
		1: "1", time.Second: "1", time.Second + 1: "2", 59*time.Second + time.Millisecond: "60", time.Minute: "60",
	} {
		if got := retryAfter(wait); got != want {
			t.Errorf("%v: %s, want %s", wait, got, want)
		}
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	u := newUsage(start)
	numbers := make([]string, 500)
	for i := range numbers {
		numbers[i] = "+1513555" + strconv.Itoa(1000+i)
	}
	now, i := start, 0
	count := func() {
		now, i = now.Add(200*time.Millisecond), i+1 // 300 a minute come and go
		u.number(numbers[i%len(numbers)], i%3 == 0, now, distinctLimit{most: 3000})
	}
	for range 5000 {
		count()
	}
	if n := testing.AllocsPerRun(5000, count); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkDistinct is what a lookup pays for the limit of different numbers
// and the alarm on misses.
func BenchmarkDistinct(b *testing.B) {
	numbers := make([]string, 6000)
	for i := range numbers {
		numbers[i] = "+1513555" + strconv.Itoa(1000+i)
	}
	for _, bc := range []struct {
		name    string
		numbers int
		step    time.Duration
	}{
		{"one number", 1, 0},
		{"3000 numbers again and again", 3000, 0},
		{"new numbers while old ones leave", 6000, 21 * time.Millisecond},
		{"refused", 6000, 0},
	} {
		b.Run(bc.name, func(b *testing.B) {
			u, now := newUsage(start), start
			limit := distinctLimit{most: 3000}
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				if i++; i == bc.numbers {
					i = 0
				}
				now = now.Add(bc.step)
				u.number(numbers[i], false, now, limit)
			}
		})
	}
}
