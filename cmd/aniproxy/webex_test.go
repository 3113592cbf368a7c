package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// webex runs the command by its own parser.
func webex(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	var p struct {
		Webex webexCommand `cmd:""`
	}
	parser, err := kong.New(&p, kong.Name("aniproxy"), kong.Writers(&out, &errs), kong.Exit(func(int) {}))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parser.Parse(append([]string{"webex", "flow"}, args...))
	if err != nil {
		return exitUsage, out.String(), err.Error()
	}
	err = parsed.Run(&console{ctx: t.Context(), in: strings.NewReader(""), out: &out, errors: &errs})
	var e *exit
	switch {
	case err == nil:
		return exitDone, out.String(), errs.String()
	case errors.As(err, &e):
		return e.code, out.String(), errs.String() + e.text
	default:
		return exitFailed, out.String(), errs.String() + err.Error()
	}
}

const (
	testQueue = "3F2504E0-4F89-41D3-9A0C-0305E82C3301"
	testURL   = "https://aniproxy.example.com"
)

func TestWebexFlowWritesBothFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	code, out, errs := webex(t, "--url", testURL, "--queue", testQueue)
	if code != exitDone || errs != "" {
		t.Fatalf("code %d, %s", code, errs)
	}
	for _, want := range []string{"wrote      " + flowFileV2, "wrote      " + flowFileUI, "NOT TRIED AGAINST A TENANT", testURL, "/v1/lookup?ani=anonymous"} {
		if !strings.Contains(out, want) {
			t.Errorf("does not say %q:\n%s", want, out)
		}
	}
	first := map[string][]byte{}
	for _, file := range []string{flowFileV2, flowFileUI} {
		text, err := os.ReadFile(file)
		if err != nil || !json.Valid(text) || !bytes.Contains(text, []byte("NOT TRIED AGAINST A TENANT")) {
			t.Errorf("%s: %v, %d bytes", file, err, len(text))
		}
		if !bytes.Contains(text, []byte(strings.ToLower(testQueue))) {
			t.Errorf("%s does not name the queue", file)
		}
		first[file] = text
	}
	if _, out, _ = webex(t, "--url", testURL, "--queue", testQueue); !strings.Contains(out, "unchanged  "+flowFileV2) {
		t.Errorf("the same again is not the same file:\n%s", out)
	}
	if _, out, _ = webex(t, "--url", testURL, "--queue", testQueue, "--format", "ui", "--lang", "es-MX"); !strings.Contains(out, "replaced   "+flowFileUI) || strings.Contains(out, flowFileV2) {
		t.Errorf("one format in another language:\n%s", out)
	}
	if text, err := os.ReadFile(flowFileUI); err != nil || bytes.Equal(text, first[flowFileUI]) {
		t.Errorf("the language changes nothing: %v", err)
	}
}

func TestWebexFlowWritesWhereItIsTold(t *testing.T) {
	t.Chdir(t.TempDir())
	file := filepath.Join(t.TempDir(), "flow.json")
	code, out, errs := webex(t, "--url", testURL, "--queue", testQueue, "--format", "v2", "--out", file)
	if code != exitDone || !strings.Contains(out, file) {
		t.Fatalf("code %d, %s%s", code, out, errs)
	}
	written, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	code, out, _ = webex(t, "--url", testURL, "--queue", testQueue, "--format", "v2", "--out", "-")
	if code != exitDone || out != string(written) {
		t.Errorf("standard output has something else than the file: code %d, %d bytes", code, len(out))
	}
	if left, err := os.ReadDir("."); err != nil || len(left) != 0 {
		t.Errorf("left in the current folder: %v, %v", left, err)
	}
	if code, _, errs = webex(t, "--url", testURL, "--queue", testQueue, "--format", "v2", "--out", filepath.Join(file, "below")); code != exitFailed || errs == "" {
		t.Errorf("a file that cannot be written: code %d, %q", code, errs)
	}
}

func TestWebexFlowRefusesWhatCannotWork(t *testing.T) {
	t.Chdir(t.TempDir())
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no address", []string{"--queue", testQueue}, "--url"},
		{"no queue", []string{"--url", testURL}, "--queue"},
		{"plain http beyond loopback", []string{"--url", "http://aniproxy.example.com", "--queue", testQueue}, "--url must be https"},
		{"a secret in the address", []string{"--url", "https://webex:hunter2@example.com", "--queue", testQueue}, "--url must hold neither a user"},
		{"a queue's name", []string{"--url", testURL, "--queue", "Support"}, "--queue must be the id of a queue"},
		{"one file for two formats", []string{"--url", testURL, "--queue", testQueue, "--out", "flow.json"}, "--format v2 or --format ui"},
		{"a format that is none", []string{"--url", testURL, "--queue", testQueue, "--format", "xml"}, "--format"},
		{"a language without prompts", []string{"--url", testURL, "--queue", testQueue, "--lang", "ja-JP"}, "--lang must be auto or"},
		{"a menu with braces", []string{"--url", testURL, "--queue", testQueue, "--menu", "press {{1}}"}, "--menu must hold no quotes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, _, errs := webex(t, tt.args...)
			if code != exitUsage || !strings.Contains(errs, tt.want) {
				t.Errorf("code %d, %q, want code %d and %q", code, errs, exitUsage, tt.want)
			}
			if strings.Contains(errs, "hunter2") {
				t.Errorf("the secret is shown: %q", errs)
			}
		})
	}
	if left, err := os.ReadDir("."); err != nil || len(left) != 0 {
		t.Errorf("written all the same: %v, %v", left, err)
	}
	code, _, errs := webex(t, "--url", "http://127.0.0.1:8080", "--queue", testQueue)
	if code != exitDone {
		t.Errorf("http on loopback: code %d, %s", code, errs)
	}
	code, _, errs = webex(t, "--url", "http://aniproxy.internal", "--queue", testQueue, "--insecure-http")
	if code != exitDone {
		t.Errorf("http that was asked for: code %d, %s", code, errs)
	}
}
