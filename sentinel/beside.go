package sentinel

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/state"
)

// beside is the Redis beside this agent. The file may name it as this host sees it, by 127.0.0.1 or another name: then it is the server that
// the group knows by another address, and that is the same process.
type beside struct {
	known   atomic.Pointer[config.Addr] // by the group; nil: as the file says
	located chan struct{}               // holds one element when that has changed
}

// locateEvery is how often it is tried to find out who the Redis beside this agent is, while nobody knows its address.
const locateEvery = time.Second

// local is the Redis beside this agent, as the group knows it, if it does; empty: there is none.
func (a *Agent) local() config.Addr {
	if known := a.beside.known.Load(); known != nil {
		return *known
	}
	return a.names.Known(a.cfg.Local)
}

// whoami is how this agent makes itself known.
func (a *Agent) whoami() state.Agent {
	me := a.identity
	me.Local = a.local()
	if host := a.rules.own.parameter(announceIP); host != "" {
		me.Host = host
	}
	if port, err := strconv.Atoi(a.rules.own.parameter(announcePort)); err == nil && port != 0 {
		me.SentinelPort = port
	}
	return me
}

// locate asks the Redis beside this agent who it is, and looks for the same process among the servers that are watched.
func (s *sidecar) locate(ctx context.Context) {
	s.try("locate", locateEvery, func() error {
		ctx, cancel := context.WithTimeout(ctx, fenceLimit)
		defer cancel()
		masters := s.a.managed(s.a.machine.State())
		if len(masters) == 0 {
			return nil // nothing is agreed yet
		}
		o := s.whois(ctx, masters)
		if o == nil {
			return nil
		}
		for _, m := range masters {
			if addr := twin(m, s.a.monitor.View(), o.RunID); addr != "" {
				s.a.beside.known.Store(&addr)
				s.a.herald.located(m.Name, addr, s.a.cfg.Local)
				select {
				case s.a.beside.located <- struct{}{}:
				default:
				}
				return nil
			}
		}
		s.offer(func(s *sidecar) { s.lost() })
		return nil
	})
}

// whois asks with the user and password of each master, which may be different; nil: none was right, or the server does not answer.
func (s *sidecar) whois(ctx context.Context, masters []*state.Master) *monitor.Observation {
	for _, m := range masters {
		if o, _, err := s.a.redis.Do(ctx, m.Name, failover.Action{Kind: failover.Read, Server: s.a.cfg.Local}); err == nil {
			return o
		}
	}
	return nil
}

// strangeAfter is how often in a row the Redis beside this agent must be a stranger until that is told: a new replica is not known at once.
const strangeAfter = 10

// lost tells once that the Redis beside this agent is none of those that are watched.
func (s *sidecar) lost() {
	if s.strange++; s.strange == strangeAfter {
		s.a.herald.unlocated(s.a.cfg.Local)
	}
}

// twin finds the server of a master's group that is a certain process.
func twin(m *state.Master, view monitor.View, runID string) config.Addr {
	for addr, server := range view.Servers {
		if m.Owns(addr) && server.State == monitor.Up && server.Last != nil && server.Last.RunID == runID {
			return addr
		}
	}
	return ""
}
