package speech

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the test needs no zones of the machine's
)

func TestSince(t *testing.T) {
	madrid, err := time.LoadLocation("Europe/Madrid")
	if err != nil {
		t.Fatal(err)
	}
	auckland, err := time.LoadLocation("Pacific/Auckland")
	if err != nil {
		t.Fatal(err)
	}
	at := func(zone *time.Location, y, m, d, hour, minute int) time.Time {
		return time.Date(y, time.Month(m), d, hour, minute, 0, 0, zone)
	}
	for _, tt := range []struct {
		name         string
		updated, now time.Time
		zone         *time.Location
		want         kind
		count        int
	}{
		{"a minute ago", noon.Add(-time.Minute), noon, time.UTC, updatedToday, 0},
		{"a minute ago and yesterday", at(time.UTC, 2026, 3, 14, 23, 59), at(time.UTC, 2026, 3, 15, 0, 0), time.UTC, updatedYesterday, 0},
		{"today there and yesterday in UTC", at(time.UTC, 2026, 3, 14, 23, 30), at(time.UTC, 2026, 3, 15, 9, 0), madrid, updatedToday, 0},
		{"yesterday there and today in UTC", at(auckland, 2026, 3, 14, 23, 30), at(auckland, 2026, 3, 15, 0, 30), auckland, updatedYesterday, 0},
		{"the day of 23 hours", at(madrid, 2026, 3, 28, 23, 59), at(madrid, 2026, 3, 30, 0, 1), madrid, updatedDays, 2},
		{"the day of 25 hours", at(madrid, 2026, 10, 25, 0, 5), at(madrid, 2026, 10, 25, 23, 55), madrid, updatedToday, 0},
		{"a clock that runs ahead", noon.Add(36 * time.Hour), noon, time.UTC, updatedToday, 0},
		{"13 days", noon.AddDate(0, 0, -13), noon, time.UTC, updatedDays, 13},
		{"14 days", noon.AddDate(0, 0, -14), noon, time.UTC, updatedWeeks, 2},
		{"17 days", noon.AddDate(0, 0, -17), noon, time.UTC, updatedWeeks, 2},
		{"18 days", noon.AddDate(0, 0, -18), noon, time.UTC, updatedWeeks, 3},
		{"59 days", noon.AddDate(0, 0, -59), noon, time.UTC, updatedWeeks, 8},
		{"60 days", noon.AddDate(0, 0, -60), noon, time.UTC, updatedMonths, 2},
		{"half a year", noon.AddDate(0, -6, 0), noon, time.UTC, updatedMonths, 6},
		{"a year", noon.AddDate(-1, 0, 0), noon, time.UTC, updatedMonths, 12},
		{"a year with a leap day", at(time.UTC, 2024, 2, 1, 0, 0), at(time.UTC, 2025, 2, 1, 0, 0), time.UTC, updatedMonths, 12},
		{"a year and a day more", at(time.UTC, 2024, 2, 1, 0, 0), at(time.UTC, 2025, 2, 2, 0, 0), time.UTC, updatedOverAYear, 0},
		{"at the beginning of Unix", time.Unix(1, 0), noon, time.UTC, updatedOverAYear, 0},
		{"before that, by the clock there", time.Unix(1, 0), time.Unix(20_000, 0), time.FixedZone("behind", -18_000), updatedYesterday, 0},
		{"a clock that was never set", noon, time.Time{}, time.UTC, updatedToday, 0},
	} {
		got, count, ok := since(tt.updated.Unix(), tt.now, tt.zone)
		if got != tt.want || count != tt.count || !ok {
			t.Errorf("%s: %s %d %v, want %s %d", tt.name, rules[got].name, count, ok, rules[tt.want].name, tt.count)
		}
	}
	for _, none := range []int64{0, -1, -1 << 63} {
		if _, _, ok := since(none, noon, madrid); ok {
			t.Errorf("%d is a time", none)
		}
	}
}

// TestTheZoneIsTheOperators goes the whole way: the same ticket, two zones.
func TestTheZoneIsTheOperators(t *testing.T) {
	ticket := ticketOf("open", 0)
	ticket.UpdatedAt = time.Date(2026, time.March, 14, 23, 30, 0, 0, time.UTC).Unix()
	for zone, want := range map[*time.Location]string{nil: "yesterday.", time.FixedZone("ahead", 3600): "today."} {
		text, _ := say(voicesWith(t, Options{Zone: zone}).For("en", ""), Call{Known: true, Ticket: ticket, Now: noon})
		if !strings.HasSuffix(text, want) {
			t.Errorf("in %v: %q, want %q", zone, text, want)
		}
	}
}
