package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"aniproxy/internal/ani"
	"aniproxy/internal/config"
	"aniproxy/internal/zendesk/zendesktest"
)

type demoCommand struct {
	Users       int    `default:"3000" help:"People of the made-up account."`
	Listen      string `default:"127.0.0.1:8080" help:"Where the proxy listens." placeholder:"ADDR"`
	AdminListen string `default:"127.0.0.1:8081" help:"Where its admin listener listens." placeholder:"ADDR"`
	SimListen   string `default:"127.0.0.1:8090" help:"Where the made-up Zendesk listens." placeholder:"ADDR"`
	Seed        uint64 `default:"1" help:"The same seed makes the same people."`
}

// Run starts a made-up account and a daemon that mirrors it, says where to
// look, and runs until it is interrupted. Its data goes with it.
func (k *demoCommand) Run(c *console) error {
	for _, addr := range []string{k.Listen, k.AdminListen, k.SimListen} {
		if !loopback(addr) {
			return &exit{code: exitUsage, text: fmt.Sprintf("%s is not a loopback address such as 127.0.0.1:8080: the demo asks nobody for a key", addr)}
		}
	}
	if k.Users < 1 || k.Users > 5_000_000 {
		return &exit{code: exitUsage, text: "--users goes from 1 to 5000000"}
	}
	folder, err := os.MkdirTemp("", "aniproxy-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder) //nolint:errcheck // a temporary folder that stays is not worth an error
	log := slog.New(slog.NewTextHandler(c.errors, &slog.HandlerOptions{Level: slog.LevelError}))

	zendesk, err := startAccount(c.ctx, k, log)
	if err != nil {
		return err
	}
	defer zendesk.stop()
	began := time.Now()
	return serve(c.ctx, k.config(zendesk.url, filepath.Join(folder, "demo.db")), log, serveOptions{
		demo: true,
		filled: func(at addresses) {
			k.welcome(c, zendesk, at, time.Since(began))
		},
	})
}

// config is the default configuration but for the account, and quicker in
// everything that one would otherwise wait minutes to see.
func (k *demoCommand) config(account, path string) *config.Config {
	cfg := config.Defaults()
	cfg.Server.Listen, cfg.Server.AdminListen = k.Listen, k.AdminListen
	cfg.Zendesk.BaseURL = account
	cfg.Zendesk.ClientID = zendesktest.DefaultClientID
	cfg.Zendesk.ClientSecret = zendesktest.DefaultClientSecret
	cfg.Zendesk.RatePerMinute = 10_000
	cfg.Store.Path = path
	cfg.Sync.Schedule = "@every 5s"
	cfg.Live.MaxStale = 2 * time.Minute // an export is a minute behind by itself
	return cfg
}

// account is the made-up Zendesk on a socket of its own.
type account struct {
	sim    *zendesktest.Server
	url    string
	server *http.Server
	ended  chan error
}

func startAccount(ctx context.Context, k *demoCommand, log *slog.Logger) (*account, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", k.SimListen)
	if err != nil {
		return nil, fmt.Errorf("%w; --sim-listen names another address", err)
	}
	a := &account{url: "http://" + ln.Addr().String(), ended: make(chan error, 1)}
	a.sim = zendesktest.New(zendesktest.Options{
		Seed: k.Seed, Users: k.Users, BaseURL: a.url, SearchLag: -1, Limits: zendesktest.Ample(), Logger: log,
	})
	a.server = &http.Server{Handler: a.sim, ReadHeaderTimeout: 10 * time.Second}
	go func() { a.ended <- a.server.Serve(ln) }()
	return a, nil
}

func (a *account) stop() {
	a.sim.Close() // lets go of requests that a fault makes hang
	if err := a.server.Close(); err == nil {
		<-a.ended //nolint:errcheck // that it was closed is what it says
	}
}

// welcome says where to look and gives lines that work as pasted.
func (k *demoCommand) welcome(c *console, a *account, at addresses, took time.Duration) {
	people, tickets := a.sim.Truth().Size()
	known, unknown, err := k.examples(a)
	if err != nil {
		c.printf("aniproxy demo: %v\n", err)
		return
	}
	ask := func(number string) string {
		return fmt.Sprintf(`curl -s %s/v1/lookup -H 'Content-Type: application/json' -d '{"ani":"%s"}'`, at.public, number)
	}
	c.printf(`
aniproxy demo: a made-up Zendesk with %d people and %d tickets, mirrored in %s.

  the proxy     %s
  its admin     %s   (/v1/stats, /metrics)
  the Zendesk   %s/_sim   (change people, break things)

1. Who calls, and about which ticket? From the mirror ("source": "disk", then "memory"):

  %s

2. Zendesk goes down. Ask again: still answered, and in a minute or two "stale" turns 1
   (what an export says is a minute old by itself; here two minutes are stale).

  curl -s -X POST %s/_sim/down

3. Zendesk is back (paste this once), with somebody whom the mirror does not know yet. Asked live, then from memory:

  curl -s -X POST %s/_sim/up; curl -s %s/_sim/users -d '{"name":"Nora Newcomer","phone":"%s","ticket":"No dial tone"}'; %s

The same from the command line, in any spelling:

  ./bin/aniproxy lookup '%s'%s

Ctrl-C ends it and leaves nothing behind.
`, people, tickets, took.Round(10*time.Millisecond), at.public, at.admin, a.url,
		ask(known), a.url, a.url, a.url, unknown, ask(unknown), spelled(known), k.serverFlag(at))
}

// serverFlag is what a command needs to find this daemon.
func (k *demoCommand) serverFlag(at addresses) string {
	if at.admin == defaultServer {
		return ""
	}
	return " --server " + at.admin
}

// examples finds a number that one person with an unresolved ticket has, and
// one that nobody has.
func (k *demoCommand) examples(a *account) (known, unknown string, err error) {
	numbers, err := ani.New("US")
	if err != nil {
		return "", "", err
	}
	truth := a.sim.Truth()
	holders := map[string]int{}
	for u := range truth.Users() {
		for _, phone := range append(u.Identities, u.Phone) {
			if e164, ok := numbers.Key(phone); ok {
				holders[e164]++
			}
		}
	}
	for u := range truth.Users() {
		e164, ok := numbers.Key(u.Phone)
		if !ok || !u.Active || u.Role != "end-user" || holders[e164] != 1 || e164[:2] != "+1" {
			continue
		}
		for _, t := range truth.TicketsOf(u.ID) {
			if t.Unresolved() {
				known = e164
			}
		}
		if known != "" {
			break
		}
	}
	if known == "" {
		return "", "", errors.New("this seed makes nobody with a number of their own and an open ticket; try another --seed or more --users")
	}
	for i := range 10_000 {
		unknown = fmt.Sprintf("+1513555%04d", i)
		if holders[unknown] == 0 {
			break
		}
	}
	return known, unknown, nil
}

// spelled writes a number of North America as people there do.
func spelled(e164 string) string {
	if len(e164) != 12 {
		return e164
	}
	return "(" + e164[2:5] + ") " + e164[5:8] + "-" + e164[8:]
}
