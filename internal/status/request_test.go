package status

import "testing"

func TestModeErrorNamesWhatIsAllowedAndNothingThatWasSent(t *testing.T) {
	want := "this mode is unknown: allowed are incremental, full"
	for _, mode := range []string{"gentle", "a\nb", "+15135550101"} {
		if got := (&ModeError{Mode: mode, Allowed: []string{"incremental", "full"}}).Error(); got != want {
			t.Errorf("of %q it says %q", mode, got)
		}
	}
}
