package acceptance

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"picket/config"
	"picket/sentinel/lab"
)

// documented is the configuration that docs/load-balancers.md shows, with other addresses.
func documented(t *testing.T, replacements ...string) string {
	t.Helper()
	for _, b := range documents(t) {
		if b.file == "load-balancers.md" && b.language == "haproxy" {
			return strings.NewReplacer(replacements...).Replace(b.text)
		}
	}
	t.Fatal("docs/load-balancers.md shows no configuration")
	return ""
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

func TestHAProxy_FollowsByTheDocumentedChecks(t *testing.T) {
	t.Parallel()
	tool(t, "haproxy", "haproxy")
	l, c := start(t, nil)
	var fronts [2]config.Addr
	for i := range fronts {
		port, err := l.Port()
		if err != nil {
			t.Fatal(err)
		}
		fronts[i] = config.NewAddr("127.0.0.1", port)
	}
	replacements := []string{"10.0.0.9:6379", string(fronts[0]), "10.0.0.9:6380", string(fronts[1])}
	for i, r := range c.Redis {
		replacements = append(replacements, fmt.Sprintf("10.0.0.%d:6379", i+1), fmt.Sprintf("%s port %d", r.Addr, c.Agents[i].HTTP.Port()))
	}
	startProxy(t, l, nil, documented(t, replacements...))
	leads := func(to *lab.Redis) {
		t.Helper()
		if err := lab.Await(patience, "the primary's front leads to "+string(to.Addr), func(ctx context.Context) error {
			return leadsTo(ctx, fronts[0], to)
		}); err != nil {
			t.Fatal(err)
		}
		if err := lab.Await(patience, "the replicas' front leads to a replica", func(ctx context.Context) error {
			return leadsToReplica(ctx, fronts[1])
		}); err != nil {
			t.Fatal(err)
		}
	}
	old := c.Redis[0]
	leads(old)
	picket(t, 0, "failover", lab.MasterName, "--agent", string(c.Agents[1].HTTP))
	next := newMaster(t, c, old.Addr)
	leads(next)
	settle(t, c, next.Addr)
	next.Kill()
	leads(newMaster(t, c, next.Addr))
}

// leadsToReplica returns nil when a connection by way of the proxy comes to a replica.
func leadsToReplica(ctx context.Context, front config.Addr) error {
	client := redis.NewClient(&redis.Options{Addr: string(front), Password: lab.ClientPassword, MaxRetries: -1, DisableIdentity: true})
	defer client.Close()
	role, err := client.Do(ctx, "ROLE").Slice()
	if err == nil && fmt.Sprint(role[0]) != "slave" {
		err = fmt.Errorf("it leads to a %v", role[0])
	}
	return err
}
