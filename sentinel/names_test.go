package sentinel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"picket/config"
	"picket/monitor"
	"picket/sentinel/lab"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// nameServer is what the agents of a test ask; it can be made to hang.
type nameServer struct {
	mu    sync.Mutex
	hosts map[string]string
	hangs bool
}

func (s *nameServer) set(host, ip string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hosts[host] = ip
}

func (s *nameServer) hang() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hangs = true
}

func (s *nameServer) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	s.mu.Lock()
	ip, known := s.hosts[host]
	hangs := s.hangs
	s.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if !known {
		return nil, errors.New("no such host")
	}
	return []netip.Addr{netip.MustParseAddr(ip)}, nil
}

// TestNames_AServerThatComesBackElsewhere: a replica that is known by its name comes back at another IP address, and is still one server; then the name server
// hangs for good, and the master is failed over as always.
func TestNames_AServerThatComesBackElsewhere(t *testing.T) {
	t.Parallel()
	l, g := newServers(t)
	names := &nameServer{hosts: map[string]string{"redis-2": "127.0.0.1"}}
	moving := g.servers[1]
	named := config.NewAddr("redis-2", moving.Addr.Port())
	configure(t, moving, "replica-announce-ip", "redis-2")
	g.lookup = names.lookup
	g.startAgents(l, func(a *Agent) {
		if a.cfg.Agent.ID == "agent-2" {
			a.cfg.Local = named
		}
	})
	only := func(context.Context) error {
		for _, p := range g.pictures() {
			m := p.Masters[0]
			i := slices.IndexFunc(m.Replicas, func(r picture.Server) bool { return r.Addr == named })
			if i < 0 || len(m.Replicas) != 2 || m.Replicas[i].State != "up" || m.Replicas[i].RunID != runID(t, moving) {
				return fmt.Errorf("%s knows %+v", p.Agent, m.Replicas)
			}
		}
		return nil
	}
	g.await("the replica is known by its name", only)
	moving.Kill()
	moved := atAddress(t, l, "127.0.0.2", moving)
	names.set("redis-2", "127.0.0.2")
	moving = moved
	g.await("it is known as before", only)

	// From here on the name server hangs. Who asks for a name that nobody knows waits; nobody else does.
	names.hang()
	asker, other := g.members[0].running(), g.members[0].running()
	asked := make(chan bool, 1)
	go func() { asked <- asker.Resolves(t.Context(), "redis-9") }() // ends within registryTimeout
	begun := time.Now()
	for range 100 {
		if p := other.Picture(); len(p.Masters[0].Replicas) != 2 {
			t.Fatalf("it shows %+v", p.Masters[0].Replicas)
		}
		other.told(named)
	}
	if took := time.Since(begun); took > registryTimeout/2 {
		t.Errorf("answers took %s", took)
	}
	g.servers[0].Kill()
	g.await("the master is failed over", func(context.Context) error {
		for _, p := range g.pictures() {
			if m := p.Masters[0]; m.Server.Addr == g.servers[0].Addr || m.Server.State != "up" {
				return fmt.Errorf("%s says %s", p.Agent, m.Server.Addr)
			}
		}
		return nil
	})
	if <-asked {
		t.Error("a name was found that nobody knows")
	}
}

