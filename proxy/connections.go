package proxy

import (
	"container/list"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Limits of connections, of each listener by itself: who floods the public one
// takes nothing from the admin's.
const (
	// maxConnections bounds a listener's connections. One costs 10 KiB of
	// goroutine and buffers, 40 KiB more with TLS, and what it is sent of a
	// header (maxHeader) or body (maxBody) while that is read: some 400 MiB for
	// all when they are idle, 1.4 GiB when each of them sends the longest
	// header there is, which takes the 8 addresses that maxFromPeer leaves and
	// ends after 5 s. A contact centre of 500 calls a second whose lookups take
	// the longest deadline, 10 s, would need 5000.
	maxConnections = 8192
	// maxFromPeer bounds those of one address, or of one IPv6 network of 64
	// bits, which is what one household or machine is given. An eighth of the
	// whole is four times what Webex was ever seen to hold from one address.
	maxFromPeer = maxConnections / 8
	// minConnections is what a listener has at least, however few descriptors
	// there are: below that nobody could be served.
	minConnections = 16
)

// connectionLimit is a listener's share of maxConnections where files, the
// descriptors the process may open, are few: half of them are for connections,
// in equal parts for the listeners, and half for the store, Zendesk, and
// whatever else is opened. files 0 is no limit that is known of.
func connectionLimit(files uint64, listeners int) int {
	if files == 0 {
		return maxConnections
	}
	share := files / 2 / uint64(max(listeners, 1))
	return int(max(min(share, maxConnections), minConnections))
}

// gate counts a listener's connections and refuses what is too much. Where all
// places are taken, one that has sent nothing yet, or been idle for longest,
// makes room: its client opens another when it needs one. Where there is none
// the new one is closed at once, unread, so that who holds connections on
// purpose cannot have the requests of others cut off.
type gate struct {
	limit, perPeer int
	// trusted are peers behind which others stand: theirs is no limit of one.
	trusted []netip.Prefix

	mu    sync.Mutex
	open  int
	peers map[netip.Addr]int
	// silent have sent nothing yet, or are in their handshake; idle have been
	// answered. Both are of *gatedConn, whichever has been there for longest in
	// front.
	silent, idle *list.List

	clock  func() time.Time
	log    *slog.Logger
	name   string
	warned time.Time
	untold uint64 // refusals since the log was last told

	refusedFull, refusedPeer, gaveWay atomic.Uint64
}

func newGate(limit int, trusted []netip.Prefix) *gate {
	return &gate{
		limit: limit, perPeer: min(maxFromPeer, max(1, limit/8)), trusted: trusted,
		peers: map[netip.Addr]int{}, silent: list.New(), idle: list.New(),
		clock: time.Now, log: slog.New(slog.DiscardHandler),
	}
}

// gatedListener hands out the connections that the gate lets in.
type gatedListener struct {
	net.Listener
	gate *gate
}

// Accept waits for a connection that is let in.
func (l *gatedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := l.gate.admit(conn); c != nil {
			return c, nil
		}
		conn.Close() //nolint:errcheck // nobody was served on it
	}
}

// gatedConn is a connection that was let in. Closing it gives its place back.
type gatedConn struct {
	net.Conn
	gate  *gate
	peer  netip.Addr
	among *list.List    // the silent or the idle; nil while it is neither
	place *list.Element // there
	left  bool
}

// Close may be called more than once.
func (c *gatedConn) Close() error {
	c.gate.leave(c)
	return c.Conn.Close()
}

