package sentinel

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"picket/config"
	"picket/consensus"
	"picket/monitor"
	"picket/sentinel/state"
)

const (
	// discoverEvery is how often a leader compares what it sees with what is agreed.
	discoverEvery = 250 * time.Millisecond
	// registerRetry is the pause after a registration that did not get through.
	registerRetry = 500 * time.Millisecond
	// proposals that are under way at a time: they share the log's syncs.
	proposals = 16
)

// discover makes masters and replicas known, and ends pauses whose time is over, while this agent leads a term.
func (a *Agent) discover(ctx context.Context, term consensus.Term) {
	tick := time.NewTicker(discoverEvery)
	defer tick.Stop()
	dropped := newDropped()
	for {
		dropped.follow(a.managed(a.machine.State()), a.now())
		var group errgroup.Group // one for each command; the term's end ends them
		group.SetLimit(proposals)
		agreed := a.machine.State()
		wanted := slices.Concat(missing(a.current(), agreed, a.monitor.View(), dropped), gone(agreed, a.node.Status().Members, a.now()), over(agreed, a.now()))
		wanted = append(wanted, a.processes(ctx, dropped)...)
		for _, c := range wanted {
			group.Go(func() error { return a.propose(ctx, term, c) })
		}
		a.herald.failed(ctx, "make servers known", "", group.Wait())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// processes lists what is to be registered.
func (a *Agent) processes(ctx context.Context, gone dropped) []state.Command {
	var commands []state.Command
	l := a.look()
	a.compare(ctx, l.masters, l.view)
	for _, m := range l.masters {
		commands = append(commands, moved(m, l.view)...)
		for _, p := range unregistered(m, l.view, a.verdict(l, m), gone) {
			if owner := l.state.Owner(p.Addr); owner != nil && owner != m {
				continue // it was told by hand to follow this master; it is another one's
			}
			commands = append(commands, state.Command{At: monitor.MomentOf(l.now), Register: &state.Register{Master: m.Name, Process: p}})
		}
	}
	return commands
}

// propose has a command committed in a term, or in any term if that is 0.
func (a *Agent) propose(ctx context.Context, term consensus.Term, c state.Command) error {
	data, err := c.Encode()
	if err != nil {
		return err
	}
	var result consensus.Result
	if term == 0 {
		result, err = a.node.Propose(ctx, data)
	} else {
		result, err = a.node.ProposeAt(ctx, term, data)
	}
	if err != nil {
		return err
	}
	refusal, _ := result.Value.(error)
	return refusal
}

// register makes this agent known to the group, by way of the leader, and again whenever that is not what is agreed.
func (a *Agent) register(ctx context.Context) {
	for ctx.Err() == nil {
		changed := a.machine.Changed()
		if known := a.machine.State().Agent(a.cfg.Agent.ID); known != nil && *known == a.whoami() {
			select {
			case <-ctx.Done():
			case <-changed:
			case <-a.beside.located:
			}
			continue
		}
		identity := a.whoami()
		limit, cancel := context.WithTimeout(ctx, registryTimeout) // the leader's answer may be lost on its way
		err := a.propose(limit, 0, state.Command{At: monitor.MomentOf(a.now()), RegisterAgent: &identity})
		cancel()
		a.herald.failed(ctx, "register this agent", "", err)
		if err != nil {
			pause(ctx, registerRetry)
		}
	}
}

// pause waits, but not longer than ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// identity is how this agent can be reached.
func identity(cfg *config.Config, boot uint64) state.Agent {
	agent := state.Agent{
		ID: cfg.Agent.ID, Host: cfg.Announce.Host, SentinelPort: cfg.Announce.SentinelPort, Local: cfg.Local, Zone: cfg.Agent.Zone, Boot: boot,
	}
	for _, p := range cfg.Agents {
		if p.ID == cfg.Agent.ID {
			agent.Peer = p.Address
		}
	}
	if agent.Host == "" {
		agent.Host = agent.Peer.Host()
	}
	if agent.SentinelPort == 0 {
		agent.SentinelPort = cfg.Listen.SentinelPort()
	}
	return agent
}
