package zendesk

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func headerOf(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name, value, date string
		want              time.Duration
		ok                bool
	}{
		{"missing", "", "", 0, false},
		{"blank", "   ", "", 0, false},
		{"seconds", "17", "", 17 * time.Second, true},
		{"zero", "0", "", 0, true},
		{"spaces around", " 5 ", "", 5 * time.Second, true},
		{"absurd", "86400", "", retryAfterMost, true},
		{"overflowing", "99999999999999999999999", "", retryAfterMost, true},
		{"overflowing a duration", "9223372036", "", retryAfterMost, true},
		{"negative", "-5", "", 0, false},
		{"fraction", "1.5", "", 0, false},
		{"words", "soon", "", 0, false},
		{"a date ahead", "Tue, 24 Nov 2026 12:00:30 GMT", "", 30 * time.Second, true},
		{"a date past", "Tue, 24 Nov 2026 11:00:00 GMT", "", 0, true},
		{"an absurd date", "Tue, 24 Nov 2099 11:00:00 GMT", "", retryAfterMost, true},
		{"a date of a peer whose clock is an hour off", "Tue, 24 Nov 2026 13:00:10 GMT", "Tue, 24 Nov 2026 13:00:00 GMT", 10 * time.Second, true},
		{"an old form of date", "Tuesday, 24-Nov-26 12:00:30 GMT", "", 30 * time.Second, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d, ok := retryAfter(headerOf("Retry-After", tt.value, "Date", tt.date), now)
			if d != tt.want || ok != tt.ok {
				t.Errorf("got %v, %v; want %v, %v", d, ok, tt.want, tt.ok)
			}
		})
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"", "5", "-1", "1e9", "99999999999", "Tue, 24 Nov 2026 12:00:30 GMT", "0x10", "٣"} {
		f.Add(s, "")
	}
	f.Add("Tue, 24 Nov 2026 12:00:30 GMT", "Tue, 24 Nov 0001 12:00:30 GMT")
	f.Fuzz(func(t *testing.T, value, date string) {
		d, ok := retryAfter(headerOf("Retry-After", value, "Date", date), time.Unix(1_800_000_000, 0))
		if d < 0 || d > retryAfterMost || (!ok && d != 0) {
			t.Errorf("%q at %q: %v, %v", value, date, d, ok)
		}
	})
}

func TestAccountReading(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		h    http.Header
		want reading
		ok   bool
	}{
		{"none", headerOf(), reading{left: -1, reset: -1}, false},
		{"the present ones", headerOf("x-rate-limit", "700", "x-rate-limit-remaining", "697", "ratelimit-limit", "700", "ratelimit-remaining", "697", "ratelimit-reset", "12"), reading{700, 697, 12 * time.Second}, true},
		{"the older ones", headerOf("rate-limit", "700", "rate-limit-remaining", "696", "rate-limit-reset", "59"), reading{700, 696, 59 * time.Second}, true},
		{"families that differ", headerOf("x-rate-limit-remaining", "9", "ratelimit-remaining", "7"), reading{0, 7, -1}, true},
		{"a reset that is none of a minute's", headerOf("x-rate-limit-remaining", "9", "ratelimit-reset", "3600"), reading{0, 9, -1}, true},
		{"garbage", headerOf("x-rate-limit", "many", "x-rate-limit-remaining", "-3", "ratelimit-reset", "1.5"), reading{left: -1, reset: -1}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, ok := accountReading(tt.h)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(reading{})); diff != "" || ok != tt.ok {
				t.Errorf("ok %v\n%s", ok, diff)
			}
		})
	}
}

func TestLaneReading(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		lane lane
		h    http.Header
		want reading
		ok   bool
	}{
		{"an export's", ticketLane, headerOf("zendesk-ratelimit-incremental-exports", "total=10; remaining=9; resets=2"), reading{10, 9, 2 * time.Second}, true},
		{"with the add-on", ticketLane, headerOf("Zendesk-RateLimit-Incremental-Exports", "total=30;remaining=29;resets=60"), reading{30, 29, time.Minute}, true},
		{"a search's", searchLane, headerOf("zendesk-ratelimit-search-index", "total=2500; remaining=0; resets=7"), reading{2500, 0, 7 * time.Second}, true},
		{"half a value", ticketLane, headerOf("zendesk-ratelimit-incremental-exports", "remaining=3"), reading{0, 3, -1}, true},
		{"garbage", userLane, headerOf("zendesk-ratelimit-incremental-exports", "; =;total=;x"), reading{left: -1, reset: -1}, false},
		{"a search export's", searchExportLane, headerOf("zendesk-ratelimit-search-export", "total=100; remaining=98; resets=59"), reading{100, 98, 59 * time.Second}, true},
		{"a search's on a search export", searchExportLane, headerOf("zendesk-ratelimit-search-index", "total=2500; remaining=2499; resets=7"), reading{}, false},
		{"a search export's on a search", searchLane, headerOf("zendesk-ratelimit-search-export", "total=100; remaining=98; resets=59"), reading{}, false},
		{"of a call without a limit of its own", noLane, headerOf("zendesk-ratelimit-search-index", "total=2500; remaining=0; resets=7"), reading{}, false},
		{"another limit's", searchLane, headerOf("zendesk-rate-limit-tickets-update", "total=20; remaining=19; resets=59"), reading{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, ok := laneReading(tt.h, tt.lane)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(reading{})); diff != "" || ok != tt.ok {
				t.Errorf("ok %v\n%s", ok, diff)
			}
		})
	}
}
