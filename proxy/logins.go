package proxy

import (
	"container/list"
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// # Log-ins that fail
//
// A key is looked up first, always, and a good one never comes here. A request
// whose key, or whose webhook's signature, was wrong waits before it is told
// so: nothing for the first failures of its address, then twice as long for
// each, to [slowest]. The name that was given counts as well, so that guesses
// at one client from many addresses slow down too. Failures are forgiven one by
// one.
//
// A request without any credentials is how browsers and curl begin. It is told
// at once what is needed, and counts for nothing.
//
// What this does not do is to make keys safe: they are safe by their length.
// Who guesses can open more connections and hang up early, since a good key is
// answered at once. It keeps a wrong key that is tried over and over from
// costing anything, and it makes guessing visible.

const (
	// freeFailures are answered at once: a typing error, a key that was
	// replaced and is still set somewhere.
	freeFailures = 5
	firstWait    = 100 * time.Millisecond
	slowest      = 3 * time.Second
	// forgiveEvery is how long one failure counts.
	forgiveEvery = 10 * time.Second
	// mostFailures are remembered of an address or a name: the last of them is
	// forgiven after five minutes, whatever there was before.
	mostFailures = 30
)

const (
	// maxDetained bounds the requests that wait at once, maxDetainedOf those of
	// one address. They hold a connection each and no body.
	maxDetained, maxDetainedOf = 256, 8
	// maxAddresses bounds the addresses that are remembered, at some 300 bytes
	// each.
	maxAddresses = 4096
	// warnAgain is how often the log may name one address that begins anew,
	// warnStill how often one that goes on, maxWarned how many lines there are
	// in the first of these at all.
	warnAgain = time.Minute
	warnStill = 10 * time.Minute
	maxWarned = 10
	// maxNames is when counts of names that are no client's any more are swept.
	maxNames = 1024
)

// logins remembers who failed. Safe for concurrent use.
type logins struct {
	clock          func() time.Time
	log            *slog.Logger
	failed, slowed atomic.Uint64
	drained        chan struct{} // closed once nobody is to wait any more
	drain          func()

	mu      sync.Mutex
	sources map[netip.Prefix]*list.Element // of *source
	order   list.List                      // of *source: whoever failed last is at the back
	names   map[string]*failures           // of clients of the configuration alone
	others  failures                       // of every other name, and of keys that come without
	waiting int
	warned  warned
}

// source is an address, or for IPv6 the network that one household has.
type source struct {
	network  netip.Prefix
	failures failures
	waiting  int
	slow     bool // its last failure had to wait
	warned   time.Time
	since    int // failures since then
}

// warned are the log's lines of a minute.
type warned struct {
	since         time.Time
	lines, untold int
}

func newLogins(clock func() time.Time, log *slog.Logger) *logins {
	l := &logins{
		clock: clock, log: log, drained: make(chan struct{}),
		sources: map[netip.Prefix]*list.Element{}, names: map[string]*failures{},
	}
	l.drain = sync.OnceFunc(func() { close(l.drained) })
	return l
}

// failures counts failures that are not forgiven yet, by the time when all are.
type failures struct{ clear time.Time }

// left is how many there are.
func (t *failures) left(now time.Time) int {
	// Rounded up: a failure counts whole until it is forgiven. A clock that was
	// set back makes no more of them than there can be.
	n := (t.clear.Sub(now) + forgiveEvery - 1) / forgiveEvery
	return int(min(max(n, 0), mostFailures))
}

// add counts one more, and tells how long it has to wait for it.
func (t *failures) add(now time.Time) time.Duration {
	switch left := t.left(now); left {
	case 0:
		t.clear = now.Add(forgiveEvery)
	case mostFailures:
		t.clear = now.Add(mostFailures * forgiveEvery)
	default:
		t.clear = t.clear.Add(forgiveEvery)
	}
	over := t.left(now) - freeFailures
	if over <= 0 {
		return 0
	}
	wait := firstWait
	for ; over > 1 && wait < slowest; over-- {
		wait *= 2
	}
	return min(wait, slowest)
}

// failure is one that is to be counted.
type failure struct {
	from netip.Addr
	// client is the one of the configuration that was named, "" for any other.
	client string
	// signature is true of a webhook's, which names nobody.
	signature bool
}

// fail counts a failure and returns once it has waited for what it costs: nil,
// or the answer where too many wait already. It ends early with the context, so
// that a client that hangs up leaves its place to another, and with the
// server's drain.
func (l *logins) fail(ctx context.Context, f failure) error {
	wait, from, ok := l.count(ctx, f)
	if wait == 0 {
		return nil
	}
	l.slowed.Add(1)
	if !ok {
		return errTooManyFailures()
	}
	defer l.leave(from)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-l.drained:
	}
	return nil
}

