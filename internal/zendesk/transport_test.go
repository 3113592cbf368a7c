package zendesk

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"io/fs"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestTheTransportVerifiesAndKnowsNoOldTLS(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"https", "http"} {
		tr := newTransport(scheme)
		if c := tr.TLSClientConfig; c.MinVersion != tls.VersionTLS12 || c.InsecureSkipVerify || c.VerifyConnection != nil || c.RootCAs != nil {
			t.Errorf("%s: %+v", scheme, c)
		}
		// A proxy sees a name and a tunnel of https; of plain http it would see
		// the credentials.
		if (tr.Proxy != nil) != (scheme == "https") {
			t.Errorf("%s has a proxy: %v", scheme, tr.Proxy != nil)
		}
	}
}

// Nowhere in what is built is a certificate left unverified, or an older TLS
// allowed than 1.2.
func TestNobodyTurnsVerificationOff(t *testing.T) {
	t.Parallel()
	read := 0
	err := filepath.WalkDir(filepath.Join("..", ".."), func(path string, e fs.DirEntry, err error) error {
		switch name := e.Name(); {
		case err != nil:
			return err
		case e.IsDir() && (name == "node_modules" || name == "testdata" || len(name) > 2 && name[0] == '.'):
			return filepath.SkipDir
		case e.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		read++
		for _, word := range []string{"Insecure" + "SkipVerify", "VersionTLS10", "VersionTLS11", "VersionSSL30"} {
			if strings.Contains(string(text), word) {
				t.Errorf("%s has %s", path, word)
			}
		}
		return nil
	})
	if err != nil || read < 200 {
		t.Errorf("%d files were read: %v", read, err)
	}
}

// authority signs the certificates of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tests"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	a.cert, a.key = a.sign(t, template)
	return a
}

func (a *authority) sign(t *testing.T, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, by := a.cert, a.key
	if parent == nil {
		parent, by = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// server is a TLS server with a certificate for names.
func (a *authority) server(t *testing.T, from, to time.Duration, names []string, handler http.Handler, change func(*tls.Config)) *httptest.Server {
	t.Helper()
	cert, key := a.sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "acme.zendesk.com"}, DNSNames: names,
		NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(to),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	s := httptest.NewUnstartedServer(handler)
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}}
	if change != nil {
		change(s.TLS)
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// trusting has a client of acme.zendesk.com dial a server, and trust an authority.
func trusting(t *testing.T, a *authority, address string) *Client {
	t.Helper()
	c := newClient(t, basicConfig(nil))
	c.own.TLSClientConfig.RootCAs = x509.NewCertPool()
	c.own.TLSClientConfig.RootCAs.AddCert(a.cert)
	c.own.Proxy = nil
	dial := c.own.DialContext
	c.own.DialContext = func(ctx context.Context, network, to string) (net.Conn, error) {
		if to != "acme.zendesk.com:443" {
			t.Errorf("a dial to %s", to)
		}
		return dial(ctx, network, address)
	}
	return c
}

func TestNothingIsSentToWhoCannotProveToBeZendesk(t *testing.T) {
	t.Parallel()
	ours, others := newAuthority(t), newAuthority(t)
	acme := []string{"acme.zendesk.com"}
	for _, tt := range []struct {
		name     string
		by       *authority
		from, to time.Duration
		names    []string
		change   func(*tls.Config)
		good     bool
	}{
		{"a good certificate", ours, -time.Hour, time.Hour, acme, nil, true},
		{"one for all of zendesk.com", ours, -time.Hour, time.Hour, []string{"*.zendesk.com"}, nil, true},
		{"TLS 1.2", ours, -time.Hour, time.Hour, acme, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, true},
		{"one of an unknown authority", others, -time.Hour, time.Hour, acme, nil, false},
		{"an expired one", ours, -2 * time.Hour, -time.Minute, acme, nil, false},
		{"one that is not valid yet", ours, time.Hour, 2 * time.Hour, acme, nil, false},
		{"another host's", ours, -time.Hour, time.Hour, []string{"evil.example"}, nil, false},
		{"one of a host that begins so", ours, -time.Hour, time.Hour, []string{"acme.zendesk.com.evil"}, nil, false},
		{"a wildcard one level up", ours, -time.Hour, time.Hour, []string{"*.com"}, nil, false},
		{"one with the name in its common name only", ours, -time.Hour, time.Hour, nil, nil, false},
		{"TLS 1.1", ours, -time.Hour, time.Hour, acme, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var came []string
			s := tt.by.server(t, tt.from, tt.to, tt.names, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				came = append(came, r.Proto+" "+r.Header.Get("Authorization"))
				w.Header().Set("Alt-Svc", `h3="evil.example:443", h2="evil.example:443"; ma=86400`)
				_, _ = io.WriteString(w, `{"user":{"id":7}}`)
			}), tt.change)
			c := trusting(t, ours, s.Listener.Addr().String())
			for range 3 { // the second and third would heed an Alt-Svc
				_, _, err := c.As(Live).ShowUser(t.Context(), 7)
				switch {
				case tt.good && err != nil:
					t.Fatal(err)
				case !tt.good && asError(t, err).Class != ClassUnavailable:
					t.Errorf("got %v", err)
				case !tt.good && strings.Contains(err.Error(), "zendesk.com"):
					t.Errorf("the error repeats the host: %v", err)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if tt.good && (len(came) != 3 || came[2] != "HTTP/2.0 Basic Ym90QGV4YW1wbGUuY29tL3Rva2VuOnNlc2FtZQ==") || !tt.good && len(came) > 0 {
				t.Errorf("what came: %q", came)
			}
		})
	}
}

