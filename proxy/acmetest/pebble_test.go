package acmetest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"aniproxy/internal/privacytest"
	"aniproxy/proxy"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/letsencrypt/pebble/v2/va.VAImpl.processTasks"))
}

const domain = "ani.example.com"

// pebble is a certificate authority on loopback. It resolves every name to
// 127.0.0.1 and comes to the port of the listener there.
type pebble struct {
	directory string
	http      *http.Transport
	roots     *x509.CertPool
	requests  atomic.Int32 // of any kind
	orders    atomic.Int32
}

// newPebble takes the port that the proof is looked for at.
func newPebble(t *testing.T, port int) *pebble {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	// A refused nonce is tried again after a second or more, by goroutines of
	// autocert's too that nobody waits for.
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "0")
	p := &pebble{roots: x509.NewCertPool()}
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	authority := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "the only one"}})
	validation := va.New(quiet, 1, port, true, resolver(t), store)
	front := wfe.New(quiet, store, validation, authority, []string{"pebble.example"}, true, false, 1, 1)
	handler := front.Handler()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.requests.Add(1)
		answer := &statusOf{ResponseWriter: w}
		handler.ServeHTTP(answer, r)
		// One that was refused and is sent again is no second order.
		if strings.HasPrefix(r.URL.Path, "/order-plz") && answer.status == http.StatusCreated {
			p.orders.Add(1)
		}
	}))
	t.Cleanup(server.Close)
	p.directory = server.URL + wfe.DirectoryPath
	trusted := x509.NewCertPool()
	trusted.AddCert(server.Certificate())
	p.http = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}
	t.Cleanup(p.http.CloseIdleConnections)
	p.roots.AppendCertsFromPEM(authority.GetRootCert(0).PEM())
	return p
}

// statusOf remembers the status of an answer.
type statusOf struct {
	http.ResponseWriter
	status int
}

func (s *statusOf) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

// resolver is a DNS server that knows every name as this machine.
func resolver(t *testing.T) string {
	t.Helper()
	socket, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{Listener: socket, Net: "tcp", Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		answer := new(dns.Msg).SetReply(q)
		for _, question := range q.Question {
			if question.Qtype == dns.TypeA {
				answer.Answer = append(answer.Answer, &dns.A{
					Hdr: dns.RR_Header{Name: question.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.IPv4(127, 0, 0, 1),
				})
			}
		}
		w.WriteMsg(answer)
	})}
	ready, ended := make(chan struct{}), make(chan error, 1)
	server.NotifyStartedFunc = func() { close(ready) }
	go func() { ended <- server.ActivateAndServe() }()
	<-ready
	t.Cleanup(func() {
		if err := errors.Join(server.ShutdownContext(context.Background()), <-ended); err != nil {
			t.Errorf("the DNS server: %v", err)
		}
	})
	return socket.Addr().String()
}

// daemon is a listener that fetches its certificate.
type daemon struct {
	*proxy.Listeners
	log   *privacytest.Sink
	acme  *proxy.ACME
	ended chan error
}

// began is when it always is for messages: of one failure there is one a minute.
var began = time.Now()

func start(t *testing.T, addr string, o proxy.ACMEOptions) *daemon {
	t.Helper()
	d := &daemon{log: privacytest.New().Sink(t.Name()), ended: make(chan error, 1)}
	o.Domains, o.Logger, o.Clock = []string{domain}, slog.New(slog.NewTextHandler(d.log, nil)), func() time.Time { return began }
	var err error
	if d.acme, err = proxy.NewACME(o); err != nil {
		t.Fatal(err)
	}
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })
	d.Listeners, err = proxy.Listen(t.Context(), o.Logger,
		proxy.Bind{Name: "public", Addr: addr, Handler: hello, Certificates: d.acme},
		proxy.Bind{Name: "admin", Addr: "127.0.0.1:0", Handler: hello, Certificates: d.acme})
	if err != nil {
		t.Fatal(err)
	}
	go func() { d.ended <- d.Serve() }()
	return d
}

func (d *daemon) stop(t *testing.T) {
	t.Helper()
	if err := errors.Join(d.Shutdown(context.Background()), <-d.ended); err != nil {
		t.Errorf("the end: %v", err)
	}
}

// get asks a listener by a server name.
func (d *daemon) get(t *testing.T, listener int, name string, roots *x509.CertPool) (string, *x509.Certificate, error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: name},
	}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+d.Addrs()[listener].String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(r)
	if err != nil {
		return "", nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return string(body), res.TLS.PeerCertificates[0], err
}

func freePort(t *testing.T) (addr string, port int) {
	t.Helper()
	socket, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	return socket.Addr().String(), socket.Addr().(*net.TCPAddr).Port
}

