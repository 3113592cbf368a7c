package status

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestModeErrorNamesWhatIsAllowed(t *testing.T) {
	allowed := []string{"incremental", "full"}
	for mode, want := range map[string]string{
		"gentle":                `mode "gentle" is unknown: allowed are incremental, full`,
		"a\nb":                  `mode "a\nb" is unknown: allowed are incremental, full`,
		strings.Repeat("x", 99): `mode "` + strings.Repeat("x", 32) + `" is unknown: allowed are incremental, full`,
	} {
		if diff := cmp.Diff(want, (&ModeError{Mode: mode, Allowed: allowed}).Error()); diff != "" {
			t.Errorf("%.40q (-want +got):\n%s", mode, diff)
		}
	}
}
