package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode"
)

// FuzzAnswerOfTheDaemon has whatever answers at --server send anything: a
// command ends with one of its codes, and nothing that a terminal would obey
// reaches the terminal.
func FuzzAnswerOfTheDaemon(f *testing.F) {
	commands := [][]string{
		{"lookup", "+12125550123"}, {"lookup", "+12125550123", "--json"}, {"stats"}, {"stats", "--json"},
		{"explain", "+12125550123"}, {"resync"}, {"resync", "--follow"},
	}
	for i, body := range []string{
		`{"found":1,"outcome":"found","reason":"none","ani":"+1","user_name":"\u001b]0;x\u0007\u009b2J\u202eAnn","user_id":"5","age_seconds":9223372036854775807}`,
		"{\"a\":\"\x7f\xc2\x9b\x9b\"}", `{"mirror":{"users":1e308,"x":{"\u001b[2J":[null,"\r"]}}}`, "[]", `{"steps":[{"step":"\u001b","result":"","details":[{"age_seconds":-1,"\u0085":"\u001b"},[]]}]}`,
		`{"job_id":"../x"}`, `{"job_id":"1","state":"failed","error":"\u001b[31m","progress":[{"stream":"\u001b"}]}`,
	} {
		f.Add(byte(i), 200, []byte(body))
	}
	f.Add(byte(0), 403, []byte(`{"title":"\u001b[2J","detail":"\u009b\r\n"}`))
	f.Add(byte(0), 502, []byte("<html>\x1b"))
	var status int
	var body []byte
	daemon := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write(body)
	}))
	f.Cleanup(daemon.Close)
	f.Fuzz(func(t *testing.T, which byte, code int, answer []byte) {
		if code < 200 || code > 999 || code == http.StatusNoContent || code == http.StatusNotModified {
			return
		}
		status, body = code, answer
		// One that would be followed until it ends has no end here.
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if args := commands[int(which)%len(commands)]; args[len(args)-1] == "--follow" {
			cancel()
		}
		var out, errs bytes.Buffer
		args := append(append([]string{}, commands[int(which)%len(commands)]...), "--server", daemon.URL)
		if code := run(ctx, args, nil, strings.NewReader(""), &out, &errs); code < exitDone || code > exitNotFound {
			t.Errorf("%s: code %d", args, code)
		}
		for _, r := range out.String() + errs.String() {
			if unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r) {
				t.Fatalf("%s: %U reaches the terminal: %q %q", args, r, out.String(), errs.String())
			}
		}
	})
}
