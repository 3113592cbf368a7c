package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"aniproxy/internal/config"
	"aniproxy/proxy"
)

// lookEvery is how often the files of keys are looked at: a key that leaked is
// good for that much longer where nobody sends a signal. A look is a stat a
// file.
const lookEvery = 10 * time.Second

// reloads are what has a running daemon read its configuration again.
type reloads struct {
	// load reads the whole of it anew and checks it as a start would; nil where
	// there is nothing to read.
	load func() (*config.Config, error)
	// signals say that the configuration is to be read now.
	signals <-chan os.Signal
	// looks say that the files of keys are to be looked at now; nil is every
	// [lookEvery].
	looks <-chan time.Time
	// followed is told each time that one of them was followed.
	followed func()
}

// section is a table of the configuration that a running daemon can follow.
type section struct {
	name string
	// refuse names what in a change only a restart can bring; "" for nothing.
	refuse func(was, is *config.Config) string
	// apply has the daemon follow a configuration that was checked; where it
	// fails nothing has changed.
	apply func(is *config.Config) error
	// keep gives a configuration what another says in this section.
	keep func(to, from *config.Config)
}

// What has caused a reload.
const (
	bySignal = "signal"
	byFile   = "file"
)

// keysChange is what a reload does to those who may ask, by their names.
type keysChange struct {
	Cause                   string // [bySignal] or [byFile]
	Added, Removed, Changed []string
	Webhooks                bool // whether the secrets of webhooks are replaced
}

// String is the change as the audit log has it, in the clients' names.
func (k *keysChange) String() string {
	text := "by " + k.Cause
	for _, part := range []struct {
		what  string
		names []string
	}{{"added", k.Added}, {"removed", k.Removed}, {"changed", k.Changed}} {
		if len(part.names) > 0 {
			text += ", " + part.what + " " + strings.Join(part.names, " ")
		}
	}
	if k.Webhooks {
		text += ", secrets of webhooks"
	}
	return text
}

func (k *keysChange) nothing() bool {
	return len(k.Added)+len(k.Removed)+len(k.Changed) == 0 && !k.Webhooks
}

// reloader has a running daemon follow its configuration: all that it can on a
// signal, and keys where a file of them has changed.
//
// A signal says that config.toml is as somebody wants it, so it is read on a
// signal alone, never half edited: what a file of keys brings goes over the
// configuration that was last confirmed. Whatever is at fault changes nothing.
//
// All of it is one goroutine's, that of run.
type reloader struct {
	log      *slog.Logger
	reloads  reloads
	sections []section
	// record writes a change down before it is made, and must not fail where
	// it is to be made; nil where nobody keeps a record.
	record func(keysChange) error
	// started is what the parts were built with; inForce is the last one that
	// was confirmed, with the sections as they are followed.
	started, inForce *config.Config
	// seen is each file of keys as it was last looked at, nil for one that
	// could not be.
	seen map[string]fs.FileInfo
	// bad are files that hold something else than what is in force. They are
	// read again where another changes: it may be what was wrong.
	bad map[string]bool

	confirmed bool // whether the last signal's configuration was taken over
	done      prometheus.Counter
	failed    prometheus.Counter
	last      prometheus.Gauge
}

// newReloader registers its metrics. What they say of the start is that it
// went well.
func newReloader(log *slog.Logger, cfg *config.Config, from reloads, registry prometheus.Registerer, sections []section) (*reloader, error) {
	counted := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "aniproxy_config_reloads_total", Help: "Times that the configuration, or a file of keys, was read again, by what came of it.",
	}, []string{"result"})
	r := &reloader{
		log: log, reloads: from, sections: sections, started: cfg, inForce: cfg, confirmed: true,
		seen: map[string]fs.FileInfo{}, bad: map[string]bool{},
		done: counted.WithLabelValues("done"), failed: counted.WithLabelValues("failed"),
		last: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "aniproxy_config_last_reload_successful", Help: "1 while the configuration and the files of keys, as they were last read, are in force.",
		}),
	}
	r.last.Set(1)
	return r, errors.Join(registry.Register(counted), registry.Register(r.last))
}

