package zendesk

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"aniproxy/internal/origin"
)

// ErrAddress is in the error of a call for which the host's name led to an
// address that credentials do not go to: link-local, multicast, unspecified,
// metadata, or for plain http any that is not this machine.
var ErrAddress = errors.New("zendesk: an address that no credentials go to")

// newTransport keeps connections alive and bounds what a peer can make us
// hold or wait for; the time of a whole attempt is bounded by its context.
//
// Plain http, which is for a simulator on this machine, goes there by no proxy.
// https may: a proxy of the environment (HTTPS_PROXY, NO_PROXY) is asked to
// CONNECT and learns the host's name; credentials go through it inside TLS,
// whose certificate is still Zendesk's. It is the proxy then that resolves the
// name, so the addresses refused here are those of proxies.
//
// Go's client takes no notice of Alt-Svc and uses no connection of HTTP/2 for
// another host, so no header of an answer leads elsewhere either.
func newTransport(scheme string) *http.Transport {
	plain := scheme == "http"
	t := &http.Transport{
		DialContext:            newDialer(plain).DialContext,
		ForceAttemptHTTP2:      true,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    5 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    32, // twice the default number of live walks
		MaxConnsPerHost:        64,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true, // we ask for gzip ourselves and bound what comes out
	}
	if !plain {
		t.Proxy = http.ProxyFromEnvironment
	}
	return t
}

// newDialer looks at each address just before it is connected to, after every
// resolution: what a name led to a moment ago, when somebody looked, says
// nothing of where it leads now.
func newDialer(loopbackOnly bool) *net.Dialer {
	return &net.Dialer{
		Timeout: 5 * time.Second, KeepAlive: 30 * time.Second,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil || origin.Refused(to.Addr()) || loopbackOnly && !to.Addr().Unmap().IsLoopback() {
				return ErrAddress
			}
			return nil
		},
	}
}
