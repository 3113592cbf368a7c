package speech

import "time"

const (
	weeksFrom  = 14  // days, from which on weeks are counted
	monthsFrom = 60  // days, from which on months are counted
	yearsFrom  = 367 // days, from which on it is over a year, leap years included
)

// since says how long ago a ticket was updated, by the calendar of the zone:
// which sentence, and the number in it, 0 where it has none. A time that is
// still to come is a clock that runs ahead, and today. ok is false where the
// time is not known.
func since(updated int64, now time.Time, zone *time.Location) (k kind, count int, ok bool) {
	if updated <= 0 {
		return 0, 0, false
	}
	if updated >= now.Unix() {
		return updatedToday, 0, true
	}
	switch days := int(day(now, zone) - day(time.Unix(updated, 0), zone)); {
	case days <= 0:
		return updatedToday, 0, true
	case days == 1:
		return updatedYesterday, 0, true
	case days < weeksFrom:
		return updatedDays, days, true
	case days < monthsFrom:
		return updatedWeeks, (days + 3) / 7, true
	case days < yearsFrom:
		return updatedMonths, (days*24 + 365) / 730, true // 12 months are 365 days
	default:
		return updatedOverAYear, 0, true
	}
}

// day numbers the days of the calendar. A day of the zone begins at its own
// midnight and may have 23 hours; the number is that of its date.
func day(t time.Time, zone *time.Location) int64 {
	_, offset := t.In(zone).Zone()
	const aDay = 24 * 60 * 60
	seconds := t.Unix() + int64(offset)
	number := seconds / aDay
	if seconds%aDay < 0 {
		number--
	}
	return number
}
