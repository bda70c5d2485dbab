package acceptance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"picket/config"
	"picket/config/sentinelconf"
	"picket/sentinel/lab"
)

// successor is a Picket agent where a Redis Sentinel was: the same file, and the same command line.
type successor struct {
	*lab.Process
	conf, dir      string
	sentinel, peer config.Addr
	client         *redis.Client
}

// successors start from Debian's own sentinel.conf by the command line of Debian's unit; only the places are those of the test.
type successors struct {
	t       *testing.T
	lab     *lab.Lab
	servers []*lab.Redis
	agents  []*successor
}

func succeed(t *testing.T) *successors {
	t.Helper()
	if _, err := lab.FindRedis(); err != nil {
		t.Skip(err)
	}
	l := lab.New(t.TempDir())
	t.Cleanup(l.Close)
	s := &successors{t: t, lab: l}
	for i := range 3 {
		options := lab.RedisOptions{}
		if i > 0 {
			options.ReplicaOf = s.servers[0].Addr
		}
		server, err := l.StartRedis(options)
		if err != nil {
			t.Fatal(err)
		}
		s.servers = append(s.servers, server)
	}
	for i := range 3 {
		s.agents = append(s.agents, &successor{dir: filepath.Join(l.Dir, fmt.Sprint("host-", i)), sentinel: s.addr(), peer: s.addr()})
	}
	for i := range s.agents {
		s.prepare(i)
	}
	return s
}

func (s *successors) addr() config.Addr {
	port, err := s.lab.Port()
	if err != nil {
		s.t.Fatal(err)
	}
	return config.NewAddr("127.0.0.1", port)
}

// prepare writes an agent's file, and makes its process.
func (s *successors) prepare(i int) {
	a := s.agents[i]
	text, err := os.ReadFile("../../config/sentinelconf/testdata/real/debian.conf")
	if err != nil {
		s.t.Fatal(err)
	}
	a.conf = filepath.Join(a.dir, "etc", "sentinel.conf")
	for _, dir := range []string{"etc", "lib", "log", "run"} {
		if err := os.MkdirAll(filepath.Join(a.dir, dir), 0o700); err != nil {
			s.t.Fatal(err)
		}
	}
	local := strings.NewReplacer(
		"\nport 26379\n", fmt.Sprintf("\nport %d\n", a.sentinel.Port()), "mymaster 127.0.0.1 6379", fmt.Sprint("mymaster 127.0.0.1 ", s.servers[0].Addr.Port()),
		"/var/lib/redis", a.dir+"/lib", "/var/log/redis", a.dir+"/log", "/run/sentinel", a.dir+"/run",
	).Replace(string(text))
	if err := os.WriteFile(a.conf, []byte(local), 0o600); err != nil {
		s.t.Fatal(err)
	}
	program := filepath.Join(a.dir, "redis-sentinel")
	if err := os.Symlink(binary, program); err != nil {
		s.t.Fatal(err)
	}
	peers := make([]string, len(s.agents))
	for i, a := range s.agents {
		peers[i] = fmt.Sprintf("host-%d=%s", i, a.peer)
	}
	a.Process = s.lab.Command(fmt.Sprint("agent-", i), "env", "PICKET_CLUSTER_PEERS="+strings.Join(peers, ","), fmt.Sprint("PICKET_AGENT_ID=host-", i),
		"PICKET_LOCAL="+string(s.servers[i].Addr), "PICKET_LISTEN_HTTP="+string(s.addr()), "PICKET_CONFIG_REWRITE=sentinel", "NOTIFY_SOCKET="+a.dir+"/notify",
		program, a.conf, "--supervised", "systemd", "--daemonize", "no")
	a.client = redis.NewClient(&redis.Options{Addr: string(a.sentinel), MaxRetries: -1, DisableIdentity: true, Protocol: 2})
	s.t.Cleanup(func() { _ = a.client.Close() })
}

// start starts an agent, and waits until systemd is told that it is ready.
func (s *successors) start(a *successor) {
	s.t.Helper()
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: a.dir + "/notify", Net: "unixgram"})
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = errors.Join(notify.Close(), os.Remove(a.dir+"/notify")) }()
	if err := a.Start(); err != nil {
		s.t.Fatal(err)
	}
	said := make([]byte, 100)
	if err := notify.SetReadDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	if n, err := notify.Read(said); err != nil || string(said[:n]) != "READY=1" {
		s.t.Fatalf("%s tells systemd %q, %v\n%s", a.Name, said[:n], err, s.logs(a))
	}
}

