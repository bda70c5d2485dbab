package lobby

import (
	"fmt"
	"net"
	"slices"
	"testing"
)

type from struct {
	net.Conn
	addr string
}

func (f from) RemoteAddr() net.Addr {
	addr, _ := net.ResolveTCPAddr("tcp", f.addr)
	return addr
}

func TestLobby(t *testing.T) {
	l := &Lobby{Most: 3}
	var left []string
	guests := map[string]*Guest{}
	enter := func(name, addr string) {
		guests[name] = l.Enter(from{addr: addr}, func() { left = append(left, name) })
	}
	expect := func(want ...string) {
		t.Helper()
		if !slices.Equal(left, want) {
			t.Fatalf("left: %q, want %q", left, want)
		}
	}
	enter("friend", "10.0.0.1:1")
	enter("a", "10.0.0.9:1")
	enter("b", "10.0.0.9:2")
	expect()
	enter("c", "10.0.0.9:3") // the oldest of those who are many
	expect("a")
	for i := range 100 {
		enter(fmt.Sprint(i), fmt.Sprint("10.0.0.9:", i+10))
	}
	if slices.Contains(left, "friend") || len(left) != 101 || left[1] != "b" || left[100] != "97" {
		t.Errorf("left: %q", left)
	}
	if !guests["friend"].Known() || guests["a"].Known() || !guests["99"].Known() {
		t.Error("who had to go is known, or who had not is not")
	}
	if guests["99"].Known() {
		t.Error("known twice")
	}
	if n, evicted := l.Count(); n != 1 || evicted != 101 {
		t.Errorf("%d wait, %d had to go", n, evicted)
	}
	left = nil
	enter("x", "[fd00::1]:1")
	enter("y", "[fd00::2]:1") // of the same network
	enter("z", "10.0.0.2:1")
	expect("x")
	for _, g := range guests {
		g.Known()
	}
	if len(l.waiting) != 0 || len(l.by) != 0 {
		t.Errorf("left behind: %v %v", l.waiting, l.by)
	}
}
