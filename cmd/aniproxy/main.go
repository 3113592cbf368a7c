// Command aniproxy answers who is calling, from a mirror of Zendesk.
//
// One file a command; serve.go is the page where everything is built, started
// and stopped.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"aniproxy/internal/buildinfo"
	"aniproxy/internal/caught"
)

// Exit codes.
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2
	exitNotFound = 3
)

// program is the command line.
type program struct {
	Serve   serveCommand   `cmd:"" help:"Run the daemon."`
	Demo    demoCommand    `cmd:"" help:"Run the daemon with a made-up Zendesk account, to try it out."`
	Lookup  lookupCommand  `cmd:"" help:"Ask a running daemon who has a number."`
	Resync  resyncCommand  `cmd:"" help:"Have a running daemon read Zendesk again."`
	Explain explainCommand `cmd:"" help:"Ask a running daemon why it answers a number as it does."`
	Stats   statsCommand   `cmd:"" help:"Show what a running daemon counts."`
	Erase   eraseCommand   `cmd:"" help:"Have a running daemon erase a person, or let them back in."`
	Config  configCommand  `cmd:"" help:"Look at the configuration."`
	Key     keyCommand     `cmd:"" help:"Make keys for clients."`
	Webhook webhookCommand `cmd:"" help:"Have Zendesk tell of changes by webhook."`
	Webex   webexCommand   `cmd:"" help:"Write a flow for Webex Contact Center."`
	Version versionCommand `cmd:"" help:"Show what this binary was built from."`
}

// exit is an error that says with which code the program ends. Its text is
// shown where it is not empty.
type exit struct {
	code int
	text string
}

func (e *exit) Error() string { return e.text }

// console is what a command reads and writes.
type console struct {
	ctx         context.Context //nolint:containedctx // kong hands commands one value; this is the run's
	in          io.Reader
	out, errors io.Writer
	env         []string
}

// printf writes for a person to read. Where nobody reads any more, nobody is
// left to be told.
func (c *console) printf(format string, args ...any) {
	_, _ = fmt.Fprint(c.out, plain(fmt.Sprintf(format, args...)))
}

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// run is the program. The first interrupt asks it to end in order, a second
// one ends it at once.
func run(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // hands the second signal to its default: the end

	var p program
	code := -1
	parser, err := kong.New(&p, kong.Name("aniproxy"),
		kong.Description("Who is calling, and which ticket are they calling about? Answered from a mirror of Zendesk."),
		kong.Writers(stdout, stderr), kong.Exit(func(c int) { code = c }), kong.UsageOnError())
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "aniproxy: %v\n", err)
		return exitFailed
	}
	parsed, err := parser.Parse(args)
	if code >= 0 { // --help has been answered
		return code
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "aniproxy: %v\n", err)
		return exitUsage
	}
	err = caught.Run("the command", func() error {
		return parsed.Run(&console{ctx: ctx, in: stdin, out: stdout, errors: stderr, env: env})
	})
	if err == nil {
		return exitDone
	}
	var fault *caught.Panic
	if errors.As(err, &fault) {
		_, _ = fmt.Fprintf(stderr, "%s", fault.Stack)
	}
	var e *exit
	if !errors.As(err, &e) {
		e = &exit{code: exitFailed, text: err.Error()}
	}
	if e.text != "" {
		_, _ = fmt.Fprintf(stderr, "aniproxy: %s\n", plain(e.text))
	}
	return e.code
}

type versionCommand struct{}

func (versionCommand) Run(c *console) error { //nolint:unparam // the form that kong wants
	c.printf("%s\n", buildinfo.Read())
	return nil
}
