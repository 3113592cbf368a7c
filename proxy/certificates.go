package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Certificates are where a listener has its certificate from: a [KeyPair] or an
// [ACME]. Two listeners may share one. Its methods may be called concurrently.
type Certificates interface {
	// NotAfter is when the certificate in use expires, the soonest where there
	// are several; the zero time where there is none yet.
	NotAfter() time.Time
	// config is what a listener needs of it, a copy of its own.
	config() *tls.Config
	// warm gets what handshakes will ask for, as far as it can be had; close
	// waits for it as it does for them.
	warm()
	// close ends what it does beside answering. What it has it still shows, for
	// those who were admitted before. It may be called twice.
	close(ctx context.Context)
}

// newTLSConfig is TLS as every listener speaks it. Version 1.2 is the oldest
// that RFC 8996 leaves, and of its suites only those remain that encrypt and
// authenticate in one (AEAD) with a key that is forgotten afterwards (ECDHE):
// Go's own list still has CBC ones. Version 1.3 has no others, and Go chooses
// among those by itself.
func newTLSConfig(certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error), protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		GetCertificate: certificate,
		NextProtos:     append([]string{"h2", "http/1.1"}, protocols...),
	}
}

// lookEvery is how often the files of a certificate are looked at, at most: two
// calls of stat in 10 s cost nothing, and who renews a certificate does so weeks
// before the old one ends.
const lookEvery = 10 * time.Second

// KeyPair is a certificate and its key from two PEM files, taken up anew when
// they change. No goroutine watches them: a handshake looks, since only then
// does it matter, and looking at what the names lead to sees a file that was
// written over, one that was moved into place, and a symbolic link that was
// turned to another folder.
type KeyPair struct {
	certFile, keyFile string
	clock             func() time.Time
	log               *slog.Logger

	current atomic.Pointer[tls.Certificate]

	mu     sync.Mutex // of what follows; held by the one who looks
	looked time.Time
	seen   [2]os.FileInfo // as they were before they were last read
	torn   bool           // what was seen could not be used
}

// NewKeyPair reads the files. An error is that of a pair that cannot be used:
// later on, such a pair only delays the change.
func NewKeyPair(certFile, keyFile string, clock func() time.Time, log *slog.Logger) (*KeyPair, error) {
	k := &KeyPair{certFile: certFile, keyFile: keyFile, clock: clock, log: log, looked: clock()}
	k.seen = k.stat()
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("certificate %s: %w", certFile, err)
	}
	k.use(&pair)
	return k, nil
}

// NotAfter is when the certificate in use expires.
func (k *KeyPair) NotAfter() time.Time { return k.current.Load().Leaf.NotAfter }

func (k *KeyPair) config() *tls.Config { return newTLSConfig(k.certificate) }

// close has nothing to end.
func (k *KeyPair) warm() {}

func (k *KeyPair) close(context.Context) {}

// certificate is a tls.Config's GetCertificate. Of several handshakes at once
// one looks; the others go on with what there is, so that files on a share that
// hangs hold up one handshake and not all.
func (k *KeyPair) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if k.mu.TryLock() {
		k.look()
		k.mu.Unlock()
	}
	return k.current.Load(), nil
}

// look takes up what has changed. The files are read after they were looked
// at: what changes in between looks different the next time. A pair that could
// not be used is read again even if it looks the same, for a file may be written
// to twice within the grain of its time; it is told of once.
func (k *KeyPair) look() {
	now := k.clock()
	if passed := now.Sub(k.looked); passed >= 0 && passed < lookEvery {
		return
	}
	k.looked = now
	files := k.stat()
	changed := !same(files[0], k.seen[0]) || !same(files[1], k.seen[1])
	if !changed && !k.torn {
		return
	}
	k.seen = files
	pair, err := tls.LoadX509KeyPair(k.certFile, k.keyFile)
	if err == nil && pair.Leaf.NotAfter.Before(now) {
		err = errExpired
	}
	k.torn = err != nil
	if err == nil {
		k.use(&pair)
	} else if changed {
		k.log.Warn("the certificate's files have changed and cannot be used: the old one stays in use",
			slog.String("cert_file", k.certFile), slog.String("key_file", k.keyFile), slog.Any("error", err))
	}
}

var errExpired = errors.New("the new certificate has expired already")

func (k *KeyPair) use(pair *tls.Certificate) {
	before := k.current.Swap(pair)
	if before != nil && before.Leaf.Equal(pair.Leaf) {
		return
	}
	k.log.Info("certificate in use", slog.String("cert_file", k.certFile), slog.Time("not_after", pair.Leaf.NotAfter))
}

// stat looks at both files; one that is not there is nil.
func (k *KeyPair) stat() (files [2]os.FileInfo) {
	for i, path := range []string{k.certFile, k.keyFile} {
		if f, err := os.Stat(path); err == nil {
			files[i] = f
		}
	}
	return files
}

// same tells whether a file is the one it was. The file itself is compared too:
// `cp -p` and archives bring their own times along.
func same(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}
