package origin_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"aniproxy/internal/origin"
	"aniproxy/internal/origin/origintest"
)

func TestHostileBaseURLsAreNoOrigins(t *testing.T) {
	t.Parallel()
	for _, text := range origintest.Group(t, "base urls") {
		u, err := origin.Parse(text)
		var fault *origin.Fault
		if !errors.As(err, &fault) {
			t.Errorf("Parse(%q) = %v, %v", text, u, err)
		}
	}
}

func TestHostileSubdomainsAreNoLabels(t *testing.T) {
	t.Parallel()
	for _, text := range append(origintest.Group(t, "subdomains"), "") {
		if origin.Label(text) {
			t.Errorf("Label(%q)", text)
		}
	}
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://acme.zendesk.com":           "https://acme.zendesk.com",
		"https://acme.zendesk.com/":          "https://acme.zendesk.com",
		"HTTPS://ACME.Zendesk.COM:8443":      "https://acme.zendesk.com:8443",
		"https://gate":                       "https://gate",
		"https://gate_way.internal:1":        "https://gate_way.internal:1",
		"https://192.168.1.7:65535":          "https://192.168.1.7:65535",
		"https://[2001:DB8::1]:443":          "https://[2001:db8::1]:443",
		"https://[fd00::1]":                  "https://[fd00::1]",
		"https://xn--bcher-kva.example":      "https://xn--bcher-kva.example",
		"https://1password.example":          "https://1password.example",
		"https://4.example":                  "https://4.example",
		"http://127.0.0.1:8090":              "http://127.0.0.1:8090",
		"http://127.8.9.1":                   "http://127.8.9.1",
		"http://[::1]:80":                    "http://[::1]:80",
		"http://localhost":                   "http://localhost",
		"http://LocalHost:65535/":            "http://localhost:65535",
		"https://acme.zendesk.com.evil":      "https://acme.zendesk.com.evil", // a host like any other: who writes it means it
		"https://" + strings.Repeat("a", 63): "https://" + strings.Repeat("a", 63),
	} {
		u, err := origin.Parse(text)
		if err != nil || u.String() != want {
			t.Errorf("Parse(%q) = %v, %v; want %s", text, u, err, want)
		}
	}
	for _, text := range []string{"a", "acme", "acme-2", "d3v-zenpydev", "7", strings.Repeat("a", 63)} {
		if !origin.Label(text) {
			t.Errorf("%q is no label", text)
		}
	}
}

func TestAddressesThatNoCredentialsGoTo(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"169.254.169.254": true, "169.254.0.0": true, "169.254.255.255": true, "fe80::1": true, "fe80::1%eth0": true, "febf::1": true,
		"::ffff:169.254.169.254": true, "::169.254.169.254": true, "64:ff9b::a9fe:a9fe": true, "2002:a9fe:a9fe::": true,
		"fd00:ec2::254": true, "fd20:ce::254": true, "100.100.100.200": true, "168.63.129.16": true, "::ffff:100.100.100.200": true,
		"0.0.0.0": true, "0.1.2.3": true, "::": true, "255.255.255.255": true, "240.0.0.1": true, "224.0.0.1": true, "239.1.2.3": true, "ff02::1": true,
		"127.0.0.1": false, "::1": false, "10.0.0.1": false, "192.168.1.1": false, "169.253.0.1": false, "169.255.0.1": false, "100.64.0.1": false,
		"104.16.51.111": false, "2606:4700::6810:336f": false, "fd00::1": false, "fec0::1": false, "64:ff9b::c000:201": false, "2002:c000:201::": false, "223.255.255.255": false,
	} {
		if got := origin.Refused(netip.MustParseAddr(address)); got != want {
			t.Errorf("Refused(%s) is %v", address, got)
		}
	}
	if !origin.Refused(netip.Addr{}) {
		t.Error("no address at all is let through")
	}
}

// FuzzParse: whatever is let through is one host and nothing more, by the
// reading of net/url too, and reads the same again.
func FuzzParse(f *testing.F) {
	for _, group := range []string{"base urls", "locations", "next pages"} {
		for _, text := range origintest.Group(f, group) {
			f.Add(origintest.Fill(text, "127.0.0.1:8090", "evil.example"))
		}
	}
	f.Add("https://acme.zendesk.com:8443/")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := origin.Parse(text)
		if err != nil {
			if said := err.Error(); len(text) > 12 && strings.Contains(said, text) {
				t.Errorf("the fault of %q repeats it", text)
			}
			return
		}
		held(t, text, u)
	})
}
