package acceptance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"picket/config"
	"picket/sentinel/lab"
)

// TestHAProxy_FollowsByEitherCheck: one port leads to the server whose INFO says that it is the master, another one to whom most agents name.
func TestHAProxy_FollowsByEitherCheck(t *testing.T) {
	t.Parallel()
	tool(t, "haproxy", "haproxy")
	l, c := start(t, nil)
	fronts := twoFronts(t, l)
	startProxy(t, l, nil, haproxy(c, fronts[0], fronts[1]))
	followsTwice(t, c, func(ctx context.Context, to *lab.Redis) error {
		return errors.Join(leadsTo(ctx, fronts[0], to), leadsTo(ctx, fronts[1], to))
	})
}

// twoFronts gives addresses at which a proxy may listen.
func twoFronts(t *testing.T, l *lab.Lab) (fronts [2]config.Addr) {
	t.Helper()
	for i := range fronts {
		port, err := l.Port()
		if err != nil {
			t.Fatal(err)
		}
		fronts[i] = config.NewAddr("127.0.0.1", port)
	}
	return fronts
}

// startProxy runs HAProxy by a configuration, on a host, until the lab closes.
func startProxy(t *testing.T, l *lab.Lab, h *lab.Host, text string) {
	t.Helper()
	file := filepath.Join(l.Dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	proxy := l.Command("haproxy", h.On(tool(t, "haproxy", "haproxy"), "-db", "-f", file)...)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := os.ReadFile(proxy.Log) // what there is of it
			t.Logf("haproxy:\n%s", log)
		}
	})
}

// followsTwice fails a master over by hand, and kills the next one: each time the proxy must lead to the one that is the master then.
func followsTwice(t *testing.T, c *lab.Cluster, leads func(context.Context, *lab.Redis) error) {
	t.Helper()
	await := func(to *lab.Redis) {
		t.Helper()
		if err := lab.Await(patience, "HAProxy leads to "+string(to.Addr), func(ctx context.Context) error { return leads(ctx, to) }); err != nil {
			t.Fatal(err)
		}
	}
	old := c.Redis[0]
	await(old)
	picket(t, 0, "failover", lab.MasterName, "--agent", string(c.Agents[1].HTTP))
	next := newMaster(t, c, old.Addr)
	await(next)
	settle(t, c, next.Addr)
	next.Kill()
	await(newMaster(t, c, next.Addr))
}

// leadsTo returns nil when a write by way of the proxy comes to a server.
func leadsTo(ctx context.Context, front config.Addr, to *lab.Redis) error {
	client := redis.NewClient(&redis.Options{Addr: string(front), Password: lab.ClientPassword, MaxRetries: -1, DisableIdentity: true})
	defer client.Close()
	if err := client.Set(ctx, "key", "", 0).Err(); err != nil {
		return err
	}
	port, err := client.ConfigGet(ctx, "port").Result()
	if err == nil && port["port"] != fmt.Sprint(to.Addr.Port()) {
		err = fmt.Errorf("it leads to port %s", port["port"])
	}
	return err
}

// haproxy is a configuration as people have it for Redis Sentinel. Checks are the classic ones, inline commands and all.
func haproxy(c *lab.Cluster, byRole, byAgents config.Addr) string {
	var text strings.Builder
	fmt.Fprintf(&text, `defaults
  mode tcp
  timeout connect 1s
  timeout client 1m
  timeout server 1m
  default-server check inter 100ms rise 1 fall 1 on-marked-down shutdown-sessions

listen by-role
  bind %s
  option tcp-check
  tcp-check send AUTH\ %s\r\n
  tcp-check expect string +OK
  tcp-check send PING\r\n
  tcp-check expect string +PONG
  tcp-check send info\ replication\r\n
  tcp-check expect string role:master
  tcp-check send QUIT\r\n
  tcp-check expect string +OK
`, byRole, lab.ClientPassword)
	for i, r := range c.Redis {
		fmt.Fprintf(&text, "  server redis-%d %s\n", i, r.Addr)
	}
	fmt.Fprintf(&text, "\nfrontend by-agents\n  bind %s\n", byAgents)
	for i := range c.Redis {
		fmt.Fprintf(&text, "  use_backend redis-%[1]d if { nbsrv(agents-that-name-%[1]d) ge 2 }\n", i)
	}
	for i, r := range c.Redis {
		fmt.Fprintf(&text, `
backend redis-%[1]d
  server redis %[2]s

backend agents-that-name-%[1]d
  option tcp-check
  tcp-check send PING\r\n
  tcp-check expect string +PONG
  tcp-check send SENTINEL\ get-master-addr-by-name\ %[3]s\r\n
  tcp-check expect string %[4]d
  tcp-check send QUIT\r\n
  tcp-check expect string +OK
`, i, r.Addr, lab.MasterName, r.Addr.Port())
		for j, a := range c.Agents {
			fmt.Fprintf(&text, "  server agent-%d %s\n", j, a.Sentinel)
		}
	}
	return text.String()
}
