package consensus_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"picket/consensus"
	"picket/consensus/vfs"
	"picket/consensus/wal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network connects nodes in memory, on virtual time. A server that is cut off neither sends nor receives.
type network struct {
	mu    sync.Mutex
	nodes map[consensus.ServerID]*link
	cut   map[consensus.ServerID]bool
	delay time.Duration
}

func newNetwork() *network {
	return &network{nodes: map[consensus.ServerID]*link{}, cut: map[consensus.ServerID]bool{}, delay: time.Millisecond}
}

func (n *network) isolate(id consensus.ServerID, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[id] = cut
}

// link is one node's transport.
type link struct {
	net   *network
	id    consensus.ServerID
	inbox chan consensus.Message
	done  chan struct{}
	wait  sync.WaitGroup
}

func (n *network) connect(id consensus.ServerID) func(consensus.Receiver) (consensus.Transport, error) {
	return func(r consensus.Receiver) (consensus.Transport, error) {
		l := &link{net: n, id: id, inbox: make(chan consensus.Message, 4096), done: make(chan struct{})}
		n.mu.Lock()
		n.nodes[id] = l
		n.mu.Unlock()
		l.wait.Go(func() {
			for {
				select {
				case m := <-l.inbox:
					time.Sleep(n.delay) // virtual
					r.Receive(m)
				case <-l.done:
					return
				}
			}
		})
		return l, nil
	}
}

func (l *link) Send(m consensus.Message) {
	// Through the codec, as on the wire.
	buf, err := consensus.EncodeMessage(nil, &m)
	if err != nil {
		panic(err)
	}
	if m, err = consensus.DecodeMessage(buf); err != nil {
		panic(err)
	}
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	to := l.net.nodes[m.To]
	if to == nil || l.net.cut[m.From] || l.net.cut[m.To] {
		return
	}
	select {
	case to.inbox <- m:
	default:
	}
}

func (l *link) Close() error {
	l.net.mu.Lock()
	if l.net.nodes[l.id] == l {
		delete(l.net.nodes, l.id)
	}
	l.net.mu.Unlock()
	close(l.done)
	l.wait.Wait()
	return nil
}

// registers is a state machine: "key=value" sets; it remembers how often each command was applied.
type registers struct {
	mu     sync.Mutex
	values map[string]string
	count  int
}

func (s *registers) Apply(e consensus.Entry) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	var kv [2]string
	if err := json.Unmarshal(e.Data, &kv); err != nil {
		panic(err)
	}
	s.values[kv[0]] = kv[1]
	s.count++
	return s.count
}

func (s *registers) Snapshot() (func(io.Writer) error, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, err := json.Marshal(struct {
		Values map[string]string
		Count  int
	}{s.values, s.count})
	return func(w io.Writer) error { _, err := w.Write(data); return err }, err
}

func (s *registers) Restore(r io.Reader) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var state struct {
		Values map[string]string
		Count  int
	}
	if err := json.NewDecoder(r).Decode(&state); err != nil {
		return err
	}
	s.values, s.count = state.Values, state.Count
	return nil
}

func (s *registers) get(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values[key]
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
	nodes  map[consensus.ServerID]*consensus.Node
	states map[consensus.ServerID]*registers
	adjust func(*consensus.NodeConfig)
}

func newGroup(t *testing.T, n int, adjust func(*consensus.NodeConfig)) *group {
	g := &group{t: t, net: newNetwork(), adjust: adjust, disks: map[consensus.ServerID]*vfs.Mem{},
		nodes: map[consensus.ServerID]*consensus.Node{}, states: map[consensus.ServerID]*registers{}}
	for i := range n {
		g.ids = append(g.ids, consensus.ServerID(fmt.Sprintf("n%d", i+1)))
	}
	for _, id := range g.ids {
		g.disks[id] = vfs.NewMem()
		g.start(id)
	}
	t.Cleanup(func() {
		for _, id := range g.ids {
			g.stop(id)
		}
	})
	return g
}

