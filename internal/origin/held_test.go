package origin_test

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"aniproxy/internal/origin"
)

// held is what must be true of every origin.
func held(t *testing.T, text string, u *url.URL) {
	t.Helper()
	if (url.URL{Scheme: u.Scheme, Host: u.Host}) != *u {
		t.Fatalf("%q has more than an origin: %+v", text, u)
	}
	other, err := url.Parse(text)
	if err != nil || !strings.EqualFold(other.Host, u.Host) || other.User != nil || other.RawQuery != "" || other.Fragment != "" || strings.Trim(other.Path, "/") != "" {
		t.Fatalf("%q is %v to us and %v to net/url (%v)", text, u, other, err)
	}
	if strings.Trim(u.Host, "abcdefghijklmnopqrstuvwxyz0123456789-_.:[]") != "" {
		t.Fatalf("%q has the host %q", text, u.Host)
	}
	if u.Scheme == "http" && !origin.Loopback(u.Hostname()) || u.Scheme != "http" && u.Scheme != "https" {
		t.Fatalf("%q has the scheme %q", text, u.Scheme)
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && origin.Refused(a) {
		t.Fatalf("%q is an address that is refused", text)
	}
	again, err := origin.Parse(u.String())
	if err != nil || *again != *u {
		t.Fatalf("%q read again is %v, %v", text, again, err)
	}
}
