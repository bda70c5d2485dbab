package sentinel

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/state"
)

// A master that crashes may come back at once, with nothing in it, and its replicas attach themselves to it and throw away what they
// hold: a replica looks for its master once a second. So they are detached at the first sign of the crash, each by the agent beside it,
// long before it is known what happened. A replica keeps its history then; when the master is found to be what it was, or to hold
// all that the replica holds, the leader attaches it again, which takes a partial resync. Nobody else does, because another leader may have
// begun to count the detached ones.

const (
	// firewallTries and firewallPause: how long a replica is given to see that its link is broken, where it is.
	firewallTries = 10
	firewallPause = 2 * time.Millisecond
	// firewallLimit bounds one of the looks.
	firewallLimit = 200 * time.Millisecond
	// promoted is how long a new master's broken connections mean nothing: its clients are disconnected when it is promoted, and its
	// replicas have no link to it yet.
	promoted = time.Second
)

// saw hears from the monitor. It is called from the monitor's goroutine.
func (a *Agent) saw(e monitor.Event) {
	if e.Server.Addr == a.local() {
		a.sidecar.offer(func(*sidecar) {}) // have it look
	}
	switch e.Kind {
	case monitor.StallBegun:
		a.metrics.Stalled()
	case monitor.MasterLost, monitor.MasterRefuses, monitor.ServerReboot:
		a.shield(e)
		a.recall(e)
	}
	a.herald.seen(e)
}

// shield keeps the replicas that this agent answers for from a master that may have crashed: the one beside it, and where it leads those
// that have no agent.
func (a *Agent) shield(e monitor.Event) {
	if e.Kind == monitor.MasterLost && e.At.Sub(e.Server.RoleSince) < promoted {
		return
	}
	s := a.machine.State()
	m := s.Owner(e.Server.Addr)
	if m == nil || m.Addr != e.Server.Addr || !a.guards(s, a.monitor.View(), m) {
		return
	}
	leads := a.status.Load().Leader == a.status.Load().ID
	for _, r := range m.Replicas {
		if (r == a.local() || leads && s.Beside(r) == nil) && !leaves(m, r) {
			a.shields.offer(shielding{master: m, replica: r, follows: m.Addr, rebooted: e.Kind == monitor.ServerReboot, at: a.now()}, r == a.local())
		}
	}
}

// leaves says whether a replica has been detached by the leader, which is about to promote it. In a hand-over it follows up to the last moment.
func leaves(m *state.Master, replica config.Addr) bool {
	return m.Failover != nil && m.Failover.Target == replica && !m.Failover.HandOver
}

// recall keeps the replica beside this agent from whom it must not follow, when one of the two was restarted: it follows whom its file names, until
// the leader tells it better.
func (a *Agent) recall(e monitor.Event) {
	s, view, local := a.machine.State(), a.monitor.View(), a.local()
	m, replica := s.Owner(local), view.Servers[local].Last
	if e.Server.Addr == local {
		replica = e.Server.Last
	}
	if e.Kind != monitor.ServerReboot || m == nil || replica == nil || e.Server.Addr != local && e.Server.Addr != replica.Master ||
		!a.guards(s, view, m) || !strays(m, view, replica, a.settings(m).Durability.Wait > 0) {
		return
	}
	a.shields.offer(shielding{master: m, replica: local, follows: replica.Master, rebooted: true, at: a.now()}, true)
}

// strays says whether a replica follows whom it must not: a former master, or one that is being replaced, may have lost everything. Where writes are
// waited for, the master itself must not count the word of one that is not known yet: the next failover would not ask it.
func strays(m *state.Master, view monitor.View, replica *monitor.Observation, waited bool) bool {
	switch {
	case replica.Role != "slave" || replica.Master == failover.Silent || leaves(m, replica.Server):
		return false
	case replica.Master != m.Addr:
		return !failover.Cascades(view, m.Replicas, replica.Master)
	case m.Failover != nil && m.Failover.Cause == failover.CauseDown && m.Failover.Phase < failover.Switched:
		return true
	}
	return waited && m.Process(replica.Server) == nil
}

// guards says whether this agent may detach replicas of a master.
func (a *Agent) guards(s *state.State, view monitor.View, m *state.Master) bool {
	return a.settings(m) != nil && a.settings(m).EmptyMaster != config.EmptyAccept && paused(look{state: s, now: a.now()}, m) == nil &&
		len(failover.Feared(view, a.settings(m), m.Addr, m.Replicas)) == 0
}

// shielding is one replica that may have to be kept from its master.
type shielding struct {
	master   *state.Master
	replica  config.Addr
	follows  config.Addr // whom it is kept from
	rebooted bool        // the master's process is another one: whether the replica has noticed does not matter
	at       time.Time   // when that was seen
}

const (
	// shieldsAtOnce bounds how many replicas are seen to side by side: one that hangs must not keep the others waiting.
	shieldsAtOnce = 16
	// shieldLate is how old the sign of a crash may be. What is to be done about an older one, the leader knows better.
	shieldLate = time.Second
)

// shields are what waits to be carried out. The server beside this agent does not wait for others at all.
type shields struct{ beside, elsewhere chan shielding }

// maxShields bounds what waits: every master of an agent that is beside none of them could crash at once.
const maxShields = 1024

func newShields() shields {
	return shields{make(chan shielding, maxShields), make(chan shielding, maxShields)}
}

func (s shields) offer(one shielding, beside bool) {
	queue := s.elsewhere
	if beside {
		queue = s.beside
	}
	select {
	case queue <- one:
	default: // the cut of the failover comes later
	}
}