// reloadable are the sections that the daemon follows while it runs. Further
// ones are further rows.
func reloadable(server *proxy.Server, started *config.Config) []section {
	return []section{
		{
			name: "clients",
			refuse: func(was, is *config.Config) string {
				switch {
				case len(was.Clients) == 0 && len(is.Clients) > 0:
					return "the first client takes a restart: until then nobody is asked for a key"
				case len(was.Clients) > 0 && len(is.Clients) == 0:
					return "the removal of the last client takes a restart: until then its keys are good"
				}
				return ""
			},
			apply: func(is *config.Config) error { return server.SetClients(clients(is.Clients)) },
			keep:  func(to, from *config.Config) { to.Clients = from.Clients },
		},
		{
			name: "webhook",
			refuse: func(_, is *config.Config) string {
				if len(started.Webhook.Secrets) == 0 && len(is.Webhook.Secrets) > 0 {
					return "the first secret takes a restart: until then there is no route for webhooks"
				}
				return ""
			},
			apply: func(is *config.Config) error { return server.SetWebhookSecrets(secrets(is.Webhook.Secrets)) },
			keep:  func(to, from *config.Config) { to.Webhook = from.Webhook },
		},
	}
}

// run follows until ctx ends.
func (r *reloader) run(ctx context.Context) {
	looks := r.reloads.looks
	if looks == nil {
		ticker := time.NewTicker(lookEvery)
		defer ticker.Stop()
		looks = ticker.C
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.reloads.signals:
			r.signalled()
		case <-looks:
			r.look()
		}
		if r.reloads.followed != nil {
			r.reloads.followed()
		}
	}
}

// signalled reads the whole configuration again.
func (r *reloader) signalled() {
	defer r.show()
	if r.reloads.load == nil {
		r.log.Warn("there is no configuration to read again")
		return
	}
	next, err := r.reloads.load()
	if err != nil {
		for _, f := range faultsOf(err) {
			r.log.Error("the configuration is at fault and not taken over", faultAttrs(f)...)
		}
		r.confirmed = false
		r.failed.Inc()
		return
	}
	r.confirmed = r.take(bySignal, next)
	// The files of keys were read with it, at some moment that is past: the
	// next look reads them once more.
	clear(r.seen)
	clear(r.bad)
	for _, key := range config.Differences(r.started, next) {
		if !r.follows(key) {
			r.log.Warn("changed, and not taken over before a restart", slog.String("key", key))
		}
	}
}

func (r *reloader) follows(key string) bool {
	return slices.ContainsFunc(r.sections, func(s section) bool { return key == s.name || strings.HasPrefix(key, s.name+".") })
}

// look reads the files of keys that are not what they were.
func (r *reloader) look() {
	defer r.show()
	changed := map[string]bool{}
	for _, file := range r.inForce.KeyFiles() {
		before, known := r.seen[file]
		now, err := os.Stat(file) // before it is read: what is written later makes another time
		switch {
		case err == nil && !now.Mode().IsRegular(): // reading a pipe would not end
			if before == nil || before.Mode() != now.Mode() {
				r.bad[file] = true
				r.failed.Inc()
				r.log.Warn("a file of keys is no regular file: what it held stays in force", slog.String("file", file))
			}
		case err == nil:
			if !sameFile(before, now) {
				changed[file] = true
			}
		case !known || before != nil: // of one that stays away it was said before
			r.bad[file] = true
			r.failed.Inc()
			r.log.Warn("a file of keys cannot be looked at: what it held stays in force", slog.Any("error", err))
		}
		r.seen[file] = now
	}
	if len(changed) > 0 {
		r.reread(changed)
	}
}

// sameFile tells whether a file is what it was, as far as can be told without
// reading it. A link is followed: one that leads elsewhere now, which is how
// Kubernetes replaces secrets, is a change.
func sameFile(before, now fs.FileInfo) bool {
	return before != nil && os.SameFile(before, now) && before.Size() == now.Size() && before.ModTime().Equal(now.ModTime())
}

// reread takes over what files of keys say now: all that have changed at once,
// since a key may have gone from one to another; where something is wrong with
// that, each that is sound by itself.
func (r *reloader) reread(changed map[string]bool) {
	due := maps.Clone(changed)
	for file := range r.bad {
		if seen := r.seen[file]; seen != nil && seen.Mode().IsRegular() {
			due[file] = true
		}
	}
	next, err := r.inForce.RereadKeys(func(file string) bool { return due[file] })
	if err == nil {
		for file := range due {
			r.sound(file)
		}
	} else {
		next = r.rereadEach(due, changed)
	}
	if !r.take(byFile, next) { // it is due still, and tried at each look
		maps.Copy(r.bad, due)
		clear(r.seen)
	}
}

// sound takes note of a file that can be followed, and says so of one that could
// not.
func (r *reloader) sound(file string) {
	if r.bad[file] {
		delete(r.bad, file)
		r.log.Info("a file of keys that was at fault can be followed again", slog.String("file", file))
	}
}

