package monitor_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"picket/config"
	"picket/monitor"
	"picket/sentinel/lab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scene is a monitor on real servers; peers' opinions are simulated.
type scene struct {
	t        *testing.T
	lab      *lab.Lab
	monitor  *monitor.Monitor
	settings *config.Master

	mu     sync.Mutex
	events []monitor.Event
}

func newScene(t *testing.T, settings config.Master) *scene {
	t.Helper()
	if _, err := lab.FindRedis(); err != nil {
		t.Skip(err)
	}
	s := &scene{t: t, lab: lab.New(t.TempDir()), settings: &settings}
	s.monitor = monitor.New(monitor.Config{
		Self: "a1", Share: func([]monitor.Opinion) {}, Changed: func() {},
		Observe: func(e monitor.Event) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.events = append(s.events, e)
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { s.monitor.Run(ctx); close(done) }()
	t.Cleanup(func() {
		cancel()
		<-done
		s.lab.Close()
	})
	return s
}

func quick() config.Master {
	return config.Master{Name: "m", DownAfter: 500 * time.Millisecond, CrashGrace: 50 * time.Millisecond}
}

func (s *scene) redis(opts lab.RedisOptions) *lab.Redis {
	s.t.Helper()
	r, err := s.lab.StartRedis(opts)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *scene) watch(master *lab.Redis, replicas ...*lab.Redis) {
	targets := []monitor.Target{{Addr: master.Addr, Settings: s.settings, IsMaster: true}}
	for _, r := range replicas {
		targets = append(targets, monitor.Target{Addr: r.Addr, Settings: s.settings})
	}
	s.monitor.Watch(targets)
}

func (s *scene) server(r *lab.Redis) monitor.Server { return s.monitor.View().Servers[r.Addr] }

func (s *scene) await(r *lab.Redis, want monitor.State) monitor.Server {
	s.t.Helper()
	var got monitor.Server
	if err := lab.Await(15*time.Second, fmt.Sprintf("%s is in state %d", r.Name, want), func(context.Context) error {
		if got = s.server(r); got.State != want {
			return fmt.Errorf("it is in state %d, evidence %d %s", got.State, got.Evidence, got.Text)
		}
		return nil
	}); err != nil {
		s.t.Fatal(err)
	}
	return got
}

// everDown says whether the server was found down at any time.
func (s *scene) everDown(r *lab.Redis) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Kind == monitor.ServerDown && e.Server.Addr == r.Addr {
			return true
		}
	}
	return false
}

