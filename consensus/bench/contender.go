package main

import (
	"context"
	"sync/atomic"
	"time"
)

// timing is the same for all: followers miss a leader after 150 to 300 ms.
const (
	electionTimeout   = 150 * time.Millisecond
	heartbeatInterval = 30 * time.Millisecond
)

// contender is an implementation of Raft.
type contender struct {
	name  string
	start func(dir string, n int) (cluster, error)
}

// contenders in the order of the tables; ours is the first.
var contenders = []contender{
	{"picket", startPicket},
	{"etcd/raft", startEtcd},
	{"hashicorp/raft, raft-wal", startHashicorpWAL},
	{"hashicorp/raft, boltdb", startHashicorpBolt},
}

// cluster is n nodes in this process. Nodes are numbered from 0.
type cluster interface {
	// leader is the node that leads now; -1: none is known.
	leader() int
	// propose returns when the leader has committed and applied a command.
	propose(ctx context.Context, leader int, command []byte) error
	// stop ends a node without any farewell; start runs it again on what its disk holds.
	stop(node int) error
	start(node int) error
	// applied counts the commands that a node has applied since it was started.
	applied(node int) int64
	close() error
}

// counter is the state machine of all: it counts.
type counter struct{ atomic.Int64 }
