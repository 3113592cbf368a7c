// Command sbom writes what a program of ours was made of, as a CycloneDX list
// in JSON, from the program itself: the linker writes into every Go binary
// which modules are in it, at which version and with which checksum. Nothing is
// taken from go.mod, which also names what only tests use.
//
// The same binary gives the same bytes: the serial number comes from the
// binary's digest and the time is the commit's. `make build` runs it, once for
// each program, and it reads programs for other systems as well.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

// run reads the one binary that the arguments name and writes its list.
func run(args []string, out, complaints io.Writer) error {
	var s stamp
	var table, committed string
	flags := flag.NewFlagSet("sbom", flag.ContinueOnError)
	flags.SetOutput(complaints)
	flags.StringVar(&s.name, "name", "", "the program's name")
	flags.StringVar(&s.version, "version", "", "the program's version, which the linker stamps without the binary saying so")
	flags.StringVar(&s.commit, "commit", "", "the commit it was built from")
	flags.StringVar(&committed, "time", "", "the commit's time (RFC 3339)")
	flags.StringVar(&table, "licences", "", "a table in Markdown: | `module` | version | licence |")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("one binary is wanted, not %d", flags.NArg())
	}
	if committed != "" {
		at, err := time.Parse(time.RFC3339, committed)
		if err != nil {
			return fmt.Errorf("-time: %w", err)
		}
		s.committed = at
	}
	var licences map[string]string
	if table != "" {
		text, err := os.ReadFile(table)
		if err != nil {
			return err
		}
		licences = readLicences(text)
	}
	bom, err := list(flags.Arg(0), s, licences)
	if err != nil {
		return err
	}
	return cyclonedx.NewBOMEncoder(out, cyclonedx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).
		EncodeVersion(bom, cyclonedx.SpecVersion1_6)
}
