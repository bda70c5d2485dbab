package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	boltdb "github.com/hashicorp/raft-boltdb/v2"
	wal "github.com/hashicorp/raft-wal"
)

// hashicorpCluster is hashicorp/raft with one of its log stores.
type hashicorpCluster struct {
	dir     string
	open    func(dir string) (hashicorpStore, error)
	servers []raft.Server

	mu     sync.RWMutex
	nodes  []*hashicorpNode
	counts []*hashicorpMachine
}

// hashicorpStore keeps log, term and vote.
type hashicorpStore interface {
	raft.LogStore
	raft.StableStore
	io.Closer
}

type hashicorpNode struct {
	*raft.Raft
	transport *raft.NetworkTransport
	store     io.Closer
}

type hashicorpMachine struct{ counter }

func (m *hashicorpMachine) Apply(*raft.Log) any { m.Add(1); return nil }

// ApplyBatch spares a call for each command.
func (m *hashicorpMachine) ApplyBatch(logs []*raft.Log) []any {
	for _, l := range logs {
		if l.Type == raft.LogCommand {
			m.Add(1)
		}
	}
	return make([]any, len(logs))
}

func (m *hashicorpMachine) Snapshot() (raft.FSMSnapshot, error) {
	return nil, errors.New("no snapshots are taken here")
}

func (m *hashicorpMachine) Restore(io.ReadCloser) error {
	return errors.New("no snapshots are taken here")
}

func startHashicorpBolt(dir string, n int) (cluster, error) {
	return startHashicorp(dir, n, func(dir string) (hashicorpStore, error) {
		return boltdb.NewBoltStore(filepath.Join(dir, "raft.db"))
	})
}

func startHashicorpWAL(dir string, n int) (cluster, error) {
	return startHashicorp(dir, n, func(dir string) (hashicorpStore, error) { return wal.Open(dir) })
}

func startHashicorp(dir string, n int, open func(string) (hashicorpStore, error)) (cluster, error) {
	c := &hashicorpCluster{dir: dir, open: open, nodes: make([]*hashicorpNode, n), counts: make([]*hashicorpMachine, n)}
	for i := range n {
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		id := raft.ServerID(fmt.Sprint("n", i))
		c.servers = append(c.servers, raft.Server{ID: id, Address: raft.ServerAddress(addr)})
	}
	for i := range n {
		if err := c.start(i); err != nil {
			return nil, errors.Join(err, c.close())
		}
	}
	boot := c.nodes[0].BootstrapCluster(raft.Configuration{Servers: c.servers})
	if err := boot.Error(); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *hashicorpCluster) start(i int) error {
	me := c.servers[i]
	dir := filepath.Join(c.dir, string(me.ID))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	store, err := c.open(dir)
	if err != nil {
		return err
	}
	transport, err := raft.NewTCPTransport(string(me.Address), nil, 3, 5*time.Second, io.Discard)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	cfg := raft.DefaultConfig()
	cfg.LocalID, cfg.Logger = me.ID, hclog.NewNullLogger()
	cfg.HeartbeatTimeout, cfg.ElectionTimeout, cfg.LeaderLeaseTimeout = electionTimeout, electionTimeout, electionTimeout
	cfg.CommitTimeout = heartbeatInterval
	cfg.BatchApplyCh, cfg.MaxAppendEntries = true, 256
	cfg.SnapshotThreshold, cfg.SnapshotInterval, cfg.TrailingLogs = 1<<40, 24*time.Hour, 1<<40
	machine := &hashicorpMachine{}
	node, err := raft.NewRaft(cfg, machine, store, store, raft.NewDiscardSnapshotStore(), transport)
	if err != nil {
		return errors.Join(err, transport.Close(), store.Close())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes[i], c.counts[i] = &hashicorpNode{node, transport, store}, machine
	return nil
}

func (c *hashicorpCluster) node(i int) *hashicorpNode {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.nodes[i]
}

func (c *hashicorpCluster) leader() int {
	for i := range c.servers {
		if n := c.node(i); n != nil && n.State() == raft.Leader {
			return i
		}
	}
	return -1
}

func (c *hashicorpCluster) propose(_ context.Context, leader int, command []byte) error {
	return c.node(leader).Apply(command, 10*time.Second).Error()
}

func (c *hashicorpCluster) stop(i int) error {
	n := c.node(i)
	if n == nil {
		return nil
	}
	c.mu.Lock()
	c.nodes[i] = nil
	c.mu.Unlock()
	shutdown := n.Shutdown()
	n.transport.CloseStreams() // nothing more is said
	return errors.Join(n.transport.Close(), shutdown.Error(), n.store.Close())
}

func (c *hashicorpCluster) applied(i int) int64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.counts[i].Load()
}

func (c *hashicorpCluster) close() (err error) {
	for i := range c.servers {
		err = errors.Join(err, c.stop(i))
	}
	return err
}
