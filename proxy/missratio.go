package proxy

import (
	"math"
	"time"
)

// The alarm on misses. Calls come from people most of whom have called before;
// who reads out a range of numbers finds nobody behind most of them.
const (
	// ratioMinutes is how much is remembered: a day, since a client's share
	// of strangers has its hours.
	ratioMinutes = 24 * 60
	// recentMinutes is what is held against what is ordinary.
	recentMinutes = 10
	// fewestRecent is how many numbers those must have: of fewer, a few
	// strangers make any share.
	fewestRecent = 100
	// prior is how many minutes of assumedShare the past is taken to have had
	// before there are as many of its own. So a key without a history that
	// scans is told of for more than an hour, until what it does is what it
	// does; and so is one whose callers are mostly strangers, after a start.
	prior        = 120
	assumedShare = 0.5
	// fullWeight is how many numbers a minute has that counts whole: one number
	// a minute, all night, says a tenth as much.
	fullWeight = 10
	// The recent share is out of the ordinary where it is more than 20 points
	// above it, or, where there is no room for that, more than half of what is
	// left above it; and by more than 4 standard errors of a share of so many
	// numbers. The points keep a busy client's small changes out; the errors
	// chance, which exceeds them once in 30,000 times.
	points         = 0.20
	standardErrors = 4
)

// missRatio counts a client's different numbers by minutes, and those of them
// that nobody was found for. 11.5 KiB; whoever holds it keeps it from
// concurrent use.
type missRatio struct {
	// minute is the current one, counted from ratioMinutes so that what is
	// before the first one has a place too.
	minute  int64
	current tally
	past    [ratioMinutes]tally // by minute
	alarm   bool
}

// tally is what a minute had.
type tally struct{ numbers, missed uint32 }

// shift is the beginning or the end of an alarm, and what it was judged by.
type shift struct {
	alarm           bool
	share, ordinary float64
	numbers         uint32 // of the recent minutes
}

// count adds a number to the current minute.
func (m *missRatio) count(missed bool) {
	m.current.numbers++
	if missed {
		m.current.missed++
	}
}

// turn goes on to the minute of a time since the beginning, and judges each
// minute that has passed at its end, those too in which nobody looked: an alarm
// that began and ended unseen is told of all the same.
func (m *missRatio) turn(now time.Duration) (shifts []shift) {
	minute := ratioMinutes + int64(now/time.Minute)
	for passed := 0; m.minute < minute; passed++ {
		if passed > ratioMinutes { // by now all that is remembered is empty
			m.minute = minute
			break
		}
		m.past[m.minute%ratioMinutes], m.current = m.current, tally{}
		m.minute++
		recent := m.recent()
		if !m.alarm && recent.numbers < fewestRecent {
			continue
		}
		if s := m.judge(recent); s.alarm != m.alarm {
			m.alarm = s.alarm
			shifts = append(shifts, s)
		}
	}
	return shifts
}

// ago is the tally of a minute so many before the current one.
func (m *missRatio) ago(minutes int64) tally { return m.past[(m.minute-minutes)%ratioMinutes] }

func (m *missRatio) recent() (sum tally) {
	for i := int64(1); i <= recentMinutes; i++ {
		t := m.ago(i)
		sum.numbers, sum.missed = sum.numbers+t.numbers, sum.missed+t.missed
	}
	return sum
}

func (m *missRatio) judge(recent tally) shift {
	s := shift{ordinary: m.ordinary(), numbers: recent.numbers}
	if recent.numbers == 0 {
		return s
	}
	n := float64(recent.numbers)
	s.share = float64(recent.missed) / n
	above := s.share - s.ordinary
	s.alarm = recent.numbers >= fewestRecent && above > min(points, (1-s.ordinary)/2) &&
		above > standardErrors*math.Sqrt(s.ordinary*(1-s.ordinary)/n)
	return s
}

// ordinary is the share of the day but for the recent minutes: the mean of the
// shares of its minutes. Minutes weigh the same from fullWeight numbers on, for
// by its numbers a scan of three thousand a minute would be what is ordinary
// before it is twenty minutes old. So it becomes ordinary over hours, as a
// lasting change should.
func (m *missRatio) ordinary() float64 {
	var shares, minutes float64
	for i := int64(recentMinutes + 1); i <= ratioMinutes; i++ {
		if t := m.ago(i); t.numbers > 0 {
			weight := min(1, float64(t.numbers)/fullWeight)
			shares += weight * float64(t.missed) / float64(t.numbers)
			minutes += weight
		}
	}
	if unknown := prior - minutes; unknown > 0 {
		shares, minutes = shares+unknown*assumedShare, prior
	}
	return shares / minutes
}
