package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"aniproxy/internal/zendesk/zendesktest"
)

// command runs the program against the rig's daemon.
func (r *rig) command(args ...string) (code int, stdout, stderr string) {
	r.t.Helper()
	var out, errs bytes.Buffer
	code = run(context.Background(), append(args, "--server", r.admin), nil, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestCommandsAskARunningDaemon(t *testing.T) {
	r := setUp(t, rigOptions{})
	known, person := someone(t, r)

	code, out, errs := r.command("lookup", known)
	if code != exitDone || !strings.Contains(out, person.Name) || !strings.Contains(out, "disk, ") {
		t.Errorf("lookup: code %d, %s%s", code, out, errs)
	}
	code, out, _ = r.command("lookup", known, "--json", "--lang", "es-MX")
	var a lookupAnswer
	if err := json.Unmarshal([]byte(out), &a); err != nil || code != exitDone || a.UserName != person.Name {
		t.Errorf("lookup --json: code %d, error %v, %s", code, err, out)
	}
	if code, out, errs = r.command("lookup", "+15135550199"); code != exitNotFound || !strings.Contains(out, "not_found") {
		t.Errorf("lookup of nobody: code %d, %s%s", code, out, errs)
	}
	if code, out, errs = r.command("lookup", "anonymous"); code != exitNotFound || !strings.Contains(out, "anonymous") {
		t.Errorf("lookup of a blocked number: code %d, %s%s", code, out, errs)
	}
	r.sim.Down(true)
	if code, out, errs = r.command("lookup", "+15135550198"); code != exitFailed || !strings.Contains(out, "unavailable") {
		t.Errorf("lookup with Zendesk down: code %d, %s%s", code, out, errs)
	}
	r.sim.Down(false)

	r.sim.CreateUser(zendesktest.UserSpec{Name: "Nora Newcomer", Phone: "+1 513 555 0197"})
	r.pass(2e9) // the current second is never exported
	for _, mode := range [][]string{{"resync", "--follow"}, {"resync", "--full", "--follow"}} {
		code, out, errs = r.command(mode...)
		if code != exitDone || !strings.Contains(out, "job ") || !strings.Contains(out, "done  users: ") {
			t.Errorf("%s: code %d, %s%s", mode, code, out, errs)
		}
	}
	if code, out, _ = r.command("lookup", "(513) 555-0197"); code != exitDone || !strings.Contains(out, "Nora Newcomer") || !strings.Contains(out, "disk") {
		t.Errorf("lookup after a resync: code %d, %s", code, out)
	}
	code, out, errs = r.command("stats")
	if code != exitDone || !strings.Contains(out, "disk_hits") || !strings.Contains(out, "mirror") {
		t.Errorf("stats: code %d, %s%s", code, out, errs)
	}
	if code, out, _ = r.command("stats", "--json"); code != exitDone || !json.Valid([]byte(out)) {
		t.Errorf("stats --json: code %d, %s", code, out)
	}
	if code, _, errs = r.command("resync", "--half"); code != exitUsage || !strings.Contains(errs, "--half") {
		t.Errorf("an unknown flag: code %d, %s", code, errs)
	}
}
