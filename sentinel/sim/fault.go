package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"picket/sentinel/sim/model"
	"picket/sentinel/sim/network"
)

// fault is something that goes wrong at a machine, for a while.
type fault struct {
	name string
	part string // of the machine, that has one fault at a time
	// It lasts as long as the seed draws between these.
	shortest, longest time.Duration
	lossy             bool // data may be lost, whatever the persistence
	// strike makes it happen; it gives how it is undone. random belongs to this one strike.
	strike func(w *world, m *machine, random *rand.Rand) (undo func())
}

// bootTime is what it takes a process to start.
const bootTime = 30 * time.Millisecond

var faults = []fault{
	{"redis-crash", "redis", bootTime, 3 * time.Second, false, crashRedis},
	{"redis-restart", "redis", bootTime, 2 * bootTime, false, crashRedis},
	{"redis-wipe", "redis", bootTime, 2 * time.Second, true, wipeRedis},
	{"redis-hang", "redis", 0, 3 * time.Second, false, hangRedis},
	{"agent-kill", "agent", 0, 3 * time.Second, false, killAgent},
	{"agent-restart", "agent", 0, bootTime, false, killAgent},
	{"agent-freeze", "agent", 0, 3 * time.Second, false, freezeAgent},
	{"isolate", "network", 0, 4 * time.Second, false, isolate},
	{"cut", "network", 0, 4 * time.Second, false, cutPair},
	{"slow-disk", "disk", 0, 3 * time.Second, false, slowDisk},
	{"power", "power", time.Second, 4 * time.Second, true, losePower},
	{"switchover", "operator", 0, 3 * time.Second, false, switchover},
	{"receiver", "receiver", 0, 3 * time.Second, false, illReceiver},
}

// loses says whether a fault may cost a server data.
func (w *world) loses(f fault) bool {
	return f.lossy || f.part == "redis" && f.name != "redis-hang" && w.shape.Persistence != model.AOF
}

// strike lets a fault happen to a machine, unless the same part of it is faulty already; it is undone after a while, or at the end.
func (w *world) strike(f fault, m *machine, d time.Duration, random *rand.Rand, when string) {
	w.faultsMu.Lock()
	defer w.faultsMu.Unlock()
	key := f.part + " " + m.name
	if w.healed || w.faulty[key] != nil || w.faulty["power "+m.name] != nil || w.loses(f) && !w.mayLose(m) {
		return
	}
	if f.part == "power" && (w.faulty["redis "+m.name] != nil || w.faulty["agent "+m.name] != nil) {
		return // what it undoes would be undone twice
	}
	w.story.tell("FAULT", "%s at %s for %s%s", f.name, m.name, d, when)
	w.count(func(c *Counts) { c.Faults++ })
	undo := f.strike(w, m, random)
	timer := time.AfterFunc(d, func() { w.undo(key) })
	w.faulty[key] = func() {
		timer.Stop()
		w.story.tell("FAULT", "%s at %s is over", f.name, m.name)
		undo()
	}
}

func (w *world) undo(key string) {
	w.faultsMu.Lock()
	defer w.faultsMu.Unlock()
	if undo := w.faulty[key]; undo != nil {
		delete(w.faulty, key)
		undo()
	}
}

// mayLose says whether a machine's servers may lose data: as few machines may as are promised to be survived. It is called with faultsMu held.
func (w *world) mayLose(m *machine) bool {
	k := w.shape.Master.Durability.Wait
	if k == 0 || w.losers[m] {
		return true
	}
	if len(w.losers) == k {
		return false
	}
	w.losers[m] = true
	return true
}

// heal ends all faults.
func (w *world) heal() {
	w.faultsMu.Lock()
	w.healed = true
	var keys []string
	for key := range w.faulty {
		keys = append(keys, key)
	}
	w.faultsMu.Unlock()
	w.story.tell("sim", "all faults end")
	time.Sleep(time.Second) // what was stopped a moment ago needs its time to start
	for _, key := range keys {
		w.undo(key)
	}
}

func crashRedis(w *world, m *machine, random *rand.Rand) func() {
	n := random.IntN(len(m.redis))
	w.excuses.begin(m, booting)
	m.redis[n].Crash()
	if n == 0 {
		w.checks.writer.died(m)
	}
	return func() { m.startRedis(n) }
}

