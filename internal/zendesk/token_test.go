package zendesk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// account is an in-memory account with OAuth: tokens it gave out are good
// until they are revoked or past their life.
type account struct {
	mu      sync.Mutex
	minted  int
	good    map[string]time.Time
	life    time.Duration
	slow    time.Duration
	refusal step // answers /oauth/tokens instead, where set
	calls   atomic.Int64
	bodies  []map[string]any
}

func (a *account) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path != "/oauth/tokens" {
		a.calls.Add(1)
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		a.mu.Lock()
		end, ok := a.good[token]
		a.mu.Unlock()
		if !ok || !time.Now().Before(end) {
			return answers(http.StatusUnauthorized, `{"error":"invalid_token","error_description":"expired"}`)(r)
		}
		return answers(http.StatusOK, `{"user":{"id":1}}`)(r)
	}
	if a.slow > 0 {
		select {
		case <-time.After(a.slow):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var body map[string]any
	if json.NewDecoder(r.Body).Decode(&body) == nil {
		a.bodies = append(a.bodies, body)
	}
	a.minted++
	if a.refusal != nil {
		return a.refusal(r)
	}
	token := "token-" + strconv.Itoa(a.minted)
	a.good[token] = time.Now().Add(a.life)
	return answers(http.StatusOK, `{"access_token":"`+token+`","token_type":"bearer","expires_in":`+strconv.Itoa(int(a.life/time.Second))+`}`)(r)
}

func (a *account) revoke() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.good = map[string]time.Time{}
}

func (a *account) mints() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.minted
}

func newAccount() *account {
	return &account{good: map[string]time.Time{}, life: 2 * time.Hour}
}

func oauthConfig(rt http.RoundTripper) Config {
	return Config{
		BaseURL: "https://acme.zendesk.com", ClientID: "aniproxy", ClientSecret: "hush", RatePerMinute: 100_000,
		Transport: rt, Rand: func() float64 { return 0.5 },
	}
}

func TestATokenIsMintedOnceForAThousandCallers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAccount()
		a.slow = time.Second
		c := newClient(t, oauthConfig(a))
		var wg sync.WaitGroup
		ask := func() {
			for range 1000 {
				wg.Go(func() {
					if _, err := c.Me(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		ask()
		if a.mints() != 1 {
			t.Errorf("%d tokens for the first thousand", a.mints())
		}
		want := map[string]any{
			"grant_type": "client_credentials", "client_id": "aniproxy", "client_secret": "hush", "scope": "read write", "expires_in": 7200.0,
		}
		if diff := cmp.Diff(want, a.bodies[0]); diff != "" {
			t.Error(diff)
		}
		a.revoke()
		ask()
		if a.mints() != 2 {
			t.Errorf("%d tokens after a thousand 401s, want 2", a.mints())
		}
	})
}

func TestTheCallerWhoLeavesTakesOnlyThemselfAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAccount()
		a.slow = 2 * time.Second
		c := newClient(t, oauthConfig(a))
		first, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := c.As(Live).Me(first) // it is this call that starts the mint
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the one who left: %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if _, err := c.Me(t.Context()); err != nil {
				t.Errorf("the one who stayed: %v", err)
			}
		})
		wg.Wait()
		if a.mints() != 1 {
			t.Errorf("%d tokens", a.mints())
		}
	})
}

func TestATokenIsReplacedAheadOfItsEndWithoutAnyoneWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAccount()
		c := newClient(t, oauthConfig(a))
		me := func() {
			t.Helper()
			began := time.Now()
			if _, err := c.Me(t.Context()); err != nil {
				t.Error(err)
			}
			if time.Since(began) != 0 {
				t.Errorf("a caller waited %v", time.Since(began))
			}
			synctest.Wait()
		}
		me()
		a.slow = 3 * time.Second
		wait(t, a.life-tokenEarly-10*time.Second)
		me()
		if a.mints() != 1 {
			t.Errorf("replaced too early")
		}
		wait(t, 10*time.Second)
		me() // starts it
		me()
		wait(t, 5*time.Second)
		me()
		if a.mints() != 2 {
			t.Errorf("%d tokens, want the second", a.mints())
		}
		wait(t, tokenEarly) // the first has ended
		me()
		if got := a.calls.Load(); got != 6 {
			t.Errorf("%d calls, want 6: one was answered 401", got)
		}
	})
}

