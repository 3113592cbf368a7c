package gozendesk

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/zendesk/zendesktest"
)

// nodeFolder is where the other client is, with its tests.
const nodeFolder = "../nodezendesk"

// TestNodeZendesk runs node-zendesk as it is, in a process of Node's.
func TestNodeZendesk(t *testing.T) {
	t.Parallel()
	node := nodeProgram(t)
	t.Run("against the account", func(t *testing.T) {
		w := newWorld(t)
		people := w.people(t)
		nodeZendesk(t, node, w.account(), people)
	})
	t.Run("against the daemon", func(t *testing.T) {
		w := newWorld(t)
		people := w.people(t)
		nodeZendesk(t, node, w.mirror(), people)
	})
}

// nodeProgram finds Node and the client, or says what to do. Under CI their
// absence is a failure.
func nodeProgram(t *testing.T) string {
	t.Helper()
	missing := t.Skip
	if os.Getenv("CI") == "true" {
		missing = t.Fatal
	}
	node, err := exec.LookPath("node")
	if err != nil {
		missing("Node is not installed; internal/compat/run.sh node runs this where it is")
	}
	if _, err := os.Stat(filepath.Join(nodeFolder, "node_modules", "node-zendesk", "package.json")); err != nil {
		missing("node-zendesk is not installed; internal/compat/run.sh node installs and runs it")
	}
	return node
}

// nodeUser and nodeTicket are what the client must find, in Zendesk's words.
type nodeUser struct {
	ID             int64    `json:"id"`
	OrganizationID *int64   `json:"organization_id"`
	Name           string   `json:"name"`
	Email          *string  `json:"email"`
	Phone          *string  `json:"phone"`
	Locale         *string  `json:"locale"`
	Role           string   `json:"role"`
	Tags           []string `json:"tags"`
	Active         bool     `json:"active"`
	Suspended      bool     `json:"suspended"`
	CreatedAt      string   `json:"created_at"`
	UpdatedAt      string   `json:"updated_at"`
}

type nodeTicket struct {
	ID             int64    `json:"id"`
	RequesterID    int64    `json:"requester_id"`
	AssigneeID     *int64   `json:"assignee_id"`
	OrganizationID *int64   `json:"organization_id"`
	GroupID        int64    `json:"group_id"`
	BrandID        int64    `json:"brand_id"`
	FormID         int64    `json:"ticket_form_id"`
	CustomStatusID int64    `json:"custom_status_id"`
	Status         string   `json:"status"`
	Priority       *string  `json:"priority"`
	Type           *string  `json:"type"`
	Subject        string   `json:"subject"`
	Tags           []string `json:"tags"`
	CreatedAt      string   `json:"created_at"`
	UpdatedAt      string   `json:"updated_at"`
}

type nodePerson struct {
	Number  string       `json:"number"`
	User    nodeUser     `json:"user"`
	Tickets []nodeTicket `json:"tickets"` // unresolved, newest creation first
}

// orNull is nil for what is not there.
func orNull[T comparable](v T) *T {
	var nothing T
	if v == nothing {
		return nil
	}
	return &v
}

func timestamp(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(time.RFC3339) }

func (w *world) nodePerson(t *testing.T, p person) nodePerson {
	t.Helper()
	u, ok := w.sim.Truth().User(p.id)
	if !ok {
		t.Fatalf("the account has no user %d", p.id)
	}
	n := nodePerson{Number: p.number, Tickets: []nodeTicket{}, User: nodeUser{
		u.ID, orNull(u.OrganizationID), u.Name, orNull(u.Email), orNull(u.Phone), orNull(u.Locale), u.Role,
		append([]string{}, u.Tags...), u.Active, u.Suspended, timestamp(u.CreatedAt), timestamp(u.UpdatedAt),
	}}
	for _, x := range w.openTickets(p.id) {
		n.Tickets = append(n.Tickets, nodeTicket{
			x.ID, x.RequesterID, orNull(x.AssigneeID), orNull(x.OrganizationID), x.GroupID, x.BrandID, x.FormID, x.CustomStatusID,
			x.Status, orNull(x.Priority), orNull(x.Type), x.Subject, x.Tags, timestamp(x.CreatedAt), timestamp(x.UpdatedAt),
		})
	}
	return n
}

// nodeComment is a comment as the client is told to send it.
type nodeComment struct {
	Body   string `json:"body"`
	Public *bool  `json:"public,omitempty"`
}

func nodeZendesk(t *testing.T, node string, f *face, people *people) {
	t.Helper()
	w, private := f.w, false
	newcomer := w.join(t, "Nora Newcomer", zendesktest.UserSpec{}, "open")
	comments := []nodeComment{{Body: "Called, and asked to be called back."}, {Body: "Called again.", Public: &private}}
	told, err := json.Marshal(map[string]any{
		"face": map[string]any{
			"endpointUri": f.api(), "user": f.user, "password": f.password, "token": f.token, "bearer": f.bearer, "daemon": f.daemon != nil,
		},
		"want": map[string]any{
			"caller": w.nodePerson(t, people.caller), "quiet": w.nodePerson(t, people.quiet), "writer": w.nodePerson(t, people.writer),
			"further": w.nodePerson(t, people.further), "shared": w.nodePerson(t, people.sharers[0]),
			"newcomer": w.nodePerson(t, newcomer), "nobody": w.number(), "comments": comments,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "--test", "--test-reporter=spec", "suite.mjs")
	cmd.Dir = nodeFolder
	cmd.Env = append(os.Environ(), "COMPAT="+string(told), "NO_COLOR=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("node-zendesk: %v\n%s", err, out)
	} else {
		t.Logf("%s", out)
	}
	id := people.writer.open[0]
	all := w.arrived(t, id, comments[1].Body)
	if diff := cmp.Diff([]string{comments[0].Body, comments[1].Body}, bodies(all)); diff != "" {
		t.Errorf("the comments (-sent +account):\n%s", diff)
	}
	if f.daemon == nil {
		return // the account itself decides by the ticket who may read a comment
	}
	for _, c := range all {
		if c.Public || c.Inherited {
			t.Errorf("the comment %q is public: %v, by the ticket: %v", c.Body, c.Public, c.Inherited)
		}
	}
}