func wipeRedis(w *world, m *machine, random *rand.Rand) func() {
	undo := crashRedis(w, m, random)
	for _, r := range m.redis {
		if !r.Running() {
			r.Wipe()
		}
	}
	return undo
}

func (m *machine) startRedis(n int) {
	if err := m.redis[n].Start(); err != nil {
		panic(err) // it was stopped by this fault, and nobody else listens there
	}
	m.world.excuses.end(m, booting)
}

func hangRedis(w *world, m *machine, random *rand.Rand) func() {
	r := m.redis[random.IntN(len(m.redis))]
	w.excuses.begin(m, waking)
	r.Hang()
	return func() {
		r.Wake()
		w.excuses.end(m, waking)
	}
}

func killAgent(w *world, m *machine, _ *rand.Rand) func() {
	w.excuses.begin(m, alone)
	m.killAgent()
	return func() {
		m.startAgent()
		w.excuses.end(m, alone)
	}
}

func freezeAgent(w *world, m *machine, _ *rand.Rand) func() {
	p := m.agent.Load().process
	w.excuses.begin(m, alone)
	p.Freeze()
	return func() {
		p.Thaw()
		w.excuses.end(m, alone)
	}
}

// isolate cuts a machine off all others, and perhaps off the clients, in one direction or in both.
func isolate(w *world, m *machine, random *rand.Rand) func() {
	var others []*network.Host
	for _, o := range w.machines {
		if o != m {
			others = append(others, o.host)
		}
	}
	if random.IntN(2) == 0 {
		others = append(others, w.office)
	}
	return w.block(m.host, others, random)
}

// cutPair cuts a machine off one other.
func cutPair(w *world, m *machine, random *rand.Rand) func() {
	o := w.machines[random.IntN(len(w.machines))]
	if o == m {
		return func() {}
	}
	return w.block(m.host, []*network.Host{o.host}, random)
}

func (w *world) block(h *network.Host, others []*network.Host, random *rand.Rand) func() {
	way := random.IntN(4) // 0: from it, 1: to it, others: both
	each := func(f func(from, to *network.Host)) {
		for _, o := range others {
			if way != 1 {
				f(h, o)
			}
			if way != 0 {
				f(o, h)
			}
		}
	}
	each(w.net.Block)
	return func() { each(w.net.Open) }
}

func slowDisk(_ *world, m *machine, random *rand.Rand) func() {
	was := m.slow.Swap(int64(20*time.Millisecond) + random.Int64N(int64(300*time.Millisecond)))
	return func() { m.slow.Store(was) }
}

func losePower(w *world, m *machine, random *rand.Rand) func() {
	w.excuses.begin(m, alone)
	w.excuses.begin(m, booting)
	m.losePower(random)
	w.checks.writer.died(m)
	return func() {
		m.host.Up()
		for n := range m.redis {
			m.startRedis(n)
		}
		m.startAgent()
		w.excuses.end(m, alone)
	}
}

// switchover asks an agent to hand a master over.
func switchover(w *world, m *machine, random *rand.Rand) func() {
	n := random.IntN(w.shape.Masters)
	a := m.agent.Load()
	if a == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.work.Go(func() { // ends with the fault at the latest
		if !a.Alive() {
			return // it has just been started
		}
		if err := a.Failover(ctx, masterName(n)); err != nil {
			w.story.tell(m.name, "asked for a switchover of %s: %v", masterName(n), err)
		}
	})
	return cancel
}

func illReceiver(w *world, _ *machine, random *rand.Rand) func() {
	w.receiver.ill.Store(&illness{kind: random.IntN(illnesses), master: masterName(random.IntN(w.shape.Masters))})
	return func() { w.receiver.ill.Store(nil) }
}

func describe(e model.Event) string {
	what := map[model.EventKind]string{
		model.Promoted: "promoted", model.Followed: "told to follow", model.Replaced: "full resync from", model.Continued: "partial resync from",
	}[e.Kind]
	if e.Kind == model.Replaced {
		return fmt.Sprintf("%s %s: %d keys in place of %d", what, e.Master, e.After, e.Before)
	}
	return fmt.Sprintf("%s %s at offset %d", what, e.Master, e.Offset)
}