// wait lets the bubble's time pass.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	<-time.After(d)
}

func TestAFailedReplacementIsLoggedAndTheOldTokenGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAccount()
		var log bytes.Buffer
		cfg := oauthConfig(a)
		cfg.Logger = logTo(&log)
		c := newClient(t, cfg)
		_, _ = c.Me(t.Context())
		a.refusal = answers(http.StatusInternalServerError, `{"error":"hush"}`)
		wait(t, a.life-4*time.Minute)
		for range 10 {
			if _, err := c.Me(t.Context()); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		if a.mints() != 2 {
			t.Errorf("%d mints: a failed one must be held back", a.mints())
		}
		if !strings.Contains(log.String(), "could not be replaced") || strings.Contains(log.String(), "token-") {
			t.Errorf("log: %s", log.String())
		}
		a.refusal = nil
		wait(t, time.Minute)
		_, _ = c.Me(t.Context())
		synctest.Wait()
		if a.mints() != 3 {
			t.Errorf("%d mints: after the hold it is tried again", a.mints())
		}
	})
}

func TestASecond401IsTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAccount()
		a.life = -time.Minute // every token is refused, as after a scope is taken away
		rt := roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/oauth/tokens" {
				resp, err := a.RoundTrip(r)
				if err == nil {
					resp.Body.Close()
				}
				return answers(http.StatusOK, `{"access_token":"token-`+strconv.Itoa(a.mints())+`","expires_in":7200}`)(r)
			}
			return a.RoundTrip(r)
		})
		c := newClient(t, oauthConfig(rt))
		_, err := c.Me(t.Context())
		if e := asError(t, err); e.Class != ClassAuth || e.Status != http.StatusUnauthorized || e.Endpoint != endpointMe {
			t.Errorf("got %v", err)
		}
		if a.mints() != 2 || a.calls.Load() != 2 {
			t.Errorf("%d mints and %d calls, want two of each", a.mints(), a.calls.Load())
		}
		for range 100 {
			_, _ = c.Me(t.Context())
		}
		if a.mints() != 2 {
			t.Errorf("%d mints: a 401 for a token that young must not mint again", a.mints())
		}
		wait(t, tokenYoung)
		_, _ = c.Me(t.Context())
		if a.mints() != 3 {
			t.Errorf("%d mints: later it may", a.mints())
		}
	})
}

// The 401 for the old token comes after another caller has had it replaced.
func TestALate401DoesNotDropTheNewToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAccount()
		slow := false
		c := newClient(t, oauthConfig(roundTrip(func(r *http.Request) (*http.Response, error) {
			resp, err := a.RoundTrip(r)
			if slow && resp != nil && resp.StatusCode == http.StatusUnauthorized {
				slow = false
				<-time.After(5 * time.Second)
			}
			return resp, err
		})))
		_, _ = c.Me(t.Context())
		a.revoke()
		slow = true
		var late sync.WaitGroup
		late.Go(func() {
			if _, err := c.Me(t.Context()); err != nil {
				t.Errorf("the late one: %v", err)
			}
		})
		synctest.Wait()
		if _, err := c.Me(t.Context()); err != nil {
			t.Error(err)
		}
		late.Wait()
		if a.mints() != 2 {
			t.Errorf("%d tokens, want 2", a.mints())
		}
	})
}

func TestAWriteIsSentAgainAfterA401(t *testing.T) {
	t.Parallel()
	s := play(
		answers(http.StatusOK, `{"access_token":"one","expires_in":7200}`),
		answers(http.StatusUnauthorized, `{"error":"invalid_token"}`),
		answers(http.StatusOK, `{"access_token":"two","expires_in":7200}`),
		answers(http.StatusOK, `{"ticket":{"id":7}}`),
	)
	c := newClient(t, oauthConfig(s))
	if _, err := c.UpdateTicket(t.Context(), 7, TicketUpdate{Comment: Comment{Body: "hello"}}); err != nil {
		t.Fatal(err)
	}
	if s.body[1] != s.body[3] || s.seen[3].Header.Get("Authorization") != "Bearer two" {
		t.Errorf("bodies %q and %q", s.body[1], s.body[3])
	}
}

