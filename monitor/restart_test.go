package monitor

import "testing"

func TestKnowsMore(t *testing.T) {
	master := Observation{Server: theMaster, Role: "master", ReplID: "new", ReplID2: "old", Offset: 100, Second: 90, Keys: 5}
	for name, c := range map[string]struct {
		replica Observation
		more    bool
	}{
		"of the same history":             {Observation{ReplID: "new", Offset: 100}, false},
		"ahead of it":                     {Observation{ReplID: "new", Offset: 101}, true},
		"ahead, because it is fed":        {Observation{ReplID: "new", Offset: 101, Master: theMaster, LinkUp: true}, false},
		"ahead, and fed by another one":   {Observation{ReplID: "new", Offset: 101, Master: "10.0.0.9:6379", LinkUp: true}, true},
		"ahead, its link is down":         {Observation{ReplID: "new", Offset: 101, Master: theMaster}, true},
		"of the former history":           {Observation{ReplID: "old", Offset: 89}, false},
		"beyond the former history":       {Observation{ReplID: "old", Offset: 90}, true},
		"it can't be compared":            {Observation{ReplID: "other", Keys: 1}, true},
		"it has nothing":                  {Observation{ReplID: "other"}, false},
		"it loads":                        {Observation{ReplID: "other", Keys: 1, Loading: true}, false},
		"it is in the middle of a resync": {Observation{ReplID: "other", Keys: 1, Syncing: true}, false},
	} {
		c.replica.Role = "slave"
		if got := KnowsMore(&c.replica, &master); got != c.more {
			t.Errorf("%s: it knows more: %v, want %v", name, got, c.more)
		}
	}
}
