package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"aniproxy/cache"
	"aniproxy/internal/ani"
	"aniproxy/internal/buildinfo"
	"aniproxy/internal/caller"
	"aniproxy/internal/config"
	"aniproxy/internal/delivery"
	"aniproxy/internal/erasure"
	"aniproxy/internal/upstream"
	"aniproxy/internal/zendesk"
	"aniproxy/proxy"
	"aniproxy/store"
	mirror "aniproxy/sync"
)

type serveCommand struct{ configFlag }

func (k *serveCommand) Run(c *console) error {
	cfg, err := k.load(c)
	if err != nil {
		return err
	}
	_, wrong := newPolicy(cfg)
	if err := errors.Join(cfg.ReadyToServe(), unsafe(cfg), wrong); err != nil {
		return &exit{code: exitFailed, text: "the daemon cannot start yet:\n" + err.Error()}
	}
	log := newLogger(c, cfg.Log)
	for _, w := range append(cfg.Warnings(), doubts(cfg)...) {
		log.Warn("configuration", slog.String("warning", w))
	}
	for _, key := range unused(cfg) {
		log.Warn("not used by this version", slog.String("key", key))
	}
	return serve(c.ctx, cfg, log, serveOptions{})
}

func newLogger(c *console, l config.Log) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		level = slog.LevelInfo // the configuration has been checked: this cannot be
	}
	o := &slog.HandlerOptions{Level: level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(c.errors, o))
	}
	return slog.New(slog.NewTextHandler(c.errors, o))
}

// serveOptions are what the demo and tests want beside the configuration.
type serveOptions struct {
	demo bool // grant everything without a key
	// filled is told once both streams have ever been read to their end.
	filled  func(addresses)
	clock   func() time.Time // nil is time.Now
	changed func()           // told of each commit
	// doubtWait is how long after a lost answer a comment waits; 0 leaves it to
	// the courier.
	doubtWait time.Duration
	// fillRecords is how many records a transaction of the first fill
	// gathers; 0 leaves it to the mirror.
	fillRecords int
}

// addresses are where the daemon listens, as URLs.
type addresses struct{ public, admin string }

// serve is the daemon from its beginning to its end.
func serve(ctx context.Context, cfg *config.Config, log *slog.Logger, o serveOptions) error {
	d, err := build(ctx, cfg, log, o)
	if err != nil {
		return err
	}
	return errors.Join(d.run(ctx, o.filled), d.close())
}

// daemon parts, in the order in which they are built: each knows only those
// before it.
type parts struct {
	cfg       *config.Config
	log       *slog.Logger
	o         serveOptions
	numbers   *ani.Normalizer
	zendesk   *zendesk.Client
	policy    *policy
	store     *store.Store
	outbox    *store.Outbox
	resolver  *cache.Resolver
	mirror    *mirror.Syncer
	courier   *delivery.Courier
	eraser    *erasure.Eraser
	listeners *proxy.Listeners

	filled     chan struct{} // closed once the mirror has ever been filled
	fillNotice sync.Once
}

func build(ctx context.Context, cfg *config.Config, log *slog.Logger, o serveOptions) (d *parts, err error) {
	if o.clock == nil {
		o.clock = time.Now
	}
	d = &parts{cfg: cfg, log: log, o: o, filled: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
			d = nil
		}
	}()
	if d.policy, err = newPolicy(cfg); err != nil {
		return d, err
	}
	for _, step := range []func() error{
		d.buildZendesk, d.buildStore, d.buildOutbox, d.buildResolver, d.buildMirror, d.buildCourier, d.buildEraser,
	} {
		if err := step(); err != nil {
			return d, err
		}
	}
	return d, d.buildProxy(ctx)
}

func (d *parts) buildZendesk() (err error) {
	if d.numbers, err = ani.New(d.cfg.Phone.DefaultRegion, d.cfg.Phone.ExtraRegions...); err != nil {
		return err
	}
	c := clientSettings(d.cfg)
	c.Logger, c.Clock = d.log, d.o.clock
	d.zendesk, err = zendesk.New(c)
	return err
}

func (d *parts) buildStore() (err error) {
	d.store, err = store.Open(store.Options{
		Path: d.cfg.Store.Path, Logger: d.log, Clock: d.o.clock, KeepResolved: d.cfg.Store.KeepResolved,
		Key: d.numbers.Key, KeyRules: d.numbers.Fingerprint(), OnCommit: d.committed,
	})
	if err == nil && d.store.Streams().Filled() {
		d.noticeFilled()
	}
	return err
}

