package consensus_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"picket/consensus"
)

func TestNode_CampaignWinsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, nil)
		old := g.leader()
		g.put(old, "x", "1")
		candidate := g.other(old)
		before := g.nodes[candidate].Status().Term
		start := time.Now()
		term, err := g.nodes[candidate].Campaign(t.Context(), []byte("mymaster"))
		if err != nil || term != before+1 {
			t.Fatalf("campaign: term %d (before: %d), %v", term, before, err)
		}
		// Four trips of one millisecond: request, vote, no-op, acknowledgement.
		if took := time.Since(start); took > 5*time.Millisecond {
			t.Errorf("it took %s", took)
		}
		if s := g.nodes[candidate].Status(); string(s.Reason) != "mymaster" || g.states[candidate].get("x") != "1" {
			t.Errorf("the winner's status %+v, x = %q", s, g.states[candidate].get("x"))
		}
		if _, err := g.nodes[candidate].ProposeAt(t.Context(), term, put("x", "2")); err != nil {
			t.Errorf("propose in the term that was won: %v", err)
		}
		var not *consensus.NotLeaderError
		_, err = g.nodes[candidate].ProposeAt(t.Context(), before, put("x", "3"))
		if !errors.As(err, &not) || not.Leader != candidate {
			t.Errorf("propose in another term: %v", err)
		}
	})
}

func TestNode_CampaignIsVetoedOrLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var objector atomic.Value // the server that objects; "": all
		objector.Store(consensus.ServerID("nobody"))
		var refused, denied atomic.Int64
		g := newGroup(t, 3, func(c *consensus.NodeConfig) {
			self := c.Core.ID
			c.Core.Veto = func(consensus.ServerID, []byte) string {
				if who := objector.Load(); who == self || who == consensus.ServerID("all but n1") && self != "n1" {
					return "it lives"
				}
				return ""
			}
			c.Observe = func(e consensus.Event) {
				switch {
				case !strings.Contains(e.Text, "it lives"):
				case e.Kind == consensus.EventVoteRefused:
					refused.Add(1)
				case e.Kind == consensus.EventVoteDenied:
					denied.Add(1)
				}
			}
		})
		leader := g.leader()
		before := g.nodes[leader].Status()

		objector.Store(consensus.ServerID("n1"))
		if _, err := g.nodes["n1"].Campaign(t.Context(), []byte("m")); !errors.Is(err, consensus.ErrVetoed) {
			t.Errorf("campaign against its own veto: %v", err)
		}
		if now := g.nodes[leader].Status(); now.Term != before.Term || now.Role != consensus.Leader {
			t.Errorf("the veto disturbed the group: %+v", now)
		}

		objector.Store(consensus.ServerID("all but n1"))
		start := time.Now()
		_, err := g.nodes["n1"].Campaign(t.Context(), []byte("m"))
		if !errors.Is(err, consensus.ErrLost) || !strings.Contains(fmt.Sprint(err), "it lives") {
			t.Errorf("campaign against everybody else's veto: %v", err)
		}
		if took := time.Since(start); took > 10*time.Millisecond {
			t.Errorf("it took %s to know", took)
		}
		if refused.Load() != 2 || denied.Load() != 2 { // two refuse, and one is told so twice
			t.Errorf("%d events tell of votes that were refused, %d of those that were denied", refused.Load(), denied.Load())
		}

		objector.Store(consensus.ServerID("n2")) // one objection does not decide
		if _, err := g.nodes["n1"].Campaign(t.Context(), []byte("m")); err != nil {
			t.Errorf("campaign against one veto: %v", err)
		}
	})
}

func TestNode_CampaignWithoutAMajorityIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, nil)
		candidate := g.other(g.leader())
		g.net.isolate(candidate)
		if _, err := g.nodes[candidate].Campaign(t.Context(), []byte("m")); !errors.Is(err, consensus.ErrLost) {
			t.Errorf("campaign without a majority: %v", err)
		}
	})
}

// TestNode_AReasonIsTheLeadersOwn: who stood for something else in the same term does not take its own reason for the winner's.
func TestNode_AReasonIsTheLeadersOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		seen := map[consensus.ServerID]string{} // what each knows of the latest leader
		g := newGroup(t, 3, func(c *consensus.NodeConfig) {
			c.Observe = func(e consensus.Event) {
				if e.Kind == consensus.EventLeader {
					mu.Lock()
					seen[c.Core.ID] = fmt.Sprintf("%s for %q", e.Peer, e.Reason)
					mu.Unlock()
				}
			}
		})
		leader := g.leader()
		loser := g.other(leader)
		winner := g.other(leader, loser)
		g.net.isolate(loser)
		lost := make(chan error)
		go func() { // ends with the campaign
			_, err := g.nodes[loser].Campaign(t.Context(), []byte("its own"))
			lost <- err
		}()
		if _, err := g.nodes[winner].Campaign(t.Context(), []byte("the winner's")); err != nil {
			t.Fatal(err)
		}
		g.net.heal()
		if err := <-lost; !errors.Is(err, consensus.ErrLost) {
			t.Errorf("the loser: %v", err)
		}
		mu.Lock()
		defer mu.Unlock()
		for id, want := range map[consensus.ServerID]string{
			loser: fmt.Sprintf("%s for %q", winner, ""), leader: fmt.Sprintf("%s for %q", winner, "the winner's"), winner: fmt.Sprintf("%s for %q", winner, "the winner's"),
		} {
			if seen[id] != want {
				t.Errorf("%s knows %s, want %s", id, seen[id], want)
			}
		}
	})
}

// TestNode_SlowDisksElectALeader: where a sync takes four election timeouts, no election could be won in one.
func TestNode_SlowDisksElectALeader(t *testing.T) {
	const sync, timeout = 1200 * time.Millisecond, 300 * time.Millisecond
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			g := newGroup(t, 3, func(c *consensus.NodeConfig) {
				c.Core.ElectionTimeout, c.Core.Rand = timeout, rand.New(rand.NewPCG(seed, uint64(c.Core.ID[1])))
			})
			old := g.leader()
			for _, disk := range g.disks {
				disk.Fail(func(_, call, _ string) error {
					if call == "sync" {
						time.Sleep(sync)
					}
					return nil
				})
			}
			begun := time.Now()
			g.stop(old)
			for next := old; next == old || next == ""; next = g.nodes[g.other(old)].Status().Leader {
				if time.Sleep(20 * time.Millisecond); time.Since(begun) > time.Minute {
					t.Fatalf("seed %d: nobody leads after %v", seed, time.Since(begun))
				}
			}
			t.Log(time.Since(begun))
		})
	}
}
