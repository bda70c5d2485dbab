package failover_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/lab"
)

// newServers starts a Redis and what acts on it.
func newServers(t *testing.T) (*lab.Redis, failover.Redis, *redis.Client) {
	t.Helper()
	if _, err := lab.FindRedis(); err != nil {
		t.Skip(err)
	}
	l := lab.New(t.TempDir())
	t.Cleanup(l.Close)
	r, err := l.StartRedis(lab.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	m := config.DefaultMaster()
	servers := failover.NewRedis(failover.RedisConfig{Settings: func(string) *config.Master { return &m }, Now: time.Now})
	t.Cleanup(func() { _ = servers.Close() })
	client := redis.NewClient(&redis.Options{Addr: string(r.Addr)})
	t.Cleanup(func() { _ = client.Close() })
	return r, servers, client
}

func TestFence_OnARealServer(t *testing.T) {
	r, servers, client := newServers(t)
	ctx := t.Context()
	if err := client.ConfigSet(ctx, "min-replicas-max-lag", "0").Err(); err != nil {
		t.Fatal(err)
	}
	do := func(a failover.Action) *monitor.Observation {
		t.Helper()
		a.Server = r.Addr
		o, _, err := servers.Do(ctx, "m", a)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	write := func() error { return client.Set(ctx, "k", "v", 0).Err() }
	do(failover.Action{Kind: failover.Fence})
	if err := write(); err == nil || !strings.HasPrefix(err.Error(), "NOREPLICAS") {
		t.Fatalf("a fenced server says %v to a write", err)
	}
	do(failover.Action{Kind: failover.Fence})
	do(failover.Action{Kind: failover.Unfence})
	if err := write(); err != nil {
		t.Fatalf("after the fence a write gets %v", err)
	}
	if values := client.ConfigGet(ctx, "min-replicas-*").Val(); values["min-replicas-max-lag"] != "0" || values["min-replicas-to-write"] != "0" {
		t.Errorf("the settings came back as %v", values)
	}
	// Whoever is promoted must take writes, and whoever follows must not keep a fence for later.
	do(failover.Action{Kind: failover.Promote, RunID: do(failover.Action{Kind: failover.Fence}).RunID})
	if err := write(); err != nil {
		t.Errorf("a promoted server says %v to a write", err)
	}
	do(failover.Action{Kind: failover.Fence})
	do(failover.Action{Kind: failover.Follow, Master: failover.Silent})
	if value := client.ConfigGet(ctx, "min-replicas-to-write").Val()["min-replicas-to-write"]; value != "0" {
		t.Errorf("a replica keeps %s %s", "min-replicas-to-write", value)
	}
}

// TestFence_StaysOnAServerThatRefusesItsRole: a master that may not be told whom to follow, or that can't be now, takes no writes.
func TestFence_StaysOnAServerThatRefusesItsRole(t *testing.T) {
	r, servers, client := newServers(t)
	ctx := t.Context()
	do := func(a failover.Action) (string, error) {
		a.Server = r.Addr
		o, _, err := servers.Do(ctx, "m", a)
		if err != nil {
			return "", err
		}
		return o.RunID, nil
	}
	if err := client.Do(ctx, "ACL", "SETUSER", "default", "-replicaof").Err(); err != nil {
		t.Fatal(err)
	}
	process, err := do(failover.Action{Kind: failover.Fence})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []failover.Action{{Kind: failover.Follow, Master: failover.Silent}, {Kind: failover.Promote, RunID: process}} {
		if _, err := do(a); err == nil || !strings.Contains(err.Error(), "NOPERM") {
			t.Errorf("%s: %v", a.Kind, err)
		}
	}
	if err := client.Set(ctx, "k", "v", 0).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOREPLICAS") {
		t.Errorf("a write gets %v", err)
	}
}

// TestHeldWriters: who waits while a master is handed over learns that nothing was written, and that it must go elsewhere; or, where that was given
// up, writes.
func TestHeldWriters(t *testing.T) {
	for name, c := range map[string]struct {
		then []failover.Action
		want string // what a writer is answered
	}{
		"it follows another one":     {[]failover.Action{{Kind: failover.Follow, Master: failover.Silent}}, "READONLY"},
		"it goes on":                 {[]failover.Action{{Kind: failover.Release}}, ""},
		"it goes on, and was fenced": {[]failover.Action{{Kind: failover.Fence, Quiet: true}, {Kind: failover.Unfence}}, ""},
		"it goes on, and is fenced":  {[]failover.Action{{Kind: failover.Fence, Quiet: true}, {Kind: failover.Release}}, "NOREPLICAS"},
	} {
		t.Run(name, func(t *testing.T) {
			r, servers, client := newServers(t)
			do := func(a failover.Action) {
				t.Helper()
				a.Server = r.Addr
				if _, _, err := servers.Do(t.Context(), "m", a); err != nil {
					t.Fatal(err)
				}
			}
			do(failover.Action{Kind: failover.Hold, For: time.Minute})
			writer := redis.NewClient(&redis.Options{Addr: string(r.Addr), MaxRetries: -1, ReadTimeout: 10 * time.Second})
			defer writer.Close()
			answer := make(chan error)
			go func() { answer <- writer.Set(t.Context(), "k", "v", 0).Err() }() // ends when the server is released, at the latest when it is killed
			err := lab.Await(5*time.Second, "the writer waits", func(ctx context.Context) error {
				list, err := client.ClientList(ctx).Result()
				if err == nil && !strings.Contains(list, "cmd=set") {
					err = fmt.Errorf("it does not: %s", list)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range c.then {
				do(a)
			}
			if err := <-answer; (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("a writer that was held is answered %v, want %q", err, c.want)
			}
		})
	}
}

func TestPersist_IsWhatWritesTheFileOfANewMaster(t *testing.T) {
	r, servers, _ := newServers(t)
	follows := func(a failover.Action) bool {
		t.Helper()
		a.Server = r.Addr
		if _, _, err := servers.Do(t.Context(), "m", a); err != nil {
			t.Fatal(err)
		}
		file, err := os.ReadFile(r.Conf)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(file), "\nreplicaof ")
	}
	if !follows(failover.Action{Kind: failover.Follow, Master: failover.Silent}) {
		t.Error("a replica does not know its role after a restart")
	}
	o, _, err := servers.Do(t.Context(), "m", failover.Action{Kind: failover.Read, Server: r.Addr})
	if err != nil {
		t.Fatal(err)
	}
	if !follows(failover.Action{Kind: failover.Promote, RunID: o.RunID}) {
		t.Error("a promotion waits for the file")
	}
	if follows(failover.Action{Kind: failover.Persist}) {
		t.Error("a master does not know its role after a restart")
	}
}

// TestFence_IsFoundByAServerThatWakesUp: also where no connection to it is left, and where it asks for a password.
func TestFence_IsFoundByAServerThatWakesUp(t *testing.T) {
	r, _, client := newServers(t)
	m := config.DefaultMaster()
	m.Username, m.Password = "guard", "secret"
	m.RenameCommands = []config.Rename{{Command: "other", As: "another"}}
	servers := failover.NewRedis(failover.RedisConfig{Settings: func(string) *config.Master { return &m }, Now: time.Now})
	t.Cleanup(func() { _ = servers.Close() })
	if err := client.Do(t.Context(), "ACL", "SETUSER", "guard", "on", ">secret", "+@all").Err(); err != nil {
		t.Fatal(err)
	}
	if err := r.Freeze(); err != nil {
		t.Fatal(err)
	}
	a := failover.Action{Kind: failover.BlindFence, Server: r.Addr, Fence: 1}
	defer func() {
		if _, _, err := servers.Do(t.Context(), "m", a); err != nil {
			t.Errorf("a server that answers: %v", err)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, _, err := servers.Do(ctx, "m", a); err == nil {
		t.Fatal("a frozen server has answered")
	}
	if err := r.Thaw(); err != nil {
		t.Fatal(err)
	}
	err := lab.Await(5*time.Second, "the fence is found", func(ctx context.Context) error {
		if value := client.ConfigGet(ctx, "min-replicas-to-write").Val()["min-replicas-to-write"]; value != "1000001" {
			return errors.New("min-replicas-to-write is " + value)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDo_FindsAServerThatWasStartedAgain: a client library that remembers that nobody listened must not keep a server from being fenced.
func TestDo_FindsAServerThatWasStartedAgain(t *testing.T) {
	r, servers, _ := newServers(t)
	read := func() error {
		_, _, err := servers.Do(t.Context(), "m", failover.Action{Kind: failover.Read, Server: r.Addr})
		return err
	}
	r.Kill()
	for range 10 {
		if read() == nil {
			t.Fatal("a dead server has answered")
		}
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	if err := read(); err != nil {
		t.Errorf("a server that was started is not found: %v", err)
	}
}

// TestPromote_IsNotLeftForAServerThatHangs: it would become a master when it wakes up, after another one was chosen.
func TestPromote_IsNotLeftForAServerThatHangs(t *testing.T) {
	r, servers, client := newServers(t)
	do := func(ctx context.Context, a failover.Action) error {
		a.Server = r.Addr
		_, _, err := servers.Do(ctx, "m", a)
		return err
	}
	if err := do(t.Context(), failover.Action{Kind: failover.Follow, Master: failover.Silent}); err != nil {
		t.Fatal(err)
	}
	if err := r.Freeze(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := do(ctx, failover.Action{Kind: failover.Promote}); err == nil {
		t.Fatal("a frozen server has answered")
	}
	if err := r.Thaw(); err != nil {
		t.Fatal(err)
	}
	if info := client.Info(t.Context(), "replication").Val(); !strings.Contains(info, "role:slave") {
		t.Errorf("it woke up as a master: %s", info)
	}
}

// TestDo_ThatIsGivenUpWaitsForNobody: a failover that has ended must not keep the next one waiting for a server that hangs.
func TestDo_ThatIsGivenUpWaitsForNobody(t *testing.T) {
	r, servers, _ := newServers(t)
	if err := r.Freeze(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	time.AfterFunc(50*time.Millisecond, cancel)
	began := time.Now()
	_, _, err := servers.Do(ctx, "m", failover.Action{Kind: failover.Read, Server: r.Addr})
	if took := time.Since(began); !errors.Is(err, context.Canceled) || took > time.Second {
		t.Errorf("it took %s: %v", took, err)
	}
	if err := r.Thaw(); err != nil {
		t.Fatal(err)
	}
}

// breaking is a connection that finds, when it is used again, that the other side has closed it.
type breaking struct {
	net.Conn
	broken *atomic.Int32 // how many of the connections that are used next are
}

func (c *breaking) Read(p []byte) (int, error) {
	if c.broken.Add(-1) >= 0 {
		return 0, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	}
	return c.Conn.Read(p)
}

// TestDo_TriesConnectionsUntilOneIsWhole: after a partition all of the pool are broken, and nobody has heard of it.
func TestDo_TriesConnectionsUntilOneIsWhole(t *testing.T) {
	r, _, _ := newServers(t)
	var broken atomic.Int32
	m := config.DefaultMaster()
	servers := failover.NewRedis(failover.RedisConfig{Settings: func(string) *config.Master { return &m }, Now: time.Now, Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		return &breaking{conn, &broken}, err
	}})
	t.Cleanup(func() { _ = servers.Close() })
	read := func() error {
		_, _, err := servers.Do(t.Context(), "m", failover.Action{Kind: failover.Read, Server: r.Addr})
		return err
	}
	if err := read(); err != nil {
		t.Fatal(err)
	}
	broken.Store(4)
	if err := read(); err != nil {
		t.Errorf("the first four connections are broken: %v", err)
	}
	broken.Store(1000)
	if err := read(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("all connections are broken: %v", err)
	}
}

// TestHandOver_ByTheServersOwnCommand: the roles change, and an order that is repeated, or taken back too late, does no harm.
func TestHandOver_ByTheServersOwnCommand(t *testing.T) {
	if _, err := lab.FindRedis(); err != nil {
		t.Skip(err)
	}
	l := lab.New(t.TempDir())
	t.Cleanup(l.Close)
	old, err := l.StartRedis(lab.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	target, err := l.StartRedis(lab.RedisOptions{ReplicaOf: old.Addr})
	if err != nil {
		t.Fatal(err)
	}
	m := config.DefaultMaster()
	servers := failover.NewRedis(failover.RedisConfig{Settings: func(string) *config.Master { return &m }, Now: time.Now})
	t.Cleanup(func() { _ = servers.Close() })
	if err := lab.Await(10*time.Second, "it follows", func(ctx context.Context) error { return target.Follows(ctx, old.Addr) }); err != nil {
		t.Fatal(err)
	}
	order := failover.Action{Kind: failover.HandOver, Server: old.Addr, Master: target.Addr, For: 5 * time.Second}
	do := func(ctx context.Context) error { _, _, err := servers.Do(ctx, "m", order); return err }
	if err := lab.Await(10*time.Second, "the target counts as online", do); err != nil {
		t.Fatal(err)
	}
	if err := do(t.Context()); err != nil {
		t.Errorf("ordered again: %v", err)
	}
	if err := lab.Await(10*time.Second, "the roles change", func(ctx context.Context) error { return old.Follows(ctx, target.Addr) }); err != nil {
		t.Fatal(err)
	}
	if _, _, err := servers.Do(t.Context(), "m", failover.Action{Kind: failover.Recall, Server: old.Addr}); err != nil {
		t.Errorf("taken back too late: %v", err)
	}
	if err := old.Follows(t.Context(), target.Addr); err != nil {
		t.Errorf("taken back too late: %v", err)
	}
}

// TestDo_MeansAProcess: what was started in place of a replica that was chosen, or of the master that is to be followed, may be empty, whoever has seen it.
func TestDo_MeansAProcess(t *testing.T) {
	r, servers, client := newServers(t)
	for _, c := range []struct {
		action failover.Action
		role   string
	}{
		{failover.Action{Kind: failover.Follow, Master: r.Addr, RunID: "before"}, "role:master"},
		{failover.Action{Kind: failover.Cut}, "role:slave"},
		{failover.Action{Kind: failover.Promote, RunID: "before"}, "role:slave"},
	} {
		c.action.Server = r.Addr
		_, _, err := servers.Do(t.Context(), "m", c.action)
		if refused := err != nil && strings.Contains(err.Error(), "was restarted"); refused != (c.action.RunID != "") {
			t.Errorf("%s: %v", c.action.Kind, err)
		}
		if info := client.Info(t.Context(), "replication").Val(); !strings.Contains(info, c.role) {
			t.Errorf("after %s: %s, want %s", c.action.Kind, info, c.role)
		}
	}
}

// TestDo_RenamedCommands: servers that know the commands under other names are read, fenced, promoted and told whom to follow.
func TestDo_RenamedCommands(t *testing.T) {
	if _, err := lab.FindRedis(); err != nil {
		t.Skip(err)
	}
	l := lab.New(t.TempDir())
	t.Cleanup(l.Close)
	m := config.DefaultMaster()
	var lines []string
	for _, command := range []string{"CONFIG", "REPLICAOF", "INFO", "CLIENT"} {
		m.RenameCommands = append(m.RenameCommands, config.Rename{Command: command, As: "our-" + command})
		lines = append(lines, fmt.Sprintf("rename-command %s our-%s", command, command))
	}
	old, err := l.StartRedis(lab.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	hidden, err := l.StartRedis(lab.RedisOptions{ReplicaOf: old.Addr, Lines: lines})
	if err != nil {
		t.Fatal(err)
	}
	servers := failover.NewRedis(failover.RedisConfig{Settings: func(string) *config.Master { return &m }, Now: time.Now})
	t.Cleanup(func() { _ = servers.Close() })
	runID := ""
	for _, step := range []struct {
		action failover.Action
		role   string
		fenced bool
	}{
		{failover.Action{Kind: failover.Read}, "slave", false},
		{failover.Action{Kind: failover.Cut}, "slave", false},
		{failover.Action{Kind: failover.Fence}, "slave", true},
		{failover.Action{Kind: failover.Promote}, "master", false},
		{failover.Action{Kind: failover.Follow, Master: old.Addr}, "slave", false},
	} {
		step.action.Server = hidden.Addr
		if step.action.Kind == failover.Promote {
			step.action.RunID = runID
		}
		o, remark, err := servers.Do(t.Context(), "m", step.action)
		if err != nil || remark != "" {
			t.Fatalf("%s: %v, %s", step.action.Kind, err, remark)
		}
		if _, _, fenced := failover.Fenced(o.Fence); o.Role != step.role || fenced != step.fenced {
			t.Errorf("%s: it is a %s, fenced: %v", step.action.Kind, o.Role, fenced)
		}
		runID = o.RunID
	}
}

// TestRedis_LogsInFirst: a server with a password for all answers nothing before it, not even to a connection that tells its name.
func TestRedis_LogsInFirst(t *testing.T) {
	r, _, client := newServers(t)
	ctx := t.Context()
	if err := client.ConfigSet(ctx, "requirepass", "secret").Err(); err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"", "default"} {
		m := config.DefaultMaster()
		m.Username, m.Password = user, "secret"
		servers := failover.NewRedis(failover.RedisConfig{Settings: func(string) *config.Master { return &m }, Now: time.Now})
		o, _, err := servers.Do(ctx, "m", failover.Action{Kind: failover.Fence, Server: r.Addr})
		if err != nil {
			t.Fatalf("as %q: %v", user, err)
		}
		if o.Role != "master" || o.Fence <= 0 {
			t.Errorf("as %q: the server is a %s with the fence %d", user, o.Role, o.Fence)
		}
		admin := redis.NewClient(&redis.Options{Addr: string(r.Addr), Password: "secret"})
		list, err := admin.ClientList(ctx).Result()
		if err != nil || !strings.Contains(list, "name=picket-failover") {
			t.Errorf("as %q: the connection does not tell its name: %v\n%s", user, err, list)
		}
		if _, _, err := servers.Do(ctx, "m", failover.Action{Kind: failover.Unfence, Server: r.Addr}); err != nil {
			t.Fatal(err)
		}
		m.Password = "another"
		refused := failover.NewRedis(failover.RedisConfig{Settings: func(string) *config.Master { return &m }, Now: time.Now})
		if _, _, err := refused.Do(ctx, "m", failover.Action{Kind: failover.Read, Server: r.Addr}); err == nil || !strings.Contains(err.Error(), "WRONGPASS") {
			t.Errorf("as %q with the wrong password: %v", user, err)
		}
		if err := errors.Join(admin.Close(), servers.Close(), refused.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRedis_ReachesServersAsBefore: settings may change in the middle of a failover. Its connections break only where they are made otherwise now; and a user who may
// not tell a connection's name does without.
func TestRedis_ReachesServersAsBefore(t *testing.T) {
	r, _, client := newServers(t)
	ctx := t.Context()
	for _, name := range []string{"agent", "other"} {
		if err := client.Do(ctx, "ACL", "SETUSER", name, "on", ">secret", "~*", "&*", "+@all", "-client|setname").Err(); err != nil {
			t.Fatal(err)
		}
	}
	first := config.DefaultMaster()
	first.Username, first.Password = "agent", "secret"
	settings := &first
	servers := failover.NewRedis(failover.RedisConfig{Settings: func(string) *config.Master { return settings }, Now: time.Now})
	defer servers.Close()
	read := func() string {
		t.Helper()
		if _, _, err := servers.Do(ctx, "m", failover.Action{Kind: failover.Read, Server: r.Addr}); err != nil {
			t.Fatal(err)
		}
		list, err := client.ClientList(ctx).Result()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(list) {
			if strings.Contains(line, " user="+settings.Username+" ") {
				id, _, _ := strings.Cut(line, " ")
				return id
			}
		}
		t.Fatalf("there is no connection:\n%s", list)
		return ""
	}
	was := read()
	second := first
	second.ParallelSyncs, settings = 7, &second
	if is := read(); is != was {
		t.Error("another setting has the connection made anew")
	}
	third := second
	third.Username, settings = "other", &third
	if is := read(); is == was {
		t.Error("the connection is another user's")
	}
}
