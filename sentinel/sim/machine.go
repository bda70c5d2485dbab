package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"

	"github.com/rs/zerolog"

	"picket/config"
	"picket/consensus/vfs"
	"picket/sentinel"
	"picket/sentinel/sim/model"
	"picket/sentinel/sim/network"
)

// machine is a host with a Redis for each master, and an agent.
type machine struct {
	world  *world
	name   string
	host   *network.Host
	redis  []*model.Server // by master
	files  *vfs.Mem        // of the agent
	slow   atomic.Int64    // how long a sync takes
	clock  clock
	config config.Config

	agent atomic.Pointer[running] // nil: none
	lives int                     // of the agent
}

// running is one life of an agent.
type running struct {
	*sentinel.Agent
	process *network.Process
	stop    context.CancelFunc
	killed  atomic.Bool
}

// wire is the network as a Redis has it. It implements model.Network.
type wire struct{ *network.Process }

func (w wire) Listen(addr string) (net.Listener, error) { return w.Process.Listen("tcp", addr) }

func (w wire) Dial(ctx context.Context, addr string) (net.Conn, error) {
	return w.Process.Dial(ctx, "tcp", addr)
}

// startAgent begins a life.
func (m *machine) startAgent() {
	m.lives++
	r := &running{process: m.host.Process()}
	log := zerolog.New(m.world.story.of(m, r)).With().Int("life", m.lives).Logger()
	if !m.world.opts.Debug {
		log = log.Level(zerolog.InfoLevel)
	}
	agent, err := sentinel.New(&m.config, sentinel.Host{
		FS:     disk{fs: m.files, process: r.process, slow: &m.slow},
		Listen: r.process.Listen, Dial: r.process.Dial, Now: m.clock.of(r.process),
	}, log, "sim")
	if err != nil {
		panic(fmt.Sprintf("sim: a configuration that no agent can be made of: %v", err))
	}
	r.Agent = agent
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	m.agent.Store(r)
	m.world.processes.Go(func() { // ends when the agent is stopped or killed
		err := agent.Run(ctx)
		if err != nil && !r.killed.Load() {
			m.world.violate("%s: the agent has ended by itself: %v", m.name, err)
		}
	})
}

// killAgent is kill -9.
func (m *machine) killAgent() {
	if r := m.agent.Swap(nil); r != nil {
		r.killed.Store(true)
		r.process.Kill()
		m.files.Kill()
		r.stop()
	}
}

// losePower ends everything on the machine, and what was not synced is lost in parts.
func (m *machine) losePower(random *rand.Rand) {
	m.host.Down()
	for _, r := range m.redis {
		r.LosePower()
	}
	m.killAgent()
	m.files.Crash(random)
}

// addr is where a port of the machine is reached.
func (m *machine) addr(port int) config.Addr { return config.NewAddr(m.host.Addr(), port) }
