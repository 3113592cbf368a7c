package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
)

// running is a Serve that was started; ended has what it returned.
type running struct {
	*Listeners
	ended chan error
}

func serve(t *testing.T, binds ...Bind) *running {
	t.Helper()
	l, err := Listen(t.Context(), written.Logger(t.Name()), binds...)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{Listeners: l, ended: make(chan error, 1)}
	go func() { r.ended <- l.Serve() }()
	return r
}

func fetch(t *testing.T, url string) (string, error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(request(t, http.MethodGet, url, "", ""))
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return string(body), err
}

func says(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) })
}

func TestListenersServeBothAndEnd(t *testing.T) {
	l := serve(t, Bind{Addr: "127.0.0.1:0", Handler: says("public")}, Bind{Addr: "127.0.0.1:0", Handler: says("admin")})
	for i, want := range []string{"public", "admin"} {
		if got, err := fetch(t, "http://"+l.Addrs()[i].String()); got != want || err != nil {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	if err := l.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-l.ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if _, err := fetch(t, "http://"+l.Addrs()[0].String()); err == nil {
		t.Error("it still answers")
	}
}

func TestShutdownLetsRunningRequestsEnd(t *testing.T) {
	arrived, goOn := make(chan struct{}), make(chan struct{})
	l := serve(t, Bind{Addr: "127.0.0.1:0", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-goOn
		io.WriteString(w, "answered")
	})})
	address := l.Addrs()[0].String()
	type result struct {
		body string
		err  error
	}
	answer, down := make(chan result, 1), make(chan error, 1)
	go func() {
		body, err := fetch(t, "http://"+address)
		answer <- result{body, err}
	}()
	<-arrived
	go func() { down <- l.Shutdown(t.Context()) }()
	if err := <-l.ended; err != nil { // the socket is closed once Serve has returned
		t.Errorf("Serve: %v", err)
	}
	if conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address); err == nil {
		conn.Close()
		t.Error("somebody new was admitted")
	}
	select {
	case err := <-down:
		t.Fatalf("Shutdown did not wait: %v", err)
	default:
	}
	close(goOn)
	if got := <-answer; got.body != "answered" || got.err != nil {
		t.Errorf("the running request got %q, %v", got.body, got.err)
	}
	if err := <-down; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestShutdownCutsOffWhatTakesTooLong(t *testing.T) {
	arrived := make(chan struct{})
	l := serve(t, Bind{Addr: "127.0.0.1:0", Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	})})
	cut := make(chan error, 1)
	go func() {
		_, err := fetch(t, "http://"+l.Addrs()[0].String())
		cut <- err
	}()
	<-arrived
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Shutdown(over); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-cut; err == nil {
		t.Error("the request was answered")
	}
	if err := <-l.ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestShutdownBeforeServe(t *testing.T) {
	l, err := Listen(t.Context(), written.Logger(t.Name()), Bind{Addr: "127.0.0.1:0", Handler: says("")})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := l.Serve(); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestASocketThatFailsEndsAll(t *testing.T) {
	l := serve(t, Bind{Addr: "127.0.0.1:0", Handler: says("")}, Bind{Addr: "127.0.0.1:0", Handler: says("")})
	l.served[1].socket.Close()
	if err := <-l.ended; err == nil {
		t.Error("Serve ended as if it had been told to")
	}
	if _, err := fetch(t, "http://"+l.Addrs()[0].String()); err == nil {
		t.Error("the other still answers")
	}
}

func TestListenOpensAllOrNone(t *testing.T) {
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	if _, err := Listen(t.Context(), written.Logger(t.Name()), Bind{Addr: free.Addr().String()}, Bind{Addr: taken.Addr().String()}); err == nil {
		t.Fatal("an address was opened twice")
	}
	again, err := new(net.ListenConfig).Listen(t.Context(), "tcp", free.Addr().String())
	if err != nil {
		t.Fatalf("the first address was not given back: %v", err)
	}
	again.Close()
}

func TestEveryServerHasItsLimits(t *testing.T) {
	l, err := Listen(t.Context(), written.Logger(t.Name()), Bind{Addr: "127.0.0.1:0", Handler: says("")})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Shutdown(t.Context())
	for _, one := range l.served {
		s := one.server
		if s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.WriteTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= maxQuery {
			t.Errorf("the limits are %v, %v, %v, %v, %d", s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.IdleTimeout, s.MaxHeaderBytes)
		}
	}
}
