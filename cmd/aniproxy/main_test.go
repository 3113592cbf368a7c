package main

import (
	"context"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes the test binary three things: the tests, the daemon that one
// of them kills, and the command that the scripts of testdata run.
func TestMain(m *testing.M) {
	if os.Getenv(envDaemonAccount) != "" {
		os.Exit(daemonOfATest())
	}
	testscript.Main(m, map[string]func(){
		"aniproxy": func() {
			os.Exit(run(context.Background(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
		},
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata"})
}
