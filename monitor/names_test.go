package monitor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"picket/config"
)

// nameServer answers as the test says.
type nameServer struct {
	mu    sync.Mutex
	hosts map[string][]netip.Addr
	hangs bool
	fails bool
	asked atomic.Int64
}

func (s *nameServer) set(host string, ips ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hosts == nil {
		s.hosts = map[string][]netip.Addr{}
	}
	s.hosts[host] = nil
	for _, ip := range ips {
		s.hosts[host] = append(s.hosts[host], netip.MustParseAddr(ip))
	}
}

func (s *nameServer) hang(hangs bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hangs = hangs
}

func (s *nameServer) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	s.asked.Add(1)
	s.mu.Lock()
	ips, hangs, fails := s.hosts[host], s.hangs, s.fails
	s.mu.Unlock()
	switch {
	case hangs:
		<-ctx.Done()
		return nil, ctx.Err()
	case fails || ips == nil:
		return nil, errors.New("no such host")
	}
	return ips, nil
}

func newNames(t *testing.T, s *nameServer) *Names {
	t.Helper()
	n := NewNames(NamesConfig{Lookup: s.lookup})
	t.Cleanup(n.Close)
	return n
}

// met is one that has asked for hosts already.
func met(t *testing.T, s *nameServer, hosts ...string) *Names {
	t.Helper()
	n := newNames(t, s)
	for _, host := range hosts {
		if _, err := n.Resolve(t.Context(), host); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// TestNames_Known: a server that is known by a name is recognised by its IP addresses, one that is known by an IP address by its names, and nothing
// else is changed.
func TestNames_Known(t *testing.T) {
	var s nameServer
	s.set("redis-1", "10.0.0.1", "fd00::1")
	s.set("redis-2.example.com", "10.0.0.2")
	s.set("localhost", "127.0.0.1")
	s.set("service", "10.0.1.1", "10.0.1.2")
	s.set("all", "10.0.0.1", "10.0.0.2")
	n := met(t, &s, "redis-1", "redis-2.example.com", "localhost", "service", "all")
	n.Know([]config.Addr{"redis-1:6379", "10.0.0.2:6379", "10.0.0.1:6379", "localhost:7000", "service:6379"})
	for said, want := range map[config.Addr]config.Addr{
		"redis-1:6379": "redis-1:6379", "10.0.0.1:6379": "redis-1:6379", "[fd00::1]:6379": "redis-1:6379",
		"10.0.0.1:6380": "10.0.0.1:6380", "10.0.0.2:6379": "10.0.0.2:6379", "redis-2.example.com:6379": "10.0.0.2:6379",
		"10.0.0.3:1": "10.0.0.3:1", "10.0.1.2:6379": "10.0.1.2:6379", "service:6379": "service:6379", "127.0.0.1:6379": "127.0.0.1:6379", "": "",
		"127.0.0.1:1": "127.0.0.1:1", "unheard-of:6379": "unheard-of:6379", "all:6379": "all:6379", "127.0.0.1:7000": "localhost:7000",
	} {
		if got := n.Known(said); got != want {
			t.Errorf("%s is %s, want %s", said, got, want)
		}
	}
	if got := (*Names)(nil).Known("redis-1:1"); got != "redis-1:1" {
		t.Errorf("without names: %s", got)
	}
	for said, want := range map[config.Addr]config.Addr{"redis-1:6379": "10.0.0.1:6379", "10.0.0.9:1": "10.0.0.9:1", "unheard-of:1": "unheard-of:1"} {
		if got := n.Told(said); got != want {
			t.Errorf("%s is told as %s, want %s", said, got, want)
		}
	}
}

// TestNames_AServerThatHangsKeepsNobodyWaiting: what was found counts as long as nothing else is found, and only a connection to a host of which nothing is known waits.
func TestNames_AServerThatHangsKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s nameServer
		s.set("redis-1", "10.0.0.1")
		n := met(t, &s, "redis-1")
		n.Know([]config.Addr{"redis-1:6379"})
		s.hang(true)
		time.Sleep(time.Hour) // of the test's clock: what is known is old
		begun := time.Now()
		dial := n.Dial(func(_ context.Context, _, addr string) (net.Conn, error) {
			if addr != "10.0.0.1:6379" {
				return nil, fmt.Errorf("dialled %s", addr)
			}
			near, _ := net.Pipe()
			return near, nil
		})
		conn, err := dial(t.Context(), "tcp", "redis-1:6379")
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		if got := n.Known("10.0.0.1:6379"); got != "redis-1:6379" {
			t.Errorf("known as %s", got)
		}
		if waited := time.Since(begun); waited != 0 {
			t.Errorf("it took %s", waited)
		}
		limit, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = dial(limit, "tcp", "redis-2:6379")
		if op := (*net.OpError)(nil); !errors.As(err, &op) || op.Op != "dial" || !strings.Contains(err.Error(), "redis-2") {
			t.Errorf("an unknown host: %v", err)
		}
		if waited := time.Since(begun); waited != time.Second {
			t.Errorf("it took %s", waited)
		}
	})
}

