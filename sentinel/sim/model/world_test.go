package model

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"picket/sentinel/lab"
)

// world is what scripts are run in: the real one, or the model's.
type world interface {
	start(name string, o options) error
	addr(name string) string // host:port
	dial(name string) (net.Conn, error)
	do(name, what string) error // crash, restart, wipe, freeze, thaw
}

// options are how a script wants a server.
type options struct {
	conf        map[string]string
	persistence string
	loadsSlowly bool
}

// steady is always set, so that what a script sees does not depend on the moment.
var steady = map[string]string{"repl-diskless-sync-delay": "0", "repl-ping-replica-period": "3600"}

type modelWorld struct {
	network *loopback
	servers map[string]*Server
	observe func(Event)
}

func newModelWorld(t *testing.T) *modelWorld {
	w := &modelWorld{network: newLoopback(), servers: map[string]*Server{}}
	t.Cleanup(func() {
		for _, s := range w.servers {
			s.Crash()
		}
	})
	return w
}

func (w *modelWorld) start(name string, o options) error {
	args := map[string]string{}
	for _, m := range []map[string]string{steady, o.conf} {
		for k, v := range m {
			args[k] = v
		}
	}
	loading := time.Duration(0)
	if o.loadsSlowly {
		loading = 2 * time.Second
	}
	s := New(Config{
		Addr: fmt.Sprintf("127.0.0.1:%d", 20001+len(w.servers)), Network: w.network, Args: args, Seed: uint64(len(w.servers)),
		SnapshotTime: loading, Observe: w.observe,
		Persistence: map[string]Persistence{"": None, "rdb": RDB, "aof": AOF}[o.persistence],
	})
	w.servers[name] = s
	return s.Start()
}

func (w *modelWorld) addr(name string) string {
	if s := w.servers[name]; s != nil {
		return s.Addr()
	}
	return ""
}

func (w *modelWorld) dial(name string) (net.Conn, error) {
	return w.network.Dial(context.Background(), w.addr(name))
}

func (w *modelWorld) do(name, what string) error {
	s := w.servers[name]
	switch what {
	case "crash":
		s.Crash()
	case "restart":
		return s.Restart()
	case "wipe":
		s.Crash()
		s.Wipe()
	case "freeze":
		s.Hang()
	case "thaw":
		s.Wake()
	case "stop":
		s.Shutdown()
	}
	return nil
}

type realWorld struct {
	lab     *lab.Lab
	servers map[string]*lab.Redis
}

func newRealWorld(t *testing.T) *realWorld {
	if _, err := lab.FindRedis(); err != nil {
		t.Skip(err)
	}
	w := &realWorld{lab: lab.New(t.TempDir()), servers: map[string]*lab.Redis{}}
	t.Cleanup(w.lab.Close)
	return w
}

func (w *realWorld) start(name string, o options) error {
	var lines []string
	for _, m := range []map[string]string{steady, o.conf} {
		for k, v := range m {
			lines = append(lines, k+" "+v)
		}
	}
	lines = append(lines, "rdbcompression no") // so that a kilobyte is one
	switch o.persistence {
	case "rdb":
		lines = append(lines, "save 3600 1")
	case "aof":
		lines = append(lines, "appendonly yes")
	}
	if o.loadsSlowly { // after each kilobyte it looks up from its work
		lines = append(lines, "key-load-delay 300000", "loading-process-events-interval-bytes 1024")
	}
	r, err := w.lab.StartRedis(lab.RedisOptions{Lines: lines})
	w.servers[name] = r
	return err
}

func (w *realWorld) addr(name string) string {
	if r := w.servers[name]; r != nil {
		return string(r.Addr)
	}
	return ""
}

func (w *realWorld) dial(name string) (net.Conn, error) {
	return net.DialTimeout("tcp", w.addr(name), time.Second)
}

func (w *realWorld) do(name, what string) error {
	r := w.servers[name]
	switch what {
	case "crash":
		r.Kill()
	case "restart":
		r.Kill()
		return r.Start()
	case "wipe":
		r.Kill()
		return wipe(r.Dir)
	case "freeze":
		return r.Freeze()
	case "thaw":
		return r.Thaw()
	case "stop":
		return r.Stop(15 * time.Second)
	}
	return nil
}

// wipe removes the data files of a server, and nothing else.
func wipe(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".rdb") || e.Name() == "appendonlydir" {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
