package zendesktest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// pipes is the account's own net/http server on connections in memory. Unlike
// a socket, such a connection blocks in a way that testing/synctest can see.
type pipes struct {
	mu         sync.Mutex
	server     *http.Server
	listener   *pipeListener
	transports []*http.Transport
	serving    sync.WaitGroup
}

// Transport gives a client's way to the account: real HTTP over connections
// in memory, whatever host a URL names. In a synctest bubble, both New and
// Transport belong inside it. Close ends it.
func (s *Server) Transport() http.RoundTripper {
	p := &s.pipes
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server == nil {
		p.listener = &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
		p.server = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}
		p.serving.Go(func() {
			if err := p.server.Serve(p.listener); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
				s.log.Error("in-memory server ended", "error", err)
			}
		})
	}
	t := &http.Transport{DialContext: p.listener.dial, MaxIdleConnsPerHost: 100, DisableCompression: true}
	p.transports = append(p.transports, t)
	return t
}

func (p *pipes) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server == nil {
		return
	}
	for _, t := range p.transports {
		t.CloseIdleConnections()
	}
	_ = p.server.Close() // closes the listener, whose Close does not fail
	p.serving.Wait()
}

type pipeListener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.done:
		return nil, &net.OpError{Op: "dial", Net: "pipe", Err: net.ErrClosed}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
