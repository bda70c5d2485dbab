package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"picket/config"
	"picket/monitor"
)

// Redis is one redis-server with a configuration file of its own, so that CONFIG REWRITE works.
type Redis struct {
	*Process
	Host *Host
	Addr config.Addr
	Dir  string
	Conf string // path of its configuration file

	renames []config.Rename
}

// RedisOptions shapes a server. The zero value is a master without persistence.
type RedisOptions struct {
	Host      *Host  // where it runs
	Loopback  string // its IP address on this machine; empty: 127.0.0.1
	ReplicaOf config.Addr
	Lines     []string        // more configuration lines
	Renames   []config.Rename // commands that it knows by other names
}

// ErrNoRedis says how to get redis-server.
var ErrNoRedis = errors.New("redis-server is not installed: install it (Debian, Ubuntu: apt-get install redis-server; " +
	"macOS: brew install redis) or put it into the PATH")

// StartRedis starts a server on a free port of this machine, or port 6379 of a host, and waits until it answers.
func (l *Lab) StartRedis(opts RedisOptions) (*Redis, error) {
	program, err := FindRedis()
	if err != nil {
		return nil, err
	}
	addr, err := l.addr(opts.Host, opts.Loopback, redisPort)
	if err != nil {
		return nil, err
	}
	name := "redis-" + nameAt(opts.Host, addr)
	r := &Redis{Host: opts.Host, Addr: addr, Dir: filepath.Join(l.Dir, name), renames: opts.Renames}
	r.Conf = filepath.Join(r.Dir, "redis.conf")
	if err := r.writeConf(opts); err != nil {
		return nil, fmt.Errorf("configure %s: %w", name, err)
	}
	r.Process = l.process(name, filepath.Join(r.Dir, "redis.log"), opts.Host.On(program, r.Conf)...)
	return r, r.Start()
}

// MoveRedis starts a server with the port and the configuration of one that is down, at another IP address of this machine.
func (l *Lab) MoveRedis(like *Redis, ip string) (*Redis, error) {
	program, err := FindRedis()
	if err != nil {
		return nil, err
	}
	r := &Redis{Host: like.Host, Addr: config.NewAddr(ip, like.Addr.Port()), Dir: like.Dir, Conf: filepath.Join(like.Dir, "redis-moved.conf")}
	text := fmt.Sprintf("include %s\nbind %s\n", like.Conf, ip)
	if err := os.WriteFile(r.Conf, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("configure %s at %s: %w", like.Name, ip, err)
	}
	r.Process = l.process(like.Name+"-moved", filepath.Join(r.Dir, "redis-moved.log"), r.Host.On(program, r.Conf)...)
	return r, r.Start()
}

// nameAt tells apart what runs on several hosts, or on several ports of this one.
func nameAt(h *Host, addr config.Addr) string {
	if h != nil {
		return h.IP()
	}
	return fmt.Sprint(addr.Port())
}

