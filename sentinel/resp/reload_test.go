package resp

import (
	"testing"

	"picket/config"
)

// TestReload: who may do what may be another thing at any time, and so may how many may be there.
func TestReload(t *testing.T) {
	door := config.Door{Password: "old", Users: []config.Secret{"alice on >wonder +ping", "bob on >builder +ping"}}
	s := start(t, Config{Door: door})
	addr := s.Addr().String()
	member, alice, bob := dial(t, addr), dial(t, addr), dial(t, addr)
	send(t, member, "AUTH old\r\n")
	send(t, alice, "AUTH alice wonder\r\n")
	send(t, bob, "AUTH bob builder\r\n")
	for _, conn := range []interface{ Read([]byte) (int, error) }{member, alice, bob} {
		if _, err := conn.Read(make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
	}
	send(t, member, "ACL SETUSER carol on nopass +ping\r\n")
	expect(t, member, "+OK\r\n")
	reload := func(door config.Door, most int) {
		t.Helper()
		if err := s.Reload(door, most); err != nil {
			t.Fatal(err)
		}
	}
	reload(door, 0) // the same again
	if got := exchange(t, addr, "AUTH carol x\r\nQUIT\r\n"); got != "+OK\r\n+OK\r\n" {
		t.Errorf("a user of ACL SETUSER is gone, although nothing has changed: %q", got)
	}
	reload(config.Door{Password: "new", Users: door.Users[:1]}, 0)
	if _, err := bob.Read(make([]byte, 1)); err == nil {
		t.Error("who is no user any more is still connected")
	}
	send(t, member, "PING\r\n")
	expect(t, member, "+PONG\r\n")
	send(t, alice, "PING\r\n")
	expect(t, alice, "+PONG\r\n")
	if got := exchange(t, addr, "AUTH old\r\nAUTH new\r\nPING\r\nQUIT\r\n"); got != "-"+wrongPassword+"\r\n+OK\r\n+PONG\r\n+OK\r\n" {
		t.Errorf("with the old and the new password: %q", got)
	}
	if err := s.Reload(config.Door{Users: []config.Secret{"alice on +frobnicate"}}, 0); err == nil {
		t.Error("a rule that makes no sense is taken")
	}
	reload(config.Door{Password: "new", Users: door.Users[:1]}, 2)
	await(t, "the others have gone", func() bool { return s.connected() == 2 })
	if got := exchange(t, addr, ""); got != "-ERR max number of clients reached\r\n" {
		t.Errorf("one client too many: %q", got)
	}
}
