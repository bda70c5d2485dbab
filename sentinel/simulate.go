package sentinel

import "picket/failover"

// What SENTINEL SIMULATE-FAILURE asks for, as INFO tells it.
const (
	crashAfterElection = 1 << iota
	crashAfterPromotion
)

// simulatedExit is the exit code by which a test knows that the process ended where it was told to.
const simulatedExit = 99

// Simulate implements resp.Registry: this process ends at that point of the next failover that it leads, so that others must finish it.
func (a *Agent) Simulate(afterElection, afterPromotion bool) {
	flags := uint32(0)
	if afterElection {
		flags |= crashAfterElection
	}
	if afterPromotion {
		flags |= crashAfterPromotion
	}
	a.simulated.Store(flags)
}

// collapse ends the process if that is to be simulated after a step of a failover.
func (a *Agent) collapse(step failover.StepKind) {
	point := map[failover.StepKind]uint32{failover.StepBegin: crashAfterElection, failover.StepSwitch: crashAfterPromotion}[step]
	if a.simulated.Load()&point != 0 {
		a.host.Exit(simulatedExit)
	}
}
