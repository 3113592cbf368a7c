package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// memory is a listener without sockets, so that its connections may live in a
// bubble of synctest and come from any address.
type memory struct {
	name     string
	arriving chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

func newMemory(name string) *memory {
	return &memory{name: name, arriving: make(chan net.Conn), closed: make(chan struct{})}
}

func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.arriving:
		return c, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error   { m.once.Do(func() { close(m.closed) }); return nil }
func (m *memory) Addr() net.Addr { return named(m.name) }

type named string

func (n named) Network() string { return "memory" }
func (n named) String() string  { return string(n) }

// from is an end of a connection that knows where it comes from.
type from struct {
	net.Conn
	peer string
}

func (f *from) RemoteAddr() net.Addr { return named(f.peer) }

// dial connects from an address such as "192.0.2.1:5".
func (m *memory) dial(peer string) net.Conn {
	here, there := net.Pipe()
	m.arriving <- &from{Conn: there, peer: peer}
	return here
}

// house is some listeners in memory with everything that is put before them.
type house struct {
	*Listeners
	doors []*memory
}

type door struct {
	handler      http.Handler
	limit        int
	certificates Certificates
	trusted      []netip.Prefix
}

// open serves within a bubble until the test ends, and sees that nothing is
// left of it.
func open(t *testing.T, doors ...door) (*house, func()) {
	t.Helper()
	h := &house{Listeners: &Listeners{metrics: newListenerMetrics()}}
	for i, d := range doors {
		if d.limit == 0 {
			d.limit = maxConnections
		}
		m := newMemory(fmt.Sprintf("door-%d", i))
		h.doors = append(h.doors, m)
		h.add(written.Logger(t.Name()+", "+m.name), &Bind{Name: m.name, Handler: d.handler, Certificates: d.certificates, TrustedProxies: d.trusted}, m, d.limit)
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Serve() }()
	return h, func() {
		over, cancel := context.WithCancel(context.Background())
		cancel()
		h.Shutdown(over) // what is still open was opened to be cut off
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
		<-time.After(2 * time.Second) // who sends a byte a second has seen the end by then
		synctest.Wait()
		for i := range h.served {
			if n := h.served[i].gate.connections(); n != 0 {
				t.Errorf("%d connections still have a place", n)
			}
			if g := h.served[i].gate; len(g.peers) != 0 || g.idle.Len() != 0 || g.silent.Len() != 0 {
				t.Errorf("the gate still knows %d peers and %d idle connections", len(g.peers), g.idle.Len())
			}
		}
	}
}

// ask sends a request on a connection and reads its answer.
func ask(t *testing.T, conn net.Conn, head string) (status int, body string) {
	t.Helper()
	go io.WriteString(conn, head+"\r\nHost: localhost\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Errorf("no answer to %q: %v", head, err)
		return 0, ""
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		t.Errorf("the answer to %q: %v", head, err)
	}
	return res.StatusCode, string(content)
}

// isClosed tells whether the other end has closed a connection on which nothing
// is to be read.
func isClosed(conn net.Conn) bool {
	var one [1]byte
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Read(one[:])
		ended <- err
	}()
	synctest.Wait()
	select {
	case <-ended:
		return true
	default:
		return false
	}
}

