package failover

import (
	"strings"
	"testing"
	"time"

	"picket/config"
	"picket/monitor"
)

const replicaC = config.Addr("10.0.0.4:6379")

func registered(list ...config.Addr) (processes []Process) {
	for _, a := range list {
		processes = append(processes, Process{Addr: a, RunID: "run-" + string(a)})
	}
	return processes
}

func TestNext_WritesThatWereWaitedForSurvive(t *testing.T) {
	all := []config.Addr{replicaA, replicaB, replicaC}
	for name, c := range map[string]struct {
		wait   int
		read   []*monitor.Observation
		adjust func(*Situation, *Knowledge)
		want   string // part of the move
	}{
		"none is waited for":         {0, []*monitor.Observation{replica(replicaA, 90)}, nil, "promote " + string(replicaA)},
		"1 of 3: all must answer":    {1, []*monitor.Observation{replica(replicaA, 90), replica(replicaB, 95)}, nil, "3 of 3 replicas must answer for durability.wait 1, and 2 do: 10.0.0.4:6379: it was not reached"},
		"1 of 3: all do":             {1, []*monitor.Observation{replica(replicaA, 90), replica(replicaB, 95), replica(replicaC, 80)}, nil, "promote " + string(replicaB)},
		"2 of 3: two must":           {2, []*monitor.Observation{replica(replicaA, 90), replica(replicaB, 95)}, nil, "promote " + string(replicaB)},
		"3 of 3: one is enough":      {3, []*monitor.Observation{replica(replicaA, 90)}, nil, "promote " + string(replicaA)},
		"5 of 3: one is needed":      {5, []*monitor.Observation{replica(replicaA, 90)}, nil, "promote " + string(replicaA)},
		"the priority does not help": {2, []*monitor.Observation{preferred(replica(replicaA, 90)), replica(replicaB, 95)}, nil, "promote " + string(replicaB)},
		"restarted since": {2, []*monitor.Observation{replica(replicaA, 90), replica(replicaB, 95)}, func(s *Situation, _ *Knowledge) {
			s.Registered[0].RunID = "before"
		}, "10.0.0.2:6379: it was restarted"},
		"not caught up when the master failed": {2, []*monitor.Observation{replica(replicaA, 90), replica(replicaB, 95)}, func(s *Situation, _ *Knowledge) {
			s.Registered[1].RunID = ""
		}, "10.0.0.3:6379: it had not caught up yet"},
		"may not be promoted": {2, []*monitor.Observation{replica(replicaA, 90), barred(replica(replicaB, 95))}, nil, "10.0.0.3:6379: its replica-priority is 0"},
		"nobody holds the old master's history": {2, []*monitor.Observation{replica(replicaA, 90), replica(replicaB, 95)}, func(s *Situation, _ *Knowledge) {
			s.Record.OldReplID = "another"
		}, "10.0.0.3:6379: it does not hold the old master's history any more"},
		"nobody does, and the operator accepts that": {2, []*monitor.Observation{replica(replicaA, 90), replica(replicaB, 95)}, func(s *Situation, _ *Knowledge) {
			s.Record.OldReplID, s.Record.AllowLoss = "another", true
		}, "promote " + string(replicaB)},
		"nobody does, none is waited for": {0, []*monitor.Observation{replica(replicaA, 90), replica(replicaB, 95)}, func(s *Situation, _ *Knowledge) {
			s.Record.OldReplID = "another"
		}, "no replica can be promoted"},
		"nobody has come that does, none is waited for": {0, []*monitor.Observation{replica(replicaA, 90), replica(replicaB, 95)}, func(s *Situation, k *Knowledge) {
			s.Record.OldReplID = "another"
			k.Since = start.Add(-s.Settings.FailoverTimeout)
		}, "promote " + string(replicaB)},
		"the operator accepts the loss": {1, []*monitor.Observation{replica(replicaA, 90)}, func(s *Situation, _ *Knowledge) {
			s.Record.AllowLoss = true
		}, "promote " + string(replicaA)},
		"never": {1, []*monitor.Observation{replica(replicaA, 90)}, func(s *Situation, _ *Knowledge) {
			s.Settings.Durability.OnQuorumMissing = config.MissingNever
		}, "abort"},
	} {
		t.Run(name, func(t *testing.T) {
			s, k := crashed(func(s *Situation, k *Knowledge) {
				s.Registered = registered(all...)
				s.Settings.Durability = config.Durability{Wait: c.wait, OnQuorumMissing: config.MissingWait}
				for _, a := range all {
					s.View.Servers[a] = down(replica(a, 0)) // those that are not read below
				}
				k.Tried[replicaA] = Attempt{At: start}
				read(k, c.read...)
				if c.adjust != nil {
					c.adjust(s, k)
				}
			})
			move := Next(s, k)
			got := show(move)
			if move.Blocker != nil {
				got = move.Blocker.Text
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
}

// TestNext_PromoteAfter lets time pass: nothing is given up before the time has come to do without the missing replica, also when that is far
// beyond the time of a step, and when the leader changes meanwhile.
func TestNext_PromoteAfter(t *testing.T) {
	for name, c := range map[string]struct {
		successor time.Duration // takes over then; 0: nobody does
		ahead     time.Duration // the clock of the agent that began is, of the others'
		want      time.Duration
	}{
		"one leader":                              {0, 0, time.Minute},
		"its successor waits for the rest":        {30 * time.Second, 0, time.Minute},
		"its successor's clock is an hour behind": {30 * time.Second, time.Hour, 90 * time.Second},
	} {
		s, k := crashed(func(s *Situation, k *Knowledge) {
			s.Settings.FailoverTimeout = 10 * time.Second
			s.Settings.Durability = config.Durability{Wait: 1, OnQuorumMissing: config.MissingPromote, PromoteAfter: time.Minute}
			s.Registered = registered(replicaA, replicaB)
			s.Record.BegunAt = monitor.MomentOf(start.Add(c.ahead))
			s.View.Servers[replicaB] = down(replica(replicaB, 0))
			read(k, replica(replicaA, 90))
		})
		for passed := time.Duration(0); passed <= 2*time.Minute; passed += 500 * time.Millisecond {
			s.Now = start.Add(passed)
			if passed == c.successor {
				k = newKnowledge(s.Now)
				read(&k, replica(replicaA, 90))
			}
			move := Next(s, k)
			if move.Commit == nil && move.Blocker != nil {
				continue
			}
			if got := show(move); got != "promote "+string(replicaA) || passed != c.want {
				t.Errorf("%s: after %s: %s; want a promotion after %s", name, passed, got, c.want)
			}
			break
		}
	}
}

func preferred(o *monitor.Observation) *monitor.Observation { o.Priority = 1; return o }

func barred(o *monitor.Observation) *monitor.Observation { o.Priority = 0; return o }

func TestNext_WaitsForTheLease(t *testing.T) {
	for name, c := range map[string]struct {
		lessee Lessee
		policy string
		began  int // when the runner began, in ms
		cut    int // when the target was
		want   int // when it may promote
	}{
		"nobody beside the master":                         {Lessee{}, config.LeaseReplicas, 0, 0, 0},
		"no leases":                                        {Lessee{Agent: "a"}, config.LeaseOff, 0, 0, 0},
		"the voters know that it is over":                  {Lessee{Agent: "a", Timely: true}, config.LeaseStrict, 0, 0, 0},
		"nobody knows":                                     {Lessee{Agent: "a"}, config.LeaseStrict, 0, 0, 315},
		"it may go on for its replicas' sake":              {Lessee{Agent: "a", Timely: true}, config.LeaseReplicas, 0, 20, 177},
		"it was released":                                  {Lessee{Agent: "a", Timely: true, Released: "dead"}, config.LeaseReplicas, 0, 20, 0},
		"released, but the voters may have promised since": {Lessee{Agent: "a", Released: "dead"}, config.LeaseReplicas, 0, 20, 315},
	} {
		s, k := crashed(func(s *Situation, k *Knowledge) {
			s.Settings.Lease, s.Settings.LeaseLoss, s.Lessee = span, c.policy, c.lessee
			k.Began = after(c.began)
			target := replica(replicaB, 95)
			target.At = after(c.cut)
			read(k, replica(replicaA, 90), target) // that another one was cut before counts for nothing: it may have been restarted since
		})
		for ms := range 400 {
			s.Now = after(ms)
			move := Next(s, k)
			if move.Commit == nil {
				continue
			}
			// It may look at what it waits for only after a moment.
			if late := ms - c.want; late < 0 || late > 1 && c.want > 0 {
				t.Errorf("%s: promotes at %d ms, want %d", name, ms, c.want)
			}
			break
		}
	}
}

// A replica that has nothing is not promoted while somebody may come back with something.
func TestNext_AnEmptyReplicaIsNotPromotedOverOneThatHoldsSomething(t *testing.T) {
	for name, c := range map[string]struct {
		adjust func(*Situation, *Knowledge)
		want   string
	}{
		"the old master held something": {func(s *Situation, _ *Knowledge) { s.View.Servers[oldMaster].Last.Keys = 9 }, "holds nothing, and 10.0.0.1:6379 was seen with 9 keys"},
		"a replica that is hung does":   {func(s *Situation, _ *Knowledge) { s.View.Servers[replicaB].Last.Keys = 7 }, "holds nothing, and 10.0.0.3:6379 was seen with 7 keys"},
		"one of another history may be what is left": {func(s *Situation, k *Knowledge) {
			other := replica(replicaB, 0)
			other.ReplID, other.Keys = "another", 7
			read(k, other)
			s.View.Servers[replicaB], k.Since = up(other), start.Add(-s.Settings.FailoverTimeout)
		}, "promote " + string(replicaB)},
		"the old master is back with it": {func(s *Situation, _ *Knowledge) {
			reborn := replica(oldMaster, 0)
			reborn.RunID, reborn.Master, reborn.LinkUp, reborn.Keys, reborn.At = "reborn", Silent, false, 9, start
			s.View.Servers[oldMaster] = up(reborn)
			s.View.Servers[replicaA], s.View.Servers[replicaB] = up(replica(replicaA, 0)), up(replica(replicaB, 0))
			for _, a := range []config.Addr{replicaA, replicaB} {
				s.View.Servers[a].Last.At, s.View.Servers[a].Last.ReplID = start.Add(time.Millisecond), "none"
			}
		}, "abort"},
		"nobody held anything": {nil, "promote " + string(replicaA)},
		"it holds something":   {func(s *Situation, k *Knowledge) { s.View.Servers[oldMaster].Last.Keys, k.Read[replicaA].Keys = 9, 1 }, "promote " + string(replicaA)},
		"it holds all there was": {func(s *Situation, k *Knowledge) {
			s.View.Servers[oldMaster].Last.Keys, k.Read[replicaA].Offset = 9, 100
		}, "promote " + string(replicaA)},
		"empty masters are accepted": {func(s *Situation, _ *Knowledge) {
			s.View.Servers[oldMaster].Last.Keys, s.Settings.EmptyMaster = 9, config.EmptyAccept
		}, "promote " + string(replicaA)},
		"the operator accepts the loss": {func(s *Situation, _ *Knowledge) {
			s.View.Servers[oldMaster].Last.Keys, s.Record.AllowLoss = 9, true
		}, "promote " + string(replicaA)},
	} {
		s, k := crashed(func(s *Situation, k *Knowledge) {
			s.Record.OldOffset = 100
			s.View.Servers[replicaB] = down(replica(replicaB, 95))
			k.Tried[replicaB] = Attempt{At: start}
			read(k, replica(replicaA, 0))
			if c.adjust != nil {
				c.adjust(s, k)
			}
		})
		move := Next(s, k)
		got := show(move)
		if move.Blocker != nil {
			got = move.Blocker.Text
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
