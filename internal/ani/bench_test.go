package ani

import (
	"strings"
	"testing"
)

func BenchmarkNormalize(b *testing.B) {
	n := mustNew(b, "US", "GB")
	for _, bc := range []struct{ name, text string }{
		{"canonical", "+12125550123"},
		{"without plus", "12125550123"},
		{"punctuated", "+1 (212) 555-0123"},
		{"national", "(212) 555-0123"},
		{"extra region", "020 7946 0123"},
		{"SIP address", "sip:+12125550123@sbc.example.com;user=phone"},
		{"other script", "\u0661\u0662\u0661\u0662\u0665\u0665\u0665\u0660\u0661\u0662\u0663"},
		{"anonymous", "anonymous"},
		{"short code", "911"},
		{"invalid", "1-800-FLOWERS"},
		{"impossible", "+1234567890123456"},
		{"too long", strings.Repeat("9", 5000)},
	} {
		b.Run(bc.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n.Normalize(bc.text)
			}
		})
	}
}

func BenchmarkCanonical(b *testing.B) {
	for b.Loop() {
		Canonical("+12125550123")
	}
}

func BenchmarkMask(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Mask("+12125550123")
	}
}