// CloseWrite ends what is sent while something may still be received: net/http
// asks for it, so that a client that sends too much reads why it was refused.
func (c *gatedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// admit gives a connection a place, or nil.
func (g *gate) admit(conn net.Conn) *gatedConn {
	c := &gatedConn{Conn: conn, gate: g, peer: peerKey(conn.RemoteAddr())}
	g.mu.Lock()
	if g.peers[c.peer] >= g.perPeer && !c.peer.IsLoopback() && !within(g.trusted, peerAddr(conn.RemoteAddr())) {
		g.refuse(&g.refusedPeer, "too many of one peer")
		return nil
	}
	var gone *gatedConn
	if g.open >= g.limit {
		oldest := g.dispensable()
		if oldest == nil {
			g.refuse(&g.refusedFull, "all places are taken")
			return nil
		}
		gone = oldest.Value.(*gatedConn) //nolint:errcheck // nothing else is in the list
		g.release(gone)
	}
	g.open++
	g.peers[c.peer]++
	c.mayGo(g.silent)
	g.mu.Unlock()
	if gone != nil {
		g.gaveWay.Add(1)
		gone.Conn.Close() //nolint:errcheck // nobody waits for what it holds
	}
	return c
}

// dispensable is the connection that makes room: of the silent and the idle,
// the one that has been so for longest among those of whom there are more. A
// flood of connections that send nothing pushes out its own, and so does one of
// connections that were used once. The caller holds mu.
func (g *gate) dispensable() *list.Element {
	if g.silent.Len() > g.idle.Len() {
		return g.silent.Front()
	}
	return g.idle.Front()
}

// refuse counts a connection that is not let in, and tells of it once a minute.
// The caller holds mu, which it gives back.
func (g *gate) refuse(counter *atomic.Uint64, why string) {
	counter.Add(1)
	g.untold++
	now, untold := g.clock(), g.untold
	tell := g.warned.IsZero() || now.Sub(g.warned) >= time.Minute
	if tell {
		g.warned, g.untold = now, 0
	}
	g.mu.Unlock()
	if tell {
		g.log.Warn("connections are refused", slog.String("listener", g.name), slog.String("reason", why), slog.Uint64("refused", untold))
	}
}

// stay takes a connection out of those that may make room. The caller holds mu.
func (c *gatedConn) stay() {
	if c.place != nil {
		c.among.Remove(c.place)
		c.among, c.place = nil, nil
	}
}

// mayGo puts it last among some of them. The caller holds mu.
func (c *gatedConn) mayGo(among *list.List) {
	c.stay()
	c.among, c.place = among, among.PushBack(c)
}

func (g *gate) leave(c *gatedConn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.release(c)
}

// release gives a place back, once.
func (g *gate) release(c *gatedConn) {
	if c.left {
		return
	}
	c.left = true
	c.stay()
	g.open--
	if g.peers[c.peer]--; g.peers[c.peer] == 0 {
		delete(g.peers, c.peer)
	}
}

// state is an http.Server's ConnState: it says which connections are idle, of
// HTTP/2 those without a stream, and which have sent something.
func (g *gate) state(conn net.Conn, s http.ConnState) {
	if sealed, ok := conn.(*tls.Conn); ok {
		conn = sealed.NetConn()
	}
	c, ok := conn.(*gatedConn)
	if !ok {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case c.left:
	case s == http.StateIdle:
		c.mayGo(g.idle)
	case s != http.StateNew: // that one is where admit has put it
		c.stay()
	}
}

func (g *gate) connections() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open
}

// peerAddr is the address at the other end; it is not valid where there is none.
func peerAddr(a net.Addr) netip.Addr {
	if a == nil {
		return netip.Addr{}
	}
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap().WithZone("")
}

// peerKey is what one peer's connections are counted by.
func peerKey(a net.Addr) netip.Addr {
	address := peerAddr(a)
	if !address.Is6() || address.IsLoopback() {
		return address
	}
	network, err := address.Prefix(64)
	if err != nil {
		return address // no 64 bits in an IPv6 address: it cannot be
	}
	return network.Addr()
}

// Metrics of the listeners, in the order of descriptions.
type listenerMetrics struct {
	connections, limit, refused, gaveWay, expiry *prometheus.Desc
}

func newListenerMetrics() listenerMetrics {
	return listenerMetrics{
		connections: prometheus.NewDesc("aniproxy_connections", "Open connections, by listener.", []string{"listener"}, nil),
		limit:       prometheus.NewDesc("aniproxy_connections_limit", "How many there may be, by listener.", []string{"listener"}, nil),
		refused: prometheus.NewDesc("aniproxy_connections_refused_total",
			"Connections closed unread, by listener and reason: full, or too many of one peer.", []string{"listener", "reason"}, nil),
		gaveWay: prometheus.NewDesc("aniproxy_connections_evicted_total", "Idle connections that made room for new ones, by listener.", []string{"listener"}, nil),
		expiry:  prometheus.NewDesc("aniproxy_tls_certificate_expiry_timestamp_seconds", "When the certificate in use expires, the soonest of several.", nil, nil),
	}
}

// Describe names the metrics of the listeners: they are a prometheus.Collector.
func (l *Listeners) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{l.metrics.connections, l.metrics.limit, l.metrics.refused, l.metrics.gaveWay, l.metrics.expiry} {
		out <- d
	}
}

// Collect reads them.
func (l *Listeners) Collect(out chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v *atomic.Uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v.Load()), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for i := range l.served {
		s := &l.served[i]
		gauge(l.metrics.connections, float64(s.gate.connections()), s.name)
		gauge(l.metrics.limit, float64(s.gate.limit), s.name)
		counter(l.metrics.refused, &s.gate.refusedFull, s.name, "full")
		counter(l.metrics.refused, &s.gate.refusedPeer, s.name, "peer")
		counter(l.metrics.gaveWay, &s.gate.gaveWay, s.name)
	}
	if at := l.notAfter(); !at.IsZero() {
		gauge(l.metrics.expiry, float64(at.Unix()))
	}
}
