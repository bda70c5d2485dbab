package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"picket/config"
)

// ErrNoSentinel says how to get redis-sentinel.
var ErrNoSentinel = errors.New("redis-sentinel is not installed: install it (Debian, Ubuntu: apt-get install redis-sentinel)")

// SentinelGroup is Redis Sentinel on a cluster of the same shape, to compare with.
type SentinelGroup struct {
	Redis     []*Redis
	Sentinels []*Process
	hosts     []*Host
	addrs     []string
}

// StartSentinels starts n servers, the first as the master, and n Sentinels, and waits until they know each other.
func (l *Lab) StartSentinels(opts ClusterOptions) (*SentinelGroup, error) {
	program, err := exec.LookPath("redis-sentinel")
	if err != nil {
		return nil, ErrNoSentinel
	}
	if opts.Hosts == 0 {
		opts.Hosts = 3
	}
	redisServers, err := l.startReplicated(opts)
	if err != nil {
		return nil, err
	}
	g := &SentinelGroup{Redis: redisServers}
	for i := range opts.Hosts {
		if err := l.addSentinel(g, program, opts, opts.host(i)); err != nil {
			return nil, err
		}
	}
	return g, g.AwaitSettled(30*time.Second, g.Redis[0].Addr)
}

func (l *Lab) addSentinel(g *SentinelGroup, program string, opts ClusterOptions, h *Host) error {
	addr, err := l.addr(h, opts.Loopback, SentinelPort)
	if err != nil {
		return err
	}
	name := "sentinel-" + nameAt(h, addr)
	dir := filepath.Join(l.Dir, name)
	master := g.Redis[0].Addr
	conf := []string{
		"bind " + addr.Host(), fmt.Sprintf("port %d", addr.Port()), "dir " + dir,
		fmt.Sprintf("sentinel monitor %s %s %d %d", MasterName, master.Host(), master.Port(), opts.Hosts/2+1),
		fmt.Sprintf("sentinel down-after-milliseconds %s %d", MasterName, opts.DownAfter.Milliseconds()),
		fmt.Sprintf("sentinel failover-timeout %s %d", MasterName, opts.FailoverTimeout.Milliseconds()),
	}
	path := filepath.Join(dir, "sentinel.conf")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("configure %s: %w", name, err)
	}
	if err := os.WriteFile(path, []byte(strings.Join(conf, "\n")+"\n"), 0o600); err != nil {
		return fmt.Errorf("configure %s: %w", name, err)
	}
	p := l.process(name, filepath.Join(dir, "sentinel.log"), h.On(program, path)...)
	g.Sentinels = append(g.Sentinels, p)
	g.hosts, g.addrs = append(g.hosts, h), append(g.addrs, string(addr))
	return p.Start()
}

// FailoverClient is the same client as a Cluster's.
func (g *SentinelGroup) FailoverClient() *redis.Client {
	return redis.NewFailoverClient(FailoverOptions(nil, g.addrs))
}

// Addrs lists the Sentinels' addresses.
func (g *SentinelGroup) Addrs() []string { return g.addrs }

// Servers gives the group's Redis servers.
func (g *SentinelGroup) Servers() []*Redis { return g.Redis }

// AwaitSettled waits until the group is Settled.
func (g *SentinelGroup) AwaitSettled(limit time.Duration, master config.Addr) error {
	return Await(limit, "the Sentinels have settled on master "+string(master), func(ctx context.Context) error { return g.Settled(ctx, master) })
}

// Settled returns nil when every Sentinel names master, finds nothing down and knows everybody, and every other server follows it.
func (g *SentinelGroup) Settled(ctx context.Context, master config.Addr) error {
	if err := Replicated(ctx, g.Redis, master); err != nil {
		return err
	}
	for i := range g.addrs {
		if err := g.settled(ctx, i, master); err != nil {
			return err
		}
	}
	return nil
}

// settled asks the i-th Sentinel.
func (g *SentinelGroup) settled(ctx context.Context, i int, master config.Addr) error {
	addr := g.addrs[i]
	client := redis.NewSentinelClient(&redis.Options{Addr: addr, Dialer: g.hosts[i].Dial, MaxRetries: -1, DisableIdentity: true})
	defer client.Close()
	m, err := client.Master(ctx, MasterName).Result()
	if err != nil {
		return err
	}
	others := fmt.Sprint(len(g.addrs) - 1)
	if got := m["ip"] + ":" + m["port"]; got != string(master) || m["flags"] != "master" ||
		m["num-other-sentinels"] != others || m["num-slaves"] != fmt.Sprint(len(g.Redis)-1) {
		return fmt.Errorf("sentinel %s: master %s (%s), %s replicas, %s other Sentinels", addr, got, m["flags"],
			m["num-slaves"], m["num-other-sentinels"])
	}
	replicas, err := client.Replicas(ctx, MasterName).Result()
	if err != nil {
		return err
	}
	for _, r := range replicas {
		if r["flags"] != "slave" || r["master-link-status"] != "ok" {
			return fmt.Errorf("sentinel %s: replica %s is %s, link %s", addr, r["name"], r["flags"], r["master-link-status"])
		}
	}
	return nil
}
