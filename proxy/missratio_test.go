package proxy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// line is a stretch of a client's day.
type line struct {
	minutes, numbers, missed int // numbers and missed are of each minute
}

// day runs lines one after the other and gives the minutes in which an alarm
// began or ended.
func day(m *missRatio, lines ...line) (shifts map[int]bool) {
	shifts = map[int]bool{}
	minute := int(m.minute - ratioMinutes)
	for _, l := range lines {
		for range l.minutes {
			for i := range l.numbers {
				m.count(i < l.missed)
			}
			minute++
			for _, s := range m.turn(time.Duration(minute) * time.Minute) {
				shifts[minute] = s.alarm
			}
		}
	}
	return shifts
}

func TestWhenTheAlarmIsRaised(t *testing.T) {
	usual := line{300, 20, 5} // five hours with a quarter of strangers
	tests := []struct {
		name  string
		lines []line
		want  map[int]bool // begins or ends at the end of that minute
	}{
		{"a usual day", []line{usual, usual}, map[int]bool{}},
		{"a scan by a key that has a history", []line{usual, {3, 2000, 1900}, {12, 20, 5}}, map[int]bool{301: true, 313: false}},
		{"a scan by a key without one", []line{{2, 500, 480}, {12, 10, 2}}, map[int]bool{1: true, 12: false}},
		{"a scan, and then nobody asks", []line{usual, {1, 300, 290}, {30, 0, 0}}, map[int]bool{301: true, 311: false}},
		{"few numbers, all unknown", []line{usual, {30, 0, 0}, {1, 99, 99}, {10, 0, 0}}, map[int]bool{}},
		{"one more", []line{usual, {30, 0, 0}, {1, 100, 100}, {10, 0, 0}}, map[int]bool{331: true, 341: false}},
		{"a scan, and then too few to tell", []line{usual, {1, 300, 300}, {30, 5, 5}}, map[int]bool{301: true, 311: false}},
		{"an evening with somewhat more strangers", []line{usual, {60, 20, 8}}, map[int]bool{}},
		{"19 points more of many numbers", []line{{300, 100, 20}, {30, 100, 39}}, map[int]bool{}},
		{"22 points more of many numbers, once they outweigh the ten minutes before", []line{{300, 100, 20}, {10, 100, 42}}, map[int]bool{310: true}},
		{"30 points more of few numbers, which may be chance", []line{{300, 10, 5}, {10, 10, 5}, {10, 10, 6}}, map[int]bool{}},
		{"a client whose callers are strangers, once that is known", []line{{120, 50, 45}}, map[int]bool{2: true, 100: false}},
		{"a client that asks little and finds nobody", []line{{600, 1, 1}}, map[int]bool{}},
		{"a scan of two hours stays out of the ordinary", []line{usual, {120, 3000, 2900}, {10, 20, 5}}, map[int]bool{301: true, 430: false}},
		{"a scan of three hours by a key without a history", []line{{180, 3000, 2900}}, map[int]bool{1: true, 122: false}},
		{"a client of strangers, and then there is nobody else", []line{{1200, 50, 41}, {10, 100, 100}}, map[int]bool{2: true, 63: false, 1204: true}},
		{"a night of a stranger a minute makes nothing ordinary", []line{usual, {600, 1, 1}, {10, 50, 48}}, map[int]bool{902: true}},
		{"nobody has asked for days", []line{usual, {5000, 0, 0}, usual}, map[int]bool{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, day(&missRatio{minute: ratioMinutes}, tt.lines...)); diff != "" {
				t.Errorf("the alarm (-want +got):\n%s", diff)
			}
		})
	}
}

// Whoever looks late is told of what was in between.
func TestAnAlarmThatNobodySaw(t *testing.T) {
	for _, later := range []time.Duration{30 * time.Minute, 300 * time.Hour} {
		m := &missRatio{minute: ratioMinutes}
		for range 200 {
			m.count(true)
		}
		shifts := m.turn(later)
		if len(shifts) != 2 || !shifts[0].alarm || shifts[1].alarm || m.alarm {
			t.Errorf("%v later: %+v", later, shifts)
		}
		if got := shifts[0]; got.share != 1 || got.ordinary != assumedShare || got.numbers != 200 {
			t.Errorf("it began with %+v", got)
		}
		if want := ratioMinutes + int64(later/time.Minute); m.minute != want || m.recent() != (tally{}) {
			t.Errorf("it stands at minute %d, want %d", m.minute, want)
		}
	}
}

func TestTheOrdinaryIsTheDayWithoutTheLastTenMinutes(t *testing.T) {
	m := &missRatio{minute: ratioMinutes}
	day(m, line{ratioMinutes, 20, 4}, line{10, 20, 20})
	if got := m.ordinary(); got < 0.1999 || got > 0.2001 {
		t.Errorf("after ten minutes of something else: %v", got)
	}
	day(m, line{ratioMinutes / 2, 20, 20})
	if got := m.ordinary(); got < 0.55 || got > 0.65 {
		t.Errorf("half a day later: %v", got)
	}
	day(m, line{ratioMinutes / 2, 20, 20})
	if got := m.ordinary(); got != 1 {
		t.Errorf("a day later: %v", got)
	}
}
