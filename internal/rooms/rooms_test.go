// Package rooms holds the shape of the project as a test: which package may
// import which (docs/architecture.md, "Rooms"), and that each direct dependency
// has its reason written down (docs/dependencies.md).
//
// depguard in .golangci.yml holds the arrows too and shows them in an editor.
// The test is here because it needs no linter, reads files under every build
// tag, and fails on a package that nobody gave a room.
package rooms

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	module = "aniproxy"
	// root is the module's folder, seen from this package's.
	root = "../.."
)

// room is what a folder and those below it may import.
type room struct {
	// ours are our packages by their path in the module. "leaves" stands for
	// the list of that name, "*" for all.
	ours []string
	// inTests are those that only its tests may import too.
	inTests []string
	// others are modules, or parts of them, outside the standard library.
	others []string
	// anyOthers allows what no other room has for itself.
	anyOthers bool
}

// leaves import nothing of ours but each other.
var leaves = []string{
	"internal/ani", "internal/audit", "internal/buildinfo", "internal/caller", "internal/caught", "internal/origin", "internal/outbox",
	"internal/routing", "internal/speech", "internal/status", "internal/webhook",
}

// peer is what a test may talk to instead of a mock.
var peer = []string{"internal/zendesk", "internal/zendesk/zendesktest", "internal/upstream"}

// withStore are the peers of the two rooms whose promises are about what is on
// disk: their tests run on a real store in a real file.
var withStore = append([]string{"store"}, peer...)

// rooms has a row for every folder with Go files; the longest path wins.
var rooms = map[string]room{
	"cmd/aniproxy":                 {ours: []string{"*"}, anyOthers: true},
	"cmd/zendesk-sim":              {ours: []string{"internal/zendesk/zendesktest", "internal/buildinfo"}, anyOthers: true},
	"proxy":                        {ours: leaves, inTests: peer, anyOthers: true},
	"cache":                        {ours: leaves, inTests: withStore, anyOthers: true},
	"sync":                         {ours: leaves, inTests: withStore, anyOthers: true},
	"store":                        {ours: leaves, inTests: peer, anyOthers: true},
	"internal/zendesk":             {ours: []string{"internal/origin", "internal/status"}, inTests: peer, anyOthers: true},
	"internal/zendesk/zendesktest": {ours: []string{"internal/zendesk"}, anyOthers: true},
	"internal/upstream":            {ours: []string{"internal/zendesk", "internal/caller", "internal/outbox", "internal/ani"}, inTests: peer, anyOthers: true},
	"internal/delivery":            {ours: []string{"internal/caller", "internal/caught", "internal/outbox"}, inTests: append([]string{"internal/ani"}, withStore...), anyOthers: true},
	"internal/erasure":             {ours: []string{"internal/caller", "internal/status"}, inTests: append([]string{"internal/ani", "internal/outbox"}, withStore...), anyOthers: true},
	"internal/webhook":             {ours: []string{"internal/caller"}},
	"internal/model":               {inTests: []string{"*"}, anyOthers: true},
	"internal/caught":              {},
	"internal/outbox":              {ours: []string{"internal/caller"}},
	"internal/webexflow":           {},
	"internal/compat":              {ours: []string{"internal/zendesk/zendesktest"}, anyOthers: true},
	"internal/config":              {ours: []string{"internal/ani", "internal/caller", "internal/origin", "internal/routing", "internal/speech"}, anyOthers: true},
	"internal/caller":              {ours: []string{"internal/ani"}},
	"internal/ani":                 {others: []string{"github.com/nyaruka/phonenumbers", "golang.org/x/text"}},
	"internal/speech":              {ours: []string{"internal/caller"}, others: []string{"golang.org/x/text"}},
	"internal/routing":             {ours: []string{"internal/caller"}, others: []string{"golang.org/x/text"}},
	"internal/origin":              {},
	"internal/status":              {},
	"internal/audit":               {},
	"internal/buildinfo":           {},
	"internal/privacytest":         {ours: []string{"internal/ani", "internal/caller"}},
	"internal/rooms":               {},
	"internal/sbom":                {anyOthers: true},
}

// owned are the libraries that not every room may use, with those that may.
var owned = map[string][]string{
	"github.com/labstack":             {"proxy"},
	"github.com/CycloneDX":            {"internal/sbom"},
	"github.com/getkin/kin-openapi":   {"proxy", "internal/zendesk/zendesktest"},
	"github.com/prometheus":           {"proxy", "cmd/aniproxy"},
	"go.etcd.io/bbolt":                {"store"},
	"github.com/dgraph-io/ristretto":  {"cache"},
	"github.com/robfig/cron":          {"sync", "internal/config"},
	"github.com/nyaruka/phonenumbers": {"internal/ani", "internal/config", "internal/zendesk/zendesktest"},
	"github.com/pelletier/go-toml":    {"internal/config"},
	"github.com/alecthomas/kong":      {"cmd/aniproxy", "cmd/zendesk-sim"},
	"github.com/oklog/run":            {"cmd/aniproxy", "cmd/zendesk-sim"},
	"github.com/schollz/progressbar":  {"cmd/aniproxy"},
	"github.com/brianvoe/gofakeit":    {"internal/zendesk/zendesktest"},
}

