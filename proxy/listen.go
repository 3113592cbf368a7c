package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
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

// Bind is one address with what answers there.
type Bind struct {
	Addr    string // host:port
	Handler http.Handler
	// CertFile and KeyFile are PEM files; both "" for plain HTTP.
	CertFile, KeyFile string
}

// Listeners are the daemon's open sockets and their servers. Serve and
// Shutdown may be called from different goroutines, each once.
type Listeners struct {
	servers []*http.Server
	sockets []net.Listener
}

// Listen opens all addresses, or none: an address that is taken, or a
// certificate that cannot be read, is an error before anything is served. From
// then on connections queue up; Serve answers them.
func Listen(ctx context.Context, logger *slog.Logger, binds ...Bind) (*Listeners, error) {
	l := &Listeners{}
	for _, b := range binds {
		if err := l.bind(ctx, logger, b); err != nil {
			for _, socket := range l.sockets {
				socket.Close() //nolint:errcheck // nothing was served on it
			}
			return nil, fmt.Errorf("listen on %s: %w", b.Addr, err)
		}
	}
	return l, nil
}

func (l *Listeners) bind(ctx context.Context, logger *slog.Logger, b Bind) error {
	server := &http.Server{
		Handler:           b.Handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	if b.CertFile != "" || b.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(b.CertFile, b.KeyFile)
		if err != nil {
			return err
		}
		server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	}
	socket, err := new(net.ListenConfig).Listen(ctx, "tcp", b.Addr)
	if err != nil {
		return err
	}
	l.servers = append(l.servers, server)
	l.sockets = append(l.sockets, socket)
	return nil
}

// Addrs are the addresses in the order of the binds, with the ports that port
// 0 became.
func (l *Listeners) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(l.sockets))
	for i, socket := range l.sockets {
		addrs[i] = socket.Addr()
	}
	return addrs
}

// Serve answers until Shutdown is called, and returns nil then, or until a
// socket fails, and closes the others then. Either way nothing of it runs on
// once it has returned, but the requests that Shutdown waits for.
func (l *Listeners) Serve() error {
	errs := make(chan error, len(l.servers))
	for i, server := range l.servers {
		go func() {
			if server.TLSConfig != nil {
				errs <- server.ServeTLS(l.sockets[i], "", "")
				return
			}
			errs <- server.Serve(l.sockets[i])
		}()
	}
	var failed error
	for range l.servers {
		err := <-errs
		if errors.Is(err, http.ErrServerClosed) || failed != nil {
			continue
		}
		failed = fmt.Errorf("serve: %w", err)
		for _, server := range l.servers {
			server.Close() //nolint:errcheck // it is the first fault that is told
		}
	}
	return failed
}

// Shutdown closes the sockets, so that nobody new is admitted, and waits until
// every request is answered. Where the context ends first it cuts the rest off
// and returns the context's error.
func (l *Listeners) Shutdown(ctx context.Context) error {
	errs := make([]error, len(l.servers))
	var wg sync.WaitGroup
	for i, server := range l.servers {
		wg.Go(func() {
			if errs[i] = server.Shutdown(ctx); errs[i] != nil {
				server.Close() //nolint:errcheck // it is the shutdown's error that is told
			}
			// A server that never served does not know its socket.
			l.sockets[i].Close() //nolint:errcheck // closed already, most often
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