// rereadEach leaves out the files at fault, and says so of those that have
// changed: of the others it was said before.
func (r *reloader) rereadEach(due, changed map[string]bool) *config.Config {
	next := r.inForce
	for _, file := range slices.Sorted(maps.Keys(due)) {
		one, err := next.RereadKeys(func(f string) bool { return f == file })
		if err == nil {
			next = one
			r.sound(file)
			continue
		}
		r.bad[file] = true
		if !changed[file] {
			continue
		}
		r.failed.Inc()
		for _, f := range faultsOf(err) {
			r.log.Warn("a file of keys has changed and is not taken over: what it held stays in force",
				append(faultAttrs(f), slog.String("changed", file))...)
		}
	}
	return next
}

// take has the daemon follow a configuration that was checked. It tells
// whether all of it that can be followed is.
func (r *reloader) take(cause string, next *config.Config) (all bool) {
	was, kept := r.inForce, *next
	all = true
	leave := func(s section, why string) {
		s.keep(&kept, was)
		all = false
		r.log.Error("not taken over", slog.String("key", s.name), slog.String("fault", why))
	}
	for _, s := range r.sections {
		if why := s.refuse(was, next); why != "" {
			leave(s, why)
		}
	}
	change := keysChanged(cause, was, &kept)
	if change.nothing() {
		r.inForce = &kept
		if cause == bySignal {
			r.log.Info("the configuration was read again: no client and no secret has changed")
			r.count(all)
		}
		return all
	}
	if r.record != nil {
		if err := r.record(change); err != nil {
			r.log.Error("keys are not replaced, since that cannot be recorded", slog.Any("error", err))
			r.count(false)
			return false
		}
	}
	for _, s := range r.sections {
		if err := s.apply(&kept); err != nil {
			leave(s, err.Error())
		}
	}
	r.inForce = &kept
	r.count(all)
	r.log.Info("clients and secrets are as the configuration has them now", slog.String("cause", cause), slog.Any("added", change.Added), slog.Any("removed", change.Removed),
		slog.Any("changed", change.Changed), slog.Bool("webhooks", change.Webhooks), slog.Bool("complete", all))
	return all
}

func (r *reloader) count(done bool) {
	if done {
		r.done.Inc()
	} else {
		r.failed.Inc()
	}
}

// show tells of the two ways together: a key that came by a file does not make
// up for a configuration that is at fault.
func (r *reloader) show() {
	if r.confirmed && len(r.bad) == 0 {
		r.last.Set(1)
	} else {
		r.last.Set(0)
	}
}

// keysChanged compares who may ask, by their names.
func keysChanged(cause string, was, is *config.Config) keysChange {
	k := keysChange{Cause: cause, Webhooks: !slices.Equal(was.Webhook.Secrets, is.Webhook.Secrets)}
	before := map[string]*config.Client{}
	for i := range was.Clients {
		before[was.Clients[i].Name] = &was.Clients[i]
	}
	for i := range is.Clients {
		c := &is.Clients[i]
		switch old := before[c.Name]; {
		case old == nil:
			k.Added = append(k.Added, c.Name)
		case !reflect.DeepEqual(old, c):
			k.Changed = append(k.Changed, c.Name)
		}
		delete(before, c.Name)
	}
	k.Removed = slices.Sorted(maps.Keys(before))
	return k
}

// faultsOf are the faults of an error, one by one. The values in them are
// masked already.
func faultsOf(err error) []config.Fault {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var all []config.Fault
		for _, one := range many.Unwrap() {
			all = append(all, faultsOf(one)...)
		}
		return all
	}
	var faults *config.Faults
	if errors.As(err, &faults) {
		return faults.List
	}
	return []config.Fault{{Message: err.Error()}}
}

func faultAttrs(f config.Fault) (attrs []any) {
	if f.File != "" {
		attrs = append(attrs, slog.String("file", f.File))
	}
	if f.Line > 0 {
		attrs = append(attrs, slog.Int("line", f.Line))
	}
	if f.Env != "" {
		attrs = append(attrs, slog.String("env", f.Env))
	}
	return append(attrs, slog.String("key", f.Key), slog.String("fault", f.Message))
}

// again reads the configuration as the start did, from the same place and with
// the same environment, and holds it to all that would stop a start. A file
// that was there must be there still: without it the defaults would pass for
// what somebody wants.
func (f *configFlag) again(c *console, started *config.Config) func() (*config.Config, error) {
	required := started.File() != "" || f.Config != "config.toml"
	return func() (*config.Config, error) {
		cfg, err := config.Load(f.Config, c.env, required)
		if err != nil {
			return nil, err
		}
		_, wrong := newPolicy(cfg)
		return cfg, errors.Join(cfg.ReadyToServe(), wrong)
	}
}
