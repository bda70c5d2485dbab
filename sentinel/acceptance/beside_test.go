package acceptance

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"picket/sentinel/lab"
	"picket/sentinel/state"
)

// helloChannel is where Redis Sentinels tell each other who they are.
const helloChannel = "__sentinel__:hello"

// TestBeside_RedisSentinel has agents that may act beside Redis Sentinels that watch the same servers: they hear and show them, say nothing on their channel, and
// leave the failover to them. What anybody can forge on the channel, or send to an agent's port, moves no master and adds no agent.
func TestBeside_RedisSentinel(t *testing.T) {
	t.Parallel()
	if _, err := lab.FindRedis(); err != nil {
		t.Skip(err)
	}
	l := lab.New(t.TempDir())
	t.Cleanup(l.Close)
	opts := lab.ClusterOptions{DownAfter: time.Second, FailoverTimeout: 5 * time.Second}
	group, err := l.StartSentinels(opts)
	if errors.Is(err, lab.ErrNoSentinel) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{} // run ids of the Sentinels
	for _, addr := range group.Addrs() {
		known[myID(t, addr)] = true
	}
	opts.Program, opts.Servers = binary, group.Redis
	c, err := l.StartCluster(opts)
	t.Cleanup(func() { checkLogs(t, l, c) })
	if err != nil {
		t.Fatal(err)
	}
	agent, master := c.Agents[0], c.Redis[0]
	hellos := hellosOn(t, master)

	// One who may publish tells of a newer epoch in which a replica, or nobody's server, is the master; and of himself.
	forge(t, c, group.Redis[1].Addr.Host(), group.Redis[1].Addr.Port())
	forge(t, c, "203.0.113.7", 6379)
	if err := lab.Await(patience, "the agents show the Sentinels", func(ctx context.Context) error {
		p, err := agent.Status(ctx)
		if err != nil {
			return err
		}
		heard := 0
		for _, f := range p.Masters[0].Foreign {
			if known[f.RunID] {
				heard++
			}
		}
		if heard != len(known) {
			return fmt.Errorf("they show %d of %d", heard, len(known))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, a := range c.Agents {
		peers, err := sentinelClient(t, a).Sentinels(t.Context(), lab.MasterName).Result()
		if err != nil || len(peers) != 2 {
			t.Errorf("%s: %d other agents, %v", a.ID, len(peers), err)
		}
		if got := say(t, a, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", lab.MasterName); got != fmt.Sprintf("[%s %d]", master.Addr.Host(), master.Addr.Port()) {
			t.Errorf("%s names %s", a.ID, got)
		}
		if got := say(t, a, "SENTINEL", "CKQUORUM", lab.MasterName); !strings.HasPrefix(got, "OK 3 usable Sentinels") {
			t.Errorf("%s: %s", a.ID, got)
		}
	}
	if out := picket(t, 0, "status", "--agent", string(agent.HTTP)); !strings.Contains(out, "Redis Sentinel") {
		t.Errorf("the status does not show them:\n%s", out)
	}

	// All that is said on the channel is said by the Sentinels, and by the one who forges.
	known[forger] = true
	for range 20 {
		words := strings.Split(next(t, hellos), ",")
		if len(words) != 8 || !known[words[2]] {
			t.Errorf("an agent speaks on the Sentinels' channel: %v", words)
		}
	}
	master.Kill()
	if err := lab.Await(patience, "the Sentinels have failed over", func(ctx context.Context) error {
		addr, err := sentinelAt(group.Addrs()[0]).GetMasterAddrByName(ctx, lab.MasterName).Result()
		if err == nil && addr[1] == fmt.Sprint(master.Addr.Port()) {
			err = errors.New("not yet")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, a := range c.Agents {
		p, err := a.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range p.Events {
			if e.Type == state.FailoverBegun {
				t.Errorf("%s has begun a failover", a.ID)
			}
		}
		if b := p.Masters[0].Blocker; b != nil && b.Reason != "foreign-sentinel" {
			t.Errorf("%s: blocked by %+v", a.ID, b)
		}
	}
}

// forger is the run id of somebody who pretends.
const forger = "f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0"

// forge publishes, on every server and to every agent, that somebody in a newer epoch has made another server the master.
func forge(t *testing.T, c *lab.Cluster, host string, port int) {
	t.Helper()
	message := fmt.Sprintf("127.0.0.1,26379,%s,1000000,%s,%s,%d,1000000", forger, lab.MasterName, host, port)
	for _, r := range c.Redis {
		client := r.Client()
		if err := client.Publish(t.Context(), helloChannel, message).Err(); err != nil {
			t.Error(err)
		}
		_ = client.Close()
	}
	for _, a := range c.Agents {
		_ = say(t, a, "PUBLISH", helloChannel, message) // whatever it answers, it does nothing
	}
}

// hellosOn listens to the Sentinels' channel on a server.
func hellosOn(t *testing.T, r *lab.Redis) <-chan *redis.Message {
	t.Helper()
	client := r.Client()
	s := client.Subscribe(t.Context(), helloChannel)
	t.Cleanup(func() { _ = errors.Join(s.Close(), client.Close()) }) // it was only listened on
	if _, err := s.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s.Channel()
}

func sentinelAt(addr string) *redis.SentinelClient {
	return redis.NewSentinelClient(&redis.Options{Addr: addr, MaxRetries: -1, DisableIdentity: true})
}

func myID(t *testing.T, addr string) string {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, DisableIdentity: true, Protocol: 2})
	defer c.Close()
	id, err := c.Do(t.Context(), "SENTINEL", "MYID").Text()
	if err != nil {
		t.Fatal(err)
	}
	return id
}