// count counts a failure. Where it has to wait, it takes a place; ok is false
// where there is none.
func (l *logins) count(ctx context.Context, f failure) (wait time.Duration, from *source, ok bool) {
	l.failed.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock()
	from = l.source(networkOf(f.from))
	wait = from.failures.add(now)
	if !f.signature {
		wait = max(wait, l.name(f.client).add(now))
	}
	from.since++
	begins := wait > 0 && (!from.slow || now.Sub(from.warned) >= warnStill)
	if from.slow = wait > 0; wait == 0 {
		return 0, from, true
	}
	if begins {
		l.warn(ctx, now, from, f.client, wait)
	}
	if l.waiting >= maxDetained || from.waiting >= maxDetainedOf {
		return wait, from, false
	}
	l.waiting++
	from.waiting++
	return wait, from, true
}

func (l *logins) leave(from *source) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting--
	from.waiting--
}

// source finds an address, or makes room for it: whose failures are the oldest
// is forgotten, but for those of whom somebody waits, who are few.
func (l *logins) source(network netip.Prefix) *source {
	if at, ok := l.sources[network]; ok {
		l.order.MoveToBack(at)
		return sourceAt(at)
	}
	for at := l.order.Front(); at != nil && len(l.sources) >= maxAddresses; at = at.Next() {
		if old := sourceAt(at); old.waiting == 0 {
			l.order.Remove(at)
			delete(l.sources, old.network)
			break
		}
	}
	s := &source{network: network}
	l.sources[network] = l.order.PushBack(s)
	return s
}

func sourceAt(at *list.Element) *source {
	s, _ := at.Value.(*source) // the list holds nothing else
	return s
}

// name is the count of a client's name. There are as many as the configuration
// has had since the start; one that is renamed all the time loses its count.
func (l *logins) name(client string) *failures {
	if client == "" {
		return &l.others
	}
	t, ok := l.names[client]
	if !ok {
		if len(l.names) >= maxNames {
			clear(l.names)
		}
		t = &failures{}
		l.names[client] = t
	}
	return t
}

// warn tells of an address that begins to be slowed, or goes on for long. The name is one of the
// configuration or left out: what somebody typed may be a secret.
func (l *logins) warn(ctx context.Context, now time.Time, from *source, client string, wait time.Duration) {
	if !from.warned.IsZero() && now.Sub(from.warned) < warnAgain {
		return
	}
	from.warned = now
	if now.Sub(l.warned.since) >= warnAgain {
		l.warned = warned{since: now, untold: l.warned.untold}
	}
	if l.warned.lines >= maxWarned {
		l.warned.untold++
		return
	}
	attrs := []slog.Attr{slog.String("address", spelled(from.network)), slog.Duration("wait", wait), slog.Int("failures", from.since)}
	from.since = 0
	if client != "" {
		attrs = append(attrs, slog.String("client", client))
	}
	if l.warned.untold > 0 { // further addresses that found no line since the last
		attrs = append(attrs, slog.Int("untold", l.warned.untold))
	}
	l.warned.lines, l.warned.untold = l.warned.lines+1, 0
	l.log.LogAttrs(ctx, slog.LevelWarn, "failed log-ins are slowed down", attrs...)
}

// networkOf is what failures are counted by: an address of IPv4, or the /64 of
// one of IPv6, in which whoever has one has 2^64. What has no address, as a
// Unix socket, is one.
func networkOf(address netip.Addr) netip.Prefix {
	const household = 64 // bits
	address = address.Unmap()
	bits := address.BitLen()
	if address.Is6() {
		bits = household
	}
	network, err := address.Prefix(bits)
	if err != nil { // of no address
		return netip.Prefix{}
	}
	return network
}

func spelled(network netip.Prefix) string {
	switch {
	case !network.IsValid():
		return "unknown"
	case network.IsSingleIP():
		return network.Addr().String()
	default:
		return network.String()
	}
}

// errTooManyFailures turns away who fails while too many wait for that already.
func errTooManyFailures() error {
	return &fault{
		status: http.StatusTooManyRequests, detail: "too many failed log-ins at once",
		// The connection goes with it, so that the next guess costs a handshake.
		header: http.Header{"Retry-After": {strconv.Itoa(int(slowest / time.Second))}, "Connection": {"close"}},
	}
}

// Drain lets nobody wait any more who failed to log in: they are answered at
// once, and so is whoever fails from then on. It is for the beginning of a
// shutdown, which waits for every request that is under way. It may be called
// at any time and again.
func (s *Server) Drain() { s.logins.drain() }
