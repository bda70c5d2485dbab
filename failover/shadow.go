package failover

import (
	"context"
	"fmt"

	"picket/config"
	"picket/monitor"
)

// ReadOnly is a Redis that reads, and does nothing else: whatever goes wrong elsewhere, agents that only watch change nothing on a
// server.
func ReadOnly(r Redis) Redis { return readOnly{r} }

type readOnly struct{ Redis }

func (r readOnly) Do(ctx context.Context, master string, a Action) (*monitor.Observation, string, error) {
	if a.Kind != Read {
		return nil, "", fmt.Errorf("%s %s: the agents only watch, as mode: shadow in the configuration says", a.Kind, a.Server)
	}
	return r.Redis.Do(ctx, master, a)
}

// Imagined is what a failover would come to if it began now.
type Imagined struct {
	Target config.Addr `json:"target,omitempty"` // empty: nobody could be promoted
	Why    string      `json:"why"`
	// Blocker is what would keep it from going on, once begun; absent: nothing.
	Blocker *Blocker `json:"blocker,omitempty"`
	// Candidates are the replicas that would be looked at, the best first.
	Candidates []Candidate `json:"candidates,omitempty"`
	// Lost is how many bytes the target lacks of what the master had, when both were seen last; -1: unknown.
	Lost int64 `json:"lost"`
}

// Imagine says what would be done about a master that is down, as if nothing but the guard rails kept anybody from it. It is a pure
// function.
func Imagine(s Situation, last *Record) (Imagined, *Blocker) {
	s.Shadow, s.View.Foreign = false, nil
	if b := MayBegin(s, CauseDown, last); b != nil {
		return Imagined{}, b
	}
	return s.outlook(0), nil
}

// Overtaken says whom another coordinator has made the master, ok if somebody else than the one that is agreed here. What is
// only said does not count: that server must be known, and must be a master. Coordinators that don't know of the newest switch
// yet are not listened to, and since is the epoch up to which switches are known. It is a pure function.
func Overtaken(s Situation, since uint64) (by monitor.Foreign, ok bool) {
	for _, f := range Foreign(s.View, s.Master, s.Replicas) {
		if f.Epoch > by.Epoch {
			by = f
		}
	}
	owned := false
	for _, a := range s.Replicas {
		owned = owned || a == by.Master
	}
	return by, owned && by.Epoch > since && by.Master != s.Master && s.alive(by.Master)
}
