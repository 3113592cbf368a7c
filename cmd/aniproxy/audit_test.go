package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/audit"
)

// TestAdminsActionsAreOnRecordOrNotDone: an erasure on the real files, while
// the audit log can be written and while it cannot.
func TestAdminsActionsAreOnRecordOrNotDone(t *testing.T) {
	r := setUp(t, rigOptions{})
	path := beside(r.cfg.Store.Path, ".audit.log")
	var one, other found
	for number, people := range holders(t, r.sim) {
		switch {
		case len(people) != 1:
		case one.number == "":
			one = found{number, people[0].ID, people[0].Name}
		case other.number == "" && people[0].ID != one.id:
			other = found{number, people[0].ID, people[0].Name}
		}
	}
	if code, text := r.get(r.admin + "/v1/admin/explain?ani=" + strings.Replace(one.number, "+", "%2B", 1)); code != http.StatusOK {
		t.Fatalf("explain answers %d: %s", code, text)
	}
	if code, text := r.do(http.MethodDelete, r.admin+"/v1/admin/users/"+fmt.Sprint(one.id), ""); code != http.StatusOK && code != http.StatusAccepted {
		t.Fatalf("the erasure answers %d: %s", code, text)
	}

	// A folder in the file's place: that stops even who may do everything.
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	code, text := r.do(http.MethodDelete, r.admin+"/v1/admin/users/"+fmt.Sprint(other.id), "")
	if code != http.StatusServiceUnavailable || !strings.Contains(text, "nothing was done") {
		t.Errorf("without a log an erasure answers %d: %s", code, text)
	}
	if code, out, errs := r.command("erase", "--user", fmt.Sprint(other.id)); code != exitFailed || out != "" || !strings.Contains(errs, "the audit log cannot be written") {
		t.Errorf("the command ends with %d and says %q, %q", code, out, errs)
	}
	if a := r.ask(other.number); a.UserID != fmt.Sprint(other.id) {
		t.Errorf("somebody was erased and that is not on record: %s", a.text)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if code, text := r.do(http.MethodDelete, r.admin+"/v1/admin/users/"+fmt.Sprint(other.id), ""); code != http.StatusOK && code != http.StatusAccepted {
		t.Errorf("with a log again the erasure answers %d: %s", code, text)
	}
	r.stop()

	before, after := auditLog(t, path+".1"), auditLog(t, path)
	want := []string{
		"note start", "intent explain who has a number", "outcome explain who has a number done: user " + fmt.Sprint(one.id),
		"intent erase user " + fmt.Sprint(one.id), "outcome erase user " + fmt.Sprint(one.id) + " done",
	}
	if diff := cmp.Diff(want, before); diff != "" {
		t.Errorf("the first file (-want +got):\n%s", diff)
	}
	want = []string{"intent erase user " + fmt.Sprint(other.id), "outcome erase user " + fmt.Sprint(other.id) + " done", "note stop"}
	if diff := cmp.Diff(want, after); diff != "" {
		t.Errorf("the second file (-want +got):\n%s", diff)
	}
	for _, file := range []string{path + ".1", path} {
		whole, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, private := range []string{one.number, one.number[2:], one.name, other.number, other.name} {
			if strings.Contains(string(whole), private) {
				t.Errorf("%s names a person", file)
			}
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the mode of %s is %v, %v", file, info.Mode(), err)
		}
	}
}

// TestWithoutAnAuditLogThereIsNoDaemon: it could do nothing that an admin asks
// for, and is better told so at its start.
// TestAnAuditLogThatWasChangedIsToldOf: at the next start, which goes on.
func TestAnAuditLogThatWasChangedIsToldOf(t *testing.T) {
	r := setUp(t, rigOptions{})
	path := beside(r.cfg.Store.Path, ".audit.log")
	if code, text := r.post(r.admin+"/v1/admin/cache/purge", ""); code != http.StatusNoContent {
		t.Fatalf("the purge answers %d: %s", code, text)
	}
	r.stop()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), `"purge"`, `"rinse"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	var lines bytes.Buffer
	d := &parts{log: slog.New(slog.NewTextHandler(&lines, nil))}
	d.verifyAudit(path)
	if !strings.Contains(lines.String(), "level=WARN") || !strings.Contains(lines.String(), "line 3") {
		t.Errorf("the log says %s", &lines)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	lines.Reset()
	if d.verifyAudit(path); lines.String() != "" {
		t.Errorf("of a log that nobody has changed it is said %s", &lines)
	}
}

func TestWithoutAnAuditLogThereIsNoDaemon(t *testing.T) {
	r := setUp(t, rigOptions{})
	r.stop()
	path := beside(r.cfg.Store.Path, ".audit.log")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(path) // what is kept of the logs is of files
	if _, err := build(t.Context(), r.cfg, r.parts.log, serveOptions{clock: r.clock}); err == nil || !strings.Contains(err.Error(), "audit log") {
		t.Errorf("it starts: %v", err)
	}
}

type found struct {
	number string
	id     int64
	name   string
}

// auditLog reads an audit log, after it was verified.
func auditLog(t *testing.T, path string) (lines []string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Verify(strings.NewReader(string(text))); err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(string(text)) {
		var r audit.Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if r.Event == audit.Note {
			r.Target = "" // the version
		}
		lines = append(lines, strings.Join(strings.Fields(strings.Join([]string{string(r.Event), r.Action, r.Target, r.Result}, " ")), " "))
		switch {
		case r.Action == "erase" && r.Event == audit.Outcome:
			if !strings.HasPrefix(r.Detail, "tombstone done, mirror done, memory done, outbox done, overwrite ") {
				t.Errorf("how far it got is %q", r.Detail)
			}
		case r.Detail != "":
			lines[len(lines)-1] += ": " + r.Detail
		}
	}
	return lines
}
