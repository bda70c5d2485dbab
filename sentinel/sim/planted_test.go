//go:build planted

package sim

import (
	"fmt"
	"runtime"
	"sync"
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
	plant  func()
	budget int
	shape  func(*Shape)
}

func decision(name string, b failover.Bug, budget int, shape func(*Shape)) mistake {
	return mistake{name, func() { failover.Plant(b) }, budget, shape}
}

// Those in the leases are caught by a play of their own, in package failover: here, whoever may be found down holds no lease any more.
var mistakes = []mistake{
	decision("nobody waits for a lease", failover.LeaseIgnored, 1000, isolated),
	decision("a fence is not taken away", failover.FenceLeft, 300, isolated),
	decision("a master without a lease goes on", failover.FenceSkipped, 300, isolated),
	decision("replicas are not detached", failover.CutSkipped, 1000, waiting),
	decision("the quorum of replicas is not counted", failover.QuorumIgnored, 1000, waiting),
	decision("a replica that was restarted counts", failover.RestartedCounts, 1000, waiting),
	decision("the priority goes before the offset", failover.PriorityFirst, 1000, waiting),
	decision("promoted before that is committed", failover.PromoteFirst, 1000, trapped),
	decision("an empty master is followed", failover.EmptyFollowed, 500, emptied),
	{"told before it was", func() { webhook.Plant(webhook.CursorFirst) }, 500, hooked},
}

// Circumstances in which a mistake shows sooner.

func isolated(s *Shape) {
	s.Master.LeaseLoss = config.LeaseStrict
	s.Faults = map[string]int{"isolate": 3, "cut": 1, "agent-kill": 1}
}

func waiting(s *Shape) {
	s.Machines, s.Persistence, s.Master.Durability.Wait = 3, model.None, 1
	s.Master.Quorum, s.Between = 2, 400*time.Millisecond
	s.Faults = map[string]int{"redis-crash": 2, "isolate": 2, "cut": 3, "redis-hang": 1}
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

// plant makes this process make a mistake, and gives the shape that goes with it.
func plant(name string) func(*Shape) {
	for _, m := range mistakes {
		if m.name == name {
			m.plant()
			return m.shape
		}
	}
	return nil
}

// TestPlantedBugs shows that the checkers see mistakes: a simulation that finds nothing proves nothing until it has found these.
func TestPlantedBugs(t *testing.T) {
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			began, seeds, r := time.Now(), 0, result{}
			var mu sync.Mutex
			var workers sync.WaitGroup
			n := runtime.GOMAXPROCS(0)
			for i := range n {
				workers.Go(func() {
					one, err := work(fmt.Sprintf("-world.from=%d", i*m.budget), fmt.Sprintf("-world.most=%d", m.budget/n),
						"-world.bug="+m.name)
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						t.Error(err)
					}
					seeds += one.Seeds
					if one.Seed != 0 {
						r = one
					}
				})
			}
			workers.Wait()
			if r.Violation == "" {
				t.Fatalf("not caught in %d seeds", seeds)
			}
			t.Logf("caught within %d seeds (of %d), in %s: %.200s", seeds, m.budget, time.Since(began).Round(time.Second), r.Violation)
		})
	}
}
