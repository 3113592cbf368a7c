package config

import (
	"strings"
	"testing"
	"time"
)

func TestForms(t *testing.T) {
	for _, tc := range []struct {
		format    string
		good, bad []string
	}{
		{"hostport", []string{"127.0.0.1:0", ":8080", "[::1]:443", "proxy.example.com:65535"}, []string{"8080", "a:b", "a:65536", "::1:80", "http://a:80", "a b:80"}},
		{"domain", []string{"a.example", "A.example.com."}, []string{"localhost", "1.2.3.4", "a..b", "-a.example", "*.example.com", strings.Repeat("a", 64) + ".example"}},
		{"client", []string{"webex", "Webex EU", strings.Repeat("é", 64)}, []string{"a:b", "a\nb", strings.Repeat("a", 65)}},
		{"subdomain", []string{"acme", "a", "acme-2"}, []string{"-a", "a-", "a_b", "A", "a.b", strings.Repeat("a", 64)}},
		{"origin", []string{"https://a", "https://a:8443/", "http://127.0.0.1:1", "http://localhost"},
			[]string{"a", "ftp://a", "http://10.0.0.1", "https://a/b", "https://a?b", "https://a?", "https://a#b", "https://a#", "https://", "https://:80", "https://a:99999", "https://u@a", "http://localhost.example.com"}},
		{"region", []string{"US", "DE", "GB"}, []string{"XX", "us", "USA", "001"}},
		{"schedule", []string{"* * * * *", "@hourly", "@every 10s", "CRON_TZ=Europe/Berlin 0 3 * * *"}, []string{"", "@every 9s", "@every x", "* * * *", "* * * * * *", "@reboot", "TZ=", "TZ=UTC", "TZ= * * * * *", "61 * * * *"}},
		{"full-schedule", []string{"", "0 * * * *", "0 3 * * 0", "@weekly"}, []string{"*/30 * * * *", "@every 59m", "0,1 3 * * *", "0 0 31 4 *"}},
		{"language", []string{"en-US", "es-419", "zh-Hans-CN", "pt-BR"}, []string{"en", "en_US", "english", ""}},
		{"any-language", []string{"en", "pt-BR", "nb"}, []string{"e", "en_US", "xxxxxxxxx"}},
		{"zone", []string{"UTC", "Europe/Berlin", "America/New_York"}, []string{"Local", "Berlin", "../etc/passwd", "europe\\berlin"}},
		{"uuid", []string{"123e4567-e89b-12d3-a456-426614174000"}, []string{"123e4567e89b12d3a456426614174000", "123e4567-e89b-12d3-a456-42661417400", "g23e4567-e89b-12d3-a456-426614174000", "123e45670e89b-12d3-a456-426614174000"}},
		{"email", []string{"a@example.com", "A.B+c@example.com"}, []string{"a", "A <a@example.com>", "a@", "a b@example.com"}},
		{"tag", []string{"vip", "VIP_2"}, []string{"a b", "a,b", "a\n"}},
		{"word", []string{"menu", "Tier-2_x"}, []string{"a b", "ä", strings.Repeat("a", 65)}},
		{"number", []string{"+15135550100", "555"}, []string{"anonymous"}},
		{"path", []string{"a", "/run/secrets/a b"}, []string{"", "a\x00"}},
		{"lookup-field", []string{"*", "found", "stale"}, []string{"Found", "user"}},
	} {
		for _, text := range tc.good {
			if _, hint, ok := readFormat(tc.format, text); !ok {
				t.Errorf("%s refuses %q (%s)", tc.format, text, hint)
			}
		}
		for _, text := range tc.bad {
			if tidy, _, ok := readFormat(tc.format, text); ok {
				t.Errorf("%s takes %q as %q", tc.format, text, tidy)
			}
		}
	}
}

func TestDurationsAreShownWithoutIdleZeros(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 10 * time.Second: "10s", time.Minute: "1m", 90 * time.Second: "1m30s", time.Hour: "1h",
		168 * time.Hour: "168h", time.Hour + time.Second: "1h0m1s", 100 * time.Minute: "1h40m", 1500 * time.Millisecond: "1.5s", 10 * time.Minute: "10m", 20 * time.Hour: "20h",
	} {
		if got := shortDuration(d); got != want {
			t.Errorf("shortDuration(%s) is %s, want %s", d, got, want)
		}
	}
}

func TestNearestWord(t *testing.T) {
	words := []string{"listen", "admin_listen", "tls_cert", "tls_key"}
	for text, want := range map[string]string{
		"listn": "listen", "lsiten": "listen", "Listen": "listen", "tls_keys": "tls_key", "admin_lsten": "admin_listen",
		"port": "", "x": "", "": "", strings.Repeat("listen", 20): "",
	} {
		if got := nearest(text, words); got != want {
			t.Errorf("nearest to %q is %q, want %q", text, got, want)
		}
	}
}