// ofTests are packages of ours that every room's tests may use, and only they.
var ofTests = []string{"internal/privacytest", "internal/origin/origintest"}

// forTests are the libraries that only tests may use, in every room.
var forTests = []string{"github.com/google/go-cmp", "github.com/rogpeppe/go-internal", "go.uber.org/goleak"}

func TestImportsKeepTheirDirection(t *testing.T) {
	files := goFiles(t)
	if len(files) < 10 {
		t.Fatalf("read %d Go files: the walk must be broken", len(files))
	}
	for file, imports := range files {
		folder := path.Dir(file)
		name, r, ok := roomOf(folder)
		if !ok {
			t.Errorf("%s: %s has no room: give it a row here and in docs/architecture.md", file, folder)
			continue
		}
		for _, imported := range imports {
			if why := refuse(name, r, strings.HasSuffix(file, "_test.go"), imported); why != "" {
				t.Errorf("%s imports %s: %s", file, imported, why)
			}
		}
	}
}

// TestRefuse breaks each kind of rule once: a table that allows everything
// would pass the test above.
func TestRefuse(t *testing.T) {
	tests := []struct {
		name     string
		file     string
		imported string
		allowed  bool
	}{
		{"cmd builds everything", "cmd/aniproxy/serve.go", "aniproxy/store", true},
		{"the simulator runs alone", "cmd/zendesk-sim/main.go", "aniproxy/store", false},
		{"proxy reads the domain", "proxy/lookup.go", "aniproxy/internal/caller", true},
		{"proxy does not know the store", "proxy/lookup.go", "aniproxy/store", false},
		{"nor do its tests", "proxy/lookup_test.go", "aniproxy/store", false},
		{"a part of proxy is proxy", "proxy/dashboard/page.go", "aniproxy/cache", false},
		{"proxy does not read the configuration", "proxy/server.go", "aniproxy/internal/config", false},
		{"cache does not ask Zendesk by itself", "cache/live.go", "aniproxy/internal/zendesk", false},
		{"its tests run on a real store", "cache/rule_test.go", "aniproxy/store", true},
		{"its tests may", "cache/live_test.go", "aniproxy/internal/zendesk/zendesktest", true},
		{"the rooms do not know each other", "sync/sweep.go", "aniproxy/cache", false},
		{"nobody imports cmd", "internal/upstream/adapter.go", "aniproxy/cmd/aniproxy", false},
		{"the domain does no output", "internal/caller/caller.go", "aniproxy/store", false},
		{"the client does not know the domain", "internal/zendesk/client.go", "aniproxy/internal/caller", false},
		{"the adapter does", "internal/upstream/user.go", "aniproxy/internal/caller", true},
		{"a room's name is not a prefix", "cache/live.go", "aniproxy/internal/callers", false},
		{"Echo in proxy", "proxy/server.go", "github.com/labstack/echo/v4", true},
		{"Echo elsewhere", "cmd/aniproxy/serve.go", "github.com/labstack/echo/v4", false},
		{"bbolt elsewhere", "cache/disk_test.go", "go.etcd.io/bbolt", false},
		{"a library nobody owns", "sync/walk.go", "golang.org/x/sync/errgroup", true},
		{"but not in a pure room", "internal/routing/rules.go", "golang.org/x/sync/errgroup", false},
		{"a test library in a test", "internal/routing/rules_test.go", "github.com/google/go-cmp/cmp", true},
		{"a test library in the program", "sync/walk.go", "github.com/google/go-cmp/cmp", false},
		{"our own test library in a test", "sync/walk_test.go", "aniproxy/internal/privacytest", true},
		{"our own test library in the program", "cmd/aniproxy/serve.go", "aniproxy/internal/privacytest", false},
		{"the standard library anywhere", "internal/status/status.go", "net/http", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			name, r, ok := roomOf(path.Dir(tt.file))
			if !ok {
				t.Fatalf("%s has no room", tt.file)
			}
			why := refuse(name, r, strings.HasSuffix(tt.file, "_test.go"), tt.imported)
			if (why == "") != tt.allowed {
				t.Errorf("%s importing %s: refused because %q, want allowed %v", tt.file, tt.imported, why, tt.allowed)
			}
		})
	}
}

