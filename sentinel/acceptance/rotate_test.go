package acceptance

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"picket/sentinel/lab"
)

// authority is one of the lab's.
type authority struct {
	*lab.Authority
	t *testing.T
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	a, err := lab.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return authority{a, t}
}

// renew has cert.pem and key.pem of a directory be new ones.
func (a authority) renew(dir string) {
	a.t.Helper()
	if err := a.Issue(dir, "agent"); err != nil {
		a.t.Fatal(err)
	}
}

// trust has ca.pem of a directory hold the certificates of authorities.
func trust(t *testing.T, dir string, authorities ...authority) {
	t.Helper()
	var all []*lab.Authority
	for _, a := range authorities {
		all = append(all, a.Authority)
	}
	if err := lab.Trust(dir, all...); err != nil {
		t.Fatal(err)
	}
}

// replace has a file hold something else, at once.
func replace(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := lab.Replace(path, text); err != nil {
		t.Fatal(err)
	}
}

// calm looks at all agents until it is ended, and fails the test if one of them ever finds the master in trouble, or another leader is elected.
func calm(t *testing.T, c *lab.Cluster) (end func()) {
	t.Helper()
	first, err := c.Agents[0].Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { // ends with end
		defer close(done)
		for ctx.Err() == nil {
			for _, a := range c.Agents {
				p, err := a.Status(ctx)
				if err != nil {
					continue // it may have been stopped for the test
				}
				if m := p.Masters[0]; m.Server.State == "down" || m.ODown || m.Epoch != first.Masters[0].Epoch || p.Epoch != first.Epoch {
					t.Errorf("%s: the master is %s, epoch %d, term %d (was %d)", a.ID, m.Server.State, m.Epoch, p.Epoch, first.Epoch)
					return
				}
			}
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}()
	return func() { cancel(); <-done }
}

// reread waits until the agents have read their configuration again since a moment.
func reread(t *testing.T, c *lab.Cluster, since time.Time) {
	t.Helper()
	err := lab.Await(patience, "all agents have read their configuration again", func(ctx context.Context) error {
		for _, a := range c.Agents {
			if p, err := a.Status(ctx); err != nil || !p.Reload.At.After(since) || !p.Reload.OK {
				return fmt.Errorf("%s: %+v (%v)", a.ID, p.Reload, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestRotate_PasswordOfRedis gives the servers another password while agents and clients work, as docs/operating.md says. Nobody takes the master for dead.
func TestRotate_PasswordOfRedis(t *testing.T) {
	t.Parallel()
	l, c := start(t, nil)
	end := calm(t, c)
	everywhere := func(words ...any) {
		t.Helper()
		for _, r := range c.Redis {
			client := r.Client()
			if err := client.Do(t.Context(), words...).Err(); err != nil {
				t.Fatal(err)
			}
			_ = client.Close()
		}
	}
	everywhere("ACL", "SETUSER", lab.User, ">open")
	begun := time.Now()
	replace(t, l.PasswordFile(), []byte("open\n"))
	reread(t, c, begun)
	everywhere("ACL", "SETUSER", lab.User, "<"+lab.Password)
	everywhere("CLIENT", "KILL", "USER", lab.User) // all must log in again
	err := lab.Await(patience, "the agents have logged in again", func(ctx context.Context) error {
		for _, r := range c.Redis {
			client := r.Client()
			defer client.Close()
			if list := client.ClientList(ctx).Val(); strings.Count(list, "name=picket-agent-") < len(c.Agents) {
				return errors.New(list)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	settle(t, c, c.Redis[0].Addr)
	end()
	c.Redis[0].Kill()
	settle(t, c, newMaster(t, c, c.Redis[0].Addr).Addr)
	for _, a := range c.Agents {
		if text, _ := os.ReadFile(a.Log); bytes.Contains(text, []byte("WRONGPASS")) || bytes.Contains(text, []byte("NOPERM")) {
			t.Errorf("%s was refused:\n%s", a.ID, text)
		}
	}
}

// TestRotate_CertificatesOfAgents: the agents' certificates are replaced, and the authority that signs them, without a restart; the leader stays.
func TestRotate_CertificatesOfAgents(t *testing.T) {
	t.Parallel()
	dir, old := t.TempDir(), newAuthority(t)
	trust(t, dir, old)
	old.renew(dir)
	_, c := start(t, func(o *lab.ClusterOptions) {
		o.File = []string{fmt.Sprintf("peer-tls: {enabled: true, ca: %[1]s/ca.pem, cert: %[1]s/cert.pem, key: %[1]s/key.pem}", dir)}
	})
	leader, err := c.Leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var follower *lab.Agent
	for _, a := range c.Agents {
		if a != leader {
			follower = a
		}
	}
	end := calm(t, c)
	next := newAuthority(t)
	restart := func() {
		t.Helper()
		if err := follower.Stop(patience); err != nil {
			t.Fatal(err)
		}
		if err := follower.Start(); err != nil {
			t.Fatal(err)
		}
		settle(t, c, c.Redis[0].Addr)
	}
	trust(t, dir, old, next) // first all trust the new authority, then its certificates are used, then the old one goes
	next.renew(dir)
	trust(t, dir, next)
	restart() // its connections are new ones, in both directions
	replace(t, filepath.Join(dir, "key.pem"), []byte("half a ke"))
	if text, err := os.ReadFile(follower.Log); err != nil || bytes.Contains(text, []byte("can't be read")) {
		t.Errorf("a certificate was not taken (%v)", err)
	}
	end()
	leader.Kill() // the others have no connection that is old
	if err := lab.Await(patience, "another leader", func(ctx context.Context) error {
		l, err := c.Leader(ctx)
		if err == nil && l == leader {
			err = errors.New("the old one")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// TestRotate_CertificateOfTheSentinelPort: who is connected stays so, and who connects sees the new certificate.
func TestRotate_CertificateOfTheSentinelPort(t *testing.T) {
	t.Parallel()
	l := lab.New(t.TempDir())
	t.Cleanup(l.Close)
	dir, a := t.TempDir(), newAuthority(t)
	trust(t, dir, a)
	a.renew(dir)
	port, err := l.Port()
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprint("127.0.0.1:", port)
	path, sentinel := lonely(t, l, fmt.Sprintf(`listen: {sentinel: "", sentinel-tls: "SENTINEL", peers: "PEERS", http: "%[2]s"}
sentinel:
  tls: {cert: %[1]s/cert.pem, key: %[1]s/key.pem, ca: %[1]s/ca.pem, auth-clients: "no"}
log: {format: json}
`, dir, addr))
	var log strings.Builder
	agent := exec.CommandContext(t.Context(), binary, "run", "--config", path)
	agent.Stdout, agent.Stderr = &log, &log
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- agent.Wait() }() // ends with the process
	connect := func() (conn *tls.Conn) {
		t.Helper()
		err := lab.Await(patience, "the port is open", func(context.Context) (err error) {
			conn, err = tls.Dial("tcp", sentinel, &tls.Config{RootCAs: a.Pool()})
			return err
		})
		if err != nil {
			t.Fatalf("%v\n%s", err, &log)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	ping := func(conn *tls.Conn) {
		t.Helper()
		_ = conn.SetDeadline(time.Now().Add(patience)) // an error shows below
		answer := make([]byte, 7)
		if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "+PONG\r\n" {
			t.Fatalf("%q, %v", answer, err)
		}
	}
	shown := func(conn *tls.Conn) *x509.Certificate { return conn.ConnectionState().PeerCertificates[0] }
	before := connect()
	ping(before)
	a.renew(dir)
	after := connect()
	ping(after)
	ping(before)
	if shown(after).Equal(shown(before)) {
		t.Error("the old certificate is shown")
	}
	replace(t, filepath.Join(dir, "cert.pem"), []byte("nonsense"))
	if broken := connect(); !shown(broken).Equal(shown(after)) {
		t.Error("another certificate is shown than the last good one")
	}

	// The configuration is read again, refused, and put right: on SIGHUP, and because it has changed.
	says := func(page, want string) {
		t.Helper()
		err := lab.Await(patience, want, func(ctx context.Context) error {
			request, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+page, nil)
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				return err
			}
			defer response.Body.Close()
			if text, err := io.ReadAll(response.Body); err != nil || !bytes.Contains(text, []byte(want)) {
				return fmt.Errorf("%s does not say %s (%v)", page, want, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	says("/metrics", "\npicket_config_last_reload_successful 1\n")
	if err := agent.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	says("/metrics", "\npicket_config_last_reload_successful 0\n") // its certificate makes no sense
	a.renew(dir)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, path, append(text, "agent-x: 1\n"...))
	says("/v1/status", "agent-x: is not a known key")
	replace(t, path, append(bytes.Replace(text, []byte("cluster: test"), []byte("cluster: other"), 1), "on-stop: switchover\nlocal: 127.0.0.1:1\n"...))
	says("/metrics", "\npicket_config_last_reload_successful 1\n")
	says("/metrics", "\npicket_config_pending_restart_keys 2\n")
	if err := agent.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for _, want := range []string{
		"what the file said before counts", "agent-x: is not a known key", "the former one counts", `"key":"on-stop","old":"nothing","new":"switchover"`,
		`"key":"cluster","old":"test","new":"other"`, "takes effect after a restart",
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("not logged: %s\n%s", want, &log)
		}
	}
	if now, _ := os.ReadFile(path); !bytes.Contains(now, []byte("cluster: other")) {
		t.Error("the file was written")
	}
}

// TestLeastPrivilege: what the documents have operators type is what all these tests run with.
func TestLeastPrivilege(t *testing.T) {
	t.Parallel()
	for file, rules := range map[string]string{"security.md": lab.ACL, "kubernetes/README.md": lab.ACL} {
		text, err := os.ReadFile("../../docs/" + file)
		if err != nil || !strings.Contains(strings.ReplaceAll(string(text), "'", ""), rules) {
			t.Errorf("%s does not say %s (%v)", file, rules, err)
		}
	}
	if text, _ := os.ReadFile("../../docs/security.md"); !strings.Contains(string(text), lab.WatchingACL) {
		t.Errorf("security.md does not say %s", lab.WatchingACL)
	}
}
