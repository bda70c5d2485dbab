package monitor_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"picket/config"
	"picket/monitor"
	"picket/sentinel/lab"
)

// TestMonitor_CertificatesAreReplacedOnBothSides: the server's certificate, the agent's, and the authority that signs them, while the agent watches; nobody
// takes the server for dead, and whoever shows an old certificate is not let in any more.
func TestMonitor_CertificatesAreReplacedOnBothSides(t *testing.T) {
	t.Cleanup(func() { // go-redis rests for a second before it sees that it is not wanted any more
		if err := lab.Await(10*time.Second, "all goroutines end", func(context.Context) error { return goleak.Find() }); err != nil {
			t.Error(err)
		}
	})
	dir := t.TempDir()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	old, err := lab.NewAuthority()
	check(err)
	next, err := lab.NewAuthority()
	check(err)
	check(lab.Trust(dir, old))
	check(old.Issue(dir, "old"))
	settings := quick()
	settings.DownAfter = 3 * time.Second // the machine may be busy
	in := func(name string) string { return filepath.Join(dir, name) }
	settings.TLS = config.TLS{Enabled: true, CA: in("ca.pem"), Cert: in("cert.pem"), Key: in("key.pem")}
	s := newScene(t, settings)
	port, err := s.lab.Port()
	check(err)
	r := s.redis(lab.RedisOptions{Lines: []string{
		fmt.Sprint("tls-port ", port), "tls-cert-file " + in("cert.pem"), "tls-key-file " + in("key.pem"), "tls-ca-cert-file " + in("ca.pem"), "tls-auth-clients yes",
	}})
	addr := config.NewAddr("127.0.0.1", port)
	s.monitor.Watch([]monitor.Target{{Addr: addr, Settings: s.settings, IsMaster: true}})
	plain := r.Client() // at the other port
	t.Cleanup(func() { _ = plain.Close() })
	again := func(step string) {
		t.Helper()
		// The server reads its files when it is told to.
		check(plain.Do(t.Context(), "CONFIG", "SET", "tls-cert-file", in("cert.pem"), "tls-key-file", in("key.pem"), "tls-ca-cert-file", in("ca.pem")).Err())
		check(plain.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal").Err())
		begun := time.Now()
		check(lab.Await(15*time.Second, step+": it is seen again", func(context.Context) error {
			if got := s.monitor.View().Servers[addr]; got.State != monitor.Up || got.Last == nil || !got.Last.At.After(begun) {
				return fmt.Errorf("it is in state %d: %s", got.State, got.Text)
			}
			return nil
		}))
	}
	again("at first")
	check(lab.Trust(dir, old, next))
	again("both are trusted")
	check(next.Issue(dir, "next"))
	again("both show the new one")
	check(lab.Trust(dir, next))
	again("only the new one is trusted")
	if s.everDown(&lab.Redis{Addr: addr}) {
		t.Error("the server was taken for dead")
	}

	check(lab.Trust(dir, old)) // the agent's alone: the server has not been told
	check(plain.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal").Err())
	check(lab.Await(30*time.Second, "a server of another authority is not believed", func(context.Context) error {
		if got := s.monitor.View().Servers[addr]; got.State != monitor.Down {
			return errors.New(got.Text)
		}
		return nil
	}))
}
