package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// ACMEOptions say for which names certificates are fetched, and from whom.
type ACMEOptions struct {
	// Domains are the names that are asked for, and the only ones answered.
	// Naming them accepts the terms of the certificate authority, whatever
	// they are at the time.
	Domains []string
	// Dir is the folder that keeps the account's key, the certificates and
	// theirs, so that a restart asks for nothing. It is made, or made, readable
	// for its owner alone.
	Dir string
	// Directory is the authority's URL; "" is Let's Encrypt's.
	Directory string
	// HTTP carries the questions to the authority; nil asks over a
	// connection of its own, or through the proxy that the environment names.
	HTTP   http.RoundTripper
	Logger *slog.Logger
	Clock  func() time.Time // of messages alone; see [ACME]
}

// Limits of what is asked of a certificate authority.
const (
	// acmeTimeout bounds one request to the authority; autocert bounds the
	// whole walk with 5 minutes.
	acmeTimeout = 30 * time.Second
	// maxWaiting bounds the handshakes that wait for a name's first
	// certificate. A walk takes seconds and some 5 connections while it lasts
	// (the authority looks from several places); who floods us meanwhile
	// must not have goroutines wait that outlive his connections.
	maxWaiting = 64
	// acmeComplaint is how often a name that gets no certificate is told of:
	// autocert tries again after a minute.
	acmeComplaint = time.Minute
)

// ACME has certificates from an authority that speaks ACME (RFC 8555), proving
// that a name is ours in the handshake itself (tls-alpn-01, RFC 8737): the
// authority comes to port 443 of the name, and no port 80 is needed. A name's
// certificate is fetched as soon as the listener answers, which holds the start
// up in no way where the authority cannot be reached: any later handshake tries
// again. A handshake is cut off after 5 s; the walk that it has begun goes on,
// and the next one finds what it brought. A certificate is renewed when a third
// of its time is left, 30 days at the most.
//
// The walk is autocert's. It reads the clock itself, and renews by timers of
// its own, which nothing outside can stop: they belong to this type, whose
// close lets no request out any more and waits for the walks that handshakes
// have begun. What a timer finds after that is an error at once, and the timer
// it starts then, half an hour away, ends with the process. So does, after a
// second or some, a goroutine of autocert's that takes back an order whose proof
// failed.
type ACME struct {
	names   []string
	manager *autocert.Manager
	line    *closableTransport
	log     *slog.Logger
	clock   func() time.Time
	waiting chan struct{}

	walks  sync.RWMutex // held for reading by every handshake; by close to wait for them
	mu     sync.Mutex   // of what follows
	expiry map[string]time.Time
	told   map[string]time.Time // when a name's failure was last told of
}

// NewACME makes the folder. It asks the authority nothing.
func NewACME(o ACMEOptions) (*ACME, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder of certificates: %w", err)
	}
	if err := os.Chmod(o.Dir, 0o700); err != nil { //nolint:gosec // G302 is about files: a folder needs x
		return nil, fmt.Errorf("folder of certificates: %w", err)
	}
	if o.Directory == "" {
		o.Directory = autocert.DefaultACMEDirectory
	}
	if o.HTTP == nil {
		// Its connections are then nobody else's, and may be closed.
		o.HTTP = &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConns: 2, IdleConnTimeout: acmeTimeout,
			TLSHandshakeTimeout: acmeTimeout,
		}
	}
	a := &ACME{
		log: o.Logger, clock: o.Clock, waiting: make(chan struct{}, maxWaiting),
		line:   newClosableTransport(o.HTTP),
		expiry: map[string]time.Time{}, told: map[string]time.Time{},
	}
	for _, name := range o.Domains {
		a.names = append(a.names, strings.ToLower(strings.TrimSuffix(name, ".")))
	}
	a.manager = &autocert.Manager{
		Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(o.Dir), HostPolicy: autocert.HostWhitelist(a.names...),
		Client: &acme.Client{
			DirectoryURL: o.Directory, UserAgent: "aniproxy",
			HTTPClient: &http.Client{Transport: a.line, Timeout: acmeTimeout},
		},
	}
	return a, nil
}

func (a *ACME) config() *tls.Config { return newTLSConfig(a.certificate, acme.ALPNProto) }

