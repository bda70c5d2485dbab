package failover

import (
	"errors"
	"testing"

	"picket/config"
	"picket/monitor"
)

// TestKnowledge_BelongsToAPlaceInTheRecord: also where the answer to a commit was lost, what was known before a step does not count after it.
func TestKnowledge_BelongsToAPlaceInTheRecord(t *testing.T) {
	s, k := crashed(promoting(nil))
	k.arrive(s)
	k.Since = start.Add(-1)
	k.Tried[replicaA] = Attempt{At: start, Err: errors.New("timeout")}
	k.Seen = map[config.Addr]*monitor.Observation{replicaA: replica(replicaA, 95), replicaB: masterAt(replicaB, 95)}
	if k.arrive(s); len(k.Tried) != 1 || len(k.Seen) != 2 || k.Since == s.Now {
		t.Errorf("nothing was committed, and it is forgotten: %+v", k)
	}
	for name, c := range map[string]struct {
		step func(*Record)
		seen int
	}{
		"another leader":    {func(r *Record) { r.Epoch++ }, 2},
		"the switch":        {func(r *Record) { r.Phase = Switched }, 1},
		"a replica follows": {func(r *Record) { r.Repointed = append(r.Repointed, replicaA) }, 2},
	} {
		later, k := s, k
		record := *s.Record
		c.step(&record)
		later.Record = &record
		if k.arrive(later); len(k.Tried) != 0 || k.Since != s.Now || len(k.Seen) != c.seen {
			t.Errorf("%s: %+v", name, k)
		}
	}
}
