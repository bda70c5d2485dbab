package api

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener without a network, whose connections live on virtual time.
type pipes struct {
	accept chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{accept: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accept:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.once.Do(func() { close(p.closed) }); return nil }

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 26381} }

// dial gives the client's end of a connection.
func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.accept <- server
	return client
}

// TestSlowClients_AreDisconnected: whoever sends a request byte by byte, or no request, is cut off, and holds up nobody meanwhile.
func TestSlowClients_AreDisconnected(t *testing.T) {
	for name, c := range map[string]struct {
		first, then string
		within      time.Duration
	}{
		"a header byte by byte": {"GET /livez HTTP/1.1\r\nHost: x\r\nX-A: ", "a", headerTimeout + time.Second},
		"a body byte by byte":   {"PUT /v1/kv/a HTTP/1.1\r\nHost: 127.0.0.1:1\r\nContent-Length: 60000\r\n\r\n", "a", readTimeout + time.Second},
		"nothing":               {"", "", headerTimeout + time.Second},
		"nothing more":          {"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", "", idleTimeout + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPipes()
				cfg, _ := whole(t)
				cfg.OpenPort = func(string, string) (net.Listener, error) { return p, nil }
				s, err := Listen(cfg)
				if err != nil {
					t.Fatal(err)
				}
				slow := p.dial()
				start := time.Now()
				ended := make(chan time.Duration, 1)
				go func() { // ends with the connection
					_, _ = io.Copy(io.Discard, slow)
					ended <- time.Since(start)
				}()
				if c.first != "" {
					if _, err := io.WriteString(slow, c.first); err != nil {
						t.Fatal(err)
					}
				}
				for c.then != "" {
					if _, err := io.WriteString(slow, c.then); err != nil {
						break
					}
					time.Sleep(500 * time.Millisecond)
					if time.Since(start) > time.Minute {
						t.Fatal("it may go on for a minute")
					}
				}
				if took := <-ended; took > c.within {
					t.Errorf("disconnected after %s", took)
				}
				_ = slow.Close()
				if err := s.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
			})
		})
	}
}

// maxOfStranger bounds what a connection makes the agent hold, in bytes, as docs/http.md says: its buffers, a header of the greatest length, a goroutine.
const maxOfStranger = 64 << 10

// TestMemory_OfStrangersIsBounded has as many connections as there may be send as much of a header as is read, and never end it.
func TestMemory_OfStrangersIsBounded(t *testing.T) {
	_, addr := serve(t)
	used := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	before := used()
	var open []net.Conn
	t.Cleanup(func() {
		for _, c := range open {
			_ = c.Close()
		}
	})
	text := "GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: " + strings.Repeat("x", maxHeader-100)
	for range maxLocal {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
	}
	// One too many is closed, unanswered.
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := c.Read(make([]byte, 1)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) || err == nil {
		t.Errorf("one too many reads %d, %v", n, err)
	}
	each := int64(used()-before) / maxLocal
	t.Logf("%d connections, %d bytes each: of all that there may be, %d MiB", maxLocal, each, each*(maxRemote+maxLocal)>>20)
	if each > maxOfStranger {
		t.Errorf("a connection holds %d bytes", each)
	}
}

// TestConnections_WithoutARequestMakeRoom: whoever has asked something, and keeps his connections, does not keep out who has something to ask.
func TestConnections_WithoutARequestMakeRoom(t *testing.T) {
	files := httptest.NewUnstartedServer(nil)
	files.StartTLS()
	files.Close()
	for name, secure := range map[string]bool{"plain": false, "with TLS": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPipes()
				cfg, _ := whole(t)
				cfg.OpenPort = func(string, string) (net.Listener, error) { return p, nil }
				if secure {
					cfg.TLS = &tls.Config{Certificates: files.TLS.Certificates}
				}
				s, err := Listen(cfg)
				if err != nil {
					t.Fatal(err)
				}
				var open []net.Conn
				ask := func() {
					t.Helper()
					c := p.dial()
					if secure {
						c = tls.Client(c, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // whose it is does not matter
					}
					open = append(open, c)
					if _, err := io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
						t.Fatal(err)
					}
					answer, err := http.ReadResponse(bufio.NewReader(c), nil)
					if err != nil {
						t.Fatal(err)
					}
					_, _ = io.Copy(io.Discard, answer.Body)
					_ = answer.Body.Close()
					synctest.Wait()
				}
				for range maxPerSource + 10 { // which all have one address, that of a pipe
					ask()
				}
				if n := s.Connections(); n != maxPerSource {
					t.Errorf("%d connections", n)
				}
				if _, err := open[0].Read(make([]byte, 1)); err == nil {
					t.Error("the first one is still there")
				}
				for _, c := range open {
					_ = c.Close()
				}
				if err := s.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
			})
		})
	}
}