func TestTenThousandConnectionsFromOneAddress(t *testing.T) {
	const flood = 10_000
	for _, tt := range []struct {
		name    string
		peer    func(i int) string
		trusted []netip.Prefix
		want    int // of them that are let in
	}{
		{"IPv4", func(i int) string { return fmt.Sprintf("192.0.2.1:%d", i) }, nil, maxFromPeer},
		{"IPv4 within IPv6", func(i int) string { return fmt.Sprintf("[::ffff:192.0.2.1]:%d", i) }, nil, maxFromPeer},
		{"IPv6, a new address each time", func(i int) string { return fmt.Sprintf("[2001:db8::%x]:5", i+1) }, nil, maxFromPeer},
		{"a trusted proxy", func(i int) string { return fmt.Sprintf("10.0.0.1:%d", i) }, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, maxConnections},
		{"this machine", func(i int) string { return fmt.Sprintf("127.0.0.1:%d", i) }, nil, maxConnections},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, end := open(t, door{handler: says("hello"), trusted: tt.trusted}, door{handler: says("admin")})
				defer end()
				for i := range flood {
					defer h.doors[0].dial(tt.peer(i)).Close()
				}
				synctest.Wait()
				if got := h.served[0].gate.connections(); got != tt.want {
					t.Errorf("%d were let in, want %d", got, tt.want)
				}
				refused, evicted := gathered(t, h.Listeners, "aniproxy_connections_refused_total"), gathered(t, h.Listeners, "aniproxy_connections_evicted_total")
				if refused+evicted != float64(flood-tt.want) {
					t.Errorf("%v were counted as refused and %v as evicted, want %d", refused, evicted, flood-tt.want)
				}
				if got := gathered(t, h.Listeners, "aniproxy_connections"); got != float64(tt.want) {
					t.Errorf("%v were counted, want %d", got, tt.want)
				}
				good := h.doors[0].dial("198.51.100.7:1")
				defer good.Close()
				if status, body := ask(t, good, "GET / HTTP/1.1"); status != 200 || body != "hello" {
					t.Errorf("another address: %d, %q", status, body)
				}
				admin := h.doors[1].dial("127.0.0.1:1")
				defer admin.Close()
				if status, body := ask(t, admin, "GET / HTTP/1.1"); status != 200 || body != "admin" {
					t.Errorf("the admin listener: %d, %q", status, body)
				}
			})
		})
	}
}

func TestTheConnectionThatIsIdleForLongestGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		h, end := open(t, door{limit: 4, handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/long" {
				<-goOn
			}
			io.WriteString(w, "hello")
		})})
		defer end()
		var held []net.Conn
		for i := range 3 {
			c := h.doors[0].dial(fmt.Sprintf("192.0.2.%d:1", i))
			defer c.Close()
			held = append(held, c)
			ask(t, c, "GET / HTTP/1.1")
		}
		ask(t, held[0], "GET / HTTP/1.1") // now the second is idle for longest
		synctest.Wait()
		busy := h.doors[0].dial("192.0.2.9:1")
		defer busy.Close()
		long := make(chan string, 1)
		go func() {
			_, body := ask(t, busy, "GET /long HTTP/1.1")
			long <- body
		}()
		synctest.Wait()

		for i, gone := range []int{1, 2, 0} {
			c := h.doors[0].dial(fmt.Sprintf("198.51.100.%d:1", i))
			defer c.Close()
			synctest.Wait()
			if !isClosed(held[gone]) {
				t.Errorf("new connection %d did not take the place of connection %d", i+1, gone+1)
			}
			go io.WriteString(c, "GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n")
			synctest.Wait()
		}
		if got := gathered(t, h.Listeners, "aniproxy_connections_evicted_total"); got != 3 {
			t.Errorf("%v gave way", got)
		}
		refused := h.doors[0].dial("198.51.100.9:1")
		defer refused.Close()
		synctest.Wait()
		if !isClosed(refused) {
			t.Error("with nobody idle a new connection was let in")
		}
		if got := gathered(t, h.Listeners, "aniproxy_connections_refused_total"); got != 1 {
			t.Errorf("%v were refused", got)
		}
		close(goOn)
		if body := <-long; body != "hello" {
			t.Errorf("the request under way got %q", body)
		}
	})
}

func TestAPlaceIsGivenBackOnce(t *testing.T) {
	g := newGate(2, nil)
	g.perPeer = 2
	conn := func() net.Conn { a, _ := net.Pipe(); return &from{Conn: a, peer: "192.0.2.1:1"} }
	first := g.admit(conn())
	first.Close()
	first.Close()
	if n := g.connections(); n != 0 {
		t.Errorf("%d places are taken", n)
	}
	g.state(first, http.StateIdle) // told late
	if g.idle.Len() != 0 {
		t.Error("a connection that is gone is idle")
	}
	for i, want := range []bool{true, true, false} {
		if got := g.admit(conn()) != nil; got != want {
			t.Errorf("connection %d has a place: %v", i+1, got)
		}
	}
}