// firewall detaches replicas until ctx ends.
func (a *Agent) firewall(ctx context.Context) {
	var both sync.WaitGroup
	both.Go(func() { a.fend(ctx, a.shields.beside) })
	both.Go(func() { a.fend(ctx, a.shields.elsewhere) })
	both.Wait()
}

func (a *Agent) fend(ctx context.Context, queue <-chan shielding) {
	var group errgroup.Group // each ends within firewallLimit
	group.SetLimit(shieldsAtOnce)
	defer func() { _ = group.Wait() }() // they tell what failed
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-queue:
			if a.now().Sub(s.at) > shieldLate {
				continue
			}
			group.Go(func() error {
				cut, err := a.detach(ctx, s)
				if cut || err != nil {
					a.herald.shielded(ctx, s.master.Name, s.replica, err)
				}
				return nil
			})
		}
	}
}

// detach cuts a replica off its master if it has lost it, too. One that still hears its master has it alive.
func (a *Agent) detach(ctx context.Context, s shielding) (cut bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, firewallLimit)
	defer cancel()
	for range firewallTries {
		o, _, err := a.redis.Do(ctx, s.master.Name, failover.Action{Kind: failover.Read, Server: s.replica})
		if err != nil {
			return false, err
		}
		if o.Role != "slave" || o.Master != s.follows {
			return false, nil // it follows somebody else already
		}
		if !o.LinkUp || s.rebooted {
			_, _, err = a.redis.Do(ctx, s.master.Name, failover.Action{Kind: failover.Cut, Server: s.replica})
			return err == nil, err
		}
		pause(ctx, firewallPause)
	}
	return false, nil
}

// A master that fell silent may have lost its power, or be behind a partition: its replicas' links seem to be up, and break only when it is back,
// perhaps with less than it had. Where a leader is known it has them detached in time; where there is none, each agent sees to the one beside it.

const (
	// forsakeEvery separates tries to detach a replica from a master that fell silent.
	forsakeEvery = 500 * time.Millisecond
	// fedWithin is how long a replica is watched for anything that it receives.
	fedWithin = 100 * time.Millisecond
)

// forsaken says whether the replica of a master is on its own, as far as an agent without a leader can tell.
func forsaken(m *state.Master, view monitor.View, replica config.Addr) bool {
	master, last := view.Servers[m.Addr], view.Servers[replica].Last
	return view.Servers[replica].State == monitor.Up && master.State == monitor.Down && (master.Evidence == monitor.TimedOut || master.Evidence == monitor.Unreachable) &&
		last != nil && last.Role == "slave" && last.Master == m.Addr && !leaves(m, replica)
}

// bereft says whether the replica of a master that is dead has lost it, and is to be detached still: where that was tried at the first sign of the
// crash the replica may not have noticed yet, or this agent may have come later.
func bereft(m *state.Master, view monitor.View, replica config.Addr) bool {
	master, last := view.Servers[m.Addr], view.Servers[replica].Last
	return view.Servers[replica].State == monitor.Up && master.State == monitor.Down && master.Evidence == monitor.Refused &&
		last != nil && last.Role == "slave" && last.Master == m.Addr && !last.LinkUp && !leaves(m, replica)
}

// astray gives the replica of its own that the master follows: a master that was started with a file from before it was one. Until the leader
// has opened it, or has promoted another one, it must not take over what that one has.
func astray(m *state.Master, view monitor.View) (follows config.Addr, yes bool) {
	last := view.Servers[m.Addr].Last
	if last == nil || last.Role != "slave" || !slices.Contains(m.Replicas, last.Master) || m.Failover != nil && m.Failover.Target == last.Master {
		return "", false
	}
	return last.Master, true
}

// forsake detaches the server beside this agent: a replica from a master that is dead, or fell silent, unless it still receives something; the
// master from its own replica.
func (s *sidecar) forsake(ctx context.Context, m *state.Master) {
	st, view, local := s.a.machine.State(), s.a.monitor.View(), s.a.local()
	follows, lost := astray(m, view)
	one := shielding{master: m, replica: local, follows: follows, rebooted: true}
	if lost = lost && m.Addr == local; !lost && bereft(m, view, local) {
		lost, one.follows, one.rebooted = true, m.Addr, false
	}
	if !lost && (s.a.status.Load().Leader != "" || !forsaken(m, view, local)) || !s.a.guards(st, view, m) {
		return
	}
	s.try("forsake", forsakeEvery, func() error {
		ctx, cancel := context.WithTimeout(ctx, fenceLimit)
		defer cancel()
		var cut bool
		var err error
		if lost {
			cut, err = s.a.detach(ctx, one)
		} else {
			cut, err = s.a.unfed(ctx, m, local)
		}
		if cut || err != nil {
			s.a.herald.shielded(ctx, m.Name, local, err)
		}
		return err
	})
}

// unfed detaches a replica that receives nothing.
func (a *Agent) unfed(ctx context.Context, m *state.Master, replica config.Addr) (cut bool, err error) {
	before, _, err := a.redis.Do(ctx, m.Name, failover.Action{Kind: failover.Read, Server: replica})
	if err != nil {
		return false, err
	}
	pause(ctx, fedWithin)
	now, _, err := a.redis.Do(ctx, m.Name, failover.Action{Kind: failover.Read, Server: replica})
	if err != nil || now.Role != "slave" || now.Master != m.Addr || now.Received > before.Received || a.status.Load().Leader != "" {
		return false, err
	}
	_, _, err = a.redis.Do(ctx, m.Name, failover.Action{Kind: failover.Cut, Server: replica})
	return err == nil, err
}
