package sentinel

import (
	"slices"
	"time"

	"picket/config"
	"picket/consensus"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/state"
)

// managed gives the agreed masters that this agent's file names as well, or that were made known at run time. One that was taken out of the file is
// left alone: without settings and credentials there is nothing that this agent could do for it.
func (a *Agent) managed(s *state.State) []*state.Master {
	managed := make([]*state.Master, 0, len(s.Masters))
	for i := range s.Masters {
		if m := &s.Masters[i]; a.settings(m) != nil {
			managed = append(managed, m)
		}
	}
	return managed
}

// targets lists the servers to watch: what is agreed, and until then what the file says. Other coordinators are heard on the master and
// on the server beside this agent: they speak on all servers, and what one agent hears all know. Agents that
// only watch listen on all servers, to hear of a switch although the old master is gone and no server is beside them.
func (a *Agent) targets(s *state.State) []monitor.Target {
	var targets []monitor.Target
	for _, m := range a.managed(s) {
		settings := a.settings(m)
		listen := a.shadow() || settings.ForeignSentinels != config.ForeignIgnore
		targets = append(targets, monitor.Target{Addr: m.Addr, Settings: settings, IsMaster: true, Listen: listen})
		for _, r := range m.Replicas {
			targets = append(targets, monitor.Target{Addr: r, Settings: settings, Listen: listen && (r == a.local() || a.shadow())})
		}
		for _, r := range strangers(s, m, settings) {
			targets = append(targets, monitor.Target{Addr: r, Settings: settings})
		}
	}
	file := a.current().Masters
	for i := range file {
		if m := &file[i]; unmet(s, m) {
			targets = append(targets, monitor.Target{Addr: m.Address, Settings: m, IsMaster: true})
		}
	}
	return targets
}

// strangers are replicas that the file knows, of a master of which nobody has learned any yet.
func strangers(s *state.State, m *state.Master, settings *config.Master) []config.Addr {
	if len(m.Processes) > 0 || m.Epoch != 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(settings.KnownReplicas), func(r config.Addr) bool { return s.Owner(r) != nil })
}

// orphans are those of the replicas that follow a master which is down. They are known at once, or not yet: a failover chooses among those that it finds.
func orphans(m *state.Master, replicas []config.Addr, view monitor.View) []config.Addr {
	var follow []config.Addr
	for _, r := range replicas {
		switch server := view.Servers[r]; {
		case server.State == monitor.Unknown:
			return nil
		case server.State == monitor.Up && server.Last != nil && server.Last.Role == "slave" && server.Last.Master == m.Addr:
			follow = append(follow, r)
		}
	}
	return follow
}

// unmet says whether a master of the file is yet to be made known.
func unmet(s *state.State, m *config.Master) bool {
	return s.Master(m.Name) == nil && s.Owner(m.Address) == nil && !s.WasRemoved(m.Name)
}

// attended lists the servers to look at closely: those of masters that fail over or are not well.
func attended(masters []*state.Master, judged map[string]judged, view monitor.View) []config.Addr {
	var servers []config.Addr
	for _, m := range masters {
		if m.Failover != nil || unsure(m, view) || judged[m.Name].verdict.Code != monitor.Healthy {
			servers = append(append(servers, m.Addr), m.Replicas...)
		}
	}
	slices.Sort(servers)
	return servers
}

// unsure says whether it is not known yet which of a master's servers holds what: its process is not the agreed one, a replica was
// detached, or it was last seen on its way to the master.
func unsure(m *state.Master, view monitor.View) bool {
	if last := view.Servers[m.Addr].Last; last != nil && m.RunID() != "" && last.RunID != m.RunID() {
		return true
	}
	return slices.ContainsFunc(m.Replicas, func(r config.Addr) bool {
		s := view.Servers[r]
		return s.Last != nil && (s.Last.Master == failover.Silent || s.State == monitor.Up && s.Last.Role == "slave" && !s.Last.LinkUp)
	})
}

// gone lists the agents that are registered, but not members any more.
func gone(s *state.State, members []consensus.Member, now time.Time) []state.Command {
	var commands []state.Command
	for _, a := range s.Agents {
		if _, member := (consensus.Configuration{Members: members}).Member(consensus.ServerID(a.ID)); !member {
			commands = append(commands, state.Command{At: monitor.MomentOf(now), ForgetAgent: a.ID})
		}
	}
	return commands
}

// over lists the pauses whose time has passed. That they have ended is said in the log, not read off each agent's clock.
func over(s *state.State, now time.Time) []state.Command {
	var commands []state.Command
	for _, p := range s.Pauses {
		if p.Over(now) {
			commands = append(commands, state.Command{At: monitor.MomentOf(now), Resume: &state.Resume{Master: p.Master, Until: p.Until}})
		}
	}
	return commands
}

// missing lists what the leader has to make known: masters of the file, and replicas that a healthy master lists.
func missing(cfg *config.Config, s *state.State, view monitor.View, forgotten dropped) []state.Command {
	at := monitor.MomentOf(view.Now)
	var commands []state.Command
	for _, m := range cfg.Masters {
		if unmet(s, &m) {
			commands = append(commands, state.Command{At: at, AddMaster: &state.AddMaster{Name: m.Name, Addr: m.Address, Quorum: m.Quorum}})
		}
	}
	for i := range cfg.Masters {
		if m := s.Master(cfg.Masters[i].Name); m != nil && m.Failover == nil && view.Servers[m.Addr].State == monitor.Down {
			for _, r := range orphans(m, strangers(s, m, &cfg.Masters[i]), view) {
				commands = append(commands, state.Command{At: at, AddReplica: &state.AddReplica{Master: m.Name, Addr: r, Of: m.Added}})
			}
		}
	}
	for _, m := range s.Masters {
		server := view.Servers[m.Addr]
		if m.Failover != nil || server.State != monitor.Up || server.Last == nil || server.Last.Role != "master" {
			continue
		}
		for _, r := range server.Last.Replicas {
			if r.State == "online" && r.Server.Port() != 0 && s.Owner(r.Server) == nil && !server.Last.At.Before(forgotten.at[r.Server]) {
				commands = append(commands, state.Command{At: at, AddReplica: &state.AddReplica{Master: m.Name, Addr: r.Server, Of: m.Added}})
			}
		}
	}
	return commands
}