// configure sets something on a server, before its link to the master is made anew.
func configure(t *testing.T, r *lab.Redis, settings ...string) {
	t.Helper()
	client := r.Client()
	defer client.Close()
	for pair := range slices.Chunk(settings, 2) {
		if err := client.ConfigSet(t.Context(), pair[0], pair[1]).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(client.ConfigRewrite(t.Context()).Err(), client.Do(t.Context(), "CLIENT", "KILL", "TYPE", "master").Err()); err != nil {
		t.Fatal(err)
	}
}

func runID(t *testing.T, r *lab.Redis) string {
	t.Helper()
	info, err := r.Info(t.Context(), "server")
	if err != nil {
		return err.Error()
	}
	return info["run_id"]
}

// atAddress starts a server with another one's port and settings at another IP address.
func atAddress(t *testing.T, l *lab.Lab, ip string, like *lab.Redis) *lab.Redis {
	t.Helper()
	r, err := l.MoveRedis(like, ip)
	if err != nil {
		t.Skipf("no server can run at %s: %v", ip, err)
	}
	return r
}

// TestMoved_AReplicaThatChangesItsAddress: the same process under another address takes the place of the old one, and is counted once.
func TestMoved_AReplicaThatChangesItsAddress(t *testing.T) {
	t.Parallel()
	g := newGroup(t, nil)
	moving := g.servers[1]
	to := config.NewAddr("127.0.0.2", moving.Addr.Port())
	if err := bindAlso(t, moving, "127.0.0.2"); err != nil {
		t.Skipf("no server can listen at 127.0.0.2: %v", err)
	}
	configure(t, moving, "replica-announce-ip", "127.0.0.2")
	g.await("it is known by the new address only", func(context.Context) error {
		for _, p := range g.pictures() {
			m := p.Masters[0]
			var known []config.Addr
			for _, r := range m.Replicas {
				known = append(known, r.Addr)
			}
			want := []config.Addr{to, g.servers[2].Addr}
			slices.Sort(known)
			slices.Sort(want)
			if !slices.Equal(known, want) || len(m.Processes) != 3 {
				return fmt.Errorf("%s knows %v and counts %v", p.Agent, known, m.Processes)
			}
		}
		return nil
	})
	moves := 0
	for _, e := range g.pictures()[0].Events {
		if e.Type == state.ReplicaMoved {
			moves++
		}
	}
	if moves != 1 {
		t.Errorf("it has moved %d times", moves)
	}
}

func bindAlso(t *testing.T, r *lab.Redis, ip string) error {
	t.Helper()
	client := r.Client()
	defer client.Close()
	return client.ConfigSet(t.Context(), "bind", r.Addr.Host()+" "+ip).Err()
}

// TestNAT: replicas that are reached at another port than the one at which they listen are known by what they announce; the agents beside them find them although they know them
// otherwise, and one of them becomes the master under its announced address.
func TestNAT(t *testing.T) {
	t.Parallel()
	l, g := newServers(t)
	outside := map[config.Addr]config.Addr{} // of the servers
	for _, r := range g.servers[1:] {
		outside[r.Addr] = forward(t, r.Addr)
		configure(t, r, "replica-announce-ip", "127.0.0.1", "replica-announce-port", fmt.Sprint(outside[r.Addr].Port()))
	}
	g.startAgents(l, nil)
	a, b := g.servers[1], g.servers[2]
	g.knows([]config.Addr{outside[a.Addr], outside[b.Addr]}, []config.Addr{outside[a.Addr], outside[b.Addr]})
	g.servers[0].Kill()
	to := g.newMaster(g.servers[0].Addr)
	if to != outside[a.Addr] && to != outside[b.Addr] {
		t.Errorf("the master is %s", to)
	}
	g.await("the agent beside it holds the lease", func(context.Context) error {
		for _, p := range g.pictures() {
			if p.Lease != nil && p.Lease.Server == to && !p.Lease.Until.IsZero() {
				return nil
			}
		}
		return errors.New("none does")
	})
}

// forward has a port of its own lead to a server.
func forward(t *testing.T, to config.Addr) config.Addr {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	open.Go(func() { // ends with the listener
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			open.Go(func() { pass(ctx, in, to) }) // ends with either side, or the test
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		open.Wait()
	})
	return config.Addr(listener.Addr().String())
}

// pass copies between a connection and a server until one of them ends it.
func pass(ctx context.Context, in net.Conn, to config.Addr) {
	defer in.Close()
	out, err := net.Dial("tcp", string(to))
	if err != nil {
		return
	}
	defer out.Close()
	defer context.AfterFunc(ctx, func() { _ = errors.Join(in.Close(), out.Close()) })()
	done := make(chan struct{})
	go func() { // ends with the other direction
		defer close(done)
		_, _ = io.Copy(out, in)
		_ = out.Close()
	}()
	_, _ = io.Copy(in, out)
	_ = in.Close()
	<-done
}

// TestSuccessor: which of two addresses of one process is dropped.
func TestSuccessor(t *testing.T) {
	now := monitor.View{}.Now
	server := func(a config.Addr, s monitor.State, runID string) monitor.Server {
		return monitor.Server{Addr: a, State: s, Since: now, Last: &monitor.Observation{Server: a, RunID: runID, Role: "slave"}}
	}
	m := &state.Master{Name: "m", Addr: "10.0.0.1:1", Replicas: []config.Addr{"10.0.0.2:1", "10.0.0.3:1", "redis-4:6379"}}
	master := server("10.0.0.1:1", monitor.Up, "one")
	master.Last.Role = "master"
	for _, tc := range []struct {
		name       string
		listed     []config.Addr
		two, three monitor.Server
		four       monitor.Server
		moves      string
	}{
		{name: "another process", listed: []config.Addr{"10.0.0.3:1"}, two: server("10.0.0.2:1", monitor.Down, "two"), three: server("10.0.0.3:1", monitor.Up, "three")},
		{name: "the same", listed: []config.Addr{"10.0.0.3:1"}, two: server("10.0.0.2:1", monitor.Down, "two"), three: server("10.0.0.3:1", monitor.Up, "two"), moves: "10.0.0.2:1 10.0.0.3:1"},
		{name: "both are up", listed: []config.Addr{"10.0.0.3:1"}, two: server("10.0.0.2:1", monitor.Up, "two"), three: server("10.0.0.3:1", monitor.Up, "two"), moves: "10.0.0.2:1 10.0.0.3:1"},
		{name: "both are listed", listed: []config.Addr{"10.0.0.2:1", "10.0.0.3:1"}, two: server("10.0.0.2:1", monitor.Up, "two"), three: server("10.0.0.3:1", monitor.Up, "two")},
		{name: "none is listed", two: server("10.0.0.2:1", monitor.Up, "two"), three: server("10.0.0.3:1", monitor.Up, "two")},
		{name: "not looked at yet", listed: []config.Addr{"10.0.0.3:1"}, two: server("10.0.0.2:1", monitor.Unknown, "two"), three: server("10.0.0.3:1", monitor.Up, "two")},
		{name: "the master itself", listed: []config.Addr{"10.0.0.3:1"}, two: server("10.0.0.2:1", monitor.Up, "one"), three: server("10.0.0.3:1", monitor.Up, "three"), moves: "10.0.0.2:1 10.0.0.1:1"},
		{name: "a name that has just gone", listed: []config.Addr{"10.0.0.3:1"}, three: server("10.0.0.3:1", monitor.Up, "four"), four: server("redis-4:6379", monitor.Down, "four")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			seen := *master.Last
			for _, a := range tc.listed {
				seen.Replicas = append(seen.Replicas, monitor.Attached{Server: a, State: "online"})
			}
			master := master
			master.Last = &seen
			view := monitor.View{Now: now, Servers: map[config.Addr]monitor.Server{"10.0.0.1:1": master, "10.0.0.2:1": tc.two, "10.0.0.3:1": tc.three, "redis-4:6379": tc.four}}
			got := ""
			for _, c := range moved(m, view) {
				got += fmt.Sprintf("%s %s", c.Move.From, c.Move.To)
			}
			if got != tc.moves {
				t.Errorf("got %q, want %q", got, tc.moves)
			}
		})
	}
}