// tunnel is a proxy that grants every CONNECT to one address and keeps what
// it can read.
type tunnel struct {
	to string
	mu sync.Mutex
	in []string
}

func (p *tunnel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var head strings.Builder
	_ = r.Header.Write(&head)
	p.mu.Lock()
	p.in = append(p.in, r.Method+" "+r.RequestURI+" "+head.String())
	p.mu.Unlock()
	if r.Method != http.MethodConnect {
		return
	}
	out, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	in, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_, _ = io.WriteString(in, "HTTP/1.1 200 OK\r\n\r\n")
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(in, out)
		in.Close()
	}()
	_, _ = io.Copy(out, buffered)
	out.Close()
	<-done
}

func TestAProxySeesANameAndNoCredentials(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	came := make(chan string, 1)
	s := ours.server(t, -time.Hour, time.Hour, []string{"acme.zendesk.com"}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		came <- r.Header.Get("Authorization")
		_, _ = io.WriteString(w, `{"user":{"id":7}}`)
	}), nil)
	p := &tunnel{to: s.Listener.Addr().String()}
	proxy := httptest.NewServer(p)
	defer proxy.Close()
	at, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, basicConfig(nil))
	c.own.TLSClientConfig.RootCAs = x509.NewCertPool()
	c.own.TLSClientConfig.RootCAs.AddCert(ours.cert)
	c.own.Proxy = http.ProxyURL(at) // as the environment's would be
	if _, _, err := c.As(Live).ShowUser(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if got := <-came; !strings.HasPrefix(got, "Basic ") {
		t.Errorf("the account got Authorization %q", got)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.in) != 1 || !strings.HasPrefix(p.in[0], "CONNECT acme.zendesk.com:443 ") || strings.Contains(p.in[0], "uthorization") || strings.Contains(p.in[0], "sesame") {
		t.Errorf("the proxy saw %q", p.in)
	}
}

func TestAddressesAreLookedAtWhenTheyAreDialled(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"169.254.169.254:80", "169.254.169.254:443", "[fe80::1]:443", "[::ffff:169.254.169.254]:80", "[64:ff9b::a9fe:a9fe]:80", "[fd00:ec2::254]:80",
		"0.0.0.0:80", "[::]:80", "224.0.0.1:80", "[ff02::1]:80", "255.255.255.255:80", "100.100.100.200:80",
	} {
		conn, err := newDialer(false).DialContext(t.Context(), "tcp", address)
		if !errors.Is(err, ErrAddress) {
			t.Errorf("%s: %v, %v", address, conn, err)
		}
	}
	for _, address := range []string{"10.1.2.3:80", "192.0.2.1:8090", "[2001:db8::1]:80"} {
		if conn, err := newDialer(true).DialContext(t.Context(), "tcp", address); !errors.Is(err, ErrAddress) {
			t.Errorf("plain http to %s: %v, %v", address, conn, err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, plain := range []bool{true, false} {
		conn, err := newDialer(plain).DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
}
