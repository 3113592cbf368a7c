package config

import (
	"errors"
	"net"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
	"github.com/robfig/cron/v3"
	"golang.org/x/text/language"

	weborigin "aniproxy/internal/origin"
)

// formatWords says what a form of text is, to follow "must be".
func formatWords(format string) string {
	switch format {
	case "hostport":
		return `host:port, such as "127.0.0.1:8080"`
	case "hostport-or-same":
		return `host:port, such as "127.0.0.1:8081", or "same"`
	case "path":
		return "the path of a file"
	case "domain":
		return `a domain name such as "ani.example.com"`
	case "client":
		return "a name of at most 64 characters, without colons and control characters"
	case "lookup-field":
		return `a field of /v1/lookup, or "*" for all`
	case "subdomain":
		return "the first word of the Zendesk address, of a-z, 0-9 and -"
	case "origin":
		return "https://host or https://host:port, or http:// of a loopback host, and nothing after it"
	case "email":
		return "an e-mail address"
	case "region":
		return `a region in two capital letters, such as "US"`
	case "schedule":
		return `a cron schedule of five fields, or "@every 1m", 10s apart at least`
	case "full-schedule":
		return `a cron schedule of five fields, or "@every 168h", 1h apart at least, or "" for never`
	case "tag":
		return "a tag, one word without commas"
	case "language":
		return `a language with its region, such as "en-US"`
	case "any-language":
		return `a language tag, such as "en" or "en-US"`
	case "zone":
		return `a time zone such as "Europe/Berlin", or "UTC"`
	case "number":
		return "a phone number"
	case "uuid":
		return `a queue id, a UUID such as "123e4567-e89b-12d3-a456-426614174000"`
	case "word":
		return "one word of at most 64 letters, digits, - and _"
	default:
		panic("config: no form " + format)
	}
}

// readFormat checks a text that is not empty and gives it back in its tidy
// spelling. The hint may be "".
func readFormat(format, text string) (tidy, hint string, ok bool) {
	switch format {
	case "hostport":
		return text, "", isHostPort(text)
	case "hostport-or-same":
		return text, "", text == Same || isHostPort(text)
	case "path":
		return text, "", text != "" && !strings.Contains(text, "\x00")
	case "domain":
		return readDomain(text)
	case "client":
		return text, "", utf8.RuneCountInString(text) <= 64 && !strings.ContainsFunc(text, func(r rune) bool {
			return r == ':' || !unicode.IsPrint(r)
		})
	case "lookup-field":
		return text, didYouMean(text, LookupFields()), text == "*" || slices.Contains(LookupFields(), text)
	case "subdomain":
		return readSubdomain(text)
	case "origin":
		return readOrigin(text)
	case "email":
		a, err := mail.ParseAddress(text)
		return strings.ToLower(text), "", err == nil && a.Address == text
	case "region":
		return text, "", phonenumbers.GetSupportedRegions()[text]
	case "schedule":
		return readSchedule(text, 10*time.Second)
	case "full-schedule":
		if text == "" {
			return "", "", true
		}
		return readSchedule(text, time.Hour)
	case "tag":
		return strings.ToLower(text), "", !strings.ContainsFunc(text, func(r rune) bool {
			return r == ',' || unicode.IsSpace(r) || unicode.IsControl(r)
		})
	case "language", "any-language":
		return readLanguage(text, format == "language")
	case "zone":
		// "Local" would be another zone on another machine.
		_, err := time.LoadLocation(text)
		return text, "", err == nil && text != "" && text != "Local"
	case "number":
		return text, "", strings.ContainsFunc(text, unicode.IsDigit)
	case "uuid":
		return strings.ToLower(text), "", isUUID(text)
	case "word":
		return text, "", len(text) <= 64 && strings.Trim(strings.ToLower(text), "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
	default:
		panic("config: no form " + format)
	}
}

func isHostPort(text string) bool {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil && !strings.ContainsFunc(host, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || r == '/'
	})
}

// loopback tells whether a listener on this host:port is out of reach of
// other machines. A name other than localhost may resolve to anything.
func loopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return false
	}
	return weborigin.Loopback(host)
}