func TestWithBasicA401IsTheEndAtOnce(t *testing.T) {
	t.Parallel()
	s := play(answers(http.StatusUnauthorized, `{"error":"Couldn't authenticate you"}`))
	c := newClient(t, basicConfig(s))
	if _, err := c.Me(t.Context()); asError(t, err).Class != ClassAuth || s.count() != 1 {
		t.Errorf("%v after %d requests", err, s.count())
	}
}

func TestRefusedTokenRequests(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		reply step
		class Class
		hold  time.Duration // in which no other is tried
	}{
		{"bad credentials", answers(http.StatusUnauthorized, `{"error":"invalid_client","error_description":"Client authentication failed."}`), ClassAuth, holdDenied},
		{"bad credentials as 400", answers(http.StatusBadRequest, `{"error":"invalid_client"}`), ClassAuth, holdDenied},
		{"HTML", answers(http.StatusOK, `<html>`), ClassMalformed, holdFirst},
		{"no token", answers(http.StatusOK, `{"expires_in":7200}`), ClassMalformed, holdFirst},
		{"a token that breaks a header", answers(http.StatusOK, `{"access_token":"a\r\nX: y"}`), ClassMalformed, holdFirst},
		{"a wrong type", answers(http.StatusOK, `{"access_token":"a","expires_in":"soon"}`), ClassMalformed, holdFirst},
		{"too many", answers(http.StatusTooManyRequests, ``, "Retry-After: 40"), ClassRateLimited, 40 * time.Second},
		{"a redirect", answers(http.StatusFound, ``, "Location: https://evil.example/"), ClassMalformed, holdFirst},
		{"no network", fails(errors.New("no route")), ClassUnavailable, holdFirst},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := newAccount()
				a.refusal = tt.reply
				c := newClient(t, oauthConfig(a)).As(Live)
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond) // no time to try again
				defer cancel()
				_, err := c.Me(ctx)
				if e := asError(t, err); e.Class != tt.class || e.Endpoint != endpointOAuth || e.UnknownOutcome {
					t.Errorf("got %v", err)
				}
				if strings.Contains(err.Error(), "hush") {
					t.Errorf("the secret is in the error: %v", err)
				}
				first := a.mints()
				_, err = c.Me(ctx)
				if e := asError(t, err); a.mints() != first || e.RetryAfter <= 0 || e.RetryAfter > tt.hold {
					t.Errorf("at once again: %d mints, retry after %v", a.mints(), e.RetryAfter)
				}
				wait(t, tt.hold)
				_, _ = c.Me(t.Context())
				if a.mints() <= first {
					t.Error("after the hold it was not tried again")
				}
			})
		})
	}
}

func TestAnOutageOfTheTokenEndpointIsWaitedOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAccount()
		a.refusal = answers(http.StatusBadGateway, "<html>")
		c := newClient(t, oauthConfig(a))
		time.AfterFunc(time.Second, func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.refusal = nil
		})
		// A write too: nothing of it was sent yet.
		if _, err := c.UpdateTicket(t.Context(), 7, TicketUpdate{Comment: Comment{Body: "x"}}); asError(t, err).Class != ClassMalformed {
			t.Errorf("got %v, want the account's odd answer to a PUT", err)
		}
		if a.calls.Load() != 1 {
			t.Errorf("%d calls", a.calls.Load())
		}
	})
}

func TestCloseCancelsAMintAndNoneFollows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAccount()
		a.slow = time.Hour
		c := newClient(t, oauthConfig(a))
		var wg sync.WaitGroup
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, _ = c.Me(ctx)
		})
		synctest.Wait()
		began := time.Now()
		c.Close()
		if time.Since(began) != 0 {
			t.Errorf("Close took %v", time.Since(began))
		}
		wg.Wait()
		wait(t, time.Minute)
		if _, err := c.Me(t.Context()); err == nil || a.mints() != 0 {
			t.Errorf("after Close: %v, %d tokens", err, a.mints())
		}
	})
}
