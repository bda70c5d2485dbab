package consensus_test

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"picket/consensus"
	"picket/consensus/vfs"
	"picket/consensus/wal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// registers is a state machine of keys and values. It counts how often each command was applied.
type registers struct {
	mu    sync.Mutex
	state struct {
		Values map[string]string
		Times  map[uint32]int // by checksum of the command
	}
}

func newRegisters() *registers {
	s := &registers{}
	s.state.Values, s.state.Times = map[string]string{}, map[uint32]int{}
	return s
}

// Apply answers with the value that was there before.
func (s *registers) Apply(e consensus.Entry) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	var kv [2]string
	if err := json.Unmarshal(e.Data, &kv); err != nil {
		panic(err)
	}
	before := s.state.Values[kv[0]]
	s.state.Values[kv[0]] = kv[1]
	s.state.Times[crc32.ChecksumIEEE(e.Data)]++
	return before
}

func (s *registers) Snapshot() (func(io.Writer) error, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, err := json.Marshal(s.state)
	return func(w io.Writer) error { _, err := w.Write(data); return err }, err
}

func (s *registers) Restore(r io.Reader) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Values, s.state.Times = map[string]string{}, map[uint32]int{}
	return json.NewDecoder(r).Decode(&s.state)
}

func (s *registers) get(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.Values[key]
}

func (s *registers) times(command []byte) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.Times[crc32.ChecksumIEEE(command)]
}

func (s *registers) values() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.state.Values)
}

func put(key, value string) []byte {
	data, err := json.Marshal([2]string{key, value})
	if err != nil {
		panic(err)
	}
	return data
}

// group is some nodes on one network, each with a disk that outlives it.
type group struct {
	t      *testing.T
	net    *network
	ids    []consensus.ServerID
	disks  map[consensus.ServerID]*vfs.Mem
	nodes  map[consensus.ServerID]*consensus.Node // that run
	states map[consensus.ServerID]*registers
	adjust func(*consensus.NodeConfig)
}

func newGroup(t *testing.T, n int, adjust func(*consensus.NodeConfig)) *group {
	g := &group{t: t, net: newNetwork(), adjust: adjust, disks: map[consensus.ServerID]*vfs.Mem{},
		nodes: map[consensus.ServerID]*consensus.Node{}, states: map[consensus.ServerID]*registers{}}
	for i := range n {
		id := consensus.ServerID(fmt.Sprintf("n%d", i+1))
		g.ids = append(g.ids, id)
		g.disks[id] = vfs.NewMem()
	}
	for _, id := range g.ids {
		g.start(id)
	}
	t.Cleanup(func() {
		for _, id := range g.ids {
			g.stop(id)
		}
	})
	return g
}

// founders makes voters of ids.
func founders(ids ...consensus.ServerID) []consensus.Member {
	var members []consensus.Member
	for _, id := range ids {
		members = append(members, consensus.Member{ID: id, Address: string(id), Voter: true})
	}
	return members
}

func (g *group) start(id consensus.ServerID) {
	g.t.Helper()
	disk, rec, err := wal.Open(wal.Config{FS: g.disks[id], Dir: "/data", SegmentBytes: 16 << 10,
		Identity: wal.Identity{Cluster: "test", Server: id, Founders: founders(g.ids...)}})
	if err != nil {
		g.t.Fatal(err)
	}
	cfg := consensus.DefaultNodeConfig(id)
	cfg.Core.Rand = rand.New(rand.NewPCG(uint64(id[1]), 1))
	g.states[id] = newRegisters()
	cfg.Disk, cfg.Recovered, cfg.StateMachine, cfg.Connect = disk, rec, g.states[id], g.net.connect(id)
	if g.adjust != nil {
		g.adjust(&cfg)
	}
	if g.nodes[id], err = consensus.Start(cfg); err != nil {
		g.t.Fatal(err)
	}
}

func (g *group) stop(id consensus.ServerID) {
	if n := g.nodes[id]; n != nil {
		n.Stop()
		delete(g.nodes, id)
	}
}

// await waits until something holds, on the virtual time of the bubble that the test runs in.
func (g *group) await(what string, holds func() bool) {
	g.t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	deadline := time.After(10 * time.Second)
	for !holds() {
		select {
		case <-again.C:
		case <-deadline:
			g.t.Fatalf("waited in vain until %s", what)
		}
	}
}

// leader waits for one that a majority follows.
func (g *group) leader() (leader consensus.ServerID) {
	g.t.Helper()
	g.await("somebody leads", func() bool {
		followers := map[consensus.ServerID]int{}
		for _, n := range g.nodes {
			followers[n.Status().Leader]++
		}
		for id, n := range g.nodes {
			if followers[id] > len(g.ids)/2 && n.Status().Role == consensus.Leader {
				leader = id
				return true
			}
		}
		return false
	})
	return leader
}

// other is a running server, the first that is none of these.
func (g *group) other(than ...consensus.ServerID) consensus.ServerID {
	g.t.Helper()
next:
	for _, id := range g.ids {
		for _, not := range than {
			if id == not {
				continue next
			}
		}
		if g.nodes[id] != nil {
			return id
		}
	}
	g.t.Fatal("no other node")
	return ""
}

func (g *group) put(on consensus.ServerID, key, value string) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), 10*time.Second)
	defer cancel()
	if _, err := g.nodes[on].Propose(ctx, put(key, value)); err != nil {
		g.t.Fatalf("put %s=%s on %s: %v", key, value, on, err)
	}
}

// read is a linearizable get.
func (g *group) read(on consensus.ServerID, key string) string {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), 10*time.Second)
	defer cancel()
	if err := g.nodes[on].Barrier(ctx); err != nil {
		g.t.Fatalf("barrier on %s: %v", on, err)
	}
	return g.states[on].get(key)
}
