package sim

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"picket/config"
	"picket/consensus/vfs"
	"picket/sentinel/picture"
	"picket/sentinel/sim/model"
	"picket/sentinel/sim/network"
)

// world is one run.
type world struct {
	opts     Options
	shape    Shape
	random   *rand.Rand // of the run's own goroutine
	story    *story
	net      *network.Network
	machines []*machine
	clients  []*client
	office   *network.Host // where clients and the receiver are
	desk     *network.Process
	receiver *receiver
	checks   checks
	excuses  *excuses
	traps    *traps

	processes sync.WaitGroup // agents
	work      sync.WaitGroup // clients, and faults that end by themselves

	mu         sync.Mutex
	violations []string
	counts     Counts

	faultsMu sync.Mutex
	faulty   map[string]func() // what is wrong now, by part and machine, and how to end it
	healed   bool
	losers   map[*machine]bool // whose servers may have lost data
}

const (
	redisPort    = 6379 // of the first master's servers; the others' follow
	sentinelPort = 26379
	peerPort     = 26380
	hookPort     = 8080
)

func newWorld(opts Options, shape Shape, random *rand.Rand) *world {
	w := &world{
		opts: opts, shape: shape, random: random, net: network.New(opts.Seed), faulty: map[string]func(){}, losers: map[*machine]bool{}, excuses: newExcuses(),
		story: &story{start: time.Now()},
	}
	w.story.heard = w.heard
	w.office = w.net.Host("10.0.0.100")
	w.desk = w.office.Process()
	w.checks = newChecks(w)
	w.traps = &traps{}
	for i := range shape.Machines {
		w.machines = append(w.machines, w.machine(i))
	}
	for _, m := range w.machines {
		m.config = w.config(m)
	}
	return w
}

// machine makes one with its Redis servers, which are not started.
func (w *world) machine(i int) *machine {
	m := &machine{
		world: w, name: fmt.Sprintf("h%d", i+1), host: w.net.Host(fmt.Sprintf("10.0.0.%d", i+1)), files: vfs.NewMem(),
		clock: clock{
			start: time.Now(), offset: time.Duration(w.random.Int64N(int64(time.Minute))) - 30*time.Second,
			speed: slowest + w.random.Float64()*(fastest-slowest),
		},
	}
	m.slow.Store(int64(100*time.Microsecond) + w.random.Int64N(int64(time.Millisecond)))
	process := m.host.Process()
	for n := range w.shape.Masters {
		args := map[string]string{"repl-diskless-sync-delay": "0"}
		args["replica-priority"] = []string{"100", "100", "10"}[w.random.IntN(3)]
		if i > 0 {
			args["replicaof"] = fmt.Sprintf("10.0.0.1 %d", redisPort+n)
		}
		m.redis = append(m.redis, model.New(model.Config{
			Addr: string(m.addr(redisPort + n)), Network: wire{process}, Persistence: w.shape.Persistence, Args: args,
			Seed: w.random.Uint64(), Observe: func(e model.Event) { w.checks.redis(m, n, e) },
		}))
	}
	return m
}

// masterName is what the servers of one group are called.
func masterName(n int) string { return []string{"cache", "sessions"}[n] }

func (w *world) config(m *machine) config.Config {
	c := config.Default()
	c.Cluster = "sim"
	c.Agent.ID, c.Agent.DataDir = "agent-"+m.name, "/data"
	c.Listen = config.Listen{Sentinel: m.addr(sentinelPort), Peers: m.addr(peerPort)}
	c.Local = m.addr(redisPort)
	for _, other := range w.machines {
		c.Agents = append(c.Agents, config.Peer{ID: "agent-" + other.name, Address: other.addr(peerPort)})
	}
	for n := range w.shape.Masters {
		settings := w.shape.Master
		settings.Name, settings.Address = masterName(n), w.machines[0].addr(redisPort+n)
		if n > 0 {
			settings.Durability.Wait = 0
		}
		c.Masters = append(c.Masters, settings)
	}
	hook := config.DefaultWebhook()
	hook.Name, hook.URL, hook.Timeout = "office", fmt.Sprintf("http://%s:%d/", w.office.Addr(), hookPort), time.Second
	hook.Secret = "whsec_bm90IGEgc2VjcmV0OiByZXBsYWNlIHRoaXMga2V5"
	c.Webhooks = []config.Webhook{hook}
	return c
}

// bootLimit is when the system must have come up.
const bootLimit = 20 * time.Second

