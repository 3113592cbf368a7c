package proxy

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"aniproxy/internal/privacytest"
)

// handClock is a clock that a test moves.
type handClock struct{ passed atomic.Int64 }

func (c *handClock) now() time.Time          { return start.Add(time.Duration(c.passed.Load())) }
func (c *handClock) advance(d time.Duration) { c.passed.Add(int64(d)) }

// lines is a log that may be read while it is written.
type lines struct{ *privacytest.Sink }

func newLines(t *testing.T) *lines { return &lines{written.Sink(t.Name())} }

func (l *lines) count(word string) int { return strings.Count(l.String(), word) }

// pemPair is a certificate of its own signing, told apart by its number.
type pemPair struct {
	cert, key []byte
	pair      tls.Certificate
}

func makePair(t *testing.T, serial int64, until time.Time) pemPair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "ani.example.com"}, DNSNames: []string{"ani.example.com"},
		NotBefore: start.Add(-time.Hour), NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	p := pemPair{
		cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}
	if p.pair, err = tls.X509KeyPair(p.cert, p.key); err != nil {
		t.Fatal(err)
	}
	return p
}

// sealed is a running listener whose certificate is in files.
type sealed struct {
	*running
	t         *testing.T
	clock     *handClock
	log       *lines
	cert, key string
	pair      *KeyPair
}

func serveSealed(t *testing.T, cert, key string) *sealed {
	t.Helper()
	s := &sealed{t: t, clock: &handClock{}, log: newLines(t), cert: cert, key: key}
	var err error
	if s.pair, err = NewKeyPair(cert, key, s.clock.now, slog.New(slog.NewTextHandler(s.log, nil))); err != nil {
		t.Fatal(err)
	}
	s.running = serve(t, Bind{Name: "public", Addr: "127.0.0.1:0", Handler: says("sealed"), Certificates: s.pair})
	t.Cleanup(func() {
		if err := errors.Join(s.Shutdown(t.Context()), <-s.ended); err != nil && !strings.Contains(err.Error(), "context canceled") {
			t.Errorf("the end: %v", err)
		}
	})
	return s
}

func (s *sealed) address() string { return s.Addrs()[0].String() }

// shows is the number of the certificate that a new connection is shown.
func (s *sealed) shows() int64 {
	s.t.Helper()
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, ServerName: "ani.example.com"}}
	conn, err := dialer.DialContext(s.t.Context(), "tcp", s.address())
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