func (g *group) start(id consensus.ServerID) {
	g.t.Helper()
	disk, rec, err := wal.Open(wal.Config{FS: g.disks[id], Dir: "/data", SegmentBytes: 16 << 10,
		Identity: wal.Identity{Cluster: "test", Server: id, Voters: g.ids}})
	if err != nil {
		g.t.Fatal(err)
	}
	cfg := consensus.DefaultNodeConfig(id)
	cfg.Core.Rand = rand.New(rand.NewPCG(uint64(id[1]), 1))
	g.states[id] = &registers{values: map[string]string{}}
	cfg.Disk, cfg.Recovered, cfg.StateMachine, cfg.Connect = disk, rec, g.states[id], g.net.connect(id)
	if g.adjust != nil {
		g.adjust(&cfg)
	}
	node, err := consensus.Start(cfg)
	if err != nil {
		g.t.Fatal(err)
	}
	g.nodes[id] = node
}

func (g *group) stop(id consensus.ServerID) {
	if n := g.nodes[id]; n != nil {
		n.Stop()
		delete(g.nodes, id)
	}
}

// leader waits for one that a majority follows.
func (g *group) leader() consensus.ServerID {
	g.t.Helper()
	for range 200 {
		votes := map[consensus.ServerID]int{}
		for _, n := range g.nodes {
			if s := n.Status(); s.Leader != "" {
				votes[s.Leader]++
			}
		}
		for id, n := range votes {
			if n > len(g.ids)/2 && g.nodes[id] != nil && g.nodes[id].Status().Role == consensus.Leader {
				return id
			}
		}
		time.Sleep(20 * time.Millisecond) // virtual
	}
	g.t.Fatal("no leader")
	return ""
}

func (g *group) other(than consensus.ServerID) consensus.ServerID {
	for _, id := range g.ids {
		if id != than && g.nodes[id] != nil {
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

func TestNode_PutOnAnyServerGetOnAnyServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, nil)
		leader := g.leader()
		for i, id := range g.ids {
			g.put(id, "x", fmt.Sprint(i))
			for _, reader := range g.ids {
				if got := g.read(reader, "x"); got != fmt.Sprint(i) {
					t.Errorf("x = %s on %s after put(x) = %d on %s (leader %s)", got, reader, i, id, leader)
				}
			}
		}
	})
}

func TestNode_LeaderStopsAndTheGroupGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, nil)
		old := g.leader()
		g.put(old, "x", "1")
		g.stop(old)
		g.leader()
		g.put(g.other(old), "x", "2")
		g.start(old)
		if got := g.read(old, "x"); got != "2" {
			t.Errorf("the restarted server reads %q", got)
		}
	})
}

func TestNode_CutOffLeaderStepsDownAndAnswersNoStaleRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, nil)
		old := g.leader()
		g.put(old, "x", "1")
		g.net.isolate(old, true)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if err := g.nodes[old].Barrier(ctx); err == nil {
			t.Error("a leader that is cut off confirmed a read")
		}
		if s := g.nodes[old].Status(); s.Role == consensus.Leader {
			t.Error("a leader that is cut off still leads after 2 s")
		}
		g.leader()
		g.put(g.other(old), "x", "2")
		g.net.isolate(old, false)
		if got := g.read(old, "x"); got != "2" {
			t.Errorf("after healing it reads %q", got)
		}
	})
}

func TestNode_LaggingFollowerGetsASnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, func(c *consensus.NodeConfig) { c.SnapshotEntries, c.TrailingEntries = 20, 5 })
		leader := g.leader()
		behind := g.other(leader)
		g.stop(behind)
		for i := range 100 {
			g.put(leader, fmt.Sprint("key", i%7), fmt.Sprint(i))
		}
		g.start(behind)
		if got := g.read(behind, "key1"); got != "99" {
			t.Errorf("key1 = %q after catching up by snapshot", got)
		}
		if s := g.nodes[behind].Status(); s.Snapshot == 0 {
			t.Error("it holds no snapshot")
		}
		// What came by snapshot is also there after a restart.
		g.stop(behind)
		g.start(behind)
		if got := g.read(behind, "key1"); got != "99" {
			t.Errorf("key1 = %q after the restart", got)
		}
	})
}

