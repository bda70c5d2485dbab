package resp

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/picture"
	"picket/sentinel/script"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait: the machine may be busy.
const patience = 20 * time.Second

// fake is an agent with a picture that the test chooses.
type fake struct {
	registry
	picture  atomic.Pointer[picture.Picture]
	failover func(ctx context.Context, master string) error
	scripts  []script.Pending
	shutdown func(hurried bool)
}

func (f *fake) Picture() picture.Picture { return *f.picture.Load() }

func (f *fake) Failover(ctx context.Context, master string) error { return f.failover(ctx, master) }

func (f *fake) Shutdown(hurried bool) { f.shutdown(hurried) }

func (f *fake) Scripts() []script.Pending { return f.scripts }

// newFake is an agent for which SENTINEL FAILOVER ends as the name of the master says.
func newFake(p picture.Picture) *fake {
	f := &fake{failover: func(_ context.Context, master string) error {
		return map[string]error{
			"unknown": picture.ErrUnknownMaster,
			"running": fmt.Errorf("begin: %w", picture.ErrInProgress),
			"alone":   picture.ErrNoReplica,
			"cut-off": fmt.Errorf("%w (2 of 3 are silent)", picture.ErrNoMajority),
			"broken":  io.ErrUnexpectedEOF,
		}[master]
	}}
	f.picture.Store(&p)
	return f
}

// someUsers are one who may do all, and the default one, who may only PING.
var someUsers = []config.Secret{"alice on >wonderland +@all &*", "default on nopass +ping"}

// someScripts are one that runs, one that is tried again, and one that is new.
var someScripts = []script.Pending{
	{Argv: []string{"/notify", "+sdown", "two words"}, Running: true, PID: 4321, For: 1500 * time.Millisecond, Attempts: 1},
	{Argv: []string{"/reconfigure"}, For: time.Minute, Attempts: 2}, {Argv: []string{"/notify", "-sdown"}},
}

// newTestServer is one without a port.
func newTestServer(t testing.TB, cfg Config) *Server {
	t.Helper()
	if cfg.Backend == nil {
		cfg.Backend = newFake(healthy())
	}
	s, err := newServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.listeners = []net.Listener{closedListener{}}
	return s
}

// closedListener has an address, and nothing else.
type closedListener struct{ net.Listener }

func (closedListener) Addr() net.Addr { return &net.TCPAddr{Port: 1} }

// start serves on a free port until the test ends.
func start(t testing.TB, cfg Config) *Server {
	t.Helper()
	cfg.Addr = "127.0.0.1:0"
	if cfg.Backend == nil {
		cfg.Backend = newFake(healthy())
	}
	s, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// exchange sends text on a connection of its own and returns all that comes until the server ends it.
func exchange(t testing.TB, addr, text string) string {
	t.Helper()
	conn := dial(t, addr)
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("after %q: %v", all, err)
	}
	return string(all)
}

// expect reads exactly what is wanted.
func expect(t testing.TB, conn net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(conn, got)
	if err != nil || string(got) != want {
		t.Fatalf("got %q (%v), want %q", got[:n], err, want)
	}
}

func send(t testing.TB, conn net.Conn, lines ...string) {
	t.Helper()
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n"); err != nil {
		t.Fatal(err)
	}
}

// now is when the fixed pictures are taken.
var now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func ago(ms int) time.Time { return now.Add(-time.Duration(ms) * time.Millisecond) }

func runID(digit string) string { return strings.Repeat(digit, 40) }

func settings(name string) *config.Master {
	return &config.Master{Name: name, DownAfter: 5 * time.Second, FailoverTimeout: 60 * time.Second, ParallelSyncs: 1}
}

// redisServer is a server that has answered for a while.
func redisServer(addr config.Addr, digit, role string) picture.Server {
	last := &monitor.Observation{
		Server: addr, At: ago(400), RunID: runID(digit), Role: role, Offset: 1000, LinkUp: role == "slave", Priority: 100,
	}
	return picture.Server{
		Addr: addr, RunID: last.RunID, State: "up", Last: last,
		Watch: monitor.Server{
			Addr: addr, State: monitor.Up, Since: ago(90_000), Connected: true, Last: last,
			LastOK: ago(120), LastReply: ago(110), RoleSince: ago(80_000), DownAfter: 5 * time.Second,
		},
	}
}

func replicaOf(master, addr config.Addr, digit string) picture.Server {
	r := redisServer(addr, digit, "slave")
	r.Last.Master = master
	return r
}