// FindRedis gives the path of the server's program. Valkey behaves the same here.
func FindRedis() (string, error) {
	for _, name := range []string{"redis-server", "valkey-server", "/usr/bin/redis-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrNoRedis
}

func (r *Redis) writeConf(opts RedisOptions) error {
	if err := os.MkdirAll(r.Dir, 0o700); err != nil {
		return err
	}
	lines := []string{
		"bind " + r.Addr.Host(),
		"protected-mode no",
		fmt.Sprintf("port %d", r.Addr.Port()),
		"dir " + r.Dir,
		`save ""`,
		"repl-diskless-sync-delay 0",
	}
	if opts.ReplicaOf != "" {
		lines = append(lines, fmt.Sprintf("replicaof %s %d", opts.ReplicaOf.Host(), opts.ReplicaOf.Port()))
	}
	for _, rename := range opts.Renames {
		lines = append(lines, fmt.Sprintf("rename-command %s %s", rename.Command, rename.As))
	}
	lines = append(lines, opts.Lines...)
	return os.WriteFile(r.Conf, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

// Start starts the server again, with the configuration file as it now is, and waits until it answers.
func (r *Redis) Start() error {
	if err := r.Process.Start(); err != nil {
		return err
	}
	client := r.Client()
	defer client.Close()
	return Await(5*time.Second, r.Name+" answers PING", func(ctx context.Context) error {
		return client.Ping(ctx).Err()
	})
}

// Client connects to the server from its own host, so that no fault of the network is in between; it never retries. The caller
// closes it.
func (r *Redis) Client() *redis.Client {
	return monitor.NewClient(&config.Master{RenameCommands: r.renames}, &redis.Options{
		Addr: string(r.Addr), Password: ClientPassword, Dialer: r.Host.Dial, MaxRetries: -1, DialTimeout: time.Second, ReadTimeout: 2 * time.Second,
		DisableIdentity: true, Protocol: 2,
	})
}

// Info returns the fields of one INFO section.
func (r *Redis) Info(ctx context.Context, section string) (map[string]string, error) {
	client := r.Client()
	defer client.Close()
	text, err := client.Info(ctx, section).Result()
	if err != nil {
		return nil, fmt.Errorf("INFO %s of %s: %w", section, r.Name, err)
	}
	fields := map[string]string{}
	for line := range strings.SplitSeq(text, "\r\n") {
		if key, value, ok := strings.Cut(line, ":"); ok {
			fields[key] = value
		}
	}
	return fields, nil
}

// FullSyncs counts the full resyncs that servers have given.
func FullSyncs(ctx context.Context, servers []*Redis) (n int, err error) {
	for _, r := range servers {
		info, err := r.Info(ctx, "stats")
		if err != nil {
			return 0, err
		}
		one := 0
		if _, err := fmt.Sscan(info["sync_full"], &one); err != nil {
			return 0, fmt.Errorf("sync_full of %s: %w", r.Addr, err)
		}
		n += one
	}
	return n, nil
}

func hostPort(host, port string) config.Addr { return config.Addr(net.JoinHostPort(host, port)) }

// Follows returns nil when the server is a replica of master with its link up.
func (r *Redis) Follows(ctx context.Context, master config.Addr) error {
	info, err := r.Info(ctx, "replication")
	if err != nil {
		return err
	}
	if got := hostPort(info["master_host"], info["master_port"]); info["role"] != "slave" || got != master {
		return fmt.Errorf("%s is a %s of %q, want a replica of %s", r.Name, info["role"], got, master)
	}
	if info["master_link_status"] != "up" {
		return fmt.Errorf("%s: its link to %s is %s", r.Name, master, info["master_link_status"])
	}
	return nil
}

// Feeds returns nil when the server is a master from which n replicas have just acknowledged a write. One that has only been synced gets
// nothing before its first acknowledgement, although its link is up.
func (r *Redis) Feeds(ctx context.Context, n int) error {
	client := r.Client()
	defer client.Close()
	pipe := client.Pipeline() // WAIT speaks of its own connection's writes
	pipe.Set(ctx, "lab:fed", time.Now().UnixNano(), 0)
	wait := pipe.Do(ctx, "WAIT", n, 100)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("write to %s: %w", r.Name, err)
	}
	if fed, err := wait.Int(); err != nil || fed < n {
		return fmt.Errorf("%d of %d replicas acknowledge a write to %s (error: %v)", fed, n, r.Name, err)
	}
	return nil
}

// Replicated returns nil when every other running server follows master and is fed by it.
func Replicated(ctx context.Context, servers []*Redis, master config.Addr) error {
	var source *Redis
	followers := 0
	for _, r := range servers {
		switch {
		case r.Addr == master:
			source = r
		case r.Running():
			followers++
			if err := r.Follows(ctx, master); err != nil {
				return err
			}
		}
	}
	return source.Feeds(ctx, followers)
}
