package zendesk

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
)

// planted are what an answer, a fault of the network or the configuration may
// hold and no error or log line may.
var planted = []string{
	plantedNumber, "Ramirez", plantedID, plantedCursor, "evil.example", "sekrit", "hush-secret", "planted@example.com", "role:", "phone:", "page%5B", "status<", "acme.zendesk.com",
}

// hostileBodies echo what was sent, in each form that an error has, in the
// code's place too.
func hostileBodies() []string {
	bodies := []string{
		"", "null", "Ramirez " + plantedNumber + " hush-secret", "<html>Ramirez https://evil.example/?phone:" + plantedNumber, `{"error":`, "\x00\xff" + plantedNumber,
		`{"user":"Ramirez"}`, `{"users":["Ramirez"],"tickets":"` + plantedNumber + `","results":{"a":"sekrit"}}`,
		`{"error":"RecordInvalid","details":{"Ramirez":[{"description":"Ramirez"}],"` + plantedNumber + `":{"description":"sekrit"}}}`,
	}
	for _, word := range []string{"Ramirez", "sekrit", plantedNumber, "hush-secret", "planted@example.com", plantedID, "https://evil.example/?phone:x", "Ramirez-subject", "sekritRamirez"} {
		for _, form := range []string{
			`{"error":%q,"description":%q}`, `{"error":{"title":%q,"message":%q}}`, `{"errors":[{"code":%q,"title":%q}]}`, `{"error":%q,"error_description":%q}`,
		} {
			bodies = append(bodies, fmt.Sprintf(form, word, "Ramirez "+word))
		}
	}
	return bodies
}

// hostileFaults are what a transport says, with addresses and URLs in it.
func hostileFaults() []error {
	target := "https://acme.zendesk.com/api/v2/search.json?query=phone:" + plantedNumber
	return []error{
		errors.New("dial " + target), &url.Error{Op: "Get", URL: target, Err: errors.New("sekrit")},
		&net.OpError{Op: "dial", Net: "tcp", Err: errors.New("evil.example")}, &net.DNSError{Err: "no such host", Name: "acme.zendesk.com", Server: "evil.example"},
		x509.HostnameError{Certificate: &x509.Certificate{DNSNames: []string{"evil.example"}}, Host: "acme.zendesk.com"},
		x509.UnknownAuthorityError{}, &net.OpError{Op: "dial", Err: ErrAddress}, context.DeadlineExceeded, context.Canceled,
	}
}

// Every call, every status, every body, every fault: nothing that was planted
// is in an error's text, however it is written, or in a line of the log.
func TestNoErrorSaysWhatWasSentOrAnswered(t *testing.T) {
	t.Parallel()
	steps := map[string]step{"hangs": hangs, "cut": cutShort}
	for _, status := range []int{200, 201, 204, 302, 307, 400, 401, 403, 404, 409, 418, 422, 429, 500, 503, 522} {
		for i, body := range hostileBodies() {
			steps[fmt.Sprint(status, " ", i)] = answers(status, body, "Location: https://evil.example/?phone:"+plantedNumber, "Retry-After: sekrit", "Date: Ramirez")
		}
	}
	for i, fault := range hostileFaults() {
		steps[fmt.Sprint("fault ", i)] = fails(fault)
	}
	calls := everyCall()
	for what, answer := range steps {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			for name, call := range calls {
				cfg := basicConfig(play(answer))
				cfg.Email, cfg.APIToken, cfg.Logger = "planted@example.com", "hush-secret", logTo(&log)
				leaksNothing(t, name+" "+what, call, cfg, &log)
			}
			cfg := oauthConfig(play(answer))
			cfg.ClientSecret, cfg.Logger = "hush-secret", logTo(&log)
			leaksNothing(t, "a token "+what, calls["Me"], cfg, &log)
		})
	}
}

func leaksNothing(t *testing.T, what string, call func(context.Context, *Client) error, cfg Config, log *bytes.Buffer) {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), otherCall)
	defer cancel()
	err = call(ctx, c)
	if err == nil {
		return // a 204 is all that some writes want
	}
	asError(t, err)
	logger := slog.New(slog.NewTextHandler(log, nil))
	logger.Info("text", "error", err)
	slog.New(slog.NewJSONHandler(log, nil)).Info("json", "error", err)
	said := fmt.Sprintf("%v %+v %s %q %v", err, err, err, err, fmt.Errorf("wrapped: %w", err)) + log.String()
	log.Reset()
	for _, word := range planted {
		if strings.Contains(said, word) {
			t.Errorf("%s: %q is in %s", what, word, said)
		}
	}
}

func TestCodesThatAreWritten(t *testing.T) {
	t.Parallel()
	for _, code := range []string{
		"RecordNotFound", "RecordInvalid", "InvalidEndpoint", "InvalidValue", "InvalidFormat", "StartTimeTooRecent", "APIRateLimitExceeded", "UpdateConflict", "Forbidden",
		"IdempotentRequestError", "TooManyJobs", "TooManyValues", "InvalidPaginationDepth", "BlankValue", "DuplicateValue", "MissingParameter",
		"invalid", "unavailable", "invalid_client", "invalid_token", "invalid_grant", "unsupported_grant_type", "insufficient_scope", "SSLRequired", "DatabaseConflict",
	} {
		if !isKnownCode(code) {
			t.Errorf("%s is not written", code)
		}
	}
	for _, code := range []string{"", "Ramirez", "Anna-Maria", "McDonald", "RecordRamirez", "sekrit", "abcdefToken", "Invalid.Ramirez", "o", "-Ann-"} {
		if isKnownCode(code) {
			t.Errorf("%s is written", code)
		}
	}
}

// FuzzPhoneQuery: whatever it is asked with, a search is this and nothing else.
func FuzzPhoneQuery(f *testing.F) {
	for _, national := range []string{"5135550147", "1", "", "*", "5135550147 OR role:admin", "1\nrole:admin", "٥١٣", "5135550147*", "-1", "12345678901234567890", "123456789012345678901", `"1"`, "%31"} {
		for _, role := range []string{"", "end-user", "agent", "admin", "end-user OR role:admin", "*", "admin\n", "-admin"} {
			f.Add(national, role)
		}
	}
	f.Fuzz(func(t *testing.T, national, role string) {
		for _, roles := range [][]string{nil, {role}, {role, "agent"}} {
			query, refused := phoneQuery(national, roles)
			if refused != nil {
				if query != "" || strings.Contains(refused.Error(), national) && len(national) > 8 {
					t.Errorf("%q: %q, %v", national, query, refused)
				}
				continue
			}
			if !searchForm.MatchString(query) || !strings.HasSuffix(query, "phone:*"+national) {
				t.Errorf("%q and %q make %q", national, roles, query)
			}
		}
	})
}
