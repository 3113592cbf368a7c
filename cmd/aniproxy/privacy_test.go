package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aniproxy/internal/caught"
	"aniproxy/internal/privacytest"
	"aniproxy/internal/zendesk/zendesktest"
)

// knowPeople tells of everybody in an account, with what they wrote and what was
// written to them. People come and go: whoever wants all of them asks at the
// beginning and at the end.
func knowPeople(sim *zendesktest.Server) { sim.Truth().Everybody(written.Person, written.Texts) }

// knowRequest tells of whom a request is about and what it says.
func knowRequest(r *http.Request, body string) {
	written.Person("", "", r.URL.Query()["ani"]...)
	var said any
	if json.Unmarshal([]byte(body), &said) == nil {
		knowValues("", said)
	}
}

func knowValues(name string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			knowValues(name, inner)
		}
	case []any:
		for _, inner := range v {
			knowValues(name, inner)
		}
	case string:
		switch name {
		case "ani":
			written.Person("", "", v)
		case "subject", "body", "html_body":
			written.Texts(v)
		}
	}
}

// keepAnswers keeps what the daemon tells of itself.
func (r *rig) keepAnswers() {
	for _, path := range []string{"/metrics", "/v1/stats", "/v1/admin/sync"} {
		req, err := http.NewRequest(http.MethodGet, r.admin+path, http.NoBody)
		if err != nil {
			r.t.Error(err)
			return
		}
		if _, text, err := r.roundTrip(req); err == nil { // a test may have stopped the daemon
			written.Keep(r.t.Name()+", "+path, text)
		}
	}
}

// keepAuditLogs keeps what was written down of admin actions.
func (r *rig) keepAuditLogs() {
	keepFiles(r.t, filepath.Dir(r.cfg.Store.Path))
}

// keepFiles keeps the logs of a folder.
func keepFiles(t *testing.T, folder string) {
	files, err := filepath.Glob(filepath.Join(folder, "*.log"))
	if err != nil {
		t.Error(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
		}
		written.Keep(t.Name()+", "+filepath.Base(file), string(text))
	}
}

// What these tests watch for is really watched: people of the account, those
// who are asked for, and whatever the daemon writes.
func TestWhatIsWrittenIsSearchedForThePeople(t *testing.T) {
	r := setUp(t, rigOptions{})
	id := r.sim.CreateUser(zendesktest.UserSpec{Name: "Nora Newcomer", Email: "nora@example.com", Phone: "(513) 555-0148", Identities: []string{"513.555.0149"}})
	if _, err := r.sim.CreateTicket(zendesktest.TicketSpec{Requester: id, Subject: "The line crackles in the rain", Status: "open"}); err != nil {
		t.Fatal(err)
	}
	numbers, size := written.Size()
	knowPeople(r.sim)
	r.ask("+15135550150")
	r.get(r.public + "/v1/lookup?ani=" + url.QueryEscape("+15135550151"))
	if more, _ := written.Size(); more < numbers+4*3 {
		t.Errorf("four numbers more make %d forms after %d", more, numbers)
	}
	if log := r.log.String(); !strings.Contains(log, "msg=request") || !strings.Contains(log, "level=DEBUG") && !strings.Contains(log, "level=INFO") {
		t.Errorf("the log is %s", log)
	}
	code, problem := r.get(r.admin + "/v1/users/none-of-them")
	if code < http.StatusBadRequest || problem == "" {
		t.Fatalf("no problem: %d", code)
	}
	r.keepAnswers()
	_, metrics := r.get(r.admin + "/metrics")
	if _, more := written.Size(); more < size+len(problem)+len(metrics)/2 {
		t.Errorf("%d bytes are kept after %d: neither a problem nor the metrics are", more, size)
	}
}

// nora is a watch that knows one person.
func nora() *privacytest.Watch {
	w := privacytest.New()
	w.Person("Nora Newcomer", "nora@example.com", "+15135550148")
	return w
}

// A panic in a part of the daemon ends it with an error and a line of the log
// that tell where it was, and of nobody.
func TestAPartThatPanicsTellsOfNobody(t *testing.T) {
	w := nora()
	log := w.Sink("the log")
	d := &parts{log: slog.New(slog.NewTextHandler(log, nil))}
	err := d.part("the mirror", func() error { panic("no number of Nora Newcomer's is +1 513 555 0148") })
	var p *caught.Panic
	if !errors.As(err, &p) || err.Error() != "the mirror: panic of type string" {
		t.Errorf("the error is %v", err)
	}
	if !strings.Contains(log.String(), "TestAPartThatPanicsTellsOfNobody") {
		t.Errorf("the log does not tell where:\n%s", log)
	}
	for _, f := range w.Findings() {
		t.Error(f)
	}
	if err := d.part("the mirror", func() error { return io.EOF }); err != io.EOF { //nolint:errorlint // as it is
		t.Errorf("an error becomes %v", err)
	}
}

// net/http's client writes down what it finds behind an answer, which is not the
// daemon's log: here it is a part of somebody's object.
func TestWhatComesBehindAnAnswerIsNotLogged(t *testing.T) {
	w := nora()
	log := w.Sink("the log")
	logLibraries(slog.New(slog.NewTextHandler(log, nil)))
	defer logLibraries(written.Logger("what libraries log"))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"+`{"user":{"name":"Nora Newcomer","phone":"+1 513 555 0148"}}`)
				_, _ = io.Copy(io.Discard, c) // until the client has had enough
			}
			c.Close()
		}
	}()
	client := &http.Client{Transport: &http.Transport{}}
	res, err := client.Get("http://" + ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(res.Body); err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	for enough := time.After(10 * time.Second); !strings.Contains(log.String(), "Unsolicited response"); {
		select {
		case <-time.After(time.Millisecond):
		case <-enough:
			t.Fatalf("net/http says nothing of what it found: %s", log)
		}
	}
	stdlog.Printf("somebody else has to do with %s of %s", "Nora Newcomer", "+1 513 555 0148") //nolint:forbidigo // as a library does
	if n := strings.Count(log.String(), "a library logs"); n != 2 {
		t.Errorf("%d lines:\n%s", n, log)
	}
	for _, f := range w.Findings() {
		t.Error(f)
	}
}
