//go:build planted

package failover

import "testing"

// TestPlantedBugs_LeasesCatchThem shows that the play of leases and elections can fail.
func TestPlantedBugs_LeasesCatchThem(t *testing.T) {
	const budget = 20_000
	for name, bug := range map[string]Bug{
		"a promise does not bind": NoVeto, "a restart forgets promises": PromiseForgotten, "a vote does not end promising": PromiseAfterVote,
	} {
		seed := uint64(0)
		for ; seed < budget; seed++ {
			Plant(bug)
			w := newLeaseWorld(seed)
			w.play()
			if w.violation != "" {
				t.Logf("%s: seed %d: %s", name, seed, w.violation)
				break
			}
		}
		Plant(NoBug)
		if seed == budget {
			t.Errorf("%s: not caught in %d seeds", name, budget)
			continue
		}
		if w := newLeaseWorld(seed); true {
			if w.play(); w.violation != "" {
				t.Errorf("%s: seed %d fails without the mistake: %s", name, seed, w.violation)
			}
		}
	}
}
