package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"aniproxy/cache"
	"aniproxy/internal/ani"
	"aniproxy/internal/audit"
	"aniproxy/internal/buildinfo"
	"aniproxy/internal/caller"
	"aniproxy/internal/caught"
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
	if err := errors.Join(cfg.ReadyToServe(), wrong); err != nil {
		return &exit{code: exitFailed, text: "the daemon cannot start yet:\n" + err.Error()}
	}
	log := newLogger(c, cfg.Log)
	for _, w := range append(cfg.Warnings(), doubts(cfg)...) {
		log.Warn("configuration", slog.String("warning", w))
	}
	return serve(c.ctx, cfg, log, serveOptions{reloads: reloads{load: k.again(c, cfg)}})
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
	// reloads have the configuration read again.
	reloads reloads
}

// addresses are where the daemon listens, as URLs.
type addresses struct{ public, admin string }

// serve is the daemon from its beginning to its end.
func serve(ctx context.Context, cfg *config.Config, log *slog.Logger, o serveOptions) error {
	if o.reloads.load != nil { // else it ends the process, as a terminal that is closed should
		signals, stop := hangUps() // before anything is opened
		defer stop()
		o.reloads.signals = signals
	}
	logLibraries(log)
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
	audit     *audit.Log
	listeners *proxy.Listeners
	drain     func() // answers at once whoever failed to log in
	reloader  *reloader

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
		d.buildZendesk, d.buildStore, d.buildOutbox, d.buildResolver, d.buildMirror, d.buildCourier, d.buildEraser, d.buildAudit,
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
func outboxPath(mirror string) string { return beside(mirror, ".outbox"+filepath.Ext(mirror)) }

// beside is the path of another file of the same mirror: data/aniproxy.audit.log
// for data/aniproxy.db.
func beside(mirror, ending string) string {
	return strings.TrimSuffix(mirror, filepath.Ext(mirror)) + ending
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

// buildAudit opens the log of what admins do, and begins with the start.
func (d *parts) buildAudit() (err error) {
	if d.audit, err = audit.Open(beside(d.cfg.Store.Path, ".audit.log"), d.o.clock); err != nil {
		return err
	}
	d.verifyAudit(beside(d.cfg.Store.Path, ".audit.log"))
	return d.audit.Record(d.note("start", "version "+buildinfo.Version()))
}

// verifyAudit goes through the log as it was found, and warns of the first line
// that does not fit: somebody should look, and the calls go on.
func (d *parts) verifyAudit(path string) {
	file, err := os.Open(path)
	if err == nil {
		defer file.Close() //nolint:errcheck // nothing was written
		_, err = audit.Verify(file)
	}
	if err != nil {
		d.log.Warn("the audit log was changed by somebody, or cannot be read", slog.String("path", path), slog.Any("error", err))
	}
}

// note is a record of what the daemon itself does.
func (d *parts) note(action, target string) audit.Record {
	return audit.Record{Event: audit.Note, Action: action, Client: "aniproxy", Target: target}
}

func (d *parts) buildProxy(ctx context.Context) error {
	s := &d.cfg.Server
	registry := prometheus.NewRegistry()
	server, err := proxy.New(proxy.Options{ //nolint:contextcheck // requests bring their own
		Resolver: d.resolver, Directory: d.store, Mirror: d.mirror, Outbox: d.outbox, Numbers: d.numbers,
		Eraser: d.eraser, Audit: d.audit, Notices: d.mirror, WebhookSecrets: secrets(d.cfg.Webhook.Secrets),
		Voices: d.policy.voices, Router: d.policy.router, Zendesk: d.zendesk.Stats,
		Logger: d.log, Registry: registry, Clock: d.o.clock, RandomID: rand.Text,
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
	d.drain = server.Drain
	if d.reloader, err = newReloader(d.log, d.cfg, d.o.reloads, registry, reloadable(server, d.cfg)); err != nil {
		return err
	}
	d.reloader.record = func(k keysChange) error { return d.audit.Record(d.note("keys_reloaded", k.String())) }
	return d.listen(ctx, registry, server)
}

// listen opens the sockets: the public one, and the admin's where it has one.
func (d *parts) listen(ctx context.Context, registry *prometheus.Registry, server *proxy.Server) error {
	s := &d.cfg.Server
	certificates, err := d.certificates()
	if err != nil {
		return err
	}
	binds := []proxy.Bind{{
		Name: "public", Addr: s.Listen, Handler: server.Public(), Certificates: certificates, TrustedProxies: s.TrustedProxies, Clock: d.o.clock,
	}}
	if s.AdminListen != config.Same {
		admin := proxy.Bind{Name: "admin", Addr: s.AdminListen, Handler: server.Admin(), TrustedProxies: s.TrustedProxies, Clock: d.o.clock}
		if !loopback(s.AdminListen) {
			admin.Certificates = certificates
		}
		binds = append(binds, admin)
	}
	if d.listeners, err = proxy.Listen(ctx, d.log, binds...); err != nil {
		return err
	}
	return registry.Register(d.listeners)
}

// certificates are from files or, for the names in acme_domains, from an
// authority; nil, which is plain HTTP, where the configuration has neither.
// What was fetched is kept beside the store.
func (d *parts) certificates() (proxy.Certificates, error) {
	s := &d.cfg.Server
	switch {
	case s.TLSCert != "":
		return proxy.NewKeyPair(s.TLSCert, s.TLSKey, d.o.clock, d.log)
	case len(s.ACMEDomains) > 0:
		return proxy.NewACME(proxy.ACMEOptions{
			Domains: s.ACMEDomains, Dir: filepath.Join(filepath.Dir(d.cfg.Store.Path), "acme"), Logger: d.log, Clock: d.o.clock,
		})
	default:
		return nil, nil
	}
}

// at is where the daemon listens: the admin's socket is the last one. A
// certificate that was fetched is for a name, so that it is named by it.
func (d *parts) at() addresses {
	s, bound := &d.cfg.Server, d.listeners.Addrs()
	url := func(addr net.Addr, sealed bool) string {
		if !sealed {
			return "http://" + addr.String()
		}
		if _, port, err := net.SplitHostPort(addr.String()); err == nil && len(s.ACMEDomains) > 0 {
			return "https://" + net.JoinHostPort(s.ACMEDomains[0], port)
		}
		return "https://" + addr.String()
	}
	public := url(bound[0], s.TLS())
	if len(bound) == 1 {
		return addresses{public: public, admin: public}
	}
	return addresses{public: public, admin: url(bound[1], s.TLS() && !loopback(s.AdminListen))}
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
			Rate: c.Rate, Burst: c.Burst, LivePerMinute: c.LivePerMinute, DistinctPerMinute: c.DistinctPerMinute,
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
	failed := make(chan error, 5)
	running.Go(func() { failed <- d.part("the mirror", func() error { return d.mirror.Run(mirroring) }) })
	// Before anything is delivered: an outbox that was restored may hold what
	// somebody had erased. It fails only where the end has come already.
	if d.eraser.Settle(ctx) == nil {
		running.Go(func() { failed <- d.part("the courier", func() error { return d.courier.Run(mirroring) }) })
	}
	running.Go(func() { failed <- d.part("the eraser", func() error { return d.eraser.Run(mirroring) }) })
	running.Go(func() { failed <- d.listeners.Serve() })
	running.Go(func() {
		if err := d.part("reloading", func() error { d.reloader.run(mirroring); return nil }); err != nil {
			failed <- err
		}
	})
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
	d.drain()
	if drained := d.listeners.Shutdown(patience); drained != nil {
		d.log.Warn("requests were cut off", slog.Any("error", drained))
	}
	stopMirror()
	running.Wait()
	return err
}

// part runs one of the parts. A panic is its error, and ends the daemon in order;
// left to itself it would have the value printed, which may be of somebody.
func (d *parts) part(name string, do func() error) error {
	err := caught.Run(name, do)
	var p *caught.Panic
	if errors.As(err, &p) {
		d.log.Error("a part of the daemon panicked", slog.Any("error", p), slog.String("stack", p.Stack))
	}
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
	if d.audit != nil {
		errs = append(errs, d.audit.Record(d.note("stop", "")), d.audit.Close())
	}
	d.log.Info("stopped")
	return errors.Join(errs...)
}
