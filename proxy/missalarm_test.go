package proxy

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// alarms is what the metrics say of a client's alarm.
func (w *world) alarms(t *testing.T, client string) string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(w.at(t, "/metrics", "stats").Body.String()) {
		if value, ok := strings.CutPrefix(line, fmt.Sprintf("aniproxy_client_miss_alarm{client=%q} ", client)); ok {
			lines = append(lines, strings.TrimSpace(value))
		}
	}
	return strings.Join(lines, " ")
}

// A scan is told of while it goes on, even when most of it cannot be asked of
// Zendesk; and the end of it though nobody asks any more.
func TestAScanRaisesTheAlarm(t *testing.T) {
	w := newWorld(t, withExchange(&exchange{}, 3000, "webex", "other"))
	w.directory.streams.Users.Complete, w.directory.streams.Tickets.Complete = true, true
	morning := func(minutes int) {
		for m := range minutes {
			for i := range 20 {
				number := somebody(m*100 + i)
				if i%4 == 0 {
					number = stranger(m*100 + i)
				}
				w.at(t, lookupOf(number), "webex")
			}
			w.tick(time.Minute)
		}
	}
	morning(60)
	if got := w.alarms(t, "webex"); got != "0" {
		t.Fatalf("on a usual morning the alarm is %q", got)
	}
	var o Options
	withExchange(&exchange{}, 3000, "webex", "other")(&o)
	for minute := range 3 {
		for i := range 1000 {
			w.at(t, lookupOf(stranger(500_000+minute*1000+i)), "webex")
		}
		w.tick(time.Minute)
		if err := w.SetClients(o.Clients); err != nil { // a reload changes nothing of it
			t.Fatal(err)
		}
	}
	if webex, other := w.alarms(t, "webex"), w.alarms(t, "other"); webex != "1" || other != "0" {
		t.Errorf("while it goes on the alarms are %q and %q", webex, other)
	}
	if got := string(w.get(t, "/v1/stats", "stats").body); !strings.Contains(got, `{"name":"webex","numbers":4200,"not_found":3300,"miss_alarm":true,`) {
		t.Errorf("the statistics are %s", got)
	}
	morning(5)
	if got := w.alarms(t, "webex"); got != "1" {
		t.Errorf("five minutes later it is %q", got)
	}
	w.tick(20 * time.Minute)
	if got := w.alarms(t, "webex"); got != "0" {
		t.Errorf("when nobody has asked for twenty minutes it is %q", got)
	}
	var told []string
	for line := range strings.Lines(w.logged()) {
		if strings.Contains(line, "unknown numbers") {
			told = append(told, line[strings.Index(line, "level="):])
		}
	}
	want := []string{
		`level=WARN msg="a client asks for unknown numbers far more than is ordinary" client=webex share=89% ordinary=39% numbers=1180` + "\n",
		`level=INFO msg="the share of unknown numbers is ordinary again" client=webex share=25% ordinary=39% numbers=100` + "\n",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
	if log := w.logged(); strings.Contains(log, "13030") || strings.Contains(log, "12020") {
		t.Error("the log has a number")
	}
}

// Before a first fill nobody is known, and that says nothing of who asks.
func TestAnEmptyMirrorIsNoAlarm(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		withExchange(&exchange{}, 3000, "webex")(o)
		o.Clients[0].LivePerMinute = 0
	})
	for i := range 500 {
		w.at(t, lookupOf(stranger(i)), "webex")
	}
	w.tick(time.Minute)
	if got := w.alarms(t, "webex"); got != "0" {
		t.Errorf("the alarm is %q", got)
	}
}

func TestWhoeverIsOnTheMachineHasAnAlarmAndNoLimit(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Resolver = &exchange{resolver: &resolver{}} })
	w.directory.streams.Users.Complete, w.directory.streams.Tickets.Complete = true, true
	for i := range 2 * localDistinct {
		out := httptest.NewRecorder()
		r := request(t, http.MethodGet, "http://localhost"+lookupOf(stranger(i)), "", "")
		r.RemoteAddr = "127.0.0.1:1"
		if w.Admin().ServeHTTP(out, r); out.Code != http.StatusOK {
			t.Fatalf("number %d: status %d", i, out.Code)
		}
	}
	w.tick(time.Minute)
	got := string(w.get(t, "/v1/stats", "").body)
	if want := fmt.Sprintf(`"clients":[{"name":"local","numbers":%d,"not_found":%d,"miss_alarm":true,`, 2*localDistinct, 2*localDistinct); !strings.Contains(got, want) {
		t.Errorf("the statistics are %s", got)
	}
}

// Two clients that swap, come and go have one series each.
func TestClientsHaveOneSeriesEach(t *testing.T) {
	w := newWorld(t, withExchange(&exchange{}, 3, "a", "b"))
	w.at(t, lookupOf(somebody(1)), "a")
	var o Options
	withExchange(&exchange{}, 5, "c", "a")(&o)
	if err := w.SetClients(o.Clients); err != nil {
		t.Fatal(err)
	}
	var series []string
	for line := range strings.Lines(w.at(t, "/metrics", "stats").Body.String()) {
		if strings.HasPrefix(line, "aniproxy_client_numbers_total{") || strings.HasPrefix(line, `aniproxy_client_refused_total{client="a"`) {
			series = append(series, strings.TrimSpace(line))
		}
	}
	want := []string{
		`aniproxy_client_numbers_total{client="a"} 1`, `aniproxy_client_numbers_total{client="c"} 0`,
		`aniproxy_client_numbers_total{client="reader"} 0`, `aniproxy_client_numbers_total{client="stats"} 0`,
		`aniproxy_client_refused_total{client="a",limit="distinct"} 0`, `aniproxy_client_refused_total{client="a",limit="live"} 0`,
		`aniproxy_client_refused_total{client="a",limit="rate"} 0`,
	}
	if diff := cmp.Diff(want, series); diff != "" {
		t.Errorf("the series (-want +got):\n%s", diff)
	}
}