// committed is told of every change before the Apply that brought it returns.
// Nothing is applied before everything is built.
func (d *parts) committed(c caller.Change) {
	d.resolver.Invalidate(c)
	if d.store.Streams().Filled() {
		d.noticeFilled()
	}
	if d.o.changed != nil {
		d.o.changed()
	}
}

func (d *parts) noticeFilled() { d.fillNotice.Do(func() { close(d.filled) }) }

// buildOutbox opens what is to be written to Zendesk: a file of its own beside
// the mirror's, since a mirror can be filled again and a comment cannot.
func (d *parts) buildOutbox() (err error) {
	d.outbox, err = store.OpenOutbox(store.OutboxOptions{
		Path: outboxPath(d.cfg.Store.Path), Logger: d.log, Clock: d.o.clock, OnAccept: d.accepted,
	})
	return err
}

// outboxPath is beside the mirror: data/aniproxy.outbox.db for
// data/aniproxy.db.
func outboxPath(mirror string) string {
	ext := filepath.Ext(mirror)
	return strings.TrimSuffix(mirror, ext) + ".outbox" + ext
}

// accepted is told of each commit that has queued something. Nothing is
// accepted before everything is built.
func (d *parts) accepted() { d.courier.Wake() }

func (d *parts) buildCourier() error {
	d.courier = delivery.New(delivery.Options{
		Outbox: d.outbox, Desk: d.adapter().Desk(d.zendesk), Mirror: d.store, Logger: d.log, Clock: d.o.clock,
		Rand: mathrand.Float64, FollowUpClosed: d.cfg.Comments.FollowUpClosed, DoubtWait: d.o.doubtWait,
	})
	return nil
}

func (d *parts) buildResolver() (err error) {
	d.resolver, err = cache.New(cache.Options{
		Store: d.store, Live: d.adapter().Live(), Behind: d.adapter().Background(), CatchingUp: d.catchingUp, Numbers: d.numbers, Logger: d.log, Clock: d.o.clock,
		MemoryBytes: int64(d.cfg.Cache.MemoryMB) << 20, Roles: d.cfg.Match.Roles,
		NegativeTTL: d.cfg.Cache.NegativeTTL, Timeout: d.cfg.Live.Timeout,
		MaxConcurrent: int64(d.cfg.Live.MaxConcurrent), MaxStale: d.cfg.Live.MaxStale,
	})
	return err
}

// catchingUp is asked by lookups, which come when everything is built.
func (d *parts) catchingUp() bool { return d.mirror.CatchingUp() }

func (d *parts) adapter() *upstream.Adapter {
	return upstream.New(d.zendesk, d.numbers, d.cfg.Match.Roles, d.log)
}

func (d *parts) buildMirror() (err error) {
	d.mirror, err = mirror.New(mirror.Options{
		Source: d.adapter(), Prompt: d.adapter().Prompt(), Store: d.store, Logger: d.log, Clock: d.o.clock,
		Schedule: d.cfg.Sync.Schedule, FullSchedule: d.cfg.Sync.FullSchedule,
		OnStart: d.cfg.Sync.OnStart, Identities: d.cfg.Sync.Identities, DeleteGuard: d.cfg.Sync.DeleteGuard,
		FirstFillRecords: d.o.fillRecords,
	})
	return err
}

func (d *parts) buildEraser() error {
	d.eraser = erasure.New(erasure.Options{
		Mirror: d.store, Memory: d.resolver, Outbox: d.outbox, Logger: d.log, Clock: d.o.clock,
	})
	return nil
}

