package buildinfo

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMerge(t *testing.T) {
	noted := &debug.BuildInfo{
		Main: debug.Module{Path: "aniproxy", Version: "v0.9.0"},
		Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: "b0b"},
			{Key: "vcs.time", Value: "2026-02-03T04:05:06Z"},
		},
	}
	tests := []struct {
		name    string
		stamped Build
		noted   *debug.BuildInfo
		want    Build
	}{
		{
			name:    "the stamp beats what Go noted",
			stamped: Build{Version: "v1.2.0", Commit: "abc", Committed: "2026-01-02T03:04:05Z"},
			noted:   noted,
			want:    Build{Version: "v1.2.0", Commit: "abc", Committed: "2026-01-02T03:04:05Z"},
		},
		{
			name:  "without a stamp what Go noted",
			noted: noted,
			want:  Build{Version: "v0.9.0", Commit: "b0b", Committed: "2026-02-03T04:05:06Z"},
		},
		{
			name:  "a version that Go does not know is dev",
			noted: &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}},
			want:  Build{Version: "dev"},
		},
		{
			name: "nothing known at all",
			want: Build{Version: "dev"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.Go, tt.want.Platform = runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH
			if diff := cmp.Diff(tt.want, merge(tt.stamped, tt.noted)); diff != "" {
				t.Errorf("merge (-want +got):\n%s", diff)
			}
		})
	}
}

func TestString(t *testing.T) {
	tests := []struct {
		name  string
		build Build
		want  string
	}{
		{
			name:  "everything known",
			build: Build{Version: "v1.2.0", Commit: "abc", Committed: "2026-01-02T03:04:05Z", Go: "go1.26.8", Platform: "linux/amd64"},
			want:  "v1.2.0 commit abc of 2026-01-02T03:04:05Z go1.26.8 linux/amd64",
		},
		{
			name:  "outside git",
			build: Build{Version: "dev", Go: "go1.26.8", Platform: "linux/amd64"},
			want:  "dev go1.26.8 linux/amd64",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.build.String(); got != tt.want {
				t.Errorf("String() = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestVersionIsNeverEmpty(t *testing.T) {
	if Version() == "" {
		t.Error(`Version() = "", want at least "dev"`)
	}
}