// boot starts everything and waits until all is well; false: it did not become so.
func (w *world) boot() bool {
	w.receiver = newReceiver(w)
	for _, m := range w.machines {
		for _, r := range m.redis {
			if err := r.Start(); err != nil {
				panic(err) // nobody else listens there
			}
		}
	}
	for _, m := range w.machines {
		m.startAgent()
	}
	if why := w.await(bootLimit, w.restless); why != "" {
		w.violate("the system did not come up: %s", why)
		return false
	}
	w.story.tell("sim", "all is well")
	w.checks.hooks.begin()
	w.startClients()
	return true
}

// await waits until f finds nothing wrong; it gives what f found last.
func (w *world) await(limit time.Duration, f func() string) (why string) {
	for end := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		if why = f(); why == "" || time.Now().After(end) {
			return why
		}
	}
}

// restless says what is not as it should be when all is well; empty: nothing.
func (w *world) restless() string {
	for n := range w.shape.Masters {
		var master config.Addr
		for _, m := range w.machines {
			at, why := m.restless(n)
			if why == "" && master != "" && at != master {
				why = fmt.Sprintf("it says that the master is %s, another one says %s", at, master)
			}
			if why != "" {
				return fmt.Sprintf("%s, %s: %s", m.name, masterName(n), why)
			}
			master = at
		}
		if why := w.replicated(n, master); why != "" {
			return fmt.Sprintf("%s: %s", masterName(n), why)
		}
	}
	return ""
}

// restless says where an agent sees the master, and what is wrong about it.
func (m *machine) restless(n int) (master config.Addr, why string) {
	a := m.agent.Load()
	if a == nil || !a.Alive() {
		return "", "the agent does not run"
	}
	p := a.Picture()
	var is *picture.Master
	for i := range p.Masters {
		if p.Masters[i].Name == masterName(n) {
			is = &p.Masters[i]
		}
	}
	switch {
	case is == nil:
		return "", "the master is not known yet"
	case p.Leader == "":
		return "", "there is no leader"
	case p.Listening:
		return "", "the agent still listens for other coordinators"
	case is.Failover != nil:
		return "", fmt.Sprintf("a failover is not over: %+v; blocked by %+v", *is.Failover, is.Blocker)
	case len(is.Replicas) != len(m.world.machines)-1:
		return "", fmt.Sprintf("%d replicas are known", len(is.Replicas))
	case is.Server.Last != nil && is.Server.Last.Fence != 0:
		return "", fmt.Sprintf("the master has min-replicas-to-write %d, which is a fence", is.Server.Last.Fence)
	case is.Verdict.Code != "Healthy":
		return "", fmt.Sprintf("the verdict is %s: %s; blocked by %+v", is.Verdict.Code, is.Verdict.Text, is.Blocker)
	}
	return is.Server.Addr, ""
}

// master is the machine of the agreed master, when all is well.
func (w *world) master(n int) *machine {
	at, _ := w.machines[0].restless(n)
	return w.at(at, "", w.machines[0])
}

// replicated says what is wrong with the servers themselves.
func (w *world) replicated(n int, master config.Addr) string {
	var is model.Status
	for _, m := range w.machines {
		if m.addr(redisPort+n) == master {
			is = m.redis[n].Status()
		}
	}
	if is.Role != "master" {
		return fmt.Sprintf("%s should be the master, and is %q", master, is.Role)
	}
	for _, m := range w.machines {
		r := m.redis[n].Status()
		switch {
		case m.redis[n].Addr() == string(master):
		case r.Role != "slave" || !r.LinkUp || r.ReplID != is.ReplID: // it may follow by way of another replica
			return fmt.Sprintf("%s does not follow the master %s: %+v", m.redis[n].Addr(), master, r)
		}
	}
	return ""
}

// settleLimit is when the system must have come to rest after the faults.
const settleLimit = 40 * time.Second

// settle waits until all is well again, and has the checkers look at what is left.
func (w *world) settle() {
	o := operator{world: w}
	if why := w.await(settleLimit, func() string {
		o.look()
		return w.restless()
	}); why != "" {
		w.violate("the system did not come to rest in %s: %s", settleLimit, why)
		return
	}
	w.story.tell("sim", "all is well again")
	w.stopClients()
	if why := w.await(settleLimit, w.restless); why != "" {
		w.violate("the system lost its rest: %s", why)
		return
	}
	w.checks.end()
}

// end stops everything that runs.
func (w *world) end() {
	w.stopClients()
	for _, m := range w.machines {
		m.killAgent()
		for _, r := range m.redis {
			r.Crash()
		}
	}
	w.receiver.close()
	w.desk.Kill()
	w.processes.Wait()
	w.work.Wait()
	time.Sleep(poolEnd)
}

// poolEnd is more than go-redis takes to find that a pool which was looking for its server is closed.
const poolEnd = 2 * time.Second
