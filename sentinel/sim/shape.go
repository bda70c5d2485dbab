package sim

import (
	"math/rand/v2"
	"time"

	"picket/config"
	"picket/sentinel/sim/model"
)

// Shape is how a run's system is built, and how bad its world is. A seed first draws which faults there are at all: a mix of everything
// hides bugs.
type Shape struct {
	Machines    int
	Masters     int // names; only the servers of the first have an agent beside them
	Persistence model.Persistence
	Master      config.Master  // settings of all names, but for name and address
	Chaos       time.Duration  // of faults
	Between     time.Duration  // two of them, on average
	Trap        float64        // chance that a step of a failover is where the next fault strikes
	Faults      map[string]int // how often each kind is drawn, relative to the others
}

// draw makes a shape.
func draw(random *rand.Rand) Shape {
	s := Shape{
		Machines: 3, Masters: 1, Persistence: []model.Persistence{model.None, model.RDB, model.AOF}[random.IntN(3)],
		Master:  config.DefaultMaster(),
		Chaos:   time.Duration(6+random.IntN(8)) * time.Second,
		Between: time.Duration(200+random.IntN(1500)) * time.Millisecond,
		Trap:    []float64{0, 0.3, 0.7}[random.IntN(3)],
		Faults:  map[string]int{},
	}
	if random.IntN(6) == 0 {
		s.Machines = 5
	}
	if random.IntN(4) == 0 {
		s.Masters = 2
	}
	m := &s.Master
	m.DownAfter = time.Duration(400+100*random.IntN(7)) * time.Millisecond
	m.Lease = min(m.Lease, m.DownAfter*6/10)
	m.Quorum = 1 + random.IntN(s.Machines/2+1)
	m.FailoverTimeout = time.Duration(1+random.IntN(3)) * time.Second
	m.Cooldown = time.Duration(random.IntN(3)) * 500 * time.Millisecond
	m.LeaseLoss = []string{config.LeaseReplicas, config.LeaseReplicas, config.LeaseStrict}[random.IntN(3)]
	m.Durability.Wait = random.IntN(s.Machines)
	m.ForeignSentinels = config.ForeignIgnore
	for _, f := range faults {
		if random.IntN(2) == 0 {
			s.Faults[f.name] = 1 + random.IntN(3)
		}
	}
	return s
}
