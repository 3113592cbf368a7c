// Package origin says where credentials may go: what an origin is, the scheme,
// host and port of a URL, and which addresses are never one.
//
// The configuration and the client of Zendesk read a base URL with the one
// function here, so that what the one lets through is what the other calls.
// Everything is refused that two readers of a URL have ever been known to take
// for two hosts: users in front of the host, backslashes, escapes, letters
// that are not ASCII, numbers that some resolvers take for an address.
package origin

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Fault is why a text is no origin. It repeats no part of the text, which may
// hold a password.
type Fault struct {
	// Why is what is wrong, where that needs saying beside what is allowed;
	// else "".
	Why string
}

// Error implements error.
func (f *Fault) Error() string {
	if f.Why == "" {
		return "not https://host or https://host:port"
	}
	return f.Why
}

// What is wrong with an origin.
const (
	WhyUser     = "credentials have keys of their own"
	WhyClear    = "the credentials would cross the network in clear"
	WhyLetters  = "a host is written in ASCII, an international one in its form that begins with xn--"
	WhyDot      = "a host does not end in a dot"
	WhyPort     = "a port is 1 to 65535"
	WhySpelling = "an address is written plainly, such as 192.0.2.1 or [2001:db8::1]"
	WhyAddress  = "link-local, multicast, unspecified and metadata addresses are no place for credentials"
)

// Parse reads https://host or https://host:port, or http:// of a loopback host,
// with at most a slash after it. What it gives has a scheme and a host in small
// letters and nothing else. The error is a [*Fault].
func Parse(text string) (*url.URL, error) {
	// Before letters are made small: of those beyond ASCII some become an ASCII
	// one by it, such as the sign for kelvin.
	if strings.ContainsFunc(text, func(r rune) bool { return r >= 0x80 }) {
		return nil, &Fault{WhyLetters}
	}
	scheme, host, _ := strings.Cut(text, "://")
	if scheme = strings.ToLower(scheme); scheme != "https" && scheme != "http" {
		return nil, &Fault{}
	}
	host = strings.ToLower(strings.TrimSuffix(host, "/"))
	authority := host
	if end := strings.IndexAny(host, `/?#\`); end >= 0 {
		authority = host[:end]
	}
	if strings.Contains(authority, "@") {
		return nil, &Fault{WhyUser}
	}
	if authority != host {
		return nil, &Fault{}
	}
	name, err := readHost(host)
	if err != nil {
		return nil, err
	}
	if scheme == "http" && !Loopback(name) {
		return nil, &Fault{WhyClear}
	}
	return &url.URL{Scheme: scheme, Host: host}, nil
}

// readHost takes the port off a host in small letters and checks both.
func readHost(host string) (name string, err error) {
	if inner, is := strings.CutPrefix(host, "["); is {
		text, after, closed := strings.Cut(inner, "]")
		port, has := strings.CutPrefix(after, ":")
		a, err := netip.ParseAddr(text)
		switch {
		case !closed, after != "" && !has:
			return "", &Fault{}
		case err != nil, !a.Is6(), a.Is4In6(), a.Zone() != "":
			return "", &Fault{WhySpelling}
		case Refused(a):
			return "", &Fault{WhyAddress}
		case has && !isPort(port):
			return "", &Fault{WhyPort}
		}
		return text, nil
	}
	name, port, has := strings.Cut(host, ":")
	if err := checkName(name); err != nil {
		return "", err
	}
	if has && !isPort(port) {
		return "", &Fault{WhyPort}
	}
	return name, nil
}

func checkName(name string) error {
	if len(name) > 253 {
		return &Fault{}
	}
	if strings.HasSuffix(name, ".") && name != "." {
		return &Fault{WhyDot}
	}
	labels := strings.Split(name, ".")
	for _, l := range labels {
		if !isLabel(l, "_") {
			return &Fault{}
		}
	}
	last := labels[len(labels)-1]
	if strings.Trim(last, "0123456789") != "" && !strings.HasPrefix(last, "0x") {
		return nil
	}
	// A number at the end makes an address of it for some resolvers, and by
	// rules of their own: 2130706433, 0x7f.1 and 0177.0.0.1 are all 127.0.0.1.
	a, err := netip.ParseAddr(name)
	switch {
	case err != nil:
		return &Fault{WhySpelling}
	case Refused(a):
		return &Fault{WhyAddress}
	}
	return nil
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0 && text[0] != '0' && text[0] != '+'
}

// Label tells whether a text may be the one label that an account has in front
// of .zendesk.com: small letters, digits and inner hyphens, 63 at most. One
// that begins with xn-- would be read by people as other letters than it has.
func Label(text string) bool {
	return isLabel(text, "") && !strings.HasPrefix(text, "xn--")
}

func isLabel(text, further string) bool {
	return text != "" && len(text) <= 63 && text[0] != '-' && text[len(text)-1] != '-' &&
		strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789-"+further) == ""
}

// Loopback tells whether a host, without brackets and port, is this machine. A
// name other than localhost may resolve to anything.
func Loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}
