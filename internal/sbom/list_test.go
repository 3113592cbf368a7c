package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
)

// TestEveryLinkedModuleIsInTheList builds a program and holds its list against
// `go version -m`. Programs for other systems are read by the same functions of
// Go's own; to build one here would first compile the standard library for it.
func TestEveryLinkedModuleIsInTheList(t *testing.T) {
	t.Parallel()
	binary := build(t)
	args := []string{"-version", "v1.2.3", "-commit", "b0b", "-time", "2026-03-04T05:06:07+02:00", "-licences", "../../docs/dependencies.md", binary}
	text := written(t, args)
	if again := written(t, args); !bytes.Equal(text, again) {
		t.Error("the same binary gives another list the second time")
	}
	bom := read(t, text)

	said, err := exec.CommandContext(t.Context(), "go", "version", "-m", binary).Output()
	if err != nil {
		t.Fatal(err)
	}
	want, got := map[string]string{}, map[string]string{}
	for line := range strings.Lines(string(said)) {
		if fields := strings.Fields(line); len(fields) == 4 && fields[0] == "dep" {
			want["pkg:golang/"+fields[1]+"@"+fields[2]] = fields[3]
		}
	}
	if len(want) == 0 {
		t.Fatalf("the program has no modules in it, and shows nothing:\n%s", said)
	}
	want["pkg:golang/stdlib@"+strings.TrimPrefix(runtime.Version(), "go")] = ""
	for _, c := range *bom.Components {
		got[c.PackageURL] = ""
		if c.Properties != nil {
			got[c.PackageURL] = (*c.Properties)[0].Value
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-linked +listed:\n%s", diff)
	}

	content, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	program := bom.Metadata.Component
	if h := (*program.Hashes)[0]; h.Algorithm != cyclonedx.HashAlgoSHA256 || h.Value != hex.EncodeToString(sum[:]) {
		t.Errorf("the digest is %+v", h)
	}
	if program.Name != "program" || program.Version != "v1.2.3" || bom.Metadata.Timestamp != "2026-03-04T03:06:07Z" {
		t.Errorf("%s %s of %s", program.Name, program.Version, bom.Metadata.Timestamp)
	}
	if here, err := os.Getwd(); err != nil || bytes.Contains(text, []byte(filepath.Dir(filepath.Dir(here)))) {
		t.Errorf("a path of this machine is in the list: %v", err)
	}
	for name, value := range map[string]string{"go.build.GOOS": runtime.GOOS, "go.build.GOARCH": runtime.GOARCH, "vcs.revision": "b0b"} {
		if !hasProperty(program, name, value) {
			t.Errorf("%s is not said to be %s: %+v", name, value, *program.Properties)
		}
	}
}

// build makes this very program as the Makefile would: it links a module, and
// is small.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "program.exe")
	c := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", binary, ".")
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

func written(t *testing.T, args []string) []byte {
	t.Helper()
	var out, complaints bytes.Buffer
	if err := run(args, &out, &complaints); err != nil {
		t.Fatalf("%v\n%s", err, complaints.String())
	}
	return out.Bytes()
}

// read decodes a list, of which nothing may be unknown to the decoder, nor be
// lost when it is written again.
func read(t *testing.T, text []byte) *cyclonedx.BOM {
	t.Helper()
	strict := json.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields()
	if err := strict.Decode(new(cyclonedx.BOM)); err != nil {
		t.Fatal(err)
	}
	bom := new(cyclonedx.BOM)
	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(text), cyclonedx.BOMFileFormatJSON).Decode(bom); err != nil {
		t.Fatal(err)
	}
	if bom.BOMFormat != cyclonedx.BOMFormat || bom.SpecVersion != cyclonedx.SpecVersion1_6 || bom.Version != 1 {
		t.Errorf("%s %s, version %d", bom.BOMFormat, bom.SpecVersion, bom.Version)
	}
	refs := map[string]bool{bom.Metadata.Component.BOMRef: true}
	for _, c := range *bom.Components {
		if c.BOMRef == "" || refs[c.BOMRef] {
			t.Errorf("reference %q is none, or is there twice", c.BOMRef)
		}
		refs[c.BOMRef] = true
	}
	for _, d := range *bom.Dependencies {
		for _, ref := range append([]string{d.Ref}, *d.Dependencies...) {
			if !refs[ref] {
				t.Errorf("%q is referred to and not there", ref)
			}
		}
	}
	return bom
}