// NotAfter is when the certificate that expires soonest does, of those that
// have been shown since the start.
func (a *ACME) NotAfter() (soonest time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, at := range a.expiry {
		if soonest.IsZero() || at.Before(soonest) {
			soonest = at
		}
	}
	return soonest
}

// Errors of a handshake: what its client sees is an alert, and the log, where it
// is asked to tell of such things, these.
var (
	errForeignName = errors.New("no certificate is had for this server name")
	errACMEClosed  = errors.New("the daemon is stopping")
	errFetching    = errors.New("the certificate is being fetched, and too many wait for it")
)

// certificate is a tls.Config's GetCertificate. A name that is not ours ends
// here: neither the authority nor the folder is asked.
func (a *ACME) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	if !slices.Contains(a.names, name) {
		return nil, errForeignName
	}
	a.walks.RLock()
	defer a.walks.RUnlock()
	// The authority itself, which comes to see the proof: it must not queue up
	// behind those who wait for what it proves.
	if len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acme.ALPNProto {
		return a.manager.GetCertificate(hello)
	}
	if !a.has(name) {
		select {
		case a.waiting <- struct{}{}:
			defer func() { <-a.waiting }()
		default:
			return nil, errFetching
		}
	}
	pair, err := a.manager.GetCertificate(hello)
	if err != nil {
		a.failed(name, err)
		return nil, err
	}
	a.uses(name, pair)
	return pair, nil
}

func (a *ACME) has(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.expiry[name].IsZero()
}

func (a *ACME) uses(name string, pair *tls.Certificate) {
	if pair.Leaf == nil {
		return // autocert always fills it in
	}
	a.mu.Lock()
	changed := !a.expiry[name].Equal(pair.Leaf.NotAfter)
	a.expiry[name] = pair.Leaf.NotAfter
	delete(a.told, name)
	a.mu.Unlock()
	if changed {
		a.log.Info("certificate in use", slog.String("domain", name), slog.Time("not_after", pair.Leaf.NotAfter))
	}
}

func (a *ACME) failed(name string, err error) {
	now := a.clock()
	a.mu.Lock()
	defer a.mu.Unlock() // after the line is written: who is not told again may count on it
	if last, told := a.told[name]; told && now.Sub(last) < acmeComplaint {
		return
	}
	a.told[name] = now
	a.log.Warn("no certificate could be had", slog.String("domain", name), slog.Any("error", err))
}

// warm fetches each name's certificate as a handshake would, one after the
// other: the first caller after a start should not wait for the walk.
func (a *ACME) warm() {
	for _, name := range a.names {
		hello := &tls.ClientHelloInfo{ServerName: name, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}
		a.certificate(hello) //nolint:errcheck // it is logged, and the next handshake tries again
	}
}

// close lets no request out any more and waits, while the context lasts, for the
// handshakes under way: all that they wait for has become an error, but for the
// pause that the authority asked for between two looks at an order.
func (a *ACME) close(ctx context.Context) {
	a.line.close()
	over := make(chan struct{})
	go func() {
		defer close(over)
		a.walks.Lock()
		defer a.walks.Unlock()
	}()
	select {
	case <-over:
	case <-ctx.Done():
	}
}

// closableTransport is a way out that can be shut.
type closableTransport struct {
	next http.RoundTripper
	life context.Context //nolint:containedctx // the way's own life, which is no request's
	end  context.CancelFunc
}

func newClosableTransport(next http.RoundTripper) *closableTransport {
	t := &closableTransport{next: next}
	t.life, t.end = context.WithCancel(context.Background())
	return t
}

// RoundTrip ends when its request's context does, or the way is shut.
func (t *closableTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.life.Err() != nil {
		return nil, errACMEClosed
	}
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(t.life, cancel) //nolint:contextcheck // the end of one ends the other
	end := func() { stop(); cancel() }
	answer, err := t.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		end()
		return nil, err
	}
	answer.Body = &endingBody{ReadCloser: answer.Body, end: end}
	return answer, nil
}

func (t *closableTransport) close() {
	t.end()
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// endingBody lets go of its request's context when it is closed.
type endingBody struct {
	io.ReadCloser
	end func()
}

func (b *endingBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}