// refuse says why a file of the room must not import what it imports, or "".
func refuse(name string, r room, test bool, imported string) string {
	switch first, _, _ := strings.Cut(imported, "/"); {
	case first == module:
		ours := strings.TrimPrefix(imported, module+"/")
		if slices.Contains(ofTests, ours) && !within(ours, name) {
			if test {
				return ""
			}
			return "it is for tests"
		}
		allowed := slices.Contains(r.ours, "*") || test && slices.Contains(r.inTests, "*") || slices.Contains(r.ours, ours) ||
			within(ours, name) || // itself, from its external tests or its parts
			test && slices.Contains(r.inTests, ours)
		if !allowed {
			return name + " may not know that room"
		}
		return ""
	case !strings.Contains(first, "."):
		return "" // the standard library
	}
	if test && slices.ContainsFunc(forTests, func(m string) bool { return within(imported, m) }) {
		return ""
	}
	if slices.ContainsFunc(forTests, func(m string) bool { return within(imported, m) }) {
		return "it is for tests"
	}
	for library, owners := range owned {
		if within(imported, library) && !slices.Contains(owners, name) {
			return "only for " + strings.Join(owners, ", ")
		}
	}
	if !r.anyOthers && !slices.ContainsFunc(r.others, func(m string) bool { return within(imported, m) }) {
		return name + " keeps to the standard library and " + strings.Join(append(slices.Clone(r.others), "its leaves"), ", ")
	}
	return ""
}

// roomOf finds the room that a folder is or is part of.
func roomOf(folder string) (string, room, bool) {
	for name := folder; name != "."; name = path.Dir(name) {
		if r, ok := rooms[name]; ok {
			return name, r, true
		}
	}
	return "", room{}, false
}

// within tells whether a path is the folder or below it.
func within(p, folder string) bool {
	return p == folder || strings.HasPrefix(p, folder+"/")
}

// goFiles reads what each Go file of the module imports, under whatever build
// tag, by its path in the module. Modules of their own below it are not ours.
func goFiles(t *testing.T) map[string][]string {
	t.Helper()
	files := map[string][]string{}
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return skip(file, entry.Name())
		}
		if !strings.HasSuffix(file, ".go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		imports := []string{}
		for _, spec := range parsed.Imports {
			imports = append(imports, strings.Trim(spec.Path.Value, "`\""))
		}
		files[filepath.ToSlash(relative)] = imports
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// skip leaves out the folders that the go command leaves out.
func skip(folder, name string) error {
	if filepath.Clean(folder) == filepath.Clean(root) {
		return nil
	}
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" {
		return fs.SkipDir
	}
	if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

// TestEachDependencyHasItsReason compares go.mod's direct requirements with the
// table of docs/dependencies.md, both ways and with their versions.
func TestEachDependencyHasItsReason(t *testing.T) {
	required := requirements(t)
	if len(required) < 5 {
		t.Fatalf("read %d direct requirements from go.mod: the reading must be broken", len(required))
	}
	documented := map[string]string{}
	row := regexp.MustCompile("(?m)^\\| `([^` ]+)` \\| ([^ |]+) \\| ([^|]+) \\| ([^|]+) \\| ([^|]+) \\|$")
	for _, columns := range row.FindAllStringSubmatch(read(t, "docs/dependencies.md"), -1) {
		documented[columns[1]] = columns[2]
	}
	for name, version := range required {
		switch got, ok := documented[name]; {
		case !ok:
			t.Errorf("go.mod requires %s, and docs/dependencies.md does not say why", name)
		case got != version:
			t.Errorf("docs/dependencies.md has %s at %s, go.mod at %s", name, got, version)
		}
	}
	for name := range documented {
		if _, ok := required[name]; !ok {
			t.Errorf("docs/dependencies.md has %s, which go.mod does not require", name)
		}
	}
}

// requirements reads the direct ones of go.mod with their versions.
func requirements(t *testing.T) map[string]string {
	t.Helper()
	required := map[string]string{}
	line := regexp.MustCompile(`(?m)^(?:require )?\t?([\w.-]+\.[\w.-]+/\S+) (v\S+)( // indirect)?$`)
	for _, columns := range line.FindAllStringSubmatch(read(t, "go.mod"), -1) {
		if columns[3] == "" {
			required[columns[1]] = columns[2]
		}
	}
	return required
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestEveryTestThatIsNamedExists: docs/architecture.md says by which test each
// rule is held, docs/security.md by which each attack is shown to fail; one
// that was renamed or is gone holds nothing.
func TestEveryTestThatIsNamedExists(t *testing.T) {
	there := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Benchmark|Fuzz)\w+)\(`)
	for file := range goFiles(t) {
		if !strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range declared.FindAllSubmatch(text, -1) {
			there[string(m[1])] = true
		}
	}
	for _, doc := range []string{"docs/architecture.md", "docs/security.md"} {
		named := regexp.MustCompile("`((?:Test|Benchmark|Fuzz)[A-Z]\\w+)`").FindAllStringSubmatch(read(t, doc), -1)
		if len(named) < 20 {
			t.Errorf("%s names only %d tests", doc, len(named))
		}
		for _, m := range named {
			if name := m[1]; !there[name] {
				t.Errorf("%s names %s, which is nowhere", doc, name)
			}
		}
	}
}
