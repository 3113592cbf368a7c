package proxy

import (
	"errors"
	"net/http"
	"testing"
)

// The secrets of webhooks are rotated: both hold while they overlap, and the
// old one is worth nothing from the moment it is taken out.
func TestSecretsOfWebhooksAreReplaced(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.WebhookSecrets = []string{"old secret"} })
	deliver := func(secret, event string) int {
		return w.deliver(t, secret, start, eventBody(event, "zen:event-type:user.created", "zen:user:5")).status
	}
	for _, step := range []struct {
		name     string
		secrets  []string
		old, new int
	}{
		{"the old one alone", []string{"old secret"}, http.StatusOK, http.StatusUnauthorized},
		{"both", []string{"old secret", "new secret"}, http.StatusOK, http.StatusOK},
		{"the new one alone", []string{"new secret"}, http.StatusUnauthorized, http.StatusOK},
		{"none", nil, http.StatusUnauthorized, http.StatusUnauthorized},
		{"one again", []string{"new secret"}, http.StatusUnauthorized, http.StatusOK},
	} {
		if err := w.SetWebhookSecrets(step.secrets); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got := deliver("old secret", "old "+step.name); got != step.old {
			t.Errorf("%s: signed with the old secret: %d, want %d", step.name, got, step.old)
		}
		if got := deliver("new secret", "new "+step.name); got != step.new {
			t.Errorf("%s: signed with the new secret: %d, want %d", step.name, got, step.new)
		}
	}
	var wrong *OptionError
	if err := w.SetWebhookSecrets([]string{"new secret", ""}); !errors.As(err, &wrong) {
		t.Errorf("an empty secret: %v", err)
	}
	if got := deliver("new secret", "after a fault"); got != http.StatusOK {
		t.Errorf("after secrets at fault the ones before them: %d", got)
	}
	if got := w.deliver(t, "", start, eventBody("empty", "zen:event-type:user.created", "zen:user:5")).status; got != http.StatusUnauthorized {
		t.Errorf("signed with nothing after a fault: %d", got)
	}
}

// A delivery that was taken is taken once, also where it comes again signed
// with the secret that replaced the first.
func TestRepeatsOutliveASecret(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.WebhookSecrets = []string{"old secret"} })
	event := eventBody("once", "zen:event-type:user.created", "zen:user:5")
	if got := w.deliver(t, "old secret", start, event).statusWord(t); got != "queued" {
		t.Fatalf("the first time: %s", got)
	}
	if err := w.SetWebhookSecrets([]string{"new secret"}); err != nil {
		t.Fatal(err)
	}
	if got := w.deliver(t, "new secret", start, event).statusWord(t); got != "repeated" {
		t.Errorf("again, by the new secret: %s", got)
	}
}

func TestTheFirstSecretOfAWebhookTakesARestart(t *testing.T) {
	w := newWorld(t, nil)
	if err := w.SetWebhookSecrets(nil); err != nil {
		t.Errorf("none where there was none: %v", err)
	}
	if err := w.SetWebhookSecrets([]string{"first secret"}); err == nil {
		t.Error("a route was opened while requests are served")
	}
	if got := w.deliver(t, "first secret", start, "{}").status; got != http.StatusNotFound {
		t.Errorf("a delivery after that: %d", got)
	}
}
