package failover

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"picket/config"
	"picket/monitor"
)

const (
	oldMaster = config.Addr("10.0.0.1:6379")
	replicaA  = config.Addr("10.0.0.2:6379")
	replicaB  = config.Addr("10.0.0.3:6379")
	history   = "aaaa"
)

var start = time.Unix(1_700_000_000, 0)

// replica is a replica of the old master as INFO shows it.
func replica(a config.Addr, offset int64) *monitor.Observation {
	return &monitor.Observation{Server: a, At: start, Role: "slave", RunID: "run-" + string(a), ReplID: history, Offset: offset, Master: oldMaster,
		LinkUp: true, Priority: 100}
}

func masterAt(a config.Addr, offset int64) *monitor.Observation {
	return &monitor.Observation{Server: a, At: start, Role: "master", RunID: "run-" + string(a), ReplID: history, Offset: offset}
}

func up(o *monitor.Observation) monitor.Server {
	return monitor.Server{Addr: o.Server, State: monitor.Up, Last: o}
}

func down(o *monitor.Observation) monitor.Server {
	return monitor.Server{Addr: o.Server, State: monitor.Down, Evidence: monitor.Refused, Last: o}
}

// crashed is the situation after the master's crash, the failover begun.
func crashed(adjust func(*Situation, *Knowledge)) (Situation, Knowledge) {
	s := Situation{
		Now: start, Epoch: 7,
		Settings: &config.Master{Name: "m", FailoverTimeout: 5 * time.Second, ParallelSyncs: 1, Cooldown: 10 * time.Second},
		Master:   oldMaster, Replicas: []config.Addr{replicaA, replicaB},
		View: monitor.View{Now: start, Servers: map[config.Addr]monitor.Server{
			oldMaster: down(masterAt(oldMaster, 100)), replicaA: up(replica(replicaA, 90)), replicaB: up(replica(replicaB, 95)),
		}},
		Record: &Record{ID: 3, Master: "m", Epoch: 7, Phase: Begun, Cause: CauseDown, Old: oldMaster, BegunAt: monitor.MomentOf(start),
			Replicas: []config.Addr{replicaA, replicaB}, OldRunID: "run-" + string(oldMaster), OldReplID: history},
	}
	k := newKnowledge(start)
	if adjust != nil {
		adjust(&s, &k)
	}
	return s, k
}

func read(k *Knowledge, list ...*monitor.Observation) {
	for _, o := range list {
		k.Read[o.Server] = o
		k.Tried[o.Server] = Attempt{At: start}
	}
	k.FirstRead = start
}

// show writes a move as the tables expect it.
func show(m Move) string {
	switch {
	case m.Done:
		return "done"
	case m.Commit != nil:
		text := map[StepKind]string{StepResume: "resume", StepPromote: "promote", StepSwitch: "switch", StepRepoint: "repoint",
			StepEnd: "end", StepAbort: "abort"}[m.Commit.Kind]
		text = strings.TrimSpace(fmt.Sprintf("%s %s%s", text, m.Commit.Target, m.Commit.Replica))
		for _, a := range m.Actions {
			text += fmt.Sprintf(", %s %s", a.Kind, a.Server)
		}
		return text
	}
	var parts []string
	for _, a := range m.Actions {
		parts = append(parts, fmt.Sprintf("%s %s", a.Kind, a.Server))
	}
	if m.Blocker != nil {
		parts = append(parts, "blocked: "+m.Blocker.Reason)
	}
	if len(parts) == 0 {
		return "wait"
	}
	return strings.Join(parts, ", ")
}