// isLabel tells whether a text is one label of a host name.
func isLabel(text string) bool {
	return text != "" && len(text) <= 63 && text[0] != '-' && text[len(text)-1] != '-' &&
		strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

func readSubdomain(text string) (tidy, hint string, ok bool) {
	if weborigin.Label(text) {
		return text, "", true
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(strings.ToLower(text), "https://"), ".")
	if weborigin.Label(first) && !beyondASCII(text) {
		hint = "write " + strconv.Quote(first)
	}
	return "", hint, false
}

// beyondASCII tells whether a text has letters that making them small may turn
// into others.
func beyondASCII(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf })
}

func readDomain(text string) (tidy, hint string, ok bool) {
	tidy = strings.ToLower(strings.TrimSuffix(text, "."))
	if strings.HasPrefix(tidy, "*.") {
		return "", "no certificate for a wildcard can be had this way", false
	}
	labels := strings.Split(tidy, ".")
	last := labels[len(labels)-1]
	return tidy, "", len(tidy) <= 253 && len(labels) > 1 && !slices.ContainsFunc(labels, func(l string) bool { return !isLabel(l) }) &&
		strings.Trim(last, "0123456789") != ""
}

// readOrigin takes scheme, host and port alone: credentials go to that origin
// and to no other, so a path or a query would promise what is not kept.
func readOrigin(text string) (tidy, hint string, ok bool) {
	u, err := weborigin.Parse(text)
	if err != nil {
		var fault *weborigin.Fault
		if errors.As(err, &fault) {
			hint = fault.Why
		}
		return "", hint, false
	}
	return u.String(), "", true
}

// readLanguage accepts what BCP 47 knows; a voice needs the region too.
func readLanguage(text string, withRegion bool) (tidy, hint string, ok bool) {
	tag, err := language.Parse(text)
	if err != nil || strings.Contains(text, "_") {
		return "", "", false
	}
	if withRegion {
		if _, _, region := tag.Raw(); region.String() == "ZZ" {
			return "", "", false
		}
	}
	return text, "", true
}

// readSchedule parses a schedule and measures how close together it fires.
func readSchedule(text string, apart time.Duration) (tidy, hint string, ok bool) {
	// The cron library looks for the blank after a zone without asking whether
	// there is one.
	if strings.HasPrefix(text, "TZ=") || strings.HasPrefix(text, "CRON_TZ=") {
		if zone, _, two := strings.Cut(text, " "); !two || strings.HasSuffix(zone, "=") {
			return "", "", false
		}
	}
	s, err := cron.ParseStandard(text)
	if err != nil {
		return "", "", false
	}
	shortest, fires := gap(s)
	switch {
	case !fires:
		return "", "there is no such day", false
	case shortest < apart:
		return "", "it fires every " + shortDuration(shortest), false
	}
	return text, "", true
}

// scheduleGap is gap of a schedule that has been checked.
func scheduleGap(text string) (time.Duration, bool) {
	s, err := cron.ParseStandard(text)
	if err != nil {
		return 0, false // of a Config that nobody loaded
	}
	return gap(s)
}

// gap is the shortest time between two firings among those of the first weeks
// of a year; fires is false for a schedule without any, such as 30 February.
func gap(s cron.Schedule) (shortest time.Duration, fires bool) {
	if every, is := s.(cron.ConstantDelaySchedule); is {
		return every.Delay, true
	}
	const firings = 100 // enough for an hourly schedule to show the gaps of four days
	last := s.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	if last.IsZero() {
		return 0, false
	}
	for range firings {
		next := s.Next(last)
		if next.IsZero() {
			break
		}
		if d := next.Sub(last); shortest == 0 || d < shortest {
			shortest = d
		}
		last = next
	}
	return shortest, true
}

func isUUID(text string) bool {
	if len(text) != 36 {
		return false
	}
	for i, c := range []byte(text) {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (c == '-') {
			return false
		} else if !dash && !strings.ContainsRune("0123456789abcdefABCDEF", rune(c)) {
			return false
		}
	}
	return true
}

// shortDuration is a duration without the zeros that Go's own spelling adds.
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
