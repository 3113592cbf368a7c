package proxy

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// pairFor writes a certificate and reads it.
func pairFor(t *testing.T) *KeyPair {
	t.Helper()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pair := makePair(t, 1, start.Add(time.Hour))
	put(t, cert, pair.cert)
	put(t, key, pair.key)
	k, err := NewKeyPair(cert, key, (&handClock{}).now, written.Logger(t.Name()))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// frames is a client of HTTP/2 that sends what no client should.
type frames struct {
	*http2.Framer
	conn  *tls.Conn
	read  chan struct{} // closed with the connection
	reset atomic.Uint32 // streams that the server has reset
	calm  atomic.Bool   // it was told to be
}

// newFrames shakes hands; window is how much of an answer it takes.
func newFrames(t *testing.T, conn net.Conn, window uint32) *frames {
	t.Helper()
	sealed := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err := sealed.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	f := &frames{Framer: http2.NewFramer(sealed, sealed), conn: sealed, read: make(chan struct{})}
	go f.receive()
	if _, err := io.WriteString(sealed, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *frames) receive() {
	defer close(f.read)
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		switch frame := frame.(type) {
		case *http2.RSTStreamFrame:
			f.reset.Add(1)
		case *http2.GoAwayFrame:
			if frame.ErrCode == http2.ErrCodeEnhanceYourCalm {
				f.calm.Store(true)
			}
		}
	}
}

// header is a request's, encoded for one stream by itself.
func header(method, path string, more ...string) []byte {
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	fields := append([]string{":method", method, ":scheme", "https", ":authority", "localhost", ":path", path}, more...)
	for i := 0; i < len(fields); i += 2 {
		e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return block.Bytes()
}

// A client that opens streams and resets them at once makes work and has none.
func TestRapidReset(t *testing.T) {
	var running, most atomic.Int32
	goOn, tooMany := make(chan struct{}), make(chan struct{}, 1)
	l := serve(t, Bind{Addr: "127.0.0.1:0", Certificates: pairFor(t), Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		now := running.Add(1)
		before := most.Load()
		for now > before && !most.CompareAndSwap(before, now) {
			before = most.Load()
		}
		if now == maxStreams+1 {
			tooMany <- struct{}{}
		}
		<-goOn // as a handler that does not look whether anybody still waits
		running.Add(-1)
	})})
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	f := newFrames(t, conn, 1<<16)
	block := header("GET", "/")
	sent := 0
	for ; sent < 100*maxStreams; sent++ {
		id := uint32(2*sent + 1)
		if errors.Join(
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndHeaders: true, EndStream: true}),
			f.WriteRSTStream(id, http2.ErrCodeCancel),
		) != nil {
			break
		}
	}
	select {
	case <-f.read: // the server has closed
	case <-tooMany:
	}
	if !f.calm.Load() {
		t.Errorf("after %d streams the connection was not closed for it", sent)
	}
	conn.Close()
	if got := most.Load(); got > maxStreams {
		t.Errorf("%d handlers ran at once, want %d at the most", got, maxStreams)
	}
	close(goOn)
	if err := errors.Join(l.Shutdown(t.Context()), <-l.ended); err != nil {
		t.Errorf("the end: %v", err)
	}
}

