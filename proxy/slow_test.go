package proxy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// trickle sends a text a byte a second, and ends when it cannot.
func trickle(conn net.Conn, text string) {
	for i := range len(text) {
		if _, err := conn.Write([]byte{text[i]}); err != nil {
			return
		}
		<-time.After(time.Second)
	}
}

// endless is a text without an end.
func endless(conn net.Conn, first, again string) {
	if _, err := io.WriteString(conn, first); err != nil {
		return
	}
	for {
		if _, err := io.WriteString(conn, again); err != nil {
			return
		}
	}
}

// answered reads all that comes until the other end closes.
func answered(conn net.Conn) string {
	all, _ := io.ReadAll(conn)
	return string(all)
}

const (
	asKnown = "Host: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer "
	post    = "POST /v1/lookup HTTP/1.1\r\n"
)

// slowOnes are clients that hold a connection, or fill it, on purpose. Each
// does so until it is cut off and says what it was answered.
func slowOnes() []slowOne {
	known := asKnown + secretOf("lookup") + "\r\n"
	return []slowOne{
		{"nothing is sent", func(c net.Conn) string { return answered(c) }, readHeaderTimeout, ""},
		{"a header, a byte a second", func(c net.Conn) string {
			go trickle(c, "GET /v1/lookup?ani=5 HTTP/1.1\r\nHost: localhost\r\n\r\n")
			return answered(c)
		}, readHeaderTimeout, " 400 "}, // a socket is closed without an answer: net/http knows its timeouts, not a pipe's
		{"a body, a byte a second", func(c net.Conn) string {
			go func() {
				io.WriteString(c, post+known+"Content-Length: 1000\r\n\r\n")
				trickle(c, strings.Repeat(" ", 1000))
			}()
			return answered(c)
		}, readTimeout, " 400 "},
		{"a body in chunks, a byte a second", func(c net.Conn) string {
			go func() {
				io.WriteString(c, post+known+"Transfer-Encoding: chunked\r\n\r\n")
				trickle(c, strings.Repeat("1\r\n \r\n", 200))
			}()
			return answered(c)
		}, readTimeout, " 400 "},
		{"a body, a byte a second, without a key", func(c net.Conn) string {
			go func() {
				io.WriteString(c, post+"Host: localhost\r\nContent-Length: 1000\r\n\r\n")
				trickle(c, strings.Repeat(" ", 1000))
			}()
			return answered(c)
		}, readTimeout, " 401 "},
		{"an answer, read a byte a second", func(c net.Conn) string {
			io.WriteString(c, "GET /openapi.yaml HTTP/1.1\r\nHost: localhost\r\n\r\n")
			var got []byte
			for {
				var one [1]byte
				if _, err := c.Read(one[:]); err != nil {
					return string(got)
				}
				got = append(got, one[0])
				<-time.After(time.Second)
			}
		}, writeTimeout, " 200 "},
		{"a connection that does nothing more", func(c net.Conn) string {
			go io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
			return answered(c)
		}, idleTimeout, " 200 "},
		{"headers without an end", func(c net.Conn) string {
			go endless(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n", "X-Padding: "+strings.Repeat("x", 1000)+"\r\n")
			return answered(c)
		}, time.Second, " 431 "},
		{"one header without an end", func(c net.Conn) string {
			go endless(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Padding: ", strings.Repeat("x", 1000))
			return answered(c)
		}, time.Second, " 431 "},
		{"a body that is said to be too long", func(c net.Conn) string {
			go endless(c, fmt.Sprintf("%s%sContent-Length: %d\r\n\r\n", post, known, 1<<40), strings.Repeat(" ", 1000))
			return answered(c)
		}, readTimeout, " 413 "},
		{"a body in chunks without an end", func(c net.Conn) string {
			go endless(c, post+known+"Transfer-Encoding: chunked\r\n\r\n", "3e8\r\n"+strings.Repeat(" ", 1000)+"\r\n")
			return answered(c)
		}, readTimeout, " 413 "},
	}
}

type slowOne struct {
	name string
	run  func(net.Conn) string
	// within is when it is cut off at the latest; where nothing but the limit
	// ends it, exactly then.
	within time.Duration
	says   string // in the answer; "" where there is none
}

func TestSlowAndGreedyClientsAreCutOff(t *testing.T) {
	w := newWorld(t, withClients)
	for _, slow := range slowOnes() {
		t.Run(slow.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, end := open(t, door{handler: w.Public()})
				defer end()
				conn := h.doors[0].dial("192.0.2.1:1")
				defer conn.Close()
				began := time.Now()
				got := slow.run(conn)
				took := time.Since(began)
				line, _, _ := strings.Cut(got, "\r\n")
				if slow.says == "" && got != "" || !strings.Contains(line, slow.says) {
					t.Errorf("it was answered %q, want %q", line, slow.says)
				}
				greedy := strings.Contains(" 431 413 ", slow.says) && slow.says != ""
				// A byte a second is noticed with the byte that comes after.
				if took > slow.within+time.Second || !greedy && took < slow.within {
					t.Errorf("it was cut off after %v, want %v", took, slow.within)
				}
			})
		})
	}
}

// All of them at once, many of each, and in between somebody who only asks.
func TestAGoodClientIsAnsweredWhileOthersAreSlow(t *testing.T) {
	w := newWorld(t, withClients)
	synctest.Test(t, func(t *testing.T) {
		h, end := open(t, door{handler: w.Public()})
		defer end()
		var slow sync.WaitGroup
		for i, s := range slowOnes() {
			for n := range 50 {
				conn := h.doors[0].dial(fmt.Sprintf("203.0.113.%d:%d", i, n+1))
				defer conn.Close()
				slow.Go(func() { s.run(conn) })
			}
		}
		good := h.doors[0].dial("198.51.100.7:1")
		defer good.Close()
		for n := range 60 {
			began := time.Now()
			status, body := ask(t, good, "GET /v1/lookup?ani="+strings.TrimPrefix(annsNumber, "+")+" HTTP/1.1\r\nAuthorization: Bearer "+secretOf("lookup"))
			if took := time.Since(began); status != http.StatusOK || !strings.Contains(body, `"outcome"`) || took > 0 {
				t.Fatalf("call %d: status %d after %v", n, status, took)
			}
			<-time.After(time.Second)
		}
		slow.Wait()
		if got := gathered(t, h.Listeners, "aniproxy_connections_refused_total"); got != 0 {
			t.Errorf("%v were refused", got)
		}
	})
}

var errNoAnswer = errors.New("no answer")

// A limit of connections that is reached by slow ones is free again once they
// are cut off.
func TestPlacesComeBackFromSlowClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, end := open(t, door{limit: 8, handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			io.WriteString(w, "hello")
		})})
		defer end()
		for i := range 8 {
			conn := h.doors[0].dial(fmt.Sprintf("203.0.113.%d:1", i))
			defer conn.Close()
			go func() {
				io.WriteString(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
				trickle(conn, strings.Repeat("x", 1000))
			}()
			go answered(conn)
		}
		synctest.Wait()
		try := func() error {
			conn := h.doors[0].dial("198.51.100.7:1")
			defer conn.Close()
			go io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				return errNoAnswer
			}
			return res.Body.Close()
		}
		if err := try(); !errors.Is(err, errNoAnswer) {
			t.Errorf("with every place taken: %v", err)
		}
		<-time.After(readTimeout + time.Second)
		if err := try(); err != nil {
			t.Errorf("after they were cut off: %v", err)
		}
	})
}
