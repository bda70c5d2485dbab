package sim

import (
	"time"

	"picket/sentinel/sim/network"
)

// clock is a machine's: wrong by an offset, and running at a speed of its own within what agents promise to bear.
type clock struct {
	start  time.Time
	offset time.Duration
	speed  float64
}

// fastest and slowest differ by less than the drift that leases allow for: one part in 20.
const (
	slowest = 0.98
	fastest = 1.02
)

func (c clock) now() time.Time {
	return c.start.Add(c.offset + time.Duration(float64(time.Since(c.start))*c.speed))
}

// of is the clock as a process reads it: a frozen one does not.
func (c clock) of(p *network.Process) func() time.Time {
	return func() time.Time {
		p.Wait()
		return c.now()
	}
}