func put(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestACertificateIsTakenUpWithoutARestart(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	until := start.Add(90 * 24 * time.Hour)
	first, second, third := makePair(t, 1, until), makePair(t, 2, until.Add(time.Hour)), makePair(t, 3, until)
	put(t, cert, first.cert)
	put(t, key, first.key)
	s := serveSealed(t, cert, key)
	if got := s.shows(); got != 1 {
		t.Fatalf("certificate %d", got)
	}
	held, err := tls.Dial("tcp", s.address(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	expect := func(what string, want int64, warnings int) {
		t.Helper()
		if got := s.shows(); got != want {
			t.Errorf("%s: certificate %d, want %d", what, got, want)
		}
		if got := s.log.count("level=WARN"); got != warnings {
			t.Errorf("%s: %d warnings, want %d:\n%s", what, got, warnings, s.log)
		}
	}
	later := func() { s.clock.advance(lookEvery) }

	// A copy that is under way: the new certificate, the old key.
	put(t, cert, second.cert)
	expect("before it is looked at", 1, 0)
	s.clock.advance(lookEvery - 1)
	expect("just before it is looked at", 1, 0)
	later()
	expect("a certificate without its key", 1, 1)
	later()
	expect("told once", 1, 1)
	put(t, key, second.key[:len(second.key)/2])
	later()
	expect("half a key", 1, 2)
	put(t, key, second.key)
	later()
	expect("the whole pair", 2, 2)
	if got := s.pair.NotAfter(); !got.Equal(until.Add(time.Hour)) {
		t.Errorf("it ends at %v", got)
	}
	if s.log.count("certificate in use") != 2 || !strings.Contains(s.log.String(), "not_after=2026-06-02T06:06:07.000Z") {
		t.Errorf("the log:\n%s", s.log)
	}

	// Files that are gone, as between an rm and a cp.
	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	later()
	expect("no certificate", 2, 3)
	later()
	expect("still none", 2, 3)
	put(t, cert, third.cert)
	put(t, key, third.key)
	later()
	expect("a third", 3, 3)

	// One that has ended replaces none that has not.
	ended := makePair(t, 4, start.Add(-time.Minute))
	put(t, cert, ended.cert)
	put(t, key, ended.key)
	later()
	expect("one that has ended", 3, 4)

	// What was connected all the while goes on.
	if _, err := io.WriteString(held, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(held); err != nil || !bytes.Contains(answer, []byte("sealed")) {
		t.Errorf("the connection of before: %q, %v", answer, err)
	}
}

// A cluster mounts files as links to a folder of the day, and turns one link.
func TestACertificateBehindALinkThatTurns(t *testing.T) {
	dir := t.TempDir()
	until := start.Add(time.Hour)
	when := time.Now().Add(-time.Hour)
	for n, name := range []string{"one", "two"} {
		pair := makePair(t, int64(n+1), until)
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		for file, content := range map[string][]byte{"tls.crt": pair.cert, "tls.key": pair.key} {
			path := filepath.Join(dir, name, file)
			put(t, path, content)
			if err := os.Chtimes(path, when, when); err != nil { // the same time, most often the same size
				t.Fatal(err)
			}
		}
	}
	link := filepath.Join(dir, "data")
	if err := os.Symlink("one", link); err != nil {
		t.Skip("this system makes no symbolic links: ", err)
	}
	s := serveSealed(t, filepath.Join(link, "tls.crt"), filepath.Join(link, "tls.key"))
	if got := s.shows(); got != 1 {
		t.Fatalf("certificate %d", got)
	}
	if err := errors.Join(os.Symlink("two", link+"2"), os.Rename(link+"2", link)); err != nil {
		t.Fatal(err)
	}
	s.clock.advance(lookEvery)
	if got := s.shows(); got != 2 {
		t.Errorf("certificate %d", got)
	}
}

// What is written twice within the grain of a file's time looks the same.
func TestATornPairIsReadAgainThoughItLooksTheSame(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	first, second := makePair(t, 1, start.Add(time.Hour)), makePair(t, 2, start.Add(time.Hour))
	when := time.Now().Add(-time.Minute)
	write := func(path string, content []byte) {
		put(t, path, content)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	write(cert, first.cert)
	write(key, first.key)
	s := serveSealed(t, cert, key)
	when = when.Add(time.Second)
	write(cert, second.cert)
	write(key, bytes.ToUpper(second.key)) // of the same length
	s.clock.advance(lookEvery)
	if got := s.shows(); got != 1 {
		t.Fatalf("certificate %d", got)
	}
	write(key, second.key)
	s.clock.advance(lookEvery)
	if got := s.shows(); got != 2 {
		t.Errorf("certificate %d", got)
	}
	if n := s.log.count("level=WARN"); n != 1 {
		t.Errorf("%d warnings:\n%s", n, s.log)
	}
}

func TestHandshakesAtOnceWhileACertificateChanges(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	put(t, cert, makePair(t, 1, start.Add(time.Hour)).cert)
	pairs := []pemPair{makePair(t, 1, start.Add(time.Hour)), makePair(t, 2, start.Add(time.Hour))}
	put(t, cert, pairs[0].cert)
	put(t, key, pairs[0].key)
	clock := &handClock{}
	k, err := NewKeyPair(cert, key, clock.now, written.Logger(t.Name()))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				clock.advance(lookEvery)
				pair, err := k.certificate(nil)
				if err != nil {
					t.Error(err)
					return
				}
				signer := pair.PrivateKey.(*ecdsa.PrivateKey)
				if !signer.PublicKey.Equal(pair.Leaf.PublicKey) {
					t.Error("a certificate came with another's key")
					return
				}
			}
		})
	}
	for n := range 40 {
		put(t, cert, pairs[n%2].cert)
		put(t, key, pairs[n%2].key)
	}
	wg.Wait()
}

func TestACertificateThatCannotBeUsedStopsTheStart(t *testing.T) {
	if _, err := NewKeyPair("missing.pem", "missing.key", time.Now, written.Logger(t.Name())); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	dir := t.TempDir()
	put(t, filepath.Join(dir, "cert.pem"), makePair(t, 1, start).cert)
	put(t, filepath.Join(dir, "key.pem"), makePair(t, 2, start).key)
	if _, err := NewKeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), time.Now, written.Logger(t.Name())); err == nil {
		t.Error("a certificate was taken with another's key")
	}
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pair := makePair(t, 1, time.Now().Add(time.Hour))
	put(t, cert, pair.cert)
	put(t, key, pair.key)
	s := serveSealed(t, cert, key)
	// The suites alone keep older versions out too: each holds by itself.
	if got := s.pair.config().MinVersion; got != tls.VersionTLS12 {
		t.Errorf("the oldest version is %s", tls.VersionName(got))
	}
	roots := x509.NewCertPool()
	roots.AddCert(pair.pair.Leaf)
	for _, tt := range []struct {
		name   string
		client *tls.Config
		want   string // the protocol; "" where the handshake is refused
	}{
		{"1.3 and HTTP/2", &tls.Config{NextProtos: []string{"h2", "http/1.1"}}, "h2"},
		{"1.3 and HTTP/1.1", &tls.Config{NextProtos: []string{"http/1.1"}}, "http/1.1"},
		{"1.2", &tls.Config{MaxVersion: tls.VersionTLS12, NextProtos: []string{"h2"}}, "h2"},
		{"1.2 with AES-128-GCM", suite(tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256), "http/1.1"},
		{"1.2 with AES-256-GCM", suite(tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384), "http/1.1"},
		{"1.2 with ChaCha20-Poly1305", suite(tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256), "http/1.1"},
		{"1.2 with CBC", suite(tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA), ""},
		{"1.2 with CBC of 256 bits", suite(tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA), ""},
		{"1.1", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, ""},
		{"1.0", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, ""},
		{"a protocol that is none of ours", &tls.Config{NextProtos: []string{"acme-tls/1"}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.client.RootCAs, tt.client.ServerName = roots, "ani.example.com"
			conn, err := tls.Dial("tcp", s.address(), tt.client)
			if err != nil {
				if tt.want != "" {
					t.Errorf("refused: %v", err)
				}
				return
			}
			defer conn.Close()
			if got := conn.ConnectionState().NegotiatedProtocol; tt.want == "" || got != tt.want {
				t.Errorf("let in with %q, want %q", got, tt.want)
			}
		})
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "ani.example.com"},
	}}
	res, err := client.Do(request(t, http.MethodGet, "https://"+s.address(), "", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); string(body) != "sealed" || err != nil || res.ProtoMajor != 2 {
		t.Errorf("%q, %v, by %s", body, err, res.Proto)
	}
}

