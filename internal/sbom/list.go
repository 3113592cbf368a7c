package main

import (
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
)

// stamp is what the binary does not say of itself where it is built with
// -trimpath and without its repository. What is "" or zero is taken from the
// binary where that knows it, and else is not in the list.
type stamp struct {
	name, version, commit string
	committed             time.Time
}

// list says what the binary in the file is made of.
func list(file string, s stamp, licences map[string]string) (*cyclonedx.BOM, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("not a Go program that says what is in it: %w", err)
	}
	s.fill(file, info)
	sum := sha256.Sum256(content)

	parts := []cyclonedx.Component{standardLibrary(info.GoVersion)}
	for _, m := range info.Deps {
		parts = append(parts, component(m, licences))
	}
	slices.SortFunc(parts, func(a, b cyclonedx.Component) int { return cmp.Compare(a.BOMRef, b.BOMRef) })
	refs := make([]string, len(parts))
	for i := range parts {
		refs[i] = parts[i].BOMRef
	}

	program := cyclonedx.Component{
		BOMRef: "program:" + s.name, Type: cyclonedx.ComponentTypeApplication, Name: s.name, Version: s.version,
		Hashes:     &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}},
		Properties: properties(info, s.commit),
	}
	bom := cyclonedx.NewBOM()
	bom.SerialNumber = serial(sum)
	bom.Metadata = &cyclonedx.Metadata{Component: &program}
	if !s.committed.IsZero() {
		bom.Metadata.Timestamp = s.committed.UTC().Format(time.RFC3339)
	}
	bom.Components = &parts
	// Which module brought which, the binary does not know: all are in the
	// program, and that is what this says.
	bom.Dependencies = &[]cyclonedx.Dependency{{Ref: program.BOMRef, Dependencies: &refs}}
	return bom, nil
}

// fill adds what the binary knows.
func (s *stamp) fill(file string, info *debug.BuildInfo) {
	s.name = cmp.Or(s.name, strings.TrimSuffix(filepath.Base(file), ".exe"))
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			s.commit = cmp.Or(s.commit, setting.Value)
		case "vcs.time":
			if at, err := time.Parse(time.RFC3339, setting.Value); err == nil && s.committed.IsZero() {
				s.committed = at
			}
		}
	}
	s.version = cmp.Or(s.version, info.Main.Version)
}

// component is a module as it was linked: where go.mod replaced it, the other
// one. Its checksum is go.sum's, a digest over the digests of its files: no
// file has it, so it stands as a property and not among the hashes.
func component(m *debug.Module, licences map[string]string) cyclonedx.Component {
	if m.Replace != nil {
		m = m.Replace
	}
	purl := packageURL(m.Path, m.Version)
	c := cyclonedx.Component{
		BOMRef: purl, Type: cyclonedx.ComponentTypeLibrary, Scope: cyclonedx.ScopeRequired,
		Name: m.Path, Version: m.Version, PackageURL: purl,
	}
	if m.Sum != "" {
		c.Properties = &[]cyclonedx.Property{{Name: "go.sum", Value: m.Sum}}
	}
	if id := licences[m.Path]; id != "" {
		c.Licenses = &cyclonedx.Licenses{{License: &cyclonedx.License{ID: id}}}
	}
	return c
}

// standardLibrary stands in no list of modules and is in every program. Its
// name is the one under which vulnerability databases have it.
func standardLibrary(goVersion string) cyclonedx.Component {
	version, _, _ := strings.Cut(strings.TrimPrefix(goVersion, "go"), " ")
	purl := packageURL("stdlib", version)
	return cyclonedx.Component{
		BOMRef: purl, Type: cyclonedx.ComponentTypeLibrary, Scope: cyclonedx.ScopeRequired,
		Name: "stdlib", Version: version, PackageURL: purl,
		Licenses: &cyclonedx.Licenses{{License: &cyclonedx.License{ID: "BSD-3-Clause"}}},
	}
}

// packageURL is pkg:golang/PATH@VERSION (the purl specification). Upper case
// stays: Go's paths know it.
func packageURL(path, version string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	purl := "pkg:golang/" + strings.Join(parts, "/")
	if version != "" {
		purl += "@" + strings.ReplaceAll(url.PathEscape(version), "+", "%2B")
	}
	return purl
}

// toldFlags are the flags of go build that are told. The others may hold paths
// of the machine that built it.
var toldFlags = []string{"-buildmode", "-compiler", "-race", "-tags", "-trimpath"}

// properties are the compiler, the commit and for what system it was built.
func properties(info *debug.BuildInfo, commit string) *[]cyclonedx.Property {
	told := []cyclonedx.Property{{Name: "go.version", Value: info.GoVersion}, {Name: "go.path", Value: info.Path}}
	if commit != "" {
		told = append(told, cyclonedx.Property{Name: "vcs.revision", Value: commit})
	}
	for _, s := range info.Settings {
		if slices.Contains(toldFlags, s.Key) || strings.HasPrefix(s.Key, "GO") || s.Key == "CGO_ENABLED" {
			told = append(told, cyclonedx.Property{Name: "go.build." + strings.TrimPrefix(s.Key, "-"), Value: s.Value})
		}
	}
	return &told
}

// serial makes a UUID of the binary's digest (RFC 9562, version 8: bits of the
// maker's own choice), so that a list is new where its binary is.
func serial(sum [sha256.Size]byte) string {
	b := sum[:16]
	b[6] = b[6]&0x0f | 0x80
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// readLicences reads the table of docs/dependencies.md, which has the direct
// requirements; of the others the list names no licence.
func readLicences(text []byte) map[string]string {
	licences := map[string]string{}
	row := regexp.MustCompile("(?m)^\\| `([^` ]+)` \\| [^|]+ \\| ([A-Za-z0-9.+-]+) \\|")
	for _, columns := range row.FindAllSubmatch(text, -1) {
		licences[string(columns[1])] = string(columns[2])
	}
	return licences
}