func TestNext(t *testing.T) {
	type adjust = func(*Situation, *Knowledge)
	for name, c := range map[string]struct {
		adjust adjust
		want   string
	}{
		"all replicas are cut side by side, the master is not touched": {nil, "detach 10.0.0.2:6379, detach 10.0.0.3:6379"},
		"a new leader takes over first":                                {func(s *Situation, _ *Knowledge) { s.Epoch = 8 }, "resume"},
		"an ended failover needs nothing":                              {func(s *Situation, _ *Knowledge) { s.Record.Phase = Ended }, "done"},
		"the one that holds most is promoted": {func(_ *Situation, k *Knowledge) {
			read(k, replica(replicaA, 90), replica(replicaB, 95))
		}, "promote 10.0.0.3:6379"},
		"one that is being cut is waited for": {func(_ *Situation, k *Knowledge) {
			read(k, replica(replicaA, 90))
			k.Busy[replicaB] = true
		}, "wait"},
		"but not for long": {func(s *Situation, k *Knowledge) {
			read(k, replica(replicaA, 90))
			k.Busy[replicaB] = true
			s.Now = start.Add(patience)
		}, "promote 10.0.0.2:6379"},
		"and not at all when it is down": {func(s *Situation, k *Knowledge) {
			read(k, replica(replicaA, 90))
			k.Busy[replicaB] = true
			s.View.Servers[replicaB] = down(replica(replicaB, 95))
		}, "promote 10.0.0.2:6379"},
		"one that was restarted since it was cut is cut again": {func(s *Situation, k *Knowledge) {
			read(k, replica(replicaA, 90), replica(replicaB, 95))
			reborn := replica(replicaB, 95)
			reborn.RunID, reborn.Master, reborn.At, s.Now = "reborn", Silent, start.Add(2*retryAfter), start.Add(3*retryAfter)
			s.View.Servers[replicaB] = up(reborn)
		}, "detach 10.0.0.3:6379"},
		"and one that follows somebody again": {func(s *Situation, k *Knowledge) {
			read(k, replica(replicaA, 90), replica(replicaB, 95))
			again := replica(replicaB, 95)
			again.At, s.Now = start.Add(2*retryAfter), start.Add(3*retryAfter)
			s.View.Servers[replicaB] = up(again)
		}, "detach 10.0.0.3:6379"},
		"nobody fits": {func(_ *Situation, k *Knowledge) {
			a, b := replica(replicaA, 90), replica(replicaB, 95)
			a.Priority, b.ReplID = 0, "cccc"
			read(k, a, b)
		}, "blocked: no-candidate"},
		"nobody fits for too long": {func(s *Situation, k *Knowledge) {
			a := replica(replicaA, 90)
			a.Priority = 0
			read(k, a)
			k.Busy[replicaB] = true
			s.Now = start.Add(time.Minute)
		}, "abort"},
		"the same master answers again": {func(s *Situation, _ *Knowledge) {
			server := up(masterAt(oldMaster, 100))
			server.LastOK = start.Add(time.Millisecond)
			s.View.Servers[oldMaster] = server
		}, "abort"},
		"this agent has not noticed the crash yet": {func(s *Situation, _ *Knowledge) {
			s.View.Servers[oldMaster] = up(masterAt(oldMaster, 100))
		}, "detach 10.0.0.2:6379, detach 10.0.0.3:6379"},
		"a restarted master does not stop it": {func(s *Situation, _ *Knowledge) {
			o := masterAt(oldMaster, 0)
			o.RunID = "reborn"
			s.View.Servers[oldMaster] = up(o)
		}, "detach 10.0.0.2:6379, detach 10.0.0.3:6379"},
		"the chosen one is promoted at once": {promoting(nil), "promote 10.0.0.3:6379"},
		"a successor looks at it first":      {promoting(func(_ *Situation, k *Knowledge) { delete(k.Read, replicaB) }), "read 10.0.0.3:6379"},
		"one that was restarted since is not what was chosen": {promoting(func(_ *Situation, k *Knowledge) {
			k.Read[replicaB].RunID = "reborn"
		}), "abort"},
		"one that can't be promoted is given up in the end": {promoting(func(s *Situation, k *Knowledge) {
			k.Tried[replicaB] = Attempt{At: start, Err: errors.New("NOPERM")}
			s.Now = start.Add(time.Minute)
		}), "abort"},
		"nor if it was promoted in its place": {promoting(func(_ *Situation, k *Knowledge) {
			reborn := masterAt(replicaB, 0)
			reborn.RunID = "reborn"
			k.Promoted, k.Seen[replicaB] = true, reborn
		}), "abort"},
		"its role is confirmed": {promoting(func(_ *Situation, k *Knowledge) { k.Promoted = true }), "switch 10.0.0.3:6379"},
		"it is tried again, not replaced": {promoting(func(s *Situation, k *Knowledge) {
			s.View.Servers[replicaB] = down(replica(replicaB, 95))
			k.Tried[replicaB] = Attempt{At: start.Add(-time.Second), Err: errors.New("refused")}
		}), "promote 10.0.0.3:6379"},
		"it stays down while the old master is fenced": {promoting(func(s *Situation, _ *Knowledge) {
			s.Record.HandOver = true
			s.View.Servers[replicaB] = down(replica(replicaB, 95))
			s.Now = start.Add(time.Minute)
		}), "abort"},
		"it stays down": {promoting(func(s *Situation, k *Knowledge) {
			s.View.Servers[replicaB] = down(replica(replicaB, 95))
			s.Now = start.Add(time.Minute)
		}), "abort"},
		"it may have been promoted: no way back": {promoting(func(s *Situation, k *Knowledge) {
			s.Now = start.Add(time.Minute)
			k.Busy[replicaB] = true
			delete(k.Read, replicaB)
		}), "wait"},
		"the others follow, the dead master is left alone": {switched(nil), "re-point 10.0.0.2:6379"},
		"a promotion under way is not overtaken": {promoting(func(s *Situation, k *Knowledge) {
			k.Busy = map[config.Addr]bool{replicaB: true}
			s.Now = start.Add(time.Hour)
		}), "wait"},
		"one that was detached as it was promoted is promoted again": {switched(func(s *Situation, k *Knowledge) {
			detached := *k.Seen[replicaB]
			detached.Role, detached.Master, detached.At = "slave", Silent, start.Add(20*time.Millisecond)
			k.Since, k.Seen[replicaB], s.Now = start, &detached, start.Add(30*time.Millisecond)
		}), "promote 10.0.0.3:6379"},
		"nobody follows a new master that was not looked at": {switched(func(_ *Situation, k *Knowledge) { delete(k.Seen, replicaB) }),
			"read 10.0.0.3:6379"},
		"or not lately": {switched(func(s *Situation, _ *Knowledge) { s.Now = start.Add(101 * time.Millisecond) }), "read 10.0.0.3:6379"},
		"or one that is down": {switched(func(s *Situation, k *Knowledge) {
			delete(k.Seen, replicaB)
			s.View.Servers[replicaB] = down(replica(replicaB, 95))
		}), "wait"},
		"nobody follows a process that was started in its place": {switched(func(s *Situation, _ *Knowledge) {
			reborn := masterAt(replicaB, 0)
			reborn.RunID, reborn.At = "reborn", start.Add(1)
			s.View.Servers[replicaB] = up(reborn)
		}), "end"},
		"a replica that follows is noted": {switched(func(_ *Situation, k *Knowledge) {
			k.Told[replicaA] = true
			o := replica(replicaA, 95)
			o.Master = replicaB
			k.Seen[replicaA] = o
		}), "repoint 10.0.0.2:6379"},
		"one whose link is not up is looked at again": {switched(func(_ *Situation, k *Knowledge) {
			k.Told[replicaA] = true
			o := replica(replicaA, 95)
			o.Master, o.LinkUp = replicaB, false
			k.Seen[replicaA] = o
		}), "read 10.0.0.2:6379"},
		"all follow": {switched(func(s *Situation, _ *Knowledge) { s.Record.Repointed = []config.Addr{replicaA} }), "end"},
		"then the new master's file is seen to": {switched(func(s *Situation, k *Knowledge) {
			s.Record.Repointed, k.Persisted = []config.Addr{replicaA}, false
		}), "write down the role of 10.0.0.3:6379"},
		"which does not wait for long": {switched(func(s *Situation, k *Knowledge) {
			k.Told[replicaA], k.Busy[replicaA], k.Persisted = true, true, false
			s.Now = start.Add(persistAfter)
		}), "write down the role of 10.0.0.3:6379"},
		"the new master is down too": {switched(func(s *Situation, _ *Knowledge) { s.Verdict.ObjectivelyDown = true }), "end"},
		"a second address of the new master is left alone": {switched(func(s *Situation, _ *Knowledge) {
			s.View.Servers[replicaA] = up(masterAt(replicaA, 95))
			s.View.Servers[replicaA].Last.RunID = s.Record.RunID
		}), "end"},
		"one never follows": {switched(func(s *Situation, k *Knowledge) {
			k.Told[replicaA] = true
			s.Now = start.Add(time.Minute)
		}), "end"},
	} {
		t.Run(name, func(t *testing.T) {
			s, k := crashed(c.adjust)
			if got := show(Next(s, k)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func promoting(adjust func(*Situation, *Knowledge)) func(*Situation, *Knowledge) {
	return func(s *Situation, k *Knowledge) {
		s.Record.Phase, s.Record.Target, s.Record.ReplID, s.Record.Offset = Promoting, replicaB, history, 95
		s.Record.RunID = "run-" + string(replicaB)
		k.Read[replicaB] = replica(replicaB, 95)
		if adjust != nil {
			adjust(s, k)
		}
	}
}

func switched(adjust func(*Situation, *Knowledge)) func(*Situation, *Knowledge) {
	return promoting(func(s *Situation, k *Knowledge) {
		s.Record.Phase, s.Master, k.Persisted = Switched, replicaB, true
		k.Seen[replicaB] = masterAt(replicaB, 95)
		s.Replicas = []config.Addr{oldMaster, replicaA}
		if adjust != nil {
			adjust(s, k)
		}
	})
}

func TestNext_FullResyncsAreLimitedPartialOnesAreNot(t *testing.T) {
	third := config.Addr("10.0.0.4:6379")
	for name, c := range map[string]struct {
		ahead int64 // of the new master: what only a full resync can undo
		want  int
	}{"partial": {0, 2}, "full": {10, 1}} {
		t.Run(name, func(t *testing.T) {
			s, k := crashed(switched(func(s *Situation, k *Knowledge) {
				s.Replicas = append(s.Replicas, third)
				for _, a := range []config.Addr{replicaA, third} {
					o := replica(a, 95+c.ahead)
					s.View.Servers[a] = up(o)
					k.Read[a] = o
				}
			}))
			if got := len(Next(s, k).Actions); got != c.want {
				t.Errorf("%d replicas are re-pointed at once, want %d", got, c.want)
			}
		})
	}
}

func TestNext_HandOver(t *testing.T) {
	manual := func(adjust func(*Situation, *Knowledge)) func(*Situation, *Knowledge) {
		return func(s *Situation, k *Knowledge) {
			s.Record.Cause, s.Record.HandOver = CauseManual, true
			s.View.Servers[oldMaster] = up(masterAt(oldMaster, 10_000_000))
			if adjust != nil {
				adjust(s, k)
			}
		}
	}
	// near has the replicas so many bytes behind the master.
	near := func(k *Knowledge, lagA, lagB int64) {
		k.Held = []*monitor.Observation{masterAt(oldMaster, 10_000_000)}
		k.Seen[replicaA], k.Seen[replicaB] = replica(replicaA, 10_000_000-lagA), replica(replicaB, 10_000_000-lagB)
	}
	const readAll = "read 10.0.0.2:6379, read 10.0.0.3:6379, read 10.0.0.1:6379"
	for name, c := range map[string]struct {
		adjust func(*Situation, *Knowledge)
		want   string
	}{
		"all are read first":                    {manual(nil), readAll},
		"one that is close behind is agreed on": {manual(func(_ *Situation, k *Knowledge) { near(k, 1, 1+warmLag) }), "promote 10.0.0.2:6379"},
		"not one that is not":                   {manual(func(_ *Situation, k *Knowledge) { near(k, warmLag+1, warmLag+1) }), readAll},
		"a few bytes do not matter, the priority does": {manual(func(_ *Situation, k *Knowledge) {
			near(k, 0, 100)
			k.Seen[replicaB].Priority = 1
		}), "promote 10.0.0.3:6379"},
		"nor one that can't be": {manual(func(_ *Situation, k *Knowledge) {
			near(k, 0, 0)
			k.Seen[replicaA], k.Seen[replicaB].Syncing = barred(k.Seen[replicaA]), true
		}), readAll},
		"nor one that lost the master, or can't write its data": {manual(func(_ *Situation, k *Knowledge) {
			near(k, 0, 0)
			k.Seen[replicaA].LinkUp, k.Seen[replicaB].Disk = false, "the last AOF write failed"
		}), readAll},
		"nor one that is down": {manual(func(s *Situation, k *Knowledge) {
			near(k, 0, 0)
			s.View.Servers[replicaA] = down(k.Seen[replicaA])
		}), "promote 10.0.0.3:6379"},
		"the named one is waited for": {manual(func(s *Situation, k *Knowledge) {
			s.Record.Want = replicaA
			near(k, warmLag+1, 0)
		}), "read 10.0.0.2:6379, read 10.0.0.1:6379"},
		"and is agreed on, whatever its priority": {manual(func(s *Situation, k *Knowledge) {
			s.Record.Want = replicaA
			near(k, 10, 0)
			k.Seen[replicaA] = barred(k.Seen[replicaA])
		}), "promote 10.0.0.2:6379"},
		"nobody was ever close behind": {manual(func(s *Situation, _ *Knowledge) { s.Now = start.Add(s.Settings.FailoverTimeout / 2) }), "abort"},
		"a master that can't be fenced is not handed over": {manual(func(_ *Situation, k *Knowledge) {
			near(k, 0, 0)
			k.Held[0].Fence = -1
		}), "abort"},
		"who has fenced it may take that away": {manual(func(s *Situation, k *Knowledge) {
			near(k, 0, 0)
			k.Held[0].Fence = fenceBase
			s.Now = start.Add(fenceStays - time.Millisecond)
		}), "read 10.0.0.2:6379, read 10.0.0.3:6379, read 10.0.0.1:6379"},
		"but not after a while": {manual(func(s *Situation, k *Knowledge) {
			near(k, 0, 0)
			k.Held[0].Fence = fenceBase
			s.Now = start.Add(fenceStays)
		}), "promote 10.0.0.2:6379"},
		"but may do it by itself": {manual(func(s *Situation, k *Knowledge) {
			near(k, 0, 0)
			k.Held[0].Fence, s.Settings.Switchover = -1, config.SwitchoverNative
		}), "promote 10.0.0.2:6379"},
		"one agent's bad moment is no failover": {manual(func(s *Situation, k *Knowledge) {
			s.View.Servers[oldMaster] = monitor.Server{Addr: oldMaster, State: monitor.Unknown}
			near(k, 0, 0)
		}), "promote 10.0.0.2:6379"},
		"a master that dies is the next failover's": {manual(func(s *Situation, _ *Knowledge) {
			s.Verdict.ObjectivelyDown = true
			s.View.Servers[oldMaster] = down(masterAt(oldMaster, 100))
		}), "abort"},
		"one that was not there when it began is failed over": {manual(func(s *Situation, _ *Knowledge) {
			s.Record.HandOver, s.Verdict.ObjectivelyDown = false, true
			s.View.Servers[oldMaster] = down(masterAt(oldMaster, 100))
		}), "detach 10.0.0.2:6379, detach 10.0.0.3:6379"},
		"also while the agents are of two minds": {manual(func(s *Situation, _ *Knowledge) {
			s.Record.HandOver = false
			s.View.Servers[oldMaster] = down(masterAt(oldMaster, 100))
		}), "detach 10.0.0.2:6379, detach 10.0.0.3:6379"},
		"until it answers": {manual(func(s *Situation, _ *Knowledge) {
			s.Record.HandOver = false
			server := up(masterAt(oldMaster, 100))
			server.LastOK = start.Add(time.Millisecond)
			s.View.Servers[oldMaster] = server
		}), "abort"},
		"after the switch the old master follows at once": {switched(func(s *Situation, k *Knowledge) {
			s.Record.Cause, s.Record.HandOver = CauseManual, true
			s.View.Servers[oldMaster] = up(masterAt(oldMaster, 200)) // since the target was chosen
			s.View.Servers[replicaA] = up(replica(replicaA, 200))
		}), "re-point 10.0.0.1:6379, re-point 10.0.0.2:6379"},
	} {
		t.Run(name, func(t *testing.T) {
			s, k := crashed(c.adjust)
			if got := show(Next(s, k)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestNext_Held is about the time in which writers wait.
func TestNext_Held(t *testing.T) {
	type adjust = func(*Situation, *Knowledge)
	with := func(list ...adjust) adjust {
		return promoting(func(s *Situation, k *Knowledge) {
			s.Record.Cause, s.Record.HandOver, s.Record.Leaders = CauseManual, true, []uint64{7}
			s.View.Servers[oldMaster] = up(masterAt(oldMaster, 95))
			for _, f := range list {
				f(s, k)
			}
		})
	}
	held := func(offsets ...int64) adjust {
		return func(_ *Situation, k *Knowledge) {
			k.HeldAt = start
			for _, o := range offsets {
				k.hold(masterAt(oldMaster, o))
			}
		}
	}
	fenced := func(_ *Situation, k *Knowledge) { k.Held[len(k.Held)-1].Fence = fenceBase }
	at := func(offset int64) adjust {
		return func(_ *Situation, k *Knowledge) { k.Seen[replicaB] = replica(replicaB, offset) }
	}
	role := func(s *Situation, k *Knowledge) {
		k.Seen[replicaB] = masterAt(replicaB, 100)
		k.Seen[replicaB].RunID = s.Record.RunID
	}
	lost := func(_ *Situation, k *Knowledge) {
		delete(k.Read, replicaB)
		delete(k.Seen, replicaB)
		k.Tried[replicaB] = Attempt{At: start, Err: errors.New("timeout")}
	}
	late := func(s *Situation, _ *Knowledge) { s.Now = start.Add(holdGiveUp) }
	dead := func(s *Situation, _ *Knowledge) { s.Verdict.ObjectivelyDown = true }
	resumed := func(s *Situation, _ *Knowledge) { s.Record.Leaders = []uint64{6, 7} }
	released := func(_ *Situation, k *Knowledge) { k.Released = true }
	native := func(s *Situation, _ *Knowledge) { s.Record.Native = true }
	const readBoth = "read 10.0.0.1:6379, read 10.0.0.3:6379"
	for name, c := range map[string]struct {
		adjust adjust
		want   string
	}{
		"writers are held":                          {with(), "hold the writers of 10.0.0.1:6379"},
		"then both are read":                        {with(held(100)), readBoth},
		"one look at the master is not enough":      {with(held(100), at(100)), readBoth},
		"it still moves":                            {with(held(99, 100), at(100)), readBoth},
		"the target lacks something":                {with(held(100, 100), at(99)), readBoth},
		"it has everything: the master is fenced":   {with(held(100, 100), at(100)), "fence 10.0.0.1:6379"},
		"it still has: it is promoted":              {with(held(100, 100), at(100), fenced), "promote 10.0.0.3:6379"},
		"a write came in between":                   {with(held(100, 101), at(100), fenced), readBoth},
		"an earlier leader's fence is as good":      {with(resumed, held(100, 100), at(100), fenced), "promote 10.0.0.3:6379"},
		"which does not mean that all has arrived":  {with(resumed, held(100, 100), at(99), fenced), readBoth},
		"another history":                           {with(held(100, 100), at(100), func(_ *Situation, k *Knowledge) { k.Seen[replicaB].ReplID = "cccc" }), readBoth},
		"too long: writers go on":                   {with(held(100, 100), late), "abort, release the writers of 10.0.0.1:6379"},
		"and the agent beside it takes the fence":   {with(held(100, 100), at(99), fenced, late), "abort"},
		"what is under way is waited for":           {with(held(100, 100), late, func(_ *Situation, k *Knowledge) { k.Busy[oldMaster] = true }), "wait"},
		"the target is lost":                        {with(held(100, 100), lost), "wait"},
		"nobody has promoted it: writers go on":     {with(held(100, 100), lost, late), "abort, release the writers of 10.0.0.1:6379"},
		"this leader may have: no way back":         {with(held(100, 100), fenced, lost, late), "read 10.0.0.3:6379"},
		"an earlier one may have: no way back":      {with(resumed, held(100, 100), lost, late), "read 10.0.0.3:6379"},
		"it has been promoted":                      {with(resumed, role, late), "promote 10.0.0.3:6379"},
		"the target was restarted: writers go on":   {with(held(100), func(s *Situation, _ *Knowledge) { s.Record.RunID = "before" }), "abort, release the writers of 10.0.0.1:6379"},
		"the master dies":                           {with(held(100), dead), "abort"},
		"it dies when nothing can be lost any more": {with(held(100, 100), at(100), fenced, dead), "promote 10.0.0.3:6379"},
		"by itself":                              {with(native), "hand over 10.0.0.1:6379"},
		"by itself: it takes its time":           {with(native, held(100), late), readBoth},
		"by itself: the target says that it has": {with(native, held(100), role), "switch 10.0.0.3:6379"},
		"by itself: it could not": {with(native, held(100), func(s *Situation, _ *Knowledge) {
			s.Settings.FailoverTimeout = time.Hour
			s.Now = start.Add(2 * nativeFor)
		}), "end the hand-over of 10.0.0.1:6379"},
		"by itself: it could not, nothing is left": {with(native, held(100), released, func(s *Situation, _ *Knowledge) {
			s.Settings.FailoverTimeout = time.Hour
			s.Now = start.Add(2 * nativeFor)
		}), "abort"},
		"by itself: the master dies":      {with(native, held(100), dead), "abort"},
		"by itself: the target is silent": {with(native, lost), "wait"},
	} {
		t.Run(name, func(t *testing.T) {
			s, k := crashed(c.adjust)
			if got := show(Next(s, k)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestChoose(t *testing.T) {
	type list = []*monitor.Observation
	change := func(o *monitor.Observation, f func(*monitor.Observation)) *monitor.Observation { f(o); return o }
	for name, c := range map[string]struct {
		read    list
		unknown bool // the old master's history was never seen
		zones   map[config.Addr]string
		want    config.Addr
		refused string
	}{
		"greatest offset": {read: list{replica(replicaA, 10), replica(replicaB, 11)}, want: replicaB},
		"offset beats priority": {read: list{change(replica(replicaA, 10), func(o *monitor.Observation) { o.Priority = 1 }), replica(replicaB, 11)},
			want: replicaB},
		"priority breaks a tie": {read: list{replica(replicaA, 10), change(replica(replicaB, 10), func(o *monitor.Observation) { o.Priority = 1 })},
			want: replicaB},
		"then the zone": {read: list{replica(replicaA, 10), replica(replicaB, 10)},
			zones: map[config.Addr]string{oldMaster: "z", replicaA: "y", replicaB: "z"}, want: replicaB},
		"history unknown, an empty one is no match for data": {read: list{
			change(replica(replicaA, 0), func(o *monitor.Observation) { o.ReplID, o.Keys = "old", 140 }),
			change(replica(replicaB, 1), func(o *monitor.Observation) { o.ReplID = "wiped" }),
		}, unknown: true, want: replicaA, refused: string(replicaB)},
		"then the address":          {read: list{replica(replicaB, 10), replica(replicaA, 10)}, want: replicaA},
		"an empty master's replica": {read: list{replica(replicaA, 0)}, want: replicaA},
		"priority 0":                {read: list{change(replica(replicaA, 10), func(o *monitor.Observation) { o.Priority = 0 })}, refused: "replica-priority is 0"},
		"loading":                   {read: list{change(replica(replicaA, 10), func(o *monitor.Observation) { o.Loading = true })}, refused: "loads"},
		"syncing":                   {read: list{change(replica(replicaA, 10), func(o *monitor.Observation) { o.Syncing = true })}, refused: "full resync"},
		"a master":                  {read: list{masterAt(replicaA, 10)}, refused: "not a replica"},
		"another history": {read: list{change(replica(replicaA, 99), func(o *monitor.Observation) { o.ReplID = "cccc" }), replica(replicaB, 1)},
			want: replicaB, refused: "another master's data"},
		"the history it came from": {read: list{change(replica(replicaA, 10), func(o *monitor.Observation) {
			o.ReplID, o.ReplID2, o.Second = "cccc", history, 20
		})}, want: replicaA},
		"beyond the history it came from": {read: list{change(replica(replicaA, 30), func(o *monitor.Observation) {
			o.ReplID, o.ReplID2, o.Second = "cccc", history, 20
		})}, refused: "another master's data"},
		"unknown history: that of most": {read: list{
			change(replica(replicaA, 99), func(o *monitor.Observation) { o.ReplID = "cccc" }), replica(replicaB, 5), replica("10.0.0.4:6379", 4),
		}, unknown: true, want: replicaB},
		"unknown history: not that of the empty ones": {read: list{
			change(replica(replicaA, 9), func(o *monitor.Observation) { o.ReplID, o.Keys = "cccc", 1 }), replica(replicaB, 50), replica("10.0.0.4:6379", 50),
		}, unknown: true, want: replicaA},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := crashed(nil)
			s.Zone = c.zones
			if c.unknown {
				s.Record.OldReplID = ""
			}
			got := choose(s, c.read)
			if c.want == "" && got.best != nil || c.want != "" && (got.best == nil || got.best.Server != c.want) {
				t.Errorf("chosen %+v, want %q; refused %s", got.best, c.want, got.list())
			}
			if !strings.Contains(got.list(), c.refused) {
				t.Errorf("refused %q, want %q", got.list(), c.refused)
			}
		})
	}
}

func TestBeginStep_AHealthyMasterIsHandedOver(t *testing.T) {
	for _, c := range []struct {
		cause Cause
		down  bool
		want  bool
	}{{CauseManual, false, true}, {CauseManual, true, false}, {CauseDown, true, false}} {
		s, _ := crashed(nil)
		s.Verdict.ObjectivelyDown = c.down
		step := BeginStep(s, c.cause)
		if r, err := Begin(step, 1); err != nil || step.HandOver != c.want || r.HandOver != c.want {
			t.Errorf("%s, down %v: %+v, %v", c.cause, c.down, r, err)
		}
	}
}

func TestBeginStep_TellsWhatWasSeen(t *testing.T) {
	s := Situation{Now: start, Settings: &config.Master{Name: "m"}, Master: oldMaster}
	s.Verdict = monitor.Verdict{Text: "dead", Code: monitor.DeadMaster, Rule: monitor.QuorumRefused, Since: start.Add(-time.Second)}
	s.View.Opinions = map[config.Addr][]monitor.Opinion{
		oldMaster: {{Agent: "a", State: monitor.Down, Evidence: monitor.Refused, Age: time.Minute}},
	}
	step := BeginStep(s, CauseDown)
	if step.Evidence != "dead" || step.Code != monitor.DeadMaster || step.Rule != monitor.QuorumRefused || step.Down != monitor.MomentOf(start.Add(-time.Second)) {
		t.Errorf("the step is %+v", step)
	}
	if want := []Witness{{"a", "down", "refused", monitor.MomentOf(start.Add(-time.Minute))}}; !slices.Equal(step.Seen, want) {
		t.Errorf("seen %+v, want %+v", step.Seen, want)
	}
	if step := BeginStep(s, CauseManual); step.Down != 0 || len(step.Seen) > 0 {
		t.Errorf("by hand: %+v", step)
	}
}

func TestBeginStep_HistoryIsTheAgreedOneWhereTheMasterWasNotSeen(t *testing.T) {
	for name, c := range map[string]struct {
		agreed string // run id
		adjust func(*monitor.Server)
		want   string
	}{
		"seen":                     {agreed: "run-" + string(oldMaster), want: history},
		"seen, not agreed yet":     {want: history},
		"another process":          {agreed: "former", want: "agreed"},
		"seen as a replica":        {agreed: "run-" + string(oldMaster), adjust: func(s *monitor.Server) { s.Last.Role = "slave" }, want: "agreed"},
		"never seen":               {agreed: "former", adjust: func(s *monitor.Server) { s.Last = nil }, want: "agreed"},
		"seen long before it died": {agreed: "run-" + string(oldMaster), adjust: func(s *monitor.Server) { s.LastOK = s.Last.At.Add(time.Minute) }, want: "agreed"},
	} {
		s, _ := crashed(nil)
		s.RunID, s.ReplID = c.agreed, "agreed"
		server := s.View.Servers[oldMaster]
		if c.adjust != nil {
			c.adjust(&server)
		}
		s.View.Servers[oldMaster] = server
		if got := BeginStep(s, CauseDown).OldReplID; got != c.want {
			t.Errorf("%s: the history is %q, want %q", name, got, c.want)
		}
	}
}

func TestNext_TheSwitchSaysWhichHistoryTheNewMasterWrites(t *testing.T) {
	s, k := crashed(nil)
	s.Record.Phase, s.Record.Target, s.Record.RunID = Promoting, replicaA, "run-"+string(replicaA)
	k.Promoted = true
	k.Seen[replicaA] = masterAt(replicaA, 90)
	k.Seen[replicaA].ReplID = "new"
	if step := Next(s, k).Commit; step == nil || step.Kind != StepSwitch || step.ReplID != "new" {
		t.Errorf("got %+v", step)
	}
}