func TestNode_CampaignWinsAtOnceAndMayBeVetoed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		veto := ""
		var mu sync.Mutex
		g := newGroup(t, 3, func(c *consensus.NodeConfig) {
			c.Core.Veto = func(candidate consensus.ServerID, reason []byte) string {
				mu.Lock()
				defer mu.Unlock()
				return veto
			}
		})
		old := g.leader()
		g.put(old, "x", "1")
		candidate := g.other(old)
		before := g.nodes[candidate].Status().Term
		start := time.Now()
		term, err := g.nodes[candidate].Campaign(t.Context(), []byte("mymaster"))
		if err != nil || term <= before {
			t.Fatalf("campaign: term %d (before: %d), %v", term, before, err)
		}
		if took := time.Since(start); took > 20*time.Millisecond {
			t.Errorf("it took %s, although a leader was alive", took)
		}
		if s := g.nodes[candidate].Status(); string(s.Reason) != "mymaster" || g.states[candidate].get("x") != "1" {
			t.Errorf("the winner's status %+v, x = %q", s, g.states[candidate].get("x"))
		}
		if _, err := g.nodes[candidate].ProposeAt(t.Context(), term, put("x", "2")); err != nil {
			t.Errorf("propose in the term that was won: %v", err)
		}
		var not *consensus.NotLeaderError
		if _, err := g.nodes[candidate].ProposeAt(t.Context(), term-1, put("x", "3")); !errors.As(err, &not) {
			t.Errorf("propose in another term: %v", err)
		}
		mu.Lock()
		veto = "its life is proven"
		mu.Unlock()
		if _, err := g.nodes[candidate].Campaign(t.Context(), []byte("mymaster")); !errors.Is(err, consensus.ErrVetoed) {
			t.Errorf("campaign against its own veto: %v", err)
		}
		if s := g.nodes[candidate].Status(); s.Term != term || s.Role != consensus.Leader {
			t.Errorf("the veto disturbed the group: %+v", s)
		}
	})
}

func TestNode_DiskErrorIsFatalAndAnswersEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, nil)
		leader := g.leader()
		g.disks[leader].Fail(func(op, call, _ string) error {
			if call == "sync" {
				return vfs.ErrInjected
			}
			return nil
		})
		_, err := g.nodes[leader].Propose(t.Context(), put("x", "1"))
		if err == nil {
			t.Error("a proposal succeeded on a broken disk")
		}
		<-g.nodes[leader].Done()
		if err := g.nodes[leader].Err(); !errors.Is(err, vfs.ErrInjected) {
			t.Errorf("the node stopped with %v", err)
		}
		g.nodes[leader].Stop()
		delete(g.nodes, leader)
		g.leader()
		g.put(g.other(leader), "x", "2")
	})
}

func TestNode_StopAnswersWaitingCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, nil)
		leader := g.leader()
		for _, id := range g.ids {
			if id != leader {
				g.stop(id)
			}
		}
		answers := make(chan error, 3)
		go func() { _, err := g.nodes[leader].Propose(context.Background(), put("x", "1")); answers <- err }()
		go func() { answers <- g.nodes[leader].Barrier(context.Background()) }()
		go func() { _, err := g.nodes[leader].Campaign(context.Background(), []byte("m")); answers <- err }()
		synctest.Wait()
		g.nodes[leader].Stop()
		for range 3 {
			if err := <-answers; err == nil {
				t.Error("a caller was told of success without a majority")
			}
		}
		delete(g.nodes, leader)
	})
}
