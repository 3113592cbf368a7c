package proxy

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestBucketsFollowOneAnother(t *testing.T) {
	before := time.Duration(-1)
	for b := range bucketCount {
		upper := upperBound(b)
		if upper <= before {
			t.Fatalf("bucket %d ends at %v, the one before at %v", b, upper, before)
		}
		if got := bucketOf(upper); got != b {
			t.Errorf("%v is in bucket %d, want %d", upper, got, b)
		}
		if got := bucketOf(before + time.Microsecond); got != b {
			t.Errorf("%v is in bucket %d, want %d", before+time.Microsecond, got, b)
		}
		if width := upper - before; before > 8*time.Microsecond && width*8 > before+time.Microsecond {
			t.Errorf("bucket %d is %v wide at %v: more than an eighth", b, width, before)
		}
		before = upper
	}
	if before < 16*time.Second {
		t.Errorf("the last bucket ends at %v", before)
	}
	if bucketOf(time.Hour) != bucketCount-1 || bucketOf(-time.Second) != 0 {
		t.Error("what is beyond either end is not in the bucket there")
	}
}

func TestRecent(t *testing.T) {
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	type lookup struct {
		second int
		took   time.Duration
	}
	repeat := func(n int, l lookup) (all []lookup) {
		for range n {
			all = append(all, l)
		}
		return all
	}
	tests := []struct {
		name    string
		lookups []lookup
		read    int
		want    reading
	}{
		{"nothing", nil, 0, reading{}},
		{"one, at once", []lookup{{0, 5 * time.Microsecond}}, 0, reading{1, 5 * time.Microsecond, 5 * time.Microsecond}},
		{"the first seconds are not a minute", repeat(30, lookup{0, 0}), 9, reading{3, 0, 0}},
		{"a minute later it is", append(repeat(30, lookup{0, 0}), repeat(30, lookup{59, 0})...), 59, reading{1, 0, 0}},
		{"what is older is forgotten", append(repeat(30, lookup{0, 0}), repeat(30, lookup{59, 0})...), 60, reading{0.5, 0, 0}},
		{"all of it", repeat(30, lookup{0, 0}), 61, reading{}},
		{"a slot is used again", append(repeat(30, lookup{0, 0}), repeat(6, lookup{60, 0})...), 60, reading{0.1, 0, 0}},
		{"one in a hundred is slow", append(repeat(99, lookup{0, 7 * time.Microsecond}), lookup{0, time.Second}), 0, reading{100, 7 * time.Microsecond, 7 * time.Microsecond}},
		{"two in a hundred are", append(repeat(98, lookup{0, 7 * time.Microsecond}), repeat(2, lookup{0, time.Second})...), 0, reading{100, 7 * time.Microsecond, 1048575 * time.Microsecond}},
		{"a clock that was set back", repeat(1, lookup{100, 0}), 0, reading{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r recent
			for _, l := range tt.lookups {
				r.add(at(l.second), l.took)
			}
			if diff := cmp.Diff(tt.want, r.read(at(tt.read)), cmp.AllowUnexported(reading{})); diff != "" {
				t.Errorf("read (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRecentIsExactUnderConcurrency(t *testing.T) {
	var r recent
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 600 {
				r.add(start.Add(time.Duration(i%60)*time.Second), time.Millisecond)
				if i%100 == 0 {
					r.read(start)
				}
			}
		})
	}
	wg.Wait()
	if got := r.read(start.Add(59 * time.Second)).perSecond; got != 80 {
		t.Errorf("%v a second, want 80", got)
	}
	if n := testing.AllocsPerRun(100, func() { r.add(start, time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
