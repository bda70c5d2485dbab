package acceptance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"picket/sentinel/lab"
)

// watched is a group of three agents that also watch a second master, which was made known at run time.
type watched struct {
	t      *testing.T
	lab    *lab.Lab
	c      *lab.Cluster
	second *lab.Redis
	events map[*lab.Agent]<-chan *redis.Message
}

// newWatched starts the agents and a master that they do not know yet.
func newWatched(t *testing.T) *watched {
	t.Helper()
	l, c := start(t, nil)
	second, err := l.StartRedis(lab.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return &watched{t: t, lab: l, c: c, second: second, events: map[*lab.Agent]<-chan *redis.Message{}}
}

// say has an agent answer as is wanted.
func (r *watched) say(a *lab.Agent, want string, words ...string) {
	r.t.Helper()
	list := []any{"SENTINEL"}
	for _, w := range words {
		list = append(list, w)
	}
	if got := say(r.t, a, list...); got != want && !(strings.HasSuffix(want, "…") && strings.HasPrefix(got, strings.TrimSuffix(want, "…"))) {
		r.t.Errorf("%s: SENTINEL %s answers %q, want %q", a.ID, strings.Join(words, " "), got, want)
	}
}

// listen collects all that an agent publishes from now on.
func (r *watched) listen(a *lab.Agent) {
	r.t.Helper()
	s := sentinelClient(r.t, a).PSubscribe(r.t.Context(), "*")
	r.t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Receive(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	r.events[a] = s.Channel(redis.WithChannelSize(1000))
}

// hears waits until an agent publishes something.
func (r *watched) hears(a *lab.Agent, channel, payload string) {
	r.t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		select {
		case m := <-r.events[a]:
			if m.Channel == channel && m.Payload == payload {
				return
			}
		case <-limit.C:
			r.t.Fatalf("%s does not publish %s %s", a.ID, channel, payload)
		}
	}
}

// shows waits until an agent's map of the second master has a value.
func (r *watched) shows(a *lab.Agent, field, want string) {
	r.t.Helper()
	client := sentinelClient(r.t, a)
	if err := lab.Await(patience, fmt.Sprintf("%s shows %s %s", a.ID, field, want), func(ctx context.Context) error {
		m, err := client.Master(ctx, "second").Result()
		if err != nil {
			return err
		}
		if m[field] != want {
			return fmt.Errorf("it shows %q", m[field])
		}
		return nil
	}); err != nil {
		r.t.Fatal(err)
	}
}

// TestRegistry_OnTheWire goes through what operators change at run time, on a group of real agents: where it holds, what subscribers are told of it, that
// secrets stay where they were set, and that nothing changes in a minority.
func TestRegistry_OnTheWire(t *testing.T) {
	t.Parallel()
	r := newWatched(t)
	first, second, third := r.c.Agents[0], r.c.Agents[1], r.c.Agents[2]
	ip, port := r.second.Addr.Host(), fmt.Sprint(r.second.Addr.Port())
	who := fmt.Sprintf("master second %s %s", ip, port)
	for _, a := range r.c.Agents {
		r.listen(a)
	}

	r.say(first, "OK", "MONITOR", "second", ip, port, "2")
	r.say(second, "OK", "MONITOR", "second", ip, port, "2") // by a script that tells each of them
	r.say(third, "-ERR Duplicate master name.", "MONITOR", "second", ip, port, "3")
	r.say(third, "-ERR Duplicate master name.", "MONITOR", "second", ip, "1", "2")
	r.say(first, "-ERR Invalid IP address or hostname specified", "MONITOR", "third", "no-such-host.invalid", "1", "2")
	r.say(second, "OK", "MONITOR", "second", "localhost", port, "2") // is the same
	r.say(second, "-ERR the server belongs to another master…", "MONITOR", "third", "localhost", port, "2")
	r.hears(third, "+monitor", who+" quorum 2")

	r.say(second, "OK", "SET", "second", "down-after-milliseconds", "1500", "parallel-syncs", "3")
	r.hears(first, "+set", who+" down-after-milliseconds 1500")
	r.hears(first, "+set", who+" parallel-syncs 3")
	for _, a := range r.c.Agents {
		r.shows(a, "down-after-milliseconds", "1500")
		r.shows(a, "flags", "master")
	}
	r.say(first, "OK", "SET", "second", "rename-command", "CONFIG", "configure")
	r.hears(third, "+set", who+" rename-command CONFIG configure")
	r.say(first, "OK", "SET", "second", "rename-command", "CONFIG", "CONFIG")
	r.say(first, "-ERR Invalid argument '-20' for SENTINEL SET 'quorum'", "SET", "second", "parallel-syncs", "9", "quorum", "-20")
	r.say(first, "-ERR Unknown option or number of arguments for SENTINEL SET 'colour'", "SET", "second", "colour", "red")
	r.say(first, "-ERR Invalid value 'perhaps' to SENTINEL CONFIG SET 'resolve-hostnames'", "CONFIG", "SET", "resolve-hostnames", "perhaps")
	r.say(first, "-ERR Invalid argument 'colour' to SENTINEL CONFIG SET", "CONFIG", "SET", "colour", "red")
	r.shows(third, "parallel-syncs", "3")

	const secret = "correct-horse-battery-staple"
	r.say(first, "OK", "SET", "second", "auth-pass", secret)
	r.hears(first, "+set", who+" auth-pass ******")
	r.say(first, "OK", "CONFIG", "SET", "announce-port", "7000", "sentinel-pass", secret, "loglevel", "warning")
	id := say(t, first, "SENTINEL", "MYID")
	main := r.c.Redis[0].Addr
	r.hears(third, "+sentinel-address-switch", fmt.Sprintf("master mymaster %s %d ip 127.0.0.1 port 7000 for %s", main.Host(), main.Port(), id))
	r.hears(third, "+sentinel-address-update", fmt.Sprintf("sentinel %s 127.0.0.1 7000 @ mymaster %s %d 1 additional matching instances", id, main.Host(), main.Port()))
	if peers, err := sentinelClient(t, second).Sentinels(t.Context(), "second").Result(); err != nil || !slices.ContainsFunc(peers, func(p map[string]string) bool {
		return p["runid"] == id && p["port"] == "7000"
	}) {
		t.Errorf("clients are told of %v, %v", peers, err)
	}
	r.shows(first, "flags", "master") // the server asks for no password
	r.keepsSecret(secret, first)

	// A restart forgets nothing.
	for _, a := range []*lab.Agent{first, third} {
		a.Kill()
		if err := a.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range r.c.Agents {
		r.shows(a, "down-after-milliseconds", "1500")
	}
	r.say(first, "[announce-port 7000]", "CONFIG", "GET", "announce-port")
	r.say(first, "[loglevel warning]", "CONFIG", "GET", "log*")
	r.say(second, "[loglevel debug]", "CONFIG", "GET", "loglevel")

	// In a minority nothing changes, and reads go on.
	second.Kill()
	third.Kill()
	if err := lab.Await(patience, "the agent knows that it is alone", func(context.Context) error {
		if got := say(t, first, "SENTINEL", "CKQUORUM", "second"); !strings.HasPrefix(got, "-NOQUORUM 1 usable Sentinels. ") {
			return errors.New(got)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	r.say(first, "-NOQUORUM …", "MONITOR", "third", ip, "1", "2")
	r.say(first, "-NOQUORUM …", "SET", "second", "quorum", "1")
	r.say(first, "-NOQUORUM …", "RESET", "second")
	r.say(first, "-NOQUORUM …", "REMOVE", "second")
	r.say(first, fmt.Sprintf("[%s %s]", ip, port), "GET-MASTER-ADDR-BY-NAME", "second")
	r.shows(first, "quorum", "2")
	for _, a := range []*lab.Agent{second, third} {
		if err := a.Start(); err != nil {
			t.Fatal(err)
		}
	}
	settle(t, r.c, r.c.Redis[0].Addr)
	r.listen(first)
	r.say(second, "1", "RESET", "sec*")
	r.hears(first, "+reset-master", who)
	r.say(third, "OK", "REMOVE", "second")
	r.hears(first, "-monitor", who)
	r.say(first, "<nil>", "GET-MASTER-ADDR-BY-NAME", "second")
	r.say(first, "OK", "CONFIG", "SET", "sentinel-pass", "")
	r.keepsSecret(secret)
}

// keepsSecret checks that a secret is in a file of one agent only, which nobody else may read; or of none.
func (r *watched) keepsSecret(secret string, owners ...*lab.Agent) {
	r.t.Helper()
	found := map[string]fs.FileMode{}
	err := filepath.WalkDir(r.lab.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.Contains(text, []byte(secret)) {
			info, err := entry.Info()
			if err != nil {
				return err
			}
			found[path] = info.Mode().Perm()
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, a := range owners {
		file := filepath.Join(a.Dir, "run-time.json")
		if found[file] != 0o600 {
			r.t.Errorf("%s has mode %o", file, found[file])
		}
		delete(found, file)
	}
	for file := range found {
		r.t.Errorf("the secret is in %s", file)
	}
}