func suite(id uint16) *tls.Config {
	return &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{id}, NextProtos: []string{"http/1.1"}}
}

func TestWhenTheCertificateExpiresIsAMetric(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pair := makePair(t, 1, start.Add(time.Hour))
	put(t, cert, pair.cert)
	put(t, key, pair.key)
	s := serveSealed(t, cert, key)
	if got := gathered(t, s.Listeners, "aniproxy_tls_certificate_expiry_timestamp_seconds"); got != float64(start.Add(time.Hour).Unix()) {
		t.Errorf("it says %v", got)
	}
	plain := &Listeners{metrics: newListenerMetrics()}
	if got := gathered(t, plain, "aniproxy_tls_certificate_expiry_timestamp_seconds"); got != -1 {
		t.Errorf("without a certificate it says %v", got)
	}
}

// gathered is the sum of a metric's values, -1 where it is not there.
func gathered(t *testing.T, l *Listeners, name string) float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(l); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			sum := 0.0
			for _, m := range f.GetMetric() {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
			return sum
		}
	}
	return -1
}

// Whoever scans ports can make the server say something: it must not fill the
// log, nor carry what he sent into it.
func TestHandshakesThatFailAreNoWarnings(t *testing.T) {
	log := newLines(t)
	e := &errorLines{log: slog.New(slog.NewTextHandler(log, nil))}
	for _, line := range []string{"http: TLS handshake error from 192.0.2.1:5: EOF\n", "http2: server: error reading preface from client 192.0.2.1:5\n"} {
		if n, err := e.Write([]byte(line)); n != len(line) || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	if log.String() != "" {
		t.Errorf("said:\n%s", log)
	}
	if _, err := e.Write([]byte("http: Accept error: too many open files; retrying in 5ms\n")); err != nil || log.count("level=WARN") != 1 {
		t.Errorf("%v:\n%s", err, log)
	}
}
