package monitor

import (
	"cmp"
	"slices"
	"time"

	"picket/config"
)

// maxAgents bounds how many agents' opinions on one server are kept.
const maxAgents = 64

// opinions holds what peers said, by server and agent.
type opinions map[config.Addr]map[string]heardOpinion

type heardOpinion struct {
	Opinion
	at time.Time
}

// take keeps an opinion unless it is older than what is known, and says whether it is news.
func (t opinions) take(o Opinion, now time.Time) bool {
	agents := t[o.Server]
	if agents == nil {
		agents = map[string]heardOpinion{}
		t[o.Server] = agents
	}
	old, known := agents[o.Agent]
	switch {
	case known && old.Boot == o.Boot && o.Seq <= old.Seq:
		return false // overtaken on the way
	case !known && len(agents) >= maxAgents:
		return false
	}
	agents[o.Agent] = heardOpinion{o, now}
	return !known || old.State != o.State || old.Evidence != o.Evidence || now.Sub(old.at) > expiry
}

// fresh lists own and what was heard recently, by agent.
func (t opinions) fresh(server config.Addr, now time.Time, own Opinion) []Opinion {
	list := []Opinion{own}
	for _, o := range t[server] {
		if age := now.Sub(o.at); age <= expiry {
			o.Opinion.Age += age
			list = append(list, o.Opinion)
		}
	}
	slices.SortFunc(list, func(a, b Opinion) int { return cmp.Compare(a.Agent, b.Agent) })
	return list
}

func (t opinions) forget(server config.Addr) { delete(t, server) }