func TestSlowClientsOfHTTP2(t *testing.T) {
	w := newWorld(t, withClients)
	pair := pairFor(t)
	known := []string{"authorization", "Bearer " + secretOf("lookup"), "content-type", "application/json"}
	for _, tt := range []struct {
		name   string
		window uint32
		// act does it until it is cut off.
		act    func(f *frames) error
		within time.Duration
		reset  uint32 // streams; 0 where the connection ends
	}{
		{"nothing but pings", 1 << 16, func(f *frames) error {
			for {
				if err := f.WritePing(false, [8]byte{}); err != nil {
					return err
				}
				<-time.After(time.Second)
			}
		}, idleTimeout, 0},
		{"a header, a piece a second", 1 << 16, func(f *frames) error {
			err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: header("GET", "/healthz"), EndStream: true})
			for err == nil {
				err = f.WriteContinuation(1, false, header("GET", "/healthz")[:1])
				<-time.After(time.Second)
			}
			return err
		}, idleTimeout, 0},
		{"a body, a byte a second", 1 << 16, func(f *frames) error {
			err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: header("POST", "/v1/lookup", known...), EndHeaders: true})
			for err == nil && f.reset.Load() == 0 {
				err = f.WriteData(1, false, []byte(" "))
				<-time.After(time.Second)
			}
			return err
		}, readTimeout, 1},
		{"an answer, of which a byte is taken", 1, func(f *frames) error {
			err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: header("GET", "/openapi.yaml"), EndHeaders: true, EndStream: true})
			for err == nil && f.reset.Load() == 0 {
				<-time.After(time.Second)
				err = f.WriteWindowUpdate(1, 1)
			}
			return err
		}, writeTimeout, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, end := open(t, door{handler: w.Public(), certificates: pair})
				defer end()
				f := newFrames(t, h.doors[0].dial("192.0.2.1:1"), tt.window)
				defer f.conn.Close()
				began := time.Now()
				err := tt.act(f)
				// Notice and the connection's last second.
				if took := time.Since(began); took < tt.within || took > tt.within+3*time.Second {
					t.Errorf("it was cut off after %v, want %v", took, tt.within)
				}
				if got := f.reset.Load(); got != tt.reset || (err == nil) != (tt.reset > 0) {
					t.Errorf("%d streams were reset, and the connection: %v", got, err)
				}
			})
		})
	}
}

// Who reads nothing at all, not even frames, keeps no connection for that.
func TestAClientOfHTTP2ThatReadsNothing(t *testing.T) {
	w := newWorld(t, withClients)
	pair := pairFor(t)
	synctest.Test(t, func(t *testing.T) {
		h, end := open(t, door{handler: w.Public(), certificates: pair})
		defer end()
		raw := &deaf{Conn: h.doors[0].dial("192.0.2.1:1"), ended: make(chan struct{})}
		f := newFrames(t, raw, 1<<30)
		defer raw.close()
		synctest.Wait()
		raw.mute.Store(true)
		began := time.Now()
		block := header("GET", "/openapi.yaml")
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndHeaders: true, EndStream: true}); err != nil {
			t.Fatal(err)
		}
		for h.served[0].gate.connections() > 0 && time.Since(began) < time.Hour {
			<-time.After(time.Second)
		}
		if took := time.Since(began); took > 2*writeTimeout {
			t.Errorf("it kept its place for %v", took)
		}
	})
}

// deaf is a connection whose owner stops reading.
type deaf struct {
	net.Conn
	mute  atomic.Bool
	ended chan struct{}
	once  sync.Once
}

func (d *deaf) Read(p []byte) (int, error) {
	if d.mute.Load() {
		<-d.ended
		return 0, io.EOF
	}
	return d.Conn.Read(p)
}

func (d *deaf) close() { d.once.Do(func() { close(d.ended) }); d.Close() }

// Bodies that nobody has read yet are few bytes, whatever a client sends.
func TestABodyOfHTTP2ThatIsTooLong(t *testing.T) {
	w := newWorld(t, withClients)
	l := serve(t, Bind{Addr: "127.0.0.1:0", Certificates: pairFor(t), Handler: w.Public()})
	client := &http.Client{Transport: &http.Transport{
		ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	defer client.CloseIdleConnections()
	for name, length := range map[string]int64{"with a length": maxBody + 1, "without": -1} {
		r := request(t, http.MethodPost, "https://"+l.Addrs()[0].String()+"/v1/lookup", strings.Repeat(" ", maxBody+1), "lookup")
		r.ContentLength = length
		res, err := client.Do(r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusRequestEntityTooLarge || res.ProtoMajor != 2 {
			t.Errorf("%s: status %d by %s", name, res.StatusCode, res.Proto)
		}
	}
	client.CloseIdleConnections()
	if err := errors.Join(l.Shutdown(t.Context()), <-l.ended); err != nil {
		t.Errorf("the end: %v", err)
	}
}
