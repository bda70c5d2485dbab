package failover

import (
	"fmt"
	"slices"
	"time"

	"picket/config"
	"picket/monitor"
)

// Pause is an operator's word that nothing begins by itself.
type Pause struct {
	Who   string
	Why   string
	Until time.Time
	All   bool // of all masters
}

func (p *Pause) String() string {
	text := fmt.Sprintf("until %s by %s", p.Until.UTC().Format(time.RFC3339), p.Who)
	if p.Why != "" {
		text += ": " + p.Why
	}
	return text
}

// resume is the command that ends the pause.
func (p *Pause) resume(master string) string {
	if p.All {
		return "picket resume"
	}
	return "picket resume " + master
}

// Foreign lists the other coordinators that were heard on a master or its replicas, each with its latest word.
func Foreign(v monitor.View, master config.Addr, replicas []config.Addr) []monitor.Foreign {
	var heard []monitor.Foreign
	for _, f := range v.Foreign {
		if f.Server != master && !slices.Contains(replicas, f.Server) {
			continue
		}
		i := slices.IndexFunc(heard, func(other monitor.Foreign) bool { return other.RunID == f.RunID })
		switch {
		case i < 0:
			heard = append(heard, f)
		case f.Epoch > heard[i].Epoch, f.Epoch == heard[i].Epoch && f.Age < heard[i].Age:
			heard[i] = f
		}
	}
	return heard
}

// listenFirst is how long an agent listens for other coordinators before it does anything by itself: time for each to speak.
const listenFirst = monitor.HelloPeriod + 500*time.Millisecond

// Listening says whether an agent has listened for too short a time to know whether it is alone.
func Listening(v monitor.View, now time.Time) bool {
	return !v.Began.IsZero() && now.Sub(v.Began) < listenFirst
}

// Feared lists those of them beside which nothing may be done, as the master's settings have it.
func Feared(v monitor.View, m *config.Master, master config.Addr, replicas []config.Addr) []monitor.Foreign {
	if m.ForeignSentinels == config.ForeignIgnore {
		return nil
	}
	return Foreign(v, master, replicas)
}

// Forbidden says why nothing may be begun for the master now, however good the reason for it would be; nil: it may. An order by
// hand passes what another operator has said, but another coordinator would not obey it. It is a pure function.
func Forbidden(s Situation, byHand bool) *Blocker {
	if s.Shadow {
		return &Blocker{"shadow-mode", "the agents only watch: their mode is shadow", "to have them act, set mode: active on all of them"}
	}
	if f := Feared(s.View, s.Settings, s.Master, s.Replicas); len(f) > 0 {
		return &Blocker{"foreign-sentinel", fmt.Sprintf("a Redis Sentinel at %s (run id %s) watches %s, too, under the name %s",
			f[0].Addr, f[0].RunID, s.Settings.Name, f[0].Name),
			"stop it, or have it forget the master (SENTINEL REMOVE); or say foreign-sentinels: ignore in the configuration"}
	}
	if Listening(s.View, s.Now) && s.Settings.ForeignSentinels != config.ForeignIgnore && !byHand {
		return &Blocker{"listening", "this agent has just started, and listens for other coordinators first", "it passes by itself"}
	}
	if s.Paused != nil && !byHand {
		return &Blocker{"paused", fmt.Sprintf("%s is paused %s", s.Settings.Name, s.Paused),
			"it ends by itself; or end it: " + s.Paused.resume(s.Settings.Name)}
	}
	return nil
}
