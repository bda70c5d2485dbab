package sim

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"picket/config"
	"picket/sentinel/sim/model"
)

// TestSlowDisks: disks that take as long as an election timeout make a failover slower by their own time, and no more: no agent takes another one for dead
// that only waits for its disk. A failover takes some seven syncs, one after the other. There is one bubble, because go-redis shares timers.
func TestSlowDisks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, sync := range []time.Duration{time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond} {
			limit := 500*time.Millisecond + 20*sync
			for seed := range uint64(3) {
				took, story, err := slowFailover(seed, sync)
				if err != nil || took > limit {
					t.Errorf("a sync takes %v, seed %d: %v, %v; want at most %v\n%s", sync, seed, took, err, limit, story)
				}
				t.Logf("a sync takes %v, a failover %v", sync, took)
			}
		}
	})
}

// slowFailover is how long it takes until every agent names another master than one that has crashed, where each sync of a disk takes so long.
func slowFailover(seed uint64, sync time.Duration) (took time.Duration, story string, err error) {
	shape := Shape{Machines: 3, Masters: 1, Persistence: model.AOF, Master: config.DefaultMaster()}
	shape.Master.Quorum, shape.Master.ForeignSentinels = 2, config.ForeignIgnore
	w := newWorld(Options{Seed: seed}, shape, rand.New(rand.NewPCG(seed, 1)))
	defer func() {
		w.end()
		story = w.story.String()
	}()
	if !w.boot() {
		return 0, "", fmt.Errorf("%v", w.violations)
	}
	for _, m := range w.machines {
		m.slow.Store(int64(sync))
	}
	time.Sleep(2 * time.Second)
	old := w.machines[0]
	old.redis[0].Crash()
	crashed := time.Now()
	for ; time.Since(crashed) < time.Minute; time.Sleep(5 * time.Millisecond) {
		moved := 0
		for _, m := range w.machines {
			if m.agent.Load().Picture().Masters[0].Server.Addr != old.addr(redisPort) {
				moved++
			}
		}
		if moved == len(w.machines) {
			return time.Since(crashed), "", nil
		}
	}
	return time.Minute, "", fmt.Errorf("not all agents name another master")
}
