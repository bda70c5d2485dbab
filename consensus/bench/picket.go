package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"sync"

	"picket/consensus"
	"picket/consensus/tcp"
	"picket/consensus/vfs"
	"picket/consensus/wal"
)

// picketCluster is ours. All contact with picket/consensus is in this file.
type picketCluster struct {
	dir     string
	members []consensus.Member

	mu     sync.RWMutex
	nodes  []*consensus.Node
	counts []*picketMachine
}

// picketMachine counts commands, and keeps the count in its snapshots, of which there are none here.
type picketMachine struct{ counter }

func (m *picketMachine) Apply(consensus.Entry) any { m.Add(1); return nil }

func (m *picketMachine) Snapshot() (func(io.Writer) error, error) {
	return nil, errors.New("no snapshots are taken here")
}

func (m *picketMachine) Restore(io.Reader) error { return errors.New("no snapshots are taken here") }

func startPicket(dir string, n int) (cluster, error) {
	c := &picketCluster{dir: dir, nodes: make([]*consensus.Node, n), counts: make([]*picketMachine, n)}
	for i := range n {
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		c.members = append(c.members, consensus.Member{ID: consensus.ServerID(fmt.Sprint("n", i)), Address: addr, Voter: true})
	}
	for i := range n {
		if err := c.start(i); err != nil {
			return nil, errors.Join(err, c.close())
		}
	}
	return c, nil
}

// freeAddr is a loopback address where nobody listens.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (c *picketCluster) start(i int) error {
	me := c.members[i]
	disk, recovered, err := wal.Open(wal.Config{FS: vfs.OS{}, Dir: filepath.Join(c.dir, string(me.ID)),
		Identity: wal.Identity{Cluster: "bench", Server: me.ID, Founders: c.members}})
	if err != nil {
		return err
	}
	cfg := consensus.DefaultNodeConfig(me.ID)
	cfg.Core.ElectionTimeout, cfg.Core.HeartbeatInterval = electionTimeout, heartbeatInterval
	cfg.Core.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	cfg.Core.MaxLogBytes, cfg.SnapshotEntries, cfg.SnapshotBytes = 0, 0, 0 // catching up is from the log
	machine := &picketMachine{}
	cfg.Disk, cfg.Recovered, cfg.StateMachine = disk, recovered, machine
	cfg.Connect = func(r consensus.Receiver) (consensus.Transport, error) {
		return tcp.Listen(tcp.Config{Cluster: "bench", Self: me.ID, Listen: me.Address, Address: me.Address}, r)
	}
	node, err := consensus.Start(cfg)
	if err != nil {
		return errors.Join(err, disk.Close())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes[i], c.counts[i] = node, machine
	return nil
}

func (c *picketCluster) node(i int) *consensus.Node {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.nodes[i]
}

func (c *picketCluster) leader() int {
	for i := range c.members {
		if n := c.node(i); n != nil && n.Status().Role == consensus.Leader {
			return i
		}
	}
	return -1
}

func (c *picketCluster) propose(ctx context.Context, leader int, command []byte) error {
	_, err := c.node(leader).Propose(ctx, command)
	return err
}

func (c *picketCluster) stop(i int) error {
	n := c.node(i)
	if n == nil {
		return nil
	}
	c.mu.Lock()
	c.nodes[i] = nil
	c.mu.Unlock()
	n.Stop()
	return n.Err()
}

func (c *picketCluster) applied(i int) int64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.counts[i].Load()
}

func (c *picketCluster) close() (err error) {
	for i := range c.members {
		err = errors.Join(err, c.stop(i))
	}
	return err
}

// campaign has a node stand for a failure election, and commit a first entry in the term that it wins.
func (c *picketCluster) campaign(ctx context.Context, i int) error {
	term, err := c.node(i).Campaign(ctx, []byte("bench"))
	if err == nil {
		_, err = c.node(i).ProposeAt(ctx, term, []byte("first"))
	}
	return err
}
