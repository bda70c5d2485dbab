package sentinel

import (
	"maps"
	"slices"

	"picket/config"
	"picket/consensus"
	"picket/monitor"
	"picket/sentinel/picture"
	"picket/sentinel/resp"
	"picket/sentinel/state"
)

// attempts are the masters of which subscribers were told, in one term, that somebody tries to fail them over.
type attempts struct {
	term    uint64
	masters []string
}

// publish tells subscribers, and the notification scripts of those masters whose events these are.
func (h *herald) publish(messages []resp.Message, masters ...string) {
	h.door(messages...)
	for _, master := range masters {
		for _, m := range messages {
			h.scripts.notify(master, m)
		}
	}
}

// owners are all masters.
func (h *herald) owners() []resp.Owner {
	masters := h.machine.State().Masters
	owners := make([]resp.Owner, len(masters))
	for i := range masters {
		owners[i] = h.owner(&masters[i], masters[i].Addr)
	}
	return owners
}

// publishAll tells subscribers something of each master.
func (h *herald) publishAll(of func(resp.Owner) []resp.Message) {
	for _, o := range h.owners() {
		h.publish(of(o), o.Name)
	}
}

// publishCommitted tells subscribers of a committed event.
func (h *herald) publishCommitted(e state.Event) {
	switch e.Type {
	case state.FailoverBegun: // by an agent for which this one did not vote, perhaps
		h.attempt(e.Epoch, resp.Owner{Name: e.Master, Master: h.saying(e.Data.From)})
	case state.FailoverSwitched:
		h.scripts.reconfigure(h.spoken(e), h.self)
		h.publish(resp.FromCommitted(h.spoken(e), h.update(e)), e.Master)
		return
	case state.AgentRegistered:
		if who, known := h.speaker(e.Data.Agent); known && e.Data.Agent != h.self {
			h.displaced(e.Data.Agent, who)
			h.publish(resp.FromRegistered(h.spoken(e), who, h.owners()))
		}
		return
	}
	h.publish(resp.FromCommitted(h.spoken(e), resp.Update{}), e.Master)
}

// displaced tells which other agent had the address by which one has registered.
func (h *herald) displaced(agent string, who resp.Speaker) {
	for _, other := range h.machine.State().Agents {
		if former, known := h.speaker(other.ID); known && other.ID != agent && former.Addr == who.Addr {
			h.publish(resp.FromDisplaced(former, h.owners()))
		}
	}
}

// update says what a switch means to this agent. Servers that nobody watches any more are forgotten then.
func (h *herald) update(e state.Event) (u resp.Update) {
	s := h.machine.State()
	if who, known := h.speaker(e.Data.Agent); known && e.Data.Agent != h.self {
		u.From = &who
	}
	maps.DeleteFunc(h.down, func(a config.Addr, _ bool) bool { return s.Owner(a) == nil })
	for _, r := range e.Data.Replicas {
		if h.down[r] {
			u.Down = append(u.Down, h.saying(r))
		}
	}
	return u
}

// attempt tells once in each term that somebody tries to fail a master over.
func (h *herald) attempt(term uint64, o resp.Owner) {
	if term > h.tried.term {
		h.tried = attempts{term: term}
	}
	if term == h.tried.term && !slices.Contains(h.tried.masters, o.Name) {
		h.tried.masters = append(h.tried.masters, o.Name)
		h.publish(resp.Attempt(o), o.Name)
	}
}

// publishElection tells subscribers of a term and of a vote. Sentinel has an attempt begin between the two.
func (h *herald) publishElection(e consensus.Event) {
	r := electedFor(e.Reason)
	if e.Kind == consensus.EventVoted && (r.purpose == forDown || r.purpose == forManual) {
		s := h.machine.State()
		for _, name := range r.masters {
			if m := s.Master(name); m != nil {
				h.attempt(uint64(e.Term), h.owner(m, m.Addr))
			}
		}
	}
	id := func(s consensus.ServerID) string { return picture.MyID(h.cluster, string(s)) }
	h.publish(resp.FromConsensus(e, id), r.masters...)
}

// publishDefeat tells subscribers that an attempt of this agent is over, if they were told that it began.
func (h *herald) publishDefeat(r reason) {
	s := h.machine.State()
	for _, name := range r.masters {
		if m := s.Master(name); m != nil && slices.Contains(h.tried.masters, name) {
			h.publish(resp.NotElected(h.owner(m, m.Addr)), name)
		}
	}
}

// note keeps which servers are told to be down: a server is told anew what it is after a switch.
func (h *herald) note(e monitor.Event) {
	switch e.Kind {
	case monitor.ServerDown:
		h.down[e.Server.Addr] = true
	case monitor.ServerUp:
		delete(h.down, e.Server.Addr)
	}
}

// silent tells that an agent is not heard, or is heard again.
func (h *herald) silent(agent string, silent bool) {
	h.tell(func() {
		if who, known := h.speaker(agent); known {
			h.publishAll(func(o resp.Owner) []resp.Message { return resp.FromSilence(who, o, silent) })
		}
	})
}
