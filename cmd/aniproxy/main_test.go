package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"aniproxy/internal/privacytest"
)

// written is all that the daemons of these tests have written, and all the
// people they knew: once the tests have run the one is searched for the other.
var written = privacytest.New()

// TestMain makes the test binary three things: the tests, the daemon that one
// of them kills, and the command that the scripts of testdata run.
func TestMain(m *testing.M) {
	if os.Getenv(envDaemonAccount) != "" {
		os.Exit(daemonOfATest())
	}
	logLibraries(written.Logger("what libraries log"))
	testscript.Main(written.Around(m), map[string]func(){
		"aniproxy": func() {
			stderr, done := scriptErrors()
			code := run(context.Background(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, stderr)
			done()
			os.Exit(code)
		},
	})
}

func TestScripts(t *testing.T) {
	folder := t.TempDir()
	t.Cleanup(func() { keepFiles(t, folder) })
	testscript.Run(t, testscript.Params{Dir: "testdata", Setup: func(e *testscript.Env) error {
		e.Setenv(envWritten, folder)
		return nil
	}})
}

// envWritten is the folder in which a daemon that a script runs has what it
// writes copied. What other commands say is said to whoever typed them.
const envWritten = "ANIPROXY_TEST_WRITTEN"

// scriptErrors is the standard error of the command in a script.
func scriptErrors() (stderr io.Writer, done func()) {
	folder := os.Getenv(envWritten)
	if folder == "" || len(os.Args) < 2 || os.Args[1] != "serve" && os.Args[1] != "demo" {
		return os.Stderr, func() {}
	}
	f, err := os.CreateTemp(folder, filepath.Base(os.Args[1])+"-*.log")
	if err != nil {
		panic(err) // of a test's own folder
	}
	return io.MultiWriter(os.Stderr, f), func() { f.Close() }
}