// TestResolves_FewAtATime: clients who ask for names while the name server hangs leave lookups to the servers that are watched.
func TestResolves_FewAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		lookup := func(ctx context.Context, _ string) ([]netip.Addr, error) {
			asked.Add(1)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		a := &Agent{
			cfg: &config.Config{ResolveHostnames: true}, names: monitor.NewNames(monitor.NamesConfig{Lookup: lookup}), asking: make(chan struct{}, maxAsking),
		}
		defer a.names.Close()
		var clients sync.WaitGroup
		for i := range 10 * maxAsking {
			clients.Go(func() { // ends within registryTimeout
				if a.Resolves(t.Context(), fmt.Sprintf("host-%d", i)) {
					t.Errorf("host-%d is found", i)
				}
			})
		}
		synctest.Wait()
		if got := asked.Load(); got != maxAsking {
			t.Errorf("%d lookups, want %d", got, maxAsking)
		}
		if !a.Resolves(t.Context(), "10.0.0.1") {
			t.Error("an address waits for names")
		}
		clients.Wait()
	})
}

// TestPreferring: the server that a master prefers may be written by its name or its IP address, whatever the group knows it by.
func TestPreferring(t *testing.T) {
	names := &nameServer{hosts: map[string]string{"redis-2": "10.0.0.2"}}
	a := &Agent{cfg: &config.Config{ResolveHostnames: true}, names: monitor.NewNames(monitor.NamesConfig{Lookup: names.lookup})}
	defer a.names.Close()
	a.names.Know([]config.Addr{"10.0.0.1:6379", "redis-2:6379"})
	if _, err := a.names.Resolve(t.Context(), "redis-2"); err != nil {
		t.Fatal(err)
	}
	for written, want := range map[config.Addr]config.Addr{"10.0.0.2:6379": "redis-2:6379", "redis-2:6379": "redis-2:6379", "10.0.0.1:6379": "10.0.0.1:6379", "": ""} {
		settings := &config.Master{Name: master, PreferServer: written}
		if got := a.preferring(settings); got.PreferServer != want || got.Name != master || settings.PreferServer != written {
			t.Errorf("%s: prefers %s, want %s", written, got.PreferServer, want)
		}
	}
}
