package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzLoad holds Load to this: whatever file and environment it is given, it
// does not panic; an error is a *Faults of which each says something; and a
// configuration without secrets that loads is shown in a form that loads again.
func FuzzLoad(f *testing.F) {
	if reference, err := os.ReadFile(reference); err == nil {
		f.Add(reference, "")
		f.Add([]byte(withExamples(string(reference))), "ANIPROXY_CACHE_MEMORY_MB=64")
	}
	bad, err := filepath.Glob(filepath.Join("testdata", "bad", "*.toml"))
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range bad {
		doc, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(doc, "ANIPROXY_SERVER_LISTN=x\nANIPROXY_MATCH_ROLES=,,\nANIPROXY_SYNC_SCHEDULE=TZ=0")
	}
	f.Fuzz(func(t *testing.T, doc []byte, env string) {
		c, err := load("config.toml", doc, strings.Split(env, "\n"), noFiles)
		if err != nil {
			var faults *Faults
			if !errors.As(err, &faults) || len(faults.List) == 0 {
				t.Fatalf("the error is %T %v", err, err)
			}
			for _, fault := range faults.List {
				if fault.Message == "" || fault.Env == "" && fault.File == "" {
					t.Errorf("a fault says nothing or nowhere: %+v", fault)
				}
			}
			return
		}
		_ = c.Warnings()
		text := c.Effective()
		if strings.Contains(text, mask) {
			return
		}
		again, err := load("effective.toml", []byte(text), nil, noFiles)
		if err != nil {
			t.Fatalf("the effective configuration does not load: %v\n%s", err, text)
		}
		if diff := cmp.Diff(c, again, sameValues); diff != "" {
			t.Errorf("the effective configuration is another (-shown +loaded):\n%s", diff)
		}
	})
}
