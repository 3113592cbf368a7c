package zendesk

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

var comment = TicketUpdate{Comment: Comment{Body: "hello"}}

// refusedDial is what net.Dial says where nobody listens.
func refusedDial() error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}

func TestHowOftenACallIsTried(t *testing.T) {
	t.Parallel()
	slow := errors.New("broken pipe")
	for _, tt := range []struct {
		name  string
		share Share
		write bool
		first step
		tries int
		class Class
	}{
		{"a read, gateway", Background, false, answers(502, "<html>"), 4, ClassUnavailable},
		{"a read, Cloudflare", Background, false, answers(522, "<html>"), 4, ClassUnavailable},
		{"a read, maintenance", Background, false, answers(503, "", "Retry-After: 2"), 4, ClassUnavailable},
		{"a read, network", Background, false, fails(slow), 4, ClassUnavailable},
		{"a read, cut body", Background, false, cutShort, 4, ClassUnavailable},
		{"a read, no answer in time", Background, false, hangs, 4, ClassUnavailable},
		{"a read, 429", Background, false, answers(429, "", "Retry-After: 2"), 4, ClassRateLimited},
		{"a read, 500", Background, false, answers(500, "{}"), 1, ClassUnavailable},
		{"a read, not found", Background, false, answers(404, `{"error":"RecordNotFound"}`), 1, ClassNotFound},
		{"a read, HTML with 200", Background, false, answers(200, "<html>"), 1, ClassMalformed},
		{"a read, redirect", Background, false, answers(302, ""), 1, ClassMalformed},
		{"a live read, gateway", Live, false, answers(502, ""), 2, ClassUnavailable},
		{"a live read, 429", Live, false, answers(429, "", "Retry-After: 1"), 1, ClassRateLimited},
		{"a write, gateway", Comments, true, answers(502, ""), 1, ClassUnavailable},
		{"a write, time-out at the gateway", Comments, true, answers(504, ""), 1, ClassUnavailable},
		{"a write, network", Comments, true, fails(slow), 1, ClassUnavailable},
		{"a write, cut body", Comments, true, cutShort, 1, ClassUnavailable},
		{"a write, no answer in time", Comments, true, hangs, 1, ClassUnavailable},
		{"a write, no connection at all", Comments, true, fails(refusedDial()), 3, ClassUnavailable},
		{"a write, maintenance", Comments, true, answers(503, "", "Retry-After: 2"), 3, ClassUnavailable},
		{"a write, 429", Comments, true, answers(429, "", "Retry-After: 2"), 3, ClassRateLimited},
		{"a write, conflict", Comments, true, answers(409, `{"error":"UpdateConflict"}`), 1, ClassConflict},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := play(tt.first)
				c := newClient(t, basicConfig(s)).As(tt.share)
				call := func() error {
					if tt.write {
						_, err := c.UpdateTicket(t.Context(), 7, comment)
						return err
					}
					_, _, err := c.ShowUser(t.Context(), 7)
					return err
				}
				e := asError(t, call())
				if s.count() != tt.tries || e.Class != tt.class {
					t.Errorf("%d tries, %v; want %d, %s", s.count(), e, tt.tries, tt.class)
				}
				for _, r := range s.seen {
					if _, ok := r.Context().Deadline(); !ok {
						t.Error("an attempt without a time limit")
					}
				}
			})
		})
	}
}

func TestWhichWritesHaveAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		step step
		want bool
	}{
		{"network", fails(io.ErrUnexpectedEOF), true},
		{"no answer", hangs, true},
		{"half an answer", cutShort, true},
		{"HTML with 200", answers(200, "<html>"), true},
		{"JSON without a ticket", answers(200, "{}"), true},
		{"gateway", answers(504, ""), true},
		{"no connection", fails(refusedDial()), false},
		{"429", answers(429, ""), false},
		{"503", answers(503, ""), false},
		{"422", answers(422, "{}"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, basicConfig(play(tt.step))).As(Comments)
				_, err := c.UpdateTicket(t.Context(), 7, comment)
				if got := asError(t, err).UnknownOutcome; got != tt.want {
					t.Errorf("%v: unknown outcome %v, want %v", err, got, tt.want)
				}
			})
		})
	}
	// A keyed POST may have been replayed by net/http: there a dial says nothing.
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, basicConfig(play(fails(refusedDial()))))
		_, err := c.CreateTicket(t.Context(), "key", NewTicket{Comment: Comment{Body: "x"}})
		if !asError(t, err).UnknownOutcome {
			t.Errorf("got %v", err)
		}
	})
	// Cancelled before it was sent, nothing happened; afterwards, who knows.
	synctest.Test(t, func(t *testing.T) {
		s := play(hangs)
		c := newClient(t, basicConfig(s)).As(Comments)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err := c.UpdateTicket(ctx, 7, comment)
		if e := asError(t, err); !e.UnknownOutcome || !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled under way: %v", err)
		}
		_, err = c.UpdateTicket(ctx, 7, comment)
		if e := asError(t, err); e.UnknownOutcome || s.count() != 1 {
			t.Errorf("cancelled before: %v", err)
		}
		if c.Stats().Errors != 0 {
			t.Errorf("a caller who left counts as a fault")
		}
	})
}

func TestWaitsBetweenTries(t *testing.T) {
	t.Parallel()
	ok := answers(200, `{"user":{"id":7}}`)
	for _, tt := range []struct {
		name  string
		steps []step
		want  time.Duration
	}{
		{"backoff grows", []step{answers(502, ""), answers(502, ""), answers(502, ""), ok}, (250 + 500 + 1000) * time.Millisecond * 3 / 4},
		{"Retry-After is kept", []step{answers(503, "", "Retry-After: 7"), ok}, 7 * time.Second},
		{"Retry-After of 0 is backoff", []step{answers(503, "", "Retry-After: 0"), ok}, 187500 * time.Microsecond},
		{"a 429 with Retry-After", []step{answers(429, "", "Retry-After: 5"), ok}, 5 * time.Second},
		{"a 429 without waits for the minute", []step{answers(429, "{}"), ok}, time.Minute},
		{"a 429 whose window ends sooner", []step{answers(429, "{}", "x-rate-limit-remaining: 0", "ratelimit-reset: 12"), ok}, 12 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, basicConfig(play(tt.steps...)))
				began := time.Now()
				_, sent, err := c.ShowUser(t.Context(), 7)
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took != tt.want {
					t.Errorf("took %v, want %v", took, tt.want)
				}
				if !sent.Equal(began.Add(tt.want)) {
					t.Errorf("sent at +%v, want the time of the try that brought it", sent.Sub(began))
				}
			})
		})
	}
}

func TestAWaitThatDoesNotFitIsNotBegun(t *testing.T) {
	t.Parallel()
	for _, first := range []step{answers(429, "", "Retry-After: 30"), answers(503, "", "Retry-After: 86400")} {
		synctest.Test(t, func(t *testing.T) {
			s := play(first)
			c := newClient(t, basicConfig(s))
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			began := time.Now()
			_, _, err := c.ShowUser(ctx, 7)
			if e := asError(t, err); time.Since(began) != 0 || s.count() != 1 || e.RetryAfter < 30*time.Second || e.RetryAfter > retryAfterMost {
				t.Errorf("%v after %v and %d tries", err, time.Since(began), s.count())
			}
			// What the 429 closed refuses the next call here, live or not.
			if asError(t, err).Class != ClassRateLimited {
				return
			}
			for _, share := range []Share{Live, Comments} {
				_, _, err = c.As(share).ShowUser(ctx, 7)
				if e := asError(t, err); e.Class != ClassRateLimited || e.Status != 0 || e.RetryAfter != 30*time.Second || s.count() != 1 {
					t.Errorf("%s: %v, %d requests", share, err, s.count())
				}
			}
			wait(t, 30*time.Second)
			_, _, _ = c.As(Live).ShowUser(t.Context(), 7)
			if s.count() != 2 {
				t.Error("after the reset it is still closed")
			}
		})
	}
}

func TestAnExports429LeavesLiveCallsAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := play(
			answers(429, `{"error":"APIRateLimitExceeded","description":"Number of allowed incremental export API requests per minute exceeded"}`, "Retry-After: 20"),
			answers(200, `{"user":{"id":7}}`),
			answers(200, `{"tickets":[],"end_of_stream":true}`),
		)
		c := newClient(t, basicConfig(s))
		done := make(chan time.Duration)
		began := time.Now()
		go func() {
			_, err := c.As(Increments).ExportTickets(t.Context(), ExportRequest{Cursor: "x"})
			if err != nil {
				t.Error(err)
			}
			done <- time.Since(began)
		}()
		synctest.Wait()
		if _, _, err := c.As(Live).ShowUser(t.Context(), 7); err != nil {
			t.Error(err)
		}
		if took := <-done; took != 20*time.Second {
			t.Errorf("the export went on after %v", took)
		}
	})
}