func TestConnectionsOfADaemonWithFewFiles(t *testing.T) {
	for _, tt := range []struct {
		name      string
		files     uint64
		listeners int
		want      int
	}{
		{"as many as there may be", 1 << 20, 2, 8192},
		{"no limit", 1<<64 - 1, 2, 8192},
		{"a limit that cannot be told", 0, 2, 8192},
		{"1024, of which half are for two listeners", 1024, 2, 256},
		{"1024 with one listener", 1024, 1, 512},
		{"next to none", 20, 2, 16},
	} {
		if got := connectionLimit(tt.files, tt.listeners); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestWhoIsOnePeer(t *testing.T) {
	for _, tt := range []struct{ a, b string }{
		{"192.0.2.1:5", "[::ffff:192.0.2.1]:6"},
		{"[2001:db8:1:2::1]:5", "[2001:db8:1:2:ffff::9]:5"},
		{"[fe80::1%eth0]:5", "[fe80::1%eth1]:5"},
	} {
		if a, b := peerKey(named(tt.a)), peerKey(named(tt.b)); a != b {
			t.Errorf("%s is %s and %s is %s", tt.a, a, tt.b, b)
		}
	}
	for _, tt := range []struct{ a, b string }{
		{"192.0.2.1:5", "192.0.2.2:5"},
		{"[2001:db8:1:2::1]:5", "[2001:db8:1:3::1]:5"},
		{"[::1]:5", "[::2]:5"},
	} {
		if a, b := peerKey(named(tt.a)), peerKey(named(tt.b)); a == b {
			t.Errorf("%s and %s are both %s", tt.a, tt.b, a)
		}
	}
	if got := peerKey(named("[::1]:5")); !got.IsLoopback() {
		t.Errorf("loopback is %s", got)
	}
}

// However few places there are, one address cannot have most of them.
func TestOneAddressHasAnEighthOfThePlaces(t *testing.T) {
	for limit, want := range map[int]int{8192: 1024, 1024: 128, 256: 32, 16: 2, 4: 1} {
		if got := newGate(limit, nil).perPeer; got != want {
			t.Errorf("of %d places one address has %d, want %d", limit, got, want)
		}
	}
}

// TestAFloodThatSaysNothingPushesOutItsOwn: connections that send nothing, or
// half a header, make room for each other, and those who ask are answered and
// keep theirs.
func TestAFloodThatSaysNothingPushesOutItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const places = 64
		h, end := open(t, door{limit: places, handler: says("hello")})
		defer end()
		good := h.doors[0].dial("192.0.2.1:1")
		defer good.Close()
		ask(t, good, "GET / HTTP/1.1")
		for i := range 10 * places {
			c := h.doors[0].dial(fmt.Sprintf("198.51.%d.%d:1", i/250, i%250))
			defer c.Close()
			if i%2 == 0 {
				go io.WriteString(c, "GET / HT")
			}
			synctest.Wait()
			if i%100 == 0 {
				late := h.doors[0].dial("203.0.113.1:1")
				if _, body := ask(t, late, "GET / HTTP/1.1"); body != "hello" {
					t.Errorf("after %d of them somebody new got %q", i+1, body)
				}
				late.Close()
			}
		}
		if _, body := ask(t, good, "GET / HTTP/1.1"); body != "hello" {
			t.Errorf("who was there before got %q", body)
		}
		if got := gathered(t, h.Listeners, "aniproxy_connections_refused_total"); got != 0 {
			t.Errorf("%v were refused", got)
		}
	})
}

func TestRefusedConnectionsAreToldOfOnceAMinute(t *testing.T) {
	clock, text := &handClock{}, newLines(t)
	g := newGate(8, nil)
	g.name, g.clock, g.log = "public", clock.now, slog.New(slog.NewTextHandler(text, nil))
	come := func(times int) {
		for range times {
			a, _ := net.Pipe()
			g.admit(&from{Conn: a, peer: "192.0.2.1:1"})
		}
	}
	come(4) // one address has an eighth
	clock.advance(59 * time.Second)
	come(1)
	clock.advance(time.Second)
	come(1)
	got := text.String()
	if strings.Count(got, "connections are refused") != 2 || !strings.Contains(got, "listener=public") || !strings.Contains(got, "refused=1\n") || !strings.Contains(got, "refused=4\n") {
		t.Errorf("the log has %s", got)
	}
}
