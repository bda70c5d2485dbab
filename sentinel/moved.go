package sentinel

import (
	"net/netip"
	"time"

	"picket/config"
	"picket/monitor"
	"picket/sentinel/state"
)

// namesSettle is how long a replica that is known by a name must be down until another address takes its place: its name may lead to that one soon.
const namesSettle = 15 * time.Second

// moved lists what a group knows twice: replicas that are at another address by now, as their run ids tell, and the master itself where it is known as
// a replica, too. Its replicas' own list says which address counts, so that what is dropped does not come back with the next look.
func moved(m *state.Master, view monitor.View) []state.Command {
	master := view.Servers[m.Addr]
	if m.Failover != nil || master.State != monitor.Up || master.Last == nil || master.Last.Role != "master" {
		return nil
	}
	var commands []state.Command
	for _, from := range m.Replicas {
		if lists(master.Last, from) {
			continue
		}
		if to, runID := successor(m, view, from); to != "" {
			commands = append(commands, state.Command{
				At: monitor.MomentOf(view.Now), Move: &state.MoveReplica{Master: m.Name, From: from, To: to, RunID: runID},
			})
		}
	}
	return commands
}

// successor finds the address at which a process is that was known at another one; empty: there is none.
func successor(m *state.Master, view monitor.View, from config.Addr) (to config.Addr, runID string) {
	was := view.Servers[from]
	known := processAt(m, from)
	if was.Last != nil {
		known.RunID = was.Last.RunID
	}
	if known.RunID == "" || was.State == monitor.Unknown || was.State == monitor.Down && named(from) && view.Now.Sub(was.Since) < namesSettle {
		return "", ""
	}
	for _, a := range append([]config.Addr{m.Addr}, m.Replicas...) {
		is := view.Servers[a]
		if a == from || is.State != monitor.Up || is.Last == nil || is.Last.RunID != known.RunID {
			continue
		}
		if (a == m.Addr || lists(view.Servers[m.Addr].Last, a)) && !m.Unanswered(from, a, known.RunID) {
			return a, known.RunID
		}
	}
	return "", ""
}

// named says whether an address has a host name.
func named(a config.Addr) bool {
	_, err := netip.ParseAddr(a.Host())
	return err != nil
}
