package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// daemon is how a command reaches a running daemon.
type daemon struct {
	Server string `default:"http://127.0.0.1:8081" env:"ANIPROXY_SERVER" help:"The daemon's admin listener." placeholder:"URL"`
	Key    string `env:"ANIPROXY_KEY" help:"A client's secret. Without any client configured, lookup and stats need none; resync needs one of scope admin, except in the demo." placeholder:"SECRET"`
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
// becomes the error's text.
func (d *daemon) ask(ctx context.Context, method, path string, body, into any) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	server := strings.TrimSuffix(d.Server, "/")
	if !strings.Contains(server, "://") && strings.Contains(server, ":") {
		server = "http://" + server
	}
	target, err := url.Parse(server)
	if err != nil || target.Host == "" {
		return nil, &exit{code: exitUsage, text: "--server is not a URL such as http://127.0.0.1:8081"}
	}
	path, target.RawQuery, _ = strings.Cut(path, "?")
	target.Path += path
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
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if d.Key != "" {
		req.Header.Set("Authorization", "Bearer "+d.Key)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("no daemon answers at %s (is it running? --server names another): %w", d.Server, unwrapURL(err))
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("the daemon's answer broke off: %w", err)
	}
	if res.StatusCode >= 300 {
		return nil, problem(res, answer)
	}
	if into != nil {
		if err := json.Unmarshal(answer, into); err != nil {
			return nil, fmt.Errorf("the daemon's answer is not the JSON expected: %w", err)
		}
	}
	return answer, nil
}

// unwrapURL takes the URL off an error of net/http: it may hold a number.
func unwrapURL(err error) error {
	if e, ok := err.(*url.Error); ok { //nolint:errorlint // http.Client returns exactly this
		return e.Err
	}
	return err
}

// problem reads problem+json.
func problem(res *http.Response, body []byte) error {
	var p struct{ Title, Detail string }
	if json.Unmarshal(body, &p) != nil || p.Title == "" {
		return fmt.Errorf("the daemon answered %s", res.Status)
	}
	if p.Detail == "" {
		return fmt.Errorf("the daemon answered %d: %s", res.StatusCode, p.Title)
	}
	return fmt.Errorf("the daemon answered %d: %s", res.StatusCode, p.Detail)
}