func (d *parts) buildProxy(ctx context.Context) error {
	s := &d.cfg.Server
	server, err := proxy.New(proxy.Options{ //nolint:contextcheck // requests bring their own
		Resolver: d.resolver, Directory: d.store, Mirror: d.mirror, Outbox: d.outbox, Numbers: d.numbers,
		Eraser: d.eraser, Notices: d.mirror, WebhookSecrets: secrets(d.cfg.Webhook.Secrets),
		Voices: d.policy.voices, Router: d.policy.router, Zendesk: d.zendesk.Stats,
		Logger: d.log, Registry: prometheus.NewRegistry(), Clock: d.o.clock, RandomID: rand.Text,
		Clients: clients(d.cfg.Clients), DemoAll: d.o.demo,
		AgentBase: d.cfg.Zendesk.Origin() + "/agent", Agents: d.cfg.Agents,
		TicketPolicy: d.policy.tickets, AllowPublic: d.cfg.Comments.AllowPublic, DedupeWindow: d.cfg.Comments.DedupeWindow,
		Deadline: d.cfg.Live.Timeout, AdminSame: s.AdminListen == config.Same,
		AdminLoopback:  loopback(s.AdminListen),
		TrustedProxies: s.TrustedProxies, AllowCIDRs: s.AllowCIDRs,
	})
	if err != nil {
		return err
	}
	binds := []proxy.Bind{{Addr: s.Listen, Handler: server.Public(), CertFile: s.TLSCert, KeyFile: s.TLSKey}}
	if s.AdminListen != config.Same {
		admin := proxy.Bind{Addr: s.AdminListen, Handler: server.Admin()}
		if !loopback(s.AdminListen) {
			admin.CertFile, admin.KeyFile = s.TLSCert, s.TLSKey
		}
		binds = append(binds, admin)
	}
	d.listeners, err = proxy.Listen(ctx, d.log, binds...)
	return err
}

// at is where the daemon listens: the admin's socket is the last one.
func (d *parts) at() addresses {
	bound := d.listeners.Addrs()
	scheme := "http://"
	if d.cfg.Server.TLS() {
		scheme = "https://"
	}
	public := scheme + bound[0].String()
	if len(bound) == 1 {
		return addresses{public: public, admin: public}
	}
	if loopback(d.cfg.Server.AdminListen) {
		scheme = "http://"
	}
	return addresses{public: public, admin: scheme + bound[1].String()}
}

// loopback tells whether an address of the configuration is this machine's own.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && (host == "localhost" || net.ParseIP(host).IsLoopback())
}

func clients(configured []config.Client) []proxy.Client {
	all := make([]proxy.Client, 0, len(configured))
	for i := range configured {
		c := &configured[i]
		client := proxy.Client{
			Name: c.Name, Scopes: c.Scopes, Fields: c.Fields,
			Rate: c.Rate, Burst: c.Burst, LivePerMinute: c.LivePerMinute,
		}
		for _, d := range c.SecretSHA256 {
			client.Digests = append(client.Digests, d)
		}
		all = append(all, client)
	}
	return all
}

func secrets(configured []config.Secret) []string {
	all := make([]string, len(configured))
	for i, s := range configured {
		all[i] = s.Reveal()
	}
	return all
}

// run serves until ctx ends or something fails, and then stops in order: no
// new requests, those under way drained, then the mirror and the courier
// stopped. close does the rest.
func (d *parts) run(ctx context.Context, filled func(addresses)) error {
	mirroring, stopMirror := context.WithCancel(context.WithoutCancel(ctx))
	defer stopMirror()
	var running sync.WaitGroup
	failed := make(chan error, 4)
	running.Go(func() { failed <- d.mirror.Run(mirroring) })
	// Before anything is delivered: an outbox that was restored may hold what
	// somebody had erased. It fails only where the end has come already.
	if d.eraser.Settle(ctx) == nil {
		running.Go(func() { failed <- d.courier.Run(mirroring) })
	}
	running.Go(func() { failed <- d.eraser.Run(mirroring) })
	running.Go(func() { failed <- d.listeners.Serve() })
	at := d.at()
	d.log.Info("serving", slog.String("public", at.public), slog.String("admin", at.admin), slog.String("version", buildinfo.Version()))

	var err error
	notice := d.filled
	for ctx.Err() == nil && err == nil {
		select {
		case <-notice:
			notice = nil
			if filled != nil {
				filled(at)
			}
		case err = <-failed:
			if err == nil {
				err = errors.New("a part of the daemon ended by itself")
			}
		case <-ctx.Done():
		}
	}
	d.log.Info("stopping")
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.cfg.Server.ShutdownTimeout)
	defer cancel()
	if drained := d.listeners.Shutdown(patience); drained != nil {
		d.log.Warn("requests were cut off", slog.Any("error", drained))
	}
	stopMirror()
	running.Wait()
	return err
}

// close ends the parts in the reverse order of their building. It may be
// called when only some of them are there.
func (d *parts) close() error {
	if d.resolver != nil {
		d.resolver.Close()
	}
	if d.zendesk != nil {
		d.zendesk.Close()
	}
	var errs []error
	if d.outbox != nil {
		if err := d.outbox.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close the outbox: %w", err))
		}
	}
	if d.store != nil {
		if err := d.store.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close the store: %w", err))
		}
	}
	d.log.Info("stopped")
	return errors.Join(errs...)
}
