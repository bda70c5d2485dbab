package sim

import (
	"math/rand/v2"
	"time"
)

// faults is how bad the world is in one run. The seed first draws which of them there are, and how strong they are: a mix of everything
// hides bugs. Chances are per tick of chaos, where nothing else is said.
type faults struct {
	// Of messages: lost; delivered twice; kept back for long.
	loss, double, ancient float64
	slowest               time.Duration // that a message takes, if it is not kept back

	cut   float64 // the partition changes
	pause float64 // a server is frozen for up to a second
	drift bool    // clocks run at half to twice the speed

	crash    float64 // a machine dies
	tear     float64 // share of crashes that come in the middle of a write
	slowDisk time.Duration
	badDisk  float64 // a call to some disk will fail, or space runs out; the process ends, and starts anew
	relapse  float64 // share of starts that are interrupted by another crash

	batch    int     // bytes of one append: small ones separate what else would arrive together
	campaign float64 // somebody stands for election, for a reason that may be vetoed
	transfer float64 // a leader hands over
	compact  float64 // somebody takes a snapshot
	change   float64 // the membership changes
	wipe     float64 // share of changes that are a lost disk
}

func drawFaults(rng *rand.Rand) faults {
	maybe := func(most float64) float64 {
		if rng.IntN(2) == 0 {
			return 0
		}
		return rng.Float64() * most
	}
	return faults{
		loss: maybe(0.3), double: maybe(0.2), ancient: maybe(0.05), slowest: time.Duration(1+rng.IntN(40)) * time.Millisecond,
		cut: maybe(0.1), pause: maybe(0.05), drift: rng.IntN(2) == 0,
		crash: maybe(0.1), tear: rng.Float64(), slowDisk: time.Duration(rng.IntN(20_000)) * time.Microsecond,
		badDisk: maybe(0.03), relapse: maybe(0.3), batch: []int{1, 64, 256}[rng.IntN(3)],
		campaign: maybe(0.1), transfer: maybe(0.05), compact: maybe(0.3), change: maybe(0.2), wipe: maybe(0.3),
	}
}

// throwDice lets something happen.
func (s *Sim) throwDice() {
	f := s.faults
	if s.chance(f.crash) {
		s.pick().crash(s.chance(f.tear))
	}
	if s.chance(f.badDisk) {
		s.pick().spoilDisk()
	}
	if s.chance(f.pause) {
		sv := s.pick()
		sv.freeze()
		s.after(time.Duration(s.rng.Int64N(int64(time.Second))), sv.thaw)
	}
	if s.chance(f.cut) {
		s.partition()
	}
	if s.chance(f.campaign) {
		s.pick().campaign()
	}
	if s.chance(f.transfer) {
		s.transfer()
	}
	if s.chance(f.compact) {
		s.pick().compact()
	}
	if s.chance(f.change) {
		s.administer()
	}
	for _, id := range s.ids {
		if sv := s.servers[id]; sv.core == nil && sv.disk != nil && s.chance(0.05) {
			sv.boot()
		}
	}
}