func (s *successors) logs(a *successor) string {
	text, _ := os.ReadFile(filepath.Join(a.dir, "log", "redis-sentinel.log")) // none: it says so itself
	early, _ := os.ReadFile(a.Log)
	return string(text) + string(early)
}

// await waits for something to be so of every agent.
func (s *successors) await(what string, condition func(context.Context, *successor) error) {
	s.t.Helper()
	for _, a := range s.agents {
		if err := lab.Await(patience, a.Name+": "+what, func(ctx context.Context) error { return condition(ctx, a) }); err != nil {
			s.t.Fatalf("%v\n%s", err, s.logs(a))
		}
	}
}

// names gives the master that an agent names.
func (a *successor) names(ctx context.Context) (config.Addr, error) {
	addr, err := a.client.Do(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", lab.MasterName).StringSlice()
	if err != nil || len(addr) != 2 {
		return "", fmt.Errorf("got %q, %w", addr, err)
	}
	return config.Addr(addr[0] + ":" + addr[1]), nil
}

// holds says whether an agent's file has a line.
func (a *successor) holds(line string) error {
	text, err := os.ReadFile(a.conf)
	if err == nil && !strings.Contains(string(text), "\n"+line+"\n") {
		err = fmt.Errorf("%q is not in\n%s", line, text)
	}
	return err
}

// TestSentinelConf_OneBinaryIsChangedAndNothingElse fails over from Debian's own sentinel.conf, has it kept as Sentinel would, and goes back to Redis
// Sentinel from there.
func TestSentinelConf_OneBinaryIsChangedAndNothingElse(t *testing.T) {
	t.Parallel()
	s := succeed(t)
	for _, a := range s.agents {
		s.start(a)
	}
	s.await("the whole group is known", func(ctx context.Context, a *successor) error {
		m, err := a.master(ctx)
		if err != nil || m["num-slaves"] != "2" || m["num-other-sentinels"] != "2" || m["flags"] != "master" {
			return fmt.Errorf("got %v, %w", m, err)
		}
		return nil
	})
	for _, a := range s.agents {
		if pid, err := os.ReadFile(a.dir + "/run/redis-sentinel.pid"); err != nil || string(pid) != fmt.Sprintln(a.Pid()) {
			t.Errorf("the PID file of %s holds %q, %v; want %d", a.Name, pid, err, a.Pid())
		}
		if log := s.logs(a); !strings.Contains(log, "sentinel.conf:15: daemonize: has no effect") || strings.Contains(log, "\x1b[") {
			t.Errorf("%s logs\n%s", a.Name, log)
		}
	}

	old := s.servers[0]
	old.Kill()
	s.await("another master is named, and written down", func(ctx context.Context, a *successor) error {
		next, err := a.names(ctx)
		if err != nil || next == old.Addr {
			return fmt.Errorf("%s is named, %w", next, err)
		}
		return errors.Join(a.holds(fmt.Sprintf("sentinel monitor mymaster 127.0.0.1 %d 2", next.Port())),
			a.holds(fmt.Sprintf("sentinel known-replica mymaster 127.0.0.1 %d", old.Addr.Port())))
	})
	first := s.agents[0]
	if err := first.client.Do(t.Context(), "SENTINEL", "SET", lab.MasterName, "auth-pass", `two "words"`, "failover-timeout", "70000").Err(); err != nil {
		t.Fatal(err)
	}
	s.await("what was set is written down", func(_ context.Context, a *successor) error {
		return a.holds("sentinel failover-timeout mymaster 70000")
	})
	if err := lab.Await(patience, "the password is written down", func(context.Context) error {
		return first.holds(`sentinel auth-pass mymaster "two \"words\""`)
	}); err != nil {
		t.Error(err)
	}

	next, err := first.names(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Stop(patience); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(first.dir + "/run/redis-sentinel.pid"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the PID file stays: %v", err)
	}
	s.backToSentinel(first, next)
	s.start(first)
	s.await("the same master is named", func(ctx context.Context, a *successor) error {
		if again, err := a.names(ctx); err != nil || again != next {
			return fmt.Errorf("%s is named, %w", again, err)
		}
		return nil
	})
}

func (a *successor) master(ctx context.Context) (map[string]string, error) {
	fields, err := a.client.Do(ctx, "SENTINEL", "MASTER", lab.MasterName).StringSlice()
	m := map[string]string{}
	for i := 0; i+1 < len(fields); i += 2 {
		m[fields[i]] = fields[i+1]
	}
	return m, err
}

// backToSentinel has Redis Sentinel read a copy of what an agent wrote.
func (s *successors) backToSentinel(a *successor, master config.Addr) {
	s.t.Helper()
	if _, err := sentinelconf.Read(sentinelconf.Source{File: a.conf}); err != nil {
		s.t.Error(err)
	}
	program, err := exec.LookPath("redis-sentinel")
	if err != nil {
		s.t.Log("redis-sentinel is not installed: it is not asked to read the file")
		return
	}
	text, err := os.ReadFile(a.conf)
	if err != nil {
		s.t.Fatal(err)
	}
	conf := a.conf + ".copy"
	if err := os.WriteFile(conf, text, 0o600); err != nil {
		s.t.Fatal(err)
	}
	p := s.lab.Command("redis-sentinel", program, conf, "--daemonize", "no", "--logfile", "")
	if err := p.Start(); err != nil {
		s.t.Fatal(err)
	}
	defer p.Kill()
	if err := lab.Await(patience, "Redis Sentinel names the master", func(ctx context.Context) error {
		m, err := a.master(ctx)
		if err != nil || m["port"] != fmt.Sprint(master.Port()) || m["num-slaves"] != "2" || m["failover-timeout"] != "70000" {
			return fmt.Errorf("got %v, %w", m, err)
		}
		return nil
	}); err != nil {
		text, _ := os.ReadFile(p.Log)
		s.t.Errorf("%v\n%s", err, text)
	}
}

// TestSentinelConf_TheMasterIsDownAtTheFirstStart leaves the replicas to the lines that Redis Sentinel had written: the master can't be asked for them any more.
func TestSentinelConf_TheMasterIsDownAtTheFirstStart(t *testing.T) {
	t.Parallel()
	s := succeed(t)
	old := s.servers[0]
	if err := lab.Await(patience, "the replicas follow", func(ctx context.Context) error { return lab.Replicated(ctx, s.servers, old.Addr) }); err != nil {
		t.Fatal(err)
	}
	old.Kill()
	for _, a := range s.agents {
		file, err := os.OpenFile(a.conf, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, replica := range s.servers[1:] {
			fmt.Fprintf(file, "sentinel known-replica mymaster 127.0.0.1 %d\n", replica.Addr.Port())
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		s.start(a)
	}
	s.await("a replica is the master", func(ctx context.Context, a *successor) error {
		if next, err := a.names(ctx); err != nil || next == old.Addr {
			return fmt.Errorf("%s is named, %w", next, err)
		}
		return nil
	})
	next, err := s.agents[0].names(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := lab.Await(patience, "the other replica follows", func(ctx context.Context) error { return lab.Replicated(ctx, s.servers, next) }); err != nil {
		t.Errorf("%v\n%s", err, s.logs(s.agents[0]))
	}
}

// TestSentinelConf_SaysWhichLineIsMissing starts from a file without naming the agents.
func TestSentinelConf_SaysWhichLineIsMissing(t *testing.T) {
	t.Parallel()
	const file = "../../config/sentinelconf/testdata/real/rewritten.conf"
	out := picket(t, 2, "run", "--config", "", "--sentinel-conf", file)
	const line = "PICKET_CLUSTER_PEERS=10.0.0.2=10.0.0.2:26380,10.0.0.3=10.0.0.3:26380,10.0.0.1=10.0.0.1:26380"
	if !strings.Contains(out, "agents: is missing") || !strings.Contains(out, line) {
		t.Errorf("got %s", out)
	}
	_, peers, _ := strings.Cut(line, "=")
	out = picket(t, 0, "config", "check", "--sentinel-conf", file, "--cluster-peers", peers, "--sentinel", "down-after-milliseconds", "shop", "2000")
	if !strings.Contains(out, "valid; agent 10.0.0.2 of 3, 1 masters") {
		t.Errorf("got %s", out)
	}
	out = picket(t, 2, "config", "check", "--sentinel-conf", file, "--cluster-peers", peers, "--sentinel", "down-after-milliseconds", "shop", "2s", "--prot", "1")
	for _, want := range []string{`--sentinel: sentinel down-after-milliseconds: got "2s"`, "--prot: prot: Sentinel knows no such directive; did you mean port?"} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is missing in %s", want, out)
		}
	}
}
