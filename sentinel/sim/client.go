package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"picket/config"
)

// client writes, one key after the other. One that follows asks the agents for the master, as Sentinel's clients do; a pinned one goes on
// with the server that it knows, whatever anybody says.
type client struct {
	world   *world
	name    string
	group   int // which master's
	waits   int // as so many replicas are asked to acknowledge each write; 0: none
	random  *rand.Rand
	pinned  bool
	at      config.Addr
	redis   *redis.Client
	stopped atomic.Bool
}

const (
	findLimit   = 200 * time.Millisecond
	clientLimit = 400 * time.Millisecond // of one write
	waitLimit   = 200 * time.Millisecond // of WAIT in it
	clientPause = 30 * time.Millisecond  // at most, between two writes
)

func (w *world) startClients() {
	for n := range w.shape.Masters {
		k := 0
		if n == 0 {
			k = w.shape.Master.Durability.Wait
		}
		w.startClient(n, k, false)
		w.startClient(n, 0, false)
		w.startClient(n, 0, true)
	}
}

func (w *world) startClient(n, waits int, pinned bool) {
	c := &client{
		world: w, name: fmt.Sprintf("c%d", len(w.clients)), group: n, waits: waits, pinned: pinned,
		at:     w.machines[0].addr(redisPort + n),
		random: rand.New(rand.NewPCG(w.random.Uint64(), 0)),
	}
	w.clients = append(w.clients, c)
	w.work.Go(c.run) // ends when it is stopped
}

// options are those of all clients.
func (w *world) options(addr config.Addr) *redis.Options {
	return &redis.Options{
		Addr: string(addr), Dialer: w.desk.Dial, Protocol: 2, DisableIdentity: true, PoolSize: 1, MaxRetries: -1, DialerRetries: 1,
		DialTimeout: clientLimit, ReadTimeout: clientLimit, WriteTimeout: clientLimit, ContextTimeoutEnabled: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// find asks the agents, one after the other, where the master is. It is what Sentinel's clients do; go-redis's own waits for the first of
// several answers in a way that virtual time can't pass.
func (c *client) find() {
	ctx, cancel := context.WithTimeout(context.Background(), findLimit)
	defer cancel()
	m := c.world.machines[c.random.IntN(len(c.world.machines))]
	agent := redis.NewSentinelClient(c.world.options(m.addr(sentinelPort)))
	defer agent.Close()
	if at, err := agent.GetMasterAddrByName(ctx, masterName(c.group)).Result(); err == nil {
		c.at = config.Addr(net.JoinHostPort(at[0], at[1]))
	}
}

// connect gives the client a connection to where it believes the master.
func (c *client) connect() {
	if c.redis != nil {
		_ = c.redis.Close() // it did not work
	}
	if !c.pinned {
		c.find()
	}
	c.redis = redis.NewClient(c.world.options(c.at))
}

func (w *world) stopClients() {
	for _, c := range w.clients {
		c.stopped.Store(true)
	}
}

func (c *client) run() {
	c.connect()
	defer func() { _ = c.redis.Close() }() // nothing is under way
	for i := 0; !c.stopped.Load(); i++ {
		key := fmt.Sprintf("%s-%d", c.name, i)
		replicas, err := c.write(key)
		c.world.count(func(n *Counts) {
			n.Writes++
			if err == nil {
				n.Acknowledged++
			}
		})
		if err == nil && c.waits > 0 && replicas >= c.waits {
			c.world.checks.durable.acknowledged(c.group, key)
		}
		if err != nil {
			c.connect()
		}
		time.Sleep(time.Duration(c.random.Int64N(int64(clientPause))))
	}
}

// write says how many replicas have acknowledged it, if it asked.
func (c *client) write(key string) (replicas int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), clientLimit)
	defer cancel()
	if c.waits == 0 {
		return 0, c.redis.Set(ctx, key, "v", 0).Err()
	}
	pipe := c.redis.Pipeline()
	set := pipe.Set(ctx, key, "v", 0)
	wait := pipe.Do(ctx, "WAIT", c.waits, waitLimit.Milliseconds())
	_, _ = pipe.Exec(ctx) // each command has its own error
	if set.Err() != nil {
		return 0, set.Err()
	}
	replicas, _ = wait.Int() // without an answer there is no acknowledgement
	return replicas, nil
}

func (w *world) count(f func(*Counts)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&w.counts)
}