func TestMonitor_ACrashIsRefusedLongBeforeDownAfter(t *testing.T) {
	settings := quick()
	settings.DownAfter = time.Minute // only refusals can tell
	s := newScene(t, settings)
	r := s.redis(lab.RedisOptions{})
	s.watch(r)
	s.await(r, monitor.Up)
	r.Kill()
	if got := s.await(r, monitor.Down); got.Evidence != monitor.Refused {
		t.Errorf("evidence %d, want Refused", got.Evidence)
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	s.await(r, monitor.Up)
}

func TestMonitor_AHangTimesOutAndAwakeningIsSeen(t *testing.T) {
	s := newScene(t, quick())
	r := s.redis(lab.RedisOptions{})
	s.watch(r)
	s.await(r, monitor.Up)
	if err := r.Freeze(); err != nil {
		t.Fatal(err)
	}
	if got := s.await(r, monitor.Down); got.Evidence != monitor.TimedOut {
		t.Errorf("evidence %d, want TimedOut", got.Evidence)
	}
	if err := r.Thaw(); err != nil {
		t.Fatal(err)
	}
	s.await(r, monitor.Up)
}

func TestMonitor_KilledConnectionsAndLateAnswersAreNotDown(t *testing.T) {
	s := newScene(t, quick())
	r := s.redis(lab.RedisOptions{Lines: []string{"enable-debug-command local"}})
	s.watch(r)
	s.await(r, monitor.Up)
	client := r.Client()
	defer client.Close()
	for range 5 {
		if err := client.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal").Err(); err != nil {
			t.Fatal(err)
		}
		// Late by 60 % of down-after: the command blocks the server.
		if err := client.Do(t.Context(), "DEBUG", "SLEEP", "0.3").Err(); err != nil {
			t.Fatal(err)
		}
		awake := time.Now()
		if err := lab.Await(10*time.Second, "it answers again", func(context.Context) error {
			if last := s.server(r).LastOK; last.Before(awake) {
				return fmt.Errorf("the last answer is %s old", time.Since(last))
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if s.everDown(r) {
		t.Error("it was found down")
	}
}

func TestMonitor_WrongPasswordIsABadReplyThatSaysSo(t *testing.T) {
	s := newScene(t, quick())
	r := s.redis(lab.RedisOptions{})
	client := r.Client()
	defer client.Close()
	if err := client.ConfigSet(t.Context(), "requirepass", "secret").Err(); err != nil {
		t.Fatal(err)
	}
	s.watch(r)
	got := s.await(r, monitor.Down)
	if got.Evidence != monitor.BadReply || !strings.Contains(got.Text, "NOAUTH") {
		t.Errorf("evidence %d, %q", got.Evidence, got.Text)
	}
}

func TestMonitor_ReplicasAreReadAndProveLife(t *testing.T) {
	s := newScene(t, quick())
	master := s.redis(lab.RedisOptions{})
	replica := s.redis(lab.RedisOptions{ReplicaOf: master.Addr})
	s.watch(master, replica)
	if err := lab.Await(10*time.Second, "the master lists its replica", func(context.Context) error {
		m, r := s.server(master).Last, s.server(replica).Last
		switch {
		case m == nil || r == nil:
			return errors.New("not read yet")
		case len(m.Replicas) != 1 || m.Replicas[0].Server != replica.Addr:
			return fmt.Errorf("replicas %+v", m.Replicas)
		case r.Role != "slave" || r.Master != master.Addr || !r.LinkUp || r.ReplID != m.ReplID:
			return fmt.Errorf("replica %+v", r)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	fresh, err := s.monitor.Refresh(t.Context(), replica.Addr)
	if err != nil || fresh.Role != "slave" {
		t.Errorf("refresh: %+v, %v", fresh, err)
	}
	if err := replica.Freeze(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = replica.Thaw() }() // it is killed anyway
	s.await(replica, monitor.Down)
	if s.everDown(master) {
		t.Error("the master was found down")
	}
}

func TestMonitor_WrongRoleCountsAfterDownAfter(t *testing.T) {
	s := newScene(t, quick())
	master := s.redis(lab.RedisOptions{})
	replica := s.redis(lab.RedisOptions{ReplicaOf: master.Addr})
	s.watch(replica) // as if it were the master
	if got := s.await(replica, monitor.Down); got.Evidence != monitor.WrongRole {
		t.Errorf("evidence %d, want WrongRole", got.Evidence)
	}
	s.watch(master, replica)
	s.await(replica, monitor.Up)
}

func TestMonitor_ProtectedModeIsNamed(t *testing.T) {
	s := newScene(t, quick())
	// A server that closes every connection with an error, as one in protected mode does.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() { // ends with the listener
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("-DENIED Redis is running in protected mode\r\n")) // the peer may be gone
			_ = conn.Close()
		}
	}()
	addr := config.Addr(listener.Addr().String())
	s.monitor.Watch([]monitor.Target{{Addr: addr, Settings: s.settings, IsMaster: true}})
	if err := lab.Await(15*time.Second, "the server is down", func(context.Context) error {
		got := s.monitor.View().Servers[addr]
		if got.State != monitor.Down || got.Evidence != monitor.BadReply || !strings.Contains(got.Text, "protected") {
			return fmt.Errorf("state %d, evidence %d, %q", got.State, got.Evidence, got.Text)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// TestMonitor_SaysThatItIsThere also where there is no server to speak of: the others take silence for death.
func TestMonitor_SaysThatItIsThere(t *testing.T) {
	shared := make(chan int, 10)
	m := monitor.New(monitor.Config{
		Self: "a1", Changed: func() {}, Observe: func(monitor.Event) {}, Share: func(opinions []monitor.Opinion) { shared <- len(opinions) },
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { m.Run(ctx); close(done) }() // ends with ctx
	defer func() {
		cancel()
		<-done
	}()
	select {
	case n := <-shared:
		if n != 0 {
			t.Errorf("it has %d opinions", n)
		}
	case <-time.After(10 * time.Second):
		t.Error("it says nothing")
	}
}
