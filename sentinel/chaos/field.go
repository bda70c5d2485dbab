package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"picket/config"
	"picket/sentinel/lab"
)

// patience bounds every wait; Redis Sentinel takes a minute or two now and then.
const patience = 2 * time.Minute

// hosts run servers; the host after them runs clients.
const hosts = 3

// system is what keeps a master available.
type system struct {
	name      string
	dir       string
	reference bool // Picket is compared with it
	start     func(*lab.Lab, lab.ClusterOptions, *field) error
}

var systems = []system{
	{name: "Picket", dir: "picket", start: startPicket},
	{name: "Redis Sentinel", dir: "sentinel", reference: true, start: startSentinel},
}

// field is one system on hosts of its own, and all that writes to it.
type field struct {
	pace    pace
	dir     string
	lab     *lab.Lab
	network *lab.Network
	servers []*lab.Redis   // one on each host, the first the master at the beginning
	guards  []*lab.Process // the agents or Sentinels on the same hosts
	cluster *lab.Cluster   // nil: Redis Sentinel
	roles   *roles
	writers []*lab.Writer
}

// open starts a system in a directory of its own.
func (p plan) open(dir string, s scenario, on system) (*field, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil { // agents would remember an earlier field
		return nil, fmt.Errorf("%w: choose another --dir", err)
	}
	f := &field{pace: p.pace, dir: dir, lab: lab.New(dir)}
	if err := f.start(p, s, on); err != nil {
		f.close()
		return nil, fmt.Errorf("start %s: %w", on.name, err)
	}
	return f, nil
}

func (f *field) start(p plan, s scenario, on system) (err error) {
	if f.network, err = f.lab.NewNetwork(hosts + 1); err != nil {
		return err
	}
	// A master is broken soon after its last failover, so nothing may hold the next one back.
	cooldown := time.Duration(0)
	err = on.start(f.lab, lab.ClusterOptions{
		Program: p.picket, Hosts: hosts, Network: f.network, DownAfter: downAfter, FailoverTimeout: 10 * time.Second,
		Cooldown: &cooldown, Settings: append([]string{"durability: {wait: 1}"}, s.settings...), LogLevel: "info",
	}, f)
	if err != nil {
		return err
	}
	f.roles = watchRoles(f.servers)
	return nil
}

// downAfter is that of both systems.
const downAfter = time.Second

func startPicket(l *lab.Lab, opts lab.ClusterOptions, f *field) error {
	c, err := l.StartCluster(opts)
	if err != nil {
		return err
	}
	f.cluster, f.servers = c, c.Redis
	for _, a := range c.Agents {
		f.guards = append(f.guards, a.Process)
	}
	return nil
}

func startSentinel(l *lab.Lab, opts lab.ClusterOptions, f *field) error {
	g, err := l.StartSentinels(opts)
	if err != nil {
		return err
	}
	f.servers, f.guards = g.Redis, g.Sentinels
	return nil
}

// close ends everything and leaves the files.
func (f *field) close() {
	for _, w := range f.writers {
		w.Stop()
	}
	if f.roles != nil {
		f.roles.close()
	}
	f.keep()
	f.lab.Close()
}

// keep writes down what the agents know at the end. What can't be had is missing: the scenario may have failed for the same reason.
func (f *field) keep() {
	if f.cluster == nil {
		return
	}
	for _, a := range f.cluster.Agents {
		if status, err := a.Status(context.Background()); err == nil {
			text, _ := json.MarshalIndent(status, "", "\t") // it came as JSON
			_ = os.WriteFile(filepath.Join(f.dir, a.ID+".status.json"), text, 0o600)
		}
	}
}

// why asks an agent to explain itself.
func (f *field) why(ctx context.Context) (string, error) {
	if f.cluster == nil {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return f.cluster.Agents[0].Run(ctx, "why", lab.MasterName)
}

func (f *field) host(i int) *lab.Host { return f.network.Hosts[i] }

// clients is the host on which no server runs.
func (f *field) clients() *lab.Host { return f.network.Hosts[hosts] }

// leader is the host whose agent leads; Redis Sentinel has no lasting leader, so that the master's own stands for it.
func (f *field) leader(ctx context.Context) (int, error) {
	if f.cluster == nil {
		return 0, nil
	}
	leader, err := f.cluster.Leader(ctx)
	if err != nil {
		return 0, err
	}
	return slices.Index(f.cluster.Agents, leader), nil
}

// agreed gives the one master there is: every server that runs follows it with its link up, and every agent that runs names it.
func (f *field) agreed(ctx context.Context) (*lab.Redis, error) {
	var master *lab.Redis
	for _, r := range f.servers {
		if !r.Running() {
			continue
		}
		info, err := r.Info(ctx, "replication")
		switch {
		case err != nil:
			return nil, err
		case info["role"] != "master":
		case master != nil:
			return nil, fmt.Errorf("%s and %s are masters", master.Addr, r.Addr)
		default:
			master = r
		}
	}
	if master == nil {
		return nil, errors.New("no server is a master")
	}
	for _, r := range f.servers {
		if r != master && r.Running() {
			if err := r.Follows(ctx, master.Addr); err != nil {
				return nil, err
			}
		}
	}
	return master, f.named(ctx, master.Addr)
}

// named returns nil when every agent that runs names master.
func (f *field) named(ctx context.Context, master config.Addr) error {
	for i, g := range f.guards {
		if !g.Running() {
			continue
		}
		client := f.sentinel(i)
		named, err := client.GetMasterAddrByName(ctx, lab.MasterName).Result()
		_ = client.Close() // nothing is under way
		if err != nil {
			return fmt.Errorf("ask %s: %w", g.Name, err)
		}
		if got := config.Addr(named[0] + ":" + named[1]); got != master {
			return fmt.Errorf("%s names %s, not %s", g.Name, got, master)
		}
	}
	return nil
}

// sentinel speaks with the agent or Sentinel on a host. The caller closes it.
func (f *field) sentinel(i int) *redis.SentinelClient {
	return redis.NewSentinelClient(&redis.Options{
		Addr: f.sentinels()[i], Dialer: f.host(i).Dial,
		MaxRetries: -1, DisableIdentity: true, ReadTimeout: 15 * time.Second,
	})
}

// sentinels lists where clients ask for the master.
func (f *field) sentinels() []string {
	var addrs []string
	for i := range hosts {
		addrs = append(addrs, string(config.NewAddr(f.host(i).IP(), lab.SentinelPort)))
	}
	return addrs
}

// settle waits for one consistent topology, says how long that took, and waits on until the master takes writes and each replica has
// acknowledged one. That it does for the first time up to a second later, which is no coordinator's doing.
func (f *field) settle(since time.Time) (master *lab.Redis, took time.Duration, err error) {
	if err = lab.Await(patience, "there is one master, and all agree on it", func(ctx context.Context) (err error) {
		master, err = f.agreed(ctx)
		return err
	}); err != nil {
		return nil, 0, err
	}
	took = time.Since(since)
	return master, took, lab.Await(patience, "the replicas acknowledge a write", func(ctx context.Context) error {
		return lab.Replicated(ctx, f.servers, master.Addr)
	})
}