func gzipped(b []byte) string {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write(b)
	_ = w.Close()
	return z.String()
}

func TestBodies(t *testing.T) {
	t.Parallel()
	user := `{"user":{"id":7,"name":"x"}}`
	long := `{"user":{"id":7,"notes":"` + strings.Repeat("x", bodyMost) + `"}}`
	zeros := gzipped(make([]byte, 4*bodyMost)) // 32 MiB in 32 KB
	if len(zeros) > 64<<10 {
		t.Fatalf("the bomb has %d bytes", len(zeros))
	}
	for _, tt := range []struct {
		name string
		step step
		want Class // "" reads well
	}{
		{"plain", answers(200, user), ""},
		{"gzip", answers(200, gzipped([]byte(user)), "Content-Encoding: gzip"), ""},
		{"spaces before", answers(200, " \r\n"+user), ""},
		{"too large", answers(200, long), ClassMalformed},
		{"a gzip bomb", answers(200, zeros, "Content-Encoding: gzip"), ClassMalformed},
		{"gzip that is none", answers(200, user, "Content-Encoding: gzip"), ClassMalformed},
		{"gzip with a wrong checksum", answers(200, breakTail(gzipped([]byte(user))), "Content-Encoding: gzip"), ClassMalformed},
		{"gzip that is garbage inside", answers(200, gzipped([]byte(user))[:10]+"\xff\xff\xff\xff\xff\xff", "Content-Encoding: gzip"), ClassMalformed},
		{"gzip cut short", answers(200, gzipped([]byte(user))[:20], "Content-Encoding: gzip"), ClassUnavailable},
		{"another encoding", answers(200, user, "Content-Encoding: br"), ClassMalformed},
		{"HTML with 200", answers(200, "<!DOCTYPE html><html>", "Content-Type: text/html"), ClassMalformed},
		{"empty", answers(200, ""), ClassMalformed},
		{"null", answers(200, "null"), ClassMalformed},
		{"a list", answers(200, "[]"), ClassMalformed},
		{"JSON cut short", answers(200, `{"user":{"id":7`), ClassMalformed},
		{"more after the JSON", answers(200, user+user), ClassMalformed},
		{"no user", answers(200, `{"user":null}`), ClassMalformed},
		{"a user without an id", answers(200, `{"user":{"id":null}}`), ClassMalformed},
		{"an id that is text", answers(200, `{"user":{"id":"7"}}`), ClassMalformed},
		{"an id that is no integer", answers(200, `{"user":{"id":7.5}}`), ClassMalformed},
		{"an id past int64", answers(200, `{"user":{"id":9223372036854775808}}`), ClassMalformed},
		{"a name that is a number", answers(200, `{"user":{"id":7,"name":5135557611}}`), ClassMalformed},
		{"a time that is none", answers(200, `{"user":{"id":7,"updated_at":"yesterday"}}`), ClassMalformed},
		{"deeply nested", answers(200, `{"user":{"id":7,"x":`+strings.Repeat("[", 20_000)+strings.Repeat("]", 20_000)+`}}`), ClassMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, basicConfig(play(tt.step)))
				u, _, err := c.ShowUser(t.Context(), 7)
				if tt.want == "" {
					if err != nil || u.ID != 7 {
						t.Errorf("got %v, %v", u, err)
					}
					return
				}
				if e := asError(t, err); e.Class != tt.want {
					t.Errorf("got %v, want %s", err, tt.want)
				}
				if strings.Contains(err.Error(), "5135557611") {
					t.Errorf("the error repeats the body: %v", err)
				}
			})
		})
	}
}

// breakTail spoils the checksum at the end.
func breakTail(s string) string {
	b := []byte(s)
	b[len(b)-8] ^= 0xff
	return string(b)
}

