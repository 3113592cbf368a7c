package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"aniproxy/internal/caught"
)

// Limits of a connection. A lookup ends by its deadline, 10 s at the most, and
// bodies are small: what is slower than this is no client of ours, or one that
// holds connections open on purpose.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 30 * time.Second
	// idleTimeout is longer than the pause between two calls of a contact
	// centre that is awake, for a new connection costs a handshake.
	idleTimeout = 2 * time.Minute
	// maxHeader leaves room to answer a query that is too long with 414:
	// beyond it net/http says 431.
	maxHeader = 128 << 10
)

// Limits of a connection of HTTP/2, beyond those above.
const (
	// maxStreams bounds the requests under way on a connection, which is what
	// net/http runs handlers for: one stream that is reset while its handler
	// runs makes no room for another ("rapid reset", CVE-2023-44487), up to four
	// times as many wait their turn, and with more the connection is closed.
	// 100 is what RFC 9113 asks for at least.
	maxStreams = 100
	// streamBuffer is what a client may send of bodies that no handler has read
	// yet, of all streams together: the longest body there is, and the least
	// that HTTP/2 allows. net/http's own 1 MiB would be 8 GiB for all
	// connections.
	streamBuffer = 64 << 10
)

// Bind is one address with what answers there.
type Bind struct {
	Name    string // in metrics: "public" or "admin"; no two the same
	Addr    string // host:port
	Handler http.Handler
	// Certificates are where its certificate comes from; nil for plain HTTP.
	Certificates Certificates
	// TrustedProxies may hold any number of the connections there may be.
	TrustedProxies []netip.Prefix
	// Clock says how often the log is told of refused connections; nil is
	// time.Now.
	Clock func() time.Time
}

// Listeners are the daemon's open sockets and their servers, and a
// prometheus.Collector of their metrics. Serve and Shutdown may be called from
// different goroutines, each once.
type Listeners struct {
	served  []served
	metrics listenerMetrics
}

type served struct {
	name         string
	server       *http.Server
	socket       net.Listener
	gate         *gate
	certificates Certificates // nil for plain HTTP
}

// Listen opens all addresses, or none: an address that is taken is an error
// before anything is served. From then on connections queue up; Serve answers
// them.
func Listen(ctx context.Context, logger *slog.Logger, binds ...Bind) (*Listeners, error) {
	l := &Listeners{metrics: newListenerMetrics()}
	limit := connectionLimit(openFiles(), len(binds))
	for _, b := range binds {
		socket, err := new(net.ListenConfig).Listen(ctx, "tcp", b.Addr)
		if err != nil {
			for _, s := range l.served {
				s.socket.Close() //nolint:errcheck // nothing was served on it
			}
			return nil, fmt.Errorf("listen on %s: %w", b.Addr, err)
		}
		l.add(logger, &b, socket, limit)
	}
	return l, nil
}

// add puts a server with all its limits before a socket.
func (l *Listeners) add(logger *slog.Logger, b *Bind, socket net.Listener, limit int) {
	gate := newGate(limit, b.TrustedProxies)
	gate.log, gate.name = logger, b.Name
	if b.Clock != nil {
		gate.clock = b.Clock
	}
	server := &http.Server{
		Handler:           b.Handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ConnState:         gate.state,
		ErrorLog:          log.New(&errorLines{log: logger}, "", 0),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          maxStreams,
			MaxReceiveBufferPerConnection: streamBuffer,
			MaxReceiveBufferPerStream:     streamBuffer,
			// WriteTimeout ends a stream alone. Who reads nothing at all would
			// otherwise keep the connection.
			WriteByteTimeout: writeTimeout,
		},
	}
	if b.Certificates != nil {
		server.TLSConfig = b.Certificates.config()
	}
	l.served = append(l.served, served{
		name: b.Name, server: server, socket: &gatedListener{Listener: socket, gate: gate}, gate: gate, certificates: b.Certificates,
	})
}

// errorLines are what net/http has to say. What any client can make it say,
// by a handshake that fails or frames that are none, is for whoever looks for
// it: each of them a warning, a scan of ports would fill the log.
type errorLines struct{ log *slog.Logger }

// Write takes one line.
func (e *errorLines) Write(line []byte) (int, error) {
	level := slog.LevelWarn
	if bytes.HasPrefix(line, []byte("http: TLS handshake error")) || bytes.HasPrefix(line, []byte("http2: ")) {
		level = slog.LevelDebug
	}
	text := bytes.TrimSpace(line)
	if before, _, found := bytes.Cut(text, []byte("panic serving ")); found {
		// What follows is what the panic said, which may be of somebody.
		e.log.Log(context.Background(), slog.LevelError, "server", slog.String("line", string(before)+"panic serving"), slog.String("stack", caught.Stack()))
		return len(line), nil
	}
	e.log.Log(context.Background(), level, "server", slog.String("line", string(text)))
	return len(line), nil
}

// notAfter is when the first of the certificates in use expires, the zero time
// where there is none.
func (l *Listeners) notAfter() (soonest time.Time) {
	for i := range l.served {
		if c := l.served[i].certificates; c != nil {
			if at := c.NotAfter(); soonest.IsZero() || !at.IsZero() && at.Before(soonest) {
				soonest = at
			}
		}
	}
	return soonest
}

// Addrs are the addresses in the order of the binds, with the ports that port
// 0 became.
func (l *Listeners) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(l.served))
	for i, s := range l.served {
		addrs[i] = s.socket.Addr()
	}
	return addrs
}

// Serve answers until Shutdown is called, and returns nil then, or until a
// socket fails, and closes the others then. Either way nothing of it runs on
// once it has returned, but the requests that Shutdown waits for.
func (l *Listeners) Serve() error {
	errs := make(chan error, len(l.served))
	for _, s := range l.served {
		go func() {
			if s.certificates != nil {
				errs <- s.server.ServeTLS(s.socket, "", "")
				return
			}
			errs <- s.server.Serve(s.socket)
		}()
	}
	for _, s := range l.served {
		if s.certificates != nil { // shared by two, it is asked twice, which costs nothing
			go s.certificates.warm() // the authority's visit is answered by now; close waits for it
		}
	}
	var failed error
	for range l.served {
		err := <-errs
		if errors.Is(err, http.ErrServerClosed) || failed != nil {
			continue
		}
		failed = fmt.Errorf("serve: %w", err)
		for _, s := range l.served {
			s.server.Close() //nolint:errcheck // it is the first fault that is told
		}
	}
	return failed
}

// Shutdown closes the sockets, so that nobody new is admitted, and waits until
// every request is answered. Where the context ends first it cuts the rest off
// and returns the context's error. After that no certificate is fetched.
func (l *Listeners) Shutdown(ctx context.Context) error {
	errs := make([]error, len(l.served))
	var wg sync.WaitGroup
	for i, s := range l.served {
		wg.Go(func() {
			if errs[i] = s.server.Shutdown(ctx); errs[i] != nil {
				s.server.Close() //nolint:errcheck // it is the shutdown's error that is told
			}
			// A server that never served does not know its socket.
			s.socket.Close() //nolint:errcheck // closed already, most often
		})
		if s.certificates != nil { // beside the above: requests do not wait for it
			wg.Go(func() { s.certificates.close(ctx) })
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}
