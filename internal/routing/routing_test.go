package routing

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/caller"
)

func TestDefault(t *testing.T) {
	type ticket = caller.Ticket
	tests := []struct {
		name     string
		ticket   *ticket
		severity Severity
		priority int
	}{
		{"no ticket", nil, None, 5},
		{"priority urgent", &ticket{Priority: "urgent"}, Urgent, 1},
		{"priority high", &ticket{Priority: "high"}, High, 3},
		{"priority normal", &ticket{Priority: "normal"}, Normal, 5},
		{"priority low", &ticket{Priority: "low"}, Low, 7},
		{"a priority beats the type", &ticket{Priority: "low", Type: "incident"}, Low, 7},
		{"an incident without a priority", &ticket{Type: "incident"}, High, 3},
		{"a problem without a priority", &ticket{Type: "problem"}, Normal, 5},
		{"a question without a priority", &ticket{Type: "question"}, None, 5},
		{"a task without a priority", &ticket{Type: "task"}, None, 5},
		{"neither priority nor type", &ticket{}, None, 5},
		{"a priority that Zendesk does not have", &ticket{Priority: "critical", Type: "problem"}, Normal, 5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := Decision{Severity: tt.severity, QueuePriority: tt.priority, Action: "menu", Rule: "default"}
			if diff := cmp.Diff(want, Default(tt.ticket)); diff != "" {
				t.Errorf("Default (-want +got):\n%s", diff)
			}
		})
	}
}