func TestHugeRefusalsAreReadInPart(t *testing.T) {
	t.Parallel()
	body := &counting{r: io.LimitReader(zeroes{}, 1<<30)}
	c := newClient(t, basicConfig(roundTrip(func(r *http.Request) (*http.Response, error) {
		resp, _ := answers(403, "")(r)
		resp.Body = body
		return resp, nil
	})))
	_, _, err := c.ShowUser(t.Context(), 7)
	if e := asError(t, err); e.Class != ClassForbidden || body.n > 2*refuseMost || !body.closed {
		t.Errorf("%v after %d bytes, closed %v", err, body.n, body.closed)
	}
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type counting struct {
	r      io.Reader
	n      int
	closed bool
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

func (c *counting) Close() error { c.closed = true; return nil }

func TestErrorsOfCallsHoldNoData(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, s := range []step{
			answers(200, `{"results":"+15135557611 Jane Doe"}`), answers(422, `{"error":"invalid","description":"phone:*5135557611"}`),
			fails(errors.New(`Get "https://acme.zendesk.com/api/v2/search.json?query=phone:*5135557611": EOF`)), hangs,
		} {
			c := newClient(t, basicConfig(play(s)))
			_, _, _, err := c.SearchUsersByPhone(t.Context(), "5135557611", []string{"end-user"})
			if err == nil || strings.Contains(err.Error(), "5557611") || strings.Contains(err.Error(), "Jane") {
				t.Errorf("got %v", err)
			}
		}
	})
}

func TestTheBreakerSparesLiveCallers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		down := true
		s := play(func(r *http.Request) (*http.Response, error) {
			if down {
				return answers(502, "")(r)
			}
			return answers(200, `{"user":{"id":7}}`)(r)
		})
		cfg := basicConfig(s)
		cfg.Logger = logTo(&log)
		c := newClient(t, cfg)
		live := c.As(Live)
		for range 3 {
			_, _, _ = live.ShowUser(t.Context(), 7)
		}
		if s.count() != breakerTrips {
			t.Errorf("%d requests before it opened, want %d", s.count(), breakerTrips)
		}
		began := time.Now()
		_, _, err := live.ShowUser(t.Context(), 7)
		if e := asError(t, err); e.Class != ClassUnavailable || e.detail != detailOpen || s.count() != breakerTrips {
			t.Errorf("open: %v, %d requests", err, s.count())
		}
		if time.Since(began) > 0 {
			t.Errorf("failing fast took %v", time.Since(began))
		}
		// The outbox does not heed it.
		_, err = c.As(Comments).UpdateTicket(t.Context(), 7, comment)
		if asError(t, err); s.count() != breakerTrips+1 {
			t.Errorf("a comment was held back: %v", err)
		}
		// A probe that fails keeps it open, one that does not closes it.
		wait(t, breakerOpen+time.Millisecond)
		_, _, _ = live.ShowUser(t.Context(), 7)
		if s.count() != breakerTrips+2 {
			t.Errorf("%d requests, want one probe", s.count())
		}
		down = false
		wait(t, breakerOpen+time.Millisecond)
		for range 5 {
			if _, _, err := live.ShowUser(t.Context(), 7); err != nil {
				t.Errorf("after it is up again: %v", err)
			}
		}
		if !strings.Contains(log.String(), "breaker changed") {
			t.Error("nothing was logged")
		}
	})
}

func TestWhatTripsTheBreaker(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		step  step
		limit time.Duration // the caller's
		trips bool
	}{
		{"slow answers, patient callers", hangs, 1500 * time.Millisecond, true},
		{"slow answers, callers with no time", hangs, 100 * time.Millisecond, false},
		{"not found", answers(404, `{"error":"RecordNotFound"}`), time.Second, false},
		{"rate limits", answers(429, "", "Retry-After: 0", "x-rate-limit-remaining: 5"), time.Second, false},
		{"garbage", answers(200, "<html>"), time.Second, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, basicConfig(play(tt.step))).As(Live)
				var last error
				for range 2 * breakerTrips {
					ctx, cancel := context.WithTimeout(t.Context(), tt.limit)
					_, _, last = c.ShowUser(ctx, 7)
					cancel()
				}
				if got := asError(t, last).detail == detailOpen; got != tt.trips {
					t.Errorf("open %v, want %v: %v", got, tt.trips, last)
				}
			})
		})
	}
}