// TestNames_LookupsAreBounded: however many names somebody speaks of.
func TestNames_LookupsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := nameServer{hangs: true}
		n := newNames(t, &s)
		for i := range 2 * maxNames {
			n.IPs(fmt.Sprintf("host-%d", i))
		}
		synctest.Wait()
		if asked := s.asked.Load(); asked != maxLookups {
			t.Errorf("%d lookups, want %d", asked, maxLookups)
		}
		n.mu.Lock()
		if len(n.hosts) > maxNames {
			t.Errorf("%d names are remembered", len(n.hosts))
		}
		n.mu.Unlock()
		s.hang(false)
		s.set("redis-1", "10.0.0.1")
		if ips, err := n.Resolve(t.Context(), "redis-1"); err != nil || len(ips) != 1 { // when it is its turn
			t.Errorf("%v, %v", ips, err)
		}
	})
}

// TestNames_AHostThatMoves: while a connection to where it was is awaited, the new address is found, and tried. A name server that knows nothing any more
// takes nothing back.
func TestNames_AHostThatMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s nameServer
		s.set("redis-1", "10.0.0.1")
		n := met(t, &s, "redis-1")
		s.set("redis-1", "10.0.0.7")
		time.Sleep(2 * namesDoubt)
		var tried []string
		dial := n.Dial(func(ctx context.Context, _, addr string) (net.Conn, error) {
			tried = append(tried, addr)
			if addr == "10.0.0.1:6379" { // nobody answers there
				<-ctx.Done()
				return nil, ctx.Err()
			}
			near, _ := net.Pipe()
			return near, nil
		})
		conn, err := dial(t.Context(), "tcp", "redis-1:6379")
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		if want := []string{"10.0.0.1:6379", "10.0.0.7:6379"}; !slices.Equal(tried, want) {
			t.Errorf("tried %v, want %v", tried, want)
		}
		at := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 6379} }
		if !n.Moved("redis-1:6379", at("10.0.0.1")) || n.Moved("redis-1:6379", at("10.0.0.7")) || n.Moved("10.0.0.1:6379", at("10.0.0.1")) {
			t.Error("whether a connection leads to the server is told wrongly")
		}
		s.mu.Lock()
		s.fails = true
		s.mu.Unlock()
		time.Sleep(2 * namesFresh)
		n.IPs("redis-1")
		synctest.Wait()
		if ips := n.IPs("redis-1"); len(ips) != 1 || ips[0].String() != "10.0.0.7" {
			t.Errorf("after the name has vanished: %v", ips)
		}
	})
}

// TestNames_SeveralAddresses: the one that serves comes first from then on.
func TestNames_SeveralAddresses(t *testing.T) {
	var s nameServer
	s.set("redis-1", "fd00::1", "10.0.0.1", "10.0.0.2")
	n := met(t, &s, "redis-1")
	var tried []string
	dial := n.Dial(func(_ context.Context, _, addr string) (net.Conn, error) {
		tried = append(tried, addr)
		if addr != "10.0.0.2:1" {
			return nil, errors.New("nobody there")
		}
		near, _ := net.Pipe()
		return near, nil
	})
	for range 2 {
		conn, err := dial(t.Context(), "tcp", "redis-1:1")
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	}
	if want := []string{"10.0.0.1:1", "10.0.0.2:1", "10.0.0.2:1"}; !slices.Equal(tried, want) {
		t.Errorf("tried %v, want %v", tried, want)
	}
}

// TestNames_TheErrorIsThatOfTheFirstAddress: that a server has crashed is not hidden by an address of which this host knows no way.
func TestNames_TheErrorIsThatOfTheFirstAddress(t *testing.T) {
	var s nameServer
	s.set("redis-1", "10.0.0.1", "fd00::1")
	up := true
	dial := met(t, &s, "redis-1").Dial(func(_ context.Context, _, addr string) (net.Conn, error) {
		switch {
		case addr != "[fd00::1]:1":
			return nil, syscall.ENETUNREACH
		case !up:
			return nil, syscall.ECONNREFUSED
		}
		near, _ := net.Pipe()
		return near, nil
	})
	if _, err := dial(t.Context(), "tcp", "redis-1:1"); err != nil {
		t.Fatal(err)
	}
	up = false
	if _, err := dial(t.Context(), "tcp", "redis-1:1"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v", err)
	}
}

// TestNames_NotAllowed: then names mean nothing, and IP addresses what they are.
func TestNames_NotAllowed(t *testing.T) {
	var s nameServer
	s.set("redis-1", "10.0.0.1")
	n := NewNames(NamesConfig{Lookup: s.lookup, Allowed: func(string) bool { return false }})
	defer n.Close()
	n.Know([]config.Addr{"redis-1:1"})
	if _, err := n.Resolve(t.Context(), "redis-1"); !errors.Is(err, errNotAllowed) {
		t.Errorf("resolve: %v", err)
	}
	if got := n.Known("10.0.0.1:1"); got != "10.0.0.1:1" || s.asked.Load() != 0 {
		t.Errorf("known as %s, after %d lookups", got, s.asked.Load())
	}
}
