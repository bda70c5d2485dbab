package consensus_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"picket/consensus"
	"picket/consensus/tcp"
	"picket/consensus/vfs"
	"picket/consensus/wal"
)

// cluster is three nodes with real disks, on real connections.
type cluster struct {
	t      testing.TB
	addrs  map[consensus.ServerID]string
	dir    string
	nodes  map[consensus.ServerID]*consensus.Node // that run
	states map[consensus.ServerID]*registers
}

func newCluster(t testing.TB) *cluster {
	c := &cluster{t: t, addrs: map[consensus.ServerID]string{}, dir: t.TempDir(),
		nodes: map[consensus.ServerID]*consensus.Node{}, states: map[consensus.ServerID]*registers{}}
	for i := range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // before any node listens there
		c.addrs[consensus.ServerID(fmt.Sprintf("n%d", i+1))] = l.Addr().String()
	}
	return c
}

func startCluster(t testing.TB) *cluster {
	c := newCluster(t)
	for id := range c.addrs {
		c.start(id)
	}
	t.Cleanup(func() {
		for id := range c.addrs {
			c.stop(id)
		}
	})
	return c
}

func (c *cluster) start(id consensus.ServerID) {
	c.t.Helper()
	disk, rec, err := wal.Open(wal.Config{FS: vfs.OS{}, Dir: filepath.Join(c.dir, string(id)),
		Identity: wal.Identity{Cluster: "test", Server: id, Founders: founders("n1", "n2", "n3")}})
	if err != nil {
		c.t.Fatal(err)
	}
	cfg := consensus.DefaultNodeConfig(id)
	c.states[id] = newRegisters()
	cfg.Disk, cfg.Recovered, cfg.StateMachine = disk, rec, c.states[id]
	cfg.Connect = func(r consensus.Receiver) (consensus.Transport, error) {
		return tcp.Listen(tcp.Config{Cluster: "test", Self: id, Listen: c.addrs[id], Address: c.addrs[id], Known: c.addrs,
			Problem: func(peer string, err error) { c.t.Logf("%s: %s: %v", id, peer, err) }}, r)
	}
	if c.nodes[id], err = consensus.Start(cfg); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) stop(id consensus.ServerID) {
	if n := c.nodes[id]; n != nil {
		n.Stop()
		delete(c.nodes, id)
	}
}

// leader waits for one.
func (c *cluster) leader() *consensus.Node {
	c.t.Helper()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-poll.C {
		for _, n := range c.nodes {
			if s := n.Status(); s.Role == consensus.Leader && s.Commit == s.Last {
				return n
			}
		}
	}
	c.t.Fatal("no leader")
	return nil
}

func (c *cluster) follower() *consensus.Node {
	c.t.Helper()
	leader := c.leader()
	for _, n := range c.nodes {
		if n != leader {
			return n
		}
	}
	c.t.Fatal("no follower")
	return nil
}

func TestCluster_GoesOnWithoutItsLeader(t *testing.T) {
	c := startCluster(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for i := range 20 {
		if _, err := c.leader().Propose(ctx, put("x", fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	old := c.leader().Status().ID
	c.stop(old)
	start := time.Now()
	if _, err := c.leader().Propose(ctx, put("x", "without")); err != nil {
		t.Fatal(err)
	}
	t.Logf("a write is committed %s after the leader was stopped", time.Since(start))
	c.start(old)
	if err := c.nodes[old].Barrier(ctx); err != nil {
		t.Fatal(err)
	}
	if got := c.states[old].get("x"); got != "without" {
		t.Errorf("the old leader reads %q", got)
	}
}

func TestCluster_FailureElection(t *testing.T) {
	c := startCluster(t)
	wins := 0
	for range 5 {
		n := c.follower()
		if err := n.Barrier(t.Context()); err != nil { // so that its log is good enough
			t.Fatal(err)
		}
		start := time.Now()
		term, err := n.Campaign(t.Context(), []byte("m"))
		if errors.Is(err, consensus.ErrLost) {
			t.Log(err) // the machine is busy
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		won := time.Since(start)
		if _, err := n.ProposeAt(t.Context(), term, put("x", "y")); err != nil {
			t.Fatal(err)
		}
		t.Logf("won after %s, first entry committed after %s", won, time.Since(start))
		wins++
	}
	if wins == 0 {
		t.Error("no election was won")
	}
}

// A lone proposer shows the latency of a commit, many how well they share syncs.
func BenchmarkPropose(b *testing.B) {
	for _, proposers := range []int{1, 64} {
		b.Run(fmt.Sprint(proposers), func(b *testing.B) {
			c := startCluster(b)
			leader := c.leader()
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ReportAllocs()
			b.ResetTimer()
			var group sync.WaitGroup
			for range proposers {
				group.Go(func() {
					command := put("key", fmt.Sprintf("%080d", 1))
					for left.Add(-1) >= 0 {
						if _, err := leader.Propose(b.Context(), command); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			group.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}

func BenchmarkCampaign(b *testing.B) {
	c := startCluster(b)
	for b.Loop() {
		b.StopTimer()
		n := c.follower()
		if err := n.Barrier(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		term, err := n.Campaign(b.Context(), []byte("m"))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := n.ProposeAt(b.Context(), term, put("x", "y")); err != nil {
			b.Fatal(err)
		}
	}
}