// healthy is a picture of one quiet master.
func healthy() picture.Picture {
	hidden := replicaOf("10.0.0.1:6379", "10.0.0.3:6379", "3")
	hidden.Last.Unlisted = true
	return picture.Picture{
		At: now, Version: "v1", Cluster: "test", Agent: "a", Epoch: 7, Role: "follower", Leader: "b", Majority: true,
		Masters: []picture.Master{{
			Name: "cache", Epoch: 4, Settings: settings("cache"), Quorum: 2, Server: redisServer("10.0.0.1:6379", "1", "master"),
			Replicas: []picture.Server{replicaOf("10.0.0.1:6379", "10.0.0.2:6379", "2"), hidden},
		}},
		Agents: []picture.Agent{
			{ID: "a", MyID: picture.MyID("test", "a"), Host: "10.0.1.1", SentinelPort: 26379, Self: true, Up: true},
			{ID: "b", MyID: picture.MyID("test", "b"), Host: "10.0.1.2", SentinelPort: 26379, Up: true, Heard: 300 * time.Millisecond},
			{ID: "c", MyID: picture.MyID("test", "c"), Host: "10.0.1.3", SentinelPort: 26380, Up: true, Heard: 200 * time.Millisecond},
		},
	}
}

// failing is a picture of a master that is down and of an agent that is silent.
func failing() picture.Picture {
	p := healthy()
	m := &p.Masters[0]
	m.Server.State, m.Server.Down = "down", true
	m.Server.Watch.State, m.Server.Watch.Since, m.Server.Watch.PingSent = monitor.Down, ago(1500), ago(2500)
	m.Server.Watch.Connected = false
	m.ODown, m.ODownAt = true, ago(1000)
	m.Verdict = monitor.Verdict{ObjectivelyDown: true, Quorum: 2, Down: []monitor.Opinion{{Agent: "a"}, {Agent: "b"}}}
	m.Replicas[0].Last.LinkUp, m.Replicas[0].Last.LinkDown = false, 1200*time.Millisecond
	p.Agents[2].Up, p.Agents[2].Heard = false, 9*time.Second
	return p
}

// promoting, switched: the failover of that master goes on.
func promoting() picture.Picture {
	p := failing()
	m := &p.Masters[0]
	m.Failover = &failover.Record{
		ID: 40, Master: "cache", Epoch: 8, Phase: failover.Promoting, Cause: failover.CauseDown, Old: "10.0.0.1:6379",
		Replicas: []config.Addr{"10.0.0.2:6379", "10.0.0.3:6379"}, Target: "10.0.0.2:6379",
	}
	return p
}

func switchedPicture() picture.Picture {
	p := promoting()
	m := &p.Masters[0]
	record := *m.Failover
	record.Phase, record.Cause, record.Repointed = failover.Switched, failover.CauseManual, []config.Addr{"10.0.0.4:6379"}
	fourth := replicaOf("10.0.0.2:6379", "10.0.0.4:6379", "4")
	following := m.Replicas[1]
	following.Last = &monitor.Observation{At: ago(50), Role: "slave", Master: record.Target, Priority: 10}
	m.Failover, m.Epoch = &record, 8
	m.Server, m.Replicas = redisServer(record.Target, "2", "master"), []picture.Server{m.Server, following, fourth}
	m.ODown, m.Verdict = false, monitor.Verdict{}
	return p
}

// cutOff is a picture of an agent that is alone, stalled, and has seen nothing yet. Another agent has never
// registered.
func cutOff() picture.Picture {
	p := healthy()
	p.Stalled = true
	for i := 1; i < 3; i++ {
		p.Agents[i].Up, p.Agents[i].Heard = false, -1
	}
	p.Agents[2].Host, p.Agents[2].SentinelPort = "", 0
	unseen := func(addr config.Addr) picture.Server {
		return picture.Server{Addr: addr, State: "unknown", Watch: monitor.Server{Since: ago(700), DownAfter: 5 * time.Second}}
	}
	m := &p.Masters[0]
	m.Server, m.Replicas = unseen("[fd00::1]:6379"), []picture.Server{unseen("[fd00::2]:6379")}
	second := *m
	second.Name, second.Quorum, second.Settings = "jobs", 1, settings("jobs")
	second.Server.Addr, second.Replicas = "10.0.2.1:6379", nil
	p.Masters = append(p.Masters, second)
	return p
}

var pictures = map[string]func() picture.Picture{
	"healthy": healthy, "failing": failing, "promoting": promoting, "switched": switchedPicture, "cut-off": cutOff,
	"empty": func() picture.Picture { return picture.Picture{At: now, Cluster: "test", Agent: "a"} },
}
