package zendesk

import (
	"net/http"
	"strconv"
	"testing"

	"aniproxy/internal/origin/origintest"
)

// redirectStatuses are those that some client follows, or has followed.
var redirectStatuses = []int{300, 301, 302, 303, 305, 307, 308}

func sendsTo(status int, location string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		// Set by hand: net/http would refuse none of it, but tidy it.
		w.Header()["Location"] = []string{location}
		w.WriteHeader(status)
	}
}

// Every location of the corpus, every status: a read, and writes of each kind.
func TestRedirectsLeadNowhere(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	calls := everyCall()
	for _, status := range redirectStatuses {
		c := w.client(t, basicConfig(nil))
		for _, line := range origintest.Group(t, "locations") {
			location := origintest.Fill(line, w.homeAddress(), w.evilAddress())
			for _, name := range []string{"Me", "UpdateTicket", "CreateTicket", "UpdateWebhook"} {
				w.begin(sendsTo(status, location))
				what := name + " answered " + strconv.Itoa(status) + " " + strconv.Quote(location)
				checkRefusedRedirect(t, w, what, calls[name](t.Context(), c), status)
			}
		}
	}
}

// And every call, to one other host.
func TestNoCallFollowsARedirect(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	for _, status := range redirectStatuses {
		c := w.client(t, basicConfig(nil)) // a new one: an export's own budget is ten a minute
		for name, call := range everyCall() {
			w.begin(sendsTo(status, w.evil.URL+"/api/v2/users/me.json?query=x"))
			checkRefusedRedirect(t, w, name+" answered "+strconv.Itoa(status), call(t.Context(), c), status)
		}
	}
}

func checkRefusedRedirect(t *testing.T, w *watch, what string, err error, status int) {
	t.Helper()
	e := asError(t, err)
	if e.Class != ClassMalformed || e.Status != status || !e.Redirected() || e.detail != detailRedirect {
		t.Errorf("%s: got %v", what, err)
	}
	w.saysNothing(t, what, err)
	if got := w.seen(t, what); len(got) != 1 {
		t.Errorf("%s: %d requests", what, len(got))
	}
}

// The token's endpoint is where the secret itself is sent.
func TestTheTokensEndpointIsNotFollowedElsewhere(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	for _, status := range redirectStatuses {
		for _, line := range origintest.Group(t, "locations") {
			location := origintest.Fill(line, w.homeAddress(), w.evilAddress())
			what := "a token answered " + strconv.Itoa(status) + " " + strconv.Quote(location)
			w.begin(sendsTo(status, location))
			c := w.client(t, oauthConfig(nil))
			_, err := c.As(Live).Me(t.Context())
			if e := asError(t, err); !e.Redirected() || e.Endpoint != endpointOAuth {
				t.Errorf("%s: got %v", what, err)
			}
			w.saysNothing(t, what, err)
			if got := w.seen(t, what); len(got) != 1 || got[0].path != "/oauth/tokens" {
				t.Errorf("%s: %+v", what, got)
			}
			c.Close()
		}
	}
}
