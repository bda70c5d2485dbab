package sentinel

import (
	"errors"
	"net"
	"strconv"
	"syscall"
	"testing"

	"picket/config"
)

func TestOnAll_AcceptsOnEveryHost(t *testing.T) {
	l, err := onAll(nil, []string{"127.0.0.2", "-192.0.2.1"})("tcp", freeAddrOf(t))
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	for _, host := range []string{"127.0.0.1", "127.0.0.2"} {
		conn, err := net.Dial("tcp", string(config.NewAddr(host, port)))
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := l.Accept()
		if err != nil || accepted.RemoteAddr().String() != conn.LocalAddr().String() {
			t.Errorf("accepted %v, %v; want the connection from %v", accepted, err, conn.LocalAddr())
		}
		_, _ = accepted.Close(), conn.Close()
	}
	waiting, err := net.Dial("tcp", string(config.NewAddr("127.0.0.2", port))) // which nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Error(err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after the end: %v", err)
	}
}

func TestOnAll_ClosesWhatItOpenedWhereOneFails(t *testing.T) {
	addr := freeAddrOf(t)
	_, err := onAll(nil, []string{"127.0.0.2", "192.0.2.1"})("tcp", addr)
	if !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Fatalf("got %v", err)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}

// freeAddrOf is a port that was free a moment ago.
func freeAddrOf(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "127.0.0.1:" + strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}
