package salvage_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"picket/config"
	"picket/consensus/vfs"
	"picket/failover/salvage"
	"picket/monitor"
	"picket/sentinel/lab"
)

const password = "hunter2"

// parted is a master and its former replica, which was promoted behind its back.
type parted struct {
	t        *testing.T
	old      *redis.Client
	addr     config.Addr
	promoted monitor.Observation
	keeper   *salvage.Keeper
	dir      string
}

func newParted(t *testing.T, lines ...string) *parted {
	t.Helper()
	if _, err := lab.FindRedis(); err != nil {
		t.Skip(err)
	}
	l := lab.New(t.TempDir())
	t.Cleanup(l.Close)
	master, err := l.StartRedis(lab.RedisOptions{Lines: lines})
	if err != nil {
		t.Fatal(err)
	}
	replica, err := l.StartRedis(lab.RedisOptions{ReplicaOf: master.Addr})
	if err != nil {
		t.Fatal(err)
	}
	if err := lab.Await(10*time.Second, "the replica follows", func(ctx context.Context) error {
		return lab.Replicated(ctx, []*lab.Redis{master, replica}, master.Addr)
	}); err != nil {
		t.Fatal(err)
	}
	p := &parted{t: t, old: master.Client(), addr: master.Addr, dir: t.TempDir()}
	t.Cleanup(func() { _ = p.old.Close() })
	other := replica.Client()
	defer other.Close()
	if err := other.ReplicaOf(t.Context(), "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	p.promoted = p.look(other)
	settings := config.DefaultMaster()
	settings.Password = password
	p.keeper = salvage.NewKeeper(salvage.Config{
		FS: vfs.OS{}, Dir: p.dir, MaxBytes: func() int64 { return 1 << 20 }, Settings: func(string) *config.Master { return &settings }, Now: time.Now,
	})
	if err := p.old.ConfigSet(t.Context(), "requirepass", password).Err(); err != nil { // the replica has gone
		t.Fatal(err)
	}
	return p
}

func (p *parted) look(c *redis.Client) monitor.Observation {
	p.t.Helper()
	o, err := monitor.ParseInfo(p.addr, time.Now(), c.Info(p.t.Context()).Val())
	if err != nil {
		p.t.Fatal(err)
	}
	return o
}

// lost is what the old master has written until now.
func (p *parted) lost() salvage.Lost {
	return salvage.Lost{
		Master: "m", Server: p.addr, Epoch: 3, ReplID: p.promoted.ReplID2, From: p.promoted.Second, To: p.look(p.old).Offset,
	}
}

// write does commands to the old master.
func (p *parted) write(commands ...string) {
	p.t.Helper()
	for _, c := range commands {
		words := strings.Fields(c)
		args := make([]any, len(words))
		for i, w := range words {
			args[i] = w
		}
		if err := p.old.Do(p.t.Context(), args...).Err(); err != nil {
			p.t.Fatalf("%s: %v", c, err)
		}
	}
}

func TestKeep_OnARealServer(t *testing.T) {
	p := newParted(t)
	before := p.look(p.old).Offset
	if p.promoted.Second != before+1 {
		t.Fatalf("the histories part at %d, the old master is at %d", p.promoted.Second, before)
	}
	want := []string{"SET a 1", "INCR a", "RPUSH list x y z", "DEL a", "SET b 2"}
	p.write(want...)
	p.write("SELECT 3", "SET c 3", "SELECT 0", "GET b") // a read is no part of the stream
	want = append(want, "SELECT 3", "SET c 3")
	l := p.lost()
	h, name, err := p.keeper.Keep(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	if h.Size() != p.look(p.old).Offset-before || h.Commands != 6 || h.Keys != 4 || h.Undecoded != 0 {
		t.Errorf("%+v", h)
	}
	if got := p.decode(name); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for path, mode := range map[string]os.FileMode{name: 0o600, filepath.Dir(name): 0o700} {
		if info, err := os.Stat(filepath.Join(p.dir, path)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

// decode gives a file's commands.
func (p *parted) decode(name string) (commands []string) {
	p.t.Helper()
	file, err := os.Open(filepath.Join(p.dir, name))
	if err != nil {
		p.t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		p.t.Fatal(err)
	}
	h, err := salvage.ReadHeader(file, info.Size())
	if err == nil {
		err = h.Verify(file)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	d := salvage.NewDecoder(h.Stream(file), h.From, salvage.Everything)
	for {
		c, err := d.Next()
		if err == io.EOF {
			return commands
		}
		if err != nil {
			p.t.Fatal(err)
		}
		words := make([]string, len(c.Args))
		for i, a := range c.Args {
			words[i] = string(a.Text)
		}
		commands = append(commands, strings.Join(words, " "))
	}
}

// TestKeep_IsNoReplica: a WAIT on the old master never counts whoever takes its history away.
func TestKeep_IsNoReplica(t *testing.T) {
	p := newParted(t)
	p.write("SET a 1")
	done := make(chan error, 1)
	l := p.lost()
	l.To += 1 << 10 // more than there is: it stays connected until its time is over
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	go func() { // ends with ctx
		_, _, err := p.keeper.Keep(ctx, l)
		done <- err
	}()
	if err := lab.Await(2*time.Second, "somebody takes the history", func(context.Context) error {
		if !strings.Contains(p.old.Info(ctx, "replication").Val(), "state=online") {
			return errors.New("nobody does")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if n, err := p.old.Wait(t.Context(), 1, 200*time.Millisecond).Result(); n != 0 || err != nil {
		t.Errorf("WAIT says %d, %v", n, err)
	}
	cancel()
	if err := <-done; err == nil {
		t.Error("more was kept than there was")
	}
}

// TestKeep_WhatTheBacklogHasNot is refused by the server, and told.
func TestKeep_WhatTheBacklogHasNot(t *testing.T) {
	p := newParted(t, "repl-backlog-size 16kb")
	big := strings.Repeat("x", 1<<10)
	for i := range 100 {
		p.write(fmt.Sprintf("SET key%d %s", i, big))
	}
	if _, _, err := p.keeper.Keep(t.Context(), p.lost()); !errors.Is(err, salvage.ErrRefused) || !strings.Contains(err.Error(), "FULLRESYNC") {
		t.Error(err)
	}
}
