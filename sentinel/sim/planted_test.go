//go:build planted

package sim

import (
	"strings"
	"testing"
	"time"

	"picket/config"
	"picket/failover"
	"picket/sentinel/sim/model"
	"picket/sentinel/webhook"
)

// mistake is one in the production code, and how many seeds the checkers may need to see it.
type mistake struct {
	name   string
	sign   string // part of what the checker says of it
	plant  func()
	budget int
	shape  func(*Shape)
}

func decision(name, sign string, b failover.Bug, budget int, shape func(*Shape)) mistake {
	return mistake{name, sign, func() { failover.Plant(b) }, budget, shape}
}

// That a promise is forgotten or made after a vote needs clocks and messages that seldom meet here: a play in package failover catches these.
var mistakes = []mistake{
	decision("a promise is no veto", "two masters", failover.NoVeto, 1000, lonely),
	decision("nobody waits for a lease", "two masters", failover.LeaseIgnored, 1000, proving),
	decision("a fence is not taken away", "did not come to rest", failover.FenceLeft, 300, isolated),
	decision("a master without a lease goes on", "two masters", failover.FenceSkipped, 300, isolated),
	decision("replicas are not detached", "that were waited for", failover.CutSkipped, 1000, waiting),
	decision("the quorum of replicas is not counted", "that were waited for", failover.QuorumIgnored, 1000, waiting),
	decision("a replica that was restarted counts", "that were waited for", failover.RestartedCounts, 1000, forgetful),
	decision("the priority goes before the offset", "that were waited for", failover.PriorityFirst, 1000, waiting),
	decision("promoted before that is committed", "no agent knows of an agreement", failover.PromoteFirst, 1000, trapped),
	decision("an empty master is followed", "was wiped by", failover.EmptyFollowed, 500, emptied),
	{"told before it was", "was not delivered", func() { webhook.Plant(webhook.CursorFirst) }, 500, hooked},
}

// Circumstances in which a mistake shows sooner.

func isolated(s *Shape) {
	s.Master.LeaseLoss = config.LeaseStrict
	s.Faults = map[string]int{"isolate": 3, "cut": 1, "agent-kill": 1}
}

// lonely has one agent enough to find a master down, which then still holds its lease: where the other replica is dead, nobody proves its life.
func lonely(s *Shape) {
	s.Machines, s.Master.Quorum, s.Master.Durability.Wait = 3, 1, 0
	s.Master.LeaseLoss, s.Between = config.LeaseStrict, 300*time.Millisecond
	s.Faults = map[string]int{"redis-crash": 1, "cut": 2}
}

// proving has masters go on without a lease as long as their replicas follow, and slow leaders.
func proving(s *Shape) {
	s.Machines, s.Master.Quorum, s.Master.Durability.Wait = 3, 1, 0
	s.Master.LeaseLoss, s.Between, s.Trap = config.LeaseReplicas, 300*time.Millisecond, 0
	s.Faults = map[string]int{"switchover": 3, "cut": 3, "slow-disk": 3, "redis-crash": 1}
}

func waiting(s *Shape) {
	s.Machines, s.Persistence, s.Master.Durability.Wait = 3, model.None, 1
	s.Master.Quorum, s.Between = 2, 400*time.Millisecond
	s.Faults = map[string]int{"redis-crash": 2, "isolate": 2, "cut": 3, "redis-hang": 1}
}

// forgetful has replicas come back with what they had some time ago.
func forgetful(s *Shape) {
	waiting(s)
	s.Persistence, s.Between = model.RDB, 250*time.Millisecond
	s.Faults = map[string]int{"redis-restart": 3, "redis-crash": 2, "isolate": 1, "cut": 2}
}

func trapped(s *Shape) {
	s.Trap, s.Between = 0.7, 300*time.Millisecond
	s.Faults = map[string]int{"agent-kill": 2, "redis-crash": 1, "isolate": 1}
}

func emptied(s *Shape) {
	s.Persistence = model.None
	s.Faults = map[string]int{"redis-crash": 3, "redis-restart": 3}
}

func hooked(s *Shape) {
	s.Faults = map[string]int{"agent-kill": 2, "redis-crash": 2, "receiver": 3}
}

// plant makes this process make a mistake, or not, and gives the shape that goes with it.
func plant(name string, really bool) func(*Shape) {
	for _, m := range mistakes {
		if m.name == name {
			if really {
				m.plant()
			}
			return m.shape
		}
	}
	return nil
}

// TestPlantedBugs shows that the checkers see mistakes, and nothing else: a simulation that finds nothing proves nothing until it has found
// these, and what is found without a mistake, in the same circumstances, is none of them.
func TestPlantedBugs(t *testing.T) {
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			good := run{args: []string{"-world.bug=" + m.name, "-world.good"}, batch: controls / 4, most: 1, left: controls, next: 1 << 32}
			good.play(t, func(one result) { t.Errorf("%sseed %d, without the mistake: %s", one.Story, one.Seed, one.Violation) })
			began := time.Now()
			bad := run{args: []string{"-world.bug=" + m.name}, batch: 4, most: 1, left: m.budget}
			bad.play(t, func(one result) {
				if !strings.Contains(one.Violation, m.sign) {
					t.Errorf("%sseed %d: %s; want one that %q", one.Story, one.Seed, one.Violation, m.sign)
				}
			})
			if len(bad.reports) == 0 {
				t.Fatalf("not caught in %d seeds", bad.sum.Seeds)
			}
			t.Logf("caught within %d seeds (of %d), in %s: %.200s", bad.sum.Seeds, m.budget, time.Since(began).Round(100*time.Millisecond), bad.reports[0].Violation)
		})
	}
}

// controls is how many seeds are played without the mistake.
const controls = 16
