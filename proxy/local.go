package proxy

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// admit decides whether a request is served at all, before anything is read
// of it. The networks that are served say who may come from elsewhere: an admin
// listener that is bound to loopback has its reach already, and whoever keeps
// the daemon up must not be shut out by a list for Webex.
func (s *Server) admit(r *http.Request, on side) error {
	bound := on == onAdmin && s.o.AdminLoopback
	if len(s.o.AllowCIDRs) > 0 && !bound && !within(s.o.AllowCIDRs, s.origin(r)) {
		return errForbidden("this address is not among those that are served")
	}
	if s.clients.Load().local != nil {
		return local(r)
	}
	return nil
}

// local tells whether a request was made on this machine, by somebody who
// knows it. Without a key the address of the socket proves little: a reverse
// proxy beside the daemon hands on what came from anywhere, and a web page can
// have a browser ask a name of its own that resolves to 127.0.0.1 (DNS
// rebinding), or send a form to 127.0.0.1 itself. So what says that it was
// handed on, names another host, or comes from another origin is refused.
func local(r *http.Request) error {
	if peer := peerOf(r); peer.IsValid() && !peer.IsLoopback() {
		return errForbidden("without a client configured only this machine is served")
	}
	for name := range r.Header {
		if name == "Forwarded" || name == "Via" || name == "X-Real-Ip" || strings.HasPrefix(name, "X-Forwarded-") {
			return errForbidden("without a client configured nothing that was handed on is served: it has the header " + name)
		}
	}
	if !loopbackHost(r.Host) {
		return errForbidden("without a client configured the host must be localhost or a loopback address")
	}
	// A page's picture or script comes without an Origin: browsers say so here.
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "none" && site != "same-origin" {
		return errForbidden("without a client configured no web page of another origin is served")
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		if u, err := url.Parse(origin); err != nil || !loopbackHost(u.Host) {
			return errForbidden("without a client configured no web page of another origin is served")
		}
	}
	return nil
}

// loopbackHost reads a Host header, with or without a port.
func loopbackHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}

// peerOf is the address at the other end of the connection; it is not valid
// where the connection has none, as one in memory or a Unix socket.
func peerOf(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap().WithZone("")
}

// origin is the address a request came from: the peer's, or where the peer is
// a trusted proxy, the last address of X-Forwarded-For that is not one. What
// stands before that was written by whoever sent the request.
func (s *Server) origin(r *http.Request) netip.Addr {
	address := peerOf(r)
	if !within(s.o.TrustedProxies, address) {
		return address
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, ok := readHop(strings.TrimSpace(hops[i]))
		if !ok {
			return address // the trusted proxy wrote no more that can be read
		}
		if address = hop.Unmap().WithZone(""); !within(s.o.TrustedProxies, address) {
			break
		}
	}
	return address
}

// readHop reads an address as proxies write them: alone, with a port, in
// brackets.
func readHop(text string) (address netip.Addr, ok bool) {
	if address, err := netip.ParseAddr(text); err == nil {
		return address, true
	}
	if both, err := netip.ParseAddrPort(text); err == nil {
		return both.Addr(), true
	}
	inner, bracketed := strings.CutPrefix(text, "[")
	if inner, closed := strings.CutSuffix(inner, "]"); bracketed && closed {
		address, err := netip.ParseAddr(inner)
		return address, err == nil
	}
	return netip.Addr{}, false
}

func within(networks []netip.Prefix, address netip.Addr) bool {
	for _, network := range networks {
		if network.Contains(address) {
			return true
		}
	}
	return false
}
