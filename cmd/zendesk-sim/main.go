// Command zendesk-sim runs the Zendesk simulator alone: an account made up
// from a seed, with the service's own awkwardness, and controls under /_sim.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"aniproxy/internal/zendesk/zendesktest"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// patience is how long a stop waits for requests under way.
const patience = 5 * time.Second

type options struct {
	Listen         string        `default:"127.0.0.1:8090" help:"Address to listen on."`
	Users          int           `default:"2000" help:"Customers to make up."`
	Tickets        int           `default:"0" help:"Tickets to make up; 0 is two a customer, negative none."`
	Seed           uint64        `default:"1" help:"Seed of the account; the same seed makes the same people and numbers."`
	Unlimited      bool          `help:"Set the rate limits so high that nobody reaches them."`
	HideNewest     time.Duration `default:"60s" help:"How much of the newest past exports leave out; 0 is nothing but the current second."`
	SearchLag      time.Duration `default:"2m" help:"How long search does not know of a change; 0 is not at all."`
	AllowRemote    bool          `help:"Allow an address other than loopback. The controls under /_sim ask for no credentials."`
	LogRequests    bool          `help:"Log one line a request."`
	FindIdentities bool          `help:"Let phone:* find numbers that are only identities."`
	Sideload       bool          `help:"Let the user export carry include=identities."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program; it returns the exit code once everything has stopped.
func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	var opt options
	code := -1
	parser, err := kong.New(&opt, kong.Name("zendesk-sim"),
		kong.Description("A Zendesk account in memory, for trying out clients."),
		kong.Writers(stdout, stderr), kong.Exit(func(c int) { code = c }))
	if err != nil {
		say(stderr, "zendesk-sim: %v\n", err)
		return exitFailed
	}
	_, err = parser.Parse(args)
	if code >= 0 { // --help has been answered
		return code
	}
	if err == nil {
		err = opt.check()
	}
	if err != nil {
		say(stderr, "zendesk-sim: %v\n", err)
		return exitUsage
	}
	if err := serve(ctx, &opt, stdout, stderr); err != nil {
		say(stderr, "zendesk-sim: %v\n", err)
		return exitFailed
	}
	return exitDone
}

// say prints to a terminal or a pipe; when that is gone, nobody is left to tell.
func say(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }

func (o *options) check() error {
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	ip := net.ParseIP(host)
	if loopback := host == "localhost" || (ip != nil && ip.IsLoopback()); !loopback && !o.AllowRemote {
		return fmt.Errorf("--listen %s is not loopback, and the controls ask for no credentials; --allow-remote allows it", o.Listen)
	}
	if o.Users < 0 || o.Users > 10_000_000 || o.Tickets > 50_000_000 {
		return errors.New("--users goes to 10000000, --tickets to 50000000")
	}
	if o.HideNewest < 0 || o.SearchLag < 0 {
		return errors.New("--hide-newest and --search-lag cannot be negative")
	}
	return nil
}

func serve(ctx context.Context, opt *options, stdout, stderr io.Writer) error {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", opt.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	base := "http://" + ln.Addr().String()
	level := slog.LevelWarn
	if opt.LogRequests {
		level = slog.LevelInfo
	}
	began := time.Now()
	sim := zendesktest.New(zendesktest.Options{
		Seed: opt.Seed, Users: opt.Users, Tickets: opt.Tickets, BaseURL: base,
		HideNewest: orNone(opt.HideNewest), SearchLag: orNone(opt.SearchLag),
		Limits:                opt.limits(),
		SearchFindsIdentities: opt.FindIdentities, SideloadIdentities: opt.Sideload,
		Logger: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level})),
	})
	defer sim.Close()
	debug.FreeOSMemory() // what making the account up has left behind
	announce(stdout, opt, sim, base, time.Since(began))

	server := &http.Server{Handler: sim, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.NewTextHandler(stderr, nil), slog.LevelWarn)}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ln) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	say(stdout, "stopping\n")
	sim.Close() // lets go of requests that a fault makes hang
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if err := server.Shutdown(late); err != nil {
		_ = server.Close() // whoever is still connected has had their time
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// orNone turns the command line's 0 into the package's "none".
func orNone(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

func announce(w io.Writer, opt *options, sim *zendesktest.Server, base string, took time.Duration) {
	users, tickets := sim.Truth().Size()
	say(w, "zendesk-sim: %d users and %d tickets in %s\n", users, tickets, took.Round(time.Millisecond))
	say(w, "listening on %s\n\n", base)
	say(w, "  OAuth   client %s, secret %s\n", zendesktest.DefaultClientID, zendesktest.DefaultClientSecret)
	say(w, "  token   %s/token:%s\n\n", zendesktest.DefaultEmail, zendesktest.DefaultAPIToken)
	say(w, "Exports leave the newest %s out, and search learns of a change after %s (--search-lag 0: at once).\n\n", opt.HideNewest, opt.SearchLag)
	say(w, "  curl %s/_sim                                 the controls\n", base)
	say(w, "  curl '%s/_sim/people?kind=ticket&limit=3'    people to call from\n", base)
	say(w, "  curl -u %s/token:%s %s/api/v2/users/me.json\n", zendesktest.DefaultEmail, zendesktest.DefaultAPIToken, base)
}

func (o *options) limits() zendesktest.Limits {
	if o.Unlimited {
		return zendesktest.Ample()
	}
	return zendesktest.Limits{}
}