func TestACertificateIsFetchedAtTheStart(t *testing.T) {
	addr, port := freePort(t)
	p := newPebble(t, port)
	dir := filepath.Join(t.TempDir(), "data", "acme")
	options := proxy.ACMEOptions{Dir: dir, Directory: p.directory, HTTP: p.http}

	d := start(t, addr, options)
	foreign := func(what string) {
		t.Helper()
		before := p.requests.Load()
		for _, name := range []string{"evil.example.com", "sub." + domain, "example.com", "localhost"} {
			if _, _, err := d.get(t, 0, name, p.roots); err == nil {
				t.Errorf("%s: a handshake for %s was answered", what, name)
			}
		}
		// A client that sends no name, and one that asks for a proof.
		for _, c := range []*tls.Config{{InsecureSkipVerify: true}, {ServerName: "evil.example.com", NextProtos: []string{"acme-tls/1"}, InsecureSkipVerify: true}} {
			if conn, err := tls.Dial("tcp", addr, c); err == nil {
				conn.Close()
				t.Errorf("%s: a handshake for %q was answered", what, c.ServerName)
			}
		}
		if got := p.requests.Load(); got != before {
			t.Errorf("%s: the authority was asked %d times", what, got-before)
		}
	}
	for tries := 0; d.acme.NotAfter().IsZero(); tries++ { // nobody has asked for it yet
		if tries == 6000 { // a minute, on a machine that has nothing else to do
			t.Fatalf("no certificate was fetched:\n%s", d.log)
		}
		<-time.After(10 * time.Millisecond) // looks again
	}
	body, shown, err := d.get(t, 0, domain, p.roots)
	if body != "hello" || err != nil {
		t.Fatalf("%q, %v\n%s", body, err, d.log)
	}
	if err := shown.VerifyHostname(domain); err != nil {
		t.Error(err)
	}
	if !d.acme.NotAfter().Equal(shown.NotAfter) {
		t.Errorf("it is said to end at %v, and does at %v", d.acme.NotAfter(), shown.NotAfter)
	}
	if got := p.orders.Load(); got != 1 {
		t.Errorf("%d orders were made", got)
	}
	asked := p.requests.Load()
	body, again, err := d.get(t, 1, strings.ToUpper(domain), p.roots)
	if body != "hello" || err != nil || !again.Equal(shown) {
		t.Errorf("the other listener: %q, %v", body, err)
	}
	foreign("with a certificate")
	if !strings.Contains(d.log.String(), "certificate in use") || strings.Contains(d.log.String(), "evil") {
		t.Errorf("the log:\n%s", d.log)
	}
	checkModes(t, dir)
	d.stop(t)

	// A restart asks for nothing.
	d = start(t, addr, options)
	if body, again, err = d.get(t, 0, domain, p.roots); body != "hello" || err != nil || !again.Equal(shown) {
		t.Errorf("after a restart: %q, %v\n%s", body, err, d.log)
	}
	if got := p.requests.Load(); got != asked {
		t.Errorf("the restart asked the authority %d times", got-asked)
	}
	d.stop(t)
}

// checkModes sees that keys are for their owner alone.
func checkModes(t *testing.T, dir string) {
	t.Helper()
	found := 0
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		f, err := entry.Info()
		if err != nil {
			return err
		}
		want := os.FileMode(0o600)
		if entry.IsDir() {
			want = 0o700
		} else {
			found++
		}
		if got := f.Mode().Perm(); got != want {
			t.Errorf("%s has the mode %o, want %o", entry.Name(), got, want)
		}
		return nil
	})
	if err != nil || found < 2 { // the account's key, the certificate with its own
		t.Errorf("%d files were kept, %v", found, err)
	}
}

func TestAFolderOfCertificatesThatOthersCouldRead(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := proxy.NewACME(proxy.ACMEOptions{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	if f, err := os.Stat(dir); err != nil || f.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", f.Mode(), err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := proxy.NewACME(proxy.ACMEOptions{Dir: filepath.Join(file, "acme")}); err == nil {
		t.Error("a folder that cannot be made is no error")
	}
}

// The authority is away, or refuses the proof: the daemon runs, and says so. A
// name that is not ours it is never asked about.
func TestWithoutTheAuthorityTheDaemonRuns(t *testing.T) {
	addr, port := freePort(t)
	nobody, _ := freePort(t)
	p := newPebble(t, port+1) // where the proof is not
	for name, o := range map[string]proxy.ACMEOptions{
		"away":    {Directory: "https://" + nobody + "/dir"},
		"refuses": {Directory: p.directory, HTTP: p.http},
	} {
		t.Run(name, func(t *testing.T) {
			o.Dir = t.TempDir()
			d := start(t, addr, o)
			for range 3 {
				if body, _, err := d.get(t, 0, domain, p.roots); err == nil {
					t.Errorf("answered %q without a certificate", body)
				}
			}
			if n := strings.Count(d.log.String(), "no certificate could be had"); n != 1 {
				t.Errorf("said %d times:\n%s", n, d.log)
			}
			d.stop(t)
		})
	}
}

// An authority that does not answer holds up neither the stop nor more
// handshakes than a few.
func TestAnAuthorityThatHangs(t *testing.T) {
	addr, _ := freePort(t)
	asked, gaveUp := make(chan struct{}, 1), make(chan error, 1)
	hang := roundTrip(func(r *http.Request) (*http.Response, error) {
		asked <- struct{}{}
		<-r.Context().Done()
		gaveUp <- r.Context().Err()
		return nil, r.Context().Err()
	})
	d := start(t, addr, proxy.ACMEOptions{Dir: t.TempDir(), Directory: "https://acme.example.com/dir", HTTP: hang})
	const crowd = 100 // 64 of them may wait
	ended := make(chan error, crowd)
	for range crowd {
		go func() {
			_, _, err := d.get(t, 0, domain, nil)
			ended <- err
		}()
	}
	<-asked
	for range crowd - 64 {
		if err := <-ended; err == nil {
			t.Error("a handshake was answered")
		}
	}
	if len(gaveUp) > 0 {
		t.Errorf("the authority was asked no longer: %v", <-gaveUp)
		gaveUp <- nil
	}
	d.stop(t)
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Errorf("the question ended by %v, want the stop", err)
	}
	for range 64 {
		if err := <-ended; err == nil {
			t.Error("a handshake was answered")
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
