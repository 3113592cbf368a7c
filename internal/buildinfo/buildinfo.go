// Package buildinfo says what this program was built from.
//
// The Makefile stamps version, commit and commit time into the binary with the
// linker's -X. A binary built without it, by a plain `go build` or
// `go install`, tells what Go itself wrote down. The time is the commit's and
// not the build's, so that the same source makes the same bytes.
package buildinfo

import (
	"cmp"
	"runtime"
	"runtime/debug"
	"strings"
)

// Set by the linker, and by nothing else.
//
//nolint:gochecknoglobals // -X can set nothing but a package's variables
var version, commit, committed string

// Build is what a binary was built from. A text is "" where it is not known,
// but Version, which then is "dev".
type Build struct {
	Version   string // as git describe has it, for example v1.2.0-3-g1a2b3c4-dirty
	Commit    string // the full hash
	Committed string // RFC 3339, UTC
	Go        string // for example go1.26.8
	Platform  string // for example linux/amd64
}

// Read returns what this binary was built from.
func Read() Build {
	noted, _ := debug.ReadBuildInfo()
	return merge(Build{Version: version, Commit: commit, Committed: committed}, noted)
}

// Version is Read().Version: "dev" where nobody said.
func Version() string { return Read().Version }

// String is the build in a line, for `aniproxy version` and the first line of
// the log.
func (b Build) String() string {
	known := []string{b.Version}
	if b.Commit != "" {
		known = append(known, "commit "+b.Commit)
	}
	if b.Committed != "" {
		known = append(known, "of "+b.Committed)
	}
	return strings.Join(append(known, b.Go, b.Platform), " ")
}

// merge fills what was not stamped from what Go noted; noted may be nil.
func merge(stamped Build, noted *debug.BuildInfo) Build {
	b := stamped
	b.Go, b.Platform = runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH
	if noted == nil {
		noted = &debug.BuildInfo{}
	}
	setting := func(key string) string {
		for _, s := range noted.Settings {
			if s.Key == key {
				return s.Value
			}
		}
		return ""
	}
	b.Commit = cmp.Or(b.Commit, setting("vcs.revision"))
	b.Committed = cmp.Or(b.Committed, setting("vcs.time"))
	if v := noted.Main.Version; b.Version == "" && v != "(devel)" {
		b.Version = v
	}
	b.Version = cmp.Or(b.Version, "dev")
	return b
}
