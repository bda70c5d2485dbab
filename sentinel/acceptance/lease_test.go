package acceptance

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"picket/config"
	"picket/sentinel/lab"
	"picket/sentinel/state"
)

// hosts is a cluster whose hosts can be taken off the network.
type hosts struct {
	*network
	*lab.Cluster
}

func startHosts(t *testing.T, settings ...string) hosts {
	t.Helper()
	l := lab.New(t.TempDir())
	t.Cleanup(l.Close)
	n := newNetwork(t, l)
	cooldown := time.Duration(0)
	c, err := l.StartCluster(lab.ClusterOptions{
		Program: binary, Network: n.Network, DownAfter: time.Second, FailoverTimeout: 5 * time.Second, Cooldown: &cooldown, Settings: settings, LeastPrivilege: true,
	})
	t.Cleanup(func() { checkLogs(t, l, c) })
	if err != nil {
		t.Fatal(err)
	}
	h := hosts{n, c}
	if err := lab.Await(patience, "the master has a lease", func(ctx context.Context) error {
		p, err := c.Agents[0].Status(ctx)
		if err == nil && (p.Lease == nil || p.Lease.Until.IsZero()) {
			err = fmt.Errorf("lease %+v", p.Lease)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return h
}

// masterNow is the instant at which a server was first seen to be a master, asked each millisecond; zero: not within the time.
func masterNow(ctx context.Context, r *lab.Redis) time.Time {
	c := r.Client()
	defer c.Close()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		asked := time.Now()
		if role, err := c.Do(ctx, "ROLE").Slice(); err == nil && fmt.Sprint(role[0]) == "master" {
			return asked
		}
		<-tick.C
	}
	return time.Time{}
}

// promotion waits for the first of some servers to become a master.
func promotion(t *testing.T, servers ...*lab.Redis) (time.Time, *lab.Redis) {
	t.Helper()
	type found struct {
		at time.Time
		r  *lab.Redis
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	first := make(chan found, len(servers))
	for _, r := range servers {
		go func() { first <- found{masterNow(ctx, r), r} }() // ends with ctx
	}
	f := <-first
	if f.at.IsZero() {
		t.Fatal("nobody was promoted")
	}
	return f.at, f.r
}

// written is a server's replication offset.
func written(t *testing.T, c *redis.Client) int64 {
	t.Helper()
	_, after, _ := strings.Cut(c.Info(t.Context(), "replication").Val(), "master_repl_offset:")
	var n int64
	if _, err := fmt.Sscan(after, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func fenceOf(t *testing.T, c *redis.Client) string {
	t.Helper()
	return c.ConfigGet(t.Context(), "min-replicas-to-write").Val()["min-replicas-to-write"]
}

// TestLease_APartitionedMasterStopsBeforeAnotherIsPromoted takes the master's host, with its agent and a client on it, off the network.
func TestLease_APartitionedMasterStopsBeforeAnotherIsPromoted(t *testing.T) {
	for _, policy := range []string{config.LeaseReplicas, config.LeaseStrict} {
		t.Run(policy, func(t *testing.T) {
			h := startHosts(t, "lease-loss: "+policy)
			old, inside := h.Redis[0], h.Redis[0].Client()
			t.Cleanup(func() { _ = inside.Close() })
			writer := lab.StartWriter(old.Client(), "inside", lab.WriterOptions{})
			t.Cleanup(writer.Stop)
			cut := time.Now()
			h.must(h.Unplug(h.Hosts[0]))
			promoted, next := promotion(t, h.Redis[1], h.Redis[2])
			lab.Pause(t.Context(), 2*time.Second)
			var last time.Time
			late := 0
			for _, a := range writer.Acked() {
				if last = a.At; a.At.After(promoted) {
					late++
				}
			}
			t.Logf("the old master's last write %v after the cut, %s promoted %v after it", last.Sub(cut), next.Addr, promoted.Sub(cut))
			if late > 0 || !last.After(cut) {
				t.Errorf("%d writes were acknowledged by the old master after the promotion", late)
			}
			if err := inside.Set(t.Context(), "x", "y", 0).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOREPLICAS") {
				t.Errorf("the fenced master says %v to a write", err)
			}
			behind := written(t, inside)
			healed := time.Now()
			h.must(h.Heal())
			settle(t, h.Cluster, next.Addr)
			t.Logf("one topology %v after the network was whole", time.Since(healed))
			status, err := h.Agents[1].Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			lost := int64(-1)
			for _, e := range status.Events {
				if e.Type == state.FailoverDivergence && e.Data.Known {
					lost = e.Data.Bytes
				}
			}
			part := status.Masters[0].Last.Offset
			if lost < 1 || lost != behind-part {
				t.Errorf("%d bytes are reported lost; the old master was at %d, the new one began at %d", lost, behind, part)
			}
			if got := fenceOf(t, inside); got != "0" {
				t.Errorf("the fence stays: %s", got)
			}
		})
	}
}

// TestLease_LosingTheOtherAgents: a master whose replicas all follow goes on under `replicas`, and stops under `strict`.
func TestLease_LosingTheOtherAgents(t *testing.T) {
	for policy, stops := range map[string]bool{config.LeaseReplicas: false, config.LeaseStrict: true} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			_, c := start(t, func(o *lab.ClusterOptions) { o.Settings = append(o.Settings, "lease-loss: "+policy) })
			client := c.Redis[0].Client()
			t.Cleanup(func() { _ = client.Close() })
			c.Agents[1].Kill()
			c.Agents[2].Kill()
			refused := 0
			for end := time.Now().Add(3 * time.Second); time.Now().Before(end); lab.Pause(t.Context(), 5*time.Millisecond) {
				if err := client.Set(t.Context(), "k", "v", 0).Err(); err != nil {
					refused++
				}
			}
			if (refused > 0) != stops {
				t.Errorf("%d writes were refused", refused)
			}
			if err := c.Agents[1].Start(); err != nil {
				t.Fatal(err)
			}
			if err := lab.Await(patience, "the master takes writes with a majority", func(ctx context.Context) error {
				return client.Set(ctx, "k", "v", 0).Err()
			}); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRestartGuard_AnEmptyMasterNeverWipesItsReplicas kills a master without persistence and starts it again at once.
func TestRestartGuard_AnEmptyMasterNeverWipesItsReplicas(t *testing.T) {
	t.Parallel()
	_, c := start(t, func(o *lab.ClusterOptions) { o.Redis = append(o.Redis, `save ""`, "appendonly no") })
	master := c.Redis[0]
	const keys = 100
	client := master.Client()
	for i := range keys {
		if err := client.Set(t.Context(), fmt.Sprint("key", i), i, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	_ = client.Close()
	for round := range 10 {
		settle(t, c, master.Addr)
		master.Kill()
		lab.Pause(t.Context(), time.Duration(round)*13*time.Millisecond)
		if err := master.Start(); err != nil {
			t.Fatal(err)
		}
		// Whoever is the master in the end holds all keys, and nobody was without them for a moment.
		err := lab.Await(patience, "one topology", func(ctx context.Context) error {
			for _, r := range c.Redis {
				if r == master {
					continue
				}
				client := r.Client()
				n, err := client.DBSize(ctx).Result()
				_ = client.Close()
				if err == nil && n < keys {
					t.Errorf("round %d: %s holds %d keys", round, r.Addr, n)
				}
			}
			p, err := c.Agents[0].Status(ctx)
			if err != nil {
				return err
			}
			return c.AwaitSettled(200*time.Millisecond, p.Masters[0].Server.Addr)
		})
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.Agents[0].Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		master = c.At(p.Masters[0].Server.Addr)
	}
}
