package sentinel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"picket/config"
	"picket/monitor"
	"picket/sentinel/lab"
	"picket/sentinel/picture"
)

func TestMain(m *testing.M) {
	zerolog.TimeFieldFormat = "15:04:05.000"
	// go-redis ends this goroutine within a second after its pool was closed, which is longer than goleak waits.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

const (
	master   = "cache"
	patience = 20 * time.Second // bounds every wait: the machine may be busy
)

// group is three real redis-servers and three agents in this process. It may have a second master, with one replica.
type group struct {
	t       *testing.T
	servers []*lab.Redis
	second  []*lab.Redis
	members []*member
	// cooldown after a failover; zero: the next one may come at once.
	cooldown time.Duration
	lease    time.Duration  // zero: the usual one, which an agent that gets no time for a while may lose
	mode     string         // of the agents
	lookup   monitor.Lookup // of the agents; nil: the machine's
}

// member is an agent that can be crashed and started again on the same data.
type member struct {
	t      *testing.T
	cfg    config.Config
	log    lockedBuffer
	lookup monitor.Lookup
	adjust func(*Agent) // before Run

	mu    sync.Mutex
	agent *Agent // nil: not running
	crash context.CancelFunc
	done  chan error
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// newGroup starts the servers, the first as the master, and three agents, and waits until all is settled.
func newGroup(t *testing.T, adjust func(*Agent)) *group {
	t.Helper()
	l, g := newServers(t)
	g.startAgents(l, adjust)
	return g
}

func newServers(t *testing.T) (*lab.Lab, *group) {
	t.Helper()
	if _, err := lab.FindRedis(); err != nil {
		t.Skip(err)
	}
	l := lab.New(t.TempDir())
	t.Cleanup(l.Close)
	g := &group{t: t}
	g.servers = g.replicated(l, 3)
	return l, g
}

// replicated starts a master and its replicas, all with the same piece of data.
func (g *group) replicated(l *lab.Lab, n int) []*lab.Redis {
	g.t.Helper()
	var servers []*lab.Redis
	for range n {
		var opts lab.RedisOptions
		if len(servers) > 0 {
			opts.ReplicaOf = servers[0].Addr
		}
		r, err := l.StartRedis(opts)
		if err != nil {
			g.t.Fatal(err)
		}
		servers = append(servers, r)
	}
	client := servers[0].Client()
	defer client.Close()
	if err := client.Set(g.t.Context(), "some", "data", 0).Err(); err != nil {
		g.t.Fatal(err)
	}
	for _, r := range servers[1:] {
		g.await(r.Name+" has the data", func(ctx context.Context) error {
			copied := r.Client()
			defer copied.Close()
			return copied.Get(ctx, "some").Err()
		})
	}
	return servers
}

func (g *group) startAgents(l *lab.Lab, adjust func(*Agent)) {
	t := g.t
	t.Helper()
	masters := []config.Master{settings(master, g.servers[0].Addr)}
	masters[0].Cooldown = g.cooldown
	if g.lease > 0 {
		masters[0].Lease, masters[0].DownAfter = g.lease, 3*g.lease
	}
	if len(g.second) > 0 {
		masters = append(masters, settings("second", g.second[0].Addr))
	}
	var peers []config.Peer
	for i := range 3 {
		peers = append(peers, config.Peer{ID: fmt.Sprintf("agent-%d", i+1), Address: freeAddr(t, l)})
	}
	for i, p := range peers {
		g.members = append(g.members, &member{t: t, adjust: adjust, lookup: g.lookup, cfg: config.Config{
			Cluster: "test", Mode: g.mode, ResolveHostnames: true, Announce: config.Announce{Hostnames: true}, Agents: peers, Local: g.servers[i].Addr,
			Agent:   config.Agent{ID: p.ID, DataDir: filepath.Join(l.Dir, p.ID), ElectionTimeout: 300 * time.Millisecond},
			Listen:  config.Listen{Sentinel: freeAddr(t, l), Peers: p.Address},
			Masters: masters,
		}})
	}
	t.Cleanup(func() {
		for _, m := range g.members {
			m.stop()
			if t.Failed() {
				t.Logf("%s:\n%s", m.cfg.Agent.ID, m.log.String())
			}
		}
	})
	for _, m := range g.members {
		m.start()
	}
	g.await("all agents know whether they are alone", func(context.Context) error {
		for _, p := range g.pictures() {
			if p.Listening {
				return fmt.Errorf("%s still listens for other coordinators", p.Agent)
			}
		}
		return nil
	})
	g.settle(g.servers[0].Addr)
}

// settings are of a master that may fail over again at once.
func settings(name string, addr config.Addr) config.Master {
	m := config.DefaultMaster()
	m.Name, m.Address, m.Quorum, m.FailoverTimeout, m.Cooldown = name, addr, 2, 5*time.Second, 0
	return m
}

func freeAddr(t *testing.T, l *lab.Lab) config.Addr {
	t.Helper()
	port, err := l.Port()
	if err != nil {
		t.Fatal(err)
	}
	return config.NewAddr("127.0.0.1", port)
}

func (m *member) start() {
	m.t.Helper()
	cfg := m.cfg
	cfg.Masters = slices.Clone(cfg.Masters) // adjust may change them
	agent, err := New(&cfg, Host{Lookup: m.lookup}, zerolog.New(&m.log).Level(zerolog.DebugLevel).With().Timestamp().Logger(), "test")
	if err != nil {
		m.t.Fatal(err)
	}
	if m.adjust != nil {
		m.adjust(agent)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	m.mu.Lock()
	m.agent, m.crash, m.done = agent, cancel, done
	m.mu.Unlock()
	go func() { done <- agent.Run(ctx) }() // ends with crash, and is waited for by stop
	if err := lab.Await(patience, m.cfg.Agent.ID+" runs", func(context.Context) error {
		select {
		case err := <-done:
			done <- err
			return fmt.Errorf("it has ended: %v", err)
		default:
		}
		if !agent.Alive() {
			return errors.New("it does not run yet")
		}
		return nil
	}); err != nil {
		m.t.Fatal(err)
	}
}

// stop ends the agent, without any hand-over, and waits until it has.
func (m *member) stop() {
	m.mu.Lock()
	agent := m.agent
	m.agent = nil
	m.mu.Unlock()
	if agent == nil {
		return
	}
	agent.node.Stop()
	m.crash()
	if err := <-m.done; err != nil {
		m.t.Errorf("%s: %v", m.cfg.Agent.ID, err)
	}
}

// running gives the agent, nil if it does not run.
func (m *member) running() *Agent {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.agent
}

func (g *group) await(what string, condition func(context.Context) error) {
	g.t.Helper()
	if err := lab.Await(patience, what, condition); err != nil {
		g.t.Fatal(err)
	}
}

// pictures are what the running agents know.
func (g *group) pictures() []picture.Picture {
	var all []picture.Picture
	for _, m := range g.members {
		if a := m.running(); a != nil {
			all = append(all, a.Picture())
		}
	}
	return all
}

// settle waits for one consistent topology under the given master: every agent knows it and the same leader and epoch, no failover runs,
// and every other running server follows it.
func (g *group) settle(want config.Addr) {
	g.t.Helper()
	g.await("all is settled on "+string(want), func(ctx context.Context) error {
		pictures := g.pictures()
		for _, p := range pictures {
			if len(p.Masters) == 0 {
				return fmt.Errorf("%s knows %d masters", p.Agent, len(p.Masters))
			}
			switch m, first := p.Masters[0], pictures[0]; {
			case m.Server.Addr != want || m.Server.State != "up":
				return fmt.Errorf("%s: master %s is %s", p.Agent, m.Server.Addr, m.Server.State)
			case m.Failover != nil:
				return fmt.Errorf("%s: failover %d runs, in phase %d", p.Agent, m.Failover.ID, m.Failover.Phase)
			case len(m.Replicas) != len(g.servers)-1:
				return fmt.Errorf("%s knows %d replicas", p.Agent, len(m.Replicas))
			case p.Leader == "" || p.Leader != first.Leader || p.Epoch != first.Epoch || m.Epoch != first.Masters[0].Epoch:
				return fmt.Errorf("%s is in epoch %d/%d under %q, %s in %d/%d under %q", p.Agent, p.Epoch, m.Epoch, p.Leader,
					first.Agent, first.Epoch, first.Masters[0].Epoch, first.Leader)
			}
		}
		for _, r := range g.servers {
			if r.Addr != want && r.Running() {
				if err := r.Follows(ctx, want); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// newMaster waits until all running agents name the same master, which is not the old one.
func (g *group) newMaster(old config.Addr) config.Addr {
	g.t.Helper()
	var found config.Addr
	g.await("a new master is named", func(context.Context) error {
		found = ""
		for _, p := range g.pictures() {
			if len(p.Masters) == 0 {
				return fmt.Errorf("%s knows no master yet", p.Agent)
			}
			got := p.Masters[0].Server.Addr
			if got == old || found != "" && got != found {
				return fmt.Errorf("%s names %s, another agent %q", p.Agent, got, found)
			}
			found = got
		}
		if found == "" {
			return errors.New("no agent runs")
		}
		return nil
	})
	return found
}

// stays fails the test when within d an agent names another master.
func (g *group) stays(want config.Addr, d time.Duration) {
	g.t.Helper()
	end := time.NewTimer(d)
	defer end.Stop()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		select {
		case <-end.C:
			return
		case <-poll.C:
		}
		for _, p := range g.pictures() {
			if got := p.Masters[0].Server.Addr; got != want {
				g.t.Fatalf("%s names %s, want %s to stay the master", p.Agent, got, want)
			}
		}
	}
}

func (g *group) server(a config.Addr) *lab.Redis {
	for _, r := range g.servers {
		if r.Addr == a {
			return r
		}
	}
	g.t.Fatalf("no server %s", a)
	return nil
}

func (g *group) leader() *member {
	g.t.Helper()
	var found *member
	g.await("there is a leader", func(context.Context) error {
		for _, m := range g.members {
			if a := m.running(); a != nil && a.Picture().Role == "leader" {
				found = m
				return nil
			}
		}
		return errors.New("none leads")
	})
	return found
}

func (g *group) restart(r *lab.Redis) {
	g.t.Helper()
	if err := r.Start(); err != nil {
		g.t.Fatal(err)
	}
}
