package picture

import (
	"cmp"
	"fmt"
	"time"
)

// Status is Sentinel's word for how a master is.
func (m *Master) Status() string {
	switch {
	case m.ODown:
		return "odown"
	case m.Server.Down:
		return "sdown"
	}
	return "ok"
}

// Silence is for how long a server has given no valid answer. One that never did has kept us waiting since it is watched.
func (s *Server) Silence(at time.Time) time.Duration {
	return max(0, at.Sub(cmp.Or(s.Watch.LastOK, s.Watch.Since)))
}

// Unlisted says whether a replica does not want to be shown to clients.
func (s *Server) Unlisted() bool { return s.Last != nil && s.Last.Unlisted }

// CheckQuorum says in Sentinel's words whether enough agents are there for a failover of the master.
func (p *Picture) CheckQuorum(m *Master) (text string, enough bool) {
	usable := 0
	for _, a := range p.Agents {
		if a.Self || a.Up {
			usable++
		}
	}
	problem := ""
	if usable < m.Quorum {
		problem = "Not enough available Sentinels to reach the specified quorum for this master"
	}
	if usable < len(p.Agents)/2+1 {
		if problem != "" {
			problem += ". "
		}
		problem += "Not enough available Sentinels to reach the majority and authorize a failover"
	}
	if problem != "" {
		return fmt.Sprintf("NOQUORUM %d usable Sentinels. %s", usable, problem), false
	}
	return fmt.Sprintf("OK %d usable Sentinels. Quorum and failover authorization can be reached", usable), true
}
