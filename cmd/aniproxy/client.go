package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"aniproxy/internal/origin"
)

// daemon is how a command reaches a running daemon.
type daemon struct {
	Server string `default:"http://127.0.0.1:8081" env:"ANIPROXY_SERVER" help:"The daemon's admin listener." placeholder:"URL"`
	Key    string `env:"ANIPROXY_KEY" help:"A client's secret. Without any client configured, lookup and stats need none; what changes or explains something needs one of scope admin, except in the demo." placeholder:"SECRET"`

	warn io.Writer // where a person is told of a risk, once; nil afterwards
}

// AfterApply is kong's: it hands the terminal over.
func (d *daemon) AfterApply(k *kong.Context) error { //nolint:unparam // the form that kong wants
	d.warn = k.Stderr
	return nil
}

// defaultServer is the admin listener of a daemon that nobody has configured;
// the tag above says it too.
const defaultServer = "http://127.0.0.1:8081"

// askLimit is how long a command waits for the daemon: more than any lookup's
// deadline.
const askLimit = 15 * time.Second

// maxAnswer bounds what is read of an answer.
const maxAnswer = 8 << 20

// ask sends a request and decodes the answer. A problem that the daemon names
// becomes the error's text, in which the key is not.
func (d *daemon) ask(ctx context.Context, method, path string, body, into any) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	target, err := d.target()
	if err != nil {
		return nil, err
	}
	where := target.String()
	path, target.RawQuery, _ = strings.Cut(path, "?")
	target.Path += path
	req, err := d.request(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	// RoundTrip, not a client's Do: nothing follows a redirect, or so much as
	// reads where it leads and repeats that in an error.
	t := transportTo(target)
	defer t.CloseIdleConnections()
	res, err := t.RoundTrip(req)
	if err != nil {
		return nil, d.withoutKey(fmt.Errorf("no daemon answers at %s (is it running? --server names another): %w", where, err))
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("the daemon's answer broke off: %w", err)
	}
	if res.StatusCode >= 300 {
		return nil, d.withoutKey(problem(res, answer))
	}
	if into != nil {
		if err := json.Unmarshal(answer, into); err != nil {
			return nil, errors.New("the daemon's answer is not the JSON expected: is --server a daemon's address?")
		}
	}
	return answer, nil
}

// errServer repeats nothing of what was given: it may hold a password.
func errServer(why string) error {
	return &exit{code: exitUsage, text: "--server is not a URL such as http://127.0.0.1:8081" + why}
}

// target reads --server: http or https, host and port, and where something
// stands in front of the daemon the path to it. There is no user and no
// password in it, for what a daemon takes is a key.
func (d *daemon) target() (*url.URL, error) {
	server := strings.TrimSuffix(d.Server, "/")
	if !strings.Contains(server, "://") && strings.Contains(server, ":") {
		server = "http://" + server
	}
	target, err := url.Parse(server)
	switch {
	case err != nil, target.Hostname() == "", target.Scheme != "http" && target.Scheme != "https":
		return nil, errServer("")
	case target.User != nil:
		return nil, errServer(": it has no user and password, the key goes into --key or ANIPROXY_KEY")
	case target.RawQuery != "", target.ForceQuery, target.Fragment != "", strings.HasSuffix(server, "#"):
		return nil, errServer(": it has no query and no fragment")
	case strings.HasSuffix(target.Host, ":"):
		return nil, errServer(": the port is missing")
	}
	return target, nil
}

func (d *daemon) request(ctx context.Context, method string, target *url.URL, body any) (*http.Request, error) {
	var sent io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		sent = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), sent)
	if err != nil {
		return nil, errServer("")
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if d.Key != "" {
		if d.inClear(target) && d.warn != nil {
			_, _ = fmt.Fprintf(d.warn, "aniproxy: warning: the key crosses the network in clear, since --server is plain http beyond this machine: https, or a tunnel to its loopback, would keep it secret\n")
			d.warn = nil // once
		}
		req.Header.Set("Authorization", "Bearer "+d.Key)
	}
	return req, nil
}

// inClear tells whether others on the way can read what is sent.
func (d *daemon) inClear(target *url.URL) bool {
	return target.Scheme == "http" && !origin.Loopback(strings.ToLower(target.Hostname()))
}

// transportTo takes a proxy of the environment only for https, of which it sees
// a name alone.
func transportTo(target *url.URL) *http.Transport {
	t := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	if target.Scheme == "https" {
		t.Proxy = http.ProxyFromEnvironment
	}
	return t
}

// withoutKey takes the key out of an error's text, should whoever answered
// have said it back.
func (d *daemon) withoutKey(err error) error {
	if d.Key == "" || !strings.Contains(err.Error(), d.Key) {
		return err
	}
	return errors.New(strings.ReplaceAll(err.Error(), d.Key, "(the key)"))
}

// problem reads problem+json.
func problem(res *http.Response, body []byte) error {
	if res.StatusCode < 400 {
		return fmt.Errorf("the daemon answered %d, which sends elsewhere: that is not followed, for the key goes to --server alone", res.StatusCode)
	}
	var p struct{ Title, Detail string }
	if json.Unmarshal(body, &p) != nil || p.Title == "" {
		return fmt.Errorf("the daemon answered %s", res.Status)
	}
	if p.Detail == "" {
		return fmt.Errorf("the daemon answered %d: %s", res.StatusCode, p.Title)
	}
	return fmt.Errorf("the daemon answered %d: %s", res.StatusCode, p.Detail)
}