func hasProperty(c *cyclonedx.Component, name, value string) bool {
	for _, p := range *c.Properties {
		if p.Name == name {
			return p.Value == value
		}
	}
	return false
}

func TestAComponentIsWhatWasLinked(t *testing.T) {
	t.Parallel()
	licences := readLicences([]byte("| module | version | licence |\n|---|---|---|\n| `example.com/A` | v1.0.0 | MIT | why | else |\n| `example.com/odd` | v1.0.0 | its own words | why |\n"))
	tests := []struct {
		name   string
		module debug.Module
		want   cyclonedx.Component
	}{
		{
			"with its checksum, and the licence that the table has", debug.Module{Path: "example.com/A", Version: "v1.0.0+incompatible", Sum: "h1:x="},
			cyclonedx.Component{
				Name: "example.com/A", Version: "v1.0.0+incompatible", PackageURL: "pkg:golang/example.com/A@v1.0.0%2Bincompatible",
				Licenses: &cyclonedx.Licenses{{License: &cyclonedx.License{ID: "MIT"}}}, Properties: &[]cyclonedx.Property{{Name: "go.sum", Value: "h1:x="}},
			},
		},
		{
			"the other module where it was replaced", debug.Module{Path: "example.com/A", Version: "v1.0.0", Sum: "h1:x=", Replace: &debug.Module{Path: "example.com/b~c/v2", Version: "v2.0.0"}},
			cyclonedx.Component{Name: "example.com/b~c/v2", Version: "v2.0.0", PackageURL: "pkg:golang/example.com/b~c/v2@v2.0.0"},
		},
		{
			"no licence where the table has no identifier of one", debug.Module{Path: "example.com/odd", Version: "v1.0.0"},
			cyclonedx.Component{Name: "example.com/odd", Version: "v1.0.0", PackageURL: "pkg:golang/example.com/odd@v1.0.0"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.want.BOMRef, test.want.Type, test.want.Scope = test.want.PackageURL, cyclonedx.ComponentTypeLibrary, cyclonedx.ScopeRequired
			if diff := cmp.Diff(test.want, component(&test.module, licences)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestWhatTheBinaryKnowsFillsTheStamp: a plain `go build` in a repository
// writes the commit down, which a stamp by hand beats.
func TestWhatTheBinaryKnowsFillsTheStamp(t *testing.T) {
	t.Parallel()
	info := &debug.BuildInfo{
		Main:     debug.Module{Version: "v0.9.0"},
		Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "cafe"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}},
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var s stamp
	s.fill("bin/aniproxy.exe", info)
	if want := (stamp{"aniproxy", "v0.9.0", "cafe", at}); s != want {
		t.Errorf("got %+v, want %+v", s, want)
	}
	later := at.Add(time.Hour)
	s = stamp{"a", "v1", "b0b", later}
	s.fill("bin/x", info)
	if want := (stamp{"a", "v1", "b0b", later}); s != want {
		t.Errorf("got %+v, want %+v", s, want)
	}
}

func TestWhatIsNoProgramIsRefused(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"no binary":              {},
		"two":                    {"a", "b"},
		"a file that is missing": {filepath.Join(t.TempDir(), "none")},
		"a file that is none":    {"list.go"},
		"no time":                {"-time", "yesterday", "list.go"},
		"no table":               {"-licences", filepath.Join(t.TempDir(), "none"), "list.go"},
		"an unknown flag":        {"-x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, complaints bytes.Buffer
			if err := run(args, &out, &complaints); err == nil || out.Len() > 0 {
				t.Errorf("error %v, %d bytes written", err, out.Len())
			}
		})
	}
}
